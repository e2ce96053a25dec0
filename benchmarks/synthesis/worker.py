"""One method on one task, in a process of its own: python -m benchmarks.synthesis.worker job.json

The job names a function of `methods` or, in the peers' environment, of `peers`. It fits and generates on a few rows
first, so that imports are over; then the real fit and the real generation are timed, each once, in CPU seconds.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.calibration.worker import peak_rss
from benchmarks.synthesis.task import Task, coded


def run(job: dict) -> dict:
    """CPU seconds and peak memory; the rows go to job["synthetic"], log densities to job["log_prob"]."""
    function = getattr(importlib.import_module(f"benchmarks.synthesis.{job['module']}"), job["function"])
    task, options = Task.load(Path(job["folder"])), job["options"]
    small = task.small()
    function(small, job["seed"], **{**options, **job["warm"]})[0](small.asked, job["seed"])
    start = time.process_time()
    generate, log_prob = function(task, job["seed"], **options)
    fitted = time.process_time()
    synthetic = generate(task.asked, job["seed"] + 1)
    generated = time.process_time()
    report = {"fit_cpu_s": fitted - start, "generate_cpu_s": generated - fitted, "rss_gb": peak_rss()}
    coded(task.as_trained(synthetic)).to_parquet(job["synthetic"])
    if log_prob is not None:
        np.save(job["log_prob"], np.asarray(log_prob(task.test), dtype=np.float64))
    return report


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_limit"], job["cpu_limit"] + 5))
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            report = run(job)
        except Exception as error:  # a peer that breaks is a note of the table, not the end of it
            absent = isinstance(error, ModuleNotFoundError) and job["module"] == "peers"
            kind = "not installed" if absent else type(error).__name__
            report = {"failed": f"{kind}: {' '.join(str(error).split())[:160]}"}
    Path(job["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
