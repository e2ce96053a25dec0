"""The number of every random stream of the simulated population, so that no two uses share one.

Examples
--------
>>> int(Stream.PLACE), len(set(Stream)) == len(Stream)
(1, True)
"""

from enum import IntEnum


class Stream(IntEnum):
    """One stream a use; a law of `incomes.LAWS` uses `LAWS` plus its own number.

    Examples
    --------
    >>> Stream.SAMPLE.name
    'SAMPLE'
    """

    PLACE = 1
    HEAD = 2
    PARTNER = 3
    CHILDREN = 4
    KIN = 5
    SEX = 6
    MARITAL = 7
    EDUCATION = 8
    DISABLED = 9
    FILING = 10
    SNAP = 11
    TENURE = 12
    SAMPLE = 20
    RESPONSE = 21
    ITEMS = 40
    LAWS = 100
