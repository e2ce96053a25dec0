"""Distances between joint laws: energy, maximum mean discrepancy, and precision, recall, density and coverage.

All work on points (`neighbours.embed`), in blocks of rows: memory grows with n, time with n^2, which is why the
records draw a few thousand rows. A weight counts its row that many times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from microplex._random import generator
from microplex._validation import check_columns, check_weights
from microplex.errors import DataError, ParameterError
from microplex.metrics.neighbours import embed, thin
from microplex.metrics.pair import Pair
from microplex.metrics.record import Record, undefined

Floats = NDArray[np.float64]

_BLOCK_CELLS = 2_000_000
_SAME = 1e-12
_THIN_STREAM, _SPLIT_STREAM = 741, 743


@dataclass(frozen=True)
class PRDC:
    """Precision, recall, density and coverage of synthetic points.

    Parameters
    ----------
    precision : float
        Share of synthetic points within the neighbourhood of some real point; 0 to 1.
    recall : float
        Share of real points within the neighbourhood of some synthetic point; 0 to 1.
    density : float
        Mean number of real neighbourhoods around a synthetic point, over k; 0 or more, 1 for one law.
    coverage : float
        Share of real points with a synthetic point in their neighbourhood; 0 to 1.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def energy_distance(
    real: Floats,
    synthetic: Floats,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
    unbiased: bool = False,
) -> float:
    """Return the energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of weighted points.

    Means over all pairs with a row and itself included (the V-statistic): 0 or more, 0 for equal samples (Székely and
    Rizzo, 2013, "Energy statistics"). Unbiased: over pairs of different rows (the U-statistic), 0 in expectation for
    samples of one law, and so at times below 0; a row of weight w is then w rows.

    Parameters
    ----------
    real, synthetic : float64[n, d]
    real_weights, synthetic_weights : array_like, optional
    unbiased : bool

    Raises
    ------
    DataError
        If it is to be unbiased and the weights of a side sum to 1 or less.

    Examples
    --------
    >>> energy_distance(np.array([[0.0], [1.0]]), np.array([[3.0], [4.0]]))
    5.0
    >>> energy_distance(np.array([[0.0], [1.0]]), np.array([[3.0], [4.0]]), unbiased=True)
    4.0
    """
    a, b = _checked(real, real_weights, "real"), _checked(synthetic, synthetic_weights, "synthetic")
    between = 2 * _form(real, synthetic, a, b, None) / (a.sum() * b.sum())
    if unbiased:
        return float(
            between
            - _form(real, real, a, a, None) / _pairs(a, "real")
            - _form(synthetic, synthetic, b, b, None) / _pairs(b, "synthetic")
        )
    within = _form(real, real, a, a, None) / a.sum() ** 2 + _form(synthetic, synthetic, b, b, None) / b.sum() ** 2
    return float(max(0.0, between - within))


