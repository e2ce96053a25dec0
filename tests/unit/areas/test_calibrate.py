import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex import Reweighter
from microplex.areas import calibrate_areas
from microplex.errors import ConvergenceWarning, InfeasibleTargetsError, ParameterError
from microplex.targets import Target, TargetSet, build_design

SIZES = {"a": 3.0, "b": 1.0, "c": 2.0, "d": 5.0, "e": 1.5}
AREAS = pd.DataFrame(
    {
        "zone": ["d", "a", "c", "b", "e"],
        "tract": ["T2", "T1", "T2", "T1", "T3"],
        "county": ["X", "X", "X", "X", "Y"],
        "size": [SIZES[zone] for zone in "dacbe"],
    }
)


def survey(seed=0, n=40, county=False):
    r = np.random.default_rng(seed)
    households = pd.DataFrame(
        {
            "household_id": r.permutation(n) + 100,
            "tenure": r.choice(["own", "rent"], n),
            "rooms": r.integers(1, 4, n),
            "income": np.round(r.exponential(30, n)),
            "tax": np.round(r.exponential(5, n)),
            "weight": r.uniform(1, 5, n),
        }
    )
    if county:
        households["county"] = r.choice(["X", "Y"], n, p=[0.7, 0.3])
    size = r.integers(1, 4, n)
    persons = pd.DataFrame(
        {"household_id": np.repeat(households["household_id"], size), "age": r.integers(0, 90, size.sum())}
    )
    return households, persons


def cloned(households, persons, areas=AREAS):
    """Return every household in every zone that it may live in, as plain rows, with its persons: the slow twin."""
    rows = []
    for household in households.to_dict("records"):
        zones = [z for z in areas.to_dict("records") if household.get("county", z["county"]) == z["county"]]
        mass = sum(zone["size"] for zone in zones)
        for zone in zones:
            place = {name: zone[name] for name in ("zone", "tract", "county")}
            weight = household["weight"] * zone["size"] / mass
            rows.append({**household, **place, "weight": weight, "clone": len(rows)})
    clones = pd.DataFrame(rows)
    people = clones[["household_id", "clone"]].merge(persons, on="household_id").drop(columns="household_id")
    return clones, people


def feasible(clones, people, definitions, seed=1):
    """Return targets of the definitions with the figures that known positive weights of the clones give."""
    r = np.random.default_rng(seed)
    start = TargetSet([Target(1.0 if f.get("statistic") != "share" else 0.5, **f) for f in definitions])
    tilted = clones.assign(weight=clones["weight"] * np.exp(0.4 * r.normal(size=len(clones))))
    built = build_design(tilted, start, persons=people, id_col="clone", on_infeasible="keep")
    found = []
    for target, definition, figure in zip(start, definitions, figures(built, tilted, start), strict=True):
        assert target.statistic == definition.get("statistic", "total")
        found.append(Target(figure, **definition))
    return TargetSet(found)


def figures(built, clones, targets):
    w = clones["weight"].to_numpy()
    for j, target in enumerate(targets):
        if target.statistic == "total":
            yield float((built.design @ w)[j])
        else:
            yield float(built.achieved(w)[j])


def definitions(kind):
    zones = [{"by": {"zone": zone}} for zone in "abcde"]
    tenure = [{"by": {"zone": zone, "tenure": level}} for zone in "abc" for level in ("own", "rent")]
    if kind == "zones":
        return zones + tenure
    nested = zones + tenure + [{"by": {"tract": t}, "variable": "income"} for t in ("T1", "T2", "T3")]
    nested += [{"by": {"county": "X", "rooms": rooms}} for rooms in (1, 2, 3)]
    nested += [{"by": {"tract": t}, "where": "age < 40", "entity": "persons"} for t in ("T1", "T2")]
    if kind == "nested":
        return nested
    return [
        *nested,
        {"variable": "tax"},
        {"by": {"county": "Y"}, "variable": "income", "statistic": "mean"},
        {"by": {"tract": "T2", "tenure": "rent"}, "variable": "tax", "statistic": "mean"},
        {"by": {"county": "X"}, "variable": "tax", "denominator": "income", "statistic": "ratio"},
        {"by": {"tenure": "rent"}, "where": "rooms > 1", "statistic": "share"},
        {"where": "age > 60", "entity": "persons"},
    ]


