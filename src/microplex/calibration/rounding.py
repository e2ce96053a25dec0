"""Fractions of whole weights: what can be settled before the walk, and what it leaves."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_HELPERS = 4000  # records, besides the left-over ones, that the search may move
_FIRST = 250  # of the least harmful moves are tried as the first of a pair
_ROUNDS = 1000
_TRIES = 4000  # of first moves of pairs, in all
_NOTHING = 1e-12  # a fraction this small is rounding


def settle_alike(columns: sp.csr_array, fractions: Floats, rng: np.random.Generator) -> Floats:
    """Settle the fractions of records that contribute alike, but for one of each kind.

    The pivotal method (Deville and Tille, 1998, "Unequal probability sampling without replacement through a splitting
    method"): of two records one is settled at 0 or 1 and the other takes the rest of their sum, at random, so that
    every expectation and every total is kept.

    Parameters
    ----------
    columns : sp.csr_array of shape (n, m)
        One row a record.
    fractions : float64[n]
        Between 0 and 1.
    rng : numpy.random.Generator

    Returns
    -------
    float64[n]

    Examples
    --------
    >>> alike = sp.csr_array(np.ones((4, 1)))
    >>> sorted(settle_alike(alike, np.array([0.5, 0.5, 0.75, 0.75]), np.random.default_rng(0)).tolist())
    [0.0, 0.5, 1.0, 1.0]
    """
    key = (columns @ rng.random((columns.shape[1], 2))).view(np.uint64)
    key = key[:, 0] ^ (key[:, 1] << np.uint64(21) | key[:, 1] >> np.uint64(43))
    order = rng.permutation(len(key))
    order = order[np.argsort(key[order], kind="stable")]
    kind = np.cumsum(np.diff(key[order], prepend=key[order[:1]]) != 0)
    x = fractions.copy()
    while len(order):
        counts = np.bincount(kind)
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.flatnonzero((place % 2 == 0) & (place + 1 < np.repeat(counts, counts)))
        if not len(first):
            break
        i, j = order[first], order[first + 1]
        x[i], x[j] = _duel(x[i], x[j], rng.random(len(i)))
        is_open = (x[order] > 0) & (x[order] < 1)
        order, kind = order[is_open], kind[is_open]
    return x


def _duel(a: Floats, b: Floats, draw: Floats) -> tuple[Floats, Floats]:
    """Settle one of each pair and give the rest to the other; the means are kept."""
    total = a + b
    is_low = total < 1
    rest = np.where(is_low, total, total - 1)
    rest[rest < _NOTHING] = 0.0
    settled = np.where(is_low, 0.0, 1.0)
    # The first is settled with the probability that leaves its mean at a.
    chance = np.divide(rest - a, rest - settled, out=np.full(len(a), 0.5), where=rest != settled)
    is_first = draw < chance
    return np.where(is_first, settled, rest), np.where(is_first, rest, settled)


def round_leftovers(
    columns: sp.csr_array, settled: Floats, error: Floats, cost: Floats, rng: np.random.Generator
) -> Floats:
    """Return 0 or 1 for every record, with a small sum of absolute errors.

    Parameters
    ----------
    columns : sp.csr_array of shape (n, m)
        One row a record.
    settled : float64[n]
        In [0, 1], mostly 0 or 1; what is in between is rounded at random, up with that probability.
    error : float64[m]
        Errors of the totals before these records are added.
    cost : float64[m]
        Positive; of one unit of absolute error.
    rng : numpy.random.Generator

    Returns
    -------
    float64[n]
    """
    loose = np.flatnonzero((settled > 0) & (settled < 1))
    steady = np.flatnonzero((settled == 0) | (settled == 1))
    out = settled.copy()
    out[loose] = rng.random(len(loose)) < settled[loose]
    helpers = rng.choice(steady, min(_HELPERS, len(steady)), replace=False)
    ids = np.concatenate([loose, helpers])
    # Of records whose moves are alike, one will do.
    key = (columns[ids] @ rng.random(columns.shape[1])) * (1 - 2 * out[ids])
    ids = ids[np.sort(np.unique(key, return_index=True)[1])]
    out[ids] = _improved(columns[ids], out[ids], error + columns.T @ out, cost)
    return out


def _improved(columns: sp.csr_array, x: Floats, error: Floats, cost: Floats) -> Floats:
    """Move records between 0 and 1, singly or in pairs, while the cost of the errors falls."""
    search = _Search(columns, x.copy(), error.copy(), cost)
    floor = -1e-9 * float(cost @ np.abs(error) + 1e-300)
    for _ in range(_ROUNDS):
        gain = search.gains()
        best = int(gain.argmin())
        if gain[best] < floor:
            search.move(best)
        elif not search.move_pair(gain, floor):
            break
    return search.x


class _Search:
    """Records that are 0 or 1, the errors of the totals, and what a move would change."""

    def __init__(self, columns: sp.csr_array, x: Floats, error: Floats, cost: Floats) -> None:
        self.columns, self.x, self.error, self.cost = columns, x, error, cost
        self.owner = np.repeat(np.arange(len(x)), np.diff(columns.indptr))
        self.price = cost[columns.indices]
        self.turn = 1 - 2 * x
        self.by_total = columns.tocsc()
        self.n_of_total = np.diff(self.by_total.indptr)
        self.tries = _TRIES

    def gains(self) -> Floats:
        """Return the change of the cost by each single move."""
        before = self.error[self.columns.indices]
        by_entry = self.price * (np.abs(before + self.turn[self.owner] * self.columns.data) - np.abs(before))
        return np.bincount(self.owner, by_entry, minlength=len(self.x)).astype(np.float64)

    def gains_after(self, i: int, gain: Floats) -> Floats:
        """Return the change of the cost by each move if record i moves first; only totals of i make a difference."""
        totals, change = self.entries(i)
        n, ends = self.n_of_total[totals], np.cumsum(self.n_of_total[totals])
        places = np.repeat(self.by_total.indptr[totals] - ends + n, n) + np.arange(ends[-1] if len(ends) else 0)
        owner = self.by_total.indices[places]
        moved = self.turn[owner] * self.by_total.data[places]
        old, new = self.error[totals], self.error[totals] + change
        by_entry = np.abs(moved + np.repeat(new, n)) - np.abs(moved + np.repeat(old, n))
        by_entry += np.repeat(np.abs(old) - np.abs(new), n)
        by_entry *= np.repeat(self.cost[totals], n)
        second = gain + np.bincount(owner, by_entry, minlength=len(self.x))
        second[i] = np.inf
        return second

    def entries(self, i: int) -> tuple[NDArray[np.int32], Floats]:
        part = slice(self.columns.indptr[i], self.columns.indptr[i + 1])
        return self.columns.indices[part], self.turn[i] * self.columns.data[part]

    def move(self, i: int) -> None:
        totals, change = self.entries(i)
        self.error[totals] += change
        self.x[i] = 1 - self.x[i]
        self.turn[i] *= -1

    def move_pair(self, gain: Floats, floor: float) -> bool:
        """Make the first pair of moves that lowers the cost, if there is one among the least harmful first moves."""
        for i in np.argsort(gain, kind="stable")[:_FIRST].tolist():
            if not self.tries:
                return False
            self.tries -= 1
            second = self.gains_after(i, gain)
            j = int(second.argmin())
            if gain[i] + second[j] < floor:
                self.move(i)
                self.move(j)
                return True
        return False
