"""What comes in: the roles of variables, the constraints of each block, and recipients."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from microplex._validation import check_columns, check_seed
from microplex.constraints import Constraint
from microplex.errors import ConstraintError, DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names, n_rows, read_column, select
from microplex.fusion.agreement import check_agreement
from microplex.fusion.blocks import Block, find_sources, plan_blocks
from microplex.fusion.common import check_common
from microplex.fusion.harmonise import WEIGHT, Harmonisation
from microplex.fusion.harmonise_checks import find_other_periods, target_period
from microplex.fusion.learning import SOURCE
from microplex.fusion.reading import Rows, Sources, read_sources, read_values, read_weights
from microplex.schema import Schema

if TYPE_CHECKING:
    from microplex.fusion.fusion import MultiSourceFusion

FEWEST = 2


def check_sources(frames: Mapping[str, Frame]) -> None:
    """Check that there are at least two named tables.

    Raises
    ------
    ParameterError, DataError
    """
    if not isinstance(frames, Mapping):
        raise ParameterError(
            f'sources must map names to tables, such as {{"cps": ..., "acs": ...}}; got {type(frames)}.'
        )
    if len(frames) < FEWEST:
        raise ParameterError(f"fusion needs at least two sources, got {len(frames)}. For one, use Synthesizer.")
    for name, frame in frames.items():
        if not isinstance(name, str) or not name:
            raise ParameterError(f"the name of a source must be text; got {name!r}.")
        try:
            check_frame(frame)
            if SOURCE in column_names(frame):
                raise DataError(f"column name {SOURCE!r} stands for the source of a row. Rename the column.")
        except DataError as error:
            raise DataError(f"source {name!r}: {error}") from error


def check_options(fusion: MultiSourceFusion) -> None:
    """Check what an estimator was made with, as far as no data are needed.

    Raises
    ------
    ParameterError
    """
    check_seed(fusion.seed)
    for role in ("condition_vars", "target_vars", "constraints", "accepted"):
        given = getattr(fusion, role)
        if isinstance(given, str):
            raise ParameterError(f"{role} must be a list; got the text {given!r}. Write [{given!r}].")
        wrong = [name for name in given or () if role != "constraints" and not isinstance(name, str)]
        if wrong:
            raise ParameterError(f"{role} must hold names of variables; got {wrong[0]!r}.")
    for role in ("authority", "kinds"):
        given = getattr(fusion, role)
        if given is not None and not isinstance(given, Mapping):
            raise ParameterError(f"{role} must map variables, such as {{'wages': ...}}; got {given!r}.")
    if fusion.epochs is not None:
        check_whole(fusion.epochs, "epochs", 1)
    if fusion.n_orders is not None:
        check_whole(fusion.n_orders, "n_orders", 0)


def check_whole(value: object, label: str, least: int) -> int:
    """Return a whole number of at least so much.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> check_whole(3, "n_draws", 1)
    3
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f"{label} must be a whole number of at least {least}; got {value!r}.")
    return int(value)


def harmonised_frames(
    sources: Mapping[str, Frame], plan: Harmonisation | None, weight_col: str | Mapping[str, str] | None
) -> tuple[dict[str, Frame], dict[str, str]]:
    """Return sources in the variables of the fusion, and the weight column of each that has one.

    Raises
    ------
    ParameterError, DataError, ColumnNotFoundError
        If the sources cannot be used or harmonised, or weights are named twice.
    """
    check_sources(sources)
    frames = dict(sources) if plan is None else plan.apply(sources)
    if plan is not None and plan.weights:
        if weight_col is not None:
            raise ParameterError(
                f"weights are named twice: by the harmonisation, for {', '.join(map(repr, plan.weights))}, and in the "
                f"call, as {weight_col!r}. Leave out weight_col."
            )
        weight_col = WEIGHT
    if not (weight_col is None or isinstance(weight_col, (str, Mapping))):
        raise ParameterError(f'weight_col must be a name, or such as {{"cps": "w"}}; got {weight_col!r}.')
    if isinstance(weight_col, str):
        named = {name: weight_col for name, f in frames.items() if weight_col in column_names(f)}
        return frames, named or dict.fromkeys(frames, weight_col)
    return frames, dict(weight_col or {})


def find_roles(
    observed: Mapping[str, Sequence[str]],
    condition_vars: Sequence[str] | None,
    target_vars: Sequence[str] | None,
    authority: Mapping[str, str] | None,
) -> tuple[list[str], list[str]]:
    """Return the common variables and the targets.

    Parameters
    ----------
    observed : mapping of str to sequence of str
        Variables of each source, without weights.
    condition_vars, target_vars, authority
        As given to `MultiSourceFusion`.

    Raises
    ------
    ParameterError, DataError
        If there is no common variable and that was not asked for, a common variable is not in every source, a
        variable has two roles, or there is no target.
    """
    every = list(dict.fromkeys(name for names in observed.values() for name in names))
    wanted = None if target_vars is None else list(target_vars)
    if condition_vars is None:
        skipped = {*(wanted or ()), *(authority or {})}
        conditions = [v for v in every if v not in skipped and all(v in names for names in observed.values())]
        if not conditions:
            raise DataError(
                "the sources have no variable in common. Fusion would then pair their rows at random: every variable "
                "of one source independent of every variable of the others. Give them common variables (see "
                "Harmonisation), or ask for exactly that with condition_vars=[]. They hold: "
                + "; ".join(f"{source}: {', '.join(names)}" for source, names in observed.items())
            )
    else:
        conditions = list(condition_vars)
        for source, names in observed.items():
            absent = [v for v in conditions if v not in names and v in every]
            if absent:
                raise DataError(
                    f"common variable {absent[0]!r} is not in source {source!r}. Leave it to the targets: a target is "
                    "learnt given every variable that some source observes with it."
                )
    for name in conditions:
        if name in (authority or {}):
            raise ParameterError(
                f"{name!r} is a common variable and cannot have an authority: every block is learnt given it, in every "
                "source. For one source's law of the common variables, use generate(source=...)."
            )
    targets = [v for v in every if v not in conditions] if wanted is None else wanted
    twice = [v for v in targets if v in conditions or targets.count(v) > 1]
    if twice:
        raise ParameterError(f"{twice[0]!r} is named twice among condition_vars and target_vars; give it one role.")
    if not targets:
        raise ParameterError("there is no target: every variable is in every source. Name some in target_vars.")
    return conditions, targets


