"""Zones that no target tells apart, merged into cells, and the base weights of households in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from microplex.areas.geography import Geography, Homes
from microplex.areas.measures import REGION, Measures
from microplex.errors import DataError, InfeasibleTargetsError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Cells:
    """Groups of zones that are in the same areas, as far as targets and households tell.

    Parameters
    ----------
    of : int64[n_zones]
        Cell of each zone.
    within : float64[n_zones]
        Share of the zone in its cell.
    shares : float64[n_classes, n_cells]
        Share of the weight of a household of a class that it has in a cell, before calibration.
    may : bool[n_classes, n_cells]
    members : csr_array of shape (m, n_cells)
        One where a target covers a cell.
    """

    of: Ints
    within: Floats
    shares: Floats
    may: Bools
    members: sp.csr_array

    def blocks(self) -> list[tuple[Ints, Ints]]:
        """Return the targets and the cells of each block; blocks share neither."""
        m, k = self.members.shape
        upper = sp.coo_array(self.members)
        graph = sp.coo_array((np.ones(upper.nnz), (upper.coords[0], upper.coords[1] + m)), shape=(m + k, m + k))
        count, label = connected_components(graph, directed=False)
        order = np.argsort(label, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1])
        return [(part[part < m], part[part >= m] - m) for part in parts]


def make_cells(geography: Geography, homes: Homes, measures: Measures, *, merge: bool) -> Cells:
    """Merge zones, find the cells of every target and the base shares.

    Parameters
    ----------
    geography : Geography
    homes : Homes
    measures : Measures
    merge : bool
        Whether zones that nothing tells apart become one cell; such zones get the same ratio in any case.

    Returns
    -------
    Cells

    Raises
    ------
    DataError
        If a household may live only in zones of size zero.
    InfeasibleTargetsError
        If an area of size zero has a target that is not a total of zero.
    """
    n_zones = len(geography.zones)
    levels = [name for name in dict.fromkeys(measures.levels) if name != REGION]
    tags = [np.zeros(n_zones, dtype=np.int64)]
    own_level = np.array(measures.levels)
    for name in levels:
        codes = geography.codes(name)
        aimed = np.zeros(len(geography.levels(name)), dtype=bool)
        aimed[measures.areas[own_level == name]] = True
        tags.append(np.where(aimed[codes], codes, -1))
    tags += [geography.codes(name) for name in homes.names]
    if not merge:
        tags = [np.arange(n_zones)]
    _, first, of = np.unique(np.stack(tags), axis=1, return_index=True, return_inverse=True)
    of = of.ravel()
    sizes = _zone_sizes(geography, measures)
    total = np.bincount(of, sizes)
    _check_inhabited(measures, geography, sizes)
    may = homes.may[:, first]
    mass = (may * total).sum(axis=1, keepdims=True)
    if not mass.all():
        lost = np.flatnonzero(mass[homes.of, 0] == 0)
        raise DataError(
            f"{len(lost)} households may live only in zones of size 0, first row {lost[0]}. Drop them, or give their "
            "zones a size."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        within = np.where(total[of] > 0, sizes / total[of], 0.0)
    return Cells(of, within, may * total / mass, may, _members(geography, measures, first))


def _members(geography: Geography, measures: Measures, first: NDArray[np.intp]) -> sp.csr_array:
    """Return which cells each target covers."""
    rows, columns = [], []
    own_level = np.array(measures.levels)
    for name in dict.fromkeys(measures.levels):
        mine = np.flatnonzero(own_level == name)
        codes = np.zeros(len(first), dtype=np.int64) if name == REGION else geography.codes(name)[first]
        order = np.argsort(codes, kind="stable")
        count = np.bincount(codes, minlength=int(measures.areas[mine].max()) + 1)
        start = np.cumsum(count) - count
        area = measures.areas[mine]
        rows.append(np.repeat(mine, count[area]))
        columns.append(order[ranges(start[area], count[area])])
    shape = len(measures.targets), len(first)
    at = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_array(sp.coo_array((np.ones(len(at[0])), at), shape=shape).tocsr())


def ranges(start: Ints, count: Ints) -> Ints:
    """Return the runs ``start, start + 1, ...`` of some lengths, one after the other.

    Examples
    --------
    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    before = np.cumsum(count) - count
    found: Ints = np.repeat(start - before, count) + np.arange(int(count.sum()))
    return found


def _zone_sizes(geography: Geography, measures: Measures) -> Floats:
    """Return the sizes: given, or the household counts that are targets of the zones, or equal ones."""
    if geography.sizes is not None:
        return geography.sizes
    found = np.full(len(geography.zones), np.nan)
    place = np.empty(len(geography.zones), dtype=np.int64)
    place[geography.codes(geography.key)] = np.arange(len(geography.zones))
    for j, target in enumerate(measures.targets):
        plain = target.variable is None and target.where is None and target.statistic == "total"
        of_households = target.entity in (None, "households") and len(target.by) == 1
        if plain and of_households and measures.levels[j] == geography.key and target.total > 0:
            found[place[measures.areas[j]]] = target.total
    known = np.isfinite(found)
    # A zone whose count is zero gets weight zero from that target; any size does.
    return np.where(known, found, found[known].mean()) if known.any() else np.ones(len(found))


def _check_inhabited(measures: Measures, geography: Geography, sizes: Floats) -> None:
    if (sizes > 0).all():
        return
    empty = []
    mass = {
        name: np.ones(1) if name == REGION else np.bincount(geography.codes(name), sizes)
        for name in dict.fromkeys(measures.levels)
    }
    for j, target in enumerate(measures.targets):
        if mass[measures.levels[j]][measures.areas[j]] == 0 and not (target.statistic == "total" and target.total == 0):
            empty.append(f"target {target.name!r} is {target.total:.10g}, but the zones of the area have size 0.")
    if empty:
        more = [f"and {len(empty) - _SHOWN} more."] if len(empty) > _SHOWN else []
        raise InfeasibleTargetsError("\n".join([*empty[:_SHOWN], *more]))
