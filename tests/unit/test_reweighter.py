"""The public estimator: its contract, its certificate, and what it says to bad input."""

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex import Reweighter, Target, reweight
from microplex._estimator import clone
from microplex.errors import (
    ColumnNotFoundError,
    ConvergenceWarning,
    DataError,
    InfeasibleTargetsError,
    NotFittedError,
    ParameterError,
)
from microplex.survey import Replicates, bootstrap, jackknife

TARGETS = {
    "state": {"CA": 600.0, "NY": 300.0, "VT": 200.0},
    "tenure": {"owned": 700.0, "rented": 400.0},
    "income": 6.0e7,
}
EXACT = 1e-9


def households(n=600, seed=0):
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "household_id": np.arange(n) + 100,
            "state": draw.choice(["CA", "NY", "VT"], n, p=[0.6, 0.3, 0.1]),
            "tenure": draw.choice(["owned", "rented"], n),
            "group": draw.choice(["many", "few"], n, p=[0.985, 0.015]),
            "income": draw.lognormal(10.5, 0.8, n).round(),
            "weight": draw.uniform(0.5, 3.0, n),
        }
    )


def members(frame, seed=1):
    draw = np.random.default_rng(seed)
    size = draw.integers(1, 5, len(frame))
    persons = pd.DataFrame({"household_id": np.repeat(frame["household_id"].to_numpy(), size)})
    persons["age"] = draw.integers(0, 95, len(persons))
    persons["wages"] = np.where(persons["age"] > 17, draw.lognormal(10, 1, len(persons)), 0.0)
    return persons.sample(frac=1.0, random_state=3).reset_index(drop=True)


def total(frame, column, category, weights):
    return weights[(frame[column] == category).to_numpy()].sum()


def test_every_total_is_met_and_certified():
    frame = households()
    fitted = Reweighter().fit(frame, TARGETS)
    for column in ("state", "tenure"):
        for category, wanted in TARGETS[column].items():
            assert total(frame, column, category, fitted.weights_) == pytest.approx(wanted, rel=EXACT)
    assert fitted.weights_ @ frame["income"] == pytest.approx(TARGETS["income"], rel=EXACT)
    assert set(fitted.diagnostics_["status"]) <= {"met", "redundant"}
    np.testing.assert_allclose(fitted.diagnostics_["after"], fitted.diagnostics_["target"], rtol=EXACT)
    assert fitted.result_.feasible
    assert fitted.result_.summary().startswith("Every target is met.")
    assert fitted.result_.calibration.kkt < EXACT


def test_base_weights_matter():
    frame = households()
    doubled = frame.assign(weight=np.where(frame["group"] == "few", 2.0, 1.0) * frame["weight"])
    first, second = (Reweighter().fit(f, TARGETS).weights_ for f in (frame, doubled))
    few = (frame["group"] == "few").to_numpy()
    assert second[few].sum() > 1.7 * first[few].sum()


def test_a_row_of_weight_three_is_the_row_three_times():
    frame = households(200)
    frame["weight"] = np.where(np.arange(200) % 4 == 0, 3.0, 1.0)
    thrice = frame.loc[frame.index.repeat(frame["weight"].astype(int))].assign(weight=1.0)
    one = Reweighter().fit(frame, TARGETS).weights_
    many = Reweighter().fit(thrice, TARGETS).weights_
    np.testing.assert_allclose(np.bincount(frame.index.repeat(frame["weight"].astype(int)), many), one, rtol=1e-8)


def test_rows_and_targets_may_come_in_any_order():
    frame = households()
    order = np.random.default_rng(5).permutation(len(frame))
    turned = {key: TARGETS[key] for key in ("income", "tenure", "state")}
    plain = Reweighter().fit(frame, TARGETS).weights_
    np.testing.assert_allclose(Reweighter().fit(frame.iloc[order], turned).weights_, plain[order], rtol=1e-8)


def test_persons_are_counted_on_household_weights():
    frame = households()
    persons = members(frame)
    targets = [
        Target(500.0, where="age < 18", entity="person"),
        Target(2.0e7, "wages", by={"state": "CA"}),
        Target(900.0, entity="households"),
    ]
    fitted = Reweighter().fit(frame, targets, persons=persons)
    weight = persons["household_id"].map(dict(zip(frame["household_id"], fitted.weights_, strict=True)))
    state = persons["household_id"].map(frame.set_index("household_id")["state"])
    assert weight[persons["age"] < 18].sum() == pytest.approx(500.0, rel=EXACT)
    assert (weight * persons["wages"])[state == "CA"].sum() == pytest.approx(2.0e7, rel=EXACT)
    assert fitted.weights_.sum() == pytest.approx(900.0, rel=EXACT)


