"""The page that ``microplex fuse`` writes: coverage, what was learnt, what is assumed, provenance, evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microplex.report.markup import listing, paragraph, section, text

if TYPE_CHECKING:
    from microplex.fusion import MultiSourceFusion
    from microplex.fusion.provenance import ProvenanceSummary
    from microplex.metrics.fusion import FusionEvaluation

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "th,td{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #ddd}"
    "td{font-variant-numeric:tabular-nums}"
)


def page(model: MultiSourceFusion, provenance: ProvenanceSummary, judged: FusionEvaluation | None) -> str:
    """Return the page, one file that needs nothing else.

    Parameters
    ----------
    model : MultiSourceFusion
        Fitted.
    provenance : ProvenanceSummary
    judged : FusionEvaluation, optional

    Returns
    -------
    str
        HTML.
    """
    learnt = model.report_.to_frame().to_html(index=False, na_rep="", float_format=lambda x: f"{x:.3f}", border=0)
    assumed = [str(assumption) for assumption in model.assumptions_]
    none = paragraph("Nothing: some source observes every two variables together.")
    parts = [
        section("coverage", "Who observes what", model.coverage_.to_html()),
        section("learnt", "What was learnt from whom", learnt),
        section("assumed", "What is assumed", listing(assumed) if assumed else none),
        section("provenance", "Where the cells come from", provenance.to_html()),
    ]
    if judged is not None:
        parts.append(section("evaluation", "Against the holdout of each source", judged.to_html()))
    title = f"Fusion of {', '.join(model.sources_)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f"<style>{STYLE}</style></head><body><main><h1>{text(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )
