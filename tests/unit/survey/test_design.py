import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy import stats

from microplex.errors import ConvergenceWarning, DataError, ParameterError
from microplex.survey import Estimate, Replicates, SampleDesign, jackknife, mean, quantile, total


def drawn(seed=0, fpc=True, equal=False):
    """A sample of 60 rows in 5 strata, its design, and two variables."""
    random = np.random.default_rng(seed)
    strata = random.integers(5, size=60)
    clusters = strata * 10 + random.integers(4, size=60)
    clusters[:15] = np.repeat(np.arange(5), 3) * 10 + np.tile([0, 1, 2], 5)
    strata = clusters // 10
    weights = np.full(60, 2.0) if equal else random.random(60) + 0.5
    size = np.array([9.0, 12.0, 30.0, 8.0, 7.0])[strata] if fpc else None
    design = SampleDesign(weights, clusters, strata, size)
    return design, weights, clusters, strata, size, random.normal(5, 2, 60), random.random(60) + 1


def slow_variance(scores, clusters, strata, size):
    """The textbook's sum, stratum by stratum and cluster by cluster."""
    found = 0.0
    for stratum in sorted(set(strata)):
        labels = sorted({c for c, s in zip(clusters, strata, strict=True) if s == stratum})
        sums = [sum(z for z, c in zip(scores, clusters, strict=True) if c == label) for label in labels]
        m, centre = len(labels), sum(sums) / len(labels)
        share = 0.0 if size is None else m / size[list(strata).index(stratum)]
        found += (1 - share) * m / (m - 1) * sum((t - centre) ** 2 for t in sums)
    return found


@pytest.mark.parametrize("fpc", [True, False])
def test_totals_means_and_ratios_agree_with_the_slow_sum(fpc):
    design, w, clusters, strata, size, y, x = drawn(fpc=fpc)
    for found, value, influence in (
        (design.total(y), sum(w * y), y),
        (design.mean(y), sum(w * y) / sum(w), (y - sum(w * y) / sum(w)) / sum(w)),
        (design.ratio(y, x), sum(w * y) / sum(w * x), (y - sum(w * y) / sum(w * x) * x) / sum(w * x)),
    ):
        assert found.value == pytest.approx(value, rel=1e-12)
        assert found.se**2 == pytest.approx(slow_variance(w * influence, clusters, strata, size), rel=1e-10)
        assert found.df == len(set(clusters)) - 5


def test_a_simple_random_sample_has_the_variance_of_cochran():
    y = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    design = SampleDesign(np.full(5, 8.0), fpc=40)
    variance = 40**2 * (1 - 5 / 40) * y.var(ddof=1) / 5
    assert design.total(y).se == pytest.approx(np.sqrt(variance))
    assert design.mean(y).se == pytest.approx(np.sqrt(variance) / 40)
    assert SampleDesign(np.full(5, 8.0), fpc=5 / 40).total(y).se == pytest.approx(np.sqrt(variance))


def test_the_variance_is_unbiased_over_all_samples():
    """Horvitz and Thompson: over all 10 samples of 2 of 5, the mean estimated variance is the true one."""
    population = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    pairs = [population[[i, j]] for i in range(5) for j in range(i)]
    found = [SampleDesign([2.5, 2.5], fpc=5).total(pair) for pair in pairs]
    values = np.array([estimate.value for estimate in found])
    assert values.mean() == pytest.approx(population.sum())
    assert np.mean([estimate.se**2 for estimate in found]) == pytest.approx(values.var())


def test_a_stratum_taken_whole_adds_nothing_even_with_one_cluster():
    y = np.array([1.0, 5.0, 100.0])
    whole = SampleDesign([2.0, 2.0, 1.0], strata=["a", "a", "b"], fpc=[4, 4, 1]).total(y)
    assert whole.value == 112
    assert whole.se == pytest.approx(SampleDesign([2.0, 2.0], fpc=4).total(y[:2]).se)


def test_rows_of_a_cluster_count_as_their_sum():
    together = SampleDesign([2.0] * 4, clusters=["h", "h", "i", "j"]).total([1.0, 2.0, 5.0, 7.0])
    assert together.se == pytest.approx(SampleDesign([2.0] * 3).total([3.0, 5.0, 7.0]).se)


