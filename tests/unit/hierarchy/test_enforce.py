import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex.errors import ColumnNotFoundError, ConstraintError, DataError, ParameterError
from microplex.hierarchy.enforce import enforce_hierarchy, generate_with_hierarchy
from microplex.hierarchy.members import Members
from microplex.hierarchy.rules import AgeGap, Cardinality, Count, Implied, Linear, LowerBound, Shared, Sum

GAPS = {"spouse_age_diff": {"max": 20}, "child_age": {"max_parent_diff": 15}}
RULES = [
    Cardinality("head", 1, 1, otherwise="other"),
    Cardinality("spouse", 0, 1, otherwise="other"),
    Implied("age < 15", "wage", 0),
    Implied("role == 'spouse'", "status", levels=("married", "separated")),
    Sum("income", ("wage", "rent")),
    Count("workers", "wage > 0"),
    Linear({"hours": 1, "most": -1}),
    LowerBound("ceiling", "wage"),
]
REFERENCE = pd.DataFrame(
    {
        "h": [1, 1, 1, 2, 2, 3, 3, 3],
        "role": ["head", "spouse", "child", "head", "spouse", "head", "child", "child"],
        "age": [40, 38, 12, 60, 66, 45, 20, 3],
        "status": ["married", "married", "single", "separated", "separated", "single", "single", "single"],
        "w": [1.0, 1.0, 1.0, 2.0, 2.0, 0.5, 0.5, 0.5],
    }
)
STATUS = ["single", "married", "separated"]
MODES = [{}, {"mode": "project", "weight_col": "w"}, {"reference": REFERENCE}, {"reference": REFERENCE, "seed": 5}]


@st.composite
def populations(draw):
    """Households of a head and others with any values, few enough that ties and twins are common."""
    homes = draw(st.integers(1, 4))
    sizes = [draw(st.integers(1, 5)) for _ in range(homes)]
    n = sum(sizes)
    column = lambda values: draw(st.lists(st.sampled_from(values), min_size=n, max_size=n))  # noqa: E731
    return (
        pd.DataFrame(
            {
                "h": np.repeat(draw(st.permutations([4, 9, 11, 20, 35]))[:homes], sizes),
                "id": np.arange(n),
                "role": column(["head", "spouse", "child", "other"]),
                "age": column([0, 7, 14, 15, 30, 31, 47, 80]),
                "region": column(["N", "S", "E"]),
                "status": pd.Categorical(column(STATUS), categories=STATUS),
                "wage": column([0.0, 10.5, 0.1, 3e7]),
                "rent": column([0.0, 0.3]),
                "income": column([0.0, 21.0]),
                "workers": column([0, 1, 2]),
                "hours": column([0, 40, 60]),
                "most": column([40, 50]),
                "ceiling": column([0.0, 5e7]),
                "w": column([0.5, 1.0, 3.0]),
            }
        )
        .query("h == h")
        .pipe(_with_head)
    )


def _with_head(frame):
    """Promise each household someone who can be head."""
    return frame.assign(role=np.where(frame["h"].duplicated(), frame["role"], "head"))


def enforce(frame, **options):
    given = {"relationship": "role", "constraints": RULES, **options}
    return enforce_hierarchy(frame, "h", ["region"], GAPS, **given)


@pytest.mark.parametrize("options", MODES, ids=["plain", "weighted", "donor", "donor, other seed"])
@settings(max_examples=12)
@given(frame=populations())
def test_all_rules_hold_afterwards_and_a_second_time_changes_nothing(options, frame):
    once = enforce(frame, **options)
    members = Members.read(once, "h", "role")
    for rule in [*RULES, Shared("region"), AgeGap("head", "spouse", -20, 20), AgeGap(("head", "spouse"), "child", 15)]:
        assert not rule.violations(members).any(), rule
    again, changes = enforce(once, **options, return_changes=True)
    pd.testing.assert_frame_equal(once, again, check_exact=True)
    assert (changes.cells, changes.persons_touched, changes.share) == (0, 0, 0.0)


