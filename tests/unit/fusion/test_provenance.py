"""Provenance against a table of tuples, kept cell by cell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.fusion import Origin, Provenance

NAMES = ["age", "wages", "rent"]
ORIGINS = [("observed", "cps"), ("observed", "acs"), ("imputed", "tax"), ("derived", ""), ("absent", "")]

marks = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        st.sampled_from(ORIGINS),
        st.none() | st.lists(st.booleans(), min_size=4, max_size=4),
    ),
    max_size=6,
)


def slow_marks(steps):
    """Cell by cell: column -> list of (kind, source)."""
    table = {}
    for names, origin, rows in steps:
        for name in names:
            cells = table.setdefault(name, [("absent", "")] * 4)
            for row in range(4):
                if rows is None or rows[row]:
                    cells[row] = origin
    return table


def marked(steps):
    out = Provenance(4)
    for names, origin, rows in steps:
        out = out.mark(names, *origin, rows=None if rows is None else np.array(rows))
    return out


def cells_of(provenance):
    table = provenance.frame()
    return {name: table[name].astype(str).tolist() for name in provenance.columns}


def as_text(table):
    return {name: [str(Origin(*cell)) for cell in cells] for name, cells in table.items()}


@given(marks)
def test_marks_are_those_of_a_table_of_cells(steps):
    assert cells_of(marked(steps)) == as_text(slow_marks(steps))


@given(marks, marks)
def test_merged_cells_are_the_others_but_for_the_absent(first, second):
    one, other = slow_marks(first), slow_marks(second)
    wanted = {name: list(cells) for name, cells in one.items()}
    for name, cells in other.items():
        mine = wanted.get(name, cells)
        wanted[name] = [own if its[0] == "absent" else its for own, its in zip(mine, cells, strict=True)]
    assert cells_of(marked(first).merge(marked(second))) == as_text(wanted)


@given(marks, marks)
def test_stacked_rows_lie_one_below_the_other(first, second):
    one, other = slow_marks(first), slow_marks(second)
    nothing = [("absent", "")] * 4
    wanted = {name: one.get(name, nothing) + other.get(name, nothing) for name in {**one, **other}}
    assert cells_of(Provenance.stack([marked(first), marked(second)])) == as_text(wanted)


@given(marks, st.lists(st.integers(0, 3), max_size=6))
def test_taken_rows_keep_their_cells(steps, rows):
    table = slow_marks(steps)
    taken = marked(steps).take(np.array(rows, dtype=int))
    assert taken.n == len(rows)
    assert cells_of(taken) == as_text({name: [cells[row] for row in rows] for name, cells in table.items()})


@given(marks, st.lists(st.integers(1, 5), min_size=4, max_size=4))
def test_shares_are_those_of_the_cells_and_weights_count_rows(steps, weights):
    summary = marked(steps).summary(weights)
    known = {source for _, (_, source), _ in steps}
    for name, cells in slow_marks(steps).items():
        often = [cell for cell, times in zip(cells, weights, strict=True) for _ in range(times)]
        for kind, source in ORIGINS:
            if source and source not in known:
                with pytest.raises(ParameterError, match=f"source must be one of .*got '{source}'"):
                    summary.share(name, kind, source)
                continue
            assert summary.share(name, kind, source) == pytest.approx(often.count((kind, source)) / len(often))
    assert summary.to_frame().groupby("variable")["share"].sum().tolist() == pytest.approx([1.0] * len(summary.columns))


def test_a_column_of_one_origin_is_one_number():
    provenance = Provenance(1_000_000).mark([f"v{i}" for i in range(50)], "observed", "cps")
    assert provenance.nbytes == 50
    mixed = provenance.mark(["v0"], "imputed", "tax", rows=np.arange(1_000_000) % 2 == 0)
    assert mixed.nbytes == 1_000_000 + 49
    assert mixed.mark(["v0"], "imputed", "tax").nbytes == 50
    assert provenance.columns == mixed.columns


def test_no_origin_stays_that_no_cell_has():
    provenance = Provenance(2).mark(["age"], "observed", "cps").mark(["age"], "imputed", "acs")
    assert provenance.origins == (Origin("imputed", "acs"),)


def test_a_source_of_which_no_cell_is_left_is_known():
    provenance = Provenance(2).mark(["age"], "imputed", "acs").mark(["age"], "observed", "cps")
    parts = provenance, provenance.take([0]), provenance.merge(Provenance(2)), Provenance.stack([provenance])
    for part in parts:
        assert part.summary().share("age", "imputed", "acs") == 0
        with pytest.raises(ParameterError, match="source must be one of 'acs', 'cps'; got 'zz'"):
            part.summary().share("age", "imputed", "zz")


def test_more_sources_than_a_byte_can_number():
    rows = np.eye(300, dtype=bool)
    provenance = Provenance(300)
    for i in range(300):
        provenance = provenance.mark(["age"], "observed", f"source {i}", rows=rows[i])
    assert cells_of(provenance)["age"] == [f"observed: source {i}" for i in range(300)]
    assert provenance.codes["age"].dtype == np.uint16


def test_the_frame_is_of_the_kind_and_index_asked_for(make_frame, to_pandas):
    frame = (
        Provenance(2).mark(["age"], "observed", "cps", rows=np.array([True, False])).frame(make_frame({"x": [1, 2]}))
    )
    assert to_pandas(frame)["age"].astype(str).tolist() == ["observed: cps", "absent"]


def test_a_pandas_index_is_kept():
    import pandas as pd

    like = pd.DataFrame({"x": [1, 2]}, index=[7, 9])
    assert Provenance(2).mark(["age"], "derived").frame(like).index.tolist() == [7, 9]


def test_cells_of_a_kind():
    provenance = (
        Provenance(3).mark(["age"], "observed", "cps").mark(["age"], "imputed", "a", rows=np.array([1, 0, 1]) > 0)
    )
    assert provenance.is_kind("age", "imputed").tolist() == [True, False, True]
    assert "0.667" in provenance.summary().to_html()
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'age'"):
        provenance.is_kind("agee", "imputed")


def test_bad_marks_are_refused():
    provenance = Provenance(2).mark(["age"], "observed", "cps")
    with pytest.raises(ParameterError, match=r"kind must be one of .* Did you mean 'imputed'"):
        provenance.mark(["age"], "inputed")
    with pytest.raises(DataError, match="rows must be 2 truth values; got int64"):
        provenance.mark(["age"], "imputed", rows=[0, 1])
    with pytest.raises(DataError, match=r"2 and 3 rows\. See stack"):
        provenance.merge(Provenance(3))
    with pytest.raises(DataError, match="row 1 has -1"):
        provenance.summary([1, -1])
    with pytest.raises(DataError, match="at least one"):
        Provenance.stack([])


def test_the_codes_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        Provenance(2).mark(["age"], "observed").codes["age"][0] = 1
