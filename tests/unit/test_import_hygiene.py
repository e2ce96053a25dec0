"""Nothing but fitting may load a machine-learning framework, and the root loads nothing at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
FRAMEWORKS = {"equinox", "flax", "jax", "jaxlib", "optax", "tensorflow", "torch"}
HEAVY = FRAMEWORKS | {"matplotlib", "narwhals", "numba", "numpy", "pandas", "polars", "pyarrow", "scipy"}


def packages_loaded_by(statement):
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{statement}\n{report}"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_probe_sees_what_is_loaded():
    assert "numpy" in packages_loaded_by("import numpy")


def test_importing_the_root_loads_nothing_heavy():
    assert not packages_loaded_by("import microplex") & HEAVY


@pytest.mark.parametrize(
    "statement",
    ["from microplex import Synthesizer", "from microplex import *", "import microplex.flow", "import microplex.cli"],
)
def test_no_framework_is_loaded_outside_training(statement):
    assert not packages_loaded_by(statement) & (FRAMEWORKS | {"matplotlib"})


def test_reweighting_loads_no_framework():
    statement = (
        "import pandas as pd; from microplex import Reweighter; "
        "Reweighter().fit(pd.DataFrame({'a': ['x', 'y'], 'weight': [1.0, 1.0]}), {'a': {'x': 2, 'y': 3}})"
    )
    assert not packages_loaded_by(statement) & (FRAMEWORKS | {"matplotlib"})