@pytest.mark.parametrize(
    "options",
    [*MODES, {"shared": "random"}, {"member_id": "id", "reference": REFERENCE}, {"shared": "mean", "weight_col": "w"}],
)
@settings(max_examples=12)
@given(frame=populations(), data=st.data())
def test_neither_the_order_of_rows_nor_other_households_matter(options, frame, data):
    if options.get("shared") == "mean":
        frame = frame.assign(region=frame["region"].map({"N": 0.1, "S": 0.7, "E": 1e6}))
    whole = enforce(frame, **options)
    order = data.draw(st.permutations(range(len(frame))))
    shuffled = enforce(frame.iloc[order], **options)
    pd.testing.assert_frame_equal(shuffled.sort_index(), whole, check_exact=True)
    alone = pd.concat([enforce(part, **options) for _, part in frame.groupby("h", sort=False)])
    pd.testing.assert_frame_equal(alone, whole, check_exact=True)


@settings(max_examples=12)
@given(frame=populations())
def test_twins_without_an_id_are_interchangeable(frame):
    frame = frame.drop(columns="id")
    whole = enforce(frame).reset_index(drop=True)
    turned = enforce(frame.iloc[::-1]).reset_index(drop=True)
    columns = list(whole.columns)
    pd.testing.assert_frame_equal(
        whole.sort_values(columns, ignore_index=True), turned.sort_values(columns, ignore_index=True), check_exact=True
    )


@settings(max_examples=12)
@given(frame=populations())
def test_only_households_that_break_a_rule_change(frame):
    out = enforce(frame)
    for _, part in frame.groupby("h"):
        members = Members.read(part, "h", "role")
        rules = [*RULES, Shared("region"), AgeGap("head", "spouse", -20, 20), AgeGap(("head", "spouse"), "child", 15)]
        if not any(rule.violations(members).any() for rule in rules):
            pd.testing.assert_frame_equal(out.loc[part.index], part, check_exact=True)


def flat():
    return pd.DataFrame(
        {
            "h": [1, 1, 1, 2, 2],
            "role": ["head", "spouse", "child", "head", "child"],
            "age": [40, 75, 30, 50, 60],
            "region": ["N", "S", "N", "E", "E"],
            "wage": [10, 20, 0, 5, 0],
            "income": [0, 0, 0, 5, 5],
            "n": [7, 7, 7, 8, 8],
        }
    )


def test_every_kind_of_frame_comes_back_as_it_was(make_frame, to_pandas):
    frame = make_frame(flat())
    kept = to_pandas(frame).copy()
    out = enforce_hierarchy(
        frame, "h", ["region"], GAPS, relationship="role", constraints=[Sum("income", "wage"), Count("n")]
    )
    assert type(out) is type(frame)
    pd.testing.assert_frame_equal(to_pandas(frame), kept)
    if not isinstance(frame, pd.DataFrame):
        assert out.schema == frame.schema
    found = to_pandas(out)
    assert found.columns.tolist() == kept.columns.tolist()
    assert found["age"].tolist() == [40, 60, 30, 50, 35]
    assert found["region"].tolist() == ["N", "N", "N", "E", "E"]
    assert found["income"].tolist() == [30, 30, 30, 5, 5]
    assert found["n"].tolist() == [3, 3, 3, 2, 2]
    pd.testing.assert_frame_equal(to_pandas(enforce_hierarchy(frame, "h", relationship="role")), kept)


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64", "Int32", "Float64", "int64[pyarrow]", object])
def test_column_types_are_kept(dtype):
    frame = flat().astype({"age": dtype, "income": dtype})
    out = enforce_hierarchy(frame, "h", ["region"], GAPS, relationship="role", constraints=[Sum("income", "wage")])
    assert out.dtypes.tolist() == frame.dtypes.tolist()
    assert out["age"].tolist() == [40, 60, 30, 50, 35]
    assert out["income"].tolist() == [30, 30, 30, 5, 5]


@pytest.mark.parametrize("dtype", ["str", "category", object, "string", "string[pyarrow]"])
def test_text_columns_are_kept(dtype):
    frame = flat().astype({"region": dtype, "role": dtype})
    out = enforce_hierarchy(frame, "h", ["region"], relationship="role", constraints=["n == 8 -> region == 'S'"])
    assert out.dtypes.tolist() == frame.dtypes.tolist()
    assert out["region"].tolist() == ["N", "N", "N", "S", "S"]


def test_dates_and_booleans_can_be_shared(make_frame, to_pandas):
    frame = flat().assign(
        moved=pd.to_datetime(["2020-01-02"] + ["2021-05-05"] * 4), owner=[True, False, True, True, True]
    )
    out = to_pandas(enforce_hierarchy(make_frame(frame), "h", ["moved", "owner"], relationship="role"))
    assert pd.to_datetime(out["moved"]).dt.year.tolist() == [2020, 2020, 2020, 2021, 2021]
    assert out["owner"].tolist() == [True] * 5


