"""`flatten` and `normalise` are inverse to each other, for every dtype and kind of frame."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.datasets import make_population
from microplex.entities import US, Entity, GroupEntity, Hierarchy, Population, as_population, normalise
from microplex.errors import ColumnNotFoundError, DataError, ParameterError

HOME = Hierarchy(Entity("person"), (GroupEntity("household"),))
NESTED = Hierarchy(Entity("person"), (GroupEntity("household"), GroupEntity("family", "families")))


def same(found, wanted):
    """Compare populations whose groups stand in the order of their first member, keys first."""
    assert found.schema == wanted.schema
    for name, table in wanted.tables.items():
        if isinstance(table, pd.DataFrame):
            pd.testing.assert_frame_equal(found.tables[name], table)
        else:
            assert found.tables[name].equals(table), name
            assert found.tables[name].schema == table.schema, name


def test_there_and_back(of_kind):
    same(normalise(of_kind.flatten(), US), of_kind)


def test_there_and_back_with_short_names(of_kind):
    flat = of_kind.flatten(prefix=False)
    names = flat.column_names if hasattr(flat, "column_names") else list(flat.columns)
    assert names[-3:] == ["state", "household.income", "tax_unit.income"]
    same(normalise(flat, US, columns=of_kind.columns()), of_kind)


def test_back_and_there(population):
    flat = population.flatten()
    pd.testing.assert_frame_equal(normalise(flat, US).flatten(), flat)


def test_the_simulated_population_comes_back():
    found = as_population(make_population(200, seed=5))
    back = normalise(found.flatten(), US)
    for name, table in found.tables.items():
        pd.testing.assert_frame_equal(back.tables[name][list(table.columns)], table)


def test_the_index_of_members_is_kept(tables):
    tables["persons"].index = [5, 5, 3, 2, 1, 0]
    found = Population(US, tables)
    assert found.flatten().index.tolist() == [5, 5, 3, 2, 1, 0]
    same(normalise(found.flatten(), US), found)


def test_no_rows(of_kind):
    nobody = of_kind.take([])
    same(normalise(nobody.flatten(), US), nobody)


def test_group_tables_with_keys_alone(kind, as_kind):
    tables = {
        "households": pd.DataFrame({"household_id": [2, 1]}),
        "persons": pd.DataFrame({"person_id": [1, 2], "household_id": [2, 1], "same": ["x", "x"]}),
    }
    found = Population(HOME, as_kind(tables, kind))
    same(normalise(found.flatten(), HOME), found)


def test_input_is_left_alone(population):
    before = {name: table.copy() for name, table in population.tables.items()}
    flat = population.flatten()
    normalise(flat, US)
    for name, table in population.tables.items():
        pd.testing.assert_frame_equal(table, before[name])


DTYPES = {
    "int64": st.integers(-(2**62), 2**62),
    "float64": st.none() | st.floats(allow_infinity=False, allow_nan=False),
    "bool": st.booleans(),
    "boolean": st.none() | st.booleans(),
    "Int64": st.none() | st.integers(-(2**62), 2**62),
    "int8": st.integers(-5, 5),
    "object": st.none() | st.sampled_from(["a", "b", ""]),
    "string": st.none() | st.text(max_size=3),
    "datetime64[us]": st.none() | st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1)),
    "category": st.none() | st.sampled_from(["low", "high"]),
}
LEVELS = pd.CategoricalDtype(["low", "high", "unused"], ordered=True)


def column(draw, dtype, n):
    values = draw(st.lists(DTYPES[dtype], min_size=n, max_size=n))
    return pd.Series(values, dtype=LEVELS if dtype == "category" else dtype)


@st.composite
def populations(draw):
    """Households with families in them, every dtype at every level, rows in any order."""
    families = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    family_of = np.repeat(np.arange(len(families)), families)
    home_of = np.sort(draw(st.lists(st.integers(0, 3), min_size=len(families), max_size=len(families))))
    rows = draw(st.permutations(range(len(family_of))))
    family = family_of[rows]
    home = home_of[family]
    first_families, first_homes = pd.unique(family), pd.unique(home)
    tables = {
        "households": pd.DataFrame({"household_id": first_homes}),
        "families": pd.DataFrame({"family_id": first_families, "household_id": home_of[first_families]}),
        "persons": pd.DataFrame({"person_id": rows, "household_id": home, "family_id": family}),
    }
    for short, table in zip("hfp", tables.values(), strict=True):
        for dtype in draw(st.lists(st.sampled_from(sorted(DTYPES)), unique=True, max_size=4)):
            table[f"{short}_{dtype}"] = column(draw, dtype, len(table))
    return tables


@settings(max_examples=60, deadline=None)
@given(populations(), st.sampled_from(["pandas", "polars", "arrow"]))
def test_inverse_for_every_dtype(as_kind, tables, kind):
    found = Population(NESTED, as_kind(tables, kind))
    same(normalise(found.flatten(), NESTED), found)
    same(normalise(found.flatten(prefix=False), NESTED, columns=found.columns()), found)


class TestWhichColumns:
    FLAT = pd.DataFrame(
        {
            "person_id": [1, 2, 3, 4],
            "household_id": [7, 7, 8, 8],
            "family_id": [1, 2, 3, 3],
            "state": ["CA", "CA", None, None],
            "benefit": [5.0, 0.0, np.nan, np.nan],
            "age": [40, 38, 60, 61],
        }
    )

    def test_by_constancy_the_largest_group_first(self):
        found = normalise(self.FLAT, NESTED, columns="constant").columns()
        assert found == {
            "households": ["household_id", "state"],
            "families": ["family_id", "benefit"],
            "persons": ["person_id", "age"],
        }

    def test_a_constant_beside_a_prefixed_column_of_its_name(self):
        flat = self.FLAT.assign(**{"household.state": ["NY", "NY", "TX", "TX"]}).drop(columns=["benefit", "age"])
        with pytest.raises(DataError, match="families and households both have the column 'state'"):
            normalise(flat, NESTED, columns="constant")

    def test_by_a_list_of_entities_or_tables(self):
        found = normalise(self.FLAT, NESTED, columns={"household": ["state"]})
        assert found.households["state"].isna().tolist() == [False, True]
        assert "benefit" in found.persons.columns

    def test_without_prefixes_all_is_the_members(self):
        assert list(normalise(self.FLAT, NESTED).households.columns) == ["household_id"]

    def test_a_variable_that_differs_is_refused(self):
        with pytest.raises(
            DataError, match=r"age differs between members of household_id 7: row 0 has 40, row 1 has 38"
        ):
            normalise(self.FLAT, NESTED, columns={"households": ["age"]})

    def test_a_family_of_two_households_is_refused(self):
        with pytest.raises(DataError, match=r"household_id differs between members of family_id 3"):
            normalise(self.FLAT.assign(household_id=[7, 7, 8, 9]), NESTED)

    @pytest.mark.parametrize(
        ("columns", "error", "message"),
        [
            ({"households": ["sate"]}, ColumnNotFoundError, "mean 'state'"),
            ({"households": ["state"], "families": ["state"]}, DataError, "to households and to families"),
            ({"persons": ["age"]}, DataError, "'state' to no table"),
            ("constants", ParameterError, "'constant' or a mapping"),
        ],
    )
    def test_mistakes(self, columns, error, message):
        with pytest.raises(error, match=message):
            normalise(self.FLAT, NESTED, columns=columns)

    def test_missing_keys(self):
        with pytest.raises(ColumnNotFoundError, match="flat column 'family_id'"):
            normalise(self.FLAT.drop(columns="family_id"), NESTED)
        with pytest.raises(DataError, match="flat: household_id must not be missing; row 2"):
            normalise(self.FLAT.assign(household_id=[7, 7, None, 8]), NESTED)


def test_a_member_column_named_like_a_group_column(tables):
    tables["persons"]["household.state"] = 1
    with pytest.raises(DataError, match=r"'household.state' would stand in the flat table twice"):
        Population(US, tables).flatten()


def test_arrow_times_and_decimals_come_back():
    households = pa.table({"household_id": [1, 2], "when": pa.array([datetime.date(2020, 1, 1), None])})
    persons = pa.table({"person_id": [1, 2, 3], "household_id": [1, 1, 2]})
    found = Population(HOME, {"households": households, "persons": persons})
    same(normalise(found.flatten(), HOME), found)
