"""Heaping: how much of a variable is rounded to tens, hundreds, thousands."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from microplex.errors import DataError
from microplex.metrics.pair import Floats
from microplex.survey import ecdf, quantile

_ROUNDING = 1e-12
_MAX_STEPS = 24


def heaping(values: ArrayLike, steps: ArrayLike, weights: ArrayLike | None = None, *, unit: float = 0.0) -> Floats:
    """Return the share of the values other than 0 that are multiples of each step, beyond chance.

    (share of multiples of s) - unit / s: of values written in whole units, every s-th is a multiple of s by chance; of
    continuous values (unit 0) none is. 0 without rounding, 1 - unit / s where every value is rounded to s. In the
    spirit of Whipple's index of age heaping (Spoorenberg, 2007, "Quality of age reporting").

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    steps : array_like of shape (k,)
        Positive.
    weights : array_like of shape (n,), optional
    unit : float
        Unit in which values are written, such as 1 for whole numbers or 0.01 for cents; 0 for continuous ones.

    Returns
    -------
    float64[k]

    Raises
    ------
    DataError
        If no value differs from 0, a value is missing or infinite, or weights are bad.

    Examples
    --------
    >>> heaping([100, 200, 350, 123], [10, 100], unit=1).tolist()
    [0.65, 0.49]
    """
    points, shares = _others_than_zero(values, weights)
    found = []
    for step in np.asarray(steps, dtype=np.float64):
        turns = points / step
        whole = np.abs(turns - np.rint(turns)) <= _ROUNDING * np.maximum(np.abs(turns), 1.0)
        found.append(float(shares @ whole) - min(unit / float(step), 1.0))
    return np.array(found)


def heaping_steps(values: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the steps to which people may have rounded values: 10^k and 5 x 10^k of their size.

    From a tenth of the leading power of ten of the median size (or from 1 where that is less) up to the largest value.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    weights : array_like of shape (n,), optional

    Returns
    -------
    float64[k]

    Raises
    ------
    DataError
        If no value differs from 0, a value is missing or infinite, or weights are bad.

    Examples
    --------
    >>> heaping_steps([0, 30, 200]).tolist()
    [1.0, 5.0, 10.0, 50.0, 100.0]
    """
    points, shares = _others_than_zero(values, weights)
    sizes = np.abs(points)
    low = min(0, int(np.floor(np.log10(quantile(sizes, 0.5, shares)[0]))) - 1)
    high = int(np.floor(np.log10(sizes.max())))
    steps: Floats = np.array([digit * 10.0**k for k in range(low, high + 1) for digit in (1, 5)])
    kept: Floats = steps[steps <= sizes.max()][:_MAX_STEPS]
    return kept


def heaping_error(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> float:
    """Return the largest difference of the shares of multiples of 10^k and 5 x 10^k among values other than 0.

    max_s ``|heaping of synthetic at s - heaping of real at s|`` over `heaping_steps` of the real values; the share that
    is due to chance is the same on both sides and cancels. Between 0 (ideal) and 1.

    Parameters
    ----------
    real : array_like of shape (n,)
        Numbers, none missing.
    synthetic : array_like of shape (k,)
    real_weights, synthetic_weights : array_like, optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If no value of a sample differs from 0, a value is missing or infinite, or weights are bad.

    Examples
    --------
    >>> heaping_error([100, 200, 300, 350], [103, 200, 297, 353])
    0.75
    """
    return float(np.max(np.abs(heaping_gaps(real, synthetic, real_weights, synthetic_weights)[1])))


def heaping_gaps(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> tuple[Floats, Floats]:
    """Return the steps and, for each, the heaping of the synthetic values minus that of the real ones.

    Parameters
    ----------
    real, synthetic, real_weights, synthetic_weights
        See `heaping_error`.

    Returns
    -------
    steps, gaps : float64[k]

    Raises
    ------
    DataError
        See `heaping_error`.

    Examples
    --------
    >>> steps, gaps = heaping_gaps([10, 20], [10, 25])
    >>> steps.tolist(), gaps.tolist()
    ([1.0, 5.0, 10.0], [0.0, 0.0, -0.5])
    """
    steps = heaping_steps(real, real_weights)
    return steps, heaping(synthetic, steps, synthetic_weights) - heaping(real, steps, real_weights)


def _others_than_zero(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    points, cumulative = ecdf(values, weights)
    shares = np.where(points == 0, 0.0, np.diff(cumulative, prepend=0.0))
    if not shares.sum() > 0:
        raise DataError("no value differs from 0")
    return points[points != 0], shares[points != 0] / shares.sum()
