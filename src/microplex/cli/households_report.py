"""The report of ``microplex synthesize-households``, and of the households of the demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microplex.entities import Population
    from microplex.hierarchy.detect_result import DetectedConstraints
    from microplex.metrics.households import HierarchyEvaluation

WEIGHT = "weight"


def write_households(
    file: Path,
    train: Population,
    synthetic: Population,
    unseen: Population | None,
    rules: DetectedConstraints,
    seed: int,
    age_col: str,
) -> HierarchyEvaluation:
    """Write a report of persons and households: against unseen households, else against the training ones.

    Parameters
    ----------
    file : Path
    train, synthetic : Population
    unseen : Population or None
        Real households that the model has not seen.
    rules : DetectedConstraints
        Those that synthetic households must keep.
    seed : int
    age_col : str

    Returns
    -------
    HierarchyEvaluation
    """
    from microplex.metrics.households import evaluate_hierarchy
    from microplex.report import write_report

    real = train if unseen is None else unseen
    found = evaluate_hierarchy(
        real,
        synthetic,
        train=None if unseen is None else train,
        age_col=age_col,
        seed=seed,
        **declared(rules, [group.role_col for group in train.schema.groups[1:]]),
    )
    tables = [flat(population) for population in (real, synthetic, train)]
    schema = train.schema
    plain = [name for name in train.columns()[schema.member.table] if name != schema.member.key]
    write_report(
        file, tables[0], tables[1], (), plain, WEIGHT,
        None if unseen is None else tables[2], None if unseen is None else tables[0],
        households=(found, real, synthetic), title="Synthetic against real households", seed=seed,
        reproduce={"real households": "those of the training file" if unseen is None else "not seen by the model"},
    )  # fmt: skip
    return found


def flat(population: Population) -> Any:
    """Return the members, their roles in words, with the weights of their households, as one table.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> flat(as_population(make_population(3, seed=0)))["relationship"].tolist()[:3]
    ['head', 'head', 'spouse']
    """
    import numpy as np

    from microplex.frames import assign

    top, member = population.schema.top, population.schema.member.name
    added: dict[str, Any] = {WEIGHT: population.weights(member)}
    if top.role_col is not None:
        added[top.role_col] = np.array(top.roles)[population.roles(top.name)]
    return assign(population.table(member), added)


def declared(rules: DetectedConstraints, without: Sequence[str | None] = ()) -> dict[str, Any]:
    """Return rules as `evaluate_hierarchy` takes them: those of a member's row, sums and counts of households.

    Parameters
    ----------
    rules : DetectedConstraints
    without : sequence of str
        Columns of roles in smaller groups, which measures of households do not read.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.hierarchy.detect import detect_constraints
    >>> found = declared(detect_constraints(make_population(2000, seed=0)))
    >>> found["identities"]["n_children"], "age < 15 -> wages == 0" in found["rules"]
    ('count(age < 18)', True)
    """
    from microplex.hierarchy.members import PERSON
    from microplex.hierarchy.rules import Count, LowerBound, Sum

    own = {flat: name for flat, _, name in rules.own_names}
    identities, bounds = {}, {}
    for rule in (*rules.aggregates, *rules.exact):
        # A part of some members only, or under a name that two tables have, has no words in a measure.
        if (
            _reads(rule, without)
            or getattr(rule, "level", PERSON) != "household"
            or any(own.get(name, name) != name for name in rule.reads)
        ):
            continue
        if isinstance(rule, Count):
            identities[own.get(rule.total, rule.total)] = f"count({rule.where})" if rule.where else "count"
        elif isinstance(rule, Sum) and rule.of == PERSON and not rule.per_role:
            identities[own.get(rule.total, rule.total)] = " + ".join(rule.columns)
        elif isinstance(rule, LowerBound):
            bounds[own.get(rule.column, rule.column)] = " + ".join(rule.reads)
    texts = [text for text in rules.row_constraints(PERSON, role_col="role") if not _names(text, without)]
    return {"rules": tuple(texts), "identities": identities, "bounds": bounds}


def _names(text: str, columns: Sequence[str | None]) -> bool:
    """Whether a constraint names one of some columns."""
    from microplex.constraints import parse

    return any(name in columns for constraint in parse(text) for name in constraint.columns)


def _reads(rule: Any, columns: Sequence[str | None]) -> bool:
    """Whether a rule reads one of some columns, or the table of a smaller group."""
    below = getattr(rule, "inner", ()) or getattr(rule, "of", "person") != "person"
    return bool(below) or any(name in columns for name in rule.reads)
