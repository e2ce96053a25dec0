import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from microplex.cli import app
from microplex.fusion import MultiSourceFusion

N = 200


def people(seed):
    draw = np.random.default_rng(seed)
    age = draw.integers(20, 70, N)
    return pd.DataFrame(
        {"age": age, "wages": 100 * draw.integers(0, 50, N) + age, "rent": 10 * draw.integers(20, 90, N)}
    )


@pytest.fixture
def folder(tmp_path):
    people(0)[["age", "wages"]].assign(w=2.0).to_parquet(tmp_path / "cps.parquet")
    people(1)[["age", "rent"]].to_parquet(tmp_path / "acs.parquet")
    people(2)[["age", "wages"]].assign(w=2.0).to_parquet(tmp_path / "unseen.parquet")
    return tmp_path


def run(folder, plan, *more):
    (folder / "fusion.yaml").write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
    return CliRunner().invoke(app, ["fuse", str(folder / "fusion.yaml"), "--out", str(folder / "out"), *more])


@pytest.fixture
def untrained(monkeypatch):
    def fit(self, *args, **options):
        raise AssertionError("trained")

    monkeypatch.setattr(MultiSourceFusion, "fit", fit)


PLAN = {"sources": {"cps": {"file": "cps.parquet", "weight": "w"}, "acs": "acs.parquet"}, "epochs": 1, "seed": 3}


def test_a_recipient_is_completed_and_everything_is_written(folder):
    plan = PLAN | {"recipient": {"file": "cps.parquet", "source": "cps"}, "holdouts": {"cps": "unseen.parquet"}}
    result = run(folder, plan, "--save", str(folder / "model"))
    assert result.exit_code == 0, result.output
    out = folder / "out"
    tables = {"fused.parquet", "coverage.csv", "provenance.csv", "evaluation.csv"}
    assert {path.name for path in out.iterdir()} == tables | {"report.html", "fusion.txt", "manifest.json"}
    fused = pd.read_parquet(out / "fused.parquet")
    pd.testing.assert_frame_equal(fused[["age", "wages", "w"]], pd.read_parquet(folder / "cps.parquet"))
    again = MultiSourceFusion.load(folder / "model").complete(fused[["age", "wages", "w"]], source="cps", seed=3)
    pd.testing.assert_frame_equal(fused, again)
    assert "are independent given age" in (out / "fusion.txt").read_text()
    assert "Never observed together" in (out / "fusion.txt").read_text()
    assert "<h3>cps</h3>" in (out / "report.html").read_text()
    assert set(pd.read_csv(out / "evaluation.csv")["source"]) == {"cps"}
    assert "has no weights" in result.stderr
    assert "Wrote 200 rows with 3 variables" in result.stdout


def test_new_rows_are_generated_and_the_folder_replaced(folder):
    plan = PLAN | {"n": 30, "association": [["wages", "rent", 0.9]]}
    assert run(folder, plan).exit_code == 0
    assert run(folder, plan).exit_code == 0
    assert len(pd.read_parquet(folder / "out" / "fused.parquet")) == 30
    for file in ("fusion.txt", "report.html"):
        written = (folder / "out" / file).read_text()
        assert "0.9 of wages with rent" in written
        assert "are independent" not in written
        assert "seed 3" in written.lower().replace(":", "")
    assert "0.9 of wages with rent" in run(folder, PLAN | {"n": 30, "association": 0.9}).stdout
    assert not (folder / "out" / "evaluation.csv").exists()


