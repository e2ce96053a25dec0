"""Targets solved and judged in their own units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microplex.calibration import MET, CalibrationResult, Problem, calibrate
from microplex.targets.design import TargetDesign

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_ROUNDS = 12
_SETTLED = 1e-9  # relative change of the denominators at which tolerances of means and ratios are right
_ROUNDING = 1e-12  # of a sum, relative to the sum of the sizes of its terms
_GUARD = 1e-5  # of the sum of the sizes of its terms, for a total near zero
_LEAST = 1e-6  # share of its usual scale that the scale of a mean or ratio keeps


def solve_targets(
    built: TargetDesign, method: str, bounds: tuple[float, float], tolerance: float = 0.0
) -> tuple[Problem, CalibrationResult]:
    """Calibrate to targets whose tolerances are relative to their own figures.

    The band of a mean or ratio depends on its denominator at the calibrated weights, so that where one has a tolerance
    the problem is solved anew, from the last multipliers, until the denominators are settled.

    Parameters
    ----------
    built : TargetDesign
    method : {"raking", "linear", "logit"}
    bounds : tuple of float
    tolerance : float
        Of all targets that have no wider one.

    Returns
    -------
    problem : Problem
        As it was solved last.
    found : CalibrationResult

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.targets import Target, build_design
    >>> frame = pd.DataFrame({"wages": [1.0, 3.0], "weight": [1.0, 1.0]})
    >>> built = build_design(frame, [Target.mean(2.5, "wages"), Target(4.0)])
    >>> solve_targets(built, "raking", (0.0, np.inf))[1].weights.round(9).tolist()
    [1.0, 3.0]
    """
    allowed = np.maximum(built.tolerance, tolerance)
    ratio = built.denominator_of >= 0
    # The first scale is a guess, so that one more round is always due.
    below: Floats = np.zeros(built.denominators.shape[0])
    problem = _problem(built, allowed, None)
    found = calibrate(problem, method, bounds)
    if not found.feasible:
        # What gives way is weighed by its own size, once the level of the weights is known.
        scale, band = _own_scale(built, allowed, found.weights)
        problem = replace(problem, scale=scale, tolerance=band)
        found = calibrate(problem, method, bounds)
    if not (allowed[ratio] > 0).any():
        return problem, found
    for _ in range(_ROUNDS):
        last, below = below, built.denominators @ found.weights
        if not found.feasible or (np.abs(below - last) <= _SETTLED * np.abs(below)).all():
            break
        problem = _problem(built, allowed, below)
        found = calibrate(problem, method, bounds, found.multipliers)
    return problem, found


def _problem(built: TargetDesign, allowed: Floats, below: Floats | None) -> Problem:
    """Return the problem with tolerances in units of its scale."""
    scale = built.scale.copy()
    ratio = np.flatnonzero(built.denominator_of >= 0)
    if below is not None:
        size = np.abs(built.values[ratio]) * np.abs(below[built.denominator_of[ratio].astype(np.int64)])
        scale[ratio] = np.maximum(size, _LEAST * scale[ratio])
    band = allowed * np.abs(built.totals) / scale
    band[ratio] = np.where(built.values[ratio] != 0, allowed[ratio], 0.0)
    return Problem(built.design, built.base, built.totals, scale, band, built.importance)


def _own_scale(built: TargetDesign, allowed: Floats, weights: Floats) -> tuple[Floats, Floats]:
    total = built.denominator_of < 0
    gross = abs(built.design) @ weights
    own = np.maximum(np.abs(built.totals), _GUARD * gross)
    scale = np.where(total & (own > 0), np.minimum(built.scale, own), built.scale)
    band = np.where(total, allowed * np.abs(built.totals) / scale, np.where(built.values != 0, allowed, 0.0))
    return scale, band


def own_errors(built: TargetDesign, weights: Floats) -> tuple[Floats, Floats]:
    """Return the error of each figure relative to itself, and how much of it may be rounding.

    Parameters
    ----------
    built : TargetDesign
    weights : float64[n]

    Returns
    -------
    errors : float64[m]
        (achieved - figure) / figure; for a figure of zero relative to the sum of the sizes of its terms (totals), or
        absolute. NaN where the denominator is zero.
    rounding : float64[m]
    """
    after = built.achieved(weights)
    gross = abs(built.design) @ np.abs(weights)
    ratio = np.flatnonzero(built.denominator_of >= 0)
    size = np.where(built.values != 0, np.abs(built.values), np.where(gross > 0, gross, 1.0))
    size[ratio] = np.where(built.values[ratio] != 0, np.abs(built.values[ratio]), 1.0)
    below = np.ones(len(size))
    below[ratio] = np.abs(built.denominators @ weights)[built.denominator_of[ratio].astype(np.int64)]
    with np.errstate(divide="ignore", invalid="ignore"):
        return (after - built.values) / size, _ROUNDING * gross / (size * below)


def late(errors: Floats, rounding: Floats, allowed: Floats) -> Bools:
    """Say which figures are missed by more than is allowed; one that is not defined is."""
    missed: Bools = ~(np.abs(errors) <= allowed + MET + rounding)
    return missed
