"""Rows of the design: targets that measure the same thing in cells of the same columns are built in one pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex._validation import check_finite
from microplex.errors import DataError, near_miss
from microplex.frames import Level
from microplex.targets.filters import as_numbers, evaluate
from microplex.targets.grammar import Column, columns_of, parse_filter
from microplex.targets.sources import Sources, listed
from microplex.targets.target import Target, match_key

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.integer[Any]]

_LARGEST_TABLE = 1 << 22


@dataclass(frozen=True)
class Group:
    """Targets of one statistic of one variable, over one domain, in distinct cells of the same columns."""

    entity: str
    statistic: str
    variable: str | None
    denominator: str | None
    where: str | None
    columns: tuple[str, ...]
    places: tuple[int, ...] = ()  # in the list of targets
    cells: tuple[tuple[Level, ...], ...] = ()

    @property
    def cell_key(self) -> tuple[object, ...]:
        """What decides the cell of each record."""
        return (self.entity, self.where or "", self.columns, tuple(tuple(map(match_key, cell)) for cell in self.cells))


@dataclass(eq=False)
class Rows:
    """Rows of one group.

    Attributes
    ----------
    design : csr_array of shape (k, n)
        Coefficients of the linearised targets.
    denominator : csr_array of shape (u, n) or None
        What a mean, ratio, share or quantile is divided by; None for totals.
    denominator_of : int64[k]
        Row of `denominator` of each target.
    support : csr_array of shape (k, n)
        Records in the cell; `design` itself for totals.
    """

    design: sp.csr_array
    denominator: sp.csr_array | None
    denominator_of: Ints
    support: sp.csr_array


@dataclass(eq=False)
class Builder:
    """Builds groups one after the other, and remembers the last cells and the filters."""

    sources: Sources
    unknown: dict[int, str] = field(default_factory=dict)  # target -> why no record can have its cell
    _domains: dict[tuple[str, str], Ints] = field(default_factory=dict)  # the last one
    _last: tuple[tuple[object, ...], tuple[Ints | None, Ints]] | None = None

    def build(self, group: Group, targets: Sequence[Target]) -> Rows:
        """Return the rows of a group."""
        rows, cell = self._cells(group, targets)
        values = np.array([target.total for target in targets])
        k, first = len(targets), targets[0]
        if group.statistic == "share":
            return self._shares(group, rows, cell, values, targets)
        rows, cell = _kept(cell >= 0, rows, cell)
        if group.statistic == "total":
            design = self._matrix(group, rows, cell, self._numbers(group, group.variable, rows, first), k)
            return Rows(design, None, np.full(k, -1), design)
        x = self._numbers(group, group.variable, rows, first)
        ones = np.ones(len(cell))
        denominator = ones
        if group.statistic == "quantile":
            p = np.array([target.value for target in targets])
            coefficients = (_full(x, len(cell)) <= values[cell]) - p[cell]
        else:
            if group.statistic == "ratio":
                denominator = _full(self._numbers(group, group.denominator, rows, first), len(cell))
            coefficients = _full(x, len(cell)) - values[cell] * denominator
        support = self._matrix(group, rows, cell, ones, k)
        below = support if group.statistic != "ratio" else self._matrix(group, rows, cell, denominator, k)
        return Rows(self._matrix(group, rows, cell, coefficients, k), below, np.arange(k), support)

    def _shares(self, group: Group, rows: Ints | None, cell: Ints, values: Floats, targets: Sequence[Target]) -> Rows:
        """Return rows of shares: x times (1 in the cell, less the share) over the whole domain."""
        x = self._numbers(group, group.variable, rows, targets[0])
        k = len(targets)
        top = self._matrix(group, rows, cell, x, k)
        domain = self._matrix(group, rows, np.zeros_like(cell), x, 1)
        below = sp.csr_array(sp.csr_array(values[:, None]) @ domain)
        design = sp.csr_array(top - below)
        return Rows(design, domain, np.zeros(k, dtype=np.int64), top)

    def _matrix(self, group: Group, rows: Ints | None, cell: Ints, values: Floats | None, k: int) -> sp.csr_array:
        """Return the matrix with `values` at (cell, household of the row), those of one place summed."""
        keep = cell >= 0
        if values is not None:
            keep &= values != 0
        values = values if values is None or keep.all() else values[keep]
        rows, cell = _kept(keep, rows, cell)
        home = self.sources.home[group.entity]
        columns = np.arange(len(cell)) if rows is None else rows
        columns = columns if home is None else home[columns]
        data = np.ones(len(cell)) if values is None else values
        shape = (k, self.sources.rows("households"))
        matrix = sp.csr_array(
            sp.coo_array((data, (cell.astype(np.int32), columns.astype(np.int32))), shape=shape).tocsr()
        )
        if home is not None:
            matrix.eliminate_zeros()
        return matrix

    def _cells(self, group: Group, targets: Sequence[Target]) -> tuple[Ints | None, Ints]:
        """Return the rows of the domain (None: all) and the target of each of them, -1 for none."""
        key = group.cell_key
        if self._last is None or self._last[0] != key:
            rows = self._domain(group.entity, group.where, targets[0])
            size = self.sources.rows(group.entity) if rows is None else len(rows)
            self._last = (key, (rows, self._cell_of(group, targets, rows, size)))
        else:
            self._note_unknown(group)
        return self._last[1]

    def _cell_of(self, group: Group, targets: Sequence[Target], rows: Ints | None, size: int) -> Ints:
        if not group.columns:
            return np.zeros(size, dtype=np.int32)
        number: Ints = np.zeros(size, dtype=np.int64)
        inside: NDArray[np.bool_] | None = None
        wanted: Ints = np.zeros(len(group.cells), dtype=np.int64)
        size_of_key = 1
        for i, name in enumerate(group.columns):
            codes, index, levels = self.sources.coded(group.entity, name)
            if rows is not None:
                codes = codes[rows]
            if len(codes) and codes.min() < 0:
                raise _missing(name, group.entity, rows, codes < 0, targets[0])
            places = [index.find(cell[i]) for cell in group.cells]
            ranks = {place: rank for rank, place in enumerate(dict.fromkeys(p for p in places if p is not None))}
            moved = np.full(len(levels) + 1, -1, dtype=np.int32)
            moved[list(ranks)] = list(ranks.values())
            local = moved[codes]
            found = local >= 0
            if not found.all():
                inside = found if inside is None else inside & found
            base = max(len(ranks), 1)
            size_of_key *= base
            number = number * base + local
            wanted = wanted * base + np.array([-1 if p is None else ranks[p] for p in places])
        self._note_unknown(group)
        if size_of_key > 1 << 62:
            raise DataError(f"target {targets[0].name!r}: too many crossed categories.")
        known = np.array([self._place_is_known(group, i) for i in range(len(group.cells))])
        return _looked_up(number, inside, wanted, known, size_of_key)

    def _place_is_known(self, group: Group, i: int) -> bool:
        return group.places[i] not in self.unknown

    def _note_unknown(self, group: Group) -> None:
        """Remember the targets with a category that no record has."""
        for i, name in enumerate(group.columns):
            _, index, levels = self.sources.coded(group.entity, name)
            for place, cell in zip(group.places, group.cells, strict=True):
                if index.find(cell[i]) is None:
                    offer = near_miss(str(cell[i]), map(str, levels))
                    self.unknown.setdefault(place, f"no record has {name}={cell[i]!r} (have {listed(levels)}).{offer}")

    def _domain(self, entity: str, where: str | None, target: Target) -> Ints | None:
        """Return the rows that a filter keeps; None is all."""
        if where is None:
            return None
        key = (entity, where)
        if key not in self._domains:
            condition = parse_filter(where)
            try:
                answer = evaluate(condition, lambda column: self.sources.column(entity, column))
            except DataError as error:
                raise type(error)(f"target {target.name!r}: {error}") from error
            if answer.unknown is not None:
                for column in columns_of(condition):
                    if (bad := self.sources.column(entity, column).missing & answer.unknown).any():
                        raise _missing(column.name, entity, None, bad, target)
                raise DataError(f"target {target.name!r}: filter {where!r} is undefined (0 / 0) on some rows.")
            self._domains = {key: np.flatnonzero(answer.true).astype(np.int32)}
        return self._domains[key]

    def _numbers(self, group: Group, name: str | None, rows: Ints | None, target: Target) -> Floats | None:
        """Return a column of numbers for some rows; None stands for ones."""
        if name is None:
            return None
        column = self.sources.column(group.entity, Column(name, group.entity))
        numbers = as_numbers(column)
        if numbers is None:
            shown = f" (such as {column.levels[0]!r})" if column.levels else ""
            raise DataError(
                f"target {target.name!r}: column {name!r} of {group.entity} is {column.dtype}{shown}; "
                f"a {group.statistic} needs numbers. To count its categories, use by={{{name!r}: ...}}."
            )
        numbers = numbers if rows is None else numbers[rows]
        bad = np.isnan(numbers)
        if bad.any():
            raise _missing(name, group.entity, rows, bad, target)
        check_finite(numbers, name)
        return numbers


def group_targets(targets: Sequence[Target], entities: Sequence[str]) -> list[Group]:
    """Sort targets into groups, those with the same cells next to each other."""
    found: dict[tuple[Group, int], list[int]] = defaultdict(list)
    layers: dict[tuple[Group, tuple[tuple[bool, Level], ...]], int] = defaultdict(int)
    for i, (target, entity) in enumerate(zip(targets, entities, strict=True)):
        columns = tuple(sorted(target.by))
        cell = tuple(match_key(target.by[name]) for name in columns)
        group = Group(entity, target.statistic, target.variable, target.denominator, target.where, columns)
        layer = layers[group, cell]
        layers[group, cell] += 1
        found[group, layer].append(i)
    groups = [
        replace(
            group, places=tuple(places), cells=tuple(tuple(targets[i].by[n] for n in group.columns) for i in places)
        )
        for (group, _), places in found.items()
    ]
    return sorted(groups, key=lambda group: (group.entity, group.where or "", group.columns, len(group.cells)))


def _looked_up(
    number: Ints, inside: NDArray[np.bool_] | None, wanted: Ints, known: NDArray[np.bool_], size: int
) -> Ints:
    """Return the target of each number, -1 for none."""
    targets = np.flatnonzero(known)
    if not targets.size:
        return np.full(len(number), -1, dtype=np.int32)
    if size <= _LARGEST_TABLE:
        table = np.full(size + 1, -1, dtype=np.int32)
        table[wanted[targets]] = targets
        return table[number if inside is None else np.where(inside, number, size)]
    order = targets[np.argsort(wanted[targets])]
    keys = wanted[order]
    place = np.minimum(np.searchsorted(keys, number), len(keys) - 1)
    hit = keys[place] == number
    return np.where(hit if inside is None else hit & inside, order[place], -1).astype(np.int32)


def _kept(keep: NDArray[np.bool_], rows: Ints | None, cell: Ints) -> tuple[Ints | None, Ints]:
    """Return the rows and their cells where `keep` holds."""
    if keep.all():
        return rows, cell
    places = np.flatnonzero(keep)
    return (places if rows is None else rows[places]), cell[places]


def _full(values: Floats | None, n: int) -> Floats:
    return np.ones(n) if values is None else values


def _missing(name: str, entity: str, rows: Ints | None, bad: NDArray[np.bool_], target: Target) -> DataError:
    first = int(np.flatnonzero(bad)[0])
    first = first if rows is None else int(rows[first])
    return DataError(
        f"target {target.name!r}: column {name!r} of {entity} is missing in {int(bad.sum())} rows, first in row "
        f"{first}. Fill them, or leave them out with where={f'notna({name})'!r}."
    )
