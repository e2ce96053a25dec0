"""Codes of a number that lies between zero and a base known before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microplex.encoding.numbers import Allowed, NumberCodec
from microplex.encoding.ranges import Range
from microplex.flow.cells import Array, CellOptions, Cells, Codes, fit_cells, on_grid
from microplex.flow.law_fit import EMPTY, fit_bin_law
from microplex.flow.laws import BinLaw, Index, tilted_cdf, tilted_log_pdf, tilted_ppf
from microplex.schema import Column


@dataclass(frozen=True)
class ShareCodec(NumberCodec):
    """A number between zero and a base known before it, coded by its share of the base.

    The codes are the shares 0 and 1 and bins between them. On a grid a bin stands for the grid points whose
    share lies in it, so that code and value agree; bins without a grid point are not allowed.
    """

    step: float = 0.0

    def share(self, x: Array, base: Array) -> Array:
        """The share, with 0/0 = 0; NaN for missing values."""
        with np.errstate(divide="ignore", invalid="ignore"):
            out = x / base
        return np.asarray(np.where((base == 0) & (x == 0), 0.0, out))

    def encode_share(self, x: Array, base: Array | None) -> Codes:
        """Code of each value given its base; -1 off the grid or outside ``[0, base]``."""
        assert base is not None
        codes = self.encode(self.share(x, base))
        if self.step:
            codes[~np.isnan(x) & (on_grid(np.round(x / self.step), self.step) != x)] = -1
        return codes

    def allowed(self, limits: Range, base: Array | None) -> Allowed:
        assert base is not None
        cells = self.cells
        first, last = self._points(base)
        out = np.zeros((len(base), self.n_codes), bool)
        if self.step:
            out[:, cells.bin_codes] = first <= last
        else:
            out[:, cells.bin_codes] = (base > 0)[:, None]
        low, high = limits.low, limits.high
        out[:, cells.bin_codes] &= (cells.ends * base[:, None] > low[:, None]) & (
            cells.starts * base[:, None] <= high[:, None]
        )
        values = np.where(cells.atoms > 0, base[:, None], 0.0)
        free = (values >= low[:, None]) & (values <= high[:, None]) & (values != limits.excluded[:, None])
        free &= (base > 0)[:, None] | (cells.atoms == 0.0)
        out[:, cells.atom_codes] = free
        if self.has_missing:
            out[:, self.missing_code] = True
        return out

    def _points(self, base: Array) -> tuple[Array, Array]:
        """First and last grid index of each bin and row, shape ``(n, n_bins)``."""
        cells, step = self.cells, self.step or 1.0
        base = np.maximum(base, 0.0)[:, None]
        safe = np.where(base > 0, base, 1.0)
        first = np.ceil(cells.starts * base / step)
        first += first * step / safe < cells.starts
        first -= (first - 1) * step / safe >= cells.starts
        last = np.ceil(cells.ends * base / step) - 1
        last -= last * step / safe >= cells.ends
        last += (last + 1) * step / safe < cells.ends
        top = np.floor(base / step + 1e-9)
        last = np.minimum(last, np.where(top * step >= base, top - 1, top))
        return np.maximum(first, 1), np.where(base > 0, last, 0)

    def decode(
        self, codes: Codes, u: Array, groups: Index | None, limits: Range | None = None, base: Array | None = None
    ) -> Array:
        assert base is not None
        atom_of, bin_of = self._inverse()
        atom, bins = atom_of[codes], bin_of[codes]
        x = np.full(len(codes), np.nan)
        point = atom >= 0
        x[point] = np.where(self.cells.atoms[atom[point]] > 0, base[point], 0.0)
        rows = np.flatnonzero(bins >= 0)
        if not len(rows):
            return x
        b, total = bins[rows], base[rows]
        f_low, f_high = self._cut(b, total, limits, rows)
        t = tilted_ppf(f_low + u[rows] * (f_high - f_low), self.law.tilt[b])
        share = self.cells.starts[b] + (self.cells.ends[b] - self.cells.starts[b]) * t
        if not self.step:
            x[rows] = share * total
            return x
        low, high = self._grid_range(b, total, limits, rows)
        index = np.clip(np.round(share * total / self.step), low, high)
        x[rows] = on_grid(index, self.step)
        return x

    def _grid_range(self, bins: Index, base: Array, limits: Range | None, rows: Index) -> tuple[Array, Array]:
        first, last = self._points(base)
        at = np.arange(len(bins))
        low, high = first[at, bins], last[at, bins]
        if limits is not None:
            low = np.maximum(low, np.ceil(limits.low[rows] / self.step - 1e-9))
            high = np.minimum(high, np.floor(limits.high[rows] / self.step + 1e-9))
        return low, high

    def _cut(self, bins: Index, base: Array, limits: Range | None, rows: Index) -> tuple[Array, Array]:
        """Base probabilities at the ends of the row's limits (continuous columns only)."""
        if limits is None or self.step:
            return np.zeros(len(bins)), np.ones(len(bins))
        start, width = self.cells.starts[bins], self.cells.ends[bins] - self.cells.starts[bins]
        tilt = self.law.tilt[bins]
        low = tilted_cdf((limits.low[rows] / base - start) / width, tilt)
        return low, tilted_cdf((limits.high[rows] / base - start) / width, tilt)

    def below(self, x: Array, groups: Index | None, limits: Range | None, base: Array | None) -> Array:
        assert base is not None
        cells, n = self.cells, len(x)
        rows = np.arange(n)
        out = np.zeros((n, cells.n_codes))
        out[:, cells.atom_codes] = np.where(cells.atoms > 0, base[:, None], 0.0) <= x[:, None]
        safe = np.where(base > 0, base, 1.0)
        for b, code in enumerate(cells.bin_codes):
            bins, width = np.full(n, b), cells.ends[b] - cells.starts[b]
            if not self.step:
                f_low, f_high = self._cut(bins, safe, limits, rows)
                f = tilted_cdf((x / safe - cells.starts[b]) / width, self.law.tilt[bins])
                out[:, code] = np.clip((f - f_low) / np.maximum(f_high - f_low, 1e-300), 0.0, 1.0)
                continue
            low, high = self._grid_range(bins, base, limits, rows)
            index = np.floor(x / self.step + 1e-9)
            f = tilted_cdf(((index + 0.5) * self.step / safe - cells.starts[b]) / width, self.law.tilt[bins])
            out[:, code] = np.where(index >= high, 1.0, np.where(index < low, 0.0, f))
        return out

    def settle(self, x: Array, base: Array | None) -> Array:
        assert base is not None
        if self.step:
            return on_grid(np.round(x / self.step), self.step)
        ends = np.where(np.abs(x) <= 1e-9 * base, 0.0, x)
        return np.where(np.abs(ends - base) <= 1e-9 * base, base, ends)

    def log_density(
        self, codes: Codes, x: Array, groups: Index | None, limits: Range | None = None, base: Array | None = None
    ) -> Array:
        assert base is not None
        out = np.zeros(len(codes))
        bins = self._inverse()[1][codes]
        rows = np.flatnonzero((bins >= 0) & (codes >= 0))
        if not len(rows):
            return out
        b, total = bins[rows], base[rows]
        start, width, tilt = self.cells.starts[b], self.cells.ends[b] - self.cells.starts[b], self.law.tilt[b]
        with np.errstate(divide="ignore"):
            if not self.step:
                f_low, f_high = self._cut(b, total, limits, rows)
                t = (x[rows] / total - start) / width
                out[rows] = tilted_log_pdf(t, tilt) - np.log(width * total) - np.log(f_high - f_low)
                return out
            low, high = self._grid_range(b, total, limits, rows)
            index = np.round(x[rows] / self.step)
            above = tilted_cdf(((index + 0.5) * self.step / total - start) / width, tilt)
            below = tilted_cdf(((index - 0.5) * self.step / total - start) / width, tilt)
            mass = np.where(index >= high, 1.0, above) - np.where(index <= low, 0.0, below)
            out[rows] = np.where((index >= low) & (index <= high), np.log(np.maximum(mass, 0.0)), -np.inf)
        return out


def _grid(index: Array, step: float) -> Array:
    return np.asarray(index / round(1.0 / step) if step < 1 else index * step)


def fit_share(column: Column, x: Array, base: Array, weights: Array, options: CellOptions | None = None) -> ShareCodec:
    """Choose codes and fit the law of a share."""
    blank = Cells(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int32), 0.0)
    codec = ShareCodec(column, BinLaw(blank, *(np.empty(0),) * 3, EMPTY, EMPTY, 0))
    share = codec.share(x, base)
    seen = np.isfinite(share)
    cells = fit_cells(share[seen], weights[seen], np.array([0.0, 1.0]), 0.0, (0.0, 1.0), options)
    free = cells.atom_index(share[seen]) < 0
    law, _ = fit_bin_law(cells, share[seen][free], weights[seen][free], tables=False)
    return ShareCodec(column, law, step=column.resolution or 0.0)
