"""A population of two households, for examples."""

from __future__ import annotations

import numpy as np

from microplex.metrics.households.view import Column, Plan, View


def example() -> View:
    """Return a couple with a child, and a lone parent with a child who files alone.

    Examples
    --------
    >>> example().n
    2
    """
    plan = Plan(
        roles=("head", "spouse", "child"),
        heads=(0,),
        couple=(1,),
        child=(2,),
        age="age",
        earnings="wages",
        member_vars=("age", "sex", "wages"),
        household_vars=("rooms",),
        type_vars=("rooms",),
        cluster_vars=("age", "wages"),
        context_vars=("rooms",),
        own_vars=("rooms",),
    )
    member = {
        "age": Column(np.array([40.0, 38.0, 12.0, 50.0, 20.0]), is_number=True),
        "sex": Column(np.array([0, 1, 0, 1, 1]), ("f", "m")),
        "wages": Column(np.array([30.0, 20.0, 0.0, 10.0, 5.0]), is_number=True),
    }
    return View(
        plan,
        np.ones(2),
        np.arange(2, dtype=np.uint64),
        np.array([0, 0, 0, 1, 1]),
        np.array([0, 1, 2, 0, 2]),
        member,
        {"rooms": Column(np.array([4.0, 2.0]), is_number=True)},
        units={"tax_unit": np.array([0, 0, 0, 1, 2])},
    )
