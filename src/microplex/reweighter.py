"""Weights that meet official totals: the page to read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._estimator import BaseEstimator
from microplex._validation import check_choice, check_columns, check_seed
from microplex.calibration import (
    METHODS,
    SPARSITIES,
    CalibrationResult,
    Distance,
    Problem,
    calibrate_replicates,
    thin,
    whole,
)
from microplex.errors import DataError, InfeasibleTargetsError, ParameterError
from microplex.frames import Frame, assign, column_names, keep_rows, n_rows, read_column
from microplex.survey import Replicates
from microplex.targets import (
    TargetDesign,
    Targets,
    build_design,
    frontier,
    judge,
    outcome,
    protected,
    solve_targets,
    with_denominators,
)
from microplex.targets.solving import late, own_errors

Floats = NDArray[np.float64]


class Reweighter(BaseEstimator):
    """Find the weights nearest to the base weights that meet official totals.

    Minimises a distance between calibrated weights w and base weights d subject to totals (Deville and Särndal,
    1992). Every fit ends with a certificate: each target is met within its tolerance, or named with the reason why
    it cannot be.

    Parameters
    ----------
    sparsity : {"l0", "l1", "l2"}, optional
        None keeps every record. "l0" keeps few: about `n_records` of them with totals still exact, or without it the
        fewest that are found. "l1" changes few base weights, by a linear programme. "l2" is the chi-square distance,
        whatever the method.
    method : {"raking", "linear", "logit"}
        Distance: entropy, chi-square (generalised regression) or logit.
    bounds : tuple of float
        Lower and upper bound of the ratio w / d. ``(-inf, inf)`` with "linear" allows negative weights.
    tolerance : float
        Relative error allowed for every target; those with a wider one of their own keep it.
    n_records : int, optional
        Records to keep, for "l0".
    integer : bool
        Round to whole weights, keeping totals as closely as arithmetic allows. Bounds hold before rounding.
    on_infeasible : {"raise", "relax"}
        What to do when targets clash: name them and stop, or compromise in least squares by importance, with a
        `ConvergenceWarning` that names them.
    protect : sequence of str or mapping of str to float, optional
        Columns whose categories keep their calibrated weight when records are selected, so that rare groups survive;
        a mapping gives the relative band of each column, 0.05 otherwise.
    seed : int
        Of the selection of records and of rounding.

    Attributes
    ----------
    weights_ : float64[n]
    diagnostics_ : DataFrame
        One row a target; see `ReweightResult`.
    result_ : ReweightResult
    replicate_weights_ : float64[n_replicates, n] or None
        Where replicates were given.

    Examples
    --------
    >>> import pandas as pd
    >>> survey = pd.DataFrame({"state": ["CA", "CA", "NY"], "wages": [10.0, 30.0, 20.0], "weight": [1.0, 1.0, 1.0]})
    >>> reweighter = Reweighter().fit(survey, {"state": {"CA": 5, "NY": 2}, "wages": 130})
    >>> reweighter.weights_.round(6).tolist()
    [3.0, 2.0, 2.0]
    >>> print(reweighter.result_.summary().splitlines()[0])
    Every target is met.
    """

    def __init__(
        self,
        sparsity: Literal["l0", "l1", "l2"] | None = None,
        method: Literal["raking", "linear", "logit"] = "raking",
        bounds: tuple[float, float] = (0.0, np.inf),
        tolerance: float = 0.0,
        n_records: int | None = None,
        integer: bool = False,
        on_infeasible: Literal["raise", "relax"] = "raise",
        protect: Sequence[str] | Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.sparsity = sparsity
        self.method = method
        self.bounds = bounds
        self.tolerance = tolerance
        self.n_records = n_records
        self.integer = integer
        self.on_infeasible = on_infeasible
        self.protect = protect
        self.seed = seed

    def fit(
        self,
        frame: Frame,
        targets: Targets,
        weight_col: str | None = "weight",
        *,
        persons: Frame | None = None,
        tax_units: Frame | None = None,
        id_col: str = "household_id",
        crosswalk: Frame | None = None,
        replicates: Replicates | Sequence[str] | None = None,
    ) -> Self:
        """Find the weights.

        Parameters
        ----------
        frame : data frame of n rows
            The records that carry weights, usually households.
        targets : TargetSet, sequence of Target, mapping or data frame
            See `TargetSet`; a mapping reads ``{"state": {"CA": 39e6}, "wages": 9e12}``.
        weight_col : str or None
            Base weights; None gives every record the same.
        persons, tax_units : data frame, optional
            Tables whose rows are counted or summed to those of `frame`, by `id_col`.
        id_col : str
            Key of `frame`, needed with `persons` or `tax_units`.
        crosswalk : data frame, optional
            Coarser areas for a column of `frame`.
        replicates : Replicates or sequence of str, optional
            Replicate base weights, or the columns of `frame` that hold them, to be calibrated alongside.

        Returns
        -------
        Reweighter
            Itself.

        Raises
        ------
        InfeasibleTargetsError
            If targets cannot be met, all named; with "relax" only where a target has no record at all.
        ColumnNotFoundError, DataError, ParameterError
            If data, targets or parameters are wrong; nothing is learned.
        """
        self._check_parameters()
        if not isinstance(weight_col, (str, type(None))):
            raise ParameterError(f"weight_col must be the name of a column, or None; got {weight_col!r}.")
        built = build_design(
            frame,
            targets,
            weight_col=weight_col,
            persons=persons,
            tax_units=tax_units,
            id_col=id_col,
            crosswalk=crosswalk,
            on_infeasible="raise" if self.on_infeasible == "raise" else "keep",
        )
        problem, dense = solve_targets(built, self._method, self.bounds, self.tolerance)
        judge([outcome(built, dense, self.get_params() | {"integer": False})], self.on_infeasible)
        repeated = self._replicated(frame, built, problem, dense, replicates)
        held = self._held(frame, built, problem, dense)
        found = self._thinned(held, problem, dense)
        if self.integer:
            found = found.reweighted(problem, whole(held, found.weights, self.seed), missed="rounded")
        result = outcome(built, found, self.get_params(), dense)
        if dense.feasible:
            judge([result], self.on_infeasible)
        self.result_ = result
        self.weights_, self.diagnostics_ = result.weights, result.diagnostics
        self.replicate_weights_ = repeated
        self._solved = problem, dense, held
        self._weight_col, self._rows = weight_col or "weight", _fingerprint(frame, built, weight_col, id_col)
        return self

    def transform(self, frame: Frame, drop_zero: bool = False) -> Frame:
        """Return the fitted frame with the calibrated weights in its weight column.

        Parameters
        ----------
        frame : data frame
            The rows that were fitted, in the same order.
        drop_zero : bool
            Leave out records without weight.

        Returns
        -------
        data frame
            Of the same kind.

        Raises
        ------
        NotFittedError, DataError
            If nothing is fitted, or the rows are others.
        """
        self._check_fitted()
        size = len(self.weights_)
        if n_rows(frame) != size:
            raise DataError(f"transform takes the {size} fitted rows, in their order; got {n_rows(frame)} rows.")
        for name, values in self._rows.items():
            if name not in column_names(frame) or not _same(_values_of(frame, name), values):
                raise DataError(f"transform takes the fitted rows, in their order; column {name!r} differs.")
        weighted = assign(frame, {self._weight_col: self.weights_})
        return keep_rows(weighted, self.weights_ != 0) if drop_zero else weighted

    def fit_transform(self, frame: Frame, targets: Targets, weight_col: str | None = "weight", **tables: Any) -> Frame:
        """Fit, and return the frame with the calibrated weights.

        Parameters
        ----------
        frame, targets, weight_col
            As in `fit`.
        **tables
            Further arguments of `fit`.

        Returns
        -------
        data frame
            Of the same kind.
        """
        return self.fit(frame, targets, weight_col, **tables).transform(frame)

    def get_sparsity_stats(self) -> dict[str, object]:
        """Return counts of records and measures of spread; see `ReweightResult.sparsity`."""
        self._check_fitted()
        return self.result_.sparsity()

    def frontier(self, n_records: Sequence[int] | None = None) -> pd.DataFrame:
        """Return what keeping fewer records costs: the effective sample size for several numbers of them.

        Parameters
        ----------
        n_records : sequence of int, optional
            By default eight numbers, from as many as the targets need to all.

        Returns
        -------
        DataFrame
            Columns n_records, ess and max_relative_error.

        Raises
        ------
        NotFittedError, ParameterError
            If nothing is fitted, or a number is less than the targets need.
        """
        self._check_fitted()
        problem, dense, held = self._solved
        return frontier(problem, dense, n_records, self.seed, held)

    @property
    def _method(self) -> str:
        return "linear" if self.sparsity == "l2" else self.method

    def _check_parameters(self) -> None:
        check_choice(self.method, METHODS, "method")
        check_choice(self.sparsity, (None, *SPARSITIES), "sparsity")
        check_choice(self.on_infeasible, ("raise", "relax"), "on_infeasible")
        check_seed(self.seed)
        distance = Distance.of(self._method, self.bounds)
        if not (isinstance(self.tolerance, Real) and np.isfinite(self.tolerance) and self.tolerance >= 0):
            raise ParameterError(f"tolerance must be a relative error of at least 0; got {self.tolerance!r}.")
        if not isinstance(self.integer, (bool, np.bool_)):
            raise ParameterError(f"integer must be True or False; got {self.integer!r}.")
        if self.n_records is not None and self.sparsity != "l0":
            raise ParameterError(f"n_records needs sparsity='l0'; sparsity is {self.sparsity!r}.")
        if isinstance(self.n_records, bool) or not isinstance(self.n_records, (Integral, type(None))):
            raise ParameterError(f"n_records must be a whole number; got {self.n_records!r}.")
        if self.sparsity == "l2" and self.method == "logit":
            raise ParameterError("sparsity='l2' is the chi-square distance; it takes no method 'logit'.")
        if self.protect is not None and self.sparsity not in ("l0", "l1"):
            raise ParameterError(f"protect needs sparsity 'l0' or 'l1'; sparsity is {self.sparsity!r}.")
        if self.sparsity == "l0" and (distance.lower > 0 or np.isfinite(distance.upper)):
            raise ParameterError("sparsity='l0' gives some records much weight and others none; it takes no bounds.")
        if (self.sparsity in ("l0", "l1") or self.integer) and distance.lower < 0:
            raise ParameterError("sparse and whole weights are not negative; raise the lower bound to 0.")

    def _held(self, frame: Frame, built: TargetDesign, problem: Problem, dense: CalibrationResult) -> Problem:
        """Return what selection and rounding must keep: the targets, where they clash their compromise, and more."""
        held = problem if dense.feasible else replace(problem, totals=problem.design @ dense.weights)
        held = with_denominators(held, built, dense.weights)
        return held if self.protect is None else protected(held, frame, self.protect, dense.weights)

    def _thinned(self, held: Problem, problem: Problem, dense: CalibrationResult) -> CalibrationResult:
        if self.sparsity in (None, "l2") or (not dense.feasible and self.sparsity == "l1"):
            return dense
        distance = Distance.of(self._method, self.bounds)
        bounds = (distance.lower, distance.upper)
        return dense.reweighted(problem, thin(held, dense, self.sparsity, bounds, self.n_records, self.seed))

    def _replicated(
        self,
        frame: Frame,
        built: TargetDesign,
        problem: Problem,
        dense: CalibrationResult,
        replicates: Replicates | Sequence[str] | None,
    ) -> Floats | None:
        if replicates is None:
            return None
        if self.sparsity in ("l0", "l1") or self.integer or not dense.feasible:
            raise ParameterError("replicates are calibrated only where all totals are met and every record is kept.")
        base = replicates.weights if isinstance(replicates, Replicates) else _replicate_columns(frame, replicates)
        found = calibrate_replicates(problem, dense, base, self._method, self.bounds)
        allowed = np.maximum(built.tolerance, self.tolerance)
        for number, own in enumerate(found):
            missed = np.flatnonzero(late(*own_errors(built, own), allowed))
            if len(missed):
                raise InfeasibleTargetsError(
                    f"replicate {number} misses {len(missed)} of {len(allowed)} targets, such as "
                    f"{built.names[missed[0]]!r}: too few of its records bear on them. Widen tolerances or bounds, or "
                    "use replicates that drop fewer records."
                )
        return found


def reweight(frame: Frame, targets: Targets, weight_col: str | None = "weight", **options: Any) -> Frame:
    """Return a frame with weights that meet official totals, in one call.

    Parameters
    ----------
    frame : data frame
    targets : TargetSet, sequence of Target, mapping or data frame
    weight_col : str or None
    **options
        Parameters of `Reweighter` and further arguments of its `fit`.

    Returns
    -------
    data frame
        Of the same kind.

    Examples
    --------
    >>> import pandas as pd
    >>> survey = pd.DataFrame({"state": ["CA", "NY"], "weight": [1.0, 1.0]})
    >>> reweight(survey, {"state": {"CA": 39, "NY": 20}})["weight"].round(6).tolist()
    [39.0, 20.0]
    """
    own = {name: options.pop(name) for name in Reweighter().get_params() if name in options}
    return Reweighter(**own).fit_transform(frame, targets, weight_col, **options)


def _replicate_columns(frame: Frame, names: object) -> Floats:
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ParameterError(f"replicates must be Replicates(weights, scale) or a list of columns; got {names!r:.80}.")
    check_columns(column_names(frame), list(names), "replicate weight")
    for name in names:
        if read_column(frame, name).values is None:
            raise DataError(f"replicate weights {name!r} must be a column of numbers.")
    return np.stack([_values_of(frame, name) for name in names])


def _fingerprint(frame: Frame, built: TargetDesign, weight_col: str | None, id_col: str) -> dict[str, NDArray[Any]]:
    """Return the columns that tell rows apart: base weights, key, and all that the targets use."""
    used = [weight_col, id_col, *(name for target in built.targets for name in target.columns)]
    names = dict.fromkeys(name for name in used if name is not None and name in column_names(frame))
    return {name: _values_of(frame, name) for name in names}


def _values_of(frame: Frame, name: str) -> NDArray[Any]:
    column = read_column(frame, name)
    if column.values is not None:
        return column.values
    return np.array([*column.levels, None], dtype=object)[column.codes]


def _same(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=left.dtype != object)
