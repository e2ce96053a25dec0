"""CPU seconds of enforce_hierarchy for a million persons: python -m benchmarks.hierarchy_enforce [--persons 1000000].

Flat persons drawn independently, so that most households break a rule; one thread, processor time of this process.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from microplex.hierarchy.enforce import enforce_hierarchy
from microplex.hierarchy.rules import Sum


def flat_persons(n: int, seed: int = 0) -> pd.DataFrame:
    """Draw persons with nothing in common but the household: a head, in half of them a spouse, and children."""
    rng = np.random.default_rng(seed)
    households = n // 2
    children = rng.choice([0, 1, 2, 3, 4], households, p=[0.55, 0.18, 0.17, 0.07, 0.03])
    couple = rng.random(households) < 0.5
    size = 1 + couple + children
    household = np.repeat(np.arange(households), size)
    place = np.arange(len(household)) - np.repeat(np.cumsum(size) - size, size)
    second = couple[household] & (place == 1)
    role = np.where(place == 0, "head", np.where(second, "spouse", "child"))
    age = np.where(role == "child", rng.integers(0, 30, len(role)), rng.integers(18, 90, len(role)))
    frame = pd.DataFrame(
        {
            "household_id": household,
            "relationship": role,
            "age": age,
            "region": rng.choice(["north", "south", "east", "west"], len(role)),
            "rent": rng.integers(0, 3000, len(role)),
            "wage": np.where(age < 15, 0, rng.integers(0, 90_000, len(role))),
            "weight": rng.gamma(2.0, 50.0, households)[household],
        }
    )
    frame["household_income"] = rng.integers(0, 200_000, len(role))
    return frame.head(n)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    frame = flat_persons(options.persons)
    reference = flat_persons(20_000, seed=1)
    gaps = {"spouse_age_diff": {"max": 20}, "child_age": {"max_parent_diff": 15}}
    income = [Sum("household_income", ("wage",))]
    cases = {
        "gaps alone": {"relationship_constraints": gaps},
        "shared, gaps, sum": {
            "shared_vars": ["region", "rent"],
            "relationship_constraints": gaps,
            "constraints": income,
        },
        "the same, weighted": {
            "shared_vars": ["region", "rent"],
            "relationship_constraints": gaps,
            "constraints": income,
            "weight_col": "weight",
        },
        "the same, donor": {
            "shared_vars": ["region", "rent"],
            "relationship_constraints": gaps,
            "constraints": income,
            "reference": reference,
        },
        "the same, rows shuffled": {
            "data": frame.sample(frac=1, random_state=0),
            "shared_vars": ["region", "rent"],
            "relationship_constraints": gaps,
            "constraints": income,
        },
    }
    print(f"{'rules':<28}{'CPU s per million persons':>28}{'persons changed':>18}")
    for name, case in cases.items():
        seconds = []
        for _ in range(options.repeats):
            start = time.process_time()
            _, changes = enforce_hierarchy(
                case.get("data", frame),
                "household_id",
                relationship="relationship",
                return_changes=True,
                **{key: value for key, value in case.items() if key != "data"},
            )
            seconds.append(time.process_time() - start)
        print(f"{name:<28}{min(seconds) / len(frame) * 1e6:>28.2f}{changes.share:>18.1%}")


if __name__ == "__main__":
    main()
