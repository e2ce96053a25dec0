"""Finding the rules that the households of a population obey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from microplex._validation import check_seed
from microplex.entities import Population, as_population
from microplex.entities.schema import CHILDREN, COUPLE
from microplex.errors import MicroplexError, ParameterError
from microplex.frames import Frame, frame_kind
from microplex.hierarchy.detect_bounds import inequalities, lower_bounds
from microplex.hierarchy.detect_coded import Clause, Step
from microplex.hierarchy.detect_evidence import Evidence, evidence
from microplex.hierarchy.detect_implied import AT_RISK, CLEAN, CLEAN_RARER, EXPECTED, EXPECTED_IN_HALF, implied_clauses
from microplex.hierarchy.detect_prune import prune
from microplex.hierarchy.detect_result import DetectedConstraints, Found
from microplex.hierarchy.detect_roles import age_gaps, cardinalities, shared, together
from microplex.hierarchy.detect_rules import Aggregate, AnyRule, Together
from microplex.hierarchy.detect_source import HOUSEHOLD, Source, flat_source, population_source
from microplex.hierarchy.detect_totals import totals
from microplex.hierarchy.members import PERSON
from microplex.hierarchy.rules import AgeGap, Cardinality, Count, Implied, Linear, LowerBound, Shared, Sum

CONFIDENCE = 0.995
# What a soft rule must reach.
_SOFT_RATE = 0.99
_LIFT = 5.0
_IN_HALF = 0.985
_LEAST_HOUSEHOLDS = 4


def detect_constraints(
    population: Population | Frame | Any,
    *,
    household_id: str | None = None,
    relationship: str | None = None,
    roles: Mapping[Any, str] | None = None,
    groups: Mapping[str, str] | None = None,
    weight_col: str | None = None,
    age_col: str = "age",
    ignore: Sequence[str] = (),
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> DetectedConstraints:
    """Find the rules that households obey.

    Sums and counts, within a row, over members and across units; roles that occur once; values that others imply
    (zeros, categories, ages up to which a column has one value); heads and roles that go together; inequalities;
    lower bounds; years between members, as seen; and, in a flat table, the columns that a household shares. What
    follows from other rules is left out.

    Parameters
    ----------
    population : Population, what `as_population` reads, or a data frame of persons
        A frame has a row for each person, with the columns of their household repeated.
    household_id : str, optional
        Of a frame, the column with the household's id; it must be given.
    relationship, roles, groups, weight_col
        Of a frame, as for `enforce_hierarchy`. A household weighs as its members do on average.
    age_col : str
        Column with the age in years. Columns whose name contains "age" as a word are ages too.
    ignore : sequence of str
        Columns of a frame to leave out, such as the person's id.
    confidence : float
        A rule is exact if the lower bound of the share of households that obey it is at least this.
    seed : int
        Seed of the split into halves, keyed by household: it does not depend on the order of rows.

    Returns
    -------
    DetectedConstraints
        `exact` and `soft` rules with their `Evidence`. An exact rule holds in both halves of the households, has
        Jeffreys' bound of at least `confidence` over households (in effective numbers: the scale of weights does not
        matter) and 0.98 over the rows that it speaks of, and at least 18 breaches would be expected if columns were
        shuffled.

    Raises
    ------
    ParameterError
        If a frame comes without `household_id`, `confidence` is not between 0 and 1, or there are fewer than 4
        households.
    ColumnNotFoundError, DataError
        If the data cannot be read.

    Notes
    -----
    A row of weight 3 counts as three rows in all shares. It does not count as three observations in bounds: whether
    households were sampled thrice or weigh three times as much, the bound rests on the effective number of rows given.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> found = detect_constraints(make_population(2000, seed=0))
    >>> print(*(rule for rule in found.aggregates if rule.total.startswith("n_")), sep=chr(10))
    n_dependants == number of persons of a tax_unit with tax_role == 'dependant'
    n_tax_units == number of persons of a household with tax_role == 'head'
    """
    seed = check_seed(seed)
    if not 0 < confidence < 1:
        raise ParameterError(f"confidence must lie between 0 and 1; got {confidence!r}.")
    couple: tuple[str, ...] = COUPLE
    child: tuple[str, ...] = CHILDREN
    flat = household_id is not None
    if flat:
        source = flat_source(
            population, household_id or "", relationship, roles, groups, weight_col, seed, age_col, tuple(ignore)
        )
    else:
        for name, value in (("relationship", relationship), ("groups", groups), ("weight_col", weight_col)):
            if value is not None:
                raise ParameterError(
                    f"{name}= goes with a table of persons and household_id=; a population has its own."
                )
        if not isinstance(population, Population) and _is_frame(population):
            raise ParameterError("a table of persons needs household_id=, the column that tells households apart.")
        tables = as_population(population)
        couple, child = tables.schema.top.couple, tables.schema.top.child
        source = population_source(tables, seed, age_col)
    return _detected(source, flat, age_col, couple, child, confidence)


def _is_frame(data: Any) -> bool:
    try:
        frame_kind(data)
    except MicroplexError:
        return False
    return True


def _detected(
    source: Source, flat: bool, age_col: str, couple: tuple[str, ...], child: tuple[str, ...], confidence: float
) -> DetectedConstraints:
    if source.top.count < _LEAST_HOUSEHOLDS:
        raise ParameterError(
            f"detect_constraints needs at least {_LEAST_HOUSEHOLDS} households, for two halves that check each other; "
            f"got {source.top.count}."
        )
    levels = [*source.within]
    identities = [rule for level in levels for rule in totals(source, level)]
    identities = [rule for rule in identities if _kept(source, rule, confidence)]
    followed = frozenset(rule.total for rule in identities)
    bounds = [rule for level in levels for rule in inequalities(source, level)]
    bounds = [rule for rule in bounds if not _follows(rule, identities) and _kept(source, rule, confidence)]
    least = [rule for level in levels if level != PERSON for rule in lower_bounds(source, level, list(followed))]
    least = [rule for rule in least if not _part_of_bound(rule, least, identities)]
    bounds = [rule for rule in bounds if not _said_of_members(rule, identities, least)]
    quantities = frozenset({name for rule in (*identities, *bounds) for name in (*rule.reads, *rule.writes)})
    quantities -= _named_in_conditions(identities)
    clauses = _clauses(source, levels, quantities, followed, age_col)
    clauses = prune(clauses, [*_zero_steps(bounds, least), *_sum_steps(source, identities)])
    listed: list[AnyRule] = [*(shared(source) if flat else []), *cardinalities(source, couple), *identities]
    listed += [clause.rule for clause in clauses]
    listed += [*together(source, quantities), *bounds, *least, *age_gaps(source, age_col, couple, child)]
    found = [item for rule in dict.fromkeys(listed) if (item := _judged(source, rule, confidence, couple)) is not None]
    names = tuple((flat_name, source.entity[flat_name], own) for flat_name, own in source.own_names.items())
    role_col, codes = source.role_source or (None, ())
    return DetectedConstraints(tuple(found), names, role_col, codes)


def _clauses(
    source: Source, levels: Sequence[str], quantities: frozenset[str], followed: frozenset[str], age_col: str
) -> list[Clause]:
    ages = frozenset(name for name in source.entity if name == age_col or "age" in name.replace(".", "_").split("_"))
    return [c for level in levels for c in implied_clauses(source, level, quantities, ages, followed)]


def _kept(source: Source, rule: AnyRule, confidence: float) -> bool:
    found = _judged(source, rule, confidence)
    return found is not None and found.exact


def _judged(source: Source, rule: AnyRule, confidence: float, couple: tuple[str, ...] = ()) -> Found | None:
    """Return a rule with its evidence, None if chance may explain it or it fails in one half of the households."""
    proof = evidence(source, rule)
    entity = source.level_of((*rule.reads, *rule.writes))
    if not isinstance(rule, Implied | Linear) and getattr(rule, "level", PERSON) != PERSON:
        entity = getattr(rule, "level", entity)
    if isinstance(rule, Cardinality | Shared):
        entity = rule.level
    # Heads, and partners, are expected to be one: what is shown is that they are, not that chance is no reason.
    expected = isinstance(rule, Shared) or (
        isinstance(rule, Cardinality) and (rule.low == 1 or set(rule.roles) <= {*couple})
    )
    if not expected and not _no_chance(proof):
        return None
    if min(proof.halves) < _IN_HALF or proof.rate < _SOFT_RATE:
        return None
    exact = proof.confidence >= confidence and proof.at_risk >= AT_RISK and not isinstance(rule, AgeGap)
    if isinstance(rule, Implied | Together):
        exact = exact and proof.broken <= min(CLEAN, CLEAN_RARER * proof.expected)
    if not exact and isinstance(rule, Implied) and rule.levels:
        return None
    return Found(rule, entity, exact, proof)


def _no_chance(proof: Evidence) -> bool:
    expected = proof.expected * proof.support
    return (
        expected >= EXPECTED
        and proof.expected * proof.half_support >= EXPECTED_IN_HALF
        and (proof.lift >= _LIFT or proof.at_risk >= CONFIDENCE)
    )


def _named_in_conditions(identities: Sequence[Sum | Count | Aggregate]) -> frozenset[str]:
    """Return the columns whose levels are counted: they are categories."""
    return frozenset(name for rule in identities if isinstance(rule, Count) for name in rule.reads)


def _follows(rule: Linear, identities: Sequence[Sum | Count | Aggregate]) -> bool:
    """Whether an inequality says that a part is at most its sum, or compares columns that follow from members."""
    (least, _), (most, _) = rule.coefficients
    if any(r.total == most and isinstance(r, Sum) and least in r.columns and r.level == PERSON for r in identities):
        return True
    return {least, most} <= {r.total for r in identities if r.level != PERSON}


def _part_of_bound(
    rule: LowerBound, least: Sequence[LowerBound], identities: Sequence[Sum | Count | Aggregate]
) -> bool:
    """Whether a lower bound is of a part of an amount that is a lower bound too."""
    wholes = {r.total for r in identities if isinstance(r, Sum) and r.level == PERSON and {*rule.reads} <= {*r.columns}}
    return any(other.column == rule.column and wholes & {*other.reads} for other in least)


def _said_of_members(rule: Linear, identities: Sequence[Sum | Count | Aggregate], least: Sequence[LowerBound]) -> bool:
    """Whether a bound by a total is a bound by the sum over members, which is there too."""
    (total, _), (most, _) = rule.coefficients
    sums = {(r.level, r.columns) for r in identities if isinstance(r, Sum) and r.total == total and not r.per_role}
    return any(bound.column == most and (bound.level, bound.reads) in sums for bound in least)


def _zero_steps(bounds: Sequence[Linear], least: Sequence[LowerBound]) -> list[Step]:
    """Return what inequalities of amounts imply: where the greater is 0, so is the less."""
    zero = frozenset([0])
    pairs = [(a, b) for (a, _), (b, _) in (rule.coefficients for rule in bounds)]
    pairs += [(part, rule.column) for rule in least for part in rule.reads]
    return [(((b, "zero"), zero), ((a, "zero"), zero)) for a, b in pairs]


def _sum_steps(source: Source, identities: Sequence[Sum | Count | Aggregate]) -> list[Step]:
    """Return what sums within a row imply: where all amounts are at least 0 and the sum is 0, so is each."""
    zero = frozenset([0])
    steps: list[Step] = []
    for rule in identities:
        if isinstance(rule, Sum) and rule.level == PERSON:
            level = source.level_of((rule.total, *rule.columns))
            values = [source.column(name, level).values for name in rule.columns]
            if all(v is not None and np.nanmin(v, initial=0.0) >= 0 for v in values):
                steps += [(((rule.total, "zero"), zero), ((name, "zero"), zero)) for name in rule.columns]
    return steps


__all__ = ["CONFIDENCE", "HOUSEHOLD", "LowerBound", "detect_constraints"]
