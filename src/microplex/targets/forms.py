"""Targets from tables and nested dictionaries, and back to tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from microplex._validation import check_columns
from microplex.errors import ParameterError
from microplex.frames import Frame, check_frame, column_names, frame_kind
from microplex.targets.target import ENTITIES, Target

_TEXTS = ("variable", "entity", "where", "statistic", "denominator", "name", "source", "period", "unit", "notes")
_NUMBERS = ("probability", "tolerance", "importance")
RESERVED = ("total", "value", *_TEXTS, *_NUMBERS)


def targets_of_frame(frame: Frame) -> list[Target]:
    """Return the targets of a table; see `TargetSet.from_frame`.

    Raises
    ------
    ParameterError
        If there is no total, or a row cannot be a target.
    """
    check_frame(frame)
    names = column_names(frame)
    if "total" in names and "value" in names:
        raise ParameterError("a table of targets has a column 'total' or a column 'value', not both.")
    figure = "value" if "value" in names else "total"
    check_columns(names, [figure], "target table")
    columns = {name: items(frame, name) for name in names}
    by = [name for name in names if name not in RESERVED]
    targets = []
    for i in range(len(columns[figure])):
        fields: dict[str, Any] = {name: columns[name][i] for name in (*_TEXTS, *_NUMBERS) if name in columns}
        fields = {name: value for name, value in fields.items() if value is not None}
        for name in _TEXTS:
            if name in fields and name not in ("where", "variable", "denominator"):
                fields[name] = _text(fields[name])
        if fields.get("variable") in ENTITIES and fields.get("entity", fields["variable"]) == fields["variable"]:
            fields["entity"] = fields.pop("variable")
        cell = {name: value for name in by if (value := columns[name][i]) is not None}
        try:
            targets.append(Target(_figure(columns[figure][i]), by=cell, **fields))
        except ParameterError as error:
            raise ParameterError(f"row {i} of the target table: {error}") from error
    return targets


def _figure(total: Any) -> Any:
    """Return a total as a number: a column with one bad entry is read as text as a whole."""
    if isinstance(total, str):
        try:
            return float(total)
        except ValueError:
            return total
    return math.nan if total is None else total


def frame_of_targets(targets: Sequence[Target]) -> pd.DataFrame:
    """Return the table that `targets_of_frame` reads back."""
    by = list(dict.fromkeys(name for target in targets for name in target.by))
    for name in by:
        if name in RESERVED:
            raise ParameterError(f"a cell uses a column {name!r}, which means something else in a table of targets.")
    table: dict[str, Any] = {"name": [target.name for target in targets]}
    for name in ("variable", "entity", "where", "statistic", "denominator"):
        table[name] = [getattr(target, name) for target in targets]
    table |= {name: pd.Series([target.by.get(name) for target in targets], dtype=object) for name in by}
    table["total"] = np.array([target.total for target in targets], dtype=np.float64)
    for name in ("probability", "tolerance", "importance"):
        table[name] = np.array([getattr(target, name) for target in targets], dtype=np.float64)
    for name in ("source", "period", "unit", "notes"):
        table[name] = [getattr(target, name) for target in targets]
    optional = ("where", "denominator", "probability", "source", "period", "unit", "notes")
    empty = [name for name in optional if all(getattr(target, name) is None for target in targets)]
    frame = pd.DataFrame(table).drop(columns=empty)
    texts = [name for name in _TEXTS if name in frame]
    return frame.astype(dict.fromkeys(texts, object))


def targets_of_dict(
    targets: Mapping[Any, Any], *, entity: str | None, tolerance: float, importance: float
) -> list[Target]:
    """Return the targets of nested dictionaries; see `TargetSet.from_dict`."""
    common: dict[str, Any] = {"tolerance": tolerance, "importance": importance}
    found: list[Target] = []
    for key, value in targets.items():
        if _is_number(value):
            found.append(Target(value, **_what(key, entity), **common))
        elif not isinstance(value, Mapping):
            raise ParameterError(f"targets[{key!r}] must be a number or a dict; got {value!r}.")
        elif value and all(isinstance(inner, Mapping) for inner in value.values()):
            what = _what(key, entity)
            for columns, cells in value.items():
                found += [Target(total, by=cell, **what, **common) for cell, total in _cells(columns, cells)]
        else:
            found += [Target(total, by=cell, entity=entity, **common) for cell, total in _cells(key, value)]
    return found


def summary(targets: Sequence[Target]) -> pd.DataFrame:
    """Return one row for each variable and set of columns."""
    rows: dict[tuple[Any, ...], list[Target]] = {}
    for target in targets:
        by = " x ".join(target.by)
        key = (target.variable or "count", target.entity, target.statistic, target.where, by)
        rows.setdefault(key, []).append(target)
    records = [
        (*key, len(part), sum(t.total for t in part) if key[2] == "total" else np.nan, max(t.tolerance for t in part))
        for key, part in rows.items()
    ]
    names = ["variable", "entity", "statistic", "where", "by", "targets", "total", "tolerance"]
    return pd.DataFrame(records, columns=names)


def _what(key: object, entity: str | None) -> dict[str, Any]:
    if not isinstance(key, str):
        raise ParameterError(f"targets: expected the name of a variable or an entity; got {key!r}.")
    if key in ENTITIES:
        return {"entity": key}
    return {"variable": None if key == "count" else key, "entity": entity}


def _cells(columns: object, cells: Mapping[Any, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the cells of a margin with their totals."""
    names = columns if isinstance(columns, tuple) else (columns,)
    for category, total in cells.items():
        levels = category if isinstance(columns, tuple) else (category,)
        if not isinstance(levels, tuple) or len(levels) != len(names):
            raise ParameterError(
                f"targets[{columns!r}]: the category {category!r} must have {len(names)} part(s), one for each column."
            )
        yield dict(zip(names, levels, strict=True)), total


def items(frame: Frame, name: str) -> list[Any]:
    """Return the plain values of a column, None where missing."""
    read = {"arrow": "to_pylist", "polars": "to_list", "pandas": "tolist"}[frame_kind(frame)]
    values = getattr(frame[name], read)()
    return [None if _is_missing(value) else value for value in values]


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _text(value: object) -> str:
    """Return text for what a csv file may have turned into a number, such as the year in ``period``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
