"""The grain of numbers: the resolution all share, and the coarser ones to which some are rounded.

Divisibility is decided on integers: values are scaled by powers of ten and must meet an integer within a few
floating-point spacings. A relative tolerance would make every large value divisible.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_DECIMALS = 6
SPACINGS = 4.0  # float spacings by which a sum of decimals may be off
CHANCE = 1e-5  # below this, divisibility is no accident
FEWEST = 30  # distinct values that must agree on a resolution coarser than the last decimal
MIN_Z = 6.0
MIN_SURPLUS = 0.01
LARGEST = 2.0**53


def to_units(values: Floats, decimals: int) -> tuple[Ints, NDArray[np.bool_], Floats]:
    """Express values in units of 10**-decimals.

    Parameters
    ----------
    values : float64[n]
        Finite numbers.
    decimals : int
        Decimal places kept.

    Returns
    -------
    units : int64[n]
        The nearest number of units (0 beyond 2**53).
    exact : bool[n]
        Whether the value is that number of units, up to floating-point spacing.
    chance : float64[n]
        Probability that any number of this size would be.

    Examples
    --------
    >>> units, exact, chance = to_units(np.array([12.34, 0.125]), 2)
    >>> units.tolist(), exact.tolist()
    ([1234, 12], [True, False])
    """
    scale = 10.0**decimals
    scaled = values * scale
    small = np.abs(scaled) < LARGEST
    units = np.where(small, np.rint(scaled), 0.0)
    slack = SPACINGS * np.spacing(np.abs(values))
    exact = small & (np.abs(values - units / scale) <= (slack if decimals else 0.0))
    chance = np.minimum(2 * slack * scale, 1.0)
    return units.astype(np.int64), exact, chance


def multiples(counts: Floats, resolution: float) -> Floats:
    """Return multiples of a grain as the floats nearest to them.

    Parameters
    ----------
    counts : float64[n]
        Whole numbers.
    resolution : float
        The grain.

    Returns
    -------
    float64[n]
        `counts * resolution`; a decimal grain such as 0.01 adds no error of its own.

    Examples
    --------
    >>> float(multiples(np.array([57.0]), 0.01)[0]), 57 * 0.01
    (0.57, 0.5700000000000001)
    """
    inverse = round(1 / resolution) if resolution < 1 else 0
    if inverse and math.isclose(inverse * resolution, 1.0, rel_tol=1e-12):
        return counts / inverse
    return counts * resolution


def find_resolution(distinct: Floats) -> float | None:
    """Return the grain of which all values are multiples.

    Parameters
    ----------
    distinct : float64[n]
        Finite distinct values.

    Returns
    -------
    float or None
        1, 2.5 or 5 times a power of ten; None if there is none, or if values are too large to tell.

    Examples
    --------
    >>> find_resolution(np.array([0.25, 19.99, 3.5]))
    0.01
    >>> find_resolution(np.array([0.1234567891234, 2.0])) is None
    True
    """
    if not (distinct != np.rint(distinct)).any():
        if np.abs(distinct).max(initial=0.0) >= LARGEST:
            return None
        return float(_coarsest(distinct.astype(np.int64)))
    for decimals in range(1, MAX_DECIMALS + 1):
        units, exact, chance = to_units(distinct, decimals)
        if exact.all():
            accident = np.log(chance[distinct != np.rint(distinct)]).sum()
            return _in_units(_coarsest(units), decimals) if accident < math.log(CHANCE) else None
    return None


def find_heaps(distinct: Floats, counts: Ints, resolution: float | None) -> tuple[float, ...]:
    """Return the coarser grains to which a surplus of values is rounded.

    A grain counts if clearly more values are its multiples than chance explains, given the values divisible by
    the grains finer than it, and leaving out those that a coarser one explains.

    Parameters
    ----------
    distinct : float64[n]
        Distinct values, zero and atoms left out.
    counts : int64[n]
        Rows that hold each.
    resolution : float or None
        The grain of all values.

    Returns
    -------
    tuple of float
        Descending.

    Examples
    --------
    >>> values = np.r_[np.arange(1000.0, 90000.0, 1000.0), np.arange(1013.0, 90000.0, 917.0)]
    >>> find_heaps(values, np.ones(len(values), np.int64), 1.0)
    (1000.0,)
    """
    if not len(distinct):
        return ()
    decimals = 2 if resolution is None else _decimals(resolution)
    units, exact, _ = to_units(distinct, decimals)
    size, rows = np.abs(units), np.where(exact, counts, 0)
    finest = 0 if resolution is None else round(resolution * 10**decimals)
    grains = _nice_grains(max(finest, 1), int(size[exact].max(initial=0)), include_first=resolution is None)
    heaps: list[int] = []
    for grain in reversed(grains):
        in_reach = 2 * size >= grain
        free = in_reach & ~np.any([size % heap == 0 for heap in heaps] or [np.zeros(len(size), bool)], axis=0)
        held = int(rows[free & (size % grain == 0)].sum())
        if held <= MIN_SURPLUS * counts.sum():
            continue
        finer = [other for other in grains if other < grain and grain % other == 0]
        expected, trials = 0.0, int(counts[free].sum())
        for other in {*finer, *([finest] if finest else [])}:
            within = int(rows[free & (size % other == 0)].sum())
            chance = _share_left(grain, heaps) / _share_left(other, heaps)
            if within * chance > expected:
                expected, trials = within * chance, within
        surplus = held - expected
        spread = math.sqrt(max(expected * (1 - expected / max(trials, 1)), 1.0))
        if surplus > MIN_Z * spread and surplus > MIN_SURPLUS * counts.sum():
            heaps.append(grain)
    return tuple(_in_units(heap, decimals) for heap in heaps)


def _coarsest(units: Ints) -> int:
    """Return the coarsest nice grain that divides all; 1 if so few values may share another by accident."""
    nonzero = np.abs(units[units != 0])
    if len(nonzero) < FEWEST:
        return 1
    divisor = int(np.gcd.reduce(nonzero))
    return max(grain for grain in _nice_grains(1, divisor, include_first=True) if divisor % grain == 0)


def _nice_grains(finest: int, largest: int, include_first: bool) -> list[int]:
    """Return 1, 2.5 and 5 times powers of ten, ascending, that are multiples of `finest`."""
    found, power = [], 1
    while power <= largest:
        found += [power, *([25 * power // 10] if power >= 10 else []), 5 * power]
        power *= 10
    start = finest if include_first else finest + 1
    return [grain for grain in found if start <= grain <= largest and grain % finest == 0]


def _share_left(grain: int, heaps: list[int]) -> float:
    """Share of integers that are multiples of `grain` and of none of `heaps`."""
    return 1 / grain - _union([math.lcm(grain, heap) for heap in heaps])


def _union(grains: list[int]) -> float:
    """Share of integers that are a multiple of any grain, by inclusion and exclusion."""
    needed = [g for g in sorted(set(grains)) if not any(g % other == 0 for other in grains if other < g)]
    if not needed:
        return 0.0
    first, rest = needed[0], needed[1:]
    return 1 / first + _union(rest) - _union([math.lcm(first, other) for other in rest])


def _decimals(resolution: float) -> int:
    for decimals in range(MAX_DECIMALS + 1):
        scaled = resolution * 10**decimals
        if scaled >= 1 and abs(scaled - round(scaled)) < 1e-6:
            return decimals
    return MAX_DECIMALS


def _in_units(grain: int, decimals: int) -> float:
    return grain / 10**decimals if decimals else float(grain)
