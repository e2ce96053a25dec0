import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError
from microplex.metrics.pair import pair
from microplex.metrics.privacy import privacy_records, privacy_verdict

CHOICES = {"quasi_identifiers": ["age", "state"], "sensitive": ["wages", "state"]}


def survey(n, seed):
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    wages = np.where(rng.random(n) < 0.3, 0.0, np.round(np.exp(9 + age / 50 + 0.7 * rng.normal(size=n))))
    interest = np.where(rng.random(n) < 0.5, 0.0, np.round(np.exp(6 + rng.normal(size=n))))
    state = rng.choice(["ca", "ny", "tx"], n)
    return pd.DataFrame({"age": age, "wages": wages, "interest": interest, "state": state})


def measured(train, synthetic, holdout=None, **options):
    held = None if holdout is None else pair(holdout, synthetic)
    return privacy_records(pair(train, synthetic), held, **options)


def by_name(records):
    return {(record.measure, *record.variables): record for record in records}


TRAIN, HOLDOUT, FRESH = survey(1000, 0), survey(900, 1), survey(800, 2)


def test_fresh_rows_are_no_alarm():
    records = measured(TRAIN, FRESH, HOLDOUT, **CHOICES)
    assert all(record.defined for record in records)
    outside = [r.measure for r in records if r.interval and not r.interval[0] <= r.value <= r.interval[1]]
    assert len(outside) <= 1  # of seven comparisons at a false-alarm rate of 5 % each
    text = privacy_verdict(records)
    assert "cannot prove" in text
    assert "Not measured" not in text


def test_copies_are_seen_and_said():
    copied = pd.concat([FRESH[:500], TRAIN[:300]], ignore_index=True)
    records = by_name(measured(TRAIN, copied, HOLDOUT, **CHOICES))
    for key in (("dcr_share",), ("identical_share",), ("near_identical_share",), ("membership_auc",),
                ("attribute_advantage", "wages")):  # fmt: skip
        assert records[key].value > records[key].interval[1], key
    assert records[("dcr_ratio",)].value < 1
    text = privacy_verdict(records.values())
    assert text.startswith("Signs that training rows were memorised")
    assert "exact training rows" in text


def test_identical_rows_are_those_of_a_join():
    copied = pd.concat([FRESH[:500], TRAIN[:300]], ignore_index=True)
    record = by_name(measured(TRAIN, copied, HOLDOUT))[("identical_share",)]
    distinctive = (copied["wages"] > 0) & (copied["interest"] > 0) & (copied["wages"] != copied["interest"])
    # ages are numbers of few values, so that they do not make a row distinctive
    seen = set(TRAIN.itertuples(index=False, name=None))
    same = np.array([row in seen for row in copied.itertuples(index=False, name=None)])
    assert record.value == pytest.approx(same[distinctive].mean())
    assert record.n == distinctive.sum()


def test_near_copies_are_seen():
    shaken = TRAIN[:800].copy()
    shaken["wages"] = np.where(shaken["wages"] > 0, shaken["wages"] + 1, 0.0)
    records = by_name(measured(TRAIN, shaken, HOLDOUT))
    assert records[("near_identical_share",)].value > 0.9
    assert records[("membership_auc",)].value > 0.8
    assert records[("identical_share",)].value < 0.05


def test_a_holdout_of_training_rows_is_said():
    held = pd.concat([HOLDOUT[:500], TRAIN[:400]], ignore_index=True)
    with pytest.warns(UserWarning, match="holdout rows are training rows; privacy figures would flatter"):
        records = measured(TRAIN, FRESH, held)
    assert by_name(records)[("holdout_overlap",)].value > 0.3
    assert "Do not rely on these comparisons" in privacy_verdict(records)


def test_levels_of_one_table_alone_keep_their_meaning():
    far, other = FRESH.assign(state="wa"), HOLDOUT.assign(state="az")
    records = by_name(measured(TRAIN, far, other, sensitive=["state"], known=["age"]))
    assert records[("attribute_advantage", "state")].value == 0  # nobody lives in wa, and az is not wa
    same = by_name(measured(TRAIN, far, HOLDOUT.assign(state="wa"), sensitive=["state"], known=["age"]))
    assert same[("attribute_advantage", "state")].value == -1


def test_targets_choose_the_distance():
    moved = TRAIN.assign(age=FRESH["age"].reindex(TRAIN.index, fill_value=30))
    everything = by_name(measured(TRAIN, moved, HOLDOUT))
    amounts = by_name(measured(TRAIN, moved, HOLDOUT, targets=["wages", "interest", "state"]))
    assert amounts[("identical_share",)].value == 1 > everything[("identical_share",)].value


def test_rows_are_drawn_where_there_are_many():
    records = by_name(measured(TRAIN, FRESH, HOLDOUT, max_rows=100, **CHOICES))
    assert records[("dcr_share",)].n == 100
    assert records[("k_anonymity", "age", "state")].n == 800
    again = by_name(measured(TRAIN, FRESH, HOLDOUT, max_rows=100, **CHOICES))
    assert {key: record.value for key, record in records.items()} == {k: record.value for k, record in again.items()}


def test_without_a_holdout_nothing_is_claimed():
    records = measured(TRAIN, FRESH, sensitive=["wages"])
    assert {r.measure for r in records if not r.defined} >= {"dcr_share", "membership_auc", "attribute_advantage"}
    text = privacy_verdict(records)
    assert text.startswith("Nothing was compared with a holdout")
    assert "membership inference" in text[text.index("Not measured") :]
    assert "without a holdout nothing says" in text


def test_rows_that_nothing_tells_apart_are_undefined():
    plain = pd.DataFrame({"sex": ["f", "m"] * 20, "age": [30.0, 40.0] * 20})
    records = by_name(measured(plain, plain, plain, sensitive=["sex"], known=["sex"]))
    assert "distinctive" not in records[("identical_share",)].detail
    assert "two different non-zero values" in records[("identical_share",)].reason
    assert "median distance" in records[("dcr_ratio",)].reason
    assert "nothing else is known" in records[("attribute_advantage", "sex")].reason
    few = by_name(measured(TRAIN, FRESH, HOLDOUT[:3]))
    assert "fewer than 4" in few[("membership_auc",)].reason


def test_bad_input_is_named():
    with pytest.raises(DataError, match=r"800 synthetic rows and the holdout pair 9"):
        privacy_records(pair(TRAIN, FRESH), pair(HOLDOUT, FRESH[:9]))
    with pytest.raises(ColumnNotFoundError, match=r"quasi-identifier column 'stat' not in data\. Did you mean 'state'"):
        measured(TRAIN, FRESH, quasi_identifiers=["stat"])
    with pytest.raises(ColumnNotFoundError, match="sensitive column"):
        measured(TRAIN, FRESH, sensitive=["wage"])
    with pytest.raises(ColumnNotFoundError, match="holdout column"):
        privacy_records(pair(TRAIN, FRESH), pair(HOLDOUT[["age"]], FRESH[["age"]]))
    odd = HOLDOUT.assign(state=1.0)
    with pytest.raises(DataError, match="'state' is a category in training and a number in the holdout"):
        privacy_records(pair(TRAIN, FRESH), pair(odd, FRESH.assign(state=1.0)))
