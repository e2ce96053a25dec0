"""The law of a numeric value inside its bin: repeated values, heaps, and a smooth base.

Within bin ``b`` (and group ``g``, a level of one categorical condition) the value follows

    P(x | b, g) = T_bg(x) + (1 - |T_bg|) [ T_b(x) + (1 - |T_b|) F_b(x) ]

with tables ``T`` of point masses (values shared by enough rows, multiples of a coarse grain) and a base
``F_b``: an exponential tilt of the uniform law, or a generalised Pareto law in an open bin. On a grid the
base is rounded to the nearest grid point, so that its masses are differences of ``F_b``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array, Cells
from microplex.flow.tails import pareto_cdf, pareto_log_pdf, pareto_ppf

Index = NDArray[np.intp]


@dataclass(frozen=True)
class Table:
    """Point masses by row of a table: row ``q`` owns ``values[offsets[q]:offsets[q + 1]]``.

    ``cumulative`` runs from the first mass of a row to its total, which may be below one.
    """

    offsets: Index
    values: Array
    cumulative: Array

    @classmethod
    def build(cls, rows: Index, values: Array, masses: Array, n_rows: int) -> Table:
        """Sort point masses by row and value."""
        order = np.lexsort((values, rows))
        rows, values, masses = rows[order], values[order], masses[order]
        offsets = np.searchsorted(rows, np.arange(n_rows + 1))
        running = np.concatenate([[0.0], np.cumsum(masses)])
        return cls(offsets, values, running[1:] - running[offsets[rows]])

    @property
    def totals(self) -> Array:
        """Total mass of each row of the table, shape ``(n_rows,)``."""
        filled = self.offsets[1:] > self.offsets[:-1]
        last = np.where(filled, self.offsets[1:] - 1, 0)
        return np.where(filled, self.cumulative[last], 0.0) if len(self.values) else np.zeros(len(filled))

    def locate(self, rows: Index, values: Array, side: str = "left") -> Index:
        """Position of each value among the entries of its row (vectorised bisection)."""
        low, high = self.offsets[rows].copy(), self.offsets[rows + 1].copy()
        while (open_ := low < high).any():
            middle = (low + high) // 2
            probe = self.values[np.minimum(middle, len(self.values) - 1)]
            right = open_ & ((probe < values) if side == "left" else (probe <= values))
            low = np.where(right, middle + 1, low)
            high = np.where(open_ & ~right, middle, high)
        return low

    def mass(self, rows: Index, values: Array) -> Array:
        """Point mass at each value in its row (zero where the value is no entry)."""
        if not len(self.values):
            return np.zeros(len(rows))
        at = self.locate(rows, values)
        inside = at < self.offsets[rows + 1]
        safe = np.where(inside, at, 0)
        previous = np.where(safe > self.offsets[rows], self.cumulative[safe - 1], 0.0)
        return np.where(inside & (self.values[safe] == values), self.cumulative[safe] - previous, 0.0)

    def below(self, rows: Index, values: Array) -> Array:
        """Mass of the entries at or below each value in its row."""
        if not len(self.values):
            return np.zeros(len(rows))
        at = self.locate(rows, values, "right")
        return np.where(at > self.offsets[rows], self.cumulative[np.maximum(at - 1, 0)], 0.0)

    def draw(self, rows: Index, u: Array) -> Array:
        """Entry at probability ``u`` below the total of its row."""
        keys = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets)) + self.cumulative
        at = np.searchsorted(keys, rows + u, "right")
        return np.asarray(self.values[np.clip(at, self.offsets[rows], self.offsets[rows + 1] - 1)])


@dataclass(frozen=True)
class BinLaw:
    """Law of the values inside the bins of one column.

    Parameters
    ----------
    cells
        The bins.
    tilt
        Exponential tilt of each finite bin, shape ``(n_bins,)``.
    scale, shape
        Pareto parameters of each open bin (NaN elsewhere), shape ``(n_bins,)``.
    pooled
        Table of point masses with one row a bin.
    grouped
        Table with row ``bin * n_groups + group``; empty when ``n_groups`` is zero.
    n_groups
        Levels of the grouping condition, or 0.
    """

    cells: Cells
    tilt: Array
    scale: Array
    shape: Array
    pooled: Table
    grouped: Table
    n_groups: int

    def base_cdf(self, bins: Index, c: Array) -> Array:
        """Distribution function of the base at compressed values ``c``."""
        start, end = self.cells.starts[bins], self.cells.ends[bins]
        upper, lower = np.isinf(end), np.isinf(start)
        with np.errstate(invalid="ignore", over="ignore"):
            out = tilted_cdf((c - start) / (end - start), self.tilt[bins])
        if upper.any():
            out[upper] = pareto_cdf((c - start)[upper], self.scale[bins[upper]], self.shape[bins[upper]])
        if lower.any():
            out[lower] = 1.0 - pareto_cdf((end - c)[lower], self.scale[bins[lower]], self.shape[bins[lower]])
        return out

    def base_ppf(self, bins: Index, u: Array) -> Array:
        """Quantile function of the base, on the compressed axis."""
        start, end = self.cells.starts[bins], self.cells.ends[bins]
        upper, lower = np.isinf(end), np.isinf(start)
        with np.errstate(invalid="ignore"):
            out = start + (end - start) * tilted_ppf(u, self.tilt[bins])
        if upper.any():
            out[upper] = start[upper] + pareto_ppf(u[upper], self.scale[bins[upper]], self.shape[bins[upper]])
        if lower.any():
            out[lower] = end[lower] - pareto_ppf(1 - u[lower], self.scale[bins[lower]], self.shape[bins[lower]])
        return out

    def base_log_density(self, bins: Index, c: Array) -> Array:
        """Log density (continuous column) or log mass (grid) of the base."""
        step = self.cells.resolution
        if step:
            mass = self.base_cdf(bins, c + 0.5 * step) - self.base_cdf(bins, c - 0.5 * step)
            with np.errstate(divide="ignore"):
                return np.log(np.maximum(mass, 0.0))
        start, end = self.cells.starts[bins], self.cells.ends[bins]
        upper, lower = np.isinf(end), np.isinf(start)
        with np.errstate(invalid="ignore", over="ignore"):
            out = tilted_log_pdf((c - start) / (end - start), self.tilt[bins]) - np.log(end - start)
        if upper.any():
            out[upper] = pareto_log_pdf((c - start)[upper], self.scale[bins[upper]], self.shape[bins[upper]])
        if lower.any():
            out[lower] = pareto_log_pdf((end - c)[lower], self.scale[bins[lower]], self.shape[bins[lower]])
        return out

    def _rows(self, bins: Index, groups: Index | None) -> Index | None:
        if not self.n_groups or groups is None:
            return None
        known = (groups >= 0) & (groups < self.n_groups)
        return np.where(known, bins * self.n_groups + groups, len(self.grouped.offsets) - 2)

    def sample(self, bins: Index, groups: Index | None, u: Array, low: Array | None, high: Array | None) -> Array:
        """Draw values; bins cut by a row's closed support ``[low, high]`` follow the truncated base."""
        out = np.empty(len(bins))
        cut = self.is_cut(bins, low, high)
        pending = np.flatnonzero(~cut)
        rows = self._rows(bins, groups)
        u = u.copy()
        for table, where in ((self.grouped, rows), (self.pooled, bins)):
            if where is None or not len(table.values):
                continue
            total = table.totals[where[pending]]
            hit = u[pending] < total
            taken = pending[hit]
            out[taken] = table.draw(where[taken], u[taken])
            u[pending[~hit]] = (u[pending[~hit]] - total[~hit]) / (1.0 - total[~hit])
            pending = pending[~hit]
        if cut.any():
            assert low is not None and high is not None
            at = np.flatnonzero(cut)
            f_low, f_high = self._cut_range(bins[at], low[at], high[at])
            u[at] = f_low + u[at] * (f_high - f_low)
            pending = np.concatenate([pending, at])
        out[pending] = self._smooth(bins[pending], u[pending])
        if cut.any():
            assert low is not None and high is not None
            out[at] = np.clip(out[at], low[at], high[at])
        return out

    def _smooth(self, bins: Index, u: Array) -> Array:
        c = self.base_ppf(bins, u)
        step = self.cells.resolution
        if not step:
            return c
        start, end = self.cells.starts[bins], self.cells.ends[bins]
        c = np.round(np.clip(c, start + 0.5 * step, end - 0.5 * step) / step) * step
        return self.cells.snap(self.cells.expand(c))

    def log_prob(self, bins: Index, groups: Index | None, x: Array, low: Array | None, high: Array | None) -> Array:
        """Log mass or density of each value inside its bin."""
        c = self.cells.compress(x)
        log_base = self.base_log_density(bins, c)
        smooth = np.ones(len(x))
        point = np.zeros(len(x))
        rows = self._rows(bins, groups)
        for table, where in ((self.grouped, rows), (self.pooled, bins)):
            if where is None or not len(table.values):
                continue
            point += smooth * table.mass(where, x)
            smooth *= 1.0 - table.totals[where]
        with np.errstate(divide="ignore"):
            if self.cells.resolution:
                out = np.log(point + smooth * np.exp(log_base))
            else:
                out = np.where(point > 0, np.log(point), np.log(smooth) + log_base)
            cut = self.is_cut(bins, low, high)
            if cut.any():
                assert low is not None and high is not None
                at = np.flatnonzero(cut)
                f_low, f_high = self._cut_range(bins[at], low[at], high[at])
                out[at] = log_base[at] - np.log(np.maximum(f_high - f_low, 1e-300))
        return out

    def cdf(self, bins: Index, groups: Index | None, x: Array, low: Array | None, high: Array | None) -> Array:
        """P(X <= x) inside each bin; values outside the bin give 0 or 1."""
        step = self.cells.resolution
        c = self.cells.compress(np.floor(x / step + 1e-9) * step) + 0.5 * step if step else x
        inner = np.clip(c, self.cells.starts[bins], self.cells.ends[bins])
        base = self.base_cdf(bins, inner)
        out, smooth = np.zeros(len(x)), np.ones(len(x))
        rows = self._rows(bins, groups)
        for table, where in ((self.grouped, rows), (self.pooled, bins)):
            if where is None or not len(table.values):
                continue
            out += smooth * table.below(where, x)
            smooth *= 1.0 - table.totals[where]
        out += smooth * base
        cut = self.is_cut(bins, low, high)
        if cut.any():
            assert low is not None and high is not None
            f_low, f_high = self._cut_range(bins[cut], low[cut], high[cut])
            out[cut] = np.clip((base[cut] - f_low) / np.maximum(f_high - f_low, 1e-300), 0.0, 1.0)
        return out

    def is_cut(self, bins: Index, low: Array | None, high: Array | None) -> NDArray[np.bool_]:
        """Bins that a row's support cuts through."""
        if low is None or high is None:
            return np.zeros(len(bins), bool)
        c_low, c_high = self.limits(low, high)
        return np.asarray((c_low > self.cells.starts[bins]) | (c_high < self.cells.ends[bins]))

    def limits(self, low: Array, high: Array) -> tuple[Array, Array]:
        """A row's closed support on the compressed axis, half a grid step wider."""
        half = 0.5 * self.cells.resolution
        on_atom = self.cells.atom_index(high) >= 0
        top = self.cells.compress(high) + np.where(on_atom, -half, half)
        return self.cells.compress(low) - half, top

    def _cut_range(self, bins: Index, low: Array, high: Array) -> tuple[Array, Array]:
        c_low, c_high = self.limits(low, high)
        start, end = self.cells.starts[bins], self.cells.ends[bins]
        return self.base_cdf(bins, np.clip(c_low, start, end)), self.base_cdf(bins, np.clip(c_high, start, end))


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
