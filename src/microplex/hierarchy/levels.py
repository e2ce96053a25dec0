"""What is drawn at which level: the dictionary of levels, or all columns of a schema, sorted into stages."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from microplex.entities import US, Entity, GroupEntity, Hierarchy
from microplex.errors import ParameterError, SchemaError, near_miss
from microplex.frames import Frame, column_names, read_column

KEYS = ("target_vars", "condition_vars", "parent_level", "outcome_vars", "structure_vars", "rule")
SEXES = ("sex", "gender")


@dataclass(frozen=True)
class Level:
    """What is wanted at one level.

    Parameters
    ----------
    name : str
        Entity.
    targets : tuple of str or None
        Columns to generate; None for all of its table.
    conditions : tuple of str or None
        Columns that are given (top), or that may be used (below); None for none at the top and all below.
    parent : str or None
        Level that contains it.
    outcomes : tuple of str or None
        Top: targets that are drawn after the members; None to decide by their kind.
    structure : tuple of str or None
        Members: targets that are drawn with the age.
    rule : callable or None
        Groups below the top: gives the number of each member's group within the household, for a table of the members
        of whole households; None to learn who is with whom.
    """

    name: str
    targets: tuple[str, ...] | None = None
    conditions: tuple[str, ...] | None = None
    parent: str | None = None
    outcomes: tuple[str, ...] | None = None
    structure: tuple[str, ...] | None = None
    rule: Callable[[Frame], Any] | None = None


def read_levels(levels: Any, schema: Hierarchy | None) -> tuple[Hierarchy | None, dict[str, Level]]:
    """Read levels.

    Parameters
    ----------
    levels : Hierarchy, or mapping of str to mapping
        A schema, whose tables are then generated whole; or, for each level, ``target_vars``, ``condition_vars``,
        ``parent_level`` and the further keys of `Level`.
    schema : Hierarchy, optional
        What the entities are, besides a dictionary of levels.

    Returns
    -------
    tuple
        The schema (None to take it from the population) and levels by name, the top first and members last.

    Raises
    ------
    ParameterError
        If a key is unknown, a parent is missing, or levels do not form a chain of one top and one bottom.

    Examples
    --------
    >>> _, found = read_levels(
    ...     {
    ...         "household": {"target_vars": ["income", "size"], "condition_vars": ["region"]},
    ...         "person": {"target_vars": ["age"], "condition_vars": ["household_size"], "parent_level": "household"},
    ...     },
    ...     None,
    ... )
    >>> list(found), found["person"].parent
    (['household', 'person'], 'household')
    """
    if isinstance(levels, Hierarchy):
        return levels, {entity.name: Level(entity.name) for entity in levels.entities}
    if not isinstance(levels, Mapping) or not levels:
        raise ParameterError(
            "levels must be a Hierarchy, or a dictionary such as {'household': {'target_vars': [...]}, 'person': "
            f"{{'target_vars': [...], 'parent_level': 'household'}}}}; got {levels!r}."
        )
    found = {name: _level(name, entry) for name, entry in levels.items()}
    _check_parents(found, schema)
    return schema, found


def _level(name: Any, entry: Any) -> Level:
    if not isinstance(entry, Mapping):
        raise ParameterError(f"level {name!r} must be a dictionary with target_vars; got {entry!r}.")
    wrong = [key for key in entry if key not in KEYS]
    if wrong:
        raise ParameterError(
            f"level {name!r} has no {wrong[0]!r}.{near_miss(str(wrong[0]), KEYS)} It may have {', '.join(KEYS)}."
        )
    rule = entry.get("rule")
    if rule is not None and not callable(rule):
        raise ParameterError(
            f"level {name!r}: rule must be a function that takes a table of members and gives a number for each; got "
            f"{rule!r}."
        )
    return Level(
        str(name),
        _names(entry, "target_vars", name),
        _names(entry, "condition_vars", name),
        entry.get("parent_level"),
        _names(entry, "outcome_vars", name),
        _names(entry, "structure_vars", name),
        rule,
    )


def _names(entry: Mapping[str, Any], key: str, level: Any) -> tuple[str, ...] | None:
    names = entry.get(key)
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        raise ParameterError(f"level {level!r}: {key} must be a list of column names; got {names!r}.")
    repeated = [n for n in names if names.count(n) > 1]
    if repeated:
        raise ParameterError(f"level {level!r}: {key} names {repeated[0]!r} twice.")
    return tuple(names)


def _check_parents(levels: dict[str, Level], schema: Hierarchy | None) -> None:
    tops = [level.name for level in levels.values() if level.parent is None]
    for level in levels.values():
        if level.parent is not None and level.outcomes is not None:
            raise ParameterError(f"level {level.name!r}: outcome_vars belong to the top level, {', '.join(tops)}.")
        if level.parent is None and level.structure is not None:
            raise ParameterError(f"level {level.name!r}: structure_vars belong to the members, not to the top level.")
        if level.parent is None and level.rule is not None:
            raise ParameterError(f"level {level.name!r}: a rule says who is in a group below the top level.")
        if level.parent is not None and level.parent not in levels:
            raise ParameterError(
                f"level {level.name!r} has the parent_level {level.parent!r}, which is no level."
                f"{near_miss(str(level.parent), levels)} Levels: {', '.join(levels)}."
            )
    if len(tops) != 1:
        raise ParameterError(
            f"exactly one level, the household, has no parent_level; here {len(tops)} do: {', '.join(tops) or 'none'}."
        )
    for name in levels:
        seen, at = {name}, levels[name].parent
        while at is not None:
            if at in seen:
                raise ParameterError(
                    f"the parent_level of {name!r} leads back to {at!r}: levels must not go in a circle."
                )
            seen.add(at)
            at = levels[at].parent
    known = None if schema is None else [entity.name for entity in schema.entities]
    for name in levels:
        if known is not None and name not in known:
            raise ParameterError(f"schema has no entity {name!r}.{near_miss(name, known)} It has {', '.join(known)}.")


def default_schema(levels: Mapping[str, Level], tables: Mapping[str, Frame]) -> Hierarchy:
    """Return a schema for levels without one: entities by their names, roles and weights as in `US` where they fit.

    Parameters
    ----------
    levels : mapping of str to Level
        The levels.
    tables : mapping of str to data frame
        The tables.

    Returns
    -------
    Hierarchy
        Households whose table has a column ``weight`` are weighted by it; a group that is one of those of `US`, with
        their column of roles and no other roles in it, has these roles.

    Raises
    ------
    SchemaError
        If a table is missing.

    Warns
    -----
    UserWarning
        If the column of roles holds something else, so that members have no roles.

    Examples
    --------
    >>> import pandas as pd
    >>> _, levels = read_levels({"household": {}, "person": {"parent_level": "household"}}, None)
    >>> tables = {
    ...     "households": pd.DataFrame({"household_id": [1]}),
    ...     "persons": pd.DataFrame({"person_id": [1], "household_id": [1], "relationship": ["head"]}),
    ... }
    >>> schema = default_schema(levels, tables)
    >>> schema.top.name, schema.top.head, schema.member.name
    ('household', 'head', 'person')
    """
    parents = {level.parent for level in levels.values()}
    bottoms = [name for name in levels if name not in parents]
    top = next(name for name, level in levels.items() if level.parent is None)
    known = {group.name for group in US.groups}
    if US.member.name in bottoms:
        bottoms = [US.member.name]
    elif len(bottoms) > 1:
        bottoms = [name for name in bottoms if name not in known]
    if len(bottoms) != 1:
        raise SchemaError(
            f"one level has no level below it: the members. Here {', '.join(bottoms) or 'none'} have none. Pass "
            "schema= to say which are groups."
        )
    for name in levels:
        if Entity(name).table not in tables:
            listed = ", ".join(map(str, tables)) or "no tables"
            raise SchemaError(
                f"level {name!r} needs a table {Entity(name).table!r}; got {listed}."
                f"{near_miss(Entity(name).table, tables)} Pass schema= for others."
            )
    people = tables[Entity(bottoms[0]).table]
    groups = [_group(name, levels[name], people) for name in (top, *(n for n in levels if n not in (top, bottoms[0])))]
    weight_col = "weight" if "weight" in column_names(tables[Entity(top).table]) else None
    return Hierarchy(Entity(bottoms[0]), tuple(groups), weight_col=weight_col)


def _group(name: str, level: Level, people: Frame) -> GroupEntity:
    """A group by its name, with the roles of the usual one where the members' table has them."""
    usual = next((group for group in US.groups if group.name == name), None)
    if usual is None or usual.role_col not in column_names(people):
        return GroupEntity(name, within=level.parent)
    read = read_column(people, str(usual.role_col))
    odd = [x for x in read.levels if x not in usual.roles] if read.codes is not None else ["numbers"]
    if not odd:
        return replace(usual, within=level.parent)
    warnings.warn(
        f"column {usual.role_col!r} holds {odd[0]!r}, which is no role in a {name} ({', '.join(usual.roles)}): members "
        "have no roles. Pass schema= with a GroupEntity that has roles and role_map.",
        stacklevel=6,
    )
    return GroupEntity(name, within=level.parent)
