"""The gates that arguments of a population's methods pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from microplex.entities.columns import Bools, Ints, column_of, plain
from microplex.errors import DataError

if TYPE_CHECKING:
    from microplex.entities.population import Population


def values_of(population: Population, values: Any, name: str) -> Any:
    """Return a named column of an entity's table, or values given for its rows.

    Parameters
    ----------
    population : Population
    values : str, array or column of length n
    name : str
        The entity, of n rows.

    Raises
    ------
    ColumnNotFoundError
        If there is no such column.
    DataError
        If there is not one value for each row.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> values_of(as_population(make_population(3, seed=0)), [1, 2], "household")
    Traceback (most recent call last):
    microplex.errors.DataError: values must hold one for each of 3 households; got 2 of shape (2,).
    """
    entity = population.schema.entity(name)
    if isinstance(values, str):
        return column_of(population.tables[entity.table], values, entity.table)
    if not hasattr(values, "dtype") and not hasattr(values, "type"):
        values = np.asarray(values)
    n, found = population.size(entity.name), np.shape(values) if isinstance(values, np.ndarray) else (len(values),)
    if found != (n,):
        raise DataError(
            f"values must hold one for each of {n} {entity.table}; got {found[0] if found else 1} of shape {found}."
        )
    table = population.tables[entity.table]
    if isinstance(values, pd.Series) and isinstance(table, pd.DataFrame) and _is_reordered(values.index, table.index):
        raise DataError(
            f"values have the rows of {entity.table} in another order. Give them in the order of the table, or as an "
            "array."
        )
    return values


def _is_reordered(index: pd.Index[Any], wanted: pd.Index[Any]) -> bool:
    """Whether labels are those of the table, but sorted otherwise; values are taken by position."""
    return not index.equals(wanted) and bool(index.isin(wanted).all())


def labelled(population: Population, values: Any, name: str) -> Any:
    """Give a pandas series the index of an entity's table; leave all else.

    Examples
    --------
    >>> labelled(None, np.zeros(2), "household")
    array([0., 0.])
    """
    if not isinstance(values, pd.Series):
        return values
    table = population.table(name)
    return values.set_axis(table.index) if isinstance(table, pd.DataFrame) else values


def check_mask(where: ArrayLike | None, n: int, table: str) -> Bools:
    """Return which rows count, all of them for None.

    Raises
    ------
    DataError
        If it is not True or False for each row.

    Examples
    --------
    >>> check_mask([1, 0], 2, "persons")
    Traceback (most recent call last):
    microplex.errors.DataError: where must be True or False for each of 2 persons; got int64 of shape (2,).
    """
    if where is None:
        return np.ones(n, dtype=bool)
    kept = where if isinstance(where, np.ndarray) else plain(where)
    if kept.shape != (n,) or kept.dtype.kind != "b":
        raise DataError(f"where must be True or False for each of {n} {table}; got {kept.dtype} of shape {kept.shape}.")
    return kept


def check_rows(rows: ArrayLike, n: int) -> Ints:
    """Return positions of rows, each at most once, of a mask or of positions.

    Raises
    ------
    DataError
        If a row is not there, or named twice.

    Examples
    --------
    >>> check_rows([True, False, True], 3)
    array([0, 2])
    >>> check_rows([0, 0], 3)
    Traceback (most recent call last):
    microplex.errors.DataError: row 0 is named more than once; keys must stay unique. Use weights for a household that \
stands for several.
    """
    chosen = np.asarray(rows)
    if chosen.dtype.kind == "b":
        if chosen.shape != (n,):
            raise DataError(f"a mask needs a value for each of {n} rows; its shape is {chosen.shape}.")
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise DataError(f"rows must be whole numbers or a mask; got {chosen.dtype} of shape {chosen.shape}.")
    chosen = chosen.astype(np.int64)
    outside = chosen[(chosen < 0) | (chosen >= n)]
    if outside.size:
        raise DataError(f"there is no row {outside[0]}; the table has {n} rows, counted from 0.")
    counts = np.bincount(chosen, minlength=n)
    if (counts > 1).any():
        raise DataError(
            f"row {int(np.argmax(counts > 1))} is named more than once; keys must stay unique. "
            "Use weights for a household that stands for several."
        )
    return chosen
