"""The public peers, each called as its own documentation does. Runs in the peers' environment, without microplex.

CTGAN, TVAE, the Gaussian copula and ARF (in Python) cannot be asked for rows of given conditions: they draw whole rows
freely, `FREE` times as many as are asked for, and each asked row takes the targets of the one that is nearest in the
conditions (`matched`), whose time counts.
"""

import warnings

import numpy as np
import pandas as pd

from benchmarks.synthesis.task import Task, coded

FREE = 5
FEW_VALUES = 20

warnings.simplefilter("ignore")


def quantile_forest(task: Task, seed: int, trees: int = 50):
    """Per target, given what comes before: a forest for whether a number is 0, a quantile forest for what it else is.

    Meinshausen (2006), at least 5 rows a leaf; a random one of 200 quantiles a row, each a value
    of a training row, so that rounding is kept. Levels by a forest's probabilities.
    """
    from quantile_forest import RandomForestQuantileRegressor
    from sklearn.ensemble import RandomForestClassifier

    known, stages = coded(task.train).astype(float), {}
    sizes = {"n_estimators": trees, "min_samples_leaf": 5, "random_state": seed, "max_features": 0.5}
    for place, name in enumerate(task.targets, len(task.conditions)):
        X, y = known[task.columns[:place]].to_numpy(), known[name].to_numpy()
        is_number, amounts = not task.is_level(name), None
        labels = (y != 0).astype(float) if is_number else y
        classes = RandomForestClassifier(**sizes).fit(X, labels)
        if is_number and (y != 0).any():
            amounts = RandomForestQuantileRegressor(**sizes).fit(X[y != 0], y[y != 0])
        stages[name] = classes, amounts

    def generate(asked, draw):
        rng = np.random.default_rng(draw)
        out = coded(asked).astype(float).reset_index(drop=True)
        grid = ((np.arange(200) + 0.5) / 200).tolist()
        for name, (classes, amounts) in stages.items():
            X = out.to_numpy()
            shares = classes.predict_proba(X).cumsum(axis=1)
            place = np.minimum((rng.random((len(X), 1)) > shares).sum(axis=1), shares.shape[1] - 1)
            value = classes.classes_[place]
            if amounts is not None and (value != 0).any():
                rows = np.flatnonzero(value != 0)
                value[rows] = amounts.predict(X[rows], quantiles=grid, interpolation="nearest")[
                    np.arange(len(rows)), rng.integers(0, 200, len(rows))
                ]
            out[name] = value
        return _restored(task, out)

    return generate, None


def ctgan(task: Task, seed: int, **options):
    """The conditional tabular GAN of Xu et al. (2019), settings as in its package but for the epochs."""
    from ctgan import CTGAN

    return _deep(task, seed, CTGAN, options)


def tvae(task: Task, seed: int, **options):
    """The variational autoencoder of Xu et al. (2019), settings as in its package but for the epochs."""
    from ctgan import TVAE

    return _deep(task, seed, TVAE, options)


def _deep(task, seed, kind, options):
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - both packages draw from there
    model = kind(enable_gpu=False, **options)
    few = [name for name in task.columns if task.train[name].nunique() <= FEW_VALUES]
    model.fit(coded(task.train), [name for name in task.columns if task.is_level(name) or name in few])

    def free(n, draw):
        torch.manual_seed(draw)
        np.random.seed(draw)  # noqa: NPY002
        return model.sample(n)

    return lambda asked, draw: matched(task, free(FREE * len(asked), draw), asked, draw), None


def copulas(task: Task, seed: int):
    """A Gaussian copula with beta marginals, the default of SDV; levels are spread over (0, 1) by their shares."""
    from copulas.multivariate import GaussianMultivariate
    from copulas.univariate import BetaUnivariate

    rng = np.random.default_rng(seed)
    plain = coded(task.train)
    levels = [name for name in task.columns if task.is_level(name) or plain[name].dtype == bool]
    ends = {name: _ends(plain[name]) for name in levels}
    spread = {}
    for name, (values, top) in ends.items():
        place = np.searchsorted(values, plain[name])
        width = np.diff(top, prepend=0)[place]
        spread[name] = top[place] - width * rng.random(len(plain))
    model = GaussianMultivariate(distribution=BetaUnivariate, random_state=seed)
    model.fit(plain.assign(**spread).astype(float))

    def generate(asked, draw):
        model.set_random_state(draw)
        found = model.sample(FREE * len(asked))
        for name, (values, top) in ends.items():
            found[name] = values[np.minimum(np.searchsorted(top, found[name]), len(values) - 1)]
        return matched(task, found, asked, draw)

    return generate, None


def _ends(column):
    values, counts = np.unique(column.to_numpy(), return_counts=True)
    return values, counts.cumsum() / counts.sum()


def arfpy(task: Task, seed: int, rows: int = 10_000, **options):
    """Adversarial random forests (Watson et al., 2023), on a random part of the rows."""
    from arfpy import arf

    np.random.seed(seed)  # noqa: NPY002 - the package draws from there
    known = coded(task.train).sample(min(rows, len(task.train)), random_state=seed).reset_index(drop=True)
    few = [name for name in task.columns if task.is_level(name) or known[name].nunique() <= FEW_VALUES]
    model = arf.arf(
        x=known.astype(float).astype(dict.fromkeys(few, "category")), verbose=False, random_state=seed, **options
    )
    model.forde()

    def generate(asked, draw):
        np.random.seed(draw)  # noqa: NPY002
        return matched(task, model.forge(n=FREE * len(asked)).astype(float), asked, draw)

    return generate, None


def matched(task: Task, free: pd.DataFrame, asked: pd.DataFrame, draw: int) -> pd.DataFrame:
    """The conditions that were asked for, with the targets of the free row nearest to them; ties at random.

    A level that differs counts as four standard deviations of a number.
    """
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(draw)
    wanted, found = coded(asked).astype(float), free[task.conditions].astype(float)
    known = coded(task.train).astype(float)
    points = [[], []]
    for name in task.conditions:
        for place, values in enumerate((wanted[name].to_numpy(), found[name].to_numpy())):
            if task.is_level(name):
                columns = values[:, None] == np.arange(len(task.train[name].cat.categories))
                points[place].append(columns * np.sqrt(8))
            else:
                points[place].append(values[:, None] / max(known[name].std(), 1e-12))
    ties = [1e-3 * rng.random((len(table), 1)) for table in (wanted, found)]
    ours, theirs = (np.hstack([*own, tie]).astype(np.float32) for own, tie in zip(points, ties, strict=True))
    near = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(theirs).kneighbors(ours, return_distance=False)[:, 0]
    drawn = free.iloc[near].reset_index(drop=True)
    return _restored(task, pd.concat([coded(asked).reset_index(drop=True), drawn[task.targets]], axis=1))


def _restored(task, frame):
    """Codes as levels, numbers rounded where the training rows are whole, and within their range, as SDV does."""
    out = {}
    for name in task.columns:
        column, known = frame[name].to_numpy(float), task.train[name]
        if task.is_level(name):
            codes = np.clip(np.nan_to_num(column), 0, len(known.cat.categories) - 1).round().astype(int)
            out[name] = pd.Categorical.from_codes(codes, dtype=known.dtype)
        else:
            column = np.clip(column, known.min(), known.max())
            out[name] = (column if known.dtype.kind == "f" else column.round()).astype(known.dtype)
    return pd.DataFrame(out)
