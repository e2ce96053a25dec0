import numpy as np
import pytest
from unit.metrics.households.people import SCHEMA, small

from microplex.entities import Population
from microplex.errors import ConstraintError, DataError
from microplex.metrics.households import evaluate_hierarchy
from microplex.metrics.households.conditions import breaks, satisfies
from microplex.metrics.households.view import Column

COLUMNS = {
    "age": Column(np.array([9.0, 30.0, np.nan, 70.0]), is_number=True),
    "wages": Column(np.array([5.0, 0.0, 8.0, np.nan]), is_number=True),
    "rent": Column(np.array([1.0, 2.0, 3.0, 4.0]), is_number=True),
    "sex": Column(np.array([0, 1, 0, -1]), ("f", "m")),
    "degree": Column(np.array([0, 1, 2, -1]), ("none", "school", "college"), ordered=True),
    "owner": Column(np.array([0, 1, 1, 0]), (False, True)),
    "code": Column(np.array([0, 1, 2, -1]), (1.0, 2.0, 4.0), ordered=True),
}


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("age < 15 -> wages == 0", [True, False, False, False]),
        ("wages > 0", [False, True, False, False]),
        ("sex == 'f' -> age < 20", [False, False, False, False]),
        ("sex in ('m',)", [True, False, True, False]),
        ("sex != 'm'", [False, True, False, False]),
        ("degree >= 'school'", [True, False, False, False]),
        ("owner == True -> rent >= 3", [False, True, False, False]),
        ("owner == True or age > 60", [True, False, False, False]),
        ("code in (1, 4)", [False, True, False, False]),
        ("code in (1, 4, 9)", [False, True, False, False]),
        ("code != 9", [False, False, False, False]),
        ("code + rent <= 5", [False, False, True, False]),
        ("0 <= age <= 65", [False, False, False, True]),
        ("age < 15 and wages > 7 -> rent == 9", [False, False, False, False]),
        ("wages == 5 * rent", [False, True, True, False]),
    ],
)
def test_rules_break_where_they_surely_fail(rule, broken):
    assert breaks(rule, COLUMNS.__getitem__).tolist() == broken


def test_conditions_hold_where_they_surely_do():
    assert satisfies("age > 20 or wages > 7", COLUMNS.__getitem__).tolist() == [False, True, True, True]
    assert satisfies("not (age > 20)", COLUMNS.__getitem__).tolist() == [True, False, False, False]


def test_amounts_are_compared_up_to_rounding():
    parts = {"a": np.array([0.1]), "b": np.array([0.2]), "total": np.array([0.3])}
    look = {name: Column(x, is_number=True) for name, x in parts.items()}.__getitem__
    assert not breaks("total == a + b", look).any()
    assert breaks("total > a + b", look).all()
    assert not breaks("total >= a + b", look).any()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("sex >= 'm'", "have no order"),
        ("sex + age > 3", "holds text"),
        ("age in ('a', 'b')", "holds numbers"),
        ("sex == 'w'", "no data have the level 'w'"),
        ("combinations(sex, degree)", "learnt in training"),
    ],
)
def test_rules_that_cannot_be_judged_are_refused(rule, said):
    with pytest.raises(ConstraintError, match=said):
        breaks(rule, COLUMNS.__getitem__)


def changed(population, **tables):
    return Population(SCHEMA, {**population.tables, **tables})


def test_sums_at_every_level_are_those_of_a_loop():
    one = small(1, 30)
    persons = one.tables["persons"].assign(wages=lambda p: p["wages"].fillna(0), rent=1.5)
    units = one.tables["units"].copy()
    units["unit_wages"] = units["unit_id"].map(persons.groupby("unit_id")["wages"].sum())
    homes = one.tables["households"].copy()
    homes["money"] = homes["household_id"].map(
        (persons["wages"] + persons["rent"]).groupby(persons["household_id"]).sum()
    )
    homes["workers"] = homes["household_id"].map((persons["wages"] > 0).groupby(persons["household_id"]).sum())
    homes["twice"] = 2 * homes["n_persons"]
    whole = changed(one, persons=persons, units=units, households=homes)
    sums = {
        "n_persons": "count",
        "money": "wages + rent",
        "workers": "count(wages > 0)",
        "wages_total": "units.unit_wages",
        "units.unit_wages": ["wages"],
        "twice": lambda population: np.full(population.size("person"), 2.0),
    }
    found = evaluate_hierarchy(whole, whole, identities=sums, bounds={"money": "rent"}, classifiers=False, floor=0)
    assert [found[m].value for m in ("agg_share", "agg_max_abs", "lower_share")] == pytest.approx([0, 0, 0], abs=1e-9)
    units.loc[units["household_id"] == 4, "unit_wages"] += 7.0
    homes.loc[8, "money"] -= 1e6
    faulty = changed(one, persons=persons, units=units, households=homes)
    found = evaluate_hierarchy(whole, faulty, identities=sums, bounds={"money": "rent"}, classifiers=False, floor=0)
    assert found["agg_share"].value == pytest.approx(2 / 30)
    assert found["agg_max_abs"].value == pytest.approx(1e6)
    assert found["lower_share"].value == pytest.approx(1 / 30)
    assert found["lower_share"].measure == "lower_share"


def test_a_missing_part_makes_a_sum_unknown_not_wrong():
    one = small(2, 20)
    found = evaluate_hierarchy(one, one, identities={"rooms": "wages"}, classifiers=False, floor=0)
    persons, homes = one.tables["persons"], one.tables["households"].set_index("household_id")
    known = persons["wages"].notna().groupby(persons["household_id"]).all()
    total = persons["wages"].groupby(persons["household_id"]).sum()
    wrong = known & ((total - homes["rooms"]).abs() > 1e-6 * (1 + total))
    assert found["agg_share"].value == pytest.approx(wrong.mean())


def test_shared_variables_and_columns_of_groups_in_rules():
    one = small(3, 30)
    found = evaluate_hierarchy(
        one,
        one,
        shared=["faith", "sex"],
        rules=["tenure == 'own' -> age >= 0", "rooms > 99"],
        classifiers=False,
        floor=0,
    )
    persons = one.tables["persons"]
    faith = persons["faith"].fillna("missing").groupby(persons["household_id"]).nunique() > 1
    sex = persons["sex"].groupby(persons["household_id"]).nunique() > 1
    assert found["shared_share"].value == pytest.approx((faith | sex).mean())
    assert found.rules.set_index("rule").loc["rooms > 99", "households"] == 30
    with pytest.raises(DataError, match="shared"):
        evaluate_hierarchy(one, one, shared=["region"], classifiers=False)


def test_tiny_populations_are_judged_without_complaint():
    for n, m in ((1, 1), (2, 1), (3, 30), (12, 2)):
        found = evaluate_hierarchy(small(n, n), small(100 + m, m), train=small(7, 4), floor=2, classifiers=False)
        assert all(record.defined or record.reason for record in found.records)
        assert found.summary()
        assert found.to_markdown()


def test_a_common_factor_on_the_weights_changes_next_to_nothing():
    rng = np.random.default_rng(0)
    w = rng.uniform(0.5, 3, 200)
    real = small(1, 200, w)
    once, scaled = (
        evaluate_hierarchy(real, small(2, 200, factor * w), classifiers=False, floor=0) for factor in (1.0, 1000.0)
    )
    for a, b in zip(once.records, scaled.records, strict=True):
        # The correlation within households takes the sum of the weights for a number of households.
        assert a.value == pytest.approx(b.value, abs=0.01 if a.measure == "icc_err" else 1e-12, nan_ok=True)
