"""Every law inside a code: code and value agree, masses add to one, the sampler follows the scored density.

The chi-square tests fail by chance with probability 1e-3 for the whole file; their seeds are fixed.
"""

from zlib import crc32

import numpy as np
import pytest
from contracts import laws
from scipy import stats

ALPHA = 1e-3
N_DRAWN, N_CODES = 1500, 6
EXTREMES = np.array([1e-12, 1e-6, 0.5, 1 - 1e-6, 1 - 1e-12])

every_codec = pytest.mark.parametrize("name", [*laws.NUMBERS, *laws.DESCRIBED, "groups"])
every_law = pytest.mark.parametrize("name", laws.CASES)


def some(codes):
    """A few codes, the outer ones included."""
    return (
        codes[np.unique(np.linspace(0, len(codes) - 1, min(N_CODES, len(codes))).astype(int))] if len(codes) else codes
    )


@every_codec
def test_every_training_value_has_a_code_and_a_law(name):
    codec, x = laws.codec(name)
    codes = codec.encode(x)
    assert ((codes >= 0) | np.isnan(x)).all()
    assert np.isfinite(codec.log_density(codes, x, None)).all()
    assert sorted(codec.cells.order) == list(range(codec.cells.n_codes))


@every_law
def test_drawn_values_have_the_code_they_were_drawn_for(name):
    law = laws.situation(name)
    u = np.concatenate([EXTREMES, laws.rng(1).random(20)])
    for code in law.codes():
        x = law.draw(code, u)
        assert np.array_equal(law.encode(x), np.full(len(u), code)), (code, x)
        assert law.holds(x).all() or np.isin(x, law.codec.column.missing_codes).all()
        assert (law.mass(code, x) > 0).all()


@every_law
def test_masses_and_densities_add_to_one(name):
    law = laws.situation(name)
    for code in some(law.open_codes()):
        if law.codec.grid:
            x = law.points(code)
            if x is not None:
                rest = 1.0 - law.cdf(code, x[-1:])[0] + law.cdf(code, x[:1] - law.codec.grid)[0]
                assert law.mass(code, x).sum() + rest == pytest.approx(1.0, abs=1e-8)
                assert rest < 1e-4
        else:
            assert integral(law, code) == pytest.approx(1.0, abs=1e-3)


@every_law
def test_the_distribution_function_adds_up_the_masses(name):
    law = laws.situation(name)
    for code in some(law.open_codes()):
        low, high = law.span(code)
        x = np.linspace(low, high, 50)
        rise = law.cdf(code, np.concatenate([[-1e300], x, [1e300]]))
        assert (rise[0], rise[-1]) == pytest.approx((0.0, 1.0), abs=1e-12)
        assert (np.diff(rise) >= -1e-12).all()
        if law.codec.grid:
            window = window_of_points(law, code)
            steps = np.diff(law.cdf(code, np.concatenate([window[:1] - law.codec.grid, window])))
            assert steps == pytest.approx(law.mass(code, window), abs=1e-9)


@every_law
def test_the_sampler_follows_the_scored_law(name):
    law = laws.situation(name)
    n_tests = N_CODES * len(laws.CASES)
    for code in some(law.open_codes()):
        seed = crc32(f"{name} {code}".encode())
        x = law.draw(code, laws.rng(seed).random(N_DRAWN))
        expected, observed = bins_of_equal_expectation(law, code, x)
        if len(expected) > 1:
            assert stats.chisquare(observed, expected).pvalue > ALPHA / n_tests


def integral(law, code, n=4000):
    """Integral of a density by the midpoint rule, closer where an open bin begins, and its point masses."""
    low, high = law.span(code)
    if low == high:
        return law.mass(code, np.array([low]))[0]
    cells, b, scale = law.codec.cells, law.bin(code), law.base or 1.0
    first, last = max(cells.starts[b] * scale, law.limits[0]), min(cells.ends[b] * scale, law.limits[1])
    t = np.linspace(0, 1, n + 1)
    edges = first + (last - first) * t if np.isfinite(last - first) else None
    if edges is None:
        edges = first + (high - first) * t**4 if np.isfinite(first) else last - (last - low) * t[::-1] ** 4
    middle = 0.5 * (edges[1:] + edges[:-1])
    listed = law.codec.law.pooled.values if law.base is None else np.empty(0)
    is_cut = law.base is not None or law.codec.law.is_cut(np.array([b]), law.given(1)[1])[0]
    points = np.unique(listed[law.encode(listed) == code]) if len(listed) and not is_cut else np.empty(0)
    middle = np.where(np.isin(middle, points), np.nextafter(middle, np.inf), middle)
    total = (law.mass(code, middle) * np.diff(edges)).sum() + law.mass(code, points).sum()
    return total + law.cdf(code, edges[:1])[0] * np.isinf(first) + (1.0 - law.cdf(code, edges[-1:])[0])


