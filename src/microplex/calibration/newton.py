"""Newton's method on the dual of a calibration problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex.calibration.distances import Distance
from microplex.calibration.factor import Factor
from microplex.calibration.presolve import Presolved, only

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

AIM = 1e-13  # relative error at which the solver rests
ENOUGH = 1e-9  # relative error at which it may rest when it gains no more
_ITERATIONS = 80
_PATIENCE = 8  # iterations without progress before it gives up
_ARMIJO = 1e-4
_HALVINGS = 30
_FLOORS = (0.0, 1e-3, 1.0)  # of the second derivative, tried in turn where records at a bound leave no curvature
_RIDGES = (1e-13, 1e-11, 1e-9, 1e-7)


@dataclass(frozen=True, eq=False)
class Slack:
    """How far each total may be missed, as a convex function of its multiplier.

    Parameters
    ----------
    spring : float64[m]
        Quadratic penalty: the residual is ``-spring * multiplier``. Zero holds the total exactly.
    band : float64[m]
        Largest relative error allowed, smoothed: the residual is ``-band * t``, with t from -1 to 1 as the multiplier
        grows past `edge`; a logarithmic barrier in the primal.
    edge : float64[m]
    """

    spring: Floats
    band: Floats
    edge: Floats

    def evaluate(self, x: Floats) -> tuple[float, Floats, Floats]:
        """Return the value, the first and the second derivative at the multipliers."""
        q = np.hypot(self.edge, x)
        value = 0.5 * self.spring @ x**2 + self.band @ (q - self.edge * np.log(self.edge + q))
        first = self.spring * x + self.band * x / (self.edge + q)
        return float(value), first, self.spring + self.band * self.edge / (q * (self.edge + q))


@dataclass(frozen=True, eq=False)
class Solution:
    """Where Newton's method stopped.

    Parameters
    ----------
    multipliers : float64[m]
    u : float64[n_patterns]
    ratio : float64[n_patterns]
    residual : float64[m]
        Gradient of the dual: relative errors, less what the slack allows.
    iterations : int
    solved : bool
    """

    multipliers: Floats
    u: Floats
    ratio: Floats
    residual: Floats
    iterations: int
    solved: bool


def solve(
    ready: Presolved, totals: Floats, active: Bools, distance: Distance, slack: Slack, start: Floats | None = None
) -> Solution:
    """Minimise sum(d G*(u)) - totals' x + slack(x) over the multipliers x, with u = A' x.

    Full Newton steps with a line search; the exponential is continued by its tangent until no record needs it
    (Deville and Särndal, 1992; the dual as in Hainmueller, 2012, "Entropy balancing for causal effects").

    Parameters
    ----------
    ready : Presolved
    totals : float64[m]
        Divided by their scale.
    active : bool[m]
        Targets with a multiplier.
    distance : Distance
    slack : Slack
    start : float64[m], optional

    Returns
    -------
    Solution
    """
    x = np.zeros(len(totals)) if start is None else start.copy()
    spent = 0
    while True:
        found = _minimise(ready, totals, active, distance, slack, x)
        spent += found.iterations
        wider = distance.loosened(found.u)
        if wider is None or not found.solved:
            return Solution(found.multipliers, found.u, found.ratio, found.residual, spent, found.solved)
        distance, x = wider, found.multipliers


@dataclass(frozen=True, eq=False)
class _Point:
    x: Floats
    u: Floats
    value: float
    ratio: Floats
    slope: Floats
    gradient: Floats
    bend: Floats
    error: float


_Evaluate: TypeAlias = Callable[[Floats, Floats], _Point]


def _minimise(ready: Presolved, totals: Floats, active: Bools, distance: Distance, slack: Slack, x: Floats) -> Solution:
    def at(x: Floats, u: Floats) -> _Point:
        conjugate, ratio, slope = distance.evaluate(u)
        extra, first, second = slack.evaluate(x)
        value = float(ready.shares @ conjugate - totals @ x + extra)
        gradient = np.where(active, ready.records.T @ (ready.shares * ratio) - totals + first, 0.0)
        return _Point(x, u, value, ratio, slope, gradient, second, float(np.abs(gradient).max(initial=0.0)))

    point = at(x, ready.records @ x)
    best, stalled = point, 0
    for iteration in range(_ITERATIONS):
        if point.error <= AIM or (best.error <= ENOUGH and stalled):
            return _solution(best, iteration)
        if stalled >= _PATIENCE:
            return _solution(best, iteration)
        moved = _moved(ready, point, active, at)
        if moved is None:
            return _solution(best, iteration)
        point = moved
        stalled = 0 if point.error < 0.9 * best.error else stalled + 1
        best = point if point.error < best.error else best
    return _solution(best, _ITERATIONS)


def _solution(point: _Point, iterations: int) -> Solution:
    solved = point.error <= ENOUGH
    return Solution(point.x, point.u, point.ratio, point.gradient, iterations, solved)


def _moved(ready: Presolved, point: _Point, active: Bools, at: _Evaluate) -> _Point | None:
    for floor in _FLOORS:
        step = _direction(ready, point, active, floor)
        moved = None if step is None else _search(point, step, ready.records @ step, at)
        if moved is not None:
            return moved
    return None


def _direction(ready: Presolved, point: _Point, active: Bools, floor: float) -> Floats | None:
    """Return the Newton step, in the scaling that gives the normal matrix a unit diagonal at the base weights."""
    plan = ready.plan
    values = ready.normal.values(ready.shares * np.maximum(point.slope, floor))
    values[plan.diagonal] += point.bend
    root = np.sqrt(np.where(active, ready.diagonal, 1.0))
    scaled = only(plan, values / (root[plan.rows] * root[plan.columns]), active)
    factor = _factored(ready, scaled)
    if factor is None:
        return None
    right = -point.gradient / root
    step = factor.solve(right)
    step = step + factor.solve(right - plan.times(scaled, step))
    found: Floats = np.where(active, step / root, 0.0)
    return found if np.isfinite(found).all() else None


def _factored(ready: Presolved, scaled: Floats) -> Factor | None:
    """Factor the matrix, with the smallest ridge that makes it positive definite."""
    plan = ready.plan
    for ridge in _RIDGES:
        lifted = scaled.copy()
        lifted[plan.diagonal] += ridge
        try:
            return plan.factor(lifted)
        except np.linalg.LinAlgError:
            continue
    return None


def _search(point: _Point, step: Floats, change: Floats, at: _Evaluate) -> _Point | None:
    """Go along the step as far as the dual falls enough, or the error halves."""
    slope = float(point.gradient @ step)
    noise = 1e-14 * (1 + abs(point.value))
    share = 1.0
    for _ in range(_HALVINGS):
        tried = at(point.x + share * step, point.u + share * change)
        enough = tried.value <= point.value + _ARMIJO * share * slope + noise
        # At the end the dual is flat to rounding, and the error alone tells progress.
        close = tried.error < 0.5 * point.error and tried.value <= point.value + 1e-9 * (1 + abs(point.value))
        if np.isfinite(tried.value) and (enough or close):
            return tried
        share /= 2
    return None
