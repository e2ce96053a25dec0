"""Rules about members: shared variables, numbers of roles, age gaps and implied values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from microplex._validation import check_choice
from microplex.errors import ConstraintError
from microplex.frames import Level
from microplex.hierarchy.members import ROLE, Bools, Floats, Members
from microplex.hierarchy.rules_conditions import holds, is_one_of, numbers, parse_condition
from microplex.hierarchy.rules_quantities import check_level, differs, extremes, names_of, per_unit

# Gaps of fractional ages may miss their bound by rounding.
SLACK = 1e-9
SOURCES = ("household", "head", "mode", "mean", "random")


@dataclass(frozen=True)
class Shared:
    """A variable has one value in each household.

    Parameters
    ----------
    column : str
        The variable.
    source : str
        Whose value all take where they differ: "household", the household table's, else the head's, else that of a
        member drawn by the seed; "head"; "mode", the most frequent by weight (the least of equals); "mean", the
        weighted mean, a value nobody may have had; "random", of a member drawn by the seed.
    level : str
        The unit within which it is shared.

    Examples
    --------
    >>> print(Shared("region"))
    region is the same for all in a household
    """

    column: str
    source: str = "household"
    level: str = "household"

    def __post_init__(self) -> None:
        check_choice(self.source, SOURCES, "source")
        check_level(self.level, "Shared")

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return (ROLE,) if self.source in ("household", "head") else ()

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (self.column,)

    def violations(self, data: Members) -> Bools:
        """Return which units hold two values: bool[n_units]; missing counts as a value."""
        units = data.unit(self.level, self)
        column = data.column(self.column)
        values = column.values if column.values is not None else column.codes
        assert values is not None
        return per_unit(differs(values, values[units.rows][units.of]), units)

    def __str__(self) -> str:
        return f"{self.column} is the same for all in a {self.level}"


@dataclass(frozen=True)
class Cardinality:
    """A household has between `low` and `high` members of a role.

    Parameters
    ----------
    role : str or tuple of str
        The role, or roles counted together.
    low, high : int
        Least and greatest number; `high` None for no limit.
    otherwise : str, optional
        Role that surplus members get, the youngest first, and from which members are taken, the oldest first, where
        some are missing. Without it, a household that breaks the rule cannot be repaired, and is an error.
    level : str
        The unit.

    Raises
    ------
    ConstraintError
        If no number lies between `low` and `high`.

    Examples
    --------
    >>> print(Cardinality("spouse", 0, 1))
    a household has at most 1 spouse
    """

    role: str | tuple[str, ...]
    low: int = 0
    high: int | None = None
    otherwise: str | None = None
    level: str = "household"

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", names_of(self.role, "role"))
        check_level(self.level, "Cardinality")
        if self.low < 0 or (self.high is not None and self.high < self.low):
            raise ConstraintError(f"'{self}': no number of members is at least {self.low} and at most {self.high}.")
        if self.otherwise in self.roles:
            raise ConstraintError(f"'{self}': otherwise= must be another role; got {self.otherwise!r}.")

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles counted."""
        return (self.role,) if isinstance(self.role, str) else self.role

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return ()

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (ROLE,) if self.otherwise else ()

    def violations(self, data: Members) -> Bools:
        """Return which units have too many or too few: bool[n_units]."""
        units = data.unit(self.level, self)
        count = np.bincount(units.of, data.in_roles(self.roles, self), units.count)
        return (count < self.low) | (count > (np.inf if self.high is None else self.high))

    def __str__(self) -> str:
        low, high, what = self.low, self.high, " or ".join(self.roles)
        if high is None:
            return f"a {self.level} has at least {low} {what}"
        if low == high:
            return f"a {self.level} has exactly {low} {what}"
        return f"a {self.level} has {'at most' if not low else f'{low} to'} {high} {what}"


