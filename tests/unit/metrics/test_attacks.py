import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex.errors import DataError
from microplex.metrics.attacks import anonymity, closest_record, guesses, membership_attack


def tables(seed, n=200, d=3, digits=6):
    return [np.round(x, digits) for x in np.random.default_rng(seed).normal(size=(3, n, d))]


@pytest.mark.parametrize("digits", [6, 0])
def test_closeness_does_not_cry_wolf(digits):
    """The interval has a false-alarm rate of 5 %, even where many synthetic rows share a nearest record."""
    shares, alarms = [], 0
    for seed in range(150):
        synthetic, train, holdout = tables(seed, 100, 2 if digits else 3, digits)
        found = closest_record(np.repeat(synthetic, 2, axis=0), train, holdout)
        shares.append(found.share)
        alarms += not found.interval[0] <= found.share <= found.interval[1]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.015)
    assert alarms / 150 < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 150)
    if digits:
        assert alarms > 0


def test_copied_rows_are_seen():
    synthetic, train, holdout = tables(0)
    synthetic[:60] = train[:60]
    found = closest_record(synthetic, train, holdout)
    assert found.share > found.interval[1]
    assert found.ratio < 0.9
    synthetic, train, holdout = tables(1, 1000)
    noisy = train + 0.03 * np.random.default_rng(1).normal(size=train.shape)
    attack = membership_attack(noisy, train, holdout)
    assert attack.auc > 0.75 > attack.interval[1]
    assert attack.caught > attack.caught_interval[1]


def test_tables_of_other_sizes_are_cut_to_one():
    synthetic, train, holdout = tables(2, 300)
    assert abs(closest_record(synthetic, train, holdout[:60]).share - 0.5) < 0.25
    assert closest_record(synthetic, train, np.vstack([train, holdout])).share < 0.6


def test_what_is_in_both_tables_is_a_tie():
    synthetic, train, _ = tables(3)
    found = closest_record(synthetic, train, train)
    assert found.share == 0.5
    assert found.interval == (0.5, 0.5)
    assert np.isnan(closest_record(train, train, train).ratio)
    assert closest_record(train, train + 9, train).ratio == np.inf


def test_the_membership_attack_does_not_cry_wolf():
    areas, alarms = [], 0
    for seed in range(150):
        attack = membership_attack(*tables(seed, 120))
        areas.append(attack.auc)
        alarms += not attack.interval[0] <= attack.auc <= attack.interval[1]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)
    assert stats.binomtest(alarms, 150, 0.05).pvalue > 1e-3
    with pytest.raises(DataError, match="needs 4 holdout rows; got 3"):
        membership_attack(*(table[:3] for table in tables(0)))


def test_guesses_by_hand():
    known = np.array([[0.0], [5.0], [9.0]])
    asked = np.array([[1.0], [6.0], [8.0], [9.0]])
    assert guesses(known, np.array([0, 1, -1]), asked, np.array([0, 0, -1, 2]), False).tolist() == [1, 0, 1, 0]
    amounts, truth = np.array([0.0, 100.0, np.nan]), np.array([0.0, 96.0, np.nan, 5.0])
    assert guesses(known, amounts, asked, truth, True).tolist() == [1, 1, 1, 0]


def test_small_cells_are_those_of_pandas():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"cell": rng.geometric(0.3, 500), "ill": rng.integers(0, 3, 500)})
    k, small, diversity = anonymity(frame["cell"].to_numpy(), frame["ill"].to_numpy())
    sizes = frame.groupby("cell")["ill"].transform("size")
    assert k == sizes.min()
    assert small == pytest.approx((sizes < 5).mean())
    assert diversity == frame.groupby("cell")["ill"].nunique().min()
    assert anonymity(np.zeros(9, dtype=np.int64)) == (9, 0.0, None)
