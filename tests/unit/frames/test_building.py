import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex.errors import DataError, ParameterError
from microplex.frames import (
    Levelled,
    assign,
    build_frame,
    column_names,
    frame_kind,
    n_rows,
    read_column,
    restore_values,
)

MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
KINDS = pytest.mark.parametrize("kind", MAKE)

BUILT = {
    "int": np.array([3, -1, 2]),
    "float": np.array([0.5, np.nan, 2.0]),
    "bool": np.array([True, False, True]),
    "int, missing": np.ma.MaskedArray([3, 0, 2], mask=[False, True, False]),
    "date": np.array(["1970-01-11", "NaT", "2020-02-29"], dtype="M8[D]"),
    "datetime": np.array(["1970-01-01T00:01:00.5", "NaT", "2020-02-29"], dtype="M8[us]"),
    "string": Levelled(np.array([1, 0, 1]), ("CA", "TX")),
    "string, missing": Levelled(np.array([1, -1, 0]), ("CA", "TX")),
    "bool levels": Levelled(np.array([1, 0, 1]), (False, True)),
    "bool levels, missing": Levelled(np.array([1, -1, 0]), (False, True)),
    "category": Levelled(np.array([0, 1, -1]), ("a", "b"), as_category=True),
    "ordered category": Levelled(np.array([2, 0, -1]), ("z", "y", "a"), ordered=True, as_category=True),
    "int levels": Levelled(np.array([1, 0, 1]), (9, 3)),
    "int levels, missing": Levelled(np.array([1, -1, 0]), (9, 3)),
    "float levels": Levelled(np.array([1, -1, 0]), (9.5, 3.5)),
}


def _expected(column):
    if isinstance(column, Levelled):
        return [None if code < 0 else column.levels[code] for code in column.codes]
    return [None if v is None or v != v else v for v in column.tolist()]


@KINDS
@pytest.mark.parametrize("case", BUILT)
def test_what_is_built_holds_what_was_given(kind, case):
    column = BUILT[case]
    frame = build_frame({"x": column, "y": np.arange(3)}, MAKE[kind]({"z": [1]}))
    assert frame_kind(frame) == kind
    assert column_names(frame) == ["x", "y"]
    if kind == "pandas":
        series = frame["x"].astype(object)
        shown = series.where(series.notna(), None).tolist()
    else:
        shown = frame["x"].to_list() if kind == "polars" else frame["x"].to_pylist()
    assert shown == _expected(column)


@KINDS
@pytest.mark.parametrize("case", BUILT)
def test_what_is_built_reads_back(kind, case):
    column = BUILT[case]
    read = read_column(build_frame({"x": column}, kind), "x")
    if case.startswith(("int levels", "float levels")):
        assert read.dtype == case.split()[0]
    elif isinstance(column, Levelled):
        assert read.dtype == ("category" if column.as_category else case.split()[0].strip(","))
        assert read.levels == tuple(column.levels)
        assert read.codes.tolist() == column.codes.tolist()
        assert read.ordered == column.ordered
    else:
        dtype = case.split(",")[0]
        if dtype != "bool":
            assert read.dtype == dtype
            restored = restore_values(read.values, read.dtype)
            assert restored.dtype == column.dtype
            assert restored.tolist() == column.tolist() or np.isnan(column.astype(float)).any()


def test_pandas_types_of_what_is_built():
    dtypes = build_frame(BUILT, "pandas").dtypes
    assert dtypes["int"].name == dtypes["int levels"].name == "int64"
    assert dtypes["int, missing"] == dtypes["int levels, missing"] == pd.Int64Dtype()
    assert dtypes["bool"].name == dtypes["bool levels"].name == "bool"
    assert dtypes["bool levels, missing"] == pd.BooleanDtype()
    assert dtypes["string"].name == dtypes["string, missing"].name == pd.Series(["a"]).dtype.name
    assert dtypes["date"].name == "object"
    assert dtypes["category"] == pd.CategoricalDtype(["a", "b"])
    assert dtypes["ordered category"] == pd.CategoricalDtype(["z", "y", "a"], ordered=True)


