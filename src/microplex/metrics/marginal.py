"""Measures of one variable at a time, against the same variable of the real table.

All of them are weighted: a row of weight 3 counts as the row three times. Where a figure is not defined the functions
raise DataError, and `marginal_records` states the reason in the record.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import kolmogi

from microplex._validation import check_choice, check_weights
from microplex.errors import DataError
from microplex.metrics.heaping import heaping_gaps
from microplex.metrics.pair import Floats, Pair, Variable
from microplex.metrics.record import Figure, Record, attempt, undefined
from microplex.survey import ess, mean, quantile, total

GROUP = "marginal"
NUMBER_MEASURES = (
    "ks",
    "ks_nonzero",
    "wasserstein",
    "wasserstein_relative",
    "zero_share",
    "negative_share",
    "atom_error",
    "heaping_error",
    "total",
    "mean",
)

_LEAST_ATOM = 0.01
_NORMAL = 1.959963984540054
_ROUNDING = 1e-12


def masses(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Return the share of the weight at each distinct value of either sample.

    Parameters
    ----------
    real : array_like of shape (n,)
        Numbers, none missing.
    synthetic : array_like of shape (k,)
    real_weights, synthetic_weights : array_like, optional
        Finite and not negative; ones by default.

    Returns
    -------
    points : float64[g]
        Distinct values, ascending.
    real, synthetic : float64[g]
        Shares; each sums to 1.

    Raises
    ------
    DataError
        If a sample is empty, a value is missing or infinite, or weights are bad.

    Examples
    --------
    >>> points, p, q = masses([1, 2], [2, 2, 3, 3], real_weights=[3, 1])
    >>> points.tolist(), p.tolist(), q.tolist()
    ([1.0, 2.0, 3.0], [0.75, 0.25, 0.0], [0.0, 0.5, 0.5])
    """
    x, u = _numbers(real, real_weights, "real")
    y, v = _numbers(synthetic, synthetic_weights, "synthetic")
    points, place = np.unique(np.concatenate([x, y]), return_inverse=True)
    p = np.bincount(place[: len(x)], weights=u, minlength=len(points))
    q = np.bincount(place[len(x) :], weights=v, minlength=len(points))
    return points, p / p.sum(), q / q.sum()


def ks(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
    *,
    nonzero: bool = False,
) -> float:
    """Return the Kolmogorov-Smirnov distance, max_x ``|F(x) - G(x)|`` of the weighted distribution functions.

    Between 0 (ideal) and 1. Kolmogorov (1933); Smirnov (1948), "Table for estimating the goodness of fit of empirical
    distributions". Exact with ties.

    Parameters
    ----------
    real, synthetic, real_weights, synthetic_weights
        See `masses`.
    nonzero : bool
        Compare only the values that are not 0.

    Returns
    -------
    float

    Raises
    ------
    DataError
        See `masses`; or a sample has no value that is not 0.

    Examples
    --------
    >>> ks([0, 1, 2, 3], [0, 0, 2, 3])
    0.25
    >>> ks([0, 1, 2, 3], [0, 0, 2, 3], nonzero=True)
    0.3333333333333333
    """
    points, p, q = masses(real, synthetic, real_weights, synthetic_weights)
    return _ks(*(_without_zeros(points, p, q) if nonzero else (p, q)))


