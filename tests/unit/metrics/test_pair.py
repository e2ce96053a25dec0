import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex.errors import ColumnNotFoundError, DataError
from microplex.metrics.pair import pair

REAL = pd.DataFrame({"a": [1.0, np.nan, 3.0], "s": ["x", None, "z"], "w": [1.0, 0.0, 2.0]})
SYNTHETIC = pd.DataFrame({"s": ["y", "x"], "a": [5, 6], "w": [0.5, 0.0]})


def test_variables_have_common_levels_and_marked_gaps():
    both = pair(REAL, SYNTHETIC, weight_col="w")
    assert both.names == ("a", "s")
    assert both["a"].is_number
    assert both["a"].levels == ()
    np.testing.assert_array_equal(both["a"].real, [1, np.nan, 3])
    assert both["s"].levels == ("x", "y", "z")
    assert both["s"].real.tolist() == [0, -1, 2]
    assert both["s"].synthetic.tolist() == [1, 0]
    assert both["a"].present("real").tolist() == both["s"].present("real").tolist() == [True, False, True]
    assert "a" in both
    assert "w" not in both


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_frames_of_every_kind_are_read_alike(convert):
    one, other = pair(REAL, SYNTHETIC, weight_col="w"), pair(convert(REAL), SYNTHETIC, weight_col="w")
    for name in one.names:
        np.testing.assert_array_equal(one[name].real, other[name].real)
        assert one[name].levels == other[name].levels
    assert one.real_weights.tolist() == other.real_weights.tolist()


def test_dates_are_numbers_and_booleans_are_categories():
    day = datetime.date(2020, 1, 2)
    frame = pd.DataFrame({"d": [day, day], "b": [True, False]})
    both = pair(frame, frame)
    assert both["d"].is_number
    assert both["b"].levels == (False, True)


@pytest.mark.parametrize("other", [pd.date_range("2020-01-01", periods=2), [1, 2], [1.5, 2.5]])
def test_dates_are_compared_with_dates_alone(other):
    days = pd.DataFrame({"d": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)]})
    with pytest.raises(DataError, match=r"column 'd' is date in the real table and (datetime|int|float) in the synth"):
        pair(days, pd.DataFrame({"d": other}))
    assert not pair(days, pd.DataFrame({"d": [None, None]}))["d"].present("synthetic").any()


def test_weights_come_from_each_table():
    assert pair(REAL, SYNTHETIC).real_weights.tolist() == [1, 1, 1]
    assert "w" in pair(REAL, SYNTHETIC).names
    both = pair(REAL, SYNTHETIC, weight_col="w")
    assert (both.real_weights.tolist(), both.synthetic_weights.tolist()) == ([1, 0, 2], [0.5, 0])
    assert pair(REAL, SYNTHETIC.drop(columns="w"), weight_col="w").synthetic_weights.tolist() == [1, 1]
    other = pair(REAL, SYNTHETIC.rename(columns={"w": "v"}), weight_col="w", synthetic_weight_col="v")
    assert other.synthetic_weights.tolist() == [0.5, 0]
    assert other.names == ("a", "s")


def test_known_values_are_present_and_count():
    both = pair(REAL, SYNTHETIC, weight_col="w")
    values, weights = both.known("a", "synthetic")
    assert (values.tolist(), weights.tolist()) == ([5.0], [0.5])
    assert both.known("s", "real")[0].tolist() == [0, 2]
    nothing = pair(REAL.assign(w=[0.0, 1.0, 0.0]), SYNTHETIC, weight_col="w")
    with pytest.raises(DataError, match="all real values are missing"):
        nothing.known("a", "real")


def test_some_rows_and_some_variables():
    both = pair(REAL, SYNTHETIC, weight_col="w")
    fewer = both.select(["s"]).rows(np.array([True, False, True]), np.array([1]))
    assert fewer.names == ("s",)
    assert fewer["s"].real.tolist() == [0, 2]
    assert fewer["s"].synthetic.tolist() == [0]
    assert fewer["s"].levels == ("x", "y", "z")
    assert (fewer.real_weights.tolist(), fewer.synthetic_weights.tolist()) == ([1, 2], [0])


def test_a_column_without_values_takes_the_kind_of_the_other():
    empty = pd.DataFrame({"s": [None, None], "a": [None, None]})
    for both, side in ((pair(empty, SYNTHETIC, ["s", "a"]), "real"), (pair(SYNTHETIC, empty, ["s", "a"]), "synthetic")):
        assert (both["s"].kind, both["a"].kind) == ("category", "number")
        assert not both["s"].present(side).any()
        assert not both["a"].present(side).any()
        assert both["s"].levels == ("x", "y")


@pytest.mark.parametrize(
    ("real", "synthetic", "options", "error", "message"),
    [
        (REAL[:0], SYNTHETIC, {}, DataError, "real table: the data frame has no rows"),
        (REAL, SYNTHETIC[:0], {}, DataError, "synthetic table: the data frame has no rows"),
        (REAL, {"a": [1.0]}, {}, DataError, "synthetic table: "),
        (REAL, SYNTHETIC[["a"]], {}, ColumnNotFoundError, "synthetic column 's' not in data"),
        (REAL, SYNTHETIC, {"columns": ["A"]}, ColumnNotFoundError, r"real column 'A' not in data\. Did you mean 'a'"),
        (REAL, SYNTHETIC, {"weight_col": "W"}, ColumnNotFoundError, r"real weight column 'W' .*Did you mean 'w'"),
        (REAL, SYNTHETIC, {"synthetic_weight_col": "v"}, ColumnNotFoundError, "synthetic weight column 'v' not in"),
        (REAL, SYNTHETIC.assign(a="x"), {}, DataError, "column 'a' is float in the real table and string in the synth"),
        (REAL, SYNTHETIC, {"weight_col": "s"}, DataError, "weight column 's' of the real table must hold numbers"),
        (REAL.assign(w=-1.0), SYNTHETIC, {"weight_col": "w"}, DataError, "real weights .* must be finite and not neg"),
        (REAL, SYNTHETIC.assign(a=np.inf), {}, DataError, r"column 'a \(synthetic\)' must be finite; row 0 has inf"),
        (REAL.assign(a=-np.inf), SYNTHETIC, {}, DataError, r"column 'a \(real\)' must be finite; row 0 has -inf"),
    ],
)
def test_bad_tables_are_refused(real, synthetic, options, error, message):
    with pytest.raises(error, match=message):
        pair(real, synthetic, **options)


def test_unknown_variables_are_refused():
    with pytest.raises(ColumnNotFoundError, match="column 'b' not in data"):
        pair(REAL, SYNTHETIC)["b"]
    with pytest.raises(ColumnNotFoundError, match="column 'b' not in data"):
        pair(REAL, SYNTHETIC).select(["a", "b"])
