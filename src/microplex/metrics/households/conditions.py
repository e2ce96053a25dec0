"""Rules written as text, judged on columns: true, false, or not known where a value is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from microplex.constraints import AllOf, AnyOf, Combinations, Comparison, Condition, Implies, Membership, Sum, parse
from microplex.errors import ConstraintError, near_miss
from microplex.frames import Level
from microplex.metrics.households.view import Bools, Column, Floats

Look = Callable[[str], Column]

_ROUNDING = 1e-9
_OPERATORS: dict[str, Callable[[Floats, Floats], Bools]] = {
    "<=": lambda gap, slack: gap <= slack,
    "<": lambda gap, slack: gap < -slack,
    ">=": lambda gap, slack: gap >= -slack,
    ">": lambda gap, slack: gap > slack,
    "==": lambda gap, slack: np.abs(gap) <= slack,
    "!=": lambda gap, slack: np.abs(gap) > slack,
}


class Truth(NamedTuple):
    """Rows where a statement surely holds, and where it surely does not."""

    holds: Bools
    fails: Bools


def breaks(text: str, look: Look) -> Bools:
    """Return the rows that break a rule; a row with a missing value that decides breaks none.

    Parameters
    ----------
    text : str
        What must hold, such as ``"age < 15 -> wages == 0"``; see `microplex.constraints.parse`. Amounts are compared
        up to a relative difference of 1e-9.
    look : callable
        Returns the column of a name.

    Raises
    ------
    ConstraintError
        If the text cannot be read, or compares a category with a text that no data have and no dtype lists.

    Examples
    --------
    >>> columns = {"age": Column(np.array([9.0, 30.0, np.nan]), is_number=True),
    ...            "wages": Column(np.array([5.0, 5.0, 5.0]), is_number=True)}
    >>> breaks("age < 15 -> wages == 0", columns.__getitem__).tolist()
    [True, False, False]
    """
    broken: Bools | None = None
    for statement in parse(text):
        if isinstance(statement, Combinations):
            raise ConstraintError(f"'{text}': combinations are learnt in training; state what must hold of a row.")
        if isinstance(statement, Implies):
            here = judge(statement.condition, look).holds & judge(statement.consequence, look).fails
        else:
            here = judge(statement.comparison if isinstance(statement, Sum) else statement, look).fails
        broken = here if broken is None else broken | here
    if broken is None:
        raise ConstraintError(f"the rule {text!r} says nothing.")
    return broken


def satisfies(text: str, look: Look) -> Bools:
    """Return the rows for which a condition surely holds.

    Raises
    ------
    ConstraintError
        If the text is no condition.

    Examples
    --------
    >>> satisfies("age < 15", lambda name: Column(np.array([9.0, 30.0]), is_number=True)).tolist()
    [True, False]
    """
    statements = parse(text)
    if not statements or any(isinstance(s, Implies | Combinations) for s in statements):
        raise ConstraintError(f"'{text}' is no condition; write one such as 'age < 15 and sex == \"f\"'.")
    parts = [judge(s.comparison if isinstance(s, Sum) else s, look).holds for s in statements]  # type: ignore[arg-type]
    return np.asarray(np.logical_and.reduce(parts))


def judge(statement: Condition, look: Look) -> Truth:
    """Return where a statement holds and where it fails (Kleene, 1952, section 64).

    Examples
    --------
    >>> judge(Membership("sex", ("f",)), lambda name: Column(np.array([0, 1, -1]), ("f", "m"))).fails.tolist()
    [False, True, False]
    """
    if isinstance(statement, AllOf | AnyOf):
        parts = [judge(part, look) for part in statement.parts]
        every, some = np.logical_and.reduce, np.logical_or.reduce
        first, second = (every, some) if isinstance(statement, AllOf) else (some, every)
        return Truth(first([part.holds for part in parts]), second([part.fails for part in parts]))
    if isinstance(statement, Membership):
        column = look(statement.column)
        known = ~np.isnan(column.floats)
        found = _is_one_of(column, statement)
        holds = ~found if statement.negated else found
        return Truth(holds & known, ~holds & known)
    gap, slack = _gap(statement, look)
    known = ~np.isnan(gap)
    holds = np.zeros(len(gap), dtype=bool)
    holds[known] = _OPERATORS[statement.op](gap[known], slack[known])
    return Truth(holds, ~holds & known)


def _gap(statement: Comparison, look: Look) -> tuple[Floats, Floats]:
    if isinstance(statement.constant, str):
        column = look(statement.columns[0])
        if statement.op not in ("==", "!=") and not column.ordered:
            raise ConstraintError(f"'{statement}': the levels of {statement.columns[0]!r} have no order; use in (...).")
        place = _place(column, statement.constant, str(statement))
        return column.floats - place, np.zeros(len(column.values))
    gap, scale = np.array(-statement.constant), np.array(abs(statement.constant))
    for name, coefficient in statement.terms:
        x = coefficient * _numbers(look(name), str(statement), name)
        gap, scale = gap + x, scale + np.abs(x)
    return gap, _ROUNDING * scale


def _is_one_of(column: Column, statement: Membership) -> Bools:
    if column.is_number:
        wrong = [value for value in statement.values if isinstance(value, str)]
        if wrong:
            raise ConstraintError(f"'{statement}': {statement.column!r} holds numbers, and {wrong[0]!r} is none.")
        return np.isin(column.floats, [float(value) for value in statement.values])
    places = [_place(column, value, str(statement)) for value in statement.values]
    return np.isin(column.values, places)


def _place(column: Column, value: Level, text: str) -> int:
    for place, level in enumerate(column.levels):
        if level == value and isinstance(level, str) == isinstance(value, str):
            return place
    if not isinstance(value, str) and not any(isinstance(level, str) for level in column.levels):
        return len(column.levels)  # a number that these data happen not to have
    levels = [str(level) for level in column.levels]
    raise ConstraintError(
        f"'{text}': no data have the level {value!r}.{near_miss(str(value), levels)} Levels: {', '.join(levels[:20])}."
    )


def _numbers(column: Column, text: str, name: str) -> Floats:
    if column.is_number:
        return column.floats
    if any(isinstance(level, str) for level in column.levels):
        raise ConstraintError(f"'{text}': {name!r} holds text, which cannot be added or compared with a number.")
    return np.append(np.array(column.levels, dtype=np.float64), np.nan)[column.values.astype(np.int64)]
