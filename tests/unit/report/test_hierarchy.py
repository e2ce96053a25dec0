import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from unit.metrics.households.people import SCHEMA, country, shuffled, small

from microplex.entities import Entity, GroupEntity, Hierarchy, Population, as_population
from microplex.errors import ColumnNotFoundError, DataError
from microplex.metrics.households import evaluate_hierarchy
from microplex.report.hierarchy import _couple_ages as couple_ages
from microplex.report.hierarchy import _side as side
from microplex.report.hierarchy import compositions, hierarchy_section


@pytest.fixture(scope="module")
def sides():
    return as_population(country(250, 0)), as_population(shuffled(country(250, 1), "spouse", ["age"]))


@pytest.fixture(scope="module")
def evaluation(sides):
    return evaluate_hierarchy(*sides, rules=["age > 20 -> wages > 0"], classifiers=False, floor=2)


def test_the_section_shows_measures_rules_and_pictures(sides, evaluation):
    html = hierarchy_section(evaluation, *sides)
    assert html.count("<svg") == 3
    for words in (
        "spouse_gap_ks",
        "age &gt; 20 -&gt; wages &gt; 0",
        "real to the left",
        "Ages of couples",
        "head, spouse",
    ):
        assert words in html
    assert html == hierarchy_section(evaluation, *sides)
    assert "http" not in html
    names = re.findall(r'\bid="([^"]*)"', html)
    assert len(names) == len(set(names))


def test_the_classifier_explains_itself_in_the_page(sides):
    found = evaluate_hierarchy(*sides, member_vars=["age", "sex"], floor=0)
    assert "gap between head and partner" in hierarchy_section(found, *sides)


def test_kinds_and_couples_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    population = small(1, 40, rng.integers(0, 4, 40))
    names, shares = compositions(side(population, "age"), side(population, "age"))
    homes = population.tables["households"].set_index("household_id")["weight"]
    mass, couples = Counter(), Counter()
    for home, members in population.tables["persons"].groupby("household_id"):
        counts = Counter(members["role"])
        words = [f"{counts[r]} {r}" if counts[r] > 1 else r for r in SCHEMA.top.roles if counts[r]]
        mass[", ".join(words)] += homes[home] / homes.sum()
        ages = members.set_index("role")["age"]
        if "spouse" in counts:
            couples[min(ages["head"] // 5, 18), min(ages["spouse"] // 5, 18)] += homes[home]
    assert dict(zip(names, shares[0], strict=True)) == pytest.approx(dict(mass))
    assert np.all(np.diff(shares[0]) <= 0)
    found = couple_ages(side(population, "age"))
    assert {(i, j): found[i, j] for i, j in np.argwhere(found > 0).tolist()} == {k: v for k, v in couples.items() if v}


def test_households_without_couples_or_with_odd_names_are_drawn():
    schema = Hierarchy(
        Entity("person"),
        (GroupEntity("household", roles=("<b>head</b>", "a & b"), role_col="role", couple=(), child=("a & b",)),),
    )
    persons = pd.DataFrame(
        {
            "person_id": range(30),
            "household_id": np.repeat(range(10), 3),
            "role": ["<b>head</b>", "a & b", "a & b"] * 10,
            "age": np.tile([40.0, 10.0, np.nan], 10) + np.arange(30) % 7,
        }
    )
    one = Population(schema, {"households": pd.DataFrame({"household_id": range(10)}), "persons": persons})
    html = hierarchy_section(evaluate_hierarchy(one, one, classifiers=False), one, one)
    assert "No couples" in html
    assert "<b>head" not in html
    assert html.count("<svg") == 2


def test_ages_must_be_there_and_be_numbers(sides, evaluation):
    with pytest.raises(ColumnNotFoundError, match="no column 'years'"):
        hierarchy_section(evaluation, *sides, age_col="years")
    with pytest.raises(DataError, match="ages in years"):
        hierarchy_section(evaluation, *sides, age_col="sex")
