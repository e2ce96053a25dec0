"""Harmonisation against row-by-row Python, and every mistake in a description named."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microplex.errors import ColumnNotFoundError, DataError, ParameterError, SchemaError
from microplex.fusion import Harmonisation, SourceColumn, check_agreement, coverage

PERSONS = {
    "hh": [7, 7, 3, 3, 3, 9],
    "line": [1, 2, 1, 2, 3, 1],
    "wage": [10, 5, 0, 7, 1, 2],
    "sex": ["f", "m", "m", "f", "f", "m"],
    "w": [2.0, 2.5, 1.0, 1.0, 1.5, 4.0],
}
HOUSEHOLDS = {"id": [3, 7, 9], "ten": [1, 2, 1], "rent": [0, 800, 0]}


def one(column, values, source="cps", **rest):
    """Harmonise one column of a pandas frame."""
    plan = Harmonisation({"x": {source: column}}, **rest)
    return plan.apply({source: pd.DataFrame(values)})[source]["x"]


# ------------------------------------------------------------------ columns


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=20),
    st.dictionaries(st.integers(0, 5), st.one_of(st.none(), st.sampled_from("abc")), min_size=1),
    st.sampled_from([None, "z"]),
)
def test_recoding_is_a_look_up_row_by_row(values, recode, otherwise):
    if all(level is None for level in [*recode.values(), otherwise]):
        return
    column = SourceColumn("c", recode=recode, otherwise=otherwise)
    frame = pd.DataFrame({"c": pd.array(values, dtype="Int64")})
    unknown = Counter(value for value in values if value is not None and value not in recode)
    plan = Harmonisation({"x": {"cps": column}})
    if unknown and otherwise is None:
        with pytest.raises(DataError, match="has codes without a recode") as caught:
            plan.apply({"cps": frame})
        listed = dict(re.findall(r"(\d+) \((\d+) rows?\)", str(caught.value)))
        assert listed == {str(code): str(times) for code, times in unknown.items()}
        return
    slow = [None if value is None else recode.get(value, otherwise) for value in values]
    found = plan.apply({"cps": frame})["cps"]["x"]
    assert [None if pd.isna(value) else value for value in found] == slow


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        ("c", [1, 20, -9]),
        ({"column": "c", "missing": [-9]}, [1, 20, None]),
        ({"column": "c", "factor": 1000}, [1000, 20000, -9000]),
        ({"column": "c", "factor": 0.5, "offset": 1}, [1.5, 11.0, -3.5]),
        ({"column": "c", "factor": -1, "offset": 2022}, [2021, 2002, 2031]),
        ({"column": ["c", "d"]}, [5, None, -8]),
        ({"column": ["c", "d"], "missing": [-9], "factor": 10}, [50, None, None]),
        ({"column": "c", "missing": [-9], "cut": {0: "child", 18: "adult"}}, ["child", "adult", None]),
        ({"column": "c", "cut": {-100: False, 1: True}}, [True, True, False]),
        ({"column": "c", "recode": {1: 10, 20: 20, -9: None}}, [10, 20, None]),
        ({"column": "c", "recode": {1: True}, "otherwise": False}, [True, False, False]),
        ({"column": "t", "missing": ["?"]}, ["own", None, "rent"]),
        ({"column": "t", "recode": {"own": "o", "rent": "r"}, "missing": ["?"]}, ["o", None, "r"]),
        ({"column": "b", "recode": {True: "yes", False: "no"}}, ["yes", "no", "no"]),
    ],
)
def test_a_column_becomes_what_is_declared(column, wanted, make_frame, to_pandas):
    frame = make_frame({"c": [1, 20, -9], "d": [4, None, 1], "t": ["own", "?", "rent"], "b": [True, False, False]})
    found = to_pandas(Harmonisation({"x": {"cps": column}}).apply({"cps": frame})["cps"])["x"]
    assert [None if pd.isna(value) else value for value in found] == wanted


def test_whole_numbers_stay_whole_and_types_agree():
    assert one({"column": "c", "factor": 1000}, {"c": [1, 2]}).dtype == np.int64
    assert one({"column": "c", "factor": 0.5}, {"c": [1, 2]}).dtype == np.float64
    assert one({"column": "c", "recode": {1: True, 2: False}}, {"c": [1, 2]}).dtype == np.bool_


def test_the_frame_comes_back_as_its_kind_with_its_rows(make_frame):
    frame = make_frame({"a": [3, 1], "b": ["x", "y"], "w": [1.0, 2.0]})
    plan = Harmonisation({"sex": {"cps": "b"}, "age": {"cps": "a"}}, weights={"cps": "w"})
    out = plan.apply({"cps": frame})["cps"]
    assert type(out) is type(frame)
    assert list(out.column_names if hasattr(out, "column_names") else out.columns) == ["sex", "age", "weight"]


def test_the_index_and_the_input_stay_as_they_are():
    frame = pd.DataFrame({"a": [3, 1]}, index=["p", "q"])
    before = frame.copy()
    out = Harmonisation({"age": {"cps": {"column": "a", "factor": 2}}}).apply({"cps": frame})["cps"]
    assert out.index.tolist() == ["p", "q"]
    pd.testing.assert_frame_equal(frame, before)


def test_codes_of_another_type_are_told_to_be_quoted():
    with pytest.raises(DataError, match=r"'1' \(2 rows\), '2' \(1 row\).*The types differ: quote"):
        one({"column": "c", "recode": {1: "own", 2: "rent"}}, {"c": ["1", "2", "1"]})


def test_a_value_below_the_first_edge_is_an_error():
    with pytest.raises(DataError, match="2 rows of column 'c' lie below the first edge 0; row 1 has -1"):
        one({"column": "c", "cut": {0: "child", 18: "adult"}}, {"c": [5, -1, -2]})


def test_a_lacking_column_is_named_with_its_near_miss():
    with pytest.raises(
        ColumnNotFoundError, match=r"variable 'x' of source 'cps' column 'WSAL' not in data. Did you mean"
    ):
        one("WSAL", {"WSALL": [1]})


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"column": "t", "factor": 2}, "column 't' holds string values; numbers are needed"),
        ({"column": "t", "cut": {0: "a"}}, "column 't' holds string values; numbers are needed"),
        ({"column": ["c", "t"]}, "column 't' holds string values; numbers are needed"),
        ({"column": "d", "recode": {1: "a"}}, "holds datetime values, which cannot be recoded"),
    ],
)
def test_numbers_are_not_made_of_text(column, message):
    values = {"c": [1, 2], "t": ["a", "b"], "d": pd.to_datetime(["2020-01-01", "2020-01-02"])}
    with pytest.raises(DataError, match=message):
        one(column, values)


# ---------------------------------------------------------- periods and units


def test_amounts_are_brought_to_the_latest_period():
    plan = Harmonisation(
        {"wages": {"cps": "a", "tax": {"column": "a", "factor": 1000}}, "age": {"cps": "b", "tax": "b"}},
        periods={"cps": 2022, "tax": 2015},
        uprating={"wages": {2015: 1.5}},
    )
    frame = pd.DataFrame({"a": [2, 4], "b": [30, 40]})
    out = plan.apply({"cps": frame, "tax": frame})
    assert out["cps"]["wages"].tolist() == [2, 4]
    assert out["tax"]["wages"].tolist() == [3000.0, 6000.0]
    assert out["tax"]["age"].tolist() == [30, 40]


def test_periods_can_differ_by_row():
    plan = {"periods": {"cps": {"column": "year"}}, "period": 2014, "uprating": {"x": {2012: 1.2, 2013: 1.1}}}
    values = {"c": [100, 100, 100], "year": [2013, 2014, 2012]}
    assert one("c", values, **plan).tolist() == pytest.approx([110, 100, 120])
    with pytest.raises(DataError, match="no factor from 2011, a value of column 'year'"):
        one("c", {"c": [1], "year": [2011]}, **plan)
    with pytest.raises(DataError, match="row 1 has no period in column 'year'"):
        one("c", {"c": [1, 1], "year": [2013, None]}, **plan)


def test_what_is_not_uprated_is_listed():
    columns = {
        "wages": {"cps": "a", "tax": "a"},
        "gains": {"cps": "g", "tax": "g"},
        "rent": {"cps": "r"},
        "tenure": {"cps": "t", "tax": {"column": "t", "recode": {1: "own"}}},
        "age": {"cps": "b", "acs": "b", "by_row": "b"},
    }
    periods = {"cps": 2022, "tax": 2015, "acs": 2022}
    plan = Harmonisation(columns, periods=periods, uprating={"wages": {2015: 1.5}})
    assert plan.not_uprated == ("gains",)
    assert Harmonisation(columns, periods={"by_row": {"column": "year"}}).not_uprated == ("age",)


def test_units_must_be_bridged():
    tax = {"column": "b", "unit": "thousand USD"}
    with pytest.raises(SchemaError, match="source 'tax' is in thousand USD, the variable in USD: give the factor"):
        Harmonisation({"x": {"cps": "a", "tax": tax}}, units={"x": "USD"})
    with pytest.raises(SchemaError, match=r"in several units \(cps USD, tax thousand USD\) and no source has a factor"):
        Harmonisation({"x": {"cps": {"column": "a", "unit": "USD"}, "tax": tax}})
    Harmonisation({"x": {"cps": "a", "tax": {**tax, "factor": 1000}}}, units={"x": "USD"})


# ------------------------------------------------------------------- entities

BY_HOUSEHOLD = {"entities": {"cps": "person"}, "entity": "household", "keys": {"cps": "hh"}}
HEAD = {"heads": {"cps": {"column": "line", "value": 1}}}


def slow_groups(values, how, heads):
    """Aggregate in Python, group by group in order of first appearance."""
    groups = {}
    for key, value, head in zip(PERSONS["hh"], values, heads, strict=True):
        groups.setdefault(key, []).append((value, head))
    out = []
    for members in groups.values():
        found = [value for value, _ in members]
        if how == "head":
            out.append(next(value for value, head in members if head))
        elif how == "count":
            lacking = any(value is None for value in found)
            out.append(sum(found) if isinstance(values[0], bool) and not lacking else len(found))
        elif how == "any":
            out.append(True if any(found) else None if None in found else False)
        elif None in found:
            out.append(None)
        else:
            out.append({"sum": sum, "min": min, "max": max, "mean": lambda v: sum(v) / len(v)}[how](found))
    return out


@pytest.mark.parametrize("how", ["sum", "mean", "min", "max", "any", "count", "head"])
@pytest.mark.parametrize("values", [PERSONS["wage"], [1, None, 2, 3, 4, 5], [0, None, None, 1, 0, 0]])
def test_members_make_groups(how, values, make_frame, to_pandas):
    frame = make_frame({**PERSONS, "v": values})
    plan = Harmonisation({"x": {"cps": {"column": "v", "aggregate": how}}}, **BY_HOUSEHOLD, **HEAD)
    found = to_pandas(plan.apply({"cps": frame})["cps"])["x"]
    assert [None if pd.isna(v) else v for v in found] == slow_groups(values, how, [x == 1 for x in PERSONS["line"]])


def test_truth_values_are_counted():
    column = {"column": "sex", "recode": {"f": True, "m": False}, "aggregate": "count"}
    assert one(column, PERSONS, **BY_HOUSEHOLD).tolist() == [1, 2, 0]


def test_groups_do_not_depend_on_the_order_of_members():
    plan = Harmonisation({"x": {"cps": {"column": "wage", "aggregate": "sum"}}}, **BY_HOUSEHOLD)
    turned = pd.DataFrame(PERSONS).iloc[[5, 4, 1, 3, 0, 2]]
    out = plan.apply({"cps": turned})["cps"]
    assert out["x"].tolist() == [2, 8, 15]
    assert out.index.tolist() == [0, 1, 2]


def test_persons_join_a_source_of_households():
    plan = Harmonisation(
        {
            "wages": {
                "cps": {"column": "wage", "aggregate": "sum"},
                "acs": {"column": "WAGP", "table": "acs_p", "aggregate": "sum"},
            },
            "tenure": {
                "cps": {"column": "ten", "table": "cps_h", "recode": {1: "own", 2: "rent"}, "broadcast": True},
                "acs": {"column": "TEN", "recode": {"o": "own", "r": "rent"}},
            },
        },
        weights={"cps": {"column": "w", "aggregate": "head"}, "acs": "W"},
        entities={"cps": "person", "cps_h": "household", "acs": "household", "acs_p": "person"},
        entity="household",
        keys={"cps": "hh", "cps_h": "id", "acs": "id", "acs_p": "id"},
        **HEAD,
    )
    acs = pd.DataFrame({"id": ["b", "a"], "TEN": ["r", "o"], "W": [5, 6]})
    acs_p = pd.DataFrame({"id": ["a", "b", "b"], "WAGP": [1, 2, 3]})
    tables = {"cps": pd.DataFrame(PERSONS), "cps_h": pd.DataFrame(HOUSEHOLDS), "acs": acs, "acs_p": acs_p}
    out = plan.apply(tables)
    assert out["cps"].to_dict("list") == {
        "wages": [15, 8, 2],
        "tenure": ["rent", "own", "own"],
        "weight": [2.0, 1.0, 4.0],
    }
    assert out["acs"].to_dict("list") == {"wages": [5, 1], "tenure": ["rent", "own"], "weight": [5, 6]}
    assert plan.tables == ("acs_p", "cps_h")
    assert plan.unused(tables) == {"cps": ("sex",), "cps_h": ("rent",), "acs": (), "acs_p": ()}


def test_values_of_a_group_go_to_its_members(make_frame, to_pandas):
    plan = Harmonisation(
        {"wages": {"cps": "wage"}, "rent": {"cps": {"column": "rent", "table": "homes", "broadcast": True}}},
        entities={"cps": "person", "homes": "household"},
        keys={"cps": "hh", "homes": "id"},
    )
    out = to_pandas(plan.apply({"cps": make_frame(PERSONS), "homes": make_frame(HOUSEHOLDS)})["cps"])
    assert out["rent"].tolist() == [800, 800, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"'homes' has no row with key 7 \(1 such keys\)"):
        plan.apply({"cps": pd.DataFrame(PERSONS), "homes": pd.DataFrame(HOUSEHOLDS).iloc[[0, 2]]})
    with pytest.raises(DataError, match="'homes' has key 3 more than once"):
        plan.apply({"cps": pd.DataFrame(PERSONS), "homes": pd.DataFrame(HOUSEHOLDS).iloc[[0, 0, 1, 2]]})
    with pytest.raises(DataError, match="no data for 'homes'; got 'cps'"):
        plan.apply({"cps": pd.DataFrame(PERSONS)})
    with pytest.raises(DataError, match="no data for table 'homes'"):
        plan.apply_to(pd.DataFrame(PERSONS), "cps")


def test_different_entities_need_a_mapping():
    with pytest.raises(SchemaError, match=r"different entities \(cps person, acs household\).*aggregate.*broadcast"):
        Harmonisation({"x": {"cps": "a", "acs": "b"}}, entities={"cps": "person", "acs": "household"})
    with pytest.raises(SchemaError, match="'x' of source 'cps' is of a person, and a row shall be a household"):
        Harmonisation({"x": {"cps": "a"}}, **BY_HOUSEHOLD)
    with pytest.raises(SchemaError, match="entities must say what a row of 'acs' is"):
        Harmonisation({"x": {"cps": "a", "acs": "b"}}, entities={"cps": "person"})
    with pytest.raises(SchemaError, match="is of a person already: there is nothing"):
        Harmonisation({"x": {"cps": {"column": "a", "aggregate": "sum"}}}, entities={"cps": "person"})
    with pytest.raises(SchemaError, match="keys must name the column of 'cps'"):
        Harmonisation(
            {"x": {"cps": {"column": "a", "aggregate": "sum"}}}, entities={"cps": "person"}, entity="household"
        )
    with pytest.raises(SchemaError, match="heads must say who the head is in 'cps'"):
        Harmonisation({"x": {"cps": {"column": "a", "aggregate": "head"}}}, **BY_HOUSEHOLD)
    with pytest.raises(SchemaError, match="weight of source 'cps' is of a person"):
        Harmonisation({"x": {"cps": {"column": "a", "aggregate": "sum"}}}, weights={"cps": "w"}, **BY_HOUSEHOLD)


@pytest.mark.parametrize(
    ("change", "how", "message"),
    [
        ({"line": [1, 1, 1, 2, 3, 1]}, "head", "group with key 7 has 2 heads; it needs exactly one"),
        ({"line": [1, 2, 2, 2, 3, 1]}, "head", "group with key 3 has 0 heads"),
        ({"line": [4, 4, 4, 4, 4, 4]}, "head", "no row has 1 in 'line', the head's code. Codes: 4"),
        ({"hh": [None] * 6}, "sum", "row 0 of 'cps' has no key in column 'hh'"),
        ({"hh": [7, None, 3, 3, 3, 9]}, "sum", "row 1 of 'cps' has no key in column 'hh'"),
        ({"hh": [2**53, 2**53 + 1, 3, 3, 3, 9]}, "sum", "keys in column 'hh' of 'cps' are too long for exact numbers"),
        ({"wage": list("abcdef")}, "sum", "sum does not suit string values"),
    ],
)
def test_members_that_do_not_fit_are_named(change, how, message):
    with pytest.raises(DataError, match=message):
        one({"column": "wage", "aggregate": how}, {**PERSONS, **change}, **BY_HOUSEHOLD, **HEAD)


def test_members_without_a_group_and_groups_without_members_are_named():
    plan = Harmonisation(
        {"x": {"acs": {"column": "v", "table": "p", "aggregate": "sum"}}},
        entities={"acs": "household", "p": "person"},
        keys={"acs": "id", "p": "id"},
    )
    homes, members = pd.DataFrame({"id": [1, 2]}), pd.DataFrame({"id": [1, 2, 5], "v": [1, 1, 1]})
    with pytest.raises(DataError, match="1 rows of 'p' belong to no row of 'acs'; the first, row 2, has key 5"):
        plan.apply({"acs": homes, "p": members})
    with pytest.raises(DataError, match="group with key 2 has no members"):
        plan.apply({"acs": homes, "p": members.iloc[:1]})
    with pytest.raises(DataError, match="'acs' has key 1 more than once"):
        plan.apply({"acs": homes.iloc[[0, 0]], "p": members.iloc[:1]})


# ---------------------------------------------------------------- derivations


def test_sums_are_derived_where_a_source_does_not_give_them():
    plan = Harmonisation(
        {"wages": {"cps": "a"}, "pensions": {"cps": "b"}, "income": {"tax": "c"}},
        derivations={"net": {"income": 1, "taxes": -1}, "income": {"wages": 1, "pensions": 1}, "taxes": {"wages": 0.5}},
    )
    assert plan.derived("cps") == ("income", "taxes", "net")
    assert plan.derived("tax") == ()
    assert plan.names("cps") == ("wages", "pensions", "income", "taxes", "net")
    out = plan.apply({"cps": pd.DataFrame({"a": [10, 4], "b": [1, None]}), "tax": pd.DataFrame({"c": [5]})})
    assert out["cps"]["net"].tolist()[0] == 6
    assert pd.isna(out["cps"]["net"].tolist()[1])
    assert out["tax"]["income"].tolist() == [5]


@pytest.mark.parametrize(
    ("derivations", "message"),
    [
        ({"a": {"b": 1}, "b": {"c": 1}, "c": {"a": 1}}, "derivations go in a circle: a -> b -> c -> a"),
        ({"a": {"a": 1}}, "circle: a -> a"),
        ({"a": {"wagse": 1}}, "uses 'wagse', no variable. Did you mean 'wages'"),
        ({"a": {}}, "must map variables to coefficients"),
        ({"a": {"wages": "1"}}, "the coefficient of 'wages' must be a number; got '1'"),
    ],
)
def test_bad_derivations_are_refused(derivations, message):
    with pytest.raises(SchemaError, match=message):
        Harmonisation({"wages": {"cps": "x"}}, derivations=derivations)


# ---------------------------------------------------------- what is not there


def test_a_recipient_may_lack_columns():
    plan = Harmonisation(
        {"age": {"cps": "A"}, "wages": {"cps": "W"}, "income": {"acs": "I"}},
        derivations={"income": {"wages": 1, "age": 0}},
    )
    frame = pd.DataFrame({"A": [40]})
    assert list(plan.apply_to(frame, "cps", partial=True)) == ["age"]
    with pytest.raises(ColumnNotFoundError, match="variable 'wages' of source 'cps' column 'W'"):
        plan.apply_to(frame, "cps")
    with pytest.raises(ColumnNotFoundError, match=r"no column of source 'cps'\. Known: A, W"):
        plan.apply_to(pd.DataFrame({"B": [1]}), "cps", partial=True)
    with pytest.raises(DataError, match=r"^unknown source 'csp'\. Did you mean 'cps'\? Known: cps, acs\."):
        plan.apply_to(frame, "csp")


def test_sources_must_be_those_declared():
    plan = Harmonisation({"age": {"cps": "A", "acs": "B"}})
    with pytest.raises(DataError, match=r"^unknown source or table 'asc'\. Did you mean 'acs'"):
        plan.apply({"cps": pd.DataFrame({"A": [1]}), "asc": pd.DataFrame({"B": [1]})})
    with pytest.raises(DataError, match="no data for 'acs'; got 'cps'"):
        plan.apply({"cps": pd.DataFrame({"A": [1]})})
    with pytest.raises(DataError, match="no rows"):
        plan.apply({"cps": pd.DataFrame({"A": []}), "acs": pd.DataFrame({"B": [1]})})


COLUMN_MISTAKES = {
    "no field 'recod'. Did you mean 'recode'": {"column": "a", "recod": {}},
    "the field 'column' is lacking": {"factor": 2},
    "expected the name of a column or its fields": 7,
    "column must be the name of a column": "",
    "recode must map values to levels": {"column": "a", "recode": ["own"]},
    "missing must be a list; got -9": {"column": "a", "missing": -9},
    "factor must be a finite number; got '2'": {"column": "a", "factor": "2"},
    "factor must be a finite number; got inf": {"column": "a", "factor": float("inf")},
    "factor must not be 0": {"column": "a", "factor": 0},
    "recode and cut exclude each other": {"column": "a", "recode": {1: "a"}, "cut": {0: "a"}},
    "otherwise needs recode": {"column": "a", "otherwise": "b"},
    "recode makes every code missing": {"column": "a", "recode": {1: None}},
    "code -9 is both in missing and in recode": {"column": "a", "recode": {-9: "a"}, "missing": [-9]},
    "several columns are added up": {"column": ["a", "b"], "recode": {1: "a"}},
    "factor and offset belong to numbers": {"column": "a", "recode": {1: "a"}, "factor": 2},
    "levels must be of one type; got 'own', True. YAML reads": {"column": "a", "recode": {1: "own", 2: True}},
    "the edges of cut must ascend": {"column": "a", "cut": {18: "a", 0: "b"}},
    "the edges of cut must be finite numbers": {"column": "a", "cut": {"x": "a"}},
    "aggregate must be one of 'sum'.*Did you mean 'mean'": {"column": "a", "aggregate": "meen"},
    "aggregate and broadcast exclude": {"column": "a", "aggregate": "sum", "broadcast": True},
    "broadcast needs table": {"column": "a", "broadcast": True},
    "a code or level must be text": {"column": "a", "recode": {1: ["own"]}},
}


@pytest.mark.parametrize("message", COLUMN_MISTAKES)
def test_a_mistake_in_a_column_names_variable_and_source(message):
    with pytest.raises(SchemaError, match=f"variable 'x' of source 'cps': .*{message}"):
        Harmonisation({"x": {"cps": COLUMN_MISTAKES[message]}})


def test_an_unknown_aggregate_alone_is_a_parameter_error():
    with pytest.raises(ParameterError, match="aggregate must be one of"):
        SourceColumn("a", aggregate="median")


PLAN_MISTAKES = {
    "needs at least one variable": {"variables": {}},
    "variables must be a mapping": {"variables": ["x"]},
    "variable 'x' must map sources to columns": {"variables": {"x": "a"}},
    "the name of a variable must be text": {"variables": {7: {"cps": "a"}}},
    "cannot be called 'weight'": {"variables": {"weight": {"cps": "w"}}},
    "weights names the source 'csp', which no variable uses. Did you mean 'cps'": {"weights": {"csp": "w"}},
    "units names the variable 'y'": {"units": {"y": "USD"}},
    "uprating names the variable 'y'": {"uprating": {"y": {2015: 1.1}}},
    "periods names the source 'tax'": {"periods": {"tax": 2015}},
    "period of source 'cps' must be a whole number": {"periods": {"cps": "2015"}},
    "uprating needs the period to be reached": {"uprating": {"x": {2015: 1.1}}},
    "needs the period of source 'cps'": {"uprating": {"x": {2015: 1.1}}, "period": 2022},
    "no factor from 2014, the period of source 'cps'": {
        "uprating": {"x": {2015: 1.1}},
        "period": 2022,
        "periods": {"cps": 2014},
    },
    "the factor must be positive; got -1": {"uprating": {"x": {2015: -1}}, "periods": {"cps": 2022}},
    "source 'cps' makes levels of it": {
        "variables": {"x": {"cps": {"column": "a", "recode": {1: "a"}}}},
        "uprating": {"x": {2015: 1.1}},
        "periods": {"cps": 2015},
    },
    "heads of 'cps' must be {column": {"heads": {"cps": "line"}},
}


@pytest.mark.parametrize("message", PLAN_MISTAKES)
def test_a_mistake_in_the_description_is_named(message):
    with pytest.raises(SchemaError, match=re.escape(message)):
        Harmonisation(**{"variables": {"x": {"cps": "a"}}, **PLAN_MISTAKES[message]})


# ----------------------------------------------------------------------- YAML

codes = st.one_of(st.integers(-9, 99), st.text(max_size=4), st.booleans(), st.floats(-5, 5))
columns = st.one_of(
    st.builds(
        SourceColumn, st.text(min_size=1), factor=st.floats(0.001, 1e6), offset=st.integers(-5, 5), unit=st.text()
    ),
    st.builds(SourceColumn, st.just("c"), recode=st.dictionaries(codes, st.text(), min_size=1, max_size=4)),
    st.builds(SourceColumn, st.lists(st.text(min_size=1), min_size=1, max_size=3), missing=st.lists(codes, max_size=3)),
)


@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name != "weight"),
        st.dictionaries(st.text(), columns, min_size=1, max_size=3),
        min_size=1,
        max_size=3,
    )
)
def test_yaml_comes_back_as_it_went(variables):
    try:
        plan = Harmonisation(variables)
    except SchemaError as error:
        assert "several units" in str(error)  # noqa: PT017
        return
    back = Harmonisation.from_yaml(plan.to_yaml())
    assert back == plan
    assert back.to_yaml() == plan.to_yaml()
    assert [type(code) for code in _codes(back)] == [type(code) for code in _codes(plan)]


def _codes(plan):
    return [code for by_source in plan.variables.values() for column in by_source.values() for code in column.recode]


FULL = """
variables:
  wages:
    cps: {column: WSAL_VAL, missing: [-1], aggregate: sum}
    tax: {column: e00200, factor: 1000, unit: thousand USD}
  tenure:
    cps:
      column: H_TENURE
      table: cps_households
      recode: {1: own, 2: rent, 3: 'no'}
      broadcast: true
