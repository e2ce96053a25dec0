"""Nearest rows of mixed tables: a distance over numbers and categories, searched exactly in bounded memory.

The distance is Gower's idea (Gower, 1971, "A general coefficient of similarity and some of its properties") with
squares in place of absolute values, so that rows become points and a search becomes matrix products. The squared
distance of two rows is a sum over variables:

- number: 12 (r - r')^2, with r the weighted mid-rank among the real rows (or the place within the real range); a
  continuous variable then has variance 1 and tied values sit at one point;
- category: 2 if they differ, 0 if not (which is what two draws of a continuous number differ by on average);
- missing: for a category a level of its own; for a number the middle of its scale and 1 on an axis of its own, so
  that two missing values are at distance 0 and a missing one is at 1 + 12 (r - 1/2)^2 from a present one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex._random import generator
from microplex._validation import check_choice, check_weights
from microplex.errors import DataError, ParameterError
from microplex.metrics.groups import row_groups
from microplex.metrics.pair import Pair

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = Sequence[NDArray[np.generic]]

SCALES = ("rank", "range")
SCALE = 12.0**0.5
APART = 2.0**0.5

_QUERY_BLOCK = 512
_REFERENCE_BLOCK = 4096
_RECHECK = 65_536
_ROUNDING = 2.0**-24


def embed(
    both: Pair,
    scale: str = "rank",
    real_rows: NDArray[np.generic] | None = None,
    synthetic_rows: NDArray[np.generic] | None = None,
) -> tuple[Floats, Floats]:
    """Place the rows of both tables as points, so that Euclidean distance is the mixed distance of this module.

    Parameters
    ----------
    both : Pair
    scale : {"rank", "range"}
        Numbers by their weighted mid-rank among the real rows, or by their place within the real range.
    real_rows, synthetic_rows : int64 or bool arrays, optional
        Rows to place, all by default; all real rows set the scales.

    Returns
    -------
    real, synthetic : float64[n, d]

    Raises
    ------
    ParameterError
        If the scale is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> both = pair(pd.DataFrame({"sex": ["f", "m"]}), pd.DataFrame({"sex": ["m"]}))
    >>> real, synthetic = embed(both)
    >>> nearest(synthetic, real)[0].tolist()
    [[0.0]]
    """
    real = [variable.real for variable in both.variables]
    synthetic = [variable.synthetic for variable in both.variables]
    levels = [len(variable.levels) for variable in both.variables]
    tables = [
        columns if rows is None else [column[rows] for column in columns]
        for columns, rows in ((real, real_rows), (synthetic, synthetic_rows))
    ]
    placed = embed_columns(real, both.real_weights, levels, tables, scale)
    return placed[0], placed[1]


def embed_columns(
    reference: Columns, weights: ArrayLike, levels: Sequence[int], tables: Sequence[Columns], scale: str = "rank"
) -> list[Floats]:
    """Place the rows of several tables as points on the scales of one of them.

    Parameters
    ----------
    reference : sequence of arrays of shape (n,)
        Columns that set the scales: numbers with NaN where missing, or category codes with -1.
    weights : array_like of shape (n,)
        Weights of these rows.
    levels : sequence of int
        Number of categories of each column; 0 for numbers.
    tables : sequence of sequences of arrays
        The same columns of each table to place.
    scale : {"rank", "range"}

    Returns
    -------
    list of float64[n_t, d]

    Raises
    ------
    ParameterError
        If the scale is unknown.

    Examples
    --------
    >>> column = np.array([0.0, 0.0, 1.0, 3.0])
    >>> points = embed_columns([column], np.ones(4), [0], [[column]])[0]
    >>> np.round(points[:, 0] ** 2, 4).tolist()
    [0.75, 0.75, 0.1875, 1.6875]
    """
    check_choice(scale, SCALES, "scale")
    w = np.asarray(weights, dtype=np.float64)
    parts: list[list[Floats]] = [[np.zeros((len(columns[0]), 0))] for columns in tables]
    for place, n_levels in enumerate(levels):
        columns = [np.asarray(columns[place]) for columns in tables]
        placed = _categories(columns, n_levels) if n_levels else _numbers(reference[place], w, columns, scale)
        for part, points in zip(parts, placed, strict=True):
            part.append(points)
    return [_side_by_side(part) for part in parts]


def nearest(queries: Floats, reference: Floats, k: int = 1, skip_self: bool = False) -> tuple[Floats, Ints]:
    """Return the k nearest reference rows of each query.

    Blocks of 32-bit matrix products find every row that could be among the k nearest under the bound of their
    rounding error; those are compared in 64 bits, so that the result is exact. Memory does not grow with
    n_queries x n_reference. For k = 1 identical reference rows are searched once.

    Parameters
    ----------
    queries : float64[q, d]
    reference : float64[n, d]
        Points from `embed`.
    k : int
        From 1 to the number of reference rows.
    skip_self : bool
        The queries are the reference; a row is not its own neighbour.

    Returns
    -------
    distances : float64[q, k]
        Ascending.
    rows : int64[q, k]
        Places in `reference`; among equal distances the lowest.

    Raises
    ------
    DataError
        If a point is not finite, or the tables have other numbers of columns.
    ParameterError
        If there are fewer than k reference rows.

    Examples
    --------
    >>> distances, rows = nearest(np.array([[0.0], [9.0]]), np.array([[1.0], [8.0], [5.0]]), k=2)
    >>> distances.tolist(), rows.tolist()
    ([[1.0, 5.0], [1.0, 4.0]], [[0, 2], [1, 2]])
    """
    _check_points(queries, reference)
    available = len(reference) - bool(skip_self)
    if not 1 <= k <= available:
        raise ParameterError(f"k must be from 1 to the {available} rows that can be neighbours; got {k!r}.")
    searched, first = reference, None
    if k == 1 and not skip_self:
        first = _first_of_each(reference)
        searched = reference if len(first) == len(reference) else reference[first]
    right = _right_factor(searched)
    distances, rows = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    for start in range(0, len(queries), _QUERY_BLOCK):
        block = slice(start, start + _QUERY_BLOCK)
        own = start if skip_self else None
        distances[block], rows[block] = _search(queries[block], searched, right, k, own)
    return np.sqrt(distances), rows if first is None else first[rows]


def within(queries: Floats, reference: Floats, radius: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the weight of the reference rows within a radius of each query, the radius included.

    Exact in 64 bits and of bounded memory, as `nearest` is.

    Parameters
    ----------
    queries : float64[q, d]
    reference : float64[n, d]
    radius : float or array_like of shape (q,)
        Not negative.
    weights : array_like of shape (n,), optional
        Ones by default, which makes the result a count.

    Returns
    -------
    float64[q]

    Raises
    ------
    DataError
        If a point is not finite, or the tables have other numbers of columns.

    Examples
    --------
    >>> within(np.array([[0.0]]), np.array([[1.0], [2.0], [2.5]]), radius=2.0).tolist()
    [2.0]
    """
    _check_points(queries, reference)
    w = check_weights(weights, len(reference), "weights")
    squared = np.broadcast_to(np.asarray(radius, dtype=np.float64) ** 2, (len(queries),))
    right = _right_factor(reference)
    found = np.zeros(len(queries))
    for start in range(0, len(queries), _QUERY_BLOCK):
        block = slice(start, start + _QUERY_BLOCK)
        points, limit = queries[block], squared[block]
        norms = (points**2).sum(axis=1)
        for left, products in _blocks(points, right):
            weight = w[left : left + products.shape[1]]
            margin = _margin(norms, right[left : left + products.shape[1]])
            surely = products < (limit - norms - margin).astype(np.float32)[:, None]
            found[block] += surely @ weight
            maybe = products <= (limit - norms + margin).astype(np.float32)[:, None]
            row, column = np.nonzero(maybe & ~surely)
            exact = _squared(points, reference, row, column + left)
            inside = exact <= limit[row] * (1 + 4 * np.finfo(float).eps)
            found[block] += np.bincount(row[inside], weights=weight[column[inside]], minlength=len(points))
    return found


