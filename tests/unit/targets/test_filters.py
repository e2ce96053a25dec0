import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex.errors import DataError
from microplex.frames import read_column
from microplex.targets.filters import LevelIndex, evaluate
from microplex.targets.grammar import parse_filter

DATA = {
    "age": [3, 17, 18, 70],
    "state": ["CA", "NY", "CA", "TX"],
    "birth": ["CA", "CA", "TX", "TX"],
    "works": [True, False, True, False],
    "code": ["1", "2", "10", "x"],
    "wages": [0.0, 1.5, 30.0, -2.0],
}


def mask(text, frame):
    return evaluate(parse_filter(text), lambda column: read_column(frame, column.name))


@pytest.mark.parametrize(
    "text",
    [
        "age < 18",
        "18 <= age <= 70",
        "age == 3 or state == 'TX'",
        "not (age < 18 and works)",
        "works",
        "works == False",
        "state in ('CA', 'TX') and wages != 0",
        "state not in ('CA',)",
        "state == birth",
        "state != birth",
        "wages + 2 * age - 1 > age / 2",
        "-wages > 1",
        "'CA' == state",
        "age in (3, 70)",
        "1 == works",
    ],
)
def test_filters_equal_python_row_by_row(text, make_frame):
    rows = [dict(zip(DATA, values, strict=True)) for values in zip(*DATA.values(), strict=True)]
    answer = mask(text, make_frame(DATA))
    assert answer.true.tolist() == [bool(eval(text, {}, row)) for row in rows]
    assert answer.unknown is None


def test_categories_compare_by_value():
    frame = pd.DataFrame(DATA)
    assert mask("age == '18'", frame).true.tolist() == [False, False, True, False]
    assert mask("code == 10", frame).true.tolist() == [False, False, True, False]
    assert mask("code in (1, 'x')", frame).true.tolist() == [True, False, False, True]
    assert mask("works == 'true'", frame).true.tolist() == [True, False, True, False]
    assert mask("works == 1", frame).true.tolist() == [True, False, True, False]


def test_numeric_categories_are_numbers():
    frame = pd.DataFrame({"size": pd.Categorical([1, 3, None], categories=[3, 1])})
    answer = mask("size < 2", frame)
    assert answer.true.tolist() == [True, False, False]
    assert answer.unknown.tolist() == [False, False, True]


logic = st.sampled_from([True, False, None])


@given(st.lists(st.tuples(logic, logic), min_size=1, max_size=8))
def test_the_logic_of_three_values(pairs):
    frame = pd.DataFrame({"a": [p for p, _ in pairs], "b": [q for _, q in pairs]}, dtype="boolean")
    for text, word in (("a == 1 and b == 1", "and"), ("a == 1 or b == 1", "or"), ("not a == 1 or b == 1", "implies")):
        answer = mask(text, frame)
        unknown = np.zeros(len(pairs), bool) if answer.unknown is None else answer.unknown
        assert [None if u else bool(t) for t, u in zip(answer.true, unknown, strict=True)] == [
            kleene(word, p, q) for p, q in pairs
        ]


def kleene(word, p, q):
    if word == "implies":
        return kleene("or", None if p is None else not p, q)
    decisive = word == "or"
    if decisive in (p, q):
        return decisive
    return None if None in (p, q) else not decisive


def test_missing_values_that_do_not_decide_do_no_harm():
    frame = pd.DataFrame({"age": [3, 40, 50], "job": [None, "a", None]})
    assert mask("age > 16 and job == 'a'", frame).unknown.tolist() == [False, False, True]
    assert mask("notna(job) and job == 'a'", frame).unknown is None
    assert mask("job.isna()", frame).true.tolist() == [True, False, True]


def test_missing_false_is_the_logic_of_pandas():
    frame = pd.DataFrame({"job": ["a", None, "b"], "age": [1.0, np.nan, 3.0]})
    for text, expected in (
        ("job == 'a'", frame["job"] == "a"),
        ("~(job == 'a')", ~(frame["job"] == "a")),
        ("job != 'a'", frame["job"] != "a"),
        ("job.isin(['b'])", frame["job"].isin(["b"])),
        ("age < 2", frame["age"] < 2),
        ("age != 1", frame["age"] != 1),
        ("~(age < 2)", ~(frame["age"] < 2)),
        ("age.between(0, 5)", frame["age"].between(0, 5)),
    ):
        answer = mask(f"missing_false({text})", frame)
        assert answer.unknown is None
        assert answer.true.tolist() == expected.astype(bool).tolist(), text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("state < 'CA'", "column 'state' is string; it can be compared by == and != only"),
        ("state == age", "column 'state' is string and is compared with numbers"),
        ("state + 1 > 2", "'column state' is text; . needs numbers"),
        ("age == 'old'", "'old' is compared with numbers"),
        ("age in ('old', 3)", "'old' is compared with numbers"),
        ("age", "column 'age' alone must be boolean; it is int"),
        ("day > 3", "column 'day' holds dates"),
        ("3 in (3, age)", "expected a number"),
    ],
)
def test_what_cannot_be_compared(text, problem):
    frame = pd.DataFrame({**DATA, "day": pd.to_datetime(["2020-01-01"] * 4)})
    with pytest.raises((DataError, ValueError), match=problem):
        mask(text, frame)


def test_level_index():
    assert LevelIndex(("a", "b")).find("b") == 1
    assert LevelIndex(("a", "b")).find(3) is None
    assert LevelIndex((1.5, 2.0)).find("2.0") == 1
    assert LevelIndex((False, True)).find("False") == 0


def test_numbers_find_texts_with_leading_zeros():
    index = LevelIndex(("01001", "02", "002", "3", "003", "x1"))
    assert [index.find(number) for number in (1001, 2, 3, 1, 1001.5, True)] == [0, None, 3, None, None, None]
