"""Which of many possible conditions a stage reads: those that tell most about its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from microplex.schema import Column

Floats = NDArray[np.float64]
MAX_ROWS, MAX_LEVELS, MIN_CELL = 20_000, 12, 30


def screen(
    values: Mapping[str, NDArray[Any]],
    columns: Mapping[str, Column],
    targets: Sequence[str],
    offered: Sequence[str],
    weights: Floats,
    keep: Sequence[str],
    most: int,
) -> list[str]:
    """Choose conditions.

    Each is scored by the squared multiple correlation of a target's features (its rank; indicators of its levels) on
    those of the condition, within cells of the conditions that are kept in any case: a linear screen on ranks in the
    manner of Fan and Lv (2008). Its score is the mean over targets and the largest, so that what matters for one target
    alone is not lost.

    Parameters
    ----------
    values : mapping of arrays, shape (n,)
        Numbers, or codes of levels.
    columns : mapping of str to Column
        What each is.
    targets, offered : sequence of str
        Columns to learn, and possible conditions.
    weights : float64[n]
        Survey weights.
    keep : sequence of str
        Conditions that are chosen in any case.
    most : int
        How many at most.

    Returns
    -------
    list of str
        In the order in which they were offered.

    Examples
    --------
    >>> x = np.arange(100.0)
    >>> columns = {c: Column(c, "continuous", "float") for c in ("x", "y", "z")}
    >>> values = {"x": x, "y": x**2, "z": x % 2}
    >>> screen(values, columns, ["y"], ["z", "x"], np.ones(100), [], most=1)
    ['x']
    """
    if len(offered) <= most:
        return list(offered)
    step = max(1, len(weights) // MAX_ROWS)
    some = {c: values[c][::step] for c in (*targets, *offered)}
    w = weights[::step] / weights[::step].sum()
    cells = _cells([some[c] for c in keep if c in some], [columns[c] for c in keep if c in some], len(w))
    goals = {c: _features(some[c], columns[c], w, cells) for c in targets}
    score = {}
    for c in offered:
        own = _features(some[c], columns[c], w, cells)
        told = [float(_explained(own, goal, w).mean()) for goal in goals.values()]
        score[c] = max(told) + float(np.mean(told))
    free = sorted((c for c in offered if c not in keep), key=lambda c: -score[c])
    chosen = {*keep, *free[: max(0, most - len(keep))]}
    return [c for c in offered if c in chosen]


def _cells(arrays: Sequence[NDArray[Any]], columns: Sequence[Column], n: int) -> NDArray[np.int64]:
    """Cells of rows that agree in conditions: levels, and tenths of numbers; the first conditions count."""
    cell = np.zeros(n, np.int64)
    for x, column in zip(arrays, columns, strict=True):
        if column.is_numeric:
            code = np.minimum(10 * (rankdata(np.nan_to_num(x)) - 1) // n, 9).astype(np.int64)
        else:
            code = np.maximum(x, 0).astype(np.int64)
        finer = np.unique(cell * (int(code.max(initial=0)) + 1) + code, return_inverse=True)[1].ravel()
        if finer.max(initial=0) + 1 > n // MIN_CELL:
            break
        cell = finer
    return cell


def _features(x: NDArray[Any], column: Column, w: Floats, cells: NDArray[np.int64]) -> Floats:
    """Features of a column, centred within cells: rank and missingness of a number, indicators of levels."""
    if column.is_numeric:
        seen = ~np.isnan(x)
        rank = np.full(len(x), 0.5)
        rank[seen] = rankdata(x[seen]) / (seen.sum() + 1)
        out = np.column_stack([rank, ~seen])
    else:
        out = (x[:, None] == np.arange(min(len(column.levels) + 1, MAX_LEVELS))).astype(float)
    mass = np.maximum(np.bincount(cells, w), 1e-300)
    means = np.column_stack([np.bincount(cells, w * f) / mass for f in out.T])
    return np.asarray(out - means[cells])


def _explained(a: Floats, b: Floats, w: Floats) -> Floats:
    """Squared multiple correlation of each column of b on the columns of a."""
    aw = a * w[:, None]
    inner = a.T @ aw
    inner[np.diag_indices_from(inner)] += 1e-6
    cross = aw.T @ b
    total = w @ b**2
    return np.asarray(np.einsum("ij,ij->j", cross, np.linalg.solve(inner, cross)) / np.maximum(total, 1e-9))
