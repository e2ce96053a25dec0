"""Common variables that nobody named: identifiers and weights among them are noticed."""

import numpy as np
import pandas as pd
import pytest

from microplex.errors import DataError
from microplex.fusion import MultiSourceFusion
from microplex.fusion.common import check_common, is_weight_name

N = 200


def sources(make, **more):
    draw = np.random.default_rng(0)
    frames = {}
    for k, (name, target) in enumerate((("cps", "wages"), ("acs", "rent"))):
        frame = pd.DataFrame({"age": draw.integers(20, 60, N), target: draw.integers(0, 90, N) * 10})
        frames[name] = frame.assign(extra=make(k, N), **more)
    return frames


IDENTIFIERS = {
    "numbered": lambda k, n: np.arange(n) + 1000 * k,
    "numbered, some rows left out": lambda k, n: 2 * np.random.default_rng(k).permutation(n),
    "as decimals": lambda k, n: np.arange(n) + 0.0,
    "text": lambda k, n: [f"p{i}" for i in range(n)],
    "text, other in each source": lambda k, n: [f"{'ab'[k]}{i}" for i in range(n)],
    "text, nearly every row": lambda k, n: [f"p{max(i, 9)}" for i in range(n)],
}

FINE = {
    "amounts, all different": lambda k, n: np.random.default_rng(k).permutation(100_000)[:n] + 3,
    "with twins": lambda k, n: np.arange(n) // 2,
    "decimals": lambda k, n: np.arange(n) + 0.5,
    "in one source only": lambda k, n: np.arange(n) // (1 + k),
}


@pytest.mark.parametrize("case", IDENTIFIERS)
def test_an_identifier_is_refused_by_name(case):
    with pytest.raises(DataError, match=r"common variable 'extra' looks like an identifier.*list the common variables"):
        MultiSourceFusion(epochs=1, n_orders=0).fit(sources(IDENTIFIERS[case]))


@pytest.mark.parametrize("case", FINE)
def test_what_is_no_identifier_passes(case):
    check_common(sources(FINE[case]), ["age", "extra"], {})


def test_a_few_rows_do_not_make_an_identifier():
    frame = pd.DataFrame({"extra": range(49)})
    check_common({"cps": frame, "acs": frame}, ["extra"], {})


def test_an_identifier_that_is_not_a_common_variable_is_nobodys_concern():
    made = MultiSourceFusion(["age"], ["wages", "rent"], epochs=1, n_orders=0)
    assert made.fit(sources(IDENTIFIERS["numbered"])).schema_.names == ("age", "wages", "rent")


def test_a_variable_called_as_weights_are_is_noticed():
    weighted = sources(lambda k, n: 1.0 + np.arange(n) % 7).items()
    weighted = {name: frame.rename(columns={"extra": "Final_Wgt"}) for name, frame in weighted}
    with pytest.warns(UserWarning, match="'Final_Wgt' is called as survey weights are, and no weight_col is given"):
        MultiSourceFusion(epochs=1, n_orders=0).fit(weighted)
    MultiSourceFusion(epochs=1, n_orders=0).fit(weighted, "Final_Wgt")
    MultiSourceFusion(["age", "Final_Wgt"], epochs=1, n_orders=0).fit(weighted)  # said to be a variable


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("weight", True), ("W", True), ("wgt", True), ("WT", True), ("person_weight", True), ("wages", False),
     ("birthweight", False), ("two", False)],
)  # fmt: skip
def test_names_of_weights(name, wanted):
    assert is_weight_name(name) is wanted
