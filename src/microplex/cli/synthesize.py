"""``microplex synthesize``: fit on one file, generate into another."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microplex.cli.console import check_output, console, split_names

if TYPE_CHECKING:
    from microplex.synthesizer import Synthesizer

TABLES = (".parquet", ".csv")


def synthesize(
    train: Annotated[Path, typer.Argument(help="Training rows, .parquet or .csv.", metavar="TRAIN")],
    targets: Annotated[str, typer.Option(help="Columns to generate, separated by commas.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write, .parquet or .csv.", show_default=False)],
    conditions: Annotated[str, typer.Option(help="Columns that are given; none for an unconditional law.")] = "",
    weight: Annotated[str | None, typer.Option(help="Column of survey weights.")] = None,
    conditions_from: Annotated[
        Path | None, typer.Option(help="Rows to generate for; those of the training file if omitted.")
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="Rows to generate, conditions included.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of fit and generation.")] = 0,
    save: Annotated[Path | None, typer.Option(help="Folder to save the model in.")] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help='What holds on every row, such as "a <= b" or "age < 15 -> wages == 0"; repeatable.'),
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Schema in YAML; see microplex inspect --yaml.")] = None,
    id_col: Annotated[
        str | None, typer.Option(help="Column of row ids: a row's draws then depend on its id, not on its place.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="by sample size")
    ] = None,
    orders: Annotated[
        int | None, typer.Option(min=0, help="Random orders of the targets to try.", show_default="by sample size")
    ] = None,
) -> None:
    """Fit on a file and write a synthetic one.

    Generates for the conditions of the training rows, for those of --conditions-from, or --n new rows whose
    conditions are generated too.
    """
    if n is not None and (conditions_from is not None or id_col is not None):
        raise typer.BadParameter("leave out --conditions-from and --id-col, or --n.", param_hint="'--n'")
    check_output(out, TABLES)
    given = split_names(conditions)

    from microplex._validation import check_columns
    from microplex.encoding.intake import keys_of
    from microplex.frames import column_names, n_rows, read_table, select, write_table
    from microplex.schema import Schema
    from microplex.storage import check_target
    from microplex.synthesizer import Synthesizer

    if save is not None:
        check_target(save, "Synthesizer")
    data = read_table(train)
    known = None if schema is None else Schema.from_yaml(schema)
    rows: Any = None
    if conditions_from is not None:
        rows = read_table(conditions_from)
    elif n is None and given:
        carried = [name for name in (weight, id_col) if name is not None and name not in given]
        check_columns(column_names(data), given, "condition")
        check_columns(column_names(data), carried, "weight or id")
        rows = select(data, [*carried, *given])
    if rows is not None:
        check_columns(column_names(rows), given, "condition")
        keys_of(rows, n_rows(rows), id_col, 0)
    synthesizer = Synthesizer(
        split_names(targets), given, constraint or None, schema=known, epochs=epochs, n_orders=orders,
        fit_conditions=n is not None, seed=seed,
    )  # fmt: skip
    start = time.perf_counter()
    synthesizer.fit(data, weight_col=weight)
    _print_fit(synthesizer, time.perf_counter() - start)
    if save is not None:
        synthesizer.save(save)
        console().print(f"Saved the model to {save}/.", soft_wrap=True, markup=False)
    size = n if rows is not None or n is not None else n_rows(data)
    synthetic = synthesizer.generate(rows, size, seed=seed, id_col=id_col)
    write_table(synthetic, out)
    generated = len(synthesizer.target_vars) + (len(given) if n is not None else 0)
    console().print(
        f"Wrote {len(synthetic):,} rows with {generated} generated columns to {out}.", soft_wrap=True, markup=False
    )


def _print_fit(synthesizer: Synthesizer, seconds: float) -> None:
    report, screen = synthesizer.report_, console()
    mixed = f", a mixture of {len(report.orders)} orders of the targets" if len(report.orders) > 1 else ""
    screen.print(f"Fitted {report.n_rows:,} rows in {seconds:.1f} s{mixed}.")
    if report.held_out_log_prob is not None:
        screen.print(f"Held-out log-likelihood {report.held_out_log_prob:.3f} nats a row.")
    if report.constraints:
        screen.print("Kept on every row:")
    for text in report.constraints:
        screen.print(f"  {text}", markup=False)