def test_a_harmonisation_may_stand_in_the_plan_or_in_a_file_of_its_own(folder):
    harmonisation = {
        "variables": {"years": {"cps": "age", "acs": "age"}, "wages": {"cps": "wages"}, "rent": {"acs": "rent"}}
    }
    (folder / "harmonise.yaml").write_text(yaml.safe_dump(harmonisation, sort_keys=False), encoding="utf-8")
    sources = {"cps": "cps.parquet", "acs": "acs.parquet"}
    found = []
    for given in (harmonisation, "harmonise.yaml"):
        plan = PLAN | {
            "sources": sources,
            "harmonisation": given,
            "recipient": {"file": "cps.parquet", "source": "cps"},
        }
        assert run(folder, plan).exit_code == 0
        found.append(pd.read_parquet(folder / "out" / "fused.parquet"))
    assert list(found[0]) == ["years", "wages", "w", "rent"]
    pd.testing.assert_frame_equal(*found)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sorces": {}}, "has no field 'sorces'. Did you mean 'sources'?"),
        ({"n": 5, "recipient": "cps.parquet"}, "a recipient to complete, or n rows to generate"),
        ({"n": 5, "holdouts": {"csp": "unseen.parquet"}}, "which is no source. Did you mean 'cps'?"),
        ({"n": 5, "sources": {"cps": "cps.parquet", "acs": "gone.parquet"}}, "there is no file"),
        ({"n": 5, "sources": {"cps": {"weight": "w"}}}, "source 'cps' needs a file"),
        ({"n": 5, "sources": {"cps": {"file": "cps.parquet", "wt": "w"}}}, "has no field 'wt'"),
        ({"n": 5, "association": ["wages"]}, "a list of [x, y, value]"),
        ({"n": 5, "association": [[["wages"], "rent", 0.2]]}, "a list of [x, y, value]"),
        ({"n": 5, "authority": ["cps"]}, "authority must be names and texts"),
        ({"n": 5, "kinds": ["age"]}, "kinds must be names and texts"),
        ({"n": 5, "tables": ["homes.parquet"]}, "tables must be names and texts"),
        ({"n": 5, "holdouts": {"cps": 3}}, "holdouts must be names and texts"),
        ({"n": 5, "targets": [3]}, "targets must be a list of texts"),
        ({"n": 5, "constraints": "wages >= 0"}, "constraints must be a list of texts"),
        ({"n": 5, "sources": {"cps": {"file": "cps.parquet", "weight": 3}, "acs": "acs.parquet"}}, "must be text"),
        ({"n": "five"}, "n must be a whole number"),
        ({"n": 0}, "n must be a whole number of at least 1; got 0"),
        ({"n": True}, "n must be a whole number of at least 1"),
        ({"n": 5, "seed": "x"}, "seed"),
        ({"recipient": {"file": "cps.parquet", "source": "csp"}}, "which is no source. Did you mean 'cps'?"),
        ({"recipient": {"file": "cps.parquet", "id": "pid"}}, "'pid'"),
        ({"recipient": "other.parquet"}, "none of the variables of the fusion"),
        ({"n": 5, "association": 1.5}, "association must lie between -1 and 1; got 1.5"),
        ({"n": 5, "association": "0.3"}, "got '0.3'. Write it without quotes"),
        ({"n": 5, "association": [["wages", "rent", 3]]}, "must lie between -1 and 1; got 3"),
        ({"n": 5, "association": [["wages", "rent", "0.3"]]}, "must be a number; got '0.3'"),
        ({"n": 5, "association": [["wages", "rent"]]}, "a list of [x, y, value]"),
        ({"n": 5, "association": [["wages", "rents", 0.3]]}, "Did you mean 'rent'?"),
        ({"n": 5, "association": [["wages", "age", 0.3]]}, "a source observes both"),
        ({"n": 5, "association": [["wages", "rent", 0.3], ["rent", "wages", 0.2]]}, "twice; give one value"),
        ({"n": 5, "holdouts": {"cps": "other.parquet"}}, "holdout 'cps' has none of the variables"),
        ({"n": 5, "epochs": "x"}, "epochs must be a whole number"),
        ({"n": 5, "targets": ["rents"]}, "'rents' is in no source. Did you mean 'rent'?"),
    ],
)
def test_plans_that_cannot_be_followed_are_refused_before_anything_is_learnt(folder, untrained, change, text):
    pd.DataFrame({"pension": [1.0, 2.0]}).to_parquet(folder / "other.parquet")
    result = run(folder, PLAN | change)
    assert result.exit_code != 0
    assert text in " ".join(result.stderr.split())
    assert not (folder / "out").exists()


def test_what_is_there_already_is_not_replaced_unless_it_is_a_fusion(folder):
    (folder / "out").mkdir()
    (folder / "out" / "note.txt").write_text("mine")
    result = run(folder, PLAN | {"n": 5})
    assert result.exit_code != 0
    assert "is not a saved fusion" in " ".join(result.stderr.split())


def test_a_key_named_twice_is_refused(folder):
    (folder / "fusion.yaml").write_text("sources: {cps: cps.parquet, cps: acs.parquet}\nn: 5\n")
    result = CliRunner().invoke(app, ["fuse", str(folder / "fusion.yaml"), "--out", str(folder / "out")])
    assert result.exit_code == 1
    assert "names the key 'cps' twice" in " ".join(result.stderr.split())


def test_the_model_and_the_tables_have_folders_of_their_own(folder):
    result = run(folder, PLAN | {"n": 5}, "--save", str(folder / "out"))
    assert result.exit_code != 0
    assert "a folder of its own" in " ".join(result.stderr.split())
    assert not (folder / "out").exists()


