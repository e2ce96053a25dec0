import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from microplex.errors import (
    ColumnNotFoundError,
    ConstraintError,
    DataError,
    ModelFormatError,
    NotFittedError,
    ParameterError,
    SchemaError,
)
from microplex.fusion import Harmonisation, MultiSourceFusion
from microplex.schema import Column, Schema

N = 400


def people(seed, n=N):
    draw = np.random.default_rng(seed)
    age = draw.integers(20, 70, n)
    wages = np.where(draw.random(n) < 0.3, 0, np.round(draw.lognormal(8 + age / 50, 0.5, n)))
    bonus = np.round(wages * draw.random(n) * 0.2)
    rent = np.round(draw.lognormal(6 + age / 100, 0.3, n), -1)
    home = np.where(draw.random(n) < age / 100, "own", "rent")
    return pd.DataFrame({"age": age, "wages": wages, "bonus": bonus, "rent": rent, "home": home})


CPS, ACS = people(0)[["age", "wages", "bonus"]], people(1)[["age", "rent", "home"]]
SOURCES = {"cps": CPS, "acs": ACS}
QUICK = {"epochs": 2, "n_orders": 0}


@pytest.fixture(scope="module")
def fusion():
    return MultiSourceFusion(constraints=["bonus <= wages"], **QUICK).fit(SOURCES)


def test_a_file_keeps_what_it_has_bit_for_bit_and_gets_what_it_lacks(fusion):
    asked = CPS.assign(note="kept").set_index(np.arange(N) + 7)
    done = fusion.complete(asked, seed=1)
    pd.testing.assert_frame_equal(done[asked.columns], asked)
    assert list(done.columns) == [*asked.columns, "rent", "home"]
    assert done[["rent", "home"]].notna().all().all()


def test_missing_cells_are_filled_and_the_others_kept(fusion):
    asked = CPS.head(50).astype(float)
    asked.loc[10:19, "bonus"] = np.nan
    done = fusion.complete_with_provenance(asked, seed=1)
    kept = asked["bonus"].notna()
    assert (done.frame["bonus"][kept] == asked["bonus"][kept]).all()
    assert (done.frame["bonus"] <= done.frame["wages"]).all()
    assert done.provenance.summary().share("bonus", "imputed", "cps") == pytest.approx(0.2)
    assert done.provenance.summary().share("rent", "imputed", "acs") == 1.0


def test_shares_of_a_source_that_there_is_not_are_refused(fusion):
    summary = fusion.complete_with_provenance(CPS.head(5), seed=1).provenance.summary()
    assert summary.share("rent", "imputed", "cps") == 0.0
    with pytest.raises(ParameterError, match=r"source must be one of .*'acs'.*got 'asc'\. Did you mean 'acs'"):
        summary.share("rent", "imputed", "asc")


def test_constraints_hold_between_what_some_source_observes_together(fusion):
    drawn = fusion.generate(2_000, seed=1)
    assert (drawn["bonus"] <= drawn["wages"]).all()


def test_a_constraint_between_what_no_source_observes_together_is_refused():
    with pytest.raises(ConstraintError, match="no source observes both"):
        MultiSourceFusion(constraints=["rent <= wages"], **QUICK).fit(SOURCES)


@pytest.mark.parametrize("make", [pl.from_pandas, lambda frame: pa.Table.from_pandas(frame, preserve_index=False)])
def test_other_kinds_of_frames_come_back_as_they_came(fusion, make):
    done = fusion.complete(make(CPS.head(5)), seed=1)
    assert type(done) is type(make(CPS.head(5)))
    plain = done.to_pandas()
    assert np.array_equal(plain["rent"], fusion.complete(CPS.head(5), seed=1)["rent"])


def test_what_one_source_says_of_its_variables_is_not_learnt_from_the_other():
    """Conditional independence is a matter of structure: no value of wages can reach the law of rent."""
    shuffled = CPS.assign(wages=CPS["wages"].sample(frac=1.0, random_state=0).to_numpy())
    laws = []
    for cps in (CPS, shuffled):
        laws.append(
            MultiSourceFusion(target_vars=["wages", "rent", "home"], **QUICK).fit({"cps": cps, "acs": ACS}).laws_[2]
        )
    for name, array in laws[0].ensemble.members[0].network.to_arrays().items():
        assert np.array_equal(array, laws[1].ensemble.members[0].network.to_arrays()[name])


