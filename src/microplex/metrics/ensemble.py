"""Scores of conditional laws, each given as an ensemble of draws, against the value that was observed.

Functions take `draws` of shape (m, n), m draws for each of n rows, and the n observed values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microplex._random import generator
from microplex._validation import check_columns, check_seed, check_weights
from microplex.errors import DataError, ParameterError
from microplex.metrics.neighbours import embed, nearest, thin
from microplex.metrics.pair import Floats, Ints, Pair
from microplex.survey import ess

_PIT_STREAM, _JITTER_STREAM, _ROW_STREAM, _POOL_STREAM = 541, 542, 543, 544
_BLOCK = 4_000_000
_JITTER = 1e-5
_SLACK = 1e-12


def crps_rows(draws: ArrayLike, observed: ArrayLike, *, fair: bool = True) -> Floats:
    """Return the continuous ranked probability score of each row.

    mean_i ``|x_i - y|`` - 1/2 mean_ij ``|x_i - x_j|``, the integral of (F - 1[y <= .])^2 for the law F that is
    estimated by the draws x (Matheson and Winkler, 1976; Gneiting and Raftery, 2007, "Strictly proper scoring rules,
    prediction, and estimation"). In the unit of the variable; lower is better, and the true law has the lowest
    expectation, which is not 0 unless the value is certain.

    Parameters
    ----------
    draws : array_like of shape (m, n)
        Numbers, none missing.
    observed : array_like of shape (n,)
    fair : bool
        Take the second mean over the m (m - 1) pairs of different draws, so that the expectation does not depend on m
        (Ferro, 2014); a row may then score below 0. Else over all m^2 pairs: the score of the ensemble itself.

    Returns
    -------
    float64[n]

    Raises
    ------
    DataError
        If shapes do not fit, or a value is missing or infinite.
    ParameterError
        If there are fewer than 2 draws and `fair`.

    Examples
    --------
    >>> crps_rows([[0.0, 1.0], [2.0, 1.0]], [0.0, 3.0]).tolist()
    [0.0, 2.0]
    >>> crps_rows([[0.0, 1.0], [2.0, 1.0]], [0.0, 3.0], fair=False).tolist()
    [0.5, 2.0]
    """
    x, y = _ensemble(draws, observed)
    m = len(x)
    if fair and m < 2:
        raise ParameterError(f"a fair score needs at least 2 draws; got {m}. Give more draws, or fair=False.")
    ranks = (2 * np.arange(1, m + 1) - m - 1.0)[:, None]
    pairs = m * (m - 1) if fair else m**2
    out = np.empty(len(y))
    for block in _blocks(m, len(y)):
        some = np.sort(x[:, block], axis=0)
        out[block] = np.abs(some - y[block]).mean(axis=0) - (ranks * some).sum(axis=0) / pairs
    return out


def crps_ensemble(
    draws: ArrayLike, observed: ArrayLike, weights: ArrayLike | None = None, *, fair: bool = True
) -> float:
    """Return the weighted mean of the continuous ranked probability scores, see `crps_rows`.

    Parameters
    ----------
    draws : array_like of shape (m, n)
        Numbers, none missing.
    observed : array_like of shape (n,)
    weights : array_like of shape (n,), optional
        Of the rows; ones by default.
    fair : bool
        See `crps_rows`.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If shapes do not fit, a value is missing or infinite, or weights are bad.
    ParameterError
        If there are fewer than 2 draws and `fair`.

    Examples
    --------
    >>> crps_ensemble([[0.0, 1.0], [2.0, 1.0]], [0.0, 3.0], weights=[1, 3])
    1.5
    """
    scores = crps_rows(draws, observed, fair=fair)
    w = check_weights(weights, len(scores), "weights")
    return float(w @ scores / w.sum())


def pit(draws: ArrayLike, observed: ArrayLike, *, seed: int = 0) -> Floats:
    """Return the randomised probability integral transform of each observed value.

    (number of draws below + U (1 + number equal)) / (m + 1) with U uniform: exactly uniform on (0, 1) for every m, also
    where the law has atoms, if the observed value is one more draw of the same law (Smith, 1985; Czado, Gneiting and
    Held, 2009, "Predictive model assessment for count data"). Values that crowd at 0 and 1 say that the laws are too
    narrow or off, at 1/2 that they are too wide.

    Parameters
    ----------
    draws : array_like of shape (m, n)
        Numbers, none missing.
    observed : array_like of shape (n,)
    seed : int
        Of U.

    Returns
    -------
    float64[n]

    Raises
    ------
    DataError
        If shapes do not fit, or a value is missing or infinite.
    ParameterError
        If the seed is bad.

    Examples
    --------
    >>> u = pit([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]], [2.0, 9.0])
    >>> bool(0.25 < u[0] < 0.5), bool(u[1] > 0.75)
    (True, True)
    """
    x, y = _ensemble(draws, observed)
    random = generator(check_seed(seed), _PIT_STREAM).random(len(y))
    out = np.empty(len(y))
    for block in _blocks(len(x), len(y)):
        below = (x[:, block] < y[block]).sum(axis=0)
        equal = (x[:, block] == y[block]).sum(axis=0)
        out[block] = (below + random[block] * (1 + equal)) / (len(x) + 1)
    return out


def uniformity(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return how far values in [0, 1] are from uniform, max_u ``|F(u) - u|`` with the weighted distribution function F.

    Kolmogorov's distance; of the values of `pit`, the largest error of any one-sided interval of the laws. Between 0
    (ideal) and 1.

    Parameters
    ----------
    values : array_like of shape (n,)
        Between 0 and 1.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a value lies outside 0 and 1 or is missing, or weights are bad.

    Examples
    --------
    >>> uniformity([0.5, 0.5])
    0.5
    """
    u = np.asarray(values, dtype=np.float64)
    w = check_weights(weights, len(u), "weights")
    bad = np.flatnonzero(~((u >= 0) & (u <= 1)))
    if bad.size:
        raise DataError(f"values must lie between 0 and 1; row {bad[0]} has {u[bad[0]]}.")
    order = np.argsort(u, kind="stable")
    u, shares = u[order], np.cumsum(w[order]) / w.sum()
    before = np.append(0.0, shares[:-1])
    return float(max(np.max(shares - u), np.max(u - before)))


