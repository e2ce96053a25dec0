import numpy as np
import pytest
from scipy import integrate, stats

from microplex.datasets.distributions import Dagum, Kumaraswamy, TruncatedLogistic
from microplex.datasets.incomes import FINE, TENS
from microplex.datasets.labour import ROUGH, WEEK

LAWS = {
    "dagum": Dagum(np.full(1000, 500.0), 2.0, 0.45),
    "truncated logistic": TruncatedLogistic(np.full(1000, 39.0), 6.5, 0.5, 97.5),
    "kumaraswamy": Kumaraswamy(2.2, 1.4),
}
ROUNDINGS = {"rough": ROUGH, "fine": FINE, "tens": TENS, "week": WEEK}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_mass_below_a_quantile_is_its_level(law):
    u = np.linspace(0.001, 0.999, 1000)
    assert law.mass(np.zeros(1000), law.quantile(u)) == pytest.approx(u, abs=1e-12)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_masses_of_intervals_add_up(law):
    edges = np.concatenate([[0.0], law.quantile(np.linspace(0.001, 0.999, 1000))[:999], [np.inf]])
    parts = law.mass(edges[:-1], edges[1:])
    assert parts.min() >= 0
    assert parts.sum() == pytest.approx(1, abs=1e-12)


def test_an_empty_interval_has_no_mass():
    low, high = np.array([3.0, 5.0]), np.array([3.0, 2.0])
    for law in (Dagum(np.ones(2), 2.0, 1.0), TruncatedLogistic(np.ones(2), 1.0, 0.0, 9.0)):
        assert law.mass(low, high).tolist() == [0.0, 0.0]


def test_dagum_is_the_burr_law_of_scipy():
    x = np.array([1.0, 300.0, 1e5])
    law, reference = Dagum(np.full(3, 500.0), 2.3, 0.6), stats.burr(2.3, 0.6, scale=500.0)
    assert law.log_density(x) == pytest.approx(reference.logpdf(x))
    assert law.mass(np.zeros(3), x) == pytest.approx(reference.cdf(x))


def test_cells_far_out_keep_their_digits():
    x = np.array([1e6, 1e7, 1e8])
    law = Dagum(np.full(3, 1000.0), 2.0, 0.5)
    assert law.mass(x - 0.5, x + 0.5) == pytest.approx(np.exp(law.log_density(x)), rel=1e-6)


def test_the_density_is_the_slope_of_the_mass():
    law = Dagum(np.array([200.0]), 2.0, 0.45)
    found, _ = integrate.quad(lambda t: np.exp(t + law.log_density(np.exp(np.array([t])))[0]), 0, np.log(5000.0))
    assert found == pytest.approx(law.mass(np.array([1.0]), np.array([5000.0]))[0], rel=1e-8)


@pytest.mark.parametrize("rounding", ROUNDINGS.values(), ids=ROUNDINGS)
def test_shares_of_grains_sum_to_one_and_divide_the_edges(rounding):
    assert np.isinf(rounding.bands[-1].upper)
    for band, above in zip(rounding.bands, (*rounding.bands[1:], None), strict=True):
        assert sum(band.shares) == pytest.approx(1)
        assert all(
            above is None or band.upper % grain == 0 for grain in (*band.grains, *(above.grains if above else ()))
        )


@pytest.mark.parametrize("rounding", ROUNDINGS.values(), ids=ROUNDINGS)
def test_reported_amounts_sum_to_one(rounding):
    reported = np.arange(200_001.0)
    law = Dagum(np.full(len(reported), 900.0), 5.0, 0.5)
    mass = rounding.mass(reported, law.mass)
    assert mass[0] == 0
    assert mass.sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("rounding", [ROUGH, FINE], ids=["rough", "fine"])
@pytest.mark.parametrize("cap", [7_000.0, 12_345.0])
def test_the_mass_of_a_cap_is_what_lies_beyond(rounding, cap):
    reported = np.arange(cap)
    law = Dagum(np.full(len(reported), 3000.0), 2.0, 0.5)
    below = rounding.mass(reported, law.mass).sum()
    assert rounding.tail_mass(cap, Dagum(np.array([3000.0]), 2.0, 0.5).mass, 1)[0] == pytest.approx(1 - below, abs=1e-9)


def test_rounding_agrees_with_an_obvious_twin():
    random = np.random.default_rng(0)
    exact, u = random.lognormal(8, 2, 3000), random.random(3000)

    def obvious(x, v):
        band = next(band for band in ROUGH.bands if x < band.upper)
        grain = next(g for g, below in zip(band.grains, np.cumsum(band.shares), strict=True) if v < below)
        return max(grain, grain * np.floor(x / grain + 0.5))

    assert ROUGH.round(exact, u).tolist() == [obvious(x, v) for x, v in zip(exact, u, strict=True)]


def test_amounts_off_the_grid_cannot_be_reported():
    values = np.array([-10.0, 0.0, 0.5, 15.0])
    assert TENS.mass(values, Dagum(np.full(4, 50.0), 2.0, 1.0).mass).tolist() == [0.0, 0.0, 0.0, 0.0]
