"""Codes of a numeric column: point masses (atoms) and quantile bins, ordered along the axis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int32]

TOLERANCE = 1e-6  # of a grid step
ULPS = 4 * np.finfo(float).eps


def on_grid(index: Array, step: float) -> Array:
    """Multiples of a step in the floating-point form that decimal data have."""
    per_unit = round(1.0 / step) if step < 1 else 0
    if per_unit and abs(per_unit * step - 1.0) < 1e-12:
        return np.asarray(index / per_unit)
    return np.asarray(index * step)


@dataclass(frozen=True)
class Cells:
    """A partition of the axis into atoms and half-open bins ``[edges[i], edges[i + 1])``.

    Bins live on the *compressed* axis: on a grid of step ``resolution`` the points that are atoms are
    taken out, so that no bin holds an atom and the code of a value is unique.

    Parameters
    ----------
    atoms
        Values with a code of their own, ascending, shape ``(n_atoms,)``.
    starts, ends
        Bin limits on the compressed axis, ascending, shape ``(n_bins,)``; the first start may be
        ``-inf`` and the last end ``inf``. Gaps between bins hold no value.
    order
        For each atom (first) and bin (after) its code, shape ``(n_atoms + n_bins,)``.
    resolution
        Step of the grid on which all values lie, or 0.0 for a continuous column.
    """

    atoms: Array
    starts: Array
    ends: Array
    order: Codes
    resolution: float

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        return len(self.order)

    @property
    def atom_codes(self) -> Codes:
        """Code of each atom."""
        return self.order[: len(self.atoms)]

    @property
    def bin_codes(self) -> Codes:
        """Code of each bin."""
        return self.order[len(self.atoms) :]

    def snap(self, x: Array) -> Array:
        """Nearest grid point in the floating-point form that decimal data have."""
        if not self.resolution:
            return x
        return on_grid(np.round(x / self.resolution), self.resolution)

    @cached_property
    def _removed(self) -> Array:
        """Atoms that are grid points; others, such as codes for missing values, leave the grid whole."""
        return self.atoms[self.is_on_grid(self.atoms)]

    def is_on_grid(self, x: Array) -> NDArray[np.bool_]:
        """Whether values are grid points (any value is, without a grid)."""
        if not self.resolution:
            return np.ones(len(x), bool)
        return np.asarray(np.abs(self.snap(x) - x) <= TOLERANCE * self.resolution + ULPS * np.abs(x))

    def compress(self, x: Array) -> Array:
        """Take the atoms out of the axis (grid columns only)."""
        if not self.resolution or not len(self._removed):
            return x
        return x - self.resolution * np.searchsorted(self._removed, x - 0.25 * self.resolution)

    def expand(self, c: Array) -> Array:
        """Inverse of :meth:`compress` on grid points."""
        if not self.resolution or not len(self._removed):
            return c
        shifted = self._removed - self.resolution * np.arange(len(self._removed))
        return c + self.resolution * np.searchsorted(shifted, c + 0.25 * self.resolution)

    def atom_index(self, x: Array) -> NDArray[np.intp]:
        """Index of the atom equal to each value, or -1."""
        if not len(self.atoms):
            return np.full(len(x), -1)
        slack = TOLERANCE * self.resolution
        near = np.minimum(np.searchsorted(self.atoms, x - slack), len(self.atoms) - 1)
        return np.where(np.abs(self.atoms[near] - x) <= slack, near, -1)

    def bin_index(self, x: Array) -> NDArray[np.intp]:
        """Index of the bin that holds each (non-atom) value, or -1 outside every bin."""
        if not len(self.starts):
            return np.full(len(x), -1)
        c = self.compress(x)
        at = np.searchsorted(self.starts, c, "right") - 1
        inside = (at >= 0) & (c < self.ends[np.maximum(at, 0)])
        return np.where(inside, at, -1)

    def encode(self, x: Array) -> Codes:
        """Code of each value; -1 for values outside the support or off the grid."""
        atom = self.atom_index(x)
        rest = self.bin_index(x)
        codes = np.full(len(x), -1, np.int32)
        codes[atom >= 0] = self.atom_codes[atom[atom >= 0]]
        plain = (atom < 0) & (rest >= 0) & self.is_on_grid(x)
        codes[plain] = self.bin_codes[rest[plain]]
        return codes


@dataclass(frozen=True)
class CellOptions:
    """Numbers that govern the bins: how many, how few rows each, how the tail is split."""

    n_bins: int = 64
    min_rows: int = 20
    tail_rows: int = 6
    tail_splits: int = 6


def fit_cells(
    x: Array,
    weights: Array,
    atoms: Array,
    resolution: float,
    bounds: tuple[float, float],
    options: CellOptions | None = None,
) -> Cells:
    """Choose bins for the values that are not atoms.

    Parameters
    ----------
    x, weights
        Values and survey weights, shape ``(n,)``, without missing values.
    atoms
        Ascending point masses, shape ``(n_atoms,)``.
    resolution
        Step of the grid, or 0.0.
    bounds
        Closed support of the column; infinite ends get a Pareto tail.

    Returns
    -------
    Cells
        Weighted quantile bins on each side of zero, the outer ones split geometrically.
    """
    options = options or CellOptions()
    blank = Cells(atoms, np.empty(0), np.empty(0), np.arange(len(atoms), dtype=np.int32), resolution)
    free = blank.atom_index(x) < 0
    c = blank.compress(x[free])
    if not len(c):
        return blank
    limits = (_limit(blank, bounds[0], -1), _limit(blank, bounds[1], 1))
    zero = float(blank.compress(np.zeros(1))[0]) - 0.5 * resolution
    both = limits[0] < zero and (c < zero).any() and (c >= zero).any()
    parts = [(limits[0], zero), (zero, limits[1])] if both else [limits]
    edges = [_edges(c, weights[free], low, high, options, resolution) for low, high in parts]
    cut = np.unique(np.concatenate(edges))
    if np.isinf(cut).all():
        cut = np.array([-np.inf, zero, np.inf])
    starts, ends = cut[:-1], cut[1:]
    filled = np.bincount(np.searchsorted(starts, c, "right") - 1, minlength=len(starts)) > 0
    starts, ends = starts[filled], ends[filled]
    with np.errstate(invalid="ignore"):
        inner = np.where(np.isfinite(starts), starts, ends - 1e-9 * (1 + np.abs(ends)))
    position = np.concatenate([blank.compress(atoms) - 0.5 * resolution, inner])
    rank = np.lexsort((np.arange(len(position)), position))
    order = np.empty(len(position), np.int32)
    order[rank] = np.arange(len(position), dtype=np.int32)
    return Cells(atoms, starts, ends, order, resolution)


def _limit(cells: Cells, bound: float, side: int) -> float:
    """End of the support on the compressed axis, with room for the last grid point."""
    if not np.isfinite(bound):
        return bound
    if not cells.resolution:
        return float(np.nextafter(bound, np.inf)) if side > 0 else bound
    ratio = bound / cells.resolution
    inner = np.floor(ratio + 1e-9) if side > 0 else np.ceil(ratio - 1e-9)
    at = float(cells.compress(on_grid(np.array([inner]), cells.resolution))[0])
    if side > 0 and cells.atom_index(on_grid(np.array([inner]), cells.resolution))[0] >= 0:
        at -= cells.resolution
    return at + side * 0.5 * cells.resolution


def _edges(c: Array, weights: Array, low: float, high: float, options: CellOptions, resolution: float) -> Array:
    """Edges of the bins between two limits on the compressed axis, limits included."""
    take = (c >= low) & (c < high)
    order = np.argsort(c[take], kind="stable")
    values, w = c[take][order], weights[take][order]
    mass = np.cumsum(w) / w.sum()
    share = max(1, round(options.n_bins * w.sum() / weights.sum()))
    bins = int(np.clip(len(values) // options.min_rows, 1, share))
    levels = [*np.arange(1, bins) / bins]
    for split in range(1, options.tail_splits + 1):
        levels += [0.5**split / bins, 1.0 - 0.5**split / bins]
    at = np.searchsorted(mass, levels)
    at = at[(at >= options.tail_rows) & (len(values) - at >= options.tail_rows)]
    return np.unique([low, *_between(values, at, resolution), high])


def _between(values: Array, at: NDArray[np.intp], resolution: float) -> Array:
    """Cuts just below ``values[at]`` that are no data value (on a grid: between grid points)."""
    if resolution:
        return np.asarray((np.round(values[at] / resolution) - 0.5) * resolution)
    first = np.searchsorted(values, values[at])
    at = first[first > 0]
    return np.asarray(0.5 * (values[at - 1] + values[at]))
