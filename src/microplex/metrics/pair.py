"""Two tables of the same variables, side by side as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex._validation import check_columns, check_finite, check_weights
from microplex.errors import DataError
from microplex.frames import ColumnData, Frame, Level, check_frame, column_names, n_rows, read_column

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TIMES = {"date", "datetime"}  # each is read in a unit of its own


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of both tables.

    Parameters
    ----------
    name : str
    kind : {"number", "category"}
        Numbers, dates and times are numbers; texts, booleans and categories are categories.
    real, synthetic : float64[n] or int64[n]
        Numbers with NaN where missing; or places in `levels`, -1 where missing.
    levels : tuple
        Categories of either table, sorted; empty for numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> both = pair(pd.DataFrame({"sex": ["f", "m"]}), pd.DataFrame({"sex": ["m", "m"]}))
    >>> both["sex"].levels, both["sex"].synthetic.tolist()
    (('f', 'm'), [1, 1])
    """

    name: str
    kind: str
    real: NDArray[np.generic]
    synthetic: NDArray[np.generic]
    levels: tuple[Level, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.kind == "number"

    def present(self, side: str) -> NDArray[np.bool_]:
        """Say which rows of a side ("real" or "synthetic") have a value."""
        values: NDArray[np.generic] = getattr(self, side)
        found: NDArray[np.bool_] = ~np.isnan(values) if self.is_number else np.asarray(values) >= 0
        return found


@dataclass(frozen=True, eq=False)
class Pair:
    """Real and synthetic rows of the same variables, with weights.

    Parameters
    ----------
    variables : tuple of Variable
    real_weights, synthetic_weights : float64[n]
        Positive sum; ones where no weights were given.
    weighted : bool
        Whether the synthetic table has weights of its own.
    """

    variables: tuple[Variable, ...]
    real_weights: Floats
    synthetic_weights: Floats
    weighted: bool = False

    def __getitem__(self, name: str) -> Variable:
        """Return a variable by name; ColumnNotFoundError if there is none."""
        check_columns(self.names, [name], "measured")
        return next(variable for variable in self.variables if variable.name == name)

    def __contains__(self, name: object) -> bool:
        """Say whether there is a variable of this name."""
        return any(variable.name == name for variable in self.variables)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, in order."""
        return tuple(variable.name for variable in self.variables)

    def known(self, name: str, side: str) -> tuple[NDArray[np.generic], Floats]:
        """Return the values of a variable that are not missing and count, with their weights.

        Parameters
        ----------
        name : str
        side : {"real", "synthetic"}

        Returns
        -------
        values : float64[k] or int64[k]
        weights : float64[k]
            All positive.

        Raises
        ------
        DataError
            If there is none.

        Examples
        --------
        >>> import pandas as pd
        >>> both = pair(pd.DataFrame({"a": [1.0, None]}), pd.DataFrame({"a": [2.0]}))
        >>> both.known("a", "real")[0].tolist()
        [1.0]
        """
        weights: Floats = getattr(self, f"{side}_weights")
        chosen = self[name].present(side) & (weights > 0)
        if not chosen.any():
            raise DataError(f"all {side} values are missing")
        values: NDArray[np.generic] = getattr(self[name], side)
        return values[chosen], weights[chosen]

    def select(self, names: Sequence[str]) -> Pair:
        """Return the pair with some of its variables."""
        return Pair(tuple(self[name] for name in names), self.real_weights, self.synthetic_weights, self.weighted)

    def counting(self) -> Pair:
        """Return the pair without rows of weight 0, which measures of the weighted law do not see."""
        kept = self.real_weights > 0, self.synthetic_weights > 0
        return self if kept[0].all() and kept[1].all() else self.rows(*kept)

    def rows(self, real: NDArray[np.generic], synthetic: NDArray[np.generic]) -> Pair:
        """Return the pair with some of its rows, by mask or by number."""
        chosen = tuple(Variable(v.name, v.kind, v.real[real], v.synthetic[synthetic], v.levels) for v in self.variables)
        return Pair(chosen, self.real_weights[real], self.synthetic_weights[synthetic], self.weighted)


def pair(
    real: Frame,
    synthetic: Frame,
    columns: Sequence[str] | None = None,
    weight_col: str | None = None,
    synthetic_weight_col: str | None = None,
) -> Pair:
    """Read two tables into arrays that compare.

    Parameters
    ----------
    real, synthetic : data frame
    columns : sequence of str, optional
        All columns of `real` but the weights by default.
    weight_col : str, optional
        Weights of both tables; a synthetic table without this column has equal weights.
    synthetic_weight_col : str, optional
        Weights of the synthetic table where they have another name.

    Returns
    -------
    Pair

    Raises
    ------
    ColumnNotFoundError
        If a column is missing from a table.
    DataError
        If a table is empty, a column is a number in one table and a category in the other, a number is infinite, or
        weights are wrong.

    Examples
    --------
    >>> import pandas as pd
    >>> both = pair(pd.DataFrame({"a": [1, 2], "w": [1.0, 3.0]}), pd.DataFrame({"a": [2.0]}), weight_col="w")
    >>> both.names, both.real_weights.tolist(), both.synthetic_weights.tolist()
    (('a',), [1.0, 3.0], [1.0])
    """
    for frame, side in ((real, "real"), (synthetic, "synthetic")):
        try:
            check_frame(frame)
        except DataError as error:
            raise DataError(f"{side} table: {error}") from error
    weights = {weight_col, synthetic_weight_col} - {None}
    names = [name for name in column_names(real) if name not in weights] if columns is None else list(columns)
    check_columns(column_names(real), names, "real")
    check_columns(column_names(synthetic), names, "synthetic")
    variables = tuple(_variable(read_column(real, name), read_column(synthetic, name)) for name in names)
    own = synthetic_weight_col or (weight_col if weight_col in column_names(synthetic) else None)
    weights_of = _weights(real, weight_col, "real"), _weights(synthetic, own, "synthetic")
    return Pair(variables, *weights_of, weighted=own is not None)


def _variable(real: ColumnData, synthetic: ColumnData) -> Variable:
    times = {real.dtype, synthetic.dtype} & _TIMES
    is_empty = any(side.values is not None and np.isnan(side.values).all() for side in (real, synthetic))
    if times and real.dtype != synthetic.dtype and not is_empty:
        raise _apart(real, synthetic)
    if real.values is not None and synthetic.values is not None:
        check_finite(real.values, f"{real.name} (real)")
        check_finite(synthetic.values, f"{real.name} (synthetic)")
        return Variable(real.name, "number", real.values, synthetic.values)
    real, synthetic = _as_category(real, synthetic), _as_category(synthetic, real)
    if real.codes is None or synthetic.codes is None:
        raise _apart(real, synthetic)
    levels = tuple(sorted({*real.levels, *synthetic.levels}, key=str))
    place = {level: code for code, level in enumerate(levels)}

    def in_levels(side: ColumnData) -> Ints:
        return np.array([*(place[level] for level in side.levels), -1], dtype=np.int64)[side.codes]

    return Variable(real.name, "category", in_levels(real), in_levels(synthetic), levels)


def _apart(real: ColumnData, synthetic: ColumnData) -> DataError:
    return DataError(
        f"column {real.name!r} is {real.dtype} in the real table and {synthetic.dtype} in the synthetic one; "
        "give both the same type."
    )


def _as_category(column: ColumnData, other: ColumnData) -> ColumnData:
    """Return a column without any value, which is read as numbers, as a category where the other one is."""
    if column.values is None or other.codes is None or not np.isnan(column.values).all():
        return column
    return ColumnData(column.name, other.dtype, codes=np.full(len(column.values), -1, dtype=np.int32))


def _weights(frame: Frame, name: str | None, side: str) -> Floats:
    if name is None:
        return np.ones(n_rows(frame))
    check_columns(column_names(frame), [name], f"{side} weight")
    values = read_column(frame, name).values
    if values is None:
        raise DataError(f"weight column {name!r} of the {side} table must hold numbers.")
    return check_weights(values, n_rows(frame), f"{side} weights (column {name!r})")
