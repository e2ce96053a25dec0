"""One call for a report: measure, draw, and write one file that needs nothing else."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import TypeAlias

import pandas as pd

from microplex import __version__
from microplex.entities import Population
from microplex.errors import ParameterError
from microplex.frames import Frame, n_rows, read_column
from microplex.metrics import Pair, pair
from microplex.metrics.evaluate import evaluate
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.households import HierarchyEvaluation
from microplex.report.calibration import calibration_panel, checked
from microplex.report.conditional import conditional_panel
from microplex.report.hierarchy import hierarchy_section
from microplex.report.joint import correlation_panel
from microplex.report.margins import margin_cards
from microplex.report.markup import listing, paragraph, section, text
from microplex.report.measures import measures_table
from microplex.report.privacy import privacy_section
from microplex.report.words import verdict_section
from microplex.targets import ReweightResult

Households: TypeAlias = tuple[HierarchyEvaluation, Population, Population]
_TITLE = "Synthetic against real data"
_PACKAGES = {
    name: name.replace("scikit-learn", "sklearn") for name in ("numpy", "scipy", "pandas", "scikit-learn", "matplotlib")
}
_LEGEND = (
    '<ul class="legend" aria-label="Key">'
    '<li><i class="r" aria-hidden="true"></i>real (area, wide line, round mark)</li>'
    '<li><i class="s" aria-hidden="true"></i>synthetic (thin line, diamond)</li></ul>'
)


def write_report(
    path: str | os.PathLike[str],
    real: Frame,
    synthetic: Frame,
    condition_vars: Sequence[str] = (),
    target_vars: Sequence[str] | None = None,
    weight_col: str | None = None,
    train: Frame | None = None,
    holdout: Frame | None = None,
    *,
    evaluation: Evaluation | None = None,
    calibration: ReweightResult | pd.DataFrame | None = None,
    households: Households | None = None,
    title: str = _TITLE,
    reproduce: Mapping[str, object] | None = None,
    sensitive: Sequence[str] = (),
    quasi_identifiers: Sequence[str] = (),
    max_rows: int = 20_000,
    seed: int = 0,
) -> Evaluation:
    """Write a report of synthetic against real data: one HTML file that needs no network.

    A verdict in words, all measures beside their floor, pictures of each target, correlations, the targets within
    cells of the conditions, privacy, calibration and how to reproduce it. The same arguments give the same file.

    Parameters
    ----------
    path : path-like
        HTML file; written whole or not at all.
    real, synthetic, condition_vars, target_vars, weight_col, train, holdout, sensitive, quasi_identifiers, max_rows
        See `microplex.metrics.evaluate.evaluate`.
    evaluation : Evaluation, optional
        Of the same tables, where there is one already; its conditions and targets are taken.
    calibration : ReweightResult or DataFrame, optional
        What a `Reweighter` found, or the table that `microplex reweight --report` writes.
    households : tuple of (HierarchyEvaluation, Population, Population), optional
        What `microplex.metrics.households.evaluate_hierarchy` found, and the real and the synthetic population.
    title : str
    reproduce : mapping of str to object, optional
        What to add to the versions and sizes of the last part: a command, a date, checksums of the tables.
    seed : int
        Of samples and folds; printed. Where an evaluation is given, say the one that it was made with.

    Returns
    -------
    Evaluation
        What the report shows.

    Raises
    ------
    ColumnNotFoundError, DataError, ParameterError
        As `evaluate`; or a holdout is given without training rows, or calibration targets lack a column.
    FileNotFoundError
        If the folder does not exist.
    PermissionError
        If it takes no files; before any work.
    ImportError
        If matplotlib or scikit-learn is not installed: ``pip install "microplex[report]"``.

    Examples
    --------
    >>> import numpy as np
    >>> draw = np.random.default_rng(0)
    >>> real = pd.DataFrame({"age": draw.integers(20, 60, 200), "wages": draw.lognormal(10, 1, 200)})
    >>> file = Path(tempfile.mkdtemp()) / "report.html"
    >>> evaluation = write_report(file, real, real.sample(frac=1.0, random_state=1), ["age"])
    >>> file.read_text(encoding="utf-8").splitlines()[0]
    '<!DOCTYPE html>'
    """
    file = Path(path)
    _check(file, evaluation)
    if holdout is not None and train is None:
        raise ParameterError("a holdout is compared with training rows; give train too, or leave out holdout.")
    if isinstance(calibration, pd.DataFrame):
        checked(calibration)
    own = evaluation is None
    if evaluation is None:
        evaluation = evaluate(
            real,
            synthetic,
            condition_vars,
            target_vars,
            weight_col,
            train,
            holdout,
            sensitive=sensitive,
            quasi_identifiers=quasi_identifiers,
            max_rows=max_rows,
            seed=seed,
        )
    conditions, targets = list(evaluation.condition_vars), list(evaluation.target_vars)
    both = pair(real, synthetic, [*conditions, *targets], weight_col)
    tables = {"training": train, "holdout": holdout}
    facts = _facts(evaluation, weight_col, seed, {name: table for name, table in tables.items() if table is not None})
    if own:
        facts |= {
            "sensitive": ", ".join(sensitive) or "none",
            "quasi-identifiers": ", ".join(quasi_identifiers) or "none",
            "rows for classifiers and distances": f"at most {max_rows:,}",
        }
    facts |= reproduce or {}
    dtypes = {name: read_column(real, name).dtype for name in both.names}
    _write_whole(file, page(title, evaluation, both, calibration, facts, dtypes, households))
    return evaluation


def page(
    title: str,
    evaluation: Evaluation,
    both: Pair,
    calibration: ReweightResult | pd.DataFrame | None,
    facts: Mapping[str, object],
    dtypes: Mapping[str, str] | None = None,
    households: Households | None = None,
) -> str:
    """Return the whole page.

    Parameters
    ----------
    title : str
    evaluation : Evaluation
    both : Pair
        The tables it is about.
    calibration : ReweightResult or DataFrame, optional
    facts : mapping of str to object
        Lines of the part about reproduction.
    dtypes : mapping of str to str, optional
        Of the variables; dates are written as such.
    households : tuple, optional
        As for `write_report`.

    Returns
    -------
    str
    """
    conditions, targets = list(evaluation.condition_vars), list(evaluation.target_vars)
    cards = margin_cards(both, targets, evaluation, dtypes)
    panels = conditional_panel(both, conditions, targets, evaluation, dtypes)
    parts = {
        "verdict": ("Verdict", verdict_section(evaluation, both)),
        "table": (
            "Measures",
            section("table", "Measures", *(paragraph(n, "note") for n in evaluation.notes), measures_table(evaluation)),
        ),
        "targets": (
            "Targets",
            section("targets", "Targets", _margins_note(), cards),
        ),
        "correlations": (
            "Correlations",
            section("correlations", "Correlations", correlation_panel(both, [*conditions, *targets])),
        ),
        "conditional": (
            "Conditions",
            section("conditional", "Within conditions", panels),
        ),
        "privacy": ("Privacy", privacy_section(evaluation)),
    }
    if households is not None:
        parts["households"] = ("Households", hierarchy_section(*households))
    if calibration is not None:
        parts["calibration"] = (
            "Calibration",
            section("calibration", "Calibration", calibration_panel(calibration)),
        )
    parts["reproduce"] = ("Reproduce", section("reproduce", "How to cite and reproduce", _reproduction(facts)))
    sizes = evaluation.sizes
    lead = f"{sizes.get('synthetic', 0):,} synthetic rows against {sizes.get('real', 0):,} real ones; {len(targets)} "
    lead += (
        f"target{'s' if len(targets) != 1 else ''}, {len(conditions)} condition{'s' if len(conditions) != 1 else ''}."
    )
    return Template(_resource("page.html")).substitute(
        title=text(title),
        lead=text(lead),
        links="".join(f'<li><a href="#{name}">{text(words)}</a></li>' for name, (words, _) in parts.items()),
        content="\n".join(content for _, content in parts.values()),
        style=_resource("style.css").strip(),
        script=_resource("script.js").strip(),
        generator=f"microplex {__version__}",
    )


def _check(file: Path, evaluation: Evaluation | None) -> None:
    needed = (
        {"matplotlib": "matplotlib"}
        if evaluation is not None
        else {"matplotlib": "matplotlib", "sklearn": "scikit-learn"}
    )
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise ImportError(f'a report needs {" and ".join(missing)}: pip install "microplex[report]".')
    if file.is_dir():
        raise IsADirectoryError(f"{str(file)!r} is a folder: name a file.")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to. Make it first.")
    if not os.access(file.parent, os.W_OK):
        raise PermissionError(f"the folder {str(file.parent)!r} does not take files: choose another one.")


def _margins_note() -> str:
    words = (
        "Left: bars are shares of zeros, missing and other exact values that many rows have; beside them the density "
        "of all other values, on a logarithmic axis where they span orders of magnitude. Right: the upper tail, the "
        "share of rows above each amount, both axes logarithmic. All are weighted. p50, p90 and p99 are quantiles of "
        "values that are not 0. Figures beside a bar: real, synthetic."
    )
    return _LEGEND + paragraph(words, "note")


def _facts(evaluation: Evaluation, weight_col: str | None, seed: int, more: Mapping[str, Frame]) -> dict[str, object]:
    sizes = evaluation.sizes | {name: n_rows(table) for name, table in more.items()}
    return {
        "microplex": __version__,
        "Python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES if find_spec(_PACKAGES[name])},
        "seed": seed,
        "rows": ", ".join(f"{name} {size:,}" for name, size in sizes.items()),
        "weights": weight_col or "none",
        "conditions": ", ".join(evaluation.condition_vars) or "none",
        "targets": ", ".join(evaluation.target_vars),
    }


def _reproduction(facts: Mapping[str, object]) -> str:
    cite = f"The microplex developers. microplex {__version__}: conditional synthesis of survey microdata. MIT licence."
    lines = "\n".join(f"{name}: {value}" for name, value in facts.items())
    return (
        paragraph(
            "Cite the software and its version, the data, and the settings below. The same tables, their rows in the "
            "same order, give the same figures again with these settings and versions."
        )
        + listing([cite])
        + f"<pre>{'<br>'.join(text(line) for line in lines.splitlines())}</pre>"
    )


def _resource(name: str) -> str:
    return files("microplex.report").joinpath(name).read_text(encoding="utf-8")


def _write_whole(file: Path, content: str) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        temporary = Path(folder) / file.name
        temporary.write_text(content, encoding="utf-8", newline="\n")
        os.replace(temporary, file)
