"""Small multiples: a real table against a synthetic one, variable by variable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from microplex.cli.comparison import level_shares
from microplex.cli.formats import share

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

REAL, SYNTHETIC = "#7fb2d9", "#c44e00"  # light blue as an area, vermilion as a line: apart to every eye, and in grey
INK, FAINT = "#222222", "#8a8a8a"
LEGEND = "Bars: shares of exact values and of levels. Beside them: density of all other values."
COLUMNS, BINS = 4, 60
SHORT = 200  # whole numbers up to here take a linear axis
MASS = 0.005  # share from which the smallest or largest value is drawn as a bar


def draw(
    real: pd.DataFrame, synthetic: pd.DataFrame, targets: Sequence[str], notes: Mapping[str, str], head: str, file: Path
) -> None:
    """Draw one panel a variable and write the picture.

    Bars are shares of exact values and of levels, the area and the line beside them the density of all other
    values, over a logarithmic axis where these span orders of magnitude.

    Parameters
    ----------
    real, synthetic : DataFrame
        Complete rows, any number of each.
    targets : sequence of str
        Variables, in the order of the panels.
    notes : mapping of str to str
        A line under the title of a variable's panel.
    head : str
        Title of the picture.
    file : Path
        PNG to write.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> table = pd.DataFrame({"wages": [0.0, 0.0, 900.0, 1200.0], "job": ["a", "b", "a", "a"]})
    >>> file = Path(tempfile.mkdtemp()) / "picture.png"
    >>> draw(table, table, ["wages", "job"], {}, "Example", file)
    >>> file.read_bytes()[1:4]
    b'PNG'
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = math.ceil(len(targets) / COLUMNS)
    height = 1.0 + 2.5 * rows
    figure = Figure(figsize=(14, height), dpi=130, facecolor="white")
    grid = figure.add_gridspec(
        rows, COLUMNS, left=0.02, right=0.985, top=1 - 1.2 / height, bottom=0.35 / height, wspace=0.14, hspace=0.62
    )
    for place, name in enumerate(targets):
        cell = grid[place // COLUMNS, place % COLUMNS]
        if real[name].dtype.kind in "iuf":
            a, b = (table[name].to_numpy(np.float64) for table in (real, synthetic))
            left = _numbers(figure, cell, a, b)
        else:
            left = _levels(figure, cell, level_shares(real[name], None), level_shares(synthetic[name], None))
        left.set_title(name.replace("_", " "), loc="left", fontsize=11, fontweight="bold", color=INK, pad=17)
        note = notes.get(name, "")
        left.annotate(note, (0, 1), (0, 6), "axes fraction", "offset points", fontsize=8.5, color=FAINT)
    figure.text(0.02, 1 - 0.36 / height, head, fontsize=15, fontweight="bold", color=INK)
    figure.text(0.02, 1 - 0.62 / height, LEGEND, fontsize=9.5, color=FAINT)
    keys = [Patch(color=REAL, label="real"), Line2D([], [], color=SYNTHETIC, lw=1.8, label="synthetic")]
    figure.legend(
        handles=keys, loc="upper right", ncols=2, frameon=False, fontsize=12, bbox_to_anchor=(0.99, 1 - 0.08 / height)
    )
    figure.savefig(file, format="png")


def _numbers(figure: Any, cell: Any, real: Floats, synthetic: Floats) -> Any:
    """Draw bars of point masses (0 and the ends) beside the density of the rest."""
    ends = {float(end) for end in (real.min(), real.max()) if np.mean(real == end) > MASS}
    atoms = sorted(ends | ({0.0} if 0 in real or 0 in synthetic else set()))
    many = max(len(atoms), 1)
    inner = cell.subgridspec(1, 2, width_ratios=(0.17 * many, 1), wspace=0.08 / many)
    bars, area = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
    _bars(bars, {_money(at): (float(np.mean(real == at)), float(np.mean(synthetic == at))) for at in atoms})
    _density(area, *(x[~np.isin(x, atoms)] for x in (real, synthetic)))
    return bars


def _bars(axes: Any, shares: dict[str, tuple[float, float]]) -> None:
    _clear(axes)
    axes.set_ylim(0, 1.12)
    axes.set_xlim(-0.6, max(len(shares), 1) - 0.4)
    axes.set_xticks(range(len(shares)), list(shares), fontsize=8.5, color=INK)
    for place, (real, synthetic) in enumerate(shares.values()):
        axes.bar(place, real, 0.74, color=REAL)
        axes.plot([place - 0.46, place + 0.46], [synthetic] * 2, color=SYNTHETIC, lw=1.8, solid_capstyle="butt")
        above = max(real, synthetic)
        axes.annotate(
            share(real), (place, above), (0, 3), textcoords="offset points", ha="center", fontsize=8, color=INK
        )


def _density(axes: Any, real: Floats, synthetic: Floats) -> None:
    _clear(axes)
    if not len(real) or not len(synthetic):
        axes.set_xticks([])
        return
    scale = _Scale(real)
    edges = scale.edges(real)
    heights = [np.histogram(scale(x), edges)[0] / len(x) for x in (real, synthetic)]
    axes.stairs(heights[0], edges, fill=True, color=REAL)
    axes.stairs(heights[1], edges, color=SYNTHETIC, lw=1.3)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.08 * max(float(h.max()) for h in heights))
    ticks = scale.ticks(edges[0], edges[-1])
    axes.set_xticks(scale(ticks), [_money(tick) for tick in ticks], fontsize=8.5, color=INK)


