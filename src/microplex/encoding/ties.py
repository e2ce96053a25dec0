"""What observed columns leave of a missing one that comes before them: constraints read backwards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from microplex.encoding.encoder import Allowed, Encoder, Values
from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import NumberCodec, bounds_of
from microplex.flow.cells import Array
from microplex.flow.ranges import Range

SLACK = 1e-9


def tied(encoder: Encoder, values: Values, missing: Allowed) -> NDArray[np.bool_]:
    """Rows on which a derived column is observed and a part of it is missing, bool[n]."""
    out = np.zeros(len(missing), bool)
    for name, of in encoder.plan.free.items():
        if name in values:
            parts = [i for i, target in enumerate(encoder.targets) if target in of]
            out |= ~np.isnan(values[name]) & missing[:, parts].any(axis=1)
    return out


def narrow(encoder: Encoder, name: str, values: Values, n: int) -> tuple[Range | None, Allowed | None]:
    """Limits of a target, or mask of its codes, given all columns known on each row.

    Parameters
    ----------
    encoder
        Codes and constraints.
    name
        A modelled target.
    values
        Columns, those that come later too; NaN or -1 where not known.
    n
        Number of rows.

    Returns
    -------
    tuple
        As :meth:`Encoder.support`; limits that are one point pin the value.
    """
    if not encoder.plan.constraints:
        return None, None
    limits, mask = encoder.support(name, {k: v for k, v in values.items() if k != name}, n, use_later=True)
    codec = encoder.codecs[name]
    if isinstance(codec, LevelCodec):
        return limits, mask
    for derived, of in encoder.plan.free.items():
        if name in of and derived in values:
            low, high = _remaining(encoder, derived, name, values)
            low, high = _settled(codec, low), _settled(codec, high)
            if limits is not None:
                low, high = np.maximum(low, limits.low), np.minimum(high, limits.high)
            limits = Range(low, high, np.full(n, np.nan) if limits is None else limits.excluded)
    return limits, mask


def _remaining(encoder: Encoder, derived: str, name: str, values: Values) -> tuple[Array, Array]:
    """Least and greatest value of a part, given the derived column and the other parts or their bounds."""
    total = np.asarray(values[derived], float)
    low, high = total.copy(), total.copy()
    of = encoder.plan.free[derived]
    for other, factor in of.items():
        if other == name:
            continue
        x, column = np.asarray(values[other], float), encoder.schema[other]
        ends = sorted(factor * end for end in bounds_of(column))
        unknown = np.isnan(x)
        low = low - np.where(unknown, ends[1], factor * x)
        high = high - np.where(unknown, ends[0], factor * x)
    a, b = low / of[name], high / of[name]
    low, high = np.minimum(a, b), np.maximum(a, b)
    free = np.isnan(total)
    return np.where(free | np.isnan(low), -np.inf, low), np.where(free | np.isnan(high), np.inf, high)


def _settled(codec: NumberCodec, x: Array) -> Array:
    """Values in the form of the grid, or without the rounding that a difference leaves."""
    if codec.grid:
        finite = np.isfinite(x)
        own = np.where(finite, x, 0.0)
        at = codec.snap(np.round(own / codec.grid) * codec.grid)
        return np.where(finite & (np.abs(at - own) <= 1e-6 * codec.grid), at, x)
    return np.where(np.abs(x) <= SLACK, 0.0, x)
