"""What must hold within a household, as plain data: shared variables, roles, ages, implied values, sums and bounds.

Every rule says which columns it reads and writes, tells which rows or units break it (``rule.violations(members)``),
reads as a sentence and turns into a plain dictionary. Enforcing them is the business of
`microplex.hierarchy.enforce`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

from microplex.errors import ConstraintError, MicroplexError, near_miss
from microplex.hierarchy.members import Members
from microplex.hierarchy.rules_members import AgeGap, Cardinality, Implied, Shared
from microplex.hierarchy.rules_totals import Count, Linear, LowerBound, Sum

Rule: TypeAlias = Shared | Cardinality | AgeGap | Implied | Sum | Count | Linear | LowerBound
RULES: dict[str, type[Rule]] = {
    kind.__name__: kind for kind in (Shared, Cardinality, AgeGap, Implied, Sum, Count, Linear, LowerBound)
}

__all__ = [
    "RULES",
    "AgeGap",
    "Cardinality",
    "Count",
    "Implied",
    "Linear",
    "LowerBound",
    "Members",
    "Rule",
    "Shared",
    "Sum",
    "rule_from_dict",
    "rule_to_dict",
]


def rule_to_dict(rule: Rule) -> dict[str, Any]:
    """Return a rule as plain values, for YAML; what has its default is left out.

    Examples
    --------
    >>> rule_to_dict(AgeGap("head", "child", low=15))
    {'rule': 'AgeGap', 'older_role': 'head', 'younger_role': 'child', 'low': 15}
    """
    entry: dict[str, Any] = {"rule": type(rule).__name__}
    for field in fields(rule):
        value = getattr(rule, field.name)
        if value == field.default and type(value) is type(field.default):
            continue
        entry[field.name] = _plain(value)
    return entry


def _plain(value: Any) -> Any:
    """Return tuples as lists: pairs too, for their order counts."""
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def rule_from_dict(entry: Mapping[str, Any]) -> Rule:
    """Read what `rule_to_dict` wrote.

    Raises
    ------
    ConstraintError
        If the kind of rule is unknown, or its fields do not fit; the nearest name is offered.

    Examples
    --------
    >>> print(rule_from_dict({"rule": "Cardinality", "role": "head", "low": 1, "high": 1}))
    a household has exactly 1 head
    """
    name = entry.get("rule") if isinstance(entry, Mapping) else None
    if name not in RULES:
        offer = near_miss(name, RULES) if isinstance(name, str) else ""
        raise ConstraintError(f"an entry needs 'rule', one of {', '.join(RULES)}; got {entry!r}.{offer}")
    kind: Any = RULES[name]
    known = [field.name for field in fields(kind)]
    unknown = [key for key in entry if key != "rule" and key not in known]
    if unknown:
        raise ConstraintError(
            f"a rule {name} has no field {unknown[0]!r}.{near_miss(str(unknown[0]), known)} Fields: {', '.join(known)}."
        )
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items() if key != "rule"}
    try:
        rule: Rule = kind(**given)
    except MicroplexError:
        raise
    except (TypeError, ValueError) as error:
        raise ConstraintError(f"a rule {name} does not fit: {error}.") from error
    return rule
