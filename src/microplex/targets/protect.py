"""Cells whose weight is kept when records are selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.calibration import Problem
from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, column_names, read_column

Floats = NDArray[np.float64]

_BAND = 0.05
_MOST = 500


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
    check_columns(column_names(frame), list(bands), "protected")
    rows, tolerance = [], []
    for name, band in bands.items():
        if not (np.isfinite(band) and band >= 0):
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
    return Problem(
        sp.csr_array(sp.vstack([problem.design, cells], format="csr")),
        problem.base,
        np.append(problem.totals, totals),
        np.append(problem.scale, totals),
        np.append(problem.tolerance, np.array(tolerance)[used]),
        np.append(problem.importance, np.ones(len(totals))),
    )
