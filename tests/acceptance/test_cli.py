"""The command line as a new user runs it: in a folder, on files."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex import Synthesizer
from microplex.cli import app
from microplex.entities import Population

SOURCE = Path(__file__).parents[2] / "src"
QUICK = ("--epochs", "2", "--orders", "0")
CONSTRAINTS = ("--constraint", "bonus <= wages", "--constraint", "age > 65 -> wages == 0")


def shell(*words, cwd, **env):
    command = [sys.executable, "-W", "error", "-c", "from microplex.cli import app; app()", *words]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **env}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with training rows, new rows, and what one ``microplex synthesize`` made of them."""
    path = tmp_path_factory.mktemp("reader")
    rng = np.random.default_rng(0)
    age = rng.integers(16, 90, 400)
    wages = np.where(age > 65, 0, 100 * rng.integers(0, 300, 400))
    train = pd.DataFrame(
        {
            "age": age,
            "state": pd.Categorical(rng.choice(["CA", "NY", "TX"], 400)),
            "wages": wages,
            "bonus": np.round(wages * rng.random(400)),
            "weight": rng.gamma(3, 1, 400),
        }
    )
    train.to_parquet(path / "train.parquet")
    new = train[["age", "state"]].head(50).assign(person=[f"p{i}" for i in range(50)])
    new.to_csv(path / "new.csv", index=False)
    done = shell(
        "synthesize", "train.parquet", "--targets", "wages,bonus", "--conditions", "age,state", "--weight", "weight",
        "--conditions-from", "new.csv", "--id-col", "person", "--out", "synthetic.parquet", "--save", "model",
        *CONSTRAINTS, *QUICK, cwd=path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path / "said.txt").write_text(done.stdout + done.stderr)
    return path


def test_synthesize_writes_the_rows_asked_for(folder):
    new, synthetic = pd.read_csv(folder / "new.csv"), pd.read_parquet(folder / "synthetic.parquet")
    pd.testing.assert_frame_equal(synthetic[["age", "state", "person"]], new)
    assert list(synthetic.columns) == ["age", "state", "person", "wages", "bonus"]
    assert (synthetic["bonus"] <= synthetic["wages"]).all()
    assert (synthetic.loc[synthetic["age"] > 65, "wages"] == 0).all()


def test_synthesize_says_what_it_did_and_shows_no_bar_in_a_file(folder):
    said = (folder / "said.txt").read_text()
    assert "Fitted 400 rows" in said
    assert "bonus <= wages" in said
    assert "Wrote 50 rows" in said
    assert "━" not in said


def test_the_saved_model_generates_the_same_rows(folder):
    model = Synthesizer.load(folder / "model")
    again = model.generate(pd.read_csv(folder / "new.csv"), seed=0, id_col="person")
    pd.testing.assert_frame_equal(again, pd.read_parquet(folder / "synthetic.parquet"))


def test_nothing_but_what_was_asked_for_is_left(folder):
    left = {path.name for path in folder.iterdir()}
    assert left == {"train.parquet", "new.csv", "synthetic.parquet", "model", "said.txt"}


