import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.constraints import Plan
from microplex.constraints.arrange import arrange
from microplex.errors import ColumnNotFoundError, ConstraintError
from microplex.frames import read_column
from microplex.schema import Column, Schema

RNG = np.random.default_rng


def schema_of(data, **changes):
    schema = Schema.infer(pd.DataFrame(data))
    for name, change in changes.items():
        schema = schema.replace(name, **change)
    return schema


def survey(n=2000, seed=0):
    """Amounts with exact relations: total = a + b, part <= whole, nothing for the unmarried."""
    rng = RNG(seed)
    married = rng.random(n) < 0.5
    a = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(10, 1, n).round(2))
    b = np.where(married & (rng.random(n) < 0.7), rng.lognormal(9, 1, n).round(2), 0.0)
    whole = np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(7, 1.5, n).round(2))
    part = np.round(whole * np.where(rng.random(n) < 0.2, 1.0, rng.random(n)), 2)
    return {
        "total": np.round(a + b, 2),
        "a": a,
        "b": b,
        "part": part,
        "whole": whole,
        "status": np.where(married, 2.0, rng.choice([1.0, 4.0], n)),
        "other": rng.normal(0, 5, n),
    }


DATA = survey()
SCHEMA = schema_of(DATA)
NAMES = list(DATA)


def build(constraints, targets, conditions=(), data=DATA, schema=SCHEMA, **options):
    return Plan.build(constraints, list(targets), list(conditions), data, schema, **options)


def test_no_constraint_no_change():
    plan = build(None, NAMES, auto_shares=False)
    assert plan.order == tuple(NAMES)
    assert (plan.derived, dict(plan.shares), plan.describe()) == ((), {}, [])
    assert all(plan.support(name, {}, 3) is None for name in NAMES)


def test_what_bounds_comes_first_and_nothing_else_moves():
    plan = build(["part <= whole"], NAMES, auto_shares=False)
    assert plan.order == ("total", "a", "b", "whole", "part", "status", "other")
    assert plan.shares["part"].of == {"whole": 1.0}


def test_a_condition_bounds_too():
    plan = build(["part <= whole"], ["part"], ["whole"])
    assert plan.shares["part"].of == {"whole": 1.0}
    assert plan.support("part", {"whole": np.array([3.0])}, 1).hi.tolist() == [3.0]


def test_a_target_is_raised_by_a_condition():
    plan = build(["part <= whole"], ["whole"], ["part"])
    assert dict(plan.shares) == {}
    assert plan.support("whole", {"part": np.array([3.0])}, 1).lo.tolist() == [3.0]


def test_implications_restrict_the_consequence():
    plan = build(["status != 2 -> b == 0"], ["b", "status"])
    assert plan.order == ("status", "b")
    support = plan.support("b", {"status": np.array([1.0, 2.0])}, 2)
    assert support.hi.tolist() == [0.0, np.inf]


def test_implications_about_conditions_are_turned_round():
    plan = build(["status != 2 -> b == 0"], ["status"], ["b"])
    support = plan.support("status", {"b": np.array([0.0, 9.0])}, 2)
    assert support.lo.tolist() == [-np.inf, 2.0]
    assert support.hi.tolist() == [np.inf, 2.0]


def test_circles_keep_the_given_order():
    plan = build(["a > 0 -> other >= -100", "other > 50 -> a >= 0"], ["a", "other"])
    assert plan.order == ("a", "other")


@settings(max_examples=50)
@given(st.permutations("abcdef"), st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=8))
def test_arranging_is_a_permutation_that_heeds_the_first_edges(names, edges):
    order = arrange(names, edges)
    assert sorted(order) == sorted(names)
    if edges and edges[0][0] != edges[0][1]:
        assert order.index(edges[0][0]) < order.index(edges[0][1])
    assert arrange(order, edges) == order


def test_total_is_derived_from_its_parts():
    plan = build(["total == a + b"], NAMES, auto_shares=False)
    assert plan.order == ("a", "b", "part", "whole", "status", "other")
    assert plan.derived == (("total", {"a": 1.0, "b": 1.0}),)
    derived = plan.derive({"a": np.array([0.1, np.nan]), "b": np.array([0.2, 1.0])})
    assert derived["total"][0] == 0.1 + 0.2
    assert np.isnan(derived["total"][1])


