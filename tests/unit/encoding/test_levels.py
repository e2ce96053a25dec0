"""Codes of categories."""

import numpy as np
import pandas as pd
import pytest

from microplex.encoding.levels import LevelCodec, hurdle_code, one_hot
from microplex.frames import build_frame, read_column
from microplex.schema import Column, Schema


def column(levels=("a", "b", "c"), kind="categorical", dtype="string", **described):
    return Column("x", kind, dtype, levels=levels, **described)


def read(values, schema_column):
    return LevelCodec(schema_column).read(read_column(pd.DataFrame({"x": values}), "x"))


def test_levels_keep_their_place_whatever_the_table_holds():
    assert read(["c", "a", "c"], column()).tolist() == [2, 0, 2]
    assert read(pd.Categorical(["c", "a"], categories=["c", "zz", "a"]), column()).tolist() == [2, 0]


def test_unseen_and_missing_values():
    values = ["a", None, "zz"]
    assert read(values, column()).tolist() == [0, -1, -2]
    assert read(values, column(missing="level")).tolist() == [0, 3, -2]


def test_numbers_declared_as_levels():
    coded = column(levels=(1, 2, 7), dtype="float", missing="level")
    assert read([7.0, np.nan, 1.0, 3.0], coded).tolist() == [2, 3, 0, -2]


FRAMES = {
    "strings": ["a", "b", None, "c"] * 20,
    "category": pd.Categorical(["a", "b", None, "c"] * 20),
    "ordered": pd.Categorical(["lo", "hi", None, "mid"] * 20, categories=["lo", "mid", "hi"], ordered=True),
    "truth values": [True, False, False, True] * 20,
    "one level": ["only"] * 80,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_what_was_read_is_written_back(kind):
    frame = pd.DataFrame({"x": FRAMES[kind]})
    codec = LevelCodec(Schema.infer(frame)["x"])
    codes = codec.read(read_column(frame, "x"))
    assert codes.min() >= 0
    assert codes.max() == codec.n_codes - 1
    pd.testing.assert_frame_equal(build_frame({"x": codec.write(codes)}, frame), frame)


def test_whole_numbers_stay_whole_unless_some_are_missing():
    codec = LevelCodec(column(levels=(1, 2, 7), dtype="int", missing="level"))
    assert codec.write(np.array([2, 0])).dtype == np.int64
    assert np.array_equal(codec.write(np.array([2, 3])), [7.0, np.nan], equal_nan=True)


def test_the_network_sees_smoothed_weighted_frequencies():
    codes, weights = np.array([0, 0, 1, -1]), np.array([1.0, 1.0, 6.0, 100.0])
    made = LevelCodec(column()).variable(codes, weights, 1.0)
    assert np.exp(made.log_marginal) == pytest.approx(np.array([2.5, 6.5, 0.5]) / 9.5)
    assert made.hurdle == 1
    assert made.n_codes == 3


def test_a_dominant_code_gets_a_hurdle_if_it_has_company():
    assert hurdle_code(np.array([0.2, 0.5, 0.3])) == 1
    assert hurdle_code(np.array([0.24] * 4 + [0.04])) == -1
    assert hurdle_code(np.array([0.1, 0.9])) == -1
    assert hurdle_code(np.array([1.0])) == -1


def test_many_levels_share_few_features_and_stay_apart():
    signs = one_hot(1000)
    assert signs.shape == (1000, 48)
    assert len(np.unique(signs, axis=0)) == 1000
    assert np.array_equal(one_hot(1000), signs)
    levels = tuple(f"k{i}" for i in range(1000))
    made = LevelCodec(column(levels=levels)).variable(np.arange(1000), np.ones(1000), 1.0)
    assert made.basis.shape == (1000, 1000)


def test_ordered_levels_have_features_in_order():
    ordinal = column(levels=tuple(range(8)), kind="ordinal", dtype="int", missing="level")
    made = LevelCodec(ordinal).variable(np.arange(9).repeat(10), np.ones(90), 1.0)
    assert (np.diff(made.features[:8, 0]) > 0).all()
    assert made.features.shape[0] == made.basis.shape[0] == 9
