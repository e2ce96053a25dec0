"""The linear programmes: few changed weights, few records."""

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from microplex.calibration import Problem, calibrate
from microplex.calibration import sparse as module
from microplex.calibration.sparse import fewest_changes, fewest_records
from microplex.errors import InfeasibleTargetsError

INF = np.inf


def made(seed, m=3, n=12, tolerance=0.0, spread=0.8):
    rng = np.random.default_rng(seed)
    design, base = np.vstack([np.ones(n), rng.integers(0, 4, (m - 1, n))]), rng.lognormal(0, 0.5, n)
    weights = base * rng.lognormal(0, spread, n)
    return Problem.of(design, base, design @ weights, tolerance=tolerance)


def every(problem):
    return np.ones(len(problem.totals), bool)


def least_change(problem, bounds):
    """The least sum of |w - d|, by a plainer programme: w >= t above, w <= t below."""
    n = len(problem.base)
    design, eye = problem.design.toarray(), np.eye(n)
    room = problem.tolerance * problem.scale
    limits = [(bounds[0] * d, bounds[1] * d if np.isfinite(bounds[1]) else None) for d in problem.base] + [
        (0, None)
    ] * n
    found = linprog(
        np.append(np.zeros(n), np.ones(n)),
        A_ub=np.block([[eye, -eye], [-eye, -eye], [design, np.zeros_like(design)], [-design, np.zeros_like(design)]]),
        b_ub=np.concatenate([problem.base, -problem.base, problem.totals + room, room - problem.totals]),
        bounds=limits,
    )
    return found.fun if found.status == 0 else None


@pytest.mark.parametrize("bounds", [(0, INF), (0.2, 4.0)])
@pytest.mark.parametrize("tolerance", [0.0, 0.03])
@pytest.mark.parametrize("seed", range(6))
def test_the_change_is_the_least_there_is(seed, tolerance, bounds):
    problem = made(seed, tolerance=tolerance)
    expected = least_change(problem, bounds)
    if expected is None:
        with pytest.raises(InfeasibleTargetsError):
            fewest_changes(problem, bounds, every(problem))
        return
    weights = fewest_changes(problem, bounds, every(problem))
    assert np.abs(weights - problem.base).sum() == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert (np.abs(problem.errors(weights)) <= tolerance + 1e-8).all()
    assert (weights >= bounds[0] * problem.base * (1 - 1e-9)).all()
    assert (weights <= bounds[1] * problem.base * (1 + 1e-9)).all()


@pytest.mark.parametrize("seed", range(6))
def test_most_weights_stay(seed):
    problem = made(seed, n=40)
    weights = fewest_changes(problem, (0, INF), every(problem))
    assert problem.errors(weights) == pytest.approx(np.zeros(3), abs=1e-11)
    inside = (weights != problem.base) & (weights > 0)
    assert inside.sum() <= 3


def test_what_is_met_is_left_alone():
    problem = Problem.of([[1.0, 2.0, 3.0]], [1.0, 1.0, 1.0], [6.0])
    assert fewest_changes(problem, (0, INF), every(problem)).tolist() == [1.0, 1.0, 1.0]


def test_records_without_weight_get_none():
    problem = Problem.of([[1.0, 1.0, 1.0]], [1.0, 0.0, 1.0], [6.0])
    weights = fewest_changes(problem, (0, INF), every(problem))
    assert weights[1] == 0
    assert weights.sum() == pytest.approx(6.0)


def test_redundant_targets_may_be_left_out():
    design = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    problem = Problem.of(design, np.ones(4), [3.0, 5.0, 8.0])
    for active in (np.array([True, True, False]), np.ones(3, bool)):
        weights = fewest_changes(problem, (0, INF), active)
        assert problem.errors(weights) == pytest.approx(np.zeros(3), abs=1e-11)


def smallest_support(problem):
    """By trying all sets of records."""
    design, room = problem.design.toarray(), problem.tolerance * problem.scale
    for size in range(len(problem.base) + 1):
        for chosen in combinations(range(len(problem.base)), size):
            part = design[:, chosen]
            if size == 0:
                if (np.abs(problem.totals) <= room).all():
                    return 0
                continue
            ends = np.concatenate([problem.totals + room, room - problem.totals])
            if linprog(np.zeros(size), A_ub=np.vstack([part, -part]), b_ub=ends).status == 0:
                return size
    return None


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_few_records_are_left(seed, tolerance):
    problem = made(seed, n=9, tolerance=tolerance)
    start = calibrate(problem).weights
    weights = fewest_records(problem, start, every(problem))
    assert (weights >= 0).all()
    assert (np.abs(problem.errors(weights)) <= tolerance + 1e-8).all()
    assert (weights > 0).sum() <= 3
    assert (weights > 0).sum() <= smallest_support(problem) + 1
    assert not weights[start == 0].any()


def test_wider_bands_need_no_more_records():
    counts = [
        (fewest_records(problem, calibrate(problem).weights, every(problem)) > 0).sum()
        for problem in (made(3, m=8, n=60, tolerance=t) for t in (1e-4, 0.05, 0.4))
    ]
    assert counts[0] <= 8
    assert counts[2] < counts[0]
    assert sorted(counts, reverse=True) == counts


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_reweighting_finds_fewer_than_one_programme(monkeypatch, seed):
    problem = made(seed, m=8, n=60, tolerance=0.05)
    dense = calibrate(problem).weights
    several = fewest_records(problem, dense, every(problem))
    monkeypatch.setattr(module, "_ROUNDS", 1)
    once = fewest_records(problem, dense, every(problem))
    assert (several > 0).sum() < (once > 0).sum() <= 8


def test_rounding_is_taken_out_of_exact_totals():
    rng = np.random.default_rng(0)
    design = np.vstack([np.ones(30), rng.lognormal(0, 3, (4, 30)) * [[1], [1e3], [1e6], [1]]])
    weights = rng.lognormal(size=30)
    problem = Problem.of(design, np.ones(30), design @ weights, tolerance=[0, 0, 0, 0, 0.1])
    loose = np.arange(30) < 20
    off = weights * (1 + 1e-7 * rng.normal(size=30))
    mended = module._mended(problem, off, loose, every(problem))
    assert np.abs(problem.errors(off))[:4].max() > 1e-9
    assert np.abs(problem.errors(mended))[:4].max() <= 1e-14
    assert np.array_equal(mended[~loose], off[~loose])
    assert mended == pytest.approx(off, rel=1e-5)


def test_targets_that_cannot_be_met_are_refused():
    problem = Problem.of([[1.0, 1.0], [1.0, 2.0]], [1.0, 1.0], [1.0, 5.0])
    with pytest.raises(InfeasibleTargetsError, match="no solution"):
        fewest_changes(problem, (0, INF), every(problem))
    with pytest.raises(InfeasibleTargetsError, match="no solution"):
        fewest_records(problem, np.ones(2), every(problem))
    with pytest.raises(InfeasibleTargetsError):
        fewest_changes(Problem.of([[1.0, 1.0]], [1.0, 1.0], [5.0]), (0.5, 2.0), np.array([True]))
