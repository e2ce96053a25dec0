"""Who persons are: marital status, education, disability and own children, given the structure of the household."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from microplex._random import row_keys, uniforms
from microplex.datasets.features import Features, Floats, Ints, Table, logistic
from microplex.datasets.levels import categorical, level_features
from microplex.datasets.streams import Stream
from microplex.datasets.structure import CHILD, HEAD, PARTNER, RELATIONSHIPS, SPOUSE, Roster, age_features

SEXES = ("male", "female")
MARITAL = ("never_married", "married", "divorced", "widowed")
EDUCATION = ("none", "less_than_high_school", "high_school", "some_college", "bachelor", "graduate")
ADULT_AGE = 15

DEMOGRAPHICS: Mapping[str, Table] = {
    "logit of widowed, if not married": {"const": -4.3, "age": 2.4, "age2": 0.4, "female": 0.5},
    "logit of divorced, if neither": {"const": -0.3, "age": 1.3, "age2": -0.6, "female": 0.1},
    "latent education": {
        "const": 0.15,
        "age": 0.1,
        "age2": -0.25,
        "female": 0.15,
        "area": 1.5,
        "state_income": 1.0,
        "couple": 1.1,
        "child": 0.5,
    },
    "logit of disabled": {
        "const": -1.9,
        "age": 0.6,
        "age2": 0.2,
        "young": -0.6,
        "high_school": -0.5,
        "some_college": -0.8,
        "bachelor": -1.3,
        "graduate": -1.5,
        "area": -0.5,
    },
}

EDUCATION_CUTS = (-2.0, -0.4, 0.75, 2.0)  # of the latent education, between the five levels of adults
HIGHEST_BY_AGE = ((15, 0), (18, 1), (22, 3), (25, 4))  # below this age at most this level


def draw_persons(roster: Roster, households: pd.DataFrame, state_income: Floats, seed: int) -> pd.DataFrame:
    """Make the table of persons, without incomes.

    Parameters
    ----------
    roster : Roster
        Persons of the households, in their order.
    households : DataFrame of n_households rows
        With ``household_id`` and ``area_level``.
    state_income : float64[n_households]
        Log income level of the household's state.
    seed : int
        Seed of the population.

    Returns
    -------
    DataFrame of n_persons rows
        person_id, household_id, relationship, age, sex, marital, education, disabled, n_children.

    Examples
    --------
    >>> roster = Roster(np.array([0]), np.array([HEAD]), np.array([40]), np.array([True]))
    >>> households = pd.DataFrame({"household_id": [1], "area_level": [0.0]})
    >>> draw_persons(roster, households, np.zeros(1), seed=0)[["person_id", "age", "sex"]].values.tolist()
    [[101, 40, 'female']]
    """
    home = roster.household
    first = np.searchsorted(home, np.arange(len(households)))
    household_id = households["household_id"].to_numpy()[home]
    person_id = household_id * 100 + np.arange(len(home)) - first[home] + 1
    keys = row_keys(person_id)

    features = Features({**age_features(roster.age.astype(np.float64)), "female": roster.female.astype(np.float64)})
    features.update({"area": households["area_level"].to_numpy()[home], "state_income": state_income[home]})
    marital = _marital(features, roster, uniforms(seed, keys, Stream.MARITAL, 2))
    education = _education(features, roster, first, uniforms(seed, keys, Stream.EDUCATION, 1)[0])
    features.update(level_features(education, EDUCATION))
    disabling = logistic(features.predict(DEMOGRAPHICS["logit of disabled"]))
    disabled = uniforms(seed, keys, Stream.DISABLED, 1)[0] < disabling

    is_own_child = (roster.relationship == CHILD) & (roster.age < 18)
    n_children = np.bincount(home, weights=is_own_child, minlength=len(first)).astype(np.int64)
    is_parent = np.isin(roster.relationship, (HEAD, SPOUSE, PARTNER))
    return pd.DataFrame(
        {
            "person_id": person_id,
            "household_id": household_id,
            "relationship": categorical(roster.relationship, RELATIONSHIPS),
            "age": roster.age,
            "sex": categorical(roster.female.astype(np.int64), SEXES),
            "marital": categorical(marital, MARITAL),
            "education": categorical(education, EDUCATION, ordered=True),
            "disabled": disabled,
            "n_children": np.where(is_parent, n_children[home], 0),
        }
    )


def _marital(features: Features, roster: Roster, u: Floats) -> Ints:
    has_spouse = np.bincount(roster.household, weights=roster.relationship == SPOUSE)[roster.household] > 0
    is_married = np.isin(roster.relationship, (HEAD, SPOUSE)) & has_spouse
    widowed = u[0] < logistic(features.predict(DEMOGRAPHICS["logit of widowed, if not married"]))
    divorced = u[1] < logistic(features.predict(DEMOGRAPHICS["logit of divorced, if neither"]))
    single = np.where(widowed, MARITAL.index("widowed"), np.where(divorced, MARITAL.index("divorced"), 0))
    adult = np.where(roster.age >= 18, single, 0)
    return np.where(is_married, MARITAL.index("married"), adult)


def _education(features: Features, roster: Roster, first: Ints, u: Floats) -> Ints:
    """Draw an ordered logit; the head's level, centred, shifts those of the partner and the children."""
    noise = np.log(u / (1 - u))
    cuts = np.array(EDUCATION_CUTS)[:, None]
    limit = np.full(len(u), len(EDUCATION) - 1)
    for age, highest in reversed(HIGHEST_BY_AGE):
        limit[roster.age < age] = highest

    def level(rows: Ints, head: Floats) -> Ints:
        part = features.take(rows)
        relation = roster.relationship[rows]
        part = Features(
            {
                **{name: part[name] for name in ("age", "age2", "female", "area", "state_income")},
                "couple": head * np.isin(relation, (SPOUSE, PARTNER)),
                "child": head * (relation == CHILD),
            }
        )
        latent = part.predict(DEMOGRAPHICS["latent education"]) + noise[rows]
        return np.asarray(np.minimum(1 + (latent > cuts).sum(axis=0), limit[rows]))

    of_heads = level(first, np.zeros(len(first)))
    head = (of_heads - 3).astype(np.float64)[roster.household]
    result = level(np.arange(len(u)), head)
    result[first] = of_heads
    return result
