"""A calibration problem as arrays, on disk and off, and what is said of weights. Needs numpy and scipy alone."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp

KEPT = 1e-9
"""A record is kept if its weight is above this share of the mean base weight."""


@dataclass(frozen=True)
class Problem:
    """Find weights near `base` with ``design @ weights == totals``.

    What only some methods can use comes with it: the margins that rakers want (`codes`, a column a margin, and
    `margins`, the totals of its levels), and, for PopulationSim, zones that are balanced one by one, the importance of
    a target, whether it counts households, and the weights to be made whole (`start`). `expected` are the weights of a
    reference implementation.
    """

    name: str
    design: sp.csr_array
    base: np.ndarray
    totals: np.ndarray
    feasible: bool = True
    codes: np.ndarray | None = None
    margins: list[np.ndarray] = field(default_factory=list)
    zone: np.ndarray | None = None
    target_zone: np.ndarray | None = None
    importance: np.ndarray | None = None
    household_target: np.ndarray | None = None
    start: np.ndarray | None = None
    expected: np.ndarray | None = None

    @property
    def scale(self) -> np.ndarray:
        """What errors are relative to: |total|, or for a total of zero the sum of absolute base contributions."""
        return np.where(self.totals == 0, np.maximum(abs(self.design) @ self.base, 1e-300), np.abs(self.totals))

    def describe(self) -> str:
        m, n = self.design.shape
        per = self.design.nnz / n
        return f"{n:,} records x {m:,} targets, {per:.1f} non-zeros a record"

    def save(self, path: Path) -> None:
        found = {"data": self.design.data, "indices": self.design.indices, "indptr": self.design.indptr}
        found |= {
            "shape": np.array(self.design.shape),
            "name": np.array(self.name),
            "feasible": np.array(self.feasible),
        }
        found |= {f"margin{place}": margin for place, margin in enumerate(self.margins)}
        for name in ("base", "totals", *OPTIONAL):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        np.savez(path, **found)


OPTIONAL = ("codes", "zone", "target_zone", "importance", "household_target", "start", "expected")


def load(path: Path) -> Problem:
    """What `Problem.save` wrote."""
    with np.load(path) as file:
        found = {name: file[name] for name in file.files}
    design = sp.csr_array((found["data"], found["indices"], found["indptr"]), shape=tuple(found["shape"]))
    margins = [found[f"margin{place}"] for place in range(sum(name.startswith("margin") for name in found))]
    some = {name: found[name] for name in OPTIONAL if name in found}
    name, feasible = str(found["name"]), bool(found["feasible"])
    return Problem(name, design, found["base"], found["totals"], feasible, margins=margins, **some)


def tiny() -> Problem:
    """A problem of 200 records that every method can take, to compile and import with before the clock starts."""
    rng = np.random.default_rng(0)
    n = 200
    codes = np.column_stack([rng.integers(0, 3, n), rng.integers(0, 4, n)])
    base, ratio = rng.uniform(5, 15, n), rng.uniform(0.7, 1.4, n)
    rows = np.vstack([np.ones(n), *(codes[:, 0] == level for level in range(3))])
    rows = np.vstack([rows, *(codes[:, 1] == level for level in range(4)), rng.uniform(1, 3, n)])
    totals = rows @ (base * ratio)
    totals[0] = np.round(totals[0])
    totals[1] += totals[0] - totals[1:4].sum()
    totals[4] += totals[0] - totals[4:8].sum()
    return Problem(
        "tiny",
        sp.csr_array(rows),
        base,
        totals,
        codes=codes,
        margins=[totals[1:4], totals[4:8]],
        zone=np.zeros(n, dtype=np.int64),
        target_zone=np.zeros(len(totals), dtype=np.int64),
        importance=np.full(len(totals), 1e3),
        household_target=np.r_[np.ones(8, dtype=bool), False],
        start=base * ratio,
    )


def judge(problem: Problem, weights: np.ndarray) -> dict[str, float]:
    """Errors of the targets that some record supports, and how the weights are spread."""
    supported = np.diff(problem.design.indptr) > 0
    error = np.abs(problem.design @ weights - problem.totals)[supported]
    relative = error / problem.scale[supported]
    squares = float((weights**2).sum())
    expected = problem.expected
    off = {} if expected is None else {"off": float(np.abs(weights / expected - 1).max())}
    return off | {
        "max_rel": float(relative.max()),
        "mean_rel": float(relative.mean()),
        "square_rel": float((relative**2).sum()),
        "sum_abs": float(error.sum()),
        "max_abs": float(error.max()),
        "negative": int((weights < 0).sum()),
        "ess": float(weights.sum() ** 2 / squares) if squares > 0 else 0.0,
        "kept": int((np.abs(weights) > KEPT * problem.base.mean()).sum()),
        "whole": bool(np.array_equal(weights, np.round(weights))),
    }


def least_squares_limit(problem: Problem) -> float:
    """The least possible sum of squared relative errors of weights of any sign: a lower bound for clashing targets.

    What is left of the scaled totals after projection on the range of the scaled design.
    """
    scaled = sp.csr_array(sp.diags_array(1 / problem.scale) @ problem.design @ sp.diags_array(np.sqrt(problem.base)))
    size = np.sqrt(np.maximum((scaled.multiply(scaled)).sum(axis=1), 1e-300))
    unit = sp.csr_array(sp.diags_array(1 / size) @ scaled)
    values, vectors = np.linalg.eigh((unit @ unit.T).toarray())
    null = vectors[:, values < 1e-10 * values[-1]] / size[:, None]
    gap = null.T @ (problem.totals / problem.scale)
    # the orthogonal complement of the range is spanned by the columns of `null`, which scaling left oblique
    return float(gap @ np.linalg.solve(null.T @ null, gap)) if null.size else 0.0
