"""Matching the marginals: the last step of a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microplex.flow.data import Data
from microplex.flow.network import BLOCK, Network

PRIOR_ROWS = 10.0
MAX_ROWS = 60_000
TURNS = 6


def match_marginals(network: Network, data: Data) -> Network:
    """Adjust the output biases until each code is expected as often as it was observed.

    At the maximum of the likelihood the mean probability of a code equals its weighted share (the score
    equation of its bias). Adaptive steps and averaging stop short of that, to the harm of rare codes; a few
    turns of proportional fitting of the biases alone restore it.

    Parameters
    ----------
    network
        A fitted network.
    data
        Its training rows, targets in the network's order.

    Returns
    -------
    Network
        The same trunk with other biases; a code seen on few rows moves little.
    """
    n = len(data.codes)
    if n > MAX_ROWS:
        data = data.take(np.linspace(0, n - 1, MAX_ROWS).astype(np.intp))
    weights = data.weights / data.weights.mean()
    biases = list(network.head_biases)
    for target, p in enumerate(_probabilities(network, data)):
        code = data.codes[:, network.n_conditions + target]
        seen = np.ones(len(code), bool) if data.observed is None else data.observed[:, target]
        w, p = weights[seen], p[seen]
        wanted = np.bincount(code[seen], w, minlength=p.shape[1])
        factor = np.ones(p.shape[1])
        for _ in range(TURNS):
            scaled = p * factor.astype(p.dtype)
            expected = (w / scaled.sum(axis=1)) @ scaled
            factor *= (wanted + PRIOR_ROWS) / (expected + PRIOR_ROWS)
        biases[target] = _shift(biases[target], factor, int(network.hurdles[target]), p, w)
    return replace(network, head_biases=tuple(biases))


def _shift(
    bias: NDArray[np.float32],
    factor: NDArray[np.float64],
    hurdle: int,
    p: NDArray[np.float32],
    w: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Scale the odds by the factors; behind a hurdle the others' common factor belongs to the gate."""
    step = np.log(factor)
    out = bias + step
    if hurdle >= 0:
        rest = np.delete(np.arange(len(bias)), hurdle)
        mass = (w @ p)[rest]
        common = np.log((mass * factor[rest]).sum() / mass.sum())
        out[hurdle] = bias[hurdle] + step[hurdle] - common
    return out.astype(np.float32)


def _probabilities(network: Network, data: Data) -> list[NDArray[np.float32]]:
    """Probability of every code of every target, shape ``(n, n_codes)`` each."""
    n = len(data.codes)
    out = [np.empty((n, len(b)), np.float32) for b in network.head_biases]
    for at in range(0, n, BLOCK):
        rows = slice(at, min(at + BLOCK, n))
        block = network.start(rows.stop - at)
        for v in range(network.n_conditions):
            block.add(v, data.codes[rows, v])
        for t in range(network.n_targets):
            block.advance(t)
            mask = None if data.allowed is None or t not in data.allowed else data.allowed[t][rows]
            out[t][rows] = block.probabilities(t, allowed=mask)
            code = data.codes[rows, network.n_conditions + t]
            if data.observed is not None:
                code = np.where(data.observed[rows, t], code, -1)
            block.add(network.n_conditions + t, code)
    return out
