"""Run the README and the documentation pages as a reader would: block after block, in an empty folder.

A page may open with ``<!-- needs: shared_data, taxcalc, slow -->``: the first makes ``../shared`` available, the
last marks the page's test, anything else is a module without which the page is skipped. A block under
``<!-- not run: reason -->`` is left out.
"""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"<!-- needs: (?P<names>.*?) -->")
NOT_RUN = re.compile(r"<!-- not run: .+? -->\s*$")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)")


def blocks(text):
    """Yield each block's code, moved down to its own line so that a traceback points into the page."""
    for match in BLOCK.finditer(text):
        if not NOT_RUN.search(text[: match.start()]):
            yield "\n" * (text.count("\n", 0, match.start()) + 1) + match["code"]


def needs(text):
    match = NEEDS.search(text)
    return {name.strip() for name in match["names"].split(",")} if match else set()


def pages_with_code():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if list(blocks(text)):
            marks = [pytest.mark.slow] if "slow" in needs(text) else []
            yield pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks)


@pytest.mark.parametrize("page", list(pages_with_code()))
def test_code_blocks_run(page, request, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    for name in needs(text) - {"slow"}:
        if name == "shared_data":
            shared = request.getfixturevalue("shared_data")("").parent
            (tmp_path / "shared").symlink_to(shared, target_is_directory=True)
        else:
            pytest.importorskip(name)
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.chdir(folder)
    namespace = {"__name__": "__main__"}
    for code in blocks(text):
        exec(compile(code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_between_pages_lead_somewhere(page):
    broken = [path for path in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / path).exists()]
    assert broken == []


def test_the_readme_shows_code_that_runs():
    assert list(blocks(PAGES[0].read_text(encoding="utf-8")))


def test_the_command_line_is_installed_under_the_name_the_readme_uses():
    app = importlib.import_module("microplex.cli").app
    assert callable(app)
    assert "microplex demo" in PAGES[0].read_text(encoding="utf-8")


def test_a_block_marked_as_not_run_is_left_out():
    text = "<!-- not run: needs a licence -->\n```python\n1 / 0\n```\n\n```python\nx = 1\n```\n"
    (code,) = blocks(text)
    line = text.splitlines().index("x = 1")
    assert code.splitlines()[line] == "x = 1"
