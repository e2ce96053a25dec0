"""Small random populations, and the faults planted in them."""

import numpy as np
import pandas as pd

from microplex.datasets import make_population
from microplex.entities import Entity, GroupEntity, Hierarchy, Population
from microplex.metrics.households.declared import Declared
from microplex.metrics.households.reading import Choice, populations, read_views

ROLES = ("head", "spouse", "child", "other")
SCHEMA = Hierarchy(
    Entity("person"),
    (GroupEntity("household", roles=ROLES, role_col="role"), GroupEntity("unit")),
    weight_col="weight",
)


def small(seed, n=40, weights=None):
    """Households of one to six, with missing values."""
    rng = np.random.default_rng(seed)
    homes, people = [], []
    for h in range(n):
        couple, children, others = rng.random() < 0.5, int(rng.integers(0, 4)), int(rng.random() < 0.2)
        head = int(rng.integers(25, 90))
        ages = [head, *([head + int(rng.integers(-8, 9))] * couple)]
        ages += [max(0, head - int(rng.integers(18, 40))) for _ in range(children)]
        ages += [int(rng.integers(18, 90)) for _ in range(others)]
        roles = ["head", *(["spouse"] * couple), *(["child"] * children), *(["other"] * others)]
        like = rng.integers(0, 3)
        for age, role in zip(ages, roles, strict=True):
            people.append(
                {
                    "household_id": h,
                    "unit_id": 10 * h + (role == "other"),
                    "role": role,
                    "age": age,
                    "wages": float(rng.integers(0, 6)) * 1000.0 * (age > 15),
                    "faith": "abc"[like if rng.random() < 0.7 else rng.integers(0, 3)],
                    "sex": "fm"[rng.integers(0, 2)],
                }
            )
        homes.append(
            {
                "household_id": h,
                "rooms": float(rng.integers(1, 7)),
                "tenure": "own" if like else "rent",
                "n_persons": len(ages),
                "weight": 1.0 if weights is None else float(weights[h]),
            }
        )
    persons = pd.DataFrame(people)
    persons.insert(0, "person_id", np.arange(len(persons)))
    persons.loc[::11, "wages"] = np.nan
    persons.loc[::13, "faith"] = None
    units = persons.groupby("unit_id", as_index=False).agg(household_id=("household_id", "first"))
    homes = pd.DataFrame(homes)
    homes["wages_total"] = persons["wages"].fillna(0).groupby(persons["household_id"]).sum().to_numpy()
    return Population(SCHEMA, {"households": homes, "units": units, "persons": persons})


def copied(population):
    """Return each household as many times as its weight says, with weight 1."""
    homes, units, people = [], [], []
    tables = population.tables
    times = tables["households"]["weight"].astype(int)
    for copy in range(int(times.max())):
        kept = tables["households"].loc[times > copy, "household_id"]
        shift = copy * 1_000_000
        for name, parts in (("households", homes), ("units", units), ("persons", people)):
            rows = tables[name][tables[name]["household_id"].isin(kept)].copy()
            for key in rows.columns.intersection(["household_id", "unit_id", "person_id"]):
                rows[key] += shift
            parts.append(rows)
    homes = pd.concat(homes, ignore_index=True).assign(weight=1.0)
    return Population(
        SCHEMA,
        {
            "households": homes,
            "units": pd.concat(units, ignore_index=True),
            "persons": pd.concat(people, ignore_index=True),
        },
    )


def views(real, synthetic, train=None, declared=None, **choice):
    """Return the views of small populations."""
    named = {"real": real, "synthetic": synthetic} | ({} if train is None else {"train": train})
    return read_views(populations(None, named), Choice(**choice), declared or Declared())[1]


def country(n, seed, first=1):
    """Return a simulated population with the variables that matter here."""
    made = make_population(n, seed=seed, first=first)
    homes = made.households[["household_id", "tenure", "area_level", "n_persons", "n_children", "total_income", "snap"]]
    columns = ["person_id", "household_id", "tax_unit_id", "relationship", "tax_role"]
    columns += ["age", "sex", "marital", "education", "employment", "hours", "wages"]
    units = made.tax_units[["tax_unit_id", "household_id", "snap"]].rename(columns={"snap": "unit_snap"})
    return {"households": homes.copy(), "tax_units": units.copy(), "persons": made.persons[columns].copy()}


def within(tables, role, change):
    """Return tables in which a function has changed the members of a role."""
    persons = tables["persons"].copy()
    rows = (persons["relationship"] == role).to_numpy()
    persons.loc[rows] = change(persons.loc[rows])
    return {**tables, "persons": persons}


def shuffled(tables, role, columns, seed=0):
    """Return tables in which columns of the members of a role are dealt anew among them."""
    order = np.random.default_rng(seed)

    def deal(rows):
        rows = rows.copy()
        taken = order.permutation(len(rows))
        for column in columns:
            rows[column] = rows[column].array.take(taken)
        return rows

    return within(tables, role, deal)


def keyed_apart(tables):
    """Return tables whose keys no other table has."""
    keys = ("household_id", "tax_unit_id", "person_id")
    return {
        name: rows.assign(**{key: -rows[key] for key in rows.columns.intersection(keys)})
        for name, rows in tables.items()
    }
