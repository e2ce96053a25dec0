"""What detection looks at: members with their units, at which level each column lives, and two halves of households."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from microplex._random import uniforms
from microplex._validation import check_columns, check_weights
from microplex.entities import Population
from microplex.frames import ColumnData, Frame, check_frame, column_names, keep_rows, n_rows, read_column
from microplex.hierarchy.members import PERSON, ROLE, Bools, Floats, Ints, Members, Units
from microplex.hierarchy.rules_quantities import differs, per_unit

HOUSEHOLD = "household"
_HALVES = 71
# Of units with two members or more, so many must agree for a column to count as theirs.
_SHARED = 0.995


@dataclass(eq=False)
class Source:
    """Members, units and columns as detection sees them.

    Attributes
    ----------
    members : Members
        One row a member, with the columns of all units.
    within : mapping of str to tuple of str
        Levels that contain a level, the top last.
    entity : mapping of str to str
        Level at which each column lives, keys and weights left out.
    own_names : mapping of str to str
        Name of each column in the table of its own entity.
    role_cols : mapping of str to str
        Column with the roles in the units of a level; of households, "role".
    weight : float64[n_top]
        Weight of each household; they add up to the effective number of households of Kish (1965).
    draw : float64[n_top]
        Uniform number of each household, by its id and the seed; it says which half it belongs to.
    """

    members: Members
    within: Mapping[str, tuple[str, ...]]
    entity: dict[str, str]
    own_names: Mapping[str, str]
    role_cols: Mapping[str, str]
    weight: Floats
    draw: Floats
    role_source: tuple[str, tuple[tuple[str, Any], ...]] | None = None
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def top(self) -> Units:
        """The households."""
        return self.members.units[HOUSEHOLD]

    def once(self, key: Any, make: Any) -> Any:
        """Return what `make` makes, made once."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def rows(self, level: str) -> Ints | slice:
        """Return a member for each unit of a level."""
        return slice(None) if level == PERSON else self.members.units[level].rows

    def top_of(self, level: str) -> Ints:
        """Return the household of each row of a level: int64[n_units]."""
        return self.top.of[self.rows(level)]

    def row_weight(self, level: str) -> Floats:
        """Return the weight of each row of a level: float64[n_units]; they add up to their effective number."""
        return self.once(("weight", level), lambda: effective(self.weight[self.top_of(level)]))  # type: ignore[no-any-return]

    def row_half(self, level: str) -> Bools:
        """Return the half of each row of a level: bool[n_units]."""
        return self.draw[self.top_of(level)] < 0.5

    def drawn(self, level: str) -> Ints:
        """Return the rows of a level in random order of households: int64[n_units]."""
        return self.once(("drawn", level), lambda: np.argsort(self.draw[self.top_of(level)], kind="stable"))  # type: ignore[no-any-return]

    def column(self, name: str, level: str) -> ColumnData:
        """Return a column with a value for each row of a level that it belongs to or contains."""

        def make() -> ColumnData:
            column, rows = self.members.column(name), self.rows(level)
            values = None if column.values is None else column.values[rows]
            codes = None if column.codes is None else column.codes[rows]
            return ColumnData(name, column.dtype, values, codes, column.levels, column.ordered)

        return self.once(("column", name, level), make)  # type: ignore[no-any-return]

    def numbers(self, name: str, level: str) -> Floats | None:
        """Return a column of numbers at a level, None for text, categories and dates."""
        column = self.column(name, level)
        return column.values if column.dtype in ("int", "float") else None

    def names(self, level: str, numeric: bool = False) -> list[str]:
        """Return the columns that live at a level."""
        found = [name for name, entity in self.entity.items() if entity == level]
        return [name for name in found if self.members.column(name).dtype in ("int", "float")] if numeric else found

    def level_of(self, names: Any) -> str:
        """Return the level of the rows on which columns can be compared: the least that contains them all."""
        levels = [self.entity[name] for name in names if name in self.entity]
        for level in self.within:
            if level in levels:
                return level
        return PERSON

    def inner(self, level: str) -> list[str]:
        """Return the units that a level contains, without persons."""
        return [name for name, above in self.within.items() if level in above and name != PERSON]


def effective(weights: Floats) -> Floats:
    """Return weights that add up to the effective number of rows, (sum w)^2 / sum w^2 (Kish, 1965).

    Examples
    --------
    >>> effective(np.array([3.0, 3.0])).tolist(), float(effective(np.array([1.0, 0.0, 1.0])).sum())
    ([1.0, 1.0], 2.0)
    """
    squares = float(weights @ weights)
    return weights * (float(weights.sum()) / squares) if squares else weights


