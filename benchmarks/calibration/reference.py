"""Published weights of R survey on the California schools, as problems with the answer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.calibration.arrays import Problem

CASES = {
    "S01_rake_stype_schwide": {"mode": "raking"},
    "S02_linear_stype_api99": {"mode": "linear"},
    "S03_raking_stype_api99": {"mode": "raking"},
    "S04_logit_bounded": {"mode": "logit", "bounds": (0.5, 2.0)},
    "S05_linear_bounded": {"mode": "linear", "bounds": (0.7, 1.8)},
    "S06_poststratify_stype": {"mode": "raking"},
    "S07_linear_equal_within_cluster": {"mode": "linear", "bounds": (None, None)},
    "S08_raking_growth": {"mode": "raking"},
}


def reference(name: str, folder: Path) -> Problem:
    """One case of the reference file; records of a cluster that share their ratio are taken as one record."""
    file = folder / "reference_calibration.json"
    if not file.exists():
        raise FileNotFoundError(f"no {file}: set MICROPLEX_SHARED")
    case = next(one for one in json.loads(file.read_text(encoding="utf-8"))["cases"] if one["id"] == name)
    frame = pd.read_parquet(folder / f"{case['dataset']}.parquet")
    frame = frame.set_index(frame["cds"].astype(str)).loc[case["keys"]]
    frame = frame.assign(growth=frame["api00"] - frame["api99"]).rename(columns={"sch_wide": "sch.wide"})
    if "population_totals" in case:
        rows = [_term(frame, term) for term in case["population_totals"]]
        totals = [float(total) for total in case["population_totals"].values()]
    else:
        margins = case.get("margin_totals") or [case["cell_totals"]]
        cells = [(column, one) for margin in margins for one in margin for column in one if column != "Freq"]
        rows = [(frame[column] == one[column]).to_numpy(float) for column, one in cells]
        totals = [float(one["Freq"]) for _, one in cells]
    design, base, expected = np.array(rows), np.array(case["base_weights"]), np.array(case["weights"])
    if case.get("aggregate_by_cluster_stage"):
        _, cluster = np.unique(frame["dnum"], return_inverse=True)
        size = np.bincount(cluster, weights=base)
        design = np.array([np.bincount(cluster, weights=row * base) / size for row in design])
        base, expected = size, np.bincount(cluster, weights=expected)
    return Problem(name, sp.csr_array(design), base, np.array(totals), expected=expected)


def _term(frame: pd.DataFrame, term: str) -> np.ndarray:
    """A column of R's model matrix: the intercept, a number, or a level of a factor."""
    if term == "(Intercept)":
        return np.ones(len(frame))
    if term in frame:
        return frame[term].to_numpy(float)
    column = next(name for name in ("stype", "sch.wide") if term.startswith(name))
    return (frame[column] == term.removeprefix(column)).to_numpy(float)
