import numpy as np
import pandas as pd
import pytest
from unit.metrics.households.people import country, keyed_apart, shuffled, small, views

from microplex.errors import DataError
from microplex.metrics.households import evaluate_hierarchy
from microplex.metrics.households.apart import apart_records, tell_apart
from microplex.metrics.households.copies import copy_records
from microplex.metrics.households.wide import Features, household_features, level_order


@pytest.fixture(scope="module")
def real():
    return country(500, seed=0)


@pytest.fixture(scope="module")
def fresh():
    return country(500, seed=1)


@pytest.fixture(scope="module")
def train():
    return country(500, seed=2)


def table(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    x[:, 1] += shift
    return Features(("a", "b", "c"), x, ())


def test_shuffled_partners_are_seen_and_explained(real, fresh):
    faulty = shuffled(fresh, "spouse", ["age", "education", "wages", "employment", "hours"])
    found = evaluate_hierarchy(real, faulty, floor=0)
    assert found["hh_c2st_auc"].value > 0.62
    assert found.frame.set_index("metric").loc["hh_c2st_auc", "verdict"] == "off"
    low, high = found["person_c2st_auc"].interval
    assert low < found["person_c2st_auc"].value < high  # person by person nothing is wrong
    why = found.why(3)
    assert why["feature"].iloc[0] == "gap between head and partner"
    assert why["importance"].is_monotonic_decreasing
    assert why["importance"].iloc[0] > 0.02


def test_fresh_households_cannot_be_told_apart(real, fresh):
    sides = views(real, fresh)
    records, _ = apart_records(sides["real"], sides["synthetic"], 400, seed=0)
    for record in records:
        assert record.interval[0] < record.value < record.interval[1]
    assert records[0].n == 400


def test_the_feature_that_differs_is_the_important_one():
    found = tell_apart(table(200, 0), table(200, 1, shift=1.5), np.ones(200), np.ones(200), np.arange(400))
    why = found.importances()
    assert why["feature"].tolist()[0] == "b"
    assert why["importance"].iloc[0] > 5 * why["importance"].iloc[1:].abs().max()
    assert why.set_index("feature").loc["b", "synthetic mean"] > 1.2


def test_equal_households_share_a_part(real):
    one = views(real, real)["real"]
    twice = one.take(np.arange(one.n))
    records, _ = apart_records(one, twice, 4000, seed=0)
    assert records[0].value == pytest.approx(0.5, abs=0.03)


def test_rows_in_another_order_give_the_same_area(fresh, real):
    mixed = {name: rows.sample(frac=1, random_state=4) for name, rows in fresh.items()}
    areas = []
    for one in (fresh, mixed):
        sides = views(real, one)
        areas.append([r.value for r in apart_records(sides["real"], sides["synthetic"], 150, seed=3)[0]])
    assert areas[0] == areas[1]


def test_too_few_or_equal_rows_are_undefined():
    sides = views(small(0, 8), small(1, 8))
    records, classifier = apart_records(sides["real"], sides["synthetic"], 100, seed=0)
    assert classifier is None
    assert not any(record.defined for record in records)
    assert "needs 10 households a side" in records[0].reason
    flat = Features(("a",), np.zeros((30, 1)), ())
    with pytest.raises(DataError, match="nothing varies"):
        tell_apart(flat, flat, np.ones(30), np.ones(30), np.arange(60))


def test_household_rows_are_those_of_a_loop():
    population = small(3, 30)
    view = views(population, population)["real"]
    found = household_features(view, level_order(view))
    rows = pd.DataFrame(found.values, columns=list(found.names))
    persons = population.tables["persons"]
    for home, members in persons.groupby("household_id"):
        row = rows.iloc[home]
        children = members.loc[members["role"] == "child", "age"]
        assert row["number of child"] == len(children)
        assert row["sum of wages"] == pytest.approx(members["wages"].fillna(0).sum())
        assert row["head's age"] == members["age"].iloc[0]
        if len(children):
            assert row["children: highest age"] == children.max()
            assert row["children: lowest age"] == children.min()
            assert row["children: mean age"] == pytest.approx(children.mean())
            assert row["gap between head and oldest child"] == members["age"].iloc[0] - children.max()
        else:
            assert np.isnan(row["children: mean age"])
        spouse = members.loc[members["role"] == "spouse", "age"]
        assert np.isnan(row["partner's age"]) == (not len(spouse))
        assert row["gap between oldest and youngest"] == members["age"].max() - members["age"].min()


def test_copied_households_are_seen(real, fresh, train):
    first = {name: rows[rows["household_id"] <= 250] for name, rows in train.items()}
    other = keyed_apart({name: rows[rows["household_id"] > 250] for name, rows in fresh.items()})
    faulty = {name: pd.concat([first[name], other[name]], ignore_index=True) for name in first}
    for synthetic, low, high in ((faulty, 0.4, 0.6), (fresh, 0.0, 0.0), (train, 1.0, 1.0)):
        sides = views(real, synthetic, train)
        copies, near = copy_records(sides["real"], sides["synthetic"], sides["train"], True, seed=0)
        assert low <= copies.value <= high
        assert copies.ideal == 0.0
        inside = near.interval[0] <= near.value <= near.interval[1]
        assert inside == (high == 0.0)
        assert near.value > 0.62 or inside


def test_a_copy_is_one_in_whatever_order_its_members_stand():
    one = small(4, 30)
    mixed = {name: rows.sample(frac=1, random_state=1) for name, rows in one.tables.items()}
    mixed["persons"] = mixed["persons"].assign(person_id=np.arange(len(mixed["persons"])))
    sides = views(small(5, 30), type(one)(one.schema, mixed), one)
    copies = copy_records(sides["real"], sides["synthetic"], sides["train"], False, seed=0)
    assert [record.measure for record in copies] == ["copy_share"]
    assert copies[0].value == 1.0
    changed = one.tables["persons"].assign(age=one.tables["persons"]["age"] + 1)
    sides = views(small(5, 30), type(one)(one.schema, {**one.tables, "persons": changed}), one)
    assert copy_records(sides["real"], sides["synthetic"], sides["train"], False, seed=0)[0].value == 0.0
