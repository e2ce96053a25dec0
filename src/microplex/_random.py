"""Counter-based random streams: each value is a pure function of seed, stream, row key and draw.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

from hashlib import blake2b
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MASK64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_LOW32 = np.uint64(0xFFFFFFFF)
_SHIFT32 = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85
_SHIFT12 = np.uint64(12)
_HALF_STEP = 2.0**-53
_STEP = 2.0**-52


def row_keys(ids: ArrayLike) -> NDArray[np.uint64]:
    """Turn row identifiers into the keys of their random streams.

    Parameters
    ----------
    ids : array_like of shape (n,)
        Identifiers. Integers are taken as they are (two's complement); anything else by a
        64-bit BLAKE2b hash of its ``str``, the same on every machine and in every session.

    Returns
    -------
    ndarray of uint64, shape (n,)

    Examples
    --------
    >>> row_keys([0, 1, 2])
    array([0, 1, 2], dtype=uint64)
    >>> row_keys(["household 1"])
    array([13552136672762873620], dtype=uint64)
    """
    array = np.asarray(ids)
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array).astype(np.uint64)
    return np.fromiter(map(_key_of, array.tolist()), dtype=np.uint64, count=len(array))


def uniforms(seed: int, keys: NDArray[np.uint64], stream: int, count: int) -> NDArray[np.float64]:
    """Draw uniform numbers for rows.

    Value ``[d, i]`` depends on ``seed``, ``stream``, ``keys[i]`` and ``d`` alone, so rows can be
    drawn in any order and in any chunks.

    Parameters
    ----------
    seed : int
        Zero or more, of any size; the caller has checked it.
    keys : ndarray of uint64, shape (n,)
        Keys of the rows, from `row_keys`.
    stream : int
        Number of the stream; each use of randomness has its own.
    count : int
        Draws a row.

    Returns
    -------
    ndarray of float64, shape (count, n)
        Numbers in the open interval (0, 1): odd multiples of 2**-53.

    Examples
    --------
    >>> keys = row_keys([0, 1, 2])
    >>> u = uniforms(0, keys, stream=0, count=2)
    >>> bool((uniforms(0, keys[1:], stream=0, count=2) == u[:, 1:]).all())
    True
    """
    key = _stream_key(seed, stream)
    keys = np.ascontiguousarray(keys, dtype=np.uint64)
    blocks = np.arange((count + 1) // 2, dtype=np.uint64)[:, None]
    a, b, c, d = _philox(keys & _LOW32, keys >> _SHIFT32, blocks, np.uint64(0), key & 0xFFFFFFFF, key >> 32)
    out = np.empty((len(blocks), 2, len(keys)))
    out[:, 0] = (b << _SHIFT32 | a) >> _SHIFT12
    out[:, 1] = (d << _SHIFT32 | c) >> _SHIFT12
    out *= _STEP
    out += _HALF_STEP
    return out.reshape(2 * len(blocks), len(keys))[:count]


def generator(seed: int, stream: int) -> np.random.Generator:
    """Return a NumPy generator for one use of randomness in fitting.

    Parameters
    ----------
    seed : int
        Zero or more, of any size; the caller has checked it.
    stream : int
        Number of the stream.

    Returns
    -------
    numpy.random.Generator
        Independent of the generators of other seeds and streams, and of the global state.

    Examples
    --------
    >>> bool(generator(0, 1).random() == generator(0, 1).random())
    True
    """
    key = _fold(seed) | (index(stream) & _MASK64) << 64
    return np.random.Generator(np.random.Philox(key=key))


def _key_of(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64:
        return value & _MASK64
    return int.from_bytes(blake2b(str(value).encode(), digest_size=8).digest(), "little")


def _fold(seed: int) -> int:
    return index(seed) if seed <= _MASK64 else _key_of(seed)


def _stream_key(seed: int, stream: int) -> int:
    return _mix(_mix(_fold(seed)) + index(stream) * _GOLDEN)


def _mix(word: int) -> int:
    """Scramble 64 bits one to one (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    word = (word + _GOLDEN) & _MASK64
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _MASK64
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _MASK64
    return word ^ word >> 31


def _philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: int, k1: int) -> tuple[Any, Any, Any, Any]:
    """Return blocks of four 32-bit words, each held in 64 bits, as are the counters."""
    for turn in range(10):
        round_0 = np.uint64((k0 + turn * _WEYL_0) & 0xFFFFFFFF)
        round_1 = np.uint64((k1 + turn * _WEYL_1) & 0xFFFFFFFF)
        product_0 = _MULTIPLIER_0 * c0
        product_1 = _MULTIPLIER_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> _SHIFT32) ^ c1 ^ round_0,
            product_1 & _LOW32,
            (product_0 >> _SHIFT32) ^ c3 ^ round_1,
            product_0 & _LOW32,
        )
    return c0, c1, c2, c3
