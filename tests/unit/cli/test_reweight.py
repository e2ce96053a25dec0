"""``microplex reweight`` on small files: what it writes, what it says, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex.cli import app
from microplex.cli.reweight import figure, in_options, relative, targets_of, worst_table

TARGETS = {"CA": 70.0, "NY": 30.0}


@pytest.fixture(autouse=True)
def survey(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "household_id": range(60),
            "state": rng.choice(["CA", "NY"], 60),
            "rooms": rng.integers(1, 6, 60),
            "weight": rng.gamma(4, 0.25, 60),
            "last": 1,
        }
    )
    frame.to_parquet("survey.parquet")
    write_targets("targets.csv", TARGETS)
    return frame


def write_targets(path, totals, **more):
    table = pd.DataFrame({"state": list(totals), "total": list(totals.values())})
    extra = pd.DataFrame({"state": [None] * len(more), "variable": list(more), "total": list(more.values())})
    (pd.concat([table, extra]) if more else table).to_csv(path, index=False)


def run(*words, survey="survey.parquet", targets="targets.csv", out="out.parquet"):
    return CliRunner().invoke(app, ["reweight", survey, "--targets", targets, "--out", out, *map(str, words)])


def words_of(done):
    return " ".join(done.stderr.replace("│", " ").split())


def by_state(frame, column="weight"):
    return frame.groupby("state")[column].sum().to_dict()


def test_the_survey_is_written_with_the_new_weights_in_place_of_the_old(survey):
    done = run()
    assert done.exit_code == 0, done.output
    out = pd.read_parquet("out.parquet")
    assert by_state(out) == pytest.approx(TARGETS, rel=1e-12)
    pd.testing.assert_frame_equal(out.drop(columns="weight"), survey.drop(columns="weight"))
    assert list(out.columns) == list(survey.columns)


def test_what_was_done_is_said():
    done = run()
    assert "count, state=CA" in done.stdout
    assert "Every target is met." in done.stdout
    assert "effective sample size" in done.stdout
    assert "Wrote 60 records with their weights to out.parquet" in done.stdout
    assert done.stderr == ""


def test_options_reach_the_reweighter(survey):
    done = run("--method", "linear", "--bounds", "0.5", "3", "--tolerance", "0.01")
    assert done.exit_code == 0, done.output
    ratio = pd.read_parquet("out.parquet")["weight"] / survey["weight"]
    assert ratio.between(0.5, 3).all()
    sums = by_state(pd.read_parquet("out.parquet"))
    assert all(abs(sums[name] / TARGETS[name] - 1) < 0.0101 for name in TARGETS)
    assert sums != pytest.approx(TARGETS, rel=1e-6)


def test_persons_are_counted_to_their_households(survey):
    persons = pd.DataFrame({"hh": np.repeat(survey["household_id"], 2), "age": np.tile([30, 5], 60)})
    persons.to_csv("persons.csv", index=False)
    survey.rename(columns={"household_id": "hh"}).to_csv("survey.csv", index=False)
    pd.DataFrame({"entity": ["persons", None], "where": ["age < 18", "rooms > 2"], "total": [100.0, 60.0]}).to_csv(
        "targets.csv", index=False
    )
    done = run("--persons", "persons.csv", "--id-col", "hh", survey="survey.csv")
    assert done.exit_code == 0, done.output
    out = pd.read_parquet("out.parquet")
    assert out["weight"].sum() == pytest.approx(100)
    assert out.loc[out["rooms"] > 2, "weight"].sum() == pytest.approx(60)


def test_a_crosswalk_gives_coarser_areas():
    pd.DataFrame({"state": ["CA", "NY"], "region": ["west", "east"]}).to_csv("areas.csv", index=False)
    pd.DataFrame({"region": ["west", "east"], "total": [80.0, 40.0]}).to_csv("targets.csv", index=False)
    assert run("--crosswalk", "areas.csv").exit_code == 0
    assert by_state(pd.read_parquet("out.parquet")) == pytest.approx({"CA": 80, "NY": 40})


def test_equal_weights_need_no_column(survey):
    survey.drop(columns="weight").to_parquet("bare.parquet")
    assert run("--equal-weights", "--weight-col", "w", survey="bare.parquet").exit_code == 0
    out = pd.read_parquet("out.parquet")
    assert by_state(out, "w") == pytest.approx(TARGETS)
    assert out.groupby("state")["w"].nunique().to_dict() == {"CA": 1, "NY": 1}


def test_a_populationsim_folder_is_read_unchanged(survey):
    from pathlib import Path

    for name in ("configs", "data"):
        Path("sim", name).mkdir(parents=True)
    Path("sim/configs/settings.yaml").write_text(
        "geographies: [REGION, state]\nseed_geography: REGION\n"
        "input_table_list:\n  - {tablename: state_control_data, filename: totals.csv}\n"
    )
    Path("sim/configs/controls.csv").write_text(
        "target,geography,seed_table,importance,control_field,expression\n"
        "households,state,households,1000,HH,(households.weight > 0) & (households.weight < 1e9)\n"
        "large,state,households,500,LARGE,households.rooms > 3\n"
    )
    Path("sim/data/totals.csv").write_text("state,HH,LARGE\nCA,70,30\nNY,30,12\n")
    for where in ("sim", "sim/configs/controls.csv"):
        done = run(targets=where)
        assert done.exit_code == 0, done.output
        assert by_state(pd.read_parquet("out.parquet")) == pytest.approx(TARGETS)


def test_records_without_weight_can_be_left_out(survey):
    survey.assign(weight=np.where(survey.index < 10, 0.0, survey["weight"])).to_parquet("survey.parquet")
    assert run("--drop-zero").exit_code == 0
    assert pd.read_parquet("out.parquet")["household_id"].tolist() == list(range(10, 60))


def test_few_changes_leave_most_weights_as_they_were(survey):
    assert run("--sparsity", "l1").exit_code == 0
    changed = ~np.isclose(pd.read_parquet("out.parquet")["weight"], survey["weight"])
    assert 1 <= changed.sum() <= 2


def test_few_records_keep_the_totals_and_the_protected_cells(survey):
    survey.assign(rare=np.where(survey.index % 10 == 0, "yes", "no")).to_parquet("survey.parquet")
    done = run("--sparsity", "l0", "--n-records", "20", "--protect", "rare=0", "--drop-zero", "--seed", "3")
    assert done.exit_code == 0, done.output
    out = pd.read_parquet("out.parquet")
    assert 18 <= len(out) <= 24
    assert f"Wrote {len(out)} records" in done.stdout
    assert by_state(out) == pytest.approx(TARGETS, rel=1e-8)
    assert "yes" in set(out["rare"])


def test_whole_weights(survey):
    assert run("--integer").exit_code == 0
    out = pd.read_parquet("out.parquet")
    assert (out["weight"] == out["weight"].round()).all()
    assert by_state(out) == pytest.approx(TARGETS, abs=1)


def test_a_report_and_a_picture_are_written_where_they_are_asked_for():
    pytest.importorskip("matplotlib")
    assert run("--report", "report.parquet", "--plot", "picture.svg").exit_code == 0
    report = pd.read_parquet("report.parquet")
    assert report["name"].tolist() == ["count, state=CA", "count, state=NY"]
    np.testing.assert_allclose(report["after"], list(TARGETS.values()))
    with open("picture.svg") as file:
        assert "<svg" in file.read()


def files():
    from pathlib import Path

    return {path.name: path.read_bytes() for path in Path().iterdir()}


def test_targets_that_clash_are_named_and_nothing_is_written(survey):
    pd.DataFrame({"state": ["CA", "NY", None, None], "total": [70.0, 30.0, 90.0, 95.0],
                  "where": [None, None, None, "rooms > 0"]}).to_csv("targets.csv", index=False)  # fmt: skip
    before = files()
    done = run("--plot", "picture.png", "--report", "report.csv")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "nation count 90 vs the sum of 2 states 100 (-10 %)" in done.stderr
    assert "rooms > 0" in done.stderr
    assert "--relax" in done.stderr
    assert files() == before


def test_relaxed_weights_are_written_and_the_clash_is_still_named(survey):
    pd.DataFrame({"state": ["CA", "NY", None], "total": [70.0, 30.0, 90.0]}).to_csv("targets.csv", index=False)
    done = run("--relax")
    assert done.exit_code == 0
    assert "nation count 90 vs the sum of 2 states 100 (-10 %)" in done.stderr
    assert "Not every target can be met." in done.stdout
    assert "contradicts" in done.stdout
    assert 90 < pd.read_parquet("out.parquet")["weight"].sum() < 100


def test_nothing_is_left_when_the_last_file_fails(survey, monkeypatch):
    def fails(result, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("microplex.targets.ReweightResult.plot", fails)
    before = files()
    done = run("--report", "report.csv", "--plot", "picture.png")
    assert done.exit_code == 1
    assert "No space left" in done.stderr
    assert files() == before


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--n-records", "5"], 2, "--n-records needs --sparsity l0; --sparsity is not given"),
        (["--n-records", "0", "--sparsity", "l0"], 2, "greater than or equal to 1"),
        (["--protect", "state"], 2, "--protect needs --sparsity l0 or l1"),
        (["--protect", "state=much", "--sparsity", "l0"], 2, "a column and its band such as race=0.1"),
        (["--sparsity", "l0", "--bounds", "0.5", "2"], 2, "takes no bounds"),
        (["--sparsity", "l3"], 2, "'l3'"),
        (["--method", "rake"], 2, "'raking', 'linear', 'logit'"),
        (["--bounds", "2", "1"], 2, "--bounds must be"),
        (["--bounds", "2"], 2, "requires 2 arguments"),
        (["--tolerance", "-1"], 2, "greater than or equal to 0"),
        (["--seed", "-1"], 2, "greater than or equal to 0"),
        (["--out", "out.xlsx"], 2, "must end in .parquet or .csv"),
        (["--out", "./survey.parquet"], 2, "is read by this command; name another file"),
        (["--out", "targets.csv"], 2, "is read by this command; name another file"),
        (["--report", "out.parquet"], 2, "is written by this command already"),
        (["--plot", "picture.jpeg"], 2, "must end in .png"),
        (["--plot", "none/picture.png"], 1, "Make it first"),
        (["--out", "none/out.csv"], 1, "Make it first"),
        (["--persons", "person.csv"], 1, "no file 'person.csv'"),
        (["--weight-col", "wieght"], 1, "Did you mean 'weight'?"),
        (["--sparsity", "l0", "--protect", "stat"], 1, "Did you mean 'state'?"),
        (["--bounds", "0.99", "1.01"], 1, "widen them"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_written(words, code, text, survey):
    before = files()
    done = run(*words)
    assert done.exit_code == code, done.output
    assert text in words_of(done)
    assert "Traceback" not in done.stderr
    assert files() == before


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("state,total\nCA,70\nNY,\n", "bad.csv: row 1 of the target table"),
        ("state,total\nCAL,70\n", "no record has state='CAL'"),
        ("stat,total\nCA,70\n", "Did you mean 'state'?"),
        ("state\nCA\n", "bad.csv: target table column 'total'"),
        ("state,total\n", "bad.csv: the data frame has no rows"),
        ("", "cannot be read as csv"),
        ("entity,total\npersons,70\n", "pass --persons"),
        ("state,total,remark\nCA,70,census\n", "column 'remark' is in no table that was given"),
        (",state,total\n0,CA,70\n", "a column has no name"),
        ("state,total,tolerance\nCA,70,5%\n", "count, state=CA': tolerance must be a finite number; got '5%'"),
        ("state,total\nCA,70\nCA,71\n", "of the same definition"),
    ],
)
def test_what_is_wrong_in_a_table_of_targets_is_named(content, text, survey, tmp_path):
    (tmp_path / "bad.csv").write_text(content)
    before = files()
    done = run(targets="bad.csv")
    assert done.exit_code == 1
    assert text in words_of(done)
    assert files() == before


def test_a_folder_that_is_not_of_populationsim_is_said_to_be_none(tmp_path):
    (tmp_path / "empty").mkdir()
    done = run(targets="empty")
    assert done.exit_code == 1
    assert "must be one of PopulationSim" in words_of(done)


def test_without_matplotlib_no_solve_is_wasted(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = run("--plot", "picture.png")
    assert done.exit_code == 1
    assert "pip install 'microplex[plot]'" in done.stderr


def test_the_worst_targets_come_first(tmp_path):
    from microplex import Reweighter

    frame = pd.DataFrame({"cell": np.repeat(np.arange(30), 2), "weight": 1.0})
    totals = {cell: 2.0 + cell for cell in range(30)}
    table = worst_table(Reweighter().fit(frame, {"cell": totals}).result_)
    assert list(table.columns[0].cells)[:2] == ["count, cell=29", "count, cell=28"]
    assert table.title == "The 10 of 30 targets that were furthest off"
    with pytest.warns(match="only in part"):
        missed = Reweighter(on_infeasible="relax").fit(frame, {"cell": totals, "households": 400.0}).result_
    assert worst_table(missed).title == "The 10 of 31 targets that are missed most"


def test_numbers_of_any_size_are_readable():
    assert [figure(x) for x in (0.0, 12.5, -3e6, 4.5e12)] == ["0", "12.5", "-3,000,000", "4.5e+12"]
    assert [relative(x) for x in (0.0, -1e-15, 0.5, -20.0, 1e4)] == ["0", "1e-15", "+50.0%", "-2000.0%", "+1.0e+06%"]


def test_words_of_the_library_become_options():
    assert in_options("targets clash; on_infeasible='relax'") == "targets clash; --relax"
    assert in_options("column 'bounds' is text") == "column 'bounds' is text"


def test_a_table_in_parquet_is_read_too():
    pd.DataFrame({"state": ["CA"], "total": [5.0]}).to_parquet("targets.parquet")
    from pathlib import Path

    assert targets_of(Path("targets.parquet")).names == ("count, state=CA",)


def test_all_clashes_that_an_error_carries_are_named(monkeypatch):
    from microplex.errors import InfeasibleTargetsError

    def fails(*_, **__):
        error = InfeasibleTargetsError("only the first of them")
        error.findings = tuple(f"clash {i}" for i in range(50))
        raise error

    monkeypatch.setattr("microplex.reweighter.Reweighter.fit", fails)
    done = run()
    assert done.exit_code == 1
    assert all(f"- clash {i}\n" in done.stderr for i in range(50))
