"""What a synthetic table is judged by: the library's own measures, of which each row of the table is one or a mean."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.synthesis.problems import Problem
from microplex.metrics import Record, pair
from microplex.metrics.classifier import classifier_records
from microplex.metrics.conditional import conditional_records
from microplex.metrics.distances import distances_records
from microplex.metrics.joint import joint_records
from microplex.metrics.marginal import marginal_records
from microplex.metrics.privacy import privacy_records
from microplex.metrics.tails import tail_records

CLASSIFIER_ROWS, DISTANCE_ROWS, PRIVACY_ROWS = 10_000, 2_500, 5_000


@dataclass(frozen=True)
class Row:
    """A row of the table: the mean distance from `ideal` of the records of a measure, or their mean itself."""

    key: str
    label: str
    measure: str = ""
    detail: str = ""
    ideal: float = 0.0
    as_it_is: bool = False

    def of(self, records: list[Record]) -> float:
        found = [
            r.value for r in records if r.measure == self.measure and r.defined and r.detail.startswith(self.detail)
        ]
        values = np.array(found) if self.as_it_is else np.abs(np.array(found) - self.ideal)
        return float(values.mean()) if found else float("nan")


ROWS = [
    Row("c2st_auc", "C2ST AUC: told apart from real rows (.5 is ideal)", "c2st_auc", ideal=0.5, as_it_is=True),
    Row("c2st_strict_auc", "C2ST AUC, roundness of numbers shown", "c2st_strict_auc", ideal=0.5, as_it_is=True),
    Row("pmse_ratio", "pMSE, multiple of its expectation (1)", "pmse_ratio", ideal=1.0, as_it_is=True),
    Row("energy", "energy distance, rank scale", "energy", as_it_is=True),
    Row("crps_ratio", "CRPS, multiple of real neighbours' (1)", "crps_ratio", ideal=1.0, as_it_is=True),
    Row("coverage_error", "90 % interval coverage, mean error", "coverage_90", ideal=0.9),
    Row("conditional_ks", "KS in condition cells, mean", "conditional_ks"),
    Row("conditional_zero", "zero share in condition cells, mean error", "conditional_zero_share"),
    Row("conditional_mean", "mean in condition cells, SD, mean error", "conditional_mean"),
    Row("ks", "KS, mean of variables", "ks"),
    Row("ks_nonzero", "KS of values other than 0", "ks_nonzero"),
    Row("tvd", "categories, total variation distance", "tvd"),
    Row("zero_error", "share of zeros, mean error", "zero_share"),
    Row("zero_pair_error", "joint zero pattern, mean error", "zero_pair_mean"),
    Row("spearman_error", "Spearman correlations, RMS error", "spearman_rms"),
    Row("pearson_error", "Pearson correlations, RMS error", "pearson_rms"),
    Row("p99_error", "99 % quantile of positive values, log error", "quantile_log_ratio", "p99 of"),
    Row("total_error", "totals, mean relative error", "total"),
    Row("broken", "declared edits broken, share of rows"),
    Row("copy_share", "copies of training rows, of distinctive rows", "identical_share", as_it_is=True),
    Row("dcr_share", "nearer to training than to holdout rows (.5)", "dcr_share", ideal=0.5, as_it_is=True),
    Row("membership_auc", "membership attack, AUC (.5)", "membership_auc", ideal=0.5, as_it_is=True),
    Row("excess_nats", "held-out log-likelihood below the truth, nats a variable"),
    Row("impossible", "held-out rows of probability zero"),
    Row("fit_cpu_s", "fit, CPU seconds"),
    Row("rows_per_cpu_s", "rows generated a CPU second"),
    Row("rss_gb", "peak memory, GB"),
]
"""The rows of the table, best first what is to be read first. CPU and memory come from the worker."""


def judge(problem: Problem, synthetic: pd.DataFrame, holdout: pd.DataFrame, seed: int) -> dict[str, float]:
    """Compare a synthetic table with the test rows, and its nearness to training rows with that to holdout rows."""
    records = compare(problem, synthetic, seed) + memory(problem, synthetic, holdout, seed)
    found = {row.key: row.of(records) for row in ROWS if row.measure}
    if problem.constraints:
        found["broken"] = 1 - np.logical_and.reduce([synthetic.eval(text) for text in problem.constraints]).mean()
    return found


def compare(problem: Problem, synthetic: pd.DataFrame, seed: int) -> list[Record]:
    both = pair(problem.test, synthetic, problem.conditions + problem.targets)
    own = both.select(problem.targets)
    records = marginal_records(own) + tail_records(own) + joint_records(both, problem.targets, seed=seed)
    records += conditional_records(both, problem.conditions, problem.targets, seed=seed)
    records += distances_records(both, max_rows=DISTANCE_ROWS, permutations=0, seed=seed)
    return records + classifier_records(both, problem.conditions, strict=True, max_rows=CLASSIFIER_ROWS, seed=seed)


def memory(problem: Problem, synthetic: pd.DataFrame, holdout: pd.DataFrame, seed: int) -> list[Record]:
    tables = [pair(real, synthetic, problem.targets) for real in (problem.train, holdout)]
    return privacy_records(*tables, max_rows=PRIVACY_ROWS, seed=seed)


Check = tuple[str, Callable[[dict[str, dict[str, float]]], tuple[str, bool]]]


def _beyond(method: str, key: str, times: float = 1.0, plus: float = 0.0) -> Callable:
    def judged(found: dict[str, dict[str, float]]) -> tuple[str, bool]:
        value, floor = found[method][key], found["floor"][key]
        return f"{value:.3g}, floor {floor:.3g}", value > times * floor + plus

    return judged


def _within(method: str, key: str, times: float = 1.0, plus: float = 0.0) -> Callable:
    beyond = _beyond(method, key, times, plus)
    return lambda found: (beyond(found)[0], not beyond(found)[1])


CHECKS: list[Check] = [
    ("resampled rows: copies > 5 x floor", _beyond("resampled rows", "copy_share", 5)),
    ("resampled rows: nearer to training rows, floor + .05", _beyond("resampled rows", "dcr_share", plus=0.05)),
    ("resampled rows: membership found, floor + .05", _beyond("resampled rows", "membership_auc", plus=0.05)),
    ("resampled rows: as faithful as real rows, C2ST <= floor + .03", _within("resampled rows", "c2st_auc", plus=0.03)),
    ("independent columns: C2ST > floor + .25", _beyond("independent columns", "c2st_auc", plus=0.25)),
    ("independent columns: zero pattern > 2 x floor", _beyond("independent columns", "zero_pair_error", 2)),
    ("independent columns: Spearman > 3 x floor", _beyond("independent columns", "spearman_error", 3)),
    ("independent columns: CRPS > floor + .05", _beyond("independent columns", "crps_ratio", plus=0.05)),
    ("independent columns: KS in cells > 1.5 x floor", _beyond("independent columns", "conditional_ks", 1.5)),
    ("independent columns: edits broken", _beyond("independent columns", "broken")),
    ("independent columns: marginals right, KS <= 3 x floor", _within("independent columns", "ks", 3)),
]
"""Where the null methods must lose, and where they must not: a measure that fails here says nothing of the others."""
