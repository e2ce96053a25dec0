"""Positions, order, projectors and selection against plain loops."""

import copy
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.datasets import make_population
from microplex.entities import US, GroupEntity, Hierarchy, Population, as_population
from microplex.errors import ColumnNotFoundError, DataError, ParameterError, SchemaError


def listed(values):
    if hasattr(values, "to_pylist"):
        return values.to_pylist()
    return [None if pd.isna(v) else v for v in list(values)]


def test_tables_by_attribute_name_and_entity(of_kind):
    assert of_kind.persons is of_kind.table("person") is of_kind.table("persons") is of_kind.tables["persons"]
    assert [of_kind.size(name) for name in ("household", "tax_unit", "person")] == [3, 4, 6]
    with pytest.raises(AttributeError, match="mean 'persons'"):
        _ = of_kind.person


def test_positions(of_kind):
    assert of_kind.positions("household").tolist() == [0, 0, 0, 1, 1, 2]
    assert of_kind.positions("tax_unit").tolist() == [0, 0, 1, 2, 2, 3]
    assert of_kind.positions("household", of="tax_unit").tolist() == [0, 0, 1, 2]
    with pytest.raises(SchemaError, match="tax_unit does not contain household"):
        of_kind.positions("tax_unit", of="household")


def test_positions_over_two_levels(tables):
    tables["couples"] = pd.DataFrame({"couple_id": [7, 8, 9, 5], "tax_unit_id": [4, 3, 2, 1]})
    tables["persons"]["couple_id"] = [5, 5, 9, 8, 8, 7]
    found = Population(Hierarchy(US.member, (*US.groups, GroupEntity("couple", within="tax_unit"))), tables)
    assert found.positions("household", of="couple").tolist() == [2, 1, 0, 0]
    assert found.aggregate(None, "count", "household", of="couple").tolist() == [2, 1, 1]
    assert found.take([2]).table("couple")["couple_id"].tolist() == [7]


def test_arrays_cannot_be_changed(population):
    for array in (population.positions("household"), population.roles(), population.order(), population.weights()):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_roles_and_weights(of_kind):
    assert of_kind.roles().tolist() == [0, 1, 3, 0, 3, 0]
    assert of_kind.roles("tax_unit").tolist() == [0, 1, 0, 0, 2, 0]
    assert of_kind.weights("person").tolist() == [1.0] * 6


def test_weights_reach_every_entity(tables, kind, as_kind):
    tables["households"]["w"] = [3, 0, 2]
    found = Population(Hierarchy(US.member, US.groups, weight_col="w"), as_kind(tables, kind))
    assert found.weights().tolist() == [3.0, 0.0, 2.0]
    assert found.weights("tax_unit").tolist() == [3.0, 3.0, 0.0, 2.0]
    assert found.weights("person").tolist() == [3.0, 3.0, 3.0, 0.0, 0.0, 2.0]
    assert tables["households"]["w"].dtype == np.int64


def test_groups_without_roles(tables):
    schema = Hierarchy(US.member, (GroupEntity("household"), GroupEntity("tax_unit")))
    found = Population(schema, tables)
    assert found.order().tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(SchemaError, match="household has no roles"):
        found.roles()


def test_canonical_order_ignores_the_order_of_rows(tables):
    persons = tables["persons"]
    persons.loc[4, "relationship"] = "child"
    more = persons.loc[[4, 4]].assign(person_id=[150, 140], age=[9, 5])
    tables["persons"] = pd.concat([persons, more], ignore_index=True)
    ids = Population(US, tables).persons["person_id"].to_numpy()[Population(US, tables).order()]
    assert ids.tolist() == [101, 102, 103, 201, 150, 140, 202, 301]
    for seed in range(5):
        shuffled = tables["persons"].sample(frac=1, random_state=seed)
        found = Population(US, tables | {"persons": shuffled})
        assert shuffled["person_id"].to_numpy()[found.order()].tolist() == ids.tolist()


def test_order_by_text_keys_and_unknown_ages(tables):
    tables["persons"]["person_id"] = list("fedcba")
    tables["persons"]["relationship"] = ["head", "child", "child", "head", "child", "head"]
    tables["persons"]["age"] = [40, np.nan, 19, 30, 5, 70]
    assert Population(US, tables).order().tolist() == [0, 2, 1, 3, 4, 5]
    assert Population(US, tables).order(age_col=None).tolist() == [0, 2, 1, 3, 4, 5]


