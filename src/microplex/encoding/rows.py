"""Generating and scoring rows: codes from the networks, values from the codecs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.encoding.encoder import Encoder, Values
from microplex.encoding.levels import LevelCodec
from microplex.encoding.shares import ShareCodec
from microplex.errors import ConstraintError
from microplex.flow.cells import Array, Codes
from microplex.flow.ensemble import Ensemble, Member
from microplex.flow.network import BLOCK, Pass
from microplex.flow.ranges import Range

Keys = NDArray[np.uint64]


def sample_rows(encoder: Encoder, ensemble: Ensemble, values: Values, keys: Keys, seed: int, stream: int = 1) -> Values:
    """Generate the modelled targets.

    Parameters
    ----------
    encoder, ensemble
        The fitted model.
    values
        Conditions, as the encoder reads them.
    keys
        Key of each row; with the seed it decides the row's random numbers, wherever the row stands.
    seed, stream
        Seed, and number of the stream of random numbers.

    Returns
    -------
    dict
        Numbers (NaN for missing) and level codes of each modelled target, shape ``(n,)`` each.
    """
    n = len(keys)
    out: Values = {name: np.empty(n, np.int32 if _has_levels(encoder, name) else float) for name in encoder.targets}
    rows = np.arange(n)
    for double in (False, True):
        doubtful = np.zeros(n, bool)
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            u = uniforms(seed, keys[some], stream, 1 + 2 * len(encoder.targets))
            chosen = ensemble.choose(u[0])
            for i, member in enumerate(ensemble.members):
                part = np.flatnonzero(chosen == i)
                if not len(part):
                    continue
                at = some[part]
                given = {name: values[name][at] for name in encoder.conditions}
                drawn, doubtful[at] = _sample_member(encoder, member, given, u[1:, part], at, double)
                for name, x in drawn.items():
                    out[name][at] = x
        rows = np.flatnonzero(doubtful)
    return out


def _sample_member(
    encoder: Encoder, member: Member, values: Values, u: Array, rows: NDArray[np.intp], double: bool
) -> tuple[Values, NDArray[np.bool_]]:
    """Targets of some rows, and which of them single precision leaves in doubt."""
    n = u.shape[1]
    known = dict(values)
    conditions = encoder.condition_codes(known, n)
    block = member.network.start(n, double)
    for v in range(conditions.shape[1]):
        block.add(v, conditions[:, v])
    for place, target in enumerate(member.order):
        name = encoder.targets[target]
        block.advance(place)
        codes, limits, base = _draw(encoder, block, place, name, known, u[2 * target], rows)
        codec = encoder.codecs[name]
        if isinstance(codec, LevelCodec):
            known[name] = codes
        else:
            known[name] = codec.decode(codes, u[2 * target + 1], encoder.group(name, conditions), limits, base)
        block.add(encoder.n_conditions + place, codes)
    return {name: known[name] for name in encoder.targets}, block.doubtful


def _draw(
    encoder: Encoder, block: Pass, place: int, name: str, known: Values, u: Array, rows: NDArray[np.intp]
) -> tuple[Codes, Range | None, Array | None]:
    """Draw the codes of one target within what constraints and shares allow."""
    n = len(u)
    codec = encoder.codecs[name]
    limits, mask = encoder.support(name, known, n)
    base = encoder.base(name, known, n)
    if base is None and limits is None and mask is None:
        return block.draw(place, u), None, None
    active = np.arange(n)
    codes = np.zeros(n, np.int32)
    if isinstance(codec, ShareCodec) and limits is None and not codec.has_missing:
        assert base is not None
        codes = np.where(np.isnan(base), -1, codec.cells.atom_codes[0]).astype(np.int32)
        active = np.flatnonzero(base > 0)
    allowed = encoder.allowed_rows(name, limits, mask, base, active)
    empty = np.flatnonzero(~allowed.any(axis=1))
    if len(empty):
        raise ConstraintError(
            f"no value of {name!r} can satisfy the constraints on row {rows[active[empty[0]]]} "
            f"({len(empty)} such rows). Check the conditions of that row, or relax the constraint: "
            + "; ".join(encoder.plan.describe())
        )
    codes[active] = block.draw(place, u[active], active, allowed)
    return codes, limits, base


def score_rows(encoder: Encoder, ensemble: Ensemble, values: Values, n: int) -> Array:
    """Exact log law of the targets given the conditions, shape ``(n,)``.

    Counting measure on atoms, categories and grids, Lebesgue elsewhere; missing targets that are no level
    of their own count nothing.
    """
    data, possible = encoder.data(values, np.ones(n), n)
    within = np.where(encoder.observed(values, n), encoder.log_density(values, n), 0.0)
    good = possible.all(axis=1)
    for name, x in encoder.plan.derive(values).items():
        good &= ~(np.abs(values[name] - x) > 1e-9 * (1.0 + np.abs(x)))
    return np.where(good, ensemble.log_prob(data) + within.sum(axis=1), -np.inf)


def _has_levels(encoder: Encoder, name: str) -> bool:
    return isinstance(encoder.codecs[name], LevelCodec)
