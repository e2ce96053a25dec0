"""The flat extract and its exact law.

The seed is fixed; with a fresh one, the tests on frequencies would all pass with probability 1 - ALPHA.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex.datasets import (
    ALL_TARGETS,
    CONDITIONS,
    TARGETS,
    SurveyDesign,
    draw_survey,
    make_population,
    person_extract,
    true_log_prob,
)
from microplex.datasets.labour import WAGES_TOP_CODE
from microplex.errors import ColumnNotFoundError, DataError, ParameterError

ALPHA = 1e-3


def test_columns_come_in_the_order_of_the_law(adults):
    assert tuple(adults.columns) == (*CONDITIONS, *ALL_TARGETS)
    assert ALL_TARGETS[: len(TARGETS)] == TARGETS
    assert adults.index.name == "person_id"
    assert adults["age"].between(15, 85).all()
    assert not adults.isna().any(axis=None)


def test_every_row_is_possible(adults):
    log_prob = true_log_prob(adults, ALL_TARGETS, by_variable=True)
    assert log_prob.shape == (len(adults), len(ALL_TARGETS))
    assert np.isfinite(log_prob).all()


def test_factors_sum_to_the_joint_density(adults):
    matrix = true_log_prob(adults, by_variable=True)
    assert true_log_prob(adults) == pytest.approx(matrix.sum(axis=1))
    assert true_log_prob(adults, ["wages", "employment"]) == pytest.approx(matrix[:, [2, 0]].sum(axis=1))


def test_rows_are_independent_of_each_other(adults):
    order = np.random.default_rng(0).permutation(len(adults))[:50]
    assert (true_log_prob(adults.iloc[order]) == true_log_prob(adults)[order]).all()


def test_strings_do_as_well_as_categories(adults):
    plain = adults.astype({name: str for name in ("sex", "education", "marital", "state", "employment")})
    assert (true_log_prob(plain) == true_log_prob(adults)).all()


def test_permuting_a_target_or_a_condition_lowers_the_likelihood(adults):
    truth = true_log_prob(adults, by_variable=True).mean(axis=0)
    random = np.random.default_rng(0)
    for number, name in enumerate(TARGETS):
        if name in ("hours", "wages", "self_employment", "qualified_dividends"):
            continue  # a permuted one is impossible for some rows
        mixed = adults.assign(**{name: random.permutation(adults[name])})
        assert true_log_prob(mixed, by_variable=True).mean(axis=0)[number] < truth[number] - 0.005
    for name in ("education", "sex", "area_level", "state"):
        mixed = adults.assign(**{name: random.permutation(adults[name])})
        assert true_log_prob(mixed).mean() < truth.sum() - 0.005


@pytest.mark.parametrize("name", [name for name in ALL_TARGETS if name not in ("employment", "hours", "ssi")])
def test_zeros_are_as_frequent_as_the_law_says(adults, name):
    zero = true_log_prob(adults.assign(**{name: 0.0}), [name])
    chance = np.exp(zero)
    surplus = (adults[name] == 0).sum() - chance.sum()
    spread = np.sqrt((chance * (1 - chance)).sum())
    assert abs(surplus) < stats.norm.isf(ALPHA / 2 / len(ALL_TARGETS)) * spread


def test_employment_is_as_frequent_as_the_law_says(adults):
    for level in adults["employment"].cat.categories:
        chance = np.exp(true_log_prob(adults.assign(employment=level), ["employment"]))
        surplus = (adults["employment"] == level).sum() - chance.sum()
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert abs(surplus) <= stats.norm.isf(ALPHA / 2 / 5) * spread


def test_the_top_code_holds_the_mass_beyond():
    population = make_population(4000, seed=3)
    coded, exact = person_extract(population), person_extract(population, top_coded=False)
    at_top = (coded["wages"] == WAGES_TOP_CODE).to_numpy()
    assert at_top.sum() > 10
    assert coded["wages"].max() == WAGES_TOP_CODE < exact["wages"].max()
    with_code = true_log_prob(coded, ["wages"])
    without = true_log_prob(exact, ["wages"], top_coded=False)
    below = exact["wages"].to_numpy() < WAGES_TOP_CODE
    assert with_code[below] == pytest.approx(without[below])
    assert (with_code[at_top] > without[at_top]).all()
    later = list(ALL_TARGETS[3:])
    assert true_log_prob(coded, later) == pytest.approx(true_log_prob(exact, later, top_coded=False))


def test_the_law_of_a_partner_depends_on_the_wages_of_the_head(adults):
    partners = adults[adults["head_wages"] > 0]
    assert len(partners) > 100
    assert (true_log_prob(partners) != true_log_prob(partners.assign(head_wages=0.0))).any()


def test_a_survey_gives_an_extract_with_weights(population):
    survey = draw_survey(population, SurveyDesign(n_households=200, item_missing={}), seed=0)
    adults = person_extract(survey)
    assert list(adults.columns) == [*CONDITIONS, *ALL_TARGETS, "weight"]
    assert np.isfinite(true_log_prob(adults)).all()


def test_mistakes_are_named(adults):
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'dividends'"):
        true_log_prob(adults, ["divdends"])
    with pytest.raises(ColumnNotFoundError, match="condition column 'state' not in data"):
        true_log_prob(adults.drop(columns="state"))
    with pytest.raises(ColumnNotFoundError, match="target column 'hours' not in data"):
        true_log_prob(adults.drop(columns="hours"), ["wages"])
    with pytest.raises(ParameterError, match="targets must name at least one"):
        true_log_prob(adults, [])
    with pytest.raises(DataError, match=r"row 0 has 'femal'\. Did you mean 'female'"):
        true_log_prob(adults.assign(sex="femal"))
    with pytest.raises(DataError, match="column 'area_level' must be finite; row 0 has nan"):
        true_log_prob(adults.assign(area_level=np.nan))


def test_earlier_targets_need_no_later_ones(adults):
    first = adults[[*CONDITIONS, "employment", "hours"]]
    assert (true_log_prob(first, ["hours"]) == true_log_prob(adults, ["hours"])).all()


def test_a_missing_category_is_named(adults):
    states = adults["state"].cat.codes.to_numpy().copy()
    states[3] = -1
    hidden = adults.assign(state=pd.Categorical.from_codes(states, adults["state"].cat.categories))
    with pytest.raises(DataError, match="row 3 has nan"):
        true_log_prob(hidden)
