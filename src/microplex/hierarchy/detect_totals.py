"""Sums and counts: which columns are the sum of others, within a row or over members, by least squares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from microplex.constraints import Comparison, Membership
from microplex.frames import ColumnData, Level
from microplex.hierarchy.detect_coded import MOST_AGES, MOST_LEVELS, MOST_MISSING
from microplex.hierarchy.detect_rules import Aggregate
from microplex.hierarchy.detect_source import Source
from microplex.hierarchy.members import PERSON, ROLE, Floats
from microplex.hierarchy.rules import Count, Sum
from microplex.hierarchy.rules_quantities import TOLERANCE

# Rows whose total is not the sum may be so many; all rules are checked again by `evidence`.
_OFF = 0.005
_MOST_TERMS = 25
_MOST_ROWS = 8000
_LEAST_ROWS = 30


@dataclass(frozen=True, eq=False)
class Term:
    """One column that may be part of a total.

    Attributes
    ----------
    kind : str
        "person", "own", "inner", "role" (a number of members) or "some" (an amount of members of one role).
    name : str
        The column, or the role.
    values : float64[n]
        Its amount in each unit.
    of : str
        Smaller unit of "inner"; role of "some".
    """

    kind: str
    name: str
    values: Floats
    of: str = ""


def totals(source: Source, level: str) -> list[Sum | Count | Aggregate]:
    """Return the sums and counts that the columns of a level are.

    Parameters
    ----------
    source : Source
    level : str
        "household", another unit, or "person" for sums within the row.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.hierarchy.detect_source import flat_source
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"h": np.arange(900) // 3, "age": rng.integers(0, 90, 900), "wage": rng.gamma(2, 9, 900)})
    >>> frame["kids"] = (frame["age"] < 18).groupby(frame["h"]).transform("sum")
    >>> frame["income"] = frame["wage"].groupby(frame["h"]).transform("sum")
    >>> for rule in totals(flat_source(frame, "h", None, None, None, None, 0, "age", ()), "household"):
    ...     print(rule)
    kids == number of persons of a household with age < 18
    income == sum of wage over the persons of a household
    """
    found: list[Sum | Count | Aggregate] = []
    names = source.names(level, numeric=True)
    plain = _terms(source, level)
    members = [term for term in plain if term.kind != "own"]
    columns = {name: source.column(name, level) for name in names}
    for name in names:
        values = columns[name].values
        assert values is not None
        if np.nanmax(values, initial=0.0) <= np.nanmin(values, initial=np.inf):
            continue
        whole = columns[name].dtype == "int" or bool((values == np.rint(values))[~np.isnan(values)].all())
        rule: Sum | Count | Aggregate | None = None
        if whole and level != PERSON:
            rule = _count(source, level, name, values)
        tries = [plain] if level == PERSON else [members, _by_role(source, level), plain]
        for terms in tries if rule is None else []:
            rule = rule or _sum(source, level, name, values, terms, whole)
        if rule is not None:
            found.append(rule)
    return _one_way(found)


def _one_way(found: list[Sum | Count | Aggregate]) -> list[Sum | Count | Aggregate]:
    """Of two columns that are equal keep one rule."""
    kept: list[Sum | Count | Aggregate] = []
    for rule in found:
        pair = isinstance(rule, Sum) and rule.level == PERSON and len(rule.columns) == 1
        if not (
            pair and any(isinstance(o, Sum) and o.total in rule.reads and o.columns == (rule.total,) for o in kept)
        ):
            kept.append(rule)
    return kept


def unit_sum(source: Source, level: str, values: Floats, inner: str | None = None) -> Floats:
    """Return the sum over the members of each unit, or over its smaller units: float64[n_units]."""
    units = source.members.units[level]
    of = units.of if inner is None else units.of[source.rows(inner)]
    return np.bincount(of, values, units.count).astype(np.float64)


def _terms(source: Source, level: str) -> list[Term]:
    """Return what a total of a level may add up."""
    terms = [Term("own", name, source.column(name, level).values) for name in source.names(level, True)]  # type: ignore[arg-type]
    if level == PERSON:
        return terms
    for name in source.names(PERSON, numeric=True):
        terms.append(Term("person", name, unit_sum(source, level, source.column(name, PERSON).values)))  # type: ignore[arg-type]
    for inner in source.inner(level):
        for name in source.names(inner, numeric=True):
            values = source.column(name, inner).values
            terms.append(Term("inner", name, unit_sum(source, level, values, inner), inner))  # type: ignore[arg-type]
    return terms + _role_terms(source, level)


def _role_terms(source: Source, level: str) -> list[Term]:
    """Return the numbers of members of each role; rules count household roles alone."""
    if source.members.roles is None:
        return []
    terms = []
    for place in np.unique(source.members.roles):
        values = unit_sum(source, level, (source.members.roles == place).astype(np.float64))
        terms.append(Term("role", source.members.role_names[place], values))
    return terms


def _by_role(source: Source, level: str) -> list[Term]:
    """Return the amounts of the members of each role in the unit."""
    role = source.role_cols.get(level)
    if role is None:
        return []
    return source.once(("by role", level), lambda: list(_amounts_by_role(source, level, role)))  # type: ignore[no-any-return]


def _amounts_by_role(source: Source, level: str, role: str) -> Iterator[Term]:
    column = source.column(role, PERSON)
    if column.codes is None:
        return
    for name in source.names(PERSON, numeric=True):
        values = source.column(name, PERSON).values
        assert values is not None
        for place, label in enumerate(column.levels):
            kept = column.codes == place
            if (values[kept] != 0).any():
                yield Term("some", name, unit_sum(source, level, np.where(kept, values, 0.0)), str(label))


def _sum(
    source: Source, level: str, name: str, total: Floats, terms: Sequence[Term], whole: bool
) -> Sum | Aggregate | None:
    """Return the sum that a column is, if it is one."""
    usable = [t for t in terms if not (t.kind == "own" and t.name == name) and (whole or t.kind != "role")]
    weights = source.row_weight(level)
    half = source.row_half(level)
    # On zeros alone are apart what is due and what is received.
    by = source.drawn(level)
    by = by[half[by] & ~np.isnan(total[by])]
    some, none = by[total[by] != 0][:_MOST_ROWS], by[total[by] == 0][:_MOST_ROWS]
    if len(some) < _LEAST_ROWS or not usable:
        return None
    chosen = _pursue(total, usable, np.concatenate([some, none]), weights)
    if chosen is None or not _agrees(total, chosen, ~half, weights):
        return None
    return _as_rule(source, level, name, chosen)


def _pursue(total: Floats, terms: Sequence[Term], rows: np.ndarray, weights: Floats) -> list[tuple[Term, int]] | None:
    """Add the column that explains most of what is left until whole coefficients are exact.

    Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad, 1993) on one half of the rows.
    """
    X = np.column_stack([term.values[rows] for term in terms])
    unknown = np.isnan(X)
    # A column asked of few would leave no row with all columns known.
    X[:, unknown.mean(axis=0) > MOST_MISSING] = 0.0
    known = ~np.isnan(X).any(axis=1)
    X, y, w = X[known], total[rows][known], np.sqrt(weights[rows][known])
    if len(y) < _LEAST_ROWS:
        return None
    X, weighted = X * w[:, None], y * w
    size = np.sqrt((X * X).sum(axis=0))
    usable = size > 0
    scaled = X / np.where(usable, size, 1.0)
    gram, cross = scaled.T @ scaled, scaled.T @ weighted
    chosen: list[int] = []
    beta = np.zeros(0)
    for _ in range(min(_MOST_TERMS, int(usable.sum()))):
        left = np.abs(cross - gram[:, chosen] @ beta) if chosen else np.abs(cross)
        left[chosen] = -1.0
        left[~usable] = -1.0
        best = int(left.argmax())
        if left[best] <= 1e-9 * float(np.linalg.norm(weighted)):
            return None
        chosen.append(best)
        beta = np.linalg.lstsq(gram[np.ix_(chosen, chosen)], cross[chosen], rcond=1e-12)[0]
        raw = beta / size[chosen]
        near = np.rint(raw)
        if (np.abs(raw - near) > 0.2).any() or (near < 0).any():
            continue
        wanted = X[:, chosen] @ near
        off = np.abs(weighted - wanted) > TOLERANCE * np.maximum(np.abs(weighted), w)
        if off.sum() <= _OFF * ((wanted != 0) | (weighted != 0)).sum():
            return [(terms[c], int(k)) for c, k in sorted(zip(chosen, near, strict=True)) if k]
    return None


def _agrees(total: Floats, chosen: Sequence[tuple[Term, int]], rows: np.ndarray, weights: Floats) -> bool:
    """Whether the other half of the households has the same sum, where either side is not 0."""
    wanted = np.sum([k * term.values[rows] for term, k in chosen], axis=0)
    known = ~np.isnan(wanted) & ((wanted != 0) | (total[rows] != 0))
    mass = weights[rows] * known
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(total[rows] - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted)))
    return float(known.sum()) >= _LEAST_ROWS and float(mass @ off) <= _OFF * float(mass.sum())


def _as_rule(source: Source, level: str, name: str, chosen: Sequence[tuple[Term, int]]) -> Sum | Aggregate | None:
    """Put terms into words: amounts count once, roles any number of times."""
    if any(k != 1 for term, k in chosen if term.kind != "role"):
        return None
    of = {kind: [term.name for term, _ in chosen if term.kind == kind] for kind in ("own", "person", "inner", "some")}
    roles = {term.name: k for term, k in chosen if term.kind == "role"}
    inner = {term.of for term, _ in chosen if term.kind == "inner"}
    if of["some"]:
        return _some(source, level, name, [term for term, _ in chosen])
    if roles:
        return None if of["own"] or inner else Sum(name, tuple(of["person"]), level, per_role=tuple(roles.items()))
    if not (of["person"] or inner):
        return Sum(name, tuple(of["own"]), PERSON)
    if of["own"] or (of["person"] and inner) or len(inner) > 1:
        pairs = tuple((term.name, term.of) for term, _ in chosen if term.kind == "inner")
        return Aggregate(name, tuple(of["person"]), "", level, tuple(of["own"]), pairs)
    return Sum(name, tuple(of["person"] or of["inner"]), level, next(iter(inner), PERSON))


def _some(source: Source, level: str, name: str, terms: Sequence[Term]) -> Aggregate | None:
    """Return the sum over members of some roles, if it is over the same roles for all amounts."""
    column = source.column(source.role_cols[level], PERSON)
    roles: dict[str, set[str]] = {}
    for term in terms:
        roles.setdefault(term.name, set()).add(term.of)
    everyone = set().union(*roles.values())
    for amount, of in roles.items():
        absent = {t.of for t in _by_role(source, level) if t.name == amount} & everyone - of
        if absent:
            return None
    labels = tuple(label for label in column.levels if str(label) in everyone)
    return Aggregate(name, tuple(roles), str(Membership(source.role_cols[level], labels)), level)


def _count(source: Source, level: str, name: str, total: Floats) -> Count | None:
    """Return the number of members, or of those who meet a condition, that a column is."""
    units = source.members.units[level]
    size = np.bincount(units.of, minlength=units.count).astype(np.float64)
    weights = source.row_weight(level)
    known = ~np.isnan(total)

    def exact(wanted: Floats) -> bool:
        return float(weights @ (known & (wanted != total))) <= _OFF * float(weights.sum())

    if exact(size):
        return Count(name, "", level)
    if float(weights @ (known & ((total > size) | (total < 0)))) > _OFF * float(weights.sum()):
        return None
    for column in source.names(PERSON):
        data = source.column(column, PERSON)
        where = _condition(source, level, data, total, weights)
        if where is not None and exact(unit_sum(source, level, where[1])):
            return Count(name, where[0], level)
    return None


def _condition(
    source: Source, level: str, column: ColumnData, total: Floats, weights: Floats
) -> tuple[str, Floats] | None:
    """Return the levels whose numbers add up to a column, as a condition, and who meets it."""
    counted = source.once(("counts", column.name, level), lambda: _numbers_of_levels(source, level, column))
    if counted is None:
        return None
    codes, labels, X = counted
    known = ~np.isnan(total)
    if known.all():
        gram = source.once(("gram", column.name, level), lambda: (X * weights[:, None]).T @ X)
    else:
        gram = (X[known] * weights[known, None]).T @ X[known]
    cross = X.T @ np.where(known, weights * total, 0.0)
    beta = np.rint(np.linalg.lstsq(gram, cross, rcond=1e-10)[0])
    chosen = np.flatnonzero(beta == 1)
    if not chosen.size or chosen.size == len(labels) or not np.isin(beta, (0.0, 1.0)).all():
        return None
    kept = np.append(beta == 1, False)[codes]
    return _condition_text(column, labels, chosen), kept.astype(np.float64)


def _numbers_of_levels(source: Source, level: str, column: ColumnData) -> tuple[np.ndarray, list[Level], Floats] | None:
    """Return levels and the number of members of each unit at each: float64[n_units, k]."""
    units = source.members.units[level]
    if column.codes is not None:
        codes, labels = np.where(column.codes < 0, len(column.levels), column.codes), list(column.levels)
    elif column.values is not None and column.dtype == "int":
        missing = np.isnan(column.values)
        found = np.unique(column.values[~missing])
        labels = [int(value) for value in found]
        codes = np.where(missing, len(found), np.searchsorted(found, column.values))
    else:
        return None
    k = len(labels)
    if not 2 <= k <= MOST_AGES:
        return None
    X = np.bincount(units.of * (k + 1) + codes, minlength=units.count * (k + 1)).reshape(-1, k + 1)[:, :k]
    return codes, labels, X.astype(np.float64)


def _condition_text(column: ColumnData, labels: Sequence[Level], chosen: np.ndarray) -> str:
    """Return ``age < 18`` where all lower values are chosen, else a list of levels."""
    if column.values is not None and len(labels) > MOST_LEVELS:
        last, n = int(chosen.max()), len(labels)
        if len(chosen) == last + 1 and last + 1 < n:
            return str(Comparison(((column.name, 1.0),), "<", float(labels[last + 1])))
        if len(chosen) == n - int(chosen.min()):
            return str(Comparison(((column.name, 1.0),), ">=", float(labels[int(chosen.min())])))
    return str(Membership(column.name, tuple(labels[i] for i in chosen)))


__all__ = ["ROLE", "Term", "totals", "unit_sum"]
