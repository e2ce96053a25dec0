"""Matching associations: an unshrunk log-linear correction on top of a fitted network.

A network that is stopped early or regularised understates how variables move together, the more so the fewer its
rows. On top of its law ``p(y | x)`` stands the uniform-association model of Goodman (1979),
``p(y | x) exp(a(y) + s(y)' B f(x))``, whose maximum likelihood makes the expected moments ``s(y) f(x)'`` equal to the
observed ones. Small samples make associations of levels and precisions of numbers too large: Jeffreys' prior corrects
the former (Firth, 1993), degrees of freedom the latter. The problem is convex; the solution is folded into the network
as hidden units of its own.

The network knows a number by its bin alone, and a value drawn within a bin knows nothing of the other columns. Where
values are given, the observed moments are those of the values: the association between bins is then raised by what
would be lost within them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array
from microplex.flow.network import BLOCK, Codes, Network

Allowed = NDArray[np.bool_]
RIDGE, BIAS_ROWS = 0.1, 4.0
ROWS_AN_INPUT = 10
JITTER, HELD = 1e-6, 1e9
TURNS, NEWTON = 3, 2
FULL_NEWTON = 4
LARGE_STEP = 4.0


@dataclass(frozen=True)
class Scores:
    """What the correction sees of a variable.

    Parameters
    ----------
    features
        As an input: shape ``(n_codes, p)``, about of mean zero.
    outcomes
        As a target: shape ``(n_codes, d)``.
    squared
        Whether the outcomes are a number and its square, of which the latter is corrected alike on all rows.
    """

    features: Array
    outcomes: Array
    squared: bool = False


@dataclass(frozen=True)
class Exact:
    """Scores of the values of a variable, where :class:`Scores` has their means by code.

    Parameters
    ----------
    features, outcomes
        Shapes ``(n, p)`` and ``(n, d)``; not read where the code is -1.
    """

    features: Array
    outcomes: Array


def match_associations(
    network: Network,
    scores: Sequence[Scores],
    codes: Codes,
    weights: Array,
    seen: Allowed,
    allowed: dict[int, Allowed] | None = None,
    exact: Sequence[Exact] | None = None,
) -> Network:
    """Correct the law of each target given the variables before it.

    Parameters
    ----------
    network
        A fitted network.
    scores
        Of conditions and targets, in the network's order.
    codes
        Training rows, shape ``(n, n_variables)``; -1 for unknown inputs.
    weights
        Survey weights, shape ``(n,)``.
    seen
        Rows from which the law of each target is learned, shape ``(n, n_targets)``.
    allowed
        Codes that constraints leave possible, by target.
    exact
        Scores of the values of each variable, in the order of `scores`; those of the codes if omitted.

    Returns
    -------
    Network
        With two more hidden units for each outcome score.
    """
    c = network.n_conditions
    laws = _laws(network, codes, allowed or {})
    fitted: list[Correction] = []
    biases = []
    for t, log_p in enumerate(laws):
        known = [_lookup(scores[v].features, codes[:, v]) for v in range(c + t)]
        inputs = np.hstack([np.ones((len(codes), 1)), *known])
        own, outcomes = codes[:, c + t], scores[c + t].outcomes
        if exact is None:
            partners, reached = inputs, outcomes[np.maximum(own, 0)]
        else:
            values = [np.where(codes[:, v, None] >= 0, exact[v].features, 0.0) for v in range(c + t)]
            partners, reached = np.hstack([np.ones((len(codes), 1)), *values]), exact[c + t].outcomes
        rows = np.flatnonzero(seen[:, t] & (weights > 0))
        whole = rows[(codes[rows, : c + t] >= 0).all(axis=1)]
        rows = whole if len(whole) >= ROWS_AN_INPUT * inputs.shape[1] else rows
        scaled = weights[rows] / max(weights[rows].mean(), 1e-300)
        at = _Rows(log_p[rows], inputs[rows], partners[rows], own[rows], reached[rows], scaled)
        found = _correct(at, outcomes, int(network.hurdles[t]), scores[c + t].squared)
        fitted.append(found)
        biases.append((network.head_biases[t] + found.bias).astype(np.float32))
    return _folded(replace(network, head_biases=tuple(biases)), scores, fitted)


@dataclass(frozen=True)
class Correction:
    """Of one target: coefficients ``(inputs, d)``, outcomes ``(n_codes, d)``, changes of biases ``(n_codes,)``."""

    coefficients: Array
    outcomes: Array
    bias: Array


@dataclass(frozen=True)
class _Rows:
    """Rows that a target learns from.

    Log laws, inputs (a constant first), what moments are taken with (the inputs, or the values behind them), own codes,
    outcomes reached and weights.
    """

    log_p: Array
    inputs: Array
    partners: Array
    own: Codes
    reached: Array
    weights: Array


def _correct(at: _Rows, outcomes: Array, hurdle: int, squared: bool) -> Correction:
    """The correction of one target; a hurdle's gate has one of its own, as it has a sigmoid of its own."""
    if hurdle < 0:
        beta, bias = _fit(at, outcomes, squared)
        return Correction(beta[1:], outcomes, bias + outcomes @ beta[0])
    is_atom = np.arange(len(outcomes)) == hurdle
    closed = np.clip(at.log_p[:, hurdle], np.log(1e-9), np.log1p(-1e-9))
    free = np.isfinite(at.log_p[:, ~is_atom]).any(axis=1) & np.isfinite(at.log_p[:, hurdle])
    pair = np.column_stack([np.log1p(-np.exp(closed)), closed])[free]
    shut = at.own[free] == hurdle
    gate = _Rows(
        pair, at.inputs[free], at.partners[free], shut.astype(np.int32), shut[:, None].astype(float), at.weights[free]
    )
    beta, change = _fit(gate, np.array([[0.0], [1.0]]))
    beyond = np.flatnonzero(at.own != hurdle)
    rest = _Rows(
        np.where(is_atom, -np.inf, at.log_p[beyond]), at.inputs[beyond], at.partners[beyond], at.own[beyond],
        at.reached[beyond], at.weights[beyond],
    )  # fmt: skip
    outside = np.where(is_atom[:, None], 0.0, outcomes)
    slope, bias = _fit(rest, outside, squared)
    bias = np.where(is_atom, change[1] - change[0] + beta[0, 0], bias + outside @ slope[0])
    both = np.hstack([is_atom[:, None].astype(float), outside])
    return Correction(np.hstack([beta, slope])[1:], both, bias)


