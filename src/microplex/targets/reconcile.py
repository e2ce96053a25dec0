"""Totals of several levels of geography made to agree with those of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from microplex._validation import check_columns
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import Frame, Level, column_names
from microplex.targets.forms import items
from microplex.targets.target import Target, match_key, plain_level

Key: TypeAlias = "tuple[bool, Level]"
Cell: TypeAlias = frozenset[tuple[str, Any]]  # (column, key of the category) pairs
Parents: TypeAlias = dict[str, dict[Key, Key]]  # column -> category -> category of the other level


def reconcile(targets: Sequence[Target], to: str, crosswalk: Frame | None) -> list[Target]:
    """Return targets whose totals agree with those by `to`; see `TargetSet.reconcile`."""
    columns = sorted({name for target in targets for name in target.by})
    if to not in columns:
        raise ParameterError(
            f"reconcile: no target is by {to!r}.{near_miss(to, columns)} There are {', '.join(columns) or 'none'}."
        )
    finer, coarser = _levels(targets, to, columns, crosswalk)
    families: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, target in enumerate(targets):
        if target.statistic == "total":
            families[target.entity, target.variable, target.where].append(i)
    found: dict[int, float] = {}
    for places in families.values():
        family = _Family(to, finer, coarser)
        for i in places:
            family.add(i, targets[i])
        found |= family.totals()
    return [replace(target, total=found[i]) if i in found else target for i, target in enumerate(targets)]


@dataclass(eq=False)
class _Family:
    """Totals of one variable, sorted by level."""

    to: str
    finer: Parents
    coarser: Parents
    kept: dict[tuple[Cell, Key], float] = field(default_factory=dict)  # (other columns, area) -> total
    areas: dict[Cell, list[tuple[Key, float]]] = field(default_factory=lambda: defaultdict(list))
    below: list[tuple[int, Target, str]] = field(default_factory=list)
    above: list[tuple[int, Target]] = field(default_factory=list)

    def add(self, i: int, target: Target) -> None:
        inner = [name for name in target.by if name in self.finer]
        if inner:
            self.below.append((i, target, inner[0]))
        elif self.to in target.by:
            rest, area = _cell(target, without=(self.to,)), match_key(target.by[self.to])
            self.kept[rest, area] = target.total
            self.areas[rest].append((area, target.total))
        else:
            self.above.append((i, target))

    def totals(self) -> dict[int, float]:
        """Return the new totals of other levels."""
        return self._below() | self._above()

    def _below(self) -> dict[int, float]:
        """Scale the finer areas of each area to its total, or by the factor of all its finer areas."""
        parts: dict[tuple[str, Cell, Key], list[tuple[int, Target]]] = defaultdict(list)
        for i, target, column in self.below:
            area = self.finer[column].get(match_key(target.by[column]))
            if area is not None:
                parts[column, _cell(target, without=(self.to, *self.finer)), area].append((i, target))
        factors = {
            (column, rest, area): _factor(self.kept[rest, area], members, self.to)
            for (column, rest, area), members in parts.items()
            if (rest, area) in self.kept
        }
        new: dict[int, float] = {}
        for (column, rest, area), members in parts.items():
            factor = factors.get((column, rest, area), factors.get((column, frozenset(), area), 1.0))
            new |= {i: target.total * factor for i, target in members}
        return new

    def _above(self) -> dict[int, float]:
        """Replace sums over areas by what the areas add up to, and scale what has no such sum with them."""
        sums: dict[Cell, float] = {}
        factors: dict[Cell, float] = {}
        for i, target in self.above:
            cell = _cell(target)
            if parts := self._parts(target):
                sums[cell] = sum(parts)
                if not _cell(target, without=self.coarser):
                    factors[cell] = _factor(sums[cell], [(i, target)], self.to)
        new: dict[int, float] = {}
        for i, target in self.above:
            cell = _cell(target)
            outside = frozenset(pair for pair in cell if pair[0] in self.coarser)
            new[i] = sums.get(cell, target.total * factors.get(outside, 1.0))
        return new

    def _parts(self, target: Target) -> list[float]:
        """Return the totals by area that a total is the sum of."""
        outer = [name for name in target.by if name in self.coarser]
        areas = self.areas.get(_cell(target, without=outer), [])
        return [
            total
            for area, total in areas
            if all(self.coarser[name].get(area) == match_key(target.by[name]) for name in outer)
        ]


def _factor(wanted: float, members: Sequence[tuple[int, Target]], where: str) -> float:
    present = sum(target.total for _, target in members)
    if present == wanted:
        return 1.0
    if present == 0:
        raise DataError(
            f"reconcile: {members[0][1].name!r} and {len(members) - 1} more add up to 0 and cannot be scaled to "
            f"{wanted:.10g} of {where}."
        )
    return wanted / present


def _cell(target: Target, without: Iterable[str] = ()) -> Cell:
    return frozenset((name, match_key(level)) for name, level in target.by.items() if name not in set(without))


def _levels(targets: Sequence[Target], to: str, columns: list[str], crosswalk: Frame | None) -> tuple[Parents, Parents]:
    """Return the area of each finer category, and the coarser category of each area."""
    pairs: dict[str, set[tuple[Key, Key]]] = defaultdict(set)
    for target in targets:
        for name in target.by:
            if name != to and to in target.by:
                pairs[name].add((match_key(target.by[name]), match_key(target.by[to])))
    finer, coarser = _maps(pairs, only_finer=True)
    if crosswalk is not None:
        check_columns(column_names(crosswalk), [to], "crosswalk")
        areas = items(crosswalk, to)
        linked: dict[str, set[tuple[Key, Key]]] = {}
        for name in set(columns) & set(column_names(crosswalk)) - {to}:
            linked[name] = {
                (match_key(plain_level(value, name)), match_key(plain_level(area, to)))
                for value, area in zip(items(crosswalk, name), areas, strict=True)
                if value is not None and area is not None
            }
        more_finer, more_coarser = _maps(linked, only_finer=False)
        finer, coarser = finer | more_finer, coarser | more_coarser
    return finer, coarser


def _maps(pairs: dict[str, set[tuple[Key, Key]]], only_finer: bool) -> tuple[Parents, Parents]:
    """Tell finer columns (each category in one area, several to an area) from coarser ones.

    Targets alone show a finer column only where there are several areas: those of one state by age look the same as
    those by county.
    """
    finer: Parents = {}
    coarser: Parents = {}
    for name, links in pairs.items():
        down, up = dict(links), {area: value for value, area in links}
        if len(down) == len(links) and len(up) < len(down) and (len(up) > 1 or not only_finer):
            finer[name] = down
        elif len(up) == len(links) and not only_finer:
            coarser[name] = up
    return finer, coarser
