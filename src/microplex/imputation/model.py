"""The fitted model: which cells it can draw, and drawing them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Constraint, Plan
from microplex.encoding import Encoder
from microplex.encoding.completing import complete_rows
from microplex.encoding.levels import LevelCodec
from microplex.errors import ConstraintError, DataError, ParameterError
from microplex.flow.cells import Array
from microplex.flow.ensemble import Member, Order
from microplex.frames import Frame, Levelled, n_rows, restore_values
from microplex.imputation.filling import fill
from microplex.imputation.fitting import Training
from microplex.imputation.intake import Form, Table, Values, is_identifying, read
from microplex.imputation.result import Imputed
from microplex.imputation.structure import Judge
from microplex.schema import Schema

DRAW_STREAM = 1_000
UNCHANGED = "no cell is missing: the table is returned unchanged."


@dataclass(frozen=True)
class Model:
    """What a fit leaves.

    Parameters
    ----------
    form : Form
        Columns that take part.
    schema : Schema
        What they are.
    encoder : Encoder or None
        Codes and constraints; None if no cell was missing.
    members : tuple of Member
        Networks.
    """

    form: Form
    schema: Schema
    encoder: Encoder | None
    members: tuple[Member, ...] = ()

    @property
    def imputed(self) -> tuple[str, ...]:
        """Columns whose gaps can be filled."""
        return () if self.encoder is None else self.encoder.plan.targets

    def with_members(self, members: tuple[Member, ...]) -> Model:
        """The same with networks."""
        return replace(self, members=members)

    def complete(self, data: Frame, m: int, keys: NDArray[np.uint64], seed: int) -> Imputed:
        """Complete a table; see :meth:`Imputer.transform`."""
        n = n_rows(data)
        judge = Judge(self.form.rules, self.schema)
        table = read(data, self.form, self.schema, judge, n)
        gaps = {name: gap for name, gap in table.gaps.items() if gap.any()}
        lost = [name for name in gaps if name not in self.imputed]
        if lost:
            row = int(np.flatnonzero(gaps[lost[0]])[0])
            raise DataError(
                f"column {lost[0]!r} is missing in row {row}, but had no gap in fitting, so that its law was not "
                "learned. Fit on a table that has such gaps, this one for instance."
            )
        if not gaps or self.encoder is None:
            empty = np.zeros(n, bool)
            masks = dict.fromkeys(self.form.targets, empty)
            return Imputed((data,) * m, masks, {}, table.structural, np.ones(n), (UNCHANGED,))
        self._check_rows(table)
        notes = _warn_empty(table, self.form)
        encoder = self.encoder
        matrix = np.column_stack([table.gaps[name] for name in encoder.targets] or [np.zeros((n, 0), bool)])
        share, files = np.ones(n), []
        for i in range(m):
            values = dict(table.values)
            if encoder.targets:
                member = self.members[i % len(self.members)]
                drawn, own = complete_rows(
                    encoder, member, values, matrix, keys, seed, DRAW_STREAM + i, applies=judge.applies
                )
                values |= drawn
                share = np.minimum(share, own)
            for name, x in encoder.plan.derive(values).items():
                values[name] = np.where(table.gaps[name], x, values[name])
            files.append(fill(data, {name: _shown(self.schema, name, values[name]) for name in gaps}, gaps))
        masks = {name: table.gaps[name] for name in self.form.targets}
        derived = {d.name: table.gaps[d.name] for d in encoder.plan.derived}
        return Imputed(tuple(files), masks, derived, table.structural, share, notes)

    def _check_rows(self, table: Table) -> None:
        assert self.encoder is not None
        for text, broken in self.encoder.plan.check(plain(table, self.schema)):
            rows = np.flatnonzero(broken)
            if len(rows):
                raise ConstraintError(
                    f"constraint '{text}' is broken by the observed cells of row {rows[0]} ({len(rows)} such rows). "
                    "Repair these rows, or set a doubtful cell missing so that it is drawn."
                )


def prepare(
    data: Frame,
    form: Form,
    schema: Schema,
    constraints: Sequence[str | Constraint] | None,
    rows: NDArray[np.intp],
    weights: Array,
) -> tuple[Model, Training | None]:
    """Read the training table, plan the constraints and fit the codes.

    Returns
    -------
    tuple
        The model without networks, and what to fit them on; None if no column needs one.

    Raises
    ------
    DataError
        If a column has no value at all.
    """
    judge = Judge(form.rules, schema)
    table = read(data, form, schema, judge, n_rows(data))
    _check_filled(table, form, rows)
    gappy = [name for name in form.targets if table.gaps[name].any()]
    if not gappy:
        return Model(form, schema, None), None
    gappy = _sorted(gappy, table, form)
    given = [name for name in form.names if name not in gappy]
    _check_levels(given, schema, len(rows))
    plan = Plan.build(constraints, gappy, given, plain(table, schema), schema, auto_shares=False)
    train = table.take(rows)
    encoder = Encoder.fit(schema, plan, train.values, weights, 3)
    model = Model(form, schema, encoder)
    if not encoder.targets:
        return model, None
    gaps = np.column_stack([train.gaps[name] for name in encoder.targets])
    return model, Training(encoder, train.values, weights, gaps, judge.applies, _order(encoder, form))


def plain(table: Table, schema: Schema) -> Values:
    """Values as constraints read them: -1 for every missing level."""
    out = {}
    for name, x in table.values.items():
        column = schema[name]
        out[name] = x if column.is_numeric else np.where(x >= len(column.levels), -1, x)
    return out


def _sorted(names: list[str], table: Table, form: Form) -> list[str]:
    """Columns with few gaps first; those that a structural condition reads before the column it is about."""
    wished = sorted(names, key=lambda name: table.gaps[name].mean())
    out: list[str] = []

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ParameterError(f"the structural conditions of {', '.join(map(repr, above))} go in a circle.")
        for other in form.rules.reads(name):
            if other in names and other not in out:
                place(other, (*above, name))
        if name not in out:
            out.append(name)

    for name in wished:
        place(name, ())
    return out


def _order(encoder: Encoder, form: Form) -> Order:
    """The plan's order; an error if a structural condition would be known too late."""
    targets = encoder.targets
    derived = {d.name for d in encoder.plan.derived}
    for place, name in enumerate(targets):
        for other in form.rules.reads(name):
            if other in derived or other in targets[place:]:
                raise ConstraintError(
                    f"the structural condition of {name!r} reads {other!r}, which the constraints place after it. "
                    "State the condition by another column, or leave out the constraint."
                )
    return tuple(range(len(targets)))