def test_polars_and_arrow_types_of_what_is_built():
    schema = build_frame(BUILT, "polars").schema
    assert schema["date"] == pl.Date
    assert schema["datetime"] == pl.Datetime("us")
    assert schema["category"] == pl.Categorical
    assert schema["ordered category"] == pl.Enum(["z", "y", "a"])
    assert schema["int, missing"] == pl.Int64
    table = build_frame(BUILT, "arrow")
    assert table["float"].null_count == 1
    assert table.schema.field("date").type == pa.date32()
    assert table.schema.field("ordered category").type.ordered


@KINDS
@pytest.mark.parametrize("as_category", [False, True])
def test_columns_without_rows_or_values_are_built(kind, as_category):
    none = build_frame({"x": Levelled(np.array([], dtype=int), ("a",), as_category=as_category)}, kind)
    assert n_rows(none) == 0
    missing = build_frame({"x": Levelled(np.array([-1, -1]), (), as_category=as_category)}, kind)
    assert read_column(missing, "x").missing.all()


def test_index_of_pandas_is_kept_when_lengths_agree():
    like = pd.DataFrame({"z": [1, 2]}, index=["p", "q"])
    other = pd.DataFrame(index=pd.Index([7, 8, 9], name="id"))
    assert build_frame({"x": np.arange(2)}, like).index.equals(like.index)
    assert build_frame({"x": np.arange(3)}, like).index.equals(pd.RangeIndex(3))
    assert build_frame({"x": np.arange(3)}, like, index_from=other).index.equals(other.index)
    assert build_frame({"x": np.arange(3)}, "pandas", index_from=other).index.name == "id"


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match=r"columns must have one length; got \{'a': 2, 'b': 3\}"):
        build_frame({"a": np.zeros(2), "b": np.zeros(3)}, "pandas")
    with pytest.raises(ParameterError, match="Did you mean 'pandas'"):
        build_frame({"a": np.zeros(2)}, "panda")


@KINDS
def test_assign_replaces_in_place_and_adds_at_the_end(kind):
    frame = MAKE[kind]({"a": [1, 2], "b": [3, 4]})
    wider = assign(frame, {"c": Levelled(np.array([1, -1]), ("x", "y")), "a": np.array([0.5, np.nan])})
    assert frame_kind(wider) == kind
    assert column_names(wider) == ["a", "b", "c"]
    assert read_column(wider, "a").values.tolist()[0] == 0.5
    assert read_column(wider, "c").missing.tolist() == [False, True]
    assert read_column(frame, "a").values.tolist() == [1, 2]
    assert column_names(frame) == ["a", "b"]
    with pytest.raises(DataError, match="column 'a' has 3 rows; the data frame has 2"):
        assign(frame, {"a": np.zeros(3)})


def test_many_columns_are_assigned_without_warning():
    columns = {f"x{i}": np.zeros(2) for i in range(200)}
    assert column_names(assign(pd.DataFrame({"x7": [1, 2], "a": [1, 2]}), columns))[:4] == ["x7", "a", "x0", "x1"]


def test_assign_keeps_the_index_of_pandas():
    frame = pd.DataFrame({"a": [1, 2]}, index=[5, 5])
    wider = assign(frame, {"b": np.array([3, 4]), "a": np.array([8, 9])})
    assert wider.index.tolist() == [5, 5]
    assert wider["b"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0.9999, -2.0], "int", np.array([1, -2])),
        ([0.5, np.nan], "float", np.array([0.5, np.nan])),
        ([10.0, 0.0], "date", np.array(["1970-01-11", "1970-01-01"], dtype="M8[D]")),
        ([60.5, np.nan], "datetime", np.array(["1970-01-01T00:01:00.5", "NaT"], dtype="M8[us]")),
    ],
)
def test_values_return_to_their_type(values, dtype, expected):
    restored = restore_values(np.array(values), dtype)
    assert restored.dtype == expected.dtype
    np.testing.assert_array_equal(restored, expected)


def test_whole_numbers_with_missing_are_masked():
    restored = restore_values(np.array([1.0, np.nan]), "int")
    assert restored.tolist() == [1, None]
