"""Rules that were found, with what supports them: printable, editable, saved as YAML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from microplex.constraints import AllOf, AnyOf, Comparison, Condition, Constraint, Implies, Membership, parse
from microplex.constraints import Sum as RowSum
from microplex.entities import Population
from microplex.errors import ConstraintError, ParameterError, near_miss
from microplex.frames import Level
from microplex.hierarchy.detect_entails import entails
from microplex.hierarchy.detect_evidence import Evidence
from microplex.hierarchy.detect_rules import KINDS, Aggregate, AnyRule, Together, from_entry, to_entry
from microplex.hierarchy.detect_source import population_source
from microplex.hierarchy.enforce_plan import plan, read_rules
from microplex.hierarchy.members import PERSON, ROLE, Bools, Members
from microplex.hierarchy.rules import RULES, AgeGap, Count, Implied, Linear, LowerBound, Rule, Sum
from microplex.hierarchy.rules_conditions import parse_condition

_VERSION = 1


@dataclass(frozen=True)
class Found:
    """A rule and what supports it.

    Attributes
    ----------
    rule : rule object
        Its text is a sentence.
    entity : str
        What it speaks of: "person", "household" or another unit.
    exact : bool
        Whether it is proposed as one that always holds.
    evidence : Evidence or None
        None for a rule that was added by hand.
    """

    rule: AnyRule
    entity: str
    exact: bool
    evidence: Evidence | None = None

    @property
    def kind(self) -> str:
        """Kind of the rule, such as "Implied"."""
        return type(self.rule).__name__

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it names."""
        return tuple(dict.fromkeys((*self.rule.writes, *self.rule.reads)))

    def __str__(self) -> str:
        return str(self.rule)


