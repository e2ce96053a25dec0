"""Populations as plain arrays: members in canonical order, numbers as they are, levels as codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from microplex.encoding.levels import LevelCodec
from microplex.entities import Population
from microplex.errors import DataError
from microplex.frames import Frame, read_column
from microplex.hierarchy.roster import Ints, Roster
from microplex.hierarchy.scene import Labels
from microplex.hierarchy.stage import Values
from microplex.schema import Column, Schema

Floats = NDArray[np.float64]
ALONE = "member"


@dataclass(frozen=True, eq=False)
class Reading:
    """A population as arrays.

    Parameters
    ----------
    labels : Labels
        Names.
    roster : Roster
        Who is in which household; households in the order of their table.
    order : int64[N]
        Row of the member table of each member of the roster.
    weights : float64[n]
        Survey weights of households.
    """

    labels: Labels
    roster: Roster
    order: Ints
    weights: Floats


def label(population: Population, age: str | None) -> Labels:
    """Names of a population's parts; without roles, all are members and the eldest comes first."""
    top = population.schema.top
    return Labels(top.name, top.roles or (ALONE,), top.role_col or "role", age)


def read_population(population: Population, age: str | None) -> Reading:
    """Read who is where.

    Raises
    ------
    DataError
        If an age is missing.
    """
    top, labels = population.schema.top, label(population, age)
    home = population.positions(top.name)
    roles = population.roles(top.name) if top.roles else np.zeros(len(home), np.int64)
    order = population.order(top.name, age) if age else population.order(top.name)
    if age:
        _check_ages(population, age)
    counts = np.zeros((population.size(top.name), len(labels.roles)), np.int64)
    np.add.at(counts, (home, roles), 1)
    couple = top.role_numbers(top.couple) if top.roles else ()
    return Reading(labels, Roster(counts, couple), order, population.weights())


def _check_ages(population: Population, age: str) -> None:
    entity = population.schema.member
    read = read_column(population.table(entity.name), age)
    if read.values is None:
        raise DataError(f"column {age!r} of {entity.table} must hold ages in years, got {read.dtype} values.")
    wrong = np.flatnonzero(~np.isfinite(read.values))
    if len(wrong):
        who = keys_of(population.table(entity.name), entity.key)[wrong[0]]
        raise DataError(
            f"column {age!r} of {entity.table} is missing or infinite for {entity.key} {who} ({len(wrong)} such rows): "
            "the order of a household needs every age. Fill it, or leave it out of the targets and pass age_col=None."
        )


def infer(frame: Frame, names: Sequence[str], kinds: Mapping[str, str]) -> dict[str, Column]:
    """What columns are, by name.

    Examples
    --------
    >>> import pandas as pd
    >>> infer(pd.DataFrame({"status": [1, 2, 1]}), ["status"], {"status": "categorical"})["status"].levels
    (1, 2)
    """
    if not names:
        return {}
    found = Schema.infer(frame, columns=list(names), kinds={c: k for c, k in kinds.items() if c in names})
    return {column.name: column for column in found.columns}


def read_values(frame: Frame, columns: Mapping[str, Column], order: Ints | None = None) -> Values:
    """Arrays of columns; the code of a level that is not described is -2.

    Raises
    ------
    DataError
        If a column that should hold numbers does not.
    """
    out: Values = {}
    for name, column in columns.items():
        read = read_column(frame, name)
        x: NDArray[Any]
        if not column.is_numeric:
            x = LevelCodec(column).read(read)
        elif read.values is None:
            raise DataError(f"column {name!r} should hold numbers ({column.kind}), got {read.dtype} values.")
        else:
            x = read.values
        out[name] = x if order is None else x[order]
    return out


def keys_of(frame: Frame, key: str) -> NDArray[Any]:
    """Keys of the households of a frame, as they stand."""
    return np.asarray(nw.from_native(frame, eager_only=True).get_column(key).to_numpy())
