"""Where each cell of a fused file comes from: observed, derived or imputed, and from which source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microplex._validation import check_choice, check_columns, check_weights
from microplex.errors import DataError
from microplex.frames import Frame, Levelled, build_frame

KINDS = ("observed", "derived", "imputed", "absent")
Codes: TypeAlias = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Origin:
    """How cells came about.

    Attributes
    ----------
    kind : str
        `observed` (in the file), `derived` (computed from other cells), `imputed` (drawn from a law) or `absent`
        (there is no value).
    source : str
        The source that observed the cell, or whose rows its law was learned from; empty if none.

    Examples
    --------
    >>> str(Origin("imputed", "tax"))
    'imputed: tax'
    """

    kind: str
    source: str = ""

    def __post_init__(self) -> None:
        check_choice(self.kind, KINDS, "kind")

    def __str__(self) -> str:
        return f"{self.kind}: {self.source}" if self.source else self.kind


@dataclass(frozen=True, eq=False)
class Provenance:
    """The origin of every cell, a byte a cell at most: a column of one origin takes a single number.

    Attributes
    ----------
    n : int
        Number of rows.
    origins : tuple of Origin
        Every origin there is, once.
    codes : mapping of str to ndarray of uint8 or uint16, shape (n,) or (1,)
        By column, the places of its cells in `origins`; of shape (1,) where all rows have one.
    sources : tuple of str
        Every source named so far, also those of which no cell is left.

    Examples
    --------
    >>> import numpy as np
    >>> cells = Provenance(3).mark(["age", "wages"], "observed", "cps")
    >>> cells = cells.mark(["wages"], "imputed", "tax", rows=np.array([False, True, False]))
    >>> cells.frame()
                 age          wages
    0  observed: cps  observed: cps
    1  observed: cps   imputed: tax
    2  observed: cps  observed: cps
    >>> print(cells.summary([1, 2, 1]))
    variable  observed  derived  imputed  absent
         age     1.000    0.000    0.000   0.000
       wages     0.500    0.000    0.500   0.000
    """

    n: int
    origins: tuple[Origin, ...] = ()
    codes: Mapping[str, Codes] = field(default_factory=dict)
    sources: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns, in order."""
        return tuple(self.codes)

    @property
    def nbytes(self) -> int:
        """Bytes that the codes take."""
        return sum(codes.nbytes for codes in self.codes.values())

    def mark(self, columns: Iterable[str], kind: str, source: str = "", *, rows: ArrayLike | None = None) -> Provenance:
        """Return the same with cells of this origin.

        Parameters
        ----------
        columns : iterable of str
            Columns already there, or new ones.
        kind : str
            One of `observed`, `derived`, `imputed`, `absent`.
        source : str
        rows : array_like of bool, shape (n,), optional
            Which rows; all unless given. The other rows of a new column are `absent`.

        Returns
        -------
        Provenance

        Raises
        ------
        ParameterError
            If the kind is another.
        DataError
            If `rows` are not one truth value a row.
        """
        named = [columns] if isinstance(columns, str) else list(columns)
        chosen = None if rows is None else np.asarray(rows)
        if chosen is not None and (chosen.shape != (self.n,) or chosen.dtype != np.bool_):
            raise DataError(f"rows must be {self.n} truth values; got {chosen.dtype} of shape {chosen.shape}.")
        origins, code = _with(self.origins, Origin(kind, source))
        codes = dict(self.codes)
        for name in named:
            if chosen is None or chosen.all():
                codes[name] = _small(np.array([code]))
                continue
            if not chosen.any() and name in codes:
                continue
            if name not in codes:
                origins, absent = _with(origins, Origin("absent"))
                codes[name] = _small(np.array([absent]))
            codes[name] = _small(np.where(chosen, code, codes[name].astype(np.int64)))
        return Provenance(self.n, origins, codes, self.sources)._tidy()

    def of(self, column: str) -> Levelled:
        """Return the origins of a column's cells as a categorical column of text.

        Raises
        ------
        ColumnNotFoundError
            If there is no such column.
        """
        check_columns(self.columns, [column], "provenance")
        codes = np.broadcast_to(self.codes[column], (self.n,)).astype(np.int32)
        return Levelled(codes, [str(origin) for origin in self.origins], as_category=True)

    def is_kind(self, column: str, kind: str) -> NDArray[np.bool_]:
        """Return which cells of a column are `observed`, `derived`, `imputed` or `absent`, shape (n,)."""
        check_choice(kind, KINDS, "kind")
        check_columns(self.columns, [column], "provenance")
        wanted = np.array([origin.kind == kind for origin in self.origins])
        return np.array(np.broadcast_to(wanted[self.codes[column]], (self.n,)))

    def frame(self, like: Frame | str = "pandas") -> Frame:
        """Return the origins as a frame of text, such as ``"imputed: tax"``.

        Parameters
        ----------
        like : data frame or str
            Frame whose kind, and index if it is pandas, the result takes; or "pandas", "polars", "arrow".

        Returns
        -------
        data frame
            A column a column, categorical.
        """
        return build_frame({name: self.of(name) for name in self.columns}, like)

    def summary(self, weights: ArrayLike | None = None) -> ProvenanceSummary:
        """Return the weighted share of each origin in each column.

        Parameters
        ----------
        weights : array_like of shape (n,), optional
            Ones by default.

        Returns
        -------
        ProvenanceSummary

        Raises
        ------
        DataError
            If the weights are bad.
        """
        w = check_weights(weights, self.n, "weights")
        shares = np.empty((len(self.codes), len(self.origins)))
        for row, codes in zip(shares, self.codes.values(), strict=True):
            one = np.array([w.sum()]) if len(codes) != self.n else w
            row[:] = np.bincount(codes, weights=one, minlength=len(self.origins)) / w.sum()
        return ProvenanceSummary(self.columns, self.origins, shares, self.sources)

    def merge(self, other: Provenance) -> Provenance:
        """Return the columns of both; where both have one, the other's holds except for its absent cells.

        Parameters
        ----------
        other : Provenance
            Of the same rows.

        Returns
        -------
        Provenance

        Raises
        ------
        DataError
            If it has another number of rows.

        Examples
        --------
        >>> given = Provenance(2).mark(["age"], "observed", "cps")
        >>> given.merge(Provenance(2).mark(["wages"], "imputed", "tax")).columns
        ('age', 'wages')
        """
        if other.n != self.n:
            raise DataError(f"provenances of the same rows merge; got {self.n} and {other.n} rows. See stack.")
        origins, place = _united([self.origins, other.origins])
        codes = {name: _small(place[0][own]) for name, own in self.codes.items()}
        is_absent = np.array([origin.kind == "absent" for origin in other.origins], dtype=bool)
        for name, theirs in other.codes.items():
            new = place[1][theirs]
            codes[name] = _small(np.where(is_absent[theirs], codes[name], new) if name in codes else new)
        return Provenance(self.n, origins, codes, (*self.sources, *other.sources))._tidy()

    def take(self, rows: ArrayLike) -> Provenance:
        """Return the provenance of some rows, by their numbers or a mask.

        Examples
        --------
        >>> Provenance(3).mark(["age"], "observed", "cps").take([0, 2]).n
        2
        """
        chosen = np.arange(self.n)[np.asarray(rows)]
        codes = {name: codes if len(codes) != self.n else codes[chosen] for name, codes in self.codes.items()}
        codes = {name: _small(np.array(found)) for name, found in codes.items()}
        return Provenance(len(chosen), self.origins, codes, self.sources)._tidy()

    @classmethod
    def stack(cls, parts: Sequence[Provenance]) -> Provenance:
        """Return the provenance of the rows of several files, one below the other.

        A column that a part lacks is `absent` there.

        Raises
        ------
        DataError
            If there is no part.

        Examples
        --------
        >>> parts = [Provenance(1).mark(["age"], "observed", name) for name in ("cps", "acs")]
        >>> Provenance.stack(parts).frame()["age"].tolist()
        ['observed: cps', 'observed: acs']
        """
        if not parts:
            raise DataError("stack needs at least one provenance.")
        origins, place = _united([*(part.origins for part in parts), (Origin("absent"),)])
        codes: dict[str, Codes] = {}
        for name in dict.fromkeys(name for part in parts for name in part.codes):
            found = [
                np.broadcast_to(moved[part.codes[name]] if name in part.codes else place[-1], (part.n,))
                for part, moved in zip(parts, place, strict=False)
            ]
            codes[name] = _small(np.concatenate(found))
        named = tuple(source for part in parts for source in part.sources)
        return cls(sum(part.n for part in parts), origins, codes, named)._tidy()

    def _tidy(self) -> Provenance:
        """Return the same with columns of one origin as a single number, and no origin that no cell has."""
        codes = {name: c[:1] if len(c) > 1 and (c == c[0]).all() else c for name, c in self.codes.items()}
        used = sorted({int(code) for c in codes.values() for code in np.unique(c)})
        place = np.zeros(len(self.origins) + 1, dtype=np.int64)
        place[used] = np.arange(len(used))
        tidy = {name: _small(place[c]) for name, c in codes.items()}
        named = dict.fromkeys((*self.sources, *(origin.source for origin in self.origins if origin.source)))
        return Provenance(self.n, tuple(self.origins[code] for code in used), tidy, tuple(named))


