import numpy as np
import pandas as pd
import pytest

from microplex.errors import DataError
from microplex.imputation import Imputed


@pytest.fixture
def done():
    tables = tuple(pd.DataFrame({"a": np.arange(5000.0), "b": x}) for x in (1.0, 2.0))
    mask = np.arange(5000) % 4 == 0
    masks = {"a": np.zeros(5000, bool), "b": mask}
    return Imputed(tables, masks, {}, {"b": ~mask}, np.ones(5000), ())


def test_the_repr_is_short(done):
    assert repr(done) == "Imputed(m=2, rows=5,000, drawn cells: b 1,250)"
    whole = Imputed(done.datasets, {"a": np.zeros(5000, bool)}, {}, {}, np.ones(5000), ())
    assert repr(whole) == "Imputed(m=2, rows=5,000, drawn cells: none)"


@pytest.mark.parametrize(
    ("found", "text"), [(None, "it returned None"), (1.5, "it returned float: 1.5"), ((1, 2, 3), "it returned tuple: ")]
)
def test_an_estimate_that_is_no_pair_is_refused(done, found, text):
    with pytest.raises(DataError, match=f"must return a pair: the estimate and its squared .* file 0 {text}"):
        done.analyse(lambda file: found)


def test_what_is_no_function_is_refused(done):
    with pytest.raises(DataError, match="needs a function of a completed file, got str: 'mean'"):
        done.analyse("mean")


def test_errors_of_the_estimate_itself_pass(done):
    def broken(file):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        done.analyse(broken)
    assert done.analyse(lambda file: [file["b"].mean(), 1.0]).estimate == 1.5
