import numpy as np
import pytest

from microplex.calibration.presolve import Dependency
from microplex.targets import Target
from microplex.targets.words import describe_dependency


def words(targets, coefficients, implied=None):
    coefficients = np.asarray(coefficients, dtype=float)
    if implied is None:
        implied = float(coefficients @ [t.total for t in targets[1:]])
    others = np.arange(1, len(targets))
    return describe_dependency(Dependency(0, others, coefficients, targets[0].total, implied, 0.01, True), targets)


def margin(name, values, variable=None, **cell):
    return [Target(value, variable, {**cell, name: f"{name}{i}"}) for i, value in enumerate(values)]


def test_a_nation_against_its_states():
    states = margin("state", [4.46e12 / 51] * 51, "wages")
    assert words([Target(4.51e12, "wages"), *states], np.ones(51)) == (
        "nation wages 4.51e12 vs the sum of 51 states 4.46e12 (+1.1 %)"
    )


def test_a_state_against_its_counties():
    counties = margin("county", [10, 20, 30], state="CA")
    assert words([Target(50, by={"state": "CA"}), *counties], np.ones(3)) == (
        "count, state=CA 50 vs the sum of 3 counties 60 (-17 %)"
    )


def test_one_category_that_the_others_imply():
    ages, states = margin("age_group", [10, 20, 30]), margin("state", [50, 12])
    targets = [ages[0], *states, *ages[1:]]
    assert words(targets, [1, 1, -1, -1]) == "the sum of 3 age_groups 60 vs the sum of 2 states 62 (-3.2 %)"


def test_one_state_that_the_nation_and_the_others_imply():
    states = margin("state", [10, 20, 30])
    assert words([states[0], Target(66), *states[1:]], [1, -1, -1]) == (
        "nation count 66 vs the sum of 3 states 60 (+10 %)"
    )


def test_other_definitions_are_named():
    states = margin("state", [10, 20], "n_persons")
    assert words([Target(33, entity="persons"), *states], [1, 1]) == (
        "nation persons 33 vs the sum of 2 states of n_persons 30 (+10 %)"
    )


def test_equal_targets():
    targets = [Target(5, by={"state": "CA"}), Target(6, by={"state": "CA"}, name="office B")]
    assert words(targets, [1]) == "count, state=CA 5 vs office B 6 (-17 %)"
    assert words([targets[0], targets[0]], [1]) == "count, state=CA 5 vs count, state=CA 5 (equal)"


def test_means_are_compared_by_their_figures():
    targets = [Target.mean(5, "x"), Target.mean(4, "x", name="other")]
    assert words(targets, [1], implied=0.0) == "mean x 5 vs other 4 (+25 %)"


def test_general_combinations_list_the_first_names():
    targets = [Target(5, "a"), *(Target(1, f"v{i}") for i in range(6))]
    text = words(targets, [2, -0.5, 1, 1, 1, 1])
    assert text == (
        "nation a 5 vs 2 x 'nation v0' - 0.5 x 'nation v1' + 'nation v2' + 'nation v3' and 2 more 5.5 (-9.1 %)"
    )


def test_numbers_show_enough_digits_to_differ():
    assert words([Target(1_000_001, "a"), Target(1_000_002, "a", name="b")], [1]) == (
        "nation a 1,000,001 vs b 1,000,002 (-0.0001 %)"
    )


@pytest.mark.parametrize(("total", "gap"), [(0, "equal"), (5, "difference 5")])
def test_a_sum_of_zero(total, gap):
    assert words([Target(total, "a"), Target(0, "b")], [1]).endswith(f"({gap})")


def test_mixed_statistics():
    text = words([Target.mean(5, "x"), Target(4, "x"), Target(3)], [1, -5], implied=0.0)
    assert text == "mean x 5 follows from 'nation x' - 5 x 'nation count', and differs by +1.00% of its scale"