weights:
  cps: {column: MARSUPWT, aggregate: head}
entities: {cps: person, cps_households: household, tax: tax unit}
entity: tax unit
keys: {cps: unit, cps_households: unit}
heads: {cps: {column: line, value: 1}}
periods: {cps: 2022, tax: 2015}
period: 2022
uprating: {wages: {2015: 1.31}}
units: {wages: USD}
derivations: {income: {wages: 1}}
"""


def test_every_part_goes_to_a_file_and_back(tmp_path):
    plan = Harmonisation.from_yaml(FULL)
    text = plan.to_yaml(tmp_path / "plan.yaml")
    assert Harmonisation.from_yaml(tmp_path / "plan.yaml") == plan
    assert (tmp_path / "plan.yaml").read_text(encoding="utf-8") == text
    assert Harmonisation.from_dict(plan.to_dict()) == plan
    assert plan.variables["tenure"]["cps"].recode == {1: "own", 2: "rent", 3: "no"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variables: {x: {cps: a}}\nperiod_s: {cps: 2022}\n", "no field 'period_s'. Did you mean 'periods'"),
        ("variables: {x: {cps: a}}\nvariables: {y: {cps: a}}\n", r"names the key 'variables' twice \(line 2\)"),
        ("variables: {x: {cps: {column: a, recode: {1: own, 2: yes}}}}\n\n", "YAML reads an unquoted yes"),
        ("variables: {x\n", "not valid YAML"),
        ("just\ntext\n", "needs the field 'variables'"),
        ("no_such_file.yaml", "cannot read the harmonisation 'no_such_file.yaml'"),
    ],
)
def test_bad_yaml_is_named(text, message):
    with pytest.raises(SchemaError, match=message):
        Harmonisation.from_yaml(text)


def test_later_changes_of_the_callers_mappings_reach_nobody():
    recode = {1: "own"}
    given_columns = {"x": {"cps": {"column": "a", "recode": recode}}}
    plan = Harmonisation(given_columns)
    recode[2] = "rent"
    given_columns["y"] = {"cps": "b"}
    assert plan == Harmonisation({"x": {"cps": {"column": "a", "recode": {1: "own"}}}})


# ------------------------------------------------------------------ real files


def test_two_public_surveys_become_one_table(shared_data):
    """US tax units and US households, coded as their producers do, agree after harmonisation."""
    units = pd.read_parquet(shared_data("us_cps_tax_units.parquet"))
    homes = pd.read_parquet(shared_data("us_households_sf/households.parquet"))
    members = pd.read_parquet(shared_data("us_households_sf/persons.parquet"))
    plan = Harmonisation(
        {
            "earnings": {
                "cps": {"column": ["e00200", "e00900"], "aggregate": "sum"},
                "sf": {"column": "earnings", "table": "sf_persons", "aggregate": "sum"},
            },
            "children": {
                "cps": {"column": "nu18", "aggregate": "sum"},
                "sf": {"column": "age", "table": "sf_persons", "cut": {0: True, 18: False}, "aggregate": "count"},
            },
        },
        weights={"cps": {"column": "weight", "aggregate": "max"}, "sf": "weight"},
        entities={"cps": "tax unit", "sf": "household", "sf_persons": "person"},
        entity="household",
        keys={"cps": "household_id", "sf": "household_id", "sf_persons": "household_id"},
        periods={"cps": 2013, "sf": 1999},
        uprating={"earnings": {1999: 1.4}},
    )
    out = plan.apply({"cps": units, "sf": homes, "sf_persons": members})
    assert len(out["cps"]) == units["household_id"].nunique()
    assert out["cps"]["earnings"].sum() == (units["e00200"] + units["e00900"]).sum()
    assert out["sf"]["earnings"].sum() == pytest.approx(1.4 * members["earnings"].sum())
    assert out["sf"]["children"].sum() == (members["age"] < 18).sum()
    assert coverage(out, weight_col="weight").never_together == ()
    assert check_agreement(out, weight_col="weight") == ()
    monthly = {**out, "sf": out["sf"].assign(earnings=out["sf"]["earnings"] / 12)}
    with pytest.warns(UserWarning, match=r"'earnings': typical amounts .*months and years"):
        check_agreement(monthly, weight_col="weight")
    raw = {"cps": units[["MARS"]], "sf": pd.DataFrame({"MARS": ["single", "joint"]})}
    with pytest.raises(DataError, match="'MARS': numbers against levels"):
        check_agreement(raw)
