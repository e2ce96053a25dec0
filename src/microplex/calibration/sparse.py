"""Linear programmes: as few changed weights as possible, or as few records as the tolerances allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import linprog

from microplex.calibration.problem import Problem
from microplex.errors import InfeasibleTargetsError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_ROUNDS = 8  # of reweighting in `fewest_records`
# Its presolve looks for dependent equations at length; ours has taken them out.
_SOLVER = {"presolve": False, "primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-9}
_INFEASIBLE = 2


def fewest_changes(problem: Problem, bounds: tuple[float, float], active: Bools) -> Floats:
    """Return the weights that meet the totals with the least absolute change.

    The linear programme min sum |w - d|, in which most records keep their base weight: at most as many change as
    there are targets, unless they stop at a bound.

    Parameters
    ----------
    problem : Problem
    bounds : tuple of float
        Of w / d; the lower one may not be negative infinity.
    active : bool[m]
        Targets to meet; leave out those that others imply.

    Returns
    -------
    float64[n]

    Raises
    ------
    InfeasibleTargetsError
        If no weights meet the totals.

    Examples
    --------
    >>> problem = Problem.of([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], base=[1.0, 1.0, 1.0], totals=[3.0, 3.0])
    >>> fewest_changes(problem, (0.0, np.inf), np.array([True, True])).tolist()
    [1.0, 2.0, 1.0]
    """
    lower, upper = bounds
    held = np.flatnonzero(problem.base > 0)
    d = problem.base[held]
    rows = _rows(problem, held, d, active)
    # w = d (1 + up - down); the last unknowns are the residuals, each within its band.
    change = sp.hstack([rows, -rows], format="csr")
    goal = (problem.totals / problem.scale)[active] - rows @ np.ones(len(held))
    mass = d / d.sum()
    limits = [(0.0, upper - 1)] * len(held) + [(0.0, 1 - lower)] * len(held)
    found = _programme(np.concatenate([mass, mass]), change, goal, limits, problem.tolerance[active])
    moved = np.clip(found[: len(held)] - found[len(held) : 2 * len(held)], lower - 1, upper - 1)
    weights = problem.base.copy()
    weights[held] = d * (1 + moved)
    loose = np.zeros(len(weights), dtype=bool)
    loose[held] = (moved > lower - 1) & (moved < upper - 1) & (moved != 0)
    return _mended(problem, weights, loose, active)


def fewest_records(problem: Problem, weights: Floats, active: Bools) -> Floats:
    """Return weights within the tolerance bands on as few records as can be found.

    Iteratively reweighted l1 (Candès, Wakin and Boyd, 2008, "Enhancing sparsity by reweighted l1 minimization"): a
    linear programme whose vertices have at most as many records as targets, fewer where bands leave room.

    Parameters
    ----------
    problem : Problem
    weights : float64[n]
        Feasible; the programme is solved on the records with weight.
    active : bool[m]

    Returns
    -------
    float64[n]

    Raises
    ------
    InfeasibleTargetsError
        If no weights on these records meet the totals.

    Examples
    --------
    >>> problem = Problem.of([[1.0, 1.0], [1.0, 0.0]], base=[1.0, 1.0], totals=[2.0, 1.98], tolerance=0.05)
    >>> fewest_records(problem, np.array([1.98, 0.02]), np.array([True, True])).astype(bool).tolist()
    [True, False]
    """
    held = np.flatnonzero(weights > 0)
    size = weights[held]
    goal = (problem.totals / problem.scale)[active]
    rows = _rows(problem, held, size, active)
    limits = [(0.0, np.inf)] * len(held)
    small = 1e-3
    best, cost = size, 1 / (1 + small) * np.ones(len(held))
    for _ in range(_ROUNDS):
        found = _programme(cost, rows, goal, limits, problem.tolerance[active])[: len(held)]
        fewer = int((found > 0).sum()) < int((best > 0).sum())
        if not fewer and best is not size:
            break
        best = found * size if fewer else best
        cost = 1 / (found + small)
    result = np.zeros(len(weights))
    result[held] = best
    return _mended(problem, result, result > 0, active)


def _rows(problem: Problem, held: NDArray[np.intp], unit: Floats, active: Bools) -> sp.csr_array:
    rows = sp.csr_array(problem.design[np.flatnonzero(active)][:, held])
    return sp.csr_array(rows * unit[None, :] / problem.scale[active][:, None])


def _programme(
    cost: Floats, rows: sp.csr_array, goal: Floats, limits: list[tuple[float, float]], band: Floats
) -> Floats:
    m = rows.shape[0]
    slack = np.flatnonzero(band > 0)
    residual = sp.csr_array((-np.ones(len(slack)), (slack, np.arange(len(slack)))), shape=(m, len(slack)))
    bounds = [*limits, *((-float(band[j]), float(band[j])) for j in slack)]
    found: Any = linprog(  # type: ignore[call-overload]
        np.append(cost, np.zeros(len(slack))),
        A_eq=sp.hstack([rows, residual], format="csc"),
        b_eq=goal,
        bounds=bounds,
        method="highs",
        options=_SOLVER,
    )
    if found.status == _INFEASIBLE or found.x is None:
        raise InfeasibleTargetsError(f"The linear programme has no solution: {found.message}")
    solution: Floats = found.x
    return solution


def _mended(problem: Problem, weights: Floats, loose: Bools, active: Bools) -> Floats:
    """Take the solver's rounding out of exact totals, by least squares on the records that are free to move."""
    exact = np.flatnonzero(active & (problem.tolerance == 0))
    free = np.flatnonzero(loose & (weights > 0))
    if not len(exact) or not len(free):
        return weights
    unit = weights[free]
    rows = (problem.design[exact][:, free] * unit[None, :] / problem.scale[exact][:, None]).toarray()
    mended = weights
    for _ in range(3):
        left = problem.errors(mended)[exact]
        step = np.linalg.lstsq(rows, -left, rcond=1e-12)[0]
        tried = mended.copy()
        tried[free] = mended[free] + unit * step
        if (tried[free] < 0).any() or np.abs(problem.errors(tried)[exact]).max() >= np.abs(left).max():
            return mended
        mended = tried
    return mended
