import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from microplex.calibration.lockstep import tableau, walk
from microplex.calibration.rounding import round_leftovers, settle_alike
from microplex.calibration.walk import choose_records, integerise, minimal_support
from microplex.errors import DataError, ParameterError
from microplex.survey import ess

ALPHA = 1e-6  # with fresh seeds, each statistical test would fail with this probability, or 1e-4 with skewed weights


def regional(n=3000, n_regions=6, seed=0, heavy=True):
    """Totals of a nation and its regions: redundant margins, persons, amounts with losses and heavy tails."""
    rng = np.random.default_rng(seed)
    region, age, size = rng.integers(0, n_regions, n), rng.integers(0, 4, n), rng.integers(1, 5, n)
    amount = rng.standard_t(2, n) * 2e4 + (rng.pareto(1.1, n) * 1e5 if heavy else 0)
    rows = [region == r for r in range(n_regions)] + [age == a for a in range(4)] + [size == s for s in range(1, 5)]
    rows += [size, amount, np.where(age == 3, amount, 0)]
    rows += [(region == r) & (age == a) for r in range(n_regions) for a in range(4)]
    rows += [np.where(region == r, amount, 0) for r in range(n_regions)]
    rows += [np.zeros(n), size * 3.0]
    design = sp.csr_array(np.array(rows, dtype=np.float64))
    weights = rng.lognormal(0, 0.6, n) * 100
    weights[rng.random(n) < 0.05] = 0
    return design, weights


def relative(design, new, old):
    size = abs(design) @ old
    return np.abs(design @ (new - old))[size > 0] / size[size > 0]


def rank_of(design, weights):
    dense = sp.csr_array(design).toarray()[:, weights > 0] * weights[weights > 0]
    size = np.abs(dense).sum(axis=1)
    return np.linalg.matrix_rank(dense[size > 0] / size[size > 0, None])


def one_at_a_time(columns, x, upper, rng):
    """The slow obvious twin: a null vector by SVD for each step of the walk."""
    x = x.copy()
    while True:
        inside = np.flatnonzero((x > 0) & (x < upper))
        matrix = columns[:, inside]
        if len(inside) <= np.linalg.matrix_rank(matrix, tol=1e-9):
            return x
        direction = np.linalg.svd(matrix)[2][-1]
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where(direction > 0, (upper - x[inside]) / direction, -x[inside] / direction)
            down = np.where(direction > 0, x[inside] / direction, -(upper - x[inside]) / direction)
        up, down = np.where(np.abs(direction) > 1e-12, (up, down), np.inf)
        go_up = not np.isfinite(down.min()) or rng.random() * (up.min() + down.min()) < down.min()
        t, hit = (up.min(), up.argmin()) if go_up else (-down.min(), down.argmin())
        rises = (direction[hit] > 0) == go_up
        x[inside] += t * direction
        x[inside[hit]] = upper if rises else 0.0
        x = np.clip(x, 0, upper)


@pytest.mark.parametrize("seed", range(4))
def test_minimal_support_has_the_rank_and_keeps_the_totals(seed):
    design, weights = regional(seed=seed)
    kept = minimal_support(design, weights, seed)
    assert (kept >= 0).all()
    assert (kept > 0).sum() == rank_of(design, weights) < design.shape[0]
    assert relative(design, kept, weights).max() < 1e-12
    assert not kept[weights == 0].any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("m", [3, 20, 60])
def test_minimal_support_of_a_dense_design_without_regions(m, seed):
    rng = np.random.default_rng(seed)
    design = rng.lognormal(0, 3, (m, 500)) * (rng.random((m, 500)) < 0.4) * np.where(rng.random((m, 500)) < 0.1, -1, 1)
    design[0] = 1
    weights = rng.random(500) + 0.1
    kept = minimal_support(design, weights, seed)
    assert (kept > 0).sum() == m
    assert relative(sp.csr_array(design), kept, weights).max() < 1e-12


@pytest.mark.parametrize("upper", [1.0, np.inf])
def test_the_slow_twin_agrees_in_support_and_exactness(upper):
    rng = np.random.default_rng(5)
    columns = np.vstack([np.ones(40), rng.random((3, 40)), rng.integers(0, 3, 40)])
    columns = np.vstack([columns, columns[1] + columns[2]])
    start = rng.uniform(0.1, 0.9, 40)
    table = tableau(columns)
    fast = walk([table], [start], [np.full(40, upper)], rng)[0]
    slow = one_at_a_time(columns, start, upper, rng)
    assert len(table.basis) == 5
    for x in (fast, slow):
        assert np.abs(columns @ (x - start)).max() < 1e-10
        assert ((x > 0) & (x < upper)).sum() == 5
        assert ((x >= 0) & (x <= upper)).all()


