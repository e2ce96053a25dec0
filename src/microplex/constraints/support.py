"""Where a column may lie on each row, given the columns known so far.

Three-valued logic: a statement about a missing value is undecided, and what is undecided restricts nothing.
Columns still to come take part by their bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from microplex.constraints.compiled import Bools, Every, Floats, In, Linear, Node, Some, Views
from microplex.constraints.tables import Table
from microplex.constraints.terms import MIRROR
from microplex.schema.grain import multiples

EPSILONS = 8 * np.finfo(np.float64).eps


@dataclass(frozen=True)
class Support:
    """Values that one column may take, row by row.

    Attributes
    ----------
    lo, hi : float64[n] or None
        Bounds, both allowed themselves; infinite where there is none, None if on no row.
    excluded : float64[n] or None
        One value that is not allowed; NaN where there is none.
    levels : bool[n, k] or None
        For a column with levels, which of them are allowed, in the order of the schema.
    points : float64[k] or None
        For a count of few values under a constraint that leaves gaps, these values.
    allowed : bool[n, k] or None
        Which of `points` are allowed.
    """

    lo: Floats | None = None
    hi: Floats | None = None
    excluded: Floats | None = None
    levels: Bools | None = None
    points: Floats | None = None
    allowed: Bools | None = None

    @property
    def is_empty(self) -> Bools:
        """Rows on which no value is allowed: bool[n]."""
        empty = [~mask.any(axis=1) for mask in (self.levels, self.allowed) if mask is not None]
        if self.lo is not None and self.hi is not None:
            empty.append(self.lo > self.hi)
        given = [array for array in (self.lo, self.hi, self.excluded) if array is not None]
        return np.logical_or.reduce(empty) if empty else np.zeros(len(given[0]) if given else 0, dtype=np.bool_)


@dataclass(frozen=True)
class Known:
    """Columns known on `n` rows, as `View.read` gives them."""

    n: int
    values: Mapping[str, Floats]
    views: Views

    def sum(self, terms: Iterable[tuple[str, float]]) -> tuple[Floats, Floats, Floats]:
        """Return least and greatest value of a sum, unknown columns at their bounds, and its rounding error."""
        low, high, size = np.zeros(self.n), np.zeros(self.n), np.zeros(self.n)
        for name, factor in terms:
            if name in self.values:
                part = factor * self.views[name].number(self.values[name])
                low, high, size = low + part, high + part, size + np.abs(part)
            else:
                ends = [factor * end for end in self.views[name].range]
                low, high = low + min(ends), high + max(ends)
        return low, high, EPSILONS * size


def decide(node: Node, known: Known) -> tuple[Bools, Bools]:
    """Return on which rows a statement certainly holds, and on which it certainly does not.

    Parameters
    ----------
    node : Node
        The statement.
    known : Known
        The columns known.

    Returns
    -------
    holds, fails : bool[n]
        Neither where it is undecided.
    """
    if isinstance(node, Linear):
        return _decide_linear(node, known)
    if isinstance(node, In):
        return _decide_in(node, known)
    if isinstance(node, Table):
        if any(name not in known.values for name in node.names):
            return np.zeros(known.n, np.bool_), np.zeros(known.n, np.bool_)
        complete = ~np.isnan([known.values[name] for name in node.names]).any(axis=0)
        listed = node.lists(known.values, known.n)
        return listed, complete & ~listed
    decided = [decide(part, known) for part in node.parts]
    holds = [pair[0] for pair in decided] or [np.full(known.n, isinstance(node, Every))]
    fails = [pair[1] for pair in decided] or [np.full(known.n, isinstance(node, Some))]
    both, either = np.logical_and.reduce, np.logical_or.reduce
    return (both(holds), either(fails)) if isinstance(node, Every) else (either(holds), both(fails))


def _decide_linear(node: Linear, known: Known) -> tuple[Bools, Bools]:
    low, high, slack = known.sum(node.terms)
    slack = slack if len(node.terms) > 1 else np.zeros(known.n)
    c = node.constant
    at_most, above = high <= c + slack, low > c + slack
    at_least, below = low >= c - slack, high < c - slack
    return {
        "<=": (at_most, above),
        ">": (above, at_most),
        ">=": (at_least, below),
        "<": (below, at_least),
        "==": (at_most & at_least, above | below),
        "!=": (above | below, at_most & at_least),
    }[node.op]


def _decide_in(node: In, known: Known) -> tuple[Bools, Bools]:
    if node.column not in known.values:
        return np.zeros(known.n, np.bool_), np.zeros(known.n, np.bool_)
    read = known.values[node.column]
    found = np.isin(read, node.wanted)
    codes = known.views[node.column].column.missing_codes
    undecided = np.isnan(read) | (np.isin(read, codes) & ~found)
    inside, outside = found & ~undecided, ~found & ~undecided
    return (outside, inside) if node.negated else (inside, outside)


def is_interval(node: Node, name: str, views: Views) -> bool:
    """Whether a statement confines a column, on every row, to an interval less at most one value."""
    if isinstance(node, In):
        return len(node.wanted) == 1 or (not node.negated and _is_run(node, views))
    if isinstance(node, Linear):
        return True
    if isinstance(node, Table):
        return False
    parts = [part for part in node.parts if name in part.columns]
    return (len(parts) == 1 or isinstance(node, Every)) and all(is_interval(part, name, views) for part in parts)


def n_excluded(node: Node, name: str) -> int:
    """Return how many single values a statement may exclude from a column."""
    if isinstance(node, In):
        return int(node.column == name and node.negated)
    if isinstance(node, Linear):
        return int(name in node.columns and node.op == "!=")
    return 0 if isinstance(node, Table) else sum(n_excluded(part, name) for part in node.parts)


def _is_run(node: In, views: Views) -> bool:
    grain = views[node.column].column.resolution
    return grain is not None and bool(np.allclose(np.diff(node.wanted), grain, rtol=1e-9, atol=0.0))


class Interval:
    """Bounds of one numeric column, narrowed statement by statement."""

    def __init__(self, name: str, known: Known) -> None:
        self.name, self.known = name, known
        self.grain = known.views[name].column.resolution
        self.lo, self.hi = np.full(known.n, -np.inf), np.full(known.n, np.inf)
        self.excluded = np.full(known.n, np.nan)

    def narrow(self, node: Node, active: Bools) -> None:
        """Impose a statement on the active rows."""
        if isinstance(node, In):
            self._narrow_in(node, active)
        elif isinstance(node, Linear):
            self._narrow_linear(node, active)
        elif isinstance(node, Every):
            for part in node.parts:
                if self.name in part.columns:
                    self.narrow(part, active)
        elif isinstance(node, Some):
            for part in node.parts:
                if self.name not in part.columns:
                    active = active & decide(part, self.known)[1]
            if active.any():
                self.narrow(next(part for part in node.parts if self.name in part.columns), active)

    def support(self) -> Support:
        """Return the bounds, an excluded end moved to the next value."""
        at_lo, at_hi = self.excluded == self.lo, self.excluded == self.hi
        if at_lo.any():
            self.lo[at_lo] = self._beyond(self.lo[at_lo], np.zeros(at_lo.sum()), 1.0)
        if at_hi.any():
            self.hi[at_hi] = self._beyond(self.hi[at_hi], np.zeros(at_hi.sum()), -1.0)
        self.excluded[(self.excluded < self.lo) | (self.excluded > self.hi)] = np.nan
        return Support(
            lo=self.lo if np.isfinite(self.lo).any() else None,
            hi=self.hi if np.isfinite(self.hi).any() else None,
            excluded=self.excluded if np.isfinite(self.excluded).any() else None,
        )

    def _narrow_in(self, node: In, active: Bools) -> None:
        if node.negated:
            self.excluded[active] = node.wanted[0]
            return
        self.lo[active] = np.maximum(self.lo[active], node.wanted[0])
        self.hi[active] = np.minimum(self.hi[active], node.wanted[-1])

    def _narrow_linear(self, node: Linear, active: Bools) -> None:
        factor = dict(node.terms)[self.name]
        low, high, slack = self.known.sum((name, c) for name, c in node.terms if name != self.name)
        slack = (slack + EPSILONS * abs(node.constant)) / abs(factor)
        ends = (node.constant - low) / factor, (node.constant - high) / factor
        op = node.op if factor > 0 else MIRROR[node.op]
        most, least = np.maximum(*ends), np.minimum(*ends)
        if op == "!=":
            self.excluded = np.where(active & (low == high), self._settle(most, slack, 0.0), self.excluded)
        if op in ("<=", "=="):
            self._cap(self._settle(most, slack, -1.0 if op == "<=" else 0.0), active)
        if op in (">=", "=="):
            self._raise(self._settle(least, slack, 1.0 if op == ">=" else 0.0), active)
        if op == "<":
            self._cap(self._beyond(most, slack, -1.0), active)
        if op == ">":
            self._raise(self._beyond(least, slack, 1.0), active)

    def _cap(self, bound: Floats, active: Bools) -> None:
        lower = active & (bound < self.hi)
        self.hi[lower] = bound[lower]

    def _raise(self, bound: Floats, active: Bools) -> None:
        higher = active & (bound > self.lo)
        self.lo[higher] = bound[higher]

    def _settle(self, bound: Floats, slack: Floats, side: float) -> Floats:
        """Return the value of the column's grain at a bound or next to it on a side; side 0 keeps others."""
        if self.grain is None:
            return bound
        nearest, inner, close = self._neighbours(bound, slack, side)
        return np.where(close, multiples(nearest, self.grain), multiples(inner, self.grain) if side else bound)

    def _beyond(self, bound: Floats, slack: Floats, side: float) -> Floats:
        """Return the next value past a bound that is not itself allowed."""
        if self.grain is None:
            return np.nextafter(bound, side * np.inf)
        nearest, inner, close = self._neighbours(bound, slack, side)
        return multiples(np.where(close, nearest + side, inner), self.grain)

    def _neighbours(self, bound: Floats, slack: Floats, side: float) -> tuple[Floats, Floats, Bools]:
        """Count grains to the value nearest to a bound and to the one on a side; tell whether a value is at it."""
        assert self.grain is not None
        with np.errstate(invalid="ignore"):
            nearest = np.rint(bound / self.grain)
            close = np.abs(multiples(nearest, self.grain) - bound) <= slack
        return nearest, np.floor(bound / self.grain) if side < 0 else np.ceil(bound / self.grain), close


