"""Shape of the network: which variable feeds which hidden unit, and the fixed features of each code."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from microplex.flow.cells import Array

Floats = NDArray[np.float32]

GROUP = 4
RESOLUTIONS = (4, 8, 16, 32)
KNOTS = 12


@dataclass(frozen=True)
class Variable:
    """One column as the network sees it.

    Parameters
    ----------
    name
        Column name.
    n_codes
        Number of codes, the level for structural missing values included.
    features
        Fixed input features of each code, shape ``(n_codes, n_features)``.
    basis
        Output basis over the codes, shape ``(n_codes, n_basis)``.
    hurdle
        Code of the point mass that gets a sigmoid of its own, or -1.
    log_marginal
        Log of the smoothed marginal frequency of each code, shape ``(n_codes,)``.
    """

    name: str
    n_codes: int
    features: Floats
    basis: Floats
    hurdle: int
    log_marginal: Floats


@dataclass(frozen=True)
class Spec:
    """Variables in order (conditions first) and the width of the trunk: at least one group of units a target."""

    conditions: tuple[Variable, ...]
    targets: tuple[Variable, ...]
    width: int
    first_share: float = 0.55
    degrees: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", GROUP * max(self.width // GROUP, len(self.targets)))
        object.__setattr__(self, "degrees", unit_degrees(self.width, len(self.targets), self.first_share))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Conditions, then targets."""
        return self.conditions + self.targets

    @property
    def variable_degrees(self) -> NDArray[np.int32]:
        """Degree of each variable: -1 for conditions, the position for targets."""
        return np.concatenate([np.full(len(self.conditions), -1), np.arange(len(self.targets))]).astype(np.int32)

    def units_before(self, target: int) -> int:
        """Number of hidden units that a target may read (units are sorted by degree)."""
        return int(np.searchsorted(self.degrees, target, "right"))


def unit_degrees(width: int, n_targets: int, first_share: float) -> NDArray[np.int32]:
    """Degrees of the hidden units, ascending, in groups.

    A unit of degree ``d`` reads every condition and the targets before position ``d``; target ``d`` reads
    the units of degree at most ``d``. ``first_share`` of the units read conditions alone.
    """
    groups = width // GROUP
    first = groups if n_targets == 1 else max(1, round(first_share * groups))
    if n_targets > 1 and groups - first < n_targets - 1:
        first = max(1, groups - (n_targets - 1))
    rest = np.floor(np.linspace(1, n_targets, groups - first, endpoint=False)) if groups > first else np.empty(0)
    return np.repeat(np.concatenate([np.zeros(first), rest]), GROUP).astype(np.int32)


def numeric_features(position: Array, score: Array, is_atom: NDArray[np.bool_]) -> Floats:
    """Features of ordered codes: normal score, piecewise-linear encoding of the rank, atom flags.

    Parameters
    ----------
    position
        Mid-rank of each code in ``(0, 1)``, shape ``(k,)``.
    score
        Normal score of each code.
    is_atom
        Which codes are point masses.
    """
    knots = np.linspace(0.0, 1.0, KNOTS + 1)
    ramps = np.clip((position[:, None] - knots[:-1]) / (knots[1:] - knots[:-1]), 0.0, 1.0)
    flags = np.zeros((len(position), min(int(is_atom.sum()), 8)))
    flags[np.flatnonzero(is_atom)[: flags.shape[1]], np.arange(flags.shape[1])] = 1.0
    out = np.column_stack([score, ramps - position[:, None], flags])
    return np.asarray(out, np.float32)


def ordered_basis(n_codes: int, identity: float) -> Floats:
    """Multi-resolution output basis over ordered codes: ramps of 4 to 32 pieces and a scaled identity."""
    t = (np.arange(n_codes) + 0.5) / n_codes
    parts = []
    for pieces in RESOLUTIONS:
        if pieces >= n_codes:
            break
        knots = np.linspace(0.0, 1.0, pieces + 1)
        ramp = np.clip((t[:, None] - knots[:-1]) * pieces, 0.0, 1.0) - 0.5
        parts.append(ramp)
    parts.append(identity * np.eye(n_codes))
    return np.asarray(np.hstack(parts), np.float32)
