"""Slow, obvious or random stand-ins that tests compare the library with."""

import numpy as np
import pytest

from microplex import synthesizer
from microplex.constraints import Plan
from microplex.encoding import Encoder, FitReport, intake
from microplex.flow.ensemble import Ensemble, Member
from microplex.flow.network import Network
from microplex.flow.spec import Spec


def random_network(spec, order=None, seed=0, scale=0.5):
    """A network that nobody trained, with the masks of its order; it costs no JAX."""
    order = tuple(range(len(spec.targets))) if order is None else tuple(order)
    rng = np.random.default_rng(seed)
    n, width, degrees = len(spec.conditions), spec.width, spec.degrees
    variables = [*spec.conditions, *(spec.targets[t] for t in order)]
    reads = np.concatenate([np.full(n, -1), np.arange(len(order))])[:, None] < degrees
    hidden = (degrees[:, None] <= degrees) / np.sqrt(width)

    def noise(*shape):
        return rng.normal(size=shape).astype(np.float32)

    heads, biases = [], []
    for place, target in enumerate(order):
        variable, units = spec.targets[target], spec.units_before(place)
        heads.append(noise(units, variable.n_codes) * np.float32(scale / np.sqrt(units)))
        bias = variable.log_marginal.copy()
        if variable.hurdle >= 0:
            bias[variable.hurdle] -= np.log1p(-np.exp(bias[variable.hurdle]))
        biases.append(bias)
    return Network(
        tables=tuple(
            (noise(v.n_codes + 1, width) * mask).astype(np.float32) for v, mask in zip(variables, reads, strict=True)
        ),
        bias=noise(width),
        w_a=(noise(width, width) * hidden).astype(np.float32),
        b_a=noise(width),
        w_b=(noise(width, width) * hidden).astype(np.float32),
        b_b=noise(width),
        heads=tuple(heads),
        head_biases=tuple(biases),
        hurdles=np.array([spec.targets[t].hurdle for t in order], np.int32),
        degrees=degrees,
        n_conditions=n,
    )


def encode_table(frame, targets, conditions=(), constraints=None, schema=None, weights=None, min_rows=3):
    """The encoder that a fit would make, and the values it reads."""
    columns = [*conditions, *targets]
    rows, ones = intake.check_training(frame, columns, None)
    schema = intake.complete_schema(schema, frame, columns, None)
    values = intake.read_training(frame, schema, targets, rows)
    plan = Plan.build(constraints, targets, conditions, values, schema)
    return Encoder.fit(schema, plan, values, ones if weights is None else weights, min_rows), values


def random_ensemble(encoder, values, orders=None, seed=0, scale=0.5, width=32):
    """Random networks for an encoder; orders are rearranged as its constraints demand."""
    spec = Spec(*encoder.variables(values, np.ones(len(next(iter(values.values()))))), width=width)
    members = []
    for i, order in enumerate(orders or [range(len(encoder.targets))]):
        kept = encoder.plan.rearrange([encoder.targets[t] for t in order])
        order = tuple(encoder.targets.index(name) for name in kept)
        members.append(Member(order, random_network(spec, order, seed + i, scale)))
    return Ensemble(tuple(members))


def fit_untrained(estimator, frame, weight_col=None, scale=0.5):
    """Fit a synthesizer in all but the training of its networks, which are random."""

    def fit_model(encoder, values, weights, epochs, n_orders, seed, update):
        n = len(encoder.targets)
        orders = [np.roll(np.arange(n), i) for i in range(1 + (n_orders or 0))]
        ensemble = random_ensemble(encoder, values, orders, seed, scale)
        names = tuple(tuple(encoder.targets[t] for t in member.order) for member in ensemble.members)
        return ensemble, FitReport(len(weights), 0, None, names, 0, tuple(encoder.plan.describe()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthesizer, "fit_model", fit_model)
        return estimator.fit(frame, weight_col)


def one_row(network, codes):
    """Probabilities of the codes of each target on one row: one unit at a time, no masks but the degrees."""
    width = len(network.bias)
    out = []
    for target in range(network.n_targets):
        units = [j for j in range(width) if network.degrees[j] <= target]
        first, second, last = {}, {}, {}
        for j in units:
            known = network.n_conditions + int(network.degrees[j])
            first[j] = float(network.bias[j]) + sum(float(network.tables[v][codes[v], j]) for v in range(known))
        for j in units:
            before = [i for i in units if network.degrees[i] <= network.degrees[j]]
            z = float(network.b_a[j]) + sum(max(first[i], 0.0) * float(network.w_a[i, j]) for i in before)
            second[j] = max(z, 0.0)
        for j in units:
            before = [i for i in units if network.degrees[i] <= network.degrees[j]]
            added = float(network.b_b[j]) + sum(second[i] * float(network.w_b[i, j]) for i in before)
            last[j] = max(first[j], 0.0) + added
        head, bias = network.heads[target], network.head_biases[target]
        logits = [float(b) + sum(last[j] * float(head[j, k]) for j in units) for k, b in enumerate(bias)]
        out.append(_softmax_behind_hurdle(np.array(logits), int(network.hurdles[target])))
    return out


def _softmax_behind_hurdle(logits, hurdle):
    gate = 0.0 if hurdle < 0 else 1.0 / (1.0 + np.exp(-logits[hurdle]))
    rest = np.exp(logits - logits.max())
    if hurdle >= 0:
        rest[hurdle] = 0.0
    p = (1.0 - gate) * rest / rest.sum()
    if hurdle >= 0:
        p[hurdle] = gate
    return p
