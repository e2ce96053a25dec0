"""What no source can tell about two variables that none observed together.

Given the common variables Z, the laws of X and of Y are known and their joint law is not. All that the data allow lies
between the Frechet bounds (Frechet, 1951); averaged over Z they are those of D'Orazio, Di Zio and Scanu (2006),
"Statistical Matching: Theory and Practice".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from microplex._validation import check_weights
from microplex.errors import DataError
from microplex.frames import Level

Floats: TypeAlias = NDArray[np.float64]

_SHARES_AGREE = 1e-6
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class FrechetBounds:
    """Bounds of the joint probabilities of two categorical variables given common ones.

    Attributes
    ----------
    lower, upper : ndarray of float64, shape (k, l)
        Each cell's probability can be no less and no more; each bound is reached by some joint law, though not all of
        them by the same one.
    independent : ndarray of float64, shape (k, l)
        Probabilities under conditional independence; where a source has nobody, with its law among all others.
    x_levels, y_levels : tuple
        Levels of the rows and columns.
    unknown : float
        Share of the population in cells of the common variables where one of the sources has nobody: there X and Y
        are bounded by what is known of one of them alone.

    Examples
    --------
    >>> bounds = frechet_bounds([[0.5, 0.0], [0.1, 0.4]], [[0.5, 0.0], [0.25, 0.25]])
    >>> round(bounds.width, 3)
    0.1
    """

    lower: Floats
    upper: Floats
    independent: Floats
    x_levels: tuple[Level, ...]
    y_levels: tuple[Level, ...]
    unknown: float = 0.0

    @property
    def width(self) -> float:
        """Mean distance between the bounds over the cells: what conditional independence decides."""
        return float((self.upper - self.lower).mean())

    def to_frame(self) -> pd.DataFrame:
        """Return a row a cell: x, y, lower, independent, upper."""
        x, y = np.divmod(np.arange(self.lower.size), len(self.y_levels))
        return pd.DataFrame(
            {
                "x": [self.x_levels[i] for i in x],
                "y": [self.y_levels[i] for i in y],
                "lower": self.lower.ravel(),
                "independent": self.independent.ravel(),
                "upper": self.upper.ravel(),
            }
        )

    def __str__(self) -> str:
        head = f"Frechet bounds of {self.lower.size} cells, mean width {self.width:.3g}"
        head += f"; {self.unknown:.1%} of the population is in one source only" if self.unknown > 0 else ""
        return f"{head}\n{self.to_frame().to_string(index=False, float_format=lambda value: f'{value:.4f}')}"


def frechet_bounds(
    table_xz: ArrayLike,
    table_yz: ArrayLike,
    shares: ArrayLike | None = None,
    *,
    x_levels: Sequence[Level] | None = None,
    y_levels: Sequence[Level] | None = None,
) -> FrechetBounds:
    """Return the bounds of P(x, y) when X and Y are observed with the common variables only.

    They are ``sum_z P(z) max(0, P(x|z) + P(y|z) - 1)`` and ``sum_z P(z) min(P(x|z), P(y|z))`` (D'Orazio, Di Zio and
    Scanu, 2006). Estimated laws of small cells look more certain than they are, and the bounds narrower.

    Parameters
    ----------
    table_xz : array_like of shape (m, k)
        Weighted counts or probabilities of X, a row a cell z of the common variables; or, a row a person, the
        probabilities of X given that person's common variables.
    table_yz : array_like of shape (m, l)
        The same of Y.
    shares : array_like of shape (m,), optional
        Weights of the cells. Unless given, those of the tables, which must then agree to a millionth: two samples do
        not, so say whose distribution of the common variables counts.
    x_levels, y_levels : sequence, optional
        Names of the columns; their numbers unless given.

    Returns
    -------
    FrechetBounds

    Raises
    ------
    DataError
        If the tables have different rows, negative or infinite entries, or distributions of the cells that differ.

    Examples
    --------
    >>> bounds = frechet_bounds([[30, 70]], [[40, 60]])
    >>> bounds.lower.round(3).tolist(), bounds.upper.round(3).tolist()
    ([[0.0, 0.0], [0.1, 0.3]], [[0.3, 0.3], [0.4, 0.6]])
    """
    x, y = _table(table_xz, "table_xz"), _table(table_yz, "table_yz")
    if len(x) != len(y):
        raise DataError(f"the tables must have a row for each cell of the common variables; got {len(x)} and {len(y)}.")
    p = _shares(x, y) if shares is None else check_weights(shares, len(x), "shares")
    p = p / p.sum()
    x_names, y_names = _levels(x_levels, x.shape[1], "x_levels"), _levels(y_levels, y.shape[1], "y_levels")
    margin_x, margin_y = (_margin(table, p) for table in (x, y))
    known_x, known_y = np.asarray(x.any(axis=1)), np.asarray(y.any(axis=1))
    known = known_x & known_y
    lower, upper, independent = np.zeros((3, x.shape[1], y.shape[1]))
    for start in range(0, len(p), _BLOCK):
        block = slice(start, start + _BLOCK)
        px, py = _conditional(x[block], margin_x), _conditional(y[block], margin_y)
        independent += np.einsum("m,mk,ml->kl", p[block], px, py)
        # Where a law is not known, any probability up to one is possible.
        px, py = (np.where(k[block, None], q, 1.0)[..., None] for k, q in ((known_x, px), (known_y, py)))
        py = py.swapaxes(1, 2)
        upper += np.einsum("m,mkl->kl", p[block], np.minimum(px, py))
        lower += np.einsum("m,mkl->kl", p[block] * known[block], np.maximum(0.0, px + py - 1))
    return FrechetBounds(lower, upper, independent, x_names, y_names, float(p[~known].sum()))


@dataclass(frozen=True)
class CorrelationBounds:
    """Bounds of a correlation that no source observed.

    Attributes
    ----------
    lower, upper : float
        The correlation can be no less and no more.
    independent : float
        The correlation under conditional independence.

    Examples
    --------
    >>> bounds = gaussian_correlation_bounds(0.6, 0.8)
    >>> str(bounds)
    'correlation between 0.000 and 0.960; 0.480 under conditional independence'
    """

    lower: float
    independent: float
    upper: float

    def __str__(self) -> str:
        shown = [0.0 if abs(value) < 5e-4 else value for value in (self.lower, self.upper, self.independent)]
        return f"correlation between {shown[0]:.3f} and {shown[1]:.3f}; {shown[2]:.3f} under conditional independence"


def gaussian_correlation_bounds(
    corr_xz: ArrayLike, corr_yz: ArrayLike, corr_z: ArrayLike | None = None
) -> CorrelationBounds:
    """Return the bounds of a correlation given those with the common variables, all jointly normal.

    With R the correlations among the common variables they are ``r_xz' R^-1 r_yz`` plus or minus
    ``sqrt((1 - R2_x)(1 - R2_y))`` (Kadane, 1978; Moriarity and Scheuren, 2001): the correlation matrix of all
    variables must not have a negative eigenvalue. Of linear regressions they hold without normality.

    Parameters
    ----------
    corr_xz, corr_yz : float or array_like of shape (q,)
        Correlations of X and of Y with each common variable.
    corr_z : array_like of shape (q, q), optional
        Correlations among the common variables; none unless given.

    Returns
    -------
    CorrelationBounds

    Raises
    ------
    DataError
        If the shapes do not fit, or no variables have these correlations.

    Examples
    --------
    >>> bounds = gaussian_correlation_bounds([0.6, 0.0], [0.6, 0.5])
    >>> round(bounds.independent, 2), round(bounds.upper, 4)
    (0.36, 0.8596)
    """
    x, y = np.atleast_1d(np.asarray(corr_xz, float)), np.atleast_1d(np.asarray(corr_yz, float))
    z = np.eye(len(x)) if corr_z is None else np.atleast_2d(np.asarray(corr_z, float))
    if x.ndim != 1 or x.shape != y.shape or z.shape != (len(x), len(x)):
        raise DataError(
            f"corr_xz, corr_yz and corr_z must have shapes (q,), (q,) and (q, q); got {x.shape}, {y.shape}, {z.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(z).all()):
        raise DataError("correlations must be finite numbers.")
    inverse = np.linalg.pinv(z, hermitian=True)
    explained = float(x @ inverse @ x), float(y @ inverse @ y)
    if max(explained) > 1 + 1e-9 or np.linalg.eigvalsh(z).min() < -1e-9:
        raise DataError(
            f"no variables have these correlations: the common ones would explain {explained[0]:.3g} of the variance "
            f"of x and {explained[1]:.3g} of that of y. Estimate all of them from the same rows and weights."
        )
    middle = float(x @ inverse @ y)
    reach = float(np.sqrt(max(0.0, 1 - explained[0]) * max(0.0, 1 - explained[1])))
    return CorrelationBounds(max(-1.0, middle - reach), middle, min(1.0, middle + reach))


def correlation_bounds(x_draws: ArrayLike, y_draws: ArrayLike, weights: ArrayLike | None = None) -> CorrelationBounds:
    """Return the bounds of a correlation from draws of the laws of X and of Y given the common variables.

    Within each row the draws are paired in the same order (comonotone) and in opposite orders (antimonotone): no other
    joint law with these laws of X and Y has a larger, or smaller, mean product (Hoeffding, 1940). Any two laws will do,
    atoms included. With few draws the bounds are too narrow, by an order of 1/d.

    Parameters
    ----------
    x_draws, y_draws : array_like of shape (d, n)
        Draws of each row's law, equally likely; 50 or more. Numbers, none missing.
    weights : array_like of shape (n,), optional
        Weights of the rows; ones by default.

    Returns
    -------
    CorrelationBounds
        NaN where X or Y is constant.

    Raises
    ------
    DataError
        If the shapes differ, a draw is missing or infinite, or the weights are bad.

    Examples
    --------
    >>> bounds = correlation_bounds([[0, 5], [1, 6]], [[3, 1], [4, 2]])
    >>> round(bounds.lower, 3), round(bounds.independent, 3), round(bounds.upper, 3)
    (-0.965, -0.877, -0.789)
    """
    x, y = np.asarray(x_draws, dtype=np.float64), np.asarray(y_draws, dtype=np.float64)
    if x.ndim != 2 or x.shape != y.shape or x.size == 0:
        raise DataError(f"draws of x and y must have one shape (draws, rows); got {x.shape} and {y.shape}.")
    for name, draws in (("x_draws", x), ("y_draws", y)):
        if not np.isfinite(draws).all():
            draw, row = np.unravel_index(int(np.argmin(np.isfinite(draws))), draws.shape)
            raise DataError(f"{name} must be finite; draw {draw} of row {row} is {draws[draw, row]}.")
    w = check_weights(weights, x.shape[1], "weights")
    share = w / w.sum()
    x, y = x - share @ x.mean(axis=0), y - share @ y.mean(axis=0)
    scale = np.sqrt((share @ (x**2).mean(axis=0)) * (share @ (y**2).mean(axis=0)))
    if scale == 0:
        return CorrelationBounds(float("nan"), float("nan"), float("nan"))
    up_x, up_y = np.sort(x, axis=0), np.sort(y, axis=0)
    ends = [share @ product for product in ((up_x * up_y[::-1]).mean(axis=0), (up_x * up_y).mean(axis=0))]
    middle = share @ (x.mean(axis=0) * y.mean(axis=0))
    return CorrelationBounds(*(float(np.clip(value / scale, -1, 1)) for value in (ends[0], middle, ends[1])))


def _table(values: ArrayLike, name: str) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise DataError(f"{name} must have shape (cells, levels); got {table.shape}.")
    bad = ~((table >= 0) & np.isfinite(table))
    if bad.any():
        row, level = np.unravel_index(int(np.argmax(bad)), table.shape)
        raise DataError(f"{name} must be finite and not negative; cell {row}, level {level} has {table[row, level]}.")
    if not table.any():
        raise DataError(f"{name} is empty: every entry is 0.")
    return table


def _conditional(table: Floats, margin: Floats) -> Floats:
    sums = table.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(table, sums, out=np.tile(margin, (len(table), 1)), where=sums > 0))


def _margin(table: Floats, p: Floats) -> Floats:
    known = table.any(axis=1)
    if not p[known].any():
        raise DataError(
            "a table is empty wherever the shares are positive: it has nothing to say about this population."
        )
    laws = table[known] / table[known].sum(axis=1, keepdims=True)
    return np.asarray(p[known] @ laws / p[known].sum())


def _shares(x: Floats, y: Floats) -> Floats:
    p, q = x.sum(axis=1) / x.sum(), y.sum(axis=1) / y.sum()
    apart = np.abs(p - q)
    if apart.max() > _SHARES_AGREE:
        row = int(apart.argmax())
        raise DataError(
            f"the tables disagree about the share of cell {row}: {p[row]:.4g} and {q[row]:.4g}. Say in shares whose "
            "distribution of the common variables counts, such as table_xz.sum(axis=1)."
        )
    return np.asarray(p)


def _levels(given: Sequence[Level] | None, n: int, name: str) -> tuple[Level, ...]:
    if given is None:
        return tuple(range(n))
    if len(given) != n:
        raise DataError(f"{name} must name {n} levels; got {len(given)}.")
    return tuple(given)