def coverage(
    draws: ArrayLike, observed: ArrayLike, level: float = 0.9, weights: ArrayLike | None = None, *, seed: int = 0
) -> float:
    """Return the weighted share of the observed values that lie in the central interval of their law.

    The share of `pit` values in [(1 - level) / 2, (1 + level) / 2]: for an ensemble of draws of the true law its
    expectation is exactly `level`, whatever m and whatever the atoms, as is not so for the interval between two
    quantiles of the draws. Ideal: `level`; lower where the laws are too narrow.

    Parameters
    ----------
    draws : array_like of shape (m, n)
        Numbers, none missing.
    observed : array_like of shape (n,)
    level : float
        Between 0 and 1.
    weights : array_like of shape (n,), optional
        Of the rows; ones by default.
    seed : int
        See `pit`.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If shapes do not fit, a value is missing or infinite, or weights are bad.
    ParameterError
        If the level is not between 0 and 1, or the seed is bad.

    Examples
    --------
    >>> coverage([[1.0, 1.0], [3.0, 3.0], [5.0, 5.0]], [3.5, 9.0], level=0.5)
    0.5
    """
    if not 0 < level < 1:
        raise ParameterError(f"level must lie between 0 and 1; got {level!r}.")
    u = pit(draws, observed, seed=seed)
    w = check_weights(weights, len(u), "weights")
    return float(w @ (np.abs(u - 0.5) <= level / 2) / w.sum())


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Rows with nearly the same conditions, as draws of the conditional law.

    Parameters
    ----------
    rows : int64[n]
        Real rows that are scored.
    weights : float64[n]
        Their weights.
    synthetic : int64[m, n]
        Synthetic rows near each of them: an ensemble of the synthetic law.
    real : int64[m, n]
        Other real rows near each of them: an ensemble of the real law, for reference.
    pool : int
        Rows of each table that were searched.

    Examples
    --------
    >>> one = np.zeros((1, 1), dtype=np.int64)
    >>> Neighbours(one[0], np.ones(1), one, one, 1).synthetic.shape
    (1, 1)
    """

    rows: Ints
    weights: Floats
    synthetic: Ints
    real: Ints
    pool: int


def neighbour_ensembles(
    both: Pair, condition_vars: Sequence[str], *, m: int = 20, rows: int = 5_000, pool: int = 20_000, seed: int = 0
) -> Neighbours:
    """Find, for real rows, the rows of both tables that are nearest in the conditions.

    Where a synthesis is one table and not m draws a row, the m synthetic rows with the nearest conditions stand for
    draws of its conditional law. They are a little wider than this law where it moves with the conditions within the
    neighbourhood; the m nearest other real rows, found in a pool of the same size, are wider by as much, so compare
    with these. Distance: `microplex.metrics.neighbours`; ties are broken at random. Tables larger than `rows` (real
    rows that are scored) are sampled systematically in proportion to the weights. The rows that are searched are drawn
    with chances in proportion to the weights, none twice (`thin`), so that neighbours are different draws of the
    weighted law: at most `pool`, and no more than the smaller of the effective sample sizes.

    Parameters
    ----------
    both : Pair
    condition_vars : sequence of str
    m : int
        Neighbours a row, at least 2.
    rows, pool : int
        Largest number of real rows that are scored, and of rows of each table that are searched.
    seed : int
        Of the samples and the ties.

    Returns
    -------
    Neighbours

    Raises
    ------
    ColumnNotFoundError
        If a variable is not in the pair.
    DataError
        If a table has too few effective rows for m neighbours.
    ParameterError
        If m is below 2, or the seed is bad.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> both = pair(pd.DataFrame({"age": [1, 2, 8, 9]}), pd.DataFrame({"age": [2, 1, 9, 8]}))
    >>> sorted(neighbour_ensembles(both, ["age"], m=2).synthetic[:, 0].tolist())
    [0, 1]
    """
    if m < 2:
        raise ParameterError(f"m must be at least 2; got {m!r}.")
    check_seed(seed)
    check_columns(both.names, list(condition_vars), "condition")
    size = min(pool, *(int(ess(w) * (1 + _SLACK)) for w in (both.real_weights, both.synthetic_weights)))
    if size < m + 1:
        raise DataError(f"{m} neighbours need at least {m + 1} effective rows in each table; the smaller has {size}")
    scored = np.flatnonzero(both.real_weights > 0)
    weights = both.real_weights[scored]
    if len(scored) > rows:
        scored = _systematic(both.real_weights, rows, generator(seed, _ROW_STREAM))
        weights = np.ones(rows)
    real_pool, made = (
        thin(w, size, seed, _POOL_STREAM + place) for place, w in enumerate((both.real_weights, both.synthetic_weights))
    )
    drawn = np.union1d(scored, real_pool)
    real, synthetic = embed(both.select(condition_vars), "rank", drawn, made)
    random = generator(seed, _JITTER_STREAM)
    real += _JITTER * random.standard_normal(real.shape)
    synthetic += _JITTER * random.standard_normal(synthetic.shape)
    queries, reference = (real[np.searchsorted(drawn, places)] for places in (scored, real_pool))
    found, own = made[nearest(queries, synthetic, m)[1]], _others(queries, reference, scored, real_pool, m)
    return Neighbours(scored, weights, np.ascontiguousarray(found.T), np.ascontiguousarray(own.T), size)


def _others(queries: Floats, reference: Floats, scored: Ints, pool: Ints, m: int) -> Ints:
    """Return the m nearest rows of the pool that are not the row itself, which is in it once at most."""
    found = pool[nearest(queries, reference, m + 1)[1]]
    first = np.argsort(found == scored[:, None], axis=1, kind="stable")[:, :m]
    others: Ints = np.take_along_axis(found, first, axis=1)
    return others


def _systematic(weights: Floats, size: int, random: np.random.Generator) -> Ints:
    """Draw rows in proportion to their weights, systematically in random order; each once where weights are equal."""
    order = random.permutation(len(weights))
    sums = np.cumsum(weights[order])
    at = (np.arange(size) + 0.5) * (sums[-1] / size)
    place = np.minimum(np.searchsorted(sums, at, side="left"), len(weights) - 1)
    return np.sort(order[place])


def _blocks(m: int, n: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(m, 1))
    for start in range(0, n, step):
        yield slice(start, start + step)


def _ensemble(draws: ArrayLike, observed: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(draws, dtype=np.float64), np.asarray(observed, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 1 or x.shape[1] != len(y) or not x.size:
        turned = " Transpose them." if x.ndim == 2 and y.ndim == 1 and x.shape[0] == len(y) else ""
        raise DataError(f"draws must have shape (m, {y.size}) with a column a row; got shape {x.shape}.{turned}")
    for values, name in ((x, "draws"), (y, "observed values")):
        if not np.isfinite(values).all():
            place = np.argwhere(~np.isfinite(values))[0]
            raise DataError(f"{name} must be finite; row {place[-1]} has {values[tuple(place)]}. Leave such rows out.")
    return x, y