def test_walking_many_groups_at_once_keeps_each_groups_totals():
    rng = np.random.default_rng(3)
    shapes = [(2, 9), (5, 5), (4, 40), (1, 2), (12, 25)]
    matrices = [rng.normal(size=shape) for shape in shapes]
    starts = [rng.uniform(0.05, 0.95, k) for _, k in shapes]
    ends = walk([tableau(a, is_last=False) for a in matrices], starts, [np.ones(k) for _, k in shapes], rng)
    for a, start, end, (p, k) in zip(matrices, starts, ends, shapes, strict=True):
        assert np.abs(a @ (end - start)).max() < 1e-11
        assert ((end > 0) & (end < 1)).sum() <= min(p, k)


def test_a_tableau_holds_where_rows_depend_on_each_other():
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(6, 30))
    columns[2], columns[4] = columns[0] - columns[1], 0
    for is_last, size in ((True, 4), (False, 5)):
        table = tableau(columns, is_last)
        assert len(table.basis) == size
        assert np.allclose(columns[:, table.others], columns[:, table.basis] @ table.values.T, atol=1e-12)


@pytest.mark.parametrize("k", [100, 300, 1000])
def test_chosen_records_keep_the_totals_and_the_effective_size(k):
    design, weights = regional()
    kept = choose_records(design, weights, k, seed=1)
    rank = rank_of(design, weights)
    assert relative(design, kept, weights).max() < 1e-12
    assert (kept >= 0).all()
    assert -0.04 * k <= (kept > 0).sum() - k <= rank + 2
    assert ess(kept) >= 0.9 * k


def test_choosing_no_fewer_than_there_are_returns_the_weights():
    design, weights = regional(300)
    assert (choose_records(design, weights, 300) == weights).all()


@pytest.mark.parametrize("draw", [minimal_support, lambda a, w, s: choose_records(a, w, 20, s)])
def test_the_expectation_is_the_weight(draw):
    rng = np.random.default_rng(8)
    n, draws = 40, 600
    design = np.vstack([np.ones(n), rng.random(n), np.arange(n) < 20])
    weights = rng.lognormal(0, 0.5, n)
    sums, squares = np.zeros(n), np.zeros(n)
    for seed in range(draws):
        drawn = draw(design, weights, seed)
        sums += drawn
        squares += drawn**2
    mean = sums / draws
    error = np.sqrt(np.maximum(squares / draws - mean**2, 1e-12) / draws)
    assert np.abs((mean - weights) / error).max() < stats.norm.isf(ALPHA / n / 2) * 1.1


def test_whole_weights_are_unbiased_before_the_search():
    columns = sp.csr_array(np.ones((5, 1)))
    fractions = np.array([0.1, 0.35, 0.5, 0.7, 0.95])
    draws = np.array([settle_alike(columns, fractions, np.random.default_rng(s)) for s in range(4000)])
    assert np.allclose(draws.sum(axis=1), fractions.sum())
    assert (((draws > 0) & (draws < 1)).sum(axis=1) <= 1).all()
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.abs((draws.mean(axis=0) - fractions) / error).max() < stats.norm.isf(ALPHA / 10)


@pytest.mark.parametrize("seed", range(3))
def test_whole_weights_stay_within_one_and_keep_the_totals(seed):
    design, weights = regional(1500, seed=seed, heavy=False)
    whole = integerise(design, weights, seed)
    assert whole.dtype == np.int64
    assert np.abs(whole - weights).max() < 1
    counts = np.r_[0:14, 17:41]
    error = np.abs(design @ (whole - weights))
    independent = np.floor(weights) + (np.random.default_rng(seed).random(len(weights)) < weights % 1)
    assert error[counts].max() < 4
    assert error[counts].sum() < 0.2 * np.abs(design @ (independent - weights))[counts].sum()


def test_counts_that_can_be_kept_are_kept():
    """Whole totals of disjoint cells, in which every record is alike."""
    cell = np.repeat(np.arange(5), 40)
    design = sp.csr_array((cell == np.arange(5)[:, None]).astype(float))
    rng = np.random.default_rng(0)
    weights = rng.uniform(1, 3, 200)
    weights *= (np.rint(design @ weights) / (design @ weights))[cell]
    assert np.allclose(design @ integerise(design, weights, 3), design @ weights)


