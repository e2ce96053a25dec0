"""Drawing the missing targets of rows given all that is observed, later targets too.

A network takes the targets in one order; what is observed after a missing target still speaks about it. Rows with
such cells are completed by conditional sequential Monte Carlo (Andrieu, Doucet and Holenstein, 2010): particles draw
the missing cells in order, are weighted by the exact likelihood of the observed ones, and are resampled where the
weights grow uneven. One path is kept from sweep to sweep, so that further sweeps leave the law of the missing cells
given the observed ones as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.encoding.encoder import Allowed, Encoder, Values
from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import NumberCodec
from microplex.encoding.shares import ShareCodec
from microplex.encoding.ties import narrow, tied
from microplex.errors import ConstraintError
from microplex.flow.cells import Array, Codes
from microplex.flow.ensemble import Member
from microplex.flow.network import BLOCK, Pass
from microplex.flow.ranges import Range

Keys = NDArray[np.uint64]
Rows = NDArray[np.intp]
Applies = Callable[[str, Values, int], Allowed | None]
Bound = tuple[Range | None, Allowed | None]
Kept = tuple[Rows, Codes, Array]
Masks = tuple[Allowed | None, Allowed | None]
RESAMPLE_BELOW = 0.5


@dataclass(frozen=True)
class Sweeps:
    """Effort spent on a row: particles a sweep, and sweeps."""

    particles: int = 24
    sweeps: int = 3


@dataclass(frozen=True)
class _Path:
    """Codes and values of the targets, by name, arrays with an entry a row (or a particle)."""

    codes: dict[str, Codes]
    values: Values

    def take(self, rows: Rows) -> _Path:
        return _Path({k: v[rows] for k, v in self.codes.items()}, {k: v[rows] for k, v in self.values.items()})


@dataclass(frozen=True)
class _Task:
    """Rows of one block, each repeated for its particles."""

    encoder: Encoder
    member: Member
    values: Values
    missing: Allowed
    rows: Rows
    applies: Applies | None
    particles: int


def complete_rows(
    encoder: Encoder,
    member: Member,
    values: Values,
    missing: Allowed,
    keys: Keys,
    seed: int,
    stream: int,
    effort: Sweeps | None = None,
    applies: Applies | None = None,
) -> tuple[Values, Array]:
    """Draw the missing cells of each row given its observed ones.

    Parameters
    ----------
    encoder, member
        The fitted model.
    values
        Conditions, modelled and derived targets; NaN or -1 where a condition is unknown or a target missing.
    missing
        Cells to draw, shape ``(n, n_targets)``.
    keys
        Key of each row's random numbers.
    seed, stream
        Seed, and number of the stream of random numbers.
    effort
        Particles and sweeps of rows with observed targets after missing ones.
    applies
        Called with a target, the values known and their number of rows: on which rows its missing level is due;
        None for a target that has no such rule.

    Returns
    -------
    tuple
        Values of the modelled targets, observed cells as they were, and the effective share of the particles of the
        last sweep, shape ``(n,)`` (1 where no observed target follows a missing one).

    Raises
    ------
    ConstraintError
        If no value of a missing cell agrees with the observed cells of its row.
    """
    effort = effort or Sweeps()
    out = {name: values[name].copy() for name in encoder.targets}
    share = np.ones(len(keys))
    in_order = missing[:, list(member.order)]
    begun = np.cumsum(in_order, axis=1)
    coded = np.array([_coded(encoder.codecs[encoder.targets[t]]).any() for t in member.order], bool)
    speaks = ((begun > 0) & ~in_order) | ((begun > 1) & in_order & coded)
    hard = speaks.any(axis=1) | tied(encoder, values, missing)
    for group, size, sweeps in (
        (np.flatnonzero(in_order.any(axis=1) & ~hard), 1, 1),
        (np.flatnonzero(hard), effort.particles, effort.sweeps),
    ):
        step = max(1, BLOCK // size)
        for start in range(0, len(group), step):
            rows = group[start : start + step]
            given = {name: x[rows] for name, x in values.items()}
            task = _Task(encoder, member, given, missing[rows], rows, applies, size)
            path: _Path | None = None
            for sweep in range(sweeps):
                u = uniforms(seed, keys[rows], stream * 64 + sweep, 1 + 3 * size * len(encoder.targets))
                path, share[rows] = _sweep(task, u, path)
            assert path is not None
            for place, name in enumerate(encoder.targets):
                gap = missing[rows, place]
                out[name][rows[gap]] = path.values[name][gap]
    return out, share


def _sweep(task: _Task, u: Array, kept: _Path | None) -> tuple[_Path, Array]:
    """One pass of the particles over a block of rows; a path of each row and the effective share."""
    encoder, k, n = task.encoder, task.particles, len(task.rows)
    owner = np.repeat(np.arange(n), k)
    first = np.arange(n) * k
    draws = u[1:].reshape(len(encoder.targets), 3, k, n).transpose(0, 1, 3, 2).reshape(len(encoder.targets), 3, n * k)
    given = {name: x[owner] for name, x in task.values.items()}
    known = {name: given[name] for name in encoder.conditions}
    conditions = encoder.condition_codes(known, n * k)
    block = task.member.network.start(n * k, double=True)
    for v in range(conditions.shape[1]):
        block.add(v, conditions[:, v])
    path = _Path({}, {})
    log_w = np.zeros((n, k))
    begun = np.zeros(n, bool)
    for place, target in enumerate(task.member.order):
        name, gap = encoder.targets[target], task.missing[:, target]
        block.advance(place)
        step = _Step.of(task, name, known | path.values, conditions)
        bound = narrow(encoder, name, given | path.values, n * k) if k > 1 else (None, None)
        old = None if kept is None else (first, kept.codes[name], kept.values[name])
        codes, x, gain = step.extend(block, place, gap[owner], draws[target], given[name], bound, old)
        path.codes[name], path.values[name] = codes, x
        block.add(encoder.n_conditions + place, codes)
        begun |= gap
        log_w += np.where(begun[:, None], gain.reshape(n, k), 0.0)
        _check_alive(task, log_w)
        if k > 1 and place + 1 < len(task.member.order):
            source, log_w = _resample(log_w, draws[target, 2].reshape(n, k), kept is not None)
            if source is not None:
                block.take(source)
                path = path.take(source)
    weights = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    chosen = first + np.minimum((np.cumsum(weights, axis=1) <= u[0][:, None]).sum(axis=1), k - 1)
    return path.take(chosen), 1.0 / (k * (weights**2).sum(axis=1))


def _check_alive(task: _Task, log_w: Array) -> None:
    dead = np.flatnonzero(~np.isfinite(log_w.max(axis=1)))
    if len(dead):
        raise ConstraintError(
            f"no value drawn for the missing cells of row {task.rows[dead[0]]} agrees with its observed cells "
            f"({len(dead)} such rows). Check that row against: "
            + ("; ".join(task.encoder.plan.describe()) or "the values seen in training")
        )


def _resample(log_w: Array, u: Array, keep_first: bool) -> tuple[Rows | None, Array]:
    """Draw particles in proportion to their weights on rows where these are uneven; None where there are none."""
    n, k = log_w.shape
    weights = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    uneven = 1.0 / (weights**2).sum(axis=1) < RESAMPLE_BELOW * k
    if not uneven.any():
        return None, log_w
    source = np.tile(np.arange(k), (n, 1))
    running = np.cumsum(weights[uneven], axis=1)
    picked = (running[:, None, :] <= u[uneven][:, :, None]).sum(axis=2)
    source[uneven] = np.minimum(picked, k - 1)
    if keep_first:
        source[:, 0] = 0
    log_w = np.where(uneven[:, None], 0.0, log_w)
    return (source + np.arange(n)[:, None] * k).reshape(-1), log_w


@dataclass(frozen=True)
class _Step:
    """One target for all particles: its codec, and what it may be on each."""

    encoder: Encoder
    name: str
    limits: Range | None
    mask: Allowed | None
    base: Array | None
    group: Rows | None
    due: Allowed | None

    @classmethod
    def of(cls, task: _Task, name: str, known: Values, conditions: Codes) -> _Step:
        encoder, n = task.encoder, len(conditions)
        limits, mask = encoder.support(name, known, n)
        due = None if task.applies is None else task.applies(name, known, n)
        return cls(encoder, name, limits, mask, encoder.base(name, known, n), encoder.group(name, conditions), due)

    @property
    def codec(self) -> LevelCodec | NumberCodec:
        """Codec of the target."""
        return self.encoder.codecs[self.name]

    def masks(self, gap: Allowed) -> Masks:
        """Codes possible on each particle, and those of them that an answer may have.

        A cell to draw is no missing level unless that is due, and no code for a column that does not apply.
        """
        before = self._allowed(gap, _level_of_missing(self.codec))
        coded = _coded(self.codec)
        return before, before if not coded.any() else self._allowed(gap, coded | _level_of_missing(self.codec))

    def _allowed(self, gap: Allowed, barred: Allowed) -> Allowed | None:
        n = len(gap)
        free = self.limits is None and self.mask is None and self.base is None
        if free and not barred.any() and self.due is None:
            return None
        if free:
            out = np.ones((n, self.codec.n_codes), bool)
        else:
            out = self.encoder.allowed_rows(self.name, self.limits, self.mask, self.base, np.arange(n))
        out[np.ix_(gap, barred)] = False
        if self.due is not None:
            out[self.due] = _level_of_missing(self.codec)
            out[~self.due, -1] = False
        return out

    def extend(
        self, block: Pass, place: int, gap: Allowed, u: Array, observed: Array, bound: Bound, kept: Kept | None = None
    ) -> tuple[Codes, Array, Array]:
        """Codes, values and gained log weight of each particle; ``-inf`` for one that can go no further."""
        before, after = self.masks(gap)
        codes, x, gain = np.full(len(gap), -1, np.int32), observed.copy(), np.zeros(len(gap))
        at = np.flatnonzero(gap)
        if len(at):
            cut = self.limits
            if bound != (None, None):
                cut, after = self._bounded(after, bound)
            codes[at], x[at] = self._draw(block, place, at, u[:, at], after, cut)
            if kept is not None:
                codes[kept[0]], x[kept[0]] = kept[1], kept[2]
            gain[at] = self._weigh(block, place, at, codes[at], x[at], (before, after), cut)
        if len(at) < len(gap):
            seen = np.flatnonzero(~gap)
            own = self._encode(observed)
            codes[seen] = own[seen]
            log_p = block.log_prob(place, own, before)[seen] + self._density(own[seen], observed[seen], seen)
            gain[seen] = np.where(own[seen] >= 0, log_p, 0.0)
        return codes, x, gain

    def _draw(
        self, block: Pass, place: int, at: Rows, u: Array, some: Allowed | None, limits: Range | None
    ) -> tuple[Codes, Array]:
        """Draw within what is possible; code -1 where nothing is."""
        alive = np.arange(len(at)) if some is None else np.flatnonzero(some[at].any(axis=1))
        rows, codec = at[alive], self.codec
        codes = np.full(len(at), -1, np.int32)
        codes[alive] = block.draw(place, u[0, alive], rows, None if some is None else some[rows])
        if isinstance(codec, LevelCodec):
            levels: NDArray[Any] = codes
            return codes, levels
        x = np.full(len(at), np.nan)
        group, cut = _take(self.group, rows), None if limits is None else limits.take(rows)
        x[alive] = codec.decode(codes[alive], u[1, alive], group, cut, _take(self.base, rows))
        return codes, x

    def _weigh(
        self, block: Pass, place: int, at: Rows, codes: Codes, x: Array, masks: Masks, cut: Range | None
    ) -> Array:
        """Log of the law of what was drawn over the law that it was drawn from, on each particle.

        They differ by what later observed columns leave, and by what an answer that was not given tells: that the
        column applies.
        """
        gain = np.where(codes < 0, -np.inf, 0.0)
        alive = np.flatnonzero(codes >= 0)
        rows, (before, after) = at[alive], masks
        if after is None or after is before or not len(alive):
            return gain
        p = block.probabilities(place, rows, None if before is None else before[rows])
        with np.errstate(divide="ignore"):
            gain[alive] = np.log((p * after[rows]).sum(axis=1))
        if cut is not self.limits:
            own = self._density(codes[alive], x[alive], rows)
            gain[alive] += own - self._density(codes[alive], x[alive], rows, cut)
        return gain

    def _bounded(self, some: Allowed | None, bound: Bound) -> tuple[Range | None, Allowed | None]:
        """Limits and codes of the particles, narrowed."""
        cut, mask = bound
        limits = self.limits
        if cut is not None and limits is not None:
            low, high = np.maximum(limits.low, cut.low), np.minimum(limits.high, cut.high)
            limits = Range(low, high, np.where(np.isnan(cut.excluded), limits.excluded, cut.excluded))
        elif cut is not None:
            limits = cut
        n = len(cut.low) if cut is not None else len(mask) if mask is not None else 0
        if limits is not None or self.base is not None:
            found = self.encoder.allowed_rows(self.name, limits, mask, self.base, np.arange(n))
        else:
            assert mask is not None
            found = mask
        return limits, found if some is None else found & some

    def _encode(self, x: Array) -> Codes:
        codec = self.codec
        if isinstance(codec, ShareCodec):
            return codec.encode_share(x, self.base)
        return codec.encode(x) if isinstance(codec, NumberCodec) else np.asarray(x, np.int32)

    def _density(self, codes: Codes, x: Array, rows: Rows, limits: Range | None = None) -> Array:
        """Log law of the values of some rows within their codes, by the limits of the target unless others are given.

        A value that the law does not reach (far beyond those of the fit) says nothing about the other columns.
        """
        codec = self.codec
        if isinstance(codec, LevelCodec):
            return np.zeros(len(codes))
        limits = self.limits if limits is None else limits
        cut = None if limits is None else limits.take(rows)
        group, base = _take(self.group, rows), _take(self.base, rows)
        out = codec.log_density(codes, x, group, cut, base)
        lost = np.flatnonzero(np.isneginf(out) & (True if cut is None else cut.holds(x)))
        if len(lost):
            free = codec.log_density(codes[lost], x[lost], _take(group, lost), None, _take(base, lost))
            out[lost[np.isneginf(free)]] = 0.0
        return out


def _take(x: NDArray[Any] | None, rows: Rows) -> NDArray[Any] | None:
    return None if x is None else x[rows]


def _coded(codec: LevelCodec | NumberCodec) -> Allowed:
    """Codes that say why there is no answer."""
    out = np.zeros(codec.n_codes, bool)
    if isinstance(codec, NumberCodec) and codec.column.missing_codes:
        out[codec.cells.atom_codes[np.isin(codec.cells.atoms, codec.column.missing_codes)]] = True
    return out


def _level_of_missing(codec: LevelCodec | NumberCodec) -> Allowed:
    """The missing level, where it is an outcome."""
    out = np.zeros(codec.n_codes, bool)
    out[-1] = codec.has_missing
    return out
