import os

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex.cli import app
from microplex.imputation import Imputer
from microplex.storage import save_model


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    age = rng.integers(0, 80, 120).astype(float)
    wage = np.where(age < 15, np.nan, 10.0 * rng.integers(10, 90, 120))
    frame = pd.DataFrame({"id": range(120), "age": age, "wage": wage, "w": 1.0})
    frame.loc[(frame.index % 4 == 0) & (age >= 15), "wage"] = np.nan
    frame.to_csv("table.csv", index=False)
    return frame


def run(*arguments):
    return CliRunner().invoke(app, ["impute", *arguments])


def test_files_masks_and_model_are_written(table, tmp_path):
    result = run(
        "table.csv", "--out", "out", "--m", "2", "--weight", "w", "--structural", "wage: age < 15", "--id-col", "id",
        "--epochs", "1", "--save", "model", "--format", "csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Completed 120 rows 2 times" in result.output
    assert "wage" in result.output
    files = [pd.read_csv(f"out/imputed_{i}.csv") for i in (1, 2)]
    masks = pd.read_csv("out/masks.csv")
    assert (files[0]["wage"].isna() == (table["age"] < 15)).all()
    assert (masks["wage"] == (table["wage"].isna() & (table["age"] >= 15))).all()
    assert (files[0]["wage"] != files[1]["wage"])[masks["wage"]].any()
    assert (tmp_path / "model" / "manifest.json").is_file()


def test_codes_are_read_from_the_structural_option(table):
    table.assign(wage=table["wage"].where(table["age"] >= 15, -1)).to_parquet("coded.parquet")
    result = run("coded.parquet", "--out", "out", "--m", "1", "--structural", "wage: -1", "--epochs", "1",
                 "--targets", "age,wage")  # fmt: skip
    assert result.exit_code == 0, result.output
    done = pd.read_parquet("out/imputed_1.parquet")
    assert ((done["wage"] == -1) == (table["age"] < 15)).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--structural", "wage"], "column: condition"),
        (["--format", "xlsx"], "parquet or csv"),
        (["--targets", "wagee"], "Did you mean 'wage'"),
        (["--proper", "jackknife"], "must be one of 'bootstrap', 'ensemble', 'none'"),
        (["--structural", "wage: age < 15", "--structural", "wage: -1"], "has two rules"),
        (["--save", "out"], "a folder of its own, outside --out"),
        (["--save", "out/model"], "a folder of its own, outside --out"),
        (["--save", "missing/model"], "Make it first"),
        (["--id-col", "idd"], "Did you mean 'id'"),
        (["--structural", "wage: -1"], "no cell of 'wage' holds -1"),
        (["--save", "table.csv"], "not a saved model"),
        (["--m", "0"], "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_said(table, arguments, text):
    result = run("table.csv", "--out", "out", *arguments)
    assert result.exit_code != 0
    assert text in " ".join(result.output.replace("│", " ").split())


def test_a_folder_with_other_things_is_left_alone(table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    result = run("table.csv", "--out", "out")
    assert result.exit_code == 1
    assert "thesis.txt" in result.output
    assert run("table.csv", "--out", "missing/out").exit_code == 1


def test_files_of_an_earlier_run_do_not_stay(table, tmp_path):
    common = ("table.csv", "--out", "out", "--id-col", "id", "--structural", "wage: age < 15", "--epochs", "1")
    assert run(*common, "--m", "2", "--format", "csv").exit_code == 0
    assert run(*common, "--m", "1").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["imputed_1.parquet", "masks.parquet"]


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_fit(table, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode, **_: mode != os.W_OK)
    result = run("table.csv", "--out", "out")
    assert result.exit_code == 1
    assert "cannot be written to" in result.output


@pytest.fixture
def unfitted(monkeypatch):
    def fit(*_, **__):
        raise AssertionError("trained before the folders were checked")

    monkeypatch.setattr("microplex.imputation.Imputer.fit", fit)


def test_a_model_of_another_kind_is_refused_before_the_fit(table, tmp_path, unfitted):
    save_model("other", "Reweighter", {}, {})
    (tmp_path / "fused").mkdir()
    (tmp_path / "fused" / "manifest.json").write_text('{"kind": "fusion", "files": ["fused.csv"]}')
    (tmp_path / "fused" / "fused.csv").write_text("a\n1\n")
    for folder, text in (("other", "Reweighter"), ("fused", "fused.csv")):
        held = sorted(p.name for p in (tmp_path / folder).iterdir())
        result = run("table.csv", "--out", "out", "--save", folder)
        assert result.exit_code == 1
        assert f"{folder} is not a saved model of kind Imputer" in result.output
        assert text in result.output
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == held
    assert not (tmp_path / "out").exists()


def test_files_are_not_written_into_a_model_nor_over_what_is_read(table, tmp_path, unfitted):
    save_model("model", "Imputer", {}, {})
    result = run("table.csv", "--out", "model/out", "--save", "model")
    assert result.exit_code == 2
    assert "a folder of its own, outside --out" in " ".join(result.output.replace("│", " ").split())
    (tmp_path / "out").mkdir()
    table.to_parquet("out/imputed_1.parquet")
    result = run("out/imputed_1.parquet", "--out", "out")
    assert result.exit_code == 2
    assert "is read from that folder" in " ".join(result.output.replace("│", " ").split())
    assert (tmp_path / "out" / "imputed_1.parquet").is_file()


def test_targets_alone_take_all_other_columns_but_ids_and_weight_as_conditions(table):
    wider = table.assign(name=[f"n{i}" for i in range(120)], empty=np.nan)
    wider.to_csv("wider.csv", index=False)
    result = run("wider.csv", "--out", "out", "--m", "1", "--epochs", "1", "--weight", "w", "--id-col", "id",
                 "--targets", "wage", "--structural", "wage: age < 15", "--save", "model")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert Imputer.load("model").model_.form.conditions == ("age",)
    said = " ".join(result.output.split())
    assert (
        "Note: not used as conditions: 'name' (120 categories in 120 rows, as an identifier has); 'empty' (no" in said
    )
