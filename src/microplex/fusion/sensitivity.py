"""What the sources leave open: bounds of the dependence of two variables that none of them observes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex._random import row_keys, uniforms
from microplex._validation import check_columns, check_weights
from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, column_names, n_rows, read_column, select
from microplex.fusion.bounds import CorrelationBounds, FrechetBounds, correlation_bounds, frechet_bounds
from microplex.fusion.completing import PER_LAW, STREAM, draw_rows
from microplex.fusion.coupling import Links
from microplex.fusion.intake import check_whole, empty_rows, read_recipient
from microplex.fusion.learning import Law
from microplex.fusion.reading import Rows
from microplex.fusion.walking import walk

if TYPE_CHECKING:
    from microplex.fusion.fusion import MultiSourceFusion

Bounds: TypeAlias = CorrelationBounds | FrechetBounds


def bounds_of(
    fusion: MultiSourceFusion, data: Frame, x: str, y: str, weight_col: str | None, n_draws: int, seed: int
) -> Bounds:
    """Return the bounds; the parameters are those of `MultiSourceFusion.bounds`.

    Raises
    ------
    ParameterError, ColumnNotFoundError, DataError
        If a source observes both, they are a number and a category, or the weights are no numbers.
    """
    check_columns(fusion.schema_.names, [x, y], "bounded")
    n_draws = check_whole(n_draws, "n_draws", 1)
    home = {name: block for block in fusion.blocks_ for name in block.targets}
    if x not in home[y].apart and y not in home[x].apart:
        raise ParameterError(f"{x!r} and {y!r} are observed together: their dependence is learnt, and needs no bounds.")
    columns = fusion.schema_[x], fusion.schema_[y]
    if columns[0].is_numeric != columns[1].is_numeric:
        raise ParameterError(f"bounds need two numbers or two categories; {x!r} and {y!r} are one of each.")
    shared = [v for v in (*home[x].known, *home[x].linked) if v in (*home[y].known, *home[y].linked)]
    if shared:
        check_columns(column_names(data), shared, "common")
        rows = read_recipient(select(data, shared), fusion.schema_)
    else:
        rows = empty_rows(fusion.schema_, n_rows(data))
    weights = None
    if weight_col is not None:
        check_columns(column_names(data), [weight_col], "weight")
        found = read_column(data, weight_col)
        if found.values is None:
            raise DataError(f"weight column {weight_col!r} must hold numbers, got {found.dtype} values.")
        weights = check_weights(found.values, rows.n, weight_col)
    keys = row_keys(np.arange(rows.n))
    if columns[0].is_numeric:
        last = max(i for i, block in enumerate(fusion.blocks_) if {x, y} & {*block.targets})
        draws: dict[str, list[NDArray[Any]]] = {x: [], y: []}
        for draw in range(n_draws):
            state, _ = draw_rows(fusion.laws_[: last + 1], Links.none(), rows, keys, seed, draw)
            for name, drawn in draws.items():
                drawn.append(state.values[name])
        return correlation_bounds(np.stack(draws[x]), np.stack(draws[y]), weights)
    laws = [_level_law(fusion.laws_, c.name, rows, keys, seed, n_draws)[:, : len(c.levels)] for c in columns]
    every = np.ones(rows.n) if weights is None else weights
    return frechet_bounds(laws[0], laws[1], every, x_levels=columns[0].levels, y_levels=columns[1].levels)


def _level_law(
    laws: Sequence[Law], name: str, rows: Rows, keys: NDArray[np.uint64], seed: int, n_draws: int
) -> NDArray[np.float64]:
    """Law of a category given what rows observe, float64[n, n_codes].

    The mean over draws of what comes before it, members of the ensemble in turn; one pass where nothing does.
    """
    place = next(i for i, law in enumerate(laws) if name in law.block.targets)
    law, target = laws[place], laws[place].targets.index(name)
    members = law.ensemble.members
    free = all(member.order[0] == target for member in members) and all(rows.seen[v].all() for v in law.inputs)
    rounds = 1 if free else max(1, -(-n_draws // len(members)))
    nothing = {v: np.zeros(rows.n, bool) for v in law.targets}
    total = np.zeros((rows.n, law.encoder.codecs[name].n_codes))
    for draw in range(rounds * len(members)):
        state, _ = draw_rows(laws[:place], Links.none(), rows, keys, seed, draw)
        u = uniforms(seed, keys, STREAM + PER_LAW * place + draw, 1 + 2 * len(law.targets))
        u[0] = (draw % len(members) + 0.5) / len(members)
        given, values = law.given(state, None), {v: state.values[v] for v in law.targets}
        total += walk(law, given, values, nothing, u, wanted=name).law
    return total / (rounds * len(members))
