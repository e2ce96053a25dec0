"""The benchmark of synthesis, small: its measures see what the null methods do wrong, and its command runs."""

import importlib

import pytest
from acceptance.pages import ROOT


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield importlib.import_module("benchmarks.synthesis")


@pytest.fixture(scope="module")
def judged(bench):
    problem = bench.population(0.1)
    methods = [method for method in bench.METHODS if method.name != "microplex"]
    return {method.name: bench.run(problem, method, 0) for method in methods}


def test_null_methods_lose_where_they_should(judged):
    floor, rows, columns = (judged[name] for name in ("floor", "resampled rows", "independent columns"))
    assert rows["copy_share"] == 1 > 5 * floor["copy_share"]
    assert rows["dcr_share"] > floor["dcr_share"] + 0.05
    assert abs(rows["c2st_auc"] - 0.5) < 0.1
    assert columns["c2st_auc"] > 0.8
    assert columns["zero_pair_error"] > 3 * floor["zero_pair_error"]
    assert columns["spearman_error"] > 3 * floor["spearman_error"]
    assert columns["ks"] < 3 * floor["ks"]
    assert columns["broken"] > 0 == floor["broken"]


def test_trees_stay_closer_to_their_training_rows_than_fresh_rows_do(judged):
    assert judged["CART"]["copy_share"] > judged["floor"]["copy_share"]


def test_the_command_writes_every_figure_and_a_page(bench, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(
        "sys.argv", ["synthesis", "--problems", "population", "--methods", "CART", "--scale", "0.02", "--seeds", "0"]
    )
    bench.main()
    lines = (tmp_path / "results" / "synthesis.csv").read_text().splitlines()
    assert lines[0] == "problem,method,seed,measure,value"
    assert "| | CART |" in (tmp_path / "results" / "synthesis.md").read_text()
    assert "mean of seeds 0" in capsys.readouterr().out
