"""What fitting puts into a bin's law: true heaps and shared values, no chance repetitions, nobody's own value."""

import numpy as np
import pytest

from microplex.flow.cells import fit_cells
from microplex.flow.law_fit import fit_bin_law

N = 3000


def rng(seed=0):
    return np.random.default_rng(seed)


def law_of(x, resolution=1.0, bounds=(0.0, np.inf), weights=None, atoms=(), **options):
    x = np.asarray(x, float)
    weights = np.ones(len(x)) if weights is None else weights / weights.mean()
    cells = fit_cells(x, weights, np.array(atoms, float), resolution, bounds)
    free = cells.atom_index(x) < 0
    options["groupings"] = [(g[free], n) for g, n in options.get("groupings", ())]
    return fit_bin_law(cells, x[free], weights[free], **options)


def draw(law, x, group=None, seed=9):
    return law.sample(law.cells.bin_index(x), group, rng(seed).random(len(x)))


@pytest.mark.parametrize("min_rows", [3, 10])
def test_only_values_that_enough_rows_share_enter_a_table(min_rows):
    x = np.concatenate([rng().gamma(2, 30, N), np.repeat([11.5, 22.25, 44.125], [2, 9, 40])])
    law, _ = law_of(x, resolution=0.0, min_rows=min_rows)
    assert set(law.pooled.values) == ({22.25, 44.125} if min_rows == 3 else {44.125})


def test_chance_repetitions_stay_with_the_base():
    law, _ = law_of(rng().integers(1, 400, N))
    bins = np.bincount(law.cells.bin_index(rng().integers(1, 400, N).astype(float)))
    assert np.average(law.pooled.totals, weights=bins) < 0.1


def test_a_true_heap_keeps_its_share():
    x = np.where(rng(1).random(N) < 0.2, 777.0, rng(2).integers(1, 2000, N))
    law, _ = law_of(x)
    assert np.mean(draw(law, x) == 777) == pytest.approx(np.mean(x == 777), abs=0.02)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_rounding_intentions_without_chance_divisibility(share):
    x = np.exp(rng(3).normal(9, 0.6, N))
    x = np.where(rng(4).random(N) < share, 500 * np.round(x / 500), np.round(x))
    law, _ = law_of(x, heaps=(500.0,))
    for grain in (500, 100, 1000):
        assert np.mean(draw(law, x) % grain == 0) == pytest.approx(np.mean(x % grain == 0), abs=0.025)


def test_the_base_has_the_mean_of_its_bin():
    x = np.round(rng(5).exponential(3000, N)) + 1
    law, _ = law_of(x)
    bins = law.cells.bin_index(x)
    finite = np.isfinite(law.cells.ends)
    mean = np.bincount(bins, draw(law, x), minlength=len(finite)) / np.bincount(bins)
    width = np.where(finite, law.cells.ends - law.cells.starts, 1.0)
    actual = np.bincount(bins, x) / np.bincount(bins)
    assert np.abs((mean - actual) / width)[finite].mean() < 0.06


def test_something_smooth_is_left_in_every_bin():
    x = np.concatenate([np.repeat(500.0 * np.arange(1, 150), 20), [1.0, 2.0, 333.25]])
    law, _ = law_of(x, resolution=0.0, heaps=(500.0,))
    assert law.pooled.totals.max() < 1
    probe = rng().uniform(1, 70_000, 500)
    assert np.isfinite(law.log_prob(law.cells.bin_index(probe), None, probe)).all()


def test_a_grouping_is_chosen_if_it_predicts_and_not_if_it_is_noise():
    spike, noise = rng(6).integers(0, 5, N), rng(7).integers(0, 5, N)
    x = np.where(rng(8).random(N) < 0.4, 100.0 * (spike + 1) + 7, rng(9).integers(1, 3000, N))
    assert law_of(x, groupings=[(noise, 5), (spike, 5)])[1] == 1
    assert law_of(x, groupings=[(noise, 5)])[1] == -1
    law, _ = law_of(x, groupings=[(spike, 5)])
    drawn = draw(law, x, spike)
    assert np.mean(drawn[spike == 2] == 307) == pytest.approx(0.4, abs=0.05)
    assert np.mean(drawn[spike == 2] == 207) < 0.02


