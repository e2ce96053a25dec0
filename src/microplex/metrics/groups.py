"""Which rows of a table are the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SALTS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


def row_groups(rows: Floats | Sequence[NDArray[np.generic]]) -> Ints:
    """Number the distinct rows of a table, in the order of their first appearance; NaN equals NaN.

    Rows are sorted by a 64-bit hash and compared in full with the first row of their hash, so the result is exact and
    takes the memory of a few columns.

    Parameters
    ----------
    rows : float64[n, p] or sequence of p arrays of shape (n,)

    Examples
    --------
    >>> row_groups(np.array([[2.0, np.nan], [1.0, 0.0], [2.0, np.nan]])).tolist()
    [0, 1, 0]
    """
    columns = list(rows.T) if isinstance(rows, np.ndarray) else list(rows)
    for salt in _SALTS:
        hashed = np.full(len(columns[0]), salt, dtype=np.uint64)
        for column in columns:
            hashed = _mixed(hashed ^ _bits(column))
        _, first, place = np.unique(hashed, return_index=True, return_inverse=True)
        if all(np.array_equal(_bits(column), _bits(column)[first[place]]) for column in columns):
            break
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return np.asarray(number[place])


def _bits(column: NDArray[np.generic]) -> NDArray[np.uint64]:
    values = np.array(column, dtype=np.float64) + 0.0
    values[np.isnan(values)] = np.nan
    return values.view(np.uint64)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits one to one (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    words = (words ^ words >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ words >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return np.asarray(words ^ words >> np.uint64(31))
