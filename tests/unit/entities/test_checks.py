"""A population is refused with the row, the value and the remedy."""

import numpy as np
import pandas as pd
import pytest

from microplex.entities import US, Entity, GroupEntity, Hierarchy, Population
from microplex.errors import ColumnNotFoundError, DataError, SchemaError


@pytest.fixture
def build(as_kind):
    return lambda tables, kind="pandas", schema=US: Population(schema, as_kind(tables, kind))


def edited(tables, table, column, row, value):
    frame = tables[table].copy()
    frame[column] = frame[column].astype(object) if not isinstance(value, int) else frame[column]
    frame.loc[row, column] = value
    return tables | {table: frame.infer_objects()}


def test_sound_tables_pass_and_are_kept_as_given(of_kind, kind):
    assert repr(of_kind) == "Population(3 households, 4 tax units, 6 persons)"
    assert {type(t).__module__.split(".")[0] for t in of_kind.tables.values()} == {{"arrow": "pyarrow"}.get(kind, kind)}


def test_orphan_persons(tables, kind, build):
    with pytest.raises(DataError, match=r"persons: row 4 is an orphan: its household_id 99 is no row of households"):
        build(edited(tables, "persons", "household_id", 4, 99), kind)
    with pytest.raises(DataError, match=r"tax_units: row 3 is an orphan"):
        build(edited(tables, "tax_units", "household_id", 3, 99), kind)


def test_keys_of_two_types_are_named(tables, build):
    tables["persons"]["household_id"] = tables["persons"]["household_id"].astype(str)
    with pytest.raises(DataError, match=r"orphan.*is text here and a number there: give both one type"):
        build(tables)


@pytest.mark.parametrize(("table", "key"), [("households", "household_id"), ("persons", "person_id")])
def test_duplicated_ids(tables, kind, table, key, build):
    value = int(tables[table][key].iloc[0])
    with pytest.raises(DataError, match=rf"{table}: {key} must be unique; row 2 repeats {value} of row 0"):
        build(edited(tables, table, key, 2, value), kind)


@pytest.mark.parametrize(
    ("table", "key"),
    [("households", "household_id"), ("persons", "person_id"), ("persons", "household_id"), ("persons", "tax_unit_id")],
)
@pytest.mark.parametrize("missing", [np.nan, None])
def test_missing_keys(tables, kind, table, key, missing, build):
    with pytest.raises(DataError, match=rf"{table}: {key} must not be missing; row 1 has"):
        build(edited(tables, table, key, 1, missing), kind)


def test_two_heads(tables, kind, build):
    with pytest.raises(DataError, match=r"household_id 10 has 2 members whose role is 'head'.*exactly one head"):
        build(edited(tables, "persons", "relationship", 1, "head"), kind)


def test_no_head(tables, kind, build):
    with pytest.raises(DataError, match=r"household_id 30 has no member whose role is 'head'"):
        build(edited(tables, "persons", "relationship", 5, "child"), kind)


def test_heads_of_tax_units_are_checked_too(tables, build):
    with pytest.raises(DataError, match=r"tax_unit_id 2 has no member whose role is 'head'"):
        build(edited(tables, "persons", "tax_role", 2, "dependant"))


def test_two_spouses_unless_declared(tables, build):
    twice = edited(tables, "persons", "relationship", 2, "spouse")
    with pytest.raises(DataError, match=r"household_id 10 has 2 members whose role is 'spouse'.*at most one spouse"):
        build(twice)
    home = GroupEntity("household", roles=US.top.roles, role_col="relationship", unique=())
    assert build(twice, schema=Hierarchy(US.member, (home, US.groups[1]))).roles()[2] == 1


