"""The normal matrix against the dense product."""

import numpy as np
import pytest
import scipy.sparse as sp

from microplex.calibration import normal
from microplex.calibration.normal import NormalMatrix


def dense(plan, values, m):
    full = np.zeros((m, m))
    full[plan.rows, plan.columns] = values
    return full + np.triu(full, 1).T


def records_of(rng, n, m, density=0.3):
    full = rng.normal(size=(n, m)) * (rng.random((n, m)) < density)
    return sp.csr_array(full), full


def agree(plan, full, h):
    expected = full.T @ (h[:, None] * full)
    found = dense(plan, plan.values(h), full.shape[1])
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12 * max(1.0, np.abs(expected).max()))


SHAPES = [(1, 1), (1, 7), (7, 1), (30, 5), (5, 30), (200, 12)]


@pytest.mark.parametrize(("n", "m"), SHAPES)
@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
def test_equals_the_dense_product(n, m, density):
    rng = np.random.default_rng(n * 100 + m)
    sparse, full = records_of(rng, n, m, density)
    plan = NormalMatrix(sparse)
    for h in (rng.random(n), np.ones(n), np.zeros(n), rng.normal(size=n) * 10.0 ** rng.integers(-3, 4, n)):
        agree(plan, full, h)


def test_cells_are_the_upper_triangle_and_all_the_diagonal():
    sparse, full = records_of(np.random.default_rng(0), 15, 9, 0.1)
    full[:, 4] = 0.0  # a target without support
    full[3] = 0.0  # a record of no target
    sparse = sp.csr_array(full)
    plan = NormalMatrix(sparse)
    assert (plan.rows <= plan.columns).all()
    assert set(range(9)) == set(plan.rows[plan.rows == plan.columns].tolist())
    assert len(set(zip(plan.rows.tolist(), plan.columns.tolist(), strict=True))) == len(plan.rows)
    touching = (np.abs(full).T @ np.abs(full)) > 0
    inside = np.zeros((9, 9), bool)
    inside[plan.rows, plan.columns] = True
    assert not (np.triu(touching) & ~inside).any()
    agree(plan, full, np.arange(15.0))


def test_records_of_many_lengths():
    m = 14
    full = np.tril(np.ones((m, m))) * np.arange(1.0, m + 1)
    full = np.vstack([full, np.zeros((3, m)), full[::-1]])
    agree(NormalMatrix(sp.csr_array(full)), full, np.linspace(0.5, 2, len(full)))


@pytest.mark.parametrize("chunk", [1, 3, 10, 1000])
@pytest.mark.parametrize("kept", [0, 10**9])
def test_chunks_and_kept_products_change_nothing(monkeypatch, chunk, kept):
    rng = np.random.default_rng(5)
    sparse, full = records_of(rng, 60, 8, 0.5)
    h = rng.random(60)
    expected = NormalMatrix(sparse).values(h)
    monkeypatch.setattr(normal, "_CHUNK", chunk)
    monkeypatch.setattr(normal, "_KEPT", kept)
    plan = NormalMatrix(sparse)
    for _ in range(2):  # the second call uses what the first left behind
        assert plan.values(h) == pytest.approx(expected, rel=1e-13, abs=1e-13)
    agree(plan, full, h)


def test_cell_numbers_beyond_32_bits(monkeypatch):
    rng = np.random.default_rng(6)
    sparse, full = records_of(rng, 40, 300, 0.1)
    h = rng.random(40)
    expected = NormalMatrix(sparse).values(h)
    monkeypatch.setattr(normal, "_SMALL", 4)
    assert np.array_equal(NormalMatrix(sparse).values(h), expected)
    agree(NormalMatrix(sparse), full, h)


def test_the_records_are_left_alone():
    sparse, _ = records_of(np.random.default_rng(7), 20, 6)
    before = sparse.copy()
    NormalMatrix(sparse).values(np.ones(20))
    assert np.array_equal(before.data, sparse.data)
    assert np.array_equal(before.indices, sparse.indices)


def test_no_records():
    plan = NormalMatrix(sp.csr_array((0, 3)))
    assert plan.values(np.zeros(0)).tolist() == [0.0, 0.0, 0.0]
