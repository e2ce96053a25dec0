"""The support against a slow twin: try every value on every row."""

import functools
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from microplex.constraints import Combinations, Plan, parse
from microplex.errors import ConstraintError
from microplex.schema import Column, Schema

VALUES = {
    "a": range(5),
    "b": range(5),
    "c": range(5),
    "k": ("x", "y", "z"),
    "o": ("low", "mid", "high"),
    "t": (False, True),
}
SCHEMA = Schema(
    (
        *(Column(name, "count", "int", resolution=1, lower=0, upper=4) for name in "abc"),
        Column("k", "categorical", "string", levels=VALUES["k"]),
        Column("o", "ordinal", "category", levels=VALUES["o"]),
        Column("t", "boolean", "bool", levels=(False, True)),
    )
)
RANK = {"low": 0, "mid": 1, "high": 2}
LAWS = {
    "a <= b": lambda r: r["a"] <= r["b"],
    "a < b": lambda r: r["a"] < r["b"],
    "a != b": lambda r: r["a"] != r["b"],
    "2 * a >= b + c": lambda r: 2 * r["a"] >= r["b"] + r["c"],
    "a + b <= c + 3": lambda r: r["a"] + r["b"] <= r["c"] + 3,
    "a + b > 0.5 * c": lambda r: r["a"] + r["b"] > 0.5 * r["c"],
    "a + 1 == b": lambda r: r["a"] + 1 == r["b"],
    "a in (0, 2, 4)": lambda r: r["a"] in (0, 2, 4),
    "b in (1, 2)": lambda r: r["b"] in (1, 2),
    "c not in (1, 3)": lambda r: r["c"] not in (1, 3),
    "c != 0": lambda r: r["c"] != 0,
    "k == 'x' -> a == 0": lambda r: r["k"] != "x" or r["a"] == 0,
    "k in ('x', 'y') -> a > 1 and b < 3": lambda r: r["k"] == "z" or (r["a"] > 1 and r["b"] < 3),
    "a == 0 -> k != 'z'": lambda r: r["a"] != 0 or r["k"] != "z",
    "a > 0 and b > 0 -> c > 0 or k == 'x'": lambda r: not (r["a"] > 0 and r["b"] > 0) or r["c"] > 0 or r["k"] == "x",
    "a == 0 or a >= 3": lambda r: r["a"] == 0 or r["a"] >= 3,
    "o >= 'mid' -> a >= 2": lambda r: RANK[r["o"]] < 1 or r["a"] >= 2,
    "o < 'high' or k == 'y'": lambda r: RANK[r["o"]] < 2 or r["k"] == "y",
    "t -> a > 0": lambda r: not r["t"] or r["a"] > 0,
    "a + t <= 3": lambda r: r["a"] + r["t"] <= 3,
    "not t or k == 'z'": lambda r: not r["t"] or r["k"] == "z",
}
names = list(VALUES)


GRID = [dict(zip(VALUES, values, strict=True)) for values in itertools.product(*VALUES.values())]


@functools.cache
def obeying(text):
    return frozenset(place for place, row in enumerate(GRID) if LAWS[text](row))


def plan_of(texts):
    """Plan on every row that obeys; the values of counts are those of the grid even where none obeys."""
    kept = sorted(frozenset.intersection(*map(obeying, texts)))
    assume(kept)
    data = known_as_floats({name: np.array([GRID[place][name] for place in kept]) for name in names})
    plan = Plan.build(texts, names, [], data, SCHEMA, auto_shares=False)
    return Plan.from_dict({**plan.to_dict(), "points": {name: [0.0, 1.0, 2.0, 3.0, 4.0] for name in "abc"}})


def allowed_by(support, name, n):
    """List the values a support leaves on each row."""
    out = []
    for row in range(n):
        kept = []
        for place, value in enumerate(VALUES[name]):
            if support is None:
                kept.append(value)
            elif support.levels is not None:
                kept += [value] * bool(support.levels[row, place])
            else:
                inside = support.lo is None or value >= support.lo[row]
                inside &= support.hi is None or value <= support.hi[row]
                inside &= support.excluded is None or value != support.excluded[row]
                inside &= support.allowed is None or bool(support.allowed[row, place])
                kept += [value] * bool(inside)
        out.append(kept)
    return out


