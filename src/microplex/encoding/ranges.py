"""Limits that a row sets to a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array


@dataclass(frozen=True)
class Range:
    """What a row allows a number to be: a closed interval and one excluded point (NaN for none)."""

    low: Array
    high: Array
    excluded: Array

    @classmethod
    def free(cls, n_rows: int) -> Range:
        """No limits."""
        return cls(np.full(n_rows, -np.inf), np.full(n_rows, np.inf), np.full(n_rows, np.nan))

    def take(self, rows: NDArray[np.intp]) -> Range:
        """The same for some of the rows."""
        return Range(self.low[rows], self.high[rows], self.excluded[rows])
