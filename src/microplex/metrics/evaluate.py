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
_SPLITS = 200
_FLOORS = (
    "Floor: one half of the real table against the other; half the rows make it about 1.4 times larger.",
    "Floor: training rows against holdout rows, at the sizes of the synthetic and the real table.",
)
_SAMPLED = (
    "Drawn from each table: {rows:,} rows for classifiers and {learnt:,} for distances between joint laws, by weight; "
    "{learnt:,} to learn predictions and four times as many to test them; 5,000 real rows and their neighbours among "
    "20,000 for conditional ensembles; {rows:,} rows and ten times as many to search for closest records and attacks. "
    "All other measures take every row."
)


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
        Rows of each table that enter classifiers, drawn by weight, and distances to the closest record, at random, with
        ten times as many to search; distances between joint laws take at most 2,500 drawn by weight, predictions 2,500
        to learn from and 10,000 to test, conditional ensembles 5,000 real rows and 20,000 of each table to search. All
        other measures take every row.
    seed : int
        Of samples and folds, which also depend on the order of the rows.

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
    both = pair(real, synthetic, columns, weight_col).counting()
    sizes = {"real": len(both.real_weights), "synthetic": len(both.synthetic_weights)}
    records = _measured(both, conditions, targets, max_rows, _SPLITS, seed)
    held = None if train is None or holdout is None else (train, holdout)
    floor_pair = _floor_pair(both, held, weight_col, sizes, seed)
    records = judged(records, _measured(floor_pair, conditions, targets, max_rows, 0, seed))
    del floor_pair
    trained = None if train is None else pair(train, synthetic, columns, weight_col)
    test = None if held is None else pair(held[1], synthetic, columns, weight_col)
    learnt = both if trained is None or test is None else trained.counting()
    del both
    predicted = targets if predictions and len(columns) > 1 else []
    tested = None if test is None else test.counting()
    records += utility_records(learnt, tested, predicted, regressions, min(max_rows, _LEARNT), seed)
    if trained is not None:
        most = min(max_rows, len(trained.synthetic_weights))
        records += privacy_records(trained, test, targets, sensitive, None, quasi_identifiers, most, seed)
    notes = [_FLOORS[held is not None]]
    if max(sizes.values()) > max_rows:
        notes.append(_SAMPLED.format(rows=max_rows, learnt=min(max_rows, _LEARNT)))
    return Evaluation(tuple(records), tuple(conditions), tuple(targets), sizes, tuple(notes))


def _roles(
    real: Frame, condition_vars: Sequence[str], target_vars: Sequence[str] | None, weight_col: str | None
) -> tuple[list[str], list[str]]:
    names = [name for name in column_names(real) if name != weight_col]
    for role, given in (("condition_vars", condition_vars), ("target_vars", target_vars)):
        if isinstance(given, str):
            raise ParameterError(f"{role} must be a list of names; got the text {given!r}. Write [{given!r}].")
    conditions = list(condition_vars)
    check_columns(names, conditions, "condition")
    targets = [name for name in names if name not in conditions] if target_vars is None else list(target_vars)
    check_columns(names, targets, "target")
    both = sorted(set(conditions) & set(targets))
    if both or not targets:
        said = f"{', '.join(both)} stand in both" if both else "there is no target"
        raise ParameterError(f"condition_vars and target_vars must be different variables of the table; {said}.")
    return conditions, targets


def _measured(
    both: Pair, conditions: list[str], targets: list[str], max_rows: int, splits: int, seed: int
) -> list[Record]:
    """Return all records but those of utility and privacy; the floor needs no splits, which give intervals."""
    own = both.select(targets)
    records = marginal_records(own) + tail_records(own) + joint_records(both, targets, seed=seed)
    if conditions:
        records += conditional_records(both, conditions, targets, seed=seed)
    records += distances_records(both, max_rows=min(max_rows, _LEARNT), permutations=splits, seed=seed)
    return records + classifier_records(both, conditions, max_rows=max_rows, seed=seed)


def _floor_pair(
    both: Pair, held: tuple[Frame, Frame] | None, weight_col: str | None, sizes: dict[str, int], seed: int
) -> Pair:
    """Return two real tables of the sizes of the real and the synthetic one, at most."""
    if held is not None:
        return _sized(pair(*held, both.names, weight_col).counting(), sizes["synthetic"], sizes["real"], seed)
    order = generator(seed, _STREAM).permutation(len(both.real_weights))
    middle = max(1, len(order) // 2)
    halves = [order[:middle], order[middle:] if len(order) > 1 else order]
    sides = tuple(Variable(v.name, v.kind, v.real[halves[0]], v.real[halves[1]], v.levels) for v in both.variables)
    whole = Pair(sides, both.real_weights[halves[0]], both.real_weights[halves[1]], weight_col is not None)
    return _sized(whole, sizes["synthetic"], sizes["real"], seed)


def _sized(both: Pair, synthetic: int, real: int, seed: int) -> Pair:
    """Return training rows in the part of the synthetic ones, and holdout rows as the real ones, at most as many."""
    draw = generator(seed, _STREAM + 1)

    def some(available: int, wanted: int) -> Ints | slice:
        chosen = draw.permutation(available)
        return slice(None) if wanted >= available else np.sort(chosen[:wanted]).astype(np.intp)

    train, holdout = some(len(both.real_weights), synthetic), some(len(both.synthetic_weights), real)
    sides = tuple(Variable(v.name, v.kind, v.synthetic[holdout], v.real[train], v.levels) for v in both.variables)
    return Pair(sides, both.synthetic_weights[holdout], both.real_weights[train], both.weighted)
