"""Codes of categorical, ordinal and boolean columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from microplex.flow.cells import Array, Codes
from microplex.flow.spec import Variable, numeric_features, ordered_basis
from microplex.frames import ColumnData, Levelled
from microplex.schema import Column

MAX_ONE_HOT = 128
HURDLE_SHARE = 0.25


@dataclass(frozen=True)
class LevelCodec:
    """One code a level; the last one stands for a missing value where the schema has such a level."""

    column: Column

    @property
    def n_levels(self) -> int:
        """Number of levels without the missing one."""
        return len(self.column.levels)

    @property
    def has_missing(self) -> bool:
        """Whether missing is an outcome of its own."""
        return self.column.missing == "level"

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        return self.n_levels + self.has_missing

    def read(self, data: ColumnData) -> Codes:
        """Codes of a column; -1 for missing values that are no level, -2 for unseen levels."""
        lookup = {level: i for i, level in enumerate(self.column.levels)}
        missing = self.n_levels if self.has_missing else -1
        if data.codes is not None:
            table = np.array([lookup.get(level, -2) for level in data.levels] + [missing], np.int32)
            return np.asarray(table[data.codes])
        assert data.values is not None
        distinct, inverse = np.unique(data.values, return_inverse=True)
        table = np.array([missing if np.isnan(v) else lookup.get(v, -2) for v in distinct.tolist()], np.int32)
        return np.asarray(table[inverse.reshape(-1)])

    def variable(self, codes: Codes, weights: Array, identity: float) -> Variable:
        """The column as the network sees it."""
        n = self.n_codes
        mass = np.bincount(codes[codes >= 0], weights[codes >= 0], minlength=n)
        p = (mass + 0.5) / (mass.sum() + 0.5 * n)
        basis = np.eye(n, dtype=np.float32)
        features = one_hot(n)
        if self.column.kind == "ordinal" and n > 3:
            position = np.cumsum(p) - 0.5 * p
            flags = np.zeros(n, bool)
            flags[self.n_levels :] = True
            features = numeric_features(position, ndtri(position), flags)
            basis = ordered_basis(n, identity)
        return Variable(self.column.name, n, features, basis, hurdle_code(p), np.log(p).astype(np.float32))

    def write(self, codes: Codes) -> Levelled | NDArray[np.generic]:
        """Values of the codes, in the dtype of the training column."""
        shown = np.where(codes >= self.n_levels, -1, codes).astype(np.int32)
        if self.column.dtype in ("int", "float"):
            table = np.array([*self.column.levels, np.nan], float)[shown]
            return table.astype(np.int64) if self.column.dtype == "int" and not (shown < 0).any() else table
        if self.column.dtype == "bool" and not (shown < 0).any():
            return np.array(self.column.levels, bool)[shown]
        as_category = self.column.dtype == "category"
        return Levelled(shown, self.column.levels, self.column.kind == "ordinal" and as_category, as_category)


def one_hot(n: int) -> NDArray[np.float32]:
    """Identity for few levels; fixed random signs (shape ``(n, 48)``) for many."""
    if n <= MAX_ONE_HOT:
        return np.eye(n, dtype=np.float32)
    signs = np.random.Generator(np.random.Philox(key=[n, 17])).choice([-1.0, 1.0], size=(n, 48))
    return np.asarray(signs / np.sqrt(48.0), np.float32)


def hurdle_code(p: Array) -> int:
    """The code that holds more than a quarter of the mass, if it has company; else -1."""
    top = int(np.argmax(p))
    return top if len(p) > 2 and p[top] > HURDLE_SHARE else -1
