"""Marginals are matched by the biases alone."""

import numpy as np
import pytest
from oracles import random_network

from microplex.flow.data import Data
from microplex.flow.polish import match_marginals
from microplex.flow.spec import Spec, Variable

KS, HURDLES = (4, 9, 3), (-1, 2, -1)


@pytest.fixture(scope="module")
def network():
    made = []
    for i, (k, hurdle) in enumerate(zip(KS, HURDLES, strict=True)):
        flat = np.log(np.full(k, 1 / k)).astype(np.float32)
        made.append(Variable(f"v{i}", k, np.eye(k, dtype=np.float32), np.eye(k, dtype=np.float32), hurdle, flat))
    return random_network(Spec((made[0],), tuple(made[1:]), 16), seed=1)


def rows(n=4000):
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(0, k, n) for k in KS], axis=1).astype(np.int32)
    codes[:, 1] = np.where(rng.random(n) < 0.5, 2, codes[:, 1])
    codes[:, 2] = rng.choice(3, n, p=[0.85, 0.1, 0.05])
    return codes, rng.choice([1.0, 3.0], n)


def expected(network, codes, weights, observed=None):
    block = network.start(len(codes), double=True)
    block.add(0, codes[:, 0])
    out = []
    for t in range(2):
        block.advance(t)
        seen = np.ones(len(codes), bool) if observed is None else observed[:, t]
        out.append((weights * seen) @ block.probabilities(t) / (weights @ seen))
        block.add(1 + t, np.where(seen, codes[:, 1 + t], -1))
    return out


@pytest.mark.parametrize("some_missing", [False, True])
def test_codes_are_expected_as_often_as_seen(network, some_missing):
    codes, weights = rows()
    observed = np.random.default_rng(1).random((len(codes), 2)) < 0.7 if some_missing else None
    data = Data(codes, weights, observed)
    matched = match_marginals(network, data)
    for t, (before, after) in enumerate(
        zip(expected(network, codes, weights, observed), expected(matched, codes, weights, observed), strict=True)
    ):
        w = weights if observed is None else weights * observed[:, t]
        share = np.bincount(codes[:, 1 + t], w, minlength=KS[1 + t]) / w.sum()
        assert np.abs(after - share).max() < 0.15 * np.abs(before - share).max()
        assert after == pytest.approx(share, abs=0.01)


def test_nothing_but_biases_moves(network):
    codes, weights = rows()
    before, after = network.to_arrays(), match_marginals(network, Data(codes, weights)).to_arrays()
    moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"head_biases"}
