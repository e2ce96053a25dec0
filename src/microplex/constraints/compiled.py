"""Constraints made ready for arrays: names checked, levels turned into codes, derived columns replaced."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints.tables import Table
from microplex.constraints.terms import (
    AnyOf,
    Combinations,
    Comparison,
    Condition,
    Constraint,
    Implies,
    Membership,
    Sum,
    negate,
)
from microplex.errors import ConstraintError, near_miss
from microplex.schema import Column, Level

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    """A column as the constraints see it.

    Attributes
    ----------
    column : Column
        Its description.
    numbers : float64[k] or None
        For a column with levels, the number that stands for each: the level itself, or its rank if ordinal;
        None if levels have no order. For a count with few values, these values. None for other numbers.
    """

    column: Column
    numbers: Floats | None

    @classmethod
    def of(cls, column: Column, points: Sequence[float] = ()) -> View:
        """Return the view of a column; `points` are the values of a count that has few."""
        if column.is_numeric:
            return cls(column, np.asarray(points, dtype=np.float64) if len(points) else None)
        if column.levels and all(not isinstance(level, str) for level in column.levels):
            return cls(column, np.asarray(column.levels, dtype=np.float64))
        return cls(column, np.arange(len(column.levels), dtype=np.float64) if column.kind == "ordinal" else None)

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest number that the column may take."""
        if self.column.is_numeric:
            low, high = self.column.lower, self.column.upper
            return (-math.inf if low is None else low), (math.inf if high is None else high)
        if self.numbers is None or not len(self.numbers):
            return -math.inf, math.inf
        return float(self.numbers.min()), float(self.numbers.max())

    @property
    def is_continuous(self) -> bool:
        """Whether the column has neither levels nor few enough values to be told one by one."""
        return self.column.is_numeric and self.numbers is None

    def read(self, values: NDArray[Any]) -> Floats:
        """Return values as floats: numbers as they are, levels as codes; missing and unseen ones NaN."""
        values = np.asarray(values)
        if self.column.is_numeric:
            return values.astype(np.float64, copy=False)
        if values.dtype.kind in "iu":
            return np.where(values < 0, np.nan, values).astype(np.float64)
        codes: dict[Any, float] = {level: float(code) for code, level in enumerate(self.column.levels)}
        unseen = math.nan if self.column.unknown is None else codes[self.column.unknown]
        missing = (None, "") if "" not in codes else (None,)
        return np.array(
            [codes.get(v, math.nan if v in missing or v != v else unseen) for v in values.tolist()], dtype=np.float64
        )

    def number(self, read: Floats) -> Floats:
        """Return what `read` gave as numbers to calculate with; missing codes are NaN."""
        if not self.column.is_numeric:
            codes = np.nan_to_num(read, nan=0.0).astype(np.int64)
            numbers = self.numbers if self.numbers is not None else np.empty(0)
            return np.where(np.isnan(read), np.nan, numbers[codes] if len(numbers) else np.nan)
        if self.column.missing_codes:
            return np.where(np.isin(read, self.column.missing_codes), np.nan, read)
        return read

    def constant(self, value: Level, text: str) -> float:
        """Return the number (of a level: the code) that a value in a constraint means."""
        name = self.column.name
        if not self.column.is_numeric:
            if value not in self.column.levels:
                levels = [str(level) for level in self.column.levels]
                offer = near_miss(str(value), levels)
                raise ConstraintError(
                    f"constraint '{text}': column {name!r} has no level {value!r}.{offer} "
                    f"Levels: {', '.join(levels[:10])}{', ...' if len(levels) > 10 else ''}."
                )
            return float(self.column.levels.index(value))
        if not isinstance(value, str):
            return float(value)
        if self.column.kind == "date":
            unit = "datetime64[D]" if self.column.dtype == "date" else "datetime64[s]"
            try:
                return float(np.array(value, dtype=unit).astype(np.int64))
            except ValueError:
                raise ConstraintError(f"constraint '{text}': {value!r} is not a date such as '2024-12-31'.") from None
        raise ConstraintError(f"constraint '{text}': column {name!r} holds numbers, got the text {value!r}.")


_HOLDS = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
}

Views = Mapping[str, View]
Expression = dict[str, float]


@dataclass(frozen=True)
class Linear:
    """sum(coefficient * column) op constant."""

    terms: tuple[tuple[str, float], ...]
    op: str
    constant: float

    @property
    def columns(self) -> frozenset[str]:
        """Columns involved."""
        return frozenset(name for name, _ in self.terms)


@dataclass(frozen=True)
class In:
    """A column is (not) one of some codes or numbers."""

    column: str
    wanted: tuple[float, ...]
    negated: bool

    @property
    def columns(self) -> frozenset[str]:
        """Columns involved."""
        return frozenset((self.column,))


@dataclass(frozen=True)
class Every:
    """All parts hold."""

    parts: tuple[Node, ...]

    @property
    def columns(self) -> frozenset[str]:
        """Columns involved."""
        return frozenset().union(*(part.columns for part in self.parts))


@dataclass(frozen=True)
class Some:
    """At least one part holds."""

    parts: tuple[Node, ...]

    @property
    def columns(self) -> frozenset[str]:
        """Columns involved."""
        return frozenset().union(*(part.columns for part in self.parts))


Node = Linear | In | Table | Every | Some


