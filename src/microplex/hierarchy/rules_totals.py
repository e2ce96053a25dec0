"""Rules about amounts and numbers: sums, counts, linear relations and lower bounds, within a row or over members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from microplex.constraints import Comparison
from microplex.errors import ConstraintError
from microplex.hierarchy.members import PERSON, ROLE, Bools, Floats, Members
from microplex.hierarchy.rules_conditions import holds, numbers, parse_condition
from microplex.hierarchy.rules_quantities import (
    TOLERANCE,
    check_level,
    differs,
    names_of,
    off,
    per_unit,
    total_of_parts,
    unit_values,
)


@dataclass(frozen=True)
class Sum:
    """A total is the sum of parts over the members of a unit, or within a row.

    Parameters
    ----------
    total : str
        Column with the total.
    parts : str or tuple of str
        Columns that add up to it.
    level : str
        Level of the total: "household", another unit, or "person" for a sum within the row.
    of : str
        Level of the parts: "person", or a unit within that of the total, each counted once. At level "person" the
        parts are of the row.
    per_role : mapping of str to float
        What each member of a role adds besides: ``{"joint": 2, "single": 1}`` counts the adults of tax units.
    lower : float or None
        Least value that a part may take when a total is split; None for no bound.

    Raises
    ------
    ConstraintError
        If there is no part, or the total is one of them.

    Examples
    --------
    >>> print(Sum("household_income", ("wage", "rent")))
    household_income == sum of wage + rent over the persons of a household
    >>> print(Sum("income", ("wage", "rent"), level="person"))
    income == wage + rent
    """

    total: str
    parts: str | tuple[str, ...]
    level: str = "household"
    of: str = PERSON
    per_role: tuple[tuple[str, float], ...] = ()
    lower: float | None = 0.0

    def __post_init__(self) -> None:
        pairs = self.per_role.items() if isinstance(self.per_role, Mapping) else self.per_role
        object.__setattr__(self, "per_role", tuple(sorted((name, float(value)) for name, value in pairs)))
        if self.parts or not self.per_role:
            object.__setattr__(self, "parts", names_of(self.parts, "parts"))
        if self.total in self.columns:
            raise ConstraintError(f"'{self}': the total is one of its parts.")
        if self.level == self.of and self.level != PERSON:
            raise ConstraintError(f"'{self}': the parts must be of a level below {self.level!r}, such as 'person'.")
        if self.level == PERSON and self.of != PERSON:
            raise ConstraintError(f"'{self}': a total of a person cannot have parts of level {self.of!r}.")
        if self.per_role and (self.of != PERSON or self.level == PERSON):
            raise ConstraintError(f"'{self}': per_role= counts persons; use it with of='person' in a unit.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The parts."""
        return (self.parts,) if isinstance(self.parts, str) else tuple(self.parts)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written; of a split, `Sum.total` instead."""
        return (*self.columns, *((ROLE,) if self.per_role else ()))

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed: the total, unless it is split over the parts."""
        return (self.total,)

    def expected(self, data: Members) -> Floats:
        """Return what the total should be: float64[n_units], or float64[n]; NaN where a part is missing."""
        return total_of_parts(data, self.columns, self.level, self.of, self.per_role, self)

    def violations(self, data: Members) -> Bools:
        """Return which units (rows at level "person") have another total: bool[n_units] or bool[n].

        A total of whole numbers is compared with the rounded sum. Nothing is said where a part is missing.
        """
        return _total_is_off(self, data, self.expected(data))

    def __str__(self) -> str:
        right = " + ".join(self.columns)
        if self.level == PERSON:
            return f"{self.total} == {right}"
        counted = [f"{value:g} a {role}" for role, value in self.per_role]
        listed = " + ".join([*([right] if right else []), *counted])
        return f"{self.total} == sum of {listed} over the {self.of.replace('_', ' ')}s of a {self.level}"


@dataclass(frozen=True)
class Count:
    """A total is the number of members of a unit for whom a condition holds.

    Parameters
    ----------
    total : str
        Column with the number.
    where : str
        Condition on a member; empty for all members.
    level : str
        The unit.

    Raises
    ------
    ConstraintError
        If the condition cannot be read or names the total.

    Examples
    --------
    >>> print(Count("n_children", "age < 18"))
    n_children == number of persons of a household with age < 18
    """

    total: str
    where: str = ""
    level: str = "household"

    def __post_init__(self) -> None:
        check_level(self.level, "Count")
        if self.where:
            object.__setattr__(self, "where", str(parse_condition(self.where)))
        if self.total in self.reads:
            raise ConstraintError(f"'{self}': the condition names the number itself.")

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return parse_condition(self.where).columns if self.where else ()

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (self.total,)

    def expected(self, data: Members) -> Floats:
        """Return the number: float64[n_units]."""
        units = data.unit(self.level, self)
        kept = holds(parse_condition(self.where), data.column) if self.where else np.ones(data.n, dtype=bool)
        return np.bincount(units.of, kept, units.count).astype(np.float64)

    def violations(self, data: Members) -> Bools:
        """Return which units have another number: bool[n_units]."""
        return _total_is_off(self, data, self.expected(data))

    def __str__(self) -> str:
        return f"{self.total} == number of persons of a {self.level}" + (f" with {self.where}" if self.where else "")


