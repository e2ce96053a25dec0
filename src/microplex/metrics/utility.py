"""Do analyses of synthetic rows come out as they do on real rows? Predictions and regressions.

Predictions need scikit-learn: `pip install microplex[report]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, special

from microplex._random import generator
from microplex._validation import check_columns, check_weights
from microplex.errors import DataError, near_miss
from microplex.frames import Level
from microplex.metrics.classifier import auc
from microplex.metrics.joint import binned, ranks
from microplex.metrics.pair import Pair, Variable
from microplex.metrics.record import Record, undefined
from microplex.metrics.trees import coarse, features, fitted

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MIN_LEVEL_ROWS = 30
_UNIFORM = 0.01
_Z = 1.959963984540054
_STREAM = 751
_TESTED = 4  # test rows a training row, at most
_LIGHT = {"max_iter": 40, "learning_rate": 0.15, "max_leaf_nodes": 12}  # for a few thousand rows


@dataclass(frozen=True)
class Regression:
    """A regression that the analyst names.

    Parameters
    ----------
    target : str
        A number (weighted least squares), or a category (logistic regression of one of its levels).
    predictors : tuple of str
        Numbers as they are; categories by their levels, the first one as the base.
    level : str, bool, int or float, optional
        Level of a category to explain; the last one by default.

    Examples
    --------
    >>> Regression("wages", ("age", "sex")).level is None
    True
    """

    target: str
    predictors: tuple[str, ...]
    level: Level | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """Coefficients with their standard errors.

    Parameters
    ----------
    coefficients, errors : float64[k]
    """

    coefficients: Floats
    errors: Floats


def least_squares(X: Floats, y: Floats, weights: ArrayLike | None = None) -> Fit:
    """Fit weighted least squares, with standard errors for unequal variances and survey weights.

    b = (X'WX)^-1 X'Wy; variance n / (n - k) (X'WX)^-1 X'W^2 diag(e^2) X (X'WX)^-1 (White, 1980; HC1; Binder, 1983, for
    weights). Coefficients count a row of weight w as w rows; errors do not, for copies are no new evidence.

    Parameters
    ----------
    X : float64[n, k]
        With its intercept.
    y : float64[n]
    weights : array_like of shape (n,), optional

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If columns depend on one another, or there are no more rows than columns.

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 1.0, 2.0, 3.0]])
    >>> least_squares(X, np.array([1.0, 3.0, 5.0, 7.0])).coefficients.round(6).tolist()
    [1.0, 2.0]
    """
    w, scale = check_weights(weights, len(y), "weights"), _scales(X, weights)
    Z = X / scale
    inverse = linalg.inv((Z * w[:, None]).T @ Z)
    b = inverse @ (Z.T @ (w * y))
    return Fit(b / scale, _sandwich(inverse, Z * (w * (y - Z @ b))[:, None], int((w > 0).sum())) / scale)


def logistic(X: Floats, y: Floats, weights: ArrayLike | None = None) -> Fit:
    """Fit a weighted logistic regression by Newton's method, with standard errors as `least_squares` has them.

    Parameters
    ----------
    X : float64[n, k]
        With its intercept.
    y : float64[n]
        0 or 1.
    weights : array_like of shape (n,), optional

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If columns depend on one another, there are no more rows than columns, or the fit does not settle because a
        combination of columns separates the outcomes.

    Examples
    --------
    >>> fit = logistic(np.ones((4, 1)), np.array([0.0, 1.0, 1.0, 1.0]))
    >>> float(np.round(fit.coefficients[0], 4))
    1.0986
    """
    w, scale = check_weights(weights, len(y), "weights"), _scales(X, weights)
    Z, w = X / scale, w / w.sum()
    b = np.zeros(X.shape[1])
    for _ in range(50):
        p = special.expit(Z @ b)
        curvature = (Z * (w * p * (1 - p))[:, None]).T @ Z + 1e-14 * np.eye(len(b))
        step = linalg.solve(curvature, Z.T @ (w * (y - p)), assume_a="pos")
        b = b + step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise DataError("the logistic regression does not settle: a combination of predictors separates the outcomes.")
    p = special.expit(Z @ b)
    inverse = linalg.inv((Z * (w * p * (1 - p))[:, None]).T @ Z)
    return Fit(b / scale, _sandwich(inverse, Z * (w * (y - p))[:, None], int((w > 0).sum())) / scale)


def interval_overlap(real: Fit, synthetic: Fit) -> Floats:
    """Return how much the 95 % confidence intervals of coefficients overlap.

    The length of the common part (negative if there is a gap) as a share of either interval, averaged: 1 for equal
    intervals, below 0 for those apart (Karr, Kohnen, Oganian, Reiter and Sanil, 2006, "A framework for evaluating the
    utility of data altered to protect confidentiality").

    Examples
    --------
    >>> one = Fit(np.array([0.0]), np.array([1.0]))
    >>> interval_overlap(one, Fit(np.array([1.959963984540054]), np.array([1.0]))).tolist()
    [0.5]
    """
    low = np.maximum(real.coefficients - _Z * real.errors, synthetic.coefficients - _Z * synthetic.errors)
    high = np.minimum(real.coefficients + _Z * real.errors, synthetic.coefficients + _Z * synthetic.errors)
    overlap: Floats = (high - low) / (4 * _Z) * (1 / real.errors + 1 / synthetic.errors)
    return overlap


def r_squared(truth: Floats, predicted: Floats, weights: Floats) -> float:
    """Return 1 - sum w (y - f)^2 / sum w (y - y')^2, y' the weighted mean; at most 1, NaN if y does not vary.

    Examples
    --------
    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]), np.ones(3))
    0.5
    """
    around = weights @ (truth - weights @ truth / weights.sum()) ** 2
    return float(1 - weights @ (truth - predicted) ** 2 / around) if around > 0 else float("nan")


def prediction_records(
    both: Pair, holdout: Pair | None, targets: Sequence[str], max_rows: int = 5000, seed: int = 0
) -> list[Record]:
    """Train on synthetic rows, test on real ones (TSTR), beside training on as many real rows.

    One gradient boosting a target, from all other variables. Numbers: "tstr_r2" on the scale of weighted mid-ranks
    among real rows, because a few large amounts would decide on the raw scale. Categories: "tstr_auc", the mean over
    levels of at least 30 test rows of the area that tells them from the rest, and "tstr_log_loss", the weighted mean of
    -log p of the true level, each p mixed with 1 % of the uniform one; levels beyond the commonest 15 are one. The
    floor is the score after training on real rows. Esteban, Hyland and Rätsch (2017).

    Parameters
    ----------
    both : Pair
    holdout : Pair, optional
        Real rows to test on, as its real side; without it half of the real rows are for testing, half for training.
    targets : sequence of str
    max_rows : int
        Most rows to train on, of either kind, drawn at random; up to four times as many test rows are drawn.
    seed : int

    Returns
    -------
    list of Record

    Raises
    ------
    ColumnNotFoundError
        If a target is not in the pair.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> rows = pd.DataFrame({"x": [1.0, 2.0] * 200, "y": [3.0, 4.0] * 200})
    >>> round(prediction_records(pair(rows, rows), None, ["y"])[0].value, 3)
    1.0
    """
    check_columns(both.names, list(targets), "prediction target")
    if not targets:
        return []
    random = generator(seed, _STREAM)
    trained, made = (random.permutation(len(w)) for w in (both.real_weights, both.synthetic_weights))
    half = len(trained) if holdout is not None else len(trained) // 2
    size = min(half, len(made), max_rows)
    some = both.rows(trained[:size], made[:size])
    if holdout is None:
        held = both.rows(trained[half:][: _TESTED * max_rows], made[:size])
    else:
        check_columns(holdout.names, both.names, "holdout")
        tested = random.permutation(len(holdout.real_weights))[: _TESTED * max_rows]
        held = holdout.rows(tested, np.arange(len(holdout.synthetic_weights))[:1])
    return _predictions(_joined(some, held), size, targets)


def regression_records(both: Pair, regressions: Sequence[Regression]) -> list[Record]:
    """Compare regressions of real and synthetic rows, coefficient by coefficient.

    "ci_overlap" (ideal 1): `interval_overlap`, and its mean over a regression, "ci_overlap_mean".
    "coefficient_difference" (ideal 0): the synthetic less the real coefficient, in real standard errors (the measure of
    synthpop; Nowok, Raab and Dibben, 2016), with its 95 % interval for independent samples of one law. Rows with a
    missing value are left out; terms that do not vary in one of the tables are left out of both.

    Parameters
    ----------
    both : Pair
    regressions : sequence of Regression

    Returns
    -------
    list of Record

    Raises
    ------
    ColumnNotFoundError
        If a variable is not in the pair.
    DataError
        If a level to explain does not exist.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> rows = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [2.0, 4.0, 6.0, 9.0]})
    >>> records = regression_records(pair(rows, rows), [Regression("y", ("x",))])
    >>> [(record.measure, record.detail, round(record.value, 9)) for record in records[-2:]]
    [('ci_overlap', 'x', 1.0), ('coefficient_difference', 'x', 0.0)]
    """
    for regression in regressions:
        check_columns(both.names, [regression.target, *regression.predictors], "regression")
    return [record for regression in regressions for record in _compared(both, regression)]


def utility_records(
    both: Pair,
    holdout: Pair | None = None,
    targets: Sequence[str] = (),
    regressions: Sequence[Regression] = (),
    max_rows: int = 5000,
    seed: int = 0,
) -> list[Record]:
    """Return `prediction_records` of the targets and `regression_records` of the regressions.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> rows = pd.DataFrame({"x": [1.0, 2.0], "y": [2.0, 4.0]})
    >>> utility_records(pair(rows, rows))
    []
    """
    return prediction_records(both, holdout, targets, max_rows, seed) + regression_records(both, regressions)


def _predictions(both: Pair, size: int, targets: Sequence[str]) -> list[Record]:
    """Return the records of every target; of the real rows the first `size` are to train on, the others to test on."""
    real, synthetic, categories = features(both.variables, both.real_weights)
    weights = np.concatenate([both.real_weights, both.synthetic_weights])
    seen = coarse(np.vstack([real, synthetic]), weights, categories)
    parts = np.split(seen, [size, len(real)]), np.split(weights, [size, len(real)])
    records: list[Record] = []
    for name in targets:
        variable, place = both[name], both.names.index(name)
        truth, made = _outcomes(both, variable)
        others = [c - (c > place) for c in categories if c != place]
        sides = []
        for X, y, w in zip(parts[0], np.split(np.concatenate([truth, made]), [size, len(real)]), parts[1], strict=True):
            kept = ~np.isnan(y) & (w > 0)
            sides.append((np.delete(X, place, axis=1)[kept], y[kept], w[kept]))
        records += _predicted(variable, sides, others)
    return records


def _predicted(variable: Variable, sides: list[tuple[Floats, Floats, Floats]], categories: list[int]) -> list[Record]:
    """Return the records of one target from rows to train on, to test on, and synthetic ones to train on."""
    name, measures = variable.name, ("tstr_r2",) if variable.is_number else ("tstr_auc", "tstr_log_loss")
    if any(len(side[1]) < 2 or np.ptp(side[1]) == 0 for side in sides):
        return [undefined(m, "utility", (name,), "the target does not vary in each of the tables") for m in measures]
    test, size = sides[1], int(max(side[1].max() for side in sides)) + 1
    scores = []
    for X, y, w in (sides[2], sides[0]):
        model = fitted("Regressor" if variable.is_number else "Classifier", categories, X, y, w, **_LIGHT)
        if variable.is_number:
            scores.append([r_squared(test[1], model.predict(test[0]), test[2])])
        else:
            chances = np.zeros((len(test[1]), size))
            chances[:, model.classes_.astype(np.int64)] = model.predict_proba(test[0])
            scores.append(_class_scores(test[1].astype(np.int64), chances, test[2]))
    records = []
    for measure, value, real_score in zip(measures, *scores, strict=True):
        if np.isnan(value):
            reason = f"no level has {MIN_LEVEL_ROWS} test rows and as many others"
            records.append(undefined(measure, "utility", (name,), reason))
            continue
        best = 0.0 if measure == "tstr_log_loss" else 1.0
        n = len(sides[2][1])
        records.append(Record(measure, "utility", (name,), value, ideal=best, floor=real_score, n=n))
    return records


def _outcomes(both: Pair, variable: Variable) -> tuple[Floats, Floats]:
    """Return what is to be predicted: ranks among real rows, or places of levels; NaN where missing."""
    if not variable.is_number:
        real, synthetic, _ = binned(variable, both.real_weights, bins=1)
        return np.where(real == 0, np.nan, real - 1.0), np.where(synthetic == 0, np.nan, synthetic - 1.0)
    x, y = variable.real.astype(np.float64), variable.synthetic.astype(np.float64)
    at = ranks(x, both.real_weights)
    use = ~np.isnan(x) & (both.real_weights > 0)
    points, first = np.unique(x[use], return_index=True)
    return at, np.where(np.isnan(y), np.nan, np.interp(y, points, at[use][first])) if len(points) else y


def _class_scores(truth: Ints, chances: Floats, weights: Floats) -> list[float]:
    counts = np.bincount(truth, minlength=chances.shape[1])
    levels = np.flatnonzero((counts >= MIN_LEVEL_ROWS) & (len(truth) - counts >= MIN_LEVEL_ROWS))
    areas = [auc(chances[:, level], truth == level, weights) for level in levels]
    mixed = (1 - _UNIFORM) * chances + _UNIFORM / chances.shape[1]
    loss = -np.log(mixed[np.arange(len(truth)), truth])
    return [float(np.mean(areas)) if areas else float("nan"), float(weights @ loss / weights.sum())]


def _compared(both: Pair, regression: Regression) -> list[Record]:
    about = (regression.target, *regression.predictors)
    target = both[regression.target]
    sides, names = _designs(both, regression)
    try:
        fits = [least_squares(*side) if target.is_number else logistic(*side) for side in sides]
    except DataError as error:
        measures = ("ci_overlap_mean", "ci_overlap", "coefficient_difference")
        return [undefined(measure, "utility", about, str(error)) for measure in measures]
    if not all((fit.errors > 0).all() for fit in fits):
        reason = "a regression fits without error, so that its intervals have no length"
        return [undefined("ci_overlap_mean", "utility", about, reason)]
    real, synthetic = fits
    overlap, n = interval_overlap(real, synthetic), min(len(side[1]) for side in sides)
    records = [Record("ci_overlap_mean", "utility", about, float(overlap.mean()), ideal=1.0, n=n)]
    for place, name in enumerate(names):
        records.append(Record("ci_overlap", "utility", about, float(overlap[place]), ideal=1.0, detail=name, n=n))
        gap = float((synthetic.coefficients[place] - real.coefficients[place]) / real.errors[place])
        half = _Z * float(np.hypot(1.0, synthetic.errors[place] / real.errors[place]))
        span = (-half, half)
        records.append(
            Record("coefficient_difference", "utility", about, gap, ideal=0.0, interval=span, detail=name, n=n)
        )
    return records


def _designs(both: Pair, regression: Regression) -> tuple[list[tuple[Floats, Floats, Floats]], list[str]]:
    """Return terms, outcomes and weights of complete rows of both tables, and the names of the terms."""
    sides: list[tuple[Floats, Floats, Floats]] = []
    names = ["intercept"]
    for side, weights in (("real", both.real_weights), ("synthetic", both.synthetic_weights)):
        columns, names = [np.ones(len(weights))], ["intercept"]
        complete = both[regression.target].present(side) & (weights > 0)
        for variable in (both[name] for name in regression.predictors):
            values = np.asarray(getattr(variable, side))
            complete &= variable.present(side)
            if variable.is_number:
                columns.append(values.astype(np.float64))
                names.append(variable.name)
            else:
                columns += [(values == code).astype(np.float64) for code in range(1, len(variable.levels))]
                names += [f"{variable.name} = {level}" for level in variable.levels[1:]]
        y = _explained(both[regression.target], side, regression.level)
        sides.append((np.column_stack(columns)[complete], y[complete], weights[complete]))
    varies = np.array([all(len(X) and np.ptp(X[:, j]) > 0 for X, _, _ in sides) for j in range(len(names))])
    varies[0] = True
    return [(X[:, varies], y, w) for X, y, w in sides], [name for name, keep in zip(names, varies, strict=True) if keep]


def _explained(variable: Variable, side: str, level: Level | None) -> Floats:
    values = np.asarray(getattr(variable, side))
    if variable.is_number:
        return values.astype(np.float64)
    wanted = variable.levels[-1] if level is None else level
    if wanted not in variable.levels:
        known = [str(known) for known in variable.levels]
        raise DataError(f"{variable.name!r} has no level {wanted!r}.{near_miss(str(wanted), known)}")
    return np.asarray(values == variable.levels.index(wanted), dtype=np.float64)


def _joined(train: Pair, holdout: Pair) -> Pair:
    """Return training and then holdout rows as one real side."""
    check_columns(holdout.names, train.names, "holdout")
    variables = []
    for v in train.variables:
        other = holdout[v.name]
        if other.kind != v.kind:
            raise DataError(f"column {v.name!r} is a {v.kind} in training and a {other.kind} in the holdout.")
        place = {level: code for code, level in enumerate(v.levels)}
        code = np.array([*(place.setdefault(level, len(place)) for level in other.levels), -1], dtype=np.int64)
        rows = other.real if v.is_number else code[np.asarray(other.real, dtype=np.int64)]
        variables.append(Variable(v.name, v.kind, np.concatenate([v.real, rows]), v.synthetic, tuple(place)))
    weights = np.concatenate([train.real_weights, holdout.real_weights])
    return Pair(tuple(variables), weights, train.synthetic_weights)


def _scales(X: Floats, weights: ArrayLike | None) -> Floats:
    """Return the root mean square of each column, after a check that the columns can be told apart."""
    w = check_weights(weights, len(X), "weights")
    rows, terms = int((w > 0).sum()), X.shape[1]
    if rows <= terms:
        raise DataError(f"a regression of {terms} terms needs more than {terms} complete rows; got {rows}.")
    scale: Floats = np.sqrt(w @ X**2 / w.sum())
    scale = np.where(scale > 0, scale, 1.0)
    Z = X / scale * np.sqrt(w / w.sum())[:, None]
    if linalg.eigvalsh(Z.T @ Z)[0] < 1e-12:
        raise DataError("the terms of the regression depend on one another; leave one of them out.")
    return scale


def _sandwich(inverse: Floats, scores: Floats, n: int) -> Floats:
    meat = scores.T @ scores * (n / (n - len(inverse)))
    errors: Floats = np.sqrt(np.maximum(np.diag(inverse @ meat @ inverse), 0.0))
    return errors
