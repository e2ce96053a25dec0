import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.datasets import make_population, official_totals
from microplex.datasets.tables import age_groups
from microplex.errors import DataError
from microplex.targets import Target, TargetSet, build_design


def slow_row(target, households, members, entity):
    """Return the coefficients, the denominators and the domain counts of a target over the households.

    `households` are dicts with `household_id`; `members` are dicts of the table that is counted, or None.
    """
    rows = [[record] for record in households]
    if entity != "households":
        rows = [
            [{**h, **member} for member in members if member["household_id"] == h["household_id"]] for h in households
        ]
    top, below = np.zeros(len(rows)), np.zeros(len(rows))
    for i, records in enumerate(rows):
        for record in records:
            if target.where and not eval(target.where, {}, record):
                continue
            inside = all(str(record[name]) == str(level) for name, level in target.by.items())
            x = 1.0 if target.variable is None else record[target.variable]
            if target.statistic == "share":
                top[i] += x if inside else 0.0
                below[i] += x
            elif inside and target.statistic == "quantile":
                top[i] += x <= target.total
                below[i] += 1.0
            elif inside:
                top[i] += x
                below[i] += record[target.denominator] if target.denominator else 1.0
    coefficients = top if target.statistic == "total" else top - target.value * below
    return coefficients, top, below


def tables(seed, n=30):
    r = np.random.default_rng(seed)
    households = pd.DataFrame(
        {
            "household_id": r.permutation(n) + 100,
            "state": r.choice(["CA", "NY", "TX"], n),
            "tenure": r.integers(1, 4, n),
            "urban": r.random(n) < 0.5,
            "rent": np.round(r.exponential(900, n)) * (r.random(n) < 0.6),
            "weight": r.uniform(1, 20, n),
        }
    )
    size = r.integers(0, 4, n)
    persons = pd.DataFrame(
        {
            "household_id": np.repeat(households["household_id"], size),
            "age": r.integers(0, 90, size.sum()),
            "sex": r.choice(["f", "m"], size.sum()),
            "wages": np.round(r.exponential(30_000, size.sum())) * (r.random(size.sum()) < 0.7),
            "hours": r.integers(1, 60, size.sum()),
        }
    )
    return households, persons.sample(frac=1, random_state=seed)


TARGETS = [
    Target(500),
    Target(300, by={"state": "CA"}),
    Target(300, by={"state": "TX", "tenure": 2}),
    Target(300, by={"tenure": 2, "urban": True}, where="rent > 100"),
    Target(9e4, "rent"),
    Target(9e4, "rent", by={"state": "NY"}),
    Target(9e4, "urban", by={"tenure": 1}),
    Target(800, entity="persons"),
    Target(800, by={"sex": "f"}, where="age >= 18"),
    Target(800, by={"sex": "f", "state": "CA"}),
    Target(1e6, "wages", where="state in ('CA', 'NY') and age < 65"),
    Target(1e6, "wages", by={"sex": "m", "tenure": 3}),
    Target.mean(800, "rent", by={"state": "CA"}),
    Target.mean(31_000, "wages", where="wages > 0"),
    Target.mean(40, "age", by={"sex": "f"}, entity="persons"),
    Target.ratio(900, "wages", "hours", by={"state": "NY"}),
    Target.share(0.4, {"state": "CA"}),
    Target.share(0.1, {"sex": "f", "tenure": 2}, where="age > 20"),
    Target.share(0.3, {"sex": "f"}, "wages"),
    Target.quantile(700, "rent"),
    Target.quantile(300, "rent", 0.4),
    Target.quantile(2, "tenure", 0.6),
    Target.quantile(30, "age", 0.4, by={"sex": "m"}),
]


def entity_of(target):
    text = f"{target.variable} {list(target.by)} {target.where} {target.entity}"
    return "persons" if any(word in text for word in ("age", "sex", "wages", "persons")) else "households"


@pytest.mark.parametrize("seed", range(4))
def test_design_equals_a_loop_over_records(seed, make_frame):
    households, persons = tables(seed)
    built = build_design(make_frame(households), TARGETS, persons=make_frame(persons), on_infeasible="keep")
    records, members = households.to_dict("records"), persons.to_dict("records")
    weights = np.random.default_rng(seed).uniform(0, 5, len(households))
    achieved = built.achieved(weights)
    assert built.entities == tuple(map(entity_of, TARGETS))
    for j, target in enumerate(TARGETS):
        row, top, below = slow_row(target, records, members, entity_of(target))
        np.testing.assert_allclose(built.design[[j]].toarray()[0], row, atol=1e-9, err_msg=target.name)
        is_total = target.statistic == "total"
        assert achieved[j] == pytest.approx(top @ weights if is_total else (top @ weights) / (below @ weights))
        assert built.totals[j] == (target.total if is_total else 0)
        assert built.values[j] == (target.total if target.probability is None else target.probability)
    assert (built.design.data != 0).all()
    np.testing.assert_array_equal(built.base, households["weight"])
    assert built.names == tuple(target.name for target in built.targets)