def test_role_codes_without_a_mapping(tables, kind, build):
    tables["persons"]["relationship"] = [1, 2, 3, 1, 7, 1]
    coded = {1: "head", 2: "spouse", 3: "child"}
    home = GroupEntity("household", roles=("head", "spouse", "child"), role_col="relationship", role_map=coded)
    schema = Hierarchy(US.member, (home, US.groups[1]))
    with pytest.raises(DataError, match=r"relationship holds 7, for which role_map of household has no role; row 4"):
        build(tables, kind, schema)
    tables["persons"]["relationship"] = [1, 2, 3, 1, 3, 1]
    assert build(tables, kind, schema).roles().tolist() == [0, 1, 2, 0, 2, 0]


def test_a_misspelt_role_offers_the_nearest(tables, kind, build):
    with pytest.raises(DataError, match=r"holds 'spose', no role of household; row 1.*mean 'spouse'"):
        build(edited(tables, "persons", "relationship", 1, "spose"), kind)


def test_a_missing_role(tables, kind, build):
    with pytest.raises(DataError, match=r"relationship must not be missing; row 2"):
        build(edited(tables, "persons", "relationship", 2, None), kind)


def test_near_miss_of_a_column(tables, kind, build):
    tables["persons"] = tables["persons"].rename(columns={"tax_unit_id": "taxunit_id"})
    with pytest.raises(
        ColumnNotFoundError, match=r"persons column 'tax_unit_id' not in data. Did you mean 'taxunit_id'"
    ):
        build(tables, kind)


def test_near_miss_of_a_table(tables, build):
    tables["taxunits"] = tables.pop("tax_units")
    with pytest.raises(DataError, match=r"table 'tax_units' is missing. Did you mean 'taxunits'"):
        build(tables)
    with pytest.raises(DataError, match=r"table 'taxunits' belongs to no entity. Did you mean 'tax_units'"):
        build(tables | {"tax_units": tables["taxunits"]})


def test_a_tax_unit_over_two_households(tables, build):
    with pytest.raises(DataError, match=r"row 2 has household_id 10, but its tax_unit_id 3 belongs to household_id 20"):
        build(edited(edited(tables, "persons", "tax_unit_id", 2, 3), "persons", "tax_unit_id", 3, 2))


def test_groups_without_members(tables, build):
    more = pd.DataFrame({"household_id": [40], "state": ["TX"], "income": [0.0]})
    tables["households"] = pd.concat([tables["households"], more], ignore_index=True)
    with pytest.raises(DataError, match="household_id 40 has no members"):
        build(tables)


def test_tables_of_two_kinds(tables):
    pl = pytest.importorskip("polars")
    with pytest.raises(DataError, match="one kind; got households polars"):
        Population(US, tables | {"households": pl.from_pandas(tables["households"])})


def test_no_rows_in_one_table(tables, build):
    with pytest.raises(DataError, match="tax_units: the data frame has no rows"):
        build(tables | {"tax_units": tables["tax_units"].iloc[:0]})


def test_a_stray_key(tables, build):
    tables["households"]["tax_unit_id"] = 1
    with pytest.raises(DataError, match="households has the key 'tax_unit_id'"):
        build(tables)


def test_a_schema_of_another_type(tables):
    with pytest.raises(SchemaError, match="must be a Hierarchy"):
        Population(tables, US)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, -1.0, 1.0], r"weight must be finite and not negative; row 1 has -1.0"),
        ([1.0, 1.0, np.nan], r"row 2 has nan"),
        ([np.inf, 1.0, 1.0], r"row 0 has inf"),
        (["1", "2", "3"], r"weight must be numbers"),
    ],
)
def test_weights(tables, kind, values, message, build):
    tables["households"]["weight"] = values
    with pytest.raises(DataError, match=message):
        build(tables, kind, Hierarchy(US.member, US.groups, weight_col="weight"))


def test_a_missing_weight_column(tables, build):
    tables["households"]["weigth"] = 1.0
    with pytest.raises(ColumnNotFoundError, match="mean 'weigth'"):
        build(tables, schema=Hierarchy(US.member, US.groups, weight_col="weight"))


