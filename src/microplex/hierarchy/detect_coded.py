"""Columns as few levels, how often levels meet, and clauses: where one column is among some levels, another is too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Comparison, Membership
from microplex.hierarchy.detect_source import Source
from microplex.hierarchy.members import Floats
from microplex.hierarchy.rules import Implied

MOST_LEVELS = 15
MOST_AGES = 130
# A column that is missing for more of the rows of which a rule speaks is not asked of them.
MOST_MISSING = 0.2
_YOUNGEST = 10
Key: TypeAlias = tuple[str, str]
Literal: TypeAlias = tuple[Key, frozenset[int]]
Step: TypeAlias = tuple[Literal, Literal]
NONZERO, MISSING = "more or less than 0", "missing"


@dataclass(frozen=True, eq=False)
class Coded:
    """A column as levels.

    Attributes
    ----------
    name : str
        The column.
    kind : str
        "nominal", "zero" (0 or not 0) or "age" (whole years).
    codes : int64[n]
        Place of each row in `labels`.
    labels : tuple
        Values; of kind "zero" 0 and `NONZERO`; the last may be `MISSING`.
    entity : str
        Level at which the column lives.
    positive : bool
        Whether numbers are never negative.
    """

    name: str
    kind: str
    codes: NDArray[np.int64]
    labels: tuple[Any, ...]
    entity: str
    positive: bool = True

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return self.name, self.kind

    @property
    def known(self) -> list[int]:
        """Places of labels that are not missing."""
        return [place for place, label in enumerate(self.labels) if label is not MISSING]

    def text(self, places: Sequence[int]) -> str:
        """Return the condition that the column is among some labels."""
        chosen = [self.labels[place] for place in places]
        if chosen == [NONZERO]:
            return str(
                Comparison(((self.name, 1.0),), ">", 0.0) if self.positive else Membership(self.name, (0,), True)
            )
        rest = [place for place in self.known if place not in places]
        if len(rest) == 1 and len(chosen) > 2:
            return str(Membership(self.name, (self.labels[rest[0]],), True))
        return str(Membership(self.name, tuple(chosen)))


@dataclass(frozen=True)
class Clause:
    """Where a column is among some levels (or below or from a value), another is among some.

    Attributes
    ----------
    level : str
        Level of the rows that it speaks of.
    when, then : tuple
        Column and kind, and the places of its levels.
    cut : tuple or None
        Of an age: "<" or ">=", and the value.
    score : float
        Expected breaches with the columns shuffled.
    rule : Implied
        The rule.
    clean : bool
        Whether hardly a row breaks it, of enough that it speaks of: others may be left out for it.
    sizes : tuple of int
        Number of levels of either column, missing left out.
    """

    level: str
    when: Literal
    then: Literal
    cut: tuple[str, int] | None
    score: float
    rule: Implied
    clean: bool
    sizes: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Meeting:
    """How often the levels of columns meet on the rows of a level, in either half of the households.

    Attributes
    ----------
    level : str
        The level.
    columns : tuple of Coded
        The columns.
    table : float64[2, k, k]
        Effective numbers of rows; `starts` says where the levels of each column begin.
    starts : int64[n_columns]
        See `table`.
    """

    level: str
    columns: tuple[Coded, ...]
    table: Floats
    starts: NDArray[np.int64]

    def pair(self, i: int, j: int) -> Floats:
        """Return the numbers of the levels of two columns: float64[2, k_i, k_j]."""
        a, b = self.starts[i], self.starts[j]
        return self.table[:, a : a + len(self.columns[i].labels), b : b + len(self.columns[j].labels)]

    def known(self, i: int, j: int) -> Floats:
        """Return the same without the rows where the second column is missing: what it would be is not known.

        Where it is missing for many of a level of the first column, it is so for a reason: these rows stay.
        """
        pair, labels = self.pair(i, j), self.columns[j].labels
        if labels[-1] is not MISSING:
            return pair
        few = pair[:, :, -1].sum(axis=0) <= MOST_MISSING * pair.sum(axis=(0, 2))
        pair = pair.copy()
        pair[:, few, -1] = 0.0
        return pair


def coded_columns(source: Source, level: str, quantities: frozenset[str], ages: frozenset[str]) -> list[Coded]:
    """Return the columns at a level and above as levels; those with too many are 0 or not 0.

    Parameters
    ----------
    source : Source
    level : str
        The level of rows.
    quantities : frozenset of str
        Columns known to be amounts or numbers, whose values are no categories.
    ages : frozenset of str
        Columns that hold ages.
    """
    found: list[Coded] = []
    for name, entity in source.entity.items():
        if entity == level or entity in source.within[level]:
            found += _coded(source, name, level, name in quantities, name in ages)
    return found


def _coded(source: Source, name: str, level: str, quantity: bool, age: bool) -> list[Coded]:
    column, entity = source.column(name, level), source.entity[name]
    weights = source.row_weight(level)
    if column.codes is not None:
        if len(column.levels) > MOST_LEVELS:
            return []
        codes = np.where(column.codes < 0, len(column.levels), column.codes).astype(np.int64)
        return _used(Coded(name, "nominal", codes, (*column.levels, MISSING), entity))
    values = column.values
    if values is None or column.dtype not in ("int", "float"):
        return []
    missing = np.isnan(values)
    known = values[~missing]
    if not known.size:
        return []
    whole = bool((known == np.rint(known)).all())
    positive = bool((known >= 0).all())
    out: list[Coded] = []
    # An age of 0 where no child is meant says that there is nobody.
    nobody = age and bool((known == 0).any()) and not ((known > 0) & (known <= _YOUNGEST)).any()
    if age and whole and positive and known.max() < MOST_AGES:
        top = int(known.max()) + 1
        absent = missing | (nobody & (values == 0))
        codes = np.where(absent, top, values).astype(np.int64)
        out.append(Coded(name, "age", codes, (*range(top), *([MISSING] if absent.any() else [])), entity))
    if not (age or quantity) and whole:
        distinct = np.unique(known)
        if len(distinct) <= MOST_LEVELS:
            codes = np.where(missing, len(distinct), np.searchsorted(distinct, values)).astype(np.int64)
            labels = (*(int(value) for value in distinct), MISSING)
            return [*out, *_used(Coded(name, "nominal", codes, labels, entity, positive))]
    zero = float(weights @ (values == 0)) / float(weights.sum())
    if (nobody or not age) and 0.001 < zero < 0.999:
        codes = np.where(missing, 2, (values != 0).astype(np.int64))
        out += _used(Coded(name, "zero", codes, (0, NONZERO, MISSING), entity, positive))
    return out


def _used(column: Coded) -> list[Coded]:
    """Leave out labels that no row has; a column with one label says nothing."""
    counts = np.bincount(column.codes, minlength=len(column.labels))
    kept = np.flatnonzero(counts)
    if len(kept) < 2 or sum(column.labels[place] is not MISSING for place in kept) < 2:
        return []
    place = np.cumsum(counts > 0) - 1
    return [replace(column, codes=place[column.codes], labels=tuple(column.labels[i] for i in kept))]


def meeting(source: Source, level: str, columns: Sequence[Coded]) -> Meeting:
    """Count how often levels of columns meet.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> frame = pd.DataFrame({"h": range(8), "a": ["x", "y"] * 4, "b": ["u", "v"] * 4})
    >>> source = flat_source(frame, "h", None, None, None, None, 0, "age", ())
    >>> found = coded_columns(source, "person", frozenset(), frozenset())
    >>> meeting(source, "person", found).pair(0, 1).sum(axis=0).tolist()
    [[4.0, 0.0], [0.0, 4.0]]
    """
    sizes = np.array([len(column.labels) for column in columns], dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    k = int(sizes.sum())
    table = np.zeros((2, k, k))
    weights, half = source.row_weight(level), source.row_half(level)
    for side, rows in enumerate((np.flatnonzero(half), np.flatnonzero(~half))):
        for part in np.array_split(rows, max(1, len(rows) // 20_000)):
            hot = np.zeros((len(part), k), dtype=np.float32)
            for start, column in zip(starts, columns, strict=True):
                hot[np.arange(len(part)), start + column.codes[part]] = 1.0
            weighted = hot * weights[part, None].astype(np.float32)
            table[side] += hot.T @ weighted
    return Meeting(level, tuple(columns), table, starts)


def cut_text(name: str, cut: tuple[str, int]) -> str:
    """Return the condition that a column is below a value, or from it on.

    Examples
    --------
    >>> cut_text("age", ("<", 15))
    'age < 15'
    """
    return str(Comparison(((name, 1.0),), cut[0], float(cut[1])))


def implied(when: str, column: Coded, places: Sequence[int]) -> Implied:
    """Return the rule that a condition implies some labels of a column."""
    values = tuple(column.labels[place] for place in places)
    return Implied(when, column.name, values[0]) if len(values) == 1 else Implied(when, column.name, levels=values)
