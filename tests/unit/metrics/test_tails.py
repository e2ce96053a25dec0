import numpy as np
import pandas as pd
import pytest

from microplex.errors import DataError, ParameterError
from microplex.metrics.pair import pair
from microplex.metrics.tails import gini, hill, quantile_log_ratio, tail_records, top_share

X = np.array([5.0, 1.0, 0.0, 3.0, -8.0, 100.0, 40.0, 41.0])
Y = np.array([2.0, 9.0, 1.0, 30.0, -3.0])
U, V = np.array([1, 3, 2, 0, 4, 1, 2, 5]), np.array([2, 1, 4, 3, 1])

MEASURES = {
    "top_share": lambda w, rows: top_share(X[rows], 0.1, w),
    "gini": lambda w, rows: gini(X[rows], w),
    "hill": lambda w, rows: hill(X[rows], w, share=0.5).value,
    "threshold": lambda w, rows: hill(X[rows], w, share=0.5).threshold,
}


def pareto(n, random, alpha=2.0):
    return 1e4 * random.random(n) ** (-1 / alpha)


def found(x, y, **weights):
    records = tail_records(pair(pd.DataFrame({"a": x}), pd.DataFrame({"a": y})))
    return {(r.measure, r.detail.split(" of ")[0]): r for r in records}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_weight_of_three_is_the_row_three_times(measure):
    rows = np.arange(len(X))
    assert measure(U, rows) == pytest.approx(measure(None, np.repeat(rows, U)), rel=1e-12)
    assert measure(0.1 * U, rows) == pytest.approx(measure(U, rows), rel=1e-12)


def test_weighted_quantiles_are_those_of_repeated_rows():
    repeated = quantile_log_ratio(np.repeat(X, U), np.repeat(Y, V), 0.7)
    assert quantile_log_ratio(X, Y, 0.7, U, V) == pytest.approx(repeated)


def test_gini_is_the_mean_difference():
    random = np.random.default_rng(0)
    for x in (random.gamma(1, size=200), random.normal(size=201)):
        slow = np.abs(x[:, None] - x[None, :]).mean() / (2 * np.abs(x).mean())
        assert gini(x) == pytest.approx(slow, rel=1e-12)


def test_gini_of_known_laws():
    grid = (np.arange(200_000) + 0.5) / 200_000
    assert gini(grid) == pytest.approx(1 / 3, abs=1e-5)
    assert gini(-np.log(grid)) == pytest.approx(1 / 2, abs=1e-4)
    assert gini([7.0, 7.0]) == 0.0
    assert gini([0.0] * 99 + [1.0]) == pytest.approx(0.99)


def test_gini_stays_below_one_with_losses():
    random = np.random.default_rng(1)
    for _ in range(20):
        x = random.standard_cauchy(50)
        assert 0 <= gini(x) <= 1
        assert gini(x) == pytest.approx(gini(-3 * x))


def test_top_share_is_the_sum_of_the_largest():
    x = np.random.default_rng(2).lognormal(size=1000)
    largest = np.sort(x)[::-1]
    assert top_share(x, 0.01) == pytest.approx(largest[:10].sum() / x.sum())
    assert top_share(x, 0.0105) == pytest.approx((largest[:10].sum() + largest[10] / 2) / x.sum())
    assert top_share(np.ones(10), 0.25) == pytest.approx(0.25)
    assert top_share([-5.0, 1.0, 1.0, 2.0], 0.25) == 0.5


def test_hill_by_its_textbook_form():
    x = pareto(1000, np.random.default_rng(3))
    k, ordered = 50, np.sort(x)
    tail = hill(x, share=0.05)
    textbook = np.mean(np.log(ordered[-k:])) - np.log(ordered[-k - 1])
    assert tail.n == k
    assert tail.value == pytest.approx(textbook, rel=1e-12)
    assert tail.se == pytest.approx(textbook / np.sqrt(k))
    assert tail.alpha == pytest.approx(1 / textbook)


def test_hill_finds_the_exponent_and_its_standard_error_holds():
    # 300 samples, tail of 100: a share of 95 % within 1.96 standard errors; 3.5 binomial ones off in 5 of 10,000 seeds.
    inside = 0
    for seed in range(300):
        tail = hill(pareto(2000, np.random.default_rng(seed), alpha=1.5))
        inside += abs(tail.value - 1 / 1.5) <= 1.96 * tail.se
    assert abs(inside / 300 - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / 300) + 0.01


