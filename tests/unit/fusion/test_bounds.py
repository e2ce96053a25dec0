"""Bounds against a linear programme and against every pairing."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import norm

from microplex.errors import DataError
from microplex.fusion import correlation_bounds, frechet_bounds, gaussian_correlation_bounds
from microplex.survey import correlation


def slow_frechet(table_xz, table_yz, shares):
    """Smallest and largest probability of each cell over all joint laws q(x, y, z), by a linear programme."""
    x, y, p = (np.asarray(part, dtype=float) for part in (table_xz, table_yz, shares))
    m, k, n_levels = len(p), x.shape[1], y.shape[1]
    index = np.arange(m * k * n_levels).reshape(m, k, n_levels)
    rows, totals = [], []
    for z in range(m):
        for level in range(k if x[z].sum() else 0):
            rows.append(np.isin(index, index[z, level, :]).ravel())
            totals.append(p[z] * x[z, level] / x[z].sum())
        for level in range(n_levels if y[z].sum() else 0):
            rows.append(np.isin(index, index[z, :, level]).ravel())
            totals.append(p[z] * y[z, level] / y[z].sum())
        rows.append(np.isin(index, index[z]).ravel())
        totals.append(p[z])
    bounds = np.empty((2, k, n_levels))
    for sign, found in zip((1, -1), bounds, strict=True):
        for i, j in np.ndindex(k, n_levels):
            cost = sign * np.isin(index, index[:, i, j]).ravel()
            solved = linprog(cost, A_eq=np.array(rows, float), b_eq=totals, bounds=(0, None), method="highs")
            assert solved.status == 0
            found[i, j] = sign * solved.fun
    return bounds


@pytest.mark.parametrize("seed", range(6))
def test_frechet_bounds_are_those_of_a_linear_programme(seed):
    draw = np.random.default_rng(seed)
    m, k, n_levels = draw.integers(1, 4), draw.integers(2, 4), draw.integers(2, 4)
    x, y, shares = draw.gamma(0.6, size=(m, k)), draw.gamma(0.6, size=(m, n_levels)), draw.dirichlet(np.ones(m))
    found = frechet_bounds(x, y, shares)
    lower, upper = slow_frechet(x, y, shares)
    np.testing.assert_allclose(found.lower, lower, atol=1e-9)
    np.testing.assert_allclose(found.upper, upper, atol=1e-9)
    assert found.unknown == 0


def test_a_cell_that_one_source_lacks_is_bounded_by_the_other_alone():
    x, y, shares = [[3, 1], [2, 2]], [[1, 1, 2], [0, 0, 0]], [0.7, 0.3]
    found = frechet_bounds(x, y, shares)
    lower, upper = slow_frechet(x, y, shares)
    np.testing.assert_allclose(found.lower, lower, atol=1e-9)
    np.testing.assert_allclose(found.upper, upper, atol=1e-9)
    assert found.unknown == pytest.approx(0.3)
    assert found.independent.sum() == pytest.approx(1)
    assert "30.0% of the population is in one source only" in str(found)


@given(st.integers(0, 10_000))
def test_independence_lies_between_the_bounds_and_common_variables_narrow_them(seed):
    draw = np.random.default_rng(seed)
    x, y = draw.gamma(0.5, size=(5, 3)) + 1e-9, draw.gamma(0.5, size=(5, 4)) + 1e-9
    shares = draw.dirichlet(np.ones(5))
    given_z = frechet_bounds(x, y, shares)
    assert (given_z.lower <= given_z.independent + 1e-12).all()
    assert (given_z.independent <= given_z.upper + 1e-12).all()
    assert given_z.independent.sum() == pytest.approx(1)
    px, py = (shares @ (table / table.sum(axis=1, keepdims=True)) for table in (x, y))
    without = frechet_bounds([px], [py])
    assert (without.lower <= given_z.lower + 1e-12).all()
    assert (given_z.upper <= without.upper + 1e-12).all()


def test_a_common_variable_that_decides_x_leaves_nothing_open():
    found = frechet_bounds([[2, 0], [0, 3]], [[1, 1], [2, 1]])
    np.testing.assert_allclose(found.lower, found.upper, atol=1e-15)
    assert found.width == pytest.approx(0, abs=1e-15)


def test_many_rows_are_the_same_as_their_cells():
    """A row a person, over more rows than one block, gives the bounds of the cells."""
    draw = np.random.default_rng(3)
    x, y, cell = draw.dirichlet([1, 1, 1], 7), draw.dirichlet([1, 2], 7), draw.integers(0, 7, 10_000)
    weights = draw.gamma(2, size=10_000)
    by_row = frechet_bounds(x[cell], y[cell], weights)
    by_cell = frechet_bounds(x, y, np.bincount(cell, weights=weights))
    for name in ("lower", "independent", "upper"):
        np.testing.assert_allclose(getattr(by_row, name), getattr(by_cell, name), rtol=1e-10)


def test_a_weight_of_three_is_the_row_three_times_and_zero_is_none():
    x, y = np.array([[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]]), np.array([[0.3, 0.7], [0.6, 0.4], [0, 1.0]])
    once = frechet_bounds(x, y, [3, 1, 0])
    often = frechet_bounds(x[[0, 0, 0, 1]], y[[0, 0, 0, 1]], np.ones(4))
    np.testing.assert_allclose(once.upper, often.upper)
    np.testing.assert_allclose(once.lower, often.lower)


def test_the_frame_of_bounds_names_the_levels():
    frame = frechet_bounds([[1, 3]], [[1, 1]], x_levels=["own", "rent"], y_levels=["f", "m"]).to_frame()
    assert list(frame.columns) == ["x", "y", "lower", "independent", "upper"]
    assert frame.loc[(frame.x == "rent") & (frame.y == "m"), ["lower", "upper"]].to_numpy().tolist() == [[0.25, 0.5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1, 2]], [[1, 2], [3, 4]]), "a row for each cell of the common variables; got 1 and 2"),
        (([[1, 2], [3, 4]], [[1, 2], [9, 9]]), "disagree about the share of cell 0: 0.3 and 0.1429.*Say in shares"),
        (([[1, -2]], [[1, 2]]), "table_xz must be finite and not negative; cell 0, level 1 has -2"),
        (([[1, 2]], [[0, 0]]), "table_yz is empty"),
        (([1, 2], [[1, 2]]), r"table_xz must have shape \(cells, levels\); got \(2,\)"),
        (([[1, 2], [0, 0]], [[1, 2], [1, 2]], [0, 1]), "empty wherever the shares are positive"),
    ],
)
def test_bad_tables_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        frechet_bounds(*arguments)


def test_levels_must_fit_the_table():
    with pytest.raises(DataError, match="x_levels must name 2 levels; got 1"):
        frechet_bounds([[1, 2]], [[1, 2]], x_levels=["a"])


# ---------------------------------------------------------------- correlations


def slow_correlations(x, y, weights):
    """Correlations of all pairings of draws within rows, row by row the best and the worst."""
    d, n = x.shape
    orders = list(permutations(range(d)))
    pairs = [[(x[:, i], y[list(order), i]) for order in orders] for i in range(n)]
    picked = []
    for pick in (min, max):
        best = [pick(options, key=lambda pair: pair[0] @ pair[1]) for options in pairs]
        a, b = (np.concatenate([pair[side] for pair in best]) for side in (0, 1))
        picked.append(correlation(a, b, np.repeat(weights, d)))
    everything = [(x[s, i], y[t, i], weights[i]) for i in range(n) for s in range(d) for t in range(d)]
    middle = correlation(*np.array(everything).T)
    return picked[0], middle, picked[1]


@pytest.mark.parametrize("seed", range(4))
def test_correlation_bounds_are_those_over_all_pairings(seed):
    draw = np.random.default_rng(seed)
    x, y, weights = draw.gamma(1, size=(4, 5)), draw.normal(size=(4, 5)).round(1), draw.gamma(1, size=5)
    found = correlation_bounds(x, y, weights)
    assert (found.lower, found.independent, found.upper) == pytest.approx(slow_correlations(x, y, weights), abs=1e-12)


def test_draws_of_normal_laws_reach_the_gaussian_bounds():
    draw = np.random.default_rng(5)
    n, d = 4000, 400
    z = norm.ppf((np.arange(n) + 0.5) / n)
    x = 0.8 * z + 0.6 * draw.normal(size=(d, n))
    y = 0.5 * z + np.sqrt(0.75) * draw.normal(size=(d, n))
    found, exact = correlation_bounds(x, y), gaussian_correlation_bounds(0.8, 0.5)
    assert found.independent == pytest.approx(exact.independent, abs=0.005)
    assert found.upper == pytest.approx(exact.upper, abs=0.015)
    assert found.lower == pytest.approx(exact.lower, abs=0.015)
    assert found.upper < exact.upper + 0.005


def test_gaussian_bounds_are_where_the_matrix_turns_singular():
    draw = np.random.default_rng(8)
    a = draw.normal(size=(5, 9))
    cov = a @ a.T
    r = cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    found = gaussian_correlation_bounds(r[0, 2:], r[1, 2:], r[2:, 2:])
    for end in (found.lower, found.upper):
        m = r.copy()
        m[0, 1] = m[1, 0] = end
        assert np.linalg.eigvalsh(m).min() == pytest.approx(0, abs=1e-9)
    assert found.lower < r[0, 1] < found.upper


def test_correlations_of_no_variables_are_refused():
    with pytest.raises(DataError, match=r"explain 1\.62 of the variance of x"):
        gaussian_correlation_bounds([0.9, 0.9], [0, 0])
    with pytest.raises(DataError, match=r"shapes \(q,\), \(q,\) and \(q, q\)"):
        gaussian_correlation_bounds([0.9, 0.1], [0.5])


def test_weights_of_rows_count_as_repetitions():
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(2, 6, 3))
    once = correlation_bounds(x, y, [2, 1, 0])
    assert once.upper == pytest.approx(correlation_bounds(x[:, [0, 0, 1]], y[:, [0, 0, 1]]).upper)


def test_a_constant_has_no_correlation():
    assert np.isnan(correlation_bounds(np.ones((3, 2)), [[1, 2], [3, 4], [5, 6]]).upper)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((3, 3)), r"one shape \(draws, rows\); got \(3, 3\) and \(3, 2\)"),
        ([[1, 2], [3, np.nan], [5, 6]], "x_draws must be finite; draw 1 of row 1 is nan"),
    ],
)
def test_bad_draws_are_refused(x, message):
    with pytest.raises(DataError, match=message):
        correlation_bounds(x, np.ones((3, 2)))
