"""Groups of persons below the household: tax units, families, as a learned or given partition of its members.

log p(units | members) = sum over members, in canonical order, of log p(unit and role of the member | members, units of
those before) + sum over units, in the order of opening, of log p(variables | members of the unit, unit before). A
member opens a unit or joins one that is open in the household, so that every partition of the members has exactly one
sequence of choices, and the law of partitions sums to one (the sequential construction of Pitman, 1995, with learned
probabilities). Choices that would leave a unit without exactly one head, or with a unique role twice, have probability
zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.encoding import ConditionalLaw, Settings
from microplex.encoding.intake import MIN_ROWS
from microplex.entities import GroupEntity, Population
from microplex.errors import DataError
from microplex.frames import column_names
from microplex.hierarchy.drawing import MAX_SIZE, member_keys
from microplex.hierarchy.reading import infer, read_values
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.screening import screen
from microplex.hierarchy.stage import Stage, Values, _varies
from microplex.hierarchy.units_binding import BIND, bind_constraints, bound_rules
from microplex.hierarchy.units_filling import Choices
from microplex.hierarchy.units_law import (
    FIRST_STREAM,
    GroupRule,
    UnitLaw,
    apply_rule,
    pack_units,
    read_units,
    unpack_units,
)
from microplex.hierarchy.units_partition import Kind, Partition
from microplex.hierarchy.units_rules import (
    bar_constraints,
    check_kept,
    derive,
    derived_rules,
    level_rules,
    row_rules,
    unit_constraints,
    unit_members,
)
from microplex.schema import Column

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
CHOICE = "choice"
BLOCK = 20_000
RARE = 0.01
FEW, MANY = 16, 20
TOLERANCE = 1e-9


def fit_units(
    scene: Scene,
    population: Population,
    reading_order: Ints,
    group: GroupEntity,
    weights: Floats,
    settings: Settings,
    kinds: Mapping[str, str] | None = None,
    rules: Sequence[Any] = (),
    *,
    homes: Sequence[str] = (),
    targets: Sequence[str] | None = None,
    rule: GroupRule | None = None,
    stream: int = FIRST_STREAM,
) -> UnitLaw:
    """Learn how members of households form units, and what the units are like.

    Parameters
    ----------
    scene : Scene
        Training households, whole.
    population : Population
        The same as tables.
    reading_order : int64[N]
        Row of the member table of each member of the scene.
    group : GroupEntity
        The kind of unit, directly within the household.
    weights : float64[n]
        Survey weights of households, positive.
    settings : Settings
        How to fit.
    kinds : mapping of str to str, optional
        Kinds of columns that are not to be inferred.
    rules : sequence of rules
        `Sum`, `Count` and `Aggregate` of the units are derived. Rules on the row of a member that name the role in
        the unit, and `Together`, hold on every draw whose members leave a choice that keeps them.
    homes : sequence of str
        Household variables that are known when units are drawn.
    targets : sequence of str, optional
        Variables of units to generate; all columns of their table but keys unless given.
    rule : callable, optional
        Gives the number of each person's unit within the household, for a table of persons of whole households;
        then who is with whom is not learned.
    stream : int
        Number of the first of two random streams.

    Returns
    -------
    UnitLaw

    Raises
    ------
    SchemaError, DataError
        If the units are within another group, a stage cannot be fitted, or training rows break a rule that
        binds units to their members.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import US, as_population
    >>> from microplex.hierarchy.reading import read_population
    >>> population = as_population(make_population(60, seed=0))
    >>> reading = read_population(population, "age")
    >>> columns = infer(population.persons, ["age"], {})
    >>> member = read_values(population.persons, columns, reading.order)
    >>> scene = Scene(reading.labels, reading.roster, {}, member, {}, columns)
    >>> law = fit_units(scene, population, reading.order, US.group("tax_unit"), reading.weights,
    ...     Settings(epochs=1, n_orders=0), targets=["filing_status"])
    >>> units, roles, values = draw_units(law, scene, first=0, seed=1)
    >>> len(units) == len(population.persons), sorted(values)
    (True, ['filing_status'])
    """
    reading = read_units(scene, population, reading_order, group)
    kind, frame = Kind.of(group), population.table(group.name)
    names = _variables(population, group) if targets is None else list(targets)
    columns = infer(frame, names, kinds or {})
    units, roles = reading.partition, reading.roles
    if rule is not None:
        units = apply_rule(rule, scene, population.schema.top.key, 0)
        _check_rule(units, reading.partition, kind)
    found = np.zeros(len(units.of), np.int64) if roles is None else roles
    numeric = [c for c in names if columns[c].is_numeric]
    before, after = derived_rules(rules, scene, kind, numeric)
    choices = Choices.seen(units, found, kind, rule is not None)
    law = UnitLaw(
        kind, population.schema.top.key, choices, _no_shares(choices), row_rules(rules, scene, kind), tuple(homes),
        columns, before, after, rule=rule, stream=stream,
    )  # fmt: skip
    drawn = {c: columns[c] for c in law.drawn}
    law = replace(law, levels=level_rules(rules, scene, kind, drawn), bound=bound_rules(rules, scene, kind, drawn))
    values = read_values(frame, columns, reading.rows)
    members = unit_members(scene, kind, units, found, values, columns)
    check_kept((*law.rows, *law.levels, *law.bound), members, kind)
    shares, stage = _fit_choice(law, scene, units, found, weights[scene.roster.household], settings)
    law = replace(law, shares=shares, choice=stage)
    return replace(law, values=_fit_values(law, scene, units, roles, values, weights, settings, rules))


def _variables(population: Population, group: GroupEntity) -> list[str]:
    keys = {entity.key for entity in population.schema.entities}
    return [c for c in column_names(population.table(group.name)) if c not in keys]


def _check_rule(units: Partition, found: Partition, kind: Kind) -> None:
    """Check that a rule gives the training units, whose variables and roles are learned."""
    wrong = np.flatnonzero(units.of != found.of)
    if len(wrong):
        homes = np.unique(units.roster.household[units.local != found.local])
        raise DataError(
            f"the rule for {kind.name} disagrees with the table of persons in {len(homes)} households, first in row "
            f"{homes[0]} of theirs. Correct the rule or the table, or leave the rule out to have it learned."
        )


# ---------------------------------------------------------------------- who is with whom


@dataclass(frozen=True, eq=False)
class _Turns:
    """Turns of members that have a choice."""

    rows: Ints
    possible: Bools
    values: Values


def _replay(law: UnitLaw, scene: Scene, units: Partition, roles: Ints, names: Sequence[str] | None) -> _Turns:
    """What was known and possible at the turn of each member of units that are filled."""
    filling = law.filling(scene, units if law.rule is not None else None)
    if names is None:
        names = filling.names(law.homes)
    rows, possible = [np.zeros(0, np.int64)], [np.zeros((0, len(law.choices.unit)), bool)]
    values: dict[str, list[NDArray[Any]]] = {c: [] for c in names}
    for place in range(scene.roster.n_waves):
        wave = scene.roster.wave(place)
        open_to = filling.possible(wave, ends=False)
        free = open_to.sum(axis=1) > 1
        rows.append(wave)
        possible.append(open_to)
        for c in names:
            values[c].append(filling.of_members(c, wave[free]))
        filling.put(wave, units.local[wave], roles[wave])
    return _Turns(np.concatenate(rows), np.vstack(possible), {c: np.concatenate(x) for c, x in values.items()})


def _fit_choice(
    law: UnitLaw, scene: Scene, units: Partition, roles: Ints, w: Floats, settings: Settings
) -> tuple[Floats, Stage | None]:
    """How often each choice is made by members that have one, and what it depends on where enough of them vary."""
    turns = _replay(law, scene, units, roles, None)
    choice = law.choices.find(units, roles)[turns.rows]
    free = turns.possible.sum(axis=1) > 1
    known = choice[free] >= 0
    w = w[turns.rows[free][known]]
    counts = np.bincount(choice[free][known], w, len(law.choices.unit))
    shares = (1.0 - RARE) * counts / max(counts.sum(), 1e-300) + RARE * law.shares
    if known.sum() < MIN_ROWS or len(np.unique(choice[free][known])) < 2:
        return (shares if known.any() else law.shares), None
    values = {c: x[known] for c, x in turns.values.items()}
    filling = law.filling(scene, units)
    columns = {c: filling.describe(c, x) for c, x in values.items()}
    columns[CHOICE] = Column(CHOICE, "categorical", "category", levels=law.choices.names)
    values[CHOICE] = choice[free][known].astype(np.int32)
    keep = [c for c in ("units.opened", "role", scene.labels.age) if c in values]
    # Who opens a unit of their own is rare and mostly chance: with many conditions, or those of many levels such as
    # small areas, a network learns who did by heart.
    offered = [c for c in values if c != CHOICE and _varies(values[c]) and len(columns[c].levels) <= MANY]
    chosen = screen(values, columns, [CHOICE], offered, w, [c for c in keep if c in offered], FEW)
    values = {c: values[c] for c in (*chosen, CHOICE)}
    keep = [c for c in keep if c in values]
    return shares, Stage.fit(f"the {law.kind.name} of each member", [CHOICE], values, columns, w, (), keep, settings)


def _no_shares(choices: Choices) -> Floats:
    """Equal shares, until they are counted."""
    return np.full(len(choices.unit), 1.0 / len(choices.unit))


def _probabilities(law: UnitLaw, values: Values, possible: Bools) -> Floats:
    """Probability of each choice of members, given those that are possible: float64[n, n_choices]."""
    n = len(possible)
    p = np.broadcast_to(law.shares, possible.shape)
    if law.choice is not None and n:
        parts = []
        encoder, ensemble = law.choice.model.encoder_, law.choice.model.ensemble_
        for start in range(0, n, BLOCK):
            stop = min(start + BLOCK, n)
            some = {c: values[c][start:stop] for c in law.choice.conditions}
            some[CHOICE] = np.full(stop - start, -1, np.int32)
            parts.append(ConditionalLaw(encoder, ensemble, some, CHOICE, stop - start).p)
        p = np.vstack(parts)
    # A tiny constant keeps rows where the network rules out all that is possible.
    p = np.where(possible, p + 1e-12, 0.0)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def draw_units(law: UnitLaw, scene: Scene, first: int, seed: int) -> tuple[Ints, Ints | None, Values]:
    """Draw the units of whole households.

    Parameters
    ----------
    law : UnitLaw
        What was learned.
    scene : Scene
        Whole households.
    first : int
        Place of the first household.
    seed : int
        Seed. What a household gets depends on the law, its members, the seed and its place alone.

    Returns
    -------
    unit_of_member : int64[N]
        Counted from 0, by household and order of opening.
    roles : int64[N] or None
        Place of each member's role among those of the group.
    values : dict of arrays, each of n_units
        Variables of the units, drawn and derived.
    """
    roster = scene.roster
    given = law.ruled(scene, first)
    filling = law.filling(scene, given)
    names = () if law.choice is None else law.choice.conditions
    for place in range(roster.n_waves):
        rows = roster.wave(place)
        possible = filling.possible(rows)
        choice = possible.argmax(axis=1)
        free = np.flatnonzero(possible.sum(axis=1) > 1)
        if len(free):
            some = rows[free]
            p = _probabilities(law, {c: filling.of_members(c, some) for c in names}, possible[free])
            u = uniforms(seed, member_keys(roster, some, first), law.stream, 1)[0]
            choice[free] = _pick(p, u)
        filling.choose(rows, choice)
    units = Partition.number(roster, filling.local)
    roles = filling.role if law.kind.roles else None
    return units.of, roles, _draw_values(law, scene, units, roles, first, seed)


def _pick(p: Floats, u: Floats) -> Ints:
    """Choose by the inverse of the distribution function, never what has probability zero."""
    running = np.cumsum(p, axis=1)
    found = (running <= u[:, None] * running[:, -1:]).sum(axis=1)
    last = p.shape[1] - 1 - (p[:, ::-1] > 0).argmax(axis=1)
    return np.asarray(np.minimum(found, last))


# ---------------------------------------------------------------------------- variables


def _fit_values(
    law: UnitLaw,
    scene: Scene,
    units: Partition,
    roles: Ints | None,
    values: Values,
    weights: Floats,
    settings: Settings,
    rules: Sequence[Any],
) -> Stage | None:
    if not law.drawn:
        return None
    at = law.unit_scene(scene, units, roles)
    at.values |= {c: values[c] for c in law.drawn}
    rows = np.arange(len(units.opener))
    known = {c: at.of(c, rows) for c in at.names(law.homes, law.derived, law.drawn)}
    columns = {c: at.describe(c, x) for c, x in known.items()}
    known |= {c: values[c] for c in law.drawn}
    columns |= {c: law.columns[c] for c in law.drawn}
    # A level that is barred for all training units, or for none, needs no constraint: it is never drawn, or free.
    varied = [c for c in known if not c.startswith(("bar.", BIND)) or known[c].min() < known[c].max()]
    bound = [*unit_constraints(rules, scene, law.kind, law.drawn, law.derived), *bar_constraints(varied, law.columns)]
    bound += bind_constraints(varied, law.bound, scene, law.kind, law.drawn)
    usable = [c for c in varied if c in law.drawn or _varies(known[c])]
    texts = [c for c in bound if set(c.columns) <= {*usable}]
    keep = [c for text in texts for c in text.columns if c not in law.drawn]
    name = f"the variables of a {law.kind.name}"
    known = {c: known[c] for c in varied}
    return Stage.fit(name, law.drawn, known, columns, weights[units.home], texts, list(dict.fromkeys(keep)), settings)


def _draw_values(law: UnitLaw, scene: Scene, units: Partition, roles: Ints | None, first: int, seed: int) -> Values:
    at = law.unit_scene(scene, units, roles)
    n = len(units.opener)
    for c in law.drawn:
        at.values[c] = np.full(n, np.nan) if law.columns[c].is_numeric else np.full(n, -1, np.int32)
    if law.values is not None:
        keys = ((first + units.home) * MAX_SIZE + units.place).astype(np.uint64)
        for place in range(int(units.counts.max(initial=0))):
            rows = units.starts[units.counts > place] + place
            given = {c: at.of(c, rows) for c in law.values.conditions}
            for c, x in law.values.sample(given, keys[rows], seed, law.stream + 1).items():
                at.values[c][rows] = x
    values = at.values | derive(law.after, scene, law.kind, units, roles, at.values, law.columns)
    return {c: values[c] for c in law.columns}


def score_units(law: UnitLaw, scene: Scene, unit_of_member: Ints, roles: Ints | None, values: Values) -> Floats:
    """Exact log law of the units of whole households, given their members.

    Parameters
    ----------
    law : UnitLaw
        What was learned.
    scene : Scene
        Whole households.
    unit_of_member : int64[N]
        Unit of each member; any numbers.
    roles : int64[N] or None
        Role of each member in its unit.
    values : dict of arrays, each of n_units
        Variables of the units, in the order of household and opening.

    Returns
    -------
    float64[n]
        Minus infinity where units, roles or derived variables are impossible.
    """
    roster = scene.roster
    units = Partition.number(roster, unit_of_member)
    found = np.zeros(len(units.of), np.int64) if roles is None else roles
    total = np.zeros(len(roster.counts))
    given = law.ruled(scene, 0)
    same = np.ones(len(total), bool)
    if given is not None:
        same[roster.household[given.local != units.local]] = False
        if not same.all():
            # Households where the rule is broken are impossible; they are scored as the rule has them, then set so.
            found = np.where(same[roster.household], found, -1)
    each = _score_choices(law, scene, units if given is None else given, found)
    np.add.at(total, roster.household, each)
    at = law.unit_scene(scene, units, roles)
    at.values |= {c: values[c] for c in law.drawn}
    rows = np.arange(len(units.opener))
    if law.values is not None:
        known = {c: at.of(c, rows) for c in law.values.conditions} | {c: values[c] for c in law.drawn}
        np.add.at(total, units.home, law.values.log_prob(known, len(rows)))
    expected = {c: at.values[c] for c in law.derived}
    expected |= derive(law.after, scene, law.kind, units, roles, at.values, law.columns)
    for c, x in expected.items():
        off = ~(np.abs(values[c] - x) <= TOLERANCE * (1.0 + np.abs(x))) & ~(np.isnan(values[c]) & np.isnan(x))
        total[units.home[off]] = -np.inf
    total[~same] = -np.inf
    return total


def _score_choices(law: UnitLaw, scene: Scene, units: Partition, roles: Ints) -> Floats:
    """Log probability of what each member did: float64[N]."""
    choice = law.choices.find(units, roles)
    out = np.full(len(choice), -np.inf)
    names = () if law.choice is None else law.choice.conditions
    # Impossible roles are replayed as some role, so that the others of the wave can be scored.
    turns = _replay(law, scene, units, np.maximum(roles, 0), names)
    free = np.flatnonzero(turns.possible.sum(axis=1) > 1)
    p = turns.possible.astype(float)
    p[free] = _probabilities(law, turns.values, turns.possible[free])
    made = choice[turns.rows]
    with np.errstate(divide="ignore"):
        out[turns.rows] = np.where(made >= 0, np.log(p[np.arange(len(p)), np.maximum(made, 0)]), -np.inf)
    return out


__all__ = ["UnitLaw", "draw_units", "fit_units", "pack_units", "read_units", "score_units", "unpack_units"]