def test_order_of_targets_is_order_of_rows():
    households, persons = tables(0)
    built = build_design(households, TARGETS, persons=persons, on_infeasible="keep")
    order = np.random.default_rng(1).permutation(len(TARGETS))
    moved = build_design(households, [TARGETS[i] for i in order], persons=persons, on_infeasible="keep")
    assert np.abs((built.design[order] - moved.design).toarray()).max() < 1e-9
    np.testing.assert_array_equal(built.totals[order], moved.totals)
    np.testing.assert_array_equal(built.support[order], moved.support)
    np.testing.assert_allclose(built.scale[order], moved.scale)


def test_the_relative_error_is_in_the_unit_of_the_target():
    households, persons = tables(1)
    built = build_design(households, TARGETS, persons=persons, on_infeasible="keep")
    for j in range(len(TARGETS)):
        if built.denominator_of[j] >= 0:
            error = abs(built.design[[j]] @ built.base)[0] / built.scale[j]
            below = (built.denominators @ built.base)[built.denominator_of[j]]
            growth = built.scale[j] / (abs(built.values[j]) * below)
            own = abs(built.achieved(built.base)[j] - built.values[j]) / abs(built.values[j])
            assert error == pytest.approx(own / growth)
        else:
            assert built.scale[j] >= abs(built.totals[j])


def test_scales_do_not_depend_on_the_level_of_the_base_weights():
    households, persons = tables(2)
    households["net"] = np.where(households["urban"], 1e6, -1e6)
    small = households.assign(weight=households["weight"] / 1000)
    targets = [*TARGETS, Target(1, "net")]
    scales = [build_design(h, targets, persons=persons, on_infeasible="keep").scale for h in (households, small)]
    np.testing.assert_allclose(*scales)


def test_a_total_of_zero_has_a_scale():
    frame = pd.DataFrame({"x": [2.0, -2.0], "state": ["a", "b"], "weight": [10.0, 5.0]})
    built = build_design(frame, [Target(0, "x"), Target(0, by={"state": "none"}), Target(15)])
    np.testing.assert_allclose(built.scale, [0.001 * 30, 1.0, 15])
    assert built.support.tolist() == [2, 0, 2]


def test_equal_weights_meet_the_first_count():
    frame = pd.DataFrame({"x": [1.0, 3.0], "state": ["a", "b"]})
    built = build_design(frame, [Target(8, "x"), Target(30, by={"state": "a"})], weight_col=None)
    assert built.base.tolist() == [30, 30]
    assert build_design(frame, [Target(8, "x")], weight_col=None).base.tolist() == [2, 2]
    assert build_design(frame, [Target.mean(2, "x")], weight_col=None).base.tolist() == [1, 1]


def test_records_of_weight_zero_support_nothing():
    frame = pd.DataFrame({"state": ["a", "b", "b"], "weight": [0.0, 1.0, 2.0]})
    built = build_design(frame, [Target(0, by={"state": "a"}), Target(3, by={"state": "b"})])
    assert built.support.tolist() == [0, 2]


@pytest.mark.parametrize("column", [[1, 2], [1.0, 2.0], ["1", "2"], pd.Categorical([1, 2]), [True, False]])
@pytest.mark.parametrize("category", [1, 1.0, "1", np.int64(1)])
def test_categories_match_by_value(column, category):
    frame = pd.DataFrame({"k": column, "weight": 1.0})
    assert build_design(frame, [Target(1, by={"k": category})]).design.toarray().tolist() == [[1, 0]]


def test_booleans_match_their_words():
    frame = pd.DataFrame({"k": [True, False], "weight": 1.0})
    for category in (True, "True", "true", 1):
        assert build_design(frame, [Target(1, by={"k": category})]).design.toarray().tolist() == [[1, 0]]