def population_source(population: Population, seed: int, age_col: str) -> Source:
    """Read a population.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> source = population_source(as_population(make_population(50, seed=0)), 0, "age")
    >>> source.entity["tenure"], source.entity["tax_unit.wages"], source.entity["wages"]
    ('household', 'tax_unit', 'person')
    """
    kept = np.flatnonzero(population.weights() > 0)
    if kept.size < population.size(population.schema.top.name):
        population = population.take(kept)
    schema, flat = population.schema, population.flatten(prefix=False)
    top, names = schema.top, column_names(flat)
    levels = {group.name: HOUSEHOLD if group is top else group.name for group in schema.groups}
    roles = {code: role for code, role in top.role_map.items()} if top.role_map else None
    members = Members.read(
        flat, top.key, top.role_col, roles, groups={levels[g.name]: g.key for g in schema.groups[1:]},
        age_col=age_col, role_names=top.roles or ("head",),
    )  # fmt: skip
    dropped = {entity.key for entity in schema.entities} | {schema.weight_col, top.role_col, *schema.parents}
    entity, own_names = {}, {}
    for item in (schema.member, *schema.groups):
        level = levels.get(item.name, PERSON)
        for name in column_names(population.tables[item.table]):
            found = f"{item.name}.{name}" if level != PERSON and f"{item.name}.{name}" in names else name
            if name not in dropped:
                entity[found], own_names[found] = level, name
    role_cols = {levels[g.name]: g.role_col for g in schema.groups[1:] if g.role_col}
    within = {PERSON: tuple(levels[g.name] for g in schema.containers(schema.member.name))}
    within |= {levels[g.name]: tuple(levels[c.name] for c in schema.containers(g.name)) for g in schema.groups[::-1]}
    weights = np.empty(members.units[HOUSEHOLD].count)
    weights[members.units[HOUSEHOLD].of] = population.weights(schema.member.name)
    codes = tuple((role, code) for code, role in roles.items()) if roles else tuple((r, r) for r in top.roles)
    role_source = (top.role_col, codes) if top.role_col else None
    return _source(members, within, entity, own_names, role_cols, weights, seed, role_source)


def flat_source(
    frame: Frame,
    household_id: str,
    relationship: str | None,
    roles: Mapping[Any, str] | None,
    groups: Mapping[str, str] | None,
    weight_col: str | None,
    seed: int,
    age_col: str,
    ignore: tuple[str, ...],
) -> Source:
    """Read a flat table of persons; columns that all members of a unit share belong to the unit.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"h": [1, 1, 2, 2], "rent": [5, 5, 9, 9], "age": [40, 9, 30, 31]})
    >>> flat_source(frame, "h", None, None, None, None, 0, "age", ()).entity
    {'rent': 'household', 'age': 'person'}
    """
    check_frame(frame)
    check_columns(column_names(frame), [*ignore, *([weight_col] if weight_col else [])], "detect_constraints")
    given = None
    if weight_col:
        given = check_weights(read_column(frame, weight_col).values, n_rows(frame), f"weight column {weight_col!r}")
        if (given == 0).any():
            frame, given = keep_rows(frame, given > 0), given[given > 0]
    members = Members.read(frame, household_id, relationship, roles, groups=groups, age_col=age_col)
    units = members.units[HOUSEHOLD]
    weights = np.ones(units.count)
    if given is not None:
        weights = np.bincount(units.of, given, units.count) / np.bincount(units.of, minlength=units.count)
    dropped = {household_id, relationship, weight_col, *(groups or {}).values(), *ignore}
    names = [name for name in column_names(frame) if name not in dropped]
    inner = tuple(groups or {})
    within = {PERSON: (*inner, HOUSEHOLD), **dict.fromkeys(inner, (HOUSEHOLD,)), HOUSEHOLD: ()}
    entity = {name: _home(members, name, inner, weights) for name in names}
    source = None
    if relationship is not None:
        pairs = roles.items() if roles else [(role, role) for role in members.role_names]
        source = (relationship, tuple((role, code) for code, role in pairs))
    return _source(members, within, entity, {name: name for name in names}, {}, weights, seed, source)


def _home(members: Members, name: str, inner: tuple[str, ...], weights: Floats) -> str:
    """Return the largest unit whose members share a column."""
    column = members.column(name)
    values = column.values if column.values is not None else column.codes
    assert values is not None
    for level in (HOUSEHOLD, *inner):
        units = members.units[level]
        several = np.bincount(units.of, minlength=units.count) > 1
        mass = weights[members.units[HOUSEHOLD].of[units.rows]] * several
        uneven = per_unit(differs(values, values[units.rows][units.of]), units)
        if not differs(values, np.full_like(values, values[0])).any():
            return HOUSEHOLD
        if mass.sum() and float(mass @ uneven) <= (1 - _SHARED) * float(mass.sum()):
            return level
    return PERSON


def _source(
    members: Members,
    within: Mapping[str, tuple[str, ...]],
    entity: dict[str, str],
    own_names: Mapping[str, str],
    role_cols: Mapping[str, str],
    weights: Floats,
    seed: int,
    role_source: Any,
) -> Source:
    units = members.units[HOUSEHOLD]
    keys = units.random_keys(np.arange(units.count))
    draw = uniforms(seed, keys, _HALVES, 1)[0]
    cols = dict(role_cols)
    if members.roles is not None:
        cols[HOUSEHOLD] = ROLE
        entity = {ROLE: PERSON, **entity}
        own_names = {ROLE: ROLE, **own_names}
    return Source(members, within, entity, own_names, cols, effective(weights), draw, role_source)
