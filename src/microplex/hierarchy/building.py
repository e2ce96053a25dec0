"""Tables of drawn households."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.encoding import writing
from microplex.entities import Hierarchy, Population
from microplex.frames import Frame, Levelled, assign, build_frame, column_names, frame_kind, select
from microplex.hierarchy.deriving import with_derived
from microplex.hierarchy.groups import DrawnGroup
from microplex.hierarchy.intake import Form
from microplex.hierarchy.law import HouseholdLaw
from microplex.hierarchy.reading import keys_of
from microplex.hierarchy.rulebook import total_column
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values
from microplex.hierarchy.units_writing import unit_columns, unit_table
from microplex.schema import Column, Schema

PLACES = 1000


def written(values: Values, columns: Mapping[str, Column], names: list[str]) -> dict[str, NDArray[Any] | Levelled]:
    """Columns of a frame from arrays."""
    if not names:
        return {}
    return writing.columns(Schema(tuple(columns[c] for c in names)), values, names)


def member_table(
    scene: Scene,
    schema: Hierarchy,
    names: list[str],
    ids: NDArray[Any],
    codes: Mapping[str, Any],
    first: int,
    kind: str,
) -> Frame:
    """The table of members: key, key of the household, role, and what was drawn.

    Parameters
    ----------
    scene : Scene
        Whole households.
    schema : Hierarchy
        What the entities are.
    names : list of str
        Columns of members, in order.
    ids : array of n
        Keys of the households.
    codes : mapping of str to code
        What the file writes for each role.
    first : int
        Place of the first household.
    kind : str
        Kind of frame.
    """
    roster, top, member = scene.roster, schema.top, schema.member
    columns: dict[str, Any] = {
        member.key: (first + 1 + roster.household) * PLACES + roster.place + 1,
        top.key: ids[roster.household],
    }
    if top.roles:
        columns[str(top.role_col)] = Levelled(roster.role.astype(np.int32), [codes[r] for r in top.roles])
    return build_frame(columns | written(scene.member, scene.member_columns, names), kind)


def build_population(
    law: HouseholdLaw,
    form: Form,
    scene: Scene,
    given: Frame | None,
    first: int,
    groups: Sequence[DrawnGroup] = (),
) -> Population:
    """Tables of drawn households, in the columns, types and kind of frame of the training tables.

    Parameters
    ----------
    law, form
        What was learned, and how tables are written.
    scene : Scene
        Whole households.
    given : frame or None
        Households that were completed; their other columns are carried along.
    first : int
        Place of the first household.
    groups : sequence of DrawnGroup
        Groups below the household, as they were drawn.
    """
    schema, n = form.schema, len(scene.roster.counts)
    top = schema.top
    v = law.variables
    ids = np.arange(first + 1, first + n + 1)
    names = [c for c in form.columns[top.table] if c in scene.home]
    if given is None:
        kind = form.kind
        weight = {schema.weight_col: np.full(n, form.weight / n)} if schema.weight_col else {}
        homes = build_frame({top.key: ids} | weight | written(scene.home, law.home_columns, names), kind)
    else:
        kind = frame_kind(given)
        drawn = [c for c in names if c not in v.given]
        # A total that follows from the members is theirs, not what the given table happened to carry.
        stale = {total_column(rule, top.name) for rule in v.derived}
        given = select(given, [c for c in column_names(given) if c in v.given or c not in stale])
        homes = assign(given, written(scene.home, law.home_columns, drawn))
        if schema.weight_col and schema.weight_col not in column_names(given):
            homes = assign(homes, {schema.weight_col: np.full(n, form.weight / n)})
        if top.key in column_names(given):
            ids = keys_of(given, top.key)
        else:
            homes = assign(homes, {top.key: ids})
    listed = [c for c in form.columns[schema.member.table] if c in scene.member]
    people = member_table(scene, schema, listed, ids, form.codes, first, kind)
    tables = {top.table: homes}
    for drawn_group in groups:
        people = assign(people, unit_columns(*drawn_group.written, drawn_group.roles, first, PLACES))
        tables[drawn_group.form.table] = unit_table(*drawn_group.written, drawn_group.values, ids, first, PLACES, kind)
    tables[schema.member.table] = people
    tables[top.table] = with_derived(tables, schema, v.derived, v.age, form.floats)
    for name, columns in form.columns.items():
        have = column_names(tables[name])
        tables[name] = select(tables[name], [c for c in columns if c in have] + [c for c in have if c not in columns])
    return Population(schema, tables)
