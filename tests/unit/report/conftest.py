import numpy as np
import pandas as pd
import pytest

HOSTILE = '<b>pay</b> & "cost" $x_1$'


def people(n, seed):
    """Conditions and targets of every kind: zeros, both signs, few values, categories, missing answers, odd names."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    pay = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(10 + age / 80, 1, n).round(-1))
    return pd.DataFrame(
        {
            "age": age,
            "sex": rng.choice(["f", "m"], n),
            HOSTILE: pay,
            "gains": np.where(rng.random(n) < 0.6, 0.0, rng.normal(0, 5_000, n).round()),
            "children": rng.integers(0, 4, n),
            "state": pd.Categorical(rng.choice(["<script>alert(1)</script>", "b", "c"], n)),
            "rent": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(7, 0.3, n)),
            "weight": rng.gamma(4, 25, n),
        }
    )


@pytest.fixture(scope="package")
def tables():
    """Real, synthetic, training and holdout rows; the pay of the synthetic ones is shuffled."""
    real, synthetic, train, holdout = (people(300, seed) for seed in range(4))
    rng = np.random.default_rng(9)
    synthetic[HOSTILE] = 3 * rng.permutation(synthetic[HOSTILE])
    return real, synthetic, train, holdout


@pytest.fixture(scope="package")
def evaluation(tables):
    pytest.importorskip("sklearn")
    from microplex.metrics.evaluate import evaluate

    real, synthetic, train, holdout = tables
    return evaluate(
        real,
        synthetic,
        ["age", "sex"],
        weight_col="weight",
        train=train,
        holdout=holdout,
        sensitive=["gains"],
        quasi_identifiers=["age", "sex"],
    )


@pytest.fixture(scope="package")
def first(tables, evaluation, tmp_path_factory):
    """The page without options, made once."""
    pytest.importorskip("matplotlib")
    from microplex.report import write_report

    file = tmp_path_factory.mktemp("report") / "report.html"
    write_report(file, *tables[:2], weight_col="weight", evaluation=evaluation)
    return file.read_bytes()


@pytest.fixture
def written(tables, evaluation, first, tmp_path):
    """Write a report of the tables and return its file; with options a new one, otherwise the first."""
    from microplex.report import write_report

    def write(name="report.html", **options):
        file = tmp_path / name
        if options:
            write_report(file, *tables[:2], weight_col="weight", evaluation=evaluation, **options)
        else:
            file.write_bytes(first)
        return file

    return write