def test_parts_of_a_given_total_break_the_stick():
    plan = build(["total == a + b + c"], ["a", "b", "c"], ["total"], *three_parts())
    assert plan.order == ("a", "b")
    assert plan.derived == (("c", {"total": 1.0, "a": -1.0, "b": -1.0}),)
    assert plan.shares["a"].of == {"total": 1.0}
    assert plan.shares["b"].of == {"total": 1.0, "a": -1.0}
    known = {"total": np.array([0.3]), "a": np.array([0.1])}
    assert plan.support("b", known, 1).hi.tolist() == [0.2]
    assert plan.derive({**known, "b": np.array([0.1])})["c"].tolist() == [0.1]


def three_parts():
    data = {name: RNG(i).lognormal(8, 1, 500).round(2) for i, name in enumerate("abc")}
    data["total"] = np.round(data["a"] + data["b"] + data["c"], 2)
    return data, schema_of(data)


def test_sums_of_sums():
    data, _ = three_parts()
    data = {**data, "all": np.round(data["total"] + 2 * data["a"], 2)}
    plan = build(
        ["all == total + 2 * a", "total == a + b + c"], ["all", "total", "a", "b", "c"], (), data, schema_of(data)
    )
    assert plan.order == ("a", "b", "c")
    assert [d.name for d in plan.derived] == ["total", "all"]
    assert plan.free["all"] == {"a": 3.0, "b": 1.0, "c": 1.0}
    values = plan.derive({name: data[name] for name in "abc"})
    np.testing.assert_allclose(values["all"], data["all"])


def test_a_constraint_on_a_derived_column_restricts_its_parts():
    plan = build(["total == a + b", "status == 1 -> total <= 100"], NAMES, data=small_totals(), auto_shares=False)
    known = {"status": np.array([1.0, 2.0])}
    assert plan.order.index("status") < plan.order.index("a")
    assert plan.support("a", known, 2).hi.tolist() == [100.0, np.inf]
    assert plan.support("b", {**known, "a": np.array([30.0, 30.0])}, 2).hi.tolist() == [70.0, np.inf]


def small_totals():
    return {**DATA, "status": np.where(DATA["total"] <= 100, DATA["status"], 2.0)}


def test_bounds_of_a_derived_column_restrict_its_parts():
    schema = SCHEMA.replace("total", upper=1e7)
    plan = build(["total == a + b"], NAMES, schema=schema, auto_shares=False)
    assert plan.support("b", {"a": np.array([9e6])}, 1).hi.tolist() == [1e6]


def test_equalities_in_a_circle_leave_the_rest_free():
    data = {"x": np.arange(5.0), "y": np.arange(5.0), "z": np.arange(5.0)}
    plan = build(["x == y", "y == z", "z == x"], ["x", "y", "z"], (), data, schema_of(data))
    assert plan.order == ("z",)
    assert plan.derive({"z": np.array([4.0])}) == {"y": [4.0], "x": [4.0]}


def test_an_equality_with_a_constant_pins_the_last_column():
    data = {"x": np.arange(5.0), "y": np.arange(5.0) + 1}
    plan = build(["y == x + 1"], ["x", "y"], (), data, schema_of(data))
    support = plan.support("y", {"x": np.array([3.0])}, 1)
    assert (support.lo.tolist(), support.hi.tolist()) == ([4.0], [4.0])


def test_shares_are_found_in_the_data():
    plan = build(None, NAMES)
    assert plan.shares["part"].of == {"whole": 1.0}
    assert plan.shares["a"].of == {"total": 1.0}
    assert plan.shares["b"].of == {"total": 1.0}
    assert "other" not in plan.shares
    assert plan.order.index("whole") < plan.order.index("part")
    assert dict(build(None, NAMES, auto_shares=False).shares) == {}


def test_identical_columns_do_not_share_in_a_circle():
    data = {"x": DATA["a"], "y": DATA["a"]}
    plan = build(None, ["x", "y"], (), data, schema_of(data))
    assert dict(plan.shares) == {"x": plan.shares["x"]}
    assert plan.order == ("y", "x")


def test_the_tightest_bound_is_the_base():
    data = {"low": DATA["part"], "mid": DATA["whole"], "high": np.round(DATA["whole"] * 1.5, 2)}
    plan = build(None, ["low", "mid", "high"], (), data, schema_of(data))
    assert plan.shares["low"].of == {"mid": 1.0}
    assert plan.shares["mid"].of == {"high": 1.0}
    assert plan.order == ("high", "mid", "low")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("one row above", np.where(np.arange(2000) == 7, 1e9, DATA["part"])),
        ("negative", DATA["part"] - 1),
        ("few positive", np.where(np.arange(2000) < 100, DATA["part"], 0.0)),
        ("far below", DATA["part"] / 1e6),
        ("few values", np.floor(DATA["part"] / DATA["part"].max() * 50)),
    ],
)
def test_no_share_where_the_data_do_not_show_one(name, values):
    data = {"x": np.round(values, 8), "whole": DATA["whole"]}
    plan = build(None, ["x"], ["whole"], data, schema_of(data))
    assert dict(plan.shares) == {}, name


