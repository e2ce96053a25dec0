"""One row of numbers a household, and one a member: what a classifier and a distance see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from microplex.metrics.households.view import Bools, Column, Floats, Ints, View

MOST_LEVELS = 250


@dataclass(frozen=True, eq=False)
class Features:
    """Rows of numbers with names.

    Parameters
    ----------
    names : tuple of str
    values : float64[n, p]
        NaN is missing; categories are codes below 251, the commonest level first.
    categories : tuple of int
        Which columns are categories.
    """

    names: tuple[str, ...]
    values: Floats
    categories: tuple[int, ...]


def household_features(view: View, order: dict[str, Ints]) -> Features:
    """Return one row a household: its variables, counts of roles, head, partner, children, others, totals and gaps.

    Parameters
    ----------
    view : View
    order : dict of str to int64
        Place of each level of a category by how common it is; see `level_order`.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> features = household_features(example(), level_order(example()))
    >>> features.names[:2], features.values[:, 0].tolist()
    (('rooms', 'number of head'), [4.0, 2.0])
    """
    made: dict[str, Floats] = {}
    categories: set[str] = set()
    for name in view.plan.household_vars:
        made[name] = _values(view.household[name], order.get(f"household {name}"))
        if not view.household[name].is_number:
            categories.add(name)
    for place, role in enumerate(view.plan.roles):
        made[f"number of {role}"] = view.roles[:, place].astype(np.float64)
    other = ~(view.is_child | view.is_partner | view.is_head)
    for name in view.plan.member_vars:
        _add_member(made, categories, view, name, other, order)
    if view.plan.age is not None:
        _add_gaps(made, view)
    names = tuple(made)
    return Features(
        names,
        np.column_stack(list(made.values())),
        tuple(i for i, name in enumerate(names) if name in categories),
    )


def member_features(view: View, order: dict[str, Ints]) -> Features:
    """Return one row a member: role and variables.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> member_features(example(), level_order(example())).names
    ('role', 'age', 'sex', 'wages')
    """
    columns = [view.role.astype(np.float64)]
    categories = [0]
    for place, name in enumerate(view.plan.member_vars, start=1):
        column = view.member[name]
        columns.append(_values(column, order.get(f"member {name}")))
        if not column.is_number:
            categories.append(place)
    return Features(("role", *view.plan.member_vars), np.column_stack(columns), tuple(categories))


def level_order(*views: View) -> dict[str, Ints]:
    """Return the place of each level of each category, the commonest first, those past the 250th together.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> level_order(example())["member sex"].tolist()
    [1, 0]
    """
    found: dict[str, Ints] = {}
    for kind in ("member", "household"):
        for name, column in getattr(views[0], kind).items():
            if column.is_number:
                continue
            mass = np.zeros(len(column.levels))
            for view in views:
                codes = getattr(view, kind)[name].values
                mass += np.bincount(codes[codes >= 0], minlength=len(mass))
            place = np.empty(len(mass), dtype=np.int64)
            place[np.argsort(-mass, kind="stable")] = np.minimum(np.arange(len(mass)), MOST_LEVELS)
            found[f"{kind} {name}"] = place
    return found


def _values(column: Column, order: Ints | None) -> Floats:
    if column.is_number or order is None:
        return column.floats
    codes = column.values.astype(np.int64)
    return np.where(codes < 0, np.nan, np.append(order, 0)[codes].astype(np.float64))


def _add_member(
    made: dict[str, Floats], categories: set[str], view: View, name: str, other: Bools, order: dict[str, Ints]
) -> None:
    column = view.member[name]
    x = _values(column, order.get(f"member {name}"))
    head = view.at(x, view.head)
    made[f"head's {name}"] = head
    if view.plan.couple:
        made[f"partner's {name}"] = view.at(x, view.partner)
    if not column.is_number:
        categories.update((f"head's {name}", f"partner's {name}"))
    for who, mask in (("children", view.is_child), ("others", other)):
        count = view.sum(mask)
        number = np.where(count > 0, count, np.nan)
        if column.is_number:
            made[f"{who}: mean {name}"] = view.sum(x, mask) / number
            made[f"{who}: lowest {name}"] = view.extreme(x, mask, largest=False)
            made[f"{who}: highest {name}"] = view.extreme(x, mask)
        else:
            made[f"{who}: share with the head's {name}"] = view.sum((x == head[view.home]) & mask) / number
            made[f"{who}: {name} of the first"] = view.at(x, view.first(mask))
            categories.add(f"{who}: {name} of the first")
    if column.is_number:
        made[f"sum of {name}"] = view.sum(x)


def _add_gaps(made: dict[str, Floats], view: View) -> None:
    age = view.age
    head, oldest = view.at(age, view.head), view.extreme(age, view.is_child)
    if view.plan.couple:
        partner = view.at(age, view.partner)
        made["gap between head and partner"] = head - partner
        made["gap between partner and oldest child"] = partner - oldest
    made["gap between head and oldest child"] = head - oldest
    made["gap between oldest and youngest"] = view.extreme(age) - view.extreme(age, largest=False)
