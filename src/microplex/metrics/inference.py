"""Inference from m synthetic or imputed tables: one estimate, its variance and interval by the combining rules.

Which rule: what was replaced, and how the replacements were drawn.

============== ======================================================== ===================================
rule           data                                                     variance T
============== ======================================================== ===================================
"rubin"        real rows, missing values imputed by draws that carry    u + (1 + 1/m) b
               the uncertainty of the model (proper imputation)
"reiter"       real rows of which some variables (or values) are        u + b/m
               synthetic; the conditions stay real
"raab"         every variable synthetic, rows drawn like a simple       u (r + 1/m); if the model's parameters
               random sample; one table is enough                       are drawn too, u (r + (1 + r)/m)
"raghunathan"  samples of synthetic populations, of which each is a     (1 + 1/m) b - u; r u where that is
               draw with the uncertainty of the model                   not positive
============== ======================================================== ===================================

u is the mean of the m variances, b the variance of the m estimates, r = k/n the rows of a synthetic table over the rows
of the real one. The estimate is the mean of the m estimates. All rules take for granted that the analysis of each table
is valid for its rows and that the synthesis keeps the relations that the analysis is about.

Rubin (1987), "Multiple imputation for nonresponse in surveys"; Barnard and Rubin (1999), "Small-sample degrees of
freedom with multiple imputation"; Reiter (2003), "Inference for partially synthetic, public use microdata sets";
Raghunathan, Reiter and Rubin (2003), "Multiple imputation for statistical disclosure limitation"; Reiter (2002),
"Satisfying disclosure restrictions with synthetic data sets"; Raab, Nowok and Dibben (2016), "Practical data synthesis
for large samples".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from microplex._validation import check_choice
from microplex.errors import DataError, ParameterError
from microplex.metrics.pair import Floats

RULES = ("rubin", "reiter", "raab", "raghunathan")


@dataclass(frozen=True)
class Combined:
    """An estimate from several tables.

    Parameters
    ----------
    estimate : float
        Mean of the estimates.
    variance : float
        Total variance T.
    df : float
        Degrees of freedom of Student's t; infinite for the normal law.
    interval : tuple of float
        estimate -/+ t sqrt(T).
    level : float
        Of the interval.
    within : float
        Mean of the variances, u.
    between : float
        Variance of the estimates, b; 0 for one table.
    rule : str
    m : int
        Tables.
    adjusted : bool
        Whether the variance of "raghunathan" was not positive and had to be replaced.

    Examples
    --------
    >>> combine([1.0, 3.0], [2.0, 2.0], rule="reiter").se
    1.7320508075688772
    """

    estimate: float
    variance: float
    df: float
    interval: tuple[float, float]
    level: float
    within: float
    between: float
    rule: str
    m: int
    adjusted: bool = False

    @property
    def se(self) -> float:
        """Standard error, sqrt(T)."""
        return math.sqrt(self.variance)


def combine(
    estimates: ArrayLike,
    variances: ArrayLike,
    rule: str = "reiter",
    *,
    level: float = 0.95,
    complete_df: float | None = None,
    size_ratio: float = 1.0,
    proper: bool = False,
) -> Combined:
    """Combine the estimates of one quantity from m tables.

    With u the mean of the variances and b the variance of the estimates (divisor m - 1), see the table of the module:

    - "rubin": T = u + (1 + 1/m) b, df = (m - 1) (1 + u / ((1 + 1/m) b))^2; with `complete_df` = v, Barnard and Rubin's
      1 / (1/df + 1/df_obs) with df_obs = v (v + 1) / (v + 3) u / T;
    - "reiter": T = u + b/m, df = (m - 1) (1 + u / (b/m))^2;
    - "raab": T = u (r + 1/m), or u (r + (1 + r)/m) if `proper`; normal, or Student's t on `complete_df`;
    - "raghunathan": T = (1 + 1/m) b - u, df = (m - 1) (1 - u / ((1 + 1/m) b))^2; where T is not positive, r u and the
      normal law (Reiter, 2002). With few tables its intervals are too wide: in a simulation
      of a normal mean, 95 % intervals held the truth 99 % of the time with 20 tables, 96 % with 50.

    "rubin" gives intervals that are too wide for synthetic data, and intervals from one synthetic table as if it were
    real are too narrow.

    Parameters
    ----------
    estimates : array_like of shape (m,)
        The estimate from each table, such as one coefficient of a regression.
    variances : array_like of shape (m,)
        The squared standard error from each table.
    rule : {"rubin", "reiter", "raab", "raghunathan"}
    level : float
        Of the interval, between 0 and 1.
    complete_df : float, optional
        Degrees of freedom of the analysis of one table, for "rubin" and "raab".
    size_ratio : float
        r, rows of a synthetic table over rows of the real one, for "raab" and "raghunathan".
    proper : bool
        Whether each table comes from parameters of its own, drawn from their posterior (or a bootstrap), for "raab".

    Returns
    -------
    Combined

    Raises
    ------
    DataError
        If the lengths differ, a number is missing or infinite, or a variance is negative.
    ParameterError
        If the rule is unknown or needs more tables, an argument is out of its range, or does not belong to the rule.

    Examples
    --------
    >>> result = combine([10.0, 12.0, 11.0], [4.0, 4.0, 4.0], rule="rubin")
    >>> result.estimate, round(result.variance, 4), result.df
    (11.0, 5.3333, 32.0)
    >>> low, high = result.interval
    >>> round(low, 3), round(high, 3)
    (6.296, 15.704)
    """
    check_choice(rule, RULES, "rule")
    _check_options(rule, level, complete_df, size_ratio, proper)
    q, each = _pair(estimates, variances)
    m = len(q)
    if m < 2 and rule != "raab":
        raise ParameterError(
            f"rule {rule!r} needs at least 2 tables, as it reads the spread of their estimates; got {m}. "
            "Make more syntheses, or use rule='raab' for a completely synthetic table."
        )
    within, between = float(each.mean()), float(q.var(ddof=1)) if m > 1 else 0.0
    adjusted = False
    if rule == "rubin":
        extra = (1 + 1 / m) * between
        variance, df = within + extra, _df(m, within, extra)
        df = df if complete_df is None else _small_sample(df, complete_df, within, variance)
    elif rule == "reiter":
        variance, df = within + between / m, _df(m, within, between / m)
    elif rule == "raab":
        variance = within * (size_ratio + (1 + size_ratio * proper) / m)
        df = math.inf if complete_df is None else float(complete_df)
    else:
        extra = (1 + 1 / m) * between
        variance, df = extra - within, _df(m, -within, extra)
        adjusted = not variance > 0
        if adjusted:
            variance, df = size_ratio * within, math.inf
    estimate = float(q.mean())
    reach = _student(level, df) * math.sqrt(variance)
    interval = (estimate - reach, estimate + reach)
    return Combined(estimate, variance, df, interval, level, within, between, rule, m, adjusted)


def _df(m: int, within: float, extra: float) -> float:
    """Return (m - 1) (1 + within / extra)^2, infinite where the estimates do not differ."""
    if not extra > 0:
        return math.inf
    return (m - 1) * (1 + within / extra) ** 2


def _small_sample(df: float, complete: float, within: float, variance: float) -> float:
    """Return Barnard and Rubin's degrees of freedom."""
    if not variance > 0:
        return float(complete)
    observed = complete * (complete + 1) / (complete + 3) * within / variance
    if not observed > 0:
        return df
    return 1 / (1 / df + 1 / observed)


