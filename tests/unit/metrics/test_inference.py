import numpy as np
import pytest
from scipy import stats

from microplex.errors import DataError, ParameterError
from microplex.metrics.inference import RULES, combine

Q, U = [10.0, 12.0, 11.0, 15.0], [4.0, 3.0, 5.0, 4.0]  # mean 12, b 14/3; u 4
N = 60
RUNS = 2000
# Normal samples: a share of intervals that hold the truth 4 binomial standard errors (plus the error of the rule's
# approximation, stated in each test) from 95 % would come up with probability 6e-5 with a fresh seed.
SLACK = 4 * np.sqrt(0.95 * 0.05 / RUNS)


def coverage(simulate, truth=0.0, **options):
    inside = 0
    for seed in range(RUNS):
        low, high = combine(*simulate(np.random.default_rng(seed)), **options).interval
        inside += low <= truth <= high
    return inside / RUNS


def estimates(tables):
    return tables.mean(axis=1), tables.var(axis=1, ddof=1) / tables.shape[1]


def posterior(sample, m, random):
    """Draws of mean and variance from their posterior under the usual vague prior."""
    n = len(sample)
    variances = (n - 1) * sample.var(ddof=1) / random.chisquare(n - 1, m)
    return sample.mean() + np.sqrt(variances / n) * random.normal(size=m), variances


def simple(random, m=5, k=N):
    """Synthetic tables from the fitted law; no parameter is drawn."""
    sample = random.normal(size=N)
    return estimates(random.normal(sample.mean(), sample.std(ddof=1), (m, k)))


def proper(random, m=5, k=N):
    means, variances = posterior(random.normal(size=N), m, random)
    return estimates(means[:, None] + np.sqrt(variances)[:, None] * random.normal(size=(m, k)))


def imputed(random, m=5):
    """A third of the values is missing at random and imputed properly."""
    sample = random.normal(size=N)
    missing = N // 3
    means, variances = posterior(sample[missing:], m, random)
    filled = np.tile(sample, (m, 1))
    filled[:, :missing] = means[:, None] + np.sqrt(variances)[:, None] * random.normal(size=(m, missing))
    return estimates(filled)


def test_rubin_by_hand():
    result = combine(Q, U, rule="rubin")
    assert (result.estimate, result.within, result.between, result.m) == pytest.approx((12, 4, 14 / 3, 4))
    extra = 1.25 * 14 / 3
    assert result.variance == pytest.approx(4 + extra)
    assert result.df == pytest.approx(3 * (1 + 4 / extra) ** 2)
    half = stats.t.ppf(0.975, result.df) * np.sqrt(4 + extra)
    assert result.interval == pytest.approx((12 - half, 12 + half))
    assert result.se == pytest.approx(np.sqrt(4 + extra))


def test_barnard_and_rubin_by_hand():
    plain, result = combine(Q, U, rule="rubin"), combine(Q, U, rule="rubin", complete_df=20)
    gamma = 1.25 * (14 / 3) / plain.variance
    observed = (20 + 1) / (20 + 3) * 20 * (1 - gamma)
    assert result.variance == plain.variance
    assert result.df == pytest.approx(1 / (1 / plain.df + 1 / observed))
    assert result.df < min(20, plain.df)


def test_reiter_by_hand():
    result = combine(Q, U, rule="reiter", level=0.9)
    assert result.variance == pytest.approx(4 + 14 / 12)
    assert result.df == pytest.approx(3 * (1 + 4 / (14 / 12)) ** 2)
    half = stats.t.ppf(0.95, result.df) * np.sqrt(4 + 14 / 12)
    assert result.interval == pytest.approx((12 - half, 12 + half))
    assert result.level == 0.9
    assert combine(Q, U) == combine(Q, U, rule="reiter")


def test_raab_by_hand():
    assert combine(Q, U, rule="raab").variance == pytest.approx(4 * (1 + 1 / 4))
    assert combine(Q, U, rule="raab", size_ratio=0.5).variance == pytest.approx(4 * (0.5 + 1 / 4))
    assert combine(Q, U, rule="raab", size_ratio=0.5, proper=True).variance == pytest.approx(4 * (0.5 + 1.5 / 4))
    one = combine([10.0], [4.0], rule="raab")
    assert (one.variance, one.between, one.df) == (8.0, 0.0, np.inf)
    half = stats.norm.ppf(0.975) * np.sqrt(8)
    assert one.interval == pytest.approx((10 - half, 10 + half))
    assert combine([10.0], [4.0], rule="raab", complete_df=7).df == 7


