"""Results as Markdown."""

import math

import pandas as pd

from benchmarks.synthesis.measures import CHECKS, ROWS
from benchmarks.synthesis.plan import METHODS

FAILED = "failed: "


def page(results: pd.DataFrame, sizes: dict[str, str], skipped: dict[str, str]) -> str:
    """All problems, each with its sizes; and those that were not there."""
    text = ""
    for problem, size in sizes.items():
        own = results[results["problem"] == problem]
        failed = own[own["measure"].str.startswith(FAILED)]
        reasons = dict(zip(failed["method"], failed["measure"].str.removeprefix(FAILED), strict=True))
        measured = own[~own["measure"].str.startswith(FAILED)]
        parts = [f"## {problem}", size + ".", table(measured), notes(measured, reasons), checks(measured)]
        text += "\n\n".join(part.strip() for part in parts if part) + "\n\n"
    return text + "".join(f"{problem}: skipped, {reason}.\n" for problem, reason in skipped.items())


def table(results: pd.DataFrame) -> str:
    """One problem: a row a measure, a column a method, the mean of the seeds."""
    if results.empty:
        return ""
    found = means(results)
    methods = [method.name for method in METHODS if method.name in found]
    lines = [f"| | {' | '.join(methods)} |", "|---|" + "---:|" * len(methods)]
    for row in ROWS:
        cells = [number(found[method].get(row.key, math.nan)) for method in methods]
        if any(cells):
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def checks(results: pd.DataFrame) -> str:
    """Whether the null methods lose where they should; nothing if they or the floor did not run."""
    found, lines = means(results) if len(results) else {}, []
    for text, judged in CHECKS:
        if text.split(":")[0] in found and "floor" in found:
            measured, met = judged(found)
            lines.append(f"| {text} | {measured} | {'yes' if met else 'NO'} |")
    return "\n".join(["| null method | measured | as it should |", "|---|---|---|", *lines, ""]) if lines else ""


def means(results: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Mean over the seeds, by method and measure."""
    table = results.pivot_table(index="measure", columns="method", values="value", sort=False)
    return {method: table[method].dropna().to_dict() for method in dict.fromkeys(results["method"])}


def notes(results: pd.DataFrame, failed: dict[str, str]) -> str:
    """What each method is, and why one is not there."""
    seeds = results.groupby("method", sort=False)["seed"].unique()
    lines = []
    for method in METHODS:
        if method.name in failed:
            lines.append(f"- {method.name}: no figures, {failed[method.name]}")
        elif method.name in seeds:
            given = ", ".join(map(str, sorted(seeds[method.name])))
            lines.append(f"- {method.name}: {method.note}; seed{'s' if ',' in given else ''} {given}")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    if math.isnan(value):
        return ""
    if abs(value) >= 1_000:
        return f"{float(f'{value:.2g}'):,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.4f}"
