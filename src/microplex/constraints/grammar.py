"""Constraints written as text: `part <= whole`, `total == a + b`, `married == False -> spouse_wage == 0`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from microplex.constraints.terms import (
    MIRROR,
    AllOf,
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
from microplex.errors import ConstraintError
from microplex.schema import Level

_OPERATORS: dict[type[ast.cmpop], str] = {
    ast.LtE: "<=",
    ast.Lt: "<",
    ast.GtE: ">=",
    ast.Gt: ">",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def parse(constraints: str | Constraint | Sequence[str | Constraint] | None) -> tuple[Constraint, ...]:
    """Read constraints.

    Text may hold linear comparisons (`a <= 0.5 * b`, `total == a + b`, `0 <= a <= b`), memberships
    (`state in ('CA', 'NY')`), `and`, `or`, `not`, one implication (`->`), and `combinations(a, b)`.
    Names that are not plain identifiers stand in backticks. A single `=` is read as `==`.

    Parameters
    ----------
    constraints : None, or sequence of str or constraint objects
        What must hold on every row.

    Returns
    -------
    tuple of constraint objects
        Chains and conjunctions become several constraints.

    Raises
    ------
    ConstraintError
        If a text cannot be read; it is quoted with the place.

    Examples
    --------
    >>> [str(c) for c in parse(["0 <= part <= whole", "status != 2 -> spouse = 0"])]
    ['part >= 0', 'part <= whole', 'status != 2 -> spouse == 0']
    """
    if constraints is None:
        return ()
    listed = [constraints] if isinstance(constraints, (str, *_TYPES)) else list(constraints)
    found: list[Constraint] = []
    for item in listed:
        if isinstance(item, str):
            found += _Text(item).constraints()
        elif isinstance(item, AllOf):
            found += [_as_sum(part) for part in _flat(item)]
        elif isinstance(item, _TYPES):
            found.append(_as_sum(item))
        else:
            raise ConstraintError(f"a constraint must be text or a constraint object, got {item!r}.")
    return tuple(found)


_TYPES = (Comparison, Membership, AllOf, AnyOf, Implies, Sum, Combinations)


@dataclass(frozen=True)
class _Linear:
    terms: dict[str, float]
    constant: float = 0.0

    def plus(self, other: _Linear, factor: float = 1.0) -> _Linear:
        terms = dict(self.terms)
        for name, coefficient in other.terms.items():
            terms[name] = terms.get(name, 0.0) + factor * coefficient
        return _Linear(terms, self.constant + factor * other.constant)


class _Text:
    """One constraint text on its way to objects."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: dict[str, str] = {}
        self.code, self.places = self._rewrite()

    def constraints(self) -> list[Constraint]:
        arrows = [i for i in range(len(self.code) - 1) if self.code[i : i + 2] == "->" and self.places[i] >= 0]
        if len(arrows) > 1:
            self._fail("write one '->' a constraint", arrows[1])
        if arrows:
            condition = self._statement(0, arrows[0])
            consequence = self._statement(arrows[0] + 2, len(self.code))
            return [Implies(condition, consequence)]
        node = self._tree(0, len(self.code))
        if isinstance(node, ast.Call):
            return [self._combinations(node)]
        return [_as_sum(part) for part in _flat(self._condition(node))]

    def _rewrite(self) -> tuple[str, list[int]]:
        """Turn `=` into `==` and backticked names into identifiers; places lead back to the text, -1 in quotes."""
        places: list[int] = []
        code, i, quote = "", 0, ""
        while i < len(self.text):
            char = self.text[i]
            if quote:
                quote = "" if char == quote else quote
                code, places = code + char, [*places, -1]
            elif char in "'\"":
                quote = char
                code, places = code + char, [*places, i]
            elif char == "`":
                end = self.text.find("`", i + 1)
                if end < 0:
                    self._fail_at("the backtick is not closed", i)
                alias = f"column_{len(self.names)}_"
                self.names[alias] = self.text[i + 1 : end]
                code, places = code + alias, [*places, *[i] * len(alias)]
                i = end
            elif char == "=" and self.text[i + 1 : i + 2] != "=" and (not i or self.text[i - 1] not in "<>!="):
                code, places = code + "==", [*places, i, i]
            else:
                code, places = code + (" " if char.isspace() else char), [*places, i]
            i += 1
        return code, places

    def _tree(self, start: int, end: int) -> ast.expr:
        part = self.code[start:end]
        indent = len(part) - len(part.lstrip())
        if not part.strip():
            self._fail("expected a statement", start)
        self.start = start + indent
        try:
            return ast.parse(part.strip(), mode="eval").body
        except SyntaxError as error:
            self._fail("cannot be read", self.start + error.offset - 1 if error.offset else end)

    def _statement(self, start: int, end: int) -> Condition:
        return self._condition(self._tree(start, end))

    def _condition(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            parts = tuple(self._condition(value) for value in node.values)
            return AllOf(parts) if isinstance(node.op, ast.And) else AnyOf(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return negate(self._condition(node.operand))
        if isinstance(node, ast.Name):
            return Membership(self._column(node), (True,))
        if not isinstance(node, ast.Compare):
            self._fail("expected a comparison such as a <= b", node)
        sides = [node.left, *node.comparators]
        parts = tuple(self._compare(sides[i], op, sides[i + 1]) for i, op in enumerate(node.ops))
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(left, ast.Name) or not isinstance(right, (ast.Tuple, ast.List, ast.Set)):
                self._fail("write column in (value, value)", left)
            return Membership(self._column(left), tuple(map(self._level, right.elts)), isinstance(op, ast.NotIn))
        if type(op) not in _OPERATORS:
            self._fail("use <=, <, >=, >, ==, != or in", left)
        sign = _OPERATORS[type(op)]
        if not isinstance(left, ast.Name) and isinstance(right, ast.Name) and _is_text(left):
            left, right, sign = right, left, MIRROR[sign]
        if _is_text(right):
            column, level = self._column(left), self._level(right)
            if sign in ("==", "!="):
                return Membership(column, (level,), sign == "!=")
            if not isinstance(level, str):
                self._fail("a truth value can be compared by == and != only", right)
            return Comparison(((column, 1.0),), sign, level)
        difference = self._linear(left).plus(self._linear(right), -1.0)
        terms = {name: c for name, c in difference.terms.items() if c}
        if not terms:
            self._fail("no column is left to compare", left)
        constant = -difference.constant + 0.0
        if len(terms) == 1 and sign in ("==", "!="):
            ((column, coefficient),) = terms.items()
            return Membership(column, (_whole(constant / coefficient),), sign == "!=")
        return Comparison(tuple(terms.items()), sign, constant)

    def _linear(self, node: ast.expr) -> _Linear:
        if isinstance(node, ast.Name):
            return _Linear({self._column(node): 1.0})
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return _Linear({}, float(node.value))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            return _Linear({}).plus(self._linear(node.operand), -1.0 if isinstance(node.op, ast.USub) else 1.0)
        if isinstance(node, ast.BinOp):
            left, right = self._linear(node.left), self._linear(node.right)
            if isinstance(node.op, (ast.Add, ast.Sub)):
                return left.plus(right, 1.0 if isinstance(node.op, ast.Add) else -1.0)
            if isinstance(node.op, ast.Mult) and not (left.terms and right.terms):
                factor, other = (left, right) if not left.terms else (right, left)
                return _Linear({}).plus(other, factor.constant)
            if isinstance(node.op, ast.Div) and not right.terms and right.constant:
                return _Linear({}).plus(left, 1 / right.constant)
        self._fail("only sums of columns with constant factors can be compared", node)

    def _combinations(self, node: ast.Call) -> Combinations:
        if not isinstance(node.func, ast.Name) or node.func.id != "combinations" or node.keywords:
            self._fail("the only function is combinations(column, column, ...)", node)
        if len(node.args) < 2:
            self._fail("combinations need at least two columns", node)
        return Combinations(tuple(self._column(arg) for arg in node.args))

    def _column(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            self._fail("expected a column name", node)
        return self.names.get(node.id, node.id)

    def _level(self, node: ast.expr) -> Level:
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bool, int, float)):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            number = self._level(node.operand)
            if isinstance(number, (int, float)):
                return -number
        self._fail("expected a number or a quoted level", node)

    def _fail(self, problem: str, where: int | ast.expr) -> NoReturn:
        offset = where if isinstance(where, int) else self.start + _characters(self.code[self.start :], where)
        known = [place for place in self.places[: offset + 1] if place >= 0]
        self._fail_at(problem, known[-1] if known and offset < len(self.places) else len(self.text))

    def _fail_at(self, problem: str, place: int) -> NoReturn:
        raise ConstraintError(f"constraint at character {place + 1}: {problem}.\n  {self.text}\n  {' ' * place}^")


def _as_sum(statement: Constraint | Condition) -> Constraint:
    """Recognise `total == a + b`."""
    if isinstance(statement, Comparison) and statement.op == "==" and statement.constant == 0:
        above = [name for name, c in statement.terms if c == 1]
        below = [name for name, c in statement.terms if c == -1]
        if len(above) + len(below) == len(statement.terms) and len(above) >= 1 and len(below) >= 1:
            if len(above) == 1:
                return Sum(above[0], tuple(below))
            if len(below) == 1:
                return Sum(below[0], tuple(above))
    if isinstance(statement, AllOf):
        raise ConstraintError(f"give the parts of '{statement}' one by one.")
    return statement


def _flat(statement: Condition) -> list[Condition]:
    return [leaf for part in statement.parts for leaf in _flat(part)] if isinstance(statement, AllOf) else [statement]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bool))


def _characters(code: str, node: ast.expr) -> int:
    return len(code.encode()[: node.col_offset].decode(errors="ignore"))


def _whole(value: float) -> int | float:
    return int(value) if value == int(value) else value
