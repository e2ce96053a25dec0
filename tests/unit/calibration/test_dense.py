"""Calibration of every record against slow twins, formulas and certificates."""

import numpy as np
import pytest
from scipy.optimize import linprog, lsq_linear, minimize

from microplex.calibration import METHODS, Distance, Problem, calibrate
from microplex.calibration.dense import _separates
from microplex.calibration.presolve import presolve
from microplex.errors import ParameterError

INF = np.inf
FREE = (-INF, INF)


def primal(method, bounds, base):
    """The distance sum(d G(w / d)) and its gradient, in the weights."""
    low, high = bounds

    def distance(w):
        g = w / base
        if method == "linear":
            return base @ (g - 1) ** 2 / 2, g - 1
        if method == "raking":
            return base @ (g * np.log(g) - g + 1), np.log(g)
        a = (high - low) / ((1 - low) * (high - 1))
        below, above = np.log((g - low) / (1 - low)), np.log((high - g) / (high - 1))
        return base @ ((g - low) * below + (high - g) * above) / a, (below - above) / a

    return distance


def twin(problem, method, bounds, start):
    """The weights that a general minimiser finds, from feasible ones."""
    margin = 1e-9 if method != "linear" else 0.0
    low, high = max(bounds[0], 0 if method == "raking" else -INF) + margin, bounds[1] - margin
    limits = [(low * d if np.isfinite(low) else None, high * d if np.isfinite(high) else None) for d in problem.base]
    exact, loose = problem.tolerance == 0, problem.tolerance > 0
    design, scale = problem.design.toarray() / problem.scale[:, None], problem.totals / problem.scale
    rows = [
        {"type": "eq", "fun": lambda w: design[exact] @ w - scale[exact], "jac": lambda w: design[exact]},
        {
            "type": "ineq",
            "fun": lambda w: np.append(problem.tolerance - problem.errors(w), problem.tolerance + problem.errors(w))[
                np.tile(loose, 2)
            ],
            "jac": lambda w: np.vstack([-design, design])[np.tile(loose, 2)],
        },
    ]
    rows = [row for row, present in zip(rows, (exact.any(), loose.any()), strict=True) if present]
    options = {"maxiter": 500, "ftol": 1e-13}
    found = minimize(
        primal(method, bounds, problem.base), start, jac=True, bounds=limits, constraints=rows, options=options
    )
    assert found.success, found.message
    return found.x


CASES = [
    ("raking", (0, INF)),
    ("raking", (0.5, 1.8)),
    ("linear", FREE),
    ("linear", (0, INF)),
    ("linear", (0.5, 1.8)),
    ("logit", (0.4, 2.5)),
    ("logit", (0, 4)),
]
each_case = pytest.mark.parametrize(("method", "bounds"), CASES)


def small(seed, tolerance=0.0):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(6, 13)), int(rng.integers(1, 4))
    design, base = rng.normal(size=(m, n)) + rng.integers(0, 2, (m, n)), rng.lognormal(0, 0.5, n)
    weights = base * rng.uniform(0.6, 1.7, n)
    return Problem.of(design, base, design @ weights, tolerance=tolerance), weights


@each_case
@pytest.mark.parametrize("seed", range(6))
def test_equals_a_general_minimiser(method, bounds, seed):
    problem, start = small(seed)
    found = calibrate(problem, method, bounds)
    assert found.feasible
    assert found.max_error <= 1e-12
    assert found.weights == pytest.approx(twin(problem, method, bounds, start), rel=2e-5, abs=2e-5)


@each_case
@pytest.mark.parametrize("seed", range(3))
def test_bands_hold_and_the_optimum_within_them_is_found(method, bounds, seed):
    problem, start = small(seed + 50, tolerance=0.05)
    found = calibrate(problem, method, bounds)
    assert found.feasible
    assert (np.abs(found.errors) <= 0.05 + 1e-8).all()
    assert found.kkt <= 1e-6
    value = primal(method, bounds, problem.base)
    other = twin(problem, method, bounds, start)
    assert found.weights == pytest.approx(other, rel=2e-4, abs=2e-4)
    assert value(found.weights)[0] <= value(other)[0] * (1 + 1e-5) + 1e-6
    assert set(found.status) <= {"met", "within tolerance"}


