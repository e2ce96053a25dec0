"""Recipients in the names and codes of their own file: harmonised to be completed, handed back as they came."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import betabinom

from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names
from microplex.fusion.harmonise import Harmonisation
from microplex.fusion.harmonise_column import SourceColumn
from microplex.fusion.reading import Floats, Rows, Sources
from microplex.schema import Column, Schema

OUTSIDE, CHANCE = 0.05, 0.01


def in_variables(
    plan: Harmonisation | None,
    recipient: Frame,
    source: str | None,
    tables: Mapping[str, Frame] | None,
    harmonised: bool,
    names: Sequence[str],
) -> Frame | None:
    """Return a recipient in the variables of the fusion; None if it is already.

    Parameters
    ----------
    plan : Harmonisation, optional
        Of the fusion.
    recipient : data frame
    source : str, optional
        Whose names and codes it has.
    tables : mapping of str to data frame, optional
        Other tables that the variables of the source name.
    harmonised : bool
        Whether it has the variables' names and codes although a source is named.
    names : sequence of str
        Variables of the fusion.

    Raises
    ------
    ParameterError, DataError, ColumnNotFoundError
        If tables are given that nothing reads, the recipient has the columns of a source that is not named, or cannot
        be harmonised row by row.

    Warns
    -----
    UserWarning
        If a table is not given, so that the variables read from it are drawn.
    """
    if plan is None or source is None or harmonised:
        if tables:
            raise ParameterError(
                "tables are read where a fusion with a harmonisation completes a recipient in the names of its own "
                "file: name that source, and leave out harmonised=True."
            )
        if plan is not None and not harmonised and source is None:
            _check_unnamed(plan, recipient)
        return None
    check_frame(recipient)
    goal = plan.entity or plan.entities.get(source)
    if plan.entities.get(source) != goal:
        raise DataError(
            f"a row of source {source!r} is a {plan.entities.get(source)} and one of the fusion a {goal}: the "
            "recipient's own rows cannot be handed back. Harmonise it with harmonisation.apply_to and complete the "
            "result with harmonised=True."
        )
    read = plan.apply_to(recipient, source, tables=tables, partial=True)
    absent: dict[str, list[str]] = {}
    for name, by_source in plan.variables.items():
        table = by_source[source].table if source in by_source else None
        if table is not None and table not in (source, *(tables or ())):
            absent.setdefault(table, []).append(name)
    for table, lost in absent.items():
        derived = [name for name in plan.derived(source) if _rests_on(plan, name, lost)]
        drawn = [name for name in (*lost, *derived) if name in names]
        if drawn:
            warnings.warn(
                f"the harmonisation reads table {table!r} for source {source!r}, and it is not given: "
                f"{', '.join(drawn)} {'is' if len(drawn) == 1 else 'are'} drawn. Pass it in tables.",
                UserWarning,
                stacklevel=4,
            )
    return read


def training_ranges(data: Sources) -> dict[str, tuple[float, float, int]]:
    """Return the smallest and the largest value of each number that is learnt, in any source, and how many there are.

    Parameters
    ----------
    data : Sources

    Returns
    -------
    dict of str to (float, float, int)
        Ends rounded outward to two digits. Without dates: those of another period are no clash.
    """
    found = {}
    for column in data.schema:
        x = _numbers(data.rows, column)
        if len(x):
            found[column.name] = _outward(float(x.min()), -1), _outward(float(x.max()), 1), len(x)
    return found


def _outward(end: float, side: int) -> float:
    """Two significant digits, rounded away from the values, so that a saved model tells nobody's amount."""
    if end == 0.0:
        return end
    step = 10.0 ** (math.floor(math.log10(abs(end))) - 1)
    return side * math.ceil(round(side * end / step, 9)) * step


