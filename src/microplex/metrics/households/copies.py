"""Whether synthetic households are training households: whole copies, and which real households they are nearest to.

Rows count here, not weights: an intruder sees rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.metrics.attacks import closest_record, difference_interval
from microplex.metrics.groups import row_groups
from microplex.metrics.households.records import GROUP
from microplex.metrics.households.view import Column, Floats, Ints, View
from microplex.metrics.households.wide import household_features, level_order
from microplex.metrics.neighbours import embed_columns
from microplex.metrics.record import Record, undefined

RARE = 0.05
RARE_VALUES = 3
MOST_REAL, MOST_SYNTHETIC = 3000, 1500
LEAST_PRESENT = 0.05

_DRAW_STREAM, _WORD_STREAM = 757, 761
_WORDS = 2


def copy_records(real: View, synthetic: View, train: View | None, distances: bool, seed: int) -> list[Record]:
    """Return "copy_share" and "dcr_share".

    Copies: of the synthetic households with at least three values that fewer than 5 % of the training rows have, the
    share that equals a training household in every variable of the household and of all its members. Its ideal and
    floor are the same share of the real households, which the model never saw. Distances: the share of synthetic
    households that are nearer to a training household than to a real one (`closest_record`; ideal 0.5).

    Parameters
    ----------
    real, synthetic : View
    train : View, optional
        What the model was fitted to; without it nothing is defined.
    distances : bool
        Whether to take the distances.
    seed : int
    """
    if train is None:
        reason = "train, the households that the model was fitted to, was not given"
        return [undefined(measure, GROUP, (), reason) for measure in ("copy_share", "dcr_share")]
    records = [_copied(real, synthetic, train, seed)]
    if distances:
        records.append(_nearer(real, synthetic, train, seed))
    return records


def _copied(real: View, synthetic: View, train: View, seed: int) -> Record:
    views = (train, real, synthetic)
    words = _signatures(views, seed)
    known = np.unique(words[0])
    shares, numbers, copied = [], [], 0
    for view, word in zip(views[1:], words[1:], strict=True):
        rare = _rare_values(view, train) >= RARE_VALUES
        found = np.isin(word[rare], known)
        shares.append(float(found.mean()) if rare.any() else 0.0)
        numbers.append(int(rare.sum()))
        copied = int(found.sum())
    if not numbers[1]:
        reason = f"no synthetic household has {RARE_VALUES} values rarer than {RARE:.0%}"
        return undefined("copy_share", GROUP, (), reason)
    interval = difference_interval(shares[0], shares[1], numbers[0], numbers[1]) if numbers[0] else None
    detail = f"{copied:,} of {numbers[1]:,} households with {RARE_VALUES} rare values"
    return Record("copy_share", GROUP, (), shares[1], shares[0], shares[0], interval, detail, numbers[1])


def _signatures(views: Sequence[View], seed: int) -> list[NDArray[np.void]]:
    """Return two 64-bit words a household that depend on its values and its members', in whatever order these stand.

    Each distinct member row has random words, and a household their sum.
    """
    plan = views[0].plan
    rows = [
        np.concatenate([np.asarray(view.member[name].values, dtype=np.float64) for view in views])
        for name in plan.member_vars
    ]
    member = row_groups([np.concatenate([view.role for view in views]), *rows])
    sums = []
    ends = np.cumsum([len(view.home) for view in views])
    for words in _words(member, seed, _WORD_STREAM):
        parts = np.split(words, ends[:-1])
        sums.append(np.concatenate([_sum(view, part) for view, part in zip(views, parts, strict=True)]))
    own = [np.concatenate([view.household[name].floats for view in views]) for name in plan.own_vars]
    if own:
        household = row_groups(own)
        sums = [a + b for a, b in zip(sums, _words(household, seed, _WORD_STREAM + 1), strict=True)]
    both = np.ascontiguousarray(np.column_stack(sums)).view([("a", np.uint64), ("b", np.uint64)])[:, 0]
    return np.split(both, np.cumsum([view.n for view in views])[:-1])


def _words(groups: Ints, seed: int, stream: int) -> list[NDArray[np.uint64]]:
    u = uniforms(seed, np.arange(int(groups.max(initial=0)) + 1, dtype=np.uint64), stream, _WORDS)
    return [(row * 2.0**53).astype(np.uint64)[groups] for row in u]


def _sum(view: View, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    totals = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(words, dtype=np.uint64)])
    ends = np.cumsum(view.size)
    return np.asarray(totals[ends] - totals[ends - view.size])


def _rare_values(view: View, train: View) -> Floats:
    """Return how many values of each household fewer than 5 % of the training rows have."""
    found = np.zeros(view.n)
    for name in view.plan.member_vars:
        found += view.sum(_is_rare(view.member[name], train.member[name]))
    for name in view.plan.own_vars:
        found += _is_rare(view.household[name], train.household[name])
    return found


def _is_rare(column: Column, train: Column) -> NDArray[np.bool_]:
    known = train.floats
    points, counts = np.unique(known[~np.isnan(known)], return_counts=True)
    common = points[counts >= RARE * max(len(known), 1)]
    x = column.floats
    return ~np.isin(x, common) & ~np.isnan(x)


def _nearer(real: View, synthetic: View, train: View, seed: int) -> Record:
    most = min(train.n, real.n, MOST_REAL)
    sizes = (most, most, min(synthetic.n, MOST_SYNTHETIC))
    views = [
        _some(view, size, seed, _DRAW_STREAM + place)
        for place, (view, size) in enumerate(zip((train, real, synthetic), sizes, strict=True))
    ]
    order = level_order(train, real, synthetic)
    wide = [household_features(view, order) for view in views]
    present = (~np.isnan(wide[0].values)).mean(axis=0) > LEAST_PRESENT
    columns = [place for place in np.flatnonzero(present)]
    is_category = set(wide[0].categories)
    levels = [
        1 + int(max(np.nan_to_num(f.values[:, p], nan=0).max(initial=0) for f in wide)) if p in is_category else 0
        for p in columns
    ]
    tables = [[_codes(f.values[:, p]) if p in is_category else f.values[:, p] for p in columns] for f in wide]
    placed = embed_columns(tables[0], np.ones(len(tables[0][0])), levels, tables)
    close = closest_record(placed[2], placed[0], placed[1], seed)
    detail = f"of {sizes[2]:,} households, among {most:,} training and as many real ones"
    return Record("dcr_share", GROUP, (), close.share, 0.5, interval=close.interval, detail=detail, n=sizes[2])


def _codes(values: Floats) -> Ints:
    return np.where(np.isnan(values), -1, values).astype(np.int64)


def _some(view: View, size: int, seed: int, stream: int) -> View:
    u = uniforms(seed, view.keys, stream, 1)[0]
    return view.take(np.sort(np.argsort(u, kind="stable")[:size]))
