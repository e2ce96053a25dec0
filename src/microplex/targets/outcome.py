"""What reweighting comes to: weights, a line for every target, and a summary in words."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.calibration import MET, CalibrationResult, Unreachable
from microplex.errors import ConvergenceWarning, InfeasibleTargetsError
from microplex.targets.design import TargetDesign
from microplex.targets.solving import late, own_errors
from microplex.targets.vanished import vanished
from microplex.targets.words import describe_dependency

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SHOWN = 12  # targets of a clash that has no shorter reason
_TOLD = 20  # findings in an error message
_OPEN = ("met", "within tolerance", "relaxed", "rounded")
_CAUSES = ("contradicts", "out of reach", "no support")


@dataclass(frozen=True, eq=False)
class ReweightResult:
    """Calibrated weights with their certificate.

    Parameters
    ----------
    weights, base : float64[n]
    diagnostics : DataFrame
        One row a target: name, target, before, after (in the unit of the target), error (relative), tolerance,
        support (records), multiplier and status.
    calibration : CalibrationResult
        The numbers behind it.
    findings : tuple of str
        What stands in the way of meeting every target, in words; empty where all are met.
    settings : dict
        Parameters of the reweighter.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex import Reweighter
    >>> survey = pd.DataFrame({"state": ["CA", "NY", "NY"], "weight": [1.0, 1.0, 1.0]})
    >>> result = Reweighter().fit(survey, {"state": {"CA": 2, "NY": 3}}).result_
    >>> result.diagnostics[["name", "before", "after", "status"]].round(9).values.tolist()
    [['count, state=CA', 1.0, 2.0, 'met'], ['count, state=NY', 2.0, 3.0, 'met']]
    """

    weights: Floats
    base: Floats
    diagnostics: pd.DataFrame
    calibration: CalibrationResult
    findings: tuple[str, ...]
    settings: dict[str, object]

    @property
    def feasible(self) -> bool:
        """Whether every target is met within its tolerance."""
        return self.calibration.feasible

    def worst(self, n: int = 10) -> pd.DataFrame:
        """Return the targets missed most, relative to their tolerance.

        Parameters
        ----------
        n : int

        Returns
        -------
        DataFrame
            Rows of `diagnostics`.
        """
        beyond = self.diagnostics["error"].abs() - self.diagnostics["tolerance"]
        return self.diagnostics.loc[beyond.sort_values(ascending=False, kind="stable").index[:n]]

    def sparsity(self) -> dict[str, object]:
        """Return counts of records and measures of spread.

        Returns
        -------
        dict
            n_records, n_nonzero, sparsity (share of records without weight), ess and design_effect (Kish, 1965),
            ratio quantiles of w / d, max_relative_error, mean_relative_error, iterations, kkt and status.
        """
        found = self.calibration
        names = ("min", "p01", "median", "p99", "max")
        ratios = dict(zip(names, (float(v) for v in found.ratio_quantiles()), strict=True))
        return {
            "n_records": len(self.weights),
            "n_nonzero": found.n_records,
            "sparsity": 1 - found.n_records / len(self.weights),
            "ess": found.ess,
            "design_effect": found.design_effect,
            "ratio": ratios,
            "max_relative_error": found.max_error,
            "mean_relative_error": found.mean_error,
            "iterations": found.iterations,
            "kkt": found.kkt,
            "status": dict(Counter(found.status)),
        }

    def summary(self) -> str:
        """Return the certificate in words.

        Returns
        -------
        str
        """
        found = self.calibration
        low, *_, high = found.ratio_quantiles()
        counts = ", ".join(f"{count} {status}" for status, count in Counter(found.status).most_common())
        head = "Every target is met." if found.feasible else "Not every target can be met."
        if found.feasible and "rounded" in found.status:
            head = "Every target is met as closely as whole weights allow."
        lines = [
            head,
            f"Targets: {len(self.diagnostics)}, of which {found.rank} independent; {counts}.",
            f"Relative error: largest {found.max_error:.2g}, mean {found.mean_error:.2g}; "
            f"before {np.abs(found.before).max(initial=0.0):.2g} and {np.abs(found.before).mean():.2g}.",
            f"{found.n_records:,} of {len(self.weights):,} records have weight; effective sample size "
            f"{found.ess:,.0f}, design effect {found.design_effect:.3g}.",
            f"Ratio of calibrated to base weights: {low:.3g} to {high:.3g}. " + self._solved(),
        ]
        return "\n".join([*lines, *(f"- {line}" for line in self.findings)])

    def _solved(self) -> str:
        """Say how good the optimum is, of weights that are one."""
        found = self.calibration
        steps = f"{found.iterations} iterations"
        chosen = self.settings.get("sparsity") in ("l0", "l1") or self.settings.get("integer")
        return f"{steps}." if chosen else f"{steps}, optimality residual {found.kkt:.1g}."

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw targets before and after, and the ratios of the weights.

        Parameters
        ----------
        path : path-like
            Of an image: png, svg or pdf.

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install "microplex[plot]"``.
        """
        from microplex.targets.picture import draw_outcome

        draw_outcome(self, path)


