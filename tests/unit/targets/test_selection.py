"""Records against spread: what a frontier says is what a fit with that many records gives."""

import numpy as np
import pandas as pd
import pytest

from microplex import Reweighter
from microplex.errors import NotFittedError, ParameterError


@pytest.fixture(scope="module")
def survey():
    rng = np.random.default_rng(3)
    n = 600
    return pd.DataFrame({"cell": rng.integers(0, 8, n), "rare": rng.random(n) < 0.02, "weight": rng.gamma(4, 1, n)})


def targets(frame, factor=1.3):
    sums = factor * frame.groupby("cell")["weight"].sum()
    return {"cell": sums.to_dict()}


def test_fewer_records_have_less_spread_and_the_same_totals(survey):
    found = Reweighter().fit(survey, targets(survey)).frontier([60, 300, 150])
    assert list(found.columns) == ["n_records", "ess", "max_relative_error"]
    assert found["n_records"].is_monotonic_increasing
    assert found["ess"].is_monotonic_increasing
    assert (found["ess"] <= found["n_records"] + 1e-9).all()
    assert (found["max_relative_error"] < 1e-8).all()
    np.testing.assert_allclose(found["n_records"], [60, 150, 300], atol=16)


def test_a_point_is_the_fit_with_that_many_records(survey):
    (row,) = Reweighter(seed=4).fit(survey, targets(survey)).frontier([120]).to_dict("records")
    stats = Reweighter(sparsity="l0", n_records=120, seed=4).fit(survey, targets(survey)).get_sparsity_stats()
    assert row["n_records"] == stats["n_nonzero"]
    assert row["ess"] == pytest.approx(stats["ess"])


def test_by_default_it_reaches_from_the_fewest_to_all(survey):
    found = Reweighter().fit(survey, targets(survey)).frontier()
    assert found["n_records"].iloc[0] <= 2 * 8
    assert found["n_records"].iloc[-1] == len(survey)
    assert len(found) == 8


def test_protected_cells_count_as_needed_and_errors_are_those_of_targets(survey):
    reweighter = Reweighter(sparsity="l0", n_records=200, protect={"rare": 0.0}).fit(survey, targets(survey))
    found = reweighter.frontier([10, 200])
    assert (found["max_relative_error"] < 1e-8).all()
    with pytest.raises(ParameterError, match="between 9"):
        reweighter.frontier([8])


@pytest.mark.filterwarnings("ignore:the targets are met only in part")
def test_where_targets_clash_the_compromise_is_kept(survey):
    clash = targets(survey) | {"households": float(survey["weight"].sum())}
    reweighter = Reweighter(on_infeasible="relax").fit(survey, clash)
    found = reweighter.frontier([200])
    assert found["max_relative_error"].item() == pytest.approx(reweighter.result_.calibration.max_error, rel=1e-6)


@pytest.mark.parametrize(("sizes", "text"), [([7], "between 8"), ([601], "600 records"), ([], "at least one number")])
def test_impossible_numbers_are_refused(survey, sizes, text):
    with pytest.raises(ParameterError, match=text):
        Reweighter().fit(survey, targets(survey)).frontier(sizes)


def test_it_needs_a_fit():
    with pytest.raises(NotFittedError):
        Reweighter().frontier([5])
