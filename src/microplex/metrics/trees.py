"""Boosted trees, and what they see of a table: numbers in bins, categories by code.

Needs scikit-learn: `pip install microplex[report]`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.metrics.joint import scaled
from microplex.metrics.pair import Variable

Floats = NDArray[np.float64]

MAX_LEVELS = 250
MAX_BINS = 255
TREES = {"max_iter": 150, "learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20, "early_stopping": False}

_ATOM = 0.01


def boosting(kind: str, categories: Sequence[int], X: Floats, **options: Any) -> Any:
    """Return scikit-learn's histogram gradient boosting ("Classifier" or "Regressor") with this module's settings.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> boosting("Regressor", [], np.zeros((2, 1))).max_iter
    150
    """
    try:
        ensemble = importlib.import_module("sklearn.ensemble")
    except ImportError as error:
        raise ImportError("this measure needs scikit-learn: pip install 'microplex[report]'") from error
    is_category = np.isin(np.arange(X.shape[1]), np.asarray(categories, dtype=np.int64))
    model = getattr(ensemble, f"HistGradientBoosting{kind}")
    return model(categorical_features=is_category, random_state=0, **{**TREES, **options})


def fitted(
    kind: str, categories: Sequence[int], X: Floats, y: NDArray[np.generic], weights: Floats, **options: Any
) -> Any:
    """Return `boosting` fitted to the rows of positive weight; a column without any value there counts as constant.

    Examples
    --------
    >>> X = np.column_stack([np.arange(60.0), np.full(60, np.nan)])
    >>> bool(fitted("Regressor", [], X, X[:, 0], np.ones(60)).predict(X)[0] < 20)
    True
    """
    kept = weights > 0
    X = X[kept]
    X[:, np.isnan(X).all(axis=0)] = 0.0
    return boosting(kind, categories, X, **options).fit(X, y[kept], weights[kept])


def features(variables: Sequence[Variable], weights: Floats, strict: bool = False) -> tuple[Floats, Floats, list[int]]:
    """Return the columns that the trees see, real and synthetic, and which of them are categories.

    Examples
    --------
    >>> x = Variable("x", "number", np.array([1.0, np.nan]), np.array([2.0]))
    >>> features([x], np.ones(2))[1].tolist()
    [[2.0]]
    """
    real: list[Floats] = []
    synthetic: list[Floats] = []
    categories: list[int] = []
    for variable in variables:
        if variable.is_number:
            sides = [np.asarray(side, dtype=np.float64) for side in (variable.real, variable.synthetic)]
        else:
            categories.append(len(real))
            sides = _pooled_levels(variable, weights)
        digits = [_digits(side) for side in sides] if strict and variable.is_number else []
        for column, target in zip([*sides, *digits], [real, synthetic] * 2, strict=False):
            target.append(column)
    return np.column_stack(real), np.column_stack(synthetic), categories


def coarse(X: Floats, weights: Floats, categories: Sequence[int] = ()) -> Floats:
    """Return numbers in at most 255 bins, as their places, in one pass over the table.

    A value that holds more than 1 % of the weight has a bin of its own; the others are divided into bins of about equal
    weight. Columns of at most 255 different values are only scaled; categories and NaN stay as they are. Trees that bin
    for themselves do so again in every fit, at more than the cost of growing them where rows have weights.

    Parameters
    ----------
    X : float64[n, p]
    weights : float64[n]
    categories : sequence of int
        Columns that are categories.

    Returns
    -------
    float64[n, p]

    Examples
    --------
    >>> rows = np.append(np.zeros(50), np.arange(950.0))[:, None]
    >>> bins = coarse(rows, np.ones(1000))
    >>> len(np.unique(bins)), bins[:2, 0].tolist(), bins[50:53, 0].tolist()
    (253, [0.0, 0.0], [0.0, 1.0, 1.0])
    """
    out = np.array(X, dtype=np.float64)
    for j in sorted(set(range(X.shape[1])) - set(categories)):
        present = ~np.isnan(X[:, j])
        points, place = np.unique(X[present, j], return_inverse=True)
        if len(points) <= MAX_BINS:
            out[:, j] = scaled(out[:, j])
            continue
        mass = np.bincount(place, weights=weights[present])
        is_atom = mass > _ATOM * mass.sum()
        rest = np.where(is_atom, 0.0, mass)
        # An atom opens a bin and the value after it another one.
        level = np.floor((np.cumsum(rest) - rest / 2) * ((MAX_BINS - 1 - 2 * is_atom.sum()) / (rest.sum() or 1.0)))
        opens = is_atom | np.append(False, is_atom[:-1]) | (np.diff(level, prepend=level[0]) > 0)
        out[present, j] = (np.cumsum(opens) - opens[0])[place]
    return out


def _pooled_levels(variable: Variable, weights: Floats) -> list[Floats]:
    """Return codes below 251, the commonest real levels first, NaN where missing."""
    real, synthetic = np.asarray(variable.real, dtype=np.int64), np.asarray(variable.synthetic, dtype=np.int64)
    mass = np.bincount(real + 1, weights=weights, minlength=len(variable.levels) + 1)[1:]
    code = np.full(len(mass) + 1, np.nan)
    code[np.argsort(-mass, kind="stable")] = np.minimum(np.arange(len(mass)), MAX_LEVELS)
    return [code[real], code[synthetic]]


def _digits(values: Floats) -> Floats:
    kinds = [np.isnan(values), values == 0, values != np.round(values)]
    tests = [*kinds, *(np.mod(values, step) == 0 for step in (1000, 100, 10))]
    return np.select(tests, [np.nan, 5.0, 1.0, 4.0, 3.0, 2.0], 0.0)
