import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex.datasets import make_population, official_totals
from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.targets import Target, TargetSet

words = st.text("abcxyz_", min_size=1, max_size=4).map(lambda word: f"c_{word}")
numbers = st.floats(0.001, 1e12, allow_nan=False)
levels = st.one_of(st.text("AB 1", min_size=1, max_size=3), st.integers(-5, 5), st.booleans(), st.floats(0.1, 0.9))
texts = st.none() | st.text("abc =é", min_size=1, max_size=5).filter(str.strip)


@st.composite
def any_target(draw):
    statistic = draw(st.sampled_from(["total", "mean", "ratio", "share", "quantile"]))
    fields = {
        "statistic": statistic,
        "variable": draw(words if statistic in ("mean", "ratio", "quantile") else st.none() | words),
        "by": draw(st.dictionaries(words, levels, min_size=statistic == "share", max_size=3)),
        "where": draw(st.sampled_from([None, "age < 18", "x in ('a', 'b')"])),
        "entity": draw(st.sampled_from([None, "households", "persons"])),
        "tolerance": draw(st.floats(0, 1)),
        "importance": draw(numbers),
        "denominator": draw(words) if statistic == "ratio" else None,
        "probability": draw(st.floats(0.01, 0.99)) if statistic == "quantile" else None,
    }
    fields |= {key: draw(texts) for key in ("source", "period", "unit", "notes")}
    return Target(draw(st.floats(0, 1) if statistic == "share" else numbers), **fields)


@given(st.lists(any_target(), max_size=6))
def test_tables_are_read_back(targets):
    targets = TargetSet(targets)
    if not targets:
        return
    table = targets.to_frame()
    again = TargetSet.from_frame(table)
    assert again == targets
    assert [list(t.by) for t in again] == [[n for n in again.to_frame().columns if n in t.by] for t in again]
    pd.testing.assert_frame_equal(again.to_frame(), table)


@given(st.lists(any_target(), min_size=1, max_size=8))
def test_names_are_unique(targets):
    names = TargetSet(targets * 2).names
    assert len(set(names)) == len(names) == 2 * len(targets)


def test_repeated_names_are_numbered():
    targets = [Target(1), Target(2), Target(3, name="count (2)"), Target(4)]
    assert TargetSet(targets).names == ("count", "count (3)", "count (2)", "count (4)")


def test_tables_of_all_kinds(make_frame):
    table = make_frame(
        {
            "state": ["CA", None, "NY"],
            "size": [2.0, None, None],
            "variable": [None, "wages", None],
            "entity": ["person", None, None],
            "total": [5.0, 6.0, 7.0],
            "tolerance": [None, 0.1, None],
            "period": [2024.0, 2024.0, None],
        }
    )
    targets = TargetSet.from_frame(table)
    assert list(targets) == [
        Target(5, by={"state": "CA", "size": 2}, entity="persons", period="2024"),
        Target(6, "wages", tolerance=0.1, period="2024"),
        Target(7, by={"state": "NY"}),
    ]
    assert TargetSet.coerce(table) == targets


def test_the_figure_may_be_called_value():
    assert list(TargetSet.from_frame(pd.DataFrame({"value": [5], "state": ["CA"]}))) == [Target(5, by={"state": "CA"})]


def test_files(tmp_path):
    targets = TargetSet(
        [Target(5, by={"state": "CA", "size": 2}), Target(6, "wages", where="age < 3"), Target.mean(7, "x")]
    )
    for name in ("targets.csv", "targets.parquet"):
        path = tmp_path / name
        table = targets.to_frame()
        table.to_csv(path, index=False) if name.endswith("csv") else table.to_parquet(path)
        assert TargetSet.from_csv(path) == targets == TargetSet.coerce(str(path))
    with pytest.raises(FileNotFoundError):
        TargetSet.from_csv(tmp_path / "absent.csv")


def test_official_totals_are_read_as_they_are():
    table = official_totals(make_population(50, seed=1), [(), "sex"], ["persons", "wages"])
    targets = TargetSet.from_frame(table)
    assert targets.names == tuple(table["name"])
    assert [t.variable for t in targets[:3]] == [None] * 3
    assert {t.variable for t in targets[3:]} == {"wages"}
    assert {t.entity for t in targets} == {"persons"}
    assert dict(targets[1].by) == {"sex": "male"}


@pytest.mark.parametrize(
    ("table", "error", "problem"),
    [
        ({"state": ["CA"]}, ColumnNotFoundError, "target table column 'total' not in data"),
        ({"total": [1], "value": [2]}, ParameterError, "not both"),
        ({"total": [1, None]}, ParameterError, "row 1 of the target table: target 'count': total must be a finite"),
        ({"total": ["many"]}, ParameterError, "row 0 of the target table: .* got 'many'"),
        ({"total": [1], "where": ["age <"]}, ParameterError, "row 0 of the target table: filter, character"),
        ({"total": [1], "tolerance": [-1]}, ParameterError, "row 0 of the target table: .* tolerance"),
        ({"total": [1], "day": [pd.Timestamp("2020-01-01")]}, ParameterError, "the category of 'day' must be"),
        ({"total": []}, DataError, "no rows"),
    ],
)
def test_bad_tables(table, error, problem):
    with pytest.raises(error, match=problem):
        TargetSet.from_frame(pd.DataFrame(table))


