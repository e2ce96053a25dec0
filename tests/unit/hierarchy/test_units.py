from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest

from microplex import storage
from microplex.datasets import make_population
from microplex.encoding import Settings
from microplex.entities import US, Entity, GroupEntity, Hierarchy, Population, as_population
from microplex.errors import DataError, ParameterError, SchemaError
from microplex.frames import build_frame
from microplex.hierarchy.detect_rules import Aggregate, Together
from microplex.hierarchy.reading import infer, read_population, read_values
from microplex.hierarchy.roster import Roster
from microplex.hierarchy.rules import Count, Implied, Linear, Sum
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Stage
from microplex.hierarchy.units import draw_units, fit_units, pack_units, read_units, score_units, unpack_units
from microplex.hierarchy.units_partition import Partition
from microplex.hierarchy.units_writing import UnitForm, unit_columns, unit_table

UNIT = US.group("tax_unit")
PERSONS, HOMES = ("age", "sex", "marital", "wages"), ("tenure",)
TARGETS = ("filing_status", "n_persons", "n_dependants", "wages", "snap_entitlement", "snap")
QUICK = Settings(epochs=12, n_orders=0)
ADULTS = "tax_role in ('head', 'spouse')"
RULES = (
    Count("tax_unit.n_persons", "", "tax_unit"),
    Count("n_dependants", "tax_role == 'dependant'", "tax_unit"),
    Aggregate("tax_unit.wages", ("wages",), ADULTS, "tax_unit"),
    Implied("age < 18", "tax_role", "dependant"),
    Together("filing_status == 'joint'", "tax_role == 'spouse'", both=True, level="tax_unit"),
    Linear({"tax_unit.snap": 1, "snap_entitlement": -1}),
)


def scene_of(population, like=None, persons=PERSONS, homes=HOMES):
    reading = read_population(population, "age")
    members = like.member_columns if like else infer(population.persons, list(persons), {})
    top = like.home_columns if like else infer(population.households, list(homes), {})
    home, member = read_values(population.households, top), read_values(population.persons, members, reading.order)
    return Scene(reading.labels, reading.roster, home, member, top, members), reading


@cache
def fitted():
    population = as_population(make_population(900, seed=0))
    scene, reading = scene_of(population)
    law = fit_units(
        scene, population, reading.order, UNIT, reading.weights, QUICK, {}, RULES, homes=HOMES, targets=TARGETS
    )
    return law, scene, population, reading


def part_of(scene, start, stop):
    """Some of the households of a scene."""
    roster = scene.roster
    rows = slice(roster.starts[start], roster.starts[stop - 1] + roster.sizes[stop - 1])
    home = {c: x[start:stop] for c, x in scene.home.items()}
    member = {c: x[rows] for c, x in scene.member.items()}
    return Scene(
        scene.labels, Roster(roster.counts[start:stop], roster.couple), home, member, scene.home_columns,
        scene.member_columns,
    )  # fmt: skip


def test_units_are_read_in_order_of_household_and_opening():
    population = as_population(make_population(200, seed=3))
    scene, reading = scene_of(population)
    found = read_units(scene, population, reading.order, UNIT)
    assert (np.diff(found.partition.home) >= 0).all()
    assert (found.partition.of[found.partition.opener] == np.arange(len(population.tax_units))).all()
    table = population.tax_units.iloc[found.rows]
    assert (table["n_persons"].to_numpy() == found.partition.sizes).all()
    shuffled = Population(
        population.schema, {**population.tables, "tax_units": population.tax_units.sample(frac=1, random_state=1)}
    )
    other = read_units(scene, shuffled, reading.order, UNIT)
    assert (other.partition.of == found.partition.of).all()
    assert shuffled.tax_units.iloc[other.rows].reset_index(drop=True).equals(table.reset_index(drop=True))


