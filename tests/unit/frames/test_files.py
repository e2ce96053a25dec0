import datetime
import os

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex.errors import DataError
from microplex.frames import n_rows, read_column, read_table, write_table

MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
KINDS = pytest.mark.parametrize("kind", MAKE)
DAY = datetime.date(1970, 1, 11)


@KINDS
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_tables_return_from_disk(kind, suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    path.write_text("an older file")
    write_table(MAKE[kind]({"a": [1, 2], "s": ["x", None]}), path)
    back = read_table(str(path))
    assert back["a"].tolist() == [1, 2]
    assert read_column(back, "s").missing.tolist() == [False, True]
    assert os.listdir(tmp_path) == [path.name]


def test_parquet_keeps_types_and_index(tmp_path):
    frame = pd.DataFrame({"c": pd.Categorical(["a", "b"], ["b", "a"]), "d": [DAY, None]}, index=["p", "q"])
    write_table(frame, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), frame)


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.parquet.gz"])
def test_other_suffixes_are_refused(name, tmp_path):
    with pytest.raises(DataError, match=r"its suffix must be '\.parquet' or '\.csv'"):
        read_table(tmp_path / name)
    with pytest.raises(DataError, match=r"its suffix must be '\.parquet' or '\.csv'"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / name)


def test_a_missing_file_is_named_with_the_near_miss(tmp_path):
    (tmp_path / "survey_2023.csv").write_text("a\n1\n")
    with pytest.raises(FileNotFoundError, match=r"no file '.*survey_2032\.csv'\. Did you mean 'survey_2023\.csv'\?"):
        read_table(tmp_path / "survey_2032.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "nowhere" / "survey.csv")
    with pytest.raises(FileNotFoundError, match=r"no folder '.*nowhere' to write 'a\.csv' to"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "nowhere" / "a.csv")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1", b"\xff\xfe\x00\x9d\x81"])
def test_damaged_files_are_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    if name == "a.csv" and content.startswith(b"PAR1"):
        assert n_rows(read_table(tmp_path / name)) == 0
        return
    with pytest.raises(DataError, match=r"a\.\w+' cannot be read as"):
        read_table(tmp_path / name)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write_table(pd.DataFrame({"a": np.arange(1000)}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:50] + whole[-300:])
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_table(path)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(name, tmp_path, monkeypatch):
    def fail(self, path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    write_table(old := pd.DataFrame({"a": [1]}), tmp_path / name)
    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="No space left"):
        write_table(pd.DataFrame({"a": [2]}), tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    pd.testing.assert_frame_equal(read_table(tmp_path / name), old)


def test_no_permission_is_said(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").write_text("a\n1\n")
    monkeypatch.setattr(pd, "read_csv", refuse)
    with pytest.raises(PermissionError, match="no permission to read"):
        read_table(tmp_path / "a.csv")
    monkeypatch.setattr(pd.DataFrame, "to_csv", refuse)
    with pytest.raises(PermissionError, match="no permission to write"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "a.csv")


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be written as parquet"):
        write_table(pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}), tmp_path / "a.parquet")
    assert os.listdir(tmp_path) == []
