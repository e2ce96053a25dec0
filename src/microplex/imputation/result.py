"""Completed files, and what is known of each of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex.imputation.combining import Combined, combine

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Imputed:
    """Several completed files.

    Parameters
    ----------
    datasets : tuple of data frames
        The files, of the kind given: observed cells as they were, gaps filled.
    masks : mapping of str to bool[n]
        Cells that were drawn, by column.
    derived : mapping of str to bool[n]
        Cells that follow from others by a constraint.
    structural : mapping of str to bool[n]
        Cells left empty because the column does not apply, in the table given.
    effective_share : float64[n]
        Least effective share of the particles on each row over the files; 1 where none were needed.
    notes : tuple of str
        What is worth knowing.

    Examples
    --------
    >>> import pandas as pd
    >>> tables = (pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.0, 4.0]}))
    >>> done = Imputed(tables, {"a": np.array([False, True])}, {}, {}, np.ones(2), ())
    >>> len(done), done[1]["a"].tolist()
    (2, [1.0, 4.0])
    """

    datasets: tuple[Any, ...]
    masks: Mapping[str, Bools]
    derived: Mapping[str, Bools]
    structural: Mapping[str, Bools]
    effective_share: NDArray[np.float64]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.datasets)

    def __getitem__(self, place: int) -> Any:
        return self.datasets[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.datasets)

    def analyse(
        self, estimate: Callable[[Any], tuple[ArrayLike, ArrayLike]], *, n_complete: float | None = None
    ) -> Combined:
        """Estimate on every file and combine by Rubin's rules.

        Parameters
        ----------
        estimate : callable
            Takes a completed file; returns its estimate and squared standard error, or arrays of them.
        n_complete : float, optional
            As for :func:`combine`.

        Returns
        -------
        Combined

        Examples
        --------
        >>> import pandas as pd
        >>> tables = (pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.0, 4.0]}))
        >>> done = Imputed(tables, {"a": np.array([False, True])}, {}, {}, np.ones(2), ())
        >>> done.analyse(lambda file: (file["a"].mean(), file["a"].var() / 2)).estimate
        2.0
        """
        found = [estimate(file) for file in self.datasets]
        return combine([q for q, _ in found], [u for _, u in found], n_complete=n_complete)  # type: ignore[arg-type]
