"""One call for all measures: it sees planted faults, does not cry wolf, and says what it cannot measure."""

import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics.evaluate import evaluate
from microplex.metrics.evaluation import Evaluation, judged, verdict
from microplex.metrics.record import Record, undefined


def people(n, seed, weight=True):
    draw = np.random.default_rng(seed)
    age = draw.integers(18, 80, n)
    school = draw.choice(["low", "middle", "high"], n, p=[0.3, 0.5, 0.2])
    wages = np.where(draw.random(n) < 0.7, draw.lognormal(9 + 0.02 * age + (school == "high"), 0.6), 0.0)
    frame = pd.DataFrame({"age": age, "school": school, "wages": wages.round(), "tax": (0.2 * wages).round()})
    frame["benefit"] = np.where(wages == 0, draw.gamma(2, 900, n), 0.0).round(-1)
    return frame.assign(weight=draw.uniform(1, 3, n)) if weight else frame


SETTINGS = {"condition_vars": ["age", "school"], "weight_col": "weight", "max_rows": 2_000}


@pytest.fixture(scope="module")
def tables():
    return {name: people(2_000, seed) for seed, name in enumerate(["train", "holdout", "fresh"])}


def score(tables, synthetic, **more):
    split = {"train": tables["train"], "holdout": tables["holdout"]}
    return evaluate(tables["holdout"], synthetic, **{**SETTINGS, **split, **more})


@pytest.fixture(scope="module")
def fresh(tables):
    return score(tables, tables["fresh"])


def test_fresh_rows_of_the_same_law_are_as_real(fresh):
    words = pd.Series(fresh.verdicts)
    # A record judged by one floor draw is "off" (twice the floor) by chance now and then.
    assert (words == "off").mean() < 0.1
    assert verdict(*fresh.select(measure="c2st_auc")) == "as real"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (lambda f: f.assign(wages=np.random.default_rng(9).permutation(f["wages"])), ("c2st_auc", "spearman_rms")),
        (lambda f: f.assign(benefit=f["benefit"].where(f["benefit"] > 0, 10.0)), ("c2st_auc", "zero_share")),
        (lambda f: f.assign(wages=f["wages"] * np.where(f["wages"] > 60_000, 1.5, 1.0)), ("quantile_log_ratio",)),
    ],
)
def test_planted_faults_are_off(tables, fault, seen):
    found = score(tables, fault(tables["fresh"]))
    for measure in seen:
        words = [w for w, r in zip(found.verdicts, found.records, strict=True) if r.measure == measure]
        assert "off" in words, measure
    assert "off" in found.worst(3)["verdict"].tolist()


def test_copied_rows_are_seen(tables):
    copies = tables["train"].copy()
    found = score(tables, copies)
    (share,) = found.select(measure="dcr_share")
    assert share.value > 0.8
    assert "memor" in found.summary()


def test_without_train_and_holdout_the_floor_is_two_halves(tables):
    found = evaluate(tables["holdout"], tables["fresh"], **SETTINGS)
    assert not found.select("privacy")
    assert "half" in found.notes[0]
    assert not np.isnan(next(r.floor for r in found.records if r.measure == "ks"))


def test_the_result_follows_from_the_seed(tables, fresh):
    again = score(tables, tables["fresh"])
    assert [r.value for r in again.records if r.defined] == [r.value for r in fresh.records if r.defined]


def test_table_text_and_picture(fresh, tmp_path):
    frame = fresh.frame
    assert len(frame) == len(fresh.records)
    assert set(frame["verdict"]) <= {"as real", "near", "off", "not defined", ""}
    assert "2,000 synthetic rows against 2,000 real ones." in fresh.summary()
    assert "<table" in fresh.to_html()
    fresh.plot(tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 10_000


def test_a_constant_variable_is_marked_not_defined(tables):
    flat = {name: frame.assign(flat=1.0) for name, frame in tables.items()}
    found = evaluate(flat["holdout"], flat["fresh"], ["age"], ["wages", "flat"], "weight", max_rows=500)
    reasons = [r.reason for r in found.records if "flat" in r.variables and not r.defined]
    assert reasons
    assert all(reasons)


def test_one_variable_is_enough():
    draw = np.random.default_rng(0)
    real, synthetic = (pd.DataFrame({"x": draw.normal(size=300)}) for _ in range(2))
    assert "off" not in evaluate(real, synthetic).verdicts[:1]


def test_copying_less_than_chance_is_no_fault():
    record = Record("dcr_share", "privacy", (), 0.4, ideal=0.5, interval=(0.48, 0.52))
    assert verdict(record) == "as real"
    assert verdict(Record("dcr_share", "privacy", (), 0.6, ideal=0.5, interval=(0.48, 0.52))) == "off"


def test_a_holdout_needs_train(tables):
    with pytest.raises(ParameterError, match="holdout"):
        evaluate(tables["holdout"], tables["fresh"], holdout=tables["train"], **SETTINGS)


def test_floors_are_matched_by_measure_variable_and_level():
    own = [
        Record("q", "marginal", ("a",), 3.0, ideal=0.0, detail="p99"),
        undefined("q", "marginal", ("b",), "constant"),
    ]
    floors = [
        Record("q", "marginal", ("a",), 1.0, ideal=0.0, detail="p50"),
        Record("q", "marginal", ("a",), 2.0, 0.0, detail="p99"),
    ]
    assert judged(own, floors)[0].floor == 2.0
    assert not judged(own, floors)[1].defined


def test_every_measure_of_fidelity_has_a_floor(fresh):
    without = {r.measure for r in fresh.records if r.defined and np.isnan(r.floor) and r.group != "privacy"}
    assert not without


def test_a_lucky_floor_does_not_condemn():
    floors = [0.01, 0.012, 1e-9]
    records = tuple(Record("ks", "marginal", (str(i),), 0.011, 0.0, floor=f) for i, f in enumerate(floors))
    assert "off" not in Evaluation(records, (), (), {}, ()).verdicts
    assert verdict(records[2]) == "off"


@pytest.mark.parametrize(
    ("change", "more", "error", "message"),
    [
        (lambda f: f.drop(columns="wages"), {}, ColumnNotFoundError, "wages"),
        (lambda f: f.assign(wages=f["wages"].astype(str)), {}, DataError, r"wages.*real.*synthetic"),
        (lambda f: f.iloc[:0], {}, DataError, "no rows"),
        (lambda f: f.assign(weight=-1.0), {}, DataError, "weight"),
        (lambda f: f, {"condition_vars": ["agee"]}, ColumnNotFoundError, "Did you mean 'age'"),
        (lambda f: f, {"target_vars": ["age", "wages"]}, ParameterError, "age stand in both"),
        (lambda f: f, {"target_vars": []}, ParameterError, "no target"),
        (lambda f: f, {"seed": -1}, ParameterError, "seed"),
    ],
)
def test_bad_input_is_named(tables, change, more, error, message):
    with pytest.raises(error, match=message):
        evaluate(tables["holdout"], change(tables["fresh"]), **{**SETTINGS, **more})
