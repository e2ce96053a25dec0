"""The fitted network as plain arrays, and the pass that evaluates it target by target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from microplex.flow.spec import Floats

if TYPE_CHECKING:
    from microplex.flow.data import Data

Codes = NDArray[np.int32]
Allowed = NDArray[np.bool_]
BLOCK, TILE = 3072, 64
DOUBT = 1e-5


@dataclass(frozen=True)
class Network:
    """Arrays of a fitted network.

    Parameters
    ----------
    tables
        First-layer contribution of each code of each variable, shape ``(n_codes + 1, width)``; the last
        row stands for an unknown value.
    bias, w_a, b_a, w_b, b_b
        Biases and masked weights of the trunk.
    heads, head_biases
        Output weights of each target, shapes ``(units, n_codes)`` and ``(n_codes,)``.
    hurdles
        Code with a sigmoid of its own for each target, or -1.
    degrees
        Degree of each hidden unit, ascending.
    n_conditions
        Number of condition variables (they come first).
    """

    tables: tuple[Floats, ...]
    bias: Floats
    w_a: Floats
    b_a: Floats
    w_b: Floats
    b_b: Floats
    heads: tuple[Floats, ...]
    head_biases: tuple[Floats, ...]
    hurdles: Codes
    degrees: Codes
    n_conditions: int

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return len(self.heads)

    def start(self, n_rows: int, double: bool = False) -> Pass:
        """Begin a pass over a block of rows, in single or double precision."""
        return Pass(self, n_rows, double)

    def log_prob(
        self,
        codes: Codes,
        observed: Allowed | None = None,
        allowed: Mapping[int, Allowed] | None = None,
        double: bool = True,
    ) -> NDArray[np.float64]:
        """Log probability of the codes of each target.

        Parameters
        ----------
        codes
            Codes of conditions and targets, shape ``(n, n_variables)``.
        observed
            Which targets are observed, shape ``(n, n_targets)``; the others count zero and are unknown to
            later targets.
        allowed
            Allowed codes by target, shape ``(n, n_codes)``.
        double
            Whether to calculate in double precision, so that neighbouring rows do not matter.

        Returns
        -------
        ndarray
            Shape ``(n, n_targets)``.
        """
        out = np.zeros((len(codes), self.n_targets))
        for at in range(0, len(codes), BLOCK):
            rows = slice(at, min(at + BLOCK, len(codes)))
            block = self.start(rows.stop - at, double)
            for v in range(self.n_conditions):
                block.add(v, codes[rows, v])
            for t in range(self.n_targets):
                block.advance(t)
                mask = None if allowed is None or t not in allowed else allowed[t][rows]
                code = codes[rows, self.n_conditions + t]
                log_p = block.log_prob(t, code, mask)
                if observed is not None:
                    seen = observed[rows, t]
                    log_p = np.where(seen, log_p, 0.0)
                    code = np.where(seen, code, -1)
                out[rows, t] = log_p
                block.add(self.n_conditions + t, code)
        return out

    def code_log_prob(self, data: Data, place: int) -> NDArray[np.float64]:
        """Joint log probability of the observed targets before a place and each code there, (n, n_codes)."""
        n = len(data.codes)
        out = np.empty((n, len(self.head_biases[place])))
        observed = np.ones((n, self.n_targets), bool) if data.observed is None else data.observed
        for at in range(0, n, BLOCK):
            rows = slice(at, min(at + BLOCK, n))
            block = self.start(rows.stop - at, double=True)
            total = np.zeros((rows.stop - at, 1))
            for v in range(self.n_conditions):
                block.add(v, data.codes[rows, v])
            for t in range(place + 1):
                block.advance(t)
                mask = None if data.allowed is None or t not in data.allowed else data.allowed[t][rows]
                if t == place:
                    with np.errstate(divide="ignore"):
                        out[rows] = total + np.log(block.probabilities(t, allowed=mask))
                    break
                code = np.where(observed[rows, t], data.codes[rows, self.n_conditions + t], -1)
                total[:, 0] += np.where(observed[rows, t], block.log_prob(t, code, mask), 0.0)
                block.add(self.n_conditions + t, code)
        return out

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays by name, for saving."""
        out: dict[str, NDArray[Any]] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, tuple):
                out |= {f"{f.name}.{i}": a for i, a in enumerate(value)}
            else:
                out[f.name] = np.asarray(value)
        return out

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Network:
        """Inverse of :meth:`to_arrays`."""

        def series(name: str) -> tuple[Floats, ...]:
            count = sum(key.startswith(f"{name}.") for key in arrays)
            return tuple(np.ascontiguousarray(arrays[f"{name}.{i}"]) for i in range(count))

        lists: dict[str, Any] = {name: series(name) for name in ("tables", "heads", "head_biases")}
        single: dict[str, Any] = {
            f.name: arrays[f.name] for f in fields(cls) if f.name not in lists and f.name != "n_conditions"
        }
        return cls(**lists, **single, n_conditions=int(arrays["n_conditions"].item()))


