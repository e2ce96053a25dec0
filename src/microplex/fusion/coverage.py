"""Which source observes which variable, on how many of its rows, and which pairs no source observes together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microplex._validation import check_columns, check_weights
from microplex.errors import DataError
from microplex.frames import Frame, check_frame, column_names, n_rows, read_column
from microplex.fusion.common import check_source_names
from microplex.fusion.coverage_picture import draw_coverage

Floats: TypeAlias = NDArray[np.float64]

_MAX_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Coverage:
    """Variables by sources: the share of rows on which each is observed.

    Attributes
    ----------
    variables, sources : tuple of str
    rows : tuple of int
        Number of rows of each source.
    observed : ndarray of float64, shape (n_variables, n_sources)
        Weighted share with a value, among the rows where there can be one; NaN where the source lacks the column.
    structural : ndarray of float64, shape (n_variables, n_sources)
        Weighted share of the rows where there cannot be a value, such as the age of a spouse without a spouse.
    together : ndarray of bool, shape (n_variables, n_variables)
        Whether some row of positive weight, of some source, observes both.

    Examples
    --------
    >>> import pandas as pd
    >>> cps = pd.DataFrame({"age": [30, 40], "wages": [1.0, None]})
    >>> table = coverage({"cps": cps, "acs": pd.DataFrame({"age": [50], "rent": [900]})})
    >>> print(table)
    variable  cps (2 rows)  acs (1 row)
         age          100%         100%
       wages           50%            -
        rent             -         100%
    Never observed together: wages with rent.
    >>> table.common, table.never_together
    (('age',), (('wages', 'rent'),))
    """

    variables: tuple[str, ...]
    sources: tuple[str, ...]
    rows: tuple[int, ...]
    observed: Floats
    structural: Floats
    together: NDArray[np.bool_]

    @property
    def common(self) -> tuple[str, ...]:
        """Variables that every source observes on some of its rows."""
        in_all = [bool((row > 0).all()) for row in np.nan_to_num(self.observed)]
        return tuple(name for name, found in zip(self.variables, in_all, strict=True) if found)

    @property
    def never_together(self) -> tuple[tuple[str, str], ...]:
        """Pairs of variables that no row observes together, though each is observed somewhere."""
        seen = self.together.diagonal()
        pairs = combinations(range(len(self.variables)), 2)
        return tuple(
            (self.variables[i], self.variables[j]) for i, j in pairs if seen[i] and seen[j] and not self.together[i, j]
        )

    def of(self, variable: str) -> tuple[str, ...]:
        """Return the sources that observe a variable on some of their rows.

        Raises
        ------
        ColumnNotFoundError
            If no source has it.
        """
        check_columns(self.variables, [variable], "coverage")
        row = np.nan_to_num(self.observed[self.variables.index(variable)])
        return tuple(source for source, share in zip(self.sources, row, strict=True) if share > 0)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each variable and source that has its column: variable, source, observed, structural."""
        rows = [
            (name, source, self.observed[i, j], self.structural[i, j])
            for i, name in enumerate(self.variables)
            for j, source in enumerate(self.sources)
            if not np.isnan(self.observed[i, j])
        ]
        return pd.DataFrame(rows, columns=["variable", "source", "observed", "structural"])

    def to_html(self) -> str:
        """Return the matrix as HTML, to be put in a page."""
        return self._table().to_html(index=False, border=0) + f"<p>{escape(self._never())}</p>"

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the matrix.

        Parameters
        ----------
        path : path
            Of an image: png, svg or pdf.

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install "microplex[plot]"``.
        """
        draw_coverage(self.variables, self.sources, self.observed, self.structural, path)

    def __str__(self) -> str:
        return f"{self._table().to_string(index=False)}\n{self._never()}"

    def _table(self) -> pd.DataFrame:
        shown: dict[str, list[str]] = {"variable": list(self.variables)}
        for j, (source, rows) in enumerate(zip(self.sources, self.rows, strict=True)):
            cells = zip(self.observed[:, j], self.structural[:, j], strict=True)
            shown[f"{source} ({rows:,} row{'s' * (rows != 1)})"] = [_cell(*cell) for cell in cells]
        return pd.DataFrame(shown)

    def _never(self) -> str:
        """Say which variables are never observed together, those that share all partners in one breath."""
        partners: dict[bytes, list[int]] = {}
        for i in np.flatnonzero(self.together.diagonal()):
            partners.setdefault(self.together[i].tobytes(), []).append(int(i))
        pairs = [
            f"{self._few(one)} with {self._few(other)}"
            for one, other in combinations(partners.values(), 2)
            if not self.together[one[0], other[0]]
        ]
        if not pairs:
            return "Every pair is observed together somewhere."
        return f"Never observed together: {'; '.join(pairs[:_MAX_SHOWN])}" + (
            f"; and {len(pairs) - _MAX_SHOWN} more such pairs." if len(pairs) > _MAX_SHOWN else "."
        )

    def _few(self, places: Sequence[int]) -> str:
        names = [self.variables[i] for i in places]
        more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
        return ", ".join(names[:_MAX_SHOWN]) + more


def coverage(
    sources: Mapping[str, Frame],
    *,
    weight_col: str | Mapping[str, str] | None = None,
    structural: Mapping[str, Mapping[str, ArrayLike]] | None = None,
) -> Coverage:
    """Return which source observes which variable, and on what share of its rows.

    Parameters
    ----------
    sources : mapping of str to data frame
        Harmonised: a variable has one name in all of them.
    weight_col : str or mapping of str to str, optional
        The weight, or that of each source; a source without it counts its rows. It is no variable.
    structural : mapping of str to mapping of str to array_like of bool, optional
        By source and variable, the rows where there cannot be a value. They do not count as unobserved.

    Returns
    -------
    Coverage
        Variables in order of first appearance.

    Raises
    ------
    DataError
        There is no source, one has no rows, weights are bad, or `structural` marks a cell that has a value.
    ColumnNotFoundError
        A weight or a structural variable is no column.

    Examples
    --------
    >>> import pandas as pd
    >>> units = pd.DataFrame({"age_spouse": [44, None, None], "weight": [1, 2, 1]})
    >>> single = {"cps": {"age_spouse": [False, True, False]}}
    >>> print(coverage({"cps": units}, weight_col="weight", structural=single))
      variable             cps (3 rows)
    age_spouse 50% (50% not applicable)
    Every pair is observed together somewhere.
    """
    if not sources:
        raise DataError("coverage needs at least one source.")
    check_source_names(structural or {}, list(sources), "structural")
    weights = source_weights(sources, weight_col)
    names = {source: [n for n in column_names(frame) if n != weights[source][0]] for source, frame in sources.items()}
    variables = list(dict.fromkeys(name for own in names.values() for name in own))
    place = {name: i for i, name in enumerate(variables)}
    observed = np.full((len(variables), len(sources)), np.nan)
    absent = np.zeros_like(observed)
    together = np.zeros((len(variables), len(variables)), dtype=bool)
    for j, (source, frame) in enumerate(sources.items()):
        marks = (structural or {}).get(source, {})
        check_columns(names[source], list(marks), f"structural variable of source {source!r}")
        w = weights[source][1]
        present = np.empty((len(names[source]), len(w)), dtype=bool)
        for row, name in zip(present, names[source], strict=True):
            row[:] = ~read_column(frame, name).missing
            impossible = _impossible(marks.get(name), row, f"structural of {name!r} in source {source!r}")
            possible = w @ ~impossible
            absent[place[name], j] = (w @ impossible) / w.sum()
            observed[place[name], j] = (w @ row) / possible if possible > 0 else 0.0
        own = [place[name] for name in names[source]]
        counted = present[:, w > 0].astype(np.float32)
        together[np.ix_(own, own)] |= counted @ counted.T > 0
    rows = tuple(n_rows(frame) for frame in sources.values())
    return Coverage(tuple(variables), tuple(sources), rows, observed, absent, together)


def source_weights(
    sources: Mapping[str, Frame], weight_col: str | Mapping[str, str] | None
) -> dict[str, tuple[str | None, Floats]]:
    """Return the name of the weight of each source, or None, and its weights.

    Parameters
    ----------
    sources : mapping of str to data frame
    weight_col : str or mapping of str to str, optional
        The weight, or that of each source; a source without it counts its rows.

    Returns
    -------
    dict of str to (str or None, float64[n])

    Raises
    ------
    DataError
        A frame has no rows, or weights are bad.
    ColumnNotFoundError
        A weight is no column; a name for all must be a column of at least one.

    Examples
    --------
    >>> import pandas as pd
    >>> source_weights({"cps": pd.DataFrame({"age": [30], "w": [2]})}, "w")
    {'cps': ('w', array([2.]))}
    """
    for frame in sources.values():
        check_frame(frame)
    own = weight_col if isinstance(weight_col, Mapping) else {}
    check_source_names(own, list(sources), "weight_col")
    if isinstance(weight_col, str):
        own = {source: weight_col for source, frame in sources.items() if weight_col in column_names(frame)}
        check_columns(column_names(next(iter(sources.values()))), [] if own else [weight_col], "weight")
    found: dict[str, tuple[str | None, Floats]] = {}
    for source, frame in sources.items():
        name = own.get(source)
        values = None
        if name is not None:
            check_columns(column_names(frame), [name], f"weight of source {source!r}")
            values = read_column(frame, name).values
            if values is None:
                raise DataError(f"weight {name!r} of source {source!r} must hold numbers.")
        found[source] = name, check_weights(values, n_rows(frame), f"weight of source {source!r}")
    return found


def _impossible(marks: ArrayLike | None, present: NDArray[np.bool_], label: str) -> NDArray[np.bool_]:
    if marks is None:
        return np.zeros(len(present), dtype=bool)
    impossible = np.asarray(marks)
    if impossible.shape != present.shape or impossible.dtype != np.bool_:
        raise DataError(
            f"{label} must be {len(present)} truth values; got {impossible.dtype}, shape {impossible.shape}."
        )
    both = impossible & present
    if both.any():
        raise DataError(f"{label} marks row {int(np.argmax(both))}, which has a value; mark rows that cannot have one.")
    return impossible


def _cell(observed: float, structural: float) -> str:
    if np.isnan(observed):
        return "-"
    return _percent(observed) + (f" ({_percent(structural)} not applicable)" if structural > 0 else "")


def _percent(share: float) -> str:
    """Return a share in percent, never 100% or 0% of what is not all or nothing."""
    shown = f"{share:.0%}"
    if (shown == "100%" and share < 1) or (shown == "0%" and share > 0):
        return "<1%" if share < 0.5 else ">99%"
    return shown
