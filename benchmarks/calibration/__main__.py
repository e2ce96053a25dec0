"""Calibration beside its public peers.

python -m benchmarks.calibration [--problems S,M] [--methods microplex,l0-python] [--out table.md] [--quick]

Every method runs in a process of its own on one thread: first on a tiny problem, so that nothing is left to import or
compile, then on the problem, in CPU seconds. Peers live in an environment of their own (--peers .venv-peers, made by
`make bench-calibration`); one that is not there is named in the table. The generated problems are looked for in
MICROPLEX_SHARED, or in ../shared; the two called `population` need nothing but the library.
"""

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.calibration.arrays import Problem, judge, least_squares_limit
from benchmarks.calibration.plan import POPSIM, QUICK, RAKING, SECTIONS, Method, Section
from benchmarks.calibration.problems import ROOT, build
from benchmarks.calibration.tables import bars, finite, table

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}


class Runner:
    """Runs methods in processes of their own and keeps the rows."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        peers = Path(options.peers)
        self.pythons = {"methods": Path(sys.executable), "peers": peers / "bin" / "python"}
        missing = peers / "missing.txt"
        lines = missing.read_text(encoding="utf-8").splitlines() if missing.exists() else []
        self.missing = {line.split()[0]: line.split("\t", 1)[1] for line in lines if "\t" in line}

    def run(self, problem: Problem, method: Method, options: dict) -> dict:
        """A row: CPU seconds, memory and what is to be said of the weights, or why there are none."""
        if not self.pythons[method.module].exists():
            return {"failed": f"not installed: no {self.pythons[method.module]}"}
        if method.module == "peers" and method.package in self.missing:
            return {"failed": f"not installed: {self.missing[method.package]}"}
        paths = {name: self.folder / file for name, file in FILES.items()}
        for name in ("report", "weights"):
            paths[name].unlink(missing_ok=True)
        job = {name: str(path) for name, path in paths.items()} | dataclasses.asdict(method) | {"options": options}
        paths["job"].write_text(json.dumps(job | {"cpu_limit": self.options.cpu_limit}), encoding="utf-8")
        command = [self.pythons[method.module], "-m", "benchmarks.calibration.worker", paths["job"]]
        own = os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=4 * self.options.cpu_limit
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"stopped after {4 * self.options.cpu_limit:,} s"}
        if not paths["report"].exists():
            said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            ends = {
                -signal.SIGXCPU: f"stopped after {self.options.cpu_limit:,} CPU s",
                -signal.SIGKILL: "killed: memory?",
            }
            return {"failed": ends.get(done.returncode, said[0])}
        row = json.loads(paths["report"].read_text(encoding="utf-8"))
        if "failed" in row:
            return row
        weights = np.load(paths["weights"])
        if weights.shape != problem.base.shape or not np.isfinite(weights).all():
            return row | {"failed": "weights that are not finite"}
        return row | judge(problem, weights)

    def case(self, section: Section, problem: Problem, methods: list[Method]) -> list[dict]:
        """The rows of one problem in one section."""
        facts = {}
        if section.key == "clash":
            facts["limit"] = least_squares_limit(problem)
        if section.key == "sparse":
            facts["rank"] = rank(problem)
        problem.save(self.folder / FILES["problem"])
        if section.key == "whole":
            problem = self._with_start(problem)
        rows: list[dict] = []
        for method in methods:
            kept = next((row.get("kept") for row in rows if row["method"] == method.records_as), None)
            if method.records_as and kept is None:
                continue
            options = method.options | ({"n_records": kept} if method.records_as else {})
            print(f"{problem.name}: {method.name}", file=sys.stderr, flush=True)
            found = self.run(problem, method, options) | facts
            count = {"n_records": options["n_records"]} if "n_records" in options else {}
            rows.append(finite({"problem": problem.name, "method": method.name, **count, **found}))
            self._keep(section.key, rows[-1])
        return rows

    def _with_start(self, problem: Problem) -> Problem:
        """The problem with the weights that are to be made whole: those of microplex, or else of the list balancer."""
        for method in (RAKING, POPSIM):
            if "failed" not in self.run(problem, method, method.options):
                started = dataclasses.replace(problem, start=np.load(self.folder / FILES["weights"]))
                started.save(self.folder / FILES["problem"])
                return started
        return problem

    def _keep(self, section: str, row: dict) -> None:
        if self.options.rows:
            name = "".join(c if c.isalnum() else "-" for c in f"{section} {row['problem']} {row['method']}")
            folder = Path(self.options.rows)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.json").write_text(json.dumps({"section": section, **row}, indent=1), encoding="utf-8")


FILES = {"problem": "problem.npz", "weights": "weights.npy", "report": "report.json", "job": "job.json"}


def rank(problem: Problem) -> int:
    """Rank of the design, from the eigenvalues of its Gram matrix with rows of length one."""
    size = np.sqrt(np.maximum(problem.design.multiply(problem.design).sum(axis=1), 1e-300))
    unit = sp.csr_array(sp.diags_array(1 / size) @ problem.design)
    values = np.linalg.eigvalsh((unit @ unit.T).toarray())
    return int((values > 1e-10 * values[-1]).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default="", help="names, with commas; all by default")
    parser.add_argument("--methods", default="", help="beginnings of names, with commas; all by default")
    parser.add_argument("--sections", default="", help="reference, dense, sparse, whole, clash; all by default")
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results" / "calibration.md"))
    parser.add_argument("--rows", default="", help="a folder for the rows as JSON files")
    parser.add_argument("--peers", default=str(ROOT / ".venv-peers"), help="the peers' environment")
    parser.add_argument("--cpu-limit", type=int, default=900, help="CPU seconds that a method may take")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    options = parser.parse_args()
    names = options.problems.split(",") if options.problems else QUICK if options.quick else None
    starts = tuple(options.methods.split(",")) if options.methods else ("",)
    results: dict[str, list[dict]] = {}
    page, built, skipped = "", {}, {}
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder), options)
        for section in SECTIONS:
            if options.sections and section.key not in options.sections.split(","):
                continue
            rows = results.setdefault(section.key, [])
            for name, methods in section.cases.items():
                chosen = [method for method in methods if method.name.startswith(starts)]
                if not chosen or (names is not None and name not in names) or name in skipped:
                    continue
                try:
                    problem = build(name)
                except FileNotFoundError as error:
                    skipped[name] = str(error)
                    continue
                built[name] = problem.describe()
                rows += runner.case(section, problem, chosen)
            if rows:
                page += f"## {section.title}\n\n{table(section.key, rows)}\n"
    page += f"## Bars\n\n{bars(results)}\n## Problems\n\n"
    page += "".join(f"- {name}: {text}\n" for name, text in built.items())
    page += "".join(f"- {name}: skipped, {text}\n" for name, text in skipped.items())
    page += f"\n{versions(runner.pythons['peers'])}\n"
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    Path(options.out).write_text(page, encoding="utf-8")
    print(f"{page}\nWritten to {options.out}.")


def versions(python: Path) -> str:
    """The releases that were compared, in one line."""
    if not python.exists():
        return "Peers: none installed."
    code = (
        "from importlib.metadata import distributions as all\n"
        "names = 'torch microcalibrate l0-python balance ipfn samplics populationsim ortools numba numpy'.split()\n"
        "found = {d.metadata['Name'].lower(): d.version for d in all()}\n"
        "print(', '.join(f'{n} {found[n]}' if n in found else f'no {n}' for n in names))\n"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return f"Peers: {done.stdout.strip()}. One thread a process; CPU seconds after a warm-up call."


if __name__ == "__main__":
    main()