def warn_beyond(ranges: Mapping[str, tuple[float, float, int]], rows: Rows, schema: Schema, unnamed: bool) -> None:
    """Warn of numbers of a recipient that lie outside those that were learnt from: perhaps in another unit.

    More than one in twenty, and more than one would see once in a hundred recipients of the same law: n values leave a
    share outside their range that follows a beta law of 2 and n - 1 (Wilks, 1941).

    Parameters
    ----------
    ranges : mapping of str to (float, float, int)
        From `training_ranges`.
    rows : Rows
        The recipient.
    schema : Schema
    unnamed : bool
        Whether it could be in the codes of a source that was not named.

    Warns
    -----
    UserWarning
        Variable and both ranges are shown.
    """
    shown = []
    for name, (low, high, n) in ranges.items():
        x = _numbers(rows, schema[name])
        outside = int(((x < low) | (x > high)).sum())
        if outside > OUTSIDE * len(x) and betabinom.sf(outside - 1, len(x), 2, max(n - 1, 1)) < CHANCE:
            shown.append(
                f"{name!r}: {outside / len(x):.0%} of its values, which run from {x.min():,.6g} to {x.max():,.6g}; in "
                f"training from {low:,.6g} to {high:,.6g}"
            )
    if shown:
        remedy = "If the recipient is in the codes of one of the sources, say source=." if unnamed else ""
        warnings.warn(
            "the recipient has values far outside what was learnt from. "
            f"{'. '.join(shown)}. {remedy or 'Look at its codes and units.'}",
            UserWarning,
            stacklevel=4,
        )


def check_names(plan: Harmonisation, recipient: Frame, source: str, drawn: Sequence[str]) -> None:
    """Refuse to put a variable in the place of a column of the recipient that is something else.

    Parameters
    ----------
    plan, recipient, source
        As for `in_variables`.
    drawn : sequence of str
        Variables to be put into the recipient.

    Raises
    ------
    DataError
    """
    have = column_names(recipient)
    for name in drawn:
        read = plan.variables.get(name, {}).get(source)
        if name in have and not (read is not None and name not in plan.uprating and _as_it_is(read, name)):
            raise DataError(
                f"the recipient has a column {name!r}, which is not the variable {name!r} as the harmonisation reads "
                f"it from {source!r}, and this variable is to be drawn. Rename the column; or, if the recipient has "
                "the variables' names and codes already, say harmonised=True."
            )


def _check_unnamed(plan: Harmonisation, recipient: Frame) -> None:
    """Refuse a recipient without `source` that has all columns that a source's harmonisation reads, renamed ones too.

    Raises
    ------
    ParameterError
    """
    check_frame(recipient)
    have = set(column_names(recipient))
    for source in plan.sources:
        own = {v: by[source] for v, by in plan.variables.items() if source in by and by[source].table in (None, source)}
        renamed = {v: read for v, read in own.items() if v not in have and read.columns != (v,)}
        if renamed and all(have.issuperset(read.columns) for read in own.values()):
            shown = ", ".join(f"{' + '.join(read.columns)} ({v!r})" for v, read in renamed.items())
            raise ParameterError(
                f"the recipient has every column that the harmonisation reads of source {source!r}, under its own "
                f"names: {shown}. Say source={source!r}, so that it is harmonised; or harmonised=True if the recipient "
                "has the variables' names and codes already."
            )


def _rests_on(plan: Harmonisation, name: str, lost: Sequence[str]) -> bool:
    terms = plan.derivations[name]
    return any(term in lost or (term in plan.derivations and _rests_on(plan, term, lost)) for term in terms)


def _numbers(rows: Rows, column: Column) -> Floats:
    """Return the observed values of a number, without codes that mean something else; none of dates and levels."""
    if not column.is_numeric or column.kind == "date":
        return np.zeros(0)
    x = rows.values[column.name][rows.seen[column.name]]
    return np.asarray(x[~(np.isnan(x) | np.isin(x, column.missing_codes))], dtype=np.float64)


def _as_it_is(read: SourceColumn, name: str) -> bool:
    """Whether a variable is the column of its name, unchanged."""
    return read.to_dict().keys() <= {"column", "unit"} and read.columns == (name,)
