"""Sampler and score are one law, on tables with constraints, shares, missing values and mixtures of orders.

The networks are random: nothing is learned here, so the laws are strange ones. Each test fails by chance with
probability below 1e-4; seeds are fixed.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from oracles import encode_table, random_ensemble
from scipy import stats

from microplex._random import row_keys
from microplex.encoding import sample_rows, score_rows
from microplex.schema import Column, Schema

N, ALPHA, Z = 1500, 1e-4, 3.9


@dataclass(frozen=True)
class Case:
    """Targets of a table, what is known of them, and the constraints they obey."""

    frame: pd.DataFrame
    targets: list
    conditions: tuple = ()
    constraints: tuple = ()
    schema: Schema | None = None


def rng(seed=0):
    return np.random.default_rng(seed)


def discrete():
    a, b = rng(1).choice(list("xyz"), N), rng(2).integers(0, 4, N)
    c = np.minimum(b, rng(3).integers(0, 4, N))
    yield "free", Case(pd.DataFrame({"a": a, "b": b, "c": c}), ["a", "b", "c"])
    yield "order", Case(pd.DataFrame({"a": a, "b": b, "c": c}), ["c", "a", "b"], (), ("c <= b",))
    yield "strict order", Case(pd.DataFrame({"a": a, "b": b + 1, "c": c}), ["c", "b", "a"], (), ("c < b",))
    kept = b != c
    yield "not equal", Case(pd.DataFrame({"a": a, "b": b, "c": c})[kept], ["c", "b", "a"], (), ("c != b",))
    implied = np.where(a == "x", 0, c)
    yield "implied", Case(pd.DataFrame({"a": a, "b": b, "c": implied}), ["c", "b", "a"], (), ("a == 'x' -> c == 0",))
    d = np.where(b > 1, "q", np.where(a == "x", "r", "s"))
    yield "combinations", Case(pd.DataFrame({"a": a, "b": b, "d": d}), ["a", "b", "d"], (), ("combinations(a, d)",))
    gone = np.where(rng(4).random(N) < 0.2, None, a)
    lost = np.where(rng(5).random(N) < 0.2, np.nan, c)
    rules = ("a == 'x' -> c == 0",)
    lost = np.where(gone == "x", 0, lost)
    yield "missing levels", Case(pd.DataFrame({"a": gone, "b": b, "c": lost}), ["a", "b", "c"], (), rules)
    held = pd.DataFrame({"a": a, "b": b, "c": c, "p": rng(6).choice(["u", "v"], N)})
    yield "given others", Case(held, ["c", "a"], ("b", "p"), ("c <= b",))
    held = held.assign(total=held.b + held.c)
    yield "a sum", Case(held, ["total", "b", "c"], (), ("total == b + c", "c <= b"))
    yield "parts of a sum", Case(held, ["b", "c", "a"], ("total",), ("total == b + c",))
    wide = np.concatenate([rng(7).integers(0, 4, N - 3), [17, 30, 31]])
    yield "rare values", Case(pd.DataFrame({"a": a, "w": wide}), ["w", "a"], (), ("w <= 40",))
    yield "constant", Case(pd.DataFrame({"k": np.full(N, 3), "o": "one", "b": b}), ["k", "o", "b"])
    yield "one target", Case(pd.DataFrame({"a": a}), ["a"])


DISCRETE = dict(discrete())


def mixed():
    age, sex = rng(10).integers(0, 90, N), rng(11).random(N) < 0.5
    wage = np.where((age < 15) | (rng(12).random(N) < 0.2), 0, np.round(np.exp(rng(13).normal(9, 1, N))))
    tax = np.where(rng(14).random(N) < 0.4, 0, np.round(wage * rng(15).beta(2, 6, N)))
    gain = np.round(np.where(rng(16).random(N) < 0.5, 0, rng(17).normal(0, 500, N)), 2)
    base = pd.DataFrame({"age": age, "sex": sex, "wage": wage, "tax": tax, "gain": gain})
    base["kind"] = rng(18).choice(list("abc"), N)
    yield "free", Case(base, ["wage", "gain", "kind"], ("age",))
    yield "share", Case(base, ["tax", "wage", "gain"], ("age", "kind"), ("tax <= wage",))
    rules = ("age < 15 -> wage == 0", "tax <= wage")
    yield "implied zeros", Case(base, ["wage", "tax", "age", "kind"], ("sex",), rules)
    total = base.assign(total=base.wage + base.gain)
    yield "derived total", Case(total, ["total", "wage", "gain"], ("age",), ("total == wage + gain",))
    yield "derived part", Case(total, ["wage", "gain"], ("total",), ("total == wage + gain",))
    low = rng(19).integers(0, 150, N)
    pair = pd.DataFrame({"low": low, "high": low + rng(20).integers(0, 60, N), "kind": base.kind})
    yield "whole numbers in order", Case(pair, ["low", "high", "kind"], (), ("low <= high",))
    yield "strictly", Case(pair.assign(high=pair.high + 1), ["low", "high"], (), ("low < high",))
    yield "one number excluded", Case(pair[pair.low != 7], ["low", "kind"], (), ("low != 7",))
    smooth = pd.DataFrame({"x": rng(21).normal(size=N)})
    smooth["y"] = smooth.x + np.abs(rng(22).normal(size=N))
    yield "smooth numbers in order", Case(smooth, ["x", "y"], (), ("x <= y",))
    parts = pd.DataFrame({f"p{i}": rng(23 + i).integers(0, 300, N) * (rng(26 + i).random(N) < 0.7) for i in range(3)})
    parts["all"] = parts.sum(axis=1)
    yield "shares of a remainder", Case(parts, ["p0", "p1", "p2"], ("all",), ("all == p0 + p1 + p2",))
    holes = base.copy()
    holes["wage"] = holes.wage.where(rng(30).random(N) > 0.2)
    holes["tax"] = holes.tax.where(holes.wage.notna() & (rng(31).random(N) > 0.1))
    yield "missing shares", Case(holes, ["tax", "wage", "gain"], ("age",), ("tax <= wage",))
    coded = base.assign(m=np.choose(rng(32).choice(3, N, p=[0.1, 0.1, 0.8]), [-9, -8, rng(33).integers(0, 500, N)]))
    schema = Schema((Column("m", "continuous", "int", missing_codes=(-9, -8), lower=0, resolution=1),))
    yield "missing codes", Case(coded, ["m", "wage"], ("kind",), ("m <= 600",), schema)
    many = base.assign(job=np.char.add("job ", rng(34).integers(0, 300, N).astype(str)))
    yield "many categories", Case(many, ["job", "wage"], ("kind",))


MIXED = dict(mixed())


def model(case, seed=0, scale=0.8):
    encoder, values = encode_table(case.frame, case.targets, case.conditions, case.constraints, case.schema)
    n = len(encoder.targets)
    orders = [np.roll(np.arange(n), i)[:: 1 - 2 * (i % 2)] for i in range(3)]
    return encoder, [random_ensemble(encoder, values, orders, s, scale) for s in (seed, seed + 50)], values


def draw(encoder, ensemble, given, n, seed=1):
    drawn = {**given, **sample_rows(encoder, ensemble, given, row_keys(np.arange(n)), seed)}
    return drawn | encoder.plan.derive(drawn)


def every_row(encoder, given):
    """All combinations of target values, derived ones included, beside one row of conditions."""
    choices = []
    for name in encoder.targets:
        codec = encoder.codecs[name]
        if encoder.schema[name].is_numeric:
            numbers = np.arange(0.0, 400.0 if len(codec.cells.starts) else 12.0)
            choices.append([*numbers, *[np.nan] * codec.has_missing])
        else:
            choices.append(range(codec.n_codes))
    table = np.array(list(itertools.product(*choices)))
    values = {name: np.full(len(table), x[0]) for name, x in given.items()}
    for i, name in enumerate(encoder.targets):
        is_number = encoder.schema[name].is_numeric
        values[name] = table[:, i].astype(float if is_number else np.int32)
    return values | encoder.plan.derive(values), len(table)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_of_all_rows_add_to_one(name):
    encoder, (ensemble, _), values = model(DISCRETE[name])
    for row in (0, 17):
        given = {c: values[c][row : row + 1] for c in encoder.conditions}
        rows, n = every_row(encoder, given)
        p = np.exp(score_rows(encoder, ensemble, rows, n))
        assert p.sum() == pytest.approx(1.0, abs=1e-3 if name == "rare values" else 1e-9)
        for _, broken in encoder.plan.check(rows):
            assert (p[broken] == 0).all()


@pytest.mark.parametrize("name", DISCRETE)
def test_rows_are_drawn_as_often_as_scored(name):
    encoder, (ensemble, _), values = model(DISCRETE[name])
    given = {c: values[c][:1] for c in encoder.conditions}
    rows, size = every_row(encoder, given)
    log_p = score_rows(encoder, ensemble, rows, size)
    p, n = np.exp(log_p), 20_000
    drawn = draw(encoder, ensemble, {c: np.repeat(x, n) for c, x in given.items()}, n)
    score = score_rows(encoder, ensemble, drawn, n)
    entropy = -(p[p > 0] @ log_p[p > 0])
    spread = max(np.sqrt(max(p[p > 0] @ log_p[p > 0] ** 2 - entropy**2, 0.0) / n), 1e-9)
    assert abs(score.mean() + entropy) < Z * spread + 1e-3 * (name == "rare values")
    _, times = np.unique(np.round(score, 9), return_counts=True)
    levels, where = np.unique(np.round(log_p[p > 0], 9), return_inverse=True)
    expected = np.bincount(where, p[p > 0]) * n
    observed = np.zeros(len(levels))
    observed[np.searchsorted(levels, np.unique(np.round(score, 9)) - 1e-10)] = times
    often = expected > 10
    if often.sum() > 1 and name != "rare values":
        rest = [expected[~often].sum(), observed[~often].sum()]
        e, o = np.append(expected[often], rest[0] + 1e-9), np.append(observed[often], rest[1])
        e, o = (e[:-1], o[:-1]) if rest[0] < 1 else (e, o)
        assert stats.chisquare(o, e * o.sum() / e.sum()).pvalue > ALPHA / len(DISCRETE)


@pytest.mark.parametrize("name", MIXED)
def test_another_law_is_reweighted_to_one(name):
    """The mean over draws of (density of another law) / (density of this law) is one, if both are what they say."""
    case, n = MIXED[name], 15_000
    encoder, (ensemble, other), values = model(case, scale=0.3)
    index = rng(3).integers(0, len(case.frame), n)
    drawn = draw(encoder, ensemble, {c: values[c][index] for c in encoder.conditions}, n)
    assert not any(broken.any() for _, broken in encoder.plan.check(drawn))
    own, others = (score_rows(encoder, e, drawn, n) for e in (ensemble, other))
    assert np.isfinite(own).all()
    ratio = np.exp(others - own)
    assert abs(ratio.mean() - 1.0) < Z * ratio.std() / np.sqrt(n)
    assert ratio.std() > 0.05


@pytest.mark.parametrize("name", MIXED)
def test_every_training_row_has_a_law(name):
    encoder, (ensemble, _), values = model(MIXED[name])
    assert np.isfinite(score_rows(encoder, ensemble, values, len(MIXED[name].frame))).all()
