import copy
import math
import pickle

import numpy as np
import pytest

from microplex.errors import ParameterError
from microplex.targets import Target


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (Target(5), "count"),
        (Target(5, entity="person"), "persons"),
        (Target(5, "wages", {"state": "CA"}), "wages, state=CA"),
        (Target(5, by={"state": "CA", "age": 3.0}, where="x > 1"), "count where x > 1, state=CA, age=3"),
        (Target.mean(5, "wages", by={"state": "CA"}), "mean wages, state=CA"),
        (Target.ratio(0.1, "tax", "income", where="income > 0"), "ratio tax / income where income > 0"),
        (Target.share(0.1, {"sex": "f"}), "share of count, sex=f"),
        (Target.share(0.1, {"sex": "f"}, "wages"), "share of wages, sex=f"),
        (Target.quantile(8, "wages", 0.9), "quantile 0.9 of wages"),
        (Target(5, name="mine"), "mine"),
    ],
)
def test_names_are_the_definition_in_words(target, name):
    assert target.name == name


@pytest.mark.parametrize("total", [math.nan, math.inf, -math.inf, None, "5", True])
def test_total_must_be_a_finite_number(total):
    with pytest.raises(ParameterError, match=r"target 'wages': total must be a finite number; got"):
        Target(total, "wages")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tolerance": -0.1}, "tolerance must be at least 0; got -0.1"),
        ({"tolerance": math.nan}, "tolerance must be a finite number"),
        ({"importance": 0}, "importance must be positive; got 0.0"),
        ({"importance": math.inf}, "importance must be a finite number"),
        ({"entity": "famlies"}, "entity must be one of"),
        ({"statistic": "meen"}, "statistic must be one of .* Did you mean 'mean'"),
        ({"statistic": "mean"}, "a mean needs variable"),
        ({"statistic": "ratio", "variable": "x"}, "a ratio needs denominator"),
        ({"statistic": "quantile", "variable": "x"}, "a quantile needs probability"),
        ({"statistic": "quantile", "variable": "x", "probability": 1.0}, "strictly between 0 and 1; got 1.0"),
        ({"denominator": "x"}, "denominator belongs to statistic='ratio'; got statistic='total'"),
        ({"probability": 0.5}, "probability belongs to statistic='quantile'"),
        ({"statistic": "share", "total": 0.5}, "a share needs by"),
        ({"statistic": "share", "by": {"sex": "f"}}, "a share must lie between 0 and 1; got 2.0"),
        ({"by": {"age": None}}, "the category of 'age' must be text, a number or a boolean; got None"),
        ({"by": {"age": math.nan}}, "the category of 'age' must be"),
        ({"by": {3: "x"}}, "a column of by must be text; got 3"),
        ({"variable": 3}, "variable must be text; got 3"),
        ({"variable": " "}, "variable must be text"),
        ({"name": 3}, "name must be text"),
        ({"where": "age <"}, "filter, character"),
    ],
)
def test_bad_fields_are_refused_at_the_door(fields, problem):
    with pytest.raises(ParameterError, match=problem):
        Target(**{"total": 2, **fields})


def test_a_count_cannot_be_negative_but_a_sum_can():
    with pytest.raises(ParameterError, match=r"target 'count, state=CA': a count cannot be negative; got -1"):
        Target(-1, by={"state": "CA"})
    assert Target(-1, "losses").total == -1


def test_targets_are_values():
    target = Target(5, "wages", {"state": "CA"}, source="office")
    assert pickle.loads(pickle.dumps(target)) == copy.deepcopy(target) == target
    assert len({target, Target(5, "wages", {"state": "CA"}, source="office"), Target(6, "wages")}) == 2
    with pytest.raises(AttributeError):
        target.total = 6


def test_the_cell_is_a_copy_in_plain_types():
    cell = {"age": np.int64(3), "old": np.bool_(True), "x": np.float64(0.5), "y": 2.0}
    target = Target(5, by=cell)
    cell["age"] = 4
    assert target.by == {"age": 3, "old": True, "x": 0.5, "y": 2}
    assert [type(level) for level in target.by.values()] == [int, bool, float, int]


def test_keys_tell_definitions_apart():
    same = Target(5, by={"a": 1, "b": "x"}), Target(6, by={"b": "x", "a": 1.0}, tolerance=0.1, name="other")
    assert same[0].key == same[1].key
    assert Target(5, by={"a": 1}).key != Target(5, by={"a": "1"}).key
    assert Target.quantile(5, "x").key != Target.quantile(6, "x").key
    assert Target.mean(5, "x").key != Target(5, "x").key
