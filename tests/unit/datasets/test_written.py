from pathlib import Path

import pytest

from microplex.datasets.written import written_law

PAGE = Path(__file__).parents[3] / "docs" / "population.md"


@pytest.mark.parametrize("section", written_law())
def test_the_page_holds_the_law(section):
    assert written_law()[section] in PAGE.read_text(encoding="utf-8"), (
        "docs/population.md is out of date: paste the table from written_law()"
    )
