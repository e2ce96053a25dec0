"""What enforcement changed, rule by rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from microplex.frames import Frame


@dataclass(frozen=True)
class Change:
    """What one rule changed in one column.

    Attributes
    ----------
    rule : str
        The rule, as a sentence. Rules on ages are met together and stand together.
    kind : str
        Its kind, such as "Shared".
    column : str
        The column.
    cells : int
        Cells of the table that got another value.
    households : int
        Households that they belong to.
    share : float
        Weighted share of the persons whose cell changed.
    moved : float
        Weighted sum of the absolute changes, in units of the column; NaN if it holds no numbers.
    """

    rule: str
    kind: str
    column: str
    cells: int
    households: int
    share: float
    moved: float


@dataclass(frozen=True)
class ChangeLog:
    """What enforcement changed.

    Attributes
    ----------
    changes : tuple of Change
        In the order in which the rules were met; rules that changed nothing are listed with 0.
    persons, households : int
        Size of the table.
    persons_touched, households_touched : int
        Those with a change in any column.
    share : float
        Weighted share of the persons with a change in any column.

    Examples
    --------
    >>> change = Change("age < 15 -> wage == 0", "Implied", "wage", 2, 1, 0.5, 900.0)
    >>> print(ChangeLog((change,), 4, 2, 2, 1, 0.5))
    2 of 4 persons (50.0% by weight) in 1 of 2 households changed.
      wage: 2 cells in 1 household, moved by 900 in all (age < 15 -> wage == 0)
    """

    changes: tuple[Change, ...]
    persons: int
    households: int
    persons_touched: int
    households_touched: int
    share: float

    @property
    def cells(self) -> int:
        """Cells changed in all."""
        return sum(change.cells for change in self.changes)

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each rule and column: rule, kind, column, cells, households, share, moved."""
        names = list(Change.__dataclass_fields__)
        return pd.DataFrame([[getattr(c, name) for name in names] for c in self.changes], columns=names)

    def __str__(self) -> str:
        first = (
            f"{self.persons_touched:,} of {self.persons:,} persons ({self.share:.1%} by weight) in "
            f"{self.households_touched:,} of {self.households:,} households changed."
        )
        return "\n".join([first, *(f"  {_line(change)}" for change in self.changes if change.cells)])


class Enforced(NamedTuple):
    """A table on which rules were enforced, and what that changed."""

    data: Frame
    changes: ChangeLog


def _line(change: Change) -> str:
    cells = f"{change.cells:,} cell{'s' if change.cells != 1 else ''}"
    households = f"{change.households:,} household{'s' if change.households != 1 else ''}"
    moved = "" if np.isnan(change.moved) else f", moved by {change.moved:,.6g} in all"
    return f"{change.column}: {cells} in {households}{moved} ({change.rule})"
