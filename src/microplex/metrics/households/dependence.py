"""Likeness within households, and dependence between household variables and members."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.metrics.households.records import difference, mean_of
from microplex.metrics.households.statistics import association, mid_ranks, ranked
from microplex.metrics.households.view import Bools, Floats, View
from microplex.metrics.record import Figure, Record

Feature = tuple[NDArray[np.generic], bool]


def cluster_records(real: View, synthetic: View) -> list[Record]:
    """Return "icc_err": the mean difference of the correlations within households, of all members and of adults.

    See `intraclass` for the correlation of one variable.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> cluster_records(example(), example())[0].value
    0.0
    """
    parts: dict[tuple[str, ...], Callable[[], Figure | float]] = {}
    for name in real.plan.cluster_vars:
        parts[(name,)] = partial(_clustered, real, synthetic, name, False)
        if real.plan.age is not None:
            parts[(name, "adults")] = partial(_clustered, real, synthetic, name, True)
    return mean_of("icc_err", parts, "no household has two members with different values")


def intraclass(view: View, name: str, mask: Bools | None = None) -> float:
    """Return how alike the members of a household are, over the households with two members or more.

    Numbers: the one-way random effects estimate (MSB - MSW) / (MSB + (n0 - 1) MSW) on ranks (Donner, 1986, "A review
    of inference procedures for the intraclass correlation coefficient"). Categories: the probability that two members
    of one household agree, corrected for chance as kappa is. A household of weight w counts as w households.

    Parameters
    ----------
    view : View
    name : str
        Member variable.
    mask : bool[m], optional
        Members that count.

    Raises
    ------
    DataError
        If no household has two such members, or all have one value.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> round(intraclass(example(), "age"), 3)
    -0.435
    """
    places, number = view.places(name)
    use = places >= 0 if mask is None else mask & (places >= 0)
    use = use & (view.member_weights > 0)
    n = np.bincount(view.home[use], minlength=view.n).astype(np.float64)
    if not (n > 1).any():
        raise DataError("no household has two such members")
    if not view.member[name].is_number:
        return _agreement(view, places, use, n, number)
    # Ranks among all, then only members of households of two or more.
    rows = np.flatnonzero(use)
    ranks = mid_ranks(places[rows], number, view.member_weights[rows])
    several = n[view.home[rows]] > 1
    return _anova(ranks[several], view.home[rows[several]], view.weights, np.where(n > 1, n, 0.0))


def cross_records(real: View, synthetic: View) -> list[Record]:
    """Return "cross_err": the mean difference of associations between household variables and members.

    Household variables with more than 20 levels are left out: their associations grow as a sample shrinks.
    Members: the number of members and of children, sum of earnings, earners, mean age, and each variable of the head.
    Associations: `association`; a variable that does not vary has none (0).

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> cross_records(example(), example())[0].value
    0.0
    """
    columns = [{name: _household(view, name) for name in view.plan.context_vars} for view in (real, synthetic)]
    features = [_features(view) for view in (real, synthetic)]
    parts: dict[tuple[str, ...], Callable[[], Figure | float]] = {}
    for name in columns[0]:
        for other in features[0]:
            pairs = [(columns[side][name], features[side][other]) for side in (0, 1)]
            parts[(name, other)] = partial(_associated, pairs, (real.weights, synthetic.weights))
    return mean_of("cross_err", parts, "there is no household variable", f"{len(parts)} pairs")


def _clustered(real: View, synthetic: View, name: str, adults: bool) -> Figure:
    return difference(
        lambda: intraclass(real, name, real.is_adult if adults else None),
        lambda: intraclass(synthetic, name, synthetic.is_adult if adults else None),
    )


def _agreement(view: View, places: NDArray[np.int64], use: Bools, n: Floats, levels: int) -> float:
    home, code = view.home[use], places[use]
    pairs = view.weights @ (n * (n - 1))
    cells, counts = np.unique(home * levels + code, return_counts=True)
    agree = float(view.weights[cells // levels] @ (counts * (counts - 1.0)) / pairs)
    mass = np.bincount(code, weights=view.weights[home] * (n[home] - 1), minlength=levels)
    chance = float(((mass / mass.sum()) ** 2).sum())
    if chance > 1 - 1e-12:
        raise DataError("all members have one value")
    return (agree - chance) / (1 - chance)


def _anova(x: Floats, home: NDArray[np.int64], weights: Floats, n: Floats) -> float:
    w = weights[home]
    x = x - w @ x / w.sum()
    households, members = float(weights[n > 0].sum()), float(weights @ n)
    sums = np.bincount(home, weights=x, minlength=len(n))
    between = float((weights * sums**2)[n > 0] @ (1 / n[n > 0]))
    within = float(w @ x**2) - between
    if not between + within > 1e-12 * members:
        raise DataError("all members have one value")
    if not households > 1:
        raise DataError("there is one household of two or more members")
    msb, msw = between / (households - 1), within / max(members - households, 1)
    usual = (members - float(weights @ n**2) / members) / (households - 1)
    return (msb - msw) / (msb + (usual - 1) * msw)


def _household(view: View, name: str) -> Feature:
    column = view.household[name]
    if column.is_number:
        return ranked(column.floats, view.weights), True
    return column.values, False


def _features(view: View) -> dict[str, Feature]:
    numbers = {"members": view.size.astype(np.float64), "children": view.children.astype(np.float64)}
    if view.plan.earnings is not None:
        numbers["sum of earnings"] = view.sum(view.earnings)
        numbers["earners"] = view.sum(view.earnings > 0)
    if view.plan.age is not None:
        numbers["mean age"] = view.sum(view.age) / np.maximum(view.sum(~np.isnan(view.age)), 1)
    features: dict[str, Feature] = {name: (ranked(x, view.weights), True) for name, x in numbers.items()}
    for name in view.plan.member_vars:
        column = view.member[name]
        if column.is_number:
            features[f"head's {name}"] = ranked(view.at(column.floats, view.head), view.weights), True
        else:
            codes = np.full(view.n, -1, dtype=np.int64)
            has = view.head >= 0
            codes[has] = column.values[view.head[has]]
            features[f"head's {name}"] = codes, False
    return features


def _associated(pairs: list[tuple[Feature, Feature]], weights: tuple[Floats, Floats]) -> Figure:
    return difference(
        lambda: association(*pairs[0], weights[0]),
        lambda: association(*pairs[1], weights[1]),
    )
