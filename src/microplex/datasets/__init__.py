"""Simulated populations with known truth, surveys drawn from them and their official totals.

Examples
--------
>>> population = make_population(1000, seed=0)
>>> survey = draw_survey(population, SurveyDesign(n_households=200), seed=1)
>>> official_totals(population, by="state", variables=["persons", "wages"]).columns.tolist()
['name', 'entity', 'variable', 'state', 'total']
"""

from microplex.datasets.conditions import CONDITIONS
from microplex.datasets.extract import ALL_TARGETS, TARGETS, person_extract, true_log_prob
from microplex.datasets.incomes import COMPONENTS
from microplex.datasets.population import Population, make_population
from microplex.datasets.sampling import Survey, SurveyDesign, draw_survey
from microplex.datasets.totals import official_totals

__all__ = [
    "ALL_TARGETS",
    "COMPONENTS",
    "CONDITIONS",
    "TARGETS",
    "Population",
    "Survey",
    "SurveyDesign",
    "draw_survey",
    "make_population",
    "official_totals",
    "person_extract",
    "true_log_prob",
]
