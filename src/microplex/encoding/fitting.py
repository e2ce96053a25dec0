"""Fitting the networks on coded rows, with the orders that the sample size calls for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from microplex._random import generator
from microplex.encoding.encoder import Encoder, Values
from microplex.flow.cells import Array
from microplex.flow.data import TrainOptions, default_options
from microplex.flow.ensemble import Ensemble, Order, fit_ensemble, propose_orders
from microplex.flow.spec import Spec

SEARCH_BELOW, SEARCHED, KEPT = 8_000, 8, 3
HELD_OUT_SHARE, MAX_HELD_OUT = 0.025, 2_000
STREAM = 4


@dataclass(frozen=True)
class Settings:
    """How the networks of several laws are fitted; as for `Synthesizer`."""

    epochs: int | None = None
    n_orders: int | None = None
    min_rows: int = 3
    seed: int = 0


@dataclass(frozen=True)
class FitReport:
    """What a fit did.

    Parameters
    ----------
    n_rows
        Training rows of positive weight.
    n_parameters
        Numbers in the networks.
    held_out_log_prob
        Mean log law a row on rows that were kept apart (None if none were), in the measure of
        :meth:`Synthesizer.log_prob`.
    orders
        Targets in the order of each member of the mixture.
    epochs
        Passes over the data of each member.
    constraints
        How each constraint is kept.
    """

    n_rows: int
    n_parameters: int
    held_out_log_prob: float | None
    orders: tuple[tuple[str, ...], ...]
    epochs: int
    constraints: tuple[str, ...]

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> FitReport:
        """Make a report from its fields, as JSON holds them."""
        orders = tuple(tuple(order) for order in plain["orders"])
        return cls(**{**plain, "orders": orders, "constraints": tuple(plain["constraints"])})


def fit_model(
    encoder: Encoder,
    values: Values,
    weights: Array,
    epochs: int | None,
    n_orders: int | None,
    seed: int,
    update: Callable[[float, float | None], None],
    options: TrainOptions | None = None,
) -> tuple[Ensemble, FitReport]:
    """Fit the networks.

    Parameters
    ----------
    encoder, values, weights
        Codes and training rows; weights have mean one.
    epochs, n_orders
        Passes over the data and random orders to try; by sample size if None.
    seed
        Seed.
    update
        Called with the share of the work done and the held-out log law a row (or None).
    options
        How to train; by sample size if None.

    Returns
    -------
    tuple
        The ensemble and what the fit did.
    """
    n = len(weights)
    options = default_options(n) if options is None else options
    options = options if epochs is None else replace(options, epochs=epochs)
    data, _ = encoder.data(values, weights, n)
    orders = _orders(encoder, n, n_orders, seed)
    held = np.empty(0, np.intp)
    if len(orders) == 1 and n >= SEARCH_BELOW:
        held = generator(seed, STREAM).permutation(n)[: min(int(HELD_OUT_SHARE * n), MAX_HELD_OUT)]
    watched = held if len(held) else np.arange(n)
    within = np.where(encoder.observed(values, n), encoder.log_density(values, n), 0.0).sum(axis=1)
    offset = float(np.average(within[watched], weights=weights[watched]))

    def report(share: float, codes: float | None) -> None:
        update(share, None if codes is None else codes + offset)

    ensemble, score = Ensemble(()), None
    if encoder.targets:
        spec = Spec(*encoder.variables(values, weights), width=options.width)
        train = data.take(np.setdiff1d(np.arange(n), held))
        holdout = data.take(held) if len(held) else None
        ensemble, score = fit_ensemble(spec, train, holdout, options, orders, KEPT, seed, report)
    return ensemble, FitReport(
        n_rows=n,
        n_parameters=sum(a.size for m in ensemble.members for a in m.network.to_arrays().values()),
        held_out_log_prob=None if score is None else score + offset,
        orders=tuple(tuple(encoder.targets[t] for t in m.order) for m in ensemble.members),
        epochs=options.epochs,
        constraints=tuple(encoder.plan.describe()),
    )


def _orders(encoder: Encoder, n: int, n_orders: int | None, seed: int) -> list[Order]:
    wanted = (SEARCHED if n < SEARCH_BELOW else 0) if n_orders is None else n_orders
    targets = encoder.targets

    def rearrange(order: Order) -> Order:
        return tuple(targets.index(name) for name in encoder.plan.rearrange([targets[t] for t in order]))

    return propose_orders(len(targets), wanted if len(targets) > 1 else 0, seed, rearrange)
