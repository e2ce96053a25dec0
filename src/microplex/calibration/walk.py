"""Fewer records, or whole weights, with the same totals: the bounded simplex walk on weights.

Deville and Tille (2004), "Efficient balanced sampling: the cube method", for the flight phase; `microplex` walks on
clusters of records first and in many regions at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from microplex._random import generator
from microplex._validation import check_seed
from microplex.calibration.flight import fly
from microplex.calibration.rounding import round_leftovers, settle_alike
from microplex.errors import DataError, ParameterError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MINIMAL, _CHOSEN, _WHOLE, _LEFTOVER = 521, 522, 523, 524  # random streams
_STEP = 0.1  # inclusion probabilities are rounded to powers of exp(this), so that records can move together
_SPARE = 0.08  # largest share of `n_records` that is set aside for the records left between 0 and their full weight
_WHOLE_ENOUGH = 1e-9  # weights this close to a whole number, relative to 1 + weight, are taken as whole


def minimal_support(design: Any, weights: ArrayLike, seed: int = 0) -> Floats:
    """Return weights with the same totals on as few records as a basic solution needs.

    Parameters
    ----------
    design : array or sparse matrix of shape (m, n)
        One row a target, one column a record. Rows may depend on each other.
    weights : array_like of shape (n,)
        Not negative.
    seed : int
        Another seed chooses other records.

    Returns
    -------
    float64[n]
        Not negative; ``design @ result`` equals ``design @ weights`` up to rounding, and at most rank(design) of
        them are positive. The expectation over seeds is `weights`, except where nothing stops a weight from rising
        for ever: records that contribute to no target get weight 0, and targets that no positive combination of rows
        bounds (such as one target to which records contribute with both signs) pull weights down.

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, or a weight is negative.

    Examples
    --------
    >>> kept = minimal_support([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]], [1.0, 1.0, 1.0], seed=0)
    >>> int((kept > 0).sum()), float(kept.sum()), round(float(kept @ [0, 1, 2]), 9)
    (2, 3.0, 3.0)
    """
    matrix, w = _checked(design, weights)
    held = np.flatnonzero(w > 0)
    kept = np.zeros(len(w))
    columns = _contributions(matrix, w, held)
    rng = generator(check_seed(seed), _MINIMAL)
    kept[held] = w[held] * fly(columns, np.ones(len(held)), np.inf, rng, share_value=True)
    return kept


def choose_records(design: Any, weights: ArrayLike, n_records: int, seed: int = 0) -> Floats:
    """Return weights with the same totals on about `n_records` records, spread as evenly as they can be.

    Each record is kept with a probability proportional to its weight (1 at most, rounded to steps of about 10 %) and
    then stands for weight / probability; up to rank(design) + 1 records stay in between, with less weight.

    Parameters
    ----------
    design : array or sparse matrix of shape (m, n)
        One row a target, one column a record. Rows may depend on each other.
    weights : array_like of shape (n,)
        Not negative.
    n_records : int
        Records to keep, 1 or more. Where rank(design) is a small part of it, the number kept is within a few per
        cent; else it is up to rank(design) more, and never need it be less than rank(design).
    seed : int
        Another seed chooses other records.

    Returns
    -------
    float64[n]
        Not negative, with `weights` as their expectation; ``design @ result`` equals ``design @ weights`` up to
        rounding. All of `weights` where no more than `n_records` are positive.

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, or a weight is negative.
    ParameterError
        If `n_records` is not a positive whole number.

    Examples
    --------
    >>> kept = choose_records(np.ones((1, 1000)), np.ones(1000), 100)
    >>> round(float(kept.sum()), 6), bool(abs((kept > 0).sum() - 100) <= 2)
    (1000.0, True)
    """
    matrix, w = _checked(design, weights)
    if isinstance(n_records, bool) or not isinstance(n_records, int | np.integer) or n_records < 1:
        raise ParameterError(f"n_records must be a whole number of at least 1; got {n_records!r}.")
    held = np.flatnonzero(w > 0)
    if len(held) <= n_records:
        return w
    spare = min(0.5 * min(matrix.shape[0], len(held)), _SPARE * n_records)
    chance = _chances(w[held], n_records - spare)
    kept = w.copy()
    rng = generator(check_seed(seed), _CHOSEN)
    open_ = chance < 1
    ids, chance = held[open_], chance[open_]
    size = sp.csr_array(np.ones((len(ids), 1)) / max(len(ids), 1))  # keeps the number of records, too
    columns = sp.hstack([_contributions(matrix, w, ids, chance), size], format="csr")
    kept[ids] *= fly(columns, chance, 1.0, rng, share_value=True, to_the_end=False) / chance
    return kept


def integerise(design: Any, weights: ArrayLike, seed: int = 0, importance: ArrayLike | None = None) -> Ints:
    """Round weights to whole numbers that keep the totals as closely as arithmetic allows.

    The walk settles all but at most rank(design) fractions with the totals unchanged; those are rounded at random,
    and a local search then moves single records and pairs to their other neighbour while that lowers the sum of
    absolute errors.

    Parameters
    ----------
    design : array or sparse matrix of shape (m, n)
        One row a target, one column a record. Rows may depend on each other.
    weights : array_like of shape (n,)
        Not negative.
    seed : int
        Of the walk and the rounding.
    importance : array_like of shape (m,), optional
        Positive; what an error in a target costs, one in the amount of a typical record of that target being the
        unit. Equal by default.

    Returns
    -------
    int64[n]
        Each less than 1 away from its weight, which is its expectation up to the local search.

    Raises
    ------
    DataError
        If shapes differ, a value is not finite, or a weight is negative.

    Examples
    --------
    >>> integerise([[1.0, 1.0, 1.0, 1.0]], [0.5, 0.5, 2.0, 1.0]).sum()
    np.int64(4)
    """
    matrix, w = _checked(design, weights)
    near = np.rint(w)
    whole = np.where(np.abs(w - near) <= _WHOLE_ENOUGH * (1 + w), near, np.floor(w))
    fraction = np.maximum(w - whole, 0.0)
    ids = np.flatnonzero((whole != near) | (fraction > _WHOLE_ENOUGH * (1 + w)))
    cost = np.ones(matrix.shape[0]) if importance is None else np.asarray(importance, dtype=np.float64)
    if cost.shape != (matrix.shape[0],) or not (np.isfinite(cost).all() and (cost > 0).all()):
        raise DataError(f"importance must hold {matrix.shape[0]} positive numbers, one a target; got {importance!r}.")
    if not len(ids):
        return whole.astype(np.int64)
    seed = check_seed(seed)
    rng = generator(seed, _WHOLE)
    settled = settle_alike(sp.csr_array(matrix[:, ids].T), fraction[ids], rng)
    open_ = np.flatnonzero((settled > 0) & (settled < 1))
    columns = _contributions(matrix, np.ones(len(w)), ids[open_])
    settled[open_] = fly(columns, settled[open_], 1.0, rng, share_value=False, to_the_end=False)
    error = matrix @ (whole - w)
    whole[ids] += round_leftovers(
        sp.csr_array(matrix[:, ids].T), settled, error, _unit_cost(matrix) * cost, generator(seed, _LEFTOVER)
    )
    return whole.astype(np.int64)


def _unit_cost(matrix: sp.csr_array) -> Floats:
    """Return one over the amount of a typical record of each target."""
    amount: Floats = abs(matrix) @ np.ones(matrix.shape[1])
    count = np.diff(matrix.indptr)
    return np.divide(count, amount, out=np.ones(len(count)), where=amount > 0)


def _chances(weights: Floats, number: float) -> Floats:
    """Return inclusion probabilities that sum to about `number`: min(1, c w), rounded to steps."""
    number = max(number, 1e-9)
    ascending = np.sort(weights)
    sums = np.cumsum(ascending)
    # With the k largest certain, c = (number - k) / (sum of the rest); the first k that leaves no other above 1.
    certain = np.arange(len(weights))
    rest, top = sums[::-1], ascending[::-1]
    fits = (number - certain) * top <= rest
    k = int(np.argmax(fits)) if fits.any() else int(number)
    c = max(number - k, 1e-9) / rest[k]
    chance = np.exp(_STEP * np.rint(np.log(np.minimum(c * weights, 1.0)) / _STEP))
    return np.where(c * weights >= 1, 1.0, np.minimum(chance, 1.0))


def _contributions(
    matrix: sp.csr_array, weights: Floats, ids: NDArray[np.intp], chance: Floats | None = None
) -> sp.csr_array:
    """Return the records' contributions to each total, one row a record, on a scale on which totals compare."""
    amounts = matrix[:, ids].multiply((weights[ids] if chance is None else weights[ids] / chance)[None, :])
    columns = sp.csr_array(amounts.T)
    full = np.ones(len(ids)) if chance is None else chance
    size = abs(columns).T @ full
    columns.data *= (1.0 / np.where(size > 0, size, 1.0))[columns.indices]
    return columns


def _checked(design: Any, weights: ArrayLike) -> tuple[sp.csr_array, Floats]:
    matrix = sp.csr_array(design, dtype=np.float64, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    w = np.array(weights, dtype=np.float64)
    if w.shape != (matrix.shape[1],):
        raise DataError(
            f"weights must have one value for each of the design's {matrix.shape[1]} records; got the shape {w.shape}."
        )
    for name, values in (("design", matrix.data), ("weights", w)):
        if not np.isfinite(values).all():
            raise DataError(f"the {name} must be finite; got {values[~np.isfinite(values)][0]}.")
    if (w < 0).any():
        i = int(np.argmax(w < 0))
        raise DataError(f"weights must not be negative; weight {i} is {w[i]:g}.")
    return matrix, w
