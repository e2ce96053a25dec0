import numpy as np
import pytest

from microplex.hierarchy.roster import Roster

COUNTS = np.array([[1, 1, 2], [1, 0, 0], [1, 0, 3]])


@pytest.fixture
def roster():
    return Roster(COUNTS, couple=[1])


def test_members_stand_by_household_role_and_number(roster):
    assert roster.sizes.tolist() == [4, 1, 4]
    assert roster.household.tolist() == [0, 0, 0, 0, 1, 2, 2, 2, 2]
    assert roster.role.tolist() == [0, 1, 2, 2, 0, 0, 2, 2, 2]
    assert roster.number.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 2]
    assert roster.place.tolist() == [0, 1, 2, 3, 0, 0, 1, 2, 3]
    assert roster.previous.tolist() == [-1, -1, -1, 2, -1, -1, -1, 6, 7]


def test_the_partner_is_known_to_those_after_alone(roster):
    assert roster.spouse.tolist() == [1, -1, -1]
    assert roster.earlier_spouse.tolist() == [-1, -1, 1, 1, -1, -1, -1, -1, -1]


def test_waves_hold_every_member_once(roster):
    waves = np.concatenate([roster.wave(place) for place in range(roster.n_waves)])
    assert sorted(waves.tolist()) == list(range(9))


def test_rows_of_some_households_keep_their_order(roster):
    assert roster.rows_of(np.array([2, 1])).tolist() == [5, 6, 7, 8, 4]
    assert roster.rows_of(np.array([], int)).tolist() == []
