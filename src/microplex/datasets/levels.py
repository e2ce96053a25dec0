"""Categories as positions of levels, and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.datasets.features import Floats, Ints
from microplex.errors import DataError, near_miss


def categorical(codes: NDArray[np.integer], levels: tuple[str, ...], ordered: bool = False) -> pd.Categorical[str]:
    """Return a categorical column.

    Parameters
    ----------
    codes : int[n]
        Positions of levels; -1 is missing.
    levels : tuple of str
        The levels.
    ordered : bool
        Whether they have an order.

    Returns
    -------
    Categorical of length n
        The column.

    Examples
    --------
    >>> list(categorical(np.array([1, 0]), ("male", "female")))
    ['female', 'male']
    """
    return pd.Categorical.from_codes(codes, pd.Index(levels), ordered=ordered)


def level_features(codes: Ints, levels: tuple[str, ...]) -> dict[str, Floats]:
    """Return a 0/1 feature for every level.

    Parameters
    ----------
    codes : int64[n]
        Positions of levels.
    levels : tuple of str
        The levels.

    Returns
    -------
    dict of float64[n]
        By level.

    Examples
    --------
    >>> level_features(np.array([1, 0]), ("male", "female"))["female"].tolist()
    [1.0, 0.0]
    """
    return {level: (codes == code).astype(np.float64) for code, level in enumerate(levels)}


def level_codes(frame: pd.DataFrame, name: str, levels: tuple[str, ...]) -> Ints:
    """Return the positions of a column's values in its levels.

    Parameters
    ----------
    frame : DataFrame of n rows
        The table.
    name : str
        A column of strings or categories.
    levels : tuple of str
        What it may hold.

    Returns
    -------
    int64[n]
        Positions.

    Raises
    ------
    DataError
        If a value is none of the levels.

    Examples
    --------
    >>> level_codes(pd.DataFrame({"sex": ["female", "male"]}), "sex", ("male", "female")).tolist()
    [1, 0]
    """
    codes = pd.Index(levels).get_indexer(pd.Index(frame[name].cat.categories)) if _is_category(frame[name]) else None
    if codes is None:
        found = pd.Index(levels).get_indexer(pd.Index(frame[name]))
    else:
        own = frame[name].cat.codes.to_numpy()
        found = np.where(own < 0, -1, codes[own])
    bad = np.flatnonzero(found < 0)
    if bad.size:
        value = frame[name].iloc[int(bad[0])]
        raise DataError(
            f"column {name!r} must hold one of {', '.join(levels)}; row {bad[0]} has {value!r}."
            f"{near_miss(str(value), levels)}"
        )
    return np.asarray(found, dtype=np.int64)


def _is_category(column: pd.Series) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype)