def test_text_and_roles_are_written_in_every_kind_of_frame(make_frame, to_pandas):
    frame = make_frame(flat().assign(role=["head", "head", "child", "head", "child"]))
    rules = [Cardinality("head", 1, 1, otherwise="other"), "role == 'other' -> region == 'Q'", "age > 70 -> wage == 1"]
    out = enforce_hierarchy(frame, "h", relationship="role", constraints=rules)
    assert type(out) is type(frame)
    found = to_pandas(out)
    assert found["role"].tolist() == ["other", "head", "child", "head", "child"]
    assert found["region"].tolist() == ["Q", "S", "N", "E", "E"]
    assert found["wage"].tolist() == [10, 1, 0, 5, 0]
    if not isinstance(frame, pd.DataFrame):
        assert out.schema == frame.schema


def test_arrow_dictionaries_and_polars_enums_are_kept():
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    table = pa.Table.from_pandas(flat().astype({"region": "category"}), preserve_index=False)
    enum = pl.from_pandas(flat()).with_columns(pl.col("region").cast(pl.Enum(["N", "S", "E"])))
    for frame in (table, enum):
        out = enforce_hierarchy(frame, "h", ["region"], relationship="role", constraints=["n == 8 -> region == 'S'"])
        assert out.schema == frame.schema
        found = out["region"].to_pylist() if frame is table else out["region"].to_list()
        assert found == ["N", "N", "N", "S", "S"]


def test_a_pandas_index_is_kept_even_if_it_repeats():
    frame = flat().set_index(pd.Index([5, 5, 3, 3, 5], name="who"))
    out = enforce_hierarchy(frame, "h", ["region"], GAPS, relationship="role")
    pd.testing.assert_index_equal(out.index, frame.index)
    assert out["region"].tolist() == ["N", "N", "N", "E", "E"]


def test_the_founding_call_goes_by_position_and_says_so():
    frame = flat().drop(columns="role")
    with pytest.warns(UserWarning, match="roles go by position"):
        out = enforce_hierarchy(frame, household_id="h", shared_vars=["region"], relationship_constraints=GAPS)
    # The second row of household 2 counts as a spouse of 60, which fits.
    assert out["age"].tolist() == [40, 60, 30, 50, 60]
    with pytest.warns(UserWarning, match="roles go by position"):
        asked = enforce_hierarchy(frame, "h", constraints=[AgeGap("head", "spouse", -5, 5)], positional=True)
    assert asked["age"].tolist()[3:] == [50, 55]
    with pytest.raises(ParameterError, match="relationship="):
        enforce_hierarchy(frame, "h", constraints=[AgeGap("head", "spouse", -5, 5)])


def test_codes_are_mapped_to_roles():
    frame = flat().assign(role=[1, 2, 3, 1, 3])
    codes = {1: "head", 2: "spouse", 3: "child", 9: "other"}
    out = enforce_hierarchy(frame, "h", [], GAPS, relationship="role", roles=codes)
    assert out["age"].tolist() == [40, 60, 30, 50, 35]
    one = enforce_hierarchy(
        frame.assign(role=[1, 1, 3, 1, 3]), "h", relationship="role", roles=codes,
        constraints=[Cardinality("head", 1, 1, otherwise="other")],
    )  # fmt: skip
    assert one["role"].tolist() == [9, 1, 3, 1, 3]


@pytest.mark.parametrize(("source", "expected"), [("head", 10), ("mode", 30), ("mean", 23), ("household", 10)])
def test_sources_of_shared_variables(source, expected):
    frame = pd.DataFrame(
        {"h": 1, "role": ["child", "head", "child", "child"], "x": [30, 10, 20, 30], "w": [1.0, 2.0, 1.0, 3.0]}
    )
    out = enforce_hierarchy(frame, "h", ["x"], relationship="role", weight_col="w", shared=source)
    assert out["x"].tolist() == [expected] * 4


def test_the_household_table_has_the_last_word():
    households = pd.DataFrame({"h": [2, 1], "region": ["S", "E"], "income": [4.0, 9.0], "other": [0, 0]})
    out = enforce_hierarchy(flat(), "h", ["region", "income", "n"], relationship="role", households=households)
    assert out["region"].tolist() == ["E", "E", "E", "S", "S"]
    assert out["income"].tolist() == [9, 9, 9, 4, 4]
    assert out["n"].tolist() == [7, 7, 7, 8, 8]