@dataclass(frozen=True)
class DetectedConstraints:
    """Rules found in a population.

    Parameters
    ----------
    found : tuple of Found
        The rules with what supports them.
    own_names : mapping of str to (str, str)
        Entity of each column and its name in the entity's table; rules name columns as
        ``Population.flatten(prefix=False)`` does.
    role_col : str or None
        Column of the member table with the role in the household.
    role_codes : tuple of (str, value)
        Roles and the file's codes for them.

    Examples
    --------
    >>> found = DetectedConstraints() + [Implied("age < 15", "wage", 0), AgeGap("head", "child", low=14)]
    >>> print(found.only("Implied"))
    1 rule, 1 of them exact
      exact  age < 15 -> wage == 0
    """

    found: tuple[Found, ...] = ()
    own_names: tuple[tuple[str, str, str], ...] = ()
    role_col: str | None = None
    role_codes: tuple[tuple[str, Any], ...] = ()

    def __iter__(self) -> Iterator[Found]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def rules(self) -> tuple[AnyRule, ...]:
        """All rules."""
        return tuple(item.rule for item in self.found)

    @property
    def exact(self) -> tuple[AnyRule, ...]:
        """The rules that always hold."""
        return tuple(item.rule for item in self.found if item.exact)

    @property
    def soft(self) -> tuple[AnyRule, ...]:
        """The rules that mostly hold, or of which too little was seen to be sure."""
        return tuple(item.rule for item in self.found if not item.exact)

    @property
    def enforceable(self) -> tuple[Rule, ...]:
        """The exact rules that `enforce_hierarchy` can meet in one pass, in the order of support.

        Of rules that wait for each other, such as two zeros that imply each other, those with more support are taken;
        sums over some members and rules about who lives with whom are left out.
        """
        chosen: list[Rule] = []
        for item in self.found:
            if item.exact and isinstance(item.rule, tuple(RULES.values())):
                rule = cast(Rule, item.rule)
                if ROLE in rule.writes and isinstance(rule, Implied):
                    continue
                try:
                    plan([*chosen, rule], None, False, [])
                except ConstraintError:
                    continue
                chosen.append(rule)
        return tuple(chosen)

    @property
    def aggregates(self) -> tuple[Sum | Count | Aggregate, ...]:
        """The exact identities of a unit's column and a sum or count over its members."""
        return tuple(
            item.rule
            for item in self.found
            if item.exact and isinstance(item.rule, Sum | Count | Aggregate) and item.rule.level != PERSON
        )

    @property
    def lower_bounds(self) -> tuple[LowerBound, ...]:
        """The columns of units that are at least a sum over members, exact or mostly."""
        return tuple(item.rule for item in self.found if isinstance(item.rule, LowerBound))

    def row_constraints(self, entity: str = PERSON, role_col: str | None = None) -> tuple[str, ...]:
        """Return the exact rules within one row of an entity's table, as text that `microplex.constraints` reads.

        Those that a row of the data breaks are left out: a synthesizer asks that its training rows obey them all.

        Parameters
        ----------
        entity : str
            "person", "household" or another unit; for the top unit its own name works too.
        role_col : str, optional
            Column with the roles. Unless given, that of the file, with the file's codes.

        Returns
        -------
        tuple of str
            Columns are named as in the entity's own table.

        Examples
        --------
        >>> found = DetectedConstraints(own_names=(("age", "person", "age"), ("m", "person", "m")), role_col="rel",
        ...                             role_codes=(("head", 1), ("spouse", 2)))
        >>> (found + [Implied("role == 'spouse'", "m", "married")]).row_constraints()
        ("rel == 2 -> m == 'married'",)
        """
        names = {flat: own for flat, home, own in self.own_names if home == entity}
        if self.own_names and not names:
            homes = dict.fromkeys(home for _, home, _ in self.own_names)
            raise ParameterError(
                f"there is no entity {entity!r}.{near_miss(str(entity), homes)} Entities: {', '.join(homes)}."
            )
        if role_col is not None or self.role_col is None:
            codes: dict[Any, Level] = {}
        else:
            codes = dict(self.role_codes)
        column = role_col or self.role_col or ROLE
        renamed = names | ({ROLE: column} if ROLE in names or not names or entity == PERSON else {})
        listed: list[str] = []
        for item in self.found:
            obeyed = item.exact and (item.evidence is None or item.evidence.broken == 0)
            if not obeyed or not isinstance(item.rule, Implied | Linear | Sum):
                continue
            if isinstance(item.rule, Sum) and item.rule.level != PERSON:
                continue
            if item.entity == entity and all(name in renamed for name in item.columns):
                listed += [str(part) for part in _row_terms(item.rule, renamed, codes)]
        return tuple(dict.fromkeys(listed))

    def implies(self, rule: AnyRule) -> bool:
        """Return whether a rule is among the exact ones or follows from them.

        Parameters
        ----------
        rule : rule

        Examples
        --------
        >>> found = DetectedConstraints() + ["age < 15 -> weeks == 0", "weeks == 0 -> wage == 0"]
        >>> found.implies(Implied("age < 12", "wage", 0))
        True
        """
        return entails(self.exact, rule)

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each rule, with its sentence, kind, entity, whether it is exact, and what supports it."""
        numbers = [field.name for field in fields(Evidence) if field.name != "halves"]
        rows = []
        for item in self.found:
            row: dict[str, Any] = {"rule": str(item), "kind": item.kind, "entity": item.entity, "exact": item.exact}
            row["columns"] = ", ".join(item.columns)
            rows.append(row | {name: getattr(item.evidence, name, float("nan")) for name in numbers})
        return pd.DataFrame(rows, columns=["rule", "kind", "entity", "exact", *numbers, "columns"])

    def violations(self, members: Members) -> Mapping[str, Bools]:
        """Return which households break each rule: by sentence, bool[n_households].

        Parameters
        ----------
        members : Members
            Of any data with the same columns.
        """
        return {str(rule): broken_households(members, rule) for rule in self.rules}

    def without(self, *what: Any) -> DetectedConstraints:
        """Return the rules but some.

        Parameters
        ----------
        *what : rule, str
            A rule, its sentence, a kind such as "AgeGap", or a column that it names.

        Raises
        ------
        ParameterError
            If it names no rule; the nearest is offered.

        Examples
        --------
        >>> found = DetectedConstraints() + [Implied("age < 15", "wage", 0), AgeGap("head", "child", low=14)]
        >>> len(found.without("AgeGap")), len(found.without("wage"))
        (1, 1)
        """
        out = self._chosen(what)
        return replace(self, found=tuple(item for item in self.found if item not in out))

    def only(self, *what: Any) -> DetectedConstraints:
        """Return some rules; `without` says how they are named.

        Examples
        --------
        >>> found = DetectedConstraints() + [Implied("age < 15", "wage", 0), AgeGap("head", "child", low=14)]
        >>> str(found.only("wage").rules[0])
        'age < 15 -> wage == 0'
        """
        chosen = self._chosen(what)
        return replace(self, found=tuple(item for item in self.found if item in chosen))

    def _chosen(self, what: tuple[Any, ...]) -> list[Found]:
        chosen: list[Found] = []
        for name in what:
            rules = [item for item in self.found if name == item.rule or name in (str(item), item.kind, *item.columns)]
            if not rules:
                known = [*map(str, self.found), *KINDS, *(c for item in self.found for c in item.columns)]
                raise ParameterError(
                    f"{str(name)!r} is no rule, kind or column of these.{near_miss(str(name), known)} "
                    "Print them, or look at .frame."
                )
            chosen += rules
        return chosen

    def __add__(self, other: Any) -> DetectedConstraints:
        """Return these rules and others: rule objects, texts of a rule within a row, or detected ones."""
        if isinstance(other, DetectedConstraints):
            names = dict.fromkeys((*self.own_names, *other.own_names))
            role = self if self.role_col is not None else other
            more: Iterable[Found] = other.found
            merged = replace(self, own_names=tuple(names), role_col=role.role_col, role_codes=role.role_codes)
        else:
            listed = [other] if isinstance(other, (str, *KINDS.values())) else list(other)
            more = [self._added(rule) for item in listed for rule in _read(item)]
            merged = self
        known = {item.rule for item in self.found}
        return replace(merged, found=(*self.found, *(item for item in more if item.rule not in known)))

    def _added(self, rule: AnyRule) -> Found:
        homes = {flat: home for flat, home, _ in self.own_names}
        level = getattr(rule, "level", None)
        named = [homes.get(name, PERSON) for name in (*rule.reads, *rule.writes)]
        within = PERSON if PERSON in named or not named else named[0]
        return Found(rule, level if level not in (None, PERSON) else within, not isinstance(rule, AgeGap))

    def __str__(self) -> str:
        n, exact = len(self.found), sum(item.exact for item in self.found)
        lines = [f"{n} rule{'' if n == 1 else 's'}, {exact} of them exact"]
        for item in sorted(self.found, key=lambda item: not item.exact):
            shown = f"  [{item.evidence.rate:.2%} of households]" if item.evidence and not item.exact else ""
            lines.append(f"  {'exact' if item.exact else 'soft '}  {item}{shown}")
        return "\n".join(lines)

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write the rules, to be read and edited.

        Parameters
        ----------
        path : path
            File to write.

        Examples
        --------
        >>> import tempfile
        >>> found = DetectedConstraints() + [Implied("age < 15", "wage", 0)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found.to_yaml(f"{folder}/rules.yaml")
        ...     DetectedConstraints.from_yaml(f"{folder}/rules.yaml") == found
        True
        """
        listed = []
        for item in self.found:
            entry = {"sentence": str(item), **to_entry(item.rule), "entity": item.entity, "exact": item.exact}
            if item.evidence is not None:
                entry["evidence"] = {
                    k: list(v) if isinstance(v, tuple) else v for k, v in asdict(item.evidence).items()
                }
            listed.append(entry)
        content = {
            "version": _VERSION,
            "role_col": self.role_col,
            "role_codes": [list(pair) for pair in self.role_codes],
            "columns": [list(entry) for entry in self.own_names],
            "rules": listed,
        }
        Path(path).write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> DetectedConstraints:
        """Read what `to_yaml` wrote; of an edited rule the fields count, not the sentence.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ConstraintError
            If it holds no rules, is of a newer version, or a rule cannot be read.

        Examples
        --------
        >>> DetectedConstraints.from_yaml("no_such_file.yaml")
        Traceback (most recent call last):
        FileNotFoundError: ...
        """
        try:
            content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConstraintError(f"{path} is not YAML: {error}.") from error
        if not isinstance(content, dict) or not isinstance(content.get("rules"), list):
            raise ConstraintError(f"{path} holds no list 'rules', as DetectedConstraints.to_yaml writes it.")
        if content.get("version") != _VERSION:
            raise ConstraintError(f"{path} has version {content.get('version')!r}; this library reads {_VERSION}.")
        found = tuple(_read_entry(entry, path) for entry in content["rules"])
        return cls(
            found, tuple((flat, home, own) for flat, home, own in content.get("columns", [])),
            content.get("role_col"), tuple((role, code) for role, code in content.get("role_codes", [])),
        )  # fmt: skip