def substitute(terms: Iterable[tuple[str, float]], derived: Mapping[str, Expression]) -> Expression:
    """Replace derived columns in a sum by the columns that they are derived from.

    Examples
    --------
    >>> substitute([("total", 1.0), ("a", -1.0)], {"total": {"a": 1.0, "b": 1.0}})
    {'b': 1.0}
    """
    out: Expression = {}
    for name, coefficient in terms:
        for inner, factor in derived.get(name, {name: 1.0}).items():
            out[inner] = out.get(inner, 0.0) + coefficient * factor
    negligible = 1e-12 * max(map(abs, out.values()), default=0.0)
    return {name: coefficient for name, coefficient in out.items() if abs(coefficient) > negligible}


def compile_constraint(constraint: Constraint, views: Views, derived: Mapping[str, Expression]) -> Node:
    """Return a constraint as a tree over free columns.

    Parameters
    ----------
    constraint : constraint object
        What must hold.
    views : mapping of str to View
        The columns.
    derived : mapping of str to dict
        Derived columns as sums of free ones.

    Returns
    -------
    Node
        `Every(())` if it holds always, `Some(())` if it never does.

    Raises
    ------
    ConstraintError
        If a level is unknown, or categories are used as numbers.

    Examples
    --------
    >>> views = {"a": View.of(Column("a", "count", "int"))}
    >>> compile_constraint(Comparison({"a": 1}, "<=", 3), views, {})
    Linear(terms=(('a', 1.0),), op='<=', constant=3.0)
    """
    compiler = _Compiler(str(constraint), views, derived)
    if isinstance(constraint, Implies):
        return compiler.some((negate(constraint.condition), constraint.consequence))
    if isinstance(constraint, Sum):
        return compiler.node(constraint.comparison)
    if isinstance(constraint, Combinations):
        return compiler.table(constraint)
    return compiler.node(constraint)


@dataclass(frozen=True)
class _Compiler:
    text: str
    views: Views
    derived: Mapping[str, Expression]

    def node(self, statement: Condition) -> Node:
        if isinstance(statement, Comparison):
            return self.comparison(statement)
        if isinstance(statement, Membership):
            return self.membership(statement)
        if isinstance(statement, AnyOf):
            return self.some(statement.parts)
        return self.every(statement.parts)

    def some(self, statements: Iterable[Condition]) -> Node:
        nodes = [self.node(statement) for statement in statements]
        if Every(()) in nodes:
            return Every(())
        parts = [leaf for node in nodes for leaf in (node.parts if isinstance(node, Some) else (node,))]
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def every(self, statements: Iterable[Condition]) -> Node:
        nodes = [self.node(statement) for statement in statements]
        if Some(()) in nodes:
            return Some(())
        parts = [leaf for node in nodes for leaf in (node.parts if isinstance(node, Every) else (node,))]
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def comparison(self, statement: Comparison) -> Node:
        constant = statement.constant
        if isinstance(constant, str):
            view = self.views[statement.terms[0][0]]
            constant = view.constant(constant, self.text)
            if view.numbers is not None and not view.column.is_numeric:
                constant = float(view.numbers[int(constant)])
        elif any(self._is_ranked(name) for name in statement.columns) and (
            len(statement.terms) != 2 or statement.constant or not self._same_levels(statement.columns)
        ):
            raise ConstraintError(
                f"constraint '{self.text}': the ordinal column {statement.columns[0]!r} can be compared with one of "
                "its levels, in quotes, or with a column of the same levels."
            )
        for name in statement.columns:
            if self.views[name].numbers is None and not self.views[name].column.is_numeric:
                raise ConstraintError(
                    f"constraint '{self.text}': column {name!r} holds categories, which have no size or order. "
                    "Compare it by ==, != or in with quoted levels."
                )
        return self.linear(statement.terms, statement.op, constant)

    def linear(self, terms: Iterable[tuple[str, float]], op: str, constant: float) -> Node:
        free = substitute(terms, self.derived)
        if free:
            return Linear(tuple(free.items()), op, constant)
        return Every(()) if _HOLDS[op](0.0, constant) else Some(())

    def membership(self, statement: Membership) -> Node:
        name = statement.column
        wanted = tuple(sorted(self.views[name].constant(value, self.text) for value in statement.values))
        if name not in self.derived:
            return In(name, wanted, statement.negated)
        op = "!=" if statement.negated else "=="
        parts = tuple(self.linear([(name, 1.0)], op, value) for value in wanted)
        return parts[0] if len(parts) == 1 else Every(parts) if statement.negated else Some(parts)

    def table(self, statement: Combinations) -> Table:
        for name in statement.columns:
            view = self.views[name]
            if name in self.derived or view.is_continuous:
                raise ConstraintError(
                    f"constraint '{self.text}': column {name!r} must have levels, or be a count of few values."
                )
        rows = [
            [self._code(name, value) for name, value in zip(statement.columns, row, strict=True)]
            for row in statement.allowed or ()
        ]
        if math.prod(len(set(column)) for column in zip(*rows, strict=True)) >= 2**62:
            raise ConstraintError(f"constraint '{self.text}' spans too many columns. Split it in two.")
        return Table(statement.columns, np.array(rows, dtype=np.float64).reshape(-1, len(statement.columns)))

    def _code(self, name: str, value: Level) -> float:
        return self.views[name].constant(value, self.text)

    def _is_ranked(self, name: str) -> bool:
        column = self.views[name].column
        return column.kind == "ordinal" and any(isinstance(level, str) for level in column.levels)

    def _same_levels(self, names: Sequence[str]) -> bool:
        return len({self.views[name].column.levels for name in names}) == 1
