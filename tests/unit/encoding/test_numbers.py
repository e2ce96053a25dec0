"""Codes of numbers; the laws inside them are in tests/contracts."""

import numpy as np
import pytest

from microplex.encoding.numbers import bounds_of, fit_number, off_grid
from microplex.flow.ranges import Range
from microplex.schema import Column

N = 2000


def rng(seed=0):
    return np.random.default_rng(seed)


def column(**described):
    return Column("x", "semicontinuous", "float", **described)


def fit(x, **options):
    described = {k: options.pop(k) for k in list(options) if k in Column.__dataclass_fields__}
    return fit_number(column(**described), np.asarray(x, float), np.ones(len(x)), **options)


def limits(low=-np.inf, high=np.inf, excluded=np.nan):
    return Range(*(np.array([float(v)]) for v in (low, high, excluded)))


@pytest.mark.parametrize("min_rows", [1, 3, 20])
def test_few_values_are_atoms_if_enough_rows_share_them(min_rows):
    x = np.repeat([0.0, 1, 2, 30, 77], [500, 300, 10, 2, 1])
    codec = fit(x, resolution=1, lower=0, min_rows=min_rows)
    assert set(codec.cells.atoms) == {v for v, n in ((0, 500), (1, 300), (2, 10), (30, 2), (77, 1)) if n >= min_rows}
    assert (codec.encode(x) >= 0).all()


def test_many_values_have_the_atoms_that_the_schema_names():
    x = np.concatenate([np.repeat([0.0, 450.0], 300), rng().integers(1, 2000, N), [3999.0]])
    codec = fit(x, resolution=1, lower=0, atoms=(0, 450, 3999))
    assert codec.cells.atoms.tolist() == [0, 450]


def test_a_missing_value_has_the_last_code_if_it_is_a_level():
    x = np.where(rng().random(N) < 0.2, np.nan, rng(1).normal(size=N))
    level, unobserved = fit(x, missing="level"), fit(x, missing="unobserved")
    assert set(level.encode(x[np.isnan(x)])) == {level.n_codes - 1}
    assert set(unobserved.encode(x[np.isnan(x)])) == {-1}
    assert level.n_codes == unobserved.n_codes + 1
    drawn = level.decode(np.full(3, level.missing_code, np.int32), np.full(3, 0.5), None)
    assert np.isnan(drawn).all()
    assert level.log_density(np.full(3, level.missing_code, np.int32), drawn, None).tolist() == [0, 0, 0]


def test_missing_codes_are_levels_and_no_limit_touches_them():
    x = np.where(rng().random(N) < 0.1, -9.0, 1000.0 * rng(1).integers(0, 300, N))
    for resolution in (1, 1000):
        codec = fit(x, resolution=resolution, lower=0, missing_codes=(-9,))
        code = codec.encode(np.array([-9.0]))[0]
        assert codec.decode(np.array([code]), np.array([0.5]), None)[0] == -9
        assert codec.allowed(limits(5000, 9000), None)[0, code]
        assert (codec.encode(x) >= 0).all()


def test_rounding_noise_does_not_lose_the_grid():
    x = np.round(rng().gamma(2, 50, N), 2)
    codec = fit(x, resolution=0.01, lower=0)
    noisy = x * 3.0 / 3.0 + rng(1).choice([0, 1e-13, -1e-13], N)
    assert np.array_equal(codec.encode(noisy), codec.encode(x))
    assert codec.log_density(codec.encode(x), noisy, None) == pytest.approx(codec.log_density(codec.encode(x), x, None))
    assert codec.encode(np.array([12.345]))[0] == -1


