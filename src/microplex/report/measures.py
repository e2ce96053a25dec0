"""The table of measures: sorted and filtered in the page, complete without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence

from microplex.metrics import GROUPS, Record
from microplex.metrics.evaluation import Evaluation
from microplex.report.glossary import MEASURES
from microplex.report.markup import attribute, light, number, text
from microplex.report.words import NOT_JUDGED, verdicts

_ORDER = {"off": 0, "near": 1, "as real": 2, NOT_JUDGED: 3, "not defined": 4}
_HEADERS = (
    ("verdict", "text"),
    ("measure", "text"),
    ("variables", "text"),
    ("group", "text"),
    ("value", "number"),
    ("floor", "number"),
    ("ideal", "number"),
    ("95 % of fresh rows", "number"),
)


def measures_table(evaluation: Evaluation) -> str:
    """Return the filters and the table of all measures, those furthest beyond their floor first.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    str
        HTML.
    """
    words = [word or NOT_JUDGED for word in verdicts(evaluation)]
    beyond = {place: rank for rank, place in enumerate(evaluation.worst(len(words)).index)}
    order = sorted(range(len(words)), key=lambda i: (_ORDER[words[i]], beyond.get(i, len(words)), i))
    ranked = [evaluation.records[i] for i in order]
    heads = "".join(
        f'<th scope="col" role="columnheader" class="{kind}"><button type="button" data-column="{i}" '
        f'data-kind="{kind}">{text(name)}<span class="arrow" aria-hidden="true"></span></button></th>'
        for i, (name, kind) in enumerate(_HEADERS)
    )
    rows = "".join(_row(evaluation.records[i], words[i], rank) for rank, i in enumerate(order))
    groups = [group for group in GROUPS if any(record.group == group for record in ranked)]
    found = [word for word in _ORDER if word in words]
    return (
        f'{_controls(groups, found)}<p id="shown" role="status">{len(ranked):,} measures.</p>'
        '<div class="wide" role="region" tabindex="0" aria-label="Table of measures"><table id="measures" role="table">'
        "<caption>All measures. The buttons in the head sort by a column.</caption>"
        f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead><tbody role="rowgroup">{rows}</tbody></table></div>'
        '<p class="control"><button type="button" id="more" hidden>Show all</button></p>'
        f"{_glossary({record.measure for record in ranked})}"
    )


def _controls(groups: Sequence[str], words: Sequence[str]) -> str:
    def choice(name: str, label: str, options: Sequence[str]) -> str:
        listed = "".join(f'<option value="{attribute(option)}">{text(option)}</option>' for option in options)
        return f'<label>{label} <select id="{name}"><option value="">all</option>{listed}</select></label>'

    return (
        '<form class="control" id="controls" role="search" aria-label="Measures" hidden>'
        '<label>Text <input type="search" id="filter" autocomplete="off" placeholder="variable or measure"></label>'
        f"{choice('group', 'Group', groups)}{choice('word', 'Verdict', words)}</form>"
    )


def _row(record: Record, word: str, rank: int) -> str:
    about = ", ".join(record.variables) or "all together"
    small = record.reason or record.detail
    interval = ""
    low = math.nan
    if record.interval is not None:
        low = record.interval[0]
        interval = f"{number(record.interval[0], 3)} to {number(record.interval[1], 3)}"
    cells = [
        f'<td role="cell" data-key="{rank}">{light(word)}</td>',
        f'<th scope="row" role="rowheader">{text(record.measure)}</th>',
        f'<td role="cell">{text(about)}' + (f"<small>{text(small)}</small>" if small else "") + "</td>",
        f'<td role="cell">{text(record.group)}</td>',
        *(_number(value, number(value)) for value in (record.value, record.floor, record.ideal)),
        _number(low, interval),
    ]
    return f'<tr role="row" data-group="{attribute(record.group)}" data-word="{attribute(word)}">{"".join(cells)}</tr>'


def _number(value: float, shown: str) -> str:
    key = "" if math.isnan(value) else f"{value:.9g}"
    return f'<td role="cell" class="number" data-key="{key}">{shown}</td>'


def _glossary(used: set[str]) -> str:
    terms = "".join(f"<dt>{name}</dt><dd>{words}</dd>" for name, words in MEASURES.items() if name in used)
    return f'<details><summary>What the measures are</summary><dl class="glossary">{terms}</dl></details>'
