"""The masked network: what depends on what, and that training and running agree."""

import numpy as np
import pytest

from microplex.flow.data import Data, TrainOptions
from microplex.flow.ensemble import Ensemble, Member, propose_orders
from microplex.flow.network import Network
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
    item = {"codes": codes[:64], "weights": np.ones(64, np.float32), "allowed": {"0": allowed}}
    loss = float(trainer._loss(params, item, jax.random.key(0), constants))
    plain = trainer._network(params, order)
    data = Data(codes[:64], np.ones(64), None, {0: allowed})
    score = Member(order, plain).log_prob(data).mean()
    assert loss == pytest.approx(-score, abs=2e-4)


def test_training_learns_what_there_is(trained):
    _, order, network, codes = trained
    data = Data(codes, np.ones(len(codes)))
    start = np.log(np.bincount(codes[:, 3], minlength=4) / len(codes))[codes[:, 3]].mean()
    learned = network.log_prob(data.arrange(N_CONDITIONS, order).codes)[:, order.index(1)].mean()
    assert learned > start + 0.05


def one_row(network, codes):
    """The slow obvious twin: one row, one unit at a time."""
    out = []
    c = network.n_conditions
    for t in range(network.n_targets):
        units = int(np.searchsorted(network.degrees, t, "right"))
        pre = network.bias.astype(float).copy()
        for v in range(c + t):
            pre += network.tables[v][codes[v]]
        h = np.maximum(pre, 0)
        z = np.maximum(network.w_a.T.astype(float) @ h + network.b_a, 0)
        last = h + network.w_b.T.astype(float) @ z + network.b_b
        logits = last[:units] @ network.heads[t].astype(float) + network.head_biases[t]
        hurdle = network.hurdles[t]
        if hurdle >= 0:
            gate = 1 / (1 + np.exp(-logits[hurdle]))
            rest = np.exp(np.delete(logits, hurdle))
            p = np.insert((1 - gate) * rest / rest.sum(), hurdle, gate)
        else:
            p = np.exp(logits - logits.max())
            p /= p.sum()
        out.append(p)
    return out


def test_running_equals_its_slow_twin(trained):
    _, order, network, codes = trained
    codes = codes[:12][:, [*range(N_CONDITIONS), *(N_CONDITIONS + t for t in order)]]
    fast = network.log_prob(codes)
    for i, row in enumerate(codes):
        slow = [np.log(p[row[N_CONDITIONS + t]]) for t, p in enumerate(one_row(network, row))]
        assert fast[i] == pytest.approx(slow, abs=1e-5)


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
