"""A population on disk appears whole or not at all, and comes back as it was."""

import json
import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from microplex.entities import US, Entity, GroupEntity, Hierarchy, Population, as_population, folder
from microplex.errors import DataError, ModelFormatError

HOME = Hierarchy(Entity("person"), (GroupEntity("household"),))


def left_in(place):
    return sorted(path.name for path in place.iterdir())


def of(columns, index=None):
    n = len(next(iter(columns.values())))
    households = pd.DataFrame({"household_id": np.arange(n), **columns}, index=index)
    return Population(
        HOME,
        {
            "households": households,
            "persons": pd.DataFrame({"person_id": np.arange(n)}).assign(household_id=np.arange(n)),
        },
    )


def test_what_is_saved_comes_back(of_kind, kind, tmp_path):
    of_kind.save(tmp_path / "a" / "people")
    found = Population.load(tmp_path / "a" / "people")
    assert found.schema == US
    for name, table in of_kind.tables.items():
        assert type(found.tables[name]) is type(table)
        if kind == "pandas":
            pd.testing.assert_frame_equal(found.tables[name], table)
        else:
            assert found.tables[name].equals(table)
            assert found.tables[name].schema == table.schema


def test_the_files_of_the_founding_documents(population, tmp_path):
    population.save(tmp_path / "people")
    files = ["households.parquet", "manifest.json", "persons.parquet", "tax_units.parquet"]
    assert left_in(tmp_path / "people") == files
    assert left_in(tmp_path) == ["people"]
    assert len(pd.read_parquet(tmp_path / "people" / "persons.parquet")) == 6
    assert json.loads((tmp_path / "people" / "manifest.json").read_text())["kind"] == "Population"
    assert (tmp_path / "people").stat().st_mode & 0o555 == 0o555


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["a", None, "a"], categories=["z", "a", "unused"], ordered=True),
        pd.Categorical([3, 1, None], categories=[3, 2, 1]),
        pd.Categorical([0.5, None, 2.5], categories=[2.5, 0.5]),
        pd.Categorical([True, False, None]),
        pd.Categorical([None, None, None], categories=["a", "b"]),
        pd.array([1, None, 2**60], dtype="Int64"),
        pd.array([True, None, False], dtype="boolean"),
        pd.array(["x", None, ""], dtype="string"),
        np.array([1, 2, 3], dtype=np.int8),
        np.array([0.1, np.nan, -0.0], dtype=np.float32),
        pd.to_datetime(["2020-01-01 00:00:01", None, "2020-02-03 04:05:06"]),
        np.array([True, False, True]),
    ],
)
def test_dtypes_are_kept(values, tmp_path):
    population = of({"x": values}, index=["p", "q", "r"])
    population.save(tmp_path / "people")
    pd.testing.assert_frame_equal(Population.load(tmp_path / "people").households, population.households)


def test_levels_of_polars_and_arrow_are_kept(tmp_path):
    pl = pytest.importorskip("polars")
    enum = pl.DataFrame({"household_id": [1, 2, 3], "x": pl.Series(["b", None, "b"], dtype=pl.Enum(["c", "b", "a"]))})
    codes = pa.DictionaryArray.from_arrays(pa.array([1, None, 1], pa.int8()), pa.array(["c", "b", "a"]), ordered=True)
    dictionary = pa.table({"household_id": [1, 2, 3], "x": codes})
    numbers = pa.DictionaryArray.from_arrays(pa.array([1, None, 1], pa.int32()), pa.array([7, 5, 3]))
    other = pa.table({"household_id": [1, 2, 3], "x": numbers})
    persons = pd.DataFrame({"person_id": [1, 2, 3], "household_id": [1, 2, 3]})
    for table in (enum, dictionary, other):
        people = pl.from_pandas(persons) if table is enum else pa.Table.from_pandas(persons)
        Population(HOME, {"households": table, "persons": people}).save(tmp_path / "people")
        found = Population.load(tmp_path / "people").households
        assert found.schema == table.schema
        assert found.equals(table)
        if table is not enum:
            assert found["x"].chunk(0).dictionary.equals(table["x"].chunk(0).dictionary)


def test_schemas_are_kept(population, tmp_path):
    coded = GroupEntity(
        "household", roles=("head", "child"), role_col="code", role_map={1: "head", 7: "child"}, unique=()
    )
    schema = Hierarchy(Entity("person"), (coded,), weight_col="w", parents=("mother_id",))
    tables = {
        "households": pd.DataFrame({"household_id": ["x"], "w": [2.5]}),
        "persons": pd.DataFrame({"person_id": [1, 2], "household_id": "x", "code": [1, 7], "mother_id": [None, 1.0]}),
    }
    Population(schema, tables).save(tmp_path / "people")
    found = Population.load(tmp_path / "people")
    assert found.schema == schema
    assert found.roles().tolist() == [0, 1]
    assert found.weights("person").tolist() == [2.5, 2.5]


def test_the_simulated_population_comes_back(tmp_path):
    from microplex.datasets import make_population

    population = as_population(make_population(100, seed=2)).take([5, 2, 50])
    population.save(tmp_path / "people")
    for name, table in Population.load(tmp_path / "people").tables.items():
        pd.testing.assert_frame_equal(table, population.tables[name])


