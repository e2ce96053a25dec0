from fractions import Fraction

import numpy as np
import pytest

from microplex.errors import DataError
from microplex.metrics.heaping import heaping, heaping_error, heaping_gaps, heaping_steps


def test_shares_of_multiples_by_exact_arithmetic():
    random = np.random.default_rng(0)
    cents = random.integers(1, 10**7, 300) // 10 ** random.integers(0, 3, 300) * 10 ** random.integers(0, 3, 300)
    steps = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50, 100]
    exact = [np.mean([Fraction(int(c), 100) % Fraction(str(s)) == 0 for c in cents]) for s in steps]
    assert heaping(cents / 100, steps) == pytest.approx(exact, abs=1e-12)


def test_values_without_rounding_are_at_chance():
    # With a fresh seed each share would be off by 4.5 standard errors with probability 1e-5.
    x = np.random.default_rng(1).integers(1, 10**6, 20_000).astype(float)
    steps = np.array([5, 10, 50, 100])
    assert (np.abs(heaping(x, steps, unit=1)) < 4.5 * np.sqrt(1 / steps / 20_000)).all()
    assert (heaping(x + 0.5, steps) == 0).all()
    assert heaping(1000 * x, steps, unit=1) == pytest.approx(1 - 1 / steps)


def test_a_weight_of_three_is_the_row_three_times_and_zeros_do_not_count():
    x, w = np.array([100.0, 0.0, 123.0, 550.0, -20.0]), np.array([3, 5, 1, 2, 0])
    steps = heaping_steps(x, w)
    assert steps.tolist() == heaping_steps(np.repeat(x, w)).tolist() == [1, 5, 10, 50, 100, 500]
    assert heaping(x, steps, w) == pytest.approx(heaping(np.repeat(x, w), steps))
    assert heaping(x[x != 0], steps, w[x != 0]) == pytest.approx(heaping(x, steps, w))


def test_steps_follow_the_size_of_the_values():
    assert heaping_steps([0.02, 0.03]).tolist() == pytest.approx([0.001, 0.005, 0.01])
    assert heaping_steps([1e30]).max() < 1e13
    assert heaping_steps([-40.0, 30.0]).tolist() == [1, 5, 10]


def test_the_error_is_the_largest_gap():
    steps, gaps = heaping_gaps([1000, 2000, 2500], [1000.5, 2000, 2500])
    assert heaping_error([1000, 2000, 2500], [1000.5, 2000, 2500]) == np.abs(gaps).max() == pytest.approx(1 / 3)
    assert (gaps <= 0).all()
    assert len(steps) == len(gaps)


def test_nothing_but_zeros_is_refused():
    with pytest.raises(DataError, match="no value differs from 0"):
        heaping([0.0, 0.0, 5.0], [1], [1, 1, 0])
    with pytest.raises(DataError, match="no value differs from 0"):
        heaping_error([1.0], [0.0])
    with pytest.raises(DataError, match="values must be finite; row 0 has nan"):
        heaping_steps([np.nan])
