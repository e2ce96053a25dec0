"""What training takes: coded rows and options chosen by sample size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Data:
    """Coded rows.

    Parameters
    ----------
    codes
        Codes of conditions and targets, shape ``(n, n_variables)``.
    weights
        Survey weights, shape ``(n,)``.
    observed
        Which targets are observed, shape ``(n, n_targets)``; all when omitted.
    allowed
        Codes that constraints leave possible, by target, shape ``(n, n_codes)``.
    """

    codes: NDArray[np.int32]
    weights: NDArray[np.float64]
    observed: NDArray[np.bool_] | None = None
    allowed: dict[int, NDArray[np.bool_]] | None = None

    def take(self, rows: NDArray[np.intp]) -> Data:
        """The same for some of the rows."""
        observed = None if self.observed is None else self.observed[rows]
        allowed = None if self.allowed is None else {t: m[rows] for t, m in self.allowed.items()}
        return Data(self.codes[rows], self.weights[rows], observed, allowed)

    def arrange(self, n_conditions: int, order: tuple[int, ...]) -> Data:
        """Targets in another order."""
        columns = [*range(n_conditions), *(n_conditions + t for t in order)]
        observed = None if self.observed is None else self.observed[:, list(order)]
        allowed = None
        if self.allowed is not None:
            allowed = {i: self.allowed[t] for i, t in enumerate(order) if t in self.allowed}
        return Data(self.codes[:, columns], self.weights, observed, allowed)


@dataclass(frozen=True)
class TrainOptions:
    """Numbers that govern training; see :func:`default_options`.

    A single order is trained `members` times from other initial weights, and the networks are mixed.
    """

    width: int
    epochs: int
    batch: int
    learning_rate: float
    dropout: float = 0.0
    decay: float = 1.0
    mask_rate: float = 0.1
    ema: float = 0.99
    clip: float = 5.0
    warmup: float = 0.15
    members: int = 1


def default_options(n_rows: int) -> TrainOptions:
    """Width, epochs, batch and regularisation by sample size (measured, see docs/decisions)."""
    if n_rows >= 30_000:
        epochs = int(np.clip(round(14 * (40_000 / n_rows) ** 0.5), 3, 14))
        return TrainOptions(192, epochs, 512, 6e-3, dropout=0.05)
    if n_rows >= 8_000:
        return TrainOptions(192, 20, 256, 4e-3, decay=2.0, mask_rate=0.3)
    return TrainOptions(128, 25, 128 if n_rows >= 1_000 else 32, 3e-3, dropout=0.15, mask_rate=0.3)
