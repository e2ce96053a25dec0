"""Official totals of a population: tidy tables of counts and sums, as a statistics office publishes them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from microplex._validation import check_columns
from microplex.datasets.tables import ENTITIES, Tables
from microplex.errors import ColumnNotFoundError, DataError, near_miss

By = str | Sequence[str | Sequence[str]] | None
ENTITY_ORDER = ("persons", "tax_units", "households")


def official_totals(
    population: Tables, by: By = None, variables: Sequence[str] = ("households", "tax_units", "persons")
) -> pd.DataFrame:
    """Count and sum a population.

    Parameters
    ----------
    population : Tables
        From `make_population`; a survey is totalled with its weights.
    by : str, sequence of str or of sequences, optional
        Margins: each a column or a tuple of columns to cross, such as ``["state", ("state", "age_group")]``. None,
        or the empty tuple among others, is the nation.
    variables : sequence of str
        ``"households"``, ``"tax_units"`` and ``"persons"`` count; any other is a numeric column, summed over the
        persons if they have it, else over the tax units, else over the households. ``"tax_units.wages"`` says which.

    Returns
    -------
    DataFrame
        One row a target: name, entity, variable, one column for each column of a margin (missing where the margin
        does not use it) and total. Empty cells are left out.

    Raises
    ------
    ColumnNotFoundError
        If a variable or column is unknown, or belongs to a smaller unit than the variable.
    DataError
        If a variable is not a number, or there are missing values in it.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> totals = official_totals(make_population(100, seed=0), by="sex", variables=["persons"])
    >>> totals[["name", "total"]].values.tolist()
    [['persons | sex=male', 118.0], ['persons | sex=female', 121.0]]
    """
    margins = _margins(by)
    columns = list(dict.fromkeys(name for margin in margins for name in margin))
    sources = [_resolve(population, variable) for variable in variables]
    parts = [_margin_totals(population, *source, margin) for source in sources for margin in margins]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["name", "total"])
    return table.reindex(columns=["name", "entity", "variable", *columns, "total"])


def _margins(by: By) -> list[tuple[str, ...]]:
    if by is None:
        return [()]
    if isinstance(by, str):
        return [(by,)]
    return [(margin,) if isinstance(margin, str) else tuple(margin) for margin in by]


def _resolve(population: Tables, variable: str) -> tuple[str, str | None]:
    """Return the entity and the column that a variable is summed over; no column for a count."""
    if variable in ENTITIES:
        return variable, None
    entity, _, column = variable.rpartition(".")
    available = {name: [str(c) for c in getattr(population, name).columns] for name in ENTITY_ORDER}
    if entity in ENTITIES:
        check_columns(available[entity], [column], f"{entity} total")
        return entity, column
    for name in ENTITY_ORDER:
        if not entity and column in available[name]:
            return name, column
    known = [*ENTITIES, *dict.fromkeys(column for columns in available.values() for column in columns)]
    raise ColumnNotFoundError(f"total {variable!r} is no column of any table.{near_miss(variable, known)}")


def _margin_totals(population: Tables, entity: str, column: str | None, margin: tuple[str, ...]) -> pd.DataFrame:
    own = getattr(population, entity)
    weight = own["weight"].astype("float64") if "weight" in own else pd.Series(1.0, index=own.index)
    values = weight if column is None else _numbers(own, entity, column) * weight
    title = entity if column is None else column
    if not margin:
        return pd.DataFrame({"name": [title], "entity": [entity], "variable": [title], "total": [values.sum()]})
    groups = population.view(entity, margin)
    table = values.groupby([groups[name] for name in margin], observed=True).sum().rename("total").reset_index()
    labels = table[list(margin)].astype(str)
    cells = labels.apply(lambda row: ", ".join(f"{name}={row[name]}" for name in margin), axis=1)
    table = table.assign(**{name: table[name].astype(object) for name in margin})
    return table.assign(name=title + " | " + cells, entity=entity, variable=title)


def _numbers(table: pd.DataFrame, entity: str, column: str) -> pd.Series:
    if not (pd.api.types.is_numeric_dtype(table[column]) or pd.api.types.is_bool_dtype(table[column])):
        raise DataError(f"total {column!r} of {entity} must be a numeric column; its type is {table[column].dtype}.")
    values = table[column].astype("float64")
    if values.isna().any():
        raise DataError(f"total {column!r} of {entity}: {int(values.isna().sum())} values are missing.")
    return values
