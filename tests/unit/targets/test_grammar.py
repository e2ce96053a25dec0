import pytest

from microplex.errors import ParameterError
from microplex.targets.grammar import Column, Comparison, Constant, Member, columns_of, parse_filter, parse_value


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("households.NP >= 4", "(households.NP >= 4)"),
        ("(a > 1) & (b < 2) | ~(c == 3)", "(a > 1 and b < 2) or not c == 3"),
        ("a.isin([1, 2])", "a in (1, 2)"),
        ("isin(a, (1, 2))", "a in [1, 2]"),
        ("a.between(0, 14)", "a >= 0 and a <= 14"),
        ("a.isna()", "isnull(a)"),
        ("a.notna()", "not isna(a)"),
        ("a not in (1, 2)", "not a in (1, 2)"),
        ("`a` > -1", "a > -1"),
        ("  a\n> 1 ", "a > 1"),
    ],
)
def test_spellings_of_pandas_and_python_are_read_alike(text, same):
    assert parse_filter(text) == parse_filter(same)


def test_chains_are_conjunctions():
    assert parse_filter("18 <= age < 65") == parse_filter("18 <= age and age < 65")


def test_infinity_and_prefixes():
    parsed = parse_filter("households.WGTP < np.inf")
    assert parsed == Comparison("<", Column("WGTP", "households"), Constant(float("inf")))


def test_names_in_backticks():
    parsed = parse_filter("`age of head` > 3 and state == 'it`s' and persons.`x y` < 2")
    assert [(c.table, c.name) for c in columns_of(parsed)] == [
        (None, "age of head"),
        (None, "state"),
        ("persons", "x y"),
    ]


def test_quoted_text_keeps_its_signs():
    assert parse_filter("state in ('a = b', 'c')") == Member(Column("state"), ("a = b", "c"))


def test_a_bare_column_is_a_value():
    assert parse_value("households.NP") == Column("NP", "households")
    assert parse_value("households.NP > 1") == parse_filter("households.NP > 1")


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", 1, "it is empty"),
        ("age = 3", 5, "is it '==' instead of '='"),
        ("1 < 2", 1, "must name a column"),
        ("age + 1", 1, "expected a comparison"),
        ("a > 0 & b > 1", 5, "put each comparison in parentheses"),
        ("wages ** 2 > 1", 1, r"expected \+ - \* /"),
        ("open('x') > 1", 1, "expected a column, a number or a quoted text"),
        ("exec('x')", 1, "there is no function 'exec'"),
        ("x.__class__.__bases__ == 1", 1, "expected a column name"),
        ("a > 1 and state in 'CA'", 20, "expected values in parentheses"),
        ("state in (CA, NY)", 11, "expected a number or a quoted text"),
        ("a is None", 1, "use <=, <"),
        ("a.between(1)", 1, "between takes 3 argument"),
        ("np.nan < a", 1, "only np.inf"),
        ("é == 'ü' and b ** 2 < 1", 14, "expected"),
        ("lambda: 1", 1, "expected a comparison"),
        ("[x for x in y] == 1", 1, "expected a column"),
        ("`` > 1", 1, "in backticks is empty"),
        ("a if b else c", 1, "expected a comparison"),
    ],
)
def test_what_cannot_be_read_is_shown_with_its_place(text, place, problem):
    with pytest.raises(ParameterError, match=problem) as caught:
        parse_filter(text)
    lines = str(caught.value).split("\n")
    assert lines[0].startswith(f"filter, character {place}: ")
    assert lines[1:] == [f"  {text}", f"  {' ' * (place - 1)}^"]


@pytest.mark.parametrize("text", ["age <", "a b", "(a > 1", "a <> 2", "a > 1; b > 1", "a > 'x"])
def test_what_is_no_expression(text):
    with pytest.raises(ParameterError, match=r"filter, character \d+: cannot be read"):
        parse_filter(text)


def test_a_filter_must_be_text():
    with pytest.raises(ParameterError, match=r"must be text such as 'age < 18'; got 3"):
        parse_filter(3)