def test_the_standard_error_counts_sampled_rows():
    x = pareto(2000, np.random.default_rng(4))
    assert hill(x, np.full(2000, 3.0)).se == pytest.approx(hill(x).se)


def test_records_are_synthetic_minus_real():
    random = np.random.default_rng(5)
    x, y = pareto(3000, random), pareto(2000, random)
    records = found(x, y)
    assert records["gini", ""].value == pytest.approx(gini(y) - gini(x))
    assert records["top_share", "top 1 %"].value == pytest.approx(top_share(y, 0.01) - top_share(x, 0.01))
    assert records["top_share", "top 0.1 %"].value == pytest.approx(top_share(y, 0.001) - top_share(x, 0.001))
    assert records["hill", "top 5 %"].value == pytest.approx(hill(y).value - hill(x).value)
    for p, per_mille in (("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)):
        quantiles = [np.sort(v)[len(v) * per_mille // 1000 - 1] for v in (x, y)]
        assert records["quantile_log_ratio", p].value == pytest.approx(np.log(quantiles[1] / quantiles[0]))


def test_a_shifted_tail_is_seen_where_the_middle_is_right():
    random = np.random.default_rng(6)
    x, y = pareto(20_000, random), pareto(20_000, random)
    edge = np.quantile(y, 0.95)
    records, fresh = found(x, np.where(y > edge, edge * (y / edge) ** 2, y)), found(x, y)
    for key in (("quantile_log_ratio", "p99"), ("quantile_log_ratio", "p99.9"), ("top_share", "top 1 %"), ("gini", "")):
        assert records[key].value > 0.05
        assert records[key].value > 2 * abs(fresh[key].value)
    assert abs(records["quantile_log_ratio", "p90"].value) < 0.05
    low, high = records["hill", "top 5 %"].interval
    assert records["hill", "top 5 %"].value > high
    assert low < 0 < high


def test_fresh_tails_raise_false_alarms_at_the_stated_rate():
    # 5 % by design; with fresh seeds a count of 300 would leave 2 to 34 with probability below 1e-4.
    alarms = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        record = found(pareto(2000, random), pareto(3000, random))["hill", "top 5 %"]
        alarms += not record.interval[0] <= record.value <= record.interval[1]
    assert 2 <= alarms <= 34


def test_what_is_not_defined_says_why():
    short = found(np.arange(1.0, 51), np.arange(1.0, 2001))
    assert short["quantile_log_ratio", "p90"].defined
    assert short["quantile_log_ratio", "p99"].reason == "it needs 100 positive real values; there are 50"
    assert short["quantile_log_ratio", "p99.9"].reason == "it needs 1000 positive real values; there are 50"
    zeros = found([1.0, 2.0], [0.0, 0.0])
    assert {record.reason for record in zeros.values()} == {
        "it needs 2 positive synthetic values; there are 0",
        "it needs 10 positive real values; there are 2",
        "it needs 100 positive real values; there are 2",
        "it needs 1000 positive real values; there are 2",
        "no value is positive (synthetic table)",
        "all values are 0 (synthetic table)",
        "fewer than two values lie above 2, the quantile 0.95 of the positive ones (real table)",
    }
    assert {record.reason for record in found([np.nan], [1.0]).values()} == {"all real values are missing"}
    assert not tail_records(pair(pd.DataFrame({"s": ["a"]}), pd.DataFrame({"s": ["b"]})))


def test_a_top_coded_tail_has_no_index():
    assert (
        "fewer than two values lie above"
        in found(np.minimum(np.arange(1.0, 101), 80), np.arange(1.0, 101))["hill", "top 5 %"].reason
    )


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_bad_shares_are_refused(share):
    with pytest.raises(ParameterError, match="share must lie between 0 and 1"):
        top_share([1.0], share)
    with pytest.raises(ParameterError, match="share must lie between 0 and 1"):
        hill([1.0], share=share)


def test_bad_values_are_refused():
    with pytest.raises(DataError, match="values must be finite; row 1 has nan"):
        gini([1.0, np.nan])
    with pytest.raises(DataError, match=r"weights must be finite and not negative; row 0 has -1\.0"):
        top_share([1.0], 0.5, [-1.0])
    with pytest.raises(DataError, match="no value is positive"):
        top_share([-1.0, 0.0], 0.5)
    with pytest.raises(DataError, match="no value is positive"):
        hill([-1.0, 0.0])
