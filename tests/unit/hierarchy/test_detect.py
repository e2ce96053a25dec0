"""detect_constraints: known rules found, chance left out, weights, missing values, frames of all kinds, bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from microplex import Synthesizer
from microplex.constraints import parse
from microplex.datasets import COMPONENTS, SurveyDesign, draw_survey, make_population
from microplex.entities import Entity, GroupEntity, Hierarchy, Population, as_population
from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.hierarchy.detect import detect_constraints
from microplex.hierarchy.detect_result import DetectedConstraints, broken_households, population_members
from microplex.hierarchy.detect_rules import Aggregate, Together
from microplex.hierarchy.enforce import enforce_hierarchy
from microplex.hierarchy.members import Members
from microplex.hierarchy.rules import AgeGap, Cardinality, Count, Implied, Linear, LowerBound, Shared, Sum

FLAT = {"household_id": "h", "relationship": "r"}


def village(n: int = 1200, seed: int = 0) -> pd.DataFrame:
    """Flat persons of households with a rule of every kind."""
    rng = np.random.default_rng(seed)
    couple = rng.random(n) < 0.5
    children = rng.integers(0, 4, n)
    size = 1 + couple + children
    h = np.repeat(np.arange(n), size)
    place = np.arange(len(h)) - np.repeat(np.cumsum(size) - size, size)
    role = np.where(place == 0, "head", np.where(couple[h] & (place == 1), "spouse", "child"))
    head_age = rng.integers(38, 80, n)
    age = np.where(role == "child", rng.integers(0, 20, len(h)), head_age[h] + rng.integers(-3, 4, len(h)))
    weeks = np.where((age < 16) | (rng.random(len(h)) < 0.3), 0, rng.integers(1, 53, len(h)))
    wage = np.where(weeks == 0, 0, rng.integers(1, 900, len(h)) * 100)
    rent = np.where(rng.random(len(h)) < 0.8, 0, rng.integers(1, 50, len(h)) * 10)
    status = np.where(role == "child", "single", np.where(couple[h], "married", "single"))
    status = np.where((role == "head") & ~couple[h] & (rng.random(len(h)) < 0.5), "widowed", status)
    flat = pd.DataFrame({"h": h, "r": role, "age": age, "status": status, "weeks": weeks, "wage": wage, "rent": rent})
    flat["income"] = flat["wage"] + flat["rent"]
    flat["region"] = rng.choice(["north", "south", "east"], n)[h]
    flat["household_wages"] = flat.groupby("h")["wage"].transform("sum")
    flat["workers"] = (flat["weeks"] > 0).groupby(flat["h"]).transform("sum")
    flat["minors"] = (flat["age"] < 18).groupby(flat["h"]).transform("sum")
    flat["people"] = size[h]
    flat["assets"] = flat["household_wages"] + rng.integers(0, 400, n)[h] * 10
    flat["tax"] = flat["wage"] // rng.integers(2, 9, len(h))
    return flat


@pytest.fixture(scope="module")
def flat():
    return village()


@pytest.fixture(scope="module")
def found(flat):
    return detect_constraints(flat, **FLAT)


@pytest.fixture(scope="module")
def simulated():
    return detect_constraints(make_population(3000, seed=0))


EXPECTED = [
    Shared("region"),
    Shared("household_wages"),
    Cardinality("head", 1, 1),
    Cardinality("spouse", 0, 1),
    Sum("income", ("wage", "rent"), "person"),
    Sum("household_wages", "wage"),
    Count("minors", "age < 18"),
    Count("people"),
    Implied("age < 16", "weeks", 0),
    Implied("age < 16", "wage", 0),
    Implied("weeks == 0", "wage", 0),
    Implied("wage == 0", "weeks", 0),
    Implied("role == 'spouse'", "status", "married"),
    Implied("role == 'child'", "status", "single"),
    Together("role == 'head' and status == 'married'", "role == 'spouse'", both=True),
    Linear({"tax": 1, "wage": -1}),
]


@pytest.mark.parametrize("rule", EXPECTED, ids=str)
def test_a_rule_that_was_put_in_is_found_and_exact(found, rule):
    assert found.implies(rule)


def test_a_bound_over_members_is_found_and_gaps_are_soft(found):
    assert LowerBound("assets", "wage") in found.lower_bounds
    assert any(isinstance(rule, AgeGap) for rule in found.soft)
    assert not any(isinstance(rule, AgeGap) for rule in found.exact)


def test_every_rule_found_holds_on_other_households(found):
    other = Members.read(village(2000, seed=1), "h", "r")
    broken = {str(rule): broken_households(other, rule).mean() for rule in found.rules}
    assert max(broken.values()) <= 0.005


def test_what_follows_from_others_is_left_out(found):
    sentences = list(map(str, found.rules))
    assert len(sentences) == len(set(sentences))
    # Younger than 16 -> no weeks -> no wage -> no tax: one of them is enough.
    assert sum(f"age < 16 -> {name} == 0" in sentences for name in ("weeks", "wage", "tax")) == 1
    for rule in found.exact:
        rest = [other for other in found.exact if other != rule]
        if isinstance(rule, Implied):
            assert not DetectedConstraints().__add__(rest).implies(rule), rule


def test_no_rule_is_found_among_shuffled_columns(flat):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        data = flat.drop(
            columns=["region", "household_wages", "workers", "minors", "people", "assets", "income", "tax"]
        )
        for name in ("age", "status", "weeks", "wage", "rent"):
            data[name] = rng.permutation(data[name].to_numpy())
        chance = detect_constraints(data, **FLAT, seed=seed)
        assert {item.kind for item in chance} <= {"Cardinality"}


def test_a_few_households_give_no_exact_rule(flat):
    few = detect_constraints(flat[flat["h"] < 60], **FLAT)
    assert not few.exact
    assert detect_constraints(flat[flat["h"] < 60], **FLAT, confidence=0.9).exact


@pytest.mark.parametrize(("share", "kind"), [(0.0, "exact"), (0.003, "soft"), (0.2, "none")])
def test_a_rule_with_breaches_is_soft_and_one_with_many_is_none(flat, share, kind):
    data = flat.copy()
    rng = np.random.default_rng(5)
    wrong = (data["r"] == "spouse").to_numpy() & (rng.random(len(data)) < share)
    data.loc[wrong, "status"] = "widowed"
    found = detect_constraints(data, **FLAT)
    rule = Implied("role == 'spouse'", "status", "married")
    assert (rule in found.exact, rule in found.soft) == (kind == "exact", kind == "soft")


def test_the_rules_of_the_simulated_population_are_found(simulated):
    for rule in [
        Sum("total_income", COMPONENTS, "person"),
        Count("household.n_children", "age < 18"),
        Count("n_tax_units", "tax_role == 'head'"),
        Count("n_dependants", "tax_role == 'dependant'", "tax_unit"),
        Sum("household.snap", "tax_unit.snap", "household", "tax_unit"),
        Aggregate("household.total_income", ("total_income",), inner=(("tax_unit.snap", "tax_unit"),)),
        Aggregate("wages_head", ("wages",), "tax_role == 'head'", "tax_unit"),
        Aggregate("tax_unit.wages", ("wages",), "tax_role in ('head', 'spouse')", "tax_unit"),
        Implied("age < 15", "employment", "child"),
        Implied("age < 15", "wages", 0),
        Implied("role == 'spouse'", "marital", "married"),
        Together("role == 'head' and marital == 'married'", "role == 'spouse'", both=True),
        Together("filing_status == 'joint'", "tax_role == 'spouse'", both=True, level="tax_unit"),
        Linear({"ssi": 1, "ssi_entitlement": -1}),
    ]:
        assert simulated.implies(rule), rule


def test_its_rules_hold_on_another_population(simulated):
    members = population_members(as_population(make_population(4000, seed=9)))
    shares = np.array([broken_households(members, rule).mean() for rule in simulated.rules])
    assert (shares <= 0.005).mean() >= 0.95
    assert shares.max() <= 0.02


def test_row_constraints_are_read_by_the_grammar_and_hold_in_the_table(simulated):
    persons = make_population(3000, seed=0).persons
    texts = simulated.row_constraints("person")
    assert len(parse(texts)) >= len(texts) > 10
    assert "age < 15 -> wages == 0" in texts
    assert any(text.startswith("relationship == 'spouse' -> ") for text in texts)
    young = persons["age"] < 15
    assert (persons.loc[young, "wages"] == 0).all()
    units = simulated.row_constraints("tax_unit")
    assert "snap <= snap_entitlement" in units
    assert not any("tax_unit." in text for text in units)


def test_row_constraints_use_the_codes_of_the_file(flat):
    coded = flat.assign(r=flat["r"].map({"head": 1, "spouse": 2, "child": 3}))
    found = detect_constraints(coded, household_id="h", relationship="r", roles={1: "head", 2: "spouse", 3: "child"})
    assert "r == 2 -> status == 'married'" in found.row_constraints()
    assert "role == 'spouse' -> status == 'married'" in found.row_constraints(role_col="role")


def test_a_population_with_coded_roles_and_weights(flat):
    names = ["region", "household_wages", "people"]
    households = flat.groupby("h", as_index=False)[names].first().rename(columns={"h": "household_id"})
    households["w"] = np.arange(len(households)) % 7 + 1.0
    persons = flat.drop(columns=[*names, "workers", "minors", "assets"]).rename(columns={"h": "household_id"})
    persons["r"] = persons["r"].map({"head": 1, "spouse": 2, "child": 3})
    persons.insert(0, "person_id", range(len(persons)))
    group = GroupEntity("household", roles=("head", "spouse", "child"), role_col="r",
                        role_map={1: "head", 2: "spouse", 3: "child"})  # fmt: skip
    schema = Hierarchy(Entity("person"), (group,), weight_col="w")
    found = detect_constraints(Population(schema, {"households": households, "persons": persons}))
    assert found.implies(Sum("household_wages", "wage"))
    assert not any(name == "w" for item in found for name in item.columns)
    assert "r == 2 -> status == 'married'" in found.row_constraints()


def evidence_table(found):
    return found.frame.set_index("rule").drop(columns=["kind", "entity", "exact", "columns"]).sort_index()


def test_the_scale_of_weights_does_not_matter(flat):
    weights = 1.0 + flat["h"] % 5
    one, ten = (detect_constraints(flat.assign(w=weights * k), **FLAT, weight_col="w") for k in (1, 1000))
    pd.testing.assert_frame_equal(evidence_table(one), evidence_table(ten), rtol=1e-6)


def test_weights_count_in_the_rate_and_uneven_ones_lower_the_confidence(flat):
    data = flat.copy()
    spouses = np.flatnonzero(data["r"] == "spouse")[:1]
    data.loc[spouses, "status"] = "single"
    heavy = data["h"].isin(data.loc[spouses, "h"])
    rule = Implied("role == 'spouse'", "status", "married")
    plain = detect_constraints(data, **FLAT)
    weighted = detect_constraints(data.assign(w=np.where(heavy, 2.0, 1.0)), **FLAT, weight_col="w")
    doubled = pd.concat([data, *(data[heavy].assign(h=data["h"] + k * 10_000) for k in (1,))], ignore_index=True)
    rates = [found.frame.set_index("rule")["rate"].get(str(rule)) for found in (plain, weighted)]
    n = flat["h"].nunique()
    assert rates[0] == pytest.approx(1 - 1 / n)
    assert rates[1] == pytest.approx(1 - 2 / (n + 1))
    assert broken_households(Members.read(doubled, "h", "r"), rule).mean() == pytest.approx(1 - rates[1])
    uneven = detect_constraints(flat.assign(w=np.where(flat["h"] % 10 == 0, 50.0, 1.0)), **FLAT, weight_col="w")
    even = detect_constraints(flat, **FLAT)
    label = "a household has exactly 1 head"
    assert uneven.frame.set_index("rule")["confidence"][label] < even.frame.set_index("rule")["confidence"][label]


def test_a_household_of_weight_zero_is_not_there(flat):
    odd = flat["h"] % 3 == 0
    data = flat.copy()
    data.loc[odd & (data["r"] == "spouse"), "status"] = "single"
    weighted = detect_constraints(data.assign(w=np.where(odd, 0.0, 1.0)), **FLAT, weight_col="w")
    absent = detect_constraints(data[~odd].assign(w=1.0), **FLAT, weight_col="w")
    assert weighted == absent


def test_order_of_rows_does_not_matter_and_the_seed_decides_the_halves(flat, found):
    shuffled = flat.sample(frac=1.0, random_state=1).reset_index(drop=True)
    again = detect_constraints(shuffled, **FLAT)
    assert set(map(str, again.rules)) == set(map(str, found.rules))
    pd.testing.assert_frame_equal(evidence_table(again), evidence_table(found), rtol=1e-9)
    assert detect_constraints(flat, **FLAT) == found
    assert detect_constraints(flat, **FLAT, seed=5).frame["half_support"].ne(found.frame["half_support"]).any()


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_other_frames_give_the_same(flat, found, kind):
    data = pl.from_pandas(flat)
    assert detect_constraints(data if kind == "polars" else data.to_arrow(), **FLAT) == found


def test_missing_values_break_no_rule(flat):
    data = flat.astype({"wage": float, "status": object})
    rng = np.random.default_rng(3)
    data.loc[rng.random(len(data)) < 0.05, "wage"] = np.nan
    data.loc[rng.random(len(data)) < 0.05, "status"] = None
    found = detect_constraints(data, **FLAT)
    for rule in (
        Implied("role == 'spouse'", "status", "married"),
        Implied("weeks == 0", "wage", 0),
        Sum("income", ("wage", "rent"), "person"),
        Sum("household_wages", "wage"),
    ):
        assert found.implies(rule), rule


def test_a_survey_with_weights_and_missing_answers():
    survey = draw_survey(make_population(6000, seed=3), SurveyDesign(n_households=2500), seed=0)
    found = detect_constraints(survey)
    assert found.implies(Implied("age < 15", "employment", "child"))
    assert found.implies(Count("household.n_persons"))
    members = population_members(as_population(make_population(3000, seed=4)))
    assert max(broken_households(members, rule).mean() for rule in found.exact) <= 0.02


def test_exactly_one_of_several_roles_and_sums_with_roles():
    rng = np.random.default_rng(0)
    h = np.repeat(np.arange(2000), rng.integers(1, 4, 2000))
    first = np.r_[True, h[1:] != h[:-1]]
    joint = rng.random(len(h)) < 0.4
    role = np.where(first, np.where(joint, "first_joint", "first_single"), np.where(joint, "joint", "single"))
    data = pd.DataFrame({"h": h, "r": role, "n_dep": rng.integers(0, 3, len(h))})
    data["age_spouse"] = np.where(joint, rng.integers(20, 80, len(h)), 0)
    data["people"] = (1 + joint + data["n_dep"]).groupby(data["h"]).transform("sum")
    found = detect_constraints(data, **FLAT)
    assert Cardinality(("first_joint", "first_single"), 1, 1) in found.exact
    assert (
        Sum("people", "n_dep", per_role={"first_joint": 2, "joint": 2, "first_single": 1, "single": 1}) in found.exact
    )
    assert found.implies(Implied("role in ('first_single', 'single')", "age_spouse", 0))
    assert found.implies(Implied("age_spouse == 0", "role", levels=("first_single", "single")))


def test_slow_cuts_are_not_drawn_where_few_are_seen():
    wrong = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        age = rng.integers(0, 60, 1500)
        law = np.clip((age - 14) / 40, 0, 1)
        wage = np.where(rng.random(1500) > law, 0, 100)
        found = detect_constraints(pd.DataFrame({"h": range(1500), "age": age, "wage": wage}), household_id="h")
        (when,) = [rule.when for rule in found.rules if isinstance(rule, Implied) and "<" in rule.when]
        cut = float(when.removeprefix("age < "))
        wrong.append(law[age < cut].mean())
    assert np.mean(wrong) <= 0.002
    assert max(wrong) <= 0.01


def test_enforcing_what_was_found_changes_nothing_in_its_data(flat, found):
    same, changes = enforce_hierarchy(flat, "h", relationship="r", constraints=found.enforceable, return_changes=True)
    pd.testing.assert_frame_equal(same, flat)
    assert str(changes).startswith("0 of ")
    broken = flat.copy()
    broken["wage"] = np.random.default_rng(0).permutation(broken["wage"].to_numpy())
    repaired = enforce_hierarchy(broken, "h", relationship="r", constraints=found.enforceable)
    assert (repaired.loc[repaired["age"] < 16, "wage"] == 0).all()
    assert (repaired["household_wages"] == repaired.groupby("h")["wage"].transform("sum")).all()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, ParameterError, "needs household_id="),
        ({"household_id": "hh"}, ColumnNotFoundError, "Did you mean 'h'"),
        ({"household_id": "h", "confidence": 1.5}, ParameterError, "confidence must lie between 0 and 1; got 1.5"),
        ({"household_id": "h", "seed": -1}, ParameterError, "seed must be a whole number"),
        ({"household_id": "h", "ignore": ["pid"]}, ColumnNotFoundError, "'pid' not in data"),
        ({"household_id": "h", "weight_col": "age2"}, ColumnNotFoundError, "Did you mean 'age'"),
    ],
)
def test_bad_arguments_say_what_is_wrong(flat, arguments, error, text):
    with pytest.raises(error, match=text):
        detect_constraints(flat, **arguments)


def test_a_population_needs_no_names_and_too_few_households_are_refused(flat):
    with pytest.raises(ParameterError, match="weight_col= goes with a table of persons"):
        detect_constraints(make_population(10, seed=0), weight_col="w")
    with pytest.raises(ParameterError, match="at least 4 households"):
        detect_constraints(flat[flat["h"] < 2], **FLAT)
    with pytest.raises(DataError, match="row 0 has -1"):
        detect_constraints(flat.assign(w=-1.0), **FLAT, weight_col="w")


def test_a_column_that_is_not_asked_of_some_has_no_rule_for_them(flat):
    data = flat.astype({"weeks": float})
    data.loc[data["age"] < 16, "weeks"] = np.nan
    data = data.drop(columns=["workers"])
    found = detect_constraints(data, **FLAT)
    assert not any(isinstance(rule, Implied) and rule.column == "weeks" and "age" in rule.when for rule in found.rules)
    other = village(2000, seed=1).astype({"weeks": float})
    other.loc[other["age"] < 16, "weeks"] = np.nan
    members = Members.read(other, "h", "r")
    assert max(broken_households(members, rule).mean() for rule in found.rules) <= 0.005


def test_a_synthesizer_takes_the_row_constraints_and_its_rows_obey_them(flat, found):
    persons = flat[["r", "age", "status", "weeks", "wage", "rent", "income", "tax"]].head(700)
    synth = Synthesizer(
        list(persons.columns[2:]), ["r", "age"], constraints=list(found.row_constraints()), epochs=1, n_orders=0
    ).fit(persons)
    generated = synth.generate(persons[["r", "age"]], seed=0)
    assert (generated["income"] == generated["wage"] + generated["rent"]).all()
    assert (generated.loc[generated["age"] < 16, "wage"] == 0).all()
    assert (generated.loc[generated["r"] == "spouse", "status"] == "married").all()
