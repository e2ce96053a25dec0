import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.errors import ColumnNotFoundError, DataError, SchemaError
from microplex.schema import Column, Schema

AGE = Column("age", "count", "int", resolution=1, lower=0)
SEX = Column("sex", "categorical", "string", levels=("f", "m"))
SCHEMA = Schema((AGE, SEX), weight="w", ids=("id",))

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1, max_size=12)


@st.composite
def columns(draw, name):
    missing = draw(st.sampled_from(["none", "level", "unobserved"]))
    if draw(st.booleans()):
        level = draw(st.sampled_from([st.text(), st.integers(), finite]))
        levels = draw(st.lists(level, min_size=1, max_size=6, unique=True))
        unknown = draw(st.sampled_from([None, *levels]))
        kind = draw(st.sampled_from(["categorical", "ordinal"]))
        return Column(name, kind, "category", levels=tuple(levels), unknown=unknown, missing=missing)
    bounds = sorted(draw(st.tuples(finite, finite)))
    inside = st.floats(*bounds)
    resolution = draw(st.none() | st.floats(1e-6, 1.0))
    return Column(
        name,
        draw(st.sampled_from(["continuous", "semicontinuous", "count"])),
        "float",
        missing=missing,
        atoms=tuple(draw(st.lists(inside, max_size=4))),
        resolution=resolution,
        heaps=tuple(draw(st.lists(st.floats(2.0, 1e6), max_size=3))),
        lower=bounds[0],
        upper=bounds[1],
    )


@st.composite
def schemas(draw):
    used = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    return Schema(tuple(draw(columns(name)) for name in used[:-1]), weight=draw(st.sampled_from([None, used[-1]])))


@settings(max_examples=50, deadline=None)
@given(schemas())
def test_yaml_round_trip(schema):
    assert Schema.from_yaml(schema.to_yaml()) == schema


@settings(max_examples=50, deadline=None)
@given(schemas())
def test_dict_round_trip_through_json(schema):
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@settings(max_examples=50, deadline=None)
@given(schemas())
def test_every_schema_has_a_text(schema):
    assert str(schema).startswith("Schema of ")


def test_yaml_file(tmp_path):
    path = tmp_path / "schema.yaml"
    text = SCHEMA.to_yaml(path)
    assert path.read_text(encoding="utf-8") == text
    assert Schema.from_yaml(path) == SCHEMA
    assert Schema.from_yaml(str(path)) == SCHEMA


def test_bad_yaml():
    with pytest.raises(SchemaError, match=r"cannot read the schema file 'absent\.yaml'"):
        Schema.from_yaml("absent.yaml")
    with pytest.raises(SchemaError, match="not valid YAML"):
        Schema.from_yaml("columns: [\n")
    with pytest.raises(SchemaError, match="needs the field 'columns'"):
        Schema.from_yaml("weight: w\n")
    with pytest.raises(SchemaError, match="no field 'wait'"):
        Schema.from_yaml("wait: w\ncolumns: []\n")


def test_access():
    assert SCHEMA.names == ("age", "sex")
    assert SCHEMA["sex"] is SEX
    assert "age" in SCHEMA
    assert "w" not in SCHEMA
    assert len(SCHEMA) == 2
    assert list(SCHEMA) == [AGE, SEX]
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'age'"):
        SCHEMA["agee"]


def test_replace_changes_one_column_of_a_copy():
    edited = SCHEMA.replace("age", upper=99, missing_codes=[-9])
    assert edited["age"].upper == 99.0
    assert edited["age"].missing_codes == (-9.0,)
    assert SCHEMA["age"] == AGE
    assert edited["sex"] == SEX
    assert (edited.weight, edited.ids) == ("w", ("id",))
    with pytest.raises(SchemaError, match=r"no field 'uper'\. Did you mean 'upper'"):
        SCHEMA.replace("age", uper=3)
    with pytest.raises(ColumnNotFoundError):
        SCHEMA.replace("ages", upper=3)


def test_replace_can_rename():
    assert SCHEMA.replace("age", name="years").names == ("years", "sex")


def test_subset_keeps_the_order_asked_for():
    assert SCHEMA.subset(["sex", "age"]).names == ("sex", "age")
    with pytest.raises(ColumnNotFoundError):
        SCHEMA.subset(["sex", "income"])
    with pytest.raises(DataError):
        SCHEMA.subset(["sex", "sex"])


def test_names_are_distinct():
    with pytest.raises(SchemaError, match="'age' occurs twice"):
        Schema((AGE, AGE))
    with pytest.raises(SchemaError, match="'age' occurs twice"):
        Schema((AGE,), weight="age")
    with pytest.raises(SchemaError, match="must be Column"):
        Schema(("age",))


