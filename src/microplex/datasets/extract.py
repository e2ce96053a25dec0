"""A flat table of adults whose conditional law is known in closed form, and that law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from microplex._validation import check_columns
from microplex.datasets.conditions import AGE_TOP_CODE, CONDITIONS, condition_features
from microplex.datasets.demographics import ADULT_AGE, EDUCATION
from microplex.datasets.features import Floats
from microplex.datasets.incomes import LAWS
from microplex.datasets.labour import EMPLOYMENT, WAGES, WAGES_TOP_CODE
from microplex.datasets.laws import Law
from microplex.datasets.levels import level_codes
from microplex.datasets.tables import Tables
from microplex.errors import ParameterError

TARGETS = tuple(law.name for law in LAWS[:10])
ALL_TARGETS = tuple(law.name for law in LAWS)


def person_extract(population: Tables, top_coded: bool = True) -> pd.DataFrame:
    """Return the adults of a population or a survey, 15 years and older, as one flat table.

    Parameters
    ----------
    population : Population or Survey
        From `make_population` or `draw_survey`. The weighted law of a survey without missing items is the true law.
    top_coded : bool
        Record wages above 250,000 dollars as 250,000, as public files do. Ages above 85 are always recorded as 85:
        the law does not tell them apart.

    Returns
    -------
    DataFrame of n_adults rows
        The columns `CONDITIONS`, then all targets in the order of their law (`TARGETS` first), then ``weight`` of a
        survey; the index is ``person_id``.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> adults = person_extract(make_population(100, seed=0))
    >>> list(adults.columns[:3]), list(TARGETS[:3])
    (['age', 'sex', 'education'], ['employment', 'hours', 'wages'])
    """
    weight = ["weight"] if "weight" in population.persons else []
    names = ["person_id", "household_id", "relationship", *CONDITIONS[:-1], *ALL_TARGETS, *weight]
    persons = population.view("persons", names)
    heads = (persons["relationship"] == "head").to_numpy()
    of_head = persons.loc[heads].set_index("household_id")["wages"].reindex(persons["household_id"]).to_numpy()
    is_partner = persons["relationship"].isin(["spouse", "partner"]).to_numpy()
    persons["head_wages"] = np.where(is_partner, of_head, 0.0)
    persons["age"] = np.minimum(persons["age"], AGE_TOP_CODE)
    if top_coded:
        persons[["wages", "head_wages"]] = np.minimum(persons[["wages", "head_wages"]], WAGES_TOP_CODE)
    adults = persons[(population.persons["age"] >= ADULT_AGE).to_numpy()].set_index("person_id")
    adults["education"] = adults["education"].cat.set_categories(EDUCATION[1:])
    adults["employment"] = adults["employment"].cat.set_categories(tuple(EMPLOYMENT.logits))
    return adults[[*CONDITIONS, *ALL_TARGETS, *weight]]


def true_log_prob(
    extract: pd.DataFrame,
    targets: Sequence[str] | None = None,
    *,
    top_coded: bool = True,
    by_variable: bool = False,
) -> Floats:
    """Return the exact log density of targets given conditions.

    The density is that of each target given the conditions and all targets before it in the order of the law; over
    the first k targets it is their joint density. Dominating measure: counting measure on ``employment``, on atoms
    (0, the wages' top code, the limit of capital losses) and on the whole-dollar grids (tens of dollars for
    ``social_security``); Lebesgue measure in dollars on other values of ``interest`` and ``capital_gains``.

    Parameters
    ----------
    extract : DataFrame of n rows
        With the columns `CONDITIONS` and every target up to the last one wanted.
    targets : sequence of str, optional
        Which factors; by default `TARGETS`.
    top_coded : bool
        Whether wages are recorded up to 250,000 dollars only.
    by_variable : bool
        Return each factor instead of their sum.

    Returns
    -------
    float64[n] or float64[n, n_targets]
        Log densities; minus infinity for values that cannot occur.

    Raises
    ------
    ColumnNotFoundError
        If a column is missing.
    ParameterError
        If a target has no known law.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> adults = person_extract(make_population(100, seed=0))
    >>> true_log_prob(adults).shape, true_log_prob(adults, by_variable=True).shape
    ((186,), (186, 10))
    """
    wanted = TARGETS if targets is None else tuple(targets)
    if not wanted:
        raise ParameterError(f"targets must name at least one of {', '.join(ALL_TARGETS)}.")
    check_columns(ALL_TARGETS, wanted, "target")
    needed = ALL_TARGETS[: 1 + max(ALL_TARGETS.index(name) for name in wanted)]
    check_columns([str(name) for name in extract.columns], needed, "target")
    features = condition_features(extract)
    log_probs = {}
    for law in LAWS[: len(needed)]:
        values = _values(extract, law)
        if law.name in wanted:
            log_probs[law.name] = _as_recorded(law, top_coded).log_prob(features, values)
        features.update(law.tell(values))
    matrix = np.column_stack([log_probs[name] for name in wanted])
    return matrix if by_variable else np.asarray(matrix.sum(axis=1))


def _values(extract: pd.DataFrame, law: Law) -> Floats:
    if law is EMPLOYMENT:
        return level_codes(extract, law.name, tuple(EMPLOYMENT.logits)).astype(np.float64)
    return extract[law.name].to_numpy(np.float64)


def _as_recorded(law: Law, top_coded: bool) -> Law:
    return replace(WAGES, gain=replace(WAGES.gain, cap=WAGES_TOP_CODE)) if law is WAGES and top_coded else law