@pytest.mark.parametrize("county", [False, True])
@pytest.mark.parametrize("kind", ["zones", "nested", "all"])
@pytest.mark.parametrize(
    ("method", "bounds"), [("raking", (0.0, np.inf)), ("linear", (0.2, np.inf)), ("logit", (0.05, 12.0))]
)
def test_weights_equal_those_of_all_clones_written_out(kind, county, method, bounds):
    households, persons = survey(3, county=county)
    clones, people = cloned(households, persons)
    targets = feasible(clones, people, definitions(kind))
    twin = Reweighter(method=method, bounds=bounds).fit(clones, targets, persons=people, id_col="clone")
    found = calibrate_areas(households, targets, AREAS, persons=persons, method=method, bounds=bounds)
    expected = np.zeros((len(households), 5))
    row = pd.Series(range(len(households)), index=households["household_id"])
    expected[row[clones["household_id"]], ["abcde".index(zone) for zone in clones["zone"]]] = twin.weights_
    np.testing.assert_allclose(found.matrix().toarray(), expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.weights_of("c"), expected[:, 2], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.household_weights(), expected.sum(axis=1), rtol=1e-7)
    np.testing.assert_allclose(found.zone_weights(), expected.sum(axis=0), rtol=1e-7)
    assert found.feasible
    for name in ("name", "target", "before", "after", "tolerance"):
        left, right = found.diagnostics[name], twin.diagnostics_[name]
        if name == "name":
            assert left.tolist() == right.tolist()
        else:
            np.testing.assert_allclose(left, right, rtol=1e-7)


def test_a_quantile_of_an_area_is_met():
    households, persons = survey(5)
    clones, _ = cloned(households, persons)
    targets = TargetSet(
        [
            Target.quantile(25.0, "income", 0.6, by={"tract": "T1"}),
            Target.quantile(25.0, "income", 0.45, by={"tract": "T2"}),
            Target(50, by={"zone": "a"}),
        ]
    )
    found = calibrate_areas(households, targets, AREAS)
    twin = Reweighter().fit(clones, targets).weights_
    np.testing.assert_allclose(found.weights_of("a"), twin[clones["zone"] == "a"], rtol=1e-8)
    w = found.weights_of("a") + found.weights_of("b")
    assert w[households["income"] <= 25].sum() / w.sum() == pytest.approx(0.6)


def test_a_zone_without_target_keeps_its_base_weight():
    households, _ = survey()
    found = calibrate_areas(households, {"zone": {"a": 100, "b": 3}}, AREAS)
    np.testing.assert_allclose(found.weights_of("d"), households["weight"] * 5 / 12.5)
    assert found.weights_of("a").sum() == pytest.approx(100)


def test_zones_that_nothing_tells_apart_share_by_size():
    households, _ = survey()
    found = calibrate_areas(households, {"county": {"X": 110, "Y": 7}}, AREAS)
    np.testing.assert_allclose(found.zone_weights(), [30, 10, 20, 50, 7])


def test_household_counts_of_zones_are_their_sizes_unless_given():
    households, _ = survey()
    areas = AREAS.drop(columns="size")
    targets = {"zone": SIZES, ("zone", "tenure"): {("a", "own"): 1.0}}
    found = calibrate_areas(households, targets, areas)
    given = calibrate_areas(households, targets, AREAS)
    np.testing.assert_allclose(found.matrix().toarray(), given.matrix().toarray())
    np.testing.assert_allclose(found.diagnostics["before"], given.diagnostics["before"])


def test_row_order_changes_nothing():
    households, persons = survey(4)
    clones, people = cloned(households, persons)
    targets = feasible(clones, people, definitions("nested"))
    found = calibrate_areas(households, targets, AREAS, persons=persons)
    order = np.random.default_rng(0).permutation(len(households))
    other = calibrate_areas(households.iloc[order], targets, AREAS.iloc[::-1], persons=persons.iloc[::-1])
    np.testing.assert_allclose(other.matrix().toarray(), found.matrix().toarray()[order], rtol=1e-9)
    assert other.zones == found.zones == tuple("abcde")


def test_a_zone_total_of_zero_takes_all_weight():
    households, _ = survey()
    targets = {"zone": {"a": 0, "b": 8}, "tract": {"T1": 8}}
    for areas in (AREAS, AREAS.drop(columns="size"), AREAS.assign(size=[5, 0, 2, 1, 1])):
        found = calibrate_areas(households, targets, areas)
        assert (found.weights_of("a") == 0).all()
        assert found.weights_of("b").sum() == pytest.approx(8)
        assert found.feasible


