"""What is to be calibrated: design, base weights, totals and how closely each must be met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from microplex.errors import DataError

Floats = NDArray[np.float64]

_LEAST = 1e-3  # a total near zero is measured against this share of the sum of |a| d


@dataclass(frozen=True, eq=False)
class Problem:
    """Totals to meet by weights: design @ w = totals.

    Parameters
    ----------
    design : sp.csr_array of shape (m, n)
        One row a target, one column a record.
    base : float64[n]
        Base weights d, not negative; a record of weight zero keeps it.
    totals : float64[m]
    scale : float64[m]
        What a relative error of one means: that of target j is ``|design[j] @ w - totals[j]| / scale[j]``.
    tolerance : float64[m]
        Largest relative error allowed; zero is exact.
    importance : float64[m]
        Positive; who gives way least when targets clash.

    Examples
    --------
    >>> Problem.of([[1.0, 1.0], [0.0, 1.0]], base=[1.0, 1.0], totals=[4.0, 1.0]).errors(np.array([2.0, 2.0])).tolist()
    [0.0, 1.0]
    """

    design: sp.csr_array
    base: Floats
    totals: Floats
    scale: Floats
    tolerance: Floats
    importance: Floats

    @classmethod
    def of(
        cls,
        design: Any,
        base: ArrayLike,
        totals: ArrayLike,
        scale: ArrayLike | None = None,
        tolerance: ArrayLike = 0.0,
        importance: ArrayLike = 1.0,
    ) -> Problem:
        """Make a problem from plain arrays, checked.

        Parameters
        ----------
        design : array or sparse matrix of shape (m, n)
        base : array_like of shape (n,)
        totals : array_like of shape (m,)
        scale : array_like of shape (m,), optional
            ``|totals|`` by default, but not less than a thousandth of the sum of ``|design| base``.
        tolerance, importance : float or array_like of shape (m,)

        Returns
        -------
        Problem

        Raises
        ------
        DataError
            If lengths differ, a value is not finite, or base weights or tolerances are negative.
        """
        if np.ndim(design) != 2 and not sp.issparse(design):
            raise DataError(f"the design must be a matrix of targets x records; got {np.ndim(design)} dimensions.")
        matrix = sp.csr_array(design, dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        m, n = matrix.shape
        _check("design", matrix.data, matrix.data.shape, None)
        d = _check("base weights", base, (n,), 0.0)
        if n and not d.any():
            raise DataError("base weights are all zero; at least one must be positive.")
        b = _check("totals", totals, (m,), None)
        tau = _check("tolerance", tolerance, (m,), 0.0)
        important = _check("importance", importance, (m,), np.nextafter(0.0, 1.0))
        matrix.eliminate_zeros()
        if scale is None:
            mass = abs(matrix) @ d
            measured = np.maximum(np.abs(b), _LEAST * mass)
            measured = np.where(measured > 0, measured, 1.0)
        else:
            measured = _check("scale", scale, (m,), np.nextafter(0.0, 1.0))
        return cls(matrix, d, b, measured, tau, important)

    def errors(self, weights: Floats) -> Floats:
        """Return the relative error of every target.

        Parameters
        ----------
        weights : float64[n]

        Returns
        -------
        float64[m]
        """
        found: Floats = (self.design @ weights - self.totals) / self.scale
        return found


def _check(name: str, values: ArrayLike, shape: tuple[int, ...], least: float | None) -> Floats:
    """Return finite numbers of a shape, not below `least`; a single number stands for all."""
    given = np.asarray(values, dtype=np.float64)
    if given.shape not in ((), shape):
        raise DataError(f"{name} must have shape {shape}, as the design asks; got {given.shape}.")
    array: Floats = np.ascontiguousarray(np.broadcast_to(given, shape))
    bad = ~np.isfinite(array) if least is None else ~(np.isfinite(array) & (array >= least))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        rule = "finite" if least is None else "finite and not negative" if least == 0 else "finite and positive"
        raise DataError(f"{name} must be {rule}; entry {where} is {array[where]}.")
    return array
