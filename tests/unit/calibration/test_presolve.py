"""What is found before anything is solved: dependencies, contradictions, targets out of reach, equal records."""

import numpy as np
import pytest

from microplex.calibration import Distance, Problem, calibrate
from microplex.calibration import presolve as module
from microplex.calibration.presolve import presolve

INF = np.inf
RAKING = Distance.of("raking", (0, INF))
LINEAR = Distance.of("linear", (-INF, INF))


def found_in(design, base, totals, distance=RAKING, **more):
    return presolve(Problem.of(design, base, totals, **more), distance)


def holds(design, dependency):
    left = np.asarray(design)[dependency.target] - dependency.coefficients @ np.asarray(design)[dependency.others]
    return np.abs(left).max() <= 1e-9 * np.abs(design).max()


def margins(rng, n, *levels):
    return np.vstack([np.eye(k)[np.concatenate([np.arange(k), rng.integers(0, k, n - k)])].T for k in levels])


def test_two_margins_have_one_dependency():
    rng = np.random.default_rng(0)
    design, base = margins(rng, 60, 4, 3), rng.lognormal(size=60)
    (dependency,) = found_in(design, base, design @ base).dependencies
    assert holds(design, dependency)
    assert sorted([dependency.target, *dependency.others.tolist()]) == list(range(7))
    # Sum of one margin = sum of the other: +1 within the other, -1 within its own.
    own = dependency.target < 4
    signs = {int(j): c for j, c in zip(dependency.others, dependency.coefficients, strict=True)}
    assert all(c == (-1.0 if (j < 4) == own else 1.0) for j, c in signs.items())
    assert not dependency.contradicts


def test_three_margins_with_their_total_have_three():
    rng = np.random.default_rng(1)
    design, base = np.vstack([margins(rng, 90, 4, 3, 5), np.ones(90)]), rng.lognormal(size=90)
    found = found_in(design, base, design @ base)
    assert len(found.dependencies) == 3
    assert all(holds(design, dependency) and not dependency.contradicts for dependency in found.dependencies)
    assert found.active.sum() == np.linalg.matrix_rank(design) == 10


@pytest.mark.parametrize("factor", [1.0, -1.0, 2.5, 1e-6, 3e7])
def test_duplicates_and_multiples(factor):
    rng = np.random.default_rng(2)
    design, base = rng.normal(size=(4, 30)) + 1, rng.lognormal(size=30)
    design = np.vstack([design, factor * design[2]])
    (dependency,) = found_in(design, base, design @ base, LINEAR).dependencies
    assert {dependency.target, *dependency.others.tolist()} == {2, 4}
    assert dependency.coefficients == pytest.approx([factor if dependency.target == 4 else 1 / factor], rel=1e-7)
    assert holds(design, dependency)


def test_sums_with_coefficients():
    rng = np.random.default_rng(3)
    design, base = rng.normal(size=(5, 40)), rng.lognormal(size=40)
    design = np.vstack([design, 2 * design[0] - 0.5 * design[3] + 1e3 * design[4]])
    (dependency,) = found_in(design, base, design @ base, LINEAR).dependencies
    assert {dependency.target, *dependency.others.tolist()} == {0, 3, 4, 5}
    assert holds(design, dependency)
    assert dependency.implied == pytest.approx(dependency.total, rel=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_found_in_full_rank(seed):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 12))
    design = rng.lognormal(0, 3, (m, m + int(rng.integers(5, 40)))) * 10.0 ** rng.integers(-3, 9, (m, 1))
    base = rng.lognormal(0, 2, design.shape[1])
    found = found_in(design, base, design @ base)
    assert found.dependencies == ()
    assert found.active.all()
    assert found.unreachable == ()


