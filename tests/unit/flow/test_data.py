"""Coded rows and options by sample size."""

import numpy as np

from microplex.flow.data import Data, default_options


def make(n=6):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (n, 4)).astype(np.int32)
    return Data(codes, np.arange(1.0, n + 1), rng.random((n, 3)) < 0.5, {1: rng.random((n, 3)) < 0.5})


def test_taking_rows():
    data, rows = make(), np.array([4, 1])
    taken = data.take(rows)
    assert np.array_equal(taken.codes, data.codes[rows])
    assert taken.weights.tolist() == [5, 2]
    assert np.array_equal(taken.observed, data.observed[rows])
    assert np.array_equal(taken.allowed[1], data.allowed[1][rows])


def test_another_order_moves_all_that_belongs_to_a_target():
    data = make()
    moved = data.arrange(1, (2, 0, 1))
    assert np.array_equal(moved.codes, data.codes[:, [0, 3, 1, 2]])
    assert np.array_equal(moved.observed, data.observed[:, [2, 0, 1]])
    assert list(moved.allowed) == [2]
    assert np.array_equal(moved.allowed[2], data.allowed[1])


def test_bare_rows_stay_bare():
    data = Data(np.zeros((3, 2), np.int32), np.ones(3))
    for other in (data.take(np.array([0])), data.arrange(0, (1, 0))):
        assert other.observed is None
        assert other.allowed is None


def test_small_samples_are_regularised_and_large_ones_passed_over_less_often():
    sizes = (60, 999, 5_000, 20_000, 40_000, 10**6, 10**8)
    options = [default_options(n) for n in sizes]
    dropout = [o.dropout for o in options]
    assert dropout[0] == max(dropout) > 0
    assert [o.width for o in options] == sorted(o.width for o in options)
    large = [o.epochs for o in options[4:]]
    assert large == sorted(large, reverse=True)
    assert large[-1] >= 1
    assert all(o.batch <= n for o, n in zip(options, sizes, strict=True))
