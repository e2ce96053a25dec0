"""What no common variable should be, the identifier of a row or its weight; and names of sources."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from microplex.errors import DataError, near_miss
from microplex.frames import ColumnData, Frame, read_column

ENOUGH_ROWS = 50
GAPS = 3
NEARLY_ALL = 0.9
WEIGHT_NAMES = ("weight", "w", "wgt", "wt")
WEIGHT_ENDINGS = ("_weight", "_wgt")


def check_common(frames: Mapping[str, Frame], conditions: Sequence[str], weight_of: Mapping[str, str]) -> None:
    """Check common variables that nobody named: those that are in every source and so would be conditioned on.

    Parameters
    ----------
    frames : mapping of str to data frame
    conditions : sequence of str
        Variables of all sources.
    weight_of : mapping of str to str
        The weight column of each source that has one.

    Raises
    ------
    DataError
        If one looks like an identifier.

    Warns
    -----
    UserWarning
        If one is called as weights are and no source has weights.

    Examples
    --------
    >>> import pandas as pd
    >>> survey = pd.DataFrame({"person": range(60)})
    >>> check_common({"cps": survey, "acs": survey}, ["person"], {})
    Traceback (most recent call last):
    microplex.errors.DataError: common variable 'person' looks like an identifier: a different value on every row of \
'cps', 'acs'. Drop it, or list the common variables in condition_vars.
    """
    for name in conditions:
        parts = {source: read_column(frame, name) for source, frame in frames.items()}
        large = {source: part for source, part in parts.items() if len(part.missing) >= ENOUGH_ROWS}
        if large and all(map(_is_identifier, large.values())):
            nearly = "" if all(part.codes is None for part in large.values()) else "nearly "
            raise DataError(
                f"common variable {name!r} looks like an identifier: a different value on {nearly}every row of "
                f"{', '.join(map(repr, large))}. Drop it, or list the common variables in condition_vars."
            )
    named = [] if weight_of else [name for name in conditions if is_weight_name(name)]
    if named:
        warnings.warn(
            f"common variable {named[0]!r} is called as survey weights are, and no weight_col is given: every block "
            "would be learnt given it, and all rows count equally. Name it in weight_col; if it is a variable, such "
            "as the weight of a body, list the common variables in condition_vars.",
            UserWarning,
            stacklevel=4,
        )


def is_weight_name(name: str) -> bool:
    """Whether survey weights are usually called so.

    Examples
    --------
    >>> is_weight_name("Final_WGT"), is_weight_name("wages")
    (True, False)
    """
    plain = name.casefold()
    return plain in WEIGHT_NAMES or plain.endswith(WEIGHT_ENDINGS)


def check_source_names(given: Iterable[str], known: Sequence[str], part: str = "", what: str = "source") -> None:
    """Check that sources are ones that there are.

    Parameters
    ----------
    given, known : sequence of str
    part : str
        What they are named for; it opens the message.
    what : str
        What a name is, such as ``"source or table"``.

    Raises
    ------
    DataError
        The nearest one is offered.

    Examples
    --------
    >>> check_source_names(["lsf"], ["lfs", "hbs"])
    Traceback (most recent call last):
    microplex.errors.DataError: unknown source 'lsf'. Did you mean 'lfs'? Known: lfs, hbs.
    """
    for name in given:
        if name not in known:
            opening = f"{part}: " if part else ""
            raise DataError(
                f"{opening}unknown {what} {name!r}.{near_miss(str(name), known)} "
                f"Known: {', '.join(map(str, known)) or 'none'}."
            )


def _is_identifier(part: ColumnData) -> bool:
    """Whether rows have a value each of their own: whole numbers without large gaps, or text."""
    seen = ~part.missing
    n = int(seen.sum())
    if n < ENOUGH_ROWS:
        return False
    if part.codes is not None:
        return part.dtype != "bool" and len(np.unique(part.codes[seen])) > NEARLY_ALL * n
    if part.values is None or part.dtype not in ("int", "float"):
        return False
    distinct = np.unique(part.values[seen])
    whole = bool((distinct == np.rint(distinct)).all())
    return whole and len(distinct) == n and bool(distinct[-1] - distinct[0] < GAPS * n)
