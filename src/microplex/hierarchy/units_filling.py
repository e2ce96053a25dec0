"""Filling units member by member: what is known when a member's turn comes, and what the member may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.hierarchy.members import ROLE
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.scene import Scene, context_names
from microplex.hierarchy.stage import as_context, at_rows, describe_numbers
from microplex.hierarchy.units_partition import Kind, Partition
from microplex.schema import Column

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NEW, JOIN = -1, 0
SHOWN = 4


@dataclass(frozen=True)
class Choices:
    """What a member can do: open a unit or join one, in some role.

    Parameters
    ----------
    unit : tuple of int
        For each choice, the number of the unit within the household; -1 for a new one. Where a rule says who is
        with whom, all joining is 0.
    role : tuple of int
        Role in the unit; 0 where there are none.
    ruled : bool
        Whether a rule says who is with whom.
    """

    unit: tuple[int, ...]
    role: tuple[int, ...]
    ruled: bool = False

    @classmethod
    def seen(cls, units: Partition, roles: Ints, kind: Kind, ruled: bool) -> Choices:
        """Return the choices that were made in training, and those that must be possible to end well."""
        codes = np.where(units.opens, NEW, JOIN if ruled else units.local)
        pairs = {(int(u), int(r)) for u, r in np.unique(np.column_stack([codes, roles]), axis=0)}
        joined = sorted({u for u, _ in pairs if u != NEW})
        if any(r != 0 for u, r in pairs if u == NEW):
            # Whoever opens a unit without heading it must find the head later.
            pairs |= {(u, 0) for u in joined}
        if ruled:
            pairs |= {(u, r) for u in (NEW, JOIN) for r in range(kind.n_roles) if u == NEW or r not in kind.unique}
        ordered = sorted(pairs)
        return cls(tuple(u for u, _ in ordered), tuple(r for _, r in ordered), ruled)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the choices."""
        return tuple(f"{'new' if u == NEW else u} {r}" for u, r in zip(self.unit, self.role, strict=True))

    def find(self, units: Partition, roles: Ints) -> Ints:
        """Return the choice that each member made, -1 for one that is not among them: int64[N]."""
        codes = np.where(units.opens, NEW, JOIN if self.ruled else units.local)
        out = np.full(len(codes), -1, np.int64)
        for i, (u, r) in enumerate(zip(self.unit, self.role, strict=True)):
            out[(codes == u) & (roles == r)] = i
        return out


