"""The page that ``microplex fuse`` writes: what was drawn, coverage, what is assumed, provenance, evaluation."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from microplex.errors import MicroplexError
from microplex.report.markup import figure, listing, number, paragraph, section, table, text

if TYPE_CHECKING:
    from microplex.cli.fuse_plan import FusePlan
    from microplex.fusion import Completed, Coverage, MultiSourceFusion
    from microplex.metrics.fusion import FusionEvaluation

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:1rem 0}caption{text-align:left;color:#555}"
    "th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #ddd}"
    "td{font-variant-numeric:tabular-nums}img{max-width:100%}figure{margin:1rem 0}"
    ".lead{font-size:1.15rem}.note{color:#555}"
)
PAIRS, ROWS, DRAWS = 12, 400, 100
NAMES = 8


def page(model: MultiSourceFusion, asked: FusePlan, done: Completed, judged: FusionEvaluation | None) -> str:
    """Return the page, one file that needs nothing else.

    Parameters
    ----------
    model : MultiSourceFusion
        Fitted.
    asked : FusePlan
    done : Completed
    judged : FusionEvaluation, optional

    Returns
    -------
    str
        HTML.
    """
    blocks = model.report_.to_frame().dropna(axis=1, how="all")
    learnt = blocks.to_html(index=False, na_rep="", float_format=lambda x: f"{x:.3f}", border=0)
    parts = [
        *(paragraph(line, "lead") for line in _headline(model, asked, done, judged)),
        section("coverage", "Who observes what", _picture(model.coverage_), model.coverage_.to_html()),
        section("apart", "Not observed together", _apart(model, asked, done.frame)),
        section("provenance", "Where the cells come from", done.provenance.summary().to_html()),
    ]
    if judged is not None:
        note = paragraph("Fused rows beside what fresh rows of the source score. All measures: evaluation.csv.", "note")
        parts.append(section("evaluation", "Against the holdout of each source", note, judged.to_html()))
    parts.append(section("learnt", "What was learnt from whom", learnt))
    title = f"Fusion of {', '.join(model.sources_)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f"<style>{STYLE}</style></head><body><main><h1>{text(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _headline(model: MultiSourceFusion, asked: FusePlan, done: Completed, judged: FusionEvaluation | None) -> list[str]:
    """Say in plain words what was fused, what was drawn and what is assumed."""
    sizes = zip(model.coverage_.sources, model.coverage_.rows, strict=True)
    sources = _few([f"{name} ({rows:,} rows)" for name, rows in sizes])
    n, summary = len(done.frame), done.provenance.summary()
    if isinstance(asked.recipient, Mapping):
        shares = {v: 1 - summary.share(v, "observed") for v in summary.columns}
        every = [v for v, share in shares.items() if share >= 1]
        some = [f"{v} ({share:.1%})" for v, share in shares.items() if 0 < share < 1]
        drawn = f"on all of them {_few(every)} {'was' if len(every) == 1 else 'were'} drawn" if every else ""
        partly = f"on some {_few(some)}" + ("" if every else f" {'was' if len(some) == 1 else 'were'} drawn")
        said = "; ".join(part for part in (drawn, partly if some else "") if part) or "nothing was missing"
        lines = [f"The {n:,} rows of {asked.recipient['file']} were completed from {sources}: {said}."]
    else:
        lines = [f"{n:,} new rows with all {len(model.schema_)} variables were drawn from {sources}."]
    count = sum(len(a.first) * len(a.second) for a in model.assumptions_)
    if not count:
        lines.append("Some source observes every two variables together, so that nothing had to be assumed.")
    else:
        pairs = "1 pair of variables is" if count == 1 else f"{count:,} pairs of variables are"
        told = "independence given the common variables" if not _associated(asked) else _association(asked)
        lines.append(f"{pairs} observed together by no source. How these go together is assumed, not learnt: {told}.")
    if judged is not None:
        worst = [
            f"{source} {record.value:.3f} (fresh rows {record.floor:.3f})"
            for source in judged.sources
            for record in judged.select(source, "c2st_auc")
            if record.defined
        ]
        if worst:
            lines.append(f"How well a classifier tells fused from real rows (0.5 is a coin): {_few(worst)}.")
    return [*lines, f"Seed {asked.seed}."]


def _associated(asked: FusePlan) -> bool:
    given = asked.pairs
    return any(given.values()) if isinstance(given, dict) else bool(given)


def _association(asked: FusePlan) -> str:
    given = asked.pairs
    if not isinstance(given, dict):
        return f"an association of {given:g} of all that is open"
    named = _few([f"{value:g} of {x} with {y}" for (x, y), value in given.items() if value])
    return f"an association of {named}, independence given the common variables of all others"


def _few(names: list[str]) -> str:
    shown = names[:NAMES]
    if len(names) > NAMES:
        return f"{', '.join(shown)} and {len(names) - NAMES} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part) if shown else "none"


def _picture(coverage: Coverage) -> str:
    """Return the picture of coverage as part of the page; nothing without matplotlib."""
    if find_spec("matplotlib") is None:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.png"
        coverage.plot(file)
        content = base64.b64encode(file.read_bytes()).decode("ascii")
    width = 2.0 + 1.1 * len(coverage.sources)
    caption = "The darker, the larger the share of rows observed; white: no such column."
    return figure(
        f'<img alt="Variables by sources; the table below says the same." style="width:{width:.1f}in" '
        f'src="data:image/png;base64,{content}">',
        text(caption),
    )


def _apart(model: MultiSourceFusion, asked: FusePlan, frame: Any) -> str:
    """Return what is assumed, and the bounds between which it could be."""
    assumed = model.report_.assumed(asked.pairs)
    if not assumed:
        return paragraph("Nothing: some source observes every two variables together.")
    pairs = [pair for a in model.assumptions_ for pair in product(a.first, a.second)]
    given = asked.pairs if isinstance(asked.pairs, dict) else {}
    named = {frozenset(pair) for pair, value in given.items() if value}
    pairs.sort(key=lambda pair: frozenset(pair) not in named)
    rows = [_bounded(model, frame, x, y, asked.seed) for x, y in pairs[:PAIRS]]
    note = (
        f"Bounds: what the sources leave open, from {DRAWS} draws for each of {min(ROWS, len(frame)):,} rows, and so "
        "slightly too narrow. Correlations are Pearson's; of two categories the mean width of the bounds of their "
        "cells is shown. Rows count equally."
    )
    if len(pairs) > PAIRS:
        note += f" {len(pairs) - PAIRS:,} more pairs are not shown; MultiSourceFusion.bounds has them."
    headers = ["x", "y", "lowest", "if independent", "highest", "fused rows", ""]
    return listing(assumed) + table("Correlations that no source tells", headers, rows) + paragraph(note, "note")


def _bounded(model: MultiSourceFusion, frame: Any, x: str, y: str, seed: int) -> list[str]:
    """Return the cells of a pair: its bounds, and its correlation in the fused rows."""
    from microplex.fusion import CorrelationBounds

    names = [text(x), text(y)]
    kinds = [model.schema_[name].is_numeric for name in (x, y)]
    if kinds[0] != kinds[1]:
        return [*names, "", "", "", "", "a number and a category: no bounds"]
    rows = np.unique(np.linspace(0, len(frame) - 1, min(ROWS, len(frame))).astype(np.int64))
    try:
        found = model.bounds(frame.iloc[rows], x, y, n_draws=DRAWS, seed=seed)
    except MicroplexError as error:
        return [*names, "", "", "", "", text(f"no bounds: {error}")]
    if not isinstance(found, CorrelationBounds):
        return [*names, "", "", "", "", text(f"two categories: mean width {number(found.width, 3)}")]
    drawn = frame[[x, y]].astype(float).corr().iloc[0, 1]
    return [*names, *(_two(value) for value in (found.lower, found.independent, found.upper, float(drawn))), ""]


def _two(value: float) -> str:
    return "not defined" if np.isnan(value) else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
