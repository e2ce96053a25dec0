import numpy as np
import pytest

from microplex.datasets import SurveyDesign, draw_survey, official_totals
from microplex.errors import ColumnNotFoundError, DataError


def test_the_nation_is_counted(population):
    totals = official_totals(population, variables=["households", "tax_units", "persons", "wages", "snap"])
    assert list(totals.columns) == ["name", "entity", "variable", "total"]
    found = totals.set_index("name")["total"]
    assert found["households"] == len(population.households)
    assert found["persons"] == len(population.persons)
    assert found["wages"] == population.persons["wages"].sum()
    assert found["snap"] == population.tax_units["snap"].sum()
    assert totals.set_index("name").loc["snap", "entity"] == "tax_units"


@pytest.mark.parametrize("by", ["state", "county", "age_group", "sex", "filing_status", "tenure"])
def test_a_margin_adds_up_to_the_nation(population, by):
    totals = official_totals(population, by=by, variables=["persons", "wages"])
    assert list(totals.columns) == ["name", "entity", "variable", by, "total"]
    sums = totals.groupby("variable")["total"].sum()
    assert sums["persons"] == len(population.persons)
    assert sums["wages"] == population.persons["wages"].sum()


def test_crossed_margins_stand_in_one_table(population):
    totals = official_totals(population, by=[(), "state", ("state", "sex")], variables=["persons"])
    assert totals["name"].is_unique
    crossed = totals[totals["sex"].notna()]
    states = totals[totals["state"].notna() & totals["sex"].isna()].set_index("state")["total"]
    assert crossed.groupby("state")["total"].sum().eq(states).all()
    assert totals["name"].iloc[0] == "persons"
    men = population.view("persons", ["state", "sex"]).eq({"state": "CA", "sex": "male"}).all(axis=1).sum()
    assert totals.set_index("name").loc["persons | state=CA, sex=male", "total"] == men


def test_an_entity_can_be_named(population):
    totals = official_totals(population, variables=["persons.wages", "tax_units.wages"])
    assert totals["entity"].tolist() == ["persons", "tax_units"]
    assert totals["total"].iloc[0] >= totals["total"].iloc[1] == population.tax_units["wages"].sum()


def test_surveys_are_totalled_with_their_weights(population):
    survey = draw_survey(population, SurveyDesign(n_households=300), seed=0)
    total = official_totals(survey, variables=["households"])["total"].iloc[0]
    assert total == pytest.approx(survey.households["weight"].sum())


def test_mistakes_are_named(population):
    with pytest.raises(ColumnNotFoundError, match=r"total 'wage' is no column of any table\. Did you mean 'wages'"):
        official_totals(population, variables=["wage"])
    with pytest.raises(ColumnNotFoundError, match="households column 'sex' not in data"):
        official_totals(population, by="sex", variables=["households"])
    with pytest.raises(DataError, match="must be a numeric column"):
        official_totals(population, variables=["sex"])
    survey = draw_survey(population, SurveyDesign(n_households=900), seed=0)
    with pytest.raises(DataError, match=r"total 'wages' of persons: \d+ values are missing"):
        official_totals(survey, variables=["wages"])


def test_logical_columns_are_counted(population):
    assert official_totals(population, variables=["disabled"])["total"].iloc[0] == np.sum(
        population.persons["disabled"]
    )
