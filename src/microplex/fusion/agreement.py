"""Whether the sources mean the same by a variable: kinds, levels, codes, bounds, units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.errors import DataError
from microplex.frames import ColumnData, Frame, Level, column_names, read_column
from microplex.fusion.agreement_rules import Support, compare_levels, compare_numbers
from microplex.fusion.coverage import source_weights
from microplex.survey import ess

Floats: TypeAlias = NDArray[np.float64]

FAMILIES = {
    "int": "numbers",
    "float": "numbers",
    "string": "levels",
    "category": "levels",
    "bool": "true and false",
    "date": "dates",
    "datetime": "dates and times",
}
_MAX_LISTED = 10


@dataclass(frozen=True)
class Clash:
    """A difference between two sources in what they say of a variable.

    Attributes
    ----------
    variable : str
    sources : tuple of str
        The two.
    problem : str
        What differs, in words.
    supports : tuple of str
        What each source has.
    is_error : bool
        Whether the two cannot mean the same; otherwise it is to be looked at.
    """

    variable: str
    sources: tuple[str, str]
    problem: str
    supports: tuple[str, str]
    is_error: bool

    def __str__(self) -> str:
        (first, second), (one, other) = self.sources, self.supports
        return f"{self.variable!r}: {self.problem}. {first}: {one}; {second}: {other}."


def check_agreement(
    sources: Mapping[str, Frame],
    *,
    weight_col: str | Mapping[str, str] | None = None,
    accepted: Sequence[str] = (),
) -> tuple[Clash, ...]:
    """Check that sources agree about the variables that they share, and show both sides where they do not.

    An error: another kind of values, levels that a source should have seen by its size and did not, other numeric
    codes, numbers whose ranges do not overlap, amounts a hundred times as large. A warning: levels of both that are
    too rare to judge, other bounds, negative values on one side only, amounts eight times as large. Whether a value
    should have been seen is a conditional test at level 1e-4: of c rows with it all in the one source, by effective
    sample size.

    Parameters
    ----------
    sources : mapping of str to data frame
        Harmonised: a variable has one name in all of them.
    weight_col : str or mapping of str to str, optional
        The weight, or that of each source; a source without it counts its rows.
    accepted : sequence of str
        Variables whose differences are intended, such as those of a source with another population.

    Returns
    -------
    tuple of Clash
        What was warned of.

    Raises
    ------
    DataError
        If sources clash; both supports are shown.

    Warns
    -----
    UserWarning
        If differences should be looked at.

    Examples
    --------
    >>> import pandas as pd
    >>> cps = pd.DataFrame({"tenure": ["own", "rent", "own"]})
    >>> check_agreement({"cps": cps, "acs": pd.DataFrame({"tenure": ["1", "2"]})})
    Traceback (most recent call last):
    microplex.errors.DataError: the sources clash in 1 variable. Harmonise it, or name it in accepted.
    - 'tenure': no level in common. cps: levels 'own' 66.7%, 'rent' 33.3%; acs: levels '1' 50.0%, '2' 50.0%.
    """
    weights = source_weights(sources, weight_col)
    owners: dict[str, list[str]] = {}
    for source, frame in sources.items():
        for name in column_names(frame):
            if name != weights[source][0]:
                owners.setdefault(name, []).append(source)
    check_columns(list(owners), list(accepted), "accepted")
    found: list[Clash] = []
    for name, own in owners.items():
        if len(own) < 2 or name in accepted:
            continue
        supports = [_support(source, read_column(sources[source], name), weights[source][1]) for source in own]
        found += [clash for a, b in combinations(filter(None, supports), 2) for clash in _compare(name, a, b)]
    errors = [clash for clash in found if clash.is_error]
    if errors:
        n = len({clash.variable for clash in errors})
        remedy = "Harmonise it, or name it" if n == 1 else "Harmonise them, or name them"
        raise DataError(f"the sources clash in {n} variable{'s' * (n > 1)}. {remedy} in accepted.\n{_listed(errors)}")
    if found:
        warnings.warn(f"the sources differ; look at\n{_listed(found)}", UserWarning, stacklevel=2)
    return tuple(found)


def _compare(name: str, a: Support, b: Support) -> list[Clash]:
    both = (a.source, b.source), (str(a), str(b))
    if a.family != b.family:
        alike = {str(level) for level in a.levels} & {str(level) for level in b.levels}
        hint = ", though the codes look alike" if alike else ""
        return [Clash(name, both[0], f"{a.family} against {b.family}{hint}", both[1], True)]
    if a.family == "numbers":
        problems = compare_numbers(a, b)
    elif a.family in ("levels", "true and false"):
        problems = compare_levels(a, b)
        shared = [[level for level in side.order if level in other.order] for side, other in ((a, b), (b, a))]
        if shared[0] != shared[1]:
            problems.append(("the categories are in another order", True))
    else:
        problems = []
    return [Clash(name, both[0], words, both[1], is_error) for words, is_error in problems]


def _support(source: str, data: ColumnData, weights: Floats) -> Support | None:
    """Return the values in use, or None where there are none: a column without values clashes with nothing."""
    used = ~data.missing & (weights > 0)
    if not used.any():
        return None
    w = weights[used]
    if data.codes is not None:
        totals = np.bincount(data.codes[used], weights=w, minlength=len(data.levels))
        order = np.argsort(-totals, kind="stable")[: np.count_nonzero(totals)]
        levels: tuple[Level, ...] = tuple(data.levels[i] for i in order)
        shares = totals[order] / totals.sum()
    else:
        assert data.values is not None
        distinct, place = np.unique(data.values[used], return_inverse=True)
        levels = tuple(int(v) if float(v).is_integer() else float(v) for v in distinct.tolist())
        shares = np.bincount(place, weights=w) / w.sum()
    declared = data.levels if data.ordered else ()
    return Support(source, FAMILIES[data.dtype], ess(w), levels, shares, declared)


def _listed(clashes: Sequence[Clash]) -> str:
    more = [f"- and {len(clashes) - _MAX_LISTED} more"] if len(clashes) > _MAX_LISTED else []
    return "\n".join([*(f"- {clash}" for clash in clashes[:_MAX_LISTED]), *more])
