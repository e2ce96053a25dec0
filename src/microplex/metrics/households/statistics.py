"""Weighted distances and associations over codes and ranks; a row of weight w counts as w rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.metrics.households.view import Floats, Ints, places_of
from microplex.metrics.joint import correlation_ratio, cramers_v

Sides = tuple[NDArray[np.generic], NDArray[np.generic]]


def shares(real: Ints, synthetic: Ints, weights: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the share of the weight at each label that either side has.

    Parameters
    ----------
    real, synthetic : int64[n]
        Labels.
    weights : pair of float64[n]

    Raises
    ------
    DataError
        If a side has no weight.

    Examples
    --------
    >>> shares(np.array([7, 9]), np.array([9]), (np.ones(2), np.ones(1)))[0].tolist()
    [0.5, 0.5]
    """
    both = np.concatenate([real, synthetic])
    low = int(both.min(initial=0))
    if len(both) and int(both.max()) - low > 8 * len(both) + 1000:
        both = np.unique(both, return_inverse=True)[1]
        low = 0
    size = int(both.max(initial=0)) - low + 1
    counted = []
    for codes, w in ((both[: len(real)], weights[0]), (both[len(real) :], weights[1])):
        if not w.sum() > 0:
            raise DataError("one side has no household that counts")
        counts = np.bincount(codes - low, weights=w, minlength=size)
        counted.append(counts / counts.sum())
    seen = (counted[0] > 0) | (counted[1] > 0)
    return counted[0][seen], counted[1][seen]


def label_tvd(real: Ints, synthetic: Ints, weights: tuple[Floats, Floats]) -> float:
    """Return the total variation distance of two samples of labels, 1/2 sum |p - q|; 0 to 1.

    Examples
    --------
    >>> label_tvd(np.array([0, 1]), np.array([0, 0]), (np.ones(2), np.ones(2)))
    0.5
    """
    p, q = shares(real, synthetic, weights)
    return float(np.abs(p - q).sum() / 2)


def label_srmse(real: Ints, synthetic: Ints, weights: tuple[Floats, Floats]) -> float:
    """Return the standardised root mean square error of a table, sqrt(cells sum (p - q)^2), over cells either side has.

    0 is ideal; 1 is an error as large as the mean cell. Pritchard and Miller (2012), "Advances in population
    synthesis: fitting many attributes per agent and fitting to household and person margins simultaneously".

    Examples
    --------
    >>> label_srmse(np.array([0, 1]), np.array([0, 0]), (np.ones(2), np.ones(2)))
    1.0
    """
    p, q = shares(real, synthetic, weights)
    return float(np.sqrt(len(p) * ((p - q) ** 2).sum()))


