import numpy as np
import pytest

from microplex.flow.data import Data, TrainOptions
from microplex.flow.spec import Spec, Variable, numeric_features, ordered_basis
from microplex.flow.tilt import Exact, Scores, _fit, _jeffreys, _Rows, match_associations
from microplex.flow.training import Trainer

K = 8


def _variable(name, codes, hurdle=-1):
    p = (np.bincount(codes, minlength=K) + 0.5) / (len(codes) + 0.5 * K)
    position = np.cumsum(p) - 0.5 * p
    features = numeric_features(position, position, np.zeros(K, bool))
    return Variable(name, K, features, ordered_basis(K, 0.3), hurdle, np.log(p).astype(np.float32))


def _case(hurdle):
    rng = np.random.default_rng(0)
    a = rng.integers(0, K, 800)
    b = np.clip(a + rng.integers(-2, 3, 800), 0, K - 1)
    c = np.where(rng.random(800) < 0.1 + 0.08 * b, 0, np.clip(K - b + rng.integers(-1, 2, 800), 0, K - 1))
    codes = np.column_stack([a, b, c]).astype(np.int32)
    weights = 0.5 + rng.random(800)
    spec = Spec((_variable("a", a),), (_variable("b", b), _variable("c", c, 0 if hurdle else -1)), width=16)
    options = TrainOptions(16, 1, 128, 1e-3)
    network = Trainer(spec, options, fixed_order=True).fit(Data(codes, weights), (0, 1), seed=1)
    z = (np.arange(K) - 3.5) / 2.0
    return network, [Scores(z[:, None], np.column_stack([z, z**2 - 1]))] * 3, codes, weights, z


def _moments(network, codes, weights, z):
    """Expected less observed mean of score times input score, for both targets and all their inputs."""
    gaps = []
    block = network.start(len(codes), double=True)
    block.add(0, codes[:, 0])
    for t in range(2):
        block.advance(t)
        expected = block.probabilities(t) @ z
        for v in range(1 + t):
            gaps.append(np.average((expected - z[codes[:, 1 + t]]) * z[codes[:, v]], weights=weights))
        block.add(1 + t, codes[:, 1 + t])
    return np.abs(gaps)


def test_expected_moments_become_the_observed_ones():
    network, scores, codes, weights, z = _case(hurdle=False)
    matched = match_associations(network, scores, codes, weights, np.ones((800, 2), bool))
    assert _moments(network, codes, weights, z).max() > 0.2
    assert _moments(matched, codes, weights, z).max() < 0.006


def test_moments_of_values_are_matched_where_bins_hide_a_part_of_them():
    network, scores, codes, weights, z = _case(hurdle=False)
    rng = np.random.default_rng(1)
    common = rng.uniform(-0.25, 0.25, 800)
    values = [z[codes[:, v]] + common for v in range(3)]
    exact = [Exact(x[:, None], np.column_stack([x, x**2 - 1])) for x in values]
    matched = match_associations(network, scores, codes, weights, np.ones((800, 2), bool), exact=exact)
    plain = match_associations(network, scores, codes, weights, np.ones((800, 2), bool))
    gaps = []
    for net in (matched, plain):
        block = net.start(len(codes), double=True)
        block.add(0, codes[:, 0])
        block.advance(0)
        expected = block.probabilities(0) @ z
        gaps.append(abs(np.average((expected - values[1]) * values[0], weights=weights)))
    assert gaps[0] < 0.005
    assert gaps[1] > 0.01


def test_a_hurdle_keeps_its_gate_and_its_moments():
    network, scores, codes, weights, z = _case(hurdle=True)
    matched = match_associations(network, scores, codes, weights, np.ones((800, 2), bool))
    block = matched.start(len(codes), double=True)
    for v in (0, 1):
        block.advance(0) if v == 1 else None
        block.add(v, codes[:, v])
    block.advance(1)
    gate = block.probabilities(1)[:, 0]
    atom = codes[:, 2] == 0
    for v in (0, 1):
        assert np.average((gate - atom) * z[codes[:, v]], weights=weights) == pytest.approx(0, abs=0.005)
    assert _moments(matched, codes, weights, z).max() < _moments(network, codes, weights, z).max() / 5


