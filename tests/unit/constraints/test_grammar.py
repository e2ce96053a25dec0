import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex.constraints import AllOf, AnyOf, Combinations, Comparison, Implies, Membership, Sum, negate, parse
from microplex.constraints.terms import from_dict, to_dict
from microplex.errors import ConstraintError

TEXTS = {
    "a <= b": "a <= b",
    "a < b": "a < b",
    "b >= a": "b >= a",
    "b > a": "b > a",
    "a != b": "a != b",
    "a <= 0.5 * b": "a <= 0.5 * b",
    "a <= b / 2": "a <= 0.5 * b",
    "a <= -b + 3": "a + b <= 3",
    "2 * (a - b) <= c": "2 * a <= 2 * b + c",
    "a + b <= total": "a + b <= total",
    "a + 3 <= b": "a + 3 <= b",
    "a - 3 <= b": "a <= b + 3",
    "3 <= a": "a >= 3",
    "a <= 1_000": "a <= 1000",
    "total == a + b": "total == a + b",
    "total = a + b": "total == a + b",
    "a + b == total": "total == a + b",
    "net == gross - tax": "gross == net + tax",
    "a == b": "a == b",
    "annual == 52 * weekly": "annual == 52 * weekly",
    "a == 5": "a == 5",
    "2 * a == 5": "a == 2.5",
    "a = -1": "a == -1",
    "state == 'CA'": "state == 'CA'",
    "'CA' == state": "state == 'CA'",
    "state != 'CA'": "state != 'CA'",
    "state in ('CA', \"NY\")": "state in ('CA', 'NY')",
    "code not in [1, -2]": "code not in (1, -2)",
    "education >= 'college'": "education >= 'college'",
    "'college' <= education": "education >= 'college'",
    "name == 'a = b -> c'": "name == 'a = b -> c'",
    "a == 0 or b == 0": "a == 0 or b == 0",
    "not (a == 0 and b == 0)": "a != 0 or b != 0",
    "MARS != 2 -> spouse = 0": "MARS != 2 -> spouse == 0",
    "married -> age >= 16": "married == True -> age >= 16",
    "not married -> spouse == 0": "married != True -> spouse == 0",
    "a > 0 and b > 0 -> c > 0 or d > 0": "a > 0 and b > 0 -> c > 0 or d > 0",
    "1 <= a <= 5 -> b == 0": "a >= 1 and a <= 5 -> b == 0",
    "combinations(state, county)": "combinations(state, county)",
    "`a b` <= `total income`": "`a b` <= `total income`",
    "`in` == 1": "`in` == 1",
    "a\n<=\tb": "a <= b",
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items())
def test_text_is_read(text, expected):
    (constraint,) = parse([text])
    assert str(constraint) == expected


@pytest.mark.parametrize("text", [t for t in TEXTS if "`in`" not in t])
def test_written_text_is_read_again(text):
    (constraint,) = parse([text])
    assert parse([str(constraint)]) == (constraint,)


@pytest.mark.parametrize("text", TEXTS)
def test_constraints_survive_json(text):
    (constraint,) = parse([text])
    assert from_dict(json.loads(json.dumps(to_dict(constraint)))) == constraint


def test_chains_and_conjunctions_become_several():
    assert [str(c) for c in parse(["0 <= a <= b < c", "x == 1 and y == 2"])] == [
        "a >= 0",
        "a <= b",
        "b < c",
        "x == 1",
        "y == 2",
    ]


def test_objects_pass():
    given_objects = (
        Comparison({"a": 1, "b": -1}, "<="),
        Sum("t", ["a", "b"]),
        Implies(Membership("m", (1,)), Membership("s", (0,))),
        Combinations(("s", "c"), [("x", 1)]),
    )
    assert parse(given_objects) == given_objects
    assert parse(AllOf(given_objects[:1])) == given_objects[:1]
    assert parse(None) == ()
    assert parse([]) == ()
    assert parse("a <= b") == given_objects[:1]
    assert parse([Comparison({"t": 1, "a": -1, "b": -1}, "==")]) == (Sum("t", ("a", "b")),)


