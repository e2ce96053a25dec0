"""The habits of the house, as far as a machine can hold them; import-linter holds the floors."""

import ast
import inspect
import shutil
import subprocess
from pathlib import Path

import pytest

import microplex

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "microplex"

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 80
MAX_TRACKED_BYTES = 100_000
MAX_ROOT_NAMES = 15

FORBIDDEN_FILES = {"helper", "helpers", "misc", "util", "utils"}
FORBIDDEN_WORDS = ("Manager", "Enhanced", "enhanced", "V2", "_v2")
FORBIDDEN_PARAMETERS = {"context", "predictors", "random_state", "rng_seed"}
FORBIDDEN_CALLS = {"addHandler", "basicConfig", "eval", "exec", "print"}
FORBIDDEN_IMPORTS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "random", "shelve"}

SOURCES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
PARTS = [
    part
    for part in sorted(PACKAGE.iterdir())
    if part.stem != "cli" and part.name[0] not in "._" and (part.suffix == ".py" or (part / "__init__.py").exists())
]
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef

every_module = pytest.mark.parametrize("path", SOURCES.values(), ids=SOURCES.keys())


def nodes(path, kind):
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kind)]


def is_cli(path):
    return path.relative_to(PACKAGE).parts[0] in {"cli", "cli.py"}


def length_without_docstring(function):
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    return lines - (function.body[0].end_lineno - function.body[0].lineno + 1)


def parameters(function):
    given = function.args
    return {argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)}


def called_name(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def packages_imported(path):
    names = {alias.name for node in nodes(path, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes(path, ast.ImportFrom) if node.level == 0}
    return {name.partition(".")[0] for name in names}


@every_module
def test_files_and_functions_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_FILE_LINES
    lengths = {function.name: length_without_docstring(function) for function in nodes(path, FUNCTION)}
    assert {name: length for name, length in lengths.items() if length >= MAX_FUNCTION_LINES} == {}


@every_module
def test_names_say_what_a_thing_is(path):
    assert path.stem not in FORBIDDEN_FILES
    defined = [node.name for node in nodes(path, FUNCTION | ast.ClassDef)]
    assert [name for name in (path.stem, *defined) if any(word in name for word in FORBIDDEN_WORDS)] == []


@every_module
def test_a_concept_has_one_spelling(path):
    found = {function.name: parameters(function) & FORBIDDEN_PARAMETERS for function in nodes(path, FUNCTION)}
    assert {name: words for name, words in found.items() if words} == {}


@every_module
def test_nothing_prints_evaluates_or_unpickles(path):
    allowed = {"print"} if is_cli(path) else set()
    assert {called_name(call) for call in nodes(path, ast.Call)} & (FORBIDDEN_CALLS - allowed) == set()
    assert packages_imported(path) & FORBIDDEN_IMPORTS == set()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_public_part_shows_an_example(part):
    sources = part.rglob("*.py") if part.is_dir() else [part]
    assert any(">>> " in path.read_text(encoding="utf-8") for path in sources)


def test_every_folder_is_a_package():
    assert {path.parent for path in SOURCES.values() if not (path.parent / "__init__.py").exists()} == set()


def test_the_root_is_small():
    assert len(microplex.__all__) <= MAX_ROOT_NAMES
    assert list(microplex.__all__) == sorted(microplex.__all__)


@pytest.mark.parametrize("name", microplex.__all__)
def test_root_names_exist_and_are_documented(name):
    exported = getattr(microplex, name)
    if inspect.isclass(exported) and issubclass(exported, Exception):
        assert inspect.getdoc(exported)
    else:
        assert ">>> " in inspect.getdoc(exported)
    assert exported.__module__.startswith("microplex")


def test_an_unknown_root_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Synthesiser'"):
        microplex.Synthesiser  # noqa: B018


def test_nothing_large_is_tracked():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    tracked = [ROOT / name for name in listed.decode().split("\0") if name]
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked if path.is_file()}
    assert {name: size for name, size in sizes.items() if size > MAX_TRACKED_BYTES} == {}
