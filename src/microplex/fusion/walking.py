"""Walking a block target by target: what a row observes is scored, what it lacks is drawn.

With evidence on some targets this is likelihood weighting (Fung and Chang, 1990; Shachter and Peot, 1990): the draws
follow the law given all that comes before them, and the weight is the exact law of what was observed. With correlated
normal scores it is the simulator of Geweke (1991), Hajivassiliou and Keane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import NumberCodec
from microplex.encoding.shares import ShareCodec
from microplex.encoding.ties import narrow
from microplex.errors import ConstraintError
from microplex.flow.network import BLOCK, Pass
from microplex.fusion.learning import Law
from microplex.fusion.reading import Bools, Floats, Values

EDGE = 1e-12
FLOOR = 1e-6  # least variance of a normal score given those before it


@dataclass(frozen=True, eq=False)
class Steps:
    """What a walk found.

    Parameters
    ----------
    values : dict of arrays
        Of all modelled targets.
    log_weight : float64[n]
        Log law of the observed targets, each given what came before it.
    low, high : float64[n, n_targets]
        Interval of probabilities of each observed code, given what came before; (0, 1) where none is observed.
    scores : float64[n, n_targets]
        Normal scores inside these intervals; independent standard normal under the law of the block.
    law : float64[n, n_codes]
        Probability of each code of the target asked for, given what came before; of none, no columns.
    """

    values: Values
    log_weight: Floats
    low: Floats
    high: Floats
    scores: Floats
    law: Floats


def walk(
    law: Law,
    given: Values,
    values: Values,
    seen: dict[str, Bools],
    u: Floats,
    shift: tuple[Floats, Floats] | None = None,
    wanted: str | None = None,
) -> Steps:
    """Walk through a block.

    Parameters
    ----------
    law : Law
    given : dict of arrays of shape (n,)
        Its conditions.
    values, seen : dict of arrays of shape (n,)
        Targets, and which of them are observed.
    u : float64[1 + 2 * n_targets, n]
        Uniform numbers: which member of the ensemble, then the code of each target and its place in the code.
    shift : tuple of float64[n, n_targets] and float64[n_targets, n_targets], optional
        Means of the normal scores, and their covariance; independent standard ones without.
    wanted : str, optional
        Target whose law is asked for.

    Returns
    -------
    Steps
    """
    n, t = u.shape[1], len(law.targets)
    out = Steps(
        {name: np.empty(n, values[name].dtype) for name in law.targets},
        np.zeros(n), np.zeros((n, t)), np.ones((n, t)), np.zeros((n, t)),
        np.zeros((n, 0 if wanted is None else law.encoder.codecs[wanted].n_codes)),
    )  # fmt: skip
    chosen = law.ensemble.choose(u[0])
    for place in range(len(law.ensemble.members)):
        rows = np.flatnonzero(chosen == place)
        for start in range(0, len(rows), BLOCK):
            some = rows[start : start + BLOCK]
            part = _walk_rows(
                law, place, {k: x[some] for k, x in given.items()}, {k: values[k][some] for k in law.targets},
                {k: seen[k][some] for k in law.targets}, u[:, some],
                None if shift is None else (shift[0][some], shift[1]), wanted,
            )  # fmt: skip
            for name in law.targets:
                out.values[name][some] = part.values[name]
            for field in ("log_weight", "low", "high", "scores", "law"):
                getattr(out, field)[some] = getattr(part, field)
    return out


def _walk_rows(
    law: Law, member: int, given: Values, values: Values, seen: dict[str, Bools], u: Floats,
    shift: tuple[Floats, Floats] | None, wanted: str | None,
) -> Steps:  # fmt: skip
    encoder, n = law.encoder, u.shape[1]
    order, network = law.ensemble.members[member].order, law.ensemble.members[member].network
    known = dict(given)
    conditions = encoder.condition_codes(known, n)
    block = network.start(n, double=True)
    for v in range(conditions.shape[1]):
        block.add(v, conditions[:, v])
    empty = np.zeros((3, n, len(order)))
    steps = Steps({}, np.zeros(n), empty[0], empty[1], empty[2], np.zeros((n, 0)))
    noise = np.zeros((n, len(order)))
    factor = None if shift is None else cholesky(shift[1][np.ix_(order, order)])
    for place, target in enumerate(order):
        name = encoder.targets[target]
        block.advance(place)
        codec, observed = encoder.codecs[name], seen[name]
        limits, mask = encoder.support(name, known, n)
        base = encoder.base(name, known, n)
        p = _probabilities(law, block, place, name, (limits, mask, base))
        p, share = _looking_ahead(law, name, p, {**known, **_later(law, order[place:], values, seen)}, observed, base)
        steps.log_weight[:] += share
        if name == wanted:
            steps = replace(steps, law=p / p.sum(axis=1, keepdims=True))
        top = np.cumsum(p, axis=1)
        top /= top[:, -1:]
        codes = _codes(codec, values[name], base)
        low, high = _between(top, np.maximum(codes, 0))
        low, high = np.where(observed, low, 0.0), np.where(observed & (codes >= 0), high, np.where(observed, low, 1.0))
        mean, spread = (np.zeros(n), 1.0)
        if shift is not None and factor is not None:
            mean, spread = shift[0][:, target] + noise[:, :place] @ factor[place, :place], float(factor[place, place])
        chance, score = _score(low, high, mean, spread, u[1 + 2 * target])
        drawn = _invert(top, ndtr(score))
        codes = np.where(observed, codes, drawn).astype(np.int32)
        noise[:, place] = (score - mean) / spread
        known[name] = _decoded(law, name, codes, values[name], observed, u[2 + 2 * target], (limits, base), conditions)
        with np.errstate(divide="ignore"):
            inside = np.log(chance) + _density(law, name, codes, known[name], (limits, base), conditions)
        steps.log_weight[:] += np.where(observed, inside, 0.0)
        steps.low[:, target], steps.high[:, target], steps.scores[:, target] = low, high, score
        block.add(encoder.n_conditions + place, codes)
    steps.values.update({name: known[name] for name in encoder.targets})
    return steps


def _probabilities(law: Law, block: Pass, place: int, name: str, limited: tuple[Any, Any, Any]) -> Floats:
    """Probability of each code on each row, within what constraints allow."""
    limits, mask, base = limited
    n = block.n_rows
    if limits is None and mask is None and base is None:
        return block.probabilities(place)
    allowed = law.encoder.allowed_rows(name, limits, mask, base, np.arange(n))
    codec = law.encoder.codecs[name]
    if isinstance(codec, ShareCodec):
        assert base is not None
        none = ~(base > 0)
        if codec.has_missing:
            allowed[np.ix_(none, np.arange(codec.cells.n_codes))] &= (
                np.arange(codec.cells.n_codes) == codec.cells.atom_codes[0]
            )
        else:
            allowed[none] = np.arange(allowed.shape[1]) == codec.cells.atom_codes[0]
    empty = np.flatnonzero(~allowed.any(axis=1))
    if len(empty):
        raise ConstraintError(
            f"no value of {name!r} can satisfy the constraints on {len(empty)} rows of this draw. Check the values "
            "given, or relax: " + "; ".join(law.encoder.plan.describe())
        )
    return block.probabilities(place, allowed=allowed)


def _later(law: Law, targets: Sequence[int], values: Values, seen: dict[str, Bools]) -> Values:
    """Targets that come later, where they are observed."""
    names = [law.encoder.targets[t] for t in targets]
    blank = {name: -1 if values[name].dtype.kind == "i" else np.nan for name in names}
    return {name: np.where(seen[name], values[name], blank[name]) for name in names if seen[name].any()}


def _looking_ahead(
    law: Law, name: str, p: Floats, known: Values, observed: Bools, base: Floats | None
) -> tuple[Floats, Floats]:
    """Keep to codes that what is observed later allows, and the log of what these are of all.

    Draws that the constraints would rule out afterwards are not made; the weight makes up for it.
    """
    n = len(p)
    limits, mask = narrow(law.encoder, name, known, n)
    if limits is None and mask is None:
        return p, np.zeros(n)
    allowed = law.encoder.allowed_rows(name, limits, mask, base, np.arange(n))
    kept = np.where(allowed | observed[:, None], p, 0.0)
    mass = kept.sum(axis=1) / p.sum(axis=1)
    lost = ~(mass > 0)
    kept[lost] = p[lost]
    return kept, np.where(observed | lost, 0.0, np.log(np.where(lost, 1.0, mass)))


def _codes(codec: Any, x: NDArray[Any], base: Floats | None) -> NDArray[np.int32]:
    """Code of each observed value; that of the nearest one where it lies outside the support."""
    if isinstance(codec, ShareCodec):
        return codec.encode_share(x, base)
    if isinstance(codec, NumberCodec):
        return codec.encode(x, nearest=True)
    return np.asarray(x, np.int32)


def _between(top: Floats, codes: NDArray[np.int32]) -> tuple[Floats, Floats]:
    at = np.arange(len(codes))
    return np.where(codes > 0, top[at, np.maximum(codes - 1, 0)], 0.0), top[at, codes]


def cholesky(covariance: Floats) -> Floats:
    """Lower factor of a covariance that may be singular, as that of perfect dependence is."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, FLOOR))
    upper: Floats = np.asarray(np.linalg.qr(root.T)[1])
    return np.asarray((upper * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]).T)


