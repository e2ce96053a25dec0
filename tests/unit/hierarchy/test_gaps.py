import numpy as np
import pytest

from microplex.constraints import parse
from microplex.errors import ConstraintError
from microplex.hierarchy.gaps import MIN_SEEN, SeenAges, age_bounds, head_rules
from microplex.hierarchy.placing import age_limits, renamed, roles_counted
from microplex.hierarchy.roster import Roster
from microplex.hierarchy.rules import AgeGap
from microplex.hierarchy.scene import Labels, Scene
from microplex.schema import Column

ROLES = ("head", "spouse", "child", "parent")


def bounds(ages, *rules):
    roster = Roster(np.array([[1, 1, 1, 1], [1, 0, 1, 0]]), couple=[1])
    columns = {"age": Column("age", "count", "int", lower=0)}
    scene = Scene(Labels("household", ROLES, "role", "age"), roster, {}, {"age": np.array(ages, float)}, {}, columns)
    waves = [np.array(age_bounds(scene, rules, scene.roster.wave(place), "age")) for place in (1, 2, 3)]
    return np.hstack(waves).T.tolist()  # spouse of the first, child of the second; child of the first; parent


FREE = [-np.inf, np.inf]


def test_a_child_is_bound_to_the_head():
    spouse, child2, child1, parent = bounds([40, 35, 9, 70, 30, 5], AgeGap("head", "child", 15, 50))
    assert (spouse, parent) == (FREE, FREE)
    assert child1 == [-10, 25]
    assert child2 == [-20, 15]


def test_a_gap_to_the_spouse_binds_where_there_is_one():
    _, child2, child1, _ = bounds([40, 35, 9, 70, 30, 5], AgeGap("spouse", "child", 15))
    assert child1 == [-np.inf, 20]
    assert child2 == FREE


def test_an_older_role_that_comes_later_is_bound_from_below():
    *_, parent = bounds([40, 35, 9, 70, 30, 5], AgeGap("parent", "head", 15, 60))
    assert parent == [55, 100]


def test_the_head_leaves_room_for_the_ages_of_others():
    ages = np.array([[15.0, 18, 0, 40], [90, 90, 50, 99]])
    assert head_rules([AgeGap("head", "child", 16, 55)], ROLES, ages) == [(2, 16, 90)]
    assert head_rules([AgeGap("parent", "head", 15)], ROLES, ages) == [(3, 15, 84)]


def test_rules_on_age_and_role_bound_the_ages_of_the_role():
    ages = np.array([[15.0, 0], [90, 40]])
    texts = parse(["role == 'head' -> age >= 18", "age <= 80"])
    assert age_limits(texts, ages, ("head", "child"), "age").tolist() == [[18, 0], [80, 40]]
    with pytest.raises(ConstraintError, match="leave no age to members in the role 'child'"):
        age_limits(parse("age > 60"), ages, ("head", "child"), "age")
    with pytest.raises(ConstraintError, match="more than one range"):
        age_limits(parse("age not in (20, 21)"), ages, ("head", "child"), "age")


def test_counts_by_role():
    assert roles_counted("role in ('child', 'spouse')", ROLES, "rel") == (1, 2)
    assert roles_counted("", ROLES, "rel") == (0, 1, 2, 3)
    assert roles_counted("age < 9", ROLES, "rel") is None


def test_constraints_are_renamed_throughout():
    (text,) = parse("a < 3 and b in ('x', 'y') -> c <= 2*a")
    assert renamed(text, {"a": "h.a", "b": "h.b", "c": "h.c"}).columns == ("h.a", "h.b", "h.c")


def siblings(n):
    """Heads of 30 to 39 with two children, the second a year or two younger, or (one in two) one child of 3 or more."""
    rng = np.random.default_rng(0)
    counts = np.array([[1, 0, 1 + i % 2, 0] for i in range(n)])
    ages = []
    for i in range(n):
        first = int(rng.integers(3, 9))
        ages += [int(rng.integers(30, 40)), first, *([first - int(rng.integers(1, 3))] if i % 2 else [])]
    columns = {"age": Column("age", "count", "int", lower=0)}
    labels = Labels("household", ROLES, "role", "age")
    return Scene(labels, Roster(counts, couple=[1]), {}, {"age": np.array(ages, float)}, {}, columns)


def test_what_many_members_never_showed_is_ruled_out_and_what_few_showed_is_not():
    seen = SeenAges.of(siblings(2 * MIN_SEEN), "age")
    few = SeenAges.of(siblings(2 * MIN_SEEN - 2), "age")
    child = ROLES.index("child")
    assert seen.gaps[:, child].tolist() == [[22, 1], [36, 2]]
    assert seen.youngest[child].tolist() == [1, 3, -np.inf, -np.inf]
    assert few.gaps[:, child, 1].tolist() == FREE  # 999 second children
    assert few.gaps[0, child, 0] == 22
    assert few.youngest[child, 1] == -np.inf
    assert np.isinf(seen.gaps[:, ROLES.index("parent")]).all()


def test_limits_of_a_child_follow_from_head_and_place():
    seen = SeenAges.of(siblings(2 * MIN_SEEN), "age")
    scene = siblings(4)
    first, second = np.flatnonzero(scene.roster.place == 1), np.flatnonzero(scene.roster.place == 2)
    low, high = seen.limits(scene, second)
    before = scene.member["age"][scene.roster.previous[second]]
    assert low.tolist() == [1, 1]
    assert high.tolist() == np.minimum(2, before - 1).tolist()
    low, high = seen.limits(scene, first)
    assert (low == 22).all()
    heads = scene.member["age"][scene.roster.head[scene.roster.household[first]]]
    youngest = np.where(scene.roster.counts[:, 2] == 2, 3, 1)
    assert high.tolist() == np.minimum(36, heads - youngest).tolist()
