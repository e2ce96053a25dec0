"""Rules about units: which roles a member may have in one, which of their variables follow from the members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import AllOf, AnyOf, Comparison, Constraint, Implies, Membership, negate, parse
from microplex.constraints import Sum as RowSum
from microplex.errors import DataError
from microplex.frames import ColumnData
from microplex.hierarchy.detect_rules import Aggregate, Together
from microplex.hierarchy.members import PERSON, ROLE, Members, Units
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.rules import Count, Implied, Linear, Sum
from microplex.hierarchy.rules_conditions import holds
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values
from microplex.hierarchy.units_partition import Kind, Partition
from microplex.schema import Column

Bools = NDArray[np.bool_]
Derived: TypeAlias = Sum | Count | Aggregate
RowRule: TypeAlias = Implied | Constraint
LevelRule: TypeAlias = Together | RowRule


def plain_name(name: str, kind: Kind) -> str:
    """Return the name of a unit's column without the name of the unit.

    Examples
    --------
    >>> plain_name("tax_unit.wages", Kind("tax_unit", "tax_unit_id"))
    'wages'
    """
    return name.removeprefix(f"{kind.name}.")


def known_members(scene: Scene) -> set[str]:
    """Names that a rule may use for what is known of members."""
    return {*scene.member_columns, ROLE, scene.labels.role_col}


def row_rules(rules: Iterable[Any], scene: Scene, kind: Kind) -> tuple[RowRule, ...]:
    """Return the rules that bind the role of a member in the unit to the rest of the member."""
    known = {*known_members(scene), kind.role_col}
    found: list[RowRule] = []
    for rule in rules:
        if isinstance(rule, Implied):
            columns = {*rule.reads, *rule.writes}
        elif isinstance(rule, Comparison | Membership | AnyOf | Implies):
            columns = set(rule.columns)
        else:
            continue
        if kind.role_col in columns and columns <= known:
            found.append(rule)
    return tuple(found)


def check_kept(rules: Iterable[LevelRule], members: Members, kind: Kind) -> None:
    """Check that training members and their units keep rules, as those within other rows must hold there.

    Raises
    ------
    DataError
        If one is broken; of rules that contradict each other, one is.
    """
    for rule in rules:
        together = isinstance(rule, Together)
        broken = rule.violations(members) if isinstance(rule, Together) else _broken(rule, members)
        wrong = np.flatnonzero(broken)
        if len(wrong):
            shown = "" if together else ", ".join(_shown(members.column(c), c, wrong[0]) for c in _columns_of(rule))
            raise DataError(
                f"rule '{rule}' is broken by {len(wrong)} of {len(broken)} training "
                f"{kind.name + ' rows' if together else 'members'} ({len(wrong) / len(broken):.1%})"
                f"{', such as one with ' + shown if shown else ''}. Repair or drop these rows, or leave the rule out."
            )


def _shown(column: ColumnData, name: str, row: int) -> str:
    if column.codes is None:
        assert column.values is not None
        return f"{name} {column.values[row]:g}"
    code = column.codes[row]
    return f"{name} {column.levels[code]!r}" if code >= 0 else f"{name} missing"


def broken_rules(rules: Sequence[RowRule], scene: Scene, kind: Kind) -> Ints:
    """Return how many rules each role in a unit would break for each member: int64[N, n_roles]."""
    out = np.zeros((len(scene.roster.role), kind.n_roles), np.int64)
    for role in range(kind.n_roles if rules else 0):
        members = unit_members(scene, kind, None, np.full(len(out), role))
        for rule in rules:
            out[:, role] += _broken(rule, members)
    return out


def _broken(rule: RowRule, members: Members) -> Bools:
    if isinstance(rule, Implied):
        return np.asarray(rule.violations(members))
    if isinstance(rule, Implies):
        return holds(rule.condition, members.column) & holds(negate(rule.consequence), members.column)
    assert isinstance(rule, Comparison | Membership | AnyOf)
    return holds(negate(rule), members.column)


def derived_rules(
    rules: Iterable[Any], scene: Scene, kind: Kind, available: Sequence[str]
) -> tuple[tuple[Derived, ...], tuple[Derived, ...]]:
    """Return the rules that give variables of units: those of members alone, and those of drawn variables too.

    Parameters
    ----------
    rules : iterable
        Any rules.
    scene : Scene
        Whole households.
    kind : Kind
        The units.
    available : sequence of str
        Variables of the units.
    """
    asked: dict[str, Derived] = {}
    for rule in rules:
        if not isinstance(rule, Sum | Count | Aggregate) or rule.level != kind.name:
            continue
        if (isinstance(rule, Aggregate) and rule.inner) or (isinstance(rule, Sum) and rule.of != PERSON):
            continue
        name = plain_name(rule.total, kind)
        if name in available and name not in asked:
            asked[name] = rule
    members = {*known_members(scene), *([kind.role_col] if kind.role_col else ())}
    known = {
        *members,
        *(c for c in available if c not in asked),
        *(f"{kind.name}.{c}" for c in available if c not in asked),
    }
    before: list[Derived] = []
    after: list[Derived] = []
    for have, found in ((members, before), (known, after)):
        for name, rule in list(asked.items()):
            if set(rule.reads) <= have:
                found.append(rule)
                del asked[name]
    return tuple(before), tuple(after)


def derive(
    rules: Sequence[Derived],
    scene: Scene,
    kind: Kind,
    units: Partition,
    roles: Ints | None,
    values: Values,
    columns: Mapping[str, Column],
) -> Values:
    """Return the variables of units that follow from rules, by plain name: float64[n_units] each."""  # fmt: skip
    members = unit_members(scene, kind, units, roles, values, columns)
    return {plain_name(rule.total, kind): rule.expected(members) for rule in rules}


def level_rules(rules: Iterable[Any], scene: Scene, kind: Kind, drawn: Mapping[str, Column]) -> tuple[LevelRule, ...]:
    """Return the rules that bind one drawn variable of units that has levels to the members of the unit."""
    members = {*known_members(scene), kind.role_col}
    found: list[LevelRule] = []
    for rule in rules:
        if isinstance(rule, Together) and rule.level == kind.name:
            columns = set(rule.reads)
        elif isinstance(rule, Implied):
            columns = {*rule.reads, *rule.writes}
        elif isinstance(rule, Comparison | Membership | AnyOf | Implies):
            columns = set(rule.columns)
        else:
            continue
        own = {plain_name(c, kind) for c in columns - members}
        if len(own) == 1 and columns & members and all(c in drawn and not drawn[c].is_numeric for c in own):
            found.append(rule)
    return tuple(found)


def barred(
    rules: Sequence[LevelRule],
    scene: Scene,
    kind: Kind,
    units: Partition,
    roles: Ints | None,
    values: Values,
    columns: Mapping[str, Column],
    drawn: Sequence[str],
) -> Values:
    """Return which levels of variables the members of a unit rule out: 0 or 1 by name, float64[n_units].

    Where they rule out all levels of a variable, none is barred.
    """  # fmt: skip
    out: Values = {}
    n = len(units.opener)
    for c in drawn:
        own = [rule for rule in rules if c in {plain_name(name, kind) for name in _columns_of(rule)}]
        if not own:
            continue
        bars = np.zeros((n, len(columns[c].levels)), bool)
        for level in range(bars.shape[1]):
            trial = values | {c: np.full(n, level, np.int32)}
            members = unit_members(scene, kind, units, roles, trial, columns)
            for rule in own:
                if isinstance(rule, Together):
                    bars[:, level] |= rule.violations(members)
                else:
                    bars[units.of[_broken(rule, members)], level] = True
        bars[bars.all(axis=1)] = False
        out |= {bar_name(c, level): bars[:, level].astype(float) for level in range(bars.shape[1])}
    return out


def bar_name(column: str, level: int) -> str:
    """Return the name of the quantity that says whether a level is barred.

    Examples
    --------
    >>> bar_name("filing_status", 2)
    'bar.2.filing_status'
    """
    return f"bar.{level}.{column}"


def _columns_of(rule: LevelRule) -> tuple[str, ...]:
    return (*rule.reads, *rule.writes) if isinstance(rule, Together | Implied) else rule.columns


def bar_constraints(names: Iterable[str], columns: Mapping[str, Column]) -> list[Constraint]:
    """Return constraints that keep barred levels from being drawn, for the quantities named."""
    found: list[Constraint] = []
    for name in names:
        if name.startswith("bar."):
            _, level, column = name.split(".", 2)
            value = columns[column].levels[int(level)]
            found.append(Implies(Comparison(((name, 1.0),), "==", 1.0), Membership(column, (value,), negated=True)))
    return found


def unit_constraints(
    rules: Iterable[Any], scene: Scene, kind: Kind, drawn: Sequence[str], derived: Sequence[str]
) -> list[Constraint]:
    """Return what holds within the row of a unit and binds a drawn variable, in the names of the stage."""
    members = known_members(scene) | ({kind.role_col} if kind.role_col else set())
    names = {c: c for c in drawn} | {c: f"own.{c}" for c in derived}
    names = {c: to for c, to in names.items() if c not in members} | {f"{kind.name}.{c}": to for c, to in names.items()}
    found: list[Constraint] = []
    for rule in rules:
        for text in parse(str(rule)) if isinstance(rule, Implied | Linear) else [rule]:
            if isinstance(text, Comparison | Membership | AnyOf | Implies | RowSum):
                columns = {names.get(c) for c in text.columns}
                if None not in columns and columns & {*drawn}:
                    found.append(renamed_term(text, names))
    return found


def renamed_term(term: Any, names: Mapping[str, str]) -> Any:
    """Return a constraint or condition in other names.

    Examples
    --------
    >>> print(renamed_term(parse("snap <= due")[0], {"snap": "paid", "due": "entitled"}))
    paid <= entitled
    """
    if isinstance(term, Comparison):
        return Comparison(tuple((names[c], factor) for c, factor in term.terms), term.op, term.constant)
    if isinstance(term, Membership):
        return Membership(names[term.column], term.values, term.negated)
    if isinstance(term, AllOf | AnyOf):
        return type(term)(tuple(renamed_term(part, names) for part in term.parts))
    if isinstance(term, Implies):
        return Implies(renamed_term(term.condition, names), renamed_term(term.consequence, names))
    return RowSum(names[term.total], tuple(names[c] for c in term.parts))


def unit_members(
    scene: Scene,
    kind: Kind,
    units: Partition | None,
    roles: Ints | None,
    values: Values | None = None,
    columns: Mapping[str, Column] | None = None,
) -> Members:
    """Return the members of a scene as rules see them, with their units."""  # fmt: skip
    roster, labels = scene.roster, scene.labels
    n = len(roster.role)
    numbers = np.arange(n, dtype=float)

    def lookup(name: str) -> ColumnData:
        if name == kind.role_col and roles is not None:
            return ColumnData(name, "category", codes=roles.astype(np.int32), levels=kind.roles)
        if name in scene.member:
            return as_data(name, scene.member[name], scene.member_columns[name])
        plain = plain_name(name, kind)
        assert units is not None
        assert values is not None
        assert columns is not None
        return as_data(name, values[plain][units.of], columns[plain])

    found = {labels.top: Units(roster.household, roster.starts, ColumnData(labels.top, "int", values=numbers))}
    if units is not None:
        found[kind.name] = Units(units.of, units.opener, ColumnData(kind.name, "int", values=numbers))
    return Members(
        n, found, lookup, roster.role.astype(np.int64), labels.roles, np.ones(n), labels.age or "age",
        (ROLE, labels.role_col),
    )  # fmt: skip


def as_data(name: str, x: NDArray[Any], column: Column) -> ColumnData:
    """Return an array of numbers or codes as a column that was read.

    Examples
    --------
    >>> as_data("sex", np.array([1, 2]), Column("sex", "categorical", "string", levels=("f", "m"))).codes.tolist()
    [1, -1]
    """
    if column.is_numeric:
        return ColumnData(name, column.dtype, values=np.asarray(x, float))
    codes = np.where((x < 0) | (x >= len(column.levels)), -1, x).astype(np.int32)
    return ColumnData(name, column.dtype, codes=codes, levels=column.levels, ordered=column.kind == "ordinal")
