"""Tables of point masses against a dictionary, and the composition of a bin's law."""

import numpy as np
import pytest

from microplex.flow.cells import Cells
from microplex.flow.law_fit import EMPTY
from microplex.flow.laws import BinLaw, Table
from microplex.flow.ranges import Range

ENTRIES = {0: {1.0: 0.2, 4.0: 0.3}, 1: {}, 2: {-7.0: 0.1, 0.0: 0.2, 2.5: 0.4}, 3: {9.0: 0.999}}


@pytest.fixture
def table():
    rows = [q for q, entries in ENTRIES.items() for _ in entries]
    values = [v for entries in ENTRIES.values() for v in entries]
    masses = [m for entries in ENTRIES.values() for m in entries.values()]
    shuffled = np.random.default_rng(0).permutation(len(rows))
    return Table.build(*(np.array(a)[shuffled] for a in (rows, values, masses)), 4)


def test_a_table_is_a_dictionary_a_row(table):
    rows = np.repeat(np.arange(4), 9)
    probe = np.tile(np.array([-8.0, -7, 0, 1, 2.5, 3, 4, 9, 99]), 4)
    expected = [ENTRIES[q].get(v, 0.0) for q, v in zip(rows, probe, strict=True)]
    assert table.mass(rows, probe) == pytest.approx(expected)
    expected = [sum(m for w, m in ENTRIES[q].items() if w <= v) for q, v in zip(rows, probe, strict=True)]
    assert table.below(rows, probe) == pytest.approx(expected)
    assert table.totals == pytest.approx([sum(e.values()) for e in ENTRIES.values()])


def test_a_table_draws_its_entries_in_their_proportions(table):
    for q in (0, 2, 3):
        u = (np.arange(10_000) + 0.5) / 10_000 * table.totals[q]
        drawn = table.draw(np.full(len(u), q), u)
        for value, mass in ENTRIES[q].items():
            assert np.mean(drawn == value) == pytest.approx(mass / table.totals[q], abs=1e-3)


def test_an_empty_table_holds_nothing():
    rows = np.zeros(3, np.intp)
    assert EMPTY.mass(rows, np.ones(3)).tolist() == [0, 0, 0]
    assert EMPTY.below(rows, np.ones(3)).tolist() == [0, 0, 0]


def bin_law(resolution=1.0):
    cells = Cells(np.array([5.0]), np.array([-0.5]), np.array([9.5]), np.array([1, 0], np.int32), resolution)
    pooled = Table.build(np.array([0]), np.array([3.0]), np.array([0.25]), 1)
    grouped = Table.build(np.array([1]), np.array([7.0]), np.array([0.5]), 3)
    nothing = np.full(1, np.nan)
    return BinLaw(cells, np.zeros(1), nothing, nothing, pooled, grouped, 2)


def test_tables_stand_before_the_base():
    law, x = bin_law(), np.array([0.0, 3, 7])
    bins = np.zeros(3, np.intp)
    plain = np.exp(law.log_prob(bins, np.full(3, 0), x))
    assert plain == pytest.approx([0.075, 0.325, 0.075])
    grouped = np.exp(law.log_prob(bins, np.full(3, 1), x))
    assert grouped == pytest.approx([0.0375, 0.1625, 0.5375])
    for unknown in (None, np.full(3, -1), np.full(3, 2)):
        assert np.exp(law.log_prob(bins, unknown, x)) == pytest.approx(plain)


def test_the_point_mass_inside_a_bin_is_no_part_of_it():
    law = bin_law()
    at = np.array([4.0, 4.9, 5.0, 5.9, 6.0])
    f = law.cdf(np.zeros(5, np.intp), np.full(5, 0), at)
    assert f == pytest.approx([0.25 + 0.375, 0.25 + 0.375, 0.25 + 0.375, 0.25 + 0.375, 0.25 + 0.45])
    drawn = law.sample(np.zeros(1000, np.intp), None, (np.arange(1000) + 0.5) / 1000)
    assert sorted(set(drawn)) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("low", "high", "excluded", "left"),
    [
        (2, 6, np.nan, [2, 3, 4, 6]),
        (5, 7, np.nan, [6, 7]),
        (-np.inf, 5, np.nan, [0, 1, 2, 3, 4]),
        (-np.inf, np.inf, 3, [0, 1, 2, 4, 6, 7, 8, 9, 10]),
        (2, 4, 2, [3, 4]),
        (2, 4, 4, [2, 3]),
        (2, 4, 3, [2, 4]),
        (4, 6, 4, [6]),
        (5, 5, np.nan, []),
    ],
)
def test_limits_leave_the_base_alone_and_cut_it(low, high, excluded, left):
    law, n = bin_law(), 2000
    limits = Range(np.full(n, float(low)), np.full(n, float(high)), np.full(n, float(excluded)))
    assert law.n_points(limits.take(np.arange(1)))[0, 0] == len(left)
    if not left:
        return
    bins = np.zeros(n, np.intp)
    drawn = law.sample(bins, np.full(n, 1), (np.arange(n) + 0.5) / n, limits)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == left
    assert counts == pytest.approx(n / len(left), abs=2)
    x = np.setdiff1d(np.arange(11.0), [5.0])
    p = np.exp(law.log_prob(bins[:10], None, x, limits.take(np.arange(10))))
    assert p == pytest.approx(np.where(np.isin(x, left), 1 / len(left), 0.0))


def test_limits_at_the_ends_of_a_bin_cut_nothing():
    law = bin_law()
    bins = np.zeros(1, np.intp)
    for low, high in ((0.0, 10.0), (-np.inf, np.inf), (-3.0, 12.0), (0.0, np.inf)):
        assert not law.is_cut(bins, Range(np.array([low]), np.array([high]), np.array([np.nan])))[0]
    for low, high, excluded in ((1.0, 10.0, np.nan), (0.0, 9.0, np.nan), (0.0, 10.0, 4.0)):
        assert law.is_cut(bins, Range(np.array([low]), np.array([high]), np.array([excluded])))[0]
    assert not law.is_cut(bins, Range(np.array([0.0]), np.array([10.0]), np.array([5.0])))[0]


def test_limits_settle_on_the_grid():
    limits = Range(
        np.array([0.075, 0.1, -np.inf]), np.array([0.0999, 0.3 - 1e-17, np.inf]), np.array([0.2, np.nan, 1.0])
    )
    settled = limits.settled(0.1)
    assert settled.low.tolist() == [0.1, 0.1, -np.inf]
    assert settled.high.tolist() == [0.0, 0.3, np.inf]
    assert np.array_equal(settled.excluded, [0.2, np.nan, 1.0], equal_nan=True)
    assert limits.settled(0.0) is limits
    assert settled.holds(np.array([0.1, 0.3, 1.0])).tolist() == [False, True, False]
