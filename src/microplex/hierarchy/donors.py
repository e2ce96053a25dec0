"""Structure taken from training households: roles, ages and static variables together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.hierarchy.roster import Ints, Roster
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Donors:
    """Households whose structure is copied, in the manner of simPop (Templ, Meindl, Kowarik and Dupriez, 2017).

    Parameters
    ----------
    counts : int64[n, n_roles]
        Compositions.
    shares : float64[n]
        Chance of each donor.
    home, member : dict of arrays
        Static variables of households; ages and other structure of members, in the order of the roster.
    """

    counts: Ints
    shares: Floats
    home: Values
    member: Values

    @classmethod
    def take(cls, scene: Scene, weights: Floats, statics: Sequence[str], structure: Sequence[str]) -> Donors:
        """Keep the structure of training households, ordered by composition so that systematic draws spread."""
        counts = scene.roster.counts
        order = np.lexsort(counts.T[::-1])
        sizes = scene.roster.sizes[order]
        first = np.repeat(scene.roster.starts[order] - (np.cumsum(sizes) - sizes), sizes)
        rows = first + np.arange(sizes.sum())
        return cls(
            counts[order], weights[order] / weights.sum(), {c: scene.home[c][order] for c in statics},
            {c: scene.member[c][rows] for c in structure},
        )  # fmt: skip

    def draw(self, u: Floats) -> tuple[Ints, Values, Values]:
        """Structure for uniform numbers: compositions, static variables, and columns of members.

        Examples
        --------
        >>> donors = Donors(np.array([[1, 0], [1, 1]]), np.array([0.5, 0.5]), {}, {"age": np.array([40.0, 50.0, 9.0])})
        >>> counts, _, member = donors.draw(np.array([0.7, 0.2]))
        >>> counts.tolist(), member["age"].tolist()
        ([[1, 1], [1, 0]], [50.0, 9.0, 40.0])
        """
        pick = np.minimum(np.searchsorted(np.cumsum(self.shares), u, "right"), len(self.shares) - 1)
        own = Roster(self.counts)
        sizes = own.sizes[pick]
        rows = np.repeat(own.starts[pick] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        home = {c: x[pick] for c, x in self.home.items()}
        return self.counts[pick], home, {c: x[rows] for c, x in self.member.items()}
