"""Codes of a number that lies between zero and a base known before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microplex.encoding.numbers import Allowed, NumberCodec
from microplex.flow.cells import TOLERANCE, ULPS, Array, CellOptions, Cells, Codes, fit_cells, on_grid
from microplex.flow.law_fit import EMPTY, fit_bin_law
from microplex.flow.laws import BinLaw, Index
from microplex.flow.ranges import Range
from microplex.flow.smooth import Smooth
from microplex.schema import Column

ROUNDING = 1e-9
MARGIN = 4 * np.finfo(float).eps


@dataclass(frozen=True)
class ShareCodec(NumberCodec):
    """A number between zero and a base known before it, coded by its share of the base.

    The codes are the shares 0 and 1 and bins between them. On a grid a bin stands for the grid points whose
    share lies in it, so that code and value agree; bins without a grid point are not allowed.
    """

    step: float = 0.0

    @property
    def grid(self) -> float:
        """Step of the grid on which the numbers lie, or 0.0."""
        return self.step

    def on_step(self, x: Array) -> Array:
        """Values in the floating-point form of the grid, where they are that close to it."""
        if not self.step:
            return x
        near = on_grid(np.round(x / self.step), self.step)
        return np.where(np.abs(near - x) <= TOLERANCE * self.step + ULPS * np.abs(x), near, x)

    def share(self, x: Array, base: Array) -> Array:
        """The share, with 0/0 = 0; NaN for missing values."""
        with np.errstate(divide="ignore", invalid="ignore"):
            out = np.where(x == 0, 0.0, x / base)
        if self.step:
            return np.where(np.isnan(x), np.nan, out)
        return np.where(np.isnan(x), np.nan, np.where(np.abs(out - 1.0) <= ROUNDING, 1.0, out))

    def encode_share(self, x: Array, base: Array | None) -> Codes:
        """Code of each value given its base; -1 off the grid or outside ``[0, base]``."""
        assert base is not None
        x = self.on_step(x)
        codes = self.encode(self.share(x, self.on_step(base)))
        if self.step:
            codes[~np.isnan(x) & (on_grid(np.round(x / self.step), self.step) != x)] = -1
        return codes

    def allowed(self, limits: Range, base: Array | None) -> Allowed:
        """Codes that the base and each row's limits leave possible."""
        assert base is not None
        base = self.on_step(base)
        cells = self.cells
        out = np.zeros((len(base), self.n_codes), bool)
        out[:, cells.bin_codes] = self._open_shares(limits, base)
        known = ~np.isnan(base)
        whole = (base > 0) & ((on_grid(np.round(base / self.step), self.step) == base) if self.step else True)
        for atom, code in zip(cells.atoms, cells.atom_codes, strict=True):
            out[:, code] = whole & limits.holds(base) if atom > 0 else known & limits.holds(np.zeros(len(base)))
        if self.has_missing:
            out[:, self.missing_code] = True
        return out

    def _open_shares(self, limits: Range, base: Array) -> Allowed:
        """Bins that hold a value within each row's limits."""
        cells, n, k = self.cells, len(base), len(self.cells.starts)
        if self.step:
            rows, bins = np.repeat(np.arange(n), k), np.tile(np.arange(k), n)
            first, last = self._points(bins, base[rows], limits.take(rows))
            gone = np.round(limits.excluded[rows] / self.step)
            return np.asarray((last - first + 1 - ((gone >= first) & (gone <= last)) > 0).reshape(n, k))
        low, high = limits.low[:, None], limits.high[:, None]
        starts, ends = cells.starts * base[:, None], np.minimum(cells.ends, 1.0) * base[:, None]
        one = (low == high) & (starts < low) & (low < ends) & (low > 0) & (low < base[:, None])
        one &= limits.holds(limits.low)[:, None]
        return np.asarray(((np.minimum(ends, high) > np.maximum(starts, low)) | one) & (base > 0)[:, None])

    def _points(self, bins: Index, base: Array, limits: Range | None) -> tuple[Array, Array]:
        """First and last grid index of each row's bin, within its limits; the first above the last for none."""
        start, end, step = self.cells.starts[bins], self.cells.ends[bins], self.step
        safe = np.where(base > 0, base, 1.0)
        first, last = (np.ceil(edge * safe / step) for edge in (start, end))
        for index, edge in ((first, start), (last, end)):
            index += on_grid(index, step) / safe < edge
            index -= on_grid(index - 1, step) / safe >= edge
        top = np.floor(base / step + 1e-9)
        last = np.minimum(last - 1, np.where(on_grid(top, step) >= base, top - 1, top))
        first, last = np.maximum(first, 1), np.where(base > 0, last, 0)
        if limits is None:
            return first, last
        low = np.ceil(limits.low / step - 1e-9)
        return np.maximum(first, low), np.minimum(last, np.floor(limits.high / step + 1e-9))

    def _law(self, bins: Index, base: Array, limits: Range | None) -> Smooth:
        """Law of the grid index (of the share, off a grid) in each row's bin."""
        start, end, tilt = self.cells.starts[bins], self.cells.ends[bins], self.law.tilt[bins]
        none = np.full(len(bins), np.nan)
        if not self.step:
            law = Smooth.of(start, end, tilt, none, none)
            return law if limits is None else law.cut(limits.low / base, limits.high / base)
        first, last = self._points(bins, base, limits)
        tilt = tilt * (last - first + 1) * self.step / (np.where(base > 0, base, 1.0) * (end - start))
        law = Smooth.of(first - 0.5, last + 0.5, tilt, none, none)
        if limits is None or np.isnan(limits.excluded).all():
            return law
        gone = np.round(limits.excluded / self.step)
        gone = np.where((gone >= first) & (gone <= last), gone, np.nan)
        return law.without(gone - 0.5, gone + 0.5)

    def decode(
        self, codes: Codes, u: Array, groups: Index | None, limits: Range | None = None, base: Array | None = None
    ) -> Array:
        """Values of drawn codes, given the base."""
        assert base is not None
        base = self.on_step(base)
        atom_of, bin_of = self._inverse()
        atom, bins = atom_of[codes], bin_of[codes]
        x = np.full(len(codes), np.nan)
        point = atom >= 0
        x[point] = np.where(self.cells.atoms[atom[point]] > 0, base[point], 0.0)
        rows = np.flatnonzero(bins >= 0)
        part = None if limits is None else limits.take(rows)
        law = self._law(bins[rows], base[rows], part)
        drawn = law.ppf(u[rows])
        if self.step:
            x[rows] = on_grid(np.clip(np.floor(drawn + 0.5), law.start + 0.5, law.end - 0.5), self.step)
            return x
        start, end = self.cells.starts[bins[rows]], np.minimum(self.cells.ends[bins[rows]], 1.0 - 2 * ROUNDING)
        x[rows] = np.clip(drawn, start * (1.0 + MARGIN), end * (1.0 - MARGIN)) * base[rows]
        if part is not None:
            x[rows] = np.clip(x[rows], part.low, part.high)
        return x

    def log_density(
        self, codes: Codes, x: Array, groups: Index | None, limits: Range | None = None, base: Array | None = None
    ) -> Array:
        """Log law of each value given its code and the base."""
        assert base is not None
        out = np.zeros(len(codes))
        bins = self._inverse()[1][codes]
        rows = np.flatnonzero((bins >= 0) & (codes >= 0))
        at, total = self.on_step(x[rows]), self.on_step(base[rows])
        part = None if limits is None else limits.take(rows)
        law = self._law(bins[rows], total, part)
        if self.step:
            out[rows] = law.log_mass(np.round(at / self.step), 1.0)
        else:
            inside = law.log_density(at / total)
            out[rows] = np.where(law.end > law.start, inside - np.log(total), inside)
        if part is not None:
            out[rows] = np.where(part.holds(at), out[rows], -np.inf)
        return out

    def below(self, x: Array, groups: Index | None, limits: Range | None, base: Array | None) -> Array:
        """P(X <= x) given each code and the base, shape ``(n, cells.n_codes)``."""
        assert base is not None
        base = self.on_step(base)
        out = np.zeros((len(x), self.cells.n_codes))
        out[:, self.cells.atom_codes] = np.where(self.cells.atoms > 0, base[:, None], 0.0) <= x[:, None]
        known = on_grid(np.floor(x / self.step + 1e-9), self.step) if self.step else x
        self._fill_bins(out, known / np.where(base > 0, base, 1.0), x, groups, limits, base)
        return out

    def bin_cdf(self, bins: Index, x: Array, groups: Index | None, limits: Range | None, base: Array | None) -> Array:
        """P(X <= x) inside each bin, given the base."""
        assert base is not None
        if self.step:
            base = self.on_step(base)
            return self._law(bins, base, limits).cdf(np.floor(x / self.step + 1e-9) + 0.5)
        safe = np.where(base > 0, base, 1.0)
        return self._law(bins, safe, limits).cdf(x / safe)

    def settle(self, x: Array, base: Array | None) -> Array:
        """Round the end of a bisection to the grid point or point mass that it met."""
        assert base is not None
        if self.step:
            return on_grid(np.round(x / self.step), self.step)
        ends = np.where(np.abs(x) <= ROUNDING * base, 0.0, x)
        return np.where(np.abs(ends - base) <= ROUNDING * base, base, ends)


def fit_share(column: Column, x: Array, base: Array, weights: Array, options: CellOptions | None = None) -> ShareCodec:
    """Choose codes and fit the law of a share."""
    blank = Cells(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int32), 0.0)
    codec = ShareCodec(column, BinLaw(blank, *(np.empty(0),) * 3, EMPTY, EMPTY, 0), step=column.resolution or 0.0)
    share = codec.share(codec.on_step(x), codec.on_step(base))
    seen = np.isfinite(share)
    cells = fit_cells(share[seen], weights[seen], np.array([0.0, 1.0]), 0.0, (0.0, 1.0), options)
    free = cells.atom_index(share[seen]) < 0
    law, _ = fit_bin_law(cells, share[seen][free], weights[seen][free], tables=False)
    return ShareCodec(column, law, step=codec.step)
