"""What was found about memory of training rows, in words and against what no memory would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from microplex.metrics import Record
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.privacy import privacy_verdict
from microplex.report.drawing import FAINT, INK, REAL, SYNTHETIC, clipped, picture
from microplex.report.markup import figure, listing, number, paragraph, section, text

_FAR = 6.0  # half widths of the interval from which a value is drawn at the edge


def privacy_section(evaluation: Evaluation) -> str:
    """Return what was found about memory of training rows."""
    records = evaluation.select("privacy")
    if not records:
        return section(
            "privacy",
            "Privacy",
            paragraph(
                "Not measured. Give the rows that the model was fitted to, and a holdout of the same survey that it "
                "never saw; without them nothing can be said about copies or memory.",
                "lead",
            ),
        )
    head, *lines, last = privacy_verdict(records).splitlines()
    rest = [line for line in lines if not line.startswith("- ")]
    points = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    tests = [record for record in records if record.defined and record.interval is not None]
    return section(
        "privacy",
        "Privacy",
        paragraph(head, "lead"),
        _tests(tests) if tests else "",
        listing(points),
        *(paragraph(line) for line in rest),
        paragraph(last, "note"),
    )


def _tests(records: Sequence[Record]) -> str:
    words = []
    for record in records:
        low, high = record.interval or (record.ideal, record.ideal)
        name = f"{record.measure} {', '.join(record.variables)}".strip()
        words.append(f"{name} {number(record.value, 3)}, without memory {number(low, 3)} to {number(high, 3)}")
    svg = picture(lambda f: _draw(f, records), 350, 50 + 22 * len(records), f"{'; '.join(words)}.", "privacy")
    caption = (
        "Band: where 95 % of values lie if nothing was memorised. A mark to the right of it is a sign of memory, "
        "one to the left is none. Chance alone puts 1 mark in 40 to the right."
    )
    return figure(svg, text(caption), "narrow")


def _draw(canvas: Any, records: Sequence[Record]) -> None:
    axes = canvas.subplots()
    for place, record in enumerate(records):
        low, high = record.interval or (record.ideal, record.ideal)
        half = max((high - low) / 2, 1e-12)
        at = float(np.clip((record.value - (low + high) / 2) / half, -_FAR, _FAR))
        axes.barh(place, 2, 0.6, left=-1, color=REAL)
        axes.plot(at, place, "D", color=SYNTHETIC, markersize=6)
        label = f"{100 * record.value:.2f}%" if abs(record.value) < 0.2 else f"{record.value:.3f}"
        label = label.replace("-", "\N{MINUS SIGN}")
        axes.annotate(
            label, (_FAR + 0.2, place), (4, 0), textcoords="offset points", va="center", fontsize=10, color=INK
        )
    names = [clipped(f"{record.measure} {', '.join(record.variables)}", 26) for record in records]
    axes.set_yticks(range(len(records)), names, fontsize=10)
    axes.set_ylim(len(records) - 0.4, -0.6)
    axes.set_xlim(-_FAR - 0.3, _FAR + 3.4)
    axes.set_xticks([-_FAR / 2, _FAR / 2], ["no memory", "memory"], fontsize=10)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
