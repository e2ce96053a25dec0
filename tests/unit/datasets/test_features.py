import numpy as np
import pytest

from microplex.datasets.features import Features, log_logistic, logistic, written


@pytest.fixture
def features():
    return Features({"age": np.array([0.0, 1.0, 2.0]), "female": np.array([1.0, 0.0, 1.0])})


def test_a_predictor_is_the_sum_of_its_terms(features):
    found = features.predict({"const": -1.0, "age": 2.0, "age*female": 0.5})
    assert found.tolist() == [-1.0, 1.0, 4.0]


def test_rows_taken_predict_as_the_whole(features):
    rows = np.array([2, 0])
    table = {"const": 1.0, "age*female": 3.0}
    assert features.take(rows).predict(table).tolist() == features.predict(table)[rows].tolist()
    assert features.take(rows).take(np.array([1])).predict(table).tolist() == [1.0]


def test_updating_some_rows_leaves_the_whole_alone(features):
    part = features.take(np.array([0]))
    part.update({"age": np.array([9.0, 9.0, 9.0])})
    assert part["age"].tolist() == [9.0]
    assert features["age"].tolist() == [0.0, 1.0, 2.0]


def test_logistic_functions_survive_the_tails():
    x = np.array([-800.0, -1.0, 0.0, 800.0])
    assert logistic(x) == pytest.approx([0.0, 1 / (1 + np.e), 0.5, 1.0])
    assert log_logistic(x) == pytest.approx([-800.0, np.log(1 / (1 + np.e)), np.log(0.5), 0.0])
    assert np.isneginf(log_logistic(np.array([-np.inf])))[0]


def test_products_are_written_readably():
    assert written({"const": 0.5, "age*female": -0.25}) == "0.5 - 0.25 age × female"
