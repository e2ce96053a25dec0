import numpy as np
import pandas as pd
import pytest

from microplex import HierarchicalSynthesizer, Target, make_population
from microplex.entities import US, Entity, GroupEntity, Hierarchy, Population, as_population
from microplex.errors import (
    ColumnNotFoundError,
    ConstraintError,
    DataError,
    MicroplexError,
    ParameterError,
)
from microplex.hierarchy.rules import AgeGap, Cardinality, Count, Implied, LowerBound, Shared, Sum

pytestmark = pytest.mark.usefixtures("compiled")
QUICK = {"epochs": 1, "n_orders": 0}
ALONE = Hierarchy(Entity("person"), (GroupEntity("household"),))


def same(one, other, without=()):
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(
            table.drop(columns=list(without), errors="ignore").reset_index(drop=True),
            other.tables[name].drop(columns=list(without), errors="ignore").reset_index(drop=True),
        )


# ------------------------------------------------------------------------------------------- rules of a population

RULES = [
    "age < 15 -> wages == 0",
    "role == 'head' -> age >= 20",
    Implied("age < 16", "employment", "child"),
    Count("n_persons", ""),
    Count("n_children", "role == 'child'"),
    AgeGap("head", "child", 15, 45),
    AgeGap("head", "spouse", -12, 12),
    LowerBound("total_income", "wages"),
    Cardinality("child", 0, 3),
    Shared("tenure"),
]
LEVELS = {
    "household": {"target_vars": ["tenure", "n_persons", "n_children", "total_income"]},
    "person": {"target_vars": ["age", "wages", "employment"], "parent_level": "household"},
}


@pytest.fixture(scope="module")
def people():
    population = as_population(make_population(240, seed=0))
    kept = ["household_id", "tenure", "n_persons", "n_children", "total_income"]
    homes = population.households[kept].assign(w=np.tile([0.5, 1.0, 0.0, 2.5], 60))
    young = population.persons.age < 16
    persons = population.persons.assign(wages=population.persons.wages.where(~young, 0.0).round())
    persons["employment"] = persons.employment.mask(young, "child")
    schema = Hierarchy(US.member, US.groups[:1], weight_col="w")
    persons = persons.drop(columns=["tax_unit_id", "tax_role"])
    return Population(schema, {"households": homes, "persons": persons})


@pytest.fixture(scope="module")
def ruled(people):
    return HierarchicalSynthesizer(LEVELS, constraints=RULES, epochs=4, n_orders=0).fit(people)


@pytest.fixture(scope="module")
def drawn(ruled):
    return ruled.generate(2000, seed=1)


def test_declared_rules_hold_exactly(ruled, drawn):
    homes, persons = drawn.households.set_index("household_id"), drawn.persons
    group = persons.groupby("household_id")
    assert (group.size() == homes.n_persons).all()
    children = (persons.relationship == "child").groupby(persons.household_id).sum()
    assert (children == homes.n_children).all()
    assert children.max() == 3, "a household may have at most 3, and some have"
    assert (homes.total_income >= group.wages.sum() - 1e-9).all()
    assert (persons.wages[persons.age < 15] == 0).all()
    assert (persons.employment[persons.age < 16] == "child").all()
    age = persons.age[persons.relationship == "head"].to_numpy()
    assert age.min() >= 20
    gap = pd.Series(age, homes.index).loc[persons.household_id].to_numpy() - persons.age.to_numpy()
    assert gap[persons.relationship == "child"].min() >= 15
    assert gap[persons.relationship == "child"].max() <= 45
    assert np.abs(gap[persons.relationship == "spouse"]).max() <= 12
    assert persons.age.min() >= 0
    assert len(ruled.report_.rules) == len(RULES) - 1, "all are told but that of what stands in one table"
    assert np.isfinite(ruled.log_prob(drawn)).all()


def test_ages_of_couples_go_together(drawn):
    persons = drawn.persons
    ages = {r: persons[persons.relationship == r].set_index("household_id").age for r in ("head", "spouse")}
    assert np.corrcoef(ages["spouse"], ages["head"].loc[ages["spouse"].index])[0, 1] > 0.8