def _lookup(features: Array, codes: Codes) -> Array:
    return np.where(codes[:, None] >= 0, features[np.maximum(codes, 0)], 0.0)


def _laws(network: Network, codes: Codes, allowed: dict[int, Allowed]) -> list[Array]:
    """Log probability of every code of each target, shape ``(n, n_codes)`` each."""
    out = [np.empty((len(codes), len(b))) for b in network.head_biases]
    for at in range(0, len(codes), BLOCK):
        rows = slice(at, min(at + BLOCK, len(codes)))
        block = network.start(rows.stop - at)
        for v in range(network.n_conditions):
            block.add(v, codes[rows, v])
        for t in range(network.n_targets):
            block.advance(t)
            mask = allowed[t][rows] if t in allowed else None
            with np.errstate(divide="ignore"):
                out[t][rows] = np.log(np.maximum(block.probabilities(t, allowed=mask), 1e-30))
            if mask is not None:
                out[t][rows] = np.where(mask, out[t][rows], -np.inf)
            block.add(network.n_conditions + t, codes[rows, network.n_conditions + t])
    return out


def _fit(at: _Rows, outcomes: Array, squared: bool = False) -> tuple[Array, Array]:
    """Coefficients, shape ``(inputs, outcomes)``, and changes of the biases, shape ``(n_codes,)``."""
    k, d = outcomes.shape
    p = at.inputs.shape[1]
    beta, bias = np.zeros((p, d)), np.zeros(k)
    if not len(at.own):
        return beta, bias
    ridge = np.full((p, d), RIDGE)
    ridge[:, d - squared :] = HELD
    ridge[0] = JITTER
    wanted = np.bincount(at.own, at.weights, minlength=k)
    total, spread = at.weights.sum(), at.weights @ at.weights / at.weights.sum()
    spent = min(p * spread / total, 0.5)
    for turn in range(TURNS + 1):
        for _ in range(NEWTON):
            q = _tilted(at.log_p, outcomes, at.inputs @ beta, bias)
            mean = q @ outcomes
            inverse = _inverse_information(q, outcomes, mean, at, ridge)
            rest = at.reached - mean
            if squared:
                rest[:, 1] += rest[:, 0] ** 2 * spent / (1.0 - spent)
            else:
                rest += spread * _jeffreys(inverse, q, outcomes, mean, at.inputs)
            slope = at.partners.T @ (at.weights[:, None] * rest) - ridge * beta
            beta = beta + _step(slope, inverse)
        if turn < TURNS:  # the moments come last: biases leave them a little off
            q = _tilted(at.log_p, outcomes, at.inputs @ beta, bias)
            bias += np.log((wanted + BIAS_ROWS) / (at.weights @ q + BIAS_ROWS))
    return beta, bias


def _tilted(log_p: Array, outcomes: Array, eta: Array, bias: Array) -> Array:
    z = log_p + eta @ outcomes.T + bias
    z -= z.max(axis=1, keepdims=True)
    q = np.exp(z)
    return np.asarray(q / q.sum(axis=1, keepdims=True))


