"""What comes in is checked at the door; messages name the column, the row of the table and the remedy."""

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table

from microplex._random import row_keys
from microplex.encoding import intake
from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.schema import Column, Schema

N = 80


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "wage": rng.integers(0, 900, N),
            "kind": rng.choice(["x", "y"], N),
            "weight": np.where(np.arange(N) < 5, 0.0, 2.0),
        }
    )


def training(frame, schema=None, targets=("wage", "kind"), weight="weight"):
    rows, weights = intake.check_training(frame, targets, weight)
    schema = intake.complete_schema(schema, frame, targets, weight)
    return intake.read_training(frame, schema, targets, rows), weights


@pytest.mark.parametrize(
    ("targets", "conditions", "weight", "text"),
    [
        ("wage", [], None, "target_vars must be a sequence"),
        (["wage"], 3, None, "condition_vars must be a sequence"),
        (["wage", 7], [], None, "must hold column names, got 7"),
        (["wage", "wage"], [], None, "names 'wage' more than once"),
        ([], ["wage"], None, "target_vars is empty"),
        (["wage"], ["kind", "wage"], None, "both a target and a condition"),
        (["wage"], [], "wage", "weight column 'wage' is also"),
    ],
)
def test_each_name_has_one_role(targets, conditions, weight, text):
    with pytest.raises(ParameterError, match=text):
        intake.check_roles(targets, conditions, weight)


def test_any_iterable_of_names_will_do():
    assert intake.check_roles(iter(["a"]), ("b", "c"), "w") == (["a"], ["b", "c"])


def test_weights_are_normalised_and_rows_of_weight_zero_left_out(frame):
    values, weights = training(frame)
    assert len(weights) == len(values["wage"]) == N - 5
    assert weights.mean() == pytest.approx(1)
    assert np.array_equal(values["wage"], frame.wage[5:])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda f: f.assign(wage=f.wage.astype(float).where(f.index != 40)), r"'wage' is missing in row 40 \(1 such"),
        (lambda f: f.assign(wage=f.wage.where(f.index != 41, -7)), r"'wage' is -7 in row 41 .*outside the bounds"),
        (lambda f: f.assign(wage=f.wage.where(f.index != 42, 9999)), r"'wage' is 9999 in row 42 .*\[0, 950\]"),
        (lambda f: f.assign(wage=f.wage.where(f.index != 43, 0.5)), "row 43 .*no multiple of the resolution 1"),
        (lambda f: f.assign(wage=f.wage.astype(float).where(f.index != 44, np.inf)), "infinite in row 44"),
        (lambda f: f.assign(wage="much"), "'wage' should hold numbers"),
        (lambda f: f.assign(kind=f.kind.where(f.index != 45, "z")), "category 'z' in row 45.*unknown="),
        (lambda f: f.assign(kind=f.kind.where(f.index != 46)), "'kind' is missing in row 46.*missing='level'"),
        (lambda f: f.assign(wage=np.nan), "'wage' has no value at all"),
    ],
)
def test_training_tables_that_belie_their_schema(frame, change, text):
    schema = Schema(
        (
            Column("wage", "semicontinuous", "float", resolution=1, lower=0, upper=950),
            Column("kind", "categorical", "string", levels=("x", "y")),
        )
    )
    training(frame, schema)
    with pytest.raises(DataError, match=text):
        training(change(frame), schema)


def test_missing_codes_may_lie_anywhere(frame):
    schema = Schema((Column("wage", "count", "int", resolution=1, lower=0, missing_codes=(-9.5,)),))
    values, _ = training(frame.assign(wage=frame.wage.where(frame.index != 50, -9.5)), schema, ["wage"])
    assert values["wage"][45] == -9.5


def test_a_table_too_small_or_without_a_column(frame):
    with pytest.raises(DataError, match="at least 50 rows of positive weight, got 49"):
        intake.check_training(frame.head(54), ["wage"], "weight")
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'wage'"):
        intake.check_training(frame, ["wages"], None)
    with pytest.raises(DataError, match="must hold numbers"):
        intake.check_training(frame, ["wage"], "kind")


def test_what_the_schema_is_silent_about_is_inferred(frame):
    given = Schema((Column("kind", "categorical", "string", levels=("x", "y", "z")), Column("other", "count", "int")))
    schema = intake.complete_schema(given, frame, ["wage", "kind"], "weight")
    assert schema.names == ("wage", "kind")
    assert schema["kind"].levels == ("x", "y", "z")
    assert schema["wage"].is_numeric


@pytest.fixture(scope="module")
def encoder():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"a": rng.integers(0, 9, N), "b": rng.choice(["x", "y"], N), "c": rng.choice(["u", "v"], N)})
    return encode_table(table, ["a", "b"], ["c"])[0]


def test_reading_rows_to_score(encoder):
    table = pd.DataFrame({"c": ["u", "v"], "a": [3, 4], "b": ["x", "never seen"]})
    values = intake.read_row(table, encoder)
    assert values["b"].tolist() == [0, -2]
    with pytest.raises(ColumnNotFoundError, match="'b'"):
        intake.read_row(table[["c", "a"]], encoder)


def test_reading_rows_for_one_variable(encoder):
    table = pd.DataFrame({"c": ["u", "v"], "a": [3, 4]})
    values = intake.read_row(table, encoder, "a")
    assert np.isnan(values["a"]).all()
    assert values["b"].tolist() == [-1, -1]
    with pytest.raises(ColumnNotFoundError):
        intake.read_row(table, encoder, "zz")


def test_keys_are_positions_or_ids():
    table = pd.DataFrame({"id": [7, 9, 8], "name": ["k1", "k2", "k3"], "twice": [1, 2, 1], "gap": [1.0, np.nan, 2.0]})
    assert np.array_equal(intake.keys_of(table, 3, None, 5), row_keys([5, 6, 7]))
    assert np.array_equal(intake.keys_of(table, 3, "id", 0), row_keys([7, 9, 8]))
    assert np.array_equal(intake.keys_of(table, 3, "name", 0), row_keys(["k1", "k2", "k3"]))
    with pytest.raises(DataError, match="the id of row 0 occurs again"):
        intake.keys_of(table, 3, "twice", 0)
    with pytest.raises(DataError, match="missing in row 1"):
        intake.keys_of(table, 3, "gap", 0)
    with pytest.raises(ParameterError, match="table of conditions"):
        intake.keys_of(None, 3, "id", 0)
