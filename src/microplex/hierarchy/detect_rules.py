"""Rules that detection can state and `enforce_hierarchy` does not take: sums over some, and who lives with whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from microplex.errors import ConstraintError, MicroplexError, near_miss
from microplex.hierarchy.members import Bools, Floats, Members
from microplex.hierarchy.rules import RULES, Rule, rule_from_dict, rule_to_dict
from microplex.hierarchy.rules_conditions import holds, numbers, parse_condition
from microplex.hierarchy.rules_quantities import check_level, off, per_unit, sums, total_of_parts, unit_values


@dataclass(frozen=True)
class Aggregate:
    """A total of a unit adds up amounts of its members, of smaller units and of its own, of some members only.

    Parameters
    ----------
    total : str
        Column of the unit.
    parts : tuple of str
        Columns of the members that count.
    where : str
        Condition on a member; empty for all.
    level : str
        The unit.
    own : tuple of str
        Columns of the unit that are added as they are.
    inner : tuple of (str, str)
        Columns of smaller units, and the unit: added once for each of them.

    Raises
    ------
    ConstraintError
        If there is nothing to add, the condition cannot be read, or the total is one of its parts.

    Examples
    --------
    >>> print(Aggregate("unit_wages", ("wages",), "tax_role in ('head', 'spouse')", "tax_unit"))
    unit_wages == sum of wages over the persons of a tax_unit with tax_role in ('head', 'spouse')
    """

    total: str
    parts: tuple[str, ...] = ()
    where: str = ""
    level: str = "household"
    own: tuple[str, ...] = ()
    inner: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_level(self.level, "Aggregate")
        object.__setattr__(self, "parts", (self.parts,) if isinstance(self.parts, str) else tuple(self.parts))
        object.__setattr__(self, "own", tuple(self.own))
        object.__setattr__(self, "inner", tuple((name, level) for name, level in self.inner))
        if self.where:
            object.__setattr__(self, "where", str(parse_condition(self.where)))
        if not (self.parts or self.own or self.inner):
            raise ConstraintError(f"an aggregate {self.total!r} needs parts=, own= or inner=.")
        if self.total in self.reads:
            raise ConstraintError(f"'{self}': the total is one of its parts.")

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide what is written."""
        where = parse_condition(self.where).columns if self.where else ()
        return (*self.parts, *self.own, *(name for name, _ in self.inner), *where)

    @property
    def writes(self) -> tuple[str, ...]:
        """The total."""
        return (self.total,)

    def expected(self, data: Members) -> Floats:
        """Return what the total should be: float64[n_units]; NaN where a part is missing."""
        units = data.unit(self.level, self)
        out = np.zeros(units.count)
        kept = holds(parse_condition(self.where), data.column) if self.where else np.ones(data.n, dtype=bool)
        for name in self.parts:
            values = np.where(kept, numbers(data.column(name), str(self)), 0.0)
            unknown = np.isnan(values)
            out += sums(np.where(unknown, 0.0, values), units)
            out[per_unit(unknown, units)] = np.nan
        for name in self.own:
            out += unit_values(data, name, self.level, self)
        for name, level in self.inner:
            out += total_of_parts(data, [name], self.level, level, (), self)
        return out

    def violations(self, data: Members) -> Bools:
        """Return which units have another total: bool[n_units]; nothing is said where a part is missing."""
        own = unit_values(data, self.total, self.level, self)
        return off(own, self.expected(data), data.column(self.total).dtype == "int")

    def __str__(self) -> str:
        terms = list(self.own)
        if self.parts:
            where = f" with {self.where}" if self.where else ""
            terms.append(f"sum of {' + '.join(self.parts)} over the persons of a {self.level}{where}")
        terms += [f"sum of {name} over the {of}s of a {self.level}" for name, of in self.inner]
        return f"{self.total} == {' + '.join(terms)}"


