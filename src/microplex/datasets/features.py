"""Named numbers that laws depend on, and the tables of coefficients that combine them.

A table maps terms to coefficients: ``{"const": -1.2, "age": 0.4, "female*children": 0.3}`` is the linear predictor
-1.2 + 0.4 age + 0.3 female children. Every regression of the population is such a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Table: TypeAlias = Mapping[str, float]

CONST = "const"


class Features:
    """Columns of numbers by name, with products.

    Parameters
    ----------
    columns : mapping of str to float64[n]
        The numbers.
    rows : int64[k], optional
        Positions: only these rows, gathered when a column is asked for.

    Examples
    --------
    >>> features = Features({"age": np.array([0.0, 1.0]), "female": np.array([1.0, 1.0])})
    >>> features.predict({"const": 1.0, "age": 0.5, "age*female": 2.0}).tolist()
    [1.0, 3.5]
    """

    def __init__(self, columns: Mapping[str, Floats], rows: Ints | None = None) -> None:
        self._columns = dict(columns)
        self._rows = rows
        self.n_rows = len(next(iter(self._columns.values()))) if rows is None else len(rows)

    def __getitem__(self, term: str) -> Floats:
        """Return a column, or the product of columns joined by ``*``."""
        return reduce(np.multiply, [self._column(name) for name in term.split("*")])

    def update(self, columns: Mapping[str, Floats]) -> None:
        """Add or replace columns.

        Parameters
        ----------
        columns : mapping of str to float64[n]
            The numbers, one for each row of the whole table.
        """
        self._columns.update(columns)

    def take(self, rows: Ints) -> Features:
        """Return the features of some rows.

        Parameters
        ----------
        rows : int64[k]
            Positions.

        Returns
        -------
        Features
            Of `k` rows.
        """
        return Features(self._columns, rows if self._rows is None else self._rows[rows])

    def predict(self, table: Table) -> Floats:
        """Return the linear predictor of a table.

        Parameters
        ----------
        table : mapping of str to float
            Coefficients by term.

        Returns
        -------
        float64[n]
            One number a row.
        """
        total = np.full(self.n_rows, table.get(CONST, 0.0))
        for term, coefficient in table.items():
            if term != CONST:
                total += coefficient * self[term]
        return total

    def _column(self, name: str) -> Floats:
        column = self._columns[name]
        return column if self._rows is None else column[self._rows]


def written(table: Table) -> str:
    """Write a table: as a sum if it has a constant, else as a list of numbers.

    Parameters
    ----------
    table : mapping of str to float
        Coefficients, or other numbers, by name.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> written({"const": -1.0, "age": 0.5, "age*female": -2.0}), written({"tail": 3.0, "body": 0.5})
    ('-1 + 0.5 age - 2 age × female', 'tail 3, body 0.5')
    """
    if CONST not in table:
        return ", ".join(f"{name} {number:g}" for name, number in table.items())
    terms = [f"{'-' if number < 0 else '+'} {abs(number):g} {term}" for term, number in table.items() if term != CONST]
    return " ".join([f"{table[CONST]:g}", *terms]).replace("*", " × ")


def logistic(x: Floats) -> Floats:
    """Return the standard logistic distribution function.

    Parameters
    ----------
    x : float64[n]
        Real numbers.

    Returns
    -------
    float64[n]
        ``1 / (1 + exp(-x))``, without overflow.

    Examples
    --------
    >>> logistic(np.array([-1000.0, 0.0])).tolist()
    [0.0, 0.5]
    """
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def log_logistic(x: Floats) -> Floats:
    """Return the logarithm of `logistic`, precise in both tails.

    Parameters
    ----------
    x : float64[n]
        Real numbers.

    Returns
    -------
    float64[n]
        ``-log(1 + exp(-x))``.

    Examples
    --------
    >>> log_logistic(np.array([-1000.0, 0.0])).round(3).tolist()
    [-1000.0, -0.693]
    """
    return np.asarray(-np.logaddexp(0.0, -x))
