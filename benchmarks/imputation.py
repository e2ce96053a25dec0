"""Imputation judged by simulation: are intervals from completed files right as often as they claim?

Each simulation draws a file of known law, hides 30% of three columns at random given the others (MAR), completes it
`m` times by every method, estimates a linear regression on each completed file and combines by Rubin's rules. Reported
by method: share of 95% intervals that hold the true coefficient, bias in standard errors of the answer from the file
without gaps, width of the intervals relative to it, and CPU seconds.

    python -m benchmarks.imputation --simulations 200 --rows 500 --methods microplex,hot-deck,pmm,mice-trees,forest
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import t as student

from microplex.imputation import Imputer, combine

TRUTH = np.array([0.0, -0.4, 0.6, 0.5, 0.0, 0.3])
NAMES = ("1", "x", "y1", "z", "g=1", "g=2")
GAPPY = {"y1": 1.0, "z": -0.8, "y2": 0.8}
SHARE, TURNS, DONORS = 0.3, 5, 5
COVERAGE, BIAS = (0.92, 0.98), 0.1


def simulate(n, rng):
    """A file of two complete and three gappy columns, and the same with its gaps."""
    x, g = rng.normal(size=n), rng.integers(0, 3, n)
    y1 = 0.5 * x + 0.4 * (g == 1) - 0.3 * (g == 2) + 0.8 * rng.normal(size=n)
    z = rng.random(n) < 1 / (1 + np.exp(-(0.8 * y1 - 0.5 * x)))
    y2 = 0.6 * y1 - 0.4 * x + 0.5 * z + 0.3 * (g == 2) + rng.normal(size=n)
    whole = pd.DataFrame({"x": x, "g": g.astype(str), "y1": y1, "z": np.where(z, "yes", "no"), "y2": y2})
    holed = whole.copy()
    for name, slope in GAPPY.items():
        odds = np.exp(slope * x + 0.4 * (g == 1))
        chance = odds / (1 + odds)
        hidden = np.argsort(np.log(rng.random(n)) / chance)[-round(SHARE * n) :]
        holed.loc[hidden, name] = np.nan
    return whole, holed


def regress(file):
    """Coefficients of y2 on the others, and their squared standard errors."""
    columns = [np.ones(len(file)), file["x"], file["y1"], file["z"] == "yes", file["g"] == "1", file["g"] == "2"]
    design, y = np.column_stack(columns).astype(float), file["y2"].to_numpy(float)
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ y
    rest = y - design @ beta
    return beta, np.diag(inverse) * (rest @ rest) / (len(y) - design.shape[1])


def microplex(holed, m, seed):
    """The imputer, as it comes."""
    return Imputer(m=m, seed=seed).fit_transform(holed, seed=seed).datasets


def hot_deck(holed, m, seed):
    """Random donors for each cell."""
    rng = np.random.default_rng(seed)
    return [_chained(holed, rng, 1, lambda X, y, have, want: rng.choice(y[have], want.sum())) for _ in range(m)]


def pmm(holed, m, seed):
    """Chained predictive mean matching (Little, 1988; van Buuren, 2018): five donors, regressions on a bootstrap."""
    rng = np.random.default_rng(seed)

    def draw(X, y, have, want):
        design = np.column_stack([np.ones(len(X)), X])
        rows = rng.choice(np.flatnonzero(have), have.sum())
        fit = np.linalg.lstsq(design[have], y[have], rcond=None)[0]
        other = np.linalg.lstsq(design[rows], y[rows], rcond=None)[0]
        far = np.abs((design[want] @ other)[:, None] - (design[have] @ fit)[None, :])
        near = np.argpartition(far, DONORS, axis=1)[:, :DONORS]
        return y[have][near[np.arange(len(near)), rng.integers(0, DONORS, len(near))]]

    return [_chained(holed, rng, TURNS, draw) for _ in range(m)]


def mice_trees(holed, m, seed):
    """Chained equations with trees: a donor from the leaf (Doove, van Buuren and Dusseldorp, 2014)."""
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(seed)

    def draw(X, y, have, want):
        tree = DecisionTreeRegressor(min_samples_leaf=5, random_state=int(rng.integers(2**31)))
        rows = rng.choice(np.flatnonzero(have), have.sum())
        return _from_leaves([tree.fit(X[rows], y[rows])], X[rows], y[rows], X[want], rng)

    return [_chained(holed, rng, TURNS, draw) for _ in range(m)]


def forest(holed, m, seed):
    """Sequential quantile forests (Meinshausen, 2006): each gappy column given those before it, once."""
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(seed)

    def draw(X, y, have, want):
        trees = RandomForestRegressor(50, min_samples_leaf=5, max_features=0.5, random_state=int(rng.integers(2**31)))
        rows = np.flatnonzero(have)
        return _from_leaves(trees.fit(X[rows], y[rows]).estimators_, X[rows], y[rows], X[want], rng)

    return [_chained(holed, rng, 1, draw, before=True) for _ in range(m)]


def _from_leaves(trees, X, y, asked, rng):
    """For each asked row a random training row of its leaf in a random tree."""
    out = np.empty(len(asked))
    chosen = rng.integers(0, len(trees), len(asked))
    for t, tree in enumerate(trees):
        rows = np.flatnonzero(chosen == t)
        if len(rows):
            leaves, own = tree.apply(X), tree.apply(asked[rows])
            for leaf in np.unique(own):
                at = rows[own == leaf]
                out[at] = rng.choice(y[leaves == leaf], len(at))
    return out


def _chained(holed, rng, turns, draw, before=False):
    """Complete a file column by column; the gaps start as random donors."""
    plain = pd.DataFrame({"x": holed["x"], "g1": holed["g"] == "1", "g2": holed["g"] == "2", "y1": holed["y1"]})
    plain["z"] = (holed["z"] == "yes").where(holed["z"].notna())
    plain["y2"] = holed["y2"]
    plain = plain.astype(float)
    gaps = {name: plain[name].isna().to_numpy() for name in GAPPY}
    for name, gap in gaps.items():
        plain.loc[gap, name] = rng.choice(plain[name].to_numpy()[~gap], gap.sum())
    for _ in range(turns):
        for place, (name, gap) in enumerate(gaps.items()):
            later = list(gaps)[place:] if before else [name]
            X, y = plain.drop(columns=later).to_numpy(), plain[name].to_numpy()
            plain.loc[gap, name] = draw(X, y, ~gap, gap)
    return holed.assign(y1=plain["y1"], z=np.where(plain["z"] > 0.5, "yes", "no"), y2=plain["y2"])


METHODS = {"microplex": microplex, "hot-deck": hot_deck, "pmm": pmm, "mice-trees": mice_trees, "forest": forest}


def judge(method, simulations, rows, m, first=0, report=None):
    """Coverage, bias in complete-data standard errors, relative width, CPU seconds a file; arrays by coefficient."""
    found, start = [], time.process_time()
    for s in range(first, first + simulations):
        rng = np.random.default_rng([20_240, s])
        whole, holed = simulate(rows, rng)
        if method == "complete-cases":
            beta, variance = regress(holed.dropna())
            low_high = student.ppf(0.975, len(holed.dropna()) - len(TRUTH)) * np.sqrt(variance)
        else:
            answers = [regress(file) for file in METHODS[method](holed, m, s)]
            both = combine([q for q, _ in answers], [u for _, u in answers], n_complete=rows - len(TRUTH))
            beta, low_high = both.estimate, both.interval()[1] - both.estimate
        full, full_variance = regress(whole)
        half = student.ppf(0.975, rows - len(TRUTH)) * np.sqrt(full_variance)
        inside = np.abs(beta - TRUTH) <= low_high
        found.append(np.stack([inside, (beta - full) / np.sqrt(full_variance), low_high / half]))
        if report is not None:
            report(s, found[-1])
    values = np.array(found, float)
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values)), (time.process_time() - start) / simulations


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--m", type=int, default=5)
    parser.add_argument("--methods", default="microplex,complete-cases,hot-deck,pmm,mice-trees,forest")
    asked = parser.parse_args()
    print(
        f"{asked.simulations} simulations of {asked.rows} rows, {SHARE:.0%} of {', '.join(GAPPY)} hidden; m={asked.m}"
    )
    titles = ("method", "coverage", "lowest", "bias/se", "+-", "width", "CPU s")
    print("{:<16}{:>9}{:>8}{:>9}{:>6}{:>7}{:>8}".format(*titles), " bias/se by coefficient")
    for method in asked.methods.split(","):
        mean, error, seconds = judge(method, asked.simulations, asked.rows, asked.m)
        worst = np.argmax(np.abs(mean[1]))
        shown = " ".join(f"{name} {b:+.2f}" for name, b in zip(NAMES, mean[1], strict=True))
        print(
            f"{method:<16}{mean[0].mean():>9.3f}{mean[0].min():>8.3f}{mean[1][worst]:>9.3f}{error[1][worst]:>6.2f}"
            f"{mean[2].mean():>7.2f}{seconds:>8.2f}  {shown}",
            flush=True,
        )
        if method == "microplex":
            print(verdict(mean, error))


def verdict(mean, error):
    """What became of the bars."""
    covered = COVERAGE[0] <= mean[0].min() and mean[0].max() <= COVERAGE[1]
    near, sure = np.abs(mean[1]).max() < BIAS, (np.abs(mean[1]) < BIAS + 2 * error[1]).all()
    doubt = "" if near else " (within two of its own standard errors of it)" if sure else " (clearly)"
    return (
        f"  bars: coverage of every coefficient {COVERAGE[0]} to {COVERAGE[1]}: {'met' if covered else 'missed'}; "
        f"bias of every coefficient under {BIAS}: {'met' if near else 'missed'}{doubt}"
    )


if __name__ == "__main__":
    main()
