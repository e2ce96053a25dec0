"""The law of what an adult receives, given who the adult is and what he or she does: every number of it.

Each entry of `LAWS` is the law of one variable given the conditions and all entries before it, so that the joint
density is their product. Terms of the tables: features of conditions (`CONDITION_FEATURES` in the written law),
``any_x`` and ``log_x`` for an earlier amount x, and products of these with ``*``.
"""

from __future__ import annotations

import numpy as np

from microplex.datasets.amounts import Amount, Income, Part, TakeUp
from microplex.datasets.distributions import Band, Kumaraswamy, Rounding
from microplex.datasets.features import Features, Floats
from microplex.datasets.labour import EMPLOYMENT, HOURS, ROUGH, SELF_EMPLOYMENT, WAGES
from microplex.datasets.laws import Law

LOSS_LIMIT = 3_000.0
SSI_YEAR = 10_968.0  # the federal benefit of one person

FINE = Rounding(
    (
        Band(1_000.0, (1.0, 10.0, 100.0), (0.75, 0.15, 0.10)),
        Band(np.inf, (1.0, 100.0, 1_000.0), (0.65, 0.20, 0.15)),
    ),
    "fine",
)
TENS = Rounding((Band(np.inf, (10.0,), (1.0,)),), "tens")

INTEREST = Income(
    "interest",
    receives={
        "const": -1.8,
        "age": 0.45,
        "married": 0.3,
        "high_school": 0.35,
        "some_college": 0.6,
        "bachelor": 1.1,
        "graduate": 1.4,
        "area": 0.8,
        "log_wages": 0.15,
        "log_self_employment": 0.1,
    },
    gain=Amount(
        {
            "const": 6.0,
            "age": 0.8,
            "old": 0.3,
            "bachelor": 0.4,
            "graduate": 0.7,
            "area": 0.8,
            "log_wages": 0.12,
            "log_self_employment": 0.08,
        },
        tail=2.0,
        body=0.45,
        least=1.0,
    ),
)

DIVIDENDS = Income(
    "dividends",
    receives={
        "const": -3.2,
        "age": 0.2,
        "bachelor": 0.7,
        "graduate": 0.9,
        "area": 0.5,
        "log_wages": 0.12,
        "any_interest": 1.3,
        "log_interest": 0.35,
    },
    gain=Amount(
        {"const": 6.8, "age": 0.55, "graduate": 0.3, "area": 0.6, "log_wages": 0.1, "log_interest": 0.45},
        tail=2.0,
        body=0.5,
        rounding=FINE,
    ),
)

QUALIFIED_DIVIDENDS = Part(
    "qualified_dividends",
    "dividends",
    none={"const": -0.9, "log_dividends": -0.35, "age": -0.1},
    everything={"const": -0.4, "log_dividends": -0.1, "graduate": 0.2},
    share=Kumaraswamy(2.2, 1.4),
)

CAPITAL_GAINS = Income(
    "capital_gains",
    receives={
        "const": -3.5,
        "age": 0.15,
        "graduate": 0.3,
        "log_wages": 0.08,
        "any_interest": 0.5,
        "any_dividends": 1.5,
        "log_dividends": 0.35,
        "log_self_employment": 0.1,
    },
    gain=Amount(
        {"const": 8.5, "age": 0.3, "area": 0.4, "log_wages": 0.1, "log_dividends": 0.5, "log_interest": 0.15},
        tail=2.0,
        body=0.45,
        least=1.0,
    ),
    loses={"const": -0.4, "age": -0.1, "log_dividends": -0.2},
    loss=Amount({"const": 8.1, "log_dividends": 0.2}, tail=1.8, body=0.6, least=1.0, cap=LOSS_LIMIT),
)

PENSIONS = Income(
    "pensions",
    receives={
        "const": -3.1,
        "old": 2.0,
        "age": 0.2,
        "retired": 1.2,
        "some_college": 0.2,
        "bachelor": 0.4,
        "graduate": 0.6,
        "log_wages": -0.1,
        "any_interest": 0.2,
    },
    gain=Amount(
        {
            "const": 9.75,
            "age": -0.15,
            "female": -0.3,
            "some_college": 0.2,
            "bachelor": 0.45,
            "graduate": 0.75,
            "area": 0.5,
            "log_interest": 0.1,
        },
        tail=2.8,
        body=0.65,
        rounding=ROUGH,
    ),
    only_if="over_50",
)

