"""The law of a household as a product of conditional flows, and how it is learned.

log p(household) = log p(composition) + log p(static variables, age of the head) + sum over the other members of
log p(age | ages before) + sum over all members of log p(attributes | ages, members before) + log p(outcomes | members).

Members stand in canonical order (role, age from the eldest), each age no greater than the one before in the role, so
that the product is the law of the household as a set of members; only members of one role and one age are left in the
order of their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Constraint, parse
from microplex.encoding import ConditionalLaw, FitReport, Settings
from microplex.errors import ParameterError
from microplex.hierarchy.composition import Compositions
from microplex.hierarchy.donors import Donors
from microplex.hierarchy.gaps import SeenAges, age_bounds, head_rules
from microplex.hierarchy.members import ROLE
from microplex.hierarchy.placing import age_limits
from microplex.hierarchy.roster import Ints, Roster
from microplex.hierarchy.scene import Labels, Scene, context_names
from microplex.hierarchy.stage import Stage, Values, describe_numbers
from microplex.hierarchy.variables import Variables
from microplex.schema import Column

Floats = NDArray[np.float64]
Update = Callable[[float, float | None], None]
COMPOSITION, GAP, GAP_LOW, GAP_HIGH = "composition", "gap", "gap.low", "gap.high"
MIN_GROUP, MIN_OWN = 150, 1000
COUPLE, OTHERS, ALL = "ages of partners", "ages of other members", "ages"


@dataclass(frozen=True, eq=False)
class HouseholdLaw:
    """Everything that was learned about households.

    Attributes
    ----------
    labels, variables, home_columns, member_columns
        Names, stages of variables, and what they are.
    compositions : Compositions
        Numbers of members by role.
    ages : float64[2, n_roles]
        Least and greatest age of each role in training.
    seen : SeenAges or None
        What ages and gaps members of each role showed.
    by_given : Stage or None
        The composition given household variables.
    home, attributes, outcomes : Stage or None
        Stages that draw something.
    gaps : mapping of str to Stage
        Stages of the ages of members other than the head.
    donors : Donors or None
        Training households whose structure is copied.
    """

    labels: Labels
    variables: Variables
    home_columns: Mapping[str, Column]
    member_columns: Mapping[str, Column]
    compositions: Compositions
    couple: tuple[int, ...]
    ages: Floats
    seen: SeenAges | None = None
    by_given: Stage | None = None
    home: Stage | None = None
    attributes: Stage | None = None
    outcomes: Stage | None = None
    gaps: Mapping[str, Stage] = field(default_factory=dict)
    donors: Donors | None = None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that were fitted."""
        found = (self.by_given, self.home, *self.gaps.values(), self.attributes, self.outcomes)
        return tuple(stage for stage in found if stage is not None)

    # ---------------------------------------------------------------- names of stages

    @property
    def home_targets(self) -> list[str]:
        """What is drawn with the household: its static variables, and age and structure of the head."""
        v, top = self.variables, self.labels.top
        age = ([f"head.{v.age}"] if v.age else []) + [f"head.{c}" for c in v.structure]
        return [*(f"{top}.{c}" for c in v.statics), *age]

    def home_contexts(self) -> list[str]:
        """What the household stage reads."""
        given = [f"{self.labels.top}.{c}" for c in self.variables.given]
        return [*given, "count.all", *(f"count.{role}" for role in self.labels.roles[1:])]

    def static_names(self) -> tuple[str, ...]:
        """Household variables known before the members."""
        return (*self.variables.given, *self.variables.statics)

    def gap_contexts(self, scene: Scene) -> list[str]:
        """What the stages of ages read."""
        v = self.variables
        known = [str(v.age), *v.structure]
        others = [f"{who}.{c}" for who in ("head", "spouse", "previous") for c in known]
        return [
            *context_names(scene, self.static_names(), False),
            ROLE,
            "count.before",
            "count.after",
            *others,
            "age.reference",
        ]

    def attribute_contexts(self, scene: Scene) -> list[str]:
        """What the stage of attributes reads."""
        v = self.variables
        drawn = [*([v.age] if v.age else []), *v.structure]
        names = [*context_names(scene, self.static_names(), True), ROLE, "count.before", "count.after", *drawn]
        names += [f"partner.{c}" for c in drawn]
        names += [f"{who}.{c}" for who in ("head", "spouse", "previous") for c in v.members]
        names += [f"total.{c}" for c in v.attributes if self.member_columns[c].is_numeric]
        names += [f"left.{split.total}" for split in v.splits]
        extra = [c for t in v.texts for c in t.columns if c not in names and c == self.labels.role_col]
        return [*names, *dict.fromkeys(extra)]

    def outcome_contexts(self, scene: Scene) -> list[str]:
        """What the stage of outcomes reads."""
        v = self.variables
        names = context_names(scene, self.static_names(), True)
        names += [f"{who}.{c}" for who in ("head", "spouse") for c in v.members]
        numeric = [c for c in v.attributes if self.member_columns[c].is_numeric]
        return [*names, *(f"{how}.{c}" for c in numeric for how in ("sum", "positive"))]

    # ------------------------------------------------------------------ age groups

    def gap_groups(self, roles: Ints) -> dict[str, NDArray[np.bool_]]:
        """Which stage of ages each member belongs to."""
        if ALL in self.gaps:
            return {ALL: np.ones(len(roles), bool)}
        masks = {COUPLE: np.isin(roles, self.couple)}
        masks |= {name: roles == i for i, r in enumerate(self.labels.roles) if (name := ages_of(r)) in self.gaps}
        masks[OTHERS] = ~np.logical_or.reduce([*masks.values()])
        return {name: mask for name, mask in masks.items() if name in self.gaps or mask.any()}

    def gap_limits(self, scene: Scene, rows: Ints) -> tuple[Floats, Floats]:
        """Least and greatest gap of members: within the ages of the role, in order, and within declared gaps.

        What many members never showed is left out too, where that leaves something.
        """
        reference = scene.of_members("age.reference", rows)
        role = scene.roster.role[rows]
        low, high = reference - self.ages[1, role], reference - self.ages[0, role]
        low = np.where(scene.roster.number[rows] > 0, np.maximum(low, 0.0), low)
        least, most = age_bounds(scene, self.variables.gaps, rows, str(self.variables.age))
        low, high = np.maximum(low, reference - most), np.minimum(high, reference - least)
        high = np.maximum(high, low)
        if self.seen is None:
            return low, high
        least, most = self.seen.limits(scene, rows)
        least, most = np.maximum(low, least), np.minimum(high, most)
        fits = least <= most
        return np.where(fits, least, low), np.where(fits, most, high)

    def shares(self, home: Values, n: int) -> Floats:
        """Probability of each composition of the table for households whose variables are given, float64[n, k]."""
        assert self.by_given is not None
        stage = self.by_given
        values = {c: home[c.partition(".")[2]] for c in stage.conditions} | {COMPOSITION: np.full(n, -1, np.int32)}
        law = ConditionalLaw(stage.model.encoder_, stage.model.ensemble_, values, COMPOSITION, n)
        return np.asarray(law.p[:, : len(self.compositions.counts)])