def _student(level: float, df: float) -> float:
    return float(stdtrit(df, (1 + level) / 2))


def _check_options(rule: str, level: float, complete_df: float | None, size_ratio: float, proper: bool) -> None:
    if not 0 < level < 1:
        raise ParameterError(f"level must lie between 0 and 1; got {level!r}.")
    if complete_df is not None and not complete_df > 0:
        raise ParameterError(f"complete_df must be positive; got {complete_df!r}.")
    if not (size_ratio > 0 and math.isfinite(size_ratio)):
        raise ParameterError(
            f"size_ratio must be positive, rows of a synthetic over rows of the real table; got {size_ratio!r}."
        )
    given = {"complete_df": complete_df is not None, "size_ratio": size_ratio != 1.0, "proper": proper}
    takes = {
        "rubin": {"complete_df"},
        "reiter": set(),
        "raab": {"complete_df", "size_ratio", "proper"},
        "raghunathan": {"size_ratio"},
    }[rule]
    for name, is_given in given.items():
        if is_given and name not in takes:
            raise ParameterError(f"rule {rule!r} makes no use of {name}; leave it out, or choose another rule.")


def _pair(estimates: ArrayLike, variances: ArrayLike) -> tuple[Floats, Floats]:
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if q.ndim != 1 or q.shape != u.shape or not q.size:
        raise DataError(
            f"estimates and variances must be one number each for every table; got shapes {q.shape} and {u.shape}. "
            "Combine the coefficients of a model one by one."
        )
    for values, name in ((q, "estimates"), (u, "variances")):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise DataError(f"{name} must be finite; table {bad[0]} has {values[bad[0]]}. Leave such tables out.")
    bad = np.flatnonzero(u < 0)
    if bad.size:
        raise DataError(
            f"variances must not be negative; table {bad[0]} has {u[bad[0]]}. Give squared standard errors."
        )
    return q, u
