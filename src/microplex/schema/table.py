"""The columns of a table together, with its weight and id columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from microplex._validation import check_columns
from microplex.errors import SchemaError
from microplex.schema.column import Column
from microplex.schema.infer import infer_columns

_FIELDS = ("weight", "ids", "columns")


@dataclass(frozen=True)
class Schema:
    """What every column of a table is.

    Parameters
    ----------
    columns : tuple of Column
        The columns, in the order of the table.
    weight : str, optional
        Name of the survey weight column; it is not among `columns`.
    ids : tuple of str
        Names of identifying columns; they are not among `columns`.

    Raises
    ------
    SchemaError
        If a name occurs twice.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": [31, 64, 7], "state": ["NY", "CA", "NY"]})
    >>> schema = Schema.infer(frame)
    >>> schema["state"].levels
    ('CA', 'NY')
    >>> schema.replace("age", upper=110)["age"].upper
    110.0
    """

    columns: tuple[Column, ...]
    weight: str | None = None
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "ids", (self.ids,) if isinstance(self.ids, str) else tuple(self.ids))
        for column in self.columns:
            if not isinstance(column, Column):
                raise SchemaError(f"columns must be Column objects, got {column!r}.")
        names = [*self.names, *([] if self.weight is None else [self.weight]), *self.ids]
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise SchemaError(f"{twice[0]!r} occurs twice among columns, weight and ids; name it once.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        check_columns(self.names, [name], "schema")
        return self.columns[self.names.index(name)]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @classmethod
    def infer(
        cls,
        frame: Any,
        weight: str | None = None,
        ids: Sequence[str] = (),
        columns: Sequence[str] | None = None,
        min_rows: int = 3,
        kinds: Mapping[str, str] | None = None,
    ) -> Schema:
        """Read the schema off a table.

        Parameters
        ----------
        frame : pandas.DataFrame, polars.DataFrame or pyarrow.Table
            The table.
        weight : str, optional
            Name of the survey weight column.
        ids : sequence of str
            Names of identifying columns.
        columns : sequence of str, optional
            Columns to describe; all but `weight` and `ids` if not given.
        min_rows : int
            Rows that must share a value before it is recorded; never less than 3.
        kinds : mapping of str to str, optional
            Kinds to take as given, such as `{"fips": "categorical"}`.

        Returns
        -------
        Schema
            What the table shows; correct it with `replace`.

        Raises
        ------
        ColumnNotFoundError
            If a named column is absent.
        DataError
            If a column mixes types or holds infinite values.
        SchemaError
            If a kind given does not suit its column.

        Examples
        --------
        >>> import pandas as pd
        >>> Schema.infer(pd.DataFrame({"rent": [0.0, 512.25, 730.5]}))["rent"].resolution
        0.01
        """
        ids = (ids,) if isinstance(ids, str) else tuple(ids)
        described = infer_columns(frame, weight, ids, columns, min_rows, kinds or {})
        return cls(described, weight=weight, ids=ids)

    def replace(self, name: str, /, **changes: Any) -> Schema:
        """Return a schema in which one column is described differently.

        Parameters
        ----------
        name : str
            The column.
        **changes
            Fields of `Column` and their new values.

        Returns
        -------
        Schema
            The edited schema; this one stays as it is.

        Raises
        ------
        ColumnNotFoundError
            If there is no such column.
        SchemaError
            If a field is unknown or the description contradicts itself.

        Examples
        --------
        >>> schema = Schema((Column("hours", "count", "int"),))
        >>> schema.replace("hours", missing_codes=[-9])["hours"].missing_codes
        (-9.0,)
        """
        old = self[name]
        new = Column.from_dict({**_fields(old), **changes})
        columns = tuple(new if column is old else column for column in self.columns)
        return dataclasses.replace(self, columns=columns)

    def subset(self, names: Iterable[str]) -> Schema:
        """Return the schema of some columns, in the order named.

        Parameters
        ----------
        names : iterable of str
            Columns to keep.

        Returns
        -------
        Schema
            Weight and ids stay.

        Raises
        ------
        ColumnNotFoundError
            If a column is not in the schema.

        Examples
        --------
        >>> schema = Schema((Column("a", "count", "int"), Column("b", "count", "int")))
        >>> schema.subset(["b"]).names
        ('b',)
        """
        names = list(names)
        check_columns(self.names, names, "schema")
        return dataclasses.replace(self, columns=tuple(self[name] for name in names))

    def to_dict(self) -> dict[str, Any]:
        """Return the schema as plain values.

        Returns
        -------
        dict
            JSON- and YAML-able, read back by `from_dict`.

        Examples
        --------
        >>> Schema((), weight="w").to_dict()
        {'weight': 'w', 'ids': [], 'columns': []}
        """
        return {
            "weight": self.weight,
            "ids": list(self.ids),
            "columns": [column.to_dict() for column in self.columns],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Schema:
        """Read what `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            `columns`, and optionally `weight` and `ids`.

        Returns
        -------
        Schema
            The schema described.

        Raises
        ------
        SchemaError
            If a field is unknown, absent or wrong.

        Examples
        --------
        >>> Schema.from_dict({"columns": [{"name": "age", "kind": "count", "dtype": "int"}]}).names
        ('age',)
        """
        if not isinstance(content, Mapping) or not isinstance(content.get("columns"), (list, tuple)):
            raise SchemaError("a schema needs the field 'columns' with a list of columns.")
        strange = [key for key in content if key not in _FIELDS]
        if strange:
            raise SchemaError(f"a schema has no field {strange[0]!r}. Fields: {', '.join(_FIELDS)}.")
        columns = tuple(Column.from_dict(entry) for entry in content["columns"])
        return cls(columns, weight=content.get("weight"), ids=tuple(content.get("ids") or ()))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the schema as YAML, and write it if a path is given.

        Parameters
        ----------
        path : str or pathlib.Path, optional
            File to write.

        Returns
        -------
        str
            The text.

        Examples
        --------
        >>> print(Schema((Column("age", "count", "int"),)).to_yaml())
        weight: null
        ids: []
        columns:
        - name: age
          kind: count
          dtype: int
        <BLANKLINE>
        """
        text = _dump(self.to_dict(), plainly=True)
        if not text.replace("\n", "").isprintable():
            text = _dump(self.to_dict(), plainly=False)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_yaml(cls, source: str | Path) -> Schema:
        """Read a schema from a YAML file or from YAML text.

        Parameters
        ----------
        source : str or pathlib.Path
            A path, or text of more than one line.

        Returns
        -------
        Schema
            The schema described.

        Raises
        ------
        SchemaError
            If there is no such file, or its content is not a schema.

        Examples
        --------
        >>> schema = Schema((Column("age", "count", "int"),))
        >>> Schema.from_yaml(schema.to_yaml()) == schema
        True
        """
        text = source if isinstance(source, str) and "\n" in source else _read(Path(source))
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SchemaError(f"the schema is not valid YAML: {error}") from error
        return cls.from_dict(content)

    def __str__(self) -> str:
        head = f"Schema of {len(self)} columns"
        head += f", weight {self.weight!r}" if self.weight else ""
        head += f", ids {', '.join(map(repr, self.ids))}" if self.ids else ""
        width = max((len(name) for name in self.names), default=0)
        return "\n".join([head, *(f"  {c.name:<{width}}  {c.kind:<14} {_summary(c)}".rstrip() for c in self)])


def _fields(column: Column) -> dict[str, Any]:
    return {field.name: getattr(column, field.name) for field in dataclasses.fields(column)}


def _dump(content: dict[str, Any], plainly: bool) -> str:
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=plainly, width=110))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SchemaError(f"cannot read the schema file '{path}': {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SchemaError(f"the schema file '{path}' is not text: expected YAML.") from error


def _summary(column: Column) -> str:
    parts = []
    if column.levels:
        parts.append(f"{len(column.levels)} levels: {_few(column.levels)}")
    if column.lower is not None or column.upper is not None:
        low, high = ("" if bound is None else f"{bound:g}" for bound in (column.lower, column.upper))
        parts.append(f"[{low}, {high}]")
    for field in ("resolution", "top_code", "bottom_code", "unknown"):
        value = getattr(column, field)
        if value is not None:
            parts.append(f"{field.replace('_', ' ')} {value if isinstance(value, str) else format(value, 'g')}")
    for field in ("atoms", "heaps", "missing_codes"):
        if getattr(column, field):
            parts.append(f"{field.replace('_', ' ')} {_few(getattr(column, field))}")
    if column.missing != "none":
        parts.append("missing is a level" if column.missing == "level" else "missing is unobserved")
    return "; ".join(parts)


def _few(values: Sequence[Any], limit: int = 5) -> str:
    shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values[:limit])
    return f"{shown}, ... ({len(values)})" if len(values) > limit else shown
