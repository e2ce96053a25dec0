"""Training of the masked network by weighted maximum likelihood (the only module that imports JAX)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from microplex.flow.data import Data, TrainOptions
from microplex.flow.layout import EMBEDDING, FAR, Block, Bucket, Layout
from microplex.flow.network import Network
from microplex.flow.spec import Spec

Tree = dict[str, Any]
CHUNK = 40
MAX_COMPILED = 32
_COMPILED: dict[Any, Callable[..., Any]] = {}


class Trainer:
    """A compiled training step, usable for any order of the targets.

    Parameters
    ----------
    spec
        Shape of the network.
    options
        Batch, learning rate and regularisation.
    fixed_order
        Whether only the given order will be trained, so that products may skip the zeros of the masks.
    """

    def __init__(self, spec: Spec, options: TrainOptions, fixed_order: bool) -> None:
        self.spec, self.options = spec, options
        self.layout = Layout(spec, triangular=fixed_order)
        self._run = self._compiled()

    def fit(
        self,
        data: Data,
        order: Sequence[int],
        seed: int,
        report: Callable[[int, int, Callable[[], Network]], None] | None = None,
    ) -> Network:
        """Train from fresh weights.

        Parameters
        ----------
        data
            Training rows.
        order
            Targets in the order in which they are generated.
        seed
            Seed of the initial weights, the batches and the input masking.
        report
            Called after each chunk of steps with (step, steps, function that gives the network so far).

        Returns
        -------
        Network
            Plain arrays of the exponentially averaged parameters.
        """
        options, n = self.options, len(data.codes)
        batch = min(options.batch, n)
        total = max(1, n * options.epochs // batch)
        constants = jax.tree.map(jnp.asarray, self.layout.constants(order))
        params = self._initial(jax.random.key(seed), constants)
        carry = (params, self._optimiser(1).init(params), jax.tree.map(jnp.copy, params))
        rng = np.random.Generator(np.random.Philox(key=[seed, 1]))
        weights = (data.weights / data.weights.mean()).astype(np.float32)
        queue = np.empty(0, np.intp)
        for start in range(0, total, CHUNK):
            size = min(CHUNK, total - start)
            while len(queue) < CHUNK * batch:
                queue = np.concatenate([queue, rng.permutation(n)])
            rows, queue = queue[: CHUNK * batch].reshape(CHUNK, batch), queue[size * batch :]
            item: Tree = {"codes": data.codes[rows], "weights": weights[rows]}
            if data.observed is not None:
                item["observed"] = data.observed[rows]
            item["allowed"] = {str(t): m[rows] for t, m in (data.allowed or {}).items()}
            rates = np.array([learning_rate(options, s, total) for s in range(start, start + CHUNK)], np.float32)
            rates[size:] = 0.0
            keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), start + 1), CHUNK)
            carry = self._run(carry, item, rates, keys, constants)
            if report is not None:
                average = carry[2]
                report(start + size, total, lambda: self._network(average, order))  # noqa: B023
        return self._network(carry[2], order)

    def _compiled(self) -> Callable[..., Any]:
        """The jitted chunk, shared by trainers of one shape: features, masks and bases are its arguments."""
        layout, width = self.layout, self.spec.width
        options = replace(self.options, epochs=0, batch=0, learning_rate=0.0, warmup=0.0, members=1)
        key = (
            options, layout.triangular, layout.n_conditions, tuple(layout.widths), tuple(layout.offsets.tolist()),
            layout.n_rows, tuple(layout.blocks), tuple(layout.buckets), width, self.spec.degrees.tobytes(),
        )  # fmt: skip
        if key not in _COMPILED:
            if len(_COMPILED) >= MAX_COMPILED:
                del _COMPILED[next(iter(_COMPILED))]
            _COMPILED[key] = jax.jit(self._chunk, donate_argnums=0)
        return _COMPILED[key]

    def _optimiser(self, rate: Any) -> optax.GradientTransformation:
        o = self.options
        adam = optax.adamw(rate, b1=0.9, b2=0.99, weight_decay=o.decay, mask=_decayed)
        return optax.chain(optax.clip_by_global_norm(o.clip), adam)

    def _chunk(self, carry: Any, items: Tree, rates: jax.Array, keys: jax.Array, constants: Tree) -> Any:
        def step(carry: Any, x: Any) -> Any:
            params, state, average = carry
            item, rate, key = x
            grads = jax.grad(self._loss)(params, item, key, constants)
            updates, state = self._optimiser(rate).update(grads, state, params)
            live = rate > 0
            params = jax.tree.map(lambda p, u: jnp.where(live, p + u, p), params, updates)
            ema = jnp.where(live, self.options.ema, 1.0)
            average = jax.tree.map(lambda a, p: ema * a + (1 - ema) * p, average, params)
            return (params, state, average), None

        return jax.lax.scan(step, carry, (items, rates, keys))[0]

    def _loss(self, params: Tree, item: Tree, key: jax.Array, constants: Tree) -> jax.Array:
        codes, options, layout = item["codes"], self.options, self.layout
        k1, k2, k3 = jax.random.split(key, 3)
        hide = jax.random.bernoulli(k1, options.mask_rate, (len(codes), 1))
        hide = hide & jax.random.bernoulli(k2, 0.5, codes.shape)
        inputs = jnp.where(hide, layout.unknown, codes)
        seen = item.get("observed")
        if seen is not None:
            pad = jnp.ones((len(codes), layout.n_conditions), bool)
            inputs = jnp.where(jnp.concatenate([pad, seen], axis=1), inputs, layout.unknown)
        h = self._trunk(params, inputs, constants)
        if options.dropout:
            h = h * jax.random.bernoulli(k3, 1 - options.dropout, h.shape) / (1 - options.dropout)
        total = jnp.zeros(len(codes))
        for i, bucket in enumerate(layout.buckets):
            at = np.array(bucket.targets)
            own = codes[:, at + layout.n_conditions]
            log_p = _bucket_log_prob(bucket, params["heads"][i], constants["buckets"][i], h, own, item["allowed"])
            total += (log_p if seen is None else jnp.where(seen[:, at], log_p, 0.0)).sum(axis=1)
        return -jnp.mean(item["weights"] * total)

    def _trunk(self, params: Tree, codes: jax.Array, constants: Tree) -> jax.Array:
        layout = self.layout
        fixed = jnp.concatenate([f[codes[:, v]] for v, f in enumerate(constants["features"])], axis=1)
        free = params["embed"][codes + layout.offsets].reshape(len(codes), -1)
        features = [(b.n_features, b) for b in layout.blocks]
        embedded = [(EMBEDDING * b.n_variables, b) for b in layout.blocks]
        units = [(b.last, b) for b in layout.blocks]
        h = _masked(fixed, params["w_fixed"] * constants["mask_fixed"], features)
        h += _masked(free, params["w_free"] * constants["mask_free"], embedded)
        h = jax.nn.relu(h + params["b_in"])
        z = jax.nn.relu(_masked(h, params["w_a"] * constants["mask_hidden"], units) + params["b_a"])
        return jnp.asarray(h + _masked(z, params["w_b"] * constants["mask_hidden"], units) + params["b_b"])

    def _initial(self, key: jax.Array, constants: Tree) -> Tree:
        k1, k2, k3, k4, k5 = jax.random.split(key, 5)
        layout, h = self.layout, self.spec.width
        reads = constants["mask_fixed"].sum(0) + constants["mask_free"].sum(0)
        fan = 0.7 * jnp.sqrt(2.0 / jnp.maximum(reads, 1.0))
        hidden = jnp.sqrt(2.0 / constants["mask_hidden"].sum(0))
        heads = []
        for bucket, c in zip(layout.buckets, constants["buckets"], strict=True):
            width = bucket.n_basis or bucket.n_codes
            heads.append({"w": jnp.zeros((*c["reads"].shape, width)), "b": c["start"]})
        return {
            "embed": 0.3 * jax.random.normal(k1, (layout.n_rows, EMBEDDING)),
            "w_fixed": jax.random.normal(k2, constants["mask_fixed"].shape) * fan,
            "w_free": jax.random.normal(k5, constants["mask_free"].shape) * fan,
            "b_in": jnp.zeros(h),
            "w_a": jax.random.normal(k3, (h, h)) * hidden,
            "b_a": jnp.zeros(h),
            "w_b": jax.random.normal(k4, (h, h)) * hidden * 0.2,
            "b_b": jnp.zeros(h),
            "heads": heads,
        }

    def _network(self, params: Tree, order: Sequence[int]) -> Network:
        """Fold features, embeddings, masks and bases into plain arrays, targets in generation order."""
        layout, spec = self.layout, self.spec
        p = jax.tree.map(np.asarray, params)
        c = layout.constants(order)
        fixed, free = p["w_fixed"] * c["mask_fixed"], p["w_free"] * c["mask_free"]
        tables, at = [], 0
        for v, f in enumerate(c["features"]):
            rows = slice(layout.offsets[v], layout.offsets[v] + len(f))
            part = p["embed"][rows] @ free[v * EMBEDDING : (v + 1) * EMBEDDING]
            tables.append((f @ fixed[at : at + f.shape[1]] + part).astype(np.float32))
            at += f.shape[1]
        heads: dict[int, Any] = {}
        for bucket, head, b in zip(layout.buckets, p["heads"], c["buckets"], strict=True):
            for i, t in enumerate(bucket.targets):
                weight = head["w"][i] @ b["basis"][i].T if bucket.n_basis else head["w"][i]
                used, k = int(b["reads"][i].sum()), spec.targets[t].n_codes
                heads[t] = np.ascontiguousarray(weight[:used, :k]), head["b"][i, :k].copy()
        n = layout.n_conditions
        return Network(
            tables=(*tables[:n], *(tables[n + t] for t in order)),
            bias=p["b_in"],
            w_a=p["w_a"] * c["mask_hidden"],
            b_a=p["b_a"],
            w_b=p["w_b"] * c["mask_hidden"],
            b_b=p["b_b"],
            heads=tuple(heads[t][0] for t in order),
            head_biases=tuple(heads[t][1] for t in order),
            hurdles=np.array([spec.targets[t].hurdle for t in order], np.int32),
            degrees=spec.degrees,
            n_conditions=n,
        )


def learning_rate(options: TrainOptions, step: int, total: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warm = max(1, math.ceil(options.warmup * total))
    if step < warm:
        return options.learning_rate * (step + 1) / warm
    return 0.5 * options.learning_rate * (1 + math.cos(math.pi * (step - warm + 0.5) / max(1, total - warm)))


def _masked(x: jax.Array, weight: jax.Array, blocks: list[tuple[int, Block]]) -> jax.Array:
    """Product with a block-triangular matrix, block by block."""
    return jnp.concatenate([x[:, :n] @ weight[:n, b.first : b.last] for n, b in blocks], axis=1)


def _bucket_log_prob(
    bucket: Bucket, head: Tree, constants: Tree, h: jax.Array, codes: jax.Array, allowed: Tree
) -> jax.Array:
    """Log probability of each target's code, shape (batch, targets of the bucket)."""
    weight = head["w"] * constants["reads"][:, :, None]
    if bucket.n_basis:
        weight = jnp.einsum("thr,tkr->thk", weight, constants["basis"])
    t, units, k = weight.shape
    logits = (h[:, :units] @ weight.transpose(1, 0, 2).reshape(units, t * k)).reshape(-1, t, k) + head["b"]
    is_atom = constants["is_atom"]
    rest = logits + jnp.where(is_atom, FAR, 0.0)
    norm = jax.nn.logsumexp(rest, axis=-1)
    gate = (logits * is_atom).sum(axis=-1)
    is_code = codes[:, :, None] == jnp.arange(k)
    own = (logits * is_code).sum(axis=-1)
    closed = is_atom.any(axis=1) * jax.nn.softplus(gate)
    at_atom = (is_code & is_atom).any(axis=-1)
    chosen = jnp.where(at_atom, gate - closed, own - norm - closed)
    for i, target in enumerate(bucket.targets):
        if str(target) in allowed:
            free = jnp.pad(allowed[str(target)], ((0, 0), (0, k - allowed[str(target)].shape[1])))
            open_rest = jax.nn.logsumexp(jnp.where(free, rest[:, i], FAR), axis=-1) - norm[:, i]
            open_atom = jnp.where((free & is_atom[i]).any(axis=-1), gate[:, i], FAR)
            chosen = chosen.at[:, i].add(closed[:, i] - jnp.logaddexp(open_rest, open_atom))
    return chosen


def _decayed(params: Tree) -> Tree:
    """Weight decay applies to matrices, not to biases."""
    heads = [{"w": True, "b": False} for _ in params["heads"]]
    return {k: v.ndim > 1 for k, v in params.items() if k != "heads"} | {"heads": heads}
