"""Thirteen statistics of households that policy reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.metrics.households.records import mean_of
from microplex.metrics.households.view import Bools, Floats, View
from microplex.metrics.record import Figure, Record

Statistic = Callable[[View], NDArray[Any]]

GENERATIONS = 45  # years between oldest and youngest
OLD = 65


def policy_records(real: View, synthetic: View) -> list[Record]:
    """Return "stats_err": the mean difference of thirteen means, in standard deviations of the real households.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> len(policy_records(example(), example()))
    14
    """
    parts: dict[tuple[str, ...], Callable[[], Figure | float]] = {
        (name,): partial(_compared, real, synthetic, statistic) for name, statistic in STATISTICS.items()
    }
    return mean_of("stats_err", parts, "no statistic can be taken", f"of {len(parts)}, in real standard deviations")


def _compared(real: View, synthetic: View, statistic: Statistic) -> Figure:
    x, y = (np.asarray(statistic(view), dtype=np.float64) for view in (real, synthetic))
    u, v = (view.weights / view.weights.sum() for view in (real, synthetic))
    first, second = float(u @ x), float(v @ y)
    spread = float(np.sqrt(u @ (x - first) ** 2))
    if not spread > 0:
        raise DataError(f"all real households have {first:.3g}")
    return Figure(abs(first - second) / spread, None, f"real {first:.4g}, synthetic {second:.4g}")


def _adults(view: View) -> Floats:
    return view.sum(view.is_adult)


def _minors(view: View) -> Floats:
    return view.sum(view.age < view.plan.adult_age)


def _earners(view: View) -> Floats:
    return view.sum(view.earnings > 0)


def _generations(view: View) -> Bools:
    apart = view.extreme(view.age) - view.extreme(view.age, largest=False)
    return np.asarray((apart > GENERATIONS) & (view.size > 2))


def _equivalised(view: View) -> Floats:
    """Log of 1 plus earnings over the root of the size."""
    return np.log1p(np.maximum(view.sum(view.earnings) / np.sqrt(np.maximum(view.size, 1)), 0))


def _largest_share(view: View) -> Floats:
    total = view.sum(view.earnings)
    largest = view.extreme(view.earnings)
    return np.nan_to_num(np.divide(largest, total, out=np.zeros(view.n), where=total > 0))


STATISTICS: dict[str, Statistic] = {
    "one person": lambda view: view.size == 1,
    "couple without minors": lambda view: (view.partner >= 0) & (_minors(view) == 0),
    "couple with minors": lambda view: (view.partner >= 0) & (_minors(view) > 0),
    "lone parent": lambda view: (view.partner < 0) & (_adults(view) == 1) & (_minors(view) > 0),
    "three generations": _generations,
    "two earners or more": lambda view: _earners(view) >= 2,
    "nobody earns": lambda view: _earners(view) == 0,
    "adults": _adults,
    "minors": _minors,
    "minors per adult": lambda view: _minors(view) / np.maximum(_adults(view), 1),
    "alone at 65 or more": lambda view: (view.size == 1) & (view.at(view.age, view.head) >= OLD),
    "log of equivalised earnings": _equivalised,
    "largest share of earnings": _largest_share,
}
