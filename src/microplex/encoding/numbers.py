"""Codes of numeric columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from microplex.encoding.levels import hurdle_code
from microplex.flow.cells import Array, CellOptions, Cells, Codes, fit_cells
from microplex.flow.law_fit import fit_bin_law
from microplex.flow.laws import BinLaw, Index
from microplex.flow.ranges import Range
from microplex.flow.spec import Variable, numeric_features, ordered_basis
from microplex.schema import Column

Allowed = NDArray[np.bool_]


@dataclass(frozen=True)
class NumberCodec:
    """Codes and law of a numeric column.

    Parameters
    ----------
    column
        Its description.
    law
        Law inside the bins; its cells define the codes. The missing level comes last.
    group_by
        Index of the condition whose levels have tables of their own, or -1.
    """

    column: Column
    law: BinLaw
    group_by: int = -1

    @property
    def cells(self) -> Cells:
        """Atoms and bins."""
        return self.law.cells

    @property
    def grid(self) -> float:
        """Step of the grid of the values, or 0.0."""
        return self.cells.resolution

    @property
    def has_missing(self) -> bool:
        """Whether missing is an outcome of its own."""
        return self.column.missing == "level"

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        return self.cells.n_codes + self.has_missing

    @property
    def missing_code(self) -> int:
        """Code of a missing value, or -1."""
        return self.cells.n_codes if self.has_missing else -1

    def snap(self, x: Array) -> Array:
        """Values in the floating-point form of the grid, where they are that close to it."""
        return np.where(self.cells.is_on_grid(x), self.cells.snap(x), x) if self.cells.resolution else x

    def encode(self, x: Array, nearest: bool = False) -> Codes:
        """Code of each value; -1 outside the support (or the nearest code) and for unobserved values."""
        missing = np.isnan(x)
        x = self.snap(x)
        codes = self.cells.encode(np.where(missing, 0.0, x))
        if nearest and (codes < 0).any():
            lost = np.flatnonzero((codes < 0) & ~missing)
            codes[lost] = self._nearest(x[lost])
        codes[missing] = self.missing_code
        return codes

    def _nearest(self, x: Array) -> Codes:
        places = self.representatives()
        order = np.argsort(places, kind="stable")
        at = np.clip(np.searchsorted(places[order], x), 1, max(len(order) - 1, 1))
        left, right = places[order][at - 1], places[order][np.minimum(at, len(order) - 1)]
        pick = np.where(np.abs(x - left) <= np.abs(right - x), at - 1, np.minimum(at, len(order) - 1))
        return np.asarray(order[pick], np.int32)

    def representatives(self) -> Array:
        """A typical value of each code, shape ``(cells.n_codes,)``."""
        cells = self.cells
        out = np.empty(cells.n_codes)
        out[cells.atom_codes] = cells.atoms
        if len(cells.starts):
            middle = self.law.base(np.arange(len(cells.starts))).ppf(np.full(len(cells.starts), 0.5))
            out[cells.bin_codes] = cells.expand(middle)
        return out

    def variable(self, codes: Codes, weights: Array, identity: float) -> Variable:
        """The column as the network sees it."""
        n = self.n_codes
        mass = np.bincount(codes[codes >= 0], weights[codes >= 0], minlength=n)
        p = (mass + 0.5) / (mass.sum() + 0.5 * n)
        position = np.cumsum(p) - 0.5 * p
        is_atom = np.zeros(n, bool)
        is_atom[self.cells.atom_codes] = True
        is_atom[self.cells.n_codes :] = True
        if len(self.cells.atoms) > 16:
            is_atom[:] = False
            is_atom[self.cells.n_codes :] = True
        features = numeric_features(position, ndtri(position), is_atom)
        return Variable(
            self.column.name, n, features, ordered_basis(n, identity), hurdle_code(p), np.log(p).astype(np.float32)
        )

    def allowed(self, limits: Range, base: Array | None) -> Allowed:
        """Codes that each row's limits leave possible, shape ``(n, n_codes)``."""
        cells = self.cells
        out = np.zeros((len(limits.low), self.n_codes), bool)
        inside = (cells.atoms >= limits.low[:, None]) & (cells.atoms <= limits.high[:, None])
        inside &= cells.atoms != limits.excluded[:, None]
        out[:, cells.atom_codes] = inside | np.isin(cells.atoms, self.column.missing_codes)
        if len(cells.starts):
            out[:, cells.bin_codes] = self._open_bins(limits)
        if self.has_missing:
            out[:, self.missing_code] = True
        return out

    def _open_bins(self, limits: Range) -> Allowed:
        """Bins that hold a value within each row's limits."""
        cells = self.cells
        if cells.resolution:
            return np.asarray(self.law.n_points(limits) > 0)
        low, high = limits.low[:, None], limits.high[:, None]
        one = (low == high) & (cells.starts <= low) & (low < cells.ends) & limits.holds(limits.low)[:, None]
        one &= (cells.atom_index(limits.low) < 0)[:, None]
        return np.asarray((np.minimum(cells.ends, high) > np.maximum(cells.starts, low)) | one)

    def decode(
        self, codes: Codes, u: Array, groups: Index | None, limits: Range | None = None, base: Array | None = None
    ) -> Array:
        """Values of drawn codes: the atom, or a draw from the law of the bin."""
        cells = self.cells
        x = np.full(len(codes), np.nan)
        atom_of, bin_of = self._inverse()
        atom, bins = atom_of[codes], bin_of[codes]
        point = atom >= 0
        x[point] = cells.atoms[atom[point]]
        rows = np.flatnonzero(bins >= 0)
        if len(rows):
            group = None if groups is None else groups[rows]
            x[rows] = self.law.sample(bins[rows], group, u[rows], None if limits is None else limits.take(rows))
        return x

    def log_density(
        self, codes: Codes, x: Array, groups: Index | None, limits: Range | None = None, base: Array | None = None
    ) -> Array:
        """Log law of each value given its code (0 for atoms and missing values)."""
        out = np.zeros(len(codes))
        bins = self._inverse()[1][codes]
        rows = np.flatnonzero((bins >= 0) & (codes >= 0))
        if len(rows):
            group = None if groups is None else groups[rows]
            part = None if limits is None else limits.take(rows)
            out[rows] = self.law.log_prob(bins[rows], group, self.snap(x[rows]), part)
        return out

    def below(self, x: Array, groups: Index | None, limits: Range | None, base: Array | None) -> Array:
        """P(X <= x) given each code, shape ``(n, cells.n_codes)``."""
        out = np.zeros((len(x), self.cells.n_codes))
        out[:, self.cells.atom_codes] = self.cells.atoms <= x[:, None]
        self._fill_bins(out, self.law.up_to(x), x, groups, limits, base)
        return out

    def _fill_bins(
        self, out: Array, at: Array, x: Array, groups: Index | None, limits: Range | None, base: Array | None
    ) -> None:
        """P(X <= x) for bins: 1 for those before the place ``at`` of x, and the law of the one that holds it."""
        cells = self.cells
        out[:, cells.bin_codes] = cells.ends <= at[:, None]
        bins = np.searchsorted(cells.starts, at, "right") - 1
        rows = np.flatnonzero((bins >= 0) & (at < cells.ends[bins])) if len(cells.starts) else np.empty(0, np.intp)
        group = None if groups is None else groups[rows]
        total = None if base is None else base[rows]
        part = None if limits is None else limits.take(rows)
        out[rows, cells.bin_codes[bins[rows]]] = self.bin_cdf(bins[rows], x[rows], group, part, total)

    def bin_cdf(self, bins: Index, x: Array, groups: Index | None, limits: Range | None, base: Array | None) -> Array:
        """P(X <= x) given each row's bin."""
        return self.law.cdf(bins, groups, x, limits)

    def reach(self) -> tuple[float, float]:
        """Two numbers between which nearly all of the law lies."""
        cells = self.cells
        ends = [*cells.atoms]
        if len(cells.starts):
            bins = np.array([0, len(cells.starts) - 1])
            ends += [*cells.expand(self.law.base(bins).ppf(np.array([1e-9, 1 - 1e-9])))]
        spread = 1.0 + max(abs(e) for e in ends)
        return min(ends) - 1e-3 * spread, max(ends) + 1e-3 * spread

    def settle(self, x: Array, base: Array | None) -> Array:
        """Round the end of a bisection to the grid point or point mass that it met."""
        cells = self.cells
        if cells.resolution:
            return cells.snap(x)
        if len(cells.atoms):
            near = cells.atoms[np.argmin(np.abs(x[:, None] - cells.atoms), axis=1)]
            return np.where(np.abs(x - near) <= 1e-9 * (1 + np.abs(near)), near, x)
        return x

    def _inverse(self) -> tuple[Index, Index]:
        """Atom and bin of each code, -1 where it is none; one entry more for the unknown code."""
        cells = self.cells
        atom = np.full(self.n_codes + 1, -1, np.intp)
        bins = np.full(self.n_codes + 1, -1, np.intp)
        atom[cells.atom_codes] = np.arange(len(cells.atoms))
        bins[cells.bin_codes] = np.arange(len(cells.starts))
        return atom, bins


