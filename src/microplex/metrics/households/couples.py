"""Couples, parents and siblings: gaps of ages, and how alike partners are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from microplex.errors import DataError
from microplex.metrics.attacks import difference_interval
from microplex.metrics.households.records import difference, figure, mean_of
from microplex.metrics.households.statistics import agreement, combined, label_tvd, spearman, value_ks
from microplex.metrics.households.view import Floats, Ints, View
from microplex.metrics.record import Figure, Record
from microplex.survey import ess

Parts = dict[tuple[str, ...], Callable[[], Figure | float]]

FAR_APART = 20  # years between partners


def couple_records(real: View, synthetic: View) -> list[Record]:
    """Return how the couples of a head and the first partner differ.

    "spouse_gap_ks": Kolmogorov-Smirnov distance of the head's age minus the partner's. "spouse_far_err": difference of
    the shares of couples more than 20 years apart. "spouse_age_corr_err", "spouse_earn_corr_err": difference of
    Spearman's correlations between the two. "spouse_earners_tvd": distance of the tables of who earns.
    "spouse_cat_err": mean distance of the joint tables of each category. "assortativity_err": mean difference, over
    all variables, of the likeness of partners: Spearman's correlation, or Cohen's kappa of a category.

    Each couple has the weight of its household. Without any synthetic couple distances are 1 and associations 0;
    without any real couple nothing is defined.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> {record.value for record in couple_records(example(), example()) if record.defined}
    {0.0}
    """
    a, b = _pairs(real), _pairs(synthetic)
    plan = real.plan
    kinds = {name: real.member[name].is_number for name in plan.member_vars}
    tables: Parts = {
        (name,): partial(_table, real, synthetic, a, b, name) for name, number in kinds.items() if not number
    }
    alike: Parts = {(name,): partial(_likeness, real, synthetic, a, b, name) for name in kinds}
    return [
        figure("spouse_gap_ks", partial(_gaps, real, synthetic, a, b)),
        figure("spouse_far_err", partial(_far_apart, real, synthetic, a, b)),
        figure("spouse_age_corr_err", lambda: _likeness(real, synthetic, a, b, plan.need_age())),
        figure("spouse_earn_corr_err", lambda: _likeness(real, synthetic, a, b, plan.need_earnings())),
        figure("spouse_earners_tvd", partial(_earners, real, synthetic, a, b)),
        *mean_of("spouse_cat_err", tables, "no member variable is a category" if not tables else _why_none(a)),
        *mean_of("assortativity_err", alike, _why_none(a)),
    ]


def gap_records(real: View, synthetic: View) -> list[Record]:
    """Return distances of the gaps of ages between parents and children, and between siblings.

    "parent_gap_ks" and "parent2_gap_ks": Kolmogorov-Smirnov distances of the head's and the partner's age minus the
    child's, for children of the head; "sibling_gap_ks": of the gaps between successive children of one role.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> gap_records(example(), example())[0].value
    0.0
    """
    measures: list[tuple[str, Callable[[View], tuple[Floats, Floats]], str]] = [
        ("parent_gap_ks", lambda view: _from_parent(view, view.head), "there is no child with a head"),
        ("parent2_gap_ks", lambda view: _from_parent(view, view.partner), "there is no child in a couple's household"),
        ("sibling_gap_ks", _between_siblings, "no household has two children of one role"),
    ]
    return [figure(name, partial(_compared, real, synthetic, gaps, why)) for name, gaps, why in measures]


_Pairs = tuple[Ints, Ints, Floats]


def _pairs(view: View) -> _Pairs:
    use = (view.head >= 0) & (view.partner >= 0) & (view.weights > 0)
    return view.head[use], view.partner[use], view.weights[use]


def _why_none(real: _Pairs) -> str:
    return "" if len(real[0]) else "no real household has a head with a partner"


def _check_any(real: _Pairs) -> None:
    if not len(real[0]):
        raise DataError(_why_none(real))


def _gap(view: View, pairs: _Pairs) -> Floats:
    return view.age[pairs[0]] - view.age[pairs[1]]


def _gaps(real: View, synthetic: View, a: _Pairs, b: _Pairs) -> float:
    _check_any(a)
    gap = _gap(real, a)
    if np.isnan(gap).all():
        raise DataError("no real couple has both ages")
    return value_ks(gap, _gap(synthetic, b), (a[2], b[2]))


def _far_apart(real: View, synthetic: View, a: _Pairs, b: _Pairs) -> Figure:
    _check_any(a)
    shares, numbers = [], []
    for view, pairs in ((real, a), (synthetic, b)):
        gap = np.abs(_gap(view, pairs))
        known = ~np.isnan(gap)
        if not known.any():
            if view is real:
                raise DataError("no real couple has both ages")
            return Figure(1.0, None, "no synthetic couple has both ages")
        w = pairs[2][known]
        shares.append(float(w @ (gap[known] > FAR_APART) / w.sum()))
        numbers.append(round(ess(w)))
    # Few couples are so far apart that the floor may be 0 by luck.
    _, high = difference_interval(shares[0], shares[1], numbers[0], numbers[1])
    return Figure(
        abs(shares[0] - shares[1]), (0.0, high - shares[0]), f"real {shares[0]:.3g}, synthetic {shares[1]:.3g}"
    )


def _likeness(real: View, synthetic: View, a: _Pairs, b: _Pairs, name: str) -> Figure:
    _check_any(a)

    def of(view: View, pairs: _Pairs) -> float:
        column = view.member[name]
        if column.is_number:
            return spearman(column.floats[pairs[0]], column.floats[pairs[1]], pairs[2])
        codes = column.values.astype(np.int64)
        return agreement(codes[pairs[0]], codes[pairs[1]], pairs[2])

    return difference(lambda: of(real, a), lambda: of(synthetic, b))


def _earners(real: View, synthetic: View, a: _Pairs, b: _Pairs) -> float:
    _check_any(a)
    sides = [
        combined([(view.earnings[rows] > 0).astype(np.int64) for rows in pairs[:2]], [2, 2])
        for view, pairs in ((real, a), (synthetic, b))
    ]
    return label_tvd(sides[0], sides[1], (a[2], b[2])) if len(b[0]) else 1.0


def _table(real: View, synthetic: View, a: _Pairs, b: _Pairs, name: str) -> float:
    _check_any(a)
    if not len(b[0]):
        return 1.0
    size = len(real.member[name].levels) + 1
    sides = []
    for view, pairs in ((real, a), (synthetic, b)):
        codes = view.member[name].values.astype(np.int64) + 1
        sides.append(combined([codes[pairs[0]], codes[pairs[1]]], [size, size]))
    return label_tvd(sides[0], sides[1], (a[2], b[2]))


def _compared(real: View, synthetic: View, gaps: Callable[[View], tuple[Floats, Floats]], why: str) -> float:
    (x, u), (y, v) = gaps(real), gaps(synthetic)
    if not (~np.isnan(x) & (u > 0)).any():
        raise DataError(f"{why} in the real data")
    return value_ks(x, y, (u, v))


def _from_parent(view: View, parent: Ints) -> tuple[Floats, Floats]:
    children = np.flatnonzero(view.is_child)
    gap = view.at(view.age, parent)[view.home[children]] - view.age[children]
    return gap[~np.isnan(gap)], view.member_weights[children][~np.isnan(gap)]


def _between_siblings(view: View) -> tuple[Floats, Floats]:
    together = (view.home[:-1] == view.home[1:]) & (view.role[:-1] == view.role[1:])
    older = np.flatnonzero(view.is_child[:-1] & together) if len(view.home) else np.zeros(0, dtype=np.int64)
    return view.age[older] - view.age[older + 1], view.member_weights[older]
