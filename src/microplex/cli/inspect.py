"""``microplex inspect``: what the columns of a file are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microplex.cli.console import check_output, console, plain_table, split_names, whole_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from microplex.frames import ColumnData
    from microplex.schema import Column, Schema

    Floats = NDArray[np.float64]

SHOWN = 3  # point masses, levels and heaps named in a cell


def inspect_table(
    file: Annotated[Path, typer.Argument(help="Table to describe, .parquet or .csv.", show_default=False)],
    weight: Annotated[str | None, typer.Option(help="Column of survey weights.")] = None,
    id_col: Annotated[str, typer.Option(help="Columns of ids, separated by commas; they are left out.")] = "",
    yaml: Annotated[
        Path | None, typer.Option(help="File to write the schema to, for correction and synthesize --schema.")
    ] = None,
) -> None:
    """Show what each column of a file is: kind, point masses, grain, heaping, bounds, codes, missing share."""
    if yaml is not None:
        check_output(yaml, (".yaml", ".yml"))

    from microplex.frames import n_rows, read_column, read_table
    from microplex.schema import Schema

    frame = read_table(file)
    schema = Schema.infer(frame, weight=weight, ids=split_names(id_col))
    screen = console()
    screen.print(f"[bold]{file.name}[/]: {n_rows(frame):,} rows, {len(schema)} columns described\n", soft_wrap=True)
    for table in _tables(schema, {column.name: read_column(frame, column.name) for column in schema}):
        screen.print(table)
        screen.print()
    if weight is not None:
        screen.print(weight_table(weight, read_column(frame, weight)))
        screen.print()
    if yaml is not None:
        with whole_file(yaml) as temporary:
            schema.to_yaml(temporary)
        screen.print(f"Wrote the schema to {yaml}.", soft_wrap=True)


def _tables(schema: Schema, data: dict[str, ColumnData]) -> list[Table]:
    numbers = plain_table("numbers", "kind", "missing", "point masses", "grain", "bounds", left=6)
    levels = plain_table("categories", "kind", "missing", "levels", "most frequent")
    dates = plain_table("dates", "missing", "first", "last", left=1)
    levels.columns[1].justify = levels.columns[4].justify = "left"
    numbers.columns[2].justify = "right"
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
    """Point masses, grain and bounds of one numeric column, in words.

    Examples
    --------
    >>> import numpy as np
    >>> from microplex.frames import ColumnData
    >>> from microplex.schema import Column
    >>> column = Column("wage", "semicontinuous", "int", atoms=(0,), resolution=1, heaps=(1000,), lower=0)
    >>> values = np.array([0.0, 0.0, 1_000.0, 1_234.0])
    >>> number_cells(column, ColumnData("wage", "int", values, None, (), False))
    ('0 50%', '1; 1,000 50%', '>= 0')
    """
    import numpy as np

    assert read.values is not None
    values = read.values[~np.isnan(read.values)]
    if not len(values):
        return "", "", ""
    loose = values[~np.isin(values, [0.0, *column.atoms])]
    heaps = [f"{number(heap)} {share(_on_grid(loose, heap))}" for heap in column.heaps[:SHOWN]]
    grain = "continuous" if column.resolution is None else number(column.resolution)
    return _masses(column, values), "; ".join([grain, ", ".join(heaps)] if heaps else [grain]), _bounds(column, values)


def _masses(column: Column, values: Floats) -> str:
    import numpy as np

    distinct, counts = np.unique(values, return_counts=True)
    if column.kind == "count" and not column.atoms:
        top = int(np.argmax(counts))
        return f"{len(distinct):,} values, {number(distinct[top])} {share(counts[top] / len(values))}"
    shares = {atom: float(np.mean(values == atom)) for atom in (*column.atoms, *column.missing_codes)}
    first = sorted(shares, key=lambda atom: -shares[atom])[:SHOWN]
    more = f" and {len(shares) - SHOWN} more" if len(shares) > SHOWN else ""
    return ", ".join(f"{number(atom)} {share(shares[atom])}" for atom in first) + more


def _bounds(column: Column, values: Floats) -> str:
    low, high = column.lower, column.upper
    parts = []
    if low is not None and high is not None:
        parts.append(f"{number(low)} to {number(high)}")
    elif low is not None or high is not None:
        parts.append(f"<= {number(high)}" if high is not None else f">= {number(low or 0.0)}")
    for title, code in (("top code", column.top_code), ("bottom code", column.bottom_code)):
        if code is not None:
            parts.append(f"{title} {number(code)} {share(float((values == code).mean()))}")
    return ", ".join(parts) or "none"


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
    order = np.argsort(-counts, kind="stable")[:SHOWN]
    return ", ".join(f"{levels[place]} {share(counts[place] / max(counts.sum(), 1))}" for place in order)


def _ends(read: ColumnData) -> tuple[str, str]:
    import numpy as np

    assert read.values is not None
    known = read.values[~np.isnan(read.values)]
    if not len(known):
        return "", ""
    unit = "D" if read.dtype == "date" else "s"
    first, last = (str(np.datetime64(int(end), unit)) for end in (known.min(), known.max()))
    return first, last


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


def number(value: float) -> str:
    """Write a number with thousands separated, to six digits unless it is whole.

    Examples
    --------
    >>> number(25000.0), number(0.001), number(-1234.5678)
    ('25,000', '0.001', '-1,234.57')
    """
    whole = value == round(value) and abs(value) < 1e15
    return f"{value:,.0f}" if whole else f"{value:,.6g}"


def share(value: float, none: str = "0%") -> str:
    """Write a share in percent: two digits, and never 0 or 100 for what is not.

    Examples
    --------
    >>> share(0.4567), share(0.0123), share(0.00001), share(0.99999), share(0.0), share(1.0)
    ('46%', '1.2%', '<0.1%', '>99.9%', '0%', '100%')
    """
    if value in (0, 1):
        return none if value == 0 else "100%"
    if value < 0.001:
        return "<0.1%"
    if value > 0.999:
        return ">99.9%"
    return f"{100 * value:.1f}%" if value < 0.0995 or value > 0.9905 else f"{100 * value:.0f}%"