def test_order_and_labels_of_rows_do_not_matter():
    design, w, clusters, strata, size, y, x = drawn()
    order = np.random.default_rng(1).permutation(60)
    names = np.array([f"c{c}" for c in clusters])
    other = SampleDesign(w[order], names[order], pd.Categorical(strata[order].astype(str)), size[order])
    for first, second in (
        (design.ratio(y, x), other.ratio(y[order], x[order])),
        (design.quantile(y, 0.4), other.quantile(y[order], 0.4)),
    ):
        assert second.value == pytest.approx(first.value, rel=1e-12)
        assert second.se == pytest.approx(first.se, rel=1e-10)


def test_a_domain_is_the_ratio_of_zeroed_totals_and_keeps_the_design():
    design, w, clusters, strata, _, y, _ = drawn()
    domain = strata != 3
    domain[::3] = False
    assert design.mean(y, domain).se == pytest.approx(design.ratio(y * domain, domain).se)
    assert design.total(y, domain).se == pytest.approx(design.total(y * domain).se)
    assert design.mean(y, domain).df == len(set(clusters[domain])) - 4
    holes = np.where(domain, y, np.nan)
    assert design.total(holes, domain).se == design.total(y, domain).se
    assert design.quantile(holes, 0.5, domain).value == quantile(y[domain], 0.5, w[domain])[0]


def test_woodruff_by_hand():
    """Ten equal rows: the median 5 has the share 0.5 with se sqrt(0.5 0.5 / 9) = 1/6, and t(9) = 2.262."""
    found = SampleDesign(np.ones(10)).quantile(np.arange(1.0, 11.0), 0.5)
    assert found.value == 5
    low, high = 0.5 - 2.262157 / 6, 0.5 + 2.262157 / 6
    assert (np.ceil(10 * low), np.ceil(10 * high)) == (2, 9)
    assert found.interval() == (2, 9)
    assert found.se == pytest.approx(7 / (2 * 2.262157), rel=1e-6)
    narrow = 0.5 + stats.t.ppf(0.75, 9) / 6
    assert found.interval(0.5)[1] == np.ceil(10 * narrow) == 7


@pytest.mark.parametrize(("p", "value", "bounded"), [(0.05, 1, "above"), (0.85, 9, "below"), (0.95, 10, "below")])
def test_a_quantile_too_far_out_is_bounded_on_one_side(p, value, bounded):
    found = SampleDesign(np.ones(10)).quantile(np.arange(1.0, 11.0), p)
    assert found.value == value
    assert np.isnan(found.se)
    assert np.isnan(found.interval()).tolist() == [bounded == "above", bounded == "below"]


def test_a_constant_has_no_variance():
    found = SampleDesign([1.0, 2.0, 3.0]).quantile([4.0, 4.0, 4.0], 0.5)
    assert (found.value, found.se, found.interval()) == (4.0, 0.0, (4.0, 4.0))


def test_the_interval_uses_student():
    low, high = Estimate(3.0, 2.0, df=7).interval(0.9)
    assert (low, high) == pytest.approx(stats.t.interval(0.9, 7, 3.0, 2.0))
    assert np.isnan(Estimate(3.0, 2.0, df=0).interval()).all()
    with pytest.raises(ParameterError, match="level must lie between 0 and 1; got 95"):
        Estimate(3.0, 2.0).interval(95)


# -------------------------------------------------------------------------------------------------------- calibration


def greg(w, auxiliary, totals):
    return w * (1 + auxiliary @ np.linalg.lstsq(auxiliary.T * w @ auxiliary, totals - w @ auxiliary)[0])


def test_calibration_leaves_the_variance_of_residuals():
    design, w, clusters, strata, size, y, x = drawn()
    auxiliary = np.column_stack([np.ones(60), x])
    calibrated = greg(w, auxiliary, np.array([80.0, 120.0]))
    slope = np.linalg.solve(auxiliary.T * w @ auxiliary, auxiliary.T @ (w * y))
    found = design.calibrated(calibrated, auxiliary).total(y)
    assert found.value == pytest.approx(calibrated @ y)
    assert found.se**2 == pytest.approx(slow_variance(calibrated * (y - auxiliary @ slope), clusters, strata, size))


