"""The table under repair: cells are written in the type of their column, and every change is noted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from microplex._random import row_keys
from microplex.errors import ConstraintError, DataError, MicroplexError
from microplex.frames import ColumnData, Frame, column_names, frame_kind, read_column
from microplex.hierarchy.enforce_changes import Change, ChangeLog
from microplex.hierarchy.members import Floats, Ints, Members
from microplex.hierarchy.rules_quantities import differs


class Draft:
    """A table of persons under repair.

    Parameters
    ----------
    frame : data frame
        It is not changed.
    read : callable
        Makes the `Members` of a frame.
    relationship : str, optional
        Column with the relationship to the head.
    role_codes : callable
        Gives the file's code of a role.
    member_id : str, optional
        Column that tells the members of a household apart.
    """

    def __init__(
        self,
        frame: Frame,
        members: Members,
        relationship: str | None,
        role_code: Callable[[str], Any],
        member_id: str | None,
    ) -> None:
        self.original = frame
        self.frame = frame
        self.members = members
        self.relationship = relationship
        self.role_code = role_code
        self.member_id = member_id
        self.touched = np.zeros(members.n, dtype=bool)
        self.changes: list[Change] = []
        members.lookup = lambda name: read_column(self.frame, name)

    def take(self, column: str, rows: Ints, source: Ints, rule: object) -> None:
        """Copy cells of a column: row `rows[i]` gets the value of row `source[i]`."""
        every = np.arange(self.members.n)
        every[rows] = source
        self._replace(column, rows, lambda native: _taken(native, every), rule)

    def put(self, column: str, rows: Ints, values: Sequence[Any] | NDArray[Any], rule: object) -> None:
        """Write values into cells of a column, in its type."""
        self._replace(column, rows, lambda native: _written(native, rows, values, column, rule), rule)

    def put_roles(self, rows: Ints, role: str, rule: object) -> None:
        """Give members a role."""
        members = self.members
        assert members.roles is not None
        if role not in members.role_names:
            members.role_names = (*members.role_names, role)
        roles = members.roles.copy()
        roles[rows] = members.role_names.index(role)
        members.roles = roles
        if self.relationship is None:
            raise ConstraintError(f"'{rule}': roles by position cannot be changed. Name a relationship= column.")
        self.put(self.relationship, rows, [self.role_code(role)] * len(rows), rule)

    def note(self, rule: object, kind: str, column: str, rows: Ints, moved: Floats | None) -> None:
        """Write down what a rule changed."""
        members = self.members
        self.touched[rows] = True
        households = len(np.unique(members.units["household"].of[rows]))
        weight = members.weights[rows]
        amount = np.nan if moved is None else float(np.sort(weight * np.abs(moved)).sum())
        share = float(np.sort(weight).sum() / np.sort(members.weights).sum())
        self.changes.append(Change(str(rule), kind, column, len(rows), households, share, amount))

    def log(self) -> ChangeLog:
        """Return what was changed."""
        members = self.members
        household = members.units["household"]
        share = float(members.weights[self.touched].sum() / members.weights.sum())
        touched = len(np.unique(household.of[self.touched]))
        return ChangeLog(
            tuple(self.changes), members.n, household.count, int(self.touched.sum()), touched, share
        )  # fmt: skip

    def keys(self, level: str, units: Ints) -> NDArray[np.uint64]:
        """Return the keys of the random streams of units."""
        return self.members.units[level].random_keys(units)

    def order(self, rows: Ints, level: str = "household") -> tuple[Ints, Ints]:
        """Return members sorted by unit, role, age (the oldest first) and what else tells them apart.

        Parameters
        ----------
        rows : int64[k]
            All members of the units wanted.
        level : str
            Kind of unit.

        Returns
        -------
        tuple of int64[k], int64[k]
            The rows in order, and the place of each in its unit. It does not depend on the order of rows, unless two
            are alike in every column.
        """
        members = self.members
        unit = members.units[level].of[rows]
        role = np.zeros(len(rows), dtype=np.int64) if members.roles is None else members.roles[rows]
        age = self._age()[rows]
        keys = [-age, role, unit]
        if self.member_id is not None:
            keys.insert(0, _rank(read_column(self.original, self.member_id))[rows])
        by = np.lexsort(keys)
        same = np.ones(len(rows), dtype=bool)
        same[:1] = False
        for key in keys:
            line = key[by]
            same[1:] &= ~differs(line[1:], line[:-1])
        if same.any():
            by = self._untie(rows, by, np.cumsum(~same))
        unit = unit[by]
        starts = np.flatnonzero(np.concatenate([[True], unit[1:] != unit[:-1]]))
        place = np.arange(len(by)) - np.repeat(starts, np.diff([*starts.tolist(), len(by)]))
        return rows[by], place

    def _age(self) -> Floats:
        name = self.members.age_col
        if name not in column_names(self.original):
            return np.zeros(self.members.n)
        values = read_column(self.original, name).values
        return np.zeros(self.members.n) if values is None else values

    def _untie(self, rows: Ints, by: Ints, group: Ints) -> Ints:
        """Sort members of one role and age by all other columns."""
        tied = np.flatnonzero(np.bincount(group)[group] > 1)
        some = _rows_of(self.original, rows[by[tied]])
        keys: list[Any] = []
        for name in sorted(column_names(self.original), reverse=True):
            try:
                keys.append(_rank(read_column(some, name)))
            except MicroplexError:  # a column of a type that cannot be read cannot sort either
                continue
        moved = np.lexsort([*keys, group[tied]])
        by = by.copy()
        by[tied] = by[tied[moved]]
        return by

    def _replace(self, column: str, rows: Ints, change: Callable[[Any], Any], rule: object) -> None:
        kind = type(rule).__name__ if not isinstance(rule, str) else "AgeGap"
        if not len(rows):
            self.note(rule, kind, column, rows, None)
            return
        old = self._raw(column)
        self.frame = _with_column(self.frame, column, change)
        self.members.forget(column)
        new = self._raw(column)
        if old.codes is None and new.codes is None and old.values is not None and new.values is not None:
            before, after = old.values[rows], new.values[rows]
            changed = differs(after, before)
            moved = np.nan_to_num(after - before)[changed] if old.dtype in ("int", "float") else None
        else:
            changed, moved = np.ones(len(rows), dtype=bool), None
        self.note(rule, kind, column, rows[changed], moved)

    def _raw(self, column: str) -> ColumnData:
        if column in self.members.role_cols:
            return read_column(self.frame, column)
        return self.members.column(column)


def _rank(column: ColumnData) -> Any:
    """Return what sorts a column the same way whatever other rows there are."""
    return column.values if column.codes is None else column.codes


def _rows_of(frame: Frame, rows: Ints) -> Frame:
    kind = frame_kind(frame)
    if kind == "pandas":
        return frame.iloc[rows]
    return frame.take(rows) if kind == "arrow" else frame[rows]


def _with_column(frame: Frame, name: str, change: Callable[[Any], Any]) -> Frame:
    kind = frame_kind(frame)
    if kind == "pandas":
        out = frame.copy(deep=False)
        out[name] = change(frame[name])
        return out
    if kind == "arrow":
        place = frame.column_names.index(name)
        return frame.set_column(place, frame.schema.field(place), change(frame[name]))
    return frame.with_columns(change(frame[name]).alias(name))


def _taken(native: Any, rows: Ints) -> Any:
    if isinstance(native, pd.Series):
        return pd.Series(native.array.take(rows), index=native.index, dtype=native.dtype, copy=False)
    return native.take(pa.array(rows)) if isinstance(native, pa.ChunkedArray) else native.gather(rows)


def _written(native: Any, rows: Ints, values: Sequence[Any] | NDArray[Any], column: str, rule: object) -> Any:
    try:
        if isinstance(native, pd.Series):
            return _written_pandas(native, rows, values)
        if isinstance(native, pa.ChunkedArray):
            return _written_arrow(native, rows, values)
        dtype = nw.from_native(native, series_only=True).dtype
        given = nw.new_series("value", _typed(dtype.is_integer(), values), backend="polars").cast(dtype)
        return native.clone().scatter(rows, given.to_native())
    except (TypeError, ValueError, OverflowError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise _cannot_hold(native, values, column, rule, error) from error
    except Exception as error:  # polars has exceptions of its own, and may be absent
        if not type(error).__module__.startswith("polars"):
            raise
        raise _cannot_hold(native, values, column, rule, error) from error


def _written_pandas(native: pd.Series[Any], rows: Ints, values: Any) -> pd.Series[Any]:
    dtype = native.dtype
    array = native.array.copy()
    if isinstance(dtype, np.dtype) and dtype.kind in "iu":
        limits, whole = np.iinfo(dtype.name), np.rint(np.asarray(values, dtype=np.float64))
        if (whole < limits.min).any() or (whole > limits.max).any():
            raise OverflowError(f"{whole[(whole < limits.min) | (whole > limits.max)][0]:g} is out of range")
        array[rows] = whole.astype(dtype)
    elif isinstance(dtype, np.dtype) and dtype.kind == "f":
        array[rows] = np.asarray(values, dtype=dtype)
    else:
        old = native.iloc[int(np.argmax(native.notna().to_numpy()))]
        typed = _typed(isinstance(old, int | np.integer) and not isinstance(old, bool), values)
        listed = typed.tolist() if isinstance(typed, np.ndarray) else typed
        array[rows] = np.array(listed, dtype=object) if native.dtype.kind == "O" else listed
    return pd.Series(array, index=native.index, dtype=dtype, copy=False)


def _written_arrow(native: pa.ChunkedArray, rows: Ints, values: Any) -> Any:
    order = np.argsort(rows, kind="stable")
    listed = values[order] if isinstance(values, np.ndarray) else [values[i] for i in order]
    mask = np.zeros(len(native), dtype=bool)
    mask[rows] = True
    kind = native.type
    array = native.combine_chunks()
    if pa.types.is_dictionary(kind):
        levels = array.dictionary.to_pylist()
        places = pa.array([levels.index(value) for value in listed], type=kind.index_type)
        codes = pc.replace_with_mask(array.indices, pa.array(mask), places)
        return pa.DictionaryArray.from_arrays(codes, array.dictionary, ordered=kind.ordered)
    given = pa.array(_typed(pa.types.is_integer(kind), listed)).cast(kind)
    return pc.replace_with_mask(array, pa.array(mask), given)


def _typed(whole: bool, values: Any) -> Any:
    """Return values as whole numbers where the column holds such: an array, or a list."""
    if isinstance(values, np.ndarray):
        return np.rint(values).astype(np.int64) if whole else values
    return [round(v) if isinstance(v, float) else v for v in values] if whole else list(values)


def _cannot_hold(native: Any, values: Any, column: str, rule: object, error: Exception) -> DataError:
    dtype = native.type if isinstance(native, pa.ChunkedArray) else native.dtype
    first = next(iter(values), None)
    return DataError(
        f"'{rule}' writes values such as {first!r} into column {column!r}, whose type {dtype} cannot hold them all "
        f"({error}). Convert the column to a wider type."
    )


def stream_of(rule: object) -> int:
    """Return the random stream of a rule, the same whatever other rules there are."""
    return int(row_keys([f"hierarchy: {rule}"])[0])
