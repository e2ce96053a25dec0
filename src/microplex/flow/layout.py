"""Constants of the training pass: features, masks and padded output bases, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.flow.spec import Floats, Spec

EMBEDDING = 8
FAR = np.float32(-1e9)


@dataclass(frozen=True)
class Block:
    """Hidden units ``first..last``, which read the first variables, features and units."""

    first: int
    last: int
    n_variables: int
    n_features: int


@dataclass(frozen=True)
class Bucket:
    """Targets with similar numbers of codes that read the same run of units, padded to one product."""

    targets: tuple[int, ...]
    units: int
    n_codes: int
    n_basis: int


class Layout:
    """How the variables of a :class:`Spec` are laid out in matrices.

    Parameters
    ----------
    spec
        Shape of the network.
    triangular
        Skip the known zeros of the masks; only for targets taken in their given order.
    """

    def __init__(self, spec: Spec, triangular: bool) -> None:
        self.spec, self.triangular = spec, triangular
        sizes = [v.n_codes + 1 for v in spec.variables]
        self.offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32)
        self.n_rows = sum(sizes)
        self.unknown = np.array([v.n_codes for v in spec.variables], np.int32)
        self.widths = [v.features.shape[1] + 1 for v in spec.variables]
        self.blocks = self._blocks() if triangular else [Block(0, spec.width, len(sizes), sum(self.widths))]
        self.buckets = self._buckets()

    @property
    def n_conditions(self) -> int:
        """Number of conditions."""
        return len(self.spec.conditions)

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return len(self.spec.targets)

    def _blocks(self) -> list[Block]:
        """Up to four runs of whole degrees."""
        spec = self.spec
        ends = sorted({spec.units_before(t) for t in range(self.n_targets)})
        goals = [spec.width * q // 4 for q in (1, 2, 3, 4)]
        last = sorted({min(ends, key=lambda e: abs(e - goal)) for goal in goals} | {ends[-1]})
        out = []
        for a, b in zip([0, *last[:-1]], last, strict=True):
            known = self.n_conditions + int(spec.degrees[b - 1])
            out.append(Block(a, b, known, sum(self.widths[:known])))
        return out

    def _buckets(self) -> list[Bucket]:
        spec = self.spec
        groups: dict[tuple[int, int], list[int]] = {}
        for t, v in enumerate(spec.targets):
            kind = 0 if v.n_codes <= 10 else 1 if v.basis.shape[1] > v.n_codes else 2
            run = next(b.last for b in self.blocks if spec.units_before(t) <= b.last) if self.triangular else spec.width
            groups.setdefault((run, kind), []).append(t)
        out = []
        for (run, kind), chosen in sorted(groups.items()):
            k = max(spec.targets[t].n_codes for t in chosen)
            r = 0 if kind == 2 else max(spec.targets[t].basis.shape[1] for t in chosen)
            out.append(Bucket(tuple(chosen), run, k, r))
        return out

    def constants(self, order: Sequence[int]) -> dict[str, Any]:
        """Arrays that depend on the data or on the order of the targets."""
        spec = self.spec
        place = np.empty(self.n_targets, np.int32)
        place[list(order)] = np.arange(self.n_targets)
        degree = np.concatenate([np.full(self.n_conditions, -1), place])
        features = []
        for v in spec.variables:
            f = np.zeros((v.n_codes + 1, v.features.shape[1] + 1), np.float32)
            f[:-1, :-1] = v.features
            f[-1, -1] = 1.0
            features.append(f)
        units = spec.degrees[None, :]
        return {
            "features": features,
            "mask_fixed": (np.repeat(degree, self.widths)[:, None] < units).astype(np.float32),
            "mask_free": (np.repeat(degree, EMBEDDING)[:, None] < units).astype(np.float32),
            "mask_hidden": (spec.degrees[:, None] <= units).astype(np.float32),
            "buckets": [self._bucket_constants(b, place) for b in self.buckets],
        }

    def _bucket_constants(self, bucket: Bucket, place: NDArray[np.int32]) -> dict[str, Any]:
        n, k = len(bucket.targets), bucket.n_codes
        start = np.full((n, k), FAR, np.float32)
        basis = np.zeros((n, k, bucket.n_basis), np.float32)
        is_atom = np.zeros((n, k), bool)
        for i, t in enumerate(bucket.targets):
            v = self.spec.targets[t]
            start[i, : v.n_codes] = v.log_marginal
            if bucket.n_basis:
                basis[i, : v.n_codes, : v.basis.shape[1]] = v.basis
            if v.hurdle >= 0:
                p = np.exp(v.log_marginal[v.hurdle])
                start[i, v.hurdle] = np.log(p / max(1.0 - p, 1e-9))
                is_atom[i, v.hurdle] = True
        reach = np.array([self.spec.units_before(int(place[t])) for t in bucket.targets])
        reads: Floats = (np.arange(bucket.units)[None] < reach[:, None]).astype(np.float32)
        return {"start": start, "basis": basis, "is_atom": is_atom, "reads": reads}
