"""Recipients in the names of their own file, and what a saved fusion keeps of its harmonisation."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.fusion import Harmonisation, MultiSourceFusion
from microplex.fusion.reading import Rows
from microplex.fusion.recipient import warn_beyond
from microplex.schema import Column, Schema

N = 300
PLAN = Harmonisation(
    {
        "age": {"cps": "A_AGE", "acs": "age"},
        "wages": {"cps": {"column": "wages", "factor": 12}},
        "tenure": {"cps": {"column": "H_TENURE", "recode": {1: "own", 2: "rent"}}},
        "rent": {"acs": {"column": "RNTP", "factor": 12}},
        "urban": {"cps": {"column": "URB", "table": "homes", "broadcast": True}},
    },
    weights={"cps": "w", "acs": "w"},
    entities={"cps": "person", "acs": "person", "homes": "household"},
    keys={"cps": "home", "homes": "home"},
)


def cps(seed=0):
    draw = np.random.default_rng(seed)
    age = draw.integers(20, 70, N)
    return pd.DataFrame(
        {
            "A_AGE": age, "wages": 100 * draw.integers(0, 50, N) + age, "H_TENURE": draw.integers(1, 3, N),
            "home": np.arange(N) // 2, "w": 2.0,
        }
    )  # fmt: skip


HOMES = pd.DataFrame({"home": np.arange(N // 2), "URB": np.arange(N // 2) % 3 == 0})


@pytest.fixture(scope="module")
def fusion():
    draw = np.random.default_rng(1)
    acs = pd.DataFrame({"age": draw.integers(20, 70, N), "RNTP": 10 * draw.integers(20, 90, N), "w": 1.0})
    made = MultiSourceFusion(harmonisation=PLAN, epochs=1, n_orders=0)
    return made.fit({"cps": cps(), "acs": acs, "homes": HOMES}, progress=False)


@pytest.mark.parametrize("make", [lambda f: f.set_index(np.arange(9) + 5), pl.from_pandas])
def test_a_recipient_in_its_own_names_keeps_its_columns_and_gets_variables(fusion, make):
    asked = make(cps(3).head(9))
    done = fusion.complete_with_provenance(asked, source="cps", tables={"homes": HOMES}, seed=1)
    assert list(done.frame.columns) == [*asked.columns, "rent"]
    kept = done.frame[list(asked.columns)]
    assert kept.equals(asked)
    assert done.provenance.summary().share("wages", "observed") == 1.0
    same = fusion.complete(
        PLAN.apply_to(cps(3).head(9), "cps", tables={"homes": HOMES}), source="cps", harmonised=True, seed=1
    )
    assert np.array_equal(np.asarray(done.frame["rent"]), same["rent"])


def test_what_a_table_would_have_said_is_drawn_without_it(fusion):
    asked = cps(3).head(9).drop(columns="H_TENURE")
    with pytest.warns(UserWarning, match=r"reads table 'homes' for source 'cps', and it is not given: urban is drawn"):
        done = fusion.complete(asked, source="cps", seed=1)
    assert list(done) == [*asked, "tenure", "urban", "rent"]
    assert set(done["tenure"]) <= {"own", "rent"}


def test_a_column_that_is_not_the_variable_of_its_name_is_not_filled(fusion):
    asked = cps(3).head(9).astype({"wages": float})
    asked.loc[2, "wages"] = np.nan
    with pytest.raises(DataError, match="'wages', which is not the variable 'wages' as the harmonisation reads it"):
        fusion.complete(asked, source="cps", tables={"homes": HOMES})
    done = fusion.complete(PLAN.apply_to(asked, "cps", partial=True), seed=1)
    assert done["wages"].notna().all()


def test_names_and_codes_that_are_not_the_sources_are_refused(fusion):
    with pytest.raises(ColumnNotFoundError, match="no column of source 'acs'"):
        fusion.complete(cps(3).head(9), source="acs")
    with pytest.raises(DataError, match="codes without a recode: 7"):
        fusion.complete(cps(3).head(9).assign(H_TENURE=7), source="cps")
    with pytest.raises(ParameterError, match="tables are read where"):
        fusion.complete(PLAN.apply_to(cps(3), "cps", partial=True), tables={"homes": HOMES})


def test_rows_that_would_become_other_rows_are_refused():
    plan = Harmonisation(
        {
            "size": {"cps": {"column": "one", "aggregate": "count"}, "acs": "NP"},
            "wages": {"cps": {"column": "wages", "aggregate": "sum"}}, "rent": {"acs": "RNTP"},
        },
        entities={"cps": "person", "acs": "household"}, entity="household", keys={"cps": "home", "acs": "home"},
    )  # fmt: skip
    people = cps().assign(one=1)
    homes = pd.DataFrame({"home": np.arange(N), "NP": 2 + np.arange(N) % 2, "RNTP": 10 * (np.arange(N) % 40)})
    made = MultiSourceFusion(harmonisation=plan, accepted=["size"], epochs=1, n_orders=0)
    made.fit({"cps": people, "acs": homes}, progress=False)
    with pytest.raises(DataError, match="a row of source 'cps' is a person and one of the fusion a household"):
        made.complete(people.head(8), source="cps")
    done = made.complete(plan.apply_to(people.head(8), "cps"), source="cps", harmonised=True, seed=1)
    assert len(done) == 4


def test_a_saved_fusion_keeps_its_harmonisation(fusion, tmp_path):
    fusion.save(tmp_path / "model")
    again = MultiSourceFusion.load(tmp_path / "model")
    assert again.harmonisation == PLAN  # codes are numbers still
    asked = cps(3).head(9)
    given = {"source": "cps", "tables": {"homes": HOMES}, "seed": 1}
    pd.testing.assert_frame_equal(again.complete(asked, **given), fusion.complete(asked, **given))


def test_tables_that_nothing_reads_are_refused(fusion):
    with pytest.raises(DataError, match=r"tables: unknown table 'hom'\. Did you mean 'homes'\? Known: homes, cps, acs"):
        fusion.complete(cps(3).head(9), source="cps", tables={"hom": HOMES})


def test_tables_of_other_sources_may_be_given_too(fusion):
    done = fusion.complete(pd.DataFrame({"age": [30], "RNTP": [400]}), source="acs", tables={"homes": HOMES}, seed=1)
    assert list(done) == ["age", "RNTP", "wages", "tenure", "urban"]


def test_a_recipient_in_the_names_of_a_source_that_is_not_named_is_refused(fusion):
    asked = cps(3).head(9)
    with pytest.raises(ParameterError, match=r"reads of source 'cps'.*A_AGE \('age'\), H_TENURE.*Say source='cps'"):
        fusion.complete(asked)
    with pytest.raises(ParameterError, match="Say source='acs'"):
        fusion.complete(pd.DataFrame({"age": [30], "RNTP": [400]}))
    lacking = asked.drop(columns="wages").rename(columns={"A_AGE": "age"})
    assert list(fusion.complete(lacking, seed=1)) == [*lacking, "wages", "tenure", "urban", "rent"]
    both = PLAN.apply_to(asked, "cps", tables={"homes": HOMES}).join(asked.drop(columns=["wages", "w"]))
    assert list(fusion.complete(both, seed=1)) == [*both, "rent"]  # it has the variables


@pytest.mark.parametrize("saved", [False, True])
def test_numbers_far_outside_those_of_training_are_noticed(fusion, saved, tmp_path):
    asked = pd.DataFrame({"age": [30, 40, 50, 60], "rent": [400_000, 300_000, 5_000, 6_000]})
    if saved:
        fusion.save(tmp_path / "model")
        fusion = MultiSourceFusion.load(tmp_path / "model")
    with pytest.warns(UserWarning, match="far outside what was learnt from") as caught:
        fusion.complete(asked, seed=1)
    (warning,) = caught
    text = str(warning.message)
    assert "'rent': 50% of its values, which run from 5,000 to 400,000; in training from 2,4" in text
    assert text.endswith("If the recipient is in the codes of one of the sources, say source=.")


def test_a_few_numbers_outside_those_of_training_are_not_remarkable(fusion):
    age = np.full(100, 40)
    age[:5] = 90
    fusion.complete(pd.DataFrame({"age": age}), seed=1)
    age[5] = 90
    with pytest.warns(UserWarning, match="'age': 6% of its values, which run from 40 to 90; in training from 20 to 69"):
        fusion.complete(pd.DataFrame({"age": age}), seed=1)


def test_other_samples_of_a_small_source_are_seldom_outside():
    """Fifty values leave four percent of their law outside their range on average; only the rare case is told."""
    draw = np.random.default_rng(5)
    schema = Schema((Column("x", "continuous", "float"),))
    told = 0
    for _ in range(300):
        train, new = draw.normal(size=50), draw.normal(size=40)
        rows = Rows({"x": new}, {"x": np.ones(40, bool)}, 40)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_beyond({"x": (train.min(), train.max(), 50)}, rows, schema, False)
        told += len(caught)
    assert told <= 9