def test_rows_of_weight_zero_and_unseen_cells_do_not_count():
    network, scores, codes, weights, _ = _case(hurdle=False)
    spoiled = codes.copy()
    spoiled[:200, 2] = 7
    seen = np.ones((800, 2), bool)
    seen[:200, 1] = False
    kept = match_associations(network, scores, codes, weights, seen)
    other = match_associations(network, scores, spoiled, weights, seen)
    for a, b in zip(kept.heads, other.heads, strict=True):
        assert (a == b).all()
    assert all((a == b).all() for a, b in zip(kept.tables, other.tables, strict=True))


def test_the_law_is_still_one():
    network, scores, codes, weights, _ = _case(hurdle=True)
    matched = match_associations(network, scores, codes, weights, np.ones((800, 2), bool))
    block = matched.start(5)
    block.add(0, codes[:5, 0])
    block.advance(0)
    assert block.probabilities(0).sum(axis=1) == pytest.approx(np.ones(5))
    assert matched.degrees.tolist() == sorted(matched.degrees.tolist())


def _skewness_by_hand(inverse, q, outcomes, mean, inputs):
    out = np.zeros_like(mean)
    for i, x in enumerate(inputs):
        away = outcomes - mean[i]
        third = np.einsum("k,ka,kb,kc->abc", q[i], away, away, away)
        leverage = np.einsum("p,apbq,q->ab", x, inverse, x)
        out[i] = 0.5 * np.einsum("ab,abc->c", leverage, third)
    return out


def test_jeffreys_prior_adds_leverage_times_skewness():
    rng = np.random.default_rng(3)
    q, outcomes, inputs = rng.dirichlet(np.ones(5), 7), rng.normal(size=(5, 2)), rng.normal(size=(7, 3))
    root = rng.normal(size=(6, 6))
    inverse, mean = (root @ root.T).reshape(2, 3, 2, 3), q @ outcomes
    found = _jeffreys(inverse, q, outcomes, mean, inputs)
    np.testing.assert_allclose(found, _skewness_by_hand(inverse, q, outcomes, mean, inputs), atol=1e-12)
    apart = np.stack([inverse[a, :, a] for a in range(2)])
    alone = [_skewness_by_hand(apart[a][None, :, None], q, outcomes[:, [a]], mean[:, [a]], inputs) for a in range(2)]
    np.testing.assert_allclose(_jeffreys(apart, q, outcomes, mean, inputs), np.hstack(alone), atol=1e-12)


def test_a_share_is_that_of_jeffreys_prior():
    own = np.repeat([0, 1], [17, 3]).astype(np.int32)
    one = np.ones((20, 1))
    outcomes = np.array([[0.0], [1.0]])
    at = _Rows(np.full((20, 2), np.log(0.5)), one, one, own, outcomes[own], np.ones(20))
    beta, bias = _fit(at, outcomes)
    odds = beta[0, 0] + bias[1] - bias[0]
    assert odds == pytest.approx(np.log(3.5 / 17.5), abs=1e-3)


def test_associations_of_small_samples_are_not_too_large():
    truth, outcomes, found = 1.5, np.array([[0.0], [1.0]]), []
    rng = np.random.default_rng(5)
    for _ in range(300):
        x = rng.normal(size=40)
        own = (rng.random(40) < 1 / (1 + np.exp(-truth * x))).astype(np.int32)
        inputs = np.column_stack([np.ones(40), x])
        at = _Rows(np.full((40, 2), np.log(0.5)), inputs, inputs, own, outcomes[own], np.ones(40))
        found.append(_fit(at, outcomes)[0][1, 0])
    assert np.mean(found) == pytest.approx(truth, abs=0.15)  # by maximum likelihood alone 1.7 and more


def test_variances_are_corrected_alike_on_all_rows_and_for_degrees_of_freedom():
    network, scores, codes, weights, z = _case(hurdle=False)
    one = [Scores(s.features, s.outcomes, squared=True) for s in scores]
    matched = match_associations(network, one, codes, weights, np.ones((800, 2), bool))
    assert _moments(matched, codes, weights, z).max() < 0.006
    block = matched.start(len(codes), double=True)
    block.add(0, codes[:, 0])
    block.advance(0)
    q = block.probabilities(0)
    spent = 2 * (weights @ weights) / weights.sum() ** 2
    residual = np.average((z[codes[:, 1]] - q @ z) ** 2, weights=weights)
    square = np.average(z[codes[:, 1]] ** 2, weights=weights) + residual * spent / (1 - spent)
    assert np.average(q @ z**2, weights=weights) == pytest.approx(square, abs=1e-4)
