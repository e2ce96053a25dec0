"""Smooth laws: quantiles invert the distribution function, cuts condition exactly, far tails stay finite."""

import numpy as np
import pytest
from scipy import integrate

from microplex.flow.smooth import Smooth, tilt_from_mean, tilted_cdf, tilted_log_pdf, tilted_ppf
from microplex.flow.tails import SHAPE_RANGE, fit_pareto, pareto_cdf, pareto_log_pdf, pareto_log_sf, pareto_ppf

U = np.array([1e-9, 0.01, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9])
LAWS = {
    "uniform": (2.0, 5.0, 0.0, np.nan, np.nan),
    "tilted up": (2.0, 5.0, 9.0, np.nan, np.nan),
    "tilted down": (-5.0, -2.0, -4.0, np.nan, np.nan),
    "exponential tail": (3.0, np.inf, 0.0, 2.0, 0.0),
    "heavy tail": (3.0, np.inf, 0.0, 2.0, 0.4),
    "short tail": (3.0, np.inf, 0.0, 2.0, -0.3),
    "heavy lower tail": (-np.inf, 1.0, 0.0, 2.0, 0.4),
    "exponential lower tail": (-np.inf, 1.0, 0.0, 2.0, 0.0),
}


@pytest.fixture(params=LAWS, ids=list(LAWS))
def parameters(request):
    return LAWS[request.param]


def law(parameters, n=1):
    return Smooth.of(*(np.full(n, p) for p in parameters))


def test_quantiles_invert_the_distribution_function(parameters):
    base = law(parameters, len(U))
    assert base.cdf(base.ppf(U)) == pytest.approx(U, rel=1e-6, abs=1e-12)
    assert (np.diff(base.ppf(U)) > 0).all()
    assert base.cdf(np.full(len(U), -1e300)).max() == 0
    assert base.cdf(np.full(len(U), 1e300)).min() == 1


def test_densities_are_slopes_and_masses_are_differences(parameters):
    base = law(parameters, 5)
    x, h = base.ppf(U[1:6]), 1e-6
    slope = (base.cdf(x + h) - base.cdf(x - h)) / (2 * h)
    assert np.exp(base.log_density(x)) == pytest.approx(slope, rel=1e-4)
    mass = base.cdf(x + 0.05) - base.cdf(x - 0.05)
    inside = (x - 0.05 > base.start) & (x + 0.05 < base.end)
    assert np.exp(base.log_mass(x, 0.1))[inside] == pytest.approx(mass[inside], rel=1e-9)


@pytest.mark.parametrize("ends", [(0.2, 0.7), (0.0, 0.5), (0.6, 1.0), (0.49, 0.5)])
def test_a_cut_law_is_the_law_given_the_interval(parameters, ends):
    base = law(parameters, len(U))
    low, high = (-np.inf, np.inf)
    if ends[0] > 0:
        low = base.ppf(np.full(len(U), ends[0]))[0]
    if ends[1] < 1:
        high = base.ppf(np.full(len(U), ends[1]))[0]
    cut = base.cut(np.full(len(U), low), np.full(len(U), high))
    x = cut.ppf(U)
    assert (x >= low).all()
    assert (x <= high).all()
    share = ends[1] - ends[0]
    assert (base.cdf(x) - ends[0]) / share == pytest.approx(U, abs=1e-7)
    assert cut.cdf(x) == pytest.approx(U, abs=1e-9)
    middle = cut.ppf(np.full(len(U), 0.5))
    assert np.exp(cut.log_density(middle)) == pytest.approx(np.exp(base.log_density(middle)) / share, rel=1e-6)


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
@pytest.mark.parametrize("side", [1, -1])
def test_cuts_far_out_in_a_tail_stay_exact(shape, side):
    ends = (0.0, np.inf) if side > 0 else (-np.inf, 0.0)
    base = Smooth.of(*(np.full(len(U), p) for p in (*ends, 0.0, 1.0, shape)))
    for far in (4.0, 60.0, 5000.0):
        low, high = (far, np.inf) if side > 0 else (-np.inf, -far)
        cut = base.cut(np.full(len(U), low), np.full(len(U), high))
        x = side * cut.ppf(U)
        assert np.isfinite(x).all()
        assert (np.diff(side * x) >= 0).all()
        assert (x >= far).all()
        assert np.isfinite(cut.log_density(side * x)).all()
        if shape >= 0:
            assert pareto_cdf(x - far, 1.0 + shape * far, shape)[::side] == pytest.approx(
                (U if side > 0 else 1 - U)[::side], rel=1e-6, abs=1e-9
            )


