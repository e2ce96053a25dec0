"""Whole weights: rounded zone by zone, and dealt out to the households of each pattern."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex._random import row_keys, uniforms
from microplex.areas.blocks import Block, Patterns
from microplex.areas.cells import ranges
from microplex.calibration import CalibrationResult, Problem
from microplex.calibration.walk import integerise
from microplex.frames import Level

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_STREAM = 1
_SETTLED = 1e-9
_RANK = 1e-9  # share of the largest eigenvalue below which rows depend on each other
_ROOM = 0.9  # share of a weight that may be taken
_GOLDEN = 0.6180339887498949


def whole_block(
    block: Block, problem: Problem, found: CalibrationResult, zones: Sequence[Level], seed: int
) -> CalibrationResult:
    """Round the weights of a block, zone by zone, each with its own targets and those of the areas that it lies in.

    What rounding takes from or adds to the totals of larger areas is made good in the zones that follow. A zone
    without targets keeps its number of households.

    Parameters
    ----------
    block : Block
    problem : Problem
    found : CalibrationResult
    zones : sequence
        Keys of the cells of the block; they decide the random streams.
    seed : int

    Returns
    -------
    CalibrationResult
    """
    columns = sp.csc_array(problem.design)
    weights = np.zeros(len(found.weights))
    owed = np.zeros(len(problem.totals))
    bounds = np.searchsorted(block.cell, block.cells), np.searchsorted(block.cell, block.cells, side="right")
    for zone, start, stop in zip(zones, *bounds, strict=True):
        part = sp.csr_array(columns[:, start:stop])
        bound = np.flatnonzero(np.diff(part.indptr))
        part = sp.csr_array(part[bound]) if bound.size else sp.csr_array(np.ones((1, stop - start)))
        own = int(row_keys([f"{seed}/{zone}"])[0])
        dense = found.weights[start:stop]
        if bound.size:
            weights[start:stop] = integerise(part, _moved(part, dense, owed[bound]), own, problem.importance[bound])
            owed[bound] += part @ (dense - weights[start:stop])
        else:
            weights[start:stop] = integerise(part, dense, own)
    return found.reweighted(problem, weights, missed="rounded")


def _moved(design: sp.csr_array, weights: Floats, owed: Floats) -> Floats:
    """Return weights nearest in chi-square that add what is owed to the totals, or as much of it as they can.

    Only areas that contain the zone are owed anything, so the zone's own totals stay.
    """
    if not weights.any() or np.abs(owed).max(initial=0.0) < _SETTLED:
        return weights
    normal = ((design * weights) @ design.T).toarray()
    root = np.sqrt(np.maximum(np.diagonal(normal), np.finfo(float).tiny))
    multipliers = np.linalg.lstsq(normal / np.outer(root, root), owed / root, rcond=_RANK)[0] / root
    change = design.T @ multipliers
    share = min(1.0, _ROOM / max(float(-change.min()), np.finfo(float).tiny))
    moved: Floats = np.maximum(weights * (1 + share * change), 0.0)
    return moved


def share_out(weights: sp.csr_array, patterns: Patterns, base: Floats, rank: Ints, seed: int) -> sp.csr_array:
    """Deal whole weights of patterns out to their households, in proportion to base weight.

    In each zone a systematic sample is drawn along the households of the pattern, so each gets its share there, down
    or up to a whole number. Its starting points follow the multiples of the golden ratio from zone to zone, so that
    the sum over the zones is even too.

    Parameters
    ----------
    weights : csr_array of shape (n_patterns, n_zones)
        Whole numbers.
    patterns : Patterns
    base : float64[n]
    rank : int64[n]
        Order of the households along a pattern.
    seed : int

    Returns
    -------
    csr_array of shape (n, n_zones)
    """
    line = np.lexsort((rank, patterns.of))
    line = line[base[line] > 0]
    ends = np.cumsum(base[line])
    n_patterns = len(patterns.base)
    held = np.bincount(patterns.of[line], minlength=n_patterns)
    last = np.cumsum(held)
    offset = np.concatenate([[0.0], ends])[last - held]
    length = np.concatenate([[0.0], ends])[last] - offset
    number = np.rint(weights.data).astype(np.int64)
    of = np.repeat(np.arange(n_patterns), np.diff(weights.indptr))
    turn = np.arange(len(of)) - weights.indptr[of]
    start = uniforms(seed, np.arange(n_patterns, dtype=np.uint64), _STREAM, 1)[0][of]
    start = (start + turn * _GOLDEN) % 1.0
    copy = np.repeat(np.arange(len(of)), number)
    step = ranges(np.zeros(len(of), dtype=np.int64), number)
    p = of[copy]
    at = offset[p] + (step + start[copy]) / number[copy] * length[p]
    place = np.clip(np.searchsorted(ends, at, side="right"), (last - held)[p], last[p] - 1)
    shape = len(base), weights.shape[1]
    cells = sp.coo_array((np.ones(len(place)), (line[place], weights.indices[copy])), shape=shape)
    return sp.csr_array(cells.tocsr())
