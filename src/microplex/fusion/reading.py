"""Sources as one set of arrays: what each row observes, its weight, and what every variable is."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns, check_weights
from microplex.encoding import intake
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import ColumnData, Frame, column_names, n_rows, read_column
from microplex.schema import Column, Schema
from microplex.schema.infer import describe
from microplex.survey import ess

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Values = dict[str, NDArray[Any]]

MIN_ROWS = 50
SHARED = 3


@dataclass(frozen=True, eq=False)
class Rows:
    """Values of variables on rows, and which of them are observed.

    Parameters
    ----------
    values : dict of arrays of shape (n,)
        Numbers (NaN where not observed) or codes of levels (-1).
    seen : dict of bool[n]
        Whether there is a value; a missing value that is an outcome of its own counts as one.
    n : int
        Number of rows.
    """

    values: Values
    seen: dict[str, Bools]
    n: int

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """The same for some of the rows."""
        return Rows({k: x[rows] for k, x in self.values.items()}, {k: x[rows] for k, x in self.seen.items()}, len(rows))


@dataclass(frozen=True, eq=False)
class Sources:
    """All rows of all sources, one after the other.

    Parameters
    ----------
    names : tuple of str
    rows : Rows
        Of every variable; not observed where a source lacks it.
    source : intp[n]
        Which source each row is from.
    weights : float64[n]
        Survey weights, scaled to one population total in each source.
    schema : Schema
        What each variable is, in all sources together.
    """

    names: tuple[str, ...]
    rows: Rows
    source: NDArray[np.intp]
    weights: Floats
    schema: Schema

    def of(self, names: Sequence[str]) -> NDArray[np.intp]:
        """Rows of some sources."""
        return np.flatnonzero(np.isin(self.source, [self.names.index(name) for name in names]))

    def pooled_weights(self, rows: NDArray[np.intp]) -> Floats:
        """Weights with which rows of several sources are learnt together, of mean one.

        Every source counts by its effective sample size (Kish, 1965), so that it counts by what it knows. Within a
        source a row of weight 3 is three rows.
        """
        weights, source = self.weights[rows].copy(), self.source[rows]
        for place in np.unique(source):
            own = source == place
            weights[own] *= ess(weights[own]) / weights[own].sum()
        return np.asarray(weights / weights.mean())


def read_weights(
    frames: Mapping[str, Frame], weight_col: str | Mapping[str, str] | None, population: float | None = None
) -> dict[str, Floats]:
    """Return the weights of each source, scaled to one total.

    Parameters
    ----------
    frames : mapping of str to data frame
    weight_col : str, mapping of str to str, or None
        The weight column of all sources, or of each; None where no source has weights.
    population : float, optional
        The common total; the largest of the sources by default.

    Returns
    -------
    dict of str to float64[n]

    Raises
    ------
    ParameterError, ColumnNotFoundError, DataError
        If a name is no source, no source has the column, or weights cannot be used.

    Warns
    -----
    UserWarning
        If only some sources have weights: the rows of the others count equally, and sum to the same total.

    Examples
    --------
    >>> import pandas as pd
    >>> frames = {"a": pd.DataFrame({"x": [1, 2], "w": [10.0, 30.0]}), "b": pd.DataFrame({"x": [1], "w": [2.0]})}
    >>> {name: w.tolist() for name, w in read_weights(frames, "w").items()}
    {'a': [10.0, 30.0], 'b': [40.0]}
    """
    if isinstance(weight_col, Mapping):
        for source, column in weight_col.items():
            if source not in frames:
                raise ParameterError(f"weight_col names {source!r}, which is no source.{near_miss(source, frames)}")
            check_columns(column_names(frames[source]), [column], f"weight of source {source!r}:")
        named: dict[str, str] = dict(weight_col)
    elif weight_col is None:
        named = {}
    else:
        named = {source: weight_col for source, frame in frames.items() if weight_col in column_names(frame)}
        if not named:
            check_columns(column_names(next(iter(frames.values()))), [weight_col], "weight")
    weights = {}
    for source, frame in frames.items():
        if source in named:
            read = read_column(frame, named[source])
            label = f"weight column {named[source]!r} of source {source!r}"
            if read.values is None:
                raise DataError(f"{label} must hold numbers, got {read.dtype} values.")
            weights[source] = check_weights(read.values, n_rows(frame), label)
        else:
            weights[source] = np.ones(n_rows(frame))
    total = population if population is not None else max(weights[s].sum() for s in (named or weights))
    without = [source for source in frames if source not in named]
    if named and without:
        warnings.warn(
            f"source {', '.join(map(repr, without))} has no weights while {', '.join(map(repr, named))} has: its rows "
            f"count equally, each for the same share of the population of {total:,.6g}. If it is no simple random "
            "sample, give it a weight column.",
            UserWarning,
            stacklevel=3,
        )
    return {source: w * (total / w.sum()) for source, w in weights.items()}


def read_sources(
    frames: Mapping[str, Frame],
    variables: Sequence[str],
    weights: Mapping[str, Floats],
    sources_of: Mapping[str, tuple[str, ...]],
    schema: Schema | None,
    kinds: Mapping[str, str] | None,
) -> Sources:
    """Read the variables of all sources.

    Raises
    ------
    DataError
        If a source has too few rows, a row or a column has no value at all, or a variable is of numbers in one source
        and of levels in another.
    """
    names = tuple(frames)
    sizes = [n_rows(frames[name]) for name in names]
    for name in names:
        used = int((weights[name] > 0).sum())
        if used < MIN_ROWS:
            raise DataError(f"source {name!r} needs at least {MIN_ROWS} rows of positive weight, got {used}.")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n = int(starts[-1])
    columns, values, seen = [], {}, {}
    for variable in variables:
        parts = {s: read_column(frames[s], variable) for s in sources_of[variable]}
        for source, part in parts.items():
            if part.missing.all():
                raise DataError(
                    f"variable {variable!r} has no value at all in source {source!r}: drop the column there."
                )
        column = _described(variable, parts, schema, kinds)
        x = np.full(n, np.nan) if column.is_numeric else np.full(n, -1, np.int32)
        has = np.zeros(n, bool)
        for source, part in parts.items():
            place = slice(starts[names.index(source)], starts[names.index(source) + 1])
            x[place], has[place] = read_values(part, column, f"source {source!r}")
        columns.append(column)
        values[variable], seen[variable] = x, has
    rows = Rows(values, seen, n)
    origin = np.repeat(np.arange(len(names)), sizes)
    every = np.concatenate([weights[name] for name in names])
    _check_rows(rows, origin, starts, names, every)
    kept = np.flatnonzero(every > 0)
    return Sources(names, rows.take(kept), origin[kept], every[kept], Schema(tuple(columns)))


def read_values(part: ColumnData, column: Column, where: str) -> tuple[NDArray[Any], Bools]:
    """Return the values of a column as its description reads them, and which are observed.

    Raises
    ------
    DataError
        If it holds levels for numbers, an infinite value, or a level that is not known.
    """
    structural = column.missing == "level"
    where = f"{where}: {column.name!r}"
    if column.is_numeric:
        x = intake.numbers_of(part, column, where, "recode it in the harmonisation")
        return x, np.ones(len(x), bool) if structural else ~np.isnan(x)
    remedy = "Recode it to one of them, or declare the level that stands for unknown ones in the schema."
    codes = intake.codes_of(part, column, where, "no source of the fusion has", remedy)
    return codes, codes >= 0


def _described(
    name: str, parts: Mapping[str, ColumnData], schema: Schema | None, kinds: Mapping[str, str] | None
) -> Column:
    """What a variable is, judged by the rows of all its sources; missing values are values not seen, unless declared.

    A source's item non-response is no outcome: only a schema can say that a missing value is one.
    """
    if schema is not None and name in schema:
        return schema[name]
    found = list(parts.values())
    numeric = [part.values is not None for part in found]
    if any(numeric) and not all(numeric):
        shown = "; ".join(f"{source}: {part.dtype}" for source, part in parts.items())
        raise DataError(f"variable {name!r} holds numbers in one source and levels in another ({shown}). Recode it.")
    if all(numeric):
        dtypes = {part.dtype for part in found}
        dtype = found[0].dtype if len(dtypes) == 1 else "float"
        pooled = ColumnData(name, dtype, np.concatenate([part.values for part in found]))
    else:
        levels = list(dict.fromkeys(level for part in found for level in part.levels))
        if found[0].dtype == "string":
            levels = sorted(levels, key=lambda level: (str(type(level)), level))
        place = {level: i for i, level in enumerate(levels)}
        tables = [np.array([*(place[level] for level in part.levels), -1], np.int32) for part in found]
        codes = np.concatenate([table[part.codes] for table, part in zip(tables, found, strict=True)])
        pooled = ColumnData(name, found[0].dtype, None, codes, tuple(levels), found[0].ordered)
    column = describe(pooled, SHARED, None if kinds is None else kinds.get(name))
    return column if column.missing == "none" else replace(column, missing="unobserved")


def _check_rows(
    rows: Rows, source: NDArray[np.intp], starts: NDArray[np.intp], names: Sequence[str], weights: Floats
) -> None:
    """Refuse rows that observe nothing."""
    any_seen = np.logical_or.reduce(list(rows.seen.values())) | (weights <= 0)
    empty = np.flatnonzero(~any_seen)
    if len(empty):
        place = int(source[empty[0]])
        raise DataError(
            f"row {empty[0] - starts[place]} of source {names[place]!r} has no value at all ({len(empty)} such rows): "
            "drop such rows. Units that did not answer belong into the weights."
        )
