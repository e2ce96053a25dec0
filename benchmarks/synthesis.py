"""Score methods on problems, each beside its noise floor.

python -m benchmarks.synthesis [--seeds 0,1,2] [--problems population,cps] [--methods microplex,CART] [--scale 1]

Prints a table a problem, and leaves every figure in benchmarks/results/synthesis.csv and the tables, ready for the
documentation, in benchmarks/results/synthesis.md. The survey file is looked for in MICROPLEX_SHARED, or in ../shared.
CPU seconds include loading and compiling what a method needs; compare them within one run.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measures import LABELS, judge
from benchmarks.methods import METHODS, Method
from benchmarks.problems import Problem, cps, population

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MICROPLEX_SHARED") or ROOT.parent / "shared")
RESULTS = Path(__file__).parent / "results"


def run(problem: Problem, method: Method, seed: int) -> dict[str, float]:
    """All measures of one method on one problem with one seed."""
    start = time.process_time()
    generate, log_prob = method.fit(problem, seed)
    fitted = time.process_time()
    synthetic = generate(seed + 1)
    generated = time.process_time()
    found = judge(problem, synthetic, seed)
    if method.name != "floor":
        found["fit_cpu_s"] = fitted - start
        found["rows_per_cpu_s"] = len(synthetic) / max(generated - fitted, 1e-9)
    if log_prob is not None and problem.log_truth is not None:
        scores = log_prob(problem.test[problem.conditions + problem.targets])
        possible = np.isfinite(scores)
        excess = problem.log_truth(problem.test)[possible] - scores[possible]
        found |= {"excess_nats": excess.mean() / len(problem.targets), "impossible": 1 - possible.mean()}
    return found


def markdown(results: pd.DataFrame) -> str:
    """One problem as a table: a row a measure, a column a method, the mean of the seeds."""
    table = results.pivot_table(index="measure", columns="method", values="value", sort=False)
    methods = list(dict.fromkeys(results["method"]))
    lines = [f"| | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    for measure in (m for m in LABELS if m in table.index):
        cells = (_number(table.loc[measure].get(method, np.nan)) for method in methods)
        lines.append(f"| {LABELS[measure]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    if np.isnan(value):
        return ""
    return f"{float(f'{value:.2g}'):,.0f}" if value >= 1_000 else f"{value:.1f}" if value >= 10 else f"{value:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--problems", default="population,cps")
    parser.add_argument("--methods", default=",".join(method.name for method in METHODS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, for a quick look")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    chosen = [method for method in METHODS if method.name in options.methods.split(",")]
    results, page = pd.DataFrame(), ""
    RESULTS.mkdir(exist_ok=True)
    for problem in _problems(options.problems.split(","), options.scale):
        rows = []
        for method in chosen:
            for seed in seeds:
                print(f"{problem.name}: {method.name}, seed {seed}", flush=True)
                found = run(problem, method, seed)
                rows += [(problem.name, method.name, seed, measure, value) for measure, value in found.items()]
        own = pd.DataFrame(rows, columns=["problem", "method", "seed", "measure", "value"])
        results = pd.concat([results, own], ignore_index=True)
        sizes = f"{len(problem.train):,} training and {len(problem.test):,} test rows"
        page += f"## {problem.name}\n\n{sizes}; mean of seeds {options.seeds}.\n\n{markdown(own)}\n"
        results.to_csv(RESULTS / "synthesis.csv", index=False)
        (RESULTS / "synthesis.md").write_text(page, encoding="utf-8")
    print(f"\n{page}Written to {RESULTS / 'synthesis.csv'} and {RESULTS / 'synthesis.md'}.")


def _problems(names: list[str], scale: float):
    if "population" in names:
        yield population(scale)
    if "cps" in names and (SHARED / "data" / "us_cps_tax_units.parquet").exists():
        yield cps(scale, SHARED)
    elif "cps" in names:
        print(f"cps: skipped, no {SHARED}/data/us_cps_tax_units.parquet; set MICROPLEX_SHARED.", flush=True)


if __name__ == "__main__":
    main()
