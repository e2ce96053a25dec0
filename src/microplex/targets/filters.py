"""Filters at work: which records satisfy a tree of `grammar`, and for which that cannot be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.frames import ColumnData, Level
from microplex.targets.grammar import (
    Arithmetic,
    Column,
    Comparison,
    Condition,
    Constant,
    Junction,
    Member,
    Missing,
    MissingFalse,
    Negation,
    Value,
    columns_of,
)

Bools: TypeAlias = NDArray[np.bool_]
Lookup: TypeAlias = Callable[[Column], ColumnData]

_SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


@dataclass(frozen=True, eq=False)
class Answer:
    """Which records satisfy a filter.

    Attributes
    ----------
    true : bool[n]
        They do.
    unknown : bool[n] or None
        A missing value decides; None where there is no such record.
    """

    true: Bools
    unknown: Bools | None = None


def evaluate(condition: Condition, lookup: Lookup) -> Answer:
    """Return which records satisfy a filter, in the logic of three values of SQL.

    Parameters
    ----------
    condition : Condition
        From `parse_filter`.
    lookup : callable
        Gives the data of a `Column`.

    Returns
    -------
    Answer

    Raises
    ------
    DataError
        If text is compared with numbers or by size.

    Examples
    --------
    >>> from microplex.targets.grammar import parse_filter
    >>> age = ColumnData("age", "int", values=np.array([12.0, 40.0, np.nan]))
    >>> answer = evaluate(parse_filter("not age < 18"), lambda column: age)
    >>> answer.true.tolist(), answer.unknown.tolist()
    ([False, True, False], [False, False, True])
    """
    return _evaluate(condition, lookup, False)


def as_numbers(column: ColumnData) -> NDArray[np.float64] | None:
    """Return the numbers of a column, NaN where missing, or None if it is text or dates.

    Examples
    --------
    >>> as_numbers(ColumnData("x", "bool", codes=np.array([1, 0, -1], np.int32), levels=(False, True))).tolist()
    [1.0, 0.0, nan]
    """
    if column.dtype in ("date", "datetime"):
        return None
    if column.values is not None:
        return column.values
    if column.codes is None or any(isinstance(level, str) for level in column.levels):
        return None
    return np.array([*map(float, column.levels), np.nan])[column.codes]


class LevelIndex:
    """Levels of a column, ready to be looked up: numbers by value, and by text that spells them.

    A number finds the text "01001" as well as "1001", for a csv file loses leading zeros; where both are levels, it
    finds the second.

    Parameters
    ----------
    levels : sequence
        Texts, numbers or booleans.

    Examples
    --------
    >>> LevelIndex((1.0, 2.0)).find("2"), LevelIndex(("1", "2")).find(2), LevelIndex((False, True)).find("true")
    (1, 1, 1)
    >>> LevelIndex(("CA", "NY")).find("TX")
    """

    def __init__(self, levels: tuple[Level, ...]) -> None:
        self.places = {level if isinstance(level, str) else float(level): i for i, level in enumerate(levels)}
        self._digits: dict[int, int | None] | None = None

    def find(self, category: Level) -> int | None:
        """Return the place of a category, or None."""
        if not isinstance(category, str):
            found = self.places.get(float(category))
            found = self.places.get(str(category)) if found is None else found
            return self._padded(category) if found is None else found
        found = self.places.get(category)
        if found is not None:
            return found
        word = category.strip().lower()
        try:
            number = {"true": 1.0, "false": 0.0}.get(word)
            return self.places.get(float(word) if number is None else number)
        except ValueError:
            return None

    def _padded(self, category: bool | int | float) -> int | None:
        """Return the place of the one text that spells a number with leading zeros, such as "01001"."""
        if self._digits is None:
            self._digits = {}
            for level, place in self.places.items():
                if isinstance(level, str) and level.isdecimal():
                    number = int(level)
                    self._digits[number] = None if number in self._digits else place
        return None if isinstance(category, bool) or category != int(category) else self._digits.get(int(category))


def _evaluate(node: Condition, lookup: Lookup, lenient: bool) -> Answer:
    if isinstance(node, MissingFalse):
        return _evaluate(node.part, lookup, True)
    if isinstance(node, Negation):
        part = _evaluate(node.part, lookup, lenient)
        return Answer(~part.true if part.unknown is None else ~(part.true | part.unknown), part.unknown)
    if isinstance(node, Junction):
        answers = [_evaluate(part, lookup, lenient) for part in node.parts]
        return reduce(_both if node.every else _either, answers)
    if isinstance(node, Missing):
        return Answer(lookup(node.column).missing)
    if isinstance(node, Comparison):
        return _compare(node, lookup, lenient)
    if isinstance(node, Member):
        return _member(node, lookup, lenient)
    column = lookup(node.column)
    if column.dtype != "bool":
        raise DataError(f"filter: column {column.name!r} alone must be boolean; it is {column.dtype}. Compare it.")
    return _answer(_codes(column) == list(column.levels).index(True), column.missing, lenient)


def _both(a: Answer, b: Answer) -> Answer:
    true = a.true & b.true
    if a.unknown is None and b.unknown is None:
        return Answer(true)
    return _known((a.true | _or_none(a)) & (b.true | _or_none(b)) & ~true, true)


def _either(a: Answer, b: Answer) -> Answer:
    true = a.true | b.true
    if a.unknown is None and b.unknown is None:
        return Answer(true)
    return _known((_or_none(a) | _or_none(b)) & ~true, true)


def _or_none(answer: Answer) -> Bools | np.bool_:
    return np.False_ if answer.unknown is None else answer.unknown


def _known(unknown: Bools, true: Bools) -> Answer:
    return Answer(true, unknown if unknown.any() else None)


def _answer(true: Bools, missing: Bools, lenient: bool) -> Answer:
    if lenient or not missing.any():
        return Answer(true)
    return Answer(true & ~missing, missing)


def _compare(node: Comparison, lookup: Lookup, lenient: bool) -> Answer:
    left, right = _value(node.left, lookup), _value(node.right, lookup)
    if isinstance(left, ColumnData):
        return _compare_text(node.sign, left, right, lenient)
    if isinstance(right, ColumnData):
        return _compare_text(node.sign, right, left, lenient)
    left = _number(left, node) if isinstance(left, str) else left
    right = _number(right, node) if isinstance(right, str) else right
    with np.errstate(invalid="ignore"):
        true = _SIGNS[node.sign](left, right)
    return _answer(true, np.isnan(left) | np.isnan(right), lenient)


def _compare_text(
    sign: str, text: ColumnData, other: NDArray[np.float64] | ColumnData | float | str, lenient: bool
) -> Answer:
    if isinstance(other, np.ndarray):
        raise DataError(f"filter: column {text.name!r} is {text.dtype} and is compared with numbers.")
    if sign not in ("==", "!="):
        raise DataError(f"filter: column {text.name!r} is {text.dtype}; it can be compared by == and != only.")
    missing = text.missing
    if isinstance(other, ColumnData):
        true, missing = _equal_text(text, other), missing | other.missing
    else:
        place = LevelIndex(text.levels).find(_whole(other))
        true = _codes(text) == (-9 if place is None else place)
    return _answer(~true if sign == "!=" else true, missing, lenient)


def _member(node: Member, lookup: Lookup, lenient: bool) -> Answer:
    value = _value(node.value, lookup)
    if isinstance(value, ColumnData):
        index = LevelIndex(value.levels)
        places = [place for option in node.options if (place := index.find(option)) is not None]
        return _answer(np.isin(_codes(value), places), value.missing, lenient)
    if not isinstance(value, np.ndarray):
        raise DataError("filter: 'in' needs a column on its left.")
    numbers = [_number(option, node) if isinstance(option, str) else float(option) for option in node.options]
    return _answer(np.isin(value, numbers), np.isnan(value), lenient)


def _value(node: Value, lookup: Lookup) -> NDArray[np.float64] | ColumnData | float | str:
    """Return numbers, a column of text, or a constant."""
    if isinstance(node, Constant):
        return node.value if isinstance(node.value, str) else float(node.value)
    if isinstance(node, Column):
        column = lookup(node)
        numbers = as_numbers(column)
        if numbers is None and column.codes is None:
            raise DataError(f"filter: column {column.name!r} holds dates. Make a column of numbers or text from it.")
        return column if numbers is None else numbers
    left, right = _operand(node, node.left, lookup), _operand(node, node.right, lookup)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: NDArray[np.float64] = _SIGNS[node.sign](left, right)
    return result


def _operand(node: Arithmetic, part: Value, lookup: Lookup) -> NDArray[np.float64] | float:
    value = _value(part, lookup)
    if isinstance(value, ColumnData | str):
        what = value if isinstance(value, str) else f"column {value.name}"
        raise DataError(f"filter: {what!r} is text; {node.sign} needs numbers.")
    return value


def _equal_text(left: ColumnData, right: ColumnData) -> Bools:
    index = LevelIndex(left.levels)
    places = [index.find(level) for level in right.levels]
    moved = np.array([*(-9 if place is None else place for place in places), -9])[_codes(right)]
    equal: Bools = _codes(left) == moved
    return equal


def _codes(column: ColumnData) -> NDArray[np.int32]:
    return column.codes if column.codes is not None else np.zeros(0, np.int32)


def _whole(value: str | float) -> Level:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(text: str, node: Condition) -> float:
    word = text.strip().lower()
    try:
        return {"true": 1.0, "false": 0.0}[word] if word in ("true", "false") else float(word)
    except ValueError:
        names = " ".join(sorted({c.name for c in columns_of(node)}))
        raise DataError(f"filter: {text!r} is compared with numbers (column {names!r}).") from None
