"""Rows of results as Markdown tables, and the bars that they are held to."""

import math
from collections.abc import Callable

Row = dict

COLUMNS: dict[str, list[tuple[str, str]]] = {
    "reference": [("off", "max rel. difference from R"), ("negative", "negative")],
    "dense": [("negative", "negative"), ("ess", "ESS"), ("kept", "records")],
    "sparse": [("kept", "records"), ("ess", "ESS"), ("ess_share", "ESS / records"), ("negative", "negative")],
    "whole": [
        ("sum_abs", "sum of abs. errors"),
        ("max_abs", "max abs. error"),
        ("whole", "whole"),
        ("kept", "records"),
    ],
    "clash": [
        ("square_rel", "sum of squares"),
        ("to_limit", "/ least possible"),
        ("negative", "negative"),
        ("ess", "ESS"),
    ],
}
COMMON = [("cpu_s", "CPU s"), ("ratio", "x microplex"), ("max_rel", "max rel. error"), ("mean_rel", "mean rel. error")]


def table(section: str, rows: list[Row]) -> str:
    """The rows of one section as Markdown; CPU seconds beside those of the first microplex row of the same problem."""
    columns = [*COMMON, *COLUMNS[section], ("rss_gb", "peak RSS GB"), ("note", "note")]
    head = ["problem", "method", *(title for _, title in columns)]
    lines = [f"| {' | '.join(head)} |", "|---|---|" + "---:|" * (len(columns) - 1) + "---|"]
    for row in rows:
        cells = [cell(name, value(row, name, rows)) for name, _ in columns]
        lines.append(f"| {' | '.join([row['problem'], row['method'], *cells])} |")
    return "\n".join(lines) + "\n"


def value(row: Row, name: str, rows: list[Row]) -> float | str | None:
    if name == "ratio":
        own = reference(row, rows)
        return row["cpu_s"] / own["cpu_s"] if own and row.get("cpu_s") and own.get("cpu_s") else None
    if name == "ess_share":
        return row["ess"] / row["kept"] if row.get("kept") else None
    if name == "to_limit":
        return row["square_rel"] / row["limit"] if row.get("square_rel") and row.get("limit") else None
    if name == "note":
        return row.get("failed") or row.get("extra", {}).get("note", "")
    return row.get(name)


def reference(row: Row, rows: list[Row]) -> Row | None:
    """The microplex row that others of the problem are compared with: for kept records the twin, else the first."""
    own = [other for other in rows if other["problem"] == row["problem"] and other["method"].startswith("microplex")]
    twins = [other for other in own if other["method"] == f"microplex as many as {row['method']}"]
    return (twins or own or [None])[0]


def cell(name: str, found: float | str | bool | None) -> str:
    if found is None or isinstance(found, str):
        return found or ""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if name in ("negative", "kept", "ess"):
        return f"{found:,.0f}"
    if name in ("max_rel", "mean_rel", "square_rel", "off"):
        return f"{found:.1e}" if found else "0"
    if name == "ratio":
        return f"{found:,.0f}" if found >= 10 else f"{found:.2g}"
    return f"{found:,.3f}" if abs(found) < 10 else f"{found:,.1f}"


def bars(rows: dict[str, list[Row]]) -> str:
    """Every bar whose rows are there: what was measured, and whether it is met."""
    lines = ["| bar | measured | met |", "|---|---|---|"]
    for text, judge in BARS:
        for found, met in judge(rows):
            lines.append(f"| {text} | {found} | {'yes' if met else 'NO'} |")
    return "\n".join(lines) + "\n"


Verdicts = list[tuple[str, bool]]


def _pick(rows: dict[str, list[Row]], section: str, problem: str, start: str) -> list[Row]:
    """Rows that ran to the end, of methods whose name starts so."""
    chosen = (row for row in rows.get(section, []) if row["problem"] == problem and row["method"].startswith(start))
    return [row for row in chosen if "max_rel" in row]


def _reference(rows: dict[str, list[Row]]) -> Verdicts:
    found = []
    for row in rows.get("reference", []):
        most = 1e-6 if "logit" in row["problem"] else 1e-8
        found.append(
            (f"{row['problem']}: {cell('off', row.get('off', row.get('failed')))}", row.get("off", math.inf) <= most)
        )
    return found


def _exact(rows: dict[str, list[Row]]) -> Verdicts:
    found = []
    for problem in ("population", "population_margins", "S", "Scat", "Mcat", "M", "CPS", "L"):
        for row in _pick(rows, "dense", problem, "microplex raking"):
            good = row["max_rel"] <= 1e-8 and row["negative"] == 0
            found.append((f"{problem}: {row['max_rel']:.1e}, {row['negative']} negative", good))
    return found


