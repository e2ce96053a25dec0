import numpy as np
import pytest

from microplex.constraints import parse
from microplex.errors import ConstraintError
from microplex.hierarchy.roster import Roster
from microplex.hierarchy.rulebook import Rulebook
from microplex.hierarchy.rules import Sum
from microplex.hierarchy.scene import Labels, Scene
from microplex.hierarchy.splitting import Split, check_totals, find_splits, split_given
from microplex.schema import Column

WHOLE = {c: Column(c, "count", "int", lower=0) for c in ("wage", "rent")}
REAL = {c: Column(c, "continuous", "float") for c in ("wage", "rent")}
SPLIT = [Split("income", ("wage", "rent"), (("all", ("wage", "rent")),))]


def scene_of(totals, wage, rent):
    roster = Roster(np.array([[2], [1], [3]]))
    member = {"wage": np.array(wage, float), "rent": np.array(rent, float), "all": np.zeros(6)}
    labels = Labels("household", ("member",), "role", None)
    return Scene(labels, roster, {"income": np.array(totals, float)}, member, {}, {}, {"income": ("wage", "rent")})


def sums(scene):
    return np.add.reduceat(scene.member["wage"] + scene.member["rent"], scene.roster.starts)


def test_whole_totals_are_met_exactly_with_zeros_kept():
    scene = scene_of([100, 7, 11], [1, 2, 3, 1, 1, 1], [0, 0, 0, 0, 0, 5])
    assert not split_given(scene, SPLIT, WHOLE).any()
    assert sums(scene).tolist() == [100, 7, 11]
    assert scene.member["rent"][:5].tolist() == [0] * 5
    assert scene.member["wage"].tolist()[:3] == [33, 67, 7]
    assert all(x % 1 == 0 for x in scene.member["wage"])
    np.testing.assert_array_equal(scene.member["all"], scene.member["wage"] + scene.member["rent"])


def test_amounts_that_add_up_already_stay():
    scene = scene_of([3, 3, 8], [1, 2, 3, 1, 1, 1], [0, 0, 0, 0, 0, 5])
    split_given(scene, SPLIT, WHOLE)
    assert scene.member["wage"].tolist() == [1, 2, 3, 1, 1, 1]


def test_real_totals_are_met():
    rng = np.random.default_rng(0)
    scene = scene_of([0.1, 1e9 / 3, 7.7], rng.random(6), rng.random(6))
    split_given(scene, SPLIT, REAL)
    np.testing.assert_allclose(sums(scene), [0.1, 1e9 / 3, 7.7], rtol=1e-15)


def test_a_household_without_an_amount_is_stuck():
    scene = scene_of([5, 0, 4], [0, 0, 0, 1, 1, 1], [0] * 6)
    assert split_given(scene, SPLIT, WHOLE).tolist() == [True, False, False]


@pytest.mark.parametrize(("total", "message"), [(-5, "below 0"), (2.5, "not a whole number")])
def test_a_total_that_cannot_be_split_is_named(total, message):
    scene = scene_of([1, total, 1], [1] * 6, [1] * 6)
    with pytest.raises(ConstraintError, match=rf"'income' cannot be split in row 1: .*{message}"):
        check_totals(scene, SPLIT, WHOLE)


def test_sums_within_the_row_are_split_over_their_parts():
    rules = Rulebook(totals=(Sum("income", "all"),), rows=parse("all == wage + rent"))
    found = find_splits(rules, ["income"], ["wage", "rent", "all"], "household")
    assert found == (SPLIT[0],)
    assert find_splits(rules, ["region"], ["wage", "rent", "all"], "household") == ()
