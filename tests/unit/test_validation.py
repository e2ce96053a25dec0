import numpy as np
import pytest

from microplex._validation import check_choice, check_columns, check_finite, check_seed, check_weights
from microplex.errors import ColumnNotFoundError, DataError, ParameterError


def test_present_columns_pass():
    check_columns(["a", "b", "c"], ["c", "a"], "target")
    check_columns(["a"], [], "condition")


def test_missing_column_is_named_with_its_role_the_near_miss_and_what_there_is():
    with pytest.raises(ColumnNotFoundError) as caught:
        check_columns(["age", "education", "state"], ["age", "educaton"], "condition")
    assert str(caught.value) == (
        "condition column 'educaton' not in data. Did you mean 'education'? Available: age, education, state."
    )


def test_all_missing_columns_are_named_at_once():
    with pytest.raises(ColumnNotFoundError, match=r"'x1' not in data\. Also missing: x2, x3\. Available: none"):
        check_columns([], ["x1", "x2", "x3"], "target")


def test_long_lists_are_cut():
    with pytest.raises(ColumnNotFoundError, match=r"col19 and 80 more\.$"):
        check_columns([f"col{i}" for i in range(100)], ["weight"], "target")


def test_repeated_column_is_named():
    with pytest.raises(DataError, match="target column 'a' is named 2 times"):
        check_columns(["a", "b"], ["a", "b", "a"], "target")


def test_no_weights_are_ones():
    assert check_weights(None, 3, "weight").tolist() == [1, 1, 1]


def test_weights_are_copied_as_floats():
    given = np.array([1, 0, 2])
    weights = check_weights(given, 3, "weight")
    weights[0] = 9
    assert weights.dtype == np.float64
    assert given.tolist() == [1, 0, 2]


@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf, -np.inf])
def test_bad_weight_is_named_by_row_and_value(bad):
    with pytest.raises(DataError, match=rf"weight must be finite and not negative; row 2 has {bad}\b"):
        check_weights([1, 2, bad, 4], 4, "weight")


def test_further_bad_weights_are_counted():
    with pytest.raises(DataError, match=r"row 1 has -1\.0 \(and 2 more rows\)"):
        check_weights([1, -1, -2, np.nan], 4, "w")


def test_a_missing_weight_is_bad():
    with pytest.raises(DataError, match="row 1 has nan"):
        check_weights([1, None], 2, "w")


def test_weights_that_sum_to_zero_are_refused():
    with pytest.raises(DataError, match="w must have a positive sum; all 2 weights are 0"):
        check_weights([0, 0], 2, "w")


@pytest.mark.parametrize("values", [[1, 2], [[1, 2, 3]], 1.0])
def test_weights_of_another_shape_are_refused(values):
    with pytest.raises(DataError, match="one number for each of 3 rows; its shape is"):
        check_weights(values, 3, "w")


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="w must be numbers"):
        check_weights(["heavy"], 1, "w")


def test_infinite_value_is_named_by_column_row_and_value():
    check_finite([], "x")
    check_finite([0.0, np.nan], "x")
    with pytest.raises(DataError, match="column 'x' must be finite; row 1 has -inf"):
        check_finite([0, -np.inf, np.inf], "x")
    with pytest.raises(DataError, match="row 1 has inf"):
        check_finite([[0, 1], [2, np.inf]], "x")


def test_choice_passes_or_is_told_what_to_say():
    check_choice("raking", ("raking", "linear"), "distance")
    check_choice(None, (None, "linear"), "distance")
    check_choice(np.str_("linear"), ("raking", "linear"), "distance")
    with pytest.raises(ParameterError, match=r"distance must be one of 'raking', 'linear'; got 'liner'\. Did you mean"):
        check_choice("liner", ("raking", "linear"), "distance")


@pytest.mark.parametrize(("value", "choices"), [(True, (0, 1)), (1, (True, False)), ("1", (1, 2)), ([], ("a",))])
def test_a_choice_of_another_type_is_refused(value, choices):
    with pytest.raises(ParameterError):
        check_choice(value, choices, "order")


@pytest.mark.parametrize("seed", [0, 5, 2**100, np.int32(7), np.uint64(2**63)])
def test_whole_seeds_pass(seed):
    checked = check_seed(seed)
    assert type(checked) is int
    assert checked == seed


@pytest.mark.parametrize("seed", [-1, 1.0, True, None, "0", np.bool_(True)])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ParameterError, match="seed must be a whole number of at least 0; got"):
        check_seed(seed)