def _faster(section: str, problem: str, own: str, peer: str, times: float, error: float = 0.0) -> Callable:
    """Every such peer must take so many times the CPU seconds, at so many times the largest error."""

    def judge(rows: dict[str, list[Row]]) -> Verdicts:
        found = []
        for mine in _pick(rows, section, problem, own)[:1]:
            for row in _pick(rows, section, problem, peer):
                faster = row["cpu_s"] / max(mine["cpu_s"], 1e-9)
                closer = row["max_rel"] / max(mine["max_rel"], 1e-300)
                text = f"{row['method']}: {faster:,.0f} x the CPU, {closer:.0e} x the error"
                found.append((text, faster >= times and closer >= error))
        return found

    return judge


def _within(section: str, problem: str, own: str, **most: float) -> Callable:
    def judge(rows: dict[str, list[Row]]) -> Verdicts:
        found = []
        for row in _pick(rows, section, problem, own)[:1]:
            text = ", ".join(f"{name} {row[name]:.3g}" for name in most)
            found.append((text, all(row[name] <= limit for name, limit in most.items())))
        return found

    return judge


def _minimal(rows: dict[str, list[Row]]) -> Verdicts:
    found = []
    for problem in ("population", "S", "M"):
        for row in _pick(rows, "sparse", problem, "microplex minimal"):
            good = row["kept"] <= row["rank"] and row["max_rel"] <= 1e-8
            found.append((f"{problem}: {row['kept']:,} records, rank {row['rank']:,}, {row['max_rel']:.1e}", good))
    return found


def _records(rows: dict[str, list[Row]]) -> Verdicts:
    found = []
    for row in rows.get("sparse", []):
        if "n_records" in row and "max_rel" in row:
            share = row["ess"] / row["n_records"]
            text = f"{row['problem']} k = {row['n_records']:,}: error {row['max_rel']:.1e}, ESS {share:.2f} k"
            found.append((text, row["max_rel"] <= 1e-8 and share >= 0.9))
    return found


def _spread(rows: dict[str, list[Row]]) -> Verdicts:
    found = []
    for row in rows.get("sparse", []):
        twin = reference(row, rows["sparse"])
        # equal weights have an ESS of their number: where a peer's is above a third of it, none have three times that
        possible = row["method"].startswith("l0-python") and row.get("kept", 0) >= 3.3 * row.get("ess", 1)
        if possible and twin and "ess" in twin and "n_records" in twin:
            times = twin["ess"] / row["ess"]
            found.append((f"{row['problem']}, {row['kept']:,} records: ESS {times:.1f} x {row['method']}", times >= 3))
    return found


def _named(rows: dict[str, list[Row]]) -> Verdicts:
    found = []
    for row in _pick(rows, "clash", "M_infeasible", "microplex relaxed"):
        ratio, named = row["square_rel"] / row["limit"], row.get("extra", {}).get("contradictions", 0)
        found.append((f"{named} contradictions named, {ratio:.4f} of the least squares", named > 0 and ratio <= 1.01))
    return found


BARS: list[tuple[str, Callable[[dict[str, list[Row]]], Verdicts]]] = [
    ("R survey: weights equal to 1e-8 (bounded logit 1e-6)", _reference),
    ("max relative error <= 1e-8, no negative weight", _exact),
    (
        "M: >= 60 x less CPU than microcalibrate, error >= 1e5 x smaller",
        _faster("dense", "M", "microplex raking", "microcalibrate 500", 60, 1e5),
    ),
    (
        "M: >= 60 x less CPU than l0-python, error >= 1e5 x smaller",
        _faster("dense", "M", "microplex raking", "l0-python", 60, 1e5),
    ),
    ("Mcat: >= 50 x less CPU than balance's rake", _faster("dense", "Mcat", "microplex raking", "balance", 50)),
    ("Mcat: peak memory <= 1 GB", _within("dense", "Mcat", "microplex raking", rss_gb=1.0)),
    (
        "popsim_survey: >= 50 x less CPU than the list balancer",
        _faster("dense", "popsim_survey", "microplex raking", "PopulationSim", 50),
    ),
    ("popsim_survey: error <= 1e-6", _within("dense", "popsim_survey", "microplex raking", max_rel=1e-6)),
    ("whole weights: sum of absolute errors <= 20", _within("whole", "popsim_survey", "microplex", sum_abs=20.0)),
    (
        "whole weights: >= 10 x less CPU than the integerizer",
        _faster("whole", "popsim_survey", "microplex", "PopulationSim", 10),
    ),
    ("L: <= 15 CPU s, <= 2 GB", _within("dense", "L", "microplex raking", cpu_s=15.0, rss_gb=2.0)),
    ("minimal support: rank(design) records", _minimal),
    ("M: minimal support >= 3 x less CPU than HiGHS", _faster("sparse", "M", "microplex minimal", "HiGHS", 3)),
    ("n_records = k: error <= 1e-8, ESS >= 0.9 k", _records),
    ("at as many records, ESS >= 3 x l0-python's", _spread),
    ("M_infeasible: contradictions named, within 1 % of the least-squares limit", _named),
]


def finite(row: Row) -> Row:
    """A row that JSON can hold: what is not a finite number is left out."""
    return {k: v for k, v in row.items() if not (isinstance(v, float) and not math.isfinite(v))}
