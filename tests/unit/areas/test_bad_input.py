import numpy as np
import pandas as pd
import pytest

from microplex.areas import calibrate_areas
from microplex.errors import ColumnNotFoundError, DataError, InfeasibleTargetsError, ParameterError
from microplex.targets import Target

AREAS = pd.DataFrame({"zone": ["a", "b", "c"], "tract": ["T1", "T1", "T2"], "county": ["X", "X", "X"]})
HOUSEHOLDS = pd.DataFrame(
    {
        "household_id": [1, 2, 3, 4],
        "tenure": ["own", "rent", "own", "rent"],
        "income": [10.0, 20.0, 30.0, 40.0],
        "weight": [1.0, 2.0, 1.0, 1.0],
    }
)
PERSONS = pd.DataFrame({"household_id": [1, 2, 2, 3, 4], "age": [30, 40, 5, 60, 70]})
ZONES = {"zone": {"a": 5, "b": 7, "c": 8}}


def fails(error, match, *, households=HOUSEHOLDS, targets=None, areas=AREAS, **options):
    with pytest.raises(error, match=match):
        calibrate_areas(households, ZONES if targets is None else targets, areas, **options)


def test_the_inputs_are_good():
    assert calibrate_areas(HOUSEHOLDS, ZONES, AREAS, persons=PERSONS).feasible


def test_a_target_of_an_unknown_zone_names_it_and_the_nearest():
    areas = AREAS.assign(zone=["north", "south", "east"])
    targets = {"zone": {"north": 1, "soth": 2}}
    fails(
        DataError,
        r"zone='soth' \(areas have 'east', 'north', 'south'\). Did you mean 'south'",
        targets=targets,
        areas=areas,
    )


def test_all_unknown_areas_are_counted():
    targets = {"zone": {f"z{i}": 1 for i in range(7)}}
    fails(DataError, "and 2 more targets of areas that are not in the table", targets=targets)


def test_a_target_has_at_most_one_geographic_column():
    fails(
        ParameterError, "2 geographic columns, 'tract' and 'zone'", targets=[Target(1, by={"tract": "T1", "zone": "a"})]
    )


def test_a_share_by_area_says_what_to_give_instead():
    targets = [Target.share(0.5, by={"zone": "a", "tenure": "own"})]
    fails(ParameterError, "the share of an area may be that of the region", targets=targets)


def test_zones_are_named_once():
    areas = pd.concat([AREAS, AREAS.iloc[[1]]], ignore_index=True)
    fails(DataError, r"zone='b' is in rows 1 and 3 \(1 zones repeat\)", areas=areas)


@pytest.mark.parametrize("column", ["zone", "tract"])
def test_areas_have_no_missing_cell(column):
    areas = AREAS.copy()
    areas.loc[1, column] = None
    targets = {"zone": {"a": 5}, "tract": {"T2": 3}}
    fails(DataError, f"{column}' is missing", areas=areas, targets=targets)


def test_a_tract_in_two_counties_is_refused():
    areas = AREAS.assign(county=["X", "Y", "Y"])
    targets = {"tract": {"T1": 5}, "county": {"X": 3}}
    fails(DataError, "tract='T1' lies in county='X' and in county='Y'", areas=areas, targets=targets)


def test_columns_that_no_target_uses_need_not_nest():
    areas = AREAS.assign(county=["X", "Y", "Y"])
    assert calibrate_areas(HOUSEHOLDS, {"tract": {"T1": 5}}, areas).feasible


def test_households_live_somewhere():
    households = HOUSEHOLDS.assign(county=["X", "X", "Z", "Z"])
    fails(DataError, r"2 households have no zone to live in, first row 2 with county='Z'", households=households)
    households = HOUSEHOLDS.assign(county=["X", None, "X", "X"])
    fails(DataError, r"1 households have no zone to live in, first row 1 with county=None", households=households)


def test_areas_of_the_household_agree_with_each_other():
    households = HOUSEHOLDS.assign(zone=["a", "b", "c", "a"], tract=["T1", "T1", "T2", "T2"])
    fails(DataError, "row 3 with zone='a', tract='T2'", households=households)


@pytest.mark.parametrize("size", [[1, -1, 2], [1, np.nan, 2], [1, np.inf, 2]])
def test_sizes_are_numbers(size):
    fails(DataError, "size must be a finite number of at least 0; zone 'b'", areas=AREAS.assign(size=size))


def test_sizes_are_not_text_and_not_all_zero():
    fails(DataError, "'size' must hold numbers; it is string", areas=AREAS.assign(size=["1", "2", "3"]))
    fails(DataError, "every size is 0", areas=AREAS.assign(size=0))