def test_what_is_hidden_in_missing_cells_changes_nothing(fusion):
    hidden = CPS.astype(float).assign(wages=CPS["wages"].where(CPS.index % 4 > 0))
    one = MultiSourceFusion(target_vars=["wages", "rent"], **QUICK).fit({"cps": hidden, "acs": ACS})
    assert one.laws_[1].report.n_rows == (CPS.index % 4 > 0).sum()


def test_association_moves_dependence_and_leaves_the_law_of_each(fusion):
    asked = pd.DataFrame({"age": np.full(4_000, 45)})
    found = {a: fusion.complete(asked, seed=1, association={("wages", "rent"): a}) for a in (-1.0, 0.0, 1.0)}
    rho = {a: frame[["wages", "rent"]].corr("spearman").iloc[0, 1] for a, frame in found.items()}
    assert rho[-1.0] < -0.8 < -0.1 < rho[0.0] < 0.1 < 0.8 < rho[1.0]
    for name in ("wages", "rent"):
        means = [frame[name].mean() for frame in found.values()]
        error = found[0.0][name].std() / np.sqrt(len(asked))
        assert np.ptp(means) < 4 * error


def test_association_follows_what_the_recipient_observes(fusion):
    asked = people(3, 3_000)[["age", "wages"]].assign(age=45)
    free, tied = (fusion.complete(asked, seed=1, association=a) for a in (None, {("wages", "rent"): 0.9}))
    assert abs(free[["wages", "rent"]].corr("spearman").iloc[0, 1]) < 0.08
    assert tied[["wages", "rent"]].corr("spearman").iloc[0, 1] > 0.6


def test_bounds_hold_what_association_reaches(fusion):
    asked = pd.DataFrame({"age": people(4)["age"]})
    bounds = fusion.bounds(asked, "wages", "rent", seed=2)
    reached = [
        fusion.complete(asked, seed=s, association={("wages", "rent"): a})[["wages", "rent"]].corr().iloc[0, 1]
        for a in (-1.0, 1.0)
        for s in range(3)
    ]
    assert bounds.lower - 0.1 < min(reached) < bounds.independent < max(reached) < bounds.upper + 0.1


def test_bounds_are_for_what_the_sources_leave_open(fusion):
    with pytest.raises(ParameterError, match="observed together"):
        fusion.bounds(CPS, "wages", "bonus")
    with pytest.raises(ParameterError, match="two numbers or two categories"):
        fusion.bounds(CPS, "wages", "home")
    with pytest.raises(DataError, match="weight column 'name' must hold numbers"):
        fusion.bounds(CPS.assign(name="Ann"), "wages", "rent", weight_col="name", n_draws=2)


def test_a_saved_model_is_the_same_model(fusion, tmp_path):
    fusion.save(tmp_path / "model")
    again = MultiSourceFusion.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.generate(30, seed=3), fusion.generate(30, seed=3))
    assert again.assumptions_ == fusion.assumptions_
    assert str(again.report_) == str(fusion.report_)
    assert str(again.coverage_) == str(fusion.coverage_)


def test_a_damaged_model_is_refused(fusion, tmp_path):
    fusion.save(tmp_path / "model")
    path = tmp_path / "model" / "manifest.json"
    path.write_text(path.read_text().replace('"marks"', '"masks"'))
    with pytest.raises(ModelFormatError, match="damaged"):
        MultiSourceFusion.load(tmp_path / "model")


def test_the_report_says_who_observed_what(fusion):
    text = str(fusion.report_)
    assert "wages, bonus: from cps (400 rows) given age" in text
    assert "assumed: wages, bonus (from cps) and rent, home (from acs) are independent given age" in text


def test_a_harmonised_fusion():
    plan = Harmonisation(
        {
            "age": {"cps": "A_AGE", "acs": "age"},
            "wages": {"cps": "WSAL"},
            "rent": {"acs": {"column": "rent", "factor": 12}},
        },
        weights={"cps": "w", "acs": "w"},
    )
    cps = CPS.rename(columns={"age": "A_AGE", "wages": "WSAL"}).assign(w=2.0)
    made = MultiSourceFusion(harmonisation=plan, **QUICK).fit({"cps": cps, "acs": ACS.assign(w=1.0)})
    assert made.schema_.names == ("age", "wages", "rent")
    assert made.generate(200, seed=0)["rent"].median() > 6 * ACS["rent"].median()