@dataclass(frozen=True)
class AgeGap:
    """Someone in the older role is between `low` and `high` years older than each member in the younger role.

    Parameters
    ----------
    older_role : str or tuple of str
        The role, or roles of whom one fits: ``("head", "spouse")`` for parents of whom one may be a step-parent.
        A household without them is free.
    younger_role : str or tuple of str
        The role bound to it.
    low, high : float, optional
        Least and greatest age of the older less that of the younger, in years; negative where the "older" may be
        younger, as for couples.
    column : str
        Column with the age.

    Raises
    ------
    ConstraintError
        If no gap lies between `low` and `high`, neither is given, or a role is bound to itself.

    Examples
    --------
    >>> print(AgeGap("head", "spouse", -20, 20))
    a spouse is at most 20 years from the head
    >>> print(AgeGap(("head", "spouse"), "child", low=15))
    a head or spouse is at least 15 years older than each child
    """

    older_role: str | tuple[str, ...]
    younger_role: str | tuple[str, ...]
    low: float | None = None
    high: float | None = None
    column: str = "age"

    def __post_init__(self) -> None:
        object.__setattr__(self, "older_role", names_of(self.older_role, "older_role"))
        object.__setattr__(self, "younger_role", names_of(self.younger_role, "younger_role"))
        if self.low is None and self.high is None:
            raise ConstraintError(f"an age gap between {self.older} and {self.younger} needs low=, high= or both.")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ConstraintError(f"'{self}': no gap is at least {self.low:g} and at most {self.high:g}.")
        both = set(self.older) & set(self.younger)
        if both:
            raise ConstraintError(f"'{self}': {sorted(both)[0]!r} stands on both sides.")

    @property
    def older(self) -> tuple[str, ...]:
        """Roles of the older."""
        return (self.older_role,) if isinstance(self.older_role, str) else self.older_role

    @property
    def younger(self) -> tuple[str, ...]:
        """Roles of the younger."""
        return (self.younger_role,) if isinstance(self.younger_role, str) else self.younger_role

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return (ROLE,)

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (self.column,)

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest gap; infinite where open."""
        return (-np.inf if self.low is None else self.low), (np.inf if self.high is None else self.high)

    def violations(self, data: Members) -> Bools:
        """Return which members of the younger role fit none of the older: bool[n]."""
        low, high = self.bounds[0] - SLACK, self.bounds[1] + SLACK
        households = data.unit("household", self)
        age = numbers(data.column(self.column), str(self))
        older, younger = data.in_roles(self.older, self), data.in_roles(self.younger, self)
        known = older & ~np.isnan(age)
        least, most = extremes(age, known, households)
        # One older member, or one open side: extremes decide. Else all pairs are looked at.
        of = households.of
        with np.errstate(invalid="ignore"):
            out = younger & ((age > most[of] - low) | (age < least[of] - high))
            if np.isfinite(low) and np.isfinite(high):
                unsure = younger & ~out & (least[of] != most[of])
                if unsure.any():
                    out |= self._fits_none(age, known, unsure, of)
        return out & ~np.isnan(age) & (most[of] >= least[of])

    def _fits_none(self, age: Floats, known: Bools, unsure: Bools, of: Any) -> Bools:
        """Look at every pair of an older and a younger member."""
        low, high = self.bounds[0] - SLACK, self.bounds[1] + SLACK
        rows = np.flatnonzero(unsure)
        olds = np.flatnonzero(known)
        olds = olds[np.argsort(of[olds], kind="stable")]
        start = np.searchsorted(of[olds], of[rows], side="left")
        stop = np.searchsorted(of[olds], of[rows], side="right")
        fits = np.zeros(len(rows), dtype=bool)
        for step in range(int((stop - start).max(initial=0))):
            at = start + step
            gap = age[olds[np.minimum(at, len(olds) - 1)]] - age[rows]
            fits |= (at < stop) & (gap >= low) & (gap <= high)
        out = np.zeros(len(age), dtype=bool)
        out[rows[~fits]] = True
        return out

    def __str__(self) -> str:
        old, young = " or ".join(self.older), " or ".join(self.younger)
        low, high = self.low, self.high
        if low is not None and high is not None and low == -high:
            return f"a {young} is at most {high:g} years from the {old}"
        if high is None:
            return f"a {old} is at least {low:g} years older than each {young}"
        between = f"at most {high:g}" if low is None else f"{low:g} to {high:g}"
        return f"a {old} is {between} years older than each {young}"


@dataclass(frozen=True)
class Implied:
    """Where a condition holds, a column has a given value, or one of some.

    Parameters
    ----------
    when : str
        Condition on a member, such as ``"age < 15"`` or ``"role == 'spouse'"``; "role" is the role. It does not hold
        where a value that decides it is missing.
    column : str
        The column.
    value : str, bool, int or float, optional
        Its value.
    levels : tuple, optional
        Values it may have; where it has another, it is drawn from the reference if there is one, else it takes the
        first.

    Raises
    ------
    ConstraintError
        If the condition cannot be read or names the column itself, or not one of `value` and `levels` is given.

    Examples
    --------
    >>> print(Implied("age < 15", "wage", 0))
    age < 15 -> wage == 0
    """

    when: str
    column: str
    value: Level | None = None
    levels: tuple[Level, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "when", str(parse_condition(self.when)))
        object.__setattr__(self, "levels", tuple(self.levels))
        if (self.value is None) == (not self.levels):
            raise ConstraintError(f"'{self.when}' implies {self.column!r}: give either value= or levels=.")
        if self.column in self._decided_by:
            raise ConstraintError(f"'{self}': the condition names the column that it implies.")

    @property
    def allowed(self) -> tuple[Level, ...]:
        """The values that the column may have."""
        return self.levels if self.value is None else (self.value,)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return self._decided_by

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (self.column,)

    @property
    def _decided_by(self) -> tuple[str, ...]:
        return parse_condition(self.when).columns

    def applies(self, data: Members) -> Bools:
        """Return for which members the condition holds: bool[n]."""
        return holds(parse_condition(self.when), data.column)

    def violations(self, data: Members) -> Bools:
        """Return which members have another value, or none: bool[n]."""
        return self.applies(data) & ~is_one_of(data.column(self.column), self.allowed, str(self))

    def __str__(self) -> str:
        shown = [repr(value) for value in self.allowed]
        right = f"== {shown[0]}" if len(shown) == 1 else f"in ({', '.join(shown)})"
        return f"{self.when} -> {self.column} {right}"
