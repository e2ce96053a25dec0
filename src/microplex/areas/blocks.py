"""One block of areas that hang together: its sparse system, its weights and its certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex.areas.cells import Cells, ranges
from microplex.areas.measures import Measures
from microplex.calibration import CalibrationResult, Problem
from microplex.targets import ReweightResult, TargetDesign, TargetSet, outcome, solve_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GUARD = 1e-3  # as in `build_design`


@dataclass(frozen=True, eq=False)
class Patterns:
    """Households that are alike in all that targets ask, and in where they may live.

    Parameters
    ----------
    of : int64[n]
        Pattern of each household.
    classes : int64[n_patterns]
        Ascending.
    base : float64[n_patterns]
        Sum of base weights.
    count : int64[n_patterns]
        Households with positive base weight.
    rows, below : csr_array of shape (m, n_patterns)
        Targets as in `TargetDesign`, for one household of each pattern.
    """

    of: Ints
    classes: Ints
    base: Floats
    count: Ints
    rows: sp.csr_array
    below: sp.csr_array


@dataclass(frozen=True, eq=False)
class Block:
    """Patterns in cells, and the targets that bind them.

    Parameters
    ----------
    targets, cells : int64
        Places of the targets and cells of the block among all.
    pattern, cell : int64[n_clones]
        Of each clone; cells ascend.
    system : TargetDesign
    """

    targets: Ints
    cells: Ints
    pattern: Ints
    cell: Ints
    system: TargetDesign


def make_block(measures: Measures, patterns: Patterns, cells: Cells, targets: Ints, own: Ints) -> Block:
    """Build the sparse system of a block.

    Parameters
    ----------
    measures : Measures
    patterns : Patterns
    cells : Cells
    targets, own : int64
        Targets and cells of the block.

    Returns
    -------
    Block
    """
    n_classes = cells.may.shape[0]
    count = np.bincount(patterns.classes, minlength=n_classes)
    first = np.cumsum(count) - count
    which, held = np.nonzero(cells.may[:, own].T)  # cell by cell, its classes
    size = count[held]
    start = np.full((len(own), n_classes), -1)
    start[which, held] = np.cumsum(size) - size
    pattern = ranges(first[held], size)
    cell = np.repeat(which, size)
    base = patterns.base[pattern] * cells.shares[patterns.classes[pattern], own[cell]]
    member = sp.csr_array(cells.members[targets][:, own])

    def spread(rows: sp.csr_array) -> sp.csr_array:
        return _spread(rows, member, start, patterns.classes, first, len(pattern))

    listed = [measures.targets[int(j)] for j in targets]
    rows, below = sp.csr_array(patterns.rows[targets]), sp.csr_array(patterns.below[targets])
    design, denominators = spread(rows), spread(below)
    within = np.asarray((member @ cells.may[:, own].T.astype(np.float64)) > 0)
    ratio = np.array([target.statistic != "total" for target in listed])
    totals = np.array([target.total if target.statistic == "total" else 0.0 for target in listed])
    values = np.array([target.value for target in listed])
    counts = totals * np.array([target.variable is None for target in listed])
    system = TargetDesign(
        design=design,
        totals=totals,
        scale=_scale(design, denominators, totals, counts, np.where(ratio, np.abs(values), 0.0), base),
        tolerance=np.array([target.tolerance for target in listed]),
        importance=np.array([target.importance for target in listed]),
        base=base,
        names=tuple(target.name for target in listed),
        targets=TargetSet(listed),
        entities=tuple(target.entity or "" for target in listed),
        support=np.where(ratio, _support(patterns, below, within), _support(patterns, rows, within)),
        values=values,
        denominators=sp.csr_array(denominators[np.flatnonzero(ratio)]),
        denominator_of=np.where(ratio, np.cumsum(ratio) - 1, -1),
    )
    return Block(targets, own, pattern, own[cell], system)


def solve_block(
    block: Block, method: str, bounds: tuple[float, float], tolerance: float
) -> tuple[Problem, CalibrationResult]:
    """Calibrate the clones of a block."""
    system = block.system
    inhabited = bool(system.base.any())
    if not inhabited:
        system = replace(system, base=np.ones(len(system.base)))
    problem, found = solve_targets(system, method, bounds, tolerance)
    return problem, found if inhabited else found.reweighted(problem, np.zeros(len(system.base)))


def certify(
    block: Block, dense: CalibrationResult, found: CalibrationResult, settings: dict[str, object]
) -> ReweightResult:
    """Bring the result of a block, perhaps rounded from the dense one, into the words of its targets."""
    return outcome(block.system, found, settings, dense)


def _spread(
    rows: sp.csr_array, member: sp.csr_array, start: Ints, classes: Ints, first: Ints, n_clones: int
) -> sp.csr_array:
    """Repeat the row of each target for the clones in the cells that it covers."""
    places = np.repeat(np.arange(member.shape[0]), np.diff(member.indptr))
    held = np.diff(rows.indptr)[places]
    entry = ranges(rows.indptr[places].astype(np.int64), held.astype(np.int64))
    pattern = rows.indices[entry]
    begin = start[np.repeat(member.indices, held), classes[pattern]]
    column = begin + pattern - first[classes[pattern]]
    at = np.repeat(places, held)
    data = rows.data[entry]
    inside = begin >= 0
    if not inside.all():
        at, column, data = at[inside], column[inside], data[inside]
    found = sp.csr_array(sp.coo_array((data, (at, column)), shape=(member.shape[0], n_clones)).tocsr())
    found.eliminate_zeros()
    return found


def _scale(
    design: sp.csr_array, denominators: sp.csr_array, totals: Floats, counts: Floats, ratios: Floats, base: Floats
) -> Floats:
    """Return what a relative error of one is, as `build_design` does."""
    reached = design @ base
    growth = 1.0
    for wanted in (counts, totals):
        alike = wanted * reached > 0
        if alike.any():
            growth = float(np.median(totals[alike] / reached[alike]))
            break
    scale = np.maximum(np.abs(totals), _GUARD * growth * (abs(design) @ base))
    scale = np.maximum(scale, ratios * growth * np.abs(denominators @ base))
    return np.where(scale > 0, scale, 1.0)


def _support(patterns: Patterns, rows: sp.csr_array, within: NDArray[np.bool_]) -> Ints:
    """Return how many households bear on each target; `within` says which classes may live in its area."""
    at = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    bears = (rows.data != 0) & within[at, patterns.classes[rows.indices]]
    return np.bincount(at, patterns.count[rows.indices] * bears, minlength=rows.shape[0]).astype(np.int64)