def thin(weights: ArrayLike, size: int, seed: int, stream: int) -> Ints:
    """Draw rows with chances in proportion to their weights, none twice, so that the drawn rows have equal weights.

    Systematic sampling in random order (Madow, 1949). Chances that would exceed 1 are 1 and the rest share what
    remains; to keep this rare, no more rows are drawn than Kish's effective sample size.

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.
    size : int
        Most rows to draw.
    seed, stream : int

    Returns
    -------
    int64[m]
        Places of the drawn rows, ascending; all rows where weights are equal and n <= size.

    Examples
    --------
    >>> thin([1, 1, 1], size=5, seed=0, stream=0).tolist()
    [0, 1, 2]
    >>> len(thin(np.ones(100), size=20, seed=0, stream=0))
    20
    """
    w = check_weights(weights, np.size(np.asarray(weights)), "weights")
    effective = w.sum() ** 2 / (w @ w)
    number = max(1, min(size, int(np.floor(effective * (1 + 1e-12)))))
    chance = np.minimum(w * (number / w.sum()), 1.0)
    for _ in range(50):
        free = (chance < 1) & (w > 0)
        short = number - chance.sum()
        if short < 1e-9 * number or not free.any():
            break
        chance[free] = np.minimum(chance[free] * (1 + short / chance[free].sum()), 1.0)
    random = generator(seed, stream)
    order = random.permutation(len(w))
    steps = np.floor(np.cumsum(chance[order]) + 1e-9 + random.random() * (1 - 2e-9))
    drawn = np.diff(steps, prepend=0.0) > 0
    return np.sort(order[drawn])


