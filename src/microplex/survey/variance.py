"""Sampling variance by replication: jackknife, bootstrap and published replicate weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex._random import generator
from microplex._validation import check_choice, check_weights
from microplex.errors import DataError, ParameterError
from microplex.survey.units import units_of

Floats = NDArray[np.float64]

METHODS = ("brr", "fay", "jk1", "jk2", "jkn", "successive_difference", "bootstrap")

_STREAM = 511


@dataclass(frozen=True, eq=False)
class Replicates:
    """Replicate weights.

    Parameters
    ----------
    weights : float64[n_replicates, n]
        One set of weights a row; some methods have negative ones.
    scale : float64[n_replicates]
        Factor of each squared deviation in the variance.
    about : {"estimate", "mean"}
        What the deviations are from: the full-sample estimate, or the mean of the replicates, which is the default of
        R's survey package (its option ``mse=FALSE``) and never larger.

    Raises
    ------
    DataError
        If the weights are not a matrix of finite numbers, or scales are not one a replicate and at least 0.
    ParameterError
        If `about` is unknown.

    Examples
    --------
    >>> jackknife([1.0, 1.0]).weights.tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    """

    weights: Floats
    scale: Floats
    about: str = "estimate"

    def __post_init__(self) -> None:
        weights, scale = np.asarray(self.weights, dtype=np.float64), np.asarray(self.scale, dtype=np.float64)
        if weights.ndim != 2 or scale.shape != weights.shape[:1]:
            raise DataError(
                "replicates need a matrix of weights, one set a row, and one scale a set; got shapes "
                f"{weights.shape} and {scale.shape}."
            )
        if not np.isfinite(weights).all():
            row, column = np.argwhere(~np.isfinite(weights))[0]
            raise DataError(
                f"replicate weights must be finite; replicate {row} has {weights[row, column]} in row {column}."
            )
        if not (np.isfinite(scale) & (scale >= 0)).all():
            raise DataError(f"scales of replicates must be finite and at least 0; got {scale.min()}.")
        check_choice(self.about, ("estimate", "mean"), "about")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "scale", scale)

    def variance(self, estimates: ArrayLike, estimate: float) -> float:
        """Return the variance that the estimates from the replicates tell, sum of scale (replicate - centre)^2.

        Parameters
        ----------
        estimates : array_like of shape (n_replicates,)
            The statistic under each set of weights.
        estimate : float
            The statistic under the full-sample weights.

        Returns
        -------
        float
            Square of the standard error.

        Raises
        ------
        DataError
            If an estimate is missing or infinite.

        Examples
        --------
        >>> jackknife([1.0, 1.0]).variance([2.0, 6.0], 4.0)
        4.0
        """
        found = np.asarray(estimates, dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(found))
        if bad.size:
            raise DataError(
                f"replicate {bad[0]} gives the estimate {found[bad[0]]}: it has no weight where the statistic needs "
                "some. Choose a larger domain or other replicates."
            )
        counted = self.scale > 0
        centre = float(found[counted].mean()) if self.about == "mean" and counted.any() else estimate
        return float(self.scale @ (found - centre) ** 2)


def replicates_from_columns(
    columns: ArrayLike,
    method: str,
    *,
    weights: ArrayLike | None = None,
    rho: float | None = None,
    scale: ArrayLike | None = None,
    about: str = "estimate",
) -> Replicates:
    """Read replicate weights that a survey publishes as columns of its file.

    The variance is sum_r a_r (replicate_r - estimate)^2 over R replicates, with the factor a_r of the method:

    - ``"brr"``, balanced half-samples, 1 / R (McCarthy, 1969);
    - ``"fay"``, half-samples weighted rho and 2 - rho, 1 / (R (1 - rho)^2) (Judkins, 1990);
    - ``"jk1"``, one unstratified cluster left out, (R - 1) / R;
    - ``"jk2"``, one of a pair of clusters left out, 1;
    - ``"jkn"``, one stratified cluster left out: give `scale`, (m - 1) / m for a stratum with m clusters;
    - ``"successive_difference"``, as in the American Community Survey and the CPS, 4 / R (Fay and Train, 1995);
    - ``"bootstrap"``, 1 / R about the estimate and 1 / (R - 1) about the mean.

    Wolter (2007), "Introduction to variance estimation", chapters 3 to 5.

    Parameters
    ----------
    columns : array_like of shape (n, n_replicates)
        Replicate weights, one set a column.
    method : str
        One of the above.
    weights : array_like of shape (n,), optional
        Full-sample weights, where the columns are factors of them.
    rho : float, optional
        Fay's coefficient, from 0 to below 1; for ``"fay"`` alone.
    scale : float or array_like of shape (n_replicates,), optional
        Replaces the factor of the method.
    about : {"estimate", "mean"}
        What deviations are from, see `Replicates`.

    Returns
    -------
    Replicates
        With one set a row.

    Raises
    ------
    DataError
        If the columns are not a matrix of finite numbers or lengths differ.
    ParameterError
        If the method is unknown, or needs `rho` or `scale` and has none.

    Examples
    --------
    >>> replicates_from_columns([[2.0, 0.0], [0.0, 2.0]], "brr").scale.tolist()
    [0.5, 0.5]
    """
    check_choice(method, METHODS, "method")
    check_choice(about, ("estimate", "mean"), "about")
    matrix = np.asarray(columns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] < 2:
        raise DataError(f"columns must be a matrix, one replicate a column, two at least; got shape {matrix.shape}.")
    if weights is not None:
        matrix = matrix * check_weights(weights, len(matrix), "weights")[:, None]
    factor = _scale_of(method, matrix.shape[1], rho, about) if scale is None else np.asarray(scale, dtype=np.float64)
    if factor is None:
        raise ParameterError('method "jkn" needs scale: (m - 1) / m for each replicate, m the clusters of its stratum.')
    if factor.ndim == 0:
        factor = np.full(matrix.shape[1], float(factor))
    return Replicates(np.ascontiguousarray(matrix.T), factor, about)


def jackknife(
    weights: ArrayLike,
    clusters: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    fpc: ArrayLike | None = None,
) -> Replicates:
    """Return delete-one-cluster jackknife weights (JKn; Rust and Rao, 1996, "Variance estimation using replication").

    Leaving out a cluster of a stratum with m, the others of the stratum get the factor m / (m - 1); the scale is
    (1 - f) (m - 1) / m, where f is the sampled share of the stratum's clusters.

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.
    clusters : array_like of shape (n,), optional
        Primary sampling units, such as households; rows by default.
    strata : array_like of shape (n,), optional
        One stratum by default.
    fpc : float or array_like of shape (n,), optional
        Clusters in the population of the row's stratum, or the sampled share where all are at most 1; f is 0 by
        default.

    Returns
    -------
    Replicates
        One for every cluster of a stratum that is not sampled whole.

    Raises
    ------
    DataError
        If a stratum has a single cluster, or the weights or corrections are bad.

    Examples
    --------
    >>> from microplex.survey.estimates import mean
    >>> x, w = np.array([1.0, 2.0, 4.0]), np.ones(3)
    >>> round(replicate_variance(lambda v: mean(x, v), w, jackknife(w)), 6), round(float(x.var(ddof=1)) / 3, 6)
    (0.777778, 0.777778)
    """
    w = _weights_of(weights)
    units = units_of(len(w), clusters, strata, fpc)
    left_out = np.flatnonzero(units.fraction[units.stratum] < 1)
    home = units.stratum[left_out]
    factor = units.sizes[home] / (units.sizes[home] - 1)
    replicates = w * np.where(home[:, None] == units.stratum[units.cluster], factor[:, None], 1.0)
    replicates[units.cluster == left_out[:, None]] = 0.0
    return Replicates(replicates, (1 - units.fraction[home]) / factor)


def bootstrap(
    weights: ArrayLike,
    clusters: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_replicates: int = 200,
    seed: int = 0,
) -> Replicates:
    """Return bootstrap weights: m - 1 of the m clusters of each stratum, with replacement (Rao, Wu and Yue, 1992).

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.
    clusters : array_like of shape (n,), optional
        Primary sampling units, such as households; rows by default.
    strata : array_like of shape (n,), optional
        One stratum by default.
    n_replicates : int
        How many, at least 2.
    seed : int
        Zero or more.

    Returns
    -------
    Replicates
        Their mean squared deviation is the variance.

    Raises
    ------
    DataError
        If a stratum has a single cluster, or the weights are bad.
    ParameterError
        If there are fewer than two replicates.

    Examples
    --------
    >>> bootstrap([1.0, 1.0, 1.0], n_replicates=2, seed=0).weights.sum(axis=1).tolist()
    [3.0, 3.0]
    """
    if n_replicates < 2:
        raise ParameterError(f"n_replicates must be at least 2; got {n_replicates!r}.")
    w = _weights_of(weights)
    units = units_of(len(w), clusters, strata)
    cluster, stratum = units.cluster, units.stratum
    random = generator(seed, _STREAM)
    times = np.zeros((n_replicates, len(stratum)))
    for label in range(stratum.max() + 1):
        members = np.flatnonzero(stratum == label)
        m = len(members)
        times[:, members] = random.multinomial(m - 1, np.full(m, 1 / m), size=n_replicates) * (m / (m - 1))
    return Replicates(w * times[:, cluster], np.full(n_replicates, 1 / n_replicates))


def replicate_variance(statistic: Callable[[Floats], float], weights: ArrayLike, replicates: Replicates) -> float:
    """Return the sampling variance of a statistic from replicate weights, sum of scale (replicate - centre)^2.

    Parameters
    ----------
    statistic : callable
        Weights float64[n] to a number, such as ``lambda w: mean(x, w)``.
    weights : array_like of shape (n,)
        The full-sample weights; finite, negative ones as calibration may give included.
    replicates : Replicates
        From `jackknife`, `bootstrap` or `replicates_from_columns`.

    Returns
    -------
    float
        Square of the standard error.

    Raises
    ------
    DataError
        If weights and replicates are of different lengths.

    Examples
    --------
    >>> from microplex.survey.estimates import total
    >>> w = np.ones(2)
    >>> replicate_variance(lambda v: total([1.0, 3.0], v), w, jackknife(w))
    4.0
    """
    w = np.asarray(weights, dtype=np.float64)
    if replicates.weights.shape[1:] != w.shape:
        raise DataError(f"replicates are for {replicates.weights.shape[1]} rows; there are {w.size} weights.")
    return replicates.variance([statistic(row) for row in replicates.weights], statistic(w))


def _weights_of(weights: ArrayLike) -> Floats:
    return check_weights(weights, len(np.asarray(weights)), "weights")


def _scale_of(method: str, count: int, rho: float | None, about: str) -> Floats | None:
    """Return the factor of the squared deviations that a method has; None if it has no single one."""
    if (method == "fay") != (rho is not None):
        raise ParameterError(f'rho belongs to method "fay", which needs it; got method {method!r} and rho {rho!r}.')
    if rho is not None and not 0 <= rho < 1:
        raise ParameterError(f"rho must lie between 0 and below 1; got {rho!r}.")
    factors = {
        "brr": 1 / count,
        "fay": 1 / (count * (1 - (rho or 0.0)) ** 2),
        "jk1": (count - 1) / count,
        "jk2": 1.0,
        "successive_difference": 4 / count,
        "bootstrap": 1 / count if about == "estimate" else 1 / (count - 1),
    }
    return np.asarray(factors[method]) if method in factors else None
