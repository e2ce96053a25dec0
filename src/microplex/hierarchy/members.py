"""Members of households as rules see them: columns, roles and units, whatever kind of frame they came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._random import row_keys
from microplex._validation import check_columns, check_weights
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import ColumnData, Frame, check_frame, column_names, n_rows, read_column

if TYPE_CHECKING:
    from microplex.entities import Population

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

ROLE = "role"
PERSON = "person"


@dataclass(frozen=True, eq=False)
class Units:
    """A partition of the members.

    Attributes
    ----------
    of : int64[n]
        Unit of each member, counted from 0.
    rows : int64[n_units]
        A member of each unit.
    ids : ColumnData
        The column that tells the units apart.
    keys : int64[n] or None
        The ids themselves where they are whole numbers, of any size.
    """

    of: Ints
    rows: Ints
    ids: ColumnData
    keys: Ints | None = None

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.rows)

    def name(self, unit: int) -> str:
        """Return the id of a unit, as text."""
        row = int(self.rows[unit])
        return cell_text(self.ids, row) if self.keys is None else str(self.keys[row])

    def random_keys(self, some: Ints) -> NDArray[np.uint64]:
        """Return the keys of the random streams of some units: uint64[k]."""
        rows = self.rows[some]
        if self.keys is not None:
            return row_keys(self.keys[rows])
        if self.ids.codes is None:
            assert self.ids.values is not None
            return row_keys(list(map(str, self.ids.values[rows].tolist())))
        used, place = np.unique(self.ids.codes[rows], return_inverse=True)
        return row_keys(list(map(str, (self.ids.levels[i] for i in used.tolist()))))[place]


@dataclass(eq=False)
class Members:
    """A table of persons with their roles, and the units that they form.

    Attributes
    ----------
    n : int
        Members.
    units : mapping of str to Units
        "household", and any other partition.
    column : callable
        Gives the data of a column; "role" is the role.
    roles : int64[n] or None
        Place of each member's role in `role_names`; None if roles are not known.
    role_names : tuple of str
        Roles, the head first.
    weights : float64[n]
        Weight of each member.
    age_col : str
        Column with the age.
    """

    n: int
    units: Mapping[str, Units]
    lookup: Callable[[str], ColumnData]
    roles: Ints | None
    role_names: tuple[str, ...]
    weights: Floats
    age_col: str = "age"
    role_cols: tuple[str, ...] = (ROLE,)
    _read: dict[str, ColumnData] = field(default_factory=dict, repr=False)

    @classmethod
    def read(
        cls,
        frame: Frame,
        household_id: str,
        relationship: str | None = None,
        roles: Mapping[Any, str] | None = None,
        *,
        groups: Mapping[str, str] | None = None,
        weight_col: str | None = None,
        age_col: str = "age",
        role_names: Sequence[str] = ("head", "spouse", "partner", "child"),
    ) -> Members:
        """Read a table of persons.

        Parameters
        ----------
        frame : data frame
            One row a person.
        household_id : str
            Column with the household's id.
        relationship : str, optional
            Column with the relationship to the head.
        roles : mapping, optional
            The file's codes to roles; the values themselves are roles unless given.
        groups : mapping of str to str, optional
            Further units, and the columns with their ids: ``{"tax_unit": "tax_unit_id"}``.
        weight_col : str, optional
            Column with weights.
        age_col : str
            Column with the age in years.
        role_names : sequence of str
            Roles in canonical order, the head first; roles found besides them follow by name.

        Returns
        -------
        Members

        Raises
        ------
        DataError
            An id or a relationship is missing, a code has no role, or a unit spans two households.

        Examples
        --------
        >>> frame = pd.DataFrame({"household_id": [7, 7, 9], "relationship": ["head", "child", "head"]})
        >>> members = Members.read(frame, "household_id", "relationship")
        >>> members.units["household"].of.tolist(), [members.role_names[i] for i in members.roles]
        ([0, 0, 1], ['head', 'child', 'head'])
        """
        check_frame(frame)
        wanted = [household_id, *(groups or {}).values(), *([relationship] if relationship else [])]
        check_columns(column_names(frame), list(dict.fromkeys(wanted)), "hierarchy")
        units = {"household": _partition(frame, household_id)}
        for level, name in (groups or {}).items():
            if level in (PERSON, "household"):
                raise ParameterError(f"groups name further units; {level!r} is given already.")
            units[level] = _partition(frame, name)
            _check_within(units[level], units["household"], level)
        names, codes = tuple(role_names), None
        if relationship is not None:
            codes, names = _roles(read_column(frame, relationship), roles, names)
        weights = None if weight_col is None else read_column(frame, weight_col).values
        if weight_col is not None and weights is None:
            raise DataError(f"weight column {weight_col!r} must hold numbers.")
        role_cols = (ROLE,) if relationship is None or roles is not None else (ROLE, relationship)
        return cls(
            n_rows(frame), units, lambda name: read_column(frame, name), codes, names,
            check_weights(weights, n_rows(frame), f"weight column {weight_col!r}"), age_col, role_cols,
        )  # fmt: skip

    @classmethod
    def of(cls, population: Population, age_col: str = "age") -> Members:
        """Return the members of a population, with all its groups, its roles and its weights.

        Parameters
        ----------
        population : Population
            Its first group stands for the household. A group's column goes by its name, or by
            ``tax_unit.income`` where several tables have it.
        age_col : str
            Column with the age in years.

        Returns
        -------
        Members

        Raises
        ------
        DataError
            If a group spans two households.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> members = Members.of(as_population(make_population(3, seed=0)))
        >>> members.units["household"].count, members.role_names[0]
        (3, 'head')
        """
        schema = population.schema
        top, *others = schema.groups
        groups = {group.name: str(group.key) for group in others}
        members = cls.read(population.flatten(prefix=False), str(top.key), groups=groups, age_col=age_col)
        members.units = {top.name: members.units["household"], **members.units}
        if top.roles:
            members.roles, members.role_names = population.roles(top.name), tuple(top.roles)
        members.weights = population.weights(schema.member.name)
        return members

    def column(self, name: str) -> ColumnData:
        """Return the data of a column; "role" is the role where roles are known."""
        if name in self.role_cols and self.roles is not None:
            return ColumnData(ROLE, "category", codes=self.roles.astype(np.int32), levels=self.role_names)
        if name not in self._read:
            self._read[name] = self.lookup(name)
        return self._read[name]

    def forget(self, name: str) -> None:
        """Read a column anew when it is asked for next."""
        self._read.pop(name, None)

    def role_codes(self, names: Sequence[str]) -> list[int]:
        """Return the places of roles; those that nobody has are left out."""
        return [self.role_names.index(name) for name in names if name in self.role_names]

    def in_roles(self, names: Sequence[str], asked_by: object) -> Bools:
        """Return which members have one of some roles: bool[n]."""
        if self.roles is None:
            raise ParameterError(f"'{asked_by}' speaks of roles. Name the column that holds them as relationship=.")
        codes = self.role_codes(names)
        if len(codes) == 1:
            return np.asarray(self.roles == codes[0])
        return np.isin(self.roles, codes)

    def unit(self, level: str, asked_by: object) -> Units:
        """Return the units of a level."""
        if level not in self.units:
            known = [*self.units, PERSON]
            raise ParameterError(
                f"'{asked_by}' speaks of level {level!r}, which is not given.{near_miss(level, known)} "
                f"Levels: {', '.join(known)}. Others are named as groups={{level: id column}}."
            )
        return self.units[level]


def cell_text(column: ColumnData, row: int) -> str:
    """Return a value as it would be written.

    Examples
    --------
    >>> cell_text(ColumnData("id", "int", values=np.array([7.0])), 0)
    '7'
    """
    if column.codes is not None:
        code = int(column.codes[row])
        return "missing" if code < 0 else repr(column.levels[code])
    assert column.values is not None
    value = float(column.values[row])
    return "missing" if value != value else f"{value:.15g}"


def _partition(frame: Frame, name: str) -> Units:
    column = read_column(frame, name)
    missing = column.missing
    if missing.any():
        row = int(np.argmax(missing))
        raise DataError(f"column {column.name!r} must name a unit in every row; row {row} has none.")
    keys = None
    if column.codes is None:
        assert column.values is not None
        # Ids above 2**53 would run together as floats.
        whole = nw.from_native(frame, eager_only=True).get_column(name).to_numpy() if column.dtype == "int" else None
        if whole is not None and whole.dtype.kind in "iu":
            keys = whole.astype(np.int64)
        elif (column.values == (rounded := column.values.astype(np.int64))).all():
            keys = rounded
    values = keys if keys is not None else column.values if column.values is not None else column.codes
    assert values is not None
    if (values[1:] >= values[:-1]).all():
        starts = np.concatenate([[True], values[1:] != values[:-1]])
        return Units(np.cumsum(starts) - 1, np.flatnonzero(starts), column, keys)
    of = pd.factorize(values)[0].astype(np.int64)
    rows = np.zeros(int(of.max()) + 1, dtype=np.int64)
    rows[of[::-1]] = np.arange(len(of) - 1, -1, -1)
    return Units(of, rows, column, keys)


def _check_within(inner: Units, outer: Units, level: str) -> None:
    split = np.flatnonzero(outer.of[inner.rows][inner.of] != outer.of)
    if split.size:
        row = int(split[0])
        raise DataError(
            f"each {level} must lie in one household; {inner.name(int(inner.of[row]))} (row {row}) is in household "
            f"{outer.name(int(outer.of[row]))} and in another. Number them anew in each household."
        )


def _roles(
    column: ColumnData, mapping: Mapping[Any, str] | None, order: tuple[str, ...]
) -> tuple[Ints, tuple[str, ...]]:
    """Return places of roles and their names."""
    missing = column.missing
    if missing.any():
        row = int(np.argmax(missing))
        raise DataError(f"relationship column {column.name!r} must say who each person is; row {row} is missing.")
    if column.values is None:
        assert column.codes is not None
        found: list[Any] = list(column.levels)
        codes = column.codes.astype(np.int64)
    else:
        unique, inverse = np.unique(column.values, return_inverse=True)
        found, codes = [int(v) if v == int(v) else v for v in unique.tolist()], inverse.astype(np.int64)
    used = np.bincount(codes, minlength=len(found)) > 0
    of_level = {place: _role(value, mapping, column, codes, place) for place, value in enumerate(found) if used[place]}
    names = (*order, *sorted(set(of_level.values()) - set(order)))
    places = np.array([names.index(of_level[i]) if i in of_level else -1 for i in range(len(found))], dtype=np.int64)
    return places[codes], names


def _role(value: Any, mapping: Mapping[Any, str] | None, column: ColumnData, codes: Ints, place: int) -> str:
    if mapping is None:
        if isinstance(value, str):
            return value
        offer = " Give a mapping from codes to roles."
    elif value in mapping:
        return mapping[value]
    else:
        offer = near_miss(value, [key for key in mapping if isinstance(key, str)]) if isinstance(value, str) else ""
        offer += f" Mapped: {', '.join(map(repr, list(mapping)[:20]))}."
    row = int(np.argmax(codes == place))
    raise DataError(f"relationship code {value!r} of column {column.name!r} (row {row}) has no role.{offer}")
