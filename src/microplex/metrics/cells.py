"""Cells of the conditions: the same groups of rows in both tables, formed on the real one, and measures in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from microplex._validation import check_columns, check_weights
from microplex.errors import ParameterError
from microplex.metrics.pair import Floats, Ints, Pair, Variable
from microplex.survey import quantile

BINS = 5
LEAST_ROWS = 50
LEAST_SHARE = 0.01

_SLACK = 1e-12


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows of both tables by cell.

    Parameters
    ----------
    variables : tuple of str
        Condition variables that the cells are formed on.
    labels : tuple of str
        What the rows of each cell have in common.
    real, synthetic : int64[n]
        Cell of each row; -1 for a synthetic row whose conditions fit no cell, and for rows of weight 0.

    Examples
    --------
    >>> cells = Cells(("sex",), ("sex f", "sex m"), np.array([0, 1]), np.array([1, 1]))
    >>> len(cells)
    2
    """

    variables: tuple[str, ...]
    labels: tuple[str, ...]
    real: Ints
    synthetic: Ints

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class _Coded:
    """A condition variable in codes, the last of which is for missing values.

    Of a number (`ordered`) `texts` are the borders between bins; of a category they are its levels.
    """

    name: str
    real: Ints
    synthetic: Ints
    texts: tuple[str, ...]
    ordered: bool

    @property
    def n_codes(self) -> int:
        return len(self.texts) + (2 if self.ordered else 1)


def condition_cells(
    both: Pair,
    condition_vars: Sequence[str],
    *,
    bins: int = BINS,
    least_rows: int = LEAST_ROWS,
    least_share: float = LEAST_SHARE,
) -> Cells:
    """Divide both tables into cells of the condition variables.

    The variables divide the rows one after the other, in the order given: categories as they are, numbers at their
    weighted quantiles in the real table, missing values by themselves. A part with fewer real rows than asked for is
    merged: bins of a number with the next bin, categories with the other small ones. A cell that would not fall into
    two parts stays whole. So every real row is in a cell that is large enough, and the variables that are named first
    are divided most finely.

    Parameters
    ----------
    both : Pair
    condition_vars : sequence of str
    bins : int
        Quantile bins of a number.
    least_rows : int
        Real rows (of positive weight) that a cell has at least.
    least_share : float
        Share of the real rows that it has at least.

    Returns
    -------
    Cells

    Raises
    ------
    ColumnNotFoundError
        If a variable is not in the pair.
    ParameterError
        If there is no condition variable, or fewer than 2 bins.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> both = pair(pd.DataFrame({"age": [1, 2, 3, 4]}), pd.DataFrame({"age": [9, 0]}))
    >>> cells = condition_cells(both, ["age"], bins=2, least_rows=1)
    >>> cells.labels, cells.real.tolist(), cells.synthetic.tolist()
    (('age <= 2', 'age > 2'), [0, 0, 1, 1], [1, 0])
    """
    if not condition_vars:
        raise ParameterError("condition_vars must name at least one variable.")
    if bins < 2:
        raise ParameterError(f"bins must be at least 2; got {bins!r}.")
    check_columns(both.names, list(condition_vars), "condition")
    counts = both.real_weights > 0
    least = max(least_rows, int(np.ceil(least_share * counts.sum())), 1)
    real = np.where(counts, 0, -1)
    synthetic = np.where(both.synthetic_weights > 0, 0, -1)
    labels: list[str] = ["all"]
    for name in condition_vars:
        coded = _coded(both[name], both.real_weights, bins)
        real, synthetic, labels = _divide(real, synthetic, labels, coded, least)
    return Cells(tuple(condition_vars), tuple(labels), real, synthetic)


