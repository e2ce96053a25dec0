"""Tables that are linked: keys, positions, roles, weights and the canonical order of members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex.entities.columns import Ints
from microplex.entities.links import find_links, member_ages, read_keys, read_roles, read_weights
from microplex.entities.schema import GroupEntity, Hierarchy
from microplex.errors import SchemaError, near_miss
from microplex.frames import Frame, n_rows

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False, repr=False)
class Linked:
    """Tables by name and what links their rows; `Population` checks them.

    Parameters
    ----------
    schema : Hierarchy
        What the entities are.
    tables : mapping of str to data frame
        A table for each entity, by table name.

    Examples
    --------
    >>> from microplex.entities import Entity
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"),))
    >>> homes, people = pd.DataFrame({"household_id": [8, 7]}), pd.DataFrame({"household_id": [7, 7, 8]})
    >>> Linked(schema, {"households": homes, "persons": people}).positions("household").tolist()
    [1, 1, 0]
    """

    schema: Hierarchy
    tables: Mapping[str, Frame]
    _cache: dict[Any, Any] = field(default_factory=dict, init=False)

    def __getattr__(self, name: str) -> Frame:
        """Return a table by its name."""
        tables = self.__dict__.get("tables", {})
        if name in tables:
            return tables[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}.{near_miss(name, tables)}")

    def __repr__(self) -> str:
        """Return the sizes of the tables."""
        counts = ((entity, self.size(entity.name)) for entity in self.schema.entities)
        sizes = (f"{n:,} {(e.name if n == 1 else e.table).replace('_', ' ')}" for e, n in counts)
        return f"Population({', '.join(sizes)})"

    def table(self, name: str) -> Frame:
        """Return the table of an entity, named by itself or by its table.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> len(as_population(make_population(10, seed=0)).table("household"))
        10
        """
        return self.tables[self.schema.entity(name).table]

    def size(self, name: str) -> int:
        """Return the number of rows of an entity.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(10, seed=0)).size("household")
        10
        """
        return n_rows(self.table(name))

    def keys(self, name: str) -> pd.Index[Any]:
        """Return the keys of an entity, one for each row of its table.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(3, seed=0)).keys("household").tolist()
        [1, 2, 3]
        """
        entity = self.schema.entity(name)
        return self._once(("keys", entity.name), lambda: read_keys(self.tables, entity))

    def positions(self, group: str, of: str | None = None) -> Ints:
        """Return the row of its group's table for each member, or for each row of a smaller group.

        Parameters
        ----------
        group : str
            Such as ``"household"``.
        of : str, optional
            Entity that is contained in it, such as ``"tax_unit"``; the member unless given.

        Returns
        -------
        int64[n]
            Read-only.

        Raises
        ------
        SchemaError
            If there is no such group, or it does not contain the entity.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(3, seed=0)).positions("household").tolist()
        [0, 1, 1, 1, 1, 2, 2, 2, 2]
        """
        goal, entity = self.schema.group(group), self.schema.entity(of or self.schema.member.name)
        above = self.schema.containers(entity.name)
        if goal not in above:
            names = ", ".join(g.name for g in above) or "none"
            raise SchemaError(f"{goal.name} does not contain {entity.name}. Groups that do: {names}.")
        if isinstance(entity, GroupEntity) and goal is not above[0]:
            return self._once(
                ("rows", group, entity.name),
                lambda: self.positions(group, above[0].name)[self.positions(above[0].name, entity.name)],
            )
        frame = self.tables[entity.table]
        return self._once(
            ("rows", group, entity.name), lambda: find_links(frame, entity.table, goal, self.keys(goal.name))
        )

    def roles(self, group: str | None = None) -> Ints:
        """Return the role of each member in a group (the top unless given), as a place in the group's `roles`.

        Returns
        -------
        int64[n]
            Read-only.

        Raises
        ------
        SchemaError
            If the group has no roles.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(3, seed=0)).roles().tolist()
        [0, 0, 1, 3, 3, 0, 1, 3, 3]
        """
        goal = self.schema.group(group or self.schema.top.name)
        member = self.schema.member.table
        return self._once(("roles", goal.name), lambda: read_roles(self.tables[member], member, goal))

    def weights(self, name: str | None = None) -> NDArray[np.float64]:
        """Return the survey weight of each row of an entity (the top unless given); ones where there is none.

        Returns
        -------
        float64[n]
            Read-only.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> as_population(make_population(3, seed=0)).weights("tax_unit").tolist()
        [1.0, 1.0, 1.0, 1.0]
        """
        top = self.schema.top
        weights = self._once(("weights",), lambda: read_weights(self.schema, self.tables[top.table]))
        entity = self.schema.entity(name or top.name)
        if entity is top:
            return weights
        return self._once(("weights", entity.name), lambda: weights[self.positions(top.name, entity.name)])

    def order(self, group: str | None = None, age_col: str | None = "age") -> Ints:
        """Return the members in canonical order: by group, role, age from the oldest, then key.

        Parameters
        ----------
        group : str, optional
            The top unless given. Groups come in the order of their table.
        age_col : str, optional
            Age of members; left out where the table has no such column of numbers.

        Returns
        -------
        int64[n]
            Rows of the member table, read-only; it does not depend on their order.

        Examples
        --------
        >>> from microplex.datasets import make_population
        >>> from microplex.entities import as_population
        >>> population = as_population(make_population(3, seed=0))
        >>> population.persons["age"].to_numpy()[population.order("household")].tolist()
        [54, 54, 51, 20, 18, 32, 36, 5, 3]
        """
        goal = self.schema.group(group or self.schema.top.name)
        return self._once(("order", goal.name, age_col), lambda: self._order(goal, age_col))

    def _once(self, name: Any, make: Callable[[], Found]) -> Found:
        """Return what `make` makes, made once; arrays are read-only."""
        found: Found | None = self._cache.get(name)
        if found is None:
            found = make()
            if isinstance(found, np.ndarray):
                found.flags.writeable = False
            self._cache[name] = found
        return found

    def _order(self, group: GroupEntity, age_col: str | None) -> Ints:
        keys = self.keys(self.schema.member.name)
        by: list[NDArray[Any]] = []
        if not keys.is_monotonic_increasing:
            by.append(np.unique(keys.to_numpy(), return_inverse=True)[1])
        ages = member_ages(self.tables[self.schema.member.table], age_col)
        if ages is not None:
            by.append(-ages)
        rows = self.positions(group.name)
        if group.roles:
            rows = rows * len(group.roles) + self.roles(group.name)
        return np.lexsort((*by, rows)).astype(np.int64, copy=False)
