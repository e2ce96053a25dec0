"""Weights of households in small areas that meet the totals of all levels: the page to read first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex._progress import progress_bar
from microplex._validation import check_choice, check_seed
from microplex.areas.blocks import Block, Patterns, certify, make_block, solve_block
from microplex.areas.cells import Cells, make_cells
from microplex.areas.geography import Geography, Homes, find_homes
from microplex.areas.measures import REGION, Measures, Tables, collapse, measure
from microplex.areas.result import AreaWeights, Keys, read_ids
from microplex.areas.rounding import share_out, whole_block
from microplex.calibration import METHODS, Distance
from microplex.errors import ParameterError
from microplex.frames import Frame, check_frame, frame_kind
from microplex.targets import ReweightResult, Targets, TargetSet, judge

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BATCH = 800  # targets that are solved together where they share no area


def calibrate_areas(
    households: Frame,
    targets: Targets,
    areas: Frame,
    *,
    area_col: str | None = None,
    weight_col: str | None = "weight",
    persons: Frame | None = None,
    tax_units: Frame | None = None,
    id_col: str = "household_id",
    method: Literal["raking", "linear", "logit"] = "raking",
    bounds: tuple[float, float] = (0.0, np.inf),
    tolerance: float = 0.0,
    integer: bool = False,
    on_infeasible: Literal["raise", "relax"] = "raise",
    seed: int = 0,
    progress: bool | None = False,
) -> AreaWeights:
    """Give every household a weight in every zone that it may live in, such that the totals of all areas hold.

    Each household is cloned into the zones; the weights of the clones are those nearest to the base weights, spread
    over the zones, that meet the targets of zones, tracts, counties and the region together. A household table that
    itself has one of the geographic columns, such as the county, is cloned into the zones of that area only.

    Parameters
    ----------
    households : data frame of n rows
    targets : TargetSet, sequence of Target, mapping, data frame or path
        As `TargetSet.coerce` reads them; `by` has at most one column of `areas` besides others, a target without one
        is of the whole region.
    areas : data frame
        One row a zone: its key, the areas that it lies in, which nest, and optionally ``size``, the share or number of
        households that it has before calibration. Without it the household counts among the targets of the zones are
        the sizes, else all are equal.
    area_col : str, optional
        The key; by default the first column.
    weight_col : str or None
        Base weights of `households`; None gives all the same.
    persons, tax_units : data frame, optional
        Tables whose rows are counted or summed to the households, by `id_col`.
    id_col : str
        Key of `households`; where there is none, rows are numbered from 0.
    method : {"raking", "linear", "logit"}
        Distance, as in `Reweighter`.
    bounds : tuple of float
        Of the ratio of calibrated to base weights of a clone.
    tolerance : float
        Relative error allowed for every target; those with a wider one of their own keep it.
    integer : bool
        Whole weights: a synthetic population, which `AreaWeights.expand` lists.
    on_infeasible : {"raise", "relax"}
        Whether targets that clash are named in an error, or met as closely as possible, in least squares by
        importance, with a `ConvergenceWarning`.
    seed : int
        Of the rounding.
    progress : bool or None
        Whether to show a progress bar; None shows it on a terminal.

    Returns
    -------
    AreaWeights

    Raises
    ------
    InfeasibleTargetsError
        If targets cannot be met; all are named.
    ColumnNotFoundError, DataError, ParameterError
        If tables, targets or arguments are wrong: zones that repeat, areas that do not nest, a target of an unknown
        area or of two, a household that can live nowhere, and all that `build_design` refuses.

    Notes
    -----
    Raking of a survey to the margins of each zone is known as spatial microsimulation by reweighting (Ballas, Clarke,
    Dorling, Eyre, Thomas and Rossiter, 2005, "SimBritain"), the joint fit of household and person totals as iterative
    proportional updating (Ye, Konduri, Pendyala, Sana and Waddell, 2009). Here the totals of all levels form one
    calibration problem, solved by Newton's method (Deville and Särndal, 1992). Households that are alike in all that
    the targets ask keep one ratio, so patterns of households, not households, are cloned; zones that no target tells
    apart are merged; and areas that share no target are solved one by one.

    Examples
    --------
    >>> import pandas as pd
    >>> survey = pd.DataFrame({"household_id": [1, 2, 3], "tenure": ["own", "own", "rent"], "weight": [1.0, 1.0, 2.0]})
    >>> areas = pd.DataFrame({"zone": ["a", "b"], "county": ["X", "X"]})
    >>> targets = {"zone": {"a": 30, "b": 10}, ("county", "tenure"): {("X", "rent"): 12}}
    >>> found = calibrate_areas(survey, targets, areas)
    >>> found.weights_of("a").round(6).tolist(), found.household_weights().round(6).tolist()
    ([10.5, 10.5, 9.0], [14.0, 14.0, 12.0])
    """
    _check(method, bounds, tolerance, on_infeasible, seed, integer)
    check_frame(households)
    geography = Geography(areas, area_col)
    homes = find_homes(households, geography, [name for name in (weight_col, id_col) if name is not None])
    tables = Tables(households, persons, tax_units, id_col, weight_col)
    ids = read_ids(households, id_col)
    listed = TargetSet.coerce(targets)
    measures = measure(tables, listed, geography, "raise" if on_infeasible == "raise" else "keep")
    geography.check_nested([name for name in measures.levels if name != REGION])
    patterns = find_patterns(measures, homes)
    cells = make_cells(geography, homes, measures, merge=not integer)
    task = _Task(geography, measures, patterns, cells, method, bounds, tolerance, integer, seed)
    solved = list(task.solve_all(progress))
    judge([part.result for part in solved], on_infeasible)
    weights = _gathered(solved, patterns, cells)
    return AreaWeights(
        zones=geography.zones,
        levels=measures.levels,
        keys=Keys(
            id_col,
            geography.key,
            weight_col or "weight",
            ids,
            geography.key_column,
            geography.order,
            frame_kind(households),
        ),
        base=measures.base,
        pattern=patterns.of,
        factors=_factors(weights, patterns, cells),
        counts=share_out(weights, patterns, measures.base, ids.rank, seed) if integer else None,
        results=tuple(part.result for part in solved),
        places=tuple(part.block.targets for part in solved),
    )


@dataclass(frozen=True, eq=False)
class _Solved:
    block: Block
    result: ReweightResult


@dataclass(frozen=True, eq=False)
class _Task:
    """What is to be solved, block by block."""

    geography: Geography
    measures: Measures
    patterns: Patterns
    cells: Cells
    method: str
    bounds: tuple[float, float]
    tolerance: float
    integer: bool
    seed: int

    def solve_all(self, progress: bool | None) -> Iterator[_Solved]:
        """Solve small blocks together, for each call of the solver has its price."""
        apart = self.cells.blocks()
        done = 0
        with progress_bar("Calibrating areas", progress) as update:
            for batch in _batches(apart):
                together = self.solve(*(np.concatenate(part) for part in zip(*batch, strict=True)))
                if together.result.feasible or len(batch) == 1:
                    yield together
                else:
                    # One that cannot be met must not disturb the others.
                    yield from (self.solve(*part) for part in batch)
                done += len(batch)
                update(done / len(apart), None)

    def solve(self, targets: Ints, own: Ints) -> _Solved:
        """Solve the block of some targets and cells."""
        block = make_block(self.measures, self.patterns, self.cells, np.sort(targets), np.sort(own))
        problem, dense = solve_block(block, self.method, self.bounds, self.tolerance)
        found = dense
        if self.integer:
            zones = [self.geography.zones[cell] for cell in block.cells]
            found = whole_block(block, problem, dense, zones, self.seed)
        settings = {
            "method": self.method,
            "bounds": self.bounds,
            "tolerance": self.tolerance,
            "integer": self.integer,
        }
        return _Solved(block, certify(block, dense, found, settings))


def _batches(blocks: list[tuple[Ints, Ints]]) -> Iterator[list[tuple[Ints, Ints]]]:
    batch: list[tuple[Ints, Ints]] = []
    size = 0
    for block in blocks:
        if batch and size + len(block[0]) > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(block)
        size += len(block[0])
    if batch:
        yield batch


def find_patterns(measures: Measures, homes: Homes) -> Patterns:
    """Collapse households that are alike.

    Parameters
    ----------
    measures : Measures
    homes : Homes

    Returns
    -------
    Patterns
    """
    first, of = collapse(measures.design, homes.of)
    columns = sp.csr_array(measures.design[:, first])
    return Patterns(
        of=of,
        classes=homes.of[first],
        base=np.bincount(of, measures.base).astype(np.float64),
        count=np.bincount(of, measures.base > 0).astype(np.int64),
        rows=sp.csr_array(measures.mix @ columns),
        below=sp.csr_array(measures.mix_below @ columns),
    )


def _gathered(solved: list[_Solved], patterns: Patterns, cells: Cells) -> sp.csr_array:
    """Return the weight of every pattern in every cell."""
    shape = len(patterns.base), cells.may.shape[1]
    values = np.concatenate([part.result.weights for part in solved])
    at = (
        np.concatenate([part.block.pattern for part in solved]),
        np.concatenate([part.block.cell for part in solved]),
    )
    found = sp.csr_array(sp.coo_array((values, at), shape=shape).tocsr())
    found.eliminate_zeros()
    return found


def _factors(weights: sp.csr_array, patterns: Patterns, cells: Cells) -> sp.csr_array:
    """Return what the base weight of a household of a pattern is multiplied by in every zone."""
    base = patterns.base
    inverse = np.divide(1.0, base, out=np.zeros_like(base), where=base > 0)
    zones = np.arange(len(cells.of))
    spread = sp.coo_array((cells.within, (cells.of, zones)), shape=(cells.may.shape[1], len(zones))).tocsr()
    return sp.csr_array((weights * inverse[:, None]).tocsr() @ spread)


def _check(
    method: str, bounds: tuple[float, float], tolerance: float, on_infeasible: str, seed: int, integer: bool
) -> None:
    check_choice(method, METHODS, "method")
    check_choice(on_infeasible, ("raise", "relax"), "on_infeasible")
    check_seed(seed)
    distance = Distance.of(method, bounds)
    if not (isinstance(tolerance, Real) and np.isfinite(tolerance) and tolerance >= 0):
        raise ParameterError(f"tolerance must be a relative error of at least 0; got {tolerance!r}.")
    if integer and distance.lower < 0:
        raise ParameterError("whole weights are not negative; raise the lower bound to 0.")
