"""Who may be in a group: one head, unique roles, parents that are no circle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from microplex._validation import check_columns
from microplex.entities.columns import Ints, as_series, plain
from microplex.entities.schema import GroupEntity, Hierarchy
from microplex.errors import DataError
from microplex.frames import Frame, column_names


def check_roles(roles: Ints, rows: Ints, keys: pd.Index[Any], group: GroupEntity) -> None:
    """Check that every group has exactly one head, and unique roles at most once.

    Parameters
    ----------
    roles, rows : int64[n]
        Role of each member and row of its group.
    keys : Index
        Keys of the groups.
    group : GroupEntity
        With roles.

    Raises
    ------
    DataError
        If one has not; its key is named.

    Examples
    --------
    >>> unit = GroupEntity("unit", roles=("head", "child"), role_col="role")
    >>> check_roles(np.array([0, 0]), np.array([0, 0]), pd.Index([7]), unit)
    Traceback (most recent call last):
    microplex.errors.DataError: unit_id 7 has 2 members whose role is 'head'; every unit has exactly one head.
    """
    for name in dict.fromkeys((group.roles[0], *(group.unique or ()))):
        counts = np.bincount(rows[roles == group.roles.index(name)], minlength=len(keys))
        is_head = name == group.roles[0]
        wrong = np.flatnonzero(counts != 1 if is_head else counts > 1)
        if wrong.size:
            rule = "exactly one head" if is_head else f"at most one {name}"
            more = f" ({wrong.size} of {len(keys)} break this.)" if wrong.size > 1 else ""
            found = counts[wrong[0]]
            raise DataError(
                f"{group.key} {keys[int(wrong[0])]} has {found if found else 'no'} member{'s' if found > 1 else ''} "
                f"whose role is {name!r}; every {group.name.replace('_', ' ')} has {rule}.{more}"
            )


def check_members(rows: Ints, keys: pd.Index[Any], group: GroupEntity) -> None:
    """Check that every group has a member.

    Raises
    ------
    DataError
        If one has none.

    Examples
    --------
    >>> check_members(np.array([0]), pd.Index([7, 8]), GroupEntity("household"))
    Traceback (most recent call last):
    microplex.errors.DataError: households: household_id 8 has no members. Remove the row, or add its members.
    """
    empty = np.flatnonzero(np.bincount(rows, minlength=len(keys)) == 0)
    if empty.size:
        more = f" (and {empty.size - 1} more rows)" if empty.size > 1 else ""
        raise DataError(
            f"{group.table}: {group.key} {keys[int(empty[0])]} has no members{more}. "
            "Remove the row, or add its members."
        )


def check_parents(schema: Hierarchy, members: Frame, keys: pd.Index[Any], home: Ints) -> None:
    """Check that parents exist, live in the same top group, and that nobody is their own ancestor.

    Parameters
    ----------
    schema : Hierarchy
        Its `parents` name the columns.
    members : data frame of n rows
    keys : Index
        Their keys.
    home : int64[n]
        Rows of their top groups.

    Raises
    ------
    DataError
        If they do not; the persons are named.

    Examples
    --------
    >>> from microplex.entities import Entity
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"),), parents=("mother_id",))
    >>> check_parents(schema, pd.DataFrame({"mother_id": [2, 1]}), pd.Index([1, 2]), np.zeros(2, int))
    Traceback (most recent call last):
    microplex.errors.DataError: persons: mother_id goes in a circle: 1 -> 2 -> 1. Nobody can be their own ancestor.
    """
    table, top = schema.member.table, schema.top
    check_columns(column_names(members), schema.parents, table)
    above = np.full((len(keys), len(schema.parents)), -1, dtype=np.int64)
    for place, name in enumerate(schema.parents):
        series = as_series(members[name])
        given = np.flatnonzero(series.notna().to_numpy())
        values = plain(series.iloc[given])
        found = np.asarray(keys.get_indexer(pd.Index(values)), dtype=np.int64)
        wrong = np.flatnonzero(found < 0)
        if wrong.size:
            raise DataError(
                f"{table}: row {given[wrong[0]]} has {name} {values[wrong[0]]}, which is no {schema.member.key}. "
                "Leave it missing where the parent lives elsewhere."
            )
        wrong = np.flatnonzero(home[found] != home[given])
        if wrong.size:
            raise DataError(
                f"{table}: row {given[wrong[0]]} has {name} {values[wrong[0]]}, who is of another {top.name}. "
                "Leave it missing where the parent lives elsewhere."
            )
        above[given, place] = found
    _check_acyclic(above, keys, table, schema.parents)


def _check_acyclic(above: Ints, keys: pd.Index[Any], table: str, names: Sequence[str]) -> None:
    """Settle generation by generation those whose parents are settled; who is left descends from a circle."""
    left = np.arange(len(keys))
    settled = np.zeros(len(keys) + 1, dtype=bool)
    settled[-1] = True  # -1, no parent here
    while left.size:
        done = settled[above[left]].all(axis=1)
        if not done.any():
            break
        settled[left[done]] = True
        left = left[~done]
    if not left.size:
        return
    path = [int(left[0])]
    while True:
        person = next(int(p) for p in above[path[-1]] if p >= 0 and not settled[p])
        if person in path:
            circle = [*path[path.index(person) :], person]
            named = " -> ".join(str(keys[p]) for p in circle)
            raise DataError(
                f"{table}: {' and '.join(names)} goes in a circle: {named}. Nobody can be their own ancestor."
            )
        path.append(person)
