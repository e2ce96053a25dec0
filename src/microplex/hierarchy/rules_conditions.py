"""Conditions on members, in the grammar of `microplex.constraints`, evaluated on columns as they are read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import AllOf, AnyOf, Comparison, Condition, Membership, Sum, parse
from microplex.errors import ConstraintError, near_miss
from microplex.frames import ColumnData, Level

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Lookup: TypeAlias = Callable[[str], ColumnData]

_HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}


@lru_cache(maxsize=4096)
def parse_condition(text: str) -> Condition:
    """Read one condition on a row, such as ``age < 15 and role == 'child'``.

    Parameters
    ----------
    text : str
        In the grammar of :func:`microplex.constraints.parse`, without ``->`` and ``combinations``.

    Returns
    -------
    Condition

    Raises
    ------
    ConstraintError
        If it cannot be read, or is no condition.

    Examples
    --------
    >>> print(parse_condition("age < 15 and role = 'child'"))
    age < 15 and role == 'child'
    """
    parts: list[Condition] = []
    for part in parse(text):
        if isinstance(part, Sum):
            parts.append(part.comparison)
        elif isinstance(part, Comparison | Membership | AnyOf):
            parts.append(part)
        else:
            raise ConstraintError(f"a condition must be a statement about one row such as age < 15; got '{text}'.")
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def holds(condition: Condition, lookup: Lookup) -> Bools:
    """Return for which rows a condition is known to hold: bool[n]; a missing value makes it unknown.

    Parameters
    ----------
    condition : Condition
        From `parse_condition`.
    lookup : callable
        Gives the data of a column by its name.

    Returns
    -------
    bool[n]

    Raises
    ------
    ConstraintError
        If text is compared with a number, or by size.

    Examples
    --------
    >>> age = ColumnData("age", "int", values=np.array([12.0, 40.0, np.nan]))
    >>> holds(parse_condition("age < 18"), lambda name: age).tolist()
    [True, False, False]
    """
    if isinstance(condition, AllOf | AnyOf):
        parts = [holds(part, lookup) for part in condition.parts]
        return np.asarray((np.logical_and if isinstance(condition, AllOf) else np.logical_or).reduce(parts))
    if isinstance(condition, Membership):
        column = lookup(condition.column)
        found = is_one_of(column, condition.values, str(condition))
        return ~found & ~column.missing if condition.negated else found
    if isinstance(condition.constant, str):
        return _compare_text(condition, lookup(condition.columns[0]))
    with np.errstate(invalid="ignore"):
        left = sum(c * numbers(lookup(name), str(condition)) for name, c in condition.terms)
        known: Bools = ~np.isnan(left)
        return np.asarray(_HOLDS[condition.op](left, condition.constant) & known)


def is_one_of(column: ColumnData, values: tuple[Level, ...], text: str) -> Bools:
    """Return which rows have one of some values: bool[n].

    Raises
    ------
    ConstraintError
        If a column of numbers is compared with text.

    Examples
    --------
    >>> is_one_of(ColumnData("x", "int", values=np.array([1.0, 2.0])), (2, 3), "x in (2, 3)").tolist()
    [False, True]
    """
    if column.codes is None:
        wanted = [_number(value, column, text) for value in values]
        assert column.values is not None
        return np.asarray(column.values == wanted[0]) if len(wanted) == 1 else np.isin(column.values, wanted)
    places = [place for value in values if (place := level_place(column, value)) is not None]
    if not places:
        return np.zeros(len(column.codes), dtype=bool)
    return np.asarray(column.codes == places[0]) if len(places) == 1 else np.isin(column.codes, places)


def level_place(column: ColumnData, value: Level) -> int | None:
    """Return the place of a level of a column with levels, or None; 1 and True are the same level.

    Examples
    --------
    >>> level_place(ColumnData("s", "string", codes=np.array([0], np.int32), levels=("CA",)), "CA")
    0
    """
    for place, level in enumerate(column.levels):
        if isinstance(level, str) == isinstance(value, str) and level == value:
            return place
    return None


def numbers(column: ColumnData, text: str) -> Floats:
    """Return a column as numbers, NaN where missing: float64[n].

    Raises
    ------
    ConstraintError
        If it holds text.

    Examples
    --------
    >>> numbers(ColumnData("b", "bool", codes=np.array([1, -1], np.int32), levels=(False, True)), "b > 0").tolist()
    [1.0, nan]
    """
    if column.values is not None:
        return column.values
    if any(isinstance(level, str) for level in column.levels):
        shown = ", ".join(map(repr, column.levels[:5]))
        raise ConstraintError(f"'{text}' needs numbers; column {column.name!r} holds text ({shown}).")
    return np.array([*map(float, column.levels), np.nan])[column.codes]


def _number(value: Level, column: ColumnData, text: str) -> float:
    if not isinstance(value, str):
        return float(value)
    if column.dtype in ("date", "datetime"):
        unit = "datetime64[D]" if column.dtype == "date" else "datetime64[s]"
        try:
            return float(np.array(value, dtype=unit).astype(np.int64))
        except ValueError:
            raise ConstraintError(f"'{text}': {value!r} is not a date such as '2024-12-31'.") from None
    raise ConstraintError(f"'{text}': column {column.name!r} holds numbers, got the text {value!r}.")


def _compare_text(condition: Comparison, column: ColumnData) -> Bools:
    """Compare an ordered category or a date with one of its levels."""
    constant = str(condition.constant)
    if column.values is not None:
        other = _number(constant, column, str(condition))
        return np.asarray(_HOLDS[condition.op](column.values, other) & ~column.missing)
    place = level_place(column, constant)
    if not column.ordered or place is None:
        levels = [str(level) for level in column.levels]
        problem = f"has no level {constant!r}.{near_miss(constant, levels)}" if column.ordered else "is not ordered."
        raise ConstraintError(f"'{condition}': column {column.name!r} {problem} Compare it by ==, != or in.")
    return np.asarray(_HOLDS[condition.op](column.codes, place) & ~column.missing)
