"""The plan by which constraints hold on every generated row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints.arrange import Equalities, Share, arrange, bounds_of_derived
from microplex.constraints.compiled import Bools, Every, Expression, Floats, Node, Some, Views, compile_constraint
from microplex.constraints.grammar import parse
from microplex.constraints.layout import Derived, lay_out, views_of
from microplex.constraints.support import Interval, Known, Support, decide, is_interval, mask, n_excluded
from microplex.constraints.terms import Comparison, Constraint, Sum, from_dict, to_dict
from microplex.errors import ConstraintError
from microplex.schema import Schema
from microplex.schema.grain import multiples

Values = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """How constraints are kept: an order of columns, derived columns, shares, and the support of each column.

    Attributes
    ----------
    constraints : tuple of constraint objects
        What holds on every row.
    targets, conditions : tuple of str
        Columns generated and columns given.
    order : tuple of str
        The targets that are modelled, in the order to model them.
    derived : tuple of Derived
        The other targets, each after those it is calculated from.
    shares : dict of str to Share
        Targets modelled as a share of columns known before them. Where the base is missing, so is the target.
    free : dict of str to dict
        Derived columns in terms of columns that are not derived.
    points : dict of str to tuple of float
        Values of the constrained counts that have few.
    schema : Schema
        The columns involved.

    Examples
    --------
    >>> from microplex.schema import Column
    >>> schema = Schema(tuple(Column(name, "continuous", "float", lower=0) for name in ("a", "b", "total")))
    >>> data = {"a": np.array([1.0, 2.0]), "b": np.array([0.5, 0.0]), "total": np.array([1.5, 2.0])}
    >>> plan = Plan.build(["total == a + b", "b <= a"], ["total", "a", "b"], [], data, schema)
    >>> plan.order, plan.derived
    (('a', 'b'), (Derived(name='total', of={'a': 1.0, 'b': 1.0}),))
    >>> plan.support("b", {"a": np.array([3.0])}, 1).hi
    array([3.])
    """

    constraints: tuple[Constraint, ...]
    targets: tuple[str, ...]
    conditions: tuple[str, ...]
    order: tuple[str, ...]
    derived: tuple[Derived, ...]
    shares: Mapping[str, Share]
    free: Mapping[str, Expression]
    points: Mapping[str, tuple[float, ...]]
    schema: Schema
    _views: Views = field(init=False, repr=False, compare=False)
    _nodes: tuple[tuple[Node, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_views", views_of(self.schema, self.points))
        object.__setattr__(self, "_nodes", tuple(self._compile()))

    @classmethod
    def build(
        cls,
        constraints: Sequence[str | Constraint] | None,
        target_vars: Sequence[str],
        condition_vars: Sequence[str],
        data: Values,
        schema: Schema,
        auto_shares: bool = True,
    ) -> Plan:
        """Make the plan, and check that the training data obey the constraints.

        Parameters
        ----------
        constraints : sequence of str or constraint objects, optional
            What must hold; see `parse`.
        target_vars, condition_vars : sequence of str
            Columns generated and columns given.
        data : mapping of str to array[n]
            Training columns: numbers as float64 with NaN for missing; categories as levels, or as integer codes
            in the order of the schema's levels with -1 for missing.
        schema : Schema
            The columns.
        auto_shares : bool
            Whether targets that never exceed another column become shares of it undeclared.

        Returns
        -------
        Plan
            The plan.

        Raises
        ------
        ColumnNotFoundError
            If a constraint names a column that is neither target nor condition.
        ConstraintError
            If training rows break a constraint, or no construction can keep it.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"), Column("b", "count", "int")))
        >>> data = {"a": np.array([5.0, 1.0]), "b": np.array([2.0, 4.0])}
        >>> Plan.build(["a <= b"], ["a"], ["b"], data, schema)
        Traceback (most recent call last):
        microplex.errors.ConstraintError: constraint 'a <= b' is broken by 1 of 2 training rows (50.0%):
          row 0: a = 5, b = 2
        Repair or drop these rows, or leave the constraint out.
        """
        parts = lay_out(parse(constraints), tuple(target_vars), tuple(condition_vars), data, schema, auto_shares)
        plan = cls(**parts)
        problem = plan._unkept(plan.order)
        if problem:
            raise ConstraintError(problem)
        return plan

    def support(self, name: str, values: Values, n: int, use_later: bool = False) -> Support | None:
        """Return where a column may lie on each row, given those before it.

        A law that is sampled column by column can use no later column, so the law that is scored must not either:
        values of later columns are ignored, even if given, unless asked for.

        Parameters
        ----------
        name : str
            A modelled target.
        values : mapping of str to array[n]
            Columns known, as in `build`; others take part by their bounds.
        n : int
            Number of rows.
        use_later : bool
            Whether targets that come after the column in `order` count as known too.

        Returns
        -------
        Support or None
            None if nothing restricts the column. Missing values, and codes for them, are not part of the support:
            they stay possible unless `lo` and `hi` are one value.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int", resolution=1), Column("b", "count", "int")))
        >>> data = {"a": np.array([0.0, 1.0]), "b": np.array([2.0, 4.0])}
        >>> Plan.build(["a < b"], ["a"], ["b"], data, schema).support("a", {"b": np.array([4.0])}, 1).hi
        array([3.])
        """
        nodes = [node for node, _ in self._nodes if name in node.columns]
        if not nodes:
            return None
        usable = set(values) - {name} if use_later else {*self.conditions, *self.order[: self.order.index(name)]}
        needed = {other for node in nodes for other in node.columns if other in usable and other in values}
        known = Known(n, {other: self._views[other].read(values[other]) for other in needed}, self._views)
        if not self.schema[name].is_numeric:
            return Support(levels=self._mask(nodes, name, known))
        plain, gapped = self._split(nodes, name)
        interval = Interval(name, known)
        for node in plain:
            interval.narrow(node, np.ones(n, np.bool_))
        found = interval.support()
        if gapped and name in self.points:
            found = Support(
                found.lo, found.hi, found.excluded, None, self._views[name].numbers, self._mask(gapped, name, known)
            )
        return found

    def derive(self, values: Values) -> dict[str, Floats]:
        """Calculate the derived columns.

        Parameters
        ----------
        values : mapping of str to array[n]
            Conditions and modelled targets, as in `build`.

        Returns
        -------
        dict of str to float64[n]
            The derived columns, in order; NaN where a part is missing.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "continuous", "float"), Column("b", "continuous", "float")))
        >>> plan = Plan.build(["b == 2 * a"], ["a", "b"], [], {"a": np.ones(1), "b": np.full(1, 2.0)}, schema)
        >>> plan.derive({"a": np.array([1.5])})
        {'b': array([3.])}
        """
        out: dict[str, Floats] = {}
        for name, of in self.derived:
            total: Floats | float = 0.0
            for other, factor in of.items():
                view = self._views[other]
                total = total + factor * (out[other] if other in out else view.number(view.read(values[other])))
            grain = self.schema[name].resolution
            if grain is not None and any(factor != 1 for factor in of.values()):
                nearest = multiples(np.rint(np.asarray(total) / grain), grain)
                total = np.where(np.abs(nearest - total) <= 1e-6 * grain, nearest, total)
            out[name] = np.asarray(total, dtype=np.float64)
        return out

    def admits(self, order: Sequence[str]) -> bool:
        """Whether the plan also holds if the targets are modelled in another order.

        Parameters
        ----------
        order : sequence of str
            The names of `order`, rearranged.

        Returns
        -------
        bool
            Whether targets tied by a constraint or a share come in the same order as in the plan.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"), Column("b", "count", "int")))
        >>> plan = Plan.build(None, ["a", "b"], [], {"a": np.ones(1), "b": np.ones(1)}, schema)
        >>> plan.admits(["b", "a"])
        True
        """
        return sorted(order) == sorted(self.order) and self.rearrange(order) == tuple(order)

    def rearrange(self, order: Sequence[str]) -> tuple[str, ...]:
        """Return an order near the one wished that the plan admits.

        Parameters
        ----------
        order : sequence of str
            The names of `order`, rearranged.

        Returns
        -------
        tuple of str
            The order wished if it is admitted; else with columns moved forward where others depend on them.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"), Column("b", "count", "int")))
        >>> plan = Plan.build(["a <= b"], ["a", "b"], [], {"a": np.ones(1), "b": np.ones(1)}, schema)
        >>> plan.rearrange(["a", "b"])
        ('b', 'a')
        """
        ties = [node.columns for node, _ in self._nodes] + [{name, *share.of} for name, share in self.shares.items()]
        chains = [[name for name in self.order if name in tie] for tie in ties]
        return arrange(order, [pair for chain in chains for pair in pairwise(chain)])

    def check(self, values: Values) -> list[tuple[str, Bools]]:
        """Find the rows that break a constraint.

        Parameters
        ----------
        values : mapping of str to array[n]
            Columns as in `build`; a constraint on others is undecided.

        Returns
        -------
        list of (str, bool[n])
            Each constraint as text, and whether a row breaks it. A row with a missing value passes where that
            leaves the constraint undecided.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"),))
        >>> plan = Plan.build(["a >= 0"], ["a"], [], {"a": np.ones(2)}, schema)
        >>> plan.check({"a": np.array([-1.0, 5.0])})
        [('a >= 0', array([ True, False]))]
        """
        read = {name: self._views[name].read(values[name]) for name in values if name in self._views}
        known = Known(len(next(iter(read.values()), ())), read, self._views)
        return [(str(c), decide(compile_constraint(c, self._views, {}), known)[1]) for c in self.constraints]

    def describe(self) -> list[str]:
        """Say in words how each constraint is kept.

        Returns
        -------
        list of str
            One line for each constraint, and for each share and derived column.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"),))
        >>> Plan.build(["a >= 0"], ["a"], [], {"a": np.ones(2)}, schema).describe()
        ['a >= 0: restricts a']
        """
        lines = []
        place = {name: i for i, name in enumerate(self.order)}
        for constraint in self.constraints:
            node = compile_constraint(constraint, self._views, self.free)
            last = max(node.columns & place.keys(), key=place.__getitem__, default=None)
            if isinstance(constraint, (Sum, Comparison)) and not node.columns:
                lines.append(f"{constraint}: by derivation")
            else:
                lines.append(f"{constraint}: " + (f"restricts {last}" if last else "concerns conditions only"))
        lines += [f"{name} = {_formula(of)}: derived" for name, of in self.derived]
        return lines + [f"{name} <= {_formula(share.of)}: modelled as a share" for name, share in self.shares.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for JSON.

        Returns
        -------
        dict
            Read back by `from_dict`. It holds no training row; combinations are of categories.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"),))
        >>> Plan.build(None, ["a"], [], {"a": np.ones(2)}, schema).to_dict()["order"]
        ['a']
        """
        return {
            "constraints": [to_dict(constraint) for constraint in self.constraints],
            "targets": list(self.targets),
            "conditions": list(self.conditions),
            "order": list(self.order),
            "derived": [[name, dict(of)] for name, of in self.derived],
            "shares": {name: dict(share.of) for name, share in self.shares.items()},
            "free": {name: dict(of) for name, of in self.free.items()},
            "points": {name: list(points) for name, points in self.points.items()},
            "schema": self.schema.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Plan:
        """Read what `to_dict` wrote.

        Parameters
        ----------
        content : mapping
            The plan as plain values.

        Returns
        -------
        Plan
            The plan.

        Raises
        ------
        ConstraintError
            If an entry is absent.

        Examples
        --------
        >>> from microplex.schema import Column
        >>> schema = Schema((Column("a", "count", "int"),))
        >>> plan = Plan.build(["a >= 0"], ["a"], [], {"a": np.ones(2)}, schema)
        >>> Plan.from_dict(plan.to_dict()) == plan
        True
        """
        try:
            return cls(
                constraints=tuple(from_dict(entry) for entry in content["constraints"]),
                targets=tuple(content["targets"]),
                conditions=tuple(content["conditions"]),
                order=tuple(content["order"]),
                derived=tuple(Derived(name, dict(of)) for name, of in content["derived"]),
                shares={name: Share(dict(of)) for name, of in content["shares"].items()},
                free={name: dict(of) for name, of in content["free"].items()},
                points={name: tuple(points) for name, points in content["points"].items()},
                schema=Schema.from_dict(content["schema"]),
            )
        except KeyError as error:
            raise ConstraintError(f"the saved plan of constraints lacks the entry {error}.") from error

    def _compile(self) -> Iterable[tuple[Node, str]]:
        """Yield what must hold over columns not derived, with the constraint it stems from."""
        for constraint in self.constraints:
            node = compile_constraint(constraint, self._views, self.free)
            if node == Some(()):
                raise ConstraintError(f"constraint '{constraint}' cannot hold together with the equalities.")
            for part in node.parts if isinstance(node, Every) else (node,):
                yield part, str(constraint)
        for bound in bounds_of_derived(Equalities(free=dict(self.free)), self._views):
            yield bound, "the bounds of a derived column"

    def _split(self, nodes: Iterable[Node], name: str) -> tuple[list[Node], list[Node]]:
        """Part statements on a numeric column into those that leave an interval less one value, and others."""
        plain, gapped, room = [], [], 1
        for node in nodes:
            excludes = n_excluded(node, name)
            if is_interval(node, name, self._views) and excludes <= room:
                room -= excludes
                plain.append(node)
            else:
                gapped.append(node)
        return plain, gapped

    def _mask(self, nodes: Iterable[Node], name: str, known: Known) -> Bools:
        view = self._views[name]
        size = len(self.points[name]) if name in self.points else len(view.column.levels)
        masks = [mask(node, name, known) for node in nodes]
        joined = masks[0] if len(masks) == 1 else np.logical_and.reduce(np.broadcast_arrays(*masks))
        return np.broadcast_to(joined, (known.n, size))

    def _unkept(self, order: Sequence[str]) -> str | None:
        """Return why a constraint cannot be kept in an order of the targets; None if all can."""
        place = {name: i for i, name in enumerate(order)}
        for name in order:
            if not self._views[name].is_continuous:
                continue
            last = {
                id(node)
                for node, _ in self._nodes
                if name in node.columns and max(node.columns & place.keys(), key=place.__getitem__) == name
            }
            nodes = [(node, text) for node, text in self._nodes if name in node.columns]
            gapped = {id(node) for node in self._split([node for node, _ in nodes], name)[1]}
            for node, text in nodes:
                if id(node) in last & gapped:
                    return (
                        f"constraint '{text}' leaves column {name!r} a range with gaps, which can be kept only for "
                        "categories and counts of few values. Simplify it, or declare the column categorical."
                    )
        return None


def _formula(of: Expression) -> str:
    signed = [
        f"{'-' if factor < 0 else '+'} {'' if abs(factor) == 1 else f'{abs(factor):g} * '}{name}"
        for name, factor in of.items()
    ]
    return " ".join(signed).removeprefix("+ ")
