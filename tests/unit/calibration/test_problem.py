"""What a calibration problem checks, and how errors are measured."""

import numpy as np
import pytest
import scipy.sparse as sp

from microplex.calibration import Problem, calibrate
from microplex.errors import DataError

DESIGN = [[1.0, 1.0, 0.0], [0.0, 2.0, -3.0]]
BASE = [1.0, 2.0, 3.0]
TOTALS = [6.0, -10.0]


def test_errors_are_shares_of_the_totals():
    problem = Problem.of(DESIGN, BASE, TOTALS)
    # At the base weights the sums are 3 and -5.
    assert problem.errors(problem.base).tolist() == [-0.5, 0.5]
    assert problem.errors(np.array([2.0, 4.0, 6.0])).tolist() == [0.0, 0.0]


def test_small_totals_are_measured_against_what_the_records_hold():
    # Sum of |a| d: 3 and 13; a thousandth of it is the least that a relative error may be measured in.
    assert Problem.of(DESIGN, BASE, [0.0, 1e-9]).scale == pytest.approx([3e-3, 13e-3])
    assert Problem.of(DESIGN, BASE, [-0.5, 20.0]).scale == pytest.approx([0.5, 20.0])
    assert Problem.of([[0.0, 0.0, 0.0]], BASE, [0.0]).scale.tolist() == [1.0]


def test_a_scale_may_be_given():
    problem = Problem.of(DESIGN, BASE, TOTALS, scale=[3.0, 5.0])
    assert problem.errors(problem.base).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("kind", [np.array, sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix])
def test_designs_of_every_kind(kind):
    problem = Problem.of(kind(DESIGN), BASE, TOTALS)
    assert isinstance(problem.design, sp.csr_array)
    assert problem.design.dtype == np.float64
    assert problem.design.toarray().tolist() == DESIGN
    assert problem.design.nnz == 4


def test_whole_numbers_and_logicals_are_numbers():
    problem = Problem.of(np.array([[True, False]]), np.array([1, 2]), np.array([3]))
    assert problem.design.toarray().tolist() == [[1.0, 0.0]]
    assert problem.base.dtype == problem.totals.dtype == np.float64


def test_the_matrix_given_is_left_alone():
    # Two entries of one cell, and a zero that is stored.
    given = sp.csr_array((np.array([1.0, 1.0, 0.0, 2.0]), np.array([1, 1, 0, 0]), np.array([0, 3, 4])), shape=(2, 2))
    parts = [part.copy() for part in (given.data, given.indices, given.indptr)]
    problem = Problem.of(given, [1.0, 1.0], [1.0, 1.0])
    assert problem.design.toarray().tolist() == [[0.0, 2.0], [2.0, 0.0]]
    assert problem.design.nnz == 2
    for before, after in zip(parts, (given.data, given.indices, given.indptr), strict=True):
        assert np.array_equal(before, after)


def test_one_tolerance_serves_all_targets():
    problem = Problem.of(DESIGN, BASE, TOTALS, tolerance=0.1, importance=2.0)
    assert problem.tolerance.tolist() == [0.1, 0.1]
    assert problem.importance.tolist() == [2.0, 2.0]


BAD = {
    "base too short": ({"base": [1.0, 1.0]}, "base"),
    "base too long": ({"base": [1.0] * 4}, "base"),
    "base a matrix": ({"base": [[1.0, 1.0, 1.0]]}, "base"),
    "base nan": ({"base": [1.0, np.nan, 1.0]}, "base.*entry 1"),
    "base infinite": ({"base": [1.0, 1.0, np.inf]}, "base.*entry 2"),
    "base negative": ({"base": [1.0, -1.0, 1.0]}, "base"),
    "base all zero": ({"base": [0.0, 0.0, 0.0]}, "base"),
    "totals too short": ({"totals": [1.0]}, "totals"),
    "totals nan": ({"totals": [1.0, np.nan]}, "totals.*entry 1"),
    "totals infinite": ({"totals": [np.inf, 1.0]}, "totals.*entry 0"),
    "design nan": ({"design": [[1.0, np.nan, 0.0], [0.0, 1.0, 1.0]]}, "design"),
    "design infinite": ({"design": [[1.0, np.inf, 0.0], [0.0, 1.0, 1.0]]}, "design"),
    "design of one dimension": ({"design": [1.0, 1.0, 1.0]}, "design"),
    "tolerance negative": ({"tolerance": -0.1}, "tolerance"),
    "tolerance nan": ({"tolerance": [0.0, np.nan]}, "tolerance.*entry 1"),
    "tolerance too long": ({"tolerance": [0.0] * 3}, "tolerance"),
    "importance zero": ({"importance": 0.0}, "importance"),
    "importance negative": ({"importance": [1.0, -1.0]}, "importance"),
    "importance nan": ({"importance": [1.0, np.nan]}, "importance"),
    "importance infinite": ({"importance": np.inf}, "importance"),
    "importance too long": ({"importance": [1.0] * 3}, "importance"),
    "scale zero": ({"scale": [1.0, 0.0]}, "scale"),
    "scale negative": ({"scale": [1.0, -1.0]}, "scale"),
    "scale nan": ({"scale": [1.0, np.nan]}, "scale"),
    "scale too long": ({"scale": [1.0] * 3}, "scale"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_refused(changes, message):
    with pytest.raises(DataError, match=message):
        Problem.of(**{"design": DESIGN, "base": BASE, "totals": TOTALS} | changes)


def test_nothing_is_changed_by_calibrating():
    problem = Problem.of(DESIGN, BASE, TOTALS)
    parts = (problem.design.data, problem.base, problem.totals, problem.scale)
    before = [part.copy() for part in parts]
    calibrate(problem, "linear", (-np.inf, np.inf))
    assert all(np.array_equal(one, other) for one, other in zip(before, parts, strict=True))
