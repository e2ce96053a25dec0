"""Can a classifier tell synthetic rows from real ones? Boosted trees (C2ST) and logistic propensities (pMSE).

Needs scikit-learn for the trees: `pip install microplex[report]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, special, stats

from microplex._random import generator
from microplex._validation import check_columns, check_weights
from microplex.errors import DataError
from microplex.metrics.groups import row_groups
from microplex.metrics.joint import binned
from microplex.metrics.neighbours import SCALE, embed, thin
from microplex.metrics.pair import Pair, Variable
from microplex.metrics.record import Record, undefined
from microplex.metrics.trees import coarse, features, fitted
from microplex.survey import ess

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_Z = 1.959963984540054
_FOLD_STREAM, _THIN_STREAM = 733, 734
_ROWS_PER_TERM = 5


@dataclass(frozen=True)
class TwoSampleTest:
    """Cross-validated area under the ROC curve of a classifier between two samples.

    Parameters
    ----------
    auc : float
        0.5 where the samples cannot be told apart, 1 where they always can.
    error : float
        Its standard error.
    interval : tuple of float
        Where `auc` lies with 95 % probability if both samples follow one law.
    """

    auc: float
    error: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Propensity:
    """Mean squared error of propensity scores.

    Parameters
    ----------
    pmse : float
        Weighted mean of (p - 1/2)^2, from 0 to 1/4.
    expected : float
        Its expectation for two independent samples of one law.
    terms : int
        Free coefficients besides the intercept.
    """

    pmse: float
    expected: float
    terms: int

    @property
    def ratio(self) -> float:
        """The error over its expectation; 1 for samples of one law."""
        return self.pmse / self.expected

    @property
    def interval(self) -> tuple[float, float]:
        """Where `ratio` lies with 95 % probability for samples of one law (chi-squared over its degrees)."""
        low, high = (float(stats.chi2.ppf(p, self.terms)) / self.terms for p in (0.025, 0.975))
        return low, high


def auc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve: the chance that a row of label 1 scores above one of label 0.

    Ties count half; each pair of rows has the product of its weights. From 0 to 1; NaN if a label is absent.
    Mann and Whitney (1947); Hanley and McNeil (1982).

    Examples
    --------
    >>> auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1])
    0.875
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    w = check_weights(weights, len(s), "weights")
    if not (w[y].sum() > 0 and w[~y].sum() > 0):
        return float("nan")
    return float(w[y] @ _share_below(s[y], s[~y], w[~y]) / w[y].sum())


def auc_error(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike, groups: ArrayLike) -> float:
    """Return the standard error of `auc` for rows that come in groups.

    The spread of the sums, group by group, of what each row adds to the area (DeLong, DeLong and Clarke-Pearson, 1988;
    Obuchowski, 1997, for groups), divided by 1 less the largest share of a group, because the area follows it.

    Parameters
    ----------
    scores, labels, weights, groups : array_like of shape (n,)
        Groups are whole numbers from 0.

    Examples
    --------
    >>> round(auc_error([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 2, 3]), 4)
    0.1768
    """
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    w = check_weights(weights, len(s), "weights")
    area = auc(s, y, w)
    added = np.empty(len(s))
    added[y] = w[y] / w[y].sum() * (_share_below(s[y], s[~y], w[~y]) - area)
    added[~y] = w[~y] / w[~y].sum() * (1 - _share_below(s[~y], s[y], w[y]) - area)
    group = np.asarray(groups, dtype=np.int64)
    share = np.maximum(*(np.bincount(group, weights=w * side) / w[side].sum() for side in (y, ~y)))
    return float(np.sqrt((np.bincount(group, weights=added) ** 2 / np.maximum(1 - share, 0.1)).sum()))


def two_sample_test(
    real: Floats,
    synthetic: Floats,
    categories: Sequence[int] = (),
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    folds: int = 5,
    seed: int = 0,
) -> TwoSampleTest:
    """Cross-validate gradient boosting (scikit-learn's histogram trees) that tells synthetic rows from real ones.

    Both sides have half of the weight. Rows of a group share a fold: exact duplicates by default, because a copied row
    seen in training would be recognised. Areas are taken within folds and averaged, so that their expectation is 0.5
    if both samples follow one law. Two folds that agree by chance do so twice, each as the test of the other, so the
    variance of the average is up to twice that of independent areas (`auc_error`); the interval takes twice, and
    raises a false alarm in at most 5 % of fresh samples. Lopez-Paz and Oquab (2017), "Revisiting classifier two-sample
    tests". The areas count a row of weight w as w rows; the trees do so but for their smallest leaf of 20 rows;
    they see numbers of many values in bins (`trees.coarse`).

    Parameters
    ----------
    real, synthetic : float64[n, p]
        NaN is missing; categories are codes below 255.
    categories : sequence of int
        Columns that are categories.
    real_weights, synthetic_weights : array_like, optional
    groups : array_like of shape (n_real + n_synthetic,), optional
        Whole numbers, real rows first.
    folds : int
    seed : int

    Returns
    -------
    TwoSampleTest

    Raises
    ------
    DataError
        If a side has fewer than two rows a fold.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> rows = np.arange(100.0)[:, None]
    >>> two_sample_test(rows, rows + 1000).auc
    1.0
    """
    if min(len(real), len(synthetic)) < 2 * folds:
        raise DataError(f"{folds} folds need {2 * folds} rows a side; got {len(real)} and {len(synthetic)}.")
    X = np.vstack([real, synthetic]).astype(np.float64)
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    w = _balanced(real_weights, synthetic_weights, len(real), len(synthetic)) * len(X)
    clusters = row_groups(X) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    fold, X = _folds(clusters, folds, seed), coarse(X, w, categories)
    areas, errors, shares = [], [], []
    for number in range(folds):
        test = fold == number
        if min(w[test & (y == 0)].sum(), w[test & (y == 1)].sum(), w[~test & (y == 0)].sum()) <= 0:
            continue
        model = fitted("Classifier", categories, X[~test], y[~test], w[~test])
        scores = model.predict_proba(X[test])[:, 1]
        areas.append(auc(scores, y[test], w[test]))
        errors.append(auc_error(scores, y[test], w[test], clusters[test]))
        shares.append(w[test].sum())
    if not areas:
        raise DataError("no fold has rows of both sides; are nearly all rows identical?")
    share = np.array(shares) / sum(shares)
    area, error = float(share @ areas), float(np.sqrt(2 * (share**2 @ np.array(errors) ** 2)))
    return TwoSampleTest(area, error, (max(0.0, 0.5 - _Z * error), min(1.0, 0.5 + _Z * error)))


def propensity(
    real: Floats, synthetic: Floats, real_weights: ArrayLike | None = None, synthetic_weights: ArrayLike | None = None
) -> Propensity:
    """Fit a logistic regression of "is synthetic" and return the mean squared distance of its scores from 1/2.

    Both sides have half of the weight. For two independent samples of one law the expectation is
    terms (1 / n_real + 1 / n_synthetic) / 16 with Kish's effective sizes; Snoke, Raab, Nowok, Dibben and Slavkovic
    (2018), "General and specific utility measures for synthetic data", condition on the real rows and so divide by
    half of this: their ratio is twice the one here.

    Parameters
    ----------
    real, synthetic : float64[n, p]
        Terms without an intercept; those that depend on others are counted once.
    real_weights, synthetic_weights : array_like, optional

    Returns
    -------
    Propensity

    Raises
    ------
    DataError
        If no term varies, or there are more terms than rows of a side.

    Examples
    --------
    >>> found = propensity(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]))
    >>> round(found.pmse, 12), found.expected, found.terms
    (0.0, 0.0625, 1)
    """
    w = _balanced(real_weights, synthetic_weights, len(real), len(synthetic))
    y = np.repeat([0.0, 1.0], [len(real), len(synthetic)])
    X = np.vstack([real, synthetic]).astype(np.float64)
    X = X - w @ X
    X = X / np.maximum(np.sqrt(w @ X**2), 1e-300)
    values, vectors = linalg.eigh((X * w[:, None]).T @ X) if X.shape[1] else (np.zeros(0), np.zeros((0, 0)))
    keep = values > 1e-9
    terms = int(keep.sum())
    sizes = [ess(part) for part in (w[y == 0], w[y == 1])]
    if not 0 < terms < min(sizes):
        raise DataError(f"propensity scores need from 1 term to fewer than {min(sizes):.0f} rows; got {terms} terms.")
    basis = np.column_stack([np.ones(len(y)), X @ (vectors[:, keep] / np.sqrt(values[keep]))])
    scores = _logistic(basis, y, w)
    return Propensity(float(w @ (scores - 0.5) ** 2), terms * (1 / sizes[0] + 1 / sizes[1]) / 16, terms)


def classifier_records(
    both: Pair,
    conditions: Sequence[str] = (),
    strict: bool = False,
    interactions: bool = True,
    max_rows: int = 20_000,
    folds: int = 5,
    seed: int = 0,
) -> list[Record]:
    """Return "c2st_auc" (ideal 0.5), "pmse" (ideal 0) and "pmse_ratio" (ideal 1) of all variables together.

    The trees see raw numbers, and categories as such (the commonest 250; the others share a level). The propensity
    model sees mid-ranks among real rows, whether a number is 0 and whether it is missing, categories (the commonest
    15), and, with `interactions`, the products of all pairs of ranks; these are left out where they would leave fewer
    than 5 rows a term. A side with more than `max_rows` rows is thinned to rows of equal weight (`thin`).

    Parameters
    ----------
    both : Pair
    conditions : sequence of str
        Variables that synthetic rows took from real ones: rows that share their values share a fold. Where the
        commonest combination is more than a fold, and without conditions, exact duplicates do.
    strict : bool
        Also "c2st_strict_auc", whose trees are told of each number whether it is 0, a multiple of 1000, 100 or 10,
        another whole number or none, so that lost rounding shows.
    interactions : bool
    max_rows : int
    folds : int
    seed : int

    Returns
    -------
    list of Record

    Raises
    ------
    ColumnNotFoundError
        If a condition is not in the pair.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> real = pd.DataFrame({"x": range(100)})
    >>> [record.measure for record in classifier_records(pair(real, real + 500))]
    ['c2st_auc', 'pmse', 'pmse_ratio']
    """
    check_columns(both.names, list(conditions), "condition")
    both = _thinned(both, max_rows, seed)
    tests = [("c2st_auc", False), *([("c2st_strict_auc", True)] if strict else [])]
    return [_tested(both, name, conditions, adds, folds, seed) for name, adds in tests] + _scored(both, interactions)


def _tested(both: Pair, measure: str, conditions: Sequence[str], strict: bool, folds: int, seed: int) -> Record:
    n = min(len(both.real_weights), len(both.synthetic_weights))
    real, synthetic, categories = features(both.variables, both.real_weights, strict)
    groups, held = None, "exact duplicates"
    if conditions:
        shared = features([both[name] for name in conditions], both.real_weights)
        joined = row_groups(np.vstack(shared[:2]))
        if np.bincount(joined).max() * folds <= len(joined):
            groups, held = joined, "rows of equal conditions"
    weights = (both.real_weights, both.synthetic_weights)
    try:
        found = two_sample_test(real, synthetic, categories, *weights, groups, folds, seed)
    except DataError as error:
        return undefined(measure, "joint", (), str(error))
    detail = f"{folds} folds, {held} in one"
    return Record(measure, "joint", (), found.auc, ideal=0.5, interval=found.interval, detail=detail, n=n)


def _scored(both: Pair, interactions: bool) -> list[Record]:
    n = min(len(both.real_weights), len(both.synthetic_weights))
    real, synthetic = _terms(both, interactions)
    detail = "main effects and products" if interactions else "main effects"
    if interactions and real.shape[1] * _ROWS_PER_TERM > n:
        (real, synthetic), detail = _terms(both, False), "main effects; too few rows for products"
    try:
        found = propensity(real, synthetic, both.real_weights, both.synthetic_weights)
    except DataError as error:
        return [undefined(name, "joint", (), str(error)) for name in ("pmse", "pmse_ratio")]
    detail = f"{detail}; {found.terms} terms"
    return [
        Record("pmse", "joint", (), found.pmse, ideal=0.0, floor=found.expected, detail=detail, n=n),
        Record("pmse_ratio", "joint", (), found.ratio, ideal=1.0, interval=found.interval, detail=detail, n=n),
    ]


def _terms(both: Pair, interactions: bool) -> tuple[Floats, Floats]:
    """Return the terms of the propensity model, real and synthetic."""
    numbers = [v for v in both.variables if v.is_number]
    pooled = []
    for v in both.variables:
        if not v.is_number:
            real, synthetic, size = binned(v, both.real_weights, bins=1)
            pooled.append(Variable(v.name, "category", real, synthetic, tuple(range(size))))
    parts: list[tuple[Floats, Floats]] = []
    axes: list[tuple[Floats, Floats]] = []
    for v in numbers:
        placed = embed(Pair((v,), both.real_weights, both.synthetic_weights))
        parts.append(placed)
        axes.append((placed[0][:, :1] / SCALE, placed[1][:, :1] / SCALE))
        parts.append(((v.real == 0)[:, None].astype(np.float64), (v.synthetic == 0)[:, None].astype(np.float64)))
    if pooled:
        parts.append(embed(Pair(tuple(pooled), both.real_weights, both.synthetic_weights)))
    if interactions:
        parts += [(a[0] * b[0], a[1] * b[1]) for a, b in combinations(axes, 2)]
    return np.hstack([part[0] for part in parts]), np.hstack([part[1] for part in parts])


def _thinned(both: Pair, max_rows: int, seed: int) -> Pair:
    chosen, weights = [], []
    for place, w in enumerate((both.real_weights, both.synthetic_weights)):
        rows = np.arange(len(w)) if len(w) <= max_rows else thin(w, max_rows, seed, _THIN_STREAM + place)
        chosen.append(rows)
        weights.append(w if len(w) <= max_rows else np.ones(len(rows)))
    return Pair(both.rows(chosen[0], chosen[1]).variables, weights[0], weights[1])


def _share_below(values: Floats, others: Floats, weights: Floats) -> Floats:
    """Return the weighted share of the others below each value, half of those equal to it."""
    order = np.argsort(others)
    sums = np.concatenate([[0.0], np.cumsum(weights[order])])
    left, right = (np.searchsorted(others[order], values, side) for side in ("left", "right"))
    return np.asarray((sums[left] + sums[right]) / (2 * sums[-1]))


def _balanced(real: ArrayLike | None, synthetic: ArrayLike | None, n_real: int, n_synthetic: int) -> Floats:
    a, b = check_weights(real, n_real, "real weights"), check_weights(synthetic, n_synthetic, "synthetic weights")
    return np.concatenate([a / a.sum(), b / b.sum()]) / 2


def _folds(groups: Ints, folds: int, seed: int) -> Ints:
    """Deal groups in random order, each into one fold, so that folds have about the same number of rows."""
    sizes = np.bincount(groups)
    order = generator(seed, _FOLD_STREAM).permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    fold = np.empty(len(sizes), dtype=np.int64)
    fold[order] = np.minimum((middle * folds / len(groups)).astype(np.int64), folds - 1)
    return fold[groups]


def _logistic(X: Floats, y: Floats, w: Floats) -> Floats:
    """Return fitted probabilities by Newton's method; a ridge of 1e-10 keeps separated sides finite.

    Columns are orthonormal under w, so that the first step needs no matrix. An error is squared by every step: one of
    1e-5 leaves none that shows in 1e-8.
    """
    beta = 4 * (X.T @ (w * (y - 0.5)))
    beta *= min(1.0, 5.0 / max(np.abs(beta).max(), 1e-300))
    ridge = 1e-10 * np.eye(X.shape[1])
    for _ in range(60):
        p = special.expit(X @ beta)
        root = X * np.sqrt(w * p * (1 - p))[:, None]
        step = linalg.solve(root.T @ root + ridge, X.T @ (w * (y - p)), assume_a="pos")
        beta += step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-300))
        if np.abs(step).max() < 1e-5:
            break
    return np.asarray(special.expit(X @ beta))
