"""Residuals of calibrated weights: what calibration leaves of a variable, which is what its variance comes from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex._validation import check_choice
from microplex.errors import ConvergenceWarning, DataError
from microplex.survey.units import Ints

Floats = NDArray[np.float64]

RANK_TOLERANCE = 1e-7  # of a normalised column's length, as in R's qr
RIDGE = 1e-11  # of a normalised column's squared length, raised until the system is definite; refined away
REFINEMENTS = 50
SETTLED = 1e-12  # cosine between residual and auxiliaries
EQUAL = 1e-6  # relative difference of ratios within a cluster


@dataclass(frozen=True, eq=False)
class Calibration:
    """How weights were calibrated, as far as the variance needs it.

    Parameters
    ----------
    weights : float64[n]
        Calibrated weights.
    residual : callable
        Takes a variable float64[n] to its residual on the auxiliaries.

    Examples
    --------
    >>> ones = np.ones(2)
    >>> calibration_of(ones, ones, np.ones((2, 1)), None, "base").scores(np.array([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    """

    weights: Floats
    residual: Callable[[Floats], Floats]

    def scores(self, influence: Floats) -> Floats:
        """Return weight times residual of a linearised variable.

        Parameters
        ----------
        influence : float64[n]
            Linearised variable.

        Returns
        -------
        float64[n]
            Terms whose sum over rows has the variance of the calibration estimator.

        Examples
        --------
        >>> ones = np.ones(2)
        >>> calibration_of(ones, 2 * ones, np.ones((2, 1)), None, "base").scores(np.array([1.0, 3.0])).tolist()
        [-2.0, 2.0]
        """
        return self.weights * self.residual(influence)


def calibration_of(
    base: Floats, calibrated: Floats, auxiliary: Any, cluster: Ints | None, regression: str
) -> Calibration:
    """Prepare the residuals of calibrated weights.

    Parameters
    ----------
    base, calibrated : float64[n]
        Weights before and after.
    auxiliary : array_like or scipy sparse of shape (n, p)
        What the weights were calibrated on.
    cluster : int64[n] or None
        Clusters within which the ratio of the weights is equal, where auxiliaries were averaged in them first.
    regression : {"base", "unweighted"}
        Weights of the regression.

    Returns
    -------
    Calibration
        See `SampleDesign.calibrated` for the formulas.

    Raises
    ------
    DataError
        If base weights are not positive, the auxiliaries have another length or are not finite, or ratios differ
        within a cluster.
    ParameterError
        If `regression` is unknown.

    Examples
    --------
    >>> ones = np.ones(3)
    >>> calibration_of(ones, ones, np.eye(3)[:, :2], None, "base").scores(np.array([4.0, 5.0, 6.0])).round(9).tolist()
    [0.0, 0.0, 6.0]
    """
    check_choice(regression, ("base", "unweighted"), "regression")
    bad = np.flatnonzero(~(base > 0))
    if bad.size:
        raise DataError(f"calibration needs positive base weights; row {bad[0]} has {base[bad[0]]}. Leave it out.")
    matrix = _matrix(auxiliary, len(base))
    if cluster is not None:
        ratio = (np.bincount(cluster, weights=calibrated) / np.bincount(cluster, weights=base))[cluster]
        off = np.abs(calibrated / base - ratio) / np.maximum(np.abs(ratio), 1.0)
        if off.max() > EQUAL:
            raise DataError(
                f"within_clusters needs one ratio of calibrated to base weight in each cluster; row {off.argmax()} has "
                f"{calibrated[off.argmax()] / base[off.argmax()]:.6g} where its cluster has {ratio[off.argmax()]:.6g}."
            )
        matrix = _averaged(matrix, cluster, base)
    weights = base if regression == "base" else np.ones(len(base))
    residual = _by_normal_equations(matrix, weights) if _is_sparse(matrix) else _by_qr(matrix, weights)
    return Calibration(calibrated, residual)


def _matrix(auxiliary: Any, n: int) -> Any:
    """Return auxiliaries as float64 (n, p), dense or CSR."""
    matrix: Any
    if _is_sparse(auxiliary):
        matrix = sp.csr_array(auxiliary, dtype=np.float64)
        finite = np.isfinite(matrix.data).all()
    else:
        matrix = np.asarray(auxiliary, dtype=np.float64)
        matrix = matrix[:, None] if matrix.ndim == 1 else matrix
        finite = np.isfinite(matrix).all()
    if matrix.ndim != 2 or matrix.shape[0] != n:
        turned = " Transpose it." if matrix.ndim == 2 and matrix.shape[1] == n else ""
        raise DataError(f"auxiliary must have one row for each of {n} weights; got shape {matrix.shape}.{turned}")
    if not finite:
        dense = matrix.toarray() if _is_sparse(matrix) else matrix
        row, column = np.argwhere(~np.isfinite(dense))[0]
        raise DataError(f"auxiliary must be finite; row {row}, column {column} has {dense[row, column]}.")
    return matrix


def _is_sparse(matrix: Any) -> bool:
    return bool(sp.issparse(matrix))


def _averaged(matrix: Any, cluster: Ints, base: Floats) -> Any:
    """Return the weighted mean of every column over the rows of a cluster, for every row."""
    share = base / np.bincount(cluster, weights=base)[cluster]
    means = sp.csr_array((share, (cluster, np.arange(len(base))))) @ matrix
    return sp.csr_array(means)[cluster] if _is_sparse(matrix) else np.asarray(means)[cluster]


def _by_qr(matrix: Floats, weights: Floats) -> Callable[[Floats], Floats]:
    """Weighted least-squares residual by pivoted QR; columns that depend on others do no harm."""
    root = np.sqrt(weights)
    scaled = matrix * root[:, None]
    lengths = np.sqrt((scaled**2).sum(axis=0))
    scaled = scaled[:, lengths > 0] / lengths[lengths > 0]
    basis, triangle, _ = scipy.linalg.qr(scaled, mode="economic", pivoting=True)
    basis = basis[:, : int((np.abs(np.diag(triangle)) > RANK_TOLERANCE).sum())]

    def residual(variable: Floats) -> Floats:
        whole = variable * root
        left = whole - basis @ (basis.T @ whole)
        left -= basis @ (basis.T @ left)
        return np.asarray(left / root)

    return residual


def _by_normal_equations(matrix: sp.csr_array, weights: Floats) -> Callable[[Floats], Floats]:
    """Weighted least-squares residual by a ridge that refinement removes; for sparse auxiliaries, p x p in memory."""
    scaled = sp.csr_array(sp.diags_array(np.sqrt(weights)) @ matrix)
    lengths = np.sqrt(np.asarray(scaled.multiply(scaled).sum(axis=0)).ravel())
    scaled = sp.csr_array(scaled @ sp.diags_array(1 / np.where(lengths > 0, lengths, 1.0)))
    root = np.sqrt(weights)
    square = (scaled.T @ scaled).toarray()
    factor = _factored(square)

    def residual(variable: Floats) -> Floats:
        left = variable * root
        size = np.linalg.norm(left)
        for _ in range(REFINEMENTS):
            slope = scaled.T @ left
            if np.abs(slope).max(initial=0.0) <= SETTLED * size:
                return np.asarray(left / root)
            left = left - scaled @ scipy.linalg.cho_solve(factor, slope)
        warnings.warn(
            f"the residuals of calibration did not settle in {REFINEMENTS} refinements: auxiliaries depend on each "
            "other almost, but not quite. Give them as a dense array.",
            ConvergenceWarning,
            stacklevel=2,
        )
        return np.asarray(left / root)

    return residual


def _factored(square: Floats) -> tuple[Floats, bool]:
    """Return the Cholesky factor of a semidefinite matrix of unit diagonal plus the smallest ridge that serves."""
    ridge = RIDGE
    while True:
        try:
            factor: tuple[Floats, bool] = scipy.linalg.cho_factor(square + ridge * np.eye(len(square)))
        except np.linalg.LinAlgError:
            ridge *= 100
        else:
            return factor
