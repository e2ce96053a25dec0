"""Limits that a row sets to a number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array, on_grid


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

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Range:
        """The same for some of the rows."""
        return Range(self.low[rows], self.high[rows], self.excluded[rows])

    def settled(self, step: float) -> Range:
        """Move the limits inwards to points of a grid, as its values are written."""
        if not step:
            return self
        low = on_grid(np.ceil(self.low / step - 1e-9), step)
        high = on_grid(np.floor(self.high / step + 1e-9), step)
        return Range(low, high, on_grid(np.round(self.excluded / step), step))

    def holds(self, x: Array) -> NDArray[np.bool_]:
        """Which values the limits allow."""
        return np.asarray((x >= self.low) & (x <= self.high) & (x != self.excluded))
