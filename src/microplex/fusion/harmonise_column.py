"""Where one harmonised variable comes from in one source, and what is done to it on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np

from microplex._validation import check_choice
from microplex.errors import SchemaError, near_miss
from microplex.frames import Level

AGGREGATES = ("sum", "mean", "min", "max", "any", "count", "head")


@dataclass(frozen=True)
class SourceColumn:
    """How a harmonised variable is read from one source.

    Parameters
    ----------
    column : str or sequence of str
        Column of the source; several columns are added up, missing where one of them is.
    table : str, optional
        Another table of the call that holds the column; the source's own unless given.
    missing : sequence of str, bool, int or float
        Codes that mean "no value"; they become missing.
    recode : mapping, optional
        Code in the source to level of the variable; None makes a code missing. A code that is neither here nor in
        `missing` is an error, unless `otherwise` is given.
    otherwise : str, bool, int or float, optional
        Level of every code that `recode` does not name.
    cut : mapping of number to level, optional
        Lower edges of bands of a number, ascending: ``{0: "child", 18: "adult"}``.
    factor, offset : float
        A number becomes ``value * factor + offset``, in the unit of the variable.
    unit : str, optional
        Unit of the source's column, compared with that of the variable.
    aggregate : str, optional
        How members make a group: `sum`, `mean`, `min`, `max`, `any`, `count` (members for whom a truth value holds, of
        another column all members) or `head` (the value of the head).
    broadcast : bool
        Each row takes the value of its group, or its own, found by key in `table`.

    Raises
    ------
    SchemaError
        If the description contradicts itself.

    Examples
    --------
    >>> SourceColumn("H_TENURE", recode={1: "own", 2: "rent", 3: "rent"}).to_dict()
    {'column': 'H_TENURE', 'recode': {1: 'own', 2: 'rent', 3: 'rent'}}
    """

    column: str | tuple[str, ...]
    table: str | None = None
    missing: tuple[Level, ...] = ()
    recode: Mapping[Level, Level | None] = field(default_factory=dict)
    otherwise: Level | None = None
    cut: Mapping[float, Level] = field(default_factory=dict)
    factor: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    aggregate: str | None = None
    broadcast: bool = False

    def __post_init__(self) -> None:
        """Hold plain values and check that the fields fit each other."""
        if not isinstance(self.column, str):
            object.__setattr__(self, "column", tuple(_listed(self.column, "column")))
        if not self.columns or not all(isinstance(name, str) and name for name in self.columns):
            raise SchemaError(f"column must be the name of a column or a list of names; got {self.column!r}.")
        object.__setattr__(self, "missing", tuple(_plain(code) for code in _listed(self.missing, "missing")))
        for name in ("recode", "cut"):
            given = getattr(self, name)
            if not isinstance(given, Mapping):
                raise SchemaError(f"{name} must map values to levels, such as {{1: 'own'}}; got {given!r}.")
            object.__setattr__(self, name, {_plain(code): _plain(level) for code, level in given.items()})
        self._check_numbers()
        self._check_levels()
        if self.aggregate is not None:
            check_choice(self.aggregate, AGGREGATES, "aggregate")
        if self.broadcast and self.aggregate:
            raise SchemaError("aggregate and broadcast exclude each other: a value goes to members or comes from them.")
        if self.broadcast and self.table is None:
            raise SchemaError("broadcast needs table: the table of groups that holds the column.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that are read."""
        return (self.column,) if isinstance(self.column, str) else self.column

    @property
    def levels(self) -> tuple[Level, ...]:
        """Levels that a recoded or cut variable can take, in the order of their declaration."""
        given = [*self.recode.values(), *self.cut.values(), self.otherwise]
        return tuple(dict.fromkeys(level for level in given if level is not None))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, those at their default left out."""
        shown: dict[str, Any] = {}
        for known in fields(self):
            value = getattr(self, known.name)
            default = known.default_factory() if known.default_factory is not MISSING else known.default
            if known.name == "column" or value != default:
                shown[known.name] = list(value) if isinstance(value, tuple) else value
        return shown

    @classmethod
    def from_value(cls, given: object) -> SourceColumn:
        """Read a description: a name of a column, a mapping of fields, or one that is ready.

        Raises
        ------
        SchemaError
            If a field is unknown, absent or wrong.

        Examples
        --------
        >>> SourceColumn.from_value("age").column
        'age'
        >>> SourceColumn.from_value({"column": "wage", "facter": 1000})
        Traceback (most recent call last):
        microplex.errors.SchemaError: no field 'facter'. Did you mean 'factor'? Fields: column, table, missing, \
