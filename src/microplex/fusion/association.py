"""A way to move inside the bounds of two variables that no source observed together."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from microplex._random import uniforms
from microplex._validation import check_seed
from microplex.errors import DataError, ParameterError

Floats: TypeAlias = NDArray[np.float64]

STREAM = 781
_SMALLEST = 2.0**-53


def couple(u_x: ArrayLike, association: float, keys: NDArray[np.uint64], *, seed: int = 0) -> Floats:
    """Return uniforms for Y that go with those of X as far as asked.

    Their normal scores have correlation `association` with those of `u_x` (a Gaussian copula). X and Y drawn by
    inversion of their laws given the common variables keep these laws whatever the association: 0 is conditional
    independence; 1 and -1 reach the bounds of `correlation_bounds`.

    Parameters
    ----------
    u_x : array_like of shape (n,) or (d, n)
        Uniforms that X is, or could have been, drawn with; in the open interval (0, 1).
    association : float
        Between -1 and 1.
    keys : ndarray of uint64, shape (n,)
        Keys of the rows, from their identifiers: a row's result depends on its own key and `u_x` alone.
    seed : int

    Returns
    -------
    ndarray of float64, of the shape of `u_x`
        In the open interval (0, 1), exactly uniform if `u_x` are.

    Raises
    ------
    ParameterError
        If the association is not between -1 and 1.
    DataError
        If a uniform is not between 0 and 1, or shapes do not fit.

    Examples
    --------
    >>> keys = np.arange(3, dtype=np.uint64)
    >>> couple([0.25, 0.5, 0.875], -1, keys).tolist()
    [0.75, 0.5, 0.125]
    >>> couple([0.25, 0.5, 0.875], 0, keys).shape
    (3,)
    """
    if isinstance(association, bool) or not isinstance(association, int | float | np.floating):
        raise ParameterError(f"association must be a number between -1 and 1; got {association!r}.")
    if not -1 <= association <= 1:
        raise ParameterError(f"association must be between -1 and 1; got {association!r}.")
    u = np.asarray(u_x, dtype=np.float64)
    if u.ndim not in (1, 2) or u.shape[-1:] != np.shape(keys):
        raise DataError(
            f"u_x must have shape (n,) or (d, n) with a key for each of n rows; got {u.shape}, {np.shape(keys)}."
        )
    inside = (u > 0) & (u < 1)
    if not inside.all():
        place = np.unravel_index(int(np.argmin(inside)), u.shape)
        raise DataError(f"u_x must lie between 0 and 1, ends excluded; row {place[-1]} has {u[place]}.")
    if abs(association) == 1:
        return np.array(u if association > 0 else np.maximum(1 - u, _SMALLEST))
    own = uniforms(check_seed(seed), keys, STREAM, 1 if u.ndim == 1 else len(u)).reshape(u.shape)
    if association == 0:
        return own
    score = association * ndtri(u) + np.sqrt(1 - float(association) ** 2) * ndtri(own)
    return np.asarray(np.clip(ndtr(score), _SMALLEST, 1 - _SMALLEST))
