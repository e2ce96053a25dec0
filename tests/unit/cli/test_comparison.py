import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, spearmanr

from microplex.cli.comparison import compare, describe, ks_distance, level_shares, spearman
from microplex.errors import DataError


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)

    def draw(n, shift):
        wages = np.where(rng.random(n) < 0.4, 0.0, rng.lognormal(10 + shift, 1, n).round(-2))
        rent = np.where(rng.random(n) < 0.6, 0.0, 0.1 * wages + rng.normal(0, 100, n))
        job = rng.choice(["a", "b", "c"], n, p=[0.5 - shift, 0.3 + shift, 0.2])
        return pd.DataFrame({"age": rng.integers(18, 80, n), "wages": wages, "rent": rent, "job": job})

    return draw(700, 0.0), draw(500, 0.1)


def test_a_table_is_at_no_distance_from_itself(tables):
    joint = compare(tables[0], tables[0], ["wages", "rent", "job"], ["age"]).joint
    assert (joint.ks, joint.zero_error, joint.level_error, joint.spearman_error, joint.zero_pair_error) == (0,) * 5


def test_distances_agree_with_scipy(tables):
    real, other = tables
    assert ks_distance(real["wages"], other["wages"]) == pytest.approx(
        ks_2samp(real["wages"], other["wages"]).statistic
    )
    ranks = spearman(real[["age", "wages", "rent"]].to_numpy(float))
    np.testing.assert_allclose(ranks, spearmanr(real[["age", "wages", "rent"]]).statistic, atol=1e-12)


def test_the_joint_distances_follow_their_definitions(tables):
    real, other = tables
    joint = compare(real, other, ["wages", "rent", "job"], ["age"]).joint
    some = [(t[["wages", "rent"]] != 0).to_numpy() for t in tables]
    assert joint.zero_error == pytest.approx(np.abs(some[0].mean(0) - some[1].mean(0)).mean())
    assert joint.zero_pair_error == pytest.approx(abs(some[0].all(1).mean() - some[1].all(1).mean()))
    shares = [t["job"].value_counts(normalize=True).sort_index() for t in tables]
    assert joint.level_error == pytest.approx((shares[0] - shares[1]).abs().sum() / 2)
    gap = np.subtract(*(spearmanr(t[["wages", "rent", "age"]]).statistic for t in tables))
    assert joint.spearman_error == pytest.approx(np.sqrt((gap[[0, 0, 1], [1, 2, 2]] ** 2).mean()))


def test_a_row_of_weight_3_counts_as_the_row_three_times(tables):
    real, other = (t.assign(w=np.arange(len(t)) % 4) for t in tables)
    thrice = other.loc[other.index.repeat(other["w"])].assign(w=1)
    once = real.loc[real.index.repeat(real["w"])].assign(w=1)
    weighted = compare(real, other, ["wages", "rent", "job"], ["age"], weight="w")
    repeated = compare(once, thrice, ["wages", "rent", "job"], ["age"], weight="w")
    assert weighted.joint.spearman_error == pytest.approx(repeated.joint.spearman_error, abs=1e-12)
    for a, b in zip(weighted.margins, repeated.margins, strict=True):
        assert (a.mean, a.zero_share, a.ks) == pytest.approx((b.mean, b.zero_share, b.ks))
        assert (a.p50, a.p90, a.p99) == (b.p50, b.p90, b.p99)
    pd.testing.assert_series_equal(weighted.levels["job"], repeated.levels["job"])


def test_quantiles_are_of_values_that_are_not_zero():
    table = pd.DataFrame({"x": [0.0] * 90 + list(range(1, 11))})
    margin = describe(table, table, "x", None, None)
    assert (margin.p50, margin.p90, margin.zero_share) == (5, 9, pytest.approx(0.9))


def test_a_variable_of_zeros_alone_has_no_correlation():
    table = pd.DataFrame({"x": [0.0, 0, 0], "y": [1.0, 2, 3]})
    comparison = compare(table, table.assign(x=1.0), ["x", "y"])
    assert comparison.margins[0].ks == 1
    assert comparison.joint.spearman_error == 0


def test_a_level_that_one_table_lacks_counts(tables):
    real = pd.DataFrame({"job": ["a", "a", "b", "b"]})
    assert compare(real, real.assign(job="a"), ["job"]).joint.level_error == pytest.approx(0.5)
    levels = level_shares(pd.Series(pd.Categorical(["b", "b"], ["c", "b"])), None)
    assert levels.to_dict() == {"c": 0.0, "b": 1.0}


def test_missing_values_are_refused(tables):
    real, other = tables
    with pytest.raises(DataError, match="finite"):
        compare(real, other.assign(rent=np.nan), ["wages", "rent"])
