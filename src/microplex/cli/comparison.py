"""How far a synthetic table is from a real one, variable by variable and pair by pair.

Every figure needs its floor: what fresh real rows score when they are taken for synthetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.survey import ecdf, mean, quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Margin:
    """One numeric variable of one table; quantiles are of values that are not 0.

    Parameters
    ----------
    variable : str
        Its name.
    mean, zero_share, p50, p90, p99 : float
        Weighted.
    ks : float
        Kolmogorov-Smirnov distance from the real table, over all rows.
    """

    variable: str
    mean: float
    zero_share: float
    p50: float
    p90: float
    p99: float
    ks: float


@dataclass(frozen=True)
class Joint:
    """Distances from the real table over all variables.

    Parameters
    ----------
    ks, zero_error : float
        Mean over numeric variables: Kolmogorov-Smirnov distance, error of the share of zeros.
    level_error : float
        Mean over categorical variables: total variation distance.
    spearman_error : float
        Root mean square error of Spearman's correlations between targets and with numeric conditions.
    zero_pair_error : float
        Mean error of the share of rows in which neither of two targets is 0.
    """

    ks: float
    zero_error: float
    level_error: float
    spearman_error: float
    zero_pair_error: float


@dataclass(frozen=True)
class Comparison:
    """A table compared with a real one: each numeric variable, each level, and all together."""

    margins: tuple[Margin, ...]
    levels: dict[str, pd.Series[float]]
    joint: Joint


def compare(
    real: pd.DataFrame,
    other: pd.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str] = (),
    weight: str | None = None,
) -> Comparison:
    """Compare a table with a real one.

    Parameters
    ----------
    real, other : DataFrame
        Complete rows, any number of each.
    targets : sequence of str
        Variables to compare; those that are no numbers by their levels.
    conditions : sequence of str
        Numeric ones among them take part in the correlations.
    weight : str, optional
        Column of weights in both tables.

    Returns
    -------
    Comparison
        Of `other`; all distances are 0 if it is `real`.

    Raises
    ------
    DataError
        If a value is missing.

    Examples
    --------
    >>> real = pd.DataFrame({"a": [0.0, 1, 2, 3], "b": [0.0, 0, 1, 5]})
    >>> compare(real, real.assign(b=[0.0, 0, 0, 5]), ["a", "b"]).joint.zero_error
    0.125
    """
    numbers = [name for name in targets if pd.api.types.is_numeric_dtype(real[name])]
    others = [name for name in targets if name not in numbers]
    given = [name for name in conditions if pd.api.types.is_numeric_dtype(real[name])]
    v, w = (None if weight is None else table[weight].to_numpy(np.float64) for table in (real, other))
    reference = tuple(describe(real, real, name, v, v) for name in numbers)
    margins = tuple(describe(other, real, name, w, v) for name in numbers)
    levels = {name: level_shares(other[name], w) for name in others}
    tvd = [0.5 * levels[name].sub(level_shares(real[name], v), fill_value=0).abs().sum() for name in others]
    first, second = (_matrix(table, [*numbers, *given]) for table in (real, other))
    k = len(numbers)
    joint = Joint(
        ks=_mean([margin.ks for margin in margins]),
        zero_error=_mean([abs(a.zero_share - b.zero_share) for a, b in zip(reference, margins, strict=True)]),
        level_error=_mean(tvd),
        spearman_error=_spearman_error(first, second, k, v, w),
        zero_pair_error=_zero_pair_error(first[:, :k], second[:, :k], v, w),
    )
    return Comparison(margins, levels, joint)


def describe(
    table: pd.DataFrame, real: pd.DataFrame, name: str, weights: Floats | None, real_weights: Floats | None
) -> Margin:
    """Describe one variable of a table and its distance from the real one.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [0.0, 1, 2, 3]})
    >>> describe(table, table, "a", None, None).p50
    2.0
    """
    values = table[name].to_numpy(np.float64)
    w = np.ones(len(values)) if weights is None else weights
    some = values != 0
    p50, p90, p99 = quantile(values[some], [0.5, 0.9, 0.99], w[some]) if w[some].sum() > 0 else np.zeros(3)
    distance = ks_distance(real[name].to_numpy(np.float64), values, real_weights, w)
    return Margin(name, mean(values, w), 1.0 - mean(some, w), float(p50), float(p90), float(p99), distance)


def ks_distance(a: Floats, b: Floats, weights_a: Floats | None = None, weights_b: Floats | None = None) -> float:
    """Return the largest distance between two weighted distribution functions.

    Examples
    --------
    >>> ks_distance(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    0.5
    """
    functions = [ecdf(a, weights_a), ecdf(b, weights_b)]
    points = np.union1d(functions[0][0], functions[1][0])
    gaps = [np.r_[0.0, shares][np.searchsorted(at, points, side="right")] for at, shares in functions]
    return float(np.abs(gaps[0] - gaps[1]).max())


def level_shares(values: pd.Series[str], weights: Floats | None) -> pd.Series[float]:
    """Return the weighted share of every level, in the order of a categorical.

    Examples
    --------
    >>> level_shares(pd.Series(["a", "b", "a", "a"]), None).to_dict()
    {'a': 0.75, 'b': 0.25}
    """
    w = pd.Series(np.ones(len(values)) if weights is None else weights, index=values.index)
    sums = w.groupby(values, observed=False).sum()
    return sums / sums.sum()


def spearman(matrix: Floats, weights: Floats | None = None) -> Floats:
    """Return weighted rank correlations between columns; 0 where one is constant.

    Examples
    --------
    >>> spearman(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 8.0]])).round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    w = np.ones(len(matrix)) if weights is None else weights
    ranks = np.empty_like(matrix)
    for place, values in enumerate(matrix.T):
        points, shares = ecdf(values, w)
        middle = (np.r_[0.0, shares[:-1]] + shares) / 2
        ranks[:, place] = middle[np.minimum(np.searchsorted(points, values), len(points) - 1)]
    ranks -= np.average(ranks, axis=0, weights=w)
    cross = ranks.T @ (ranks * w[:, None])
    scale = np.sqrt(np.diag(cross))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nan_to_num(cross / np.outer(scale, scale)))


def _spearman_error(a: Floats, b: Floats, n_targets: int, v: Floats | None, w: Floats | None) -> float:
    i, j = np.triu_indices(a.shape[1], 1)
    i, j = i[i < n_targets], j[i < n_targets]
    return float(np.sqrt(_mean((spearman(a, v) - spearman(b, w))[i, j] ** 2)))


def _zero_pair_error(a: Floats, b: Floats, v: Floats | None, w: Floats | None) -> float:
    gaps = np.abs(_both(a, v) - _both(b, w))
    return _mean(gaps[np.triu_indices(len(gaps), 1)])


def _both(matrix: Floats, weights: Floats | None) -> Floats:
    """Shares of rows in which neither of two columns is 0."""
    w = np.ones(len(matrix)) if weights is None else weights
    some = (matrix != 0).astype(np.float64)
    return np.asarray(some.T @ (some * w[:, None]) / w.sum())


def _matrix(table: pd.DataFrame, names: list[str]) -> Floats:
    return table[names].to_numpy(np.float64)


def _mean(values: Sequence[float] | Floats) -> float:
    return float(np.mean(values)) if len(values) else 0.0
