"""A population: normalised tables of households, tax units and persons that belong together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from microplex.entities.arguments import check_mask, check_rows, labelled, values_of
from microplex.entities.checks import check_population
from microplex.entities.columns import Ints, take_rows, take_values
from microplex.entities.flat import flatten
from microplex.entities.folder import load_tables, save_tables
from microplex.entities.linked import Linked
from microplex.entities.projectors import aggregate
from microplex.entities.schema import US, Hierarchy
from microplex.errors import DataError, SchemaError
from microplex.frames import Frame, column_names


@dataclass(frozen=True, eq=False, repr=False)
class Population(Linked):
    """Normalised tables with their keys checked: a group's variables stand once, in its own table.

    Parameters
    ----------
    schema : Hierarchy
        What the entities are.
    tables : mapping of str to data frame
        A table for each entity, by table name; pandas, polars or Arrow, all of one kind, kept as they are. The member
        table has the key of every group; a group's table has the key of the group it is within.

    Raises
    ------
    ColumnNotFoundError
        If a key, role, weight or parent column is missing; near names are offered.
    DataError
        If keys are missing or repeated, links lead nowhere, a group has no members or is spread over two larger
        ones, roles have no mapping, a group has not exactly one head, parents go in a circle, weights are negative
        or missing, or a group's variable is copied onto its members.

    Notes
    -----
    An amount may stand at several levels (``total_income`` of a person, a tax unit, a household): each is a quantity
    of its own. Refused is a copy: a column that repeats, row by row, the group's value of the same name; and text or
    categories that stand in two tables under one name. For numbers, equality that sums explain (members who live
    alone, zeros) is no copy.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> population = as_population(make_population(100, seed=0))
    >>> population
    Population(100 households, 126 tax units, 239 persons)
    >>> heads = population.aggregate("wages", "first", "household", role="head")
    >>> bool((heads <= population.aggregate("wages", "sum", "household")).all())
    True
    """

    def __post_init__(self) -> None:
        """Check that the tables belong together."""
        if not isinstance(self.schema, Hierarchy):
            raise SchemaError(
                f"schema must be a Hierarchy, such as microplex.entities.US; got {type(self.schema).__name__}."
            )
        if not isinstance(self.tables, Mapping):
            raise DataError(f"tables must map table names to data frames; got {type(self.tables).__name__}.")
        object.__setattr__(self, "tables", dict(self.tables))
        check_population(self)

    @classmethod
    def from_tables(cls, schema: Hierarchy = US, **tables: Frame) -> Population:
        """Return a population of tables given by name.

        Parameters
        ----------
        schema : Hierarchy
            What the entities are.
        **tables : data frame
            By table name.

        Returns
        -------
        Population

        Examples
        --------
        >>> import pandas as pd
        >>> from microplex.entities import GroupEntity
        >>> schema = Hierarchy(US.member, (GroupEntity("household"),))
        >>> homes, people = pd.DataFrame({"household_id": [1]}), pd.DataFrame({"person_id": [1], "household_id": [1]})
        >>> Population.from_tables(schema, households=homes, persons=people)
        Population(1 household, 1 person)
        """
        return cls(schema, tables)

    def broadcast(self, values: Any, group: str, to: str | None = None) -> Any:
        """Carry a group's values to its members.

        Parameters
        ----------
        values : str, or array or column with a value for each group
            A name means that column of the group's table.
        group : str
            The group that holds them.
        to : str, optional
            Entity to carry them to; the member unless given.

        Returns
        -------
        array or column, a value for each row of `to`
            Of the kind and type of the values; a pandas series has the index of the table of `to`.

        Raises
        ------
        DataError
            If there is not one value for each group.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> population = as_population(make_population(3, seed=0))
        >>> population.broadcast("tenure", "household", to="tax_unit").tolist()
        ['rented', 'rented', 'rented', 'mortgage']
        """
        found = take_values(values_of(self, values, group), self.positions(group, to))
        return labelled(self, found, to or self.schema.member.name)

    def aggregate(
        self,
        values: Any,
        how: str,
        group: str,
        role: str | Sequence[str] | None = None,
        where: ArrayLike | None = None,
        of: str | None = None,
    ) -> Any:
        """Reduce the values of members to one for each group.

        Parameters
        ----------
        values : str, array or column with a value for each member, or None
            A name means that column of the member table; None goes with "count" alone.
        how : {"sum", "count", "any", "all", "min", "max", "mean", "first"}
            "first" takes the first in canonical order (`order`), the head unless roles say otherwise.
        group : str
            The group to reduce to.
        role : str or sequence of str, optional
            Roles in that group that count.
        where : bool array, a value for each member, optional
            Members that count.
        of : str, optional
            Smaller group whose rows are reduced, such as ``"tax_unit"``; the member unless given.

        Returns
        -------
        array or column, a value for each group
            "count" and sums of whole numbers int64, "any" and "all" bool, "mean" float64, others as the values are.
            A missing value makes sums, means and extremes missing and does not count. A group where nobody counts has
            sum and count 0, any False, all True, and else a missing value (whole numbers are then float64).

        Raises
        ------
        DataError
            If the values do not fit `how`, or the number of rows.
        SchemaError
            If group or role are unknown.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> population = as_population(make_population(3, seed=0))
        >>> population.aggregate(None, "count", "household").tolist()
        [1, 4, 4]
        >>> population.aggregate("age", "first", "household", role="spouse").tolist()
        [nan, 51.0, 36.0]
        """
        entity = self.schema.entity(of or self.schema.member.name)
        rows, n = self.positions(group, entity.name), self.size(entity.name)
        kept = check_mask(where, n, entity.table)
        if role is not None:
            if of is not None and entity is not self.schema.member:
                raise SchemaError(f"role is of members; {entity.name} has none. Leave out role, or of.")
            kept = kept & np.isin(self.roles(group), self.schema.group(group).role_numbers(role))
        column = None if values is None else values_of(self, values, entity.name)
        if entity is self.schema.member:
            order = self.order(group) if how == "first" else self._sorted(group, entity.name)
        else:
            order = self._sorted(group, entity.name)
        return labelled(self, aggregate(column, how, rows, self.size(group), kept, order), group)

    def take(self, rows: ArrayLike) -> Population:
        """Return some of the top groups with all that they contain.

        Parameters
        ----------
        rows : int array, or bool array with a value for each top group
            Rows of the top table, each at most once.

        Returns
        -------
        Population
            Groups in that order; what they contain follows it, else in the order it had.

        Raises
        ------
        DataError
            If a row is not there, or named twice.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(3, seed=0)).take([2, 0])
        Population(2 households, 2 tax units, 5 persons)
        """
        top = self.schema.top
        chosen = check_rows(rows, self.size(top.name))
        place = np.full(self.size(top.name), -1, dtype=np.int64)
        place[chosen] = np.arange(chosen.size)
        tables = {top.table: take_rows(self.tables[top.table], chosen)}
        for entity in self.schema.entities[1:]:
            where = place[self.positions(top.name, entity.name)]
            kept = np.flatnonzero(where >= 0)
            kept = kept[np.argsort(where[kept], kind="stable")]
            tables[entity.table] = take_rows(self.tables[entity.table], kept)
        return _trusted(self.schema, tables)

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of each table, keys of groups left out except in their own table.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(3, seed=0)).columns()["households"][:3]
        ['household_id', 'state', 'county']
        """
        keys = {group.key for group in self.schema.groups}
        return {
            entity.table: [c for c in column_names(self.tables[entity.table]) if c == entity.key or c not in keys]
            for entity in self.schema.entities
        }

    def flatten(self, prefix: bool = True) -> Frame:
        """Return one table with a row for each member and the columns of all groups.

        Parameters
        ----------
        prefix : bool
            Name group columns ``household.state``, which `normalise` reads back by itself; False keeps the names
            that are in one table only.

        Returns
        -------
        data frame
            Rows as the member table has them, its columns first.

        Raises
        ------
        DataError
            If a member column is named like a group's column.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> flat = as_population(make_population(3, seed=0)).flatten()
        >>> list(flat.columns[-2:]), len(flat)
        (['tax_unit.snap_entitlement', 'tax_unit.snap'], 9)
        """
        return flatten(self, prefix)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a parquet file for each table, and a manifest; the folder appears whole or not at all.

        Parameters
        ----------
        folder : path
            To create, or a population's folder to replace.

        Raises
        ------
        ModelFormatError
            If `folder` exists and is not a population's.
        DataError
            If a column cannot be written as parquet.
        OSError
            If it cannot be written; nothing half-written is left.

        Examples
        --------
        >>> import tempfile
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     as_population(make_population(3, seed=0)).save(f"{folder}/people")
        ...     Population.load(f"{folder}/people")
        Population(3 households, 4 tax units, 9 persons)
        """
        save_tables(folder, self.schema, self.tables)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Population:
        """Read what `save` wrote, each table of the kind it had.

        Parameters
        ----------
        folder : path
            A population's folder.

        Returns
        -------
        Population

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ModelFormatError
            If it is no population, is damaged, or written by a newer version.

        Examples
        --------
        >>> Population.load("no/such/folder")
        Traceback (most recent call last):
        FileNotFoundError: there is no saved population at no/such/folder.
        """
        return cls(*load_tables(folder))

    def _sorted(self, group: str, of: str) -> Ints:
        """Rows of an entity by group, else as they stand."""
        rows = self.positions(group, of)
        return self._once(("sorted", group, of), lambda: np.argsort(rows, kind="stable"))


def _trusted(schema: Hierarchy, tables: Mapping[str, Frame]) -> Population:
    """Return a population of tables known to belong together."""
    population = object.__new__(Population)
    for name, value in (("schema", schema), ("tables", dict(tables)), ("_cache", {})):
        object.__setattr__(population, name, value)
    return population
