"""Roles: how many of each a household has, who lives with whom, and the years between members."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from microplex.constraints import AllOf, Membership
from microplex.hierarchy.detect_coded import Coded, coded_columns
from microplex.hierarchy.detect_implied import EXPECTED, RARER
from microplex.hierarchy.detect_rules import Together
from microplex.hierarchy.detect_source import HOUSEHOLD, Source
from microplex.hierarchy.members import PERSON, ROLE, Floats, Ints
from microplex.hierarchy.rules import AgeGap, Cardinality, Shared
from microplex.hierarchy.rules_conditions import parse_condition
from microplex.hierarchy.rules_quantities import per_unit

_OFF = 0.005
_MOST_ROLES = 12
# Of a gap's least and greatest years, so many of its pairs may lie outside.
_OUTSIDE = 0.001
_LEAST_PAIRS = 60


def shared(source: Source) -> list[Shared]:
    """Return the columns of a flat table that all members of a unit share.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> frame = pd.DataFrame({"h": [1, 1, 2, 2, 3, 4], "rent": [5, 5, 9, 9, 5, 9], "age": [40, 9, 30, 31, 5, 7]})
    >>> [str(rule) for rule in shared(flat_source(frame, "h", None, None, None, None, 0, "age", ()))]
    ['rent is the same for all in a household']
    """
    return [Shared(name, level=entity) for name, entity in source.entity.items() if entity != PERSON]


def cardinalities(source: Source, couple: tuple[str, ...] = ()) -> list[Cardinality]:
    """Return how often roles occur: exactly or at most once, alone or as one of several.

    Parameters
    ----------
    source : Source
    couple : tuple of str
        Roles of partners: that there is at most one of them is expected, and needs no proof against chance.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> frame = pd.DataFrame({"h": np.arange(300) // 3, "r": ["head", "spouse", "child"] * 100})
    >>> for rule in cardinalities(flat_source(frame, "h", "r", None, None, None, 0, "age", ())):
    ...     print(rule)
    a household has exactly 1 head
    a household has exactly 1 spouse
    a household has exactly 1 child
    """
    if source.members.roles is None:
        return []
    units, weights = source.top, source.row_weight(HOUSEHOLD)
    total = float(weights.sum())
    counts: dict[str, Any] = {}
    for place in np.unique(source.members.roles):
        counts[source.members.role_names[place]] = np.bincount(units.of, source.members.roles == place, units.count)

    def rare(wrong: np.ndarray) -> bool:
        return float(weights @ wrong) <= _OFF * total

    once = [role for role, n in counts.items() if rare(n > 1)][:_MOST_ROLES]
    exactly = [role for role in once if rare(counts[role] != 1)]
    found = [Cardinality(role, 1, 1) for role in exactly]
    found += _exactly_one_of([role for role in once if role not in exactly], counts, rare)
    covered = {role for rule in found for role in rule.roles}
    partners = tuple(role for role in once if role in couple and role not in covered)
    if len(partners) > 1 and rare(np.sum([counts[role] for role in partners], axis=0) > 1):
        found.append(Cardinality(partners, 0, 1))
        covered.update(partners)
    return found + [Cardinality(role, 0, 1) for role in once if role not in covered]


def _exactly_one_of(roles: list[str], counts: dict[str, Any], rare: object) -> list[Cardinality]:
    """Return the fewest roles of which every household has one."""
    assert callable(rare)
    for size in range(2, len(roles) + 1):
        for group in itertools.combinations(roles, size):
            if rare(np.sum([counts[role] for role in group], axis=0) != 1):
                return [Cardinality(group, 1, 1)]
    return []


def together(source: Source, quantities: frozenset[str]) -> list[Together]:
    """Return the levels of heads, and of units, that go with a role in the unit.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> frame = pd.DataFrame({"h": [*range(99), *range(50)], "r": ["head"] * 99 + ["spouse"] * 50})
    >>> frame["m"] = ["married"] * 50 + ["single", "widowed", "single"] * 16 + ["single"] + ["of a head"] * 50
    >>> for rule in together(flat_source(frame, "h", "r", None, None, None, 0, "age", ()), frozenset()):
    ...     print(rule)
    a household has someone with role == 'head' and m == 'married' exactly where it has someone with role == 'spouse'
    """
    found: list[Together] = []
    for level, role in source.role_cols.items():
        column = source.column(role, PERSON)
        if column.codes is None:
            continue
        units = source.members.units[level]
        weights = source.row_weight(level)
        present = {place: per_unit(column.codes == place, units) for place in range(len(column.levels))}
        shares = {place: float(weights @ held) / float(weights.sum()) for place, held in present.items()}
        head = next((place for place, share in shares.items() if share > 1 - _OFF), None)
        roles = {p: held for p, held in present.items() if 0 < shares[p] <= 1 - _OFF}
        for column_of, head_role in _candidates(source, level, role, head, quantities):
            met = {place: _met(source, level, column_of, place, head_role) for place in column_of.known}
            for place, held in roles.items():
                other = str(Membership(role, (column.levels[place],)))
                for places, one_way in _pairs(column_of, met, held, weights):
                    condition = _condition_text(column_of, places, head_role)
                    if one_way == "back":
                        found.append(Together(other, condition, False, level))
                    else:
                        found.append(Together(condition, other, one_way == "both", level))
    return found


_Head: TypeAlias = tuple[Membership, np.ndarray] | None


def _candidates(
    source: Source, level: str, role: str, head: int | None, quantities: frozenset[str]
) -> Iterator[tuple[Coded, _Head]]:
    """Yield columns of the unit, and those of its head with who that is."""
    for column in _nominal(source, level, quantities):
        yield column, None
    roles = source.column(role, PERSON)
    if head is None or roles.codes is None:
        return
    who = (Membership(role, (roles.levels[head],)), roles.codes == head)
    for column in _nominal(source, PERSON, quantities):
        if column.name not in (role, ROLE, *source.role_cols.values()):
            yield column, who


def _met(source: Source, level: str, column: Coded, place: int, head: _Head) -> np.ndarray:
    """Return which units, or heads of units, have a level of a column: bool[n_units]."""
    if head is None:
        return np.asarray(column.codes == place)
    return per_unit(head[1] & (column.codes == place), source.members.units[level])


def _condition_text(column: Coded, places: Sequence[int], head: _Head) -> str:
    text = column.text(places)
    return text if head is None else str(AllOf((head[0], parse_condition(text))))


def _pairs(
    column: Coded, met: Mapping[int, np.ndarray], held: np.ndarray, weights: Floats
) -> Iterator[tuple[list[int], str]]:
    """Yield the levels of a column that go with a role, all together if that is where the role is."""
    total, b = float(weights.sum()), float(weights @ held)
    forth = [place for place, units in met.items() if _goes(units, held, weights)]
    if forth and len(forth) < len(column.known):
        union = np.logical_or.reduce([met[place] for place in forth])
        yield forth, "both" if _goes(held, union, weights) else "forth"
    for place, units in met.items():
        if place not in forth and b * (1 - float(weights @ units) / total) >= EXPECTED and _goes(held, units, weights):
            yield [place], "back"


def _goes(a: np.ndarray, b: np.ndarray, weights: Floats) -> bool:
    """Whether units with the one have the other, and by chance would not."""
    mass, by_chance = float(weights @ a), float(weights @ a) * (1 - float(weights @ b) / float(weights.sum()))
    alone = float(weights @ (a & ~b))
    return by_chance >= EXPECTED and alone <= min(_OFF * mass, RARER * by_chance)


def _nominal(source: Source, level: str, quantities: frozenset[str]) -> list[Coded]:
    found = source.once(("nominal", level), lambda: coded_columns(source, level, quantities, frozenset()))
    return [column for column in found if column.kind == "nominal" and column.entity == level]


def age_gaps(source: Source, age_col: str, couple: tuple[str, ...], child: tuple[str, ...]) -> list[AgeGap]:
    """Return the least and greatest years between the head and each role, as seen.

    Partners of the head count as parents of children. These are bounds of what was seen, not rules.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> frame = pd.DataFrame({"h": np.arange(400) // 2, "r": ["head", "child"] * 200})
    >>> frame["age"] = [age for i in range(200) for age in (20 + i % 60, i % 60 + i % 3)]
    >>> for rule in age_gaps(flat_source(frame, "h", "r", None, None, None, 0, "age", ()), "age", (), ("child",)):
    ...     print(rule)
    a head is at least 18 years older than each child
    """
    members = source.members
    if members.roles is None or source.entity.get(age_col) != PERSON:
        return []
    age = source.numbers(age_col, PERSON)
    head = members.role_codes(members.role_names[:1])
    if age is None or not head or not (members.roles == head[0]).any():
        return []
    found: list[AgeGap] = []
    name = members.role_names[0]
    for place in np.unique(members.roles):
        role = members.role_names[place]
        if role == name:
            continue
        old = (name, *(r for r in couple if r in members.role_names)) if role in child else (name,)
        gaps, weights = _gaps(source, age, members.role_codes(old), int(place))
        if len(gaps) >= _LEAST_PAIRS:
            low, high = _weighted_ends(gaps, weights)
            found.append(AgeGap(old, role, low, None if role in child else high, age_col))
    return found


def _gaps(source: Source, age: Floats, old: list[int], young: int) -> tuple[Floats, Floats]:
    """Return the years from the oldest of some roles to each member of another."""
    roles, units = source.members.roles, source.top
    assert roles is not None
    most = np.full(units.count, -np.inf)
    older = np.isin(roles, old) & ~np.isnan(age)
    np.maximum.at(most, units.of[older], age[older])
    rows: Ints = np.flatnonzero((roles == young) & ~np.isnan(age))
    rows = rows[np.isfinite(most[units.of[rows]])]
    return most[units.of[rows]] - age[rows], source.row_weight(PERSON)[rows]


def _weighted_ends(values: Floats, weights: Floats) -> tuple[float, float]:
    by = np.argsort(values)
    mass = np.cumsum(weights[by]) / weights.sum()
    low = values[by][int(np.searchsorted(mass, _OUTSIDE, side="right"))]
    high = values[by][min(int(np.searchsorted(mass, 1 - _OUTSIDE, side="left")), len(values) - 1)]
    return float(np.floor(low)), float(np.ceil(high))
