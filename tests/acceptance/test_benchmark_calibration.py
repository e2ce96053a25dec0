"""The benchmark of calibration, small: its problems can be solved, its null methods lose, and its command runs."""

import importlib
import json

import numpy as np
import pytest
import scipy.sparse as sp
from acceptance.pages import ROOT


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        names = ("arrays", "methods", "plan", "problems", "tables", "worker", "__main__")
        yield {name: importlib.import_module(f"benchmarks.calibration.{name}") for name in names}


@pytest.fixture(scope="module")
def population(bench):
    return bench["problems"].population()


def test_a_vertex_meets_every_total_on_as_many_records_as_the_rank_and_the_null_methods_do_not(bench, population):
    found = bench["arrays"].judge(population, bench["methods"].highs_vertex(population)())
    assert found["max_rel"] < 1e-8
    assert found["negative"] == 0
    assert found["kept"] <= bench["__main__"].rank(population)
    for null in (bench["methods"].base_weights, bench["methods"].scaled_weights):
        assert bench["arrays"].judge(population, null(population)())["max_rel"] > 0.05


def test_the_rank_and_the_least_squares_limit_are_those_of_dense_linear_algebra(bench):
    rng = np.random.default_rng(3)
    design = rng.normal(size=(6, 40)) * (rng.random((6, 40)) < 0.7)
    design = np.vstack([design, design[0] + design[1], 1e6 * design[2]])
    totals = design @ rng.uniform(1, 2, 40)
    totals[-2:] *= [1.02, 0.97]
    problem = bench["arrays"].Problem("clash", sp.csr_array(design), np.ones(40), totals)
    scaled = design / np.abs(totals)[:, None]
    nearest = scaled @ np.linalg.lstsq(scaled, np.sign(totals), rcond=None)[0]
    expected = ((nearest - np.sign(totals)) ** 2).sum()
    assert bench["arrays"].least_squares_limit(problem) == pytest.approx(expected, rel=1e-9)
    assert bench["__main__"].rank(problem) == 6


def test_a_problem_survives_its_file(bench, tmp_path):
    problem = bench["arrays"].tiny()
    problem.save(tmp_path / "tiny.npz")
    back = bench["arrays"].load(tmp_path / "tiny.npz")
    assert (back.name, len(back.margins)) == (problem.name, 2)
    for name in ("base", "totals", *bench["arrays"].OPTIONAL):
        np.testing.assert_array_equal(getattr(back, name), getattr(problem, name))
    np.testing.assert_array_equal(back.design.toarray(), problem.design.toarray())


def test_errors_are_relative_and_negative_weights_are_counted(bench):
    problem = bench["arrays"].Problem("two", sp.csr_array([[1.0, 1.0], [0.0, 2.0]]), np.ones(2), np.array([4.0, -1.0]))
    found = bench["arrays"].judge(problem, np.array([5.0, -2.0]))
    assert (found["max_rel"], found["mean_rel"], found["sum_abs"]) == (3.0, 1.625, 4.0)
    assert (found["negative"], found["kept"], found["whole"]) == (1, 2, True)
    assert found["ess"] == pytest.approx(9 / 29)


def test_a_bar_is_missed_when_a_number_is(bench):
    row = {"problem": "S", "method": "microplex raking", "max_rel": 1e-9, "negative": 0, "cpu_s": 1.0}
    assert "| yes |" in bench["tables"].bars({"dense": [row]})
    assert "| NO |" in bench["tables"].bars({"dense": [row | {"max_rel": 1e-7}]})
    assert "| NO |" in bench["tables"].bars({"dense": [row | {"negative": 1}]})


def test_a_method_that_breaks_is_a_row_of_its_own(bench, tmp_path, monkeypatch):
    bench["arrays"].tiny().save(tmp_path / "problem.npz")
    job = {"module": "methods", "function": "microplex", "options": {"mode": "no such"}, "cpu_limit": 60}
    job |= {name: str(tmp_path / f"{name}.x") for name in ("weights", "report")}
    job |= {"problem": str(tmp_path / "problem.npz")}
    (tmp_path / "job.json").write_text(json.dumps(job))
    monkeypatch.setattr("sys.argv", ["worker", str(tmp_path / "job.json")])
    monkeypatch.setattr(bench["worker"].resource, "setrlimit", lambda *_: None)
    bench["worker"].main()
    assert "no such" in json.loads((tmp_path / "report.x").read_text())["failed"]


def test_the_command_writes_a_page_without_any_peer(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench["problems"], "SHARED", tmp_path / "absent")
    arguments = ["--problems", "population_margins,S", "--methods", "base,balance,microplex", "--sections", "dense"]
    arguments += [
        "--out",
        str(tmp_path / "page.md"),
        "--peers",
        str(tmp_path / "none"),
        "--rows",
        str(tmp_path / "rows"),
    ]
    monkeypatch.setattr("sys.argv", ["calibration", *arguments])
    bench["__main__"].main()
    page = (tmp_path / "page.md").read_text()
    assert "| population_margins | base weights |" in page
    assert "not installed: no" in page
    assert "| population_margins: " in page
    assert "S: skipped, no " in page
    assert page in capsys.readouterr().out
    assert len(list((tmp_path / "rows").glob("*.json"))) == 4
