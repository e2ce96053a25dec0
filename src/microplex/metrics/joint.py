"""Joint measures: matrices of association, joint zeros, and two- and three-way tables.

Every measure counts a row of weight w like w rows and does not depend on the scale of the weights. A missing category
is a level of its own; a missing number leaves its pairs, except in the tables, where it has a bin of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex._random import generator
from microplex._validation import check_columns, check_weights
from microplex.metrics.pair import Pair, Variable
from microplex.metrics.record import WORST_PAIR, Record, undefined
from microplex.survey import quantile

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVELS_KEPT = 15
_NEGATIVE_SHARE = 0.1
_ROWS = 65_536
_STREAM = 731


def correlation_matrix(columns: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return Pearson's correlations of all pairs of columns, each over the rows where both are present.

    r = sum w (x - x')(y - y') / sqrt(sum w (x - x')^2 sum w (y - y')^2), with x', y' the weighted means over the same
    rows. From -1 to 1 (Pearson, 1895).

    Parameters
    ----------
    columns : array_like of shape (n, p)
        Numbers, NaN where missing.
    weights : array_like of shape (n,), optional

    Returns
    -------
    float64[p, p]
        NaN where a column of the pair does not vary.

    Examples
    --------
    >>> correlation_matrix([[0, 0], [1, 2], [5, np.nan], [2, 4]]).round(4).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    x = scaled(columns)
    w = check_weights(weights, len(x), "weights")
    present = ~np.isnan(x)
    mass = np.maximum(w @ present, np.finfo(float).tiny)
    centre = np.array([w[p] @ x[p, j] for j, p in enumerate(present.T)]) / mass
    spread = np.sqrt(np.array([w[p] @ (x[p, j] - centre[j]) ** 2 for j, p in enumerate(present.T)]) / mass)
    spread[spread <= 1e-12 * np.abs(centre)] = np.inf
    sums = np.zeros((4, x.shape[1], x.shape[1]))
    for start in range(0, len(x), _ROWS):
        part = slice(start, start + _ROWS)
        here = present[part].astype(np.float64)
        z = np.where(present[part], (x[part] - centre) / spread, 0.0)
        weighed, weight = z * w[part, None], here * w[part, None]
        sums += [here.T @ weight, weighed.T @ here, (z * weighed).T @ here, weighed.T @ z]
    n = np.where(sums[0] > 0, sums[0], 1.0)
    first, second, product = sums[1] / n, sums[2] / n, sums[3] / n
    variance = second - first**2
    scale = variance * variance.T
    usable = (np.minimum(variance, variance.T) > 1e-12) & (sums[0] > 0)
    r = np.divide(product - first * first.T, np.sqrt(np.where(usable, scale, 1.0)))
    return np.where(usable, np.clip(r, -1.0, 1.0), np.nan)


def scaled(columns: ArrayLike) -> Floats:
    """Divide each column by a power of two that leaves its values below 1, so that no sum or square overflows.

    Examples
    --------
    >>> scaled([[3.0, 1e308], [1.0, -1e308]]).round(3).tolist()
    [[0.75, 0.556], [0.25, -0.556]]
    """
    x = np.asarray(columns, dtype=np.float64)
    found: Floats = np.ldexp(x, -np.frexp(np.fmax.reduce(np.abs(x), axis=0, initial=0.0))[1])
    return found


def ranks(values: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return weighted mid-ranks between 0 and 1: the weight below plus half the weight at a value, over the total.

    The Pearson correlation of ranks is Spearman's (1904). NaN stays NaN.

    Examples
    --------
    >>> ranks([10.0, 20.0, 20.0], [2, 1, 1]).tolist()
    [0.25, 0.75, 0.75]
    """
    x = np.asarray(values, dtype=np.float64)
    w = check_weights(weights, len(x), "weights")
    found = np.full(len(x), np.nan)
    use = ~np.isnan(x)
    if w[use].sum() > 0:
        _, place = np.unique(x[use], return_inverse=True)
        mass = np.bincount(place, weights=w[use])
        found[use] = ((np.cumsum(mass) - mass / 2) / mass.sum())[place]
    return found


