"""Tables to codes and back: what is observed, possible and allowed."""

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table

from microplex.encoding.encoder import combine
from microplex.encoding.shares import ShareCodec
from microplex.schema import Schema

N = 1500


def survey(seed=0):
    rng = np.random.default_rng(seed)
    wage = np.where(rng.random(N) < 0.2, 0, np.round(np.exp(rng.normal(7, 1, N))))
    frame = pd.DataFrame(
        {
            "age": rng.integers(0, 90, N),
            "region": rng.choice(list("abc"), N),
            "wage": wage,
            "tax": np.round(wage * rng.random(N) * (rng.random(N) < 0.7)),
            "gain": rng.normal(size=N),
            "kind": rng.choice(["x", "y"], N),
        }
    )
    frame.loc[rng.random(N) < 0.1, "gain"] = np.nan
    frame.loc[rng.random(N) < 0.1, "kind"] = None
    frame.loc[frame.age < 15, ["wage", "tax"]] = 0
    return frame


TARGETS, CONDITIONS = ["tax", "wage", "gain", "kind"], ["age", "region"]
RULES = ["tax <= wage", "age < 15 -> wage == 0"]


@pytest.fixture(scope="module")
def encoded():
    return encode_table(survey(), TARGETS, CONDITIONS, RULES)


def test_conditions_come_first_and_what_bounds_comes_before(encoded):
    encoder, _ = encoded
    assert encoder.conditions == ("age", "region")
    assert encoder.targets == ("wage", "tax", "gain", "kind")
    assert isinstance(encoder.codecs["tax"], ShareCodec)
    assert list(encoder.codecs) == [*encoder.conditions, *encoder.targets]


def test_every_training_row_is_possible_and_has_a_law(encoded):
    encoder, values = encoded
    data, possible = encoder.data(values, np.ones(N), N)
    assert possible.all()
    assert data.observed is None
    assert np.isfinite(encoder.log_density(values, N)).all()
    sizes = [codec.n_codes for codec in encoder.codecs.values()]
    assert ((data.codes >= 0) & (data.codes < sizes)).all()


def test_codes_become_values_that_have_them(encoded):
    encoder, values = encoded
    codes = encoder.target_codes(values, N)
    for i, name in enumerate(encoder.targets[:3]):
        base = encoder.base(name, values, N)
        limits, _ = encoder.support(name, values, N)
        drawn = encoder.codecs[name].decode(codes[:, i], np.random.default_rng(i).random(N), None, limits, base)
        again = encoder.target_codes(values | {name: drawn}, N)
        assert np.array_equal(again[:, i], codes[:, i])


def test_constraints_leave_codes_out(encoded):
    encoder, values = encoded
    young = values["age"] < 15
    allowed = encoder.allowed("wage", values, N)
    zero = encoder.codecs["wage"].encode(np.zeros(1))[0]
    assert (allowed[young].sum(axis=1) == 1).all()
    assert allowed[young, zero].all()
    assert allowed[~young].all()
    tax = encoder.allowed("tax", values, N)
    assert (tax[values["wage"] == 0].sum(axis=1) == 1).all()
    assert encoder.allowed("gain", values, N) is None


def test_what_breaks_a_constraint_is_impossible_and_stays_trainable(encoded):
    encoder, values = encoded
    row = {name: x[:1].copy() for name, x in values.items()}
    row |= {"age": np.array([5.0]), "wage": np.array([700.0]), "tax": np.array([900.0])}
    data, possible = encoder.data(row, np.ones(1), 1)
    assert possible.tolist() == [[False, False, True, True]]
    for target, mask in data.allowed.items():
        assert mask[0, data.codes[0, 2 + target]]


def test_missing_values_are_levels_or_unobserved():
    frame = survey()
    schema = Schema.infer(frame).replace("gain", missing="unobserved").replace("kind", missing="unobserved")
    encoder, values = encode_table(frame, ["gain", "kind"], schema=schema)
    data, possible = encoder.data(values, np.ones(N), N)
    assert possible.all()
    assert np.array_equal(data.observed, np.stack([frame.gain.notna(), frame.kind.notna()], axis=1))
    assert (data.codes[~data.observed[:, 0], 0] == 0).all()
    encoder, values = encode_table(frame, ["gain", "kind"])
    data, _ = encoder.data(values, np.ones(N), N)
    assert data.observed is None
    assert (data.codes[frame.gain.isna(), 0] == encoder.codecs["gain"].missing_code).all()


def test_levels_never_seen_are_impossible_not_unobserved(encoded):
    encoder, values = encoded
    odd = values | {"kind": np.where(np.arange(N) == 3, -2, values["kind"]).astype(np.int32)}
    _, possible = encoder.data(odd, np.ones(N), N)
    assert np.flatnonzero(~possible.all(axis=1)).tolist() == [3]


def test_unobserved_conditions_have_a_code_of_their_own():
    frame = survey()
    frame.loc[::7, "age"] = np.nan
    schema = Schema.infer(frame).replace("age", missing="unobserved")
    encoder, values = encode_table(frame, ["gain"], ["age"], schema=schema)
    data, _ = encoder.data(values, np.ones(N), N)
    assert (data.codes[frame.age.isna(), 0] == encoder.codecs["age"].n_codes).all()
    assert (encoder.condition_codes(values, N)[frame.age.isna(), 0] == -1).all()


def test_groups_are_the_levels_of_the_condition_that_was_chosen():
    rng = np.random.default_rng(1)
    frame = survey()
    place = {"a": 1111.0, "b": 2222.0, "c": 3333.0}
    frame["rent"] = np.where(rng.random(N) < 0.5, frame.region.map(place), np.round(rng.gamma(2, 900, N)))
    schema = Schema.infer(frame).replace("rent", atoms=())
    encoder, values = encode_table(frame, ["rent"], ["kind", "age", "region"], schema=schema)
    codes = encoder.condition_codes(values, N)
    assert encoder.codecs["rent"].group_by == 1
    assert np.array_equal(encoder.group("rent", codes), values["region"])
    assert encoder.group("rent", codes).dtype == np.intp


def test_variables_are_one_a_column(encoded):
    encoder, values = encoded
    conditions, targets = encoder.variables(values, np.ones(N))
    assert [v.name for v in (*conditions, *targets)] == list(encoder.codecs)
    for v in (*conditions, *targets):
        assert v.features.shape[0] == v.basis.shape[0] == len(v.log_marginal) == v.n_codes
        assert np.exp(v.log_marginal).sum() == pytest.approx(1, rel=1e-5)
    assert targets[1].hurdle == encoder.codecs["tax"].cells.atom_codes[0]


def test_what_rounding_leaves_of_a_difference_is_zero():
    values = {"t": np.array([0.3, 1.0, np.nan]), "a": np.array([0.1, 0.5, 1.0]), "b": np.array([0.2, 0.2, 0.0])}
    left = combine({"t": 1.0, "a": -1.0, "b": -1.0}, values, 3)
    assert left[0] == 0
    assert left[1] == pytest.approx(0.3)
    assert np.isnan(left[2])
