"""``microplex report`` on small files: what it writes, what it says, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex.cli import app

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")


def people(seed, n=150):
    rng = np.random.default_rng(seed)
    pay = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(10, 1, n).round())
    return pd.DataFrame({"age": rng.integers(18, 80, n), "pay": pay, "weight": rng.gamma(4, 25, n)})


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("real", "synthetic", "train", "holdout")):
        people(seed).to_parquet(f"{name}.parquet")
    return tmp_path


def run(*words, real="real.parquet", synthetic="synthetic.parquet", out="report.html"):
    given = ["--real", real, "--synthetic", synthetic, "--out", out]
    return CliRunner().invoke(app, ["report", *given, *map(str, words)])


def words_of(done):
    return " ".join(done.stderr.replace("│", " ").split())


def test_a_report_is_written_and_its_verdict_said(files):
    done = run("--conditions", "age", "--weights", "weight", "--title", "Pay <2020>", "--date", "1 May 2026")
    assert done.exit_code == 0, done.output
    page = (files / "report.html").read_text("utf-8")
    assert "<h1>Pay &lt;2020&gt;</h1>" in page
    assert "date: 1 May 2026" in page
    assert "conditions: age" in page
    assert "targets: pay" in page
    assert "real.parquet (SHA-256): " in page
    assert "measures with a floor" in done.stdout
    assert "Privacy was not measured" in done.stdout
    assert "report.html" in done.stdout
    command = "microplex report --real real.parquet --synthetic synthetic.parquet --conditions age --weights weight"
    assert f"command: {command} --title &#x27;Pay &lt;2020&gt;&#x27; --date &#x27;1 May 2026&#x27;" in page
    assert "tests of all variables together" in done.stdout
    assert "Warning: Few rows: 150 real and 150 synthetic." in done.stderr


def test_the_command_that_is_printed_makes_the_same_page(files):
    run("--weights", "weight", "--targets", "age,pay", out="report.html")
    first = (files / "report.html").read_bytes()
    run("--weights", "weight", "--targets", "age,pay", out="report.html")
    assert (files / "report.html").read_bytes() == first


def test_training_rows_give_the_privacy_part():
    done = run("--train", "train.parquet", "--holdout", "holdout.parquet", "--sensitive", "pay", "--targets", "pay,age")
    assert done.exit_code == 0, done.output
    assert "training rows were memorised" in done.stdout


def test_a_holdout_of_training_rows_is_warned_of(files):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.lognormal(9, 1, (150, 2)), columns=["pay", "rent"])
    for name in ("real", "synthetic", "train", "holdout"):
        rows.to_parquet(f"{name}.parquet")
    done = run("--train", "train.parquet", "--holdout", "holdout.parquet")
    assert done.exit_code == 0, done.output
    assert "Warning:" in done.stderr
    assert "flatter" in done.stderr
    assert "Do not rely on these comparisons" in (files / "report.html").read_text("utf-8")


def test_the_table_of_reweighting_is_shown(files):
    pd.DataFrame({"age": [20, 40], "weight": [1.0, 1.0], "state": ["a", "b"]}).to_csv("survey.csv", index=False)
    pd.DataFrame({"state": ["a", "b"], "total": [3.0, 4.0]}).to_csv("targets.csv", index=False)
    given = ["survey.csv", "--targets", "targets.csv", "--out", "weighted.csv", "--report", "met.csv"]
    assert CliRunner().invoke(app, ["reweight", *given]).exit_code == 0
    done = run("--calibration", "met.csv", "--targets", "pay,age")
    assert done.exit_code == 0, done.output
    assert "2 of 2 targets are met." in (files / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--holdout", "holdout.parquet"], "'--holdout': needs the training rows: add --train."),
        (["--sensitive", "pay"], "'--sensitive': needs the training rows"),
        (["--quasi-identifiers", "age"], "'--quasi-identifiers': needs the training rows"),
    ],
)
def test_what_needs_training_rows_is_refused_without(words, said):
    done = run(*words)
    assert done.exit_code == 2
    assert said in words_of(done)


def test_bad_files_are_refused_before_any_work(files):
    assert "must end in .html" in words_of(run(out="report.pdf"))
    assert "Make it first" in words_of(run(out="none/report.html"))
    assert "Did you mean 'real.parquet'" in words_of(run(real="reel.parquet"))
    done = run(synthetic="report.html")
    assert done.exit_code == 2
    assert "is read as --synthetic" in words_of(done)
    assert not (files / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--conditions", "agee"], "Did you mean 'age'?"),
        (["--targets", "pay,pays"], "Did you mean 'pay'?"),
        (["--weights", "w"], "weight"),
        (["--conditions", "age", "--targets", "age"], "age stand in both"),
    ],
)
def test_wrong_columns_are_one_red_line(files, words, said):
    done = run(*words)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.output
    assert not (files / "report.html").exists()


def test_negative_weights_and_other_types_are_refused():
    people(0).assign(weight=-1.0).to_parquet("real.parquet")
    assert "negative" in run("--weights", "weight").stderr
    people(0).assign(pay="much").to_parquet("real.parquet")
    done = run()
    assert done.exit_code == 1
    assert "give both the same type" in done.stderr


def test_missing_packages_are_named(monkeypatch):
    command = next(known.callback for known in app.registered_commands if known.name == "report")
    monkeypatch.setitem(command.__globals__, "find_spec", lambda name: None)
    done = run()
    assert done.exit_code == 1
    assert "needs matplotlib and scikit-learn: pip install 'microplex[report]'" in done.stderr