def test_masses_far_out_do_not_vanish():
    base = Smooth.of(*(np.full(3, p) for p in (-0.5, np.inf, 0.0, 100.0, 0.1)))
    far = np.array([1e5, 1e9, 1e17])
    expected = pareto_log_pdf(far + 0.5, 100.0, 0.1)
    assert base.log_mass(far, 1.0) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("parameters", [LAWS["tilted up"], LAWS["heavy tail"], LAWS["heavy lower tail"]])
@pytest.mark.parametrize("at", [0.0, 0.4, 0.8])
def test_a_hole_is_never_hit_and_the_rest_keeps_its_proportions(parameters, at):
    u = (np.arange(4000) + 0.5) / 4000
    base = law(parameters, len(u))
    low = base.ppf(np.full(len(u), max(at, 1e-9)))
    high = base.ppf(np.full(len(u), at + 0.1))
    holed = base.without(low, high)
    x = holed.ppf(u)
    assert not ((x >= low) & (x < high)).any()
    gap = base.cdf(high) - base.cdf(low)
    f = base.cdf(x)
    kept = np.where(x < low, f, f - gap) / (1 - gap)
    edge = np.abs(x - low) + np.abs(x - high) < 1.6 * (high - low)
    assert kept[~edge] == pytest.approx(u[~edge], abs=1e-6)
    nothing = np.full(len(u), np.nan)
    assert np.array_equal(base.without(nothing, nothing).ppf(u), base.ppf(u))


def test_one_value_is_a_point_mass():
    cut = law((0.0, 1.0, 2.0, np.nan, np.nan), 3).cut(np.full(3, 0.4), np.full(3, 0.4))
    assert cut.ppf(np.array([0.1, 0.5, 0.9])).tolist() == [0.4, 0.4, 0.4]
    assert cut.log_density(np.full(3, 0.4)).tolist() == [0, 0, 0]
    assert cut.cdf(np.array([0.3, 0.4, 0.5])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("tilt", [-12.0, -1.0, -1e-9, 0.0, 1e-5, 3.0, 12.0])
def test_the_tilted_law(tilt):
    t = np.linspace(0, 1, 101)
    tilts = np.full(101, tilt)
    assert tilted_cdf(tilted_ppf(t, tilts), tilts) == pytest.approx(t, abs=1e-9)
    total, _ = integrate.quad(lambda v: float(np.exp(tilted_log_pdf(np.array([v]), np.array([tilt]))[0])), 0, 1)
    assert total == pytest.approx(1.0, abs=1e-6)
    mean, _ = integrate.quad(lambda v: v * float(np.exp(tilted_log_pdf(np.array([v]), np.array([tilt]))[0])), 0, 1)
    assert tilt_from_mean(np.array([mean]))[0] == pytest.approx(tilt, abs=0.15)


@pytest.mark.parametrize("shape", [-0.4, -0.1, 0.0, 1e-8, 0.2, 0.5])
def test_the_pareto_law(shape):
    u = np.linspace(0.001, 0.999, 200)
    x = pareto_ppf(u, 3.0, shape)
    assert pareto_cdf(x, 3.0, shape) == pytest.approx(u, abs=1e-9)
    assert np.exp(pareto_log_sf(x, 3.0, shape)) == pytest.approx(1 - u, abs=1e-9)
    slope = (pareto_cdf(x + 1e-6, 3.0, shape) - pareto_cdf(x - 1e-6, 3.0, shape)) / 2e-6
    assert np.exp(pareto_log_pdf(x, 3.0, shape)) == pytest.approx(slope, rel=1e-3)
    if shape < 0:
        assert pareto_log_pdf(np.array([3.0 / -shape + 1]), 3.0, shape)[0] == -np.inf


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.3])
def test_a_tail_is_recovered_and_a_common_factor_of_weights_is_not_seen(shape):
    rng = np.random.default_rng(0)
    x = pareto_ppf(rng.random(3_000), 5.0, shape)
    scale, found = fit_pareto(x)
    assert (scale, found) == pytest.approx((5.0, shape), abs=0.4)
    assert fit_pareto(x, np.full(len(x), 7.0))[1] == pytest.approx(found)
    assert SHAPE_RANGE[0] <= fit_pareto(rng.standard_cauchy(500) ** 2)[1] <= SHAPE_RANGE[1]


def test_weights_move_a_tail():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.exponential(1.0, 1000), rng.exponential(10.0, 1000)])
    weights = np.repeat([1.0, 9.0], 1000)
    assert fit_pareto(x, weights)[0] > 1.5 * fit_pareto(x)[0]