def broken_households(members: Members, rule: AnyRule) -> Bools:
    """Return which households break a rule: bool[n_households].

    Examples
    --------
    >>> data = Members.read(pd.DataFrame({"h": [1, 1, 2], "age": [9, 40, 8], "wage": [5, 0, 0]}), "h")
    >>> broken_households(data, Implied("age < 15", "wage", 0)).tolist()
    [True, False]
    """
    broken, households = rule.violations(members), members.units["household"]
    level = getattr(rule, "level", PERSON)
    of = households.of if level == PERSON else households.of[members.units[level].rows]
    out = broken[:0].copy()
    out.resize(households.count, refcheck=False)
    out[of[broken]] = True
    return out


def population_members(population: Population, age_col: str = "age") -> Members:
    """Return the members of a population, with columns named as detected rules name them.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> population_members(as_population(make_population(3, seed=0))).n
    9
    """
    return population_source(population, 0, age_col).members


def _read(item: Any) -> list[AnyRule]:
    if isinstance(item, tuple(KINDS.values())):
        return [cast(AnyRule, item)]
    one = (replace(r, value=r.levels[0], levels=()) if isinstance(r, Implied) and len(r.levels) == 1 else r
           for r in read_rules([item]))  # fmt: skip
    return list(one)


def _read_entry(entry: Any, path: Any) -> Found:
    if not isinstance(entry, dict):
        raise ConstraintError(f"{path}: an entry of 'rules' must be a mapping with 'rule'; got {entry!r}.")
    given = dict(entry)
    given.pop("sentence", None)
    evidence, entity, exact = (given.pop(name, None) for name in ("evidence", "entity", "exact"))
    rule = from_entry(given)
    if evidence is not None:
        evidence = Evidence(**{**evidence, "halves": tuple(evidence["halves"])})
    return Found(rule, entity or getattr(rule, "level", PERSON), bool(exact), evidence)


