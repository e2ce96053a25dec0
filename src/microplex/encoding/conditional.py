"""The law of one target given the rest of its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from microplex._random import uniforms
from microplex._validation import check_columns
from microplex.encoding.encoder import Encoder, Values
from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import NumberCodec
from microplex.errors import DataError, ParameterError
from microplex.flow.cells import Array
from microplex.flow.data import Data
from microplex.flow.ensemble import Ensemble
from microplex.frames import Levelled

STREAM = 3


class ConditionalLaw:
    """Law of one modelled target on each row, given the conditions and the observed other targets.

    The probability of each code is exact: the chain rule over the observed targets, before and after the
    variable, normalised over its codes (Bayes). Where a later target is bound to the variable by a constraint,
    each code enters by its typical value.
    """

    def __init__(self, encoder: Encoder, ensemble: Ensemble, values: Values, name: str, n: int) -> None:
        if name in {d.name for d in encoder.plan.derived}:
            raise ParameterError(f"{name!r} is derived from other columns by a constraint; ask for those.")
        check_columns(encoder.targets, [name], "target")
        self.encoder, self.name, self.n = encoder, name, n
        self.codec = encoder.codecs[name]
        conditions = encoder.condition_codes(values, n)
        self.group = encoder.group(name, conditions)
        self.limits, self.mask = encoder.support(name, values, n)
        self.base = encoder.base(name, values, n)
        if self.base is not None and np.isnan(self.base).any():
            row = int(np.flatnonzero(np.isnan(self.base))[0])
            of = ", ".join(encoder.plan.shares[name].of)
            raise DataError(f"{name!r} is a share of {of}, which is missing in row {row}; supply it.")
        self.p = self._posterior(ensemble, values)

    def _posterior(self, ensemble: Ensemble, values: Values) -> Array:
        """Probability of each code, shape ``(n, n_codes)``."""
        encoder, n, k = self.encoder, self.n, self.codec.n_codes
        target = encoder.targets.index(self.name)
        unknown = np.full(n, -1, np.int32) if isinstance(self.codec, LevelCodec) else np.full(n, np.nan)
        hidden, _ = encoder.data(values | {self.name: unknown}, np.ones(n), n)
        seen = self._others(values, n)
        possible = np.ones((n, k), bool)
        allowed = encoder.allowed(self.name, values, n)
        if allowed is not None:
            possible &= allowed
        order_free = all(not seen[:, list(m.order[m.order.index(target) + 1 :])].any() for m in ensemble.members)
        if order_free:
            data = Data(hidden.codes, hidden.weights, seen, hidden.allowed)
            log_p = ensemble.code_log_prob(data, target)
        else:
            log_p = np.stack([self._joint(ensemble, values, seen, code) for code in range(k)], axis=1)
        log_p = np.where(possible, log_p, -np.inf)
        return np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))

    def _others(self, values: Values, n: int) -> NDArray[np.bool_]:
        seen = self.encoder.observed(values, n)
        for i, name in enumerate(self.encoder.targets):
            x = values[name]
            seen[:, i] &= ~np.isnan(x) if isinstance(self.encoder.codecs[name], NumberCodec) else x >= 0
        seen[:, self.encoder.targets.index(self.name)] = False
        return seen

    def _joint(self, ensemble: Ensemble, values: Values, seen: NDArray[np.bool_], code: int) -> Array:
        """Log law of the observed targets together with one code of the variable."""
        encoder, n = self.encoder, self.n
        if isinstance(self.codec, LevelCodec):
            x: NDArray[Any] = np.full(n, code, np.int32)
        elif code >= self.codec.cells.n_codes:
            x = np.full(n, np.nan)
        else:
            typical = self.codec.representatives()[code]
            x = np.full(n, typical) if self.base is None else typical * self.base
        trial = values | {self.name: x}
        data, possible = encoder.data(trial, np.ones(n), n)
        target = encoder.targets.index(self.name)
        codes = data.codes.copy()
        codes[:, encoder.n_conditions + target] = code
        mask = seen.copy()
        mask[:, target] = True
        log_p = ensemble.log_prob(Data(codes, data.weights, mask, data.allowed))
        density = encoder.log_density(trial, n)
        bound = [i for i, other in enumerate(encoder.targets) if i != target and seen[:, i].any()]
        log_p += np.where(seen[:, bound], density[:, bound], 0.0).sum(axis=1)
        possible[:, target] = True
        return np.where((possible | ~seen).all(axis=1), log_p, -np.inf)

    def probabilities(self) -> dict[str, Array]:
        """Probability of each level, by its name."""
        if not isinstance(self.codec, LevelCodec):
            raise ParameterError(f"{self.name!r} is a number: ask for cdf or quantile.")
        names = [str(level) for level in self.codec.column.levels] + ["missing"] * self.codec.has_missing
        return {name: self.p[:, i] for i, name in enumerate(names)}

    def _present(self) -> tuple[NumberCodec, Array]:
        """Codec of a number and the probability of its codes given that it is not missing."""
        if isinstance(self.codec, LevelCodec):
            raise ParameterError(f"{self.name!r} is categorical: ask for probabilities.")
        cells = self.codec.cells
        p = self.p[:, : cells.n_codes].copy()
        p[:, cells.atom_codes[np.isin(cells.atoms, self.codec.column.missing_codes)]] = 0.0
        return self.codec, p / p.sum(axis=1, keepdims=True)

    def cdf(self, at: Any) -> Array:
        """P(X <= at) for a number, given that it is not missing."""
        codec, p = self._present()
        x = np.broadcast_to(np.asarray(at, float), (self.n,))
        below = codec.below(x, self.group, self.limits, self.base)
        return np.asarray(np.where(p > 0, p * below, 0.0).sum(axis=1))

    def quantile(self, q: float | Sequence[float]) -> Array:
        """Smallest value whose distribution function reaches `q`."""
        levels = np.atleast_1d(np.asarray(q, float))
        if not ((levels > 0) & (levels < 1)).all():
            raise ParameterError(f"quantiles must lie strictly between 0 and 1, got {q!r}.")
        out = np.stack([self._invert(level) for level in levels], axis=1)
        return out[:, 0] if np.ndim(q) == 0 else out

    def _invert(self, level: float) -> Array:
        codec, _ = self._present()
        low, high = (np.full(self.n, end) for end in codec.reach())
        if self.base is not None:
            low, high = low * self.base, high * self.base
        while (self.cdf(high) < level).any() and np.isfinite(high).all():
            high = np.where(self.cdf(high) < level, 2 * np.abs(high) + 1, high)
        for _ in range(100):
            middle = 0.5 * (low + high)
            reached = self.cdf(middle) >= level
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
            if np.all(high - low <= 1e-12 * (1 + np.abs(high))):
                break
        return codec.settle(high, self.base)

    def sample(self, n_draws: int, seed: int, keys: NDArray[np.uint64]) -> NDArray[Any]:
        """Draws, shape ``(n, n_draws)``."""
        u = uniforms(seed, keys, STREAM, 2 * n_draws)
        running = np.cumsum(self.p, axis=1)
        draws = []
        for d in range(n_draws):
            codes = np.minimum((running <= u[2 * d][:, None] * running[:, -1:]).sum(axis=1), self.p.shape[1] - 1)
            codes = codes.astype(np.int32)
            if isinstance(self.codec, LevelCodec):
                shown = self.codec.write(codes)
                draws.append(_plain(shown))
            else:
                draws.append(self.codec.decode(codes, u[2 * d + 1], self.group, self.limits, self.base))
        return np.stack(draws, axis=1)


def _plain(column: Levelled | NDArray[Any]) -> NDArray[Any]:
    if not isinstance(column, Levelled):
        return column
    return np.asarray(np.array([*column.levels, None], object)[column.codes])