class TestCopies:
    def test_text_in_two_tables(self, tables, kind, build):
        tables["persons"]["state"] = ["CA", "CA", "CA", "NY", "NY", "CA"]
        with pytest.raises(DataError, match=r"persons and households both have the column 'state'.*households alone"):
            build(tables, kind)

    def test_contradicting_text_too(self, tables, build):
        tables["persons"]["state"] = ["CA", "TX", "CA", "NY", "NY", "CA"]
        with pytest.raises(DataError, match="both have the column 'state'"):
            build(tables)

    def test_numbers_that_repeat_the_household(self, tables, kind, build):
        tables["persons"]["income"] = [100.0, 100.0, 100.0, 50.0, 50.0, 7.0]
        with pytest.raises(DataError, match=r"persons: income repeats the column of households on every row"):
            build(tables, kind)

    def test_missing_values_hide_no_copy(self, tables, kind, build):
        tables["households"]["income"] = [100.0, np.nan, 7.0]
        tables["persons"]["income"] = [100.0, 100.0, 100.0, np.nan, np.nan, 7.0]
        with pytest.raises(DataError, match="income repeats"):
            build(tables, kind)

    def test_sums_of_those_alone_and_zeros_are_none(self, tables, kind, build):
        for name, n in (("households", 3), ("tax_units", 4), ("persons", 6)):
            tables[name]["benefit"] = np.zeros(n)
        tables["households"].loc[2, "benefit"] = 5.0
        tables["tax_units"].loc[3, "benefit"] = 5.0
        tables["persons"].loc[5, "benefit"] = 5.0
        build(tables, kind)


class TestParents:
    SCHEMA = Hierarchy(US.member, US.groups, parents=("mother_id", "father_id"))

    def with_parents(self, tables, mother, father):
        tables["persons"]["mother_id"], tables["persons"]["father_id"] = mother, father
        return tables

    def test_parents_that_exist(self, tables, kind, build):
        none = [None] * 6
        build(self.with_parents(tables, [None, None, 101, None, 201, None], none), kind, self.SCHEMA)
        build(
            self.with_parents(tables, [None, None, 101, None, 201, None], [None, None, 102, *none[3:]]),
            kind,
            self.SCHEMA,
        )

    def test_circles(self, tables, kind, build):
        tables = self.with_parents(tables, [103, None, None, None, None, None], [None, None, 101, None, None, None])
        with pytest.raises(DataError, match=r"circle: 101 -> 103 -> 101. Nobody can be their own ancestor"):
            build(tables, kind, self.SCHEMA)

    def test_own_parent(self, tables, build):
        with pytest.raises(DataError, match=r"circle: 201 -> 201"):
            build(self.with_parents(tables, [None] * 3 + [201, None, None], [None] * 6), schema=self.SCHEMA)

    def test_a_descendant_of_a_circle_is_not_blamed(self, tables, build):
        tables = self.with_parents(tables, [103, 101, 101, None, None, None], [None] * 6)
        with pytest.raises(DataError, match=r"circle: 101 -> 103 -> 101"):
            build(tables, schema=self.SCHEMA)

    def test_unknown_parents(self, tables, build):
        with pytest.raises(DataError, match=r"row 2 has mother_id 999.*no person_id"):
            build(self.with_parents(tables, [None, None, 999, None, None, None], [None] * 6), schema=self.SCHEMA)

    def test_parents_of_another_household(self, tables, build):
        with pytest.raises(DataError, match=r"row 2 has father_id 201.*another household"):
            build(self.with_parents(tables, [None] * 6, [None, None, 201, None, None, None]), schema=self.SCHEMA)


def test_large_keys_stay_exact(as_kind):
    base = 2**60
    homes = pd.DataFrame({"household_id": [base, base + 1]})
    people = pd.DataFrame({"person_id": [1, 2], "household_id": [base + 1, base]})
    schema = Hierarchy(Entity("person"), (GroupEntity("household"),))
    for kind in ("pandas", "polars", "arrow"):
        found = Population(schema, as_kind({"households": homes, "persons": people}, kind))
        assert found.positions("household").tolist() == [1, 0]
