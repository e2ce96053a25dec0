"""Whatever the problem: feasible totals are reached, and what should not matter does not."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from microplex.calibration import METHODS, Distance, Problem, calibrate

INF = np.inf
quick = settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))

RULES = st.sampled_from(
    [
        ("raking", (0.0, INF)),
        ("raking", (0.1, 12.0)),
        ("linear", (-INF, INF)),
        ("linear", (0.0, INF)),
        ("linear", (0.1, 12.0)),
        ("logit", (0.0, INF)),
        ("logit", (0.1, 12.0)),
    ]
)


@dataclass
class Sample:
    design: np.ndarray
    base: np.ndarray
    totals: np.ndarray

    def solved(self, method, bounds, **more):
        return calibrate(Problem.of(self.design, self.base, self.totals, **more), method, bounds)


@st.composite
def samples(draw, values="any", spread=0.7):
    """A design of counts, categories and amounts, and the totals of weights that are known to be possible."""
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    n, m = draw(st.integers(2, 40)), draw(st.integers(1, 7))
    rows = []
    for _ in range(m):
        kind = draw(st.sampled_from(["cell", "count", "amount", "net"]))
        if kind == "cell":
            row = (rng.random(n) < 0.4).astype(float)
        elif kind == "count" or values == "counts":
            row = rng.integers(0, 4, n).astype(float)
        else:
            row = rng.lognormal(0, draw(st.sampled_from([0.5, 2.0])), n) * 10.0 ** draw(st.integers(-3, 6))
            row = row * rng.choice([-1, 1], n, p=[0.2, 0.8]) if kind == "net" else row
        rows.append(row)
    if draw(st.booleans()):
        rows.append(np.ones(n))
    if draw(st.booleans()) and len(rows) > 1:
        rows.append(rows[0] + 2 * rows[1])
    design = np.array(rows)
    base = rng.lognormal(0, draw(st.sampled_from([0.0, 1.0])), n) * 10.0 ** draw(st.integers(-2, 5))
    weights = base * np.clip(rng.lognormal(0, spread, n), 0.15, 8.0)
    return Sample(design, base, design @ weights)


def same(found, expected, tight=1e-7):
    # Rounding in the totals moves a weight by about the condition of the problem.
    assert found == pytest.approx(expected, rel=tight, abs=tight * np.abs(expected).max())


@quick
@given(samples(spread=1.2), RULES)
def test_feasible_totals_are_reached(sample, rule):
    found = sample.solved(*rule)
    assert found.feasible
    assert found.proof is None
    assert found.max_error <= 1e-8
    ratio = found.weights / sample.base
    assert (ratio >= rule[1][0] * (1 - 1e-12)).all()
    assert (ratio <= rule[1][1] * (1 + 1e-12)).all()


@quick
@given(samples(), RULES)
def test_weights_obey_the_condition_of_the_optimum(sample, rule):
    found = sample.solved(*rule)
    distance = Distance(rule[0], *rule[1], cap=100.0)
    same(found.weights, sample.base * distance.evaluate(sample.design.T @ found.multipliers)[1], 1e-9)
    assert found.kkt <= 1e-8


@quick
@given(samples(), RULES, st.randoms(use_true_random=False))
def test_the_order_of_records_and_targets_does_not_matter(sample, rule, chance):
    records, targets = list(range(len(sample.base))), list(range(len(sample.totals)))
    chance.shuffle(records)
    chance.shuffle(targets)
    other = Sample(sample.design[targets][:, records], sample.base[records], sample.totals[targets])
    same(other.solved(*rule).weights, sample.solved(*rule).weights[records])


@quick
@given(samples(), RULES, st.lists(st.sampled_from([-3.0, 1e-6, 0.5, 1.0, 1e3, 1e9]), min_size=9, max_size=9))
def test_the_units_of_targets_do_not_matter(sample, rule, units):
    units = np.array(units[: len(sample.totals)])
    other = Sample(sample.design * units[:, None], sample.base, sample.totals * units)
    one, two = sample.solved(*rule), other.solved(*rule)
    same(two.weights, one.weights)
    assert np.abs(two.errors) == pytest.approx(np.abs(one.errors), abs=1e-9)


@quick
@given(samples(), RULES, st.sampled_from([1e-6, 0.1, 7.0, 1e8]))
def test_the_size_of_the_population_does_not_matter(sample, rule, factor):
    other = Sample(sample.design, sample.base * factor, sample.totals * factor)
    same(other.solved(*rule).weights / factor, sample.solved(*rule).weights)


@quick
@given(samples(), RULES, st.data())
def test_a_record_split_in_two_halves_is_the_same_record(sample, rule, data):
    k = data.draw(st.integers(0, len(sample.base) - 1))
    base = np.append(sample.base, sample.base[k] / 2)
    base[k] /= 2
    other = Sample(np.hstack([sample.design, sample.design[:, [k]]]), base, sample.totals).solved(*rule).weights
    whole = np.append(other[:-1], [])
    whole[k] += other[-1]
    same(whole, sample.solved(*rule).weights)
    assert other[k] == pytest.approx(other[-1], rel=1e-9)


@quick
@given(samples("counts"), RULES, st.lists(st.integers(1, 4), min_size=40, max_size=40))
def test_weights_of_three_are_three_rows(sample, rule, repeats):
    repeats = np.array(repeats[: len(sample.base)])
    base = repeats.astype(float)
    totals = sample.design @ (base * (sample.totals.sum() / (sample.design @ base).sum() if sample.totals.sum() else 1))
    factor = sample.totals.sum() / (sample.design @ base).sum() if sample.totals.sum() else 1
    assume(0.2 < factor < 10)
    weighted = Sample(sample.design, base, totals).solved(*rule).weights
    rows = np.repeat(np.arange(len(base)), repeats)
    plain = Sample(sample.design[:, rows], np.ones(len(rows)), totals).solved(*rule).weights
    same(np.bincount(rows, plain, minlength=len(base)), weighted)
    same(plain, (weighted / base)[rows])


@quick
@given(samples(), RULES, st.integers(1, 5), st.integers(0, 2**31))
def test_records_without_weight_change_nothing(sample, rule, extra, seed):
    rng = np.random.default_rng(seed)
    strangers = rng.normal(size=(len(sample.totals), extra)) * 10.0 ** rng.integers(-3, 9, extra)
    place = rng.permutation(len(sample.base) + extra)
    design = np.hstack([sample.design, strangers])[:, place]
    base = np.append(sample.base, np.zeros(extra))[place]
    found = Sample(design, base, sample.totals).solved(*rule).weights
    assert not found[base == 0].any()
    back = np.empty_like(found)
    back[place] = found
    same(back[: len(sample.base)], sample.solved(*rule).weights)


@quick
@given(samples(), RULES)
def test_duplicated_and_implied_targets_change_nothing(sample, rule):
    design = np.vstack([sample.design, sample.design[0], sample.design.sum(axis=0)])
    totals = np.concatenate([sample.totals, sample.totals[:1], [sample.totals.sum()]])
    found = Sample(design, sample.base, totals).solved(*rule)
    assert found.feasible
    same(found.weights, sample.solved(*rule).weights)


@quick
@given(samples(), RULES)
def test_totals_that_hold_already_change_nothing(sample, rule):
    met = Sample(sample.design, sample.base, sample.design @ sample.base)
    same(met.solved(*rule).weights, sample.base, 1e-10)


@quick
@given(samples(), RULES)
def test_calibrating_twice_is_calibrating_once(sample, rule):
    """Raking and linear weights that meet the totals are at no distance from themselves."""
    assume(np.isinf(rule[1][1]) and rule[1][0] >= 0)
    once = sample.solved(*rule).weights
    held = once > 1e-9 * once.max()
    assume(held.all())
    again = Sample(sample.design, once, sample.totals).solved(*rule).weights
    same(again, once)


@quick
@given(samples(), RULES)
def test_sparse_and_dense_designs_are_the_same(sample, rule):
    stored = Sample(sp.csc_array(sample.design), sample.base, sample.totals)
    assert np.array_equal(stored.solved(*rule).weights, sample.solved(*rule).weights)


@quick
@given(samples(), RULES, st.sampled_from([1e-3, 0.02, 0.2]))
def test_bands_are_kept_and_wider_ones_cost_less(sample, rule, tolerance):
    exact, loose = sample.solved(*rule), sample.solved(*rule, tolerance=tolerance)
    assert loose.feasible
    assert (np.abs(loose.errors) <= tolerance + 1e-8).all()
    distance = [sample.base @ (found.weights / sample.base - 1) ** 2 for found in (exact, loose)]
    if rule[0] == "linear":
        assert distance[1] <= distance[0] * (1 + 1e-6) + 1e-9 * sample.base.sum()


@quick
@given(samples(), RULES, st.data())
def test_nothing_is_claimed_that_does_not_hold(sample, rule, data):
    """Totals drawn at random: met and said so, or missed and said so, with status and certificate that agree."""
    factors = data.draw(st.lists(st.sampled_from([-1.0, 0.0, 0.3, 0.9, 1.0, 1.1, 4.0]), min_size=9, max_size=9))
    totals = sample.totals * factors[: len(sample.totals)]
    found = Sample(sample.design, sample.base, totals).solved(*rule)
    assert np.isfinite(found.weights).all()
    assert found.feasible == bool((np.abs(found.errors) <= 1e-8).all())
    assert not (found.feasible and found.proof)
    late = np.abs(found.errors) > 1e-8
    missed = np.isin(found.status, ["relaxed", "contradicts", "out of reach", "no support"])
    assert not (late & ~missed).any()
    ratio = found.weights / sample.base
    held = found.weights != 0
    assert (ratio >= rule[1][0] * (1 - 1e-9))[held].all()
    assert (ratio <= rule[1][1] * (1 + 1e-9)).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_least_problem(method):
    assert calibrate(Problem.of([[2.0]], [3.0], [7.0]), method).weights == pytest.approx([3.5])
