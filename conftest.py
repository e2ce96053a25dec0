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
    if isinstance(request.node, pytest.DoctestItem) and request.node.path.name in ("storage.py", "synthesizer.py"):
        frame, synth = _fitted()
        request.node.dtest.globs.update(frame=frame, synth=synth)
        request.node.dtest.globs.setdefault("Synthesizer", type(synth))


@functools.cache
def _fused():
    """The model of the example in the docstring of MultiSourceFusion."""
    from microplex.fusion import MultiSourceFusion

    age = np.arange(300) % 60 + 20
    cps = pd.DataFrame({"age": age, "wages": 100 * (age * 7 % 50)})
    acs = pd.DataFrame({"age": age, "rent": 10 * (age * 3 % 40)})
    return cps, acs, MultiSourceFusion(epochs=2, n_orders=0).fit({"cps": cps, "acs": acs})


@pytest.fixture(autouse=True)
def _examples_share_one_fusion(request):
    if isinstance(request.node, pytest.DoctestItem) and request.node.path.parts[-2:] == ("fusion", "fusion.py"):
        cps, acs, fusion = _fused()
        request.node.dtest.globs.update(cps=cps, acs=acs, fusion=fusion)


@functools.cache
def _imputed():
    """The model of the example in the docstring of Imputer."""
    from microplex.imputation import Imputer

    age = np.arange(300) % 60 + 20.0
    wage = np.where(np.arange(300) % 4 == 0, np.nan, 100.0 * age + np.arange(300) * 37 % 900)
    frame = pd.DataFrame({"age": age, "wage": wage})
    imputer = Imputer(m=2, epochs=1)
    return frame, imputer, imputer.fit_transform(frame, seed=1)


@pytest.fixture(autouse=True)
def _examples_share_one_imputer(request):
    if isinstance(request.node, pytest.DoctestItem) and request.node.path.parts[-2:] == ("imputation", "imputer.py"):
        frame, imputer, done = _imputed()
        request.node.dtest.globs.update(frame=frame, imputer=imputer, done=done)
