"""Household variables that follow from the members and the groups below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from microplex.entities import Hierarchy, Population
from microplex.errors import ConstraintError
from microplex.frames import ColumnData, Frame, assign, column_names, read_column
from microplex.hierarchy.members import Members, Units
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.rulebook import Total, total_column
from microplex.hierarchy.rules import Count


def with_derived(
    tables: Mapping[str, Frame], schema: Hierarchy, rules: Sequence[Total], age: str | None, floats: Sequence[str] = ()
) -> Frame:
    """Return the table of households with the totals that follow from the members and the groups below.

    Parameters
    ----------
    tables : mapping of str to frame
        Tables without the totals.
    schema : Hierarchy
        What the entities are.
    rules : sequence of Sum, Count and Aggregate
        The totals; one that reads another is computed after it.
    age : str or None
        Column of the age.
    floats : sequence of str
        Totals that are floating-point numbers even where all are whole.

    Raises
    ------
    ConstraintError
        If totals wait for each other.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> from microplex.hierarchy.rules import Sum
    >>> population = as_population(make_population(3, seed=0))
    >>> rule = Sum("paid", "tax_unit.snap", of="tax_unit")
    >>> bool((with_derived(population.tables, population.schema, [rule], "age")["paid"] >= 0).all())
    True
    """
    top = schema.top
    homes = tables[top.table]
    waiting = [rule for rule in rules if total_column(rule, top.name) not in column_names(homes)]
    if not waiting:
        return homes
    population = Population(schema, dict(tables))
    while waiting:
        members = _members(population, homes, age)
        missing = {total_column(rule, top.name) for rule in waiting}
        ready = [rule for rule in waiting if not missing & _homely(rule, population)]
        if not ready:
            raise ConstraintError(f"'{waiting[0]}' depends on itself, over other totals. Leave one of them out.")
        found = {}
        for rule in ready:
            name, total = total_column(rule, top.name), rule.expected(members)
            whole = name not in floats and (isinstance(rule, Count) or bool(np.all(total % 1 == 0)))
            found[name] = total.astype(np.int64) if whole else total
        homes = assign(homes, found)
        waiting = [rule for rule in waiting if rule not in ready]
    return homes


def _homely(rule: Total, population: Population) -> set[str]:
    """Household variables that a rule reads, without the name of their level."""
    top, *below = population.schema.entities
    known = {c for entity in below for c in column_names(population.table(entity.name))}
    prefix = f"{top.name}."
    return {name.removeprefix(prefix) for name in rule.reads if name.startswith(prefix) or name not in known}


def _members(population: Population, homes: Frame, age: str | None) -> Members:
    """Members as rules see them: each column is read where it stands, and carried down to the members."""
    schema = population.schema
    top = schema.top
    words = {group.role_col: group for group in schema.groups[1:] if group.role_col}

    def lookup(name: str) -> ColumnData:
        if name in words:
            group = words[name]
            codes = population.roles(group.name).astype(np.int32)
            return ColumnData(name, "category", codes=codes, levels=tuple(group.roles))
        people = population.table(schema.member.name)
        if name in column_names(people):
            return read_column(people, name)
        for group in schema.groups:
            frame = homes if group is top else population.table(group.name)
            plain = name.removeprefix(f"{group.name}.")
            if plain in column_names(frame):
                return _carried(read_column(frame, plain), population.positions(group.name))
        raise KeyError(name)

    units = {group.name: _units(population, group.name) for group in schema.groups}
    n = population.size(schema.member.name)
    roles = population.roles(top.name) if top.roles else None
    return Members(
        n, {"household": units[top.name], **units}, lookup, roles, tuple(top.roles), np.ones(n), age or "age"
    )


def _units(population: Population, group: str) -> Units:
    of = population.positions(group)
    rows = np.empty(population.size(group), np.int64)
    rows[of[::-1]] = np.arange(len(of) - 1, -1, -1)
    return Units(of, rows, ColumnData(group, "int", values=of.astype(float)))


def _carried(column: ColumnData, rows: Ints) -> ColumnData:
    if column.codes is not None:
        return replace(column, codes=column.codes[rows])
    assert column.values is not None
    return replace(column, values=column.values[rows])
