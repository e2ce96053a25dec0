"""What goes out: values as columns in the types of the training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.encoding.levels import LevelCodec
from microplex.frames import Levelled, restore_values
from microplex.schema import Schema


def columns(schema: Schema, values: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, Any]:
    """Columns for a frame, by name."""
    out: dict[str, NDArray[Any] | Levelled] = {}
    for name in names:
        column, x = schema[name], values[name]
        if not column.is_numeric:
            out[name] = LevelCodec(column).write(x)
        elif column.dtype == "int" and not np.array_equal(x, np.round(x), equal_nan=True):
            out[name] = x
        else:
            out[name] = restore_values(x, column.dtype)
    return out
