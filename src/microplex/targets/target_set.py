"""Many targets: read from any form, filtered, brought to another year, made to agree between levels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, overload

import pandas as pd

from microplex.errors import ParameterError, near_miss
from microplex.frames import Frame, read_table
from microplex.targets import forms
from microplex.targets.populationsim import read_populationsim
from microplex.targets.reconcile import reconcile
from microplex.targets.target import Target

Path: TypeAlias = "str | os.PathLike[str]"


class TargetSet(Sequence[Target]):
    """An immutable sequence of targets with unique names.

    Parameters
    ----------
    targets : iterable of Target
        A name that repeats is numbered: 'wages', 'wages (2)'.

    Raises
    ------
    ParameterError
        If something is no `Target`.

    Examples
    --------
    >>> targets = TargetSet.from_dict({"state": {"CA": 39e6, "NY": 19e6}, "wages": 4.5e12})
    >>> targets.names
    ('count, state=CA', 'count, state=NY', 'wages')
    >>> targets.uprate({"wages": 1.03})["wages"].total
    4635000000000.0
    """

    __slots__ = ("_targets",)

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._targets = _with_unique_names(tuple(targets))

    @classmethod
    def coerce(cls, targets: Targets) -> TargetSet:
        """Return targets of any form as a set.

        Parameters
        ----------
        targets : TargetSet, Target, sequence of Target, dict, data frame or path
            A dict as in `from_dict`, a frame as in `from_frame`, a path as in `from_csv`.

        Returns
        -------
        TargetSet
            With at least one target.

        Raises
        ------
        ParameterError
            If there are none, or the form is unknown.

        Examples
        --------
        >>> TargetSet.coerce([Target(5, by={"state": "CA"})]).names
        ('count, state=CA',)
        """
        if isinstance(targets, TargetSet):
            found = targets
        elif isinstance(targets, Target):
            found = cls([targets])
        elif isinstance(targets, Mapping):
            found = cls.from_dict(targets)
        elif isinstance(targets, str | os.PathLike):
            found = cls.from_csv(targets)
        elif isinstance(targets, list | tuple):
            found = cls(targets)
        else:
            found = cls.from_frame(targets)
        if not found:
            raise ParameterError("there are no targets; at least one is needed.")
        return found

    @classmethod
    def from_frame(cls, frame: Frame) -> TargetSet:
        """Read a table with one row a target.

        Parameters
        ----------
        frame : data frame
            Column ``total`` (or ``value``), and any of variable, entity, where, statistic, denominator, probability,
            tolerance, importance, name, source, period, unit, notes. Any other column is a column of the data: the
            cell of a target is made of those that are not missing. Where ``variable`` is missing or names the
            entity ("households", "persons"), records are counted; so the table of
            `microplex.datasets.official_totals` is read as it is.

        Returns
        -------
        TargetSet

        Raises
        ------
        ParameterError
            If there is no total, or a row cannot be a target; the row is named.

        Examples
        --------
        >>> table = pd.DataFrame({"variable": [None, "wages"], "state": ["CA", None], "total": [39e6, 4.5e12]})
        >>> TargetSet.from_frame(table).names
        ('count, state=CA', 'wages')
        """
        return cls(forms.targets_of_frame(frame))

    @classmethod
    def from_csv(cls, path: Path) -> TargetSet:
        """Read a table as in `from_frame` from a csv or parquet file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        DataError, ParameterError
            If it is no table of targets.
        """
        return cls.from_frame(read_table(path))

    @classmethod
    def from_dict(
        cls,
        targets: Mapping[Any, Any],
        *,
        entity: str | None = None,
        tolerance: float = 0.0,
        importance: float = 1.0,
    ) -> TargetSet:
        """Read nested dictionaries.

        Parameters
        ----------
        targets : mapping
            ``{"state": {"CA": 39e6}}`` counts by state, ``{("state", "sex"): {("CA", "f"): 19e6}}`` by crossed
            columns, ``{"wages": 4.5e12}`` is a sum, ``{"persons": 3.3e8}`` a count of that entity, and
            ``{"wages": {"state": {"CA": 6e11}}}`` a sum by state.
        entity : str, optional
            Of all targets that do not name one.
        tolerance, importance : float
            Of all targets.

        Returns
        -------
        TargetSet

        Raises
        ------
        ParameterError
            If a part has another form; its place is named.

        Examples
        --------
        >>> TargetSet.from_dict({("state", "tenure"): {("CA", "owned"): 7e6}, "persons": 39e6}).names
        ('count, state=CA, tenure=owned', 'persons')
        """
        return cls(forms.targets_of_dict(targets, entity=entity, tolerance=tolerance, importance=importance))

    @classmethod
    def from_populationsim(cls, path: Path, *, configs: str | None = None, data: str | None = None) -> TargetSet:
        """Read the control specification and totals of a PopulationSim folder, unchanged.

        Parameters
        ----------
        path : path
            The folder with ``configs`` and ``data``, or one with all files, or a ``controls.csv``.
        configs, data : str, optional
            Names of the two folders, where they are others.

        Returns
        -------
        TargetSet
            One target for each control and zone, with ``by={geography: zone}``, the filter of its expression and its
            importance.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        DataError, ParameterError
            If a control names no known table or column, or its expression cannot be read.
        """
        return cls(read_populationsim(path, configs=configs, data=data))

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(target.name for target in self._targets)

    def filter(self, predicate: Callable[[Target], bool]) -> TargetSet:
        """Return the targets for which a function is true.

        Examples
        --------
        >>> targets = TargetSet.from_dict({"wages": 10, "persons": 3})
        >>> targets.filter(lambda target: target.variable == "wages").names
        ('wages',)
        """
        return TargetSet(target for target in self._targets if predicate(target))

    def uprate(self, factor: float | Mapping[str, float]) -> TargetSet:
        """Return the set with totals multiplied; means, ratios, shares and quantiles stay as they are.

        Parameters
        ----------
        factor : float or mapping
            One for all totals, or one for each variable; counts are under the name of their entity or "count".

        Returns
        -------
        TargetSet

        Raises
        ------
        ParameterError
            If a variable of the mapping has no target.

        Examples
        --------
        >>> TargetSet.from_dict({"wages": 100, "persons": 10}).uprate({"wages": 1.5, "persons": 2})["wages"].total
        150.0
        """
        if not isinstance(factor, Mapping):
            return TargetSet(_uprated(target, factor) for target in self._targets)
        titles = {title for target in self._targets if target.statistic == "total" for title in _titles(target)}
        for name in factor:
            if name not in titles:
                raise ParameterError(
                    f"uprate: no total has variable {name!r}.{near_miss(name, sorted(titles))} "
                    f"There are {', '.join(sorted(titles))}."
                )
        factors = [next((factor[t] for t in _titles(target) if t in factor), 1.0) for target in self._targets]
        return TargetSet(_uprated(target, number) for target, number in zip(self._targets, factors, strict=True))

    def reconcile(self, to: str, *, crosswalk: Frame | None = None) -> TargetSet:
        """Return the set with totals of other levels scaled so that they agree with those of one level.

        Totals by `to` (such as "state") stay as they are, and are taken to be complete. Then, variable by variable:

        * above: a total without `to` that is a sum of totals by `to` becomes that sum, so a nation becomes the sum
          of its states; totals of the same area that have no such parts (a nation by age, with states not by age)
          are multiplied by the factor of their area's total.
        * below: totals of a finer level (counties) are multiplied so that those of one `to` add up to its total.

        Which area lies in which is read from `crosswalk`, and from targets that name both columns and several areas.

        Parameters
        ----------
        to : str
            Column of the level that stays.
        crosswalk : data frame, optional
            With the columns of the levels.

        Returns
        -------
        TargetSet
            Means, ratios, shares and quantiles are unchanged.

        Raises
        ------
        ParameterError
            If no target is by `to`.
        DataError
            If parts that add up to 0 should add up to something else.

        Examples
        --------
        >>> targets = [Target(100), Target(60, by={"state": "CA"}), Target(50, by={"state": "NY"})]
        >>> TargetSet(targets).reconcile(to="state")["count"].total
        110.0
        """
        return TargetSet(reconcile(self._targets, to, crosswalk))

    def summary(self) -> pd.DataFrame:
        """Return one row for each variable and set of columns.

        Returns
        -------
        DataFrame
            variable, entity, statistic, where, by, targets (how many), total (their sum; missing where the
            statistic is no total), tolerance (the largest).

        Examples
        --------
        >>> TargetSet.from_dict({"state": {"CA": 39, "NY": 19}}).summary()[["variable", "by", "targets", "total"]]
          variable     by  targets  total
        0    count  state        2   58.0
        """
        return forms.summary(self._targets)

    def to_frame(self) -> pd.DataFrame:
        """Return the table that `from_frame` reads back.

        Raises
        ------
        ParameterError
            If a column of a cell has the name of a column of the table, such as "unit".

        Examples
        --------
        >>> targets = TargetSet.from_dict({"state": {"CA": 39e6}, "wages": 4.5e12})
        >>> TargetSet.from_frame(targets.to_frame()) == targets
        True
        """
        return forms.frame_of_targets(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._targets)

    @overload
    def __getitem__(self, index: int | str) -> Target: ...
    @overload
    def __getitem__(self, index: slice) -> TargetSet: ...

    def __getitem__(self, index: int | str | slice) -> Target | TargetSet:
        """Return a target by place or name, or a slice as a set."""
        if isinstance(index, slice):
            return TargetSet(self._targets[index])
        if isinstance(index, str):
            for target in self._targets:
                if target.name == index:
                    return target
            raise ParameterError(f"no target is named {index!r}.{near_miss(index, self.names)}")
        return self._targets[index]

    def __add__(self, other: Targets) -> TargetSet:
        """Return the targets of both."""
        return TargetSet((*self._targets, *TargetSet.coerce(other)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TargetSet) and self._targets == other._targets

    def __hash__(self) -> int:
        return hash(self._targets)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.names[:3])) + (", ..." if len(self) > 3 else "")
        return f"TargetSet({len(self)} targets{': ' if shown else ''}{shown})"


Targets: TypeAlias = "TargetSet | Target | Sequence[Target] | Mapping[Any, Any] | Frame | Path"


def _with_unique_names(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    for i, target in enumerate(targets):
        if not isinstance(target, Target):
            raise ParameterError(f"targets must be Target objects; number {i} is {target!r}.")
    counts = Counter(target.name for target in targets)
    if len(counts) == len(targets):
        return targets
    taken, seen, named = set(counts), Counter[str](), []
    for target in targets:
        seen[target.name] += 1
        if seen[target.name] > 1:
            number = seen[target.name]
            while (name := f"{target.name} ({number})") in taken:
                number += 1
            taken.add(name)
            target = replace(target, name=name)
        named.append(target)
    return tuple(named)


def _titles(target: Target) -> tuple[str, ...]:
    if target.variable is not None:
        return (target.variable,)
    return ("count",) if target.entity is None else (target.entity, "count")


def _uprated(target: Target, factor: float) -> Target:
    return replace(target, total=target.total * factor) if target.statistic == "total" else target