def test_an_authority_gives_its_law():
    high = people(2)[["age", "wages"]].assign(wages=lambda f: f["wages"] * 10)
    sources = {"cps": CPS, "tax": high}
    asked = pd.DataFrame({"age": people(5)["age"]})
    drawn = {}
    for name in ("cps", "tax"):
        made = MultiSourceFusion(
            ["age"], ["wages"], authority={"wages": name}, accepted=["wages"], epochs=8, n_orders=0
        )
        drawn[name] = made.fit(sources).complete(asked, seed=1)["wages"].mean()
    assert drawn["tax"] > 5 * drawn["cps"]


def test_the_law_of_a_source_can_be_asked_for_where_several_observe_a_block():
    high = people(2)[["age", "wages"]].assign(wages=lambda f: f["wages"] * 10)
    made = MultiSourceFusion(["age"], ["wages"], accepted=["wages"], epochs=40, n_orders=0).fit(
        {"cps": CPS, "tax": high}
    )
    asked = pd.DataFrame({"age": people(5)["age"]})
    means = {source: made.complete(asked, source=source, seed=1)["wages"].mean() for source in ("cps", "tax", None)}
    assert means["cps"] < means[None] < means["tax"]
    done = made.complete_with_provenance(asked, source="tax", seed=1)
    assert done.provenance.summary().share("wages", "imputed", "tax") == 1.0


def test_missing_values_that_are_outcomes_are_kept_and_learnt():
    married = people(1).assign(partner=lambda f: np.where(f["age"] % 2 == 0, f["rent"], np.nan))[["age", "partner"]]
    schema = Schema((Column("partner", "continuous", "float", missing="level", resolution=10.0, lower=0.0),))
    made = MultiSourceFusion(schema=schema, epochs=30, n_orders=0).fit({"cps": CPS, "acs": married})
    drawn = made.generate(1_000, seed=0)
    assert 0.3 < drawn["partner"].isna().mean() < 0.7
    done = made.complete_with_provenance(married.head(20), seed=0)
    pd.testing.assert_series_equal(done.frame["partner"], married["partner"].head(20))
    assert done.provenance.summary().share("partner", "observed") == 1.0


@pytest.mark.parametrize(
    ("sources", "options", "error", "text"),
    [
        ({"cps": CPS}, {}, ParameterError, "at least two sources, got 1"),
        ([CPS, ACS], {}, ParameterError, "must map names to tables"),
        ({"cps": CPS, "acs": ACS[["rent"]]}, {}, DataError, "no variable in common. Fusion would then pair their rows"),
        (SOURCES, {"target_vars": ["rents"]}, DataError, "'rents' is in no source. Did you mean 'rent'?"),
        (SOURCES, {"condition_vars": ["age", "wages"]}, DataError, "common variable 'wages' is not in source 'acs'"),
        (SOURCES, {"condition_vars": "age"}, ParameterError, "condition_vars must be a list"),
        (SOURCES, {"constraints": "bonus <= wages"}, ParameterError, "Write ['bonus <= wages']"),
        (SOURCES, {"target_vars": [3]}, ParameterError, "target_vars must hold names of variables; got 3"),
        (SOURCES, {"accepted": "age"}, ParameterError, "accepted must be a list"),
        (SOURCES, {"authority": ["rent"]}, ParameterError, "authority must map variables"),
        (SOURCES, {"authority": {"rent": "asc"}}, ParameterError, "which is no source. Did you mean 'acs'"),
        (SOURCES, {"kinds": {"rant": "count"}}, ColumnNotFoundError, "Did you mean 'rent'"),
        (SOURCES, {"epochs": 0}, ParameterError, "epochs must be a whole number of at least 1; got 0"),
        (SOURCES, {"epochs": "3"}, ParameterError, "epochs must be a whole number"),
        ({"cps": CPS.rename(columns={"wages": "__source__"}), "acs": ACS}, {}, DataError, "stands for the source"),
        ({"cps": CPS, "acs": ACS.head(1)}, {}, DataError, "source 'acs' needs at least 50 rows of positive weight"),
        ({"cps": CPS.set_axis(["age", "wages", "wages"], axis=1), "acs": ACS}, {}, DataError, "occurs 2 times"),
        (SOURCES, {"condition_vars": ["age"], "target_vars": ["age"]}, ParameterError, "named twice"),
        (SOURCES, {"authority": {"rent": "cps"}}, DataError, "does not observe it"),
        (SOURCES, {"condition_vars": ["age"], "authority": {"age": "cps"}}, ParameterError, "cannot have an authority"),
        (SOURCES, {"constraints": ["rant >= 0"]}, ColumnNotFoundError, "Did you mean 'rent'"),
        ({"cps": CPS, "acs": ACS.assign(age="old")}, {}, DataError, "age"),
        ({"cps": CPS.assign(home=1), "acs": ACS}, {}, DataError, "home"),
        ({"cps": CPS, "acs": ACS.assign(rent=np.nan)}, {}, DataError, "no value at all"),
    ],
)
def test_sources_that_cannot_be_fused_are_refused(sources, options, error, text):
    with pytest.raises(error) as caught:
        MultiSourceFusion(**(QUICK | options)).fit(sources)
    assert text in str(caught.value)


