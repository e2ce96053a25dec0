"""Frames of any kind from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from microplex._validation import check_choice
from microplex.errors import DataError
from microplex.frames.kinds import Frame, frame_kind
from microplex.frames.reading import Level


@dataclass(frozen=True, eq=False)
class Levelled:
    """A column of text, booleans, numbers or categories, to be built from codes.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Places in `levels`; -1 is missing.
    levels : sequence
        The levels.
    ordered : bool
        Whether the categories are ordered.
    as_category : bool
        Build a categorical column rather than one of the type of the levels.

    Examples
    --------
    >>> import numpy as np
    >>> build_frame({"state": Levelled(np.array([1, 0, -1]), ["CA", "TX"])}, "pandas")["state"].tolist()
    ['TX', 'CA', nan]
    """

    codes: NDArray[np.integer[Any]]
    levels: Sequence[Level]
    ordered: bool = False
    as_category: bool = False

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.codes)


Column: TypeAlias = "NDArray[Any] | Levelled"


def build_frame(columns: Mapping[str, Column], like: Frame | str, index_from: Frame | None = None) -> Frame:
    """Build a frame from arrays.

    Parameters
    ----------
    columns : mapping of str to ndarray or Levelled, each of length n
        A masked array of integers has missing values; ``datetime64[D]`` makes dates, other units
        times. NaN and NaT are missing, and become null in polars and Arrow.
    like : data frame or str
        The frame whose kind is wanted, or "pandas", "polars", "arrow".
    index_from : pandas.DataFrame, optional
        Frame whose index the result takes, if both have n rows; `like` unless given.

    Returns
    -------
    data frame
        Of the kind of `like`, with columns in the given order.

    Raises
    ------
    DataError
        The columns differ in length.

    Examples
    --------
    >>> import numpy as np
    >>> build_frame({"age": np.array([30, 41]), "sex": Levelled(np.array([0, -1]), ["f", "m"])}, "pandas")
       age  sex
    0   30    f
    1   41  NaN
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns must have one length; got {lengths}.")
    if isinstance(like, str):
        check_choice(like, ("pandas", "polars", "arrow"), "like")
        kind = like
    else:
        kind = frame_kind(like)
    if kind == "pandas":
        source = like if index_from is None else index_from
        index = source.index if isinstance(source, pd.DataFrame) and columns else None
        if index is not None and len(index) != next(iter(lengths.values())):
            index = None
        return pd.DataFrame({name: _to_pandas(column) for name, column in columns.items()}, index=index)
    table = pa.table({name: _to_arrow(column) for name, column in columns.items()})
    return table if kind == "arrow" else _to_polars(table, columns)


def assign(frame: Frame, columns: Mapping[str, Column]) -> Frame:
    """Return a frame with columns replaced in place or added at the end.

    Parameters
    ----------
    frame : data frame
        It is not changed.
    columns : mapping of str to ndarray or Levelled
        As in `build_frame`, with as many rows as the frame.

    Returns
    -------
    data frame
        Of the same kind.

    Raises
    ------
    DataError
        A column has another length than the frame.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> assign(pd.DataFrame({"a": [1, 2]}), {"b": np.array([0.5, 1.5])})
       a    b
    0  1  0.5
    1  2  1.5
    """
    for name, column in columns.items():
        if len(column) != len(frame):
            raise DataError(f"column {name!r} has {len(column)} rows; the data frame has {len(frame)}.")
    if frame_kind(frame) == "pandas":
        order = list(dict.fromkeys([*frame.columns, *columns]))
        kept = frame.drop(columns=[name for name in columns if name in frame.columns])
        return pd.concat([kept, build_frame(columns, frame)], axis=1)[order]
    added = nw.from_native(build_frame(columns, frame), eager_only=True)
    return nw.from_native(frame, eager_only=True).with_columns(*added.iter_columns()).to_native()


def restore_values(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Return numbers in the type they were read from: the inverse of ``ColumnData.values``.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Numbers, days or seconds, as `read_column` gives them.
    dtype : str
        "int", "float", "date" or "datetime".

    Returns
    -------
    ndarray, shape (n,)
        int64 (masked where missing), float64, ``datetime64[D]`` or ``datetime64[us]``; whole
        numbers and dates are rounded to the nearest.

    Examples
    --------
    >>> import numpy as np
    >>> restore_values(np.array([1.0, 2.0]), "int")
    array([1, 2])
    >>> restore_values(np.array([0.0, np.nan]), "date")
    array(['1970-01-01',        'NaT'], dtype='datetime64[D]')
    """
    check_choice(dtype, ("int", "float", "date", "datetime"), "dtype")
    if dtype == "float":
        return values
    missing = np.isnan(values)
    scaled = np.rint(values * 1e6 if dtype == "datetime" else values)
    whole = np.where(missing, 0, scaled).astype(np.int64)
    if dtype == "int":
        return np.ma.MaskedArray(whole, mask=missing) if missing.any() else whole
    moments = whole.astype("datetime64[D]" if dtype == "date" else "datetime64[us]")
    moments[missing] = np.datetime64("NaT")
    return moments


def _to_pandas(column: Column) -> Any:
    if isinstance(column, Levelled):
        if column.as_category:
            categories = pd.Index(list(column.levels))
            return pd.Categorical.from_codes(column.codes, categories, ordered=column.ordered)
        return _taken(column)
    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column)
        if column.dtype.kind in "iu" and mask.any():
            return pd.arrays.IntegerArray(column.data.copy(), mask.copy())
        return column.filled(np.nan) if column.dtype.kind == "f" else column.data
    return column.astype(object) if column.dtype == np.dtype("datetime64[D]") else column


def _taken(column: Levelled) -> Any:
    """Look up the levels, in the plain type of pandas for them unless missing values forbid."""
    levels = pd.Series(list(column.levels)).array
    if isinstance(levels, pd.arrays.NumpyExtensionArray) and levels.dtype.kind in "biu" and (column.codes < 0).any():
        return pd.array(list(column.levels)).take(column.codes, allow_fill=True)
    return levels.take(column.codes, allow_fill=True)


def _to_arrow(column: Column) -> pa.Array:
    if isinstance(column, Levelled):
        codes = pa.array(column.codes.astype(np.int32), mask=column.codes < 0)
        levels = pa.array(list(column.levels))
        if column.as_category:
            return pa.DictionaryArray.from_arrays(codes, levels, ordered=column.ordered)
        return levels.take(codes)
    if isinstance(column, np.ma.MaskedArray):
        return pa.array(column.data, mask=np.ma.getmaskarray(column))
    return pa.array(column, from_pandas=True)


def _to_polars(table: pa.Table, columns: Mapping[str, Column]) -> Frame:
    frame = nw.from_arrow(table, backend="polars")
    ranked = {
        name: nw.Enum([str(level) for level in c.levels])
        for name, c in columns.items()
        if isinstance(c, Levelled) and c.as_category and c.ordered and all(isinstance(v, str) for v in c.levels)
    }
    return frame.with_columns(*(nw.col(name).cast(dtype) for name, dtype in ranked.items())).to_native()