def test_a_harmonised_recipient_is_written_in_the_names_of_the_variables(folder):
    """Read once: the factor is not applied again when the file is completed."""
    harmonisation = {
        "variables": {
            "age": {"cps": "age", "acs": "age"}, "wages": {"cps": {"column": "wages", "factor": 2}},
            "rent": {"acs": "rent"},
        }
    }  # fmt: skip
    plan = PLAN | {"sources": {"cps": "cps.parquet", "acs": "acs.parquet"}, "harmonisation": harmonisation}
    assert run(folder, plan | {"recipient": {"file": "cps.parquet", "source": "cps"}}).exit_code == 0
    fused = pd.read_parquet(folder / "out" / "fused.parquet")
    assert (fused["wages"] == 2 * pd.read_parquet(folder / "cps.parquet")["wages"]).all()


def test_the_page_begins_with_what_was_done_and_has_no_raw_values(folder):
    plan = PLAN | {"recipient": "cps.parquet", "holdouts": {"cps": "unseen.parquet"}}
    assert run(folder, plan).exit_code == 0
    page = (folder / "out" / "report.html").read_text()
    sections = ["were completed from", "Who observes what", "Not observed together", "Where the cells", "Against the"]
    places = [page.index(words) for words in sections]
    assert places == sorted(places)
    assert "The 200 rows of cps.parquet were completed from cps (200 rows) and acs (200 rows)" in page
    assert "on all of them rent was drawn" in page
    assert "1 pair of variables is observed together by no source" in page
    assert 'src="data:image/png;base64,' in page
    assert "None" not in page
    assert "<td>(" not in page
    assert "heaping_error" not in page
    assert "if independent" in page
    assert list(pd.read_csv(folder / "out" / "coverage.csv")) == ["variable", "source", "observed", "structural"]
    assert "heaping_error" in (folder / "out" / "evaluation.csv").read_text()


HARMONISATION = {
    "variables": {"years": {"cps": "age", "acs": "age"}, "wages": {"cps": "wages"}, "rent": {"acs": "rent"}}
}


def test_columns_of_a_harmonised_recipient_that_are_no_variables_stay(folder):
    survey = pd.read_parquet(folder / "cps.parquet").assign(pid=[f"p{i}" for i in range(N)], rent="unpaid")
    survey.to_parquet(folder / "ids.parquet")
    plan = PLAN | {
        "sources": {"cps": "cps.parquet", "acs": "acs.parquet"}, "harmonisation": HARMONISATION,
        "recipient": {"file": "ids.parquet", "source": "cps", "id": "pid"},
    }  # fmt: skip
    result = run(folder, plan)
    assert result.exit_code == 0, result.stderr
    fused = pd.read_parquet(folder / "out" / "fused.parquet")
    assert fused["pid"].tolist() == survey["pid"].tolist()
    assert list(fused) == ["years", "wages", "w", "pid", "rent"]
    assert (fused["rent"] > 0).all()
    assert "left out, for variables have their names: rent" in " ".join(result.stderr.split())


def test_a_sources_own_file_as_recipient_needs_its_source_where_there_is_a_harmonisation(folder, untrained):
    sources = {"cps": "cps.parquet", "acs": "acs.parquet"}
    for recipient in ("cps.parquet", {"file": "./cps.parquet"}):
        result = run(folder, PLAN | {"sources": sources, "harmonisation": HARMONISATION, "recipient": recipient})
        assert result.exit_code == 1
        assert "source: cps}" in " ".join(result.stderr.split())


def test_weights_named_twice_are_said_in_the_words_of_the_plan(folder, untrained):
    plan = PLAN | {"n": 5, "harmonisation": HARMONISATION | {"weights": {"cps": "w"}}}
    said = " ".join(run(folder, plan).stderr.split())
    assert "leave out weight: w of source 'cps'" in said
    assert "weight_col" not in said


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_learnt(folder, untrained, monkeypatch):
    (folder / "A.csv").write_text("a\n1\n")
    (folder / "fusion.yaml").write_text(yaml.safe_dump(PLAN | {"n": 5}), encoding="utf-8")

    def into(*parts):
        result = CliRunner().invoke(app, ["fuse", str(folder / "fusion.yaml"), "--out", str(folder.joinpath(*parts))])
        assert result.exit_code == 1
        return " ".join(result.stderr.split())

    for parts in (("A.csv", "xx"), ("A.csv", "xx", "yy")):
        said = into(*parts)
        assert "is a file" in said
        assert "Make it first" not in said

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("microplex.cli.fuse_input.tempfile.TemporaryDirectory", refuse)
    assert "cannot be written: Permission denied" in into("fresh")
