"""States, counties and tracts: their codes, their shares of households and their levels of income.

Shares and levels of states are rounded from the 2020 census and survey of the United States; counties and tracts are
made up by rule. A state with a share s of the households has 2 + floor(200 s) counties, the k-th with a share
proportional to 1 / (k + 1); a county with a share c of the nation has 4 + floor(2000 c) tracts of equal size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from microplex._random import uniforms
from microplex.datasets.features import Floats, Ints
from microplex.datasets.streams import Stream

# State, FIPS code, weight (100,000 persons), log income level and logit of joblessness against the nation (hundredths).
_STATES = """
AL 1 50 -22 0; AK 2 7 14 20; AZ 4 72 -5 5; AR 5 30 -27 0; CA 6 395 14 15; CO 8 58 11 -8; CT 9 36 17 8; DE 10 10 2 5;
DC 11 7 32 25; FL 12 215 -13 0; GA 13 107 -8 -2; HI 15 15 19 -8; ID 16 18 -10 -15; IL 17 128 2 12; IN 18 68 -13 -8;
IA 19 32 -7 -20; KS 20 29 -9 -20; KY 21 45 -24 8; LA 22 47 -26 15; ME 23 14 -11 -12; MD 24 62 25 -5; MA 25 70 24 -2;
MI 26 101 -11 10; MN 27 57 9 -15; MS 28 30 -36 18; MO 29 62 -14 -8; MT 30 11 -15 -15; NE 31 20 -5 -35; NV 32 31 -6 25;
NH 33 14 15 -25; NJ 34 93 24 8; NM 35 21 -25 18; NY 36 202 6 12; NC 37 104 -15 -2; ND 38 8 0 -35; OH 39 118 -13 6;
OK 40 40 -21 -8; OR 41 42 1 2; PA 42 130 -4 8; RI 44 11 2 6; SC 45 51 -17 0; SD 46 9 -10 -35; TN 47 69 -17 0;
TX 48 291 -4 4; UT 49 33 8 -25; VT 50 6 -6 -25; VA 51 86 13 -15; WA 53 77 14 0; WV 54 18 -31 15; WI 55 59 -4 -15;
WY 56 6 -4 -5
"""

_ROWS = [row.split() for row in _STATES.split(";")]
STATES = tuple(row[0] for row in _ROWS)
FIPS = tuple(int(row[1]) for row in _ROWS)
STATE_SHARE: Floats = np.array([float(row[2]) for row in _ROWS]) / sum(float(row[2]) for row in _ROWS)
STATE_INCOME: Floats = np.array([float(row[3]) / 100 for row in _ROWS])
STATE_JOBLESS: Floats = np.array([float(row[4]) / 100 for row in _ROWS])

COUNTY_SLOPE = 0.06  # fall of log income from one county of a state to the one of twice its rank
TRACT_SPREAD = 0.22  # standard deviation of log income between the tracts of a county


@dataclass(frozen=True)
class Places:
    """Every tract, in the order of its code.

    Parameters
    ----------
    state, county : int64[n_tracts]
        Positions in `STATES` and in `counties`.
    counties, tracts : tuple of str
        Five- and eleven-digit codes.
    share : float64[n_tracts]
        Share of the nation's households.
    level : float64[n_tracts]
        Log income level against the state.

    Examples
    --------
    >>> places().counties[0], places().tracts[0]
    ('01001', '01001000100')
    """

    state: Ints
    county: Ints
    counties: tuple[str, ...]
    tracts: tuple[str, ...]
    share: Floats
    level: Floats


@cache
def places() -> Places:
    """Return the map.

    Returns
    -------
    Places
        The same object at every call.

    Examples
    --------
    >>> round(float(places().share.sum()), 12)
    1.0
    """
    counties: list[str] = []
    tracts: list[str] = []
    rows: list[tuple[int, int, float, float]] = []
    for state, (fips, state_share) in enumerate(zip(FIPS, STATE_SHARE, strict=True)):
        ranks = np.arange(2 + int(200 * state_share))
        shares = state_share / (ranks + 1) / (1 / (ranks + 1)).sum()
        for rank, share in zip(ranks, shares, strict=True):
            n_tracts = 4 + int(2000 * share)
            order = (np.arange(n_tracts) + 0.5) / n_tracts
            levels = COUNTY_SLOPE * (1 - np.log2(rank + 1)) + TRACT_SPREAD * ndtri(order)
            rows += [(state, len(counties), share / n_tracts, level) for level in levels]
            counties.append(f"{fips:02d}{2 * rank + 1:03d}")
            tracts += [f"{counties[-1]}{100 * (tract + 1):06d}" for tract in range(n_tracts)]
    state_of, county_of, share_of, level_of = (np.array(column) for column in zip(*rows, strict=True))
    return Places(state_of, county_of, tuple(counties), tuple(tracts), share_of, np.round(level_of, 3))


def draw_tracts(keys: NDArray[np.uint64], seed: int) -> Ints:
    """Place households.

    Parameters
    ----------
    keys : uint64[n]
        Keys of the households.
    seed : int
        Seed of the population.

    Returns
    -------
    int64[n]
        Positions in `Places.tracts`.

    Examples
    --------
    >>> draw_tracts(np.arange(3, dtype=np.uint64), seed=0).shape
    (3,)
    """
    cumulative = np.cumsum(places().share)
    u = uniforms(seed, keys, Stream.PLACE, 1)[0]
    return np.asarray(np.searchsorted(cumulative[:-1], u, side="right"), dtype=np.int64)
