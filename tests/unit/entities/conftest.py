"""A small population of three households with all that can go wrong left out."""

import pandas as pd
import pyarrow as pa
import pytest

from microplex.entities import US, Population


def small_tables():
    households = pd.DataFrame({"household_id": [10, 20, 30], "state": ["CA", "NY", "CA"], "income": [100.0, 50.0, 7.0]})
    tax_units = pd.DataFrame(
        {"tax_unit_id": [1, 2, 3, 4], "household_id": [10, 10, 20, 30], "income": [90.0, 10.0, 50.0, 7.0]}
    )
    persons = pd.DataFrame(
        {
            "person_id": [101, 102, 103, 201, 202, 301],
            "household_id": [10, 10, 10, 20, 20, 30],
            "tax_unit_id": [1, 1, 2, 3, 3, 4],
            "relationship": ["head", "spouse", "child", "head", "child", "head"],
            "tax_role": ["head", "spouse", "head", "head", "dependant", "head"],
            "age": [40, 38, 19, 30, 5, 70],
            "income": [60.0, 30.0, 10.0, 50.0, 0.0, 7.0],
            "sex": pd.Categorical(["f", "m", "f", "m", "f", "m"], categories=["m", "f", "x"]),
        }
    )
    return {"households": households, "tax_units": tax_units, "persons": persons}


def convert(tables, kind):
    if kind == "pandas":
        return tables
    if kind == "arrow":
        return {name: pa.Table.from_pandas(t, preserve_index=False) for name, t in tables.items()}
    polars = pytest.importorskip("polars")
    return {name: polars.from_pandas(t) for name, t in tables.items()}


@pytest.fixture
def tables():
    return small_tables()


@pytest.fixture(params=["pandas", "polars", "arrow"])
def kind(request):
    return request.param


@pytest.fixture
def population(tables):
    return Population(US, tables)


@pytest.fixture
def of_kind(tables, kind):
    return Population(US, convert(tables, kind))


@pytest.fixture(scope="session")
def as_kind():
    return convert
