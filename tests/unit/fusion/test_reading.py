import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.fusion.reading import read_sources, read_weights

N = 60


def frame(**columns):
    return pd.DataFrame({"age": np.arange(N) % 50, **columns})


def read(frames, variables=("age",), weights=None, **options):
    weights = weights or read_weights(frames, None)
    of = {v: tuple(s for s, f in frames.items() if v in f) for v in variables}
    return read_sources(frames, list(variables), weights, of, options.get("schema"), options.get("kinds"))


def test_weights_of_all_sources_sum_to_the_largest_population():
    found = read_weights({"a": frame(w=2.0), "b": frame(w=5.0)}, "w")
    assert found["a"].sum() == pytest.approx(5.0 * N)
    assert found["b"].tolist() == [5.0] * N


def test_weights_in_one_source_only_are_warned_about_and_the_others_count_equally():
    with pytest.warns(UserWarning, match="source 'b' has no weights while 'a' has: its rows count equally"):
        found = read_weights({"a": frame(w=2.0), "b": frame()}, "w")
    assert found["b"].tolist() == [2.0] * N


@pytest.mark.parametrize(
    ("weight_col", "error", "text"),
    [
        ("wt", ColumnNotFoundError, "weight column 'wt' not in data"),
        ({"c": "w"}, ParameterError, "weight_col names 'c', which is no source"),
        ({"a": "ww"}, ColumnNotFoundError, "weight of source 'a':"),
        ({"a": "name"}, DataError, "must hold numbers"),
    ],
)
def test_wrong_weights_are_refused(weight_col, error, text):
    with pytest.raises(error, match=text):
        read_weights({"a": frame(w=1.0, name="x"), "b": frame()}, weight_col)


def test_sources_count_by_their_effective_size_and_rows_by_their_weight():
    uneven = np.where(np.arange(N) < N // 2, 1.0, 3.0)
    frames = {"a": frame(w=uneven), "b": frame(w=1.0)}
    data = read(frames, weights=read_weights(frames, "w"))
    pooled = data.pooled_weights(np.arange(2 * N))
    a, b = pooled[:N], pooled[N:]
    assert a.sum() / b.sum() == pytest.approx(0.8)  # Kish: (1 + 3)^2 / (2 (1 + 9))
    assert a[-1] / a[0] == pytest.approx(3.0)
    assert pooled.mean() == pytest.approx(1.0)


def test_a_row_of_weight_three_counts_in_its_source_as_three_rows():
    one = frame(w=np.where(np.arange(N) == 7, 3.0, 1.0))
    three = pd.concat([frame(w=1.0), one.iloc[[7, 7]].assign(w=1.0)], ignore_index=True)
    shares = []
    for part in (one, three):
        data = read({"a": part, "b": frame(w=1.0)}, weights=read_weights({"a": part, "b": frame(w=1.0)}, "w"))
        own = data.pooled_weights(data.of(["a"]))
        shares.append(own[part["age"] == 7].sum() / own.sum())
    assert shares[0] == pytest.approx(shares[1])


def test_what_a_source_lacks_is_not_observed_and_missing_answers_are_no_outcome():
    frames = {"a": frame(rent=np.where(np.arange(N) == 3, np.nan, 500.0)), "b": frame()}
    data = read(frames, ("age", "rent"))
    assert data.rows.seen["rent"].sum() == N - 1
    assert data.schema["rent"].missing == "unobserved"


def test_levels_are_those_of_all_sources():
    frames = {"a": frame(home="own"), "b": frame(home=np.where(np.arange(N) % 2 == 0, "own", "rent"))}
    data = read(frames, ("age", "home"))
    assert data.schema["home"].levels == ("own", "rent")
    assert data.rows.values["home"][N : N + 2].tolist() == [0, 1]


def test_rows_of_weight_zero_are_left_out():
    frames = {"a": pd.concat([frame(w=1.0), frame(w=0.0)], ignore_index=True), "b": frame(w=1.0)}
    assert read(frames, weights=read_weights(frames, "w")).rows.n == 2 * N


@pytest.mark.parametrize(
    ("b", "text"),
    [
        (frame(rent=np.nan), "variable 'rent' has no value at all in source 'b'"),
        (frame(rent="much"), "holds numbers in one source and levels in another"),
        (frame(rent=np.where(np.arange(N) == 4, np.inf, 1.0)), "'rent' must be finite; row 64 has inf"),
        (frame(rent=1.0).head(20), "source 'b' needs at least 50 rows of positive weight, got 20"),
        (
            frame(rent=1.0).astype({"age": float}).where(lambda f: f["age"] != 9),
            "row 9 of source 'b' has no value at all",
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(b, text):
    with pytest.raises(DataError) as caught:
        read({"a": frame(rent=5.0), "b": b}, ("age", "rent"))
    assert text in str(caught.value)
