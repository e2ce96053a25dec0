"""Targets of areas as combinations of few household totals, and households that are alike in all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex.areas.geography import Geography
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import Frame, Level
from microplex.targets import Target, TargetSet, build_design
from microplex.targets.sources import Sources, listed
from microplex.targets.target import match_key

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Cell: TypeAlias = dict[str, Level]

REGION = "region"
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Measures:
    """What the targets ask of a household, wherever it lives.

    Parameters
    ----------
    targets : TargetSet
        m targets.
    levels : tuple of str
        Geographic column of each target, "region" for none.
    areas : int64[m]
        Place of its area among those of the column.
    design : csr_array of shape (k, n)
        Household totals, one row a definition.
    mix : csr_array of shape (m, k)
        The targets as combinations of them, in the linear form of `TargetDesign`.
    mix_below : csr_array of shape (m, k)
        What a mean, ratio, share or quantile is divided by; empty rows for totals.
    base : float64[n]
        Base weights.
    """

    targets: TargetSet
    levels: tuple[str, ...]
    areas: Ints
    design: sp.csr_array
    mix: sp.csr_array
    mix_below: sp.csr_array
    base: Floats


@dataclass(frozen=True)
class Tables:
    """The tables that targets are about."""

    households: Frame
    persons: Frame | None
    tax_units: Frame | None
    id_col: str
    weight_col: str | None


def place_targets(targets: TargetSet, geography: Geography) -> tuple[tuple[str, ...], Ints]:
    """Return the geographic column of each target and the place of its area.

    Raises
    ------
    ParameterError
        If a target has two geographic columns, or is a share of an area.
    DataError
        If there is no such area; all are named.
    """
    known = set(geography.names)
    levels, places, unknown = [], [], []
    for target in targets:
        own = [name for name in target.by if name in known]
        if len(own) > 1:
            raise ParameterError(
                f"target {target.name!r} has {len(own)} geographic columns, {' and '.join(map(repr, own))}; give the "
                f"finest alone: areas know what {own[0]!r} lies in."
            )
        if own and target.statistic == "share":
            raise ParameterError(
                f"target {target.name!r}: the share of an area may be that of the region that lives there, or one "
                "within it. Give a total, or within the area the mean of a column of 0 and 1."
            )
        place = geography.place(own[0], target.by[own[0]]) if own else 0
        if place is None:
            unknown.append((target, own[0]))
        levels.append(own[0] if own else REGION)
        places.append(-1 if place is None else place)
    if unknown:
        raise DataError("\n".join(_unknown(geography, unknown)))
    return tuple(levels), np.array(places, dtype=np.int64)


def _unknown(geography: Geography, unknown: list[tuple[Target, str]]) -> Iterator[str]:
    for target, name in unknown[:_SHOWN]:
        have = geography.levels(name)
        offer = near_miss(str(target.by[name]), map(str, have))
        yield f"target {target.name!r}: no zone lies in {name}={target.by[name]!r} (areas have {listed(have)}).{offer}"
    if len(unknown) > _SHOWN:
        yield f"and {len(unknown) - _SHOWN} more targets of areas that are not in the table."


def measure(tables: Tables, targets: TargetSet, geography: Geography, on_infeasible: str) -> Measures:
    """Evaluate every distinct definition once on the households, and put the targets together from them.

    A mean m of x is the total of x less m times the count, so that all zones share two definitions whatever their
    means are.

    Parameters
    ----------
    tables : Tables
    targets : TargetSet
    geography : Geography
    on_infeasible : {"raise", "keep"}
        As in `build_design`, which checks the tables and the definitions.

    Returns
    -------
    Measures
    """
    levels, areas = place_targets(targets, geography)
    book = _Book(tables, set(geography.names))
    top, below = _Cells(), _Cells()
    for j, target in enumerate(targets):
        for definition, coefficient in book.parts(target):
            top.add(j, definition, coefficient)
        divisor = book.divisor(target)
        if divisor is not None:
            below.add(j, divisor, 1.0)
    built = build_design(
        tables.households,
        TargetSet(book.definitions),
        weight_col=tables.weight_col,
        persons=tables.persons,
        tax_units=tables.tax_units,
        id_col=tables.id_col,
        on_infeasible=on_infeasible,
    )
    shape = len(targets), len(book.definitions)
    mix, mix_below = top.matrix(shape), below.matrix(shape)
    used = np.unique(np.concatenate([mix.indices, mix_below.indices]))
    mix, mix_below, design = sp.csr_array(mix[:, used]), sp.csr_array(mix_below[:, used]), built.design[used]
    base = built.base if tables.weight_col is not None else _level_of_base(targets, levels, mix, design)
    return Measures(targets, levels, areas, sp.csr_array(design), mix, mix_below, base)


class _Cells:
    """Cells of a sparse matrix, one after the other."""

    def __init__(self) -> None:
        self._cells: list[tuple[int, int, float]] = []

    def add(self, row: int, column: int, value: float) -> None:
        self._cells.append((row, column, value))

    def matrix(self, shape: tuple[int, int]) -> sp.csr_array:
        rows, columns, values = zip(*self._cells, strict=True) if self._cells else ((), (), ())
        at = np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)
        return sp.csr_array(sp.coo_array((np.array(values, dtype=np.float64), at), shape=shape).tocsr())


class _Book:
    """Definitions of household totals, each entered once, whatever the areas and figures of the targets."""

    def __init__(self, tables: Tables, geographic: set[str]) -> None:
        self.definitions: list[Target] = []
        self._geographic = geographic
        self._place: dict[tuple[object, ...], int] = {}
        self._entity: dict[tuple[object, ...], str] = {}
        self._sources = Sources(tables.households, tables.persons, tables.tax_units, tables.id_col)

    def parts(self, target: Target) -> list[tuple[int, float]]:
        """Return the definitions that the row of a target consists of, with their coefficients."""
        cell, entity = self._cell_of(target)
        if target.statistic == "total":
            return [(self._enter(target, target.variable, cell, target.total, entity), 1.0)]
        if target.statistic == "quantile":
            # The row of probability 1/2 less a multiple of the count is that of any other probability.
            key = ("quantile", entity, target.variable, target.where, _key(cell), target.total)
            own = self._entered(key, replace(target, by=cell, entity=entity, probability=0.5))
            return [(own, 1.0), (self._divisor(target, cell, entity), 0.5 - target.value)]
        divisor = self._divisor(target, cell, entity)
        own = self._enter(target, target.variable, cell, 0.0, entity)
        return [(own, 1.0), (divisor, -target.value)]

    def divisor(self, target: Target) -> int | None:
        """Return the definition of the denominator of a target, None for a total."""
        return None if target.statistic == "total" else self._divisor(target, *self._cell_of(target))

    def _divisor(self, target: Target, cell: Cell, entity: str) -> int:
        # A figure of 1 makes `build_design` refuse, with its words, a cell that no record has.
        count = self._enter(target, None, cell, float(target.statistic != "share" or target.value > 0), entity)
        if target.statistic == "share":
            return self._enter(target, target.variable, {}, 0.0, entity)
        return self._enter(target, target.denominator, cell, 0.0, entity) if target.denominator else count

    def _enter(self, target: Target, variable: str | None, cell: Cell, total: float, entity: str | None) -> int:
        key = ("total", entity, variable, target.where, _key(cell))
        if key not in self._place:
            return self._entered(key, Target(total, variable, cell, target.where, entity, name=target.name))
        place = self._place[key]
        if abs(total) > abs(self.definitions[place].total):
            self.definitions[place] = replace(self.definitions[place], total=total, name=target.name)
        return place

    def _entered(self, key: tuple[object, ...], definition: Target) -> int:
        if key not in self._place:
            self._place[key] = len(self.definitions)
            self.definitions.append(definition)
        return self._place[key]

    def _cell_of(self, target: Target) -> tuple[Cell, str]:
        """Return the cell of a target without its area, and the table that it counts or sums."""
        cell = {name: level for name, level in target.by.items() if name not in self._geographic}
        key = (target.entity, target.variable, target.denominator, target.where, tuple(cell))
        if key not in self._entity:
            self._entity[key] = self._sources.entity_of(replace(target, by=cell))
        return cell, self._entity[key]


def _key(cell: Cell) -> tuple[object, ...]:
    return tuple(sorted((name, match_key(level)) for name, level in cell.items()))


def _level_of_base(targets: TargetSet, levels: tuple[str, ...], rows: sp.csr_array, design: sp.csr_array) -> Floats:
    """Return equal weights at which the first count of households over all areas of a column holds."""
    sums = rows @ (design @ np.ones(design.shape[1]))
    usable = [j for j, t in enumerate(targets) if t.statistic == "total" and sums[j] * t.total > 0]
    counts = [j for j in usable if targets[j].variable is None]
    level = 1.0
    if usable:
        first = (counts or usable)[0]
        own = rows[[first]].indices[0]
        alike = [j for j in usable if levels[j] == levels[first] and rows[[j]].indices[0] == own]
        level = sum(targets[j].total for j in alike) / sums[first]
    return np.full(design.shape[1], level)


def collapse(design: sp.csr_array, classes: Ints) -> tuple[Ints, Ints]:
    """Find households that are alike in everything that targets ask.

    Parameters
    ----------
    design : csr_array of shape (m, n)
    classes : int64[n]
        Households of different classes are not alike.

    Returns
    -------
    first : int64[n_patterns]
        One household of each pattern; patterns are sorted by class.
    pattern : int64[n]

    Notes
    -----
    Columns are compared by two random projections; equal columns give equal sums, bit by bit.

    Examples
    --------
    >>> collapse(sp.csr_array([[1.0, 2.0, 1.0]]), np.array([0, 0, 0]))[1].tolist() in ([0, 1, 0], [1, 0, 1])
    True
    """
    records = sp.csr_array(design.T.tocsr())
    records.sort_indices()
    noise = np.random.Generator(np.random.Philox(11)).normal(size=(records.shape[1], 2))
    keys = records @ noise
    order = np.lexsort((keys[:, 1], keys[:, 0], classes))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(classes[order]) != 0) | (np.diff(keys[order], axis=0) != 0).any(axis=1)
    pattern = np.empty(len(order), dtype=np.int64)
    pattern[order] = np.cumsum(new) - 1
    return order[new], pattern
