import numpy as np
import pandas as pd
import pytest

from microplex.encoding.ties import narrow, tied
from microplex.imputation import Imputer


@pytest.fixture(scope="module")
def encoder():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 50, 200), rng.integers(0, 30, 200)
    whole = pd.DataFrame({"a": a, "b": b, "total": a + b, "cap": a + rng.integers(0, 20, 200)}).astype(float)
    holed = whole.mask(rng.random(whole.shape) < 0.2).fillna({"cap": 80.0})
    holed.loc[:40, "cap"] = np.nan
    rules = ["total == a + b", "a <= cap", "a >= 0", "b >= 0"]
    return Imputer(m=1, constraints=rules, epochs=1).fit(holed[holed.notna().any(axis=1)]).model_.encoder


def _row(**values):
    return {name: np.array([float(x)]) for name, x in values.items()}


def test_a_total_bounds_a_part_and_pins_the_last_one(encoder):
    low = narrow(encoder, "a", _row(a=np.nan, b=np.nan, total=30, cap=np.nan), 1)[0]
    assert (low.low[0], low.high[0]) == (0.0, 30.0)
    pinned = narrow(encoder, "a", _row(a=np.nan, b=12, total=30, cap=np.nan), 1)[0]
    assert (pinned.low[0], pinned.high[0]) == (18.0, 18.0)


def test_a_later_bound_narrows_and_an_unknown_total_does_not(encoder):
    found = narrow(encoder, "a", _row(a=np.nan, b=12, total=np.nan, cap=25), 1)[0]
    assert found.high[0] == 25.0


def test_rows_with_an_observed_total_and_a_missing_part_are_tied(encoder):
    missing = np.array([[name == "a" for name in encoder.targets]] * 2)
    values = {"total": np.array([30.0, np.nan])}
    assert tied(encoder, values, missing).tolist() == [True, False]
