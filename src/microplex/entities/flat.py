"""One flat table of members, and back to normalised tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from microplex._validation import check_columns
from microplex.entities.columns import Ints, as_series, codes_of, key_values, take_rows, take_values
from microplex.entities.schema import GroupEntity, Hierarchy
from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names, frame_kind, n_rows, select

if TYPE_CHECKING:
    from microplex.entities.population import Population


def flatten(population: Population, prefix: bool = True) -> Frame:
    """Return one table of members; `Population.flatten` says how.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> list(flatten(as_population(make_population(3, seed=0)), prefix=False).columns[-3:])
    ['tax_unit.total_income', 'snap_entitlement', 'tax_unit.snap']
    """
    schema = population.schema
    members = population.tables[schema.member.table]
    own = {group.name: _own_columns(schema, group, population.tables[group.table]) for group in schema.groups}
    every = [*column_names(members), *(name for names in own.values() for name in names)]
    times = pd.Series(every, dtype=object).value_counts()
    parts, taken = [members], set(column_names(members))
    for group in schema.groups:
        names = [f"{group.name}.{n}" if prefix or times[n] > 1 else n for n in own[group.name]]
        clash = taken & set(names)
        if clash:
            raise DataError(
                f"{sorted(clash)[0]!r} would stand in the flat table twice: {schema.member.table} has a column named "
                f"like one of {group.table}. Rename it."
            )
        taken |= set(names)
        rows = population.positions(group.name)
        part = take_rows(select(population.tables[group.table], own[group.name]), rows) if names else None
        if part is not None:
            parts.append(_rename(part, names))
    return _beside(parts)


def normalise(flat: Frame, schema: Hierarchy, columns: Mapping[str, Sequence[str]] | str | None = None) -> Population:
    """Return normalised tables of one flat table: the inverse of `Population.flatten`.

    Parameters
    ----------
    flat : data frame
        A row for each member, with the keys of the member and of its groups.
    schema : Hierarchy
        What the entities are.
    columns : mapping of str to sequence of str, "constant" or None
        Which columns belong to which table. None: those named ``household.state`` belong to that group, all others
        to the member. A mapping lists columns by table (as `Population.columns` does); a column that no list has
        belongs to the member, unless the member's table has a list too. "constant": a column that is the same for
        all members of every household belongs to the household, else, if it is for every tax unit, to the tax unit,
        and so on; with few large groups a member's own variable can pass for a group's.

    Returns
    -------
    Population
        Groups stand in the order of their first member, keys first, their rows numbered anew; members stay as they
        are. Dtypes are kept.

    Raises
    ------
    ColumnNotFoundError
        If a key or a listed column is missing.
    DataError
        If a column of a group differs between its members, or a column is in two lists or in none; as `Population`.

    Examples
    --------
    >>> from microplex.entities import Entity
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"),))
    >>> flat = pd.DataFrame({"person_id": [1, 2], "household_id": [7, 7], "age": [40, 38], "state": ["CA", "CA"]})
    >>> normalise(flat, schema, columns={"households": ["state"]}).households
       household_id state
    0             7    CA
    """
    from microplex.entities.population import Population

    frame_kind(flat)
    if n_rows(flat):
        check_frame(flat)
    names = column_names(flat)
    keys = [entity.key for entity in schema.entities]
    check_columns(names, keys, "flat")
    rows = {group.name: _group_rows(flat, group) for group in schema.groups}
    if columns is None:
        sources = _by_prefix(names, schema)
    elif isinstance(columns, str):
        if columns != "constant":
            raise ParameterError(f"columns must be None, 'constant' or a mapping of tables; got {columns!r}.")
        sources = _by_constancy(flat, schema, rows)
    else:
        sources = _by_list(names, schema, columns)
    tables: dict[str, Frame] = {}
    used: set[str] = set()
    for group in schema.groups:
        places, first = rows[group.name]
        link = [schema.group(group.within).key] if group.within else []
        chosen = [*link, *sources[group.name].values()]
        for name in chosen:
            _check_constant(flat, name, group, places, first)
        table = take_rows(select(flat, [group.key, *chosen]), first)
        table = table.reset_index(drop=True) if isinstance(table, pd.DataFrame) else table
        tables[group.table] = _rename(table, [group.key, *link, *sources[group.name]])
        used |= set(sources[group.name].values())
    tables[schema.member.table] = select(flat, [name for name in names if name not in used])
    return Population(schema, tables)


def _own_columns(schema: Hierarchy, group: GroupEntity, table: Frame) -> list[str]:
    keys = {entity.key for entity in schema.entities}
    return [name for name in column_names(table) if name not in keys]


def _group_rows(flat: Frame, group: GroupEntity) -> tuple[Ints, Ints]:
    """Return the group of each row, numbered by first appearance, and each group's first row."""
    places, groups = pd.factorize(key_values(flat, group.key, "flat"))
    first = np.zeros(len(groups), dtype=np.int64)
    first[places[::-1]] = np.arange(len(places))[::-1]
    return places.astype(np.int64), first


