"""Bounds on the age of the member that is drawn: declared gaps, and what many members of a role never showed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.hierarchy.roster import Ints
from microplex.hierarchy.rules import AgeGap
from microplex.hierarchy.scene import Scene

Floats = NDArray[np.float64]
MIN_SEEN = 1000
AFTER = 4


@dataclass(frozen=True, eq=False)
class SeenAges:
    """Ages and gaps that training households showed; where they show few, nothing is ruled out.

    A role is bounded where it has at least `MIN_SEEN` members in that place: what none of these showed has a
    probability below 3 / MIN_SEEN with 95 % confidence (Hanley & Lippman-Hand 1983, the rule of three). So children of
    one household are not all newborn where no two are seen to be of one age.

    Attributes
    ----------
    youngest : float64[n_roles, AFTER]
        Least age, by the number of members of the role that follow (the last number: or more).
    gaps : float64[2, n_roles, 2]
        Least and greatest gap, of the first member to the head, and of later ones to the one before.
    """

    youngest: Floats
    gaps: Floats

    @classmethod
    def of(cls, scene: Scene, age: str) -> SeenAges:
        """Find them in training households."""
        roster, n_roles = scene.roster, len(scene.labels.roles)
        rows = np.flatnonzero(roster.place > 0)
        role, after, later = _places(scene, rows)
        x = scene.member[age][rows]
        gap = scene.of_members("age.reference", rows) - x
        youngest = np.full((n_roles, AFTER), -np.inf)
        gaps = np.stack([np.full((n_roles, 2), -np.inf), np.full((n_roles, 2), np.inf)])
        for r in range(n_roles):
            for k in range(AFTER):
                own = x[(role == r) & (after == k)]
                if len(own) >= MIN_SEEN:
                    youngest[r, k] = own.min()
            for k in range(2):
                own = gap[(role == r) & (later == k)]
                if len(own) >= MIN_SEEN:
                    gaps[:, r, k] = own.min(), own.max()
        return cls(youngest, gaps)

    def limits(self, scene: Scene, rows: Ints) -> tuple[Floats, Floats]:
        """Least and greatest gap of members, infinite where nothing is ruled out."""
        role, after, later = _places(scene, rows)
        low, high = self.gaps[:, role, later]
        return low, np.minimum(high, scene.of_members("age.reference", rows) - self.youngest[role, after])


def _places(scene: Scene, rows: Ints) -> tuple[Ints, Ints, Ints]:
    """Role of members, how many of the role follow, and whether one stands before."""
    roster = scene.roster
    role, number = roster.role[rows], roster.number[rows]
    after = roster.counts[roster.household[rows], role] - number - 1
    return role, np.minimum(after, AFTER - 1), (number > 0).astype(np.int64)


def age_bounds(scene: Scene, rules: Sequence[AgeGap], rows: Ints, age: str) -> tuple[Floats, Floats]:
    """Least and greatest age of members that declared gaps leave, given the members before them.

    Of several roles that may be the older, the head is taken where it is one of them, else the first of them in the
    household; a rule may hold in more ways than that.

    Parameters
    ----------
    scene : Scene
        Households, with the ages of the members before.
    rules : sequence of AgeGap
        The gaps.
    rows : int64[m]
        Members.
    age : str
        Column of the age.
    """
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    roles, roster = scene.labels.roles, scene.roster
    role = roster.role[rows]
    for rule in rules:
        least, most = rule.bounds
        older = [i for i, name in enumerate(roles) if name in rule.older]
        younger = [i for i, name in enumerate(roles) if name in rule.younger]
        first = _first(scene, older)[roster.household[rows]]
        bound = np.isin(role, younger) & (first >= 0) & (first < rows)
        other = scene.member[age][np.maximum(first, 0)]
        low = np.where(bound, np.maximum(low, other - most), low)
        high = np.where(bound, np.minimum(high, other - least), high)
        bound = np.isin(role, older) & (first == rows)
        youngest, eldest = _extremes(scene, younger, rows, age)
        low = np.where(bound & np.isfinite(eldest), np.maximum(low, eldest + least), low)
        high = np.where(bound & np.isfinite(youngest), np.minimum(high, youngest + most), high)
    return low, high


def _first(scene: Scene, roles: Sequence[int]) -> Ints:
    """Row of the first member of some roles in each household, -1 where there is none."""
    found = np.full(len(scene.roster.counts), -1, np.int64)
    rows = np.flatnonzero(np.isin(scene.roster.role, roles))[::-1]
    found[scene.roster.household[rows]] = rows
    return found


def _extremes(scene: Scene, roles: Sequence[int], rows: Ints, age: str) -> tuple[Floats, Floats]:
    """Least and greatest age of the members of some roles before each row; infinite where there is none."""
    roster = scene.roster
    n = len(roster.counts)
    youngest, eldest = np.full(n, np.inf), np.full(n, -np.inf)
    found = np.flatnonzero(np.isin(roster.role, roles))
    place = np.full(n, roster.n_waves)
    place[roster.household[rows]] = roster.place[rows]
    found = found[roster.place[found] < place[roster.household[found]]]
    known = found[~np.isnan(scene.member[age][found])]
    np.minimum.at(youngest, roster.household[known], scene.member[age][known])
    np.maximum.at(eldest, roster.household[known], scene.member[age][known])
    home = roster.household[rows]
    return youngest[home], eldest[home]


def head_rules(rules: Sequence[AgeGap], roles: Sequence[str], ages: Floats) -> list[tuple[int, float, float]]:
    """Bounds on the age of the head where a role is in the household, so that its ages leave room for the gap.

    Returns
    -------
    list of (role, least, greatest)
    """
    head = roles[0]
    found: list[tuple[int, float, float]] = []
    for rule in rules:
        least, most = rule.bounds
        if head in rule.older:
            found += [(i, ages[0, i] + least, ages[1, i] + most) for i, r in enumerate(roles) if r in rule.younger]
        elif head in rule.younger:
            found += [(i, ages[0, i] - most, ages[1, i] - least) for i, r in enumerate(roles) if r in rule.older]
    return [(i, max(low, ages[0, 0]), min(high, ages[1, 0])) for i, low, high in found]
