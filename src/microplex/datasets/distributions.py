"""Laws of one number in closed form: their distribution functions, inverses and rounding.

Dagum (1977), "A new model of personal income distribution: specification and estimation"; Kumaraswamy (1980),
"A generalized probability density function for double-bounded random processes"; rounding to grains after Heitjan
and Rubin (1990), "Inference from coarse data via multiple imputation with application to age heaping".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from microplex.datasets.features import Floats, logistic

Mass: TypeAlias = Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Dagum:
    """Dagum law: F(x) = (1 + (x / b) ** -a) ** -p on x > 0, with the Pareto tail index a.

    Parameters
    ----------
    scale : float64[n]
        The scale b of every row.
    tail : float
        The index a: moments below it exist.
    body : float
        The exponent p: small values have density like x ** (a p - 1).

    Examples
    --------
    >>> law = Dagum(np.array([1000.0]), tail=2.0, body=1.0)
    >>> law.quantile(np.array([0.5])).round(9).tolist(), law.mass(np.array([0.0]), np.array([1000.0])).tolist()
    ([1000.0], [0.5])
    """

    scale: Floats
    tail: float
    body: float

    def quantile(self, u: Floats) -> Floats:
        """Return the value below which a share `u` lies; shapes are (n,)."""
        return np.asarray(self.scale * np.expm1(-np.log(u) / self.body) ** (-1 / self.tail))

    def log_density(self, x: Floats) -> Floats:
        """Return the log density at positive `x`; shapes are (n,)."""
        log_ratio = -self.tail * np.log(x / self.scale)
        constant = np.log(self.tail * self.body)
        return np.asarray(constant - np.log(x) + log_ratio - (self.body + 1) * np.logaddexp(0.0, log_ratio))

    def mass(self, low: Floats, high: Floats) -> Floats:
        """Return the probability of the interval, 0 where it is empty; shapes are (n,).

        The difference is taken in the smaller tail, so that cells far out keep their digits.
        """
        low = np.maximum(low, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            log_low = -self.body * np.logaddexp(0.0, -self.tail * np.log(low / self.scale))
            log_high = -self.body * np.logaddexp(0.0, -self.tail * np.log(np.maximum(high, 0.0) / self.scale))
        lower = np.exp(log_high) - np.exp(log_low)
        upper = np.expm1(log_high) - np.expm1(log_low)
        return np.where(high > low, np.where(low > self.scale, upper, lower), 0.0)


@dataclass(frozen=True)
class TruncatedLogistic:
    """Logistic law cut to an interval.

    Parameters
    ----------
    centre : float64[n]
        Location of every row.
    spread : float
        Scale.
    low, high : float
        Ends of the interval.

    Examples
    --------
    >>> law = TruncatedLogistic(np.array([40.0]), 8.0, 0.5, 97.5)
    >>> law.mass(np.array([0.0]), np.array([100.0])).tolist()
    [1.0]
    """

    centre: Floats
    spread: float
    low: float | Floats
    high: float | Floats

    def quantile(self, u: Floats) -> Floats:
        """Return the value below which a share `u` lies; shapes are (n,)."""
        start, end = self._cdf(self.low), self._cdf(self.high)
        v = start + u * (end - start)
        return np.asarray(np.clip(self.centre + self.spread * np.log(v / (1 - v)), self.low, self.high))

    def mass(self, low: Floats, high: Floats) -> Floats:
        """Return the probability of the interval, 0 where it is empty; shapes are (n,)."""
        low, high = np.clip(low, self.low, self.high), np.clip(high, self.low, self.high)
        whole = self._cdf(self.high) - self._cdf(self.low)
        return np.where(high > low, (self._cdf(high) - self._cdf(low)) / whole, 0.0)

    def _cdf(self, x: float | Floats) -> Floats:
        return logistic((x - self.centre) / self.spread)


@dataclass(frozen=True)
class Kumaraswamy:
    """Kumaraswamy law: F(s) = 1 - (1 - s ** a) ** b on 0 < s < 1.

    Parameters
    ----------
    first, second : float
        The exponents a and b.

    Examples
    --------
    >>> Kumaraswamy(1.0, 1.0).mass(np.array([0.2]), np.array([0.7])).round(9).tolist()
    [0.5]
    """

    first: float
    second: float

    def quantile(self, u: Floats) -> Floats:
        """Return the share below which a share `u` lies; shapes are (n,)."""
        return np.asarray((-np.expm1(np.log1p(-u) / self.second)) ** (1 / self.first))

    def mass(self, low: Floats, high: Floats) -> Floats:
        """Return the probability of the interval, 0 where it is empty; shapes are (n,)."""
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        return np.asarray((1 - low**self.first) ** self.second - (1 - high**self.first) ** self.second)


@dataclass(frozen=True)
class Band:
    """How amounts up to an edge are rounded.

    Parameters
    ----------
    upper : float
        Upper edge of the exact amounts it is about, a multiple of every grain.
    grains : tuple of float
        Grains in use.
    shares : tuple of float
        Share of people who use each; they sum to one.

    Examples
    --------
    >>> Band(1000.0, (1.0, 10.0), (0.7, 0.3)).grains
    (1.0, 10.0)
    """

    upper: float
    grains: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Rounding:
    """Rounding intentions: the exact amount decides on a band, chance on a grain; at least one grain is reported.

    Parameters
    ----------
    bands : tuple of Band
        By ascending upper edge, the last one infinite.
    name : str
        What the written law calls it.

    Examples
    --------
    >>> rounding = Rounding((Band(np.inf, (1.0, 10.0), (0.5, 0.5)),))
    >>> rounding.round(np.array([3.2, 18.6, 18.6]), np.array([0.9, 0.2, 0.9])).tolist()
    [10.0, 19.0, 20.0]
    >>> uniform = lambda low, high: np.clip(high, 0, 100) / 100 - np.clip(low, 0, 100) / 100
    >>> rounding.mass(np.array([10.0, 19.0, 19.5]), uniform).round(3).tolist()
    [0.08, 0.005, 0.0]
    """

    bands: tuple[Band, ...]
    name: str = ""

    def round(self, exact: Floats, u: Floats) -> Floats:
        """Round exact amounts.

        Parameters
        ----------
        exact : float64[n]
            Positive amounts.
        u : float64[n]
            Uniform numbers that choose the grain.

        Returns
        -------
        float64[n]
            Positive multiples of the finest grain.
        """
        grain = np.empty_like(exact)
        band = np.searchsorted([b.upper for b in self.bands], exact, side="right")
        for index, rule in enumerate(self.bands):
            rows = np.flatnonzero(band == index)
            chosen = np.searchsorted(np.cumsum(rule.shares)[:-1], u[rows], side="right")
            grain[rows] = np.asarray(rule.grains)[chosen]
        return np.asarray(grain * np.maximum(np.floor(exact / grain + 0.5), 1.0))

    def mass(self, reported: Floats, mass: Mass) -> Floats:
        """Return the probability of reported amounts.

        Parameters
        ----------
        reported : float64[n]
            Amounts.
        mass : callable
            Probability of the exact amount in an interval, ``mass(low, high) -> float64[n]``.

        Returns
        -------
        float64[n]
            Mass at each amount; 0 off the grid.
        """
        total = np.zeros_like(reported)
        for low, high, grain, share in self._cells():
            first = np.where(reported == grain, 0.0, reported - grain / 2)
            cell = mass(np.maximum(first, low), np.minimum(reported + grain / 2, high))
            total += np.where((reported > 0) & (np.fmod(reported, grain) == 0), share * cell, 0.0)
        return total

    def tail_mass(self, cap: float, mass: Mass, n: int) -> Floats:
        """Return the probability that the reported amount is at least `cap`.

        Parameters
        ----------
        cap : float
            Positive amount, larger than every grain.
        mass : callable
            Probability of the exact amount in an interval.
        n : int
            Number of rows.

        Returns
        -------
        float64[n]
            One probability a row.
        """
        total = np.zeros(n)
        for low, high, grain, share in self._cells():
            first = grain * np.ceil(cap / grain) - grain / 2
            total += share * mass(np.full(n, max(first, low)), np.full(n, high))
        return total

    def _cells(self) -> list[tuple[float, float, float, float]]:
        edges = [0.0, *(band.upper for band in self.bands)]
        return [
            (low, band.upper, grain, share)
            for low, band in zip(edges, self.bands, strict=False)
            for grain, share in zip(band.grains, band.shares, strict=True)
        ]
