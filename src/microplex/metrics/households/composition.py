"""Who lives together: sizes, roles and types of households, and other groups within them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import numpy as np

from microplex.metrics.groups import row_groups
from microplex.metrics.households.records import figure, mean_of
from microplex.metrics.households.statistics import combined, label_srmse, label_tvd
from microplex.metrics.households.view import Ints, View
from microplex.metrics.record import Figure, Record
from microplex.survey import quantile

Labels = tuple[Ints, Ints, int]

MOST_PERSONS, MOST_CHILDREN = 5, 3


def composition_records(real: View, synthetic: View) -> list[Record]:
    """Return "size_tvd", "comp_tvd", "type_srmse", and "units_tvd" and "unit_comp_tvd" of each other group.

    Sizes: the total variation distance of the numbers of members. Composition: the same of the numbers of members of
    every role. Types: the mean standardised root mean square error of all tables of three among size (5 and more
    together), children (3 and more), whether the head has a partner, and the plan's household variables, numbers in
    quarters of the real ones. Units: how many units of the group a household has; and of the units, how many members
    of every role of the household they have.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> composition_records(example(), example())[0].value
    0.0
    """
    weights = (real.weights, synthetic.weights)
    records = [
        figure("size_tvd", lambda: label_tvd(real.size, synthetic.size, weights), n=min(real.n, synthetic.n)),
        figure("comp_tvd", lambda: label_tvd(*_same_rows(real.roles, synthetic.roles), weights)),
        *_types(real, synthetic),
    ]
    if real.units:
        records += mean_of("units_tvd", {(g,): partial(_units, real, synthetic, g) for g in real.units}, "")
        records += mean_of("unit_comp_tvd", {(g,): partial(_members, real, synthetic, g) for g in real.units}, "")
    return records


def unit_homes(view: View, group: str) -> Ints:
    """Return the household of each unit of a group.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> unit_homes(example(), "tax_unit").tolist()
    [0, 1, 1]
    """
    unit = view.units[group]
    homes = np.zeros(int(unit.max(initial=-1)) + 1, dtype=np.int64)
    homes[unit] = view.home
    return homes


def _units(real: View, synthetic: View, group: str) -> float:
    counts = [np.bincount(unit_homes(view, group), minlength=view.n) for view in (real, synthetic)]
    return label_tvd(counts[0], counts[1], (real.weights, synthetic.weights))


def _members(real: View, synthetic: View, group: str) -> float:
    tables, weights = [], []
    for view in (real, synthetic):
        homes, width = unit_homes(view, group), len(view.plan.roles)
        counts = np.bincount(view.units[group] * width + view.role, minlength=len(homes) * width)
        tables.append(counts.reshape(len(homes), width))
        weights.append(view.weights[homes])
    return label_tvd(*_same_rows(tables[0], tables[1]), (weights[0], weights[1]))


def _same_rows(real: Ints, synthetic: Ints) -> tuple[Ints, Ints]:
    groups = row_groups(np.vstack([real, synthetic]).astype(np.float64))
    return groups[: len(real)], groups[len(real) :]


def _types(real: View, synthetic: View) -> list[Record]:
    labels: dict[str, Labels] = {
        "members": _capped(real.size, synthetic.size, MOST_PERSONS),
        "children": _capped(real.children, synthetic.children, MOST_CHILDREN),
        "partner": ((real.partner >= 0).astype(np.int64), (synthetic.partner >= 0).astype(np.int64), 2),
    }
    for name in real.plan.type_vars:
        if real.household[name].has_value:
            labels[name] = _quarters(real, synthetic, name)
    parts: dict[tuple[str, ...], Callable[[], Figure | float]] = {
        names: partial(_table, real, synthetic, [labels[name] for name in names]) for names in combinations(labels, 3)
    }
    return mean_of("type_srmse", parts, "no table of three variables", f"{len(parts)} tables of three")


def _table(real: View, synthetic: View, labels: list[Labels]) -> float:
    sizes = [size for *_, size in labels]
    first, second = combined([a for a, _, _ in labels], sizes), combined([b for _, b, _ in labels], sizes)
    return label_srmse(first, second, (real.weights, synthetic.weights))


def _capped(real: Ints, synthetic: Ints, most: int) -> Labels:
    return np.minimum(real, most), np.minimum(synthetic, most), most + 1


def _quarters(real: View, synthetic: View, name: str) -> Labels:
    """Return codes from 1, 0 where missing; numbers are cut at the real quartiles."""
    column = real.household[name]
    if not column.is_number:
        sides = [view.household[name].values.astype(np.int64) + 1 for view in (real, synthetic)]
        return sides[0], sides[1], len(column.levels) + 1
    known = ~np.isnan(column.floats)
    cuts = np.unique(quantile(column.floats[known], [0.25, 0.5, 0.75], real.weights[known]))
    coded = []
    for view in (real, synthetic):
        x = view.household[name].floats
        coded.append(np.where(np.isnan(x), 0, 1 + np.searchsorted(cuts, x)).astype(np.int64))
    return coded[0], coded[1], len(cuts) + 2
