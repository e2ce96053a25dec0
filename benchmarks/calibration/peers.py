"""The public peers, each called as its own documentation does. Runs in the peers' environment, without microplex.

Every function prepares what the peer wants to be given (dense tables, data frames) and returns the call that is timed:
a peer does not pay for the form of the problem.
"""

import logging
import warnings

import numpy as np

from benchmarks.calibration.arrays import Problem

KEEP = 0.999
"""Gates that start open: of .5 (the default), .9 and .999, the one whose weights miss least and are spread most."""

logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def _torch():
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return torch


def microcalibrate(problem: Problem, l0_lambda: float | None = None, **options):
    """Adam on log weights, mean squared relative error (PolicyEngine)."""
    _torch()
    np.random.seed(0)  # noqa: NPY002 - its noise comes from there
    import pandas as pd
    from microcalibrate import Calibration

    names = [f"t{place}" for place in range(len(problem.totals))]
    matrix = pd.DataFrame(problem.design.T.toarray(), columns=names)
    sparse = {} if l0_lambda is None else {"regularize_with_l0": True, "l0_lambda": l0_lambda}

    def call():
        model = Calibration(
            weights=problem.base.copy(), targets=problem.totals.copy(), estimate_matrix=matrix, **sparse, **options
        )
        model.calibrate()
        return model.weights if l0_lambda is None else model.sparse_weights

    return call


def l0_python(problem: Problem, penalty: float | None = None, epochs: int = 500, learning_rate: float = 0.1):
    """Adam on log weights and, with a penalty, on hard concrete gates (PolicyEngine); epochs and rates are tuned."""
    torch = _torch()
    from l0.calibration import SparseCalibrationWeights

    design = problem.design.tocsr()

    def call():
        gates = {"use_gates": penalty is not None, "init_keep_prob": KEEP}
        model = SparseCalibrationWeights(len(problem.base), init_weights=problem.base, seed=0, **gates)
        strength = penalty or 0.0
        model.fit(design, problem.totals, lambda_l0=strength, lr=learning_rate, epochs=epochs, loss_type="relative")
        with torch.no_grad():
            return model.get_weights(deterministic=True).double().numpy()

    return call


def _frame(problem: Problem):
    import pandas as pd

    if problem.codes is None:
        raise TypeError("takes margins of categories alone")
    names = [f"c{place}" for place in range(problem.codes.shape[1])]
    return pd.DataFrame(problem.codes, columns=names), names


def balance(problem: Problem, **options):
    """Raking of balance (Meta), against a table of weighted rows with exactly the margins wanted."""
    import pandas as pd
    from balance.weighting_methods.rake import rake

    frame, names = _frame(problem)
    ends = [np.cumsum(margin) for margin in problem.margins]
    total = ends[0][-1]
    breaks = np.unique(np.concatenate([end / end[-1] for end in ends]))
    middle = (np.r_[0.0, breaks[:-1]] + breaks) / 2
    rows = {n: np.searchsorted(end / end[-1], middle) for n, end in zip(names, ends, strict=True)}
    target, weight = pd.DataFrame(rows), pd.Series(np.diff(np.r_[0.0, breaks]) * total)
    # as text from the start: by default, numeric columns would be cut into deciles
    frame, target = frame.astype(str), target.astype(str)
    base = pd.Series(problem.base)
    return lambda: rake(frame, base, target, weight, transformations=None, **options)["weight"].to_numpy()


def ipfn(problem: Problem, **options):
    """Iterative proportional fitting of a table a cell of crossed margins; records share their cell's change."""
    import ipfn.ipfn as fitting

    frame, names = _frame(problem)
    cells = frame.assign(total=problem.base).groupby(names, as_index=False)["total"].sum()
    import pandas as pd

    levels = [pd.Series(margin, index=np.arange(len(margin))) for margin in problem.margins]
    present = [np.unique(problem.codes[:, place]) for place in range(len(names))]
    targets = [series.loc[some].rename_axis(n) for n, series, some in zip(names, levels, present, strict=True)]

    def call():
        fitted = fitting.ipfn(cells.copy(), targets, [[name] for name in names], **options).iteration()
        change = fitted.set_index(names)["total"] / cells.set_index(names)["total"]
        return problem.base * change.reindex(pd.MultiIndex.from_frame(frame)).to_numpy()

    return call


def samplics(problem: Problem):
    """Linear calibration of samplics."""
    from samplics.weighting import SampleWeight

    rows = problem.design.T.toarray()
    control = {f"t{place}": total for place, total in enumerate(problem.totals)}
    return lambda: SampleWeight().calibrate(problem.base, rows, control)


def _zones(problem: Problem):
    """Records and targets of each zone, or all of them."""
    if problem.zone is None:
        return [(np.arange(len(problem.base)), np.arange(len(problem.totals)))]
    zones = np.unique(problem.zone)
    return [(np.flatnonzero(problem.zone == zone), np.flatnonzero(problem.target_zone == zone)) for zone in zones]


def _incidence(problem: Problem):
    import pandas as pd

    for records, targets in _zones(problem):
        dense = problem.design[targets][:, records].T.toarray()
        yield records, targets, pd.DataFrame(dense, columns=[f"t{place}" for place in targets])


def _master(table):
    """The place of the household count: the column of ones that PopulationSim holds to first."""
    ones = np.flatnonzero((table.to_numpy() == 1).all(axis=0))
    return int(ones[0]) if len(ones) else None


def list_balancer(problem: Problem, importance: float = 1e6, max_iterations: int = 10_000):
    """The compiled list balancer of PopulationSim, zone by zone as PopulationSim calls it."""
    from populationsim.balancing.single_balancer import ListBalancer

    parts = list(_incidence(problem))
    given = problem.importance
    given = np.full(len(problem.totals), importance) if given is None else given.astype(float)

    def call():
        weights = np.zeros(len(problem.base))
        iterations = []
        for records, targets, table in parts:
            balancer = ListBalancer(
                incidence_table=table,
                initial_weights=problem.base[records],
                control_totals=problem.totals[targets],
                control_importance_weights=given[targets],
                lb_weights=None,
                ub_weights=None,
                master_control_index=_master(table),
                max_iterations=max_iterations,
                use_numba=True,
                numba_precision="float64",
            )
            status, found, _ = balancer.balance()
            weights[records] = found["final"].to_numpy()
            iterations.append(int(status["iter"]))
        return weights, {"note": f"{max(iterations):,} iterations"}

    return call


def integerizer(problem: Problem, solver: str = "ortools"):
    """PopulationSim's rounding of weights by a linear programme, zone by zone, and its smart rounding after it."""
    from populationsim.core import inject
    from populationsim.integerizing.single_integerizer import Integerizer

    inject.add_injectable("settings", {"USE_CVXPY": solver == "cvxpy", "INTEGIZER_TIMEOUT": 600})
    parts = list(_incidence(problem))

    def call():
        weights = np.zeros(len(problem.base))
        states = []
        for records, targets, table in parts:
            master = _master(table)
            rounding = Integerizer(
                incidence_table=table,
                control_importance_weights=problem.importance[targets],
                float_weights=problem.start[records],
                relaxed_control_totals=np.round(problem.totals[targets]),
                total_hh_control_value=int(np.round(problem.totals[targets][master])),
                total_hh_control_index=master,
                control_is_hh_based=problem.household_target[targets],
            )
            states.append(rounding.integerize())
            weights[records] = rounding.weights["integerized_weight"].to_numpy()
        return weights, {"note": ", ".join(sorted(set(states)))}

    return call