def _coded(variable: Variable, weights: Floats, bins: int) -> _Coded:
    name = variable.name
    if not variable.is_number:
        missing = len(variable.levels)
        sides = [np.where(np.asarray(v) < 0, missing, v).astype(np.int64) for v in (variable.real, variable.synthetic)]
        return _Coded(name, sides[0], sides[1], tuple(map(str, variable.levels)), ordered=False)
    has = variable.present("real") & (weights > 0)
    edges = _edges(np.asarray(variable.real, dtype=np.float64)[has], weights[has], bins)
    sides = []
    for side in ("real", "synthetic"):
        values = np.asarray(getattr(variable, side), dtype=np.float64)
        place = np.searchsorted(edges, values, side="left")
        sides.append(np.where(np.isnan(values), len(edges) + 1, place).astype(np.int64))
    texts = tuple(f"{edge:.6g}" for edge in edges)
    return _Coded(name, sides[0], sides[1], texts, ordered=True)


def _edges(values: Floats, weights: Floats, bins: int) -> Floats:
    if not len(values):
        return np.zeros(0)
    edges: Floats = np.unique(quantile(values, np.arange(1, bins) / bins, weights))
    return edges


def _divide(real: Ints, synthetic: Ints, labels: list[str], coded: _Coded, least: int) -> tuple[Ints, Ints, list[str]]:
    """Divide every cell by one more variable."""
    n_codes = coded.n_codes
    inside = real >= 0
    counts = np.bincount(real[inside] * n_codes + coded.real[inside], minlength=len(labels) * n_codes)
    groups = np.full(len(labels) * n_codes, -1, dtype=np.int64)
    named: list[str] = []
    for cell, before in enumerate(labels):
        merge = _neighbours if coded.ordered else _pooled
        parts = merge(counts[cell * n_codes : (cell + 1) * n_codes], least)
        if len(parts) < 2:
            groups[cell * n_codes : (cell + 1) * n_codes] = len(named)
            named.append(before)
            continue
        for part in parts:
            groups[cell * n_codes + part] = len(named)
            named.append(_label(before, part, coded))
    new_real = np.where(inside, groups[np.maximum(real, 0) * n_codes + coded.real], -1)
    new_synthetic = np.where(synthetic >= 0, groups[np.maximum(synthetic, 0) * n_codes + coded.synthetic], -1)
    return new_real, new_synthetic, named


def _neighbours(counts: Ints, least: int) -> list[Ints]:
    """Merge bins with the next until each part is large enough; few missing values join the last part."""
    parts: list[list[int]] = [[]]
    missing = len(counts) - 1
    for code in range(missing):
        if counts[parts[-1]].sum() >= least and counts[code:missing].sum() >= least:
            parts.append([])
        parts[-1].append(code)
    if counts[missing] >= least:
        parts.append([missing])
    elif counts[missing]:
        parts[-1].append(missing)
    return [np.array(part, dtype=np.int64) for part in parts]


def _pooled(counts: Ints, least: int) -> list[Ints]:
    """Pool the small categories; a pool that is too small takes the smallest of the others in."""
    large = np.flatnonzero(counts >= least)
    small = np.flatnonzero(counts < least)
    pool = counts[small].sum()
    if not pool:
        return [np.array([code]) for code in large]
    if pool < least and len(large):
        smallest = large[np.argmin(counts[large])]
        large, small = large[large != smallest], np.append(small, smallest)
    return [*(np.array([code]) for code in large), small]


def _label(before: str, part: Ints, coded: _Coded) -> str:
    name, missing = coded.name, coded.n_codes - 1
    bins = part[part != missing]
    if not coded.ordered:
        own = f"{name} {(*coded.texts, 'missing')[part[0]]}" if len(part) == 1 else f"{name} other"
    elif not len(bins):
        own = f"{name} missing"
    else:
        low = coded.texts[bins[0] - 1] if bins[0] else ""
        high = coded.texts[bins[-1]] if bins[-1] < len(coded.texts) else ""
        own = f"{low} < {name} <= {high}" if low and high else f"{name} <= {high}" if high else f"{name} > {low}"
        own = own if low or high else f"{name} present"
        own += " or missing" if len(bins) < len(part) else ""
    return own if before == "all" else f"{before}, {own}"


