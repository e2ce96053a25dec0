"""What the command asks of the synthesizer, with one that only notes what it is asked."""

from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex.cli import app


@pytest.fixture
def train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"id": range(60), "age": range(20, 80), "wages": 1.0, "secret": 5, "w": 2.0})
    frame.to_parquet("train.parquet")
    return frame


@pytest.fixture
def calls(monkeypatch):
    asked = SimpleNamespace(order=[])

    class Noting:
        report_ = SimpleNamespace(n_rows=60, orders=(("wages",),), held_out_log_prob=-1.5, constraints=("[a] kept",))

        def __init__(self, targets, conditions, constraints, **options):
            self.target_vars = targets
            asked.init = {"targets": targets, "conditions": conditions, "constraints": constraints, **options}

        def fit(self, data, weight_col):
            asked.order.append("fit")
            asked.fit = (list(data.columns), weight_col)

        def save(self, path):
            asked.order.append("save")
            asked.save = path.name

        def generate(self, conditions, n, *, seed, id_col):
            asked.order.append("generate")
            asked.generate = (None if conditions is None else conditions, n, seed, id_col)
            return pd.DataFrame({"wages": [1.0]}) if conditions is None else conditions.assign(wages=1.0)

    monkeypatch.setattr("microplex.synthesizer.Synthesizer", Noting)
    return asked


def run(*words):
    return CliRunner().invoke(app, ["synthesize", "train.parquet", "--targets", "wages", "--out", "out.csv", *words])


def test_without_rows_it_generates_for_those_of_the_training_file(train, calls):
    done = run("--conditions", "age", "--weight", "w", "--id-col", "id", "--seed", "3")
    assert done.exit_code == 0, done.output
    rows, n, seed, id_col = calls.generate
    assert list(rows.columns) == ["w", "id", "age"]
    assert (n, seed, id_col) == (None, 3, "id")
    assert calls.fit[1] == "w"
    assert list(pd.read_csv("out.csv").columns) == ["w", "id", "age", "wages"]
    assert "secret" not in done.stdout


def test_without_conditions_it_generates_as_many_rows(train, calls):
    assert run().exit_code == 0
    assert calls.generate[:2] == (None, 60)
    assert not calls.init["fit_conditions"]


def test_n_asks_for_the_law_of_the_conditions(train, calls):
    assert run("--conditions", "age", "--n", "7").exit_code == 0
    assert calls.generate[:2] == (None, 7)
    assert calls.init["fit_conditions"]


def test_rows_of_another_file_keep_their_columns(train, calls):
    train[["secret", "age"]].to_csv("new.csv", index=False)
    assert run("--conditions", "age", "--conditions-from", "new.csv").exit_code == 0
    assert list(calls.generate[0].columns) == ["secret", "age"]


def test_options_reach_the_synthesizer(train, calls):
    done = run(
        "--epochs", "2", "--orders", "0", "--seed", "5", "--constraint", "wages <= 9", "--constraint", "wages > 0"
    )
    assert done.exit_code == 0, done.output
    init = calls.init
    assert init["constraints"] == ["wages <= 9", "wages > 0"]
    assert (init["epochs"], init["n_orders"], init["seed"], init["schema"]) == (2, 0, 5, None)


def test_the_model_is_saved_before_generating_so_that_a_fit_is_never_lost(train, calls):
    done = run("--save", "model")
    assert calls.order == ["fit", "save", "generate"]
    assert "Saved the model to model/." in done.stdout


def test_what_was_done_is_said(train, calls):
    text = run().stdout
    assert "Fitted 60 rows" in text
    assert "-1.500 nats a row" in text
    assert "  [a] kept" in text
    assert "Wrote 1 rows with 1 generated columns to out.csv." in text


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--n", "5", "--id-col", "id"], 2, "leave out"),
        (["--n", "5", "--conditions-from", "train.parquet"], 2, "leave out"),
        (["--n", "0"], 2, "greater than or equal to 1"),
        (["--seed", "-1"], 2, "greater than or equal to 0"),
        (["--out", "out.xlsx"], 2, "must end in"),
        (["--out", "none/out.csv"], 1, "Make it first"),
        (["--conditions", "agee"], 1, "Did you mean 'age'?"),
        (["--conditions", "age", "--weight", "ww"], 1, "'ww' not in data"),
        (["--conditions", "age", "--id-col", "wages"], 1, "not unique"),
        (["--conditions", "age", "--conditions-from", "nwe.csv"], 1, "no file 'nwe.csv'"),
        (["--schema", "none.yaml"], 1, "none.yaml"),
        (["--save", "."], 1, "is not a saved model"),
    ],
)
def test_what_cannot_work_is_refused_before_the_fit(train, calls, words, code, text):
    done = run(*words)
    assert done.exit_code == code
    assert text in " ".join(done.stderr.replace("│", " ").split())
    assert calls.order == []
