"""Surveys: chances of selection, weights, refusals and missing items.

The seeds are fixed; with fresh ones, the tests on frequencies would all pass with probability 1 - ALPHA.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex.datasets import SurveyDesign, draw_survey, make_population, official_totals
from microplex.datasets.sampling import _select, inclusion_probabilities
from microplex.errors import ColumnNotFoundError, ParameterError

ALPHA = 1e-3
DRAWS = 120
VARIABLES = ("households", "persons", "wages", "social_security", "n_children")


def test_every_household_is_met_with_its_chance():
    chance = np.random.default_rng(0).random(200)
    starts = (np.arange(4000) + 0.5) / 4000
    met = np.zeros(200)
    for start in starts:
        met[_select(chance, start)] += 1
    assert met / 4000 == pytest.approx(chance, abs=2 / 4000)


def test_chances_follow_the_design(population):
    households = population.households
    design = SurveyDesign(n_households=400, allocation=0.0, oversample={"tenure": {"rented": 3.0}})
    chance = inclusion_probabilities(households, design)
    assert chance.sum() == pytest.approx(400)
    california = (households["state"] == "CA").to_numpy()
    rented = (households["tenure"] == "rented").to_numpy()
    assert chance[california & rented][0] == pytest.approx(3 * chance[california & ~rented][0])
    by_state = pd.Series(1 / chance).groupby(households["state"], observed=True)
    assert by_state.mean()["CA"] > by_state.mean()["WY"]


def test_households_met_for_certain_have_weight_one(population):
    design = SurveyDesign(n_households=3000, allocation=0.0, adjustment="none", response={"const": 50.0})
    chance = inclusion_probabilities(population.households, design)
    assert chance.max() == 1.0
    assert chance.sum() == pytest.approx(3000)
    assert len(draw_survey(population, design, seed=0).households) == 3000


def test_a_census_is_the_population(population):
    design = SurveyDesign(
        len(population.households), oversample={}, response={"const": 50.0}, item_missing={}, top_coded=False
    )
    survey = draw_survey(population, design, seed=0)
    assert survey.households["weight"].to_numpy() == pytest.approx(1.0)
    hidden = ["ssi_entitlement"]
    pd.testing.assert_frame_equal(survey.persons.drop(columns="weight"), population.persons.drop(columns=hidden))


@pytest.fixture(scope="module")
def estimates():
    """Totals of many surveys of one population, and the truth."""
    population = make_population(1500, seed=2)
    drawn = {}
    for adjustment, times in (("propensity", DRAWS), ("none", 10)):
        response = {"const": 0.5, "rented": -1.0}
        design = SurveyDesign(
            n_households=300, item_missing={}, top_coded=False, adjustment=adjustment, response=response
        )
        surveys = (draw_survey(population, design, seed) for seed in range(times))
        drawn[adjustment] = np.array([official_totals(s, variables=VARIABLES)["total"].to_numpy() for s in surveys])
    return drawn, official_totals(population, variables=VARIABLES)["total"].to_numpy()


def test_weights_estimate_totals_without_bias(estimates):
    drawn, truth = estimates
    t = (drawn["propensity"].mean(axis=0) - truth) / (drawn["propensity"].std(axis=0, ddof=1) / np.sqrt(DRAWS))
    assert np.abs(t).max() < stats.t(DRAWS - 1).isf(ALPHA / 2 / len(VARIABLES))


def test_refusals_left_alone_bias_totals(estimates):
    drawn, truth = estimates
    assert (drawn["none"].mean(axis=0) < 0.8 * truth).all()


def test_cells_weigh_up_to_the_selected_households(population):
    response = {"const": 0.5, "rented": -1.0}
    cells, none = (
        draw_survey(population, SurveyDesign(900, response=response, adjustment=name), seed=4)
        for name in ("cells", "none")
    )
    everybody = draw_survey(population, SurveyDesign(900, response={"const": 50.0}, adjustment="none"), seed=4)
    assert cells.households["household_id"].tolist() == none.households["household_id"].tolist()
    found, expected = (s.households.groupby("state", observed=True)["weight"].sum() for s in (cells, everybody))
    assert found["CA"] == pytest.approx(expected["CA"])
    assert cells.households["weight"].sum() == pytest.approx(expected.sum(), rel=0.05)


def test_members_have_the_weight_of_their_household(population):
    survey = draw_survey(population, SurveyDesign(500), seed=0)
    for entity in ("tax_units", "persons"):
        own = getattr(survey, entity)["weight"]
        home = survey.households.set_index("household_id")["weight"]
        assert (own.to_numpy() == home.reindex(getattr(survey, entity)["household_id"]).to_numpy()).all()


def test_items_are_missing_at_random_given_age_and_relationship(population):
    survey = draw_survey(population, SurveyDesign(3000, item_missing={"wages": 0.1}), seed=0)
    adults = survey.persons[survey.persons["employment"] != "child"]
    missing = adults["wages"].isna()
    assert 0.08 < missing[adults["relationship"] == "head"].mean() < 0.13
    assert missing[adults["relationship"] != "head"].mean() > missing[adults["relationship"] == "head"].mean()
    assert survey.persons["wages"].notna().where(survey.persons["employment"] == "child", True).all()
    true_wages = population.persons.set_index("person_id")["wages"].reindex(adults["person_id"]).to_numpy()
    old = (adults["age"] // 10).to_numpy()
    kinds = adults["relationship"].cat.codes.to_numpy()
    groups = pd.DataFrame({"missing": missing.to_numpy(), "works": true_wages > 0, "cell": old * 10 + kinds})
    statistic = sum(
        stats.chi2_contingency(table, correction=False).statistic
        for _, cell in groups.groupby("cell")
        if (table := pd.crosstab(cell["missing"], cell["works"])).shape == (2, 2) and table.to_numpy().min() >= 5
    )
    assert statistic < stats.chi2(40).isf(ALPHA)


def test_sums_over_missing_items_are_missing(population):
    survey = draw_survey(population, SurveyDesign(2000, item_missing={"interest": 0.3}), seed=0)
    persons, units = survey.persons, survey.tax_units
    assert (persons["total_income"].isna() == persons["interest"].isna()).all()
    filers = persons[persons["tax_role"] != "dependant"]
    lost = filers.groupby("tax_unit_id")["interest"].agg(lambda s: s.isna().any())
    assert (units.set_index("tax_unit_id")["interest"].isna() == lost).all()
    assert units["wages"].notna().all()
    kept = persons["total_income"].notna()
    assert (persons["total_income"] <= population.persons["total_income"].max())[kept].all()


def test_public_files_are_top_coded(population):
    survey = draw_survey(population, SurveyDesign(3000, item_missing={}), seed=0)
    assert survey.persons["age"].max() == 85
    assert survey.persons["wages"].max() <= 250_000
    assert (survey.tax_units["wages"] == survey.tax_units["wages_head"] + survey.tax_units["wages_spouse"]).all()
    assert "snap_entitlement" not in survey.tax_units
    assert "ssi_entitlement" not in survey.persons


def test_a_survey_depends_on_its_seed_alone(population):
    first, again, other = (draw_survey(population, SurveyDesign(200), seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first.persons, again.persons)
    assert first.households["household_id"].tolist() != other.households["household_id"].tolist()


def test_the_population_is_not_changed(population):
    before = population.persons.copy()
    draw_survey(population, SurveyDesign(500), seed=0)
    pd.testing.assert_frame_equal(population.persons, before)


@pytest.mark.parametrize(
    ("design", "error", "message"),
    [
        ({"n_households": 5000}, ParameterError, "at most 4000, the size of the population; got 5000"),
        ({"n_households": 0}, ParameterError, "n_households must be a whole number of at least 1"),
        ({"n_households": 5, "response": {"const": -50.0}}, ParameterError, "none of 5 households selected answered"),
        ({"adjustment": "cell"}, ParameterError, "Did you mean 'cells'"),
        ({"item_missing": {"wage": 0.1}}, ParameterError, "Did you mean 'wages'"),
        ({"item_missing": {"wages": 1.0}}, ParameterError, "at least 0 and below 1; got 1.0"),
        ({"oversample": {"tenure": {"rented": 0.0}}}, ParameterError, "must be positive; got 0.0"),
        ({"oversample": {"tenur": {"rented": 2.0}}}, ColumnNotFoundError, "Did you mean 'tenure'"),
        ({"oversample": {"tenure": {"renter": 2.0}}}, ColumnNotFoundError, "Did you mean 'rented'"),
        ({"response": {"const": 1.0, "rentd": 1.0}}, ColumnNotFoundError, "Did you mean 'rented'"),
    ],
)
def test_mistakes_are_named(population, design, error, message):
    with pytest.raises(error, match=message):
        draw_survey(population, SurveyDesign(**{"n_households": 100, **design}))
