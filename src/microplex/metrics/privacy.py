"""What synthetic rows give away about training rows: closeness, copies, attacks and small cells.

All measures count rows, not weights: an intruder sees rows. Weights only set the scale of distances. Most measures
compare training rows with a holdout, real rows of the same law that the synthesiser never saw: what is as near to the
holdout as to the training rows has been learnt about the population, not about a person.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex._random import generator
from microplex._validation import check_columns
from microplex.errors import DataError
from microplex.metrics.attacks import (
    NEAR,
    SMALL_CELL,
    anonymity,
    closest_record,
    difference_interval,
    guesses,
    membership_attack,
)
from microplex.metrics.groups import row_groups
from microplex.metrics.neighbours import embed_columns, nearest
from microplex.metrics.pair import Pair
from microplex.metrics.record import Record, undefined

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OVERLAP = 0.05
MANY_VALUES = 100

_STREAM = 736
_NO_HOLDOUT = "no holdout was given, so nothing says how near fresh real rows would be"


def privacy_records(
    train: Pair,
    holdout: Pair | None = None,
    targets: Sequence[str] | None = None,
    sensitive: Sequence[str] = (),
    known: Sequence[str] | None = None,
    quasi_identifiers: Sequence[str] = (),
    max_rows: int = 10_000,
    seed: int = 0,
) -> list[Record]:
    """Return all privacy measures.

    "dcr_share" (ideal 0.5) and "dcr_ratio" (1): `closest_record`. "identical_share": synthetic rows that equal a
    training row, among distinctive rows: those with two different non-zero values in numbers of more than 100 values;
    its ideal and floor are the same share of the holdout. "near_identical_share": distinctive rows nearer to training
    than all but 1 % of distinctive holdout rows are. "membership_auc" (0.5) and "membership_caught" (0.01):
    `membership_attack`. "attribute_advantage" (0) of each sensitive variable: right `guesses` for training rows less
    those for holdout rows. "k_anonymity" (at least 5 is usual), "small_cell_share" (0) and "l_diversity" (at least 2)
    of the synthetic table. "holdout_overlap": distinctive holdout rows that equal a training row.

    At most `max_rows` synthetic rows, and ten times as many real rows of each kind, are drawn at random for what
    needs distances. Identical rows, small cells and overlap are counted in full.

    Parameters
    ----------
    train : Pair
        Training rows as its real side.
    holdout : Pair, optional
        Holdout rows as its real side, the same synthetic rows as its other side.
    targets : sequence of str, optional
        Variables whose distances count; all by default. Leave out what synthetic rows took from real ones.
    sensitive : sequence of str
        Variables to guess.
    known : sequence of str, optional
        What the intruder knows; all variables but the guessed one by default.
    quasi_identifiers : sequence of str
        Variables of the small cells.
    max_rows : int
    seed : int

    Returns
    -------
    list of Record

    Raises
    ------
    ColumnNotFoundError
        If a named variable is not in the pair.
    DataError
        If the pairs differ in variables or synthetic rows.

    Warns
    -----
    UserWarning
        If more than 5 % of the distinctive holdout rows are training rows: every comparison would flatter.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics.pair import pair
    >>> train = pd.DataFrame({"age": [30, 30, 40], "ill": [True, False, True]})
    >>> records = privacy_records(pair(train, train), quasi_identifiers=["age"], sensitive=["ill"])
    >>> [(record.measure, record.value) for record in records if record.measure in ("k_anonymity", "l_diversity")]
    [('k_anonymity', 1.0), ('l_diversity', 1.0)]
    """
    chosen = list(train.names if targets is None else targets)
    for names, role in ((chosen, "target"), (sensitive, "sensitive"), (known or (), "known")):
        check_columns(train.names, list(names), role)
    check_columns(train.names, list(quasi_identifiers), "quasi-identifier")
    tables = _Tables.of(train, holdout)
    records = _copies(tables, chosen, max_rows, seed)
    records += _distances(tables, chosen, max_rows, seed)
    for name in sensitive:
        others = [other for other in (known or train.names) if other != name]
        records.append(_attribute(tables, name, others, max_rows, seed))
    return records + (_cells(tables, quasi_identifiers, sensitive) if quasi_identifiers else [])


def privacy_verdict(records: Iterable[Record]) -> str:
    """Say in plain words what the privacy measures found, what they did not measure, and what they cannot show.

    A measure counts as a sign of memory if it lies above its interval, so that about 1 in 40 does by chance alone.

    Examples
    --------
    >>> record = Record("dcr_share", "privacy", (), 0.6, ideal=0.5, interval=(0.48, 0.52), n=2000)
    >>> print(privacy_verdict([record]).splitlines()[0])
    Signs that training rows were memorised: 1 of 1 comparison.
    """
    found = [record for record in records if record.group == "privacy"]
    defined = {record.measure for record in found if record.defined}
    tests = [record for record in found if record.defined and record.interval is not None]
    signs = [record for record in tests if record.interval is not None and record.value > record.interval[1]]
    lines = [_headline(len(signs), len(tests))]
    lines += ["- " + _finding(record) for record in signs]
    lines += ["- No sign: " + _finding(record) for record in tests if record not in signs]
    lines += ["- " + _count(record) for record in found if record.defined and record.measure in _COUNTS]
    lines += [
        f"- {record.detail[0].upper()}{record.detail[1:]} among the synthetic rows equal a training row; without a "
        "holdout nothing says how many would by chance."
        for record in found
        if record.measure == "identical_share" and record.defined and record.interval is None
    ]
    flattered = [r for r in found if r.measure == "holdout_overlap" and r.defined and r.value > OVERLAP]
    if flattered:
        lines.append(
            f"- Do not rely on these comparisons: {flattered[0].value:.1%} of the distinctive holdout rows are "
            "training rows, which makes memory look like fresh data."
        )
    missing = [words for measure, words in _MEASURED.items() if measure not in defined]
    if missing:
        lines.append(f"- Not measured: {'; '.join(missing)}.")
    lines.append(
        "These are tests against the attacks named, with the rows given. They cannot prove that no person can be "
        "recognised, say nothing about other attacks or other knowledge of an intruder, and are not a formal guarantee "
        "such as differential privacy."
    )
    return "\n".join(lines)


_MEASURED = {
    "dcr_share": "whether synthetic rows are nearer to training than to fresh rows",
    "identical_share": "copies of distinctive training rows",
    "near_identical_share": "near copies of distinctive training rows",
    "membership_auc": "membership inference",
    "attribute_advantage": "attribute inference",
    "k_anonymity": "small cells of quasi-identifiers",
}

_COUNTS = {
    "k_anonymity": "Synthetic rows in the smallest cell of {about}: {value:.0f} (a synthetic row is not a person).",
    "small_cell_share": "{value:.1%} of synthetic rows are in cells of {about} of fewer than 5 rows.",
    "l_diversity": "Different values of {last} in the least diverse cell of {first}: {value:.0f}.",
}

_FINDINGS = {
    "dcr_share": "{value:.1%} of synthetic rows are nearer to a training than to a holdout row",
    "identical_share": "{value:.2%} of distinctive synthetic rows are exact training rows",
    "near_identical_share": "{value:.2%} of distinctive synthetic rows are as near to a training row as {ideal:.2%} of "
    "holdout rows are",
    "membership_auc": "a distance attack on membership reaches an area under the curve of {value:.3f}",
    "membership_caught": "this attack catches {value:.2%} of training rows at 1 % false alarms",
    "attribute_advantage": "guesses of {about} are right {points:+.1f} points more often for training than for holdout "
    "rows",
}


def _headline(signs: int, tests: int) -> str:
    if not tests:
        return "Nothing was compared with a holdout, so nothing can be said about memory of training rows."
    comparisons = f"{tests} comparison" + ("s" if tests > 1 else "")
    if signs:
        return f"Signs that training rows were memorised: {signs} of {comparisons}."
    return f"No sign that training rows were memorised in {comparisons}; this is not proof that there is none."


def _finding(record: Record) -> str:
    low, high = record.interval or (record.ideal, record.ideal)
    if record.measure == "attribute_advantage":
        bounds = f"{100 * low:+.1f} to {100 * high:+.1f} points"
    elif record.measure.endswith("_auc"):
        bounds = f"{low:.3f} to {high:.3f}"
    else:
        bounds = f"{low:.2%} to {high:.2%}"
    words = _FINDINGS.get(record.measure, record.measure + " is {value:.4g}")
    about = ", ".join(record.variables)
    text = words.format(value=record.value, ideal=record.ideal, about=about, points=100 * record.value)
    return f"{text[0].upper()}{text[1:]} (without memory: {bounds}; rows: {record.n:,})."


def _count(record: Record) -> str:
    names = list(record.variables)
    words = {"about": ", ".join(names), "first": ", ".join(names[:-1]), "last": names[-1]}
    return _COUNTS[record.measure].format(value=record.value, **words)


@dataclass(frozen=True, eq=False)
class _Tables:
    """The three tables in one coding."""

    names: tuple[str, ...]
    levels: dict[str, int]
    train: dict[str, NDArray[np.generic]]
    synthetic: dict[str, NDArray[np.generic]]
    holdout: dict[str, NDArray[np.generic]] | None
    weights: Floats

    @classmethod
    def of(cls, train: Pair, holdout: Pair | None) -> _Tables:
        levels, rows = {}, {v.name: v.real for v in train.variables}
        held: dict[str, NDArray[np.generic]] | None = None if holdout is None else {}
        made = {v.name: v.synthetic for v in train.variables}
        if holdout is not None:
            check_columns(holdout.names, train.names, "holdout")
            if len(holdout.synthetic_weights) != len(train.synthetic_weights):
                raise DataError(
                    f"the training pair has {len(train.synthetic_weights)} synthetic rows and the holdout pair "
                    f"{len(holdout.synthetic_weights)}; give both the same synthetic table."
                )
        for v in train.variables:
            levels[v.name] = 0 if v.is_number else len(v.levels)
            if holdout is None or held is None:
                continue
            other = holdout[v.name]
            if other.kind != v.kind:
                raise DataError(f"column {v.name!r} is a {v.kind} in training and a {other.kind} in the holdout.")
            held[v.name] = other.real
            if not v.is_number:
                place = {level: code for code, level in enumerate(v.levels)}
                code = [place.setdefault(level, len(place)) for level in other.levels]
                held[v.name] = np.array([*code, -1], dtype=np.int64)[np.asarray(other.real, dtype=np.int64)]
                levels[v.name] = len(place)
        return cls(train.names, levels, rows, made, held, train.real_weights)

    def points(self, names: Sequence[str], chosen: Sequence[tuple[str, Ints]]) -> list[Floats]:
        """Place chosen rows of the tables on the scales of the training rows."""
        tables = [[getattr(self, side)[name][rows] for name in names] for side, rows in chosen]
        return embed_columns(
            [self.train[name] for name in names], self.weights, [self.levels[name] for name in names], tables
        )

    def size(self, side: str) -> int:
        table = getattr(self, side)
        return 0 if table is None else len(table[self.names[0]])

    def draw(self, side: str, most: int, seed: int, among: Ints | None = None) -> Ints:
        """Draw rows of a table at random, all where there are few."""
        rows = np.arange(self.size(side)) if among is None else among
        if len(rows) <= most:
            return rows
        place = ("train", "synthetic", "holdout").index(side)
        return np.sort(generator(seed, _STREAM + place).permutation(rows)[:most])

    def distinctive(self, side: str, names: Sequence[str]) -> Ints:
        """Return rows with two different non-zero values among numbers of many values."""
        many = [n for n in names if not self.levels[n] and _has_many(self.train[n])]
        low, high = np.full(self.size(side), np.inf), np.full(self.size(side), -np.inf)
        for name in many:
            x = np.asarray(getattr(self, side)[name], dtype=np.float64)
            low = np.fmin(low, np.where(x == 0, np.nan, x))
            high = np.fmax(high, np.where(x == 0, np.nan, x))
        return np.flatnonzero(low < high)


def _copies(tables: _Tables, names: Sequence[str], max_rows: int, seed: int) -> list[Record]:
    sides = ["train", "synthetic", *(["holdout"] if tables.holdout is not None else [])]
    groups = row_groups([np.concatenate([getattr(tables, side)[n] for side in sides]) for n in names])
    parts = dict(zip(sides, np.split(groups, np.cumsum([tables.size(side) for side in sides])[:-1]), strict=True))
    trained = np.zeros(groups.max() + 1, dtype=bool)
    trained[parts["train"]] = True
    rows = {side: tables.distinctive(side, names) for side in sides}
    copied = {side: trained[parts[side][rows[side]]] for side in sides}
    reason = f"no synthetic row has two different non-zero values in numbers of more than {MANY_VALUES} values"
    measures = ("identical_share", "near_identical_share", "holdout_overlap")
    if not len(rows["synthetic"]):
        return [undefined(measure, "privacy", (), reason) for measure in measures]
    share, n = float(copied["synthetic"].mean()), len(rows["synthetic"])
    detail = f"{int(copied['synthetic'].sum())} of {n} distinctive rows"
    if tables.holdout is None or not len(rows["holdout"]):
        first = Record("identical_share", "privacy", (), share, ideal=0.0, detail=detail, n=n)
        return [first, *(undefined(measure, "privacy", (), _NO_HOLDOUT) for measure in measures[1:])]
    real, n_real = float(copied["holdout"].mean()), len(rows["holdout"])
    spread = difference_interval(real, share, n_real, n)
    if real > OVERLAP:
        warnings.warn(
            f"{real:.1%} of the distinctive holdout rows are training rows; privacy figures would flatter. "
            "Take a holdout that the synthesiser never saw.",
            stacklevel=3,
        )
    return [
        Record("identical_share", "privacy", (), share, ideal=real, floor=real, interval=spread, detail=detail, n=n),
        _near(tables, names, rows, max_rows, seed),
        Record("holdout_overlap", "privacy", (), real, ideal=0.0, detail=f"of {n_real} distinctive rows", n=n_real),
    ]


def _near(tables: _Tables, names: Sequence[str], rows: dict[str, Ints], max_rows: int, seed: int) -> Record:
    chosen = [(side, tables.draw(side, max_rows, seed, rows[side])) for side in ("synthetic", "holdout")]
    made, held, trained = tables.points(names, [*chosen, ("train", tables.draw("train", 10 * max_rows, seed))])
    distance, fresh = nearest(made, trained)[0][:, 0], nearest(held, trained)[0][:, 0]
    limit = np.quantile(fresh, NEAR, method="lower")
    share, ideal = float((distance <= limit).mean()), float((fresh <= limit).mean())
    spread = difference_interval(ideal, share, len(fresh), len(distance))
    return Record(
        "near_identical_share",
        "privacy",
        (),
        share,
        ideal=ideal,
        floor=ideal,
        interval=spread,
        detail=f"within {limit:.3g}, as {ideal:.2%} of holdout rows are",
        n=len(made),
    )


def _distances(tables: _Tables, names: Sequence[str], max_rows: int, seed: int) -> list[Record]:
    measures = ("dcr_share", "dcr_ratio", "membership_auc", "membership_caught")
    if tables.holdout is None:
        return [undefined(measure, "privacy", (), _NO_HOLDOUT) for measure in measures]
    sides = {"synthetic": max_rows, "train": 10 * max_rows, "holdout": 10 * max_rows}
    made, trained, held = tables.points(names, [(side, tables.draw(side, most, seed)) for side, most in sides.items()])
    close, n = closest_record(made, trained, held, seed), len(made)
    records = [Record("dcr_share", "privacy", (), close.share, ideal=0.5, interval=close.interval, n=n)]
    if np.isnan(close.ratio):
        reason = "the median distance to the nearest real row is 0 on both sides"
        records.append(undefined("dcr_ratio", "privacy", (), reason))
    else:
        records.append(Record("dcr_ratio", "privacy", (), close.ratio, ideal=1.0, n=n))
    if len(held) < 4:
        return records + [undefined(name, "privacy", (), "fewer than 4 holdout rows") for name in measures[2:]]
    sides = {"synthetic": 10 * max_rows, "train": max_rows, "holdout": 2 * max_rows}
    made, trained, held = tables.points(names, [(side, tables.draw(side, most, seed)) for side, most in sides.items()])
    attack, n = membership_attack(made, trained, held, seed), min(len(held) // 2, len(trained))
    alarms = attack.caught_interval
    return [
        *records,
        Record("membership_auc", "privacy", (), attack.auc, ideal=0.5, interval=attack.interval, n=n),
        Record("membership_caught", "privacy", (), attack.caught, ideal=NEAR, interval=alarms, n=n),
    ]


def _attribute(tables: _Tables, name: str, known: Sequence[str], max_rows: int, seed: int) -> Record:
    if tables.holdout is None:
        return undefined("attribute_advantage", "privacy", (name,), _NO_HOLDOUT)
    if not known:
        return undefined("attribute_advantage", "privacy", (name,), "nothing else is known")
    sides = {"synthetic": 10 * max_rows, "train": max_rows, "holdout": max_rows}
    chosen = [(side, tables.draw(side, most, seed)) for side, most in sides.items()]
    made, trained, held = tables.points(known, chosen)
    values = [getattr(tables, side)[name][rows] for side, rows in chosen]
    is_number = not tables.levels[name]
    right = [
        float(guesses(made, values[0], points, truth, is_number).mean())
        for points, truth in zip((trained, held), values[1:], strict=True)
    ]
    low, high = difference_interval(0.0, right[0] - right[1], len(trained), len(held), sum(right) / 2)
    detail = f"right for {right[0]:.1%} of training and {right[1]:.1%} of holdout rows"
    n = min(len(trained), len(held))
    gain = right[0] - right[1]
    return Record("attribute_advantage", "privacy", (name,), gain, ideal=0.0, interval=(low, high), detail=detail, n=n)


def _cells(tables: _Tables, quasi_identifiers: Sequence[str], sensitive: Sequence[str]) -> list[Record]:
    def numbered(names: Sequence[str]) -> Ints:
        return row_groups([tables.synthetic[name] for name in names])

    about, cells, n = tuple(quasi_identifiers), numbered(quasi_identifiers), tables.size("synthetic")
    k, small, _ = anonymity(cells)
    detail = f"cells of fewer than {SMALL_CELL} rows"
    records = [
        Record("k_anonymity", "privacy", about, float(k), ideal=float(SMALL_CELL), detail="smallest cell", n=n),
        Record("small_cell_share", "privacy", about, small, ideal=0.0, detail=detail, n=n),
    ]
    for name in (name for name in sensitive if name not in quasi_identifiers):
        diversity = anonymity(cells, numbered([name]))[2] or 0
        detail = f"values of {name} in the least diverse cell"
        records.append(
            Record("l_diversity", "privacy", (*about, name), float(diversity), ideal=2.0, detail=detail, n=n)
        )
    return records


def _has_many(values: NDArray[np.generic]) -> bool:
    x = np.asarray(values, dtype=np.float64)
    return len(np.unique(x[~np.isnan(x)])) > MANY_VALUES
