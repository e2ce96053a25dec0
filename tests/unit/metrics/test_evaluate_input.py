"""What `evaluate` is given may be wrong or odd: a clear error, or records that say why they are not defined."""

import warnings

import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.evaluate import evaluate
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.record import Record

FAST = {"max_rows": 200, "predictions": False}


def people(n, seed):
    draw = np.random.default_rng(seed)
    wages, sex = draw.lognormal(9, 1, n), draw.choice(["f", "m"], n)
    return pd.DataFrame({"age": draw.integers(18, 80, n), "sex": sex, "wages": wages, "rent": wages * draw.random(n)})


REAL, MADE = people(400, 0), people(400, 1)


def by_name(evaluation):
    return {(r.measure, *r.variables): r for r in evaluation.records}


def judged_by(evaluation, measure):
    return [(r, w) for r, w in zip(evaluation.records, evaluation.verdicts, strict=True) if r.measure == measure]


@pytest.mark.parametrize(
    ("real", "made", "more", "error", "message"),
    [
        (REAL[:0], MADE, {}, DataError, "real table: the data frame has no rows"),
        (REAL, MADE[:0], {}, DataError, "synthetic table: the data frame has no rows"),
        (REAL, MADE.drop(columns="rent"), {}, ColumnNotFoundError, "synthetic column 'rent' not in data"),
        (REAL, MADE.rename(columns={"rent": "rents"}), {}, ColumnNotFoundError, "Did you mean 'rents'"),
        (REAL.drop(columns="rent"), MADE, {"target_vars": ["rent"]}, ColumnNotFoundError, "target column 'rent'"),
        (REAL, MADE.assign(sex=1.0), {}, DataError, "column 'sex' is string in the real table and float in the synth"),
        (REAL.assign(w=-1.0), MADE, {"weight_col": "w"}, DataError, r"real weights \(column 'w'\) .*row 0 has -1"),
        (REAL, MADE, {"train": REAL, "holdout": MADE[:0]}, DataError, "no rows"),
        (REAL, MADE, {"train": REAL[["age"]], "holdout": MADE}, ColumnNotFoundError, "'sex' not in data"),
        (REAL, MADE, {"target_vars": "wages"}, ParameterError, r"got the text 'wages'\. Write \['wages'\]"),
        (REAL, MADE, {"condition_vars": "age"}, ParameterError, r"condition_vars must be a list of names"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_an_error(real, made, more, error, message):
    with pytest.raises(error, match=message):
        evaluate(real, made, **FAST, **more)


@pytest.mark.parametrize("kind", [np.nan, None])
def test_a_column_without_values_is_not_defined(kind):
    real, made = REAL.assign(none=kind), MADE.assign(none=kind)
    for one, other in ((real, made), (REAL.assign(none=1.0), made), (real, MADE.assign(none="x"))):
        found = by_name(evaluate(one, other, ["age"], max_rows=200))
        own = [r for (_, *names), r in found.items() if "none" in names and r.measure != "missing_share"]
        assert own
        assert not any(r.defined for r in own if r.measure in ("ks", "tvd", "pit_ks", "tstr_r2", "tstr_auc"))
        assert found["c2st_auc",].defined
        assert found["tstr_r2", "wages"].defined


@pytest.mark.parametrize("size", [1e160, 1e308, 1e-310])
def test_values_beyond_floating_point_are_not_defined(size):
    found = by_name(
        evaluate(REAL.assign(wages=REAL["wages"] / 1e6 * size), MADE.assign(wages=MADE["wages"] / 1e6 * size), **FAST)
    )
    assert found["ks", "wages"].value < 0.2
    assert found["ks", "rent"].defined
    assert all(r.reason for r in found.values() if np.isnan(r.value))


def test_one_class_to_test_on_is_not_defined():
    found = by_name(evaluate(REAL, MADE, train=REAL, holdout=people(300, 2).assign(sex="f"), max_rows=200))
    assert found["tstr_auc", "sex"].reason == "the target does not vary in each of the tables"


def test_a_constant_column_is_said_to_be_one():
    found = by_name(evaluate(REAL.assign(flat=3.0), MADE.assign(flat=3.0), max_rows=200))
    assert "real values is 0" in found["wasserstein_relative", "flat"].reason
    assert found["tstr_r2", "flat"].reason == "the target does not vary in each of the tables"


def test_a_holdout_of_training_rows_is_a_warning():
    with pytest.warns(UserWarning, match="of the distinctive holdout rows are training rows"):
        found = evaluate(REAL, MADE, train=REAL, holdout=REAL, **FAST)
    assert "Do not rely on these comparisons" in found.summary()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(REAL, MADE, train=REAL, holdout=people(300, 2), **FAST)


def test_rows_of_weight_zero_are_absent_rows():
    draw = np.random.default_rng(3)
    real, made, train, holdout = (people(400, s).assign(w=draw.integers(0, 3, 400)) for s in range(4, 8))
    odd = made["w"] == 0
    made.loc[odd, "wages"] *= 1e6
    tables = [frame[frame["w"] > 0].reset_index(drop=True) for frame in (real, made, train, holdout)]
    one, other = (
        evaluate(a, b, ["age"], weight_col="w", train=c, holdout=d, max_rows=200)
        for a, b, c, d in ((real, made, train, holdout), tables)
    )
    values = [{k: r.value for k, r in by_name(e).items() if r.defined and r.group != "privacy"} for e in (one, other)]
    assert values[0] == values[1]


def test_a_broken_pair_among_many_is_judged():
    def linked(seed):
        draw = np.random.default_rng(seed)
        common = draw.normal(size=1000)
        return pd.DataFrame({f"v{j}": common + 0.3 * draw.normal(size=1000) for j in range(6)})

    real, fresh, train, holdout = (linked(s) for s in range(4))
    broken = fresh.assign(v0=fresh["v0"].to_numpy()[::-1])
    for synthetic, words in ((fresh, {"as real", "near"}), (broken, {"off"})):
        found = evaluate(real, synthetic, train=train, holdout=holdout, **FAST)
        for measure in ("pearson_max", "spearman_max", "table2_max"):
            assert {word for _, word in judged_by(found, measure)} <= words, measure


def test_a_level_is_judged_by_floors_of_its_own_level():
    records = [Record("q", "marginal", (str(i),), 0.01, 0.0, floor=0.01, detail="p50") for i in range(3)]
    records += [
        Record("q", "marginal", (str(i),), 0.3, 0.0, floor=f, detail="p99") for i, f in enumerate([0.3, 0.2, 0.01])
    ]
    assert Evaluation(tuple(records), (), (), {}, ()).verdicts[-1] == "near"
    assert Evaluation((*records[:3], records[-1]), (), (), {}, ()).verdicts[-1] == "off"


def test_totals_are_judged_where_weights_were_given():
    real, made = REAL.assign(w=2.0), MADE.assign(w=1.0)
    lost = by_name(evaluate(real, made, weight_col="w", **FAST))["total", "wages"]
    assert lost.value == pytest.approx(MADE["wages"].sum() / (2 * REAL["wages"].sum()) - 1)
    assert not by_name(evaluate(real, MADE, weight_col="w", **FAST))["total", "wages"].defined
