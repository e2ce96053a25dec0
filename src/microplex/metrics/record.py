"""One measured figure, with what it should be and what fresh real rows would score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from microplex._validation import check_choice
from microplex.errors import DataError, ParameterError

GROUPS = ("marginal", "joint", "conditional", "utility", "privacy", "hierarchy", "calibration")
WORST_PAIR = "the worst pair"  # detail of a record whose variables are those that came out worst

_LOST = "the values are too large or too small for floating-point numbers"


@dataclass(frozen=True)
class Record:
    """A measure of synthetic against real data.

    Parameters
    ----------
    measure : str
        Short name, such as "ks".
    group : str
        One of `GROUPS`.
    variables : tuple of str
        Columns it is about; empty for all of them together.
    value : float
        NaN only where `reason` says why it is not defined.
    ideal : float
        Value of a perfect synthesis.
    floor : float
        The same measure between two real samples of these sizes; NaN where it was not taken.
    interval : tuple of float, optional
        Where a value lies with 95 % probability if synthetic and real rows follow one law.
    detail : str
        Which cell, level or probability.
    n : int
        Rows that entered, of the smaller side; 0 if not stated.
    reason : str
        Why the measure is not defined.

    Raises
    ------
    ParameterError
        If a value is NaN without a reason, or the group is unknown.

    Examples
    --------
    >>> Record("ks", "marginal", ("wages",), 0.02, ideal=0.0, floor=0.018).excess
    0.002
    """

    measure: str
    group: str
    variables: tuple[str, ...]
    value: float
    ideal: float
    floor: float = math.nan
    interval: tuple[float, float] | None = None
    detail: str = ""
    n: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        """Check that nothing is undefined in silence."""
        check_choice(self.group, GROUPS, "group")
        if math.isnan(self.value) and not self.reason:
            raise ParameterError(f"record {self.measure!r} of {self.variables} is NaN; say why in reason.")

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not self.reason

    @property
    def excess(self) -> float:
        """How much further from the ideal than the floor is the value; NaN without a floor."""
        return round(abs(self.value - self.ideal) - abs(self.floor - self.ideal), 15)

    def with_floor(self, floor: float) -> Record:
        """Return the record with another floor.

        Examples
        --------
        >>> Record("ks", "marginal", ("wages",), 0.02, ideal=0.0).with_floor(0.01).floor
        0.01
        """
        return replace(self, floor=floor)


def undefined(measure: str, group: str, variables: tuple[str, ...], reason: str, detail: str = "") -> Record:
    """Return a record that says why a measure is not defined.

    Examples
    --------
    >>> undefined("ks", "marginal", ("wages",), "all real values are missing").defined
    False
    """
    return Record(measure, group, variables, math.nan, math.nan, detail=detail, reason=reason)


class Figure(NamedTuple):
    """A value with what belongs to it; see `Record`.

    Examples
    --------
    >>> Figure(0.02).interval is None
    True
    """

    value: float
    interval: tuple[float, float] | None = None
    detail: str = ""


def attempt(
    measure: str,
    group: str,
    variables: tuple[str, ...],
    compute: Callable[[], Figure | float],
    ideal: float = 0.0,
    n: int = 0,
    detail: str = "",
) -> Record:
    """Return the record of a measure; what a `DataError` says becomes the reason why it is not defined.

    So is a figure that floating point cannot hold, of values near 1e308 or below 1e-307.

    Parameters
    ----------
    measure, group, variables, ideal, n, detail
        See `Record`; the detail of a figure takes the place of `detail`.
    compute : callable
        Takes nothing; returns the figure, or raises DataError where there is none.

    Returns
    -------
    Record

    Examples
    --------
    >>> attempt("ks", "marginal", ("wages",), lambda: 0.02).value
    0.02
    """
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = compute()
    except DataError as error:
        return undefined(measure, group, variables, str(error), detail)
    except (FloatingPointError, ZeroDivisionError, OverflowError):
        return undefined(measure, group, variables, _LOST, detail)
    figure = found if isinstance(found, Figure) else Figure(found)
    if any(math.isinf(number) for number in (figure.value, *(figure.interval or ()))):
        return undefined(measure, group, variables, _LOST, detail)
    place = figure.detail or detail
    return Record(measure, group, variables, float(figure.value), ideal, math.nan, figure.interval, place, n)


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return a table with one row a record.

    Examples
    --------
    >>> to_frame([Record("ks", "marginal", ("wages",), 0.02, ideal=0.0)]).columns[:4].tolist()
    ['measure', 'group', 'variables', 'value']
    """
    names = [field.name for field in fields(Record)]
    rows = [[getattr(record, name) for name in names] for record in records]
    table = pd.DataFrame(rows, columns=names)
    table["variables"] = [", ".join(names) for names in table["variables"]]
    return table