def test_households_weigh_what_those_in_training_weighed(people, drawn):
    assert drawn.households.w.nunique() == 1
    assert drawn.households.w.sum() == pytest.approx(people.households.w.sum())


def test_tables_come_as_those_in_training(people, drawn):
    assert drawn.households.columns.tolist() == people.households.columns.tolist()
    kept = [c for c in people.persons.columns if c in drawn.persons.columns]
    assert drawn.persons.columns.tolist() == kept
    for name in ("age", "employment"):
        assert drawn.persons[name].dtype == people.persons[name].dtype
    for name in ("tenure", "n_persons", "n_children"):
        assert drawn.households[name].dtype == people.households[name].dtype


def test_no_training_row_is_in_a_saved_model(ruled, people, tmp_path):
    ruled.save(tmp_path / "model")
    content = b"".join(path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file())
    text = content.decode("latin-1")
    rare = people.households.total_income[people.households.w > 0].round(2)
    rare = rare[rare % 100 != 0]
    inner = rare[(rare.rank(pct=True) > 0.1) & (rare.rank(pct=True) < 0.9)]
    told = [x for x in inner if f"{x:.2f}"[:-1] in text]
    assert len(inner) > 60
    assert len(told) <= 2
    again = HierarchicalSynthesizer.load(tmp_path / "model")
    same(again.generate(100, seed=7), ruled.generate(100, seed=7))


def test_weights_are_calibrated_to_households_and_persons(ruled, drawn):
    targets = [
        Target(700.0),
        Target(260.0, where="tenure == 'rented'"),
        Target(450.0, where="age < 18", entity="persons"),
    ]
    found = ruled.reweight(drawn, targets)
    weight = found.population.households.set_index("household_id").w
    assert weight.sum() == pytest.approx(700, rel=1e-6)
    assert weight[(drawn.households.tenure == "rented").to_numpy()].sum() == pytest.approx(260, rel=1e-6)
    young = drawn.persons[drawn.persons.age < 18]
    assert weight.loc[young.household_id].sum() == pytest.approx(450, rel=1e-6)
    both = ruled.generate_and_reweight(2000, targets, seed=1)
    pd.testing.assert_frame_equal(both.population.households, found.population.households)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ([{"rule": "Cardinality", "role": "child", "low": 3, "high": 1}], "no number of members"),
        ([Cardinality("uncle", 0, 1)], "'uncle', which is no role"),
        ([{"rule": "AgeGap", "older_role": "head", "younger_role": "child", "low": 30, "high": 20}], "no gap"),
        (["role == 'head' -> age >= 200"], "no age"),
        (["rooms > 3 -> age > 4"], "rooms"),
        ([Sum("total_income", "pensions")], "pensions"),
        ([Shared("wages")], "wages"),
        ([Cardinality("head", 2, 3)], "no training household"),
        (["wages >= 0 -> sex == 'male'"], "sex"),
    ],
)
def test_rules_that_cannot_be_kept_are_named(people, constraints, message):
    with pytest.raises(MicroplexError, match=message):
        HierarchicalSynthesizer(LEVELS, constraints=constraints, **QUICK).fit(people)


def asked(people, home=None, person=None, **options):
    levels = {"household": LEVELS["household"] | (home or {}), "person": LEVELS["person"] | (person or {})}
    return HierarchicalSynthesizer(levels, constraints=(), **QUICK, **options).fit(people)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"person": {"condition_vars": ["tenur"]}}, ParameterError, "not available there.*Did you mean 'tenure'"),
        ({"person": {"target_vars": ["aeg"]}}, ColumnNotFoundError, "aeg"),
        ({"home": {"target_vars": ["tenure"], "condition_vars": ["tenure"]}}, ParameterError, "one role"),
        ({"person": {"parent_level": "tax_unit"}}, ParameterError, "which is no level"),
        ({"structure": "donors"}, ParameterError, "structure"),
        ({"seed": -1}, ParameterError, "seed"),
    ],
)
def test_levels_that_the_population_cannot_serve_are_refused(people, change, error, message):
    with pytest.raises(error, match=message):
        asked(people, **change)


