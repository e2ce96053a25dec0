"""Generating rows: the same whatever the blocks, within the constraints, and from the law that is scored."""

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table, random_ensemble

from microplex._random import row_keys, uniforms
from microplex.encoding import rows as module
from microplex.encoding import sample_rows, score_rows
from microplex.errors import ConstraintError

N = 1200


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    wage = np.where(rng.random(N) < 0.3, 0, np.round(np.exp(rng.normal(7, 1, N))))
    frame = pd.DataFrame({"wage": wage, "tax": np.round(wage * rng.random(N) ** 2), "age": rng.integers(15, 90, N)})
    frame["gain"] = np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N))
    frame["kind"] = rng.choice(list("xyz"), N)
    encoder, values = encode_table(frame, ["wage", "tax", "gain", "kind"], ["age"], ["tax <= wage", "gain <= 9"])
    ensemble = random_ensemble(encoder, values, [(0, 1, 2, 3), (3, 2, 1, 0)], width=64)
    return encoder, ensemble, values


def generate(model, rows, seed=1):
    encoder, ensemble, values = model
    given = {"age": values["age"][rows % N]}
    return sample_rows(encoder, ensemble, given, row_keys(rows), seed)


def same(a, b):
    return all(np.array_equal(a[name], b[name], equal_nan=a[name].dtype == float) for name in a)


def test_blocks_chunks_and_order_change_no_byte(model, monkeypatch):
    rows = np.arange(5000)
    whole = generate(model, rows)
    shuffled = np.random.default_rng(1).permutation(5000)
    assert same(generate(model, shuffled), {name: x[shuffled] for name, x in whole.items()})
    for chunk in ([17], rows[:63], rows[1000:1065], rows[4000:]):
        assert same(generate(model, np.asarray(chunk)), {name: x[chunk] for name, x in whole.items()})
    monkeypatch.setattr(module, "BLOCK", 100)
    assert same(generate(model, rows), whole)


def test_draws_in_doubt_are_settled_in_double_precision(model, monkeypatch):
    rows = np.arange(2000)
    expected = generate(model, rows)
    network = type(model[1].members[0].network)
    start = network.start
    monkeypatch.setattr(network, "start", lambda self, n, double=False: start(self, n, True))
    assert same(generate(model, rows), expected)


def test_another_seed_or_stream_gives_other_rows(model):
    rows = np.arange(200)
    assert not same(generate(model, rows, 1), generate(model, rows, 2))
    encoder, ensemble, values = model
    given = {"age": values["age"][:200]}
    first, second = (sample_rows(encoder, ensemble, given, row_keys(rows), 1, stream) for stream in (1, 2))
    assert not same(first, second)


def test_the_members_share_the_rows(model):
    encoder, ensemble, _ = model
    keys = row_keys(np.arange(3000))
    u = uniforms(1, keys, 1, 1 + 2 * len(encoder.targets))
    chosen = ensemble.choose(u[0])
    assert np.bincount(chosen).min() > 1300
    alone = type(ensemble)((ensemble.members[1],))
    both = generate(model, np.arange(3000))
    one = sample_rows(encoder, alone, {"age": model[2]["age"][np.arange(3000) % N]}, keys, 1)
    assert same({k: v[chosen == 1] for k, v in both.items()}, {k: v[chosen == 1] for k, v in one.items()})


def test_generated_rows_keep_the_constraints_and_have_a_law(model):
    encoder, ensemble, values = model
    rows = np.arange(4000)
    drawn = generate(model, rows)
    assert (drawn["tax"] <= drawn["wage"]).all()
    assert (drawn["tax"][drawn["wage"] == 0] == 0).all()
    assert np.isnan(drawn["gain"]).mean() == pytest.approx(0.1, abs=0.08)
    known = drawn | {"age": values["age"][rows % N]}
    assert not any(broken.any() for _, broken in encoder.plan.check(known))
    assert np.isfinite(score_rows(encoder, ensemble, known, 4000)).all()


def test_rows_that_break_a_constraint_have_no_probability(model):
    encoder, ensemble, values = model
    rows = {name: x[:3].copy() for name, x in values.items()}
    rows["wage"], rows["tax"] = np.array([100.0, 100, 100]), np.array([101.0, 100, -1])
    assert np.isneginf(score_rows(encoder, ensemble, rows, 3)).tolist() == [True, False, True]


def test_no_rows_and_no_conditions():
    frame = pd.DataFrame({"a": np.arange(100) % 3, "b": np.arange(100.0)})
    encoder, values = encode_table(frame, ["a", "b"])
    ensemble = random_ensemble(encoder, values)
    assert len(sample_rows(encoder, ensemble, {}, row_keys(np.arange(0)), 0)["a"]) == 0
    assert len(sample_rows(encoder, ensemble, {}, row_keys(np.array([7])), 0)["b"]) == 1


def test_a_row_that_no_value_can_satisfy_is_named():
    rng = np.random.default_rng(3)
    low = rng.integers(0, 50, 400)
    frame = pd.DataFrame({"low": low, "x": low + rng.integers(0, 5, 400), "high": low + 10})
    encoder, values = encode_table(frame, ["x"], ["low", "high"], ["low <= x", "x <= high"])
    ensemble = random_ensemble(encoder, values)
    given = {"low": np.array([5.0, 30, 6]), "high": np.array([15.0, 20, 16])}
    with pytest.raises(ConstraintError, match=r"no value of 'x' .* on row 1 \(1 such rows\)"):
        sample_rows(encoder, ensemble, given, row_keys(np.arange(3)), 0)


EXCLUSIONS = {
    "one number": ("y != 7", lambda y, z: y != 7),
    "another column": ("y != z", lambda y, z: y != z),
    "strictly below": ("y < z", lambda y, z: y < z),
    "at least": ("y >= z", lambda y, z: y >= z),
}


@pytest.mark.parametrize("case", EXCLUSIONS)
def test_numbers_of_many_values_keep_comparisons(case):
    rule, holds = EXCLUSIONS[case]
    rng = np.random.default_rng(4)
    y, z = rng.integers(0, 160, 4000), rng.integers(20, 180, 4000)
    keep = holds(y, z)
    frame = pd.DataFrame({"y": y[keep], "z": z[keep]})
    encoder, values = encode_table(frame, ["y"], ["z"], [rule])
    ensemble = random_ensemble(encoder, values)
    given = {"z": rng.integers(20, 150, 3000).astype(float)}
    drawn = sample_rows(encoder, ensemble, given, row_keys(np.arange(3000)), 0)
    assert holds(drawn["y"], given["z"]).all()
    assert np.isfinite(score_rows(encoder, ensemble, drawn | given, 3000)).all()
    grid = np.arange(-5.0, 4000)
    for at in (20.0, 77.0):
        row = {"y": grid, "z": np.full(len(grid), at)}
        p = np.exp(score_rows(encoder, ensemble, row, len(grid)))
        assert p.sum() == pytest.approx(1, abs=2e-3)
        assert (p[~holds(grid, at)] == 0).all()
