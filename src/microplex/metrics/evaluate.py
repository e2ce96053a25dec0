"""One call for all measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from microplex._random import generator
from microplex._validation import check_columns, check_seed
from microplex.errors import ParameterError
from microplex.frames import Frame, column_names
from microplex.metrics.classifier import classifier_records
from microplex.metrics.conditional import conditional_records
from microplex.metrics.distances import distances_records
from microplex.metrics.evaluation import Evaluation, judged
from microplex.metrics.joint import joint_records
from microplex.metrics.marginal import marginal_records
from microplex.metrics.pair import Pair, Variable, pair
from microplex.metrics.privacy import privacy_records
from microplex.metrics.record import Record
from microplex.metrics.tails import tail_records
from microplex.metrics.utility import Regression, utility_records

Ints = NDArray[np.intp]

_STREAM = 721
_LEARNT = 2_500


def evaluate(
    real: Frame,
    synthetic: Frame,
    condition_vars: Sequence[str] = (),
    target_vars: Sequence[str] | None = None,
    weight_col: str | None = None,
    train: Frame | None = None,
    holdout: Frame | None = None,
    *,
    sensitive: Sequence[str] = (),
    quasi_identifiers: Sequence[str] = (),
    regressions: Sequence[Regression] = (),
    predictions: bool = True,
    max_rows: int = 6_000,
    seed: int = 0,
) -> Evaluation:
    """Measure synthetic against real data, each figure beside what fresh real rows score.

    Parameters
    ----------
    real : data frame
        What the synthetic rows should be like: best rows that the model has not seen.
    synthetic : data frame
    condition_vars : sequence of str
        Variables that the synthetic rows took from real ones.
    target_vars : sequence of str, optional
        Variables that were synthesised; all others by default.
    weight_col : str, optional
        Survey weights; a synthetic table without this column has equal ones.
    train, holdout : data frame, optional
        Real rows that the model was fitted to, and others. They give the privacy measures, and the floor: the same
        measures of one against the other, at the sizes of `synthetic` and `real`. Without both, the floor is that of
        two halves of `real`.
    sensitive : sequence of str
        Variables that an intruder would like to know (attribute inference).
    quasi_identifiers : sequence of str
        Variables by which people could be recognised (k-anonymity, l-diversity).
    regressions : sequence of Regression
        Whose coefficients and confidence intervals to compare.
    predictions : bool
        Whether to train on synthetic and test on real rows, a model a target: the slowest part.
    max_rows : int
        Rows of each table that enter classifiers and distances to the closest record, drawn by weight; distances
        between joint laws take at most 2,500 and predictions 2,500 to learn from. All other measures take every row.
    seed : int
        Of samples and folds.

    Returns
    -------
    Evaluation

    Raises
    ------
    ColumnNotFoundError, DataError
        If a column is missing or of another type in the other table, or a table is empty.
    ParameterError
        If there is no target, a variable is condition and target, or there is a holdout without train.
    ImportError
        If scikit-learn is not installed: ``pip install "microplex[report]"``.

    Examples
    --------
    >>> import pandas as pd
    >>> draw = np.random.default_rng(0)
    >>> real = pd.DataFrame({"age": draw.integers(20, 60, 400), "wages": draw.lognormal(10, 1, 400)})
    >>> evaluation = evaluate(real, real.sample(frac=1.0, random_state=1), ["age"])
    >>> next(r.value for r in evaluation.records if r.measure == "ks" and r.variables == ("wages",))
    0.0
    """
    seed = check_seed(seed)
    if holdout is not None and train is None:
        raise ParameterError("a holdout says nothing without train, the rows that the model was fitted to.")
    conditions, targets = _roles(real, condition_vars, target_vars, weight_col)
    columns = [*conditions, *targets]
    both = pair(real, synthetic, columns, weight_col)
    notes = []
    if train is not None and holdout is not None:
        real_pair = pair(train, holdout, columns, weight_col)
        notes.append("Floor: training rows against holdout rows, at the sizes of the synthetic and the real table.")
    else:
        real_pair = _halves(pair(real, real, columns, weight_col), seed)
        notes.append(
            "Floor: one half of the real table against the other; half the rows make it about 1.4 times larger."
        )
    floor_pair = _sized(real_pair, len(both.synthetic_weights), len(both.real_weights), seed)
    records = _measured(both, conditions, targets, max_rows, seed)
    records = judged(records, _measured(floor_pair, conditions, targets, max_rows, seed))
    test = pair(holdout, synthetic, columns, weight_col) if train is not None and holdout is not None else None
    learnt = both if test is None else pair(train, synthetic, columns, weight_col)
    predicted = targets if predictions and len(columns) > 1 else []
    records += utility_records(learnt, test, predicted, regressions, min(max_rows, _LEARNT), seed)
    if train is not None:
        records += privacy_records(
            pair(train, synthetic, columns, weight_col),
            test,
            targets,
            sensitive,
            None,
            quasi_identifiers,
            min(max_rows, len(both.synthetic_weights)),
            seed,
        )
    sizes = {"real": len(both.real_weights), "synthetic": len(both.synthetic_weights)}
    if max(sizes.values()) > max_rows:
        notes.append(f"Classifiers, neighbour ensembles and closest records: {max_rows:,} rows of each table.")
    return Evaluation(tuple(records), tuple(conditions), tuple(targets), sizes, tuple(notes))


def _roles(
    real: Frame, condition_vars: Sequence[str], target_vars: Sequence[str] | None, weight_col: str | None
) -> tuple[list[str], list[str]]:
    names = [name for name in column_names(real) if name != weight_col]
    conditions = list(condition_vars)
    check_columns(names, conditions, "condition")
    targets = [name for name in names if name not in conditions] if target_vars is None else list(target_vars)
    check_columns(names, targets, "target")
    both = sorted(set(conditions) & set(targets))
    if both or not targets:
        said = f"{', '.join(both)} stand in both" if both else "there is no target"
        raise ParameterError(f"condition_vars and target_vars must be different variables of the table; {said}.")
    return conditions, targets


def _measured(both: Pair, conditions: list[str], targets: list[str], max_rows: int, seed: int) -> list[Record]:
    own = both.select(targets)
    records = marginal_records(own) + tail_records(own) + joint_records(both, targets, seed=seed)
    if conditions:
        records += conditional_records(both, conditions, targets, seed=seed)
    records += distances_records(both, max_rows=min(max_rows, _LEARNT), seed=seed)
    return records + classifier_records(both, conditions, max_rows=max_rows, seed=seed)


def _halves(whole: Pair, seed: int) -> Pair:
    order = generator(seed, _STREAM).permutation(len(whole.real_weights))
    middle = max(1, len(order) // 2)
    return whole.rows(order[:middle], order[middle:] if len(order) > 1 else order)


def _sized(both: Pair, synthetic: int, real: int, seed: int) -> Pair:
    """Return training rows in the part of the synthetic ones, and holdout rows as the real ones, at most as many."""
    draw = generator(seed, _STREAM + 1)

    def some(available: int, wanted: int) -> Ints:
        return np.sort(draw.permutation(available)[:wanted]).astype(np.intp)

    train, holdout = some(len(both.real_weights), synthetic), some(len(both.synthetic_weights), real)
    sides = tuple(Variable(v.name, v.kind, v.synthetic[holdout], v.real[train], v.levels) for v in both.variables)
    return Pair(sides, both.synthetic_weights[holdout], both.real_weights[train])
