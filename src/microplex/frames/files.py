"""Tables on disk: parquet or CSV by suffix, never half-written."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from microplex.errors import DataError, near_miss
from microplex.frames.kinds import Frame, frame_kind

_SUFFIXES = (".parquet", ".csv")


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a parquet or CSV file.

    Parameters
    ----------
    path : path
        Its suffix, ``.parquet`` or ``.csv``, names the format.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    FileNotFoundError
        There is no such file; a near name in the same folder is offered.
    PermissionError
        The file may not be read.
    DataError
        The suffix is another one, or the content is damaged or not of this format.

    Examples
    --------
    >>> read_table("survey.xlsx")
    Traceback (most recent call last):
    microplex.errors.DataError: cannot tell the format of 'survey.xlsx': its suffix must be '.parquet' or '.csv'.
    """
    file = Path(path)
    suffix = _suffix(file)
    if not file.is_file():
        names = [f.name for f in file.parent.iterdir()] if file.parent.is_dir() else []
        raise FileNotFoundError(f"no file {str(file)!r}.{near_miss(file.name, names)}")
    try:
        return pd.read_parquet(file) if suffix == ".parquet" else pd.read_csv(file, low_memory=False)
    except PermissionError as error:
        raise PermissionError(f"no permission to read {str(file)!r}.") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{str(file)!r} cannot be read as {suffix[1:]}: {error}") from error


def write_table(frame: Frame, path: str | os.PathLike[str]) -> None:
    """Write a frame to a parquet or CSV file, whole or not at all.

    Parameters
    ----------
    frame : data frame
        pandas, polars or Arrow.
    path : path
        Its suffix, ``.parquet`` or ``.csv``, names the format. An existing file is replaced.

    Raises
    ------
    FileNotFoundError
        The folder does not exist.
    PermissionError
        The folder may not be written to.
    DataError
        The suffix is another one, or the format cannot hold the frame.
    OSError
        The disk is full, or fails; nothing is left behind.

    Examples
    --------
    >>> import pandas as pd
    >>> write_table(pd.DataFrame({"a": [1]}), "missing_folder/a.csv")
    Traceback (most recent call last):
    FileNotFoundError: no folder 'missing_folder' to write 'a.csv' to. Make it first.
    """
    file = Path(path)
    suffix = _suffix(file)
    kind = frame_kind(frame)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(file.parent)!r} to write {file.name!r} to. Make it first.")
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        _write(frame, kind, suffix, temporary)
        os.replace(temporary, file)
    except PermissionError as error:
        raise PermissionError(f"no permission to write {str(file)!r}.") from error
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"the data frame cannot be written as {suffix[1:]}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write(frame: Frame, kind: str, suffix: str, file: Path) -> None:
    if kind == "pandas":
        frame.to_parquet(file) if suffix == ".parquet" else frame.to_csv(file, index=False)
    elif kind == "polars":
        frame.write_parquet(file) if suffix == ".parquet" else frame.write_csv(file)
    elif suffix == ".parquet":
        pa.parquet.write_table(frame, file)
    else:
        pa.csv.write_csv(frame, file)


def _suffix(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        raise DataError(f"cannot tell the format of {str(file)!r}: its suffix must be '.parquet' or '.csv'.")
    return suffix
