"""Filters written as text, such as ``age >= 65 and state in ('CA', 'NY')``, turned into a small tree; nothing is run.

Besides Python's ``and``, ``or``, ``not``, comparisons, ``in`` and arithmetic, the spelling of pandas is read
(``(households.NP >= 4) & ~persons.OCCP.isin([1, 2])``), so that the expressions of PopulationSim need no change.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, TypeAlias

from microplex.errors import ParameterError
from microplex.frames import Level

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.LtE: "<=",
    ast.Lt: "<",
    ast.GtE: ">=",
    ast.Gt: ">",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ARITHMETIC: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FUNCTIONS = ("between", "isin", "isna", "isnull", "missing_false", "notna", "notnull")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`([^`]*)`")


@dataclass(frozen=True)
class Column:
    """A column, of a named table or of whichever has it."""

    name: str
    table: str | None = None


@dataclass(frozen=True)
class Constant:
    """A number, a text or a boolean."""

    value: Level


@dataclass(frozen=True)
class Arithmetic:
    """A sum, difference, product or quotient."""

    sign: str
    left: Value
    right: Value


@dataclass(frozen=True)
class Comparison:
    """One comparison of two values."""

    sign: str
    left: Value
    right: Value


@dataclass(frozen=True)
class Member:
    """A value in a list of constants."""

    value: Value
    options: tuple[Level, ...]


@dataclass(frozen=True)
class Missing:
    """Whether a column has no value."""

    column: Column


@dataclass(frozen=True)
class Truth:
    """A boolean column that stands alone."""

    column: Column


@dataclass(frozen=True)
class Negation:
    """Not."""

    part: Condition


@dataclass(frozen=True)
class Junction:
    """All of the parts, or any of them."""

    every: bool
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class MissingFalse:
    """A condition in which a comparison with a missing value is false (``!=`` true), as in pandas."""

    part: Condition


Value: TypeAlias = Column | Constant | Arithmetic
Condition: TypeAlias = Comparison | Member | Missing | Truth | Negation | Junction | MissingFalse


@lru_cache(maxsize=4096)
def parse_filter(text: str) -> Condition:
    """Read a filter.

    Parameters
    ----------
    text : str
        Names that are no plain identifiers stand in backticks.

    Returns
    -------
    Condition
        Its tree.

    Raises
    ------
    ParameterError
        If it cannot be read; the text is quoted with the place.

    Examples
    --------
    >>> parse_filter("age < 18")
    Comparison(sign='<', left=Column(name='age', table=None), right=Constant(value=18))
    >>> parse_filter("age = 18")
    Traceback (most recent call last):
    microplex.errors.ParameterError: filter, character 5: cannot be read (is it '==' instead of '='?).
      age = 18
          ^
    """
    reader = _Reader(text)
    condition = reader.condition(reader.tree())
    if not any(True for _ in columns_of(condition)):
        reader.fail("a filter must name a column", 0)
    return condition


def parse_value(text: str) -> Column | Condition:
    """Read a filter or, standing alone, a column: the form of a PopulationSim expression.

    Examples
    --------
    >>> parse_value("households.NP")
    Column(name='NP', table='households')
    """
    reader = _Reader(text)
    node = reader.tree()
    return reader.column(node) if isinstance(node, ast.Name | ast.Attribute) else parse_filter(text)


def columns_of(node: Condition | Value) -> Iterator[Column]:
    """Yield the columns that a tree names, in order, repeats included.

    Examples
    --------
    >>> [column.name for column in columns_of(parse_filter("age < 18 and wages > 2 * rent"))]
    ['age', 'wages', 'rent']
    """
    if isinstance(node, Column):
        yield node
    elif isinstance(node, Arithmetic | Comparison):
        yield from columns_of(node.left)
        yield from columns_of(node.right)
    elif isinstance(node, Member):
        yield from columns_of(node.value)
    elif isinstance(node, Missing | Truth):
        yield node.column
    elif isinstance(node, Negation | MissingFalse):
        yield from columns_of(node.part)
    elif isinstance(node, Junction):
        for part in node.parts:
            yield from columns_of(part)


class _Reader:
    """One text on its way to a tree."""

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ParameterError(f"a filter must be text such as 'age < 18'; got {text!r}.")
        self.text = text
        self.names: dict[str, str] = {}
        self.indent = len(text) - len(text.lstrip())

    def tree(self) -> ast.expr:
        code = _QUOTED.sub(self._alias, self.text).strip()
        if not code:
            self.fail("it is empty; write for example 'age < 18', or leave it out", 0)
        try:
            return ast.parse(code.replace("\n", " "), mode="eval").body
        except SyntaxError as error:
            single = re.search(r"[^<>=!]=[^=]", code)
            hint = " (is it '==' instead of '='?)" if single else ""
            self.fail(f"cannot be read{hint}", (error.offset or len(code) + 1) - 1)

    def condition(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            return Junction(isinstance(node.op, ast.And), tuple(map(self.condition, node.values)))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            return Junction(isinstance(node.op, ast.BitAnd), (self.condition(node.left), self.condition(node.right)))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
            return Negation(self.condition(node.operand))
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = tuple(self._compare(sides[i], op, sides[i + 1]) for i, op in enumerate(node.ops))
            return parts[0] if len(parts) == 1 else Junction(True, parts)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Name | ast.Attribute):
            return Truth(self.column(node))
        self.fail("expected a comparison such as age < 18 (with & and |, put each in parentheses)", node)

    def column(self, node: ast.expr) -> Column:
        if isinstance(node, ast.Name):
            return Column(self.names.get(node.id, node.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return Column(self.names.get(node.attr, node.attr), self.names.get(node.value.id, node.value.id))
        self.fail("expected a column name", node)

    def fail(self, problem: str, where: int | ast.expr) -> NoReturn:
        offset = where if isinstance(where, int) else where.col_offset
        if not isinstance(where, int):  # ast counts bytes
            offset = len(self.text.strip().encode()[:offset].decode(errors="ignore"))
        place = min(self.indent + offset, len(self.text))
        raise ParameterError(f"filter, character {place + 1}: {problem}.\n  {self.text}\n  {' ' * place}^")

    def _alias(self, match: re.Match[str]) -> str:
        """Replace a name in backticks by an identifier of the same length."""
        name = match.group(1)
        if name is None:
            return match.group(0)
        if not name:
            self.fail("a name in backticks is empty", match.start() - self.indent)
        for letter in "QXZVKJ":
            alias = f"{letter}{len(self.names)}".ljust(len(match.group(0)), "_")
            if alias not in self.text and len(alias) == len(match.group(0)):
                self.names[alias] = name
                return alias
        self.fail("too many names in backticks", match.start() - self.indent)

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, ast.In | ast.NotIn):
            member = Member(self._value(left), self._options(right))
            return Negation(member) if isinstance(op, ast.NotIn) else member
        if type(op) not in _COMPARISONS:
            self.fail("use <=, <, >=, >, ==, != or in", left)
        return Comparison(_COMPARISONS[type(op)], self._value(left), self._value(right))

    def _call(self, node: ast.Call) -> Condition:
        """Read ``function(value, ...)`` and ``value.function(...)`` alike."""
        if isinstance(node.func, ast.Attribute):
            name, arguments = node.func.attr, [node.func.value, *node.args]
        elif isinstance(node.func, ast.Name):
            name, arguments = node.func.id, list(node.args)
        else:
            self.fail("expected a function", node)
        counts = {"between": 3, "isin": 2}
        if name not in _FUNCTIONS:
            self.fail(f"there is no function {name!r}; there are {', '.join(_FUNCTIONS)}", node)
        if node.keywords or len(arguments) != counts.get(name, 1):
            self.fail(f"{name} takes {counts.get(name, 1)} argument(s), its value included, and no keywords", node)
        if name == "missing_false":
            return MissingFalse(self.condition(arguments[0]))
        if name == "isin":
            return Member(self._value(arguments[0]), self._options(arguments[1]))
        if name == "between":
            value, low, high = map(self._value, arguments)
            return Junction(True, (Comparison(">=", value, low), Comparison("<=", value, high)))
        missing = Missing(self.column(arguments[0]))
        return missing if name in ("isna", "isnull") else Negation(missing)

    def _options(self, node: ast.expr) -> tuple[Level, ...]:
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            self.fail("expected values in parentheses, such as ('CA', 'NY')", node)
        values = [self._value(item) for item in node.elts]
        for item, value in zip(node.elts, values, strict=True):
            if not isinstance(value, Constant):
                self.fail("expected a number or a quoted text", item)
        return tuple(value.value for value in values if isinstance(value, Constant))

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bool | int | float):
            return Constant(node.value)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            if node.attr != "inf":
                self.fail("of numpy, only np.inf is known", node)
            return Constant(math.inf)
        if isinstance(node, ast.Name | ast.Attribute):
            return self.column(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            value = self._value(node.operand)
            sign = -1 if isinstance(node.op, ast.USub) else 1
            if isinstance(value, Constant) and not isinstance(value.value, str):
                return Constant(sign * value.value)
            return Arithmetic("*", Constant(sign), value)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return Arithmetic(_ARITHMETIC[type(node.op)], self._value(node.left), self._value(node.right))
        if isinstance(node, ast.BinOp):
            self.fail("expected + - * / (with & and |, put each comparison in parentheses)", node)
        self.fail("expected a column, a number or a quoted text", node)
