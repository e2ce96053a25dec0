"""Attacks on synthetic rows as arrays: closest records, membership, guesses of a sensitive value, small cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microplex._random import generator
from microplex.errors import DataError
from microplex.metrics.classifier import auc, auc_error
from microplex.metrics.groups import row_groups
from microplex.metrics.neighbours import nearest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Interval = tuple[float, float]

NEAR = 0.01
CLOSE_GUESS = 0.05
SMALL_CELL = 5

_Z = 1.959963984540054
_STREAM = 739
_TIE = 1e-9


@dataclass(frozen=True)
class Closeness:
    """How near synthetic rows are to training rows, beside an equal number of holdout rows.

    Parameters
    ----------
    share : float
        Share of synthetic rows whose nearest real row is a training row, ties half; 0.5 is ideal, more is memory.
    interval : tuple of float
        Where `share` lies with 95 % probability if training and holdout rows could be exchanged.
    ratio : float
        Median distance to the nearest training row over that to the nearest holdout row; 1 is ideal, less is memory.
        NaN where both medians are 0.
    """

    share: float
    interval: Interval
    ratio: float


@dataclass(frozen=True)
class Attack:
    """How well an attack tells training rows from others.

    Parameters
    ----------
    auc : float
        0.5 where it cannot.
    interval : tuple of float
        Where `auc` lies with 95 % probability if it cannot.
    caught : float
        Share of training rows that score above all but 1 % of the holdout rows; 0.01 is ideal.
    caught_interval : tuple of float
        Where `caught` lies with 95 % probability if the attack cannot tell.
    """

    auc: float
    interval: Interval
    caught: float
    caught_interval: Interval


def closest_record(synthetic: Floats, train: Floats, holdout: Floats, seed: int = 0) -> Closeness:
    """Compare the distance to the closest training record (DCR) with that to the closest holdout record.

    The larger of the two real tables is cut to the size of the smaller, at random. Under exchange of training and
    holdout rows each real row is of either kind by the toss of a coin, which all synthetic rows nearest to it share;
    the interval is 0.5 plus or minus 1.96 sqrt(sum c^2 / 4) / n with c the synthetic rows nearest to one real row: the
    binomial interval where all c are 1. Platzer and Reutterer (2021), "Holdout-based empirical assessment of
    mixed-type synthetic data".

    Parameters
    ----------
    synthetic, train, holdout : float64[n, d]
        Points on one scale (`neighbours.embed_columns`).
    seed : int

    Returns
    -------
    Closeness

    Examples
    --------
    >>> train, holdout = np.array([[0.0], [4.0]]), np.array([[1.0], [9.0]])
    >>> closest_record(np.array([[0.0], [4.1], [8.0], [8.5]]), train, holdout).share
    0.5
    """
    size = min(len(train), len(holdout))
    random = generator(seed, _STREAM)
    train, holdout = (rows[np.sort(random.permutation(len(rows))[:size])] for rows in (train, holdout))
    near, far = nearest(synthetic, train), nearest(synthetic, holdout)
    a, b = near[0][:, 0], far[0][:, 0]
    tied = np.abs(a - b) <= _TIE
    wins = np.where(tied, 0.5, a < b)
    winner = np.where(a < b, near[1][:, 0], size + far[1][:, 0])[~tied]
    half = _Z * float(np.sqrt((np.bincount(winner, minlength=1) ** 2).sum() / 4)) / len(a)
    middle = float(np.median(a)), float(np.median(b))
    ratio = middle[0] / middle[1] if middle[1] > 0 else (float("nan") if middle[0] == 0 else float("inf"))
    return Closeness(float(wins.mean()), (max(0.0, 0.5 - half), min(1.0, 0.5 + half)), ratio)


def membership_attack(synthetic: Floats, train: Floats, holdout: Floats, seed: int = 0) -> Attack:
    """Guess which real rows were trained on from how near synthetic rows are to them.

    Half of the holdout is the attacker's own sample of the population (the shadow data); the other half and as many
    training rows are attacked. The score of a row is log(distance to the nearest shadow row) minus log(distance to
    the nearest synthetic row): nearer to the synthetic table than a population would be. After Shokri, Stronati, Song
    and Shmatikov (2017) and, for distances, Hilprecht, Härterich and Bernau (2019); the share caught at 1 % false
    alarms after Carlini et al. (2022), "Membership inference attacks from first principles". Identical rows count as
    one observation in the interval (`classifier.auc_error`).

    Parameters
    ----------
    synthetic, train, holdout : float64[n, d]
        At least four holdout rows.
    seed : int

    Returns
    -------
    Attack

    Raises
    ------
    DataError
        If there are fewer than four holdout rows.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(300, 4))
    >>> membership_attack(rows[:100], rows[:100], rows[100:]).auc
    1.0
    """
    if len(holdout) < 4:
        raise DataError(f"a membership attack needs 4 holdout rows; got {len(holdout)}.")
    random = generator(seed, _STREAM + 1)
    order = random.permutation(len(holdout))
    shadow, others = holdout[order[: len(order) // 2]], holdout[order[len(order) // 2 :]]
    members = train[np.sort(random.permutation(len(train))[: len(others)])]
    rows = np.vstack([members, others])
    is_member = np.arange(len(rows)) < len(members)
    floor = 1e-6
    to_synthetic, to_shadow = (np.maximum(nearest(rows, table)[0][:, 0], floor) for table in (synthetic, shadow))
    score = np.log(to_shadow) - np.log(to_synthetic)
    area = auc(score, is_member)
    error = auc_error(score, is_member, np.ones(len(rows)), row_groups(rows))
    limit = np.quantile(score[~is_member], 1 - NEAR, method="higher")
    caught, alarms = float((score[is_member] > limit).mean()), float((score[~is_member] > limit).mean())
    spread = difference_interval(alarms, caught, len(others), len(members))
    return Attack(area, (max(0.0, 0.5 - _Z * error), min(1.0, 0.5 + _Z * error)), caught, spread)


def guesses(
    known_synthetic: Floats, sensitive: NDArray[np.generic], known: Floats, truth: NDArray[np.generic], is_number: bool
) -> Bools:
    """Guess a sensitive value by the nearest synthetic row in what is known; say which guesses are right.

    A category is right if equal; a number if it is within 5 % of the truth. A missing truth is guessed by a missing
    value. Generalised correct attribution, after Taub, Elliot, Pampaka and Smith (2018).

    Examples
    --------
    >>> known = np.array([[0.0], [1.0]])
    >>> guesses(known, np.array([50.0, 70.0]), known, np.array([51.0, 90.0]), is_number=True).tolist()
    [True, False]
    """
    guess = sensitive[nearest(known, known_synthetic)[1][:, 0]]
    if not is_number:
        return np.asarray(guess == truth)
    a, b = guess.astype(np.float64), truth.astype(np.float64)
    return np.asarray((np.abs(a - b) <= CLOSE_GUESS * np.abs(b)) | (np.isnan(a) & np.isnan(b)))


def anonymity(quasi_identifiers: Ints, sensitive: Ints | None = None) -> tuple[int, float, int | None]:
    """Return k-anonymity, the share of rows in cells below 5, and l-diversity.

    k is the smallest number of rows that share a combination of quasi-identifiers (Sweeney, 2002); l the smallest
    number of different sensitive values in one combination (Machanavajjhala et al., 2007).

    Parameters
    ----------
    quasi_identifiers : int64[n]
        Number of each row's combination.
    sensitive : int64[n], optional
        Number of each row's sensitive value.

    Examples
    --------
    >>> anonymity(np.array([0, 0, 1, 1, 1]), np.array([5, 6, 7, 7, 7]))
    (2, 1.0, 1)
    """
    cell, size = np.unique(quasi_identifiers, return_inverse=True, return_counts=True)[1:]
    small = float((size[cell] < SMALL_CELL).mean())
    if sensitive is None:
        return int(size.min()), small, None
    different = np.unique(np.column_stack([cell, sensitive]), axis=0)
    return int(size.min()), small, int(np.bincount(different[:, 0]).min())


def difference_interval(
    expected: float, found: float, n_expected: int, n_found: int, pooled: float | None = None
) -> Interval:
    """Return where a share lies with 95 % probability around another that was measured too, if both are one share.

    The normal interval of a difference of two shares, with their pooled variance, within 0 and 1; with `pooled`, the
    share of both samples together, of the difference itself, within -1 and 1.

    Examples
    --------
    >>> low, high = difference_interval(0.5, 0.5, 100, 100)
    >>> round(low, 3), round(high, 3)
    (0.361, 0.639)
    """
    p = (expected * n_expected + found * n_found) / (n_expected + n_found) if pooled is None else pooled
    half = _Z * float(np.sqrt(p * (1 - p) * (1 / n_expected + 1 / n_found)))
    return max(0.0 if pooled is None else -1.0, expected - half), min(1.0, expected + half)
