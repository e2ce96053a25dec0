"""What can be said of a problem before it is solved: targets out of reach, redundant or in contradiction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex.calibration.distances import Distance
from microplex.calibration.factor import NestedPlan
from microplex.calibration.normal import NormalMatrix
from microplex.calibration.problem import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

AGREES = 1e-9  # relative gap up to which a redundant total agrees with the others
_RIDGE = 1e-13  # share of the diagonal; a dependent target is left with a pivot of this order
_PIVOT = 1e-7
_SURE = 1e-12  # a pivot below is that of a dependent row
_SMALLEST = 1e-9  # coefficients below are rounding
_EXACT = 1e-10  # what a combination may leave of a record's coefficients, for its totals to be held against it
_REFINEMENTS = 2
_ROUNDING = 1e-10  # of two random sums, relative to the sizes of their terms


@dataclass(frozen=True, eq=False)
class Dependency:
    """A target whose row is a combination of other rows, so that their totals imply its own.

    Parameters
    ----------
    target : int
    others : int64[k]
    coefficients : float64[k]
        ``design[target] = sum(coefficients * design[others])``.
    total, implied : float
        The total asked for, and what the others add up to.
    gap : float
        ``(total - implied) / scale[target]``.
    contradicts : bool
        Whether the gap is more than the tolerances allow.
    """

    target: int
    others: Ints
    coefficients: Floats
    total: float
    implied: float
    gap: float
    contradicts: bool


@dataclass(frozen=True)
class Unreachable:
    """A target that no weights within the bounds can meet.

    Parameters
    ----------
    target : int
    reason : {"no support", "sign", "bounds"}
        No record with base weight has a coefficient; the total is negative where all coefficients are not (or the
        reverse); or the total lies beyond what the bounds of w / d allow.
    lowest, highest : float
        The range that can be reached.
    """

    target: int
    reason: str
    lowest: float
    highest: float


@dataclass(frozen=True, eq=False)
class Presolved:
    """A problem made ready for the solver.

    Parameters
    ----------
    records : sp.csr_array of shape (n_patterns, m)
        Distinct columns of the design times ``sum(base) / scale``, transposed; only of records that may have weight.
    shares : float64[n_patterns]
        Base weight of each pattern; they sum to one.
    pattern : int64[n]
        Pattern of each record, -1 where the weight is known to be zero.
    active : bool[m]
        Targets that the solver must work on.
    plan, normal, diagonal
        Of the normal matrix, and its diagonal at the base weights.
    dependencies : tuple of Dependency
    unreachable : tuple of Unreachable
    """

    records: sp.csr_array
    shares: Floats
    pattern: Ints
    active: Bools
    normal: NormalMatrix
    plan: NestedPlan
    diagonal: Floats
    dependencies: tuple[Dependency, ...]
    unreachable: tuple[Unreachable, ...]


def presolve(problem: Problem, distance: Distance) -> Presolved:
    """Look for what is settled, impossible, redundant or contradictory.

    Equal columns of the design are collapsed: such records get the same ratio. Dependent rows are found by a
    Cholesky factor of the normal matrix and each combination is verified on the rows themselves.

    Parameters
    ----------
    problem : Problem
    distance : Distance

    Returns
    -------
    Presolved

    Examples
    --------
    >>> problem = Problem.of([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], base=[1.0, 1.0], totals=[1.0, 2.0, 4.0])
    >>> found = presolve(problem, Distance.of("raking", (0.0, np.inf)))
    >>> [(d.target, d.others.tolist(), d.implied, d.contradicts) for d in found.dependencies]
    [(2, [0, 1], 3.0, True)]
    """
    free, settled = _settled(problem, distance)
    unreachable = _unreachable(problem, distance, free, settled)
    everyone = sp.csr_array(problem.design.T.tocsr())
    everyone.data *= (problem.base.sum() / problem.scale)[everyone.indices]
    chosen = np.flatnonzero(free)
    first, index = _patterns(everyone, chosen)
    records = everyone if len(first) == len(free) else sp.csr_array(everyone[first])
    records.sort_indices()
    pattern = np.full(len(free), -1)
    pattern[chosen] = index
    shares = np.bincount(index, problem.base[chosen], minlength=len(first)) / problem.base.sum()
    normal = NormalMatrix(records)
    plan = NestedPlan(normal.rows, normal.columns, len(problem.totals))
    values = normal.values(shares)
    diagonal = values[plan.diagonal]
    active = (diagonal > 0) & ~settled
    active[[found.target for found in unreachable]] = False
    dependencies = _dependencies(problem, plan, values, free, active)
    for found in dependencies:
        # A total that others imply needs no multiplier, unless they may move within their tolerances.
        active[found.target] = bool(problem.tolerance[np.append(found.others, found.target)].any())
    return Presolved(records, shares, pattern, active, normal, plan, diagonal, dependencies, unreachable)


def _settled(problem: Problem, distance: Distance) -> tuple[Bools, Bools]:
    """Return which records may have weight, and which targets are met by giving others none.

    A total of zero over coefficients of one sign leaves its records no weight.
    """
    free = problem.base > 0
    settled = np.zeros(len(problem.totals), dtype=bool)
    wanted = (problem.totals == 0) & (problem.tolerance == 0)
    if distance.lower != 0 or not wanted.any():
        return free, settled
    rows = np.flatnonzero(wanted)
    part = sp.csr_array(problem.design[rows])
    while True:
        low, high = _extremes(part, free)
        one_sided = ((low >= 0) | (high <= 0)) & ((low != 0) | (high != 0))
        if not one_sided.any():
            return free, settled
        settled[rows[one_sided]] = True
        free[np.unique(sp.csr_array(part[np.flatnonzero(one_sided)]).indices)] = False


def _extremes(design: sp.csr_array, free: Bools) -> tuple[Floats, Floats]:
    """Return the smallest and largest sums that one unit of weight on each free record would add, by sign."""
    weights = free.astype(np.float64)
    low: Floats = design.minimum(0.0) @ weights
    return low, design @ weights - low


def _unreachable(problem: Problem, distance: Distance, free: Bools, settled: Bools) -> tuple[Unreachable, ...]:
    base = np.where(free, problem.base, 0.0)
    negative = sp.csr_array(problem.design.minimum(0.0))
    below: Floats = negative @ base
    above: Floats = problem.design @ base - below
    with np.errstate(invalid="ignore"):
        lowest = np.where(above > 0, distance.lower * above, 0.0) + np.where(below < 0, distance.upper * below, 0.0)
        highest = np.where(above > 0, distance.upper * above, 0.0) + np.where(below < 0, distance.lower * below, 0.0)
    slack = (problem.tolerance + AGREES) * problem.scale
    found = []
    for j in np.flatnonzero(((problem.totals < lowest - slack) | (problem.totals > highest + slack)) & ~settled):
        if above[j] == 0 and below[j] == 0:
            reason = "no support"
        elif (above[j] == 0 or below[j] == 0) and problem.totals[j] * (above[j] + below[j]) < 0 <= distance.lower:
            reason = "sign"
        else:
            reason = "bounds"
        found.append(Unreachable(int(j), reason, float(lowest[j]), float(highest[j])))
    return tuple(found)


def _patterns(records: sp.csr_array, chosen: Ints) -> tuple[Ints, Ints]:
    """Return one record of each distinct row among the chosen, and the pattern of each chosen record.

    Rows are compared by two random projections; equal rows give equal sums, bit by bit.
    """
    noise = np.random.Generator(np.random.Philox(7)).normal(size=(records.shape[1], 2))
    keys = (records @ noise)[chosen]
    distinct, first, index = np.unique(keys[:, 0], return_index=True, return_inverse=True)
    if 2 * len(distinct) > len(chosen) or (keys[first[index], 1] != keys[:, 1]).any():
        return chosen, np.arange(len(chosen))
    return chosen[first], index


def _dependencies(
    problem: Problem, plan: NestedPlan, values: Floats, free: Bools, active: Bools
) -> tuple[Dependency, ...]:
    """Find rows that are combinations of others, and what those imply."""
    root = np.sqrt(np.where(active, values[plan.diagonal], 1.0))
    scaled = only(plan, values / (root[plan.rows] * root[plan.columns]), active)
    pivots = plan.factor(scaled, _RIDGE).pivots()
    suspects = np.flatnonzero(active & (pivots < _PIVOT))
    while len(suspects):
        found = _combinations(problem, plan, scaled, root, active, suspects)
        likely = _probed(problem.design, free, suspects, found)
        # A row that others do not make up is independent after all, and may be part of what makes up others.
        promoted = suspects[~likely & (pivots[suspects] > _SURE)]
        if not len(promoted):
            break
        suspects = np.setdiff1d(suspects, promoted)
    if not len(suspects):
        return ()
    implied = [_dependency(problem, int(suspects[k]), found[:, k]) for k in np.flatnonzero(likely)]
    return tuple(item for item in implied if not item.contradicts or _holds(problem.design, free, item))


def _combinations(
    problem: Problem, plan: NestedPlan, scaled: Floats, root: Floats, active: Bools, suspects: Ints
) -> Floats:
    """Return the coefficients (m, n_suspects) of the combination of the other rows that is nearest to each suspect."""
    kept = active.copy()
    kept[suspects] = False
    factor = plan.factor(only(plan, scaled, kept), _RIDGE)
    chosen = np.zeros((plan.m, len(suspects)))
    chosen[suspects, np.arange(len(suspects))] = 1.0
    right = np.where(kept[:, None], plan.times(scaled, chosen), 0.0)
    found = factor.solve(right)
    for _ in range(_REFINEMENTS):  # takes the ridge out again
        found += factor.solve(np.where(kept[:, None], right - plan.times(scaled, found), 0.0))
    found *= root[suspects] / root[:, None]
    # In the units of the design: a row was multiplied by the sum of base weights over its scale.
    found *= problem.scale[suspects] / problem.scale[:, None]
    size = np.abs(found) * (root * problem.scale)[:, None]
    found[size <= _SMALLEST * (root * problem.scale)[suspects]] = 0.0
    near = np.round(found)
    return np.where(np.abs(found - near) < 1e-9 * np.abs(near), near, found)


def _probed(design: sp.csr_array, free: Bools, suspects: Ints, combination: Floats) -> Bools:
    """Say which rows equal their combination of other rows on two random vectors, to rounding."""
    probe = np.random.Generator(np.random.Philox(11)).normal(size=(len(free), 2)) * free[:, None]
    shadow, size = design @ probe, abs(design) @ free.astype(np.float64)
    left = np.abs(shadow[suspects] - combination.T @ shadow).max(axis=1)
    terms = size[suspects] + np.abs(combination).T @ size
    likely: Bools = left <= _ROUNDING * terms
    return likely


def _holds(design: sp.csr_array, free: Bools, item: Dependency) -> bool:
    """Check a combination record by record, before totals are held against each other."""
    others, own = sp.csr_array(design[item.others]), sp.csr_array(design[[item.target]])
    mixed = sp.csr_array(item.coefficients[None, :])
    terms = abs(own) + abs(mixed) @ abs(others)
    beyond = (abs(own - mixed @ others) - _EXACT * terms).maximum(0.0)
    return bool((beyond @ free.astype(np.float64))[0] == 0)


def _dependency(problem: Problem, j: int, column: Floats) -> Dependency:
    others = np.flatnonzero(column)
    coefficients = column[others]
    total, implied = float(problem.totals[j]), float(coefficients @ problem.totals[others])
    gap = (total - implied) / problem.scale[j]
    rows = np.append(others, j)
    allowed = np.append(np.abs(coefficients), 1.0) @ (problem.tolerance[rows] * problem.scale[rows]) / problem.scale[j]
    return Dependency(j, others, coefficients, total, implied, gap, bool(abs(gap) > AGREES + allowed))


def only(plan: NestedPlan, values: Floats, kept: Bools) -> Floats:
    """Return the cells of the matrix with the rows that are not kept replaced by those of the identity."""
    inside = kept[plan.rows] & kept[plan.columns]
    found = np.where(inside, values, 0.0)
    found[plan.diagonal] = np.where(kept, found[plan.diagonal], 1.0)
    return found
