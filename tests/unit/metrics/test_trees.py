import numpy as np
import pytest

from microplex.metrics.trees import MAX_BINS, coarse, fitted


def amounts(n, seed):
    draw = np.random.default_rng(seed)
    return np.where(draw.random(n) < 0.4, 0.0, draw.lognormal(8, 1, n))


def test_bins_keep_the_order_and_give_atoms_a_bin_of_their_own():
    x = np.append(amounts(5000, 0), [np.nan, 1e-9, -1e-9])
    code = coarse(x[:, None], np.ones(len(x)))[:, 0]
    assert np.isnan(code[-3])
    assert len(np.unique(code[:-3])) <= MAX_BINS
    order = np.argsort(np.delete(x, -3), kind="stable")
    assert (np.diff(np.delete(code, -3)[order]) >= 0).all()
    zero = code[np.flatnonzero(x == 0)[0]]
    assert set(np.flatnonzero(code == zero)) == set(np.flatnonzero(x == 0))
    assert np.bincount(code[:-3].astype(int)).max() == (x == 0).sum()
    others = np.bincount(code[:-3].astype(int))[int(zero) + 1 :]
    assert others.max() < 3 * others[others > 0].mean()


def test_a_weight_of_three_is_the_row_three_times_in_bins():
    draw = np.random.default_rng(1)
    x, w = amounts(2000, 1), draw.integers(0, 4, 2000)
    weighted, repeated = coarse(x[:, None], w.astype(float)), coarse(np.repeat(x, w)[:, None], np.ones(w.sum()))
    apart = np.repeat(weighted[:, 0], w), repeated[:, 0]
    np.testing.assert_array_equal(*(np.unique(side, return_inverse=True)[1] for side in apart))


def test_few_values_categories_and_huge_numbers():
    X = np.column_stack([[1e308, -1e308, 0.0], [7.0, np.nan, 9.0]])
    few = coarse(X, np.ones(3), [1])[:, 0]
    assert few.tolist() == [few[0], -few[0], 0]
    assert 0.5 <= few[0] < 1
    np.testing.assert_array_equal(coarse(X, np.ones(3), [1])[:, 1], X[:, 1])


@pytest.mark.parametrize("kind", ["Regressor", "Classifier"])
def test_a_fit_sees_neither_rows_of_weight_zero_nor_empty_columns(kind):
    draw = np.random.default_rng(2)
    X = np.column_stack([draw.normal(size=300), np.full(300, np.nan)])
    y, w = (X[:, 0] > 0).astype(float), draw.integers(0, 2, 300).astype(float)
    y[w == 0] = 1 - y[w == 0]
    X[w == 0, 1] = 1.0
    kept = w > 0
    one, other = fitted(kind, [], X, y, w), fitted(kind, [], X[kept], y[kept], w[kept])
    np.testing.assert_array_equal(one.predict(X), other.predict(X))
    assert np.mean((one.predict(X) > 0.5) == (X[:, 0] > 0)) > 0.95