def mask(node: Node, name: str, known: Known) -> Bools:
    """Return which values of an enumerated column a statement leaves possible.

    Parameters
    ----------
    node : Node
        The statement.
    name : str
        A column with levels, or a count of few values.
    known : Known
        The columns known, without this one.

    Returns
    -------
    bool[n, k] or bool[1, k] or bool[n, 1]
        Broadcast against the levels.
    """
    if name not in node.columns:
        return np.asarray(~decide(node, known)[1][:, None])
    if isinstance(node, In):
        return np.asarray(np.isin(_codes(known, name), node.wanted) != node.negated)[None, :]
    if isinstance(node, Linear):
        return _mask_linear(node, name, known)
    if isinstance(node, Table):
        return node.allowed(name, _codes(known, name), known.values, known.n)
    masks = [mask(part, name, known) for part in node.parts]
    join = np.logical_and if isinstance(node, Every) else np.logical_or
    out = masks[0]
    for other in masks[1:]:
        out = join(out, other)
    return out


def _mask_linear(node: Linear, name: str, known: Known) -> Bools:
    numbers = known.views[name].numbers
    assert numbers is not None
    factor = dict(node.terms)[name]
    low, high, slack = known.sum((other, c) for other, c in node.terms if other != name)
    own = factor * numbers[None, :]
    least, most = low[:, None] + own, high[:, None] + own
    room = slack[:, None] + EPSILONS * np.abs(own) if len(node.terms) > 1 else np.zeros((1, 1))
    c = node.constant
    above, below = least > c + room, most < c - room
    at_most, at_least = most <= c + room, least >= c - room
    fails = {
        "<=": above,
        ">": at_most,
        ">=": below,
        "<": at_least,
        "==": above | below,
        "!=": at_most & at_least,
    }
    return np.asarray(~fails[node.op])


def _codes(known: Known, name: str) -> Floats:
    """Return what the values of an enumerated column read as: its numbers if a count, else its codes."""
    view = known.views[name]
    if view.column.is_numeric and view.numbers is not None:
        return view.numbers
    return np.arange(len(view.column.levels), dtype=np.float64)
