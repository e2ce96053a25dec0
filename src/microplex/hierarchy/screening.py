"""Which of many possible conditions a stage reads: those that tell most about its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from microplex.schema import Column

Floats = NDArray[np.float64]
MAX_ROWS, MAX_LEVELS = 20_000, 12


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

    Each is scored by the mean over targets of the squared multiple correlation of the target's features (its rank;
    indicators of its levels) on those of the condition: a linear screen on ranks in the manner of Fan and Lv (2008).

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
    w = weights[::step] / weights[::step].sum()
    goal = np.hstack([_features(values[c][::step], columns[c], w) for c in targets])
    share = np.concatenate(
        [[1 / k] * k for k in (_features(values[c][:2], columns[c], w[:2]).shape[1] for c in targets)]
    )
    score = {c: _explained(_features(values[c][::step], columns[c], w), goal, w) @ share for c in offered}
    free = sorted((c for c in offered if c not in keep), key=lambda c: -score[c])
    chosen = {*keep, *free[: max(0, most - len(keep))]}
    return [c for c in offered if c in chosen]


def _features(x: NDArray[Any], column: Column, w: Floats) -> Floats:
    """Centred features of a column: rank and missingness of a number, indicators of levels."""
    if column.is_numeric:
        seen = ~np.isnan(x)
        rank = np.full(len(x), 0.5)
        rank[seen] = rankdata(x[seen]) / (seen.sum() + 1)
        out = np.column_stack([rank, ~seen])
    else:
        out = (x[:, None] == np.arange(min(len(column.levels) + 1, MAX_LEVELS))).astype(float)
    return np.asarray(out - w @ out)


def _explained(a: Floats, b: Floats, w: Floats) -> Floats:
    """Squared multiple correlation of each column of b on the columns of a."""
    aw = a * w[:, None]
    inner = a.T @ aw
    inner[np.diag_indices_from(inner)] += 1e-6
    cross = aw.T @ b
    total = w @ b**2
    return np.asarray(np.einsum("ij,ij->j", cross, np.linalg.solve(inner, cross)) / np.maximum(total, 1e-9))