def test_means_ratios_shares_and_quantiles_hold_exactly():
    frame = households()
    targets = [
        Target(1_000.0),
        Target.mean(52_000.0, "income", by={"state": "CA"}),
        Target.share(0.7, by={"tenure": "owned"}, where="state == 'NY'"),
        Target.quantile(30_000.0, "income", 0.4),
    ]
    fitted = Reweighter().fit(frame, targets)
    w = fitted.weights_
    ca, ny = ((frame["state"] == code).to_numpy() for code in ("CA", "NY"))
    owned = (frame["tenure"] == "owned").to_numpy()
    assert np.average(frame["income"][ca], weights=w[ca]) == pytest.approx(52_000.0, rel=EXACT)
    assert w[ny & owned].sum() / w[ny].sum() == pytest.approx(0.7, rel=EXACT)
    assert w[(frame["income"] <= 30_000).to_numpy()].sum() == pytest.approx(400.0, rel=EXACT)


@pytest.mark.parametrize("method", ["raking", "linear", "logit"])
def test_bounds_hold_for_every_method(method):
    frame = households()
    free = Reweighter(method=method, bounds=(0.0, 50.0)).fit(frame, TARGETS)
    ratio = free.weights_ / frame["weight"]
    bounds = (0.9 * ratio.min() + 0.1, 0.9 * ratio.max() + 0.1)
    held = Reweighter(method=method, bounds=bounds).fit(frame, TARGETS)
    g = held.weights_ / frame["weight"].to_numpy()
    assert g.min() >= bounds[0] - 1e-12
    assert g.max() <= bounds[1] + 1e-12
    assert held.result_.calibration.max_error < EXACT


def test_tolerances_are_used_and_never_exceeded():
    frame = households()
    exact = Reweighter().fit(frame, TARGETS)
    loose = Reweighter(tolerance=0.02).fit(frame, TARGETS)
    assert loose.diagnostics_["error"].abs().max() <= 0.02 + EXACT
    assert loose.result_.calibration.ess > exact.result_.calibration.ess
    assert set(loose.diagnostics_["status"]) <= {"within tolerance", "met"}


def test_l2_is_the_chi_square_distance():
    frame = households()
    np.testing.assert_allclose(
        Reweighter(sparsity="l2").fit(frame, TARGETS).weights_, Reweighter(method="linear").fit(frame, TARGETS).weights_
    )


def test_l1_changes_few_weights():
    frame = households()
    fitted = Reweighter(sparsity="l1", bounds=(0.0, 40.0)).fit(frame, TARGETS)
    inside = (fitted.weights_ > 1e-9) & (fitted.weights_ < 40 * frame["weight"] * (1 - 1e-9))
    changed = inside & (np.abs(fitted.weights_ / frame["weight"] - 1) > 1e-9)
    assert changed.sum() <= fitted.result_.calibration.rank
    assert fitted.result_.calibration.max_error < 1e-8
    spread = np.abs(Reweighter(bounds=(0.0, 40.0)).fit(frame, TARGETS).weights_ - frame["weight"]).sum()
    assert np.abs(fitted.weights_ - frame["weight"]).sum() < spread


def test_l0_keeps_no_more_records_than_independent_targets():
    fitted = Reweighter(sparsity="l0").fit(households(), TARGETS)
    stats = fitted.get_sparsity_stats()
    assert stats["n_nonzero"] <= fitted.result_.calibration.rank == 5
    assert stats["max_relative_error"] < 1e-8
    assert stats["sparsity"] == pytest.approx(1 - stats["n_nonzero"] / 600)


def test_l0_within_tolerance_needs_fewer_records():
    frame = households()
    loose = Reweighter(sparsity="l0", tolerance=0.2).fit(frame, TARGETS)
    assert loose.get_sparsity_stats()["n_nonzero"] < 5
    assert loose.diagnostics_["error"].abs().max() <= 0.2 + 1e-8


