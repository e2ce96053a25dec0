"""Rules between a unit and its members: what follows for members before units are drawn, and for amounts of units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import AllOf, AnyOf, Comparison, Condition, Constraint, Implies, Membership, negate, parse
from microplex.frames import ColumnData
from microplex.hierarchy.members import ROLE
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.rules import Implied
from microplex.hierarchy.rules_conditions import holds
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values
from microplex.hierarchy.units_partition import Kind, Partition
from microplex.hierarchy.units_rules import (
    derived_rules,
    known_members,
    level_rules,
    plain_name,
    renamed_term,
    row_rules,
    unit_constraints,
    unit_members,
)
from microplex.schema import Column

MAX_TOGETHER = 3
BIND = "bind."


@dataclass(frozen=True)
class _Clause:
    """A rule about the role in a unit: one of these roles, or a premise fails, or the conclusion holds."""

    roles: frozenset[int]
    premises: tuple[Condition, ...]
    conclusion: Condition | None


def member_rules(rules: Iterable[Any], kind: Kind, known: Iterable[str]) -> tuple[Constraint, ...]:
    """Return what rules about the role in a unit imply for the rest of a member: else no role would be left.

    Members are drawn before units. Of a set of rules that allow no common role, one must not apply: "age < 18 ->
    tax_role == 'dependant'" and "tax_role == 'dependant' -> pensions == 0" imply "age < 18 -> pensions == 0"
    (resolution on the role; Robinson, 1965).

    Parameters
    ----------
    rules : iterable
        Any rules; those within a member's row that name the role in the unit count.
    kind : Kind
        The units.
    known : iterable of str
        Columns of members that are drawn.

    Examples
    --------
    >>> kind = Kind("tax_unit", "tax_unit_id", ("head", "spouse", "dependant"), "tax_role")
    >>> texts = ["age < 18 -> tax_role == 'dependant'", "tax_role == 'dependant' -> pensions == 0"]
    >>> print(*member_rules(parse(texts), kind, ["age", "pensions"]))
    age < 18 -> pensions == 0
    """
    clauses = [clause for rule in rules for clause in _clauses(rule, kind, {*known, ROLE})]
    found: dict[str, Constraint] = {}
    for size in range(1, min(MAX_TOGETHER, kind.n_roles) + 1):
        for some in combinations(clauses, size):
            smaller = combinations(some, size - 1)
            if _common(some, kind) or any(not _common(part, kind) for part in smaller):
                continue
            text = _resolved(some)
            if text is not None:
                found.setdefault(str(text), text)
    return tuple(found.values())


def _common(clauses: Sequence[_Clause], kind: Kind) -> frozenset[int]:
    return frozenset(range(kind.n_roles)).intersection(*(clause.roles for clause in clauses))


def _clauses(rule: Any, kind: Kind, known: set[str]) -> Iterator[_Clause]:
    for text in parse(str(rule)) if isinstance(rule, Implied) else [rule]:
        if not isinstance(text, Implies) or kind.role_col not in text.columns:
            continue
        if not {*text.columns} <= {*known, kind.role_col}:
            continue
        premises = _parts(text.condition)
        of_role = [part for part in premises if {*part.columns} == {kind.role_col}]
        others = tuple(part for part in premises if kind.role_col not in part.columns)
        ends = text.consequence
        about_role = {*ends.columns} == {kind.role_col}
        if len(of_role) + len(others) < len(premises) or (kind.role_col in ends.columns and not about_role):
            continue
        allowed = _holding([ends], kind) if about_role else np.zeros(kind.n_roles, bool)
        allowed |= ~_holding(of_role, kind)
        if not allowed.all():
            yield _Clause(frozenset(np.flatnonzero(allowed).tolist()), others, None if about_role else ends)


def _holding(conditions: Sequence[Condition], kind: Kind) -> NDArray[np.bool_]:
    """Roles for which all of some conditions hold: bool[n_roles]."""
    roles = ColumnData(ROLE, "string", codes=np.arange(kind.n_roles, dtype=np.int32), levels=kind.roles)
    out = np.ones(kind.n_roles, bool)
    for condition in conditions:
        out &= holds(condition, lambda _: roles)
    return out


def _parts(condition: Condition) -> list[Condition]:
    if isinstance(condition, AllOf):
        return [part for inner in condition.parts for part in _parts(inner)]
    return [condition]


def _resolved(clauses: Sequence[_Clause]) -> Constraint | None:
    """Not all premises hold, or a conclusion does; None where that is always so."""
    premises = list(dict.fromkeys(part for clause in clauses for part in clause.premises))
    ends = list(dict.fromkeys(clause.conclusion for clause in clauses if clause.conclusion is not None))
    last = ends.pop() if ends else negate(premises.pop())
    premises += [part for end in ends for part in _parts(negate(end))]
    if last in premises or negate(last) in premises:
        return None if negate(last) not in premises else last  # type: ignore[return-value]
    if not premises:
        return last if isinstance(last, Comparison | Membership | AnyOf) else None
    return Implies(premises[0] if len(premises) == 1 else AllOf(tuple(premises)), last)


# ------------------------------------------------------------------- amounts of units


def bound_rules(rules: Iterable[Any], scene: Scene, kind: Kind, drawn: Mapping[str, Column]) -> tuple[Implies, ...]:
    """Return the implications between members and drawn amounts of their units, amounts by plain name.

    Parameters
    ----------
    rules : iterable
        Any rules.
    scene : Scene
        Whole households.
    kind : Kind
        The units.
    drawn : mapping of str to Column
        Variables of units that are drawn.
    """
    members = known_members(scene) | ({kind.role_col} if kind.role_col else set())
    names = {c: c for c in drawn if c not in members} | {f"{kind.name}.{c}": c for c in drawn}
    found = []
    for rule in rules:
        for text in parse(str(rule)) if isinstance(rule, Implied) else [rule]:
            if not isinstance(text, Implies):
                continue
            left, right = {*text.condition.columns}, {*text.consequence.columns}
            for own, other in ((left, right), (right, left)):
                if own <= {*names} and other <= members and any(drawn[names[c]].is_numeric for c in own):
                    found.append(text)
                    break
    return tuple(found)


def binds(rules: Sequence[Implies], scene: Scene, kind: Kind, units: Partition, roles: Ints | None) -> Values:
    """Return which units have a member that binds them, for each rule: 0 or 1 by name, float64[n_units]."""
    out: Values = {}
    members = unit_members(scene, kind, units, roles)
    known = known_members(scene) | ({kind.role_col} if kind.role_col else set())
    for place, rule in enumerate(rules):
        if {*rule.condition.columns} <= known:
            rows: NDArray[np.bool_] = holds(rule.condition, members.column)
        else:
            rows = holds(negate(rule.consequence), members.column)
        found = np.zeros(len(units.opener))
        found[units.of[rows]] = 1.0
        out[f"{BIND}{place}"] = found
    return out


def bind_constraints(
    names: Iterable[str], rules: Sequence[Implies], scene: Scene, kind: Kind, drawn: Sequence[str]
) -> list[Constraint]:
    """Return what holds for units that a member binds, for the quantities named."""
    known = known_members(scene) | ({kind.role_col} if kind.role_col else set())
    plain = {name: plain_name(name, kind) for c in drawn for name in (c, f"{kind.name}.{c}")}
    found: list[Constraint] = []
    for name in names:
        if name.startswith(BIND):
            rule = rules[int(name.removeprefix(BIND))]
            ends = rule.consequence if {*rule.condition.columns} <= known else negate(rule.condition)
            found.append(Implies(Membership(name, (1,)), renamed_term(ends, plain)))
    return found


def keeps(rule: Any, scene: Scene, kind: Kind, columns: Mapping[str, Column]) -> bool:
    """Return whether a rule is kept by construction where units are drawn.

    Parameters
    ----------
    rule : rule or constraint
        Any.
    scene : Scene
        Whole households.
    kind : Kind
        The units.
    columns : mapping of str to Column
        Variables of units.
    """
    numeric = [c for c, column in columns.items() if column.is_numeric]
    if any(derived_rules([rule], scene, kind, numeric)) or row_rules([rule], scene, kind):
        return True
    inside = unit_constraints([rule], scene, kind, list(columns), ())
    return bool(inside or level_rules([rule], scene, kind, columns) or bound_rules([rule], scene, kind, columns))