def test_an_empty_zone_has_no_households_to_ask_for():
    fails(
        InfeasibleTargetsError,
        "'count, zone=a' is 5, but the zones of the area have size 0",
        areas=AREAS.assign(size=[0, 1, 1]),
    )


def test_households_are_not_lost_in_zones_of_size_zero():
    households = HOUSEHOLDS.assign(tract=["T1", "T2", "T1", "T1"])
    areas = AREAS.assign(size=[1, 1, 0])
    targets = {"zone": {"a": 5}}
    fails(
        DataError,
        "1 households may live only in zones of size 0, first row 1",
        households=households,
        areas=areas,
        targets=targets,
    )


def test_the_key_of_the_zones_exists():
    fails(ColumnNotFoundError, "'zones'.*Did you mean 'zone'", area_col="zones")
    fails(DataError, "cannot be called 'size'", areas=AREAS.assign(size=1), area_col="size")


def test_household_keys_are_unique_and_present():
    fails(DataError, "row 3 repeats that of row 2", households=HOUSEHOLDS.assign(household_id=[1, 2, 3, 3]))
    fails(DataError, "missing in 1 rows, first in row 1", households=HOUSEHOLDS.assign(household_id=[1, None, 3, 4]))


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1.0, -2.0, 1.0, 1.0], "row 1 has -2.0"),
        ([1.0, np.nan, 1.0, 1.0], "row 1 has nan"),
        ([0.0, 0.0, 0.0, 0.0], "all 4 weights are 0"),
    ],
)
def test_base_weights_are_checked(weights, match):
    fails(DataError, match, households=HOUSEHOLDS.assign(weight=weights))


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        (Target(3, by={"zone": "a", "tenure": "ownd"}), InfeasibleTargetsError, "Did you mean 'own'"),
        (Target(3, by={"zone": "a", "tenur": "own"}), ColumnNotFoundError, "'tenur'"),
        (Target(-3, "income", by={"zone": "a"}), InfeasibleTargetsError, "negative"),
        (Target.mean(90, "income", by={"zone": "a"}), InfeasibleTargetsError, "no weights give 90; all 4 records"),
        (Target.mean(20, "income", by={"zone": "a", "tenure": "let"}), InfeasibleTargetsError, "tenure='let'"),
        (Target.share(0.2, by={"tenure": "ownd"}), InfeasibleTargetsError, "Did you mean 'own'"),
        (
            Target.quantile(5.0, "income", by={"zone": "a"}),
            InfeasibleTargetsError,
            "of income, zone=a': every one of its 4 records lies above 5",
        ),
        (Target(3, by={"zone": "a"}, entity="persons"), DataError, "pass persons="),
        (Target(3, by={"zone": "a"}, where="age > 3"), ColumnNotFoundError, "'age'"),
    ],
)
def test_definitions_are_checked(target, error, match):
    fails(error, match, targets=[target])


def test_a_negative_figure_of_one_of_many_zones_is_named():
    targets = {"income": {"zone": {"a": 300, "b": -20, "c": 100}}}
    fails(InfeasibleTargetsError, "income, zone=b: -20 has a sign that no record has", targets=targets)


def test_persons_have_households():
    fails(
        DataError,
        "no row to belong to",
        persons=PERSONS.assign(household_id=[1, 2, 2, 3, 9]),
        targets=[Target(3, by={"zone": "a"}, where="age > 3")],
    )


def test_missing_values_that_a_target_needs():
    households = HOUSEHOLDS.assign(income=[1.0, np.nan, 2.0, 3.0])
    fails(DataError, "missing in 1 rows, first in row 1", households=households, targets={"income": {"zone": {"a": 3}}})


def test_bounds_that_cannot_hold_are_named():
    fails(InfeasibleTargetsError, "bounds of w / d", bounds=(0.9, 1.1))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "rakng"}, "Did you mean 'raking'"),
        ({"on_infeasible": "ignore"}, "on_infeasible"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"seed": -1}, "seed"),
        ({"bounds": (2.0, 1.0)}, "bounds"),
        ({"integer": True, "method": "linear", "bounds": (-np.inf, np.inf)}, "not negative"),
    ],
)
def test_arguments_are_checked(options, match):
    fails(ParameterError, match, **options)


def test_no_targets():
    fails(ParameterError, "no targets", targets=[])


def test_only_whole_weights_can_be_listed():
    with pytest.raises(ParameterError, match="integer=True"):
        calibrate_areas(HOUSEHOLDS, ZONES, AREAS).expand()
