"""What the judgement of synthetic rows costs: CPU seconds and peak memory of each case, in a process of its own.

python -m benchmarks.metrics [--quick] [--out table.md]

`evaluate` measures persons of the embedded population, 6 conditions and 18 targets with survey weights: three tables of
the same number of rows (training, holdout and as synthetic ones), of different households, in one call with its noise
floor, classifiers, predictions and privacy. `nearest` finds the closest of 100,000 records for each of 100,000 others
in 20 of these columns. --quick takes 20,000 rows only. Making the tables is not timed; peak memory is that of the whole
process, tables included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks.calibration.problems import ROOT
from benchmarks.calibration.worker import peak_rss
from microplex import make_population
from microplex._random import generator
from microplex.metrics import evaluate
from microplex.metrics.neighbours import embed, nearest
from microplex.metrics.pair import pair

CONDITIONS = ["age", "sex", "marital", "education", "n_children", "state"]
TARGETS = ["relationship", "disabled", "employment", "hours", "wages", "self_employment", "interest", "dividends"]
TARGETS += ["qualified_dividends", "capital_gains", "pensions", "social_security", "unemployment_benefits", "rental"]
TARGETS += ["veterans_benefits", "disability_benefits", "ssi", "total_income"]
SIDES = ("train", "holdout", "synthetic")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
# CPU seconds and GB that a case may take.
BARS = {"evaluate 20,000": (60, 2), "evaluate 1,000,000": (600, 4), "nearest 100,000": (60, 1.5)}


def make(rows: int, folder: Path) -> None:
    """Write three tables of persons of different households, with weights of a design effect of about 1.3."""
    population = make_population(int(3 * rows / 2.3) + 500, seed=0)
    persons = population.view("persons", ["household_id", *CONDITIONS, *TARGETS])
    draw = generator(0, 1)
    side = draw.integers(0, 3, int(persons["household_id"].max()) + 1)[persons["household_id"]]
    for place, name in enumerate(SIDES):
        table = persons[side == place].drop(columns="household_id").iloc[:rows].reset_index(drop=True)
        if len(table) < rows:
            raise RuntimeError(f"only {len(table)} rows for {name}")
        table.assign(weight=draw.lognormal(5, 0.5, rows)).to_parquet(folder / f"{name}.parquet")


def measure(case: str, folder: Path) -> dict:
    """Run one case on the tables of a folder."""
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in SIDES}
    start, wall = time.process_time(), time.perf_counter()
    if case == "evaluate":
        done = evaluate(
            tables["holdout"], tables["synthetic"], CONDITIONS, TARGETS, "weight", tables["train"], tables["holdout"]
        )
        found = f"{len(done.records)} records, {done.verdicts.count('off')} off"
    else:
        both = pair(tables["train"], tables["synthetic"], [*CONDITIONS, *TARGETS][:20], "weight")
        real, synthetic = embed(both)
        found = f"median distance {pd.Series(nearest(synthetic, real)[0][:, 0]).median():.4g}"
    return {
        "cpu_s": time.process_time() - start,
        "wall_s": time.perf_counter() - wall,
        "rss_gb": peak_rss(),
        "found": found,
    }


def run(case: str, rows: int) -> dict:
    """Make the tables in one process, and measure in another."""
    own = os.environ | ONE_THREAD | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    with tempfile.TemporaryDirectory() as folder:
        for step in ("make", case):
            command = [sys.executable, "-m", "benchmarks.metrics", "--step", step, "--rows", str(rows), "--in", folder]
            done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{step} at {rows:,} rows failed: {done.stderr[-2000:]}")
        return {"case": f"{case} {rows:,}", **json.loads(done.stdout)}


def table(rows: list[dict]) -> str:
    """The figures beside their bars."""
    lines = ["| case | CPU s | bar | elapsed s | peak RSS GB | bar | met | found |", "|---|" + "---:|" * 5 + "---|---|"]
    for row in rows:
        seconds, memory = BARS[row["case"]]
        met = "yes" if row["cpu_s"] <= seconds and row["rss_gb"] <= memory else "NO"
        figures = f"{row['cpu_s']:.1f} | {seconds} | {row['wall_s']:.1f} | {row['rss_gb']:.2f} | {memory}"
        lines.append(f"| {row['case']} | {figures} | {met} | {row['found']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only 20,000 rows")
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results" / "metrics.md"))
    parser.add_argument("--step", choices=["make", "evaluate", "nearest"], help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "make":
        make(options.rows, options.folder)
        return
    if options.step:
        print(json.dumps(measure(options.step, options.folder)))
        return
    cases = [case.rsplit(" ", 1) for case in BARS]
    sizes = [(case, int(rows.replace(",", ""))) for case, rows in cases]
    found = []
    for case, rows in sizes:
        if not options.quick or rows <= 20_000:
            print(f"{case} {rows:,}", file=sys.stderr, flush=True)
            found.append(run(case, rows))
    page = table(found)
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    Path(options.out).write_text(page, encoding="utf-8")
    print(f"{page}\nWritten to {options.out}.")


if __name__ == "__main__":
    main()