def _score(low: Floats, high: Floats, mean: Floats, spread: float, u: Floats) -> tuple[Floats, Floats]:
    """Probability of an interval of a normal score, and a draw inside it."""
    if spread == 1.0 and not mean.any():
        return high - low, ndtri(np.clip(low + u * (high - low), EDGE, 1 - EDGE))
    a, b = ((ndtri(end) - mean) / spread for end in (low, high))
    flip = a > 0  # the far tail keeps its digits on the other side
    a, b = np.where(flip, -b, a), np.where(flip, -a, b)
    below, above = ndtr(a), ndtr(b)
    at = ndtri(np.clip(below + np.where(flip, 1 - u, u) * (above - below), 1e-300, 1 - 1e-16))
    return above - below, np.clip(mean + spread * np.where(flip, -at, at), ndtri(EDGE), -ndtri(EDGE))


def _invert(top: Floats, u: Floats) -> NDArray[np.intp]:
    """Code at a probability; never one of probability zero."""
    codes = (top <= u[:, None]).sum(axis=1)
    return np.asarray(np.minimum(codes, (top < top[:, -1:]).sum(axis=1)))


def _decoded(
    law: Law, name: str, codes: NDArray[np.int32], x: NDArray[Any], observed: Bools, u: Floats, limited: Any,
    conditions: NDArray[np.int32],
) -> NDArray[Any]:  # fmt: skip
    codec = law.encoder.codecs[name]
    if isinstance(codec, LevelCodec):
        return np.where(observed, x, codes).astype(np.int32)
    out, rows = np.array(x, float), np.flatnonzero(~observed)
    if len(rows):
        group, (limits, base) = law.encoder.group(name, conditions), limited
        out[rows] = codec.decode(
            codes[rows], u[rows], None if group is None else group[rows],
            None if limits is None else limits.take(rows), None if base is None else base[rows],
        )  # fmt: skip
    return out


def _density(
    law: Law, name: str, codes: NDArray[np.int32], x: NDArray[Any], limited: Any, conditions: NDArray[np.int32]
) -> Floats:
    """Log law inside the code, which depends on earlier draws only through shares, limits and groups."""
    codec = law.encoder.codecs[name]
    if isinstance(codec, LevelCodec):
        return np.zeros(len(codes))
    limits, base = limited
    with np.errstate(divide="ignore", invalid="ignore"):
        found = codec.log_density(np.maximum(codes, 0), x, law.encoder.group(name, conditions), limits, base)
    # A value outside the support says nothing of its place in the nearest code.
    return np.asarray(np.where(np.isfinite(found), found, 0.0 if base is None else -np.inf))
