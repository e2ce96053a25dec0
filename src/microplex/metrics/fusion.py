"""A fused file against the holdout of every source: within each source, and across sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._random import generator
from microplex._validation import check_columns, check_seed
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import Frame, check_frame, column_names, select
from microplex.metrics.evaluate import evaluate
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.joint import correlation_matrix, ranks
from microplex.metrics.pair import Pair, pair
from microplex.metrics.record import Record
from microplex.metrics.trees import features, fitted
from microplex.survey import ess

Floats = NDArray[np.float64]

HEADLINES = ("coverage", "c2st_auc", "energy", "spearman_rms")
MAIN = {
    "ks": ("distance of numbers", "largest gap between the distribution functions, mean of all numbers; 0 is best"),
    "tvd": ("distance of categories", "share of rows in another category, mean of all categories; 0 is best"),
    "spearman_rms": ("distance of rank correlations", "between the numbers of this source; 0 is best"),
    "c2st_auc": ("classifier's AUC", "how well trees tell fused from real rows; 0.5 is a coin"),
    "coverage": ("coverage", "share of real rows with a fused row nearby; higher is better"),
}
_SHOWN = 8
_STREAM, _FOLD_STREAM = 780, 779
_FOLDS = 5
_FLAT = 1e-9
_SMALL = {"max_iter": 80, "learning_rate": 0.08, "max_leaf_nodes": 8}


@dataclass(frozen=True)
class CrossDependence:
    """Rank correlation of two numbers that no holdout observes together.

    Parameters
    ----------
    variables : tuple of str
    sources : tuple of str
        The holdout of each.
    value : float
        In the synthetic rows.
    implied : float
        What the common variables of the two holdouts, numbers and categories, imply if what they leave of the two
        numbers is unrelated: from predictions of the ranks of each by boosted trees, learnt where it is observed.
    error : float
        Standard error of the difference: of drawing rows of all three tables again, the trees left as they are.
    """

    variables: tuple[str, str]
    sources: tuple[str, str]
    value: float
    implied: float
    error: float


@dataclass(frozen=True, eq=False)
class FusionEvaluation:
    """Measures of a fused file against each source, and of what no source observes together.

    Parameters
    ----------
    sources : dict of str to Evaluation
        All measures on the variables of each holdout, each beside what fresh rows of that source score.
    cross : tuple of CrossDependence
        Dependence that no holdout can check.
    """

    sources: dict[str, Evaluation]
    cross: tuple[CrossDependence, ...]

    def select(self, source: str, measure: str) -> tuple[Record, ...]:
        """Return the records of a measure for a source.

        Raises
        ------
        ParameterError
            If there is no such source.
        """
        if source not in self.sources:
            raise ParameterError(f"no holdout is called {source!r}.{near_miss(source, self.sources)}")
        return self.sources[source].select(measure=measure)

    def coverage(self) -> dict[str, float]:
        """Return the coverage of each source's holdout as a share of that between two halves of it."""
        found = {}
        for source in self.sources:
            record = self.select(source, "coverage")[0]
            found[source] = record.value / record.floor if record.defined else float("nan")
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return one row a measure of a source, as `Evaluation.frame` with the source before it."""
        tables = [found.frame.assign(source=source) for source, found in self.sources.items()]
        table = pd.concat(tables, ignore_index=True)
        return table[["source", *(name for name in table if name != "source")]]

    def cross_frame(self) -> pd.DataFrame:
        """Return one row a pair of variables that no source observes together."""
        columns = ("x", "y", "x source", "y source", "synthetic", "implied", "error")
        rows = [(*c.variables, *c.sources, c.value, c.implied, c.error) for c in self.cross]
        return pd.DataFrame(rows, columns=list(columns))

    def main_frame(self) -> pd.DataFrame:
        """Return the main measures of each source: how far the fused rows are from it, and how far fresh rows would be.

        Distances of single variables are means over the variables. What is not defined is left out.
        """
        rows = []
        for source in self.sources:
            for measure, (name, words) in MAIN.items():
                found = [r for r in self.select(source, measure) if r.defined and np.isfinite(r.floor)]
                if found:
                    value, floor = (float(np.mean([getattr(r, of) for r in found])) for of in ("value", "floor"))
                    rows.append((source, name, value, floor, words))
        return pd.DataFrame(rows, columns=["source", "measure", "fused rows", "fresh rows", "meaning"])

    def to_html(self) -> str:
        """Return the main measures of each source and the dependence across sources as HTML, to be put in a page."""
        parts = []
        main = self.main_frame()
        for source, table in main.groupby("source", sort=False):
            shown = table.drop(columns="source").to_html(index=False, float_format=_three, border=0)
            parts.append(f"<h3>{escape(str(source))}</h3>\n{shown}")
        if self.cross:
            table = self.cross_frame().rename(columns={"synthetic": "fused rows", "error": "+-"})
            shown = table.to_html(index=False, float_format=_three, na_rep="not defined", border=0)
            parts.append(
                f"<h3>Rank correlations that no source observes</h3>\n{shown}\n<p>Implied: by the common variables of "
                "the two sources, if what these leave open is unrelated. +-: standard error of the difference.</p>"
            )
        return "\n".join(parts)

    def __str__(self) -> str:
        """Say the verdict on each source, then the strongest dependence across sources."""
        lines = []
        for source, found in self.sources.items():
            judged = [word for word in found.verdicts if word in ("as real", "near", "off")]
            share = judged.count("as real") / max(len(judged), 1)
            heads = [
                f"{r.measure} {r.value:.3f} (fresh {r.floor:.3f})" for m in HEADLINES for r in found.select(measure=m)
            ]
            lines.append(f"{source}: {share:.0%} of {len(judged)} measures as good as fresh rows; {', '.join(heads)}")
        if self.cross:
            one = len(self.cross) == 1
            pairs = "1 pair of numbers is" if one else f"{len(self.cross)} pairs of numbers are"
            lines.append(f"{pairs} observed together by no source{'' if one else '; the strongest'}:")
            for c in sorted(self.cross, key=lambda c: -abs(c.value))[:_SHOWN]:
                lines.append(
                    f"  {c.variables[0]}, {c.variables[1]}: rank correlation {c.value:.3f}, "
                    f"{c.implied:.3f} +- {c.error:.3f} implied by the common variables"
                )
        return "\n".join(lines)


def evaluate_fusion(
    synthetic: Frame,
    holdouts: Mapping[str, Frame],
    weight_col: str | Mapping[str, str] | None = None,
    *,
    condition_vars: Sequence[str] = (),
    max_rows: int = 6_000,
    seed: int = 0,
) -> FusionEvaluation:
    """Judge a fused file by rows of every source that no model has seen.

    Parameters
    ----------
    synthetic : data frame
        The fused rows.
    holdouts : mapping of str to data frame
        For each source rows that were kept apart; the variables that the fused file has too are compared.
    weight_col : str or mapping of str to str, optional
        Survey weights of all holdouts, or of each; a synthetic table without this column has equal ones.
    condition_vars : sequence of str
        Variables that the fused rows took from real ones.
    max_rows, seed
        As for `evaluate`.

    Returns
    -------
    FusionEvaluation

    Raises
    ------
    DataError, ColumnNotFoundError, ParameterError
        If there is no holdout, or one shares no variable with the fused file.
    ImportError
        If scikit-learn is not installed: ``pip install "microplex[report]"``.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> real = pd.DataFrame({"age": draw.integers(20, 60, 300), "wages": draw.lognormal(10, 1, 300), "rent": 1.0})
    >>> found = evaluate_fusion(real, {"cps": real[["age", "wages"]], "acs": real[["age", "rent"]]})
    >>> [(c.variables, c.sources) for c in found.cross]
    [(('wages', 'rent'), ('cps', 'acs'))]
    """
    seed = check_seed(seed)
    check_frame(synthetic)
    if not isinstance(holdouts, Mapping) or not holdouts:
        raise ParameterError('holdouts must map sources to tables, such as {"cps": ..., "acs": ...}.')
    weights = {s: weight_col.get(s) if isinstance(weight_col, Mapping) else weight_col for s in holdouts}
    for source in weight_col if isinstance(weight_col, Mapping) else ():
        check_columns(list(holdouts), [source], "weight_col: source")
    have, evaluations, pairs = column_names(synthetic), {}, {}
    for source, holdout in holdouts.items():
        check_frame(holdout)
        weight = weights[source]
        if weight is not None:
            check_columns(column_names(holdout), [weight], f"weight of holdout {source!r}:")
        names = [name for name in column_names(holdout) if name in have and name != weight]
        if not names:
            raise DataError(f"holdout {source!r} shares no variable with the fused file, which has {', '.join(have)}.")
        given = [name for name in condition_vars if name in names]
        kept = [*names, *([weight] if weight in have else [])]
        drawn = select(synthetic, [str(name) for name in kept])
        real = select(holdout, [*names, *([weight] if weight is not None else [])])
        evaluations[source] = evaluate(
            real, drawn, given, [v for v in names if v not in given], weight,
            predictions=False, max_rows=max_rows, seed=seed,
        )  # fmt: skip
        pairs[source] = pair(real, drawn, names, weight)
    return FusionEvaluation(evaluations, _cross(holdouts, pairs, max_rows, seed))


def _cross(
    holdouts: Mapping[str, Frame], pairs: Mapping[str, Pair], max_rows: int, seed: int
) -> tuple[CrossDependence, ...]:
    """Every two numbers of which no holdout has both, the first holdout of each."""
    numbers = {source: [v.name for v in both.variables if v.is_number] for source, both in pairs.items()}
    home: dict[str, str] = {}
    for source, names in numbers.items():
        for name in names:
            home.setdefault(name, source)
    samples = {
        source: np.sort(generator(seed, _STREAM + place).permutation(len(both.real_weights))[:max_rows])
        for place, (source, both) in enumerate(pairs.items())
    }
    learnt: dict[tuple[str, str], _Learnt] = {}
    found = []
    for x, y in combinations(home, 2):
        if any(x in names and y in names for names in numbers.values()):
            continue
        for name, other in ((x, home[y]), (y, home[x])):
            if (name, other) not in learnt:
                learnt[name, other] = _learn(name, home[name], other, holdouts, pairs, samples, seed)
        value, spread = _drawn(pairs[home[x]], pairs[home[y]], x, y)
        implied, error = _implied(learnt[x, home[y]], learnt[y, home[x]])
        found.append(CrossDependence((x, y), (home[x], home[y]), value, implied, float(np.hypot(error, spread))))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Learnt:
    """Mid-ranks of a number, and what the common variables say of them, in its holdout and in another.

    `rows` are the places of its values among the rows of its holdout that are looked at; `own` are predictions by trees
    that did not see the row, `other` those for the rows of the other holdout.
    """

    ranks: Floats
    weights: Floats
    rows: NDArray[np.intp]
    own: Floats
    other: Floats


def _learn(
    name: str,
    source: str,
    other: str,
    holdouts: Mapping[str, Frame],
    pairs: Mapping[str, Pair],
    samples: Mapping[str, NDArray[np.intp]],
    seed: int,
) -> _Learnt:
    """Predict the ranks of a number from all that two holdouts have in common, in both, by cross-fitted trees."""
    both, chosen = pairs[source], samples[source]
    rows = np.flatnonzero(both[name].present("real")[chosen])
    kept = chosen[rows]
    weights = both.real_weights[kept]
    own, elsewhere = np.full(len(kept), 0.5), np.full(len(samples[other]), 0.5)
    if not weights.any():
        return _Learnt(own, weights, rows, own, elsewhere)
    ranked = ranks(np.asarray(both[name].real, dtype=np.float64)[kept], weights)
    common = [v for v in both.names if v in pairs[other].names]
    if not common or len(kept) < _FOLDS:
        return _Learnt(ranked, weights, rows, own, elsewhere)
    shared = pair(select(holdouts[source], common), select(holdouts[other], common), common)
    X, Z, categories = features(shared.rows(kept, samples[other]).variables, weights)
    elsewhere = np.zeros(len(Z))
    fold = generator(seed, _FOLD_STREAM).permutation(len(kept)) % _FOLDS
    for number in range(_FOLDS):
        rest = np.where(fold == number, 0.0, weights)
        if not rest.any():
            rest = weights
        trees = fitted("Regressor", categories, X, ranked, rest, **_SMALL)
        own[fold == number] = trees.predict(X[fold == number])
        elsewhere += trees.predict(Z) / _FOLDS
    return _Learnt(ranked, weights, rows, own, elsewhere)


def _implied(x: _Learnt, y: _Learnt) -> tuple[float, float]:
    """Rank correlation of x and y if what the common variables leave of them is unrelated, and its standard error.

    The covariance of the two predictions, in the rows of both holdouts; plus that of what is left of each with the
    prediction of the other, in its own holdout. This makes the error of the sum the product of the errors of the two
    predictions (the one-step estimator of Chernozhukov et al., 2018). The standard error is linearised: it is what
    drawing the rows of both holdouts again would give, the trees left as they are.
    """
    if not (x.weights.any() and y.weights.any()):
        return float("nan"), float("nan")
    sizes = [ess(side.weights) for side in (x, y)]
    value, variance, scale = 0.0, 0.0, 1.0
    for side, expected, size in ((x, y.other[x.rows], sizes[0]), (y, x.other[y.rows], sizes[1])):
        share = side.weights / side.weights.sum()
        rank, own, expected = (part - share @ part for part in (side.ranks, side.own, expected))
        terms = (rank - size / sum(sizes) * own) * expected
        value += float(share @ terms)
        variance += float(share**2 @ (terms - share @ terms) ** 2)
        scale *= float(np.sqrt(share @ rank**2))
    if scale < _FLAT:
        return 0.0, 0.0
    return float(np.clip(value / scale, -1.0, 1.0)), float(np.sqrt(variance)) / scale


def _drawn(a: Pair, b: Pair, x: str, y: str) -> tuple[float, float]:
    """Rank correlation of x and y in the synthetic rows, and its standard error, the ranks left as they are."""
    weights = a.synthetic_weights
    columns = np.column_stack([ranks(side[name].synthetic, weights) for side, name in ((a, x), (b, y))])
    value = float(correlation_matrix(columns, weights)[0, 1])
    used = ~np.isnan(columns).any(axis=1) & (weights > 0)
    if np.isnan(value) or not used.any():
        return value, float("nan")
    share = weights[used] / weights[used].sum()
    z = columns[used] - share @ columns[used]
    z = z / np.sqrt(share @ z**2)
    terms = z[:, 0] * z[:, 1] - 0.5 * value * (z**2).sum(axis=1)
    return value, float(np.sqrt(share**2 @ terms**2))


def _three(value: float) -> str:
    return f"{value:.3f}"
