"""The nested Cholesky factor against dense linear algebra."""

import numpy as np
import pytest

from microplex.calibration.factor import NestedPlan


def plan_of(matrix):
    rows, columns = np.nonzero(np.triu(matrix != 0) | np.eye(len(matrix), dtype=bool))
    return NestedPlan(rows, columns, len(matrix)), matrix[rows, columns]


def geography(rng, counties=12, states=3, per_county=2, per_state=2, national=3):
    """Targets of counties, states and a nation over random records, in random order."""
    county_of = np.arange(counties) % states
    blocks = []
    for county in range(counties):
        count = int(rng.integers(6, 12))
        row = np.zeros((count, counties * per_county + states * per_state + national))
        row[:, county * per_county : (county + 1) * per_county] = rng.normal(size=(count, per_county))
        start = counties * per_county + county_of[county] * per_state
        row[:, start : start + per_state] = rng.normal(size=(count, per_state))
        row[:, -national:] = rng.normal(size=(count, national))
        blocks.append(row)
    design = np.vstack(blocks)
    design = design[:, rng.permutation(design.shape[1])]
    return design.T @ design


def block_diagonal(rng, sizes):
    m = sum(sizes)
    matrix, at = np.zeros((m, m)), 0
    for size in sizes:
        root = rng.normal(size=(size, size + 2))
        matrix[at : at + size, at : at + size] = root @ root.T
        at += size
    order = rng.permutation(m)
    return matrix[np.ix_(order, order)]


def positive(rng, m):
    root = rng.normal(size=(m, m + 3))
    return root @ root.T


def arrow(rng, m):
    """One target that touches all others, which touch nothing else."""
    matrix = np.diag(rng.random(m) + m)
    matrix[0, 1:] = matrix[1:, 0] = rng.random(m - 1)
    return matrix


CASES = {
    "nested": lambda rng: geography(rng),
    "many counties": lambda rng: geography(rng, counties=60, states=6),
    "one state": lambda rng: geography(rng, counties=5, states=1, national=1),
    "uneven blocks": lambda rng: block_diagonal(rng, [1, 1, 4, 2, 2, 7, 3]),
    "dense": lambda rng: positive(rng, 30),
    "diagonal": lambda rng: np.diag(rng.random(25) + 0.1),
    "arrow": lambda rng: arrow(rng, 40),
    "one target": lambda rng: np.array([[2.5]]),
    "two apart": lambda rng: np.diag([2.0, 3.0]),
    "two together": lambda rng: np.array([[2.0, 1.0], [1.0, 3.0]]),
}
each_case = pytest.mark.parametrize("build", CASES.values(), ids=CASES.keys())


@each_case
@pytest.mark.parametrize("seed", range(3))
def test_solves_as_the_dense_matrix_does(build, seed):
    rng = np.random.default_rng(seed)
    matrix = build(rng)
    plan, values = plan_of(matrix)
    right = rng.normal(size=(len(matrix), 4))
    expected = np.linalg.solve(matrix, right)
    factor = plan.factor(values)
    size = np.linalg.cond(matrix) * 1e-14
    assert factor.solve(right) == pytest.approx(expected, rel=size, abs=size * np.abs(expected).max())
    assert np.array_equal(factor.solve(right[:, 0]), factor.solve(right[:, :1])[:, 0])
    assert plan.times(values, right) == pytest.approx(matrix @ right, rel=1e-12, abs=1e-12 * np.abs(matrix).max())
    assert plan.times(values, right[:, 0]) == pytest.approx(matrix @ right[:, 0], abs=1e-12 * np.abs(matrix).max())


@each_case
def test_pivots_multiply_to_the_determinant(build):
    matrix = build(np.random.default_rng(9))
    plan, values = plan_of(matrix)
    pivots = plan.factor(values).pivots()
    assert (pivots > 0).all()
    assert (pivots <= np.diag(matrix) * (1 + 1e-12)).all()
    assert np.log(pivots).sum() == pytest.approx(np.linalg.slogdet(matrix)[1], rel=1e-9, abs=1e-9)


@each_case
def test_neither_the_values_nor_the_right_side_are_changed(build):
    matrix = build(np.random.default_rng(3))
    plan, values = plan_of(matrix)
    right = np.arange(len(matrix), dtype=float)
    before = values.copy(), right.copy()
    plan.factor(values, 0.5).solve(right)
    assert np.array_equal(before[0], values)
    assert np.array_equal(before[1], right)


@each_case
def test_the_ridge_is_a_share_of_the_diagonal(build):
    matrix = build(np.random.default_rng(4))
    plan, values = plan_of(matrix)
    lifted = matrix + 0.25 * np.diag(np.diag(matrix))
    right = np.ones(len(matrix))
    found = plan.factor(values, 0.25).solve(right)
    assert lifted @ found == pytest.approx(right, abs=1e-9)


def test_nested_targets_are_found_and_eliminated():
    plan, _ = plan_of(geography(np.random.default_rng(1), counties=60, states=6))
    assert len(plan.upper) == 6 * 2 + 3
    assert sum(leaves.targets.size for leaves in plan.leaves) == 120
    together = np.sort(np.concatenate([plan.upper, *(leaves.targets.ravel() for leaves in plan.leaves)]))
    assert together.tolist() == list(range(135))


def test_a_dense_matrix_has_no_areas():
    plan, _ = plan_of(positive(np.random.default_rng(0), 12))
    assert plan.upper.tolist() == list(range(12))
    assert plan.leaves == []


def test_dependent_rows_are_left_with_pivots_of_the_ridge():
    rng = np.random.default_rng(2)
    design = rng.normal(size=(6, 40))
    design = np.vstack([design, design[0] + design[1], 3 * design[2], design[3] - 2 * design[4] + design[5]])
    matrix = design @ design.T
    root = np.sqrt(np.diag(matrix))
    plan, values = plan_of(matrix / np.outer(root, root))
    pivots = plan.factor(values, 1e-13).pivots()
    assert (pivots[:6] > 1e-3).all()
    assert (pivots[6:] < 1e-10).all()


def test_dependent_rows_of_a_geography():
    """Counties that add up to their states, and states to the nation."""
    rng = np.random.default_rng(8)
    county = np.repeat(np.arange(20), 8)
    values = rng.lognormal(size=160)
    rows = [(county == c) * values for c in range(20)] + [(county // 5 == s) * values for s in range(4)] + [values]
    design = np.array(rows)
    matrix = design @ design.T
    root = np.sqrt(np.diag(matrix))
    plan, cells = plan_of(matrix / np.outer(root, root))
    pivots = plan.factor(cells, 1e-13).pivots()
    assert (pivots < 1e-10).sum() == 5
    assert (pivots > 1e-3).sum() == 20


@pytest.mark.parametrize("matrix", [[[1.0, 2.0], [2.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.5, 0.0]]])
def test_what_is_not_positive_definite_is_refused(matrix):
    plan, values = plan_of(np.array(matrix))
    with pytest.raises(np.linalg.LinAlgError):
        plan.factor(values)


def test_a_county_that_is_not_positive_definite_is_refused():
    matrix = block_diagonal(np.random.default_rng(0), [3] * 30)
    matrix[5, 5] = -1.0
    plan, values = plan_of(matrix)
    assert len(plan.upper) == 0
    with pytest.raises(np.linalg.LinAlgError):
        plan.factor(values)
