"""Conditional laws of money: amounts with zeros, losses, rounding and caps; parts of them; benefits taken up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from microplex.datasets.distributions import Dagum, Kumaraswamy, Mass, Rounding
from microplex.datasets.features import Features, Floats, Table, log_logistic, logistic, written
from microplex.datasets.laws import log_mass

PRECISION = 2.0**20  # continuous amounts are kept to a millionth of a dollar, so that sums are exact in any order
THOUSAND = 1000.0
ENTITLEMENT = "log_entitlement"


@dataclass(frozen=True)
class Amount:
    """Law of a positive amount: Dagum above a least value, rounded to grains or continuous, recorded up to a cap.

    Parameters
    ----------
    log_scale : table
        Logarithm of Dagum's scale, in dollars.
    tail, body : float
        Dagum's shape.
    rounding : Rounding, optional
        None for a continuous amount.
    least : float
        Amount from which a continuous law starts.
    cap : float, optional
        Larger amounts are recorded as this one.

    Examples
    --------
    >>> amount = Amount({"const": 7.0}, 2.0, 1.0, cap=3000.0)
    >>> features = Features({"age": np.zeros(1)})
    >>> amount.log_prob(features, np.array([3000.0])).round(3).tolist()
    [-2.138]
    """

    log_scale: Table
    tail: float
    body: float
    rounding: Rounding | None = None
    least: float = 0.0
    cap: float | None = None

    def sample(self, features: Features, u: Floats) -> Floats:
        """Turn uniforms float64[2, n] into amounts float64[n]."""
        exact = self._law(features).quantile(u[0])
        if self.rounding is None:
            amount = np.rint((self.least + exact) * PRECISION) / PRECISION
        else:
            amount = self.rounding.round(exact, u[1])
        return amount if self.cap is None else np.minimum(amount, self.cap)

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return the log density (or mass) float64[n] of amounts float64[n]."""
        law = self._law(features)
        if self.rounding is None:
            inside = values > self.least
            log_density = law.log_density(np.where(inside, values - self.least, 1.0))
            result = np.where(inside, log_density, -np.inf)
        else:
            result = log_mass(self.rounding.mass(values, law.mass))
        if self.cap is None:
            return result
        at_cap = np.where(values == self.cap, log_mass(self._cap_mass(law.mass, features.n_rows)), -np.inf)
        return np.where(values < self.cap, result, at_cap)

    def written(self, label: str) -> dict[str, str]:
        """Return the regression of the scale and the constants."""
        shape = {"tail": self.tail, "body": self.body}
        shape |= {"least": self.least} if self.least else {}
        shape |= {"cap": self.cap} if self.cap is not None else {}
        return {
            f"log scale of {label}": written(self.log_scale),
            f"shape of {label}": written(shape),
            f"rounding of {label}": "none" if self.rounding is None else self.rounding.name,
        }

    def _law(self, features: Features) -> Dagum:
        return Dagum(np.exp(features.predict(self.log_scale)), self.tail, self.body)

    def _cap_mass(self, mass: Mass, n: int) -> Floats:
        assert self.cap is not None
        if self.rounding is not None:
            return self.rounding.tail_mass(self.cap, mass, n)
        return mass(np.full(n, self.cap - self.least), np.full(n, np.inf))