UNREADABLE = {
    "a <=": ("cannot be read", None),
    "": ("expected a statement", 1),
    "a -> ": ("expected a statement", 5),
    "a + b": ("expected a comparison", 1),
    "a * b <= c": ("only sums of columns with constant factors", 1),
    "c <= a * b": ("only sums of columns with constant factors", 6),
    "c <= a / 0": ("only sums", 6),
    "c <= log(a)": ("only sums", 6),
    "x == 1 -> y <= a ** 2": ("only sums", 16),
    "total = a + b * c": ("only sums", 13),
    "1 <= 2": ("no column is left", 1),
    "a <= a": ("no column is left", 1),
    "a is b": ("use <=, <", 1),
    "a + 1 in (1, 2)": ("write column in (value, value)", 1),
    "a in b": ("write column in (value, value)", 1),
    "a in (b, c)": ("expected a number or a quoted level", 7),
    "a + 1 == 'x'": ("expected a column name", 1),
    "a -> b -> c": ("write one '->'", 8),
    "combination(a, b)": ("the only function is combinations", 1),
    "combinations(a)": ("at least two columns", 1),
    "combinations(a, 3)": ("expected a column name", 17),
    "`a <= b": ("backtick is not closed", 1),
    "a == 'x": ("cannot be read", None),
    "a >= True": ("== and != only", 6),
    "a <= b; c <= d": ("cannot be read", None),
}


@pytest.mark.parametrize(("text", "problem"), UNREADABLE.items())
def test_unreadable_text_is_quoted_with_the_place(text, problem):
    with pytest.raises(ConstraintError) as caught:
        parse([text])
    message, place = problem
    first, quoted, arrow = str(caught.value).split("\n")
    assert message in first
    assert quoted == f"  {text}"
    if place:
        assert f"at character {place}:" in first
        assert arrow == " " * (place + 1) + "^"


@given(st.text(alphabet="ab1 <=>!+-*/()'`,.inotrd[]", max_size=25))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ConstraintError):
        parse([text])


def test_other_things_are_refused():
    with pytest.raises(ConstraintError, match="must be text or a constraint object, got 3"):
        parse([3])


def test_bad_objects():
    with pytest.raises(ConstraintError, match="needs one of <="):
        Comparison({"a": 1}, "=<")
    with pytest.raises(ConstraintError, match="needs a column"):
        Comparison({"a": 0}, "<=")
    with pytest.raises(ConstraintError, match="one column only"):
        Comparison({"a": 1, "b": 1}, "<=", "x")
    with pytest.raises(ConstraintError, match="distinct parts"):
        Sum("a", ("a", "b"))
    with pytest.raises(ConstraintError, match="distinct parts"):
        Sum("a", ())
    with pytest.raises(ConstraintError, match="at least two distinct"):
        Combinations(("a",))
    with pytest.raises(ConstraintError, match="not one value a column"):
        Combinations(("a", "b"), [(1,)])
    with pytest.raises(ConstraintError, match="empty list"):
        Membership("a", ())
    with pytest.raises(ConstraintError, match="no constraint of type 'Sume'"):
        from_dict({"type": "Sume"})
    with pytest.raises(ConstraintError, match="does not fit"):
        from_dict({"type": "Sum", "total": "a"})


@pytest.mark.parametrize("text", ["a <= 3", "a < 3", "a == 3", "a != 3", "a in (1, 2)", "a <= 3 and (b == 1 or c > 2)"])
def test_negating_twice_changes_nothing(text):
    statement = parse([f"{text} -> z == 0"])[0].condition
    assert negate(negate(statement)) == statement
    assert negate(statement) != statement


def test_any_of_keeps_brackets_in_text():
    statement = AllOf((AnyOf((Membership("a", (1,)), Membership("b", (2,)))), Membership("c", (3,))))
    assert str(statement) == "(a == 1 or b == 2) and c == 3"
