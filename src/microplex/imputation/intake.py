"""What comes in: which columns take part, what they are, and which of their cells are to be drawn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.encoding import intake as rows_intake
from microplex.errors import DataError, ParameterError, SchemaError
from microplex.frames import Frame, assign, check_frame, column_names, read_column
from microplex.imputation.structure import NO_CODES, Judge, Rules
from microplex.schema import Column, Schema

Bools = NDArray[np.bool_]
Values = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Form:
    """Columns that take part.

    Parameters
    ----------
    targets : tuple of str
        Columns whose gaps are filled.
    conditions : tuple of str
        Columns that are only read; where one is missing it is unknown.
    rules : Rules
        When a column does not apply.
    """

    targets: tuple[str, ...]
    conditions: tuple[str, ...]
    rules: Rules

    @property
    def names(self) -> tuple[str, ...]:
        """All columns, conditions first."""
        return self.conditions + self.targets


def choose(
    data: Frame,
    target_vars: object,
    condition_vars: object,
    structural: object,
    weight_col: str | None,
    schema: Schema | None,
) -> Form:
    """Check the roles; without targets, every column but weight, ids and conditions is one.

    With targets alone, all other columns that can be read are conditions.

    Raises
    ------
    ParameterError, ColumnNotFoundError
        If a column is not there, or has two roles.

    Warns
    -----
    UserWarning
        If a column is not taken for a condition: it looks like an identifier, or cannot be read.
    """
    check_frame(data)
    available = column_names(data)
    conditions = [] if condition_vars is None else _named(condition_vars, "condition_vars")
    check_columns(available, conditions, "condition")
    if weight_col is not None:
        check_columns(available, [weight_col], "weight")
    aside = {weight_col, *conditions, *(() if schema is None else (schema.weight, *schema.ids))}
    if target_vars is None:
        targets = [name for name in available if name not in aside]
        if not targets:
            raise ParameterError("no column is left to impute: all are weight, ids or conditions.")
    else:
        targets = _named(target_vars, "target_vars")
        check_columns(available, targets, "target")
        both = [name for name in targets if name in conditions]
        if both:
            raise ParameterError(f"{both[0]!r} is both a target and a condition; give it one role.")
        if not targets:
            raise ParameterError("target_vars is empty: name at least one column to impute, or leave it out for all.")
        if condition_vars is None:
            conditions = _usable(data, [name for name in available if name not in {*aside, *targets}])
    if weight_col is not None and weight_col in targets + conditions:
        raise ParameterError(f"the weight column {weight_col!r} is also a target or condition; give it one role.")
    return Form(tuple(targets), tuple(conditions), Rules.of(structural, [*conditions, *targets]))


def is_identifying(n_levels: int, n: int) -> bool:
    """Whether a column has so many categories for its rows that it looks like an identifier.

    Examples
    --------
    >>> is_identifying(100, 100), is_identifying(50, 100)
    (True, False)
    """
    return n_levels > max(50, n // 5)


def _usable(data: Frame, names: Sequence[str]) -> list[str]:
    """Columns that may be conditions without having been named; a warning says which may not."""
    faults = {name: _fault(data, name) for name in names}
    said = "; ".join(f"{name!r} ({fault})" for name, fault in faults.items() if fault)
    if said:
        text = f"not used as conditions: {said}. Name condition_vars to choose the conditions yourself."
        warnings.warn(text, UserWarning, stacklevel=4)
    return [name for name in names if not faults[name]]


def _fault(data: Frame, name: str) -> str:
    """Why a column cannot be a condition; empty if it can."""
    try:
        read = read_column(data, name)
    except DataError:
        return "its values are of a type, or of several, that cannot be read"
    if read.missing.all():
        return "no value at all"
    if read.values is not None:
        return "infinite values" if np.isinf(read.values).any() else ""
    if is_identifying(len(read.levels), len(read.missing)):
        return f"{len(read.levels)} categories in {len(read.missing)} rows, as an identifier has"
    return ""


def _named(names: object, role: str) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        raise ParameterError(f"{role} must be a sequence of column names, got {names!r}.")
    return list(names)


def describe(data: Frame, form: Form, given: Schema | None, kinds: Mapping[str, str] | None) -> Schema:
    """Describe the columns; a missing cell is unobserved, unless a rule or the given schema makes it a level.

    Raises
    ------
    SchemaError
        If a kind or a code does not suit its column.
    DataError
        If no cell holds a structural code.
    """
    known = {} if given is None else {column.name: column for column in given}
    unknown = [name for name in form.names if name not in known]
    check_columns(form.names, list(kinds or {}), "kinds")
    twice = [name for name in (kinds or {}) if name in known]
    if twice:
        raise SchemaError(f"column {twice[0]!r} has a kind in kinds and a description in schema; give one of them.")
    uncoded = _without_codes(data, form)
    inferred = Schema.infer(uncoded, columns=unknown, kinds=kinds) if unknown else None
    columns = []
    for name in form.names:
        if name in known:
            column = known[name]
            missing = "unobserved" if column.missing == "none" else column.missing
        else:
            assert inferred is not None
            column, missing = inferred[name], "unobserved"
        codes = form.rules.codes.get(name, ())
        if codes and not column.is_numeric:
            raise SchemaError(f"structural codes of {name!r} need a column of numbers; it is {column.kind}. {NO_CODES}")
        if codes:
            column = replace(column, missing_codes=tuple({*column.missing_codes, *codes}))
        columns.append(replace(column, missing="level" if name in form.rules.texts else missing))
    return Schema(tuple(columns))


def _without_codes(data: Frame, form: Form) -> Frame:
    """The table without structural codes, so that they do not pass for values; each is there to be left out."""
    columns = {}
    for name, codes in form.rules.codes.items():
        read = read_column(data, name)
        if read.values is None:
            raise SchemaError(
                f"structural codes of {name!r} need a column of numbers; it holds {read.dtype} values. {NO_CODES}"
            )
        absent = [code for code in codes if not (read.values == code).any()]
        if absent:
            seen = read.values[~read.missing]
            span = f"its values go from {seen.min():g} to {seen.max():g}" if len(seen) else "it has no value"
            raise DataError(
                f"no cell of {name!r} holds {absent[0]:g}, which structural names as a code for cells that do not "
                f"apply; {span}. Correct or leave out the code; for empty cells give a condition such as 'age < 15'."
            )
        columns[name] = np.where(np.isin(read.values, codes), np.nan, read.values)
    return assign(data, columns) if columns else data


@dataclass(frozen=True)
class Table:
    """Values of all columns and the gaps of the targets.

    Parameters
    ----------
    values : dict of arrays
        Numbers, NaN where missing; codes of levels, -1 in a gap, the last one where missing is structural.
    gaps : dict of bool[n]
        Cells to draw, of every target.
    structural : dict of bool[n]
        Cells that are empty because the column does not apply.
    n : int
        Rows.
    """

    values: Values
    gaps: dict[str, Bools]
    structural: dict[str, Bools]
    n: int

    def take(self, rows: NDArray[np.intp]) -> Table:
        """The same for some rows."""
        values = {name: x[rows] for name, x in self.values.items()}
        gaps = {name: gap[rows] for name, gap in self.gaps.items()}
        return Table(values, gaps, {name: cells[rows] for name, cells in self.structural.items()}, len(rows))


def read(data: Frame, form: Form, schema: Schema, judge: Judge, n: int) -> Table:
    """Read the columns and find the gaps.

    Raises
    ------
    DataError
        If a value cannot be used: text among numbers, an infinite number, a category not seen in fitting, or a value
        where structural says that the column does not apply.
    """
    check_columns(column_names(data), form.names, "imputation")
    values = {name: _read(data, schema[name]) for name in form.names}
    absent = {name: _absent(values[name], schema[name]) for name in form.names}
    for name in form.targets:
        column = schema[name]
        if not column.is_numeric and (column.missing != "level" or name in form.rules.texts):
            values[name] = np.where(absent[name], -1, values[name])
    gaps, structural = {}, {}
    for name in form.targets:
        if name in form.rules.texts:
            gaps[name] = judge.split(name, values, absent[name], form.rules.texts[name])
        else:
            gaps[name] = absent[name] & (schema[name].missing != "level")
        structural[name] = absent[name] & ~gaps[name]
        if schema[name].missing_codes:
            structural[name] = structural[name] | np.isin(values[name], schema[name].missing_codes)
        if not schema[name].is_numeric and structural[name].any():
            values[name] = np.where(structural[name], len(schema[name].levels), values[name]).astype(np.int32)
    return Table(values, gaps, structural, n)


def _absent(x: NDArray[Any], column: Column) -> Bools:
    return np.isnan(x) if column.is_numeric else np.asarray((x < 0) | (x >= len(column.levels)))


def _read(data: Frame, column: Column) -> NDArray[Any]:
    read, where = read_column(data, column.name), f"column {column.name!r}"
    if column.is_numeric:
        remedy = f"declare it categorical: kinds={{{column.name!r}: 'categorical'}}"
        return rows_intake.numbers_of(read, column, where, remedy)
    remedy = "Map it to one of them, or set it missing."
    return rows_intake.codes_of(read, column, where, "was not seen in fitting", remedy)
