"""Members and groups: values of members made values of their group, values of a group given to its members."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.frames import ColumnData

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


def group_rows(keys: pd.Index[Any], unique: bool, label: str) -> tuple[Ints, pd.Index[Any]]:
    """Return the group of each row and the keys of the groups, in order of first appearance.

    Parameters
    ----------
    keys : Index of length n
    unique : bool
        Whether each row must be a group of its own.
    label : str
        Opens a message.

    Returns
    -------
    rows : int64[n]
    names : Index

    Raises
    ------
    DataError
        If a key repeats and must not.

    Examples
    --------
    >>> rows, names = group_rows(pd.Index([7, 3, 7]), False, "")
    >>> rows.tolist(), names.tolist()
    ([0, 1, 0], [7, 3])
    """
    rows, names = pd.factorize(keys)
    if unique and len(names) < len(keys):
        row = int(np.argmax(keys.duplicated()))
        raise DataError(f"{label} has key {keys[row]} more than once (row {row}); a group is one row.")
    return rows.astype(np.int64), pd.Index(names)


def lookup(keys: pd.Index[Any], wanted: pd.Index[Any], place: str, label: str) -> Ints:
    """Return the row of each wanted key in a table of groups.

    Raises
    ------
    DataError
        If a key repeats in the table, or is not there.

    Examples
    --------
    >>> lookup(pd.Index([7, 3]), pd.Index([3, 3]), "households", "").tolist()
    [1, 1]
    """
    group_rows(keys, True, f"{label}: {place!r}")
    found = np.asarray(keys.get_indexer(wanted), dtype=np.int64)
    if (found < 0).any():
        first = int(np.argmax(found < 0))
        raise DataError(
            f"{label}: {place!r} has no row with key {wanted[first]} ({int((found < 0).sum()):,} such keys)."
            + other_type(wanted, keys, place)
        )
    return found


def other_type(keys: pd.Index[Any], known: pd.Index[Any], place: str) -> str:
    """Return the remark that keys are text on one side and numbers on the other, or nothing.

    Examples
    --------
    >>> other_type(pd.Index([7]), pd.Index(["7"]), "households")
    " The keys are numbers here and text in 'households': make them of one type."
    """
    sorts = ["text" if isinstance(side[0], str) else "numbers" for side in (keys, known) if len(side)]
    if len(set(sorts)) < 2:
        return ""
    return f" The keys are {sorts[0]} here and {sorts[1]} in {place!r}: make them of one type."


def take_rows(data: ColumnData, rows: Ints) -> ColumnData:
    """Return the rows of a column.

    Examples
    --------
    >>> take_rows(ColumnData("a", "int", np.array([5.0, 6.0])), np.array([1, 1])).values.tolist()
    [6.0, 6.0]
    """
    if data.codes is not None:
        return replace(data, codes=data.codes[rows])
    assert data.values is not None
    return replace(data, values=data.values[rows])


def aggregate(
    data: ColumnData, rows: Ints, n: int, how: str, head: NDArray[np.bool_] | None, names: pd.Index[Any], label: str
) -> ColumnData:
    """Make one value a group from those of its members.

    A missing member makes a sum, mean, smallest or largest value missing: it is not zero.

    Parameters
    ----------
    data : ColumnData of m rows
    rows : int64[m]
        Group of each member.
    n : int
        Number of groups.
    how : str
        `sum`, `mean`, `min`, `max`, `any`, `count` or `head`.
    head : bool[m] or None
        Who is a head.
    names : Index of length n
        Keys of the groups, for messages.
    label : str
        Opens a message.

    Returns
    -------
    ColumnData of n rows

    Raises
    ------
    DataError
        If a group has no member, or not one head, or the column does not suit `how`.

    Examples
    --------
    >>> wages = ColumnData("wages", "int", np.array([10.0, 5.0, 7.0]))
    >>> aggregate(wages, np.array([0, 0, 1]), 2, "sum", None, pd.Index(["a", "b"]), "").values.tolist()
    [15.0, 7.0]
    """
    members = np.bincount(rows, minlength=n)
    if (members == 0).any():
        raise DataError(f"{label}: the group with key {names[int(np.argmax(members == 0))]} has no members.")
    if how == "head":
        assert head is not None
        return take_rows(data, _head_rows(rows, n, head, names, label))
    if how == "count" and data.dtype != "bool":
        return ColumnData(data.name, "int", members.astype(np.float64))
    values = _numbers(data, how, label)
    if how in ("any", "count"):
        return _counted(data.name, values, rows, n, how)
    missing = np.bincount(rows, weights=np.isnan(values), minlength=n) > 0
    if how in ("sum", "mean"):
        out = np.bincount(rows, weights=np.nan_to_num(values), minlength=n) / (members if how == "mean" else 1)
    else:
        worst = np.inf if how == "min" else -np.inf
        out = np.full(n, worst)
        (np.minimum if how == "min" else np.maximum).at(out, rows, np.where(np.isnan(values), worst, values))
    return ColumnData(data.name, "float" if how == "mean" else data.dtype, np.where(missing, np.nan, out))


def _counted(name: str, values: Floats, rows: Ints, n: int, how: str) -> ColumnData:
    true = np.bincount(rows, weights=np.nan_to_num(values) != 0, minlength=n)
    missing = np.bincount(rows, weights=np.isnan(values), minlength=n) > 0
    if how == "count":
        return ColumnData(name, "int", np.where(missing, np.nan, true))
    codes = np.where(true > 0, 1, np.where(missing, -1, 0)).astype(np.int32)
    return ColumnData(name, "bool", codes=codes, levels=(False, True))


def _numbers(data: ColumnData, how: str, label: str) -> Floats:
    if data.dtype == "bool" and how in ("any", "count"):
        assert data.codes is not None
        return np.where(data.codes < 0, np.nan, data.codes.astype(np.float64))
    suits = data.values is not None and (data.dtype in ("int", "float") or how in ("min", "max"))
    if not suits or data.values is None:
        raise DataError(f"{label}: {how} does not suit {data.dtype} values; use head, any or count.")
    return data.values


def _head_rows(rows: Ints, n: int, head: NDArray[np.bool_], names: pd.Index[Any], label: str) -> Ints:
    counts = np.bincount(rows[head], minlength=n)
    if (counts != 1).any():
        first = int(np.argmax(counts != 1))
        raise DataError(f"{label}: the group with key {names[first]} has {counts[first]} heads; it needs exactly one.")
    out = np.empty(n, dtype=np.int64)
    out[rows[head]] = np.flatnonzero(head)
    return out
