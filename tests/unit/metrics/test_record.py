import math

import pytest

from microplex.errors import DataError, ParameterError
from microplex.metrics.record import Figure, Record, attempt, to_frame, undefined


def test_a_record_is_frozen_and_equal_by_value():
    record = Record("tvd", "marginal", ("sex",), 0.1, ideal=0.0, floor=0.02)
    assert record == Record("tvd", "marginal", ("sex",), 0.1, ideal=0.0, floor=0.02)
    assert record.defined
    with pytest.raises(AttributeError):
        record.value = 0.2


def test_nan_needs_a_reason():
    with pytest.raises(ParameterError, match=r"record 'ks' of \('a',\) is NaN; say why in reason"):
        Record("ks", "marginal", ("a",), math.nan, ideal=0.0)
    record = undefined("ks", "marginal", ("a",), "constant", "p99")
    assert not record.defined
    assert (record.reason, record.detail) == ("constant", "p99")
    assert math.isnan(record.value)


def test_unknown_groups_are_refused():
    with pytest.raises(ParameterError, match="Did you mean 'marginal'"):
        Record("ks", "margnal", ("a",), 0.0, ideal=0.0)


def test_excess_is_the_distance_beyond_the_floor_on_either_side():
    def excess(value, floor, ideal):
        return Record("x", "joint", (), value, ideal=ideal, floor=floor).excess

    assert excess(0.7, 0.52, 0.5) == pytest.approx(0.18)
    assert excess(-0.3, 0.1, 0.0) == pytest.approx(0.2)
    assert excess(0.01, -0.02, 0.0) == pytest.approx(-0.01)
    assert math.isnan(excess(0.1, math.nan, 0.0))


def test_another_floor_leaves_the_rest():
    record = Record("ks", "marginal", ("a",), 0.2, ideal=0.0, interval=(0.0, 0.1), n=7)
    assert record.with_floor(0.1) == Record("ks", "marginal", ("a",), 0.2, 0.0, 0.1, (0.0, 0.1), n=7)
    assert math.isnan(record.floor)


def test_an_attempt_takes_a_number_or_a_figure():
    assert attempt("ks", "marginal", ("a",), lambda: 0.3, n=5, detail="all") == Record(
        "ks", "marginal", ("a",), 0.3, 0.0, pytest.approx(math.nan, nan_ok=True), detail="all", n=5
    )
    figure = attempt("auc", "joint", ("a", "b"), lambda: Figure(0.6, (0.4, 0.6), "boosting"), ideal=0.5)
    assert (figure.value, figure.ideal, figure.interval, figure.detail) == (0.6, 0.5, (0.4, 0.6), "boosting")


def test_an_attempt_that_fails_on_the_data_says_why_and_other_errors_pass():
    def fails(error):
        def compute():
            raise error

        return compute

    record = attempt("ks", "marginal", ("a",), fails(DataError("all real values are missing")), detail="p50")
    assert (record.reason, record.detail) == ("all real values are missing", "p50")
    with pytest.raises(ParameterError, match="bad"):
        attempt("ks", "marginal", ("a",), fails(ParameterError("bad")))
    with pytest.raises(ParameterError, match="is NaN; say why"):
        attempt("ks", "marginal", ("a",), lambda: math.nan)


def test_the_table_has_a_row_a_record_and_names_in_words():
    table = to_frame(iter([Record("ks", "marginal", ("a",), 0.1, 0.0), undefined("tvd2", "joint", ("a", "b"), "none")]))
    assert table["variables"].tolist() == ["a", "a, b"]
    assert table["reason"].tolist() == ["", "none"]
    assert table.shape == (2, 10)
    assert to_frame([]).shape == (0, 10)
