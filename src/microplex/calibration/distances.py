"""Distances between calibrated and base weights, as their duals: the ratio g = w / d as a function of u = A' lambda."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from microplex._validation import check_choice
from microplex.errors import ParameterError

Floats = NDArray[np.float64]

METHODS = ("raking", "linear", "logit")
_START_CAP = 3.0


@dataclass(frozen=True)
class Distance:
    """A distance G of Deville and Särndal (1992, "Calibration estimators in survey sampling"), through its conjugate.

    ``raking`` is the entropy g log g - g + 1, ``linear`` the chi-square distance (g - 1)^2 / 2 (generalised
    regression), ``logit`` their case 6. The first two are cut at the bounds, the third approaches them.

    Parameters
    ----------
    method : {"raking", "linear", "logit"}
    lower, upper : float
        Bounds of the ratio g = w / d.
    cap : float
        Beyond it the exponential is continued by its tangent, so that no step overflows; raised by `loosened` until
        no record is there.

    Examples
    --------
    >>> conjugate, ratio, slope = Distance.of("raking", (0.0, np.inf)).evaluate(np.array([0.0, 1.0]))
    >>> ratio.round(3).tolist()
    [1.0, 2.718]
    """

    method: str
    lower: float
    upper: float
    cap: float = _START_CAP

    @classmethod
    def of(cls, method: str, bounds: tuple[float, float]) -> Distance:
        """Check the arguments and make the distance.

        Raises
        ------
        ParameterError
            If the method is unknown or the bounds cannot hold.
        """
        check_choice(method, METHODS, "method")
        try:
            lower, upper = (float(bound) for bound in bounds)
        except (TypeError, ValueError):
            raise ParameterError(f"bounds must be a pair of numbers (lower, upper) of w / d; got {bounds!r}.") from None
        if not lower < upper or upper <= 0:
            raise ParameterError(f"bounds must be lower < upper with upper > 0, as ratios of w / d; got {bounds!r}.")
        if method == "raking" and lower < 0:
            lower = 0.0
        if method == "logit" and not 0 <= lower < 1 < upper:
            raise ParameterError(f"method 'logit' needs bounds with 0 <= lower < 1 < upper; got {bounds!r}.")
        return cls(method, lower, upper)

    @property
    def capped(self) -> bool:
        """Whether the ratio can grow without limit and exponentially."""
        return self.method != "linear" and np.isinf(self.upper)

    def loosened(self, u: Floats) -> Distance | None:
        """Return the distance with a cap above every u; None if none is beyond it."""
        over = float(u.max(initial=-np.inf)) * self._rate() - self.cap
        if not self.capped or over <= 0:
            return None
        # On the tangent u is of the order of the ratio, whose logarithm the new cap must reach.
        return replace(self, cap=self.cap + float(np.log1p(over)) + 0.5)

    def evaluate(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the conjugate G*(u), its derivative g and its second derivative.

        Parameters
        ----------
        u : float64[n]

        Returns
        -------
        conjugate, ratio, slope : float64[n]
        """
        if self.method == "linear":
            return self._linear(u)
        if self.method == "logit" and np.isfinite(self.upper):
            return self._logit(u)
        return self._exponential(u)

    def _rate(self) -> float:
        return 1 / (1 - self.lower) if self.method == "logit" else 1.0

    def _linear(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        g = np.clip(1 + u, self.lower, self.upper)
        free = (g > self.lower) & (g < self.upper)
        # Beyond a bound B the conjugate goes on along its tangent: (B - 1)(u + 1 - B) + ... = B u - (B - 1)^2 / 2.
        return g * u - (g - 1) ** 2 / 2, g, free.astype(np.float64)

    def _exponential(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        if self.method == "logit":  # without an upper bound: lower + (1 - lower) exp(u / (1 - lower))
            rest, rate = 1 - self.lower, self._rate()
            conjugate, ratio, slope = self._capped(u * rate)
            return self.lower * u + rest**2 * conjugate, self.lower + rest * ratio, slope
        if np.isinf(self.upper) and self.lower == 0:
            return self._capped(u)
        low = np.log(self.lower) if self.lower > 0 else -np.inf
        high = np.log(self.upper)
        inside = np.clip(u, low, high)
        conjugate, ratio, slope = self._capped(inside) if np.isinf(self.upper) else _plain(inside)
        return conjugate + ratio * (u - inside), ratio, np.where(u == inside, slope, 0.0)

    def _capped(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        inside = np.minimum(u, self.cap)
        over = u - inside
        top = np.exp(inside)
        return top * (1 + over + over**2 / 2) - 1, top * (1 + over), top

    def _logit(self, u: Floats) -> tuple[Floats, Floats, Floats]:
        low, high = self.lower, self.upper
        rate = (high - low) / ((1 - low) * (high - 1))
        offset = np.log1p(-low) - np.log(high - 1)
        z = rate * u + offset
        share = expit(z)
        ratio = low + (high - low) * share
        start = np.logaddexp(0.0, offset)
        conjugate = low * u + (high - low) / rate * (np.logaddexp(0.0, z) - start)
        return conjugate, ratio, (high - low) * rate * share * expit(-z)


def _plain(u: Floats) -> tuple[Floats, Floats, Floats]:
    top = np.exp(u)
    return top - 1, top, top
