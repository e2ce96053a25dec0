"""The normal matrix A diag(h) A' of a sparse design, for many vectors h."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_CHUNK = 1 << 20  # pairs of entries handled at a time
_SMALL = 46_000  # up to so many targets, a cell's number fits in 32 bits
_KEPT = 30_000_000  # up to so many pairs, their products are kept between calls: 12 bytes each


class NormalMatrix:
    """A plan for A diag(h) A', of which only h changes.

    A record with k entries adds to k (k + 1) / 2 cells of the upper triangle. The plan stores, record by record, to
    which cells; a new h then costs one pass over these pairs, about a tenth of a general sparse product.

    Parameters
    ----------
    records : sp.csr_array of shape (n, m)
        The transposed design: one row a record, its columns in ascending order.

    Examples
    --------
    >>> plan = NormalMatrix(sp.csr_array(np.array([[1.0, 0.0], [1.0, 2.0]])))
    >>> plan.rows.tolist(), plan.columns.tolist(), plan.values(np.array([1.0, 10.0])).tolist()
    ([0, 0, 1], [0, 1, 1], [11.0, 20.0, 40.0])
    """

    def __init__(self, records: sp.csr_array) -> None:
        self._records = records
        self._m = m = records.shape[1]
        self._classes = _by_length(np.diff(records.indptr))
        seen = np.zeros(m * m, dtype=bool)
        seen[:: m + 1] = True
        self._places = []
        for chunk, length in self._chunks():
            keys = self._keys(chunk, length)
            seen[keys] = True
            self._places.append(keys)
        cells = np.flatnonzero(seen)
        place = np.empty(m * m, dtype=np.int32)
        place[cells] = np.arange(len(cells), dtype=np.int32)
        self.rows, self.columns = np.divmod(cells, m)
        for number, keys in enumerate(self._places):
            self._places[number] = place[keys]
        pairs = sum(len(places) for places in self._places)
        self._products = list(self._pairs()) if pairs <= _KEPT else None

    def values(self, h: Floats) -> Floats:
        """Return the cells (`rows`, `columns`) of A diag(h) A'.

        Parameters
        ----------
        h : float64[n]

        Returns
        -------
        float64[n_cells]
        """
        total = np.zeros(len(self.rows))
        blocks = self._pairs() if self._products is None else self._products
        for (chunk, _), block in zip(self._chunks(), blocks, strict=True):
            total += block @ h[chunk]
        return total

    def _chunks(self) -> Iterator[tuple[NDArray[np.intp], int]]:
        for length, members in self._classes:
            step = max(1, _CHUNK // (length * (length + 1) // 2))
            for start in range(0, len(members), step):
                yield members[start : start + step], length

    def _entries(self, chunk: NDArray[np.intp], length: int) -> NDArray[np.intp]:
        return self._records.indptr[chunk].astype(np.intp)[:, None] + np.arange(length)

    def _keys(self, chunk: NDArray[np.intp], length: int) -> NDArray[np.integer]:
        targets = self._records.indices[self._entries(chunk, length)]
        if self._m > _SMALL:
            targets = targets.astype(np.int64)
        first, second = np.triu_indices(length)
        keys = np.take(targets * self._m, first, axis=1, mode="clip")
        keys += np.take(targets, second, axis=1, mode="clip")
        return keys.ravel()

    def _pairs(self) -> Iterator[sp.csc_array]:
        for (chunk, length), places in zip(self._chunks(), self._places, strict=True):
            values = self._records.data[self._entries(chunk, length)]
            first, second = np.triu_indices(length)
            products = np.take(values, first, axis=1, mode="clip")
            products *= np.take(values, second, axis=1, mode="clip")
            starts = np.arange(len(chunk) + 1, dtype=np.int32) * len(first)
            yield sp.csc_array((products.ravel(), places, starts), shape=(len(self.rows), len(chunk)))


def _by_length(lengths: Ints) -> list[tuple[int, NDArray[np.intp]]]:
    """Group records by their number of entries; those without any add nothing."""
    if not len(lengths):
        return []
    order = np.argsort(lengths, kind="stable")
    distinct, starts = np.unique(lengths[order], return_index=True)
    groups = np.split(order, starts[1:])
    return [(int(length), members) for length, members in zip(distinct, groups, strict=True) if length]
