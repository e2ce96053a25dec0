"""The order in which rules are met, so that one pass is enough, and the rules that cannot hold together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from microplex.constraints import Comparison, Constraint, Implies, Membership, parse
from microplex.constraints import Sum as RowSum
from microplex.errors import ConstraintError, ParameterError, near_miss
from microplex.hierarchy.members import PERSON, ROLE
from microplex.hierarchy.rules import (
    RULES,
    AgeGap,
    Cardinality,
    Count,
    Implied,
    Linear,
    LowerBound,
    Rule,
    Shared,
    Sum,
    rule_from_dict,
)

# Rules that write one column: the later ones keep what the earlier ones made.
_RANK: dict[type, int] = {Cardinality: 0, Shared: 0, AgeGap: 0, Sum: 1, Count: 1, LowerBound: 2, Linear: 2, Implied: 3}
_SPLIT_RANK = 4


@dataclass(frozen=True)
class Step:
    """Rules met together.

    Attributes
    ----------
    rules : tuple of Rule
        One rule, or all on ages.
    reads, writes : tuple of str
        Columns that decide, and that may be changed.
    rank : int
        Place among the steps that write the same column.
    """

    rules: tuple[Rule, ...]
    reads: frozenset[str]
    writes: frozenset[str]
    rank: int

    def __str__(self) -> str:
        return "' and '".join(map(str, self.rules))


def read_rules(constraints: Any) -> tuple[Rule, ...]:
    """Read rules from objects, dictionaries and text; duplicates are left out.

    Raises
    ------
    ConstraintError
        If one cannot be read, or is no rule about members.

    Examples
    --------
    >>> [str(rule) for rule in read_rules(["age < 15 -> wage == 0", Shared("region")])]
    ['age < 15 -> wage == 0', 'region is the same for all in a household']
    """
    listed = [constraints] if isinstance(constraints, (str, Mapping, *RULES.values())) else list(constraints)
    found: list[Rule] = []
    for item in listed:
        if isinstance(item, tuple(RULES.values())):
            found.append(cast(Rule, item))
        elif isinstance(item, Mapping):
            found.append(rule_from_dict(item))
        elif isinstance(item, str):
            found += map(_from_row_rule, parse(item))
        else:
            raise ConstraintError(f"a rule must be text, a dictionary or one of {', '.join(RULES)}; got {item!r}.")
    return tuple(dict.fromkeys(found))


def founding_rules(constraints: Mapping[str, Mapping[str, float]], age_col: str) -> tuple[AgeGap, ...]:
    """Read ``{"spouse_age_diff": {"max": 20}, "child_age": {"max_parent_diff": 18}}``.

    `max_parent_diff` is the least number of years by which a parent is older, whatever its name says.

    Raises
    ------
    ParameterError
        If a key is unknown; the nearest is offered.

    Examples
    --------
    >>> print(*founding_rules({"child_age": {"max_parent_diff": 18}}, "age"))
    a head or spouse or partner is at least 18 years older than each child
    """
    couple = ("spouse", "partner")
    found = []
    for key, entry in constraints.items():
        known = _FOUNDING.get(key)
        if known is None:
            raise ParameterError(_unknown("relationship_constraints", key, _FOUNDING))
        if not isinstance(entry, Mapping) or not entry:
            example = f"{{{known[0]!r}: 20}}"
            raise ParameterError(f"relationship_constraints[{key!r}] must be such as {example}; got {entry!r}.")
        for name, years in entry.items():
            if name not in known:
                raise ParameterError(_unknown(f"relationship_constraints[{key!r}]", name, known))
            if isinstance(years, bool) or not isinstance(years, int | float | np.number) or not np.isfinite(years):
                raise ParameterError(f"relationship_constraints[{key!r}][{name!r}] must be years; got {years!r}.")
            if key == "spouse_age_diff":
                found.append(AgeGap("head", couple, -float(years), float(years), age_col))
            else:
                found.append(AgeGap(("head", *couple), "child", float(years), None, age_col))
    return tuple(found)


_FOUNDING = {"spouse_age_diff": ("max",), "child_age": ("max_parent_diff", "min_parent_diff")}


def plan(rules: Sequence[Rule], relationship: str | None, split: bool, fixed: Iterable[str] = ()) -> tuple[Step, ...]:
    """Order rules by what they read and write, so that no step changes what an earlier one rests on.

    Parameters
    ----------
    rules : sequence of Rule
    relationship : str or None
        Column with the roles.
    split : bool
        Whether totals are split over their parts rather than added up from them.
    fixed : iterable of str
        Columns that no rule may write: ids and weights.

    Returns
    -------
    tuple of Step
        One pass in this order is a fixed point.

    Raises
    ------
    ConstraintError
        If rules contradict each other, or wait for each other in a cycle; they are named.

    Examples
    --------
    >>> rules = [Sum("income", "wage"), Implied("age < 15", "wage", 0), AgeGap("head", "child", low=15)]
    >>> [str(step)[:20] for step in plan(rules, "relationship", split=False)]
    ['a head is at least 1', 'age < 15 -> wage == ', 'income == sum of wag']
    """
    check_compatible(rules, split)
    ages = [rule for rule in rules if isinstance(rule, AgeGap)]
    groups: list[tuple[Rule, ...]] = []
    for rule in rules:
        group = tuple(r for r in ages if r.column == rule.column) if isinstance(rule, AgeGap) else (rule,)
        if group not in groups:
            groups.append(group)
    steps = [_step(group, relationship, split) for group in groups]
    for step in steps:
        for name in sorted(step.writes & set(fixed)):
            raise ConstraintError(f"'{step}' writes column {name!r}, which holds ids or weights and is never changed.")
        if relationship is not None and ROLE in step.writes and not isinstance(step.rules[0], Cardinality):
            raise ConstraintError(f"'{step}' writes roles; only Cardinality(..., otherwise=) changes them.")
    return _sorted(steps)


def check_compatible(rules: Sequence[Rule], split: bool) -> None:
    """Check that no two rules contradict each other.

    Raises
    ------
    ConstraintError
        Two do; both are named.

    Examples
    --------
    >>> check_compatible([Cardinality("head", 1, 1), Cardinality("head", 2)], False)
    Traceback (most recent call last):
    microplex.errors.ConstraintError: contradictory rules: 'a household has exactly 1 head' and \
