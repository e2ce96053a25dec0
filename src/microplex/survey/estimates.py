"""Weighted estimates: a row of weight 3 counts like the row three times, one of weight 0 like none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microplex._validation import check_weights
from microplex.errors import DataError, ParameterError

Floats = NDArray[np.float64]

SLACK = 1e-12  # of the total weight, by which a cumulative sum may be off


def total(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted total, sum w x (Horvitz and Thompson, 1952).

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float
        In the unit of the values.

    Raises
    ------
    DataError
        If a value is missing or infinite, or the weights are bad.

    Examples
    --------
    >>> total([1, 2], [3, 1])
    5.0
    """
    x, w = _pair(values, weights)
    return float(w @ x)


def mean(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted mean, sum w x / sum w (Hajek, 1971).

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float
        In the unit of the values.

    Raises
    ------
    DataError
        If a value is missing or infinite, or the weights are bad.

    Examples
    --------
    >>> mean([1, 2], [3, 1])
    1.25
    """
    x, w = _pair(values, weights)
    return float(w @ x / w.sum())


def quantile(values: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return weighted quantiles: the smallest value whose cumulative share is at least p.

    The inverse of the weighted distribution function (definition 1 of Hyndman and Fan, 1996, "Sample quantiles in
    statistical packages"), the only one for which a weight of 3 is the row three times.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    probabilities : array_like of shape (k,)
        Between 0 and 1.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float64[k]
        Each one of the values.

    Raises
    ------
    DataError
        If a value is missing or infinite, or the weights are bad.
    ParameterError
        If a probability lies outside 0 and 1.

    Examples
    --------
    >>> quantile([10, 20, 30], [0.5, 0.9], [3, 1, 1]).tolist()
    [10.0, 30.0]
    """
    p = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    if not ((p >= 0) & (p <= 1)).all():
        raise ParameterError(f"probabilities must lie between 0 and 1; got {p[~((p >= 0) & (p <= 1))][0]}.")
    return inverse(*ecdf(values, weights), p)


def inverse(points: Floats, shares: Floats, probabilities: ArrayLike) -> Floats:
    """Return the smallest point whose cumulative share is at least p.

    Parameters
    ----------
    points, shares : float64[k]
        From `ecdf`.
    probabilities : array_like of any shape
        Between 0 and 1.

    Returns
    -------
    float64 of the shape of `probabilities`
        Each one of the points.

    Examples
    --------
    >>> float(inverse(np.array([10.0, 20.0]), np.array([0.5, 1.0]), 0.6))
    20.0
    """
    place = np.searchsorted(shares, np.asarray(probabilities, dtype=np.float64) - SLACK, side="left")
    return np.asarray(points[np.minimum(place, len(points) - 1)])


def ecdf(values: ArrayLike, weights: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Return the weighted empirical distribution function.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    points : float64[k]
        Distinct values of positive weight, ascending.
    shares : float64[k]
        Share of the weight at or below each; the last is 1.

    Raises
    ------
    DataError
        If a value is missing or infinite, or the weights are bad.

    Examples
    --------
    >>> points, shares = ecdf([2, 1, 2], [1, 1, 2])
    >>> points.tolist(), shares.tolist()
    ([1.0, 2.0], [0.25, 1.0])
    """
    x, w = _pair(values, weights)
    points, place = np.unique(x[w > 0], return_inverse=True)
    cumulative = np.cumsum(np.bincount(place, weights=w[w > 0]))
    return points, cumulative / cumulative[-1]


def correlation(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return Pearson's correlation with weighted moments.

    Parameters
    ----------
    x, y : array_like of shape (n,)
        Numbers, none missing.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float
        Between -1 and 1; NaN if a variable is constant.

    Raises
    ------
    DataError
        If a value is missing or infinite, or the weights are bad.

    Examples
    --------
    >>> correlation([0, 1, 5], [0, 2, -7], [1, 1, 0])
    1.0
    """
    a, w = _pair(x, weights)
    b, _ = _pair(y, w)
    if min(np.ptp(a[w > 0]), np.ptp(b[w > 0])) == 0:
        return float("nan")
    share = w / w.sum()
    a, b = a - share @ a, b - share @ b
    return float(np.clip((share @ (a * b)) / np.sqrt((share @ a**2) * (share @ b**2)), -1, 1))


def crosstab(rows: Any, columns: Any, weights: ArrayLike | None = None) -> pd.DataFrame:
    """Return weighted counts by two variables.

    Parameters
    ----------
    rows, columns : array_like of shape (n,)
        Categories; pandas categoricals keep their order and their empty levels.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    DataFrame
        Sum of the weights in every cell, 0 where there is none.

    Raises
    ------
    DataError
        If a category is missing, lengths differ, or the weights are bad.

    Examples
    --------
    >>> crosstab(["a", "a", "b"], ["x", "y", "x"], [3, 1, 2]).values.tolist()
    [[3.0, 1.0], [2.0, 0.0]]
    """
    first, second = pd.Categorical(rows), pd.Categorical(columns)
    if len(first) != len(second):
        raise DataError(f"crosstab needs columns of one length; got {len(first)} and {len(second)}.")
    w = check_weights(weights, len(first), "weights")
    for name, codes in (("rows", first.codes), ("columns", second.codes)):
        if (codes < 0).any():
            raise DataError(f"crosstab {name}: row {int(np.argmax(codes < 0))} is missing. Give it a level of its own.")
    shape = (len(first.categories), len(second.categories))
    place = first.codes.astype(np.int64) * shape[1] + second.codes
    cells = np.bincount(place, weights=w, minlength=shape[0] * shape[1])
    return pd.DataFrame(cells.reshape(shape), index=first.categories, columns=second.categories)


def _pair(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    x = np.asarray(values, dtype=np.float64)
    w = check_weights(weights, len(x), "weights")
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise DataError(f"values must be finite; row {bad[0]} has {x[bad[0]]}. Leave such rows out.")
    return x, w
