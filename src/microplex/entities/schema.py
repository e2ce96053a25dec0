"""What a household, a tax unit and a person are: tables, keys and roles of a population."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from microplex.errors import SchemaError, near_miss

COUPLE, CHILDREN = ("spouse", "partner"), ("child",)


@dataclass(frozen=True)
class Entity:
    """A kind of unit with a table of its own.

    Parameters
    ----------
    name : str
        In the singular, such as ``"person"``.
    table : str, optional
        Name of its table; `name` with an s unless given (``"families"`` must be).
    key : str, optional
        Column that identifies its rows; `name` with ``_id`` unless given.

    Raises
    ------
    SchemaError
        If a name is not a plain identifier.

    Examples
    --------
    >>> Entity("person")
    Entity(name='person', table='persons', key='person_id')
    """

    name: str
    table: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        """Fill in the defaults."""
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise SchemaError(f"the name of an entity must be a plain word such as 'person'; got {self.name!r}.")
        object.__setattr__(self, "table", self.table or f"{self.name}s")
        object.__setattr__(self, "key", self.key or f"{self.name}_id")
        if not isinstance(self.table, str) or not self.table.isidentifier():
            raise SchemaError(f"{self.name}: table must be a plain word such as 'persons'; got {self.table!r}.")
        if not isinstance(self.key, str):
            raise SchemaError(f"{self.name}: key must be the name of a column; got {self.key!r}.")


@dataclass(frozen=True)
class GroupEntity(Entity):
    """A partition of the members: household, tax unit, family, marital unit.

    Parameters
    ----------
    name, table, key
        As for `Entity`; the member table has the column `key` too.
    roles : tuple of str
        What members are in the group, in canonical order; the first is the head, of which every group has exactly
        one. None: members have no roles.
    role_col : str, optional
        Column of the member table that holds the role.
    role_map : mapping, optional
        The file's codes and the roles they stand for; without it the column holds the roles themselves. A code that
        it lacks is an error.
    unique : tuple of str, optional
        Roles that a group has at most once; the head, and ``"spouse"`` where it is a role, unless given.
    couple : tuple of str
        Roles that are partners of the head; those of the default that are no roles are left out.
    child : tuple of str
        Roles that are children of the head; the same.
    within : str, optional
        The group that contains it whole. The first group of a hierarchy has none; for others it is the first group
        unless given.

    Raises
    ------
    SchemaError
        If roles repeat, lack a column, or a name given for them is no role.

    Examples
    --------
    >>> unit = GroupEntity("tax_unit", roles=("head", "spouse", "dependant"), role_col="tax_role", within="household")
    >>> unit.head, unit.unique, unit.couple
    ('head', ('head', 'spouse'), ('spouse',))
    """

    roles: tuple[str, ...] = ()
    role_col: str | None = None
    role_map: Mapping[Any, str] | None = field(default=None, hash=False)
    unique: tuple[str, ...] | None = None
    couple: tuple[str, ...] = COUPLE
    child: tuple[str, ...] = CHILDREN
    within: str | None = None

    def __post_init__(self) -> None:
        """Fill in the defaults and check the roles."""
        super().__post_init__()
        roles = _words(self.roles, f"{self.name}: roles")
        object.__setattr__(self, "roles", roles)
        repeated = [role for role in roles if roles.count(role) > 1]
        if repeated:
            raise SchemaError(f"{self.name}: role {repeated[0]!r} is listed twice.")
        if bool(roles) != bool(self.role_col):
            got = f"roles {roles}" if roles else f"role_col {self.role_col!r}"
            wanted = "role_col, the column that holds them" if roles else "roles, what its values are"
            raise SchemaError(f"{self.name}: got {got} without {wanted}.")
        unique = self.unique
        if unique is None:
            unique = (*roles[:1], *(role for role in ("spouse",) if role in roles[1:]))
        object.__setattr__(self, "unique", self._named(unique, "unique", ()))
        object.__setattr__(self, "couple", self._named(self.couple, "couple", COUPLE))
        object.__setattr__(self, "child", self._named(self.child, "child", CHILDREN))
        if self.role_map is not None:
            if not isinstance(self.role_map, Mapping) or not self.role_map:
                raise SchemaError(f"{self.name}: role_map must map the file's codes to roles; got {self.role_map!r}.")
            object.__setattr__(self, "role_map", dict(self.role_map))
            self._named(self.role_map.values(), "role_map", ())

    @property
    def head(self) -> str | None:
        """The first role, or None where there are no roles."""
        return self.roles[0] if self.roles else None

    def role_numbers(self, names: str | Iterable[str]) -> tuple[int, ...]:
        """Return the places of roles in `roles`.

        Raises
        ------
        SchemaError
            If one of them is no role of this group.

        Examples
        --------
        >>> US.group("household").role_numbers(("spouse", "partner"))
        (1, 2)
        """
        return tuple(
            self.roles.index(n) for n in self._named((names,) if isinstance(names, str) else names, "role", ())
        )

    def _named(self, names: Any, what: str, optional: tuple[str, ...]) -> tuple[str, ...]:
        """Check that names are roles; those of the default that are none are left out."""
        found = _words(names, f"{self.name}: {what}")
        for name in found:
            if name not in self.roles and name not in optional:
                listed, offer = ", ".join(self.roles) or "none", near_miss(name, self.roles)
                raise SchemaError(f"{self.name}: {what} names {name!r}, which is no role.{offer} Roles: {listed}.")
        return tuple(name for name in found if name in self.roles)


@dataclass(frozen=True)
class Hierarchy:
    """The schema of a population: its members and the groups they form.

    Parameters
    ----------
    member : Entity
        The person.
    groups : tuple of GroupEntity
        The first is the top, the sampling unit: the household.
    weight_col : str, optional
        Column of the top table that holds the survey weight.
    parents : tuple of str
        Columns of the member table that hold the keys of mother and father, missing where they live elsewhere.

    Raises
    ------
    SchemaError
        If names clash, a group's `within` is no group, or groups contain each other in a circle.

    Examples
    --------
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"), GroupEntity("family", "families")))
    >>> schema.table_names, schema.group("family").within
    (('households', 'families', 'persons'), 'household')
    >>> schema.group("famly")
    Traceback (most recent call last):
    microplex.errors.SchemaError: there is no group 'famly'. Did you mean 'family'? Groups: household, family.
    """

    member: Entity
    groups: tuple[GroupEntity, ...]
    weight_col: str | None = None
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names and fill in what contains what."""
        groups = tuple(self.groups) if isinstance(self.groups, (tuple, list)) else (self.groups,)
        wrong = [group for group in groups if not isinstance(group, GroupEntity)]
        if wrong or not groups:
            raise SchemaError(f"groups must be one GroupEntity or more; got {wrong[0] if wrong else 'none'!r}.")
        if not isinstance(self.member, Entity) or isinstance(self.member, GroupEntity):
            raise SchemaError(f"member must be an Entity that is no group; got {self.member!r}.")
        top = groups[0]
        groups = (top, *(group if group.within else replace(group, within=top.name) for group in groups[1:]))
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "parents", _words(self.parents, "parents"))
        for what in ("name", "table", "key"):
            words = [getattr(entity, what) for entity in self.entities]
            for word in words:
                if words.count(word) > 1:
                    raise SchemaError(f"two entities have the {what} {word!r}; give each its own.")
        if top.within is not None:
            raise SchemaError(f"{top.name} is the first group, the top; it cannot be within {top.within!r}.")
        self._check_nesting()

    @property
    def top(self) -> GroupEntity:
        """The sampling unit."""
        return self.groups[0]

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The groups, then the member."""
        return (*self.groups, self.member)

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables, the top first, the members last."""
        return tuple(entity.table for entity in self.entities)

    def group(self, name: str) -> GroupEntity:
        """Return a group by its name.

        Raises
        ------
        SchemaError
            If there is none; the nearest name is offered.

        Examples
        --------
        >>> US.group("tax_unit").key
        'tax_unit_id'
        """
        for group in self.groups:
            if group.name == name:
                return group
        names = [group.name for group in self.groups]
        raise SchemaError(f"there is no group {name!r}.{near_miss(str(name), names)} Groups: {', '.join(names)}.")

    def entity(self, name: str) -> Entity:
        """Return an entity by its name or the name of its table.

        Raises
        ------
        SchemaError
            If there is none; the nearest name is offered.

        Examples
        --------
        >>> US.entity("persons").name
        'person'
        """
        for entity in self.entities:
            if name in (entity.name, entity.table):
                return entity
        names = [word for entity in self.entities for word in (entity.name, entity.table)]
        raise SchemaError(f"there is no entity {name!r}.{near_miss(str(name), names)} Entities: {', '.join(names)}.")

    def containers(self, name: str) -> tuple[GroupEntity, ...]:
        """Return the groups that contain an entity whole, the nearest first.

        Examples
        --------
        >>> [group.name for group in US.containers("person")], [group.name for group in US.containers("tax_unit")]
        (['tax_unit', 'household'], ['household'])
        """
        entity = self.entity(name)
        if not isinstance(entity, GroupEntity):
            return self.groups[::-1]
        found: list[GroupEntity] = []
        while entity.within is not None:
            entity = self.group(entity.within)
            found.append(entity)
        return tuple(found)

    def _check_nesting(self) -> None:
        names = [group.name for group in self.groups]
        parent = {group.name: group.within for group in self.groups}
        for name, within in parent.items():
            if within is not None and within not in names:
                raise SchemaError(
                    f"{name} is within {within!r}, which is no group.{near_miss(within, names)} "
                    f"Groups: {', '.join(names)}."
                )
            path = [name]
            while (above := parent[path[-1]]) is not None:
                if above in path:
                    raise SchemaError(f"groups contain each other in a circle: {' within '.join([*path, above])}.")
                path.append(above)


def _words(names: Any, what: str) -> tuple[str, ...]:
    words = (names,) if isinstance(names, str) else tuple(names)
    wrong = [word for word in words if not isinstance(word, str) or not word]
    if wrong:
        raise SchemaError(f"{what} must be names; got {wrong[0]!r}.")
    return words


US = Hierarchy(
    Entity("person"),
    (
        GroupEntity(
            "household",
            roles=("head", "spouse", "partner", "child", "parent", "other_relative", "nonrelative"),
            role_col="relationship",
        ),
        GroupEntity("tax_unit", roles=("head", "spouse", "dependant"), role_col="tax_role", within="household"),
    ),
)
