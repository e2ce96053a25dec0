"""What comes in: populations, levels and households to complete, checked at the door and turned into arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.entities import US, Hierarchy, Population, as_population
from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names, frame_kind, n_rows, read_column, select
from microplex.hierarchy.inner import (
    check_inner,
    free_columns,
    in_words,
    inner_columns,
    with_member_rules,
    with_unit_counts,
)
from microplex.hierarchy.law import HouseholdLaw
from microplex.hierarchy.levels import Level, default_schema, read_levels
from microplex.hierarchy.placing import check_numbers, place_rules
from microplex.hierarchy.reading import Reading, infer, keys_of, read_population, read_values
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.rulebook import Rulebook, read_rules, total_column
from microplex.hierarchy.rules import Count
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values
from microplex.hierarchy.variables import Variables, sort_variables
from microplex.schema import Column

if TYPE_CHECKING:
    from microplex.hierarchy.synthesizer import HierarchicalSynthesizer

Floats = NDArray[np.float64]
MIN_HOUSEHOLDS = 10


@dataclass(frozen=True, eq=False)
class Form:
    """How tables are written.

    Attributes
    ----------
    schema : Hierarchy
        What the entities are.
    kind : str
        Kind of frame.
    columns : mapping of str to list of str
        Columns of each table, in order.
    codes : mapping of str to code
        What the file writes for each role.
    weight : float
        Total weight of the training households.
    n_households : int
        Training households.
    largest : int
        Size of the largest.
    size_col : str or None
        Household variable that counts the members.
    floats : sequence of str
        Household variables that follow from others and are not of a type of whole numbers.
    """

    schema: Hierarchy
    kind: str
    columns: Mapping[str, Sequence[str]]
    codes: Mapping[str, Any]
    weight: float
    n_households: int
    largest: int
    size_col: str | None = None
    floats: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """What fitting needs: whole households, which variable is drawn when, weights, and how tables are written.

    For groups below the household: the population, the row of its member table of each member of the scene, all rules
    and the levels.
    """

    scene: Scene
    variables: Variables
    weights: Floats
    repeatable: tuple[int, ...]
    form: Form
    population: Population
    order: Ints
    rules: Rulebook
    levels: Mapping[str, Level]

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of households and of members."""
        return len(self.weights), len(self.scene.roster.role)


def prepare(data: Any, asked: HierarchicalSynthesizer) -> Prepared:
    """Check a population against what is asked for, and read it.

    Raises
    ------
    DataError, SchemaError, ColumnNotFoundError, ParameterError
        If it cannot be used.
    """
    schema, levels = read_levels(asked.levels, asked.schema)
    population = _population(data, schema, levels)
    population = _narrow(population, levels)
    schema = population.schema
    top, member = schema.top, schema.member
    for entity in (top, member):
        if entity.name not in levels:
            raise ParameterError(f"levels need {entity.name!r}; they are {', '.join(levels)}.")
    inner = inner_columns(population, levels)
    weights = population.weights(top.name)
    kept = np.flatnonzero(weights > 0)
    # In the order of their keys: what is learned does not depend on the order of the rows.
    kept = kept[np.argsort(keys_of(population.table(top.name), top.key)[kept], kind="stable")]
    if not np.array_equal(kept, np.arange(len(weights))):
        population = population.take(kept)
        weights = weights[kept]
    if len(weights) < MIN_HOUSEHOLDS:
        raise DataError(
            f"a law of households is learned from {MIN_HOUSEHOLDS} households of positive weight or more; got "
            f"{len(weights)}."
        )
    drawn = levels[member.name].targets
    known = column_names(population.table(member.name)) if drawn is None else drawn
    age = asked.age_col if asked.age_col in known and asked.age_col in free_columns(population, member) else None
    reading = read_population(population, age)
    rules = read_rules(asked.constraints, in_words(population), age)
    if asked.constraints is None:
        rules = _with_counts(rules, population, _sizes(population, reading))
        rules = with_unit_counts(rules, population, inner)
    rules = with_member_rules(rules, population, known)
    available = {entity.name: free_columns(population, entity) for entity in (top, member)}
    kinds = dict(asked.kinds or {})
    listed = [c for entity in population.schema.entities for c in column_names(population.table(entity.name))]
    check_columns(list(dict.fromkeys(listed)), list(kinds), "kinds")
    wanted = levels[top.name]
    targets = available[top.name] if wanted.targets is None else wanted.targets
    homes = list(dict.fromkeys([*(wanted.conditions or ()), *targets]))
    check_columns(available[top.name], homes, f"{top.name} level")
    home_columns = infer(population.table(top.name), homes, kinds)
    labels = reading.labels
    variables = sort_variables(
        levels[top.name], levels[member.name], available, home_columns, rules, age, labels.role_col, inner
    )
    variables = place_rules(rules, variables, top.name, labels.roles, labels.role_col, homes, inner)
    check_numbers(variables.numbers, variables.gaps, labels.roles)
    variables = _with_size(population, variables, reading)
    member_columns = infer(population.table(member.name), variables.members, kinds)
    _check_structure(variables, member_columns)
    scene = Scene(
        reading.labels, reading.roster, read_values(population.table(top.name), home_columns),
        read_values(population.table(member.name), member_columns, reading.order), home_columns, member_columns,
        {split.total: split.parts for split in variables.splits},
    )  # fmt: skip
    present = np.flatnonzero(reading.roster.counts.any(axis=0))
    unique = {*(top.role_numbers(top.unique or ()) if top.roles else ()), 0 if top.roles else -1}
    couple = list(reading.roster.couple)
    if reading.roster.counts[:, couple].sum(axis=1).max(initial=0) <= 1:
        unique |= {*couple}
    repeatable = tuple(int(r) for r in present if r not in unique)
    check_inner(population, levels, inner, scene, rules, variables, kinds)
    form = _form(population, reading, variables)
    return Prepared(
        scene, variables, weights / weights.mean(), repeatable, form, population, reading.order, rules, levels
    )


