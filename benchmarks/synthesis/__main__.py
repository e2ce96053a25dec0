"""Conditional synthesis beside its public peers, null methods and the noise floor.

python -m benchmarks.synthesis [--seeds 0,1,2] [--problems population,cps] [--methods microplex,CART] [--scale 0.1]

Every method runs in a process of its own on one thread, first on a few rows, so that imports are over, and then on the
problem, in CPU seconds. Peers live in an environment of their own (--peers .venv-peers-synthesis, made by
`make bench-synthesis`); one that is not there is named in the tables. The survey file is looked for in
MICROPLEX_SHARED, or in ../shared; the problem `population` needs nothing but the library. Leaves every figure in
synthesis.csv and the tables, ready for the documentation, in synthesis.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.synthesis.measures import judge
from benchmarks.synthesis.plan import METHODS, Method
from benchmarks.synthesis.problems import Problem, cps, population
from benchmarks.synthesis.tables import page
from benchmarks.synthesis.task import Task

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("MICROPLEX_SHARED") or ROOT.parent / "shared")
RESULTS = ROOT / "benchmarks" / "results"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")} | {"LOKY_MAX_CPU_COUNT": "1"}
"""Without the last, CTGAN and TVAE would start processes whose CPU seconds nobody counts."""
FAILED = "failed: "
COARSE = 1e-3
"""CPU seconds below which a clock says nothing."""
PACKAGES = "torch ctgan copulas arfpy quantile-forest scikit-learn pandas numpy"


class Runner:
    """Runs methods in processes of their own."""

    def __init__(self, peers: Path, cpu_limit: int = 1_800) -> None:
        self.cpu_limit = cpu_limit
        self.pythons = {"methods": Path(sys.executable), "peers": peers / "bin" / "python"}
        missing = peers / "missing.txt"
        lines = missing.read_text(encoding="utf-8").splitlines() if missing.exists() else []
        self.missing = {line.split()[0]: line.split("\t", 1)[1] for line in lines if "\t" in line}

    def run(self, problem: Problem, method: Method, seed: int) -> dict[str, float]:
        """All measures of one method on one problem with one seed; or one that begins with "failed: "."""
        if method.module == "real":
            return judge(problem, problem.fresh, problem.test, seed)
        python = self.pythons[method.module]
        if not python.exists():
            return {f"{FAILED}not installed, no such environment": np.nan}
        if method.module == "peers" and method.package in self.missing:
            return {f"{FAILED}not installed, {self.missing[method.package]}": np.nan}
        with tempfile.TemporaryDirectory() as place:
            return self._in(Path(place), problem, method, seed)

    def _in(self, folder: Path, problem: Problem, method: Method, seed: int) -> dict[str, float]:
        task = Task(problem.conditions, problem.targets, problem.train, problem.test, problem.constraints)
        task.save(folder)
        files = {"report": "report.json", "synthetic": "synthetic.parquet", "log_prob": "log_prob.npy"}
        paths = {name: folder / file for name, file in files.items()}
        job = {"folder": str(folder), "seed": seed, "cpu_limit": self.cpu_limit}
        job |= {name: str(path) for name, path in paths.items()}
        job |= {name: getattr(method, name) for name in ("module", "function", "options", "warm")}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [self.pythons[method.module], "-m", "benchmarks.synthesis.worker", folder / "job.json"]
        own = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
        limit = 4 * self.cpu_limit
        try:
            done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return {f"{FAILED}stopped after {limit:,} s": np.nan}
        if not paths["report"].exists():
            said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            ends = {-signal.SIGXCPU: f"stopped after {self.cpu_limit:,} CPU s", -signal.SIGKILL: "killed: memory?"}
            return {f"{FAILED}{ends.get(done.returncode, said[0])}": np.nan}
        report = json.loads(paths["report"].read_text(encoding="utf-8"))
        if "failed" in report:
            return {f"{FAILED}{report['failed']}": np.nan}
        synthetic = task.read(paths["synthetic"])
        found = judge(problem, synthetic, problem.fresh, seed)
        found |= {"fit_cpu_s": report["fit_cpu_s"], "rss_gb": report["rss_gb"]}
        if report["generate_cpu_s"] > COARSE:
            found["rows_per_cpu_s"] = len(synthetic) / report["generate_cpu_s"]
        if paths["log_prob"].exists() and problem.log_truth is not None:
            found |= likelihood(problem, np.load(paths["log_prob"]))
        return found


def likelihood(problem: Problem, scores: np.ndarray) -> dict[str, float]:
    """How far below the truth the log density of the test rows is, where it is not that of the impossible."""
    possible = np.isfinite(scores)
    excess = problem.log_truth(problem.test)[possible] - scores[possible]
    return {"excess_nats": excess.mean() / len(problem.targets), "impossible": 1 - possible.mean()}


def versions(python: Path) -> str:
    """The releases that were compared, in one line."""
    if not python.exists():
        return "Peers: none installed."
    code = (
        "from importlib.metadata import distributions as all\n"
        f"found = {{d.metadata['Name'].lower().replace('_', '-'): d.version for d in all()}}\n"
        f"print(', '.join(f'{{n}} {{found[n]}}' if n in found else f'no {{n}}' for n in '{PACKAGES}'.split()))\n"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return f"Peers: {done.stdout.strip()}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="slow peers take the first only")
    parser.add_argument("--problems", default="population,cps")
    parser.add_argument("--methods", default=",".join(method.name for method in METHODS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows, for a quick look")
    parser.add_argument("--peers", default=str(ROOT / ".venv-peers-synthesis"), help="the peers' environment")
    parser.add_argument("--results", default=str(RESULTS), help="a folder")
    parser.add_argument("--add", action="store_true", help="keep the figures of other methods in that folder")
    options = parser.parse_args()
    seeds = [int(seed) for seed in options.seeds.split(",")]
    chosen = [method for method in METHODS if method.name in options.methods.split(",")]
    runner, folder = Runner(Path(options.peers)), Path(options.results)
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / "synthesis.csv"
    results = pd.read_csv(figures) if options.add and figures.exists() else pd.DataFrame()
    built, skipped = _problems(options.problems.split(","), options.scale)
    for problem in built:
        for method in chosen:
            for seed in seeds[:1] if method.one_seed else seeds:
                print(f"{problem.name}: {method.name}, seed {seed}", file=sys.stderr, flush=True)
                found = runner.run(problem, method, seed)
                rows = [(problem.name, method.name, seed, measure, value) for measure, value in found.items()]
                own = pd.DataFrame(rows, columns=["problem", "method", "seed", "measure", "value"])
                results = _without(results, own).astype({"value": float})
                results.to_csv(figures, index=False)
    sizes = {p.name: f"{len(p.train):,} training and {len(p.test):,} test rows" for p in built}
    text = page(results, sizes, skipped) + f"\n{versions(runner.pythons['peers'])}\n"
    (folder / "synthesis.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\nWritten to {figures} and {folder / 'synthesis.md'}.")


def _without(results: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """The results with these in the place of older ones."""
    if len(results):
        old = results.set_index(["problem", "method", "seed"]).index
        results = results[~old.isin(own.set_index(["problem", "method", "seed"]).index)]
    return pd.concat([results, own], ignore_index=True)


def _problems(names: list[str], scale: float) -> tuple[list[Problem], dict[str, str]]:
    built, skipped, survey = [], {}, SHARED / "data" / "us_cps_tax_units.parquet"
    if "population" in names:
        built.append(population(scale))
    if "cps" in names and survey.exists():
        built.append(cps(scale, SHARED))
    elif "cps" in names:
        skipped["cps"] = "no us_cps_tax_units.parquet; set MICROPLEX_SHARED"
    return built, skipped


if __name__ == "__main__":
    main()