def test_every_draw_has_one_head_and_exact_totals():
    law, _, _, _ = fitted()
    scene, _ = scene_of(as_population(make_population(1500, seed=8)), fitted()[1])
    of, roles, values = draw_units(law, scene, 0, 5)
    units = Partition(scene.roster, of)
    n = len(units.opener)
    assert (np.bincount(of, roles == 0, n) == 1).all()
    assert (np.bincount(of, roles == 1, n) <= 1).all()
    assert (Partition.number(scene.roster, of).of == of).all()
    assert (values["n_persons"] == units.sizes).all()
    assert (values["n_dependants"] == np.bincount(of, roles == 2, n)).all()
    assert np.array_equal(values["wages"], np.bincount(of, np.where(roles < 2, scene.member["wages"], 0.0), n))
    assert (values["snap"] <= values["snap_entitlement"]).all()
    joint = law.columns["filing_status"].levels.index("joint")
    assert ((values["filing_status"] == joint) == (np.bincount(of, roles == 1, n) == 1)).all()
    assert (roles[(scene.member["age"] < 18) & (scene.roster.place > 0)] == 2).all()
    assert set(values) == set(TARGETS)


def test_shares_are_near_those_of_the_population():
    law, like, _, _ = fitted()
    population = as_population(make_population(1500, seed=8))
    scene, reading = scene_of(population, like)
    truth = read_units(scene, population, reading.order, UNIT)
    of, roles, values = draw_units(law, scene, 0, 5)
    drawn = Partition(scene.roster, of)
    for a, b in (
        (drawn.sizes, truth.partition.sizes),
        (roles, truth.roles),
        (values["filing_status"], read_values(population.tax_units, law.columns, truth.rows)["filing_status"]),
    ):
        shares = [np.bincount(np.minimum(x, 7), minlength=8) / len(x) for x in (a, b)]
        assert np.abs(shares[0] - shares[1]).sum() / 2 < 0.035
    # Who is with whom depends on the members: adult children leave, spouses stay.
    assert (drawn.local == truth.partition.local).mean() > 0.93


def test_law_of_partitions_sums_to_one():
    law, like, _, _ = fitted()
    # No household variable below depends on chance, so that units and roles are all there is to sum over.
    law = replace(law, values=None, columns={c: law.columns[c] for c in law.derived}, levels=())
    counts = np.array([[1, 1, 0, 2, 0, 0, 0], [1, 0, 0, 2, 0, 1, 0], [1, 0, 1, 0, 0, 0, 1]])
    roster = Roster(counts, [1, 2])
    rng = np.random.Generator(np.random.Philox(5))
    rows = rng.integers(0, len(like.roster.role), len(roster.role))
    member = {c: x[rows] for c, x in like.member.items()} | {
        "age": np.array([50.0, 48, 20, 7, 40, 30, 21, 16, 60, 55, 30])
    }
    scene = Scene(
        like.labels, roster, {"tenure": np.zeros(3, np.int32)}, member, like.home_columns, like.member_columns
    )
    logs = total_over_partitions(law, scene)
    assert np.allclose(logs, 0.0, atol=1e-9)


def total_over_partitions(law, scene):
    """Log of the sum of the law over all partitions and roles, household by household."""
    out = []
    for h in range(len(scene.roster.counts)):
        one = part_of(scene, h, h + 1)
        size = int(one.roster.sizes[0])
        ways = list(product(growth_strings(size), product(range(law.kind.n_roles), repeat=size)))
        copies = Scene(
            one.labels, Roster(np.repeat(one.roster.counts, len(ways), axis=0), one.roster.couple),
            {c: np.repeat(x, len(ways)) for c, x in one.home.items()},
            {c: np.tile(x, len(ways)) for c, x in one.member.items()}, one.home_columns, one.member_columns,
        )  # fmt: skip
        units = Partition.number(copies.roster, np.array([local for local, _ in ways]).ravel())
        roles = np.array([roles for _, roles in ways]).ravel() if law.kind.roles else None
        scores = score_units(law, copies, units.of, roles, law.unit_scene(copies, units, roles).values)
        out.append(np.logaddexp.reduce(scores))
    return np.array(out)


def growth_strings(n):
    """Set partitions of n members, each as the number of each member's block in order of opening."""
    if n == 0:
        return [()]
    return [(*s, b) for s in growth_strings(n - 1) for b in range(max(s, default=-1) + 2)]


