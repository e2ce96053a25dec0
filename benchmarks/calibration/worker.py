"""One method on one problem, in a process of its own: python -m benchmarks.calibration.worker job.json

The job names a function of `methods` or, in the peers' environment, of `peers`. It is first called on a tiny problem,
so that imports and compilation are over; the call that it returns for the real one is then timed in CPU seconds.
"""

import contextlib
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration.arrays import load, tiny

LEAST, MOST = 2.0, 100
"""Small machines have coarse clocks and noisy neighbours: short calls are repeated."""


def peak_rss() -> float:
    """GB. From /proc where there is one: getrusage of a child starts at the peak of the parent that forked it."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def timed(call: Callable) -> tuple[Any, float, float]:
    """What the first call returns, the peak memory after it, and CPU seconds: the mean of all calls in two seconds."""
    start = time.process_time()
    found = call()
    memory = peak_rss()
    spent, count = time.process_time() - start, 1
    while spent < LEAST and count < MOST:
        call()
        spent, count = time.process_time() - start, count + 1
    return found, memory, spent / count


def run(job: dict) -> dict:
    """CPU seconds and peak memory; the weights go to job["weights"]."""
    module = importlib.import_module(f"benchmarks.calibration.{job['module']}")
    function = getattr(module, job["function"])
    function(tiny(), **{**job["options"], **job.get("warm", {})})()
    call = function(load(Path(job["problem"])), **job["options"])
    found, memory, seconds = timed(call)
    weights, extra = found if isinstance(found, tuple) else (found, {})
    np.save(job["weights"], np.asarray(weights, dtype=np.float64))
    return {"cpu_s": seconds, "rss_gb": memory, "extra": extra}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    resource.setrlimit(resource.RLIMIT_CPU, (job["cpu_limit"], job["cpu_limit"] + 5))
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            report = run(job)
        except Exception as error:  # a peer that breaks is a row of the table, not the end of it
            absent = isinstance(error, ModuleNotFoundError) and job["module"] == "peers"
            kind = "not installed" if absent else type(error).__name__
            message = " ".join(str(error).split())
            report = {"failed": f"{kind}: {message[:160]}", "rss_gb": peak_rss()}
    Path(job["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
