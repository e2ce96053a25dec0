"""Data frames at the edge: pandas, polars and Arrow tables in, plain arrays inside, the same kind out."""

from microplex.frames.building import Levelled, assign, build_frame, restore_values
from microplex.frames.files import read_table, write_table
from microplex.frames.kinds import Frame, check_frame, column_names, frame_kind, keep_rows, n_rows, select
from microplex.frames.reading import ColumnData, Level, read_column

__all__ = [
    "ColumnData",
    "Frame",
    "Level",
    "Levelled",
    "assign",
    "build_frame",
    "check_frame",
    "column_names",
    "frame_kind",
    "keep_rows",
    "n_rows",
    "read_column",
    "read_table",
    "restore_values",
    "select",
    "write_table",
]