def test_score_is_finite_for_draws_and_minus_infinity_for_the_impossible():
    law, like, _, _ = fitted()
    scene, _ = scene_of(as_population(make_population(300, seed=8)), like)
    of, roles, values = draw_units(law, scene, 0, 5)
    assert np.isfinite(score_units(law, scene, of, roles, values)).all()
    two = roles.copy()
    with_two = np.flatnonzero(Partition(scene.roster, of).sizes >= 2)
    rows = np.flatnonzero(of == with_two[0])
    two[rows[:2]] = 0
    got = score_units(law, scene, of, two, values)
    assert np.isneginf(got[scene.roster.household[rows[0]]])
    wrong = values | {"n_persons": values["n_persons"] + (np.arange(len(values["snap"])) == 3)}
    got = score_units(law, scene, of, roles, wrong)
    assert np.isneginf(got[Partition(scene.roster, of).home[3]])
    assert np.isfinite(got).sum() == len(got) - 1


def test_score_prefers_the_truth_to_permuted_variables():
    law, like, population, reading = fitted()
    found = read_units(like, population, reading.order, UNIT)
    values = read_values(population.tax_units, law.columns, found.rows)
    own = score_units(law, like, found.partition.of, found.roles, values)
    other = values | {c: np.roll(values[c], 1) for c in ("snap_entitlement", "snap")}
    assert own.mean() > score_units(law, like, found.partition.of, found.roles, other).mean() + 0.1


def test_draws_do_not_depend_on_chunks():
    law, like, _, _ = fitted()
    of, roles, values = draw_units(law, like, 10, 5)
    units = Partition(like.roster, of)
    cut = 250
    second = draw_units(law, part_of(like, cut, len(like.roster.counts)), 10 + cut, 5)
    rows = like.roster.household >= cut
    assert np.array_equal(of[rows] - units.starts[cut], second[0])
    assert np.array_equal(roles[rows], second[1])
    for c, x in values.items():
        assert np.array_equal(x[units.home >= cut], second[2][c], equal_nan=True)
    assert not np.array_equal(draw_units(law, like, 10, 6)[0], of)


def test_saved_law_draws_and_scores_the_same(tmp_path):
    law, like, _, _ = fitted()
    storage.save_model(tmp_path / "law", "Units", *pack_units(law))
    loaded = unpack_units(*storage.load_model(tmp_path / "law", "Units"))
    for a, b in zip(draw_units(law, like, 0, 2)[:2], draw_units(loaded, like, 0, 2)[:2], strict=True):
        assert np.array_equal(a, b)
    drawn = draw_units(law, like, 0, 2)
    assert np.array_equal(score_units(law, like, *drawn), score_units(loaded, like, *drawn))


def by_law(persons):
    """Head and spouse with their dependants; couples that file apart cannot be told."""
    alone = ~persons["relationship"].isin(["head", "spouse"]) & (persons["age"] >= 19)
    alone |= persons["relationship"].isin(["partner", "parent", "nonrelative"])
    return np.where(alone, np.arange(len(persons)) + 1, 0)


def together_only(n):
    """A population where no couple files apart."""
    population = as_population(make_population(n, seed=0))
    persons = population.persons
    apart = persons.loc[(persons["relationship"] == "spouse") & (persons["tax_role"] == "head"), "household_id"]
    return population.take(~population.households["household_id"].isin(apart).to_numpy())


@cache
def ruled():
    population = together_only(400)
    scene, reading = scene_of(population)
    law = fit_units(
        scene, population, reading.order, UNIT, reading.weights, QUICK, rules=RULES, targets=["n_persons"], rule=by_law
    )  # fmt: skip
    return law, scene, population, reading


def test_rule_takes_the_place_of_learning():
    law, like, population, reading = ruled()
    found = read_units(like, population, reading.order, UNIT)
    of, roles, values = draw_units(law, like, 0, 1)
    assert np.array_equal(of, found.partition.of)
    assert (values["n_persons"] == found.partition.sizes).all()
    assert (np.bincount(of, roles == 0) == 1).all()
    assert np.isfinite(score_units(law, like, of, roles, values)).all()
    home = int(np.flatnonzero(found.partition.counts > 1)[0])
    merged = np.where(like.roster.household == home, found.partition.starts[home], of)
    units = Partition.number(like.roster, merged)
    got = score_units(law, like, units.of, roles, law.unit_scene(like, units, roles).values)
    assert np.isneginf(got[home])