def test_a_random_member_is_each_member_equally_often():
    n = 6_000
    frame = pd.DataFrame({"h": np.repeat(np.arange(n), 3), "x": np.tile([1, 2, 3], n)})
    out = enforce_hierarchy(frame, "h", ["x"], seed=3)
    share = out.drop_duplicates("h")["x"].value_counts(normalize=True)
    assert np.abs(share - 1 / 3).max() < 0.025  # 4 standard errors
    assert not out.equals(enforce_hierarchy(frame, "h", ["x"], seed=4))


def test_a_head_without_a_value_is_passed_over():
    frame = pd.DataFrame({"h": [1, 1], "role": ["head", "child"], "x": [np.nan, 4.0]})
    assert enforce_hierarchy(frame, "h", ["x"], relationship="role")["x"].tolist() == [4.0, 4.0]


def test_implied_values_follow_an_age_across_a_cut():
    frame = pd.DataFrame({"h": [1, 1], "role": ["head", "child"], "age": [30, 25], "wage": [5, 9], "total": [0, 0]})
    rules = ["age < 15 -> wage == 0", Sum("total", "wage"), AgeGap("head", "child", 18)]
    out = enforce_hierarchy(frame, "h", relationship="role", constraints=rules)
    assert out.values.tolist() == [[1, "head", 30, 5, 5], [1, "child", 12, 0, 5]]


def test_implied_levels_are_drawn_from_the_same_role_of_the_reference():
    n = 4_000
    frame = pd.DataFrame({"h": np.arange(n), "role": "spouse", "age": 40, "status": "single"})
    rule = Implied("role == 'spouse'", "status", levels=("married", "separated", "widowed"))
    out = enforce_hierarchy(frame, "h", relationship="role", constraints=[rule], reference=REFERENCE, weight_col=None)
    assert abs((out["status"] == "married").mean() - 0.5) < 0.032  # one of two spouses; 4 standard errors
    weighted = enforce_hierarchy(
        frame.assign(w=1.0), "h", relationship="role", constraints=[rule], reference=REFERENCE, weight_col="w"
    )
    assert abs((weighted["status"] == "married").mean() - 1 / 3) < 0.03
    plain = enforce_hierarchy(frame, "h", relationship="role", constraints=[rule])
    assert set(plain["status"]) == {"married"}


def test_the_log_tells_what_changed():
    frame = flat().assign(w=[1.0, 1.0, 1.0, 2.0, 2.0])
    out, changes = enforce_hierarchy(
        frame, "h", ["region"], GAPS, relationship="role", constraints=[Sum("income", "wage")], weight_col="w",
        return_changes=True,
    )  # fmt: skip
    table = changes.frame.set_index("column")
    assert table.loc["age", ["cells", "households", "moved"]].tolist() == [2, 2, 15 + 2 * 25]
    assert table.loc["age", "share"] == pytest.approx(3 / 7)
    assert table.loc["region", "cells"] == 1
    assert np.isnan(table.loc["region", "moved"])
    assert table.loc["income", ["cells", "moved"]].tolist() == [3, 90]
    assert (changes.cells, changes.persons_touched, changes.households_touched) == (6, 4, 2)
    assert changes.share == pytest.approx(5 / 7)
    assert "4 of 5 persons (71.4% by weight) in 2 of 2 households changed" in str(changes)
    assert int((out != frame).to_numpy().sum()) == changes.cells


