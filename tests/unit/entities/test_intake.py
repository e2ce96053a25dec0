"""Whatever has the tables becomes a population."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from microplex.datasets import SurveyDesign, draw_survey, make_population
from microplex.entities import US, Entity, GroupEntity, Hierarchy, Population, as_population
from microplex.errors import DataError


def test_a_population_is_itself(population):
    assert as_population(population) is population
    weighted = Hierarchy(US.member, US.groups, weight_col="income")
    assert as_population(population, weighted).weights().tolist() == [100.0, 50.0, 7.0]


def test_mappings_and_objects(tables):
    for data in (tables, SimpleNamespace(**tables, note="x")):
        assert repr(as_population(data)) == "Population(3 households, 4 tax units, 6 persons)"
    assert Population.from_tables(**tables).persons is tables["persons"]


def test_a_missing_table(tables):
    tables["house_holds"] = tables.pop("households")
    with pytest.raises(DataError, match=r"dict has no table 'households'. Did you mean 'house_holds'"):
        as_population(tables)
    with pytest.raises(DataError, match="int has no table 'households'"):
        as_population(3)


def test_a_survey_carries_its_weight_once():
    survey = draw_survey(make_population(600, seed=1), SurveyDesign(n_households=120), seed=1)
    found = as_population(survey)
    assert found.schema.weight_col == "weight"
    assert "weight" not in found.persons.columns
    assert "weight" not in found.tax_units.columns
    assert "weight" in survey.persons.columns
    assert np.array_equal(found.weights("person"), survey.persons["weight"])


def test_another_weight_of_persons_stays(tables):
    tables["households"]["weight"] = [1.0, 2.0, 3.0]
    tables["persons"]["weight"] = [1.0, 1.1, 1.2, 2.0, 2.1, 3.0]
    assert "weight" in as_population(tables).persons.columns


CENSUS = {1: "head", 2: "spouse", 19: "partner", 7: "parent", 9: "parent", 22: "head", 23: "head"}
CENSUS |= dict.fromkeys((3, 4, 5), "child") | dict.fromkeys((17, 18, 20, 21), "nonrelative")
CENSUS |= dict.fromkeys((6, 8, *range(10, 17)), "other_relative")


def test_a_census_file_with_its_own_codes(shared_data):
    tables = {
        name: pd.read_parquet(shared_data(f"us_households_sf/{name}.parquet")) for name in ("households", "persons")
    }
    home = GroupEntity("household", roles=US.top.roles, role_col="relationship", role_map=CENSUS)
    schema = Hierarchy(Entity("person"), (home,), weight_col="weight")
    found = as_population(tables, schema)
    assert np.array_equal(found.aggregate(None, "count", "household"), tables["households"]["n_persons"])
    assert found.weights("person").sum() == 8212
    with pytest.raises(DataError, match=r"weight repeats the column of households"):
        Population(schema, tables)
    lacking = {code: role for code, role in CENSUS.items() if code != 19}
    home = GroupEntity("household", roles=US.top.roles, role_col="relationship", role_map=lacking)
    with pytest.raises(DataError, match=r"relationship holds 19, for which role_map"):
        as_population(tables, Hierarchy(Entity("person"), (home,), weight_col="weight"))
