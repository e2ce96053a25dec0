"""What a stage sees: quantities of a household and of the members that were drawn before, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.hierarchy.members import ROLE
from microplex.hierarchy.roster import Ints, Roster
from microplex.hierarchy.stage import Values, as_context, at_rows, describe_numbers
from microplex.schema import Column

Floats = NDArray[np.float64]
AGES = {"age.under6": (0.0, 6.0), "age.under18": (0.0, 18.0), "age.over64": (65.0, np.inf)}


@dataclass(frozen=True, eq=False)
class Labels:
    """Names that depend on the population: of the top group, of its roles, of the columns of role and age.

    Parameters
    ----------
    top : str
        Such as ``"household"``.
    roles : tuple of str
        In canonical order.
    role_col : str
        Column of the role.
    age : str or None
        Column of the age.
    """

    top: str
    roles: tuple[str, ...]
    role_col: str
    age: str | None


@dataclass(eq=False)
class Scene:
    """Households whose members are known up to some stage.

    Any quantity has a name: ``household.tenure``; a member's own columns; ``head.age``, ``spouse.age`` and
    ``previous.age`` (of the head, of the head's partner and of the member of the same role before, where they come
    before the member, else absent); ``total.wages`` (sum over the members before); ``count.all``, ``count.child``,
    ``count.before`` (members the member among those of the role), ``count.after`` (those after it);
    ``age.youngest`` and ``age.under18`` once ages are known. For a household: ``head.age``, ``spouse.age``,
    ``sum.wages``, ``positive.wages`` (members with more than 0).

    Parameters
    ----------
    labels : Labels
        Names.
    roster : Roster
        Who is in which household.
    home : dict of arrays, each of n
        Columns of households.
    member : dict of arrays, each of N
        Columns of members, in the order of the roster.
    home_columns, member_columns : mapping of str to Column
        What they are.
    parts : mapping of str to tuple of str
        Given household variables that members' columns add up to; ``left.income`` is what is left for a member and
        those after it.
    """

    labels: Labels
    roster: Roster
    home: Values
    member: Values
    home_columns: Mapping[str, Column]
    member_columns: Mapping[str, Column]
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _totals: dict[str, Floats] = field(default_factory=dict)

    def of_some(self, homes: Ints) -> Scene:
        """Some of the households."""
        rows = self.roster.rows_of(homes)
        return Scene(
            self.labels, Roster(self.roster.counts[homes], self.roster.couple),
            {c: x[homes] for c, x in self.home.items()}, {c: x[rows] for c, x in self.member.items()},
            self.home_columns, self.member_columns, self.parts,
        )  # fmt: skip

    # ------------------------------------------------------------- quantities of members

    def of_members(self, name: str, rows: Ints) -> NDArray[Any]:
        """Values of a quantity at rows of members."""
        roster, labels = self.roster, self.labels
        home = roster.household[rows]
        if name in self.member:
            return self.member[name][rows]
        if name in (ROLE, labels.role_col):
            return roster.role[rows].astype(np.int32)
        first, _, rest = name.partition(".")
        if first == labels.top and rest in self.home:
            return self.home[rest][home]
        if first == "total":
            return self._before(rest, rows)
        if first == "left":
            return np.asarray(self.home[rest][home] - sum(self._before(part, rows) for part in self.parts[rest]))
        others = {"head": self._head, "spouse": self._spouse, "previous": self._previous, "partner": self._partner}
        if first in others and rest in self.member_columns:
            return at_rows(self.member[rest], self.member_columns[rest], others[first](rows))
        if name == "count.before":
            return roster.number[rows].astype(float)
        if name == "count.after":
            return (roster.counts[home, roster.role[rows]] - roster.number[rows] - 1).astype(float)
        if name == "age.reference":
            return self._reference(rows)
        return self.of_homes(name)[home]

    def _head(self, rows: Ints) -> Ints:
        head = self.roster.head[self.roster.household[rows]]
        return np.where(head == rows, -1, head)

    def _spouse(self, rows: Ints) -> Ints:
        return np.asarray(self.roster.earlier_spouse[rows])

    def _previous(self, rows: Ints) -> Ints:
        return np.asarray(self.roster.previous[rows])

    def _partner(self, rows: Ints) -> Ints:
        """The partner of heads, whose age and sex are known before the rest of the head is."""
        return np.where(self.roster.place[rows] == 0, self.roster.spouse[self.roster.household[rows]], -1)

    def _reference(self, rows: Ints) -> Floats:
        """Age that the gap of a member is counted from: of the previous of the role, else of the head."""
        age = self.member[str(self.labels.age)]
        before = self.roster.previous[rows]
        head = self.roster.head[self.roster.household[rows]]
        return np.asarray(age[np.where(before >= 0, before, head)])

    def _before(self, name: str, rows: Ints) -> Floats:
        """Sum over the members before; what `note` has added up, or all at once where all members are known."""
        if name in self._totals:
            return self._totals[name][self.roster.household[rows]]
        x = np.nan_to_num(self.member[name])
        upto = np.concatenate([[0.0], np.cumsum(x)])
        return np.asarray(upto[rows] - upto[self.roster.starts[self.roster.household[rows]]])

    def track(self, names: Iterable[str]) -> None:
        """Start running totals of columns, for generation."""
        for name in names:
            self._totals[name] = np.zeros(len(self.roster.counts))

    def note(self, rows: Ints) -> None:
        """Add members that have been drawn to the running totals."""
        for name, total in self._totals.items():
            total[self.roster.household[rows]] += np.nan_to_num(self.member[name][rows])

    # ---------------------------------------------------------- quantities of households

    def of_homes(self, name: str) -> NDArray[Any]:
        """Values of a quantity of all households."""
        roster, labels = self.roster, self.labels
        first, _, rest = name.partition(".")
        if first == labels.top and rest in self.home:
            return self.home[rest]
        if name == "count.all":
            return roster.sizes.astype(float)
        if first == "count":
            return roster.counts[:, labels.roles.index(rest)].astype(float)
        if first in ("head", "spouse") and rest in self.member_columns:
            rows = roster.head if first == "head" else roster.spouse
            return at_rows(self.member[rest], self.member_columns[rest], rows)
        if first == "sum":
            return self._add(np.nan_to_num(self.member[rest]))
        if first == "positive":
            return self._add(np.nan_to_num(self.member[rest]) > 0)
        if name in AGES:
            low, high = AGES[name]
            age = self.member[str(labels.age)]
            return self._add((age >= low) & (age < high))
        if name in ("age.youngest", "age.oldest"):
            reduce = np.minimum if name == "age.youngest" else np.maximum
            return np.asarray(reduce.reduceat(self.member[str(labels.age)], roster.starts))
        raise KeyError(name)

    def _add(self, x: NDArray[Any]) -> Floats:
        return np.asarray(np.add.reduceat(x.astype(float), self.roster.starts))

    # ------------------------------------------------------------------- descriptions

    def describe(self, name: str, values: NDArray[Any]) -> Column:
        """What a quantity is, as a condition."""
        first, _, rest = name.partition(".")
        if name in (ROLE, self.labels.role_col):
            return Column(name, "categorical", "category", levels=self.labels.roles)
        if name in self.member_columns:
            return as_context(self.member_columns[name], name)
        if first == self.labels.top and rest in self.home_columns:
            return as_context(self.home_columns[rest], name)
        if first in ("head", "spouse", "previous", "partner") and rest in self.member_columns:
            return as_context(self.member_columns[rest], name)
        return describe_numbers(name, values)


def context_names(scene: Scene, statics: tuple[str, ...], with_ages: bool) -> list[str]:
    """Quantities of households that every stage may read."""
    labels = scene.labels
    names = [f"{labels.top}.{c}" for c in statics]
    names += ["count.all", *(f"count.{role}" for role in labels.roles[1:])]
    return names + ([*AGES, "age.youngest", "age.oldest"] if with_ages and labels.age else [])
