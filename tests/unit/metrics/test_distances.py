import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.distances import distances_records, energy_distance, median_bandwidth, mmd, prdc
from microplex.metrics.pair import pair


def survey(n, seed, link=1.0):
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    wages = np.where(rng.random(n) < 0.3, 0.0, np.exp(9 + level))
    rent = np.exp(7 + link * level + 0.3 * rng.normal(size=n))
    return pd.DataFrame({"wages": wages, "rent": rent, "state": np.where(level > 0.3, "ca", "tx")})


def measured(real, synthetic, **options):
    return {record.measure: record for record in distances_records(pair(real, synthetic), **options)}


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_energy_is_that_of_scipy():
    rng = np.random.default_rng(0)
    a, b, v, w = rng.normal(size=80), rng.normal(0.5, 2, 60), rng.random(80), rng.random(60)
    for weights in ((None, None), (v, w)):
        expected = stats.energy_distance(a, b, *weights) ** 2
        assert energy_distance(a[:, None], b[:, None], *weights) == pytest.approx(expected, abs=1e-8)


def test_unbiased_energy_is_that_of_a_slow_twin():
    a, b = normal(21, 30, 3), normal(22, 20, 3)
    same = [np.mean([d for i, row in enumerate(cdist(x, x)) for j, d in enumerate(row) if i != j]) for x in (a, b)]
    assert energy_distance(a, b, unbiased=True) == pytest.approx(2 * cdist(a, b).mean() - sum(same), abs=1e-8)


def test_mmd_is_that_of_a_slow_twin():
    a, b = normal(1, 40, 3), normal(2, 30, 3) + 0.5
    h = median_bandwidth(a, b)
    assert h == pytest.approx(np.median(cdist(a, b)))
    kaa, kbb, kab = (rbf_kernel(x, y, gamma=1 / h**2) for x, y in ((a, a), (b, b), (a, b)))
    expected = (kaa.sum() - 40) / (40 * 39) + (kbb.sum() - 30) / (30 * 29) - 2 * kab.mean()
    assert mmd(a, b, h) == pytest.approx(expected, abs=1e-8)


def slow_prdc(real, synthetic, k):
    """The definitions of Naeem et al. (2020), row by row."""
    around_real = np.array([np.sort(np.delete(d, i))[k - 1] for i, d in enumerate(cdist(real, real))])
    around_made = np.array([np.sort(np.delete(d, i))[k - 1] for i, d in enumerate(cdist(synthetic, synthetic))])
    between = cdist(real, synthetic)
    return (
        np.mean([(between[:, j] < around_real).any() for j in range(len(synthetic))]),
        np.mean([(between[i] < around_made).any() for i in range(len(real))]),
        np.mean([(between[:, j] < around_real).sum() / k for j in range(len(synthetic))]),
        np.mean([between[i].min() < around_real[i] for i in range(len(real))]),
    )


@pytest.mark.parametrize("k", [1, 5])
def test_prdc_is_that_of_a_slow_twin(k):
    real, synthetic = normal(3, 120, 3), 0.7 * normal(4, 90, 3)
    found = prdc(real, synthetic, k)
    expected = slow_prdc(real, synthetic, k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(expected, abs=1e-12)


def test_a_weight_is_that_many_rows():
    rng = np.random.default_rng(5)
    a, b, v, w = rng.normal(size=(50, 2)), rng.normal(size=(40, 2)), rng.integers(0, 4, 50), rng.integers(0, 4, 40)
    aa, bb = np.repeat(a, v, axis=0), np.repeat(b, w, axis=0)
    assert energy_distance(a, b, v, w) == pytest.approx(energy_distance(aa, bb), abs=1e-12)
    twice = energy_distance(a, b, v, w, unbiased=True), energy_distance(aa, bb, unbiased=True)
    assert twice[0] == pytest.approx(twice[1], abs=1e-12)
    assert mmd(a, b, 1.3, v, w) == pytest.approx(mmd(aa, bb, 1.3), abs=1e-12)
    weighted, repeated = prdc(a, b, 4, v, w), prdc(aa, bb, 4)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), abs=1e-12), name


def test_fresh_rows_raise_no_alarm():
    """The intervals have a false-alarm rate of 5 %."""
    alarms = np.zeros(2)
    for seed in range(60):
        records = measured(survey(120, seed), survey(120, 1000 + seed), permutations=200)
        for place, name in enumerate(("energy", "mmd")):
            alarms[place] += not records[name].interval[0] <= records[name].value <= records[name].interval[1]
    assert all(stats.binomtest(int(count), 60, 0.05).pvalue > 1e-3 for count in alarms)
    assert alarms.sum() > 0


def test_density_and_coverage_of_fresh_rows_are_their_ideals():
    found = [measured(survey(300, s), survey(200, 500 + s), permutations=0) for s in range(20)]
    for name in ("density", "coverage"):
        assert np.mean([records[name].value for records in found]) == pytest.approx(found[0][name].ideal, abs=0.05)


def test_planted_faults_are_seen():
    real, fresh = survey(500, 6), survey(500, 7)
    good = measured(real, fresh)
    broken = measured(real, fresh.assign(rent=fresh["rent"].to_numpy()[::-1]))
    for name in ("energy", "mmd"):
        assert broken[name].value > broken[name].interval[1]
        assert broken[name].value > 3 * abs(good[name].value)
    assert broken["precision"].value < good["precision"].value - 0.1
    mode = measured(real, fresh[fresh["state"] == "ca"])
    assert mode["recall"].value < good["recall"].value - 0.2
    assert mode["coverage"].value < good["coverage"].value - 0.2


def test_weights_mend_a_biased_sample():
    rng = np.random.default_rng(8)
    fresh = survey(6000, 9)
    chance = np.where(fresh["state"] == "ca", 1.0, 0.25)
    tilted = fresh.assign(w=1 / chance)[rng.random(6000) < chance]
    real = survey(1000, 10)
    weighted = distances_records(pair(real.assign(w=1.0), tilted, weight_col="w"), max_rows=600)
    weighted = {record.measure: record for record in weighted}
    plain = measured(real, tilted.drop(columns="w"), max_rows=600)
    assert plain["energy"].value > plain["energy"].interval[1]
    assert weighted["energy"].value < weighted["energy"].interval[1]


def test_what_cannot_be_measured_says_why():
    small = survey(5, 11)
    assert all("5 neighbours need more than 5 rows" in record.reason for record in measured(small, small).values())
    same = pd.DataFrame({"x": [1.0] * 30})
    records = measured(same, same)
    assert "median distance is 0" in records["mmd"].reason
    assert records["energy"].value == 0
    with pytest.raises(ParameterError, match="max_rows must be from 1 to 5000"):
        measured(small, small, max_rows=9000)
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'rent'"):
        measured(small, small, variables=["rents"])
    with pytest.raises(ParameterError, match="k must be from 1 to 4"):
        prdc(np.zeros((5, 1)), np.zeros((9, 1)), k=5)
    with pytest.raises(ParameterError, match="bandwidth must be positive"):
        mmd(np.zeros((5, 1)), np.zeros((9, 1)), 0.0)
    with pytest.raises(DataError, match="sum to more than 1"):
        mmd(np.zeros((2, 1)), np.zeros((9, 1)), 1.0, real_weights=[0.5, 0.5])
