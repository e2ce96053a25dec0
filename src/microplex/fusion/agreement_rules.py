"""What makes two sources disagree: rules on values and their shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
UNITS = {12: "months and years", 52: "weeks and years", 100: "percent, or cents", 1000: "thousands", 1e6: "millions"}
_MAX_SHOWN = 6


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


def compare_levels(
    levels: Sequence[Level],
    shares: Floats,
    rows: float,
    others: Sequence[Level],
    other_shares: Floats,
    other_rows: float,
) -> Problems:
    """Compare the levels of two sources.

    Parameters
    ----------
    levels, others : sequence
        Levels in use in each.
    shares, other_shares : ndarray of float64
        Their weighted shares.
    rows, other_rows : float
        Effective rows with a value.

    Returns
    -------
    list of (str, bool)
        What differs, and whether it is an error.

    Examples
    --------
    >>> compare_levels(["own", "rent"], np.array([0.5, 0.5]), 9, ["own", "Rent "], np.array([0.5, 0.5]), 9)
    [("'rent' here is spelled 'Rent ' there", True)]
    """
    if not set(levels) & set(others):
        return [("no level in common", True)]
    here = _only(levels, shares, rows, others, other_rows)
    there = _only(others, other_shares, other_rows, levels, rows)
    if here and there:
        spelled = _spelled([level for level, _ in here], [level for level, _ in there])
        if spelled is not None:
            return [(f"{spelled[0]!r} here is spelled {spelled[1]!r} there", True)]
    problems: Problems = []
    limit = LEVEL_OF_TEST / max(1, len(set(levels) | set(others)))
    for found, words in ((here, "only the first has"), (there, "only the second has")):
        odd = [level for level, chance in found if chance < limit]
        if odd:
            problems.append((f"{words} {_shown(odd)}, which the other should have by its size", True))
    if not problems and here and there:
        rare = [level for level, _ in (*here, *there)]
        problems.append((f"each has levels that the other lacks, too rare to judge: {_shown(rare)}", False))
    return problems


def compare_numbers(
    values: Sequence[Level],
    shares: Floats,
    rows: float,
    others: Sequence[Level],
    other_shares: Floats,
    other_rows: float,
) -> Problems:
    """Compare the numbers of two sources: codes, units, signs, bounds.

    Parameters
    ----------
    values, others : sequence of float
        Distinct values of each, ascending.
    shares, other_shares : ndarray of float64
        Their weighted shares.
    rows, other_rows : float
        Effective rows with a value.

    Returns
    -------
    list of (str, bool)
        What differs, and whether it is an error.

    Examples
    --------
    >>> dollars, thousands = np.arange(1e4, 2e4, 100), np.arange(10, 20, 0.1)
    >>> compare_numbers(dollars, np.full(100, 0.01), 100, thousands, np.full(100, 0.01), 100)
    [('typical amounts differ by a factor of 1e+03 (thousands?)', True)]
    """
    if _is_codes(values) and _is_codes(others):
        return _compare_codes(values, shares, rows, others, other_shares, other_rows)
    sides = ((np.asarray(values, float), shares, rows), (np.asarray(others, float), other_shares, other_rows))
    sizes = [_typical(x, p) for x, p, _ in sides]
    if all(size is not None for size in sizes):
        ratio = max(sizes) / min(sizes)  # type: ignore[type-var, operator]
        if ratio >= SUSPECT:
            enough = min(p[x != 0].sum() * n for x, p, n in sides) >= ENOUGH
            unit = next((words for factor, words in UNITS.items() if abs(math.log(ratio / factor)) < math.log(1.5)), "")
            hint = f" ({unit}?)" if unit else ""
            return [(f"typical amounts differ by a factor of {ratio:.2g}{hint}", bool(ratio >= WRONG and enough))]
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


def _compare_codes(
    values: Sequence[Level],
    shares: Floats,
    rows: float,
    others: Sequence[Level],
    other_shares: Floats,
    other_rows: float,
) -> Problems:
    """Compare a few whole numbers, which may be codes or counts."""
    if not set(values) & set(others):
        return [("no value in common", True)]
    odd = [
        [value for value, chance in found if chance < LEVEL_OF_TEST / FEW_CODES]
        for found in (
            _only(values, shares, rows, others, other_rows),
            _only(others, other_shares, other_rows, values, rows),
        )
    ]
    if odd[0] and odd[1]:
        return [(f"other codes: only the first has {_shown(odd[0])}, only the second {_shown(odd[1])}", True)]
    for found, words in zip(odd, ("the first", "the second"), strict=True):
        if found:
            return [(f"only {words} has {_shown(found)}, which the other should have by its size", False)]
    return []


def _only(
    levels: Sequence[Level], shares: Floats, rows: float, others: Sequence[Level], other_rows: float
) -> list[tuple[Level, float]]:
    """Return the levels that the other source lacks, and the chance of that."""
    known = set(others)
    return [
        (level, chance_absent(float(share), rows, other_rows))
        for level, share in zip(levels, shares, strict=True)
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
