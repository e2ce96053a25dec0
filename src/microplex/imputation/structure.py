"""Cells that are empty because the question does not apply, apart from answers that were not given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.constraints import Constraint, parse
from microplex.constraints.compiled import compile_constraint
from microplex.constraints.layout import views_of
from microplex.constraints.support import Known, decide
from microplex.errors import DataError, ParameterError
from microplex.schema import Schema

Bools = NDArray[np.bool_]
Values = Mapping[str, NDArray[Any]]
NO_CODES = (
    "Codes are numbers in a column of numbers. Where a column of text does not apply, set its cells missing and give "
    "the condition on other columns, such as 'age < 15'."
)


@dataclass(frozen=True)
class Rules:
    """When a column does not apply.

    Parameters
    ----------
    texts : mapping of str to str
        Condition by column.
    codes : mapping of str to tuple of float
        Values that stand for a column that does not apply.
    """

    texts: Mapping[str, str]
    codes: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, structural: object, names: Sequence[str]) -> Rules:
        """Read the argument `structural`.

        Examples
        --------
        >>> Rules.of({"wage": "age < 15", "rent": [-1]}, ["age", "wage", "rent"])
        Rules(texts={'wage': 'age < 15'}, codes={'rent': (-1.0,)})
        """
        if structural is None:
            return cls({}, {})
        if not isinstance(structural, Mapping):
            raise ParameterError(f"structural must map columns to conditions or codes, got {structural!r}.")
        check_columns(names, list(structural), "structural")
        texts: dict[str, str] = {}
        codes: dict[str, tuple[float, ...]] = {}
        for name, rule in structural.items():
            if isinstance(rule, str):
                texts[name] = rule
                for part in parse([rule]):
                    check_columns(names, list(part.columns), f"structural condition '{rule}':")
                    if name in part.columns:
                        raise ParameterError(f"the structural condition '{rule}' of {name!r} names the column itself.")
            elif isinstance(rule, Sequence) and rule and all(_is_code(v) for v in rule):
                codes[name] = tuple(float(v) for v in rule)
            else:
                raise ParameterError(
                    f"structural[{name!r}] must be a condition such as 'age < 15' or a list of codes such as [-1], "
                    f"got {rule!r}. {NO_CODES}"
                )
        return cls(texts, codes)

    def reads(self, name: str) -> tuple[str, ...]:
        """Columns that a column's condition names."""
        if name not in self.texts:
            return ()
        return tuple(dict.fromkeys(c for part in parse([self.texts[name]]) for c in part.columns))


def _is_code(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


class Judge:
    """Says on which rows a column does not apply, from the values known."""

    def __init__(self, rules: Rules, schema: Schema) -> None:
        self._views = views_of(schema, {})
        self._parts: dict[str, tuple[Constraint, ...]] = {name: parse([text]) for name, text in rules.texts.items()}
        self._nodes = {
            name: [compile_constraint(part, self._views, {}) for part in parts] for name, parts in self._parts.items()
        }

    def decide(self, name: str, values: Values, n: int) -> tuple[Bools, Bools]:
        """On which rows the column certainly does not apply, and on which it certainly does."""
        needed = {c for part in self._parts[name] for c in part.columns}
        read = {c: self._views[c].read(values[c]) for c in needed if c in values}
        decided = [decide(node, Known(n, read, self._views)) for node in self._nodes[name]]
        return np.logical_and.reduce([d[0] for d in decided]), np.logical_or.reduce([d[1] for d in decided])

    def applies(self, name: str, values: Values, n: int) -> Bools | None:
        """Where the missing level of a column is due; None for a column without a condition."""
        if name not in self._nodes:
            return None
        return self.decide(name, values, n)[0]

    def split(self, name: str, values: Values, absent: Bools, text: str) -> Bools:
        """Which absent cells are to be drawn; the others are structural.

        Raises
        ------
        DataError
            If a cell holds a value where the column does not apply.
        """
        due, _ = self.decide(name, values, len(absent))
        wrong = np.flatnonzero(due & ~absent)
        if len(wrong):
            raise DataError(
                f"column {name!r} has a value in row {wrong[0]} ({len(wrong)} such rows), where structural says that "
                f"it does not apply ({text}). Repair these cells, or correct the condition."
            )
        return absent & ~due