def test_a_base_may_be_missing_only_with_its_share():
    gone = RNG(1).random(2000) < 0.1
    whole = np.where(gone, np.nan, DATA["whole"])
    both = {"part": np.where(gone, np.nan, DATA["part"]), "whole": whole}
    assert "part" in build(None, ["part", "whole"], (), both, schema_of(both)).shares
    one = {"part": DATA["part"], "whole": whole}
    assert "part" not in build(["part <= whole"], ["part", "whole"], (), one, schema_of(one)).shares


def test_broken_rows_are_counted_and_shown():
    data = {**DATA, "part": np.where(np.arange(2000) % 500 == 3, 1e9, DATA["part"])}
    with pytest.raises(ConstraintError) as caught:
        build(["part <= whole"], ["part"], ["whole"], data)
    message = str(caught.value)
    assert "constraint 'part <= whole' is broken by 4 of 2000 training rows (0.2%)" in message
    assert "row 3: part = 1000000000, whole = " in message
    assert message.count("  row ") == 3
    assert "Repair or drop these rows" in message


def test_missing_values_break_nothing():
    data = {"x": np.array([1.0, np.nan]), "y": np.array([np.nan, 2.0])}
    build(["x <= y", "x == 5 -> y == 7"], ["x"], ["y"], data, schema_of(data))


def test_broken_rows_show_levels():
    data = {"s": np.array(["a", "b"], dtype=object), "x": np.array([1.0, 1.0])}
    with pytest.raises(ConstraintError, match="row 1: s = 'b', x = 1"):
        build(["s == 'b' -> x == 0"], ["x"], ["s"], data, schema_of(data))


def test_rounding_of_sums_breaks_nothing():
    values = RNG(0).integers(0, 10**6, (1000, 4)) / 100
    data = {f"p{i}": values[:, i] for i in range(4)} | {"sum": np.round(values.sum(axis=1), 2)}
    build(["sum == p0 + p1 + p2 + p3"], list(data), (), data, schema_of(data))


WRONG = {
    "column": (["part <= wole"], ColumnNotFoundError, "Did you mean 'whole'"),
    "level": (["s == 'nrth'"], ConstraintError, r"column 's' has no level 'nrth'\. Did you mean 'north'"),
    "category as number": (["s <= part"], ConstraintError, "'s' holds categories, which have no size"),
    "category in order": (["s >= 'north'"], ConstraintError, "'s' holds categories, which have no size"),
    "number as text": (["part == 'x'"], ConstraintError, "'part' holds numbers, got the text 'x'"),
    "rank as number": (["o >= 2"], ConstraintError, "ordinal column 'o' can be compared with one of its levels"),
    "rank in a sum": (["part <= o"], ConstraintError, "ordinal column"),
}