@dataclass(frozen=True)
class HouseholdReport:
    """What a fit did.

    Attributes
    ----------
    n_households, n_members : int
        Training households of positive weight, and their members.
    n_compositions : int
        Distinct compositions among them.
    change : float
        Probability that a composition is one member away from one of these.
    structure : str
        "model", or "donor" where compositions, ages and static variables are copied from training households.
    stages : mapping of str to FitReport
        What the fit of each stage did.
    rules : tuple of str
        What holds by construction: derived totals, bounds, constraints on a member's row.
    """

    n_households: int
    n_members: int
    n_compositions: int
    change: float
    structure: str
    stages: Mapping[str, FitReport]
    rules: tuple[str, ...]


def report_of(law: HouseholdLaw, n_households: int, n_members: int) -> HouseholdReport:
    """Sum up a fit."""
    v = law.variables
    bounds = [f"{c} >= sum of {' + '.join(v.remainders[c])}" for c in v.remainders if c in v.strict]
    kept = (*v.texts, *v.home_texts, *v.age_texts, *v.gaps, *v.numbers, *v.splits)
    rules = (*map(str, v.derived), *bounds, *map(str, kept))
    table = law.compositions
    return HouseholdReport(
        n_households, n_members, len(table.counts), table.change, "donor" if law.donors else "model",
        {stage.name: stage.model.report_ for stage in law.stages}, rules,
    )  # fmt: skip