rows = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in VALUES.items()})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(LAWS)), min_size=1, max_size=3, unique=True),
    st.lists(rows, min_size=1, max_size=8),
    st.sampled_from(names),
)
def test_support_is_what_trial_and_error_finds(texts, known, name):
    plan = plan_of(texts)
    values = {other: np.array([row[other] for row in known]) for other in names}
    numbers = {k: v.astype(float) if SCHEMA[k].is_numeric else v for k, v in values.items()}
    support = plan.support(name, numbers, len(known), use_later=True)
    found = allowed_by(support, name, len(known))
    about = [text for text in texts if name in parse(text)[0].columns]
    for row, kept in zip(known, found, strict=True):
        tried = [value for value in VALUES[name] if all(LAWS[text]({**row, name: value}) for text in about)]
        assert kept == tried or not tried  # a row beyond rescue may keep some values


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(LAWS)), rows, st.sampled_from(names), st.sets(st.sampled_from(names)))
def test_support_given_a_part_of_the_row_drops_no_value_that_can_be_completed(text, row, name, hidden):
    plan = plan_of([text])
    known = {other: np.array([row[other]]) for other in names if other not in hidden}
    (found,) = allowed_by(plan.support(name, known_as_floats(known), 1, use_later=True), name, 1)
    unknown = [other for other in names if other in hidden and other != name]
    for value in VALUES[name]:
        completions = itertools.product(*(VALUES[other] for other in unknown))
        if any(LAWS[text]({**row, name: value, **dict(zip(unknown, c, strict=True))}) for c in completions):
            assert value in found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(LAWS)), min_size=1, max_size=3, unique=True), rows, st.sampled_from(names))
def test_support_uses_earlier_columns_only(texts, row, name):
    plan = plan_of(texts)
    values = known_as_floats({other: np.array([row[other]]) for other in names})
    earlier = {other: values[other] for other in plan.order[: plan.order.index(name)]}
    full, part = plan.support(name, values, 1), plan.support(name, earlier, 1)
    assert allowed_by(full, name, 1) == allowed_by(part, name, 1)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(LAWS)), rows)
def test_check_finds_exactly_the_broken_rows(text, row):
    plan = plan_of([text])
    values = known_as_floats({name: np.array([row[name]]) for name in names})
    assert plan.check(values)[0][1].tolist() == [not LAWS[text](row)]


def known_as_floats(known):
    return {k: v.astype(float) if SCHEMA[k].is_numeric else v for k, v in known.items()}


def amounts(*wanted, resolution=None, **options):
    columns = tuple(Column(name, "continuous", "float", resolution=resolution, **options) for name in wanted)
    data = {name: np.full(1, np.nan) for name in wanted}
    return Schema(columns), data


def support_of(text, name, known, **options):
    schema, data = amounts("x", "y", "z", **options)
    plan = Plan.build([text], ["x", "y", "z"], [], data, schema)
    arrays = {other: np.atleast_1d(np.array(value, float)) for other, value in known.items()}
    return plan.support(name, arrays, len(next(iter(arrays.values()))), use_later=True)


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("x <= y", None, 10.0),
        ("x < y", None, np.nextafter(10.0, -np.inf)),
        ("x >= y", 10.0, None),
        ("x > y", np.nextafter(10.0, np.inf), None),
        ("x == 0.5 * y + 1", 6.0, 6.0),
        ("-2 * x <= y", -5.0, None),
        ("x - y >= 3", 13.0, None),
        ("y <= x <= 2 * y", 10.0, 20.0),
        ("y > 5 -> x == 0", 0.0, 0.0),
        ("y < 5 -> x == 0", None, None),
        ("x > 0 -> y < 5", None, 0.0),
    ],
)
def test_bounds(text, lo, hi):
    schema, data = amounts("x", "y")
    support = Plan.build([text], ["x"], ["y"], data, schema).support("x", {"y": np.array([10.0])}, 1)
    assert (None if support.lo is None else support.lo[0]) == lo
    assert (None if support.hi is None else support.hi[0]) == hi


def test_strict_bounds_step_by_the_grain():
    assert support_of("x < y", "x", {"y": [3.0, 3.004, -0.01]}, resolution=0.01).hi.tolist() == [2.99, 3.0, -0.02]
    assert support_of("x > y", "x", {"y": [3.0, 2.996]}, resolution=0.01).lo.tolist() == [3.01, 3.0]
    assert support_of("x < y", "x", {"y": [3.0]}, resolution=50).hi.tolist() == [0.0]


