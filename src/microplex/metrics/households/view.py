"""Households and their members as plain arrays, in canonical order: what every measure of this package reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.frames import Level

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FLAGS = ("broken", "off", "exact", "below", "varies")


class Column(NamedTuple):
    """A variable: numbers with NaN where missing, or codes of `levels` with -1.

    Examples
    --------
    >>> Column(np.array([0, -1]), ("f", "m")).is_number
    False
    """

    values: NDArray[np.generic]
    levels: tuple[Level, ...] = ()
    is_number: bool = False
    ordered: bool = False

    @property
    def floats(self) -> Floats:
        """The values as numbers, NaN where missing."""
        x = np.asarray(self.values, dtype=np.float64)
        return x if self.is_number else np.where(x < 0, np.nan, x)

    @property
    def has_value(self) -> bool:
        """Whether any row has a value."""
        return bool((~np.isnan(self.floats)).any())

    def take(self, rows: NDArray[np.generic]) -> Column:
        """Return the column with some of its rows."""
        return self._replace(values=self.values[rows])


@dataclass(frozen=True)
class Limits:
    """What no household can be, whatever the data say.

    Parameters
    ----------
    min_spouse_age, min_head_age : float
        Years; a younger partner or head is impossible.
    min_parent_gap : float
        Years by which the head is at least older than a child of the head.
    max_age : float
        Years.
    max_partners : int
        Partners of a head.

    Examples
    --------
    >>> Limits(min_parent_gap=13).min_parent_gap
    13
    """

    min_spouse_age: float = 16
    min_head_age: float = 15
    min_parent_gap: float = 12
    max_age: float = 110
    max_partners: int = 1


@dataclass(frozen=True)
class Plan:
    """Which variables are what.

    Parameters
    ----------
    roles : tuple of str
        In canonical order.
    heads, couple, child : tuple of int
        Places in `roles`: heads, partners of the head, children of the head.
    age, earnings : str, optional
        Member variables.
    member_vars, household_vars : tuple of str
    type_vars : tuple of str
        Household variables that tell types of household.
    cluster_vars : tuple of str
        Member variables whose likeness within households is compared.
    context_vars : tuple of str
        Household variables whose dependence with the members is compared.
    own_vars : tuple of str
        Household variables that do not follow from the members.
    adult_age : float
    limits : Limits
    """

    roles: tuple[str, ...]
    heads: tuple[int, ...]
    couple: tuple[int, ...]
    child: tuple[int, ...]
    age: str | None
    earnings: str | None
    member_vars: tuple[str, ...]
    household_vars: tuple[str, ...]
    type_vars: tuple[str, ...] = ()
    cluster_vars: tuple[str, ...] = ()
    context_vars: tuple[str, ...] = ()
    own_vars: tuple[str, ...] = ()
    adult_age: float = 18
    limits: Limits = field(default_factory=Limits)

    def need_age(self) -> str:
        """Return the name of the age; DataError where there is none."""
        if self.age is None:
            raise DataError("no member has a known age; name the column by age_col")
        return self.age

    def need_earnings(self) -> str:
        """Return the name of the earnings; DataError where there are none."""
        if self.earnings is None:
            raise DataError("no member has known earnings; name the column by earnings_col")
        return self.earnings


@dataclass(frozen=True, eq=False)
class View:
    """A population as arrays.

    Parameters
    ----------
    plan : Plan
    weights : float64[n]
        Of the households; a household of weight w is w households.
    keys : uint64[n]
        Keys of the households' random streams.
    home : int64[m]
        Household of each member, not descending; within one, members by role, then oldest first.
    role : int64[m]
        Place in the plan's roles.
    member, household : mapping of str to Column
    broken : mapping of str to bool[n]
        Households that break a declared rule, by rule.
    off : mapping of str to float64[n]
        How far a declared sum is from the sum of its parts; NaN where one is missing.
    exact : mapping of str to bool[n]
        Whether that is within rounding.
    below : mapping of str to bool[n]
        Households below a declared lower bound.
    varies : mapping of str to bool[n]
        Households in which a variable that members share differs between them.
    units : mapping of str to int64[m]
        Unit of each member in another group, numbered over the population.
    """

    plan: Plan
    weights: Floats
    keys: NDArray[np.uint64]
    home: Ints
    role: Ints
    member: Mapping[str, Column]
    household: Mapping[str, Column]
    broken: Mapping[str, Bools] = field(default_factory=dict)
    off: Mapping[str, Floats] = field(default_factory=dict)
    exact: Mapping[str, Bools] = field(default_factory=dict)
    below: Mapping[str, Bools] = field(default_factory=dict)
    varies: Mapping[str, Bools] = field(default_factory=dict)
    units: Mapping[str, Ints] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of households."""
        return len(self.weights)

    @cached_property
    def member_weights(self) -> Floats:
        """Weight of each member's household."""
        return self.weights[self.home]

    @cached_property
    def size(self) -> Ints:
        """Members of each household."""
        return np.bincount(self.home, minlength=self.n).astype(np.int64)

    @cached_property
    def roles(self) -> Ints:
        """Members of each household by role, int64[n, roles]."""
        width = len(self.plan.roles)
        counts = np.bincount(self.home * width + self.role, minlength=self.n * width)
        return counts.reshape(self.n, width).astype(np.int64)

    @cached_property
    def is_head(self) -> Bools:
        """Which members are heads."""
        return self._any_of(self.plan.heads)

    @cached_property
    def is_partner(self) -> Bools:
        """Which members are partners of the head."""
        return self._any_of(self.plan.couple)

    @cached_property
    def is_child(self) -> Bools:
        """Which members are children of the head."""
        return self._any_of(self.plan.child)

    @cached_property
    def head(self) -> Ints:
        """Row of each household's head; -1 if none."""
        return self.first(self.is_head)

    @cached_property
    def partner(self) -> Ints:
        """Row of each head's first partner; -1 if none."""
        return self.first(self.is_partner)

    @cached_property
    def children(self) -> Ints:
        """Children of the head in each household."""
        return np.asarray(self.roles[:, list(self.plan.child)].sum(axis=1))

    @cached_property
    def age(self) -> Floats:
        """Ages of the members; DataError without an age."""
        return self.member[self.plan.need_age()].floats

    @cached_property
    def earnings(self) -> Floats:
        """Earnings of the members; DataError without earnings."""
        return self.member[self.plan.need_earnings()].floats

    @cached_property
    def is_adult(self) -> Bools:
        """Which members are adults; DataError without an age."""
        return self.age >= self.plan.adult_age

    def first(self, mask: Bools) -> Ints:
        """Return the row of each household's first member of a mask, -1 if none."""
        found = np.full(self.n, -1, dtype=np.int64)
        rows = np.flatnonzero(mask)[::-1]
        found[self.home[rows]] = rows
        return found

    def at(self, values: Floats, rows: Ints) -> Floats:
        """Return the members' values at rows, NaN at -1."""
        if not len(values):
            return np.full(len(rows), np.nan)
        return np.where(rows >= 0, values[np.maximum(rows, 0)], np.nan)

    def sum(self, values: NDArray[np.generic], mask: Bools | None = None) -> Floats:
        """Return the sums of the members' values, missing ones as 0."""
        x = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0)
        weights = x if mask is None else x * mask
        return np.bincount(self.home, weights=weights, minlength=self.n).astype(np.float64, copy=False)

    def extreme(self, values: Floats, mask: Bools | None = None, largest: bool = True) -> Floats:
        """Return the largest or smallest value of the members, NaN where there is none."""
        use = ~np.isnan(values) if mask is None else mask & ~np.isnan(values)
        x, home = values[use], self.home[use]
        found = np.full(self.n, np.nan)
        if len(x):
            starts = np.flatnonzero(np.r_[True, home[1:] != home[:-1]])
            found[home[starts]] = (np.maximum if largest else np.minimum).reduceat(x, starts)
        return found

    def places(self, name: str) -> tuple[Ints, int]:
        """Return the place of each member's value among the distinct ones, -1 where missing, and their number."""
        known: dict[str, tuple[Ints, int]] = self.__dict__.setdefault("_places", {})
        if name not in known:
            column = self.member[name]
            if column.is_number:
                known[name] = places_of(column.floats)
            else:
                known[name] = column.values.astype(np.int64), len(column.levels)
        found: tuple[Ints, int] = known[name]
        return found

    def take(self, rows: Ints) -> View:
        """Return some of the households, whole, in the given order."""
        starts = np.concatenate([[0], np.cumsum(self.size)])
        counts = self.size[rows]
        ends = np.cumsum(counts)
        members = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts[:-1][rows] - ends + counts, counts)
        chosen = members.astype(np.int64)
        home = np.repeat(np.arange(len(rows)), counts)
        return View(
            plan=self.plan,
            weights=self.weights[rows],
            keys=self.keys[rows],
            home=home,
            role=self.role[chosen],
            member={name: column.take(chosen) for name, column in self.member.items()},
            household={name: column.take(rows) for name, column in self.household.items()},
            units={name: _numbered(unit[chosen], home) for name, unit in self.units.items()},
            **{flag: {name: values[rows] for name, values in getattr(self, flag).items()} for flag in FLAGS},
        )

    def join(self, other: View) -> View:
        """Return the households of both, this one's first."""
        shift = {name: int(unit.max(initial=-1)) + 1 for name, unit in self.units.items()}
        flags: dict[str, dict[str, NDArray[Any]]] = {
            flag: {k: np.concatenate([v, getattr(other, flag)[k]]) for k, v in getattr(self, flag).items()}
            for flag in FLAGS
        }
        return View(
            plan=self.plan,
            weights=np.concatenate([self.weights, other.weights]),
            keys=np.concatenate([self.keys, other.keys]),
            home=np.concatenate([self.home, other.home + self.n]),
            role=np.concatenate([self.role, other.role]),
            member=_joined(self.member, other.member),
            household=_joined(self.household, other.household),
            units={name: np.concatenate([unit, other.units[name] + shift[name]]) for name, unit in self.units.items()},
            **flags,
        )

    def _any_of(self, roles: tuple[int, ...]) -> Bools:
        chosen = np.zeros(len(self.plan.roles) + 1, dtype=bool)
        chosen[list(roles)] = True
        return np.asarray(chosen[self.role])


