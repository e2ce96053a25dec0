import numpy as np
import pandas as pd
import pytest

from microplex.datasets import COMPONENTS, make_population, official_totals
from microplex.datasets.geography import STATES, places
from microplex.datasets.structure import STRUCTURE
from microplex.datasets.tables import Tables
from microplex.datasets.units import SUMMED
from microplex.errors import ColumnNotFoundError, DataError, ParameterError


def rows_of(population, relationship):
    return population.persons[population.persons["relationship"] == relationship]


def test_the_same_seed_is_the_same_population():
    first, second = make_population(300, seed=5), make_population(300, seed=5)
    for entity in ("households", "tax_units", "persons"):
        pd.testing.assert_frame_equal(getattr(first, entity), getattr(second, entity))
    assert first.persons["wages"].sum() != make_population(300, seed=6).persons["wages"].sum()


def test_a_household_depends_on_seed_and_number_alone():
    whole, late = make_population(300, seed=5), make_population(100, seed=5, first=201)
    for entity in ("households", "tax_units", "persons"):
        table = getattr(whole, entity)
        part = table[table["household_id"] > 200].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, getattr(late, entity))


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_population(10, seed=0)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("wrong", [{"n_households": 0}, {"n_households": 2.5}, {"n_households": 9, "first": 0}])
def test_sizes_are_checked(wrong):
    with pytest.raises(ParameterError, match="whole number of at least 1"):
        make_population(**wrong)


def test_one_household_is_a_population():
    assert len(make_population(1, seed=0).households) == 1


def test_households_have_one_head_and_at_most_one_partner(population):
    persons = population.persons
    heads = persons[persons["relationship"] == "head"].groupby("household_id").size()
    assert heads.tolist() == [1] * len(population.households)
    partners = persons[persons["relationship"].isin(["spouse", "partner"])]
    assert not partners["household_id"].duplicated().any()
    assert persons.groupby("household_id")["relationship"].first().eq("head").all()


def test_ages_fit_relationships(population):
    persons = population.persons.set_index("household_id")
    age = persons[persons["relationship"] == "head"]["age"]
    assert age.between(18, 95).all()
    assert rows_of(population, "spouse")["age"].between(18, 95).all()
    children = persons[persons["relationship"] == "child"]
    parents = persons[persons["relationship"].isin(["head", "spouse", "partner"])]
    youngest = parents.groupby(level=0)["age"].min()
    gap = youngest.reindex(children.index) - children["age"]
    assert gap.between(16, 46).all()
    of_head = persons[persons["relationship"] == "parent"]["age"]
    assert (of_head - age.reindex(of_head.index)).between(16, 46).all()
    assert persons["age"].between(0, 100).all()


def test_marital_status_fits_relationships(population):
    assert rows_of(population, "spouse")["marital"].eq("married").all()
    married = population.persons.groupby("household_id")["marital"].agg(lambda s: (s == "married").sum())
    assert set(married) == {0, 2}


def test_education_fits_age(population):
    persons = population.persons
    assert persons.loc[persons["age"] < 15, "education"].eq("none").all()
    assert persons.loc[persons["age"] >= 15, "education"].ne("none").all()
    assert persons.loc[persons["age"] < 22, "education"].le("some_college").all()


def test_implied_zeros(population):
    persons, units = population.persons, population.tax_units
    child = persons["age"] < 15
    assert persons.loc[child, [*COMPONENTS, "hours", "total_income"]].eq(0).all(axis=None)
    assert persons.loc[child, "employment"].eq("child").all()
    assert persons.loc[~child, "employment"].ne("child").all()
    assert persons.loc[persons["age"] < 50, "pensions"].eq(0).all()
    assert persons.loc[(persons["age"] < 62) & ~persons["disabled"], "social_security"].eq(0).all()
    assert persons.loc[~persons["employment"].isin(["employed", "self_employed"]), "hours"].eq(0).all()
    assert persons.loc[persons["employment"] == "employed", "wages"].gt(0).all()
    assert persons.loc[persons["employment"] == "self_employed", "self_employment"].ne(0).all()
    assert units.loc[units["filing_status"] != "joint", ["wages_spouse", "age_spouse"]].eq(0).all(axis=None)
    assert units.loc[units["filing_status"] == "joint", "age_spouse"].gt(0).all()


def test_inequalities(population):
    persons = population.persons
    assert persons["qualified_dividends"].between(0, persons["dividends"]).all()
    assert (persons["capital_gains"] >= -3000).all()
    for share in (0.0, 1.0):
        receives = persons["dividends"] > 0
        assert (persons["qualified_dividends"] == share * persons["dividends"])[receives].mean() > 0.1


def test_sums_are_exact_in_any_order(population):
    persons, units, households = population.persons, population.tax_units, population.households
    for order in (COMPONENTS, COMPONENTS[::-1]):
        assert (persons["total_income"] == persons[list(order)].sum(axis=1)).all()
        assert (units["total_income"] == units[list(order)].sum(axis=1)).all()
    assert (units["wages"] == units["wages_head"] + units["wages_spouse"]).all()
    filers = persons[persons["tax_role"] != "dependant"].groupby("tax_unit_id")[list(SUMMED)].sum()
    pd.testing.assert_frame_equal(units.set_index("tax_unit_id")[list(SUMMED)], filers)
    members = persons.groupby("household_id")["total_income"].sum() + units.groupby("household_id")["snap"].sum()
    assert (households.set_index("household_id")["total_income"] == members).all()


