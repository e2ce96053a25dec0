"""Combinations of codes that occur together, and fast look-up in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Index:
    """Numbers the distinct rows of a table.

    Attributes
    ----------
    levels : tuple of float64[k]
        Distinct values of each column, ascending.
    keys : int64[m]
        Sorted keys of the rows listed: mixed-radix numbers of the places of their values.
    """

    levels: tuple[Floats, ...]
    keys: Ints

    @classmethod
    def of(cls, rows: Floats) -> Index:
        """Return the index of a table, float64[m, c]."""
        levels = tuple(np.unique(column) for column in rows.T)
        return cls(levels, np.unique(_keys(list(rows.T), levels, len(rows))))

    def find(self, columns: Sequence[Floats], n: int) -> Ints:
        """Return the number of each row among those listed; -1 if it is not.

        Examples
        --------
        >>> index = Index.of(np.array([[1.0, 5.0], [2.0, 7.0]]))
        >>> index.find([np.array([2.0, 2.0]), np.array([7.0, 5.0])], 2).tolist()
        [1, -1]
        """
        if not len(self.keys):
            return np.full(n, -1)
        keys = _keys(columns, self.levels, n)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, place, -1)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns take only the combinations of codes listed.

    Attributes
    ----------
    names : tuple of str
        The columns.
    rows : float64[m, c]
        Codes, or numbers of counts.
    """

    names: tuple[str, ...]
    rows: Floats
    _found: dict[tuple[str, tuple[str, ...]], tuple[Index, Bools]] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> frozenset[str]:
        """Columns involved."""
        return frozenset(self.names)

    def lists(self, values: Mapping[str, Floats], n: int) -> Bools:
        """Return which rows are listed: bool[n]."""
        index, _ = self._project("", self.names, np.empty(0))
        return index.find([values[name] for name in self.names], n) >= 0

    def allowed(self, name: str, codes: Floats, values: Mapping[str, Floats], n: int) -> Bools:
        """Return which codes of a column occur with the values of others; all, where these are not listed.

        Parameters
        ----------
        name : str
            The column.
        codes : float64[k]
            Its codes, ascending.
        values : mapping of str to float64[n]
            The columns known.
        n : int
            Number of rows.

        Returns
        -------
        bool[n, k]
            Rows that hold a missing value or an unlisted combination keep every code.
        """
        given = tuple(other for other in self.names if other in values and other != name)
        index, possible = self._project(name, given, codes)
        return possible[index.find([values[other] for other in given], n)]

    def _project(self, name: str, given: tuple[str, ...], codes: Floats) -> tuple[Index, Bools]:
        if (name, given) not in self._found:
            rows = self.rows[:, [self.names.index(other) for other in given]]
            index = Index.of(rows)
            possible = np.zeros((len(index.keys) + 1, len(codes)), np.bool_)
            if name:
                own = np.searchsorted(codes, self.rows[:, self.names.index(name)])
                possible[index.find(list(rows.T), len(rows)), own] = True
            possible[-1] = True
            self._found[name, given] = index, possible
        return self._found[name, given]


def _keys(columns: Sequence[Floats], levels: Sequence[Floats], n: int) -> Ints:
    """Return a number for each combination of values; -1 if one holds a value that is not among the levels."""
    keys, listed = np.zeros(n, np.int64), np.ones(n, np.bool_)
    for column, values in zip(columns, levels, strict=True):
        place = np.minimum(np.searchsorted(values, column), len(values) - 1)
        listed &= values[place] == column
        keys = keys * len(values) + place
    return np.where(listed, keys, -1)
