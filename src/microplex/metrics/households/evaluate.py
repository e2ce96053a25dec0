"""One call that judges synthetic households, each measure beside its floor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from microplex._random import uniforms
from microplex._validation import check_seed
from microplex.entities import Hierarchy
from microplex.errors import ParameterError
from microplex.metrics.households.apart import Apart, apart_records
from microplex.metrics.households.composition import composition_records
from microplex.metrics.households.copies import copy_records
from microplex.metrics.households.couples import couple_records, gap_records
from microplex.metrics.households.declared import Amount, Declared, Rule
from microplex.metrics.households.dependence import cluster_records, cross_records
from microplex.metrics.households.evaluation import HierarchyEvaluation, Key
from microplex.metrics.households.policy import policy_records
from microplex.metrics.households.reading import Choice, populations, read_views
from microplex.metrics.households.structure import rule_shares, structure_records
from microplex.metrics.households.view import Limits, View
from microplex.metrics.record import Record
from microplex.survey import ess

_SPLIT_STREAM = 770
_TESTED = 2  # re-splits that classifiers see, which have an interval besides


def evaluate_hierarchy(
    real: Any,
    synthetic: Any,
    schema: Hierarchy | None = None,
    train: Any = None,
    *,
    rules: Sequence[str] | Mapping[str, Rule] = (),
    identities: Mapping[str, Amount] | None = None,
    bounds: Mapping[str, Amount] | None = None,
    shared: Sequence[str] = (),
    categories: Sequence[str] = (),
    age_col: str | None = "age",
    earnings_col: str | None = None,
    household_vars: Sequence[str] | None = None,
    member_vars: Sequence[str] | None = None,
    type_vars: Sequence[str] | None = None,
    cluster_vars: Sequence[str] | None = None,
    adult_age: float = 18,
    limits: Limits | None = None,
    classifiers: bool = True,
    max_households: int = 4000,
    floor: int = 5,
    seed: int = 0,
) -> HierarchyEvaluation:
    """Judge synthetic households, not persons: who lives together, how alike they are, and what cannot be.

    Every measure stands beside its floor, what real households score against other real households: with `train`
    these and the real ones are dealt anew into two parts, the second as large as `real`; without, the real ones are
    halved, and a floor on half of the households is about 1.4 times too high. A household is never cut. Survey weights
    count throughout: a household of weight w is w households.

    Parameters
    ----------
    real : Population, or tables that make one
        Real households that the model was not fitted to, if there are any.
    synthetic : Population, or tables
    schema : Hierarchy, optional
        Roles and groups; those of `real` unless given, or `microplex.entities.US` for tables.
    train : Population, or tables, optional
        What the model was fitted to: for copies and distances, and a floor of full size.
    rules : sequence of str, or mapping of names to str or callable
        What must hold of each member, such as ``"age < 15 -> wages == 0"``, over variables of the member, of its
        groups, and ``role``. A callable takes the population and returns which members, or households, break it.
    identities : mapping, optional
        Variables of a group that are sums over its members: ``{"n_persons": "count", "n_workers": "count(hours > 0)",
        "total": "wages + rent", "snap": "tax_units.snap", "tax_units.wages": "wages"}``; a callable takes the
        population and returns an amount a member.
    bounds : mapping, optional
        Variables of a group that are at least a sum, written alike.
    shared : sequence of str
        Member variables that all members of a household have in common.
    categories : sequence of str
        Numbers that are codes; text, booleans and categories are categories anyway.
    age_col, earnings_col : str, optional
        Member variables; "age", and the first of "earnings" and "wages", unless given.
    household_vars, member_vars : sequence of str, optional
        What is judged; all but keys, weights and roles unless given.
    type_vars : sequence of str, optional
        Household variables in the tables of types; the first three of at most 20 levels unless given.
    cluster_vars : sequence of str, optional
        Member variables whose likeness within households is compared; all unless given.
    adult_age : float
    limits : Limits, optional
        Ages and numbers beyond which a household cannot be.
    classifiers : bool
        Whether to train classifiers, which takes most of the time, and to take distances to the training households.
    max_households : int
        Households of each side that classifiers see.
    floor : int
        Re-splits of the real households; 0 for none. Classifiers see the first two, as they have an interval besides.
    seed : int

    Returns
    -------
    HierarchyEvaluation

    Raises
    ------
    ColumnNotFoundError, DataError, SchemaError
        If populations do not fit together, or a named column is missing.
    ConstraintError
        If a rule cannot be read.
    ParameterError
        If a number is out of range.
    ImportError
        If scikit-learn is not installed and classifiers are asked for: ``pip install "microplex[report]"``.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> found = evaluate_hierarchy(
    ...     make_population(300, seed=0), make_population(300, seed=1), rules=["age < 15 -> wages == 0"],
    ...     identities={"n_persons": "count"}, classifiers=False)
    >>> found["agg_share"].value, found["declared_share"].value
    (0.0, 0.0)
    >>> found.frame.columns[:4].tolist()
    ['metric', 'value', 'ideal', 'floor']
    """
    seed = _checked(seed, floor, max_households)
    named = {"real": real, "synthetic": synthetic} | ({} if train is None else {"train": train})
    choice = Choice(
        age_col=age_col,
        earnings_col=earnings_col,
        categories=tuple(categories),
        household_vars=_names(household_vars),
        member_vars=_names(member_vars),
        type_vars=_names(type_vars),
        cluster_vars=_names(cluster_vars),
        adult_age=adult_age,
        limits=limits or Limits(),
    )
    declared = Declared(_named_rules(rules), tuple(shared), dict(identities or {}), dict(bounds or {}))
    _, views = read_views(populations(schema, named), choice, declared)
    return judge_views(views["real"], views["synthetic"], views.get("train"), classifiers, max_households, floor, seed)


def judge_views(
    real: View, synthetic: View, train: View | None, classifiers: bool, max_households: int, floor: int, seed: int
) -> HierarchyEvaluation:
    """Judge views; see `evaluate_hierarchy`.

    Examples
    --------
    >>> from microplex.metrics.households.testing import example
    >>> judge_views(example(), example(), None, False, 100, 0, 0)["comp_tvd"].value
    0.0
    """
    records, classifier = _measured(real, synthetic, classifiers, max_households, seed)
    records += copy_records(real, synthetic, train, classifiers, seed)
    floors: dict[Key, list[float]] = {}
    for number, (first, second) in enumerate(_resplits(real, synthetic, train, floor, seed)):
        for record in _measured(second, first, classifiers and number < _TESTED, max_households, seed)[0]:
            if record.defined:
                floors.setdefault((record.measure, record.variables), []).append(record.value)
    beside = {key: tuple(values) for key, values in floors.items()}
    records = [
        record.with_floor(float(np.mean(beside[key])))
        if record.defined and (key := (record.measure, record.variables)) in beside
        else record
        for record in records
    ]
    return HierarchyEvaluation(
        tuple(records),
        beside,
        _rule_table(real, synthetic),
        _sizes({"real": real, "synthetic": synthetic} | ({} if train is None else {"train": train})),
        tuple(_notes(real, synthetic, train, floor, classifiers, max_households)),
        classifier,
    )


def _measured(
    real: View, synthetic: View, classifiers: bool, max_households: int, seed: int
) -> tuple[list[Record], Apart | None]:
    records: list[Record] = []
    for take in (
        composition_records,
        couple_records,
        gap_records,
        cluster_records,
        cross_records,
        policy_records,
        structure_records,
    ):
        records += take(real, synthetic)
    if not classifiers:
        return records, None
    tested, classifier = apart_records(real, synthetic, max_households, seed)
    return records + tested, classifier


def _resplits(real: View, synthetic: View, train: View | None, floor: int, seed: int) -> Iterable[tuple[View, View]]:
    """Yield households in the part of the synthetic ones and in that of the real ones."""
    pool = real if train is None else real.join(train)
    n_real = pool.n // 2 if train is None else real.n
    n_synthetic = min(synthetic.n, pool.n - n_real)
    if min(n_real, n_synthetic) < 1:
        return
    for number in range(floor):
        stream = _SPLIT_STREAM + 2 * number
        parts = [uniforms(seed, real.keys, stream, 1)[0]]
        if train is not None:
            parts.append(uniforms(seed, train.keys, stream + 1, 1)[0])
        order = np.argsort(np.concatenate(parts), kind="stable")
        second, first = order[:n_real], order[n_real : n_real + n_synthetic]
        if pool.weights[first].sum() > 0 and pool.weights[second].sum() > 0:
            yield pool.take(np.sort(first)), pool.take(np.sort(second))


def _rule_table(real: View, synthetic: View) -> pd.DataFrame:
    theirs, ours = rule_shares(real), rule_shares(synthetic)
    rows = [
        [name, "declared" if name in real.broken else "structural", theirs[name][0], ours[name][0], ours[name][1]]
        for name in ours
    ]
    return pd.DataFrame(rows, columns=["rule", "kind", "real", "synthetic", "households"])


def _sizes(views: Mapping[str, View]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, view in views.items():
        sizes |= {f"{name} households": view.n, f"{name} members": len(view.home)}
        sizes[f"{name} effective households"] = round(ess(view.weights))
    return sizes


def _notes(
    real: View, synthetic: View, train: View | None, floor: int, classifiers: bool, max_households: int
) -> Iterable[str]:
    if floor and train is None:
        yield f"Floor: {floor} times one half of the real households against the other."
    elif floor and train is not None:
        yield (
            f"Floor: {floor} times the real and training households dealt anew; {real.n:,} of them against "
            f"{min(synthetic.n, train.n):,}."
        )
    effective = {name: ess(view.weights) for name, view in (("real", real), ("synthetic", synthetic))}
    views = {"real": real, "synthetic": synthetic}
    for name, found in effective.items():
        if found < 0.999 * views[name].n:
            yield f"The {name} weights leave {found:,.0f} effective of {views[name].n:,} households."
    n_first = min(synthetic.n, (real.n - real.n // 2) if train is None else train.n)
    n_second = real.n // 2 if train is None else real.n
    if floor and n_first and n_second:
        larger = np.sqrt((1 / n_first + 1 / n_second) / (1 / synthetic.n + 1 / real.n))
        if larger > 1.1:
            yield f"The floor rests on fewer households than the measures: it is about {larger:.1f} times too high."
    if classifiers and max(real.n, synthetic.n) > max_households:
        yield f"Classifiers: {max_households:,} households of each side."


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _named_rules(rules: Sequence[str] | Mapping[str, Rule]) -> dict[str, Rule]:
    if isinstance(rules, Mapping):
        return dict(rules)
    listed = [rules] if isinstance(rules, str) else list(rules)
    for rule in listed:
        if not isinstance(rule, str):
            raise ParameterError(f"rules must be texts, or a mapping of names to texts or callables; got {rule!r}.")
    return {rule: rule for rule in listed}


def _checked(seed: int, floor: int, max_households: int) -> int:
    for name, value, least in (("floor", floor, 0), ("max_households", max_households, 10)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ParameterError(f"{name} must be a whole number of at least {least}; got {value!r}.")
    return check_seed(seed)
