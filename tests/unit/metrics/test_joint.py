import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex.errors import ColumnNotFoundError
from microplex.metrics.joint import (
    binned,
    correlation_matrix,
    correlation_ratio,
    cramers_v,
    joint_records,
    nonzero_pairs,
    ranks,
    table_tvd,
)
from microplex.metrics.pair import Variable, pair


def survey(n, seed, link=0.8):
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    works = rng.random(n) < 0.6
    wages = np.where(works, np.round(np.exp(10 + level)), 0.0)
    dividends = np.where(
        works & (rng.random(n) < 0.5), np.round(np.exp(6 + link * level + 0.3 * rng.normal(size=n))), 0.0
    )
    state = np.where(rng.random(n) < link, np.where(level > 0, "ca", "ny"), "tx")
    sector = np.where(rng.random(n) < link, state, rng.choice(["ca", "ny", "tx"], n))
    return pd.DataFrame({"wages": wages, "dividends": dividends, "state": state, "sector": sector})


def values(real, synthetic, **options):
    return {record.measure: record.value for record in joint_records(pair(real, synthetic), **options)}


def test_correlations_are_those_of_pandas():
    frame = pd.DataFrame(np.random.default_rng(0).lognormal(8, 2, (500, 4)))
    frame[1] += frame[0] * 3
    frame[4] = 1e9 + frame[0]
    holes = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.1)
    np.testing.assert_allclose(correlation_matrix(holes), holes.corr(), atol=1e-8)
    np.testing.assert_allclose(ranks(holes[0]), (holes[0].rank() - 0.5) / holes[0].count(), atol=1e-12)
    expected = stats.spearmanr(frame[0], frame[1]).statistic
    together = np.column_stack([ranks(frame[0]), ranks(frame[1])])
    assert correlation_matrix(together)[0, 1] == pytest.approx(expected, abs=1e-8)


def test_association_of_categories_is_that_of_scipy_and_a_regression():
    rng = np.random.default_rng(2)
    a, b = rng.integers(-1, 3, 400), rng.integers(0, 5, 400)
    b = np.where(rng.random(400) < 0.4, a + 1, b)
    expected = stats.contingency.association(pd.crosstab(a, b).to_numpy(), method="cramer")
    assert cramers_v(a, b) == pytest.approx(expected, abs=1e-8)
    x = a + rng.normal(size=400)
    fitted = pd.Series(x).groupby(a).transform("mean")
    assert correlation_ratio(a, x) == pytest.approx(fitted.std() / x.std(ddof=1), abs=1e-8)


def test_a_weight_is_that_many_rows():
    rng = np.random.default_rng(3)
    n = 200
    times = rng.integers(0, 4, n)
    x, a, b = rng.lognormal(size=(n, 3)), rng.integers(-1, 3, n), rng.integers(0, 2, n)
    x[rng.random(x.shape) < 0.2] = np.nan
    x[rng.random(x.shape) < 0.3] = 0.0
    again = np.repeat(np.arange(n), times)
    for measure, columns in (
        (correlation_matrix, (x,)),
        (nonzero_pairs, (x,)),
        (cramers_v, (a, b)),
        (correlation_ratio, (a, x[:, 0])),
    ):
        np.testing.assert_allclose(
            measure(*columns, times), measure(*(column[again] for column in columns)), atol=1e-12
        )
    np.testing.assert_allclose(ranks(x[:, 0], times)[again], ranks(x[again, 0]), atol=1e-12)
    real = survey(n, 4)
    both = pair(real.assign(w=times), real.assign(w=times[::-1]), weight_col="w")
    repeated = pair(real.loc[again], real.loc[np.repeat(np.arange(n), times[::-1])])
    for one, other in zip(joint_records(both), joint_records(repeated), strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-12)


def test_joint_zeros_and_tables_are_those_of_slow_twins():
    rng = np.random.default_rng(5)
    x = np.where(rng.random((300, 2)) < 0.5, 0.0, 1.0)
    x[:20, 0] = np.nan
    both = ~np.isnan(x).any(axis=1)
    assert nonzero_pairs(x)[0, 1] == pytest.approx(((x[both] != 0).all(axis=1)).mean())
    a, b = rng.integers(0, 3, (300, 2)), rng.integers(0, 3, (200, 2))
    slow = sum(abs((a == (i, j)).all(1).mean() - (b == (i, j)).all(1).mean()) for i in range(3) for j in range(3)) / 2
    assert table_tvd(list(a.T), list(b.T), [3, 3]) == pytest.approx(slow)


