import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.datasets import make_population
from microplex.entities import as_population
from microplex.errors import ConstraintError, DataError, ParameterError
from microplex.hierarchy.enforce_plan import check_compatible, founding_rules, plan, read_rules
from microplex.hierarchy.members import Members
from microplex.hierarchy.rules import (
    AgeGap,
    Cardinality,
    Count,
    Implied,
    Linear,
    LowerBound,
    Shared,
    Sum,
    rule_from_dict,
    rule_to_dict,
)

EVERY = [
    Shared("region", "mode"),
    Shared("status", level="tax_unit"),
    Cardinality("head", 1, 1),
    Cardinality(("spouse", "partner"), 0, 1, otherwise="other"),
    AgeGap("head", "spouse", -20, 20),
    AgeGap(("head", "spouse"), "child", low=15),
    Implied("age < 15", "wage", 0),
    Implied("role == 'spouse'", "status", levels=("married", "widowed")),
    Sum("income", ("wage", "rent")),
    Sum("people", ("children",), per_role={"joint": 2, "single": 1}),
    Sum("total", ("a", "b"), level="person", lower=None),
    Count("n_children", "age < 18 and role == 'child'"),
    Count("n"),
    Linear({"young": 1, "all": -1}),
    Linear({"a": 2, "b": 1}, 10, ">="),
    LowerBound("income", "wage"),
]


@st.composite
def tables(draw):
    n = draw(st.integers(1, 14))
    column = lambda values: draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))  # noqa: E731
    return pd.DataFrame(
        {
            "h": column([3, 5, 8]),
            "role": column(["head", "spouse", "child"]),
            "age": np.array(column([5.0, 17.0, 18.0, 30.0, 31.0, 52.0, np.nan])),
            "region": column(["N", "S"]),
            "wage": column([0, 10, 25]),
            "income": column([0, 10, 25, 35]),
        }
    )


def broken_by_hand(rule, frame):
    """The same question, asked household by household and person by person."""
    households = [group for _, group in sorted(frame.groupby("h"), key=lambda pair: frame["h"].tolist().index(pair[0]))]
    if isinstance(rule, Shared):
        return [group[rule.column].nunique(dropna=False) > 1 for group in households]
    if isinstance(rule, Cardinality):
        counts = [sum(r in rule.roles for r in group["role"]) for group in households]
        return [c < rule.low or (rule.high is not None and c > rule.high) for c in counts]
    if isinstance(rule, Sum):
        return [set(group["income"]) != {group["wage"].sum()} for group in households]
    if isinstance(rule, Count):
        return [set(group["income"]) != {int((group["age"] < 18).sum())} for group in households]
    if isinstance(rule, LowerBound):
        return [group["income"].min() < group["wage"].sum() for group in households]
    if isinstance(rule, Implied):
        return [row.age < 18 and row.wage != 0 for row in frame.itertuples()]
    if isinstance(rule, Linear):
        return [row.wage > row.income for row in frame.itertuples()]
    low, high = rule.bounds
    out = []
    for row in frame.itertuples():
        older = frame[(frame["h"] == row.h) & frame["role"].isin(rule.older)]["age"].dropna()
        bound = row.role in rule.younger and row.age == row.age and len(older) > 0
        out.append(bound and not any(low <= age - row.age <= high for age in older))
    return out


@pytest.mark.parametrize(
    "rule",
    [
        Shared("region"),
        Shared("age"),
        Cardinality("head", 1, 1),
        Cardinality(("head", "spouse"), 0, 1),
        AgeGap("head", "spouse", -13, 13),
        AgeGap(("head", "spouse"), "child", low=13),
        AgeGap("head", "child", 12, 30),
        AgeGap("head", ("spouse", "child"), high=20),
        Implied("age < 18", "wage", 0),
        Sum("income", "wage"),
        Count("income", "age < 18"),
        Linear({"wage": 1, "income": -1}),
        LowerBound("income", "wage"),
    ],
    ids=str,
)
@settings(max_examples=40)
@given(frame=tables())
def test_violations_are_those_found_one_by_one(rule, frame):
    members = Members.read(frame, "h", "role")
    assert rule.violations(members).tolist() == broken_by_hand(rule, frame)


@pytest.mark.parametrize("rule", EVERY, ids=str)
def test_a_rule_survives_yaml(rule):
    entry = yaml.safe_load(yaml.safe_dump(rule_to_dict(rule)))
    assert rule_from_dict(entry) == rule
    assert read_rules([entry]) == (rule,)


def test_sentences():
    assert [str(rule) for rule in EVERY] == [
        "region is the same for all in a household",
        "status is the same for all in a tax_unit",
        "a household has exactly 1 head",
        "a household has at most 1 spouse or partner",
        "a spouse is at most 20 years from the head",
        "a head or spouse is at least 15 years older than each child",
        "age < 15 -> wage == 0",
        "role == 'spouse' -> status in ('married', 'widowed')",
        "income == sum of wage + rent over the persons of a household",
        "people == sum of children + 2 a joint + 1 a single over the persons of a household",
        "total == a + b",
        "n_children == number of persons of a household with age < 18 and role == 'child'",
        "n == number of persons of a household",
        "young <= all",
        "2 * a + b >= 10",
        "income >= sum of wage over the persons of a household",
    ]


