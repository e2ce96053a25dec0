"""Populations as the arrays that the measures read: one plan, and one view each, with levels in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._random import row_keys
from microplex._validation import check_columns, check_finite
from microplex.entities import US, Entity, Hierarchy, Population, as_population
from microplex.errors import DataError, SchemaError
from microplex.frames import ColumnData, Level, column_names, read_column
from microplex.metrics.households.declared import Declared, Source, flags
from microplex.metrics.households.view import Column, Limits, Plan, View

EARNINGS = ("earnings", "wages")
MOST_TYPE_VARS, MOST_LEVELS = 3, 20


@dataclass(frozen=True)
class Choice:
    """Which variables to judge; None takes what `evaluate_hierarchy` says."""

    age_col: str | None = "age"
    earnings_col: str | None = None
    categories: tuple[str, ...] = ()
    household_vars: tuple[str, ...] | None = None
    member_vars: tuple[str, ...] | None = None
    type_vars: tuple[str, ...] | None = None
    cluster_vars: tuple[str, ...] | None = None
    adult_age: float = 18
    limits: Limits = field(default_factory=Limits)


def populations(schema: Hierarchy | None, named: dict[str, Any]) -> dict[str, Population]:
    """Return populations of one schema, the first one's unless given; weights may be absent from some.

    Raises
    ------
    SchemaError
        If they have other groups or roles than the first.
    DataError
        If a table is missing; see `microplex.entities.as_population`.
    """
    found: dict[str, Population] = {}
    for name, data in named.items():
        try:
            found[name] = as_population(data, _with_weights(schema or _of_first(found, data), data))
        except (DataError, SchemaError) as error:
            raise type(error)(f"{name} population: {error}") from error
    first = next(iter(found.values())).schema
    for name, population in found.items():
        if replace(population.schema, weight_col=None) != replace(first, weight_col=None):
            raise SchemaError(
                f"the {name} population has another schema than the {next(iter(found))} one; give schema=, or build "
                "both with the same groups and roles."
            )
    return found


def read_views(named: dict[str, Population], choice: Choice, declared: Declared) -> tuple[Plan, dict[str, View]]:
    """Return the plan and the view of each population; the first sets what there is to judge.

    Raises
    ------
    ColumnNotFoundError
        If a named column is missing from a population.
    DataError
        If a column is a number in one population and a category in another, or a number is infinite.
    """
    schema = next(iter(named.values())).schema
    tables: dict[str, dict[str, dict[str, Column]]] = {name: {} for name in named}
    for entity in (schema.member, *schema.groups):
        columns = _read(named, entity, choice)
        for name in named:
            tables[name][entity.name] = columns[name]
    sources = {name: Source(population, tables[name]) for name, population in named.items()}
    plan = _plan(next(iter(sources.values())), choice, declared)
    return plan, {name: _view(source, plan, declared) for name, source in sources.items()}


def _of_first(found: Mapping[str, Population], data: Any) -> Hierarchy | None:
    """Return the schema for tables without one: the first population's, unless that is the usual one."""
    if not found or isinstance(data, Population):
        return None
    first = next(iter(found.values())).schema
    return None if replace(first, weight_col=None) == US else first


def _with_weights(schema: Hierarchy | None, data: Any) -> Hierarchy | None:
    """Return the schema with the weights that the data have."""
    if schema is None:
        return None
    if isinstance(data, Population) and data.schema.weight_col is not None:
        return replace(schema, weight_col=data.schema.weight_col)
    tables = data.tables if isinstance(data, Population) else data
    named = schema.top.table
    table = tables.get(named) if isinstance(tables, Mapping) else getattr(tables, named, None)
    has = schema.weight_col is not None and table is not None and schema.weight_col in column_names(table)
    return schema if has else replace(schema, weight_col=None)


def _read(named: dict[str, Population], entity: Entity, choice: Choice) -> dict[str, dict[str, Column]]:
    """Return the columns that all populations have, keys and weights aside."""
    frames = {name: population.table(entity.name) for name, population in named.items()}
    skipped = {name for population in named.values() for name in _keys(population.schema)}
    first, *others = (column_names(frame) for frame in frames.values())
    wanted = [c for c in first if c not in skipped and all(c in names for names in others)]
    found: dict[str, dict[str, Column]] = {name: {} for name in named}
    for column in wanted:
        sides = _aligned([read_column(frame, column) for frame in frames.values()], list(named), choice.categories)
        for name, side in zip(named, sides, strict=True):
            found[name][column] = side
    return found


def _keys(schema: Hierarchy) -> set[str]:
    keys = {entity.key for entity in schema.entities} | set(schema.parents)
    return keys | {name for name in (schema.weight_col, schema.top.role_col) if name is not None}


def _aligned(sides: list[ColumnData], names: Sequence[str], categories: Sequence[str]) -> list[Column]:
    """Return the columns with the same levels; one without any value follows the others."""
    numbers = [side.values is not None for side in sides]
    empty = [side.values is not None and bool(np.isnan(side.values).all()) for side in sides]
    if any(not number for number in numbers):
        wrong = [i for i, number in enumerate(numbers) if number and not empty[i]]
        if wrong:
            other = numbers.index(False)
            raise DataError(
                f"column {sides[0].name!r} is {sides[wrong[0]].dtype} in the {names[wrong[0]]} population and "
                f"{sides[other].dtype} in the {names[other]} one; give all the same type."
            )
        return _coded([_codes(side) for side in sides], [side for side in sides if side.codes is not None])
    for side, name in zip(sides, names, strict=True):
        check_finite(side.values if side.values is not None else np.zeros(0), f"{side.name} ({name})")
    values = [np.asarray(side.values, dtype=np.float64) for side in sides]
    if sides[0].name not in categories:
        return [Column(x, is_number=True) for x in values]
    pairs = [np.unique(x[~np.isnan(x)]) for x in values]
    levels = np.unique(np.concatenate(pairs))
    coded = [np.where(np.isnan(x), -1, np.searchsorted(levels, x)).astype(np.int32) for x in values]
    return [Column(codes, tuple(levels.tolist()), ordered=True) for codes in coded]


