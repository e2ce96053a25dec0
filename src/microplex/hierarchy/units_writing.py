"""Tables of drawn units, and what members have of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.encoding import writing
from microplex.entities import Population
from microplex.frames import Frame, Levelled, build_frame, column_names, read_column
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.stage import Values
from microplex.hierarchy.units_law import UnitLaw
from microplex.hierarchy.units_partition import Partition
from microplex.schema import Schema


@dataclass(frozen=True)
class UnitForm:
    """How the tables of units are written.

    Attributes
    ----------
    table : str
        Name of the table.
    columns : tuple of str
        Its columns, in order.
    codes : mapping of str to code
        What the file writes for each role.
    """

    table: str
    columns: tuple[str, ...]
    codes: Mapping[str, Any]

    @classmethod
    def of(cls, law: UnitLaw, population: Population) -> UnitForm:
        """Return the form of the training table; of the codes of a role, the commonest.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> from microplex.hierarchy.units_filling import Choices
        >>> from microplex.hierarchy.units_partition import Kind
        >>> population = as_population(make_population(5, seed=0))
        >>> kind = Kind.of(population.schema.group("tax_unit"))
        >>> law = UnitLaw(kind, "household_id", Choices((-1,), (0,)), np.ones(1), (), (), {})
        >>> UnitForm.of(law, population).columns
        ('tax_unit_id', 'household_id')
        """
        group = population.schema.group(law.kind.name)
        wanted = {group.key, law.top_key, *law.columns}
        columns = tuple(c for c in column_names(population.table(group.name)) if c in wanted)
        codes = {role: role for role in group.roles}
        if group.role_map is not None:
            read = read_column(population.table(population.schema.member.name), str(group.role_col))
            known = read.values if read.values is not None else np.array([*read.levels, None], object)[read.codes]
            values, times = np.unique(known, return_counts=True)
            seen = dict(zip(values.tolist(), times.tolist(), strict=True))
            by_count = sorted(group.role_map.items(), key=lambda pair: -seen.get(pair[0], 0))
            codes = {role: code for code, role in reversed(by_count)}
        return cls(group.table, columns, codes)


def unit_keys(units: Partition, first: int, places: int) -> Ints:
    """Keys of units: household and number in it, int64[n_units].

    Examples
    --------
    >>> from microplex.hierarchy.roster import Roster
    >>> unit_keys(Partition(Roster(np.array([[2], [1]])), np.array([0, 1, 2])), first=0, places=100)
    array([101, 102, 201])
    """
    return np.asarray((first + 1 + units.home) * places + units.place + 1)


def unit_columns(
    law: UnitLaw, form: UnitForm, units: Partition, roles: Ints | None, first: int, places: int
) -> dict[str, NDArray[Any] | Levelled]:
    """Columns of the member table that say which unit a member is in, and as what.

    Parameters
    ----------
    law, form
        What was learned, and how it is written.
    units : Partition
        Who is in which.
    roles : int64[N] or None
        Role of each member.
    first : int
        Place of the first household.
    places : int
        More than the members of any household.
    """
    found: dict[str, NDArray[Any] | Levelled] = {law.kind.key: unit_keys(units, first, places)[units.of]}
    if roles is not None:
        codes = [form.codes[role] for role in law.kind.roles]
        text = all(isinstance(code, str) for code in codes)
        found[str(law.kind.role_col)] = Levelled(roles.astype(np.int32), codes) if text else np.asarray(codes)[roles]
    return found


def unit_table(
    law: UnitLaw,
    form: UnitForm,
    units: Partition,
    values: Values,
    ids: NDArray[Any],
    first: int,
    places: int,
    kind: str,
) -> Frame:
    """The table of units: key, key of the household, and their variables.

    Parameters
    ----------
    law, form
        What was learned, and how it is written.
    units : Partition
        Who is in which.
    values : dict of arrays, each of n_units
        Variables.
    ids : array of n
        Keys of the households.
    first, places : int
        As for `unit_columns`.
    kind : str
        Kind of frame.
    """
    columns: dict[str, Any] = {law.kind.key: unit_keys(units, first, places), law.top_key: ids[units.home]}
    names = [c for c in law.columns if c in values]
    if names:
        columns |= writing.columns(Schema(tuple(law.columns[c] for c in names)), values, names)
    order: Sequence[str] = [c for c in form.columns if c in columns]
    return build_frame({c: columns[c] for c in [*order, *(c for c in columns if c not in order)]}, kind)
