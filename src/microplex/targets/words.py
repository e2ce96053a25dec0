"""Contradictions in words: which published figures do not fit together, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microplex.calibration.presolve import Dependency
from microplex.targets.target import Target

_LISTED = 4


def describe_dependency(dependency: Dependency, targets: Sequence[Target]) -> str:
    """Return a sentence about a target that other targets imply.

    Parameters
    ----------
    dependency : Dependency
        From the presolve; rows are places in `targets`.
    targets : sequence of Target
        The targets of the design.

    Returns
    -------
    str
        Both sides with their figures and the gap in percent of the second.

    Examples
    --------
    >>> import numpy as np
    >>> targets = [Target(451, "wages"), Target(246, "wages", {"state": "CA"}), Target(200, "wages", {"state": "NY"})]
    >>> clash = Dependency(0, np.array([1, 2]), np.ones(2), 451.0, 446.0, 0.011, True)
    >>> describe_dependency(clash, targets)
    'nation wages 451 vs the sum of 2 states 446 (+1.1 %)'
    """
    own = targets[dependency.target]
    others = [targets[int(i)] for i in dependency.others]
    if any(target.statistic != "total" for target in (own, *others)):
        return _rows(dependency, own, others)
    signs = dependency.coefficients
    if not np.allclose(np.abs(signs), 1.0, rtol=1e-6):
        return _versus(_title(own), own.total, _combination(others, signs), dependency.implied)
    added = [target for target, sign in zip(others, signs, strict=True) if sign > 0]
    moved = [own, *(target for target, sign in zip(others, signs, strict=True) if sign < 0)]
    left, right = (sum(target.total for target in side) for side in (moved, added))
    if len(added) == 1 and len(moved) > 1:
        return _versus(_side(added, own), right, _side(moved, added[0]), left)
    return _versus(_side(moved, (added or [own])[0]), left, _side(added, own), right)


def _rows(dependency: Dependency, own: Target, others: Sequence[Target]) -> str:
    """Describe rows of which some are means, ratios, shares or quantiles, whose totals say nothing."""
    if len(others) == 1 and others[0].statistic == own.statistic and np.isclose(dependency.coefficients[0], 1.0):
        return _versus(_title(own), own.value, _title(others[0]), others[0].value)
    names = _combination(others, dependency.coefficients)
    return f"{_title(own)} {own.value:.6g} follows from {names}, and differs by {dependency.gap:+.2%} of its scale"


def _versus(left: str, a: float, right: str, b: float) -> str:
    if b == 0:
        gap = f"difference {_number(a - b, 3)}" if a else "equal"
    else:
        gap = f"{100 * (a - b) / abs(b):+.2g} %" if a != b else "equal"
    digits = next((k for k in range(3, 16) if _number(a, k) != _number(b, k)), 3)
    return f"{left} {_number(a, digits)} vs {right} {_number(b, digits)} ({gap})"


def _side(side: Sequence[Target], other: Target) -> str:
    """Name one side of an equation: a target, a sum over a margin, or a list."""
    if not side:
        return "nothing"
    if len(side) == 1:
        return _title(side[0])
    first = side[0]
    same = {(*_measure(target), tuple(target.by)) for target in side}
    if len(same) > 1:
        return _combination(side, np.ones(len(side)))
    fixed = {name: level for name, level in first.by.items() if all(t.by[name] == level for t in side)}
    names = [name for name in first.by if name not in fixed]
    cells = _plural(names[0]) if len(names) == 1 else "cells of " + " x ".join(names)
    text = f"the sum of {len(side)} {cells}"
    outside = [f"{name}={level}" for name, level in fixed.items() if other.by.get(name) != level]
    if _measure(first) != _measure(other):
        text += f" of {first.variable or first.entity or 'count'}" + (f" where {first.where}" if first.where else "")
    return text + (f" in {', '.join(outside)}" if outside else "")


def _combination(others: Sequence[Target], coefficients: NDArray[np.float64]) -> str:
    parts = []
    for target, c in list(zip(others, coefficients, strict=True))[:_LISTED]:
        size = "" if np.isclose(abs(c), 1.0) else f"{abs(c):.4g} x "
        parts.append(f"{'-' if c < 0 else '+'} {size}{_title(target)!r}")
    more = f" and {len(others) - _LISTED} more" if len(others) > _LISTED else ""
    return " ".join(parts).removeprefix("+ ") + more


def _title(target: Target) -> str:
    """Return the name of a target, or for a whole nation that of its variable."""
    whole = target.statistic == "total" and not target.by and target.where is None
    generated = target.name == (target.variable or target.entity or "count")
    return f"nation {target.name}" if whole and generated else target.name


def _measure(target: Target) -> tuple[str | None, ...]:
    """Return what is counted or summed; a count of no named unit is one of households."""
    counted = "households" if target.variable is None else None
    return target.variable, target.entity or counted, target.where


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") and word[-2:-1] not in "aeiou" else f"{word}s"


def _number(value: float, digits: int) -> str:
    """Return a number with some digits, in the form 4.51e12 where it is large or small."""
    if 1e-3 <= abs(value) < 1e10:
        return f"{float(f'{value:.{max(digits, 6)}g}'):,.15g}"
    text = f"{value:.{digits}g}"
    return text.replace("e+0", "e").replace("e+", "e")
