"""Targets that no weights can meet, found before anything is solved and named all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex.errors import InfeasibleTargetsError
from microplex.targets.rows import Rows
from microplex.targets.target import Target

Floats = NDArray[np.float64]

_ROUNDING = 1e-9

_NEAR = 1e-12  # of a mean: this far beyond the records it is rounding


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the check needs to know."""

    targets: Sequence[Target]
    rows: Rows
    totals: Floats
    support: NDArray[np.int64]
    unknown: dict[int, str]


def check_duplicates(targets: Sequence[Target], entities: Sequence[str]) -> None:
    """Check that targets of one definition agree within their tolerances.

    Raises
    ------
    InfeasibleTargetsError
        They do not; all such pairs are named.
    """
    first: dict[tuple[object, ...], int] = {}
    clashes = []
    for j, (target, entity) in enumerate(zip(targets, entities, strict=True)):
        i = first.setdefault((entity, target.statistic, *target.key[2:]), j)
        other = targets[i]
        allowed = abs(other.value) * (other.tolerance + _ROUNDING) + abs(target.value) * (target.tolerance + _ROUNDING)
        if abs(target.value - other.value) > allowed:
            clashes.append(
                f"target {other.name!r} (number {i}) is {other.value:.10g} and target {target.name!r} (number {j}), "
                f"of the same definition, is {target.value:.10g}."
            )
    _refuse(clashes)


def raise_impossible(verdict: Verdict) -> None:
    """Check that each target has records that can meet it.

    Raises
    ------
    InfeasibleTargetsError
        Some have none; all are named with the reason.
    """
    low, high = _extremes(verdict.rows.design)
    problems = []
    for j, target in enumerate(verdict.targets):
        if verdict.support[j] == 0:
            problem = _no_support(verdict, j)
        elif target.statistic == "total":
            problem = _wrong_sign(target, low[j], high[j])
        else:
            cell = verdict.rows.support.indptr[j + 1] - verdict.rows.support.indptr[j]
            touched = verdict.rows.design.indptr[j + 1] - verdict.rows.design.indptr[j]
            near = _NEAR * abs(target.total)
            one_sided = target.statistic != "share" and cell == touched and (low[j] > near or high[j] < -near)
            side = "above" if (low[j] > 0) != (target.statistic == "quantile") else "at or below"
            problem = f"every one of its {cell} records lies {side} {target.total:.10g}." if one_sided else ""
        if problem:
            problems.append(f"target {target.name!r}: {problem}")
    _refuse(problems)


def _no_support(verdict: Verdict, j: int) -> str:
    target = verdict.targets[j]
    if target.value == 0 and target.statistic in ("total", "share"):
        return ""
    summed = target.variable is not None and target.statistic == "total"
    what = f"a nonzero {target.variable}" if summed else "a positive weight"
    reason = verdict.unknown.get(j, f"no record of it has {what}.")
    return f"{reason} Its figure is {target.total:.10g}."


def _wrong_sign(target: Target, low: float, high: float) -> str:
    what = target.variable or "count"
    if target.total < 0 <= low:
        return f"the total is negative ({target.total:.10g}), but no record has a negative {what}."
    if target.total > 0 >= high:
        return f"the total is positive ({target.total:.10g}), but no record has a positive {what}."
    return ""


def _extremes(design: sp.csr_array) -> tuple[Floats, Floats]:
    """Return the least and the largest coefficient of each row, 0 for empty rows."""
    filled = np.flatnonzero(np.diff(design.indptr))
    low, high = np.zeros(design.shape[0]), np.zeros(design.shape[0])
    if filled.size:
        starts = design.indptr[filled]
        low[filled] = np.minimum.reduceat(design.data, starts)
        high[filled] = np.maximum.reduceat(design.data, starts)
    return low, high


def _refuse(problems: list[str]) -> None:
    if len(problems) == 1:
        raise InfeasibleTargetsError(problems[0])
    if problems:
        raise InfeasibleTargetsError(f"{len(problems)} targets cannot be met:\n  " + "\n  ".join(problems))