@dataclass(frozen=True, eq=False)
class ProvenanceSummary:
    """The weighted share of each origin in each column.

    Attributes
    ----------
    columns : tuple of str
    origins : tuple of Origin
    shares : ndarray of float64, shape (n_columns, n_origins)
        Rows add up to one.
    sources : tuple of str
        Sources that cells could be of.

    Examples
    --------
    >>> Provenance(2).mark(["age"], "observed", "cps").summary().to_frame()
      variable      kind source  share
    0      age  observed    cps    1.0
    """

    columns: tuple[str, ...]
    origins: tuple[Origin, ...]
    shares: NDArray[np.float64]
    sources: tuple[str, ...] = ()

    def share(self, column: str, kind: str, source: str | None = None) -> float:
        """Return the share of a column's cells of a kind, and of a source if one is named.

        Raises
        ------
        ColumnNotFoundError, ParameterError
            If there is no such column, kind or source.
        """
        check_columns(self.columns, [column], "provenance")
        check_choice(kind, KINDS, "kind")
        if source:  # cells that are absent or derived may have none
            named = (*self.sources, *(origin.source for origin in self.origins if origin.source))
            check_choice(source, list(dict.fromkeys(named)), "source")
        wanted = [origin.kind == kind and source in (None, origin.source) for origin in self.origins]
        return float(self.shares[self.columns.index(column)][wanted].sum())

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each column and origin that has cells: variable, kind, source, share."""
        rows = [
            (name, origin.kind, origin.source, share)
            for name, row in zip(self.columns, self.shares.tolist(), strict=True)
            for origin, share in zip(self.origins, row, strict=True)
            if share > 0
        ]
        return pd.DataFrame(rows, columns=["variable", "kind", "source", "share"])

    def to_html(self) -> str:
        """Return the table of `to_frame` as HTML, to be put in a page."""
        return self.to_frame().to_html(index=False, float_format=lambda value: f"{value:.3f}", border=0)

    def __str__(self) -> str:
        table = {"variable": list(self.columns)}
        kinds = {kind: [self.share(name, kind) for name in self.columns] for kind in KINDS}
        return pd.DataFrame({**table, **kinds}).to_string(index=False, float_format=lambda value: f"{value:.3f}")


def _with(origins: tuple[Origin, ...], origin: Origin) -> tuple[tuple[Origin, ...], int]:
    if origin not in origins:
        origins = (*origins, origin)
    return origins, origins.index(origin)


def _united(groups: Sequence[tuple[Origin, ...]]) -> tuple[tuple[Origin, ...], list[NDArray[np.int64]]]:
    """Return all origins once, and for each group where its own went."""
    every = tuple(dict.fromkeys(origin for group in groups for origin in group))
    return every, [np.array([every.index(origin) for origin in group], dtype=np.int64) for group in groups]


def _small(codes: NDArray[Any]) -> Codes:
    """Return codes in the smallest type that holds them, read-only."""
    small: Codes = codes.astype(np.uint8 if codes.size == 0 or codes.max() < 256 else np.uint16)
    small.flags.writeable = False
    return small
