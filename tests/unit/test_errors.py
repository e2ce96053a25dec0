import pickle

import pytest

from microplex import errors
from microplex.errors import ColumnNotFoundError, MicroplexError, near_miss

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_clause_catches_every_error(kind):
    assert issubclass(kind, MicroplexError | UserWarning)


@pytest.mark.parametrize(
    "name",
    ["ParameterError", "DataError", "SchemaError", "ConstraintError", "InfeasibleTargetsError", "ModelFormatError"],
)
def test_bad_values_are_value_errors(name):
    assert issubclass(getattr(errors, name), ValueError)


def test_missing_column_is_a_key_error_with_a_readable_message():
    error = ColumnNotFoundError("condition column 'agee' not in data.")
    assert isinstance(error, KeyError)
    assert str(error) == "condition column 'agee' not in data."


@pytest.mark.parametrize("kind", KINDS)
def test_errors_cross_process_borders(kind):
    error = pickle.loads(pickle.dumps(kind("what happened")))
    assert type(error) is kind
    assert str(error) == "what happened"


@pytest.mark.parametrize(
    ("word", "offer"),
    [("educaton", "education"), ("AGE", "age"), ("stat", "state"), ("education_level", "education")],
)
def test_near_miss_is_offered(word, offer):
    assert near_miss(word, ["age", "education", "state"]) == f" Did you mean {offer!r}?"


def test_near_miss_keeps_the_case_of_the_option():
    assert near_miss("e00200S", ["e00200s", "MARS"]) == " Did you mean 'e00200s'?"


@pytest.mark.parametrize("options", [[], ["age"]])
def test_nothing_near_is_no_offer(options):
    assert near_miss("zzz", options) == ""
