"""Fitting the law inside the bins: tails, tables of repeated values, heaps and tilts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array, Cells
from microplex.flow.laws import BinLaw, Index, Table
from microplex.flow.smooth import tilt_from_mean
from microplex.flow.tails import fit_pareto

EMPTY = Table(np.zeros(1, np.intp), np.empty(0), np.empty(0))
DISCOUNTS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 1e9)
STRENGTHS = (1.0, 4.0, 16.0, 64.0)
TAIL_ROWS = 150
MAX_MULTIPLES = 400
FEW = 6  # rows below which a bin tells no more than its order of magnitude
MAX_TABLE = 1.0 - 1e-6


@dataclass(frozen=True)
class Counts:
    """Weighted and plain counts of the distinct values of each table row."""

    rows: Index
    values: Array
    mass: Array
    count: NDArray[np.intp]
    totals: Array
    inverse: Index

    @classmethod
    def of(cls, rows: Index, values: Array, weights: Array, n_rows: int) -> Counts:
        """Count distinct (row, value) pairs; weights are normalised to mean one."""
        distinct, rank = np.unique(values, return_inverse=True)
        key, inverse = np.unique(rows * len(distinct) + rank, return_inverse=True)
        at = key // max(len(distinct), 1)
        mass = np.bincount(inverse, weights, minlength=len(key)).astype(float)
        totals = np.bincount(rows, weights, minlength=n_rows).astype(float)
        return cls(at, distinct[key % max(len(distinct), 1)], mass, np.bincount(inverse), totals, inverse)


def fit_bin_law(
    cells: Cells,
    x: Array,
    weights: Array,
    heaps: Sequence[float] = (),
    groupings: Sequence[tuple[Index, int]] = (),
    min_rows: int = 3,
    tables: bool = True,
) -> tuple[BinLaw, int]:
    """Fit the law of the values that fall into bins.

    Parameters
    ----------
    cells
        The bins.
    x, weights
        Values in bins and their survey weights (mean one), shape ``(n,)``.
    heaps
        Coarse grains to which values may have been rounded, descending.
    groupings
        Candidate groupings ``(group of each row, number of groups)``; the one with the best
        leave-one-out likelihood is kept, or none.
    min_rows
        An exact value enters a table only if at least this many rows share it.
    tables
        Whether point masses are allowed at all (not for shares).

    Returns
    -------
    tuple
        The law and the index of the chosen grouping (-1 for none).
    """
    n_bins = len(cells.starts)
    bins = cells.bin_index(x)
    tilt = np.zeros(n_bins)
    scale, shape = _fit_tails(cells, bins, x, weights)
    law = BinLaw(cells, tilt, scale, shape, EMPTY, EMPTY, 0)
    if not n_bins:
        return law, -1
    few = np.bincount(bins, minlength=n_bins) < FEW
    if not tables:
        return _with_tilt(law, bins, x, weights, few), -1
    counts = Counts.of(bins, x, weights, n_bins)
    base = np.exp(law.base_log_density(counts.rows, cells.compress(counts.values))) if cells.resolution else None
    taken = _discounted(counts, base, min_rows)
    left = counts.mass - taken
    heap_rows, heap_values, heap_mass, smooth = _fit_heaps(law, counts, left, heaps)
    law = _with_tilt(law, counts.rows, counts.values, left * smooth, few)
    totals = np.maximum(counts.totals, 1e-12)
    keep = taken > 0
    rows = np.concatenate([counts.rows[keep], heap_rows])
    values = np.concatenate([counts.values[keep], heap_values])
    mass = np.concatenate([taken[keep], heap_mass]) / totals[rows]
    merged = Counts.of(rows, values, mass, n_bins)
    full = np.maximum(np.bincount(merged.rows, merged.mass, minlength=n_bins) / MAX_TABLE, 1.0)
    pooled = Table.build(merged.rows, merged.values, merged.mass / full[merged.rows], n_bins)
    law = BinLaw(cells, law.tilt, scale, shape, pooled, EMPTY, 0)
    return _with_groups(law, counts, taken, bins, x, weights, groupings, min_rows)


def _fit_tails(cells: Cells, bins: Index, x: Array, weights: Array) -> tuple[Array, Array]:
    """Pareto scale and shape of the open bins; the shape from the ``TAIL_ROWS`` most extreme rows."""
    n_bins = len(cells.starts)
    scale, shape = np.full(n_bins, np.nan), np.full(n_bins, np.nan)
    for at, side in ((0, -1.0), (n_bins - 1, 1.0)):
        edge = (cells.starts if side > 0 else cells.ends)[at] if n_bins else 0.0
        open_end = n_bins and np.isinf((cells.ends if side > 0 else cells.starts)[at])
        if not open_end:
            continue
        c = side * cells.compress(x)
        edge = side * edge if np.isfinite(edge) else float(c.min())
        wide = np.argsort(-c, kind="stable")[: TAIL_ROWS + 1]
        threshold = min(c[wide[-1]], edge) if len(wide) > TAIL_ROWS else edge
        beyond = wide[c[wide] > threshold]
        if len(beyond) > 10:
            sigma, xi = fit_pareto(c[beyond] - threshold, weights[beyond])
            sigma = max(sigma + xi * (edge - threshold), 0.1 * sigma)
        else:
            inside = bins == at
            mean = np.average(np.maximum(c[inside] - edge, 0.0), weights=weights[inside]) if inside.any() else 1.0
            sigma, xi = float(mean), 0.0
            if sigma > 0 and inside.sum() < FEW:
                sigma = float(2.0 ** np.round(np.log2(sigma)))
        shape[at] = xi
        scale[at] = max(sigma, 0.25 * cells.resolution, 1e-12 * (1.0 + abs(edge)))
    return scale, shape


def _with_tilt(law: BinLaw, bins: Index, x: Array, weights: Array, few: NDArray[np.bool_]) -> BinLaw:
    """Tilt each finite bin of enough rows to the (slightly shrunk) mean of its smooth part."""
    cells = law.cells
    n_bins = len(cells.starts)
    with np.errstate(invalid="ignore"):
        t = (cells.compress(x) - cells.starts[bins]) / (cells.ends[bins] - cells.starts[bins])
    t = np.where(np.isfinite(t), t, 0.5)
    prior = 2.0
    mass = np.bincount(bins, weights, minlength=n_bins) + prior
    mean = (np.bincount(bins, weights * t, minlength=n_bins) + 0.5 * prior) / mass
    finite = np.isfinite(cells.starts) & np.isfinite(cells.ends) & ~few
    tilt = np.where(finite, tilt_from_mean(mean), 0.0)
    return BinLaw(cells, tilt, law.scale, law.shape, law.pooled, law.grouped, law.n_groups)


def _discounted(counts: Counts, base: Array | None, min_rows: int) -> Array:
    """Mass of each distinct value that goes to the table, by the best absolute discount.

    The discount is chosen by leave-one-out likelihood, so that chance repetitions on a fine grid stay
    with the smooth base and true heaps enter the table.
    """
    totals = counts.totals[counts.rows]
    if base is None:
        return np.where(counts.count >= min_rows, np.maximum(counts.mass - 0.5, 0.0), 0.0)
    best, chosen = -np.inf, np.zeros(len(base))
    weight = counts.mass / counts.count
    for discount in DISCOUNTS:
        taken = np.where(counts.count >= min_rows, np.maximum(counts.mass - discount, 0.0), 0.0)
        bin_taken = np.bincount(counts.rows, taken, minlength=len(counts.totals))
        without = np.where(counts.count - 1 >= min_rows, np.maximum(counts.mass - weight - discount, 0.0), 0.0)
        lost = taken - without
        rest = np.maximum(totals - weight - (bin_taken[counts.rows] - lost), 1e-9)
        p = (without + rest * base) / np.maximum(totals - weight, 1e-9)
        score = float(counts.mass @ np.log(np.maximum(p, 1e-300)))
        if score > best:
            best, chosen = score, taken
    return chosen


def _fit_heaps(law: BinLaw, counts: Counts, left: Array, heaps: Sequence[float]) -> tuple[Index, Array, Array, Array]:
    """Rounding intentions: the mass of the multiples of each grain in each bin.

    Expectation-maximisation over the mixture of the base and the grains, bin by bin, shrunk to the
    column's own mixture, so that chance divisibility stays with the base.
    """
    cells, n_bins = law.cells, len(law.cells.starts)
    none = (np.empty(0, np.intp), np.empty(0), np.empty(0), np.ones(len(left)))
    grains = [g for g in heaps if g > cells.resolution * 1.5]
    if not grains or not left.sum() > 0:
        return none
    entries = [_multiples(law, g) for g in grains]
    step = cells.resolution or min(grains)
    width = np.where(np.isfinite(cells.ends - cells.starts), cells.ends - cells.starts, np.inf)
    likelihood = [np.where(cells.resolution > 0, 1.0 / np.maximum(width[counts.rows] / step, 1.0), 1e-9)]
    for g, (rows, _, _) in zip(grains, entries, strict=True):
        number = np.bincount(rows, minlength=n_bins)[counts.rows]
        divisible = np.abs(np.round(counts.values / g) * g - counts.values) <= 1e-9 * np.abs(counts.values) * 1e-3
        likelihood.append(np.where(divisible & (number > 0), 1.0 / np.maximum(number, 1), 0.0))
    like = np.stack(likelihood)
    column = np.full((len(like), 1), 1.0 / len(like))
    mixture = np.repeat(column, n_bins, axis=1)
    for _ in range(40):
        response = mixture[:, counts.rows] * like
        response /= np.maximum(response.sum(0), 1e-300)
        by_bin = np.stack([np.bincount(counts.rows, r * left, minlength=n_bins) for r in response])
        column = by_bin.sum(1, keepdims=True) / max(by_bin.sum(), 1e-300)
        mixture = (by_bin + 10.0 * column) / (by_bin.sum(0) + 10.0)
        for k, (rows, _, _) in enumerate(entries):
            mixture[k + 1, np.bincount(rows, minlength=n_bins) == 0] = 0.0
        # A bin of heaps alone that holds no multiple of them has the smooth law.
        mixture[0, mixture.sum(0) == 0] = 1.0
        mixture /= mixture.sum(0)
    bin_left = np.bincount(counts.rows, left, minlength=n_bins)
    rows = np.concatenate([e[0] for e in entries])
    values = np.concatenate([e[1] for e in entries])
    mass = np.concatenate([m[e[0]] * bin_left[e[0]] * e[2] for m, e in zip(mixture[1:], entries, strict=True)])
    keep = mass > 1e-6 * np.maximum(counts.totals[rows], 1e-12)
    return rows[keep], values[keep], mass[keep], response[0]


def _multiples(law: BinLaw, grain: float) -> tuple[Index, Array, Array]:
    """Multiples of a grain inside each finite bin (atoms left out) and their share of the bin's heaps."""
    cells = law.cells
    pieces = []
    low, high = cells.expand(cells.starts), cells.expand(cells.ends)
    for b in np.flatnonzero(np.isfinite(cells.ends - cells.starts)):
        first, last = np.ceil(low[b] / grain) - 1, np.floor(high[b] / grain) + 1
        if last - first > MAX_MULTIPLES:
            continue
        values = cells.snap(np.arange(first, last + 1) * grain)
        values = values[(cells.bin_index(values) == b) & (cells.atom_index(values) < 0)]
        if len(values):
            pieces.append((np.full(len(values), b), values, np.full(len(values), 1.0 / len(values))))
    if not pieces:
        return np.empty(0, np.intp), np.empty(0), np.empty(0)
    rows, values, shares = (np.concatenate(p) for p in zip(*pieces, strict=True))
    return rows, values, shares


