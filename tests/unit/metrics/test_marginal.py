import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex.errors import DataError, ParameterError
from microplex.metrics.heaping import heaping_error
from microplex.metrics.marginal import (
    atom_error,
    ks,
    marginal_records,
    masses,
    relative_difference,
    share_difference,
    tvd,
    wasserstein,
)
from microplex.metrics.pair import pair

X = np.array([5.0, 0.0, 3.0, 3.0, -8.0, 100.0])
Y = np.array([0.0, 0.0, 4.0, 3.0, -1.0])
U, V = np.array([1, 3, 2, 0, 4, 1]), np.array([2, 1, 0, 3, 1])

MEASURES = {
    "ks": ks,
    "ks_nonzero": lambda *a: ks(*a, nonzero=True),
    "wasserstein": wasserstein,
    "wasserstein_sd": lambda *a: wasserstein(*a, scale="sd"),
    "wasserstein_iqr": lambda *a: wasserstein(*a, scale="iqr"),
    "tvd": tvd,
    "share_difference": lambda x, y, u, v: share_difference(np.asarray(x) == 0, np.asarray(y) == 0, u, v),
    "atom_error": lambda *a: atom_error(*a, least=0.3),
    "heaping_error": heaping_error,
}
SYMMETRIC = ["ks", "ks_nonzero", "wasserstein", "tvd", "atom_error"]


def incomes(n, random, tail=1.0):
    """A third zeros, some losses, a heavy tail, half of the amounts rounded to thousands."""
    x = np.round(np.exp(10 + tail * random.normal(size=n)))
    x = np.where(random.random(n) < 0.5, np.round(x, -3), x)
    x = np.where(random.random(n) < 0.05, -x, x)
    return np.where(random.random(n) < 0.33, 0.0, x)


