"""The law of work: employment, hours, wages and self-employment of an adult.

How to read the tables: `incomes`.

Examples
--------
>>> list(EMPLOYMENT.logits)
['employed', 'self_employed', 'unemployed', 'retired', 'inactive']
"""

from __future__ import annotations

import numpy as np

from microplex.datasets.amounts import Amount, Income
from microplex.datasets.distributions import Band, Rounding
from microplex.datasets.laws import Category, Hours

WAGES_TOP_CODE = 250_000.0

ROUGH = Rounding(
    (
        Band(1_000.0, (1.0, 10.0, 100.0), (0.45, 0.25, 0.30)),
        Band(10_000.0, (1.0, 100.0, 500.0, 1_000.0), (0.35, 0.25, 0.15, 0.25)),
        Band(np.inf, (1.0, 100.0, 1_000.0, 5_000.0), (0.32, 0.13, 0.35, 0.20)),
    ),
    "rough",
)
WEEK = Rounding((Band(np.inf, (1.0, 5.0), (0.40, 0.60)),), "week")

EMPLOYMENT = Category(
    "employment",
    {
        "employed": {},
        "self_employed": {
            "const": -2.5,
            "age": 0.55,
            "age2": 0.05,
            "female": -0.45,
            "graduate": 0.25,
            "area": 0.3,
            "log_head_wages": 0.05,
        },
        "unemployed": {
            "const": -2.55,
            "age": -0.25,
            "young": 0.7,
            "high_school": -0.3,
            "some_college": -0.55,
            "bachelor": -1.0,
            "graduate": -1.3,
            "disabled": 0.7,
            "area": -0.8,
            "state_jobless": 1.0,
        },
        "retired": {"const": -3.2, "age": 0.6, "old": 4.6, "disabled": 0.8, "log_head_wages": 0.05},
        "inactive": {
            "const": -1.5,
            "age": 0.15,
            "age2": 0.15,
            "young": 2.3,
            "old": 1.3,
            "female": 0.3,
            "female*children": 0.35,
            "married*female": 0.2,
            "high_school": -0.5,
            "some_college": -0.8,
            "bachelor": -1.2,
            "graduate": -1.5,
            "disabled": 2.1,
            "area": -0.4,
            "state_jobless": 0.5,
            "log_head_wages": 0.08,
        },
    },
    only_if={"retired": "over_50"},
    groups={"at_work": ("employed", "self_employed"), "works_or_seeks": ("employed", "unemployed")},
)

HOURS = Hours(
    "hours",
    standard=40.0,
    standard_share={
        "const": 0.1,
        "self_employed": -1.3,
        "female": -0.3,
        "young": -1.6,
        "old": -0.9,
        "bachelor": 0.15,
        "disabled": -0.4,
    },
    centre={
        "const": 41.0,
        "female": -4.5,
        "female*children": -1.5,
        "young": -13.0,
        "old": -10.0,
        "graduate": 4.0,
        "bachelor": 2.0,
        "disabled": -5.0,
        "self_employed": -1.0,
        "log_head_wages": -0.6,
    },
    spread=6.5,
    low=0.5,
    high=97.5,
    rounding=WEEK,
)

WAGES = Income(
    "wages",
    receives={
        "const": -1.9,
        "young": 0.9,
        "old": -0.4,
        "self_employed": 0.2,
        "unemployed": 1.7,
        "disabled": -0.6,
        "bachelor": 0.2,
    },
    gain=Amount(
        {
            "const": 10.55,
            "age": 0.2,
            "age2": -0.22,
            "female": -0.14,
            "female*children": -0.05,
            "married": 0.08,
            "young": -0.35,
            "high_school": 0.18,
            "some_college": 0.30,
            "bachelor": 0.66,
            "graduate": 0.95,
            "age*bachelor": 0.08,
            "age*graduate": 0.15,
            "disabled": -0.2,
            "area": 0.7,
            "state_income": 0.8,
            "log_hours": 0.85,
            "log_head_wages": 0.04,
            "self_employed": -0.5,
            "unemployed": -1.0,
            "retired": -1.1,
            "inactive": -1.3,
        },
        tail=3.4,
        body=0.8,
        rounding=ROUGH,
    ),
    sure_if="employed",
    seen_up_to=WAGES_TOP_CODE,
)

SELF_EMPLOYMENT = Income(
    "self_employment",
    receives={"const": -3.0, "female": -0.2, "bachelor": 0.2, "graduate": 0.4, "retired": -0.8, "inactive": -1.0},
    gain=Amount(
        {
            "const": 8.7,
            "self_employed": 1.2,
            "age": 0.15,
            "age2": -0.15,
            "female": -0.35,
            "bachelor": 0.35,
            "graduate": 0.75,
            "area": 0.6,
            "log_hours": 0.8,
            "any_wages": -0.4,
        },
        tail=2.3,
        body=0.6,
        rounding=ROUGH,
    ),
    loses={"const": -1.2, "self_employed": -0.9, "log_wages": 0.15, "old": 0.2},
    loss=Amount({"const": 8.4, "self_employed": 0.5, "log_wages": 0.1}, tail=2.3, body=0.7, rounding=ROUGH),
    sure_if="self_employed",
)
