"""The simulated population: households, tax units and persons of a country like the United States."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._random import row_keys, uniforms
from microplex._validation import check_seed
from microplex.datasets.conditions import condition_features
from microplex.datasets.demographics import ADULT_AGE, draw_persons
from microplex.datasets.features import Features, Floats, Ints
from microplex.datasets.geography import STATE_INCOME, STATE_JOBLESS, STATES, draw_tracts, places
from microplex.datasets.incomes import COMPONENTS, LAWS, supplement
from microplex.datasets.labour import EMPLOYMENT
from microplex.datasets.laws import Category
from microplex.datasets.levels import categorical
from microplex.datasets.streams import Stream
from microplex.datasets.structure import PARTNER, SPOUSE, age_features, draw_roster
from microplex.datasets.tables import Tables
from microplex.datasets.units import add_snap, assign_units, sum_units
from microplex.errors import ParameterError

TENURES = ("rented", "mortgage", "owned")
EMPLOYMENT_LEVELS = ("child", *EMPLOYMENT.logits)

TENURE = Category(
    "tenure",
    {
        "rented": {},
        "mortgage": {"const": -2.5, "age": 0.5, "old": -0.9, "married": 0.6, "children": 0.1, "log_income": 0.6},
        "owned": {"const": -3.1, "age": 0.9, "old": 1.0, "married": 0.4, "log_income": 0.4},
    },
    only_if={},
    groups={},
)


class Population(Tables):
    """A population whose law is known; see `Tables` for its parts."""


@dataclass(frozen=True)
class _Homes:
    table: pd.DataFrame
    state: Ints


def make_population(n_households: int, seed: int = 0, *, first: int = 1) -> Population:
    """Draw a population of households, tax units and persons.

    The law is written down in ``docs/population.md``. Household i depends on (seed, i) alone, so that populations
    of households 1 to 500 and, with ``first=501``, 501 to 1000 are the two halves of one of 1000.

    Parameters
    ----------
    n_households : int
        How many, at least 1.
    seed : int
        Zero or more.
    first : int
        Number of the first household, at least 1.

    Returns
    -------
    microplex.datasets.Population
        Its three tables; money in dollars a year.

    Raises
    ------
    ParameterError
        If a number is not whole or too small.

    Examples
    --------
    >>> population = make_population(100, seed=0)
    >>> population
    Population(100 households, 126 tax units, 239 persons)
    >>> persons = population.persons
    >>> bool((persons["total_income"] == persons[list(COMPONENTS)].sum(axis=1)).all())
    True
    """
    seed = check_seed(seed)
    check_count(n_households, "n_households")
    check_count(first, "first")
    homes = _draw_homes(np.arange(first, first + n_households), seed)
    keys = row_keys(homes.table["household_id"].to_numpy())
    roster = draw_roster(keys, seed)
    persons = draw_persons(roster, homes.table, STATE_INCOME[homes.state], seed)
    persons = _add_incomes(persons, homes, roster.household, seed)
    persons = assign_units(persons, seed)
    units = sum_units(persons)
    state = homes.state[units["household_id"].to_numpy() - first]
    units = add_snap(units, STATE_JOBLESS[state], seed)
    households = add_household_sums(homes.table, units, persons)
    return Population(_add_tenure(households, persons, keys, seed), units, persons)


def check_count(number: object, name: str) -> None:
    """Check a number of things.

    Parameters
    ----------
    number : int
        At least 1.
    name : str
        Name of the argument.

    Raises
    ------
    ParameterError
        If it is not whole or too small.

    Examples
    --------
    >>> check_count(3, "n_households")
    """
    if not isinstance(number, Integral) or isinstance(number, bool) or int(number) < 1:
        raise ParameterError(f"{name} must be a whole number of at least 1; got {number!r}.")


def add_household_sums(households: pd.DataFrame, units: pd.DataFrame, persons: pd.DataFrame) -> pd.DataFrame:
    """Add what follows from the members: their number and their income.

    Parameters
    ----------
    households : DataFrame of n rows
        With ``household_id``.
    units, persons : DataFrame
        Their members.

    Returns
    -------
    DataFrame of n rows
        The same with n_persons, n_children (under 18), n_tax_units, snap and total_income (of all persons, and
        food stamps).

    Examples
    --------
    >>> population = make_population(20, seed=0)
    >>> bool(population.households["n_persons"].sum() == len(population.persons))
    True
    """
    index, n = pd.Index(households["household_id"]), len(households)
    home, unit_home = index.get_indexer(persons["household_id"]), index.get_indexer(units["household_id"])
    snap = np.bincount(unit_home, weights=units["snap"], minlength=n)
    return households.assign(
        n_persons=np.bincount(home, minlength=n),
        n_children=np.bincount(home, weights=persons["age"] < 18, minlength=n).astype(np.int64),
        n_tax_units=np.bincount(unit_home, minlength=n),
        snap=snap,
        total_income=np.bincount(home, weights=persons["total_income"], minlength=n) + snap,
    )


def add_total(persons: pd.DataFrame) -> pd.DataFrame:
    """Add ``total_income``, the sum of the components, missing where one is.

    Parameters
    ----------
    persons : DataFrame of n rows
        With every component of income.

    Returns
    -------
    DataFrame of n rows
        The same with the sum.

    Examples
    --------
    >>> add_total(pd.DataFrame({name: [1.0] for name in COMPONENTS}))["total_income"].tolist()
    [12.0]
    """
    total = np.zeros(len(persons))
    for name in COMPONENTS:
        total += persons[name].to_numpy(np.float64)
    return persons.assign(total_income=total)


def _draw_homes(household_id: Ints, seed: int) -> _Homes:
    tract = draw_tracts(row_keys(household_id), seed)
    country = places()
    table = pd.DataFrame(
        {
            "household_id": household_id,
            "state": categorical(country.state[tract], STATES),
            "county": categorical(country.county[tract], country.counties),
            "tract": categorical(tract, country.tracts),
            "area_level": country.level[tract],
        }
    )
    return _Homes(table, country.state[tract])


def _add_incomes(persons: pd.DataFrame, homes: _Homes, home: Ints, seed: int) -> pd.DataFrame:
    """Draw the targets of adults: first of all but partners of heads, then, given the heads' wages, of these."""
    n = len(persons)
    relationship = persons["relationship"].cat.codes.to_numpy()
    is_adult = persons["age"].to_numpy() >= ADULT_AGE
    is_partner = np.isin(relationship, (SPOUSE, PARTNER))
    conditions = persons.assign(
        state=homes.table["state"].array.take(home),
        area_level=homes.table["area_level"].to_numpy()[home],
        head_wages=0.0,
    )
    keys = row_keys(persons["person_id"].to_numpy())
    drawn = {name: np.zeros(n) for name in [*(law.name for law in LAWS), "ssi_entitlement"]}
    drawn["employment"] -= 1
    first = np.flatnonzero(relationship == 0)
    for rows in filter(len, (np.flatnonzero(is_adult & ~is_partner), np.flatnonzero(is_partner))):
        conditions["head_wages"] = np.where(is_partner, drawn["wages"][first][home], 0.0)
        features = condition_features(conditions.take(rows))
        for name, values in draw_targets(features, keys[rows], seed).items():
            drawn[name][rows] = values
        drawn["ssi_entitlement"][rows] = supplement(features)
    employment = categorical(drawn.pop("employment").astype(np.int64) + 1, EMPLOYMENT_LEVELS)
    hours = drawn.pop("hours").astype(np.int64)
    return add_total(persons.assign(employment=employment, hours=hours, **drawn))


