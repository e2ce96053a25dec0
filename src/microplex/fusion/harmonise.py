"""One set of variables out of surveys that name, code, measure and date them differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from microplex.errors import ColumnNotFoundError, DataError, SchemaError
from microplex.frames import Frame, build_frame, column_names, frame_kind
from microplex.fusion.common import check_source_names
from microplex.fusion.harmonise_apply import harmonise_source, written
from microplex.fusion.harmonise_checks import check_plan, order_derivations
from microplex.fusion.harmonise_column import SourceColumn, check_fields, copied
from microplex.fusion.harmonise_yaml import dump, load

WEIGHT = "weight"


@dataclass(frozen=True)
class Harmonisation:
    """What the variables of a fusion are called, coded and measured in, source by source.

    Parameters
    ----------
    variables : mapping of str to mapping of str to SourceColumn, mapping or str
        For each variable and each source that observes it, the column there and what is done to it (`SourceColumn`).
    weights : mapping of str to SourceColumn, mapping or str
        The weight of each source that has one; it comes out as ``"weight"``.
    entities : mapping of str to str
        What a row of each source, or of another table that a variable names, is: `person`, `household`, `tax unit`.
    entity : str, optional
        What a row shall be; needed where sources differ.
    keys : mapping of str to str
        By source or table, the column that says to which group a row belongs, or which group it is.
    heads : mapping of str to mapping
        By source or table of members, ``{"column": ..., "value": ...}`` of the head of a group.
    periods : mapping of str to int or mapping
        Period of each source, or ``{"column": ...}`` where it differs by row.
    period : int, optional
        Period to be reached; the latest of the sources unless given.
    uprating : mapping of str to mapping of int to float
        For each amount, the factor that brings it from a period to the period to be reached.
    units : mapping of str to str
        Unit of each variable. A source's column in another unit needs a factor or an offset.
    derivations : mapping of str to mapping of str to float
        Variables that are sums of others with these coefficients, in the sources that do not give them themselves.

    Raises
    ------
    SchemaError
        If the description contradicts itself; variable and source are named.

    Examples
    --------
    >>> import pandas as pd
    >>> plan = Harmonisation(
    ...     {
    ...         "wages": {"cps": "WSAL_VAL", "tax": {"column": "e00200", "factor": 1000}},
    ...         "tenure": {"cps": {"column": "H_TENURE", "recode": {1: "own", 2: "rent"}}},
    ...     },
    ...     periods={"cps": 2022, "tax": 2015},
    ...     uprating={"wages": {2015: 1.5}},
    ... )
    >>> cps = pd.DataFrame({"WSAL_VAL": [0, 40000], "H_TENURE": [2, 1]})
    >>> plan.apply({"cps": cps, "tax": pd.DataFrame({"e00200": [20, 30]})})["cps"]
       wages tenure
    0      0   rent
    1  40000    own
    """

    variables: Mapping[str, Mapping[str, SourceColumn]]
    weights: Mapping[str, SourceColumn] = field(default_factory=dict)
    entities: Mapping[str, str] = field(default_factory=dict)
    entity: str | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    periods: Mapping[str, Any] = field(default_factory=dict)
    period: int | None = None
    uprating: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    derivations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Hold plain values and check that the parts fit each other."""
        for known in fields(self):
            value = getattr(self, known.name)
            if known.name not in ("entity", "period"):
                if not isinstance(value, Mapping):
                    raise SchemaError(f"{known.name} must be a mapping; got {value!r}.")
                object.__setattr__(self, known.name, copied(value))
        columns = {name: self._by_source(name, by_source) for name, by_source in self.variables.items()}
        weights = {
            source: SourceColumn.read(given, f"weight of source {source!r}") for source, given in self.weights.items()
        }
        object.__setattr__(self, "variables", columns)
        object.__setattr__(self, "weights", weights)
        check_plan(self, WEIGHT)

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources that give a variable, in the order of their first one."""
        return tuple(dict.fromkeys(source for by_source in self.variables.values() for source in by_source))

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables besides the sources that a column is read from."""
        every = [*(c for by_source in self.variables.values() for c in by_source.values()), *self.weights.values()]
        return tuple(dict.fromkeys(c.table for c in every if c.table is not None and c.table not in self.sources))

    @property
    def not_uprated(self) -> tuple[str, ...]:
        """Variables read without recoding from sources of several periods, for which no factor is given.

        Right for ages and counts; amounts of several periods are not comparable.
        """
        found = []
        for name, by_source in self.variables.items():
            periods = [self.periods[s] for s, c in by_source.items() if s in self.periods and not (c.recode or c.cut)]
            several = any(given != periods[0] or isinstance(given, Mapping) for given in periods)
            if several and name not in self.uprating:
                found.append(name)
        return tuple(found)

    def names(self, source: str) -> tuple[str, ...]:
        """Return the variables that a source has after harmonisation: given, then derived."""
        given = [name for name, by_source in self.variables.items() if source in by_source]
        return (*given, *self.derived(source))

    def derived(self, source: str) -> tuple[str, ...]:
        """Return the variables that are derived in a source, in an order in which they can be computed."""
        have = {name for name, by_source in self.variables.items() if source in by_source}
        found: list[str] = []
        for name in order_derivations(self.derivations):
            if name not in have and have.issuperset(self.derivations[name]):
                have.add(name)
                found.append(name)
        return tuple(found)

    def apply(self, sources: Mapping[str, Frame]) -> dict[str, Frame]:
        """Harmonise all sources.

        Parameters
        ----------
        sources : mapping of str to data frame
            The sources, and the other tables that variables name; pandas, polars or Arrow.

        Returns
        -------
        dict of str to data frame
            Of each source its variables and, last, ``"weight"`` if it has one: of the same kind, in the same order of
            rows; an aggregated source has a row a group in order of first appearance.

        Raises
        ------
        DataError
            A source is unknown or absent, a code has no recode (all are listed with their counts), or members and
            groups do not fit.
        ColumnNotFoundError
            A source lacks a column.

        Examples
        --------
        >>> import pandas as pd
        >>> plan = Harmonisation({"tenure": {"cps": {"column": "H_TENURE", "recode": {1: "own"}}}})
        >>> plan.apply({"cps": pd.DataFrame({"H_TENURE": [1, 3, 3]})})
        Traceback (most recent call last):
        microplex.errors.DataError: variable 'tenure' of source 'cps': column 'H_TENURE' has codes without a recode: \
3 (2 rows). Name them in recode or missing, or give otherwise. Known codes: 1.
        """
        wanted = [*self.sources, *self.tables]
        check_source_names(sources, wanted, what="source or table")
        absent = [name for name in wanted if name not in sources]
        if absent:
            raise DataError(
                f"no data for {', '.join(map(repr, absent))}; got {', '.join(map(repr, sources)) or 'none'}."
            )
        return {source: self._harmonised(source, sources, partial=False) for source in self.sources}

    def apply_to(
        self, frame: Frame, source: str, *, tables: Mapping[str, Frame] | None = None, partial: bool = False
    ) -> Frame:
        """Harmonise one frame that is coded as a source is, such as a recipient.

        Parameters
        ----------
        frame : data frame
        source : str
            Whose coding it has.
        tables : mapping of str to data frame, optional
            The other tables that variables name.
        partial : bool
            Leave out variables whose columns the frame lacks; otherwise they are an error.

        Returns
        -------
        data frame
            As from `apply`.

        Raises
        ------
        DataError, ColumnNotFoundError
            As from `apply`.

        Examples
        --------
        >>> import pandas as pd
        >>> plan = Harmonisation({"age": {"cps": "A_AGE"}, "wages": {"cps": "WSAL_VAL"}})
        >>> list(plan.apply_to(pd.DataFrame({"A_AGE": [40]}), "cps", partial=True))
        ['age']
        """
        check_source_names([source], self.sources)
        if tables:
            check_source_names(tables, [*self.tables, *self.sources], "tables", "table")
        return self._harmonised(source, {**(tables or {}), source: frame}, partial)

    def unused(self, sources: Mapping[str, Frame]) -> dict[str, tuple[str, ...]]:
        """Return the columns of each frame that no variable, weight, key, head or period reads.

        Parameters
        ----------
        sources : mapping of str to data frame

        Returns
        -------
        dict of str to tuple of str

        Examples
        --------
        >>> import pandas as pd
        >>> Harmonisation({"age": {"cps": "A_AGE"}}).unused({"cps": pd.DataFrame({"A_AGE": [3], "A_SEX": [1]})})
        {'cps': ('A_SEX',)}
        """
        read: dict[str, set[str]] = {name: set() for name in sources}
        for by_source in (*self.variables.values(), self.weights):
            for source, column in by_source.items():
                read.setdefault(column.table or source, set()).update(column.columns)
        for name, key in self.keys.items():
            read.setdefault(name, set()).add(key)
        for name, given in (*self.heads.items(), *self.periods.items()):
            if isinstance(given, Mapping):
                read.setdefault(name, set()).add(given["column"])
        return {
            name: tuple(column for column in column_names(frame) if column not in read[name])
            for name, frame in sources.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain values, empty parts left out; `from_dict` reads it back."""
        content: dict[str, Any] = {
            "variables": {
                name: {source: column.to_dict() for source, column in by_source.items()}
                for name, by_source in self.variables.items()
            },
            "weights": {source: column.to_dict() for source, column in self.weights.items()},
        }
        for known in fields(self)[2:]:
            content[known.name] = getattr(self, known.name)
        return {name: value for name, value in content.items() if name == "variables" or value not in ({}, None)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Harmonisation:
        """Read what `to_dict` wrote.

        Raises
        ------
        SchemaError
            If a field is unknown, absent or wrong.
        """
        if not isinstance(content, Mapping) or "variables" not in content:
            raise SchemaError("a harmonisation needs the field 'variables': variable, source, column.")
        check_fields(content, [known.name for known in fields(cls)])
        return cls(**content)

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the description as YAML, and write it if a path is given.

        Parameters
        ----------
        path : path, optional

        Returns
        -------
        str

        Examples
        --------
        >>> print(Harmonisation({"age": {"cps": "A_AGE"}}).to_yaml())
        variables:
          age:
            cps:
              column: A_AGE
        <BLANKLINE>
        """
        text = dump(self.to_dict())
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_yaml(cls, source: str | Path) -> Harmonisation:
        """Read a harmonisation from a YAML file or from YAML text.

        Parameters
        ----------
        source : str or path
            A path, or text of more than one line.

        Returns
        -------
        Harmonisation

        Raises
        ------
        SchemaError
            If there is no such file, or its content is no harmonisation.

        Examples
        --------
        >>> plan = Harmonisation({"age": {"cps": "A_AGE"}}, periods={"cps": 2022})
        >>> Harmonisation.from_yaml(plan.to_yaml()) == plan
        True
        """
        return cls.from_dict(load(source))

    def _by_source(self, name: Any, by_source: Any) -> dict[str, SourceColumn]:
        if not isinstance(name, str) or not name:
            raise SchemaError(f"the name of a variable must be text; got {name!r}.")
        if not isinstance(by_source, Mapping) or not by_source:
            raise SchemaError(
                f"variable {name!r} must map sources to columns, such as {{cps: A_AGE}}; got {by_source!r}."
            )
        return {
            source: SourceColumn.read(given, f"variable {name!r} of source {source!r}")
            for source, given in by_source.items()
        }

    def _harmonised(self, source: str, frames: Mapping[str, Frame], partial: bool) -> Frame:
        columns = harmonise_source(self, source, frames, WEIGHT, partial, self.derived(source))
        if not columns.keys() - {WEIGHT}:
            known = [by_source[source].columns[0] for by_source in self.variables.values() if source in by_source]
            raise ColumnNotFoundError(f"the frame has no column of source {source!r}. Known: {', '.join(known)}.")
        frame = frames[source]
        built = {name: written(data) for name, data in columns.items()}
        if self.entity is None or self.entities.get(source) == self.entity:
            return build_frame(built, frame)
        return build_frame(built, frame_kind(frame))
