"""The benchmark of fusion, small: its baselines draw what they should, and its measures see what is lost."""

import importlib

import numpy as np
import pandas as pd
import pytest
from acceptance.pages import ROOT

N = 800


@pytest.fixture(scope="module")
def part():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(0)
    age = draw.integers(0, 4, 2 * N)
    x = np.where(draw.random(2 * N) < 0.4, 0.0, np.round(draw.lognormal(3 + age, 0.3)))
    level = pd.Categorical(np.where(draw.random(2 * N) < 0.1 + 0.2 * age, "yes", "no"))
    return pd.DataFrame({"age": age, "x": x, "y": x + draw.integers(0, 9, 2 * N), "level": level})


@pytest.mark.parametrize("name", ["random hot deck", "predictive mean matching", "quantile forest"])
def test_baselines_draw_values_of_donors_and_keep_dependence_on_the_common_variables(part, rows, name):
    train, test = rows[:N], rows[N:].reset_index(drop=True)
    drawn = part("fusion_peers").PEERS[name](train, ["age"], ["x", "y", "level"], 0)(test[["age"]], 1)
    assert set(drawn["x"]) <= set(train["x"])
    assert drawn["level"].dtype == train["level"].dtype
    means = drawn["x"].groupby(test["age"]).mean()
    assert means[3] > 3 * means[0]


def test_cross_block_dependence_is_seen_and_its_loss_too(part, rows):
    halves, blocks = part("fusion_halves"), {"A": ["x"], "B": ["y", "level"]}
    truth = halves.cross(rows, blocks)
    assert truth.shape == (1, 2)
    lost = rows.assign(y=rows["y"].sample(frac=1.0, random_state=0).to_numpy())
    assert halves.apart(truth, halves.cross(lost, blocks)) > 0.5
    assert halves.margins(rows, lost, ["y"]) == 0.0


def test_the_tax_like_survey_selects_by_income_and_weights_make_up_for_it(part):
    surveys = part("fusion_surveys")
    population = surveys.make_population(4_000, seed=0)
    truth = surveys.person_extract(population, top_coded=False)
    sample = surveys.draw(population, truth, "tax", 0.05, 1)
    assert sample["wages"].mean() > 1.2 * truth["wages"].mean()
    assert abs(sample["weight"].sum() / len(truth) - 1) < 0.15
    found = surveys.totals(truth[surveys.COLUMNS["tax"]], truth, {n: sample for n in ("tax", "cps", "acs")})
    assert all(z == 0 for z, _ in found.values())
    assert surveys.top_share(pd.Series([0.0] * 99 + [5.0])) == 1.0


def test_the_command_prints_a_table_and_its_bars(part, capsys):
    text, bars = part("fusion").speed([0], 0.01)
    assert "CPU s" in text
    assert bars[0].what == "fusion over a single fit"


def test_a_bar_is_judged_as_it_is_written_and_the_floor_only_stands_beside_it(part):
    bar = part("fusion").Bar
    assert str(bar("KS A below that of a peer", 0.011, 0.010, 0.012, True)).startswith("MISSED")
    assert not bar("no better than a peer", 0.010, 0.010, 0.012, True).held
    assert bar("at most", 0.010, 0.010).held
    assert "fresh rows  0.0120" in str(bar("KS A", 0.009, 0.010, 0.012, True))
    assert not bar("not measured", float("nan"), 1.0).held
