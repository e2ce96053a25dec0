"""What comes in: roles, frames, schema and values, checked at the door."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._random import row_keys
from microplex._validation import check_columns, check_weights
from microplex.encoding.encoder import Encoder, Values
from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import bounds_of, off_grid
from microplex.errors import DataError, ParameterError
from microplex.flow.cells import Array
from microplex.frames import ColumnData, Frame, check_frame, column_names, n_rows, read_column
from microplex.schema import Column, Schema

MIN_ROWS = 50


def check_roles(targets: object, conditions: object, weight_col: str | None) -> tuple[list[str], list[str]]:
    """Names of targets and conditions as lists, each name in one role."""
    lists = []
    for names, role in ((targets, "target_vars"), (conditions, "condition_vars")):
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise ParameterError(f"{role} must be a sequence of column names, got {names!r}.")
        found = list(names)
        for name in found:
            if not isinstance(name, str):
                raise ParameterError(f"{role} must hold column names, got {name!r}.")
        twice = sorted({name for name in found if found.count(name) > 1})
        if twice:
            raise ParameterError(f"{role} names {twice[0]!r} more than once.")
        lists.append(found)
    if not lists[0]:
        raise ParameterError("target_vars is empty: name at least one column to generate.")
    both = [name for name in lists[0] if name in lists[1]]
    if both:
        raise ParameterError(f"{both[0]!r} is both a target and a condition; give it one role.")
    if weight_col is not None and weight_col in lists[0] + lists[1]:
        raise ParameterError(f"the weight column {weight_col!r} is also a target or condition; give it one role.")
    return lists[0], lists[1]


def check_training(data: Frame, names: Sequence[str], weight_col: str | None) -> tuple[NDArray[np.intp], Array]:
    """Rows of positive weight and their weights, normalised to mean one."""
    check_frame(data)
    available = column_names(data)
    check_columns(available, names, "training")
    n = n_rows(data)
    weights = np.ones(n)
    if weight_col is not None:
        check_columns(available, [weight_col], "weight")
        read = read_column(data, weight_col)
        if read.values is None:
            raise DataError(f"weight column {weight_col!r} must hold numbers, got {read.dtype} values.")
        weights = check_weights(read.values, n, weight_col)
    rows = np.flatnonzero(weights > 0)
    if len(rows) < MIN_ROWS:
        raise DataError(f"fitting needs at least {MIN_ROWS} rows of positive weight, got {len(rows)}.")
    return rows, weights[rows] / weights[rows].mean()


def complete_schema(schema: Schema | None, data: Frame, names: Sequence[str], weight_col: str | None) -> Schema:
    """The given schema, with columns that it lacks inferred."""
    known = {} if schema is None else {c.name: c for c in schema.columns}
    missing = [name for name in names if name not in known]
    inferred = Schema.infer(data, columns=missing) if missing else None
    columns = tuple(known[name] if name in known else inferred[name] for name in names)  # type: ignore[index]
    return Schema(columns, weight_col)


def read_training(data: Frame, schema: Schema, targets: Sequence[str], rows: NDArray[np.intp]) -> Values:
    """Values of the training rows; every target has something to learn."""
    values: Values = {}
    for column in schema.columns:
        role = "target" if column.name in targets else "condition"
        x = _read(data, column, role)[rows]
        absent = np.isnan(x) if column.is_numeric else (x < 0) | (x >= len(column.levels))
        if absent.all():
            raise DataError(f"{role} column {column.name!r} has no value at all: drop it.")
        if absent.any() and column.missing == "none":
            raise DataError(_absent_text(column.name, role, rows[absent]))
        if column.is_numeric:
            _check_described(column, x, role, rows)
        values[column.name] = x
    return values


def read_conditions(data: Frame, encoder: Encoder) -> Values:
    """Values of the conditions of rows to complete."""
    check_frame(data)
    check_columns(column_names(data), encoder.conditions, "condition")
    values: Values = {}
    for name in encoder.conditions:
        column = encoder.schema[name]
        x = _read(data, column, "condition")
        absent = np.isnan(x) if column.is_numeric else x == -1
        if absent.any() and column.missing == "none":
            raise DataError(_absent_text(name, "condition", np.flatnonzero(absent)))
        values[name] = x
    return values


def read_row(data: Frame, encoder: Encoder, variable: str | None = None) -> Values:
    """Conditions and targets of complete rows; with a variable, targets that the table lacks are unknown."""
    values = read_conditions(data, encoder) if encoder.conditions else {}
    present = set(column_names(data))
    wanted = list(encoder.plan.targets)
    if variable is None:
        return values | read_targets(data, encoder, wanted)
    check_columns(wanted, [variable], "target")
    known = [name for name in wanted if name in present and name != variable]
    values |= read_targets(data, encoder, known)
    for name in wanted:
        if name not in values:
            is_number, n = encoder.schema[name].is_numeric, n_rows(data)
            values[name] = np.full(n, np.nan) if is_number else np.full(n, -1, np.int32)
    return values


def read_targets(data: Frame, encoder: Encoder, names: Sequence[str]) -> Values:
    """Values of targets; levels never seen become -2."""
    check_columns(column_names(data), names, "target")
    return {name: _read(data, encoder.schema[name], "target", strict=False) for name in names}


def keys_of(data: Frame | None, n: int, id_col: str | None, first_row: int) -> NDArray[np.uint64]:
    """Keys of the rows' random streams: the id column, or the position."""
    if id_col is None:
        return row_keys(np.arange(first_row, first_row + n))
    if data is None:
        raise ParameterError("id_col needs a table of conditions.")
    check_columns(column_names(data), [id_col], "id")
    read = read_column(data, id_col)
    if read.missing.any():
        raise DataError(f"id column {id_col!r} is missing in row {np.flatnonzero(read.missing)[0]}.")
    if read.values is not None:
        whole = read.values.astype(np.int64)
        keys = row_keys(whole if (whole == read.values).all() else read.values)
    else:
        assert read.codes is not None
        keys = row_keys(np.array([str(level) for level in read.levels]))[read.codes]
    distinct, first, counts = np.unique(keys, return_index=True, return_counts=True)
    if len(distinct) < len(keys):
        row = first[np.argmax(counts > 1)]
        raise DataError(f"id column {id_col!r} is not unique: the id of row {row} occurs again.")
    return keys


