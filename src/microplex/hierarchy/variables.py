"""Which variable is drawn when: given, before the members, with their ages, with the rest, after them, or derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from microplex._validation import check_columns
from microplex.constraints import Constraint
from microplex.errors import ParameterError, near_miss
from microplex.hierarchy.detect_rules import Aggregate
from microplex.hierarchy.levels import SEXES, Level
from microplex.hierarchy.members import PERSON, ROLE
from microplex.hierarchy.rulebook import Rulebook, Total, total_column
from microplex.hierarchy.rules import AgeGap, Cardinality, Count
from microplex.hierarchy.splitting import Split, find_splits
from microplex.schema import Column

HOUSEHOLD = "household"


@dataclass(frozen=True)
class Variables:
    """The variables of a population by the stage that draws them.

    Attributes
    ----------
    given : tuple of str
        Household variables that are conditions.
    statics : tuple of str
        Household variables that are drawn before the members.
    outcomes : tuple of str
        Household variables that are drawn after them.
    remainders : mapping of str to tuple of str
        Outcomes that are at least the sum of columns of the members; what is over is drawn.
    strict : tuple of str
        Those of `remainders` where nothing may be below the sum.
    age : str or None
        Column of the age.
    structure : tuple of str
        Columns that are drawn with it.
    attributes : tuple of str
        The other columns of members.
    derived : tuple of Sum, Count and Aggregate
        Household variables that are computed from the members and the groups below.
    texts : tuple of constraints
        What holds on the row of a member.
    gaps : tuple of AgeGap
        Bounds on the age of a role, counted from another.
    home_texts : tuple of constraints
        What holds on the row of a household, columns named such as ``household.tenure``.
    age_texts : tuple of constraints
        What holds for the age and the role of a member.
    numbers : tuple of Cardinality
        Numbers of members in some roles.
    counted : mapping of str to tuple of int
        Given household variables that count the members in some roles.
    splits : tuple of Split
        Given household variables that are split over the members.
    """

    given: tuple[str, ...] = ()
    statics: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    remainders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strict: tuple[str, ...] = ()
    age: str | None = None
    structure: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    derived: tuple[Total, ...] = ()
    texts: tuple[Constraint, ...] = ()
    gaps: tuple[AgeGap, ...] = ()
    home_texts: tuple[Constraint, ...] = ()
    age_texts: tuple[Constraint, ...] = ()
    numbers: tuple[Cardinality, ...] = ()
    counted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    splits: tuple[Split, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """Columns of members that are drawn."""
        return (*([self.age] if self.age else ()), *self.structure, *self.attributes)


def sort_variables(
    top: Level,
    member: Level,
    available: Mapping[str, Sequence[str]],
    columns: Mapping[str, Column],
    rules: Rulebook,
    age: str | None,
    role_col: str,
    inner: Mapping[str, Sequence[str]] | None = None,
) -> Variables:
    """Sort the variables of households and members into stages.

    Parameters
    ----------
    top, member : Level
        What is wanted of households and of members.
    available : mapping of str to sequence of str
        Columns of the two levels' tables that may be drawn, by level.
    columns : mapping of str to Column
        What the household's columns are.
    rules : Rulebook
        What holds.
    age : str or None
        Column of the age.
    role_col : str
        Column of the role.
    inner : mapping of str to sequence of str, optional
        Groups below the household that are generated: their variables, and the column of the role in them.

    Raises
    ------
    ColumnNotFoundError, ParameterError
        If a column is not there, has two roles, or a condition is not available at its level.
    """
    given = tuple(top.conditions or ())
    wanted = list(available[top.name]) if top.targets is None else list(top.targets)
    if top.targets is not None and {*wanted} & {*given}:
        twice = next(c for c in wanted if c in given)
        raise ParameterError(f"{twice!r} is both a target and a condition of {top.name}; give it one role.")
    homes = [c for c in wanted if c not in given]
    check_columns(list(available[top.name]), [*homes, *given], f"{top.name} level")
    people = list(available[member.name]) if member.targets is None else [c for c in member.targets if c != role_col]
    check_columns(list(available[member.name]), people, f"{member.name} level")
    inner = inner or {}
    used = used_names(top, member, [*homes, *given], people, inner)
    known = {*people, role_col, *homes, *given, *(f"{top.name}.{c}" for c in (*homes, *given)), *names_of_inner(inner)}
    derived = tuple(r for r in rules.totals if _can_derive(r, top, homes, people, known | {ROLE}, inner))
    computed = {total_column(r, top.name) for r in derived}
    bounds = {total_column(r, top.name): (r, strict) for r, strict in rules.bounds if r.level in (HOUSEHOLD, top.name)}
    bounds = {c: found for c, found in bounds.items() if c in homes and set(found[0].reads) <= {*people}}
    drawn = [c for c in homes if c not in computed]
    outcomes = tuple(c for c in drawn if _is_outcome(c, top, used, columns[c], c in bounds))
    age = age if age in people else None
    structure = member.structure if member.structure is not None else tuple(c for c in people if c.lower() in SEXES)
    check_columns(people, list(structure), f"{member.name} structure")
    structure = tuple(structure) if age else ()
    return Variables(
        given=given,
        statics=tuple(c for c in drawn if c not in outcomes),
        outcomes=outcomes,
        remainders={c: tuple(rule.reads) for c, (rule, _) in bounds.items() if c in outcomes},
        strict=tuple(c for c, (_, strict) in bounds.items() if strict),
        age=age,
        structure=structure,
        attributes=tuple(c for c in people if c != age and c not in structure),
        derived=derived,
        texts=rules.rows,
        gaps=rules.gaps if age else (),
        splits=find_splits(rules, given, people, top.name),
    )


def names_of_inner(inner: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names that rules may use for variables of groups below the household.

    Examples
    --------
    >>> sorted(names_of_inner({"tax_unit": ["snap"]}))
    ['snap', 'tax_unit.snap']
    """
    return {name for group, columns in inner.items() for c in columns for name in (c, f"{group}.{c}")}


