"""Records of this package: a summary over several parts, or one figure, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from microplex.errors import DataError
from microplex.metrics.record import Figure, Record, attempt, undefined

GROUP = "hierarchy"


def figure(measure: str, compute: Callable[[], Figure | float], detail: str = "", n: int = 0) -> Record:
    """Return the record of a measure over whole households; a `DataError` becomes the reason why there is none.

    Examples
    --------
    >>> figure("size_tvd", lambda: 0.1).value
    0.1
    """
    return attempt(measure, GROUP, (), compute, n=n, detail=detail)


def mean_of(
    measure: str, parts: Mapping[tuple[str, ...], Callable[[], Figure | float]], nothing: str, detail: str = ""
) -> list[Record]:
    """Return the mean of a measure over its parts, followed by the parts themselves.

    Parameters
    ----------
    measure : str
    parts : mapping of names to callables
        What each part is about, and its figure or DataError.
    nothing : str
        Why the measure is not defined if no part is; the reason of the first part where empty.
    detail : str
        Of the mean.

    Examples
    --------
    >>> [r.value for r in mean_of("x", {("a",): lambda: 1.0, ("b",): lambda: 3.0}, "no variable")]
    [2.0, 1.0, 3.0]
    """
    found = [attempt(measure, GROUP, names, compute) for names, compute in parts.items()]
    values = [record.value for record in found if record.defined]
    if not values:
        reason = found[0].reason if found and (len(found) == 1 or not nothing) else nothing or "there is no variable"
        return [undefined(measure, GROUP, (), reason), *found]
    return [Record(measure, GROUP, (), float(np.mean(values)), ideal=0.0, detail=detail), *found]


def difference(real: Callable[[], float], synthetic: Callable[[], float]) -> Figure:
    """Return the absolute difference of an association; one that the synthetic side cannot have counts as 0.

    Raises
    ------
    DataError
        If the real side has none.

    Examples
    --------
    >>> difference(lambda: 0.75, lambda: 0.5)
    Figure(value=0.25, interval=None, detail='real 0.75, synthetic 0.5')
    """
    expected = real()
    try:
        got = synthetic()
    except DataError as error:
        return Figure(abs(expected), None, f"real {expected:.3g}, synthetic none: {error}")
    return Figure(abs(expected - got), None, f"real {expected:.3g}, synthetic {got:.3g}")
