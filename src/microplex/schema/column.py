"""One column of a table, described."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np

from microplex.errors import SchemaError, near_miss

Level = str | bool | int | float

KINDS = ("continuous", "semicontinuous", "count", "ordinal", "categorical", "boolean", "date")
DTYPES = ("int", "float", "bool", "string", "category", "date", "datetime")
MISSING = ("none", "level", "unobserved")
NUMERIC_KINDS = frozenset({"continuous", "semicontinuous", "count", "date"})


@dataclass(frozen=True)
class Column:
    """What one column is and which values it may take.

    Numbers are in the column's own units; dates are days since 1970-01-01, datetimes seconds since then.

    Parameters
    ----------
    name : str
        Name of the column.
    kind : str
        One of `continuous`, `semicontinuous`, `count`, `ordinal`, `categorical`, `boolean`, `date`.
    dtype : str
        How values are stored: `int`, `float`, `bool`, `string`, `category`, `date` or `datetime`.
    levels : tuple of str, bool, int or float
        Categories of a categorical, boolean or ordinal column; for an ordinal one in ascending order.
    unknown : str, bool, int or float, optional
        The level that stands for categories not seen in training.
    missing : str
        `none` (no value is missing), `level` (missing is an outcome of its own) or `unobserved`
        (a value exists but was not seen).
    missing_codes : tuple of float
        Numbers such as -9 that stand for a reason of absence, each a level of its own.
    atoms : tuple of float
        Values that hold a point mass, ascending.
    resolution : float, optional
        Every value is a multiple of it.
    heaps : tuple of float
        Coarser grains, descending, to which a surplus of values is rounded.
    lower, upper : float, optional
        Bounds that no value passes.
    top_code, bottom_code : float, optional
        The value into which everything above (below) was collected.

    Raises
    ------
    SchemaError
        If the description contradicts itself.

    Examples
    --------
    >>> wage = Column("wage", "semicontinuous", "int", atoms=(0,), resolution=1, lower=0)
    >>> wage.is_numeric, wage.atoms
    (True, (0.0,))
    """

    name: str
    kind: str
    dtype: str
    levels: tuple[Level, ...] = ()
    unknown: Level | None = None
    missing: str = "none"
    missing_codes: tuple[float, ...] = ()
    atoms: tuple[float, ...] = ()
    resolution: float | None = None
    heaps: tuple[float, ...] = ()
    lower: float | None = None
    upper: float | None = None
    top_code: float | None = None
    bottom_code: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise SchemaError(f"a column name must be a non-empty string, got {self.name!r}.")
        self._check_choices()
        self._normalise()
        self._check_levels()
        self._check_bounds()
        self._check_grains()

    @property
    def is_numeric(self) -> bool:
        """Whether values are numbers (dates included) rather than levels."""
        return self.kind in NUMERIC_KINDS

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, those at their default left out.

        Returns
        -------
        dict
            JSON- and YAML-able, read back by `from_dict`.

        Examples
        --------
        >>> Column("age", "count", "int", resolution=1.0).to_dict()
        {'name': 'age', 'kind': 'count', 'dtype': 'int', 'resolution': 1.0}
        """
        shown = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Column:
        """Read what `to_dict` wrote.

        Parameters
        ----------
        entry : mapping
            Field names and values.

        Returns
        -------
        Column
            The column described.

        Raises
        ------
        SchemaError
            If a field is unknown, absent or wrong.

        Examples
        --------
        >>> Column.from_dict({"name": "age", "kind": "count", "dtype": "int"}).kind
        'count'
        """
        if not isinstance(entry, Mapping):
            raise SchemaError(f"a column must be given as fields and values, got {entry!r}.")
        known = tuple(f.name for f in fields(cls))
        label = f"column {entry['name']!r}" if "name" in entry else "a column"
        for key in entry:
            if key not in known:
                raise SchemaError(f"{label} has no field {key!r}.{_near(key, known)} Fields: {', '.join(known)}.")
        absent = [key for key in ("name", "kind", "dtype") if key not in entry]
        if absent:
            raise SchemaError(f"{label} lacks the field {absent[0]!r}.")
        return cls(**entry)

    def _fail(self, text: str) -> SchemaError:
        return SchemaError(f"column {self.name!r}: {text}")

    def _check_choices(self) -> None:
        for field, choices in (("kind", KINDS), ("dtype", DTYPES), ("missing", MISSING)):
            value = getattr(self, field)
            if value not in choices:
                raise self._fail(f"{field} must be one of {', '.join(choices)}, got {value!r}.{_near(value, choices)}")

    def _normalise(self) -> None:
        def store(field: str, value: object) -> None:
            object.__setattr__(self, field, value)

        store("levels", tuple(_plain(level) for level in self._sequence("levels")))
        store("unknown", _plain(self.unknown))
        for field in ("missing_codes", "atoms", "heaps"):
            numbers = {self._number(field, value) for value in self._sequence(field)}
            store(field, tuple(sorted(numbers, reverse=field == "heaps")))
        for field in ("resolution", "lower", "upper", "top_code", "bottom_code"):
            value = getattr(self, field)
            store(field, None if value is None else self._number(field, value))

    def _sequence(self, field: str) -> Iterable[Any]:
        value = getattr(self, field)
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise self._fail(f"{field} must be a sequence, got {value!r}. Write [{value!r}].")
        return value

    def _number(self, field: str, value: object) -> float:
        if not isinstance(value, (Real, np.number)) or isinstance(value, bool) or not math.isfinite(float(value)):
            raise self._fail(f"{field} must be a finite number, got {value!r}.")
        return float(value) + 0.0

    def _check_levels(self) -> None:
        if self.is_numeric:
            if self.levels or self.unknown is not None:
                raise self._fail(f"levels and unknown belong to categories, the kind is {self.kind!r}.")
            return
        for field in ("missing_codes", "atoms", "heaps", "resolution", "lower", "upper", "top_code", "bottom_code"):
            if getattr(self, field) not in ((), None):
                raise self._fail(f"{field} belongs to numbers, the kind is {self.kind!r}.")
        if not self.levels and self.missing != "level":
            raise self._fail(f"kind {self.kind!r} needs levels, got none.")
        seen: set[Level] = set()
        for place, level in enumerate(self.levels):
            if not isinstance(level, (str, bool, int, float)) or level != level:
                raise self._fail(f"level {place} must be a string, a number or a truth value, got {level!r}.")
            if level in seen:
                raise self._fail(f"level {level!r} occurs twice.")
            seen.add(level)
        if self.unknown is not None and self.unknown not in self.levels:
            raise self._fail(
                f"unknown must be one of the levels, got {self.unknown!r}.{_near(self.unknown, self.levels)}"
            )

    def _check_bounds(self) -> None:
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        if low > high:
            raise self._fail(f"lower ({low:g}) is above upper ({high:g}).")
        for field in ("atoms", "top_code", "bottom_code"):
            value = getattr(self, field)
            for number in value if isinstance(value, tuple) else () if value is None else (value,):
                if not low <= number <= high:
                    raise self._fail(f"{field} has {number:g} outside the bounds [{low:g}, {high:g}].")
                if number in self.missing_codes:
                    raise self._fail(f"{number:g} is both in {field} and a missing code.")
        if self.top_code is not None and self.bottom_code is not None and self.bottom_code > self.top_code:
            raise self._fail(f"bottom_code ({self.bottom_code:g}) is above top_code ({self.top_code:g}).")

    def _check_grains(self) -> None:
        if self.resolution is not None and self.resolution <= 0:
            raise self._fail(f"resolution must be positive, got {self.resolution:g}.")
        floor = self.resolution or 0.0
        for heap in self.heaps:
            if heap <= floor:
                raise self._fail(f"heaps must be coarser than the resolution ({floor:g}), got {heap:g}.")


def _plain(value: Any) -> Any:
    """Return a numpy scalar as the Python value it holds."""
    return value.item() if isinstance(value, np.generic) else value


def _near(word: object, choices: Iterable[object]) -> str:
    return near_miss(str(word), [str(choice) for choice in choices])
