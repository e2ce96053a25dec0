"""Calibrated weights against R's survey package and against published examples."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microplex.calibration import Problem, calibrate

PUBLISHED = json.loads(Path(__file__).with_name("calibration.json").read_text())
CASES = {
    "S01_rake_stype_schwide": 1e-8,
    "S02_linear_stype_api99": 1e-8,
    "S03_raking_stype_api99": 1e-8,
    "S04_logit_bounded": 1e-6,
    "S05_linear_bounded": 1e-8,
    "S06_poststratify_stype": 1e-8,
    "S07_linear_equal_within_cluster": 1e-8,
    "S08_raking_growth": 1e-8,
}


@pytest.fixture(scope="module")
def schools(shared_data):
    return {name: pd.read_parquet(shared_data(f"api/{name}.parquet")) for name in ("apistrat", "apiclus1")}


@pytest.fixture(scope="module")
def cases(shared_data):
    return {case["id"]: case for case in json.loads(shared_data("api/reference_calibration.json").read_text())["cases"]}


def named(frame, name):
    """The column of R's model matrix: the intercept, a level after the name of its factor, or a number."""
    if name == "(Intercept)":
        return np.ones(len(frame))
    for factor in ("stype", "sch.wide"):
        if name.startswith(factor):
            return (frame[factor.replace(".", "_")] == name.removeprefix(factor)).to_numpy(float)
    return frame[name].to_numpy(float)


def targets_of(case, frame):
    """Design and totals of a case."""
    if "population_totals" in case:
        totals = case["population_totals"]
        return np.array([named(frame, name) for name in totals]), np.array(list(totals.values()), float)
    margins = case.get("margin_totals") or [case["cell_totals"]]
    pairs = [
        (variable + row[variable], row["Freq"]) for rows in margins for row in rows for variable in set(row) - {"Freq"}
    ]
    return np.array([named(frame, name) for name, _ in pairs]), np.array([total for _, total in pairs], float)


def rule_of(case):
    method = {"rake": "raking", "postStratify": "raking"}.get(case["method"]) or case["calfun"]
    free = (-np.inf, np.inf) if method == "linear" else (0.0, np.inf)
    return method, tuple(case.get("bounds_g") or free)


def by_cluster(design, base, clusters):
    """One record a cluster, so that all its members get one ratio."""
    codes = pd.factorize(clusters)[0]
    weight = np.bincount(codes, base)
    return np.array([np.bincount(codes, base * row) for row in design]) / weight, weight, codes


@pytest.mark.parametrize(("name", "precision"), CASES.items())
def test_weights_of_r(schools, cases, name, precision):
    case = cases[name]
    frame, base, expected = schools[case["dataset"]], np.array(case["base_weights"]), np.array(case["weights"])
    assert frame.cds.astype(str).tolist() == case["keys"]
    design, totals = targets_of(case, frame)
    method, bounds = rule_of(case)
    if case.get("aggregate_by_cluster_stage"):
        design, weight, codes = by_cluster(design, base, frame.dnum)
        found = calibrate(Problem.of(design, weight, totals), method, bounds)
        weights = base * (found.weights / weight)[codes]
    else:
        found = calibrate(Problem.of(design, base, totals), method, bounds)
        weights = found.weights
    assert case["status"] == "ok"
    assert found.feasible
    assert found.max_error <= 1e-12
    assert weights == pytest.approx(expected, rel=precision)
    assert (weights / base).min() == pytest.approx(case["g_min"], rel=precision)
    assert (weights / base).max() == pytest.approx(case["g_max"], rel=precision)
    assert (weights < 0).sum() == case["n_negative"]


def test_no_case_is_left_out(cases):
    assert sorted(cases) == sorted(CASES)


def test_members_of_a_cluster_may_get_negative_weights_only_without_bounds(schools, cases):
    case = cases["S07_linear_equal_within_cluster"]
    frame, base = schools[case["dataset"]], np.array(case["base_weights"])
    design, totals = targets_of(case, frame)
    assert case["n_negative"] == 3
    design, weight, _ = by_cluster(design, base, frame.dnum)
    bounded = calibrate(Problem.of(design, weight, totals), "linear", (0.0, np.inf))
    assert bounded.feasible
    assert (bounded.weights >= 0).all()


