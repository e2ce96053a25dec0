"""Harmonisation of one source: columns in, columns of the fusion out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError
from microplex.frames import ColumnData, Frame, Level, Levelled, check_frame, column_names, read_column, restore_values
from microplex.fusion.harmonise_checks import target_period
from microplex.fusion.harmonise_column import SourceColumn
from microplex.fusion.harmonise_groups import aggregate, group_rows, lookup, other_type, take_rows

if TYPE_CHECKING:
    from microplex.fusion.harmonise import Harmonisation

_MAX_LISTED = 20
_EXACT = 2.0**53  # whole numbers from here on share their float with a neighbour


def harmonise_source(
    plan: Harmonisation, source: str, frames: Mapping[str, Frame], weight: str, partial: bool, derived: Sequence[str]
) -> dict[str, ColumnData]:
    """Return the variables of a source, derived ones after those given, its weight last.

    Parameters
    ----------
    plan : Harmonisation
    source : str
    frames : mapping of str to data frame
        The source and the tables that its variables name.
    weight : str
        Name that the weight comes out under.
    partial : bool
        Leave out variables whose columns or tables are absent.
    derived : sequence of str
        Variables to derive, in order.

    Returns
    -------
    dict of str to ColumnData

    Raises
    ------
    DataError, ColumnNotFoundError
        As `Harmonisation.apply`.
    """
    check_frame(frames[source])
    asked = [
        (name, by[source], f"variable {name!r} of source {source!r}")
        for name, by in plan.variables.items()
        if source in by
    ]
    if source in plan.weights:
        asked.append((weight, plan.weights[source], f"weight of source {source!r}"))
    goal = plan.entity or plan.entities.get(source)
    out: dict[str, ColumnData] = {}
    for name, column, label in asked:
        place = column.table or source
        if partial and (place not in frames or not set(column.columns) <= set(column_names(frames[place]))):
            continue
        if place not in frames:
            raise DataError(f"{label}: no data for table {place!r}. Pass it in tables.")
        data = _read(frames[place], column, label)
        if name in plan.uprating:
            data = _uprated(data, plan, name, source, frames[source], place == source, label)
        out[name] = replace(_moved(data, plan, source, column, frames, goal, label), name=name)
    for name in derived:
        if all(term in out for term in plan.derivations[name]):
            out[name] = _derived(name, plan.derivations[name], out, source)
    if weight in out:
        out[weight] = out.pop(weight)
    return out


def written(data: ColumnData) -> Any:
    """Return a column as `build_frame` takes it."""
    if data.codes is not None:
        return Levelled(data.codes, data.levels, data.ordered, as_category=data.dtype == "category")
    values = data.values if data.values is not None else np.zeros(0)
    return restore_values(np.array(values), data.dtype)


def _read(frame: Frame, column: SourceColumn, label: str) -> ColumnData:
    check_columns(column_names(frame), column.columns, label)
    parts = [_without(read_column(frame, name), column.missing) for name in column.columns]
    if column.recode:
        return _recoded(parts[0], column, label)
    if column.cut:
        return _cut(_summed(parts, label), column, label)
    if len(parts) == 1 and (column.factor, column.offset) == (1, 0):
        return parts[0]
    data = _summed(parts, label)
    whole = data.dtype == "int" and float(column.factor).is_integer() and float(column.offset).is_integer()
    assert data.values is not None
    return replace(data, dtype="int" if whole else "float", values=data.values * column.factor + column.offset)


def _summed(parts: Sequence[ColumnData], label: str) -> ColumnData:
    for part in parts:
        if part.values is None or part.dtype in ("date", "datetime"):
            raise DataError(f"{label}: column {part.name!r} holds {part.dtype} values; numbers are needed here.")
    values = np.sum([part.values for part in parts if part.values is not None], axis=0)
    return ColumnData(parts[0].name, "int" if all(p.dtype == "int" for p in parts) else "float", values)


def _without(data: ColumnData, missing: Sequence[Level]) -> ColumnData:
    """Make codes for "no value" missing."""
    if not missing:
        return data
    if data.values is not None:
        numbers = [code for code in missing if not isinstance(code, str | bool)]
        return replace(data, values=np.where(np.isin(data.values, numbers), np.nan, data.values))
    kept = [level for level in data.levels if level not in missing]
    place = np.array([*(kept.index(level) if level in kept else -1 for level in data.levels), -1], dtype=np.int32)
    assert data.codes is not None
    return replace(data, codes=place[data.codes], levels=tuple(kept))


def _coded(data: ColumnData, label: str) -> tuple[NDArray[np.int64], list[Level]]:
    """Return codes into levels, -1 for missing, of a column of any kind but dates."""
    if data.codes is not None:
        return data.codes.astype(np.int64), list(data.levels)
    if data.dtype in ("date", "datetime"):
        raise DataError(f"{label}: column {data.name!r} holds {data.dtype} values, which cannot be recoded.")
    values = data.values if data.values is not None else np.zeros(0)
    present = ~np.isnan(values)
    distinct, places = np.unique(values[present], return_inverse=True)
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[present] = places
    return codes, [int(v) if v.is_integer() else float(v) for v in distinct.tolist()]


def _recoded(data: ColumnData, column: SourceColumn, label: str) -> ColumnData:
    codes, found = _coded(data, label)
    counts = np.bincount(codes[codes >= 0], minlength=len(found))
    unknown = [
        i for i, code in enumerate(found) if counts[i] and code not in column.recode and column.otherwise is None
    ]
    if unknown:
        shown = ", ".join(f"{found[i]!r} ({counts[i]:,} row{'s' * int(counts[i] != 1)})" for i in unknown[:_MAX_LISTED])
        more = f" and {len(unknown) - _MAX_LISTED} more" if len(unknown) > _MAX_LISTED else ""
        as_text = {str(code) for code in column.recode}
        hint = (
            " The types differ: quote the codes of text columns, and only those."
            if str(found[unknown[0]]) in as_text
            else ""
        )
        raise DataError(
            f"{label}: column {data.name!r} has codes without a recode: {shown}{more}. Name them in recode or missing, "
            f"or give otherwise.{hint} Known codes: {', '.join(map(repr, column.recode))}."
        )
    levels = column.levels
    new = [column.recode.get(code, column.otherwise) for code in found]
    place = np.array([*(-1 if level is None else levels.index(level) for level in new), -1], dtype=np.int32)
    return _levelled(data.name, place[codes], levels)


def _cut(data: ColumnData, column: SourceColumn, label: str) -> ColumnData:
    assert data.values is not None
    edges = np.array(list(column.cut), dtype=np.float64)
    band = np.searchsorted(edges, data.values, side="right") - 1
    below = band < 0
    if below.any():
        row = int(np.argmax(below))
        raise DataError(
            f"{label}: {int(below.sum()):,} rows of column {data.name!r} lie below the first edge {edges[0]:g}; "
            f"row {row} has {data.values[row]:g}. Add an edge, or name such codes in missing."
        )
    levels = column.levels
    place = np.array([levels.index(level) for level in column.cut.values()], dtype=np.int32)
    return _levelled(data.name, np.where(np.isnan(data.values), -1, place[band]), levels)


def _levelled(name: str, codes: NDArray[Any], levels: Sequence[Level]) -> ColumnData:
    """Make a column of the type of its levels."""
    codes = np.asarray(codes, dtype=np.int32)
    if isinstance(levels[0], str):
        return ColumnData(name, "string", codes=codes, levels=tuple(levels))
    if isinstance(levels[0], bool):
        place = np.array([*map(int, levels), -1], dtype=np.int32)
        return ColumnData(name, "bool", codes=place[codes], levels=(False, True))
    whole = all(float(level).is_integer() for level in levels)
    return ColumnData(name, "int" if whole else "float", np.array([*map(float, levels), np.nan])[codes])


def _uprated(
    data: ColumnData, plan: Harmonisation, name: str, source: str, frame: Frame, own: bool, label: str
) -> ColumnData:
    goal, factors, given = target_period(plan), plan.uprating[name], plan.periods[source]
    if data.values is None or data.dtype in ("date", "datetime"):
        raise DataError(f"{label}: uprating needs numbers; column {data.name!r} holds {data.dtype} values.")
    if not isinstance(given, Mapping):
        factor = 1.0 if given == goal else float(factors[given])
        return data if factor == 1 else replace(data, dtype="float", values=data.values * factor)
    if not own:
        raise DataError(f"{label}: periods by row need the column in the source itself, not in another table.")
    check_columns(column_names(frame), [given["column"]], f"period of source {source!r}")
    codes, found = _coded(read_column(frame, given["column"]), label)
    if (codes < 0).any():
        raise DataError(f"{label}: row {int(np.argmax(codes < 0))} has no period in column {given['column']!r}.")
    absent = [period for period in found if period != goal and period not in factors]
    if absent:
        raise DataError(f"{label}: uprating has no factor from {absent[0]!r}, a value of column {given['column']!r}.")
    by_period = np.array([1.0 if period == goal else float(factors[int(period)]) for period in found])
    return replace(data, dtype="float", values=data.values * by_period[codes])


def _moved(
    data: ColumnData,
    plan: Harmonisation,
    source: str,
    column: SourceColumn,
    frames: Mapping[str, Frame],
    goal: str | None,
    label: str,
) -> ColumnData:
    """Bring a column to the rows of the result: its own, those of the groups, or those of the members."""
    place = column.table or source
    if not column.broadcast and column.aggregate is None:
        return data
    keys = _keys(plan, source, frames, label)
    grouped = plan.entities.get(source) != goal
    rows, names = group_rows(keys, unique=not grouped and not column.broadcast, label=f"{label}: {source!r}")
    if column.broadcast:
        found = lookup(_keys(plan, place, frames, label), names, place, label)
        return take_rows(data, found if grouped else found[rows])
    members = (
        rows if place == source else lookup_members(_keys(plan, place, frames, label), names, place, source, label)
    )
    head = None
    if column.aggregate == "head":
        head = _heads(plan.heads[place], frames[place], label)
    return aggregate(data, members, len(names), str(column.aggregate), head, names, label)


def lookup_members(keys: pd.Index[Any], names: pd.Index[Any], place: str, source: str, label: str) -> NDArray[np.int64]:
    """Return the group of each member; every member must have one."""
    rows = np.asarray(names.get_indexer(keys), dtype=np.int64)
    if (rows < 0).any():
        first = int(np.argmax(rows < 0))
        raise DataError(
            f"{label}: {int((rows < 0).sum()):,} rows of {place!r} belong to no row of {source!r}; the first, "
            f"row {first}, has key {keys[first]}. Leave such rows out, or add their groups."
            + other_type(keys, names, source)
        )
    return rows


def _keys(plan: Harmonisation, place: str, frames: Mapping[str, Frame], label: str) -> pd.Index[Any]:
    name = plan.keys[place]
    check_columns(column_names(frames[place]), [name], f"key of {place!r}")
    data = read_column(frames[place], name)
    codes, levels = _coded(data, label)
    if (codes < 0).any():
        raise DataError(f"{label}: row {int(np.argmax(codes < 0))} of {place!r} has no key in column {name!r}.")
    if data.values is not None and np.abs(data.values).max() >= _EXACT:
        raise DataError(
            f"{label}: keys in column {name!r} of {place!r} are too long for exact numbers. Make them text."
        )
    return pd.Index(levels).take(codes)


def _heads(given: Mapping[str, Any], frame: Frame, label: str) -> NDArray[np.bool_]:
    check_columns(column_names(frame), [given["column"]], f"head for {label}")
    codes, levels = _coded(read_column(frame, given["column"]), label)
    if given["value"] not in levels:
        shown = ", ".join(map(repr, levels[:_MAX_LISTED]))
        raise DataError(
            f"{label}: no row has {given['value']!r} in {given['column']!r}, the head's code. Codes: {shown}."
        )
    return np.asarray(codes == levels.index(given["value"]))


def _derived(name: str, terms: Mapping[str, float], columns: Mapping[str, ColumnData], source: str) -> ColumnData:
    label = f"variable {name!r} of source {source!r}"
    parts = [replace(columns[term], name=term) for term in terms]
    whole = _summed(parts, label).dtype == "int" and all(float(c).is_integer() for c in terms.values())
    values = np.sum([c * p.values for c, p in zip(terms.values(), parts, strict=True) if p.values is not None], axis=0)
    return ColumnData(name, "int" if whole else "float", values)
