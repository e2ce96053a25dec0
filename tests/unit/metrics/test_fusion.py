import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.fusion import _cross, evaluate_fusion
from microplex.metrics.pair import pair

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


REGIONS = {"north": (0.0, 1.5), "south": (2.0, 0.0), "east": (-1.0, 0.5), "west": (0.5, 2.5)}


def regional(seed, n):
    """Wages and rents unrelated within regions, whose levels are in no order."""
    draw = np.random.default_rng(seed)
    region = draw.choice(list(REGIONS), n, p=[0.4, 0.3, 0.2, 0.1])
    wages, rent = (np.array([REGIONS[r][i] for r in region]) + draw.normal(size=n) for i in (0, 1))
    return pd.DataFrame({"region": region, "wages": wages, "rent": rent})


def test_a_category_implies_the_dependence_that_permuting_within_it_leaves():
    law = regional(0, 40_000)
    permuted = law.groupby("region")["rent"].transform(lambda r: r.sample(frac=1.0, random_state=1).to_numpy())
    truth = law["wages"].corr(permuted, method="spearman")
    assert truth < -0.2
    draws = [regional(seed, 1_500) for seed in (1, 2)]
    holdouts = {"cps": draws[0][["region", "wages"]], "acs": draws[1][["region", "rent"]]}
    (cross,) = evaluate_fusion(regional(3, 1_500), holdouts, max_rows=1_500).cross
    assert abs(cross.implied - truth) < 0.06
    assert 0.01 < cross.error < 0.06
    assert abs(cross.value - cross.implied) < 3 * cross.error


def test_the_error_is_that_of_drawing_the_tables_again():
    found = []
    for seed in range(12):
        draws = [regional(3 * seed + part, 400) for part in range(3)]
        pairs = {
            source: pair(real[["region", name]], draws[2])
            for source, name, real in (("cps", "wages", draws[0]), ("acs", "rent", draws[1]))
        }
        holdouts = {"cps": draws[0][["region", "wages"]], "acs": draws[1][["region", "rent"]]}
        found += _cross(holdouts, pairs, 400, 0)
    spread = np.std([c.value - c.implied for c in found], ddof=1)
    assert 0.5 < spread / np.mean([c.error for c in found]) < 1.7


def test_weights_count_in_what_is_implied():
    """A region of no weight implies nothing."""
    draw = regional(5, 1_200).assign(w=lambda f: np.where(f["region"] == "north", 1.0, 0.0))
    holdouts = {"cps": draw[["region", "wages", "w"]], "acs": draw[["region", "rent", "w"]]}
    (cross,) = evaluate_fusion(regional(6, 500), holdouts, "w", max_rows=500).cross
    assert abs(cross.implied) < 0.02


def test_without_a_common_variable_independence_is_implied():
    draw = regional(5, 300)
    (cross,) = evaluate_fusion(draw, {"cps": draw[["wages"]], "acs": draw[["rent"]]}, max_rows=300).cross
    assert abs(cross.implied) < 1e-9
    assert 0.03 < cross.error < 0.09


def test_the_page_has_the_main_measures_in_words(judged):
    page = judged[0].to_html()
    assert "classifier&#x27;s AUC" in page or "classifier's AUC" in page
    assert page.count("0.5 is a coin") == 2
    assert "None" not in page
    assert "<td>(" not in page
    assert "heaping_error" not in page
    assert set(judged[0].main_frame()["source"]) == {"cps", "acs"}


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
