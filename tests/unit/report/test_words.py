"""What the page says in words: no more than was measured, and what a reader must know first."""

import numpy as np
import pandas as pd
import pytest

from microplex.metrics import Record, pair
from microplex.metrics.evaluation import Evaluation
from microplex.report.glossary import MEASURES, plain
from microplex.report.words import NOT_JUDGED, cautions, headline, judged, leads, sentences, verdict_section


def evaluated(*records, sizes=None):
    return Evaluation(records, (), ("pay",), {"real": 900, "synthetic": 900} if sizes is None else sizes, ())


def examined(measure, value, interval, ideal=0.0):
    return Record(measure, "joint", (), value, ideal=ideal, interval=interval)


def of_margins(n, value):
    return [Record("tvd", "marginal", (f"v{i}",), value, ideal=0.0, floor=0.01) for i in range(n)]


def test_one_test_of_all_variables_outweighs_many_good_margins():
    told = examined("c2st_auc", 0.9, (0.45, 0.55), ideal=0.5)
    calm = examined("energy", 0.0, (-0.01, 0.01))
    first = leads(evaluated(*of_margins(400, 0.01), told, calm))[0]
    assert first.startswith("Synthetic rows can be told from real ones by a classifier: 1 of 2 tests")
    both = leads(evaluated(told, examined("pmse_ratio", 3.0, (0.7, 1.3), ideal=1.0)))[0]
    assert "by a classifier and propensity scores: 2 of 2 tests" in both
    page = verdict_section(evaluated(*of_margins(400, 0.01), told, calm))
    assert page.index("can be told from real ones") < page.index("measures with a floor")


def test_tests_that_find_nothing_prove_nothing():
    below = examined("pmse_ratio", 0.1, (0.7, 1.3), ideal=1.0)
    first = leads(evaluated(examined("c2st_auc", 0.5, (0.45, 0.55), ideal=0.5), below))[0]
    assert first.startswith("None of 2 tests of all variables together tells synthetic from real rows")
    assert "no proof" in first
    assert "not known" in leads(evaluated(*of_margins(3, 0.01)))[0]
    assert "not known" in leads(evaluated(Record("energy", "joint", (), 9.0, ideal=0.0)))[0]


def test_privacy_is_said_among_the_first_lines():
    assert leads(evaluated())[1].startswith("Privacy was not measured")
    sign = Record("dcr_share", "privacy", (), 0.7, ideal=0.5, interval=(0.4, 0.6))
    assert leads(evaluated(sign))[1] == "Privacy: Signs that training rows were memorised: 1 of 1 comparison."


def test_measures_without_floor_are_counted_and_said():
    records = [*of_margins(2, 0.05), Record("pearson_max", "joint", ("a", "b"), 0.9, ideal=0.0)]
    found = evaluated(*records)
    assert judged(found) == {"as real": 0, "near": 0, "off": 2, "not defined": 0, NOT_JUDGED: 1}
    assert "1 measure has neither floor nor interval and could not be judged." in sentences(found)
    light = '<strong>1</strong> <span class="light none"><span aria-hidden="true">○</span> not judged'
    assert light in verdict_section(found)


def test_the_count_is_beside_what_chance_gives():
    words = headline({"as real": 290, "near": 70, "off": 40})
    assert words.startswith("40 of 400 measures with a floor (10 %) are")
    assert "one draw of fresh real rows; of other fresh rows 5 to 20 % would be" in words
    assert "(0.2 %) is" in headline({"as real": 499, "near": 0, "off": 1})


def test_fresh_rows_are_called_off_no_more_often_than_the_page_says():
    pytest.importorskip("sklearn")
    from microplex.metrics.evaluate import evaluate

    shares = []
    for seed in range(6):
        tables = []
        for place in range(4):
            rng = np.random.default_rng([seed, place])
            age = rng.integers(20, 70, 400)
            pay = np.where(rng.random(400) < 0.3, 0.0, rng.lognormal(9 + age / 70, 0.8))
            tables.append(pd.DataFrame({"age": age, "pay": pay, "home": rng.choice(["own", "rent"], 400)}))
        real, synthetic, train, holdout = tables
        found = evaluate(
            real, synthetic, ["age"], train=train, holdout=holdout, predictions=False, max_rows=200, seed=seed
        )
        counts = judged(found)
        shares.append(counts["off"] / (counts["as real"] + counts["near"] + counts["off"]))
    assert np.mean(shares) <= 0.20
    assert max(shares) <= 0.30


def test_kinds_of_measures_are_counted_apart():
    joint = [examined("energy", 1.0, (-0.1, 0.1)), examined("mmd", 0.0, (-0.1, 0.1))]
    line = sentences(evaluated(*of_margins(5, 0.01), *joint))[0]
    assert line == "Off, by kind of measure: one variable at a time 0 of 5; variables together 1 of 2."


def test_the_worst_measures_are_said_in_plain_words():
    far = Record("conditional_mean", "conditional", ("pay", "age", "sex"), 0.5, ideal=0.0, floor=0.01)
    low = Record("coverage", "joint", (), 0.5, ideal=0.97, floor=0.96)
    lines = sentences(evaluated(far, low))
    assert any(
        f"{MEASURES['conditional_mean']} (conditional_mean) of pay by age, sex: 0.5, where fresh rows scored 0.01." in x
        for x in lines
    )
    assert any("scored 0.96 and 0.97 is ideal" in x for x in lines)
    assert plain("unheard_of") == "unheard_of"


def test_few_rows_are_warned_of_before_all_else():
    few = evaluated(*of_margins(3, 0.05), sizes={"real": 5, "synthetic": 5_000})
    assert cautions(few)[0].startswith("Few rows: 5 real and 5,000 synthetic.")
    page = verdict_section(few)
    assert page.index('class="warning"') < page.index('class="lead"')
    assert cautions(evaluated()) == []


def test_uneven_weights_are_warned_of():
    table = pd.DataFrame({"pay": np.arange(900.0), "w": np.r_[1e9, np.ones(899)]})
    even = table.assign(w=1.0)
    assert "say as much as 1 and 900" in cautions(evaluated(), pair(table, even, weight_col="w"))[0]
    assert "say as much as 900 and 1 " in cautions(evaluated(), pair(even, table, weight_col="w"))[0]
    assert cautions(evaluated(), pair(even, even, weight_col="w")) == []


def test_a_holdout_of_training_rows_is_warned_of():
    overlap = Record("holdout_overlap", "privacy", (), 0.4, ideal=0.0)
    assert cautions(evaluated(overlap))[0].startswith("40.0% of the distinctive holdout rows are training rows")
