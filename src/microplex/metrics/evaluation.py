"""All measures of a synthesis together, each beside what fresh real rows would score."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from microplex.metrics.privacy import privacy_verdict
from microplex.metrics.record import WORST_PAIR, Record, to_frame

_WORST = 8
_LOUD = 2.0  # times the floor (plus a little) from which a measure is called out


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Measures of synthetic against real data.

    Parameters
    ----------
    records : tuple of Record
    condition_vars, target_vars : tuple of str
    sizes : dict of str to int
        Rows of each table.
    notes : tuple of str
        How figures were taken: what was sampled, what the floor is.

    Examples
    --------
    >>> records = (Record("ks", "marginal", ("wages",), 0.05, ideal=0.0, floor=0.01),)
    >>> Evaluation(records, (), ("wages",), {"real": 100, "synthetic": 100}, ()).frame["verdict"].tolist()
    ['off']
    """

    records: tuple[Record, ...]
    condition_vars: tuple[str, ...]
    target_vars: tuple[str, ...]
    sizes: dict[str, int]
    notes: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a record: its fields, how far it is beyond the floor, and a verdict.

        "as real" is no further from the ideal than fresh real rows (or inside the interval), "near" less than twice as
        far, "off" further; "not defined" has a reason; "" has neither floor nor interval to be judged by. One floor is
        one draw, which may be near the ideal by luck: it counts as at least the median floor of its measure
        (and level, such as p99).
        """
        table = to_frame(self.records)
        table["excess"] = [record.excess if record.defined else np.nan for record in self.records]
        table["verdict"] = self.verdicts
        return table

    @property
    def verdicts(self) -> list[str]:
        """Verdict of each record; see `frame`."""
        return [verdict(record, usual) for record, usual in zip(self.records, self._usual(), strict=True)]

    def _usual(self) -> list[float]:
        """Return the median distance from the ideal of the floors of each record's measure and level."""
        usual = _usual_floors(self.records)
        return [usual.get((record.measure, _level(record.detail)), 0.0) for record in self.records]

    def worst(self, n: int = _WORST) -> pd.DataFrame:
        """Return the measures that are furthest beyond their floor, in units of it.

        Parameters
        ----------
        n : int

        Returns
        -------
        DataFrame
            Rows of `frame`.
        """
        times = [_times(record, usual) for record, usual in zip(self.records, self._usual(), strict=True)]
        beyond = [i for i, word in enumerate(self.verdicts) if word in ("near", "off") and times[i] > 1]
        beyond.sort(key=lambda i: -times[i])
        return self.frame.loc[beyond[:n]]

    def select(self, group: str | None = None, measure: str | None = None) -> tuple[Record, ...]:
        """Return the records of a group, a measure, or both."""
        return tuple(
            record
            for record in self.records
            if (group is None or record.group == group) and (measure is None or record.measure == measure)
        )

    def summary(self) -> str:
        """Return the verdict in words.

        Returns
        -------
        str
        """
        lines = [f"{self.sizes.get('synthetic', 0):,} synthetic rows against {self.sizes.get('real', 0):,} real ones."]
        for measure, words in _HEADLINES:
            for record in self.select(measure=measure):
                lines.append(f"{words}: {_figure(record)}.")
        counts = Counter(w for w, r in zip(self.verdicts, self.records, strict=True) if r.group != "privacy")
        measured = sum(counts[word] for word in ("as real", "near", "off"))
        lines.append(
            f"Of {measured} measures with a floor, {counts['as real']} are as good as fresh real rows, "
            f"{counts['near']} within twice their distance, {counts['off']} further off."
        )
        for row in self.worst().itertuples():
            where = ", ".join(part for part in (str(row.variables), str(row.detail)) if part)
            lines.append(f"- {row.measure} ({where}): {row.value:.4g}, floor {row.floor:.4g}")
        privacy = self.select("privacy")
        if privacy:
            lines.append(privacy_verdict(privacy))
        return "\n".join([*lines, *self.notes])

    def to_html(self) -> str:
        """Return the table of measures as HTML, to be put in a page.

        Returns
        -------
        str
        """
        shown = self.frame.drop(columns=["n", "ideal"])
        return shown.to_html(index=False, na_rep="", float_format=lambda value: f"{value:.4g}", border=0)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw each measure beside its floor, a panel a group.

        Parameters
        ----------
        path : path-like
            Of an image: png, svg or pdf.

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install "microplex[plot]"``.
        """
        from microplex.metrics.picture import draw_evaluation

        draw_evaluation(self, path)


_HEADLINES = (
    ("c2st_auc", "A classifier tells synthetic from real rows with AUC (0.5 is ideal)"),
    ("pmse_ratio", "Propensity score error as a multiple of its expectation (1 is ideal)"),
)


def verdict(record: Record, usual: float = 0.0) -> str:
    """Judge a record by its interval or its floor; see `Evaluation.frame`.

    Parameters
    ----------
    record : Record
    usual : float
        Distance from the ideal that a floor counts as at least.

    Returns
    -------
    str

    Examples
    --------
    >>> verdict(Record("ks", "marginal", ("wages",), 0.015, ideal=0.0, floor=0.01))
    'near'
    """
    if not record.defined:
        return "not defined"
    if record.interval is not None:
        # A synthesis cannot copy too little.
        low = -np.inf if record.group == "privacy" else record.interval[0]
        if low <= record.value <= record.interval[1]:
            return "as real"
    times = _times(record, usual)
    if np.isnan(times):
        return "" if record.interval is None else "off"
    return "as real" if times <= 1 else "near" if times <= _LOUD else "off"


def judged(records: Iterable[Record], floors: Iterable[Record]) -> list[Record]:
    """Give records without a floor the values of the same measures between two real samples.

    Parameters
    ----------
    records, floors : iterable of Record

    Returns
    -------
    list of Record

    Examples
    --------
    >>> floor = Record("ks", "marginal", ("wages",), 0.01, ideal=0.0)
    >>> judged([Record("ks", "marginal", ("wages",), 0.03, ideal=0.0)], [floor])[0].floor
    0.01
    """
    values = {_place(f): f.value for f in floors if f.defined}
    found = []
    for record in records:
        floor = values.get(_place(record))
        has_own = not np.isnan(record.floor)
        found.append(record if floor is None or has_own or not record.defined else record.with_floor(floor))
    return found


def _place(record: Record) -> tuple[str, tuple[str, ...], str]:
    """Return what a record shares with its floor; the worst pair of each table counts as the same."""
    level = _level(record.detail)
    return record.measure, () if level == WORST_PAIR else record.variables, level


def _level(detail: str) -> str:
    """Return the part of a detail that names a level or probability, without counts that differ between samples."""
    return detail.split(";")[0].split(",")[0].strip()


def _usual_floors(records: Iterable[Record]) -> dict[tuple[str, str], float]:
    """Return the median distance of the floors from the ideal, by measure and level."""
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.defined and not np.isnan(record.floor):
            found.setdefault((record.measure, _level(record.detail)), []).append(abs(record.floor - record.ideal))
    return {level: float(np.median(values)) for level, values in found.items()}


def _times(record: Record, usual: float) -> float:
    """Return the distance from the ideal in units of the floor's; NaN without a floor."""
    if not record.defined or np.isnan(record.floor):
        return float("nan")
    own, floor = abs(record.value - record.ideal), max(abs(record.floor - record.ideal), usual)
    least = 1e-12
    return float(own / floor) if floor > least else (1.0 if own <= least else float("inf"))


def _figure(record: Record) -> str:
    if not record.defined:
        return f"not defined ({record.reason})"
    text = f"{record.value:.4g}"
    if not np.isnan(record.floor):
        text += f", fresh real rows {record.floor:.4g}"
    if record.interval is not None:
        text += f", 95 % of fresh samples {record.interval[0]:.4g} to {record.interval[1]:.4g}"
    return text
