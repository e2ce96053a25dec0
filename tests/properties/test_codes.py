"""Whatever the column: each value has one code, and taking atoms out of a grid can be undone."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microplex.encoding.numbers import fit_number
from microplex.encoding.shares import fit_share
from microplex.flow.cells import CellOptions, Cells, fit_cells, on_grid
from microplex.flow.ranges import Range
from microplex.flow.smooth import Smooth
from microplex.schema import Column

STEPS = st.sampled_from([1.0, 0.01, 0.1, 0.25, 0.5, 5.0, 1000.0])
WHOLE = st.integers(-300, 300)
quick = settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))


def column(**described):
    return Column("x", "semicontinuous", "float", **described)


@quick
@given(st.sets(WHOLE, max_size=30), STEPS)
def test_compressing_is_undone_by_expanding(atoms, step):
    atoms = on_grid(np.array(sorted(atoms), float), step)
    cells = Cells(atoms, np.empty(0), np.empty(0), np.arange(len(atoms), dtype=np.int32), step)
    plain = np.setdiff1d(on_grid(np.arange(-400.0, 400), step), atoms)
    packed = cells.compress(plain)
    assert np.array_equal(cells.snap(cells.expand(packed)), plain)
    assert np.diff(packed) == pytest.approx(np.full(len(plain) - 1, step), rel=1e-6)
    assert (cells.atom_index(plain) == -1).all()
    assert np.array_equal(cells.atom_index(atoms), np.arange(len(atoms)))


@quick
@given(st.lists(WHOLE, min_size=1, max_size=200), st.sets(WHOLE, max_size=10), STEPS, st.booleans(), st.booleans())
def test_every_grid_point_within_the_bounds_has_exactly_one_code(values, atoms, step, closed_below, closed_above):
    x = on_grid(np.array(values, float), step)
    atoms = on_grid(np.array(sorted(atoms), float), step)
    bounds = (x.min() if closed_below else -np.inf, x.max() if closed_above else np.inf)
    cells = fit_cells(x, np.ones(len(x)), atoms, step, bounds, CellOptions(8, 4, 2, 2))
    grid = on_grid(np.arange(-320.0, 320), step)
    codes = cells.encode(grid)
    assert (cells.encode(x) >= 0).all()
    assert sorted(cells.order) == list(range(cells.n_codes))
    inside = [cells.atom_index(grid) == a for a in range(len(atoms))]
    packed = cells.compress(grid)
    free = cells.atom_index(grid) < 0
    inside += [free & (packed >= s) & (packed < e) for s, e in zip(cells.starts, cells.ends, strict=True)]
    count = np.sum(inside, axis=0)
    assert (count <= 1).all()
    assert np.array_equal(count == 1, codes >= 0)
    assert not (codes[free & ((grid < bounds[0]) | (grid > bounds[1]))] >= 0).any()
    assert not (np.isinf(cells.starts) & np.isinf(cells.ends)).any()


@quick
@given(
    st.lists(st.one_of(WHOLE, st.sampled_from([0, 0, 1, 100])), min_size=50, max_size=300),
    st.sampled_from([None, 1.0, 0.01]),
    st.sampled_from([(None, None), (-400.0, None), (None, 400.0), (-400.0, 400.0)]),
    st.integers(1, 5),
    st.booleans(),
)
def test_codes_of_drawn_values_are_the_codes_they_were_drawn_for(values, step, bounds, min_rows, has_missing):
    x = np.array(values, float) * 1.37 if step is None else on_grid(np.array(values, float), step)
    low, high = bounds if step != 0.01 else (None, None)
    described = column(
        resolution=step, lower=low, upper=high and 1.37 * high, missing="level" if has_missing else "none"
    )
    described = column(resolution=step, lower=low and 1.37 * low, upper=high and 1.37 * high, missing=described.missing)
    x = np.append(x, np.nan) if has_missing else x
    codec = fit_number(described, x, np.ones(len(x)), min_rows=min_rows)
    codes = codec.encode(x)
    assert ((codes >= 0) & (codes < codec.n_codes)).all()
    assert np.isfinite(codec.log_density(codes, x, None)).all()
    every = np.repeat(np.arange(codec.n_codes, dtype=np.int32), 9)
    drawn = codec.decode(every, np.tile(np.linspace(1e-9, 1 - 1e-9, 9), codec.n_codes), None)
    assert np.array_equal(codec.encode(drawn), every)
    assert np.isfinite(codec.log_density(every, drawn, None)).all()


@quick
@given(
    st.lists(st.tuples(st.integers(0, 60), st.floats(0, 1)), min_size=50, max_size=200),
    st.sampled_from([None, 1.0, 0.01]),
    st.integers(0, 12),
    st.tuples(st.integers(-2, 12), st.integers(-2, 12), st.integers(-2, 12)),
)
def test_shares_of_small_bases_within_limits(rows, step, base, ends):
    scale = step or 1.37
    total = np.array([b for b, _ in rows], float) * scale
    part = total * np.array([s for _, s in rows])
    total, part = (on_grid(np.round(v / step), step) if step else v for v in (total, part))
    codec = fit_share(column(resolution=step, lower=0), part, total, np.ones(len(part)))
    assert (codec.encode_share(part, total) >= 0).all()
    one = np.array([on_grid(np.array([float(base)]), step)[0] if step else base * scale])
    limits = Range(*(np.array([float(e) * scale]) for e in (min(ends[:2]), max(ends[:2]), ends[2]))).settled(codec.grid)
    allowed = np.flatnonzero(codec.allowed(limits, one)[0]).astype(np.int32)
    u = np.linspace(1e-9, 1 - 1e-9, 7)
    codes, n = np.repeat(allowed, 7), 7 * len(allowed)
    wide = limits.take(np.zeros(n, np.intp))
    drawn = codec.decode(codes, np.tile(u, len(allowed)), None, wide, np.repeat(one, n))
    assert wide.holds(drawn).all()
    assert (drawn <= one * (1 + 1e-15)).all()
    assert np.array_equal(codec.encode_share(drawn, np.repeat(one, n)), codes)
    assert np.isfinite(codec.log_density(codes, drawn, None, wide, np.repeat(one, n))).all()
    if step:
        points = on_grid(np.arange(base + 1.0), step)
        points = points[limits.take(np.zeros(len(points), np.intp)).holds(points)]
        found = codec.encode_share(points, np.repeat(one, len(points)))
        assert set(found[found >= 0]) == set(allowed)


@quick
@given(
    st.sampled_from([(0.0, 1.0), (0.0, np.inf), (-np.inf, 0.0)]),
    st.floats(-12, 12),
    st.floats(-0.4, 0.5),
    st.floats(-30, 30),
    st.floats(1e-6, 30),
)
def test_a_cut_law_stays_inside_and_is_inverted(ends, tilt, shape, low, width):
    if np.isfinite(ends).all():
        low, width = abs(low) / 31, min(width, 0.03)
    elif np.isinf(ends[1]):
        low = abs(low)
    else:
        low = -abs(low) - width
    u = np.linspace(1e-6, 1 - 1e-6, 11)
    base = Smooth.of(*(np.full(11, p) for p in (*ends, tilt, 1.0, shape)))
    cut = base.cut(np.full(11, low), np.full(11, low + width))
    x = cut.ppf(u)
    assert ((x >= low) & (x <= low + width)).all()
    assert (np.diff(x) >= 0).all()
    assert (cut.cdf(np.array([low - 1.0] * 11)) == 0).all()
    assert cut.cdf(np.full(11, low + width)) == pytest.approx(np.ones(11), abs=1e-9)
    reachable = shape >= 0 or np.isfinite(ends).all() or abs(low) + width < 0.9 / -shape
    if reachable and width > 1e-3:
        assert cut.cdf(x) == pytest.approx(u, abs=1e-5)
        assert np.isfinite(cut.log_density(x)).all()