def mmd(
    real: Floats,
    synthetic: Floats,
    bandwidth: float,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> float:
    """Return the squared maximum mean discrepancy under the kernel ``exp(-|x - y|^2 / bandwidth^2)``, unbiased.

    E k(X, X') + E k(Y, Y') - 2 E k(X, Y) over pairs of different rows; 0 in expectation for samples of one law, and
    so at times below 0 (Gretton, Borgwardt, Rasch, Schölkopf and Smola, 2012, lemma 6). A row of weight w is w rows,
    which form w (w - 1) pairs with one another.

    Parameters
    ----------
    real, synthetic : float64[n, d]
    bandwidth : float
        Positive; `median_bandwidth` by habit.
    real_weights, synthetic_weights : array_like, optional
        Each side with a sum above 1.

    Raises
    ------
    DataError
        If the weights of a side sum to 1 or less.
    ParameterError
        If the bandwidth is not positive.

    Examples
    --------
    >>> round(mmd(np.array([[0.0], [0.0]]), np.array([[9.0], [9.0]]), bandwidth=1.0), 6)
    2.0
    """
    if not bandwidth > 0:
        raise ParameterError(f"bandwidth must be positive; got {bandwidth!r}.")
    a, b = _checked(real, real_weights, "real"), _checked(synthetic, synthetic_weights, "synthetic")
    same = (_form(real, real, a, a, bandwidth) - a.sum()) / _pairs(a, "real")
    same += (_form(synthetic, synthetic, b, b, bandwidth) - b.sum()) / _pairs(b, "synthetic")
    return float(same - 2 * _form(real, synthetic, a, b, bandwidth) / (a.sum() * b.sum()))


def median_bandwidth(real: Floats, synthetic: Floats, most: int = 2000) -> float:
    """Return the median distance of real from synthetic points, over at most `most` evenly spaced rows of each.

    Examples
    --------
    >>> median_bandwidth(np.array([[0.0]]), np.array([[3.0], [1.0], [9.0]]))
    3.0
    """
    a, b = (x[np.linspace(0, len(x) - 1, min(len(x), most)).astype(np.int64)] for x in (real, synthetic))
    return float(np.median(cdist(a, b)))


def prdc(
    real: Floats,
    synthetic: Floats,
    k: int = 5,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> PRDC:
    """Return precision, recall, density and coverage.

    The neighbourhood of a point is the open ball that reaches to its k-th neighbour of its own table, itself not
    counted (Naeem, Oh, Uh, Choi and Yoo, 2020, "Reliable fidelity and diversity metrics for generative models"). A row
    of weight w is w rows, each a neighbour of the others at distance 0. Between two samples of one law precision and
    recall are below 1, density about 1 and coverage about 1 - 2^-k.

    Parameters
    ----------
    real, synthetic : float64[n, d]
    k : int
        At least 1; below the sum of the weights of each side.
    real_weights, synthetic_weights : array_like, optional

    Returns
    -------
    PRDC

    Raises
    ------
    ParameterError
        If a side has no k neighbours.

    Examples
    --------
    >>> prdc(np.array([[0.0], [1.0], [2.0]]), np.array([[0.5], [1.5], [9.0]]), k=1)
    PRDC(precision=0.666..., recall=1.0, density=1.333..., coverage=1.0)
    """
    a = check_weights(real_weights, len(real), "real weights")
    b = check_weights(synthetic_weights, len(synthetic), "synthetic weights")
    around_real, around_synthetic = _radii(real, a, k), _radii(synthetic, b, k)
    inside, balls, covered = np.zeros(len(synthetic), bool), np.zeros(len(synthetic)), np.zeros(len(real), bool)
    recalled = np.zeros(len(real), bool)
    for rows, distances in _chunks(real, synthetic):
        within = distances < around_real[rows, None]
        inside |= within[a[rows] > 0].any(axis=0)
        balls += a[rows] @ within
        covered[rows] = within[:, b > 0].any(axis=1)
        recalled[rows] = (distances < around_synthetic)[:, b > 0].any(axis=1)
    return PRDC(
        float(b @ inside / b.sum()),
        float(a @ recalled / a.sum()),
        float(b @ balls / b.sum() / k),
        float(a @ covered / a.sum()),
    )


def distances_records(
    both: Pair,
    variables: Sequence[str] | None = None,
    max_rows: int = 2500,
    k: int = 5,
    permutations: int = 200,
    seed: int = 0,
) -> list[Record]:
    """Return "energy" and "mmd" (both unbiased, ideal 0), "precision" and "recall" (1), "density" (1) and "coverage".

    The ideal coverage is the expected one of n real and m fresh rows, 1 - prod_i (n - i) / (n + m - i) over i = 1..k,
    1 - 2^-k for n = m (Naeem et al., 2020). Precision and recall reach 1 for no finite sample: see their floor. On
    the rank scale all values beyond the real range lie at its ends, so that tails are for other measures.

    At most `max_rows` rows of each table are drawn with chances in proportion to their weights (`thin`), and then
    count alike. Real and synthetic rows are drawn apart, so that a synthetic row seldom meets the real row that it
    took its conditions from. The intervals of energy and MMD are the 2.5 and 97.5 % points over random splits of the
    pooled rows into two tables of the same sizes, on the same matrix of distances.

    Parameters
    ----------
    both : Pair
    variables : sequence of str, optional
        All by default.
    max_rows : int
        At most 5000, since the matrix of the pooled rows is kept for the splits.
    k : int
    permutations : int
        Random splits; 0 for no intervals.
    seed : int

    Returns
    -------
    list of Record

    Raises
    ------
    ColumnNotFoundError
        If a variable is not in the pair.
    ParameterError
        If `max_rows` is above 5000.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> real = pd.DataFrame({"x": range(50)})
    >>> records = distances_records(pair(real, real + 100), permutations=0)
    >>> {record.measure: record.value for record in records}["coverage"]
    0.06
    """
    if not 1 <= max_rows <= 5000:
        raise ParameterError(f"max_rows must be from 1 to 5000; got {max_rows!r}.")
    names = list(both.names if variables is None else variables)
    check_columns(both.names, names, "distance")
    rows = [
        thin(w, max_rows, seed, _THIN_STREAM + place)
        for place, w in enumerate((both.real_weights, both.synthetic_weights))
    ]
    real, synthetic = embed(both.select(names), "rank", *rows)
    n = min(len(real), len(synthetic))
    if n <= k:
        reason = f"{k} neighbours need more than {k} rows of equal weight a side; there are {n}"
        measures = ("energy", "mmd", "precision", "recall", "density", "coverage")
        return [undefined(measure, "joint", (), reason) for measure in measures]
    step = np.arange(1, k + 1)
    covered = float(1 - np.prod((len(real) - step) / (len(real) + len(synthetic) - step)))
    found = prdc(real, synthetic, k)
    return _split_records(real, synthetic, permutations, seed, n) + [
        Record(measure, "joint", (), getattr(found, measure), ideal=ideal, detail=f"k = {k}", n=n)
        for measure, ideal in (("precision", 1.0), ("recall", 1.0), ("density", 1.0), ("coverage", covered))
    ]


def _split_records(real: Floats, synthetic: Floats, permutations: int, seed: int, n: int) -> list[Record]:
    bandwidth = median_bandwidth(real, synthetic)
    energies, discrepancies = _splits(real, synthetic, bandwidth, permutations, seed)
    spread = _middle(energies[1:]) if permutations else None
    energy = Record("energy", "joint", (), float(energies[0]), ideal=0.0, interval=spread, n=n)
    if not bandwidth > 0:
        return [
            energy,
            undefined("mmd", "joint", (), "most real and synthetic rows are equal: the median distance is 0"),
        ]
    spread, detail = _middle(discrepancies[1:]) if permutations else None, f"Gaussian kernel; bandwidth {bandwidth:.4g}"
    return [
        energy,
        Record("mmd", "joint", (), float(discrepancies[0]), ideal=0.0, interval=spread, detail=detail, n=n),
    ]


def _splits(real: Floats, synthetic: Floats, bandwidth: float, times: int, seed: int) -> tuple[Floats, Floats]:
    """Return energy and MMD of the tables themselves, and then of random splits of their pooled rows.

    One matrix of distances serves them all, by matrix products: to 1e-8 the figures of `energy_distance` and `mmd`.
    """
    pooled = np.vstack([real, synthetic])
    pooled = pooled - pooled.mean(axis=0)
    m, n = len(real), len(synthetic)
    random = generator(seed, _SPLIT_STREAM)
    first = np.zeros((m + n, 1 + times))
    first[:m, 0] = 1.0
    for split in first.T[1:]:
        split[random.permutation(m + n)[:m]] = 1.0
    norms = np.einsum("ij,ij->i", pooled, pooled)
    sums = np.zeros((6, 1 + times))
    step = max(1, _BLOCK_CELLS // len(pooled))
    for start in range(0, len(pooled), step):
        rows = slice(start, start + step)
        squares = norms[rows, None] + norms - 2 * (pooled[rows] @ pooled.T)
        # Equal rows are at distance 0, which the rounding of a product would miss.
        squares[squares < _SAME * (1 + norms[rows, None])] = 0.0
        for place, matrix in ((0, np.sqrt(squares)), (3, np.exp(squares / -((bandwidth or 1.0) ** 2)))):
            to_first = matrix @ first
            to_second = matrix.sum(axis=1)[:, None] - to_first
            sums[place] += (first[rows] * to_first).sum(axis=0)
            sums[place + 1] += ((1 - first[rows]) * to_second).sum(axis=0)
            sums[place + 2] += (first[rows] * to_second).sum(axis=0)
    energy = 2 * sums[2] / (m * n) - sums[0] / (m * (m - 1)) - sums[1] / (n * (n - 1))
    discrepancy = (sums[3] - m) / (m * (m - 1)) + (sums[4] - n) / (n * (n - 1)) - 2 * sums[5] / (m * n)
    return energy, discrepancy


def _middle(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _radii(points: Floats, weights: Floats, k: int) -> Floats:
    """Return the distance to the k-th other row, a row of weight w being w rows."""
    if not 1 <= k <= weights.sum() - 1:
        raise ParameterError(f"k must be from 1 to {weights.sum() - 1:g}, the weight of the other rows; got {k!r}.")
    radii = np.empty(len(points))
    for rows, distances in _chunks(points, points):
        if (weights == 1).all():
            radii[rows] = np.partition(distances, k, axis=1)[:, k]
            continue
        order = np.argsort(distances, axis=1)
        reached = np.cumsum(weights[order], axis=1) >= k + 1 - 1e-9
        place = np.argmax(reached, axis=1)
        radii[rows] = np.take_along_axis(distances, order, axis=1)[np.arange(len(place)), place]
    return radii


def _form(x: Floats, y: Floats, a: Floats, b: Floats, bandwidth: float | None) -> float:
    """Return sum a_i b_j f(|x_i - y_j|), f the distance itself or the Gaussian kernel."""
    total = 0.0
    for rows, distances in _chunks(x, y):
        values = distances if bandwidth is None else np.exp(-((distances / bandwidth) ** 2))
        total += float(a[rows] @ (values @ b))
    return total


def _chunks(x: Floats, y: Floats) -> Iterator[tuple[slice, Floats]]:
    step = max(1, _BLOCK_CELLS // max(1, len(y)))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        yield rows, cdist(x[rows], y)


def _checked(points: Floats, weights: ArrayLike | None, side: str) -> Floats:
    return check_weights(weights, len(points), f"{side} weights")


def _pairs(weights: Floats, side: str) -> float:
    """Return the number of ordered pairs of different rows."""
    if not weights.sum() > 1:
        raise DataError(f"the {side} weights must sum to more than 1 to form pairs; got {weights.sum():g}.")
    return float(weights.sum() * (weights.sum() - 1))