def test_weights_are_named_by_a_name_or_by_source():
    with pytest.raises(ParameterError, match="weight_col must be a name"):
        MultiSourceFusion(**QUICK).fit(SOURCES, ["w"])


def test_disagreeing_codings_show_both_sides():
    coded = people(2)[["age", "home"]].replace({"home": {"own": "1", "rent": "2"}})
    with pytest.raises(DataError) as caught:
        MultiSourceFusion(**QUICK).fit({"acs": ACS, "tax": coded})
    assert "'own'" in str(caught.value)
    assert "'1'" in str(caught.value)


def test_sources_without_common_variables_are_fused_if_asked_for():
    made = MultiSourceFusion(condition_vars=[], **QUICK).fit({"cps": CPS[["wages"]], "acs": ACS[["rent"]]})
    assert "are independent: no source observes both" in str(made.assumptions_[0])
    assert made.complete(CPS[["wages"]].head(3), seed=1).columns.tolist() == ["wages", "rent"]
    assert made.bounds(CPS[["wages"]], "wages", "rent").independent == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("recipient", "options", "error", "text"),
    [
        (
            CPS[["age"]].assign(home="boat"),
            {},
            DataError,
            "the category 'boat' in row 0, which no source of the fusion",
        ),
        (CPS[["age"]].assign(wages="much"), {}, DataError, "'wages' should hold numbers"),
        (pd.DataFrame({"height": [1.0]}), {}, DataError, "none of the variables of the fusion"),
        (pd.DataFrame({"age": [30.0, np.nan], "wages": [1.0, np.nan]}), {}, DataError, "row 1 of the recipient has no"),
        (CPS, {"source": "asc"}, ParameterError, "Did you mean 'acs'"),
        (CPS, {"seed": -1}, ParameterError, "seed"),
        (CPS.assign(id=1), {"id_col": "id"}, DataError, "not unique"),
        (CPS, {"association": 2}, ParameterError, "between -1 and 1"),
    ],
)
def test_recipients_that_cannot_be_completed_are_refused(fusion, recipient, options, error, text):
    with pytest.raises(error) as caught:
        fusion.complete(recipient, **options)
    assert text in str(caught.value)


@pytest.mark.parametrize("association", [None, -0.7])
def test_rows_in_chunks_are_the_rows_at_once(fusion, association):
    asked = CPS.head(20).astype(float)
    asked.loc[::3, "wages"] = np.nan
    asked.loc[1::4, "age"] = np.nan
    whole = fusion.complete(asked, seed=5, association=association)
    parts = [
        fusion.complete_with_provenance(asked[i : i + 7], seed=5, association=association, first_row=i).frame
        for i in range(0, 20, 7)
    ]
    pd.testing.assert_frame_equal(pd.concat(parts), whole)


def test_a_recipient_without_rows_is_refused(fusion):
    with pytest.raises(DataError, match="no rows"):
        fusion.complete(CPS.head(0))


def test_numbers_of_rows_and_models_are_checked(fusion):
    with pytest.raises(ParameterError, match="n must be a whole number of at least 1"):
        fusion.generate(0)
    for first in (-1, "a"):
        with pytest.raises(ParameterError, match="first_row must be a whole number"):
            fusion.generate(2, first_row=first)
        with pytest.raises(ParameterError, match="first_row must be a whole number"):
            fusion.complete_with_provenance(CPS.head(2), first_row=first)
    with pytest.raises(ParameterError, match="n_draws must be a whole number of at least 1"):
        fusion.bounds(CPS, "wages", "rent", n_draws=0)
    with pytest.raises(NotFittedError):
        MultiSourceFusion().generate(1)


