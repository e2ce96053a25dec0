"""Baselines of fusion: each learns one block given the common variables and draws it for others.

A baseline takes training rows, the names of conditions and targets and a seed, and returns how to draw: from rows of
conditions and a seed to the targets.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from benchmarks.synthesis.methods import hot_deck as cell_deck
from benchmarks.synthesis.methods import numbers
from benchmarks.synthesis.task import Task

TREES, LEAF = 50, 5


def hot_deck(train, conditions, targets, seed):
    """The whole block of a random donor of the same cell of the common variables."""
    generate, _ = cell_deck(Task(conditions, targets, train, train), seed)
    return lambda asked, draw: generate(asked.reset_index(drop=True), draw)[targets]


def predictive_mean_matching(train, conditions, targets, seed):
    """A target at a time: the value of one of the five donors with the nearest predicted mean (Little, 1988)."""
    known, fits = numbers(train), {}
    for place, name in enumerate(targets):
        given = [*conditions, *targets[:place]]
        X = np.column_stack([np.ones(len(known)), known[given]])
        beta = np.linalg.lstsq(X, known[name].to_numpy(), rcond=None)[0]
        order = np.argsort(X @ beta, kind="stable")
        fits[name] = given, beta, (X @ beta)[order], train[name].array[order]

    def generate(asked, draw):
        rng, out = np.random.default_rng(draw), asked[conditions].reset_index(drop=True)
        for name, (given, beta, means, values) in fits.items():
            X = np.column_stack([np.ones(len(out)), numbers(out)[given]])
            at = np.searchsorted(means, X @ beta)
            near = np.clip(at + rng.integers(-2, 3, len(at)), 0, len(means) - 1)
            out[name] = values[near]
        return out[targets]

    return generate


def quantile_forest(train, conditions, targets, seed):
    """A target at a time, drawn from the forest's conditional law: a random tree, then a random row of its leaf.

    Meinshausen (2006); targets given the conditions and the targets before them, as PolicyEngine imputes.
    """
    known, forests = numbers(train), {}
    for place, name in enumerate(targets):
        given = [*conditions, *targets[:place]]
        kind = RandomForestClassifier if isinstance(train[name].dtype, pd.CategoricalDtype) else RandomForestRegressor
        forest = kind(TREES, min_samples_leaf=LEAF, random_state=seed, max_features=0.6, n_jobs=1)
        forest.fit(known[given].to_numpy(), known[name])
        leaves = forest.apply(known[given].to_numpy())
        orders = np.argsort(leaves, axis=0, kind="stable")
        forests[name] = given, forest, orders, np.take_along_axis(leaves, orders, axis=0)

    def generate(asked, draw):
        rng, out = np.random.default_rng(draw), asked[conditions].reset_index(drop=True)
        for name, (given, forest, orders, leaves) in forests.items():
            own = forest.apply(numbers(out)[given].to_numpy())
            tree, donor = rng.integers(0, TREES, len(out)), np.empty(len(out), int)
            for t in range(TREES):
                rows = np.flatnonzero(tree == t)
                first, last = (np.searchsorted(leaves[:, t], own[rows, t], side) for side in ("left", "right"))
                donor[rows] = orders[rng.integers(first, last), t]
            out[name] = train[name].array[donor]
        return out[targets]

    return generate


PEERS = {
    "random hot deck": hot_deck,
    "predictive mean matching": predictive_mean_matching,
    "quantile forest": quantile_forest,
}
