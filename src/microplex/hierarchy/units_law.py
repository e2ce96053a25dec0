"""What is learned about one kind of unit, and how it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Constraint, Implies
from microplex.constraints.terms import from_dict, to_dict
from microplex.encoding import arrays_under, writing
from microplex.entities import GroupEntity, Population
from microplex.errors import DataError, ParameterError, SchemaError
from microplex.frames import Frame, Levelled, build_frame
from microplex.hierarchy.detect_rules import from_entry, to_entry
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Stage
from microplex.hierarchy.units_binding import binds
from microplex.hierarchy.units_filling import Choices, Filling
from microplex.hierarchy.units_partition import Kind, Partition
from microplex.hierarchy.units_rules import Derived, LevelRule, RowRule, barred, broken_rules, derive, plain_name
from microplex.hierarchy.units_values import UnitScene
from microplex.schema import Column, Schema
from microplex.storage import refusing_damage
from microplex.synthesizer import Synthesizer

Floats = NDArray[np.float64]
GroupRule = Callable[[Frame], Any]
FIRST_STREAM = 20


@dataclass(frozen=True, eq=False)
class UnitLaw:
    """The law of one kind of unit, given whole households.

    Attributes
    ----------
    kind : Kind
        What the units are.
    top_key : str
        Key of the household's table.
    choices : Choices
        What members can do.
    shares : float64[n_choices]
        How often they do it.
    rows : tuple of rules
        What binds the role in a unit to the rest of a member.
    homes : tuple of str
        Household variables that are known.
    columns : mapping of str to Column
        Variables of units.
    before, after : tuple of rules
        Variables that follow from the members alone, and those that follow from drawn ones too.
    levels : tuple of rules
        What binds the levels of a variable to the members of the unit.
    bound : tuple of Implies
        What binds amounts to them.
    choice, values : Stage or None
        The learned laws. Without one, choices have their shares alone (too few members had a choice in training to
        learn what it depends on, or all chose the same), and no variable is drawn.
    rule : callable or None
        Gives the number of each person's unit within the household, for a table of persons of whole households.
    stream : int
        Number of the first of two random streams.
    """

    kind: Kind
    top_key: str
    choices: Choices
    shares: Floats
    rows: tuple[RowRule, ...]
    homes: tuple[str, ...]
    columns: Mapping[str, Column]
    before: tuple[Derived, ...] = ()
    after: tuple[Derived, ...] = ()
    levels: tuple[LevelRule, ...] = ()
    bound: tuple[Implies, ...] = ()
    choice: Stage | None = None
    values: Stage | None = None
    rule: GroupRule | None = None
    stream: int = FIRST_STREAM

    @property
    def derived(self) -> tuple[str, ...]:
        """Variables that follow from the members alone."""
        return tuple(plain_name(rule.total, self.kind) for rule in self.before)

    @property
    def concluded(self) -> tuple[str, ...]:
        """Variables that follow from drawn ones too."""
        return tuple(plain_name(rule.total, self.kind) for rule in self.after)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Variables that are drawn."""
        return tuple(c for c in self.columns if c not in (*self.derived, *self.concluded))

    def filling(self, scene: Scene, given: Partition | None) -> Filling:
        """Empty units of households."""
        return Filling(scene, self.kind, self.choices, broken_rules(self.rows, scene, self.kind), given)

    def ruled(self, scene: Scene, first: int) -> Partition | None:
        """Units by the rule; None where they are learned."""
        return None if self.rule is None else apply_rule(self.rule, scene, self.top_key, first)

    def unit_scene(self, scene: Scene, units: Partition, roles: Ints | None) -> UnitScene:
        """Units with what follows from their members: derived variables, and levels that are barred."""
        values = derive(self.before, scene, self.kind, units, roles, {}, self.columns)
        bars = barred(self.levels, scene, self.kind, units, roles, values, self.columns, self.drawn)
        bars |= binds(self.bound, scene, self.kind, units, roles)
        return UnitScene(scene, self.kind, units, roles, self.columns, values, bars)


@dataclass(frozen=True, eq=False)
class UnitReading:
    """Units of a population as arrays.

    Attributes
    ----------
    partition : Partition
        Who is in which.
    rows : int64[n_units]
        Row of the group's table of each unit.
    roles : int64[N] or None
        Role of each member in its unit.
    """

    partition: Partition
    rows: Ints
    roles: Ints | None


def read_units(scene: Scene, population: Population, order: Ints, group: GroupEntity) -> UnitReading:
    """Read who is in which unit.

    Parameters
    ----------
    scene : Scene
        Whole households.
    population : Population
        The same as tables.
    order : int64[N]
        Row of the member table of each member of the scene.
    group : GroupEntity
        The kind of unit, directly within the household.

    Returns
    -------
    UnitReading

    Raises
    ------
    SchemaError
        If the units are within another group than the top.
    """
    top = population.schema.top
    if group.within != top.name:
        raise SchemaError(
            f"{group.name} is within {group.within!r}; only groups directly within {top.name!r} can be generated. "
            f"Declare it within {top.name!r}, or leave it out of the levels."
        )
    of = population.positions(group.name)[order]
    partition = Partition.number(scene.roster, of)
    roles = population.roles(group.name)[order] if group.roles else None
    return UnitReading(partition, of[partition.opener], roles)


