import numpy as np
import pandas as pd
import pytest

from microplex.errors import ConstraintError, DataError, ParameterError, SchemaError
from microplex.imputation import Imputer
from microplex.schema import Schema


def people(n=400, seed=0):
    """Persons with a wage that children do not have, and gaps in four columns."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 80, n)
    sex = rng.choice(["f", "m"], n)
    wage = np.where(age < 15, np.nan, np.round(100 * np.exp(rng.normal(2 + 0.01 * age, 0.5)), 2))
    owner = rng.random(n) < 1 / (1 + np.exp(-(age - 40) / 10))
    rent = np.where(owner, -1.0, np.round(300 + 200 * rng.random(n)))
    whole = pd.DataFrame({"age": age, "sex": sex, "wage": wage, "owner": np.where(owner, "yes", "no"), "rent": rent})
    holed = whole.copy()
    holed["age"] = holed["age"].astype(float)
    hidden = rng.random((n, 4)) < 0.2
    for place, name in enumerate(["age", "wage", "owner", "rent"]):
        gone = hidden[:, place] & ((name != "wage") | ~(hidden[:, 0])) & (np.arange(n) % 10 > 0)
        holed.loc[gone, name] = np.nan
    return whole, holed.assign(weight=1.0 + np.arange(n) % 3)


RULES = {"wage": "age < 15", "rent": [-1]}


@pytest.fixture(scope="module")
def family():
    whole, holed = people()
    imputer = Imputer(m=3, structural=RULES, epochs=2).fit(holed, "weight")
    return whole, holed, imputer, imputer.transform(seed=1)


def test_observed_cells_come_back_bit_for_bit_and_gaps_are_filled(family):
    _, holed, _, done = family
    for file in done:
        assert list(file.columns) == list(holed.columns)
        assert file.index.equals(holed.index)
        for name in holed:
            kept = holed[name].notna().to_numpy()
            assert file[name].dtype == holed[name].dtype
            assert (file[name].to_numpy()[kept] == holed[name].to_numpy()[kept]).all()
        assert not file[["age", "sex", "owner", "rent"]].isna().any().any()


def test_files_differ_in_the_gaps(family):
    done = family[3]
    gap = done.masks["age"]
    assert (done[0]["age"][gap] != done[1]["age"][gap]).any()


def test_what_does_not_apply_is_never_drawn_for_an_answer_not_given(family):
    _, holed, _, done = family
    for file in done:
        child = (file["age"] < 15).to_numpy()
        assert (file["wage"].isna().to_numpy() == child).all()
        assert (file["rent"][done.masks["rent"]] != -1).all()
        assert (file["rent"][holed["rent"] == -1] == -1).all()
    assert (done.structural["rent"] == (holed["rent"] == -1).to_numpy()).all()


def test_hidden_true_values_change_nothing():
    whole, holed = people(200)
    other = holed.copy()
    rng = np.random.default_rng(5)
    for name in ("age", "owner", "rent"):
        gap = holed[name].isna().to_numpy()
        truth = whole[name].astype(object if name == "owner" else float).to_numpy().copy()
        truth[gap] = rng.permutation(truth[gap])
        other[name] = pd.Series(truth).where(~gap)
    first, second = (
        Imputer(m=2, structural=RULES, epochs=1).fit_transform(table, "weight", seed=3) for table in (holed, other)
    )
    for a, b in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_rows_are_drawn_alike_alone_or_among_others(family):
    _, holed, imputer, done = family
    rows = np.arange(60, 90)
    table = holed.assign(id=np.arange(len(holed)))
    whole = imputer.transform(table, seed=1, id_col="id")
    part = imputer.transform(table.iloc[rows[::-1]], seed=1, id_col="id")
    pd.testing.assert_frame_equal(part[1].sort_index(), whole[1].iloc[rows], check_exact=True)
    pd.testing.assert_frame_equal(whole[1].drop(columns="id"), done[1], check_exact=True)


def test_a_seed_repeats_and_another_differs(family):
    _, holed, imputer, done = family
    pd.testing.assert_frame_equal(imputer.transform(holed, seed=1)[2], done[2], check_exact=True)
    assert not imputer.transform(holed, seed=2)[2].equals(done[2])


def test_a_saved_model_draws_the_same(family, tmp_path):
    _, holed, imputer, done = family
    imputer.save(tmp_path / "model")
    again = Imputer.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.transform(holed, seed=1)[0], done[0], check_exact=True)
    assert again.structural == {"wage": "age < 15", "rent": [-1.0]}
    with pytest.raises(ParameterError, match="needs a table"):
        again.transform()
    assert len(imputer.diagnostics(done).variables) == len(again.diagnostics(done).variables)


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_other_tables_come_back_as_they_went_in(kind):
    _, holed = people(120)
    table = holed.drop(columns=["weight"])
    if kind == "polars":
        polars = pytest.importorskip("polars")
        given = polars.from_pandas(table).with_columns(polars.col("owner").cast(polars.Categorical))
        done = Imputer(m=1, structural=RULES, epochs=1).fit_transform(given)[0]
        assert done.schema == given.schema
        assert done["owner"].null_count() == 0
    else:
        import pyarrow as pa

        given = pa.Table.from_pandas(table, preserve_index=False)
        done = Imputer(m=1, structural=RULES, epochs=1).fit_transform(given)[0]
        assert done.schema.types == given.schema.types
        assert done["owner"].null_count == 0


def test_a_row_of_weight_three_is_fitted_as_three_rows():
    rng = np.random.default_rng(1)
    x = rng.normal(size=300)
    y = rng.random(300) < 1 / (1 + np.exp(-x))
    frame = pd.DataFrame({"x": x, "y": np.where(np.arange(300) % 4 == 0, np.nan, y)})
    weights = np.where(frame["y"] == 1, 3, 1)
    weighted = frame.assign(w=weights.astype(float))
    repeated = frame.loc[np.repeat(frame.index, weights)].reset_index(drop=True)
    shares = [
        Imputer(m=1, proper=None, epochs=20, kinds={"y": "categorical"}).fit(table, weight_col).transform(frame)[0]
        for table, weight_col in ((weighted, "w"), (repeated, None), (frame, None))
    ]
    means = [file["y"][frame["y"].isna()].mean() for file in shares]
    assert abs(means[0] - means[1]) < 0.1
    assert means[0] > means[2] + 0.1


def test_constraints_hold_given_later_columns_and_totals():
    rng = np.random.default_rng(2)
    n = 300
    a, b = np.round(rng.gamma(2, 50, n)), np.round(rng.gamma(2, 30, n))
    whole = pd.DataFrame({"a": a, "b": b, "total": a + b, "cap": a + np.round(rng.gamma(2, 20, n))})
    holed = whole.mask(rng.random(whole.shape) < 0.25)
    empty = holed.isna().all(axis=1)
    holed[empty] = whole[empty]
    rules = ["total == a + b", "a <= cap", "a >= 0", "b >= 0"]
    done = Imputer(m=2, constraints=rules, epochs=2).fit_transform(holed, seed=1)
    for file in done:
        assert not file.isna().any().any()
        assert np.allclose(file["total"], file["a"] + file["b"])
        assert (file["a"] <= file["cap"]).all()
        kept = holed.notna()
        assert (file.where(kept, 0) == holed.where(kept, 0)).all().all()
    forced = holed["a"].isna() & holed["b"].notna() & holed["total"].notna()
    assert forced.any()
    assert (done[0]["a"][forced] == whole["a"][forced]).all()


def test_observed_cells_that_contradict_a_constraint_are_named():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"a": rng.integers(0, 9, 200).astype(float), "b": 20.0 + rng.integers(0, 9, 200)})
    frame.loc[::5, "a"] = np.nan
    imputer = Imputer(m=1, constraints=["a <= b"], epochs=1).fit(frame)
    bad = frame.copy()
    bad.loc[7, ["a", "b"]] = [8.0, 3.0]
    with pytest.raises(ConstraintError, match="row 7"):
        imputer.transform(bad)
    with pytest.raises(ConstraintError, match="row 7"):
        Imputer(m=1, constraints=["a <= b"], epochs=1).fit(bad)


def test_a_table_without_gaps_is_returned_unchanged():
    frame = pd.DataFrame({"a": np.arange(80.0), "b": ["u", "v"] * 40})
    done = Imputer(m=2).fit_transform(frame)
    assert len(done) == 2
    assert done[0] is frame
    assert "no cell is missing" in done.notes[0]


def test_a_row_that_shows_nothing_is_drawn_with_a_warning(family):
    holed = family[1]
    table = holed.head(60).copy()
    names = ["age", "wage", "owner", "rent"]
    table.loc[4, names] = np.nan
    narrow = Imputer(names, (), m=1, structural=RULES, epochs=1)
    with pytest.warns(UserWarning, match="row 4 shows nothing"):
        done = narrow.fit(table).transform()
    assert not pd.isna(done[0].loc[4, ["age", "owner", "rent"]]).any()
    assert "row 4" in done.notes[0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"target_vars": ["wagee"]}, DataError, "Did you mean 'wage'"),
        ({"target_vars": []}, ParameterError, "empty"),
        ({"target_vars": "wage"}, ParameterError, "sequence"),
        ({"target_vars": ["wage"], "condition_vars": ["wage"]}, ParameterError, "one role"),
        ({"m": 0}, ParameterError, "m must be"),
        ({"epochs": 0}, ParameterError, "epochs must be"),
        ({"proper": "jackknife"}, ParameterError, "proper must be one of"),
        ({"structural": {"wage": "agee < 15"}}, DataError, "agee"),
        ({"structural": {"wage": "wage < 15"}}, ParameterError, "itself"),
        ({"structural": {"wage": 15}}, ParameterError, "a condition such as"),
        ({"structural": {"rent": [True]}}, ParameterError, "a list of codes"),
        ({"structural": {"owner": ["na"]}}, ParameterError, r"got \['na'\]. Codes are numbers .* cells missing"),
        ({"structural": {"owner": [-1]}}, SchemaError, "it holds string values. Codes are numbers .* set its cells"),
        ({"structural": {"wage": [-1]}}, DataError, "no cell of 'wage' holds -1, .* its values go from"),
        ({"structural": {"rent": [-1, -2]}}, DataError, "no cell of 'rent' holds -2"),
        ({"proper": "jackknife"}, ParameterError, "'bootstrap', 'ensemble', None; got 'jackknife'"),
        ({"structural": {"wage": "age < 30"}}, DataError, "has a value in row"),
        ({"structural": {"wage": "rent > 0", "rent": "wage > 0"}}, (ParameterError, DataError), "circle|has a value"),
    ],
)
def test_bad_settings_are_named(options, error, text):
    _, holed = people(100)
    with pytest.raises(error, match=text):
        Imputer(**options).fit(holed.drop(columns="weight"))


def test_bad_tables_are_named(family):
    _, holed, imputer, _ = family
    with pytest.raises(DataError, match="'wage' has no value at all"):
        Imputer().fit(holed.assign(wage=np.nan))
    with pytest.raises(DataError, match="row 3"):
        Imputer().fit(holed.assign(weight=np.where(np.arange(len(holed)) == 3, -1.0, 1.0)), "weight")
    with pytest.raises(DataError, match="category 'maybe' in row 2"):
        imputer.transform(holed.assign(owner=np.where(np.arange(len(holed)) == 2, "maybe", holed["owner"])))
    with pytest.raises(DataError, match="had no gap in fitting"):
        imputer.transform(holed.assign(sex=holed["sex"].where(np.arange(len(holed)) != 5)))
    with pytest.raises(DataError, match="infinite in row 1"):
        imputer.transform(holed.assign(age=np.where(np.arange(len(holed)) == 1, np.inf, holed["age"])))
    with pytest.raises(DataError, match="as an identifier has"):
        Imputer().fit(holed.assign(key=[f"k{i}" for i in range(len(holed))]))


def test_whole_numbers_are_not_filled_with_fractions(family):
    _, holed, imputer, _ = family
    table = holed.assign(wage=holed["wage"].round().astype("Int64"))
    with pytest.raises(DataError, match="'wage' holds whole numbers here"):
        imputer.transform(table)


def test_values_far_from_those_of_the_fit_are_read_as_the_last(family):
    _, holed, imputer, _ = family
    table = holed.assign(wage=holed["wage"] * 1e4)
    done = imputer.transform(table, seed=1)[0]
    assert not done[["age", "owner", "rent"]].isna().any().any()


def test_an_answer_not_given_says_that_the_column_applies():
    rng = np.random.default_rng(3)
    n = 400
    owner = rng.random(n) < 0.5
    rent = np.where(owner, -1.0, np.round(300 + 200 * rng.random(n)))
    table = pd.DataFrame({"owner": np.where(owner, "yes", "no"), "rent": rent, "x": rng.random(n)})
    table.loc[rng.random(n) < 0.15, "rent"] = np.nan
    table.loc[np.arange(n) % 12 == 0, "owner"] = None
    both = (table["owner"].isna() & table["rent"].isna()).to_numpy()
    table = pd.concat([table, table[both].sample(30, replace=True, random_state=0)], ignore_index=True)
    both = (table["owner"].isna() & table["rent"].isna()).to_numpy()
    done = Imputer(m=4, structural={"rent": [-1]}, epochs=5).fit_transform(table, seed=1)
    assert both.sum() > 30
    assert np.mean([(file["owner"][both] == "no").mean() for file in done]) > 0.65


def test_diagnostics_set_observed_beside_imputed(family):
    _, holed, imputer, done = family
    found = {v.variable: v for v in imputer.diagnostics(done).variables}
    assert set(found) == {"age", "wage", "owner", "rent"}
    seen = holed["age"].notna()
    assert found["age"].observed == pytest.approx(np.average(holed["age"][seen], weights=holed["weight"][seen]))
    assert found["age"].n_missing == (~seen).sum()
    assert 0 < found["age"].distance < 0.5
    assert found["rent"].observed > 0
    assert "age" in str(imputer.diagnostics(done))
    assert len(imputer.diagnostics(done).to_frame()) == 4


@pytest.mark.parametrize("proper", ["ensemble", None])
def test_networks_are_as_many_as_proper_asks_for(proper):
    _, holed = people(100)
    table = holed[["sex", "owner"]]
    imputer = Imputer(m=2, proper=proper, epochs=1).fit(table)
    assert len(imputer.model_.members) == (2 if proper else 1)
    done = imputer.transform(seed=1)
    gap = table["owner"].isna()
    assert (done[0]["owner"] != done[1]["owner"])[gap].any()
    assert (done[0]["owner"] == done[1]["owner"])[~gap].all()


def test_rows_of_weight_zero_are_completed_and_not_learned_from():
    _, holed = people(150)
    table = holed[["age", "owner"]].assign(w=np.where(np.arange(150) < 30, 0.0, 1.0))
    table = table[table[["age", "owner"]].notna().any(axis=1)]
    other = table.copy()
    other.loc[other["w"] == 0, "owner"] = other.loc[other["w"] == 0, "owner"].where(other["owner"].isna(), "yes")
    first, second = (Imputer(m=1, epochs=1).fit(t, "w").transform(table)[0] for t in (table, other))
    assert not first[["age", "owner"]].isna().any().any()
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def earners(n=300):
    """Income that is a thousand times the age, with gaps."""
    rng = np.random.default_rng(4)
    age = rng.integers(20, 70, n).astype(float)
    hidden = rng.random(n) < 0.4
    return pd.DataFrame(
        {
            "age": age,
            "sex": rng.choice(["f", "m"], n),
            "inc": np.where(hidden, np.nan, 1000 * age),
            "w": 1 + rng.random(n),
        }
    )


@pytest.mark.parametrize("holed", [False, True])
def test_with_targets_alone_all_other_columns_are_conditions(holed):
    table = earners()
    if holed:
        table["age"] = table["age"].where(np.arange(len(table)) % 5 > 0)
    imputer = Imputer(["inc"], m=1, epochs=5).fit(table, "w")
    assert imputer.model_.form.conditions == ("age", "sex")
    assert imputer.imputed_vars_ == ("inc",)
    done = imputer.transform(seed=1)
    drawn = done.masks["inc"] & table["age"].notna().to_numpy()
    assert np.corrcoef(done[0]["inc"][drawn], table["age"][drawn])[0, 1] > 0.8
    assert done[0]["age"].equals(table["age"])


def test_conditions_that_are_named_none_are_none():
    imputer = Imputer(["inc"], (), m=1, epochs=1).fit(earners(), "w")
    assert imputer.model_.form.conditions == ()


def test_weight_and_ids_of_the_schema_are_no_conditions():
    table = earners().assign(key=np.arange(300))
    schema = Schema.infer(table, weight="w", ids=["key"])
    assert Imputer(["inc"], m=1, epochs=1, schema=schema).fit(table).model_.form.conditions == ("age", "sex")


def test_columns_that_cannot_be_conditions_are_named():
    table = earners().assign(key=[f"k{i}" for i in range(300)], empty=np.nan, mixed=["a", 1] * 150, wild=np.inf)
    with pytest.warns(UserWarning, match="not used as conditions: ") as told:
        imputer = Imputer(["inc"], m=1, epochs=1).fit(table, "w")
    assert imputer.model_.form.conditions == ("age", "sex")
    text = str(told[0].message)
    assert "'key' (300 categories in 300 rows, as an identifier has)" in text
    assert "'empty' (no value at all)" in text
    assert "'mixed' (its values are of a type" in text
    assert "'wild' (infinite values)" in text
    assert "Name condition_vars" in text
    assert told[0].filename == __file__


def test_diagnostics_of_something_else_are_refused(family):
    for wrong, text in ((None, "got None"), (family[3][0], "got DataFrame: ")):
        with pytest.raises(DataError, match=f"what transform gave .*{text}"):
            family[2].diagnostics(wrong)
