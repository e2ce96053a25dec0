"""How well a rule is supported: the weighted share of households that obey, its lower bound, and the lift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaincinv
from scipy.stats import binom

from microplex.hierarchy.detect_coded import MOST_MISSING
from microplex.hierarchy.detect_rules import Aggregate, AnyRule, Together
from microplex.hierarchy.detect_source import HOUSEHOLD, Source
from microplex.hierarchy.members import PERSON, Bools, Floats
from microplex.hierarchy.rules import AgeGap, Cardinality, Count, Implied, Linear, LowerBound, Shared, Sum
from microplex.hierarchy.rules_conditions import is_one_of, numbers
from microplex.hierarchy.rules_quantities import unit_values

TAIL = 0.05


@dataclass(frozen=True)
class Evidence:
    """What the data say about a rule.

    Attributes
    ----------
    rate : float
        Weighted share of households that obey it.
    confidence : float
        Lower bound of it: the 5% quantile of Jeffreys' posterior Beta(s + 1/2, f + 1/2), with s and f in effective
        households, so that the scale of weights does not matter.
    support : float
        Effective number of rows about which the rule says something.
    at_risk : float
        The same bound among these rows alone.
    broken : float
        Weighted share of them that break it.
    expected : float
        Share of these rows that would break the rule with its columns shuffled.
    lift : float
        How much rarer breaches are than with shuffled columns: `expected` over ``1 - at_risk``.
    halves : tuple of float
        Share of these rows that obey, in either half of the households.
    half_support : float
        Support in the smaller half.
    """

    rate: float
    confidence: float
    support: float
    at_risk: float
    broken: float
    expected: float
    lift: float
    halves: tuple[float, float]
    half_support: float


def jeffreys_lower(obey: float, n: float, tail: float = TAIL) -> float:
    """Return the lower bound of a share (Brown, Cai and DasGupta, 2001).

    Parameters
    ----------
    obey, n : float
        Successes and trials, whole or effective.
    tail : float
        Chance that the share lies below.

    Returns
    -------
    float
        In [0, 1); 0 without trials.

    Examples
    --------
    >>> round(jeffreys_lower(1180, 1180), 4), round(jeffreys_lower(9, 10), 3)
    (0.9984, 0.669)
    """
    if n <= 0 or obey <= 0:
        return 0.0
    return float(betaincinv(obey + 0.5, max(n - obey, 0.0) + 0.5, tail))


def evidence(source: Source, rule: AnyRule) -> Evidence:
    """Return what the data say about a rule.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> frame = pd.DataFrame({"h": range(400), "age": [9, 40] * 200, "wage": [0, 500] * 200})
    >>> found = evidence(flat_source(frame, "h", None, None, None, None, 0, "age", ()), Implied("age < 15", "wage", 0))
    >>> found.rate, found.support, found.expected
    (1.0, 200.0, 0.5)
    """
    level, broken, said, expected = _look(source, rule)
    weights = source.row_weight(level)
    said = said | broken
    of = source.top_of(level)
    bad = np.zeros(source.top.count, dtype=bool)
    bad[of[broken]] = True
    total = float(source.weight.sum())
    obey = total - float(source.weight[bad].sum())
    mass = weights[said]
    scale = float(mass.sum()) / float(mass @ mass) if mass.size else 1.0
    support = float(mass.sum()) * scale
    failed = float(weights[broken].sum()) * scale
    at_risk = jeffreys_lower(support - failed, support)
    half = source.row_half(level)
    shares, supports = [], []
    for side in (half, ~half):
        among = float(weights[said & side].sum())
        shares.append(1 - float(weights[broken & side].sum()) / among if among else 0.0)
        supports.append(among * scale)
    return Evidence(
        obey / total, jeffreys_lower(obey, total), support, at_risk, failed / support if support else 0.0, expected,
        expected / (1 - at_risk) if at_risk < 1 else np.inf, (shares[0], shares[1]), min(supports),
    )  # fmt: skip


def _look(source: Source, rule: AnyRule) -> tuple[str, Bools, Bools, float]:
    """Return the level of its rows, which break it, of which it says something, and the share shuffled ones break."""
    data = source.members
    broken = np.asarray(rule.violations(data))
    if isinstance(rule, Implied):
        level = source.level_of((*rule.reads, rule.column))
        weights = source.row_weight(level)
        column, rows = source.column(rule.column, level), source.rows(level)
        said, known = rule.applies(data)[rows], ~column.missing
        if float(weights @ (said & ~known)) > MOST_MISSING * float(weights @ said):
            known = np.ones(len(said), dtype=bool)
        fits = float(weights @ is_one_of(column, rule.allowed, str(rule)))
        apart = 1 - fits / max(float(weights @ known), 1e-12)
        return level, broken[rows] & known, said & known, apart
    if isinstance(rule, Cardinality):
        units = data.unit(rule.level, rule)
        every = np.ones(units.count, dtype=bool)
        return rule.level, broken, every, _cardinality_shuffled(source, rule)
    if isinstance(rule, Shared):
        units = data.unit(rule.level, rule)
        several = np.bincount(units.of, minlength=units.count) > 1
        return rule.level, broken, several, _shared_shuffled(source, rule, several)
    if isinstance(rule, AgeGap):
        younger = data.in_roles(rule.younger, rule)
        held = np.zeros(source.top.count, dtype=bool)
        held[source.top.of[data.in_roles(rule.older, rule)]] = True
        said = younger & held[source.top.of]
        return PERSON, broken, said, _gap_shuffled(source, rule, said)
    if isinstance(rule, Together):
        when, then = rule.sides(data)
        said = when | then if rule.both else when
        weights = source.row_weight(rule.level)
        a, b = (float(weights @ side) / float(weights.sum()) for side in (when, then))
        apart = a * (1 - b) + b * (1 - a) if rule.both else 1 - b
        return rule.level, broken, said, apart / (1 - (1 - a) * (1 - b)) if rule.both and a + b else apart
    return _look_amounts(source, rule, broken)


def _look_amounts(source: Source, rule: Any, broken: Bools) -> tuple[str, Bools, Bools, float]:
    data = source.members
    if isinstance(rule, Linear) or (isinstance(rule, Sum | LowerBound) and rule.level == PERSON):
        level = source.level_of((*rule.reads, *rule.writes))
        rows = source.rows(level)
        value = numbers(data.column(rule.writes[0]), str(rule))[rows]
        other = (rule.expected(data) if isinstance(rule, Sum) else rule.bound(data))[rows]
        broken = broken[rows]
    else:
        level = rule.level
        value = unit_values(data, rule.writes[0], level, rule)
        other = rule.bound(data) if isinstance(rule, LowerBound) else rule.expected(data)
    known = ~np.isnan(value) & ~np.isnan(other)
    weights = source.row_weight(level)
    if isinstance(rule, Sum | Count | Aggregate) or (isinstance(rule, Linear) and rule.op == "=="):
        said = known & ((value != 0) | (other != 0))
        return level, broken & known, said, _unequal_shuffled(value[said], other[said], weights[said])
    above = isinstance(rule, LowerBound) or (rule.op == ">=") == (rule.coefficients[0][1] > 0)
    said = known & ((other > 0) if isinstance(rule, LowerBound) else (value != 0) & (other != 0))
    least, most = (other, value) if above else (value, other)
    return level, broken & known, said, share_above(least[said], most[said], weights[said])


def share_above(a: Floats, b: Floats, weights: Floats) -> float:
    """Return the weighted share of pairs, any row of `a` with any of `b`, in which a exceeds b.

    Examples
    --------
    >>> share_above(np.array([1.0, 3.0]), np.array([2.0, 2.0]), np.ones(2))
    0.5
    """
    if not len(a) or not weights.sum():
        return 0.0
    by = np.argsort(b)
    below = np.concatenate([[0.0], np.cumsum(weights[by])])[np.searchsorted(b[by], a, side="left")]
    return float(weights @ below / weights.sum() ** 2)


def _unequal_shuffled(a: Floats, b: Floats, weights: Floats) -> float:
    if not len(a):
        return 0.0
    _, codes = np.unique(np.rint(np.concatenate([a, b]) * 100), return_inverse=True)
    n = int(codes.max()) + 1
    one, two = np.bincount(codes[: len(a)], weights, n), np.bincount(codes[len(a) :], weights, n)
    return 1 - float(one @ two) / float(weights.sum()) ** 2


def _cardinality_shuffled(source: Source, rule: Cardinality) -> float:
    """Return the share of units that break it when roles are dealt out anew among all members."""
    units = source.members.unit(rule.level, rule)
    weights = source.row_weight(PERSON)
    share = float(weights @ source.members.in_roles(rule.roles, rule)) / float(weights.sum())
    mass = np.bincount(np.bincount(units.of, minlength=units.count), source.row_weight(rule.level))
    sizes = np.arange(len(mass))
    high = sizes if rule.high is None else np.full(len(sizes), rule.high)
    within = binom.cdf(high, sizes, share) - (binom.cdf(rule.low - 1, sizes, share) if rule.low else 0.0)
    return float(mass @ (1 - within) / mass.sum())


def _shared_shuffled(source: Source, rule: Shared, several: Bools) -> float:
    units = source.members.unit(rule.level, rule)
    column = source.members.column(rule.column)
    values = column.values if column.values is not None else column.codes
    assert values is not None
    _, codes = np.unique(values, return_inverse=True)
    share = np.bincount(codes, source.row_weight(PERSON))
    share = share / share.sum()
    sizes = np.bincount(units.of, minlength=units.count)[several]
    mass = np.bincount(sizes, source.row_weight(rule.level)[several])
    alike = np.array([float((share**size).sum()) for size in range(len(mass))])
    return 1 - float(mass @ alike) / float(mass.sum()) if mass.sum() else 0.0


def _gap_shuffled(source: Source, rule: AgeGap, said: Bools) -> float:
    """Return the share of pairs, any older with any younger member, out of bounds."""
    age = numbers(source.members.column(rule.column), str(rule))
    older = source.members.in_roles(rule.older, rule) & ~np.isnan(age)
    young = age[said & ~np.isnan(age)]
    old = np.sort(age[older])
    if not len(old) or not len(young):
        return 0.0
    low, high = rule.bounds
    inside = np.searchsorted(old, young + high, side="right") - np.searchsorted(old, young + low, side="left")
    return 1 - float(inside.mean()) / len(old)


__all__ = ["HOUSEHOLD", "TAIL", "Evidence", "evidence", "jeffreys_lower", "share_above"]
