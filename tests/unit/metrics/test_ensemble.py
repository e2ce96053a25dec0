import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.ensemble import coverage, crps_ensemble, crps_rows, neighbour_ensembles, pit, uniformity
from microplex.metrics.pair import pair

RANDOM = np.random.default_rng(0)
DRAWS, OBSERVED = np.round(RANDOM.normal(size=(9, 40)), 1), np.round(RANDOM.normal(size=40), 1)
WEIGHTS = RANDOM.integers(0, 4, 40)


def test_crps_by_pairs():
    near = np.abs(DRAWS - OBSERVED).mean(axis=0)
    pairs = np.abs(DRAWS[:, None] - DRAWS[None]).sum(axis=(0, 1)) / 2
    assert crps_rows(DRAWS, OBSERVED) == pytest.approx(near - pairs / (9 * 8), abs=1e-12)
    assert crps_rows(DRAWS, OBSERVED, fair=False) == pytest.approx(near - pairs / 81, abs=1e-12)


def test_crps_is_the_integral_of_the_squared_difference():
    grid = np.linspace(-6, 6, 120_001)
    for j in range(3):
        steps = (DRAWS[:, j, None] <= grid).mean(axis=0) - (OBSERVED[j] <= grid)
        integral = (steps**2).sum() * (grid[1] - grid[0])
        assert crps_rows(DRAWS, OBSERVED, fair=False)[j] == pytest.approx(integral, abs=1e-3)


def test_fair_scores_expect_the_score_of_the_law():
    # N(0, 1) against N(0, 1): 1 / sqrt(pi). 4.5 standard errors, exceeded with a fresh seed with probability 1e-5.
    random = np.random.default_rng(1)
    for m in (2, 5, 30):
        scores = crps_rows(random.normal(size=(m, 20_000)), random.normal(size=20_000))
        assert abs(scores.mean() - 1 / np.sqrt(np.pi)) < 4.5 * scores.std() / np.sqrt(20_000)


@pytest.mark.parametrize(
    "score",
    [
        lambda d, y, w: crps_ensemble(d, y, w),
        lambda d, y, w: uniformity(stats.norm.cdf(y), w),
    ],
)
def test_a_weight_of_three_is_the_row_three_times(score):
    rows = np.repeat(np.arange(40), WEIGHTS)
    assert score(DRAWS, OBSERVED, WEIGHTS) == pytest.approx(score(DRAWS[:, rows], OBSERVED[rows], None), abs=1e-12)
    assert score(DRAWS, OBSERVED, 0.1 * WEIGHTS) == pytest.approx(score(DRAWS, OBSERVED, WEIGHTS), abs=1e-12)


def test_coverage_is_weighted():
    u = pit(DRAWS, OBSERVED, seed=3)
    expected = np.average((u >= 0.1) & (u <= 0.9), weights=WEIGHTS)
    assert coverage(DRAWS, OBSERVED, 0.8, WEIGHTS, seed=3) == pytest.approx(expected)


def test_uniformity_is_that_of_scipy():
    u = np.random.default_rng(2).beta(2, 2, 200)
    assert uniformity(u) == pytest.approx(stats.kstest(u, "uniform").statistic, abs=1e-12)
    assert uniformity(np.round(u, 1)) == pytest.approx(stats.kstest(np.round(u, 1), "uniform").statistic, abs=1e-12)


def test_uniformity_by_hand():
    assert uniformity([0.9]) == uniformity([0.1]) == pytest.approx(0.9)
    assert uniformity([0.25, 0.75]) == 0.25


def test_pit_of_exchangeable_draws_is_uniform_with_atoms_and_few_draws():
    # Two laws, three sizes; with fresh seeds one of the six p-values would be below 1e-4 with probability 6e-4.
    random = np.random.default_rng(3)
    for m in (1, 4, 30):
        for atoms in (False, True):
            draws = random.normal(size=(m + 1, 5000))
            draws = np.where(draws < 0.5, 0.0, draws) if atoms else draws
            assert stats.kstest(pit(draws[1:], draws[0], seed=m), "uniform").pvalue > 1e-4
            got = coverage(draws[1:], draws[0], 0.9, seed=m)
            assert abs(got - 0.9) < 4 * np.sqrt(0.09 / 5000)


@pytest.mark.parametrize(("scale", "shift"), [(0.7, 0.0), (1.5, 0.0), (1.0, 0.3)])
def test_a_wrong_law_is_seen(scale, shift):
    random = np.random.default_rng(4)
    observed = random.normal(size=4000)
    right, wrong = random.normal(size=(20, 4000)), shift + scale * random.normal(size=(20, 4000))
    assert uniformity(pit(wrong, observed)) > 0.06 > 0.03 > uniformity(pit(right, observed))
    assert crps_ensemble(wrong, observed) > crps_ensemble(right, observed) + 0.005
    if not shift:
        assert np.sign(coverage(wrong, observed) - 0.9) == np.sign(scale - 1)


def test_chunks_change_nothing(monkeypatch):
    whole = crps_rows(DRAWS, OBSERVED), pit(DRAWS, OBSERVED)
    monkeypatch.setattr("microplex.metrics.ensemble._BLOCK", 9 * 7)
    np.testing.assert_array_equal((crps_rows(DRAWS, OBSERVED), pit(DRAWS, OBSERVED)), whole)


def test_seeds_break_ties():
    flat = np.ones((5, 100))
    assert (pit(flat, flat[0], seed=1) == pit(flat, flat[0], seed=1)).all()
    assert (pit(flat, flat[0], seed=1) != pit(flat, flat[0], seed=2)).all()


