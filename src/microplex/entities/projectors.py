"""From members to their groups: sums, counts, extremes and the first of a role."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_choice
from microplex.entities.columns import Bools, Ints, as_series, plain, take_values
from microplex.errors import DataError

HOW = ("sum", "count", "any", "all", "min", "max", "mean", "first")
_EXTREMES = {"min": np.minimum, "max": np.maximum}


def aggregate(values: Any, how: str, rows: Ints, n: int, kept: Bools, order: Ints) -> Any:
    """Reduce values of members to one for each group.

    Parameters
    ----------
    values : array or column of length m, or None
        None counts members.
    how : str
        One of `HOW`.
    rows : int64[m]
        Row of each member's group.
    n : int
        Number of groups.
    kept : bool[m]
        Members that count.
    order : int64[m]
        Members sorted by group, in canonical order inside each.

    Returns
    -------
    array or column of length n
        "count" and sums of whole numbers int64, "any" and "all" bool, "mean" float64, others as the values are.
        Missing values make sums, means and extremes missing, and do not count. A group without kept members has sum
        and count 0, any False, all True, and a missing value otherwise; whole numbers are then float64.

    Raises
    ------
    DataError
        If `how` asks for numbers or booleans and the values are others.

    Examples
    --------
    >>> rows, everyone = np.array([0, 0, 1]), np.ones(3, bool)
    >>> aggregate(np.array([1, 2, 3]), "sum", rows, 2, everyone, np.arange(3)).tolist()
    [3, 3]
    """
    check_choice(how, HOW, "how")
    if how == "count":
        present = kept if values is None else kept & as_series(values).notna().to_numpy()
        return np.bincount(rows[present], minlength=n).astype(np.int64)
    if values is None:
        raise DataError(f"how={how!r} needs values; only 'count' goes without.")
    chosen = order if kept.all() else order[kept[order]]
    groups = rows[chosen]
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]]) if groups.size else np.zeros(0, dtype=np.int64)
    found = groups[starts]
    if how == "first":
        return _first(values, chosen[starts], found, n)
    numbers = _numbers(values, how)[chosen]
    if how in ("any", "all"):
        out = np.full(n, how == "all")
        reduce = np.logical_or if how == "any" else np.logical_and
        out[found] = reduce.reduceat(numbers, starts) if starts.size else numbers[:0]
        return out
    reduced = (_EXTREMES.get(how, np.add)).reduceat(numbers, starts) if starts.size else numbers[:0]
    if how == "mean":
        reduced = reduced / np.diff(np.r_[starts, groups.size])
    if how == "sum":
        total = np.zeros(n, dtype=reduced.dtype)
        total[found] = reduced
        return total
    return _spread(reduced, found, n)


def _spread(reduced: NDArray[Any], found: Ints, n: int) -> NDArray[Any]:
    if found.size == n and reduced.dtype.kind != "b":
        return reduced
    out = np.full(n, np.nan)
    out[found] = reduced
    return out


def _first(values: Any, members: Ints, found: Ints, n: int) -> Any:
    if members.size == n:
        return take_values(values, members)
    places = np.full(n, -1, dtype=np.int64)
    places[found] = members
    return take_values(values, places)


def _numbers(values: Any, how: str) -> NDArray[Any]:
    """Return values as numbers, or as booleans for "any" and "all"."""
    series = as_series(values)
    if how in ("any", "all"):
        if series.isna().any():
            row = int(np.argmax(series.isna().to_numpy()))
            raise DataError(f"how={how!r} needs booleans without missing values; row {row} is missing.")
        found = plain(series)
        if found.dtype.kind == "O" and all(isinstance(value, (bool, np.bool_)) for value in found):
            found = found.astype(bool)
        if found.dtype.kind not in "biuf":
            raise DataError(f"how={how!r} needs booleans or numbers; got {series.dtype}.")
        return found.astype(bool)
    if series.dtype.kind not in "biuf" or str(series.dtype) == "category":
        raise DataError(f"how={how!r} needs numbers; got {series.dtype}. Use 'first' or 'count', or make an indicator.")
    if series.isna().any():
        return series.to_numpy(np.float64, na_value=np.nan)
    found = plain(series)
    if found.dtype.kind in "biu":
        return found.astype(np.int64)
    return found.astype(np.float64)