'a household has at least 2 head' cannot both hold.
    """
    for a, b in itertools.combinations(rules, 2):
        if _contradict(a, b, split):
            raise ConstraintError(f"contradictory rules: '{a}' and '{b}' cannot both hold.")
    _check_ages([rule for rule in rules if isinstance(rule, AgeGap)])


def _contradict(a: Rule, b: Rule, split: bool) -> bool:
    if isinstance(a, Cardinality) and isinstance(b, Cardinality) and (set(a.roles), a.level) == (set(b.roles), b.level):
        return max(a.low, b.low) > min(_limit(a), _limit(b))
    if isinstance(a, Implied) and isinstance(b, Implied) and (a.when, a.column) == (b.when, b.column):
        return not set(a.allowed) & set(b.allowed)
    if isinstance(a, Shared) and isinstance(b, Shared) and (a.column, a.level) == (b.column, b.level):
        return a.source != b.source
    if isinstance(a, Linear) and isinstance(b, Linear):
        return _linear_clash(a, b)
    return _fixes(a, split) is not None and _fixes(a, split) == _fixes(b, split)


def _fixes(rule: Rule, split: bool) -> str | None:
    """Return the column that a rule sets to one number."""
    if isinstance(rule, Sum):
        return None if split else rule.total
    if isinstance(rule, Count):
        return rule.total
    return rule.writes[0] if isinstance(rule, Linear) and rule.op == "==" else None


def _linear_clash(a: Linear, b: Linear) -> bool:
    """Return whether two bounds on multiples of one sum leave no room."""
    names = [name for name, _ in a.coefficients]
    other = dict(b.coefficients)
    if set(names) != set(other):
        return a.op == b.op == "==" and a.writes == b.writes
    ratios = [other[name] / value for name, value in a.coefficients]
    if not np.allclose(ratios, ratios[0], rtol=1e-12, atol=0):
        return a.op == b.op == "==" and a.writes == b.writes
    (low, high), (low_b, high_b) = _range(a.op, a.constant, 1.0), _range(b.op, b.constant, ratios[0])
    return max(low, low_b) > min(high, high_b)


def _range(op: str, constant: float, ratio: float) -> tuple[float, float]:
    value = constant / ratio
    if op == "==":
        return value, value
    return (-np.inf, value) if (op == "<=") == (ratio > 0) else (value, np.inf)


def _limit(rule: Cardinality) -> float:
    return np.inf if rule.high is None else rule.high


def _check_ages(rules: Sequence[AgeGap]) -> None:
    """Look for role pairs whose gaps leave no ages, by shortest paths between single members of each role."""
    edges: dict[tuple[str, str, str], tuple[float, tuple[AgeGap, ...]]] = {}
    roles = sorted({role for rule in rules for role in (*rule.older, *rule.younger)})
    for rule in rules:
        if len(rule.older) > 1:  # one of several older members is enough, so no single pair is bound
            continue
        low, high = rule.bounds
        for young in rule.younger:
            for a, b, most in ((rule.older[0], young, high), (young, rule.older[0], -low)):
                key = (rule.column, a, b)
                if most < edges.get(key, (np.inf,))[0]:
                    edges[key] = most, (rule,)
    for column in {rule.column for rule in rules}:
        for k, i, j in itertools.product(roles, repeat=3):
            first, second = edges.get((column, i, k)), edges.get((column, k, j))
            if first and second and first[0] + second[0] < edges.get((column, i, j), (np.inf,))[0]:
                edges[column, i, j] = first[0] + second[0], tuple(dict.fromkeys(first[1] + second[1]))
        for role in roles:
            cycle = edges.get((column, role, role))
            if cycle and cycle[0] < 0:
                named = "' and '".join(map(str, cycle[1]))
                raise ConstraintError(f"contradictory rules: '{named}' leave no ages for a household with those roles.")


def _step(group: tuple[Rule, ...], relationship: str | None, split: bool) -> Step:
    first = group[0]
    reads = {name for rule in group for name in rule.reads}
    writes = {name for rule in group for name in rule.writes}
    rank = _RANK[type(first)]
    if isinstance(first, Sum) and split:
        reads, writes, rank = {first.total}, set(first.columns), _SPLIT_RANK
        if first.per_role:
            reads.add(ROLE)
    alias = {relationship: ROLE}
    return Step(
        group, frozenset(alias.get(n, n) for n in reads), frozenset(alias.get(n, n) for n in writes), rank
    )  # fmt: skip


def _sorted(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Sort steps so that a column is written before it is read; ties by rank, then as given."""

    def waits(step: Step, other: Step) -> bool:
        both = step.writes & other.writes
        return bool(other.writes & (step.reads - step.writes)) or bool(both and other.rank < step.rank)

    left, out = list(steps), []
    while left:
        ready = [step for step in left if not any(waits(step, other) for other in left if other is not step)]
        if not ready:
            raise ConstraintError(_cycle(left, waits))
        chosen = min(ready, key=lambda step: step.rank)
        left.remove(chosen)
        out.append(chosen)
    return tuple(out)