def test_derivations_in_a_circle_are_refused():
    variables = {"age": {"cps": "age", "acs": "age"}, "wages": {"cps": "wages"}}
    with pytest.raises(SchemaError, match="circle"):
        Harmonisation(variables, derivations={"gross": {"net": 1}, "net": {"gross": 1}})


def test_sources_of_different_entities_need_a_mapping():
    with pytest.raises(SchemaError):
        Harmonisation(
            {"age": {"cps": "age", "acs": "age"}, "rent": {"acs": "rent"}},
            entities={"cps": "person", "acs": "household"},
        )


def test_a_total_without_its_parts_is_refused():
    cps = CPS.assign(total=CPS["wages"] + CPS["bonus"])
    made = MultiSourceFusion(constraints=["total == wages + bonus"], **QUICK).fit({"cps": cps, "acs": ACS})
    with pytest.raises(DataError, match="which a constraint calculates from wages, bonus"):
        made.complete(cps[["age", "total"]].head(3))
    drawn = made.complete_with_provenance(ACS.head(5), seed=0)
    assert (drawn.frame["total"] == drawn.frame["wages"] + drawn.frame["bonus"]).all()
    assert drawn.provenance.summary().share("total", "derived") == 1.0


def test_a_block_of_which_everything_is_calculated():
    aux = people(9, 300)[["age", "wages", "rent"]].assign(paid=lambda f: f["wages"] + f["rent"])
    made = MultiSourceFusion(target_vars=["wages", "rent", "paid"], constraints=["paid == wages + rent"], **QUICK)
    made.fit({"cps": CPS, "acs": ACS, "aux": aux})
    drawn = made.generate(50, seed=1)
    assert (drawn["paid"] == drawn["wages"] + drawn["rent"]).all()
    assert made.complete(ACS[["age", "rent"]].head(9), seed=1)["paid"].notna().all()
    assert np.isfinite(made.log_prob(drawn)).all()


def test_few_rows_that_observe_blocks_together_are_warned_about():
    with pytest.warns(UserWarning, match="only 60 rows observe"):
        MultiSourceFusion(target_vars=["wages", "rent"], **QUICK).fit(
            SOURCES | {"aux": people(9, 60)[["age", "wages", "rent"]]}
        )


def test_bounds_of_categories_rest_on_laws_not_on_counts_of_draws():
    """First in its block a category's law is exact: no number of draws changes the bounds."""
    a = people(0).assign(works=lambda f: np.where(f["wages"] > 0, "yes", "no"))[["age", "works", "wages"]]
    made = MultiSourceFusion(["age"], ["works", "home", "wages", "rent"], **QUICK).fit({"cps": a, "acs": ACS})
    asked = pd.DataFrame({"age": people(4)["age"].head(60)})
    few, many = (made.bounds(asked, "works", "home", n_draws=k, seed=k) for k in (1, 40))
    assert np.array_equal(few.lower, many.lower)
    assert np.array_equal(few.upper, many.upper)
    drawn = made.complete(pd.concat([asked] * 200, ignore_index=True), seed=1)
    both = pd.crosstab(drawn["works"], drawn["home"], normalize=True).to_numpy()
    assert few.independent == pytest.approx(both, abs=0.02)


def test_bounds_of_a_category_drawn_after_others_hardly_depend_on_the_number_of_draws(fusion):
    b = people(2).assign(works=lambda f: np.where(f["wages"] > 0, "yes", "no"))[["age", "wages", "works"]]
    made = MultiSourceFusion(["age"], ["wages", "works", "rent", "home"], epochs=8, n_orders=0)
    made.fit({"cps": b, "acs": ACS})
    asked = pd.DataFrame({"age": people(4)["age"].head(60)})
    found = made.bounds(asked, "works", "home", seed=1)
    more = made.bounds(asked, "works", "home", n_draws=1_000, seed=2)
    assert found.lower == pytest.approx(more.lower, abs=0.006)
    assert found.upper == pytest.approx(more.upper, abs=0.006)