def _numbers(reference: NDArray[np.generic], weights: Floats, columns: Columns, scale: str) -> list[Floats]:
    known = np.asarray(reference, dtype=np.float64)
    use = ~np.isnan(known) & (weights > 0)
    points, place = np.unique(known[use], return_inverse=True)
    shares = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=weights[use]))]) if use.any() else np.zeros(1)
    shares = shares / (shares[-1] or 1.0)
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    has_missing = any(np.isnan(column).any() for column in values)
    placed: list[Floats] = []
    for column in values:
        if scale == "rank":
            left, right = np.searchsorted(points, column, "left"), np.searchsorted(points, column, "right")
            at = (shares[left] + shares[right]) / 2
        else:
            low, high = (points[0], points[-1]) if len(points) else (0.0, 0.0)
            at = (column - low) / ((high - low) or 1.0)
        missing = np.isnan(column)
        axis = np.where(missing, 0.0, (at - 0.5) * SCALE)
        placed.append(np.column_stack([axis, missing.astype(np.float64)]) if has_missing else axis[:, None])
    return placed


def _categories(columns: Columns, n_levels: int) -> list[Floats]:
    codes = [np.asarray(column, dtype=np.int64) for column in columns]
    if any((column < 0).any() for column in codes):
        codes, n_levels = [np.where(column < 0, n_levels, column) for column in codes], n_levels + 1
    if n_levels <= 2:
        return [(column[:, None].astype(np.float64) - 0.5) * APART for column in codes]
    placed = []
    for column in codes:
        points = np.zeros((len(column), n_levels))
        points[np.arange(len(column)), column] = 1.0
        placed.append(points)
    return placed


def _check_points(queries: Floats, reference: Floats) -> None:
    if queries.ndim != 2 or reference.ndim != 2 or queries.shape[1] != reference.shape[1]:
        raise DataError(f"points must be rows of one length; got shapes {queries.shape} and {reference.shape}.")
    if not (np.isfinite(queries).all() and np.isfinite(reference).all()):
        raise DataError("points must be finite; place the rows with embed, which gives missing values a place.")


def _side_by_side(parts: list[Floats]) -> Floats:
    """Join columns, letting go of each part once it is copied."""
    whole = np.empty((len(parts[0]), sum(part.shape[1] for part in parts)))
    end = whole.shape[1]
    while parts:
        part = parts.pop()
        whole[:, end - part.shape[1] : end] = part
        end -= part.shape[1]
    return whole