def _cycle(left: Sequence[Step], waits: Any) -> str:
    """Describe one cycle among steps that wait for each other."""
    path = [left[0]]
    while True:
        following = next(other for other in left if other is not path[-1] and waits(path[-1], other))
        if following in path:
            path = path[path.index(following) :]
            break
        path.append(following)
    links = [
        f"'{step}' reads {', '.join(sorted(step.reads & other.writes or step.writes & other.writes))} of '{other}'"
        for step, other in zip(path, [*path[1:], path[0]], strict=True)
    ]
    return f"rules wait for each other in a cycle: {'; '.join(links)}. Leave one of them out."


def _from_row_rule(rule: Constraint) -> Rule:
    """Turn a constraint of the grammar into a rule about members."""
    if isinstance(rule, RowSum):
        return Sum(rule.total, rule.parts, level=PERSON)
    if isinstance(rule, Comparison) and rule.op in ("<=", ">=", "==") and not isinstance(rule.constant, str):
        return Linear(rule.terms, rule.constant, rule.op)
    if isinstance(rule, Implies) and isinstance(rule.consequence, Membership) and not rule.consequence.negated:
        return Implied(str(rule.condition), rule.consequence.column, levels=rule.consequence.values)
    raise ConstraintError(
        f"'{rule}' cannot be enforced. Text may be 'condition -> column == value', 'a <= b', 'a >= b' or 'a == b + c'."
    )


def _unknown(where: str, key: object, known: Iterable[str]) -> str:
    offer = near_miss(key, known) if isinstance(key, str) else ""
    return f"{where} has no entry {key!r}.{offer} Entries: {', '.join(known)}."


__all__ = ["Step", "check_compatible", "founding_rules", "plan", "read_rules"]
