"""From calibrated weights to fewer or whole ones: which method serves which request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microplex.calibration.distances import Distance
from microplex.calibration.presolve import presolve
from microplex.calibration.problem import Problem
from microplex.calibration.result import CalibrationResult
from microplex.calibration.sparse import fewest_changes, fewest_records
from microplex.calibration.walk import choose_records, integerise, minimal_support
from microplex.errors import ParameterError

Floats = NDArray[np.float64]

SPARSITIES = ("l0", "l1", "l2")
_LARGEST = 2.0**53
_CANDIDATES, _AT_LEAST = 10, 2000  # records an l0 search within tolerances looks at: times the rank, and at least


def thin(
    problem: Problem,
    dense: CalibrationResult,
    sparsity: str | None,
    bounds: tuple[float, float] = (0.0, np.inf),
    n_records: int | None = None,
    seed: int = 0,
) -> Floats:
    """Return sparse weights that meet the same totals as the dense ones.

    Parameters
    ----------
    problem : Problem
        Its targets may go on after those of `dense`, such as with cells to protect that the dense weights define.
    dense : CalibrationResult
        Feasible.
    sparsity : {"l0", "l1", "l2"} or None
        "l0" keeps few records: about `n_records` with weights spread over them, or, without it, as few as are found
        (a basic solution where totals are exact, fewer within tolerance bands). "l1" changes few base weights.
        "l2" and None return the dense weights.
    bounds : tuple of float
        Of w / d, for "l1".
    n_records : int, optional
        For "l0".
    seed : int
        Of the random choice.

    Returns
    -------
    float64[n]

    Raises
    ------
    ParameterError
        If `n_records` is less than the targets need or more than there are.
    InfeasibleTargetsError
        If a linear programme has no solution.

    Examples
    --------
    >>> from microplex.calibration import calibrate
    >>> problem = Problem.of(np.ones((1, 4)), base=np.ones(4), totals=[4.0])
    >>> sorted(thin(problem, calibrate(problem), "l0").round(9).tolist())
    [0.0, 0.0, 0.0, 4.0]
    """
    if sparsity in (None, "l2"):
        return dense.weights
    if sparsity == "l1":
        return fewest_changes(problem, bounds, _needed(problem))
    if n_records is not None:
        same = len(problem.totals) == len(dense.status) and not (problem.tolerance > 0).any()
        needed = dense.rank if same else _rank(problem)
        if not needed <= n_records <= dense.n_records:
            raise ParameterError(
                f"n_records must lie between {needed}, as that many targets and protected cells need, and the "
                f"{dense.n_records} records with weight; got {n_records}."
            )
        return choose_records(problem.design, dense.weights, n_records, seed)
    smallest = minimal_support(problem.design, dense.weights, seed)
    if not (problem.tolerance > 0).any():
        return smallest
    candidates = min(dense.n_records, max(_CANDIDATES * _rank(problem), _AT_LEAST))
    pool = choose_records(problem.design, dense.weights, candidates, seed) + smallest
    fewer = fewest_records(problem, pool, _needed(problem))
    return fewer if (fewer > 0).sum() < (smallest > 0).sum() else smallest


def _needed(problem: Problem) -> NDArray[np.bool_]:
    """Return the targets that a linear programme must state: all but those that others imply."""
    active = presolve(problem, Distance.of("raking", (0.0, np.inf))).active
    needed: NDArray[np.bool_] = active | (
        (problem.totals == 0) & (problem.tolerance == 0) & (np.diff(problem.design.indptr) > 0)
    )
    return needed


def _rank(problem: Problem) -> int:
    exact = replace(problem, tolerance=np.zeros_like(problem.tolerance))
    return int(presolve(exact, Distance.of("raking", (0.0, np.inf))).active.sum())


def whole(problem: Problem, weights: Floats, seed: int = 0) -> Floats:
    """Round weights to whole numbers, the totals kept as closely as arithmetic allows.

    Parameters
    ----------
    problem : Problem
    weights : float64[n]
    seed : int

    Returns
    -------
    float64[n]

    Raises
    ------
    ParameterError
        If a weight is so large that floating-point numbers there are no longer all whole numbers (2^53).

    Examples
    --------
    >>> problem = Problem.of(np.ones((1, 4)), base=np.ones(4), totals=[6.0])
    >>> sorted(whole(problem, np.full(4, 1.5)).tolist())
    [1.0, 1.0, 2.0, 2.0]
    """
    if weights.max(initial=0.0) >= _LARGEST:
        raise ParameterError(f"whole weights must be less than 2^53; the largest weight is {weights.max():.4g}.")
    return integerise(problem.design, weights, seed, problem.importance).astype(np.float64)
