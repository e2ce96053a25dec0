"""What is kept besides the targets when records are selected or weights rounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.calibration import Problem
from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, column_names, read_column
from microplex.targets.design import TargetDesign

Floats = NDArray[np.float64]

_BAND = 0.05
_MOST = 500


def with_denominators(problem: Problem, built: TargetDesign, weights: Floats) -> Problem:
    """Add what means, ratios, shares and quantiles are divided by, as given weights have it.

    Their rows have the total 0, which a selection could meet by leaving nobody.

    Parameters
    ----------
    problem : Problem
    built : TargetDesign
    weights : float64[n]

    Returns
    -------
    Problem

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.targets import Target, build_design
    >>> built = build_design(pd.DataFrame({"x": [1.0, 3.0], "weight": [1.0, 1.0]}), [Target.mean(2.0, "x")])
    >>> problem = Problem.of(built.design, built.base, built.totals, built.scale)
    >>> with_denominators(problem, built, np.ones(2)).totals.tolist()
    [0.0, 2.0]
    """
    below = np.asarray(built.denominators @ weights, dtype=np.float64)
    used = np.flatnonzero(below != 0)
    return _extended(problem, sp.csr_array(built.denominators[used]), below[used], np.zeros(len(used)))


def protected(problem: Problem, frame: Frame, protect: Sequence[str] | Mapping[str, float], weights: Floats) -> Problem:
    """Add a target for the weighted count of every category of some columns, as given weights have it.

    Parameters
    ----------
    problem : Problem
    frame : data frame of n rows
    protect : sequence of str or mapping of str to float
        Columns; a mapping gives the relative band, 0.05 otherwise.
    weights : float64[n]

    Returns
    -------
    Problem

    Raises
    ------
    ColumnNotFoundError, DataError, ParameterError
        If a column is missing or has more than 500 categories, or a band is negative.

    Examples
    --------
    >>> import pandas as pd
    >>> problem = Problem.of(np.ones((1, 3)), base=np.ones(3), totals=[3.0])
    >>> protected(problem, pd.DataFrame({"group": ["a", "b", "b"]}), ["group"], np.ones(3)).totals.tolist()
    [3.0, 1.0, 2.0]
    """
    if isinstance(protect, str):
        raise ParameterError(f"protect must be a list of columns, or a mapping of columns to bands; got {protect!r}.")
    bands = dict(protect) if isinstance(protect, Mapping) else dict.fromkeys(protect, _BAND)
    if not bands:
        return problem
    check_columns(column_names(frame), list(bands), "protected")
    rows: list[sp.csr_array] = []
    tolerance: list[float] = []
    for name, band in bands.items():
        if not (isinstance(band, Real) and np.isfinite(band) and band >= 0):
            raise ParameterError(f"protect: the band of {name!r} must be a relative error of at least 0; got {band!r}.")
        column = read_column(frame, name)
        values = np.asarray(column.codes if column.values is None else column.values)
        categories, codes = np.unique(values, return_inverse=True)
        if len(categories) > _MOST:
            raise DataError(f"protect: {name!r} has {len(categories)} categories; at most {_MOST} can be protected.")
        n = len(codes)
        rows.append(sp.csr_array((np.ones(n), (codes, np.arange(n))), shape=(len(categories), n)))
        tolerance += [float(band)] * len(categories)
    cells = sp.csr_array(sp.vstack(rows, format="csr"))
    totals = np.asarray(cells @ weights, dtype=np.float64)
    used = totals > 0
    cells, totals = sp.csr_array(cells[np.flatnonzero(used)]), totals[used]
    return _extended(problem, cells, totals, np.array(tolerance)[used])


def _extended(problem: Problem, rows: sp.csr_array, totals: Floats, tolerance: Floats) -> Problem:
    if not len(totals):
        return problem
    return Problem(
        sp.csr_array(sp.vstack([problem.design, rows], format="csr")),
        problem.base,
        np.append(problem.totals, totals),
        np.append(problem.scale, np.abs(totals)),
        np.append(problem.tolerance, tolerance),
        np.append(problem.importance, np.ones(len(totals))),
    )
