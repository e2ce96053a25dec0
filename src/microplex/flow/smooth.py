"""Smooth laws on an interval, one a row: the tilted uniform law, and the Pareto law where an end is open.

Both families are closed under truncation at the near end, so that a cut law is again one of them; this keeps
cuts exact far out in a tail, where differences of distribution functions vanish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array
from microplex.flow.tails import pareto_cdf, pareto_log_pdf, pareto_log_sf, pareto_ppf


@dataclass(frozen=True)
class Smooth:
    """Laws on ``[start, end)``, arrays of shape ``(n,)``.

    Parameters
    ----------
    start, end
        Limits; where one was infinite before any cut, the law is a Pareto law from the other.
    tilt
        Exponential tilt of a finite law.
    scale, shape
        Pareto parameters of an open law (NaN elsewhere).
    side
        1 for a law open above, -1 for one open below, 0 for a finite one.
    reach
        Probability of the Pareto law within the cut.
    hole
        Ends of an excluded interval (NaN where there is none); None for none at all.
    """

    start: Array
    end: Array
    tilt: Array
    scale: Array
    shape: Array
    side: Array
    reach: Array
    hole: tuple[Array, Array] | None = None

    @classmethod
    def of(cls, start: Array, end: Array, tilt: Array, scale: Array, shape: Array) -> Smooth:
        """Laws that nothing cuts."""
        side = np.isinf(end) * 1.0 - np.isinf(start) * 1.0
        return cls(start, end, tilt, scale, shape, side, np.ones(len(start)))

    def cut(self, low: Array, high: Array) -> Smooth:
        """Condition on the value lying in ``[low, high)``."""
        a, b = np.maximum(self.start, low), np.minimum(self.end, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.where(self.side > 0, a - self.start, np.where(self.side < 0, self.end - b, 0.0))
            scale = np.maximum(self.scale + self.shape * moved, 1e-9 * self.scale)
            tilt = np.where(self.side == 0, self.tilt * (b - a) / (self.end - self.start), 0.0)
            reach = np.where(self.side == 0, 1.0, pareto_cdf(b - a, scale, self.shape))
        return replace(self, start=a, end=b, tilt=tilt, scale=scale, reach=reach)

    def without(self, low: Array, high: Array) -> Smooth:
        """Condition on the value lying outside ``[low, high)``; NaN for no such interval."""
        return replace(self, hole=(low, high))

    def cdf(self, c: Array) -> Array:
        """Distribution function; 0 below the interval and 1 above it."""
        out = self._cdf(np.clip(c, self.start, self.end))
        out = np.where(self.end > self.start, out, c >= self.start)
        if self.hole is None:
            return out
        below, gap = self._gap()
        kept = np.minimum(out, below) + np.maximum(out - below - gap, 0.0)
        return np.asarray(kept / (1.0 - gap))

    def ppf(self, u: Array) -> Array:
        """Quantile function."""
        if self.hole is None:
            return self._ppf(u)
        below, gap = self._gap()
        low, high = self.hole
        room = 0.25 * (high - low)
        u = u * (1.0 - gap)
        after = (u >= below) & ~(high + room > self.end)
        out = self._ppf(np.where(after, u + gap, u))
        return np.where(after, np.fmax(out, high + room), np.fmin(out, low - room))

    def log_density(self, c: Array) -> Array:
        """Log density of a continuous law; 0, a point mass, where a cut leaves one value."""
        width = self.end - self.start
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            out = tilted_log_pdf((c - self.start) / width, self.tilt) - np.log(width)
            for side, at in self._open():
                z = (c - self.start)[at] if side > 0 else (self.end - c)[at]
                out[at] = pareto_log_pdf(z, self.scale[at], self.shape[at]) - np.log(self.reach[at])
        return np.where(width <= 0, 0.0, out)

    def log_mass(self, c: Array, step: float) -> Array:
        """Log probability of ``[c - step / 2, c + step / 2)``."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            out = np.log(np.maximum(self._cdf(c + 0.5 * step) - self._cdf(c - 0.5 * step), 0.0))
            for side, at in self._open():
                near = ((c - self.start)[at] if side > 0 else (self.end - c)[at]) - 0.5 * step
                log_near = pareto_log_sf(near, self.scale[at], self.shape[at])
                drop = log_near - pareto_log_sf(near + step, self.scale[at], self.shape[at])
                narrow = pareto_log_pdf(near + 0.5 * step, self.scale[at], self.shape[at]) + np.log(step)
                mass = np.where(drop < 1e-6, narrow, log_near + np.log(-np.expm1(-drop)))
                out[at] = np.where(np.isneginf(log_near), -np.inf, mass - np.log(self.reach[at]))
        return self._outside_hole(out)

    def _ppf(self, u: Array) -> Array:
        with np.errstate(invalid="ignore"):
            out = self.start + (self.end - self.start) * tilted_ppf(u, self.tilt)
        for side, at in self._open():
            v = (u[at] if side > 0 else 1.0 - u[at]) * self.reach[at]
            out[at] = (self.start if side > 0 else self.end)[at] + side * pareto_ppf(v, self.scale[at], self.shape[at])
        return np.asarray(out)

    def _cdf(self, c: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            out = tilted_cdf((c - self.start) / (self.end - self.start), self.tilt)
            for side, at in self._open():
                z = (c - self.start)[at] if side > 0 else (self.end - c)[at]
                f = pareto_cdf(z, self.scale[at], self.shape[at]) / self.reach[at]
                out[at] = f if side > 0 else 1.0 - f
        return out

    def _gap(self) -> tuple[Array, Array]:
        """Probability below the hole and inside it."""
        assert self.hole is not None
        low, high = self.hole
        none = np.isnan(low)
        below = np.where(none, 1.0, self._cdf(np.where(none, self.start, low)))
        gap = np.where(none, 0.0, self._cdf(np.where(none, self.start, high)) - below)
        return below, np.minimum(gap, 1.0 - 2.0**-53)

    def _open(self) -> list[tuple[float, NDArray[np.bool_]]]:
        return [(side, at) for side in (1.0, -1.0) if (at := self.side == side).any()]

    def _outside_hole(self, log_p: Array) -> Array:
        return log_p if self.hole is None else np.asarray(log_p - np.log1p(-self._gap()[1]))


def tilted_cdf(t: Array, tilt: Array) -> Array:
    """Distribution function of the law on [0, 1] with density proportional to ``exp(tilt * t)``."""
    flat = np.abs(tilt) < 1e-6
    safe = np.where(flat, 1.0, tilt)
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(np.where(flat, t, np.expm1(safe * t) / np.expm1(safe)))


def tilted_ppf(u: Array, tilt: Array) -> Array:
    """Quantile function of the tilted law."""
    flat = np.abs(tilt) < 1e-6
    safe = np.where(flat, 1.0, tilt)
    return np.asarray(np.where(flat, u, np.log1p(u * np.expm1(safe)) / safe))


def tilted_log_pdf(t: Array, tilt: Array) -> Array:
    """Log density of the tilted law."""
    flat = np.abs(tilt) < 1e-6
    safe = np.where(flat, 1.0, tilt)
    return np.asarray(np.where(flat, 0.0, safe * t + np.log(np.abs(safe)) - np.log(np.abs(np.expm1(safe)))))


def tilt_from_mean(mean: Array) -> Array:
    """Tilt whose law on [0, 1] has the given mean (Newton's method; limited to ``[-12, 12]``)."""
    target = np.clip(mean, 0.084, 0.916)
    tilt = 12.0 * (target - 0.5)
    for _ in range(30):
        safe = np.where(np.abs(tilt) < 1e-4, 1e-4, tilt)
        value = 1.0 / -np.expm1(-safe) - 1.0 / safe
        slope = 1.0 / safe**2 - 1.0 / (4.0 * np.sinh(0.5 * safe) ** 2)
        tilt = np.clip(safe + (target - value) / np.maximum(slope, 1e-6), -12.0, 12.0)
    return np.asarray(tilt)
