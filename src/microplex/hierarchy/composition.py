"""The law of compositions: how many members of each role a household has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from microplex.errors import ConstraintError
from microplex.hierarchy.roster import Ints

Floats = NDArray[np.float64]
Limit = tuple[tuple[int, ...], float, float]
GOLDEN = 0.6180339887498949
MAX_CHANGE = 0.05


@dataclass(frozen=True, eq=False)
class Compositions:
    """Compositions seen in training, and the chance of one member more or less than any of them.

    A household has a composition of the table, or, with probability `change`, one that differs from it by a member of
    one role. Thus compositions near those that were seen have a probability, and larger households than any can occur.

    Parameters
    ----------
    counts : int64[n, n_roles]
        Distinct compositions, in lexicographic order.
    shares : float64[n]
        Their weighted shares.
    change : float
        Probability of one member more or less.
    repeatable : int64[k]
        Roles whose number may change: those that a household may have more than once.
    limits : tuple of (roles, least, greatest)
        Declared numbers of members in some roles; no change leads beyond them, or to a household without members.
    """

    counts: Ints
    shares: Floats
    change: float
    repeatable: Ints
    limits: tuple[Limit, ...] = ()

    @classmethod
    def fit(
        cls, counts: Ints, weights: Floats, repeatable: Sequence[int], limits: Sequence[Limit] = ()
    ) -> Compositions:
        """Learn from households.

        Parameters
        ----------
        counts : int64[n, n_roles]
            Composition of each household.
        weights : float64[n]
            Survey weights.
        repeatable : sequence of int
            Roles whose number may change.
        limits : sequence of (roles, least, greatest)
            Declared numbers; households beyond them are not learned from.

        Raises
        ------
        ConstraintError
            If no household has the declared numbers.

        Returns
        -------
        Compositions
            `change` is the share of households that leave-one-out estimates ascribe to it, at most .05.

        Examples
        --------
        >>> law = Compositions.fit(np.array([[1, 0], [1, 0], [1, 1], [1, 2]]), np.ones(4), repeatable=[1])
        >>> law.counts.tolist(), law.shares.tolist()
        ([[1, 0], [1, 1], [1, 2]], [0.5, 0.25, 0.25])
        >>> law.change
        0.05
        >>> np.exp(law.log_prob(np.array([[1, 3]]))).round(6)  # one child more than [1, 2], by half of the changes
        array([0.00625])
        """
        kept = within(counts, limits)
        if not kept.any():
            raise ConstraintError("no training household has the numbers of members in roles that are declared.")
        counts, weights = counts[kept], weights[kept]
        distinct, inverse = np.unique(counts, axis=0, return_inverse=True)
        mass = np.bincount(inverse.ravel(), weights, minlength=len(distinct))
        law = cls(distinct.astype(np.int64), mass / mass.sum(), 0.0, np.asarray(repeatable, np.int64), tuple(limits))
        return law._with_change(inverse.ravel(), weights)

    def _with_change(self, inverse: Ints, weights: Floats) -> Compositions:
        """Estimate the probability of a change by expectation-maximisation on leave-one-out shares."""
        if not len(self.repeatable):
            return self
        own = weights / weights.sum()
        rest = (self.shares[inverse] - own) / np.maximum(1.0 - own, 1e-12)
        near = np.exp(self._changed(self.counts))[inverse]
        change = 0.5 * MAX_CHANGE
        for _ in range(50):
            by_change = change * near / np.maximum((1 - change) * np.maximum(rest, 0) + change * near, 1e-300)
            change = float(np.clip(np.average(by_change, weights=weights), 1e-6, MAX_CHANGE))
        return replace(self, change=change)

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        return {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(self.counts))}

    @cached_property
    def _allowed(self) -> NDArray[np.bool_]:
        """Changes that each composition allows, bool[n, 2k]: a member more of each repeatable role, then one fewer."""
        steps = [(role, step) for step in (1, -1) for role in self.repeatable]
        out = np.empty((len(self.counts), len(steps)), bool)
        for place, (role, step) in enumerate(steps):
            changed = self.counts.copy()
            changed[:, role] += step
            out[:, place] = (changed[:, role] >= 0) & within(changed, self.limits)
        return out

    @cached_property
    def _n_changes(self) -> Ints:
        """Number of changes that each composition allows."""
        return np.asarray(self._allowed.sum(axis=1))

    def find(self, counts: Ints) -> Ints:
        """Row of the table of each composition, -1 for those it lacks."""
        rows = np.ascontiguousarray(counts, np.int64)
        return np.array([self._row_of.get(row.tobytes(), -1) for row in rows], np.int64).reshape(len(rows))

    def _changed(self, counts: Ints, shares: Floats | None = None) -> Floats:
        """Log probability that a change of one member leads to each composition; shares may differ by household."""
        n = len(counts)
        total = np.zeros(n)
        for place, role in enumerate(self.repeatable):
            for step, choice in ((1, place), (-1, place + len(self.repeatable))):
                source = counts.copy()
                source[:, role] -= step
                row = np.where(source[:, role] >= 0, self.find(source), -1)
                found = np.flatnonzero((row >= 0) & self._allowed[np.maximum(row, 0), choice])
                mass = self.shares[row[found]] if shares is None else shares[found, row[found]]
                total[found] += mass / self._n_changes[row[found]]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(total))

    def log_prob(self, counts: Ints, shares: Floats | None = None) -> Floats:
        """Log probability of compositions, float64[n]; -inf for those more than one member away from any seen.

        Parameters
        ----------
        counts : int64[n, n_roles]
            Compositions.
        shares : float64[n, n_compositions], optional
            Shares of the table's compositions for each household, where they depend on it.
        """
        distinct, inverse = np.unique(counts, axis=0, return_inverse=True)
        if shares is None and len(distinct) < len(counts):
            return np.asarray(self.log_prob(distinct)[inverse.ravel()])
        row = self.find(counts)
        own = self.shares[row] if shares is None else shares[np.arange(len(row)), row]
        with np.errstate(divide="ignore"):
            leave = np.where(self._n_changes[row] > 0, self.change, 0.0)
            stay = np.log1p(-leave) + np.log(np.where(row >= 0, own, 0.0))
            move = np.log(self.change) + self._changed(counts, shares)
        return np.asarray(np.logaddexp(stay, move))

    def pick(self, u: Floats) -> Ints:
        """Row of the table for uniform numbers, int64[n]."""
        return np.minimum(np.searchsorted(np.cumsum(self.shares), u, "right"), len(self.shares) - 1)

    def vary(self, rows: Ints, u: Floats) -> Ints:
        """Compositions of rows of the table, with a member more or less where the first uniform number says so.

        Parameters
        ----------
        rows : int64[n]
            Rows of the table.
        u : float64[2, n]
            Uniform numbers.

        Returns
        -------
        int64[n, n_roles]
        """
        counts = self.counts[rows].copy()
        at = np.flatnonzero((u[0] < self.change) & (self._n_changes[rows] > 0))
        if not len(at):
            return counts
        rank = (u[1, at] * self._n_changes[rows[at]]).astype(np.int64)
        which = (np.cumsum(self._allowed[rows[at]], axis=1) > rank[:, None]).argmax(axis=1)
        k = len(self.repeatable)
        counts[at, self.repeatable[which % k]] += np.where(which < k, 1, -1)
        return counts


def within(counts: Ints, limits: Sequence[Limit] = ()) -> NDArray[np.bool_]:
    """Which compositions have a member, and the declared numbers of members in some roles.

    Examples
    --------
    >>> within(np.array([[1, 0], [1, 3], [0, 0]]), [((1,), 0, 2)]).tolist()
    [True, False, False]
    """
    fits = counts.sum(axis=1) > 0
    for roles, least, greatest in limits:
        number = counts[:, list(roles)].sum(axis=1)
        fits &= (number >= least) & (number <= greatest)
    return np.asarray(fits)


def systematic(first: int, n: int, shift: float) -> Floats:
    """Evenly spread uniform numbers: the fractional parts of multiples of the golden ratio (Weyl, 1916).

    Any stretch of them hits each interval of [0, 1) in proportion to its length, but for a few; each number alone is
    uniform when `shift` is. Drawn with them, the compositions of n households have nearly the shares of the law.

    Examples
    --------
    >>> u = systematic(0, 1000, 0.3)
    >>> np.histogram(u, 10, (0, 1))[0].tolist()
    [101, 100, 101, 99, 100, 100, 99, 101, 100, 99]
    """
    return np.asarray((shift + GOLDEN * np.arange(first, first + n)) % 1.0)
