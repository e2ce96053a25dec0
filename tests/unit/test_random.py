import os
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from microplex._random import _philox, _stream_key, generator, row_keys, uniforms

# Random123 1.14, tests/kat_vectors, "philox4x32 10": counter, key, block.
KNOWN_ANSWERS = {
    "zeros": ("00000000" * 4, "00000000" * 2, "6627e8d5e169c58dbc57ac4c9b00dbd8"),
    "ones": ("ffffffff" * 4, "ffffffff" * 2, "408f276d41c83b0ea20bc7c66d5451fd"),
    "pi": ("243f6a8885a308d313198a2e03707344", "a4093822299f31d0", "d16cfe0994fdcceb5001e42024126ea1"),
}


def _words(text):
    return [np.uint64(int(text[i : i + 8], 16)) for i in range(0, len(text), 8)]


@pytest.mark.parametrize("case", KNOWN_ANSWERS)
def test_philox_gives_the_published_blocks(case):
    counter, key, block = KNOWN_ANSWERS[case]
    assert list(_philox(*_words(counter), *_words(key))) == _words(block)


def test_uniforms_are_the_words_of_the_block():
    key = 0xFEDCBA9876543210
    u = uniforms(3, np.array([key], dtype=np.uint64), stream=1, count=4)
    philox_key = _stream_key(3, 1)
    for block in range(2):
        counter = [key & 0xFFFFFFFF, key >> 32, block, 0]
        a, b, c, d = map(int, _philox(*map(np.uint64, [*counter, philox_key & 0xFFFFFFFF, philox_key >> 32])))
        expected = [((b << 32 | a) >> 12) + 0.5, ((d << 32 | c) >> 12) + 0.5]
        assert np.array_equal(u[2 * block : 2 * block + 2, 0] * 2.0**52, expected)


def test_uniforms_are_uniform_and_independent_between_rows_draws_streams_and_seeds():
    keys = row_keys(np.arange(20_000))
    u = uniforms(0, keys, stream=0, count=4)
    others = np.vstack([u, uniforms(0, keys, stream=1, count=2), uniforms(1, keys, stream=0, count=2)])
    alpha = 1e-3
    tests = [stats.kstest(row, "uniform").pvalue for row in others]
    pairs = [(a, b) for i, a in enumerate(others) for b in others[:i]] + [(row[1:], row[:-1]) for row in others]
    tests += [stats.pearsonr(a, b).pvalue for a, b in pairs]
    assert min(tests) > alpha / len(tests)


def test_uniforms_lie_inside_the_open_interval():
    u = uniforms(0, row_keys(np.arange(1000)), stream=0, count=11)
    assert u.shape == (11, 1000)
    assert 0 < u.min() < u.max() < 1
    largest = np.int64((2**64 - 1) >> 12) * 2.0**-52 + 2.0**-53
    assert largest == np.nextafter(1.0, 0.0)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_a_draw_does_not_depend_on_how_many_are_asked_for(count):
    keys = row_keys(np.arange(50))
    assert np.array_equal(uniforms(5, keys, 2, count), uniforms(5, keys, 2, 8)[:count])


def test_a_row_does_not_depend_on_chunks_order_or_neighbours():
    keys = row_keys(np.arange(-40, 60))
    whole = uniforms(5, keys, 2, 3)
    chunks = np.hstack([uniforms(5, part, 2, 3) for part in np.array_split(keys, 7)])
    order = np.random.default_rng(0).permutation(len(keys))
    assert np.array_equal(chunks, whole)
    assert np.array_equal(uniforms(5, keys[order], 2, 3), whole[:, order])
    assert np.array_equal(uniforms(5, keys[::3], 2, 3), whole[:, ::3])


def test_no_rows_is_no_draws():
    assert uniforms(0, row_keys([]), 0, 3).shape == (3, 0)


@pytest.mark.parametrize("seed", [0, 1, 2**32, 2**64 - 1, 2**64, 2**200])
def test_every_seed_has_its_own_draws(seed):
    keys = row_keys([0])
    assert uniforms(seed, keys, 0, 1) == uniforms(seed, keys, 0, 1)
    assert uniforms(seed, keys, 0, 1) != uniforms(seed + 1, keys, 0, 1)
    assert uniforms(seed, keys, 0, 1) != uniforms(seed, keys, 1, 1)
    assert generator(seed, 0).random() != generator(seed + 1, 0).random()
    assert generator(seed, 0).random() != generator(seed, 1).random()


def test_numpy_integers_are_seeds_and_streams():
    keys = row_keys([0])
    assert uniforms(np.int64(9), keys, np.int64(3), 1) == uniforms(9, keys, 3, 1)
    assert generator(np.int64(9), np.int64(3)).random() == generator(9, 3).random()


def test_integers_are_their_own_keys():
    keys = row_keys(np.array([0, 7, -1]))
    assert keys.dtype == np.uint64
    assert keys.tolist() == [0, 7, 2**64 - 1]
    assert row_keys(np.array([0, 7, -1], dtype=np.int8)).tolist() == keys.tolist()
    assert row_keys(np.array([0, 7, -1], dtype=object)).tolist() == keys.tolist()
    assert row_keys(np.array([2**64 - 1], dtype=np.uint64)).tolist() == [2**64 - 1]


def test_text_keys_do_not_depend_on_the_type_that_holds_them():
    names = ["a", "household 12", "é"]
    assert len(set(row_keys(names).tolist())) == 3
    assert np.array_equal(row_keys(names), row_keys(np.array(names, dtype=object)))


def test_keys_of_other_things_are_hashes_of_their_text():
    assert row_keys([1.5])[0] == row_keys(["1.5"])[0]
    assert row_keys([True])[0] == row_keys(["True"])[0]
    assert row_keys(np.array([2**70], dtype=object))[0] == row_keys([str(2**70)])[0]


def test_draws_are_the_same_in_another_process():
    code = (
        "from microplex._random import *; "
        "print(row_keys(['x', 'y']).tolist(), uniforms(4, row_keys(['x', 'y']), 1, 3).tolist())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    keys = row_keys(["x", "y"])
    assert shown.stdout.strip() == f"{keys.tolist()} {uniforms(4, keys, 1, 3).tolist()}"


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002 (the state that must not change)
    uniforms(0, row_keys([1, 2]), 0, 2)
    generator(0, 0).random(3)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002 (the same)