def fit_law(
    scene: Scene,
    variables: Variables,
    weights: Floats,
    repeatable: Sequence[int],
    settings: Settings,
    copy_structure: bool,
    update: Update,
) -> HouseholdLaw:
    """Learn the law of households.

    Parameters
    ----------
    scene : Scene
        Training households, whole.
    variables : Variables
        Which variable is drawn when.
    weights : float64[n]
        Survey weights of households, positive.
    repeatable : sequence of int
        Roles that a household may have more than once.
    settings : Settings
        How to fit the stages.
    copy_structure : bool
        Take structure from training households.
    update : callable
        Called with the share of the work done.

    Raises
    ------
    ParameterError
        If structure is to be copied for households whose variables are given.
    """
    v, roster = variables, scene.roster
    roles = scene.labels.roles
    limits = [(tuple(roles.index(r) for r in rule.roles), rule.low, _open(rule.high)) for rule in v.numbers]
    ages = _ages(scene, v.age)
    law = HouseholdLaw(
        scene.labels, v, scene.home_columns, scene.member_columns,
        Compositions.fit(roster.counts, weights, repeatable, limits), tuple(roster.couple),
        age_limits(v.age_texts, ages, roles, str(v.age)) if v.age_texts else ages,
        SeenAges.of(scene, v.age) if v.age else None,
    )  # fmt: skip
    if copy_structure:
        if v.given:
            raise ParameterError(
                f'structure="donor" copies whole households and cannot be given {", ".join(v.given)}; use "model".'
            )
        known = [*([v.age] if v.age else []), *v.structure]
        law = replace(law, donors=Donors.take(scene, weights, v.statics, known))
    else:
        if v.given:
            law = replace(law, by_given=_fit_compositions(law, scene, weights, settings))
        update(0.1, None)
        law = replace(law, home=_fit_home(law, scene, weights, settings))
        update(0.3, None)
        law = replace(law, gaps=_fit_gaps(law, scene, weights, settings))
    update(0.5, None)
    law = replace(law, attributes=_fit_attributes(law, scene, weights, settings))
    update(0.9, None)
    return replace(law, outcomes=_fit_outcomes(law, scene, weights, settings))


def _open(high: float | None) -> float:
    return np.inf if high is None else high


def _ages(scene: Scene, age: str | None) -> Floats:
    """Least and greatest age of each role; all ages for a role that nobody has."""
    n_roles = len(scene.labels.roles)
    if age is None:
        return np.zeros((2, n_roles))
    x = scene.member[age]
    out = np.array([[x.min()] * n_roles, [x.max()] * n_roles])
    for role in range(n_roles):
        own = x[scene.roster.role == role]
        if len(own):
            out[:, role] = own.min(), own.max()
    return out


def _fit_compositions(law: HouseholdLaw, scene: Scene, weights: Floats, settings: Settings) -> Stage:
    rows = law.compositions.find(scene.roster.counts)
    weights = np.where(rows >= 0, weights, 0.0)  # those beyond declared numbers are not in the table
    rows = np.maximum(rows, 0)
    names = [f"{law.labels.top}.{c}" for c in law.variables.given]
    levels = tuple(str(i) for i in range(len(law.compositions.counts)))
    columns = {c: scene.describe(c, scene.of_homes(c)) for c in names}
    columns[COMPOSITION] = Column(COMPOSITION, "categorical", "category", levels=levels)
    values = {c: scene.of_homes(c) for c in names} | {COMPOSITION: rows.astype(np.int32)}
    return Stage.fit("compositions", [COMPOSITION], values, columns, weights, (), names, settings)