def outcome(
    built: TargetDesign,
    found: CalibrationResult,
    settings: dict[str, object],
    dense: CalibrationResult | None = None,
) -> ReweightResult:
    """Bring the certificate of the solver into the words of the targets.

    Parameters
    ----------
    built : TargetDesign
    found : CalibrationResult
        Of the same targets, perhaps followed by cells that were protected.
    settings : dict
    dense : CalibrationResult, optional
        What sparse or whole weights were made from.

    Returns
    -------
    ReweightResult
    """
    found, void = _certified(built, found, dense or found, settings)
    m = len(built.names)
    table = pd.DataFrame(
        {
            "name": built.names,
            "target": built.values,
            "before": built.achieved(built.base),
            "after": built.achieved(found.weights),
            "error": found.errors[:m],
            "tolerance": _allowed(built, settings),
            "support": built.support,
            "multiplier": found.multipliers[:m],
            "status": found.status[:m],
        }
    )
    return ReweightResult(found.weights, found.base, table, found, _findings(built, found, void), settings)


def judge(results: Sequence[ReweightResult], on_infeasible: str) -> None:
    """Raise, or warn, when targets are missed.

    Parameters
    ----------
    results : sequence of ReweightResult
    on_infeasible : {"raise", "relax"}

    Raises
    ------
    InfeasibleTargetsError
        With all findings.

    Warns
    -----
    ConvergenceWarning
        With "relax".
    """
    if all(result.feasible for result in results):
        return
    findings = tuple(line for result in results if not result.feasible for line in result.findings)
    told = "\n".join(f"- {line}" for line in findings[:_TOLD])
    told += f"\n- and {len(findings) - _TOLD} more" if len(findings) > _TOLD else ""
    if on_infeasible == "raise":
        error = InfeasibleTargetsError(
            f"the targets cannot all be met:\n{told}\nCorrect them, give tolerances, or accept the nearest weights "
            "with on_infeasible='relax'."
        )
        error.findings = findings
        raise error
    warnings.warn(f"the targets are met only in part:\n{told}", ConvergenceWarning, stacklevel=4)


def _allowed(built: TargetDesign, settings: dict[str, object]) -> Floats:
    """Return the tolerance of each target: its own, or the general one where that is wider."""
    general = settings.get("tolerance", 0.0)
    return np.maximum(built.tolerance, float(general) if isinstance(general, (int, float)) else 0.0)


def _certified(
    built: TargetDesign, found: CalibrationResult, dense: CalibrationResult, settings: dict[str, object]
) -> tuple[CalibrationResult, dict[int, str]]:
    """Judge every figure in its own unit, whatever the solver said."""
    m = len(built.names)
    errors, rounding = own_errors(built, found.weights)
    allowed = _allowed(built, settings)
    void = dict(vanished(built, dense))
    empty = _emptied(built, dense)
    for k in np.flatnonzero(np.isnan(errors) & ~empty):
        void.setdefault(int(k), f"{built.names[k]}: nobody is left to have it, so that it is not defined.")
    missed = late(errors, rounding, allowed) & ~empty
    rounded = bool(settings.get("integer")) and dense.feasible
    status = list(found.status)
    for j in range(m):
        if j in void or empty[j]:
            status[j] = "out of reach" if j in void else "no support"
        elif missed[j]:
            status[j] = status[j] if status[j] in _CAUSES else "rounded" if rounded else "relaxed"
        elif status[j] in _OPEN or (status[j] == "no support" and built.support[j] > 0):
            status[j] = "within tolerance" if abs(errors[j]) > MET + rounding[j] else "met"
    feasible = not void and not any(missed[j] and status[j] != "rounded" for j in range(m))
    shown = np.where(np.isnan(errors), found.errors[:m], errors)
    whole = np.concatenate([shown, found.errors[m:]])
    proof = found.proof or ("unreachable" if void else None)
    return replace(found, status=tuple(status), errors=whole, feasible=feasible, proof=proof), void


def _emptied(built: TargetDesign, dense: CalibrationResult) -> Bools:
    """Say which means and ratios are of cells that totals of zero ask to be empty."""
    asked = ((built.denominator_of < 0) & (built.totals == 0)).any()
    empty = np.zeros(len(built.names), dtype=bool)
    if asked and len(ratio := np.flatnonzero(built.denominator_of >= 0)):
        below = built.denominators @ dense.weights
        empty[ratio] = below[built.denominator_of[ratio].astype(np.int64)] == 0
    return empty


def _findings(built: TargetDesign, found: CalibrationResult, void: dict[int, str]) -> tuple[str, ...]:
    if found.feasible:
        return ()
    m = len(built.names)
    lines = [*void.values()]
    lines += [_out_of_reach(built, item) for item in found.unreachable if item.target < m and item.target not in void]
    lines += [
        describe_dependency(item, built.targets)
        for item in found.dependencies
        if item.contradicts and item.target < m and (item.others < m).all()
    ]
    if not lines:
        missed = [j for j in range(m) if found.status[j] in ("relaxed", *_CAUSES)]
        missed.sort(key=lambda j: -abs(found.errors[j]))
        proven = "no weights meet all targets at once" if found.proof else "the solver found no weights that meet all"
        lines = [f"{proven}; the nearest weights miss {len(missed)} of them, these most:"]
        lines += [f"{built.names[j]}: {_percent(found.errors[j])}" for j in missed[:_SHOWN]]
    return tuple(lines)


def _percent(error: float) -> str:
    return f"{error:+.2%}" if abs(error) < 100 else f"{error:+.3g} times"


def _out_of_reach(built: TargetDesign, item: Unreachable) -> str:
    name, total = built.names[item.target], built.totals[item.target]
    if item.reason == "no support":
        return f"{name}: no record bears on it, so {total:,.6g} cannot be met."
    if item.reason == "sign":
        return f"{name}: {total:,.6g} has a sign that no record has."
    return (
        f"{name}: {total:,.6g} lies outside {item.lowest:,.6g} to {item.highest:,.6g}, which the bounds of w / d "
        "allow; widen them."
    )