def test_n_records_keeps_totals_exact_and_weights_spread():
    fitted = Reweighter(sparsity="l0", n_records=120, seed=4).fit(households(), TARGETS)
    stats = fitted.get_sparsity_stats()
    assert abs(stats["n_nonzero"] - 120) <= 5
    assert stats["ess"] >= 0.9 * 120
    assert stats["max_relative_error"] < 1e-8


def test_the_seed_decides_which_records_are_kept():
    frame = households()
    kept = [Reweighter(sparsity="l0", n_records=120, seed=seed).fit(frame, TARGETS).weights_ for seed in (1, 1, 2)]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert (kept[0] != kept[2]).any()


def test_a_rare_group_vanishes_unless_it_is_protected():
    frame = households()
    few = (frame["group"] == "few").to_numpy()
    dense = Reweighter().fit(frame, TARGETS).weights_[few].sum()
    lost = [Reweighter(sparsity="l0", seed=seed).fit(frame, TARGETS).weights_[few].sum() for seed in range(8)]
    assert min(lost) == 0.0
    for seed in range(8):
        guarded = Reweighter(sparsity="l0", protect={"group": 0.02}, seed=seed).fit(frame, TARGETS)
        assert guarded.weights_[few].sum() == pytest.approx(dense, rel=0.02)
        assert guarded.result_.calibration.max_error < 1e-8
    loose = Reweighter(sparsity="l0", tolerance=0.1, protect={"group": 0.05}).fit(frame, TARGETS)
    reference = Reweighter(tolerance=0.1).fit(frame, TARGETS).weights_[few].sum()
    assert loose.weights_[few].sum() == pytest.approx(reference, rel=0.05 + 1e-8)


def test_whole_weights_keep_the_totals_closely():
    fitted = Reweighter(integer=True).fit(households(), TARGETS)
    assert (fitted.weights_ == np.rint(fitted.weights_)).all()
    counts = fitted.diagnostics_.iloc[:5]
    assert (counts["after"] - counts["target"]).abs().max() <= 1.0
    assert set(fitted.diagnostics_["status"]) <= {"met", "redundant", "rounded"}
    assert "whole weights" in fitted.result_.summary() or set(fitted.diagnostics_["status"]) <= {"met", "redundant"}


# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas, lambda f: pa.Table.from_pandas(f, preserve_index=False)])
def test_the_kind_of_frame_comes_back(make):
    frame = make(households())
    given = Reweighter().fit(households(), TARGETS).weights_
    weighted = reweight(frame, TARGETS)
    assert type(weighted) is type(frame)
    np.testing.assert_allclose(np.asarray(weighted["weight"]), given)
    sparse = Reweighter(sparsity="l0").fit(frame, TARGETS)
    assert len(sparse.transform(frame, drop_zero=True)) == (sparse.weights_ > 0).sum()


def test_the_frame_given_is_left_alone_and_its_index_kept():
    frame = households().set_index(pd.Index(np.arange(600) * 2 + 1, name="row"))
    before = frame.copy()
    weighted = Reweighter().fit_transform(frame, TARGETS)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(weighted.drop(columns="weight"), before.drop(columns="weight"))


def test_without_base_weights_all_records_start_alike():
    frame = households().drop(columns="weight")
    fitted = Reweighter().fit(frame, {"state": TARGETS["state"]}, weight_col=None)
    ratio = pd.Series(fitted.weights_).groupby(frame["state"].to_numpy()).nunique()
    assert (ratio == 1).all()
    assert "weight" in fitted.transform(frame).columns


def test_transform_takes_only_the_rows_that_were_fitted():
    frame = households()
    fitted = Reweighter().fit(frame, TARGETS)
    with pytest.raises(DataError, match=r"600 fitted rows.*got 599"):
        fitted.transform(frame.iloc[1:])
    with pytest.raises(DataError, match=r"'weight' differs|'household_id' differs"):
        fitted.transform(frame.iloc[::-1])
    with pytest.raises(NotFittedError):
        Reweighter().transform(frame)
    with pytest.raises(NotFittedError):
        Reweighter().get_sparsity_stats()


def test_fitting_twice_equals_a_fresh_fit_and_clone_forgets():
    frame = households()
    fitted = Reweighter().fit(frame, TARGETS)
    other = {"tenure": {"owned": 100.0, "rented": 100.0}}
    np.testing.assert_array_equal(fitted.fit(frame, other).weights_, Reweighter().fit(frame, other).weights_)
    assert not hasattr(clone(fitted), "weights_")
    assert set(inspect.signature(Reweighter).parameters) == set(Reweighter().get_params())