def numbers_of(read: ColumnData, column: Column, where: str, remedy: str) -> Array:
    """Return the numbers of a column.

    Parameters
    ----------
    read : ColumnData
        What the table has.
    column : Column
        What it should be.
    where, remedy : str
        What to call the column, and what to do besides converting it where it holds no numbers.

    Raises
    ------
    DataError
        If it holds levels, or an infinite number.

    Examples
    --------
    >>> column = Column("age", "count", "int")
    >>> numbers_of(ColumnData("age", "float", np.array([31.0, np.inf])), column, "'age'", "recode it")
    Traceback (most recent call last):
    microplex.errors.DataError: 'age' is infinite in row 1 (1 such rows). Replace it by a number or a missing value.
    """
    if read.values is None:
        raise DataError(
            f"{where} should hold numbers ({column.kind}), got {read.dtype} values such as {read.levels[0]!r}. "
            f"Convert it, or {remedy}."
        )
    infinite = np.flatnonzero(np.isinf(read.values))
    if len(infinite):
        raise DataError(
            f"{where} is infinite in row {infinite[0]} ({len(infinite)} such rows). "
            "Replace it by a number or a missing value."
        )
    return read.values


def codes_of(read: ColumnData, column: Column, where: str, unseen: str, remedy: str) -> NDArray[np.int32]:
    """Return the codes of a column with levels, -1 where missing; a level never seen becomes the declared unknown one.

    Parameters
    ----------
    read, column, where
        As for `numbers_of`.
    unseen, remedy : str
        What is wrong with a level that is not known, and what to do.

    Raises
    ------
    DataError
        If a level is not known, and none is declared to stand for it.

    Examples
    --------
    >>> column = Column("tenure", "categorical", "string", levels=("own", "rent"))
    >>> read = ColumnData("tenure", "string", None, np.array([0, 1]), ("own", "lodge"))
    >>> codes_of(read, column, "'tenure'", "is new", "Recode it.")
    Traceback (most recent call last):
    microplex.errors.DataError: 'tenure' has the category 'lodge' in row 1, which is new (1 such ...
    """
    codes = _codes(read, column)
    new = np.flatnonzero(codes == -2)
    if len(new):
        value = read.values[new[0]].item() if read.codes is None else read.levels[read.codes[new[0]]]  # type: ignore[index]
        shown = ", ".join(repr(level) for level in column.levels[:8]) + (", ..." if len(column.levels) > 8 else "")
        raise DataError(
            f"{where} has the category {value!r} in row {new[0]}, which {unseen} ({len(new)} such rows). "
            f"Known: {shown}. {remedy}"
        )
    return codes


def _codes(read: ColumnData, column: Column) -> NDArray[np.int32]:
    """Codes of levels; -2 where never seen and no level stands for such."""
    codes = LevelCodec(column).read(read)
    if column.unknown is not None:
        codes[codes == -2] = column.levels.index(column.unknown)
    return codes


def _read(data: Frame, column: Column, role: str, strict: bool = True) -> NDArray[Any]:
    """Values of one column in the form that its schema asks for."""
    read, where = read_column(data, column.name), f"{role} column {column.name!r}"
    if column.is_numeric:
        return numbers_of(read, column, where, "declare it categorical in the schema")
    if not strict:
        return _codes(read, column)
    remedy = f"Map it to one of them, or declare schema.replace({column.name!r}, unknown=...) before fitting."
    return codes_of(read, column, where, "was not seen in training", remedy)


def _check_described(column: Column, x: Array, role: str, rows: NDArray[np.intp]) -> None:
    """Check that numbers keep to the bounds and the grid of their description."""
    low, high = bounds_of(column)
    named = np.isin(x, column.missing_codes) | np.isnan(x)
    for wrong, text in (
        ((x < low) | (x > high), f"outside the bounds [{low:g}, {high:g}]"),
        (off_grid(column, x), f"no multiple of the resolution {column.resolution}"),
    ):
        at = np.flatnonzero(wrong & ~named)
        if len(at):
            raise DataError(
                f"{role} column {column.name!r} is {x[at[0]]:.12g} in row {rows[at[0]]} ({len(at)} such rows): {text} "
                f"that its schema declares. Repair the rows, or correct schema.replace({column.name!r}, ...)."
            )


def _absent_text(name: str, role: str, rows: NDArray[np.intp]) -> str:
    return (
        f"{role} column {name!r} is missing in row {rows[0]} ({len(rows)} such rows), and the schema declares no "
        f"missing level. Fill it, or declare schema.replace({name!r}, missing='level') before fitting."
    )
