import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from microplex.errors import DataError, ParameterError
from microplex.metrics.neighbours import embed, embed_columns, nearest, thin, within
from microplex.metrics.pair import pair


def survey(n, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "wages": np.where(rng.random(n) < 0.4, 0.0, np.round(rng.lognormal(10, 1, n))),
            "age": rng.integers(0, 90, n).astype(float),
            "state": rng.choice(["ca", "ny", "tx", "wa"], n),
            "sex": rng.choice(["f", "m"], n),
        }
    )
    frame.loc[rng.random(n) < 0.1, "wages"] = np.nan
    frame.loc[rng.random(n) < 0.1, "state"] = None
    return frame


def slow_squared(left, right, real):
    """The documented distance of two rows, one variable at a time."""
    total = 0.0
    for name in ("wages", "age"):
        known = real[name].dropna().to_numpy()
        rank = [np.nan if np.isnan(row[name]) else (np.mean(known < row[name]) + np.mean(known <= row[name])) / 2
                for row in (left, right)]  # fmt: skip
        if np.isnan(rank).all():
            continue
        if np.isnan(rank).any():
            total += 1 + 12 * (np.nansum(rank) - 0.5) ** 2
        else:
            total += 12 * (rank[0] - rank[1]) ** 2
    for name in ("state", "sex"):
        same = left[name] == right[name] or (pd.isna(left[name]) and pd.isna(right[name]))
        total += 0 if same else 2
    return total


def test_the_distance_is_the_documented_one():
    real, synthetic = survey(60, 0), survey(40, 1)
    points = embed(pair(real, synthetic))
    expected = [[slow_squared(s, r, real) for _, r in real.iterrows()] for _, s in synthetic.iterrows()]
    np.testing.assert_allclose(cdist(points[1], points[0], "sqeuclidean"), expected, atol=1e-12)


def test_range_scale_is_the_place_within_the_real_range():
    points = embed_columns([np.array([2.0, 4.0])], np.ones(2), [0], [[np.array([2.0, 3.0, 6.0])]], "range")[0]
    np.testing.assert_allclose(np.diff(points[:, 0]) / np.sqrt(12), [0.5, 1.5])


def test_a_weight_is_that_many_rows():
    real = survey(50, 2)
    times = np.random.default_rng(3).integers(1, 5, 50)
    weighted = pair(real.assign(w=times), survey(20, 4), weight_col="w")
    repeated = pair(real.loc[np.repeat(real.index, times)], survey(20, 4))
    np.testing.assert_allclose(embed(weighted)[1], embed(repeated)[1], atol=1e-12)


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("dims", [1, 3, 30])
def test_neighbours_are_those_of_a_full_matrix(k, dims):
    rng = np.random.default_rng(dims)
    reference, queries = rng.normal(size=(6000, dims)), rng.normal(size=(550, dims))
    reference[5000:5100] = reference[:100]
    queries[:50] = reference[:50]
    distances, rows = nearest(queries, reference, k)
    full = cdist(queries, reference)
    order = np.argsort(full, axis=1, kind="stable")[:, :k]
    np.testing.assert_allclose(distances, np.take_along_axis(full, order, axis=1), atol=1e-12)
    np.testing.assert_array_equal(rows, order)
    assert (distances[:50, 0] == 0).all()


def test_ties_among_categories_go_to_the_first_row():
    rng = np.random.default_rng(8)
    reference, queries = rng.integers(0, 2, (6000, 6)).astype(float), rng.integers(0, 3, (600, 6)).astype(float)
    rows = nearest(queries, reference, 3)[1]
    full = cdist(queries, reference, "sqeuclidean")
    np.testing.assert_array_equal(rows, np.argsort(full, axis=1, kind="stable")[:, :3])
    np.testing.assert_array_equal(nearest(queries, reference)[1][:, 0], rows[:, 0])


def test_a_row_is_not_its_own_neighbour():
    points = np.random.default_rng(5).normal(size=(4500, 3))
    distances, rows = nearest(points, points, k=2, skip_self=True)
    full = cdist(points, points)
    np.fill_diagonal(full, np.inf)
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :2], atol=1e-12)
    assert (rows != np.arange(4500)[:, None]).all()


def test_weight_within_a_radius_is_that_of_a_full_matrix():
    rng = np.random.default_rng(6)
    reference, queries, w = rng.normal(size=(6000, 4)), rng.normal(size=(800, 4)), rng.integers(0, 4, 6000)
    radius = rng.uniform(0, 3, 800)
    expected = (cdist(queries, reference) <= radius[:, None]) @ w
    np.testing.assert_allclose(within(queries, reference, radius, w), expected, rtol=1e-12)
    assert (within(reference, reference, 0.0) == 1).all()
    np.testing.assert_array_equal(within(reference[:99], reference, nearest(reference[:99], reference, 7)[0][:, 6]), 7)


def test_memory_does_not_grow_with_the_matrix():
    points = np.random.default_rng(7).normal(size=(30_000, 4))
    tracemalloc.start()
    nearest(points[:3000], points)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # the full matrix would take 720e6 bytes


def test_a_thinned_sample_has_equal_weights_and_no_row_twice():
    w = np.random.default_rng(9).lognormal(size=400)
    counts = np.zeros(400)
    for seed in range(3000):
        rows = thin(w, 100, seed, 0)
        assert len(rows) == len(set(rows.tolist())) == 100
        counts[rows] += 1
    chance = counts / 3000
    proportional = 100 * w / w.sum()
    small = proportional < 0.9
    np.testing.assert_allclose(chance[small] / proportional[small], 1, atol=0.5)
    assert np.corrcoef(chance[small], proportional[small])[0, 1] > 0.99
    assert len(thin([1, 1, 2], 100, 0, 0)) == 2  # no more than the effective sample size, 16 / 6
    assert 0 not in thin([0, 1, 1], 100, 0, 0)


def test_bad_input_is_named():
    points = np.zeros((3, 2))
    with pytest.raises(ParameterError, match="k must be from 1 to the 2 rows that can be neighbours; got 3"):
        nearest(points, points, 3, skip_self=True)
    with pytest.raises(DataError, match="rows of one length"):
        nearest(points, np.zeros((3, 1)))
    with pytest.raises(DataError, match="must be finite"):
        within(points, np.full((1, 2), np.nan), 1.0)
    with pytest.raises(ParameterError, match="scale must be one of"):
        embed(pair(survey(9, 0), survey(9, 0)), "ranks")
