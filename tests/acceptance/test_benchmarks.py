"""The benchmark of synthesis, small: its measures see what the null methods do wrong, and its command runs."""

import dataclasses
import importlib

import pandas as pd
import pytest
from acceptance.pages import ROOT


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield importlib.import_module("benchmarks.synthesis.__main__")


def part(name):
    return importlib.import_module(f"benchmarks.synthesis.{name}")


@pytest.fixture(scope="module")
def problem(bench):
    return bench.population(0.1)


@pytest.fixture(scope="module")
def task(problem):
    return part("task").Task(problem.conditions, problem.targets, problem.train, problem.test, problem.constraints)


def drawn(task, name):
    generate, _ = getattr(part("methods"), name)(task, 0)
    return task.as_trained(generate(task.asked, 1).reset_index(drop=True))


@pytest.fixture(scope="module")
def judged(problem, task):
    found = {"floor": part("measures").judge(problem, problem.fresh, problem.test, 0)}
    for name in ("resampled_rows", "independent_columns"):
        found[name.replace("_", " ")] = part("measures").judge(problem, drawn(task, name), problem.fresh, 0)
    return found


def test_null_methods_lose_where_they_should(judged):
    wrong = {text: check(judged)[0] for text, check in part("measures").CHECKS if not check(judged)[1]}
    assert wrong == {}


def test_a_method_as_good_as_fresh_rows_fails_the_checks_that_null_methods_must_lose(judged):
    same = judged | dict.fromkeys(("resampled rows", "independent columns"), judged["floor"])
    lost = [text for text, check in part("measures").CHECKS if not check(same)[1]]
    assert len(lost) == len(part("measures").CHECKS) - 2  # the other two say where they must not lose


def test_trees_and_donors_copy_more_training_rows_than_fresh_rows_do(judged, problem, task):
    copies = part("measures").Row("", "", "identical_share", as_it_is=True)
    trees, donors = (
        copies.of(part("measures").memory(problem, drawn(task, name), problem.fresh, 0))
        for name in ("cart", "hot_deck")
    )
    assert donors == 1 > trees > judged["floor"]["copy_share"]


def test_donors_share_the_cell_of_the_conditions(task):
    rows = drawn(task, "hot_deck")
    known = task.train[task.targets].drop_duplicates()
    assert len(rows.merge(known, on=task.targets)) == len(rows)
    assert rows[task.conditions].equals(task.asked)
    shares = [frame.loc[frame["age"] >= 65, "social_security"].gt(0).mean() for frame in (rows, task.train)]
    assert shares[0] == pytest.approx(shares[1], abs=0.1)


def test_free_rows_are_matched_by_level_first_and_then_by_number(bench):
    task, peers = part("task"), part("peers")
    train = pd.DataFrame({"age": [20, 40, 60], "sex": pd.Categorical(["f", "m", "f"]), "wages": [0, 5, 9]})
    asked = task.Task(["age", "sex"], ["wages"], train, train)
    free = pd.DataFrame({"age": [22.0, 21.0, 58.0], "sex": [0, 1, 1], "wages": [1.2, 20.0, -3.0]})
    rows = peers.matched(asked, free, train[["age", "sex"]], 0)
    assert rows["wages"].tolist() == [1, 0, 1] or rows["wages"].tolist() == [1, 9, 1]  # whole, and in the range
    assert rows[["age", "sex"]].equals(train[["age", "sex"]])


def test_a_task_comes_back_from_its_files_as_it_was(task, tmp_path):
    task.save(tmp_path)
    again = part("task").Task.load(tmp_path)
    pd.testing.assert_frame_equal(again.train, task.train[task.columns])
    assert dataclasses.replace(again, train=None, test=None) == dataclasses.replace(task, train=None, test=None)


def test_the_command_writes_every_figure_a_page_and_why_a_peer_is_not_there(bench, monkeypatch, tmp_path, capsys):
    options = ["--problems", "population", "--methods", "CART,quantile forest", "--scale", "0.05", "--seeds", "0"]
    monkeypatch.setattr("sys.argv", ["synthesis", *options, "--results", str(tmp_path), "--peers", str(tmp_path)])
    bench.main()
    lines = (tmp_path / "synthesis.csv").read_text().splitlines()
    assert lines[0] == "problem,method,seed,measure,value"
    page = (tmp_path / "synthesis.md").read_text()
    assert "| | CART |" in page
    assert "- quantile forest: no figures, not installed" in page
    assert page in capsys.readouterr().out


def test_a_method_that_breaks_is_named_with_its_error(bench, problem, tmp_path):
    broken = dataclasses.replace(bench.METHODS[1], function="cart", options={"leaves": 5})
    assert list(bench.Runner(tmp_path).run(problem, broken, 0)) == [
        "failed: TypeError: cart() got an unexpected keyword argument 'leaves'"
    ]
