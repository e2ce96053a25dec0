import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex.errors import DataError
from microplex.frames import read_column

MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
KINDS = pytest.mark.parametrize("kind", MAKE)
DAY = datetime.date(1970, 1, 11)
MOMENT = datetime.datetime(1970, 1, 1, 0, 1, 0, 500_000)

# dtype and content, as read from every kind of frame: values, or codes and levels.
SHARED = {
    "whole numbers": ([3, -1, 2], "int", [3, -1, 2], ()),
    "numbers": ([0.5, None, 2.0], "float", [0.5, np.nan, 2], ()),
    "booleans": ([True, False, True], "bool", [1, 0, 1], (False, True)),
    "booleans, missing": ([True, None, True], "bool", [1, -1, 1], (False, True)),
    "text": (["TX", "CA", "TX"], "string", [1, 0, 1], ("CA", "TX")),
    "text, missing": (["b", None, "a"], "string", [1, -1, 0], ("a", "b")),
    "empty text": (["", "x", ""], "string", [0, 1, 0], ("", "x")),
    "dates": ([DAY, None, DAY], "date", [10, np.nan, 10], ()),
    "times": ([MOMENT, None, MOMENT], "datetime", [60.5, np.nan, 60.5], ()),
    "nothing": ([None, None, None], "float", [np.nan] * 3, ()),
    "decimals": ([Decimal("1.5"), None, Decimal("2.0")], "float", [1.5, np.nan, 2], ()),
}


def _content(column):
    return column.values if column.codes is None else column.codes


def _holds(column, dtype, content, levels):
    assert column.dtype == dtype
    np.testing.assert_array_equal(_content(column), content)
    assert _content(column).dtype == (np.float64 if column.codes is None else np.int32)
    assert column.levels == levels
    assert [type(level) for level in column.levels] == [type(level) for level in levels]


@KINDS
@pytest.mark.parametrize("case", SHARED)
def test_every_kind_of_frame_reads_the_same(kind, case):
    data, *expected = SHARED[case]
    _holds(read_column(MAKE[kind]({"x": data, "y": [1, 2, 3]}), "x"), *expected)


PANDAS = {
    "object text": (pd.Series(["b", np.nan, "a"], dtype=object), "string", [1, -1, 0], ("a", "b")),
    "object text, NA": (pd.Series(["b", pd.NA, "a"], dtype=object), "string", [1, -1, 0], ("a", "b")),
    "object booleans": (pd.Series([True, None, np.bool_(False)], dtype=object), "bool", [1, -1, 0], (False, True)),
    "object integers": (pd.Series([1, None, 3], dtype=object), "int", [1, np.nan, 3], ()),
    "object numbers": (pd.Series([1, 2.5, np.nan], dtype=object), "float", [1, 2.5, np.nan], ()),
    "object numbers of several types": (
        pd.Series([Decimal("1.5"), 2.5, np.float32(3)], dtype=object),
        "float",
        [1.5, 2.5, 3],
        (),
    ),
    "object dates": (pd.Series([DAY, None, pd.NaT], dtype=object), "date", [10, np.nan, np.nan], ()),
    "object times": (pd.Series([MOMENT, None, MOMENT], dtype=object), "datetime", [60.5, np.nan, 60.5], ()),
    "object nothing": (pd.Series([None, np.nan, pd.NA], dtype=object), "float", [np.nan] * 3, ()),
    "Int64": (pd.Series([1, None, 3], dtype="Int64"), "int", [1, np.nan, 3], ()),
    "Float64": (pd.Series([1.5, None, 3], dtype="Float64"), "float", [1.5, np.nan, 3], ()),
    "boolean": (pd.Series([True, None, False], dtype="boolean"), "bool", [1, -1, 0], (False, True)),
    "uint8": (pd.Series([1, 2, 255], dtype="uint8"), "int", [1, 2, 255], ()),
    "float32": (pd.Series([0.5, np.nan, 2], dtype="float32"), "float", [0.5, np.nan, 2], ()),
    "string": (pd.Series(["b", None, "a"], dtype="string"), "string", [1, -1, 0], ("a", "b")),
    "string in python": (pd.Series(["b", None, "a"], dtype="string[python]"), "string", [1, -1, 0], ("a", "b")),
    "arrow text": (pd.Series(["b", None, "a"], dtype=pd.ArrowDtype(pa.string())), "string", [1, -1, 0], ("a", "b")),
    "arrow date": (pd.Series([DAY, None], dtype=pd.ArrowDtype(pa.date32())), "date", [10, np.nan], ()),
    "sparse": (pd.Series([0, 0, 3], dtype=pd.SparseDtype(int)), "int", [0, 0, 3], ()),
    "datetime64[ns]": (
        pd.Series(np.array(["1970-01-02", "NaT"], dtype="M8[ns]")),
        "datetime",
        [86400, np.nan],
        (),
    ),
    "category": (
        pd.Series(pd.Categorical(["b", None, "c"], categories=["c", "b", "a"])),
        "category",
        [1, -1, 0],
        ("c", "b", "a"),
    ),
    "category of whole numbers": (
        pd.Series(pd.Categorical([9, 3, 9], categories=[9, 3])),
        "category",
        [0, 1, 0],
        (9, 3),
    ),
    "category of booleans": (pd.Series([True, False], dtype="category"), "category", [1, 0], (False, True)),
    "category of intervals": (pd.cut(pd.Series([1, 5]), [0, 2, 6]), "category", [0, 1], ("(0, 2]", "(2, 6]")),
    "category of nothing": (
        pd.Series(pd.Categorical([None, None], categories=["a"])),
        "float",
        [np.nan, np.nan],
        (),
    ),
}


