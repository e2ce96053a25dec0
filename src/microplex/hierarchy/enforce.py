"""Consistent households from flat persons: rules enforced with as few changes as they need."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from microplex._validation import check_choice, check_columns, check_seed
from microplex.errors import ConstraintError, DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names, frame_kind, read_column
from microplex.hierarchy.enforce_ages import enforce_ages
from microplex.hierarchy.enforce_changes import Enforced
from microplex.hierarchy.enforce_draft import Draft
from microplex.hierarchy.enforce_plan import Step, founding_rules, plan, read_rules
from microplex.hierarchy.enforce_split import split_total
from microplex.hierarchy.enforce_values import (
    HouseholdTable,
    describe,
    enforce_cardinality,
    enforce_implied,
    enforce_linear,
    enforce_lower_bound,
    enforce_shared,
    enforce_total,
)
from microplex.hierarchy.members import PERSON, ROLE, Ints, Members, cell_text
from microplex.hierarchy.rules import AgeGap, Cardinality, Count, Implied, Linear, LowerBound, Rule, Shared, Sum

_POSITIONS = ("head", "spouse", "child")


def enforce_hierarchy(
    data: Frame,
    household_id: str,
    shared_vars: Sequence[str] = (),
    relationship_constraints: Mapping[str, Mapping[str, float]] | None = None,
    *,
    relationship: str | None = None,
    roles: Mapping[Any, str] | None = None,
    constraints: Sequence[Rule | Mapping[str, Any] | str] = (),
    shared: str = "household",
    households: Frame | None = None,
    groups: Mapping[str, str] | None = None,
    weight_col: str | None = None,
    reference: Frame | None = None,
    mode: str | None = None,
    totals: str = "derive",
    age_col: str = "age",
    age_range: tuple[float, float | None] = (0, None),
    member_id: str | None = None,
    positional: bool = False,
    seed: int = 0,
    return_changes: bool = False,
) -> Any:
    """Make households consistent: change the cells that break a rule, and no others.

    It removes impossibilities; it cannot bring back the dependence between members that a flat synthesis lost. Rules
    are met in an order in which none undoes another, so doing it twice changes nothing more; rules for which there
    is no such order, or that contradict each other, are an error. The outcome for a household depends on its members,
    the rules and the seed alone: not on the order of rows nor on other households.

    Parameters
    ----------
    data : pandas, polars or Arrow table
        One row a person; household variables are repeated on the rows of members.
    household_id : str
        Column with the household's id.
    shared_vars : sequence of str
        Variables that all members of a household have in common; short for ``Shared(column, source=shared)``.
    relationship_constraints : mapping, optional
        ``{"spouse_age_diff": {"max": 20}, "child_age": {"max_parent_diff": 18}}``: the head and the spouse or partner
        are at most 20 years apart; the head, spouse or partner is at least 18 years older than a child. Mind the
        name: `max_parent_diff` is the *least* gap. ``min_parent_diff`` says the same. Without `relationship`, roles
        go by position, with a warning.
    relationship : str, optional
        Column with the relationship to the head. Roles "head", "spouse", "partner" and "child" have a meaning to
        `relationship_constraints`; others may be used in rules.
    roles : mapping, optional
        The file's codes to roles: ``{1: "head", 2: "spouse"}``. A code that is not mapped is an error.
    constraints : sequence
        Rules of `microplex.hierarchy.rules`, their dictionaries, or text such as ``"age < 15 -> wage == 0"``.
    shared : str
        Source of `shared_vars`: "household", the household table's value, else the head's, else that of a member
        drawn; "head", "mode", "mean" or "random".
    households : data frame, optional
        The household table, one row a household, with `household_id` and shared variables.
    groups : mapping of str to str, optional
        Further units and their id columns: ``{"tax_unit": "tax_unit_id"}``.
    weight_col : str, optional
        Weights: ages move least where the weight is; modes and means are weighted, and so are shares in the log.
    reference : data frame, optional
        Real persons with the same columns, for drawing age gaps and implied values.
    mode : str, optional
        How ages move: "project", the least sum of weight times years (exactly so where all gaps are to one member;
        else near it), or "donor", members who do not fit get a gap drawn from the reference among those that fit.
        "donor" where there is a reference, unless given.
    totals : str
        "derive" totals from their parts, or "split" totals over their parts: in proportion, whole numbers exactly by
        largest remainders, zeros kept.
    age_col : str
        Column with the age in years.
    age_range : tuple
        Least and greatest age that a person may be moved to; None for no limit.
    member_id : str, optional
        Column that tells the members of a household apart. Without it members of one role and age are told apart by
        their other columns; rows alike in all columns are interchangeable.
    positional : bool
        Take the first row of a household as head, the second as spouse and the others as children, with a warning.
    seed : int
        Seed of the draws, which are keyed by household and member.
    return_changes : bool
        Return the pair ``(data, changes)`` instead of the table alone.

    Returns
    -------
    table
        Of the kind given, with its index, column types and order of rows. With `return_changes`, an
        `Enforced` pair of it and a `ChangeLog`.

    Raises
    ------
    ColumnNotFoundError, DataError, ParameterError
        If the input cannot be used; the message names the column and row.
    ConstraintError
        If rules contradict or wait for each other, or no values meet them.

    Examples
    --------
    >>> import pandas as pd
    >>> flat = pd.DataFrame({
    ...     "household_id": [1, 1, 1], "relationship": ["head", "spouse", "child"],
    ...     "age": [40, 75, 30], "region": ["N", "S", "N"],
    ... })
    >>> data, changes = enforce_hierarchy(
    ...     flat, "household_id", ["region"], {"spouse_age_diff": {"max": 20}, "child_age": {"max_parent_diff": 18}},
    ...     relationship="relationship", return_changes=True,
    ... )
    >>> data.values.tolist()
    [[1, 'head', 40, 'N'], [1, 'spouse', 60, 'N'], [1, 'child', 30, 'N']]
    >>> print(changes)
    1 of 3 persons (33.3% by weight) in 1 of 1 households changed.
      region: 1 cell in 1 household (region is the same for all in a household)
      age: 1 cell in 1 household, moved by 15 in all (a spouse or partner is at most 20 years from the head; ...)
    """
    seed = check_seed(seed)
    check_choice(totals, ("derive", "split"), "totals")
    check_frame(data)
    settings = _settings(mode, reference, age_range, seed, totals == "split")
    rules = _rules(shared_vars, shared, relationship_constraints, constraints, age_col)
    fixed = [name for name in (household_id, weight_col, member_id, *(groups or {}).values()) if name]
    steps = plan(rules, relationship, settings.split, fixed)
    _check_named(column_names(data), rules, weight_col, member_id, relationship)
    members = Members.read(
        data, household_id, relationship, roles, groups=groups, weight_col=weight_col, age_col=age_col
    )
    if relationship is None and (positional or relationship_constraints):
        members.roles = _by_position(members, positional)
        members.role_names = _POSITIONS
    real = None if reference is None else _reference(reference, data, household_id, relationship, roles, groups,
                                                     weight_col, age_col)  # fmt: skip
    if member_id is not None:
        _check_member_ids(data, member_id, members)
    table = None if households is None else HouseholdTable.of(households, household_id, members)
    draft = Draft(data, members, relationship, lambda role: _code(role, roles), member_id)
    for step in steps:
        _apply(draft, step, table, real, settings)
    _verify(members, rules)
    frame = draft.frame
    if frame is data and frame_kind(frame) == "pandas":
        frame = frame.copy()
    return Enforced(frame, draft.log()) if return_changes else frame


def generate_with_hierarchy(
    synthesizer: Any,
    conditions: Frame,
    household_id: str,
    shared_vars: Sequence[str] = (),
    relationship_constraints: Mapping[str, Mapping[str, float]] | None = None,
    *,
    seed: int = 0,
    id_col: str | None = None,
    first_row: int = 0,
    **options: Any,
) -> Any:
    """Generate persons and make their households consistent: ``generate`` and then `enforce_hierarchy`.

    Parameters
    ----------
    synthesizer : Synthesizer
        Fitted.
    conditions : data frame
        One row a person, with the condition variables and `household_id`.
    household_id, shared_vars, relationship_constraints
        As for `enforce_hierarchy`.
    seed : int
        Seed of both.
    id_col, first_row
        As for `Synthesizer.generate`. Chunks must hold whole households.
    **options
        Further arguments of `enforce_hierarchy`.

    Returns
    -------
    table
        As of `enforce_hierarchy`.

    Raises
    ------
    MicroplexError
        As `Synthesizer.generate` and `enforce_hierarchy` do.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex import Synthesizer
    >>> persons = pd.DataFrame({"h": np.arange(400) // 2, "age": np.arange(400) % 60 + 20})
    >>> persons["rent"] = 100 * (persons["h"] % 7)
    >>> synth = Synthesizer(["rent"], ["age"], epochs=1, n_orders=0).fit(persons)
    >>> generated = generate_with_hierarchy(synth, persons[["h", "age"]], "h", ["rent"], seed=1)
    >>> int(generated.groupby("h")["rent"].nunique().max())
    1
    """
    check_columns(column_names(conditions), [household_id], "household id")
    flat = synthesizer.generate(conditions, seed=seed, id_col=id_col, first_row=first_row)
    return enforce_hierarchy(flat, household_id, shared_vars, relationship_constraints, seed=seed, **options)


@dataclass(frozen=True)
class _Settings:
    donor: bool
    age_range: tuple[float, float]
    seed: int
    split: bool


def _settings(
    mode: str | None, reference: Frame | None, age_range: tuple[float, float | None], seed: int, split: bool
) -> _Settings:
    if mode is not None:
        check_choice(mode, ("project", "donor"), "mode")
    if mode == "donor" and reference is None:
        raise ParameterError("mode='donor' draws real age gaps: give reference=, a table of real persons.")
    low, high = age_range
    limits = (float(low), np.inf if high is None else float(high))
    if not limits[0] <= limits[1]:
        raise ParameterError(f"age_range must be the least and the greatest age; got {age_range!r}.")
    return _Settings(reference is not None and mode != "project", limits, seed, split)


def _rules(
    shared_vars: Sequence[str], source: str, founding: Mapping[str, Any] | None, constraints: Any, age_col: str
) -> tuple[Rule, ...]:
    if isinstance(shared_vars, str):
        raise ParameterError(f"shared_vars must be a list of columns; write [{shared_vars!r}].")
    rules: list[Rule] = [Shared(name, source) for name in shared_vars]
    rules += founding_rules(founding or {}, age_col)
    rules += read_rules(constraints)
    return tuple(dict.fromkeys(rules))


def _check_named(
    names: Sequence[str], rules: Sequence[Rule], weight_col: str | None, member_id: str | None, relationship: str | None
) -> None:
    for name, what in ((weight_col, "weight"), (member_id, "member id"), (relationship, "relationship")):
        if name is not None:
            check_columns(names, [name], what)
    for rule in rules:
        wanted = {*rule.reads, *rule.writes} - {ROLE}
        check_columns(names, sorted(wanted), f"'{rule}':")


def _check_member_ids(data: Frame, member_id: str, members: Members) -> None:
    """Check that no two members of a household have one id."""
    ids = read_column(data, member_id)
    of, values = members.units["household"].of, ids.values if ids.codes is None else ids.codes
    assert values is not None
    by = np.lexsort((np.arange(members.n), values, of))
    again = np.flatnonzero((of[by][1:] == of[by][:-1]) & (values[by][1:] == values[by][:-1]))
    for row, problem in ((by[again + 1], "twice in its household"), (np.flatnonzero(ids.missing), "missing")):
        if len(row):
            raise DataError(
                f"member id {cell_text(ids, int(row[0]))} of row {row[0]} is {problem}. Number members anew."
            )


def _by_position(members: Members, asked: bool) -> Ints:
    """Return roles by the place of a row in its household, with a warning."""
    warnings.warn(
        "roles go by position: the first row of each household is taken as its head, the second as spouse, the others "
        "as children" + ("." if asked else ", for no relationship= column is named."),
        UserWarning,
        stacklevel=3,
    )
    of = members.units["household"].of
    by = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], of[by][1:] != of[by][:-1]]))
    place = np.empty(members.n, dtype=np.int64)
    place[by] = np.arange(members.n) - np.repeat(starts, np.diff([*starts.tolist(), members.n]))
    return np.minimum(place, len(_POSITIONS) - 1)


def _reference(
    reference: Frame,
    data: Frame,
    household_id: str,
    relationship: str | None,
    roles: Mapping[Any, str] | None,
    groups: Mapping[str, str] | None,
    weight_col: str | None,
    age_col: str,
) -> Members:
    """Read real persons; those columns that they lack are missed when a rule asks for them."""
    names = column_names(reference)
    check_columns(names, [household_id, *([relationship] if relationship else [])], "reference")
    kept = {level: name for level, name in (groups or {}).items() if name in names}
    weight = weight_col if weight_col in names else None
    return Members.read(
        reference, household_id, relationship, roles, groups=kept, weight_col=weight, age_col=age_col
    )  # fmt: skip


def _code(role: str, roles: Mapping[Any, str] | None) -> Any:
    """Return the file's code of a role."""
    if roles is None:
        return role
    for code, name in roles.items():
        if name == role:
            return code
    raise ConstraintError(f"no code of roles= stands for {role!r}. Roles: {', '.join(sorted(set(roles.values())))}.")


def _apply(draft: Draft, step: Step, table: HouseholdTable | None, real: Members | None, settings: _Settings) -> None:
    rule = step.rules[0]
    if isinstance(rule, AgeGap):
        gaps = [r for r in step.rules if isinstance(r, AgeGap)]
        enforce_ages(draft, gaps, real if settings.donor else None, settings.age_range, settings.seed)
    elif isinstance(rule, Shared):
        enforce_shared(draft, rule, table, settings.seed)
    elif isinstance(rule, Cardinality):
        enforce_cardinality(draft, rule)
    elif isinstance(rule, Implied):
        enforce_implied(draft, rule, real, settings.seed)
    elif isinstance(rule, Sum) and settings.split:
        split_total(draft, rule)
    elif isinstance(rule, Sum | Count):
        enforce_total(draft, rule)
    elif isinstance(rule, Linear):
        enforce_linear(draft, rule)
    elif isinstance(rule, LowerBound):
        enforce_lower_bound(draft, rule)


def _verify(members: Members, rules: Sequence[Rule]) -> None:
    """Check that rules which share a column all hold; they may clash in some household only."""
    involved: dict[str, list[Rule]] = {}
    for rule in rules:
        for name in {*rule.writes, *(rule.columns if isinstance(rule, Sum) else ())}:
            involved.setdefault(name, []).append(rule)
    for rule in rules:
        rivals = [r for name in {*rule.writes, *rule.reads} for r in involved.get(name, ()) if r is not rule]
        if not rivals:
            continue
        broken = rule.violations(members)
        if broken.any():
            level = PERSON if isinstance(rule, AgeGap | Implied | Linear) else rule.level
            where = describe(members, int(np.argmax(broken)), level)
            others = "' or '".join(dict.fromkeys(map(str, rivals)))
            raise ConstraintError(f"contradictory rules: '{rule}' and '{others}' cannot both hold in {where}.")