def cramers_v(first: ArrayLike, second: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return Cramer's V of two category columns, sqrt(chi^2 / N / min(r - 1, c - 1)), without bias correction.

    From 0 (independent) to 1; NaN if a column has one level (Cramer, 1946, section 21.9).

    Parameters
    ----------
    first, second : array_like of shape (n,)
        Codes; -1 (missing) is a level.
    weights : array_like of shape (n,), optional

    Examples
    --------
    >>> cramers_v([0, 0, 1, 1], [1, 1, 0, 0])
    1.0
    """
    a, b = np.asarray(first, dtype=np.int64) + 1, np.asarray(second, dtype=np.int64) + 1
    w = check_weights(weights, len(a), "weights")
    n_levels = int(b.max(initial=0)) + 1
    table = np.bincount(a * n_levels + b, weights=w, minlength=(int(a.max(initial=0)) + 1) * n_levels)
    shares = table.reshape(-1, n_levels) / w.sum()
    shares = shares[shares.sum(axis=1) > 0][:, shares.sum(axis=0) > 0]
    if min(shares.shape) < 2:
        return float("nan")
    expected = shares.sum(axis=1)[:, None] * shares.sum(axis=0)
    return float(min(1.0, np.sqrt(((shares - expected) ** 2 / expected).sum() / (min(shares.shape) - 1))))


def correlation_ratio(groups: ArrayLike, values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the correlation ratio eta, sqrt(variance between groups / total variance), of a number by a category.

    From 0 to 1; NaN if the number or the category does not vary (Pearson, 1905). Rows with a missing number are
    left out; a missing category (-1) is a level.

    Examples
    --------
    >>> correlation_ratio([0, 0, 1, 1], [1.0, 1.0, 5.0, 5.0])
    1.0
    """
    x, code = scaled(values), np.asarray(groups, dtype=np.int64) + 1
    w = np.where(np.isnan(x), 0.0, check_weights(weights, len(x), "weights"))
    use = w > 0
    x, code, w = x[use], code[use], w[use]
    if not len(x) or np.ptp(x) == 0 or np.ptp(code) == 0:
        return float("nan")
    x = x - w @ x / w.sum()
    mass = np.bincount(code, weights=w)
    between = np.divide(np.bincount(code, weights=w * x) ** 2, mass, out=np.zeros(len(mass)), where=mass > 0).sum()
    return float(np.sqrt(min(1.0, between / (w @ x**2))))


def nonzero_pairs(columns: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the weighted share of rows where both columns differ from 0, among those where both are present.

    Returns
    -------
    float64[p, p]
        From 0 to 1; the diagonal is the share of each column that is not 0. NaN where no row has both.

    Examples
    --------
    >>> nonzero_pairs([[0, 1], [2, 3]]).tolist()
    [[0.5, 0.5], [0.5, 1.0]]
    """
    x = np.asarray(columns, dtype=np.float64)
    w = check_weights(weights, len(x), "weights")
    sums = np.zeros((2, x.shape[1], x.shape[1]))
    for start in range(0, len(x), _ROWS):
        part = x[start : start + _ROWS]
        present = (~np.isnan(part)).astype(np.float64)
        nonzero = present * (part != 0)
        weight = w[start : start + _ROWS, None]
        sums += [nonzero.T @ (nonzero * weight), present.T @ (present * weight)]
    found: Floats = np.divide(sums[0], sums[1], out=np.full(sums[0].shape, np.nan), where=sums[1] > 0)
    return found


def table_tvd(
    real: Sequence[Ints],
    synthetic: Sequence[Ints],
    sizes: Sequence[int],
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> float:
    """Return the total variation distance of two joint tables, half the sum of ``|p - q|`` over their cells.

    From 0 (equal) to 1 (no cell in common).

    Parameters
    ----------
    real, synthetic : sequence of int64 arrays
        Bins of the same variables, from 0.
    sizes : sequence of int
        Number of bins of each.
    real_weights, synthetic_weights : array_like, optional

    Examples
    --------
    >>> table_tvd([np.array([0, 1])], [np.array([0, 0])], [2])
    0.5
    """
    shares = []
    for columns, weights in ((real, real_weights), (synthetic, synthetic_weights)):
        w = check_weights(weights, len(columns[0]), "weights")
        cell = np.zeros(len(w), dtype=np.int64)
        for column, size in zip(columns, sizes, strict=True):
            cell = cell * size + column
        shares.append(np.bincount(cell, weights=w, minlength=int(np.prod(sizes))) / w.sum())
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def binned(variable: Variable, real_weights: ArrayLike, bins: int) -> tuple[Ints, Ints, int]:
    """Sort the values of a variable into a few bins that the real rows set.

    Numbers: missing, 0 and negative values have bins of their own; positive values are cut at their weighted
    quantiles, and so are negative ones that hold a tenth of the weight. Categories: the commonest `LEVELS_KEPT` keep
    a bin each, the others share one, missing has one.

    Returns
    -------
    real, synthetic : int64[n]
    size : int
        Number of bins.

    Examples
    --------
    >>> x = Variable("x", "number", np.array([0.0, 1.0, 2.0, 3.0, np.nan]), np.array([-1.0, 9.0]))
    >>> real, synthetic, size = binned(x, np.ones(5), bins=2)
    >>> real.tolist(), synthetic.tolist(), size
    ([1, 3, 4, 4, 0], [2, 4], 5)
    """
    w = np.asarray(real_weights, dtype=np.float64)
    if not variable.is_number:
        codes = variable.real.astype(np.int64) + 1
        mass = np.bincount(codes, weights=w, minlength=len(variable.levels) + 1)[1:]
        place = np.full(len(mass) + 1, LEVELS_KEPT + 1, dtype=np.int64)
        common = np.argsort(-mass, kind="stable")[:LEVELS_KEPT]
        place[common + 1] = np.arange(1, len(common) + 1)
        place[0] = 0
        return place[codes], place[variable.synthetic.astype(np.int64) + 1], LEVELS_KEPT + 2
    x = variable.real.astype(np.float64)
    above, below = _cuts(x, w, x > 0, bins), np.zeros(0)
    if w[x < 0].sum() >= _NEGATIVE_SHARE * w.sum():
        below = _cuts(x, w, x < 0, bins)

    def place_of(side: NDArray[np.generic]) -> Ints:
        values = side.astype(np.float64)
        negative = 2 + np.searchsorted(below, values, "right")
        positive = 3 + len(below) + np.searchsorted(above, values, "right")
        return np.select([np.isnan(values), values == 0, values < 0], [0, 1, negative], positive).astype(np.int64)

    return place_of(variable.real), place_of(variable.synthetic), 4 + len(below) + len(above)


def joint_records(
    both: Pair, targets: Sequence[str] | None = None, n_triples: int = 100, seed: int = 0
) -> list[Record]:
    """Return the joint measures of all variables, or of the pairs that have at least one of some targets.

    For each kind of association ("pearson", "spearman" of two numbers, "cramers_v" of two categories,
    "correlation_ratio" of a number by a category) the difference of the real and the synthetic matrix: root mean
    square ("_rms") and largest absolute value ("_max", which names its pair). A pair that is not defined in one table
    counts as 0 there; one that is defined in neither is left out. Spearman ranks each column once, over its present
    rows. "zero_pair_mean" and "zero_pair_max": absolute differences of `nonzero_pairs`. "table2_mean", "table2_max":
    `table_tvd` of all pairs in 6 bins; "table3_mean": of sampled triples in 4 bins. All are 0 at best; between two
    samples of one law they are not 0, so read them beside their floor.

    Parameters
    ----------
    both : Pair
    targets : sequence of str, optional
        Only pairs and triples with one of them count; all by default.
    n_triples : int
        Most triples to sample.
    seed : int

    Returns
    -------
    list of Record

    Raises
    ------
    ColumnNotFoundError
        If a target is not in the pair.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> real, synthetic = pd.DataFrame({"a": [0, 1, 2], "b": [0, 2, 4]}), pd.DataFrame({"a": [0, 1, 2], "b": [4, 2, 0]})
    >>> {record.measure: record.value for record in joint_records(pair(real, synthetic))}["pearson_rms"]
    2.0
    """
    check_columns(both.names, both.names if targets is None else list(targets), "target")
    counted = set(both.names if targets is None else targets)
    records = []
    for measure, difference in _differences(both).items():
        gaps = {names: gap for names, gap in difference.items() if counted & set(names)}
        records += _summary(measure, gaps, both)
    return records + _tables(both, counted, n_triples, seed)


@dataclass(frozen=True)
class _Side:
    side: str
    weights: Floats

    def numbers(self, variables: Sequence[Variable]) -> Floats:
        columns = [getattr(v, self.side) for v in variables]
        return np.column_stack(columns).astype(np.float64) if columns else np.zeros((len(self.weights), 0))


Gaps = dict[tuple[str, str], float]


def _differences(both: Pair) -> dict[str, Gaps]:
    numbers = [v for v in both.variables if v.is_number]
    categories = [v for v in both.variables if not v.is_number]
    sides = (_Side("real", both.real_weights), _Side("synthetic", both.synthetic_weights))
    pairs = [(a.name, b.name) for a, b in combinations(numbers, 2)]
    place = np.triu_indices(len(numbers), 1)

    def of_matrices(matrix: Callable[[Floats, Floats], Floats]) -> Gaps:
        real, synthetic = (matrix(side.numbers(numbers), side.weights)[place] for side in sides)
        return _gaps(pairs, real, synthetic)

    def of_columns(
        listed: list[tuple[Variable, Variable]], measure: Callable[[ArrayLike, ArrayLike, ArrayLike], float]
    ) -> Gaps:
        real, synthetic = (
            np.array([measure(getattr(a, s.side), getattr(b, s.side), s.weights) for a, b in listed]) for s in sides
        )
        return _gaps([(a.name, b.name) for a, b in listed], real, synthetic)

    return {
        "pearson": of_matrices(correlation_matrix),
        "spearman": of_matrices(
            lambda x, w: correlation_matrix(np.apply_along_axis(ranks, 0, x, w) if x.size else x, w)
        ),
        "cramers_v": of_columns(list(combinations(categories, 2)), cramers_v),
        "correlation_ratio": of_columns([(c, n) for c in categories for n in numbers], correlation_ratio),
        "zero_pair": of_matrices(nonzero_pairs),
    }


def _gaps(pairs: Sequence[tuple[str, str]], real: Floats, synthetic: Floats) -> Gaps:
    known = ~(np.isnan(real) & np.isnan(synthetic))
    gap = np.abs(np.nan_to_num(real, nan=0.0) - np.nan_to_num(synthetic, nan=0.0))
    return {names: float(value) for names, value, is_known in zip(pairs, gap, known, strict=True) if is_known}


def _summary(measure: str, gaps: Gaps, both: Pair) -> list[Record]:
    middle = "mean" if measure in ("zero_pair", "table2", "table3") else "rms"
    if not gaps:
        reason = "no pair of variables of the right kinds varies"
        return [undefined(f"{measure}_{part}", "joint", (), reason) for part in (middle, "max")]
    values = np.array(list(gaps.values()))
    value = values.mean() if middle == "mean" else np.sqrt((values**2).mean())
    worst = max(gaps, key=lambda names: gaps[names])
    n = min(len(both.real_weights), len(both.synthetic_weights))
    return [
        Record(f"{measure}_{middle}", "joint", (), float(value), ideal=0.0, detail=f"{len(gaps)} pairs", n=n),
        Record(f"{measure}_max", "joint", worst, gaps[worst], ideal=0.0, detail=WORST_PAIR, n=n),
    ]


def _tables(both: Pair, counted: set[str], n_triples: int, seed: int) -> list[Record]:
    pairs = [places for places in combinations(range(len(both.names)), 2) if _is_counted(both, places, counted)]
    gaps = {(both.names[a], both.names[b]): gap for (a, b), gap in zip(pairs, _tvds(both, pairs, 6), strict=True)}
    records = _summary("table2", gaps, both)
    triples = _triples(both, counted, n_triples, seed)
    if not triples:
        return [*records, undefined("table3_mean", "joint", (), "fewer than three variables")]
    value = float(np.mean(_tvds(both, triples, 4)))
    n = min(len(both.real_weights), len(both.synthetic_weights))
    return [*records, Record("table3_mean", "joint", (), value, ideal=0.0, detail=f"{len(triples)} triples", n=n)]


def _is_counted(both: Pair, places: Sequence[int], counted: set[str]) -> bool:
    return any(both.names[place] in counted for place in places)


def _triples(both: Pair, counted: set[str], most: int, seed: int) -> list[tuple[int, ...]]:
    every: list[tuple[int, ...]] = [
        places for places in combinations(range(len(both.names)), 3) if _is_counted(both, places, counted)
    ]
    if len(every) <= most:
        return every
    chosen = generator(seed, _STREAM).choice(len(every), most, replace=False)
    return [every[place] for place in np.sort(chosen)]


def _tvds(both: Pair, listed: Sequence[tuple[int, ...]], bins: int) -> list[float]:
    coded = [binned(variable, both.real_weights, bins) for variable in both.variables]
    return [
        table_tvd(
            [coded[p][0] for p in places],
            [coded[p][1] for p in places],
            [coded[p][2] for p in places],
            both.real_weights,
            both.synthetic_weights,
        )
        for places in listed
    ]


def _cuts(values: Floats, weights: Floats, use: NDArray[np.bool_], bins: int) -> Floats:
    if not weights[use].sum() > 0:
        return np.zeros(0)
    return np.unique(quantile(values[use], np.arange(1, bins) / bins, weights[use]))