def _codes(side: ColumnData) -> tuple[NDArray[np.int32], tuple[Level, ...]]:
    if side.codes is not None:
        return np.asarray(side.codes), side.levels
    return np.full(len(side.missing), -1, dtype=np.int32), ()


def _coded(sides: list[tuple[NDArray[np.int32], tuple[Level, ...]]], known: list[ColumnData]) -> list[Column]:
    same = all(side.levels == known[0].levels for side in known)
    union = {level for _, levels in sides for level in levels}
    levels = known[0].levels if same else tuple(sorted(union, key=lambda level: (str(type(level)), level)))
    place = {level: i for i, level in enumerate(levels)}
    ordered = same and all(side.ordered for side in known)
    found = []
    for codes, own in sides:
        moved = np.array([*(place[level] for level in own), -1], dtype=np.int32)
        found.append(Column(moved[codes], levels, ordered=ordered))
    return found


def _plan(source: Source, choice: Choice, declared: Declared) -> Plan:
    schema = source.population.schema
    top, members = schema.top, source.tables[schema.member.name]
    homes = source.tables[schema.top.name]
    names = {schema.member.name: column_names(source.population.table(schema.member.name))}
    names[top.name] = column_names(source.population.table(top.name))
    shown = {entity: [c for c in columns if c not in _keys(schema)] for entity, columns in names.items()}
    member_vars = _chosen(choice.member_vars, shown[schema.member.name], members, "member_vars")
    household_vars = _chosen(choice.household_vars, shown[top.name], homes, "household_vars")
    check_columns([*members, *homes], list(choice.categories), "category")
    follows = {name for name in declared.identities if name in homes} | set(_copies_of_size(source))
    own = tuple(name for name in household_vars if name not in follows)
    context = tuple(
        name
        for name in household_vars
        if name not in _copies_of_size(source) and homes[name].has_value and len(homes[name].levels) <= MOST_LEVELS
    )
    roles = top.roles or (schema.member.name,)
    return Plan(
        roles=roles,
        heads=(0,) if top.roles else (),
        couple=top.role_numbers(top.couple),
        child=top.role_numbers(top.child),
        age=_one(choice.age_col, ("age",), members, "age"),
        earnings=_one(choice.earnings_col, EARNINGS, members, "earnings"),
        member_vars=member_vars,
        household_vars=household_vars,
        type_vars=_chosen(choice.type_vars, context[:MOST_TYPE_VARS], homes, "type_vars"),
        cluster_vars=_chosen(choice.cluster_vars, member_vars, members, "cluster_vars"),
        context_vars=context,
        own_vars=own,
        adult_age=choice.adult_age,
        limits=choice.limits,
    )


def _chosen(
    asked: Sequence[str] | None, usual: Sequence[str], table: Mapping[str, Column], what: str
) -> tuple[str, ...]:
    names = list(usual) if asked is None else list(asked)
    check_columns(list(table), names, what)
    return tuple(names)


def _one(asked: str | None, usual: Sequence[str], table: Mapping[str, Column], what: str) -> str | None:
    """Return the column asked for, or the first usual one that is there."""
    if asked is not None and asked not in usual:
        check_columns(list(table), [asked], what)
    for name in (asked,) if asked is not None else usual:
        if name in table:
            if not table[name].is_number:
                raise DataError(f"{what} column {name!r} must hold numbers.")
            return name if table[name].has_value else None
    return None


def _copies_of_size(source: Source) -> list[str]:
    """Return the household variables that are the number of members."""
    population = source.population
    top = population.schema.top.name
    size = np.bincount(population.positions(top), minlength=population.size(top))
    table = source.tables[top]
    return [name for name, column in table.items() if column.is_number and np.array_equal(column.floats, size)]


def _view(source: Source, plan: Plan, declared: Declared) -> View:
    population = source.population
    schema = population.schema
    top = schema.top.name
    order = population.order(top, plan.age)
    role = population.roles() if schema.top.roles else np.zeros(len(order), dtype=np.int64)
    wanted = dict.fromkeys([*plan.member_vars, *plan.cluster_vars, *filter(None, (plan.age, plan.earnings))])
    homes = dict.fromkeys([*plan.household_vars, *plan.type_vars])
    broken, off, exact, below, varies = flags(source, declared)
    return View(
        plan,
        np.asarray(population.weights(), dtype=np.float64),
        row_keys(population.keys(top).to_numpy()),
        population.positions(top)[order],
        role[order],
        {name: source.tables[schema.member.name][name].take(order) for name in wanted},
        {name: source.tables[top][name] for name in homes},
        broken,  # type: ignore[arg-type]
        off,  # type: ignore[arg-type]
        exact,  # type: ignore[arg-type]
        below,  # type: ignore[arg-type]
        varies,  # type: ignore[arg-type]
        {group.name: population.positions(group.name)[order] for group in schema.groups[1:]},
    )