def test_every_total_zero_gives_no_weight():
    households, _ = survey()
    found = calibrate_areas(households, {"zone": {"a": 0, "b": 0}}, AREAS.assign(size=[1, 0, 1, 0, 1]))
    assert found.weights_of("a").sum() == 0 == found.weights_of("b").sum()
    assert found.feasible


def test_areas_that_share_no_target_do_not_touch_each_other(monkeypatch):
    households, persons = survey(6)
    clones, people = cloned(households, persons)
    targets = feasible(clones, people, definitions("nested"))
    found = calibrate_areas(households, targets, AREAS, persons=persons)
    assert len(found.results) == 1
    monkeypatch.setattr("microplex.areas.calibrate._BATCH", 1)
    apart = calibrate_areas(households, targets, AREAS, persons=persons)
    assert len(apart.results) == 2  # the zones of county X, which has targets, and the other
    np.testing.assert_allclose(apart.matrix().toarray(), found.matrix().toarray(), rtol=1e-9)
    assert apart.diagnostics["name"].tolist() == found.diagnostics["name"].tolist() == list(targets.names)


def test_zones_are_told_apart_where_households_tell_them_apart():
    households, persons = survey(2, county=True)
    clones, _ = cloned(households, persons)
    twin = Reweighter().fit(clones, {"households": 90, "income": 3000}).weights_
    found = calibrate_areas(households, {"households": 90, "income": 3000}, AREAS)
    for zone in "abcde":
        inside = (clones["zone"] == zone).to_numpy()
        row = pd.Series(range(len(households)), index=households["household_id"])[clones.loc[inside, "household_id"]]
        np.testing.assert_allclose(found.weights_of(zone)[row], twin[inside], rtol=1e-8)
        assert found.weights_of(zone).sum() == pytest.approx(twin[inside].sum())


def test_a_mean_in_a_zone_of_nobody_is_no_contradiction():
    households, _ = survey()
    targets = [Target(0, by={"zone": "a"}), Target.mean(20, "income", by={"zone": "a"}), Target(5, by={"zone": "b"})]
    found = calibrate_areas(households, targets, AREAS)
    assert found.feasible
    assert found.zone_weights()[:2].tolist() == pytest.approx([0, 5])


@pytest.mark.parametrize(
    "bad",
    [
        [Target.mean(9, "income", by={"zone": "a"}), Target.mean(1, "income", by={"zone": "a"}, where="rooms < 4")],
        [Target(10, by={"zone": "a"}), Target(1e5, "income", by={"zone": "a"})],
    ],
)
def test_a_clash_in_one_area_leaves_the_others_as_they_are(bad):
    households, _ = survey()
    good = {"zone": {"c": 7, "d": 9, "e": 3}, ("zone", "tenure"): {("c", "own"): 5}}
    alone = calibrate_areas(households, good, AREAS)
    with pytest.warns(ConvergenceWarning):
        found = calibrate_areas(households, [*TargetSet.coerce(good), *bad], AREAS, on_infeasible="relax")
    for zone in "cde":
        np.testing.assert_allclose(found.weights_of(zone), alone.weights_of(zone), rtol=1e-9)


def test_contradictions_are_named_in_words():
    households, _ = survey()
    targets = {"zone": {"a": 10, "b": 12}, "tract": {"T1": 30, "T2": 5}, "county": {"Y": 4}}
    with pytest.raises(InfeasibleTargetsError) as error:
        calibrate_areas(households, targets | {"zone": {"a": 10, "b": 12, "e": 5}}, AREAS)
    assert "tract=T1 30 vs the sum of 2 zones 22 (+36 %)" in str(error.value)
    assert "zone=e 5" in str(error.value)
    assert "T2" not in str(error.value)


def test_two_figures_for_one_thing_are_named():
    households, _ = survey()
    with pytest.raises(InfeasibleTargetsError, match=r"zone=a.* 11 vs count, zone=a 10"):
        calibrate_areas(households, [Target(10, by={"zone": "a"}), Target(11, by={"zone": "a"})], AREAS)


def test_clashing_targets_can_be_met_as_closely_as_possible():
    households, _ = survey()
    targets = {"zone": {"a": 10, "b": 12, "c": 7}, "tract": {"T1": 30}}
    with pytest.warns(ConvergenceWarning, match="the sum of 2 zones 22"):
        found = calibrate_areas(households, targets, AREAS, on_infeasible="relax")
    table = found.diagnostics.set_index("name")
    assert not found.feasible
    assert table.loc["count, zone=c", "status"] == "met"
    assert set(table["status"]) == {"met", "relaxed", "contradicts"}
    clones, _ = cloned(households, survey()[1])
    with pytest.warns(ConvergenceWarning):
        twin = Reweighter(on_infeasible="relax").fit(clones, targets)
    np.testing.assert_allclose(table["after"], twin.diagnostics_["after"], rtol=1e-3)
    assert "Not every target can be met." in found.summary()