def test_a_population_replaces_a_population(population, tmp_path):
    population.save(tmp_path / "people")
    population.take([1]).save(tmp_path / "people")
    assert Population.load(tmp_path / "people").size("household") == 1
    assert left_in(tmp_path) == ["people"]


def test_an_empty_folder_is_filled(population, tmp_path):
    (tmp_path / "people").mkdir()
    population.save(tmp_path / "people")
    assert Population.load(tmp_path / "people").size("person") == 6


@pytest.mark.parametrize("manifest", [None, '{"format": 1, "kind": "Synthesizer", "content": {}}'])
def test_other_folders_are_left_alone(population, tmp_path, manifest):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "precious.txt").write_text("x")
    if manifest:
        (tmp_path / "people" / "manifest.json").write_text(manifest)
    with pytest.raises(ModelFormatError, match="is not a saved population"):
        population.save(tmp_path / "people")
    assert (tmp_path / "people" / "precious.txt").read_text() == "x"


def test_a_population_beside_other_files_is_not_replaced(population, tmp_path):
    population.save(tmp_path / "people")
    (tmp_path / "people" / "precious.txt").write_text("x")
    with pytest.raises(ModelFormatError, match="alone"):
        population.save(tmp_path / "people")
    assert (tmp_path / "people" / "precious.txt").read_text() == "x"
    assert Population.load(tmp_path / "people").size("person") == 6


def full_disk(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("failing", ["_write", "replace_folder"])
def test_nothing_half_written(population, tmp_path, monkeypatch, existing, failing):
    if existing:
        population.take([1]).save(tmp_path / "people")
    monkeypatch.setattr(folder, failing, full_disk)
    with pytest.raises(OSError, match="No space left"):
        population.save(tmp_path / "people")
    assert left_in(tmp_path) == (["people"] if existing else [])
    if existing:
        assert Population.load(tmp_path / "people").size("household") == 1


def test_a_failing_last_step_puts_the_old_folder_back(population, tmp_path, monkeypatch):
    population.take([1]).save(tmp_path / "people")
    rename = type(tmp_path).rename

    def fails(self, goal):
        if os.fspath(goal).endswith("people") and not self.name.endswith(".old"):
            full_disk()
        return rename(self, goal)

    monkeypatch.setattr(type(tmp_path), "rename", fails)
    with pytest.raises(OSError, match="No space left"):
        population.save(tmp_path / "people")
    monkeypatch.undo()
    assert left_in(tmp_path) == ["people"]
    assert Population.load(tmp_path / "people").size("household") == 1


def test_what_a_folder_cannot_hold(tmp_path):
    ages = pd.cut([3.0, 40.0], [0, 18, 100])
    with pytest.raises(DataError, match="households: the categories of 'x' are Interval"):
        of({"x": ages}).save(tmp_path / "people")
    with pytest.raises(DataError, match="households cannot be written as parquet"):
        of({"x": pd.Series(["a", 1], dtype=object)}).save(tmp_path / "people")
    assert left_in(tmp_path) == []


class TestDamage:
    @pytest.fixture
    def place(self, population, tmp_path):
        population.save(tmp_path / "people")
        return tmp_path / "people"

    def edit(self, place, change):
        manifest = json.loads((place / "manifest.json").read_text())
        change(manifest)
        (place / "manifest.json").write_text(json.dumps(manifest))

    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no saved population"):
            Population.load(tmp_path / "none")

    def test_a_missing_file(self, place):
        (place / "persons.parquet").unlink()
        with pytest.raises(ModelFormatError, match=r"persons.parquet is missing"):
            Population.load(place)

    def test_a_damaged_file(self, place):
        (place / "persons.parquet").write_bytes(b"PAR1")
        with pytest.raises(ModelFormatError, match=r"persons.parquet cannot be read"):
            Population.load(place)

    def test_a_file_of_another_length(self, place):
        pd.read_parquet(place / "persons.parquet").iloc[:5].to_parquet(place / "persons.parquet")
        with pytest.raises(ModelFormatError, match=r"has 5 rows, the manifest says 6"):
            Population.load(place)

    def test_a_damaged_manifest(self, place):
        self.edit(place, lambda m: m["content"].pop("schema"))
        with pytest.raises(ModelFormatError, match="describes no population"):
            Population.load(place)
        (place / "manifest.json").write_text("{")
        with pytest.raises(ModelFormatError, match="missing or damaged"):
            Population.load(place)

    def test_another_kind_and_a_newer_format(self, place):
        self.edit(place, lambda m: m.update(kind="Synthesizer"))
        with pytest.raises(ModelFormatError, match="holds a Synthesizer"):
            Population.load(place)
        self.edit(place, lambda m: m.update(kind="Population", format=99))
        with pytest.raises(ModelFormatError, match="format 99"):
            Population.load(place)


def test_polars_absent_is_said(population, tmp_path, monkeypatch):
    pl = pytest.importorskip("polars")
    tables = {name: pl.from_pandas(table) for name, table in population.tables.items()}
    Population(US, tables).save(tmp_path / "people")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match="polars"):
        Population.load(tmp_path / "people")
