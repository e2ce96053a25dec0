"""The checks a population passes when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from microplex._validation import check_columns
from microplex.entities.columns import Ints, as_series
from microplex.entities.membership import check_members, check_parents, check_roles
from microplex.entities.schema import Entity, GroupEntity, Hierarchy
from microplex.errors import DataError, near_miss
from microplex.frames import Frame, check_frame, column_names, frame_kind, n_rows

if TYPE_CHECKING:
    from microplex.entities.population import Population


def check_population(population: Population) -> None:
    """Check that the tables belong together; `Population` says what can be wrong.

    Examples
    --------
    >>> from microplex.entities import US, Population
    >>> Population(US, {"households": pd.DataFrame({"household_id": [1]})})
    Traceback (most recent call last):
    microplex.errors.DataError: table 'tax_units' is missing. A population needs households, tax_units, persons.
    """
    schema, tables = population.schema, population.tables
    _check_tables(schema, tables)
    _check_names(schema, tables)
    member = schema.member
    population.keys(member.name)
    for group in schema.groups:
        keys = population.keys(group.name)
        check_members(population.positions(group.name), keys, group)
    for group in schema.groups[1:]:
        _check_whole(population, group)
    for group in schema.groups:
        if group.roles:
            check_roles(
                population.roles(group.name), population.positions(group.name), population.keys(group.name), group
            )
    if schema.parents:
        home = population.positions(schema.top.name)
        check_parents(schema, tables[member.table], population.keys(member.name), home)
    population.weights()
    for entity in schema.entities:
        for group in schema.containers(entity.name):
            _check_copies(population, entity, group)


def _check_tables(schema: Hierarchy, tables: Mapping[str, Frame]) -> None:
    needed = f"A population needs {', '.join(schema.table_names)}."
    for name in schema.table_names:
        if name not in tables:
            raise DataError(f"table {name!r} is missing.{near_miss(name, map(str, tables))} {needed}")
    for name in tables:
        if name not in schema.table_names:
            raise DataError(f"table {name!r} belongs to no entity.{near_miss(str(name), schema.table_names)} {needed}")
    kinds = {name: frame_kind(table) for name, table in tables.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise DataError(f"tables must be of one kind; got {listed}. Convert them to one.")
    for name, table in tables.items():
        try:
            check_frame(table)
        except DataError as error:
            if n_rows(table) or any(n_rows(other) for other in tables.values()) or not column_names(table):
                raise DataError(f"{name}: {error}") from error


def _check_names(schema: Hierarchy, tables: Mapping[str, Frame]) -> None:
    for entity in schema.entities:
        needed = [entity.key]
        if isinstance(entity, GroupEntity):
            needed += [schema.group(entity.within).key] if entity.within else []
            needed += [schema.weight_col] if entity is schema.top and schema.weight_col else []
        else:
            needed += [group.key for group in schema.groups]
            needed += list(dict.fromkeys(group.role_col for group in schema.groups if group.role_col))
            needed += list(schema.parents)
        names = column_names(tables[entity.table])
        check_columns(names, list(dict.fromkeys(needed)), entity.table)
        allowed = set(needed) | {entity.key}
        stray = [e.key for e in schema.entities if e.key in names and e.key not in allowed]
        if stray:
            raise DataError(
                f"{entity.table} has the key {stray[0]!r}, but is not part of that entity. Remove or rename the column."
            )


def _check_whole(population: Population, group: GroupEntity) -> None:
    """Check that each group lies in one larger group, the one its own row says."""
    schema = population.schema
    above = schema.group(group.within or schema.top.name)
    rows = population.positions(group.name)
    said = population.positions(above.name, group.name)[rows]
    apart = np.flatnonzero(said != population.positions(above.name))
    if apart.size:
        row = int(apart[0])
        keys, homes = population.keys(group.name), population.keys(above.name)
        own = homes[int(population.positions(above.name)[row])]
        raise DataError(
            f"{schema.member.table}: row {row} has {above.key} {own}, but its {group.key} {keys[int(rows[row])]} "
            f"belongs to {above.key} {homes[int(said[row])]}. A {group.name} lies within one {above.name}."
        )


def _check_copies(population: Population, entity: Entity, group: GroupEntity) -> None:
    """Refuse columns that repeat a group's variable for each of its members."""
    schema = population.schema
    keys = {e.key for e in schema.entities}
    small, large = population.tables[entity.table], population.tables[group.table]
    theirs = set(column_names(large)) - keys
    for name in (column for column in column_names(small) if column in theirs):
        own, above = as_series(small[name]), as_series(large[name])
        rows = population.positions(group.name, entity.name)
        numeric = all(_is_number(series) for series in (own, above))
        if numeric and not _repeats(own, above, rows):
            continue
        remedy = f"Keep it in {group.table} alone (population.broadcast carries it), or rename one of them."
        if numeric:
            raise DataError(f"{entity.table}: {name} repeats the column of {group.table} on every row. {remedy}")
        raise DataError(f"{entity.table} and {group.table} both have the column {name!r}. {remedy}")


def _is_number(series: pd.Series[Any]) -> bool:
    return not isinstance(series.dtype, pd.CategoricalDtype) and series.dtype.kind in "biuf"


def _repeats(own: pd.Series[Any], above: pd.Series[Any], rows: Ints) -> bool:
    """Whether numbers are their group's on every row, and that is not because they sum to it."""
    mine, group = (series.to_numpy(np.float64, na_value=np.nan) for series in (own, above))
    if not np.array_equal(mine, group[rows], equal_nan=True):
        return False
    several = np.bincount(rows, minlength=len(group))[rows] > 1
    told = several & (mine != 0) & ~np.isnan(mine)
    return bool(told.any())
