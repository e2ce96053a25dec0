"""Columns of any frame as plain arrays."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, TypeAlias, cast

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError
from microplex.frames.kinds import Frame, column_names, frame_kind

Level: TypeAlias = str | bool | int | float

_EPOCH = np.datetime64(0, "s")


@dataclass(frozen=True, eq=False)
class ColumnData:
    """One column as plain arrays, read-only.

    Attributes
    ----------
    name : str
        Name of the column.
    dtype : str
        One of "int", "float", "bool", "string", "category", "date", "datetime".
    values : ndarray of float64, shape (n,), or None
        Numbers, days since 1970-01-01 ("date") or seconds since then ("datetime"); NaN is missing.
    codes : ndarray of int32, shape (n,), or None
        Places in `levels` of a "bool", "string" or "category" column; -1 is missing.
    levels : tuple
        The levels: sorted, or in the order of the categories.
    ordered : bool
        Whether the categories are declared to be ordered.

    Examples
    --------
    >>> import numpy as np
    >>> ColumnData("age", "int", values=np.array([30.0, np.nan])).missing
    array([False,  True])
    """

    name: str
    dtype: str
    values: NDArray[np.float64] | None = None
    codes: NDArray[np.int32] | None = None
    levels: tuple[Level, ...] = ()
    ordered: bool = False

    def __post_init__(self) -> None:
        """Hold read-only views of the arrays."""
        for field in ("values", "codes"):
            array = getattr(self, field)
            if array is not None:
                view = array.view()
                view.flags.writeable = False
                object.__setattr__(self, field, view)

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value, shape (n,)."""
        if self.codes is not None:
            return self.codes < 0
        return np.isnan(self.values) if self.values is not None else np.zeros(0, dtype=bool)


def read_column(frame: Frame, name: str) -> ColumnData:
    """Read a column into plain arrays.

    Parameters
    ----------
    frame : data frame
        pandas, polars or Arrow.
    name : str
        Name of the column.

    Returns
    -------
    ColumnData
        Its arrays may share memory with the frame. A column with no value at all is "float",
        whatever its type. Categories other than text, booleans and numbers, such as intervals,
        become their text.

    Raises
    ------
    ColumnNotFoundError
        There is no such column.
    DataError
        The column mixes types, or its type is not supported.

    Examples
    --------
    >>> import pandas as pd
    >>> column = read_column(pd.DataFrame({"state": ["TX", "CA", None]}), "state")
    >>> column.dtype, column.codes.tolist(), column.levels
    ('string', [1, 0, -1], ('CA', 'TX'))
    """
    kind = frame_kind(frame)
    names = frame.columns if kind == "pandas" else column_names(frame)
    if name not in names:
        check_columns(column_names(frame), [name], "requested")
    if kind == "pandas":
        column = _read_pandas(name, frame[name])
    elif kind == "arrow":
        column = _read_arrow(name, frame[name])
    else:
        column = _read_polars(name, frame[name])
    missing = column.missing
    return ColumnData(name, "float", np.full(len(missing), np.nan)) if len(missing) and missing.all() else column


def _read_pandas(name: str, series: pd.Series[Any]) -> ColumnData:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = cast(pd.Categorical, series.array)
        return _coded(name, "category", categories.codes, dtype.categories.tolist(), bool(dtype.ordered))
    if isinstance(dtype, pd.ArrowDtype | pd.StringDtype):
        return _read_arrow(name, pa.array(series.array))
    if isinstance(dtype, pd.DatetimeTZDtype):
        raise _zoned(name)
    if isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype) or dtype.kind not in "OMbiuf":
        raise _unsupported(name, str(dtype))
    if dtype.kind == "O":
        return _read_objects(name, series)
    extension = not isinstance(dtype, np.dtype)
    if dtype.kind == "b":
        codes = series.to_numpy(np.int8, na_value=-1) if extension else series.to_numpy()
        return _coded(name, "bool", codes, [False, True])
    if dtype.kind == "M":
        return ColumnData(name, "datetime", _since_epoch(series.to_numpy(), "s"))
    values = series.to_numpy(np.float64, na_value=np.nan) if extension else series.to_numpy()
    return ColumnData(name, "float" if dtype.kind == "f" else "int", np.asarray(values, dtype=np.float64))


def _read_objects(name: str, series: pd.Series[Any]) -> ColumnData:
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred == "string":
        codes, levels = pd.factorize(series.to_numpy())
        return _text(name, codes, levels.tolist())
    if inferred in ("datetime", "datetime64"):
        return _read_pandas(name, pd.to_datetime(series))
    present = series.notna().to_numpy()
    found = series.to_numpy()[present]
    if inferred == "boolean":
        codes = np.full(len(series), -1)
        codes[present] = found.astype(bool)
        return _coded(name, "bool", codes, [False, True])
    values = np.full(len(series), np.nan)
    if inferred in _NUMERIC or (inferred.startswith("mixed") and all(_family(v) == "number" for v in found)):
        values[present] = found.astype(np.float64)
        return ColumnData(name, "int" if inferred == "integer" else "float", values)
    if inferred == "date" and all(_family(value) == "date" for value in found):
        values[present] = _since_epoch(found.astype("datetime64[D]"), "D")
        return ColumnData(name, "date", values)
    if inferred == "empty":
        return ColumnData(name, "float", values)
    raise _mixed(name, found, np.flatnonzero(present))


