"""Observed against imputed, variable by variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.frames import ColumnData, read_column
from microplex.imputation.result import Imputed
from microplex.schema import Schema
from microplex.survey import ess

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class VariableDiagnostics:
    """One variable.

    Parameters
    ----------
    variable : str
        Its name.
    n_missing : int
        Cells drawn.
    share_missing : float
        Their weighted share of the cells that apply.
    observed, imputed : float
        Weighted mean of observed and of drawn cells; for levels the share of the level most often observed.
    between : float
        Standard deviation, among the files, of the mean of the drawn cells.
    distance : float
        Between the laws of observed and drawn cells: Kolmogorov-Smirnov for numbers, total variation for levels.
        Under item non-response that depends on other variables it need not be small.
    noise : float
        What `distance` would be about, had both been drawn from one law.
    effective_share : float
        Mean effective share of the particles on rows where the variable was drawn.
    """

    variable: str
    n_missing: int
    share_missing: float
    observed: float
    imputed: float
    between: float
    distance: float
    noise: float
    effective_share: float


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of all variables with drawn cells.

    Examples
    --------
    >>> row = VariableDiagnostics("wage", 3, 0.3, 10.0, 11.0, 0.5, 0.2, 0.1, 1.0)
    >>> print(Diagnostics((row,), 5))
    5 completed files
    variable                missing  observed   imputed   between  distance     noise  particles
    wage                      30.0%        10        11       0.5     0.200     0.100       1.00
    """

    variables: tuple[VariableDiagnostics, ...]
    m: int

    def to_frame(self) -> pd.DataFrame:
        """One row a variable.

        Examples
        --------
        >>> Diagnostics((), 5).to_frame().shape
        (0, 0)
        """
        return pd.DataFrame([asdict(v) for v in self.variables])

    def __str__(self) -> str:
        head = f"{'variable':<22}{'missing':>9}{'observed':>10}{'imputed':>10}{'between':>10}{'distance':>10}"
        lines = [f"{self.m} completed files", head + f"{'noise':>10}{'particles':>11}"]
        for v in self.variables:
            lines.append(
                f"{v.variable:<22}{v.share_missing:>9.1%}{v.observed:>10.4g}{v.imputed:>10.4g}{v.between:>10.3g}"
                f"{v.distance:>10.3f}{v.noise:>10.3f}{v.effective_share:>11.2f}"
            )
        return "\n".join(lines)


def diagnose(imputed: Imputed, schema: Schema, weights: Floats) -> Diagnostics:
    """Compare observed and drawn cells of every variable.

    Parameters
    ----------
    imputed : Imputed
        Completed files.
    schema : Schema
        What the columns are.
    weights : float64[n]
        Survey weights.

    Returns
    -------
    Diagnostics

    Examples
    --------
    >>> from microplex.schema import Column
    >>> tables = (pd.DataFrame({"a": [1.0, 2.0, 3.0]}), pd.DataFrame({"a": [1.0, 2.0, 5.0]}))
    >>> done = Imputed(tables, {"a": np.array([False, False, True])}, {}, {}, np.ones(3), ())
    >>> diagnose(done, Schema((Column("a", "continuous", "float"),)), np.ones(3)).variables[0].imputed
    4.0
    """
    found = []
    for name, mask in imputed.masks.items():
        if mask.any():
            found.append(_variable(imputed, name, schema, weights))
    return Diagnostics(tuple(found), len(imputed))


def _variable(imputed: Imputed, name: str, schema: Schema, weights: Floats) -> VariableDiagnostics:
    mask = imputed.masks[name]
    read = [read_column(file, name) for file in imputed.datasets]
    is_number = schema[name].is_numeric and read[0].values is not None
    columns = [_numbers(r.values, schema[name].missing_codes) if is_number else _levels(r) for r in read]  # type: ignore[arg-type]
    there = [~pd.isna(x) for x in columns]
    seen = there[0] & ~mask
    top = None if is_number else pd.Series(columns[0][seen]).mode().iloc[0] if seen.any() else None
    means, distances = [], []
    for x, known in zip(columns, there, strict=True):
        drawn = known & mask
        means.append(_mean(x[drawn], weights[drawn], top))
        distances.append(_distance(x[seen], weights[seen], x[drawn], weights[drawn], is_number))
    applies = seen | mask
    sizes = [ess(weights[part]) if weights[part].sum() > 0 else np.nan for part in (seen, mask)]
    return VariableDiagnostics(
        variable=name,
        n_missing=int(mask.sum()),
        share_missing=float(weights[mask].sum() / weights[applies].sum()) if weights[applies].sum() > 0 else np.nan,
        observed=_mean(columns[0][seen], weights[seen], top),
        imputed=float(np.mean(means)),
        between=float(np.std(means, ddof=1)) if len(means) > 1 else 0.0,
        distance=float(np.mean(distances)),
        noise=float(0.87 * np.sqrt(1 / sizes[0] + 1 / sizes[1])),
        effective_share=float(imputed.effective_share[mask].mean()),
    )


def _numbers(x: Floats, codes: Sequence[float]) -> Floats:
    return np.where(np.isin(x, codes), np.nan, x)


def _levels(read: ColumnData) -> NDArray[np.object_]:
    if read.codes is not None:
        return np.array([*read.levels, None], object)[read.codes]
    assert read.values is not None
    out = read.values.astype(object)
    out[np.isnan(read.values)] = None
    return out


def _mean(x: NDArray[np.generic], w: Floats, top: object) -> float:
    if not len(x) or w.sum() == 0:
        return float("nan")
    return float(np.average(x.astype(float) if top is None else x == top, weights=w))


def _distance(a: NDArray[np.generic], wa: Floats, b: NDArray[np.generic], wb: Floats, is_number: bool) -> float:
    if not len(a) or not len(b) or wa.sum() == 0 or wb.sum() == 0:
        return float("nan")
    both, weights = np.concatenate([a, b]), np.concatenate([wa / wa.sum(), -wb / wb.sum()])
    if not is_number:
        sums: Mapping[object, float] = pd.Series(weights).groupby(pd.Series(both.astype(str))).sum().to_dict()
        return 0.5 * sum(abs(v) for v in sums.values())
    order = np.argsort(both.astype(float), kind="stable")
    x, running = both[order].astype(float), np.cumsum(weights[order])
    last = np.append(x[1:] != x[:-1], True)
    return float(np.abs(running[last]).max())