def test_missing_ages_and_too_few_households_are_refused(people):
    tables = dict(people.tables)
    persons = tables["persons"]
    tables["persons"] = persons.assign(age=persons.age.astype(float).mask(persons.person_id == 101))
    with pytest.raises(DataError, match="'age' of persons is missing or infinite for person_id 101 "):
        asked(Population(people.schema, tables))
    with pytest.raises(DataError, match="10 households of positive weight or more; got 6"):
        asked(people.take(range(8)))


# ------------------------------------------------------------------------------------------ what is given and how


def earners(n=240):
    rng = np.random.default_rng(3)
    size = rng.integers(1, 4, n)
    homes = pd.DataFrame({"household_id": np.arange(n), "size": size, "region": rng.choice(["N", "S"], n)})
    home = np.repeat(np.arange(n), size)
    rich = np.where(homes.region.to_numpy()[home] == "N", 400, 100)
    earnings = np.where(rng.random(len(home)) < 0.7, rng.integers(1, 100, len(home)) + rich, 0)
    homes["income"] = np.bincount(home, earnings, n).astype(np.int64)
    return {
        "households": homes,
        "persons": pd.DataFrame({"person_id": np.arange(len(home)), "household_id": home, "earnings": earnings}),
    }


@pytest.fixture(scope="module")
def given():
    levels = {
        "household": {"target_vars": [], "condition_vars": ["size", "income"]},
        "person": {"target_vars": ["earnings"], "parent_level": "household"},
    }
    rules = [Sum("income", "earnings"), Count("size", "")]
    return HierarchicalSynthesizer(levels, constraints=rules, epochs=20, n_orders=0).fit(earners())


def test_given_totals_and_sizes_are_met_exactly(given):
    homes = earners()["households"][["household_id", "size", "income"]]
    out = given.generate(homes, seed=1)
    pd.testing.assert_frame_equal(out.households, homes)
    group = out.persons.groupby("household_id").earnings
    assert (group.size().to_numpy() == homes["size"]).all()
    assert (group.sum().to_numpy() == homes.income).all()
    assert out.persons.earnings.dtype == np.int64
    assert (out.persons.earnings >= 0).all()
    parts = [given.generate(part, seed=1, first=first) for first, part in ((0, homes[:100]), (100, homes[100:]))]
    same(out, Population(out.schema, {t: pd.concat([p.tables[t] for p in parts]) for t in out.tables}))


def test_a_given_total_that_cannot_be_split_is_an_error(given):
    with pytest.raises(ConstraintError, match="'income' cannot be split in row 1: -3 lies below 0"):
        given.generate(pd.DataFrame({"size": [1, 2], "income": [5, -3]}))
    with pytest.raises(ConstraintError, match="not a whole number"):
        given.generate(pd.DataFrame({"size": [1, 2], "income": [5, 1.5]}))


def test_households_larger_than_any_in_training_are_announced(given):
    with pytest.warns(UserWarning, match=r"1 households are larger than any in training \(3 members\).*extrapolation"):
        out = given.generate(pd.DataFrame({"size": [2, 6], "income": [500, 3000]}))
    assert out.persons.household_id.value_counts().loc[[1, 2]].tolist() == [2, 6]


