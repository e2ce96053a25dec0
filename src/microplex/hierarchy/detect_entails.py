"""Whether a rule follows from others: conditions as sets of cells that the values named by rules cut out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from microplex.constraints import AllOf, AnyOf, Comparison, Condition, Membership
from microplex.hierarchy.detect_coded import Key, Step
from microplex.hierarchy.detect_prune import follows
from microplex.hierarchy.detect_rules import AnyRule, Together
from microplex.hierarchy.rules import Cardinality, Implied, Linear, LowerBound, Sum
from microplex.hierarchy.rules_conditions import parse_condition

_HOLDS = {
    "<": lambda x, c: x < c,
    "<=": lambda x, c: x <= c,
    ">": lambda x, c: x > c,
    ">=": lambda x, c: x >= c,
}


def entails(rules: Iterable[AnyRule], rule: AnyRule) -> bool:
    """Return whether a rule is among others or follows from them.

    Implied values are followed through others, either way round, and through the zeros that inequalities and sums of
    amounts of at least 0 imply. A smaller range of numbers of members implies a larger one. Other rules must be
    there as they are.

    Parameters
    ----------
    rules : iterable of rules
    rule : rule

    Examples
    --------
    >>> known = [Implied("age < 15", "weeks", 0), Implied("weeks == 0", "wage", 0)]
    >>> entails(known, Implied("age < 12", "wage", 0)), entails(known, Implied("wage == 0", "weeks", 0))
    (True, False)
    """
    listed = list(rules)
    if rule in listed:
        return True
    if isinstance(rule, Cardinality):
        return any(_within(other, rule) for other in listed if isinstance(other, Cardinality))
    if isinstance(rule, Sum):
        return any(_same_sum(rule, other) for other in listed if isinstance(other, Sum))
    if isinstance(rule, Together):
        return any(_together(rule, other) for other in listed if isinstance(other, Together))
    if not isinstance(rule, Implied):
        return False
    known = [pair for other in listed for pair in _conditions(other)]
    wanted = _conditions(rule)[0]
    cells = _cells([*known, wanted])
    steps = [step for pair in known if (step := _step(pair, cells)) is not None]
    goal = _step(wanted, cells)
    return goal is not None and follows(goal, steps, {name: frozenset(range(len(v))) for name, v in cells.items()})


def _within(other: Cardinality, rule: Cardinality) -> bool:
    if other.level != rule.level or not set(rule.roles) <= set(other.roles):
        return False
    least = other.low if set(rule.roles) == set(other.roles) else 0
    most = float("inf") if rule.high is None else rule.high
    return least >= rule.low and other.high is not None and other.high <= most


def _same_sum(rule: Sum, other: Sum) -> bool:
    return (
        (rule.total, rule.level, rule.of, rule.per_role) == (other.total, other.level, other.of, other.per_role)
        and set(rule.columns) == set(other.columns)
    )  # fmt: skip


def _together(rule: Together, other: Together) -> bool:
    if rule.level != other.level:
        return False
    straight = (rule.when, rule.then) == (other.when, other.then)
    turned = (rule.then, rule.when) == (other.when, other.then)
    return (straight or turned) if other.both else straight and not rule.both


def _conditions(rule: AnyRule) -> list[tuple[Condition, Condition]]:
    """Return implications of conditions that a rule states."""
    if isinstance(rule, Implied):
        return [(parse_condition(rule.when), Membership(rule.column, rule.allowed))]
    if isinstance(rule, Linear) and rule.op == "<=" and rule.constant == 0:
        terms = rule.coefficients
        if len(terms) == 2 and terms[0][1] == 1 and terms[1][1] == -1:
            return [(Membership(terms[1][0], (0,)), Membership(terms[0][0], (0,)))]
    if isinstance(rule, Sum) and rule.level == rule.of:
        return [(Membership(rule.total, (0,)), Membership(part, (0,))) for part in rule.columns]
    if isinstance(rule, LowerBound) and rule.level == "person":
        return [(Membership(rule.column, (0,)), Membership(part, (0,))) for part in rule.reads]
    return []


def _cells(pairs: Sequence[tuple[Condition, Condition]]) -> dict[Key, list[Any]]:
    """Return the values that conditions name, and points between and beyond them, by column."""
    named: dict[str, set[Any]] = {}
    for pair in pairs:
        for condition in pair:
            for column, value in _constants(condition):
                named.setdefault(column, set()).add(value)
    cells: dict[Key, list[Any]] = {}
    for column, values in named.items():
        numbers = sorted(float(v) for v in values if not isinstance(v, str))
        between = [(a + b) / 2 for a, b in itertools.pairwise(numbers)]
        beyond = [numbers[0] - 1, numbers[-1] + 1] if numbers else []
        text: list[Any] = [v for v in values if isinstance(v, str)]
        # Besides the texts that are named there are others; numbers are covered by the points between and beyond.
        cells[column, ""] = [*numbers, *between, *beyond, *sorted(text), *([None] if text else [])]
    return cells


def _constants(condition: Condition) -> Iterable[tuple[str, Any]]:
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from _constants(part)
    elif isinstance(condition, Membership):
        for value in condition.values:
            yield condition.column, value
    elif len(condition.terms) == 1:
        yield condition.columns[0], condition.constant


def _step(pair: tuple[Condition, Condition], cells: Mapping[Key, list[Any]]) -> Step | None:
    sides = [_places(condition, cells) for condition in pair]
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])


def _places(condition: Condition, cells: Mapping[Key, list[Any]]) -> tuple[Key, frozenset[int]] | None:
    """Return the cells in which a condition on one column holds."""
    if isinstance(condition, AllOf | AnyOf):
        return None
    if isinstance(condition, Membership):
        key = (condition.column, "")
        inside = {float(v) if not isinstance(v, str) else v for v in condition.values}
        found = [i for i, v in enumerate(cells[key]) if v is not None and (v in inside) != condition.negated]
        return key, frozenset(found)
    if not isinstance(condition, Comparison) or len(condition.terms) != 1 or isinstance(condition.constant, str):
        return None
    (name, factor), test = condition.terms[0], _HOLDS.get(condition.op)
    if factor != 1 or test is None:
        return None
    constant, key = condition.constant, (name, "")
    return key, frozenset(i for i, v in enumerate(cells[key]) if isinstance(v, float) and test(v, constant))
