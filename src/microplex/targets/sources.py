"""The tables that targets are about: households, their persons and tax units, and a crosswalk of areas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import ColumnNotFoundError, DataError, near_miss
from microplex.frames import ColumnData, Frame, Level, check_frame, column_names, n_rows, read_column
from microplex.targets.filters import LevelIndex
from microplex.targets.grammar import Column, columns_of, parse_filter
from microplex.targets.target import Target

Ints = NDArray[np.int32]
_KEYWORD = {"persons": "persons=", "tax_units": "tax_units="}
_ORDER = ("households", "persons", "tax_units")
_EXACT = 2.0**53
_UNIT_KEY = "tax_unit_id"


class Sources:
    """Tables whose rows belong to the rows of a frame.

    Parameters
    ----------
    frame : data frame
        One row a household, or whatever carries the weights.
    persons, tax_units : data frame, optional
        One row a person, a tax unit, with the household in `id_col`.
    id_col : str
        Key of `frame`.
    crosswalk : data frame, optional
        Coarser areas for one column of `frame`, the only one it shares.

    Raises
    ------
    DataError
        If household keys repeat, rows have no household, or the crosswalk does not fit.
    ColumnNotFoundError
        If a table lacks `id_col`.
    """

    def __init__(
        self,
        frame: Frame,
        persons: Frame | None = None,
        tax_units: Frame | None = None,
        id_col: str = "household_id",
        crosswalk: Frame | None = None,
    ) -> None:
        self.tables: dict[str, Frame] = {"households": frame}
        self.tables |= {
            name: table for name, table in (("tax_units", tax_units), ("persons", persons)) if table is not None
        }
        self.home: dict[str, Ints | None] = {"households": None}
        self._read: dict[tuple[str, str, str], ColumnData] = {}
        self._coded: dict[tuple[str, str, str], tuple[Ints, LevelIndex, tuple[Level, ...]]] = {}
        for table in self.tables.values():
            check_frame(table)
        self.names = {name: column_names(table) for name, table in self.tables.items()}
        if len(self.tables) > 1:
            keys = _key(frame, id_col, "frame")
            repeated = np.flatnonzero(keys.duplicated())
            if repeated.size:
                raise DataError(
                    f"frame: {id_col} must be unique; row {repeated[0]} repeats {_plain(keys[repeated[0]])} "
                    f"({repeated.size} such rows)."
                )
            for name in list(self.tables)[1:]:
                self.home[name] = _link(keys, self.tables[name], name, id_col)
        self.unit = self._unit_of_persons()
        self.area = None if crosswalk is None else _Crosswalk(frame, crosswalk)
        self.names["crosswalk"] = [] if self.area is None else self.area.names

    def rows(self, entity: str) -> int:
        """Return the number of rows of a table."""
        return n_rows(self.tables[entity])

    def entity_of(self, target: Target) -> str:
        """Return the table that a target counts or sums.

        Raises
        ------
        DataError
            If the table was not passed.
        ColumnNotFoundError
            If no table has the columns.
        """
        wanted = _columns_of(target)
        if target.entity is None:
            for entity in _ORDER:
                if entity in self.tables and self._missing(entity, target, wanted) is None:
                    return entity
            raise self._complaint(target, "households", wanted)
        if target.entity not in self.tables:
            raise DataError(
                f"target {target.name!r} is about {target.entity}: pass {_KEYWORD[target.entity]}, the table with one "
                f"row for each of them, or leave entity out if they are the rows of the frame."
            )
        if self._missing(target.entity, target, wanted) is not None:
            raise self._complaint(target, target.entity, wanted)
        return target.entity

    def column(self, entity: str, column: Column) -> ColumnData:
        """Return a column for the rows of a table, that of a larger unit repeated for its members."""
        source = self._source(entity, column)
        if source is None:
            check_columns(self.names[entity], [column.name], entity)
            raise ColumnNotFoundError(f"column {column.name!r} not in {column.table!r}.")
        key = (entity, source, column.name)
        if key not in self._read:
            self._read[key] = self._fetch(entity, source, column.name)
        return self._read[key]

    def _fetch(self, entity: str, source: str, name: str) -> ColumnData:
        place = self._place(entity, source)
        if place is not None:
            found = self.column("households" if source == "crosswalk" else source, Column(name))
            if found.codes is not None:
                return replace(found, codes=found.codes[place])
            return replace(found, values=np.asarray(found.values)[place])
        if source == "crosswalk" and self.area is not None:
            return self.area.column(name)
        return read_column(self.tables[source], name)

    def coded(self, entity: str, name: str) -> tuple[Ints, LevelIndex, tuple[Level, ...]]:
        """Return the codes of a column for the rows of a table, -1 where missing, and its levels."""
        source = self._source(entity, Column(name)) or entity
        key = (entity, source, name)
        if key not in self._coded:
            if (place := self._place(entity, source)) is not None:
                codes, index, levels = self.coded("households" if source == "crosswalk" else source, name)
                codes = codes[place]
            else:
                codes, levels = _factorised(self.column(entity, Column(name)))
                index = LevelIndex(levels)
            self._coded[key] = (codes, index, levels)
        return self._coded[key]

    def _source(self, entity: str, column: Column) -> str | None:
        """Return which table gives a column to the rows of another."""
        order = {"households": (), "tax_units": ("households",), "persons": ("tax_units", "households")}[entity]
        for table in (entity, *order, "crosswalk"):
            usable = table != "tax_units" or entity == table or self.unit is not None
            if usable and column.name in self.names.get(table, ()) and column.table in (None, table):
                return table
        return None

    def _place(self, entity: str, source: str) -> Ints | None:
        if source == entity or (entity == "households" and source == "crosswalk"):
            return None
        return self.unit if source == "tax_units" else self.home[entity]

    def _unit_of_persons(self) -> Ints | None:
        if not all(_UNIT_KEY in self.names.get(name, ()) for name in ("tax_units", "persons")):
            return None
        keys = _key(self.tables["tax_units"], _UNIT_KEY, "tax_units")
        if keys.has_duplicates:
            raise DataError(f"tax_units: {_UNIT_KEY} must be unique.")
        return _link(keys, self.tables["persons"], "persons", _UNIT_KEY)

    def _missing(self, entity: str, target: Target, wanted: list[Column]) -> Column | None:
        """Return the first column that a target on a table cannot have."""
        own = [name for name in (target.variable, target.denominator) if name is not None]
        for name in own:
            if name not in self.names[entity]:
                return Column(name, entity)
        return next((column for column in wanted if self._source(entity, column) is None), None)

    def _complaint(self, target: Target, entity: str, wanted: list[Column]) -> ColumnNotFoundError:
        column = self._missing(entity, target, wanted)
        name = "" if column is None else column.name
        holders = [table for table in self.tables if name in self.names[table]]
        known = list(dict.fromkeys(known for names in self.names.values() for known in names))
        table = "the frame" if entity == "households" else entity
        text = f"target {target.name!r}: column {name!r} is not in {table}."
        if holders and holders != [entity]:
            others = ", ".join(holders)
            text += f" It is a column of {others}: the other columns must belong to the same unit or a larger one."
        else:
            text += near_miss(name, known)
            if target.where and any(column.name == name for column in columns_of(parse_filter(target.where))):
                text += " In a filter, text stands in quotes: state == 'CA'."
            absent = [keyword for key, keyword in _KEYWORD.items() if key not in self.tables]
            if absent:
                text += f" If it is a column of persons or tax units, pass that table ({' or '.join(absent)})."
            text += f" Available: {', '.join(known[:20])}{' ...' if len(known) > 20 else ''}."
        return ColumnNotFoundError(text)


class _Crosswalk:
    """Coarser areas of the rows of a frame."""

    def __init__(self, frame: Frame, crosswalk: Frame) -> None:
        check_frame(crosswalk)
        names = column_names(crosswalk)
        shared = [name for name in names if name in column_names(frame)]
        if len(shared) != 1:
            held = ", ".join(map(repr, shared)) or "none"
            raise DataError(
                f"crosswalk and frame must share one column; they share {held}. "
                + ("Keep the finest of them." if shared else f"The crosswalk has {', '.join(map(repr, names))}.")
            )
        self.key, self.table = shared[0], crosswalk
        self.names = [name for name in names if name != self.key]
        self.codes, self.levels = _factorised(read_column(frame, self.key))
        own, own_levels = _factorised(read_column(crosswalk, self.key))
        first = np.full(len(own_levels) + 1, -1)
        first[own[::-1]] = np.arange(len(own))[::-1]
        self.own, self.first = own, first
        index = LevelIndex(own_levels)
        places = [index.find(level) for level in self.levels]
        used = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels)) > 0
        lost = [level for level, place, use in zip(self.levels, places, used, strict=True) if place is None and use]
        if lost:
            raise DataError(
                f"crosswalk has no row for {self.key}={_shown(lost[0])} of the frame ({len(lost)} such areas)."
            )
        self.row = np.array([*(-1 if place is None else first[place] for place in places), -1])

    def column(self, name: str) -> ColumnData:
        """Return a column for the rows of the frame; rows of one key must agree."""
        found = read_column(self.table, name)
        codes, levels = _factorised(found)
        clash = np.flatnonzero(codes[self.first[self.own]] != codes)
        if clash.size:
            row = int(clash[0])
            key = read_column(self.table, self.key)
            shown = key.levels[key.codes[row]] if key.codes is not None else np.asarray(key.values)[row]
            values = [levels[codes[i]] if codes[i] >= 0 else None for i in (self.first[self.own[row]], row)]
            raise DataError(
                f"crosswalk: {self.key}={_shown(shown)} has several rows, with {name}={_shown(values[0])} and "
                f"{name}={_shown(values[1])}. Each {self.key} must have one."
            )
        rows = self.row[self.codes]
        taken = np.where(rows < 0, -1, codes[rows]).astype(np.int32)
        return ColumnData(name, found.dtype if found.codes is not None else "category", codes=taken, levels=levels)


def _factorised(column: ColumnData) -> tuple[Ints, tuple[Level, ...]]:
    """Return the codes and levels of a column of any kind but dates."""
    if column.codes is not None:
        return column.codes, column.levels
    if column.dtype in ("date", "datetime"):
        raise DataError(f"column {column.name!r} holds dates, which make no cells. Make a column of text from it.")
    codes, levels = pd.factorize(np.asarray(column.values), sort=False)
    order = np.argsort(levels)
    ranks = np.empty(len(order) + 1, np.int32)
    ranks[order], ranks[-1] = np.arange(len(order)), -1
    return ranks[codes], tuple(int(v) if v.is_integer() else v for v in levels[order].tolist())


def _key(table: Frame, id_col: str, role: str) -> pd.Index:
    check_columns(column_names(table), [id_col], f"{role} id")
    column = read_column(table, id_col)
    missing = np.flatnonzero(column.missing)
    if missing.size:
        raise DataError(f"{role}: {id_col} is missing in {missing.size} rows, first in row {missing[0]}.")
    if column.codes is not None:
        texts: pd.Index = pd.Index(np.array(column.levels, dtype=object)[column.codes], dtype=object)
        return texts
    values = np.asarray(column.values)
    if (large := np.flatnonzero(np.abs(values) >= _EXACT)).size:
        raise DataError(f"{role}: {id_col} in row {large[0]} is too large to be exact as a number. Make it text.")
    whole = values.astype(np.int64)
    return pd.Index(whole if (whole == values).all() else values)


def _link(keys: pd.Index, table: Frame, role: str, id_col: str) -> Ints:
    """Return the row of each member's unit."""
    own = _key(table, id_col, role)
    if (own.dtype == object) != (keys.dtype == object):
        raise DataError(f"{id_col} is text in one table and a number in {role} or the other way round. Use one type.")
    ordered = own.dtype != object and keys.is_monotonic_increasing
    if ordered:
        place = np.minimum(np.searchsorted(keys.to_numpy(), own.to_numpy()), len(keys) - 1)
        place[keys.to_numpy()[place] != own.to_numpy()] = -1
    else:
        place = keys.get_indexer(own)
    lost = np.flatnonzero(place < 0)
    if lost.size:
        raise DataError(
            f"{role}: {lost.size} rows have no row to belong to, first row {lost[0]} with {id_col}="
            f"{_plain(own[lost[0]])!r}. Drop them or add their households."
        )
    return place.astype(np.int32)


def _columns_of(target: Target) -> list[Column]:
    found = [Column(name) for name in target.by]
    if target.where is not None:
        found += columns_of(parse_filter(target.where))
    return list(dict.fromkeys(found))


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _shown(level: object) -> str:
    level = _plain(level)
    return repr(int(level) if isinstance(level, float) and level.is_integer() else level)


def listed(values: Iterable[object], most: int = 6) -> str:
    """Join values, the first of a long list.

    Examples
    --------
    >>> listed(["CA", "NY", "TX"], most=2)
    "'CA', 'NY', ... (3)"
    """
    words = [_shown(value) for value in values]
    return ", ".join(words[:most]) + (f", ... ({len(words)})" if len(words) > most else "")
