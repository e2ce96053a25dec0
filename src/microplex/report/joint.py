"""Heat map of the differences of rank correlations, and the pairs that differ most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.metrics import Pair
from microplex.metrics.joint import correlation_matrix, ranks
from microplex.report.drawing import FAINT, HIGH, INK, LOW, clipped, picture
from microplex.report.markup import figure, number, paragraph, table, text

Floats = NDArray[np.float64]

MOST = 36  # variables of the heat map
_PAIRS = 10
_LONGEST = 18  # characters of a name
_STRONG = 0.3  # difference from which a square has its full colour
_FULL = 0.6  # opacity of full colour, so that the sign in it can be read
_WORDED = 0.05


def correlation_panel(both: Pair, names: Sequence[str]) -> str:
    """Return the heat map of the differences of Spearman correlations, synthetic less real, and the worst pairs.

    Parameters
    ----------
    both : Pair
    names : sequence of str
        Conditions and targets; only numbers take part.

    Returns
    -------
    str
        HTML.
    """
    numbers = [name for name in names if both[name].is_number]
    if len(numbers) < 2:
        return paragraph("Fewer than two numeric variables, so no correlations.", "note")
    real, synthetic = (_spearman(both, numbers, side) for side in ("real", "synthetic"))
    gaps = synthetic - real
    shown = _most_different(gaps, MOST)
    words = _worst(numbers, real, synthetic)
    left_out = len(numbers) - len(shown)
    n = len(shown)
    worst = f" Largest: {words[0][0]} with {words[0][1]}, {number(words[0][4], 2)}." if words else ""
    alt = f"Differences of the rank correlations of {n} variables, synthetic less real.{worst}"
    some = [numbers[i] for i in shown]
    room = 24 + 5.8 * max(len(clipped(name, _LONGEST)) for name in some)
    size = room + max(110.0, (24.0 if n <= 12 else 17.0) * n)
    svg = picture(lambda f: _heat_map(f, some, gaps[np.ix_(shown, shown)]), size, size, alt, "heat")
    note = "" if not left_out else f" {left_out} variables whose correlations differ least are left out."
    caption = (
        "Synthetic less real: orange is higher, blue lower. A filled square of full colour is a difference of 0.3 or "
        f"more; from 0.05 on its sign stands in it. Crossed: not defined, as a variable is constant.{note}"
    )
    rows = [[text(a), text(b), number(x, 3), number(y, 3), number(z, 3)] for a, b, x, y, z in words]
    headers = ("variable", "with", "real", "synthetic", "difference")
    pairs = table("The pairs that differ most", headers, rows, (2, 3, 4)) if rows else ""
    return f'<div class="beside">{figure(svg, text(caption), "heat")}{pairs}</div>'


def _spearman(both: Pair, names: Sequence[str], side: str) -> Floats:
    weights: Floats = getattr(both, f"{side}_weights")
    columns = [ranks(np.asarray(getattr(both[name], side), np.float64), weights) for name in names]
    return correlation_matrix(np.column_stack(columns), weights)


def _most_different(gaps: Floats, most: int) -> list[int]:
    if len(gaps) <= most:
        return list(range(len(gaps)))
    size = np.where(np.isnan(gaps), 0.0, np.abs(gaps))
    return sorted(int(i) for i in np.argsort(-size.max(axis=1), kind="stable")[:most])


def _worst(names: Sequence[str], real: Floats, synthetic: Floats) -> list[tuple[str, str, float, float, float]]:
    i, j = np.triu_indices(len(names), 1)
    gap = synthetic[i, j] - real[i, j]
    order = np.argsort(-np.where(np.isnan(gap), -1.0, np.abs(gap)), kind="stable")[:_PAIRS]
    return [
        (names[i[k]], names[j[k]], float(real[i[k], j[k]]), float(synthetic[i[k], j[k]]), float(gap[k]))
        for k in order
        if not np.isnan(gap[k])
    ]


def _heat_map(canvas: Any, names: Sequence[str], gaps: Floats) -> None:
    from matplotlib.patches import Rectangle

    axes = canvas.subplots()
    k = len(names)
    for i in range(k):
        for j in range(i):
            gap = gaps[i, j]
            if np.isnan(gap):
                axes.plot(j, i, "x", color=FAINT, markersize=5)
                continue
            strength = min(1.0, abs(gap) / _STRONG)
            colour = HIGH if gap > 0 else LOW
            if strength >= 0.02:
                axes.add_patch(
                    Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, facecolor=colour, alpha=round(_FULL * strength, 2))
                )
            if abs(gap) >= _WORDED:
                sign = "+" if gap > 0 else "\N{MINUS SIGN}"
                axes.text(j, i, sign, ha="center", va="center", fontsize=11, color=INK)
    for i in range(k):
        axes.plot([-0.5, i + 0.5], [i + 0.5] * 2, color=FAINT, lw=0.4)
        axes.plot([i - 0.5] * 2, [i - 0.5, k - 0.5], color=FAINT, lw=0.4)
    axes.set_xlim(-0.5, k - 1.5)
    axes.set_ylim(k - 0.5, 0.5)
    axes.set_yticks(range(1, k), [clipped(name, _LONGEST) for name in names[1:]], fontsize=10)
    axes.set_xticks(range(k - 1), [clipped(name, _LONGEST) for name in names[:-1]], fontsize=10, rotation=90)
    axes.tick_params(length=0)
    axes.set_aspect("equal")
    for side in axes.spines.values():
        side.set_visible(False)
