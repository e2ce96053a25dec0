"""Sampling variance by replication: jackknife and bootstrap weights for clustered, stratified samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microplex._random import generator
from microplex._validation import check_weights
from microplex.errors import DataError, ParameterError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STREAM = 511


@dataclass(frozen=True, eq=False)
class Replicates:
    """Replicate weights.

    Parameters
    ----------
    weights : float64[n_replicates, n]
        One set of weights a row.
    scale : float64[n_replicates]
        Factor of each squared deviation in the variance.

    Examples
    --------
    >>> jackknife([1.0, 1.0]).weights.tolist()
    [[0.0, 2.0], [2.0, 0.0]]
    """

    weights: Floats
    scale: Floats


def jackknife(weights: ArrayLike, clusters: ArrayLike | None = None, strata: ArrayLike | None = None) -> Replicates:
    """Return delete-one-cluster jackknife weights (JKn; Rust and Rao, 1996, "Variance estimation using replication").

    Leaving out a cluster of a stratum with m, the others of the stratum get the factor m / (m - 1).

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative.
    clusters : array_like of shape (n,), optional
        Primary sampling units, such as households; rows by default.
    strata : array_like of shape (n,), optional
        One stratum by default.

    Returns
    -------
    Replicates
        One for every cluster.

    Raises
    ------
    DataError
        If a stratum has a single cluster, or the weights are bad.

    Examples
    --------
    >>> from microplex.survey.estimates import mean
    >>> x, w = np.array([1.0, 2.0, 4.0]), np.ones(3)
    >>> round(replicate_variance(lambda v: mean(x, v), w, jackknife(w)), 6), round(float(x.var(ddof=1)) / 3, 6)
    (0.777778, 0.777778)
    """
    w = _weights_of(weights)
    cluster, stratum = _clusters(len(w), clusters, strata)
    sizes = np.bincount(stratum)
    factor = (sizes / (sizes - 1))[stratum]
    replicates = w * np.where(stratum[:, None] == stratum[cluster], factor[:, None], 1.0)
    replicates[cluster == np.arange(len(stratum))[:, None]] = 0.0
    return Replicates(replicates, 1 / factor)


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
    cluster, stratum = _clusters(len(w), clusters, strata)
    random = generator(seed, _STREAM)
    times = np.zeros((n_replicates, len(stratum)))
    for label in range(stratum.max() + 1):
        members = np.flatnonzero(stratum == label)
        m = len(members)
        times[:, members] = random.multinomial(m - 1, np.full(m, 1 / m), size=n_replicates) * (m / (m - 1))
    return Replicates(w * times[:, cluster], np.full(n_replicates, 1 / n_replicates))


def replicate_variance(statistic: Callable[[Floats], float], weights: ArrayLike, replicates: Replicates) -> float:
    """Return the sampling variance of a statistic, sum of scale (replicate - estimate)^2.

    Parameters
    ----------
    statistic : callable
        Weights float64[n] to a number, such as ``lambda w: mean(x, w)``.
    weights : array_like of shape (n,)
        The full-sample weights.
    replicates : Replicates
        From `jackknife` or `bootstrap`.

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
    w = _weights_of(weights)
    if replicates.weights.shape[1] != len(w):
        raise DataError(f"replicates are for {replicates.weights.shape[1]} rows; there are {len(w)} weights.")
    estimate = statistic(w)
    deviations = np.array([statistic(row) for row in replicates.weights]) - estimate
    return float(replicates.scale @ deviations**2)


def _weights_of(weights: ArrayLike) -> Floats:
    return check_weights(weights, len(np.asarray(weights)), "weights")


def _clusters(n: int, clusters: ArrayLike | None, strata: ArrayLike | None) -> tuple[Ints, Ints]:
    """Return the cluster of every row, and the stratum of every cluster."""
    cluster = np.arange(n) if clusters is None else pd.factorize(np.asarray(clusters))[0]
    of_row = np.zeros(n, np.int64) if strata is None else pd.factorize(np.asarray(strata), sort=True)[0]
    if len(cluster) != n or len(of_row) != n:
        raise DataError(f"clusters and strata must have one entry for each of {n} rows.")
    if (cluster < 0).any() or (of_row < 0).any():
        raise DataError("clusters and strata must not be missing.")
    stratum = np.zeros(cluster.max() + 1, np.int64)
    stratum[cluster] = of_row
    split = np.flatnonzero(stratum[cluster] != of_row)
    if split.size:
        raise DataError(f"clusters must lie within strata; the cluster of row {split[0]} is in two.")
    alone = np.flatnonzero(np.bincount(stratum) == 1)
    if alone.size:
        where = f" {np.unique(np.asarray(strata)).tolist()[alone[0]]!r}" if strata is not None else ""
        raise DataError(f"stratum{where} has a single cluster, which tells no variance. Merge it with another.")
    return cluster, stratum
