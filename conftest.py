"""Settings that tests and docstring examples share; set before JAX or matplotlib load."""

import functools
import os
from pathlib import Path

import numpy as np
import pandas as pd
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


@functools.cache
def _fitted():
    """The model of the example in the docstring of Synthesizer."""
    from microplex import Synthesizer

    age = np.arange(400) % 62 + 18
    wage = np.where(age > 65, 0, 100 * (np.arange(400) * 37 % 300 + 1))
    frame = pd.DataFrame({"age": age, "wage": wage, "owner": np.where(np.arange(400) % 3 == 0, "yes", "no")})
    return frame, Synthesizer(["wage", "owner"], ["age"], epochs=2, n_orders=0).fit(frame)


@pytest.fixture(autouse=True)
def _examples_share_one_model(request):
    if isinstance(request.node, pytest.DoctestItem) and request.node.path.name == "synthesizer.py":
        frame, synth = _fitted()
        request.node.dtest.globs.update(frame=frame, synth=synth)
