"""From a table to codes and back: one codec a column, and the supports that constraints leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Plan
from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import NumberCodec, fit_number
from microplex.encoding.shares import ShareCodec, fit_share
from microplex.flow.cells import Array, CellOptions, Codes
from microplex.flow.data import Data
from microplex.flow.laws import Index
from microplex.flow.ranges import Range
from microplex.flow.spec import Variable
from microplex.schema import Schema

Codec = LevelCodec | NumberCodec
Values = dict[str, NDArray[Any]]
Allowed = NDArray[np.bool_]
LARGE = 30_000


@dataclass(frozen=True)
class Encoder:
    """Codecs of the conditions and of the modelled targets.

    Parameters
    ----------
    schema
        All columns involved.
    plan
        How constraints are kept: the modelled targets, derived columns and shares.
    codecs
        By column name: conditions, then the modelled targets in their order.
    """

    schema: Schema
    plan: Plan
    codecs: Mapping[str, Codec]

    @classmethod
    def fit(cls, schema: Schema, plan: Plan, values: Values, weights: Array, min_rows: int) -> Encoder:
        """Choose the codes of every column and fit the laws inside the bins."""
        codecs: dict[str, Codec] = {}
        groupings: list[tuple[Index, int]] = []
        options = CellOptions(n_bins=64 if len(weights) >= LARGE else 40)
        for name in plan.conditions:
            column = schema[name]
            if column.is_numeric:
                codecs[name] = fit_number(
                    column, values[name], weights, min_rows=min_rows, options=options, with_law=False
                )
            else:
                codec = codecs[name] = LevelCodec(column)
                unknown = values[name] < 0  # a group of their own, so that they do not pass for the first level
                group = np.where(unknown, codec.n_codes, values[name]).astype(np.intp)
                groupings.append((group, codec.n_codes + bool(unknown.any())))
        for name in plan.order:
            column = schema[name]
            if not column.is_numeric:
                codecs[name] = LevelCodec(column)
            elif name in plan.shares:
                base = combine(plan.shares[name].of, values, len(weights))
                codecs[name] = fit_share(column, values[name], base, weights, options)
            else:
                codecs[name] = fit_number(column, values[name], weights, groupings, min_rows, options)
        return cls(schema, plan, codecs)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions."""
        return self.plan.conditions

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the modelled targets, in the plan's order."""
        return self.plan.order

    def variables(self, values: Values, weights: Array) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
        """Conditions and targets as the network sees them."""
        n = len(weights)
        codes = np.hstack([self.condition_codes(values, n), self.target_codes(values, n)])
        identity = 1.0 if n >= LARGE else 0.3
        made = [codec.variable(codes[:, i], weights, identity) for i, codec in enumerate(self.codecs.values())]
        return tuple(made[: self.n_conditions]), tuple(made[self.n_conditions :])

    @property
    def n_conditions(self) -> int:
        """Number of conditions."""
        return len(self.conditions)

    def condition_codes(self, values: Values, n: int) -> Codes:
        """Codes of the conditions, shape ``(n, n_conditions)``; -1 for unknown."""
        out = np.empty((n, self.n_conditions), np.int32)
        for i, name in enumerate(self.conditions):
            codec = self.codecs[name]
            x = values[name]
            out[:, i] = codec.encode(x, nearest=True) if isinstance(codec, NumberCodec) else x
        return out

    def target_codes(self, values: Values, n: int) -> Codes:
        """Codes of the modelled targets, shape ``(n, n_targets)``; negative outside the support."""
        out = np.empty((n, len(self.targets)), np.int32)
        for i, name in enumerate(self.targets):
            codec, x = self.codecs[name], values[name]
            if isinstance(codec, ShareCodec):
                out[:, i] = codec.encode_share(x, self.base(name, values, n))
            else:
                out[:, i] = codec.encode(x) if isinstance(codec, NumberCodec) else x
        return out

    def observed(self, values: Values, n: int) -> Allowed:
        """Which targets are observed (a missing level is an observation), shape ``(n, n_targets)``."""
        out = np.ones((n, len(self.targets)), bool)
        for i, name in enumerate(self.targets):
            codec, x = self.codecs[name], values[name]
            if not codec.has_missing:
                out[:, i] = ~np.isnan(x) if isinstance(codec, NumberCodec) else x != -1
        return out

    def data(self, values: Values, weights: Array, n: int) -> tuple[Data, Allowed]:
        """Coded rows, and whether each target is possible under the codes and constraints, (n, n_targets)."""
        codes = np.hstack([self.condition_codes(values, n), self.target_codes(values, n)])
        c = self.n_conditions
        seen = self.observed(values, n)
        possible: Allowed = (codes[:, c:] >= 0) | ~seen
        allowed = {}
        for i, name in enumerate(self.targets):
            mask = self.allowed(name, values, n)
            if mask is not None:
                own = np.maximum(codes[:, c + i], 0)
                possible[:, i] &= mask[np.arange(n), own] | ~seen[:, i]
                mask[np.arange(n), own] = True
                allowed[i] = mask
        codes[:, c:] = np.where(seen, np.maximum(codes[:, c:], 0), 0)
        codes[:, :c] = np.where(codes[:, :c] < 0, self._unknown(), codes[:, :c])
        return Data(codes, weights, None if seen.all() else seen, allowed or None), possible

    def _unknown(self) -> Codes:
        return np.array([self.codecs[name].n_codes for name in self.conditions], np.int32)

    def base(self, name: str, values: Values, n: int) -> Array | None:
        """What a share is a share of, for each row."""
        return combine(self.plan.shares[name].of, values, n) if name in self.plan.shares else None

    def support(
        self, name: str, values: Values, n: int, use_later: bool = False
    ) -> tuple[Range | None, Allowed | None]:
        """Limits of a numeric target, or mask of its codes, that the plan leaves on each row."""
        found = self.plan.support(name, values, n, use_later)
        if found is None:
            return None, None
        codec = self.codecs[name]
        if isinstance(codec, LevelCodec):
            if found.levels is None:
                return None, None
            return None, np.hstack([found.levels, np.ones((n, codec.n_codes - codec.n_levels), bool)])
        low = np.full(n, -np.inf) if found.lo is None else found.lo
        high = np.full(n, np.inf) if found.hi is None else found.hi
        limits = Range(low, high, np.full(n, np.nan) if found.excluded is None else found.excluded)
        limits = limits.settled(codec.grid)
        if found.points is None or found.allowed is None:
            return limits, None
        mask = np.zeros((n, codec.n_codes), bool)
        for atom, code in zip(codec.cells.atoms, codec.cells.atom_codes, strict=True):
            at = np.flatnonzero(found.points == atom)
            if len(at):
                mask[:, code] = found.allowed[:, at[0]]
            elif atom in codec.column.missing_codes:
                mask[:, code] = True
        mask[:, codec.cells.n_codes :] = True
        return limits, mask

    def allowed(self, name: str, values: Values, n: int) -> Allowed | None:
        """Codes that constraints and shares leave possible, shape ``(n, n_codes)``; None for all."""
        limits, mask = self.support(name, values, n)
        base = self.base(name, values, n)
        if limits is None and base is None and mask is None:
            return None
        return self.allowed_rows(name, limits, mask, base, np.arange(n))

    def allowed_rows(
        self, name: str, limits: Range | None, mask: Allowed | None, base: Array | None, rows: Index
    ) -> Allowed:
        """The same for some rows, from their limits, mask and base."""
        codec = self.codecs[name]
        if isinstance(codec, LevelCodec):
            assert mask is not None
            return mask[rows]
        part = Range.free(len(rows)) if limits is None else limits.take(rows)
        out = codec.allowed(part, None if base is None else base[rows])
        return out if mask is None else out & mask[rows]

    def group(self, name: str, condition_codes: Codes) -> Index | None:
        """Group of each row for the tables of repeated values."""
        codec = self.codecs[name]
        if isinstance(codec, LevelCodec) or codec.group_by < 0:
            return None
        level_conditions = [i for i, c in enumerate(self.conditions) if isinstance(self.codecs[c], LevelCodec)]
        return condition_codes[:, level_conditions[codec.group_by]].astype(np.intp)

    def log_density(self, values: Values, n: int) -> NDArray[np.float64]:
        """Log law of each modelled target given its code, shape ``(n, n_targets)``."""
        codes, conditions = self.target_codes(values, n), self.condition_codes(values, n)
        out = np.zeros(codes.shape)
        for i, name in enumerate(self.targets):
            codec = self.codecs[name]
            if isinstance(codec, NumberCodec):
                limits, _ = self.support(name, values, n)
                group, base = self.group(name, conditions), self.base(name, values, n)
                out[:, i] = codec.log_density(codes[:, i], values[name], group, limits, base)
        return out


def combine(of: Mapping[str, float], values: Mapping[str, NDArray[Any]], n: int) -> Array:
    """Linear combination of columns; what rounding leaves of a difference of equals is zero."""
    total, size = np.zeros(n), np.zeros(n)
    for name, factor in of.items():
        part = factor * values[name]
        total, size = total + part, size + np.abs(part)
    return np.where(np.abs(total) <= 1e-13 * size, 0.0, total)
