"""Tax units of the CPS in two halves: A keeps half of the targets, B the others; judged by a holdout with all.

Without auxiliary rows, with 5 % that observe both, and beside blocks learnt from complete data: from all rows of both
halves, and from as many rows as a half has.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd

from benchmarks.fusion_peers import PEERS
from benchmarks.synthesis.problems import cps
from benchmarks.synthesis.task import coded
from microplex import Synthesizer
from microplex.fusion import MultiSourceFusion
from microplex.metrics.classifier import two_sample_test
from microplex.metrics.joint import ranks

AUX_SHARE = 0.05
AUC_ROWS = 10_000


def run(seed, scale, shared):
    """Rows of measures: (method, block or what is measured, value)."""
    problem = cps(scale, shared)
    given = problem.conditions
    blocks = {"A": problem.targets[0::2], "B": problem.targets[1::2]}
    train = problem.train.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    half, few = len(train) // 2, int(AUX_SHARE * len(train))
    size = norm(cross(problem.fresh, blocks))
    halves = {"A": train[:half], "B": train[half:].reset_index(drop=True)}
    drawn, cpu, rows = {}, {}, []
    real = problem.fresh.reset_index(drop=True)

    def judge(name):
        frame = drawn[name]
        for b, names in blocks.items():
            rows.append((name, f"AUC {b}", auc(real, frame, [*given, *names], seed)))
            rows.append((name, f"KS {b}", margins(real, frame, names)))
            rows.append((name, f"within {b}", apart(within(real, names), within(frame, names))))
        rows.append((name, "cross from truth", apart(cross(real, blocks), cross(frame, blocks)) / size))
        print(seed, name, *(f"{what} {value:.4f}" for _, what, value in rows[-7:]), file=sys.stderr, flush=True)

    def timed(name, make):
        start = time.process_time()
        drawn[name] = make()
        cpu[name] = time.process_time() - start
        judge(name)

    asked, order = problem.test[given].reset_index(drop=True), [*blocks["A"], *blocks["B"]]

    def fused(with_aux):
        first = few if with_aux else 0
        sources = {
            "a": train[first : first + (len(train) - first) // 2][[*given, *blocks["A"]]],
            "b": train[first + (len(train) - first) // 2 :][[*given, *blocks["B"]]],
        }
        if with_aux:
            sources["aux"] = train[:first][[*given, *order]]
        model = MultiSourceFusion(given, order, accepted=[*given, *order], seed=seed)
        model.fit(sources, progress=False)
        return model.complete(asked, seed=seed)

    def complete(first_seed, rows=train):
        parts = [asked]
        for i, names in enumerate(blocks.values()):
            model = Synthesizer(names, given, seed=first_seed + i).fit(rows[[*given, *names]], progress=False)
            parts.append(model.generate(asked, seed=first_seed + i)[names])
        return pd.concat(parts, axis=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        timed("fusion", lambda: fused(False))
        timed("fusion, 5 % auxiliary", lambda: fused(True))
    timed("complete data, blocks apart", lambda: complete(100 * seed + 10))
    timed("complete data again", lambda: complete(100 * seed + 50))
    timed("complete data, half the rows", lambda: complete(100 * seed + 70, train[:half]))
    for name, peer in PEERS.items():

        def made(peer=peer):
            parts = [peer(halves[b], given, blocks[b], seed)(asked, seed + i) for i, b in enumerate("AB")]
            return pd.concat([asked, *parts], axis=1)

        timed(name, made)
    drawn["holdout"] = problem.test.reset_index(drop=True)
    judge("holdout")
    implied = cross(drawn["complete data, blocks apart"], blocks)
    rows += [(name, "cross from CIA", apart(implied, cross(f, blocks)) / size) for name, f in drawn.items()]
    return rows + [(name, "CPU s", value) for name, value in cpu.items()]


def auc(real, frame, names, seed):
    """Cross-validated AUC of boosted trees between the holdout's rows and drawn ones."""
    sides = [_numbers(f, names)[:AUC_ROWS] for f in (real, frame)]
    categories = [i for i, name in enumerate(names) if isinstance(real[name].dtype, pd.CategoricalDtype)]
    return two_sample_test(*sides, categories, seed=seed).auc


def margins(real, frame, names):
    """Mean Kolmogorov-Smirnov distance over the targets (codes for levels)."""
    found = []
    for a, b in zip(_numbers(real, names).T, _numbers(frame, names).T, strict=True):
        both = np.sort(np.concatenate([a, b]))
        cdf = [np.searchsorted(np.sort(x), both, "right") / len(x) for x in (a, b)]
        found.append(np.abs(cdf[0] - cdf[1]).max())
    return float(np.mean(found))


def within(frame, names):
    return _correlations(frame, names)


def cross(frame, blocks):
    """Rank correlations of the targets of A with those of B."""
    both = _correlations(frame, [*blocks["A"], *blocks["B"]])
    return both[: len(blocks["A"]), len(blocks["A"]) :]


def norm(matrix):
    return float(np.sqrt((matrix**2).sum()))


def apart(one, other):
    return norm(one - other)


def _correlations(frame, names):
    return np.nan_to_num(np.corrcoef(np.column_stack([ranks(x) for x in _numbers(frame, names).T]).T))


def _numbers(frame, names):
    return coded(frame[names]).astype(float).to_numpy()