class TestBroadcast:
    def test_a_column_keeps_its_type(self, of_kind):
        assert listed(of_kind.broadcast("state", "household")) == ["CA", "CA", "CA", "NY", "NY", "CA"]
        found = of_kind.broadcast("income", "household", to="tax_unit")
        assert type(found) is type(of_kind.households["income"])
        assert listed(found) == [100.0, 100.0, 50.0, 7.0]

    def test_arrays_lists_and_series(self, population):
        assert population.broadcast(np.array([1, 2, 3]), "household").dtype == np.int64
        assert population.broadcast([1, 2, 3], "household").tolist() == [1, 1, 1, 2, 2, 3]
        kept = population.broadcast(pd.Series(["a", "b", "a"], index=[5, 6, 7], dtype="category"), "household")
        assert kept.dtype == "category"
        assert kept.index.tolist() == list(range(6))

    def test_wrong_length_and_unknown_column(self, population):
        with pytest.raises(DataError, match=r"one for each of 3 households; got 6"):
            population.broadcast(np.zeros(6), "household")
        with pytest.raises(DataError, match="one for each of 3 households"):
            population.broadcast(np.zeros((3, 2)), "household")
        with pytest.raises(ColumnNotFoundError, match="mean 'state'"):
            population.broadcast("sate", "household")

    def test_series_carry_the_index_of_their_table(self, tables):
        for name, table in tables.items():
            table.index = table.index[::-1]
            tables[name] = table
        found = Population(US, tables)
        state = found.broadcast("state", "household")
        assert state.index.equals(found.persons.index)
        first = found.aggregate(state, "first", "household")
        assert first.index.equals(found.households.index)
        assert first.tolist() == ["CA", "NY", "CA"]

    def test_rows_in_another_order_are_refused(self, population):
        with pytest.raises(DataError, match="rows of households in another order"):
            population.broadcast(population.households["income"].sort_values(), "household")


class TestAggregate:
    @pytest.mark.parametrize(
        ("values", "how", "group", "options", "wanted"),
        [
            ("income", "sum", "household", {}, [100.0, 50.0, 7.0]),
            ("income", "mean", "tax_unit", {}, [45.0, 10.0, 25.0, 7.0]),
            ("age", "max", "household", {}, [40, 30, 70]),
            ("age", "min", "household", {"role": "child"}, [19, 5, None]),
            ("age", "sum", "household", {"role": ("spouse", "child")}, [57, 5, 0]),
            (None, "count", "household", {"role": "child"}, [1, 1, 0]),
            ("age", "first", "household", {}, [40, 30, 70]),
            ("sex", "first", "household", {"role": "spouse"}, ["m", None, None]),
            ("income", "any", "household", {"role": "child"}, [True, False, False]),
            ("income", "all", "household", {}, [True, False, True]),
        ],
    )
    def test_named_columns(self, of_kind, values, how, group, options, wanted):
        assert listed(of_kind.aggregate(values, how, group, **options)) == wanted

    def test_types(self, population):
        assert population.aggregate("age", "sum", "household").dtype == np.int64
        assert population.aggregate("age", "max", "household").dtype == np.int64
        assert population.aggregate("age", "max", "household", role="child").dtype == np.float64
        assert population.aggregate("sex", "first", "household").dtype == population.persons["sex"].dtype

    def test_first_of_arrays_where_some_have_none(self, population):
        found = population.aggregate(np.array([1, 2, 3, 4, 5, 6]), "first", "household", role="child")
        assert found.dtype == np.float64
        assert listed(found) == [3.0, 5.0, None]
        found = population.aggregate(np.arange(6) > 3, "first", "household", role="child")
        assert listed(found) == [0.0, 1.0, None]

    def test_large_whole_numbers_stay_exact(self, population):
        assert population.aggregate(np.array([2**60, 1, 1, 0, 0, 0]), "sum", "household")[0] == 2**60 + 2

    def test_where_and_counts_of_present_values(self, population):
        young = population.persons["age"].to_numpy() < 20
        assert population.aggregate(None, "count", "household", where=young).tolist() == [1, 1, 0]
        values = np.array([1.0, np.nan, 2.0, np.nan, np.nan, 3.0])
        assert population.aggregate(values, "count", "household").tolist() == [2, 0, 1]

    def test_masks_of_every_kind_of_frame(self, of_kind):
        mask = [True, False, True, False, True, True]
        for where in (mask, np.array(mask), pd.Series(mask, dtype="boolean"), pa.array(mask), pa.chunked_array([mask])):
            assert of_kind.aggregate("age", "sum", "household", where=where).tolist() == [59, 5, 70]

    def test_missing_values_make_sums_missing(self, of_kind):
        values = np.array([1.0, np.nan, 2.0, 4.0, 5.0, 3.0])
        for how, wanted in (("sum", 9.0), ("max", 5.0), ("min", 4.0), ("mean", 4.5)):
            found = of_kind.aggregate(values, how, "household")
            assert np.isnan(found[0]), how
            assert found[1] == wanted, how

    def test_nobody_counts_anywhere(self, population):
        nobody = np.zeros(6, dtype=bool)
        assert population.aggregate("age", "sum", "household", where=nobody).tolist() == [0, 0, 0]
        assert np.isnan(population.aggregate("age", "mean", "household", where=nobody)).all()
        assert population.aggregate("age", "all", "household", where=nobody).all()
        assert listed(population.aggregate("sex", "first", "household", where=nobody)) == [None] * 3

    def test_units_to_households(self, of_kind):
        assert of_kind.aggregate("income", "sum", "household", of="tax_unit").tolist() == [100.0, 50.0, 7.0]
        with pytest.raises(SchemaError, match="role is of members"):
            of_kind.aggregate("income", "sum", "household", of="tax_unit", role="head")

    def test_mistakes(self, population):
        with pytest.raises(ParameterError, match="mean 'mean'"):
            population.aggregate("age", "mena", "household")
        with pytest.raises(DataError, match="needs numbers; got category"):
            population.aggregate("sex", "sum", "household")
        with pytest.raises(DataError, match="needs values"):
            population.aggregate(None, "sum", "household")
        with pytest.raises(DataError, match="without missing values; row 1"):
            population.aggregate(np.array([1, np.nan, 0, 0, 0, 0]), "any", "household")
        with pytest.raises(DataError, match="where must be True or False"):
            population.aggregate("age", "sum", "household", where=[1, 0, 1, 0, 1, 0])
        with pytest.raises(SchemaError, match="mean 'child'"):
            population.aggregate("age", "sum", "household", role="chld")

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_as_a_loop_would(self, data):
        n_groups = data.draw(st.integers(1, 6))
        extra = data.draw(st.lists(st.integers(0, n_groups - 1), max_size=12))
        home = data.draw(st.permutations([*range(n_groups), *extra]))
        n = len(home)
        values = np.array(data.draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n)))
        where = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        schema = Hierarchy(US.member, (GroupEntity("household"),))
        found = Population.from_tables(
            schema,
            households=pd.DataFrame({"household_id": np.arange(n_groups)}),
            persons=pd.DataFrame({"person_id": np.arange(n), "household_id": home}),
        )
        for how, reduce, empty in (
            ("sum", sum, 0),
            ("min", min, None),
            ("max", max, None),
            ("mean", np.mean, None),
            ("any", any, False),
            ("all", all, True),
            ("first", lambda v: v[0], None),
        ):
            members = [
                [v for v, h, w in zip(values, home, where, strict=True) if h == g and w] for g in range(n_groups)
            ]
            wanted = [reduce(m) if m else empty for m in members]
            assert listed(found.aggregate(values, how, "household", where=where)) == pytest.approx(wanted), how


