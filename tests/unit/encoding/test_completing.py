import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chisquare

from microplex._random import row_keys
from microplex.encoding.completing import Sweeps, complete_rows
from microplex.flow.data import Data
from microplex.imputation import Imputer

N = 3_000


@pytest.fixture(scope="module")
def small():
    """Three tied categorical columns, small enough for every completion to be listed."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 400)
    b = (a + (rng.random(400) < 0.3)) % 3
    c = (rng.random(400) < 0.1 + 0.35 * (a == b) + 0.2 * (b == 2)).astype(int)
    frame = pd.DataFrame({"a": a, "b": b, "c": c}).astype(str)
    holed = frame.mask(rng.random(frame.shape) < [[0.1, 0.15, 0.2]])
    holed.loc[0] = frame.loc[0]
    imputer = Imputer(m=1, epochs=15).fit(holed)
    return imputer.model_.encoder, imputer.model_.members[0]


def _posterior(encoder, member, observed):
    """Every completion of a row and its probability, by listing."""
    sizes = [encoder.codecs[name].n_codes for name in encoder.targets]
    codes = np.array(list(itertools.product(*(range(k) for k in sizes))), np.int32)
    for place, value in observed.items():
        codes = codes[codes[:, place] == value]
    p = np.exp(member.log_prob(Data(codes, np.ones(len(codes)))))
    return codes, p / p.sum()


@pytest.mark.statistical
@pytest.mark.parametrize("observed", [{2: 1}, {1: 0}, {1: 2, 2: 0}, {0: 1}, {}])
@pytest.mark.parametrize("effort", [Sweeps(30, 1), Sweeps(6, 6)])
def test_draws_follow_the_listed_law_of_the_missing_cells(small, observed, effort):
    encoder, member = small
    values = {name: np.full(N, observed.get(place, -1), np.int32) for place, name in enumerate(encoder.targets)}
    missing = np.tile([place not in observed for place in range(3)], (N, 1))
    drawn, _ = complete_rows(encoder, member, values, missing, row_keys(np.arange(N)), 7, 1, effort)
    codes, p = _posterior(encoder, member, observed)
    found = np.column_stack([drawn[name] for name in encoder.targets])
    counts = np.array([(found == row).all(axis=1).sum() for row in codes])
    assert counts.sum() == N
    many = p * N >= 5
    seen, wanted = np.append(counts[many], counts[~many].sum()), np.append(p[many], p[~many].sum()) * N
    keep = wanted > 0
    assert chisquare(seen[keep], wanted[keep]).pvalue > 1e-4


def test_ignoring_what_comes_later_would_be_noticed(small):
    encoder, member = small
    codes, p = _posterior(encoder, member, {2: 1})
    _, prior = _posterior(encoder, member, {})
    first = np.array([p[codes[:, 0] == k].sum() for k in range(3)])
    every = np.array(list(itertools.product(range(3), range(3), range(2))))
    sizes = [encoder.codecs[name].n_codes for name in encoder.targets]
    every = np.array(list(itertools.product(*(range(k) for k in sizes))))
    assert np.abs(first - [prior[every[:, 0] == k].sum() for k in range(sizes[0])][:3]).max() > 0.03


def test_effective_share_is_one_where_nothing_is_observed_later(small):
    encoder, member = small
    values = {name: np.full(4, -1, np.int32) for name in encoder.targets}
    values[encoder.targets[0]][:] = 0
    missing = np.tile([False, True, True], (4, 1))
    _, share = complete_rows(encoder, member, values, missing, row_keys(np.arange(4)), 1, 1)
    assert share.tolist() == [1.0] * 4


@pytest.fixture(scope="module")
def bounded():
    """Two whole numbers in wide bins, the first at most the second."""
    rng = np.random.default_rng(1)
    a = rng.integers(0, 300, 400)
    whole = pd.DataFrame({"a": a, "b": a + rng.integers(0, 200, 400)}).astype(float)
    holed = whole.copy()
    holed.loc[1:60, "a"] = np.nan
    holed.loc[61:130, "b"] = np.nan
    imputer = Imputer(m=1, constraints=["a <= b"], epochs=3).fit(holed)
    return imputer.model_.encoder, imputer.model_.members[0]


@pytest.mark.statistical
@pytest.mark.parametrize("a", [87.0, 260.0])
@pytest.mark.parametrize("effort", [Sweeps(60, 1), Sweeps(8, 8)])
def test_draws_beyond_a_later_value_follow_the_listed_law_within_bins_too(bounded, a, effort):
    encoder, member = bounded
    assert encoder.targets == ("b", "a")
    every = {"b": np.arange(a, 600.0)}
    n = len(every["b"])
    every["a"] = np.full(n, a)
    data, possible = encoder.data(every, np.ones(n), n)
    log_p = member.log_prob(data) + encoder.log_density(every, n).sum(axis=1)
    p = np.where(possible.all(axis=1), np.exp(log_p - log_p.max()), 0.0)
    missing = np.tile([True, False], (N, 1))
    values = {"a": np.full(N, a), "b": np.full(N, np.nan)}
    drawn, _ = complete_rows(encoder, member, values, missing, row_keys(np.arange(N)), 3, 1, effort)
    assert drawn["b"].min() >= a
    edges = np.append(np.arange(a, a + 120, 4), 600.0)
    seen, wanted = np.histogram(drawn["b"], edges)[0], np.histogram(every["b"], edges, weights=p / p.sum())[0] * N
    many = wanted >= 5
    seen, wanted = np.append(seen[many], seen[~many].sum()), np.append(wanted[many], wanted[~many].sum() + 1e-9)
    assert chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-4