def test_whole_ids_above_two_to_the_53_stay_apart():
    frame = pd.DataFrame({"h": [2**60, 2**60 + 1], "region": ["N", "S"]})
    assert Shared("region").violations(Members.read(frame, "h")).tolist() == [False, False]


def test_the_sum_of_fractions_is_the_same_in_any_order():
    frame = pd.DataFrame({"h": [1] * 5, "x": [0.1, 1e9, 0.3, -1e9, 0.7], "t": 0.0})
    sums = {
        Sum("t", "x").expected(Members.read(frame.iloc[order], "h"))[0] for order in ([0, 1, 2, 3, 4], [4, 1, 0, 3, 2])
    }
    assert len(sums) == 1


def test_a_sum_with_a_missing_part_is_not_judged():
    frame = pd.DataFrame({"h": [1, 1, 2], "x": [1.0, np.nan, 2.0], "t": [5.0, 5.0, 5.0]})
    assert Sum("t", "x").violations(Members.read(frame, "h")).tolist() == [False, True]


def test_sum_over_tax_units_counts_each_once():
    frame = pd.DataFrame({"h": [1, 1, 1], "u": [7, 7, 8], "tax": [30, 30, 5], "total": [35, 35, 35]})
    members = Members.read(frame, "h", groups={"tax_unit": "u"})
    assert not Sum("total", "tax", of="tax_unit").violations(members).any()


def test_role_constants_count_adults():
    frame = pd.DataFrame({"h": [1, 1], "role": ["joint", "single"], "deps": [2, 0], "people": [5, 5]})
    rule = Sum("people", "deps", per_role={"joint": 2, "single": 1})
    assert rule.expected(Members.read(frame, "h", "role", role_names=())).tolist() == [5.0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: AgeGap("head", "child", 30, 20), "no gap is at least 30 and at most 20"),
        (lambda: AgeGap("head", "child"), "needs low=, high= or both"),
        (lambda: AgeGap("head", ("head", "child"), 3), "stands on both sides"),
        (lambda: Cardinality("head", 2, 1), "no number of members"),
        (lambda: Cardinality("head", 1, 1, otherwise="head"), "must be another role"),
        (lambda: Implied("age < 15", "wage"), "give either value= or levels="),
        (lambda: Implied("wage < 15", "wage", 0), "names the column that it implies"),
        (lambda: Implied("age <", "wage", 0), "cannot be read"),
        (lambda: Sum("a", ("a", "b")), "the total is one of its parts"),
        (lambda: Sum("a", "b", level="person", of="tax_unit"), "cannot have parts of level"),
        (lambda: Count("n", "n > 3"), "names the number itself"),
        (lambda: Linear({"a": 1}, 0, "<"), "needs one of"),
        (lambda: Linear({"a": 0}), "needs a column"),
        (lambda: LowerBound("a", ("a",)), "the column is one of its parts"),
        (lambda: rule_from_dict({"rule": "Shard", "column": "a"}), "Did you mean 'Shared'"),
        (lambda: rule_from_dict({"rule": "Shared", "colum": "a"}), "Did you mean 'column'"),
        (lambda: rule_from_dict({"rule": "Shared"}), "does not fit"),
        (lambda: read_rules([3]), "a rule must be text"),
        (lambda: read_rules(["a < b"]), "cannot be enforced"),
    ],
)
def test_rules_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ConstraintError, match=words):
        make()


def test_arguments_are_checked():
    with pytest.raises(ParameterError, match="Did you mean 'head'"):
        Shared("region", "haed")
    with pytest.raises(ParameterError, match="level must be a unit"):
        Shared("region", level="person")
    with pytest.raises(ParameterError, match="names that differ"):
        AgeGap((), "child", 3)


@pytest.mark.parametrize(
    "pair",
    [
        (AgeGap("head", "child", 18, 40), AgeGap("head", "child", 45)),
        (AgeGap("head", "child", 18), AgeGap("child", "head", 1)),
        (Cardinality("head", 1, 1), Cardinality("head", 2)),
        (Implied("age < 15", "wage", 0), Implied("age < 15", "wage", 1)),
        (Sum("t", "a"), Sum("t", "b")),
        (Sum("t", "a"), Count("t", "age < 5")),
        (Shared("region", "mode"), Shared("region", "head")),
        (Linear({"a": 1, "b": -1}, 5, "<="), Linear({"a": 2, "b": -2}, 12, ">=")),
    ],
    ids=lambda pair: str(pair[0]),
)
def test_contradictory_rules_are_named(pair):
    with pytest.raises(ConstraintError, match="contradictory rules") as error:
        check_compatible(pair, split=False)
    assert all(str(rule) in str(error.value) for rule in pair)