def test_values_shared_in_a_group_alone_need_enough_rows_there():
    group = np.repeat([0, 1], [N - 6, 6])
    x = np.concatenate([rng(10).integers(1, 3000, N - 6), [711, 711, 722, 722, 722, 733]]).astype(float)
    law, _ = law_of(x, groupings=[(group, 2)])
    assert not {711.0, 733.0} & set(law.grouped.values)


@pytest.mark.parametrize("value", [123_457.0, 0.57721, 31_415.9])
def test_a_lone_value_leaves_its_order_of_magnitude_alone(value):
    for bounds in ((0.0, np.inf), (-np.inf, np.inf), (0.0, 10 * value)):
        for resolution in (0.0, 1.0) if value == np.round(value) else (0.0,):
            law, _ = law_of(np.concatenate([np.zeros(200), [value]]), resolution, bounds, atoms=[0.0])
            told = [law.scale, law.shape, law.tilt, law.cells.starts, law.cells.ends]
            told = np.concatenate([a[np.isfinite(a)] for a in told])
            told = np.concatenate([told, (told[:, None] + told).ravel(), (told[:, None] - told).ravel()])
            assert np.abs(np.abs(told) - value).min() > 0.01 * value


@pytest.mark.parametrize("seed", range(4))
def test_no_training_value_lies_beyond_a_tail(seed):
    draws = {
        0: rng(seed).uniform(-1, 1, N),
        1: rng(seed).beta(0.4, 3, N),
        2: rng(seed).standard_t(2, N),
        3: np.concatenate([rng(seed).random(N), [1.5, 3.0, 50.0]]),
    }[seed]
    for resolution, x in ((0.0, draws), (0.001, np.round(draws, 3))):
        law, _ = law_of(x, resolution, (-np.inf, np.inf))
        assert np.isfinite(law.log_prob(law.cells.bin_index(x), None, x)).all()


def test_a_tail_goes_on_beyond_the_data():
    x = rng(11).pareto(2.5, N)
    law, _ = law_of(x, resolution=0.0)
    last = len(law.cells.starts) - 1
    far = law.sample(np.full(200_000, last), None, rng(12).random(200_000))
    assert far.max() > x.max()
    assert law.log_prob(np.array([last]), None, np.array([3 * x.max()]))[0] > -np.inf


def overall(law, x, weights, at):
    """Distribution function of a column: its codes as often as seen, the law inside them."""
    rows = law.cells.bin_index(x)
    share = np.bincount(rows, weights, minlength=len(law.cells.starts)) / weights.sum()
    return sum(share[b] * law.cdf(np.full(len(at), b), None, at) for b in range(len(share)))


@pytest.mark.parametrize("resolution", [0.0, 1.0])
def test_a_row_of_weight_three_is_the_row_three_times(resolution):
    x = rng(13).lognormal(7, 1, N)
    x = np.round(x) if resolution else x
    weights = np.where((x > 500) & (rng(14).random(N) < 0.7), 3.0, 1.0)
    at = np.quantile(x, np.linspace(0.01, 0.99, 60))
    weighted = overall(law_of(x, resolution, weights=weights)[0], x, weights, at)
    tripled_x = np.repeat(x, weights.astype(int))
    tripled = overall(law_of(tripled_x, resolution)[0], tripled_x, np.ones(len(tripled_x)), at)
    plain = overall(law_of(x, resolution)[0], x, np.ones(N), at)
    assert np.abs(weighted - tripled).max() < 0.01
    assert np.abs(plain - tripled).max() > 0.05


def test_a_common_factor_on_all_weights_changes_nothing():
    x = np.round(rng(15).lognormal(7, 1, N))
    weights = rng(16).integers(1, 5, N).astype(float)
    one, two = (law_of(x, weights=weights * factor)[0] for factor in (1.0, 1024.0))
    assert np.array_equal(one.tilt, two.tilt)
    assert np.array_equal(one.cells.starts, two.cells.starts)
    assert np.array_equal(one.pooled.cumulative, two.pooled.cumulative)
