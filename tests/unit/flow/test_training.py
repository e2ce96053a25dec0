"""The bookkeeping of training; what it learns is in test_network and the statistical tests."""

import numpy as np
import pytest

from microplex.flow.data import Data, TrainOptions
from microplex.flow.spec import Spec, Variable


@pytest.fixture(scope="module")
def trainer():
    from microplex.flow.training import Trainer

    k = 3
    flat = np.log(np.full(k, 1 / k)).astype(np.float32)
    made = [Variable(f"v{i}", k, np.eye(k, dtype=np.float32), np.eye(k, dtype=np.float32), -1, flat) for i in range(3)]
    return Trainer(Spec((made[0],), tuple(made[1:]), 8), TrainOptions(8, 2, 16, 1e-2), fixed_order=False)


def rows(n=100, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (n, 3)).astype(np.int32)


def arrays(network):
    return network.to_arrays()


def test_the_rate_warms_up_then_falls_to_zero():
    from microplex.flow.training import learning_rate

    options = TrainOptions(8, 1, 1, 0.01, warmup=0.2)
    rates = [learning_rate(options, step, 100) for step in range(100)]
    assert np.argmax(rates) in (19, 20)
    assert max(rates) == pytest.approx(0.01, rel=1e-3)
    assert (np.diff(rates[:20]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    assert 0 < rates[-1] < 1e-5
    assert learning_rate(options, 0, 1) > 0


def test_a_fit_is_a_function_of_its_rows_and_its_seed(trainer):
    data = Data(rows(), np.ones(100))
    first, again, other = (trainer.fit(data, (0, 1), seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, arrays(again)[name]) for name, a in arrays(first).items())
    assert not np.array_equal(first.w_a, other.w_a)


def test_every_array_moves_and_stays_finite(trainer):
    codes = rows()
    codes[:, 2] = codes[:, 1]
    brief = trainer.fit(Data(codes, np.ones(100)), (0, 1), 3)
    for name, array in arrays(brief).items():
        assert np.isfinite(array).all(), name
    assert np.abs(brief.heads[1]).max() > 0
    assert brief.log_prob(codes)[:, 1].mean() > np.log(1 / 3)


def test_a_common_factor_on_all_weights_is_not_seen_and_their_ratio_is(trainer):
    codes, weights = rows(), np.where(np.arange(100) < 50, 1.0, 4.0)
    plain, scaled, equal = (trainer.fit(Data(codes, w), (0, 1), 1) for w in (weights, 8 * weights, np.ones(100)))
    assert np.array_equal(plain.w_a, scaled.w_a)
    assert not np.array_equal(plain.w_a, equal.w_a)


def test_progress_is_told_to_the_end(trainer):
    told = []
    trainer.fit(Data(rows(700), np.ones(700)), (0, 1), 0, lambda step, steps, network: told.append((step, steps)))
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert told[-1][0] == told[-1][1] == 700 * 2 // 16