@dataclass(frozen=True)
class Income:
    """An amount that is often zero and may be a loss.

    Parameters
    ----------
    name : str
        Variable.
    receives : table
        Logit of a value other than 0.
    gain : Amount
        Law of positive values.
    loses : table, optional
        Logit of a loss given a value other than 0.
    loss : Amount, optional
        Law of minus the loss.
    only_if : str, optional
        0/1 feature without which the value is 0.
    sure_if : str, optional
        0/1 feature with which it is not.
    seen_up_to : float
        Later laws see larger values as this one.

    Examples
    --------
    >>> law = Income("rent", {"const": 0.0}, Amount({"const": 7.0}, 2.0, 1.0))
    >>> law.log_prob(Features({"age": np.zeros(1)}), np.array([0.0])).round(3).tolist()
    [-0.693]
    """

    name: str
    receives: Table
    gain: Amount
    loses: Table | None = None
    loss: Amount | None = None
    only_if: str | None = None
    sure_if: str | None = None
    seen_up_to: float = np.inf
    draws: ClassVar[int] = 4

    def sample(self, features: Features, u: Floats) -> Floats:
        """Return amounts in dollars; see `Law`."""
        values = np.zeros(features.n_rows)
        rows = np.flatnonzero(np.log(u[0]) < self._log_receives(features)[0])
        if self.loses is None or self.loss is None:
            values[rows] = self.gain.sample(features.take(rows), u[2:, rows])
            return values
        is_loss = u[1, rows] < logistic(features.take(rows).predict(self.loses))
        gains, losses = rows[~is_loss], rows[is_loss]
        values[gains] = self.gain.sample(features.take(gains), u[2:, gains])
        values[losses] = -self.loss.sample(features.take(losses), u[2:, losses])
        return values

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return the log density in dollars; see `Law`."""
        log_some, log_none = self._log_receives(features)
        gains, losses = np.flatnonzero(values > 0), np.flatnonzero(values < 0)
        result = np.where(values == 0, log_none, log_some)
        if self.loses is None or self.loss is None:
            result[losses] = -np.inf
        else:
            odds = features.predict(self.loses)
            result[gains] += log_logistic(-odds[gains])
            result[losses] += log_logistic(odds[losses]) + self.loss.log_prob(features.take(losses), -values[losses])
        result[gains] += self.gain.log_prob(features.take(gains), values[gains])
        return result

    def tell(self, values: Floats) -> dict[str, Floats]:
        """Return the value, ``any_<name>`` (0/1) and ``log_<name>``: sign(x) log(1 + |x| / 1000)."""
        seen = np.minimum(values, self.seen_up_to)
        log = np.sign(seen) * np.log1p(np.abs(seen) / THOUSAND)
        return {self.name: values, f"any_{self.name}": (values != 0).astype(np.float64), f"log_{self.name}": log}

    def written(self) -> dict[str, str]:
        """Return where a value is possible, the logits and the laws of gains and losses."""
        rules = {"only if": self.only_if} if self.only_if else {}
        rules |= {"always if": self.sure_if} if self.sure_if else {}
        parts = {**rules, "logit of any": written(self.receives)}
        parts |= self.gain.written("gains" if self.loses else "amounts")
        if self.loses is not None and self.loss is not None:
            parts |= {"logit of a loss": written(self.loses), **self.loss.written("losses")}
        return parts

    def _log_receives(self, features: Features) -> tuple[Floats, Floats]:
        odds = features.predict(self.receives)
        if self.only_if is not None:
            odds = np.where(features[self.only_if] == 1, odds, -np.inf)
        if self.sure_if is not None:
            odds = np.where(features[self.sure_if] == 1, np.inf, odds)
        return log_logistic(odds), log_logistic(-odds)


@dataclass(frozen=True)
class Part:
    """A whole number of dollars out of an earlier amount: none, all, or a share of Kumaraswamy's law, rounded.

    Parameters
    ----------
    name : str
        Variable.
    whole : str
        The earlier amount.
    none, everything : table
        Logits of the two point masses, against a share between.
    share : Kumaraswamy
        Law of the share between.

    Examples
    --------
    >>> law = Part("qualified", "dividends", {"const": 0.0}, {"const": 0.0}, Kumaraswamy(1.0, 1.0))
    >>> law.log_prob(Features({"dividends": np.array([0.0])}), np.array([0.0])).tolist()
    [0.0]
    """

    name: str
    whole: str
    none: Table
    everything: Table
    share: Kumaraswamy
    draws: ClassVar[int] = 2

    def sample(self, features: Features, u: Floats) -> Floats:
        """Return whole dollars; see `Law`."""
        none, everything = self._point_masses(features)
        whole = features[self.whole]
        between = np.floor(self.share.quantile(u[1]) * whole + 0.5)
        return np.where(u[0] < none, 0.0, np.where(u[0] < none + everything, whole, between))

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return the log mass; see `Law`."""
        none, everything = self._point_masses(features)
        whole = features[self.whole]
        scale = np.where(whole > 0, whole, 1.0)
        between = self.share.mass((values - 0.5) / scale, (values + 0.5) / scale)
        mass = none * (values == 0) + everything * (values == whole) + (1 - none - everything) * between
        on_grid = (values >= 0) & (values <= whole) & (values == np.rint(values))
        return log_mass(np.where(whole > 0, np.where(on_grid, mass, 0.0), values == 0))

    def tell(self, values: Floats) -> dict[str, Floats]:
        """Return the value."""
        return {self.name: values}

    def written(self) -> dict[str, str]:
        """Return both logits and the exponents."""
        shape = {"first": self.share.first, "second": self.share.second}
        none, everything = written(self.none), written(self.everything)
        return {"logit of none": none, "logit of everything": everything, "shape of the share": written(shape)}

    def _point_masses(self, features: Features) -> tuple[Floats, Floats]:
        none, everything = np.exp(features.predict(self.none)), np.exp(features.predict(self.everything))
        total = 1 + none + everything
        return none / total, everything / total


@dataclass(frozen=True)
class TakeUp:
    """A benefit whose amount follows from a rule; those entitled to it take it up or not.

    Parameters
    ----------
    name : str
        Variable.
    entitlement : callable
        The rule: features to whole dollars, 0 for those not entitled.
    takes : table
        Logit of taking it up; ``log_entitlement`` is log(1 + entitlement / 1000).

    Examples
    --------
    >>> law = TakeUp("ssi", lambda features: features["due"], {"const": 0.0})
    >>> law.log_prob(Features({"due": np.array([0.0, 120.0])}), np.array([0.0, 120.0])).round(3).tolist()
    [0.0, -0.693]
    """

    name: str
    entitlement: Callable[[Features], Floats]
    takes: Table
    draws: ClassVar[int] = 1

    def sample(self, features: Features, u: Floats) -> Floats:
        """Return whole dollars; see `Law`."""
        due = self.entitlement(features)
        return np.where(u[0] < self._share(features, due), due, 0.0)

    def log_prob(self, features: Features, values: Floats) -> Floats:
        """Return the log mass; see `Law`."""
        due = self.entitlement(features)
        share = self._share(features, due)
        mass = np.where(values == due, share, np.where(values == 0, 1 - share, 0.0))
        return log_mass(np.where(due > 0, mass, values == 0))

    def tell(self, values: Floats) -> dict[str, Floats]:
        """Return the value."""
        return {self.name: values}

    def written(self) -> dict[str, str]:
        """Return the logit of take-up."""
        return {"logit of take-up": written(self.takes)}

    def _share(self, features: Features, due: Floats) -> Floats:
        known = {term: number for term, number in self.takes.items() if term != ENTITLEMENT}
        return logistic(features.predict(known) + self.takes.get(ENTITLEMENT, 0.0) * np.log1p(due / THOUSAND))
