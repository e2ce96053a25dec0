"""``microplex synthesize-households``: what it asks of the synthesizer, what it writes, and what it refuses."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microplex import HierarchicalSynthesizer
from microplex.cli import app
from microplex.entities import Population
from microplex.hierarchy.detect_result import DetectedConstraints

CODES = "1=head,2=spouse,3=child,4=child"


def tables(n=700, seed=0):
    """Couples with children of two codes, and people alone; half of the persons earn, none below 15."""
    rng = np.random.default_rng(seed)
    size = rng.choice([1, 2, 3, 4], n, p=[0.3, 0.3, 0.2, 0.2])
    homes = pd.DataFrame({"household_id": np.arange(n) + 1, "region": rng.choice(["N", "S"], n), "n_persons": size})
    place = np.concatenate([np.arange(k) for k in size])
    of = np.repeat(np.arange(n), size)
    head_age = rng.integers(25, 80, n)
    age = np.where(place < 2, head_age[of] - 2 * place, np.maximum(head_age[of] - 24 - 3 * place, 0))
    people = pd.DataFrame({"person_id": np.arange(len(of)) + 1, "household_id": of + 1, "relationship": place + 1})
    people["age"] = age
    people["wage"] = np.where((age >= 15) & (rng.random(len(of)) < 0.5), 100.0 * rng.integers(1, 300, len(of)), 0.0)
    return homes.assign(w=rng.choice([1.0, 2.0], n)), people


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    homes, people = tables()
    homes.to_parquet("homes.parquet")
    people.to_parquet("people.parquet")
    return homes, people


@pytest.fixture
def calls(monkeypatch):
    """A synthesizer that notes what it is asked and gives the training population back."""
    asked = SimpleNamespace(order=[])

    class Noting:
        report_ = SimpleNamespace(
            n_households=160, n_members=400, n_compositions=4, structure="model", rules=("[a] kept",) * 9
        )

        def __init__(self, levels, **options):
            asked.levels, asked.options = levels, options

        def fit(self, population):
            asked.order.append("fit")
            asked.population = population

        def save(self, path):
            asked.order.append("save")

        def generate(self, households, *, seed):
            asked.order.append("generate")
            asked.given, asked.seed = households, seed
            return asked.population

    monkeypatch.setattr("microplex.hierarchy.synthesizer.HierarchicalSynthesizer", Noting)
    return asked


def run(*words, roles=CODES):
    more = ["--roles", roles] if roles else []
    return CliRunner().invoke(
        app, ["synthesize-households", "people.parquet", "homes.parquet", "--out", "out", *more, *map(str, words)]
    )


def test_all_columns_are_asked_for_unless_named(files, calls):
    done = run("--weight", "w", "--seed", 3)
    assert done.exit_code == 0, done.output
    assert calls.levels["household"] == {"condition_vars": [], "target_vars": ["region", "n_persons"]}
    assert list(calls.population.persons.columns) == ["person_id", "household_id", "relationship", "age", "wage"]
    assert calls.population.schema.weight_col == "w"
    assert (calls.given, calls.seed, calls.options["seed"]) == (700, 3, 3)
    assert calls.options["schema"] is calls.population.schema


def test_codes_become_roles(files, calls):
    assert run().exit_code == 0
    top = calls.population.schema.top
    assert top.roles == ("head", "spouse", "child")
    assert top.role_map == {1: "head", 2: "spouse", 3: "child", 4: "child"}
    assert top.unique == ("head", "spouse")


def test_roles_that_are_named_need_no_mapping(files, calls):
    words = {1: "head", 2: "spouse", 3: "lodger", 4: "child"}
    files[1].assign(relationship=files[1]["relationship"].map(words)).to_parquet("people.parquet")
    assert run(roles="").exit_code == 0
    assert calls.population.schema.top.roles == ("head", "spouse", "child", "lodger")


def test_roles_of_text_are_mapped_as_text(files, calls):
    files[1].assign(kin=files[1]["relationship"].astype(str)).drop(columns="relationship").to_parquet("people.parquet")
    assert run("--role-col", "kin").exit_code == 0
    assert calls.population.schema.top.role_map["2"] == "spouse"


def test_without_roles_it_says_so(files, calls):
    files[1].drop(columns="relationship").to_parquet("people.parquet")
    done = run(roles="")
    assert done.exit_code == 0, done.output
    assert calls.population.schema.top.roles == ()
    assert "members without roles" in done.stdout


def test_columns_are_chosen_or_left_out(files, calls):
    assert run("--household-vars", "region", "--ignore", "wage").exit_code == 0
    assert list(calls.population.households.columns) == ["household_id", "region"]
    assert list(calls.population.persons.columns) == ["person_id", "household_id", "relationship", "age"]


def test_given_households_are_those_of_training_without_their_keys(files, calls):
    assert run("--conditions", "region", "--weight", "w").exit_code == 0
    assert list(calls.given.columns) == ["region", "w"]
    assert calls.levels["household"] == {"condition_vars": ["region"], "target_vars": ["n_persons"]}
    pd.testing.assert_series_equal(calls.given["region"], files[0]["region"])


def test_given_households_of_a_file_keep_their_columns_and_get_weights(files, calls):
    pd.DataFrame({"household_id": [7, 9], "region": ["S", "N"], "note": ["a", "b"]}).to_csv("new.csv", index=False)
    assert run("--conditions", "region", "--weight", "w", "--households-from", "new.csv").exit_code == 0
    assert list(calls.given.columns) == ["household_id", "region", "note", "w"]
    assert calls.given["w"].sum() == pytest.approx(files[0]["w"].sum())


def test_options_reach_the_synthesizer(files, calls):
    done = run(
        "--households", 7, "--kinds", "region=categorical,wage=continuous", "--structure", "donor", "--epochs", 2,
        "--orders", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    options = calls.options
    assert options["kinds"] == {"region": "categorical", "wage": "continuous"}
    assert (options["structure"], options["epochs"], options["n_orders"], calls.given) == ("donor", 2, 0, 7)


def test_rules_are_found_saved_and_read_again(files, calls):
    assert run("--save-constraints", "rules.yaml").exit_code == 0
    found = DetectedConstraints.from_yaml("rules.yaml")
    assert "n_persons == number of persons of a household" in [str(rule) for rule in found.exact]
    assert calls.options["constraints"] == found
    found.only("n_persons").to_yaml("few.yaml")
    assert run("--constraints", "few.yaml").exit_code == 0
    assert [str(rule) for rule in calls.options["constraints"].rules] == [str(found.only("n_persons").rules[0])]


def test_rules_of_too_few_households_are_named_as_not_kept(files, calls):
    homes, people = tables(150)
    homes.to_parquet("homes.parquet")
    people.to_parquet("people.parquet")
    done = run()
    assert done.exit_code == 0, done.output
    assert "hold without exception, but there are too few households" in done.stderr
    assert "not kept: " in done.stderr
    assert "exactly 1 head" not in done.stderr  # that is kept, as compositions are those of training


def test_the_model_is_saved_before_generating_so_that_a_fit_is_never_lost(files, calls):
    done = run("--save", "model")
    assert calls.order == ["fit", "save", "generate"]
    assert "Saved the model to model/." in done.stdout


def test_what_was_done_is_said(files, calls):
    text = run().stdout
    assert "Fitted 160 households of 400 persons" in text
    assert "4 compositions of head, spouse, child." in text
    assert "Kept by construction (9):" in text
    assert "and 1 more" in text
    assert "Wrote 700 households of" in text


def with_tax_units(files):
    """Couples file jointly, whoever else is above 19 files alone; roles are codes."""
    homes, people = files
    place = people["relationship"] - 1
    own = (place > 1) & (people["age"] > 19)
    people = people.assign(tax_unit_id=people["household_id"] * 10 + place * own, tax_role=np.where(place == 1, 2, 3))
    people["tax_role"] = people["tax_role"].mask(own | (place == 0), 1)
    first = people.drop_duplicates("tax_unit_id")
    units = first[["tax_unit_id", "household_id"]].assign(members=people.groupby("tax_unit_id").size().to_numpy())
    homes = homes.assign(n_units=units.groupby("household_id").size().to_numpy())
    homes.to_parquet("homes.parquet")
    people.to_parquet("people.parquet")
    units.to_csv("units.csv", index=False)
    return homes, people, units


TAX = ("--tax-units", "units.csv", "--tax-roles", "1=head,2=spouse,3=dependant")


def test_tax_units_become_a_level(files, calls):
    units = with_tax_units(files)[2]
    done = run(*TAX, "--weight", "w")
    assert done.exit_code == 0, done.output
    assert calls.levels["tax_unit"] == {"parent_level": "household"}
    group = calls.population.schema.group("tax_unit")
    assert (group.roles, group.role_col) == (("head", "spouse", "dependant"), "tax_role")
    assert group.role_map == {1: "head", 2: "spouse", 3: "dependant"}
    assert "tax_unit_id" in calls.population.persons
    pd.testing.assert_frame_equal(calls.population.tax_units, units.reset_index(drop=True))
    assert f" in {len(units):,} tax units to out/" in done.stdout.replace("\n", " ")


def test_roles_and_variables_of_tax_units_are_named(files, calls):
    people = with_tax_units(files)[1]
    words = people["tax_role"].map({1: "head", 2: "spouse", 3: "dependant"})
    people.drop(columns="tax_role").assign(filer=words).to_parquet("people.parquet")
    done = run("--tax-units", "units.csv", "--tax-role-col", "filer", "--tax-unit-vars", "members")
    assert done.exit_code == 0, done.output
    assert calls.population.schema.group("tax_unit").roles == ("head", "spouse", "dependant")
    assert list(calls.population.tax_units) == ["tax_unit_id", "household_id", "members"]


def test_codes_of_tax_roles_need_a_mapping(files, calls):
    with_tax_units(files)
    done = run("--tax-units", "units.csv")
    assert done.exit_code == 2
    assert "1=head,2=spouse,3=dependant" in done.output
    assert calls.order == []


def test_tax_units_are_generated_and_written(files):
    with_tax_units(files)
    done = run(
        *TAX, "--structure", "donor", "--epochs", 1, "--orders", 0, "--households", 40, "--person-vars", "age",
        "--household-vars", "n_units",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    made = Population.load("out")
    np.testing.assert_array_equal(made.tax_units["members"], made.aggregate(None, "count", "tax_unit"))
    np.testing.assert_array_equal(made.households["n_units"], made.aggregate(None, "count", "household", of="tax_unit"))
    assert set(made.persons["tax_role"]) <= {1, 2, 3}


def test_a_report_shows_households_beside_their_floor(files, calls):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    homes, people = tables(seed=1)
    homes.to_csv("new_homes.csv", index=False)
    people.to_csv("new_people.csv", index=False)
    done = run("--report", "page.html", "--test", "new_people.csv", "new_homes.csv", "--weight", "w")
    assert done.exit_code == 0, done.output
    with open("page.html", encoding="utf-8") as file:
        page = file.read()
    assert 'id="households"' in page
    assert "head, spouse, 2 child" in page  # what codes stand for
    assert "not seen by the model" in page


def test_from_files_to_normalised_tables(files):
    """A fit for real: structure of donors leaves one stage to learn."""
    done = run(
        "--structure", "donor", "--epochs", 1, "--orders", 0, "--households", 40, "--weight", "w", "--seed", 5
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    made = Population.load("out")
    assert made.size("household") == 40
    assert set(made.persons["relationship"]) <= {1, 2, 3, 4}
    assert made.weights().sum() == pytest.approx(files[0]["w"].sum())
    np.testing.assert_array_equal(made.households["n_persons"], made.aggregate(None, "count", "household"))
    assert (made.persons.loc[made.persons["age"] < 15, "wage"] == 0).all()
    assert "copied from training households" in done.stdout
    assert HierarchicalSynthesizer.__name__ not in done.stdout


BAD = {
    "no file": (["--constraints", "none.yaml"], 1, "none.yaml"),
    "no rules": (["--constraints", "people.parquet"], 1, "people.parquet"),
    "a misspelt weight": (["--weight", "wieght"], 1, "'wieght' not in data"),
    "a misspelt condition": (["--conditions", "regoin"], 1, "Did you mean 'region'?"),
    "a misspelt variable": (["--person-vars", "wagse"], 1, "Did you mean 'wage'?"),
    "a misspelt column to ignore": (["--ignore", "wagse"], 1, "Did you mean 'wage'?"),
    "another key": (["--person-id", "person"], 1, "'person_id'"),
    "another key of households": (["--household-id", "home"], 1, "'home' not in data"),
    "no such role column": (["--role-col", "relation"], 1, "Did you mean 'relationship'?"),
    "an unmapped code": (["--roles", "1=head,2=spouse,3=child"], 1, "4"),
    "two heads": (["--roles", "1=head,2=head,3=child,4=child"], 1, "head"),
    "half a mapping": (["--roles", "1=head,spouse"], 2, "must be a code and its role"),
    "a code with two roles": (["--roles", "1=head,1=child"], 2, "is both"),
    "a code that is no number": (["--roles", "one=head,2=child"], 2, "no number"),
    "a kind": (["--kinds", "region=nominal"], 2, "must be a column and its kind"),
    "a kind of no column": (["--kinds", "regoin=categorical"], 1, "Did you mean 'region'?"),
    "households and conditions": (["--conditions", "region", "--households", "5"], 2, "leave out"),
    "households and a file": (["--households-from", "homes.parquet", "--households", "5"], 2, "leave out"),
    "donors that would be saved": (["--structure", "donor", "--save", "model"], 2, "not saved"),
    "donors under conditions": (["--structure", "donor", "--conditions", "region"], 2, "leave out"),
    "a test without a report": (["--test", "people.parquet", "homes.parquet"], 2, "add --report"),
    "a folder with other things": (["--out", "."], 1, "not a saved Population"),
    "a folder nowhere": (["--out", "none/out"], 1, "Make it first"),
    "a model in the folder": (["--save", "out"], 2, "a folder of its own"),
    "a report of another kind": (["--report", "page.pdf"], 2, "must end in"),
    "tax roles without tax units": (["--tax-roles", "1=head,2=spouse"], 2, "the table of tax units is missing"),
    "tax units without their key": (["--tax-units", "homes.parquet"], 1, "'tax_unit_id' not in"),
    "a test without its tax units": (
        ["--tax-units", "homes.parquet", "--report", "page.html", "--test", "people.parquet", "homes.parquet"],
        2,
        "goes with --test",
    ),
    "rules over what is read": (["--save-constraints", "rules.txt"], 2, "must end in"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused_before_the_fit(case, files, calls, tmp_path):
    words, code, text = BAD[case]
    before = {path.name for path in tmp_path.iterdir()}
    done = run(*words, roles="" if "--roles" in words else CODES)
    assert done.exit_code == code, done.output
    said = " ".join(done.stderr.replace("│", " ").split())
    assert text in said
    assert "Traceback" not in done.output
    if code == 1:
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
    assert calls.order == []
    assert {path.name for path in tmp_path.iterdir()} == before


def test_codes_without_a_meaning_are_shown(files, calls):
    done = run(roles="")
    assert done.exit_code == 2
    assert "holds codes (1, 2, 3, 4)" in " ".join(done.stderr.replace("│", " ").split())


def test_the_population_that_is_read_is_not_replaced(files, calls, tmp_path):
    assert run().exit_code == 0
    done = CliRunner().invoke(
        app, ["synthesize-households", "out/persons.parquet", "out/households.parquet", "--out", "out"]
    )
    assert done.exit_code == 2
    assert "is read from that folder" in " ".join(done.stderr.replace("│", " ").split())