def test_what_was_calibrated_on_has_no_variance():
    design, w, *_, y, x = drawn()
    auxiliary = np.column_stack([np.ones(60), x])
    after = design.calibrated(greg(w, auxiliary, np.array([80.0, 120.0])), auxiliary)
    assert after.total(x).value == pytest.approx(120)
    assert after.total(x).se == pytest.approx(0, abs=1e-10)
    assert after.mean(x).se == pytest.approx(0, abs=1e-12)
    assert 0 < after.total(y).se < design.total(y).se


def test_post_stratification_is_the_residual_from_cell_means():
    design, w, clusters, strata, size, y, _ = drawn()
    cells = np.arange(60) % 3
    known = np.array([30.0, 40.0, 35.0])
    calibrated = w * (known / np.bincount(cells, weights=w))[cells]
    means = np.bincount(cells, weights=w * y) / np.bincount(cells, weights=w)
    found = design.calibrated(calibrated, np.eye(3)[cells]).total(y)
    expected = slow_variance(calibrated * (y - means[cells]), clusters, strata, size)
    assert found.se**2 == pytest.approx(expected)


def test_unweighted_regression_iterates_cell_means_to_their_end():
    design, w, clusters, strata, size, y, _ = drawn()
    margins = [np.arange(60) % 3, np.arange(60) // 7 % 2]
    residual = y.copy()
    for _ in range(200):
        for cells in margins:
            residual -= (np.bincount(cells, weights=residual) / np.bincount(cells))[cells]
    indicators = np.hstack([np.eye(3)[margins[0]], np.eye(2)[margins[1]]])
    found = design.calibrated(1.5 * w, indicators, regression="unweighted").total(y)
    assert found.se**2 == pytest.approx(slow_variance(1.5 * w * residual, clusters, strata, size))


@pytest.mark.parametrize("within", [False, True])
def test_sparse_and_dependent_auxiliaries_give_the_same(within):
    design, w, clusters, *_, y, x = drawn(equal=True)
    indicators = np.hstack([np.ones((60, 1)), np.eye(3)[np.arange(60) % 3], np.zeros((60, 1)), x[:, None]])
    ratio = 1 + 0.1 * np.cos(clusters)
    one = design.calibrated(w * ratio, indicators[:, [1, 2, 3, 5]], within_clusters=within)
    for auxiliary in (indicators, sp.csr_array(indicators), sp.coo_matrix(indicators)):
        other = design.calibrated(w * ratio, auxiliary, within_clusters=within)
        assert other.total(y).se == pytest.approx(one.total(y).se, rel=1e-9)
        assert other.quantile(y, 0.5).se == pytest.approx(one.quantile(y, 0.5).se, rel=1e-9)


@pytest.mark.parametrize("gap", [1e-2, 1e-4])
def test_sparse_auxiliaries_may_nearly_depend_on_each_other(gap):
    design, w, *_, y, x = drawn()
    auxiliary = np.column_stack([np.ones(60), x, x + gap * y])
    calibrated = [design.calibrated(w, form(auxiliary)) for form in (np.asarray, sp.csr_array)]
    assert calibrated[0].total(y).se == pytest.approx(0, abs=1e-9 / gap)
    assert calibrated[1].total(y).se == pytest.approx(0, abs=1e-7)
    assert calibrated[1].total(y**2).se == pytest.approx(calibrated[0].total(y**2).se, rel=1e-7)


def test_residuals_that_do_not_settle_are_said():
    design, w, *_, y, x = drawn()
    auxiliary = sp.csr_array(np.column_stack([np.ones(60), x, x + 1e-7 * y]))
    with pytest.warns(ConvergenceWarning, match="did not settle in 50 refinements.*Give them as a dense array"):
        design.calibrated(w, auxiliary).total(y)


def test_scaling_auxiliaries_changes_nothing():
    design, w, *_, y, x = drawn()
    auxiliary = np.column_stack([np.ones(60), x])
    one, other = (design.calibrated(w, auxiliary * scale) for scale in ([1, 1], [1e-9, 1e9]))
    assert other.total(y).se == pytest.approx(one.total(y).se, rel=1e-9)


@pytest.mark.parametrize("equal", [True, False])
def test_equal_ratios_within_clusters_regress_cluster_means(equal):
    """It is the regression of cluster totals t_c on theirs, t_c(x), weighted by 1 / sum of d in the cluster."""
    design, w, clusters, _, size, y, x = drawn(equal=equal)
    auxiliary = np.column_stack([np.ones(60), x])
    sums = pd.DataFrame(np.column_stack([w, w[:, None] * auxiliary, w * y])).groupby(clusters).sum()
    d, of_x, of_y = sums[0].to_numpy(), sums[[1, 2]].to_numpy(), sums[3].to_numpy()
    slope = np.linalg.solve(of_x.T / d @ of_x, of_x.T / d @ of_y)
    change = np.linalg.solve(of_x.T / d @ of_x, np.array([130.0, 200.0]) - of_x.sum(axis=0))
    ratio = 1 + (of_x / d[:, None]) @ change
    place = np.unique(clusters, return_inverse=True)[1]
    after = design.calibrated(w * ratio[place], auxiliary, within_clusters=True)
    home, index = sums.index.to_numpy(), np.unique(place, return_index=True)[1]
    expected = slow_variance(ratio * (of_y - of_x @ slope), home, home // 10, size[index])
    assert after.total(y).se ** 2 == pytest.approx(expected)
    assert after.total(x).value == pytest.approx(200)
    assert after.total(x).se == pytest.approx(0, abs=1e-9)


def test_negative_calibrated_weights_count():
    design = SampleDesign([1.0, 1.0, 1.0]).calibrated([-0.5, 2.0, 2.0], np.ones(3))
    assert design.total([1.0, 2.0, 3.0]).value == 9.5
    assert design.total([1.0, 2.0, 3.0]).se == pytest.approx(np.sqrt(1.5 * np.var([0.5, 0.0, 2.0]) * 3))
    with pytest.raises(DataError, match=r"a quantile needs weights of at least 0; row 0 has -0\.5"):
        design.quantile([1.0, 2.0, 3.0], 0.5)


# --------------------------------------------------------------------------------------------------------- replicates


def test_jackknife_replicates_of_a_total_are_the_linearised_variance():
    design, w, clusters, strata, size, y, x = drawn()
    by_replicates = SampleDesign(w, replicates=jackknife(w, clusters, strata, size))
    assert by_replicates.total(y).se == pytest.approx(design.total(y).se)
    assert by_replicates.mean(y).value == pytest.approx(mean(y, w))
    assert by_replicates.ratio(y, x).se == pytest.approx(design.ratio(y, x).se, rel=0.1)
    assert by_replicates.quantile(y, 0.5).value == design.quantile(y, 0.5).value
    assert by_replicates.mean(y).df == np.linalg.matrix_rank(by_replicates.replicates.weights) - 1


def test_every_estimate_from_replicates_is_the_slow_sum():
    design, w, clusters, strata, size, y, x = drawn()
    domain = np.arange(60) % 4 > 0
    replicates = jackknife(w, clusters, strata, size)
    design = SampleDesign(w, replicates=replicates)

    def slow(statistic):
        centre = statistic(w)
        return replicates.scale @ [(statistic(row) - centre) ** 2 for row in replicates.weights]

    assert design.total(y, domain).se ** 2 == pytest.approx(slow(lambda v: total(y[domain], v[domain])))
    assert design.mean(y, domain).se ** 2 == pytest.approx(slow(lambda v: mean(y[domain], v[domain])))
    assert design.ratio(y, x).se ** 2 == pytest.approx(slow(lambda v: total(y, v) / total(x, v)))


def test_negative_replicates_are_used_as_they_are():
    replicates = Replicates(np.array([[-1.0, 3.0], [3.0, -1.0]]), np.array([0.5, 0.5]))
    found = SampleDesign([1.0, 1.0], replicates=replicates).total([1.0, 2.0])
    assert (found.value, found.se) == (3.0, 2.0)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": [1, 2, 1, 2], "strata": list("aabb")}, "clusters must lie within strata.*number them anew"),
        (
            {"strata": list("aaab")},
            "stratum 'b' has a single cluster, which tells no variance. Merge it .* an fpc of one",
        ),
        ({"clusters": list("aaaa")}, "the sample has a single cluster"),
        ({"strata": list("aabb"), "fpc": [9, 9, 1.5, 1.5]}, "fpc of stratum 'b' is 1.5, fewer than its 2 sampled"),
        ({"fpc": [9, 9, 9, 8]}, "same throughout a stratum; the sample has 9.0 in row 0 and 8.0 elsewhere"),
        ({"strata": list("aabb"), "fpc": [9, 9, 0.5, 0.5]}, "not both; row 0 has 9.0, row 2 has 0.5"),
        ({"fpc": [9, 9, np.nan, 9]}, "fpc must be positive and finite; row 2 has nan"),
        ({"fpc": 0}, "fpc must be positive and finite; row 0 has 0.0"),
        ({"fpc": [9, 9]}, r"fpc must be one number or one for each of 4 rows; got shape \(2,\)"),
        ({"strata": list("aab")}, "one entry for each of 4 rows; got 4 and 3"),
        ({"clusters": ["a", None, "b", "c"]}, "must not be missing; row 1 of clusters is"),
        ({"strata": [1.0, 1.0, np.nan, 1.0]}, "must not be missing; row 2 of strata is"),
    ],
)
def test_designs_that_contradict_themselves(options, message):
    with pytest.raises(DataError, match=message):
        SampleDesign(np.ones(4), **options)


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, np.nan], [0.0, 0.0], []])
def test_bad_weights(weights):
    with pytest.raises(DataError, match="weights"):
        SampleDesign(weights)


