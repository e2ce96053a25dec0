"""Lay out a plan from training data: read and check them, then derive, pair, order and share the columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.constraints.arrange import (
    arrange,
    bounds_of_derived,
    can_be_share,
    edges_of,
    find_derived,
    find_pairs,
    find_shares,
)
from microplex.constraints.compiled import Expression, Floats, Linear, View, Views, compile_constraint
from microplex.constraints.support import Known, decide
from microplex.constraints.terms import Combinations, Constraint
from microplex.errors import ConstraintError
from microplex.schema import Schema

MAX_POINTS = 100
SHOWN = 3


class Derived(NamedTuple):
    """A column calculated from others: the sum of coefficient times column."""

    name: str
    of: Expression


def lay_out(
    constraints: Sequence[Constraint],
    targets: tuple[str, ...],
    conditions: tuple[str, ...],
    data: Mapping[str, NDArray[Any]],
    schema: Schema,
    auto_shares: bool,
) -> dict[str, Any]:
    """Return the fields of a plan; parameters and errors are those of `Plan.build`.

    Returns
    -------
    dict
        Arguments of `Plan`.
    """
    available = (*conditions, *targets)
    for constraint in constraints:
        check_columns(available, constraint.columns, f"constraint '{constraint}':")
    schema = schema.subset(available)
    plain = views_of(schema, {})
    read = {name: plain[name].read(data[name]) for name in available}
    involved = dict.fromkeys(name for constraint in constraints for name in constraint.columns)
    points = {name: found for name in involved if (found := _points(schema, name, read[name]))}
    views = views_of(schema, points)
    constraints = tuple(_learn(constraint, views, read) for constraint in constraints)
    _check_training(constraints, views, read)

    equalities = find_derived(constraints, targets, views)
    modelled = [name for name in targets if name not in equalities.free]
    nodes = [compile_constraint(constraint, views, equalities.free) for constraint in constraints]
    bounds = bounds_of_derived(equalities, views)
    pairs = _pairs(modelled, conditions, views, read) if auto_shares else {}
    origins = [*zip(nodes, constraints, strict=True), *((node, None) for node in bounds)]
    edges = [edge for node, origin in origins for edge in edges_of(node, views, equalities.free, origin)]
    order = arrange(modelled, [*edges, *((other, name) for name, other in pairs.items())])
    seen = [Linear(((name, 1.0), (other, -1.0)), "<=", 0.0) for name, other in pairs.items()]
    return {
        "constraints": constraints,
        "targets": targets,
        "conditions": conditions,
        "order": order,
        "derived": tuple(Derived(name, equalities.formulas[name]) for name in equalities.sequence()),
        "shares": find_shares(order, conditions, [*nodes, *bounds, *seen], views, read),
        "free": equalities.free,
        "points": points,
        "schema": schema,
    }


def views_of(schema: Schema, points: Mapping[str, Sequence[float]]) -> dict[str, View]:
    """Return the columns of a schema as constraints see them."""
    return {column.name: View.of(column, points.get(column.name, ())) for column in schema}


def _points(schema: Schema, name: str, read: Floats) -> tuple[float, ...]:
    column = schema[name]
    if column.kind != "count":
        return ()
    distinct = np.unique(read[~np.isnan(read) & ~np.isin(read, column.missing_codes)])
    return tuple(distinct.tolist()) if len(distinct) <= MAX_POINTS else ()


def _learn(constraint: Constraint, views: Views, read: Mapping[str, Floats]) -> Constraint:
    """Fill in the combinations seen in training."""
    if not isinstance(constraint, Combinations) or constraint.allowed is not None:
        return constraint
    compile_constraint(constraint, views, {})
    codes = np.column_stack([read[name] for name in constraint.columns])
    seen = np.unique(codes[~np.isnan(codes).any(axis=1)], axis=0)
    columns = [views[name].column for name in constraint.columns]
    rows = [
        tuple(
            value if column.is_numeric else column.levels[int(value)]
            for column, value in zip(columns, row, strict=True)
        )
        for row in seen.tolist()
    ]
    return Combinations(constraint.columns, tuple(rows))


def _check_training(constraints: Iterable[Constraint], views: Views, read: Mapping[str, Floats]) -> None:
    n = len(next(iter(read.values()), ()))
    for constraint in constraints:
        broken = np.flatnonzero(decide(compile_constraint(constraint, views, {}), Known(n, read, views))[1])
        if not len(broken):
            continue
        rows = [
            f"  row {row}: "
            + ", ".join(f"{name} = {_shown(views[name], read[name][row])}" for name in constraint.columns)
            for row in broken[:SHOWN]
        ]
        share = f"{len(broken)} of {n} training rows ({100 * len(broken) / n:.1f}%)"
        raise ConstraintError(
            f"constraint '{constraint}' is broken by {share}:\n"
            + "\n".join(rows)
            + "\nRepair or drop these rows, or leave the constraint out."
        )


def _pairs(
    modelled: Sequence[str], conditions: Sequence[str], views: Views, read: Mapping[str, Floats]
) -> dict[str, str]:
    able = [name for name in (*modelled, *conditions) if can_be_share(name, views, read)]
    return find_pairs([name for name in able if name in modelled], able, read)


def _shown(view: View, value: float) -> str:
    if np.isnan(value):
        return "missing"
    return f"{value:.12g}" if view.column.is_numeric else repr(view.column.levels[int(value)])
