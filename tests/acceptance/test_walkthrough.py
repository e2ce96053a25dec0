"""The walk-through on real tax units: fit, generate, and let Tax-Calculator read both files."""

import contextlib

import numpy as np
import pytest
from acceptance.pages import ROOT, run_page
from scipy.stats import ks_2samp

PAGE = ROOT / "docs" / "cps_walkthrough.md"

# Slow for its fit, and for the compilation of Tax-Calculator; the warnings are those of its own imports.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def page(tmp_path_factory, shared_data):
    folder = tmp_path_factory.mktemp("walkthrough") / "reader"
    folder.mkdir()
    with contextlib.chdir(folder):
        return run_page(PAGE, folder, shared_data)


def test_total_income_tax_is_within_three_percent(page):
    found = page["difference"].values()
    assert len(found) == 3
    assert np.mean(np.abs(list(found))) < 0.03


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_record_breaks_an_edit(page, seed):
    table = page["synthetic"][seed]
    assert len(table) == page["COPIES"] * len(page["units"])
    for total in ("e00200", "e00900", "e02100"):
        assert (table[total] == table[f"{total}p"] + table[f"{total}s"]).all()
        assert (table.loc[table["MARS"] != 2, f"{total}s"] == 0).all()
    for part, whole in (("e00650", "e00600"), ("e01700", "e01500"), ("e20100", "e19800")):
        assert (table[part] <= table[whole]).all()


def test_the_distribution_of_the_tax_is_kept(page):
    columns = page["synthetic"][0].columns
    real, drawn = (page["income_tax"](table) for table in (page["units"][columns], page["synthetic"][0]))
    assert ks_2samp(real, drawn, method="asymp").statistic < 0.02


def test_amounts_are_drawn_not_copied(page):
    wages, drawn = np.tile(page["units"]["e00200"], page["COPIES"]), page["synthetic"][0]["e00200"]
    assert np.mean((drawn == wages) & (drawn > 0)) < 0.02
