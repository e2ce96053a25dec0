"""Newton's method on the dual: it descends, it stops at the optimum, and slack does what it says."""

import numpy as np
import pytest
from scipy.optimize import minimize

from microplex.calibration import Distance, Problem
from microplex.calibration import newton as module
from microplex.calibration.newton import Slack, solve
from microplex.calibration.presolve import presolve

INF = np.inf
CASES = [
    ("raking", (0, INF)),
    ("raking", (0.4, 3.0)),
    ("linear", (-INF, INF)),
    ("linear", (0.4, 3.0)),
    ("logit", (0, INF)),
    ("logit", (0.4, 3.0)),
]
each_case = pytest.mark.parametrize(("method", "bounds"), CASES)


def prepared(seed, method, bounds, m=4, n=40):
    rng = np.random.default_rng(seed)
    design, base = rng.lognormal(0, 0.5, (m, n)), rng.lognormal(size=n)
    problem = Problem.of(design, base, design @ (base * rng.uniform(0.5, 2, n)))
    distance = Distance.of(method, bounds)
    return problem, presolve(problem, distance), distance


def no_slack(m):
    return Slack(np.zeros(m), np.zeros(m), np.ones(m))


def dual(problem, distance, slack, x):
    """Value and gradient from the formula, with the plain design; shares and units of the problem."""
    shares, totals = problem.base / problem.base.sum(), problem.totals / problem.scale
    records = (problem.design.toarray() * problem.base.sum() / problem.scale[:, None]).T
    conjugate, ratio, _ = distance.evaluate(records @ x)
    extra, first, _ = slack.evaluate(x)
    return shares @ conjugate - totals @ x + extra, records.T @ (shares * ratio) - totals + first


@each_case
@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_vanishes_at_the_optimum(method, bounds, seed):
    problem, ready, distance = prepared(seed, method, bounds)
    found = solve(ready, problem.totals / problem.scale, ready.active, distance, no_slack(4))
    assert found.solved
    assert found.iterations < 25
    _, gradient = dual(
        problem, Distance(method, distance.lower, distance.upper, cap=50.0), no_slack(4), found.multipliers
    )
    assert np.abs(gradient).max() <= 1e-11
    assert np.abs(found.residual).max() <= 1e-11


@each_case
def test_equals_a_general_minimiser(method, bounds):
    problem, ready, distance = prepared(7, method, bounds)
    found = solve(ready, problem.totals / problem.scale, ready.active, distance, no_slack(4))
    wide = Distance(method, distance.lower, distance.upper, cap=50.0)
    twin = minimize(
        lambda x: dual(problem, wide, no_slack(4), x), np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-9}
    )
    value = dual(problem, wide, no_slack(4), found.multipliers)[0]
    assert value <= twin.fun + 1e-10 * (1 + abs(twin.fun))
    assert value == pytest.approx(twin.fun, rel=1e-6, abs=1e-8)


@each_case
def test_a_start_at_the_optimum_takes_no_time(method, bounds):
    problem, ready, distance = prepared(3, method, bounds)
    totals = problem.totals / problem.scale
    found = solve(ready, totals, ready.active, distance, no_slack(4))
    again = solve(ready, totals, ready.active, distance, no_slack(4), found.multipliers)
    assert again.solved
    assert again.iterations <= found.iterations - 2 or again.iterations <= 2
    assert again.ratio == pytest.approx(found.ratio, rel=1e-9)


@each_case
def test_inactive_targets_keep_their_multipliers(method, bounds):
    problem, ready, distance = prepared(4, method, bounds)
    active = np.array([True, False, True, False])
    found = solve(ready, problem.totals / problem.scale, active, distance, no_slack(4))
    assert found.multipliers[~active].tolist() == [0.0, 0.0]
    weights = problem.base * found.ratio[ready.pattern]
    errors = problem.errors(weights)
    assert np.abs(errors[active]).max() <= 1e-9
    assert np.abs(errors[~active]).max() > 1e-6


def infeasible(seed, m=4, n=20):
    rng = np.random.default_rng(seed)
    design, base = np.vstack([np.ones(n), rng.integers(0, 3, (m - 1, n))]), rng.lognormal(0, 0.5, n)
    return Problem.of(design, base, (design @ base) * rng.lognormal(0, 1.5, m))


@pytest.mark.parametrize(
    ("method", "bounds"), [("raking", (0.3, 3)), ("linear", (0.3, 3)), ("raking", (0, INF)), ("logit", (0.3, 3))]
)
@pytest.mark.parametrize("seed", range(6))
def test_no_step_raises_the_dual(monkeypatch, method, bounds, seed):
    """A step may raise it by rounding, never by more: accepting others makes the method run in circles."""
    plain, values = module._search, []

    def search(point, step, change, at, *more):
        moved = plain(point, step, change, at, *more)
        if moved is not None:
            values.append((point.value, moved.value))
        return moved

    monkeypatch.setattr(module, "_search", search)
    problem, distance = infeasible(seed), Distance.of(method, bounds)
    ready = presolve(problem, distance)
    spring = np.full(4, 1e-4)
    for slack in (no_slack(4), Slack(spring, np.zeros(4), np.ones(4))):
        solve(ready, problem.totals / problem.scale, ready.diagonal > 0, distance, slack)
    assert values
    assert all(after <= before + 1e-8 * (1 + abs(before)) for before, after in values)


@each_case
@pytest.mark.parametrize("seed", range(4))
def test_springs_are_always_solved(method, bounds, seed):
    """With springs the dual has a minimum, whatever the totals."""
    problem, distance = infeasible(seed), Distance.of(method, bounds)
    ready = presolve(problem, distance)
    slack = Slack(np.full(4, 1e-2), np.zeros(4), np.ones(4))
    found = solve(ready, problem.totals / problem.scale, ready.diagonal > 0, distance, slack)
    assert found.solved
    errors = problem.errors(problem.base * found.ratio[ready.pattern])
    assert errors == pytest.approx(-1e-2 * found.multipliers, abs=1e-8)


def test_slack_by_numeric_derivatives():
    rng = np.random.default_rng(0)
    spring, band, edge = np.array([0.0, 0.5, 0.0, 2.0]), np.array([0.0, 0.0, 0.1, 0.3]), np.array([1.0, 1.0, 0.01, 2.0])
    slack, step = Slack(spring, band, edge), 1e-6
    for x in rng.normal(size=(20, 4)):
        _, first, second = slack.evaluate(x)
        for j in range(4):
            move = step * np.eye(4)[j]
            above, below = slack.evaluate(x + move), slack.evaluate(x - move)
            assert (above[0] - below[0]) / (2 * step) == pytest.approx(first[j], rel=1e-5, abs=1e-7)
            assert (above[1][j] - below[1][j]) / (2 * step) == pytest.approx(second[j], rel=1e-4, abs=1e-6)
        assert (second >= 0).all()


def test_bands_hold_and_harden():
    band = np.array([0.2])
    x = np.array([[-1e9], [-1.0], [-1e-3], [0.0], [1e-3], [1.0], [1e9]])
    for edge in (1.0, 1e-3, 1e-9):
        allowed = np.array([Slack(np.zeros(1), band, np.array([edge])).evaluate(row)[1][0] for row in x])
        assert (np.abs(allowed) <= 0.2 * (1 + 1e-12)).all()
        assert (np.diff(allowed) >= 0).all()
    assert allowed[[0, 1, 2]] == pytest.approx(-0.2, rel=1e-5)
    assert allowed[3] == 0