def cell_ks(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_cells: ArrayLike,
    synthetic_cells: ArrayLike,
    n_cells: int,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> Floats:
    """Return the Kolmogorov-Smirnov distance within each cell; see `microplex.metrics.marginal.ks`.

    Between 0 (ideal) and 1.

    Parameters
    ----------
    real, synthetic : array_like of shape (n,) and (k,)
        Numbers, none missing.
    real_cells, synthetic_cells : array_like of int, shape (n,) and (k,)
        Cell of each row, below `n_cells`; rows of cell -1 are left out.
    n_cells : int
    real_weights, synthetic_weights : array_like, optional
        Finite and not negative; ones by default.

    Returns
    -------
    float64[n_cells]
        NaN for a cell that has rows of one table only, or none.

    Raises
    ------
    DataError
        If weights are bad.

    Examples
    --------
    >>> cell_ks([1, 2, 5], [1, 1, 5], [0, 0, 1], [0, 0, 1], 2).tolist()
    [0.5, 0.0]
    """
    signs, cells, values = [], [], []
    sums = [cell_sums(c, n_cells, w) for c, w in ((real_cells, real_weights), (synthetic_cells, synthetic_weights))]
    filled = (sums[0] > 0) & (sums[1] > 0)
    sides = ((real, real_cells, real_weights, 1.0), (synthetic, synthetic_cells, synthetic_weights, -1.0))
    for (x, c, w, sign), total in zip(sides, sums, strict=True):
        cell = np.asarray(c, dtype=np.int64)
        kept = (cell >= 0) & filled[np.maximum(cell, 0)]
        cell = cell[kept]
        cells.append(cell)
        values.append(np.asarray(x, dtype=np.float64)[kept])
        signs.append(sign * _row_weights(w, len(kept))[kept] / total[cell])
    out = np.full(n_cells, np.nan)
    if not filled.any():
        return out
    cell, value = np.concatenate(cells), np.concatenate(values)
    order = _by_cell(value, cell)
    cell, value = cell[order], value[order]
    apart = np.abs(np.cumsum(np.concatenate(signs)[order]))
    last = np.append((cell[1:] != cell[:-1]) | (value[1:] != value[:-1]), True)
    starts = np.flatnonzero(np.diff(cell[last], prepend=-1))
    out[filled] = np.minimum(np.maximum.reduceat(apart[last], starts), 1.0)
    return out


def cell_means(values: ArrayLike, cells: ArrayLike, n_cells: int, weights: ArrayLike | None = None) -> Floats:
    """Return the weighted mean within each cell; of truth values, the share.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers or truth values, none missing.
    cells : array_like of int, shape (n,)
        Cell of each row; rows of cell -1 are left out.
    n_cells : int
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float64[n_cells]
        NaN for an empty cell.

    Raises
    ------
    DataError
        If weights are bad.

    Examples
    --------
    >>> cell_means([1, 3, 5], [0, 0, 1], 2, [3, 1, 1]).tolist()
    [1.5, 5.0]
    """
    x = np.asarray(values, dtype=np.float64)
    cell, w = np.asarray(cells, dtype=np.int64), _row_weights(weights, len(x))
    sums = np.bincount(cell[cell >= 0], weights=(w * x)[cell >= 0], minlength=n_cells)
    counts = cell_sums(cell, n_cells, w)
    means: Floats = np.divide(sums, counts, out=np.full(n_cells, np.nan), where=counts > 0)
    return means


def cell_quantiles(
    values: ArrayLike, cells: ArrayLike, n_cells: int, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> Floats:
    """Return weighted quantiles within each cell; see `microplex.survey.quantile`.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    cells : array_like of int, shape (n,)
        Cell of each row; rows of cell -1 are left out.
    n_cells : int
    probabilities : array_like of shape (k,)
        Between 0 and 1.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float64[n_cells, k]
        NaN for an empty cell.

    Raises
    ------
    DataError
        If weights are bad.

    Examples
    --------
    >>> cell_quantiles([1, 3, 5], [0, 0, 1], 2, [0.5, 0.9], [3, 1, 1]).tolist()
    [[1.0, 3.0], [5.0, 5.0]]
    """
    x, cell = np.asarray(values, dtype=np.float64), np.asarray(cells, dtype=np.int64)
    w = _row_weights(weights, len(x))
    p = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    kept = (cell >= 0) & (w > 0)
    x, cell, w = x[kept], cell[kept], w[kept]
    order = _by_cell(x, cell)
    x, w = x[order], w[order]
    ends = np.cumsum(np.bincount(cell, minlength=n_cells))
    out = np.full((n_cells, len(p)), np.nan)
    for place, (start, end) in enumerate(zip(np.append(0, ends), ends, strict=False)):
        if end > start:
            shares = np.cumsum(w[start:end])
            at = np.searchsorted(shares / shares[-1], p - _SLACK, side="left")
            out[place] = x[start:end][np.minimum(at, end - start - 1)]
    return out


def cell_tvd(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_cells: ArrayLike,
    synthetic_cells: ArrayLike,
    n_cells: int,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> Floats:
    """Return the total variation distance of categories within each cell; see `microplex.metrics.marginal.tvd`.

    Between 0 (ideal) and 1.

    Parameters
    ----------
    real, synthetic : array_like of int, shape (n,) and (k,)
        Codes of the categories, 0 or more, none missing.
    real_cells, synthetic_cells, n_cells, real_weights, synthetic_weights
        See `cell_ks`.

    Returns
    -------
    float64[n_cells]
        NaN for a cell that has rows of one table only, or none.

    Raises
    ------
    DataError
        If weights are bad.

    Examples
    --------
    >>> cell_tvd([0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], 2).tolist()
    [0.5, 1.0]
    """
    a, b = np.asarray(real, dtype=np.int64), np.asarray(synthetic, dtype=np.int64)
    n_levels = int(max(a.max(initial=0), b.max(initial=0))) + 1
    shares = []
    for codes, c, weights in ((a, real_cells, real_weights), (b, synthetic_cells, synthetic_weights)):
        cell, w = np.asarray(c, dtype=np.int64), _row_weights(weights, len(codes))
        inside = cell >= 0
        place = cell[inside] * n_levels + codes[inside]
        table = np.bincount(place, weights=w[inside], minlength=n_cells * n_levels).reshape(n_cells, n_levels)
        counts = table.sum(axis=1, keepdims=True)
        shares.append(np.divide(table, counts, out=np.full(table.shape, np.nan), where=counts > 0))
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=1) / 2)


def _by_cell(values: Floats, cells: Ints) -> Ints:
    """Order rows by cell and then by value: a stable sort is linear in runs in order, and in numbers of 16 bits."""
    order = np.argsort(values, kind="stable")
    short = cells.astype(np.int16) if cells.max(initial=0) < 2**15 else cells
    return order[np.argsort(short[order], kind="stable")]


def _row_weights(weights: ArrayLike | None, n: int) -> Floats:
    return check_weights(weights, n, "weights")


def cell_sums(cells: ArrayLike, n_cells: int, weights: ArrayLike | None = None) -> Floats:
    """Return the weight in each cell.

    Parameters
    ----------
    cells : array_like of int, shape (n,)
        Cell of each row; rows of cell -1 are left out.
    n_cells : int
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float64[n_cells]

    Raises
    ------
    DataError
        If weights are bad.

    Examples
    --------
    >>> cell_sums([0, 0, 1], 2, [3, 1, 1]).tolist()
    [4.0, 1.0]
    """
    cell: Ints = np.asarray(cells, dtype=np.int64)
    w = _row_weights(weights, len(cell))
    return np.asarray(np.bincount(cell[cell >= 0], weights=w[cell >= 0], minlength=n_cells))