@dataclass(eq=False)
class Filling:
    """Units of households as far as they are filled.

    Quantities of members have names besides those of `Scene`: ``units.opened``; ``units.previous`` (number of the unit
    of the member of the same role before) and ``role.previous`` (role in it); ``last.age`` (of who opened the last
    unit); ``opener1.age``, ``opener1.role``; ``filled0.size`` and ``filled0.spouse`` (members in a unit, by role).

    Parameters
    ----------
    scene : Scene
        Whole households.
    kind : Kind
        The units.
    choices : Choices
        What members can do.
    broken : int64[N, n_roles]
        How many rules each role in a unit would break for each member.
    given : Partition or None
        Who is with whom, where a rule says so.
    """

    scene: Scene
    kind: Kind
    choices: Choices
    broken: Ints
    given: Partition | None = None
    local: Ints = field(init=False)
    role: Ints = field(init=False)
    opened: Ints = field(init=False)
    opener: Ints = field(init=False)
    filled: Ints = field(init=False)

    def __post_init__(self) -> None:
        roster = self.scene.roster
        n, widest = len(roster.counts), max(1, roster.n_waves)
        self.local = np.full(len(roster.role), -1, np.int64)
        self.role = np.full(len(roster.role), -1, np.int64)
        self.opened = np.zeros(n, np.int64)
        self.opener = np.full((n, widest), -1, np.int64)
        self.filled = np.zeros((n, widest, self.kind.n_roles), np.int32)

    # ------------------------------------------------------------------ what is possible

    def possible(self, rows: Ints, ends: bool = True) -> Bools:
        """Return which choices the members of one wave have: bool[n, n_choices].

        Parameters
        ----------
        rows : int64[n]
            The members.
        ends : bool
            Whether a member without any choice is an error; what is scored may have come to a dead end.

        Raises
        ------
        DataError
            If a rule puts a member where no role is left.
        """
        structural = self._structural(rows)
        # Where the rules on a member leave nothing, what a unit is comes first; then as few as possible are broken.
        broken = np.where(structural, self.broken[rows][:, list(self.choices.role)], np.iinfo(np.int64).max)
        out = structural & (broken == broken.min(axis=1, keepdims=True))
        stuck = np.flatnonzero(~out.any(axis=1))
        if len(stuck) and ends:
            home = int(self.scene.roster.household[rows[stuck[0]]])
            raise DataError(
                f"member {int(self.scene.roster.place[rows[stuck[0]]])} of household {home} can have no role in the "
                f"{self.kind.name} that the rule gives: the roles left are taken. Roles: {', '.join(self.kind.roles)}."
            )
        return np.asarray(out, bool)

    def _structural(self, rows: Ints) -> Bools:
        """Choices that leave every unit with one head, and unique roles at most once."""
        kind, homes = self.kind, self.scene.roster.household[rows]
        opened, out = self.opened[homes], np.zeros((len(rows), len(self.choices.unit)), bool)
        headless, remaining = self._headless(homes), self._remaining(rows)
        local = None if self.given is None else self.given.local[rows]
        for i, (unit, role) in enumerate(zip(self.choices.unit, self.choices.role, strict=True)):
            if unit == NEW:
                fits = np.ones(len(rows), bool) if local is None else local == opened
                after = headless + (role != 0)
                if role != 0 and local is None:
                    fits &= self._can_find_head(opened)
            else:
                at = np.full(len(rows), unit) if local is None else local
                fits = at < opened
                seated = self.filled[homes, np.minimum(at, self.filled.shape[1] - 1)]
                after = headless - ((role == 0) & (seated[:, 0] == 0))
                if role in kind.unique:
                    fits &= seated[:, role] == 0
            out[:, i] = fits & self._ends_well(after, remaining, rows, role, local)
        return out

    def _headless(self, homes: Ints) -> Ints:
        if not self.kind.roles:
            return np.zeros(len(homes), np.int64)
        exists = np.arange(self.filled.shape[1]) < self.opened[homes, None]
        return np.asarray((exists & (self.filled[homes, :, 0] == 0)).sum(axis=1))

    def _remaining(self, rows: Ints) -> Ints:
        roster = self.scene.roster
        return np.asarray(roster.sizes[roster.household[rows]] - roster.place[rows] - 1)

    def _can_find_head(self, opened: Ints) -> Bools:
        """Whether somebody can join the unit that is opened now as its head."""
        heads = [u for u, r in zip(self.choices.unit, self.choices.role, strict=True) if u != NEW and r == 0]
        return np.isin(opened, heads)

    def _ends_well(self, headless: Ints, remaining: Ints, rows: Ints, role: int, local: Ints | None) -> Bools:
        """Whether each unit can still get its head from the members that remain."""
        if not self.kind.roles:
            return np.ones(len(rows), bool)
        if local is None:
            return np.asarray(headless <= remaining)
        assert self.given is not None
        unit = self.given.of[rows]
        seated = self.filled[self.scene.roster.household[rows], local].sum(axis=1)
        has_head = self.filled[self.scene.roster.household[rows], local, 0] > 0
        is_last = seated == self.given.sizes[unit] - 1
        return np.asarray(has_head | (role == 0) | ~is_last)

    def choose(self, rows: Ints, choice: Ints) -> None:
        """Note what the members of one wave do."""
        homes = self.scene.roster.household[rows]
        unit, role = np.asarray(self.choices.unit)[choice], np.asarray(self.choices.role)[choice]
        opens = unit == NEW
        joined = unit if self.given is None else self.given.local[rows]
        self.put(rows, np.where(opens, self.opened[homes], joined), role)

    def put(self, rows: Ints, local: Ints, role: Ints) -> None:
        """Put the members of one wave into units of their households."""
        homes = self.scene.roster.household[rows]
        opens = local == self.opened[homes]
        self.local[rows], self.role[rows] = local, role
        self.opener[homes[opens], local[opens]] = rows[opens]
        self.opened[homes] += opens
        self.filled[homes, local, role] += 1

    # ------------------------------------------------------------------ what is known

    def names(self, homes: tuple[str, ...]) -> list[str]:
        """Quantities that a choice may depend on."""
        scene = self.scene
        columns = list(scene.member_columns)
        age = [scene.labels.age] if scene.labels.age else []
        known = [*context_names(scene, homes, True), ROLE, "count.before", "count.after", *columns]
        known += [f"{who}.{c}" for who in ("head", "spouse", "previous") for c in columns]
        known += ["units.opened", "units.previous", *(f"last.{c}" for c in ("role", *columns))]
        known += ["role.previous"] if self.kind.roles else []
        for j in range(min(SHOWN, self.scene.roster.n_waves)):
            known += [f"opener{j}.{c}" for c in ("role", *age)] if j else []
            known += [f"filled{j}.size", *(f"filled{j}.{r}" for r in self.kind.roles[1:])]
        return list(dict.fromkeys(known))

    def of_members(self, name: str, rows: Ints) -> NDArray[Any]:
        """Values of a quantity at members of one wave."""
        first, _, rest = name.partition(".")
        homes, labels = self.scene.roster.household[rows], self.scene.labels
        if name == "units.opened":
            return self.opened[homes].astype(float)
        if name in ("units.previous", "role.previous"):
            before = self.scene.roster.previous[rows]
            if first == "units":
                return np.where(before >= 0, self.local[np.maximum(before, 0)], np.nan)
            return np.where(before >= 0, self.role[np.maximum(before, 0)], self.kind.n_roles).astype(np.int32)
        if first == "last":
            opener = self.opener[homes, np.maximum(self.opened[homes] - 1, 0)]
            return self._at(opener, rest)
        if first.startswith("opener") and first[6:].isdigit():
            return self._at(self.opener[homes, int(first[6:])], rest) if int(first[6:]) < self.opener.shape[1] else (
                self._at(np.full(len(rows), -1), rest)
            )  # fmt: skip
        if first.startswith("filled") and first[6:].isdigit():
            if int(first[6:]) >= self.filled.shape[1]:
                return np.zeros(len(rows))
            seats = self.filled[homes, int(first[6:])]
            counted = seats.sum(axis=1) if rest == "size" else seats[:, self.kind.roles.index(rest)]
            return np.asarray(counted.astype(float))
        if name == ROLE or name == labels.role_col:
            return self.scene.roster.role[rows].astype(np.int32)
        return self.scene.of_members(name, rows)

    def _at(self, members: Ints, name: str) -> NDArray[Any]:
        if name == "role" and name not in self.scene.member_columns:
            roles = self.scene.roster.role[np.maximum(members, 0)]
            return np.where(members >= 0, roles, len(self.scene.labels.roles)).astype(np.int32)
        return at_rows(self.scene.member[name], self.scene.member_columns[name], members)

    def describe(self, name: str, values: NDArray[Any]) -> Column:
        """What a quantity is, as a condition."""
        first, _, rest = name.partition(".")
        if name == "role.previous":
            return Column(name, "categorical", "category", levels=self.kind.roles, missing="level")
        if first == "last" or first.startswith("opener"):
            if rest == "role" and rest not in self.scene.member_columns:
                return Column(name, "categorical", "category", levels=self.scene.labels.roles, missing="level")
            return as_context(self.scene.member_columns[rest], name)
        if first == "units" or first.startswith("filled"):
            return describe_numbers(name, values)
        return self.scene.describe(name, values)
