"""``microplex inspect``: what the columns of a file are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microplex.cli.console import check_output, console, plain_table, split_names, whole_file
from microplex.cli.formats import number, share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from microplex.frames import ColumnData
    from microplex.schema import Column, Schema

    Floats = NDArray[np.float64]

DAY, NAME = 86_400.0, 32  # seconds; characters of a name
MASSES, HEAPS, LEVELS = 2, 2, 3  # named in a cell


def inspect_table(
    file: Annotated[Path, typer.Argument(help="Table to describe, .parquet or .csv.", metavar="FILE")],
    weight: Annotated[str | None, typer.Option(help="Column of survey weights.")] = None,
    id_col: Annotated[str, typer.Option(help="Columns of ids, separated by commas; they are left out.")] = "",
    yaml: Annotated[
        Path | None, typer.Option(help="File to write the schema to, for correction and synthesize --schema.")
    ] = None,
) -> None:
    """Show what each column of a file is: kind, point masses, grain, heaping, bounds, codes, missing share."""
    if yaml is not None:
        check_output(yaml, (".yaml", ".yml"), "--yaml")

    from rich.markup import escape

    from microplex.frames import n_rows, read_column, read_table
    from microplex.schema import Schema

    frame = read_table(file)
    schema = Schema.infer(frame, weight=weight, ids=split_names(id_col))
    tables = _tables(schema, {column.name: read_column(frame, column.name) for column in schema})
    if weight is not None:
        tables.append(weight_table(weight, read_column(frame, weight)))
    screen = console()
    screen.print(f"[bold]{escape(file.name)}[/]: {n_rows(frame):,} rows, {len(schema)} columns", soft_wrap=True)
    for table in tables:
        screen.print()
        screen.print(table)
    if yaml is not None:
        with whole_file(yaml) as temporary:
            schema.to_yaml(temporary)
        screen.print(f"\nWrote the schema to {yaml}.", soft_wrap=True, markup=False)


def _tables(schema: Schema, data: dict[str, ColumnData]) -> list[Table]:
    numbers = plain_table("numbers", "kind", "missing", "point masses", "grain, heaps", "bounds", left=6)
    levels = plain_table("categories", "kind", "missing", "levels", "most frequent")
    dates = plain_table("dates", "missing", "first", "last", left=1)
    levels.columns[1].justify = levels.columns[4].justify = "left"
    numbers.columns[2].justify = "right"
    numbers.columns[0].no_wrap, numbers.columns[0].max_width = True, NAME
    for column in schema:
        read = data[column.name]
        missing = share(float(read.missing.mean()), "")
        if column.kind == "date":
            dates.add_row(column.name, missing, *_ends(read))
        elif column.is_numeric:
            numbers.add_row(column.name, column.kind, missing, *number_cells(column, read))
        else:
            levels.add_row(column.name, column.kind, missing, str(len(column.levels)), _frequent(column, read))
    return [table for table in (numbers, levels, dates) if table.row_count]


def number_cells(column: Column, read: ColumnData) -> tuple[str, str, str]:
    r"""Point masses, grain and bounds of one numeric column, in words.

    Examples
    --------
    >>> import numpy as np
    >>> from microplex.frames import ColumnData
    >>> from microplex.schema import Column
    >>> column = Column("wage", "semicontinuous", "int", atoms=(0,), resolution=1, heaps=(1000,), lower=0)
    >>> values = np.array([0.0, 0.0, 1_000.0, 1_234.0])
    >>> number_cells(column, ColumnData("wage", "int", values, None, (), False))
    ('0 50%', '1\n1,000 50%', '>= 0')
    """
    import numpy as np

    assert read.values is not None
    values = read.values[~np.isnan(read.values)]
    if not len(values):
        return "", "", ""
    loose = values[~np.isin(values, [0.0, *column.atoms])]
    heaps = ", ".join(f"{number(heap)} {_on_grid(loose, heap):.0%}" for heap in column.heaps[:HEAPS])
    grain = "continuous" if column.resolution is None else number(column.resolution)
    return _masses(column, values), _lines(grain, heaps), _bounds(column, values)


def _masses(column: Column, values: Floats) -> str:
    import numpy as np

    distinct, counts = np.unique(values, return_counts=True)
    if column.kind == "count" and not column.atoms:
        top = int(np.argmax(counts))
        return f"{len(distinct):,} values\n{number(distinct[top])} {share(counts[top] / len(values))}"
    shares = {atom: float(np.mean(values == atom)) for atom in (*column.atoms, *column.missing_codes)}
    first = sorted(shares, key=lambda atom: -shares[atom])[:MASSES]
    more = f"and {len(shares) - MASSES} more" if len(shares) > MASSES else ""
    return _lines(", ".join(f"{number(atom)} {share(shares[atom])}" for atom in first), more)


def _bounds(column: Column, values: Floats) -> str:
    low, high = column.lower, column.upper
    if low is not None and high is not None:
        first = f"{number(low)} to {number(high)}"
    elif low is not None:
        first = f">= {number(low)}"
    else:
        first = "none" if high is None else f"<= {number(high)}"
    codes = (("bottom", column.bottom_code), ("top", column.top_code))
    shown = [f"{title} {share(float((values == code).mean()))}" for title, code in codes if code is not None]
    return _lines(first, *shown)


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _on_grid(values: Floats, grain: float) -> float:
    import numpy as np

    steps = values / grain
    return float(np.mean(np.abs(steps - np.rint(steps)) < 1e-6)) if len(values) else 0.0


def _frequent(column: Column, read: ColumnData) -> str:
    import numpy as np

    if read.codes is not None:
        present, levels = read.codes[read.codes >= 0], read.levels
        counts = np.bincount(present, minlength=len(levels))
    else:
        assert read.values is not None
        distinct, counts = np.unique(read.values[~np.isnan(read.values)], return_counts=True)
        levels = tuple(number(value) for value in distinct)
    order = np.argsort(-counts, kind="stable")[:LEVELS]
    return ", ".join(f"{levels[place]} {share(counts[place] / max(counts.sum(), 1))}" for place in order)


def _ends(read: ColumnData) -> tuple[str, str]:
    import numpy as np

    assert read.values is not None
    known = read.values[~np.isnan(read.values)]
    if not len(known):
        return "", ""
    is_days = read.dtype == "date"
    if not is_days and not (known % DAY).any():
        is_days, known = True, known / DAY
    ends = np.array([known.min(), known.max()]).astype(np.int64)
    first, last = ends.astype("datetime64[D]" if is_days else "datetime64[s]").astype(str)
    return str(first), str(last)


def weight_table(name: str, read: ColumnData) -> Table:
    """Size and spread of survey weights, with Kish's effective sample size and design effect.

    Examples
    --------
    >>> import numpy as np
    >>> from microplex.frames import ColumnData
    >>> weight_table("w", ColumnData("w", "float", np.array([3.0, 1.0]), None, (), False)).row_count
    8
    """
    import numpy as np

    from microplex._validation import check_weights
    from microplex.errors import DataError
    from microplex.survey import ess, kish_design_effect

    if read.values is None:
        raise DataError(f"weight column {name!r} must hold numbers, got {read.dtype} values.")
    w = check_weights(read.values, len(read.values), name)
    table = plain_table(f"weights ({name})", "")
    rows: Sequence[tuple[str, Any]] = (
        ("rows", f"{len(w):,}"),
        ("rows of weight 0", f"{int((w == 0).sum()):,}"),
        ("sum", number(w.sum())),
        ("smallest, not 0", number(w[w > 0].min())),
        ("median", number(float(np.median(w)))),
        ("largest", number(w.max())),
        ("effective sample size", f"{ess(w):,.0f} ({share(ess(w) / len(w))})"),
        ("Kish design effect", f"{kish_design_effect(w):.3f}"),
    )
    for row in rows:
        table.add_row(*row)
    return table