@pytest.mark.parametrize(
    ("homes", "error", "message"),
    [
        ({"size": [1, 0], "income": [1, 1]}, DataError, "row 1 has 0"),
        ({"size": [1, 1.5], "income": [1, 1]}, DataError, "row 1 has 1.5"),
        ({"size": [1, np.nan], "income": [1, 1]}, DataError, "condition 'size' is missing or infinite in row 1"),
        ({"size": [1, 2]}, ColumnNotFoundError, "income"),
        ({"size": [], "income": []}, DataError, "no rows"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(given, homes, error, message):
    with pytest.raises(error, match=message):
        given.generate(pd.DataFrame(homes, dtype=float))


def test_a_number_is_not_enough_where_something_must_be_given(given):
    with pytest.raises(ParameterError, match="pass a table"):
        given.generate(10)


# --------------------------------------------------------------------------------------- small laws of one stage


def plain(tables, schema=ALONE, home=(), **options):
    levels = {
        "household": {"target_vars": list(home)},
        "person": {"target_vars": ["earnings"], "parent_level": "household"},
    }
    return HierarchicalSynthesizer(levels, schema=schema, constraints=(), **QUICK, **options).fit(tables)


def test_a_weight_of_zero_is_absence_and_the_scale_of_weights_does_not_matter():
    tables = earners(120)
    weighted = Hierarchy(ALONE.member, ALONE.groups, weight_col="w")
    weight = np.tile([1.0, 3.0, 0.0], 40)
    one = plain({**tables, "households": tables["households"].assign(w=weight)}, weighted)
    scaled = plain({**tables, "households": tables["households"].assign(w=weight * 8)}, weighted)
    same(one.generate(50, seed=0), scaled.generate(50, seed=0), without=["w"])
    kept = tables["households"].household_id.isin(np.flatnonzero(weight > 0))
    absent = {
        "households": tables["households"][kept].assign(w=weight[weight > 0]),
        "persons": tables["persons"][tables["persons"].household_id.isin(np.flatnonzero(weight > 0))],
    }
    same(one.generate(50, seed=0), plain(absent, weighted).generate(50, seed=0))


def test_frames_come_back_as_they_came(make_frame, frame_kind):
    tables = earners(120)
    out = plain({name: make_frame(table) for name, table in tables.items()}).generate(40)
    for name, columns in (
        ("households", ["household_id"]),
        ("persons", ["person_id", "household_id", "earnings"]),
    ):
        frame = out.tables[name]
        assert type(frame) is type(make_frame(tables[name]))
        names = frame.column_names if frame_kind == "arrow" else list(frame.columns)
        assert names == columns


def test_structure_is_copied_where_that_is_asked_for(people, tmp_path):
    levels = {
        "household": {"target_vars": ["tenure", "n_persons"]},
        "person": {"target_vars": ["age", "wages"], "parent_level": "household"},
    }
    synth = HierarchicalSynthesizer(levels, constraints=[Count("n_persons", "")], structure="donor", **QUICK)
    out = synth.fit(people).generate(300, seed=1)
    assert synth.report_.structure == "donor"
    seen = people.persons.groupby("household_id").age.agg(lambda x: tuple(sorted(x)))
    drawn = out.persons.groupby("household_id").age.agg(lambda x: tuple(sorted(x)))
    assert set(drawn) <= set(seen)
    assert (out.persons.groupby("household_id").size().to_numpy() == out.households.n_persons).all()
    with pytest.raises(ParameterError, match="no likelihood"):
        synth.log_prob(out)
    with pytest.raises(ParameterError, match="holds training households"):
        synth.save(tmp_path / "model")


def test_the_dictionary_of_the_founding_documents(people):
    homes = people.households
    tables = {
        "households": pd.DataFrame({
            "household_id": homes.household_id, "region": homes.tenure, "income": homes.total_income.round(),
            "size": homes.n_persons,
        }),
        "persons": people.persons[["person_id", "household_id", "age"]].assign(earnings=people.persons.wages),
    }  # fmt: skip
    levels = {
        "household": {"target_vars": ["income", "size"], "condition_vars": ["region"]},
        "person": {
            "target_vars": ["age", "earnings"],
            "condition_vars": ["household_income", "household_size"],
            "parent_level": "household",
        },
    }
    synth = HierarchicalSynthesizer(levels, **QUICK).fit(tables)
    given = pd.DataFrame({"region": ["owned", "rented"] * 100, "note": np.arange(200)})
    out = synth.generate(given, seed=2)
    assert out.households.columns.tolist()[:2] == ["region", "note"] or "note" in out.households
    assert (out.persons.groupby("household_id").size().to_numpy() == out.households["size"]).all()
    assert out.households.region.astype(str).tolist() == given.region.tolist()
    assert np.isfinite(synth.log_prob(out)).all()
    with pytest.raises(DataError, match="none of the levels"):
        synth.generate(given.assign(region="sea"))
