import pandas as pd
import pytest

from microplex.entities import US
from microplex.errors import ParameterError, SchemaError
from microplex.hierarchy.levels import default_schema, read_levels

HOME = {"target_vars": ["income", "size"], "condition_vars": ["region"]}
PERSON = {"target_vars": ["age", "earnings"], "parent_level": "household"}


def tables(relationship):
    people = {"person_id": [1, 2], "household_id": [1, 1], "relationship": relationship}
    return {"households": pd.DataFrame({"household_id": [1], "weight": [2.0]}), "persons": pd.DataFrame(people)}


def test_the_dictionary_of_the_founding_documents_is_read():
    schema, levels = read_levels({"household": HOME, "person": PERSON}, None)
    assert schema is None
    assert levels["household"].targets == ("income", "size")
    assert levels["household"].conditions == ("region",)
    assert levels["person"].parent == "household"


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ({}, "levels must be a Hierarchy"),
        (["household"], "levels must be a Hierarchy"),
        ({"household": ["income"]}, "must be a dictionary"),
        ({"household": {"targets": ["income"]}, "person": PERSON}, "has no 'targets'"),
        ({"household": {"target_vars": "income"}, "person": PERSON}, "list of column names"),
        ({"household": {"target_vars": ["a", "a"]}, "person": PERSON}, "names 'a' twice"),
        ({"household": HOME, "person": {"parent_level": "houshold"}}, "Did you mean 'household'"),
        ({"household": HOME, "person": {}}, "exactly one level"),
        ({"a": {"parent_level": "b"}, "b": {"parent_level": "a"}, "c": {}}, "in a circle"),
    ],
)
def test_levels_that_cannot_be_are_refused(levels, message):
    with pytest.raises(ParameterError, match=message):
        read_levels(levels, None)


def test_a_level_that_the_schema_lacks_is_refused():
    with pytest.raises(ParameterError, match="Did you mean 'person'"):
        read_levels({"household": HOME, "persons": {**PERSON}}, US)


def test_a_level_needs_its_table():
    _, levels = read_levels({"household": HOME, "person": PERSON}, None)
    with pytest.raises(SchemaError, match="needs a table 'persons'"):
        default_schema(levels, {"households": tables(["head", "child"])["households"]})


def test_usual_roles_and_weights_are_recognised():
    _, levels = read_levels({"household": HOME, "person": PERSON}, None)
    schema = default_schema(levels, tables(["head", "child"]))
    assert schema.top.roles == US.top.roles
    assert schema.weight_col == "weight"


def test_other_roles_are_not_guessed():
    _, levels = read_levels({"household": HOME, "person": PERSON}, None)
    with pytest.warns(UserWarning, match="holds 'boss', which is no role"):
        schema = default_schema(levels, tables(["boss", "child"]))
    assert schema.top.roles == ()


@pytest.mark.parametrize(
    ("level", "key", "where"), [("person", "outcome_vars", "top level"), ("household", "structure_vars", "members")]
)
def test_keys_that_belong_to_another_level_are_refused(level, key, where):
    levels = {"household": {}, "person": {"parent_level": "household"}}
    levels[level][key] = ["x"]
    with pytest.raises(ParameterError, match=f"{key} belong to the {where}"):
        read_levels(levels, None)
