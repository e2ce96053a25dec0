"""Constraints as plain data: linear comparisons, memberships, implications, sums and combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from microplex.errors import ConstraintError
from microplex.schema import Level

OPPOSITE = {"<=": ">", "<": ">=", ">=": "<", ">": "<=", "==": "!=", "!=": "=="}
MIRROR = {"<=": ">=", "<": ">", ">=": "<=", ">": "<", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Comparison:
    """A linear sum of columns compared with a constant: sum(coefficient * column) op constant.

    Parameters
    ----------
    terms : mapping of str to float, or tuple of pairs
        Coefficient of each column; those at zero are dropped.
    op : str
        One of `<=`, `<`, `>=`, `>`, `==`, `!=`.
    constant : float or str
        A number, or a level or ISO date where the only term is an ordinal or date column.

    Raises
    ------
    ConstraintError
        If the operator is unknown, no column is left, or text is compared with a sum.

    Examples
    --------
    >>> print(Comparison({"part": 1, "whole": -1}, "<="))
    part <= whole
    """

    terms: tuple[tuple[str, float], ...]
    op: str
    constant: float | str = 0.0

    def __post_init__(self) -> None:
        pairs = self.terms.items() if isinstance(self.terms, Mapping) else self.terms
        terms = tuple((name, float(coefficient)) for name, coefficient in pairs if coefficient)
        if self.op not in OPPOSITE:
            raise ConstraintError(f"a comparison needs one of {', '.join(OPPOSITE)}, got {self.op!r}.")
        if not terms:
            raise ConstraintError("a comparison needs a column, got constants only.")
        if isinstance(self.constant, str) and (len(terms) > 1 or terms[0][1] != 1):
            raise ConstraintError(f"text ({self.constant!r}) can be compared with one column only.")
        constant = self.constant if isinstance(self.constant, str) else float(self.constant)
        if terms[0][1] < 0 and not isinstance(constant, str):
            terms = tuple((name, -coefficient) for name, coefficient in terms)
            object.__setattr__(self, "op", MIRROR[self.op])
            constant = 0.0 - constant
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "constant", constant)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns involved."""
        return tuple(name for name, _ in self.terms)

    def __str__(self) -> str:
        left = [_term(name, c) for name, c in self.terms if c > 0]
        right = [_term(name, -c) for name, c in self.terms if c < 0]
        if isinstance(self.constant, str):
            right.append(repr(self.constant))
        elif self.constant > 0 or not right:
            right.append(_number(self.constant))
        elif self.constant < 0:
            left.append(_number(-self.constant))
        return f"{' + '.join(left)} {self.op} {' + '.join(right)}"


