"""Fitting the law of one block of targets on the rows of the sources that observe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._random import generator
from microplex.constraints import Constraint, Plan
from microplex.encoding import Encoder, FitReport, Settings, fit_model
from microplex.encoding.levels import LevelCodec
from microplex.errors import DataError, MicroplexError
from microplex.flow.data import TrainOptions, default_options
from microplex.flow.ensemble import Ensemble
from microplex.fusion.blocks import Block
from microplex.fusion.reading import MIN_ROWS, Rows, Sources, Values
from microplex.schema import Column, Schema

Update = Callable[[float, float | None], None]

SOURCE = "__source__"
SOURCE_STREAM = 611
HIDDEN_SHARE = 0.5
MIDDLE, LARGE, MIDDLE_EPOCHS, MIDDLE_MEMBERS = 15_000, 30_000, 20, 3


@dataclass(frozen=True, eq=False)
class Law:
    """A fitted block.

    Parameters
    ----------
    block : Block
        What it draws, from which sources.
    inputs : tuple of str
        Earlier variables that it reads.
    encoder, ensemble
        The conditional flow.
    report : FitReport
        What the fit did.
    marks : dict of str to float
        Number that stands for a missing value that is an outcome, of inputs that may also be unknown.
    """

    block: Block
    inputs: tuple[str, ...]
    encoder: Encoder
    ensemble: Ensemble
    report: FitReport
    marks: Mapping[str, float]

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets that the networks draw."""
        return self.encoder.targets

    @property
    def derived(self) -> dict[str, tuple[str, ...]]:
        """Targets that a constraint calculates, and from what."""
        return {part.name: tuple(part.of) for part in self.encoder.plan.derived}

    def given(self, rows: Rows, source: str | None) -> Values:
        """Its conditions on rows; the source is unknown unless named."""
        out = {name: _marked(rows, name, self.marks) for name in self.inputs}
        if SOURCE in self.encoder.conditions:
            levels = self.encoder.schema[SOURCE].levels
            out[SOURCE] = np.full(rows.n, levels.index(source) if source in levels else -1, np.int32)
        return out


def fit_law(
    block: Block,
    inputs: Sequence[str],
    sources: Sources,
    constraints: Sequence[Constraint],
    settings: Settings,
    update: Update,
) -> Law:
    """Fit the law of a block.

    Parameters
    ----------
    block : Block
    inputs : sequence of str
        Earlier variables to condition on; unknown on the rows that do not observe them.
    sources : Sources
    constraints : sequence of constraint objects
        What holds between its targets and inputs.
    settings : Settings
    update : callable
        Progress.

    Returns
    -------
    Law

    Raises
    ------
    DataError
        If the rows are too few or cannot be learnt from; the message names the block.
    """
    rows = sources.of(block.sources)
    used = sources.rows.take(rows)
    any_target = np.logical_or.reduce([used.seen[name] for name in block.targets])
    rows, used = rows[any_target], used.take(np.flatnonzero(any_target))
    if len(rows) < MIN_ROWS:
        raise DataError(f"the block of {block.name} has {len(rows)} rows that observe it; it needs {MIN_ROWS}.")
    weights = sources.pooled_weights(rows)
    marks = {v: mark for v in inputs if (mark := _mark(sources.schema[v], used)) is not None}
    columns = [_input_column(sources.schema[v], marks) for v in inputs]
    columns += [sources.schema[name] for name in block.targets]
    values: Values = {v: _marked(used, v, marks) for v in inputs}
    values |= {name: used.values[name] for name in block.targets}
    conditions = list(inputs)
    if len(block.sources) > 1:
        hidden = generator(settings.seed, SOURCE_STREAM).random(len(rows)) < HIDDEN_SHARE
        places = np.array([block.sources.index(name) if name in block.sources else -1 for name in sources.names])
        values[SOURCE] = np.where(hidden, -1, places[sources.source[rows]]).astype(np.int32)
        columns.append(Column(SOURCE, "categorical", "category", levels=block.sources))
        conditions.append(SOURCE)
    schema = Schema(tuple(columns))
    try:
        plan = _plan(constraints, block.targets, conditions, values, schema)
        encoder = Encoder.fit(schema, plan, values, weights, settings.min_rows)
        ensemble, report = fit_model(
            encoder, values, weights, settings.epochs, settings.n_orders, settings.seed, update, _options(len(rows))
        )
    except MicroplexError as error:
        raise type(error)(f"the block of {block.name} (from {', '.join(block.sources)}): {error}") from error
    return Law(block, tuple(inputs), encoder, ensemble, report, marks)


def _options(n_rows: int) -> TrainOptions:
    """As by sample size, but half of a large file is trained as the whole is, three times over (decision 0010)."""
    large = replace(default_options(LARGE), epochs=MIDDLE_EPOCHS, members=MIDDLE_MEMBERS)
    return large if MIDDLE <= n_rows < LARGE else default_options(n_rows)


def _plan(
    constraints: Sequence[Constraint], targets: Sequence[str], conditions: Sequence[str], values: Values, schema: Schema
) -> Plan:
    """How constraints are kept; nothing is a share of what some rows do not observe."""
    plan = Plan.build(list(constraints) or None, list(targets), list(conditions), values, schema)
    whole = {name for name, x in values.items() if not (np.isnan(x).any() if x.dtype.kind == "f" else (x < 0).any())}
    shares = {name: share for name, share in plan.shares.items() if set(share.of) <= whole}
    return plan if len(shares) == len(plan.shares) else replace(plan, shares=shares)


def _mark(column: Column, rows: Rows) -> float | None:
    """A number for the missing values that are outcomes, where rows may also not know the variable."""
    if not column.is_numeric or column.missing != "level" or rows.seen[column.name].all():
        return None
    x = rows.values[column.name]
    largest = np.abs(x[~np.isnan(x)]).max(initial=1.0)
    return float(1.0 - 10.0 ** np.ceil(np.log10(2.0 + largest)))


def _input_column(column: Column, marks: Mapping[str, float]) -> Column:
    if column.name not in marks:
        return column
    return replace(column, missing="none", missing_codes=(marks[column.name], *column.missing_codes))


def _marked(rows: Rows, name: str, marks: Mapping[str, float]) -> NDArray[Any]:
    x = rows.values[name]
    return np.where(rows.seen[name] & np.isnan(x), marks[name], x) if name in marks else x


def is_level(law: Law, name: str) -> bool:
    """Whether a variable of a block has levels rather than numbers."""
    return isinstance(law.encoder.codecs[name], LevelCodec)
