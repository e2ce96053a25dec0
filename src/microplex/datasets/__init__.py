"""Simulated populations with known truth, surveys drawn from them and their official totals."""

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
