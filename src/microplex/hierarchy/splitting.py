"""Given totals of a household, split over its members: the members' amounts add up to what was given, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Sum as RowSum
from microplex.errors import ConstraintError
from microplex.hierarchy.detect_rules import Aggregate
from microplex.hierarchy.enforce_split import split_shares
from microplex.hierarchy.members import PERSON
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.rulebook import Rulebook, Total, total_column
from microplex.hierarchy.rules import Sum
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Stage
from microplex.schema import Column

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Split:
    """A household variable that is given and that columns of the members add up to.

    Parameters
    ----------
    total : str
        The household variable.
    parts : tuple of str
        Columns of members that are moved.
    sums : tuple of (str, tuple of str)
        Columns of members that add up moved ones within the row, in the order in which they follow.
    """

    total: str
    parts: tuple[str, ...]
    sums: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        return f"{self.total}, as given, == sum of {' + '.join(self.parts)} over the persons of a household"


def find_splits(rules: Rulebook, given: Sequence[str], people: Sequence[str], top: str) -> tuple[Split, ...]:
    """Find the given totals that must be split.

    Parameters
    ----------
    rules : Rulebook
        What holds.
    given : sequence of str
        Household variables that are given.
    people : sequence of str
        Columns of members that are generated.
    top : str
        Name of the household's level.
    """
    inner = {rule.total: tuple(rule.parts) for rule in rules.rows if isinstance(rule, RowSum)}
    found: list[Split] = []
    for rule in rules.totals:
        total = total_column(rule, top)
        if rule.level not in ("household", top) or total not in given:
            continue
        columns = _columns(rule)
        if not columns or not set(columns) <= {*people}:
            continue
        parts: list[str] = []
        sums: list[tuple[str, tuple[str, ...]]] = []
        for column in columns:
            _expand(column, inner, parts, sums)
        if set(parts) <= {*people} and not any({*parts} & {*other.parts} for other in found):
            found.append(Split(total, tuple(dict.fromkeys(parts)), tuple(sums)))
    return tuple(found)


def _columns(rule: Total) -> tuple[str, ...]:
    """Columns that a total adds up over all members; none if it is another kind of total."""
    if isinstance(rule, Sum):
        return rule.columns if rule.of == PERSON and not rule.per_role else ()
    if isinstance(rule, Aggregate):
        return tuple(rule.parts) if not (rule.where or rule.own or rule.inner) else ()
    return ()


def _expand(
    column: str,
    inner: Mapping[str, tuple[str, ...]],
    parts: list[str],
    sums: list[tuple[str, tuple[str, ...]]],
) -> None:
    """Go down to the columns that are no sums themselves."""
    if column not in inner:
        parts.append(column)
        return
    for part in inner[column]:
        _expand(part, inner, parts, sums)
    sums.append((column, inner[column]))


def split_given(scene: Scene, splits: Sequence[Split], columns: Mapping[str, Column]) -> Bools:
    """Move the members' amounts until they add up to what was given, in proportion to their size.

    Parameters
    ----------
    scene : Scene
        Whole households; changed in place.
    splits : sequence of Split
        The given totals.
    columns : mapping of str to Column
        What the members' columns are.

    Returns
    -------
    bool[n]
        Households whose total cannot be split, since no member has an amount that could be moved.
    """
    n = len(scene.roster.counts)
    stuck = np.zeros(n, bool)
    home = scene.roster.household
    for split in splits:
        k = len(split.parts)
        values = np.stack([np.nan_to_num(scene.member[c]) for c in split.parts], axis=1).ravel()
        of = np.repeat(home, k)
        total = scene.home[split.total].astype(float)
        held = np.bincount(of, values, n)
        rest = np.where(np.isnan(total), 0.0, total - held)
        rest[np.abs(rest) <= TOLERANCE * np.maximum(1.0, np.abs(total))] = 0.0
        free = np.bincount(of, np.abs(values), n) > 0
        stuck |= ~free & (rest != 0)
        rest = np.where(free, rest, 0.0)
        whole = all(columns[c].dtype == "int" for c in split.parts)
        values = values + split_shares(rest, of, np.abs(values), whole)
        if not whole:
            values = _settled(values, of, np.where(free & ~np.isnan(total), total, held), rest != 0)
        for place, name in enumerate(split.parts):
            moved = values.reshape(-1, k)[:, place]
            scene.member[name] = np.where(np.isnan(scene.member[name]), np.nan, moved)
        for name, parts in split.sums:
            scene.member[name] = np.sum([scene.member[c] for c in parts], axis=0)
    return stuck


def _settled(values: Floats, of: Ints, total: Floats, moved: Bools) -> Floats:
    """Give what rounding left over to the greatest part of each total."""
    by = np.lexsort((np.abs(values), of))
    last = by[np.concatenate([of[by][1:] != of[by][:-1], [True]])]
    out = values.copy()
    for _ in range(3):
        left = np.where(moved, total - np.bincount(of, out, len(total)), 0.0)
        out[last] += left[of[last]]
    return out


def broken_homes(stage: Stage, scene: Scene, splits: Sequence[Split]) -> Bools:
    """Households where a member's row breaks a rule about an amount that was moved, bool[n].

    Parameters
    ----------
    stage : Stage
        Draws the members' attributes, and knows their rules.
    scene : Scene
        Whole households.
    splits : sequence of Split
        The totals that were split.
    """
    plan = stage.model.encoder_.plan
    rows = np.arange(len(scene.roster.role))
    names = dict.fromkeys((*stage.conditions, *stage.targets))
    values = {c: scene.of_members(c, rows) for c in names}
    out = np.zeros(len(scene.roster.counts), bool)
    for _, wrong in plan.check(values):
        out[scene.roster.household[wrong]] = True
    return out


def check_totals(scene: Scene, splits: Sequence[Split], columns: Mapping[str, Column]) -> None:
    """Check that given totals can be split at all.

    Parameters
    ----------
    scene : Scene
        Households with their given variables.
    splits : sequence of Split
        The given totals.
    columns : mapping of str to Column
        What the members' columns are.

    Raises
    ------
    ConstraintError
        If a total lies below what its parts can add up to, or is not whole while they are.
    """
    for split in splits:
        total = scene.home[split.total]
        whole = all(columns[c].dtype == "int" for c in split.parts)
        odd = np.flatnonzero(whole & np.isfinite(total) & (np.abs(total - np.rint(total)) > TOLERANCE))
        if len(odd):
            raise ConstraintError(
                f"{split.total!r} cannot be split in row {odd[0]}: {total[odd[0]]:.15g} is not a whole number, and "
                f"{' + '.join(split.parts)} are."
            )
        least = [columns[c].lower for c in split.parts]
        if all(low is not None and low >= 0 for low in least):
            below = np.flatnonzero(total < -TOLERANCE)
            if len(below):
                raise ConstraintError(
                    f"{split.total!r} cannot be split in row {below[0]}: {total[below[0]]:.15g} lies below 0, the "
                    f"least that {' + '.join(split.parts)} add up to."
                )
