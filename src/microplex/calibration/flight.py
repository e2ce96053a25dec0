"""From many units to few by the walk: clusters first, then groups merged up the geography."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack

from microplex.calibration.geography import regions
from microplex.calibration.lockstep import Tableau, tableau, walk

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_BATCH = 1_000_000  # entries of tableaux that are walked at once
_FANOUT = 4  # groups that are merged at most
_GAIN = 1.25  # units a merged group should have for each row
_WORTH = 160  # units below which a group is not worth its overhead
_LARGE = 1500  # rows beyond which a walk with little to gain is left out, where the fewest units are not asked for


@dataclass(eq=False)
class _Group:
    """Neighbouring records; those of one label share a value and move as one unit."""

    ids: Ints  # sorted by label
    labels: Ints
    is_done: bool = False

    @property
    def n_units(self) -> int:
        return int(self.labels[-1]) + 1 if len(self.labels) else 0

    @property
    def has_clusters(self) -> bool:
        return self.n_units < len(self.ids)


def fly(
    columns: sp.csr_array,
    start: Floats,
    upper: float,
    rng: np.random.Generator,
    share_value: bool,
    to_the_end: bool = True,
) -> Floats:
    """Move values to their bounds, in expectation unchanged, with every sum over the columns kept.

    Parameters
    ----------
    columns : sp.csr_array of shape (n, m)
        One row a record: its contribution to each total per unit of its value. Scaled, so that totals compare.
    start : float64[n]
        Values, more than 0 and less than `upper`.
    upper : float
        1 or infinity.
    rng : numpy.random.Generator
    share_value : bool
        Whether records of equal value may move together first, in ever smaller clusters. This takes far fewer steps
        and makes neighbours in a cluster alike in fate.
    to_the_end : bool
        Whether to go on until at most rank-many values are off their bounds, however large the matrix.

    Returns
    -------
    float64[n]
        All but about rank(columns) values are 0 or `upper`.
    """
    if not len(start):
        return start.copy()
    flight = _Flight(columns, start.copy(), upper, rng)
    order, starts = regions(columns, rng)
    groups = flight.first_groups(np.split(order, starts[1:]), share_value)
    while True:
        last = len(groups) == 1 and not groups[0].has_clusters
        flight.walk(groups, force=last and to_the_end)
        if last:
            break
        if any(group.has_clusters for group in groups):
            groups = [_split(group) for group in groups]
        else:
            groups = flight.merged(groups)
    flight.restore(start, groups[0].ids)
    return flight.x


def _split(group: _Group) -> _Group:
    """Halve every cluster."""
    if not group.has_clusters:
        return _Group(group.ids, group.labels, is_done=True)
    counts = np.bincount(group.labels)
    place = np.arange(len(group.ids)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_second = place >= np.repeat((counts + 1) // 2, counts)
    return _Group(group.ids, _relabelled(2 * group.labels + is_second))


def _relabelled(labels: Ints) -> Ints:
    """Number sorted labels 0, 1, ..."""
    return np.asarray(np.cumsum(np.diff(labels, prepend=labels[:1]) != 0), dtype=np.intp)


class _Flight:
    def __init__(self, columns: sp.csr_array, x: Floats, upper: float, rng: np.random.Generator) -> None:
        self.columns, self.x, self.upper, self.rng = columns, x, upper, rng
        self.indptr = columns.indptr.astype(np.intp)
        self.is_touched = np.zeros(columns.shape[1], dtype=bool)
        self.local = np.zeros(columns.shape[1], dtype=np.intp)

    def entries(self, ids: Ints) -> tuple[Ints, Ints]:
        """Return the places of the records' entries, and how many each record has."""
        lengths = self.indptr[ids + 1] - self.indptr[ids]
        ends = np.cumsum(lengths)
        return np.repeat(self.indptr[ids] - ends + lengths, lengths) + np.arange(ends[-1] if len(ids) else 0), lengths

    def rows(self, ids: Ints) -> Ints:
        """Return the totals that the records contribute to."""
        self.is_touched[:] = False
        self.is_touched[self.columns.indices[self.entries(ids)[0]]] = True
        return np.flatnonzero(self.is_touched)

    def dense(self, group: _Group) -> Floats:
        """Return the columns of a group's units."""
        places, lengths = self.entries(group.ids)
        indices = self.columns.indices[places]
        self.is_touched[:] = False
        self.is_touched[indices] = True
        rows = np.flatnonzero(self.is_touched)
        self.local[rows] = np.arange(len(rows))
        k = group.n_units
        flat = self.local[indices] * k + np.repeat(group.labels, lengths)
        columns: Floats = np.bincount(flat, self.columns.data[places], minlength=len(rows) * k).astype(np.float64)
        return columns.reshape(len(rows), k)

    def first_groups(self, segments: list[Ints], share_value: bool) -> list[_Group]:
        groups = []
        singles = [_Group(segment, np.arange(len(segment))) for segment in segments]
        for group in self.merged(singles, gain=2.0, at_least=1, fanout=len(singles)):
            ids, n = group.ids, len(group.ids)
            units = 2 * max(len(self.rows(ids)), 1)
            if n <= 1.5 * units:
                groups.append(group)
            elif share_value:
                groups.append(self._clustered(ids, -(-n // units)))
            else:
                pieces = np.array_split(ids, -(-n // max(units, units // 4 + _WORTH)))
                groups += [_Group(piece, np.arange(len(piece))) for piece in pieces]
        return groups

    def _clustered(self, ids: Ints, size: int) -> _Group:
        """Put records of equal value together, `size` to a cluster."""
        order = np.argsort(self.x[ids], kind="stable")
        ids = ids[order]
        is_new = np.diff(self.x[ids], prepend=-1.0) != 0
        first = np.flatnonzero(is_new)
        counts = np.diff(first, append=len(ids))
        place = np.arange(len(ids)) - np.repeat(first, counts)
        return _Group(ids, np.cumsum(place % size == 0) - 1)

    def merged(
        self, groups: list[_Group], gain: float = _GAIN, at_least: int = 2, fanout: int = _FANOUT
    ) -> list[_Group]:
        """Join neighbours until they have enough units for their rows."""
        out: list[list[_Group]] = []
        open_group: list[_Group] = []
        touched = np.zeros(self.columns.shape[1], dtype=bool)
        for group in groups:
            open_group.append(group)
            touched[self.rows(group.ids)] = True
            n = sum(len(g.ids) for g in open_group)
            is_full = n >= gain * touched.sum() or len(open_group) >= fanout
            if len(open_group) >= at_least and n >= _WORTH and is_full:
                out.append(open_group)
                open_group = []
                touched[:] = False
        if open_group:
            if out:
                out[-1] += open_group
            else:
                out.append(open_group)
        ids = [np.concatenate([g.ids for g in part]) for part in out]
        return [_Group(i, np.arange(len(i))) for i in ids]

    def walk(self, groups: list[_Group], force: bool) -> None:
        """Walk in every group that has more units than rows; keep the units that are still inside their bounds."""
        batch: list[tuple[_Group, Tableau]] = []
        load = 0
        for group in groups:
            if group.is_done or not len(group.ids):
                continue
            columns = self.dense(group)
            p, k = columns.shape
            if not force and (k <= p or (p > _LARGE and k < 1.1 * p)):
                continue
            table = tableau(columns, is_last=force)
            if len(table.others):
                batch.append((group, table))
                load += table.values.size
            if load > _BATCH:
                self._run(batch)
                batch, load = [], 0
        self._run(batch)

    def _run(self, batch: list[tuple[_Group, Tableau]]) -> None:
        if not batch:
            return
        values = []
        for group, _ in batch:
            first = np.flatnonzero(np.diff(group.labels, prepend=-1))
            values.append(self.x[group.ids[first]])
        uppers = [np.full(len(v), self.upper) for v in values]
        for (group, _), value in zip(batch, walk([t for _, t in batch], values, uppers, self.rng), strict=True):
            self.x[group.ids] = value[group.labels]
            inside = ((value > 0) & (value < self.upper))[group.labels]
            group.ids, group.labels = group.ids[inside], _relabelled(group.labels[inside])

    def restore(self, start: Floats, ids: Ints) -> None:
        """Take the rounding that gathered on the way out of the totals, by the units that are still free."""
        goal = self.columns.T @ start
        ids = np.sort(ids[(self.x[ids] > 0) & (self.x[ids] < self.upper)])
        if not 0 < len(ids) <= 3 * _LARGE:
            return
        matrix = self.columns[ids].T.toarray()
        p, k = matrix.shape
        if k > p:
            return
        lu, swaps, _ = lapack.dgetrf(matrix)
        if np.abs(lu.diagonal()).min() <= 1e-13 * np.abs(lu.diagonal()).max():
            return
        order = np.arange(p)
        for i, j in enumerate(swaps.tolist()):
            order[[i, j]] = order[[j, i]]
        for _ in range(3):
            left = goal - self.columns.T @ self.x
            half = lapack.dtrtrs(lu[:k], left[order[:k]], lower=1, unitdiag=1)[0]
            step = lapack.dtrtrs(lu[:k], half)[0]
            tried = self.x.copy()
            tried[ids] = np.clip(tried[ids] + step, 0.0, self.upper)
            if np.abs(goal - self.columns.T @ tried).max() >= np.abs(left).max():
                return
            self.x = tried
