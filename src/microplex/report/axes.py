"""Labels of axes and levels: figures in few characters that stay apart, and dates as dates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from microplex.report.drawing import short

MOMENTS = ("date", "datetime")
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 6000, 12000)
_MOST = 4
_DIGITS = range(3, 16)


def written(value: float, dtype: str = "") -> str:
    """Write a value: a date as such, any other in a few characters.

    Parameters
    ----------
    value : float
        Days ("date") or seconds ("datetime") since 1970-01-01, or a number.
    dtype : str
        As `microplex.frames.read_column` names it.

    Returns
    -------
    str

    Examples
    --------
    >>> written(18262.0, "date"), written(1577836800.0, "datetime"), written(18262.0)
    ('2020-01-01', '2020-01-01', '18.3k')
    """
    if dtype not in MOMENTS:
        return short(value)
    return str(np.datetime64(int(np.floor(value)), "D" if dtype == "date" else "s").astype("datetime64[D]"))


def labels(values: Sequence[float], dtype: str = "", share: bool = False) -> list[str]:
    """Write values so that different ones look different.

    Parameters
    ----------
    values : sequence of float
        Different from one another.
    dtype : str
        See `written`.
    share : bool
        Write percentages.

    Returns
    -------
    list of str

    Examples
    --------
    >>> labels([2019.0, 2020.0]), labels([1.0, 2e6]), labels([0.25, 0.5], share=True)
    (['2019', '2020'], ['1', '2m'], ['25%', '50%'])
    """
    if dtype in MOMENTS:
        found = [written(value, dtype) for value in values]
        return found if len(set(found)) == len(found) else [str(np.datetime64(int(v), "s")) for v in values]
    found = []
    for digits in _DIGITS:
        found = [f"{100 * v:.{digits}g}%" if share else short(float(f"{v:.12g}"), digits) for v in values]
        if len(set(found)) == len(found):
            break
    return found


def moment_ticks(low: float, high: float, dtype: str) -> tuple[list[float], list[str]]:
    """Return up to four first days of months or years between two dates, or of days where they are close.

    Parameters
    ----------
    low, high : float
    dtype : {"date", "datetime"}

    Returns
    -------
    ticks : list of float
        In the unit of the values.
    names : list of str

    Examples
    --------
    >>> moment_ticks(18262.0, 18800.0, "date")[1]
    ['2020-01', '2020-07', '2021-01']
    """
    unit = 1.0 if dtype == "date" else 86_400.0
    first, last = int(np.ceil(low / unit)), int(np.floor(high / unit))
    ends = np.array([first, last], "datetime64[D]")
    months = np.arange(ends[0].astype("datetime64[M]"), ends[1].astype("datetime64[M]") + 1)
    days = months.astype("datetime64[D]")
    inside = (days >= ends[0]) & (days <= ends[1])
    for step in _MONTHS:
        kept = inside & (months.astype(np.int64) % step == 0)
        if kept.sum() <= _MOST:
            break
    if kept.sum() >= 2:
        names = [str(month)[: 4 if step >= 12 else 7] for month in months[kept]]
        return [float(day) * unit for day in days[kept].astype(np.int64)], names
    some = np.unique(np.linspace(first, last, 3).round()) if last > first else np.array([float(first)])
    return [float(day) * unit for day in some], [written(float(day), "date") for day in some]
