"""Coverage against a count of cells, one by one."""

import builtins
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError
from microplex.fusion import coverage

CPS = pd.DataFrame({"age": [30, 40, 50], "wages": [1.0, None, None], "w": [1, 2, 1]})
ACS = pd.DataFrame({"age": [20, None], "rent": [900, 800]})


def slow_coverage(sources, weights):
    """Share of each variable in each source and the pairs observed together, cell by cell."""
    shares, together = {}, set()
    for source, frame in sources.items():
        for name in frame.columns:
            seen = sum(w for value, w in zip(frame[name], weights[source], strict=True) if not pd.isna(value))
            shares[name, source] = seen / sum(weights[source])
            for other in frame.columns:
                for row, w in enumerate(weights[source]):
                    if w > 0 and not pd.isna(frame[name].iloc[row]) and not pd.isna(frame[other].iloc[row]):
                        together.add((name, other))
    return shares, together


def random_sources(seed):
    draw = np.random.default_rng(seed)
    names = ["a", "b", "c", "d", "e"]
    sources = {}
    for source in ("one", "two", "three"):
        own = draw.choice(names, 3, replace=False)
        values = draw.normal(size=(4, 3))
        values[draw.random((4, 3)) < 0.5] = np.nan
        sources[source] = pd.DataFrame(values, columns=own)
    return sources, {source: draw.integers(0, 3, 4) + np.array([1, 0, 0, 0]) for source in sources}


@pytest.mark.parametrize("seed", range(8))
def test_shares_and_pairs_are_those_of_the_cells(seed):
    sources, weights = random_sources(seed)
    shares, together = slow_coverage(sources, weights)
    weighted = {name: frame.assign(w=weights[name]) for name, frame in sources.items()}
    found = coverage(weighted, weight_col="w")
    for i, name in enumerate(found.variables):
        for j, source in enumerate(found.sources):
            assert found.observed[i, j] == pytest.approx(shares.get((name, source), np.nan), nan_ok=True)
        for k, other in enumerate(found.variables):
            assert found.together[i, k] == ((name, other) in together)
    seen = {name for name, other in together if name == other}
    wanted = {
        frozenset((a, b)) for a in seen for b in seen if a != b and (a, b) not in together
    }  # the pairs that rest on an assumption
    assert {frozenset(pair) for pair in found.never_together} == wanted


def test_the_matrix_reads_as_a_table(make_frame):
    found = coverage({"cps": make_frame(CPS), "acs": make_frame(ACS)}, weight_col={"cps": "w"})
    assert str(found).splitlines() == [
        "variable cps (3 rows) acs (2 rows)",
        "     age         100%          50%",
        "   wages          25%            -",
        "    rent            -         100%",
        "Never observed together: wages with rent.",
    ]
    assert found.common == ("age",)
    assert found.of("rent") == ("acs",)
    assert found.to_frame().shape == (4, 4)
    html = found.to_html()
    assert "<td>25%</td>" in html
    assert "Never observed together: wages with rent." in html


def test_names_are_escaped_in_html():
    html = coverage({"a<b": pd.DataFrame({"x<y": [1]}), "c": pd.DataFrame({"z": [1]})}).to_html()
    assert "x<y" not in html
    assert "a<b" not in html


def test_a_weight_of_three_is_the_row_three_times_and_zero_is_none():
    once = coverage({"cps": CPS.assign(w=[3, 1, 0])}, weight_col="w")
    often = coverage({"cps": CPS.drop(columns="w").iloc[[0, 0, 0, 1]]})
    assert once.observed.tolist() == often.observed.tolist()
    apart = pd.DataFrame({"x": [1, None, 2], "y": [None, 1, 2], "w": [1, 1, 0]})
    assert coverage({"cps": apart}, weight_col="w").never_together == (("x", "y"),)


def test_what_cannot_be_is_kept_apart_from_what_was_not_answered():
    wages = {"cps": {"wages": np.array([False, True, False])}}
    found = coverage({"cps": CPS}, weight_col="w", structural=wages)
    assert found.observed[1, 0] == pytest.approx(1 / 2)
    assert found.structural[1, 0] == pytest.approx(2 / 4)
    assert "50% (50% not applicable)" in str(found)


def test_nearly_all_is_not_all():
    frame = pd.DataFrame({"x": [None, *np.ones(999)], "y": [1.0, *[None] * 999]})
    text = str(coverage({"cps": frame}))
    assert ">99%" in text
    assert "<1%" in text
    assert "100%" not in text


def test_an_empty_column_is_observed_nowhere():
    found = coverage({"cps": pd.DataFrame({"x": [1, 2], "y": [None, None]}), "acs": pd.DataFrame({"y": [3]})})
    assert found.observed[1].tolist() == [0.0, 1.0]
    assert found.of("y") == ("acs",)
    assert found.common == ()
    assert found.never_together == (("x", "y"),)


def test_variables_with_the_same_partners_are_named_in_one_breath():
    left, right = (pd.DataFrame({f"{side}{i}": [1] for i in range(8)}) for side in "lr")
    text = str(coverage({"a": left, "b": right, "c": pd.DataFrame({"z": [1], "l0": [1]})}))
    names = "r0, r1, r2, r3, r4, r5 and 2 more"
    assert text.splitlines()[-1] == (
        f"Never observed together: l0 with {names}; l1, l2, l3, l4, l5, l6 and 1 more with {names}; "
        f"l1, l2, l3, l4, l5, l6 and 1 more with z; {names} with z."
    )
    apart = {str(i): pd.DataFrame({f"v{i}": [1]}) for i in range(5)}
    assert "; and 4 more such pairs." in str(coverage(apart))


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    found = coverage({"cps": CPS, "acs": ACS}, structural={"cps": {"wages": [False, True, False]}})
    found.plot(tmp_path / "coverage.svg")
    text = (tmp_path / "coverage.svg").read_text(encoding="utf-8")
    assert "<svg" in text
    assert len(text) > 2000


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "microplex\[plot\]"'):
        coverage({"cps": CPS}).plot(tmp_path / "x.png")


def test_matplotlib_is_loaded_for_pictures_only():
    code = "import sys, microplex.fusion.coverage; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weight_col": "weigth"}, ColumnNotFoundError, "weight column 'weigth' not in data"),
        ({"weight_col": {"cps": "ww"}}, ColumnNotFoundError, "weight of source 'cps' column 'ww'"),
        ({"weight_col": {"csp": "w"}}, DataError, "weight_col: unknown source 'csp'. Did you mean 'cps'"),
        ({"structural": {"csp": {}}}, DataError, "structural: unknown source .*Did you mean 'cps'"),
        ({"structural": {"cps": {"wage": []}}}, ColumnNotFoundError, "Did you mean 'wages'"),
        ({"structural": {"cps": {"wages": [True, False, False]}}}, DataError, "marks row 0, which has a value"),
        ({"structural": {"cps": {"wages": [1, 0, 0]}}}, DataError, "must be 3 truth values; got int64"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        coverage({"cps": CPS}, **options)


def test_bad_weights_and_frames_are_refused():
    with pytest.raises(DataError, match="weight of source 'cps' must be finite and not negative; row 1 has -2"):
        coverage({"cps": CPS.assign(w=[1, -2, 1])}, weight_col="w")
    with pytest.raises(DataError, match="weight 'w' of source 'cps' must hold numbers"):
        coverage({"cps": CPS.assign(w=["a", "b", "c"])}, weight_col="w")
    with pytest.raises(DataError, match="at least one source"):
        coverage({})
    with pytest.raises(DataError, match="no rows"):
        coverage({"cps": CPS.iloc[:0]})