def wasserstein(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
    *,
    scale: str | None = None,
) -> float:
    """Return the Wasserstein-1 (earth mover's) distance, the integral of ``|F - G|``.

    How far the average value would have to move; 0 is ideal, without upper bound. In the unit of the variable, or in
    units of the spread of the real values. Vallender (1974), "Calculation of the Wasserstein distance between
    probability distributions on the line".

    Parameters
    ----------
    real, synthetic, real_weights, synthetic_weights
        See `masses`.
    scale : {"sd", "iqr"}, optional
        Divide by the standard deviation (weighted, divisor: the sum of the weights) or by the interquartile range of
        the real values. The standard deviation exists for every variable that varies, but grows with a heavy tail;
        the interquartile range does not, but is 0 where half of the values are equal.

    Returns
    -------
    float

    Raises
    ------
    DataError
        See `masses`; or the spread is 0.
    ParameterError
        If the scale is unknown.

    Examples
    --------
    >>> wasserstein([0, 2], [1, 3]), wasserstein([0, 2], [1, 3], scale="sd")
    (1.0, 1.0)
    """
    check_choice(scale, (None, "sd", "iqr"), "scale")
    points, p, q = masses(real, synthetic, real_weights, synthetic_weights)
    moved = _wasserstein(points, p, q)
    return moved if scale is None else moved / _spread(points, p, scale)