def test_importance_decides_who_gives_way():
    households, _ = survey()
    zones = [Target(10, by={"zone": "a"}), Target(10, by={"zone": "b"})]
    targets = [*zones, Target(30, by={"tract": "T1"}, importance=1e4)]
    with pytest.warns(ConvergenceWarning):
        found = calibrate_areas(households, targets, AREAS, on_infeasible="relax")
    assert found.diagnostics["after"].iloc[2] == pytest.approx(30, rel=1e-3)


def test_tolerances_reconcile_levels():
    households, _ = survey()
    targets = {"zone": {"a": 10, "b": 12}, "tract": {"T1": 22.3}}
    with pytest.raises(InfeasibleTargetsError):
        calibrate_areas(households, targets, AREAS)
    found = calibrate_areas(households, targets, AREAS, tolerance=0.02)
    assert found.feasible
    assert found.diagnostics["error"].abs().max() <= 0.02 + 1e-8


def test_a_mean_without_records_is_refused_or_marked():
    households, _ = survey(county=True)
    households.loc[households["county"] == "Y", "tenure"] = "own"
    targets = [Target.mean(20, "income", by={"zone": "e", "tenure": "rent"}), Target(5, by={"zone": "e"})]
    with pytest.raises(InfeasibleTargetsError, match="no record bears"):
        calibrate_areas(households, targets, AREAS)
    with pytest.warns(ConvergenceWarning, match="no record bears"):
        found = calibrate_areas(households, targets, AREAS, on_infeasible="relax")
    assert found.diagnostics["support"].iloc[0] == 0
    assert found.weights_of("e").sum() == pytest.approx(5)


def test_a_total_without_records_in_its_area_is_named():
    households, _ = survey(county=True)
    households.loc[households["county"] == "Y", "tenure"] = "own"
    with pytest.raises(InfeasibleTargetsError, match="zone=e, tenure=rent: no record bears on it"):
        calibrate_areas(households, {("zone", "tenure"): {("e", "rent"): 3, ("a", "rent"): 3}}, AREAS)


def test_support_counts_households_of_the_area():
    households, _ = survey(county=True)
    found = calibrate_areas(households, {"zone": {"e": 5}, "county": {"X": 9}, ("zone", "rooms"): {("a", 1): 2}}, AREAS)
    inside = households["county"]
    expected = [(inside == "Y").sum(), (inside == "X").sum(), ((inside == "X") & (households["rooms"] == 1)).sum()]
    assert found.diagnostics["support"].tolist() == expected


def test_equal_weights_where_there_are_none():
    households, _ = survey()
    targets = {("zone", "tenure"): {(z, t): 5.0 for z in "abcde" for t in ("own", "rent")}}
    found = calibrate_areas(households.drop(columns="weight"), targets, AREAS, weight_col=None)
    same = calibrate_areas(households.assign(weight=1.0), targets, AREAS)
    np.testing.assert_allclose(found.matrix().toarray(), same.matrix().toarray())
    assert found.base[households["tenure"] == "own"].sum() == pytest.approx(25)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_frames_of_every_kind(kind):
    households, _ = survey()
    expected = calibrate_areas(households, {"zone": SIZES}, AREAS).to_frame()
    frame = kind(households)
    found = calibrate_areas(frame, {"zone": SIZES}, kind(AREAS)).to_frame()
    assert type(found) is type(frame)
    found = found if isinstance(found, pd.DataFrame) else found.to_pandas()
    assert found.columns.tolist() == ["household_id", "zone", "weight"]
    assert found["zone"].tolist() == expected["zone"].tolist()
    assert found["household_id"].tolist() == expected["household_id"].tolist()
    np.testing.assert_allclose(found["weight"], expected["weight"])


