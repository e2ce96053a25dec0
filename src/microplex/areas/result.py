"""Weights of households in zones, kept small: what calibration of areas returns."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import (
    ColumnData,
    Frame,
    Level,
    Levelled,
    build_frame,
    column_names,
    frame_kind,
    read_column,
    restore_values,
)
from microplex.targets import ReweightResult
from microplex.targets.filters import LevelIndex

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHOWN = 20


@dataclass(frozen=True, eq=False)
class Ids:
    """Keys of the households, and their order."""

    column: ColumnData
    rank: Ints


def read_ids(households: Frame, id_col: str) -> Ids:
    """Return the keys of households, which must be unique; row numbers where there are none.

    Raises
    ------
    DataError
        If a key is missing or repeats.
    """
    if id_col not in column_names(households):
        n = len(households)
        return Ids(ColumnData(id_col, "int", values=np.arange(n, dtype=np.float64)), np.arange(n))
    column = read_column(households, id_col)
    if column.missing.any():
        raise DataError(
            f"households: {id_col} is missing in {int(column.missing.sum())} rows, first in row "
            f"{int(np.argmax(column.missing))}."
        )
    keys = column.codes if column.codes is not None else np.asarray(column.values)
    distinct, first, rank = np.unique(keys, return_index=True, return_inverse=True)
    if len(distinct) < len(keys):
        repeated = np.flatnonzero(first[rank] != np.arange(len(keys)))
        raise DataError(
            f"households: {id_col} must be unique; row {repeated[0]} repeats that of row {first[rank[repeated[0]]]} "
            f"({len(repeated)} such rows)."
        )
    return Ids(column, rank.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Keys:
    """What the rows and columns of the weights are called, and the kind of frame to return."""

    id_col: str
    area_col: str
    weight_col: str
    ids: Ids
    zone_column: ColumnData
    zone_order: NDArray[np.intp]
    kind: str


@dataclass(frozen=True, eq=False)
class AreaWeights:
    """Calibrated weights of households in zones, with their certificate.

    A weight is the base weight of the household times the factor of its pattern in the zone; households times zones
    are never stored, unless the weights are whole.

    Parameters
    ----------
    zones : tuple
        Keys of the zones, sorted.
    levels : tuple of str
        Geographic column of every target, "region" for none.
    keys : Keys
    base : float64[n]
        Base weights of the households.
    pattern : int64[n]
    factors : csr_array of shape (n_patterns, n_zones)
    counts : csr_array of shape (n, n_zones) or None
        Whole weights.
    results : tuple of ReweightResult
        One for each group of areas that was solved at once; they share no target.
    places : tuple of int64
        Places of their targets.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.areas import calibrate_areas
    >>> survey = pd.DataFrame({"household_id": [7, 8], "weight": [1.0, 3.0]})
    >>> found = calibrate_areas(survey, {"zone": {"a": 2, "b": 6}}, pd.DataFrame({"zone": ["a", "b"]}))
    >>> found.to_frame().round(6).values.tolist()
    [[7, 'a', 0.5], [8, 'a', 1.5], [7, 'b', 1.5], [8, 'b', 4.5]]
    >>> found.diagnostics[["name", "level", "target", "after", "status"]].round(6).values.tolist()
    [['count, zone=a', 'zone', 2.0, 2.0, 'met'], ['count, zone=b', 'zone', 6.0, 6.0, 'met']]
    """

    zones: tuple[Level, ...]
    levels: tuple[str, ...]
    keys: Keys
    base: Floats
    pattern: Ints
    factors: sp.csr_array
    counts: sp.csr_array | None
    results: tuple[ReweightResult, ...]
    places: tuple[Ints, ...]

    @property
    def feasible(self) -> bool:
        """Whether every target is met within its tolerance."""
        return all(result.feasible for result in self.results)

    @property
    def findings(self) -> tuple[str, ...]:
        """What stands in the way of meeting every target, in words."""
        return tuple(line for result in self.results for line in result.findings)

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """One row a target, in the order given: as in `ReweightResult`, with its geographic column as `level`."""
        tables = [result.diagnostics for result in self.results if len(result.diagnostics)]
        order = np.concatenate([place for place in self.places if len(place)])
        table = pd.concat(tables, ignore_index=True)
        table = table.iloc[np.argsort(order)].reset_index(drop=True)
        table.insert(1, "level", list(self.levels))
        return table

    def matrix(self) -> sp.csr_array:
        """Return the weights as a sparse matrix of households x zones.

        Returns
        -------
        csr_array of shape (n, n_zones)
        """
        if self.counts is not None:
            return self.counts.copy()
        return sp.csr_array(sp.csr_array(self.factors[self.pattern]).multiply(self.base[:, None]))

    def weights_of(self, zone: Level) -> Floats:
        """Return the weights of all households in one zone.

        Parameters
        ----------
        zone : key of a zone

        Returns
        -------
        float64[n]

        Raises
        ------
        ParameterError
            If there is no such zone.
        """
        place = LevelIndex(self.zones).find(zone)
        if place is None:
            raise ParameterError(
                f"no zone {zone!r} among the {len(self.zones)}.{near_miss(str(zone), map(str, self.zones))}"
            )
        if self.counts is not None:
            counts: Floats = self.counts[:, [place]].toarray()[:, 0]
            return counts
        factors: Floats = self.factors[:, [place]].toarray()[:, 0]
        return self.base * factors[self.pattern]

    def household_weights(self) -> Floats:
        """Return the weight of every household in all zones together; float64[n]."""
        if self.counts is not None:
            return _sums(self.counts, 1)
        return self.base * _sums(self.factors, 1)[self.pattern]

    def zone_weights(self) -> Floats:
        """Return the weight of all households in every zone; float64[n_zones]."""
        if self.counts is not None:
            return _sums(self.counts, 0)
        base = np.bincount(self.pattern, self.base, minlength=self.factors.shape[0])
        found: Floats = self.factors.T @ base
        return found

    def to_frame(self, like: Frame | str | None = None) -> Frame:
        """Return a table with one row for each household and zone where it has weight.

        Parameters
        ----------
        like : data frame or str, optional
            Kind of the table: "pandas", "polars" or "arrow"; that of the households by default.

        Returns
        -------
        data frame
            Key of the household, zone and weight, zone by zone in order of the households.
        """
        household, zone, weight = self._long()
        columns = self._named(household, zone) | {self.keys.weight_col: weight}
        return self._frame(columns, like)

    def expand(self, like: Frame | str | None = None, name: str = "synthetic_id") -> Frame:
        """Return the synthetic population: one row for each unit of whole weight.

        Parameters
        ----------
        like : data frame or str, optional
            As in `to_frame`.
        name : str
            Column of the new key, which counts from 0.

        Returns
        -------
        data frame
            The new key, the key of the household that it copies, and its zone.

        Raises
        ------
        ParameterError
            If the weights are not whole.
        """
        if self.counts is None:
            raise ParameterError("only whole weights make a population; use calibrate_areas(..., integer=True).")
        household, zone, weight = self._long()
        number = np.rint(weight).astype(np.int64)
        household, zone = np.repeat(household, number), np.repeat(zone, number)
        return self._frame({name: np.arange(len(zone))} | self._named(household, zone), like)

    def summary(self) -> str:
        """Return the certificate in words.

        Returns
        -------
        str
        """
        table = self.diagnostics
        head = "Every target is met." if self.feasible else "Not every target can be met."
        if (table["status"] == "rounded").any():
            head = "Every target is met as closely as whole weights allow."
        status = ", ".join(f"{count:,} {word}" for word, count in Counter(table["status"]).most_common())
        lines = [
            head,
            f"{len(self.base):,} households ({self.factors.shape[0]:,} patterns) in {len(self.zones):,} zones.",
            f"{len(table):,} targets: {status}.",
        ]
        for level, part in table.groupby("level", sort=False):
            error = part["error"].abs()
            lines.append(
                f"{level}: {len(part):,} targets, relative error at most {error.max():.2g}, mean {error.mean():.2g}."
            )
        lines += [f"- {line}" for line in self.findings[:_SHOWN]]
        return "\n".join([*lines, *([f"- and {len(self.findings) - _SHOWN} more"] * (len(self.findings) > _SHOWN))])

    def _long(self) -> tuple[Ints, Ints, Floats]:
        """Return household, zone and weight of every clone with weight, zone by zone."""
        by_zone = sp.csc_array(self.matrix())
        by_zone.eliminate_zeros()
        by_zone.sort_indices()
        zone = np.repeat(np.arange(len(self.zones)), np.diff(by_zone.indptr))
        return by_zone.indices.astype(np.int64), zone, by_zone.data

    def _named(self, household: Ints, zone: Ints) -> dict[str, Any]:
        keys = self.keys
        return {
            keys.id_col: _taken(keys.ids.column, household),
            keys.area_col: _taken(keys.zone_column, keys.zone_order[zone]),
        }

    def _frame(self, columns: dict[str, Any], like: Frame | str | None) -> Frame:
        kind = self.keys.kind if like is None else like if isinstance(like, str) else frame_kind(like)
        return build_frame(columns, kind)


def _sums(matrix: sp.csr_array, axis: int) -> Floats:
    return np.asarray(matrix.sum(axis=axis), dtype=np.float64).ravel()


def _taken(column: ColumnData, rows: NDArray[np.integer[Any]]) -> Any:
    """Return some rows of a column, ready to be built."""
    if column.codes is not None:
        return Levelled(column.codes[rows], column.levels, column.ordered, column.dtype == "category")
    return restore_values(np.asarray(column.values)[rows], column.dtype)
