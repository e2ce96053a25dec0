"""Pages of documentation as programs: their code blocks, and what they need to run.

A page may open with ``<!-- needs: shared_data, taxcalc, slow -->``: the first makes ``../shared`` available, the
last marks the page's test, anything else is a module without which the page is skipped. A block under
``<!-- not run: reason -->`` is left out.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"<!-- needs: (?P<names>.*?) -->")
NOT_RUN = re.compile(r"<!-- not run: .+? -->\s*$")


def blocks(text):
    """Yield each block's code, moved down to its own line so that a traceback points into the page."""
    for match in BLOCK.finditer(text):
        if not NOT_RUN.search(text[: match.start()]):
            yield "\n" * (text.count("\n", 0, match.start()) + 1) + match["code"]


def needs(text):
    match = NEEDS.search(text)
    return {name.strip() for name in match["names"].split(",")} if match else set()


def run_page(page, folder, locate):
    """Run the blocks one after the other in the folder that must be current, and return their names."""
    text = page.read_text(encoding="utf-8")
    for name in sorted(needs(text) - {"slow"}):
        if name == "shared_data":
            (folder.parent / "shared").symlink_to(locate("").parent, target_is_directory=True)
        else:
            pytest.importorskip(name, reason=f"{page.name} needs {name}, which is not installed")
    namespace = {"__name__": "__main__"}
    for code in blocks(text):
        exec(compile(code, str(page), "exec"), namespace)
    return namespace
