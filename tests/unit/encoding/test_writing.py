"""Values become columns in the types of the training data."""

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table

from microplex.encoding import writing
from microplex.frames import build_frame

N = 90
RNG = np.random.default_rng(0)
COLUMNS = {
    "whole numbers": RNG.integers(0, 500, N),
    "whole numbers, some missing": pd.array(np.where(RNG.random(N) < 0.2, None, RNG.integers(0, 500, N)), "Int64"),
    "fractions": RNG.normal(size=N),
    "fractions, some missing": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N)),
    "cents": np.round(RNG.gamma(2, 50, N), 2),
    "truth values": RNG.random(N) < 0.5,
    "strings": RNG.choice(["x", "y", "zz"], N),
    "strings, some missing": np.where(RNG.random(N) < 0.2, None, RNG.choice(["x", "y"], N).astype(object)),
    "categories": pd.Categorical(RNG.choice(["lo", "hi"], N), categories=["lo", "hi"], ordered=True),
    "days": pd.to_datetime("2020-01-01") + pd.to_timedelta(RNG.integers(0, 300, N), "D"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_training_values_come_back_as_they_were(kind):
    frame = pd.DataFrame({"x": COLUMNS[kind]})
    encoder, values = encode_table(frame, ["x"])
    written = build_frame(writing.columns(encoder.schema, values, ["x"]), frame)
    pd.testing.assert_frame_equal(written, frame, check_dtype=kind != "days")
    codes = encoder.target_codes(values, N)
    assert (codes >= 0).all()