@pytest.mark.parametrize(("constraints", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_names_and_types(constraints, error, message):
    data = {"part": DATA["part"], "whole": DATA["whole"], "s": np.resize(["north", "south"], 2000)}
    schema = schema_of(data)
    schema = Schema((*schema.columns, Column("o", "ordinal", "category", levels=("lo", "hi"))))
    data["o"] = np.zeros(2000, np.int32)
    with pytest.raises(error, match=message):
        build(constraints, ["part", "s", "o"], ["whole"], data, schema)


def test_a_contradiction_of_equalities_is_told():
    data = {"x": np.array([np.nan]), "y": np.array([np.nan])}
    schema = Schema((Column("x", "continuous", "float"), Column("y", "continuous", "float")))
    with pytest.raises(ConstraintError, match="cannot hold together"):
        build(["x == y", "x >= y + 1"], ["x", "y"], (), data, schema)


PLANS = {
    "none": (None, NAMES, ()),
    "sum": (["total == a + b", "status != 2 -> b == 0", "part <= whole"], NAMES, ()),
    "stick": (["total == a + b", "status != 2 -> b == 0"], ["a", "b", "part", "whole"], ["total", "status"]),
    "limits": (["total >= a", "a + b <= total", "0 <= part <= whole"], NAMES, ()),
    "turned": (["b > 0 -> status == 2", "a > 0 or total >= b"], NAMES, ()),
}


@pytest.mark.parametrize("case", PLANS)
def test_plans_survive_json(case):
    constraints, targets, conditions = PLANS[case]
    plan = build(constraints, targets, conditions)
    again = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert again == plan
    assert again.describe() == plan.describe()


def test_a_damaged_plan_is_refused():
    with pytest.raises(ConstraintError, match="lacks the entry 'order'"):
        Plan.from_dict({"constraints": [], "targets": [], "conditions": []})


@pytest.mark.parametrize("case", PLANS)
@pytest.mark.parametrize("seed", range(3))
def test_drawing_inside_the_support_obeys_every_constraint(case, seed):
    constraints, targets, conditions = PLANS[case]
    plan = build(constraints, targets, conditions)
    rng = RNG(seed)
    n = 500
    values = {name: DATA[name][rng.integers(0, 2000, n)] for name in conditions}
    if conditions:
        rows = rng.integers(0, 2000, n)
        values = {name: DATA[name][rows] for name in conditions}
    for name in plan.order:
        drawn = DATA[name][rng.integers(0, 2000, n)]
        if name in plan.shares:
            base = sum(factor * values[other] for other, factor in plan.shares[name].of.items())
            drawn = np.floor(np.maximum(base, 0) * rng.random(n) * 100) / 100
        support = plan.support(name, values, n)
        if support is not None:
            assert not support.is_empty.any()
            drawn = np.clip(
                drawn,
                -np.inf if support.lo is None else support.lo,
                np.inf if support.hi is None else support.hi,
            )
        values[name] = drawn
    values |= plan.derive(values)
    assert set(values) == {*targets, *conditions}
    for text, broken in plan.check(values):
        assert not broken.any(), text
    for name in ("a", "b", "part"):
        assert (values[name] >= 0).all()


def test_other_orders_are_admitted_if_ties_keep_theirs():
    plan = build(["part <= whole", "status != 2 -> b == 0"], ["whole", "part", "status", "b"])
    assert plan.admits(plan.order)
    assert plan.admits(["status", "b", "whole", "part"])
    assert not plan.admits(["b", "status", "whole", "part"])
    assert not plan.admits(["part", "whole", "status", "b"])
    assert not plan.admits(["whole", "part"])


@given(st.permutations(["whole", "part", "status", "a", "b"]))
def test_any_order_can_be_made_admissible(wished):
    plan = build(["part <= whole", "status != 2 -> b == 0", "a + b <= 1e9"], ["whole", "part", "status", "a", "b"])
    order = plan.rearrange(wished)
    assert plan.admits(order)
    assert order == tuple(wished) or not plan.admits(wished)


def test_a_range_with_gaps_comes_before_what_decides_on_it():
    data = {**DATA, "a": DATA["a"] * 0}
    plan = build(["status == 1 -> a == 0 or a > 9"], ["status", "a"], (), data, auto_shares=False)
    assert plan.order == ("a", "status")
    support = plan.support("status", {"a": np.array([0.0, 5.0, 50.0])}, 3)
    assert support.excluded.tolist()[1] == 1.0
    assert np.isnan(support.excluded[[0, 2]]).all()
    assert not plan.admits(["status", "a"])


def test_description():
    plan = build(["total == a + b", "part <= whole", "whole >= 0", "status >= 1"], NAMES[:-2], ["status"])
    assert plan.describe() == [
        "total == a + b: by derivation",
        "part <= whole: restricts part",
        "whole >= 0: restricts whole",
        "status >= 1: concerns conditions only",
        "total = a + b: derived",
        "part <= whole: modelled as a share",
    ]


def test_real_tax_units(shared_data):
    frame = pd.read_parquet(shared_data("us_cps_tax_units.parquet")).iloc[:20000]
    targets = ["e00200", "e00200p", "e00200s", "e00650", "e00600", "e01700", "e01500"]
    conditions = ["MARS", "age_head"]
    columns = {name: read_column(frame, name) for name in targets + conditions}
    plan = Plan.build(
        ["e00200 == e00200p + e00200s", "MARS != 2 -> e00200s == 0"],
        targets,
        conditions,
        {name: column.values for name, column in columns.items()},
        Schema.infer(frame, columns=targets + conditions),
    )
    assert {name: share.of for name, share in plan.shares.items()} == {
        "e00650": {"e00600": 1.0},
        "e01700": {"e01500": 1.0},
    }
    assert plan.order == ("e00200p", "e00200s", "e00600", "e00650", "e01500", "e01700")
