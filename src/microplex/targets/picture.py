"""Pictures of a calibration: targets before and after, ratios of the weights, records against spread."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.calibration import MET

if TYPE_CHECKING:
    from microplex.targets.outcome import ReweightResult

Floats = NDArray[np.float64]

LISTED = 30  # targets with a line of their own
FLOOR = 1e-17  # relative errors below are drawn here
_LONGEST = 44  # characters of a name
_BINS = 48
_WIDE = 20.0  # ratio of the largest to the smallest w / d from which the axis is logarithmic
_FEW = 0.005  # bars below this share of the highest get their records marked
# Of Okabe and Ito (2008), apart to every eye; shapes differ too.
_INK, _BEFORE, _AFTER, _MARK = "#222222", "#777777", "#0072b2", "#d55e00"


def draw_outcome(result: ReweightResult, path: str | os.PathLike[str]) -> None:
    """Draw the relative error of every target before and after, and the ratios w / d.

    Up to 30 targets have a line each, the worst on top. Of more, the 30 that are missed most have one, or were
    missed most before where all are met, and all are drawn as two distributions beside them.

    Parameters
    ----------
    result : ReweightResult
    path : path-like
        Of an image: png, svg or pdf.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from microplex import Reweighter
    >>> survey = pd.DataFrame({"state": ["CA", "NY"], "weight": [1.0, 1.0]})
    >>> file = Path(tempfile.mkdtemp()) / "calibration.png"
    >>> draw_outcome(Reweighter().fit(survey, {"state": {"CA": 2, "NY": 3}}).result_, file)
    >>> file.read_bytes()[1:4]
    b'PNG'
    """
    many = len(result.diagnostics)
    widths = [7.0, 4.5] if many <= LISTED else [7.0, 3.8, 3.8]
    height = max(4.2, 1.9 + 0.23 * min(many, LISTED))
    figure, panels = _figure(sum(widths), height, ncols=len(widths), width_ratios=widths)
    before = np.maximum(np.abs(result.calibration.before[:many]), FLOOR)
    after = np.maximum(result.diagnostics["error"].abs().to_numpy(), FLOOR)
    _draw_lines(panels[0], result, before, after)
    if many > LISTED:
        _draw_curves(panels[1], before, after)
    _draw_ratios(panels[-1], result)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, frameon=False)
    figure.suptitle(result.summary().splitlines()[0], x=0.01, ha="left", fontweight="bold", color=_INK)
    figure.savefig(path, dpi=150)


def draw_frontier(frontier: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Draw the effective sample size against the number of records kept.

    Parameters
    ----------
    frontier : DataFrame
        From `Reweighter.frontier`: columns n_records and ess.
    path : path-like
        Of an image: png, svg or pdf.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "frontier.svg"
    >>> draw_frontier(pd.DataFrame({"n_records": [10, 100], "ess": [8.0, 70.0]}), file)
    >>> "svg" in file.read_text()
    True
    """
    figure, axes = _figure(6.4, 4.8)
    kept, ess = frontier["n_records"].to_numpy(np.float64), frontier["ess"].to_numpy(np.float64)
    ends = [kept.min(), kept.max()]
    axes.plot(ends, ends, "--", color=_BEFORE, label="if all weights were equal")
    axes.plot(kept, ess, "o-", color=_AFTER, label="effective sample size")
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain_ticks(axes.xaxis, kept)
    _plain_ticks(axes.yaxis, np.append(kept, ess))
    axes.set_xlabel("records kept")
    axes.set_ylabel("effective sample size")
    axes.set_title("Fewer records that meet the same targets", loc="left", color=_INK, fontsize=10)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)


def _figure(width: float, height: float, **layout: Any) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'microplex[plot]'.") from None
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(**layout)
    for own in np.ravel(axes):
        own.spines[["top", "right"]].set_visible(False)
    return figure, axes