def test_a_row_of_weight_three_counts_as_three_in_the_log():
    frame = flat().assign(w=[3.0] * 3 + [1.0] * 2)
    thrice = pd.concat([frame, frame[:3].assign(h=8), frame[:3].assign(h=9)]).assign(w=1.0)
    options = {"relationship": "role", "weight_col": "w", "return_changes": True}
    a, b = (enforce_hierarchy(f, "h", ["region"], GAPS, **options)[1].frame for f in (frame, thrice))
    pd.testing.assert_frame_equal(a[["column", "share", "moved"]], b[["column", "share", "moved"]])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"shared_vars": ["regoin"]}, ColumnNotFoundError, "Did you mean 'region'"),
        ({"shared_vars": "region"}, ParameterError, "must be a list"),
        ({"household_id": "hh"}, ColumnNotFoundError, "hh"),
        ({"relationship": "rol"}, ColumnNotFoundError, "Did you mean 'role'"),
        ({"relationship_constraints": {"spouse_age": {"max": 3}}}, ParameterError, "Did you mean 'spouse_age_diff'"),
        ({"mode": "doner"}, ParameterError, "Did you mean 'donor'"),
        ({"mode": "donor"}, ParameterError, "reference="),
        ({"totals": "sum"}, ParameterError, "totals must be"),
        ({"seed": -1}, ParameterError, "seed"),
        ({"age_range": (50, 20)}, ParameterError, "age_range"),
        ({"constraints": [Cardinality("head", 2)]}, ConstraintError, "household 1, which has 1"),
        ({"constraints": [Cardinality("head", 3, otherwise="child")]}, ConstraintError, "too few members"),
        ({"constraints": [Implied("age > 5", "region", "W")]}, None, ""),
        ({"constraints": [Implied("age > 5", "wage", "W")]}, ConstraintError, "holds numbers"),
        ({"constraints": [Shared("h")]}, ConstraintError, "never changed"),
        ({"constraints": [Implied("age > 5", "role", "child")]}, ConstraintError, "only Cardinality"),
        ({"member_id": "n"}, DataError, "7 of row 1 is twice in its household"),
        ({"households": pd.DataFrame({"h": [1]})}, DataError, "household 2 of row 3 is not in the household table"),
        ({"households": pd.DataFrame({"h": [1, 2, 2]})}, DataError, "household 2 twice"),
        ({"constraints": [AgeGap("head", "child", 15)], "age_range": (30, 40)}, ConstraintError, "in household 2"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_place(options, error, words):
    arguments = {"data": flat(), "household_id": "h", "relationship": "role", **options}
    if error is None:
        assert set(enforce_hierarchy(**arguments)["region"]) == {"W"}
        return
    with pytest.raises(error, match=words):
        enforce_hierarchy(**arguments)


def test_values_that_a_column_cannot_hold_are_an_error(make_frame):
    frame = flat().assign(small=np.array([1] * 5, dtype="int8"), wage=[1000] * 5)
    with pytest.raises(DataError, match="cannot hold"):
        enforce_hierarchy(make_frame(frame), "h", constraints=[Sum("small", "wage")])
    category = flat().astype({"region": "category"})
    with pytest.raises(DataError, match="cannot hold"):
        enforce_hierarchy(category, "h", constraints=["age > 5 -> region == 'W'"])


def test_rules_that_clash_in_a_household_only_are_named():
    rules = [Implied("age < 35", "wage", 0), Implied("role == 'child'", "wage", 1)]
    with pytest.raises(ConstraintError, match=r"contradictory rules.*row 2 of household 1") as error:
        enforce_hierarchy(flat(), "h", relationship="role", constraints=rules)
    assert all(str(rule) in str(error.value) for rule in rules)


def test_surplus_heads_become_others_the_youngest_first():
    frame = pd.DataFrame({"h": [1, 1, 1, 2, 2], "role": ["head"] * 3 + ["other"] * 2, "age": [30, 50, 40, 20, 33]})
    out = enforce_hierarchy(frame, "h", relationship="role", constraints=[Cardinality("head", 1, 1, otherwise="other")])
    assert out["role"].tolist() == ["other", "head", "other", "other", "head"]


class Copies:
    """A model that returns what it is given, with a column of its own."""

    def generate(self, conditions, *, seed, id_col, first_row):
        place = np.arange(first_row, first_row + len(conditions))
        return conditions.assign(rent=(place + seed) * 10, key=id_col)


def test_generate_with_hierarchy_generates_and_enforces():
    options = {"relationship": "role", "constraints": [Sum("income", "wage")]}
    out = generate_with_hierarchy(Copies(), flat(), "h", ["rent"], GAPS, seed=2, id_col="n", first_row=5, **options)
    assert out["rent"].tolist() == [70, 70, 70, 100, 100]
    assert out["key"].tolist() == ["n"] * 5
    assert out["age"].tolist() == [40, 60, 30, 50, 35]
    _, changes = generate_with_hierarchy(Copies(), flat(), "h", ["rent"], relationship="role", return_changes=True)
    assert changes.cells == 3
    with pytest.raises(ColumnNotFoundError, match="household id"):
        generate_with_hierarchy(Copies(), flat(), "household", ["rent"])
