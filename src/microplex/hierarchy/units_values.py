"""Variables of units: what they are given, and in which order they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.hierarchy.members import ROLE
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values, as_context, at_rows, describe_numbers
from microplex.hierarchy.units_partition import Kind, Partition
from microplex.schema import Column

Floats = NDArray[np.float64]
YOUNG, OLD = 18, 65


@dataclass(eq=False)
class UnitScene:
    """Units whose members are known, and whose variables are known up to some unit of each household.

    Quantities of units have names: ``size``; ``units`` (of the household) and ``place`` (among them);
    ``count.dependant``; ``first.age``, ``partner.age`` and ``first.role`` (of the head of the unit, or who opened it,
    and of the head's partner); ``sum.wages``; ``under18``, ``over64``, ``youngest`` and ``oldest``; ``own.wages`` (a
    variable of the unit that follows from the members); ``before.wages`` (the same of the unit before); and
    quantities of `Scene.of_homes`.

    Parameters
    ----------
    scene : Scene
        Whole households.
    kind : Kind
        What the units are.
    units : Partition
        Who is in which.
    roles : int64[N] or None
        Role of each member in the unit.
    columns : mapping of str to Column
        Variables of units.
    values : dict of arrays
        Those that are known.
    bars : dict of arrays
        Levels that the members rule out: ``bar.2.filing_status`` is 1 where the third level is; and ``bind.0``, 1
        where the first rule between members and amounts applies.
    """

    scene: Scene
    kind: Kind
    units: Partition
    roles: Ints | None
    columns: Mapping[str, Column]
    values: Values
    bars: Values = field(default_factory=dict)
    _people: dict[str, Ints] = field(default_factory=dict)

    def names(self, homes: Sequence[str], derived: Sequence[str], drawn: Sequence[str]) -> list[str]:
        """Quantities that variables may depend on."""
        scene, labels = self.scene, self.scene.labels
        known = ["size", "units", "place", *(f"own.{c}" for c in derived)]
        known += [f"count.{r}" for r in self.kind.roles[1:]]
        known += [f"{who}.{c}" for who in ("first", "partner") for c in scene.member_columns]
        known += ["first.role", *(("under18", "over64", "youngest", "oldest") if labels.age else ())]
        known += [f"sum.{c}" for c, column in scene.member_columns.items() if column.is_numeric and c != labels.age]
        known += [f"before.{c}" for c in drawn]
        known += [*(f"{labels.top}.{c}" for c in homes), *self.bars]
        return [*dict.fromkeys(known)]

    def of(self, name: str, rows: Ints) -> NDArray[Any]:
        """Values of a quantity at some units."""
        first, _, rest = name.partition(".")
        units, scene = self.units, self.scene
        if name == "size":
            return units.sizes[rows].astype(float)
        if name == "units":
            return units.counts[units.home[rows]].astype(float)
        if name == "place":
            return units.place[rows].astype(float)
        if first == "own":
            return self.values[rest][rows]
        if first in ("bar", "bind"):
            return self.bars[name][rows]
        if first == "before":
            return at_rows(self.values[rest], self.columns[rest], np.where(units.place[rows] > 0, rows - 1, -1))
        if first in ("first", "partner"):
            people = self._persons(first)[rows]
            if rest == ROLE and rest not in scene.member_columns:
                roles = scene.roster.role[np.maximum(people, 0)]
                return np.where(people >= 0, roles, len(scene.labels.roles)).astype(np.int32)
            return at_rows(scene.member[rest], scene.member_columns[rest], people)
        if first == scene.labels.top:
            return scene.of_homes(name)[units.home[rows]]
        return self._over_members(first, rest)[rows]

    def _over_members(self, first: str, rest: str) -> Floats:
        units, member, n = self.units, self.scene.member, len(self.units.opener)
        if first == "count":
            assert self.roles is not None
            weight = (self.roles == self.kind.roles.index(rest)).astype(float)
        elif first == "sum":
            weight = np.nan_to_num(member[rest])
        else:
            age = member[str(self.scene.labels.age)]
            if first in ("youngest", "oldest"):
                out = np.full(n, np.inf if first == "youngest" else -np.inf)
                (np.minimum if first == "youngest" else np.maximum).at(out, units.of, age)
                return out
            weight = (age < YOUNG if first == "under18" else age >= OLD).astype(float)
        return np.bincount(units.of, weight, n).astype(np.float64)

    def _persons(self, who: str) -> Ints:
        if who not in self._people:
            found = self.units.opener if who == "first" else np.full(len(self.units.opener), -1, np.int64)
            if self.roles is not None:
                found = self.units.with_role(self.roles, (0,) if who == "first" else self.kind.couple)
            self._people[who] = found
        return self._people[who]

    def describe(self, name: str, values: NDArray[Any]) -> Column:
        """What a quantity is, as a condition."""
        first, _, rest = name.partition(".")
        if first in ("first", "partner"):
            if rest == ROLE and rest not in self.scene.member_columns:
                return Column(name, "categorical", "category", levels=self.scene.labels.roles, missing="level")
            return as_context(self.scene.member_columns[rest], name)
        if first in ("own", "before"):
            return as_context(self.columns[rest], name)
        if first == self.scene.labels.top:
            return self.scene.describe(name, values)
        return describe_numbers(name, values)
