"""What a synthetic table is judged by. Lower is better, but for `c2st_auc` and `dcr_share`, where .5 is ideal."""

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import NearestNeighbors

from benchmarks.problems import Problem

LABELS = {
    "c2st_auc": "told apart from real rows (classifier AUC; .5 is ideal)",
    "ks": "KS distance, mean of variables",
    "zero_error": "share of zeros, mean error",
    "zero_pair_error": "joint zero pattern, mean error",
    "spearman_error": "Spearman correlations, RMS error",
    "p99_error": "99% quantile of positive values, mean log error",
    "broken": "declared edits broken, share of rows",
    "copy_share": "exact copies of training rows",
    "dcr_share": "nearer to training than to test rows (.5 is ideal)",
    "excess_nats": "held-out log-likelihood below the truth, nats a variable",
    "impossible": "held-out rows of probability zero",
    "fit_cpu_s": "fit, CPU seconds",
    "rows_per_cpu_s": "rows generated a CPU second",
}
NEIGHBOUR_ROWS = 2_000
MIN_POSITIVE = 100


def judge(problem: Problem, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    """Compare a synthetic table with the test rows."""
    found = marginals(problem, synthetic) | dependence(problem, synthetic) | privacy(problem, synthetic, seed)
    found["c2st_auc"] = classifier_auc(problem, synthetic, seed)
    if problem.constraints:
        found["broken"] = 1 - np.logical_and.reduce([synthetic.eval(text) for text in problem.constraints]).mean()
    return found


def marginals(problem, synthetic):
    ks, zeros, tails = [], [], []
    for name in problem.numeric:
        real, drawn = problem.test[name].to_numpy(float), synthetic[name].to_numpy(float)
        ks.append(ks_2samp(real, drawn, method="asymp").statistic)
        zeros.append(abs(np.mean(real == 0) - np.mean(drawn == 0)))
        if min(np.sum(real > 0), np.sum(drawn > 0)) >= MIN_POSITIVE:
            tails.append(abs(np.log(np.quantile(drawn[drawn > 0], 0.99) / np.quantile(real[real > 0], 0.99))))
    return {"ks": np.mean(ks), "zero_error": np.mean(zeros), "p99_error": np.mean(tails)}


def dependence(problem, synthetic):
    """Over pairs of numbers with a target among them; over pairs of numeric targets for zeros."""
    of_test, of_drawn = problem.test[problem.numeric] != 0, synthetic[problem.numeric] != 0
    pairs = np.triu_indices(len(problem.numeric), 1)
    together = [(z.T.astype(float) @ z.astype(float) / len(z)).to_numpy()[pairs] for z in (of_test, of_drawn)]
    numbers = problem.numeric + list(problem.train[problem.conditions].select_dtypes("number"))
    first, second = np.triu_indices(len(numbers), 1)
    with_target = first < len(problem.numeric)
    spearman = [t[numbers].corr("spearman").to_numpy()[first, second] for t in (problem.test, synthetic)]
    return {
        "zero_pair_error": np.abs(together[0] - together[1]).mean(),
        "spearman_error": np.sqrt(np.mean((spearman[0] - spearman[1])[with_target] ** 2)),
    }


def classifier_auc(problem, synthetic, seed):
    """Boosted trees, five folds. Rows of equal conditions share one, or a row would be told by its real twin."""
    names = problem.conditions + problem.targets
    both = pd.concat([problem.test[names], synthetic[names]], ignore_index=True).astype(problem.test[names].dtypes)
    is_drawn = np.arange(len(both)) >= len(problem.test)
    group = both.groupby(problem.conditions, observed=True, sort=False).ngroup()
    score = np.empty(len(both))
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(both, is_drawn, group):
        classifier = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
        score[test] = classifier.fit(both.iloc[train], is_drawn[train]).predict_proba(both.iloc[test])[:, 1]
    return roc_auc_score(is_drawn, score)


def privacy(problem, synthetic, seed):
    """Copies among rows with two distinct amounts or more; nearest neighbours on the ranks of the targets."""
    amounts = synthetic[problem.numeric].to_numpy(float)
    telling = np.array([len(set(row[row != 0])) >= 2 for row in amounts])
    known = set(_keys(problem, problem.train))
    copies = np.mean([key in known for key in _keys(problem, synthetic[telling])]) if telling.any() else 0.0
    rng = np.random.default_rng(seed)
    place = _places(problem)
    size = min(len(problem.train), len(problem.test))
    rows = place(synthetic.iloc[rng.permutation(len(synthetic))[:NEIGHBOUR_ROWS]])
    near, far = (
        NearestNeighbors(n_neighbors=1, algorithm="brute")
        .fit(place(table.iloc[rng.permutation(len(table))[:size]]))
        .kneighbors(rows)[0][:, 0]
        for table in (problem.train, problem.test)
    )
    return {"copy_share": copies, "dcr_share": np.mean((near < far - 1e-7) + 0.5 * (np.abs(near - far) <= 1e-7))}


def _keys(problem, frame):
    plain = frame[problem.targets].astype(dict.fromkeys(problem.numeric, float))
    levels = [name for name in problem.targets if name not in problem.numeric]
    return pd.util.hash_pandas_object(plain.astype(dict.fromkeys(levels, str)), index=False)


def _places(problem):
    """Points of rows: ranks among the training rows, with unit variance, and an indicator a level."""

    def place(frame):
        columns = []
        for name in problem.targets:
            known, values = problem.train[name], frame[name]
            if name in problem.numeric:
                ordered = np.sort(known.to_numpy(float))
                ends = [np.searchsorted(ordered, values.to_numpy(float), side) for side in ("left", "right")]
                columns.append(np.sqrt(12) * (sum(ends) / (2 * len(ordered)) - 0.5))
            else:
                columns += [(values == level).to_numpy(float) for level in known.cat.categories]
        return np.column_stack(columns)

    return place
