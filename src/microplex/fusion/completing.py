"""Completing rows: blocks in their order, each given what is observed and what was drawn before.

Where a row observes what comes after something it lacks, the draws of what it lacks are resampled by the exact law of
what it observes (sampling importance resampling; Rubin, 1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.encoding import sample_rows
from microplex.errors import DataError
from microplex.fusion.coupling import Links
from microplex.fusion.learning import Law
from microplex.fusion.reading import Bools, Floats, Rows
from microplex.fusion.walking import walk

STREAM, PER_LAW, CHOICE = 640_000, 10_000, 630_000
CHUNK = 30_000


@dataclass(frozen=True, eq=False)
class Resampling:
    """How well resampled draws stand for the law.

    Parameters
    ----------
    n_rows : int
        Rows that observe what comes after something they lack.
    n_draws : int
        Draws of each.
    smallest_share : float
        Smallest effective share of the draws of a row, in (0, 1]; 1 where nothing was resampled.
    n_impossible : int
        Rows for which no draw agrees with what they observe: the draw is unweighted there.
    """

    n_rows: int = 0
    n_draws: int = 0
    smallest_share: float = 1.0
    n_impossible: int = 0


def complete_rows(
    laws: Sequence[Law],
    links: Links,
    rows: Rows,
    keys: NDArray[np.uint64],
    seed: int,
    source: str | None = None,
    n_draws: int = 32,
) -> tuple[Rows, Resampling]:
    """Draw what rows lack.

    Parameters
    ----------
    laws : sequence of Law
        In their order.
    links : Links
        Dependence between blocks beyond what the laws read.
    rows : Rows
        What is observed.
    keys : uint64[n]
        Key of each row: with the seed it decides the draws.
    seed : int
    source : str, optional
        Whose law to use where several sources observe a block.
    n_draws : int
        Draws to resample from.

    Returns
    -------
    Rows, Resampling
        All values; ``seen`` stays as it was.
    """
    heavy = _needs_weights(laws, links, rows)
    light, resampled = np.flatnonzero(~heavy), np.flatnonzero(heavy)
    out = Rows({name: x.copy() for name, x in rows.values.items()}, rows.seen, rows.n)
    for start in range(0, len(light), CHUNK):
        some = light[start : start + CHUNK]
        _put(out, some, draw_rows(laws, links, rows.take(some), keys[some], seed, 0, source)[0])
    shares, impossible = [1.0], 0
    for start in range(0, len(resampled), CHUNK):
        some = resampled[start : start + CHUNK]
        drawn, share, lost = _resample(laws, links, rows.take(some), keys[some], seed, source, n_draws)
        _put(out, some, drawn)
        shares.append(float(share.min()))
        impossible += lost
    if not len(resampled):
        return out, Resampling()
    return out, Resampling(len(resampled), n_draws, min(shares), impossible)


def draw_rows(
    laws: Sequence[Law],
    links: Links,
    rows: Rows,
    keys: NDArray[np.uint64],
    seed: int,
    draw: int,
    source: str | None = None,
    weigh: bool = False,
) -> tuple[Rows, Floats]:
    """Draw what rows lack once, and return the log law of what they observe given what was drawn before it."""
    values, weight = dict(rows.values), np.zeros(rows.n)
    state = Rows(values, rows.seen, rows.n)
    scores: dict[str, Floats] = {}
    for place, law in enumerate(laws):
        stream = STREAM + PER_LAW * place + draw
        observed = np.array([rows.seen[name] for name in law.targets], bool).reshape(-1, rows.n).T
        coupled = links.joins(law.targets)
        none, whole = ~observed.any(axis=1), observed.all(axis=1)
        fast = none & (not coupled)
        given = law.given(state, source)
        new = {name: values[name].copy() for name in law.targets}
        some = np.flatnonzero(fast)
        if len(some):
            part = sample_rows(
                law.encoder, law.ensemble, {k: x[some] for k, x in given.items()}, keys[some], seed, stream
            )
            for name, x in part.items():
                new[name][some] = x
        some = np.flatnonzero(~fast & (coupled | weigh | ~whole))
        if len(some):
            u = uniforms(seed, keys[some], stream, 1 + 2 * len(law.targets))
            steps = walk(
                law, {k: x[some] for k, x in given.items()}, {k: values[k][some] for k in law.targets},
                {k: rows.seen[k][some] for k in law.targets}, u, links.shift(law.targets, scores, some),
            )  # fmt: skip
            weight[some] += steps.log_weight
            for i, name in enumerate(law.targets):
                new[name][some] = steps.values[name]
                if coupled:
                    scores[name] = np.zeros(rows.n)
                    scores[name][some] = steps.scores[:, i]
        values.update(new)
        for name, x in law.encoder.plan.derive({**given, **new}).items():
            values[name] = np.where(rows.seen[name], values[name], x)
    return state, weight


def _resample(
    laws: Sequence[Law], links: Links, rows: Rows, keys: NDArray[np.uint64], seed: int, source: str | None, n_draws: int
) -> tuple[Rows, Floats, int]:
    """Keep one of several draws of each row, with chances in proportion to their weights (Gumbel, 1954)."""
    luck = -np.log(-np.log(uniforms(seed, keys, CHOICE, n_draws)))
    best, logs = np.full(rows.n, -np.inf), np.empty((n_draws, rows.n))
    kept: Rows | None = None
    for draw in range(n_draws):
        drawn, logs[draw] = draw_rows(laws, links, rows, keys, seed, draw, source, weigh=True)
        score = np.where(np.isfinite(logs[draw]), logs[draw], -1e12) + luck[draw]
        better = score > best
        best = np.maximum(best, score)
        kept = drawn if kept is None else _mix(kept, drawn, better)
    assert kept is not None
    top = logs.max(axis=0)
    lost = ~np.isfinite(top)
    w = np.exp(logs - np.where(lost, 0.0, top))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(lost, 1.0 / n_draws, w.sum(axis=0) ** 2 / (w**2).sum(axis=0) / n_draws)
    return kept, share, int(lost.sum())


def _mix(kept: Rows, drawn: Rows, better: Bools) -> Rows:
    values = {name: np.where(better, drawn.values[name], x) for name, x in kept.values.items()}
    return Rows(values, kept.seen, kept.n)


def _put(out: Rows, some: NDArray[np.intp], drawn: Rows) -> None:
    for name, x in drawn.values.items():
        out.values[name][some] = x


def _needs_weights(laws: Sequence[Law], links: Links, rows: Rows) -> Bools:
    """Rows that observe something that comes after, and depends on, something they lack."""
    names = list(rows.seen)
    packed = np.packbits(np.array([rows.seen[name] for name in names]).T, axis=1)
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    found = [_is_late(laws, links, {name: bool(rows.seen[name][row]) for name in names}) for row in first]
    return np.array(found, bool)[which.reshape(-1)]


def _is_late(laws: Sequence[Law], links: Links, seen: dict[str, bool]) -> bool:
    for law in laws:
        observed = [i for i, name in enumerate(law.targets) if seen[name]]
        lacking = [i for i, name in enumerate(law.targets) if not seen[name]]
        if not observed:
            continue
        reads = [*law.inputs, *links.partners(law.targets)]
        if any(not seen[name] for name in reads):
            return True
        orders = [member.order for member in law.ensemble.members]
        if len(orders) > 1 and (lacking or links.joins(law.targets)):  # which member speaks is weighed too
            return True
        if lacking and max(map(orders[0].index, observed)) > min(map(orders[0].index, lacking)):
            return True
    return False


def check_derived(laws: Sequence[Law], rows: Rows) -> None:
    """Refuse rows that observe a derived variable but not what it is calculated from.

    Raises
    ------
    DataError
        The first such row is named.
    """
    for law in laws:
        for name, parts in law.derived.items():
            have = np.logical_and.reduce([rows.seen[part] for part in parts])
            wrong = np.flatnonzero(rows.seen[name] & ~have)
            if len(wrong):
                raise DataError(
                    f"row {wrong[0]} has {name!r}, which a constraint calculates from {', '.join(parts)}, but not all "
                    f"of these ({len(wrong)} such rows). Give the parts too, or leave {name!r} out."
                )
