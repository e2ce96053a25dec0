"""What a result says of its weights."""

import numpy as np
import pytest

from microplex.calibration import MET, Problem, calibrate

DESIGN = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 2.0]])
BASE = np.array([1.0, 2.0, 3.0, 0.0])


@pytest.fixture
def problem():
    return Problem.of(DESIGN, BASE, [9.0, 3.0])


@pytest.fixture
def result(problem):
    # One ratio for the second record, another for the first and third: 3 / 2 and 6 / 4.
    return calibrate(problem)


def test_errors_before_and_after(problem, result):
    assert result.weights == pytest.approx([1.5, 3.0, 4.5, 0.0])
    assert result.before == pytest.approx([-1 / 3, -1 / 3])
    assert np.array_equal(result.errors, problem.errors(result.weights))
    assert result.max_error == np.abs(result.errors).max() <= 1e-12
    assert result.mean_error == pytest.approx(np.abs(result.errors).mean())
    assert result.feasible
    assert result.proof is None
    assert result.status == ("met", "met")


def test_sizes(result):
    w = result.weights
    assert result.n_records == 3
    assert result.ess == pytest.approx(81 / (1.5**2 + 9 + 4.5**2))
    assert result.design_effect == pytest.approx(3 * (w @ w) / w.sum() ** 2)
    assert result.rank == 2


def test_ratio_quantiles_are_of_records_with_weight(problem, result):
    assert result.ratio_quantiles() == pytest.approx([1.5] * 5)
    other = result.reweighted(problem, np.array([2.0, 2.0, 0.0, 0.0]))
    assert other.ratio_quantiles((0.0, 0.5, 1.0)).tolist() == [1.0, 1.5, 2.0]


def test_equal_weights_have_no_design_effect(problem, result):
    equal = result.reweighted(problem, np.ones(4))
    assert equal.ess == pytest.approx(4.0)
    assert equal.design_effect == pytest.approx(1.0)


def test_no_weight_at_all(problem, result):
    none = result.reweighted(problem, np.zeros(4))
    assert (none.ess, none.n_records) == (0.0, 0)
    assert np.isnan(none.design_effect)
    assert np.isnan(none.ratio_quantiles()).all()


def test_other_weights_get_their_own_certificate(problem, result):
    worse = result.reweighted(problem, np.array([3.0, 4.0, 2.0, 0.0]))
    assert worse.errors == pytest.approx([0.0, 1 / 3])
    assert worse.status == ("met", "relaxed")
    assert not worse.feasible
    assert worse.kkt == pytest.approx(1 / 3)
    better = worse.reweighted(problem, np.array([0.0, 3.0, 6.0, 0.0]))
    assert better.feasible
    assert better.kkt <= MET
    assert better.status == ("met", "met")


def test_other_weights_within_tolerance():
    problem = Problem.of(DESIGN, BASE, [9.0, 3.0], tolerance=[0.0, 0.1])
    result = calibrate(problem)
    for second, status in ((3.0, "met"), (3.2, "within tolerance"), (3.31, "relaxed")):
        found = result.reweighted(problem, np.array([9.0 - second, second, 0.0, 0.0]))
        assert found.status[1] == status
        assert found.feasible is (status != "relaxed")


def test_other_weights_do_not_hide_what_was_impossible():
    problem = Problem.of([[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]], [1.0, 1.0], [4.0, 5.0, 8.0])
    found = calibrate(problem)
    again = found.reweighted(problem, np.array([2.0, 2.0]))
    assert again.status[1] == "no support"
    assert not again.feasible
    assert "contradicts" in found.status
    assert again.proof == found.proof == "unreachable"


@pytest.mark.parametrize(
    ("totals", "tolerance", "statuses"),
    [
        ([6.0, 3.0], 0.0, ("met", "met")),
        ([6.0, 3.3], [0.0, 0.2], ("met", "within tolerance")),
        ([6.0, -3.0], 0.0, ("met", "out of reach")),
    ],
)
def test_every_target_has_a_status(totals, tolerance, statuses):
    found = calibrate(Problem.of(DESIGN, BASE, totals, tolerance=tolerance))
    assert found.status == statuses
    assert found.feasible is ("out of reach" not in statuses)


def test_redundant_targets_are_met_because_others_are():
    design = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    found = calibrate(Problem.of(design, np.ones(3), [4.0, 2.0, 6.0]))
    assert sorted(found.status) == ["met", "met", "redundant"]
    assert found.rank == 2
    assert found.max_error <= 1e-12


def test_a_zero_total_without_records_is_met():
    found = calibrate(Problem.of([[1.0, 1.0], [0.0, 0.0]], [1.0, 1.0], [4.0, 0.0]))
    assert found.status == ("met", "no support")
    assert found.feasible
    assert found.rank == 1
