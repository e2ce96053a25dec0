import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, InfeasibleTargetsError, ParameterError
from microplex.targets import Target, build_design


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "household_id": [1, 2, 3, 4],
            "state": ["CA", "CA", "NY", "TX"],
            "rent": [0.0, 5.0, 7.0, 0.0],
            "weight": [1.0, 2.0, 3.0, 4.0],
        }
    )


@pytest.fixture
def persons():
    return pd.DataFrame({"household_id": [1, 1, 3, 4], "age": [3, 40, 80, 20], "state": ["CA", "CA", "NY", "TX"]})


def refused(error, problem, frame, targets, **arguments):
    copies = {
        name: table.copy() for name, table in {"frame": frame, **arguments}.items() if isinstance(table, pd.DataFrame)
    }
    with pytest.raises(error, match=problem) as caught:
        build_design(frame, targets, **arguments)
    for name, copy in copies.items():
        pd.testing.assert_frame_equal(copy, frame if name == "frame" else arguments[name])
    return str(caught.value)


def test_unknown_category(frame):
    text = refused(InfeasibleTargetsError, "target 'count, state=CAL'", frame, [Target(5, by={"state": "CAL"})])
    assert text == (
        "target 'count, state=CAL': no record has state='CAL' (have 'CA', 'NY', 'TX'). Did you mean 'CA'?"
        " Its figure is 5."
    )


def test_all_targets_without_support_are_listed(frame):
    targets = [
        Target(5, by={"state": "XX"}),
        Target(10),
        Target(6, by={"state": "TX"}, where="rent > 3"),
        Target(7, "rent", by={"state": "TX"}),
        Target.mean(8, "rent", where="rent > 100"),
        Target(0, by={"state": "YY"}),
        Target.share(0.5, {"state": "ZZ"}),
    ]
    text = refused(InfeasibleTargetsError, "5 targets cannot be met", frame, targets)
    for words in ("state=XX", "where rent > 3, state=TX", "nonzero rent", "mean rent where", "state=ZZ"):
        assert words in text
    assert "YY" not in text
    kept = build_design(frame, targets, on_infeasible="keep")
    assert kept.support.tolist() == [0, 4, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("category", ["XX", "PR"])
def test_empty_categories_with_a_total_of_zero_are_fine(frame, category):
    frame["state"] = pd.Categorical(frame["state"], categories=["CA", "NY", "PR", "TX"])
    built = build_design(frame, [Target(0, by={"state": category})])
    assert built.design.nnz == 0
    assert built.support.tolist() == [0]


def test_signs_that_no_record_has(frame):
    text = refused(InfeasibleTargetsError, "the total is negative", frame, [Target(-5, "rent")])
    assert text == "target 'rent': the total is negative (-5), but no record has a negative rent."
    losses = frame.assign(loss=-frame["rent"])
    refused(InfeasibleTargetsError, "positive \\(5\\), but no record has a positive loss", losses, [Target(5, "loss")])
    build_design(frame.assign(net=[1.0, -1, 2, 3]), [Target(-5, "net")])


@pytest.mark.parametrize(
    ("target", "side"),
    [
        (Target.mean(90, "rent"), "below 90"),
        (Target.mean(-1, "rent"), "above -1"),
        (Target.quantile(-1, "rent"), "above -1"),
        (Target.quantile(100, "rent"), "below 100"),
        (Target.ratio(9, "rent", "weight"), "below 9"),
    ],
)
def test_figures_that_no_record_reaches(frame, target, side):
    refused(InfeasibleTargetsError, f"every one of its 4 records lies (at or )?{side}", frame, [target])


def test_duplicates_that_disagree(frame):
    targets = [Target(5, by={"state": "CA"}), Target(6, by={"state": "CA"}, entity="households"), Target(7, "rent")]
    text = refused(InfeasibleTargetsError, "same definition", frame, targets)
    assert "'count, state=CA' (number 0) is 5" in text
    assert "(number 1), of the same definition, is 6." in text
    assert build_design(frame, targets, on_infeasible="keep").totals.tolist() == [5, 6, 7]
    for first, second in ((0.1, 0.0), (0.0, 0.1)):
        near = [Target(5, "rent", tolerance=first), Target(5.4, "rent", tolerance=second), Target(5, "rent")]
        assert build_design(frame, near[: 2 + (first > 0)]).design.nnz >= 4


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ([1, -2, 3, 4], "weights \\(column 'weight'\\) must be finite and not negative; row 1 has -2"),
        ([1, 2, np.nan, 4], "row 2 has nan"),
        ([1, 2, np.inf, 4], "row 2 has inf"),
        ([0, 0, 0, 0], "positive sum; all 4 weights are 0"),
        (["a", "b", "c", "d"], "must hold numbers; it is string"),
    ],
)
def test_weights(frame, weights, problem):
    refused(DataError, problem, frame.assign(weight=weights), [Target(5)])


def test_absent_weights(frame):
    refused(ColumnNotFoundError, "'wieght' not in data. Did you mean 'weight'", frame, [Target(5)], weight_col="wieght")


@pytest.mark.parametrize(
    ("target", "column"),
    [
        (Target(5, "rent"), "rent"),
        (Target(5, by={"rent": 5}), "rent"),
        (Target(5, where="rent > 3"), "rent"),
        (Target.mean(5, "rent"), "rent"),
        (Target.ratio(1, "weight", "rent"), "rent"),
    ],
)
def test_missing_values_in_a_used_column(frame, target, column):
    frame["rent"] = [np.nan, 5, np.nan, 1]
    text = refused(DataError, f"column '{column}' of households is missing in 2 rows, first in row 0", frame, [target])
    assert target.name in text
    assert "notna(rent)" in text


