"""Rules as the stages of a household's law need them: totals to derive, bounds, constraints on a row, gaps of age."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

from microplex.constraints import AllOf, Comparison, Condition, Constraint, Implies, Membership, negate, parse
from microplex.entities import Population
from microplex.errors import ParameterError
from microplex.hierarchy.detect import detect_constraints
from microplex.hierarchy.detect_result import DetectedConstraints
from microplex.hierarchy.detect_rules import Aggregate, Together
from microplex.hierarchy.members import PERSON, ROLE
from microplex.hierarchy.rules import (
    RULES,
    AgeGap,
    Cardinality,
    Count,
    Implied,
    Linear,
    LowerBound,
    Shared,
    Sum,
    rule_from_dict,
)
from microplex.hierarchy.rules_conditions import parse_condition

Total: TypeAlias = Sum | Count | Aggregate


@dataclass(frozen=True)
class Rulebook:
    """Rules by what they are for.

    Attributes
    ----------
    totals : tuple of Sum, Count and Aggregate
        Columns of units that follow from the members.
    bounds : tuple of (LowerBound, bool)
        Columns of units that are at least a sum over the members; whether always, or mostly.
    rows : tuple of constraints
        What holds on the row of a member.
    gaps : tuple of AgeGap
        Bounds on ages.
    numbers : tuple of Cardinality
        Numbers of members in some roles.
    shared : tuple of Shared
        Variables that members have in common.
    declared : bool
        Whether the rules were asked for, rather than detected.
    raw : tuple of rules and constraints
        All of them as they are, for groups below the household.
    """

    totals: tuple[Total, ...] = ()
    bounds: tuple[tuple[LowerBound, bool], ...] = ()
    rows: tuple[Constraint, ...] = ()
    gaps: tuple[AgeGap, ...] = ()
    numbers: tuple[Cardinality, ...] = ()
    shared: tuple[Shared, ...] = ()
    declared: bool = False
    raw: tuple[Any, ...] = ()


def total_column(rule: Total | LowerBound, *levels: str) -> str:
    """Return the column that a rule binds, without the name of its level: ``household.snap`` is ``snap``.

    Parameters
    ----------
    rule : Sum, Count, Aggregate or LowerBound
        The rule.
    *levels : str
        Names of the level.

    Examples
    --------
    >>> total_column(Sum("household.snap", "tax_unit.snap", of="tax_unit"), "household")
    'snap'
    """
    name = rule.column if isinstance(rule, LowerBound) else rule.total
    for level in levels:
        name = name.removeprefix(f"{level}.")
    return name


def read_rules(constraints: Any, population: Population, age: str | None) -> Rulebook:
    """Rules as asked for; those that `detect_constraints` finds to hold exactly if nothing is asked for.

    Parameters
    ----------
    constraints : None, DetectedConstraints, or sequence of rules, texts, constraints and dictionaries
        What must hold.
    population : Population
        Training households.
    age : str or None
        Column of the age.

    Raises
    ------
    ParameterError, ConstraintError
        If a rule cannot be read.
    """
    unique = population.schema.top.unique or ()
    tops = ("household", population.schema.top.name)
    if constraints is None:
        constraints = detect_constraints(population, age_col=age or "age")
    if isinstance(constraints, DetectedConstraints):
        found = constraints
        texts = parse(found.row_constraints(PERSON, role_col=ROLE))
        exact = {id(rule) for rule in found.exact}
        together = [c for rule in found.exact if _is_of(rule, tops) for c in _with_counts(rule, unique)]
        bounds = tuple((rule, id(rule) in exact) for rule in found.lower_bounds)
        gaps = tuple(rule for rule in found.exact if isinstance(rule, AgeGap))
        return Rulebook(tuple(found.aggregates), bounds, (*texts, *together), gaps, raw=tuple(found.exact))
    if isinstance(constraints, (str, Mapping)) or not isinstance(constraints, Iterable):
        raise ParameterError(f"constraints must be a sequence of rules; got {constraints!r}. Write [...] around it.")
    items = [rule_from_dict(item) if isinstance(item, Mapping) else item for item in constraints]
    return _sorted(items, unique, tops)


def _is_of(rule: Any, tops: Sequence[str]) -> TypeGuard[Together]:
    """Whether a rule says what goes together in a household; smaller groups keep theirs themselves."""
    return isinstance(rule, Together) and rule.level in tops


def _sorted(items: Sequence[Any], unique: Sequence[str], tops: Sequence[str]) -> Rulebook:
    kinds = (*RULES.values(), Aggregate, Together)
    rules = [item for item in items if isinstance(item, kinds)]
    texts = parse([item for item in items if not isinstance(item, kinds)])
    rows: list[Constraint] = list(texts)
    for rule in rules:
        if isinstance(rule, Implied | Linear) or (isinstance(rule, Sum | LowerBound) and rule.level == PERSON):
            rows += parse(str(rule))
        elif _is_of(rule, tops):
            rows += _with_counts(rule, unique)
    return Rulebook(
        tuple(r for r in rules if isinstance(r, Total) and r.level != PERSON),
        tuple((r, True) for r in rules if isinstance(r, LowerBound) and r.level != PERSON),
        tuple(rows),
        tuple(r for r in rules if isinstance(r, AgeGap)),
        tuple(r for r in rules if isinstance(r, Cardinality) and r.level in tops),
        tuple(r for r in rules if isinstance(r, Shared) and r.level in tops),
        True,
        (*rules, *texts),
    )


def _with_counts(rule: Together, unique: Sequence[str]) -> list[Constraint]:
    """A rule about two roles as constraints on the member of one, given the number of members of the other.

    "someone is head and married exactly where someone is spouse" says of the head: married where there is a spouse.
    """
    for one, other, forward, backward in (
        (rule.when, rule.then, rule.both, True),
        (rule.then, rule.when, True, rule.both),
    ):
        role, rest = _role_and_rest(parse_condition(one))
        counted, nothing = _role_and_rest(parse_condition(other))
        if role is None or counted is None or not rest or nothing:
            continue
        is_role = Membership(ROLE, (role,))
        there, absent = (parse_condition(f"`count.{counted}` {sign} 0") for sign in (">", "=="))
        what = rest[0] if len(rest) == 1 else AllOf(tuple(rest))
        found: list[Constraint] = []
        if forward and role in unique:
            found.append(Implies(AllOf((is_role, there)), what))
        if backward:
            found.append(Implies(AllOf((is_role, absent)), negate(what)))
        return found
    return []


def _role_and_rest(condition: Condition) -> tuple[str | None, list[Condition]]:
    """The one role that a conjunction asks for, and its other parts."""
    parts = list(condition.parts) if isinstance(condition, AllOf) else [condition]
    role = None
    rest: list[Condition] = []
    for part in parts:
        if isinstance(part, Membership) and part.column == ROLE and len(part.values) == 1 and not part.negated:
            role = str(part.values[0])
        elif isinstance(part, Comparison) and part.columns == (ROLE,) and part.op == "==":
            role = str(part.constant)
        else:
            rest.append(part)
    return role, rest