def people(n, seed):
    random = np.random.default_rng(seed)
    return pd.DataFrame({"age": random.integers(18, 80, n).astype(float), "sex": random.choice(["f", "m"], n)})


def test_neighbours_share_the_conditions_and_leave_the_row_out():
    real, synthetic = people(3000, 0), people(2500, 1)
    near = neighbour_ensembles(pair(real, synthetic), ["age", "sex"], m=10, rows=400)
    assert near.synthetic.shape == near.real.shape == (10, 400)
    assert len(np.unique(near.rows)) == 400
    assert (near.real != near.rows).all()
    assert (real["sex"].to_numpy()[near.real] == real["sex"].to_numpy()[near.rows]).all()
    assert (synthetic["sex"].to_numpy()[near.synthetic] == real["sex"].to_numpy()[near.rows]).all()
    assert np.abs(synthetic["age"].to_numpy()[near.synthetic] - real["age"].to_numpy()[near.rows]).max() <= 2
    again = neighbour_ensembles(pair(real, synthetic), ["age", "sex"], m=10, rows=400)
    assert (again.synthetic == near.synthetic).all()


def test_ties_are_not_broken_by_the_order_of_rows():
    # Sorted by the target within one condition: the lowest rows must not be preferred.
    real = pd.DataFrame({"sex": ["f"] * 500, "y": np.arange(500.0)})
    near = neighbour_ensembles(pair(real, real), ["sex"], m=20)
    assert abs(near.synthetic.mean() - 249.5) < 4 * 144.3 / np.sqrt(20 * 50)


def test_neighbours_come_in_proportion_to_their_weights():
    real = pd.DataFrame({"sex": ["f"] * 300, "w": 1.0})
    synthetic = pd.DataFrame({"sex": ["f"] * 3000, "w": np.repeat([1.0, 4.0, 0.0], 1000)})
    near = neighbour_ensembles(pair(real, synthetic, weight_col="w"), ["sex"], m=20)
    assert (near.synthetic < 2000).all()
    assert abs((near.synthetic >= 1000).mean() - 0.8) < 0.08
    heavy = real.assign(w=np.repeat([1.0, 3.0], 150))
    sampled = neighbour_ensembles(pair(heavy, synthetic, weight_col="w"), ["sex"], m=5, rows=100)
    assert (sampled.weights == 1).all()
    assert abs((sampled.rows >= 150).sum() - 75) < 17


def test_unequal_weights_do_not_narrow_the_ensembles():
    """A row drawn into the searched table several times would stand for several draws of the law."""
    held = []
    for seed in range(12):
        draw = np.random.default_rng(seed)
        tables = [
            pd.DataFrame({"x": draw.integers(0, 4, 800), "y": draw.normal(size=800), "w": draw.integers(1, 8, 800)})
            for _ in range(2)
        ]
        both = pair(*tables, weight_col="w")
        near = neighbour_ensembles(both, ["x"], m=20, seed=seed)
        for column in near.synthetic.T[:50]:
            assert len(set(column)) == 20
        y, x = both["y"].synthetic[near.synthetic], both["y"].real[near.rows]
        held.append(coverage(y, x, 0.9, near.weights, seed=seed))
    assert abs(np.mean(held) - 0.9) < 4.5 * np.std(held) / np.sqrt(12)
    assert np.std(held) < 0.03


def test_too_few_rows_are_refused():
    few = pd.DataFrame({"sex": ["f"] * 5})
    with pytest.raises(
        DataError, match="20 neighbours need at least 21 effective rows in each table; the smaller has 5"
    ):
        neighbour_ensembles(pair(few, few), ["sex"])
    heavy = pd.DataFrame({"sex": ["f"] * 30, "w": [1e6] + [1.0] * 29})
    with pytest.raises(DataError, match="21 effective rows in each table; the smaller has 1"):
        neighbour_ensembles(pair(heavy, heavy, weight_col="w"), ["sex"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((40, 9)), np.ones(40)), r"got shape \(40, 9\)\. Transpose them"),
        ((np.ones(3), np.ones(3)), r"draws must have shape \(m, 3\)"),
        ((np.ones((0, 3)), np.ones(3)), r"got shape \(0, 3\)"),
        (([[1.0, np.nan], [1.0, 1.0]], [1.0, 1.0]), "draws must be finite; row 1 has nan"),
        (([[1.0, 1.0], [1.0, 1.0]], [np.inf, 1.0]), "observed values must be finite; row 0 has inf"),
    ],
)
def test_bad_ensembles_are_refused(arguments, message):
    for score in (crps_rows, crps_ensemble, pit, coverage):
        with pytest.raises(DataError, match=message):
            score(*arguments)


def test_bad_arguments_are_refused():
    both = pair(people(50, 0), people(50, 1))
    with pytest.raises(ParameterError, match="a fair score needs at least 2 draws; got 1"):
        crps_rows([[1.0]], [1.0])
    assert crps_rows([[1.0]], [3.0], fair=False).tolist() == [2.0]
    with pytest.raises(ParameterError, match=r"level must lie between 0 and 1; got 90"):
        coverage(DRAWS, OBSERVED, 90)
    with pytest.raises(ParameterError, match="seed must be a whole number"):
        pit(DRAWS, OBSERVED, seed=-1)
    with pytest.raises(DataError, match=r"values must lie between 0 and 1; row 0 has 1\.5"):
        uniformity([1.5])
    with pytest.raises(ParameterError, match="m must be at least 2; got 1"):
        neighbour_ensembles(both, ["sex"], m=1)
    with pytest.raises(ColumnNotFoundError, match=r"'sx' not in data\. Did you mean 'sex'"):
        neighbour_ensembles(both, ["sx"])