@pytest.mark.parametrize(
    ("gap", "contradicts"), [(0.0, False), (1e-12, False), (1e-7, True), (-1e-7, True), (0.3, True)]
)
def test_contradictions_of_exact_totals(gap, contradicts):
    design = [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    (dependency,) = found_in(design, [1.0, 2.0, 3.0, 4.0], [30.0, 70.0, 100.0 * (1 + gap)]).dependencies
    assert dependency.contradicts is contradicts
    assert dependency.gap == pytest.approx(
        (dependency.total - dependency.implied) / [30.0, 70.0, 100.0 * (1 + gap)][dependency.target], abs=1e-15
    )
    # A part is measured against itself, the sum against what is asked of it.
    size = {2: 1 / (1 + gap), 0: 100 / 30, 1: 100 / 70}[dependency.target]
    assert abs(dependency.gap) == pytest.approx(abs(gap) * size, abs=1e-13, rel=1e-6)


@pytest.mark.parametrize(("tolerance", "contradicts"), [(0.0, True), (0.0099, True), (0.0101, False), (0.05, False)])
def test_contradictions_allow_for_the_tolerances(tolerance, contradicts):
    # 102 is asked of what adds to 100: with t on all rows, (1 + t) 100 meets (1 - t) 102 at t = 2 / 202.
    design = [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    problem = Problem.of(design, [1.0, 2.0, 3.0, 4.0], [30.0, 70.0, 102.0], tolerance=tolerance)
    (dependency,) = presolve(problem, RAKING).dependencies
    assert dependency.contradicts is contradicts
    assert calibrate(problem).feasible is not contradicts


@pytest.mark.parametrize(("tolerance", "contradicts"), [(0.009, True), (0.0105, False)])
def test_tolerances_add_up_whatever_the_signs(tolerance, contradicts):
    # Two margins of two cells, 100 by one and 102 by the other: each cell gives way by 1 % of its own.
    design = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
    problem = Problem.of(design, [1.0, 2.0, 3.0, 4.0], [40.0, 60.0, 50.0, 52.0], tolerance=tolerance)
    (dependency,) = presolve(problem, RAKING).dependencies
    assert (dependency.coefficients < 0).any()
    assert dependency.contradicts is contradicts
    assert calibrate(problem).feasible is not contradicts


def test_a_rare_cell_is_no_dependency():
    for rare in (1e-2, 1e-4, 1e-6, 1e-8):
        found = found_in([[1.0, 1.0], [1.0, 0.0]], [1.0, rare], [1.0 + 5 * rare, 1.0])
        assert found.dependencies == ()
        assert found.active.all()


@pytest.mark.parametrize("start", range(0, 300, 60))
def test_no_contradiction_is_found_in_feasible_problems(start):
    """Incomes from 1 to 1e9, some of them negative, by group and in all; the totals are those of known weights."""
    for seed in range(start, start + 60):
        rng = np.random.default_rng(seed)
        n, m = int(rng.integers(5, 60)), int(rng.integers(2, 6))
        group = rng.integers(0, m, n)
        income = 10 ** rng.uniform(0, 9, n) * np.sign(rng.normal(size=n) + 1)
        cells = [(group == k).astype(float) for k in range(m)]
        design = np.array([*cells, *(income * cell for cell in cells[: m // 2 + 1]), income, np.ones(n)])
        base = rng.lognormal(0, 1, n)
        weights = base * rng.lognormal(0, seed % 4, n)
        found = found_in(design, base, design @ weights)
        assert [d for d in found.dependencies if d.contradicts] == [], seed
        assert found.unreachable == (), seed


def country(seed, n=900):
    """Counts, ages and net incomes of 20 counties, of their 4 states and of the nation."""
    rng = np.random.default_rng(seed)
    county, age = rng.integers(0, 20, n), rng.integers(0, 4, n)
    income = rng.lognormal(10, 2, n) * rng.choice([-1, 0, 1], n, p=[0.05, 0.3, 0.65])
    rows = []
    for place in [*(county == c for c in range(20)), *(county // 5 == s for s in range(4)), np.ones(n, bool)]:
        rows += [place * 1.0, place * income, *(place * (age == a) for a in range(4))]
    return np.array(rows, float), rng.lognormal(3, 1, n), rng


@pytest.mark.parametrize("seed", range(3))
def test_nested_areas_depend_on_their_parts(seed):
    design, base, rng = country(seed)
    weights = base * rng.lognormal(0, 0.3, len(base))
    found = found_in(design, base, design @ weights)
    # An area's ages add up to its count, and each of its other five targets is the sum over the areas within.
    assert len(found.dependencies) == 25 + 5 * 5
    assert all(holds(design, dependency) for dependency in found.dependencies)
    assert not any(dependency.contradicts for dependency in found.dependencies)
    assert found.active.sum() == 100
    assert len(found.plan.upper) <= 30
    totals = design @ weights
    totals[-5] *= 1.001  # the nation's income
    (clash,) = [d for d in found_in(design, base, totals).dependencies if d.contradicts]
    assert design.shape[0] - 5 in [clash.target, *clash.others]


@pytest.mark.parametrize(("sigma", "least"), [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (4.0, 0.3)])
@pytest.mark.parametrize("spread", [0.0, 2.0])
def test_sums_of_heavy_tailed_rows_are_found(sigma, least, spread):
    """Rows that share one giant record are nearly parallel, yet parts of other rows like any."""
    rng = np.random.default_rng(0)
    rows = (rng.random((60, 800)) < 0.1) * rng.lognormal(0, sigma, (60, 800))
    made = [rows[rng.choice(60, int(rng.integers(2, 30)), replace=False)].sum(axis=0) for _ in range(40)]
    made += [rows[i] - 3 * rows[i + 1] for i in range(10)]
    design, base = np.vstack([rows, made])[rng.permutation(110)], rng.lognormal(0, spread, 800)
    found = found_in(design, base, design @ base).dependencies
    assert all(holds(design, dependency) and not dependency.contradicts for dependency in found)
    assert least * 50 <= len(found) <= 50


def test_zero_totals_leave_their_records_no_weight():
    design = [[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 3.0], [0.0, 0.0, -1.0, 0.0]]
    found = found_in(design, np.ones(4), [5.0, 0.0, 0.0])
    assert (found.pattern < 0).tolist() == [False, True, True, True]
    assert found.unreachable == ()
    assert found.active.tolist() == [True, False, False]


def test_zero_totals_settle_one_after_the_other():
    # Once the first row takes the second record out, the second row has one sign left.
    design = [[0.0, 1.0, 0.0], [2.0, -1.0, 0.0], [1.0, 1.0, 1.0]]
    found = found_in(design, np.ones(3), [0.0, 0.0, 7.0])
    assert (found.pattern < 0).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("design", "changes"),
    [
        ([[1.0, -1.0]], {}),  # both signs
        ([[1.0, 1.0]], {"tolerance": 0.1}),  # not exactly zero
        ([[1.0, 1.0]], {"distance": LINEAR}),  # weights may be negative
    ],
)
def test_other_zero_totals_settle_nothing(design, changes):
    found = found_in(design, np.ones(2), [0.0], **changes)
    assert (found.pattern >= 0).all()
    assert found.active.all()


def test_a_total_without_records_is_out_of_reach():
    design = [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
    found = found_in(design, [1.0, 1.0, 0.0], [2.0, 5.0, 3.0])
    assert [(u.target, u.reason) for u in found.unreachable] == [(1, "no support"), (2, "no support")]
    assert [(u.lowest, u.highest) for u in found.unreachable] == [(0.0, 0.0)] * 2
    assert found_in(design, [1.0, 1.0, 0.0], [2.0, 0.0, 0.0]).unreachable == ()


@pytest.mark.parametrize("distance", [RAKING, Distance.of("linear", (0, INF)), Distance.of("logit", (0, 5))])
def test_a_total_of_the_wrong_sign_is_out_of_reach(distance):
    design = [[1.0, 2.0, 0.0], [0.0, -2.0, -1.0], [1.0, -1.0, 0.0]]
    found = found_in(design, np.ones(3), [-1.0, 4.0, -0.5], distance)
    assert [(u.target, u.reason) for u in found.unreachable] == [(0, "sign"), (1, "sign")]
    assert found_in(design, np.ones(3), [-1.0, 4.0, -0.5], LINEAR).unreachable == ()
    # Where weights may be negative, it is the bounds that forbid it.
    both = found_in([[1.0, 2.0]], np.ones(2), [-4.0], Distance.of("linear", (-1.0, 2.0))).unreachable
    assert [(u.reason, u.lowest, u.highest) for u in both] == [("bounds", -3.0, 6.0)]


@pytest.mark.parametrize(
    ("total", "outside"), [(4.9, True), (5.0, False), (12.0, False), (20.0, False), (20.1, True), (30.0, True)]
)
@pytest.mark.parametrize("method", ["raking", "linear", "logit"])
def test_totals_beyond_the_bounds(method, total, outside):
    found = found_in([[1.0, 3.0]], [1.0, 3.0], [total], Distance.of(method, (0.5, 2.0))).unreachable
    assert [(u.target, u.reason) for u in found] == ([(0, "bounds")] if outside else [])
    assert [(u.lowest, u.highest) for u in found] == ([(5.0, 20.0)] if outside else [])


def test_the_range_of_a_net_value():
    # Gains of 6 and losses of 2 at ratios from .5 to 2: from 3 - 4 to 12 - 1.
    for total, outside in ((-1.1, True), (-0.9, False), (10.9, False), (11.1, True)):
        found = found_in([[6.0, -2.0]], [1.0, 1.0], [total], Distance.of("linear", (0.5, 2.0))).unreachable
        assert [(u.lowest, u.highest) for u in found] == ([(-1.0, 11.0)] if outside else [])


def test_tolerance_widens_what_can_be_reached():
    distance = Distance.of("linear", (0.5, 2.0))
    assert found_in([[1.0, 3.0]], [1.0, 3.0], [21.0], distance, tolerance=0.05).unreachable == ()
    assert len(found_in([[1.0, 3.0]], [1.0, 3.0], [21.0], distance, tolerance=0.04).unreachable) == 1


@pytest.mark.parametrize("method", ["raking", "linear", "logit"])
def test_equal_records_are_collapsed_and_nothing_else_changes(monkeypatch, method):
    rng = np.random.default_rng(11)
    kinds = np.vstack([margins(rng, 12, 3, 2), rng.integers(1, 4, 12)])
    kind = np.concatenate([np.arange(12), rng.integers(0, 12, 200)])
    design, base = kinds[:, kind], rng.lognormal(size=212)
    base[5] = 0.0
    problem = Problem.of(design, base, design @ (base * rng.lognormal(0, 0.3, 12)[kind]))
    ready = presolve(problem, Distance.of(method, (0, INF)))
    columns = np.unique(kinds, axis=1).shape[1]
    assert ready.records.shape[0] == columns
    assert ready.pattern[5] == -1
    for i in np.flatnonzero(base):
        units = base.sum() / problem.scale
        assert ready.records[[ready.pattern[i]]].toarray()[0] == pytest.approx(design[:, i] * units, rel=1e-14)
    assert ready.shares.sum() == pytest.approx(1)
    collapsed = calibrate(problem, method)
    monkeypatch.setattr(module, "_patterns", lambda records, chosen: (chosen, np.arange(len(chosen))))
    plain = calibrate(problem, method)
    assert len(presolve(problem, Distance.of(method, (0, INF))).shares) == 211
    assert collapsed.feasible
    assert plain.feasible
    assert collapsed.weights == pytest.approx(plain.weights, rel=1e-10, abs=1e-12)


def test_records_that_differ_a_little_are_not_collapsed():
    design = np.repeat([[1.0, 1.0, 1.0], [5.0, 5.0 + 1e-9, 6.0]], 1, axis=1)[:, [0, 0, 0, 1, 1, 1, 2, 2]]
    assert len(found_in(design, np.ones(8), [9.0, 50.0]).shares) == 3
