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
    assert list(found[0]) == ["years", "wages", "rent"]
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
        ({"n": 5, "epochs": "x"}, "epochs must be a whole number"),
        ({"n": 5, "targets": ["rents"]}, "'rents' is in no source. Did you mean 'rent'?"),
    ],
)
def test_plans_that_cannot_be_followed_are_refused(folder, change, text):
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
