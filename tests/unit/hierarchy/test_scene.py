import numpy as np
import pytest

from microplex.hierarchy.roster import Roster
from microplex.hierarchy.scene import Labels, Scene
from microplex.schema import Column

AGE = Column("age", "count", "int", lower=0, upper=99)
WAGE = Column("wage", "continuous", "float")
WORK = Column("work", "categorical", "category", levels=("no", "yes"))
TENURE = Column("tenure", "categorical", "category", levels=("own", "rent"))


@pytest.fixture
def scene():
    roster = Roster(np.array([[1, 1, 2], [1, 0, 0]]), couple=[1])
    labels = Labels("household", ("head", "spouse", "child"), "relationship", "age")
    member = {
        "age": np.array([40.0, 38, 9, 4, 70]),
        "wage": np.array([10.0, np.nan, 2, 0, 5]),
        "work": np.array([1, -1, 0, 0, 1], np.int32),
    }
    home = {"tenure": np.array([0, 1], np.int32), "income": np.array([20.0, 5])}
    columns = {"age": AGE, "wage": WAGE, "work": WORK}
    return Scene(labels, roster, home, member, {"tenure": TENURE}, columns, {"income": ("wage",)})


EVERYONE = np.arange(5)
QUANTITIES = [
    ("head.age", [np.nan, 40, 40, 40, np.nan]),
    ("spouse.age", [np.nan, np.nan, 38, 38, np.nan]),
    ("previous.age", [np.nan, np.nan, np.nan, 9, np.nan]),
    ("partner.age", [38, np.nan, np.nan, np.nan, np.nan]),
    ("age.reference", [40, 40, 40, 9, 70]),
    ("total.wage", [0, 10, 10, 12, 0]),
    ("left.income", [20, 10, 10, 8, 5]),
    ("count.before", [0, 0, 0, 1, 0]),
    ("count.after", [0, 0, 1, 0, 0]),
    ("count.child", [2, 2, 2, 2, 0]),
    ("household.tenure", [0, 0, 0, 0, 1]),
    ("relationship", [0, 1, 2, 2, 0]),
    ("age.youngest", [4, 4, 4, 4, 70]),
    ("age.under18", [2, 2, 2, 2, 0]),
    ("head.work", [2, 1, 1, 1, 2]),
]


@pytest.mark.parametrize(("name", "expected"), QUANTITIES)
def test_quantities_of_members(scene, name, expected):
    np.testing.assert_array_equal(scene.of_members(name, EVERYONE), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("head.age", [40, 70]), ("spouse.age", [38, np.nan]), ("sum.wage", [12, 5]), ("positive.wage", [2, 1])],
)
def test_quantities_of_households(scene, name, expected):
    np.testing.assert_array_equal(scene.of_homes(name), expected)


def test_running_totals_agree_with_those_of_whole_households(scene):
    whole = scene.of_members("total.wage", EVERYONE)
    scene.track(["wage"])
    seen = np.full(5, np.nan)
    for place in range(scene.roster.n_waves):
        rows = scene.roster.wave(place)
        seen[rows] = scene.of_members("total.wage", rows)
        scene.note(rows)
    np.testing.assert_array_equal(seen, whole)


def test_some_of_the_households(scene):
    part = scene.of_some(np.array([1]))
    assert part.member["age"].tolist() == [70]
    assert part.home["income"].tolist() == [5]


def test_an_unknown_quantity_is_refused(scene):
    with pytest.raises(KeyError):
        scene.of_homes("nothing.age")
