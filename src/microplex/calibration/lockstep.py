"""The bounded simplex walk, in many small groups at once: factors, tableaux and pivots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack, qr

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_DEPENDENT = 1e-10  # a pivot this small against the largest marks a unit as a combination of others
_FLAT = 1e-11  # a move that changes a unit by less than this share does not count as reaching its bound
_BLOCK = 12  # columns that are pivoted before the rest of the tableau is brought up to date


@dataclass(frozen=True, eq=False)
class Tableau:
    """Units outside the basis, each as a combination of those in it.

    Attributes
    ----------
    basis : intp[p]
        Units in the basis.
    others : intp[k]
        The other units.
    values : float64[k, p]
        Column of unit ``others[j]`` = sum over i of ``values[j, i]`` times the column of unit ``basis[i]``.
    """

    basis: Ints
    others: Ints
    values: Floats


def tableau(columns: Floats, is_last: bool = True) -> Tableau:
    """Choose a basis among the columns and express the others by it.

    Parameters
    ----------
    columns : float64[p, k]
        A column for each of k units.
    is_last : bool
        Whether the basis must have only as many units as the matrix has rank. It costs a pivoted QR; combinations
        that hold, with a unit in the basis for every row, cost a triangular factorisation.

    Returns
    -------
    Tableau

    Examples
    --------
    >>> columns = np.array([[1.0, 0.0, 2.0, 3.0], [1.0, 0.0, 2.0, 3.0], [0.0, 1.0, 1.0, 5.0]])
    >>> table = tableau(columns)
    >>> table.values.shape, np.allclose(columns[:, table.others], columns[:, table.basis] @ table.values.T)
    ((2, 2), True)
    """
    k = columns.shape[1]
    size = np.abs(columns).max(axis=1, initial=0.0)
    rows = columns[size > 0] / size[size > 0, None]
    if is_last or k <= len(rows):
        return _independent(rows)
    # A row that others imply takes a pivot of rounding: L2 U = (L2 / L1) L1 U whatever that pivot is.
    lu, swaps, _ = lapack.dgetrf(rows.T)
    order, p = _order(swaps, k), len(rows)
    values = blas.dtrsm(1.0, lu[:p], lu[p:], side=1, lower=1, diag=1) if p else np.zeros((k, 0))
    return Tableau(order[:p], order[p:], values)


def _independent(rows: Floats) -> Tableau:
    """Find a basis of independent units by a pivoted QR."""
    k = rows.shape[1]
    if k == 0 or not len(rows):
        return Tableau(np.empty(0, dtype=np.intp), np.arange(k), np.zeros((k, 0)))
    size = np.linalg.norm(rows, axis=0)
    size[size == 0] = 1.0
    r, order = qr(rows / size, mode="r", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diagonal(r))
    rank = int((diagonal > _DEPENDENT * max(diagonal[0], 1e-300)).sum())
    basis, others = order[:rank].astype(np.intp), order[rank:].astype(np.intp)
    if not len(others) or not rank:
        return Tableau(basis, others, np.zeros((len(others), rank)))
    solved = lapack.dtrtrs(r[:rank, :rank], r[:rank, rank:])[0].T
    return Tableau(basis, others, solved * size[others, None] / size[basis])


def _order(swaps: NDArray[np.int32], k: int) -> Ints:
    order = list(range(k))
    for i, j in enumerate(swaps.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.intp)


def walk(tableaux: list[Tableau], values: list[Floats], uppers: list[Floats], rng: np.random.Generator) -> list[Floats]:
    """Walk from the values of each group along its null space until only basis units are inside their bounds.

    The cube method's flight phase (Deville and Tille, 2004, "Efficient balanced sampling: the cube method") as a
    random walk on the edges of a bounded simplex tableau: a unit outside the basis moves up or down as far as it or
    the basis can, with the probabilities that keep its expectation; whoever reaches a bound stays there.

    Parameters
    ----------
    tableaux : list of Tableau
    values : list of float64[k + p]
        Of all units of each group, between 0 and the upper bound.
    uppers : list of float64[k + p]
        May be infinite; then a unit that nothing stops on the way up goes down.
    rng : numpy.random.Generator

    Returns
    -------
    list of float64[k + p]
        The new values; bounds are reached exactly.
    """
    shape = (len(tableaux), max(len(t.others) for t in tableaux), max(len(t.basis) for t in tableaux))
    state = _State(*shape)
    for g, (t, x, upper) in enumerate(zip(tableaux, values, uppers, strict=True)):
        state.put(g, t, x, upper)
    state.run(rng)
    return [state.take(g, t, x) for g, (t, x) in enumerate(zip(tableaux, values, strict=True))]


class _State:
    """The arrays of a batch of groups, padded to one shape with units that cannot move."""

    def __init__(self, groups: int, k: int, p: int) -> None:
        self.rates = np.zeros((groups, k, p))
        self.basis = np.zeros((groups, p), dtype=np.intp)
        self.inside, self.room = np.zeros((groups, p)), np.zeros((groups, p))  # room = upper bound
        self.outside, self.outside_room = np.zeros((groups, k)), np.zeros((groups, k))
        self.others = np.zeros((groups, k), dtype=np.intp)
        self.each = np.arange(groups)

    def put(self, g: int, t: Tableau, x: Floats, upper: Floats) -> None:
        k, p = t.values.shape
        self.rates[g, :k, :p] = t.values
        self.basis[g, :p], self.others[g, :k] = t.basis, t.others
        self.inside[g, :p], self.room[g, :p] = x[t.basis], upper[t.basis]
        self.outside[g, :k], self.outside_room[g, :k] = x[t.others], upper[t.others]

    def take(self, g: int, t: Tableau, x: Floats) -> Floats:
        k, p = t.values.shape
        out = np.empty_like(x)
        out[self.basis[g, :p]] = self.inside[g, :p]
        out[self.others[g, :k]] = self.outside[g, :k]
        return out

    def run(self, rng: np.random.Generator) -> None:
        """Move every unit outside the basis, in blocks of columns."""
        _, k, p = self.rates.shape
        if p == 0:
            self._free(rng.random(self.outside.shape))
            return
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for start in range(0, k, _BLOCK):
                stop = min(start + _BLOCK, k)
                changes, pivots = self._block(start, stop, rng.random((stop - start, len(self.each))))
                if stop < k:
                    self._update(stop, changes, pivots)

    def _free(self, draws: Floats) -> None:
        """Settle units that no row restrains."""
        up = draws * self.outside_room < self.outside
        self.outside = np.where(up & np.isfinite(self.outside_room), self.outside_room, 0.0)

    def _block(self, start: int, stop: int, draws: Floats) -> tuple[Floats, Ints]:
        block = self.rates[:, start:stop].copy()
        changes, pivots = np.zeros_like(block), np.zeros(block.shape[:2], dtype=np.intp)
        for step in range(stop - start):
            rate = block[:, step]
            pivot, change = self._step(start + step, rate, draws[step])
            changes[:, step], pivots[:, step] = change, pivot
            if start + step + 1 < stop:
                rest = block[:, step + 1 :]
                rest -= rest[self.each, :, pivot][:, :, None] * change[:, None, :]
        return changes, pivots

    def _step(self, column: int, rate: Floats, draw: Floats) -> tuple[Ints, Floats]:
        """Move one unit in every group; return the basis place that it takes and the change of the tableau."""
        each, inside = self.each, self.inside
        x, upper = self.outside[:, column], self.outside_room[:, column]
        rises, falls = rate < -_FLAT, rate > _FLAT
        left = self.room - inside
        size = np.abs(rate)
        up = np.where(falls, inside, np.where(rises, left, np.inf)) / size
        down = np.where(falls, left, np.where(rises, inside, np.inf)) / size
        i_up, i_down = up.argmin(axis=1), down.argmin(axis=1)
        t_up, t_down = up[each, i_up], down[each, i_down]
        far_up, far_down = np.minimum(t_up, upper - x), np.minimum(t_down, x)
        goes_up = draw * (far_up + far_down) < far_down
        pivot = np.where(goes_up, i_up, i_down)
        step = np.where(goes_up, far_up, -far_down)
        enters = np.where(goes_up, t_up < upper - x, t_down < x)
        slope = rate[each, pivot]
        inside -= step[:, None] * rate
        np.clip(inside, 0.0, self.room, out=inside)
        # The unit that leaves the basis rests at the bound it ran into; otherwise the moved unit is at its own.
        own = np.where(goes_up, upper, 0.0)
        theirs = np.where((slope > 0) == goes_up, 0.0, self.room[each, pivot])
        moved = x + step
        self.outside[:, column] = np.where(enters, theirs, own)
        inside[each, pivot] = np.where(enters, moved, inside[each, pivot])
        for a, b in ((self.basis, self.others), (self.room, self.outside_room)):
            old, new = a[each, pivot], b[:, column].copy()
            a[each, pivot] = np.where(enters, new, old)
            b[:, column] = np.where(enters, old, new)
        slope = np.where(enters, slope, 1.0)
        change = rate / slope[:, None]
        change[each, pivot] = 1.0 - 1.0 / slope
        change[~enters] = 0.0
        return pivot, change

    def _update(self, stop: int, changes: Floats, pivots: Ints) -> None:
        """Apply a block's pivots to the columns after it, as one product."""
        rest = self.rates[:, stop:]
        size = pivots.shape[1]
        each = self.each[:, None]
        mixing = np.triu(changes[each[:, :, None], np.arange(size)[None, :, None], pivots[:, None, :]], 1)
        mixing += np.eye(size)
        taken = rest.transpose(0, 2, 1)[each, pivots]  # (groups, size, rest)
        mixed = np.linalg.solve(mixing.transpose(0, 2, 1), taken)
        rest -= mixed.transpose(0, 2, 1) @ changes
