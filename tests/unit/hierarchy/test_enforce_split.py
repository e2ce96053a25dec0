import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.errors import ConstraintError, DataError
from microplex.hierarchy.enforce import enforce_hierarchy
from microplex.hierarchy.enforce_split import split_shares
from microplex.hierarchy.members import Members
from microplex.hierarchy.rules import Sum


def hamilton(total, shares):
    """Largest remainders in exact arithmetic."""
    quota = [Fraction(total) * Fraction(s) / Fraction(sum(shares)) for s in shares]
    parts = [math.floor(q) for q in quota]
    order = sorted(range(len(shares)), key=lambda i: (-(quota[i] - parts[i]), i))
    for i in [i for i in order if shares[i] > 0][: total - sum(parts)]:
        parts[i] += 1
    return parts


@settings(max_examples=200)
@given(total=st.integers(0, 10**9), shares=st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any))
def test_whole_parts_are_largest_remainders(total, shares):
    of = np.zeros(len(shares), dtype=np.int64)
    parts = split_shares(np.array([float(total)]), of, np.array(shares, dtype=float), True)
    assert parts.tolist() == hamilton(total, shares)


@settings(max_examples=30)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=12),
    extra=st.integers(0, 500),
    whole=st.booleans(),
)
def test_split_parts_add_up_and_zeros_stay(rows, extra, whole):
    frame = pd.DataFrame(rows, columns=["h", "wage", "rent"])
    held = frame.groupby("h")[["wage", "rent"]].transform("sum").sum(axis=1)
    frame["total"] = np.where(held > 0, extra, 0)
    frame["id"] = range(len(frame))
    if not whole:
        frame = frame.astype({"wage": float, "rent": float})
    rule = Sum("total", ("wage", "rent"))
    out, changes = enforce_hierarchy(frame, "h", constraints=[rule], totals="split", return_changes=True)
    assert not rule.violations(Members.read(out, "h")).any()
    parts, before = out[["wage", "rent"]].to_numpy(), frame[["wage", "rent"]].to_numpy()
    assert (parts[before == 0] == 0).all()
    assert (parts >= 0).all()
    assert out["total"].equals(frame["total"])
    assert changes.cells == int((parts != before).sum())
    share = np.where(held > 0, frame["total"] / np.maximum(held, 1), 0)[:, None] * before
    assert (np.abs(parts - share) < (1 if whole else 1e-6)).all()
    turned = enforce_hierarchy(frame[::-1], "h", constraints=[rule], totals="split")
    pd.testing.assert_frame_equal(turned[::-1], out, check_exact=True)
    again = enforce_hierarchy(out, "h", constraints=[rule], totals="split")
    pd.testing.assert_frame_equal(again, out, check_exact=True)


def split(columns, rule, **options):
    frame = pd.DataFrame({"h": [4] * len(next(iter(columns.values()))), **columns})
    return enforce_hierarchy(frame, "h", constraints=[rule], totals="split", **options)


def test_two_levels_are_split_from_the_top():
    frame = pd.DataFrame(
        {"h": 1, "u": [1, 1, 2], "wage": [10, 20, 30], "unit_wage": [0, 0, 0], "total": [120, 120, 120]}
    ).assign(unit_wage=[40, 40, 20])
    rules = [Sum("unit_wage", "wage", level="tax_unit"), Sum("total", "unit_wage", of="tax_unit")]
    options = {"constraints": rules, "groups": {"tax_unit": "u"}}
    down = enforce_hierarchy(frame, "h", totals="split", **options)
    assert down["unit_wage"].tolist() == [80, 80, 40]
    assert down["wage"].tolist() == [27, 53, 40]
    up = enforce_hierarchy(frame, "h", **options)
    assert up["unit_wage"].tolist() == [30, 30, 30]
    assert up["total"].tolist() == [60, 60, 60]


def test_sums_within_a_row_can_be_split():
    out = split({"a": [1, 2], "b": [3, 2], "total": [8, 4]}, Sum("total", ("a", "b"), level="person"))
    assert out[["a", "b"]].to_numpy().tolist() == [[2, 6], [2, 2]]


def test_losses_move_in_proportion_to_their_size_without_a_bound():
    out = split({"x": [-10.0, 30.0], "total": [60.0, 60.0]}, Sum("total", "x", lower=None))
    assert out["x"].tolist() == [0.0, 60.0]


def test_a_lower_bound_is_kept():
    out = split({"x": [10, 40, 0], "total": [30, 30, 30]}, Sum("total", "x", lower=10))
    assert out["x"].tolist() == [10, 20, 0]


@pytest.mark.parametrize(
    ("columns", "rule", "error", "words"),
    [
        ({"x": [1, 2], "total": [-5, -5]}, Sum("total", "x"), ConstraintError, "household 4: its total -5 lies below"),
        ({"x": [20, 20], "total": [15, 15]}, Sum("total", "x", lower=10), ConstraintError, "lower bound 20"),
        ({"x": [-3, 2], "total": [5, 5]}, Sum("total", "x"), ConstraintError, "part of -3, below lower=0"),
        ({"x": [0, 0], "total": [5, 5]}, Sum("total", "x"), ConstraintError, "nothing to be split over"),
        ({"x": [1, 2], "total": [5.5, 5.5]}, Sum("total", "x"), ConstraintError, "5.5 is not a whole number"),
        ({"x": [1, 2], "total": [5, 6]}, Sum("total", "x"), ConstraintError, "Name it among shared_vars"),
        ({"x": [1, 2], "y": [0.5, 1], "total": [5, 5]}, Sum("total", ("x", "y")), DataError, "one type only"),
    ],
)
def test_sums_that_cannot_be_split_say_why(columns, rule, error, words):
    with pytest.raises(error, match=words):
        split(columns, rule)
