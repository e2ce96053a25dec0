"""``microplex reweight``: weights that meet official totals, from file to file."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from microplex.cli.console import check_output, console, plain_table, whole_file
from microplex.cli.formats import number

if TYPE_CHECKING:
    from rich.table import Table

    from microplex.frames import Frame
    from microplex.reweighter import Reweighter
    from microplex.targets import ReweightResult, TargetSet

TABLES, PICTURES = (".parquet", ".csv"), (".png", ".svg", ".pdf")
SHOWN = 10  # targets of the printed table
LONG = 1e10  # figures from here are written with an exponent
POPULATIONSIM = {"control_field", "expression"}  # columns of a PopulationSim controls.csv
WORDS = {
    "on_infeasible='relax'": "--relax",
    "sparsity is None": "--sparsity is not given",
    "sparsity 'l0' or 'l1'": "--sparsity l0 or l1",
    "frame: ": "survey: ",
    "frame id": "survey id",
    "the frame": "the survey",
}  # as the library says it, and as the command does
NAMES = "sparsity|method|n_records|integer|tolerance|bounds|protect|weight_col|id_col|persons|tax_units|crosswalk"
OPTION = re.compile(rf"\b({NAMES})=(?:'(\w+)')?|^({NAMES})(?= (?:needs|must))")


def reweight(
    survey: Annotated[Path, typer.Argument(help="Records that carry weights, .parquet or .csv.", metavar="SURVEY")],
    targets: Annotated[
        Path, typer.Option(help="Table with one row a target, or a PopulationSim folder.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="File to write: the survey with new weights.", show_default=False)],
    persons: Annotated[Path | None, typer.Option(help="Persons of the survey's households.")] = None,
    tax_units: Annotated[Path | None, typer.Option(help="Tax units of the survey's households.")] = None,
    id_col: Annotated[str, typer.Option(help="Key that ties persons and tax units to the survey.")] = "household_id",
    weight_col: Annotated[str, typer.Option(help="Column of base weights; it will hold the new ones.")] = "weight",
    equal_weights: Annotated[
        bool, typer.Option("--equal-weights", help="Start from equal weights; the column need not exist.")
    ] = False,
    crosswalk: Annotated[Path | None, typer.Option(help="Table of coarser areas for a column of the survey.")] = None,
    method: Annotated[
        Literal["raking", "linear", "logit"], typer.Option(help="Distance from the base weights.")
    ] = "raking",
    bounds: Annotated[
        tuple[float, float], typer.Option(metavar="LOW HIGH", help="Bounds of new weight / base weight.")
    ] = (0.0, float("inf")),
    sparsity: Annotated[
        Literal["l0", "l1", "l2"] | None,
        typer.Option(help="l0: few records; l1: few changed weights; l2: chi-square distance."),
    ] = None,
    n_records: Annotated[
        int | None, typer.Option(min=1, help="Records to keep, with --sparsity l0.", show_default="as few as found")
    ] = None,
    integer: Annotated[bool, typer.Option("--integer", help="Whole weights.")] = False,
    tolerance: Annotated[float, typer.Option(min=0, help="Relative error allowed for every target.")] = 0.0,
    relax: Annotated[
        bool, typer.Option("--relax", help="Where targets clash, compromise instead of writing nothing.")
    ] = False,
    protect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[=BAND]",
            help="Keep the weight of each category within 0.05 (or BAND) of itself when records are selected; "
            "repeatable.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of selection and rounding.")] = 0,
    plot: Annotated[Path | None, typer.Option(help="Picture of targets and ratios: .png, .svg or .pdf.")] = None,
    report: Annotated[Path | None, typer.Option(help="Table with a row a target, .parquet or .csv.")] = None,
    drop_zero: Annotated[bool, typer.Option("--drop-zero", help="Leave out records without weight.")] = False,
) -> None:
    """Find the weights nearest to those of a survey that meet official totals.

    Ends with status 1, names every clash and writes nothing when the targets cannot all be met.
    """
    tables = {"persons": persons, "tax_units": tax_units, "crosswalk": crosswalk}
    _check_files([survey, targets, *tables.values()], {"--out": out, "--plot": plot, "--report": report})
    start = time.perf_counter()

    from microplex.errors import ConvergenceWarning
    from microplex.frames import assign, keep_rows

    with _told(), console(stderr=True).status("Starting") as status:
        reweighter = _reweighter(
            sparsity=sparsity, method=method, bounds=bounds, tolerance=tolerance, n_records=n_records,
            integer=integer, on_infeasible="relax" if relax else "raise", protect=_bands(protect), seed=seed,
        )  # fmt: skip
        status.update(f"Reading {survey.name}")
        frame, given, more = _read(survey, targets, tables)
        status.update(f"Solving for {len(given):,} targets on {len(frame):,} records")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the summary says so
            reweighter.fit(frame, given, None if equal_weights else weight_col, id_col=id_col, **more)
        status.update(f"Writing {out.name}")
        weighted = assign(frame, {weight_col: reweighter.weights_})
        written = keep_rows(weighted, reweighter.weights_ != 0) if drop_zero else weighted
        _write(written, reweighter.result_, out, plot, report)
    _say(reweighter.result_, len(written), out, time.perf_counter() - start)


def targets_of(path: Path) -> TargetSet:
    """Read a table of targets, or the controls of PopulationSim: a folder or its controls.csv.

    Raises
    ------
    FileNotFoundError, DataError, ParameterError
        As `TargetSet.from_csv` and `TargetSet.from_populationsim`.

    Examples
    --------
    >>> targets_of(Path("missing.csv"))
    Traceback (most recent call last):
    FileNotFoundError: no file 'missing.csv'.
    """
    from microplex.frames import read_table
    from microplex.targets import TargetSet

    if path.is_dir():
        try:
            return TargetSet.from_populationsim(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{str(path)!r} is a folder, so it must be one of PopulationSim; {error}"
            ) from error
    table = read_table(path)
    return TargetSet.from_populationsim(path) if set(table.columns) >= POPULATIONSIM else TargetSet.from_frame(table)


def worst_table(result: ReweightResult) -> Table:
    """Return the targets missed most; where all are met, those that were furthest off before.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex import Reweighter
    >>> survey = pd.DataFrame({"state": ["CA", "NY"], "weight": [1.0, 1.0]})
    >>> worst_table(Reweighter().fit(survey, {"state": {"CA": 2, "NY": 1}}).result_).title
    'The 2 targets'
    """
    from microplex.calibration import MET

    diagnostics = result.diagnostics
    off = diagnostics["error"].abs() - diagnostics["tolerance"] > MET
    missed, rounded = bool(off.any()), bool((diagnostics["status"][off] == "rounded").all())
    before = abs(result.calibration.before[: len(diagnostics)])
    rows = result.worst(SHOWN) if missed else diagnostics.iloc[(-before).argsort(kind="stable")[:SHOWN]]
    some = f"{len(rows)} of {len(diagnostics):,} targets"
    which = "rounding moved most" if rounded else "are missed most"
    title = f"The {some} that {which if missed else 'were furthest off'}"
    table = plain_table(
        "target", "official", "before", "after", "error", "status",
        title=title if len(diagnostics) > SHOWN else f"The {len(diagnostics)} targets",
    )  # fmt: skip
    table.columns[-1].justify = "left"
    for row in rows.to_dict("records"):
        figures = (figure(row[name]) for name in ("target", "before", "after"))
        table.add_row(str(row["name"]), *figures, relative(row["error"]), str(row["status"]))
    return table


def figure(value: float) -> str:
    """Write a total with six digits or whole, with an exponent where it is long.

    Examples
    --------
    >>> figure(1_234_567.8), figure(4.512e12), figure(0.123)
    ('1,234,568', '4.512e+12', '0.123')
    """
    return number(value) if abs(value) < LONG else f"{value:.6g}"


def relative(error: float) -> str:
    """Write a relative error in percent, a small one with an exponent.

    Examples
    --------
    >>> relative(-0.0112), relative(2e-16), relative(0.0)
    ('-1.1%', '2e-16', '0')
    """
    if abs(error) >= 0.001:
        return f"{error:+.1%}" if abs(error) < 100 else f"{100 * error:+.1e}%"
    return f"{abs(error):.0e}" if error else "0"


def in_options(text: str) -> str:
    """Say in the words of the command line what the library says in its own.

    Examples
    --------
    >>> in_options("n_records needs sparsity='l0'; pass persons=, or on_infeasible='relax'.")
    '--n-records needs --sparsity l0; pass --persons, or --relax.'
    """
    for said, instead in WORDS.items():
        text = text.replace(said, instead)

    def option(found: re.Match[str]) -> str:
        name = (found[1] or found[3]).replace("_", "-")
        return f"--{name} {found[2]}" if found[2] else f"--{name}"

    return OPTION.sub(option, text)


@contextmanager
def _told() -> Iterator[None]:
    """Say errors in the words of the command line."""
    from microplex.errors import MicroplexError

    try:
        yield
    except MicroplexError as error:
        text, findings = in_options(str(error)), getattr(error, "findings", ())
        if findings:
            text = "the targets cannot all be met:\n- " + "\n- ".join(findings)
            text += "\nCorrect them, give tolerances, or accept the nearest weights with --relax."
        raise type(error)(text) from error


def _reweighter(**parameters: Any) -> Reweighter:
    """Return a reweighter; parameters that do not go together are a wrong call."""
    from microplex.errors import ParameterError
    from microplex.reweighter import Reweighter

    reweighter = Reweighter(**parameters)
    try:
        with _told():
            reweighter._check_parameters()
    except ParameterError as error:
        raise typer.BadParameter(str(error)) from error
    return reweighter


def _bands(protect: Sequence[str] | None) -> list[str] | dict[str, float] | None:
    """Read ``column`` and ``column=0.1``."""
    if not protect:
        return None
    bands = {}
    for entry in protect:
        name, _, band = entry.partition("=")
        try:
            bands[name.strip()] = float(band) if band else 0.05
        except ValueError:
            raise typer.BadParameter(
                f"{entry!r} must be a column, or a column and its band such as race=0.1.", param_hint="'--protect'"
            ) from None
    return bands


def _check_files(inputs: Sequence[Path | None], outputs: dict[str, Path | None]) -> None:
    """Refuse files that could not be written, and those that would replace one that is read."""
    taken = {path.resolve(): "is read by this command" for path in inputs if path is not None}
    for option, path in outputs.items():
        if path is None:
            continue
        check_output(path, PICTURES if option == "--plot" else TABLES, option)
        if (place := path.resolve()) in taken:
            raise typer.BadParameter(f"{str(path)!r} {taken[place]}; name another file.", param_hint=repr(option))
        taken[place] = "is written by this command already"
    if outputs.get("--plot") is not None:
        from importlib.util import find_spec

        if find_spec("matplotlib") is None:
            raise FileNotFoundError("--plot needs matplotlib: pip install 'microplex[plot]'.")


def _read(survey: Path, targets: Path, tables: dict[str, Path | None]) -> tuple[Frame, TargetSet, dict[str, Frame]]:
    from microplex.errors import MicroplexError
    from microplex.frames import column_names, read_table

    more = {name: read_table(path) for name, path in tables.items() if path is not None}
    frame = read_table(survey)
    try:
        given = targets_of(targets)
        _check_cells(given, [name for table in (frame, *more.values()) for name in column_names(table)])
    except MicroplexError as error:
        raise type(error)(f"{targets.name}: {error}") from error
    return frame, given, more


def _check_cells(targets: TargetSet, known: list[str]) -> None:
    """Refuse columns of the targets that no table has, such as one of comments."""
    from microplex.errors import ColumnNotFoundError, near_miss

    for name in dict.fromkeys(name for target in targets for name in target.by):
        if name.startswith("Unnamed: "):
            raise ColumnNotFoundError("a column has no name. Give it one, or write the file without its row numbers.")
        if name not in known:
            raise ColumnNotFoundError(
                f"column {name!r} is in no table that was given.{near_miss(name, known)} A column of persons or tax "
                "units needs --persons or --tax-units; remarks belong in a column 'notes'."
            )


def _write(written: Frame, result: ReweightResult, out: Path, plot: Path | None, report: Path | None) -> None:
    """Write all files or none."""
    from microplex.frames import write_table

    with ExitStack() as stack:
        files = [None if path is None else stack.enter_context(whole_file(path)) for path in (out, report, plot)]
        for file, table in zip(files, (written, result.diagnostics), strict=False):
            if file is not None:
                write_table(table, file)
        if files[-1] is not None:
            result.plot(files[-1])


def _say(result: ReweightResult, size: int, out: Path, seconds: float) -> None:
    screen = console()
    screen.print(worst_table(result))
    told = result.summary().splitlines()
    told, findings = told[: len(told) - len(result.findings)], result.findings
    screen.print("\n" + "\n".join(told), soft_wrap=True, markup=False)
    for line in findings:
        console(stderr=True).print(f"- {line}", style="yellow", soft_wrap=True, markup=False)
    screen.print(
        f"Wrote {size:,} records with their weights to {out} in {seconds:.1f} s.", soft_wrap=True, markup=False
    )
