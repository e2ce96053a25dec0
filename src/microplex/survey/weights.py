"""Survey weights: their effective size, trimming and rounding.

Kish (1965), "Survey Sampling"; Potter (1990), "A study of procedures to identify and trim extreme sampling weights".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex._random import generator
from microplex._validation import check_weights
from microplex.errors import ParameterError

Floats = NDArray[np.float64]

_STREAM = 501


def ess(weights: ArrayLike) -> float:
    """Return Kish's effective sample size, (sum w)^2 / sum w^2.

    A row of weight 3 counts as one row here: this is about the spread of weights, not about how many they stand for.

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.

    Returns
    -------
    float
        Between 1 and n; n where all weights are equal.

    Raises
    ------
    DataError
        If a weight is missing, infinite or negative, or all are 0.

    Examples
    --------
    >>> ess([1, 1, 1, 1]), ess([3, 1])
    (4.0, 1.6)
    """
    w = _checked(weights)
    w = np.ldexp(w, -np.frexp(w.max())[1])
    return float(w.sum() ** 2 / (w @ w))


def kish_design_effect(weights: ArrayLike) -> float:
    """Return the design effect of unequal weighting, n sum w^2 / (sum w)^2 (Kish, 1965, section 11.7).

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative; rows of weight 0 do not count.

    Returns
    -------
    float
        1 plus the squared coefficient of variation of the weights.

    Raises
    ------
    DataError
        If a weight is missing, infinite or negative, or all are 0.

    Examples
    --------
    >>> kish_design_effect([2, 2]), kish_design_effect([3, 1])
    (1.0, 1.25)
    """
    w = _checked(weights)
    return float(np.count_nonzero(w) / ess(w))


def trim_weights(weights: ArrayLike, largest: float = 5.0) -> Floats:
    """Cap weights at a multiple of their median and give the excess to the others in proportion.

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.
    largest : float
        The cap, as a multiple of the median positive weight; more than 1.

    Returns
    -------
    float64[n]
        Weights with the same sum, none above the cap.

    Raises
    ------
    DataError
        If a weight is missing, infinite or negative, or all are 0.
    ParameterError
        If the cap is too low to hold the sum.

    Examples
    --------
    >>> trim_weights([1, 1, 1, 1, 10], largest=4).tolist()
    [2.5, 2.5, 2.5, 2.5, 4.0]
    """
    w = _checked(weights)
    positive = w[w > 0]
    cap = float(largest * np.median(positive))
    total = w.sum()
    if not cap * len(positive) > total:
        lowest = total / len(positive) / np.median(positive)
        raise ParameterError(f"largest must be above {lowest:.4g} to keep the sum of the weights; got {largest!r}.")
    is_capped = np.zeros(len(w), bool)
    while (over := ~is_capped & (w > cap)).any():
        is_capped |= over
        w = np.where(is_capped, cap, w * ((total - cap * is_capped.sum()) / w[~is_capped].sum()))
    return np.asarray(w)


def integerise_weights(weights: ArrayLike, seed: int = 0) -> NDArray[np.int64]:
    """Round weights to whole numbers at random, without bias.

    The fractions are rounded up by systematic sampling, so each result is one of the two neighbours of its weight,
    has the weight as its expectation, and their sum is one of the two neighbours of the sum.

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.
    seed : int
        Zero or more.

    Returns
    -------
    int64[n]
        Whole weights.

    Raises
    ------
    DataError
        If a weight is missing, infinite or negative, or all are 0.

    Examples
    --------
    >>> whole = integerise_weights([0.5, 0.5, 2.0, 1.25, 1.75], seed=0)
    >>> int(whole.sum()), int(whole[2])
    (6, 2)
    """
    w = _checked(weights)
    whole = np.floor(w)
    order = generator(seed, _STREAM).permutation(len(w))
    sums = np.cumsum((w - whole)[order])
    near = np.rint(sums)
    sums = np.where(np.abs(sums - near) < 1e-9, near, sums)
    steps = np.floor(sums + generator(seed, _STREAM + 1).random())
    whole[order] += np.diff(steps, prepend=0.0)
    return whole.astype(np.int64)


def _checked(weights: ArrayLike) -> Floats:
    return check_weights(weights, np.size(np.asarray(weights, dtype=object)), "weights")
