"""A picture of an evaluation: every measure beside its floor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from microplex.metrics.record import GROUPS, Record

if TYPE_CHECKING:
    from microplex.metrics.evaluation import Evaluation

_COLOURS = {"as real": "#1b6ca8", "near": "#c58a00", "off": "#c4442a"}
_SMALLEST = 1e-6


def draw_evaluation(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draw the distance from the ideal of each measure against that of its floor, a panel a group.

    Below the diagonal, synthetic rows are nearer to the real ones than fresh real rows are.

    Parameters
    ----------
    evaluation : Evaluation
    path : path-like

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('pictures need matplotlib: pip install "microplex[plot]".') from None
    shown: dict[str, list[tuple[Record, str]]] = {group: [] for group in GROUPS}
    for record, word in zip(evaluation.records, evaluation.verdicts, strict=True):
        if record.defined and not np.isnan(record.floor):
            shown[record.group].append((record, word))
    shown = {group: found for group, found in shown.items() if found}
    figure = Figure(figsize=(4.2 * max(1, len(shown)), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(ncols=max(1, len(shown)), squeeze=False)[0]
    for axes, (group, found) in zip(panels, shown.items(), strict=False):
        _draw_group(axes, group, [record for record, _ in found], [word for _, word in found])
    figure.savefig(path, dpi=150)


def _draw_group(axes: Any, group: str, records: list[Record], verdicts: list[str]) -> None:
    own = np.array([max(abs(r.value - r.ideal), _SMALLEST) for r in records])
    floor = np.array([max(abs(r.floor - r.ideal), _SMALLEST) for r in records])
    ends = [min(own.min(), floor.min()) * 0.7, max(own.max(), floor.max()) * 1.4]
    axes.plot(ends, ends, color="#8a8f98", linewidth=1)
    for word, colour in _COLOURS.items():
        chosen = np.array([found == word for found in verdicts])
        if chosen.any():
            axes.plot(floor[chosen], own[chosen], "o", color=colour, alpha=0.75, markersize=5, label=word)
    for i in np.argsort(-(own / floor))[:3]:
        name = f"{records[i].measure}: {', '.join(records[i].variables)}"[:34]
        axes.annotate(name, (floor[i], own[i]), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="fresh real rows", ylabel="synthetic rows", title=group)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
