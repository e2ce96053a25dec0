import importlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from microplex.errors import ColumnNotFoundError, DataError
from microplex.metrics.classifier import (
    auc,
    auc_error,
    classifier_records,
    propensity,
    two_sample_test,
)
from microplex.metrics.pair import pair


def survey(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    wages = np.where(rng.random(n) < 0.3, 0.0, np.round(np.exp(9 + age / 50 + 0.7 * rng.normal(size=n)), -2))
    interest = np.where(rng.random(n) < 0.5, 0.0, np.round(wages / 50 * rng.lognormal(0, 0.5, n)))
    state = np.where(rng.random(n) < 0.2 + 0.5 * (wages > 20_000), "ca", "tx")
    return pd.DataFrame({"age": age, "wages": wages, "interest": interest, "state": state})


def measured(real, synthetic, **options):
    return {record.measure: record for record in classifier_records(pair(real, synthetic), **options)}


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, scores, w = rng.integers(0, 2, 500), rng.integers(0, 30, 500), rng.integers(0, 4, 500)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert auc(scores, labels, w) == pytest.approx(roc_auc_score(labels, scores, sample_weight=w), abs=1e-12)
    assert auc(scores, labels, w) == pytest.approx(auc(*(np.repeat(x, w) for x in (scores, labels))), abs=1e-12)
    assert np.isnan(auc([1.0, 2.0], [1, 1]))


def test_the_standard_error_is_the_spread_of_areas():
    rng = np.random.default_rng(1)
    areas, errors, clustered = [], [], []
    for _ in range(400):
        scores, w, labels = np.repeat(rng.normal(size=120), 2), rng.lognormal(0, 0.4, 240), np.repeat([0, 1] * 60, 2)
        areas.append(auc(scores, labels, w))
        clustered.append(auc_error(scores, labels, w, np.arange(240) // 2))
        errors.append(auc_error(scores, labels, w, np.arange(240)))
    assert np.mean(clustered) == pytest.approx(np.std(areas), rel=0.12)
    assert np.mean(errors) < 0.85 * np.std(areas)  # rows taken for independent


def test_propensities_are_those_of_a_logistic_regression():
    rng = np.random.default_rng(2)
    real, synthetic = rng.normal(size=(400, 3)), rng.normal(0.2, 1, size=(400, 3))
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
    X, y = np.vstack([real, synthetic]), np.repeat([0, 1], 400)
    expected = ((model.fit(X, y).predict_proba(X)[:, 1] - 0.5) ** 2).mean()
    found = propensity(real, synthetic)
    assert found.pmse == pytest.approx(expected, abs=1e-8)
    assert found.expected == pytest.approx(3 * 0.25 / 800)
    repeated = propensity(np.column_stack([real, real[:, 0] + 1]), np.column_stack([synthetic, synthetic[:, 0] + 1]))
    assert repeated.pmse == pytest.approx(found.pmse, abs=1e-8)
    assert repeated.terms == found.terms == 3


def test_propensities_count_a_weight_as_that_many_rows():
    rng = np.random.default_rng(3)
    real, synthetic, times = rng.normal(size=(60, 2)), rng.normal(size=(50, 2)), rng.integers(1, 4, 60)
    weighted, repeated = propensity(real, synthetic, times), propensity(np.repeat(real, times, axis=0), synthetic)
    assert weighted.pmse == pytest.approx(repeated.pmse, abs=1e-10)
    assert weighted.expected > repeated.expected  # copies are no new evidence


def test_a_separated_side_has_the_largest_error():
    assert propensity(np.zeros((20, 1)), np.ones((20, 1))).pmse == pytest.approx(0.25, abs=1e-4)


def test_the_propensity_ratio_does_not_cry_wolf():
    """The interval has a false-alarm rate of 5 %."""
    rng = np.random.default_rng(4)
    ratios, alarms = [], 0
    for _ in range(300):
        found = propensity(*rng.normal(size=(2, 400, 6)))
        ratios.append(found.ratio)
        alarms += not found.interval[0] <= found.ratio <= found.interval[1]
    assert np.mean(ratios) == pytest.approx(1, abs=0.12)
    assert stats.binomtest(alarms, 300, 0.05).pvalue > 1e-3


def test_trees_do_not_cry_wolf_even_over_copies():
    """The interval has a false-alarm rate of 5 %; rounding makes most rows have an exact copy."""
    rng = np.random.default_rng(5)
    areas, alarms = [], 0
    for _ in range(25):
        found = two_sample_test(*np.round(rng.normal(size=(2, 200, 2)) * 2), folds=2)
        areas.append(found.auc)
        alarms += not found.interval[0] <= found.auc <= found.interval[1]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.03)
    assert stats.binomtest(alarms, 25, 0.05).pvalue > 1e-3


def test_planted_faults_are_seen():
    real, fresh = survey(1200, 6), survey(1200, 7)
    good = measured(real, fresh, folds=2)
    assert good["c2st_auc"].interval[0] <= good["c2st_auc"].value <= good["c2st_auc"].interval[1]
    assert good["pmse_ratio"].value < 1.8
    tail, link, zeros = fresh.copy(), fresh.copy(), fresh.copy()
    tail["wages"] = np.where(tail["wages"] > 40_000, tail["wages"] * 3, tail["wages"])
    link["interest"] = link["interest"].to_numpy()[::-1]
    zeros["wages"] = np.where(zeros["wages"] == 0, 1.0, zeros["wages"])
    for fault in (tail, link, zeros):
        bad = measured(real, fault, folds=2)
        assert bad["c2st_auc"].value > bad["c2st_auc"].interval[1]
        if fault is not tail:  # ranks hardly see a longer tail
            assert bad["pmse_ratio"].value > 2 * good["pmse_ratio"].value


def test_lost_rounding_shows_in_the_strict_test():
    real, other = survey(1200, 8), survey(1200, 9)
    other["wages"] += (other["wages"] > 0) * np.random.default_rng(10).integers(-49, 50, 1200)
    both = measured(real, other, strict=True, interactions=False, folds=3)
    assert both["c2st_strict_auc"].value > 0.9
    assert both["c2st_strict_auc"].value > both["c2st_auc"].value + 0.1


def test_copies_do_not_flatter_nor_condemn():
    real = survey(600, 11)
    found = measured(real, real.sample(600, replace=True, random_state=0), folds=3)["c2st_auc"]
    assert abs(found.value - 0.5) < 0.06


def test_rows_of_equal_conditions_share_a_fold():
    real, fresh = survey(400, 12), survey(400, 13)
    fresh["age"] = real["age"]
    assert "equal conditions" in measured(real, fresh, conditions=["age"], folds=3)["c2st_auc"].detail
    assert "duplicates" in measured(real, fresh, conditions=["state"], folds=3)["c2st_auc"].detail
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'age'"):
        measured(real, fresh, conditions=["agee"])


def test_thinning_keeps_the_law():
    real, fresh = survey(3000, 14).assign(w=1.0), survey(3000, 15)
    fresh["w"] = np.where(fresh["state"] == "ca", 0.2, 1.0)  # a biased sample without its weights
    tilted = fresh.sample(20_000, replace=True, weights=np.where(fresh["state"] == "ca", 5.0, 1.0), random_state=1)
    both = pair(real, tilted, weight_col="w")
    plain = pair(real.drop(columns="w"), tilted.drop(columns="w"))
    options = {"max_rows": 1000, "interactions": False, "folds": 2}
    weighted = {record.measure: record.value for record in classifier_records(both, **options)}
    unweighted = {record.measure: record.value for record in classifier_records(plain, **options)}
    assert weighted["c2st_auc"] < 0.56 < 0.6 < unweighted["c2st_auc"]


def test_what_cannot_be_measured_says_why():
    small = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    assert "5 folds need 10 rows" in measured(small, small)["c2st_auc"].reason
    flat = pd.DataFrame({"x": [1.0] * 50})
    records = measured(flat, flat)
    assert "got 0 terms" in records["pmse_ratio"].reason
    assert not records["c2st_auc"].defined
    few = survey(60, 16)
    assert "too few rows for products" in measured(few, survey(60, 17))["pmse"].detail
    with pytest.raises(DataError, match="2 folds need 4 rows"):
        two_sample_test(np.zeros((3, 1)), np.zeros((9, 1)), folds=2)


def test_scikit_learn_is_asked_for(monkeypatch):
    def absent(name, *rest):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=r"microplex\[report\]"):
        two_sample_test(np.arange(20.0)[:, None], np.arange(20.0)[:, None])
