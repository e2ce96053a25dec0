"""Codes of shares: ends, grids, small bases; the laws inside them are in tests/contracts."""

import numpy as np
import pytest

from microplex.encoding.shares import fit_share
from microplex.flow.ranges import Range
from microplex.schema import Column

N = 2000


def rng(seed=0):
    return np.random.default_rng(seed)


def fit(x, base, step=None, **described):
    column = Column("x", "semicontinuous", "float", lower=0, resolution=step, **described)
    return fit_share(column, x, base, np.ones(len(x)))


@pytest.fixture(scope="module")
def whole():
    base = np.round(np.exp(rng(1).normal(5, 2, N)))
    x = np.round(base * rng(2).choice([0.0, 1.0, 0.4, 0.7], N, p=[0.3, 0.2, 0.3, 0.2]) * rng(3).random(N) ** 0.2)
    x[rng(4).random(N) < 0.2] = 0
    x = np.where(rng(5).random(N) < 0.2, base, x)
    return fit(x, base, 1.0)


def free(n):
    return Range.free(n)


def names(codec, allowed):
    """Readable form of the codes that one row allows."""
    labels = {int(codec.cells.atom_codes[0]): "none", int(codec.cells.atom_codes[1]): "all"}
    if codec.has_missing:
        labels[codec.missing_code] = "missing"
    return {labels.get(int(code), "some") for code in np.flatnonzero(allowed)}


def test_the_first_and_the_last_code_are_nothing_and_everything(whole):
    codes = whole.encode_share(np.array([0.0, 7.0]), np.array([7.0, 7.0]))
    assert codes.tolist() == [0, whole.cells.n_codes - 1]
    assert whole.encode_share(np.array([0.0]), np.array([0.0])).tolist() == [0]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (0, {"none"}),
        (1, {"none", "all"}),
        (2, {"none", "some", "all"}),
        (0.5, {"none"}),
        (1.5, {"none", "some"}),
        (-1e-17, {"none"}),
        (np.nan, set()),
    ],
)
def test_what_a_small_base_allows(whole, base, expected):
    assert names(whole, whole.allowed(free(1), np.array([float(base)]))[0]) == expected


@pytest.mark.parametrize("base", [1, 2, 3, 5, 12, 97, 1000])
def test_each_whole_amount_up_to_the_base_has_one_allowed_code(whole, base):
    x = np.arange(base + 1.0)
    codes = whole.encode_share(x, np.full(len(x), float(base)))
    allowed = whole.allowed(free(1), np.array([float(base)]))[0]
    assert set(codes) == set(np.flatnonzero(allowed))
    assert (np.diff(codes) >= 0).all()


def test_no_other_amount_has_a_code(whole):
    base = np.full(4, 10.0)
    assert whole.encode_share(np.array([-1.0, 10.5, 11.0, 2.5]), base).tolist() == [-1, -1, -1, -1]


def test_rounding_noise_in_value_or_base_is_no_matter():
    base = np.round(rng().gamma(2, 30, N) + 0.02, 2)
    x = np.round(base * rng(1).choice([0.0, 0.5, 1.0], N), 2)
    codec = fit(x, base, 0.01)
    codes = codec.encode_share(x, base)
    noisy = (base + 1000.0) - 1000.0
    assert (noisy != base).any()
    assert np.array_equal(codec.encode_share(x, noisy), codes)
    drawn = codec.decode(codes, rng(2).random(N), None, None, noisy)
    assert np.array_equal(codec.encode_share(drawn, base), codes)
    assert np.array_equal(np.round(drawn, 2), drawn)
    smooth = fit(x * np.pi, base * np.pi)
    part = noisy * np.pi
    assert np.array_equal(smooth.encode_share(np.where(x == base, part, x * np.pi), base * np.pi) == smooth.n_codes - 1,
                          x == base)  # fmt: skip


def test_a_missing_base_leaves_only_a_missing_share():
    base = np.where(rng().random(N) < 0.2, np.nan, rng(1).gamma(2, 30, N))
    x = np.where(rng(2).random(N) < 0.1, np.nan, base * rng(3).random(N))
    codec = fit(x, base, missing="level")
    assert names(codec, codec.allowed(free(1), np.array([np.nan]))[0]) == {"missing"}
    assert names(codec, codec.allowed(free(1), np.array([0.0]))[0]) == {"none", "missing"}
    codes = codec.encode_share(x, base)
    assert (codes[np.isnan(x)] == codec.missing_code).all()
    assert codec.allowed(free(N), base)[np.arange(N), codes].all()


@pytest.mark.parametrize("step", [1.0, None])
def test_limits_allow_exactly_the_codes_that_hold_a_value(step, whole):
    if step:
        codec = whole
    else:
        base = rng().gamma(2, 30, N)
        codec = fit(base * rng(1).choice([0.0, 1.0, 0.5], N) * rng(2).beta(5, 1, N) ** (rng(3).random(N) < 0.5), base)
    total = 60.0
    grid = np.arange(61.0) if step else np.concatenate([np.linspace(0, total, 6001), [20.0, 30.5]])
    codes = codec.encode_share(grid, np.full(len(grid), total))
    for low, high in [(0, 0), (0, 20), (20, 30.5), (20, 60), (60, 60), (30, 30), (59, 60), (61, 70), (0.2, 0.9)]:
        for excluded in (np.nan, 0.0, 30.0, 60.0):
            limits = Range(*(np.array([float(v)]) for v in (low, high, excluded))).settled(codec.grid)
            inside = (grid >= low) & (grid <= high) & (grid != excluded)
            allowed = set(np.flatnonzero(codec.allowed(limits, np.array([total]))[0]))
            assert set(codes[inside]) <= allowed, (low, high, excluded)
            if step:
                assert allowed == set(codes[inside]), (low, high, excluded)


def test_amounts_on_a_grid_of_a_base_off_it():
    base = rng().gamma(2, 30, N) + 1.0
    codec = fit(np.floor(base * rng(1).random(N)), base, 1.0)
    allowed = codec.allowed(free(N), base)
    assert not allowed[:, codec.cells.atom_codes[1]].any()
    codes = np.array([np.flatnonzero(row)[-1] for row in allowed], np.int32)
    drawn = codec.decode(codes, rng(2).random(N), None, None, base)
    assert (drawn == np.round(drawn)).all()
    assert (drawn <= base).all()
    assert np.array_equal(codec.encode_share(drawn, base), codes)


def test_a_share_that_is_all_or_nothing_has_two_codes():
    base = rng().integers(1, 500, N).astype(float)
    codec = fit(base * (rng(1).random(N) < 0.4), base, 1.0)
    assert codec.n_codes == 2
    assert codec.below(np.array([0.0, 4.0]), None, None, np.array([4.0, 4.0])).tolist() == [[1, 0], [1, 1]]


def test_the_density_is_one_of_amounts_not_of_shares():
    base = np.full(N, 50.0)
    codec = fit(base * rng().random(N), base)
    x = np.array([10.0])
    wide, narrow = (
        codec.log_density(codec.encode_share(x * k, np.array([50.0 * k])), x * k, None, None, np.array([50.0 * k]))
        for k in (10.0, 1.0)
    )
    assert wide - narrow == pytest.approx(-np.log(10))
