"""Shared variables, roles, implied values, sums added up and bounds: only cells that break the rule are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from microplex._random import uniforms
from microplex.errors import ConstraintError, DataError
from microplex.frames import ColumnData, Frame, Level, column_names, read_column
from microplex.hierarchy.enforce_draft import Draft, stream_of
from microplex.hierarchy.members import PERSON, Bools, Floats, Ints, Members, Units
from microplex.hierarchy.rules_conditions import is_one_of, numbers
from microplex.hierarchy.rules_members import Cardinality, Implied, Shared
from microplex.hierarchy.rules_quantities import differs, per_unit, sums
from microplex.hierarchy.rules_totals import Count, Linear, LowerBound, Sum


@dataclass(frozen=True, eq=False)
class HouseholdTable:
    """The household table, whose values shared variables take.

    Attributes
    ----------
    frame : data frame
    row : int64[n_households]
        Its row for each household of the persons.
    """

    frame: Frame
    row: Ints

    @classmethod
    def of(cls, frame: Frame, household_id: str, data: Members) -> HouseholdTable:
        """Find each household in the table.

        Raises
        ------
        DataError
            A household of the persons is not there (orphans), or is there twice.
        """
        table = Members.read(frame, household_id)
        own, other = data.units["household"], table.units["household"]
        if other.count < table.n:
            of = other.of
            twice = int(np.flatnonzero(np.bincount(of)[of] > 1)[-1])
            raise DataError(f"the household table has household {other.name(int(of[twice]))} twice (row {twice}).")
        place = pd.Index(_ids(other)).get_indexer(pd.Index(_ids(own)))
        if (place < 0).any():
            unit = int(np.argmax(place < 0))
            raise DataError(
                f"household {own.name(unit)} of row {own.rows[unit]} is not in the household table; each person needs "
                "its household there."
            )
        return cls(frame, other.rows[place])


def enforce_shared(draft: Draft, rule: Shared, table: HouseholdTable | None, seed: int) -> None:
    """Give all members of a unit one value of a variable."""
    data = draft.members
    units = data.unit(rule.level, rule)
    given = rule.source == "household" and rule.level == "household" and table is not None
    if given and table is not None and rule.column in column_names(table.frame):
        _from_table(draft, rule, read_column(table.frame, rule.column), table.row)
        return
    broken = rule.violations(data)
    rows = np.flatnonzero(broken[units.of])
    if not rows.size:
        draft.put(rule.column, rows, [], rule)
        return
    column = data.column(rule.column)
    values = column.values if column.values is not None else column.codes
    assert values is not None
    if rule.source == "mean":
        one = _means(data, numbers(column, str(rule)), rows, units, rule)
        one = np.rint(one) if column.dtype == "int" else one
        wrong = rows[differs(values[rows], one[units.of[rows]])]
        draft.put(rule.column, wrong, one[units.of[wrong]], rule)
        return
    if rule.source == "mode":
        source = _modes(data, values, column.missing, rows, units)
    else:
        source = _members(draft, rule, column.missing, broken, rows, units, seed)
    wrong = rows[differs(values[rows], values[source[units.of[rows]]])]
    draft.take(rule.column, wrong, source[units.of[wrong]], rule)


def enforce_cardinality(draft: Draft, rule: Cardinality) -> None:
    """Give surplus members another role, or a role to members where it is missing."""
    data = draft.members
    units = data.unit(rule.level, rule)
    broken = rule.violations(data)
    if not broken.any():
        return
    if rule.otherwise is None:
        unit = int(np.argmax(broken))
        count = int(data.in_roles(rule.roles, rule)[units.of == unit].sum())
        raise ConstraintError(
            f"'{rule}' does not hold in {rule.level} {units.name(unit)}, which has {count} ({int(broken.sum())} so in "
            "all). Repair the relationship column, or name the role that others get as otherwise=."
        )
    ordered, _ = draft.order(np.flatnonzero(broken[units.of]), rule.level)
    of = units.of[ordered]
    inside = data.in_roles(rule.roles, rule)[ordered]
    rank = _rank_within(of, inside)
    if rule.high is not None:
        draft.put_roles(ordered[inside & (rank >= rule.high)], rule.otherwise, rule)
    missing = np.where(broken, rule.low - np.bincount(of, inside, units.count), 0)
    spare = data.in_roles((rule.otherwise,), rule)[ordered]
    promoted = spare & (_rank_within(of, spare) < missing[of])
    short = np.bincount(of, promoted, units.count) < missing
    if short.any():
        raise ConstraintError(
            f"'{rule}' cannot be met in {rule.level} {units.name(int(np.argmax(short)))}: too few members are "
            f"{rule.otherwise!r}."
        )
    if promoted.any():
        draft.put_roles(ordered[promoted], rule.roles[0], rule)


def enforce_implied(draft: Draft, rule: Implied, reference: Members | None, seed: int) -> None:
    """Write the implied value where a member has another one."""
    data = draft.members
    rows = np.flatnonzero(rule.violations(data))
    values: list[Any] = [rule.allowed[0]] * len(rows)
    if reference is not None and len(rule.allowed) > 1 and rows.size:
        values = _drawn_levels(draft, rule, reference, rows, seed)
    draft.put(rule.column, rows, values, rule)


def enforce_total(draft: Draft, rule: Sum | Count) -> None:
    """Write the sum of the parts, or the number of members, into the total."""
    data = draft.members
    wrong = rule.violations(data)
    expected = rule.expected(data)
    column = data.column(rule.total)
    expected = np.rint(expected) if column.dtype == "int" else expected
    if rule.level == PERSON:
        rows = np.flatnonzero(wrong)
        draft.put(rule.total, rows, expected[rows], rule)
        return
    of = data.unit(rule.level, rule).of
    rows = np.flatnonzero(wrong[of])
    rows = rows[differs(numbers(column, str(rule))[rows], expected[of[rows]])]
    draft.put(rule.total, rows, expected[of[rows]], rule)


def enforce_linear(draft: Draft, rule: Linear) -> None:
    """Move the first column of a linear rule to where the rule just holds."""
    data = draft.members
    name, first = rule.coefficients[0]
    rows = np.flatnonzero(rule.violations(data))
    bound = rule.bound(data)[rows]
    if data.column(name).dtype == "int":
        if rule.op == "==":
            if (odd := np.flatnonzero(np.abs(bound - np.rint(bound)) > 1e-9)).size:
                at = odd[0]
                raise ConstraintError(
                    f"'{rule}' needs {name} = {bound[at]:g} in row {rows[at]}, but {name!r} holds whole numbers."
                )
        else:
            bound = np.floor(bound + 1e-9) if (rule.op == "<=") == (first > 0) else np.ceil(bound - 1e-9)
    draft.put(name, rows, bound, rule)


def enforce_lower_bound(draft: Draft, rule: LowerBound) -> None:
    """Raise a column to the sum that it must not fall below."""
    data = draft.members
    column = data.column(rule.column)
    bound, wrong = rule.bound(data), rule.violations(data)
    if rule.level != PERSON:
        of = data.unit(rule.level, rule).of
        bound, wrong = bound[of], wrong[of]
    bound = np.ceil(bound - 1e-9) if column.dtype == "int" else bound
    rows = np.flatnonzero(wrong)
    rows = rows[numbers(column, str(rule))[rows] < bound[rows]]
    draft.put(rule.column, rows, bound[rows], rule)


def _ids(units: Units) -> Any:
    if units.keys is not None:
        return units.keys[units.rows]
    if units.ids.codes is not None:
        return np.array(units.ids.levels, dtype=object)[units.ids.codes[units.rows]]
    assert units.ids.values is not None
    return units.ids.values[units.rows]


def _from_table(draft: Draft, rule: Shared, given: ColumnData, row: Ints) -> None:
    data = draft.members
    column, at = data.column(rule.column), row[data.units["household"].of]
    if column.values is not None and given.values is not None and column.dtype in ("int", "float"):
        wanted = given.values[at]
        rows = np.flatnonzero(differs(column.values, wanted))
        if np.isnan(wanted[rows]).any():
            raise DataError(f"the household table has no value of {rule.column!r} for some households. Fill it in.")
        if column.dtype == "int" and (wanted[rows] != np.rint(wanted[rows])).any():
            raise DataError(f"column {rule.column!r} holds whole numbers; those of the household table are not.")
        draft.put(rule.column, rows, wanted[rows], rule)
        return
    if given.codes is None or column.codes is None:
        raise DataError(
            f"column {rule.column!r} is {column.dtype} in the data and {given.dtype} in the household table. "
            "Convert one of them."
        )
    place = {level: i for i, level in enumerate(column.levels)}
    moved = np.array([*(place.get(level, -2) for level in given.levels), -1])
    rows = np.flatnonzero(column.codes != moved[given.codes[at]])
    codes = given.codes[at[rows]]
    if (codes < 0).any():
        raise DataError(f"the household table has no value of {rule.column!r} for some households. Fill it in.")
    levels = np.array([*given.levels, None], dtype=object)
    draft.put(rule.column, rows, levels[codes].tolist(), rule)


def _means(data: Members, values: Floats, rows: Ints, units: Units, rule: Shared) -> Floats:
    weight = np.where(np.isnan(values), 0.0, data.weights)
    some = Units(units.of[rows], units.rows, units.ids)
    total, mass = sums((weight * np.nan_to_num(values))[rows], some), sums(weight[rows], some)
    empty = np.flatnonzero((mass == 0) & per_unit(np.ones(len(rows), dtype=bool), some))
    if empty.size:
        raise DataError(f"'{rule}': {rule.level} {units.name(int(empty[0]))} has no weight to take a mean by.")
    return np.asarray(total / np.where(mass > 0, mass, 1.0))


def _modes(data: Members, values: Any, missing: Bools, rows: Ints, units: Units) -> Ints:
    """Return a row with the value of most weight, the least of equals: int64[n_units]."""
    rows = rows[~missing[rows]]
    by = rows[np.lexsort((data.weights[rows], values[rows], units.of[rows]))]
    unit, value = units.of[by], values[by]
    first = np.concatenate([[True], (unit[1:] != unit[:-1]) | (value[1:] != value[:-1])])
    starts = np.flatnonzero(first)
    mass = np.add.reduceat(data.weights[by], starts)
    best = np.lexsort((-value[starts], mass, unit[starts]))
    source = np.zeros(units.count, dtype=np.int64)
    source[unit[starts[best]]] = by[starts[best]]
    return source


def _members(draft: Draft, rule: Shared, missing: Bools, broken: Bools, rows: Ints, units: Units, seed: int) -> Ints:
    """Return the row of the head, or of a member drawn, that has a value: int64[n_units]."""
    data = draft.members
    source = np.full(units.count, -1)
    head_first = rule.source == "head" or (rule.source == "household" and data.roles is not None)
    if rule.source == "head" and data.roles is None:
        data.in_roles(data.role_names[:1], rule)  # says that roles are not known
    if head_first and rule.level == "household":
        heads = np.flatnonzero((data.roles == 0) & ~missing)
        alone = np.bincount(units.of[heads], minlength=units.count) == 1
        heads = heads[alone[units.of[heads]]]
        source[units.of[heads]] = heads
        rows = rows[source[units.of[rows]] < 0]
    rows = rows[~missing[rows]]
    if not rows.size:
        return source
    ordered, _ = draft.order(rows, rule.level)
    unit = units.of[ordered]
    starts = np.flatnonzero(np.concatenate([[True], unit[1:] != unit[:-1]]))
    if head_first:
        source[unit[starts]] = ordered[starts]
        return source
    sizes = np.diff([*starts.tolist(), len(unit)])
    u = uniforms(seed, draft.keys(rule.level, unit[starts]), stream_of(rule), 1)[0]
    source[unit[starts]] = ordered[starts + np.minimum((u * sizes).astype(np.int64), sizes - 1)]
    return source


def _rank_within(of: Ints, inside: Bools) -> Ints:
    """Return how many marked members of the unit stand before each: int64[n]; members are sorted by unit."""
    before: Ints = np.cumsum(inside) - inside
    first = np.concatenate([[True], of[1:] != of[:-1]])
    return np.asarray(before - np.repeat(before[first], np.diff([*np.flatnonzero(first).tolist(), len(of)])))


def _drawn_levels(draft: Draft, rule: Implied, reference: Members, rows: Ints, seed: int) -> list[Level]:
    """Draw allowed values from reference members of the same role for whom the condition holds, by weight."""
    data = draft.members
    column = reference.column(rule.column)
    use = rule.applies(reference) & (reference.weights > 0)
    found = [is_one_of(column, (level,), str(rule)) & use for level in rule.allowed]
    units = data.units["household"]
    inside = per_unit(np.isin(np.arange(data.n), rows), units)
    ordered, place = draft.order(np.flatnonzero(inside[units.of]))
    places = np.zeros(data.n, dtype=np.int64)
    places[ordered] = place
    most = int(places[rows].max()) + 1
    some, at = np.unique(units.of[rows], return_inverse=True)
    u = uniforms(seed, draft.keys("household", some), stream_of(rule), most)[places[rows], at]
    names = np.array([""]) if data.roles is None else np.array(data.role_names)
    role = np.zeros(len(rows), dtype=np.int64) if data.roles is None else data.roles[rows]
    whole = np.array([np.sort(reference.weights[f]).sum() for f in found])
    picked = np.zeros(len(rows), dtype=np.int64)
    for code in np.unique(role).tolist():
        mass = whole
        if data.roles is not None and reference.roles is not None:
            own = reference.in_roles((str(names[code]),), rule)
            mass = np.array([np.sort(reference.weights[f & own]).sum() for f in found])
            mass = mass if mass.sum() > 0 else whole
        if mass.sum() > 0:
            here = role == code
            below = np.cumsum(mass) / mass.sum()
            picked[here] = np.minimum(np.searchsorted(below, u[here], side="right"), len(mass) - 1)
    return [rule.allowed[i] for i in picked.tolist()]


def describe(data: Members, unit: int, level: str) -> str:
    """Return where a rule is broken, for messages."""
    if level == PERSON:
        household = data.units["household"]
        return f"row {unit} of household {household.name(int(household.of[unit]))}"
    return f"{level} {data.units[level].name(unit)}"


__all__ = [
    "HouseholdTable",
    "describe",
    "enforce_cardinality",
    "enforce_implied",
    "enforce_linear",
    "enforce_lower_bound",
    "enforce_shared",
    "enforce_total",
]
