import numpy as np
import pytest
from scipy import stats

from microplex.errors import DataError, ParameterError
from microplex.survey import ess, integerise_weights, kish_design_effect, trim_weights

ALPHA = 1e-3  # with a fresh seed, the one statistical test of this file would fail with this probability


def test_effective_size_by_hand():
    assert ess([1, 2, 3]) == pytest.approx(36 / 14)
    assert kish_design_effect([1, 2, 3]) == pytest.approx(3 * 14 / 36)


def test_the_design_effect_is_one_plus_the_squared_coefficient_of_variation():
    w = np.random.default_rng(0).lognormal(size=500)
    assert kish_design_effect(w) == pytest.approx(1 + (w.std() / w.mean()) ** 2)
    assert ess(w) * kish_design_effect(w) == pytest.approx(500)


def test_a_common_factor_and_rows_of_weight_zero_change_nothing():
    w = np.array([1.0, 2.0, 3.0])
    for other in (7 * w, w * 1e-300, w * 1e300, np.append(w, 0.0)):
        assert ess(other) == pytest.approx(ess(w))
        assert kish_design_effect(other) == pytest.approx(kish_design_effect(w))


def test_trimming_keeps_the_sum_and_the_cap():
    w = np.random.default_rng(1).pareto(1.2, 2000) + 0.1
    trimmed = trim_weights(w, largest=6.0)
    assert trimmed.sum() == pytest.approx(w.sum())
    assert trimmed.max() <= 6 * np.median(w) * (1 + 1e-12)
    assert np.diff(trimmed[np.argsort(w)]).min() > -1e-9
    assert ess(trimmed) > ess(w)


def test_weights_below_the_cap_stay():
    assert trim_weights([1, 2, 3, 0], largest=5.0).tolist() == [1.0, 2.0, 3.0, 0.0]


def test_a_cap_too_low_is_refused():
    with pytest.raises(ParameterError, match=r"largest must be above 2\.8 to keep the sum of the weights; got 2"):
        trim_weights([1, 1, 1, 1, 10], largest=2)


def test_whole_weights_are_neighbours_and_keep_the_sum():
    w = np.random.default_rng(2).lognormal(size=1000) * 3
    for seed in range(5):
        whole = integerise_weights(w, seed)
        assert whole.dtype == np.int64
        assert (np.abs(whole - w) < 1).all()
        assert abs(whole.sum() - w.sum()) < 1
    assert (integerise_weights(w, 0) == integerise_weights(w, 0)).all()
    assert (integerise_weights(w, 0) != integerise_weights(w, 1)).any()


def test_whole_numbers_stay():
    assert integerise_weights([3.0, 0.0, 7.0], seed=5).tolist() == [3, 0, 7]
    assert integerise_weights(np.full(10, 0.1), seed=5).sum() == 1


def test_rounding_is_unbiased():
    w = np.array([0.2, 1.5, 2.9, 0.7, 3.3])
    draws = np.array([integerise_weights(w, seed) for seed in range(2000)])
    fraction = w - np.floor(w)
    z = (draws.mean(axis=0) - w) / np.sqrt(fraction * (1 - fraction) / len(draws))
    assert np.abs(z).max() < stats.norm.isf(ALPHA / 2 / len(w))


@pytest.mark.parametrize("function", [ess, kish_design_effect, trim_weights, integerise_weights])
@pytest.mark.parametrize(
    ("weights", "message"),
    [([1, -2], "row 1 has -2"), ([1, float("nan")], "row 1 has nan"), ([0, 0], "all 2 weights are 0"), ([], "sum")],
)
def test_bad_weights_are_named(function, weights, message):
    with pytest.raises(DataError, match=message):
        function(weights)
