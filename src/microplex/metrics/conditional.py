"""Measures of the conditional laws: the distribution of each target given the conditions.

Cell by cell (`microplex.metrics.cells`), and row by row with ensembles (`microplex.metrics.ensemble`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import kolmogi

from microplex._validation import check_columns
from microplex.errors import DataError, ParameterError
from microplex.metrics.cells import (
    BINS,
    LEAST_ROWS,
    LEAST_SHARE,
    Cells,
    cell_ks,
    cell_means,
    cell_quantiles,
    cell_sums,
    cell_tvd,
    condition_cells,
)
from microplex.metrics.ensemble import Neighbours, coverage, crps_rows, neighbour_ensembles, pit, uniformity
from microplex.metrics.pair import Floats, Pair, Variable
from microplex.metrics.record import Figure, Record, attempt, undefined
from microplex.survey import ecdf, ess, mean, quantile

GROUP = "conditional"
PROBABILITIES = (0.25, 0.5, 0.75, 0.95)
LEVEL = 0.9

_NUMBER = ("conditional_ks", "conditional_zero_share", "conditional_mean", "conditional_quantiles")
_CATEGORY = ("conditional_tvd",)
_ENSEMBLE = ("pit_ks", "crps_ratio", "coverage_90")
_SLACK = 1e-12
_NORMAL = 1.959963984540054


def cell_table(both: Pair, target: str, cells: Cells) -> pd.DataFrame:
    """Return what a number looks like in each cell of both tables.

    Parameters
    ----------
    both : Pair
    target : str
        A number.
    cells : Cells

    Returns
    -------
    DataFrame
        A row a cell, with columns "cell", and for each side "real" and "synthetic": "..._rows" (with a value),
        "..._mean", "..._zero_share" and "..._p25", "..._p50", "..._p75", "..._p95". NaN where a cell has no row.

    Raises
    ------
    ColumnNotFoundError
        If the target is not in the pair.
    DataError
        If the target is not a number, or all its values are missing in a table.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> both = pair(pd.DataFrame({"age": [1, 2], "wages": [0, 4]}), pd.DataFrame({"age": [1, 2], "wages": [2, 4]}))
    >>> cells = condition_cells(both, ["age"], bins=2, least_rows=1)
    >>> cell_table(both, "wages", cells)[["cell", "real_mean", "synthetic_mean"]].values.tolist()
    [['age <= 1', 0.0, 2.0], ['age > 1', 4.0, 4.0]]
    """
    check_columns(both.names, [target], "target")
    if not both[target].is_number:
        raise DataError(f"target {target!r} holds categories; give a number.")
    columns: dict[str, object] = {"cell": list(cells.labels)}
    for side, places in (("real", cells.real), ("synthetic", cells.synthetic)):
        values, weights = both.known(target, side)
        cell = places[both[target].present(side) & (getattr(both, f"{side}_weights") > 0)]
        k = len(cells)
        columns[f"{side}_rows"] = np.bincount(cell[cell >= 0], minlength=k)
        columns[f"{side}_mean"] = cell_means(values, cell, k, weights)
        columns[f"{side}_zero_share"] = cell_means(values == 0, cell, k, weights)
        found = cell_quantiles(values, cell, k, PROBABILITIES, weights)
        columns |= {f"{side}_p{100 * p:g}": found[:, i] for i, p in enumerate(PROBABILITIES)}
    return pd.DataFrame(columns)


def conditional_records(
    both: Pair,
    condition_vars: Sequence[str],
    target_vars: Sequence[str],
    *,
    bins: int = BINS,
    least_rows: int = LEAST_ROWS,
    least_share: float = LEAST_SHARE,
    m: int = 20,
    rows: int = 5_000,
    pool: int = 20_000,
    seed: int = 0,
) -> list[Record]:
    """Measure the laws of the targets given the conditions.

    In cells of each condition by itself, and of all of them together; a mean over the cells with their real weights,
    of absolute differences within each. 0 is ideal, but cells are small, so read the floor beside it. Cells with fewer
    than `least_rows` values in a table are left out and counted in the detail.

    - "conditional_ks": Kolmogorov-Smirnov distance;
    - "conditional_zero_share": difference of the share of zeros;
    - "conditional_mean": difference of the means in real standard deviations, values cut at the real quantiles 0.1 %
      and 99.9 %;
    - "conditional_quantiles": mean difference of the quantiles 25, 50, 75 and 95 % as ranks in the real table (0 to 1);
    - "conditional_tvd" (categories): total variation distance.

    And over all conditions, with the `m` nearest synthetic rows in the conditions as the ensemble of each real row
    (`neighbour_ensembles`; large tables are sampled):

    - "pit_ks": distance of the PIT values from uniform, ideal 0;
    - "crps_ratio": mean score on the scale of ranks in the real table, over what the nearest other real rows score;
      ideal 1, above where the laws are off;
    - "coverage_90": share of real values in the central 90 % interval, ideal 0.9.

    Their intervals hold at least 95 % of the values between independent samples of one law.

    Parameters
    ----------
    both : Pair
    condition_vars, target_vars : sequence of str
    bins, least_rows, least_share
        See `condition_cells`; the least share is for the cells of all conditions together.
    m, rows, pool, seed
        See `neighbour_ensembles`.

    Returns
    -------
    list of Record
        Those of cells are about the target and then the conditions; those of ensembles about the target.

    Raises
    ------
    ColumnNotFoundError
        If a variable is not in the pair.
    ParameterError
        If a variable is condition and target, there is no condition, or an argument is out of its range.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> real = pd.DataFrame({"sex": list("fmfm") * 50, "wages": [1.0, 2.0, 3.0, 4.0] * 50})
    >>> records = conditional_records(pair(real, real), ["sex"], ["wages"])
    >>> records[0].measure, round(records[0].value, 9), records[0].detail
    ('conditional_ks', 0.0, 'in cells; 2 of them')
    """
    conditions, targets = list(condition_vars), list(target_vars)
    if not conditions:
        raise ParameterError("condition_vars must name at least one variable.")
    check_columns(both.names, conditions, "condition")
    check_columns(both.names, targets, "target")
    twice = [name for name in targets if name in conditions]
    if twice:
        raise ParameterError(f"column {twice[0]!r} is condition and target. Name it once.")
    layouts = [condition_cells(both, [c], bins=bins, least_rows=least_rows, least_share=0.0) for c in conditions]
    if len(conditions) > 1:
        layouts += [condition_cells(both, conditions, bins=bins, least_rows=least_rows, least_share=least_share)]
    records: list[Record] = []
    found: dict[str, Neighbours] = {}
    for name in targets:
        records += _cell_records(both, both[name], layouts, least_rows)
        if both[name].is_number:
            records += _ensemble_records(both, name, conditions, found, m=m, rows=rows, pool=pool, seed=seed)
    return records


class _Values:
    """Values of a target on one side that are present, ascending, with their weights and rows."""

    def __init__(self, both: Pair, variable: Variable, side: str) -> None:
        self.values, self.weights = both.known(variable.name, side)
        rows = np.flatnonzero(variable.present(side) & (getattr(both, f"{side}_weights") > 0))
        order = np.argsort(self.values, kind="stable")
        self.values, self.weights, self.rows = self.values[order], self.weights[order], rows[order]

    @cached_property
    def ranks(self) -> Callable[[Floats], Floats]:
        """Weighted mid-rank of other values among these, 0 to 1."""
        points, shares = ecdf(self.values, self.weights)
        padded = np.append(0.0, shares)

        def rank(values: Floats) -> Floats:
            left, right = (np.searchsorted(points, values, side=side) for side in ("left", "right"))
            return np.asarray((padded[left] + padded[right]) / 2)

        return rank


class _InCells:
    """A target of both tables in one set of cells, with those cells that have enough values."""

    def __init__(self, x: _Values, y: _Values, cells: Cells, least_rows: int) -> None:
        if len(cells) < 2:
            raise DataError(f"the conditions do not divide the rows into cells of at least {least_rows} rows")
        self.x, self.y, self.k = x, y, len(cells)
        self.cx, self.cy = cells.real[x.rows], cells.synthetic[y.rows]
        counts = [np.bincount(c[c >= 0], minlength=self.k) for c in (self.cx, self.cy)]
        self.enough = np.minimum(counts[0], counts[1]) >= least_rows
        if not self.enough.any():
            raise DataError(f"no cell has {least_rows} values in both tables")
        self.shares = cell_sums(self.cx, self.k, x.weights)
        out = self.k - int(self.enough.sum())
        share = self.shares[~self.enough].sum() / self.shares.sum()
        self.detail = f"in cells; {self.k - out} of them"
        self.detail += f", {out} left out with {share:.2%} of the real weight" if out else ""

    def average(self, differences: Floats) -> Figure:
        value = self.shares[self.enough] @ np.abs(differences[self.enough]) / self.shares[self.enough].sum()
        return Figure(float(value), None, self.detail)

    def ks(self) -> Figure:
        x, y = self.x, self.y
        return self.average(cell_ks(x.values, y.values, self.cx, self.cy, self.k, x.weights, y.weights))

    def tvd(self) -> Figure:
        x, y = self.x, self.y
        return self.average(cell_tvd(x.values, y.values, self.cx, self.cy, self.k, x.weights, y.weights))

    def means(self, real: ArrayLike, synthetic: ArrayLike, scale: float = 1.0) -> Figure:
        centre = cell_means(real, self.cx, self.k, self.x.weights)
        return self.average((cell_means(synthetic, self.cy, self.k, self.y.weights) - centre) / scale)

    def zero_share(self) -> Figure:
        return self.means(self.x.values == 0, self.y.values == 0)

    def cut_means(self) -> Figure:
        low, high = quantile(self.x.values, [0.001, 0.999], self.x.weights)
        if not high > low:
            raise DataError("the real values are constant")
        a, b = np.clip(self.x.values, low, high), np.clip(self.y.values, low, high)
        spread = float(np.sqrt(mean((a - mean(a, self.x.weights)) ** 2, self.x.weights)))
        return self.means(a, b, spread)

    def quantiles(self) -> Figure:
        found = cell_quantiles(self.x.values, self.cx, self.k, PROBABILITIES, self.x.weights)
        other = cell_quantiles(self.y.values, self.cy, self.k, PROBABILITIES, self.y.weights)
        return self.average(np.abs(self.x.ranks(other) - self.x.ranks(found)).mean(axis=1))


def _cell_records(both: Pair, variable: Variable, layouts: Sequence[Cells], least_rows: int) -> list[Record]:
    measures = _NUMBER if variable.is_number else _CATEGORY
    records: list[Record] = []
    abouts = [(variable.name, *cells.variables) for cells in layouts]
    try:
        x, y = _Values(both, variable, "real"), _Values(both, variable, "synthetic")
    except DataError as error:
        return [undefined(measure, GROUP, about, str(error)) for about in abouts for measure in measures]
    for cells, about in zip(layouts, abouts, strict=True):
        try:
            inside = _InCells(x, y, cells, least_rows)
        except DataError as error:
            records += [undefined(measure, GROUP, about, str(error)) for measure in measures]
            continue
        numbers = (inside.ks, inside.zero_share, inside.cut_means, inside.quantiles)
        n = min(len(x.rows), len(y.rows))
        for measure, compute in zip(measures, numbers if variable.is_number else (inside.tvd,), strict=True):
            records.append(attempt(measure, GROUP, about, compute, n=n))
    return records


def _ensemble_records(
    both: Pair,
    name: str,
    conditions: list[str],
    found: dict[str, Neighbours],
    *,
    m: int,
    rows: int,
    pool: int,
    seed: int,
) -> list[Record]:
    real, synthetic = both[name].present("real"), both[name].present("synthetic")
    key = "" if real.all() and synthetic.all() else name
    try:
        for side in ("real", "synthetic"):
            both.known(name, side)
        present = both if not key else both.select([name, *conditions]).rows(real, synthetic)
        if key not in found:
            found[key] = neighbour_ensembles(present, conditions, m=m, rows=rows, pool=pool, seed=seed)
    except DataError as error:
        return [undefined(measure, GROUP, (name,), str(error)) for measure in _ENSEMBLE]
    near = found[key]
    x = np.asarray(present[name].real, dtype=np.float64)
    y = np.asarray(present[name].synthetic, dtype=np.float64)
    observed, draws, own, w = x[near.rows], y[near.synthetic], x[near.real], near.weights
    size = _effective(ess(w), min(ess(present.synthetic_weights), near.pool))
    ranks = _Values(present, present[name], "real").ranks

    def pits() -> Figure:
        reach = float(kolmogi(0.05)) / size**0.5
        return Figure(uniformity(pit(draws, observed, seed=seed), w), (0.0, min(1.0, reach)))

    def scores() -> Figure:
        score, reference = crps_rows(ranks(draws), ranks(observed)), crps_rows(ranks(own), ranks(observed))
        ideal = mean(reference, w)
        if not ideal > _SLACK:
            raise DataError("the conditions determine the real values, so that their score is 0")
        apart = score - reference
        reach = _NORMAL * float(np.sqrt(mean((apart - mean(apart, w)) ** 2, w) / size)) / ideal
        levels = f"{detail}; {mean(score, w):.4g} against {ideal:.4g}"
        return Figure(mean(score, w) / ideal, (1 - reach, 1 + reach), levels)

    def covers() -> Figure:
        reach = _NORMAL * float(np.sqrt(LEVEL * (1 - LEVEL) / size))
        return Figure(coverage(draws, observed, LEVEL, w, seed=seed), (LEVEL - reach, LEVEL + reach))

    detail = f"{m} nearest rows in the conditions"
    return [
        attempt(measure, GROUP, (name,), compute, ideal=goal, n=len(near.rows), detail=detail)
        for measure, compute, goal in zip(_ENSEMBLE, (pits, scores, covers), (0.0, 1.0, LEVEL), strict=True)
    ]


def _effective(n: float, k: float) -> float:
    return n * k / (n + k)