def _row_terms(rule: Any, names: Mapping[str, str], codes: Mapping[Any, Level]) -> tuple[Constraint, ...]:
    """Return a rule within a row in the grammar, columns renamed and roles as the file codes them."""
    if isinstance(rule, Sum):
        return (RowSum(names[rule.total], tuple(names[part] for part in rule.columns)),)
    if isinstance(rule, Linear):
        return (Comparison(tuple((names[name], c) for name, c in rule.coefficients), rule.op, rule.constant),)
    then = _coded(Membership(rule.column, rule.allowed), names, codes)
    return parse(Implies(_coded(parse_condition(rule.when), names, codes), then))


def _coded(condition: Condition, names: Mapping[str, str], codes: Mapping[Any, Level]) -> Condition:
    if isinstance(condition, AllOf | AnyOf):
        return type(condition)(tuple(_coded(part, names, codes) for part in condition.parts))
    if isinstance(condition, Comparison):
        return Comparison(tuple((names[name], c) for name, c in condition.terms), condition.op, condition.constant)
    values = condition.values
    if condition.column == ROLE and codes:
        values = tuple(code for value in values for role, code in codes.items() if role == value)
    return Membership(names[condition.column], values, condition.negated)


__all__ = ["DetectedConstraints", "Found", "Together", "broken_households", "population_members"]