class _Scale:
    """An axis: linear, logarithmic or, where values have both signs, logarithmic in both directions."""

    def __init__(self, values: Floats) -> None:
        size = np.abs(values)
        is_short = bool((values == np.rint(values)).all() and np.quantile(size, 0.99) <= SHORT)
        self.kind = "both" if (values < 0).any() else "linear" if is_short else "log"
        self.step = 10.0 ** math.floor(math.log10(np.quantile(size, 0.1)))
        self.bins = int(np.clip(1.5 * math.sqrt(len(values)), 12, BINS))

    def __call__(self, values: Any) -> Floats:
        x = np.asarray(values, np.float64)
        if self.kind == "both":
            return np.asarray(np.arcsinh(x / self.step / 2) / math.log(10))
        return np.log10(np.maximum(x, 1e-12)) if self.kind == "log" else x

    def edges(self, values: Floats) -> Floats:
        low, high = np.quantile(self(values), [0.001, 0.999])
        if self.kind == "linear":
            width = max(1, math.ceil((high - low) / self.bins))
            return np.arange(math.floor(low), math.ceil(high) + width + 1, width) - 0.5
        pad = 0.04 * max(high - low, 0.1)
        return np.linspace(low - pad, high + pad, self.bins + 1)

    def ticks(self, low: float, high: float) -> list[float]:
        """Round numbers that leave room for their labels, those first named first."""
        if self.kind == "linear":
            width = 10.0 ** math.floor(math.log10((high - low) / 2)) * 2
            wanted = [width * k for k in range(math.ceil(low / width), math.floor(high / width) + 1)]
        else:
            powers = [10.0**k for k in range(-6, 13)]
            halves = [factor * power for factor in (2, 5) for power in powers]
            wanted = powers + halves if self.kind == "log" else [0.0, *powers, *(-power for power in powers)]
        kept: list[float] = []
        for tick in wanted:
            near = [abs(float(self(tick) - self(other))) < 0.16 * (high - low) for other in kept]
            if low <= float(self(tick)) <= high and not any(near):
                kept.append(tick)
        return sorted(kept)


def _levels(figure: Any, cell: Any, real: pd.Series[float], synthetic: pd.Series[float]) -> Any:
    axes = figure.add_subplot(cell)
    _clear(axes)
    names = list(real.index)
    axes.barh(range(len(names)), real.to_numpy(), 0.66, color=REAL)
    for place, name in enumerate(names):
        value = float(synthetic.get(name, 0.0))
        axes.plot([value] * 2, [place - 0.42, place + 0.42], color=SYNTHETIC, lw=1.8, solid_capstyle="butt")
        edge = max(float(real[name]), value)
        axes.annotate(
            f"{str(name).replace('_', ' ')}  {share(float(real[name]))}",
            (edge, place), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=INK,
        )  # fmt: skip
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.5 * float(max(real.max(), synthetic.max())))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    return axes


def _clear(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(axis="x", length=3, color=FAINT)
    axes.set_yticks([])


def _money(value: float) -> str:
    size = abs(value)
    for unit, suffix in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if size >= unit:
            return f"{value / unit:.3g}{suffix}"
    return f"{value:g}"