def tvd(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> float:
    """Return the total variation distance of two samples of categories, 1/2 sum ``|p - q|``.

    The share of rows that would have to change category; between 0 (ideal) and 1 (no category in common).

    Parameters
    ----------
    real, synthetic : array_like of shape (n,) and (k,)
        Categories, or their codes; all are counted, so leave missing ones out.
    real_weights, synthetic_weights : array_like, optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a sample is empty or weights are bad.

    Examples
    --------
    >>> tvd(["a", "b"], ["a", "a"], real_weights=[3, 1])
    0.25
    """
    a, b = np.asarray(real), np.asarray(synthetic)
    levels, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    shares = []
    for codes, weights, side in (
        (place[: len(a)], real_weights, "real"),
        (place[len(a) :], synthetic_weights, "synthetic"),
    ):
        counts = np.bincount(codes, weights=_weights(weights, len(codes), side), minlength=len(levels))
        shares.append(counts / counts.sum())
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def share_difference(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> float:
    """Return the weighted share of synthetic rows with a property minus that of real rows.

    Between -1 and 1, 0 is ideal; negative where the synthetic table has too few. Used for zeros, negative and missing
    values.

    Parameters
    ----------
    real, synthetic : array_like of bool, shape (n,) and (k,)
        Which rows have the property.
    real_weights, synthetic_weights : array_like, optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a sample is empty or weights are bad.

    Examples
    --------
    >>> share_difference([True, False], [True, False], real_weights=[3, 1])
    -0.25
    """
    shares = []
    for has, weights, side in ((real, real_weights, "real"), (synthetic, synthetic_weights, "synthetic")):
        w = _weights(weights, len(np.asarray(has)), side)
        shares.append(float(w @ np.asarray(has, dtype=bool) / w.sum()))
    return shares[1] - shares[0]


def atom_error(
    real: ArrayLike,
    synthetic: ArrayLike,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
    *,
    least: float = _LEAST_ATOM,
) -> float:
    """Return the total variation distance of the atoms: 1/2 (sum_a ``|p_a - q_a|`` + ``|rest of p - rest of q|``).

    Atoms are the values that carry at least a share `least` of the real or of the synthetic weight, so that a spike
    that was lost counts like one that was made up. Between 0 (ideal) and 1; 0 where neither sample has an atom.

    Parameters
    ----------
    real, synthetic, real_weights, synthetic_weights
        See `masses`.
    least : float
        Least share of an atom.

    Returns
    -------
    float

    Raises
    ------
    DataError
        See `masses`.

    Examples
    --------
    >>> atom_error([0, 0, 1, 2], [0, 1, 2, 3], least=0.5)
    0.25
    """
    _, p, q = masses(real, synthetic, real_weights, synthetic_weights)
    return _atoms(p, q, least)


def relative_difference(real: float, synthetic: float, size: float = 0.0) -> float:
    """Return (synthetic - real) / ``|real|``; 0 is ideal, without bounds.

    Parameters
    ----------
    real, synthetic : float
    size : float
        Size of the terms that make up `real`; it counts as 0 where it is lost in the rounding of these.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If `real` is 0.

    Examples
    --------
    >>> relative_difference(-200.0, -150.0)
    0.25
    """
    if abs(real) <= _ROUNDING * size or real == 0:
        raise DataError("the real figure is 0, so that nothing is relative to it")
    return (synthetic - real) / abs(real)


def marginal_records(both: Pair) -> list[Record]:
    """Measure every variable of a pair by itself.

    Numbers: "ks", "ks_nonzero", "wasserstein" (in the variable's unit), "wasserstein_relative" (in real standard
    deviations), "zero_share", "negative_share", "atom_error", "heaping_error", "total" and "mean" (relative
    differences). Categories: "tvd". All: "missing_share". Differences are signed, synthetic minus real; shares other
    than the missing one are among the values that are present. Totals take the weights as they stand: both tables have
    to stand for one population.

    Intervals hold 95 % of the values between independent samples of one law, from the asymptotic law of each measure
    with Kish's effective sample sizes; those of "ks" are wider than that for variables with ties.

    Parameters
    ----------
    both : Pair

    Returns
    -------
    list of Record

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> both = pair(pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]}), pd.DataFrame({"a": [0.0, 0.0, 2.0, 3.0]}))
    >>> marginal_records(both)[0].value
    0.25
    """
    records: list[Record] = []
    for variable in both.variables:
        records += _number_records(both, variable) if variable.is_number else [_category_record(both, variable)]
        records.append(_missing_record(both, variable))
    return records


def _number_records(both: Pair, variable: Variable) -> list[Record]:
    name = variable.name
    try:
        x, u = both.known(name, "real")
        y, v = both.known(name, "synthetic")
    except DataError as error:
        return [undefined(measure, GROUP, (name,), str(error)) for measure in NUMBER_MEASURES]
    points, p, q = masses(x, y, u, v)
    is_zero, is_negative = points == 0, points < 0
    share = _share_interval(u, v)

    def nonzero() -> Figure:
        keep_x, keep_y = x != 0, y != 0
        distance = _ks(*_without_zeros(points, p, q))
        return Figure(distance, _ks_interval(u[keep_x], v[keep_y]))

    def heaps() -> Figure:
        steps, gaps = heaping_gaps(x, y, u, v)
        worst = int(np.argmax(np.abs(gaps)))
        return Figure(abs(gaps[worst]), None, f"the worst step; multiples of {steps[worst]:g}")

    def means() -> Figure:
        size = float(p @ np.abs(points))
        centre, other = mean(x, u), mean(y, v)
        value = relative_difference(centre, other, size)
        variance = p @ (points - centre) ** 2 / ess(u) + q @ (points - other) ** 2 / ess(v)
        reach = _NORMAL * float(np.sqrt(variance)) / abs(centre)
        return Figure(value, (-reach, reach))

    def totals() -> float:
        if not both.weighted and both.real_weights.sum() != both.synthetic_weights.sum():
            raise DataError("the synthetic table has no weights and another size, so that its total stands for nothing")
        return relative_difference(total(x, u), total(y, v), float(u @ np.abs(x)))

    figures: dict[str, Callable[[], Figure | float]] = {
        "ks": lambda: Figure(_ks(p, q), _ks_interval(u, v)),
        "ks_nonzero": nonzero,
        "wasserstein": lambda: Figure(_wasserstein(points, p, q), None, "in the unit of the variable"),
        "wasserstein_relative": lambda: Figure(
            _wasserstein(points, p, q) / _spread(points, p, "sd"), None, "in real standard deviations"
        ),
        "zero_share": lambda: share(float(p[is_zero].sum()), float(q[is_zero].sum())),
        "negative_share": lambda: share(float(p[is_negative].sum()), float(q[is_negative].sum())),
        "atom_error": lambda: _atoms(p, q, _LEAST_ATOM),
        "heaping_error": heaps,
        "total": totals,
        "mean": means,
    }
    n = min(len(x), len(y))
    return [attempt(measure, GROUP, (name,), compute, n=n) for measure, compute in figures.items()]


def _category_record(both: Pair, variable: Variable) -> Record:
    def compute() -> float:
        x, u = both.known(variable.name, "real")
        y, v = both.known(variable.name, "synthetic")
        return tvd(x, y, u, v)

    n = min(int(variable.present("real").sum()), int(variable.present("synthetic").sum()))
    return attempt("tvd", GROUP, (variable.name,), compute, n=n)


def _missing_record(both: Pair, variable: Variable) -> Record:
    u, v = both.real_weights, both.synthetic_weights
    real, synthetic = (float(w @ ~variable.present(side) / w.sum()) for w, side in ((u, "real"), (v, "synthetic")))
    figure = _share_interval(u, v)(real, synthetic)
    return attempt("missing_share", GROUP, (variable.name,), lambda: figure, n=min(len(u), len(v)))


def _share_interval(u: Floats, v: Floats) -> Callable[[float, float], Figure]:
    n, k = ess(u), ess(v)

    def figure(real: float, synthetic: float) -> Figure:
        pooled = (n * real + k * synthetic) / (n + k)
        reach = _NORMAL * float(np.sqrt(max(pooled * (1 - pooled), 0.0) * (1 / n + 1 / k)))
        return Figure(synthetic - real, (-reach, reach))

    return figure


def _ks_interval(u: Floats, v: Floats) -> tuple[float, float]:
    """Return 0 and the 95 % point of the distance between samples of one law (Stephens, 1970)."""
    root = float(np.sqrt(ess(u) * ess(v) / (ess(u) + ess(v))))
    return 0.0, min(1.0, float(kolmogi(0.05)) / (root + 0.12 + 0.11 / root))


def _ks(p: Floats, q: Floats) -> float:
    return float(min(1.0, np.abs(np.cumsum(p) - np.cumsum(q)).max()))


def _wasserstein(points: Floats, p: Floats, q: Floats) -> float:
    return float(np.abs(np.cumsum(p) - np.cumsum(q))[:-1] @ np.diff(points))


def _without_zeros(points: Floats, p: Floats, q: Floats) -> tuple[Floats, Floats]:
    kept = []
    for shares, side in ((p, "real"), (q, "synthetic")):
        others = np.where(points == 0, 0.0, shares)
        if not others.sum() > 0:
            raise DataError(f"all {side} values are 0")
        kept.append(others / others.sum())
    return kept[0], kept[1]


def _spread(points: Floats, p: Floats, scale: str) -> float:
    if scale == "sd":
        size = float(np.abs(points).max()) or 1.0  # squares of very large values would overflow
        spread = size * float(np.sqrt(p @ (points / size - p @ (points / size)) ** 2))
        is_constant = np.count_nonzero(p) == 1
    else:
        low, high = quantile(points, [0.25, 0.75], p)
        spread = float(high - low)
        is_constant = spread == 0
    if is_constant:
        of = "standard deviation" if scale == "sd" else "interquartile range"
        raise DataError(f"the {of} of the real values is 0")
    return spread


def _atoms(p: Floats, q: Floats, least: float) -> float:
    is_atom = (p >= least - _ROUNDING) | (q >= least - _ROUNDING)
    rest = abs(float(p[~is_atom].sum() - q[~is_atom].sum()))
    return (float(np.abs(p - q)[is_atom].sum()) + rest) / 2 if is_atom.any() else 0.0


def _numbers(values: ArrayLike, weights: ArrayLike | None, side: str) -> tuple[Floats, Floats]:
    x = np.asarray(values, dtype=np.float64)
    w = _weights(weights, len(x), side)
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise DataError(f"{side} values must be finite; row {bad[0]} has {x[bad[0]]}. Leave such rows out.")
    return x, w


def _weights(weights: ArrayLike | None, n: int, side: str) -> Floats:
    if not n:
        raise DataError(f"there are no {side} values")
    return check_weights(weights, n, f"{side} weights")
