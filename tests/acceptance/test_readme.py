"""Run the README and the documentation pages as a reader would: block after block, in an empty folder."""

import contextlib
import importlib
import re

import pytest
from acceptance.pages import PAGES, ROOT, blocks, needs, run_page

LINK = re.compile(r"\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)")
TESTED_APART = {"cps_walkthrough.md"}


def pages_with_code():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if list(blocks(text)) and page.name not in TESTED_APART:
            marks = [pytest.mark.slow] if "slow" in needs(text) else []
            yield pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks)


@pytest.mark.parametrize("page", list(pages_with_code()))
def test_code_blocks_run(page, tmp_path, shared_data):
    folder = tmp_path / "reader"
    folder.mkdir()
    with contextlib.chdir(folder):
        run_page(page, folder, shared_data)


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
