"""Writing drawn values into the gaps of a table; every other cell stays as it is, bit for bit."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.frames import Frame, Levelled, build_frame, frame_kind


def fill(frame: Frame, columns: dict[str, NDArray[Any] | Levelled], gaps: dict[str, NDArray[np.bool_]]) -> Any:
    """Return the table with values in its gaps.

    Parameters
    ----------
    frame : data frame
        It is not changed.
    columns : dict of arrays
        By name, values for all rows; those outside the gaps are not used.
    gaps : dict of bool[n]
        Cells to fill.

    Returns
    -------
    data frame
        Of the same kind, index and column order; dtypes are kept.

    Raises
    ------
    DataError
        If numbers with decimals are due in a column of whole numbers.

    Examples
    --------
    >>> table = pd.DataFrame({"a": [1.5, np.nan], "b": [1, 2]})
    >>> fill(table, {"a": np.array([9.0, 2.5])}, {"a": np.array([False, True])})["a"].tolist()
    [1.5, 2.5]
    """
    names = [name for name in columns if gaps[name].any()]
    if not names:
        return frame
    _check_whole(frame, columns, gaps)
    drawn = build_frame({name: columns[name] for name in names}, frame)
    if frame_kind(frame) == "pandas":
        return frame.assign(**{name: _pandas(frame[name], drawn[name], gaps[name]) for name in names})
    table, other = nw.from_native(frame, eager_only=True), nw.from_native(drawn, eager_only=True)
    filled = []
    for name in names:
        column, new = table[name], other[name]
        if column.dtype != new.dtype:
            new = new.cast(column.dtype)
        keep = nw.new_series(name, ~gaps[name], dtype=nw.Boolean, backend=table.implementation)
        filled.append(column.zip_with(keep, new).alias(name))
    return table.with_columns(*filled).to_native()


def _check_whole(frame: Frame, columns: dict[str, NDArray[Any] | Levelled], gaps: dict[str, NDArray[np.bool_]]) -> None:
    """Refuse numbers with decimals for a column of whole numbers: it was fitted as another kind of column."""
    table = nw.from_native(frame, eager_only=True)
    for name, x in columns.items():
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or not table[name].dtype.is_integer():
            continue
        drawn = x[gaps[name]]
        if (drawn[~np.isnan(drawn)] % 1 != 0).any():
            raise DataError(
                f"column {name!r} holds whole numbers here ({table[name].dtype}), but numbers with decimals in "
                "fitting: convert it to floating-point numbers."
            )


def _pandas(column: pd.Series[Any], drawn: pd.Series[Any], gap: NDArray[np.bool_]) -> pd.Series[Any]:
    out = column.copy()
    rows = np.flatnonzero(gap)
    cells = drawn.iloc[rows]
    out.iloc[rows] = cells.array if cells.dtype == column.dtype else cells.astype(column.dtype).array
    return out
