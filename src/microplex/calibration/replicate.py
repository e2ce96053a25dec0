"""Replicate weights calibrated to the same totals, for sampling variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microplex.calibration.dense import hard_slack, with_bands
from microplex.calibration.distances import Distance
from microplex.calibration.presolve import presolve
from microplex.calibration.problem import Problem
from microplex.calibration.result import MET, CalibrationResult
from microplex.errors import DataError, InfeasibleTargetsError

Floats = NDArray[np.float64]


def calibrate_replicates(
    problem: Problem,
    result: CalibrationResult,
    replicates: Floats,
    method: str = "raking",
    bounds: tuple[float, float] = (0.0, np.inf),
) -> Floats:
    """Calibrate each set of replicate base weights to the totals of the problem.

    Each starts from the multipliers of the full sample, and shares its plan of the normal matrix.

    Parameters
    ----------
    problem : Problem
    result : CalibrationResult
        Of the full sample, with the same method and bounds; feasible.
    replicates : float64[n_replicates, n]
        Base weights, not negative.
    method, bounds
        As in `calibrate`.

    Returns
    -------
    float64[n_replicates, n]

    Raises
    ------
    DataError
        If the shape is wrong, or a weight is negative or not finite.
    InfeasibleTargetsError
        If a replicate cannot meet the totals, such as when it leaves a target no record.

    Examples
    --------
    >>> from microplex.calibration import calibrate
    >>> problem = Problem.of(np.ones((1, 3)), base=np.ones(3), totals=[6.0])
    >>> calibrate_replicates(problem, calibrate(problem), np.array([[0.0, 1.5, 1.5]])).round(9).tolist()
    [[0.0, 3.0, 3.0]]
    """
    base = np.asarray(replicates, dtype=np.float64)
    if base.ndim != 2 or base.shape[1] != len(problem.base):
        raise DataError(f"replicate weights must have shape (n_replicates, {len(problem.base)}); got {base.shape}.")
    if not (np.isfinite(base) & (base >= 0)).all():
        row, column = np.argwhere(~(np.isfinite(base) & (base >= 0)))[0]
        raise DataError(f"replicate weights must be finite and not negative; replicate {row}, row {column} is not.")
    distance = Distance.of(method, bounds)
    ready = presolve(replace(problem, base=problem.base + base.sum(axis=0)), distance)
    mass = problem.base.sum() + base.sum()
    start = result.multipliers * problem.scale / mass
    totals = problem.totals / problem.scale
    weights = np.empty_like(base)
    held = ready.pattern >= 0
    for number, own in enumerate(base):
        shares = np.bincount(ready.pattern[held], own[held], minlength=len(ready.shares)) / mass
        diagonal = ready.normal.values(shares)[ready.plan.diagonal]
        mine = replace(ready, shares=shares, diagonal=diagonal)
        active, hard = ready.active & (diagonal > 0), hard_slack(problem, mine)
        found = with_bands(mine, problem, totals, active, distance, hard, start)
        if not found.solved:
            found = with_bands(mine, problem, totals, active, distance, hard, None)
        weights[number] = own * np.append(found.ratio, 0.0)[ready.pattern]
        late = ~(np.abs(problem.errors(weights[number])) <= problem.tolerance + MET)
        if late.any():
            raise InfeasibleTargetsError(
                f"replicate {number} misses {int(late.sum())} of {len(late)} targets, the first of them number "
                f"{int(np.flatnonzero(late)[0])}: too few of its records bear on them. Widen their tolerance or the "
                "bounds, or use replicates that drop fewer records."
            )
    return weights
