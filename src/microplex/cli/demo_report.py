"""The last page of the demo: the judgement as an HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from microplex.cli.console import console

if TYPE_CHECKING:
    import pandas as pd

    from microplex.entities import Population
    from microplex.metrics import Evaluation
    from microplex.metrics.households import HierarchyEvaluation
    from microplex.targets import ReweightResult

MAX_ROWS = 2_000  # that enter classifiers and searches for the closest record, so that the demo stays quick


def write_page(
    tables: dict[str, pd.DataFrame],
    conditions: Sequence[str],
    targets: Sequence[str],
    calibration: ReweightResult,
    households: tuple[HierarchyEvaluation, Population, Population],
    out: Path,
    seed: int,
) -> None:
    """Write ``report.html``, or say what is not installed.

    Parameters
    ----------
    tables : dict of str to DataFrame
        "survey", "real", "synthetic" and "fresh".
    conditions, targets : sequence of str
    calibration : ReweightResult
    households : tuple of (HierarchyEvaluation, Population, Population)
        Found; real and synthetic households.
    out : Path
    seed : int
    """
    if find_spec("matplotlib") is None or find_spec("sklearn") is None:
        console().print("No report: run pip install 'microplex[report]' for one.", markup=False)
        return
    from microplex.report import write_report

    write_report(
        out / "report.html",
        tables["real"],
        tables["synthetic"],
        list(conditions),
        list(targets),
        evaluation=_judged(tables, conditions, targets, seed),
        calibration=calibration,
        households=households,
        title="Adults and households of a simulated population",
        reproduce={"command": "microplex demo"},
        max_rows=MAX_ROWS,
        seed=seed,
    )


def _judged(
    tables: dict[str, pd.DataFrame], conditions: Sequence[str], targets: Sequence[str], seed: int
) -> Evaluation:
    """Measure against new households, with fresh ones as the floor; ask for copies of the survey's records."""
    from microplex.metrics import evaluate, pair
    from microplex.metrics.privacy import privacy_records

    found = evaluate(
        tables["real"],
        tables["synthetic"],
        list(conditions),
        list(targets),
        train=tables["fresh"],
        holdout=tables["real"],
        predictions=False,
        max_rows=MAX_ROWS,
        seed=seed,
    )
    columns = [*conditions, *targets]
    survey, fresh = (pair(tables[name], tables["synthetic"], columns) for name in ("survey", "fresh"))
    copies = privacy_records(survey, fresh, list(targets), max_rows=MAX_ROWS, seed=seed)
    kept = tuple(record for record in found.records if record.group != "privacy")
    notes = (
        "Floor: fresh households of the same population against the new households.",
        "Privacy: records of the survey against those of fresh households.",
    )
    return replace(found, records=(*kept, *copies), notes=(*notes, *found.notes[1:]))
