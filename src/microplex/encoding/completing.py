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
    after = np.cumsum(in_order, axis=1) > 0
    hard = (after & ~in_order).any(axis=1) | tied(encoder, values, missing)
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
        codes, x, gain = step.extend(block, place, gap[owner], draws[target], given[name], bound)
        if kept is not None:
            codes[first], x[first] = kept.codes[name], kept.values[name]
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

    def allowed(self, gap: Allowed) -> Allowed | None:
        """Codes possible on each particle; a cell to draw is no missing level unless that is due."""
        codec, n = self.codec, len(gap)
        free = self.limits is None and self.mask is None and self.base is None
        barred = _barred(codec)
        if free and not barred.any() and self.due is None:
            return None
        if free:
            out = np.ones((n, codec.n_codes), bool)
        else:
            out = self.encoder.allowed_rows(self.name, self.limits, self.mask, self.base, np.arange(n))
        out[np.ix_(gap, barred)] = False
        if self.due is not None:
            out[self.due] = _level_of_missing(codec)
            out[~self.due, -1] = False
        return out

    def extend(
        self, block: Pass, place: int, gap: Allowed, u: Array, observed: Array, bound: Bound
    ) -> tuple[Codes, Array, Array]:
        """Codes, values and gained log weight of each particle; ``-inf`` for one that can go no further."""
        allowed = self.allowed(gap)
        codes, x, gain = np.full(len(gap), -1, np.int32), observed.copy(), np.zeros(len(gap))
        at = np.flatnonzero(gap)
        if len(at):
            codes[at], x[at], gain[at] = self._draw(block, place, at, u[:, at], allowed, bound)
        if len(at) < len(gap):
            seen = np.flatnonzero(~gap)
            own = self._encode(observed)
            codes[seen] = own[seen]
            log_p = block.log_prob(place, own, allowed) + self._density(own, observed)
            gain[seen] = np.where(own[seen] >= 0, log_p[seen], 0.0)
        return codes, x, gain

    def _draw(
        self, block: Pass, place: int, at: Rows, u: Array, allowed: Allowed | None, bound: Bound
    ) -> tuple[Codes, Array, Array]:
        """Draw within what later observed columns leave, and the log probability of that under the law itself."""
        some = None if allowed is None else allowed[at]
        limits = None if self.limits is None else self.limits.take(at)
        base = None if self.base is None else self.base[at]
        gain = np.zeros(len(at))
        prior = some
        if bound != (None, None):
            limits, some = self._bounded(at, some, bound)
        alive = np.arange(len(at)) if some is None else np.flatnonzero(some.any(axis=1))
        codes = np.full(len(at), -1, np.int32)
        kept = None if some is None else some[alive]
        codes[alive] = block.draw(place, u[0, alive], at[alive], kept)
        gain[codes < 0] = -np.inf
        codec = self.codec
        if isinstance(codec, LevelCodec):
            x: NDArray[Any] = codes
        else:
            x = np.full(len(at), np.nan)
            group = None if self.group is None else self.group[at[alive]]
            cut = None if limits is None else limits.take(alive)
            x[alive] = codec.decode(codes[alive], u[1, alive], group, cut, None if base is None else base[alive])
        if bound != (None, None) and len(alive):
            p = block.probabilities(place, at[alive], None if prior is None else prior[alive])
            with np.errstate(divide="ignore"):
                gain[alive] = np.log((p * kept).sum(axis=1) if kept is not None else 1.0)
            if limits is not None:
                pinned = limits.low[alive] == limits.high[alive]
                own = self._density_at(codes[alive], x[alive], at[alive])
                gain[alive] += np.where(pinned, own, 0.0)
        return codes, x, gain

    def _bounded(self, at: Rows, some: Allowed | None, bound: Bound) -> tuple[Range | None, Allowed | None]:
        """Limits and codes of the particles to draw, narrowed."""
        cut, mask = bound
        limits = None if self.limits is None else self.limits.take(at)
        if cut is not None:
            narrowed = cut.take(at)
            if limits is not None:
                low, high = np.maximum(limits.low, narrowed.low), np.minimum(limits.high, narrowed.high)
                gone = np.where(np.isnan(narrowed.excluded), limits.excluded, narrowed.excluded)
                narrowed = Range(low, high, gone)
            limits = narrowed
        base = None if self.base is None else self.base[at]
        own = None if mask is None else mask[at]
        if limits is not None or base is not None:
            found = self.encoder.allowed_rows(self.name, limits, own, base, np.arange(len(at)))
        else:
            assert own is not None
            found = own
        return limits, found if some is None else found & some

    def _encode(self, x: Array) -> Codes:
        codec = self.codec
        if isinstance(codec, ShareCodec):
            return codec.encode_share(x, self.base)
        return codec.encode(x) if isinstance(codec, NumberCodec) else np.asarray(x, np.int32)

    def _density(self, codes: Codes, x: Array) -> Array:
        codec = self.codec
        if isinstance(codec, LevelCodec):
            return np.zeros(len(codes))
        return codec.log_density(codes, x, self.group, self.limits, self.base)

    def _density_at(self, codes: Codes, x: Array, at: Rows) -> Array:
        codec = self.codec
        assert isinstance(codec, NumberCodec)
        group = None if self.group is None else self.group[at]
        limits = None if self.limits is None else self.limits.take(at)
        return codec.log_density(codes, x, group, limits, None if self.base is None else self.base[at])


def _barred(codec: LevelCodec | NumberCodec) -> Allowed:
    """Codes that stand for a reason of absence."""
    out = np.zeros(codec.n_codes, bool)
    if codec.has_missing:
        out[-1] = True
    if isinstance(codec, NumberCodec) and codec.column.missing_codes:
        out[codec.cells.atom_codes[np.isin(codec.cells.atoms, codec.column.missing_codes)]] = True
    return out


def _level_of_missing(codec: LevelCodec | NumberCodec) -> Allowed:
    out = np.zeros(codec.n_codes, bool)
    out[-1] = True
    return out
