"""Comparisons as tables to read and as one to compute with."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd

from microplex.cli.console import plain_table
from microplex.cli.formats import number, share

if TYPE_CHECKING:
    from rich.table import Table

    from microplex.cli.comparison import Comparison, Margin

MEASURES = {
    "ks": "KS distance, mean of variables",
    "zero_error": "share of zeros, mean error",
    "level_error": "categories, total variation",
    "spearman_error": "Spearman correlations, RMS error",
    "zero_pair_error": "joint zero pattern, mean error",
}


def margins_table(found: dict[str, Comparison]) -> Table:
    """Each numeric variable in every table, one below the other; the first is the real one.

    Examples
    --------
    >>> from microplex.cli.comparison import compare
    >>> table = pd.DataFrame({"a": [0.0, 1.0]})
    >>> margins_table({"real": compare(table, table, ["a"])}).row_count
    1
    """
    headers = ("variable", "table", "mean", "zero", "p50", "p90", "p99", "KS")
    table = plain_table(
        *headers, left=2, caption="p50, p90, p99: quantiles of values that are not 0", title="Variables"
    )
    table.caption_justify = "left"
    for place in range(len(next(iter(found.values())).margins)):
        for i, (name, comparison) in enumerate(found.items()):
            margin = comparison.margins[place]
            cells = _cells(margin, is_reference=i == 0)
            table.add_row(margin.variable if i == 0 else "", name, *cells, style="bold" if i == 1 else None)
        table.add_section()
    return table


def _cells(margin: Margin, is_reference: bool) -> tuple[str, ...]:
    quantiles = (number(round(x) if abs(x) >= 100 else x, 3) for x in (margin.p50, margin.p90, margin.p99))
    mean = f"{margin.mean:,.0f}" if abs(margin.mean) >= 100 else f"{margin.mean:.1f}"
    return mean, f"{100 * margin.zero_share:.1f}%", *quantiles, "" if is_reference else f"{margin.ks:.3f}"


def levels_table(found: dict[str, Comparison]) -> Table:
    """Share of every level in every table.

    Examples
    --------
    >>> from microplex.cli.comparison import compare
    >>> table = pd.DataFrame({"a": ["x", "y"]})
    >>> levels_table({"real": compare(table, table, ["a"])}).row_count
    2
    """
    table = plain_table("category", "level", *found, left=2)
    first = next(iter(found.values()))
    for variable, levels in first.levels.items():
        for i, level in enumerate(levels.index):
            shares = [share(float(comparison.levels[variable].get(level, 0.0))) for comparison in found.values()]
            table.add_row(variable if i == 0 else "", str(level), *shares)
    return table


def joint_table(found: dict[str, Comparison]) -> Table:
    """Distances over all variables, of each table but the real one.

    Examples
    --------
    >>> from microplex.cli.comparison import compare
    >>> table = pd.DataFrame({"a": [0.0, 1.0]})
    >>> joint_table({"real": compare(table, table, ["a"])}).row_count
    5
    """
    others = dict(list(found.items())[1:])
    table = plain_table("all variables, distance from real", *others)
    for measure, label in MEASURES.items():
        table.add_row(label, *(f"{getattr(comparison.joint, measure):.4f}" for comparison in others.values()))
    return table


def tidy(found: dict[str, Comparison]) -> pd.DataFrame:
    """One row a figure: variable, statistic, table, value; the variable ``(all)`` stands for all together.

    Examples
    --------
    >>> from microplex.cli.comparison import compare
    >>> table = pd.DataFrame({"a": [0.0, 1.0]})
    >>> tidy({"real": compare(table, table, ["a"])}).iloc[0].to_dict()
    {'variable': 'a', 'statistic': 'mean', 'table': 'real', 'value': 0.5}
    """
    rows: list[tuple[str, str, str, float]] = []
    for name, comparison in found.items():
        for margin in comparison.margins:
            figures = asdict(margin)
            variable = figures.pop("variable")
            rows += [(variable, statistic, name, value) for statistic, value in figures.items()]
        for variable, levels in comparison.levels.items():
            rows += [(variable, f"share of {level}", name, float(value)) for level, value in levels.items()]
        rows += [("(all)", statistic, name, value) for statistic, value in asdict(comparison.joint).items()]
    return pd.DataFrame(rows, columns=["variable", "statistic", "table", "value"])
