"""What the sources leave open: bounds of the dependence of two variables that none of them observes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex._random import row_keys
from microplex._validation import check_columns, check_weights
from microplex.errors import ParameterError
from microplex.frames import Frame, column_names, n_rows, read_column, select
from microplex.fusion.bounds import CorrelationBounds, FrechetBounds, correlation_bounds, frechet_bounds
from microplex.fusion.completing import draw_rows
from microplex.fusion.coupling import Links
from microplex.fusion.intake import empty_rows, read_recipient

if TYPE_CHECKING:
    from microplex.fusion.fusion import MultiSourceFusion

Bounds: TypeAlias = CorrelationBounds | FrechetBounds


def bounds_of(
    fusion: MultiSourceFusion, data: Frame, x: str, y: str, weight_col: str | None, n_draws: int, seed: int
) -> Bounds:
    """Return the bounds; the parameters are those of `MultiSourceFusion.bounds`.

    Raises
    ------
    ParameterError, ColumnNotFoundError
        If a source observes both, or they are a number and a category.
    """
    check_columns(fusion.schema_.names, [x, y], "bounded")
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
        weights = check_weights(read_column(data, weight_col).values, rows.n, weight_col)
    keys = row_keys(np.arange(rows.n))
    draws: dict[str, list[NDArray[Any]]] = {x: [], y: []}
    for draw in range(n_draws):
        state, _ = draw_rows(fusion.laws_, Links.none(), rows, keys, seed, draw)
        for name, found in draws.items():
            found.append(state.values[name])
    if columns[0].is_numeric:
        return correlation_bounds(np.stack(draws[x]), np.stack(draws[y]), weights)
    laws = [_shares(np.stack(draws[c.name]), len(c.levels)) for c in columns]
    every = np.ones(rows.n) if weights is None else weights
    return frechet_bounds(laws[0], laws[1], every, x_levels=columns[0].levels, y_levels=columns[1].levels)


def _shares(codes: NDArray[np.int32], n_levels: int) -> NDArray[np.float64]:
    return np.stack([(codes == level).mean(axis=0) for level in range(n_levels)], axis=1)