SOCIAL_SECURITY = Income(
    "social_security",
    receives={"const": -2.2, "late": 4.2, "retired": 1.2, "disabled": 0.8, "log_wages": -0.25},
    gain=Amount(
        {
            "const": 9.75,
            "late": 0.15,
            "female": -0.22,
            "high_school": 0.1,
            "some_college": 0.15,
            "bachelor": 0.22,
            "graduate": 0.25,
            "log_pensions": 0.03,
        },
        tail=5.5,
        body=0.7,
        rounding=TENS,
    ),
    only_if="may_claim",
)

UNEMPLOYMENT = Income(
    "unemployment_benefits",
    receives={"const": -4.6, "unemployed": 3.8, "young": -0.8, "any_wages": 0.3, "state_jobless": 0.5},
    gain=Amount(
        {"const": 8.6, "unemployed": 0.3, "log_wages": 0.15, "state_income": 0.5}, tail=3.0, body=0.8, rounding=ROUGH
    ),
    only_if="works_or_seeks",
)

RENTAL = Income(
    "rental",
    receives={"const": -4.0, "age": 0.5, "bachelor": 0.3, "area": 0.6, "log_wages": 0.1, "any_interest": 0.7},
    gain=Amount({"const": 8.7, "area": 0.7, "log_interest": 0.15}, tail=2.2, body=0.6, rounding=ROUGH),
    loses={"const": -0.6, "log_wages": 0.1},
    loss=Amount({"const": 8.3, "area": 0.3}, tail=2.3, body=0.7, rounding=ROUGH),
)

VETERANS = Income(
    "veterans_benefits",
    receives={"const": -4.2, "age": 0.25, "female": -1.8, "disabled": 1.2, "young": -2.0},
    gain=Amount({"const": 9.4, "disabled": 0.4}, tail=2.8, body=0.6, rounding=TENS),
)

DISABILITY = Income(
    "disability_benefits",
    receives={"const": -0.7, "age": 0.3, "log_wages": -0.6},
    gain=Amount({"const": 9.2, "log_wages": 0.05, "bachelor": 0.2}, tail=4.0, body=0.7, rounding=TENS),
    only_if="disabled_before_67",
)


def supplement(features: Features) -> Floats:
    """Return the yearly Supplemental Security Income that a person is entitled to.

    Those of 65 or more and the disabled are entitled to the federal benefit less what counts of their income: half
    of earnings beyond 780 dollars, and all else beyond 240.

    Parameters
    ----------
    features : Features
        Of persons, with every earlier amount.

    Returns
    -------
    float64[n]
        Whole dollars.

    Examples
    --------
    >>> columns = {name: np.zeros(1) for name in (*EARNED, *UNEARNED)} | {"aged_or_disabled": np.ones(1)}
    >>> supplement(Features(columns)).tolist()
    [10968.0]
    """
    earned = np.maximum(sum((features[name] for name in EARNED), np.zeros(features.n_rows)), 0.0)
    other = np.maximum(sum((features[name] for name in UNEARNED), np.zeros(features.n_rows)), 0.0)
    counted = np.maximum(other - 240.0, 0.0) + np.maximum(earned - 780.0, 0.0) / 2
    due = np.floor(np.maximum(SSI_YEAR - counted, 0.0))
    return np.where(features["aged_or_disabled"] == 1, due, 0.0)


SSI = TakeUp(
    "ssi",
    supplement,
    takes={"const": -1.3, "log_entitlement": 0.6, "disabled": 0.8, "bachelor": -0.5, "graduate": -0.8, "age": -0.1},
)

LAWS: tuple[Law, ...] = (
    EMPLOYMENT,
    HOURS,
    WAGES,
    SELF_EMPLOYMENT,
    INTEREST,
    DIVIDENDS,
    QUALIFIED_DIVIDENDS,
    CAPITAL_GAINS,
    PENSIONS,
    SOCIAL_SECURITY,
    UNEMPLOYMENT,
    RENTAL,
    VETERANS,
    DISABILITY,
    SSI,
)
EARNED = ("wages", "self_employment")
UNEARNED = (
    "interest",
    "dividends",
    "capital_gains",
    "pensions",
    "social_security",
    "unemployment_benefits",
    "rental",
    "veterans_benefits",
    "disability_benefits",
)
COMPONENTS = (*EARNED, *UNEARNED, "ssi")
