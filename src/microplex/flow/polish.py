"""Matching the marginals: the last step of a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microplex.flow.data import Data
from microplex.flow.network import BLOCK, Network

PRIOR_ROWS = 10.0
TURNS = 2


def match_marginals(network: Network, data: Data) -> Network:
    """Adjust the output biases until each code is expected as often as it was observed.

    At the maximum of the likelihood the mean probability of a code equals its weighted share (the score
    equation of its bias). Adaptive steps and averaging stop short of that, to the harm of rare codes; two
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
    wanted = _observed(network, data)
    for _ in range(TURNS):
        biases = []
        for target, expected in enumerate(_expected(network, data)):
            factor = (wanted[target] + PRIOR_ROWS) / (expected + PRIOR_ROWS)
            biases.append(_scale(network.head_biases[target], factor, int(network.hurdles[target]), expected))
        network = replace(network, head_biases=tuple(biases))
    return network


def _scale(
    bias: NDArray[np.float32], factor: NDArray[np.float64], hurdle: int, expected: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Scale the odds by the factors; behind a hurdle the others' common factor belongs to the gate."""
    out = bias + np.log(factor)
    if hurdle >= 0:
        rest = np.delete(expected, hurdle)
        out[hurdle] -= np.log(rest @ np.delete(factor, hurdle) / rest.sum())
    return out.astype(np.float32)


def _observed(network: Network, data: Data) -> list[NDArray[np.float64]]:
    """Weighted number of rows of each code of each target."""
    out = []
    for t, bias in enumerate(network.head_biases):
        weights = data.weights if data.observed is None else data.weights * data.observed[:, t]
        code = data.codes[:, network.n_conditions + t]
        out.append(np.bincount(code, weights, minlength=len(bias)).astype(float))
    return out


def _expected(network: Network, data: Data) -> list[NDArray[np.float64]]:
    """Weighted number of rows of each code that the network expects, given what comes before."""
    n = len(data.codes)
    out = [np.zeros(len(b)) for b in network.head_biases]
    for at in range(0, n, BLOCK):
        rows = slice(at, min(at + BLOCK, n))
        block = network.start(rows.stop - at)
        for v in range(network.n_conditions):
            block.add(v, data.codes[rows, v])
        for t in range(network.n_targets):
            block.advance(t)
            mask = None if data.allowed is None or t not in data.allowed else data.allowed[t][rows]
            seen = np.ones(rows.stop - at, bool) if data.observed is None else data.observed[rows, t]
            out[t] += (data.weights[rows] * seen) @ block.probabilities(t, allowed=mask)
            block.add(network.n_conditions + t, np.where(seen, data.codes[rows, network.n_conditions + t], -1))
    return out