def test_a_band_that_holds_already_changes_nothing():
    problem = Problem.of([[1.0, 1.0, 1.0]], [1.0, 2.0, 3.0], [6.1], tolerance=0.05)
    assert calibrate(problem).weights == pytest.approx(problem.base, rel=1e-7)
    assert calibrate(problem).status == ("within tolerance",)
    exactly = calibrate(Problem.of([[1.0, 1.0, 1.0]], [1.0, 2.0, 3.0], [6.0], tolerance=0.05))
    assert exactly.status == ("met",)


@each_case
@pytest.mark.parametrize("seed", range(5))
def test_multipliers_give_the_weights(method, bounds, seed):
    """The conditions of the optimum in the units of the caller: w = d F(A' lambda)."""
    problem, _ = small(seed)
    found = calibrate(problem, method, bounds)
    distance = Distance(method, *bounds, cap=50.0)
    assert found.weights == pytest.approx(
        problem.base * distance.evaluate(problem.design.T @ found.multipliers)[1], rel=1e-9
    )


def test_multipliers_say_how_much_the_distance_grows():
    problem, _ = small(3)
    value = primal("raking", (0, INF), problem.base)
    for j in range(len(problem.totals)):
        step = 1e-5 * problem.scale[j] * np.eye(len(problem.totals))[j]
        ends = [
            value(calibrate(Problem.of(problem.design, problem.base, problem.totals + sign * step)).weights)[0]
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step[j])
        assert slope == pytest.approx(calibrate(problem).multipliers[j], rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_linear_is_generalised_regression(seed):
    rng = np.random.default_rng(seed)
    design, base = rng.normal(size=(4, 30)) * [[1], [1e6], [1e-4], [30]], rng.lognormal(size=30)
    totals = (design @ base) * rng.uniform(-1, 3, 4)
    found = calibrate(Problem.of(design, base, totals), "linear", FREE)
    multipliers = np.linalg.solve(design * base @ design.T, totals - design @ base)
    assert found.weights == pytest.approx(base * (1 + design.T @ multipliers), rel=1e-9, abs=1e-11)
    assert found.iterations <= 3


@pytest.mark.parametrize("method", METHODS)
def test_one_margin_is_post_stratification(method):
    rng = np.random.default_rng(1)
    cell = np.concatenate([np.arange(5), rng.integers(0, 5, 45)])
    base, totals = rng.lognormal(size=50), rng.lognormal(3, 1, 5)
    found = calibrate(Problem.of(np.eye(5)[:, cell], base, totals), method)
    sums = np.bincount(cell, base)
    assert found.weights == pytest.approx(base * (totals / sums)[cell], rel=1e-12)


def test_raking_is_iterative_proportional_fitting():
    rng = np.random.default_rng(2)
    codes = [np.concatenate([np.arange(k), rng.integers(0, k, 80 - k)]) for k in (3, 4, 5)]
    base = rng.lognormal(size=80)
    truth = base * rng.lognormal(0, 0.8, 80)
    margins = [np.bincount(code, truth) for code in codes]
    fitted = base.copy()
    for _ in range(2000):
        for code, margin in zip(codes, margins, strict=True):
            fitted = fitted * (margin / np.bincount(code, fitted))[code]
    design = np.vstack([np.eye(len(margin))[:, code] for code, margin in zip(codes, margins, strict=True)])
    found = calibrate(Problem.of(design, base, np.concatenate(margins)))
    assert found.weights == pytest.approx(fitted, rel=1e-10)
    assert found.status.count("redundant") == 2
    assert found.rank == 10


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6, 1e9])
@pytest.mark.parametrize("method", METHODS)
def test_far_totals(method, size):
    """Base weights of one and totals of a population."""
    found = calibrate(Problem.of([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], [size, 1.0]), method)
    assert found.weights == pytest.approx([size, 1.0], rel=1e-10)
    crossed = calibrate(Problem.of([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], np.ones(3), [size, size]), method)
    assert crossed.feasible
    if method != "linear":
        side = crossed.weights[0]
        assert crossed.weights == pytest.approx([side, side**2, side], rel=1e-7)
        assert side + side**2 == pytest.approx(size, rel=1e-7)


