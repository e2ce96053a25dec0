"""Keys, links and roles of a population's tables, read into positions and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.entities.columns import Ints, as_series, codes_of, column_of, key_values, plain
from microplex.entities.schema import Entity, GroupEntity, Hierarchy
from microplex.errors import DataError, SchemaError, near_miss
from microplex.frames import Frame, column_names, n_rows, read_column

_LISTED = 5


def read_keys(tables: Mapping[str, Frame], entity: Entity) -> pd.Index[Any]:
    """Return the keys of a table, each once.

    Raises
    ------
    DataError
        If a key is missing or repeated; its row is named.

    Examples
    --------
    >>> read_keys({"persons": pd.DataFrame({"person_id": [7, 7]})}, Entity("person"))
    Traceback (most recent call last):
    microplex.errors.DataError: persons: person_id must be unique; row 1 repeats 7 of row 0. Give every row its own key.
    """
    keys: pd.Index[Any] = pd.Index(key_values(tables[entity.table], entity.key, entity.table))
    if not keys.is_unique:
        repeated = keys.duplicated()
        row = int(np.argmax(repeated))
        first = int(np.argmax(np.asarray(keys == keys[row])))
        count = int(repeated.sum())
        more = f" ({count} rows repeat a key)" if count > 1 else ""
        raise DataError(
            f"{entity.table}: {entity.key} must be unique; row {row} repeats {keys[row]} of row {first}{more}. "
            "Give every row its own key."
        )
    return keys


def find_links(frame: Frame, table: str, group: GroupEntity, keys: pd.Index[Any]) -> Ints:
    """Return the row of its group's table for each row of a table.

    Parameters
    ----------
    frame : data frame of n rows
        With the key of the group.
    table : str
        Its name.
    group : GroupEntity
        The group.
    keys : Index
        Keys of the group's table.

    Returns
    -------
    int64[n]
        Positions.

    Raises
    ------
    DataError
        If a link is missing or leads nowhere; its row is named.

    Examples
    --------
    >>> persons = pd.DataFrame({"household_id": [1, 1, 9]})
    >>> find_links(persons, "persons", GroupEntity("household"), pd.Index([1, 2]))
    Traceback (most recent call last):
    microplex.errors.DataError: persons: row 2 is an orphan: its household_id 9 is no row of households. Add the \
household or remove the row.
    """
    links = key_values(frame, group.key, table)
    places = np.asarray(keys.get_indexer(pd.Index(links)), dtype=np.int64)
    orphans = np.flatnonzero(places < 0)
    if orphans.size:
        value = links[orphans[0]]
        kinds = ["text" if isinstance(key, str) else "a number" for key in (value, *keys[:1])]
        hint = f" The key is {kinds[0]} here and {kinds[-1]} there: give both one type." if len(set(kinds)) > 1 else ""
        more = f" (and {orphans.size - 1} more rows)" if orphans.size > 1 else ""
        raise DataError(
            f"{table}: row {orphans[0]} is an orphan: its {group.key} {value!s} is no row of {group.table}{more}."
            + (hint or f" Add the {group.name.replace('_', ' ')} or remove the row.")
        )
    return places


def read_roles(members: Frame, table: str, group: GroupEntity) -> Ints:
    """Return the role of each member as a place in the group's `roles`.

    Parameters
    ----------
    members : data frame of n rows
        With the group's `role_col`.
    table : str
        Its name.
    group : GroupEntity
        With roles.

    Returns
    -------
    int64[n]

    Raises
    ------
    SchemaError
        If the group has no roles.
    DataError
        If a role is missing, or its code has no mapping; code and row are named.

    Examples
    --------
    >>> unit = GroupEntity("unit", roles=("head", "child"), role_col="code", role_map={1: "head", 3: "child"})
    >>> read_roles(pd.DataFrame({"code": [3, 1]}), "persons", unit).tolist()
    [1, 0]
    >>> read_roles(pd.DataFrame({"code": [1, 2]}), "persons", unit)
    Traceback (most recent call last):
    microplex.errors.DataError: persons: code holds 2, for which role_map of unit has no role; row 1 is the first. \
Add it to role_map.
    """
    name = group.role_col
    if name is None:
        raise SchemaError(f"{group.name} has no roles. Declare roles and role_col in its GroupEntity.")
    column = column_of(members, name, table)
    codes = codes_of(column, name)
    missing = np.flatnonzero(codes < 0)
    if missing.size:
        raise DataError(f"{table}: {name} must not be missing; row {missing[0]} has no role in its {group.name}.")
    used, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    values = plain(as_series(column).iloc[first]).tolist() if used.size else []
    numbers = {role: number for number, role in enumerate(group.roles)}
    meaning = group.role_map if group.role_map is not None else {role: role for role in group.roles}
    unknown = [place for place, value in enumerate(values) if value not in meaning]
    if unknown:
        raise _unknown_roles(table, group, [values[u] for u in unknown], int(first[unknown].min()))
    return np.array([numbers[meaning[value]] for value in values], dtype=np.int64)[inverse]


def _unknown_roles(table: str, group: GroupEntity, values: list[Any], row: int) -> DataError:
    listed = ", ".join(map(repr, values[:_LISTED])) + (
        f" and {len(values) - _LISTED} more" if len(values) > _LISTED else ""
    )
    offer = near_miss(values[0], group.roles) if isinstance(values[0], str) else ""
    if group.role_map is None:
        return DataError(
            f"{table}: {group.role_col} holds {listed}, no role of {group.name}; row {row} is the first.{offer} "
            f"Roles: {', '.join(group.roles)}. Give role_map for a file's own codes."
        )
    return DataError(
        f"{table}: {group.role_col} holds {listed}, for which role_map of {group.name} has no role; row {row} is the "
        "first. Add it to role_map."
    )


def read_weights(schema: Hierarchy, top: Frame) -> NDArray[np.float64]:
    """Return the weights of the top table, ones if the schema names none.

    Raises
    ------
    DataError
        If one is not a number, missing, infinite or negative; its row is named.

    Examples
    --------
    >>> from microplex.entities import Entity, GroupEntity, Hierarchy
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"),), weight_col="weight")
    >>> read_weights(schema, pd.DataFrame({"weight": [1.5, -2.0]}))
    Traceback (most recent call last):
    microplex.errors.DataError: households: weight must be finite and not negative; row 1 has -2.0. Remove or repair \
such rows.
    """
    name, table = schema.weight_col, schema.top.table
    if name is None:
        return np.ones(n_rows(top))
    series = as_series(column_of(top, name, f"{table}: weight"))
    if series.dtype.kind not in "iuf":
        raise DataError(f"{table}: {name} must be numbers; got {series.dtype}.")
    weights = series.to_numpy(np.float64, na_value=np.nan)
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if bad.size:
        more = f" (and {bad.size - 1} more rows)" if bad.size > 1 else ""
        raise DataError(
            f"{table}: {name} must be finite and not negative; row {bad[0]} has {weights[bad[0]]}{more}. "
            "Remove or repair such rows."
        )
    return weights


def member_ages(members: Frame, age_col: str | None) -> NDArray[np.float64] | None:
    """Return ages where the table has them as numbers.

    Examples
    --------
    >>> member_ages(pd.DataFrame({"age": [3, 40]}), "age").tolist()
    [3.0, 40.0]
    """
    if age_col is None or age_col not in column_names(members):
        return None
    return read_column(members, age_col).values
