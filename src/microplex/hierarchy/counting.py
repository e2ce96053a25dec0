"""Compositions of households whose numbers of members are given: their law, and how to draw from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.hierarchy.composition import Compositions, within
from microplex.hierarchy.roster import Ints

Floats = NDArray[np.float64]
FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class Counted:
    """Compositions with given numbers of members.

    The compositions of the table that have these numbers, in proportion to their probabilities; where there are none,
    those that come nearest, with members of the commonest roles added or taken away.

    Parameters
    ----------
    table : Compositions
        What was learned.
    roles : mapping of str to tuple of int
        Given household variables, and the roles whose members each counts.
    """

    table: Compositions
    roles: Mapping[str, tuple[int, ...]]

    def groups(self, given: Mapping[str, NDArray[np.float64]]) -> list[tuple[Ints, Ints, Ints]]:
        """Households by what is given: their rows, rows of the table, and the compositions that these become.

        Raises
        ------
        DataError
            If no household can have the numbers.
        """
        wanted = np.stack([np.asarray(given[c], float) for c in self.roles], axis=1)
        distinct, inverse = np.unique(wanted, axis=0, return_inverse=True)
        return [
            (np.flatnonzero(inverse.ravel() == i), *self._completed(want))
            for i, want in enumerate(distinct.astype(int))
        ]

    def _completed(self, want: Ints) -> tuple[Ints, Ints]:
        counts = self.table.counts
        sums = np.stack([counts[:, list(roles)].sum(axis=1) for roles in self.roles.values()], axis=1)
        off = np.abs(sums - want).sum(axis=1)
        out = counts.copy()
        taken: set[int] = set()
        for place in np.argsort([len(roles) for roles in self.roles.values()], kind="stable"):
            roles = list(self.roles.values())[place]
            step = want[place] - out[:, list(roles)].sum(axis=1)
            free = [r for r in self.table.repeatable if r in roles and r not in taken]
            if step.any() and free:
                commonest = free[int(np.argmax((self.table.shares @ counts)[free]))]
                out[:, commonest] += step
            taken |= {*roles}
        final = np.stack([out[:, list(roles)].sum(axis=1) for roles in self.roles.values()], axis=1)
        good = (final == want).all(axis=1) & (out >= 0).all(axis=1) & within(out, self.table.limits)
        if not good.any():
            told = ", ".join(f"{c}={x:g}" for c, x in zip(self.roles, want, strict=True))
            raise DataError(f"no household can have {told}: no training household's roles can be changed to that.")
        rows = np.flatnonzero(good & (off == off[good].min()))
        return rows, out[rows]

    def draw(self, p: Floats, given: Mapping[str, NDArray[np.float64]], u: Floats) -> Ints:
        """Draw compositions, int64[n, n_roles].

        Parameters
        ----------
        p : float64[n, k]
            Probabilities of the table's compositions.
        given : mapping of str to float64[n]
            Given household variables.
        u : float64[n]
            Uniform numbers.
        """
        out = np.empty((len(u), self.table.counts.shape[1]), np.int64)
        for households, rows, final in self.groups(given):
            total = np.cumsum(np.maximum(p[np.ix_(households, rows)], FLOOR), axis=1)
            pick = (total <= (u[households] * total[:, -1])[:, None]).sum(axis=1)
            out[households] = final[np.minimum(pick, len(rows) - 1)]
        return out

    def log_prob(self, counts: Ints, p: Floats, given: Mapping[str, NDArray[np.float64]]) -> Floats:
        """Log probability of compositions given their numbers, float64[n]; arguments as for `draw`."""
        out = np.full(len(counts), -np.inf)
        for households, rows, final in self.groups(given):
            mass = np.maximum(p[np.ix_(households, rows)], FLOOR)
            same = (counts[households][:, None, :] == final[None]).all(axis=2)
            with np.errstate(divide="ignore"):
                out[households] = np.log((mass * same).sum(axis=1)) - np.log(mass.sum(axis=1))
        return out