def values_of(real, synthetic, **keywords):
    return {r.measure: r for r in marginal_records(pair(pd.DataFrame(real), pd.DataFrame(synthetic), **keywords))}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_weight_of_three_is_the_row_three_times(measure):
    assert measure(X, Y, U, V) == pytest.approx(measure(np.repeat(X, U), np.repeat(Y, V), None, None), abs=1e-12)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_common_factor_changes_nothing_and_equal_samples_score_zero(measure):
    assert measure(X, Y, 0.1 * U, 7 * V) == pytest.approx(measure(X, Y, U, V), abs=1e-12)
    assert measure(X, X[::-1], U, U[::-1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_distances_are_symmetric(name):
    assert MEASURES[name](X, Y, U, V) == pytest.approx(MEASURES[name](Y, X, V, U), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_equal_to_scipy(seed):
    random = np.random.default_rng(seed)
    x, y = incomes(400, random), incomes(300, random) + random.integers(0, 2) * 50
    assert ks(x, y) == pytest.approx(stats.ks_2samp(x, y).statistic, abs=1e-12)
    assert ks(x, y, nonzero=True) == pytest.approx(stats.ks_2samp(x[x != 0], y[y != 0]).statistic, abs=1e-12)
    u, v = random.random(400), random.random(300)
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y), rel=1e-10)
    assert wasserstein(x, y, u, v) == pytest.approx(stats.wasserstein_distance(x, y, u, v), rel=1e-10)
    assert wasserstein(x, y, scale="sd") == pytest.approx(stats.wasserstein_distance(x, y) / x.std(), rel=1e-10)
    spread = np.subtract(*np.quantile(x, [0.75, 0.25], method="inverted_cdf"))
    assert wasserstein(x, y, scale="iqr") == pytest.approx(stats.wasserstein_distance(x, y) / spread, rel=1e-10)


def test_by_hand():
    assert tvd([0, 1, 1, 2], [0, 0, 1, 3]) == 0.5
    assert tvd(["a"], ["b"]) == 1.0
    assert share_difference([True, False, False], [True, True]) == pytest.approx(2 / 3)
    # atoms 0 (1/2 against 1/4) and 7 (0 against 1/2), the rest 1/2 against 1/4
    assert atom_error([0, 0, 1, 2], [0, 7, 7, 3], least=0.5) == pytest.approx((0.25 + 0.5 + 0.25) / 2)
    assert atom_error([1, 2, 3], [4, 5, 6], least=0.5) == 0.0
    assert relative_difference(-4.0, -5.0) == -0.25


def test_the_interval_of_a_share_by_hand():
    record = values_of({"a": [0, 0, 0, 1]}, {"a": [0, 0, 0, 0, 0, 0, 1, 1]})["zero_share"]
    assert record.value == 0.0
    reach = 1.959964 * np.sqrt(0.75 * 0.25 * (1 / 4 + 1 / 8))
    assert record.interval == pytest.approx((-reach, reach), rel=1e-6)


def test_a_spike_made_up_counts_like_one_lost():
    spread, spike = np.arange(1000.0), np.append(np.arange(900.0), np.full(100, 5000.0))
    assert atom_error(spread, spike) == pytest.approx(0.1)
    assert atom_error(spike, spread) == pytest.approx(0.1)


def test_records_agree_with_the_functions():
    random = np.random.default_rng(0)
    x, y, u, v = incomes(500, random), incomes(400, random), random.random(500) + 0.5, random.random(400) + 0.5
    x[:20], y[:5] = np.nan, np.nan
    found = values_of({"a": x, "w": u}, {"a": y, "w": v}, weight_col="w")
    a, b, u_, v_ = x[20:], y[5:], u[20:], v[5:]
    for name in ("ks", "ks_nonzero", "wasserstein", "heaping_error"):
        assert found[name].value == pytest.approx(MEASURES[name](a, b, u_, v_), abs=1e-12)
    assert found["wasserstein_relative"].value == pytest.approx(wasserstein(a, b, u_, v_, scale="sd"))
    assert found["atom_error"].value == pytest.approx(atom_error(a, b, u_, v_))
    assert found["zero_share"].value == pytest.approx(share_difference(a == 0, b == 0, u_, v_))
    assert found["negative_share"].value == pytest.approx(share_difference(a < 0, b < 0, u_, v_))
    assert found["missing_share"].value == pytest.approx(share_difference(np.isnan(x), np.isnan(y), u, v))
    assert found["total"].value == pytest.approx((v_ @ b) / (u_ @ a) - 1)
    assert found["mean"].value == pytest.approx(np.average(b, weights=v_) / np.average(a, weights=u_) - 1)
    assert found["ks"].n == 395


def test_categories_have_a_distance_and_missing_ones_are_apart():
    found = values_of({"s": ["f", "m", "m", None]}, {"s": ["f", "m", "x"]})
    assert set(found) == {"tvd", "missing_share"}
    assert found["tvd"].value == pytest.approx(1 / 3)
    assert found["missing_share"].value == -0.25


FAULTS = {
    "shifted": ({"ks", "ks_nonzero", "mean"}, lambda x, r: np.where(x > 0, 1.5 * x, x)),
    "zeros dropped": ({"ks", "zero_share"}, lambda x, r: np.where(x == 0, r.permutation(x), x)),
    "losses dropped": ({"negative_share"}, np.vectorize(lambda x, r: abs(x), excluded=["r"])),
    "missing made up": ({"missing_share"}, lambda x, r: np.where(r.random(len(x)) < 0.02, np.nan, x)),
}


@pytest.mark.parametrize(("seen", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_lies_outside_the_interval(seen, fault):
    random = np.random.default_rng(3)
    x, y = incomes(4000, random), incomes(4000, random)
    found = values_of({"a": x}, {"a": fault(y, random)})
    for measure in seen:
        low, high = found[measure].interval
        assert not low <= found[measure].value <= high


def test_lost_heaps_and_lost_atoms_are_seen():
    random = np.random.default_rng(4)
    x, y = incomes(4000, random), incomes(4000, random)
    fresh = values_of({"a": x}, {"a": y})
    faulty = values_of({"a": x}, {"a": np.where(y != 0, y + random.integers(-400, 400, 4000), 0.0)})
    assert faulty["heaping_error"].value > 0.4 > 8 * fresh["heaping_error"].value
    assert faulty["heaping_error"].detail == "the worst step; multiples of 500"
    clipped = values_of({"a": x}, {"a": np.minimum(y, np.quantile(y, 0.95))})
    assert clipped["atom_error"].value > 0.04
    assert clipped["atom_error"].value - fresh["atom_error"].value > 0.02


def test_fresh_draws_raise_false_alarms_at_the_stated_rate():
    # 5 % by design. With fresh seeds a count of 400 would leave 5 to 40 with probability below 1e-4 a measure.
    alarms = {}
    for seed in range(400):
        random = np.random.default_rng(seed)
        x, y = random.gamma(2, size=200) - 0.4, random.gamma(2, size=300) - 0.4
        x[random.random(200) < 0.2], y[random.random(300) < 0.2] = np.nan, np.nan
        u, v = random.uniform(0.5, 2, 200), random.uniform(0.5, 2, 300)
        found = values_of({"a": x, "w": u}, {"a": y, "w": v}, weight_col="w")
        for name in ("ks", "ks_nonzero", "negative_share", "missing_share", "mean"):
            low, high = found[name].interval
            alarms[name] = alarms.get(name, 0) + (not low <= found[name].value <= high)
    assert all(5 <= count <= 40 for count in alarms.values()), alarms


@pytest.mark.parametrize("side", ["real", "synthetic"])
def test_all_missing_is_not_defined(side):
    tables = {"real": pd.DataFrame({"a": [1.0, 2.0]}), "synthetic": pd.DataFrame({"a": [1.0, 2.0]})}
    tables[side] = pd.DataFrame({"a": [np.nan, np.nan]})
    records = marginal_records(pair(tables["real"], tables["synthetic"]))
    assert [r.reason for r in records[:-1]] == [f"all {side} values are missing"] * 10
    assert abs(records[-1].value) == 1.0


def test_what_is_not_defined_says_why():
    found = values_of({"a": [0.0, 0.0]}, {"a": [0.0, 1.0]})
    reasons = {name: record.reason for name, record in found.items() if not record.defined}
    assert reasons == {
        "ks_nonzero": "all real values are 0",
        "wasserstein_relative": "the standard deviation of the real values is 0",
        "heaping_error": "no value differs from 0",
        "total": "the real figure is 0, so that nothing is relative to it",
        "mean": "the real figure is 0, so that nothing is relative to it",
    }
    cancelled = values_of({"a": [0.1, 0.2, -0.3]}, {"a": [0.1, 0.2, 0.3]})
    assert not cancelled["mean"].defined
    shorter = values_of({"a": [1.0, 2.0]}, {"a": [1.0]})
    assert shorter["total"].reason.startswith("the synthetic table has no weights and another size")
    nothing = values_of({"s": ["a"]}, {"s": [None]})
    assert nothing["tvd"].reason == "all synthetic values are missing"


def test_a_constant_variable_is_compared():
    found = values_of({"a": [3.0, 3.0]}, {"a": [3.0, 4.0]})
    assert found["ks"].value == 0.5
    assert found["wasserstein"].value == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [1.0]), "there are no real values"),
        (([1.0], []), "there are no synthetic values"),
        (([1.0, np.nan], [1.0]), r"real values must be finite; row 1 has nan"),
        (([1.0], [np.inf]), r"synthetic values must be finite; row 0 has inf"),
        (([1.0], [1.0], [-1.0]), r"real weights must be finite and not negative; row 0 has -1\.0"),
        (([1.0], [1.0], None, [0.0]), "synthetic weights must have a positive sum"),
        (([1.0], [1.0], [1.0, 2.0]), "real weights must hold one number for each of 1 rows"),
    ],
)
def test_bad_samples_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        masses(*arguments)


def test_bad_arguments_are_refused():
    with pytest.raises(ParameterError, match="scale must be one of None, 'sd', 'iqr'; got 'std'"):
        wasserstein([1.0], [1.0], scale="std")
    with pytest.raises(DataError, match="interquartile range of the real values is 0"):
        wasserstein([0, 0, 0, 1], [1, 2], scale="iqr")
    with pytest.raises(DataError, match="all real values are 0"):
        ks([0.0], [1.0], nonzero=True)
    with pytest.raises(DataError, match="there are no real values"):
        tvd([], ["a"])
    with pytest.raises(DataError, match="there are no synthetic values"):
        share_difference([True], [])
