"""Three tables that belong together: households, tax units and persons, with their keys checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from microplex._validation import check_choice, check_columns
from microplex.datasets.levels import categorical
from microplex.errors import DataError

ENTITIES = ("households", "tax_units", "persons")
KEYS = {"households": "household_id", "tax_units": "tax_unit_id", "persons": "person_id"}
AGE_EDGES = (0, 5, 15, 25, 35, 45, 55, 65, 75, 85)
AGE_GROUPS = (*(f"{low}-{high - 1}" for low, high in pairwise(AGE_EDGES)), "85+")
DERIVED = ("age_group",)


@dataclass(frozen=True, eq=False)
class Tables:
    """Households, tax units and persons.

    Parameters
    ----------
    households : DataFrame
        One row a household; key ``household_id``.
    tax_units : DataFrame
        One row a tax unit; key ``tax_unit_id``, link ``household_id``.
    persons : DataFrame
        One row a person; key ``person_id``, links ``household_id`` and ``tax_unit_id``.

    Raises
    ------
    DataError
        If a key is not unique, a link leads nowhere, a unit has members of two households, or a household or unit
        has not exactly one head.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> population = make_population(100, seed=0)
    >>> population
    Population(100 households, 126 tax units, 239 persons)
    >>> list(population.view("persons", ["age", "state", "filing_status"]).columns)
    ['age', 'state', 'filing_status']
    """

    households: pd.DataFrame
    tax_units: pd.DataFrame
    persons: pd.DataFrame

    def __post_init__(self) -> None:
        for entity, key in KEYS.items():
            _check_unique(self._table(entity), entity, key)
        _check_link(self.tax_units, "tax_units", "household_id", self.households)
        _check_link(self.persons, "persons", "household_id", self.households)
        _check_link(self.persons, "persons", "tax_unit_id", self.tax_units)
        _check_heads(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(self._table(entity)):,} {entity.replace('_', ' ')}" for entity in ENTITIES)
        return f"{type(self).__name__}({sizes})"

    def view(self, entity: str, names: Sequence[str]) -> pd.DataFrame:
        """Return columns for the rows of one table, those of larger entities repeated for their members.

        Parameters
        ----------
        entity : str
            ``"households"``, ``"tax_units"`` or ``"persons"``.
        names : sequence of str
            Columns of that table or of a larger entity, the nearest first; ``age_group`` for persons is made from
            their age.

        Returns
        -------
        DataFrame
            The columns, in that order, one row for each row of the table.

        Raises
        ------
        ColumnNotFoundError
            If no such column belongs to the entity.
        """
        check_choice(entity, ENTITIES, "entity")
        larger = {"households": (), "tax_units": ("households",), "persons": ("tax_units", "households")}[entity]
        own = self._table(entity)
        sources = {str(name): entity for name in own.columns}
        for other in larger:
            sources = {str(name): other for name in self._table(other).columns} | sources
        if entity == "persons":
            sources |= dict.fromkeys(DERIVED, entity)
        check_columns(list(sources), list(names), entity)
        rows = {other: pd.Index(self._table(other)[KEYS[other]]).get_indexer(own[KEYS[other]]) for other in larger}
        columns = {}
        for name in names:
            source = sources[name]
            if name in DERIVED and source == entity:
                columns[name] = pd.Series(age_groups(own["age"].to_numpy()), index=own.index)
            elif source == entity:
                columns[name] = own[name]
            else:
                taken = self._table(source)[name].take(rows[source])
                columns[name] = pd.Series(taken.array, index=own.index)
        return pd.DataFrame(columns, index=own.index)

    def _table(self, entity: str) -> pd.DataFrame:
        table: pd.DataFrame = getattr(self, entity)
        return table


def age_groups(age: np.ndarray) -> pd.Categorical[str]:
    """Return ten-year age groups, with smaller ones for children.

    Parameters
    ----------
    age : ndarray of shape (n,)
        Years.

    Returns
    -------
    Categorical of length n
        Levels `AGE_GROUPS`.

    Examples
    --------
    >>> list(age_groups(np.array([3, 40, 99])))
    ['0-4', '35-44', '85+']
    """
    codes = np.searchsorted(AGE_EDGES, age, side="right") - 1
    return categorical(codes, AGE_GROUPS, ordered=True)


def _check_unique(table: pd.DataFrame, entity: str, key: str) -> None:
    check_columns([str(name) for name in table.columns], [key], entity)
    repeated = np.flatnonzero(table[key].duplicated().to_numpy())
    if repeated.size:
        raise DataError(
            f"{entity}: {key} must be unique; row {repeated[0]} repeats {table[key].iloc[int(repeated[0])]}."
        )


def _check_link(table: pd.DataFrame, entity: str, key: str, parent: pd.DataFrame) -> None:
    check_columns([str(name) for name in table.columns], [key], entity)
    orphans = np.flatnonzero(pd.Index(parent[key]).get_indexer(table[key]) < 0)
    if orphans.size:
        value = table[key].iloc[int(orphans[0])]
        raise DataError(f"{entity}: row {orphans[0]} has {key} {value}, which no row of the parent table has.")


def _check_heads(tables: Tables) -> None:
    persons = tables.persons
    roles = (tables.households, "household_id", "relationship"), (tables.tax_units, "tax_unit_id", "tax_role")
    for parent, key, role in roles:
        place = pd.Index(parent[key]).get_indexer(persons.loc[(persons[role] == "head").to_numpy(), key])
        heads = np.bincount(place, minlength=len(parent))
        wrong = np.flatnonzero(heads != 1)
        if wrong.size:
            raise DataError(f"{key} {parent[key].iloc[int(wrong[0])]} has {heads[wrong[0]]} heads; expected one.")
    unit_home = tables.view("persons", ["tax_unit_id"]).join(
        tables.tax_units.set_index("tax_unit_id")["household_id"], on="tax_unit_id"
    )["household_id"]
    apart = np.flatnonzero(unit_home.to_numpy() != persons["household_id"].to_numpy())
    if apart.size:
        raise DataError(f"persons: row {apart[0]} belongs to a tax unit of another household.")
