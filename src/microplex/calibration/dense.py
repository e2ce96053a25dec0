"""Calibration with every record: raking, generalised regression and logit, with certificates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microplex.calibration.distances import Distance
from microplex.calibration.newton import Slack, Solution, solve
from microplex.calibration.presolve import Presolved, presolve
from microplex.calibration.problem import Problem
from microplex.calibration.result import MET, CalibrationResult

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FIRST_EDGE, _LAST_EDGE = 1e-1, 1e-9  # barrier of the tolerance bands, relaxed step by step
_EDGE_STEP, _FINEST_STEP = 0.1, 0.8
_SOFT_EDGE = 1e-5
_SPRINGS = (1e-2, 1e-4, 1e-6)  # squared relative error that costs as much as one unit of the distance


def calibrate(
    problem: Problem, method: str = "raking", bounds: tuple[float, float] = (0.0, np.inf), start: Floats | None = None
) -> CalibrationResult:
    """Find the weights nearest to the base weights that meet the totals.

    Where they clash, the weights returned are the least-squares compromise of the targets involved, weighted by
    importance; `feasible` is then False and `proof` says why.

    Parameters
    ----------
    problem : Problem
    method : {"raking", "linear", "logit"}
        Distance of Deville and Särndal (1992).
    bounds : tuple of float
        Of the ratio w / d.
    start : float64[m], optional
        Multipliers to start from, of a similar problem.

    Returns
    -------
    CalibrationResult

    Raises
    ------
    ParameterError
        If the method is unknown or the bounds cannot hold.

    Examples
    --------
    >>> problem = Problem.of([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], base=[1.0, 1.0, 1.0], totals=[3.0, 3.0])
    >>> calibrate(problem, "linear").weights.round(9).tolist()
    [1.333333333, 1.666666667, 1.333333333]
    """
    distance = Distance.of(method, bounds)
    ready = presolve(problem, distance)
    clash = [dependency for dependency in ready.dependencies if dependency.contradicts]
    scaled = problem.totals / problem.scale
    found, active = None, ready.active
    if not clash and not ready.unreachable:
        found = with_bands(ready, problem, scaled, active, distance, hard_slack(problem, ready), _from(problem, start))
    feasible = found is not None and found.solved
    proof = "unreachable" if ready.unreachable else "contradiction" if clash else None
    if found is None or not found.solved:
        active = _softened(ready, problem, bool(proof))
        spring = active & (_involved(ready, problem) if proof else True)
        active = active | ready.active
        found = _through_springs(ready, problem, scaled, active, distance, spring)
        if proof is None and _separates(ready, scaled, problem.tolerance, found.multipliers, distance):
            proof = "separation"
    return _certified(problem, ready, found, feasible, proof, active)


def _from(problem: Problem, start: Floats | None) -> Floats | None:
    return None if start is None else start * problem.scale / problem.base.sum()


def hard_slack(problem: Problem, ready: Presolved) -> Slack:
    """Return the slack of exact totals and tolerance bands, without any spring."""
    edge = 1 / np.sqrt(np.where(ready.diagonal > 0, ready.diagonal, 1.0))
    return Slack(np.zeros(len(edge)), problem.tolerance, edge)


def with_bands(
    ready: Presolved,
    problem: Problem,
    totals: Floats,
    active: Bools,
    distance: Distance,
    hard: Slack,
    start: Floats | None,
) -> Solution:
    """Solve with exact totals and tolerance bands, letting the bands harden."""
    if not (problem.tolerance[active] > 0).any():
        return solve(ready, totals, active, distance, hard, start)
    edge, step = _FIRST_EDGE, _EDGE_STEP
    found = solve(ready, totals, active, distance, replace(hard, edge=hard.edge * edge), start)
    spent = found.iterations
    while found.solved and edge > _LAST_EDGE and step < _FINEST_STEP:
        following = replace(hard, edge=hard.edge * edge * step)
        harder = solve(ready, totals, active, distance, following, found.multipliers)
        spent += harder.iterations
        if harder.solved:
            found, edge = harder, edge * step
        else:
            step **= 0.5
    return replace(found, iterations=spent)


def _through_springs(
    ready: Presolved, problem: Problem, totals: Floats, active: Bools, distance: Distance, soft: Bools
) -> Solution:
    """Let the soft targets give way as little as possible, in least squares of relative errors."""
    hard = hard_slack(problem, ready)
    hard = replace(hard, edge=hard.edge * _SOFT_EDGE)
    spent, x, found = 0, None, None
    for spring in _SPRINGS:
        slack = replace(hard, spring=np.where(soft, spring / problem.importance, 0.0))
        following = solve(ready, totals, active, distance, slack, x)
        spent += following.iterations
        if found is None or following.solved:
            found, x = following, following.multipliers
    assert found is not None
    if not found.solved and not soft.all():
        return _through_springs(ready, problem, totals, active, distance, np.ones_like(soft))
    return replace(found, iterations=spent)


def _involved(ready: Presolved, problem: Problem) -> Bools:
    """Return the targets that clash, and all that dependencies tie to them."""
    soft = np.zeros(len(problem.totals), dtype=bool)
    soft[[found.target for found in ready.unreachable]] = True
    rows = [np.append(found.others, found.target) for found in ready.dependencies]
    for found, row in zip(ready.dependencies, rows, strict=True):
        soft[row] |= found.contradicts
    growing = True
    while growing:
        growing = False
        for row in rows:
            if soft[row].any() and not soft[row].all():
                soft[row] = growing = True
    return soft


def _softened(ready: Presolved, problem: Problem, proven: bool) -> Bools:
    """Return the targets that may be missed: those that clash, or all with support when it is not known which."""
    supported = ready.diagonal > 0
    return supported & _involved(ready, problem) if proven else supported


def _separates(ready: Presolved, totals: Floats, tolerance: Floats, x: Floats, distance: Distance) -> bool:
    """Say whether the multipliers prove that no weights reach the totals (Farkas, 1902).

    They do if their combination of totals, less what the tolerances allow, exceeds that of any weights.
    """
    u = ready.records @ x
    wanted = totals @ x - tolerance @ np.abs(x)
    if np.isfinite(distance.upper) and np.isfinite(distance.lower):
        reached = float(ready.shares @ np.where(u > 0, distance.upper * u, distance.lower * u))
        return bool(wanted > reached + MET * np.abs(totals * x).sum())
    if distance.lower < 0:
        return False
    # Sums of targets with no negative coefficient bound the whole weight, and that bounds the combination.
    negative = np.asarray(ready.records.minimum(0.0).sum(axis=0)).ravel()
    covering = (negative == 0) & (ready.diagonal > 0)
    cover = float((ready.records @ covering.astype(np.float64)).min(initial=np.inf))
    if not 0 < cover < np.inf:
        return False
    weight = float(((totals + tolerance) * covering).sum()) / cover
    reached = max(float(u.max()), 0.0) * weight
    return bool(wanted > reached + MET * np.abs(totals * x).sum())


@dataclass(frozen=True)
class _Marks:
    contradicting: frozenset[int]
    dependent: frozenset[int]
    beyond: dict[int, str]


def _certified(
    problem: Problem, ready: Presolved, found: Solution, feasible: bool, proof: str | None, active: Bools
) -> CalibrationResult:
    ratio = np.append(found.ratio, 0.0)[ready.pattern]
    weights = problem.base * ratio
    errors = problem.errors(weights)
    late = np.maximum(np.abs(errors) - problem.tolerance, 0.0)
    banded = active & (problem.tolerance > 0)
    pull = np.abs(found.multipliers) * problem.tolerance + found.multipliers * errors
    complementarity = float(np.where(banded, pull, 0.0).max(initial=0.0))
    marks = _Marks(
        frozenset(d.target for d in ready.dependencies if d.contradicts),
        frozenset(d.target for d in ready.dependencies),
        {found.target: found.reason for found in ready.unreachable},
    )
    supported = np.diff(problem.design.indptr) > 0
    status = tuple(
        _status(j, float(errors[j]), float(problem.tolerance[j]), bool(supported[j]), marks) for j in range(len(errors))
    )
    return CalibrationResult(
        weights=weights,
        base=problem.base,
        before=problem.errors(problem.base),
        errors=errors,
        status=status,
        multipliers=found.multipliers * problem.base.sum() / problem.scale,
        feasible=feasible and bool((late <= MET).all()),
        proof=proof,
        kkt=max(float(late.max(initial=0.0)), complementarity),
        iterations=found.iterations,
        rank=int(ready.active.sum()) - sum(d.target in np.flatnonzero(ready.active) for d in ready.dependencies),
        dependencies=ready.dependencies,
        unreachable=ready.unreachable,
    )


def _status(j: int, error: float, tolerance: float, supported: bool, marks: _Marks) -> str:
    if j in marks.beyond:
        return "no support" if marks.beyond[j] == "no support" else "out of reach"
    if abs(error) > tolerance + MET:
        return "contradicts" if j in marks.contradicting else "relaxed"
    if not supported and error == 0:
        return "no support"
    if tolerance and abs(error) > MET:
        return "within tolerance"
    return "redundant" if j in marks.dependent else "met"
