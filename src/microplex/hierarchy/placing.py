"""Which stage keeps a declared rule: every rule is kept by construction somewhere, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import AllOf, AnyOf, Comparison, Constraint, Implies, Membership
from microplex.constraints import Sum as RowSum
from microplex.errors import ConstraintError
from microplex.frames import ColumnData
from microplex.hierarchy.members import PERSON, ROLE
from microplex.hierarchy.rulebook import Rulebook, total_column
from microplex.hierarchy.rules import AgeGap, Cardinality, Count
from microplex.hierarchy.rules_conditions import holds, parse_condition
from microplex.hierarchy.variables import HOUSEHOLD, Variables, names_of_inner

Floats = NDArray[np.float64]
OLDEST = 150


def place_rules(
    rules: Rulebook,
    variables: Variables,
    top: str,
    roles: Sequence[str],
    role_col: str,
    homes: Sequence[str],
    inner: Mapping[str, Sequence[str]] | None = None,
) -> Variables:
    """Give each rule the stage that keeps it.

    Parameters
    ----------
    rules : Rulebook
        What must hold.
    variables : Variables
        Which variable is drawn when.
    top : str
        Name of the household's level.
    roles : sequence of str
        Roles in the household.
    role_col : str
        Column of the role.
    homes : sequence of str
        Household variables that are given or generated.
    inner : mapping of str to sequence of str, optional
        Groups below the household that are generated, and their columns; what is said of them is kept there.

    Returns
    -------
    Variables

    Raises
    ------
    ConstraintError
        If a declared rule (not one that was detected) can be kept by no stage.
    """
    v = variables
    counted = {
        total: who
        for rule in rules.totals
        if isinstance(rule, Count) and rule.level in (HOUSEHOLD, top) and (total := total_column(rule, top)) in v.given
        if (who := roles_counted(rule.where, roles, role_col)) is not None
    }
    inner = inner or {}
    elsewhere = names_of_inner(inner) - {*v.members, *homes}
    rows, homely, aged = [], [], []
    lost: list[Any] = []
    for text in rules.rows:
        columns = set(text.columns)
        if columns & elsewhere:
            continue
        if columns <= {v.age, ROLE, role_col} and v.age in columns:
            aged.append(text)
        elif columns & {*v.attributes} and all(_is_known(c, v, role_col) for c in columns):
            rows.append(text)
        elif columns & {*v.statics, *v.outcomes} - {*v.remainders} and columns <= {*v.given, *v.statics, *v.outcomes}:
            homely.append(renamed(text, {c: f"{top}.{c}" for c in columns}))
        else:
            lost.append(text)
    kept = {total_column(rule, top) for rule in v.derived} | {split.total for split in v.splits} | counted.keys()
    for bound, place in ((rules.totals, kept), ([rule for rule, _ in rules.bounds], {*v.remainders})):
        others = [rule for rule in bound if rule.level not in inner]
        lost += [r for r in others if r.level not in (HOUSEHOLD, top) or total_column(r, top) not in place]
    lost += [rule for rule in rules.gaps if v.age is None or rule.column != v.age]
    lost += [rule for rule in rules.shared if rule.column not in homes]
    if rules.declared and lost:
        raise ConstraintError(
            f"no stage can keep '{lost[0]}': it must bind a variable that is generated after all that it depends on. "
            "Generate its columns (target_vars), take sex and the like out of structure_vars, or leave it out."
        )
    return replace(
        v, texts=tuple(rows), home_texts=tuple(homely), age_texts=tuple(aged), counted=counted,
        gaps=tuple(rule for rule in v.gaps if rule.column == v.age), numbers=rules.numbers,
    )  # fmt: skip


def _is_known(column: str, v: Variables, role_col: str) -> bool:
    return column in (*v.members, ROLE, role_col) or "." in column


def roles_counted(where: str, roles: Sequence[str], role_col: str) -> tuple[int, ...] | None:
    """Return the places of the roles that a count counts, or None if it asks for more than the role.

    Examples
    --------
    >>> roles_counted("role == 'child'", ["head", "spouse", "child"], "relationship")
    (2,)
    >>> roles_counted("age < 18", ["head", "child"], "relationship") is None
    True
    """
    if not where:
        return tuple(range(len(roles)))
    condition = parse_condition(where)
    if not set(condition.columns) <= {ROLE, role_col}:
        return None
    column = ColumnData(ROLE, "string", codes=np.arange(len(roles), dtype=np.int32), levels=tuple(roles))
    return tuple(np.flatnonzero(holds(condition, lambda _: column)).tolist())


def renamed(statement: Any, names: Mapping[str, str]) -> Any:
    """Return a constraint about other columns.

    Examples
    --------
    >>> from microplex.constraints import parse
    >>> print(renamed(parse("rooms < 3 -> pets == 0")[0], {"rooms": "home.rooms", "pets": "home.pets"}))
    `home.rooms` < 3 -> `home.pets` == 0
    """
    if isinstance(statement, Implies):
        return Implies(renamed(statement.condition, names), renamed(statement.consequence, names))
    if isinstance(statement, AllOf | AnyOf):
        return type(statement)(tuple(renamed(part, names) for part in statement.parts))
    if isinstance(statement, Membership):
        return replace(statement, column=names.get(statement.column, statement.column))
    if isinstance(statement, Comparison):
        return replace(statement, terms=tuple((names.get(c, c), k) for c, k in statement.terms))
    if isinstance(statement, RowSum):
        parts = tuple(names.get(c, c) for c in statement.parts)
        return replace(statement, total=names.get(statement.total, statement.total), parts=parts)
    raise ConstraintError(f"'{statement}' is not supported for household variables; say it of persons.")


def age_limits(texts: Sequence[Constraint], ages: Floats, roles: Sequence[str], age: str) -> Floats:
    """Ages of each role within what constraints allow, float64[2, n_roles].

    Parameters
    ----------
    texts : sequence of constraints
        About the age and the role alone.
    ages : float64[2, n_roles]
        Least and greatest age of each role.
    roles : sequence of str
        Roles.
    age : str
        Column of the age.

    Raises
    ------
    ConstraintError
        If nothing, or more than one range of ages is left to a role.

    Examples
    --------
    >>> from microplex.constraints import parse
    >>> age_limits(parse("role == 'head' -> age >= 18"), np.array([[15.0, 0], [90, 40]]), ["head", "child"], "age")
    array([[18.,  0.],
           [90., 40.]])
    """
    out = ages.copy()
    for role in range(len(roles)):
        years = np.unique([*np.arange(0.0, OLDEST), *ages[:, role]])
        years = years[(years >= ages[0, role]) & (years <= ages[1, role])]
        fits = np.ones(len(years), bool)
        who = ColumnData(ROLE, "string", codes=np.full(len(years), role, np.int32), levels=tuple(roles))
        known = ColumnData(age, "int", values=years)
        for text in texts:
            fits &= _kept(text, lambda name, known=known, who=who: known if name == age else who)
        allowed = np.flatnonzero(fits)
        if not len(allowed) or not fits[allowed[0] : allowed[-1] + 1].all():
            left = "no age" if not len(allowed) else "more than one range of ages"
            listed = "; ".join(map(str, texts))
            raise ConstraintError(
                f"'{listed}' leave {left} to members in the role {roles[role]!r}, who are from {ages[0, role]:g} to "
                f"{ages[1, role]:g} years old in training."
            )
        out[:, role] = years[allowed[0]], years[allowed[-1]]
    return out


def _kept(text: Constraint, lookup: Any) -> NDArray[np.bool_]:
    if isinstance(text, Implies):
        return np.asarray(~holds(text.condition, lookup) | holds(text.consequence, lookup))
    if isinstance(text, Comparison | Membership):
        return holds(text, lookup)
    raise ConstraintError(f"'{text}' cannot bind the age; compare it with a number, by role.")


def check_numbers(numbers: Sequence[Cardinality], gaps: Sequence[AgeGap], roles: Sequence[str]) -> None:
    """Check that rules name roles.

    Raises
    ------
    ConstraintError
        If a role is unknown, or no household can have the numbers.
    """
    named: list[tuple[Cardinality | AgeGap, str]] = [(rule, role) for rule in numbers for role in rule.roles]
    named += [(gap, role) for gap in gaps for role in (*gap.older, *gap.younger)]
    for rule, role in named:
        if role not in roles:
            raise ConstraintError(f"'{rule}' names {role!r}, which is no role. Roles: {', '.join(roles)}.")


__all__ = ["PERSON", "age_limits", "check_numbers", "place_rules", "renamed", "roles_counted"]
