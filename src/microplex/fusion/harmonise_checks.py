"""Whether the parts of a harmonisation fit each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from microplex.errors import SchemaError, near_miss
from microplex.fusion.harmonise_column import SourceColumn, check_fields

if TYPE_CHECKING:
    from microplex.fusion.harmonise import Harmonisation


def check_plan(plan: Harmonisation, weight: str) -> None:
    """Check that the parts of a harmonisation fit each other.

    Parameters
    ----------
    plan : Harmonisation
    weight : str
        Name that the weight comes out under.

    Raises
    ------
    SchemaError
        If they do not; what does not is named.
    """
    if not plan.variables:
        raise SchemaError("a harmonisation needs at least one variable.")
    if weight in plan.variables or weight in plan.derivations:
        raise SchemaError(f"a variable cannot be called {weight!r}: name the weight of each source in weights.")
    sources = list(dict.fromkeys(source for by_source in plan.variables.values() for source in by_source))
    tables = [c.table for _, _, c in _every(plan) if c.table is not None]
    places = [*sources, *tables]
    for part, known in (("weights", sources), ("periods", sources), ("entities", places), ("keys", places)):
        _check_names(getattr(plan, part), known, part, "source")
    _check_names(plan.heads, places, "heads", "source")
    for name, given in plan.heads.items():
        if not isinstance(given, Mapping) or set(given) != {"column", "value"}:
            raise SchemaError(f"heads of {name!r} must be {{column: ..., value: ...}}; got {given!r}.")
    every = [*plan.variables, *plan.derivations]
    _check_names(plan.units, every, "units", "variable")
    _check_names(plan.uprating, list(plan.variables), "uprating", "variable")
    _check_units(plan)
    _check_entities(plan, sources)
    _check_periods(plan)
    _check_derivations(plan)


def order_derivations(derivations: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return derived variables in an order in which each follows those it is made of.

    Parameters
    ----------
    derivations : mapping of str to mapping of str to float

    Returns
    -------
    list of str

    Raises
    ------
    SchemaError
        If they go in a circle; it is shown.

    Examples
    --------
    >>> order_derivations({"total": {"income": 1, "gifts": 1}, "income": {"wages": 1}})
    ['income', 'total']
    >>> order_derivations({"a": {"b": 1}, "b": {"a": 1}})
    Traceback (most recent call last):
    microplex.errors.SchemaError: derivations go in a circle: a -> b -> a. One of them must be given by a source.
    """
    order: list[str] = []
    for name in derivations:
        path = [(name, iter(derivations[name]))] if name not in order else []
        while path:
            term = next((t for t in path[-1][1] if t in derivations and t not in order), None)
            if term is None:
                order.append(path.pop()[0])
                continue
            chain = [step for step, _ in path]
            if term in chain:
                circle = " -> ".join([*chain[chain.index(term) :], term])
                raise SchemaError(f"derivations go in a circle: {circle}. One of them must be given by a source.")
            path.append((term, iter(derivations[term])))
    return order


def target_period(plan: Harmonisation) -> int | None:
    """Return the period to be reached: the one given, or the latest of the sources."""
    fixed = [given for given in plan.periods.values() if not isinstance(given, Mapping)]
    return plan.period if plan.period is not None else max(fixed, default=None)


def find_other_periods(plan: Harmonisation) -> dict[str, str]:
    """Return the variables that are read as numbers of another period and not brought to the one to be reached.

    Parameters
    ----------
    plan : Harmonisation

    Returns
    -------
    dict of str to str
        By variable, the sources and periods concerned, in words.
    """
    goal = target_period(plan)
    found = {}
    for name, by_source in plan.variables.items():
        late = []
        for source, column in by_source.items():
            period = plan.periods.get(source, goal)
            if period != goal and not (column.recode or column.cut or column.aggregate in ("any", "count")):
                late.append(f"{source} by row" if isinstance(period, Mapping) else f"{source} {period}")
        if late and name not in plan.uprating:
            found[name] = ", ".join(late)
    return found


def _every(plan: Harmonisation) -> Iterator[tuple[str, str, SourceColumn]]:
    for name, by_source in plan.variables.items():
        for source, column in by_source.items():
            yield f"variable {name!r} of source {source!r}", source, column
    for source, column in plan.weights.items():
        yield f"weight of source {source!r}", source, column


def _check_names(given: Mapping[Any, Any], known: list[str], part: str, what: str) -> None:
    for name in given:
        if name not in known:
            offer = near_miss(str(name), known)
            shown = ", ".join(dict.fromkeys(map(str, known)))
            raise SchemaError(f"{part} names the {what} {name!r}, which no variable uses.{offer} Known: {shown}.")


