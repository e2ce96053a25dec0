"""Implied values: levels that never meet levels of another column, and ages up to which a column has one value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.hierarchy.detect_coded import (
    MISSING,
    NONZERO,
    Clause,
    Coded,
    Meeting,
    Step,
    coded_columns,
    cut_text,
    implied,
    meeting,
)
from microplex.hierarchy.detect_evidence import jeffreys_lower
from microplex.hierarchy.detect_source import Source
from microplex.hierarchy.members import Floats
from microplex.hierarchy.rules import Implied

# With so many breaches expected of shuffled columns, none or few is no chance, whatever the number of rules tried.
EXPECTED = 18.0
EXPECTED_IN_HALF = 4.0
BROKEN, BROKEN_IN_HALF = 0.005, 0.01
# So many of the breaches expected of shuffled columns may be found.
RARER = 0.02
# Of an exact rule fewer, and its lower bound among the rows that it speaks of is at least this.
CLEAN, CLEAN_RARER, AT_RISK = 0.002, 0.005, 0.98
# A rule that leaves several values must rule out so much of the rest.
RULED_OUT, RULED_OUT_LEVEL = 0.5, 3.0
_CHANCE = 0.05
_ABOVE = 3


def implied_clauses(
    source: Source, level: str, quantities: frozenset[str], ages: frozenset[str], skip: frozenset[str]
) -> list[Clause]:
    """Return the clauses that the rows of a level obey, before those that follow from others are left out.

    Parameters
    ----------
    source : Source
    level : str
        Level of the rows; what is implied lives there, what implies it there or above.
    quantities, ages : frozenset of str
        Columns that are numbers, and that are ages.
    skip : frozenset of str
        Columns that follow from their parts.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> age = np.arange(2000) % 80
    >>> frame = pd.DataFrame({"h": range(2000), "age": age, "wage": np.where(age < 16, 0, 900 + age)})
    >>> source = flat_source(frame, "h", None, None, None, None, 0, "age", ())
    >>> for clause in implied_clauses(source, "person", frozenset(["wage"]), frozenset(["age"]), frozenset()):
    ...     print(clause.rule)
    age < 16 -> wage == 0
    """
    columns = [c for c in coded_columns(source, level, quantities, ages) if c.name not in skip]
    if len(columns) < 2:
        return []
    found = meeting(source, level, columns)
    clauses: list[Clause] = []
    for j, then in enumerate(columns):
        if then.entity != level or then.kind == "age":
            continue
        for i, when in enumerate(columns):
            if when.name != then.name and when.kind != "age":
                clauses += _single(found, i, j)
                clauses += _several(found, i, j)
    for i, when in enumerate(columns):
        if when.kind == "age":
            clauses += _by_age(found, i, level)
    return clauses


@dataclass(frozen=True)
class _Check:
    """Rows about which a clause speaks and those that break it, in either half."""

    said: NDArray[np.float64]
    broken: NDArray[np.float64]
    share: float

    @property
    def expected(self) -> float:
        return float(self.said.sum()) * self.share

    @property
    def clean(self) -> bool:
        said, broken = float(self.said.sum()), float(self.broken.sum())
        rare = broken <= min(CLEAN * said, CLEAN_RARER * self.expected)
        return rare and jeffreys_lower(said - broken, said) >= AT_RISK

    @property
    def passes(self) -> bool:
        said, broken = float(self.said.sum()), float(self.broken.sum())
        if self.expected < EXPECTED or float(self.said.min()) * self.share < EXPECTED_IN_HALF:
            return False
        return broken <= min(BROKEN * said, RARER * self.expected) and bool(
            (self.broken <= BROKEN_IN_HALF * self.said).all()
        )


def _pooled(checks: list[_Check]) -> _Check:
    said = np.sum([check.said for check in checks], axis=0)
    return _Check(said, np.sum([check.broken for check in checks], axis=0), checks[0].share)


def _single(found: Meeting, i: int, j: int) -> Iterator[Clause]:
    """Yield the levels of one column that each imply the same level of another, as one clause."""
    when, then, pair = found.columns[i], found.columns[j], found.known(i, j)
    margin = pair.sum(axis=(0, 1))
    total = float(margin.sum())
    by_value: dict[int, list[tuple[int, _Check]]] = {}
    for a in when.known:
        rows = pair[:, a, :]
        b = int(rows.sum(axis=0).argmax())
        check = _Check(rows.sum(axis=1), rows.sum(axis=1) - rows[:, b], 1 - float(margin[b]) / total)
        if then.labels[b] is not MISSING and check.passes:
            by_value.setdefault(b, []).append((a, check))
    for b, levels in by_value.items():
        places = [a for a, _ in levels]
        pooled = _pooled([check for _, check in levels])
        if len(places) == len(when.known):
            continue
        if then.labels[b] is NONZERO:
            yield from _turned(found.level, when, places, then, pooled)
            continue
        yield _clause(found.level, when, places, then, [b], pooled)
        if when.kind == "nominal" and when.entity == found.level:
            yield from _back(found.level, when, places, then, b, pair)


def _turned(level: str, when: Coded, places: list[int], then: Coded, check: _Check) -> Iterator[Clause]:
    """Yield the clause that some levels imply an amount, the other way round: no amount rules out these levels."""
    rest = [a for a in when.known if a not in places]
    if when.kind == "nominal" and when.entity == level:
        yield _clause(level, then, [then.labels.index(0)], when, rest, check)


def _back(level: str, when: Coded, places: list[int], then: Coded, b: int, pair: Floats) -> Iterator[Clause]:
    """Yield the clause that a level is implied by some levels alone."""
    margin = pair.sum(axis=(0, 2)) / float(pair.sum())
    rows = pair[:, :, b]
    out = _ruled_out(rows, margin)
    kept = [a for a in when.known if a not in out]
    if not set(out) & set(when.known) or set(out) & set(places):
        return
    check = _Check(rows.sum(axis=1), rows[:, out].sum(axis=1), float(margin[out].sum()))
    if check.passes and float(rows[:, [a for a in kept if a not in places]].sum()) <= BROKEN * float(rows.sum()):
        yield _clause(level, then, [b], when, kept, check)


def _several(found: Meeting, i: int, j: int) -> Iterator[Clause]:
    """Yield the levels of one column that rule out much of another."""
    when, then, pair = found.columns[i], found.columns[j], found.known(i, j)
    if then.kind != "nominal" or len(then.known) < 3:
        return
    margin = pair.sum(axis=(0, 1)) / float(pair.sum())
    by_levels: dict[tuple[int, ...], list[tuple[int, _Check]]] = {}
    for a in when.known:
        rows = pair[:, a, :]
        found_out = _ruled_out(rows, margin)
        kept = [b for b in then.known if b not in found_out]
        if len(kept) < 2:
            continue
        check = _Check(rows.sum(axis=1), rows[:, found_out].sum(axis=1), float(margin[found_out].sum()))
        if check.share >= RULED_OUT and check.passes:
            by_levels.setdefault(tuple(kept), []).append((a, check))
    for left, levels in by_levels.items():
        places, check = [a for a, _ in levels], _pooled([c for _, c in levels])
        if [when.labels[a] for a in places] == [NONZERO] and when.entity == found.level:
            # An amount follows from a category rather than the other way round.
            rest = [b for b in then.known if b not in left]
            yield _clause(found.level, then, rest, when, [when.labels.index(0)], check)
        else:
            yield _clause(found.level, when, places, then, list(left), check)


def _ruled_out(rows: Floats, margin: Floats) -> list[int]:
    """Return the levels that never occur, though some would by chance."""
    said = float(rows.sum())
    return [int(b) for b in np.flatnonzero((rows.sum(axis=0) <= 0.001 * said) & (margin * said >= RULED_OUT_LEVEL))]


def _by_age(found: Meeting, i: int, level: str) -> list[Clause]:
    """Return what follows from being younger than some age, or from being older."""
    age = found.columns[i]
    others = [j for j, c in enumerate(found.columns) if c.entity == level and c.kind != "age" and c.name != age.name]
    n_ages = len(age.known)
    tables = {j: found.known(i, j)[:, :n_ages] for j in others}
    own = {j: {t for _, t in _sharp(tables[j], found.columns[j])} for j in others}
    sharp = sorted(set().union(*own.values()))
    clauses: list[Clause] = []
    for j in others:
        then, table = found.columns[j], tables[j]
        for b in then.known:
            if then.labels[b] is not NONZERO:
                clauses += _cuts(level, age, then, b, table, sharp)
        for t in sharp:
            clauses += _levels_by_cut(level, age, then, table, t, t in own[j])
    return clauses


def _bad(table: Floats, b: int) -> tuple[Floats, Floats]:
    """Return rows at each age and those of them not at level b, per half: float64[2, n_ages] each."""
    said = table.sum(axis=2)
    return said, said - table[:, :, b]


def _sharp(table: Floats, then: Coded) -> Iterator[tuple[int, int]]:
    """Yield levels and ages up to which a column has that level and from which it never has."""
    for b in then.known:
        said, bad = _bad(table, b)
        t = _last_clean(bad)
        if 0 < t < said.shape[1] and (said - bad)[:, t:].sum() == 0:
            share = float(bad.sum() / said.sum())
            below = _Check(said[:, :t].sum(axis=1), bad[:, :t].sum(axis=1), share)
            if below.passes and float(said[:, t:].sum()) * (1 - share) >= EXPECTED:
                yield b, t


def _last_clean(bad: Floats) -> int:
    """Return the number of ages before the first that has a breach."""
    broken = bad.sum(axis=0) > 0
    return int(np.argmax(broken)) if broken.any() else 0


def _cuts(level: str, age: Coded, then: Coded, b: int, table: Floats, sharp: list[int]) -> Iterator[Clause]:
    said, bad = _bad(table, b)
    share = float(bad.sum() / said.sum()) if said.sum() else 0.0
    t = _lowered(said.sum(axis=0), bad.sum(axis=0), sharp)
    check = _Check(said[:, :t].sum(axis=1), bad[:, :t].sum(axis=1), share)
    if t and check.passes:
        yield _cut_clause(level, age, ("<", t), then, [b], check)
    flipped = _lowered(said.sum(axis=0)[::-1], bad.sum(axis=0)[::-1], [said.shape[1] - s for s in sharp])
    t = said.shape[1] - flipped
    check = _Check(said[:, t:].sum(axis=1), bad[:, t:].sum(axis=1), share)
    if flipped and check.passes:
        yield _cut_clause(level, age, (">=", t), then, [b], check)


def _lowered(said: Floats, bad: Floats, sharp: list[int]) -> int:
    """Return the age up to which no breach was found, less the last ones where few people may be the reason.

    Where breaches start only slowly, the last years without one may lack them by chance: they are left out, unless
    another column changes as a whole at an age between.
    """
    clean = _last_clean(bad[None])
    if not clean:
        return 0
    window = slice(clean, clean + _ABOVE)
    above = float(bad[window].sum() / max(said[window].sum(), 1e-12))
    seen, t = 0.0, clean
    while t > 0:
        seen += float(said[t - 1])
        if (1 - above) ** seen < _CHANCE:
            break
        t -= 1
    between = [s for s in sharp if t <= s <= clean]
    return max(between) if between else t


def _levels_by_cut(level: str, age: Coded, then: Coded, table: Floats, t: int, own: bool) -> Iterator[Clause]:
    """Yield the levels that a column may have below an age at which another changes as a whole, and from it on."""
    if then.kind != "nominal" or len(then.known) < 3:
        return
    margin = table.sum(axis=(0, 1)) / float(table.sum())
    for cut, part in ((("<", t), table[:, :t]), ((">=", t), table[:, t:])):
        rows = part.sum(axis=1)
        out = _ruled_out(rows, margin)
        kept = [b for b in then.known if b not in out]
        if len(kept) < 2:
            continue
        check = _Check(rows.sum(axis=1), rows[:, out].sum(axis=1), float(margin[out].sum()))
        if check.passes and (check.share >= RULED_OUT or own):
            yield _cut_clause(level, age, cut, then, kept, check)


def _clause(level: str, when: Coded, a: list[int], then: Coded, b: list[int], check: _Check) -> Clause:
    literals = (when.key, frozenset(a)), (then.key, frozenset(b))
    return _made(level, literals, None, check, implied(when.text(a), then, b), when, then)


def _cut_clause(level: str, age: Coded, cut: tuple[str, int], then: Coded, b: list[int], check: _Check) -> Clause:
    ages = range(cut[1]) if cut[0] == "<" else range(cut[1], len(age.known))
    literals = (age.key, frozenset(ages)), (then.key, frozenset(b))
    return _made(level, literals, cut, check, implied(cut_text(age.name, cut), then, b), age, then)


def _made(
    level: str,
    literals: Step,
    cut: tuple[str, int] | None,
    check: _Check,
    rule: Implied,
    when: Coded,
    then: Coded,
) -> Clause:
    return Clause(level, *literals, cut, check.expected, rule, check.clean, (len(when.known), len(then.known)))
