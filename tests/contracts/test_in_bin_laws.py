"""Every numeric codec: codes and values agree, masses add to one, the sampler follows the density."""

import numpy as np
import pytest
from scipy import stats

from microplex.encoding.numbers import fit_number
from microplex.encoding.shares import fit_share
from microplex.flow.ranges import Range
from microplex.schema import Schema

ALPHA = 1e-4  # chance that one of these tests fails on a correct law, each


def rng(seed=0):
    return np.random.default_rng(seed)


def heaped(n=4000):
    x = np.exp(rng().normal(9.5, 0.8, n))
    grain = rng(1).choice([1, 10, 100, 1000, 5000], n, p=[0.2, 0.1, 0.2, 0.4, 0.1])
    return np.maximum(np.round(x / grain) * grain, 0) * (rng(2).random(n) > 0.3)


CASES = {
    "heaped whole amounts": heaped,
    "continuous, heavy tail": lambda: rng(3).pareto(2.0, 3000) + 1.0,
    "losses and gains": lambda: np.where(rng(4).random(3000) < 0.5, 0.0, np.round(rng(5).standard_t(3, 3000) * 900)),
    "cents": lambda: np.round(rng(6).gamma(2.0, 40.0, 3000), 2),
    "few values": lambda: rng(7).poisson(3.0, 2000).astype(float),
    "top-coded": lambda: np.minimum(np.round(np.exp(rng(8).normal(10, 1.0, 3000))), 60_000.0),
    "small sample": lambda: np.round(rng(9).exponential(500.0, 80)),
    "continuous with an atom": lambda: np.where(rng(10).random(2000) < 0.4, 0.0, rng(11).exponential(50.0, 2000)),
}


def codec_of(x, groupings=()):
    import pandas as pd

    column = Schema.infer(pd.DataFrame({"x": x if (x != np.round(x)).any() else x.astype(int)}))["x"]
    return fit_number(column, x, np.ones(len(x)), groupings)


@pytest.fixture(params=CASES, ids=list(CASES))
def case(request):
    x = CASES[request.param]()
    return x, codec_of(x)


def draw(codec, codes, seed=0, **known):
    return codec.decode(codes, rng(seed).random(len(codes)), known.pop("groups", None), **known)


def test_each_training_value_has_one_code_and_a_law(case):
    x, codec = case
    codes = codec.encode(x)
    assert (codes >= 0).all()
    assert np.isfinite(codec.log_density(codes, x, None)).all()


def test_drawn_values_have_the_code_they_were_drawn_for(case):
    _, codec = case
    codes = np.repeat(np.arange(codec.cells.n_codes), 400).astype(np.int32)
    x = draw(codec, codes)
    assert np.array_equal(codec.encode(x), codes)
    assert np.isfinite(codec.log_density(codes, x, None)).all()


def test_masses_and_densities_add_to_one(case):
    _, codec = case
    cells = codec.cells
    for b, code in enumerate(cells.bin_codes):
        start, end = cells.starts[b], cells.ends[b]
        low = start if np.isfinite(start) else draw(codec, np.full(4000, code)).min() - 50 * (1 + abs(end))
        high = end if np.isfinite(end) else draw(codec, np.full(4000, code)).max() + 50 * (1 + abs(start))
        if not cells.resolution:
            probe = np.linspace(low, high, 20_001)
            middle = 0.5 * (probe[1:] + probe[:-1])
            density = np.exp(codec.log_density(np.full(len(middle), code), middle, None))
            points = codec.law.pooled.totals[b]
            smooth = np.median(density) * 0 + density
            assert 0.97 <= (smooth * np.diff(probe)).sum() + points <= 1.0 + 1e-3
            continue
        if (high - low) / cells.resolution > 3e5:
            continue
        grid = cells.snap(
            cells.expand(np.arange(np.ceil(low / cells.resolution), high / cells.resolution) * cells.resolution)
        )
        grid = grid[codec.encode(grid) == code]
        total = np.exp(codec.log_density(np.full(len(grid), code), grid, None)).sum()
        assert 0.98 <= total <= 1.0 + 1e-6
        if np.isfinite(start) and np.isfinite(end):
            assert total == pytest.approx(1.0, abs=1e-6)


