import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.fusion import evaluate_fusion

N = 600


def people(seed, tie=0.0):
    draw = np.random.default_rng(seed)
    z, x, y = draw.normal(size=(3, N))
    wages = z + x
    return pd.DataFrame({"age": z, "wages": wages, "rent": z + tie * x + np.sqrt(1 - tie**2) * y, "w": 1.0})


@pytest.fixture(scope="module")
def judged():
    holdouts = {"cps": people(1)[["age", "wages", "w"]], "acs": people(2)[["age", "rent", "w"]]}
    same = evaluate_fusion(people(3).drop(columns="w"), holdouts, "w", max_rows=N)
    off = people(4).drop(columns="w").assign(rent=lambda f: f["rent"].sample(frac=1.0, random_state=0).to_numpy())
    return same, evaluate_fusion(off, holdouts, "w", max_rows=N)


def test_fresh_rows_cover_every_source_as_its_own_rows_do(judged):
    for share in judged[0].coverage().values():
        assert 0.9 < share < 1.15


def test_the_source_whose_dependence_is_lost_is_the_one_that_says_so(judged):
    def auc(found, source):
        return found.select(source, "c2st_auc")[0].value

    same, off = judged
    assert auc(off, "acs") > auc(same, "acs") + 0.1
    assert abs(auc(off, "cps") - auc(same, "cps")) < 0.08


def test_what_no_source_observes_together_is_beside_what_the_common_variables_imply(judged):
    (cross,) = judged[0].cross
    assert (cross.variables, cross.sources) == (("wages", "rent"), ("cps", "acs"))
    assert abs(cross.value - cross.implied) < 3 * cross.error
    assert abs(cross.implied - 0.48) < 0.1


def test_dependence_beyond_the_common_variables_shows():
    holdouts = {"cps": people(1)[["age", "wages"]], "acs": people(2)[["age", "rent"]]}
    (cross,) = evaluate_fusion(people(3, tie=0.9), holdouts, max_rows=300).cross
    assert cross.value - cross.implied > 4 * cross.error


def test_a_source_with_both_leaves_nothing_open():
    holdouts = {"cps": people(1)[["age", "wages"]], "aux": people(2)[["age", "rent", "wages"]]}
    assert evaluate_fusion(people(3), holdouts, max_rows=300).cross == ()


def test_tables_text_and_page_name_the_sources(judged):
    same = judged[0]
    assert set(same.to_frame()["source"]) == {"cps", "acs"}
    assert "wages, rent: rank correlation" in str(same)
    assert "<h3>acs</h3>" in same.to_html()
    assert same.cross_frame().shape == (1, 7)


@pytest.mark.parametrize(
    ("holdouts", "weight_col", "error", "text"),
    [
        ({}, None, ParameterError, "must map sources to tables"),
        ({"cps": people(1)[["w"]].rename(columns={"w": "z"})}, None, DataError, "shares no variable"),
        ({"cps": people(1)}, "wt", ColumnNotFoundError, "weight of holdout 'cps'"),
        ({"cps": people(1)}, {"cpsx": "w"}, ColumnNotFoundError, "Did you mean 'cps'"),
    ],
)
def test_wrong_holdouts_are_refused(holdouts, weight_col, error, text):
    with pytest.raises(error, match=text):
        evaluate_fusion(people(0), holdouts, weight_col)


def test_unknown_sources_are_refused(judged):
    with pytest.raises(ParameterError, match="no holdout is called 'acx'"):
        judged[0].select("acx", "coverage")