def test_bad_values_and_domains():
    design = SampleDesign(np.ones(3))
    with pytest.raises(DataError, match=r"values must be finite; row 1 has nan \(2 such rows\). Give domain="):
        design.mean([1.0, np.nan, np.inf])
    with pytest.raises(DataError, match="denominator must have one entry for each of 3 rows"):
        design.ratio([1.0, 2.0, 3.0], [1.0])
    with pytest.raises(DataError, match="denominator's weighted total is 0"):
        design.mean([1.0, 2.0, 3.0], np.zeros(3, bool))
    for domain in ([0, 1, 2], [True, False]):
        with pytest.raises(DataError, match="domain must have one truth value for each of 3 rows"):
            design.total([1.0, 2.0, 3.0], domain)
    with pytest.raises(ParameterError, match="p must lie between 0 and 1; got 50"):
        design.quantile([1.0, 2.0, 3.0], 50)
    with pytest.raises(DataError):
        design.quantile([1.0, 2.0, 3.0], 0.5, np.zeros(3, bool))


def test_bad_calibrations():
    design, ones = SampleDesign(np.ones(3)), np.ones(3)
    with pytest.raises(DataError, match=r"one row for each of 3 weights; got shape \(2, 3\). Transpose it"):
        design.calibrated(ones, np.ones((2, 3)))
    for auxiliary in (np.array([[1.0], [np.nan], [1.0]]), sp.csr_array([[1.0], [np.nan], [1.0]])):
        with pytest.raises(DataError, match="auxiliary must be finite; row 1, column 0 has nan"):
            design.calibrated(ones, auxiliary)
    with pytest.raises(DataError, match="weights must be one for each of 3 rows"):
        design.calibrated(np.ones(2), ones)
    with pytest.raises(DataError, match="weights must be finite; row 2 has inf"):
        design.calibrated([1.0, 1.0, np.inf], ones)
    with pytest.raises(ParameterError, match="Did you mean 'unweighted'"):
        design.calibrated(ones, ones, regression="unweigthed")
    with pytest.raises(ParameterError, match="calibrated already"):
        design.calibrated(ones, ones).calibrated(ones, ones)
    with pytest.raises(DataError, match=r"positive base weights; row 1 has 0\.0"):
        SampleDesign([1.0, 0.0, 1.0]).calibrated(ones, ones)
    with pytest.raises(DataError, match="one ratio of calibrated to base weight in each cluster; row 0 has 1 where"):
        SampleDesign(ones, clusters=[0, 0, 1]).calibrated([1.0, 2.0, 1.0], ones, within_clusters=True)


def test_bad_replicates():
    replicates = jackknife(np.ones(3))
    with pytest.raises(DataError, match="replicates are for 3 rows; there are 2 weights"):
        SampleDesign(np.ones(2), replicates=replicates)
    with pytest.raises(ParameterError, match="replicates stand for clusters, strata"):
        SampleDesign(np.ones(3), strata=[1, 1, 1], replicates=replicates)
    with pytest.raises(ParameterError, match="Calibrate every row of replicates"):
        SampleDesign(np.ones(3), replicates=replicates).calibrated(np.ones(3), np.ones(3))
    with pytest.raises(DataError, match="replicate 1 gives the estimate nan: it has no weight"):
        SampleDesign(np.ones(3), replicates=replicates).mean(np.ones(3), np.array([False, True, False]))
