"""The law as text: every parameter table of the population, in the words of its terms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from microplex.datasets.demographics import DEMOGRAPHICS, EDUCATION, EDUCATION_CUTS
from microplex.datasets.distributions import Rounding
from microplex.datasets.features import Table, written
from microplex.datasets.geography import FIPS, STATE_INCOME, STATE_JOBLESS, STATE_SHARE, STATES
from microplex.datasets.incomes import FINE, LAWS, TENS
from microplex.datasets.labour import ROUGH, WEEK
from microplex.datasets.population import TENURE
from microplex.datasets.sampling import ITEM_MISSING, RESPONSE
from microplex.datasets.structure import HEAD_AGES, HEAD_SHARES, MORE_CHILDREN, NUMBERS, STRUCTURE
from microplex.datasets.units import ALLOTMENTS, SNAP_TAKE_UP, UNIT_NUMBERS


def written_law() -> dict[str, str]:
    """Return the parameter tables as Markdown.

    Returns
    -------
    dict of str to str
        One table a section: the structure of households, the demographics, each target of adults in the order of
        their law, tax units, tenure, states, surveys. ``docs/population.md`` holds them all.

    Examples
    --------
    >>> print(written_law()["response"])
    | response | |
    |---|---|
    | logit of answering | 1 + 0.25 age - 0.4 rented - 0.3 alone + 0.1 children + 0.05 log_income |
    """
    sections: dict[str, Mapping[str, str]] = {
        "structure": _tables(STRUCTURE) | _numbers(NUMBERS) | _structure_lists(),
        "demographics": _tables(DEMOGRAPHICS) | {"cuts of latent education": _education_cuts()},
        "rounding": {key: text for rule in (WEEK, ROUGH, FINE, TENS) for key, text in _rounding(rule).items()},
        **{law.name: law.written() for law in LAWS},
        "tax units": _numbers(UNIT_NUMBERS) | {"allotments a month, units of 1, 2, ...": _list(ALLOTMENTS)},
        "snap": {"logit of take-up": written(SNAP_TAKE_UP)},
        "tenure": TENURE.written(),
        "response": {"logit of answering": written(RESPONSE)},
        "item_missing": {"rates": written(ITEM_MISSING)},
    }
    return {name: _table(name, rows) for name, rows in sections.items()} | {"states": _states()}


def _tables(tables: Mapping[str, Table]) -> dict[str, str]:
    return {part: written(table) for part, table in tables.items()}


def _numbers(numbers: Table) -> dict[str, str]:
    return {part: f"{number:g}" for part, number in numbers.items()}


def _list(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _structure_lists() -> dict[str, str]:
    return {
        "off the logit for a first, second, ... child": _list(MORE_CHILDREN),
        "head's age: edges of groups, uniform within": _list(HEAD_AGES),
        "head's age: shares of groups": _list(HEAD_SHARES),
    }


def _education_cuts() -> str:
    return ", ".join(f"{cut:g} below {level}" for cut, level in zip(EDUCATION_CUTS, EDUCATION[2:], strict=True))


def _rounding(rule: Rounding) -> dict[str, str]:
    return {
        f"{rule.name}{f', amounts up to {band.upper:g}' if np.isfinite(band.upper) else ', beyond'}": ", ".join(
            f"{share:g} to {grain:g}" for grain, share in zip(band.grains, band.shares, strict=True)
        )
        for band in rule.bands
    }


def _table(title: str, rows: Mapping[str, str]) -> str:
    return "\n".join([f"| {title} | |", "|---|---|", *(f"| {part} | {text} |" for part, text in rows.items())])


def _states() -> str:
    head = "| state | FIPS | share of households | log income level | logit of joblessness |\n|---|---|---|---|---|"
    columns = zip(STATES, FIPS, STATE_SHARE, STATE_INCOME, STATE_JOBLESS, strict=True)
    return "\n".join([head, *(f"| {s} | {f:02d} | {share:.5f} | {a:g} | {b:g} |" for s, f, share, a, b in columns)])
