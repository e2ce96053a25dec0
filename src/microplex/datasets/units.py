"""Tax units: who files with whom, their sums of income, and food stamps (SNAP) with its take-up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from microplex._random import row_keys, uniforms
from microplex.datasets.features import Bools, Features, Floats, Ints, Table, logistic
from microplex.datasets.incomes import COMPONENTS
from microplex.datasets.levels import categorical
from microplex.datasets.streams import Stream
from microplex.datasets.structure import CHILD, HEAD, RELATIVE, SPOUSE

FILING = ("single", "joint", "separate", "head_of_household")
TAX_ROLES = ("head", "spouse", "dependant")
DEPENDANT_AGE = 19
SUMMED = (*COMPONENTS, "qualified_dividends")

UNIT_NUMBERS: Table = {
    "share of married couples who file separately": 0.03,
    "poverty line of one person": 14_580.0,
    "poverty line of each further person": 5_140.0,
    "gross income limit of SNAP, in poverty lines": 1.3,
    "standard deduction of SNAP, a month": 198.0,
    "share of earnings deducted": 0.2,
    "share of net income deducted": 0.3,
    "least benefit of units of one or two, a month": 23.0,
    "allotment of each further person, a month": 219.0,
}
ALLOTMENTS = (291.0, 535.0, 766.0, 973.0, 1155.0, 1386.0, 1532.0, 1751.0)  # a month, units of 1 to 8 (2024)
SNAP_TAKE_UP: Mapping[str, float] = {
    "const": -0.4,
    "log_entitlement": 0.6,
    "any_dependant": 0.4,
    "aged": -0.7,
    "log_income": -0.35,
    "state_jobless": 1.0,
}


def assign_units(persons: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Form tax units: head and spouse with their dependants; every other adult alone.

    Parameters
    ----------
    persons : DataFrame of n rows
        Sorted by household, the head first.
    seed : int
        Seed of the population.

    Returns
    -------
    DataFrame of n rows
        The same with ``tax_unit_id`` and ``tax_role``.

    Examples
    --------
    >>> from microplex.datasets.structure import RELATIONSHIPS
    >>> persons = pd.DataFrame({"household_id": [1, 1], "age": [40, 9]})
    >>> persons["relationship"] = pd.Categorical(["head", "child"], RELATIONSHIPS)
    >>> assign_units(persons, seed=0)[["tax_unit_id", "tax_role"]].values.tolist()
    [[101, 'head'], [101, 'dependant']]
    """
    relationship = persons["relationship"].cat.codes.to_numpy()
    household = persons["household_id"].to_numpy()
    u = uniforms(seed, row_keys(household), Stream.FILING, 1)[0]
    separate = u < UNIT_NUMBERS["share of married couples who file separately"]
    is_dependant = np.isin(relationship, (CHILD, RELATIVE)) & (persons["age"].to_numpy() < DEPENDANT_AGE)
    files_jointly = (relationship == SPOUSE) & ~separate
    opens = ~is_dependant & ~files_jointly

    opened = np.cumsum(opens)
    is_head = relationship == HEAD
    before = opened[is_head][np.cumsum(is_head) - 1] - 1
    number = np.where(opens, opened - before, 1)
    role = np.where(opens, 0, np.where(files_jointly, 1, 2))
    return persons.assign(tax_unit_id=household * 100 + number, tax_role=categorical(role, TAX_ROLES))


def sum_units(persons: pd.DataFrame) -> pd.DataFrame:
    """Make the table of tax units with sums over the filers, head and spouse.

    Parameters
    ----------
    persons : DataFrame of n rows
        Sorted by household and tax unit's head.

    Returns
    -------
    DataFrame of n_units rows
        tax_unit_id, household_id, filing_status, n_persons, n_dependants, age_head, age_spouse, wages_head,
        wages_spouse, every amount, total_income. A sum with a missing part is missing.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> units = make_population(50, seed=0).tax_units
    >>> bool((units["wages"] == units["wages_head"] + units["wages_spouse"]).all())
    True
    """
    role = persons["tax_role"].cat.codes.to_numpy()
    heads = persons[role == 0]
    unit = pd.Index(heads["tax_unit_id"]).get_indexer(pd.Index(persons["tax_unit_id"]))
    n = len(heads)
    files = role < 2

    def total(values: Floats | Bools, rows: Bools) -> Floats:
        return np.bincount(unit[rows], weights=values[rows], minlength=n).astype(np.float64)

    is_spouse, everyone = role == 1, np.ones(len(role), bool)
    age, wages = persons["age"].to_numpy(np.float64), persons["wages"].to_numpy(np.float64)
    joint = total(is_spouse, everyone).astype(np.int64)
    n_dependants = total(role == 2, everyone).astype(np.int64)
    columns: dict[str, object] = {
        "tax_unit_id": heads["tax_unit_id"].to_numpy(),
        "household_id": heads["household_id"].to_numpy(),
        "filing_status": _filing_status(heads, joint, n_dependants),
        "n_persons": 1 + joint + n_dependants,
        "n_dependants": n_dependants,
        "age_head": heads["age"].to_numpy(),
        "age_spouse": total(age, is_spouse).astype(np.int64),
        "wages_head": heads["wages"].to_numpy(),
        "wages_spouse": total(wages, is_spouse),
    }
    columns |= {name: total(persons[name].to_numpy(np.float64), files) for name in SUMMED}
    columns["total_income"] = total(persons["total_income"].to_numpy(np.float64), files)
    return pd.DataFrame(columns)


