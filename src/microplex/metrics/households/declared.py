"""Which households break what was declared to hold: rules, shared variables, sums and lower bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex._validation import check_columns
from microplex.entities import Population
from microplex.errors import DataError, ParameterError
from microplex.metrics.households.conditions import breaks, satisfies
from microplex.metrics.households.view import Bools, Column, Floats, Ints

Rule: TypeAlias = str | Callable[[Population], ArrayLike]
Amount: TypeAlias = str | Sequence[str] | Callable[[Population], ArrayLike]
Tables: TypeAlias = Mapping[str, Mapping[str, Column]]

ROLE = "role"
TOLERANCE = 1e-6

_COUNT = re.compile(r"^\s*count\s*(?:\((.*)\))?\s*$", re.DOTALL)


@dataclass(frozen=True)
class Declared:
    """What is said to hold; see `evaluate_hierarchy` for the forms.

    Parameters
    ----------
    rules : mapping of str to rule
    shared : tuple of str
    identities : mapping of str to amount
    bounds : mapping of str to amount
    """

    rules: Mapping[str, Rule] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    identities: Mapping[str, Amount] = field(default_factory=dict)
    bounds: Mapping[str, Amount] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Source:
    """A population with its columns read.

    Parameters
    ----------
    population : Population
    tables : mapping of entity to mapping of column
        In the order of the population's tables.
    """

    population: Population
    tables: Tables

    def look(self, name: str) -> Column:
        """Return a variable for each member: its own, its role, or that of a group it belongs to, the smallest first.

        Raises
        ------
        ColumnNotFoundError
            If there is none of that name.
        """
        schema = self.population.schema
        own = self.tables[schema.member.name]
        if name in own:
            return own[name]
        plain = schema.top.role_col if schema.top.role_map is None else ROLE
        if schema.top.roles and name in (ROLE, plain):
            return Column(self.population.roles(), schema.top.roles)
        for group in schema.containers(schema.member.name):
            if name in self.tables[group.name]:
                return self.tables[group.name][name].take(self.population.positions(group.name))
        known = [str(column) for table in self.tables.values() for column in table]
        check_columns([*known, ROLE], [name], "rule")
        raise DataError(f"{name!r} is no column.")

    def per_household(self, mask: NDArray[np.generic], said: str) -> Bools:
        """Return which households have a member, or are themselves, in a mask of either length.

        Raises
        ------
        DataError
            If the mask has another length, or does not hold booleans.
        """
        found = np.asarray(mask)
        top, member = self.population.schema.top.name, self.population.schema.member.name
        n, m = self.population.size(top), self.population.size(member)
        if found.dtype != bool:
            raise DataError(f"rule {said!r} must return booleans; got {found.dtype}.")
        if found.shape == (m,):
            return np.bincount(self.population.positions(top)[found], minlength=n) > 0
        if found.shape == (n,):
            return found
        raise DataError(
            f"rule {said!r} must return one boolean a member ({m}) or a household ({n}); got {found.shape}."
        )


def flags(source: Source, declared: Declared) -> tuple[dict[str, NDArray[np.generic]], ...]:
    """Return, a value a household, what `View` holds as broken, off, exact, below and varies."""
    broken: dict[str, NDArray[np.generic]] = {}
    for name, rule in declared.rules.items():
        mask = breaks(rule, source.look) if isinstance(rule, str) else np.asarray(rule(source.population))
        broken[name] = source.per_household(mask, name)
    off: dict[str, NDArray[np.generic]] = {}
    exact: dict[str, NDArray[np.generic]] = {}
    below: dict[str, NDArray[np.generic]] = {}
    for name, amount in declared.identities.items():
        off[name], exact[name] = _departures(source, name, amount)
    for name, amount in declared.bounds.items():
        entity, total = _total(source, name, "bound")
        least = _sum(source, entity, amount)
        below[name] = _spread(source, entity, total < least - TOLERANCE * (1 + np.abs(least)))
    varies: dict[str, NDArray[np.generic]] = {name: _varies(source, name) for name in declared.shared}
    return broken, off, exact, below, varies


def _departures(source: Source, name: str, amount: Amount) -> tuple[Floats, Bools]:
    """Return the largest departure of a household's sums, and whether all are within rounding."""
    entity, total = _total(source, name, "identity")
    expected = _sum(source, entity, amount)
    apart = np.abs(total - expected)
    wrong = _spread(source, entity, apart > TOLERANCE * (1 + np.abs(expected)))
    top = source.population.schema.top.name
    if entity == top:
        return apart, ~wrong
    homes = source.population.positions(top, entity)
    furthest = np.full(source.population.size(top), -1.0)
    known = ~np.isnan(apart)
    np.maximum.at(furthest, homes[known], apart[known])
    return np.where(furthest < 0, np.nan, furthest), ~wrong


def _spread(source: Source, entity: str, mask: Bools) -> Bools:
    top = source.population.schema.top.name
    if entity == top:
        return mask
    homes = source.population.positions(top, entity)
    return np.bincount(homes[mask], minlength=source.population.size(top)) > 0


def _total(source: Source, name: str, what: str) -> tuple[str, Floats]:
    entity, column = _place(source, name, source.population.schema.top.name)
    if entity == source.population.schema.member.name:
        raise ParameterError(f"{what} {name!r}: a member has no members to be the sum of; name a group's column.")
    return entity, _column(source, entity, column, what)


def _column(source: Source, entity: str, name: str, what: str) -> Floats:
    table = source.tables[entity]
    check_columns(list(table), [name], what)
    if not table[name].is_number:
        raise DataError(f"{what} column {name!r} must hold numbers.")
    return table[name].floats


def _place(source: Source, name: str, default: str) -> tuple[str, str]:
    """Return entity and column of "table.column" or "column"."""
    table, point, column = name.partition(".")
    if not point or name in source.tables[default]:
        return default, name
    return source.population.schema.entity(table.strip()).name, column.strip()


def _sum(source: Source, entity: str, amount: Amount) -> Floats:
    """Return an amount summed over the members of each unit of a group; NaN where a part is missing."""
    population, member = source.population, source.population.schema.member.name
    if callable(amount):
        values = np.asarray(amount(population), dtype=np.float64)
        if values.shape != (population.size(member),):
            raise DataError(f"an amount must be one number a member ({population.size(member)}); got {values.shape}.")
        return _added(values, population.positions(entity), population.size(entity))
    count = _COUNT.match(amount) if isinstance(amount, str) else None
    if count:
        everyone = np.ones(population.size(member))
        mask = everyone if not (count[1] or "").strip() else satisfies(count[1], source.look) * everyone
        return _added(mask, population.positions(entity), population.size(entity))
    found = np.zeros(population.size(entity))
    for part in amount.split("+") if isinstance(amount, str) else amount:
        smaller, column = _place(source, part.strip(), member)
        values = _column(source, smaller, column, "sum")
        found += _added(values, population.positions(entity, smaller), population.size(entity))
    return found


def _added(values: Floats, rows: Ints, n: int) -> Floats:
    return np.bincount(rows, weights=values, minlength=n).astype(np.float64)


def _varies(source: Source, name: str) -> Bools:
    """Return the households whose members have two values; missing is one."""
    population, top = source.population, source.population.schema.top.name
    check_columns(list(source.tables[population.schema.member.name]), [name], "shared")
    values = source.tables[population.schema.member.name][name].floats
    home = population.positions(top)
    some = np.zeros(population.size(top))
    some[home] = values
    other = ~((values == some[home]) | (np.isnan(values) & np.isnan(some[home])))
    return np.bincount(home[other], minlength=len(some)) > 0