def _fit_home(law: HouseholdLaw, scene: Scene, weights: Floats, settings: Settings) -> Stage | None:
    targets = law.home_targets
    if not targets:
        return None
    values = {c: scene.of_homes(c) for c in law.home_contexts()}
    columns = {c: scene.describe(c, x) for c, x in values.items()}
    for name in targets:
        first, _, rest = name.partition(".")
        x = scene.of_homes(name)
        column = law.home_columns[rest] if first == law.labels.top else law.member_columns[rest]
        if rest == law.variables.age and first == "head":
            column = _bounded(column, law.ages[:, 0])
            x = np.clip(x, *law.ages[:, 0])
        values[name], columns[name] = x, replace(column, name=name)
    texts = _settled(law.variables.home_texts, values, targets)
    if law.variables.age:
        texts += _bounds_of_head(law, values)
    return Stage.fit("households", targets, values, columns, weights, texts, (), settings)


def _bounds_of_head(law: HouseholdLaw, values: Values) -> list[Constraint]:
    """Constraints on the age of the head; training households that break them count as ones that just keep them."""
    name, roles = f"head.{law.variables.age}", law.labels.roles
    texts: list[str] = []
    for role, low, high in head_rules(law.variables.gaps, roles, law.ages):
        there = values[f"count.{roles[role]}"] > 0 if role else np.zeros(1, bool)
        if low > high or not there.any():
            continue
        when = f"`count.{roles[role]}` > 0 -> `{name}`"
        texts += [f"{when} >= {low:g}"] if low > law.ages[0, 0] else []
        texts += [f"{when} <= {high:g}"] if high < law.ages[1, 0] else []
        values[name] = np.where(there, np.clip(values[name], low, high), values[name])
    return list(parse(texts))


def _bounded(column: Column, ends: Floats) -> Column:
    """A column of ages within those of a role."""
    low, high = float(ends[0]), float(ends[1])
    codes = {f: c for f in ("top_code", "bottom_code") if (c := getattr(column, f)) is not None and low <= c <= high}
    return replace(
        column, lower=low, upper=high, top_code=codes.get("top_code"), bottom_code=codes.get("bottom_code"),
        atoms=tuple(a for a in column.atoms if low <= a <= high),
    )  # fmt: skip


def ages_of(role: str) -> str:
    """Name of the stage of the ages of a role that has its own."""
    return f"ages of members: {role}"


def _fit_gaps(law: HouseholdLaw, scene: Scene, weights: Floats, settings: Settings) -> dict[str, Stage]:
    if law.variables.age is None:
        return {}
    rows = np.flatnonzero(scene.roster.place > 0)
    couple = np.isin(scene.roster.role[rows], law.couple)
    others = rows[~couple]
    groups = {COUPLE: rows[couple], OTHERS: others}
    if min(len(r) for r in groups.values()) < MIN_GROUP:
        groups = {ALL: rows}
    else:
        # The commonest role, children as a rule, has ages of its own: gaps that no other role blurs.
        roles = scene.roster.role[others]
        most = int(np.bincount(roles).argmax())
        rest = others[roles != most]
        if min(len(rest), len(others) - len(rest)) >= MIN_OWN:
            groups = {COUPLE: groups[COUPLE], ages_of(law.labels.roles[most]): others[roles == most], OTHERS: rest}
    return {name: _fit_gap(law, scene, weights, part, name, settings) for name, part in groups.items() if len(part)}