def add_snap(units: pd.DataFrame, state_jobless: Floats, seed: int) -> pd.DataFrame:
    """Add what units are entitled to in food stamps, and what those who take it up receive.

    Parameters
    ----------
    units : DataFrame of n rows
        From `sum_units`.
    state_jobless : float64[n]
        Logit of joblessness of the state.
    seed : int
        Seed of the population.

    Returns
    -------
    DataFrame of n rows
        The same with ``snap_entitlement`` and ``snap``, dollars a year.

    Examples
    --------
    >>> columns = {"tax_unit_id": [101], "n_persons": [1], "n_dependants": [0], "age_head": [30], "wages": [0.0]}
    >>> units = pd.DataFrame(columns | {"self_employment": [0.0], "total_income": [0.0]})
    >>> add_snap(units, np.zeros(1), seed=0)["snap_entitlement"].tolist()
    [3492.0]
    """
    due = snap_entitlement(units)
    features = Features(
        {
            "log_entitlement": np.log1p(due / 1000),
            "any_dependant": (units["n_dependants"].to_numpy() > 0).astype(np.float64),
            "aged": (units["age_head"].to_numpy() >= 65).astype(np.float64),
            "log_income": np.log1p(np.maximum(units["total_income"].to_numpy(np.float64), 0.0) / 1000),
            "state_jobless": state_jobless,
        }
    )
    u = uniforms(seed, row_keys(units["tax_unit_id"].to_numpy()), Stream.SNAP, 1)[0]
    return units.assign(snap_entitlement=due, snap=np.where(u < logistic(features.predict(SNAP_TAKE_UP)), due, 0.0))


def snap_entitlement(units: pd.DataFrame) -> Floats:
    """Return the yearly food stamps due to units by rule.

    Parameters
    ----------
    units : DataFrame of n rows
        With n_persons, wages, self_employment and total_income.

    Returns
    -------
    float64[n]
        Whole dollars, 0 above the income limit.

    Examples
    --------
    >>> rich = pd.DataFrame({"n_persons": [1], "wages": [9e4], "self_employment": [0.0], "total_income": [9e4]})
    >>> snap_entitlement(rich).tolist()
    [0.0]
    """
    number = UNIT_NUMBERS
    size = units["n_persons"].to_numpy(np.float64)
    total = np.maximum(units["total_income"].to_numpy(np.float64), 0.0)
    earned = units["wages"].to_numpy(np.float64) + np.maximum(units["self_employment"].to_numpy(np.float64), 0.0)
    line = number["poverty line of one person"] + (size - 1) * number["poverty line of each further person"]
    known = np.array(ALLOTMENTS)
    further = np.maximum(size - len(known), 0) * number["allotment of each further person, a month"]
    allotment = known[np.minimum(size, len(known)).astype(np.int64) - 1] + further
    deducted = number["share of earnings deducted"] * earned / 12 + number["standard deduction of SNAP, a month"]
    net = total / 12 - deducted
    least = np.where(size <= 2, number["least benefit of units of one or two, a month"], 0.0)
    month = np.maximum(allotment - np.ceil(number["share of net income deducted"] * np.maximum(net, 0.0)), least)
    return np.where(total <= number["gross income limit of SNAP, in poverty lines"] * line, 12 * month, 0.0)


def _filing_status(heads: pd.DataFrame, joint: Ints, n_dependants: Ints) -> pd.Categorical[str]:
    is_separate = (heads["marital"] == "married").to_numpy() & (joint == 0)
    alone = np.where(n_dependants > 0, FILING.index("head_of_household"), FILING.index("single"))
    status = np.where(joint == 1, FILING.index("joint"), np.where(is_separate, FILING.index("separate"), alone))
    return categorical(status, FILING)
