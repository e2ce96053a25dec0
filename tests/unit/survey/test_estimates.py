import numpy as np
import pandas as pd
import pytest

from microplex.errors import DataError, ParameterError
from microplex.survey import correlation, crosstab, ecdf, mean, quantile, total

X = np.array([5.0, 1.0, 3.0, 3.0, 8.0])
Y = np.array([2.0, 7.0, 1.0, 4.0, 4.0])
W = np.array([1, 3, 2, 0, 4])
KIND = np.array(["a", "b", "a", "c", "b"])

ESTIMATES = {
    "total": lambda w, rows: total(X[rows], w),
    "mean": lambda w, rows: mean(X[rows], w),
    "quantile": lambda w, rows: quantile(X[rows], [0, 0.1, 0.3, 0.5, 0.6, 0.9, 1], w),
    "ecdf": lambda w, rows: np.concatenate(ecdf(X[rows], w)),
    "correlation": lambda w, rows: correlation(X[rows], Y[rows], w),
    "crosstab": lambda w, rows: crosstab(pd.Categorical(KIND[rows], ["a", "b", "c"]), X[rows] > 2, w).to_numpy(),
}


@pytest.mark.parametrize("estimate", ESTIMATES.values(), ids=ESTIMATES)
def test_a_weight_of_three_is_the_row_three_times(estimate):
    weighted = estimate(W, np.arange(5))
    repeated = estimate(None, np.repeat(np.arange(5), W))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-14)


@pytest.mark.parametrize("name", ["mean", "quantile", "ecdf", "correlation"])
def test_a_common_factor_changes_nothing(name):
    rows = np.arange(5)
    np.testing.assert_allclose(ESTIMATES[name](0.1 * W, rows), ESTIMATES[name](W, rows), rtol=1e-14)


def test_by_hand():
    assert total(X, W) == 46.0
    assert mean(X, W) == 4.6
    assert quantile(X, [0.3, 0.31, 0.5, 0.6, 0.61], W).tolist() == [1.0, 3.0, 3.0, 5.0, 8.0]
    points, shares = ecdf(X, W)
    assert points.tolist() == [1.0, 3.0, 5.0, 8.0]
    assert shares == pytest.approx([0.3, 0.5, 0.6, 1.0])


def test_quantiles_are_those_of_numpy():
    random = np.random.default_rng(0)
    x, w, p = random.integers(0, 50, 300).astype(float), random.random(300), np.linspace(0.003, 1, 97)
    assert (quantile(x, p, w) == np.quantile(x, p, weights=w, method="inverted_cdf")).all()


def test_steps_met_in_decimals_are_met():
    assert quantile(np.arange(10.0), np.arange(1, 11) / 10, np.full(10, 0.1)).tolist() == list(range(10))


def test_correlation_is_that_of_numpy():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 200))
    assert correlation(x, x + y) == pytest.approx(np.corrcoef(x, x + y)[0, 1])
    assert np.isnan(correlation(x, np.ones(200)))
    assert correlation(x, 3 - 2 * x) == pytest.approx(-1)


def test_tables_keep_empty_levels():
    table = crosstab(pd.Categorical(["x", "y"], ["y", "x", "z"]), ["u", "u"], [2.0, 0.5])
    assert table.index.tolist() == ["y", "x", "z"]
    assert table["u"].tolist() == [0.5, 2.0, 0.0]


def test_mistakes_are_named():
    with pytest.raises(DataError, match="values must be finite; row 1 has nan"):
        mean([1.0, np.nan])
    with pytest.raises(DataError, match="row 0 has -1"):
        total([1.0], [-1])
    with pytest.raises(DataError, match="one number for each of 2 rows"):
        total([1.0, 2.0], [1])
    with pytest.raises(ParameterError, match=r"between 0 and 1; got 1\.5"):
        quantile([1.0], [1.5])
    with pytest.raises(DataError, match="one length; got 2 and 1"):
        crosstab(["a", "b"], ["c"])
    with pytest.raises(DataError, match="crosstab columns: row 1 is missing"):
        crosstab(["a", "b"], ["c", None])
