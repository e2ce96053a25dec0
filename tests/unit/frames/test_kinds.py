import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex.errors import ColumnNotFoundError, DataError
from microplex.frames import check_frame, column_names, frame_kind, n_rows, read_column, select

MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
KINDS = pytest.mark.parametrize("kind", MAKE)


@KINDS
def test_a_frame_is_described(kind):
    frame = MAKE[kind]({"b": [1, 2, 3], "a": [1, 2, 3]})
    assert frame_kind(frame) == kind
    assert column_names(frame) == ["b", "a"]
    assert n_rows(frame) == 3
    check_frame(frame)


@KINDS
def test_empty_frames_are_refused(kind):
    with pytest.raises(DataError, match="no rows"):
        check_frame(MAKE[kind]({"a": []}))
    with pytest.raises(DataError, match="no columns"):
        check_frame(MAKE[kind]({}))


@pytest.mark.parametrize("thing", [np.zeros((2, 2)), {"a": [1]}, None, pl.LazyFrame({"a": [1]}), pd.Series([1])])
def test_other_things_are_no_frames(thing):
    with pytest.raises(DataError, match="expected a pandas DataFrame, a polars DataFrame or a pyarrow Table; got"):
        check_frame(thing)


def test_a_lazy_frame_is_told_to_collect():
    with pytest.raises(DataError, match=r"LazyFrame\. Call \.collect\(\) first"):
        n_rows(pl.LazyFrame({"a": [1]}))


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"]), pa.table([[1], [2], [3]], names=["a", "b", "a"])],
)
def test_repeated_names_are_refused(frame):
    with pytest.raises(DataError, match="column name 'a' occurs 2 times"):
        check_frame(frame)


@pytest.mark.parametrize("name", [0, ("a", "b")])
def test_names_that_are_not_text_are_refused(name):
    with pytest.raises(DataError, match="column names must be text; got"):
        check_frame(pd.DataFrame({name: [1]}))


@KINDS
def test_missing_columns_are_named(kind):
    frame = MAKE[kind]({"age": [1], "state": ["a"]})
    for look in (lambda: read_column(frame, "aeg"), lambda: select(frame, ["state", "aeg"])):
        with pytest.raises(ColumnNotFoundError, match=r"'aeg' not in data\. Did you mean 'age'\?"):
            look()


@KINDS
def test_select_keeps_the_kind_and_the_order_asked_for(kind):
    frame = MAKE[kind]({"a": [1], "b": [2], "c": [3]})
    chosen = select(frame, ["c", "a"])
    assert frame_kind(chosen) == kind
    assert column_names(chosen) == ["c", "a"]
    assert column_names(frame) == ["a", "b", "c"]