def test_columns_of_households_are_repeated_for_persons_and_units():
    population = make_population(200, seed=4)
    targets = [
        Target(1, by={"filing_status": "joint"}, entity="persons"),
        Target(1, "wages", by={"tenure": "owned"}, entity="tax_units"),
        Target(1, where="persons.age < 18 and households.tenure == 'owned'"),
    ]
    built = build_design(
        population.households.assign(weight=1.0), targets, persons=population.persons, tax_units=population.tax_units
    )
    view = population.view("persons", ["filing_status", "tenure", "age"])
    units = population.view("tax_units", ["wages", "tenure"])
    assert built.achieved(built.base).tolist() == [
        (view["filing_status"] == "joint").sum(),
        units.loc[units["tenure"] == "owned", "wages"].sum(),
        ((view["tenure"] == "owned") & (view["age"] < 18)).sum(),
    ]


def test_official_totals_of_a_population_are_met_exactly():
    population = make_population(1500, seed=3)
    persons = population.persons.assign(age_group=age_groups(population.persons["age"].to_numpy()))
    counts = ["households", "tax_units", "persons"]
    by_all = official_totals(
        population, [(), "state", "tenure", ("state", "tenure")], [*counts, "wages", "tax_units.wages"]
    )
    by_person = official_totals(population, ["age_group", ("sex", "state", "age_group")], ["persons", "wages"])
    targets = TargetSet.from_frame(by_all) + by_person
    built = build_design(
        population.households.assign(weight=1.0), targets, persons=persons, tax_units=population.tax_units
    )
    np.testing.assert_allclose(built.achieved(np.ones(1500)), built.values, rtol=1e-14)
    assert len(built.targets) == len(by_all) + len(by_person)


def test_a_crosswalk_gives_coarser_areas(make_frame):
    frame = make_frame({"county": [101, 102, 201, 201], "weight": [1.0, 2.0, 3.0, 4.0]})
    crosswalk = make_frame({"county": [201, 101, 102, 103, 101], "region": ["S", "N", "N", "X", "N"]})
    targets = [
        Target(1, by={"region": "N"}),
        Target(1, where="region == 'S'"),
        Target(1, by={"region": "S", "county": 201}),
    ]
    built = build_design(frame, targets, crosswalk=crosswalk)
    assert built.design.toarray().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_a_crosswalk_serves_persons_too():
    frame = pd.DataFrame({"household_id": ["a", "b"], "county": ["x", "y"], "weight": 1.0})
    persons = pd.DataFrame({"household_id": ["b", "a", "b"], "age": [1, 2, 3]})
    crosswalk = pd.DataFrame({"county": ["y", "x"], "state": ["S", "T"]})
    built = build_design(frame, [Target(2, by={"state": "S"}, entity="persons")], persons=persons, crosswalk=crosswalk)
    assert built.design.toarray().tolist() == [[0, 2]]


def test_many_crossed_categories_need_no_large_table():
    n = 300
    r = np.random.default_rng(0)
    frame = pd.DataFrame({**{f"c{k}": r.integers(0, 300, n) for k in range(4)}, "weight": 1.0})
    columns = [f"c{k}" for k in range(4)]
    cells = frame[columns].drop_duplicates()
    targets = TargetSet(Target(1, by=dict(zip(columns, map(int, cell), strict=True))) for cell in cells.to_numpy())
    design = build_design(frame, targets).design.toarray()
    expected = (cells.to_numpy()[:, None, :] == frame[columns].to_numpy()[None]).all(2)
    np.testing.assert_array_equal(design, expected)


def test_support_counts_records_of_the_cell():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 0.0], "s": ["a", "a", "b", "a"], "weight": 1.0})
    targets = [Target(3, "x", by={"s": "a"}), Target.mean(1, "x", by={"s": "a"}), Target.share(0.2, {"s": "b"})]
    assert build_design(frame, targets).support.tolist() == [2, 3, 1]


def test_achieved_checks_its_weights():
    built = build_design(pd.DataFrame({"weight": [1.0, 2.0]}), [Target(3), Target.mean(1, "weight")])
    with pytest.raises(DataError, match=r"weights must have shape \(2,\); got \(3,\)"):
        built.achieved([1, 2, 3])
    assert np.isnan(built.achieved([0, 0])[1])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), split=st.integers(1, 29))
def test_rows_of_parts_of_the_frame_stand_side_by_side(seed, split):
    households, _ = tables(seed)
    targets = [target for target in TARGETS if entity_of(target) == "households"]
    whole = build_design(households, targets, on_infeasible="keep").design.toarray()
    parts = [
        build_design(part, targets, on_infeasible="keep").design.toarray()
        for part in (households.iloc[:split], households.iloc[split:])
    ]
    np.testing.assert_array_equal(whole, np.hstack(parts))