@pytest.mark.parametrize("method", ["linear", "raking", "logit"])
@pytest.mark.parametrize("name", ["S04_logit_bounded", "S05_linear_bounded"])
def test_bounds_that_cannot_hold_fail_with_the_reason(schools, cases, name, method):
    """R stops with 'Calibration failed'; every ratio must go up to 1.6 here, and 1.2 is allowed."""
    case = cases[name]
    design, totals = targets_of(case, schools[case["dataset"]])
    problem = Problem.of(design, np.array(case["base_weights"]), totals)
    found = calibrate(problem, method, (0.8, 1.2))
    assert not found.feasible
    assert found.proof in ("unreachable", "separation")
    assert found.max_error > 1e-3
    assert set(found.status) & {"relaxed", "out of reach"}
    ratio = found.weights / problem.base
    assert ratio.min() >= 0.8 - 1e-12
    assert ratio.max() <= 1.2 + 1e-12


def as_printed(text):
    """The number of a printed figure, and half a unit of its last digit."""
    return pytest.approx(float(text), abs=0.5000001 * 10.0 ** -len(text.partition(".")[2]))


def test_konduri_eight_households_by_five_controls():
    example = PUBLISHED["konduri"]
    design, totals = np.array(list(example["households"].values()), float), np.array(list(example["totals"].values()))
    printed = np.array([float(text) for text in example["published_weights"]])
    # The published weights meet the controls as far as two decimals go, so the data are read rightly.
    assert design @ printed == pytest.approx(totals, abs=0.05)
    found = calibrate(Problem.of(design, np.ones(8), totals))
    assert found.feasible
    assert design @ found.weights == pytest.approx(totals, rel=1e-12)
    # Of all weights that meet them, raking gives the nearest; households that are alike get the same.
    entropy = [weights @ np.log(weights) - weights.sum() for weights in (found.weights, printed)]
    assert entropy[0] < entropy[1]
    assert found.weights[5] == pytest.approx(found.weights[7], rel=1e-12)
    # Started at the published weights, calibration only takes out what printing rounded off.
    mended = calibrate(Problem.of(design, printed, totals))
    assert mended.feasible
    assert mended.weights == pytest.approx(printed, abs=0.02)


def test_konduri_by_multiplying_control_after_control():
    """The same optimum by the loop that population synthesizers run: one control at a time, solved for its factor."""
    example = PUBLISHED["konduri"]
    design, totals = np.array(list(example["households"].values()), float), np.array(list(example["totals"].values()))
    weights = np.ones(8)
    for _ in range(3000):
        for row, total in zip(design, totals, strict=True):
            for _ in range(3):
                tilted = row * weights
                weights = weights * np.exp(row * (total - tilted.sum()) / (row @ tilted))
    found = calibrate(Problem.of(design, np.ones(8), totals))
    assert found.weights == pytest.approx(weights, rel=1e-8)


@pytest.mark.parametrize("case", PUBLISHED["twelve_rows"]["cases"], ids=lambda case: case["name"])
def test_rake_of_twelve_rows(case):
    columns = {name: np.array(values) for name, values in PUBLISHED["twelve_rows"]["columns"].items()}
    pairs = [
        (columns[name] == level, total) for name, margin in case["margins"].items() for level, total in margin.items()
    ]
    found = calibrate(Problem.of(np.array([row for row, _ in pairs]), np.ones(12), [total for _, total in pairs]))
    assert found.feasible
    assert found.weights.tolist() == [as_printed(text) for text in case["weights"]]


def test_margins_of_a_published_table():
    example = PUBLISHED["margins_of_a_table"]
    table, rows, columns = (np.array(example[name], float) for name in ("table", "rows", "columns"))
    assert rows.sum() == columns.sum()
    fitted = table.copy()
    for _ in range(500):
        fitted *= (rows / fitted.sum(axis=1))[:, None]
        fitted *= columns / fitted.sum(axis=0)
    design = np.vstack([np.kron(np.eye(8), np.ones(3)), np.kron(np.ones(8), np.eye(3))])
    found = calibrate(Problem.of(design, table.ravel(), np.append(rows, columns)))
    assert found.weights.reshape(8, 3) == pytest.approx(fitted, rel=1e-10)
    assert found.weights[2] == 0  # nobody of 15 to 19 was widowed, and nobody is
    assert found.status.count("redundant") == 1
    # Raking leaves the odds ratios of the table as they were.
    cells = found.weights.reshape(8, 3)[1:]
    odds = [cell[1:, 1:] * cell[:-1, :-1] / (cell[1:, :-1] * cell[:-1, 1:]) for cell in (cells, table[1:])]
    assert odds[0] == pytest.approx(odds[1], rel=1e-9)