def places_of(values: Floats) -> tuple[Ints, int]:
    """Return the place of each number among the distinct ones, -1 where missing, and their number.

    Examples
    --------
    >>> places, number = places_of(np.array([5.0, np.nan, 2.0, 5.0]))
    >>> places.tolist(), number
    ([1, -1, 0, 1], 2)
    """
    known = ~np.isnan(values)
    found = np.full(len(values), -1, dtype=np.int64)
    x = values[known]
    low = x.min(initial=np.inf)
    # Whole numbers of a small range, such as ages, need no sort.
    if len(x) and x.max() - low <= 4 * len(x) + 1000 and (x == np.rint(x)).all():
        shifted = (x - low).astype(np.int64)
        present = np.bincount(shifted) > 0
        found[known] = (np.cumsum(present) - 1)[shifted]
        return found, int(present.sum())
    points, found[known] = np.unique(x, return_inverse=True)
    return found, len(points)


def _joined(first: Mapping[str, Column], second: Mapping[str, Column]) -> dict[str, Column]:
    return {
        name: column._replace(values=np.concatenate([column.values, second[name].values]))
        for name, column in first.items()
    }


def _numbered(unit: Ints, home: Ints) -> Ints:
    """Number units anew, those of different households apart."""
    size = int(unit.max(initial=0)) + 1
    return np.asarray(np.unique(home * size + unit, return_inverse=True)[1], dtype=np.int64)