def draw_targets(features: Features, keys: NDArray[np.uint64], seed: int) -> Mapping[str, Floats]:
    """Draw every target of adults, in order; `features` learn them on the way.

    Parameters
    ----------
    features : Features
        Of the conditions, n rows.
    keys : uint64[n]
        Keys of the persons.
    seed : int
        Seed of the population.

    Returns
    -------
    mapping of str to float64[n]
        Values by target; categories as positions of levels.

    Examples
    --------
    >>> from microplex.datasets import person_extract
    >>> adults = person_extract(make_population(10, seed=0))
    >>> list(draw_targets(condition_features(adults), row_keys(adults.index), seed=0))[:3]
    ['employment', 'hours', 'wages']
    """
    drawn = {}
    for number, law in enumerate(LAWS):
        drawn[law.name] = law.sample(features, uniforms(seed, keys, Stream.LAWS + number, law.draws))
        features.update(law.tell(drawn[law.name]))
    return drawn


def _add_tenure(households: pd.DataFrame, persons: pd.DataFrame, keys: NDArray[np.uint64], seed: int) -> pd.DataFrame:
    heads = persons[(persons["relationship"] == "head").to_numpy()]
    income = np.maximum(households["total_income"].to_numpy(), 0.0)
    features = Features(
        {
            **age_features(heads["age"].to_numpy(np.float64)),
            "married": (heads["marital"] == "married").to_numpy().astype(np.float64),
            "children": np.minimum(heads["n_children"].to_numpy(np.float64), 3.0),
            "log_income": np.log1p(income / 1000),
        }
    )
    tenure = TENURE.sample(features, uniforms(seed, keys, Stream.TENURE, 1)).astype(np.int64)
    place = list(households.columns).index("area_level") + 1
    columns = [*households.columns[:place], "tenure", *households.columns[place:]]
    return households.assign(tenure=categorical(tenure, TENURES))[columns]