def _check_units(plan: Harmonisation) -> None:
    for name, by_source in plan.variables.items():
        stated = {source: c.unit for source, c in by_source.items() if c.unit is not None}
        for source, column in by_source.items():
            goal = plan.units.get(name)
            converted = (column.factor, column.offset) != (1, 0)
            if goal is not None and column.unit not in (None, goal) and not converted:
                raise SchemaError(
                    f"variable {name!r} of source {source!r} is in {column.unit}, the variable in {goal}: "
                    "give the factor."
                )
        plain = all((by_source[source].factor, by_source[source].offset) == (1, 0) for source in stated)
        if name not in plan.units and plain and len(set(stated.values())) > 1:
            shown = ", ".join(f"{source} {unit}" for source, unit in stated.items())
            raise SchemaError(f"variable {name!r} is in several units ({shown}) and no source has a factor. Give it.")


def _check_entities(plan: Harmonisation, sources: list[str]) -> None:
    found = {source: plan.entities[source] for source in sources if source in plan.entities}
    if found and len(found) < len(sources):
        absent = [source for source in sources if source not in found]
        raise SchemaError(
            f"entities must say what a row of {', '.join(map(repr, absent))} is, as it does for the others."
        )
    if len(set(found.values())) > 1 and plan.entity is None:
        shown = ", ".join(f"{source} {entity}" for source, entity in found.items())
        raise SchemaError(
            f"the sources are of different entities ({shown}). Say in entity what a row shall be, and how each "
            "variable of the others gets there: aggregate for members of a group, broadcast for values of a group."
        )
    goal = plan.entity or next(iter(found.values()), None)
    for label, source, column in _every(plan):
        place = column.table or source
        entity = plan.entities.get(place)
        if column.table is not None and entity is None:
            raise SchemaError(f"{label}: entities must say what a row of table {place!r} is.")
        moved = column.aggregate is not None or column.broadcast
        if not moved and (entity != goal or column.table is not None):
            raise SchemaError(
                f"{label} is of a {entity}, and a row shall be a {goal}: say how the value gets there, "
                "aggregate (sum, mean, min, max, any, count or head) or broadcast."
            )
        if entity == goal and (column.aggregate is not None or (moved and column.table is None)):
            raise SchemaError(f"{label} is of a {goal} already: there is nothing to aggregate.")
        if moved:
            _check_keys(plan, label, source, place, column)


def _check_keys(plan: Harmonisation, label: str, source: str, place: str, column: SourceColumn) -> None:
    for name in dict.fromkeys((place, source)):
        if name not in plan.keys:
            raise SchemaError(f"{label}: keys must name the column of {name!r} that holds the key of the group.")
    if column.aggregate == "head" and place not in plan.heads:
        raise SchemaError(f"{label}: heads must say who the head is in {place!r}: {{column: ..., value: ...}}.")


def _check_periods(plan: Harmonisation) -> None:
    by_row = []
    for source, given in plan.periods.items():
        if isinstance(given, Mapping):
            check_fields(given, ["column"])
            by_row.append(source)
        elif not isinstance(given, int) or isinstance(given, bool):
            raise SchemaError(f"period of source {source!r} must be a whole number or {{column: ...}}; got {given!r}.")
    goal = target_period(plan)
    if goal is None and plan.uprating:
        hint = f" The periods of {', '.join(map(repr, by_row))} differ by row." if by_row else ""
        raise SchemaError(f"uprating needs the period to be reached: give period, or periods.{hint}")
    for name, factors in plan.uprating.items():
        if not isinstance(factors, Mapping):
            raise SchemaError(f"uprating of {name!r} must map periods to factors; got {factors!r}.")
        for period, factor in factors.items():
            if not isinstance(factor, Real) or isinstance(factor, bool) or not 0 < factor < math.inf:
                raise SchemaError(f"uprating of {name!r} from {period}: the factor must be positive; got {factor!r}.")
        for source, column in plan.variables[name].items():
            if column.recode or column.cut:
                raise SchemaError(f"uprating of {name!r}: source {source!r} makes levels of it, which have no prices.")
            if source not in plan.periods:
                raise SchemaError(f"uprating of {name!r} needs the period of source {source!r}: name it in periods.")
            period = plan.periods[source]
            if not isinstance(period, Mapping) and period != goal and period not in factors:
                raise SchemaError(f"uprating of {name!r} has no factor from {period}, the period of source {source!r}.")


def _check_derivations(plan: Harmonisation) -> None:
    for name, terms in plan.derivations.items():
        if not isinstance(terms, Mapping) or not terms:
            raise SchemaError(f"derivation of {name!r} must map variables to coefficients, such as {{wages: 1}}.")
        for term, coefficient in terms.items():
            if term not in plan.variables and term not in plan.derivations:
                known = [*plan.variables, *plan.derivations]
                raise SchemaError(f"derivation of {name!r} uses {term!r}, no variable.{near_miss(str(term), known)}")
            if not isinstance(coefficient, Real) or isinstance(coefficient, bool) or not math.isfinite(coefficient):
                raise SchemaError(
                    f"derivation of {name!r}: the coefficient of {term!r} must be a number; got {coefficient!r}."
                )
    order_derivations(plan.derivations)
