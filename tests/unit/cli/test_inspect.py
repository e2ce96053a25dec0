import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex.cli import app
from microplex.cli.formats import number, share
from microplex.cli.inspect import number_cells
from microplex.frames import read_column
from microplex.schema import Schema
from microplex.survey import ess, kish_design_effect


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    n = 1000
    wages = np.where(rng.random(n) < 0.4, 0, np.minimum(rng.lognormal(10.5, 1, n).round(-2), 100_000))
    return pd.DataFrame(
        {
            "person": np.arange(n),
            "age": rng.integers(0, 90, n),
            "a_rather_long_name_of_a_column_that_a_survey_may_well_have": wages,
            "gains": np.where(rng.random(n) < 0.9, 0.0, rng.normal(0, 5_000, n)),
            "unanswered": np.where(rng.random(n) < 0.25, np.nan, 1.5),
            "state": rng.choice(["CA", "NY"], n, p=[0.7, 0.3]),
            "born": pd.Timestamp("1950-01-01") + pd.to_timedelta(rng.integers(0, 9_000, n), "D"),
            "weight": rng.choice([0.0, 1.0, 3.0], n),
        }
    )


def inspect(frame, path, *options):
    frame.to_parquet(path / "table.parquet")
    return CliRunner().invoke(app, ["inspect", str(path / "table.parquet"), *options])


def test_the_tables_fit_a_page_and_say_what_there_is(table, tmp_path):
    done = inspect(table, tmp_path, "--weight", "weight", "--id-col", "person")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("table.parquet: 1,000 rows, 6 columns\n")
    assert max(map(len, done.stdout.splitlines())) <= 100
    flat = " ".join(done.stdout.split())
    for text in (
        "100,000",
        "top ",
        "100 ",
        "25%",
        f"CA {share((table['state'] == 'CA').mean())}",
        str(table["born"].min())[:10],
        f"effective sample size {ess(table['weight']):.0f}",
        f"Kish design effect {kish_design_effect(table['weight']):.3f}",
    ):
        assert text in flat, text
    assert "person" not in done.stdout


def test_the_schema_written_is_the_schema_shown(table, tmp_path):
    goal = tmp_path / "schema.yaml"
    done = inspect(table, tmp_path, "--weight", "weight", "--yaml", str(goal))
    assert done.exit_code == 0, done.output
    assert Schema.from_yaml(goal) == Schema.infer(table, weight="weight")


def test_a_column_without_values_has_a_row(tmp_path):
    done = inspect(pd.DataFrame({"empty": [np.nan, np.nan], "level": [None, None]}), tmp_path)
    assert done.exit_code == 0, done.output
    assert "empty" in done.stdout


@pytest.mark.parametrize(
    ("change", "options", "text"),
    [
        ({"weight": -1.0}, ["--weight", "weight"], "row 0 has -1.0"),
        ({"weight": 0.0}, ["--weight", "weight"], "positive sum"),
        ({}, ["--weight", "state"], "must hold numbers"),
        ({}, ["--weight", "wieght"], "Did you mean 'weight'?"),
        ({"gains": np.inf}, [], "must be finite"),
    ],
)
def test_a_table_that_cannot_be_described_is_refused_whole(table, tmp_path, change, options, text):
    done = inspect(table.assign(**change), tmp_path, *options)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert text in done.stderr


def test_point_masses_are_named_by_their_share():
    values = np.r_[np.zeros(50), np.full(30, 500.0), np.full(15, -9.0), np.arange(5) + 0.5]
    frame = pd.DataFrame({"x": values})
    column = Schema.infer(frame).replace("x", missing_codes=[-9], atoms=[0, 500], lower=None)["x"]
    masses, grain, bounds = number_cells(column, read_column(frame, "x"))
    assert masses == "0 50%, 500 30%\nand 1 more"
    assert grain == "0.1"
    assert bounds == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1e6, "1,000,000"), (0.1 + 0.2, "0.3"), (1234567.8, "1,234,568"), (-2.5, "-2.5"), (1e-7, "1e-07")],
)
def test_numbers_read_well(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.0996, "10%"), (0.0994, "9.9%"), (0.9904, "99%"), (0.0009, "<0.1%")])
def test_shares_read_well(value, text):
    assert share(value) == text