@dataclass(frozen=True)
class Membership:
    """One column is (or is not) one of some values.

    Parameters
    ----------
    column : str
        The column.
    values : tuple of str, bool, int or float
        Levels, numbers or ISO dates.
    negated : bool
        Whether the column must be none of them.

    Examples
    --------
    >>> print(Membership("state", ("CA", "NY")))
    state in ('CA', 'NY')
    """

    column: str
    values: tuple[Level, ...]
    negated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise ConstraintError(f"column {self.column!r} is compared with an empty list.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns involved."""
        return (self.column,)

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{_name(self.column)} {'!=' if self.negated else '=='} {_value(self.values[0])}"
        listed = ", ".join(_value(value) for value in self.values)
        return f"{_name(self.column)} {'not in' if self.negated else 'in'} ({listed})"


@dataclass(frozen=True)
class AllOf:
    """Every part holds.

    Examples
    --------
    >>> print(AllOf((Membership("a", (1,)), Membership("b", (2,)))))
    a == 1 and b == 2
    """

    parts: tuple[Condition, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns involved."""
        return _columns(self.parts)

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, AnyOf) else str(part) for part in self.parts)


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds.

    Examples
    --------
    >>> print(AnyOf((Membership("a", (1,)), Membership("b", (2,)))))
    a == 1 or b == 2
    """

    parts: tuple[Condition, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns involved."""
        return _columns(self.parts)

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


@dataclass(frozen=True)
class Implies:
    """Where the condition holds, the consequence holds.

    Parameters
    ----------
    condition, consequence : Comparison, Membership, AllOf or AnyOf
        Statements about a row.

    Examples
    --------
    >>> print(Implies(Membership("married", (False,)), Membership("spouse_wage", (0,))))
    married == False -> spouse_wage == 0
    """

    condition: Condition
    consequence: Condition

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns involved."""
        return _columns((self.condition, self.consequence))

    def __str__(self) -> str:
        return f"{self.condition} -> {self.consequence}"


@dataclass(frozen=True)
class Sum:
    """A column is the sum of others.

    Parameters
    ----------
    total : str
        The sum.
    parts : tuple of str
        What it is the sum of.

    Raises
    ------
    ConstraintError
        If there is no part, or a column occurs twice.

    Examples
    --------
    >>> print(Sum("income", ("wages", "rent")))
    income == wages + rent
    """

    total: str
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or len({self.total, *self.parts}) != len(self.parts) + 1:
            raise ConstraintError(f"a sum needs a total and distinct parts, got {self.total!r} and {self.parts!r}.")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns involved."""
        return (self.total, *self.parts)

    @property
    def comparison(self) -> Comparison:
        """The same as a linear comparison."""
        return Comparison(((self.total, 1.0), *((part, -1.0) for part in self.parts)), "==")

    def __str__(self) -> str:
        return f"{_name(self.total)} == {' + '.join(map(_name, self.parts))}"


@dataclass(frozen=True)
class Combinations:
    """Categories occur together only as listed.

    Parameters
    ----------
    columns : tuple of str
        Columns with levels, or counts with few values.
    allowed : tuple of tuples, optional
        The combinations, one value a column; those seen in training if not given.

    Raises
    ------
    ConstraintError
        If there are fewer than two columns, or a combination has another length.

    Examples
    --------
    >>> print(Combinations(("state", "county")))
    combinations(state, county)
    """

    columns: tuple[str, ...]
    allowed: tuple[tuple[Level, ...], ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if len(self.columns) < 2 or len(set(self.columns)) != len(self.columns):
            raise ConstraintError(f"combinations need at least two distinct columns, got {self.columns!r}.")
        if self.allowed is not None:
            object.__setattr__(self, "allowed", tuple(tuple(row) for row in self.allowed))
            for row in self.allowed or ():
                if len(row) != len(self.columns):
                    raise ConstraintError(f"{self}: combination {row!r} has not one value a column.")

    def __str__(self) -> str:
        return f"combinations({', '.join(map(_name, self.columns))})"


Condition = Comparison | Membership | AllOf | AnyOf
Constraint = Comparison | Membership | AnyOf | Implies | Sum | Combinations


def negate(statement: Condition) -> Condition:
    """Return the statement that holds where this one does not.

    Parameters
    ----------
    statement : Comparison, Membership, AllOf or AnyOf
        Any statement.

    Returns
    -------
    Comparison, Membership, AllOf or AnyOf
        Its opposite, pushed down to the comparisons.

    Examples
    --------
    >>> print(negate(AllOf((Membership("a", (1,)), Comparison({"b": 1}, "<", 5)))))
    a != 1 or b >= 5
    """
    if isinstance(statement, Comparison):
        return Comparison(statement.terms, OPPOSITE[statement.op], statement.constant)
    if isinstance(statement, Membership):
        return Membership(statement.column, statement.values, not statement.negated)
    parts = tuple(negate(part) for part in statement.parts)
    return AnyOf(parts) if isinstance(statement, AllOf) else AllOf(parts)


def to_dict(statement: Constraint | Condition) -> dict[str, Any]:
    """Return a constraint as plain values, for JSON.

    Examples
    --------
    >>> to_dict(Sum("a", ("b", "c")))
    {'type': 'Sum', 'total': 'a', 'parts': ['b', 'c']}
    """
    fields = {name: getattr(statement, name) for name in statement.__dataclass_fields__}
    return {"type": type(statement).__name__, **{name: _to_plain(value) for name, value in fields.items()}}


def from_dict(entry: Mapping[str, Any]) -> Any:
    """Read what `to_dict` wrote.

    Raises
    ------
    ConstraintError
        If the type is unknown or fields do not fit.

    Examples
    --------
    >>> print(from_dict({"type": "Sum", "total": "a", "parts": ["b", "c"]}))
    a == b + c
    """
    kinds = {kind.__name__: kind for kind in (Comparison, Membership, AllOf, AnyOf, Implies, Sum, Combinations)}
    kind = kinds.get(entry.get("type", ""))
    if kind is None:
        raise ConstraintError(f"there is no constraint of type {entry.get('type')!r}. Types: {', '.join(kinds)}.")
    try:
        return kind(**{name: _from_plain(value) for name, value in entry.items() if name != "type"})
    except TypeError as error:
        raise ConstraintError(f"a constraint of type {entry['type']!r} does not fit: {error}.") from error


def _to_plain(value: Any) -> Any:
    if isinstance(value, Comparison | Membership | AllOf | AnyOf):
        return to_dict(value)
    return [_to_plain(item) for item in value] if isinstance(value, tuple) else value


def _from_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_dict(value)
    return tuple(_from_plain(item) for item in value) if isinstance(value, list) else value


def _columns(parts: Sequence[Condition]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part.columns))


def _name(name: str) -> str:
    return name if name.isidentifier() and not iskeyword(name) else f"`{name}`"


def _term(name: str, coefficient: float) -> str:
    return _name(name) if coefficient == 1 else f"{_number(coefficient)} * {_name(name)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _value(value: Level) -> str:
    return _number(value) if isinstance(value, float) else repr(value)
