"""How few records can carry the targets, and what they lose in effective sample size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from microplex.calibration import CalibrationResult, Problem, thin
from microplex.errors import ParameterError

_POINTS = 8


def frontier(
    problem: Problem,
    dense: CalibrationResult,
    n_records: Sequence[int] | None = None,
    seed: int = 0,
    held: Problem | None = None,
) -> pd.DataFrame:
    """Return spread and errors of the weights for several numbers of records kept.

    Parameters
    ----------
    problem : Problem
    dense : CalibrationResult
        With every record.
    n_records : sequence of int, optional
        Records to keep; by default eight numbers in geometric progression, from as many as the targets need to all
        that have weight.
    seed : int
        Of the selection.
    held : Problem, optional
        What selection must keep where that is more than the targets, such as cells to protect after them, or less, as
        the compromise of targets that clash.

    Returns
    -------
    DataFrame
        Columns n_records (with weight), ess (effective sample size of Kish, 1965) and max_relative_error, by
        increasing n_records.

    Raises
    ------
    ParameterError
        If a number is less than the targets need or more than there are.

    Examples
    --------
    >>> from microplex.calibration import calibrate
    >>> problem = Problem.of(np.ones((1, 8)), base=np.ones(8), totals=[8.0])
    >>> frontier(problem, calibrate(problem), [8])[["n_records", "ess"]].round(6).values.tolist()
    [[8.0, 8.0]]
    """
    held = problem if held is None else held
    needed = dense.rank + len(held.totals) - len(dense.status)
    if n_records is None:
        grid = np.geomspace(min(max(needed, 1), dense.n_records), dense.n_records, _POINTS)
        sizes = np.unique(np.rint(grid).astype(np.int64)).tolist()
    else:
        sizes = sorted(int(size) for size in n_records)
    if not sizes:
        raise ParameterError("n_records must name at least one number of records; got none.")
    rows = []
    for size in sizes:
        found = dense.reweighted(problem, thin(held, dense, "l0", n_records=size, seed=seed))
        rows.append((found.n_records, found.ess, found.max_error))
    return pd.DataFrame(rows, columns=["n_records", "ess", "max_relative_error"])