def window_of_points(law, code, n=400):
    """Consecutive grid points of a code, point masses left out."""
    x = law.points(code)
    if x is None:
        step = law.codec.grid
        first = np.floor(law.draw(code, np.array([0.3]))[0] / step)
        x = law.codec.cells.snap((first + np.arange(n)) * step)
        x = x[(law.encode(x) == code) & law.holds(x)]
        x = x[: 1 + np.argmax(np.append(np.diff(x), np.inf) > 1.5 * step)]
    return x[:n]


def bins_of_equal_expectation(law, code, x):
    """Expected and observed counts of classes of values, cut where another sample has its quantiles."""
    probe = law.draw(code, laws.rng(7).random(400))
    values, counts = np.unique(probe, return_counts=True)
    cuts = np.unique(np.quantile(probe, np.arange(1, 20) / 20, method="nearest"))
    often = values[counts > 20]
    before = often - 0.5 * law.codec.grid if law.codec.grid else np.nextafter(often, -np.inf)
    cuts = np.unique(np.concatenate([cuts, often, before, [np.inf]]))
    rise = law.cdf(code, np.minimum(cuts, 1e300))
    observed = np.diff(np.concatenate([[0], (x <= cuts[:, None]).sum(axis=1)]))
    expected = np.diff(np.concatenate([[0.0], rise])) * len(x)
    assert (observed[expected < 1e-9] == 0).all()
    assert expected.sum() == pytest.approx(len(x))
    last = np.searchsorted(np.cumsum(expected), np.arange(12, len(x) - 12, 12))
    keep = np.append(np.unique(last[np.cumsum(expected)[last] < len(x) - 12]), len(expected) - 1)
    return [np.diff(np.concatenate([[0], np.cumsum(part)[keep]])) for part in (expected, observed)]


def test_groups_have_repeated_values_of_their_own():
    codec, x = laws.codec("groups")
    assert codec.group_by == 0
    group = laws.rng(40).integers(0, 4, len(x))
    drawn = codec.decode(codec.encode(x), laws.rng(3).random(len(x)), group)
    for g in range(4):
        own, other = 1234.0 * (g + 1), 1234.0 * ((g + 1) % 4 + 1)
        assert np.mean(drawn[group == g] == own) == pytest.approx(0.4, abs=0.06)
        assert np.mean(drawn[group == g] == other) < 0.05


@pytest.mark.parametrize("kind", laws.STEPS)
def test_every_share_in_training_is_allowed_and_has_a_law(kind):
    codec, x = laws.codec(f"share: {kind}")
    step = laws.STEPS[kind]
    base = (step or 1.2345) * np.concatenate([laws.rng(50).integers(0, 5, 400), laws.amounts(51)[400:]])
    codes = codec.encode_share(x, base)
    free = laws.Range.free(len(x))
    assert (codes >= 0).all()
    assert codec.allowed(free, base)[np.arange(len(x)), codes].all()
    assert np.isfinite(codec.log_density(codes, x, None, free, base)).all()


@pytest.mark.parametrize("kind", ["whole", "cents", "thousands"])
@pytest.mark.parametrize("base", laws.BASES)
def test_every_grid_point_of_a_share_has_an_allowed_code(kind, base):
    law = laws.situation(f"share: {kind} of {base}")
    x = law.codec.on_step(np.arange(base + 1) * law.codec.step)
    codes = law.encode(x)
    assert set(codes) == set(law.codes())
    assert sum(law.mass(code, x[codes == code]).sum() for code in law.open_codes()) == pytest.approx(
        len(law.open_codes())
    )
