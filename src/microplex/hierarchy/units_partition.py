"""Groups of members below the household: who is in which, numbered in the order in which they are opened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from microplex.entities import GroupEntity
from microplex.hierarchy.roster import Ints, Roster


@dataclass(frozen=True)
class Kind:
    """What the units are.

    Parameters
    ----------
    name, key : str
        The entity, and its key.
    roles : tuple of str
        What members are in a unit, the head first; none where members have no roles.
    role_col : str or None
        Column of the member table that holds them.
    unique : tuple of int
        Roles that a unit has at most once; the head among them.
    couple : tuple of int
        Roles that are partners of the head.
    """

    name: str
    key: str
    roles: tuple[str, ...] = ()
    role_col: str | None = None
    unique: tuple[int, ...] = ()
    couple: tuple[int, ...] = ()

    @classmethod
    def of(cls, group: GroupEntity) -> Kind:
        """Return the kind of a group.

        Examples
        --------
        >>> from microplex.entities import US
        >>> Kind.of(US.group("tax_unit")).unique
        (0, 1)
        """
        unique = group.role_numbers(group.unique or ()) if group.roles else ()
        couple = group.role_numbers(group.couple) if group.roles else ()
        first = (0,) if group.roles else ()
        return cls(group.name, group.key, group.roles, group.role_col, tuple(sorted({*first, *unique})), couple)

    @property
    def n_roles(self) -> int:
        """Number of roles; 1 where there are none."""
        return max(1, len(self.roles))


@dataclass(frozen=True, eq=False)
class Partition:
    """Members of households in units, numbered by household and, in it, by their first member.

    Parameters
    ----------
    roster : Roster
        Who is in which household.
    of : int64[N]
        Unit of each member, counted from 0 over all households.

    Examples
    --------
    >>> roster = Roster(np.array([[1, 2], [1, 1]]))
    >>> units = Partition.number(roster, np.array([8, 9, 8, 4, 4]))
    >>> units.of.tolist(), units.opener.tolist(), units.local.tolist(), units.counts.tolist()
    ([0, 1, 0, 2, 2], [0, 1, 3], [0, 1, 0, 0, 0], [2, 1])
    """

    roster: Roster
    of: Ints

    @classmethod
    def number(cls, roster: Roster, ids: NDArray[np.int64]) -> Partition:
        """Number units by household and opening; `ids` tell the units of a household apart.

        Parameters
        ----------
        roster : Roster
            Who is in which household.
        ids : int64[N]
            Any numbers, equal for members of one unit; households may use the same.
        """
        distinct, place = np.unique(ids, return_inverse=True)
        pairs = roster.household * max(1, len(distinct)) + place.reshape(-1)
        _, first, unit = np.unique(pairs, return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        return cls(roster, rank[unit.reshape(-1)])

    @cached_property
    def opener(self) -> Ints:
        """Row of each unit's first member, int64[n_units]."""
        return np.asarray(np.flatnonzero(self.opens))

    @cached_property
    def opens(self) -> NDArray[np.bool_]:
        """Whether each member is the first of a unit."""
        highest = np.maximum.accumulate(self.of) if len(self.of) else self.of
        return np.concatenate([[True], self.of[1:] > highest[:-1]]) if len(self.of) else np.zeros(0, bool)

    @cached_property
    def home(self) -> Ints:
        """Household of each unit."""
        return np.asarray(self.roster.household[self.opener])

    @cached_property
    def counts(self) -> Ints:
        """Units of each household, int64[n]."""
        return np.bincount(self.home, minlength=len(self.roster.counts)).astype(np.int64)

    @cached_property
    def starts(self) -> Ints:
        """First unit of each household, int64[n]."""
        return np.asarray(np.concatenate([[0], np.cumsum(self.counts)[:-1]]).astype(np.int64))

    @cached_property
    def local(self) -> Ints:
        """Number of each member's unit within the household."""
        return np.asarray(self.of - self.starts[self.roster.household])

    @cached_property
    def place(self) -> Ints:
        """Number of each unit within its household."""
        return np.asarray(np.arange(len(self.opener)) - self.starts[self.home])

    @cached_property
    def sizes(self) -> Ints:
        """Members of each unit."""
        return np.bincount(self.of, minlength=len(self.opener)).astype(np.int64)

    def with_role(self, roles: Ints, wanted: tuple[int, ...]) -> Ints:
        """Row of the first member of each unit in some roles, -1 where there is none."""
        found = np.full(len(self.opener), -1, np.int64)
        rows = np.flatnonzero(np.isin(roles, wanted))[::-1]
        found[self.of[rows]] = rows
        return found
