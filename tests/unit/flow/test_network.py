"""The masked network: what depends on what, and that training and running agree."""

import numpy as np
import pytest
from oracles import one_row, random_network

from microplex.flow.data import Data, TrainOptions
from microplex.flow.ensemble import Ensemble, Member, propose_orders
from microplex.flow.network import DOUBT, Network
from microplex.flow.spec import Spec, Variable, numeric_features, ordered_basis

KS = (5, 3, 14, 4, 2, 12)
N_CONDITIONS = 2


def variable(i, k):
    p = np.random.default_rng(i).dirichlet(np.full(k, 2.0))
    position = np.cumsum(p) - 0.5 * p
    features = numeric_features(position, position - 0.5, np.arange(k) == 0) if k > 10 else np.eye(k, dtype=np.float32)
    basis = ordered_basis(k, 1.0) if k > 10 else np.eye(k, dtype=np.float32)
    return Variable(f"v{i}", k, features, basis, 0 if k in (4, 14) else -1, np.log(p).astype(np.float32))


@pytest.fixture(scope="module")
def spec():
    made = tuple(variable(i, k) for i, k in enumerate(KS))
    return Spec(made[:N_CONDITIONS], made[N_CONDITIONS:], 48)


def rows(n=600, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, k, n) for k in KS], axis=1).astype(np.int32)


@pytest.fixture(scope="module", params=[True, False], ids=["given order", "any order"])
def trained(request, spec):
    from microplex.flow.training import Trainer

    trainer = Trainer(spec, TrainOptions(48, 25, 64, 1e-2, mask_rate=0.0), fixed_order=request.param)
    order = (0, 1, 2, 3) if request.param else (2, 0, 3, 1)
    codes = rows()
    codes[:, 3] = codes[:, 2] % 4  # something to learn
    return trainer, order, trainer.fit(Data(codes, np.ones(len(codes))), order, 0), codes


def test_target_reads_every_condition_and_the_targets_before_it(spec, trained):
    _, order, network, codes = trained
    columns = [*range(N_CONDITIONS), *(N_CONDITIONS + t for t in order)]
    base = codes[:40][:, columns]
    before = network.log_prob(base)
    sizes = np.array(KS)[columns]
    for v in range(len(KS)):
        changed = base.copy()
        changed[:, v] = (changed[:, v] + 1) % sizes[v]
        moved = np.abs(network.log_prob(changed) - before).max(axis=0) > 1e-7
        expected = [v < N_CONDITIONS or v - N_CONDITIONS <= place for place in range(4)]
        assert moved.tolist() == expected


def test_training_and_running_agree(spec, trained):
    import jax

    trainer, order, _, codes = trained
    constants = trainer.layout.constants(order)
    params = trainer._initial(jax.random.key(3), constants)
    params["heads"] = [
        {"w": 0.3 * jax.random.normal(jax.random.key(i), h["w"].shape), "b": h["b"]}
        for i, h in enumerate(params["heads"])
    ]
    allowed = np.random.default_rng(1).random((64, 14)) < 0.6
    allowed[np.arange(64), codes[:64, 2]] = True
    observed = np.random.default_rng(2).random((64, 4)) < 0.7
    weights = np.random.default_rng(3).random(64)
    plain = trainer._network(params, order)
    for seen in (None, observed):
        item = {"codes": codes[:64], "weights": weights.astype(np.float32), "allowed": {"0": allowed}}
        item |= {} if seen is None else {"observed": seen}
        loss = float(trainer._loss(params, item, jax.random.key(0), constants))
        data = Data(codes[:64], weights, seen, {0: allowed})
        assert loss == pytest.approx(-(weights * Member(order, plain).log_prob(data)).mean(), abs=1e-4)


def test_training_learns_what_there_is(trained):
    _, order, network, codes = trained
    data = Data(codes, np.ones(len(codes)))
    start = np.log(np.bincount(codes[:, 3], minlength=4) / len(codes))[codes[:, 3]].mean()
    learned = network.log_prob(data.arrange(N_CONDITIONS, order).codes)[:, order.index(1)].mean()
    assert learned > start + 0.05


def test_running_equals_its_slow_twin(trained):
    _, order, network, codes = trained
    codes = codes[:6][:, [*range(N_CONDITIONS), *(N_CONDITIONS + t for t in order)]]
    single, double = network.log_prob(codes, double=False), network.log_prob(codes)
    for i, row in enumerate(codes):
        slow = [np.log(p[row[N_CONDITIONS + t]]) for t, p in enumerate(one_row(network, row))]
        assert double[i] == pytest.approx(slow, abs=1e-10)
        assert single[i] == pytest.approx(slow, abs=1e-5)


def test_unknown_inputs_have_a_row_of_their_own(trained):
    _, order, network, codes = trained
    codes = codes[:30][:, [*range(N_CONDITIONS), *(N_CONDITIONS + t for t in order)]]
    observed = np.ones((30, 4), bool)
    observed[:, 1] = False
    hidden = network.log_prob(codes, observed)
    assert (hidden[:, 1] == 0).all()
    changed = codes.copy()
    changed[:, N_CONDITIONS + 1] = 0
    assert np.array_equal(network.log_prob(changed, observed), hidden)


def test_arrays_survive_saving(trained):
    _, order, network, codes = trained
    again = Network.from_arrays(network.to_arrays())
    codes = codes[:20][:, [*range(N_CONDITIONS), *(N_CONDITIONS + t for t in order)]]
    assert np.array_equal(again.log_prob(codes), network.log_prob(codes))
    assert again.n_conditions == network.n_conditions