def _population(data: Any, schema: Hierarchy | None, levels: Mapping[str, Level]) -> Population:
    if isinstance(data, Population):
        _check_levels(levels, data.schema)
        return data
    if schema is None:
        tables = (
            data if isinstance(data, Mapping) else {t: getattr(data, t) for t in US.table_names if hasattr(data, t)}
        )
        schema = default_schema(levels, tables)
        data = {name: tables[name] for name in schema.table_names}
    return as_population(data, schema)


def _narrow(population: Population, levels: Mapping[str, Level]) -> Population:
    """Leave out groups that are no level, with the member's columns that say who is in them."""
    schema = population.schema
    lost = [group for group in schema.groups if group.name not in levels]
    if not lost or schema.top.name not in levels:
        return population
    groups = tuple(group for group in schema.groups if group.name in levels)
    tables = {e.table: population.table(e.name) for e in (*groups, schema.member)}
    out = {column for group in lost for column in (group.key, group.role_col)}
    people = tables[schema.member.table]
    tables[schema.member.table] = select(people, [c for c in column_names(people) if c not in out])
    return Population(Hierarchy(schema.member, groups, schema.weight_col, schema.parents), tables)


def _check_levels(levels: Mapping[str, Level], schema: Hierarchy) -> None:
    known = [entity.name for entity in schema.entities]
    lost = [name for name in levels if name not in known]
    if lost:
        raise ParameterError(f"the population has no level {lost[0]!r}; it has {', '.join(known)}.")


def _check_structure(variables: Variables, columns: Mapping[str, Column]) -> None:
    if variables.age is not None and not columns[variables.age].is_numeric:
        raise DataError(f"column {variables.age!r} must hold ages in years; it is {columns[variables.age].kind}.")


def _form(population: Population, reading: Reading, variables: Variables) -> Form:
    schema = population.schema
    top = schema.top
    tables = {entity.table: population.table(entity.name) for entity in (top, schema.member)}
    drawn = {*variables.given, *variables.statics, *variables.outcomes, *variables.members}
    derived = [total_column(rule, top.name) for rule in variables.derived]
    drawn |= {*derived}
    fixed = {schema.member.key, schema.weight_col, *(name for g in schema.groups for name in (g.key, g.role_col))}
    columns = {name: [c for c in column_names(t) if c in drawn or c in fixed] for name, t in tables.items()}
    size_col = next((c for c, who in variables.counted.items() if len(who) == len(reading.labels.roles)), None)
    return Form(
        schema, frame_kind(tables[top.table]), columns, _codes(population), float(population.weights(top.name).sum()),
        len(reading.weights), int(reading.roster.sizes.max()), size_col,
        tuple(c for c in derived if read_column(tables[top.table], c).dtype == "float"),
    )  # fmt: skip


def _sizes(population: Population, reading: Reading) -> list[str]:
    """Household variables that count the members, in every household of several sizes."""
    top, sizes = population.schema.top, reading.roster.sizes
    frame = population.table(top.name)
    found = []
    for name in free_columns(population, top):
        read = read_column(frame, name)
        if read.values is not None and len(np.unique(sizes)) > 1 and np.array_equal(read.values, sizes):
            found.append(name)
    return found


def _with_counts(rules: Rulebook, population: Population, sizes: Sequence[str]) -> Rulebook:
    """Rules with the sizes of households among them, however few the households that show them."""
    top = population.schema.top.name
    known = {total_column(rule, top) for rule in rules.totals if rule.level in ("household", top)}
    return replace(rules, totals=(*rules.totals, *(Count(name, "") for name in sizes if name not in known)))


