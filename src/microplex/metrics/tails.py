"""Measures of the upper tail and of inequality, where simple synthesis fails first and policy looks most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from microplex._validation import check_weights
from microplex.errors import DataError, ParameterError
from microplex.metrics.pair import Floats, Pair, Variable
from microplex.metrics.record import Figure, Record, attempt, undefined
from microplex.survey import ess, quantile

GROUP = "marginal"
PROBABILITIES = (0.5, 0.9, 0.99, 0.999)
TOP_SHARES = (0.01, 0.001)

T = TypeVar("T")

_TAIL = 0.05
_NORMAL = 1.959963984540054


@dataclass(frozen=True)
class TailIndex:
    """How heavy an upper tail is.

    Parameters
    ----------
    value : float
        Extreme value index, 1 / alpha of a Pareto tail; 0 for tails lighter than every power.
    se : float
        Standard error, value / sqrt(k) with k rows in the tail (Kish's effective number where weights differ).
    threshold : float
        Where the tail begins.
    n : int
        Rows in the tail.

    Examples
    --------
    >>> TailIndex(0.5, 0.05, 1e5, 100).alpha
    2.0
    """

    value: float
    se: float
    threshold: float
    n: int

    @property
    def alpha(self) -> float:
        """Exponent of the Pareto tail P(X > x) ~ x^-alpha."""
        return 1 / self.value


def top_share(values: ArrayLike, share: float, weights: ArrayLike | None = None) -> float:
    """Return the share of the total that the top rows hold.

    1 - L(1 - share) with the Lorenz curve L (Lorenz, 1905), which is linear between rows: a row at the border counts
    in part. Negative values count as 0. Between `share` (all equal) and 1.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    share : float
        Share of the rows (of their weight) that are the top, between 0 and 1, such as 0.01.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If no value is positive, a value is missing or infinite, or weights are bad.
    ParameterError
        If the share is not between 0 and 1.

    Examples
    --------
    >>> top_share([1, 1, 1, 5], 0.25), top_share([1, 5], 0.25, weights=[3, 1])
    (0.625, 0.625)
    """
    if not 0 < share < 1:
        raise ParameterError(f"share must lie between 0 and 1; got {share!r}.")
    x, w = _sorted(values, weights)
    amounts = w * np.maximum(x, 0.0)
    if not amounts.sum() > 0:
        raise DataError("no value is positive")
    above = np.cumsum(w[::-1])
    held = np.cumsum(amounts[::-1])
    return float(np.interp(share * above[-1], np.append(0.0, above), np.append(0.0, held)) / held[-1])


def gini(values: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the Gini coefficient of numbers that may be negative.

    sum_ij w_i w_j ``|x_i - x_j|`` / (2 W sum_i w_i ``|x_i|``) with W = sum w, the mean absolute difference over twice
    the mean absolute value (Raffinetti, Siletti and Vernizzi, 2015, "On the Gini coefficient normalization when
    attributes with negative values are considered"). It equals the coefficient of Gini (1914) where no value is
    negative, and stays between 0 (all equal) and 1 where some are, as the classical one, which divides by the mean,
    does not.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If all values are 0, a value is missing or infinite, or weights are bad.

    Examples
    --------
    >>> gini([1, 1, 1, 5]), gini([1, 5], [3, 1]), gini([-1, 1])
    (0.375, 0.375, 0.5)
    """
    x, w = _sorted(values, weights)
    size = float(w @ np.abs(x))
    if not size > 0:
        raise DataError("all values are 0")
    below = np.cumsum(w)
    return float((w * x) @ (2 * below - w - below[-1]) / (below[-1] * size))


def hill(values: ArrayLike, weights: ArrayLike | None = None, *, share: float = _TAIL) -> TailIndex:
    """Return the extreme value index of the upper tail by Hill's estimator.

    sum_top w log(x / u) / sum_top w over the values above u, the quantile 1 - `share` of the positive values (Hill,
    1975, "A simple general approach to inference about the tail of a distribution"). For a Pareto tail it estimates
    1 / alpha, with standard error value / sqrt(k); 0 or more. Incomes have about 0.3 to 0.6. The standard error is
    about how many rows were sampled, so that a weight of 3 does not count as three rows there.

    Parameters
    ----------
    values : array_like of shape (n,)
        Numbers, none missing; those that are not positive are left out.
    weights : array_like of shape (n,), optional
        Finite and not negative; ones by default.
    share : float
        Share of the positive values that is the tail, between 0 and 1.

    Returns
    -------
    TailIndex

    Raises
    ------
    DataError
        If fewer than two positive values lie above the threshold, a value is missing or infinite, or weights are bad.
    ParameterError
        If the share is not between 0 and 1.

    Examples
    --------
    >>> tail = hill([1, 2, 4, 8], share=0.5)
    >>> tail.threshold, round(tail.value / float(np.log(2)), 9), round(tail.se / tail.value, 3)
    (2.0, 1.5, 0.707)
    """
    if not 0 < share < 1:
        raise ParameterError(f"share must lie between 0 and 1; got {share!r}.")
    x, w = _sorted(values, weights)
    x, w = x[x > 0], w[x > 0]
    if not len(x):
        raise DataError("no value is positive")
    threshold = float(quantile(x, 1 - share, w)[0])
    top = x > threshold
    if top.sum() < 2:
        raise DataError(
            f"fewer than two values lie above {threshold:g}, the quantile {1 - share:g} of the positive ones"
        )
    value = float(w[top] @ np.log(x[top] / threshold)) / float(w[top].sum())
    return TailIndex(value, value / float(np.sqrt(ess(w[top]))), threshold, int(top.sum()))


def quantile_log_ratio(
    real: ArrayLike,
    synthetic: ArrayLike,
    probability: float,
    real_weights: ArrayLike | None = None,
    synthetic_weights: ArrayLike | None = None,
) -> float:
    """Return log(q' / q) of a quantile of the positive values, q real and q' synthetic.

    0 is ideal; 0.1 says that the synthetic quantile is about 10 % too high. Quantiles are inverses of the weighted
    distribution function (definition 1 of Hyndman and Fan, 1996).

    Parameters
    ----------
    real, synthetic : array_like of shape (n,) and (k,)
        Numbers, none missing; those that are not positive are left out.
    probability : float
        Between 0 and 1.
    real_weights, synthetic_weights : array_like, optional
        Finite and not negative; ones by default.

    Returns
    -------
    float

    Raises
    ------
    DataError
        If a sample has no positive value, or fewer than 1 / (1 - probability) of them, so that the quantile would be
        no more than its largest value; a value is missing or infinite; or weights are bad.

    Examples
    --------
    >>> round(quantile_log_ratio([-3, 0, 1, 2, 3], [2, 4, 6], 0.5) / np.log(2), 9).item()
    1.0
    """
    logs = []
    for values, weights, side in ((real, real_weights, "real"), (synthetic, synthetic_weights, "synthetic")):
        x, w = _sorted(values, weights)
        x, w = x[x > 0], w[x > 0]
        if len(x) * (1 - probability) < 1 - 1e-9:
            needed = max(1, int(np.ceil(1 / (1 - probability) - 1e-6)))
            raise DataError(f"it needs {needed} positive {side} values; there are {len(x)}")
        logs.append(float(np.log(quantile(x, probability, w)[0])))
    return logs[1] - logs[0]


def tail_records(both: Pair) -> list[Record]:
    """Measure the tail of every number of a pair, synthetic against real.

    "quantile_log_ratio" at p50, p90, p99 and p99.9 of the positive values; "top_share" of the top 1 % and 0.1 % of all
    rows, "gini" and "hill" (extreme value index of the top 5 % of the positive values), each as a signed difference,
    synthetic minus real. The interval of "hill" holds 95 % of the differences between independent samples with a Pareto
    tail.

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
    >>> both = pair(pd.DataFrame({"a": [1.0, 1.0, 1.0, 5.0]}), pd.DataFrame({"a": [1.0, 1.0, 1.0, 1.0]}))
    >>> [record.value for record in tail_records(both) if record.measure == "gini"]
    [-0.375]
    """
    return [record for variable in both.variables if variable.is_number for record in _variable_records(both, variable)]


def _variable_records(both: Pair, variable: Variable) -> list[Record]:
    name = variable.name
    labels = [("quantile_log_ratio", f"p{100 * p:g} of the positive values") for p in PROBABILITIES]
    labels += [("top_share", f"top {100 * share:g} %") for share in TOP_SHARES]
    labels += [("gini", ""), ("hill", f"top {100 * _TAIL:g} % of the positive values")]
    try:
        x, u = both.known(name, "real")
        y, v = both.known(name, "synthetic")
    except DataError as error:
        return [undefined(measure, GROUP, (name,), str(error), detail) for measure, detail in labels]

    def difference(measure: Callable[[ArrayLike, ArrayLike], float]) -> float:
        return _of_side(measure, y, v, "synthetic") - _of_side(measure, x, u, "real")

    def hills() -> Figure:
        real, synthetic = _of_side(hill, x, u, "real"), _of_side(hill, y, v, "synthetic")
        reach = _NORMAL * float(np.hypot(real.se, synthetic.se))
        return Figure(synthetic.value - real.value, (-reach, reach))

    figures: list[Callable[[], Figure | float]] = [partial(quantile_log_ratio, x, y, p, u, v) for p in PROBABILITIES]
    figures += [partial(difference, partial(_top, share)) for share in TOP_SHARES]
    figures += [partial(difference, gini), hills]
    n = min(len(x), len(y))
    return [
        attempt(measure, GROUP, (name,), compute, n=n, detail=detail)
        for (measure, detail), compute in zip(labels, figures, strict=True)
    ]


def _top(share: float, values: ArrayLike, weights: ArrayLike) -> float:
    return top_share(values, share, weights)


def _of_side(measure: Callable[[ArrayLike, ArrayLike], T], values: ArrayLike, weights: ArrayLike, side: str) -> T:
    try:
        return measure(values, weights)
    except DataError as error:
        raise DataError(f"{error} ({side} table)") from error


def _sorted(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Return values of positive weight in ascending order, with their weights."""
    x = np.asarray(values, dtype=np.float64)
    w = check_weights(weights, len(x), "weights")
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise DataError(f"values must be finite; row {bad[0]} has {x[bad[0]]}. Leave such rows out.")
    order = np.argsort(x[w > 0], kind="stable")
    return x[w > 0][order], w[w > 0][order]