def test_rule_alone_adds_nothing_to_the_score():
    schema, population = families(200)
    scene, reading = scene_of(population, homes=(), persons=("age",))
    law = fit_units(
        scene, population, reading.order, schema.group("family"), reading.weights, QUICK,
        rule=lambda persons: (persons["age"] >= 30).to_numpy().astype(int),
    )  # fmt: skip
    assert law.choice is None
    of, roles, _ = draw_units(law, scene, 0, 0)
    assert roles is None
    assert (score_units(law, scene, of, None, {}) == 0.0).all()
    assert np.isneginf(score_units(law, scene, np.arange(len(of)), None, {})).any()


def families(n):
    """Households whose members of 30 and over form one family, the younger another; no roles anywhere."""
    rng = np.random.Generator(np.random.Philox(1))
    sizes = rng.integers(1, 5, n)
    home = np.repeat(np.arange(n), sizes)
    age = rng.integers(0, 60, sizes.sum())
    old = (age >= 30).astype(int)
    schema = Hierarchy(Entity("person"), (GroupEntity("household"), GroupEntity("family", "families")))
    persons = pd.DataFrame({"person_id": np.arange(len(home)), "household_id": home, "age": age})
    persons["family_id"] = home * 2 + old
    table = persons[["family_id", "household_id"]].drop_duplicates().reset_index(drop=True)
    table["n"] = persons.groupby("family_id").size().loc[table["family_id"]].to_numpy()
    homes = pd.DataFrame({"household_id": np.arange(n)})
    return schema, Population(schema, {"households": homes, "families": table.drop(columns="n"), "persons": persons})


def test_units_without_roles_are_learned_and_sum_to_one():
    schema, population = families(400)
    scene, reading = scene_of(population, homes=(), persons=("age",))
    law = fit_units(scene, population, reading.order, schema.group("family"), reading.weights, Settings(20, 0))
    of, roles, values = draw_units(law, scene, 0, 3)
    assert (roles, values) == (None, {})
    truth = read_units(scene, population, reading.order, schema.group("family")).partition
    alone = np.mean(np.arange(len(of)) == truth.of)
    assert (Partition(scene.roster, of).local == truth.local).mean() > max(0.9, alone)
    assert np.allclose(total_over_partitions(law, part_of(scene, 0, 6)), 0.0, atol=1e-9)


def late_heads(n):
    """Units whose head, the eldest earner, need not be the first member."""
    schema, population = families(n)
    rng = np.random.Generator(np.random.Philox(2))
    persons = population.persons.assign(earns=rng.random(len(population.persons)) < 0.5)
    order = persons.sort_values(["earns", "age", "person_id"], ascending=[False, False, True], kind="stable")
    heads = order.groupby("family_id")["person_id"].first()
    persons["family_role"] = np.where(persons["person_id"].isin(heads), "head", "other")
    group = GroupEntity("family", "families", roles=("head", "other"), role_col="family_role")
    schema = Hierarchy(schema.member, (schema.top, group))
    return schema, Population(schema, {**population.tables, "persons": persons})


def test_heads_that_are_not_first_are_found_in_every_unit():
    schema, population = late_heads(400)
    scene, reading = scene_of(population, homes=(), persons=("age", "earns"))
    group = schema.group("family")
    law = fit_units(scene, population, reading.order, group, reading.weights, QUICK)
    assert any(u < 0 and r > 0 for u, r in zip(law.choices.unit, law.choices.role, strict=True))
    of, roles, _ = draw_units(law, scene, 0, 3)
    assert (np.bincount(of, roles == 0) == 1).all()
    assert (roles[Partition(scene.roster, of).opener] == 1).any()
    assert np.allclose(total_over_partitions(law, part_of(scene, 0, 5)), 0.0, atol=1e-9)