@pytest.mark.parametrize("case", PANDAS)
def test_pandas_types_are_read(case):
    series, *expected = PANDAS[case]
    _holds(read_column(series.to_frame("x"), "x"), *expected)


ARROW = {
    "null": (pa.nulls(2), "float", [np.nan, np.nan], ()),
    "int64": (pa.array([1, None]), "int", [1, np.nan], ()),
    "float16": (pa.array([0.5, None], pa.float16()), "float", [0.5, np.nan], ()),
    "string view": (pa.array(["b", "a", None], pa.string_view()), "string", [1, 0, -1], ("a", "b")),
    "dictionary": (pa.array(["b", "a", None]).dictionary_encode(), "category", [0, 1, -1], ("b", "a")),
    "dictionary with a null level": (
        pa.DictionaryArray.from_arrays([0, 1, 2], pa.array(["b", None, "a"])),
        "category",
        [0, -1, 1],
        ("b", "a"),
    ),
    "dictionary of whole numbers": (pa.array([9, 3]).dictionary_encode(), "category", [0, 1], (9, 3)),
    "date64": (pa.array([DAY, None], pa.date64()), "date", [10, np.nan], ()),
    "chunks": (pa.chunked_array([["b"], [], ["a", "b"]]), "string", [1, 0, 1], ("a", "b")),
    "chunks of dictionaries": (
        pa.chunked_array([pa.array(["b"]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()]),
        "category",
        [0, 1, 0],
        ("b", "a"),
    ),
    "no chunk": (pa.chunked_array([], pa.string()), "string", [], ()),
}


@pytest.mark.parametrize("case", ARROW)
def test_arrow_types_are_read(case):
    array, *expected = ARROW[case]
    _holds(read_column(pa.table({"x": array}), "x"), *expected)


def test_order_of_categories_is_read():
    ranked = pd.Categorical(["low", "high"], categories=["low", "high"], ordered=True)
    assert read_column(pd.DataFrame({"x": ranked}), "x").ordered
    assert read_column(pa.table({"x": pa.array(ranked)}), "x").ordered
    enum = pl.DataFrame({"x": pl.Series(["low", "high"], dtype=pl.Enum(["low", "high"]))})
    _holds(column := read_column(enum, "x"), "category", [0, 1], ("low", "high"))
    assert column.ordered
    assert not read_column(pd.DataFrame({"x": pd.Categorical(["low"])}), "x").ordered


def test_polars_categories_do_not_depend_on_what_else_was_read():
    first = pl.DataFrame({"x": pl.Series(["b", None, "a"], dtype=pl.Categorical)})
    pl.Series(["zz", "a"], dtype=pl.Categorical)
    _holds(read_column(first, "x"), "category", [1, -1, 0], ("a", "b"))


def test_what_is_read_cannot_be_changed_and_the_frame_still_can():
    array = np.array([1.0, 2.0])
    frame = pd.DataFrame({"x": array, "s": ["a", "b"]})
    with pytest.raises(ValueError, match="read-only"):
        read_column(frame, "x").values[0] = 9
    with pytest.raises(ValueError, match="read-only"):
        read_column(frame, "s").codes[0] = 9
    frame.loc[0, "x"] = 5.0
    array[0] = 7.0
    assert frame["x"].tolist() == [5, 2]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", 1], r"'x' mixes text \(row 0: 'a'\) and number \(row 1: 1\)"),
        ([None, 2.5, True], r"number \(row 1: 2\.5\) and boolean \(row 2: True\)"),
        ([DAY, "a"], r"date \(row 0: datetime\.date\(1970, 1, 11\)\) and text"),
        ([DAY, MOMENT], "date .* and date and time"),
        ([[1], "a"], r"list \(row 0: \[1\]\) and text"),
        ([b"a", b"b"], r"'x' holds bytes \(row 0: b'a'\), which is not supported"),
        ([(1, 2), None], "holds tuple .*not supported"),
    ],
)
def test_mixed_and_foreign_objects_are_shown(values, message):
    frame = pd.DataFrame({"x": pd.Series(values, dtype=object)})
    with pytest.raises(DataError, match=message):
        read_column(frame, "x")


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"x": pd.to_timedelta([1, 2], unit="s")}),
        pd.DataFrame({"x": [1j, 2j]}),
        pd.DataFrame({"x": pd.period_range("2020", periods=2, freq="Y")}),
        pl.DataFrame({"x": [[1], [2]]}),
        pa.table({"x": [b"a", b"b"]}),
    ],
)
def test_foreign_types_are_refused(frame):
    with pytest.raises(DataError, match=r"column 'x' holds .*, which is not supported\. Convert it to numbers"):
        read_column(frame, "x")


@KINDS
def test_times_with_a_zone_are_refused(kind):
    moments = [MOMENT.replace(tzinfo=datetime.UTC)]
    with pytest.raises(DataError, match=r"times with a time zone\. Convert it to UTC and drop the zone"):
        read_column(MAKE[kind]({"x": moments}), "x")