def _first_of_each(points: Floats) -> Ints:
    """Return the first place of each distinct row, ascending."""
    if not points.shape[1]:
        return np.zeros(1, dtype=np.int64)
    return np.unique(row_groups(points), return_index=True)[1].astype(np.int64)


def _right_factor(reference: Floats) -> NDArray[np.float32]:
    """Return [y, |y|^2], whose product with [-2x, 1] is |x - y|^2 - |x|^2."""
    right = np.empty((len(reference), reference.shape[1] + 1), dtype=np.float32)
    right[:, :-1] = reference
    right[:, -1] = np.einsum("ij,ij->i", reference, reference)
    return right


def _blocks(points: Floats, right: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield |x - y|^2 - |x|^2 in 32 bits for blocks of reference rows; each block overwrites the one before."""
    left = np.column_stack([-2.0 * points, np.ones(len(points))]).astype(np.float32)
    room = np.empty(len(points) * min(len(right), _REFERENCE_BLOCK), dtype=np.float32)
    for start in range(0, len(right), _REFERENCE_BLOCK):
        block = right[start : start + _REFERENCE_BLOCK]
        products = room[: len(points) * len(block)].reshape(len(points), len(block))
        yield start, np.matmul(left, block.T, out=products)


def _margin(norms: Floats, right: NDArray[np.float32]) -> Floats:
    """Bound the error of a 32-bit product: d + 1 terms, each rounded, whose absolute sum is below (|x| + |y|)^2."""
    widest = float(np.sqrt(right[:, -1].max(initial=0.0)))
    bound: Floats = (right.shape[1] + 8) * _ROUNDING * (np.sqrt(norms) + widest) ** 2
    return bound


def _squared(points: Floats, reference: Floats, row: Ints, column: Ints) -> Floats:
    """Return squared distances of listed pairs in 64 bits, 0 for identical rows."""
    found = np.empty(len(row))
    for start in range(0, len(row), _RECHECK):
        part = slice(start, start + _RECHECK)
        apart = points[row[part]] - reference[column[part]]
        found[part] = np.einsum("ij,ij->i", apart, apart)
    return found


def _search(
    points: Floats, reference: Floats, right: NDArray[np.float32], k: int, own: int | None
) -> tuple[Floats, Ints]:
    best, rows = np.full((len(points), k), np.inf), np.full((len(points), k), -1, dtype=np.int64)
    norms = (points**2).sum(axis=1)
    margin = _margin(norms, right)
    numbers = np.arange(len(points))
    for start, products in _blocks(points, right):
        if own is not None:
            diagonal = numbers + own - start
            here = (diagonal >= 0) & (diagonal < products.shape[1])
            products[numbers[here], diagonal[here]] = np.inf
        low = products.min(axis=1)
        limit = best[:, -1] - norms + margin
        if k == 1:
            limit = np.minimum(limit, low + 2 * margin)
        elif not np.isfinite(limit).all() and products.shape[1] >= k:
            limit = np.minimum(limit, np.partition(products, k - 1, axis=1)[:, k - 1] + 2 * margin)
        limit = limit.astype(np.float32)
        near = np.flatnonzero(low <= limit)
        row, column = np.nonzero(products[near] <= limit[near, None])
        row = near[row]
        exact = _squared(points, reference, row, column + start)
        if own is not None:
            is_other = column + start != row + own
            row, column, exact = row[is_other], column[is_other], exact[is_other]
        best[near], rows[near] = _merged(best[near], rows[near], np.searchsorted(near, row), exact, column + start)
    return best, rows


def _merged(best: Floats, rows: Ints, row: Ints, found: Floats, column: Ints) -> tuple[Floats, Ints]:
    """Return the k smallest of each row's neighbours so far and of those newly found."""
    n, k = best.shape
    whose = np.concatenate([np.repeat(np.arange(n), k), row])
    distance, number = np.concatenate([best.ravel(), found]), np.concatenate([rows.ravel(), column])
    order = np.lexsort((number, distance, whose))
    starts = np.searchsorted(whose[order], np.arange(n))
    take = order[starts[:, None] + np.arange(k)]
    return distance[take], number[take]
