"""Quantities that rules compare: extremes, and sums whose last bit does not depend on the order of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.errors import ParameterError
from microplex.hierarchy.members import PERSON, Bools, Floats, Members, Units
from microplex.hierarchy.rules_conditions import numbers

# Two floats nearer than this share of their size are one sum, added up in another order.
TOLERANCE = 1e-9
_WHOLE = 2.0**53


def names_of(given: Any, what: str) -> str | tuple[str, ...]:
    """Return one name, or a tuple of distinct names.

    Raises
    ------
    ParameterError
        If it is empty, not text or names one twice.

    Examples
    --------
    >>> names_of(["head"], "role"), names_of(("head", "spouse"), "role")
    ('head', ('head', 'spouse'))
    """
    listed = (given,) if isinstance(given, str) else tuple(given)
    if not listed or len(set(listed)) != len(listed) or not all(isinstance(name, str) and name for name in listed):
        raise ParameterError(f"{what} must be a name, or names that differ; got {given!r}.")
    return listed[0] if len(listed) == 1 else listed


def check_level(level: str, kind: str) -> None:
    """Check that a level is one of units, not of persons.

    Raises
    ------
    ParameterError
        It is "person", or no text.

    Examples
    --------
    >>> check_level("household", "Shared")
    """
    if not isinstance(level, str) or level == PERSON:
        raise ParameterError(f"{kind}: level must be a unit such as 'household' or 'tax_unit'; got {level!r}.")


def differs(a: NDArray[Any], b: NDArray[Any]) -> Bools:
    """Return where two arrays differ, NaN counting as a value: bool[n].

    Examples
    --------
    >>> differs(np.array([1.0, np.nan]), np.array([2.0, np.nan])).tolist()
    [True, False]
    """
    unequal: Bools = a != b
    return unequal & ~((a != a) & (b != b)) if a.dtype.kind == "f" else unequal


def per_unit(rows: Bools, units: Units) -> Bools:
    """Return which units have a marked row: bool[n_units].

    Examples
    --------
    >>> from microplex.frames import ColumnData
    >>> units = Units(np.array([0, 0, 1]), np.array([0, 2]), ColumnData("id", "int", values=np.zeros(3)))
    >>> per_unit(np.array([False, True, False]), units).tolist()
    [True, False]
    """
    out = np.zeros(units.count, dtype=bool)
    out[units.of[rows]] = True
    return out


def extremes(values: Floats, kept: Bools, units: Units) -> tuple[Floats, Floats]:
    """Return least and greatest value of the kept rows of each unit, (inf, -inf) where none: float64[n_units] each.

    Examples
    --------
    >>> from microplex.frames import ColumnData
    >>> units = Units(np.array([0, 0, 1]), np.array([0, 2]), ColumnData("id", "int", values=np.zeros(3)))
    >>> extremes(np.array([5.0, 3.0, 9.0]), np.array([True, True, False]), units)
    (array([ 3., inf]), array([  5., -inf]))
    """
    least, most = np.full(units.count, np.inf), np.full(units.count, -np.inf)
    of, kept_values = units.of[kept], values[kept]
    least[of] = kept_values
    most[of] = kept_values
    if len(of) and np.bincount(of).max() > 1:
        np.minimum.at(least, of, kept_values)
        np.maximum.at(most, of, kept_values)
    return least, most


def sums(values: Floats, units: Units) -> Floats:
    """Return the sum of each unit, the same to the last bit in any order of rows: float64[n_units].

    Whole numbers add up exactly; others are added in ascending order.

    Examples
    --------
    >>> from microplex.frames import ColumnData
    >>> units = Units(np.array([0, 0, 1]), np.array([0, 2]), ColumnData("id", "int", values=np.zeros(3)))
    >>> sums(np.array([1.0, 2.0, 4.0]), units)
    array([3., 4.])
    """
    total = np.bincount(units.of, values, units.count)
    with np.errstate(invalid="ignore"):
        fractional = values != np.rint(values)
    if not fractional.any() and np.abs(values).sum() < _WHOLE:
        return np.asarray(total, dtype=np.float64)
    unsafe = per_unit(fractional | ~(np.abs(values) < _WHOLE / 1024), units)
    rows = np.flatnonzero(unsafe[units.of])
    rows = rows[np.lexsort((values[rows], units.of[rows]))]
    exact = np.bincount(units.of[rows], values[rows], units.count)
    return np.where(unsafe, exact, total)


def unit_values(data: Members, column: str, level: str, asked_by: object) -> Floats:
    """Return a column of a level, a value a unit: float64[n_units], or float64[n] for persons.

    Examples
    --------
    >>> import pandas as pd
    >>> data = Members.read(pd.DataFrame({"h": [1, 1], "rent": [9, 9]}), "h")
    >>> unit_values(data, "rent", "household", "rent").tolist()
    [9.0]
    """
    values = numbers(data.column(column), str(asked_by))
    return values if level == PERSON else values[data.unit(level, asked_by).rows]


def total_of_parts(
    data: Members, parts: Sequence[str], level: str, of: str, constants: Sequence[tuple[str, float]], asked_by: object
) -> Floats:
    """Return the sum of parts over what belongs to each unit of a level: float64[n_units]; NaN if a part is missing.

    Parameters
    ----------
    data : Members
    parts : sequence of str
        Columns that live at level `of`.
    level, of : str
        Level of the total and of the parts; "person" for both adds up within the row.
    constants : sequence of (str, float)
        What each member of a role adds.
    asked_by : object
        The rule, for messages.

    Examples
    --------
    >>> import pandas as pd
    >>> data = Members.read(pd.DataFrame({"h": [1, 1, 2], "wage": [5, 6, 7]}), "h")
    >>> total_of_parts(data, ["wage"], "household", "person", (), "sum").tolist()
    [11.0, 7.0]
    """
    if level == of:
        each = [unit_values(data, part, level, asked_by) for part in parts]
        return np.sum(each, axis=0)  # type: ignore[no-any-return]
    units = data.unit(level, asked_by)
    if of != PERSON:
        inner = data.unit(of, asked_by)
        units = Units(units.of[inner.rows], inner.of[units.rows], units.ids)
    columns = [unit_values(data, part, of, asked_by) for part in parts]
    columns += [np.where(data.in_roles((role,), asked_by), value, 0.0) for role, value in constants]
    out = np.zeros(units.count)
    for values in columns:
        missing = np.isnan(values)
        if missing.any():
            out[per_unit(missing, units)] = np.nan
            values = np.where(missing, 0.0, values)
        out += sums(values, units)
    return out


def off(total: Floats, wanted: Floats, whole: bool) -> Bools:
    """Return where a total is not what is wanted: bool[n]; a missing part tells nothing, a missing total is off.

    Examples
    --------
    >>> off(np.array([1.0, 2.0, np.nan]), np.array([1.0 + 1e-12, 3.0, 4.0]), False).tolist()
    [False, True, True]
    """
    with np.errstate(invalid="ignore"):
        wanted = np.rint(wanted) if whole else wanted
        near = np.abs(total - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted))
    return ~near & ~np.isnan(wanted)
