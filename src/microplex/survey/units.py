"""How a sample was drawn: its clusters, their strata and the part of each stratum that was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microplex.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Units:
    """First-stage units of a sample.

    Parameters
    ----------
    cluster : int64[n]
        Cluster of every row, counted from 0.
    stratum : int64[n_clusters]
        Stratum of every cluster, counted from 0.
    sizes : float64[n_strata]
        Sampled clusters of every stratum.
    fraction : float64[n_strata]
        Sampled share of the clusters of every stratum; 0 stands for drawing with replacement.

    Examples
    --------
    >>> units = units_of(3, clusters=["a", "a", "b"])
    >>> units.cluster.tolist(), units.sizes.tolist()
    ([0, 0, 1], [2.0])
    """

    cluster: Ints
    stratum: Ints
    sizes: Floats
    fraction: Floats

    def variance(self, scores: Floats) -> float:
        """Return the variance of a sum of scores, sum_h (1 - f_h) m_h / (m_h - 1) sum_c (z_hc - mean z_h)^2.

        The ultimate-cluster estimator (Hansen, Hurwitz and Madow, 1953; Wolter, 2007, section 1.4): z_hc is the sum
        of the scores of cluster c in stratum h, m_h the number of sampled clusters and f_h the sampled share.

        Parameters
        ----------
        scores : float64[n]
            Weight times linearised variable.

        Returns
        -------
        float
            In the squared unit of the scores.

        Examples
        --------
        >>> units_of(2).variance(np.array([1.0, 3.0]))
        4.0
        """
        sums = np.bincount(self.cluster, weights=scores, minlength=len(self.stratum))
        means = np.bincount(self.stratum, weights=sums) / self.sizes
        squares = np.bincount(self.stratum, weights=(sums - means[self.stratum]) ** 2)
        return float(((1 - self.fraction) * self.sizes / np.maximum(self.sizes - 1, 1)) @ squares)

    def degrees_of_freedom(self, inside: NDArray[np.bool_] | None = None) -> float:
        """Return the number of clusters less the number of strata, of those with rows inside a domain.

        Korn and Graubard (1990), "Simultaneous testing of regression coefficients with complex survey data".

        Parameters
        ----------
        inside : bool[n], optional
            The domain; all rows by default.

        Returns
        -------
        float
            Zero or more.

        Examples
        --------
        >>> units_of(4, strata=[0, 0, 1, 1]).degrees_of_freedom()
        2.0
        """
        met = np.unique(self.cluster if inside is None else self.cluster[inside])
        return float(len(met) - len(np.unique(self.stratum[met])))


def units_of(
    n: int, clusters: ArrayLike | None = None, strata: ArrayLike | None = None, fpc: ArrayLike | None = None
) -> Units:
    """Read clusters, strata and finite population corrections from columns.

    Parameters
    ----------
    n : int
        Number of rows.
    clusters : array_like of shape (n,), optional
        Primary sampling units, such as households; rows by default.
    strata : array_like of shape (n,), optional
        One stratum by default.
    fpc : float or array_like of shape (n,), optional
        Clusters in the population of the row's stratum, or the sampled share of them where all are at most 1.
        Clusters count as drawn with replacement by default.

    Returns
    -------
    Units
        Clusters in order of appearance, strata sorted.

    Raises
    ------
    DataError
        If there is no row, columns have another length or are missing, a cluster lies in two strata, a stratum has a
        single cluster and is not sampled whole, or `fpc` varies within a stratum or is smaller than the sample.

    Examples
    --------
    >>> units_of(4, strata=["a", "a", "b", "b"], fpc=[10, 10, 4, 4]).fraction.tolist()
    [0.2, 0.5]
    """
    if n == 0:
        raise DataError("a sample needs at least one row; got none.")
    cluster = np.arange(n) if clusters is None else pd.factorize(np.asarray(clusters))[0].astype(np.int64)
    of_row, labels = (
        (np.zeros(n, np.int64), np.array([None], object))
        if strata is None
        else pd.factorize(np.asarray(strata), sort=True)
    )
    if len(cluster) != n or len(of_row) != n:
        raise DataError(
            f"clusters and strata must have one entry for each of {n} rows; got {len(cluster)} and {len(of_row)}."
        )
    for name, codes in (("clusters", cluster), ("strata", of_row)):
        if (codes < 0).any():
            raise DataError(f"clusters and strata must not be missing; row {int(np.argmax(codes < 0))} of {name} is.")
    stratum = np.zeros(cluster.max() + 1, np.int64)
    stratum[cluster] = of_row
    split = np.flatnonzero(stratum[cluster] != of_row)
    if split.size:
        raise DataError(
            f"clusters must lie within strata; the cluster of row {split[0]} is in two. If cluster numbers restart in "
            "every stratum, number them anew for each pair of stratum and cluster."
        )
    sizes = np.bincount(stratum).astype(np.float64)
    fraction = np.zeros(len(sizes)) if fpc is None else _fractions(fpc, of_row, sizes, labels)
    alone = np.flatnonzero((sizes == 1) & (fraction < 1))
    if alone.size:
        raise DataError(
            f"{_named(labels, alone[0])} has a single cluster, which tells no variance. Merge it with another stratum, "
            "or, if it was drawn with certainty, give it an fpc of one cluster."
        )
    return Units(cluster, stratum, sizes, fraction)


def _fractions(fpc: ArrayLike, of_row: Ints, sizes: Floats, labels: Any) -> Floats:
    """Return the sampled share of every stratum."""
    given = np.asarray(fpc, dtype=np.float64)
    n = len(of_row)
    if given.shape not in ((), (n,)):
        raise DataError(f"fpc must be one number or one for each of {n} rows; got shape {given.shape}.")
    given = np.broadcast_to(given, (n,))
    bad = np.flatnonzero(~(np.isfinite(given) & (given > 0)))
    if bad.size:
        raise DataError(f"fpc must be positive and finite; row {bad[0]} has {given[bad[0]]}.")
    if (given > 1).any() and (given < 1).any():
        raise DataError(
            f"fpc must be numbers of clusters or shares between 0 and 1, not both; row {np.argmax(given > 1)} has "
            f"{given.max()}, row {np.argmin(given)} has {given.min()}."
        )
    of_stratum = np.zeros(len(sizes))
    of_stratum[of_row] = given
    varies = np.flatnonzero(of_stratum[of_row] != given)
    if varies.size:
        at = varies[0]
        raise DataError(
            f"fpc must be the same throughout a stratum; {_named(labels, of_row[at])} has {given[at]} in row {at} and "
            f"{of_stratum[of_row[at]]} elsewhere."
        )
    if not (given > 1).any():
        return of_stratum
    small = np.flatnonzero(of_stratum < sizes)
    if small.size:
        raise DataError(
            f"fpc of {_named(labels, small[0])} is {of_stratum[small[0]]:g}, fewer than its {sizes[small[0]]:g} "
            "sampled clusters. It counts clusters, not rows."
        )
    return np.asarray(sizes / of_stratum)


def _named(labels: Any, index: int) -> str:
    label = np.asarray(labels, dtype=object)[index]
    return "the sample" if label is None else f"stratum {label!r}"