def _by_prefix(names: Sequence[str], schema: Hierarchy) -> dict[str, dict[str, str]]:
    keys = {"", *(entity.key for entity in schema.entities)}
    return {
        group.name: {
            own: name
            for name in names
            if name.startswith(f"{group.name}.") and (own := name.split(".", 1)[1]) not in keys
        }
        for group in schema.groups
    }


def _by_list(
    names: Sequence[str], schema: Hierarchy, columns: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Read lists; where two tables share a name, the flat table has the group's prefix before it."""
    found: dict[str, dict[str, str]] = {group.name: {} for group in schema.groups}
    keys, owner = {entity.key for entity in schema.entities}, dict[str, str]()
    listed_members = None
    for table, listed in columns.items():
        entity = schema.entity(table)
        listed = [listed] if isinstance(listed, str) else list(listed)
        wanted = {name: f"{entity.name}.{name}" for name in listed if name not in keys}
        wanted = {name: full if full in names else name for name, full in wanted.items()}
        check_columns(names, list(wanted.values()), f"{entity.table} (in columns)")
        for name in wanted.values():
            if owner.setdefault(name, entity.table) != entity.table:
                raise DataError(f"columns gives {name!r} to {owner[name]} and to {entity.table}. Give it to one.")
        if entity is schema.member:
            listed_members = wanted
        else:
            found[entity.name] = wanted
    left = [name for name in names if name not in owner and name not in keys]
    if listed_members is not None and left:
        raise DataError(f"columns gives {left[0]!r} to no table. Add it to a list, or drop the column.")
    return found


def _by_constancy(flat: Frame, schema: Hierarchy, rows: Mapping[str, tuple[Ints, Ints]]) -> dict[str, dict[str, str]]:
    found = _by_prefix(column_names(flat), schema)
    told = {name for names in found.values() for name in names.values()}
    told |= {entity.key for entity in schema.entities} | set(schema.parents)
    told |= {group.role_col for group in schema.groups if group.role_col}
    for name in column_names(flat):
        if name in told:
            continue
        codes = codes_of(flat[name], name)
        for group in schema.groups:
            places, first = rows[group.name]
            if name not in found[group.name] and np.array_equal(codes, codes[first][places]):
                found[group.name][name] = name
                break
    return found


def _check_constant(flat: Frame, name: str, group: GroupEntity, places: Ints, first: Ints) -> None:
    codes = codes_of(flat[name], name)
    differs = np.flatnonzero(codes != codes[first][places])
    if differs.size:
        row, other = int(differs[0]), int(first[places[differs[0]]])
        values = as_series(take_values(flat[name], np.array([other, row]))).tolist()
        key = key_values(flat, group.key, "flat")[row]
        raise DataError(
            f"{name} differs between members of {group.key} {key}: row {other} has {values[0]!r}, row {row} has "
            f"{values[1]!r}. A variable of the {group.name.replace('_', ' ')} must be the same for all of them."
        )


def _rename(frame: Frame, names: Sequence[str]) -> Frame:
    kind = frame_kind(frame)
    if kind == "pandas":
        return frame.set_axis(list(names), axis=1)
    return (
        frame.rename_columns(list(names))
        if kind == "arrow"
        else frame.rename(dict(zip(frame.columns, names, strict=True)))
    )


def _beside(parts: Sequence[Frame]) -> Frame:
    """Put frames of one length side by side; rows are those of the first."""
    first, *others = parts
    kind = frame_kind(first)
    if kind == "pandas":
        return pd.concat([first, *(part.set_axis(first.index) for part in others)], axis=1)
    for part in others:
        if kind == "polars":
            first = first.hstack(part)
        else:
            for name in part.column_names:
                first = first.append_column(part.schema.field(name), part[name])
    return first