def read_training(
    fusion: MultiSourceFusion, frames: Mapping[str, Frame], weight_of: Mapping[str, str]
) -> tuple[Sources, tuple[Block, ...]]:
    """Return the rows of all sources, and the blocks to learn from them.

    Parameters
    ----------
    fusion : MultiSourceFusion
    frames, weight_of
        What `harmonised_frames` returned.

    Raises
    ------
    DataError, ColumnNotFoundError, SchemaError, ParameterError
        If a source cannot be used, or the sources clash.
    """
    weights = read_weights(frames, weight_of or None)
    observed = {name: [c for c in column_names(f) if c != weight_of.get(name)] for name, f in frames.items()}
    conditions, targets = find_roles(observed, fusion.condition_vars, fusion.target_vars, fusion.authority)
    if fusion.condition_vars is None:
        check_common(frames, conditions, weight_of)
    every = [*conditions, *targets]
    check_columns(every, list(fusion.kinds or ()), "kinds:")
    sources_of = find_sources(observed, every, fusion.authority)
    shared = {}
    for source, frame in frames.items():
        used = [v for v in sources_of if source in sources_of[v]]
        shared[source] = select(frame, [*used, *([weight_of[source]] if source in weight_of else [])])
    check_agreement(shared, weight_col=dict(weight_of) or None, accepted=tuple(fusion.accepted))
    blocks = plan_blocks(sources_of, conditions, targets)
    data = read_sources(frames, every, weights, sources_of, fusion.schema, fusion.kinds)
    _warn_not_uprated(fusion.harmonisation, data.schema)
    return data, blocks


def _warn_not_uprated(plan: Harmonisation | None, schema: Schema) -> None:
    """Warn of amounts of several periods; ages, counts and codes have none, and are no amounts by their kind."""
    other = {} if plan is None else find_other_periods(plan)
    amounts = [name for name in other if name in schema and schema[name].kind in ("continuous", "semicontinuous")]
    if plan is not None and amounts:
        shown = "; ".join(f"{name!r} ({other[name]})" for name in amounts)
        reached = target_period(plan)
        goal = "" if reached is None else f", while the result is of {reached}"
        warnings.warn(
            f"amounts of other periods without uprating: {shown}{goal}. Give their factors in uprating; 1 for what "
            "has no price, such as hours.",
            UserWarning,
            stacklevel=4,
        )


def assign_constraints(constraints: Sequence[Constraint], blocks: Sequence[Block]) -> list[list[Constraint]]:
    """Return the constraints of each block: those on its targets and on what they are learnt given.

    Raises
    ------
    ConstraintError
        If a constraint ties variables that no source observes together, so that no law has them both.
    """
    found: list[list[Constraint]] = [[] for _ in blocks]
    every = [name for block in blocks for name in block.targets]
    for constraint in constraints:
        check_columns(every, constraint.columns, f"constraint '{constraint}':")
        last = max(i for i, block in enumerate(blocks) if set(block.targets) & set(constraint.columns))
        block = blocks[last]
        apart = [name for name in constraint.columns if name in block.apart]
        if apart:
            own = next(name for name in constraint.columns if name in block.targets)
            raise ConstraintError(
                f"constraint '{constraint}' ties {own!r} (from {', '.join(block.sources)}) to {apart[0]!r}: no source "
                "observes both, so that they are drawn independently given the common variables and it cannot be "
                "kept. Leave it out, or add a source that observes both."
            )
        found[last].append(constraint)
    return found


def read_recipient(frame: Frame, schema: Schema) -> Rows:
    """Read a file to be completed: what it has is observed, what it lacks is not.

    Raises
    ------
    DataError
        If it has none of the variables, a row without any, or a level that no source has.
    """
    check_frame(frame)
    have, n = set(column_names(frame)), n_rows(frame)
    if not have & set(schema.names):
        raise DataError(
            f"the recipient has none of the variables of the fusion ({', '.join(schema.names)}). "
            "Harmonise it as the sources were, or use generate for new rows."
        )
    rows = empty_rows(schema, n)
    for column in schema:
        if column.name in have:
            read = read_column(frame, column.name)
            if read.missing.all() and column.missing != "level":
                continue
            rows.values[column.name], rows.seen[column.name] = read_values(read, column, "recipient")
    empty = np.flatnonzero(~np.logical_or.reduce(list(rows.seen.values())))
    if len(empty):
        raise DataError(
            f"row {empty[0]} of the recipient has no value at all ({len(empty)} such rows): there is nothing to "
            "complete. Drop such rows, or use generate for new ones."
        )
    return rows


def empty_rows(schema: Schema, n: int) -> Rows:
    """Rows that observe nothing."""
    values = {c.name: np.full(n, np.nan) if c.is_numeric else np.full(n, -1, np.int32) for c in schema}
    return Rows(dict(values), {c.name: np.zeros(n, bool) for c in schema}, n)
