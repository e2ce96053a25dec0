"""Which zones there are, what they lie in, and which of them each household may live in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError, near_miss
from microplex.frames import ColumnData, Frame, Level, check_frame, column_names, read_column
from microplex.targets.filters import LevelIndex
from microplex.targets.sources import Sources, listed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SIZE = "size"


class Geography:
    """Zones in the order of their keys, with the areas that each lies in.

    Parameters
    ----------
    areas : data frame
        One row a zone.
    area_col : str, optional
        Key; the first column by default.

    Raises
    ------
    ColumnNotFoundError, DataError
        If the key is absent, missing somewhere or repeats, or a size is not a number of at least 0.

    Examples
    --------
    >>> import pandas as pd
    >>> geography = Geography(pd.DataFrame({"zone": ["b", "a"], "county": ["X", "X"]}))
    >>> geography.zones, geography.codes("county").tolist(), geography.place("county", "X")
    (('a', 'b'), [0, 0], 0)
    """

    def __init__(self, areas: Frame, area_col: str | None = None) -> None:
        check_frame(areas)
        names = column_names(areas)
        self.key = names[0] if area_col is None else area_col
        check_columns(names, [self.key], "zone key")
        if self.key == SIZE:
            raise DataError(f"the zone key cannot be called {SIZE!r}; that column holds the sizes of the zones.")
        self.names = [name for name in names if name != SIZE]
        self._sources = Sources(areas)
        codes, _, levels = self._sources.coded("households", self.key)
        _check_key(codes, levels, self.key)
        self._order = np.argsort(codes)
        self.zones: tuple[Level, ...] = tuple(levels[code] for code in codes[self._order])
        self.key_column = read_column(areas, self.key)
        self.sizes = _sizes(areas, self.zones, self._order) if SIZE in names else None
        self._found: dict[str, tuple[Ints, LevelIndex, tuple[Level, ...]]] = {}

    @property
    def order(self) -> NDArray[np.intp]:
        """Row of each zone in the table that was given."""
        return self._order

    def codes(self, name: str) -> Ints:
        """Return the area of every zone: places in `levels`."""
        return self._read(name)[0]

    def levels(self, name: str) -> tuple[Level, ...]:
        """Return the areas of a column."""
        return self._read(name)[2]

    def place(self, name: str, level: Level) -> int | None:
        """Return the place of an area in `levels`, None where there is no such area."""
        return self._read(name)[1].find(level)

    def _read(self, name: str) -> tuple[Ints, LevelIndex, tuple[Level, ...]]:
        if name not in self._found:
            codes, _, levels = self._sources.coded("households", name)
            found = codes[self._order].astype(np.int64)
            if found.min() < 0:
                zone = self.zones[int(np.argmin(found))]
                raise DataError(
                    f"areas: column {name!r} is missing for {int((found < 0).sum())} zones, first for "
                    f"{self.key}={zone!r}. Fill it, or leave the column out."
                )
            used, within = np.unique(found, return_inverse=True)
            kept = tuple(levels[place] for place in used)
            self._found[name] = within, LevelIndex(kept), kept
        return self._found[name]

    def check_nested(self, names: Sequence[str]) -> None:
        """Check that of two columns the areas of the finer lie each in one of the coarser.

        Raises
        ------
        DataError
            One lies in two; it is named.
        """
        chain = sorted(dict.fromkeys(names), key=lambda name: -len(self.levels(name)))
        for child, parent in pairwise(chain):
            own, above = self.codes(child), self.codes(parent)
            first = np.zeros(len(self.levels(child)), dtype=np.int64)
            first[own[::-1]] = above[::-1]
            clash = np.flatnonzero(first[own] != above)
            if clash.size:
                zone = clash[0]
                levels = self.levels(parent)
                raise DataError(
                    f"areas must nest: {child}={self.levels(child)[own[zone]]!r} lies in "
                    f"{parent}={levels[first[own[zone]]]!r} and in {parent}={levels[above[zone]]!r}. Give its parts "
                    "keys of their own, or leave one of the two columns out."
                )


@dataclass(frozen=True, eq=False)
class Homes:
    """Where households may live.

    Parameters
    ----------
    names : tuple of str
        Geographic columns that the household table has.
    of : int64[n]
        Class of each household; those of a class may live in the same zones.
    may : bool[n_classes, n_zones]
    """

    names: tuple[str, ...]
    of: Ints
    may: Bools


def find_homes(households: Frame, geography: Geography, others: Sequence[str]) -> Homes:
    """Find the zones that each household may live in: those of its own area, where it has one.

    Parameters
    ----------
    households : data frame of n rows
    geography : Geography
    others : sequence of str
        Columns that are not geographic, whatever they are called: the weight and the key.

    Returns
    -------
    Homes

    Raises
    ------
    DataError
        If a household can live nowhere.
    """
    present = column_names(households)
    names = tuple(name for name in geography.names if name in present and name not in others)
    if not names:
        return Homes((), np.zeros(len(households), dtype=np.int64), np.ones((1, len(geography.zones)), dtype=bool))
    sources = Sources(households)
    columns = [_own_areas(sources, geography, name) for name in names]
    distinct, of = np.unique(np.stack(columns), axis=1, return_inverse=True)
    may: Bools = np.ones((distinct.shape[1], len(geography.zones)), dtype=bool)
    for name, own in zip(names, distinct, strict=True):
        may = may & (own[:, None] == geography.codes(name))
    of = of.ravel().astype(np.int64)
    somewhere: Bools = np.asarray(may.any(axis=1))
    lost = np.flatnonzero(~somewhere[of])
    if lost.size:
        cells = ", ".join(f"{name}={_level_at(households, name, int(lost[0]))!r}" for name in names)
        have = "; ".join(f"{name}: {listed(geography.levels(name))}" for name in names)
        offer = near_miss(str(_level_at(households, names[0], int(lost[0]))), map(str, geography.levels(names[0])))
        raise DataError(
            f"{lost.size} households have no zone to live in, first row {lost[0]} with {cells}; areas have {have}."
            f"{offer} Add their zones, drop them, or, where {names[0]!r} does not say where a household lives, rename "
            "that column of one table."
        )
    return Homes(names, of, may)


def _own_areas(sources: Sources, geography: Geography, name: str) -> Ints:
    """Return the area of each household in the codes of the geography, -1 where it has none."""
    codes, _, levels = sources.coded("households", name)
    places = [geography.place(name, level) for level in levels]
    moved = np.array([*(-1 if place is None else place for place in places), -1], dtype=np.int64)
    return moved[codes]


def _level_at(frame: Frame, name: str, row: int) -> object:
    column = read_column(frame, name)
    if column.missing[row]:
        return None
    return level_of(column, row)


def level_of(column: ColumnData, row: int) -> Level:
    """Return one value of a column, whole numbers as int.

    Examples
    --------
    >>> level_of(ColumnData("zone", "int", values=np.array([7.0])), 0)
    7
    """
    if column.codes is not None:
        return column.levels[int(column.codes[row])]
    value = float(np.asarray(column.values)[row])
    return int(value) if value.is_integer() else value


def _check_key(codes: NDArray[np.int32], levels: tuple[Level, ...], key: str) -> None:
    if codes.min() < 0:
        raise DataError(
            f"areas: the key {key!r} is missing in {int((codes < 0).sum())} rows, first in row {int(np.argmin(codes))}."
        )
    count = np.bincount(codes, minlength=len(levels))
    if count.max() > 1:
        rows = np.flatnonzero(codes == np.argmax(np.greater(count, 1)))
        raise DataError(
            f"areas must have one row for each zone; {key}={levels[codes[rows[0]]]!r} is in rows {rows[0]} and "
            f"{rows[1]} ({int((count > 1).sum())} zones repeat). Drop the repetitions."
        )


def _sizes(areas: Frame, zones: tuple[Level, ...], order: NDArray[np.intp]) -> Floats:
    column = read_column(areas, SIZE)
    if column.values is None:
        raise DataError(f"areas: column {SIZE!r} must hold numbers; it is {column.dtype}.")
    sizes: Floats = column.values[order]
    bad = np.flatnonzero(~(np.isfinite(sizes) & (sizes >= 0)))
    if bad.size:
        raise DataError(
            f"areas: {SIZE} must be a finite number of at least 0; zone {zones[bad[0]]!r} has {sizes[bad[0]]} "
            f"({bad.size} such zones)."
        )
    if not sizes.any():
        raise DataError(f"areas: every {SIZE} is 0; at least one zone must have households.")
    return sizes
