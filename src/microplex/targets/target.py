"""One published figure that weights shall meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from microplex._validation import check_choice
from microplex.errors import ParameterError
from microplex.frames import Level
from microplex.targets.grammar import columns_of, parse_filter

STATISTICS = ("total", "mean", "ratio", "share", "quantile")
ENTITIES = ("households", "tax_units", "persons")
_SINGULAR = {"household": "households", "tax_unit": "tax_units", "person": "persons"}


@dataclass(frozen=True, eq=True)
class Target:
    """A published count, sum, mean, ratio, share or quantile, of one cell.

    Parameters
    ----------
    total : float
        The figure. For a mean, ratio or share it is that; for a quantile, the value that `probability` lies below.
    variable : str, optional
        Column that is summed; None counts records.
    by : mapping of str to category, optional
        The cell: a category of each of some columns. Numbers match by value, so 1, 1.0 and (where the column is
        numeric) "1" are one category.
    where : str, optional
        Filter, such as ``"age >= 65 and wages > 0"`` or ``"state in ('CA', 'NY')"``. A comparison with a missing
        value is unknown, and refused where it decides; ``notna(x) and x > 3`` leaves missing values out.
    entity : str, optional
        What is counted or summed: "households" (the rows of the frame), "tax_units" or "persons". None is the first
        of households, persons and tax units that has the columns.
    tolerance : float
        Allowed relative error; 0 is exact.
    importance : float
        Weight of the target where targets clash, positive.
    name : str, optional
        Made from the definition unless given.
    statistic : str
        "total", "mean" of `variable`, "ratio" of `variable` to `denominator`, "share" of the cell `by` in the domain
        `where` (of records, or of `variable`), or "quantile" of `variable`.
    denominator : str, optional
        Column of a ratio.
    probability : float, optional
        Of a quantile, between 0 and 1.
    source, period, unit, notes : str, optional
        Kept with the target.

    Raises
    ------
    ParameterError
        If an argument is missing, superfluous or impossible, or the filter cannot be read.

    Examples
    --------
    >>> Target(39e6, by={"state": "CA"}).name
    'count, state=CA'
    >>> Target(9e6, by={"state": "CA"}, where="age < 18", entity="persons").name
    'persons where age < 18, state=CA'
    >>> Target.mean(61_000, "wages", where="wages > 0").name
    'mean wages where wages > 0'
    >>> Target(float("nan"))
    Traceback (most recent call last):
    microplex.errors.ParameterError: target 'count': total must be a finite number; got nan.
    """

    total: float
    variable: str | None = None
    by: Mapping[str, Level] = field(default_factory=dict)
    where: str | None = None
    entity: str | None = None
    tolerance: float = 0.0
    importance: float = 1.0
    name: str = ""
    statistic: str = field(default="total", kw_only=True)
    denominator: str | None = field(default=None, kw_only=True)
    probability: float | None = field(default=None, kw_only=True)
    source: str | None = field(default=None, kw_only=True)
    period: str | None = field(default=None, kw_only=True)
    unit: str | None = field(default=None, kw_only=True)
    notes: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the fields and bring them to one form."""

        def put(key: str, value: object) -> None:
            object.__setattr__(self, key, value)

        check_choice(self.statistic, STATISTICS, "statistic")
        put("by", {_text_of("a column of by", key): plain_level(value, key) for key, value in (self.by or {}).items()})
        for key in ("variable", "denominator", "entity", "where"):
            value = getattr(self, key)
            put(key, None if value is None else _text_of(key, value).strip())
        put("entity", _SINGULAR.get(self.entity or "", self.entity))
        if self.entity is not None:
            check_choice(self.entity, ENTITIES, "entity")
        if self.where is not None:
            parse_filter(self.where)
        put("name", _text_of("name", self.name) if self.name else default_name(self))
        for key in ("total", "tolerance", "importance", "probability"):
            value = getattr(self, key)
            put(key, value if value is None and key == "probability" else self._number(key, value))
        self._check_numbers()
        self._check_statistic()

    def __hash__(self) -> int:
        """Hash the definition and the figure."""
        return hash((self.key, self.total, self.name))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it uses."""
        used = [*self.by, self.variable, self.denominator]
        used += [] if self.where is None else [column.name for column in columns_of(parse_filter(self.where))]
        return tuple(dict.fromkeys(name for name in used if name is not None))

    @classmethod
    def mean(cls, value: float, variable: str, **fields: Any) -> Target:
        """Return a target for the mean of a variable in a cell.

        Examples
        --------
        >>> Target.mean(61_000, "wages", by={"state": "CA"}).name
        'mean wages, state=CA'
        """
        return cls(value, variable, statistic="mean", **fields)

    @classmethod
    def ratio(cls, value: float, variable: str, denominator: str, **fields: Any) -> Target:
        """Return a target for the ratio of the totals of two variables in a cell.

        Examples
        --------
        >>> Target.ratio(0.12, "tax", "income").name
        'ratio tax / income'
        """
        return cls(value, variable, statistic="ratio", denominator=denominator, **fields)

    @classmethod
    def share(cls, value: float, by: Mapping[str, Level], variable: str | None = None, **fields: Any) -> Target:
        """Return a target for the share of the cell `by` in the domain `where`: of records, or of a variable.

        The row of the design then covers the whole domain; where the total of the domain is known, a total for the
        cell says the same with fewer coefficients.

        Examples
        --------
        >>> Target.share(0.64, by={"tenure": "owned"}, where="age > 30").name
        'share of count where age > 30, tenure=owned'
        """
        return cls(value, variable, by, statistic="share", **fields)

    @classmethod
    def quantile(cls, value: float, variable: str, probability: float = 0.5, **fields: Any) -> Target:
        """Return a target for a quantile: a share `probability` of the records of the cell is at or below `value`.

        Examples
        --------
        >>> Target.quantile(80_000, "income").name
        'quantile 0.5 of income'
        """
        return cls(value, variable, statistic="quantile", probability=probability, **fields)

    @property
    def key(self) -> tuple[object, ...]:
        """What is measured, without the figure: equal for two targets that cannot differ."""
        threshold = self.total if self.statistic == "quantile" else None
        cell = tuple(sorted((name, match_key(level)) for name, level in self.by.items()))
        return (self.statistic, self.entity, self.variable, self.denominator, self.where, cell, threshold)

    @property
    def value(self) -> float:
        """The figure that the weighted records are compared with: the probability of a quantile, else the total."""
        return self.total if self.probability is None else self.probability

    def _number(self, key: str, value: object) -> float:
        if isinstance(value, Real) and not isinstance(value, bool | np.bool_) and math.isfinite(value):
            return float(value)
        raise ParameterError(f"target {self.name!r}: {key} must be a finite number; got {value!r}.")

    def _check_numbers(self) -> None:
        problems = (
            (self.tolerance < 0, f"tolerance must be at least 0; got {self.tolerance!r}"),
            (self.importance <= 0, f"importance must be positive; got {self.importance!r}"),
            (
                self.statistic == "total" and self.variable is None and self.total < 0,
                f"a count cannot be negative; got {self.total!r}",
            ),
            (
                self.statistic == "share" and not 0 <= self.total <= 1,
                f"a share must lie between 0 and 1; got {self.total!r}",
            ),
            (
                self.probability is not None and not 0 < self.probability < 1,
                f"probability must lie strictly between 0 and 1; got {self.probability!r}",
            ),
        )
        for wrong, problem in problems:
            if wrong:
                raise ParameterError(f"target {self.name!r}: {problem}.")

    def _check_statistic(self) -> None:
        needs = {"mean": ("variable",), "ratio": ("variable", "denominator"), "quantile": ("variable", "probability")}
        for key in needs.get(self.statistic, ()):
            if getattr(self, key) is None:
                raise ParameterError(f"target {self.name!r}: a {self.statistic} needs {key}.")
        for key, statistic in (("denominator", "ratio"), ("probability", "quantile")):
            if getattr(self, key) is not None and self.statistic != statistic:
                raise ParameterError(
                    f"target {self.name!r}: {key} belongs to statistic={statistic!r}; got statistic={self.statistic!r}."
                )
        if self.statistic == "share" and not self.by:
            raise ParameterError(f"target {self.name!r}: a share needs by, the cell whose share it is.")


def default_name(target: Target) -> str:
    """Return the definition of a target in words."""
    what = target.variable or target.entity or "count"
    words = {
        "total": what,
        "mean": f"mean {what}",
        "ratio": f"ratio {what} / {target.denominator}",
        "share": f"share of {what}",
        "quantile": f"quantile {target.probability} of {what}",
    }[target.statistic]
    where = f" where {target.where}" if target.where else ""
    return words + where + "".join(f", {name}={level}" for name, level in target.by.items())


def plain_level(value: object, column: str) -> Level:
    """Return a category as a plain text, boolean or number, whole numbers as int.

    Examples
    --------
    >>> plain_level(np.float64(3.0), "age")
    3
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    raise ParameterError(f"by: the category of {column!r} must be text, a number or a boolean; got {value!r}.")


def match_key(level: Level) -> tuple[bool, Level]:
    """Return a key that is equal for equal categories and orders those of mixed type."""
    return (True, level) if isinstance(level, str) else (False, float(level))


def _text_of(what: str, value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ParameterError(f"{what} must be text; got {value!r}.")
