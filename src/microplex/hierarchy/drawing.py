"""Drawing households from their law, and scoring them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.errors import ConstraintError
from microplex.hierarchy.composition import systematic
from microplex.hierarchy.counting import Counted
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
from microplex.hierarchy.splitting import broken_homes, check_totals, split_given
from microplex.hierarchy.stage import Stage, Values

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]
SHIFT, CHANGES, HOME, GAPS, ATTRIBUTES, OUTCOMES = 11, 12, 13, 14, 15, 16
RETRY, TRIES = 1000, 64
MAX_SIZE = 4096
BLOCK = 20_000


def draw_compositions(law: HouseholdLaw, n: int, first: int, seed: int, given: Values) -> Ints:
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
        Household variables that are given; those that count members are met.
    """
    table = law.compositions
    u = systematic(first, n, _shift(seed))
    keys = household_keys(first, n)
    if law.by_given is None:
        return table.vary(table.pick(u), uniforms(seed, keys, CHANGES, 2))
    counted = Counted(table, law.variables.counted)
    out = np.empty((n, table.counts.shape[1]), np.int64)
    for start in range(0, n, BLOCK):
        part = slice(start, min(start + BLOCK, n))
        some = {c: x[part] for c, x in given.items()}
        p = law.shares(some, part.stop - start)
        out[part] = counted.draw(p, some, u[part]) if counted.roles else table.counts[_pick(p, u[part])]
    return out if counted.roles else table.vary(table.find(out), uniforms(seed, keys, CHANGES, 2))


def _shift(seed: int) -> float:
    """Where the systematic sample begins."""
    return float(uniforms(seed, np.zeros(1, np.uint64), SHIFT, 1)[0, 0])


def _pick(p: Floats, u: Floats) -> Ints:
    """Rows of the table by their probabilities."""
    total = np.cumsum(p, axis=1)
    return np.asarray(np.minimum((total <= (u * total[:, -1])[:, None]).sum(axis=1), p.shape[1] - 1))


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
        own = member_keys(scene.roster, np.arange(len(scene.roster.role)), first)
        _draw_attributes(law.attributes, scene, own, seed, ATTRIBUTES)
        if law.variables.splits:
            _split(law, law.attributes, scene, own, seed)
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


def _draw_attributes(stage: Stage, scene: Scene, keys: Keys, seed: int, stream: int) -> None:
    roster = scene.roster
    told = [c.partition(".")[2] for c in stage.conditions if c.startswith("total.")]
    scene.track(dict.fromkeys([*told, *(part for parts in scene.parts.values() for part in parts)]))
    for place in range(roster.n_waves):
        rows = roster.wave(place)
        values = {c: scene.of_members(c, rows) for c in stage.conditions}
        for column, x in stage.sample(values, keys[rows], seed, stream).items():
            scene.member[column][rows] = x
        scene.note(rows)


def _split(law: HouseholdLaw, stage: Stage, scene: Scene, keys: Keys, seed: int) -> None:
    """Split given totals; where nobody could take a share, or a rule would break, members are drawn again."""
    v = law.variables
    check_totals(scene, v.splits, law.member_columns)
    left = np.arange(len(scene.roster.counts))
    part = scene
    for attempt in range(1, TRIES + 1):
        bad = split_given(part, v.splits, law.member_columns) | broken_homes(stage, part, v.splits)
        if part is not scene:
            rows = scene.roster.rows_of(left)
            for column in v.attributes:
                scene.member[column][rows] = part.member[column]
        left = left[bad]
        if not len(left):
            return
        part = scene.of_some(left)
        own = keys[scene.roster.rows_of(left)]
        _draw_attributes(stage, part, own, seed, ATTRIBUTES + RETRY * attempt)
    home = int(left[0])
    told = ", ".join(f"{s.total}={scene.home[s.total][home]:.15g}" for s in v.splits)
    raise ConstraintError(
        f"{told} of the household in row {home} cannot be split ({len(left)} such rows): in {TRIES} draws its "
        f"{int(scene.roster.sizes[home])} members have no amounts that can take it and keep the rules."
    )


def score(law: HouseholdLaw, scene: Scene) -> Floats:
    """Exact log law of whole households, members in the order in which they stand, float64[n]."""
    roster = scene.roster
    n = len(roster.counts)
    given = {c: scene.home[c] for c in law.variables.given}
    shares = None if law.by_given is None else law.shares(given, n)
    counted = law.variables.counted
    if shares is not None and counted:
        total = Counted(law.compositions, counted).log_prob(roster.counts, shares, given)
    else:
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
