"""Who is in which household: members in canonical order, from the numbers of each role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Roster:
    """Households as numbers of members by role; members stand by household, then role, then number within the role.

    Parameters
    ----------
    counts : int64[n, n_roles]
        Members of each role, at least one member in all.
    couple : sequence of int
        Roles that are partners of the head.

    Examples
    --------
    >>> roster = Roster(np.array([[1, 0, 0], [1, 1, 2]]), couple=[1])
    >>> roster.household.tolist(), roster.role.tolist(), roster.previous.tolist()
    ([0, 1, 1, 1, 1], [0, 0, 1, 2, 2], [-1, -1, -1, -1, 3])
    >>> roster.head.tolist(), roster.spouse.tolist()
    ([0, 1], [-1, 2])
    """

    counts: Ints
    couple: Sequence[int] = ()

    @cached_property
    def sizes(self) -> Ints:
        """Members of each household, int64[n]."""
        return np.asarray(self.counts.sum(axis=1))

    @cached_property
    def starts(self) -> Ints:
        """Row of each household's first member, int64[n]; that member is the head."""
        return np.asarray(np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64))

    @property
    def head(self) -> Ints:
        """Row of each household's head."""
        return self.starts

    @cached_property
    def household(self) -> Ints:
        """Household of each member."""
        return np.repeat(np.arange(len(self.counts)), self.sizes)

    @cached_property
    def place(self) -> Ints:
        """Place of each member in the household; 0 is the head."""
        return np.asarray(np.arange(len(self.household)) - self.starts[self.household])

    @cached_property
    def role(self) -> Ints:
        """Role of each member."""
        n_roles = self.counts.shape[1]
        return np.repeat(np.tile(np.arange(n_roles), len(self.counts)), self.counts.ravel())

    @cached_property
    def number(self) -> Ints:
        """Number of each member among those of the same role; the first is 0."""
        ends = np.cumsum(self.counts, axis=1) - self.counts
        return np.asarray(self.place - ends[self.household, self.role])

    @cached_property
    def previous(self) -> Ints:
        """Row of the member of the same role before each, -1 where there is none."""
        return np.where(self.number > 0, np.arange(len(self.role)) - 1, -1)

    @cached_property
    def spouse(self) -> Ints:
        """Row of each household's first partner of the head, -1 where there is none."""
        found = np.full(len(self.counts), -1, np.int64)
        rows = np.flatnonzero(np.isin(self.role, list(self.couple)) & (self.place > 0))[::-1]
        found[self.household[rows]] = rows
        return found

    @cached_property
    def earlier_spouse(self) -> Ints:
        """For each member, the row of the head's partner where that comes before the member, else -1."""
        rows = self.spouse[self.household]
        return np.where(rows < np.arange(len(rows)), rows, -1)

    def rows_of(self, some: Ints) -> Ints:
        """Rows of the members of some households, in their order."""
        sizes = self.sizes[some]
        first = np.repeat(self.starts[some] - (np.cumsum(sizes) - sizes), sizes)
        return np.asarray(first + np.arange(sizes.sum()))

    @property
    def n_waves(self) -> int:
        """Size of the largest household."""
        return int(self.sizes.max(initial=0))

    def wave(self, place: int) -> Ints:
        """Rows of the members at one place of their households."""
        return np.asarray(self.starts[self.sizes > place] + place)