class TestTake:
    def test_rows_in_their_order(self, of_kind):
        found = of_kind.take([2, 0])
        assert listed(found.households["household_id"]) == [30, 10]
        assert listed(found.tax_units["tax_unit_id"]) == [4, 1, 2]
        assert listed(found.persons["person_id"]) == [301, 101, 102, 103]
        assert found.positions("household").tolist() == [0, 1, 1, 1]
        Population(found.schema, found.tables)

    def test_a_mask_and_nothing(self, of_kind):
        assert of_kind.take(np.array([False, True, False])).size("person") == 2
        nobody = of_kind.take([])
        assert repr(nobody) == "Population(0 households, 0 tax units, 0 persons)"
        assert nobody.aggregate("age", "sum", "household").shape == (0,)
        assert len(nobody.order()) == 0
        Population(nobody.schema, nobody.tables)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [([0, 0], "named more than once"), ([3], "no row 3"), ([-1], "no row -1"), ([0.5], "whole"), ([True], "mask")],
    )
    def test_mistakes(self, population, rows, message):
        with pytest.raises(DataError, match=message):
            population.take(rows)


def test_copies_and_pickles(population):
    for found in (copy.copy(population), copy.deepcopy(population), pickle.loads(pickle.dumps(population))):
        assert found.positions("tax_unit").tolist() == population.positions("tax_unit").tolist()
        assert found.schema == US


def test_the_simulated_population_agrees_with_its_own_sums():
    found = as_population(make_population(400, seed=3))
    homes = found.households
    assert np.array_equal(found.aggregate(None, "count", "household"), homes["n_persons"])
    assert np.array_equal(found.aggregate(None, "count", "household", of="tax_unit"), homes["n_tax_units"])
    under = found.persons["age"].to_numpy() < 18
    assert np.array_equal(found.aggregate(None, "count", "household", where=under), homes["n_children"])
    assert found.aggregate("wages", "sum", "tax_unit", role=("head", "spouse")) == pytest.approx(
        found.tax_units["wages"].to_numpy()
    )
