import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex.schema.grain import find_heaps, find_resolution, multiples, to_units

RNG = np.random.default_rng


def heaps_of(values, resolution=1.0):
    distinct, counts = np.unique(values, return_counts=True)
    return find_heaps(distinct, counts, resolution)


@pytest.mark.parametrize("grain", [0.001, 0.01, 0.05, 0.25, 0.5, 1.0, 5.0, 25.0, 100.0, 1000.0])
def test_resolution_of_multiples(grain):
    units = RNG(0).integers(1, 5000, 400).astype(float)
    assert find_resolution(np.unique(multiples(units, grain))) == grain


def test_resolution_survives_the_rounding_of_sums():
    cents = RNG(1).integers(1, 10**7, (500, 6)) / 100
    assert find_resolution(np.unique(cents.sum(axis=1) - cents[:, 0])) == 0.01


def test_continuous_values_have_no_resolution():
    assert find_resolution(RNG(2).lognormal(10, 2, 1000)) is None
    assert find_resolution(RNG(2).normal(0, 1e-3, 1000)) is None


def test_large_continuous_values_have_no_resolution():
    # Half a float's digits lie before the point: a relative tolerance would call all of them whole.
    assert find_resolution(RNG(3).uniform(1e10, 1e11, 1000)) is None
    # So large that all are whole by themselves.
    assert find_resolution(RNG(3).uniform(1e16, 1e18, 1000)) is None


def test_one_odd_value_breaks_a_resolution():
    cents = np.arange(1.0, 100.0) / 100
    assert find_resolution(cents) == 0.01
    assert find_resolution(np.r_[cents, 1 / 3]) is None


def test_few_values_do_not_vote_for_a_coarse_resolution():
    assert find_resolution(np.array([0.0, 5000.0, 20000.0])) == 1.0
    assert find_resolution(np.array([0.0])) == 1.0


def test_near_multiples_are_not_multiples():
    units, exact, _ = to_units(np.array([1.0, 1.0 + 1e-9, 1e6 + 1e-4]), 2)
    assert exact.tolist() == [True, False, False]
    assert units.tolist() == [100, 100, 10**8]


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50), st.integers(0, 4))
def test_decimals_are_always_recognised(units, decimals):
    values = np.array(units) / 10**decimals
    assert to_units(values, decimals)[1].all()


@given(st.integers(-(10**9), 10**9), st.sampled_from([0.01, 0.05, 0.001, 0.25]))
def test_multiples_are_the_nearest_floats(count, grain):
    text = f"{count}*{grain}"
    exact = count * round(grain * 1000) / 1000
    assert multiples(np.array([float(count)]), grain)[0] == pytest.approx(exact, rel=1e-15), text


def test_smooth_integers_have_no_heaps():
    for seed in range(20):
        assert heaps_of(RNG(seed).lognormal(9, 1, 4000).round()) == ()


def test_rounding_to_thousands_is_one_heap():
    rng = RNG(4)
    values = rng.lognormal(10, 0.8, 20000).round()
    values[:6000] = (values[:6000] / 1000).round() * 1000
    assert heaps_of(values[values != 0]) == (1000.0,)


def test_several_heaps_descend():
    rng = RNG(5)
    values = rng.lognormal(10, 0.8, 30000).round()
    for start, grain in ((0, 5000), (6000, 1000), (12000, 100)):
        values[start : start + 6000] = (values[start : start + 6000] / grain).round() * grain
    assert heaps_of(values[values != 0]) == (5000.0, 1000.0, 100.0)


def test_heaps_among_continuous_values():
    rng = RNG(6)
    values = rng.lognormal(10, 0.8, 5000)
    values[:1000] = (values[:1000] / 100).round() * 100
    assert heaps_of(values[values != 0], resolution=None) == (100.0,)


def test_losses_are_heaped_like_gains():
    rng = RNG(7)
    values = rng.normal(0, 40000, 8000).round()
    values[:3000] = (values[:3000] / 1000).round() * 1000
    assert heaps_of(values[values != 0]) == (1000.0,)


def test_no_values_no_heaps():
    assert find_heaps(np.empty(0), np.empty(0, np.int64), 1.0) == ()