recode, otherwise, cut, factor, offset, unit, aggregate, broadcast.
        """
        if isinstance(given, SourceColumn):
            return given
        if isinstance(given, str):
            return cls(given)
        if not isinstance(given, Mapping):
            raise SchemaError(f"expected the name of a column or its fields, such as {{column: age}}; got {given!r}.")
        known = [known.name for known in fields(cls)]
        check_fields(given, known)
        if "column" not in given:
            raise SchemaError("the field 'column' is lacking: name the column of the source.")
        return cls(**given)

    @classmethod
    def read(cls, given: object, label: str) -> SourceColumn:
        """Read a description as `from_value` does; `label` opens the message of an error."""
        try:
            return cls.from_value(given)
        except ValueError as error:
            raise SchemaError(f"{label}: {error}") from error

    def _check_numbers(self) -> None:
        for name in ("factor", "offset"):
            value = _plain(getattr(self, name))
            if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
                raise SchemaError(f"{name} must be a finite number; got {value!r}.")
            object.__setattr__(self, name, value)
        if self.factor == 0:
            raise SchemaError("factor must not be 0: every value would be the same.")
        edges = list(self.cut)
        if not all(isinstance(edge, Real) and not isinstance(edge, bool) and math.isfinite(edge) for edge in edges):
            raise SchemaError(f"the edges of cut must be finite numbers; got {edges}.")
        if any(low >= high for low, high in pairwise(edges)):
            raise SchemaError(f"the edges of cut must ascend; got {edges}.")

    def _check_levels(self) -> None:
        if self.recode and self.cut:
            raise SchemaError("recode and cut exclude each other: name the codes, or the lower edges of bands.")
        if self.otherwise is not None and not self.recode:
            raise SchemaError("otherwise needs recode: it is the level of the codes that recode does not name.")
        if self.recode and not self.levels:
            raise SchemaError("recode makes every code missing; name a level for at least one.")
        if (self.recode or len(self.columns) > 1) and any(code in self.recode for code in self.missing):
            both = next(code for code in self.missing if code in self.recode)
            raise SchemaError(f"code {both!r} is both in missing and in recode. Name it in one of them.")
        if self.recode and len(self.columns) > 1:
            raise SchemaError("recode reads one column; several columns are added up as numbers.")
        if self.recode and (self.factor, self.offset) != (1, 0):
            raise SchemaError("factor and offset belong to numbers; this variable is recoded into levels.")
        sorts = {_sort(level) for level in self.levels}
        if len(sorts) > 1:
            hint = (
                " YAML reads an unquoted yes, no, on and off as true and false: quote them." if "bool" in sorts else ""
            )
            raise SchemaError(f"levels must be of one type; got {', '.join(map(repr, self.levels))}.{hint}")


def check_fields(given: Mapping[Any, Any], known: list[str]) -> None:
    """Check that a mapping has no unknown key; the nearest one is offered.

    Raises
    ------
    SchemaError
        If it has.
    """
    for key in given:
        if key not in known:
            raise SchemaError(f"no field {key!r}.{near_miss(str(key), known)} Fields: {', '.join(known)}.")


def copied(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """Copy nested mappings, so that later changes to the caller's reach nobody."""
    return {key: copied(inner) if isinstance(inner, Mapping) else inner for key, inner in value.items()}


def _listed(value: Any, name: str) -> list[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, list | tuple | set | frozenset | np.ndarray):
        raise SchemaError(f"{name} must be a list; got {value!r}. Write [{value!r}].")
    return list(value)


def _plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value it holds."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is not None and (not isinstance(plain, str | bool | int | float) or plain != plain):
        raise SchemaError(f"a code or level must be text, a number or a truth value; got {value!r}.")
    return plain


def _sort(level: Level) -> str:
    return "bool" if isinstance(level, bool) else "text" if isinstance(level, str) else "number"
