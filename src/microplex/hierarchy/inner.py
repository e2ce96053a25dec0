"""Groups below the household, checked at the door: what is generated of them, and which rules they must keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from microplex._validation import check_columns
from microplex.constraints import AllOf, AnyOf, Comparison, Constraint, Implies, Membership, parse
from microplex.entities import Entity, GroupEntity, Hierarchy, Population
from microplex.errors import ConstraintError, ParameterError, SchemaError
from microplex.frames import Levelled, assign, column_names, read_column
from microplex.hierarchy.detect_rules import Together
from microplex.hierarchy.levels import Level
from microplex.hierarchy.reading import infer
from microplex.hierarchy.rulebook import Rulebook, total_column
from microplex.hierarchy.rules import Count, Implied
from microplex.hierarchy.rules_conditions import parse_condition
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.units_binding import keeps, member_rules
from microplex.hierarchy.units_partition import Kind
from microplex.hierarchy.variables import Variables, names_of_inner, used_names


def inner_columns(population: Population, levels: Mapping[str, Level]) -> dict[str, tuple[str, ...]]:
    """Return the variables of groups below the household that are generated, and the column of the role in them.

    Parameters
    ----------
    population : Population
        With these groups.
    levels : mapping of str to Level
        What is wanted.

    Returns
    -------
    dict of tuple
        By group; none where there are but households and members.

    Raises
    ------
    SchemaError, ParameterError
        If a group is not directly within the household, or a level below it has what belongs to another.
    ColumnNotFoundError
        If a variable is not there.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> levels = {"tax_unit": Level("tax_unit", ("snap",))}
    >>> inner_columns(as_population(make_population(3, seed=0)), levels)
    {'tax_unit': ('snap', 'tax_role')}
    """
    schema = population.schema
    member = levels.get(schema.member.name)
    if member is not None and member.rule is not None:
        raise ParameterError(f"level {member.name!r}: a rule says who is in a group; members are none.")
    found = {}
    for group in inner_groups(schema):
        level = levels[group.name]
        if group.within != schema.top.name:
            raise SchemaError(
                f"{group.name} is within {group.within!r}; only groups directly within {schema.top.name!r} can be "
                f"generated. Declare it within {schema.top.name!r}, or leave it out of the levels."
            )
        if level.structure is not None:
            raise ParameterError(f"level {level.name!r}: structure_vars belong to the members, {schema.member.name}.")
        known = free_columns(population, group)
        targets = known if level.targets is None else [c for c in level.targets if c != group.role_col]
        check_columns(known, targets, f"{group.name} level")
        found[group.name] = (*targets, *([group.role_col] if group.role_col else []))
    return found


def inner_groups(schema: Hierarchy) -> tuple[GroupEntity, ...]:
    """Groups below the top."""
    return schema.groups[1:]


def free_columns(population: Population, entity: Entity) -> list[str]:
    """Columns of an entity's table that are neither keys nor roles, weights or parents.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> population = as_population(make_population(3, seed=0))
    >>> free_columns(population, population.schema.top)[:2]
    ['state', 'county']
    """
    schema = population.schema
    keys = {other.key for other in schema.entities}
    roles = {group.role_col for group in schema.groups}
    fixed = keys | roles | {schema.weight_col} | set(schema.parents)
    return [c for c in column_names(population.table(entity.name)) if c not in fixed]


def in_words(population: Population) -> Population:
    """Return a population where the roles in groups below the household stand in words, whatever the file writes.

    Rules speak of roles by name.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> population = as_population(make_population(3, seed=0))
    >>> in_words(population) is population
    True
    """
    schema = population.schema
    coded = [group for group in inner_groups(schema) if group.role_map is not None]
    if not coded:
        return population
    words = {str(g.role_col): Levelled(population.roles(g.name).astype(np.int32), list(g.roles)) for g in coded}
    tables = dict(population.tables)
    tables[schema.member.table] = assign(tables[schema.member.table], words)
    groups = tuple(replace(group, role_map=None) if group in coded else group for group in schema.groups)
    return Population(Hierarchy(schema.member, groups, schema.weight_col, schema.parents), tables)


def with_unit_counts(rules: Rulebook, population: Population, inner: Mapping[str, Sequence[str]]) -> Rulebook:
    """Return rules with the sizes and numbers of units among them, however few the households that show them.

    Parameters
    ----------
    rules : Rulebook
        Those that were found.
    population : Population
        Training households.
    inner : mapping of str to sequence of str
        Groups below the household, and their columns.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> population = as_population(make_population(9, seed=0))
    >>> found = with_unit_counts(Rulebook(), population, {"tax_unit": ("n_persons", "tax_role")})
    >>> [str(rule) for rule in found.totals]  # doctest: +NORMALIZE_WHITESPACE
    ['tax_unit.n_persons == number of persons of a tax_unit',
     "n_tax_units == number of persons of a household with tax_role == 'head'"]
    """
    top = population.schema.top
    found: list[Count] = []
    for group in inner_groups(population.schema):
        sizes = np.asarray(population.aggregate(None, "count", group.name))
        own = [c for c in inner[group.name] if c != group.role_col and _equals(population, group, c, sizes)]
        found += [Count(f"{group.name}.{c}", "", group.name) for c in own]
        if group.roles:
            numbers = np.asarray(population.aggregate(None, "count", top.name, of=group.name))
            homes = [c for c in free_columns(population, top) if _equals(population, top, c, numbers)]
            found += [Count(c, f"{group.role_col} == {group.roles[0]!r}") for c in homes]
    bound = {(rule.level, total_column(rule, rule.level, top.name)) for rule in rules.totals}
    new = tuple(rule for rule in found if (rule.level, total_column(rule, rule.level)) not in bound)
    return replace(rules, totals=(*rules.totals, *new), raw=(*rules.raw, *new))


def with_member_rules(rules: Rulebook, population: Population, people: Sequence[str]) -> Rulebook:
    """Return rules with what those about the role in a unit imply for the members, who are drawn before units.

    Parameters
    ----------
    rules : Rulebook
        What must hold.
    population : Population
        With the groups.
    people : sequence of str
        Columns of members that are drawn.

    Raises
    ------
    ConstraintError
        If a rule speaks of a role by its code.
    """
    schema = population.schema
    for group in inner_groups(schema):
        if group.roles:
            _check_names(rules, group)
    known = [*people, *([schema.top.role_col] if schema.top.role_col else [])]
    grouped = [group for group in inner_groups(schema) if group.roles]
    new = [
        text
        for group in grouped
        for text in member_rules([*rules.raw, *_heads(population, group)], Kind.of(group), known)
    ]
    told = {str(text) for text in rules.rows}
    return replace(rules, rows=(*rules.rows, *(text for text in new if str(text) not in told)))


def _heads(population: Population, group: GroupEntity) -> Sequence[Constraint]:
    """Say that heads of households head a unit, where all do: who must not could leave a unit without a head."""
    top = population.schema.top
    if not top.roles or top.head is None:
        return ()
    heads = population.roles(top.name) == top.role_numbers((top.head,))[0]
    if (population.roles(group.name)[heads] != group.role_numbers((str(group.head),))[0]).any():
        return ()
    return parse(f"`{top.role_col}` == {top.head!r} -> `{group.role_col}` == {group.head!r}")


def _check_names(rules: Rulebook, group: GroupEntity) -> None:
    """Check that rules name roles as the schema does, not by the codes of the file."""
    for rule in rules.raw:
        for part in _conditions(rule):
            if isinstance(part, Membership) and part.column == group.role_col:
                odd = [value for value in part.values if value not in group.roles]
                if odd:
                    raise ConstraintError(
                        f"'{rule}' says {group.role_col} {odd[0]!r}, which is no role in a {group.name}: name roles as "
                        f"the schema does ({', '.join(group.roles)}), or leave constraints out to have them found."
                    )


def _conditions(rule: Any) -> Iterator[Any]:
    """Comparisons and memberships of a rule."""
    texts = [rule] if isinstance(rule, Constraint | AllOf) else []
    texts += parse(str(rule)) if isinstance(rule, Implied) else []
    texts += [parse_condition(text) for name in ("where", "then") if (text := getattr(rule, name, ""))]
    texts += [parse_condition(rule.when)] if isinstance(rule, Together) else []
    while texts:
        part = texts.pop()
        texts += (
            [part.condition, part.consequence]
            if isinstance(part, Implies)
            else list(part.parts)
            if isinstance(part, AllOf | AnyOf)
            else []
        )
        if isinstance(part, Comparison | Membership):
            yield part


def _equals(population: Population, entity: Entity, column: str, numbers: Any) -> bool:
    read = read_column(population.table(entity.name), column)
    return read.values is not None and len(np.unique(numbers)) > 1 and np.array_equal(read.values, numbers)


def check_inner(
    population: Population,
    levels: Mapping[str, Level],
    inner: Mapping[str, Sequence[str]],
    scene: Scene,
    rules: Rulebook,
    variables: Variables,
    kinds: Mapping[str, str],
) -> None:
    """Check that conditions of groups exist, and that every declared rule about them is kept somewhere.

    Raises
    ------
    ParameterError
        If a condition is no variable.
    ConstraintError
        If a declared rule can be kept by no group.
    """
    schema = population.schema
    homes, people = list(scene.home_columns), list(scene.member_columns)
    for name in inner:
        used_names(levels[schema.top.name], levels[name], homes, people, inner)
    if not rules.declared or not inner:
        return
    columns = {}
    for group in inner_groups(schema):
        targets = [c for c in inner[group.name] if c != group.role_col]
        columns[group.name] = Kind.of(group), infer(population.table(group.name), targets, kinds)
    about = names_of_inner(inner) - {*homes, *people}
    done = {id(rule) for rule in variables.derived}
    for rule in rules.raw:
        named = {*rule.reads, *rule.writes} if hasattr(rule, "writes") else {*rule.columns}
        if id(rule) in done or not (getattr(rule, "level", None) in inner or named & about):
            continue
        if not any(keeps(rule, scene, *of) for of in columns.values()):
            raise ConstraintError(
                f"no stage can keep '{rule}': of a group below the household, sums and counts over its members, "
                "constraints within its row, and what binds one of its variables with levels, or the role in it, to a "
                "member's row are kept. Generate its columns (target_vars), or leave it out."
            )
