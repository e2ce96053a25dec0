"""Populations of whatever has their tables: mappings, simulated populations, surveys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from microplex.entities.columns import plain
from microplex.entities.population import Population
from microplex.entities.schema import US, Hierarchy
from microplex.errors import DataError, near_miss
from microplex.frames import Frame, column_names, select


def as_population(data: Any, schema: Hierarchy | None = None) -> Population:
    """Return a population of anything that has its tables.

    Parameters
    ----------
    data : Population, mapping of tables by name, or object with the tables as attributes
        Such as what `microplex.datasets.make_population` and ``draw_survey`` return.
    schema : Hierarchy, optional
        What the entities are; `US` unless given, with ``weight_col="weight"`` if the households have that column.
        Copies of the household's weight in smaller tables, which surveys carry, are left out.

    Returns
    -------
    Population
        `data` itself if it is one.

    Raises
    ------
    DataError
        If a table is missing, or as `Population` does.

    Examples
    --------
    >>> from microplex.datasets import SurveyDesign, draw_survey, make_population
    >>> survey = draw_survey(make_population(500, seed=0), SurveyDesign(n_households=60), seed=0)
    >>> as_population(survey).schema.weight_col
    'weight'
    """
    if isinstance(data, Population) and schema in (None, data.schema):
        return data
    if isinstance(data, Population):
        data = data.tables
    wanted = schema or US
    tables = dict(data) if isinstance(data, Mapping) else {}
    if not isinstance(data, Mapping):
        tables = {name: getattr(data, name) for name in wanted.table_names if hasattr(data, name)}
    missing = [name for name in wanted.table_names if name not in tables]
    if missing:
        raise DataError(
            f"{type(data).__name__} has no table {missing[0]!r}.{near_miss(missing[0], map(str, tables))} "
            f"A population needs {', '.join(wanted.table_names)}."
        )
    if schema is None and "weight" in column_names(tables[wanted.top.table]):
        wanted = replace(wanted, weight_col="weight")
    return Population(wanted, _drop_weight_copies(wanted, tables))


def _drop_weight_copies(schema: Hierarchy, tables: Mapping[str, Frame]) -> dict[str, Frame]:
    """Return the tables without the household's weight in smaller ones, where it repeats the household's."""
    found, name, top = dict(tables), schema.weight_col, schema.top
    if name is None or {name, top.key} - set(column_names(found[top.table])):
        return found
    weights = pd.Series(plain(found[top.table][name]), index=plain(found[top.table][top.key]))
    if not weights.index.is_unique:
        return found
    for entity in schema.entities[1:]:
        columns = column_names(found[entity.table])
        if name in columns and top.key in columns:
            own = plain(found[entity.table][name])
            above = weights.reindex(plain(found[entity.table][top.key])).to_numpy()
            if np.array_equal(own, above):
                found[entity.table] = select(found[entity.table], [c for c in columns if c != name])
    return found