def test_missing_values_out_of_the_domain_do_no_harm(frame):
    frame["rent"] = [np.nan, 5, 7, 1]
    built = build_design(frame, [Target(5, "rent", where="state != 'CA'"), Target(6, "rent", by={"state": "NY"})])
    assert built.design.toarray().tolist() == [[0, 0, 7, 1], [0, 0, 7, 0]]
    refused(DataError, "missing in 1 rows, first in row 0", frame, [Target(5, "rent", by={"state": "CA"})])


def test_infinite_values(frame):
    frame["rent"] = [1, np.inf, 2, 3]
    refused(DataError, "column 'rent' must be finite; row 1 has inf", frame, [Target(5, "rent")])


def test_text_cannot_be_summed(frame):
    refused(
        DataError,
        r"column 'state' of households is string \(such as 'CA'\); a total needs numbers. .* by=\{'state': ...\}",
        frame,
        [Target(5, "state")],
    )


def test_dates_make_no_cells(frame):
    frame["day"] = pd.to_datetime("2020-01-01")
    refused(DataError, "column 'day' holds dates", frame, [Target(5, by={"day": "2020-01-01"})])


def test_repeated_household_ids(frame, persons):
    frame["household_id"] = [1, 2, 1, 1]
    text = "household_id must be unique; row 2 repeats 1 \\(2 such rows\\)"
    refused(DataError, text, frame, [Target(5)], persons=persons)
    build_design(frame, [Target(5)])


@pytest.mark.parametrize("ids", [[1, 1, 9, 8], ["1", "1", "9", "8"]])
def test_persons_without_a_household(frame, persons, ids):
    persons["household_id"] = ids
    if isinstance(ids[0], str):
        refused(DataError, "household_id is text in one table and a number", frame, [Target(5)], persons=persons)
        frame["household_id"] = frame["household_id"].astype(str)
    first = "'9'" if isinstance(ids[0], str) else "9"
    text = f"persons: 2 rows have no row to belong to, first row 2 with household_id={first}"
    refused(DataError, text, frame, [Target(5)], persons=persons)


def test_missing_ids(frame, persons):
    refused(
        ColumnNotFoundError,
        "persons id column 'household_id' not in data",
        frame,
        [Target(5)],
        persons=persons[["age"]],
    )
    refused(ColumnNotFoundError, "frame id column 'hid' not in data", frame, [Target(5)], persons=persons, id_col="hid")
    persons["household_id"] = [1, None, 3, 4]
    refused(
        DataError, "persons: household_id is missing in 1 rows, first in row 1", frame, [Target(5)], persons=persons
    )


def test_ids_beyond_exact_numbers(frame, persons):
    frame["household_id"] = [2**53 + i for i in range(4)]
    refused(DataError, "household_id in row 0 is too large to be exact", frame, [Target(5)], persons=persons)


@pytest.mark.parametrize("target", [Target(5, where="age < 18"), Target(5, "age"), Target(5, by={"age": 3})])
def test_person_columns_without_persons(frame, persons, target):
    text = refused(ColumnNotFoundError, "column 'age' is not in the frame", frame, [target])
    assert "pass that table (persons= or tax_units=)" in text
    build_design(frame, [target], persons=persons)


def test_persons_asked_for_without_persons(frame):
    refused(DataError, "is about persons: pass persons=, the table", frame, [Target(5, entity="persons")])
    refused(DataError, "is about tax_units: pass tax_units=", frame, [Target(5, entity="tax_units")])


def test_unknown_columns(frame, persons):
    refused(
        ColumnNotFoundError,
        "column 'stat' is not in the frame. Did you mean 'state'",
        frame,
        [Target(5, by={"stat": 1})],
    )
    text = refused(ColumnNotFoundError, "column 'CA' is not in the frame", frame, [Target(5, where="state == CA")])
    assert "text stands in quotes" in text
    refused(
        ColumnNotFoundError,
        "column 'age' is not in the frame. It is a column of persons",
        frame,
        [Target(5, "rent", where="age < 18")],
        persons=persons,
    )
    refused(
        ColumnNotFoundError,
        "column 'rent' is not in persons. It is a column of households",
        frame,
        [Target(5, "rent", entity="persons")],
        persons=persons,
    )


def test_a_filter_that_compares_text_with_numbers_names_the_target(frame):
    refused(DataError, "target 'count where state > 3': filter: column 'state'", frame, [Target(5, where="state > 3")])


@pytest.mark.parametrize("targets", [[], {}, ()])
def test_no_targets(frame, targets):
    refused(ParameterError, "there are no targets", frame, targets)


def test_no_rows(frame):
    refused(DataError, "has no rows", frame.iloc[:0], [Target(5)])


@pytest.mark.parametrize(
    ("crosswalk", "problem"),
    [
        ({"county": ["CA"], "region": ["W"]}, "must share one column; they share none. The crosswalk has 'county'"),
        ({"state": ["CA"], "rent": [1], "region": ["W"]}, "they share 'state', 'rent'. Keep the finest"),
        ({"state": ["CA", "NY"], "region": ["W", "E"]}, "crosswalk has no row for state='TX' of the frame \\(1 such"),
        (
            {"state": ["CA", "NY", "TX", "NY"], "region": ["W", "E", "S", "N"]},
            "state='NY' has several rows, with region='E' and region='N'",
        ),
    ],
)
def test_crosswalks_that_do_not_fit(frame, crosswalk, problem):
    refused(DataError, problem, frame, [Target(5, by={"region": "W"})], crosswalk=pd.DataFrame(crosswalk))


def test_a_choice(frame):
    refused(
        ParameterError,
        "on_infeasible must be one of 'raise', 'keep'; got 'drop'",
        frame,
        [Target(5)],
        on_infeasible="drop",
    )
