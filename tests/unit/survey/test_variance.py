import numpy as np
import pytest

from microplex.errors import DataError, ParameterError
from microplex.survey import (
    Replicates,
    bootstrap,
    jackknife,
    mean,
    replicate_variance,
    replicates_from_columns,
    total,
)


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


def test_the_jackknife_corrects_for_finite_strata():
    x, w, strata = np.array([3.0, 1.0, 4.0, 10.0, 14.0, 9.0]), np.ones(6), list("aaabbc")
    found = jackknife(w, strata=strata, fpc=[12, 12, 12, 4, 4, 1])
    expected = 0.75 * 3 * x[:3].var(ddof=1) + 0.5 * 2 * x[3:5].var(ddof=1)
    assert len(found.weights) == 5
    assert replicate_variance(lambda v: total(x, v), w, found) == pytest.approx(expected)


def test_balanced_half_samples_and_fay_are_exact_for_totals():
    """Two clusters in each of 3 strata and 4 half-samples from a Hadamard matrix (McCarthy, 1969)."""
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    y, w = np.array([1.0, 4.0, 2.0, 9.0, 5.0, 3.0]), np.array([2.0, 2.0, 3.0, 3.0, 1.0, 4.0])
    side = np.tile([1, -1], 3)
    factors = 1 + signs[:, [0, 0, 1, 1, 2, 2]] * side
    expected = sum((w[i] * y[i] - w[i + 1] * y[i + 1]) ** 2 for i in (0, 2, 4))
    half = replicates_from_columns((w * factors).T, "brr")
    assert half.variance(half.weights @ y, w @ y) == pytest.approx(expected)
    softened = replicates_from_columns((1 + 0.7 * (factors - 1)).T, "fay", rho=0.3, weights=w)
    assert softened.variance(softened.weights @ y, w @ y) == pytest.approx(expected)


def test_successive_differences_are_the_sum_of_squared_differences():
    """Fay and Train (1995), with the 4 rows of a Hadamard matrix and 3 rows of a systematic sample in a circle."""
    hadamard = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    y = np.array([1.0, 4.0, 2.0])
    pairs = [(1, 2), (2, 3), (3, 1)]
    factors = np.array([1 + 2**-1.5 * (hadamard[a] - hadamard[b]) for a, b in pairs])
    found = replicates_from_columns(factors, "successive_difference")
    expected = ((y[0] - y[2]) ** 2 + (y[1] - y[0]) ** 2 + (y[2] - y[1]) ** 2) / 2
    assert found.variance(found.weights @ y, y.sum()) == pytest.approx(expected)


def test_published_columns_have_the_scale_of_their_method():
    columns = np.arange(1.0, 13.0).reshape(3, 4)
    scales = {"brr": 1 / 4, "jk1": 3 / 4, "jk2": 1.0, "successive_difference": 1.0, "bootstrap": 1 / 4}
    for method, scale in scales.items():
        found = replicates_from_columns(columns, method)
        assert (found.weights == columns.T).all()
        assert found.scale == pytest.approx([scale] * 4)
    assert replicates_from_columns(columns, "bootstrap", about="mean").scale == pytest.approx([1 / 3] * 4)
    assert replicates_from_columns(columns, "jkn", scale=[0.5, 0.5, 0.8, 0.8]).scale.tolist() == [0.5, 0.5, 0.8, 0.8]
    assert replicates_from_columns(columns, "jkn", scale=0.5).scale.tolist() == [0.5] * 4


def test_deviations_are_from_the_estimate_or_from_the_mean():
    weights, scale = np.ones((2, 3)), np.array([0.5, 0.5])
    assert Replicates(weights, scale).variance([1.0, 3.0], 4.0) == 5.0
    assert Replicates(weights, scale, "mean").variance([1.0, 3.0], 4.0) == 1.0
    assert Replicates(weights, np.zeros(2), "mean").variance([1.0, 3.0], 4.0) == 0.0


def test_replicates_that_cannot_be_are_refused():
    with pytest.raises(DataError, match=r"one scale a set; got shapes \(2, 3\) and \(3,\)"):
        Replicates(np.ones((2, 3)), np.ones(3))
    with pytest.raises(DataError, match="replicate 0 has nan in row 1"):
        Replicates(np.array([[1.0, np.nan]]), np.ones(1))
    with pytest.raises(DataError, match=r"scales of replicates must be finite and at least 0; got -1\.0"):
        Replicates(np.ones((1, 2)), -np.ones(1))
    with pytest.raises(ParameterError, match="about must be one of 'estimate', 'mean'"):
        Replicates(np.ones((1, 2)), np.ones(1), "median")
    with pytest.raises(ParameterError, match="Did you mean 'fay'"):
        replicates_from_columns(np.ones((3, 2)), "Fay")
    with pytest.raises(ParameterError, match='method "jkn" needs scale'):
        replicates_from_columns(np.ones((3, 2)), "jkn")
    with pytest.raises(ParameterError, match='rho belongs to method "fay"'):
        replicates_from_columns(np.ones((3, 2)), "brr", rho=0.5)
    with pytest.raises(ParameterError, match='rho belongs to method "fay"'):
        replicates_from_columns(np.ones((3, 2)), "fay")
    with pytest.raises(ParameterError, match=r"rho must lie between 0 and below 1; got 1\.0"):
        replicates_from_columns(np.ones((3, 2)), "fay", rho=1.0)
    with pytest.raises(DataError, match="one replicate a column, two at least"):
        replicates_from_columns(np.ones(3), "brr")
