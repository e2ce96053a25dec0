"""What a saved model holds: no training row, no value of one person, nothing that runs; and what loading needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts.conftest import TARGETS
from safetensors.numpy import load_file

from microplex import Synthesizer
from microplex.schema import Schema

SOURCE = Path(__file__).parents[2] / "src"
CONDITIONS = ["age", "region"]


@pytest.fixture(scope="module")
def path(fitted, tmp_path_factory):
    goal = tmp_path_factory.mktemp("saved") / "model"
    fitted.save(goal)
    return goal


@pytest.fixture(scope="module")
def numbers(path):
    """Every number in the model: of its arrays, as they are, and of its manifest."""
    found = [a.astype(float).ravel() for a in load_file(path / "arrays.safetensors").values()]

    def walk(node):
        if isinstance(node, dict):
            node = node.values()
        if isinstance(node, (int, float)):
            found.append(np.array([float(node)]))
        elif not isinstance(node, str):
            for part in node or ():
                walk(part)

    walk(json.loads((path / "manifest.json").read_text()))
    return np.unique(np.concatenate(found))


def values_of(column):
    if column.dtype.kind == "M":
        return (column - pd.Timestamp("1970-01-01")).dt.total_seconds()
    return column.astype(float)


@pytest.mark.parametrize("name", ["age", "wage", "tax", "gain", "rate", "day", "weight"])
def test_no_value_of_fewer_than_three_people(numbers, survey, name):
    values = values_of(survey[name]).dropna()
    counts = values.value_counts()
    rare = counts.index[counts < 3].to_numpy()
    rounded = Schema.infer(survey[[name]])[name].heaps
    rare = rare[(rare != 0) & ~np.any([rare % grain == 0 for grain in rounded] or [rare != rare], axis=0)]
    assert len(rare) > 5
    for hidden in (rare, rare.astype(np.float32).astype(float), rare / 86400):
        telling = (hidden != np.round(hidden)) | (np.abs(hidden) > 2000)  # others are counts and codes too
        assert np.intersect1d(hidden[telling], numbers).tolist() == []


def test_no_training_row_in_any_array(path, survey):
    rows = np.stack([values_of(survey[name]) for name in ("wage", "tax", "rate")], axis=1)
    for array in load_file(path / "arrays.safetensors").values():
        flat = array.astype(float).ravel()
        for step in range(1, min(len(flat), 400)):
            if len(flat) > 2 * step:
                windows = np.stack([flat[: -2 * step], flat[step:-step], flat[2 * step :]], axis=1)[:20_000]
                close = np.isin(windows[:, 0], rows[rows[:, 0] > 0, 0])
                assert not any((rows == w).all(axis=1).any() for w in windows[close])
            if step > 8:
                break


def test_nothing_in_it_runs(path):
    assert sorted(p.name for p in path.iterdir()) == ["arrays.safetensors", "manifest.json"]
    assert b"pickle" not in (path / "arrays.safetensors").read_bytes()[:4096]
    assert json.loads((path / "manifest.json").read_text())["kind"] == "Synthesizer"


def test_loading_needs_no_framework_and_generates_the_same(fitted, path, survey, tmp_path):
    rows = survey[CONDITIONS].head(40)
    rows.to_parquet(tmp_path / "rows.parquet")
    program = f"""
import sys
import pandas as pd
from microplex import Synthesizer
synth = Synthesizer.load({str(path)!r})
rows = pd.read_parquet({str(tmp_path / "rows.parquet")!r})
synth.generate(rows, seed=3).to_parquet({str(tmp_path / "out.parquet")!r})
synth.log_prob(synth.generate(rows, seed=3)), synth.generate(n=3, seed=1)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not {"jax", "jaxlib", "optax", "torch", "tensorflow", "numba"} & set(done.stdout.split())
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), fitted.generate(rows, seed=3))


def test_a_loaded_model_says_the_same(fitted, path, survey):
    loaded = Synthesizer.load(path)
    assert np.array_equal(loaded.log_prob(survey), fitted.log_prob(survey))
    assert loaded.report_ == fitted.report_
    assert loaded.schema_ == fitted.schema_
    assert list(loaded.target_vars) == TARGETS


def test_every_training_row_has_a_finite_law(fitted, survey):
    assert np.isfinite(fitted.log_prob(survey)).all()
    drawn = fitted.generate(survey[CONDITIONS], seed=0)
    assert np.isfinite(fitted.log_prob(drawn)).all()
    assert (drawn.tax <= drawn.wage).all()
