"""Settings that tests and docstring examples share; set before JAX or matplotlib load."""

import os
from pathlib import Path

import pytest

CACHE = Path(__file__).parent / ".cache"

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _examples_run_in_an_empty_folder(request):
    if isinstance(request.node, pytest.DoctestItem):
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
