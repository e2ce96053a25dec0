"""The law of a numeric value inside its bin: repeated values, heaps, and a smooth base.

Within bin ``b`` (and group ``g``, a level of one categorical condition) the value follows

    P(x | b, g) = T_bg(x) + (1 - |T_bg|) [ T_b(x) + (1 - |T_b|) F_b(x) ]

with tables ``T`` of point masses (values shared by enough rows, multiples of a coarse grain) and a base
``F_b``: an exponential tilt of the uniform law, or a generalised Pareto law in an open bin. On a grid the
base is rounded to the nearest grid point, so that its masses are differences of ``F_b``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array, Cells
from microplex.flow.ranges import Range
from microplex.flow.smooth import Smooth

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

    @cached_property
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

    @cached_property
    def _keys(self) -> Array:
        """Row plus cumulative mass of each entry, ascending."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets)) + self.cumulative

    def draw(self, rows: Index, u: Array) -> Array:
        """Entry at probability ``u`` below the total of its row."""
        at = np.searchsorted(self._keys, rows + u, "right")
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

    def base(self, bins: Index) -> Smooth:
        """Smooth part of the law in each bin, on the compressed axis."""
        cells = self.cells
        return Smooth.of(cells.starts[bins], cells.ends[bins], self.tilt[bins], self.scale[bins], self.shape[bins])

    def base_log_density(self, bins: Index, c: Array) -> Array:
        """Log density (continuous column) or log mass (grid) of the base at compressed values ``c``."""
        return self._log_base(self.base(bins), c)

    def _log_base(self, base: Smooth, c: Array) -> Array:
        return base.log_mass(c, self.cells.resolution) if self.cells.resolution else base.log_density(c)

    def _rows(self, bins: Index, groups: Index | None) -> Index | None:
        if not self.n_groups or groups is None:
            return None
        known = (groups >= 0) & (groups < self.n_groups)
        return np.where(known, bins * self.n_groups + groups, len(self.grouped.offsets) - 2)

    def sample(self, bins: Index, groups: Index | None, u: Array, limits: Range | None = None) -> Array:
        """Draw values; bins cut by a row's limits follow the truncated base."""
        out = np.empty(len(bins))
        cut = self.is_cut(bins, limits)
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
        out[pending] = self._from_base(self.base(bins[pending]), u[pending])
        if limits is not None and cut.any():
            part = limits.take(cut)
            out[cut] = np.clip(self._from_base(self._cut_base(bins[cut], part), u[cut]), part.low, part.high)
        return out

    def _from_base(self, base: Smooth, u: Array) -> Array:
        c, step = base.ppf(u), self.cells.resolution
        if not step:
            return np.clip(c, base.start, np.maximum(base.start, np.nextafter(base.end, -np.inf)))
        c = np.round(np.clip(c, base.start + 0.5 * step, base.end - 0.5 * step) / step) * step
        return self.cells.snap(self.cells.expand(c))

    def log_prob(self, bins: Index, groups: Index | None, x: Array, limits: Range | None = None) -> Array:
        """Log mass or density of each value inside its bin; ``-inf`` outside the row's limits."""
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
        cut = self.is_cut(bins, limits)
        if limits is not None and cut.any():
            part = limits.take(cut)
            inside = self._log_base(self._cut_base(bins[cut], part), c[cut])
            out[cut] = np.where(part.holds(x[cut]), inside, -np.inf)
        return out

    def cdf(self, bins: Index, groups: Index | None, x: Array, limits: Range | None = None) -> Array:
        """P(X <= x) inside each bin; values outside the bin give 0 or 1."""
        c = self.up_to(x)
        out, smooth = np.zeros(len(x)), np.ones(len(x))
        rows = self._rows(bins, groups)
        for table, where in ((self.grouped, rows), (self.pooled, bins)):
            if where is None or not len(table.values):
                continue
            out += smooth * table.below(where, x)
            smooth *= 1.0 - table.totals[where]
        out += smooth * self.base(bins).cdf(c)
        cut = self.is_cut(bins, limits)
        if limits is not None and cut.any():
            out[cut] = self._cut_base(bins[cut], limits.take(cut)).cdf(c[cut])
        return out

    def up_to(self, x: Array) -> Array:
        """End, on the compressed axis, of the values up to each ``x``."""
        step = self.cells.resolution
        if not step:
            return x
        x = self.cells.snap(np.floor(x / step + 1e-9) * step)
        return self.cells.compress(x) + np.where(self.cells.atom_index(x) >= 0, -0.5, 0.5) * step

    def n_points(self, limits: Range) -> Array:
        """Free grid points of each bin within each row's limits, shape ``(n, n_bins)`` (grid columns only)."""
        step = self.cells.resolution
        low, high = self._ends(limits)
        first, last = np.maximum(self.cells.starts, low[:, None]), np.minimum(self.cells.ends, high[:, None])
        gone = self._excluded(limits)[:, None]
        inside = (gone > first) & (gone < last)
        return np.maximum(np.round((last - first) / step), 0.0) - inside

    def is_cut(self, bins: Index, limits: Range | None) -> NDArray[np.bool_]:
        """Bins that a row's limits cut through."""
        if limits is None:
            return np.zeros(len(bins), bool)
        start, end = self.cells.starts[bins], self.cells.ends[bins]
        low, high = self._ends(limits)
        gone = self._excluded(limits)
        slack = 0.25 * self.cells.resolution
        if not slack:
            high = np.nextafter(high, np.inf)
        return np.asarray((low > start + slack) | (high < end - slack) | ((gone >= start) & (gone < end)))

    def _ends(self, limits: Range) -> tuple[Array, Array]:
        """A row's limits on the compressed axis, on a grid half a step wider."""
        if not self.cells.resolution:
            return limits.low, limits.high
        step = self.cells.resolution
        return self.up_to(np.ceil(limits.low / step - 1e-9) * step - step), self.up_to(limits.high)

    def _excluded(self, limits: Range) -> Array:
        """A row's excluded point on the compressed axis; NaN for none, and for point masses."""
        return np.where(self.cells.atom_index(limits.excluded) >= 0, np.nan, self.cells.compress(limits.excluded))

    def _cut_base(self, bins: Index, limits: Range) -> Smooth:
        low, high = self._ends(limits)
        base = self.base(bins).cut(low, high)
        if not self.cells.resolution or np.isnan(limits.excluded).all():
            return base
        half, gone = 0.5 * self.cells.resolution, self._excluded(limits)
        gone = np.where((gone > base.start) & (gone < base.end), gone, np.nan)
        return base.without(gone - half, gone + half)
