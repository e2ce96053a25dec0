"""What ``microplex synthesize-households`` reads: tables of persons and their groups, roles and rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from microplex.cli.console import split_names

if TYPE_CHECKING:
    import pandas as pd

    from microplex.entities import GroupEntity, Hierarchy, Population
    from microplex.hierarchy.detect_result import DetectedConstraints

RELATIONSHIP, TAX_ROLE = "relationship", "tax_role"
ROLES, TAX_ROLES = ("--role-col", "--roles"), ("--tax-role-col", "--tax-roles")
CANONICAL = ("head", "spouse", "partner", "child")  # the order of roles where none is given
FEW = 40  # different values that a column of roles may have


@dataclass(frozen=True)
class TaxUnits:
    """Which columns say who is in which tax unit.

    Parameters
    ----------
    key : str
        Key of the tax units, in their table and in that of persons.
    role : str or None
        Role in the tax unit; `TAX_ROLE` where there is such a column, unless given.
    roles : str
        Codes and roles, or roles in order; as typed.
    variables : sequence of str
        Columns of tax units to take, all if empty.
    """

    key: str
    role: str | None
    roles: str
    variables: Sequence[str]


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
    tax_units : TaxUnits or None
        Columns of tax units, where there are any.
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
    tax_units: TaxUnits | None = None


def schema_of(persons: pd.DataFrame, columns: Columns) -> Hierarchy:
    """Say what households, tax units and persons are.

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
    from microplex.entities import Entity, Hierarchy

    member = Entity("person", key=columns.person_id)
    role = RELATIONSHIP if RELATIONSHIP not in columns.ignore else None
    groups = [_group(persons, "household", columns.household_id, columns.role, role, columns.roles, ROLES)]
    units = columns.tax_units
    if units is not None:
        check_columns([str(name) for name in persons.columns], [units.key], "person")
        groups.append(_group(persons, "tax_unit", units.key, units.role, TAX_ROLE, units.roles, TAX_ROLES))
    return Hierarchy(member, tuple(groups), columns.weight)


def _group(
    persons: pd.DataFrame, name: str, key: str, role: str | None, usual: str | None, text: str, options: tuple[str, str]
) -> GroupEntity:
    """Return a group with the roles that its column in the table of persons holds; none where there is no column."""
    from microplex._validation import check_columns
    from microplex.entities import US, GroupEntity

    names = [str(column) for column in persons.columns]
    if role is None and usual in names:
        role = usual
    if role is None and text and usual not in names:
        raise typer.BadParameter(f"needs the column that holds them: add {options[0]}.", param_hint=f"'{options[1]}'")
    if role is None:
        return GroupEntity(name, key=key)
    check_columns(names, [role], "role")
    order = US.group(name).roles if name != "household" else CANONICAL
    known, codes = read_roles(text, options[1]) if text else (named_roles(persons[role], role, order, options[1]), None)
    typed = None if codes is None else {_as_in(persons[role], code, options[1]): word for code, word in codes.items()}
    return GroupEntity(name, key=key, roles=known, role_col=role, role_map=typed)


def read_roles(text: str, option: str = "--roles") -> tuple[tuple[str, ...], dict[str, str] | None]:
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
                param_hint=repr(option),
            )
        if codes.setdefault(entry[0], entry[1]) != entry[1]:
            raise typer.BadParameter(
                f"code {entry[0]} is both {codes[entry[0]]!r} and {entry[1]!r}.", param_hint=repr(option)
            )
    return tuple(dict.fromkeys(codes.values())), codes


def named_roles(
    values: pd.Series, column: str, order: Sequence[str] = CANONICAL, option: str = "--roles"
) -> tuple[str, ...]:
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
            f"column {column!r} holds codes ({shown}): say what they are, such as {option} "
            f"1=head,2=spouse,3={order[-1]}.",
            param_hint=repr(option),
        )
    if CANONICAL[0] not in found or len(found) > FEW:
        raise typer.BadParameter(
            f"nobody is a {CANONICAL[0]!r} in column {column!r}, which has {shown}: name the roles in order, the head "
            f"first, or map them, such as {option} householder=head,wife=spouse.",
            param_hint=repr(option),
        )
    return (*(name for name in order if name in found), *sorted(set(found) - {*order}))


def population_of(tables: Sequence[pd.DataFrame], columns: Columns, schema: Hierarchy) -> Population:
    """Return the population of tables of persons, households and perhaps tax units, with the columns asked for.

    Raises
    ------
    MicroplexError
        If a column is not there, or the tables do not belong together.
    """
    from microplex._validation import check_columns
    from microplex.entities import as_population

    top, units = schema.top, columns.tax_units
    persons, households, *others = tables
    check_columns([name for table in tables for name in table.columns], columns.ignore, "ignored")
    keys = [top.key, *([schema.weight_col] if schema.weight_col else [])]
    homes = _taken(households, keys, [*columns.conditions, *columns.household_vars], columns.household_vars, columns)
    keys = [schema.member.key, *(str(name) for g in schema.groups for name in (g.key, g.role_col) if name)]
    people = _taken(persons, keys, columns.person_vars, columns.person_vars, columns)
    found = {top.table: homes, schema.member.table: people}
    if units is not None:
        keys = [units.key, str(top.key)]
        found["tax_units"] = _taken(others[0], keys, units.variables, units.variables, columns, "tax unit")
    return as_population(found, schema)


def rules_of(path: Path | None, population: Population, age_col: str) -> DetectedConstraints:
    """Read the rules of a file, or find those that hold.

    Raises
    ------
    FileNotFoundError, ConstraintError
        If the file is not there, or holds no rules.
    """
    from microplex.hierarchy.detect import detect_constraints
    from microplex.hierarchy.detect_result import DetectedConstraints
    from microplex.hierarchy.inner import in_words

    return (
        detect_constraints(in_words(population), age_col=age_col)
        if path is None
        else DetectedConstraints.from_yaml(path)
    )


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
    table: pd.DataFrame,
    keys: Sequence[str],
    named: Sequence[str],
    chosen: Sequence[str],
    columns: Columns,
    what: str | None = None,
) -> pd.DataFrame:
    """Return keys and variables of a table: the chosen ones, else all; without what is to be left out."""
    from microplex._validation import check_columns

    names = [str(name) for name in table.columns]
    check_columns(names, [*keys, *named], what or ("household" if keys[0] == columns.household_id else "person"))
    wanted = {*keys, *named} if chosen else {*names} - ({*columns.ignore} - {*keys, *named})
    return table[[name for name in names if name in wanted]]


def _as_in(values: pd.Series, code: str, option: str) -> Any:
    """Return a typed code as the column holds it: a number in a column of numbers."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return code
    try:
        number = float(code)
    except ValueError:
        raise typer.BadParameter(
            f"{code!r} is no number, but column {values.name!r} holds numbers.", param_hint=repr(option)
        ) from None
    return int(number) if number.is_integer() else number