def _read_polars(name: str, series: Any) -> ColumnData:
    """Read a polars series; the order of a Categorical's pool is an accident, that of an Enum is declared."""
    array = series.to_arrow()
    pooled = pa.types.is_dictionary(array.type) and nw.from_native(series, series_only=True).dtype == nw.Categorical
    return _read_arrow(name, array, pooled)


def _read_arrow(name: str, array: pa.Array | pa.ChunkedArray, pooled: bool = False) -> ColumnData:
    """Read an Arrow array; of `pooled` categories keep those in use, sorted."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind, is_type = array.type, pa.types
    if is_type.is_string(kind) or is_type.is_large_string(kind) or is_type.is_string_view(kind):
        encoded = (array.cast(pa.large_string()) if is_type.is_string_view(kind) else array).dictionary_encode()
        return _text(name, _indices(encoded.indices), encoded.dictionary.to_pylist())
    if is_type.is_dictionary(kind):
        codes, levels = _indices(array.indices), array.dictionary.to_pylist()
        return _coded(name, "category", codes, levels, kind.ordered, used_only=pooled, sort=pooled)
    if is_type.is_boolean(kind):
        return _coded(name, "bool", _indices(array.cast(pa.int8())), [False, True])
    if is_type.is_date(kind):
        return ColumnData(name, "date", _since_epoch(array.cast(pa.date32()).to_numpy(zero_copy_only=False), "D"))
    if is_type.is_timestamp(kind):
        if kind.tz is not None:
            raise _zoned(name)
        return ColumnData(name, "datetime", _since_epoch(array.to_numpy(zero_copy_only=False), "s"))
    if is_type.is_null(kind):
        return ColumnData(name, "float", np.full(len(array), np.nan))
    if is_type.is_decimal(kind):
        array = array.cast(pa.float64())
    elif not (is_type.is_integer(kind) or is_type.is_floating(kind)):
        raise _unsupported(name, str(kind))
    values = np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
    return ColumnData(name, "int" if is_type.is_integer(kind) else "float", values)


def _indices(array: pa.Array) -> NDArray[np.integer[Any]]:
    return np.asarray(array.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False))


def _text(name: str, codes: NDArray[np.integer[Any]], levels: list[Any]) -> ColumnData:
    return _coded(name, "string", codes, levels, sort=True)


def _coded(
    name: str,
    dtype: str,
    codes: NDArray[Any],
    levels: list[Any],
    ordered: bool = False,
    used_only: bool = False,
    sort: bool = False,
) -> ColumnData:
    """Make a column of codes; a level that is None counts as missing."""
    codes = codes.astype(np.int32)
    places = [i for i, level in enumerate(levels) if level is not None]
    if used_only:
        used = np.bincount(codes[codes >= 0], minlength=len(levels)) > 0
        places = [i for i in places if used[i]]
    plain = [level if isinstance(level, str | bool | int | float) else str(level) for level in levels]
    if sort:
        places.sort(key=plain.__getitem__)
    if places != list(range(len(levels))):
        moved = np.full(len(levels) + 1, -1, dtype=np.int32)
        moved[places] = np.arange(len(places))
        codes = moved[codes]
    return ColumnData(name, dtype, codes=codes, levels=tuple(plain[i] for i in places), ordered=ordered)


def _since_epoch(moments: NDArray[np.datetime64], unit: str) -> NDArray[np.float64]:
    return (moments - _EPOCH.astype(f"datetime64[{unit}]")) / np.timedelta64(1, unit)  # type: ignore[call-overload,no-any-return]


_NUMERIC = ("integer", "floating", "mixed-integer-float", "decimal")
_FAMILIES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "boolean": (bool, np.bool_),
    "number": (Real, Decimal),
    "date and time": (datetime.datetime, np.datetime64),
    "date": (datetime.date,),
}


def _family(value: object) -> str:
    return next((family for family, types in _FAMILIES.items() if isinstance(value, types)), type(value).__name__)


def _mixed(name: str, found: NDArray[np.object_], rows: NDArray[np.intp]) -> DataError:
    """Describe a column of objects by the first value of each of two types."""
    examples: dict[str, str] = {}
    for row, value in zip(rows, found, strict=True):
        family = _family(value)
        examples.setdefault(family, f"{family} (row {row}: {value!r})")
        if len(examples) == 2:
            return DataError(f"column {name!r} mixes {' and '.join(examples.values())}. Convert it to one type.")
    return _unsupported(name, next(iter(examples.values())))


def _unsupported(name: str, kind: str) -> DataError:
    return DataError(
        f"column {name!r} holds {kind}, which is not supported. "
        "Convert it to numbers, text, booleans, categories or dates."
    )


def _zoned(name: str) -> DataError:
    return DataError(f"column {name!r} holds times with a time zone. Convert it to UTC and drop the zone.")
