"""What a fusion says of the harmonisation of its sources: periods, weights, keys."""

import warnings

import numpy as np
import pandas as pd
import pytest

from microplex.errors import DataError, ParameterError
from microplex.fusion import Harmonisation, MultiSourceFusion

N = 300
VARIABLES = {
    "age": {"cps": "age", "hbs": "age"},
    "wages": {"cps": "wages"},
    "rent": {"hbs": "rent"},
    "tenure": {"hbs": {"column": "own", "recode": {0: "rent", 1: "own"}}},
}


def sources():
    draw = np.random.default_rng(0)
    cps = pd.DataFrame({"age": draw.integers(20, 70, N), "wages": np.round(draw.lognormal(8, 1, N)), "w": 1.0})
    hbs = pd.DataFrame({"age": draw.integers(20, 70, N), "rent": np.round(draw.lognormal(6, 1, N)), "w": 2.0})
    return {"cps": cps, "hbs": hbs.assign(own=draw.integers(0, 2, N), year=2020 + draw.integers(0, 3, N))}


def fitted(**plan):
    return MultiSourceFusion(harmonisation=Harmonisation(VARIABLES, **plan), epochs=1, n_orders=0).fit(sources())


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ({"periods": {"cps": 2022, "hbs": 2020}}, r"'rent' \(hbs 2020\), while the result is of 2022"),
        ({"periods": {"cps": 2022, "hbs": 2020}, "period": 2024}, r"'wages' \(cps 2022\); 'rent' \(hbs 2020\), while"),
        ({"periods": {"cps": 2022, "hbs": {"column": "year"}}}, r"'rent' \(hbs by row\)"),
    ],
)
def test_amounts_of_other_periods_are_named_at_fit(plan, text):
    with pytest.warns(UserWarning, match=rf"amounts of other periods without uprating: {text}") as caught:
        fitted(**plan)
    assert "'age'" not in str(caught[0].message)
    assert "tenure" not in str(caught[0].message)


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"periods": {"cps": 2022, "hbs": 2022}},
        {"periods": {"cps": 2022, "hbs": 2020}, "uprating": {"rent": {2020: 1.1}}},
    ],
)
def test_amounts_of_one_period_are_no_concern(plan):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(**plan)


def test_weights_named_twice_are_shown():
    plan = Harmonisation(VARIABLES, weights={"cps": "w", "hbs": "w"})
    with pytest.raises(ParameterError, match=r"by the harmonisation, for 'cps', 'hbs', and in the call, as 'w'"):
        MultiSourceFusion(harmonisation=plan).fit(sources(), "w")


@pytest.mark.parametrize(("how", "sorts"), [(str, "text here and numbers in"), (int, "numbers here and text in")])
@pytest.mark.parametrize("column", [{"broadcast": True}, {"aggregate": "sum"}])
def test_keys_of_different_types_are_said_to_be(how, sorts, column):
    other = int if how is str else str
    moved = "broadcast" in column
    plan = Harmonisation(
        {"x": {"cps": {"column": "v", "table": "other", **column}}},
        entities={"cps": "person" if moved else "household", "other": "household" if moved else "person"},
        keys={"cps": "id", "other": "id"},
    )
    # what is looked up: the groups of the rows, or the group of each member
    looked, place = (how, other) if moved else (other, how)
    frames = {
        "cps": pd.DataFrame({"id": [looked(1), looked(2)]}),
        "other": pd.DataFrame({"id": [place(1), place(2)], "v": [1, 1]}),
    }
    with pytest.raises(DataError, match=rf"key 1.*The keys are {sorts} '{'other' if moved else 'cps'}': make them of"):
        plan.apply(frames)
