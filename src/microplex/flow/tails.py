"""Generalised Pareto tails beyond the outer knots of a numeric column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHAPE_RANGE = (-0.4, 0.5)


def fit_pareto(excess: Array, weights: Array | None = None) -> tuple[float, float]:
    """Fit a generalised Pareto law to excesses by probability-weighted moments.

    Parameters
    ----------
    excess
        Positive excesses over the threshold, shape ``(n,)``.
    weights
        Survey weights, shape ``(n,)``; equal when omitted.

    Returns
    -------
    tuple of float
        Scale (units of the column, positive) and shape, the shape limited to ``[-0.4, 0.5]``.

    Notes
    -----
    Hosking and Wallis (1987): with ``a0 = E X`` and ``a1 = E[X (1 - F)]``, the shape is
    ``2 - a0 / (a0 - 2 a1)`` and the scale ``2 a0 a1 / (a0 - 2 a1)``. After limiting the shape, the
    scale is refitted to the mean.

    Examples
    --------
    >>> grid = (np.arange(1000) + 0.5) / 1000
    >>> scale, shape = fit_pareto(pareto_ppf(grid, 2.0, 0.2))
    >>> round(scale, 1), round(shape, 1)
    (2.0, 0.2)
    """
    order = np.argsort(excess, kind="stable")
    x = excess[order]
    w = np.ones(len(x)) if weights is None else weights[order]
    w = w / w.sum()
    survival = 1.0 - (np.cumsum(w) - 0.5 * w)
    mean = float(w @ x)
    moment = float(w @ (x * survival))
    gap = mean - 2.0 * moment
    shape = 2.0 - mean / gap if gap > 0 else SHAPE_RANGE[1]
    shape = float(np.clip(shape, *SHAPE_RANGE))
    return max(mean * (1.0 - shape), np.finfo(float).tiny), shape


def pareto_cdf(x: Array, scale: Array | float, shape: Array | float) -> Array:
    """Distribution function at excess ``x >= 0``."""
    scale, shape = np.broadcast_arrays(np.asarray(scale, float), np.asarray(shape, float))
    z = np.maximum(x, 0.0) / scale
    flat = np.abs(shape) < 1e-6
    safe = np.where(flat, 1.0, shape)
    powered = -np.expm1(-np.log1p(np.maximum(safe * z, -1.0 + 1e-15)) / safe)
    return np.asarray(np.where(flat, -np.expm1(-z), powered))


def pareto_ppf(u: Array, scale: Array | float, shape: Array | float) -> Array:
    """Quantile function: the excess at probability ``u`` in ``(0, 1)``."""
    scale, shape = np.broadcast_arrays(np.asarray(scale, float), np.asarray(shape, float))
    exponential = -np.log1p(-u)
    flat = np.abs(shape) < 1e-6
    safe = np.where(flat, 1.0, shape)
    return np.asarray(scale * np.where(flat, exponential, np.expm1(safe * exponential) / safe))


def pareto_log_pdf(x: Array, scale: Array | float, shape: Array | float) -> Array:
    """Log density at excess ``x >= 0``; ``-inf`` beyond a finite end point."""
    scale, shape = np.broadcast_arrays(np.asarray(scale, float), np.asarray(shape, float))
    z = x / scale
    flat = np.abs(shape) < 1e-6
    safe = np.where(flat, 1.0, shape)
    inside = 1.0 + safe * z
    with np.errstate(divide="ignore", invalid="ignore"):
        powered = -(1.0 + 1.0 / safe) * np.log(np.where(inside > 0, inside, np.nan))
    out = np.where(flat, -z, powered) - np.log(scale)
    return np.asarray(np.where((x >= 0) & (flat | (inside > 0)), out, -np.inf))