def test_bins_keep_common_levels_and_split_negatives():
    codes = np.repeat(np.arange(20), np.arange(20, 0, -1))
    variable = Variable("c", "category", codes, np.array([-1, 0, 14, 15, 19]), tuple(range(20)))
    _, synthetic, size = binned(variable, np.ones(len(codes)), 6)
    assert synthetic.tolist() == [0, 1, 15, 16, 16]
    assert size == 17
    x = np.random.default_rng(6).normal(size=1000)
    real, _, size = binned(Variable("x", "number", x, x), np.ones(1000), 4)
    assert np.unique(real).size == 8
    assert real.max() < size


def test_a_broken_link_is_seen():
    real, fresh, broken = survey(4000, 7), survey(4000, 8), survey(4000, 9)
    rng = np.random.default_rng(10)
    for name in broken:
        broken[name] = broken[name].to_numpy()[rng.permutation(len(broken))]
    good, bad = values(real, fresh), values(real, broken)
    for measure, value in good.items():
        assert bad[measure] > 2.5 * value, measure


def test_the_worst_pair_is_named():
    real, other = survey(3000, 11), survey(3000, 12)
    other["dividends"] = other["dividends"].to_numpy()[::-1]
    found = {record.measure: record.variables for record in joint_records(pair(real, other))}
    assert found["spearman_max"] == ("wages", "dividends")
    assert found["zero_pair_max"] == ("wages", "dividends")
    assert "dividends" in found["correlation_ratio_max"]


def test_dropped_zeros_are_seen():
    real, other = survey(3000, 13), survey(3000, 14)
    floor = values(real, other)
    other.loc[other["wages"] == 0, "wages"] = 1.0
    assert values(real, other)["zero_pair_mean"] < 5 * floor["zero_pair_mean"]  # no dividends without wages
    other.loc[other["dividends"] == 0, "dividends"] = 1.0
    assert values(real, other)["zero_pair_mean"] > 10 * floor["zero_pair_mean"]


def test_a_fresh_draw_raises_no_alarm():
    """Correlations of n normal rows have errors of variance 1 / n; 5 % of fresh pairs may exceed their 95 % point."""
    rng = np.random.default_rng(15)
    n, alarms = 500, 0
    for _ in range(200):
        a, b = rng.normal(size=(2, n, 2))
        gap = abs(correlation_matrix(a)[0, 1] - correlation_matrix(b)[0, 1])
        alarms += gap > stats.norm.isf(0.025) * np.sqrt(2 / n)
    assert stats.binomtest(alarms, 200, 0.05).pvalue > 1e-3


def test_what_does_not_vary_is_left_out_or_said():
    flat = pd.DataFrame({"a": [1.0, 1.0, 1.0], "b": [1.0, 2.0, 3.0]})
    records = {record.measure: record for record in joint_records(pair(flat, flat))}
    assert "varies" in records["pearson_rms"].reason
    assert "varies" in records["cramers_v_max"].reason
    assert "three" in records["table3_mean"].reason
    moved = flat.assign(a=[1.0, 2.0, 3.0])
    assert values(flat, moved)["pearson_rms"] == 1.0  # defined in one table alone: 0 in the other
    assert np.isnan(cramers_v([0, 0], [0, 1]))
    assert np.isnan(correlation_ratio([0, 1], [np.nan, 1.0]))
    assert np.isnan(nonzero_pairs([[np.nan, 1.0]])[0, 1])


def test_targets_choose_pairs():
    real, other = survey(500, 16), survey(500, 17)
    records = joint_records(pair(real, other), targets=["state"], n_triples=2)
    assert {record.measure: record.detail for record in records}["table2_mean"] == "3 pairs"
    assert {record.measure: record.detail for record in records}["table3_mean"] == "2 triples"
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'state'"):
        joint_records(pair(real, other), targets=["stat"])
