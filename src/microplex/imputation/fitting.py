"""One network for each completed file, fitted on its own bootstrap weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from microplex._random import generator, row_keys
from microplex.encoding import Encoder, Values
from microplex.encoding.completing import Applies, Sweeps, complete_rows
from microplex.encoding.numbers import NumberCodec
from microplex.encoding.shares import ShareCodec
from microplex.flow.cells import Array, Codes
from microplex.flow.data import Data, TrainOptions, default_options
from microplex.flow.ensemble import Member, Order
from microplex.flow.network import Network
from microplex.flow.polish import match_marginals
from microplex.flow.spec import Spec
from microplex.flow.tilt import Exact, Scores, match_associations

Bools = NDArray[np.bool_]
FIT_STREAM, ROUND_STREAM = 21, 22
SMALL, ROUNDS = 8_000, 2
REACH, ATOM_SHARE = 4.0, 0.05
QUANTILES = (np.arange(32) + 0.5) / 32


@dataclass(frozen=True)
class Training:
    """What every network is fitted on.

    Parameters
    ----------
    encoder : Encoder
        Codes of all columns.
    values : dict of arrays
        Conditions and modelled targets; NaN or -1 in the gaps.
    weights : float64[n]
        Survey weights of mean one.
    gaps : bool[n, n_targets]
        Cells of the modelled targets that were not observed.
    applies : callable
        Where a missing level is due; see :func:`microplex.encoding.completing.complete_rows`.
    order : tuple of int
        Targets in the order to model them.
    """

    encoder: Encoder
    values: Values
    weights: Array
    gaps: Bools
    applies: Applies
    order: Order


def small_options(n_rows: int) -> TrainOptions:
    """Training options: fewer passes than for synthesis on small files, where associations are matched afterwards.

    Examples
    --------
    >>> small_options(600).width, small_options(40_000).width
    (64, 192)
    """
    return TrainOptions(64, 10, 128, 3e-3, dropout=0.15, mask_rate=0.3) if n_rows < SMALL else default_options(n_rows)


def fit_members(
    training: Training,
    m: int,
    proper: str | None,
    epochs: int | None,
    seed: int,
    update: Callable[[float, float | None], None],
) -> tuple[Member, ...]:
    """Fit the networks: `m` of them, or a single one if `proper` is None.

    Parameters
    ----------
    training
        Rows and codes.
    m
        Completed files wanted.
    proper
        "bootstrap": each network has Bayesian bootstrap weights (Rubin, 1981), survey weight times an exponential
        draw; "ensemble": each has other initial weights and batches; None: one network for all files.
    epochs
        Passes over the data; by sample size if None.
    seed
        Seed.
    update
        Called with the share of the work done.

    Returns
    -------
    tuple of Member
    """
    from microplex.flow.training import Trainer

    encoder, n = training.encoder, len(training.weights)
    options = small_options(n) if epochs is None else replace(small_options(n), epochs=epochs)
    spec = Spec(*encoder.variables(_blank(training), training.weights), width=options.width)
    trainer = Trainer(spec, options, fixed_order=training.order == tuple(range(len(training.order))))
    data = coded(training)
    members = []
    count = 1 if proper is None else m
    for i in range(count):
        weights = training.weights
        if proper == "bootstrap":
            weights = weights * generator(seed, FIT_STREAM + 100 * i).exponential(size=n)
        own = Data(data.codes, weights / weights.mean(), data.observed, data.allowed)
        network = trainer.fit(own, training.order, (seed + 7919 * i) % 2**31)
        network = match_marginals(network, own.arrange(encoder.n_conditions, training.order))
        members.append(_matched(training, Member(training.order, network), own, seed, i))
        update((i + 1) / count, None)
    return tuple(members)


def coded(training: Training) -> Data:
    """Coded rows in which only what is observed counts, each target within what applies to its row."""
    encoder, n = training.encoder, len(training.weights)
    data, possible = encoder.data(training.values, training.weights, n)
    allowed = dict(data.allowed or {})
    for t, name in enumerate(encoder.targets):
        due = training.applies(name, training.values, n)
        if due is None:
            continue
        codec = encoder.codecs[name]
        mask = allowed.get(t, np.ones((n, codec.n_codes), bool))
        last = np.arange(codec.n_codes) == codec.n_codes - 1
        rows = ~training.gaps[:, t]
        mask[rows] = np.where(due[rows, None], last, mask[rows] & ~last)
        allowed[t] = mask
    return Data(data.codes, training.weights, ~training.gaps & possible, allowed or None)


def _blank(training: Training) -> Values:
    """Values whose gaps count for no code, not even for the level of structural missing values."""
    out = dict(training.values)
    for t, name in enumerate(training.encoder.targets):
        gap, codec = training.gaps[:, t], training.encoder.codecs[name]
        if isinstance(codec, NumberCodec) and codec.has_missing and gap.any():
            seen = np.flatnonzero(~gap)
            fillers = seen[np.arange(gap.sum()) % len(seen)]
            out[name] = out[name].copy()
            out[name][gap] = training.values[name][fillers]
    return out


def _matched(training: Training, member: Member, data: Data, seed: int, place: int) -> Member:
    """The member with associations matched: on what is observed, then on rows that it completed itself."""
    encoder, n = training.encoder, len(training.weights)
    start, order, c = member.network, member.order, encoder.n_conditions
    names, columns = list(encoder.codecs), [*range(c), *(c + t for t in order)]
    assert data.observed is not None
    known = np.hstack([data.codes[:, :c] < _sizes(encoder)[:c], data.observed])
    codes = np.where(known, data.codes, -1)
    scales = _scales(encoder, codes, training.weights)
    scores = [scale.scores for scale in scales]
    arranged = [scores[v] for v in columns]

    def match(codes: Codes, values: Values, given: Data) -> Network:
        assert given.observed is not None
        found = given.allowed or {}
        allowed = {i: found[t] for i, t in enumerate(order) if t in found} or None
        exact = [
            scale.exact(codes[:, v], values[name]) for v, (name, scale) in enumerate(zip(names, scales, strict=True))
        ]
        return match_associations(
            start, arranged, codes[:, columns], data.weights, given.observed[:, list(order)], allowed,
            [exact[v] for v in columns],
        )  # fmt: skip

    network = match(codes, training.values, data)
    keys = row_keys(np.arange(n))
    for turn in range(ROUNDS if training.gaps.any() else 0):
        stream = ROUND_STREAM + 100 * place + turn
        drawn, _ = complete_rows(
            encoder, Member(order, network), training.values, training.gaps, keys, seed, stream, Sweeps(12, 2),
            training.applies,
        )  # fmt: skip
        whole = coded(replace(training, values=training.values | drawn, gaps=np.zeros_like(training.gaps)))
        assert whole.observed is not None
        filled = np.where(np.hstack([known[:, :c], whole.observed]), whole.codes, -1)
        network = match(filled, training.values | drawn, whole)
    return Member(order, network)


def _sizes(encoder: Encoder) -> NDArray[np.int_]:
    return np.array([codec.n_codes for codec in encoder.codecs.values()])


@dataclass(frozen=True)
class _Scale:
    """Scores of one column by code, and what those of a value need; a spread of zero for columns without values."""

    scores: Scores
    middle: float = 0.0
    spread: float = 0.0
    mean: float = 0.0
    square: float = 0.0

    def exact(self, codes: Codes, x: NDArray[Any]) -> Exact:
        """Scores of the values themselves; of their codes where these are levels or point masses."""
        at = np.maximum(codes, 0)
        features, outcomes = self.scores.features[at], self.scores.outcomes[at]
        if self.spread:
            z = np.clip((x - self.middle) / self.spread, -REACH, REACH)
            own = ~np.isnan(z)
            features[own, 0] = z[own] - self.mean
            outcomes[own] = np.column_stack([z, z**2 - self.square])[own]
        return Exact(features, outcomes)


def _scales(encoder: Encoder, codes: Codes, weights: Array) -> list[_Scale]:
    """Features and outcomes of every column: standardised values, or indicators of levels."""
    out = []
    for i, codec in enumerate(encoder.codecs.values()):
        seen = codes[:, i] >= 0
        share = np.bincount(codes[seen, i], weights[seen], minlength=codec.n_codes)
        share = share / share.sum()
        if not isinstance(codec, NumberCodec):
            levels = np.eye(codec.n_codes)[:, 1:]
            out.append(_Scale(Scores(levels - share[1:], levels)))
            continue
        k = codec.cells.n_codes
        value, p = codec.representatives(), share[:k] / share[:k].sum()
        middle = float(p @ value)
        spread = float(max(np.sqrt(p @ (value - middle) ** 2), 1e-300))
        z, square = np.zeros(codec.n_codes), np.zeros(codec.n_codes)
        within = np.clip((_drawn(codec) - middle) / spread, -REACH, REACH)
        z[:k], square[:k] = within.mean(axis=1), (within**2).mean(axis=1)
        rank = np.zeros(codec.n_codes)
        rank[:k] = ndtri(np.clip(np.cumsum(p) - 0.5 * p, 1e-6, 1 - 1e-6))
        flags = np.eye(codec.n_codes)[:, (share > ATOM_SHARE) & _points(codec)]
        features = np.column_stack([z, rank - z, flags])
        scores = Scores(features - share @ features, np.column_stack([z, square - share @ square]), squared=True)
        in_values = not isinstance(codec, ShareCodec)
        out.append(_Scale(scores, middle, spread * in_values, float(share @ z), float(share @ square)))
    return out


def _drawn(codec: NumberCodec) -> Array:
    """What each code would be decoded to, by quantile, shape ``(cells.n_codes, 32)``."""
    k = codec.cells.n_codes
    if isinstance(codec, ShareCodec):
        return codec.representatives()[:, None]
    codes = np.repeat(np.arange(k, dtype=np.int32), len(QUANTILES))
    return codec.decode(codes, np.tile(QUANTILES, k), None).reshape(k, -1)


def _points(codec: NumberCodec) -> Bools:
    """Codes that are point masses or the missing level."""
    out = np.ones(codec.n_codes, bool)
    out[codec.cells.bin_codes] = False
    return out
