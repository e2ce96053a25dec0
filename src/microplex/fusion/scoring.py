"""The law of rows with all variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.encoding import score_rows
from microplex.frames import Frame, check_frame, column_names
from microplex.fusion.intake import read_recipient
from microplex.fusion.learning import Law
from microplex.schema import Schema


def score_laws(laws: Sequence[Law], data: Frame, schema: Schema) -> NDArray[np.float64]:
    """Return the sum of the log laws of all blocks, float64[n]; the parameters are those of a fitted fusion."""
    check_frame(data)
    check_columns(column_names(data), schema.names, "scored")
    rows = read_recipient(data, schema)
    total = np.zeros(rows.n)
    for law in laws:
        values = law.given(rows, None) | {name: rows.values[name] for name in law.block.targets}
        total += score_rows(law.encoder, law.ensemble, values, rows.n)
    return total
