"""Rubin's rules: one answer, with its uncertainty, from the estimates of several completed files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from microplex.errors import DataError, ParameterError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Combined:
    """Estimates combined over completed files; arrays of shape ``(k,)``, or numbers for a scalar.

    Parameters
    ----------
    estimate : float or ndarray
        Mean of the estimates.
    variance : float or ndarray
        Total variance: within + (1 + 1/m) between.
    within, between : float or ndarray
        Mean variance of the completed files, and variance of the estimates among them.
    df : float or ndarray
        Degrees of freedom of Student's reference law.
    riv : float or ndarray
        Relative increase in variance due to what is missing.
    fmi : float or ndarray
        Fraction of missing information.
    m : int
        Number of completed files.
    covariance : ndarray of shape (k, k) or None
        Total covariance, where covariances were given.

    Examples
    --------
    >>> found = combine([1.0, 1.2, 1.1], [0.04, 0.05, 0.045])
    >>> round(found.estimate, 3), round(float(found.se), 3)
    (1.1, 0.242)
    """

    estimate: Any
    variance: Any
    within: Any
    between: Any
    df: Any
    riv: Any
    fmi: Any
    m: int
    covariance: Floats | None = None

    @property
    def se(self) -> Any:
        """Standard error."""
        return np.sqrt(self.variance)

    def interval(self, level: float = 0.95) -> tuple[Any, Any]:
        """Confidence interval by Student's law.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Returns
        -------
        tuple
            Lower and upper ends, each as `estimate` is; infinite where no degrees of freedom are left.

        Raises
        ------
        ParameterError
            If the level is not between 0 and 1.

        Examples
        --------
        >>> low, high = combine([1.0, 1.2, 1.1], [0.04, 0.05, 0.045]).interval()
        >>> round(float(low), 2), round(float(high), 2)
        (0.61, 1.59)
        """
        if not _is_number(level) or not 0 < level < 1:
            raise ParameterError(f"level must lie between 0 and 1, got {level!r}.")
        some = np.asarray(self.df) > 0
        half = np.where(some, student.ppf(0.5 + level / 2, np.where(some, self.df, 1.0)) * self.se, np.inf)[()]
        return self.estimate - half, self.estimate + half

    def __str__(self) -> str:
        """One line an estimate."""
        low, high = self.interval()
        fields = [np.atleast_1d(a) for a in (self.estimate, self.se, low, high, self.df, self.fmi)]
        lines = [f"Combined over {self.m} completed files", "  estimate        se       low      high        df    fmi"]
        for q, s, a, b, df, fmi in zip(*fields, strict=True):
            lines.append(f"{q:10.4g}{s:10.4g}{a:10.4g}{b:10.4g}{df:10.4g}{fmi:7.3f}")
        return "\n".join(lines)


def combine(estimates: ArrayLike, variances: ArrayLike, *, n_complete: float | None = None) -> Combined:
    """Combine estimates of completed files by Rubin's rules.

    Parameters
    ----------
    estimates : array_like of shape (m,) or (m, k)
        The estimate, or k of them, from each completed file.
    variances : array_like of shape (m,), (m, k) or (m, k, k)
        Their squared standard errors, or covariance matrices.
    n_complete : float, optional
        Degrees of freedom that the file without gaps would leave (rows less coefficients); then the degrees of
        freedom are those for small samples of Barnard and Rubin (1999).

    Returns
    -------
    Combined
        Estimate, total variance, degrees of freedom and fraction of missing information (Rubin, 1987).

    Raises
    ------
    DataError
        If shapes do not fit, fewer than two files are given, or a variance is negative or not finite.
    ParameterError
        If `n_complete` is not positive.

    Examples
    --------
    >>> found = combine([[1.0, 2.0], [1.2, 2.1]], [[0.04, 0.01], [0.05, 0.01]], n_complete=100)
    >>> found.estimate.round(3).tolist(), found.df.round(1).tolist()
    ([1.1, 2.05], [5.6, 5.0])
    """
    q, u, full = _checked(estimates, variances)
    if n_complete is not None and not (_is_number(n_complete) and np.isfinite(n_complete) and n_complete > 0):
        raise ParameterError(f"n_complete must be a positive number of degrees of freedom, got {n_complete!r}.")
    m = len(q)
    mean, within, between = q.mean(axis=0), u.mean(axis=0), q.var(axis=0, ddof=1)
    total = within + (1 + 1 / m) * between
    with np.errstate(divide="ignore", invalid="ignore"):
        riv = np.where(between > 0, (1 + 1 / m) * between / within, 0.0)
        share = np.where(total > 0, (1 + 1 / m) * between / total, 0.0)
        df = (m - 1) / share**2
        if n_complete is not None:
            observed = (n_complete + 1) / (n_complete + 3) * n_complete * (1 - share)
            df = np.where(share > 0, 1 / (1 / df + 1 / observed), observed)
        fmi = np.where(between > 0, (riv + 2 / (df + 3)) / (riv + 1), 0.0)
        fmi = np.where(np.isinf(riv), 1.0, fmi)
    covariance = None
    if full is not None:
        centred = q - mean
        covariance = full.mean(axis=0) + (1 + 1 / m) * centred.T @ centred / (m - 1)
    found: dict[str, Any] = {
        "estimate": mean, "variance": total, "within": within, "between": between, "df": df, "riv": riv, "fmi": fmi,
    }  # fmt: skip
    if np.ndim(estimates) == 1:
        found = {name: float(a[0]) for name, a in found.items()}
    return Combined(**found, m=m, covariance=covariance)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _array(values: ArrayLike, name: str) -> Floats:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers, as many from each completed file, got {values!r:.80}.") from error


def _checked(estimates: ArrayLike, variances: ArrayLike) -> tuple[Floats, Floats, Floats | None]:
    """Estimates and variances, shape ``(m, k)`` each, and covariances where given."""
    q, u = _array(estimates, "estimates"), _array(variances, "variances")
    if q.ndim not in (1, 2) or len(q) < 2:
        raise DataError(f"estimates must have shape (m,) or (m, k) with m of at least 2, got shape {q.shape}.")
    full = None
    if q.ndim == 2 and u.shape == (*q.shape, q.shape[1]):
        full, u = u, np.diagonal(u, axis1=1, axis2=2)
    elif u.shape != q.shape:
        raise DataError(f"variances must have the shape of the estimates {q.shape}, or covariances; got {u.shape}.")
    q, u = q.reshape(len(q), -1), u.reshape(len(q), -1)
    for name, a in (("estimates", q), ("variances", u)):
        bad = np.argwhere(~np.isfinite(a) | ((a < 0) & (name == "variances")))
        if len(bad):
            place = tuple(int(i) for i in bad[0])
            need = "finite" if name == "estimates" else "finite and not negative"
            raise DataError(f"{name} must be {need}; completed file {place[0]} has {a[place]} in place {place[1]}.")
    return q, u, full