def value_ks(real: Floats, synthetic: Floats, weights: tuple[Floats, Floats]) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples, missing values left out; 0 to 1.

    1 where the synthetic side has no value at all.

    Raises
    ------
    DataError
        If the real side has no value.

    Examples
    --------
    >>> value_ks(np.array([0.0, 1.0]), np.array([0.0, 0.0]), (np.ones(2), np.ones(2)))
    0.5
    """
    known = [~np.isnan(x) & (w > 0) for x, w in zip((real, synthetic), weights, strict=True)]
    if not known[0].any():
        raise DataError("the real side has none")
    if not known[1].any():
        return 1.0
    places, number = places_of(np.concatenate([real[known[0]], synthetic[known[1]]]))
    cut = int(known[0].sum())
    p = np.bincount(places[:cut], weights=weights[0][known[0]], minlength=number)
    q = np.bincount(places[cut:], weights=weights[1][known[1]], minlength=number)
    return float(np.abs(np.cumsum(p) / p.sum() - np.cumsum(q) / q.sum()).max())


def mid_ranks(places: Ints, number: int, weights: Floats) -> Floats:
    """Return weighted mid-ranks of places that are all known, in units of weight: those of w copies of each row.

    Examples
    --------
    >>> mid_ranks(np.array([0, 1, 1]), 2, np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    """
    mass = np.bincount(places, weights=weights, minlength=number)
    return np.asarray((np.cumsum(mass) - mass / 2 + 0.5)[places])


def correlation_of(x: Floats, y: Floats, weights: Floats) -> float:
    """Return the correlation of two columns without missing values; 0 if one does not vary.

    Examples
    --------
    >>> round(correlation_of(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.ones(2)), 12)
    -1.0
    """
    share = weights / weights.sum()
    a, b = x - share @ x, y - share @ y
    scale = (share @ a**2) * (share @ b**2)
    if min(np.ptp(x[weights > 0]), np.ptp(y[weights > 0])) == 0 or not scale > 0:
        return 0.0
    return float(np.clip(share @ (a * b) / np.sqrt(scale), -1, 1))


def spearman(x: Floats, y: Floats, weights: Floats) -> float:
    """Return Spearman's rank correlation over the rows where both are known; 0 if one does not vary (1904).

    Raises
    ------
    DataError
        If fewer than two rows have both.

    Examples
    --------
    >>> round(spearman(np.array([1.0, 5.0, 9.0]), np.array([1.0, 2.0, 400.0]), np.ones(3)), 12)
    1.0
    """
    use = ~(np.isnan(x) | np.isnan(y)) & (weights > 0)
    if use.sum() < 2:
        raise DataError("fewer than two rows have both values")
    w = weights[use]
    a, b = (mid_ranks(*places_of(z[use]), w) for z in (x, y))
    return correlation_of(a, b, w)


def ranked(values: Floats, weights: Floats) -> Floats:
    """Return mid-ranks, NaN where missing.

    Examples
    --------
    >>> ranked(np.array([3.0, np.nan, 1.0]), np.ones(3)).tolist()
    [2.0, nan, 1.0]
    """
    places, number = places_of(values)
    known = places >= 0
    found = np.full(len(values), np.nan)
    found[known] = mid_ranks(places[known], number, weights[known])
    return found


def association(
    first: tuple[NDArray[np.generic], bool], second: tuple[NDArray[np.generic], bool], weights: Floats
) -> float:
    """Return how closely two columns go together; 0 if one does not vary.

    Numbers: Spearman's correlation. A number and a category: the correlation ratio of the ranks. Categories:
    Cramér's V.

    Parameters
    ----------
    first, second : pair of array and bool
        Values or codes, and whether they are numbers; ranks (`ranked`) serve as numbers.
    weights : float64[n]

    Raises
    ------
    DataError
        If fewer than two rows have both values.

    Examples
    --------
    >>> association((np.array([0, 0, 1, 1]), False), (np.array([1, 1, 0, 0]), False), np.ones(4))
    1.0
    """
    (x, x_number), (y, y_number) = first, second
    if x_number and y_number:
        a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        whole = not (np.isnan(a).any() or np.isnan(b).any())
        # Ranks over all rows are ranks already where nothing is missing.
        return correlation_of(a, b, weights) if whole else spearman(a, b, weights)
    if not x_number and not y_number:
        found = cramers_v(x, y, weights)
    else:
        codes, values = (x, y) if y_number else (y, x)
        z = np.asarray(values, dtype=np.float64)
        known = ~np.isnan(z) & (weights > 0)
        if known.sum() < 2:
            raise DataError("fewer than two rows have both values")
        ranks = z if known.all() else ranked(z, weights)
        found = correlation_ratio(codes, ranks, weights)
    return 0.0 if np.isnan(found) else found


def agreement(first: Ints, second: Ints, weights: Floats) -> float:
    """Return chance-corrected agreement of paired codes, (agree - expected) / (1 - expected), known pairs only.

    Cohen (1960), "A coefficient of agreement for nominal scales".

    Raises
    ------
    DataError
        If no pair is known, or all values are equal.

    Examples
    --------
    >>> agreement(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), np.ones(4))
    1.0
    """
    use = (first >= 0) & (second >= 0) & (weights > 0)
    if not use.any():
        raise DataError("no pair has both values")
    a, b, w = first[use], second[use], weights[use] / weights[use].sum()
    size = int(max(a.max(), b.max())) + 1
    expected = float(np.bincount(a, weights=w, minlength=size) @ np.bincount(b, weights=w, minlength=size))
    if expected > 1 - 1e-12:
        raise DataError("all values are equal")
    return float((w @ (a == b) - expected) / (1 - expected))


def combined(codes: Sequence[Ints], sizes: Sequence[int]) -> Ints:
    """Return one code for each combination of codes from 0.

    Examples
    --------
    >>> combined([np.array([0, 1]), np.array([2, 0])], [2, 3]).tolist()
    [2, 3]
    """
    cell = np.zeros(len(codes[0]), dtype=np.int64)
    for column, size in zip(codes, sizes, strict=True):
        cell = cell * size + column
    return cell