@dataclass(frozen=True)
class Together:
    """Where someone in a unit meets one condition, someone in it meets another.

    Parameters
    ----------
    when, then : str
        Conditions on a member, such as ``role == 'spouse'``.
    both : bool
        Also the other way round.
    level : str
        The unit.

    Raises
    ------
    ConstraintError
        If a condition cannot be read.

    Examples
    --------
    >>> print(Together("role == 'head' and marital == 1", "role == 'spouse'", both=True))
    a household has someone with role == 'head' and marital == 1 exactly where it has someone with role == 'spouse'
    """

    when: str
    then: str
    both: bool = False
    level: str = "household"

    def __post_init__(self) -> None:
        check_level(self.level, "Together")
        for name in ("when", "then"):
            object.__setattr__(self, name, str(parse_condition(getattr(self, name))))

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that decide."""
        return tuple(dict.fromkeys((*parse_condition(self.when).columns, *parse_condition(self.then).columns)))

    @property
    def writes(self) -> tuple[str, ...]:
        """No column: it does not say who is to change."""
        return ()

    def sides(self, data: Members) -> tuple[Bools, Bools]:
        """Return which units have someone who meets either condition: two of bool[n_units]."""
        units = data.unit(self.level, self)
        when, then = (per_unit(holds(parse_condition(text), data.column), units) for text in (self.when, self.then))
        return when, then

    def violations(self, data: Members) -> Bools:
        """Return which units break it: bool[n_units]."""
        when, then = self.sides(data)
        return (when != then) if self.both else when & ~then

    def __str__(self) -> str:
        word = "exactly where it has" if self.both else "only where it has"
        return f"a {self.level} has someone with {self.when} {word} someone with {self.then}"


AnyRule: TypeAlias = Rule | Aggregate | Together
KINDS: dict[str, type[AnyRule]] = {**RULES, "Aggregate": Aggregate, "Together": Together}


def to_entry(rule: AnyRule) -> dict[str, Any]:
    """Return a rule as plain values, for YAML.

    Examples
    --------
    >>> to_entry(Together("a == 1", "b == 2"))
    {'rule': 'Together', 'when': 'a == 1', 'then': 'b == 2'}
    """
    if not isinstance(rule, Aggregate | Together):
        return rule_to_dict(rule)
    given = {field.name: getattr(rule, field.name) for field in fields(rule)}
    changed = {f.name: given[f.name] for f in fields(rule) if given[f.name] != f.default}
    return {"rule": type(rule).__name__, **{name: _plain(value) for name, value in changed.items()}}


def from_entry(entry: Mapping[str, Any]) -> AnyRule:
    """Read what `to_entry` wrote.

    Raises
    ------
    ConstraintError
        If the kind of rule is unknown, or its fields do not fit; the nearest name is offered.

    Examples
    --------
    >>> print(from_entry({"rule": "Together", "when": "a == 1", "then": "b == 2"}))
    a household has someone with a == 1 only where it has someone with b == 2
    """
    name = entry.get("rule") if isinstance(entry, Mapping) else None
    kind: Any = {"Aggregate": Aggregate, "Together": Together}.get(str(name))
    if name not in KINDS:
        offer = near_miss(name, KINDS) if isinstance(name, str) else ""
        raise ConstraintError(f"an entry needs 'rule', one of {', '.join(KINDS)}; got {entry!r}.{offer}")
    if kind is None:
        return rule_from_dict(entry)
    known = [field.name for field in fields(kind)]
    unknown = [str(key) for key in entry if key != "rule" and key not in known]
    if unknown:
        raise ConstraintError(
            f"a rule {name} has no field {unknown[0]!r}.{near_miss(unknown[0], known)} Fields: {', '.join(known)}."
        )
    try:
        rule: AnyRule = kind(**{key: value for key, value in entry.items() if key != "rule"})
    except MicroplexError:
        raise
    except (TypeError, ValueError) as error:
        raise ConstraintError(f"a rule {name} does not fit: {error}.") from error
    return rule


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