def _with_size(population: Population, variables: Variables, reading: Reading) -> Variables:
    """Note which given household variables count the members."""
    everyone = tuple(range(len(reading.labels.roles)))
    found = {name: everyone for name in _sizes(population, reading) if name in variables.given}
    return replace(variables, counted={**variables.counted, **found})


def _codes(population: Population) -> dict[str, Any]:
    """What the file writes for each role: the role itself, or the commonest of the codes that stand for it."""
    top = population.schema.top
    if top.role_map is None:
        return {role: role for role in top.roles}
    read = read_column(population.table(population.schema.member.name), str(top.role_col))
    if read.values is not None:
        values, times = np.unique(read.values, return_counts=True)
        seen = dict(zip(values.tolist(), times.tolist(), strict=True))
    else:
        assert read.codes is not None
        seen = dict(zip(read.levels, np.bincount(read.codes, minlength=len(read.levels)).tolist(), strict=True))
    out: dict[str, Any] = {}
    for code, role in top.role_map.items():
        if role not in out or seen.get(code, 0) > seen.get(out[role], 0):
            out[role] = code
    return out


def read_given(law: HouseholdLaw, form: Form, households: int | Frame) -> tuple[Values, Frame | None, int]:
    """Household variables that are given, the frame that holds them, and how many there are.

    Raises
    ------
    ParameterError
        If a number is not whole and positive, or the law needs conditions.
    ColumnNotFoundError, DataError
        If a condition is missing or unknown.
    """
    given = law.variables.given
    if isinstance(households, (int, np.integer)) and not isinstance(households, bool):
        if households < 1:
            raise ParameterError(f"generate needs a positive number of households, got {households}.")
        if given:
            raise ParameterError(
                f"households are generated given {', '.join(given)}: pass a table with a row for each household."
            )
        return {}, None, int(households)
    check_frame(households)
    columns = {c: law.home_columns[c] for c in given}
    check_columns(column_names(households), given, "condition")
    values = read_values(households, columns)
    for name, x in values.items():
        _check_given(name, x, columns[name])
    n = n_rows(households)
    if not n:
        raise DataError("the table of households has no rows.")
    for name in law.variables.counted:
        number, least = values[name], 1 if name == form.size_col else 0
        wrong = np.flatnonzero((number < least) | (number % 1 != 0))
        if len(wrong):
            raise DataError(
                f"{name!r} must be a whole number of members, at least {least}; row {wrong[0]} has "
                f"{number[wrong[0]]:g}."
            )
    large = int((values[form.size_col] > form.largest).sum()) if form.size_col in values else 0
    if large:
        warnings.warn(
            f"{large} households are larger than any in training ({form.largest} members): they get further members of "
            "the commonest role, which is extrapolation.",
            stacklevel=3,
        )
    return values, households, n


def _check_given(name: str, x: NDArray[Any], column: Column) -> None:
    if column.is_numeric:
        wrong = np.flatnonzero(np.isinf(x) | (np.isnan(x) & (column.missing == "none")))
        problem = "missing or infinite"
    else:
        wrong = np.flatnonzero((x == -2) | ((x == -1) & (column.missing == "none")))
        problem = f"missing or none of the levels {', '.join(map(repr, column.levels[:8]))}"
    if len(wrong):
        raise DataError(f"condition {name!r} is {problem} in row {wrong[0]} ({len(wrong)} such rows).")


class Whole(NamedTuple):
    """Households to be scored.

    Attributes
    ----------
    scene : Scene
        As arrays.
    population : Population
        As tables.
    order : int64[N]
        Row of the member table of each member of the scene.
    """

    scene: Scene
    population: Population
    order: Ints


def read_whole(law: HouseholdLaw, form: Form, data: Any) -> Whole:
    """Households to be scored, as arrays and as tables.

    Raises
    ------
    DataError, ColumnNotFoundError
        If the population does not fit the law.
    """
    tables = data.tables if isinstance(data, Population) else data
    if isinstance(tables, Mapping):
        tables = {name: frame for name, frame in tables.items() if name in form.schema.table_names}
    population = as_population(tables, replace(form.schema, weight_col=None))
    reading = read_population(population, law.variables.age)
    schema = population.schema
    homes, members = population.table(schema.top.name), population.table(schema.member.name)
    check_columns(column_names(homes), list(law.home_columns), schema.top.name)
    check_columns(column_names(members), list(law.member_columns), schema.member.name)
    scene = Scene(
        law.labels, reading.roster, read_values(homes, law.home_columns),
        read_values(members, law.member_columns, reading.order), law.home_columns, law.member_columns,
        {split.total: split.parts for split in law.variables.splits},
    )  # fmt: skip
    return Whole(scene, population, reading.order)
