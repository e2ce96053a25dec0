"""What makes two sources disagree: rules on values and their shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex.frames import Level

Floats: TypeAlias = NDArray[np.float64]
Problems: TypeAlias = list[tuple[str, bool]]

LEVEL_OF_TEST = 1e-4
FEW_CODES = 12
SUSPECT, WRONG = 8.0, 100.0
ENOUGH = 20
APART = "the ranges do not overlap"
UNITS = {12: "months and years", 52: "weeks and years", 100: "percent, or cents", 1000: "thousands", 1e6: "millions"}
_MAX_SHOWN, _MAX_SHARES = 6, 8


@dataclass(frozen=True, eq=False)
class Support:
    """The values of a variable in one source: those of rows of positive weight.

    Attributes
    ----------
    source, family : str
        `family` is numbers, levels, true and false, dates, or dates and times.
    rows : float
        Effective number of rows with a value (Kish, 1965).
    levels : tuple
        Levels in use, the largest first; of numbers, the distinct ones ascending.
    shares : ndarray of float64
        Weighted share of each among the rows with a value.
    order : tuple
        Levels in their declared order, of ordered categories.
    """

    source: str
    family: str
    rows: float
    levels: tuple[Level, ...]
    shares: Floats
    order: tuple[Level, ...] = ()

    def __str__(self) -> str:
        if self.family == "numbers":
            values = np.array(self.levels, dtype=np.float64)
            shown = f"numbers from {values[0]:,.6g} to {values[-1]:,.6g}"
            return f"{shown}, {len(values):,} distinct" + ("" if len(values) > _MAX_SHARES else f" ({self._listed()})")
        return f"{self.family} {self._listed()}" if self.family in ("levels", "true and false") else self.family

    def _listed(self) -> str:
        parts = [f"{level!r} {share:.1%}" for level, share in zip(self.levels, self.shares, strict=True)]
        more = f" and {len(parts) - _MAX_SHARES} more" if len(parts) > _MAX_SHARES else ""
        return ", ".join(parts[:_MAX_SHARES]) + more


def chance_absent(share: float, rows: float, other_rows: float) -> float:
    """Return the chance that rows with a value are all in one source if both draw from one law.

    Of c rows with the value in two samples of n and m, all are in the first with chance (n / (n + m))^c.

    Parameters
    ----------
    share : float
        Weighted share of the value in the source that has it.
    rows, other_rows : float
        Effective rows of that source and of the one that lacks it.

    Returns
    -------
    float

    Examples
    --------
    >>> chance_absent(0.5, 4, 4), chance_absent(0.5, 400, 4)
    (0.25, 0.13...)
    """
    return float((rows / (rows + other_rows)) ** (share * rows))


def compare_levels(a: Support, b: Support) -> Problems:
    """Compare the levels of two sources.

    Parameters
    ----------
    a, b : Support

    Returns
    -------
    list of (str, bool)
        What differs, and whether it is an error.

    Examples
    --------
    >>> here = Support("cps", "levels", 9, ("own", "rent"), np.array([0.5, 0.5]))
    >>> compare_levels(here, Support("acs", "levels", 9, ("own", "Rent "), np.array([0.5, 0.5])))
    [("'rent' here is spelled 'Rent ' there", True)]
    """
    if not set(a.levels) & set(b.levels):
        return [("no level in common", True)]
    here, there = _only(a, b), _only(b, a)
    if here and there:
        spelled = _spelled([level for level, _ in here], [level for level, _ in there])
        if spelled is not None:
            return [(f"{spelled[0]!r} here is spelled {spelled[1]!r} there", True)]
    problems: Problems = []
    limit = LEVEL_OF_TEST / max(1, len(set(a.levels) | set(b.levels)))
    for found, words in ((here, "only the first has"), (there, "only the second has")):
        odd = [level for level, chance in found if chance < limit]
        if odd:
            problems.append((f"{words} {_shown(odd)}, which the other should have by its size", True))
    if not problems and here and there:
        rare = [level for level, _ in (*here, *there)]
        problems.append((f"each has levels that the other lacks, too rare to judge: {_shown(rare)}", False))
    return problems


def compare_numbers(a: Support, b: Support) -> Problems:
    """Compare the numbers of two sources: codes, units, signs, bounds.

    Parameters
    ----------
    a, b : Support

    Returns
    -------
    list of (str, bool)
        What differs, and whether it is an error.

    Examples
    --------
    >>> dollars, thousands = (tuple(step * np.arange(100, 200)) for step in (100, 0.1))
    >>> here = Support("cps", "numbers", 100, dollars, np.full(100, 0.01))
    >>> compare_numbers(here, Support("acs", "numbers", 100, thousands, np.full(100, 0.01)))
    [('the ranges do not overlap; typical amounts differ by a factor of 1e+03 (thousands?)', True)]
    """
    if _is_codes(a.levels) and _is_codes(b.levels):
        return _compare_codes(a, b)
    sides = [(np.array(side.levels, dtype=np.float64), side.shares, side.rows) for side in (a, b)]
    sizes = [_typical(x, p) for x, p, _ in sides]
    disjoint = _are_apart(a, b)
    if all(size is not None for size in sizes):
        ratio = max(sizes) / min(sizes)  # type: ignore[type-var, operator]
        if ratio >= SUSPECT:
            enough = min(p[x != 0].sum() * n for x, p, n in sides) >= ENOUGH
            unit = next((words for factor, words in UNITS.items() if abs(math.log(ratio / factor)) < math.log(1.5)), "")
            hint = f" ({unit}?)" if unit else ""
            words = f"typical amounts differ by a factor of {ratio:.2g}{hint}"
            return [(f"{APART}; {words}" if disjoint else words, disjoint or bool(ratio >= WRONG and enough))]
    if disjoint:
        return [(APART, True)]
    problems: Problems = []
    for k, words in ((0, "the first"), (1, "the second")):
        (x, p, n), (y, _, m) = sides[k], sides[1 - k]
        if y[0] >= 0 and chance_absent(float(p[x < 0].sum()), n, m) < LEVEL_OF_TEST:
            problems.append((f"only {words} has negative values ({p[x < 0].sum():.1%})", False))
        elif chance_absent(float(p[x < y[0]].sum()), n, m) < LEVEL_OF_TEST:
            problems.append((f"{words} goes below the smallest value of the other ({p[x < y[0]].sum():.1%})", False))
        if chance_absent(float(p[x > y[-1]].sum()), n, m) < LEVEL_OF_TEST:
            beyond = f"{p[x > y[-1]].sum():.1%}"
            problems.append(
                (f"{words} goes beyond the largest value of the other, perhaps its top code ({beyond})", False)
            )
    return problems


def _compare_codes(a: Support, b: Support) -> Problems:
    """Compare a few whole numbers, which may be codes or counts."""
    if _are_apart(a, b):
        return [(APART, True)]
    limit = LEVEL_OF_TEST / FEW_CODES
    odd = [[value for value, chance in found if chance < limit] for found in (_only(a, b), _only(b, a))]
    if odd[0] and odd[1]:
        return [(f"other codes: only the first has {_shown(odd[0])}, only the second {_shown(odd[1])}", True)]
    for found, words in zip(odd, ("the first", "the second"), strict=True):
        if found:
            return [(f"only {words} has {_shown(found)}, which the other should have by its size", False)]
    if not set(a.levels) & set(b.levels):
        return [("no value in common, of too few rows to judge", False)]
    return []


def _are_apart(a: Support, b: Support) -> bool:
    """Whether the ranges of numbers, ascending, do not overlap at all."""
    return bool(a.levels[-1] < b.levels[0] or b.levels[-1] < a.levels[0])  # type: ignore[operator]


def _only(side: Support, other: Support) -> list[tuple[Level, float]]:
    """Return the levels that the other source lacks, and the chance of that."""
    known = set(other.levels)
    return [
        (level, chance_absent(float(share), side.rows, other.rows))
        for level, share in zip(side.levels, side.shares, strict=True)
        if level not in known
    ]


def _spelled(here: Sequence[Level], there: Sequence[Level]) -> tuple[Level, Level] | None:
    """Return a level here and one there that differ in case, spaces and punctuation only."""
    plain = {_plain(level): level for level in there}
    return next(((level, plain[_plain(level)]) for level in here if _plain(level) in plain), None)


def _plain(level: Level) -> str:
    return "".join(letter for letter in str(level).casefold() if letter.isalnum())


def _is_codes(values: Sequence[Level]) -> bool:
    return len(values) <= FEW_CODES and all(float(value).is_integer() for value in values)


def _typical(values: Floats, shares: Floats) -> float | None:
    """Return the weighted median of the sizes of all values but 0."""
    size, share = np.abs(values[values != 0]), shares[values != 0]
    if not len(size):
        return None
    order = np.argsort(size, kind="stable")
    cumulative = np.cumsum(share[order])
    return float(size[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def _shown(levels: Sequence[Level]) -> str:
    more = f" and {len(levels) - _MAX_SHOWN} more" if len(levels) > _MAX_SHOWN else ""
    return ", ".join(map(repr, levels[:_MAX_SHOWN])) + more
