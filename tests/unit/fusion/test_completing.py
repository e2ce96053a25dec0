import numpy as np
import pandas as pd
import pytest
from scipy import stats

from microplex._random import row_keys, uniforms
from microplex.encoding import score_rows
from microplex.fusion import MultiSourceFusion
from microplex.fusion.completing import complete_rows
from microplex.fusion.coupling import Links
from microplex.fusion.intake import empty_rows, read_recipient
from microplex.fusion.walking import walk

N = 1_000


def people(seed):
    draw = np.random.default_rng(seed)
    age = draw.integers(20, 70, N)
    home = np.where(draw.random(N) < 0.2 + age / 100, "own", "rent")
    wages = np.where(draw.random(N) < 0.3, 0.0, np.round(draw.lognormal(8 + age / 50, 0.5, N)))
    car = np.where(draw.random(N) < np.where(home == "own", 0.9, 0.2), "yes", "no")
    return pd.DataFrame({"age": age, "home": home, "wages": wages, "car": car})


@pytest.fixture(scope="module")
def fusion():
    sources = {
        "a": people(0)[["age", "home", "wages"]],
        "b": people(1)[["age", "car"]],
        "aux": people(2)[["age", "home", "car"]],
    }
    return MultiSourceFusion(epochs=10, n_orders=0).fit(sources)


def test_what_is_observed_is_scored_as_the_law_scores_it(fusion):
    law = fusion.laws_[3]
    assert law.block.targets == ("wages",)
    rows = read_recipient(people(5)[["age", "home", "wages"]], fusion.schema_)
    u = uniforms(0, row_keys(np.arange(N)), 1, 1 + 2 * len(law.targets))
    given = law.given(rows, None)
    steps = walk(law, given, rows.values, rows.seen, u)
    expected = score_rows(law.encoder, law.ensemble, given | {"wages": rows.values["wages"]}, N)
    assert np.isfinite(expected).mean() > 0.99
    assert np.allclose(steps.log_weight[np.isfinite(expected)], expected[np.isfinite(expected)], atol=1e-9)


def test_normal_scores_of_drawn_rows_are_standard_and_stay_so_when_scored(fusion):
    law = fusion.laws_[3]
    rows = read_recipient(fusion.complete(people(5)[["age", "home"]], seed=4), fusion.schema_)
    u = uniforms(7, row_keys(np.arange(N)), 1, 1 + 2 * len(law.targets))
    steps = walk(law, law.given(rows, None), rows.values, rows.seen, u)
    assert stats.kstest(steps.scores[:, 0], "norm").pvalue > 0.001


def test_what_comes_before_is_drawn_given_what_comes_after(fusion):
    asked = pd.DataFrame({"age": np.full(3_000, 40), "car": "yes"})
    done = fusion.complete_with_provenance(asked, seed=3)
    assert done.resampling.n_rows == len(asked)
    both = pd.DataFrame({"age": 40, "home": ["own", "rent"], "car": "yes", "wages": np.nan})
    joint = np.exp([law_of(fusion, "home", both), law_of(fusion, "car", both)]).prod(axis=0)
    expected = joint[0] / joint.sum()
    assert (done.frame["home"] == "own").mean() == pytest.approx(expected, abs=4 * np.sqrt(0.25 / len(asked)))
    without = fusion.complete(asked[["age"]], seed=3)
    assert (without["home"] == "own").mean() < expected - 0.08


def law_of(fusion, name, frame):
    law = next(law for law in fusion.laws_ if name in law.block.targets)
    rows = read_recipient(frame, fusion.schema_)
    values = law.given(rows, None) | {v: rows.values[v] for v in law.block.targets}
    return score_rows(law.encoder, law.ensemble, values, rows.n)


def test_a_row_is_the_same_in_any_company_and_any_chunks(fusion):
    asked = people(6)[["age", "home", "car"]].astype({"age": float}).assign(id=np.arange(N)[::-1])
    asked.loc[::3, "home"] = None
    asked.loc[::5, "car"] = None
    asked.loc[::7, "age"] = np.nan
    asked = asked[asked[["age", "home", "car"]].notna().any(axis=1)]
    whole = fusion.complete(asked, seed=2, id_col="id")
    shuffled = asked.sample(frac=1.0, random_state=0)
    again = fusion.complete(shuffled, seed=2, id_col="id").sort_index()
    parts = pd.concat(
        [fusion.complete(asked[:101], seed=2, id_col="id"), fusion.complete(asked[101:], seed=2, id_col="id")]
    )
    pd.testing.assert_frame_equal(whole, again)
    pd.testing.assert_frame_equal(whole, parts)
    assert not whole.equals(fusion.complete(asked, seed=3, id_col="id"))


def test_chunks_by_position_need_the_place_of_their_first_row(fusion):
    whole = fusion.generate(50, seed=1)
    pd.testing.assert_frame_equal(fusion.generate(20, seed=1, first_row=30), whole[30:].reset_index(drop=True))


def test_nothing_is_resampled_where_nothing_comes_after(fusion):
    rows = empty_rows(fusion.schema_, 5)
    _, found = complete_rows(fusion.laws_, Links.none(), rows, row_keys(np.arange(5)), 0)
    assert (found.n_rows, found.smallest_share) == (0, 1.0)


def test_draws_keep_to_what_is_observed_later():
    """A missing whole beside its observed part: each draw is at least the part, and none is wasted on others."""
    draw = np.random.default_rng(0)
    whole = np.round(draw.lognormal(5, 1, 600))
    a = pd.DataFrame({"age": np.arange(600) % 40, "whole": whole, "part": np.floor(whole * draw.random(600))})
    b = pd.DataFrame({"age": np.arange(600) % 40, "rent": draw.integers(1, 50, 600)})
    model = MultiSourceFusion(constraints=["part <= whole"], epochs=3, n_orders=0).fit({"a": a, "b": b})
    asked = a[["age", "part"]].sort_values("part").tail(200)
    done = model.complete_with_provenance(asked, seed=0)
    assert (done.frame["whole"] >= done.frame["part"]).all()
    assert done.resampling.n_impossible == 0
    assert done.resampling.n_rows == 200
