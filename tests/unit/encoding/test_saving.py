"""Encoders and ensembles as JSON and arrays, and back."""

import json

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table, random_ensemble

from microplex._random import row_keys
from microplex.encoding import pack, sample_rows, score_rows, unpack

N = 900


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    region = rng.choice(list("abc"), N)
    wage = np.where(rng.random(N) < 0.3, 0, np.round(np.exp(rng.normal(7, 1, N))))
    rent = np.where(
        rng.random(N) < 0.5, [{"a": 1111, "b": 2222, "c": 3333}[r] for r in region], rng.integers(1, 5000, N)
    )
    frame = pd.DataFrame({"region": region, "wage": wage, "tax": np.round(wage * rng.random(N)), "rent": rent})
    frame["gain"] = np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N))
    frame["kind"] = pd.Categorical(rng.choice(["lo", "hi"], N), ["lo", "hi"], ordered=True)
    frame["total"] = frame.wage + frame.rent
    targets = ["wage", "tax", "rent", "gain", "kind", "total"]
    rules = ["tax <= wage", "total == wage + rent", "combinations(region, kind)"]
    encoder, values = encode_table(frame, targets, ["region"], rules)
    return encoder, random_ensemble(encoder, values, [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0)]), values


def again(model):
    content, arrays = pack(*model[:2])
    return unpack(json.loads(json.dumps(content, allow_nan=False)), arrays)


def test_a_model_that_was_unpacked_generates_and_scores_alike(model):
    encoder, ensemble, values = model
    other = again(model)
    given = {"region": values["region"]}
    first, second = (sample_rows(e, m, given, row_keys(np.arange(N)), 1) for e, m in ((encoder, ensemble), other))
    for name in first:
        assert np.array_equal(first[name], second[name], equal_nan=first[name].dtype == float)
    assert np.array_equal(score_rows(*other, values, N), score_rows(encoder, ensemble, values, N))


def test_everything_is_there_again(model):
    encoder, ensemble, _ = model
    other, mixture = again(model)
    assert other.schema == encoder.schema
    assert other.plan == encoder.plan
    assert [type(c) for c in other.codecs.values()] == [type(c) for c in encoder.codecs.values()]
    assert other.codecs["tax"].step == encoder.codecs["tax"].step == 1.0
    assert other.codecs["rent"].group_by == encoder.codecs["rent"].group_by
    assert [m.order for m in mixture.members] == [m.order for m in ensemble.members]


def test_arrays_are_named_plain_and_complete(model):
    content, arrays = pack(*model[:2])
    assert all(isinstance(a, np.ndarray) and a.dtype.kind in "fi" for a in arrays.values())
    for name in arrays:
        with pytest.raises((KeyError, ValueError)):
            unpack(content, {k: a for k, a in arrays.items() if k != name})
