"""The errors and warnings of the library."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class MicroplexError(Exception):
    """Base of every error raised on purpose by this library."""


class NotFittedError(MicroplexError):
    """An estimator was used before ``fit``."""


class ParameterError(MicroplexError, ValueError):
    """An argument of a function or an estimator has a value it cannot take."""


class DataError(MicroplexError, ValueError):
    """The data cannot be used as they are."""


class ColumnNotFoundError(DataError, KeyError):
    """A named column is not in the data."""

    def __str__(self) -> str:
        """Return the message itself; ``KeyError`` would return its ``repr``."""
        return Exception.__str__(self)


class SchemaError(MicroplexError, ValueError):
    """A schema contradicts itself, or the data contradict the schema."""


class ConstraintError(MicroplexError, ValueError):
    """A constraint cannot be read, or the data do not obey it."""


class InfeasibleTargetsError(MicroplexError, ValueError):
    """No weights can meet the published totals.

    Attributes
    ----------
    findings : tuple of str
        All that stands in the way, a line each, where the message names only the first of them.
    """

    findings: tuple[str, ...] = ()


class ModelFormatError(MicroplexError, ValueError):
    """A saved model is damaged, incomplete or of an unknown version."""


class ConvergenceWarning(UserWarning):
    """An iteration stopped before it met its tolerance."""


def near_miss(word: str, options: Iterable[str]) -> str:
    """Return the offer of the option closest to a misspelt word.

    Parameters
    ----------
    word : str
        What was asked for.
    options : iterable of str
        What there is.

    Returns
    -------
    str
        ``" Did you mean 'x'?"`` with its leading space, or ``""`` when nothing is near.

    Examples
    --------
    >>> near_miss("educaton", ["age", "education", "state"])
    " Did you mean 'education'?"
    >>> near_miss("xyz", ["age", "education", "state"])
    ''
    """
    folded: dict[str, str] = {}
    for option in options:
        folded.setdefault(option.casefold(), option)
    close = get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""