def test_importance_decides_who_gives_way():
    design, weights = regional(400, seed=4, heavy=False)
    cared = np.ones(design.shape[0])
    cared[6:10] = 1000
    errors = np.array(
        [
            [np.abs(design @ (integerise(design, weights, s, c) - weights))[6:10].sum() for c in (None, cared)]
            for s in range(4)
        ]
    )
    assert errors[:, 1].mean() < errors[:, 0].mean()


def test_whole_weights_come_back_as_they_are():
    design, weights = regional(300)
    assert (integerise(design, np.rint(weights)) == np.rint(weights)).all()
    noise = np.rint(weights) * (1 + 1e-14)
    assert (integerise(design, noise) == np.rint(weights)).all()


def test_the_search_never_raises_the_cost():
    rng = np.random.default_rng(2)
    columns = sp.csr_array(rng.integers(0, 3, (80, 6)).astype(float))
    settled = (rng.random(80) < 0.5).astype(float)
    before = -(columns.T @ settled) + rng.integers(-5, 6, 6)
    out = round_leftovers(columns, settled, before, np.ones(6), rng)
    assert set(out) <= {0.0, 1.0}
    assert np.abs(before + columns.T @ out).sum() <= 1


@pytest.mark.parametrize("draw", [minimal_support, lambda a, w, s: choose_records(a, w, 200, s), integerise])
def test_the_seed_decides(draw):
    design, weights = regional(800)
    np.random.seed(0)  # noqa: NPY002 - the global state must not matter
    first = draw(design, weights, 4)
    np.random.seed(1)  # noqa: NPY002
    assert (draw(design, weights, 4) == first).all()
    assert (draw(design.toarray(), weights.tolist(), 4) == first).all()
    assert (draw(design, weights, 5) != first).any()


def test_arguments_are_left_alone():
    design, weights = regional(300)
    before = design.data.copy(), weights.copy()
    minimal_support(design, weights)
    choose_records(design, weights, 50)
    integerise(design, weights)
    assert (design.data == before[0]).all()
    assert (weights == before[1]).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_records_than_targets(n):
    design = np.vander(np.arange(2.0, 2 + n), 3).T
    assert np.allclose(minimal_support(design, np.ones(n)), 1)
    assert (choose_records(design, np.ones(n), 5) == 1).all()
    assert np.abs(integerise(design, np.full(n, 1.5)) - 1.5).max() < 1


def test_nothing_to_walk_on():
    design = np.ones((2, 3))
    for draw in (minimal_support, integerise, lambda a, w: choose_records(a, w, 1)):
        assert not draw(design, np.zeros(3)).any()
        assert draw(np.ones((2, 0)), np.zeros(0)).shape == (0,)


def test_no_targets():
    assert not minimal_support(np.zeros((0, 4)), np.ones(4)).any()
    assert (choose_records(np.zeros((0, 100)), np.ones(100), 20) > 0).sum() in (19, 20, 21)
    assert np.abs(integerise(np.zeros((0, 4)), np.full(4, 0.5)) - 0.5).max() < 1


def test_a_total_that_nothing_bounds_pulls_weights_down():
    assert (minimal_support([[1.0, -1.0]], [1.0, 1.0]) == 0).all()


@pytest.mark.parametrize(
    ("design", "weights", "message"),
    [
        (np.ones((1, 3)), [1.0, 1.0], "one value for each of the design's 3 records"),
        (np.ones((1, 2)), [1.0, -1.0], "weight 1 is -1"),
        (np.ones((1, 2)), [1.0, np.nan], "weights must be finite"),
        (np.full((1, 2), np.inf), [1.0, 1.0], "design must be finite"),
    ],
)
@pytest.mark.parametrize("draw", [minimal_support, integerise, lambda a, w: choose_records(a, w, 1)])
def test_bad_arrays_are_named(draw, design, weights, message):
    with pytest.raises(DataError, match=message):
        draw(design, weights)


@pytest.mark.parametrize("n_records", [0, -1, 2.5, True])
def test_the_number_of_records_must_be_whole_and_positive(n_records):
    with pytest.raises(ParameterError, match="n_records must be a whole number"):
        choose_records(np.ones((1, 3)), np.ones(3), n_records)


@pytest.mark.parametrize("importance", [[1.0], [1.0, 0.0], [1.0, np.nan]])
def test_importance_must_be_positive_for_every_target(importance):
    with pytest.raises(DataError, match="2 positive numbers"):
        integerise(np.ones((2, 3)), np.ones(3), importance=importance)
