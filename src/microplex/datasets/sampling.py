"""Surveys of a population: unequal chances of selection, refusals, missing items, top codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from microplex._random import generator, row_keys, uniforms
from microplex._validation import check_choice, check_columns, check_seed
from microplex.datasets.conditions import AGE_TOP_CODE
from microplex.datasets.features import Bools, Features, Floats, Ints, Table, logistic
from microplex.datasets.incomes import COMPONENTS
from microplex.datasets.labour import WAGES_TOP_CODE
from microplex.datasets.population import Population, add_household_sums, add_total, check_count
from microplex.datasets.streams import Stream
from microplex.datasets.structure import age_features
from microplex.datasets.tables import Tables
from microplex.datasets.units import sum_units
from microplex.errors import ParameterError

ADJUSTMENTS = ("propensity", "cells", "none")
ITEMS = ("hours", *COMPONENTS, "qualified_dividends")
RESPONSE: Table = {"const": 1.0, "age": 0.25, "rented": -0.4, "alone": -0.3, "children": 0.1, "log_income": 0.05}
ITEM_MISSING: Table = {
    "hours": 0.02,
    "wages": 0.04,
    "self_employment": 0.02,
    "interest": 0.05,
    "dividends": 0.03,
    "qualified_dividends": 0.03,
    "capital_gains": 0.02,
    "pensions": 0.03,
    "social_security": 0.03,
}
PROXY, OLDER = 0.6, 0.3  # what answers by another person, and 20 years of age, add to the logit of a missing item
HIDDEN = ["snap_entitlement", "ssi_entitlement"]


@dataclass(frozen=True)
class SurveyDesign:
    """How a survey is drawn.

    Parameters
    ----------
    n_households : int
        Households selected, before refusals.
    allocation : float
        A state's sample is proportional to this power of its number of households: 1 in proportion, 0 alike
        (Bankier, 1988, "Power allocations").
    oversample : mapping of str to mapping of level to float
        Factors on the chance of selection by levels of household columns, such as ``{"tenure": {"rented": 1.5}}``.
    response : mapping of str to float
        Logit of answering at all, on the features ``const``, ``age``, ``age2``, ``old``, ``young`` (of the head),
        ``rented``, ``alone``, ``children``, ``log_income``.
    item_missing : mapping of str to float
        Rate of missing answers by item, for adults of 45 who answer for themselves; others answer less often. It
        depends on age and relationship alone, which are never missing.
    adjustment : {"propensity", "cells", "none"}
        How weights make up for refusals: by the true chance of answering (unbiased), by the share of answers in the
        state, or not at all (biased, as calibration finds it).
    top_coded : bool
        Record ages above 85 and wages above 250,000 dollars as these.

    Raises
    ------
    ParameterError
        If a number is out of range or a name unknown.

    Examples
    --------
    >>> SurveyDesign(n_households=500, allocation=1.0).adjustment
    'propensity'
    """

    n_households: int = 10_000
    allocation: float = 0.5
    oversample: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: {"tenure": {"rented": 1.5}})
    response: Mapping[str, float] = field(default_factory=lambda: dict(RESPONSE))
    item_missing: Mapping[str, float] = field(default_factory=lambda: dict(ITEM_MISSING))
    adjustment: str = "propensity"
    top_coded: bool = True

    def __post_init__(self) -> None:
        check_choice(self.adjustment, ADJUSTMENTS, "adjustment")
        check_count(self.n_households, "n_households")
        for name, factors in self.oversample.items():
            for level, factor in factors.items():
                if not (np.isfinite(factor) and factor > 0):
                    raise ParameterError(f"oversample[{name!r}][{level!r}] must be positive; got {factor!r}.")
        for name, rate in self.item_missing.items():
            check_choice(name, ITEMS, "item_missing")
            if not 0 <= rate < 1:
                raise ParameterError(f"item_missing[{name!r}] must be at least 0 and below 1; got {rate!r}.")


class Survey(Tables):
    """The households that answered, with their tax units and persons; see `Tables`.

    Every table has the household's ``weight``; answers not given are missing (NaN), and so are sums over them.
    """


def draw_survey(population: Population, design: SurveyDesign | None = None, seed: int = 0) -> Survey:
    """Draw a survey of households.

    Households are selected systematically with unequal probabilities, sorted by state and tract (Madow, 1949, "On
    the theory of systematic sampling, II"); each then answers or not, independently.

    Parameters
    ----------
    population : microplex.datasets.Population
        From `make_population`.
    design : SurveyDesign, optional
        How; by default ``SurveyDesign()``.
    seed : int
        Zero or more.

    Returns
    -------
    Survey
        Of those who answered.

    Raises
    ------
    ParameterError
        If the design asks for more households than there are, or none answers.
    ColumnNotFoundError
        If it names an unknown column or feature.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> survey = draw_survey(make_population(2000, seed=0), SurveyDesign(n_households=300), seed=1)
    >>> len(survey.households) < 300, "weight" in survey.persons
    (True, True)
    """
    design = SurveyDesign() if design is None else design
    seed = check_seed(seed)
    households = population.households
    if design.n_households > len(households):
        raise ParameterError(
            f"n_households must be at most {len(households)}, the size of the population; got {design.n_households}."
        )
    chance = inclusion_probabilities(households, design)
    order = np.argsort(households["tract"].cat.codes.to_numpy(), kind="stable")
    chosen = np.sort(order[_select(chance[order], generator(seed, Stream.SAMPLE).random())])
    propensity = _response_propensity(population, design)[chosen]
    keys = row_keys(households["household_id"].to_numpy()[chosen])
    answers = uniforms(seed, keys, Stream.RESPONSE, 1)[0] < propensity
    if not answers.any():
        raise ParameterError(f"none of {len(chosen)} households selected answered. Select more, or raise the response.")
    weight = _weights(households.iloc[chosen], 1 / chance[chosen], propensity, answers, design.adjustment)
    return _publish(population, chosen[answers], weight[answers], design, seed)


def inclusion_probabilities(households: pd.DataFrame, design: SurveyDesign) -> Floats:
    """Return the chance of every household to be selected.

    Parameters
    ----------
    households : DataFrame of n rows
        With ``state`` and every column that is oversampled.
    design : SurveyDesign
        The design.

    Returns
    -------
    float64[n]
        They sum to ``design.n_households``; proportional to the measure of size, at most 1.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> households = make_population(500, seed=0).households
    >>> round(float(inclusion_probabilities(households, SurveyDesign(n_households=50)).sum()), 9)
    50.0
    """
    codes = households["state"].cat.codes.to_numpy()
    size = np.bincount(codes).astype(np.float64)
    measure = size[codes] ** (design.allocation - 1)
    check_columns([str(name) for name in households.columns], list(design.oversample), "oversample")
    for name, factors in design.oversample.items():
        levels = [str(level) for level in households[name].unique()]
        check_columns(levels, [str(level) for level in factors], f"oversample of {name}: level")
        measure *= households[name].astype(str).map({str(k): v for k, v in factors.items()}).fillna(1.0).to_numpy()
    certain = np.zeros(len(measure), bool)
    while True:
        left = design.n_households - certain.sum()
        chance = np.where(certain, 1.0, left * measure / measure[~certain].sum() if left else 0.0)
        over = ~certain & (chance >= 1)
        if not over.any():
            return chance
        certain |= over


def _select(chance: Floats, start: float) -> Ints:
    """Walk along the households and stop at each whole sum of chances: each is met with exactly its own."""
    steps = np.floor(np.cumsum(chance) + start).astype(np.int64)
    return np.flatnonzero(np.diff(steps, prepend=0) > 0)


def _response_propensity(population: Population, design: SurveyDesign) -> Floats:
    households = population.households
    heads = population.persons[(population.persons["relationship"] == "head").to_numpy()]
    columns = {
        **age_features(heads["age"].to_numpy(np.float64)),
        "rented": (households["tenure"] == "rented").to_numpy(np.float64),
        "alone": (households["n_persons"] == 1).to_numpy(np.float64),
        "children": np.minimum(households["n_children"].to_numpy(np.float64), 3.0),
        "log_income": np.log1p(np.maximum(households["total_income"].to_numpy(), 0.0) / 1000),
    }
    check_columns(["const", *columns], list(design.response), "response")
    return logistic(Features(columns).predict(design.response))


def _weights(chosen: pd.DataFrame, base: Floats, propensity: Floats, answers: Bools, adjustment: str) -> Floats:
    if adjustment == "propensity":
        return base / propensity
    if adjustment == "none":
        return base
    state = chosen["state"].cat.codes.to_numpy()
    selected = np.bincount(state, weights=base)
    answered = np.bincount(state, weights=base * answers)
    silent = answered == 0
    answered[silent], selected[silent] = answered.sum(), selected.sum()
    return base * (selected / answered)[state]


def _publish(population: Population, rows: Ints, weight: Floats, design: SurveyDesign, seed: int) -> Survey:
    ids = population.households["household_id"].to_numpy()[rows]
    persons = population.persons[population.persons["household_id"].isin(ids)].reset_index(drop=True)
    snap = population.tax_units.set_index("tax_unit_id")["snap"]
    if design.top_coded:
        persons["age"] = np.minimum(persons["age"], AGE_TOP_CODE)
        persons["wages"] = np.minimum(persons["wages"], WAGES_TOP_CODE)
    persons = add_total(_lose_items(persons, design.item_missing, seed))
    units = sum_units(persons)
    units["snap"] = snap.reindex(units["tax_unit_id"]).to_numpy()
    households = population.households.iloc[rows].reset_index(drop=True)
    households = add_household_sums(households, units, persons).assign(weight=weight)
    by_id = households.set_index("household_id")["weight"]
    units["weight"] = by_id.reindex(units["household_id"]).to_numpy()
    persons["weight"] = by_id.reindex(persons["household_id"]).to_numpy()
    return Survey(households, units, persons.drop(columns=[name for name in HIDDEN if name in persons]))


def _lose_items(persons: pd.DataFrame, rates: Mapping[str, float], seed: int) -> pd.DataFrame:
    keys = row_keys(persons["person_id"].to_numpy())
    is_adult = (persons["employment"] != "child").to_numpy()
    shift = PROXY * (persons["relationship"] != "head").to_numpy(np.float64)
    shift += OLDER * age_features(persons["age"].to_numpy(np.float64))["age"]
    for name, rate in rates.items():
        if rate > 0:
            u = uniforms(seed, keys, Stream.ITEMS + ITEMS.index(name), 1)[0]
            is_lost = is_adult & (u < logistic(np.log(rate / (1 - rate)) + shift))
            persons[name] = persons[name].astype(np.float64).mask(is_lost)
    return persons
