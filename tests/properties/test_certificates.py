"""Whatever is certified holds: random targets of every statistic under every option, checked by pandas."""

import warnings

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microplex import Reweighter, Target
from microplex.errors import MicroplexError

CELLS = {"nation": None, "a": "s == 'a'", "b": "s == 'b'"}


def survey(seed):
    draw = np.random.default_rng(seed)
    n = 24
    return pd.DataFrame(
        {
            "household_id": np.arange(n),
            "s": draw.choice(["a", "b"], n),
            "x": draw.lognormal(3, 1.5, n).round(2) * np.where(draw.random(n) < 0.2, -1, 1),
            "weight": draw.choice([0.0, 0.05, 1.0, 30.0], n, p=[0.1, 0.2, 0.5, 0.2]),
        }
    )


def figure(frame, weights, target):
    """The figure that weights give, from first principles."""
    where = np.ones(len(frame), bool) if target.where is None else frame.eval(target.where).to_numpy()
    w, x = weights[where], frame["x"].to_numpy()[where]
    if target.statistic == "total":
        return w.sum() if target.variable is None else w @ x
    if target.statistic == "mean":
        return w @ x / w.sum() if w.sum() else np.nan
    if target.statistic == "share":
        return w[(frame["s"] == target.by["s"]).to_numpy()[where]].sum() / w.sum() if w.sum() else np.nan
    return w[x <= target.total].sum() / w.sum() if w.sum() else np.nan


def wanted(target):
    return target.probability if target.statistic == "quantile" else target.total


@st.composite
def cases(draw):
    seed = draw(st.integers(0, 10_000))
    frame = survey(seed)
    truth = frame["weight"].to_numpy() * np.random.default_rng(seed + 1).lognormal(0, 0.5, len(frame))
    targets = []
    for number in range(draw(st.integers(1, 5))):
        where = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        tolerance = draw(st.sampled_from([0.0, 0.0, 0.02, 0.3]))
        common = {"where": where, "tolerance": tolerance, "name": f"target {number}"}
        kind = draw(st.sampled_from(["count", "sum", "mean", "share", "quantile"]))
        made = {
            "count": lambda c: Target(0.0, **c),
            "sum": lambda c: Target(0.0, "x", **c),
            "mean": lambda c: Target.mean(0.0, "x", **c),
            "share": lambda c: Target.share(0.5, {"s": "a"}, **c),
            "quantile": lambda c: Target.quantile(float(frame["x"].median()), "x", 0.5, **c),
        }[kind](common)
        value = figure(frame, truth, made) * draw(st.sampled_from([1.0, 1.0, 1.0, 1.05]))
        if not np.isfinite(value) or (kind in ("share", "quantile") and not 0.01 < value < 0.99):
            continue
        if kind == "quantile":
            made = Target.quantile(made.total, "x", float(value), **common)
        else:
            fields = {"count": {}, "sum": {"variable": "x"}, "mean": {"variable": "x", "statistic": "mean"}}
            share = {"by": {"s": "a"}, "statistic": "share"}
            made = Target(float(value), **common, **fields.get(kind, share))
        targets.append(made)
    options = {
        "tolerance": draw(st.sampled_from([0.0, 0.0, 0.05])),
        "on_infeasible": draw(st.sampled_from(["raise", "relax"])),
    }
    options["sparsity"] = draw(st.sampled_from([None, "l0", "l1", "l2"]))
    if options["sparsity"] in (None, "l2"):
        options["method"] = draw(st.sampled_from(["raking", "linear"]))
        options["bounds"] = draw(st.sampled_from([(0.0, np.inf), (0.2, 4.0)]))
    options["integer"] = draw(st.booleans())
    return frame, targets, options


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(cases())
def test_whatever_is_certified_holds(case):
    frame, targets, options = case
    if not targets:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = Reweighter(**options).fit(frame, targets)
        except MicroplexError:
            return
    w, result = fitted.weights_, fitted.result_
    assert np.isfinite(w).all()
    assert (w >= 0).all()
    assert (w[frame["weight"] == 0] == 0).all()
    if options["integer"]:
        assert (w == np.rint(w)).all()
    elif "bounds" in options:
        held = frame["weight"] > 0
        ratio = w[held] / frame["weight"][held]
        assert ratio.between(options["bounds"][0] - 1e-9, options["bounds"][1] + 1e-9).all()
    if options["on_infeasible"] == "raise":
        assert result.feasible
    for target, status, shown in zip(targets, result.diagnostics["status"], result.diagnostics["error"], strict=True):
        error = (figure(frame, w, target) - wanted(target)) / abs(wanted(target))
        gross = w @ frame["x"].abs() / abs(wanted(target)) if target.variable == "x" else w.sum() / abs(wanted(target))
        rounding = 1e-11 * (1 + gross)
        allowed = max(target.tolerance, options["tolerance"]) + 2e-8 + rounding
        if status in ("met", "within tolerance", "redundant"):
            assert abs(error) <= allowed, (target, status, error)
        if np.isfinite(error):
            assert abs(error - shown) <= 1e-6 * (1 + abs(error)) + rounding
    if result.feasible and not options["integer"]:
        assert not set(result.diagnostics["status"]) & {"relaxed", "contradicts", "out of reach"}
