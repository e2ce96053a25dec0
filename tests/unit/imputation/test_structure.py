import numpy as np
import pytest

from microplex.errors import DataError
from microplex.imputation.structure import Judge, Rules
from microplex.schema import Column, Schema

SCHEMA = Schema((Column("age", "count", "int"), Column("wage", "continuous", "float", missing="level")))


def test_a_condition_on_a_missing_cell_is_undecided():
    judge = Judge(Rules.of({"wage": "age < 15"}, ["age", "wage"]), SCHEMA)
    due, not_due = judge.decide("wage", {"age": np.array([10.0, 40.0, np.nan])}, 3)
    assert due.tolist() == [True, False, False]
    assert not_due.tolist() == [False, True, False]


def test_empty_cells_are_split_and_values_out_of_place_named():
    judge = Judge(Rules.of({"wage": "age < 15"}, ["age", "wage"]), SCHEMA)
    ages = {"age": np.array([10.0, 40.0, np.nan])}
    assert judge.split("wage", ages, np.array([True, True, True]), "age < 15").tolist() == [False, True, True]
    with pytest.raises(DataError, match="row 0"):
        judge.split("wage", ages, np.array([False, True, True]), "age < 15")
