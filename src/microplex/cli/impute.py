"""``microplex impute``: one file with gaps in, several completed files out."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microplex.cli.console import check_folder, console, plain_table, split_names

if TYPE_CHECKING:
    import pandas as pd

    from microplex.imputation import Diagnostics

MODEL = "Imputer"
SUFFIXES = ("parquet", "csv")
WRITTEN = re.compile(r"(imputed_\d+|masks)\.(parquet|csv)")


def impute(
    file: Annotated[Path, typer.Argument(help="Rows with gaps, .parquet or .csv.", metavar="FILE")],
    out: Annotated[Path, typer.Option(help="Folder to write the completed files to.", show_default=False)],
    m: Annotated[int, typer.Option("--m", min=1, help="Completed files.")] = 5,
    targets: Annotated[
        str,
        typer.Option(help="Columns to impute, separated by commas.", show_default="all but weight, ids and conditions"),
    ] = "",
    conditions: Annotated[
        str, typer.Option(help="Columns that are only read.", show_default="all others where --targets is given")
    ] = "",
    weight: Annotated[str | None, typer.Option(help="Column of survey weights.")] = None,
    structural: Annotated[
        list[str] | None,
        typer.Option(help='When a column does not apply: "wage: age < 15", or codes "rent: -1, -2"; repeatable.'),
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(help='What holds on every row, such as "a <= b"; repeatable.')
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="Schema in YAML; see microplex inspect --yaml.")] = None,
    id_col: Annotated[
        str | None, typer.Option(help="Column of row ids: a row's draws then depend on its id, not on its place.")
    ] = None,
    proper: Annotated[
        str, typer.Option(help="How the uncertainty of the fit enters: bootstrap, ensemble or none.")
    ] = "bootstrap",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="by sample size")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of fit and draws.")] = 0,
    kind: Annotated[str, typer.Option("--format", help="Kind of the files: parquet or csv.")] = "parquet",
    save: Annotated[Path | None, typer.Option(help="Folder to save the model in.")] = None,
) -> None:
    """Complete a file several times, for analysis by Rubin's rules.

    Writes imputed_1 to imputed_m, and masks: which cells were drawn.
    """
    if kind not in SUFFIXES:
        raise typer.BadParameter(f"{kind!r} must be parquet or csv.", param_hint="'--format'")
    rules = _rules(structural or [])
    _check_places(file, out, save)

    from microplex._validation import check_choice
    from microplex.frames import build_frame, read_table, write_table
    from microplex.imputation import Imputer
    from microplex.schema import Schema

    check_choice(proper, ("bootstrap", "ensemble", "none"), "--proper")
    data = read_table(file)
    known = None if schema is None else Schema.from_yaml(schema)
    names, read_only = split_names(targets), split_names(conditions)
    imputer = Imputer(
        names or None, read_only or None, m=m, structural=rules or None, constraints=constraint or None, schema=known,
        proper=None if proper == "none" else proper, epochs=epochs, seed=seed,
    )  # fmt: skip
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        imputer.fit(_without_ids(data, id_col, [*names, *read_only]), weight)
        done = imputer.transform(data, seed=seed, id_col=id_col)
    screen = console()
    screen.print(f"Completed {len(data):,} rows {m} times in {time.perf_counter() - start:.1f} s.")
    for note in dict.fromkeys([*(str(found.message) for found in told), *done.notes]):
        screen.print(f"Note: {note}", markup=False, soft_wrap=True)
    found = imputer.diagnostics(done)
    if found.variables:
        screen.print(_table(found))
    _clear(out)
    for place, table in enumerate(done, 1):
        write_table(table, out / f"imputed_{place}.{kind}")
    write_table(build_frame(dict(done.masks), data), out / f"masks.{kind}")
    if save is not None:
        imputer.save(save)
        screen.print(f"Saved the model to {save}/.", soft_wrap=True, markup=False)
    screen.print(f"Wrote {m} completed files and their masks to {out}/.", soft_wrap=True, markup=False)


def _check_places(file: Path, out: Path, save: Path | None) -> None:
    """Refuse folders that cannot be written, or that would cost what they hold, before any work is done."""
    from microplex.storage import check_target

    _check_folder(out)
    if out.resolve() in file.resolve().parents:
        raise typer.BadParameter(f"{str(file)!r} is read from that folder; name another.", param_hint="'--out'")
    if save is None:
        return
    folder, model = out.resolve(), save.resolve()
    if folder == model or folder in model.parents or model in folder.parents:
        raise typer.BadParameter("the model needs a folder of its own, outside --out.", param_hint="'--save'")
    check_target(save, MODEL)
    check_folder(save, MODEL, "--save")


def _without_ids(data: pd.DataFrame, id_col: str | None, named: Sequence[str]) -> pd.DataFrame:
    """The table without a column of row ids that has no role: it says nothing about its row."""
    if id_col is None:
        return data
    from microplex._validation import check_columns

    check_columns(list(data.columns), [id_col], "id")
    return data if id_col in named else data.drop(columns=id_col)


def _rules(texts: Sequence[str]) -> dict[str, str | list[float]]:
    """Rules by column, one each."""
    out: dict[str, str | list[float]] = {}
    for text in texts:
        name, rule = _rule(text)
        if name in out:
            raise typer.BadParameter(f"column {name!r} has two rules; join them in one.", param_hint="'--structural'")
        out[name] = rule
    return out


def _rule(text: str) -> tuple[str, str | list[float]]:
    """A column and its condition, or its codes."""
    name, colon, rule = text.partition(":")
    if not colon or not name.strip() or not rule.strip():
        raise typer.BadParameter(f"{text!r} must read 'column: condition' or 'column: code, ...'.",
                                 param_hint="'--structural'")  # fmt: skip
    try:
        return name.strip(), [float(part) for part in rule.split(",")]
    except ValueError:
        return name.strip(), rule.strip()


def _check_folder(path: Path) -> None:
    """Refuse a folder that holds other things than an earlier run wrote, or that cannot be written to."""
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{str(path)!r} is a file: name a folder.")
    if path.is_dir():
        others = [p.name for p in path.iterdir() if not WRITTEN.fullmatch(p.name) or not p.is_file()]
        if others:
            raise FileExistsError(f"folder {str(path)!r} holds {others[0]!r}: name an empty one.")
    elif not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {str(path.parent)!r} to write {path.name!r} to. Make it first.")
    place = path if path.is_dir() else path.absolute().parent
    if not os.access(place, os.W_OK):
        raise PermissionError(f"folder {str(place)!r} cannot be written to: name another.")


def _clear(path: Path) -> None:
    """Make the folder, or empty it of what an earlier run wrote."""
    path.mkdir(exist_ok=True)
    for earlier in path.iterdir():
        if WRITTEN.fullmatch(earlier.name):
            earlier.unlink()


def _table(found: Diagnostics) -> object:
    table = plain_table("variable", "missing", "observed", "imputed", "between", "distance", "noise", title="Variables")
    for v in found.variables:
        cells = (f"{v.observed:.4g}", f"{v.imputed:.4g}", f"{v.between:.3g}", f"{v.distance:.3f}", f"{v.noise:.3f}")
        table.add_row(v.variable, f"{v.share_missing:.1%}", *cells)
    table.caption = "distance: between the laws of observed and drawn cells; noise: what chance alone would give"
    table.caption_justify = "left"
    return table
