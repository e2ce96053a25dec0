"""Methods that need no environment of their own; the null methods show what a measure can and cannot see.

Each takes a task and a seed and returns how to generate, from conditions and a seed to a table of conditions and
targets, and, where there is one, a log density.
"""

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from benchmarks.synthesis.task import Task, coded

BANDS = 5


def microplex(task: Task, seed: int):
    """The library, with its defaults."""
    from microplex import Synthesizer

    model = Synthesizer(task.targets, task.conditions, task.constraints, seed=seed)
    model.fit(task.train[task.columns], progress=False)
    return lambda asked, draw: model.generate(asked, seed=draw), lambda rows: model.log_prob(rows[task.columns])


def resampled_rows(task: Task, seed: int):
    """Training rows with replacement, conditions included: faithful in everything, and no protection at all."""
    return lambda asked, draw: task.train.sample(len(asked), replace=True, random_state=draw), None


def independent_columns(task: Task, seed: int):
    """Every target on its own: right marginals, no dependence."""

    def generate(asked, draw):
        rng = np.random.default_rng(draw)
        return asked.assign(**{name: rng.choice(task.train[name].array, len(asked)) for name in task.targets})

    return generate, None


def cart(task: Task, seed: int):
    """A tree a target, given the conditions and the targets before it; values are those of a random row of the leaf.

    In the manner of synthpop (Nowok, Raab and Dibben, 2016): at least 5 rows a leaf. Levels are split in their order.
    """
    known, trees = numbers(task.train), {}
    for place, name in enumerate(task.targets, len(task.conditions)):
        kind = DecisionTreeRegressor if name in task.numeric else DecisionTreeClassifier
        given = task.columns[:place]
        tree = kind(min_samples_leaf=5, random_state=seed).fit(known[given], known[name])
        leaf = tree.apply(known[given])
        order = np.argsort(leaf, kind="stable")
        trees[name] = tree, order, leaf[order]

    def generate(asked, draw):
        rng = np.random.default_rng(draw)
        out = asked.copy()
        for name, (tree, order, leaves) in trees.items():
            leaf = tree.apply(numbers(out))
            first, last = np.searchsorted(leaves, leaf), np.searchsorted(leaves, leaf, "right")
            out[name] = task.train[name].array[order[rng.integers(first, last)]]
        return out

    return generate, None


def hot_deck(task: Task, seed: int):
    """All targets of a random training row of the same cell of the conditions.

    Numbers with more than 10 values count in fifths. Where no training row has all the conditions, the last is left
    out, and so on.
    """
    edges = {}
    for name in task.conditions:
        if not task.is_level(name) and task.train[name].nunique() > 2 * BANDS:
            edges[name] = np.quantile(task.train[name], np.arange(1, BANDS) / BANDS)

    def cells(frame):
        plain = coded(frame[task.conditions]).astype(float)
        return plain.assign(**{name: np.searchsorted(cuts, plain[name], "right") for name, cuts in edges.items()})

    known = cells(task.train)

    def generate(asked, draw):
        rng = np.random.default_rng(draw)
        donor, wanted = np.full(len(asked), -1), cells(asked).reset_index(drop=True)
        for length in range(len(task.conditions), 0, -1):
            names, open_rows = task.conditions[:length], np.flatnonzero(donor < 0)
            both = pd.concat([known[names], wanted.loc[open_rows, names]])
            cell = both.groupby(names, sort=False).ngroup().to_numpy()
            order = np.argsort(cell[: len(known)], kind="stable")
            ordered, own = cell[: len(known)][order], cell[len(known) :]
            first, last = np.searchsorted(ordered, own), np.searchsorted(ordered, own, "right")
            found = last > first
            donor[open_rows[found]] = order[rng.integers(first[found], last[found])]
        left = donor < 0
        donor[left] = rng.integers(0, len(known), left.sum())
        return asked.assign(**{name: task.train[name].array[donor] for name in task.targets})

    return generate, None


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return coded(frame).astype(float)
