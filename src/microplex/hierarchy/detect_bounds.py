"""Inequalities: columns that never exceed others, and totals that hold at least the sum of amounts of members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microplex.hierarchy.detect_evidence import share_above
from microplex.hierarchy.detect_implied import EXPECTED
from microplex.hierarchy.detect_source import Source
from microplex.hierarchy.detect_totals import unit_sum
from microplex.hierarchy.members import PERSON, Floats
from microplex.hierarchy.rules import Linear, LowerBound
from microplex.hierarchy.rules_quantities import TOLERANCE

# Amounts of one kind: shuffled, so many of them would break the inequality.
_COMPARABLE = 0.1
_HOLDS = 0.985
_GLANCE = 4000


def inequalities(source: Source, level: str) -> list[Linear]:
    """Return the pairs of columns of a level of which one never exceeds the other.

    Pairs in which a column would hardly exceed the other if they were shuffled, such as hours and dollars, are left
    out, and those that follow from others.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> rng = np.random.default_rng(0)
    >>> whole = rng.integers(0, 9, 4000)
    >>> frame = pd.DataFrame({"h": range(4000), "part": rng.integers(0, whole + 1), "whole": whole})
    >>> found = inequalities(flat_source(frame, "h", None, None, None, None, 0, "age", ()), "person")
    >>> [str(rule) for rule in found]
    ['part <= whole']
    """
    names = [name for name in source.names(level, numeric=True) if _varies(source, name, level)]
    if level != PERSON and not names:
        return []
    weights = source.row_weight(level)
    below: set[tuple[str, str]] = set()
    for a in names:
        for b in names:
            if a != b and _below(source.column(a, level).values, source.column(b, level).values, weights):
                below.add((a, b))
    both = {pair for pair in below if pair[::-1] in below}
    direct = {(a, b) for a, b in below - both if not any((a, c) in below and (c, b) in below for c in names)}
    return [Linear(((a, 1.0), (b, -1.0))) for a, b in sorted(direct)]


def _varies(source: Source, name: str, level: str) -> bool:
    values = source.column(name, level).values
    return values is not None and bool(np.nanmin(values, initial=0.0) < np.nanmax(values, initial=0.0))


def _below(a: Floats | None, b: Floats | None, weights: Floats) -> bool:
    assert a is not None
    assert b is not None
    if (a[:_GLANCE] > b[:_GLANCE]).mean() > 0.02:
        return False
    known = ~np.isnan(a) & ~np.isnan(b)
    some = known & (a != 0)
    both = some & (b != 0)
    mass = float(weights[some].sum())
    if float(weights[both].sum()) * _COMPARABLE < 1 or float(weights @ (known & (a > b))) > 0.002 * mass:
        return False
    comparable = share_above(a[both], b[both], weights[both])
    return comparable >= _COMPARABLE and comparable * float(weights[both].sum()) >= EXPECTED


def lower_bounds(source: Source, level: str, exact: Sequence[str]) -> list[LowerBound]:
    """Return the columns of a unit that are at least the sum of an amount over its members.

    Parameters
    ----------
    source : Source
    level : str
        The unit.
    exact : sequence of str
        Columns that are sums; they need no bound.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"h": np.arange(2000) // 2, "wage": rng.gamma(2, 900, 2000).round()})
    >>> frame["income"] = (frame["wage"] + rng.gamma(1, 90, 2000).round()).groupby(frame["h"]).transform("sum")
    >>> source = flat_source(frame, "h", None, None, None, None, 0, "age", ())
    >>> [str(rule) for rule in lower_bounds(source, "household", ())]
    ['income >= sum of wage over the persons of a household']
    """
    weights = source.row_weight(level)
    parts = {}
    for name in source.names(PERSON, numeric=True):
        values = source.column(name, PERSON).values
        if values is not None and _varies(source, name, PERSON):
            parts[name] = unit_sum(source, level, values)
    found: list[tuple[str, str, Floats]] = []
    for total in source.names(level, numeric=True):
        if total not in exact:
            values = source.column(total, level).values
            assert values is not None
            found += [(total, part, sums) for part, sums in parts.items() if _holds(values, sums, weights)]
    return [
        LowerBound(total, part, level)
        for total, part, sums in found
        if not any(total == t and part != p and _within(sums, other) for t, p, other in found)
    ]


def _holds(total: Floats, sums: Floats, weights: Floats) -> bool:
    known = ~np.isnan(total) & ~np.isnan(sums)
    said = known & (sums > 0)
    both = said & (total > 0)
    mass = float(weights[said].sum())
    low = total < sums - TOLERANCE * np.maximum(1.0, np.abs(sums))
    if mass * _COMPARABLE < 1 or float(weights @ (said & low)) > (1 - _HOLDS) * mass:
        return False
    comparable = share_above(sums[both], total[both], weights[both])
    return comparable >= _COMPARABLE and comparable * float(weights[both].sum()) >= EXPECTED


def _within(sums: Floats, other: Floats) -> bool:
    """Whether one amount is part of another, so that a bound by the other is the stronger."""
    return bool((sums <= other).all()) and bool((sums < other).any())