class Pass:
    """State of one block of rows: hidden units are computed as their inputs become known.

    A matrix product may round a row differently with its place among the others. Draws that come so close to
    the border between two codes that this could matter are marked in ``doubtful``; they are to be drawn again
    in double precision.
    """

    def __init__(self, network: Network, n_rows: int, double: bool = False) -> None:
        self.network, self.n_rows = network, n_rows
        self.doubtful = np.zeros(n_rows, bool)
        shape, dtype = (_padded(n_rows), 1), np.float64 if double else np.float32
        self._acc = np.tile(network.bias.astype(dtype), shape)
        self._z = np.tile(network.b_a.astype(dtype), shape)
        self._h = np.tile(network.b_b.astype(dtype), shape)
        self._ends = np.searchsorted(network.degrees, np.arange(network.n_targets), "right")

    def add(self, variable: int, codes: Codes) -> None:
        """Feed the codes of a variable; -1 for unknown."""
        table = self.network.tables[variable]
        target = variable - self.network.n_conditions
        first = 0 if target < 0 else int(self._ends[target])
        if first < table.shape[1]:
            at = np.where(codes < 0, len(table) - 1, codes)
            self._acc[: self.n_rows, first:] += table[:, first:].take(at, axis=0)

    def take(self, rows: NDArray[np.intp]) -> None:
        """Go on with the states of these rows, as many as before, one in the place of each."""
        for state in (self._acc, self._z, self._h):
            state[: self.n_rows] = state[rows]
        self.doubtful = self.doubtful[rows]

    def advance(self, target: int) -> None:
        """Compute the hidden units that this target is the first to read, and what later units read of them."""
        net = self.network
        first, last = (int(self._ends[target - 1]) if target else 0), int(self._ends[target])
        new = slice(first, last)
        if first == last:
            return
        h = np.maximum(self._acc[:, new], 0.0)
        self._z[:, first:] += h @ net.w_a[new, first:]
        z = np.maximum(self._z[:, new], 0.0)
        self._h[:, first:] += z @ net.w_b[new, first:]
        self._h[:, new] += h

    def _gate(self, target: int) -> NDArray[np.float64]:
        """Probability of the hurdle's code, shape ``(n_rows,)``."""
        net, code = self.network, int(self.network.hurdles[target])
        weight = net.heads[target][:, code : code + 1]
        logit = (self._h[:, : len(weight)] @ weight)[: self.n_rows, 0] + net.head_biases[target][code]
        return np.asarray(expit(logit.astype(float)))

    def _weights(self, target: int, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Unnormalised weights of the codes other than the hurdle's, shape ``(len(rows), n_codes)``."""
        net, hurdle = self.network, int(self.network.hurdles[target])
        weight = net.heads[target]
        h = self._h[:, : len(weight)]
        if len(rows) < self.n_rows:
            packed = np.zeros((_padded(len(rows)), len(weight)), h.dtype)
            packed[: len(rows)] = h.take(rows, axis=0)
            h = packed
        logits = (h @ weight)[: len(rows)] + net.head_biases[target]
        if hurdle >= 0:
            logits[:, hurdle] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(np.exp(logits, out=logits))

    def probabilities(
        self, target: int, rows: NDArray[np.intp] | None = None, allowed: Allowed | None = None
    ) -> NDArray[np.float64]:
        """Probability of every code, shape ``(len(rows), n_codes)``."""
        rows = np.arange(self.n_rows) if rows is None else rows
        rest = self._weights(target, rows).astype(float)
        rest /= rest.sum(axis=1, keepdims=True)
        hurdle = int(self.network.hurdles[target])
        if hurdle >= 0:
            at_atom = self._gate(target)[rows]
            rest *= (1.0 - at_atom)[:, None]
            rest[:, hurdle] = at_atom
        if allowed is not None:
            rest = np.where(allowed, np.maximum(rest, 1e-30), 0.0)
            rest /= np.maximum(rest.sum(axis=1, keepdims=True), 1e-300)
        return rest

    def log_prob(self, target: int, codes: Codes, allowed: Allowed | None = None) -> NDArray[np.float64]:
        """Log probability of each row's code; ``-inf`` for codes that do not exist."""
        p = self.probabilities(target, allowed=allowed)
        with np.errstate(divide="ignore"):
            inside = (codes >= 0) & (codes < p.shape[1])
            return np.where(inside, np.log(p[np.arange(len(codes)), np.where(inside, codes, 0)]), -np.inf)

    def draw(
        self,
        target: int,
        u: NDArray[np.float64],
        rows: NDArray[np.intp] | None = None,
        allowed: Allowed | None = None,
    ) -> Codes:
        """Draw a code for each of the rows by inversion of ``u`` in ``(0, 1)``."""
        rows = np.arange(self.n_rows) if rows is None else rows
        if allowed is None:
            return self._draw_free(target, u, rows)
        codes = np.argmax(allowed, axis=1).astype(np.int32)
        count = allowed.sum(axis=1)
        free = np.flatnonzero(count == allowed.shape[1])
        codes[free] = self._draw_free(target, u[free], rows[free])
        some = np.flatnonzero((count > 1) & (count < allowed.shape[1]))
        codes[some] = self._pick(self.probabilities(target, rows[some], allowed[some]), u[some], rows[some])
        return np.asarray(codes)

    def _draw_free(self, target: int, u: NDArray[np.float64], rows: NDArray[np.intp]) -> Codes:
        hurdle = int(self.network.hurdles[target])
        if hurdle < 0:
            return self._pick(self._weights(target, rows), u, rows)
        codes = np.full(len(rows), hurdle, np.int32)
        at_atom = self._gate(target)[rows]
        self.doubtful[rows] |= np.abs(u - at_atom) < DOUBT
        pending = np.flatnonzero(u >= at_atom)
        rest = (u[pending] - at_atom[pending]) / (1.0 - at_atom[pending])
        codes[pending] = self._pick(self._weights(target, rows[pending]), rest, rows[pending])
        return codes

    def _pick(self, weights: NDArray[Any], u: NDArray[np.float64], rows: NDArray[np.intp]) -> Codes:
        """Draw a code from each row's unnormalised weights by inversion; never one of weight zero."""
        running = np.cumsum(weights, axis=1)
        total = running[:, -1]
        goal = (u * total).astype(running.dtype)
        codes = (running <= goal[:, None]).sum(axis=1)
        over = codes >= weights.shape[1]
        if over.any():
            codes[over] = weights.shape[1] - 1 - np.argmax(weights[over, ::-1] > 0, axis=1)
        at = np.arange(len(codes))
        room = np.minimum(running[at, codes] - goal, np.where(codes > 0, goal - running[at, codes - 1], np.inf))
        self.doubtful[rows] |= room < DOUBT * total
        return np.asarray(codes, np.int32)


def _padded(n_rows: int) -> int:
    return -(-n_rows // TILE) * TILE
