"""Which variable is drawn when: given, before the members, with their ages, with the rest, after them, or derived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from microplex._validation import check_columns
from microplex.constraints import Constraint
from microplex.errors import ParameterError, near_miss
from microplex.hierarchy.detect_rules import Aggregate
from microplex.hierarchy.levels import SEXES, Level
from microplex.hierarchy.members import PERSON
from microplex.hierarchy.rulebook import Rulebook, Total
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
        Sums and counts that are computed from the members, of any group.
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
    used = _used(top, member, [*homes, *given], people)
    derived = tuple(r for r in rules.totals if _can_derive(r, top, homes, people))
    computed = {r.total for r in derived if r.level in (HOUSEHOLD, top.name)}
    bounds = {r.column: (r, strict) for r, strict in rules.bounds if r.level in (HOUSEHOLD, top.name)}
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


def _used(top: Level, member: Level, homes: Sequence[str], people: Sequence[str]) -> set[str]:
    """Household variables that members are said to depend on; ``household_size`` is size, or household_size."""
    found = set()
    for name in member.conditions or ():
        plain = name.removeprefix(f"{top.name}_")
        if name in homes or plain in homes:
            found.add(name if name in homes else plain)
        elif name not in people:
            names = [*homes, *people]
            raise ParameterError(
                f"level {member.name!r} has the condition {name!r}, which is not available there: it is no variable of "
                f"{top.name} that is given or drawn before the members.{near_miss(name, names)} "
                f"There are {', '.join(names)}."
            )
    return found


def _can_derive(rule: Total, top: Level, homes: Sequence[str], people: Sequence[str]) -> bool:
    """Whether a total of households is wanted and its parts are drawn; totals of smaller units always."""
    if rule.level not in (HOUSEHOLD, top.name):
        return True
    if isinstance(rule, Count):
        return rule.total in homes
    if isinstance(rule, Aggregate):
        return rule.total in homes and set(rule.parts) <= {*people} and set(rule.own) <= {*homes}
    return rule.total in homes and (rule.of != PERSON or set(rule.columns) <= {*people})


def _is_outcome(name: str, top: Level, used: set[str], column: Column, is_bound: bool) -> bool:
    if top.outcomes is not None:
        return name in top.outcomes
    return name not in used and (is_bound or column.is_numeric)
