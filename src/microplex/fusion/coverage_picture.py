"""A picture of which source observes which variable."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FULL, _EMPTY, _EDGE = (27, 108, 168), (226, 236, 244), "#c9ced6"


def draw_coverage(
    variables: Sequence[str],
    sources: Sequence[str],
    observed: NDArray[np.float64],
    structural: NDArray[np.float64],
    path: str | os.PathLike[str],
) -> None:
    """Draw a cell for each variable and source: the darker, the larger the share of rows observed.

    A cell without its column stays white; the part of the rows where there cannot be a value is hatched at its right.

    Parameters
    ----------
    variables, sources : sequence of str
    observed, structural : float64[n_variables, n_sources]
        As in `Coverage`.
    path : path

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError:
        raise ImportError('pictures need matplotlib: pip install "microplex[plot]".') from None
    figure = Figure(figsize=(2.0 + 1.1 * len(sources), 0.9 + 0.26 * len(variables)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for i, j in np.ndindex(observed.shape):
        share, never = float(observed[i, j]), float(structural[i, j])
        if np.isnan(share):
            axes.add_patch(Rectangle((j, i), 1, 1, facecolor="white", edgecolor=_EDGE, linewidth=0.5))
            continue
        colour = [(low + share * (high - low)) / 255 for low, high in zip(_EMPTY, _FULL, strict=True)]
        axes.add_patch(Rectangle((j, i), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8))
        if never > 0:
            hatched = Rectangle((j + 1 - never, i), never, 1, facecolor="white", edgecolor="#8a8f98", linewidth=0)
            hatched.set_hatch("///")
            axes.add_patch(hatched)
        if 0 < share < 1:
            axes.text(j + 0.06, i + 0.5, f"{share:.0%}", va="center", fontsize=7, color="w" if share > 0.5 else "k")
    axes.set(xlim=(0, len(sources)), ylim=(len(variables), 0))
    axes.set_xticks(np.arange(len(sources)) + 0.5, sources)
    axes.set_yticks(np.arange(len(variables)) + 0.5, variables, fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.savefig(path, dpi=150)