def test_counts_are_exact(population):
    persons, units, households = population.persons, population.tax_units, population.households
    sizes = persons.groupby("tax_unit_id").size()
    assert (units["n_persons"].to_numpy() == sizes.reindex(units["tax_unit_id"]).to_numpy()).all()
    assert (units["n_persons"] == 1 + (units["filing_status"] == "joint") + units["n_dependants"]).all()
    assert (households["n_persons"].to_numpy() == persons.groupby("household_id").size().to_numpy()).all()
    assert households["n_persons"].sum() == len(persons)
    assert households["n_tax_units"].sum() == len(units)


def test_benefits_are_not_taken_up_by_all(population):
    persons, units = population.persons, population.tax_units
    for table, name in ((persons, "ssi"), (units, "snap")):
        due = table[f"{name}_entitlement"]
        assert table[name].isin([0]).where(table[name] != due, True).all()
        assert 0.2 < (table[name][due > 0] > 0).mean() < 0.9


def test_amounts_look_like_survey_answers(adults):
    wages = adults.loc[adults["wages"] > 0, "wages"]
    assert (wages % 1000 == 0).mean() > 0.4
    assert (wages % 100 != 0).mean() > 0.2
    assert (wages == np.rint(wages)).all()
    assert (adults["interest"] % 0.01 > 1e-9).mean() > 0.3
    assert (adults["social_security"] % 10 == 0).all()
    for name in ("self_employment", "capital_gains", "rental"):
        assert (adults[name] < 0).any()
    assert (adults["capital_gains"] == -3000).sum() > 10


def test_codes_of_places_nest(population):
    households, country = population.households, places()
    assert (households["tract"].astype(str).str[:5] == households["county"].astype(str)).all()
    assert country.share.sum() == pytest.approx(1)
    assert len(set(country.tracts)) == len(country.tracts)
    assert set(households["state"]) <= set(STATES)


def test_the_larger_states_have_more_households(population):
    sizes = official_totals(population, by="state", variables=["households"]).set_index("state")["total"]
    assert sizes["CA"] > sizes["TX"] > sizes["WY"]


def test_couples_resemble_each_other(population):
    persons = population.persons.set_index("household_id")
    spouse, head = persons[persons["relationship"] == "spouse"], persons[persons["relationship"] == "head"]
    head = head.reindex(spouse.index)
    assert np.corrcoef(spouse["age"], head["age"])[0, 1] > 0.9
    assert np.corrcoef(spouse["education"].cat.codes, head["education"].cat.codes)[0, 1] > 0.3
    assert 0.05 < spouse["wages"].corr(head["wages"], method="spearman") < 0.5


def test_views_repeat_columns_of_larger_entities(population):
    view = population.view("persons", ["state", "filing_status", "age", "total_income"])
    home = population.households.set_index("household_id")["state"]
    assert (
        view["state"].astype(str).to_numpy() == home.reindex(population.persons["household_id"]).astype(str).to_numpy()
    ).all()
    assert (view["total_income"] == population.persons["total_income"]).all()
    with pytest.raises(ColumnNotFoundError, match="households column 'age' not in data"):
        population.view("households", ["age"])


def broken(population, entity, change):
    tables = {name: getattr(population, name).copy() for name in ("households", "tax_units", "persons")}
    tables[entity] = change(tables[entity])
    return Tables(**tables)


@pytest.mark.parametrize(
    ("entity", "change", "message"),
    [
        ("persons", lambda t: pd.concat([t, t.iloc[[7]]]), "persons: person_id must be unique; row"),
        ("households", lambda t: t.iloc[1:], "tax_units: row 0 has household_id 1, which no row"),
        ("tax_units", lambda t: t.iloc[:-1], "which no row of the parent table has"),
        ("persons", lambda t: t.iloc[1:], "household_id 1 has 0 heads; expected one"),
        ("persons", lambda t: t.drop(columns="person_id"), "persons column 'person_id' not in data"),
        ("persons", lambda t: t.assign(household_id=np.roll(t["household_id"], -1)), "heads; expected one"),
    ],
)
def test_broken_keys_are_named(population, entity, change, message):
    with pytest.raises(DataError, match=message):
        broken(population, entity, change)


def test_a_unit_of_two_households_is_refused(population):
    def move(persons):
        nonhead = persons.index[persons["tax_role"] == "dependant"][0]
        persons.loc[nonhead, "tax_unit_id"] = persons["tax_unit_id"].iloc[-1]
        return persons

    with pytest.raises(DataError, match="belongs to a tax unit of another household"):
        broken(population, "persons", move)


def test_every_table_of_the_structure_is_used():
    assert all("const" in table for table in STRUCTURE.values())


@pytest.mark.slow
def test_a_million_persons_in_thirty_cpu_seconds():
    import time

    start = time.process_time()
    population = make_population(410_000, seed=0)
    assert len(population.persons) > 1_000_000
    assert time.process_time() - start < 30
