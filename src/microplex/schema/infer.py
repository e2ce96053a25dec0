"""Read off a table what its columns are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns, check_finite
from microplex.errors import SchemaError
from microplex.frames import ColumnData, check_frame, column_names, read_column
from microplex.schema.column import KINDS, NUMERIC_KINDS, Column
from microplex.schema.grain import find_heaps, find_resolution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW = 100  # numbers with at most this many distinct values can be codes
COMPACT = 200  # so many neighbouring integers are a scale, however thin its ends
LARGE_SHARE = 0.05  # one value holding this much makes a column semicontinuous
ATOM_SHARE = 0.004
MAX_ATOMS = 32
LUMP_SHARE = 0.005
LUMP_RATIO = 5.0
SECONDS = (86400.0, 3600.0, 60.0, 1.0)


def infer_columns(
    frame: Any,
    weight: str | None,
    ids: Sequence[str],
    columns: Sequence[str] | None,
    min_rows: int,
    kinds: Mapping[str, str],
) -> tuple[Column, ...]:
    """Describe the columns of a frame; the parameters are those of `Schema.infer`.

    Returns
    -------
    tuple of Column
        In the order of `columns`, or of the frame.

    Raises
    ------
    ColumnNotFoundError
        If a named column is absent.
    SchemaError
        If a kind given does not suit its column.

    Examples
    --------
    >>> import pandas as pd
    >>> infer_columns(pd.DataFrame({"sex": ["f", "m"]}), None, (), None, 3, {})[0].kind
    'categorical'
    """
    check_frame(frame)
    available = column_names(frame)
    set_aside = [*([] if weight is None else [weight]), *ids]
    check_columns(available, set_aside, "weight or id")
    names = [name for name in available if name not in set_aside] if columns is None else list(columns)
    check_columns(available, names, "schema")
    check_columns(names, list(kinds), "kinds")
    shared = max(min_rows, 3)
    return tuple(describe(read_column(frame, name), shared, kinds.get(name)) for name in names)


def describe(data: ColumnData, shared: int, kind: str | None = None) -> Column:
    """Describe one column.

    Parameters
    ----------
    data : ColumnData
        Its values.
    shared : int
        Rows that must share a value before it is recorded.
    kind : str, optional
        Kind to take as given.

    Returns
    -------
    Column
        The description.

    Raises
    ------
    SchemaError
        If `kind` does not suit the values.

    Examples
    --------
    >>> describe(ColumnData("x", "int", np.array([1.0, 2.0]), None, (), False), 3).kind
    'count'
    """
    if kind is not None and kind not in KINDS:
        raise SchemaError(f"column {data.name!r}: kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    if data.values is None:
        return _describe_levels(data, kind)
    check_finite(data.values, data.name)
    is_date = data.dtype in ("date", "datetime")
    if kind is not None and (kind == "date") != is_date:
        raise SchemaError(f"column {data.name!r} holds {data.dtype} values, so its kind cannot be {kind!r}.")
    known = np.isfinite(data.values)
    missing = "none" if known.all() else "level"
    values = data.values[known]
    if kind is not None and kind not in NUMERIC_KINDS:
        levels = tuple(_level(value, data.dtype) for value in np.unique(values))
        return Column(data.name, kind, data.dtype, levels=levels, missing=missing)
    if is_date:
        return _describe_dates(data, values, missing)
    if not len(values):
        return Column(data.name, kind or "continuous", data.dtype, missing=missing)
    return _describe_numbers(data, values, missing, shared, kind)


def _describe_levels(data: ColumnData, kind: str | None) -> Column:
    if kind in NUMERIC_KINDS:
        raise SchemaError(f"column {data.name!r} holds {data.dtype} values, so its kind cannot be {kind!r}.")
    codes = data.codes if data.codes is not None else np.empty(0, np.int32)
    missing = "level" if (codes < 0).any() else "none"
    usual = "boolean" if data.dtype == "bool" else "ordinal" if data.ordered else "categorical"
    return Column(data.name, kind or usual, data.dtype, levels=data.levels, missing=missing)


def _describe_dates(data: ColumnData, values: Floats, missing: str) -> Column:
    grains = (1.0,) if data.dtype == "date" else SECONDS
    resolution = next((grain for grain in grains if len(values) and not np.fmod(values, grain).any()), None)
    return Column(data.name, "date", data.dtype, missing=missing, resolution=resolution)


def _describe_numbers(data: ColumnData, values: Floats, missing: str, shared: int, kind: str | None) -> Column:
    distinct, counts = np.unique(values + 0.0, return_counts=True)
    is_codes = kind in (None, "count") and _is_codes(distinct, counts, shared)
    top, bottom = (_lump(distinct, counts, shared, sign) for sign in (1, -1))
    if is_codes and distinct[0] >= 0:
        bottom = None
    ends = [end for end in (bottom, top) if end is not None]
    atoms = np.union1d(_atoms(distinct, counts, shared), ends)
    is_lumpy = bool(len(atoms)) and (counts.max() >= max(LARGE_SHARE * len(values), shared) or len(distinct) <= FEW)
    resolution = find_resolution(distinct)
    loose = ~np.isin(distinct, atoms) & (distinct != 0)
    return Column(
        data.name,
        kind or ("count" if is_codes else "semicontinuous" if is_lumpy else "continuous"),
        data.dtype,
        missing=missing,
        atoms=() if is_codes else tuple(atoms),
        resolution=resolution,
        heaps=() if is_codes else find_heaps(distinct[loose], counts[loose], resolution),
        lower=bottom if bottom is not None else 0.0 if distinct[0] >= 0 else None,
        upper=top if top is not None else 0.0 if distinct[0] < 0 >= distinct[-1] else None,
        top_code=top or None,
        bottom_code=bottom or None,
    )


def _is_codes(distinct: Floats, counts: Ints, shared: int) -> bool:
    """Whether values are few integers on a short scale or each shared by enough rows to be named."""
    if len(distinct) > FEW or (distinct != np.rint(distinct)).any():
        return False
    return bool(distinct[-1] - distinct[0] <= COMPACT or counts.min() >= shared)


def _atoms(distinct: Floats, counts: Ints, shared: int) -> Floats:
    """Values that hold a point mass, ascending; if distinct values are few, every value shared enough."""
    if len(distinct) <= FEW:
        return distinct[counts >= shared]
    often = np.flatnonzero(counts >= max(ATOM_SHARE * counts.sum(), shared))
    often = often[np.argsort(-counts[often], kind="stable")][:MAX_ATOMS]
    return np.sort(distinct[often])


def _lump(distinct: Floats, counts: Ints, shared: int, sign: int) -> float | None:
    """Return the largest value (smallest, if `sign` is -1) if it holds clearly more rows than those before it."""
    order = slice(None) if sign > 0 else slice(None, None, -1)
    values, rows = sign * distinct[order], counts[order]
    if len(values) <= 10:
        return None
    before, weight = values[:-1], rows[:-1]
    share = np.cumsum(weight[::-1])[::-1] / weight.sum()
    near = (share <= 0.05) | (before >= values[-1] - 0.05 * (values[-1] - values[0]))
    near[-3:] = True
    usual, most, last = weight[near].mean(), weight[near].max(), rows[-1]
    clear = last >= shared and last >= 2 * most
    lump = last >= LUMP_RATIO * usual or last >= LUMP_SHARE * rows.sum()
    return float(sign * values[-1]) if clear and lump else None


def _level(value: np.float64, dtype: str) -> int | float:
    return int(value) if dtype == "int" or value == np.rint(value) else float(value)
