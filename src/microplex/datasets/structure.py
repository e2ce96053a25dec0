"""Who lives in a household: partners, children, parents, other relatives and others, with ages and sexes.

Every household has thirteen places (`SLOTS`) that are filled or not; all draws are made at once for all places and
the filled ones become persons, the head first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex._random import uniforms
from microplex.datasets.distributions import TruncatedLogistic
from microplex.datasets.features import Bools, Features, Floats, Ints, Table, logistic
from microplex.datasets.streams import Stream

RELATIONSHIPS = ("head", "spouse", "partner", "child", "parent", "other_relative", "nonrelative")
HEAD, SPOUSE, PARTNER, CHILD, PARENT, RELATIVE, NONRELATIVE = range(len(RELATIONSHIPS))

N_CHILDREN, N_RELATIVES, N_NONRELATIVES = 5, 2, 3
SLOTS = np.repeat(
    [HEAD, SPOUSE, CHILD, PARENT, RELATIVE, NONRELATIVE], [1, 1, N_CHILDREN, 1, N_RELATIVES, N_NONRELATIVES]
)
CHILDREN = np.flatnonzero(SLOTS == CHILD)

HEAD_AGES = (18, 25, 35, 45, 55, 65, 75, 85, 96)
HEAD_SHARES = (0.045, 0.160, 0.175, 0.170, 0.185, 0.155, 0.080, 0.030)

STRUCTURE: Mapping[str, Table] = {
    "logit of a married head": {"const": 0.45, "age": 0.95, "age2": -0.75},
    "logit of a cohabiting head, if not married": {"const": -1.6, "age": -1.0, "age2": -0.3},
    "logit of children ever born": {
        "const": -2.6,
        "grown": 3.4,
        "partnered": 0.9,
        "female": 0.6,
        "female*partnered": -0.6,
    },
    "logit of a parent living in": {"const": -3.6, "age": 0.2, "partnered": -0.3},
    "logit of a relative living in": {"const": -3.0, "partnered": -0.3},
    "logit of another person living in": {"const": -3.4, "young": 2.0, "partnered": -1.8},
}

MORE_CHILDREN = (0.0, 0.75, 2.2, 3.5, 4.6)  # what a second, third, ... child takes off the logit of children
NUMBERS: Table = {
    "share of couples of one sex": 0.02,
    "years a man is older than his wife: location": 2.2,
    "years a man is older than his wife: scale": 2.4,
    "age at the first child: location": 27.0,
    "age at the first child: scale": 3.5,
    "years between children beyond the first: mean": 2.2,
    "age at which half of the grown children have left": 22.5,
    "age at which half have left: scale": 2.2,
    "age of the parent at the head's birth: location": 27.0,
    "age of the parent at the head's birth: scale": 4.0,
    "share of a second relative": 0.3,
    "share of relatives who are minors": 0.35,
    "scale of a relative's age around the head's": 9.0,
    "share of a second and of a third other person": 0.4,
    "scale of another person's age around the head's": 5.0,
    "share of women among parents living in": 0.7,
}


@dataclass(frozen=True)
class Roster:
    """The persons of all households, household by household.

    Parameters
    ----------
    household : int64[n]
        Position of the household.
    relationship : int64[n]
        Position in `RELATIONSHIPS`.
    age : int64[n]
        Years.
    female : bool[n]
        Sex.

    Examples
    --------
    >>> roster = draw_roster(np.arange(2, dtype=np.uint64), seed=0)
    >>> bool((roster.relationship[np.unique(roster.household, return_index=True)[1]] == HEAD).all())
    True
    """

    household: Ints
    relationship: Ints
    age: Ints
    female: Bools


def age_features(age: Floats) -> dict[str, Floats]:
    """Return the smooth features of age that every table uses.

    Parameters
    ----------
    age : float64[n]
        Years; from 85 on all are alike, so that top-coded ages carry the whole law.

    Returns
    -------
    dict of float64[n]
        ``age`` = (a - 45) / 20 with a = min(age, 85), its square ``age2``, ``old`` = logistic((a - 64) / 2.5) and
        ``young`` = logistic((22 - a) / 1.5).

    Examples
    --------
    >>> age_features(np.array([45.0]))["age"].tolist()
    [0.0]
    """
    a = np.minimum(age, 85.0)
    scaled = (a - 45) / 20
    return {"age": scaled, "age2": scaled**2, "old": logistic((a - 64) / 2.5), "young": logistic((22 - a) / 1.5)}


def draw_roster(keys: NDArray[np.uint64], seed: int) -> Roster:
    """Draw the persons of households.

    Parameters
    ----------
    keys : uint64[n]
        Keys of the households.
    seed : int
        Seed of the population.

    Returns
    -------
    Roster
        Its persons.

    Examples
    --------
    >>> draw_roster(np.arange(1000, dtype=np.uint64), seed=0).age.min() >= 0
    np.True_
    """
    n = len(keys)
    lives_in, age, kind = np.zeros((n, len(SLOTS)), bool), np.zeros((n, len(SLOTS))), np.tile(SLOTS, (n, 1))
    u_head, u_partner = uniforms(seed, keys, Stream.HEAD, 2), uniforms(seed, keys, Stream.PARTNER, 4)
    u_sex = uniforms(seed, keys, Stream.SEX, len(SLOTS)).T
    female = u_sex < np.where(SLOTS == PARENT, NUMBERS["share of women among parents living in"], 0.5)

    edges = np.concatenate([[0.0], np.cumsum(HEAD_SHARES)])
    age[:, 0], lives_in[:, 0] = np.floor(np.interp(u_head[0] * edges[-1], edges, HEAD_AGES)), True
    features = Features({**age_features(age[:, 0]), "female": female[:, 0].astype(np.float64)})
    married = u_partner[0] < _share(features, "logit of a married head")
    cohabits = ~married & (u_partner[1] < _share(features, "logit of a cohabiting head, if not married"))
    lives_in[:, 1], kind[:, 1] = married | cohabits, np.where(married, SPOUSE, PARTNER)
    same_sex = u_partner[2] < NUMBERS["share of couples of one sex"]
    female[:, 1] = female[:, 0] == same_sex
    age[:, 1] = _partner_age(age[:, 0], female[:, 0], same_sex, u_partner[3])
    features.update({"partnered": lives_in[:, 1].astype(np.float64)})

    youngest_parent = np.where(lives_in[:, 1], age[:, :2].min(axis=1), age[:, 0])
    lives_in[:, CHILDREN], age[:, CHILDREN] = _children(features, youngest_parent, keys, seed)
    others = np.arange(CHILDREN[-1] + 1, len(SLOTS))
    lives_in[:, others], age[:, others] = _others(features, age[:, 0], keys, seed)

    household, slot = np.nonzero(lives_in)
    place = (household, slot)
    return Roster(household, kind[place], age[place].astype(np.int64), female[place])


def _share(features: Features, table: str) -> Floats:
    return logistic(features.predict(STRUCTURE[table]))


def _partner_age(head: Floats, head_is_female: Bools, same_sex: Bools, u: Floats) -> Floats:
    centre = np.where(same_sex, 0.0, NUMBERS["years a man is older than his wife: location"])
    gap = centre + NUMBERS["years a man is older than his wife: scale"] * np.log(u / (1 - u))
    return np.clip(np.rint(np.where(head_is_female, head + gap, head - gap)), 18, 95)


def _children(features: Features, parent: Floats, keys: NDArray[np.uint64], seed: int) -> tuple[Bools, Floats]:
    """Draw births, the oldest child first, then who still lives with the parents."""
    u = uniforms(seed, keys, Stream.CHILDREN, 2 + 2 * N_CHILDREN)
    features.update({"grown": logistic((parent - 27) / 4)})
    odds = features.predict(STRUCTURE["logit of children ever born"])
    born = u[0][:, None] < logistic(odds[:, None] - np.array(MORE_CHILDREN))
    location, scale = NUMBERS["age at the first child: location"], NUMBERS["age at the first child: scale"]
    first_birth = TruncatedLogistic(np.full(len(parent), location), scale, 16.0, np.minimum(parent, 45.0))
    gaps = np.floor(-NUMBERS["years between children beyond the first: mean"] * np.log(u[2 : 1 + N_CHILDREN])) + 1
    years_after = np.cumsum(np.vstack([np.zeros(len(parent)), gaps]), axis=0)
    age = (parent - np.floor(first_birth.quantile(u[1])) - years_after).T
    middle = NUMBERS["age at which half of the grown children have left"]
    stays = np.where(age < 18, 1.0, logistic((middle - age) / NUMBERS["age at which half have left: scale"]))
    at_home = stays > u[2 + N_CHILDREN :].T
    return born & (age >= 0) & (parent[:, None] - age <= 46) & at_home, np.maximum(age, 0)


def _others(features: Features, head: Floats, keys: NDArray[np.uint64], seed: int) -> tuple[Bools, Floats]:
    """Draw a parent of the head, relatives and others, in the order of `SLOTS`."""
    u = uniforms(seed, keys, Stream.KIN, 12)
    n = len(head)
    location = np.full(n, NUMBERS["age of the parent at the head's birth: location"])
    scale = NUMBERS["age of the parent at the head's birth: scale"]
    parent = head + np.floor(TruncatedLogistic(location, scale, 16.0, 46.0).quantile(u[0]))
    ages, lives_in = [parent], [(u[1] < _share(features, "logit of a parent living in")) & (parent <= 100)]

    second = NUMBERS["share of a second relative"]
    relatives = u[2] < np.outer([1, second], _share(features, "logit of a relative living in"))
    for k in range(N_RELATIVES):
        is_minor = u[3 + 2 * k] < NUMBERS["share of relatives who are minors"]
        v = u[4 + 2 * k]
        adult = head + NUMBERS["scale of a relative's age around the head's"] * np.log(v / (1 - v))
        ages.append(np.where(is_minor, np.floor(18 * v), np.clip(np.rint(adult), 18, 95)))
        lives_in.append(relatives[k])

    more = NUMBERS["share of a second and of a third other person"]
    strangers = u[7] < np.outer([1, more, more**2], _share(features, "logit of another person living in"))
    for k in range(N_NONRELATIVES):
        age = head + NUMBERS["scale of another person's age around the head's"] * np.log(u[8 + k] / (1 - u[8 + k]))
        ages.append(np.clip(np.rint(age), 18, 95))
        lives_in.append(strangers[k])
    return np.column_stack(lives_in), np.column_stack(ages)
