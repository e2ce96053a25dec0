"""What ``microplex synthesize-households`` reads: tables of persons and households, their roles and their rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from microplex.cli.console import split_names

if TYPE_CHECKING:
    import pandas as pd

    from microplex.entities import Hierarchy, Population
    from microplex.hierarchy.detect_result import DetectedConstraints

RELATIONSHIP = "relationship"
CANONICAL = ("head", "spouse", "partner", "child")  # the order of roles where none is given
FEW = 40  # different values that a column of roles may have


@dataclass(frozen=True)
class Columns:
    """Which columns are what.

    Parameters
    ----------
    household_id, person_id : str
        Keys.
    role : str or None
        Role in the household; `RELATIONSHIP` where there is such a column, unless given.
    roles : str
        Codes and roles, or roles in order; as typed.
    weight : str or None
        Survey weight, of households.
    household_vars, person_vars, ignore : sequence of str
        Columns to take, all if empty, and to leave out.
    conditions : sequence of str
        Household variables that are given.
    """

    household_id: str
    person_id: str
    role: str | None
    roles: str
    weight: str | None
    household_vars: Sequence[str]
    person_vars: Sequence[str]
    ignore: Sequence[str]
    conditions: Sequence[str]


def schema_of(persons: pd.DataFrame, columns: Columns) -> Hierarchy:
    """Say what households and persons are.

    Raises
    ------
    ColumnNotFoundError
        If there is no such column of roles.
    typer.BadParameter
        If roles cannot be read, or are needed.

    Examples
    --------
    >>> import pandas as pd
    >>> persons = pd.DataFrame({"household_id": [1, 1], "person_id": [1, 2], "relationship": [1, 2]})
    >>> columns = Columns("household_id", "person_id", None, "1=head,2=child", None, (), (), (), ())
    >>> schema_of(persons, columns).top.role_map
    {1: 'head', 2: 'child'}
    """
    from microplex._validation import check_columns
    from microplex.entities import Entity, GroupEntity, Hierarchy

    names = [str(name) for name in persons.columns]
    role = columns.role
    if role is None and columns.roles and RELATIONSHIP not in names:
        raise typer.BadParameter("needs the column that holds them: add --role-col.", param_hint="'--roles'")
    if role is None and RELATIONSHIP in names and RELATIONSHIP not in columns.ignore:
        role = RELATIONSHIP
    member = Entity("person", key=columns.person_id)
    if role is None:
        return Hierarchy(member, (GroupEntity("household", key=columns.household_id),), columns.weight)
    check_columns(names, [role], "role")
    known, codes = read_roles(columns.roles) if columns.roles else (named_roles(persons[role], role), None)
    typed = None if codes is None else {_as_in(persons[role], code): name for code, name in codes.items()}
    top = GroupEntity("household", key=columns.household_id, roles=known, role_col=role, role_map=typed)
    return Hierarchy(member, (top,), columns.weight)


def read_roles(text: str) -> tuple[tuple[str, ...], dict[str, str] | None]:
    """Read ``1=head,2=spouse`` as roles and codes, or ``head,spouse`` as roles.

    Raises
    ------
    typer.BadParameter
        If only some have a code, or a code has two roles.

    Examples
    --------
    >>> read_roles("1=head,2=spouse,3=child,4=child")
    (('head', 'spouse', 'child'), {'1': 'head', '2': 'spouse', '3': 'child', '4': 'child'})
    >>> read_roles("head, child")
    (('head', 'child'), None)
    """
    entries = [[word.strip() for word in entry.split("=", 1)] for entry in split_names(text)]
    if all(len(entry) == 1 for entry in entries):
        return tuple(entry[0] for entry in entries), None
    codes: dict[str, str] = {}
    for entry in entries:
        if len(entry) == 1 or not all(entry):
            raise typer.BadParameter(
                f"{'='.join(entry)!r} must be a code and its role such as 1=head; or name the roles alone.",
                param_hint="'--roles'",
            )
        if codes.setdefault(entry[0], entry[1]) != entry[1]:
            raise typer.BadParameter(
                f"code {entry[0]} is both {codes[entry[0]]!r} and {entry[1]!r}.", param_hint="'--roles'"
            )
    return tuple(dict.fromkeys(codes.values())), codes


def named_roles(values: pd.Series, column: str) -> tuple[str, ...]:
    """Return the roles that a column names: head, spouse, partner and child first, then the others by name.

    Raises
    ------
    typer.BadParameter
        If it holds codes, or nobody is a head.

    Examples
    --------
    >>> import pandas as pd
    >>> named_roles(pd.Series(["lodger", "head", "child", "head"]), "relationship")
    ('head', 'child', 'lodger')
    """
    found = values.dropna().unique().tolist()
    shown = ", ".join(map(str, sorted(found)[:FEW])) + (", ..." if len(found) > FEW else "")
    if not all(isinstance(name, str) for name in found):
        raise typer.BadParameter(
            f"column {column!r} holds codes ({shown}): say what they are, such as --roles 1=head,2=spouse,3=child.",
            param_hint="'--roles'",
        )
    if CANONICAL[0] not in found or len(found) > FEW:
        raise typer.BadParameter(
            f"nobody is a {CANONICAL[0]!r} in column {column!r}, which has {shown}: name the roles in order, the head "
            "first, or map them, such as --roles householder=head,wife=spouse.",
            param_hint="'--roles'",
        )
    return (*(name for name in CANONICAL if name in found), *sorted(set(found) - {*CANONICAL}))


def population_of(persons: pd.DataFrame, households: pd.DataFrame, columns: Columns, schema: Hierarchy) -> Population:
    """Return the population of two tables, with the columns that are asked for.

    Raises
    ------
    MicroplexError
        If a column is not there, or the tables do not belong together.
    """
    from microplex._validation import check_columns
    from microplex.entities import as_population

    top = schema.top
    check_columns([*households.columns, *persons.columns], columns.ignore, "ignored")
    keys = [top.key, *([schema.weight_col] if schema.weight_col else [])]
    homes = _taken(households, keys, [*columns.conditions, *columns.household_vars], columns.household_vars, columns)
    keys = [schema.member.key, top.key, *([top.role_col] if top.role_col else [])]
    people = _taken(persons, keys, columns.person_vars, columns.person_vars, columns)
    return as_population({top.table: homes, schema.member.table: people}, schema)


def rules_of(path: Path | None, population: Population, age_col: str) -> DetectedConstraints:
    """Read the rules of a file, or find those that hold.

    Raises
    ------
    FileNotFoundError, ConstraintError
        If the file is not there, or holds no rules.
    """
    from microplex.hierarchy.detect import detect_constraints
    from microplex.hierarchy.detect_result import DetectedConstraints

    return detect_constraints(population, age_col=age_col) if path is None else DetectedConstraints.from_yaml(path)


def unsure(rules: DetectedConstraints) -> list[str]:
    """Say which rules nobody breaks but are not kept, as there are too few households to be sure.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.hierarchy.detect import detect_constraints
    >>> print(*unsure(detect_constraints(make_population(3000, seed=0)).only("Sum")))
    <BLANKLINE>
    """
    found = [
        str(item)
        for item in rules
        if not item.exact
        and item.kind not in ("AgeGap", "Cardinality")
        and item.evidence is not None
        and item.evidence.broken == 0
    ]
    if not found:
        return []
    shown = "; ".join(found[:3]) + ("; ..." if len(found) > 3 else "")
    return [
        f"{len(found)} rules hold without exception, but there are too few households to rely on them, so they are "
        f"not kept: {shown}. To keep them, write them with --save-constraints, set exact: true, pass --constraints."
    ]


def read_kinds(text: str, known: Sequence[str]) -> dict[str, str]:
    """Read ``tenure=categorical,status=categorical``.

    Raises
    ------
    typer.BadParameter
        If an entry is no column and kind.
    ColumnNotFoundError
        If there is no such column.

    Examples
    --------
    >>> read_kinds("tenure=categorical", ["tenure"])
    {'tenure': 'categorical'}
    """
    from microplex._validation import check_columns
    from microplex.schema import KINDS

    kinds = {}
    for entry in split_names(text):
        name, _, kind = (word.strip() for word in entry.rpartition("="))
        if not name or kind not in KINDS:
            raise typer.BadParameter(
                f"{entry!r} must be a column and its kind such as tenure=categorical; kinds: {', '.join(KINDS)}.",
                param_hint="'--kinds'",
            )
        kinds[name] = kind
    check_columns(known, list(kinds), "kind")
    return kinds


def _taken(
    table: pd.DataFrame, keys: Sequence[str], named: Sequence[str], chosen: Sequence[str], columns: Columns
) -> pd.DataFrame:
    """Return keys and variables of a table: the chosen ones, else all; without what is to be left out."""
    from microplex._validation import check_columns

    names = [str(name) for name in table.columns]
    check_columns(names, [*keys, *named], "household" if keys[0] == columns.household_id else "person")
    wanted = {*keys, *named} if chosen else {*names} - ({*columns.ignore} - {*keys, *named})
    return table[[name for name in names if name in wanted]]


def _as_in(values: pd.Series, code: str) -> Any:
    """Return a typed code as the column holds it: a number in a column of numbers."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return code
    try:
        number = float(code)
    except ValueError:
        raise typer.BadParameter(
            f"{code!r} is no number, but column {values.name!r} holds numbers.", param_hint="'--roles'"
        ) from None
    return int(number) if number.is_integer() else number
