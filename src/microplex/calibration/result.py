"""What a calibration returns: weights and the certificate that goes with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from microplex.calibration.presolve import Dependency, Unreachable
from microplex.calibration.problem import Problem

Floats = NDArray[np.float64]

_OPEN = ("met", "within tolerance", "relaxed", "rounded")
MET = 1e-8  # relative error up to which a total counts as met exactly


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """Calibrated weights and how good they are.

    Parameters
    ----------
    weights : float64[n]
    base : float64[n]
    before, errors : float64[m]
        Relative error of every target at the base and at the calibrated weights.
    status : tuple of str
        For every target: "met", "within tolerance", "redundant" (met because others imply it), "relaxed" (missed,
        because the targets clash), "contradicts" (relaxed, and others imply another total), "out of reach" (no
        weights within the bounds meet it), "no support" (no record; a total of zero is met), "rounded" (missed by no
        more than whole weights make it).
    multipliers : float64[m]
        Of the dual: how much the distance would fall if the total were one less, so which totals pull hardest.
    feasible : bool
        Whether every target is met within its tolerance.
    proof : str or None
        Why no weights can meet all targets: "unreachable" (single targets), "contradiction" (totals that imply each
        other differ), "separation" (a combination of targets that no weights within the bounds reach). None if
        feasible, and where the solver stopped without either.
    kkt : float
        Largest violation of the optimality conditions: relative errors beyond tolerance, and complementarity.
    iterations : int
    rank : int
        Independent targets among those the solver worked on.
    dependencies : tuple of Dependency
    unreachable : tuple of Unreachable

    Examples
    --------
    >>> from microplex.calibration import Problem, calibrate
    >>> result = calibrate(Problem.of([[1.0, 1.0], [0.0, 1.0]], base=[1.0, 1.0], totals=[4.0, 1.0]))
    >>> result.feasible, result.weights.round(9).tolist(), round(result.ess, 3)
    (True, [3.0, 1.0], 1.6)
    """

    weights: Floats
    base: Floats
    before: Floats
    errors: Floats
    status: tuple[str, ...]
    multipliers: Floats
    feasible: bool
    proof: str | None
    kkt: float
    iterations: int
    rank: int
    dependencies: tuple[Dependency, ...]
    unreachable: tuple[Unreachable, ...]

    @property
    def max_error(self) -> float:
        """Largest relative error of any target."""
        return float(np.abs(self.errors).max(initial=0.0))

    @property
    def mean_error(self) -> float:
        """Mean relative error over the targets."""
        return float(np.abs(self.errors).mean()) if len(self.errors) else 0.0

    @property
    def n_records(self) -> int:
        """Records with weight."""
        return int((self.weights != 0).sum())

    @property
    def ess(self) -> float:
        """Effective sample size of Kish (1965): (sum w)^2 / sum w^2."""
        square = float(self.weights @ self.weights)
        return float(self.weights.sum()) ** 2 / square if square else 0.0

    @property
    def design_effect(self) -> float:
        """Records with weight over the effective sample size."""
        return self.n_records / self.ess if self.ess else float("nan")

    def ratio_quantiles(self, probabilities: tuple[float, ...] = (0.0, 0.01, 0.5, 0.99, 1.0)) -> Floats:
        """Return quantiles of the ratio g = w / d over the records with weight.

        Parameters
        ----------
        probabilities : tuple of float

        Returns
        -------
        float64[n_probabilities]
        """
        held = (self.base > 0) & (self.weights != 0)
        if not held.any():
            return np.full(len(probabilities), np.nan)
        found: Floats = np.quantile(self.weights[held] / self.base[held], probabilities)
        return found

    def reweighted(self, problem: Problem, weights: Floats, missed: str = "relaxed") -> CalibrationResult:
        """Return the certificate of other weights for the same problem, such as sparse or whole ones.

        Parameters
        ----------
        problem : Problem
        weights : float64[n]
        missed : str
            Status of targets that these weights miss and the others met; "rounded" ones do not make it infeasible.

        Returns
        -------
        CalibrationResult
        """
        errors = problem.errors(weights)
        size = np.abs(errors)
        late = ~(size <= problem.tolerance + MET)
        judged = np.where(late, missed, np.where(size > MET, "within tolerance", "met"))
        status = tuple(
            str(new) if old in _OPEN or (late_here and old == "redundant") else old
            for new, old, late_here in zip(judged, self.status, late, strict=True)
        )
        kkt = float(np.maximum(size - problem.tolerance, 0).max(initial=0.0))
        feasible = not late.any() or (missed == "rounded" and self.feasible)
        return replace(self, weights=weights, errors=errors, status=status, feasible=feasible, kkt=kkt)