def test_mixture_is_a_mean_of_probabilities(spec, trained):
    _, order, network, codes = trained
    member = Member(order, network)
    data = Data(codes[:50], np.ones(50))
    twice = Ensemble((member, member)).log_prob(data)
    assert twice == pytest.approx(member.log_prob(data))


def test_orders_are_distinct_and_start_with_the_given_one():
    orders = propose_orders(4, 6, 0, lambda o: o)
    assert orders[0] == (0, 1, 2, 3)
    assert len(set(orders)) == len(orders) == 7
    assert orders == propose_orders(4, 6, 0, lambda o: o)


def test_marginals_are_matched(trained):
    from microplex.flow.polish import _expected, _observed, match_marginals

    _, order, network, codes = trained
    data = Data(codes, np.ones(len(codes))).arrange(N_CONDITIONS, order)
    biases = tuple(b + np.linspace(-0.7, 0.7, len(b), dtype=np.float32) for b in network.head_biases)
    spoiled = Network.from_arrays(network.to_arrays() | {f"head_biases.{i}": b for i, b in enumerate(biases)})
    wanted = np.concatenate(_observed(network, data))

    def miss(net):
        return np.abs(np.concatenate(_expected(net, data)) - wanted).sum()

    assert miss(match_marginals(spoiled, data)) < 0.25 * miss(spoiled)


# ------------------------------------------------------- networks nobody trained


@pytest.fixture(scope="module")
def wild(spec):
    return random_network(spec, seed=5, scale=2.0)


def test_probabilities_add_to_one_within_what_is_allowed(wild):
    codes = rows(300)
    block = wild.start(300, double=True)
    for v in range(N_CONDITIONS):
        block.add(v, codes[:, v])
    block.advance(0)
    p = block.probabilities(0)
    assert p.sum(axis=1) == pytest.approx(np.ones(300))
    allowed = np.random.default_rng(0).random(p.shape) < 0.4
    allowed[:, 3] = True
    q = block.probabilities(0, allowed=allowed)
    assert q.sum(axis=1) == pytest.approx(np.ones(300))
    assert (q[~allowed] == 0).all()
    assert q[allowed] == pytest.approx((p / (p * allowed).sum(axis=1, keepdims=True))[allowed])
    assert np.array_equal(block.probabilities(0, np.array([7, 2]), allowed[[7, 2]]), q[[7, 2]])


@pytest.mark.parametrize("target", [0, 1, 2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_draws_follow_the_probabilities(wild, target, masked):
    n = 20_000
    codes = np.repeat(rows(1, seed=3), n, axis=0)
    block = wild.start(n)
    for v in range(N_CONDITIONS + target):
        if v >= N_CONDITIONS:
            block.advance(v - N_CONDITIONS)
        block.add(v, codes[:, v])
    block.advance(target)
    k = wild.heads[target].shape[1]
    allowed = np.repeat(np.arange(k)[None] % 2 == 0, n, axis=0) if masked else None
    p = block.probabilities(target, np.array([0]), None if allowed is None else allowed[:1])[0]
    drawn = block.draw(target, (np.arange(n) + 0.5) / n, allowed=allowed)
    assert np.bincount(drawn, minlength=k) / n == pytest.approx(p, abs=2e-4)
    if masked:
        assert allowed[0, drawn].all()


def test_a_code_without_weight_is_never_drawn():
    from microplex.flow.network import Pass

    block = Pass.__new__(Pass)
    block.doubtful = np.zeros(3, bool)
    weights = np.array([[0.0, 1.0, 0.0, 1.0, 0.0]] * 3, np.float32)
    u = np.array([2.0**-53, 0.5, 1 - 2.0**-53])
    assert set(block._pick(weights, u, np.arange(3))) <= {1, 3}


def test_scores_do_not_depend_on_neighbours(wild):
    codes = rows(3000)
    whole = wild.log_prob(codes)
    shuffled = np.random.default_rng(1).permutation(3000)
    assert wild.log_prob(codes[shuffled]) == pytest.approx(whole[shuffled], abs=1e-11)
    for n in (1, 63, 64, 65, 1025):
        assert wild.log_prob(codes[-n:]) == pytest.approx(whole[-n:], abs=1e-11)


def test_draws_in_doubt_are_those_that_single_precision_could_change(wild):
    n = 4000
    codes, u = rows(n), np.random.default_rng(2).random((4, n))
    single, double = wild.start(n), wild.start(n, double=True)
    for block in (single, double):
        for v in range(N_CONDITIONS):
            block.add(v, codes[:, v])
    noise, drawn = 0.0, []
    for t in range(4):
        for block in (single, double):
            block.advance(t)
        rise = [np.cumsum(block.probabilities(t), axis=1) for block in (single, double)]
        noise = max(noise, np.abs(rise[0] - rise[1]).max())
        drawn = [block.draw(t, u[t]) for block in (single, double)]
        assert np.array_equal(drawn[0][~single.doubtful], drawn[1][~single.doubtful])
        for block in (single, double):
            block.add(N_CONDITIONS + t, codes[:, N_CONDITIONS + t])
    assert noise < DOUBT / 3
    assert 0 < single.doubtful.mean() < 0.02
    border = double.probabilities(3)[:, 0]
    again = wild.start(n)
    for v in range(N_CONDITIONS):
        again.add(v, codes[:, v])
    for t in range(3):
        again.advance(t)
        again.add(N_CONDITIONS + t, codes[:, N_CONDITIONS + t])
    again.advance(3)
    again.draw(3, border)
    assert again.doubtful.all()