def test_bounds_land_on_the_grain():
    known = {"y": [0.3, 1.15], "z": [0.1, 1.1]}
    assert support_of("x + z <= y", "x", known, resolution=0.01).hi.tolist() == [0.2, 0.05]
    assert support_of("x <= 0.5 * y", "x", {"y": [3.0, 4.0]}, resolution=1).hi.tolist() == [1.0, 2.0]
    assert support_of("x >= 0.5 * y", "x", {"y": [3.0, 4.0]}, resolution=1).lo.tolist() == [2.0, 2.0]


def test_columns_to_come_take_part_by_their_bounds():
    known = {"y": [10.0]}
    assert support_of("x + z <= y", "x", known, lower=0).hi.tolist() == [10.0]
    assert support_of("x + z <= y", "x", known).hi is None
    assert support_of("x - z <= y", "x", known, lower=0, upper=50).hi.tolist() == [60.0]


def test_missing_values_restrict_nothing():
    support = support_of("x <= y", "x", {"y": [np.nan, 4.0]})
    assert support.hi.tolist() == [math.inf, 4.0]
    assert support_of("y == 0 -> x == 0", "x", {"y": [np.nan, 0.0]}).hi.tolist() == [math.inf, 0.0]


def test_missing_codes_count_as_missing_unless_named():
    schema, data = amounts("x", "y", missing_codes=(-9.0,))
    plan = Plan.build(["x <= y", "y == -9 -> x == 0"], ["x"], ["y"], data, schema)
    assert plan.support("x", {"y": np.array([-9.0, 5.0])}, 2).hi.tolist() == [0.0, 5.0]
    broken = dict(plan.check({"x": np.array([-9.0, 7.0]), "y": np.array([5.0, -9.0])}))
    assert broken["x <= y"].tolist() == [False, False]
    assert broken["y == -9 -> x == 0"].tolist() == [False, True]


def test_excluded_points():
    support = support_of("x != y", "x", {"y": [1.0, np.nan]})
    assert support.excluded[0] == 1.0
    assert math.isnan(support.excluded[1])
    assert support.lo is None


def test_an_excluded_end_moves_the_bound():
    schema, data = amounts("x", "y", resolution=1)
    plan = Plan.build(["x != 0", "x >= 0"], ["x", "y"], [], data, schema)
    support = plan.support("x", {}, 2)
    assert support.lo.tolist() == [1.0, 1.0]
    assert support.excluded is None


def test_gaps_are_refused_for_continuous_columns():
    schema, data = amounts("x", "y")
    for text in ("x == 0 or x >= 100", "x in (0, 5, 7)", "x not in (1, 2)", "y == 1 -> x in (0, 9)"):
        with pytest.raises(ConstraintError, match="leaves column 'x' a range with gaps"):
            Plan.build([text], ["x"], ["y"], data, schema)


def test_two_excluded_points_are_a_gap():
    schema, data = amounts("x", "y")
    with pytest.raises(ConstraintError, match="gaps"):
        Plan.build(["x != 1", "x != 2"], ["x"], ["y"], data, schema)


def test_a_run_of_values_is_an_interval():
    support = support_of("x in (1, 2, 3)", "x", {"y": [0.0]}, resolution=1)
    assert (support.lo[0], support.hi[0]) == (1.0, 3.0)


def test_empty_support_is_told():
    schema, data = amounts("x", "y", "z")
    plan = Plan.build(["y <= x <= z"], ["x"], ["y", "z"], data, schema)
    assert plan.support("x", {"y": np.array([1.0, 3.0]), "z": np.array([2.0, 2.0])}, 2).is_empty.tolist() == [
        False,
        True,
    ]


def test_dates():
    schema = Schema(
        (Column("start", "date", "date", resolution=1), Column("end", "date", "datetime", resolution=86400))
    )
    data = {"start": np.array([np.nan]), "end": np.array([np.nan])}
    plan = Plan.build(["start >= '1970-01-11'", "end == '1970-01-02'"], ["start", "end"], [], data, schema)
    assert plan.support("start", {}, 1).lo.tolist() == [10.0]
    assert plan.support("end", {}, 1).hi.tolist() == [86400.0]
    with pytest.raises(ConstraintError, match="'soon' is not a date"):
        Plan.build(["start >= 'soon'"], ["start", "end"], [], data, schema)


