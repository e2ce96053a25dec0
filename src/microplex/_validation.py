"""The gates that arguments and arrays pass: one message for each mistake, made in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Integral
from typing import SupportsInt, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex.errors import ColumnNotFoundError, DataError, ParameterError, near_miss

_MAX_LISTED = 20


def check_columns(available: Sequence[str], wanted: Sequence[str], role: str) -> None:
    """Check that columns exist and are named once.

    Parameters
    ----------
    available : sequence of str
        Columns of the data.
    wanted : sequence of str
        Columns asked for.
    role : str
        What they are asked for as, such as ``"condition"``; it opens the message.

    Raises
    ------
    ColumnNotFoundError
        A column is missing; the nearest name is offered.
    DataError
        A column is asked for twice.

    Examples
    --------
    >>> check_columns(["age", "education"], ["educaton"], "condition")
    Traceback (most recent call last):
    microplex.errors.ColumnNotFoundError: condition column 'educaton' not in data. \
Did you mean 'education'? Available: age, education.
    """
    repeated = [name for name, times in Counter(wanted).items() if times > 1]
    if repeated:
        raise DataError(f"{role} column {repeated[0]!r} is named {wanted.count(repeated[0])} times. Name it once.")
    present = set(available)
    missing = [name for name in wanted if name not in present]
    if not missing:
        return
    others = f" Also missing: {_listed(missing[1:])}." if len(missing) > 1 else ""
    raise ColumnNotFoundError(
        f"{role} column {missing[0]!r} not in data.{near_miss(missing[0], available)}{others} "
        f"Available: {_listed(available) or 'none'}."
    )


def check_weights(values: ArrayLike | None, n: int, name: str) -> NDArray[np.float64]:
    """Check weights and return them as floats.

    Parameters
    ----------
    values : array_like of shape (n,) or None
        Weights; None stands for ones.
    n : int
        Number of rows that the weights belong to.
    name : str
        Name of the weights in messages.

    Returns
    -------
    ndarray of float64, shape (n,)
        A copy: finite, non-negative, with a positive sum.

    Raises
    ------
    DataError
        The weights have another shape, are not numbers, or one of them is missing, infinite or
        negative (the first such row is named), or their sum is zero.

    Examples
    --------
    >>> check_weights([1, 2.5], 2, "weight")
    array([1. , 2.5])
    >>> check_weights([1, -2.5], 2, "weight")
    Traceback (most recent call last):
    microplex.errors.DataError: weight must be finite and not negative; row 1 has -2.5. Remove or repair such rows.
    """
    if values is None:
        return np.ones(n)
    try:
        weights = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers: {error}.") from error
    if weights.shape != (n,):
        raise DataError(f"{name} must hold one number for each of {n} rows; its shape is {weights.shape}.")
    bad = np.flatnonzero(~((weights >= 0) & np.isfinite(weights)))
    if bad.size:
        more = f" (and {bad.size - 1} more rows)" if bad.size > 1 else ""
        raise DataError(
            f"{name} must be finite and not negative; row {bad[0]} has {weights[bad[0]]}{more}. "
            "Remove or repair such rows."
        )
    if not weights.sum() > 0:
        raise DataError(f"{name} must have a positive sum; all {n} weights are 0.")
    return weights


def check_finite(values: ArrayLike, name: str) -> None:
    """Check that no value is infinite; NaN, which means missing, passes.

    Parameters
    ----------
    values : array_like of shape (n,) or (n, k)
        Numbers.
    name : str
        Name of the column in messages.

    Raises
    ------
    DataError
        A value is infinite; its row is named.

    Examples
    --------
    >>> check_finite([1.0, float("nan")], "income")
    >>> check_finite([1.0, float("inf")], "income")
    Traceback (most recent call last):
    microplex.errors.DataError: column 'income' must be finite; row 1 has inf. Replace it by a number or by a missing \
value.
    """
    numbers = np.asarray(values, dtype=np.float64)
    infinite = np.isinf(numbers)
    if infinite.any():
        place = np.unravel_index(int(np.argmax(infinite)), numbers.shape)
        raise DataError(
            f"column {name!r} must be finite; row {place[0]} has {numbers[place]}. "
            "Replace it by a number or by a missing value."
        )


def check_choice(value: object, choices: Sequence[object], name: str) -> None:
    """Check that an argument is one of its choices.

    Parameters
    ----------
    value : object
        The argument.
    choices : sequence
        What it may be.
    name : str
        Name of the argument in messages.

    Raises
    ------
    ParameterError
        It is none of them; the nearest one is offered.

    Examples
    --------
    >>> check_choice("rakng", ["raking", "linear"], "distance")
    Traceback (most recent call last):
    microplex.errors.ParameterError: distance must be one of 'raking', 'linear'; got 'rakng'. Did you mean 'raking'?
    """
    if any(
        isinstance(value, type(c)) and value == c for c in choices if isinstance(c, bool) == isinstance(value, bool)
    ):
        return
    offer = near_miss(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
    raise ParameterError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.{offer}")


def check_seed(seed: object) -> int:
    """Check a seed and return it as a Python int.

    Parameters
    ----------
    seed : int
        Zero or more, of any size.

    Returns
    -------
    int
        The seed.

    Raises
    ------
    ParameterError
        It is not a whole number, or negative.

    Examples
    --------
    >>> check_seed(7)
    7
    >>> check_seed(-1)
    Traceback (most recent call last):
    microplex.errors.ParameterError: seed must be a whole number of at least 0; got -1.
    """
    if isinstance(seed, Integral) and not isinstance(seed, bool):
        number = int(cast(SupportsInt, seed))
        if number >= 0:
            return number
    raise ParameterError(f"seed must be a whole number of at least 0; got {seed!r}.")


def _listed(names: Sequence[str]) -> str:
    """Join names, the first twenty of a long list."""
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(map(str, names[:_MAX_LISTED])) + more
