"""Drawing households from their law, and scoring them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.hierarchy.composition import systematic
from microplex.hierarchy.donors import Donors
from microplex.hierarchy.law import (
    COMPOSITION,
    GAP,
    GAP_HIGH,
    GAP_LOW,
    HouseholdLaw,
    empty_scene,
    member_sums,
)
from microplex.hierarchy.roster import Ints, Roster
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Stage, Values

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]
SHIFT, CHANGES, HOME, GAPS, ATTRIBUTES, OUTCOMES = 11, 12, 13, 14, 15, 16
MAX_SIZE = 4096
BLOCK = 20_000


def draw_compositions(law: HouseholdLaw, n: int, first: int, seed: int, given: Values, sizes: Ints | None) -> Ints:
    """Draw how many members of each role households have, int64[n, n_roles].

    Parameters
    ----------
    law : HouseholdLaw
        What was learned.
    n, first : int
        Number of households, and the place of the first, which decides its place in the systematic sample.
    seed : int
        Seed.
    given : dict of arrays
        Household variables that are given.
    sizes : int64[n], optional
        Size that each must have.
    """
    table = law.compositions
    u = systematic(first, n, _shift(seed))
    keys = household_keys(first, n)
    if law.by_given is None and sizes is None:
        return table.vary(table.pick(u), uniforms(seed, keys, CHANGES, 2))
    out = np.empty((n, table.counts.shape[1]), np.int64)
    for start in range(0, n, BLOCK):
        part = slice(start, min(start + BLOCK, n))
        some = {c: x[part] for c, x in given.items()}
        p = np.broadcast_to(table.shares, (part.stop - start, len(table.shares)))
        if law.by_given is not None:
            p = law.shares(some, part.stop - start)
        out[part] = _pick_sized(law, p, u[part], None if sizes is None else sizes[part])
    return out if sizes is not None else _vary_found(law, out, uniforms(seed, keys, CHANGES, 2))


def _shift(seed: int) -> float:
    """Where the systematic sample begins."""
    return float(uniforms(seed, np.zeros(1, np.uint64), SHIFT, 1)[0, 0])


def _vary_found(law: HouseholdLaw, counts: Ints, u: Floats) -> Ints:
    return law.compositions.vary(law.compositions.find(counts), u)


def _pick_sized(law: HouseholdLaw, p: Floats, u: Floats, sizes: Ints | None) -> Ints:
    """Compositions by their probabilities, of given sizes; larger ones get members of the commonest repeatable role."""
    table = law.compositions
    own = table.counts.sum(axis=1)
    if sizes is None:
        wanted = None
    else:
        wanted = np.minimum(sizes, own.max())
        nearest = np.unique(own)
        place = np.searchsorted(nearest, wanted, "right") - 1
        wanted = nearest[np.maximum(place, 0)]
        p = np.where(own == wanted[:, None], np.maximum(p, 1e-12), 0.0)
    total = np.cumsum(p, axis=1)
    pick = (total < (u * total[:, -1])[:, None]).sum(axis=1)
    counts: Ints = table.counts[np.minimum(pick, len(own) - 1)].copy()
    if sizes is not None and wanted is not None and len(table.repeatable):
        commonest = table.repeatable[np.argmax((table.shares @ table.counts)[table.repeatable])]
        counts[:, commonest] += sizes - wanted
    return counts


def household_keys(first: int, n: int) -> Keys:
    """Keys of households by their place."""
    return np.arange(first, first + n).astype(np.uint64)


def member_keys(roster: Roster, rows: Ints, first: int) -> Keys:
    """Keys of members: household and place in it."""
    return ((first + roster.household[rows]) * MAX_SIZE + roster.place[rows]).astype(np.uint64)


def draw(law: HouseholdLaw, counts: Ints, given: Values, first: int, seed: int) -> Scene:
    """Draw households of known compositions.

    Parameters
    ----------
    law : HouseholdLaw
        What was learned.
    counts : int64[n, n_roles]
        Compositions.
    given : dict of arrays
        Household variables that are given.
    first : int
        Place of the first household.
    seed : int
        Seed.

    Returns
    -------
    Scene
        Whole households.
    """
    roster = Roster(counts, law.couple)
    scene = empty_scene(law, roster, dict(given))
    keys = household_keys(first, len(counts))
    if law.home is not None:
        drawn = law.home.sample({c: scene.of_homes(c) for c in law.home.conditions}, keys, seed, HOME)
        for name, x in drawn.items():
            where, _, column = name.partition(".")
            if where == law.labels.top:
                scene.home[column] = x
            else:
                scene.member[column][roster.head] = x
    if law.variables.age:
        _draw_ages(law, scene, first, seed)
    return _draw_rest(law, scene, first, seed)


def draw_from_donors(law: HouseholdLaw, donors: Donors, n: int, first: int, seed: int) -> Scene:
    """Draw households whose structure is copied from training households; arguments as for `draw`."""
    counts, home, member = donors.draw(systematic(first, n, _shift(seed)))
    scene = empty_scene(law, Roster(counts, law.couple), home)
    scene.member.update(member)
    return _draw_rest(law, scene, first, seed)


def _draw_rest(law: HouseholdLaw, scene: Scene, first: int, seed: int) -> Scene:
    """Draw attributes of members and outcomes of households whose structure is known."""
    keys = household_keys(first, len(scene.roster.counts))
    if law.attributes is not None:
        _draw_attributes(law, law.attributes, scene, first, seed)
    if law.outcomes is not None:
        values = {c: scene.of_homes(c) for c in law.outcomes.conditions}
        for name, x in law.outcomes.sample(values, keys, seed, OUTCOMES).items():
            column = name.partition(".")[2]
            parts = law.variables.remainders.get(column)
            scene.home[column] = x if parts is None else x + member_sums(scene, parts)
    return scene


def _draw_ages(law: HouseholdLaw, scene: Scene, first: int, seed: int) -> None:
    roster, age = scene.roster, str(law.variables.age)
    for place in range(1, roster.n_waves):
        wave = roster.wave(place)
        for name, mask in law.gap_groups(roster.role[wave]).items():
            rows = wave[mask]
            if not len(rows):
                continue
            stage = law.gaps[name]
            values = gap_values(law, stage, scene, rows)
            drawn = stage.sample(values, member_keys(roster, rows, first), seed, GAPS)
            reference = scene.of_members("age.reference", rows)
            scene.member[age][rows] = reference - drawn.pop(GAP)
            for column, x in drawn.items():
                scene.member[column][rows] = x


def gap_values(law: HouseholdLaw, stage: Stage, scene: Scene, rows: Ints) -> Values:
    """Conditions of a stage of ages."""
    low, high = law.gap_limits(scene, rows)
    values: Values = {c: scene.of_members(c, rows) for c in stage.conditions if c not in (GAP_LOW, GAP_HIGH)}
    return values | {GAP_LOW: low, GAP_HIGH: high}


def _draw_attributes(law: HouseholdLaw, stage: Stage, scene: Scene, first: int, seed: int) -> None:
    roster = scene.roster
    scene.track([c.partition(".")[2] for c in stage.conditions if c.startswith("total.")])
    for place in range(roster.n_waves):
        rows = roster.wave(place)
        values = {c: scene.of_members(c, rows) for c in stage.conditions}
        for column, x in stage.sample(values, member_keys(roster, rows, first), seed, ATTRIBUTES).items():
            scene.member[column][rows] = x
        scene.note(rows)


def score(law: HouseholdLaw, scene: Scene) -> Floats:
    """Exact log law of whole households, members in the order in which they stand, float64[n]."""
    roster = scene.roster
    n = len(roster.counts)
    given = {c: scene.home[c] for c in law.variables.given}
    shares = None if law.by_given is None else law.shares(given, n)
    total = law.compositions.log_prob(roster.counts, shares)
    if law.home is not None:
        names = (*law.home.conditions, *law.home.targets)
        total = total + law.home.log_prob({c: scene.of_homes(c) for c in names}, n)
    if law.variables.age:
        total = total + _score_ages(law, scene)
    if law.attributes is not None:
        rows = np.arange(len(roster.role))
        names = (*law.attributes.conditions, *law.attributes.targets)
        each = law.attributes.log_prob({c: scene.of_members(c, rows) for c in names}, len(rows))
        total = total + np.add.reduceat(each, roster.starts)
    if law.outcomes is not None:
        values = {c: scene.of_homes(c) for c in law.outcomes.conditions}
        for name in law.outcomes.targets:
            column = name.partition(".")[2]
            parts = law.variables.remainders.get(column)
            values[name] = scene.home[column] - (0.0 if parts is None else member_sums(scene, parts))
        total = total + law.outcomes.log_prob(values, n)
    return np.asarray(total)


def _score_ages(law: HouseholdLaw, scene: Scene) -> Floats:
    roster, age = scene.roster, str(law.variables.age)
    others = np.flatnonzero(roster.place > 0)
    each = np.zeros(len(roster.role))
    for name, mask in law.gap_groups(roster.role[others]).items():
        rows = others[mask]
        if not len(rows):
            continue
        if name not in law.gaps:
            each[rows] = -np.inf
            continue
        stage = law.gaps[name]
        values = gap_values(law, stage, scene, rows)
        values |= {c: scene.member[c][rows] for c in law.variables.structure}
        values[GAP] = scene.of_members("age.reference", rows) - scene.member[age][rows]
        each[rows] = stage.log_prob(values, len(rows))
    return np.asarray(np.add.reduceat(each, roster.starts))


__all__ = ["COMPOSITION", "draw", "draw_compositions", "score"]
