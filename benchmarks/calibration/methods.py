"""The library's own solver, the null methods and a linear programme, in the form that `worker` runs."""

import numpy as np
import scipy.sparse as sp

from benchmarks.calibration.arrays import Problem


def microplex(
    problem: Problem,
    mode: str = "raking",
    bounds: tuple[float | None, float | None] = (0.0, None),
    n_records: int | None = None,
):
    """The one place that knows how microplex is called: every mode from the same arrays, checks and all.

    Modes: "raking", "linear" and "logit", within `bounds` of the ratio (None: no bound), "relax" for targets that
    clash; "minimal" and "records", which keep as few records as can be or about `n_records`, calibration included;
    "integer", which rounds `problem.start`.
    """
    from microplex.calibration import Problem as Targets
    from microplex.calibration import calibrate
    from microplex.calibration.select import thin
    from microplex.calibration.walk import integerise

    limits = tuple(b if b is not None else s * np.inf for b, s in zip(bounds, (-1, 1), strict=True))

    def call():
        targets = Targets.of(problem.design, problem.base, problem.totals, problem.scale)
        if mode == "integer":
            return integerise(targets.design, problem.start, 0, targets.importance)
        found = calibrate(targets, "raking" if mode in ("relax", "minimal", "records") else mode, limits)
        clashes = sum(one.contradicts for one in found.dependencies)
        if not found.feasible and mode != "relax":
            raise RuntimeError(f"infeasible: {found.proof or 'not solved'}")
        note = f"{found.iterations} iterations" + (f", {clashes} contradictions named" if clashes else "")
        weights = thin(targets, found, "l0", n_records=n_records) if mode in ("minimal", "records") else found.weights
        return weights, {"note": note, "contradictions": clashes}

    return call


def base_weights(problem: Problem):
    """Nothing done: what every method must beat."""
    return lambda: problem.base


def scaled_weights(problem: Problem):
    """One factor on all base weights, the best for squared relative errors."""
    now, wanted = (problem.design @ problem.base) / problem.scale, problem.totals / problem.scale
    return lambda: problem.base * (now @ wanted / (now @ now))


def highs_vertex(problem: Problem, presolve: bool = True):
    """A basic solution by HiGHS on all records: any vertex has at most rank(design) records.

    Without a time limit its presolve looks for dependent equations without end (163 CPU s on M, 7 with a limit of 100,
    for the same vertex); without presolve it is faster still. Costs are random; none at all take as long.
    """
    from scipy.optimize import linprog

    scaled = sp.csr_array(sp.diags_array(1 / problem.scale) @ problem.design @ sp.diags_array(problem.base))
    costs = np.random.default_rng(0).random(len(problem.base))
    options = {"presolve": presolve, "time_limit": 100.0}

    def call():
        solved = linprog(costs, A_eq=scaled, b_eq=problem.totals / problem.scale, method="highs", options=options)
        if solved.x is None:
            raise RuntimeError(solved.message)
        return solved.x * problem.base

    return call
