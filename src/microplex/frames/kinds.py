"""What a frame is, and what can be asked of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError

Frame: TypeAlias = Any  # pandas.DataFrame, polars.DataFrame or pyarrow.Table


def frame_kind(frame: Frame) -> str:
    """Return the kind of a frame: "pandas", "polars" or "arrow".

    Raises
    ------
    DataError
        It is none of them.

    Examples
    --------
    >>> import pandas as pd
    >>> frame_kind(pd.DataFrame({"a": [1]}))
    'pandas'
    """
    if isinstance(frame, pd.DataFrame):
        return "pandas"
    if isinstance(frame, pa.Table):
        return "arrow"
    if nw.dependencies.is_polars_dataframe(frame):
        return "polars"
    remedy = " Call .collect() first." if nw.dependencies.is_polars_lazyframe(frame) else ""
    kind = type(frame)
    raise DataError(
        "expected a pandas DataFrame, a polars DataFrame or a pyarrow Table; "
        f"got {kind.__module__}.{kind.__qualname__}.{remedy}"
    )


def column_names(frame: Frame) -> list[str]:
    """Return the names of the columns, in order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> column_names(pa.table({"a": [1], "b": [2]}))
    ['a', 'b']
    """
    return list(frame.column_names if frame_kind(frame) == "arrow" else frame.columns)


def n_rows(frame: Frame) -> int:
    """Return the number of rows.

    Examples
    --------
    >>> import pandas as pd
    >>> n_rows(pd.DataFrame({"a": [1, 2]}))
    2
    """
    frame_kind(frame)
    return len(frame)


def check_frame(frame: Frame) -> None:
    """Check that a frame is of a supported kind, has rows, and names its columns once and in text.

    Raises
    ------
    DataError
        It is not, or does not.

    Examples
    --------
    >>> import pandas as pd
    >>> check_frame(pd.DataFrame({"a": []}))
    Traceback (most recent call last):
    microplex.errors.DataError: the data frame has no rows; at least one is needed.
    """
    seen: set[str] = set()
    for name in (names := column_names(frame)):
        if not isinstance(name, str):
            raise DataError(f"column names must be text; got {name!r} ({type(name).__name__}). Rename the column.")
        if name in seen:
            raise DataError(f"column name {name!r} occurs {names.count(name)} times. Rename or drop all but one.")
        seen.add(name)
    for count, what in ((len(names), "columns"), (len(frame), "rows")):
        if count == 0:
            raise DataError(f"the data frame has no {what}; at least one is needed.")


def select(frame: Frame, names: Sequence[str]) -> Frame:
    """Return a frame of some columns, in the order asked for.

    Raises
    ------
    ColumnNotFoundError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> select(pd.DataFrame({"a": [1], "b": [2]}), ["b"])
       b
    0  2
    """
    check_columns(column_names(frame), names, "selected")
    return frame[list(names)] if frame_kind(frame) == "pandas" else frame.select(list(names))


def keep_rows(frame: Frame, kept: NDArray[np.bool_]) -> Frame:
    """Return the rows of a frame that are marked.

    Parameters
    ----------
    frame : data frame of n rows
    kept : bool[n]

    Returns
    -------
    data frame
        Of the same kind; a pandas index keeps its labels.

    Examples
    --------
    >>> import pandas as pd
    >>> keep_rows(pd.DataFrame({"a": [1, 2]}), np.array([False, True]))
       a
    1  2
    """
    return nw.from_native(frame, eager_only=True).filter(kept.tolist()).to_native()