STATES = Schema(
    (
        Column("state", "categorical", "string", levels=("CA", "NY")),
        Column("county", "categorical", "string", levels=("Albany", "Kings", "Orange")),
        Column("district", "count", "int", resolution=1),
    )
)
PLACES = {
    "state": np.array(["NY", "NY", "CA", "CA", None], dtype=object),
    "county": np.array(["Albany", "Kings", "Kings", "Orange", "Albany"], dtype=object),
    "district": np.array([1.0, 2.0, 1.0, 1.0, 2.0]),
}


def test_combinations_are_learnt():
    plan = Plan.build(["combinations(state, county)"], ["county"], ["state"], PLACES, STATES)
    support = plan.support("county", {"state": np.array(["NY", "CA", None], dtype=object)}, 3)
    assert support.levels.tolist() == [[True, True, False], [False, True, True], [True, True, True]]
    assert plan.constraints[0].allowed == (("CA", "Kings"), ("CA", "Orange"), ("NY", "Albany"), ("NY", "Kings"))
    codes = plan.support("county", {"state": np.array([1, 0, -1], dtype=np.int32)}, 3)
    assert (codes.levels == support.levels).all()


def test_combinations_look_ahead():
    plan = Plan.build(["combinations(state, county, district)"], ["county", "district"], ["state"], PLACES, STATES)
    known = {"state": np.array(["NY", "CA"])}
    assert plan.support("county", known, 2).levels.tolist() == [[True, True, False], [False, True, True]]
    support = plan.support("district", {**known, "county": np.array(["Kings", "Kings"])}, 2)
    assert support.points.tolist() == [1.0, 2.0]
    assert support.allowed.tolist() == [[False, True], [True, False]]
    broken = plan.check({**known, "county": np.array(["Kings", "Albany"]), "district": np.array([2.0, 1.0])})
    assert broken[0][1].tolist() == [False, True]


def test_combinations_given():
    rule = Combinations(("state", "county"), [("NY", "Albany"), ("CA", "Orange")])
    data = {"state": np.array(["NY"]), "county": np.array(["Albany"])}
    plan = Plan.build([rule], ["state", "county"], [], data, STATES)
    assert plan.support("state", {}, 1).levels.tolist() == [[True, True]]
    assert plan.support("county", {"state": np.array(["CA"])}, 1).levels.tolist() == [[False, False, True]]
    with pytest.raises(ConstraintError, match=r"no level 'Albani'\. Did you mean 'Albany'"):
        Plan.build([Combinations(("state", "county"), [("NY", "Albani")])], ["state", "county"], [], data, STATES)


def test_combinations_need_levels():
    schema, data = amounts("x", "y")
    with pytest.raises(ConstraintError, match="'x' must have levels"):
        Plan.build(["combinations(x, y)"], ["x", "y"], [], data, schema)


def test_unseen_levels_are_unknown_or_restrict_nothing():
    plan = Plan.build(
        ["state == 'NY' -> district == 2"],
        ["district"],
        ["state"],
        {"state": np.array(["NY"]), "district": np.array([2.0])},
        STATES,
    )
    assert plan.support("district", {"state": np.array(["TX", "NY"])}, 2).hi.tolist() == [math.inf, 2.0]
    known = STATES.replace("state", unknown="NY")
    plan = Plan.build(
        ["state == 'NY' -> district == 2"],
        ["district"],
        ["state"],
        {"state": np.array(["NY"]), "district": np.array([2.0])},
        known,
    )
    assert plan.support("district", {"state": np.array(["TX"])}, 1).hi.tolist() == [2.0]


def test_combinations_of_too_many_columns_are_refused():
    many = Schema(
        tuple(Column(f"c{i}", "categorical", "string", levels=tuple(map(str, range(1000)))) for i in range(7))
    )
    data = {name: np.arange(1000, dtype=np.int32) for name in many.names}
    with pytest.raises(ConstraintError, match="spans too many columns"):
        Plan.build([Combinations(many.names)], many.names, [], data, many)
