import numpy as np
import pytest

from microplex.errors import DataError, ParameterError
from microplex.imputation import combine


def test_a_scalar_follows_rubins_formulas_by_hand():
    found = combine([1.0, 2.0, 3.0], [0.5, 0.7, 0.6])
    within, between = 0.6, 1.0
    total = within + 4 / 3 * between
    riv = 4 / 3 * between / within
    assert found.estimate == 2.0
    assert found.variance == pytest.approx(total)
    assert found.riv == pytest.approx(riv)
    assert found.df == pytest.approx(2 * (1 + 1 / riv) ** 2)
    assert found.fmi == pytest.approx((riv + 2 / (found.df + 3)) / (riv + 1))


def test_small_samples_have_fewer_degrees_of_freedom_than_the_complete_file():
    q, u = [1.0, 1.1, 0.9, 1.05], [0.04, 0.05, 0.04, 0.045]
    large, small = combine(q, u), combine(q, u, n_complete=20)
    assert small.df < 20 < large.df
    share = large.riv / (1 + large.riv)
    observed = 21 / 23 * 20 * (1 - share)
    assert small.df == pytest.approx(1 / (1 / large.df + 1 / observed))


def test_vectors_and_covariances_agree_with_scalars():
    rng = np.random.default_rng(0)
    q, u = rng.normal(size=(5, 3)), rng.random((5, 3)) + 0.1
    both = combine(q, u)
    full = combine(q, np.stack([np.diag(v) for v in u]))
    for k in range(3):
        one = combine(q[:, k], u[:, k])
        assert both.variance[k] == pytest.approx(one.variance)
        assert both.df[k] == pytest.approx(one.df)
    assert np.diag(full.covariance) == pytest.approx(both.variance)
    assert full.covariance[0, 1] == pytest.approx(1.2 * np.cov(q.T)[0, 1])


def test_estimates_that_agree_add_nothing():
    found = combine([2.0, 2.0], [0.25, 0.25], n_complete=30)
    assert (found.variance, found.fmi, found.riv) == (0.25, 0.0, 0.0)
    assert found.df == pytest.approx(31 / 33 * 30)
    assert np.isinf(combine([2.0, 2.0], [0.25, 0.25]).df)


def test_an_estimate_that_only_imputation_moves_has_no_degrees_of_freedom_and_no_end():
    low, high = combine([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], n_complete=10).interval()
    assert (low, high) == (-np.inf, np.inf)
    assert np.isfinite(combine([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]).interval()).all()


def test_the_table_shows_a_line_an_estimate():
    text = str(combine(np.ones((2, 3)), np.ones((2, 3))))
    assert len(text.splitlines()) == 5


@pytest.mark.parametrize(
    ("estimates", "variances", "text"),
    [
        ([1.0], [0.1], "at least 2"),
        ([[1.0, 2.0], [1.0, 2.0]], [0.1, 0.2], "shape of the estimates"),
        ([1.0, np.nan], [0.1, 0.1], "estimates must be finite; completed file 1"),
        ([[1.0, 2.0], [1.0]], [[0.1, 0.2], [0.1]], "as many from each"),
        (["a", "b"], [0.1, 0.1], "estimates must be numbers"),
        ([1.0, 1.0], [0.1, -0.1], "variances must be finite and not negative; completed file 1"),
    ],
)
def test_bad_estimates_are_named(estimates, variances, text):
    with pytest.raises(DataError, match=text):
        combine(estimates, variances)


def test_bad_settings_are_named():
    with pytest.raises(ParameterError, match="n_complete"):
        combine([1.0, 1.0], [1.0, 1.0], n_complete=0)
    with pytest.raises(ParameterError, match="level"):
        combine([1.0, 1.0], [1.0, 1.0]).interval(95)
    with pytest.raises(ParameterError, match="level"):
        combine([1.0, 1.0], [1.0, 1.0]).interval("95%")
    with pytest.raises(ParameterError, match="n_complete"):
        combine([1.0, 1.0], [1.0, 1.0], n_complete="all")
