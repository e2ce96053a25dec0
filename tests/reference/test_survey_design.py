"""Standard errors against R's survey package: figures that it printed, and a collection computed with it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microplex.survey import Replicates, SampleDesign, jackknife

PUBLISHED = json.loads(Path(__file__).with_name("survey_design.json").read_text())
CASES = PUBLISHED["cases"]
CALIBRATED = [
    "S01_rake_stype_schwide",
    "S02_linear_stype_api99",
    "S03_raking_stype_api99",
    "S04_logit_bounded",
    "S05_linear_bounded",
    "S06_poststratify_stype",
    "S07_linear_equal_within_cluster",
    "S08_raking_growth",
]
SCHOOLS = {"E": 4421, "H": 755, "M": 1018}


def as_printed(text):
    """The number of a printed figure, and half a unit of its last digit."""
    return pytest.approx(float(text), abs=0.5000001 * 10.0 ** -len(text.partition(".")[2]))


@pytest.fixture(scope="module")
def samples(shared_data):
    return {name: pd.read_parquet(shared_data(f"api/{name}.parquet")) for name in ("apistrat", "apiclus1")}


@pytest.fixture(scope="module")
def calibrations(shared_data):
    return {case["id"]: case for case in json.loads(shared_data("api/reference_calibration.json").read_text())["cases"]}


def drawn(samples, dataset, weights=None):
    frame = samples[dataset]
    by = {"strata": frame.stype} if dataset == "apistrat" else {"clusters": frame.dnum}
    return SampleDesign(frame.weight if weights is None else weights, fpc=frame.fpc, **by)


def linear(weights, auxiliary, totals):
    return weights * (1 + auxiliary @ np.linalg.solve(auxiliary.T * weights @ auxiliary, totals - weights @ auxiliary))


def in_cells(weights, cells):
    sums = pd.Series(weights).groupby(cells.to_numpy()).transform("sum").to_numpy()
    return weights * cells.map(SCHOOLS).to_numpy() / np.where(sums > 0, sums, 1.0)


def published_design(samples, name, about="mean"):
    design = drawn(samples, "apistrat" if name == "dstrat" else "apiclus1")
    frame = samples["apiclus1"]
    if name == "gclus1":
        auxiliary = np.column_stack([np.ones(len(frame)), frame.api99])
        return design.calibrated(linear(design.weights, auxiliary, np.array([6194, 3914069])), auxiliary)
    if name == "dclus1p":
        return design.calibrated(in_cells(design.weights, frame.stype), pd.get_dummies(frame.stype))
    if name.startswith("rclus1"):
        replicates = replace(jackknife(design.weights, clusters=frame.dnum, fpc=frame.fpc), about=about)
        weights = design.weights
        if name == "rclus1p":
            weights = in_cells(weights, frame.stype)
            replicates = Replicates(
                np.array([in_cells(row, frame.stype) for row in replicates.weights]), replicates.scale, about
            )
        return SampleDesign(weights, replicates=replicates)
    return design


def column(frame, name):
    variable, _, level = name.partition("=")
    return (frame[variable] == level).to_numpy() if level else frame[variable].to_numpy(float)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case["design"], case["statistic"], case["of"])))
def test_figures_printed_by_r(samples, case):
    frame = samples["apistrat" if case["design"] == "dstrat" else "apiclus1"]
    design = published_design(samples, case["design"], case.get("about", "mean"))
    values = [column(frame, name) for name in case["of"].split("/")]
    domain = None
    if "domain" in case:
        domain = column(frame, case["domain"])
        domain = domain if domain.dtype == bool else ~np.isnan(domain)
    if case["statistic"] in ("total", "mean", "ratio"):
        found = getattr(design, case["statistic"])(*values, domain=domain)
    else:
        found = design.quantile(values[0], float(case["statistic"]), domain=domain)
        assert list(found.interval(0.95)) == [as_printed(limit) for limit in case["interval"]]
    assert found.value == as_printed(case["value"])
    assert found.se == as_printed(case["se"])


def model_matrix(frame, case):
    terms = case.get("margins") or ([case["cells"]] if "cells" in case else case["formula"].strip("~ ").split(" + "))
    columns = [frame[term.replace(".", "_")] for term in terms]
    parts = [c if c.dtype.kind in "if" else pd.get_dummies(c, drop_first=True) for c in columns]
    return np.column_stack([np.ones(len(frame)), *(np.asarray(part, dtype=float) for part in parts)])


@pytest.mark.parametrize("name", CALIBRATED)
def test_calibrated_designs_of_r(samples, calibrations, name):
    case = calibrations[name]
    frame = samples[case["dataset"]]
    assert frame.cds.astype(str).tolist() == case["keys"]
    design = drawn(samples, case["dataset"], np.array(case["base_weights"])).calibrated(
        np.array(case["weights"]),
        model_matrix(frame, case),
        within_clusters=bool(case.get("aggregate_by_cluster_stage")),
        regression="unweighted" if case["method"] == "rake" else "base",
    )
    after = case["estimate_after"]
    mean, total = design.mean(frame.api00), design.total(frame.enroll)
    assert mean.value == pytest.approx(after["mean"], rel=1e-10)
    assert mean.se == pytest.approx(after["se"], rel=1e-9)
    assert total.value == pytest.approx(after["enroll_total"], rel=1e-10)
    assert total.se == pytest.approx(after["enroll_total_se"], rel=1e-9)


def test_no_case_of_the_collection_is_left_out(calibrations):
    assert sorted(calibrations) == CALIBRATED


def test_the_example_of_the_stata_manual():
    example = PUBLISHED["stata"]
    columns = example["columns"]
    labels = [f"{s}-{p}" for s, p in zip(columns["stratum"], columns["psu"], strict=True)]
    drawn_by = {"clusters": labels, "strata": columns["stratum"]}
    for fpc, se in ((None, "se_with_replacement"), (columns["clusters_in_population"], "se")):
        found = SampleDesign(columns["weight"], fpc=fpc, **drawn_by).mean(columns["x"])
        assert found.value == as_printed(example["mean"])
        assert found.se == as_printed(example[se])
        assert found.df == 6


@pytest.mark.parametrize("case", PUBLISHED["stata"]["domain_totals_with_replacement"])
def test_totals_of_subpopulations(case):
    columns = PUBLISHED["stata"]["columns"]
    x = np.array(columns["x"])
    domain = x > case["above"] if "above" in case else x <= case["up_to"]
    found = SampleDesign(columns["weight"], strata=columns["stratum"]).total(x, domain)
    assert (found.value, found.se) == (as_printed(case["value"]), as_printed(case["se"]))
