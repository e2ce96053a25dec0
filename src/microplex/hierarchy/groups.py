"""Groups below the household as the synthesizer uses them: each is learned, drawn and scored given the household."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns
from microplex.encoding import Settings, arrays_under
from microplex.errors import ParameterError
from microplex.frames import column_names
from microplex.hierarchy.inner import inner_groups
from microplex.hierarchy.intake import Prepared, Whole
from microplex.hierarchy.law import HouseholdReport
from microplex.hierarchy.reading import read_values
from microplex.hierarchy.roster import Ints
from microplex.hierarchy.scene import Scene
from microplex.hierarchy.stage import Values
from microplex.hierarchy.units import draw_units, fit_units, pack_units, read_units, score_units, unpack_units
from microplex.hierarchy.units_law import FIRST_STREAM, GroupRule, UnitLaw
from microplex.hierarchy.units_partition import Partition
from microplex.hierarchy.units_writing import UnitForm
from microplex.storage import refusing_damage

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]
STREAMS = 2


@dataclass(frozen=True, eq=False)
class Group:
    """A kind of group below the household.

    Attributes
    ----------
    law : UnitLaw
        What was learned.
    form : UnitForm
        How it is written.
    """

    law: UnitLaw
    form: UnitForm


@dataclass(frozen=True, eq=False)
class DrawnGroup:
    """The units of one kind that were drawn for some households.

    Attributes
    ----------
    law : UnitLaw
        What was learned.
    form : UnitForm
        How they are written.
    units : Partition
        Who is in which.
    roles : int64[N] or None
        Role of each member.
    values : dict of arrays, each of n_units
        Variables.
    """

    law: UnitLaw
    form: UnitForm
    units: Partition
    roles: Ints | None
    values: Values

    @property
    def written(self) -> tuple[UnitLaw, UnitForm, Partition]:
        """What says how units are written, and the units."""
        return self.law, self.form, self.units


def fit_groups(prepared: Prepared, settings: Settings, kinds: Mapping[str, str] | None) -> tuple[Group, ...]:
    """Learn each group below the household, given the household and its members.

    Parameters
    ----------
    prepared : Prepared
        Training households.
    settings : Settings
        How to fit.
    kinds : mapping of str to str or None
        Kinds of columns that are not to be inferred.

    Raises
    ------
    DataError
        If a stage cannot be fitted, or a rule that forms units disagrees with the training table.
    """
    v, population = prepared.variables, prepared.population
    found = []
    for place, group in enumerate(inner_groups(population.schema)):
        level = prepared.levels[group.name]
        targets = None if level.targets is None else [c for c in level.targets if c != group.role_col]
        law = fit_units(
            prepared.scene, population, prepared.order, group, prepared.weights, settings, kinds, prepared.rules.raw,
            homes=[*v.given, *v.statics, *v.outcomes], targets=targets, rule=level.rule,
            stream=FIRST_STREAM + STREAMS * place,
        )  # fmt: skip
        found.append(Group(law, UnitForm.of(law, population)))
    return tuple(found)


def draw_groups(groups: Sequence[Group], scene: Scene, first: int, seed: int) -> tuple[DrawnGroup, ...]:
    """Draw the groups of whole households; arguments as for `draw_units`."""
    found = []
    for group in groups:
        of, roles, values = draw_units(group.law, scene, first, seed)
        found.append(DrawnGroup(group.law, group.form, Partition(scene.roster, of), roles, values))
    return tuple(found)


def score_groups(groups: Sequence[Group], whole: Whole) -> Floats:
    """Exact log law of the groups of households given all else, float64[n].

    Raises
    ------
    ColumnNotFoundError, DataError
        If a variable is not there, or does not hold what it held in training.
    """
    total = np.zeros(len(whole.scene.roster.counts))
    schema = whole.population.schema
    for group in groups:
        entity = schema.group(group.law.kind.name)
        frame = whole.population.table(entity.name)
        check_columns(column_names(frame), list(group.law.columns), entity.name)
        found = read_units(whole.scene, whole.population, whole.order, entity)
        values = read_values(frame, group.law.columns, found.rows)
        total += score_units(group.law, whole.scene, found.partition.of, found.roles, values)
    return total


def with_groups(report: HouseholdReport, groups: Sequence[Group]) -> HouseholdReport:
    """Return a report with the stages of groups, and the rules that hold in them."""
    stages, rules = dict(report.stages), list(report.rules)
    for group in groups:
        law = group.law
        stages |= {stage.name: stage.model.report_ for stage in (law.choice, law.values) if stage is not None}
        rules += map(str, (*law.before, *law.after, *law.rows, *law.levels, *law.bound))
    return replace(report, stages=stages, rules=tuple(dict.fromkeys(rules)))


def pack_groups(groups: Sequence[Group]) -> tuple[list[dict[str, Any]], Arrays]:
    """Groups as JSON-able content and arrays."""
    content: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for place, group in enumerate(groups):
        law, own = pack_units(group.law)
        form = {**asdict(group.form), "codes": [[role, code] for role, code in group.form.codes.items()]}
        content.append({"law": law, "form": form})
        arrays |= {f"group.{place}.{name}": x for name, x in own.items()}
    return content, arrays


def unpack_groups(
    content: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[Any]], rules: Mapping[str, GroupRule] | None
) -> tuple[Group, ...]:
    """Inverse of `pack_groups`.

    Parameters
    ----------
    content, arrays
        What it returned.
    rules : mapping of str to callable or None
        Rules that form units, by group: functions are not saved.

    Raises
    ------
    ParameterError
        If a group needs its rule, or a rule is given that no group has.
    ModelFormatError
        If something is missing or damaged.
    """
    left, found = dict(rules or {}), []
    for place, entry in enumerate(content):
        own = arrays_under(arrays, f"group.{place}.")
        with refusing_damage("law of groups"):
            name, form = entry["law"]["kind"]["name"], entry["form"]
            written = UnitForm(form["table"], tuple(form["columns"]), {role: code for role, code in form["codes"]})
        found.append(Group(unpack_units(entry["law"], own, left.pop(name, None)), written))
    if left:
        raise ParameterError(f"rules name {next(iter(left))!r}, which is no group of the saved model.")
    return tuple(found)