def used_names(
    top: Level, level: Level, homes: Sequence[str], people: Sequence[str], inner: Mapping[str, Sequence[str]]
) -> set[str]:
    """Household variables that a level is said to depend on; ``household_size`` is size, or household_size.

    Raises
    ------
    ParameterError
        If a condition is no variable.

    Examples
    --------
    >>> used_names(Level("household"), Level("person", conditions=("household_size",)), ["size"], ["age"], {})
    {'size'}
    """
    found = set()
    for name in level.conditions or ():
        plain = name.removeprefix(f"{top.name}_")
        below = {n for group, columns in inner.items() for c in columns for n in (c, f"{group}_{c}")}
        if name in homes or plain in homes:
            found.add(name if name in homes else plain)
        elif name not in people and name not in below:
            names = [*homes, *people, *sorted(below - {*homes, *people})]
            raise ParameterError(
                f"level {level.name!r} has the condition {name!r}, which is not available there: it is no variable of "
                f"{top.name} that is given or drawn before the members.{near_miss(name, names)} "
                f"There are {', '.join(names)}."
            )
    return found


def _can_derive(
    rule: Total,
    top: Level,
    homes: Sequence[str],
    people: Sequence[str],
    known: set[str],
    inner: Mapping[str, Sequence[str]],
) -> bool:
    """Whether a total of households is wanted, and all that it depends on is generated."""
    if rule.level not in (HOUSEHOLD, top.name) or total_column(rule, top.name) not in homes:
        return False
    if not {*rule.reads} <= known:
        return False
    if isinstance(rule, Count):
        return True
    if isinstance(rule, Aggregate):
        own = {c.removeprefix(f"{top.name}.") for c in rule.own}
        below = all(_is_below(c, level, inner) for c, level in rule.inner)
        return {*rule.parts} <= {*people} and own <= {*homes} and below
    if rule.of == PERSON:
        return {*rule.columns} <= {*people}
    return all(_is_below(c, rule.of, inner) for c in rule.columns)


def _is_below(name: str, group: str, inner: Mapping[str, Sequence[str]]) -> bool:
    return name.removeprefix(f"{group}.") in inner.get(group, ())


def _is_outcome(name: str, top: Level, used: set[str], column: Column, is_bound: bool) -> bool:
    if top.outcomes is not None:
        return name in top.outcomes
    return name not in used and (is_bound or column.is_numeric)