def listed(result: ReweightResult) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the targets to list, the worst last, and which of all are missed.

    Examples
    --------
    >>> from microplex import Reweighter
    >>> survey = pd.DataFrame({"state": ["CA", "NY"], "weight": [1.0, 1.0]})
    >>> order, missed = listed(Reweighter().fit(survey, {"state": {"CA": 2, "NY": 9}}).result_)
    >>> order.tolist(), missed.tolist()
    ([0, 1], [False, False])
    """
    table = result.diagnostics
    beyond = table["error"].abs().to_numpy() - table["tolerance"].to_numpy()
    late = beyond > MET
    missed = late & (table["status"] != "rounded").to_numpy()
    order = np.lexsort((np.abs(result.calibration.before[: len(table)]), np.where(late, beyond, 0.0), missed))
    return order[-LISTED:], missed


def _draw_lines(axes: Any, result: ReweightResult, before: Floats, after: Floats) -> None:
    order, missed = listed(result)
    place, late = np.arange(len(order)), missed[order]
    old, new = before[order], after[order]
    axes.hlines(place, np.minimum(old, new), np.maximum(old, new), color=_BEFORE, linewidth=0.8, alpha=0.6)
    axes.plot(old, place, "o", color=_BEFORE, markerfacecolor="white", markersize=8, label="base weights")
    axes.plot(new[~late], place[~late], "o", color=_AFTER, markersize=4.5, label="calibrated")
    if late.any():
        axes.plot(new[late], place[late], "D", color=_MARK, markersize=5.5, label="missed")
    allowed = result.diagnostics["tolerance"].to_numpy()[order]
    if (allowed > 0).any():
        some = allowed > 0
        axes.plot(allowed[some], place[some], "|", color=_INK, markersize=11, label="tolerance")
    axes.set_yticks(place, [_short(str(result.diagnostics["name"].iloc[i])) for i in order], fontsize=8.5)
    for label, is_late in zip(axes.get_yticklabels(), late, strict=True):
        label.set_color(_MARK if is_late else _INK)
    axes.set_ylim(-0.8, len(order) - 0.2)
    _error_axis(axes, np.concatenate([old, new, allowed[allowed > 0]]), 6)
    axes.set_title(
        _headline(len(order), missed, bool((result.diagnostics["status"] == "rounded").any())),
        loc="left",
        color=_INK,
        fontsize=10,
    )


def _headline(shown: int, missed: NDArray[np.bool_], rounded: bool) -> str:
    many, late = len(missed), int(missed.sum())
    if many <= LISTED:
        return f"{many} target{'s' if many > 1 else ''}" + (f", {late} missed" if late else "")
    if late:
        return f"{late:,} of {many:,} targets {'are' if late > 1 else 'is'} missed; the worst {shown}"
    return f"The {shown} of {many:,} targets that {'rounding moved most' if rounded else 'were furthest off'}"


def _draw_curves(axes: Any, before: Floats, after: Floats) -> None:
    share = np.arange(len(before) + 1) / len(before)
    for values, color, label in ((before, _BEFORE, "base weights"), (after, _AFTER, "calibrated")):
        ends = np.sort(values)
        axes.step(np.append(ends[0], ends), share, where="post", color=color, linewidth=2, label=label)
    axes.set_ylabel("share of targets with no larger error")
    axes.set_ylim(0, 1.03)
    _error_axis(axes, np.append(before, after), 4)
    axes.set_title(f"All {len(before):,} targets", loc="left", color=_INK, fontsize=10)


def _error_axis(axes: Any, drawn: Floats, most: int) -> None:
    """Give errors of any size a logarithmic axis with a few labels, which have room."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = max(FLOOR, float(drawn.min()) / 3), max(float(drawn.max()) * 3, 3e-2)
    first = np.ceil(np.log10(low) - 1e-9)
    decades = np.arange(first, np.floor(np.log10(high)) + 1)
    axes.set_xscale("log")
    axes.set_xlim(low / 2 if low == FLOOR else low, high)
    axes.xaxis.set_major_locator(FixedLocator([float(f"1e{k:.0f}") for k in decades[:: -(-len(decades) // most)]]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _error_label(float(value))))
    axes.set_xlabel("relative error")


def _error_label(value: float) -> str:
    if value <= FLOOR * 1.01:
        return "0"
    return f"{100 * value:,.3g}%" if value >= 9e-6 else f"$10^{{{round(np.log10(value))}}}$"


def _draw_ratios(axes: Any, result: ReweightResult) -> None:
    held = (result.base > 0) & (result.weights != 0)
    ratio = result.weights[held] / result.base[held]
    axes.set_xlabel("calibrated weight / base weight")
    axes.set_ylabel("records")
    empty, negative = int((~held).sum()), int((ratio < 0).sum())
    lines = [f"{len(ratio):,} records, effective size {result.calibration.ess:,.0f}"]
    if len(ratio):
        low, high = float(ratio.min()), float(ratio.max())
        lines.append(f"ratios {low:.3g} to {high:.3g}")
        is_log = low > 0 and high > _WIDE * low
        edges = np.geomspace(low * 0.99, high * 1.01, _BINS) if is_log else _edges(low, high)
        counts, _, bars = axes.hist(ratio, edges, color=_AFTER)
        for bar, left in zip(bars, edges[:-1], strict=True):
            bar.set_facecolor(_MARK if left < 0 else _AFTER)
        few = np.isin(np.searchsorted(edges, ratio, side="right") - 1, np.flatnonzero(counts < _FEW * counts.max()))
        if few.any():
            axes.plot(ratio[few], np.zeros(few.sum()), "|", color=_INK, markersize=6, clip_on=False)
        if is_log:
            axes.set_xscale("log")
            _plain_ticks(axes.xaxis, ratio)
        axes.axvline(1.0, color=_INK, linewidth=1, linestyle="--")
    if empty or negative:
        lines.append(
            ", ".join(
                f"{count:,} {what}" for count, what in ((empty, "without weight"), (negative, "negative")) if count
            )
        )
    axes.set_title("\n".join(lines), loc="left", fontsize=10, color=_INK)


def _edges(low: float, high: float) -> Floats:
    """Return edges of equal width, one of them at 0 where both signs occur."""
    width = max(high - low, 1e-3 * abs(high)) / _BINS
    return np.arange(np.floor(low / width) - 1, np.ceil(high / width) + 2) * width


def _plain_ticks(axis: Any, values: Floats) -> None:
    """Label a logarithmic axis by round numbers, at most six."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = float(values.min()), float(values.max())
    axis.set_major_locator(FixedLocator(round_numbers(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def round_numbers(low: float, high: float, most: int = 6) -> Sequence[float]:
    """Return 1, 2 and 5 times powers of ten between two positive numbers, thinned to a few.

    Examples
    --------
    >>> round_numbers(0.3, 40.0)
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    """
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [float(f"{digit}e{k}") for k in powers for digit in digits if low <= float(f"{digit}e{k}") <= high]
        if len(found) <= most:
            return found or [low]
    return found[:: -(-len(found) // most)]


def _short(name: str) -> str:
    """Cut the middle out of a long name; a dollar sign is no mathematics."""
    half = _LONGEST // 2
    text = name if len(name) <= _LONGEST else f"{name[:half]}…{name[-half + 1 :]}"
    return text.replace("$", r"\$")
