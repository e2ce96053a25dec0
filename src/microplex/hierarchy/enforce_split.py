"""Totals split over their parts: whole numbers exactly, by largest remainders, with zeros kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microplex.errors import ConstraintError, DataError
from microplex.hierarchy.enforce_draft import Draft
from microplex.hierarchy.members import PERSON, Bools, Floats, Ints, Members
from microplex.hierarchy.rules_conditions import numbers
from microplex.hierarchy.rules_quantities import differs, unit_values
from microplex.hierarchy.rules_totals import Sum

_WHOLE = 2.0**53


def split_shares(totals: Floats, of: Ints, shares: Floats, whole: bool) -> Floats:
    """Split totals in proportion to shares; whole numbers by largest remainders (Hamilton's method).

    Parameters
    ----------
    totals : float64[m]
        What to split; whole numbers of one sign if `whole`.
    of : int64[n]
        Which total each share belongs to, ascending; of equal remainders the first gets the unit.
    shares : float64[n]
        Not negative; 0 gets 0. Their sums must be positive where a total is not 0.
    whole : bool
        Whether parts are whole numbers.

    Returns
    -------
    float64[n]
        Parts that add up to the totals: exactly if `whole`, else to rounding error.

    Examples
    --------
    >>> split_shares(np.array([10.0]), np.array([0, 0, 0, 0]), np.array([1.0, 1.0, 1.0, 0.0]), True)
    array([4., 3., 3., 0.])
    """
    mass = np.bincount(of, shares, len(totals))
    sign = np.sign(totals)[of]
    with np.errstate(divide="ignore", invalid="ignore"):
        if not whole:
            return np.asarray(sign * np.where(shares > 0, np.abs(totals)[of] * (shares / mass[of]), 0.0))
        product = np.abs(totals)[of] * shares
        rest = np.where(shares > 0, np.fmod(product, mass[of]) / mass[of], 0.0)  # exact for whole shares
        parts = np.where(shares > 0, np.rint(product / mass[of] - rest), 0.0)
    full = rest > 1.0 - 1e-9
    parts, rest = parts + full, np.where(full, 0.0, rest)
    left = np.rint(np.abs(totals) - np.bincount(of, parts, len(totals))).astype(np.int64)
    by = np.lexsort((np.arange(len(of)), np.round(-rest, 9), shares <= 0, of))
    starts = np.searchsorted(of, np.arange(len(totals)))
    rank = np.empty(len(of), dtype=np.int64)
    rank[by] = np.arange(len(of)) - starts[of[by]]
    return np.asarray(sign * (parts + (rank < left[of])))


@dataclass(frozen=True, eq=False)
class _Cells:
    """Parts of the totals to be split.

    Attributes
    ----------
    row : int64[k]
        A row that holds the part.
    unit : int64[k]
        Unit of the part: a member, or an inner unit.
    part : int64[k]
        Place of its column among the parts.
    of : int64[k]
        Place of its total among the totals, ascending.
    value : float64[k]
    """

    row: Ints
    unit: Ints
    part: Ints
    of: Ints
    value: Floats


def split_total(draft: Draft, rule: Sum) -> None:
    """Move the parts of a sum, in proportion to their size, until they add up to the total.

    Parameters
    ----------
    draft : Draft
    rule : Sum

    Raises
    ------
    ConstraintError
        If a total lies below the least that its parts can add up to, no part is left to take it, or it is not whole
        while the parts are.
    """
    data = draft.members
    wrong = _broken(rule, data)
    units = np.flatnonzero(wrong)
    if not units.size:
        for name in rule.columns:
            draft.put(name, np.empty(0, dtype=np.int64), [], rule)
        return
    whole = _whole_parts(rule, data)
    cells = _cells(draft, rule, wrong)
    totals = unit_values(data, rule.total, rule.level, rule)[units]
    if rule.per_role:
        of = data.unit(rule.level, rule).of
        for role, value in rule.per_role:
            totals = totals - value * np.bincount(of[data.in_roles((role,), rule)], minlength=len(wrong))[units]
    parts = _parts(rule, data, units, totals, cells, whole)
    for place, name in enumerate(rule.columns):
        _write(draft, rule, name, cells, parts, cells.part == place)


def _broken(rule: Sum, data: Members) -> Bools:
    """Return which totals are to be split; a missing total is not."""
    total = numbers(data.column(rule.total), str(rule))
    if rule.level != PERSON:
        units = data.unit(rule.level, rule)
        uneven = np.flatnonzero(differs(total, total[units.rows][units.of]))
        if uneven.size:
            named = units.name(int(units.of[uneven[0]]))
            raise ConstraintError(
                f"'{rule}' cannot be split: {rule.total!r} has several values in {rule.level} {named}. Name it among "
                "shared_vars too."
            )
        total = total[units.rows]
    wrong: Bools = rule.violations(data) & ~np.isnan(total)
    return wrong


def _whole_parts(rule: Sum, data: Members) -> bool:
    kinds = {name: data.column(name).dtype for name in rule.columns}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise DataError(f"'{rule}' can be split over parts of one type only; got {listed}. Convert them.")
    return set(kinds.values()) == {"int"}


def _cells(draft: Draft, rule: Sum, wrong: Bools) -> _Cells:
    """Collect the parts of the totals to be split, in an order that does not depend on that of the rows."""
    data = draft.members
    place = np.cumsum(wrong) - 1
    if rule.level == PERSON:
        row = unit = np.flatnonzero(wrong)
        of = place[row]
    else:
        outer = data.unit(rule.level, rule).of
        row, _ = draft.order(np.flatnonzero(wrong[outer]), rule.level)
        unit = row
        if rule.of != PERSON:
            inner = data.unit(rule.of, rule).of
            _, first = np.unique(inner[row], return_index=True)
            row = row[np.sort(first)]
            unit = inner[row]
        of = place[outer[row]]
    by = np.argsort(of, kind="stable")
    row, unit, of = row[by], unit[by], of[by]
    k = len(rule.columns)
    values = np.stack([numbers(data.column(name), str(rule))[row] for name in rule.columns], axis=1)
    return _Cells(
        np.repeat(row, k), np.repeat(unit, k), np.tile(np.arange(k), len(row)), np.repeat(of, k), values.ravel()
    )  # fmt: skip


def _parts(rule: Sum, data: Members, units: Ints, totals: Floats, cells: _Cells, whole: bool) -> Floats:
    """Return the new parts: float64[k]."""
    if whole and ((odd := np.abs(totals - np.rint(totals)) > 1e-9).any() or (np.abs(totals) > _WHOLE).any()):
        raise ConstraintError(
            _cannot(rule, data, units, totals, np.argmax(odd), "is not a whole number; the parts are")
        )
    totals = np.rint(totals) if whole else totals
    n, of, value = len(totals), cells.of, cells.value
    if rule.lower is None:
        held = np.bincount(of, value, n)
        moved = split_shares(totals - held, of, np.abs(value), whole)
        base, free = value, np.abs(value)
        out = base + moved
    else:
        low = np.where(value != 0, rule.lower, 0.0)
        below = np.flatnonzero(value < low)
        if below.size:
            problem = f"has a part of {value[below[0]]:g}, below lower={rule.lower:g}; lower=None sets no bound"
            raise ConstraintError(_cannot(rule, data, units, totals, of[below[0]], problem))
        least = np.bincount(of, low, n)
        short = totals < least - 1e-9 * np.maximum(1.0, np.abs(least))
        if short.any():
            at = np.argmax(short)
            problem = f"lies below the lower bound {least[at]:g} of its parts"
            raise ConstraintError(_cannot(rule, data, units, totals, at, problem))
        free = value - low
        stuck = np.bincount(of, free, n) == 0
        free = np.where(stuck[of] & (value != 0), 1.0, free)
        out = low + split_shares(np.maximum(totals - least, 0.0), of, free, whole)
    empty = (np.bincount(of, free, n) == 0) & (np.abs(totals - np.bincount(of, value, n)) > 0)
    if empty.any():
        problem = "has nothing to be split over: all parts are 0, and zeros are kept. Give it a part that can take it"
        raise ConstraintError(_cannot(rule, data, units, totals, np.argmax(empty), problem))
    return out if whole else _settled(out, of, totals, free)


def _settled(parts: Floats, of: Ints, totals: Floats, free: Floats) -> Floats:
    """Give what rounding left over to the greatest part of each total."""
    by = np.lexsort((free, of))
    last = np.concatenate([of[by][1:] != of[by][:-1], [True]])
    out = parts.copy()
    out[by[last]] += (totals - np.bincount(of, parts, len(totals)))[of[by[last]]]
    return out


def _write(draft: Draft, rule: Sum, name: str, cells: _Cells, parts: Floats, mine: Bools) -> None:
    changed = mine & differs(parts, cells.value)
    if rule.of == PERSON or rule.level == PERSON:
        draft.put(name, cells.row[changed], parts[changed], rule)
        return
    inner = draft.members.unit(rule.of, rule)
    new = np.full(inner.count, np.nan)
    new[cells.unit[changed]] = parts[changed]
    rows = np.flatnonzero(~np.isnan(new[inner.of]))
    draft.put(name, rows, new[inner.of[rows]], rule)


def _cannot(rule: Sum, data: Members, units: Ints, totals: Floats, at: int | np.intp, problem: str) -> str:
    where = (
        f"row {units[at]}" if rule.level == PERSON else f"{rule.level} {data.units[rule.level].name(int(units[at]))}"
    )
    return f"'{rule}' cannot be split in {where}: its total {totals[at]:.15g} {problem}."
