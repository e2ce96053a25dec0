"""What reweighting did: targets before and after, and the ratios of the weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError
from microplex.report.drawing import FAINT, REAL, SYNTHETIC, clipped, picture, short
from microplex.report.markup import figure, listing, number, paragraph, table, text
from microplex.targets import ReweightResult

Floats = NDArray[np.float64]

DRAWN = 25
LISTED = 200
COLUMNS = ("name", "target", "before", "after", "error", "status")
_LEAST = 1e-10  # relative errors below are drawn here
_BINS = 40


def calibration_panel(calibration: ReweightResult | pd.DataFrame) -> str:
    """Return the targets before and after, and the ratios of the weights where the result has them.

    Parameters
    ----------
    calibration : ReweightResult or DataFrame
        The result of a `Reweighter`, or its diagnostics, as `microplex reweight --report` writes them.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ColumnNotFoundError, DataError
        If a table lacks a column of the diagnostics, has no row, or holds no numbers where it should.

    Examples
    --------
    >>> targets = pd.DataFrame({"name": ["all"], "target": [10.0], "before": [8.0], "after": [10.0],
    ...                         "error": [0.0], "status": ["met"]})
    >>> "1 of 1 target is met" in calibration_panel(targets)
    True
    """
    if isinstance(calibration, ReweightResult):
        diagnostics, said = calibration.diagnostics, calibration.summary().splitlines()
        before = calibration.calibration.before[: len(diagnostics)]
    else:
        diagnostics = checked(calibration)
        said, before = _said(diagnostics), _relative(diagnostics)
    after = np.abs(diagnostics["error"].to_numpy(np.float64))
    order = np.lexsort((-np.abs(before), -np.where(after > 1e-6, after, 0.0)))
    head, *lines = said
    parts = [paragraph(head, "lead"), listing(line.removeprefix("- ") for line in lines)]
    parts.append(_errors(diagnostics, np.abs(before), after, order[:DRAWN]))
    if isinstance(calibration, ReweightResult):
        parts.append(_ratios(calibration))
    return f'{"".join(parts[:2])}<div class="beside">{"".join(parts[2:])}</div>{_listed(diagnostics, order)}'


def checked(diagnostics: pd.DataFrame) -> pd.DataFrame:
    """Return diagnostics whose columns are there and hold numbers.

    Raises
    ------
    ColumnNotFoundError, DataError
        See `calibration_panel`.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["a"], "target": [1.0], "before": [2.0], "after": [1.0], "error": [0.0]})
    >>> checked(table)
    Traceback (most recent call last):
    microplex.errors.ColumnNotFoundError: calibration column 'status' not in data. ...
    """
    check_columns([str(name) for name in diagnostics.columns], list(COLUMNS), "calibration")
    if not len(diagnostics):
        raise DataError("the table of calibration targets has no rows; at least one is needed.")
    for name in ("target", "before", "after", "error"):
        if not pd.api.types.is_numeric_dtype(diagnostics[name]):
            raise DataError(
                f"column {name!r} of the calibration targets must hold numbers; got {diagnostics[name].dtype}."
            )
    return diagnostics


def _said(diagnostics: pd.DataFrame) -> list[str]:
    counts = Counter(str(status) for status in diagnostics["status"])
    n, met = len(diagnostics), counts["met"]
    verb = "is" if met == 1 else "are"
    words = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    largest = float(diagnostics["error"].abs().max())
    return [
        f"{met:,} of {n:,} target{'s' if n > 1 else ''} {verb} met.",
        f"By status: {words}.",
        f"Largest relative error after: {largest:.2g}.",
        "The weights themselves were not given, so their ratios are not shown.",
    ]


def _relative(diagnostics: pd.DataFrame) -> Floats:
    """Return relative errors before; those of a target of 0 on the scale of its value before."""
    target, before = (diagnostics[name].to_numpy(np.float64) for name in ("target", "before"))
    scale = np.where(target != 0, np.abs(target), np.maximum(np.abs(before), 1e-300))
    return np.asarray((before - target) / scale)


def _errors(diagnostics: pd.DataFrame, before: Floats, after: Floats, order: NDArray[np.intp]) -> str:
    names = [str(name) for name in diagnostics["name"].iloc[order]]
    old, new = (np.maximum(errors[order], _LEAST) for errors in (before, after))
    many = f"the {len(order)} of {len(diagnostics):,} that are off most" if len(diagnostics) > DRAWN else "all"
    alt = (
        f"Relative errors of targets before and after, {many}. Before: up to {number(float(before.max()), 2)}. "
        f"After: up to {number(float(after.max()), 2)}."
    )
    svg = picture(lambda f: _draw_errors(f, names, old, new), 350, 60 + 17 * len(names), alt, "cal")
    return figure(svg, text(f"Relative error of targets: {many}. Round marks: before. Diamonds: after."))


def _draw_errors(canvas: Any, names: Sequence[str], old: Floats, new: Floats) -> None:
    axes = canvas.subplots()
    place = np.arange(len(names))
    axes.set_xscale("log")
    axes.hlines(place, np.minimum(old, new), np.maximum(old, new), color=FAINT, lw=0.8)
    axes.plot(old, place, "o", color=REAL, markersize=9)
    axes.plot(new, place, "D", color=SYNTHETIC, markersize=4.5)
    axes.set_yticks(place, [clipped(name, 26) for name in names], fontsize=10)
    axes.set_ylim(len(names) - 0.5, -0.5)
    low = float(np.log10(min(old.min(), new.min())))
    high = float(np.log10(max(old.max(), new.max())))
    powers = np.arange(np.floor(low), np.ceil(high) + 1, max(1, np.ceil((high - low) / 4)))
    axes.set_xticks(10.0**powers, [_power(int(p)) for p in powers], fontsize=10)
    axes.set_xlim(10 ** (low - 0.3), 10 ** (high + 0.3))
    axes.minorticks_off()
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", color=FAINT)


def _power(exponent: int) -> str:
    if 10.0**exponent <= _LEAST:
        return "0"
    return f"{10.0 ** (exponent + 2):g}%" if exponent >= -5 else f"1e\N{MINUS SIGN}{-exponent}"


def _ratios(result: ReweightResult) -> str:
    used = result.base > 0
    ratios = result.weights[used] / result.base[used]
    none = float((ratios == 0).mean())
    ratios = ratios[ratios > 0]
    if not len(ratios):
        return ""
    low, middle, high = (float(q) for q in np.quantile(ratios, [0.01, 0.5, 0.99]))
    words = f"Ratios of calibrated to base weights: 1 % are below {low:.3g}, half below {middle:.3g}, "
    words += f"99 % below {high:.3g}."
    words += f" {100 * none:.3g} % of the records have no weight left." if none else ""
    return figure(picture(lambda f: _draw_ratios(f, ratios), 350, 220, words, "ratio"), text(words))


def _draw_ratios(canvas: Any, ratios: Floats) -> None:
    axes = canvas.subplots()
    ends = float(ratios.min()), float(ratios.max())
    wide = ends[1] / ends[0] > 20
    if ends[1] - ends[0] < 1e-9 * ends[1]:
        ends = 0.9 * ends[0], 1.1 * ends[1]
    edges = np.geomspace(*ends, _BINS + 1) if wide else np.linspace(*ends, _BINS + 1)
    axes.stairs(np.histogram(ratios, edges)[0], edges, fill=True, color=SYNTHETIC)
    if wide:
        axes.set_xscale("log")
        powers = np.arange(np.ceil(np.log10(ends[0])), np.floor(np.log10(ends[1])) + 1)
        axes.set_xticks(10.0**powers, [short(10.0**p) for p in powers], fontsize=10)
        axes.minorticks_off()
    axes.axvline(1.0, color=FAINT, lw=1)
    axes.set_title("records, by ratio of new to old weight", fontsize=10)
    axes.tick_params(color=FAINT, labelsize=10)


def _listed(diagnostics: pd.DataFrame, order: NDArray[np.intp]) -> str:
    some = diagnostics.iloc[order[:LISTED]]
    rows = [
        [
            text(row["name"]),
            *(number(float(row[name]), 6) for name in ("target", "before", "after")),
            f"{float(row['error']):+.2%}" if abs(float(row["error"])) >= 1e-5 else "0",
            text(row["status"]),
        ]
        for row in some.to_dict("records")
    ]
    title = "Targets" if len(some) == len(diagnostics) else f"The {len(some)} of {len(diagnostics):,} targets off most"
    return table(title, ("target", "official", "before", "after", "error", "status"), rows, (1, 2, 3, 4))
