"""What `evaluate_hierarchy` returns: measures of households beside what fresh real households score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from microplex.errors import DataError, ParameterError
from microplex.metrics.households.apart import Apart
from microplex.metrics.record import Record

Key = tuple[str, tuple[str, ...]]

LOUD = 2.0
EXACT = ("declared_share", "shared_share", "agg_share", "agg_max_abs", "lower_share")
BESIDE = ("copy_share", "dcr_share")
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class HierarchyEvaluation:
    """Measures of synthetic against real households.

    Parameters
    ----------
    records : tuple of Record
        Means over parts have no variables; the parts have.
    floors : mapping of (measure, variables) to tuple of float
        The same measures between two parts of the real households, one for each re-split.
    rule_table : DataFrame
        See `rules`.
    sizes : mapping of str to int
        Households and members of each population, and Kish's effective numbers of households.
    notes : tuple of str
        How figures were taken.
    classifier : Apart, optional
        Between real and synthetic households.
    """

    records: tuple[Record, ...]
    floors: Mapping[Key, tuple[float, ...]]
    rule_table: pd.DataFrame
    sizes: Mapping[str, int]
    notes: tuple[str, ...] = ()
    classifier: Apart | None = field(default=None, repr=False)

    def __getitem__(self, measure: str) -> Record:
        """Return the record of a measure over all households; ParameterError if there is none."""
        for record in self.records:
            if record.measure == measure and not record.variables:
                return record
        raise ParameterError(f"there is no measure {measure!r}; there are {', '.join(self.frame['metric'])}.")

    @property
    def frame(self) -> pd.DataFrame:
        """One row a measure.

        metric; value; ideal; floor, the mean over re-splits of real households, with floor_low and floor_high; excess,
        how much further from the ideal than the floor; verdict; note. Verdicts: "as real", where fresh real households
        lie 19 times in 20: within the interval of the record, or below the upper bound that the floors give for one
        more of them, their mean + t s sqrt(1 + 1 / k), with t of k - 1 degrees; "near", less than twice as far from
        the ideal as the floor; "off"; "exact" or "broken" for what must hold, unless real households break it as
        often; "not defined", with the reason in the note.
        """
        return self._table([record for record in self.records if not record.variables])

    @property
    def details(self) -> pd.DataFrame:
        """The parts of which some measures are means, as `frame` with a column of variables."""
        return self._table([record for record in self.records if record.variables], variables=True)

    @property
    def rules(self) -> pd.DataFrame:
        """One row a rule, what no household can be first.

        rule; kind ("structural" or "declared"); real and synthetic, weighted shares of the households that break it;
        households, how many synthetic ones do.
        """
        return self.rule_table.copy()

    def verdict(self, record: Record) -> str:
        """Judge one of the records; see `frame`."""
        if not record.defined:
            return "not defined"
        if record.measure in EXACT:
            if record.value == 0:
                return "exact"
            floors = self._away(record)
            return "as real" if floors.any() and record.value <= _bound(floors) else "broken"
        # No synthesis copies too little.
        if record.interval is not None:
            low = -np.inf if record.measure in BESIDE else record.interval[0]
            if low <= record.value <= record.interval[1]:
                return "as real"
        away = abs(record.value - record.ideal)
        if away <= _LEAST:
            return "as real"
        floors = self._away(record)
        if not len(floors):
            return "" if record.interval is None else "off"
        if record.interval is None and away <= _bound(floors):
            return "as real"
        return "near" if away <= LOUD * float(floors.mean()) else "off"

    def _away(self, record: Record) -> NDArray[np.float64]:
        floors = self.floors.get((record.measure, record.variables), ())
        return np.abs(np.array(floors, dtype=np.float64) - record.ideal)

    def why(self, n: int = 10, seed: int = 0) -> pd.DataFrame:
        """Return what gives synthetic households away: the features that the classifier needs most.

        Parameters
        ----------
        n : int
            Rows.
        seed : int
            Of the shuffles.

        Returns
        -------
        DataFrame
            See `Apart.importances`.

        Raises
        ------
        DataError
            If no classifier was trained.
        """
        if self.classifier is None:
            raise DataError(
                "no classifier was trained; call evaluate_hierarchy with classifiers=True on more households."
            )
        return self.classifier.importances(seed).head(n)

    def compare(self, other: HierarchyEvaluation) -> pd.DataFrame:
        """Compare with the evaluation of another synthesis against the same real households.

        Parameters
        ----------
        other : HierarchyEvaluation

        Returns
        -------
        DataFrame
            metric, value, other, floor, and better: "this", "other", or "" where they are within the spread of the
            floor of each other.

        Raises
        ------
        ParameterError
            If the other one was measured against other households.
        """
        wrong = [name for name in ("real households", "real members") if self.sizes[name] != other.sizes.get(name)]
        if wrong:
            raise ParameterError(
                f"the two were measured against different data: {self.sizes[wrong[0]]:,} and "
                f"{other.sizes.get(wrong[0], 0):,} {wrong[0]}."
            )
        theirs = {(record.measure, record.variables): record for record in other.records if record.defined}
        rows = []
        for record in self.records:
            against = theirs.get((record.measure, record.variables))
            if record.variables or not record.defined or against is None:
                continue
            floors = self.floors.get((record.measure, ()), ())
            spread = float(np.ptp(floors)) if floors else 0.0
            gap = abs(record.value - record.ideal) - abs(against.value - against.ideal)
            better = "" if abs(gap) <= max(spread, _LEAST) else "this" if gap < 0 else "other"
            rows.append(
                [record.measure, record.value, against.value, float(np.mean(floors)) if floors else np.nan, better]
            )
        return pd.DataFrame(rows, columns=["metric", "value", "other", "floor", "better"])

    def summary(self) -> str:
        """Return the verdict in words."""
        table = self.frame
        lines = [
            f"{self.sizes['synthetic households']:,} synthetic households with {self.sizes['synthetic members']:,} "
            f"members against {self.sizes['real households']:,} real ones with {self.sizes['real members']:,}."
        ]
        counts = table["verdict"].value_counts()
        judged = int(sum(counts.get(word, 0) for word in ("as real", "near", "off")))
        lines.append(
            f"Of {judged} measures beside a floor, {counts.get('as real', 0)} are as good as fresh real households, "
            f"{counts.get('near', 0)} within twice their distance, {counts.get('off', 0)} further off."
        )
        for name, value, floor, note in table.loc[
            table["verdict"].isin(["off", "broken"]), ["metric", "value", "floor", "note"]
        ].to_numpy():
            beside = "" if np.isnan(floor) else f", floor {floor:.3g}"
            lines.append(f"- {name}: {value:.3g}{beside}{f' ({note})' if note else ''}")
        return "\n".join([*lines, *self.notes])

    def to_markdown(self) -> str:
        """Return the table of measures, the rules that are broken and the notes as Markdown."""
        columns = ["metric", "value", "floor", "floor_low", "floor_high", "excess", "verdict", "note"]
        parts = [_markdown(self.frame[columns])]
        broken = self.rule_table[(self.rule_table["real"] > 0) | (self.rule_table["synthetic"] > 0)]
        if len(broken):
            parts.append(_markdown(broken))
        return "\n\n".join([*parts, *self.notes]) + "\n"

    def _table(self, records: list[Record], variables: bool = False) -> pd.DataFrame:
        rows = []
        for record in records:
            floors = self.floors.get((record.measure, record.variables), ())
            mean = float(np.mean(floors)) if floors else record.floor
            away = self._away(record) if floors else np.array([abs(mean - record.ideal)])
            excess = abs(record.value - record.ideal) - float(away.mean()) if record.defined else np.nan
            row = {"metric": record.measure, **({"variables": ", ".join(record.variables)} if variables else {})}
            rows.append(
                row
                | {
                    "value": record.value,
                    "ideal": record.ideal,
                    "floor": mean,
                    "floor_low": min(floors) if floors else mean,
                    "floor_high": max(floors) if floors else mean,
                    "excess": round(excess, 15),
                    "verdict": self.verdict(record),
                    "note": record.reason or record.detail,
                }
            )
        return pd.DataFrame(rows)


def _bound(floors: NDArray[np.float64]) -> float:
    """Return what one more of the floors exceeds once in 20 times, by Student's distribution."""
    k = len(floors)
    if k < 2:
        return float(floors.max())
    return float(floors.mean() + stats.t.ppf(0.95, k - 1) * floors.std(ddof=1) * np.sqrt(1 + 1 / k))


def _markdown(table: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "" if np.isnan(value) else f"{value:.4g}"
        return str(value).replace("|", r"\|").replace("\n", " ")

    rows = [list(table.columns), ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(cell(value) for value in row)} |" for row in rows)
