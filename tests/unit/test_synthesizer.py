"""The public estimator: its contract, its constraints, and what it says to bad input."""

import json

import numpy as np
import pandas as pd
import pytest

from microplex import Schema, Synthesizer
from microplex._estimator import clone
from microplex.errors import (
    ColumnNotFoundError,
    ConstraintError,
    DataError,
    MicroplexError,
    ModelFormatError,
    NotFittedError,
    ParameterError,
    SchemaError,
)

TARGETS = ["wage", "bonus", "pay", "benefit", "owner"]
CONDITIONS = ["age", "region"]
RULES = ["pay == wage + bonus", "bonus <= wage", "age < 18 -> wage == 0", "region == 'c' -> owner == 'no'"]
QUICK = {"epochs": 3, "n_orders": 2}


def survey(n=900, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.integers(10, 80, n)
    region = rng.choice(list("abc"), n)
    wage = np.where((age < 18) | (rng.random(n) < 0.3), 0, 100 * rng.integers(1, 600, n) * (1 + (region == "a")))
    bonus = np.where(rng.random(n) < 0.5, 0, np.floor(wage * rng.random(n)))
    benefit = np.where(wage > 20_000, 0.0, rng.exponential(900, n))
    benefit[rng.random(n) < 0.1] = np.nan
    owner = np.where((region == "c") | (rng.random(n) < 0.4), "no", "yes")
    return pd.DataFrame(
        {
            "age": age,
            "region": region,
            "wage": wage,
            "bonus": bonus.astype(int),
            "pay": wage + bonus.astype(int),
            "benefit": benefit,
            "owner": owner,
            "weight": rng.integers(1, 4, n).astype(float),
        }
    )


@pytest.fixture(scope="module")
def frame():
    return survey()


@pytest.fixture(scope="module")
def synth(frame):
    return Synthesizer(TARGETS, CONDITIONS, RULES, fit_conditions=True, seed=3, **QUICK).fit(frame, weight_col="weight")


def new_rows(frame, n=700):
    return frame[CONDITIONS].sample(n, replace=True, random_state=1).reset_index(drop=True)


# ------------------------------------------------------------------ contract


def test_constraints_hold_on_every_row(synth, frame):
    drawn = synth.generate(new_rows(frame, 5000), seed=1)
    assert (drawn.pay == drawn.wage + drawn.bonus).all()
    assert (drawn.bonus <= drawn.wage).all()
    assert (drawn.wage[drawn.age < 18] == 0).all()
    assert (drawn.owner[drawn.region == "c"] == "no").all()
    assert (drawn.bonus > 0).mean() > 0.1
    assert (drawn.wage[drawn.age >= 18] > 0).mean() > 0.4
    assert np.isfinite(synth.log_prob(drawn)).all()


def test_rows_that_break_a_constraint_have_no_probability(synth, frame):
    rows = frame.head(3).assign(bonus=[10**9, 0, 0])
    rows["pay"] = rows.wage + rows.bonus
    assert np.isneginf(synth.log_prob(rows)).tolist() == [True, False, False]
    assert np.isneginf(synth.log_prob(frame.head(2).assign(pay=-1))).all()


def test_types_and_missing_level_come_back(synth, frame):
    drawn = synth.generate(new_rows(frame), seed=1)
    assert drawn.columns.tolist() == CONDITIONS + TARGETS
    for name in TARGETS:
        assert drawn[name].dtype == frame[name].dtype
    assert 0.02 < drawn.benefit.isna().mean() < 0.25
    assert (drawn.wage % 100 == 0).mean() > 0.9


def test_same_bytes_in_chunks_and_in_any_order(synth, frame):
    rows = new_rows(frame).assign(key=lambda d: np.arange(len(d)) + 5)
    whole = synth.generate(rows, seed=9, id_col="key")
    chunks = [synth.generate(rows.iloc[i : i + 175], seed=9, id_col="key") for i in range(0, 700, 175)]
    pd.testing.assert_frame_equal(pd.concat(chunks), whole)
    shuffled = rows.sample(frac=1, random_state=2)
    pd.testing.assert_frame_equal(synth.generate(shuffled, seed=9, id_col="key").sort_index(), whole)
    by_position = synth.generate(rows.iloc[200:300], seed=9, first_row=205)
    pd.testing.assert_frame_equal(by_position, whole.iloc[200:300])
    assert not synth.generate(rows, seed=10, id_col="key").equals(whole)


def test_fit_is_deterministic_and_leaves_the_global_state_alone(frame, synth):
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    copy = frame.copy()
    again = clone(synth).fit(frame, weight_col="weight")
    pd.testing.assert_frame_equal(frame, copy)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    rows = new_rows(frame, 50)
    pd.testing.assert_frame_equal(again.generate(rows, seed=1), synth.generate(rows, seed=1))


def test_frame_kinds_in_and_out(make_frame, to_pandas, synth, frame, frame_kind):
    rows = new_rows(frame, 40)
    drawn = synth.generate(make_frame(rows), seed=1)
    assert type(drawn).__module__.split(".")[0] == {"arrow": "pyarrow"}.get(frame_kind, frame_kind)
    expected = synth.generate(rows, seed=1)
    out = to_pandas(drawn)
    assert np.array_equal(out.wage.to_numpy(), expected.wage.to_numpy())
    assert out.owner.astype(str).tolist() == expected.owner.astype(str).tolist()
    assert np.allclose(synth.log_prob(drawn), synth.log_prob(expected))


def test_generate_without_conditions(synth):
    drawn = synth.generate(n=300, seed=2)
    assert drawn.columns.tolist() == CONDITIONS + TARGETS
    assert len(drawn) == 300
    assert drawn.age.between(10, 79).mean() > 0.9
    pd.testing.assert_frame_equal(synth.generate(n=100, seed=2, first_row=200), drawn.iloc[200:].reset_index(drop=True))


def test_single_target_no_conditions_single_row(frame):
    synth = Synthesizer(["benefit"], epochs=1).fit(frame)
    assert len(synth.generate(n=1, seed=0)) == 1
    assert synth.log_prob(frame).shape == (len(frame),)


def test_save_and_load(synth, frame, tmp_path):
    synth.save(tmp_path / "model")
    synth.save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model")
    rows = new_rows(frame, 60)
    pd.testing.assert_frame_equal(loaded.generate(rows, seed=4), synth.generate(rows, seed=4))
    pd.testing.assert_frame_equal(loaded.generate(n=20, seed=4), synth.generate(n=20, seed=4))
    assert np.array_equal(loaded.log_prob(frame), synth.log_prob(frame))
    assert loaded.report_ == synth.report_
    assert loaded.get_params()["target_vars"] == TARGETS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_conditional_law_of_one_variable(synth, frame):
    rows = frame.head(40)
    median = synth.quantile(rows, "wage", 0.5)
    at = synth.cdf(rows, "wage", median)
    assert (at >= 0.5 - 1e-9).all()
    assert (synth.cdf(rows, "wage", median - 1) < 0.5).all()
    draws = synth.sample(rows.head(5), "wage", 4000, seed=1)
    for row, drawn in zip(range(5), draws, strict=True):
        share = (drawn <= 20_000).mean()
        assert abs(share - synth.cdf(rows.iloc[[row]], "wage", 20_000)[0]) < 0.04
    p = synth.probabilities(rows, "owner")
    assert np.allclose(p.sum(axis=1), 1)
    assert (p["yes"][rows.region == "c"] == 0).all()


def test_weights_matter(frame):
    tilted = frame.assign(weight=np.where(frame.owner == "yes", 5.0, 1.0))
    synth = Synthesizer(["owner"], ["age"], epochs=8).fit(tilted, weight_col="weight")
    drawn = synth.generate(new_rows(frame, 4000)[["age"]], seed=1)
    expected = np.average(tilted.owner == "yes", weights=tilted.weight)
    assert abs((drawn.owner == "yes").mean() - expected) < 0.06
    zero = frame.assign(weight=(frame.owner == "yes").astype(float))
    only = Synthesizer(["owner"], ["age"], epochs=1).fit(zero, weight_col="weight")
    assert (only.generate(new_rows(frame)[["age"]], seed=1).owner == "yes").all()


def test_condition_moves_the_target(frame):
    synth = Synthesizer(["wage"], ["age", "region"], epochs=12, n_orders=0).fit(frame)
    base = new_rows(frame, 3000)
    a, b = (synth.generate(base.assign(region=r, age=40), seed=1).wage.mean() for r in "ab")
    assert a > 1.4 * b
    permuted = frame.assign(wage=frame.wage.sample(frac=1, random_state=0).to_numpy())
    assert synth.log_prob(frame).mean() > synth.log_prob(permuted).mean() + 0.1


def test_unobserved_targets_contribute_what_they_hold(frame):
    schema = Schema.infer(frame[["age", "benefit", "owner"]]).replace("benefit", missing="unobserved")
    synth = Synthesizer(["benefit", "owner"], ["age"], schema=schema, **QUICK).fit(frame)
    assert synth.generate(new_rows(frame)[["age"]], seed=1).benefit.notna().all()
    lost = frame.benefit.isna()
    owner = Synthesizer(["owner"], ["age"], **QUICK).fit(frame)
    assert np.allclose(synth.log_prob(frame)[lost], owner.log_prob(frame)[lost], atol=0.5)


def test_unknown_level_takes_what_was_never_seen(frame):
    schema = Schema.infer(frame[["region", "owner"]]).replace("region", unknown="b")
    synth = Synthesizer(["owner"], ["region"], schema=schema, epochs=1).fit(frame)
    odd = pd.DataFrame({"region": ["zz", "b"]})
    assert np.allclose(*synth.probabilities(odd, "owner")["yes"])


# ----------------------------------------------------------------- bad input


def fit(frame, targets=("wage",), conditions=("age",), **options):
    return Synthesizer(list(targets), list(conditions), epochs=1, n_orders=0, **options).fit(frame)


BAD_TABLES = {
    "missing column": (lambda f: f.rename(columns={"age": "ages_"}), ColumnNotFoundError, "'age' not in"),
    "duplicated column": (lambda f: pd.concat([f, f[["age"]]], axis=1), DataError, "age"),
    "all missing": (lambda f: f.assign(wage=np.nan), DataError, "'wage' has no value"),
    "infinite": (lambda f: f.assign(wage=f.wage.astype(float).where(f.index != 7, np.inf)), DataError, "row 7"),
    "mixed types": (lambda f: f.assign(wage=[1, "x"] * (len(f) // 2)), DataError, "'wage'"),
    "empty": (lambda f: f.head(0), DataError, "0 rows|no rows|empty"),
    "too few rows": (lambda f: f.head(49), DataError, "at least 50 rows"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_training_tables(frame, case):
    spoil, error, text = BAD_TABLES[case]
    with pytest.raises(error, match=text):
        fit(spoil(frame))


@pytest.mark.parametrize(
    ("values", "text"),
    [(-1.0, "negative|non-negative"), (np.nan, "NaN|finite|missing"), (np.inf, "finite")],
)
def test_bad_weights_name_the_row(frame, values, text):
    spoiled = frame.assign(weight=frame.weight.where(frame.index != 11, values))
    with pytest.raises(DataError, match=text) as caught:
        Synthesizer(["wage"], ["age"]).fit(spoiled, weight_col="weight")
    assert "11" in str(caught.value)


def test_weights_all_zero_or_absent(frame):
    with pytest.raises(DataError, match="weight"):
        Synthesizer(["wage"], ["age"]).fit(frame.assign(weight=0.0), weight_col="weight")
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'weight'"):
        Synthesizer(["wage"], ["age"]).fit(frame, weight_col="wieght")


@pytest.mark.parametrize(
    ("targets", "conditions", "text"),
    [
        (["wage"], ["wage"], "both a target and a condition"),
        (["wage", "wage"], [], "more than once"),
        ([], ["age"], "empty"),
        ("wage", [], "sequence"),
        ([3], [], "column names"),
    ],
)
def test_bad_roles(frame, targets, conditions, text):
    with pytest.raises(ParameterError, match=text):
        Synthesizer(targets, conditions).fit(frame)


def test_a_constant_target_stays_constant(frame):
    synth = fit(frame.assign(one=1), targets=["one", "wage"])
    drawn = synth.generate(new_rows(frame)[["age"]], seed=0)
    assert (drawn.one == 1).all()


def test_contradicted_constraint_counts_and_shows_rows(frame):
    with pytest.raises(ConstraintError, match=r"broken by \d+ of 900 training rows.*\n.*row \d+: wage = "):
        fit(frame, constraints=["wage >= 200"])
    with pytest.raises(MicroplexError, match="wagee"):
        fit(frame, constraints=["wagee >= 0"])


def test_bad_conditions_when_generating(synth, frame):
    rows = new_rows(frame, 5)
    with pytest.raises(DataError, match=r"'zz' in row 2.*Known: 'a', 'b', 'c'"):
        synth.generate(rows.assign(region=["a", "b", "zz", "a", "c"]))
    with pytest.raises(DataError, match="'age' is missing in row 1"):
        synth.generate(rows.assign(age=[1, np.nan, 3, 4, 5]))
    with pytest.raises(DataError, match="infinite in row 0"):
        synth.generate(rows.assign(age=[np.inf, 2, 3, 4, 5]))
    with pytest.raises(DataError, match="'age' should hold numbers"):
        synth.generate(rows.assign(age=list("abcde")))
    with pytest.raises(ColumnNotFoundError, match="region"):
        synth.generate(rows[["age"]])
    with pytest.raises(DataError, match=r"0 rows|no rows|empty"):
        synth.generate(rows.head(0))
    with pytest.raises(DataError, match="not unique"):
        synth.generate(rows.assign(key=1), id_col="key")
    with pytest.raises(ParameterError, match="positive whole"):
        synth.generate(n=0)
    with pytest.raises(ParameterError, match="not both"):
        synth.generate(rows, n=4)
    with pytest.raises(ParameterError, match="seed"):
        synth.generate(rows, seed=-1)


def test_requests_that_make_no_sense(synth, frame):
    with pytest.raises(ParameterError, match="derived"):
        synth.cdf(frame.head(2), "pay", 0)
    with pytest.raises(ParameterError, match="categorical"):
        synth.quantile(frame.head(2), "owner", 0.5)
    with pytest.raises(ParameterError, match="number"):
        synth.probabilities(frame.head(2), "wage")
    with pytest.raises(ParameterError, match="between 0 and 1"):
        synth.quantile(frame.head(2), "wage", 1.5)
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'wage'"):
        synth.cdf(frame.head(2), "wagee", 0)
    with pytest.raises(NotFittedError):
        Synthesizer(["wage"]).generate(n=3)
    with pytest.raises(ParameterError, match="fit_conditions"):
        fit(frame).generate(n=3)


def test_a_schema_that_does_not_fit_the_data(frame):
    schema = Schema.infer(frame[["wage"]]).replace("wage", missing="none")
    with pytest.raises(DataError, match="'wage' is missing in row 3"):
        fit(frame.assign(wage=frame.wage.astype(float).where(frame.index != 3)), schema=schema)
    with pytest.raises(SchemaError):
        Schema.infer(frame[["wage"]]).replace("wage", kind="continous")


def test_damaged_and_newer_models(synth, tmp_path):
    path = tmp_path / "model"
    synth.save(path)
    manifest = json.loads((path / "manifest.json").read_text())
    for change in ({"format": 99}, {"kind": "Other"}, {"content": {}}):
        (path / "manifest.json").write_text(json.dumps(manifest | change))
        with pytest.raises(ModelFormatError):
            Synthesizer.load(path)
    (path / "manifest.json").write_text(json.dumps(manifest))
    (path / "arrays.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ModelFormatError, match="damaged"):
        Synthesizer.load(path)
    with pytest.raises(FileNotFoundError):
        Synthesizer.load(tmp_path / "none")
