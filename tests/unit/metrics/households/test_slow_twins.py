"""Each measure against a loop over households, on weights that are copies."""

from collections import Counter
from itertools import combinations, pairwise, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from unit.metrics.households.people import ROLES, copied, small, views

from microplex.entities import Population
from microplex.metrics.households.composition import composition_records
from microplex.metrics.households.couples import couple_records, gap_records
from microplex.metrics.households.dependence import cluster_records, cross_records, intraclass
from microplex.metrics.households.policy import policy_records
from microplex.metrics.households.structure import rule_shares


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(5)
    return tuple(small(seed, 45, rng.integers(0, 4, 45)) for seed in (1, 2))


@pytest.fixture(scope="module")
def seen(pair):
    found = views(*pair)
    return found["real"], found["synthetic"]


def homes_of(population):
    """List (household, members in canonical order) of every copy of every household."""
    tables = copied(population).tables
    homes = tables["households"].set_index("household_id")
    persons = tables["persons"]
    persons = persons.assign(place=persons["role"].map(ROLES.index))
    persons = persons.sort_values(["household_id", "place", "age", "person_id"], ascending=[True, True, False, True])
    return [(homes.loc[h], rows.to_dict("records")) for h, rows in persons.groupby("household_id")]


def value(records, measure, *variables):
    (found,) = [r.value for r in records if r.measure == measure and r.variables == variables]
    return found


def tvd(a, b):
    p, q = Counter(a), Counter(b)
    return sum(abs(p[c] / len(a) - q[c] / len(b)) for c in p | q) / 2


def partners(homes):
    both = [(rows[0], next((m for m in rows if m["role"] == "spouse"), None)) for _, rows in homes]
    return [(head, spouse) for head, spouse in both if spouse is not None]


def test_sizes_compositions_and_units(pair, seen):
    records = composition_records(*seen)
    homes = [homes_of(p) for p in pair]
    sizes, roles, units, members = ([], []), ([], []), ([], []), ([], [])
    for side, listed in enumerate(homes):
        for _, rows in listed:
            sizes[side].append(len(rows))
            roles[side].append(tuple(sorted(m["role"] for m in rows)))
            ids = {m["unit_id"] for m in rows}
            units[side].append(len(ids))
            members[side].extend(tuple(sorted(m["role"] for m in rows if m["unit_id"] == i)) for i in ids)
    assert value(records, "size_tvd") == pytest.approx(tvd(*sizes))
    assert value(records, "comp_tvd") == pytest.approx(tvd(*roles))
    assert value(records, "units_tvd") == pytest.approx(tvd(*units))
    assert value(records, "unit_comp_tvd", "unit") == pytest.approx(tvd(*members))


def test_types_are_tables_of_three(pair, seen):
    homes = [homes_of(p) for p in pair]
    cuts = {}
    for name in ("rooms", "wages_total"):
        x = sorted(home[name] for home, _ in homes[0])
        cuts[name] = [x[int(np.ceil(q * len(x))) - 1] for q in (0.25, 0.5, 0.75)]

    def labels(home, rows):
        kinds = [m["role"] for m in rows]
        first = [min(len(rows), 5), min(kinds.count("child"), 3), "spouse" in kinds]
        quarters = {name: sum(home[name] > cut for cut in cuts[name]) for name in cuts}
        return [*first, quarters["rooms"], home["tenure"], quarters["wages_total"]]

    sides = [[labels(*home) for home in listed] for listed in homes]
    errors = []
    for places in combinations(range(6), 3):
        p, q = (Counter(tuple(row[i] for i in places) for row in side) for side in sides)
        squares = sum((p[c] / len(sides[0]) - q[c] / len(sides[1])) ** 2 for c in p | q)
        errors.append((len(p | q) * squares) ** 0.5)
    assert value(composition_records(*seen), "type_srmse") == pytest.approx(np.mean(errors))


