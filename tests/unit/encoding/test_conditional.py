"""The law of one target given its row: Bayes, and a distribution function, quantiles and draws that agree."""

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table, random_ensemble
from scipy import stats
from scipy.special import logsumexp

from microplex._random import row_keys
from microplex.encoding import ConditionalLaw, score_rows
from microplex.errors import ColumnNotFoundError, DataError, ParameterError

N, ROWS = 1500, 40
NUMBERS = ["wage", "tax", "gain", "kids"]


@pytest.fixture(scope="module", params=[1, 3], ids=["one order", "three orders"])
def model(request):
    rng = np.random.default_rng(0)
    wage = np.where(rng.random(N) < 0.3, 0, np.round(np.exp(rng.normal(7, 1, N))))
    frame = pd.DataFrame({"wage": wage, "tax": np.round(wage * rng.random(N)), "age": rng.integers(15, 90, N)})
    frame["gain"] = np.where(rng.random(N) < 0.2, 0.0, rng.normal(size=N))
    frame["kids"] = rng.poisson(0.8, N)
    frame["kind"] = np.where(rng.random(N) < 0.1, None, rng.choice(list("xyz"), N))
    frame["pay"] = frame.wage + frame.kids
    targets = ["wage", "tax", "gain", "kids", "kind", "pay"]
    encoder, values = encode_table(frame, targets, ["age"], ["tax <= wage", "pay == wage + kids"])
    orders = [(0, 1, 2, 3, 4), (4, 3, 2, 0, 1), (2, 0, 4, 1, 3)][: request.param]
    return encoder, random_ensemble(encoder, values, orders), {name: x[:ROWS] for name, x in values.items()}


def law(model, name, **changes):
    encoder, ensemble, values = model
    return ConditionalLaw(encoder, ensemble, values | changes, name, ROWS)


def test_categories_follow_bayes(model):
    encoder, ensemble, values = model
    codec = encoder.codecs["kind"]
    joint = np.stack(
        [
            score_rows(encoder, ensemble, values | {"kind": np.full(ROWS, code, np.int32)}, ROWS)
            for code in range(codec.n_codes)
        ],
        axis=1,
    )
    expected = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    found = law(model, "kind").probabilities()
    assert list(found) == ["x", "y", "z", "missing"]
    assert np.stack(list(found.values()), axis=1) == pytest.approx(expected, abs=1e-9)


def test_counts_follow_bayes(model):
    encoder, ensemble, values = model
    points = np.arange(12.0)
    rows = [values | {"kids": np.full(ROWS, k)} for k in points]
    joint = np.stack([score_rows(encoder, ensemble, r | encoder.plan.derive(r), ROWS) for r in rows], axis=1)
    p = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    found = law(model, "kids")
    at = np.stack([found.cdf(k) for k in points], axis=1)
    assert np.diff(at, axis=1) == pytest.approx(p[:, 1:], abs=1e-3)


@pytest.mark.parametrize("name", NUMBERS)
def test_quantiles_are_the_first_values_that_reach_their_level(model, name):
    found = law(model, name)
    codec = model[0].codecs[name]
    for level in (0.02, 0.5, 0.77, 0.999):
        x = found.quantile(level)
        assert (found.cdf(x) >= level - 1e-9).all()
        before = x - (codec.grid or 1e-6 * (1 + np.abs(x)))
        assert (found.cdf(before) < level + 1e-4).all()
    several = found.quantile([0.1, 0.5])
    assert several.shape == (ROWS, 2)
    assert np.array_equal(several[:, 1], found.quantile(0.5))


@pytest.mark.parametrize("name", NUMBERS)
def test_draws_follow_the_distribution_function(model, name):
    found = law(model, name)
    draws = found.sample(500, 3, row_keys(np.arange(ROWS)))
    assert draws.shape == (ROWS, 500)
    for level in (0.2, 0.6, 0.9):
        at = found.quantile(np.full(1, level))[:, 0]
        f = found.cdf(at)
        below = (draws <= at[:, None]).sum(axis=1)
        p = stats.binom.cdf(below, 500, f)
        assert stats.binom.sf(below - 1, 500, f).min() > 1e-6
        assert p.min() > 1e-6


def test_draws_of_a_row_are_its_own(model):
    found = law(model, "wage")
    keys = row_keys(np.arange(ROWS))
    whole = found.sample(3, 3, keys)
    encoder, ensemble, values = model
    part = {name: x[10:20] for name, x in values.items()}
    again = ConditionalLaw(encoder, ensemble, part, "wage", 10).sample(3, 3, keys[10:20])
    assert np.array_equal(again, whole[10:20])
    assert not np.array_equal(found.sample(3, 4, keys), whole)


def test_unknown_targets_are_left_out_of_the_condition(model):
    _, _, _ = model
    hidden = {"gain": np.full(ROWS, np.nan), "kind": np.full(ROWS, -1, np.int32)}
    known, blind = law(model, "kids"), law(model, "kids", **hidden)
    assert not np.allclose(known.p, blind.p)
    other = law(model, "kids", **hidden, tax=np.full(ROWS, np.nan), wage=np.full(ROWS, np.nan))
    assert other.p.sum(axis=1) == pytest.approx(np.ones(ROWS))


def test_a_share_keeps_to_its_base(model):
    _, _, values = model
    found = law(model, "tax")
    assert found.cdf(values["wage"]) == pytest.approx(np.ones(ROWS))
    assert (found.cdf(-1.0) == 0).all()
    assert (found.quantile(0.999) <= values["wage"]).all()
    assert (found.sample(50, 0, row_keys(np.arange(ROWS))) <= values["wage"][:, None]).all()


def test_a_base_is_no_smaller_than_its_share(model):
    _, _, values = model
    found = law(model, "wage")
    assert (found.cdf(values["tax"] - 1) < 0.2).all()


def test_requests_that_make_no_sense(model):
    with pytest.raises(ParameterError, match="derived"):
        law(model, "pay")
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'wage'"):
        law(model, "wages")
    with pytest.raises(ParameterError, match="categorical"):
        law(model, "kind").cdf(0)
    with pytest.raises(ParameterError, match="number"):
        law(model, "wage").probabilities()
    with pytest.raises(ParameterError, match="between 0 and 1"):
        law(model, "wage").quantile([0.5, 1.0])
    with pytest.raises(DataError, match="missing in row 2"):
        law(model, "tax", wage=np.where(np.arange(ROWS) == 2, np.nan, 10.0))