@pytest.mark.parametrize("share", [1e-3, 1e-6, 1e-9])
def test_near_zero_totals(share):
    found = calibrate(Problem.of([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0], [share, 1.0], scale=[share, 1.0]))
    assert found.weights == pytest.approx([share, 1 - share], rel=1e-8)


def test_a_rare_cell_is_met():
    for rare in (1e-3, 1e-8, 1e-10):
        found = calibrate(Problem.of([[1.0, 1.0], [1.0, 0.0]], [1.0, rare], [1.0 + 5 * rare, 1.0]))
        assert found.proof is None
        assert found.max_error <= 1e-8
    tiny = calibrate(Problem.of([[1.0, 1.0], [1.0, 0.0]], [1e8, 1.0], [1e8 + 5, 1e8]))
    assert tiny.weights == pytest.approx([1e8, 5.0], rel=1e-5)


def test_an_exact_total_of_parts_with_tolerance():
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        design = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])[order]
        totals, tolerance = np.array([1.0, 1.0, 2.05])[order], np.array([0.1, 0.1, 0.0])[order]
        found = calibrate(Problem.of(design, [1.0, 1.0], totals, tolerance=tolerance))
        assert found.feasible
        assert found.weights == pytest.approx([1.025, 1.025], rel=1e-6)