def test_a_cell_column_with_the_name_of_a_table_column():
    with pytest.raises(ParameterError, match="a cell uses a column 'unit', which means something else"):
        TargetSet([Target(5, by={"unit": "a"})]).to_frame()


def test_dictionaries():
    targets = TargetSet.from_dict(
        {
            "state": {"CA": 5, "NY": 6},
            ("state", "sex"): {("CA", "f"): 7},
            "wages": 8,
            "persons": 9,
            "rent": {"state": {"CA": 10}, ("state", "sex"): {("NY", "m"): 11}},
            "households": {"tenure": {1: 12}},
        },
        tolerance=0.1,
        importance=2,
    )
    fields = {"tolerance": 0.1, "importance": 2}
    assert list(targets) == [
        Target(5, by={"state": "CA"}, **fields),
        Target(6, by={"state": "NY"}, **fields),
        Target(7, by={"state": "CA", "sex": "f"}, **fields),
        Target(8, "wages", **fields),
        Target(9, entity="persons", **fields),
        Target(10, "rent", {"state": "CA"}, **fields),
        Target(11, "rent", {"state": "NY", "sex": "m"}, **fields),
        Target(12, by={"tenure": 1}, entity="households", **fields),
    ]
    assert TargetSet.from_dict({"age": {"0": 1}}, entity="persons")[0].entity == "persons"


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ({"state": [1, 2]}, r"targets\['state'\] must be a number or a dict; got \[1, 2\]"),
        ({("a", "b"): {"x": 1}}, r"the category 'x' must have 2 part\(s\)"),
        ({("a", "b"): {("x", "y", "z"): 1}}, r"must have 2 part\(s\)"),
        ({("a", "b"): 5}, "expected the name of a variable or an entity"),
        ({"state": {"CA": "many"}}, "target 'count, state=CA': total must be a finite number; got 'many'"),
        ({"state": {"CA": math.nan}}, "got nan"),
    ],
)
def test_bad_dictionaries(targets, problem):
    with pytest.raises(ParameterError, match=problem):
        TargetSet.from_dict(targets)


def test_a_set_is_a_sequence():
    targets = TargetSet.from_dict({"a": 1, "b": 2, "c": 3})
    assert len(targets) == 3
    assert targets["b"] is targets[1]
    assert targets[:2] == TargetSet([Target(1, "a"), Target(2, "b")])
    assert (targets[:2] + Target(3, "c")) == targets == targets[:1] + {"b": 2, "c": 3}
    assert targets.filter(lambda target: target.total > 1).names == ("b", "c")
    assert hash(targets) == hash(TargetSet(list(targets)))
    assert repr(targets) == "TargetSet(3 targets: 'a', 'b', 'c')"
    assert repr(TargetSet()) == "TargetSet(0 targets)"
    with pytest.raises(ParameterError, match=r"no target is named 'count, state=C'"):
        targets["count, state=C"]


@pytest.mark.parametrize("targets", [[], {}, (), TargetSet()])
def test_nothing_is_refused(targets):
    with pytest.raises(ParameterError, match="there are no targets"):
        TargetSet.coerce(targets)


def test_other_things_are_refused():
    with pytest.raises(ParameterError, match="targets must be Target objects; number 1 is 5"):
        TargetSet.coerce([Target(5), 5])
    with pytest.raises(DataError, match="expected a pandas DataFrame"):
        TargetSet.coerce(5)


def test_uprating_multiplies_totals_alone():
    targets = TargetSet(
        [Target(10), Target(20, entity="persons"), Target(30, "wages", {"state": "CA"}), Target.mean(40, "wages")]
    )
    assert [t.total for t in targets.uprate(2)] == [20, 40, 60, 40]
    assert [t.total for t in targets.uprate({"wages": 3})] == [10, 20, 90, 40]
    assert [t.total for t in targets.uprate({"count": 3})] == [30, 60, 30, 40]
    assert [t.total for t in targets.uprate({"count": 3, "persons": 2})] == [30, 40, 30, 40]
    assert targets.uprate(2).names == targets.names
    with pytest.raises(ParameterError, match=r"uprate: no total has variable 'wage'. Did you mean 'wages'"):
        targets.uprate({"wage": 2})


def test_summary():
    states = [Target(1, by={"s": 1}), Target(2, by={"s": 2}, tolerance=0.1)]
    targets = TargetSet([*states, Target(3, "x"), Target.mean(4, "x", where="y > 1")])
    table = targets.summary()
    assert table["variable"].tolist() == ["count", "x", "x"]
    assert table["by"].tolist() == ["s", "", ""]
    assert table["targets"].tolist() == [2, 1, 1]
    assert table["total"].tolist()[:2] == [3, 3]
    assert math.isnan(table["total"][2])
    assert table["tolerance"].tolist() == [0.1, 0, 0]