def _inverse_information(q: Array, outcomes: Array, mean: Array, at: _Rows, ridge: Array) -> Array:
    """Inverse of the information, shape ``(d, p, d, p)``; for many outcomes of its diagonal bound, ``(d, p, p)``."""
    (p, d), weights = (at.inputs.shape[1], outcomes.shape[1]), at.weights
    if d > FULL_NEWTON:
        square = q @ (outcomes**2)
        curves = [at.partners.T @ (at.inputs * (weights * x)[:, None]) for x in square.T]
        return np.linalg.inv(np.stack(curves) + np.einsum("pa,pq->apq", ridge, np.eye(p)))
    curve = np.zeros((d, p, d, p))
    for a in range(d):
        for b in range(a + 1):
            cross = q @ (outcomes[:, a] * outcomes[:, b]) - mean[:, a] * mean[:, b]
            curve[a, :, b] = curve[b, :, a] = at.partners.T @ (at.inputs * (weights * cross)[:, None])
        curve[a, :, a] += np.diag(ridge[:, a])
    return np.asarray(np.linalg.inv(curve.reshape(d * p, d * p)).reshape(d, p, d, p))


def _jeffreys(inverse: Array, q: Array, outcomes: Array, mean: Array, inputs: Array) -> Array:
    """What Jeffreys' prior adds to the outcomes reached (Firth, 1993), shape ``(n, d)``: leverages times skewness."""
    k, d = outcomes.shape
    if inverse.ndim == 3:
        skew = q @ outcomes**3 - 3.0 * mean * (q @ outcomes**2) + 2.0 * mean**3
        leverage = np.einsum("ip,apq,iq->ia", inputs, inverse, inputs, optimize=True)
        return np.asarray(0.5 * leverage * skew)
    second = np.einsum("ka,kb->kab", outcomes, outcomes)
    third = (q @ np.einsum("kab,kc->kabc", second, outcomes).reshape(k, -1)).reshape(-1, d, d, d)
    second = (q @ second.reshape(k, -1)).reshape(-1, d, d)
    crossed = second[..., None] * mean[:, None, None]
    skew = third - crossed - crossed.swapaxes(2, 3) - crossed.transpose(0, 3, 2, 1)
    skew += 2.0 * np.einsum("ia,ib,ic->iabc", mean, mean, mean)
    leverage = np.einsum("ip,apbq,iq->iab", inputs, inverse, inputs, optimize=True)
    return np.asarray(0.5 * np.einsum("iab,iabc->ic", leverage, skew))


def _step(slope: Array, inverse: Array) -> Array:
    """Newton's step, no longer than ``LARGE_STEP``."""
    p, d = slope.shape
    if inverse.ndim == 3:
        step = np.stack([inverse[a] @ slope[:, a] for a in range(d)], axis=1)
    else:
        step = (inverse.reshape(d * p, d * p) @ slope.T.reshape(-1)).reshape(d, p).T
    size = np.abs(step).max() if step.size else 0.0
    return np.asarray(step * min(1.0, LARGE_STEP / max(size, 1e-12)))


def _folded(network: Network, scores: Sequence[Scores], fitted: Sequence[Correction]) -> Network:
    """The network with the corrections as pairs of hidden units, the positive and the negative part of each."""
    c, old = network.n_conditions, len(network.degrees)
    sizes = [2 * f.outcomes.shape[1] for f in fitted]
    degrees = np.concatenate([network.degrees, np.repeat(np.arange(len(fitted)), sizes)]).astype(np.int32)
    order = np.argsort(degrees, kind="stable")
    width = len(order)
    place = np.empty(width, np.intp)
    place[order] = np.arange(width)
    kept, ends = place[:old], np.searchsorted(degrees[order], np.arange(len(fitted)), "right")
    tables = [_spread(table, (len(table), width), kept) for table in network.tables]
    heads = []
    at = old
    for t, found in enumerate(fitted):
        head = _spread(network.heads[t].T, (network.heads[t].shape[1], ends[t]), kept[: len(network.heads[t])]).T
        for sign, own in ((1.0, place[at : at + sizes[t] : 2]), (-1.0, place[at + 1 : at + sizes[t] : 2])):
            head[own] = sign * found.outcomes.T
            first = 0
            for v in range(c + t):
                features = scores[v].features
                part = found.coefficients[first : first + features.shape[1]]
                first += features.shape[1]
                tables[v][: len(features), own] = sign * (features @ part)
        heads.append(np.ascontiguousarray(head))
        at += sizes[t]
    square = [_spread(_spread(m, (old, width), kept).T, (width, width), kept).T for m in (network.w_a, network.w_b)]
    long = [_spread(b[None], (1, width), kept)[0] for b in (network.bias, network.b_a, network.b_b)]
    return replace(
        network, tables=tuple(tables), bias=long[0], w_a=square[0], b_a=long[1], w_b=square[1], b_b=long[2],
        heads=tuple(heads), degrees=degrees[order],
    )  # fmt: skip


def _spread(matrix: NDArray[np.float32], shape: tuple[int, int], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """The matrix with its columns in these places of a wider one, zero elsewhere."""
    out = np.zeros(shape, np.float32)
    out[:, columns] = matrix
    return out
