"""Columns of any frame as they are: rows taken, values told apart, keys looked up."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError
from microplex.frames import Frame, column_names, frame_kind

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def take_rows(frame: Frame, rows: Ints) -> Frame:
    """Return rows of a frame by position, its dtypes kept.

    Examples
    --------
    >>> take_rows(pd.DataFrame({"a": [1, 2, 3]}), np.array([2, 0]))["a"].tolist()
    [3, 1]
    """
    kind = frame_kind(frame)
    if kind == "pandas":
        return frame.take(rows)
    return frame.take(pa.array(rows)) if kind == "arrow" else frame[rows]


def take_values(values: Any, rows: Ints) -> Any:
    """Return values by position: of an array, of a pandas or polars series or an Arrow column.

    Parameters
    ----------
    values : array or column of length n
    rows : int64[m]
        Positions; -1 gives a missing value, and then NumPy's whole numbers and booleans become float64.

    Returns
    -------
    array or column of length m
        Of the same kind and type; a pandas series numbers its rows anew.

    Examples
    --------
    >>> take_values(np.array([1.5, 2.5]), np.array([1, -1, 0])).tolist()
    [2.5, nan, 1.5]
    """
    absent = rows < 0
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values.take(pa.array(rows, mask=absent))
    if nw.dependencies.is_polars_series(values):
        return values.gather(rows) if not absent.any() else values.gather(_with_nulls(values, rows))
    if isinstance(values, pd.Series):
        return pd.Series(take_values(_own(values), rows), name=values.name)
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return values.take(rows, allow_fill=True)
    array = np.asarray(values)
    if not absent.any():
        return array[rows]
    array = array.astype(np.float64) if array.dtype.kind in "iub" else array
    return pd.api.extensions.take(array, rows, allow_fill=True)


def _with_nulls(like: Any, rows: Ints) -> Any:
    """Return positions as a polars series, null where negative."""
    return nw.new_series("rows", pa.array(rows, mask=rows < 0), nw.Int64, backend="polars").to_native()


def _own(series: pd.Series[Any]) -> Any:
    return series.to_numpy() if isinstance(series.dtype, np.dtype) else series.array


def column_of(frame: Frame, name: str, what: str) -> Any:
    """Return a column as the frame holds it.

    Raises
    ------
    ColumnNotFoundError
        If there is none; the nearest name is offered.

    Examples
    --------
    >>> column_of(pd.DataFrame({"age": [30]}), "age", "persons").tolist()
    [30]
    """
    names = column_names(frame)
    if name not in names:
        check_columns(names, [name], what)
    return frame[name]


def plain(values: Any) -> NDArray[Any]:
    """Return values as a NumPy array: integers stay whole, missing values of others become None or NaN.

    Examples
    --------
    >>> plain(pd.Series(["a", None], dtype="category")).tolist()
    ['a', nan]
    """
    series = as_series(values)
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
    if isinstance(series.dtype, pd.ArrowDtype) and not series.isna().any():
        return np.asarray(series.array.to_numpy())
    if pd.api.types.is_extension_array_dtype(series.dtype) and series.dtype.kind in "iu" and not series.isna().any():
        return series.to_numpy(np.int64)
    return series.to_numpy()


def as_series(values: Any) -> pd.Series[Any]:
    """Return a column of any frame as a pandas series.

    Examples
    --------
    >>> as_series(pa.array([1, 2])).tolist()
    [1, 2]
    """
    if isinstance(values, pd.Series):
        return values
    if nw.dependencies.is_polars_series(values):
        values = values.to_arrow()
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        whole = pa.types.is_integer(values.type) and values.null_count
        found = values.to_pandas(types_mapper=pd.ArrowDtype) if whole else values.to_pandas()
        return pd.Series(found)
    return pd.Series(values)


def codes_of(values: Any, name: str) -> Ints:
    """Return a number for each distinct value, -1 for missing ones.

    Raises
    ------
    DataError
        If the values cannot be told apart, such as lists.

    Examples
    --------
    >>> codes_of(pd.Series(["b", "a", None, "b"]), "sex").tolist()
    [0, 1, -1, 0]
    """
    series = as_series(values)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return np.asarray(series.cat.codes.to_numpy(), dtype=np.int64)
    try:
        return np.asarray(pd.factorize(series)[0], dtype=np.int64)
    except TypeError as error:
        raise DataError(f"column {name!r} holds values that cannot be compared: {error}.") from error


def key_values(frame: Frame, name: str, table: str) -> NDArray[Any]:
    """Return a key column as an array: whole numbers or text.

    Raises
    ------
    ColumnNotFoundError
        If the table has no such column.
    DataError
        If a key is missing; its row is named.

    Examples
    --------
    >>> key_values(pd.DataFrame({"person_id": [1, None]}), "person_id", "persons")
    Traceback (most recent call last):
    microplex.errors.DataError: persons: person_id must not be missing; row 1 has nan. Give every row its key.
    """
    series = as_series(column_of(frame, name, table))
    missing = np.flatnonzero(series.isna().to_numpy())
    if missing.size:
        more = f" (and {missing.size - 1} more rows)" if missing.size > 1 else ""
        value = series.iloc[int(missing[0])]
        raise DataError(
            f"{table}: {name} must not be missing; row {missing[0]} has {value}{more}. Give every row its key."
        )
    values = plain(series)
    return values if values.dtype.kind in "iufO" else values.astype(object)
