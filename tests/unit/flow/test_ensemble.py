"""Mixtures of orders: proper probabilities, and a search that keeps the best."""

import numpy as np
import pytest
from oracles import random_network
from scipy.special import logsumexp

from microplex.flow.data import Data, TrainOptions
from microplex.flow.ensemble import Ensemble, Member, fit_ensemble, propose_orders
from microplex.flow.spec import Spec, Variable

KS = (3, 2, 3, 4)


@pytest.fixture(scope="module")
def ensemble():
    made = []
    for i, k in enumerate(KS):
        flat = np.log(np.full(k, 1 / k)).astype(np.float32)
        made.append(Variable(f"v{i}", k, np.eye(k, dtype=np.float32), np.eye(k, dtype=np.float32), -1, flat))
    spec = Spec((made[0],), tuple(made[1:]), 16)
    orders = [(0, 1, 2), (2, 0, 1), (1, 2, 0)]
    return Ensemble(tuple(Member(o, random_network(spec, o, seed)) for seed, o in enumerate(orders)))


def every_row():
    return np.stack(np.meshgrid(*(np.arange(k) for k in KS), indexing="ij"), -1).reshape(-1, 4).astype(np.int32)


def test_a_mixture_of_orders_adds_to_one(ensemble):
    codes = every_row()
    p = np.exp(ensemble.log_prob(Data(codes, np.ones(len(codes)))))
    assert [p[codes[:, 0] == c].sum() for c in range(3)] == pytest.approx([1, 1, 1])


def test_unobserved_targets_drop_out_of_each_member(ensemble):
    codes = every_row()
    hidden = np.tile([True, False, True], (len(codes), 1))
    log_p = ensemble.log_prob(Data(codes, np.ones(len(codes)), hidden))
    key = codes[:, 0] * 100 + codes[:, 1] * 10 + codes[:, 3]
    for k in np.unique(key):
        assert np.ptp(log_p[key == k]) < 1e-12
    first = np.unique(key, return_index=True)[1]
    assert [np.exp(log_p[first][codes[first, 0] == c]).sum() for c in range(3)] == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("target", [0, 1, 2])
def test_codes_of_one_target_given_those_seen_before_it(ensemble, target):
    codes = every_row()[::7]
    n = len(codes)
    seen = np.zeros((n, 3), bool)
    table = ensemble.code_log_prob(Data(codes, np.ones(n), seen), target)
    assert table.shape == (n, KS[1 + target])
    total = logsumexp(table, axis=1)
    assert total == pytest.approx(np.full(n, total[0]))


def test_every_member_gets_its_share_of_rows(ensemble):
    chosen = ensemble.choose((np.arange(9000) + 0.5) / 9000)
    assert np.bincount(chosen).tolist() == [3000, 3000, 3000]
    assert ensemble.choose(np.array([1 - 2.0**-53]))[0] == 2


def test_no_targets_have_probability_one():
    data = Data(np.zeros((4, 2), np.int32), np.ones(4))
    assert Ensemble(()).log_prob(data).tolist() == [0, 0, 0, 0]


def test_orders_are_rearranged_distinct_and_repeatable():
    def keep_first_before_last(order):
        return tuple(sorted(order, key=lambda t: (t == 3, order.index(t))))

    orders = propose_orders(4, 5, 7, keep_first_before_last)
    assert orders[0] == (0, 1, 2, 3)
    assert all(order[-1] == 3 for order in orders)
    assert len(orders) == len(set(orders)) == 6
    assert orders == propose_orders(4, 5, 7, keep_first_before_last)
    assert propose_orders(1, 5, 0, lambda o: o) == [(0,)]
    assert len(propose_orders(2, 50, 0, lambda o: o)) == 2


def test_one_order_may_be_trained_several_times_and_is_mixed():
    codes = np.random.default_rng(0).integers(0, 2, (120, 3)).astype(np.int32)
    flat = np.log(np.full(2, 0.5)).astype(np.float32)
    made = [Variable(f"v{i}", 2, np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), -1, flat) for i in range(3)]
    data, told = Data(codes, np.ones(120)), []

    def fit(members):
        spec, options = Spec((made[0],), tuple(made[1:]), 8), TrainOptions(8, 2, 32, 1e-2, members=members)
        report = lambda share, score: told.append((members, share))  # noqa: E731
        return fit_ensemble(spec, data, data, options, [(0, 1)], 3, 5, report)

    (one, _), (three, score) = fit(1), fit(3)
    assert [member.order for member in three.members] == [(0, 1)] * 3
    own = [member.network.to_arrays() for member in three.members]
    for name, x in one.members[0].network.to_arrays().items():
        np.testing.assert_array_equal(own[0][name], x)
    assert not np.array_equal(own[0]["heads.0"], own[1]["heads.0"])
    shares = [share for members, share in told if members == 3]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert score == pytest.approx(three.mean_log_prob(data))
