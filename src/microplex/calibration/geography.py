"""Which records belong together: nested regions, read off the design alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.intp]

_SAMPLE = 20_000  # records that tell which totals overlap
_COVERED = 0.5  # share of the records that must lie in a region for a division to count


def regions(columns: sp.csr_array, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Order records so that those of one region, and within it of one part, are neighbours.

    A total of the nation shares records with nearly every other total, one of a state with those of the state and
    the nation alone. So totals that overlap with many others are left out step by step; what then hangs together is
    a region, and later its parts.

    Parameters
    ----------
    columns : sp.csr_array of shape (n, m)
        One row a record.
    rng : numpy.random.Generator

    Returns
    -------
    order : intp[n]
        Random within a region.
    starts : intp[r]
        Where in the order each smallest region begins.
    """
    n, m = columns.shape
    chosen = rng.permutation(n)
    sample = columns[np.sort(chosen[:_SAMPLE])] if n > _SAMPLE else columns
    pattern = sp.csr_array((np.ones(sample.nnz, dtype=np.float32), sample.indices, sample.indptr), shape=sample.shape)
    overlap = sp.csr_array(pattern.T @ pattern)
    degree = np.diff(overlap.indptr)
    keys: list[Ints] = []
    limit, previous = m, -1
    while limit >= 1:
        rows = np.flatnonzero((degree > 0) & (degree <= limit))
        limit //= 2
        if len(rows) == previous:
            continue
        previous = len(rows)
        if not len(rows):
            break
        part: Any = overlap[rows][:, rows]
        count, labels = connected_components(part, directed=False)
        if count == 1:
            continue
        of_row = np.zeros(m)
        of_row[rows] = labels + 1
        marked = sp.csr_array((of_row[columns.indices], columns.indices, columns.indptr), shape=columns.shape)
        key = np.asarray(marked.max(axis=1).todense()).ravel().astype(np.intp)
        if (key > 0).mean() < _COVERED:
            break
        keys.append(key)
    order = chosen[np.lexsort([key[chosen] for key in reversed(keys)])] if keys else chosen
    is_new = np.zeros(n, dtype=bool)
    is_new[:1] = True
    for key in keys:
        is_new[1:] |= np.diff(key[order]) != 0
    return order, np.flatnonzero(is_new)