# -------------------------------------------------------------- replicates


def test_replicates_meet_the_same_totals():
    frame = households(300)
    repeated = bootstrap(frame["weight"], n_replicates=12, seed=1)
    fitted = Reweighter().fit(frame, TARGETS, replicates=repeated)
    assert fitted.replicate_weights_.shape == (12, 300)
    for own, base in zip(fitted.replicate_weights_, repeated.weights, strict=True):
        assert total(frame, "state", "VT", own) == pytest.approx(200.0, rel=1e-8)
        assert (own[base == 0] == 0).all()
        alone = Reweighter().fit(frame.assign(weight=base), TARGETS).weights_
        np.testing.assert_allclose(own, alone, rtol=1e-6)


def test_replicates_may_be_columns():
    frame = households(60)
    columns = {f"rep{i}": values for i, values in enumerate(jackknife(frame["weight"], np.arange(60) % 6).weights)}
    fitted = Reweighter().fit(frame.assign(**columns), {"tenure": TARGETS["tenure"]}, replicates=list(columns))
    np.testing.assert_allclose([total(frame, "tenure", "owned", w) for w in fitted.replicate_weights_], 700.0)
    with pytest.raises(ColumnNotFoundError, match="rep9"):
        Reweighter().fit(frame.assign(**columns), {"tenure": TARGETS["tenure"]}, replicates=["rep9"])


def test_a_replicate_without_records_for_a_target_is_named():
    frame = households(60)
    base = frame["weight"].to_numpy() * (frame["state"] != "VT").to_numpy()
    with pytest.raises(InfeasibleTargetsError, match="replicate 0 misses 1"):
        Reweighter().fit(frame, {"state": TARGETS["state"]}, replicates=Replicates(base[None, :], np.ones(1)))


# ------------------------------------------------------------- infeasible


def clashing():
    return [
        *(Target(value, by={"state": name}) for name, value in TARGETS["state"].items()),
        Target(1_122.0, name="nation"),
    ]


def test_a_contradiction_is_named_in_words():
    with pytest.raises(InfeasibleTargetsError, match=r"1[,.]?1.*the sum of 3 states.*\+2 %"):
        Reweighter().fit(households(), clashing())


def test_relaxing_warns_and_compromises_by_importance():
    frame = households()
    with pytest.warns(ConvergenceWarning, match="the sum of 3 states"):
        even = Reweighter(on_infeasible="relax").fit(frame, clashing())
    firm = [*clashing()[:3], Target(1_122.0, name="nation", importance=1e4)]
    with pytest.warns(ConvergenceWarning):
        held = Reweighter(on_infeasible="relax").fit(frame, firm)
    assert not even.result_.feasible
    assert abs(held.diagnostics_["error"].iloc[3]) < 1e-4 < abs(even.diagnostics_["error"].iloc[3])
    # Least squares of relative errors: moments of the Lagrangian are alike for the states.
    errors = even.diagnostics_["error"].to_numpy()
    sizes = np.array([600.0, 300.0, 200.0])
    np.testing.assert_allclose(errors[:3] / sizes, errors[0] / 600.0, rtol=1e-3)


def test_tolerance_reconciles_what_contradicts():
    fitted = Reweighter(tolerance=0.015).fit(households(), clashing())
    assert fitted.result_.feasible


def test_means_that_only_weights_of_nothing_meet_are_refused():
    frame = households()
    targets = [Target.mean(50_000.0, "income"), Target.mean(20_000.0, "income", where="weight > 0")]
    with pytest.raises(InfeasibleTargetsError, match="weights of nothing"):
        Reweighter().fit(frame, targets)


def test_whole_weights_of_clashing_targets_are_not_certified():
    with pytest.warns(ConvergenceWarning):
        fitted = Reweighter(integer=True, on_infeasible="relax").fit(households(), clashing())
    assert not fitted.result_.feasible
    assert fitted.result_.summary().startswith("Not every target can be met.")


def test_every_clash_is_kept_with_the_error():
    cells = [f"weight > {cut}" for cut in np.linspace(0.01, 0.4, 30)]  # every record, written in thirty ways
    targets = [Target(600.0), *(Target(601.0 + i, where=cell) for i, cell in enumerate(cells))]
    with pytest.raises(InfeasibleTargetsError, match="and 10 more") as caught:
        Reweighter().fit(households(), targets)
    assert len(caught.value.findings) == 30


