"""What no household can be, and what must hold exactly: rules, shared variables, sums and lower bounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.metrics.households.records import GROUP, figure
from microplex.metrics.households.view import Bools, View
from microplex.metrics.record import Figure, Record, undefined
from microplex.survey import ess


def broken_rules(view: View) -> dict[str, Bools]:
    """Return which households break each rule: what no household can be (`Limits`), then the declared rules.

    A missing age breaks no rule.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> sum(int(broken.sum()) for broken in broken_rules(example()).values())
    0
    """
    limits = view.plan.limits
    heads, partners = (view.roles[:, list(places)].sum(axis=1) for places in (view.plan.heads, view.plan.couple))
    found: dict[str, Bools] = {
        "no member": view.size == 0,
        "too many partners": partners > limits.max_partners,
    }
    if view.plan.heads:
        found |= {"no head": (heads == 0) & (view.size > 0), "two heads": heads > 1}
    if view.plan.age is not None:
        age = view.age
        gap = view.at(age, view.head)[view.home] - age
        rows = {
            "age out of range": (age < 0) | (age > limits.max_age),
            "partner too young": view.is_partner & (age < limits.min_spouse_age),
            "head too young": view.is_head & (age < limits.min_head_age),
            "parent too young": view.is_child & (gap < limits.min_parent_gap),
        }
        found |= {name: view.sum(mask) > 0 for name, mask in rows.items()}
    return found | dict(view.broken)


def rule_shares(view: View) -> dict[str, tuple[float, int]]:
    """Return the weighted share of the households that break each rule, and their number.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> rule_shares(example())["two heads"]
    (0.0, 0)
    """
    return {
        name: (float(view.weights @ broken / view.weights.sum()), int(broken.sum()))
        for name, broken in broken_rules(view).items()
    }


def structure_records(real: View, synthetic: View) -> list[Record]:
    """Return the weighted shares of the synthetic households that cannot be.

    "impossible_share": breaking any rule, structural or declared. "declared_share": breaking a declared rule.
    "shared_share": members differ in a variable that they share. "agg_share": a declared sum is off by more than a
    millionth of it, and 1e-6; "agg_max_abs": by how much at most, in its unit. "lower_share": below a declared lower
    bound.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> [record.value for record in structure_records(example(), example())][:1]
    [0.0]
    """
    return [
        figure("impossible_share", lambda: _beside(real, _any(synthetic, broken_rules(synthetic))), n=synthetic.n),
        _declared(synthetic, "declared_share", synthetic.broken, "no rule was declared"),
        *_shared(synthetic),
        *_sums(synthetic),
        _declared(synthetic, "lower_share", synthetic.below, "no lower bound was declared"),
    ]


def _any(view: View, broken: Mapping[str, Bools]) -> Figure:
    household = np.logical_or.reduce(list(broken.values()))
    worst = max(broken, key=lambda name: float(view.weights @ broken[name]))
    share = float(view.weights @ household / view.weights.sum())
    often = f"{int(household.sum()):,} of {view.n:,} households"
    return Figure(share, None, f"{often}; most often: {worst}" if share else often)


def _beside(real: View, found: Figure) -> Figure:
    """Add where the share of fresh real households lies: up to 3 / n where none of n real ones is impossible."""
    share, n = _any(real, broken_rules(real)).value, ess(real.weights)
    return found._replace(interval=(0.0, share + 1.96 * np.sqrt(share * (1 - share) / n) + (0 if share else 3 / n)))


def _declared(view: View, measure: str, broken: Mapping[str, Bools], nothing: str) -> Record:
    return figure(measure, lambda: _any(view, broken)) if broken else undefined(measure, GROUP, (), nothing)


def _shared(view: View) -> list[Record]:
    if not view.varies:
        return [figure("shared_share", lambda: 0.0, "household variables are stored once a household")]
    return [_declared(view, "shared_share", view.varies, "")]


def _sums(view: View) -> list[Record]:
    if not view.off:
        return [undefined(measure, GROUP, (), "no sum was declared") for measure in ("agg_share", "agg_max_abs")]
    return [
        figure("agg_share", lambda: _any(view, {name: ~exact for name, exact in view.exact.items()})),
        figure("agg_max_abs", lambda: _furthest(view.off)),
    ]


def _furthest(off: Mapping[str, NDArray[np.float64]]) -> Figure:
    largest = {name: float(np.nanmax(x)) for name, x in off.items() if (~np.isnan(x)).any()}
    if not largest:
        raise DataError("every declared sum has a missing part")
    worst = max(largest, key=lambda name: largest[name])
    return Figure(largest[worst], None, worst if largest[worst] else "")