def test_couples(pair, seen):
    records = couple_records(*seen)
    couples = [partners(homes_of(p)) for p in pair]
    gaps = [[h["age"] - s["age"] for h, s in side] for side in couples]
    assert value(records, "spouse_gap_ks") == pytest.approx(stats.ks_2samp(*gaps).statistic)
    ages = [stats.spearmanr(*zip(*[(h["age"], s["age"]) for h, s in side], strict=True)).statistic for side in couples]
    assert value(records, "spouse_age_corr_err") == pytest.approx(abs(ages[0] - ages[1]))
    earners = [[(h["wages"] > 0, s["wages"] > 0) for h, s in side] for side in couples]
    assert value(records, "spouse_earners_tvd") == pytest.approx(tvd(*earners))
    tables = {
        name: tvd(*[[(str(h[name]), str(s[name])) for h, s in side] for side in couples]) for name in ("faith", "sex")
    }
    assert value(records, "spouse_cat_err", "faith") == pytest.approx(tables["faith"])
    assert value(records, "spouse_cat_err") == pytest.approx(np.mean(list(tables.values())))


def test_gaps_between_parents_children_and_siblings(pair, seen):
    records = gap_records(*seen)
    gaps = {"parent_gap_ks": ([], []), "parent2_gap_ks": ([], []), "sibling_gap_ks": ([], [])}
    for side, population in enumerate(pair):
        for _, rows in homes_of(population):
            children = [m["age"] for m in rows if m["role"] == "child"]
            spouse = [m["age"] for m in rows if m["role"] == "spouse"]
            gaps["parent_gap_ks"][side].extend(rows[0]["age"] - age for age in children)
            gaps["parent2_gap_ks"][side].extend(s - age for s in spouse for age in children)
            gaps["sibling_gap_ks"][side].extend(a - b for a, b in pairwise(children))
    for measure, both in gaps.items():
        assert value(records, measure) == pytest.approx(stats.ks_2samp(*both).statistic)


def anova(homes, name, keep):
    everyone = [(i, m[name]) for i, (_, rows) in enumerate(homes) for m in rows if keep(m) and m[name] == m[name]]
    ranks = stats.rankdata([x for _, x in everyone])
    groups = {}
    for (i, _), rank in zip(everyone, ranks, strict=True):
        groups.setdefault(i, []).append(rank)
    groups = [g for g in groups.values() if len(g) > 1]
    pooled = np.concatenate(groups)
    k, n = len(groups), len(pooled)
    msb = sum(len(g) * (np.mean(g) - pooled.mean()) ** 2 for g in groups) / (k - 1)
    msw = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups) / (n - k)
    usual = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    return (msb - msw) / (msb + (usual - 1) * msw)


def alike(homes, name, keep):
    pairs = []
    for _, rows in homes:
        known = [m[name] for m in rows if keep(m) and isinstance(m[name], str)]
        pairs += [(a, b) for i, a in enumerate(known) for j, b in enumerate(known) if i != j]
    chance = sum((share / len(pairs)) ** 2 for share in Counter(a for a, _ in pairs).values())
    return (np.mean([a == b for a, b in pairs]) - chance) / (1 - chance)


@pytest.mark.parametrize("adults", [False, True])
def test_likeness_within_households(pair, seen, adults):
    homes = [homes_of(p) for p in pair]

    def keep(member):
        return not adults or member["age"] >= 18

    for name, twin in (("age", anova), ("wages", anova), ("faith", alike), ("sex", alike)):
        expected = [twin(listed, name, keep) for listed in homes]
        for view, one in zip(seen, expected, strict=True):
            assert intraclass(view, name, view.is_adult if adults else None) == pytest.approx(one)
        names = (name, "adults") if adults else (name,)
        assert value(cluster_records(*seen), "icc_err", *names) == pytest.approx(abs(expected[0] - expected[1]))