@pytest.mark.parametrize(
    ("bounds", "totals"),
    [((0.5, 0.9), [1.4, 0.8]), ((1.2, 4), [3.0, 1.5]), ((1, 4), [3.0, 1.5]), ((0.2, 1), [1.2, 0.5])],
)
@pytest.mark.parametrize("method", ["raking", "linear"])
def test_bounds_that_leave_out_one(method, bounds, totals):
    found = calibrate(Problem.of([[1.0, 1.0], [0.0, 1.0]], [1.0, 1.0], totals), method, bounds)
    assert found.feasible
    assert found.weights == pytest.approx([totals[0] - totals[1], totals[1]], rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_totals_at_the_very_bounds(method):
    """The only weights are all at a bound; the solver may come near or say no, but not claim a miss to be met."""
    problem = Problem.of([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], np.ones(3), [4.0, 4.0])
    found = calibrate(problem, method, (0.5, 2.0))
    assert found.proof is None
    assert found.weights == pytest.approx([2.0, 2.0, 2.0], rel=1e-3)
    assert found.feasible == bool(found.max_error <= 1e-8)


def test_zero_totals_are_met_by_zero_weights():
    found = calibrate(Problem.of([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], np.ones(3), [3.0, 0.0]))
    assert found.weights == pytest.approx([3.0, 0.0, 0.0])
    assert found.status == ("met", "met")
    assert found.feasible


def test_no_targets_leave_the_base_weights():
    found = calibrate(Problem.of(np.zeros((0, 3)), [1.0, 2.0, 3.0], []))
    assert found.weights.tolist() == [1.0, 2.0, 3.0]
    assert found.feasible


@pytest.mark.parametrize("start", range(0, 120, 40))
def test_heavy_tails_are_met(start):
    """Incomes of 1 to 1e9, losses too, and weights far from the base: solved, every one, as they can be."""
    for seed in range(start, start + 40):
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(20, 80)), int(rng.integers(2, 6))
        group = rng.integers(0, m, n)
        income = 10 ** rng.uniform(0, 9, n) * np.where(rng.random(n) < 0.1, -1, 1)
        cells = [(group == k).astype(float) for k in range(m)]
        design = np.array([*cells, *(income * cell for cell in cells[: m // 2 + 1]), income, np.ones(n)])
        base = rng.lognormal(0, 1, n)
        weights = base * rng.lognormal(0, seed % 4, n)
        found = calibrate(Problem.of(design, base, design @ weights), METHODS[seed % 3])
        assert (found.weights >= 0).all()
        assert found.feasible, seed
        assert found.max_error <= 1e-8, seed


LIMITS = {"raking": (0, INF), "linear": (0.3, 3.0), "logit": (0.3, 3.0)}


def clash(seed, **more):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(4, 30)), int(rng.integers(2, 6))
    design, base = rng.integers(0, 3, (m, n)).astype(float), rng.lognormal(0, 0.5, n)
    design[0] = 1.0
    return Problem.of(design, base, (design @ base) * rng.lognormal(0, 1, m), **more)


def reachable(problem, bounds):
    limits = [(bounds[0], bounds[1] if np.isfinite(bounds[1]) else None)] * len(problem.base)
    rows = problem.design.toarray() * problem.base / problem.scale[:, None]
    return linprog(np.zeros(len(limits)), A_eq=rows, b_eq=problem.totals / problem.scale, bounds=limits).status == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("start", range(0, 60, 20))
def test_proofs_agree_with_linear_programming(method, start):
    proven = impossible = 0
    for seed in range(start, start + 20):
        problem = clash(seed)
        found = calibrate(problem, method, LIMITS[method])
        can = reachable(problem, LIMITS[method])
        assert found.feasible == can, seed
        assert (found.proof is None) or not can, seed
        assert found.feasible == bool((np.abs(found.errors) <= 1e-8).all()), seed
        proven += found.proof is not None
        impossible += not can
    assert proven >= 0.9 * impossible


@each_case
@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_no_multipliers_prove_that_what_is_possible_is_not(method, bounds, tolerance):
    for seed in range(15):
        rng, distance = np.random.default_rng(seed), Distance.of(method, bounds)
        plain, _ = small(seed)
        totals = plain.totals + 0.9 * tolerance * plain.scale * rng.choice([-1, 1], len(plain.totals))
        problem = Problem.of(plain.design, plain.base, totals, scale=plain.scale, tolerance=tolerance)
        ready, totals = presolve(problem, distance), problem.totals / problem.scale
        optimum = calibrate(problem, method, bounds).multipliers * problem.scale / problem.base.sum()
        for x in (optimum, *(rng.normal(size=(20, len(totals))) * 10.0 ** rng.integers(-3, 6, (20, 1)))):
            assert not _separates(ready, totals, problem.tolerance, x, distance)


@pytest.mark.parametrize("bounds", [(0, INF), (0, 20.0)])
@pytest.mark.parametrize(("tolerance", "proves"), [(0.0, True), (0.009, True), (0.011, False)])
def test_a_proof_allows_for_the_tolerances(bounds, tolerance, proves):
    """Ten records of at most 5 hold 50: 51 is proven out of reach by -5 of one target and 1 of the other."""
    problem = Problem.of([[1.0, 1.0, 1.0], [1.0, 2.0, 5.0]], np.ones(3), [10.0, 51.0], tolerance=tolerance)
    distance = Distance.of("linear", bounds)
    x = np.array([-5.0, 1.0]) * problem.scale
    ready = presolve(problem, distance)
    assert _separates(ready, problem.totals / problem.scale, problem.tolerance, x, distance) is proves
    assert calibrate(problem, "linear", bounds).feasible is not proves


@pytest.mark.parametrize("importance", [1.0, [1.0, 30.0, 1.0], [0.1, 1.0, 5.0]])
@pytest.mark.parametrize("method", METHODS)
def test_relaxed_is_the_least_squares_limit(method, importance):
    """Mean above the largest value: no single target is out of reach, together they are."""
    design = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 5.0, 3.0], [0.0, 1.0, 1.0, 2.0]])
    problem = Problem.of(design, [1.0, 2.0, 1.0, 1.0], [10.0, 100.0, 8.0], importance=importance)
    found = calibrate(problem, method)
    assert not found.feasible
    assert found.proof == "separation"
    root = np.sqrt(problem.importance) / problem.scale
    limit = lsq_linear(design * root[:, None], problem.totals * root, bounds=(0, INF))
    assert found.errors**2 @ problem.importance <= 2 * limit.cost * 1.01
    assert found.errors == pytest.approx((design @ limit.x - problem.totals) / problem.scale, abs=5e-3)
    assert "relaxed" in found.status


