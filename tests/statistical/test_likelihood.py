"""The scored law is the sampler's law. Each test fails by chance with probability below 1e-4; seeds are fixed."""

import itertools

import numpy as np
import pandas as pd
import pytest

from microplex import Synthesizer, make_population
from microplex.datasets import CONDITIONS, person_extract, true_log_prob

Z = 3.9


@pytest.fixture(scope="module")
def discrete():
    rng = np.random.default_rng(0)
    n = 800
    a = rng.choice(list("xyz"), n)
    b = rng.integers(0, 4, n)
    c = np.where(a == "x", 0, rng.integers(0, 3, n))
    return pd.DataFrame({"a": a, "b": b, "c": c})


def test_probabilities_of_all_rows_add_to_one(discrete):
    synth = Synthesizer(["a", "c"], ["b"], ["a == 'x' -> c == 0"], epochs=3, n_orders=2).fit(discrete)
    far = [*range(60)]
    rows = pd.DataFrame(itertools.product("xyz", range(4), far), columns=["a", "b", "c"])
    total = np.exp(synth.log_prob(rows)).reshape(3, 4, len(far)).sum(axis=(0, 2))
    assert total == pytest.approx(np.ones(4), abs=1e-6)


def test_sampled_and_scored_frequencies_agree(discrete):
    synth = Synthesizer(["a", "c"], ["b"], epochs=4, n_orders=2).fit(discrete)
    drawn = synth.generate(pd.DataFrame({"b": np.full(40_000, 2)}), seed=1)
    cells = pd.DataFrame(itertools.product("xyz", [2], range(3)), columns=["a", "b", "c"])
    p = np.exp(synth.log_prob(cells))
    for probability, (_, cell) in zip(p, cells.iterrows(), strict=True):
        count = ((drawn.a == cell.a) & (drawn.c == cell.c)).sum()
        assert abs(count - 40_000 * probability) < Z * np.sqrt(40_000 * probability * (1 - probability)) + 1


def test_law_approaches_the_written_one():
    extract = person_extract(make_population(4_000, seed=3))
    train, test = extract.iloc[:6_500], extract.iloc[6_500:8_500]
    targets = ["employment", "hours", "wages"]
    synth = Synthesizer(targets, list(CONDITIONS), n_orders=0, epochs=12, seed=1).fit(train)
    gap = true_log_prob(test, targets).mean() - synth.log_prob(test).mean()
    assert -0.05 < gap / len(targets) < 0.08
    shuffled = train.assign(**{t: train[t].sample(frac=1, random_state=0).to_numpy() for t in targets})
    blind = Synthesizer(targets, list(CONDITIONS), n_orders=0, epochs=2, seed=1).fit(shuffled)
    assert synth.log_prob(test).mean() > blind.log_prob(test).mean() + 0.3
