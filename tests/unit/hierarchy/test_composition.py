import itertools

import numpy as np
import pandas as pd
import pytest

from microplex import HierarchicalSynthesizer
from microplex.entities import Entity, GroupEntity, Hierarchy, Population
from microplex.errors import ConstraintError, DataError
from microplex.hierarchy.composition import Compositions, systematic, within
from microplex.hierarchy.counting import Counted
from microplex.hierarchy.intake import prepare

SEEN = np.array([[1, 0, 0]] * 5 + [[1, 1, 0]] * 4 + [[1, 1, 2]] * 3 + [[1, 0, 1]] * 2 + [[1, 0, 3]])


def every(*sizes):
    return np.array(list(itertools.product(*(range(n + 1) for n in sizes))))


def test_the_law_sums_to_one_with_its_changes():
    law = Compositions.fit(SEEN, np.ones(len(SEEN)), repeatable=[2])
    assert law.change > 0
    assert np.exp(law.log_prob(every(2, 2, 6))).sum() == pytest.approx(1, abs=1e-12)
    assert np.exp(law.log_prob(np.array([[1, 0, 4]])))[0] > 0, "larger than any in training"


def test_no_change_leaves_a_household_empty():
    law = Compositions.fit(np.array([[1]] * 9 + [[2]]), np.ones(10), repeatable=[0])
    assert np.exp(law.log_prob(np.array([[0], [1], [2], [3]]))).sum() == pytest.approx(1)
    assert np.isneginf(law.log_prob(np.array([[0]])))[0]
    u = np.random.default_rng(0).random((2, 4000)) * [[law.change], [1]]
    drawn = law.vary(law.pick(systematic(0, 4000, 0.1)), u)
    assert drawn.min() == 1


def test_draws_follow_the_law():
    law = Compositions(np.array([[1, 0], [1, 1], [1, 3]]), np.array([0.5, 0.3, 0.2]), 0.4, np.array([1]))
    n = 40_000
    u = np.random.default_rng(1).random((2, n))
    drawn = law.vary(law.pick(systematic(0, n, 0.7)), u)
    cells = every(1, 5)[6:]
    share = np.array([(drawn == cell).all(axis=1).mean() for cell in cells])
    np.testing.assert_allclose(share, np.exp(law.log_prob(cells)), atol=4 * np.sqrt(0.25 / n))


def test_declared_numbers_bound_the_law_and_its_changes():
    law = Compositions.fit(SEEN, np.ones(len(SEEN)), repeatable=[2], limits=[((2,), 0, 2)])
    total = np.exp(law.log_prob(every(2, 2, 6)))
    assert total.sum() == pytest.approx(1)
    assert total[every(2, 2, 6)[:, 2] > 2].sum() == 0
    with pytest.raises(ConstraintError, match="numbers of members"):
        Compositions.fit(SEEN, np.ones(len(SEEN)), repeatable=[2], limits=[((1,), 2, np.inf)])


def test_a_weight_is_a_number_of_copies_and_its_scale_does_not_matter():
    weights = np.arange(1.0, len(SEEN) + 1)
    one = Compositions.fit(SEEN, weights, [2])
    many = Compositions.fit(np.repeat(SEEN, weights.astype(int), axis=0), np.ones(int(weights.sum())), [2])
    np.testing.assert_allclose(one.shares, many.shares)
    np.testing.assert_allclose(Compositions.fit(SEEN, 10 * weights, [2]).change, one.change)


def test_within_needs_a_member():
    assert within(np.array([[0, 0], [1, 0]])).tolist() == [False, True]


@pytest.fixture
def counted():
    table = Compositions.fit(SEEN, np.ones(len(SEEN)), repeatable=[2])
    return Counted(table, {"size": (0, 1, 2), "children": (2,)})


def test_given_numbers_are_met_and_the_law_given_them_sums_to_one(counted):
    given = {"size": np.array([1.0, 4, 4, 6]), "children": np.array([0.0, 2, 3, 4])}
    p = np.broadcast_to(counted.table.shares, (4, len(counted.table.shares)))
    drawn = counted.draw(p, given, np.array([0.1, 0.2, 0.3, 0.99]))
    assert drawn.sum(axis=1).tolist() == [1, 4, 4, 6]
    assert drawn[:, 2].tolist() == [0, 2, 3, 4]
    for place in range(4):
        cells = every(1, 2, 6)
        own = {name: np.full(len(cells), x[place]) for name, x in given.items()}
        mass = np.exp(counted.log_prob(cells, np.broadcast_to(p[0], (len(cells), p.shape[1])), own))
        assert mass.sum() == pytest.approx(1)
        assert mass[(cells == drawn[place]).all(axis=1)] > 0


def test_draws_given_a_size_follow_the_law_given_it():
    counted = Counted(Compositions.fit(SEEN, np.ones(len(SEEN)), repeatable=[2]), {"size": (0, 1, 2)})
    n = 5000
    p = np.broadcast_to(counted.table.shares, (n, len(counted.table.shares)))
    drawn = counted.draw(p, {"size": np.full(n, 2.0)}, systematic(0, n, 0.3))
    assert (drawn[:, 1] == 1).mean() == pytest.approx(4 / 6, abs=0.01)
    law = counted.log_prob(np.array([[1, 1, 0], [1, 0, 1]]), p[:2], {"size": np.full(2, 2.0)})
    np.testing.assert_allclose(np.exp(law), [4 / 6, 2 / 6])


def test_numbers_that_no_household_can_have_are_named(counted):
    given = {"size": np.array([2.0]), "children": np.array([4.0])}
    with pytest.raises(DataError, match="no household can have size=2, children=4"):
        counted.groups(given)


def test_no_change_gives_a_second_partner_where_none_was_seen():
    homes = pd.DataFrame({"household_id": np.arange(80)})
    roles = [["head", "partner", "child", "child"][: 1 + i % 4] for i in range(80)]
    rows = [(i, role, 40.0 - 20 * (role == "child") - k) for i, own in enumerate(roles) for k, role in enumerate(own)]
    people = pd.DataFrame(rows, columns=["household_id", "relationship", "age"]).assign(person_id=range(len(rows)))
    household = GroupEntity("household", roles=("head", "partner", "child"), role_col="relationship")
    schema = Hierarchy(Entity("person"), (household,))
    asked = HierarchicalSynthesizer(schema, constraints=())
    prepared = prepare(Population(schema, {"households": homes, "persons": people}), asked)
    assert prepared.repeatable == (2,)
