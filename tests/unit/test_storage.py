"""Model directories appear whole or not at all, and say what is wrong with them."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from microplex import storage
from microplex.errors import ModelFormatError, NotFittedError
from microplex.storage import SavedEstimator, load_model, refusing_damage, save_model

ARRAYS = {
    "x": np.arange(6.0).reshape(2, 3),
    "empty": np.empty(0),
    "codes": np.array([1, 2], np.int32),
    "one": np.array(4),
}


@pytest.fixture
def path(tmp_path):
    goal = tmp_path / "folder" / "model"
    save_model(goal, "Example", {"a": [1, "b", None]}, ARRAYS)
    return goal


def left_in(folder):
    return sorted(p.name for p in folder.iterdir())


def test_what_is_saved_comes_back(path):
    content, arrays = load_model(path, "Example")
    assert content == {"a": [1, "b", None]}
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(np.ravel(arrays[name]), np.ravel(array))
        assert arrays[name].dtype == array.dtype


def test_two_readable_files_and_nothing_else(path):
    assert left_in(path) == ["arrays.safetensors", "manifest.json"]
    assert left_in(path.parent) == ["model"]
    assert json.loads((path / "manifest.json").read_text())["kind"] == "Example"
    assert path.stat().st_mode & 0o555 == 0o555


def test_views_and_other_orders_of_memory_are_saved_as_they_look(tmp_path):
    grid = np.arange(12.0).reshape(3, 4)
    save_model(tmp_path / "m", "Example", {}, {"t": grid.T, "part": grid[:, 1::2]})
    _, arrays = load_model(tmp_path / "m", "Example")
    assert np.array_equal(arrays["t"], grid.T)
    assert np.array_equal(arrays["part"], grid[:, 1::2])


def test_a_model_replaces_a_model(path):
    save_model(path, "Example", {"a": 2}, {})
    assert load_model(path, "Example")[0] == {"a": 2}
    assert left_in(path.parent) == ["model"]


def test_an_empty_folder_may_become_a_model(tmp_path):
    (tmp_path / "m").mkdir()
    save_model(tmp_path / "m", "Example", {}, {})
    assert load_model(tmp_path / "m", "Example") == ({}, {})


@pytest.mark.parametrize(("kind", "held"), [("folder", "it holds 'data.txt'"), ("file", "it is a file")])
def test_other_things_are_not_overwritten(tmp_path, kind, held):
    goal = tmp_path / "precious"
    if kind == "folder":
        goal.mkdir()
        (goal / "data.txt").write_text("precious")
    else:
        goal.write_text("precious")
    with pytest.raises(ModelFormatError, match=f"is not a saved model of kind Example: {held}. Choose another"):
        save_model(goal, "Example", {}, {})
    assert left_in(tmp_path) == ["precious"]
    assert (goal / "data.txt" if kind == "folder" else goal).read_text() == "precious"


FOREIGN = {
    "a model of another kind": (lambda p: edit(p, kind="Other"), "says that it holds 'Other'"),
    "outputs beside a manifest": (lambda p: (p / "fused.csv").write_text("precious"), "it holds 'fused.csv'"),
    "several of them": (lambda p: [(p / n).write_text("precious") for n in "ab"], "it holds 'a' and 1 more"),
    "a folder of the name": (lambda p: swap_for_folder(p / "arrays.safetensors"), "it holds 'arrays.safetensors'"),
    "a manifest of no kind": (lambda p: (p / "manifest.json").write_text('{"files": []}'), "missing or damaged"),
    "arrays alone": (lambda p: (p / "manifest.json").unlink(), "manifest.json is missing or damaged"),
}


def swap_for_folder(file):
    file.unlink()
    file.mkdir()
    (file / "data.txt").write_text("precious")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("case", FOREIGN)
def test_only_a_model_of_the_same_kind_and_nothing_else_is_replaced(path, case):
    change, text = FOREIGN[case]
    change(path)
    before = contents(path)
    with pytest.raises(ModelFormatError, match=f"model is not a saved model of kind Example: .*{text}"):
        save_model(path, "Example", {"a": 2}, {})
    assert contents(path) == before
    assert left_in(path.parent) == ["model"]


def test_a_model_is_put_back_if_the_new_one_cannot_take_its_place(path, monkeypatch):
    before, rename = contents(path), Path.rename
    taken = []

    def refuse(self, goal):
        if Path(goal) == path and not taken:
            taken.append(self)
            raise PermissionError(13, "Permission denied")
        return rename(self, goal)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        save_model(path, "Example", {"a": 2}, {})
    assert taken
    assert contents(path) == before
    assert left_in(path.parent) == ["model"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of this kind are not known here")
@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_files_and_folder_have_the_usual_permissions(tmp_path, mask):
    earlier = os.umask(mask)
    try:
        save_model(tmp_path / "m", "Example", {}, ARRAYS)
    finally:
        os.umask(earlier)
    for name in ("arrays.safetensors", "manifest.json"):
        assert (tmp_path / "m" / name).stat().st_mode & 0o777 == 0o666 & ~mask
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o777 & ~mask


def full_disk(*_):
    raise OSError(28, "No space left on device")


def broken_writer(*_):
    raise SafetensorError("No space left on device (os error 28)")


@pytest.mark.parametrize("failure", [full_disk, broken_writer])
@pytest.mark.parametrize("replacing", [False, True])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, failure, replacing):
    goal = tmp_path / "model"
    if replacing:
        save_model(goal, "Example", {"a": 1}, ARRAYS)
    monkeypatch.setattr(storage, "save_file", failure)
    with pytest.raises(OSError, match="No space left"):
        save_model(goal, "Example", {"a": 2}, ARRAYS)
    assert left_in(tmp_path) == (["model"] if replacing else [])
    if replacing:
        assert load_model(goal, "Example")[0] == {"a": 1}


def test_content_that_is_no_json_leaves_nothing_behind(tmp_path):
    for bad in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            save_model(tmp_path / "m", "Example", bad, {})
    assert left_in(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_no_permission_to_write(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            save_model(locked / "model", "Example", {}, {})
    finally:
        locked.chmod(0o700)
    assert left_in(locked) == []


DAMAGE = {
    "no manifest": (lambda p: (p / "manifest.json").unlink(), "manifest.json is missing or damaged"),
    "manifest cut short": (lambda p: cut(p / "manifest.json"), "missing or damaged"),
    "manifest not text": (lambda p: (p / "manifest.json").write_bytes(b"\xff\xfe\x00"), "missing or damaged"),
    "manifest of another shape": (lambda p: (p / "manifest.json").write_text("[1, 2]"), "missing or damaged"),
    "no arrays": (lambda p: (p / "arrays.safetensors").unlink(), "damaged: arrays.safetensors"),
    "arrays cut short": (lambda p: cut(p / "arrays.safetensors"), "damaged: arrays.safetensors"),
    "arrays empty": (lambda p: (p / "arrays.safetensors").write_bytes(b""), "damaged: arrays.safetensors"),
    "newer": (lambda p: edit(p, format=99), "has format 99, this version reads up to 1. Upgrade"),
    "no version": (lambda p: edit(p, format="one"), "has format one"),
    "another estimator": (lambda p: edit(p, kind="Reweighter"), "holds a Reweighter, expected a Example"),
    "a file": (lambda p: (shutil.rmtree(p), p.write_text("x")), "missing or damaged"),
}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(path, **changes):
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | changes))


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_and_newer_models_say_so(path, case):
    damage, text = DAMAGE[case]
    damage(path)
    with pytest.raises(ModelFormatError, match=text):
        load_model(path, "Example")


def test_no_model_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no saved model at"):
        load_model(tmp_path / "none", "Example")


class Shifted(SavedEstimator):
    _kind = "Shifted"

    def __init__(self, names=(), shifts=None, seed=0, apart=None):
        self.names, self.shifts, self.seed, self.apart = names, shifts, seed, apart

    def fit(self):
        self.sum_ = np.array([float(self.seed)])
        return self

    def _pack(self):
        return {"parameters": self._parameters("apart")}, {"sum": self.sum_}

    @classmethod
    def _unpack(cls, content, arrays):
        self = cls(**content["parameters"])
        self.sum_ = arrays["sum"]
        return self


def test_parameters_are_saved_as_plain_values_without_those_kept_apart(tmp_path):
    given = Shifted(("a", "b"), {"a": np.array([1.5, 2.0]), "b": np.float64(0.5)}, np.int64(3), apart=object())
    given.fit().save(tmp_path / "m")
    again = Shifted.load(tmp_path / "m")
    plain = {"names": ["a", "b"], "shifts": {"a": [1.5, 2.0], "b": 0.5}, "seed": 3, "apart": None}
    assert again.get_params() == plain
    assert again.sum_ == [3.0]


def test_only_a_fitted_estimator_of_the_same_kind_is_saved_and_read(tmp_path):
    with pytest.raises(NotFittedError):
        Shifted().save(tmp_path / "m")
    save_model(tmp_path / "m", "Shifted", {"parameters": {}}, {})
    with pytest.raises(ModelFormatError, match=r"the saved model is damaged: KeyError\('sum'\)"):
        Shifted.load(tmp_path / "m")
    save_model(tmp_path / "o", "Other", {}, {})
    with pytest.raises(ModelFormatError, match="holds a Other, expected a Shifted"):
        Shifted.load(tmp_path / "o")


def test_damage_is_said_once_and_other_errors_pass():
    with (
        pytest.raises(ModelFormatError, match=r"^the saved law is damaged: IndexError\('no'\).$"),
        refusing_damage("model"),
        refusing_damage("law"),
    ):
        raise IndexError("no")
    with pytest.raises(FileNotFoundError), refusing_damage("model"):
        raise FileNotFoundError
