"""Completed files, and what is known of each of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex.errors import DataError
from microplex.imputation.combining import Combined, combine

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
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
    >>> done
    Imputed(m=2, rows=2, drawn cells: a 1)
    """

    datasets: tuple[Any, ...]
    masks: Mapping[str, Bools]
    derived: Mapping[str, Bools]
    structural: Mapping[str, Bools]
    effective_share: NDArray[np.float64]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Files, rows, and the columns with gaps with how many of their cells were drawn."""
        gaps = {name: int(mask.sum()) for name, mask in self.masks.items() if mask.any()}
        drawn = ", ".join(f"{name} {count:,}" for name, count in gaps.items()) or "none"
        return f"Imputed(m={len(self.datasets)}, rows={len(self.effective_share):,}, drawn cells: {drawn})"

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

        Raises
        ------
        DataError
            If `estimate` gives something else, or what does not fit from file to file; see :func:`combine`.

        Examples
        --------
        >>> import pandas as pd
        >>> tables = (pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.0, 4.0]}))
        >>> done = Imputed(tables, {"a": np.array([False, True])}, {}, {}, np.ones(2), ())
        >>> done.analyse(lambda file: (file["a"].mean(), file["a"].var() / 2)).estimate
        2.0
        """
        if not callable(estimate):
            raise DataError(f"analyse needs a function of a completed file, got {shown(estimate)}.")
        found = [_pair(estimate(file), place) for place, file in enumerate(self.datasets)]
        return combine([q for q, _ in found], [u for _, u in found], n_complete=n_complete)  # type: ignore[arg-type]


def _pair(found: Any, place: int) -> tuple[ArrayLike, ArrayLike]:
    try:
        estimate, variance = found
    except (TypeError, ValueError):
        raise DataError(
            "the function given to analyse must return a pair: the estimate and its squared standard error, or an "
            f"array of each; for completed file {place} it returned {shown(found)}."
        ) from None
    return estimate, variance


def shown(value: object) -> str:
    """Describe in a message what was got: None, or the type and the beginning of the value.

    Examples
    --------
    >>> shown(None), shown(1.5)
    ('None', 'float: 1.5')
    """
    return "None" if value is None else f"{type(value).__name__}: {value!r:.80}"
