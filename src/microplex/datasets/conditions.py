"""What the laws of an adult's targets are given: columns of a flat table, as features."""

from __future__ import annotations

import numpy as np
import pandas as pd

from microplex._validation import check_columns
from microplex.datasets.demographics import EDUCATION, MARITAL, SEXES
from microplex.datasets.features import Features, Floats, logistic
from microplex.datasets.geography import STATE_INCOME, STATE_JOBLESS, STATES
from microplex.datasets.labour import WAGES_TOP_CODE
from microplex.datasets.levels import level_codes, level_features
from microplex.datasets.structure import age_features
from microplex.errors import DataError

CONDITIONS = (
    "age",
    "sex",
    "education",
    "marital",
    "n_children",
    "disabled",
    "state",
    "area_level",
    "head_wages",
)
AGE_TOP_CODE = 85


def condition_features(frame: pd.DataFrame) -> Features:
    """Turn the conditions of adults into features.

    Parameters
    ----------
    frame : DataFrame of n rows
        With the columns `CONDITIONS`; others are ignored.

    Returns
    -------
    Features
        See ``docs/population.md`` for the definition of each.

    Raises
    ------
    ColumnNotFoundError
        If a condition is missing.
    DataError
        If a level is unknown, or a number missing.

    Examples
    --------
    >>> row = {"age": 70, "sex": "female", "education": "bachelor", "marital": "married", "n_children": 0}
    >>> row |= {"disabled": False, "state": "CA", "area_level": 0.1, "head_wages": 0.0}
    >>> float(condition_features(pd.DataFrame([row]))["may_claim"][0])
    1.0
    """
    check_columns([str(name) for name in frame.columns], CONDITIONS, "condition")
    age = _numbers(frame, "age")
    disabled = _numbers(frame, "disabled")
    state = level_codes(frame, "state", STATES)
    wages = np.minimum(_numbers(frame, "head_wages"), WAGES_TOP_CODE)
    return Features(
        {
            **age_features(age),
            **level_features(level_codes(frame, "education", EDUCATION), EDUCATION),
            "female": (level_codes(frame, "sex", SEXES) == SEXES.index("female")).astype(np.float64),
            "married": (level_codes(frame, "marital", MARITAL) == MARITAL.index("married")).astype(np.float64),
            "children": np.minimum(_numbers(frame, "n_children"), 3.0),
            "disabled": disabled,
            "area": _numbers(frame, "area_level"),
            "state_income": STATE_INCOME[state],
            "state_jobless": STATE_JOBLESS[state],
            "log_head_wages": np.log1p(wages / 1000.0),
            "late": logistic((np.minimum(age, AGE_TOP_CODE) - 66) / 1.5),
            "over_50": (age >= 50).astype(np.float64),
            "may_claim": ((age >= 62) | (disabled == 1)).astype(np.float64),
            "disabled_before_67": disabled * (age < 67),
            "aged_or_disabled": ((age >= 65) | (disabled == 1)).astype(np.float64),
        }
    )


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    numbers = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise DataError(f"column {name!r} must be finite; row {bad[0]} has {numbers[bad[0]]}. Leave such rows out.")
    return numbers
