"""Codes of numbers: every value has one, atoms leave the grid, edges are no data."""

import numpy as np
import pytest

from microplex.flow.cells import CellOptions, Cells, fit_cells, on_grid

FREE = (-np.inf, np.inf)


def cells_of(x, atoms=(), resolution=0.0, bounds=FREE, weights=None, **options):
    weights = np.ones(len(x)) if weights is None else weights
    return fit_cells(np.asarray(x, float), weights, np.array(atoms, float), resolution, bounds, CellOptions(**options))


def test_decimal_grids_hold_what_text_files_hold():
    index = np.arange(-30_000, 30_000, dtype=float)
    assert on_grid(index, 0.01).tolist() == [float(f"{int(i)}e-2") for i in index]
    assert np.array_equal(on_grid(index, 1000.0), index * 1000)
    assert np.array_equal(on_grid(index, 0.25), index / 4)


def test_compressing_leaves_no_gap_where_atoms_were():
    cells = Cells(np.array([-3.0, 0, 1, 5]), np.empty(0), np.empty(0), np.arange(4, dtype=np.int32), 1.0)
    plain = np.setdiff1d(np.arange(-10.0, 10), cells.atoms)
    packed = cells.compress(plain)
    assert np.array_equal(np.diff(packed), np.ones(len(plain) - 1))
    assert np.array_equal(cells.expand(packed), plain)


def test_atoms_off_the_grid_leave_it_whole():
    cells = Cells(np.array([-9.0, 0, 2000]), np.empty(0), np.empty(0), np.arange(3, dtype=np.int32), 1000.0)
    plain = 1000.0 * np.array([-3, -2, -1, 1, 3, 4])
    assert np.array_equal(cells.expand(cells.compress(plain)), plain)
    assert cells.atom_index(np.array([-9.0, 0, 1000, 2000, -8.9])).tolist() == [0, 1, -1, 2, -1]


def test_bins_hold_whole_quantiles_and_enough_rows():
    x = np.random.default_rng(0).lognormal(8, 1, 5000)
    cells = cells_of(x, bounds=(0.0, np.inf), n_bins=32, min_rows=20, tail_rows=6, tail_splits=6)
    rows = np.bincount(cells.bin_index(x))
    assert rows.min() >= 6
    assert np.median(rows) == pytest.approx(5000 / 32, rel=0.05)
    assert 32 < len(rows) <= 32 + 12
    assert np.isinf(cells.ends[-1])
    assert cells.starts[0] == 0.0


def test_weights_move_the_edges():
    x = np.random.default_rng(0).random(4000)
    light = cells_of(x, n_bins=10, tail_splits=0, bounds=(0.0, 1.0))
    heavy = cells_of(x, n_bins=10, tail_splits=0, bounds=(0.0, 1.0), weights=np.where(x < 0.1, 9.0, 1.0))
    assert light.starts[5] == pytest.approx(0.5, abs=0.02)
    assert heavy.starts[5] == pytest.approx(0.1, abs=0.02)


def test_edges_are_no_data_values():
    x = np.random.default_rng(1).normal(size=3000)
    cells = cells_of(x)
    finite = np.concatenate([cells.starts, cells.ends])
    assert not np.isin(finite[np.isfinite(finite)], x).any()
    grid = cells_of(np.round(100 * x), resolution=1.0)
    assert np.array_equal(np.abs(grid.starts[1:] % 1), np.full(len(grid.starts) - 1, 0.5))


def test_bins_do_not_straddle_zero():
    x = np.random.default_rng(2).normal(0.3, 1.0, 2000)
    for resolution, values in ((0.0, x), (1.0, np.round(100 * x))):
        cells = cells_of(values, resolution=resolution)
        zero = -0.5 * resolution
        assert ((cells.ends <= zero) | (cells.starts >= zero)).all()


@pytest.mark.parametrize("values", [[5.0], [-5.0], [4.0, 7.0, 9.0], [-2.0, 9.0]])
def test_no_bin_is_open_at_both_ends(values):
    for resolution in (0.0, 1.0):
        cells = cells_of(values, atoms=[0.0], resolution=resolution)
        assert not (np.isinf(cells.starts) & np.isinf(cells.ends)).any()
        assert (cells.encode(np.array(values)) >= 0).all()


def test_codes_ascend_with_the_values():
    x = np.round(np.random.default_rng(3).normal(0, 100, 3000))
    cells = cells_of(x, atoms=[-50.0, 0.0, 1.0, 2.0, 200.0], resolution=1.0)
    inside = np.arange(-250.0, 250.0)
    codes = cells.encode(inside)
    bins = np.isin(codes, cells.bin_codes)
    assert (np.diff(codes[bins]) >= 0).all()
    assert (np.diff(cells.encode(cells.atoms)) > 0).all()


def test_closed_bounds_hold_their_ends_and_nothing_beyond():
    x = np.random.default_rng(4).uniform(0, 1, 500)
    cells = cells_of(x, bounds=(0.0, 1.0))
    assert (cells.encode(np.array([0.0, 1.0])) >= 0).all()
    assert cells.encode(np.array([-1e-9, 1 + 1e-9])).tolist() == [-1, -1]
    whole = cells_of(np.round(x * 90), resolution=1.0, bounds=(-0.5, 90.5))
    assert whole.encode(np.array([-1.0, 0.0, 90.0, 91.0]))[[0, 3]].tolist() == [-1, -1]
    assert (whole.starts[0], whole.ends[-1]) == (-0.5, 90.5)


def test_values_off_the_grid_have_no_code():
    cells = cells_of(np.arange(1.0, 500), atoms=[0.0], resolution=1.0)
    assert cells.encode(np.array([3.5, 0.4, np.nextafter(7.0, 8)])).tolist()[:2] == [-1, -1]
    assert cells.encode(np.array([np.nextafter(7.0, 8)]))[0] >= 0


def test_without_free_values_there_are_no_bins():
    cells = cells_of([1.0, 2.0, 2.0], atoms=[1.0, 2.0], resolution=1.0)
    assert cells.n_codes == 2
    assert cells.encode(np.array([1.0, 2.0, 3.0])).tolist() == [0, 1, -1]