@pytest.mark.parametrize("seed", range(12))
def test_relaxed_in_narrow_bounds_is_the_least_squares_limit(seed):
    problem = clash(seed)
    found = calibrate(problem, "raking", (0.3, 3.0))
    if found.proof != "separation":
        return  # targets out of reach by themselves give way alone
    rows = problem.design.toarray() * problem.base / problem.scale[:, None]
    limit = 2 * lsq_linear(rows, problem.totals / problem.scale, bounds=(0.3, 3.0)).cost
    assert found.errors @ found.errors <= 1.01 * limit + 1e-9


def test_springs_give_the_regularised_least_squares():
    """Elastic linear calibration has a formula: minimise the distance plus squared errors over the last spring."""
    design = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 2.0, 1.0]])
    base, totals, importance = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 10.0]), np.array([1.0, 4.0, 2.0])
    problem = Problem.of(design, base, totals, importance=importance)
    found = calibrate(problem, "linear", FREE)
    assert found.proof == "contradiction"
    rows, spring = design / problem.scale[:, None], 1e-6 / importance
    shares = base / base.sum()
    normal = rows * base.sum() * shares @ (rows * base.sum()).T + np.diag(spring)
    x = np.linalg.solve(normal, totals / problem.scale - rows @ base)
    assert found.weights == pytest.approx(base * (1 + (rows * base.sum()).T @ x), rel=1e-6)


def test_contradictions_are_named_and_the_rest_is_met():
    design = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 5.0]])
    found = calibrate(Problem.of(design, np.ones(4), [30.0, 70.0, 101.0, 200.0]))
    assert found.proof == "contradiction"
    (dependency,) = [d for d in found.dependencies if d.contradicts]
    assert sorted([dependency.target, *dependency.others.tolist()]) == [0, 1, 2]
    assert found.status[dependency.target] == "contradicts"
    assert found.status[3] == "met"
    assert [found.status[j] for j in dependency.others] == ["relaxed", "relaxed"]
    assert np.abs(found.errors[:3]).max() < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_totals_beyond_the_bounds_are_named(method):
    found = calibrate(Problem.of([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], np.ones(3), [5.0, 2.1]), method, (0.5, 2.0))
    assert (found.feasible, found.proof) == (False, "unreachable")
    assert found.status[0] == "out of reach"
    assert found.weights[0] == pytest.approx(2.0, rel=1e-3)
    assert (found.weights >= 0.5 - 1e-12).all()
    assert (found.weights <= 2.0 + 1e-12).all()


def test_a_start_may_be_given():
    problem, _ = small(4)
    first = calibrate(problem)
    again = calibrate(problem, start=first.multipliers)
    assert again.iterations <= 2
    assert again.weights == pytest.approx(first.weights, rel=1e-10)


def test_bad_arguments_are_refused():
    for method, bounds, named in (("chi-square", (0, INF), "method"), ("logit", (1.0, 2.0), "bounds")):
        with pytest.raises(ParameterError, match=named):
            calibrate(small(0)[0], method, bounds)