def apply_rule(rule: GroupRule, scene: Scene, top_key: str, first: int) -> Partition:
    """Return the units that a rule forms.

    Parameters
    ----------
    rule : callable
        Takes a pandas table of persons (key of the household, role, and their variables), households whole and
        members in canonical order; returns a number for each, equal for members of one unit of a household.
    scene : Scene
        Whole households.
    top_key : str
        Name of the household's key.
    first : int
        Place of the first household.

    Raises
    ------
    DataError
        If it does not return a whole number for each person.
    """
    roster, labels = scene.roster, scene.labels
    columns: dict[str, Any] = {top_key: first + 1 + roster.household}
    columns[labels.role_col] = Levelled(roster.role.astype(np.int32), labels.roles)
    names = [c for c in scene.member if c not in columns]
    columns |= writing.columns(Schema(tuple(scene.member_columns[c] for c in names)), scene.member, names)
    given = np.asarray(rule(build_frame(columns, "pandas")))
    if given.shape != (len(roster.role),) or given.dtype.kind not in "iub":
        raise DataError(
            f"the rule of a group must return a whole number for each of {len(roster.role)} persons; got an array of "
            f"shape {given.shape} and type {given.dtype}."
        )
    return Partition.number(roster, given.astype(np.int64))


def pack_units(law: UnitLaw) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return a law as plain values and arrays, for `microplex.storage`; a rule given as a function is only noted.

    Examples
    --------
    >>> kind = Kind("family", "family_id")
    >>> law = UnitLaw(kind, "household_id", Choices((-1, 0), (0, 0)), np.array([0.5, 0.5]), (), (), {})
    >>> unpack_units(*pack_units(law)).choices.names
    ('new 0', '0 0')
    """
    kind, choices = law.kind, law.choices
    content: dict[str, Any] = {
        "kind": {field: getattr(kind, field) for field in ("name", "key", "roles", "role_col", "unique", "couple")},
        "top_key": law.top_key,
        "choices": {"unit": list(choices.unit), "role": list(choices.role), "ruled": choices.ruled},
        "rows": [_entry(rule) for rule in law.rows],
        "before": [_entry(rule) for rule in law.before],
        "after": [_entry(rule) for rule in law.after],
        "levels": [_entry(rule) for rule in law.levels],
        "bound": [_entry(rule) for rule in law.bound],
        "homes": list(law.homes),
        "columns": [column.to_dict() for column in law.columns.values()],
        "has_rule": law.rule is not None,
        "stream": law.stream,
        "stages": {},
    }
    arrays: dict[str, NDArray[Any]] = {"shares": law.shares}
    for where, stage in (("choice", law.choice), ("values", law.values)):
        if stage is not None:
            inner, own = stage.model._pack()
            content["stages"][where] = {"name": stage.name, "model": inner}
            arrays |= {f"{where}.{name}": x for name, x in own.items()}
    return content, arrays


def unpack_units(
    content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], rule: GroupRule | None = None
) -> UnitLaw:
    """Read what `pack_units` wrote.

    Parameters
    ----------
    content, arrays : mapping
        What it returned.
    rule : callable, optional
        The rule that says who is with whom, where the law was fitted with one: functions are not saved.

    Raises
    ------
    ParameterError
        If the law needs a rule and none is given, or the other way round.
    ModelFormatError
        If something is missing or damaged.
    """
    with refusing_damage("law of units"):
        has_rule, name = content["has_rule"], content["kind"]["name"]
    if has_rule != (rule is not None):
        need = "has no rule" if rule is not None else "was fitted with a rule, which is a function and not saved"
        raise ParameterError(f"the law of {name} {need}." + ("" if rule else f" Load it with rules={{{name!r}: ...}}."))
    with refusing_damage("law of units"):
        entry: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in content["kind"].items()}
        choices = content["choices"]
        stages = {}
        for where, saved in content["stages"].items():
            own = arrays_under(arrays, f"{where}.")
            stages[where] = Stage(saved["name"], Synthesizer._unpack(saved["model"], own))
        columns = [Column.from_dict(column) for column in content["columns"]]
        rules = {k: tuple(map(_rule, content[k])) for k in ("rows", "before", "after", "levels", "bound")}
        return UnitLaw(
            Kind(**entry), content["top_key"],
            Choices(tuple(choices["unit"]), tuple(choices["role"]), choices["ruled"]), arrays["shares"],
            homes=tuple(content["homes"]), columns={column.name: column for column in columns},
            choice=stages.get("choice"), values=stages.get("values"), rule=rule, stream=content["stream"], **rules,
        )  # fmt: skip


def _entry(rule: Any) -> dict[str, Any]:
    """A rule as plain values; constraints on a row are told from rules by their key."""
    return to_dict(rule) if isinstance(rule, Constraint) else to_entry(rule)


def _rule(entry: Mapping[str, Any]) -> Any:
    return from_entry(entry) if "rule" in entry else from_dict(entry)