def test_a_condition_takes_the_nearest_code():
    codec = fit(np.repeat([0.0, 10, 20], 50), resolution=1, lower=0, upper=20, with_law=False)
    assert codec.encode(np.array([-99.0, 4, 6, 14.4, 999]), nearest=True).tolist() == [0, 0, 1, 1, 2]
    assert codec.encode(np.array([np.nan]), nearest=True).tolist() == [-1]
    open_end = fit(rng().exponential(100.0, N), lower=0, with_law=False)
    far = open_end.encode(np.array([-5.0, 1e9]), nearest=True)
    assert far.tolist() == [0, open_end.n_codes - 1]
    constant = fit(np.full(60, 3.0), resolution=1, with_law=False)
    assert constant.encode(np.array([2.0, 3.0, 1e9]), nearest=True).tolist() == [0, 0, 0]


def test_every_code_has_a_typical_value_of_its_own():
    for x, described in (
        (rng().normal(size=N), {}),
        (np.round(rng(1).normal(0, 300, N)), {"resolution": 1, "atoms": (0,)}),
        (np.concatenate([np.zeros(N), [5.0]]), {"resolution": 1}),
    ):
        codec = fit(x, **described)
        typical = codec.representatives()
        assert np.isfinite(typical).all()
        assert np.array_equal(codec.encode(codec.cells.snap(typical)), np.arange(codec.cells.n_codes))


def test_limits_allow_exactly_the_codes_that_hold_a_value():
    x = np.concatenate([np.round(rng().normal(0, 300, N)), np.repeat([-50.0, 0, 1, 2, 100], 80)])
    codec = fit(x, resolution=1, atoms=(-50, 0, 1, 2, 100))
    grid = np.arange(-3000.0, 3000)
    codes = codec.encode(grid)
    cases = [(-50, 100), (0, 0), (0, 2), (1, 2), (2, 3), (3, 3), (-51, -49), (-50, -49), (99, 100), (101, 1e6), (7, 6)]
    for low, high in cases:
        for excluded in (np.nan, low, high, 1):
            inside = (grid >= low) & (grid <= high) & (grid != excluded)
            allowed = codec.allowed(limits(low, high, excluded), None)[0]
            expected = set(codes[inside]) | ({codec.n_codes - 1} if high > 3000 else set())
            assert set(np.flatnonzero(allowed)) == expected, (low, high, excluded)


def test_limits_of_a_smooth_column():
    codec = fit(np.concatenate([np.zeros(300), rng().exponential(1.0, N)]), atoms=(0,), lower=0)
    assert codec.allowed(limits(0, 0), None)[0].sum() == 1
    assert codec.allowed(limits(0.5, 0.5), None)[0].sum() == 1
    assert codec.allowed(limits(0.5, 0.5, 0.5), None)[0].sum() == 0
    assert codec.allowed(limits(2, 1), None)[0].sum() == 0
    everything = codec.allowed(limits(), None)[0]
    assert everything.all()
    whole = codec.allowed(limits(0, np.inf, 0), None)[0]
    assert whole.sum() == len(whole) - 1


def test_bounds_and_grid_of_a_description():
    described = column(lower=-5, bottom_code=-3, upper=9, top_code=8, resolution=0.5)
    assert bounds_of(described) == (-3, 8)
    assert bounds_of(column()) == (-np.inf, np.inf)
    assert off_grid(described, np.array([0.5, 0.25, -3.0, 1 / 3])).tolist() == [False, True, False, True]
    assert not off_grid(column(), np.array([np.pi])).any()


def test_the_distribution_function_given_each_code():
    x = np.concatenate([np.zeros(300), np.round(rng().exponential(500.0, N))])
    codec = fit(x, resolution=1, atoms=(0,), lower=0)
    at = np.array([-1.0, 0.0, 3.0, 250.0, 1e9])
    f = codec.below(at, None, None, None)
    assert f[0].sum() == 0
    assert f[1].sum() == 1
    assert f[4] == pytest.approx(np.ones(codec.n_codes))
    codes = codec.encode(at[2:4])
    for row, code in zip((2, 3), codes, strict=True):
        assert 0 < f[row, code] <= 1
        assert (f[row, np.delete(np.arange(codec.n_codes), code)] % 1 == 0).all()
