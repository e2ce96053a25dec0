"""Methods of conditional synthesis, null methods among them: they show what a measure can and cannot see."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.problems import Problem
from microplex import Synthesizer

Generate = Callable[[int], pd.DataFrame]
"""From a seed to a table of conditions and targets as long as the test rows."""


@dataclass(frozen=True)
class Method:
    """A name and ``fit(problem, seed)``, which returns how to generate and, where there is one, a log density."""

    name: str
    fit: Callable[[Problem, int], tuple[Generate, Callable[[pd.DataFrame], np.ndarray] | None]]


def floor(problem, seed):
    """Fresh real rows."""
    return lambda _: problem.fresh, None


def microplex(problem, seed):
    """The library, with its defaults."""
    model = Synthesizer(problem.targets, problem.conditions, problem.constraints, seed=seed)
    model.fit(problem.train[problem.conditions + problem.targets], progress=False)
    return lambda draw: model.generate(problem.test[problem.conditions], seed=draw), model.log_prob


def resampled_rows(problem, seed):
    """Training rows with replacement: faithful in everything, and no protection at all."""
    train = problem.train
    return lambda draw: train.sample(len(problem.test), replace=True, random_state=draw).reset_index(drop=True), None


def independent_columns(problem, seed):
    """Every target on its own: right marginals, no dependence."""

    def generate(draw):
        rng = np.random.default_rng(draw)
        drawn = {name: rng.choice(problem.train[name].array, len(problem.test)) for name in problem.targets}
        return _as_trained(problem, problem.test[problem.conditions].assign(**drawn))

    return generate, None


def cart(problem, seed):
    """A tree a target, given the conditions and the targets before it; values are those of a random row of the leaf.

    In the manner of synthpop (Nowok, Raab and Dibben, 2016): at least 5 rows a leaf. Levels are split in their order.
    """
    names = problem.conditions + problem.targets
    known, trees = _numbers(problem.train), {}
    for place, name in enumerate(problem.targets, len(problem.conditions)):
        kind = DecisionTreeRegressor if name in problem.numeric else DecisionTreeClassifier
        tree = kind(min_samples_leaf=5, random_state=seed).fit(known[names[:place]], known[name])
        leaf = tree.apply(known[names[:place]])
        order = np.argsort(leaf, kind="stable")
        trees[name] = tree, order, leaf[order]

    def generate(draw):
        rng = np.random.default_rng(draw)
        out = problem.test[problem.conditions].copy()
        for name, (tree, order, leaves) in trees.items():
            leaf = tree.apply(_numbers(out))
            first, last = np.searchsorted(leaves, leaf), np.searchsorted(leaves, leaf, "right")
            out[name] = problem.train[name].array[order[rng.integers(first, last)]]
        return out

    return generate, None


def _numbers(frame):
    is_level = [isinstance(dtype, pd.CategoricalDtype) for dtype in frame.dtypes]
    return frame.assign(**{name: frame[name].cat.codes for name in frame.columns[is_level]}).astype(float)


def _as_trained(problem, frame):
    return frame.astype(problem.train.dtypes[problem.conditions + problem.targets].to_dict())


METHODS = [
    Method("floor", floor),
    Method("microplex", microplex),
    Method("CART", cart),
    Method("resampled rows", resampled_rows),
    Method("independent columns", independent_columns),
]
