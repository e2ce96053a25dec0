"""Dependence between blocks beyond the variables that both read: correlated normal scores.

Each target of a block is drawn by inversion of its law given what comes before it; the normal scores of these uniform
numbers are independent within a block (Rosenblatt, 1952). Correlating the scores of two blocks (a Gaussian copula;
Sklar, 1959) moves their dependence given the common variables and leaves the law of each block as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import ParameterError
from microplex.fusion.reading import Floats

LARGEST = 0.9999


@dataclass(frozen=True, eq=False)
class Links:
    """Correlations of normal scores.

    Parameters
    ----------
    names : tuple of str
        Targets of the blocks concerned.
    matrix : float64[n_names, n_names]
        Positive definite, with unit diagonal; 0 between targets of one block.
    """

    names: tuple[str, ...]
    matrix: Floats

    @classmethod
    def none(cls) -> Links:
        """No dependence."""
        return cls((), np.zeros((0, 0)))

    def joins(self, targets: Sequence[str]) -> bool:
        """Whether some target is correlated with another block's."""
        return bool(self.partners(targets, later=True))

    def partners(self, targets: Sequence[str], later: bool = False) -> list[str]:
        """Targets of other blocks that these are correlated with: of earlier ones, or of any."""
        own = [self.names.index(name) for name in targets if name in self.names]
        if not own:
            return []
        linked = np.flatnonzero(np.abs(self.matrix[own]).sum(axis=0) > 0)
        ends = len(self.names) if later else min(own)
        return [self.names[i] for i in linked if i not in own and i < ends]

    def shift(
        self, targets: Sequence[str], scores: Mapping[str, Floats], rows: NDArray[np.intp]
    ) -> tuple[Floats, Floats] | None:
        """Mean and covariance of the scores of targets given those of the blocks before; None if independent."""
        earlier = [name for name in self.names if name in scores and name not in targets]
        own = [self.names.index(name) if name in self.names else -1 for name in targets]
        if not earlier or not self.partners(targets):
            return None
        before = [self.names.index(name) for name in earlier]
        cross = np.array([[self.matrix[i, j] if j >= 0 else 0.0 for j in own] for i in before])
        weights = np.linalg.solve(self.matrix[np.ix_(before, before)], cross)
        known = np.column_stack([scores[name][rows] for name in earlier])
        return known @ weights, np.eye(len(targets)) - cross.T @ weights


def link(blocks: Sequence[Sequence[str]], pairs: Mapping[tuple[str, str], float]) -> Links:
    """Return the links of pairs of targets; shrunk together where no joint law has them all.

    Parameters
    ----------
    blocks : sequence of sequence of str
        Targets of each block, in order.
    pairs : mapping of (str, str) to float
        Correlation of normal scores.

    Warns
    -----
    UserWarning
        If they had to be shrunk.

    Examples
    --------
    >>> link([["wages"], ["gains"]], {("wages", "gains"): 0.5}).matrix.tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    live = {name for pair, rho in pairs.items() if rho for name in pair}
    names = tuple(name for block in blocks if live & set(block) for name in block)
    off = np.zeros((len(names), len(names)))
    for (first, second), rho in pairs.items():
        if first in names and second in names:
            i, j = names.index(first), names.index(second)
            off[i, j] = off[j, i] = rho
    lowest = float(np.linalg.eigvalsh(off).min(initial=0.0))
    scale = min(1.0, LARGEST / -lowest) if lowest < 0 else 1.0
    if -lowest > 1 + 1e-9:  # a correlation of one alone is only rounded to the largest that can be drawn from
        pair, rho = max(pairs.items(), key=lambda item: abs(item[1]))
        warnings.warn(
            f"no joint law has all the correlations of association: they are multiplied by {scale:.2f} "
            f"(that of {pair[0]!r} and {pair[1]!r}, {rho:.2f}, becomes {scale * rho:.2f}). Ask for less, or fewer.",
            UserWarning,
            stacklevel=5,
        )
    return Links(names, np.eye(len(names)) + scale * off)


def read_association(
    association: float | Mapping[tuple[str, str], float], blocks: Sequence[Sequence[str]], apart: Sequence[set[str]]
) -> dict[tuple[str, str], float]:
    """Return the correlation of each pair of targets that no source observes together.

    Parameters
    ----------
    association : float or mapping of (str, str) to float
        From -1 to 1. A number correlates the sums of the scores of each two blocks that no source observes together;
        of two blocks of one target each it is the correlation itself.
    blocks : sequence of sequence of str
        Targets of each block.
    apart : sequence of set of str
        Variables that no source observes together with each block's.

    Raises
    ------
    ParameterError, ColumnNotFoundError
        If a value is outside [-1, 1], a pair is not one that the sources leave open, or has two values.

    Warns
    -----
    UserWarning
        If a number has no pair to move.
    """
    numbers = association.values() if isinstance(association, Mapping) else [association]
    for rho in numbers:
        if isinstance(rho, bool) or not isinstance(rho, (int, float, np.number)) or not -1 <= float(rho) <= 1:
            raise ParameterError(f"association must lie between -1 and 1; got {rho!r}.")
    home = {name: i for i, block in enumerate(blocks) for name in block}
    found: dict[tuple[str, str], float] = {}
    if not isinstance(association, Mapping):
        for place, block in enumerate(blocks):
            for other in blocks[:place]:
                first = [name for name in other if name in apart[place]]
                size = np.sqrt(len(first) * len(block)) if first else 1.0
                found |= {(a, b): float(association) / float(size) for a in first for b in block}
        if association and not found:
            warnings.warn(
                f"association={association} has nothing to move: every two targets are observed together by a source.",
                UserWarning,
                stacklevel=5,
            )
        return found
    for pair, rho in association.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ParameterError(f"association must name pairs of variables; got {pair!r}.")
        check_columns(list(home), list(pair), "association:")
        early, late = sorted(pair, key=lambda name: home[name])
        if early not in apart[home[late]]:
            raise ParameterError(
                f"association of {early!r} and {late!r}: a source observes both, so that it is learnt, not assumed."
            )
        if found.get((early, late), float(rho)) != float(rho):
            raise ParameterError(
                f"association of {early!r} and {late!r} is given twice, as {found[early, late]:g} and as {rho:g}: "
                "the order of a pair does not matter. Give it once."
            )
        found[early, late] = float(rho)
    return found