@dataclass(frozen=True)
class Linear:
    """A weighted sum of columns of a row is compared with a constant.

    Parameters
    ----------
    coefficients : mapping of str to float
        Coefficient of each column. Where the relation does not hold, the first column is moved until it just does.
    constant : float
        What the sum is compared with.
    op : str
        One of `<=`, `>=` and `==`.

    Raises
    ------
    ConstraintError
        If no column is left, or the sign is another one.

    Examples
    --------
    >>> print(Linear({"n_dep6": 1, "n_dep": -1}))
    n_dep6 <= n_dep
    """

    coefficients: tuple[tuple[str, float], ...]
    constant: float = 0.0
    op: str = "<="

    def __post_init__(self) -> None:
        pairs = self.coefficients.items() if isinstance(self.coefficients, Mapping) else self.coefficients
        object.__setattr__(self, "coefficients", tuple((name, float(value)) for name, value in pairs if value))
        if self.op not in ("<=", ">=", "=="):
            raise ConstraintError(f"a linear rule needs one of <=, >=, ==; got {self.op!r}.")
        if not self.coefficients:
            raise ConstraintError("a linear rule needs a column with a coefficient that is not 0.")
        names_of([name for name, _ in self.coefficients], "coefficients")

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return tuple(name for name, _ in self.coefficients[1:])

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (self.coefficients[0][0],)

    def bound(self, data: Members) -> Floats:
        """Return the value of the first column with which the relation just holds: float64[n]."""
        (_, first), *others = self.coefficients
        rest = sum(c * numbers(data.column(name), str(self)) for name, c in others)
        return np.broadcast_to(np.asarray((self.constant - rest) / first), (data.n,))

    def violations(self, data: Members) -> Bools:
        """Return which rows break the relation: bool[n]; not those with a missing value."""
        value, bound = numbers(data.column(self.writes[0]), str(self)), self.bound(data)
        with np.errstate(invalid="ignore"):
            slack = TOLERANCE * np.maximum(1.0, np.abs(bound))
            if self.op == "==":
                return np.asarray(np.abs(value - bound) > slack)
            above = (self.op == "<=") == (self.coefficients[0][1] > 0)
            return np.asarray(value > bound + slack) if above else np.asarray(value < bound - slack)

    def __str__(self) -> str:
        return str(Comparison(self.coefficients, self.op, self.constant))


@dataclass(frozen=True)
class LowerBound:
    """A column of a unit is at least the sum of parts over its members: income that holds more than earnings.

    Parameters
    ----------
    column : str
        The column; it is raised where it is too low.
    parts : str or tuple of str
        Columns of the members.
    level : str
        The unit; "person" for a bound within the row.

    Raises
    ------
    ConstraintError
        If the column is one of the parts.

    Examples
    --------
    >>> print(LowerBound("household_income", "wage"))
    household_income >= sum of wage over the persons of a household
    """

    column: str
    parts: str | tuple[str, ...]
    level: str = "household"

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", names_of(self.parts, "parts"))
        if self.column in self.reads:
            raise ConstraintError(f"'{self}': the column is one of its parts.")

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written, besides those written."""
        return (self.parts,) if isinstance(self.parts, str) else self.parts

    @property
    def writes(self) -> tuple[str, ...]:
        """Columns that may be changed."""
        return (self.column,)

    def bound(self, data: Members) -> Floats:
        """Return the least value: float64[n_units], or float64[n]; NaN where a part is missing."""
        return total_of_parts(data, self.reads, self.level, PERSON, (), self)

    def violations(self, data: Members) -> Bools:
        """Return which units (rows at level "person") lie below: bool[n_units] or bool[n]; missing ones do not."""
        least = unit_minimum(data, self.column, self.level, self)
        bound = self.bound(data)
        with np.errstate(invalid="ignore"):
            return np.asarray(least < bound - TOLERANCE * np.maximum(1.0, np.abs(bound)))

    def __str__(self) -> str:
        right = " + ".join(self.reads)
        over = "" if self.level == PERSON else f" over the persons of a {self.level}"
        return f"{self.column} >= {'' if self.level == PERSON else 'sum of '}{right}{over}"


def unit_minimum(data: Members, column: str, level: str, asked_by: object) -> Floats:
    """Return the least value of a column in each unit, whether or not its members agree.

    Examples
    --------
    >>> import pandas as pd
    >>> unit_minimum(Members.read(pd.DataFrame({"h": [1, 1], "x": [3, 2]}), "h"), "x", "household", "x").tolist()
    [2.0]
    """
    values = unit_values(data, column, level, asked_by)
    if level == PERSON:
        return values
    units = data.unit(level, asked_by)
    rows = numbers(data.column(column), str(asked_by))
    below = rows < values[units.of]
    if below.any():
        values = values.copy()
        np.minimum.at(values, units.of[below], rows[below])
    return values


def _total_is_off(rule: Sum | Count, data: Members, expected: Floats) -> Bools:
    column = data.column(rule.total)
    whole = column.dtype == "int"
    if rule.level == PERSON:
        return off(numbers(column, str(rule)), expected, whole)
    units = data.unit(rule.level, rule)
    values = numbers(column, str(rule))
    own = values[units.rows]
    uneven = differs(values, own[units.of])
    wrong = off(own, expected, whole)
    return wrong | per_unit(uneven, units) & ~np.isnan(expected) if uneven.any() else wrong
