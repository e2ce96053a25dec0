"""Targets and data brought together: one sparse row of coefficients for each target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from microplex._validation import check_choice, check_columns, check_weights
from microplex.errors import DataError
from microplex.frames import Frame, check_frame, column_names, n_rows, read_column
from microplex.targets.checks import Verdict, check_duplicates, raise_impossible
from microplex.targets.filters import as_numbers
from microplex.targets.rows import Builder, Rows, group_targets
from microplex.targets.sources import Sources
from microplex.targets.target_set import Targets, TargetSet

Floats = NDArray[np.float64]

_GUARD = 1e-3


@dataclass(frozen=True, eq=False)
class TargetDesign:
    """Targets as a sparse linear system over the rows of a frame.

    A total is the row of its variable's values with the total on the right; a mean, ratio, share or quantile is
    brought to the form ``design_j @ w == 0``, which holds exactly when the weighted figure is met.

    Attributes
    ----------
    design : csr_array of shape (m, n)
        Coefficients; records are columns.
    totals : float64[m]
        Right-hand sides.
    scale : float64[m]
        Positive: ``|design_j @ w - totals_j| / scale_j`` is the relative error of target j, in the unit of the
        figure itself. That is |total|, or the |figure| times its weighted denominator; never less than a thousandth
        of ``sum_i |design_ji| base_i``, so that a total of 0 has a scale.
    tolerance, importance : float64[m]
        Of the targets.
    base : float64[n]
        Base weights.
    names : tuple of str
        Of the targets, in order.
    targets : TargetSet
        The targets.
    entities : tuple of str
        Which table each target counts or sums.
    support : int64[m]
        Records of positive base weight that a target can move: with a nonzero coefficient, or, for means, ratios,
        shares and quantiles, in the cell.
    values : float64[m]
        Figures in the target's own unit, to compare `achieved` with.
    denominators : csr_array of shape (u, n)
        What the figures that are no totals are divided by.
    denominator_of : int64[m]
        Row of `denominators`, -1 for a total.
    """

    design: sp.csr_array
    totals: Floats
    scale: Floats
    tolerance: Floats
    importance: Floats
    base: Floats
    names: tuple[str, ...]
    targets: TargetSet
    entities: tuple[str, ...]
    support: NDArray[np.int64]
    values: Floats
    denominators: sp.csr_array
    denominator_of: NDArray[np.int64]

    def achieved(self, weights: ArrayLike) -> Floats:
        """Return the figures that weights give, in the unit of each target.

        Parameters
        ----------
        weights : array_like of shape (n,)
            One for each row of the frame.

        Returns
        -------
        float64[m]
            Totals, means, ratios and shares; for a quantile, the share of records at or below its value. NaN where
            the denominator is 0.

        Raises
        ------
        DataError
            If there are not n weights.
        """
        w = np.asarray(weights, dtype=np.float64)
        if w.shape != self.base.shape:
            raise DataError(f"weights must have shape {self.base.shape}; got {w.shape}.")
        result: Floats = self.design @ w
        ratio = np.flatnonzero(self.denominator_of >= 0)
        if ratio.size:
            below = (self.denominators @ w)[self.denominator_of[ratio]]
            with np.errstate(divide="ignore", invalid="ignore"):
                result[ratio] = np.where(below == 0, np.nan, self.values[ratio] + result[ratio] / below)
        return result


def build_design(
    frame: Frame,
    targets: Targets,
    *,
    weight_col: str | None = "weight",
    persons: Frame | None = None,
    tax_units: Frame | None = None,
    id_col: str = "household_id",
    crosswalk: Frame | None = None,
    on_infeasible: str = "raise",
) -> TargetDesign:
    """Build the sparse linear system of a set of targets.

    Parameters
    ----------
    frame : data frame
        The rows that carry weights, usually households.
    targets : TargetSet, or anything `TargetSet.coerce` reads
        At least one.
    weight_col : str or None
        Base weights. None gives all rows one weight, such that the first count (else the first positive total) holds.
    persons, tax_units : data frame, optional
        Tables with one row a person, a tax unit, and `id_col`; they are counted or summed to the rows of `frame`.
        Columns of larger units (households, and tax units where both tables have ``tax_unit_id``) are repeated for
        their members.
    id_col : str
        Key of `frame`; needed with `persons` or `tax_units` alone.
    crosswalk : data frame, optional
        Coarser areas. It shares one column with `frame`; several rows for one key must agree on what is used.
    on_infeasible : str
        "raise", or "keep" rows that no weights can meet (see `support`).

    Returns
    -------
    TargetDesign

    Raises
    ------
    InfeasibleTargetsError
        All targets at once that no weights can meet: without any record, with a sign that no record has, or given
        twice with different figures.
    ColumnNotFoundError
        If a column is missing.
    DataError
        If a used column has missing values, a variable is text, weights are negative, missing or all zero, household
        keys repeat, members have no household, or the crosswalk does not fit.
    ParameterError
        If there are no targets.

    Notes
    -----
    A mean m of x over a cell is the row x_i - m over the cell (Deville and Särndal, 1992, calibrate to totals; a
    ratio R = X/Z is the total 0 of x - R z, exactly). A quantile q with probability p is the row 1[x_i <= q] - p.

    Examples
    --------
    >>> import pandas as pd
    >>> survey = pd.DataFrame({"state": ["CA", "CA", "NY"], "wages": [10.0, 30.0, 20.0], "weight": [1.0, 1.0, 1.0]})
    >>> built = build_design(survey, {"state": {"CA": 5, "NY": 2}, "wages": 120})
    >>> built.design.toarray().tolist()
    [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0], [10.0, 30.0, 20.0]]
    >>> built.achieved([2, 3, 1]).tolist()
    [5.0, 1.0, 130.0]
    """
    check_frame(frame)
    check_choice(on_infeasible, ("raise", "keep"), "on_infeasible")
    base = None if weight_col is None else _base_weights(frame, weight_col)
    sources = Sources(frame, persons, tax_units, id_col, crosswalk)
    return _assembled(sources, TargetSet.coerce(targets), base, strict=on_infeasible == "raise")


def _assembled(sources: Sources, targets: TargetSet, base: Floats | None, strict: bool) -> TargetDesign:
    entities = tuple(sources.entity_of(target) for target in targets)
    if strict:
        check_duplicates(targets, entities)
    rows, unknown = _build(sources, targets, entities)
    totals = np.array([target.total if target.statistic == "total" else 0.0 for target in targets])
    if base is None:
        base = _equal_weights(rows.design, totals, targets, sources.rows("households"))
    support = _counts(rows.support, base)
    if strict:
        raise_impossible(Verdict(targets, rows, totals, support, unknown))
    values = np.array([target.value for target in targets])
    return TargetDesign(
        design=rows.design,
        totals=totals,
        scale=_scale(rows, totals, values, base, targets),
        tolerance=np.array([target.tolerance for target in targets]),
        importance=np.array([target.importance for target in targets]),
        base=base,
        names=targets.names,
        targets=targets,
        entities=entities,
        support=support,
        values=values,
        denominators=rows.denominator if rows.denominator is not None else sp.csr_array((0, len(base))),
        denominator_of=rows.denominator_of.astype(np.int64),
    )


def _build(sources: Sources, targets: TargetSet, entities: tuple[str, ...]) -> tuple[Rows, dict[int, str]]:
    """Build all groups and bring the rows into the order of the targets."""
    builder = Builder(sources)
    places: list[int] = []
    parts: list[Rows] = []
    below: list[sp.csr_array] = []
    offset = 0
    for group in group_targets(targets, entities):
        part = builder.build(group, [targets[i] for i in group.places])
        places += group.places
        if part.denominator is not None:
            part.denominator_of = part.denominator_of + offset
            offset += part.denominator.shape[0]
            below.append(part.denominator)
        parts.append(part)
    order = np.argsort(places)
    same = all(part.support is part.design for part in parts)
    design = _stacked([part.design for part in parts], order)
    support = design if same else _stacked([part.support for part in parts], order)
    denominator_of = np.concatenate([part.denominator_of for part in parts])[order]
    return Rows(design, sp.vstack(below, format="csr") if below else None, denominator_of, support), builder.unknown


def _stacked(parts: list[sp.csr_array], order: NDArray[np.intp]) -> sp.csr_array:
    stacked = parts[0] if len(parts) == 1 else sp.csr_array(sp.vstack(parts, format="csr"))
    return stacked if (order[1:] > order[:-1]).all() else sp.csr_array(stacked[order])


def _base_weights(frame: Frame, weight_col: str) -> Floats:
    check_columns(column_names(frame), [weight_col], "weight")
    numbers = as_numbers(column := read_column(frame, weight_col))
    if numbers is None:
        raise DataError(f"weight column {weight_col!r} must hold numbers; it is {column.dtype}.")
    return check_weights(numbers, n_rows(frame), f"weights (column {weight_col!r})")


def _equal_weights(design: sp.csr_array, totals: Floats, targets: TargetSet, n: int) -> Floats:
    sums = design @ np.ones(n)
    usable = [j for j, target in enumerate(targets) if target.statistic == "total" and sums[j] * totals[j] > 0]
    counts = [j for j in usable if targets[j].variable is None]
    first = (counts or usable)[:1]
    return np.full(n, totals[first[0]] / sums[first[0]] if first else 1.0)


def _counts(rows: sp.csr_array, base: Floats) -> NDArray[np.int64]:
    if (base > 0).all():
        return np.diff(rows.indptr).astype(np.int64)
    pattern = sp.csr_array((np.ones(rows.nnz), rows.indices, rows.indptr), shape=rows.shape)
    return np.rint(pattern @ (base > 0).astype(np.float64)).astype(np.int64)


def _scale(rows: Rows, totals: Floats, values: Floats, base: Floats, targets: TargetSet) -> Floats:
    """Return the scales; sums over base weights are brought to the level of the totals first."""
    design = rows.design
    reached = design @ base
    growth = 1.0
    for wanted in (True, False):
        alike = [
            totals[j] / reached[j]
            for j, target in enumerate(targets)
            if target.statistic == "total" and (target.variable is None) is wanted and totals[j] * reached[j] > 0
        ]
        if alike:
            growth = float(np.median(alike))
            break
    absolute = sp.csr_array((np.abs(design.data), design.indices, design.indptr), shape=design.shape) @ base
    scale = np.maximum(np.abs(totals), _GUARD * growth * absolute)
    if rows.denominator is not None:
        ratio = np.flatnonzero(rows.denominator_of >= 0)
        below = np.abs(rows.denominator @ base)[rows.denominator_of[ratio]]
        scale[ratio] = np.maximum(scale[ratio], np.abs(values[ratio]) * below * growth)
    return np.where(scale > 0, scale, 1.0)