def test_a_contradiction_through_a_third_role_is_found():
    rules = [AgeGap("parent", "head", 15), AgeGap("head", "child", 15), AgeGap("parent", "child", high=20)]
    with pytest.raises(ConstraintError, match="leave no ages") as error:
        check_compatible(rules, split=False)
    assert all(str(rule) in str(error.value) for rule in rules)


def test_steps_follow_what_they_read():
    rules = [
        LowerBound("income", "wage"),
        Count("workers", "wage > 0"),
        Implied("age < 15", "wage", 0),
        Shared("income"),
        AgeGap("head", "child", 15),
        Cardinality("head", 1, 1, otherwise="other"),
        AgeGap("head", "spouse", -20, 20),
    ]
    steps = plan(rules, "relationship", split=False)
    place = {rule: i for i, step in enumerate(steps) for rule in step.rules}
    assert place[rules[5]] < place[rules[4]] == place[rules[6]] < place[rules[2]]
    assert place[rules[2]] < min(place[rules[0]], place[rules[1]])
    assert place[rules[3]] < place[rules[0]]


def test_a_cycle_is_named():
    rules = [Implied("a == 1", "b", 1), Implied("b == 1", "c", 1), Implied("c == 1", "a", 0)]
    with pytest.raises(ConstraintError, match="in a cycle") as error:
        plan(rules, None, split=False)
    assert all(str(rule) in str(error.value) for rule in rules)


def test_two_linear_rules_that_move_each_others_columns_are_a_cycle():
    with pytest.raises(ConstraintError, match="in a cycle"):
        plan([Linear({"a": 1, "b": -1}), Linear({"b": 1, "a": -2})], None, split=False)


def test_splitting_turns_the_order_round():
    rules = [Sum("total", ("unit_total",), of="tax_unit"), Sum("unit_total", ("wage",), level="tax_unit")]
    down = [step.rules[0] for step in plan(rules, None, split=True)]
    up = [step.rules[0] for step in plan(rules, None, split=False)]
    assert down == rules
    assert up == rules[::-1]


def test_ids_and_weights_are_never_written():
    with pytest.raises(ConstraintError, match="never changed"):
        plan([Shared("weight")], None, split=False, fixed=["weight"])


def test_founding_dictionary():
    rules = founding_rules({"spouse_age_diff": {"max": 20}, "child_age": {"max_parent_diff": 18}}, "years")
    assert rules == (
        AgeGap("head", ("spouse", "partner"), -20, 20, "years"),
        AgeGap(("head", "spouse", "partner"), "child", 18, None, "years"),
    )
    with pytest.raises(ParameterError, match="Did you mean 'child_age'"):
        founding_rules({"child_ages": {"max_parent_diff": 18}}, "age")
    with pytest.raises(ParameterError, match="no entry 'maximum'"):
        founding_rules({"spouse_age_diff": {"maximum": 18}}, "age")
    with pytest.raises(ParameterError, match="must be years"):
        founding_rules({"spouse_age_diff": {"max": "twenty"}}, "age")


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"h": [1.0, np.nan]}, {}, "row 1 has none"),
        ({"h": [1, 2], "r": ["head", None]}, {"relationship": "r"}, "row 1 is missing"),
        ({"h": [1, 2], "r": [1, 7]}, {"relationship": "r", "roles": {1: "head"}}, "code 7 .*row 1.* has no role"),
        ({"h": [1, 2], "r": [1, 7]}, {"relationship": "r"}, "Give a mapping from codes to roles"),
        ({"h": [1, 2], "u": [5, 5]}, {"groups": {"tax_unit": "u"}}, "must lie in one household"),
        ({"h": [1, 2], "w": [1.0, -2.0]}, {"weight_col": "w"}, "row 1 has -2.0"),
    ],
)
def test_unusable_members_are_refused(columns, options, words):
    with pytest.raises(DataError, match=words):
        Members.read(pd.DataFrame(columns), "h", **options)


def test_rules_see_a_population():
    tables = make_population(200, seed=1)
    members = Members.of(as_population(tables))
    heads = members.in_roles(("head",), "test")
    assert heads.sum() == members.units["household"].count == len(tables.households)
    assert members.units["tax_unit"].count == len(tables.tax_units)
    assert not Cardinality("head", 1, 1).violations(members).any()
    assert not Shared("state").violations(members).any()
    gap = AgeGap("head", "child", low=60).violations(members)
    assert 0 < gap.sum() <= members.in_roles(("child",), "test").sum()


def test_questions_that_need_more_say_so():
    members = Members.read(pd.DataFrame({"h": [1], "age": [3], "t": [0]}), "h")
    with pytest.raises(ParameterError, match="relationship="):
        AgeGap("head", "child", 3).violations(members)
    with pytest.raises(ParameterError, match="groups="):
        Sum("t", "age", level="tax_unit").violations(members)
    with pytest.raises(ConstraintError, match="holds text"):
        Linear({"s": 1}).violations(Members.read(pd.DataFrame({"h": [1], "s": ["a"]}), "h"))
