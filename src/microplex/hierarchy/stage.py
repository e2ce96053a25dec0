"""One stage of a household's law: a conditional flow whose conditions are what the earlier stages drew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Constraint, parse
from microplex.encoding import Settings, sample_rows, score_rows
from microplex.encoding.levels import LevelCodec
from microplex.errors import DataError, MicroplexError
from microplex.frames import ColumnData, Levelled, build_frame
from microplex.hierarchy.screening import screen
from microplex.schema import Column, Schema
from microplex.schema.infer import describe
from microplex.synthesizer import Synthesizer

Values = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
MAX_CONDITIONS = 56
WEIGHT = "__weight__"
SHARED = 3


@dataclass(frozen=True, eq=False)
class Stage:
    """A fitted stage.

    Parameters
    ----------
    name : str
        What it draws, for messages.
    model : Synthesizer
        The conditional flow.
    """

    name: str
    model: Synthesizer

    @classmethod
    def fit(
        cls,
        name: str,
        targets: Sequence[str],
        values: Values,
        columns: Mapping[str, Column],
        weights: Floats,
        constraints: Sequence[str | Constraint] = (),
        keep: Sequence[str] = (),
        settings: Settings | None = None,
    ) -> Stage:
        """Fit a stage on arrays.

        Parameters
        ----------
        name : str
            What it draws.
        targets : sequence of str
            Columns to learn; all other `values` may be conditions.
        values : dict of arrays
            Numbers, or codes of levels.
        columns : mapping of str to Column
            What each is.
        weights : float64[n]
            Survey weights.
        constraints : sequence
            What holds on each row.
        keep : sequence of str
            Conditions that must not be screened out.
        settings : Settings
            How to fit.

        Raises
        ------
        DataError
            If the rows are too few, or as `Synthesizer.fit` does; the message names the stage.
        """
        settings = settings or Settings()
        rules = parse(list(constraints))
        bound = {c for rule in rules for c in rule.columns}
        offered = [c for c in values if c not in targets and (c in bound or _varies(values[c]))]
        kept = [*(c for c in keep if c in offered), *(c for c in offered if c in bound and c not in keep)]
        conditions = screen(values, columns, targets, offered, weights, kept, MAX_CONDITIONS)
        names = [*targets, *conditions]
        schema = Schema(tuple(_stored(columns[c]) for c in names), WEIGHT)
        frame = build_frame({c: _column(values[c], columns[c]) for c in names} | {WEIGHT: weights}, "pandas")
        model = Synthesizer(
            list(targets), conditions, rules or None, schema=schema, epochs=settings.epochs,
            n_orders=settings.n_orders, min_rows=settings.min_rows, seed=settings.seed,
        )  # fmt: skip
        try:
            model.fit(frame, WEIGHT, progress=False)
        except MicroplexError as error:
            raise DataError(f"the stage that learns {name} cannot be fitted: {error}") from error
        return cls(name, model)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Columns that it reads."""
        return self.model.encoder_.conditions

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns that it draws."""
        return tuple(self.model.target_vars)

    def sample(self, values: Values, keys: NDArray[np.uint64], seed: int, stream: int) -> Values:
        """Draw the targets of rows.

        Parameters
        ----------
        values : dict of arrays
            At least the conditions.
        keys : uint64[n]
            Key of each row.
        seed, stream : int
            Seed, and number of the stage's stream.

        Returns
        -------
        dict of arrays
        """
        encoder = self.model.encoder_
        given = {c: values[c] for c in encoder.conditions}
        drawn = sample_rows(encoder, self.model.ensemble_, given, keys, seed, stream)
        return drawn | encoder.plan.derive(given | drawn)

    def log_prob(self, values: Values, n: int) -> Floats:
        """Exact log law of the targets given the conditions, float64[n]."""
        encoder = self.model.encoder_
        given = {c: values[c] for c in (*encoder.conditions, *encoder.plan.targets)}
        return score_rows(encoder, self.model.ensemble_, given, n)

    def rows_of(self, values: Values, rows: NDArray[np.int64]) -> Values:
        """Its conditions at some rows."""
        return {c: values[c][rows] for c in self.conditions}


def as_context(column: Column, name: str) -> Column:
    """Return the description of a column as a condition that may be absent.

    Examples
    --------
    >>> as_context(Column("age", "count", "int", lower=0, upper=99), "head.age").missing
    'level'
    """
    return replace(column, name=name, missing="level")


def describe_numbers(name: str, x: Floats) -> Column:
    """Return the description of a derived quantity, such as a running total.

    Examples
    --------
    >>> describe_numbers("size", np.array([1.0, 2.0, 2.0])).dtype
    'float'
    """
    return describe(ColumnData(name, "float", values=np.asarray(x, float)), SHARED)


def at_rows(values: NDArray[Any], column: Column, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Values of rows, missing where the row is -1: NaN, or the code after the last level.

    Examples
    --------
    >>> at_rows(np.array([5.0, 6.0]), Column("x", "continuous", "float"), np.array([1, -1])).tolist()
    [6.0, nan]
    """
    if not len(values):
        return np.full(len(rows), np.nan) if column.is_numeric else np.full(len(rows), len(column.levels), np.int32)
    found = values[np.maximum(rows, 0)]
    if column.is_numeric:
        return np.where(rows >= 0, found, np.nan)
    absent = (rows < 0) | (found < 0)
    return np.where(absent, len(column.levels), found).astype(np.int32)


def _varies(x: NDArray[Any]) -> bool:
    """Whether a column has two different values."""
    if x.dtype.kind == "f":
        seen = x[~np.isnan(x)]
        return bool(len(seen) and (len(seen) < len(x) or seen.min() < seen.max()))
    return bool(len(x) and x.min() < x.max())


def _stored(column: Column) -> Column:
    """The column as it stands in the frame of a stage."""
    if column.is_numeric:
        return column if column.dtype in ("int", "float") else replace(column, dtype="float", kind="continuous")
    return replace(column, dtype="category")


def _column(x: NDArray[Any], column: Column) -> NDArray[Any] | Levelled:
    if column.is_numeric:
        return x
    codes = np.where(x >= LevelCodec(column).n_levels, -1, x).astype(np.int32)
    return Levelled(codes, column.levels, column.kind == "ordinal", as_category=True)
