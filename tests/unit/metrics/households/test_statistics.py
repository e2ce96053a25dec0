import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from microplex.errors import DataError
from microplex.metrics.households.statistics import (
    agreement,
    association,
    combined,
    label_srmse,
    label_tvd,
    ranked,
    spearman,
    value_ks,
)
from microplex.metrics.households.view import places_of


def draws(seed, n=60, levels=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, n), rng.integers(1, 4, n)


def shares_by_loop(labels, weights):
    found = {}
    for label, w in zip(labels.tolist(), weights.tolist(), strict=True):
        found[label] = found.get(label, 0) + w / weights.sum()
    return found


@pytest.mark.parametrize("shift", [0, 1_000_000_000])
def test_table_distances_are_those_of_a_loop(shift):
    (a, u), (b, v) = draws(0), draws(1, 45, 8)
    b = b + np.where(b == 7, shift, 0)
    p, q = shares_by_loop(a, u), shares_by_loop(b, v)
    cells = set(p) | set(q)
    squares = sum((p.get(c, 0) - q.get(c, 0)) ** 2 for c in cells)
    weights = (u.astype(float), v.astype(float))
    assert label_tvd(a, b, weights) == pytest.approx(sum(abs(p.get(c, 0) - q.get(c, 0)) for c in cells) / 2)
    assert label_srmse(a, b, weights) == pytest.approx((len(cells) * squares) ** 0.5)


def test_distance_of_values_is_that_of_scipy_on_copies():
    (a, u), (b, v) = draws(2), draws(3, 40, 9)
    expected = stats.ks_2samp(np.repeat(a, u), np.repeat(b, v)).statistic
    x, y = np.append(a / 7.0, np.nan), np.append(b / 7.0, np.nan)
    assert value_ks(x, y, (np.append(u, 5.0), np.append(v, 5.0))) == pytest.approx(expected)
    assert value_ks(x, np.array([np.nan]), (np.append(u, 5.0), np.ones(1))) == 1.0
    with pytest.raises(DataError, match="real side has none"):
        value_ks(np.array([np.nan]), y, (np.ones(1), np.append(v, 5.0)))


def test_rank_correlation_is_that_of_scipy_on_copies():
    (a, w), (b, _) = draws(4), draws(5)
    x, y = a + 0.5 * b, b.astype(float)
    expected = stats.spearmanr(np.repeat(x, w), np.repeat(y, w)).statistic
    assert spearman(x, y, w.astype(float)) == pytest.approx(expected)
    with_gap = np.append(x, np.nan)
    assert spearman(with_gap, np.append(y, 1.0), np.append(w, 9.0)) == pytest.approx(expected)
    assert spearman(np.ones(4), np.arange(4.0), np.ones(4)) == 0.0
    with pytest.raises(DataError, match="fewer than two"):
        spearman(np.array([1.0, np.nan]), np.array([np.nan, 1.0]), np.ones(2))


def test_agreement_is_cohens_kappa():
    (a, w), (b, _) = draws(6, levels=3), draws(7, levels=3)
    b = np.where(np.arange(len(b)) % 2 == 0, a, b)
    expected = cohen_kappa_score(np.repeat(a, w), np.repeat(b, w))
    assert agreement(np.append(a, -1), np.append(b, 0), np.append(w, 3.0)) == pytest.approx(expected)
    with pytest.raises(DataError, match="all values are equal"):
        agreement(np.zeros(3, int), np.zeros(3, int), np.ones(3))
    with pytest.raises(DataError, match="no pair"):
        agreement(np.array([-1]), np.array([0]), np.ones(1))


def test_associations_of_each_kind_count_weights_as_copies():
    (a, w), (b, _) = draws(8, levels=3), draws(9)
    number = b + 2.0 * a
    number[::7] = np.nan
    pairs = [((a, False), (b % 4, False)), ((a, False), (number, True)), ((number, True), (b + 0.1 * number, True))]
    for first, second in pairs:
        copied = [(np.repeat(x, w), kind) for x, kind in (first, second)]
        once = association(first, second, w.astype(float))
        assert once == pytest.approx(association(*copied, np.ones(w.sum())))
        assert once == pytest.approx(association(second, first, w.astype(float)))
    assert association((np.zeros(9, int), False), (np.arange(9.0), True), np.ones(9)) == 0.0
    table = np.array([[np.sum((a == i) & (b == j)) for j in range(6)] for i in range(3)])
    assert association((a, False), (b, False), np.ones(len(a))) == pytest.approx(stats.contingency.association(table))


@pytest.mark.parametrize("scale", [1.0, 1e7, 0.1])
def test_places_and_ranks_do_not_depend_on_the_way_values_are_found(scale):
    x = np.append(draws(10)[0] * scale, np.nan)
    places, number = places_of(x)
    assert number == len(np.unique(x[:-1]))
    assert places[-1] == -1
    assert np.array_equal(places[:-1], np.unique(x[:-1], return_inverse=True)[1])
    assert np.array_equal(ranked(x, np.ones(len(x)))[:-1], stats.rankdata(x[:-1]))


def test_combined_codes_tell_every_combination_apart():
    a, b = np.divmod(np.arange(12), 4)
    assert sorted(combined([a, b], [3, 4]).tolist()) == list(range(12))
