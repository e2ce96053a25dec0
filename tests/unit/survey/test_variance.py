import numpy as np
import pytest

from microplex.errors import DataError, ParameterError
from microplex.survey import bootstrap, jackknife, mean, replicate_variance, total


def test_the_jackknife_of_a_mean_is_the_textbook_variance():
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    w = np.ones(5)
    assert replicate_variance(lambda v: mean(x, v), w, jackknife(w)) == pytest.approx(x.var(ddof=1) / 5)


def test_the_jackknife_of_a_stratified_total_is_the_textbook_variance():
    x = np.array([3.0, 1.0, 4.0, 10.0, 14.0])
    w = np.array([2.0, 2.0, 2.0, 5.0, 5.0])
    strata = ["a", "a", "a", "b", "b"]
    expected = sum(m * (w[s] * x[s]).var(ddof=1) for m, s in ((3, slice(0, 3)), (2, slice(3, 5))))
    found = replicate_variance(lambda v: total(x, v), w, jackknife(w, strata=strata))
    assert found == pytest.approx(expected)


def test_clusters_leave_together():
    replicates = jackknife(np.ones(4), clusters=["h", "h", "i", "j"])
    assert replicates.weights.tolist() == [[0, 0, 1.5, 1.5], [1.5, 1.5, 0, 1.5], [1.5, 1.5, 1.5, 0]]
    assert replicates.scale == pytest.approx([2 / 3] * 3)


def test_the_bootstrap_agrees_with_the_jackknife():
    random = np.random.default_rng(0)
    x, w, strata = random.normal(size=60), random.random(60) + 0.5, np.repeat([0, 1, 2], 20)
    by_jackknife = replicate_variance(lambda v: total(x, v), w, jackknife(w, strata=strata))
    by_bootstrap = replicate_variance(lambda v: total(x, v), w, bootstrap(w, strata=strata, n_replicates=2000))
    assert by_bootstrap == pytest.approx(by_jackknife, rel=0.15)


def test_the_bootstrap_keeps_strata_and_its_seed():
    strata = np.repeat([0, 1], [3, 5])
    one, two = bootstrap(np.ones(8), strata=strata, seed=1), bootstrap(np.ones(8), strata=strata, seed=1)
    assert (one.weights == two.weights).all()
    assert one.weights[:, :3].sum(axis=1) == pytest.approx(3)
    assert one.weights[:, 3:].sum(axis=1) == pytest.approx(5)


def test_mistakes_are_named():
    with pytest.raises(DataError, match="stratum 'b' has a single cluster"):
        jackknife(np.ones(3), strata=["a", "a", "b"])
    with pytest.raises(DataError, match="clusters must lie within strata; the cluster of row"):
        jackknife(np.ones(3), clusters=[1, 1, 2], strata=[0, 1, 1])
    with pytest.raises(DataError, match="one entry for each of 3 rows"):
        jackknife(np.ones(3), clusters=[1, 2])
    with pytest.raises(DataError, match="must not be missing"):
        jackknife(np.ones(3), clusters=["a", None, "b"])
    with pytest.raises(ParameterError, match="n_replicates must be at least 2"):
        bootstrap(np.ones(3), n_replicates=1)
    with pytest.raises(DataError, match="replicates are for 3 rows; there are 2 weights"):
        replicate_variance(np.sum, np.ones(2), jackknife(np.ones(3)))