@pytest.mark.slow
def test_synthesize_generates_conditions_too(folder, tmp_path):
    out = tmp_path / "whole.csv"
    done = run(
        "synthesize", folder / "train.parquet", "--targets", "wages,bonus", "--conditions", "age,state",
        "--n", 30, "--out", out, *QUICK,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    whole = pd.read_csv(out)
    assert list(whole.columns) == ["age", "state", "wages", "bonus"]
    assert len(whole) == 30


def test_inspect_describes_the_file_and_its_weights(folder):
    done = shell("inspect", "train.parquet", "--weight", "weight", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert all(word in done.stdout for word in ("semicontinuous", "categorical", "Kish design effect", "400 rows"))


def test_a_schema_can_be_written_corrected_and_used(folder, tmp_path):
    schema = tmp_path / "schema.yaml"
    assert run("inspect", folder / "train.parquet", "--yaml", schema).exit_code == 0
    schema.write_text(schema.read_text().replace("name: wages", "name: wages\n  upper: 10"))
    done = run(
        "synthesize", folder / "train.parquet", "--targets", "wages", "--schema", schema,
        "--out", tmp_path / "out.csv", *QUICK,
    )  # fmt: skip
    assert done.exit_code == 1
    assert "wages" in done.stderr


def test_help_answers_at_once(tmp_path):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = shell("--help", cwd=tmp_path)
        times.append(time.perf_counter() - start)
        assert all(
            word in done.stdout for word in ("synthesize", "synthesize-households", "reweight", "inspect", "demo")
        )
    assert min(times) < 2


BAD = {
    "a missing file": (["inspect", "trian.parquet"], "Did you mean 'train.parquet'?"),
    "a suffix": (["inspect", "model"], "suffix"),
    "a misspelt target": (["synthesize", "train.parquet", "--targets", "wagse"], "Did you mean 'wages'?"),
    "a misspelt weight": (["synthesize", "train.parquet", "--targets", "wages", "--weight", "wieght"], "'weight'?"),
    "a target that is a condition": (
        ["synthesize", "train.parquet", "--targets", "wages", "--conditions", "wages"],
        "both a target and a condition",
    ),
    "a constraint that the rows break": (
        ["synthesize", "train.parquet", "--targets", "wages,bonus", "--constraint", "bonus >= wages"],
        "training rows",
    ),
    "a constraint that cannot be read": (
        ["synthesize", "train.parquet", "--targets", "wages", "--constraint", "wages <="],
        "character",
    ),
    "a damaged file": (["inspect", "damaged.parquet"], "cannot be read"),
    "too few rows": (["synthesize", "few.csv", "--targets", "wages"], "at least 50 rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_input_ends_in_one_clear_message(case, folder, tmp_path, monkeypatch):
    words, text = BAD[case]
    for name in ("train.parquet", "model"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 this is no table")
    pd.read_parquet(folder / "train.parquet").head(5).to_csv(tmp_path / "few.csv", index=False)
    before = {path.name for path in tmp_path.iterdir()}
    monkeypatch.chdir(tmp_path)
    done = run(*words, *(["--out", "out.parquet", *QUICK] if words[0] == "synthesize" else []))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == before


def test_an_unseen_category_is_named(folder, tmp_path):
    new = tmp_path / "new.csv"
    pd.DataFrame({"age": [30], "state": ["Atlantis"]}).to_csv(new, index=False)
    done = run(
        "synthesize", folder / "train.parquet", "--targets", "wages", "--conditions", "age,state",
        "--conditions-from", new, "--out", tmp_path / "out.csv", *QUICK,
    )  # fmt: skip
    assert done.exit_code == 1
    assert "Atlantis" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]


@pytest.mark.parametrize("words", [["synthesize", "train.parquet"], ["inspect", "--nonsense"], ["nonsense"]])
def test_a_wrong_call_has_the_status_2(words):
    done = run(*words)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_reweight_meets_the_totals_of_files(folder, tmp_path):
    (tmp_path / "train.parquet").symlink_to(folder / "train.parquet")
    (tmp_path / "totals.csv").write_text("state,variable,total\nCA,,500\nNY,,400\nTX,,450\n,wages,15000000\n")
    words = ("--targets", "totals.csv", "--out", "weighted.csv", "--plot", "weighted.svg", "--report", "report.csv")
    done = shell("reweight", "train.parquet", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Every target is met." in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110
    weighted = pd.read_csv(tmp_path / "weighted.csv")
    sums = weighted.groupby("state")["weight"].sum()
    np.testing.assert_allclose(sums[["CA", "NY", "TX"]], [500, 400, 450], rtol=1e-9)
    assert weighted["weight"] @ weighted["wages"] == pytest.approx(15e6, rel=1e-9)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"train.parquet", "totals.csv", "weighted.csv", "weighted.svg", "report.csv"}


def test_reweight_names_what_clashes_and_writes_nothing(folder, tmp_path):
    (tmp_path / "totals.csv").write_text("state,total\nCA,500\nNY,400\nTX,450\n,1400\n")
    done = shell(
        "reweight", str(folder / "train.parquet"), "--targets", "totals.csv", "--out", "weighted.csv",
        "--plot", "weighted.png", "--report", "report.csv", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert "vs the sum of 3 states" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["totals.csv"]


SMALL = ("--survey", 300, "--households", 200, *QUICK)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "new" / "demo"
    done = run("demo", "--out", out, *SMALL)
    assert done.exit_code == 0, done.output
    return out, done.stdout


def test_the_demo_leaves_tables_and_a_model(demo):
    out, _ = demo
    pytest.importorskip("matplotlib")
    names = {"survey.parquet", "real.parquet", "synthetic.parquet", "comparison.parquet", "comparison.png", "model"}
    weighted = {"targets.csv", "households", "calibration.png"}
    assert {path.name for path in out.iterdir()} == names | weighted | {"report.html"}
    real, synthetic = (pd.read_parquet(out / f"{name}.parquet") for name in ("real", "synthetic"))
    shared = ["person_id", "household_id", "relationship", "age", "state"]
    pd.testing.assert_frame_equal(synthetic[shared], real[shared])
    assert list(synthetic.columns) == list(real.columns)
    assert Synthesizer.load(out / "model").report_.n_rows == len(pd.read_parquet(out / "survey.parquet"))


def test_the_demo_gives_partners_the_generated_wages_of_their_heads(demo):
    synthetic = pd.read_parquet(demo[0] / "synthetic.parquet")
    heads = synthetic[synthetic["relationship"] == "head"].set_index("household_id")["wages"]
    partners = synthetic[synthetic["relationship"].isin(["spouse", "partner"])]
    assert (partners["head_wages"].to_numpy() == heads.reindex(partners["household_id"]).to_numpy()).all()


def test_the_demo_compares_beside_the_floor(demo):
    out, said = demo
    assert max(map(len, said.splitlines())) <= 110
    for text in ("fresh real", "p99", "KS", "Spearman", "joint zero pattern", "nats a variable"):
        assert text in said, text
    assert "Declared edits broken: 0 of" in said
    table = pd.read_parquet(out / "comparison.parquet")
    floor = table[(table["table"] == "fresh real") & (table["statistic"] == "ks")]
    assert floor["value"].between(0, 0.3).all()
    assert {"wages", "total_income", "(all)", "employment"} <= set(table["variable"])


def test_the_demo_ends_in_normalised_tables_of_households_weighted_to_the_totals_that_it_leaves(demo):
    out, said = demo
    assert "Every target is met." in said
    made, totals = Population.load(out / "households"), pd.read_csv(out / "targets.csv")
    assert {path.name for path in (out / "households").iterdir()} == {
        "households.parquet",
        "tax_units.parquet",
        "persons.parquet",
        "manifest.json",
    }
    assert made.size("household") == 200
    assert made.size("tax_unit") >= 200
    homes, weights = made.households, made.weights()
    total = totals.set_index("name")["total"]
    assert weights[homes["tenure"] == "rented"].sum() == pytest.approx(total["households | tenure=rented"], rel=1e-9)
    women = made.weights("person")[made.persons["sex"] == "female"].sum()
    assert women == pytest.approx(total["persons | sex=female"], rel=1e-9)
    assert "households | tenure=rented" in said


def test_the_demo_judges_households_beside_their_floor(demo):
    out, said = demo
    for text in ("who lives together", "told apart from real households", "ages of partners"):
        assert text in said, text
    pytest.importorskip("matplotlib")
    assert 'id="households"' in (out / "report.html").read_text(encoding="utf-8")


def test_the_demo_without_matplotlib_says_what_to_install(demo, monkeypatch, capsys):
    from microplex.cli.demo import _picture

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    _picture(pd.DataFrame(), pd.DataFrame(), {}, [], demo[0] / "none.png")
    assert "pip install 'microplex[plot]'" in capsys.readouterr().out
    assert not (demo[0] / "none.png").exists()


def test_the_demo_refuses_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "demo").write_text("")
    done = run("demo", "--out", tmp_path / "demo", *SMALL)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: File exists")