def _with_groups(
    law: BinLaw,
    counts: Counts,
    taken: Array,
    bins: Index,
    x: Array,
    weights: Array,
    groupings: Sequence[tuple[Index, int]],
    min_rows: int,
) -> tuple[BinLaw, int]:
    """Choose the grouping whose tables of repeated values raise the leave-one-out likelihood most."""
    n_bins = len(law.cells.starts)
    log_pooled = law.log_prob(bins, None, x)
    pooled = np.exp(log_pooled)
    if law.cells.resolution:
        weight = counts.mass / counts.count
        drop = np.where(taken > 0, np.minimum(weight, taken), 0.0)
        drop = np.where((taken > 0) & (counts.count == min_rows), taken, drop)
        totals = counts.totals[bins]
        lost = drop[counts.inverse] / totals
        pooled = np.maximum((pooled - lost) * totals / np.maximum(totals - weights, 1e-9), 1e-12)
    best, chosen = 0.005 * weights.sum(), (law, -1)
    for index, (group, n_groups) in enumerate(groupings):
        cell = Counts.of(bins * n_groups + group, x, weights, n_bins * n_groups)
        if not (cell.count >= min_rows).any():
            continue
        total = cell.totals[cell.rows]
        weight = cell.mass / cell.count
        pooled_at = np.zeros(len(cell.rows))
        pooled_at[cell.inverse] = pooled
        for strength in STRENGTHS:
            for discount in DISCOUNTS[:-2]:
                without = np.where(cell.count - 1 >= min_rows, np.maximum(cell.mass - weight - discount, 0.0), 0.0)
                table = np.where(cell.count >= min_rows, np.maximum(cell.mass - discount, 0.0), 0.0)
                row_table = np.bincount(cell.rows, table, minlength=len(cell.totals))[cell.rows]
                size = np.maximum(total - weight + strength, 1e-9)
                rest = 1.0 - (row_table - table + without) / size
                p = without / size + rest * pooled_at
                gain = float(cell.mass @ (np.log(np.maximum(p, 1e-300)) - np.log(pooled_at)))
                if gain > best:
                    best = gain
                    keep = table > 0
                    masses = table[keep] / (total[keep] + strength)
                    grouped = Table.build(cell.rows[keep], cell.values[keep], masses, n_bins * n_groups + 1)
                    chosen = (
                        BinLaw(law.cells, law.tilt, law.scale, law.shape, law.pooled, grouped, n_groups),
                        index,
                    )
    return chosen
