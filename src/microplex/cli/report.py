"""``microplex report``: one HTML file that says and shows how synthetic rows compare with real ones."""

from __future__ import annotations

import hashlib
import shlex
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microplex.cli.console import check_output, console, split_names

if TYPE_CHECKING:
    from microplex.metrics.evaluation import Evaluation


def report(
    real: Annotated[Path, typer.Option(help="Real rows, best such as the model has not seen.", show_default=False)],
    synthetic: Annotated[Path, typer.Option(help="Synthetic rows.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write, .html.", show_default=False)],
    conditions: Annotated[str, typer.Option(help="Columns that were given, separated by commas.")] = "",
    targets: Annotated[
        str, typer.Option(help="Columns that were generated.", show_default="all others of the real table")
    ] = "",
    weights: Annotated[str | None, typer.Option(help="Column of survey weights.")] = None,
    train: Annotated[Path | None, typer.Option(help="Rows that the model was fitted to.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Real rows that it was not fitted to; needs --train.")] = None,
    sensitive: Annotated[str, typer.Option(help="Columns that an intruder would like to know; needs --train.")] = "",
    quasi_identifiers: Annotated[
        str, typer.Option(help="Columns by which people could be recognised; needs --train.")
    ] = "",
    calibration: Annotated[
        Path | None, typer.Option(help="Table of targets that microplex reweight --report has written.")
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the report.")] = "Synthetic against real data",
    date: Annotated[str | None, typer.Option(help="Date to print; none by default, so that files repeat.")] = None,
    max_rows: Annotated[int, typer.Option(min=100, help="Rows of each table for classifiers and distances.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of samples and folds.")] = 0,
) -> None:
    """Compare synthetic with real rows and write one HTML file that needs no network.

    Tables are .parquet or .csv. Every measure stands beside what fresh real rows score: training against holdout
    rows where both are given, two halves of the real table otherwise.
    """
    read = {
        "--real": real,
        "--synthetic": synthetic,
        "--train": train,
        "--holdout": holdout,
        "--calibration": calibration,
    }
    _check(out, read, {"--holdout": holdout, "--sensitive": sensitive, "--quasi-identifiers": quasi_identifiers})
    start = time.perf_counter()

    from microplex.frames import read_table
    from microplex.report import write_report

    options: dict[str, object] = {
        "--conditions": conditions,
        "--targets": targets,
        "--weights": weights,
        "--sensitive": sensitive,
    }
    options |= {"--quasi-identifiers": quasi_identifiers, "--title": title, "--max-rows": max_rows, "--seed": seed}
    options["--date"] = date
    facts: dict[str, object] = {"command": _command({**read, **options, "--out": out})}
    with console(stderr=True).status("Reading") as status, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        tables = {option: read_table(path) for option, path in read.items() if path is not None}
        facts |= {f"{path.name} (SHA-256)": _checksum(path) for path in read.values() if path is not None}
        status.update(
            f"Measuring {len(tables['--synthetic']):,} synthetic rows against {len(tables['--real']):,} real ones"
        )
        evaluation = write_report(
            out,
            tables["--real"],
            tables["--synthetic"],
            split_names(conditions),
            split_names(targets) or None,
            weights,
            tables.get("--train"),
            tables.get("--holdout"),
            calibration=tables.get("--calibration"),
            title=title,
            reproduce=facts | ({"date": date} if date else {}),
            sensitive=split_names(sensitive),
            quasi_identifiers=split_names(quasi_identifiers),
            max_rows=max_rows,
            seed=seed,
        )
    _say(evaluation, [str(found.message) for found in told], out, time.perf_counter() - start)


def _check(out: Path, read: dict[str, Path | None], of_training: dict[str, Any]) -> None:
    """Refuse what cannot be done before any work is."""
    from microplex.errors import MicroplexError

    check_output(out, (".html", ".htm"))
    for option, path in read.items():
        if path is not None and path.resolve() == out.resolve():
            raise typer.BadParameter(f"{str(out)!r} is read as {option}; name another file.", param_hint="'--out'")
    if read["--train"] is None:
        for option, value in of_training.items():
            if value:
                raise typer.BadParameter("needs the training rows: add --train.", param_hint=repr(option))
    missing = [
        name for name, module in (("matplotlib", "matplotlib"), ("scikit-learn", "sklearn")) if not find_spec(module)
    ]
    if missing:
        raise MicroplexError(f"a report needs {' and '.join(missing)}: pip install 'microplex[report]'.")


def _command(options: dict[str, object]) -> str:
    """Return the command that makes the same file."""
    defaults = {"--title": "Synthetic against real data", "--max-rows": 20_000, "--seed": 0}
    given = {name: value for name, value in options.items() if value not in (None, "") and value != defaults.get(name)}
    return "microplex report " + " ".join(f"{name} {shlex.quote(str(value))}" for name, value in given.items())


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say(evaluation: Evaluation, told: list[str], out: Path, seconds: float) -> None:
    from microplex.report.words import cautions, headline, judged, leads, sentences

    screen = console()
    for line in [*leads(evaluation), headline(judged(evaluation))]:
        screen.print(line, soft_wrap=True, markup=False)
    for line in sentences(evaluation):
        screen.print(f"- {line}", soft_wrap=True, markup=False)
    for line in dict.fromkeys([*cautions(evaluation), *told]):
        console(stderr=True).print(f"Warning: {line}", style="yellow", soft_wrap=True, markup=False)
    size = out.stat().st_size / 1e6
    screen.print(
        f"Wrote {len(evaluation.records):,} measures to {out} ({size:.1f} MB) in {seconds:.0f} s.",
        soft_wrap=True,
        markup=False,
    )