def test_associations_of_households_and_members(pair, seen):
    records = cross_records(*seen)
    rooms, oldest = [], []
    for population in pair:
        homes = homes_of(population)
        rooms.append([home["rooms"] for home, _ in homes])
        oldest.append([rows[0]["age"] for _, rows in homes])
    found = [stats.spearmanr(a, b).statistic for a, b in zip(rooms, oldest, strict=True)]
    assert value(records, "cross_err", "rooms", "head's age") == pytest.approx(abs(found[0] - found[1]))
    tables = []
    for population in pair:
        homes = homes_of(population)
        table = pd.crosstab([h["tenure"] for h, _ in homes], [str(rows[0]["faith"]) for _, rows in homes])
        tables.append(stats.contingency.association(table.to_numpy()))
    assert value(records, "cross_err", "tenure", "head's faith") == pytest.approx(abs(tables[0] - tables[1]))
    assert len(records) == 1 + 3 * 9


def statistics(home, rows):
    age = [m["age"] for m in rows]
    wages = [0.0 if m["wages"] != m["wages"] else m["wages"] for m in rows]
    adults, minors, earners = sum(a >= 18 for a in age), sum(a < 18 for a in age), sum(x > 0 for x in wages)
    couple = any(m["role"] == "spouse" for m in rows)
    return {
        "one person": len(rows) == 1,
        "couple without minors": couple and not minors,
        "couple with minors": couple and minors > 0,
        "lone parent": not couple and adults == 1 and minors > 0,
        "three generations": max(age) - min(age) > 45 and len(rows) > 2,
        "two earners or more": earners >= 2,
        "nobody earns": earners == 0,
        "adults": adults,
        "minors": minors,
        "minors per adult": minors / max(adults, 1),
        "alone at 65 or more": len(rows) == 1 and age[0] >= 65,
        "log of equivalised earnings": np.log1p(sum(wages) / len(rows) ** 0.5),
        "largest share of earnings": max(wages) / sum(wages) if sum(wages) else 0.0,
    }


def test_thirteen_statistics(pair, seen):
    records = policy_records(*seen)
    a, b = (pd.DataFrame([statistics(*home) for home in homes_of(p)]).astype(float) for p in pair)
    expected = (a.mean() - b.mean()).abs() / a.std(ddof=0)
    for name in a:
        if a[name].std() > 0:
            assert value(records, "stats_err", name) == pytest.approx(expected[name])
    assert value(records, "stats_err") == pytest.approx(expected[a.std() > 0].mean())
    assert len(a.columns) == 13


def test_shares_of_impossible_households(pair):
    rng = np.random.default_rng(0)
    for sound in pair:
        persons = sound.tables["persons"]
        ages = np.where(rng.random(len(persons)) < 0.2, rng.integers(-3, 120, len(persons)), persons["age"])
        population = Population(sound.schema, {**sound.tables, "persons": persons.assign(age=ages)})
        homes = homes_of(population)
        found = rule_shares(views(population, population)["real"])
        for name, breaks in {
            "age out of range": lambda m, head: not 0 <= m["age"] <= 110,
            "partner too young": lambda m, head: m["role"] == "spouse" and m["age"] < 16,
            "head too young": lambda m, head: m["role"] == "head" and m["age"] < 15,
            "parent too young": lambda m, head: m["role"] == "child" and head["age"] - m["age"] < 12,
        }.items():
            expected = np.mean([any(breaks(m, rows[0]) for m in rows) for _, rows in homes])
            assert found[name][0] == pytest.approx(expected), name
        assert found["age out of range"][0] > 0


def test_every_pair_of_measures_is_named_once(seen):
    records = [*composition_records(*seen), *couple_records(*seen), *gap_records(*seen), *cluster_records(*seen)]
    records += [*cross_records(*seen), *policy_records(*seen)]
    names = [(r.measure, r.variables) for r in records]
    assert len(names) == len(set(names))
    assert not [n for n, m in product(names, names) if n is not m and n == m]
