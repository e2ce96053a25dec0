"""The walk-through on real tax units: fit, generate, and let Tax-Calculator read both files."""

import contextlib

import numpy as np
import pytest
from acceptance.pages import ROOT, run_page

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
    assert len(page["difference"]) == 3
    assert max(map(abs, page["difference"].values())) < 0.03


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_record_breaks_an_edit(page, seed):
    table = page["synthetic"][seed]
    assert len(table) == page["COPIES"] * len(page["units"])
    for total in ("e00200", "e00900", "e02100"):
        assert (table[total] == table[f"{total}p"] + table[f"{total}s"]).all()
        assert (table.loc[table["MARS"] != 2, f"{total}s"] == 0).all()
    assert (table["e00650"] <= table["e00600"]).all()
    assert (table["e01700"] <= table["e01500"]).all()


def test_the_distribution_of_the_tax_is_kept(page):
    real = page["income_tax"](page["units"][page["synthetic"][1].columns])
    drawn = page["income_tax"](page["synthetic"][1])
    assert abs(np.mean(drawn > 0) - np.mean(real > 0)) < 0.01
    for q in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        assert np.quantile(drawn, q) == pytest.approx(np.quantile(real, q), rel=0.05, abs=100)


def test_amounts_are_drawn_not_copied(page):
    table, units = page["synthetic"][1], page["units"]
    same = (table["e00200"].to_numpy() == np.tile(units["e00200"], page["COPIES"])) & (table["e00200"] > 0)
    assert same.mean() < 0.02
