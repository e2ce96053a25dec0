"""Panels of targets by the conditions: means and shares in the cells of the real and the synthetic table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.metrics import Pair
from microplex.metrics.cells import Cells, cell_means, condition_cells
from microplex.metrics.evaluation import Evaluation
from microplex.report.axes import MOMENTS, labels, moment_ticks, written
from microplex.report.drawing import FAINT, REAL, SYNTHETIC, clipped, percent, picture
from microplex.report.markup import figure, paragraph, text

Floats = NDArray[np.float64]

MOST = 18  # panels
_LONGEST = 20  # characters of a cell's label
_DRAWABLE = 1e300  # sums of larger means are infinite


@dataclass(frozen=True, eq=False)
class _Panel:
    """Real and synthetic figures of a target by cell."""

    target: str
    condition: str
    cells: tuple[str, ...]
    figures: tuple[tuple[str, Floats, Floats], ...]  # what it is, real, synthetic
    dtype: str = ""


def conditional_panel(
    both: Pair,
    conditions: Sequence[str],
    targets: Sequence[str],
    evaluation: Evaluation,
    dtypes: Mapping[str, str] | None = None,
) -> str:
    """Return panels of the targets by each condition, those furthest beyond their floor first.

    Parameters
    ----------
    both : Pair
    conditions, targets : sequence of str
    evaluation : Evaluation
        Gives the order.
    dtypes : mapping of str to str, optional
        Says which variables are dates.

    Returns
    -------
    str
        HTML.
    """
    if not conditions:
        return paragraph("No condition variables were named, so nothing was compared within cells.", "note")
    cells = {name: condition_cells(both, [name]) for name in conditions}
    pairs = [(target, name) for name in conditions if len(cells[name]) > 1 for target in targets]
    constant = [name for name in conditions if len(cells[name]) < 2]
    pairs.sort(key=lambda pair: -_beyond(evaluation, *pair))
    panels: list[_Panel] = []
    for target, name in pairs:
        panel = _panel(both, target, name, cells[name], (dtypes or {}).get(target, "")) if len(panels) < MOST else None
        panels += [panel] if panel else []
    drawn = "".join(_figure(panel, f"c{i}") for i, panel in enumerate(panels))
    words = f"{len(panels)} of {len(pairs)} pairs of target and condition, those furthest beyond their floor first. "
    words += "Round marks: real. Diamonds: synthetic. Cells are formed on the real table."
    if constant:
        words += f" Too few values to form cells: {', '.join(constant)}."
    return paragraph(words, "note") + f'<div class="cards small">{drawn}</div>'


def _beyond(evaluation: Evaluation, target: str, condition: str) -> float:
    """Return the largest distance beyond the floor of the measures of a target in the cells of a condition."""
    found = [r.excess for r in evaluation.select("conditional") if r.defined and r.variables == (target, condition)]
    return max((gap for gap in found if not np.isnan(gap)), default=-1.0)


def _panel(both: Pair, target: str, condition: str, cells: Cells, dtype: str) -> _Panel | None:
    variable = both[target]
    try:
        known = [both.known(target, side) for side in ("real", "synthetic")]
    except DataError:
        return None
    sides = []
    for (values, weights), side in zip(known, ("real", "synthetic"), strict=True):
        use = variable.present(side) & (getattr(both, f"{side}_weights") > 0)
        sides.append((values, getattr(cells, side)[use], weights))
    k = len(cells)

    def by_cell(what: Any) -> tuple[Floats, Floats]:
        found = [np.asarray(cell_means(what(values), cell, k, w), np.float64) for values, cell, w in sides]
        return found[0], found[1]

    if not variable.is_number:
        codes, weights = known[0]
        mode = int(np.bincount(np.asarray(codes, np.int64), weights=weights).argmax())
        shares = by_cell(lambda values: (values == mode).astype(np.float64))
        return _Panel(target, condition, cells.labels, ((f"share of {variable.levels[mode]}", *shares),))
    means = by_cell(lambda values: np.asarray(values, np.float64))
    if (np.abs(np.concatenate(means)) > _DRAWABLE).any():
        return None
    figures = [("mean", *means)]
    zero = by_cell(lambda values: (values == 0).astype(np.float64))
    if np.nanmax(np.concatenate(zero)) > 0 and dtype not in MOMENTS:
        figures.append(("share of zeros", *zero))
    return _Panel(target, condition, cells.labels, tuple(figures), dtype)


def _figure(panel: _Panel, prefix: str) -> str:
    parts = []
    for what, real, synthetic in panel.figures:
        write = percent if what.startswith("share") else partial(written, dtype=panel.dtype)
        cells = (
            f"{clipped(cell, 40)}: {_said(a, write)} real, {_said(b, write)} synthetic"
            for cell, a, b in zip(panel.cells, real, synthetic, strict=True)
        )
        parts.append(f"{what}; " + "; ".join(cells))
    alt = f"{panel.target} by {panel.condition}. " + ". ".join(parts) + "."
    svg = picture(lambda f: _draw(f, panel), 340, 62 + 21 * len(panel.cells), alt, prefix)
    head = f"<h3>{text(panel.target)} <span>by {text(panel.condition)}</span></h3>"
    return f'<article class="card">{head}{figure(svg)}</article>'


def _said(value: float, write: Any) -> str:
    return "no rows" if np.isnan(value) else str(write(value))


def _draw(canvas: Any, panel: _Panel) -> None:
    axes = canvas.subplots(ncols=len(panel.figures), squeeze=False, sharey=True)[0]
    place = np.arange(len(panel.cells))
    for own, (what, real, synthetic) in zip(axes, panel.figures, strict=True):
        own.hlines(place, np.minimum(real, synthetic), np.maximum(real, synthetic), color=FAINT, lw=1)
        own.plot(real, place, "o", color=REAL, markersize=10)
        own.plot(synthetic, place, "D", color=SYNTHETIC, markersize=4.5)
        own.set_title(clipped(what, 24), fontsize=10)
        own.set_ylim(len(place) - 0.5, -0.5)
        own.spines["left"].set_visible(False)
        own.tick_params(length=0)
        own.tick_params(axis="x", length=3, color=FAINT)
        ends = np.concatenate([real, synthetic])
        _ticks(own, ends[~np.isnan(ends)], "share" if what.startswith("share") else panel.dtype)
    names = [clipped(_without_name(cell, panel.condition), _LONGEST) for cell in panel.cells]
    axes[0].set_yticks(place, names, fontsize=10)


def _without_name(cell: str, condition: str) -> str:
    """Return the label of a cell without the name of its only condition."""
    return cell.replace(f" < {condition} <= ", " < … <= ").removeprefix(f"{condition} ").replace("<=", "≤")


def _ticks(axes: Any, values: Floats, dtype: str = "") -> None:
    if not len(values):
        axes.set_xticks([])
        return
    low, high = float(values.min()), float(values.max())
    pad = 0.1 * (high - low) or max(0.02, 0.1 * abs(high))
    axes.set_xlim(low - pad, high + pad)
    if dtype in MOMENTS:
        ticks, names = moment_ticks(low - pad, high + pad, dtype)
        axes.set_xticks(ticks, names, fontsize=10)
        return
    wide = high - low + 2 * pad
    ten = 10.0 ** np.floor(np.log10(wide))
    step = next(s * ten for s in (0.25, 0.5, 1, 2, 2.5) if wide / (s * ten) <= 4)  # two to four ticks
    ticks = [float(k) * step for k in range(math.ceil((low - pad) / step), math.floor((high + pad) / step) + 1)]
    axes.set_xticks(ticks, labels(ticks, share=dtype == "share"), fontsize=10)
