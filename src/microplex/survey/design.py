"""Estimates with standard errors that follow how the sample was drawn and how its weights were calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from microplex._validation import check_weights
from microplex.errors import DataError, ParameterError
from microplex.survey.estimates import ecdf, inverse
from microplex.survey.residuals import Calibration, calibration_of
from microplex.survey.units import Units, units_of
from microplex.survey.variance import Replicates

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RANK_TOLERANCE = 1e-10  # of the largest squared singular value, below which a replicate repeats others
LEVEL = 0.95  # of the interval that a quantile's standard error is read from


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate and its standard error.

    Parameters
    ----------
    value : float
        In the unit of the variable.
    se : float
        Standard error, in the same unit.
    df : float
        Degrees of freedom of the standard error.
    limits : callable, optional
        Level to lower and upper limit, where they are not symmetric about the value.

    Examples
    --------
    >>> low, high = Estimate(10.0, 1.0).interval(0.95)
    >>> round(low, 2), round(high, 2)
    (8.04, 11.96)
    """

    value: float
    se: float
    df: float = float("inf")
    limits: Callable[[float], tuple[float, float]] | None = field(default=None, repr=False)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the confidence interval, value -/+ t se with Student's t on `df` degrees of freedom.

        As R's ``confint(svymean(...), df=degf(design))``; of a quantile, Woodruff's interval.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Returns
        -------
        tuple of float
            Lower and upper limit; NaN where the design has no degree of freedom, or a quantile's limit lies outside
            the data.

        Raises
        ------
        ParameterError
            If the level is not between 0 and 1.

        Examples
        --------
        >>> low, high = Estimate(10.0, 1.0, df=4).interval(0.95)
        >>> round(low, 2), round(high, 2)
        (7.22, 12.78)
        """
        if not 0 < level < 1:
            raise ParameterError(f"level must lie between 0 and 1; got {level!r}.")
        if self.limits is not None:
            return self.limits(level)
        reach = _student(level, self.df) * self.se
        return self.value - reach, self.value + reach


@dataclass(frozen=True, eq=False)
class SampleDesign:
    """How a sample was drawn, and with it the sampling variance of what is estimated from it.

    Sampling of clusters within strata, with or without replacement; all rows of a drawn cluster count as the cluster,
    however they were drawn within it (ultimate clusters). The variance of a weighted sum of u is

        sum_h (1 - f_h) m_h / (m_h - 1) sum_c (z_hc - mean z_h)^2,    z_hc = sum of w u over cluster c of stratum h

    with m_h sampled clusters and the sampled share f_h, 0 without `fpc`. Other statistics are replaced by their
    linearised variable u first: (y - mean) / N for a mean, (y - R x) / X for a ratio (Woodruff, 1971; Wolter, 2007,
    chapter 6). Equal to R's ``svydesign``, ``svytotal``, ``svymean``, ``svyratio`` and ``svyquantile`` (survey 4.1
    and later) for one stage of sampling.

    Parameters
    ----------
    weights : array_like of shape (n,)
        Finite and not negative; calibrated weights, and full-sample weights that come with replicates, may be
        negative.
    clusters : array_like of shape (n,), optional
        Primary sampling units, such as households; rows by default.
    strata : array_like of shape (n,), optional
        One stratum by default.
    fpc : float or array_like of shape (n,), optional
        Finite population correction: clusters in the population of the row's stratum, or the sampled share of them
        where all are at most 1. Drawing with replacement by default.
    calibration : Calibration, optional
        From `calibrated`.
    replicates : Replicates, optional
        Replicate weights; all variances then come from them, and clusters, strata and fpc are left out.

    Raises
    ------
    DataError
        If columns do not fit together, see `microplex.survey.units.units_of`.
    ParameterError
        If replicates come together with clusters, strata, fpc or a calibration.

    Examples
    --------
    >>> design = SampleDesign([2.0] * 4, strata=["a", "a", "b", "b"], fpc=4)
    >>> design.total([1.0, 3.0, 5.0, 5.0])
    Estimate(value=28.0, se=2.8284271247461903, df=2.0)
    """

    weights: Floats
    clusters: ArrayLike | None = field(default=None, repr=False)
    strata: ArrayLike | None = field(default=None, repr=False)
    fpc: ArrayLike | None = field(default=None, repr=False)
    calibration: Calibration | None = field(default=None, repr=False)
    replicates: Replicates | None = field(default=None, repr=False)
    _units: Units = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = np.size(self.weights)
        if self.calibration is None and self.replicates is None:
            weights = check_weights(self.weights, n, "weights")
        else:
            weights = _signed(self.weights, n)
        if self.replicates is not None:
            others = (self.clusters, self.strata, self.fpc, self.calibration)
            if any(other is not None for other in others):
                raise ParameterError(
                    "replicates stand for clusters, strata, fpc and calibration. Give either the replicates, each "
                    "calibrated, or the others."
                )
            if self.replicates.weights.shape[1] != n:
                raise DataError(f"replicates are for {self.replicates.weights.shape[1]} rows; there are {n} weights.")
        object.__setattr__(self, "weights", weights)
        given = self.replicates is not None
        units = units_of(n, fpc=1.0) if given else units_of(n, self.clusters, self.strata, self.fpc)
        object.__setattr__(self, "_units", units)

    def calibrated(
        self, weights: ArrayLike, auxiliary: Any, *, within_clusters: bool = False, regression: str = "base"
    ) -> SampleDesign:
        """Return the design with calibrated weights w, whose variance is that of the calibration estimator.

        The linearised variable u is replaced by its residual e = u - x'b from the regression on the auxiliaries x with
        the base weights d, and w e takes the place of w u (Deville and Sarndal, 1992, section 3). All calibration
        distances, bounded ones included, share it; post-stratification is the case of cell indicators. Equal to R's
        ``calibrate`` and ``postStratify``. R's ``rake`` leaves the base weights out of the regression:
        ``regression="unweighted"`` on the indicators of all margins gives its figures.

        Parameters
        ----------
        weights : array_like of shape (n,)
            Calibrated weights, finite; negative ones count.
        auxiliary : array_like or scipy sparse of shape (n, p)
            What they were calibrated on, such as the transposed calibration `design`; columns may depend on others.
            Sparse ones are solved by a dense p x p system.
        within_clusters : bool
            Whether every row of a cluster got the same ratio w / d, as in integrated household weighting: the
            auxiliaries are averaged within clusters, with the base weights, before the regression (R's
            ``aggregate.stage=1``, which takes base weights as equal within a cluster).
        regression : {"base", "unweighted"}
            Weights of the regression.

        Returns
        -------
        SampleDesign
            A new one.

        Raises
        ------
        DataError
            If lengths differ, a number is missing, a base weight is 0, or ratios differ within a cluster although
            `within_clusters`.
        ParameterError
            If the design is calibrated already, or has replicates.

        Examples
        --------
        >>> design = SampleDesign([1.0, 1.0, 1.0, 1.0]).calibrated([2.0, 2.0, 3.0, 3.0], [[1, 0]] * 2 + [[0, 1]] * 2)
        >>> design.total([1, 0, 0, 0]).value, round(design.total([1, 1, 0, 0]).se, 9)
        (2.0, 0.0)
        """
        if self.replicates is not None:
            raise ParameterError(
                "replicates carry the variance of calibration only if each is calibrated. Calibrate every row of "
                "replicates.weights and make a SampleDesign of the results."
            )
        if self.calibration is not None:
            raise ParameterError(
                "the design is calibrated already. Calibrate the base weights once, on all auxiliaries together."
            )
        given = _signed(weights, len(self.weights))
        cluster = self._units.cluster if within_clusters else None
        calibration = calibration_of(self.weights, given, auxiliary, cluster, regression)
        return replace(self, weights=given, calibration=calibration)

    def total(self, values: ArrayLike, domain: ArrayLike | None = None) -> Estimate:
        """Return the total, sum w y (Horvitz and Thompson, 1952).

        Parameters
        ----------
        values : array_like of shape (n,)
            Numbers or truth values; those outside the domain may be missing.
        domain : array_like of bool of shape (n,), optional
            Rows to estimate from; the others still count as drawn, as they should (Cochran, 1977, section 2.13).

        Returns
        -------
        Estimate
            In the unit of the values.

        Raises
        ------
        DataError
            If a value in the domain is missing or infinite, or lengths differ.

        Examples
        --------
        >>> SampleDesign([2.0, 2.0]).total([1.0, 3.0])
        Estimate(value=8.0, se=4.0, df=1.0)
        """
        inside = self._inside(domain)
        y = self._values(values, inside, "values")
        value = float(self.weights @ y)
        if self.replicates is None:
            return self._estimate(value, self._variance(y), inside)
        return self._estimate(value, self.replicates.variance(self.replicates.weights @ y, value), inside)

    def mean(self, values: ArrayLike, domain: ArrayLike | None = None) -> Estimate:
        """Return the mean, sum w y / sum w (Hajek, 1971); of an indicator, a share.

        Parameters
        ----------
        values : array_like of shape (n,)
            Numbers or truth values; those outside the domain may be missing.
        domain : array_like of bool of shape (n,), optional
            Rows to estimate from.

        Returns
        -------
        Estimate
            In the unit of the values.

        Raises
        ------
        DataError
            If a value in the domain is missing or infinite, lengths differ, or the domain has no weight.

        Examples
        --------
        >>> SampleDesign([2.0, 2.0]).mean([1.0, 3.0])
        Estimate(value=2.0, se=1.0, df=1.0)
        """
        inside = self._inside(domain)
        return self._ratio(self._values(values, inside, "values"), inside.astype(np.float64), inside)

    def ratio(self, numerator: ArrayLike, denominator: ArrayLike, domain: ArrayLike | None = None) -> Estimate:
        """Return the ratio of two totals, sum w y / sum w x.

        Parameters
        ----------
        numerator, denominator : array_like of shape (n,)
            Numbers or truth values; those outside the domain may be missing.
        domain : array_like of bool of shape (n,), optional
            Rows to estimate from.

        Returns
        -------
        Estimate
            In units of the numerator by units of the denominator.

        Raises
        ------
        DataError
            If a value in the domain is missing or infinite, lengths differ, or the denominator's total is 0.

        Examples
        --------
        >>> SampleDesign([2.0, 2.0]).ratio([1.0, 3.0], [2.0, 6.0])
        Estimate(value=0.5, se=0.0, df=1.0)
        """
        inside = self._inside(domain)
        above = self._values(numerator, inside, "numerator")
        return self._ratio(above, self._values(denominator, inside, "denominator"), inside)

    def quantile(self, values: ArrayLike, p: float, domain: ArrayLike | None = None) -> Estimate:
        """Return the p-quantile, the smallest value with at least the share p at or below it, with Woodruff's interval.

        The share F at or below the quantile has a standard error of its own; the limits F -/+ t se are carried back
        through the same inverse (Woodruff, 1952), and the standard error is the length of the 95% interval over 2 t.
        This is R's ``svyquantile`` of survey 4.1 and later with its defaults ``interval.type="mean"``,
        ``qrule="math"``, but for two ends: for p below the share of the smallest value that rule skips the value, and
        for a quantile that is the largest value it reports a standard error of 0.

        Parameters
        ----------
        values : array_like of shape (n,)
            Numbers; those outside the domain may be missing.
        p : float
            Above 0 and below 1.
        domain : array_like of bool of shape (n,), optional
            Rows to estimate from.

        Returns
        -------
        Estimate
            One of the values. A limit is NaN, and so is the standard error, where its share lies outside 0 and 1, or
            the quantile is the largest of several values: the sample is too small to bound it.

        Raises
        ------
        DataError
            If a value in the domain is missing or infinite, lengths differ, or a weight in the domain is negative.
        ParameterError
            If p does not lie between 0 and 1.

        Examples
        --------
        >>> median = SampleDesign(np.ones(20)).quantile(np.arange(20.0), 0.5)
        >>> median.value, median.interval()
        (9.0, (5.0, 14.0))
        """
        if not 0 < p < 1:
            raise ParameterError(f"p must lie between 0 and 1; got {p!r}.")
        inside = self._inside(domain)
        x = self._values(values, inside, "values")
        negative = np.flatnonzero(inside & (self.weights < 0))
        if negative.size:
            raise DataError(
                f"a quantile needs weights of at least 0; row {negative[0]} has {self.weights[negative[0]]}. Calibrate "
                "with bounds."
            )
        points, shares = ecdf(x[inside], self.weights[inside])
        value = float(inverse(points, shares, p))
        is_last = len(points) > 1 and value == points[-1]
        share = self._ratio(((x <= value) & inside).astype(np.float64), inside.astype(np.float64), inside)

        def limits(level: float) -> tuple[float, float]:
            low, high = share.interval(level)
            return (
                float(inverse(points, shares, low)) if low >= 0 else float("nan"),
                float(inverse(points, shares, high)) if high <= 1 and not is_last else float("nan"),
            )

        low, high = limits(LEVEL)
        return Estimate(value, (high - low) / (2 * _student(LEVEL, share.df)), share.df, limits)

    @cached_property
    def _replicate_df(self) -> float:
        """Rank of the replicate weights less 1, as R's ``degf``."""
        assert self.replicates is not None
        square = self.replicates.weights @ self.replicates.weights.T
        roots = np.linalg.eigvalsh(square)
        return float(max((roots > RANK_TOLERANCE * roots.max(initial=0.0)).sum() - 1, 0))

    def _variance(self, influence: Floats) -> float:
        if self.calibration is not None:
            return self._units.variance(self.calibration.scores(influence))
        return self._units.variance(self.weights * influence)

    def _ratio(self, above: Floats, below: Floats, inside: Mask) -> Estimate:
        divisor = float(self.weights @ below)
        if divisor == 0:
            raise DataError("the denominator's weighted total is 0, so that there is no ratio. Choose another domain.")
        value = float(self.weights @ above) / divisor
        if self.replicates is None:
            return self._estimate(value, self._variance((above - value * below) / divisor), inside)
        divisors = self.replicates.weights @ below
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.replicates.weights @ above / divisors
        return self._estimate(value, self.replicates.variance(found, value), inside)

    def _estimate(self, value: float, variance: float, inside: Mask) -> Estimate:
        df = self._replicate_df if self.replicates is not None else self._units.degrees_of_freedom(inside)
        return Estimate(value, float(np.sqrt(variance)), df)

    def _inside(self, domain: ArrayLike | None) -> Mask:
        n = len(self.weights)
        if domain is None:
            return np.ones(n, bool)
        inside = np.asarray(domain)
        if inside.shape != (n,) or inside.dtype != bool:
            raise DataError(
                f"domain must have one truth value for each of {n} rows; got {inside.dtype} of shape {inside.shape}."
            )
        return inside

    def _values(self, values: ArrayLike, inside: Mask, name: str) -> Floats:
        """Return a variable as floats, 0 outside the domain."""
        x = np.asarray(values, dtype=np.float64)
        if x.shape != inside.shape:
            raise DataError(f"{name} must have one entry for each of {len(inside)} rows; got shape {x.shape}.")
        bad = np.flatnonzero(inside & ~np.isfinite(x))
        if bad.size:
            raise DataError(
                f"{name} must be finite; row {bad[0]} has {x[bad[0]]} ({bad.size} such rows). Give domain= to "
                "estimate from the others."
            )
        return np.where(inside, x, 0.0)


def _student(level: float, df: float) -> float:
    """Return the half-length of a central interval of Student's t; NaN without degrees of freedom."""
    return float(stdtrit(df, (1 + level) / 2)) if df > 0 else float("nan")


def _signed(weights: ArrayLike, n: int) -> Floats:
    w = np.array(weights, dtype=np.float64)
    if w.shape != (n,):
        raise DataError(f"weights must be one for each of {n} rows; got shape {w.shape}.")
    bad = np.flatnonzero(~np.isfinite(w))
    if bad.size:
        raise DataError(f"weights must be finite; row {bad[0]} has {w[bad[0]]}.")
    return w
