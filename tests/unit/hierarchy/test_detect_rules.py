"""Rules of detection alone, what supports rules, and what follows from what."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from microplex.errors import ConstraintError, ParameterError
from microplex.hierarchy.detect_coded import Clause
from microplex.hierarchy.detect_entails import entails
from microplex.hierarchy.detect_evidence import evidence, jeffreys_lower
from microplex.hierarchy.detect_prune import prune
from microplex.hierarchy.detect_result import DetectedConstraints, Found
from microplex.hierarchy.detect_rules import Aggregate, Together, from_entry, to_entry
from microplex.hierarchy.detect_source import effective, flat_source
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
)

FRAME = pd.DataFrame(
    {
        "h": [1, 1, 1, 2, 2],
        "unit": [10, 10, 11, 20, 20],
        "r": ["head", "spouse", "child", "head", "child"],
        "m": ["married", "married", "single", "single", "single"],
        "wage": [5.0, 6.0, 7.0, 8.0, 9.0],
        "benefit": [3.0, 3.0, 4.0, 0.0, 0.0],
        "rent": [2.0, 2.0, 2.0, 1.0, 1.0],
    }
)


def members(**changes):
    return Members.read(FRAME.assign(**changes), "h", "r", groups={"unit": "unit"})


def test_an_aggregate_adds_members_own_columns_and_each_smaller_unit_once():
    rule = Aggregate("total", ("wage",), "role in ('head', 'spouse')", own=("rent",), inner=(("benefit", "unit"),))
    # 5 + 6 of head and spouse, 2 of rent, 3 + 4 of the two units; 8 and 1 in the other household.
    assert rule.expected(members(total=0.0)).tolist() == [20.0, 9.0]
    assert rule.violations(members(total=[20.0] * 3 + [9.0] * 2)).tolist() == [False, False]
    assert rule.violations(members(total=[20.0] * 3 + [9.5] * 2)).tolist() == [False, True]
    assert rule.reads == ("wage", "rent", "benefit", "role")


def test_an_aggregate_says_nothing_where_a_part_is_missing():
    rule = Aggregate("total", ("wage",), "role == 'head'")
    data = members(total=1.0, wage=[np.nan, 6.0, 7.0, 8.0, np.nan])
    assert np.isnan(rule.expected(data)[0])
    assert rule.violations(data).tolist() == [False, True]


def test_together_holds_in_either_direction_or_both():
    data = members()
    both = Together("role == 'head' and m == 'married'", "role == 'spouse'", both=True)
    assert both.violations(data).tolist() == [False, False]
    assert both.violations(members(m="married")).tolist() == [False, True]
    forth = Together("role == 'child'", "role == 'spouse'")
    assert forth.violations(data).tolist() == [False, True]
    assert Together("role == 'spouse'", "role == 'child'").violations(data).tolist() == [False, False]


@pytest.mark.parametrize(
    "rule",
    [
        Aggregate("a", ("b",), "c == 1", "unit", ("d",), (("e", "unit"),)),
        Together("a == 1", "b == 'x'", both=True, level="unit"),
        Sum("a", ("b", "c"), per_role={"head": 2}),
        Implied("age < 15", "x", levels=("u", "v")),
        AgeGap(("head", "spouse"), "child", low=15),
        Cardinality(("a", "b"), 1, 1),
        Linear({"a": 1, "b": -1}),
        LowerBound("a", "b"),
        Count("n", "x > 0"),
        Shared("z"),
    ],
    ids=str,
)
def test_a_rule_survives_being_written_down(rule, tmp_path):
    assert from_entry(to_entry(rule)) == rule
    found = DetectedConstraints((Found(rule, "household", True),), (("a", "household", "a"),), "rel", (("head", 1),))
    found.to_yaml(tmp_path / "rules.yaml")
    assert DetectedConstraints.from_yaml(tmp_path / "rules.yaml") == found
    assert str(rule) in (tmp_path / "rules.yaml").read_text().replace("\n    ", " ").replace("''", "'")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"rule": "Togehter"}, "Did you mean 'Together'"),
        ({"rule": "Together", "when": "a == 1", "than": "b == 2"}, "no field 'than'. Did you mean 'then'"),
        ({"rule": "Together", "when": "a == 1"}, "does not fit"),
        ({"rule": "Aggregate", "total": "a"}, "needs parts=, own= or inner="),
        ({"rule": "Aggregate", "total": "a", "parts": ["a"]}, "the total is one of its parts"),
        ("age < 15", "needs 'rule'"),
    ],
)
def test_an_entry_that_cannot_be_read_says_why(entry, text):
    with pytest.raises(ConstraintError, match=text):
        from_entry(entry)


@pytest.mark.parametrize(
    ("content", "text"),
    [("a: [", "is not YAML"), ("- 1", "holds no list 'rules'"), ("version: 9\nrules: []", "has version 9")],
)
def test_a_file_that_holds_no_rules_says_so(tmp_path, content, text):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(ConstraintError, match=text):
        DetectedConstraints.from_yaml(tmp_path / "x.yaml")


def test_rules_are_edited_by_rule_sentence_kind_and_column():
    gap, zero, same = AgeGap("head", "child", low=15), Implied("age < 15", "wage", 0), Shared("region")
    found = DetectedConstraints().__add__((gap, zero, same))
    assert (found.without(gap)).rules == (zero, same)
    assert found.without(str(zero), "Shared").rules == (gap,)
    assert found.only("age").rules == (gap, zero)
    assert found.exact == (zero, same)
    assert found.soft == (gap,)
    assert (found + "age < 15 -> hours == 0").rules[-1] == Implied("age < 15", "hours", 0)
    assert (found + zero) == found
    assert (found.only(gap) + found.only(zero)).rules == (gap, zero)
    with pytest.raises(ParameterError, match="Did you mean 'AgeGap'"):
        found.without("AgeGpa")


def test_a_rule_added_by_hand_is_a_row_constraint_of_its_columns():
    found = DetectedConstraints(own_names=(("age", "person", "age"), ("tax_unit.snap", "tax_unit", "snap"),
                                           ("due", "tax_unit", "due")))  # fmt: skip
    found += (Linear({"tax_unit.snap": 1, "due": -1}), Implied("age < 15", "age2", 0))
    assert found.row_constraints("tax_unit") == ("snap <= due",)
    assert found.row_constraints("person") == ()
    with pytest.raises(ParameterError, match="Did you mean 'tax_unit'"):
        found.row_constraints("tax_unt")


def test_enforceable_leaves_out_rules_that_wait_for_each_other_and_those_of_detection_alone():
    rules = [Implied("a == 0", "b", 0), Implied("b == 0", "a", 0), Together("a == 1", "b == 1"), Shared("c")]
    assert (DetectedConstraints() + rules).enforceable == (rules[0], rules[3])


def test_the_bound_is_that_of_jeffreys_and_takes_effective_numbers():
    assert jeffreys_lower(95, 100) == pytest.approx(beta(95.5, 5.5).ppf(0.05))
    assert jeffreys_lower(0, 0) == 0.0
    weights = np.array([1.0, 1.0, 2.0])
    assert effective(weights).sum() == pytest.approx(16 / 6)
    assert effective(weights * 7).tolist() == pytest.approx(effective(weights).tolist())


def random_frame(n=1500, seed=0):
    rng = np.random.default_rng(seed)
    h = np.repeat(np.arange(n), rng.integers(1, 4, n))
    frame = pd.DataFrame({"h": h, "r": rng.choice(["head", "spouse", "child"], len(h), p=[0.5, 0.2, 0.3])})
    frame["age"] = rng.integers(0, 80, len(h))
    frame["wage"] = np.where(rng.random(len(h)) < 0.4, 0, rng.integers(1, 20, len(h)))
    frame["rent"] = rng.integers(0, 30, len(h))
    frame["total"] = rng.integers(0, 60, n)[h]
    frame["region"] = rng.choice(["n", "s", "e"], len(h), p=[0.5, 0.3, 0.2])
    return frame


@pytest.mark.parametrize(
    "rule",
    [
        Implied("age < 15", "wage", 0),
        Cardinality("spouse", 0, 1),
        Cardinality("head", 1, 1),
        Linear({"wage": 1, "rent": -1}),
        LowerBound("total", "wage"),
        AgeGap("head", "child", low=15),
        Shared("region"),
        Sum("total", "wage"),
    ],
    ids=str,
)
def test_what_is_expected_of_shuffled_columns_is_what_shuffling_gives(rule):
    frame = random_frame()
    proof = evidence(flat_source(frame, "h", "r", None, None, None, 0, "age", ()), rule)
    # The columns are independent already: breaches are as frequent as if they were shuffled.
    # Four standard errors; a rule over units counts units.
    error = 4 * np.sqrt(proof.expected * (1 - proof.expected) / proof.support) + 0.01
    assert proof.broken == pytest.approx(proof.expected, abs=error)
    assert proof.lift <= 1.2


def test_chains_are_left_out_but_not_for_a_rule_with_breaches():
    def clause(a, b, score, clean=True):
        literals = ((a, "zero"), frozenset([0])), ((b, "zero"), frozenset([0]))
        return Clause("person", *literals, None, score, Implied(f"{a} == 0", b, 0), clean, (2, 2))

    chain = [clause("a", "b", 9), clause("b", "c", 8), clause("a", "c", 7)]
    assert prune(chain) == chain[:2]
    weak = [clause("a", "b", 9), clause("b", "c", 8, clean=False), clause("a", "c", 7)]
    assert weak[2] in prune(weak)
    circle = [clause("a", "b", 3), clause("b", "a", 3), clause("b", "c", 3), clause("c", "b", 3), clause("a", "c", 1),
              clause("c", "a", 1)]  # fmt: skip
    assert prune(circle) == circle[:4]


KNOWN = [
    Implied("age < 16", "status", 0),
    Implied("age >= 16", "status", levels=(1, 2)),
    Implied("status in (0, 2)", "hours", 0),
    Implied("hours == 0", "wage", 0),
    Linear({"tips": 1, "wage": -1}),
    Cardinality(("spouse", "partner"), 0, 1),
    Together("m == 1", "role == 'spouse'", both=True),
    Sum("total", ("a", "b")),
]


@pytest.mark.parametrize(
    ("rule", "follows"),
    [
        (Implied("age < 16", "wage", 0), True),
        (Implied("age < 10", "tips", 0), True),
        (Implied("age < 17", "status", 0), False),
        (Implied("status == 0", "hours", 0), True),
        (Implied("status == 1", "hours", 0), False),
        (Implied("wage == 0", "hours", 0), False),
        (Implied("age >= 20", "status", levels=(1, 2)), True),
        (Implied("age >= 20", "status", 1), False),
        (Cardinality("spouse", 0, 1), True),
        (Cardinality("spouse", 1, 1), False),
        (Together("role == 'spouse'", "m == 1"), True),
        (Together("role == 'spouse'", "m == 2"), False),
        (Sum("total", ("b", "a")), True),
        (Sum("total", ("a",)), False),
        (Shared("x"), False),
    ],
    ids=str,
)
def test_what_follows_and_what_does_not(rule, follows):
    assert entails(KNOWN, rule) is follows