def test_bounds_that_cannot_hold_are_named():
    frame = households()
    with pytest.raises(InfeasibleTargetsError, match=r"count, state=VT.*bounds of w / d"):
        Reweighter(bounds=(0.9, 1.1)).fit(frame, {"state": {"CA": 600.0, "NY": 300.0, "VT": 800.0}})


def test_what_no_record_has_is_listed_whole():
    targets = {"state": {"CA": 600.0, "TX": 10.0, "WA": 20.0}}
    with pytest.raises((InfeasibleTargetsError, DataError), match=r"TX[\s\S]*WA"):
        Reweighter().fit(households(), targets)


def test_nothing_is_learned_when_anything_is_refused():
    fitted = Reweighter()
    with pytest.raises(InfeasibleTargetsError):
        fitted.fit(households(), clashing())
    assert not hasattr(fitted, "weights_")


# --------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sparsity": "l3"}, "sparsity"),
        ({"method": "rake"}, "raking"),
        ({"bounds": (2.0, 1.0)}, "bounds"),
        ({"bounds": (0.5, float("nan"))}, "bounds"),
        ({"bounds": "tight"}, "bounds"),
        ({"bounds": (1.1, 3.0), "method": "logit"}, "logit"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"tolerance": "5%"}, "tolerance"),
        ({"n_records": 50}, "sparsity='l0'"),
        ({"n_records": 2, "sparsity": "l0"}, "n_records must lie between"),
        ({"n_records": 9_000, "sparsity": "l0"}, "n_records must lie between"),
        ({"sparsity": "l0", "bounds": (0.5, 2.0)}, "no bounds"),
        ({"sparsity": "l1", "bounds": (-np.inf, np.inf), "method": "linear"}, "not negative"),
        ({"integer": True, "bounds": (-np.inf, np.inf), "method": "linear"}, "not negative"),
        ({"protect": ["group"]}, "protect"),
        ({"protect": "group", "sparsity": "l0"}, "list of columns"),
        ({"protect": {"group": -1.0}, "sparsity": "l0"}, "band"),
        ({"on_infeasible": "ignore"}, "on_infeasible"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ParameterError, match=message):
        Reweighter(**parameters).fit(households(), TARGETS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": lambda f: f["weight"].where(f.index != 7)}, "weight"),
        ({"weight": lambda f: -f["weight"]}, "weight"),
        ({"weight": lambda f: 0.0 * f["weight"]}, "weight"),
        ({"income": lambda f: f["income"].where(f.index != 7)}, r"income.*missing in 1 rows?.*row 7"),
        ({"income": lambda f: f["income"].astype(str) + "x"}, "income"),
        ({"state": lambda f: f["state"].where(f.index > 1)}, "state"),
    ],
)
def test_wrong_columns_are_refused(change, message):
    frame = households()
    with pytest.raises(DataError, match=message):
        Reweighter().fit(frame.assign(**change), TARGETS)


def test_wrong_tables_are_refused():
    frame = households()
    children = [Target(500.0, where="age < 18", entity="persons")]
    persons = members(frame)
    with pytest.raises((DataError, ParameterError), match="persons"):
        Reweighter().fit(frame, children)
    with pytest.raises(DataError, match="household"):
        Reweighter().fit(frame, children, persons=pd.concat([persons, persons.head(1).assign(household_id=1)]))
    with pytest.raises(DataError, match="household_id"):
        Reweighter().fit(pd.concat([frame, frame.head(1)]), children, persons=persons)
    with pytest.raises(ColumnNotFoundError, match="wieght"):
        Reweighter().fit(frame, TARGETS, weight_col="wieght")
    with pytest.raises((DataError, TypeError)):
        Reweighter().fit([1, 2], TARGETS)


def test_the_band_of_a_mean_is_relative_to_the_mean_however_others_grow():
    frame = pd.DataFrame({"s": ["a"] * 4 + ["b"] * 4, "x": np.arange(1.0, 9.0), "weight": 1.0})
    cell = {"s": "b"}
    targets = [Target(100, by={"s": "a"}), Target(4, by=cell), Target.mean(5.7, "x", by=cell, tolerance=0.01)]
    fitted = Reweighter().fit(frame, targets)
    w = fitted.weights_[4:]
    assert np.average(frame["x"][4:], weights=w) == pytest.approx(5.7 * 1.01, rel=1e-6)
