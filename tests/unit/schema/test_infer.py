import numpy as np
import pandas as pd
import pytest

from microplex.errors import DataError
from microplex.schema import Schema
from microplex.schema.infer import MAX_ATOMS

RNG = np.random.default_rng


def infer(values, **options):
    return Schema.infer(pd.DataFrame({"x": values}), **options)["x"]


def amounts(n=4000, zero=0.3, seed=0):
    rng = RNG(seed)
    values = rng.lognormal(10, 1, n).round()
    values[rng.random(n) < zero] = 0
    return values


def test_zero_inflated_amounts():
    column = infer(amounts())
    assert column.kind == "semicontinuous"
    assert column.atoms == (0.0,)
    assert (column.lower, column.upper, column.resolution) == (0.0, None, 1.0)


def test_continuous_amounts():
    column = infer(RNG(0).normal(0, 1, 500))
    assert column.kind == "continuous"
    assert (column.lower, column.upper, column.resolution, column.atoms) == (None, None, None, ())


@pytest.mark.parametrize(
    "values",
    [[0, 1] * 50, list(range(90)), RNG(0).poisson(3, 500), np.repeat([0, 3300, 6600], 40), [7] * 20],
    ids=["binary", "ages", "counts", "amounts shared by many", "constant"],
)
def test_few_integers_are_counts(values):
    column = infer(values)
    assert column.kind == "count"
    assert column.atoms == ()
    assert column.resolution == 1.0
    assert column.heaps == ()


def test_few_distinct_amounts_that_rows_do_not_share_are_no_codes():
    values = np.zeros(3000)
    values[:60] = RNG(0).choice(90000, 60, replace=False) + 1
    column = infer(values)
    assert column.kind == "semicontinuous"
    assert column.atoms == (0.0,)


def test_whole_floats_count_too():
    assert infer(np.array([1.0, 2.0, np.nan, 3.0])).kind == "count"


def test_few_decimals_are_atoms_if_shared():
    column = infer([1.5] * 10 + [2.5] * 10 + [9.75])
    assert column.kind == "semicontinuous"
    assert column.atoms == (1.5, 2.5)


def test_min_rows_guards_atoms():
    values = np.r_[np.repeat([10.5, 20.5], 5), RNG(0).normal(50, 10, 90)]
    assert infer(values).atoms == (10.5, 20.5)
    assert infer(values, min_rows=6).atoms == ()
    assert infer(np.r_[np.repeat(10.5, 2), RNG(0).normal(50, 10, 98)], min_rows=1).atoms == ()


def test_atoms_are_at_most_32():
    values = np.r_[np.repeat(np.arange(1, 80) * 1000.0, 30), RNG(0).lognormal(10, 1, 1000)]
    column = infer(values)
    assert len(column.atoms) == MAX_ATOMS


def test_top_code():
    values = np.minimum(amounts(zero=0.2), 100_000)
    column = infer(values)
    assert column.top_code == column.upper == 100_000
    assert 100_000 in column.atoms
    assert column.bottom_code is None


def test_bottom_code_of_losses():
    values = np.maximum(RNG(0).normal(0, 5000, 5000).round(), -9999)
    column = infer(values)
    assert column.bottom_code == column.lower == -9999
    assert column.top_code is None
    assert column.upper is None


def test_a_clipped_positive_start_is_a_bottom_code():
    column = infer(np.maximum(RNG(0).normal(45, 15, 5000), 18))
    assert column.bottom_code == column.lower == 18.0


def test_a_natural_maximum_is_no_top_code():
    for seed in range(20):
        column = infer(amounts(seed=seed))
        assert column.top_code is None


def test_losses_only_end_at_zero():
    column = infer(-amounts())
    assert (column.lower, column.upper) == (None, 0.0)
    assert column.top_code is None


def test_top_coded_count():
    ages = np.minimum(RNG(0).integers(0, 100, 5000), 85)
    assert infer(ages).top_code == 85.0


def test_missing_is_a_level():
    assert infer([1.0, np.nan]).missing == "level"
    assert infer(["a", None]).missing == "level"
    assert infer([1.0, 2.0]).missing == "none"


@pytest.mark.parametrize("dtype", ["float64", "object", "Int64", "boolean", "category"])
def test_all_missing(dtype):
    column = infer(pd.array([None, None], dtype=dtype) if dtype != "float64" else [np.nan, np.nan])
    assert column.missing == "level"
    assert Schema.from_yaml(Schema((column,)).to_yaml())["x"] == column


def test_text_and_categories():
    assert infer(["b", "a", "b"]).levels == ("a", "b")
    ordered = infer(pd.Categorical(["lo", "hi"], categories=["lo", "mid", "hi"], ordered=True))
    assert (ordered.kind, ordered.levels, ordered.dtype) == ("ordinal", ("lo", "mid", "hi"), "category")
    assert infer(pd.Categorical([1, 2, 1])).levels == (1, 2)


def test_truth_values():
    column = infer([True, False, True])
    assert (column.kind, column.levels) == ("boolean", (False, True))


def test_dates():
    days = infer(pd.to_datetime(["2024-01-01", "2024-03-01"]))
    assert (days.kind, days.dtype, days.resolution) == ("date", "datetime", 86400.0)
    assert infer(pd.to_datetime(["2024-01-01 10:00", "2024-03-01 00:00"])).resolution == 3600.0
    assert infer(pd.to_datetime(["2024-01-01 10:00:01.5", "2024-03-01 00:00:00.0"])).resolution is None


def test_infinite_values_are_refused():
    with pytest.raises(DataError, match="row 1"):
        infer([1.0, np.inf])


def test_mixed_types_are_refused():
    with pytest.raises(DataError, match="x"):
        infer(pd.Series([1, "a"], dtype=object))


def test_heaped_survey_amounts():
    values = amounts(n=20000)
    values[:5000] = (values[:5000] / 1000).round() * 1000
    column = infer(values)
    assert column.heaps == (1000.0,)
    assert column.resolution == 1.0


def test_given_kind_keeps_the_rest():
    column = infer([1, 2, 3] * 10, kinds={"x": "continuous"})
    assert column.kind == "continuous"
    assert column.atoms == (1.0, 2.0, 3.0)
