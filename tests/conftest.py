import importlib
import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MICROPLEX_SHARED") or ROOT.parent / "shared")

# A busy machine is no failure: no test has a deadline in seconds.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark by place and by fixture, so that nobody has to remember to."""
    for item in items:
        for folder in {"acceptance", "statistical"} & set(item.path.parts):
            item.add_marker(folder)
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")


@pytest.fixture(scope="session")
def shared_data():
    """``shared_data("us_cps_tax_units.parquet")`` is the path of that file; the test is skipped without it."""

    def locate(name):
        path = SHARED / "data" / name
        if not path.exists():
            pytest.skip(f"no {path}: set MICROPLEX_SHARED to the folder that holds data/{name}")
        return path

    return locate


@pytest.fixture(params=["pandas", "polars", "arrow"])
def frame_kind(request):
    if request.param == "polars":
        pytest.importorskip("polars")
    return request.param


@pytest.fixture
def make_frame(frame_kind):
    """``make_frame({"age": [31, 52]})`` or ``make_frame(pandas_frame)`` is that table as a frame of ``frame_kind``."""

    def build(columns):
        if frame_kind == "pandas":
            return pd.DataFrame(columns)
        if frame_kind == "polars":
            polars = importlib.import_module("polars")
            return polars.from_pandas(columns) if isinstance(columns, pd.DataFrame) else polars.DataFrame(columns)
        pyarrow = importlib.import_module("pyarrow")
        if isinstance(columns, pd.DataFrame):
            return pyarrow.Table.from_pandas(columns, preserve_index=False)
        return pyarrow.table(columns)

    return build


@pytest.fixture
def to_pandas():
    """Turn a frame of any kind into a pandas one, for comparison."""

    def convert(frame):
        return frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()

    return convert
