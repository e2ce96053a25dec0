import pandas as pd
import pytest

from microplex.errors import DataError, ParameterError
from microplex.targets import Target, TargetSet


def by_state(values, variable=None, **cell):
    return [Target(v, variable, {"state": s, **cell}) for s, v in values.items()]


def totals(targets):
    return [target.total for target in targets]


def test_a_nation_becomes_the_sum_of_its_states():
    states = by_state({"CA": 60, "NY": 50}) + by_state({"CA": 7, "NY": 8}, "wages")
    fitted = TargetSet([Target(100), Target(30, "wages"), Target(5, "rent"), *states]).reconcile(to="state")
    assert totals(fitted) == [110, 15, 5, 60, 50, 7, 8]


def test_other_margins_of_the_nation_follow_its_total():
    ages = [Target(40, by={"age": "young"}), Target(60, by={"age": "old"})]
    fitted = TargetSet([Target(100), *ages, *by_state({"CA": 60, "NY": 50})]).reconcile(to="state")
    assert totals(fitted)[:3] == pytest.approx([110, 44, 66])


def test_crossed_margins_are_summed_where_the_states_have_them():
    crossed = by_state({"CA": 20, "NY": 25}, age="young") + by_state({"CA": 30, "NY": 35}, age="old")
    fitted = TargetSet([Target(40, by={"age": "young"}), Target(60, by={"age": "old"}), *crossed]).reconcile(to="state")
    assert totals(fitted)[:2] == [45, 65]
    assert totals(fitted)[2:] == totals(crossed)


COUNTIES = pd.DataFrame({"county": [1, 2, 3, 4], "state": ["CA", "CA", "NY", "NY"], "region": ["W", "W", "E", "E"]})


@pytest.mark.parametrize("named", [True, False])
def test_counties_are_scaled_to_their_state(named):
    counties = [
        Target(v, by={"county": c, **({"state": s} if named else {})})
        for c, s, v in ((1, "CA", 10), (2, "CA", 20), (3, "NY", 5), (4, "NY", 15))
    ]
    crosswalk = None if named else COUNTIES
    fitted = TargetSet([*by_state({"CA": 60, "NY": 50}), *counties]).reconcile(to="state", crosswalk=crosswalk)
    assert totals(fitted) == pytest.approx([60, 50, 20, 40, 12.5, 37.5])


def test_regions_are_summed_from_a_crosswalk(make_frame):
    regions = [Target(1, by={"region": "W"}), Target(1, by={"region": "E"})]
    regions += [Target(4, by={"region": "E", "age": "old"})]
    crosswalk = make_frame(COUNTIES)
    fitted = TargetSet([*by_state({"CA": 60, "NY": 50}), *regions]).reconcile(to="state", crosswalk=crosswalk)
    assert totals(fitted)[2:] == [60, 50, 200]


def test_counties_by_age_follow_the_counts_of_their_state():
    counties = [Target(10, by={"county": 1}), Target(20, by={"county": 2}), Target(4, by={"county": 1, "age": "old"})]
    states = by_state({"CA": 60, "NY": 50})
    fitted = TargetSet([*states, *counties]).reconcile(to="state", crosswalk=COUNTIES)
    assert totals(fitted)[2:] == [20, 40, 8]


def test_three_levels_agree_after_two_calls():
    counties = [Target(v, by={"county": c}) for c, v in zip((1, 2, 3, 4), (1, 2, 3, 4), strict=True)]
    targets = TargetSet([Target(7), *by_state({"CA": 60, "NY": 50}), *counties])
    fitted = targets.reconcile(to="state", crosswalk=COUNTIES)
    by_level = {len(t.by) and next(iter(t.by)): 0.0 for t in fitted}
    for t in fitted:
        by_level[len(t.by) and next(iter(t.by))] += t.total
    assert list(by_level.values()) == pytest.approx([110, 110, 110])
    again = fitted.reconcile(to="state", crosswalk=COUNTIES)
    assert totals(again) == pytest.approx(totals(fitted))


def test_means_and_crossings_that_are_no_areas_stay():
    ages = [t for age, c in (("young", 2), ("old", 3)) for t in by_state({"CA": c, "NY": c}, age=age)]
    targets = TargetSet([Target.mean(5, "x"), *by_state({"CA": 60, "NY": 50}), *ages])
    assert targets.reconcile(to="state") == targets


@pytest.mark.parametrize("ages", [["young"], ["young", "old"]])
def test_crossings_of_a_single_state_are_no_areas(ages):
    crossed = [t for age in ages for t in by_state({"CA": 20}, age=age)]
    targets = TargetSet([*by_state({"CA": 60}), *crossed])
    assert targets.reconcile(to="state") == targets


def test_what_cannot_be_reconciled():
    targets = TargetSet([*by_state({"CA": 60}), Target(0, by={"county": 1}), Target(0, by={"county": 2})])
    with pytest.raises(ParameterError, match=r"no target is by 'stat'. Did you mean 'state'"):
        targets.reconcile(to="stat")
    with pytest.raises(DataError, match="'count, county=1' and 1 more add up to 0 and cannot be scaled to 60"):
        targets.reconcile(to="state", crosswalk=COUNTIES)