def test_sampler_follows_the_distribution_function(case):
    _, codec = case
    for b, code in enumerate(codec.cells.bin_codes):
        codes = np.full(2000, code, np.int32)
        x = draw(codec, codes, seed=b)
        below = codec.law.cdf(np.full(2000, b), None, x, None)
        distinct, counts = np.unique(x, return_counts=True)
        step = codec.cells.resolution
        just_below = distinct - 0.5 * step if step else np.nextafter(distinct, -np.inf)
        before = codec.law.cdf(np.full(len(distinct), b), None, just_below, None)
        jitter = rng(b + 1000).random(2000)
        pit = before[np.searchsorted(distinct, x)] * (1 - jitter) + below * jitter
        assert stats.kstest(pit, "uniform").pvalue > ALPHA / 100
        assert counts.sum() == 2000


def test_values_drawn_under_limits_keep_to_them(case):
    x, codec = case
    low, high = np.quantile(x, [0.3, 0.8])
    n = 3000
    limits = Range(np.full(n, low), np.full(n, high), np.full(n, np.nan))
    allowed = codec.allowed(limits, None)[0]
    allowed[codec.cells.n_codes :] = False
    codes = rng(1).choice(np.flatnonzero(allowed), n).astype(np.int32)
    drawn = draw(codec, codes, limits=limits)
    assert drawn.min() >= low
    assert drawn.max() <= high
    assert np.array_equal(codec.encode(drawn), codes)
    assert np.isfinite(codec.log_density(codes, drawn, None, limits)).all()


def test_groups_have_repeated_values_of_their_own():
    group = np.repeat([0, 1], 1500)
    spikes = np.where(group == 0, 1234.0, 4321.0)
    x = np.where(rng().random(3000) < 0.4, spikes, np.round(rng(1).uniform(1, 9000, 3000)))
    codec = codec_of(x, [(group.astype(np.intp), 2)])
    codes = codec.encode(x)
    drawn = draw(codec, codes, groups=group.astype(np.intp))
    for g, own, other in ((0, 1234.0, 4321.0), (1, 4321.0, 1234.0)):
        assert np.mean(drawn[group == g] == own) == pytest.approx(0.4, abs=0.05)
        assert np.mean(drawn[group == g] == other) < 0.05


@pytest.mark.parametrize("step", [0.0, 1.0])
def test_shares_of_small_and_large_bases(step):
    base = np.concatenate([np.repeat([0.0, 1.0, 2.0, 3.0, 7.0], 200), np.floor(rng().exponential(5000, 2000)) + 1])
    part = base * rng(1).choice([0.0, 1.0, 0.4], len(base))
    part = np.round(part) if step else part
    import pandas as pd

    column = Schema.infer(pd.DataFrame({"x": part.astype(int) if step else part}))["x"]
    codec = fit_share(column, part, base, np.ones(len(base)))
    allowed = codec.allowed(Range.free(len(base)), base)
    own = codec.encode_share(part, base)
    assert (own >= 0).all()
    assert allowed[np.arange(len(base)), own].all()
    codes = np.array([rng(i).choice(np.flatnonzero(row)) for i, row in enumerate(allowed)], np.int32)
    drawn = codec.decode(codes, rng(2).random(len(base)), None, None, base)
    assert (drawn >= 0).all()
    assert (drawn <= base).all()
    assert np.array_equal(codec.encode_share(drawn, base), codes)
    if step:
        assert (drawn == np.round(drawn)).all()
        for total in (1.0, 2.0, 3.0, 7.0):
            points = np.arange(total + 1)
            bases = np.full(len(points), total)
            code = codec.encode_share(points, bases)
            mass = np.exp(codec.log_density(code, points, None, None, bases))
            for c in set(code.tolist()):
                assert mass[code == c].sum() == pytest.approx(1.0, abs=1e-9)


def test_a_row_of_weight_three_is_the_row_three_times():
    x = heaped(1500)
    weights = rng(5).choice([1.0, 3.0], len(x))
    import pandas as pd

    column = Schema.infer(pd.DataFrame({"x": x.astype(int)}))["x"]
    weighted = fit_number(column, x, weights / weights.mean())
    tripled = fit_number(column, np.repeat(x, weights.astype(int)), np.ones(int(weights.sum())))
    shared = np.quantile(x[x > 0], [0.1, 0.5, 0.9])
    for codec in (weighted, tripled):
        assert (codec.encode(shared) >= 0).all()
    a = [c.law.cells.expand(c.law.cells.starts) for c in (weighted, tripled)]
    at = [np.interp(0.5, np.linspace(0, 1, len(s)), s) for s in a]
    assert at[0] == pytest.approx(at[1], rel=0.15)