def fit_number(
    column: Column,
    x: Array,
    weights: Array,
    groupings: Sequence[tuple[Index, int]] = (),
    min_rows: int = 3,
    options: CellOptions | None = None,
    with_law: bool = True,
) -> NumberCodec:
    """Choose codes and fit the law of a numeric column (rows with missing values are left out).

    Examples
    --------
    >>> x = np.concatenate([np.zeros(60), np.arange(1.0, 301.0)])
    >>> wage = Column("wage", "semicontinuous", "int", atoms=(0.0,), resolution=1.0, lower=0.0)
    >>> codec = fit_number(wage, x, np.ones(360))
    >>> codec.encode(np.array([0.0, 0.5, 1.0, 1e6]))[:2].tolist()
    [0, -1]
    >>> codes = codec.encode(x)
    >>> drawn = codec.decode(codes, np.full(360, 0.5), None)
    >>> bool((codec.encode(drawn) == codes).all())
    True
    """
    blank = _grid_of(column)
    seen = ~np.isnan(x)
    values, w = np.where(blank.is_on_grid(x[seen]), blank.snap(x[seen]), x[seen]), weights[seen]
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= 100:
        atoms = distinct[counts >= min_rows]
    else:
        known = np.isin(distinct, blank.snap(np.array(column.atoms, float)))
        atoms = distinct[known & (counts >= min_rows)]
    atoms = np.unique([*atoms, *column.missing_codes])
    cells = fit_cells(values, w, atoms, blank.resolution, bounds_of(column), options)
    free = cells.atom_index(values) < 0
    groups = [(g[seen][free], n) for g, n in groupings]
    law, chosen = fit_bin_law(
        cells, values[free], w[free], column.heaps if with_law else (), groups, min_rows, tables=with_law
    )
    return NumberCodec(column, law, chosen)


def bounds_of(column: Column) -> tuple[float, float]:
    """Closed support of a column: its bounds, top code and bottom code."""
    low = [end for end in (column.lower, column.bottom_code) if end is not None]
    high = [end for end in (column.upper, column.top_code) if end is not None]
    return max(low, default=-np.inf), min(high, default=np.inf)


def off_grid(column: Column, x: Array) -> Allowed:
    """Which values are no multiple of the column's resolution."""
    return ~_grid_of(column).is_on_grid(x)


def _grid_of(column: Column) -> Cells:
    return Cells(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int32), column.resolution or 0.0)