def test_raghunathan_by_hand_and_its_adjustment():
    result = combine(Q, U, rule="raghunathan")
    assert result.variance == pytest.approx(1.25 * 14 / 3 - 4)
    assert result.df == pytest.approx(3 * (1 - 4 / (1.25 * 14 / 3)) ** 2)
    assert not result.adjusted
    adjusted = combine([10.0, 10.5, 11.0], [4.0, 4.0, 4.0], rule="raghunathan", size_ratio=0.5)
    assert (adjusted.variance, adjusted.df, adjusted.adjusted) == (2.0, np.inf, True)


def test_equal_estimates_leave_the_variance_within():
    for rule in ("rubin", "reiter"):
        result = combine([3.0, 3.0], [4.0, 4.0], rule=rule)
        assert (result.variance, result.df) == (4.0, np.inf)
    assert combine([3.0, 3.0], [0.0, 0.0]).interval == (3.0, 3.0)
    assert combine([3.0, 3.0], [4.0, 4.0], rule="rubin", complete_df=9).df == pytest.approx(9 * 10 / 12)


def test_rubin_holds_for_proper_imputation():
    assert abs(coverage(imputed, rule="rubin", complete_df=N - 1) - 0.95) < SLACK + 0.005


def test_reiter_holds_for_synthesis_with_and_without_drawn_parameters():
    # Drawn parameters widen the spread of the estimates by as much as b grows (Reiter and Kinney, 2012).
    for simulate in (simple, proper):
        assert abs(coverage(simulate, rule="reiter") - 0.95) < SLACK + 0.01


@pytest.mark.parametrize(("m", "k"), [(1, N), (5, N), (1, 3 * N), (4, N // 2)])
def test_raab_holds_for_complete_synthesis_of_any_size(m, k):
    got = coverage(lambda r: simple(r, m, k), rule="raab", size_ratio=k / N, complete_df=N - 1)
    assert abs(got - 0.95) < SLACK + 0.01


def test_raab_holds_for_proper_synthesis():
    got = coverage(lambda r: proper(r, 2, N), rule="raab", proper=True, complete_df=N - 1)
    assert abs(got - 0.95) < SLACK + 0.01


def test_raghunathan_holds_for_many_synthetic_populations():
    # The interval is known to be wide or narrow by a few points at 50 tables.
    got = coverage(lambda r: proper(r, 50, N), rule="raghunathan")
    assert abs(got - 0.95) < SLACK + 0.02


def test_the_wrong_rule_shows():
    naive = sum(
        abs(q[0]) <= stats.t.ppf(0.975, N - 1) * np.sqrt(u[0])
        for q, u in (simple(np.random.default_rng(seed), 1) for seed in range(RUNS))
    )
    assert naive / RUNS < 0.90
    assert coverage(simple, rule="rubin") > 0.97


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "raab"])
def test_one_table_is_enough_for_raab_only(rule):
    with pytest.raises(ParameterError, match=f"rule '{rule}' needs at least 2 tables.*got 1"):
        combine([1.0], [1.0], rule=rule)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "ruben"}, "Did you mean 'rubin'"),
        ({"level": 95}, "level must lie between 0 and 1; got 95"),
        ({"rule": "rubin", "complete_df": 0}, "complete_df must be positive; got 0"),
        ({"rule": "raab", "size_ratio": -1.0}, r"size_ratio must be positive.*got -1\.0"),
        ({"rule": "raab", "size_ratio": np.inf}, "size_ratio must be positive.*got inf"),
        ({"rule": "reiter", "complete_df": 10}, "rule 'reiter' makes no use of complete_df"),
        ({"rule": "rubin", "proper": True}, "rule 'rubin' makes no use of proper"),
        ({"rule": "reiter", "size_ratio": 2.0}, "rule 'reiter' makes no use of size_ratio"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        combine(Q, U, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [1.0]), r"got shapes \(2,\) and \(1,\)"),
        (([[1.0, 2.0]], [[1.0, 2.0]]), "Combine the coefficients of a model one by one"),
        (([], []), r"got shapes \(0,\) and \(0,\)"),
        (([1.0, np.nan], [1.0, 1.0]), "estimates must be finite; table 1 has nan"),
        (([1.0, 2.0], [1.0, np.inf]), "variances must be finite; table 1 has inf"),
        (([1.0, 2.0], [1.0, -0.5]), r"variances must not be negative; table 1 has -0\.5.*squared standard errors"),
    ],
)
def test_bad_figures_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        combine(*arguments)
