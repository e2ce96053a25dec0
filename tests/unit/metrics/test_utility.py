import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, r2_score

from microplex.errors import ColumnNotFoundError, DataError
from microplex.metrics.pair import pair
from microplex.metrics.utility import (
    Fit,
    Regression,
    interval_overlap,
    least_squares,
    logistic,
    prediction_records,
    r_squared,
    regression_records,
    utility_records,
)


def survey(n, seed, link=1.0):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n).astype(float)
    sex = rng.choice(["f", "m"], n)
    level = link * (age - 50) / 20 + (sex == "m") * 0.5
    wages = np.where(rng.random(n) < 0.2, 0.0, np.exp(9 + level + 0.5 * rng.normal(size=n)))
    owner = np.where(rng.random(n) < 1 / (1 + np.exp(-link * (age - 50) / 15)), "yes", "no")
    return pd.DataFrame({"age": age, "sex": sex, "wages": wages, "owner": owner})


def design(n, seed):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=n), 100 + rng.normal(size=n)])
    return X, X @ [1.0, -2.0, 0.05] + rng.normal(size=n) * (1 + X[:, 1] ** 2), rng.integers(1, 4, n)


def test_least_squares_are_those_of_the_formula():
    X, y, w = design(200, 0)
    fit = least_squares(X, y)
    np.testing.assert_allclose(fit.coefficients, np.linalg.lstsq(X, y, rcond=None)[0], atol=1e-8)
    inverse, e = np.linalg.inv(X.T @ X), y - X @ fit.coefficients
    expected = inverse @ (X.T * e**2 @ X) @ inverse * 200 / 197
    np.testing.assert_allclose(fit.errors, np.sqrt(np.diag(expected)), rtol=1e-8)
    weighted = least_squares(X, y, w)
    repeated = least_squares(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, atol=1e-9)
    assert (weighted.errors > repeated.errors).all()
    np.testing.assert_allclose(least_squares(X, y, 7.0 * w).errors, weighted.errors)


def test_logistic_regression_is_that_of_scikit_learn():
    X, y, w = design(300, 1)
    y = (y > np.median(y)).astype(float)
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000, solver="newton-cholesky")
    model.fit(X[:, 1:], y, w)
    fit = logistic(X, y, w)
    np.testing.assert_allclose(fit.coefficients[1:], model.coef_[0], atol=1e-6)
    repeated = logistic(np.repeat(X, w, axis=0), np.repeat(y, w))
    np.testing.assert_allclose(fit.coefficients, repeated.coefficients, atol=1e-8)


def test_standard_errors_are_the_spread_of_coefficients():
    fits = [
        (least_squares(X, y), logistic(X, (y > 4).astype(float))) for X, y, _ in (design(300, s) for s in range(200))
    ]
    for kind in (0, 1):
        spread = np.std([fit[kind].coefficients[1] for fit in fits])
        assert np.mean([fit[kind].errors[1] for fit in fits]) == pytest.approx(spread, rel=0.15)


def test_overlap_by_hand():
    z = stats.norm.isf(0.025)
    wide, narrow = Fit(np.array([0.0]), np.array([2.0])), Fit(np.array([0.0]), np.array([1.0]))
    assert interval_overlap(wide, narrow)[0] == pytest.approx((0.5 + 1) / 2)
    far = Fit(np.array([4 * z]), np.array([1.0]))
    assert interval_overlap(narrow, far)[0] == pytest.approx(-1)


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    y, f, w = rng.normal(size=(3, 50))
    assert r_squared(y, f, w**2) == pytest.approx(r2_score(y, f, sample_weight=w**2))
    assert np.isnan(r_squared(np.ones(3), np.ones(3), np.ones(3)))


def by_name(records):
    return {(record.measure, record.variables[0], record.detail): record for record in records}


AGE_SEX = Regression("wages", ("age", "sex"))
OWNER = Regression("owner", ("age",), level="yes")


def test_equal_rows_have_equal_coefficients():
    rows = survey(300, 3)
    for record in regression_records(pair(rows, rows), [AGE_SEX, OWNER]):
        assert record.value == pytest.approx(record.ideal, abs=1e-9)
    names = [record.detail for record in regression_records(pair(rows, rows), [AGE_SEX])]
    assert names[1::2] == ["intercept", "age", "sex = m"]


