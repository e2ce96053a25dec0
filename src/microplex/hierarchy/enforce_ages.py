"""Ages that fit: households whose age gaps are broken, moved as little as possible or redrawn from real gaps.

Ages of a household under lower and upper bounds on their differences form a system of difference constraints. Its
closure by shortest paths tells each member's range once others are placed (Dechter, Meiri and Pearl, 1991, "Temporal
constraint networks"); placing members one after the other within it never runs into a dead end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.errors import ConstraintError
from microplex.hierarchy.enforce_draft import Draft, stream_of
from microplex.hierarchy.members import Bools, Floats, Ints, Members
from microplex.hierarchy.rules_conditions import numbers
from microplex.hierarchy.rules_members import AgeGap
from microplex.hierarchy.rules_quantities import per_unit

_NEAR = 1e-10


@dataclass(frozen=True, eq=False)
class Gaps:
    """Real age gaps, to draw from.

    Attributes
    ----------
    values : float64[k]
        Distinct gaps, ascending.
    below : float64[k + 1]
        Weight of the gaps before each.
    """

    values: Floats
    below: Floats

    @classmethod
    def of(cls, rule: AgeGap, reference: Members) -> Gaps | None:
        """Return the gaps between pairs of a rule in real households, by weight; None if there are none."""
        age = numbers(reference.column(rule.column), str(rule))
        known = np.flatnonzero(~np.isnan(age))
        blocks = _blocks(reference, known, age, [rule], reference.units["household"].of)
        gaps, weights = [], []
        for block in blocks:
            home, young = np.nonzero(block.anchors[0] >= 0)
            old = block.anchors[0][home, young]
            gaps.append(block.age[home, old] - block.age[home, young])
            weights.append(block.weight[home, young])
        pooled, mass = np.concatenate([*gaps, []]), np.concatenate([*weights, []])
        pooled, mass = pooled[mass > 0], mass[mass > 0]
        if not len(pooled):
            return None
        values, place = np.unique(pooled, return_inverse=True)
        by = np.lexsort((mass, place))
        return cls(values, np.concatenate([[0.0], np.cumsum(np.bincount(place[by], mass[by]))]))

    def draw(self, low: Floats, high: Floats, u: Floats) -> Floats:
        """Return gaps between bounds, NaN where no real gap lies there: float64[n]."""
        first = np.searchsorted(self.values, low - _NEAR, side="left")
        last = np.searchsorted(self.values, high + _NEAR, side="right")
        some = last > first
        start, stop = self.below[np.minimum(first, len(self.values))], self.below[last]
        at = np.searchsorted(self.below, start + u * (stop - start), side="right") - 1
        at = np.clip(at, first, np.maximum(last - 1, first))
        return np.where(some, self.values[np.minimum(at, len(self.values) - 1)], np.nan)


@dataclass(eq=False)
class Block:
    """Households of one size, members in canonical order.

    Attributes
    ----------
    rows : int64[h, s]
        Their rows in the table.
    place : int64[h, s]
        Their places in the household.
    household : int64[h]
    age, weight : float64[h, s]
    anchors : list of int64[h, s]
        For each rule, the older member that each younger one goes by; -1 for none.
    """

    rows: Ints
    place: Ints
    household: Ints
    age: Floats
    weight: Floats
    anchors: list[Ints]


def enforce_ages(
    draft: Draft, rules: Sequence[AgeGap], donors: Members | None, age_range: tuple[float, float], seed: int
) -> None:
    """Move ages in households that break a rule on age gaps; other households stay as they are.

    Parameters
    ----------
    draft : Draft
    rules : sequence of AgeGap
        All rules on one column.
    donors : Members or None
        Real households, whose gaps are drawn; None to move ages as little as possible.
    age_range : tuple of float
        Least and greatest age that a member may be moved to.
    seed : int
    """
    data, column = draft.members, rules[0].column
    text = "; ".join(map(str, rules))
    households = data.units["household"]
    broken: Bools = np.any([rule.violations(data) for rule in rules], axis=0)
    if not broken.any():
        draft.put(column, np.empty(0, dtype=np.int64), [], text)
        return
    age = numbers(data.column(column), text)
    whole = data.column(column).dtype == "int"
    rows = np.flatnonzero(per_unit(broken, households)[households.of])
    ordered, place = draft.order(rows)
    places = np.zeros(data.n, dtype=np.int64)
    places[ordered] = place
    ordered = ordered[~np.isnan(age[ordered])]
    gaps = None if donors is None else [Gaps.of(rule, donors) for rule in rules]
    moved_rows, moved_ages = [], []
    for block in _blocks(data, ordered, age, rules, households.of, places):
        try:
            placed = _place(block, rules, age_range, whole, _Draws(draft, block, rules, gaps, seed) if gaps else None)
        except _NoAgesError as error:
            named = households.name(int(block.household[error.home]))
            raise ConstraintError(
                f"no ages between {age_range[0]:g} and {age_range[1]:g} meet '{text}' in household {named}. "
                "Widen age_range or the gaps."
            ) from None
        home, member = np.nonzero(placed != block.age)
        moved_rows.append(block.rows[home, member])
        moved_ages.append(placed[home, member])
    draft.put(column, np.concatenate(moved_rows), np.concatenate(moved_ages), text)


class _NoAgesError(Exception):
    def __init__(self, home: int) -> None:
        self.home = home


def _blocks(
    data: Members, ordered: Ints, age: Floats, rules: Sequence[AgeGap], of: Ints, places: Ints | None = None
) -> list[Block]:
    """Group rows, sorted by household if places are given, into households of one size."""
    if places is None:
        roles = data.roles if data.roles is not None else np.zeros(data.n, dtype=np.int64)
        ordered = ordered[np.lexsort((data.weights[ordered], -age[ordered], roles[ordered], of[ordered]))]
    household = of[ordered]
    starts = np.flatnonzero(np.concatenate([[True], household[1:] != household[:-1]]))
    sizes = np.diff([*starts.tolist(), len(ordered)])
    older = [data.in_roles(rule.older, rule) for rule in rules]
    younger = [data.in_roles(rule.younger, rule) for rule in rules]
    out = []
    for size in np.unique(sizes).tolist():
        rows = ordered[starts[sizes == size][:, None] + np.arange(size)]
        anchors = [
            _anchors(rule, age[rows], old[rows], young[rows])
            for rule, old, young in zip(rules, older, younger, strict=True)
        ]
        place = np.zeros_like(rows) if places is None else places[rows]
        out.append(Block(rows, place, of[rows[:, 0]], age[rows], data.weights[rows], anchors))
    return out


def _anchors(rule: AgeGap, age: Floats, older: Bools, younger: Bools) -> Ints:
    """Return for each younger member the older one whose gap is least off, the first of equals; -1 for none."""
    low, high = rule.bounds
    gap = age[:, None, :] - age[:, :, None]
    miss = np.maximum(np.maximum(low - gap, gap - high), 0.0)
    miss[np.broadcast_to(~older[:, None, :], miss.shape)] = np.inf
    best: Ints = miss.argmin(axis=2)
    best[~younger | ~np.any(older, axis=1, keepdims=True)] = -1
    return best


class _Draws:
    """Ages drawn from real gaps, by numbers that depend on seed, household and member alone."""

    def __init__(
        self, draft: Draft, block: Block, rules: Sequence[AgeGap], gaps: Sequence[Gaps | None], seed: int
    ) -> None:
        self.gaps = gaps
        most = int(block.place.max()) + 1
        keys = draft.keys("household", block.household)
        u = uniforms(seed, keys, stream_of("ages"), most)
        self.u = u.T[np.arange(len(keys))[:, None], block.place]

    def member(self, m: int, x: Floats, low: Floats, high: Floats, anchors: Sequence[Ints]) -> Floats:
        """Return ages of member `m` given those before it, NaN where no real gap fits."""
        out = np.full(len(x), np.nan)
        for rule_anchors, gaps in zip(anchors, self.gaps, strict=True):
            if gaps is None:
                continue
            anchor = rule_anchors[:, m]
            free = np.flatnonzero(np.isnan(out) & (anchor >= 0) & (anchor < m))
            if free.size:
                other = x[free, anchor[free]]
                out[free] = other - gaps.draw(other - high[free], other - low[free], self.u[free, m])
            child = np.argmax(rule_anchors[:, :m] == m, axis=1) if m else np.zeros(len(x), dtype=np.int64)
            bound = (rule_anchors[np.arange(len(x)), child] == m) & (m > 0)
            free = np.flatnonzero(np.isnan(out) & bound)
            if free.size:
                other = x[free, child[free]]
                out[free] = other + gaps.draw(low[free] - other, high[free] - other, self.u[free, m])
        return out


def _place(
    block: Block, rules: Sequence[AgeGap], age_range: tuple[float, float], whole: bool, draws: _Draws | None
) -> Floats:
    """Return ages that meet the rules: float64[h, s]."""
    n, size = block.age.shape
    hub = _hub(block.anchors, n, size)
    order = _hub_first(hub, size)
    back = np.argsort(order, axis=1)
    age, weight = (np.take_along_axis(array, order, axis=1) for array in (block.age, block.weight))
    anchors = [_reordered(a, order, back) for a in block.anchors]
    bound = _closure(anchors, rules, n, size, age_range, whole)
    stuck = np.flatnonzero((np.einsum("hii->hi", bound) < -_NEAR).any(axis=1))
    if stuck.size:
        raise _NoAgesError(int(stuck[0]))
    if draws is not None:
        draws.u = np.take_along_axis(draws.u, order, axis=1)
    x = np.empty_like(age)
    for m in range(size):
        low, high = -bound[:, size, m], bound[:, m, size]
        for j in range(m):
            low = np.maximum(low, x[:, j] - bound[:, j, m])
            high = np.minimum(high, x[:, j] + bound[:, m, j])
        high = np.maximum(high, low)
        wanted = age[:, m]
        if m == 0 and draws is None:
            wanted = _median(age, weight, bound, hub)
        inside = (wanted >= low - _NEAR) & (wanted <= high + _NEAR)
        clipped = np.where(inside, wanted, np.clip(wanted, low, high))
        if draws is not None and not inside.all():
            drawn = draws.member(m, x, low, high, anchors)
            drawn = np.clip(np.rint(drawn) if whole else drawn, low, high)
            clipped = np.where(inside | np.isnan(drawn), clipped, drawn)
        x[:, m] = clipped
    return np.take_along_axis(x, back, axis=1)


def _hub(anchors: Sequence[Ints], n: int, size: int) -> Ints:
    """Return the member with most ties, the first of equals: int64[n]."""
    ties = np.zeros((n, size), dtype=np.int64)
    for anchor in anchors:
        home, young = np.nonzero(anchor >= 0)
        np.add.at(ties, (home, young), 1)
        np.add.at(ties, (home, anchor[home, young]), 1)
    return np.asarray(ties.argmax(axis=1))


def _hub_first(hub: Ints, size: int) -> Ints:
    """Return an order of members that starts with the hub: int64[n, size]."""
    rest = np.arange(size - 1)[None, :]
    rest = rest + (rest >= hub[:, None])
    return np.asarray(np.concatenate([hub[:, None], rest], axis=1))


def _reordered(anchors: Ints, order: Ints, back: Ints) -> Ints:
    moved = np.take_along_axis(anchors, order, axis=1)
    return np.asarray(np.where(moved >= 0, np.take_along_axis(back, np.maximum(moved, 0), axis=1), -1))


def _closure(
    anchors: Sequence[Ints], rules: Sequence[AgeGap], n: int, size: int, age_range: tuple[float, float], whole: bool
) -> NDArray[Any]:
    """Return the greatest allowed age of i less that of j, [h, i, j]; the last place stands for age 0."""
    bound = np.full((n, size + 1, size + 1), np.inf)
    bound[:, np.arange(size + 1), np.arange(size + 1)] = 0.0
    bound[:, :size, size] = age_range[1]
    bound[:, size, :size] = -age_range[0]
    for anchor, rule in zip(anchors, rules, strict=True):
        low, high = rule.bounds
        if whole:
            low, high = np.ceil(low - _NEAR), np.floor(high + _NEAR)
        home, young = np.nonzero(anchor >= 0)
        old = anchor[home, young]
        bound[home, old, young] = np.minimum(bound[home, old, young], high)
        bound[home, young, old] = np.minimum(bound[home, young, old], -low)
    for k in range(size + 1):
        np.minimum(bound, bound[:, :, k, None] + bound[:, None, k, :], out=bound)
    return bound


def _median(age: Floats, weight: Floats, bound: NDArray[Any], hub: Ints) -> Floats:
    """Return the age of the first member that moves the household least: float64[n].

    The least sum of weight times years moved, each other member going to the nearest age allowed: a convex function
    with a kink at the own age and where each other member begins to move, so a weighted median of these. Among equals
    the head stays, then the first member itself.
    """
    size = age.shape[1]
    weight = np.where(weight.sum(axis=1, keepdims=True) > 0, weight, 1.0)
    rise, fall = age[:, 1:] + bound[:, 0, 1:size], age[:, 1:] - bound[:, 1:size, 0]
    points = np.concatenate([age[:, :1], rise, fall], axis=1)
    jumps = np.concatenate([2 * weight[:, :1], weight[:, 1:], np.where(np.isfinite(fall), weight[:, 1:], 0.0)], axis=1)
    slope = -weight[:, 0] - np.where(np.isfinite(fall), weight[:, 1:], 0.0).sum(axis=1)
    by = np.argsort(points, axis=1, kind="stable")
    points, jumps = np.take_along_axis(points, by, axis=1), np.take_along_axis(jumps, by, axis=1)
    slopes = slope[:, None] + np.cumsum(jumps, axis=1)
    slack = 1e-12 * weight.sum(axis=1, keepdims=True)
    at = np.arange(len(age))
    left, right = points[at, (slopes >= -slack).argmax(axis=1)], points[at, (slopes > slack).argmax(axis=1)]
    kept = age[:, 0]
    if size > 1:  # the head stands second where it is not the first
        free = np.clip(kept, age[:, 1] - bound[:, 1, 0], age[:, 1] + bound[:, 0, 1])
        kept = np.where(hub > 0, free, kept)
    return np.clip(kept, left, np.maximum(right, left))