def test_text_shows_what_matters():
    wage = Column(
        "wage", "semicontinuous", "int", atoms=range(7), heaps=(1000,), top_code=99, upper=99, missing="level"
    )
    text = str(Schema((wage, SEX), weight="w", ids=("id",)))
    assert "weight 'w', ids 'id'" in text
    assert (
        "wage  semicontinuous [, 99]; top code 99; atoms 0, 1, 2, 3, 4, ... (7); heaps 1000; missing is a level" in text
    )
    assert "2 levels: f, m" in text


def test_infer_leaves_weight_and_ids_aside(make_frame):
    frame = make_frame({"id": [1, 2], "w": [0.5, 1.5], "x": [1.25, 2.5], "s": ["a", "b"]})
    schema = Schema.infer(frame, weight="w", ids=["id"])
    assert schema.names == ("x", "s")
    assert (schema.weight, schema.ids) == ("w", ("id",))
    assert Schema.infer(frame, columns=["s"]).names == ("s",)
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'w'"):
        Schema.infer(frame, weight="W")
    with pytest.raises(ColumnNotFoundError):
        Schema.infer(frame, columns=["z"])
    with pytest.raises(DataError):
        Schema.infer(frame, columns=["s", "s"])


def test_infer_is_the_same_for_every_kind_of_frame(make_frame):
    columns = {"n": [1, 2, 3], "x": [0.5, 1.25, None], "s": ["a", None, "b"], "b": [True, False, True]}
    schema = Schema.infer(make_frame(columns))
    assert [(c.name, c.kind, c.missing) for c in schema] == [
        ("n", "count", "none"),
        ("x", "continuous", "level"),
        ("s", "categorical", "level"),
        ("b", "boolean", "none"),
    ]
    assert math.isclose(schema["x"].resolution, 0.01)


def test_infer_takes_kinds_as_given():
    frame = pd.DataFrame({"fips": [6, 36, 6], "edu": [1.5, 2.5, np.nan], "s": ["a", "b", "a"]})
    schema = Schema.infer(frame, kinds={"fips": "categorical", "edu": "ordinal", "s": "ordinal"})
    assert schema["fips"].levels == (6, 36)
    assert schema["edu"].levels == (1.5, 2.5)
    assert schema["s"].kind == "ordinal"
    with pytest.raises(ColumnNotFoundError):
        Schema.infer(frame, kinds={"fps": "categorical"})
    with pytest.raises(SchemaError, match="kind must be one of"):
        Schema.infer(frame, kinds={"fips": "category"})
    with pytest.raises(SchemaError, match="holds string values, so its kind cannot be 'count'"):
        Schema.infer(frame, kinds={"s": "count"})
    with pytest.raises(SchemaError, match="holds int values, so its kind cannot be 'date'"):
        Schema.infer(frame, kinds={"fips": "date"})


SHARED_FILES = (
    "us_cps_tax_units.parquet",
    "eusilc_at/households.parquet",
    "eusilc_at/persons.parquet",
    "popsim_survey/households.parquet",
    "popsim_survey/persons.parquet",
    "us_households_sf/households.parquet",
    "us_households_sf/persons.parquet",
    "api/apipop.parquet",
    "api/apistrat.parquet",
    "api/apiclus1.parquet",
    "micro_dgp/train.parquet",
)


@pytest.mark.parametrize("name", SHARED_FILES)
def test_public_microdata_can_be_described(shared_data, name):
    frame = pd.read_parquet(shared_data(name))
    schema = Schema.infer(frame)
    assert schema.names == tuple(frame.columns)
    assert Schema.from_yaml(schema.to_yaml()) == schema
    for column in schema:
        assert (column.missing == "level") == bool(frame[column.name].isna().any())


def test_public_microdata_shows_known_traits(shared_data):
    cps = Schema.infer(pd.read_parquet(shared_data("us_cps_tax_units.parquet")))
    assert cps["e00200"].kind == "semicontinuous"
    assert 0.0 in cps["e00200"].atoms
    assert cps["e00900"].lower is None
    assert {1000.0, 100.0} <= set(cps["e01500"].heaps)
    assert cps["e03210"].top_code == 2500.0
    assert cps["MARS"].kind == "count"
    persons = Schema.infer(pd.read_parquet(shared_data("eusilc_at/persons.parquet")))
    assert persons["py010n"].resolution == 0.01
    assert persons["py010n"].heaps == ()