def test_fresh_rows_raise_no_alarm_in_regressions():
    """The intervals of coefficients have a false-alarm rate of 5 %."""
    alarms = np.zeros(2)
    for seed in range(150):
        records = by_name(regression_records(pair(survey(300, seed), survey(200, 1000 + seed)), [AGE_SEX, OWNER]))
        for place, target in enumerate(("wages", "owner")):
            record = records["coefficient_difference", target, "age"]
            alarms[place] += not record.interval[0] <= record.value <= record.interval[1]
    assert all(stats.binomtest(int(count), 150, 0.05).pvalue > 1e-3 for count in alarms)


def test_a_broken_link_is_seen():
    real, fresh, broken = survey(1500, 4), survey(1500, 5), survey(1500, 6, link=0.0)
    good = by_name(utility_records(pair(real, fresh), None, ["wages", "owner"], [AGE_SEX, OWNER]))
    bad = by_name(utility_records(pair(real, broken), None, ["wages", "owner"], [AGE_SEX, OWNER]))
    for target in ("wages", "owner"):
        key = ("coefficient_difference", target, "age")
        assert good[key].interval[0] < good[key].value < good[key].interval[1]
        assert bad[key].value < bad[key].interval[0]
        assert bad["ci_overlap", target, "age"].value < 0 < good["ci_overlap", target, "age"].value
    for found, least, most in ((good, -0.06, 0.06), (bad, 0.1, 9.0)):
        scores = {record.measure: record for record in found.values() if record.measure.startswith("tstr")}
        assert least < scores["tstr_r2"].floor - scores["tstr_r2"].value < most
        assert least < scores["tstr_auc"].floor - scores["tstr_auc"].value < most
        assert least < scores["tstr_log_loss"].value - scores["tstr_log_loss"].floor < most


def test_predictions_are_tested_on_the_holdout():
    real, made = survey(400, 7), survey(400, 8)
    held = survey(300, 9).assign(sex="x")
    with_it = prediction_records(pair(real, made), pair(held, made), ["wages"])[0]
    without = prediction_records(pair(real, made), None, ["wages"])[0]
    assert with_it.n == 400
    assert without.n == 200
    assert with_it.value != without.value
    assert prediction_records(pair(real, made), None, ["wages"])[0] == without


def test_the_log_loss_of_even_odds():
    rng = np.random.default_rng(10)
    rows = pd.DataFrame({"x": rng.normal(size=800), "y": rng.choice(["a", "b", "c"], 800)})
    records = prediction_records(pair(rows[:400], rows[400:]), None, ["y"])
    score = {record.measure: record.value for record in records}
    assert score["tstr_log_loss"] > log_loss([0, 1, 2], np.full((3, 3), 1 / 3))
    assert abs(score["tstr_auc"] - 0.5) < 0.2


def test_what_cannot_be_measured_says_why():
    rows = survey(60, 11)
    flat = pair(rows, rows.assign(wages=1.0, owner="no"))
    records = by_name(utility_records(flat, None, ["wages", "owner"], [OWNER]))
    reasons = " ".join(record.reason for record in records.values())
    assert "does not vary in each of the tables" in reasons
    assert "separates the outcomes" in reasons
    few = regression_records(pair(rows, rows[:2]), [AGE_SEX])
    assert "needs more than" in few[0].reason
    twice = pair(rows.assign(b=2 * rows["age"]), rows.assign(b=2 * rows["age"]))
    assert "depend on one another" in regression_records(twice, [Regression("wages", ("age", "b"))])[0].reason
    exact = pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": [0.0, 0.0, 0.0, 0.0]})
    assert "without error" in regression_records(pair(exact, exact), [Regression("y", ("x",))])[0].reason
    rare = prediction_records(pair(rows, rows), None, ["sex"])
    assert "no level has 30 test rows" in rare[0].reason


def test_bad_input_is_named():
    rows = survey(50, 12)
    with pytest.raises(DataError, match=r"'owner' has no level 'yess'. Did you mean 'yes'"):
        regression_records(pair(rows, rows), [Regression("owner", ("age",), level="yess")])
    with pytest.raises(ColumnNotFoundError, match="regression column 'agee'"):
        regression_records(pair(rows, rows), [Regression("owner", ("agee",))])
    with pytest.raises(ColumnNotFoundError, match="prediction target column"):
        utility_records(pair(rows, rows), None, ["wage"])
    odd = rows.assign(sex=1.0)
    with pytest.raises(DataError, match="'sex' is a category in training and a number in the holdout"):
        prediction_records(pair(rows, rows), pair(odd, odd), ["wages"])
