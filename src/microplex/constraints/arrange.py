"""Choose what is derived, what is a share of what, and in which order columns come."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from microplex.constraints.compiled import (
    Every,
    Expression,
    Floats,
    Linear,
    Node,
    Views,
    substitute,
)
from microplex.constraints.support import is_interval
from microplex.constraints.terms import Comparison, Constraint, Implies, Sum
from microplex.errors import ConstraintError

Edge = tuple[str, str]

MIN_DISTINCT = 100  # distinct values above which a column may be modelled as a share
MIN_POSITIVE = 50
MIN_VIOLATED = 0.05


@dataclass(frozen=True)
class Share:
    """A column is modelled as its share of a sum of columns known before it.

    Attributes
    ----------
    of : dict of str to float
        Coefficient of each column in that sum.
    """

    of: Expression


@dataclass
class Equalities:
    """Derived columns: `formulas` as written, `free` in terms of columns that are not derived."""

    formulas: dict[str, Expression] = field(default_factory=dict)
    free: dict[str, Expression] = field(default_factory=dict)

    def settle(self, equality: Comparison, wished: Sequence[str], targets: Sequence[str]) -> None:
        """Solve an equality for the first possible of the columns wished, else for the last target in it, if any."""
        rest = substitute(equality.terms, self.free)
        if equality.constant or len(rest) < 2:
            return
        order = [*wished, *reversed(targets)]
        name = next((name for name in order if name in rest and name in targets), None)
        if name is None:
            return
        written = dict(equality.terms)
        if name in written and not any(name in self.free.get(other, {}) for other in written):
            self.formulas[name] = _solve(written, name)
        else:
            self.formulas[name] = _solve(rest, name)
        solved = _solve(rest, name)
        self.free = {other: substitute(terms.items(), {name: solved}) for other, terms in self.free.items()}
        self.free[name] = solved

    def sequence(self) -> list[str]:
        """Return derived columns, each after those in its formula."""
        out: list[str] = []
        while len(out) < len(self.formulas):
            ready = [
                n for n in self.formulas if n not in out and not (self.formulas[n].keys() & self.free.keys()) - {*out}
            ]
            if not ready:
                raise ConstraintError(
                    f"the equalities for {', '.join(self.formulas)} depend on each other in a circle."
                )
            out.append(ready[0])
        return out


def find_derived(constraints: Iterable[Constraint], targets: Sequence[str], views: Views) -> Equalities:
    """Decide which targets follow from others.

    Parameters
    ----------
    constraints : iterable of constraint objects
        What must hold.
    targets : sequence of str
        Columns to be generated.
    views : mapping of str to View
        The columns.

    Returns
    -------
    Equalities
        The derived columns.
    """
    found = Equalities()
    numeric = [name for name in targets if views[name].column.is_numeric and not views[name].column.missing_codes]
    for constraint in constraints:
        if isinstance(constraint, Sum):
            found.settle(constraint.comparison, [constraint.total], numeric)
        elif isinstance(constraint, Comparison) and constraint.op == "==":
            found.settle(constraint, _alone(constraint), numeric)
    return found


def bounds_of_derived(equalities: Equalities, views: Views) -> list[Linear]:
    """Return the bounds of derived columns that their parts do not ensure."""
    out = []
    for name, terms in equalities.free.items():
        low, high = views[name].range
        ends = [[factor * end for end in views[part].range] for part, factor in terms.items()]
        if sum(map(min, ends)) < low:
            out.append(Linear(tuple(terms.items()), ">=", low))
        if sum(map(max, ends)) > high:
            out.append(Linear(tuple(terms.items()), "<=", high))
    return out


def edges_of(node: Node, views: Views, derived: Mapping[str, Expression], origin: object = None) -> Iterator[Edge]:
    """Yield pairs (before, after): what bounds a column comes before it.

    Parameters
    ----------
    node : Node
        What must hold, over columns that are not derived.
    views : mapping of str to View
        The columns.
    derived : mapping of str to dict
        Derived columns in terms of others.
    origin : constraint object, optional
        Where the node stems from: the consequence of an implication comes after its condition.

    Yields
    ------
    (str, str)
        Columns; a column that could be left a range with gaps comes before all others.
    """
    gapped = [name for name in node.columns if views[name].is_continuous and not is_interval(node, name, views)]
    if gapped:
        yield from ((name, other) for name in sorted(gapped) for other in sorted(node.columns) if other != name)
    elif isinstance(origin, Implies):
        for first in origin.condition.columns:
            for then in origin.consequence.columns:
                yield from itertools.product(derived.get(first, [first]), derived.get(then, [then]))
    elif isinstance(node, Linear) and node.op in ("<=", "<", ">=", ">"):
        sign = 1 if node.op in ("<=", "<") else -1
        above = [name for name, factor in node.terms if sign * factor < 0]
        below = [name for name, factor in node.terms if sign * factor > 0]
        yield from itertools.product(above, below)


def arrange(targets: Sequence[str], edges: Iterable[Edge]) -> tuple[str, ...]:
    """Return the targets in their order, changed only where an edge demands it.

    Parameters
    ----------
    targets : sequence of str
        Columns in the order given.
    edges : iterable of (before, after)
        In descending priority; one that closes a circle is left out, one with other columns is ignored.

    Returns
    -------
    tuple of str
        The order.

    Examples
    --------
    >>> arrange(["part", "age", "whole"], [("whole", "part")])
    ('whole', 'part', 'age')
    """
    before: dict[str, set[str]] = {name: set() for name in targets}
    for first, then in edges:
        if first in before and then in before and first != then and not _precedes(then, first, before):
            before[then].add(first)
    out: dict[str, None] = {}

    def place(name: str) -> None:
        for earlier in targets:
            if earlier in before[name] and earlier not in out:
                place(earlier)
        out.setdefault(name)

    for name in targets:
        place(name)
    return tuple(out)


def find_pairs(
    targets: Sequence[str], candidates: Sequence[str], data: Mapping[str, Floats], seed: int = 0
) -> dict[str, str]:
    """Find targets that the data show between zero and another column on every row.

    Parameters
    ----------
    targets : sequence of str
        Columns that may be a share.
    candidates : sequence of str
        Columns of which they may be one.
    data : mapping of str to float64[n]
        The training data.
    seed : int
        For the random pairing that a bound must be seen to exclude.

    Returns
    -------
    dict of str to str
        Target and the tightest column above it. A bound counts if at least 50 rows are positive, and pairing
        these with each other's bound at random would break it on more than 5% of them.
    """
    out: dict[str, str] = {}
    for name in targets:
        a = data[name]
        positive = a > 0
        if positive.sum() < MIN_POSITIVE or (a < 0).any():
            continue
        shuffle = np.random.Generator(np.random.Philox(seed)).permutation(int(positive.sum()))
        tightest = np.inf
        for other in candidates:
            if other == name or _reaches(other, name, out):
                continue
            b = data[other]
            if _below(a[:256], b[:256]) and _below(a, b):
                held = b[positive]
                size = float(held.sum())
                if size < tightest and (a[positive] > held[shuffle]).mean() > MIN_VIOLATED:
                    out[name], tightest = other, size
    return out


def find_shares(
    order: Sequence[str], conditions: Sequence[str], nodes: Iterable[Node], views: Views, data: Mapping[str, Floats]
) -> dict[str, Share]:
    """Choose for each target the tightest declared bound that makes it a share.

    Parameters
    ----------
    order : sequence of str
        Modelled targets.
    conditions : sequence of str
        Columns known from the start.
    nodes : iterable of Node
        What must hold, over columns that are not derived.
    views : mapping of str to View
        The columns.
    data : mapping of str to float64[n]
        The training data.

    Returns
    -------
    dict of str to Share
        Only columns known earlier occur in a base.
    """
    out: dict[str, Share] = {}
    size: dict[str, float] = {}
    linear = [leaf for node in nodes for leaf in (node.parts if isinstance(node, Every) else (node,))]
    for place, name in enumerate(order):
        if not can_be_share(name, views, data):
            continue
        earlier = {*conditions, *order[:place]}
        for node in linear:
            base = _base(node, name, earlier, views) if isinstance(node, Linear) else None
            if base is None:
                continue
            values = sum(factor * views[other].number(data[other]) for other, factor in base.items())
            total = float(np.nansum(values))
            if total < size.get(name, np.inf) and _below(data[name], np.asarray(values)):
                out[name], size[name] = Share(base), total
    return out


def can_be_share(name: str, views: Views, data: Mapping[str, Floats]) -> bool:
    """Whether a column is a non-negative amount of many values."""
    column, values = views[name].column, data[name]
    if column.kind not in ("continuous", "semicontinuous") or column.missing_codes or (values < 0).any():
        return False
    return len(np.unique(values[~np.isnan(values)])) > MIN_DISTINCT


def _base(node: Linear, name: str, earlier: set[str], views: Views) -> Expression | None:
    """Return the sum that a column cannot exceed, columns still to come at their least; None if there is none."""
    terms = dict(node.terms)
    sign = {"<=": 1, "<": 1, "==": 1, ">=": -1, ">": -1}.get(node.op, 0)
    if name not in terms or node.constant or not sign:
        return None
    if node.op == "==":
        sign = 1 if terms[name] > 0 else -1
    if sign * terms[name] <= 0:
        return None
    base = {}
    for other, factor in terms.items():
        if other in earlier:
            base[other] = -factor / terms[name]
        elif other != name and min(sign * factor * end for end in views[other].range) < 0:
            return None
    return base if any(factor > 0 for factor in base.values()) else None


def _below(a: Floats, b: Floats) -> bool:
    """Whether b is known and not below a wherever a is known; b may exceed by rounding only."""
    slack = 1e-15 * np.abs(b) * 8
    return bool((np.isnan(a) | (a <= b + slack)).all())


def _solve(terms: Mapping[str, float], name: str) -> Expression:
    return {other: -factor / terms[name] for other, factor in terms.items() if other != name}


def _alone(equality: Comparison) -> list[str]:
    """Return the column that stands alone on its side, if one does."""
    sides = [[n for n, c in equality.terms if c > 0], [n for n, c in equality.terms if c < 0]]
    return [side[0] for side in sides if len(side) == 1]


def _precedes(first: str, then: str, before: Mapping[str, set[str]]) -> bool:
    """Whether `first` must come before `then`."""
    return first in before[then] or any(_precedes(first, middle, before) for middle in before[then])


def _reaches(name: str, goal: str, links: Mapping[str, str]) -> bool:
    while name in links:
        name = links[name]
        if name == goal:
            return True
    return False