def _fit_gap(law: HouseholdLaw, scene: Scene, weights: Floats, rows: Ints, name: str, settings: Settings) -> Stage:
    v = law.variables
    values = {c: scene.of_members(c, rows) for c in law.gap_contexts(scene)}
    columns = {c: scene.describe(c, x) for c, x in values.items()}
    low, high = law.gap_limits(scene, rows)
    values |= {c: scene.member[c][rows] for c in v.structure}
    columns |= {c: law.member_columns[c] for c in v.structure}
    gap = scene.of_members("age.reference", rows) - scene.member[str(v.age)][rows]
    # Training rows that break a declared gap are learned from as they are; drawn ones keep to it.
    values |= {GAP: gap, GAP_LOW: np.minimum(low, gap), GAP_HIGH: np.maximum(high, gap)}
    columns |= {c: describe_numbers(c, values[c]) for c in (GAP_LOW, GAP_HIGH, GAP)}
    columns[GAP] = replace(columns[GAP], lower=None, upper=None, top_code=None, bottom_code=None)
    bounds = [f"{GAP} >= `{GAP_LOW}`", f"{GAP} <= `{GAP_HIGH}`"]
    w = weights[scene.roster.household[rows]]
    return Stage.fit(name, [*v.structure, GAP], values, columns, w, bounds, [ROLE], settings)


def _fit_attributes(law: HouseholdLaw, scene: Scene, weights: Floats, settings: Settings) -> Stage | None:
    v = law.variables
    if not v.attributes:
        return None
    rows = np.arange(len(scene.roster.role))
    values = {c: scene.of_members(c, rows) for c in law.attribute_contexts(scene)}
    columns = {c: scene.describe(c, x) for c, x in values.items()}
    columns |= {c: law.member_columns[c] for c in v.members if c in values}
    values |= {c: scene.member[c] for c in v.attributes}
    columns |= {c: law.member_columns[c] for c in v.attributes}
    texts = _settled(v.texts, values, v.attributes)
    keep = [ROLE, *([v.age] if v.age else []), *v.structure, *(f"{law.labels.top}.{c}" for c in law.static_names())]
    keep += [f"left.{split.total}" for split in v.splits]
    w = weights[scene.roster.household]
    return Stage.fit("attributes of members", v.attributes, values, columns, w, texts, keep, settings)


def _settled(texts: Sequence[Constraint], values: Values, attributes: Sequence[str]) -> list[Constraint]:
    """Constraints whose columns are all there and that bind an attribute."""
    return [t for t in texts if set(t.columns) <= values.keys() and set(t.columns) & set(attributes)]


def _fit_outcomes(law: HouseholdLaw, scene: Scene, weights: Floats, settings: Settings) -> Stage | None:
    v = law.variables
    if not v.outcomes:
        return None
    values = {c: scene.of_homes(c) for c in law.outcome_contexts(scene)}
    columns = {c: scene.describe(c, x) for c, x in values.items()}
    targets = []
    for c in v.outcomes:
        name = f"{law.labels.top}.{c}"
        x, column = scene.home[c], replace(law.home_columns[c], name=name)
        if c in v.remainders:
            # Training rows that break a declared bound count as rows that just meet it.
            x = x - member_sums(scene, v.remainders[c])
            x = np.maximum(x, 0.0) if c in v.strict else x
            column = replace(describe_numbers(name, x), dtype=column.dtype, missing=column.missing)
        values[name], columns[name] = x, column
        targets.append(name)
    texts = _settled(v.home_texts, values, targets)
    return Stage.fit("outcomes of households", targets, values, columns, weights, texts, (), settings)


def member_sums(scene: Scene, parts: Sequence[str]) -> Floats:
    """Sum of columns over the members of each household."""
    total = np.zeros(len(scene.roster.counts))
    for part in parts:
        total += scene.of_homes(f"sum.{part}")
    return total


def empty_scene(law: HouseholdLaw, roster: Roster, home: Values) -> Scene:
    """Households whose members are still to be drawn."""
    n = len(roster.role)
    member: Values = {
        c: np.full(n, np.nan) if law.member_columns[c].is_numeric else np.full(n, -1, np.int32)
        for c in law.variables.members
    }
    parts = {split.total: split.parts for split in law.variables.splits}
    return Scene(law.labels, roster, home, member, law.home_columns, law.member_columns, parts)