def test_weights_of_households_reach_every_stage(monkeypatch):
    schema, population = families(150)
    families_ = population.families.assign(rent=np.arange(len(population.families)) % 7)
    population = Population(schema, {**population.tables, "families": families_})
    scene, reading = scene_of(population, homes=(), persons=("age",))
    w = np.where(np.arange(150) < 75, 3.0, 1.0)
    seen = {}

    def note(name, targets, values, columns, weights, *rest):
        seen[tuple(targets)] = (values, weights)

    monkeypatch.setattr(Stage, "fit", note)
    law = fit_units(scene, population, reading.order, schema.group("family"), w, QUICK)
    truth = read_units(scene, population, reading.order, schema.group("family")).partition
    assert np.array_equal(seen["rent",][1], w[truth.home])
    assert np.bincount(seen["choice",][1].astype(int))[3] == (scene.roster.place[scene.roster.household < 75] > 0).sum()
    free = scene.roster.place > 0
    counted = np.bincount(
        law.choices.find(truth, np.zeros(len(truth.of), np.int64))[free], w[scene.roster.household][free]
    )
    assert np.allclose(law.shares, 0.99 * counted / counted.sum() + 0.01 / len(counted))


def test_everyone_in_one_unit_or_alone_needs_no_network():
    schema, population = families(60)
    for ids in (population.persons["household_id"], population.persons["person_id"]):
        persons = population.persons.assign(family_id=ids)
        table = persons[["family_id", "household_id"]].drop_duplicates("family_id")
        changed = Population(schema, {**population.tables, "persons": persons, "families": table})
        scene, reading = scene_of(changed, homes=(), persons=("age",))
        group = schema.group("family")
        law = fit_units(scene, changed, reading.order, group, reading.weights, QUICK)
        of, _, _ = draw_units(law, scene, 0, 0)
        truth = read_units(scene, changed, reading.order, group).partition
        assert (of == truth.of).mean() > 0.95
        assert np.isfinite(score_units(law, scene, of, None, {})).all()


def test_bad_rules_and_nesting_are_refused():
    law, like, population, reading = ruled()
    arguments = (like, population, reading.order, UNIT, reading.weights, QUICK)
    with pytest.raises(DataError, match="whole number for each"):
        fit_units(*arguments, rule=lambda persons: persons["age"].to_numpy() / 2)
    with pytest.raises(DataError, match="disagrees with the table of persons"):
        fit_units(*arguments, rule=lambda persons: np.zeros(len(persons), int))
    with pytest.raises(ParameterError, match="Load it with rules="):
        unpack_units(*pack_units(law))
    again = unpack_units(*pack_units(law), rule=by_law)
    assert np.array_equal(draw_units(again, like, 0, 1)[1], draw_units(law, like, 0, 1)[1])
    inner = GroupEntity("tax_unit", roles=UNIT.roles, role_col=UNIT.role_col, within="family")
    with pytest.raises(SchemaError, match="directly within 'household'"):
        read_units(like, population, reading.order, inner)


def test_rule_that_leaves_no_role_is_an_error():
    _, population = late_heads(100)
    unique = ("head", "other")
    group = GroupEntity("family", "families", roles=unique, role_col="family_role", unique=unique, within="household")
    pairs = population.take(np.flatnonzero(np.bincount(population.persons["household_id"], minlength=100) <= 2))
    scene, reading = scene_of(pairs, homes=(), persons=("age",))
    law = fit_units(
        scene, pairs, reading.order, group, reading.weights, QUICK, rule=lambda p: (p["age"] >= 30).to_numpy()
    )
    assert law.choice is None  # fewer than fifty members had a choice of role
    law = replace(law, rule=lambda p: np.zeros(len(p), int))
    member = {"age": np.array([40.0, 30, 20])}
    three = Scene(scene.labels, Roster(np.array([[3]])), {}, member, {}, scene.member_columns)
    with pytest.raises(DataError, match="can have no role in the family"):
        draw_units(law, three, 0, 0)


def test_sums_need_no_network(monkeypatch):
    population = as_population(make_population(300, seed=0))
    scene, reading = scene_of(population, persons=("age", "sex", "pensions"))
    monkeypatch.setattr(Stage, "fit", lambda *arguments: None)
    rules = [
        Sum("tax_unit.pensions", "pensions", "tax_unit"),
        Aggregate("n_persons", own=("n_dependants",), level="tax_unit"),
    ]
    targets = ["pensions", "n_persons", "n_dependants"]
    law = fit_units(scene, population, reading.order, UNIT, reading.weights, QUICK, rules=rules, targets=targets)
    assert (law.derived, law.concluded, law.drawn) == (("pensions",), ("n_persons",), ("n_dependants",))
    found = read_units(scene, population, reading.order, UNIT)
    values = law.unit_scene(scene, found.partition, found.roles).values
    assert np.allclose(values["pensions"], population.tax_units["pensions"].to_numpy()[found.rows])


