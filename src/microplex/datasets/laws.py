"""Conditional laws of one variable given conditions and earlier variables: a sampler and its exact log density.

The dominating measure is that of the whole library: counting measure on categories, atoms and grids (a column whose
values are all multiples of a grain), Lebesgue measure on the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from microplex.datasets.distributions import Rounding, TruncatedLogistic
from microplex.datasets.features import Features, Floats, Table, logistic, written


class Law(Protocol):
    """What every law offers.

    Examples
    --------
    >>> all(hasattr(Category, part) for part in ("sample", "log_prob", "tell", "written"))
    True
    """

    draws: ClassVar[int]

    @property
    def name(self) -> str:
        """Name of the variable."""
        ...

    def sample(self, features: Features, u: Floats) -> Floats:
        """Turn uniform numbers float64[draws, n] into values float64[n]; categories are positions of levels."""
        ...

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return the exact log density float64[n] of values float64[n]."""
        ...

    def tell(self, values: Floats) -> dict[str, Floats]:
        """Return the features by which later laws see the values."""
        ...

    def written(self) -> dict[str, str]:
        """Return every parameter as text, for the written law."""
        ...


@dataclass(frozen=True)
class Category:
    """Multinomial logit.

    Parameters
    ----------
    name : str
        Variable.
    logits : mapping of str to table
        Logit of every level; the first is the reference, with an empty table.
    only_if : mapping of str to str
        Levels that are possible only where a 0/1 feature is 1.
    groups : mapping of str to tuple of str
        Further 0/1 features for later laws: any of these levels.

    Examples
    --------
    >>> law = Category("work", {"yes": {}, "no": {"const": 0.0}}, {}, {})
    >>> law.log_prob(Features({"age": np.zeros(1)}), np.array([1.0])).round(3).tolist()
    [-0.693]
    """

    name: str
    logits: Mapping[str, Table]
    only_if: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    draws: ClassVar[int] = 1

    def sample(self, features: Features, u: Floats) -> Floats:
        """Return positions of levels; see `Law`."""
        cumulative = np.cumsum(np.exp(self._log_shares(features)), axis=0)
        return np.asarray((u[0] >= cumulative[:-1]).sum(axis=0), dtype=np.float64)

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return log probabilities of positions of levels; see `Law`."""
        return np.asarray(self._log_shares(features)[values.astype(np.int64), np.arange(features.n_rows)])

    def tell(self, values: Floats) -> dict[str, Floats]:
        """Return a 0/1 feature a level and a group."""
        levels = {level: (values == code).astype(np.float64) for code, level in enumerate(self.logits)}
        return levels | {name: sum((levels[m] for m in members), 0.0 * values) for name, members in self.groups.items()}

    def written(self) -> dict[str, str]:
        """Return the logits, but the reference's, and where levels are possible."""
        logits = {f"logit of {level}": written(table) for level, table in self.logits.items() if table}
        return logits | {f"{level} only if": condition for level, condition in self.only_if.items()}

    def _log_shares(self, features: Features) -> Floats:
        scores = np.stack([features.predict(table) for table in self.logits.values()])
        for level, condition in self.only_if.items():
            scores[list(self.logits).index(level), features[condition] == 0] = -np.inf
        return np.asarray(scores - np.logaddexp.reduce(scores, axis=0))


@dataclass(frozen=True)
class Hours:
    """Usual weekly hours: 0 unless at work; an atom at the standard week; else a rounded, truncated logistic law.

    Parameters
    ----------
    name : str
        Variable.
    standard : float
        Hours of the standard week.
    standard_share : table
        Logit of working exactly these by contract.
    centre : table
        Location of other hours.
    spread : float
        Their scale.
    low, high : float
        Ends of exact hours.
    rounding : Rounding
        To single hours and fives.

    Examples
    --------
    >>> from microplex.datasets.distributions import Band
    >>> rounding = Rounding((Band(np.inf, (1.0, 5.0), (0.5, 0.5)),))
    >>> law = Hours("hours", 40.0, {"const": 0.0}, {"const": 38.0}, 8.0, 0.5, 97.5, rounding)
    >>> law.log_prob(Features({"at_work": np.zeros(1)}), np.array([0.0])).tolist()
    [0.0]
    """

    name: str
    standard: float
    standard_share: Table
    centre: Table
    spread: float
    low: float
    high: float
    rounding: Rounding
    draws: ClassVar[int] = 3

    def sample(self, features: Features, u: Floats) -> Floats:
        """Return whole hours; see `Law`."""
        flexible = self.rounding.round(self._law(features).quantile(u[1]), u[2])
        is_standard = u[0] < logistic(features.predict(self.standard_share))
        return np.where(features["at_work"] == 1, np.where(is_standard, self.standard, flexible), 0.0)

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return the log mass; see `Law`."""
        share = logistic(features.predict(self.standard_share))
        mass = (1 - share) * self.rounding.mass(values, self._law(features).mass) + share * (values == self.standard)
        return log_mass(np.where(features["at_work"] == 1, mass, values == 0))

    def tell(self, values: Floats) -> dict[str, Floats]:
        """Return ``log_hours``, the logarithm of hours over the standard week, 0 for those without."""
        hours = np.where(values > 0, values, self.standard)
        return {"log_hours": np.log(hours / self.standard)}

    def written(self) -> dict[str, str]:
        """Return both regressions and the constants."""
        return {
            "only if": "at_work",
            f"logit of {self.standard:g} hours": written(self.standard_share),
            "location": written(self.centre),
            "shape": written({"scale": self.spread, "low": self.low, "high": self.high}),
            "rounding": self.rounding.name,
        }

    def _law(self, features: Features) -> TruncatedLogistic:
        return TruncatedLogistic(features.predict(self.centre), self.spread, self.low, self.high)


def log_mass(mass: Floats) -> Floats:
    """Return the logarithm of probabilities, minus infinity where they are 0.

    Parameters
    ----------
    mass : float64[n]
        Probabilities.

    Returns
    -------
    float64[n]
        Their logarithms.

    Examples
    --------
    >>> log_mass(np.array([0.0, 1.0])).tolist()
    [-inf, 0.0]
    """
    with np.errstate(divide="ignore"):
        return np.log(mass)