def test_the_long_table_says_what_the_matrix_says():
    households, _ = survey(county=True)
    found = calibrate_areas(households, {"zone": SIZES}, AREAS)
    table = found.to_frame()
    assert (table["weight"] > 0).all()
    assert table["weight"].sum() == pytest.approx(sum(SIZES.values()))
    own = households.set_index("household_id")["county"]
    home = AREAS.set_index("zone")["county"]
    assert (own[table["household_id"]].to_numpy() == home[table["zone"]].to_numpy()).all()
    wide = table.pivot_table(index="household_id", columns="zone", values="weight", fill_value=0.0)
    np.testing.assert_allclose(wide.loc[households["household_id"]], found.matrix().toarray())
    with pytest.raises(ParameterError, match=r"no zone 'aa'.*'a'"):
        found.weights_of("aa")


def test_a_household_of_weight_zero_is_as_if_absent():
    households, _ = survey()
    households.loc[3, "weight"] = 0.0
    targets = {"zone": SIZES, ("tract", "rooms"): {("T1", 2): 1.5}}
    found = calibrate_areas(households, targets, AREAS)
    without = calibrate_areas(households.drop(index=3), targets, AREAS)
    assert (found.matrix().toarray()[3] == 0).all()
    np.testing.assert_allclose(np.delete(found.matrix().toarray(), 3, axis=0), without.matrix().toarray(), rtol=1e-9)
    assert found.diagnostics["support"].tolist() == without.diagnostics["support"].tolist()


def test_progress_is_shown_where_asked_for(capsys):
    households, _ = survey()
    calibrate_areas(households, {"zone": SIZES}, AREAS)
    assert not capsys.readouterr().err
    calibrate_areas(households, {"zone": SIZES}, AREAS, progress=True)
    assert "Calibrating areas" in capsys.readouterr().err


def test_the_clusters_of_a_real_survey_are_calibrated_as_by_the_reweighter(shared_data):
    source = shared_data("popsim_survey")
    households, persons = (pd.read_parquet(source / f"{name}.parquet") for name in ("households", "persons"))
    controls = pd.read_parquet(source / "controls_cluster.parquet").set_index("cluster")
    targets = []
    for spec in json.loads((source / "control_spec.json").read_text()):
        column, value = spec["seed_column"], spec["value"]
        where = {
            "all": None,
            "eq": f"notna({column}) and {column} == {value!r}",
            "in": f"notna({column}) and {column} in {tuple(value) if isinstance(value, list) else value!r}",
            "ge": f"notna({column}) and {column} >= {value!r}",
            "missing": f"isna({column})",
        }[spec["operator"]]
        for cluster, total in controls[spec["control_column"]].items():
            targets.append(Target(total, None, {"cluster": cluster}, where, spec["table"], name=spec["control"]))
    twin = Reweighter().fit(households, targets, persons=persons)
    areas = pd.read_parquet(source / "geo_crosswalk.parquet")
    for table in (controls.reset_index()[["cluster"]], areas[["taz", "cluster"]]):
        found = calibrate_areas(households, targets, table, persons=persons)
        assert found.feasible
        np.testing.assert_allclose(found.household_weights(), twin.weights_, rtol=1e-9)


def test_nothing_given_is_changed():
    households, persons = survey()
    before = [t.copy() for t in (households, persons, AREAS)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calibrate_areas(households, {"zone": SIZES}, AREAS, persons=persons)
    for old, new in zip(before, (households, persons, AREAS), strict=True):
        pd.testing.assert_frame_equal(old, new)


def test_the_summary_has_a_line_for_each_level():
    households, _ = survey()
    lines = calibrate_areas(households, {"zone": SIZES, "households": 12.5}, AREAS).summary().splitlines()
    assert lines[0] == "Every target is met."
    assert lines[2].startswith("6 targets: ")
    assert lines[3].startswith("zone: 5 targets")
    assert lines[4].startswith("region: 1 targets")


def test_keys_come_back_in_their_own_type():
    households, _ = survey()
    households = households.assign(household_id=[f"h{i:02d}" for i in range(len(households))])
    areas = AREAS.assign(zone=[40, 10, 30, 20, 50])
    found = calibrate_areas(households, {"zone": {"10": 5, 20.0: 6}}, areas)
    assert found.zones == (10, 20, 30, 40, 50)
    table = found.to_frame()
    assert table["zone"].dtype == np.int64
    assert table["household_id"].iloc[0] == "h00"
    np.testing.assert_allclose(found.weights_of("20"), found.weights_of(20))
    assert isinstance(found.to_frame(like="polars"), pl.DataFrame)
    numbered = calibrate_areas(households.drop(columns="household_id"), {"zone": {10: 5}}, areas).to_frame()
    assert numbered["household_id"].tolist()[:3] == [0, 1, 2]