def test_tables_of_draws_are_a_population():
    law, like, population, _ = fitted()
    scene, _ = scene_of(as_population(make_population(200, seed=8)), like)
    of, roles, values = draw_units(law, scene, 10, 5)
    form, units = UnitForm.of(law, population), Partition(scene.roster, of)
    ids = np.arange(11, 211)
    table = unit_table(law, form, units, values, ids, 10, 1000, "pandas")
    assert list(table) == [c for c in population.tax_units if c in ("tax_unit_id", "household_id", *TARGETS)]
    columns = {"person_id": np.arange(len(of)), "household_id": ids[scene.roster.household]}
    columns["relationship"] = np.array(scene.labels.roles)[scene.roster.role]
    columns |= unit_columns(law, form, units, roles, 10, 1000) | {"age": scene.member["age"].astype(int)}
    homes = pd.DataFrame({"household_id": ids})
    drawn = Population(US, {"households": homes, "tax_units": table, "persons": build_frame(columns, "pandas")})
    assert drawn.tax_units["n_persons"].tolist() == drawn.aggregate(None, "count", "tax_unit").tolist()
    assert table.dtypes["n_persons"] == np.int64
    # What was written is read back and scored as it was drawn.
    reading = read_population(drawn, "age")
    assert np.array_equal(reading.roster.counts, scene.roster.counts)
    found = read_units(scene, drawn, reading.order, UNIT)
    again = read_values(drawn.tax_units, law.columns, found.rows)
    assert np.array_equal(found.partition.of, of)
    own = score_units(law, scene, of, roles, values)
    assert np.array_equal(score_units(law, scene, found.partition.of, found.roles, again), own)


def test_codes_of_roles_are_written_as_the_file_has_them():
    law, _, population, _ = fitted()
    coded = {"H": "head", "S": "spouse", "D": "dependant", "Q": "dependant"}
    group = replace(UNIT, role_map=coded)
    schema = Hierarchy(US.member, (US.top, group))
    backwards = {"head": "H", "spouse": "S", "dependant": "D"}
    persons = population.persons.assign(tax_role=population.persons["tax_role"].astype(str).map(backwards))
    form = UnitForm.of(law, Population(schema, {**population.tables, "persons": persons}))
    assert form.codes == backwards


def test_where_rules_on_a_member_contradict_each_other_few_are_broken():
    law, like, _, _ = fitted()
    roster = Roster(np.tile([1, 1, 0, 1, 0, 0, 0], (400, 1)), [1, 2])
    member = {c: np.resize(x, 1200) for c, x in like.member.items()} | {"age": np.tile([40.0, 16, 9], 400)}
    rules = (*law.rows, Implied("relationship == 'spouse'", "tax_role", levels=("head", "spouse")))
    scene = Scene(
        like.labels, roster, {"tenure": np.zeros(400, np.int32)}, member, like.home_columns, like.member_columns
    )
    bound = replace(law, rows=(*rules, Implied("relationship == 'spouse'", "tax_role", levels=("spouse", "dependant"))))
    of, roles, values = draw_units(bound, scene, 0, 0)
    # A spouse of 16: as head two rules are broken, as spouse or dependant one each.
    assert set(roles[1::3]) <= {1, 2}
    assert (roles[2::3] == 2).all()
    assert np.isfinite(score_units(bound, scene, of, roles, values)).all()
    assert np.isneginf(score_units(bound, scene, *opened_by_spouses(bound, scene))).all()


def opened_by_spouses(law, scene):
    """Units in which each spouse heads its own."""
    units = Partition.number(scene.roster, np.tile([0, 1, 0], len(scene.roster.counts)))
    roles = np.tile([0, 0, 2], len(scene.roster.counts))
    values = law.unit_scene(scene, units, roles).values
    drawn = {c: np.zeros(len(units.opener), np.int32 if not law.columns[c].is_numeric else float) for c in law.drawn}
    return units.of, roles, {**drawn, **values}
