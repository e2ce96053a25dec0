import numpy as np
import pandas as pd
import pytest
from oracles import fit_untrained

from microplex import Synthesizer

N = 600
TARGETS = ["wage", "tax", "gain", "rate", "day", "kind"]


@pytest.fixture(scope="session")
def survey():
    """People with values of their own in every kind of column."""
    rng = np.random.default_rng(5)
    wage = np.where(rng.random(N) < 0.3, 0, np.round(np.exp(rng.normal(10, 1, N))))
    wage = np.where(rng.random(N) < 0.3, 1000 * np.round(wage / 1000), wage)
    return pd.DataFrame(
        {
            "age": rng.normal(45, 12, N),
            "region": rng.choice(list("abc"), N),
            "wage": wage.astype(int),
            "tax": np.round(wage * rng.random(N) ** 2, 2),
            "gain": np.where(rng.random(N) < 0.2, np.nan, 1234.5 * rng.standard_t(3, N)),
            "rate": np.where(rng.random(N) < 0.97, rng.choice([0.1, 0.2, 0.3], N), np.round(rng.random(N), 6)),
            "day": pd.to_datetime("1950-01-01") + pd.to_timedelta(rng.integers(0, 25_000, N), "D"),
            "kind": rng.choice(["x", "y"], N),
            "weight": np.round(rng.uniform(100, 900, N), 3),
        }
    )


@pytest.fixture(scope="session")
def fitted(survey):
    made = Synthesizer(TARGETS, ["age", "region"], ["tax <= wage"], n_orders=1, fit_conditions=True)
    return fit_untrained(made, survey, "weight")
