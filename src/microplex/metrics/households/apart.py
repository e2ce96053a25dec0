"""Whether a classifier tells synthetic households from real ones, and by what."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from microplex._random import generator, uniforms
from microplex.errors import DataError
from microplex.metrics.classifier import auc, auc_error
from microplex.metrics.groups import row_groups
from microplex.metrics.households.records import GROUP
from microplex.metrics.households.view import Bools, Floats, Ints, View
from microplex.metrics.households.wide import Features, household_features, level_order, member_features
from microplex.metrics.record import Record, undefined
from microplex.metrics.trees import boosting

FOLDS = 5
TREES = {"max_iter": 100, "max_leaf_nodes": 15, "l2_regularization": 1.0}

_Z = 1.959963984540054
_DRAW_STREAM, _PERMUTE_STREAM = 751, 755


@dataclass(frozen=True, eq=False)
class Fold:
    """A classifier of some columns, with the rows that it did not see."""

    model: Any
    columns: Ints
    rows: Floats
    labels: Ints
    weights: Floats
    area: float

    @property
    def share(self) -> float:
        """Weight of the rows."""
        return float(self.weights.sum())


@dataclass(frozen=True, eq=False)
class Apart:
    """A cross-validated classifier between real and synthetic rows.

    Parameters
    ----------
    auc : float
        0.5 where they cannot be told apart, 1 where they always can.
    interval : tuple of float
        Where `auc` lies with 95 % probability if both follow one law.
    names : tuple of str
        Of the features.
    n : int
        Households of the smaller side.
    folds : tuple of Fold
    categories : tuple of int
        Features that are categories.
    """

    auc: float
    interval: tuple[float, float]
    names: tuple[str, ...]
    n: int
    folds: tuple[Fold, ...] = field(repr=False, default=())
    categories: tuple[int, ...] = ()

    def importances(self, seed: int = 0) -> pd.DataFrame:
        """Return by how much the area falls when a feature is shuffled among the rows of a fold.

        Breiman (2001), "Random forests", section 10; mean over the parts. Features that say the same
        share the fall, so that each of them may look harmless.

        Parameters
        ----------
        seed : int

        Returns
        -------
        DataFrame
            feature, importance, "real mean" and "synthetic mean" (weighted, missing ones left out; none of a category),
            the most telling feature first.
        """
        total = sum(fold.share for fold in self.folds)
        falls = np.zeros(len(self.names))
        for number, fold in enumerate(self.folds):
            draw = generator(seed, _PERMUTE_STREAM + number)
            order = draw.permutation(len(fold.rows))
            seen = fold.rows[:, fold.columns]
            for place in np.flatnonzero(_vary(seen)):
                rows = seen.copy()
                rows[:, place] = rows[order, place]
                area = auc(fold.model.predict_proba(rows)[:, 1], fold.labels, fold.weights)
                falls[fold.columns[place]] += (fold.area - area) * fold.share / total
        table = pd.DataFrame({"feature": self.names, "importance": falls, **self._means()})
        return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)

    def _means(self) -> dict[str, Floats]:
        found = {}
        for side, label in (("real", 0), ("synthetic", 1)):
            sums, mass = np.zeros(len(self.names)), np.zeros(len(self.names))
            for fold in self.folds:
                rows, w = fold.rows[fold.labels == label], fold.weights[fold.labels == label]
                known = ~np.isnan(rows)
                sums += w @ np.where(known, rows, 0.0)
                mass += w @ known
            means = np.divide(sums, mass, out=np.full(len(sums), np.nan), where=mass > 0)
            means[list(self.categories)] = np.nan
            found[f"{side} mean"] = means
        return found


def apart_records(real: View, synthetic: View, most: int, seed: int) -> tuple[list[Record], Apart | None]:
    """Return "hh_c2st_auc" and "person_c2st_auc" (ideal 0.5), and the classifier of households.

    Gradient boosting, cross-validated in five parts (Lopez-Paz and Oquab, 2017, "Revisiting classifier two-sample
    tests"); both sides have half of the weight. Equal households share a part, and the members of equal households
    do, because a copy seen in training would be recognised. As many households of each side, since an area grows with
    the rows to learn from. Households are told by `household_features`, members by `member_features`.

    Parameters
    ----------
    real, synthetic : View
    most : int
        Households of each side; of more some are drawn at random, with their weights.
    seed : int

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    size = min(most, *(int((view.weights > 0).sum()) for view in (real, synthetic)))
    views = [_drawn(view, size, seed, _DRAW_STREAM + place) for place, view in enumerate((real, synthetic))]
    order = level_order(real, synthetic)
    wide = [household_features(view, order) for view in views]
    groups = row_groups(np.vstack([features.values for features in wide]))
    weights = [view.weights for view in views]
    detail = f"{size:,} households of each side in {FOLDS} parts, equal ones in one"
    try:
        households = tell_apart(wide[0], wide[1], weights[0], weights[1], groups)
        long = [member_features(view, order) for view in views]
        homes = np.concatenate([views[0].home, views[1].home + views[0].n])
        mass = [view.member_weights for view in views]
        members = tell_apart(long[0], long[1], mass[0], mass[1], groups[homes])
    except DataError as error:
        return [undefined(name, GROUP, (), str(error)) for name in ("hh_c2st_auc", "person_c2st_auc")], None
    made = partial(Record, group=GROUP, variables=(), ideal=0.5, detail=detail, n=households.n)
    return [
        made("hh_c2st_auc", value=households.auc, interval=households.interval),
        made("person_c2st_auc", value=members.auc, interval=members.interval),
    ], households


def tell_apart(real: Features, synthetic: Features, a: Floats, b: Floats, groups: Ints) -> Apart:
    """Cross-validate a classifier between two tables; groups of rows share a part, in order of appearance.

    Parameters
    ----------
    real, synthetic : Features
    a, b : float64[n]
        Weights.
    groups : int64[n_real + n_synthetic]
        Numbered in a random order that the rows have.

    Returns
    -------
    Apart

    Raises
    ------
    DataError
        If a side has fewer than ten rows, or no part has rows of both.

    Examples
    --------
    >>> rows = np.arange(100.0)[:, None]
    >>> real, synthetic = Features(("x",), rows, ()), Features(("x",), rows + 1000, ())
    >>> tell_apart(real, synthetic, np.ones(100), np.ones(100), np.arange(200)).auc
    1.0
    """
    least = min(len(real.values), len(synthetic.values))
    if least < 2 * FOLDS:
        raise DataError(f"a classifier in {FOLDS} parts needs {2 * FOLDS} households a side; got {least}")
    X = np.vstack([real.values, synthetic.values])
    y = np.repeat([0, 1], [len(a), len(b)])
    w = np.concatenate([a / a.sum(), b / b.sum()]) * len(X) / 2
    part = _parts(groups, y)
    folds, errors = [], []
    for number in range(FOLDS):
        test = part == number
        if min(w[chosen & (y == side)].sum() for chosen in (test, ~test) for side in (0, 1)) <= 0:
            continue
        # A column that is missing, or the same, in all rows to learn from can tell nothing.
        columns = np.flatnonzero(_vary(X[~test]))
        if not len(columns):
            raise DataError("nothing varies between the rows")
        seen = X[:, columns]
        categories = np.flatnonzero(np.isin(columns, real.categories)).tolist()
        model = boosting("Classifier", categories, seen, **TREES).fit(seen[~test], y[~test], sample_weight=w[~test])
        scores = model.predict_proba(seen[test])[:, 1]
        folds.append(Fold(model, columns, X[test], y[test], w[test], auc(scores, y[test], w[test])))
        errors.append(auc_error(scores, y[test], w[test], np.unique(groups[test], return_inverse=True)[1]))
    if not folds:
        raise DataError("no part has rows of both sides; are nearly all households equal?")
    share = np.array([fold.share for fold in folds]) / sum(fold.share for fold in folds)
    area = float(share @ np.array([fold.area for fold in folds]))
    # Twice the variance of independent areas, as in `two_sample_test`.
    error = float(np.sqrt(2 * (share**2 @ np.array(errors) ** 2)))
    return Apart(
        area, (max(0.0, 0.5 - _Z * error), min(1.0, 0.5 + _Z * error)), real.names, least, tuple(folds), real.categories
    )


def _drawn(view: View, most: int, seed: int, stream: int) -> View:
    """Return at most so many households that count, in random order."""
    u = uniforms(seed, view.keys, stream, 1)[0]
    rows = np.flatnonzero(view.weights > 0)
    return view.take(rows[np.argsort(u[rows], kind="stable")][:most])


def _parts(groups: Ints, labels: Ints) -> Ints:
    """Deal the groups in turn, so that every part has about as many rows of each side as any other."""
    number = np.unique(groups, return_inverse=True)[1]
    sizes = np.column_stack([np.bincount(number, weights=labels == side) for side in (0, 1)])
    parts = np.empty(len(sizes), dtype=np.int64)
    for chosen in (sizes[:, 0] >= sizes[:, 1], sizes[:, 0] < sizes[:, 1]):
        rows = np.flatnonzero(chosen)
        counts = sizes[rows].sum(axis=1)
        middle = np.cumsum(counts) - counts / 2
        parts[rows] = np.minimum(middle * FOLDS / max(counts.sum(), 1), FOLDS - 1).astype(np.int64)
    return parts[number]


def _vary(rows: Floats) -> Bools:
    """Return which columns have two values, missing being one."""
    first = rows[:1]
    return np.asarray((~((rows == first) | (np.isnan(rows) & np.isnan(first)))).any(axis=0))