def _check_filled(table: Table, form: Form, rows: NDArray[np.intp]) -> None:
    for name in form.targets:
        if (table.gaps[name] | table.structural[name])[rows].all():
            raise DataError(f"column {name!r} has no value at all in rows of positive weight: drop it.")
    for name in form.conditions:
        x = table.values[name][rows]
        if (np.isnan(x) if x.dtype.kind == "f" else x < 0).all():
            raise DataError(f"condition column {name!r} has no value at all in rows of positive weight: drop it.")


def _check_levels(names: Sequence[str], schema: Schema, n: int) -> None:
    for name in names:
        if is_identifying(len(schema[name].levels), n):
            raise DataError(
                f"column {name!r} has {len(schema[name].levels)} categories in {n} rows, as an identifier has: leave "
                "it out of target_vars and condition_vars, or name it among the ids of the schema."
            )


def _warn_empty(table: Table, form: Form) -> tuple[str, ...]:
    shown = [~gap for gap in table.gaps.values()]
    for name in form.conditions:
        x = table.values[name]
        shown.append(~np.isnan(x) if x.dtype.kind == "f" else x >= 0)
    empty = np.flatnonzero(~np.logical_or.reduce(shown))
    if not len(empty):
        return ()
    text = f"row {empty[0]} shows nothing at all ({len(empty)} such rows): it is drawn from the law of all rows."
    warnings.warn(text, UserWarning, stacklevel=4)
    return (text,)


def _shown(schema: Schema, name: str, x: NDArray[Any]) -> NDArray[Any] | Levelled:
    column = schema[name]
    if not column.is_numeric:
        return LevelCodec(column).write(x)
    return restore_values(x, column.dtype) if column.dtype in ("date", "datetime") else x
