"""Fusion beside its baselines and its bars.

python -m benchmarks.fusion [--seeds 0,1,2] [--scale 1.0] [--problems halves,surveys,speed]

The first problem reads the shared microdata (MICROPLEX_SHARED, or ../shared) and is left out without it. CPU seconds of
this process, one thread. A run of all problems at full scale leaves the tables in benchmarks/results/fusion.md.
"""

import argparse
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MICROPLEX_SHARED") or ROOT.parent / "shared")
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Bar:
    """A measure beside its bar, and beside what fresh rows score where they can be scored."""

    what: str
    value: float
    goal: float
    fresh: float | None = None
    strict: bool = False

    @property
    def held(self):
        return bool(self.value < self.goal if self.strict else self.value <= self.goal)

    def __str__(self):
        goal = f"{'< ' if self.strict else '<='} {self.goal:<7.4g}"
        fresh = "      -" if self.fresh is None else f"{self.fresh:7.4f}"
        return f"{'held  ' if self.held else 'MISSED'}  {self.value:7.4f}  {goal}  fresh rows {fresh}  {self.what}"


def halves(seeds, scale):
    from benchmarks.fusion_halves import run

    if not (SHARED / "data").is_dir():
        return f"Left out: no shared microdata at {SHARED.name}/.", []
    rows = [(seed, *row) for seed in seeds for row in run(seed, scale, SHARED)]
    table = pd.DataFrame(rows, columns=["seed", "method", "measure", "value"])
    mean = table.groupby(["method", "measure"], sort=False)["value"].mean().unstack(sort=False)
    fused, whole, again = (mean.loc[n] for n in ("fusion", "complete data, blocks apart", "complete data again"))
    aux = mean.loc["fusion, 5 % auxiliary"]
    bars = []
    for b in "AB":
        best = min(whole[f"AUC {b}"], again[f"AUC {b}"])
        for name, row in (("no auxiliary rows", fused), ("5 % auxiliary", aux)):
            above, fresh = row[f"AUC {b}"] - best, mean.loc["holdout", f"AUC {b}"] - best
            bars.append(Bar(f"block {b}, {name}: AUC above that of complete data", above, 0.01, fresh))
    over = fused["cross from CIA"] / again["cross from CIA"]
    bars.append(Bar("cross-block dependence from what CIA implies, over its noise floor", over, 1.0))
    fresh = mean.loc["holdout", "cross from truth"]
    bars.append(Bar("cross-block dependence from the truth, 5 % auxiliary", aux["cross from truth"], 0.20, fresh))
    for peer in ("random hot deck", "quantile forest"):
        for measure in (f"{m} {b}" for m in ("AUC", "KS", "within") for b in "AB"):
            floor = mean.loc["holdout", measure]
            bars.append(Bar(f"{measure} below that of {peer}", fused[measure], mean.loc[peer, measure], floor, True))
    return mean.round(4).to_string(), bars


def surveys(seeds, scale):
    from benchmarks.fusion_surveys import run

    rows = [(seed, *row) for seed in seeds for row in run(seed, scale)]
    table = pd.DataFrame(rows, columns=["seed", "measure", "value"])
    wide = table.pivot_table(index="measure", columns="seed", values="value", sort=False)
    mean = wide.mean(axis=1)
    errors = wide[wide.index.str.endswith(", SE")]
    top = mean["top 1 % share of wages"] / mean["top 1 % share of wages, truth"] - 1
    off = errors.abs().mean(axis=1).max()
    bars = [Bar("largest total off, standard errors (mean over seeds of their size, each total)", off, 2.0)]
    bars.append(Bar("share of totals more than 2 standard errors off", (errors.abs() > 2).to_numpy().mean(), 0.05))
    bars += [Bar(f"1 - {name}", 1 - value, 0.05) for name, value in mean.items() if name.startswith("coverage")]
    bars.append(Bar("top 1 % share of wages, relative error", abs(top), 0.05))
    return wide.round(3).to_string(), bars


def speed(seeds, scale):
    from benchmarks.synthesis.problems import population
    from microplex import Synthesizer
    from microplex.fusion import MultiSourceFusion

    problem = population(0.2)
    draw = np.random.default_rng(0)
    n, k = int(40_000 * scale), 16
    common = pd.concat([problem.train[["age", "sex", "marital"]]] * (1 + 2 * n // len(problem.train)))[: 2 * n]
    common = common.reset_index(drop=True)
    wide = {f"y{i}": np.round(draw.lognormal(5 + common["age"] / 40, 1.0)) for i in range(k)}
    whole = pd.concat([common, pd.DataFrame(wide)], axis=1)
    names = list(wide)
    given = list(common)
    start = time.process_time()
    Synthesizer(names, given).fit(whole[:n], progress=False)
    single = time.process_time() - start
    sources = {"a": whole[:n][[*given, *names[: k // 2]]], "b": whole[n:][[*given, *names[k // 2 :]]]}
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MultiSourceFusion(given).fit(sources, progress=False)
    fused = time.process_time() - start
    text = f"single fit of {n:,} rows x {k} targets {single:.1f} CPU s; fusing 2 x {n:,} rows x {k} targets {fused:.1f}"
    return text, [Bar("fusion over a single fit", fused / single, 3.0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sample sizes")
    parser.add_argument("--problems", default="halves,surveys,speed")
    asked = parser.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    problems = {"halves": halves, "surveys": surveys, "speed": speed}
    parts = [f"# Fusion: benchmark\n\nSeeds {asked.seeds}, scale {asked.scale:g}. See benchmarks/fusion.py."]
    for name in asked.problems.split(","):
        text, bars = problems[name](seeds, asked.scale)
        parts.append("\n".join([f"## {name}\n", "```", text, "", *map(str, bars), "```"]))
        print(parts[-1], flush=True)
    if asked.scale == 1.0 and set(problems) <= set(asked.problems.split(",")):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "fusion.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
