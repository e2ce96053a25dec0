import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.cells import cell_ks, cell_means, cell_quantiles, cell_sums, cell_tvd, condition_cells
from microplex.metrics.marginal import ks, tvd
from microplex.metrics.pair import pair
from microplex.survey import mean, quantile


def table(n, seed):
    random = np.random.default_rng(seed)
    age = random.integers(0, 90, n).astype(float)
    age[random.random(n) < 0.1] = np.nan
    region = random.choice(["north", "south", "isle", None], n, p=[0.6, 0.3, 0.02, 0.08])
    return pd.DataFrame({"age": age, "region": region, "weight": random.integers(0, 4, n).astype(float)})


BOTH = pair(table(2000, 0), table(1500, 1), weight_col="weight")


@pytest.mark.parametrize("names", [["age"], ["region"], ["age", "region"], ["region", "age"]])
def test_every_real_row_that_counts_is_in_a_large_cell(names):
    cells = condition_cells(BOTH, names, least_rows=60, least_share=0.0)
    assert (cells.real[BOTH.real_weights > 0] >= 0).all()
    assert (cells.real[BOTH.real_weights == 0] == -1).all()
    assert (cells.synthetic[BOTH.synthetic_weights == 0] == -1).all()
    counts = np.bincount(cells.real[cells.real >= 0])
    assert len(counts) == len(cells) == len(set(cells.labels))
    assert counts.min() >= 60


def test_both_tables_are_divided_alike():
    real = table(2000, 0)
    cells = condition_cells(pair(real, real, weight_col="weight"), ["age", "region"])
    assert (cells.real == cells.synthetic).all()


def test_numbers_are_divided_at_weighted_quantiles():
    cells = condition_cells(BOTH, ["age"], bins=4, least_rows=1, least_share=0)
    age, w = BOTH["age"].real, BOTH.real_weights
    edges = quantile(age[~np.isnan(age)], [0.25, 0.5, 0.75], w[~np.isnan(age)])
    expected = np.where(np.isnan(age), 4, np.searchsorted(edges, age))
    assert (cells.real[w > 0] == expected[w > 0]).all()
    assert cells.labels[0] == f"age <= {edges[0]:g}"
    assert cells.labels[1] == f"{edges[0]:g} < age <= {edges[1]:g}"
    assert cells.labels[-2:] == (f"age > {edges[2]:g}", "age missing")


def test_many_zeros_leave_no_empty_bin():
    real = pd.DataFrame({"x": [0.0] * 60 + list(range(1, 41))})
    cells = condition_cells(pair(real, real), ["x"], least_rows=10)
    assert cells.labels == ("x <= 0", "0 < x <= 20", "x > 20")


def test_small_categories_are_pooled_and_a_small_pool_takes_one_more():
    def labels(counts, least):
        real = pd.DataFrame({"s": np.repeat(list(counts), list(counts.values()))})
        return condition_cells(pair(real, real), ["s"], least_rows=least, least_share=0).labels

    assert labels({"a": 50, "b": 30, "c": 10, "d": 12}, 20) == ("s a", "s b", "s other")
    assert labels({"a": 50, "b": 30, "c": 10, "d": 5}, 20) == ("s a", "s other")
    assert labels({"a": 50, "b": 5}, 20) == ("all",)
    assert labels({"a": 50, "b": 40}, 20) == ("s a", "s b")


def test_few_missing_values_join_the_last_bin():
    real = pd.DataFrame({"x": [*range(100), None]})
    cells = condition_cells(pair(real, real), ["x"], bins=2, least_rows=20)
    assert cells.labels == ("x <= 49", "x > 49 or missing")


def test_synthetic_rows_whose_conditions_no_real_row_has_are_left_out():
    real = pd.DataFrame({"s": ["a", "b"] * 50, "x": np.arange(100.0)})
    synthetic = pd.DataFrame({"s": ["a", "new", None], "x": [1.0, 99.0, 500.0]})
    assert condition_cells(pair(real, synthetic), ["s"]).synthetic.tolist() == [0, -1, -1]
    assert condition_cells(pair(real, synthetic), ["x"], bins=2).synthetic.tolist() == [0, 1, 1]
    lost = synthetic.assign(x=[np.nan, 1.0, 99.0])
    assert condition_cells(pair(real, lost), ["x"], bins=2).synthetic.tolist() == [-1, 0, 1]


def sample(n, seed):
    random = np.random.default_rng(seed)
    cells = random.integers(-1, 5, n)
    cells[cells == 3] = 2
    return np.round(random.gamma(1, size=n), 1), cells, random.integers(0, 4, n)


def test_measures_in_cells_are_those_of_each_cell():
    (x, cx, u), (y, cy, v) = sample(400, 0), sample(300, 1)
    distances, apart = cell_ks(x, y, cx, cy, 5, u, v), cell_tvd(10 * x, 10 * y, cx, cy, 5, u, v)
    means, found = cell_means(x, cx, 5, u), cell_quantiles(x, cx, 5, [0, 0.3, 0.9], u)
    for c in (0, 1, 2, 4):
        a, b = cx == c, cy == c
        assert distances[c] == pytest.approx(ks(x[a], y[b], u[a], v[b]), abs=1e-12)
        assert apart[c] == pytest.approx(tvd(np.int64(10 * x[a]), np.int64(10 * y[b]), u[a], v[b]), abs=1e-12)
        assert means[c] == pytest.approx(mean(x[a], u[a]))
        assert found[c].tolist() == quantile(x[a], [0, 0.3, 0.9], u[a]).tolist()
    assert np.isnan([distances[3], apart[3], means[3], *found[3]]).all()
    assert cell_sums(cx, 5, u).tolist() == [u[cx == c].sum() for c in range(5)]


def test_a_weight_of_three_is_the_row_three_times():
    (x, cx, u), (y, cy, v) = sample(100, 2), sample(80, 3)
    repeated = [np.repeat(a, w) for a, w in ((x, u), (y, v), (cx, u), (cy, v))]
    np.testing.assert_allclose(cell_ks(x, y, cx, cy, 5, u, v), cell_ks(*repeated, 5), atol=1e-12)
    np.testing.assert_allclose(cell_means(x, cx, 5, u), cell_means(repeated[0], repeated[2], 5))
    found = cell_quantiles(x, cx, 5, [0.5], u), cell_quantiles(repeated[0], repeated[2], 5, [0.5])
    np.testing.assert_array_equal(*found)


def test_a_cell_of_one_table_only_disturbs_no_other():
    distances = cell_ks([1, 2, 9, 9], [1, 2, 7], [0, 0, 1, 2], [0, 0, 2], 4)
    np.testing.assert_array_equal(distances, [0, np.nan, 1, np.nan])
    np.testing.assert_array_equal(cell_ks([1], [1], [0], [1], 2), [np.nan, np.nan])


def test_bad_arguments_are_refused():
    with pytest.raises(ColumnNotFoundError, match=r"condition column 'agee' not in data\. Did you mean 'age'"):
        condition_cells(BOTH, ["agee"])
    with pytest.raises(ParameterError, match="condition_vars must name at least one variable"):
        condition_cells(BOTH, [])
    with pytest.raises(ParameterError, match="bins must be at least 2; got 1"):
        condition_cells(BOTH, ["age"], bins=1)
    with pytest.raises(DataError, match=r"weights must be finite and not negative; row 0 has -1\.0"):
        cell_means([1.0], [0], 1, [-1.0])
