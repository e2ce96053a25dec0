"""Problems of conditional synthesis: real rows to learn from, and real rows to compare with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from microplex.datasets import CONDITIONS, TARGETS, make_population, person_extract, true_log_prob


@dataclass(frozen=True)
class Problem:
    """Three disjoint random samples of the same rows: `fresh` rows, scored as if synthetic, are the noise floor."""

    name: str
    conditions: list[str]
    targets: list[str]
    train: pd.DataFrame
    test: pd.DataFrame
    fresh: pd.DataFrame
    constraints: list[str] = field(default_factory=list)
    log_truth: Callable[[pd.DataFrame], np.ndarray] | None = None

    @property
    def numeric(self) -> list[str]:
        return [name for name in self.targets if not isinstance(self.train[name].dtype, pd.CategoricalDtype)]


def population(scale: float) -> Problem:
    """Adults of the embedded population, whose law is known."""
    adults = person_extract(make_population(int(27_000 * scale) + 100, seed=0)).reset_index(drop=True)
    samples = _split(adults, [int(n * scale) for n in (30_000, 10_000, 10_000)])
    constraints = ["qualified_dividends <= dividends"]
    return Problem("population", list(CONDITIONS), list(TARGETS), *samples, constraints, true_log_prob)


def cps(scale: float, shared: Path) -> Problem:
    """Tax units of the US Current Population Survey, as the public PSL project prepared them."""
    frame = pd.read_parquet(shared / "data" / "us_cps_tax_units.parquet")
    frame["n_elderly"] = (frame[["age_head", "age_spouse"]] >= 65).sum(axis=1) + frame["elderly_dependents"]
    conditions = ["age_head", "MARS", "XTOT", "nu18", "nu06", "n_elderly", "fips"]
    amounts = ["e00200", "e00900", "e00300", "e00600", "e00650", "e01500", "e01400", "e02400", "e02300"]
    amounts += ["ssi_ben", "snap_ben", "mcaid_ben", "vet_ben"]
    levels = ["EIC", "DSI", "blind_head"]
    frame = frame[conditions + amounts + levels].astype(dict.fromkeys(["MARS", "fips", *levels], "category"))
    samples = _split(frame, [int(n * scale) for n in (40_000, 10_000, 10_000)])
    return Problem("cps", conditions, amounts + levels, *samples, ["e00650 <= e00600"])


def _split(frame: pd.DataFrame, sizes: list[int]) -> list[pd.DataFrame]:
    rows = np.random.default_rng(0).permutation(len(frame))
    ends = np.cumsum(sizes)
    return [frame.iloc[rows[end - size : end]].reset_index(drop=True) for end, size in zip(ends, sizes, strict=True)]
