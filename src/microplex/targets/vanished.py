"""Means, ratios, shares and quantiles that hold only because nobody is left to have them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from microplex.calibration import CalibrationResult
from microplex.targets.design import TargetDesign

_NEAR = 1e-12  # of a mean: this far beyond the records it is rounding
_GONE = 1e-6  # share of its base weight below which a cell is taken for empty


def vanished(built: TargetDesign, found: CalibrationResult) -> Iterator[tuple[int, str]]:
    """Name such targets: their linear rows have the total 0, which weights of zero meet.

    Parameters
    ----------
    built : TargetDesign
    found : CalibrationResult
        Of these targets, perhaps followed by others.

    Yields
    ------
    target : int
    reason : str
        In words.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.calibration import Problem, calibrate
    >>> from microplex.targets import Target, build_design
    >>> frame = pd.DataFrame({"wages": [1.0, 3.0], "weight": [1.0, 1.0]})
    >>> built = build_design(frame, [Target.mean(9, "wages")], on_infeasible="keep")
    >>> found = calibrate(Problem.of(built.design, built.base, built.totals, built.scale))
    >>> [reason for _, reason in vanished(built, found)]
    ['mean wages: no weights give 9; all 2 records that bear on it lie on one side of it.']
    """
    given = found.weights[found.base > 0].sum() / found.base.sum() if (built.totals != 0).any() else 1.0
    left = np.abs(built.denominators @ found.weights)
    gone = left < _GONE * min(1.0, given) * np.abs(built.denominators @ found.base)
    if ((built.denominator_of < 0) & (built.totals == 0)).any():
        gone &= left > 0  # a total of zero may ask for just that; see `outcome`
    for j in np.flatnonzero(built.denominator_of >= 0):
        name, figure = built.names[j], built.targets[int(j)].total
        row, near = built.design[[j]], _NEAR * abs(figure)
        cell = built.denominators[[built.denominator_of[j]]]
        if not built.support[j]:
            if figure != 0:
                yield int(j), f"{name}: no record bears on it."
        elif row.nnz >= cell.nnz and (row.data.min() > near or row.data.max() < -near):
            yield (
                int(j),
                f"{name}: no weights give {figure:,.6g}; all {built.support[j]} records that bear on it lie on one "
                "side of it.",
            )
        elif found.feasible and gone[built.denominator_of[j]]:
            yield int(j), f"{name}: only weights of nothing meet it together with the other targets."
