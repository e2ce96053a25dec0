"""Labels of axes and levels: values that differ look different, and dates are dates."""

import re

import numpy as np
import pandas as pd
import pytest

from microplex.metrics.evaluation import Evaluation
from microplex.report.axes import labels, moment_ticks, written

DAY = 86_400.0


@pytest.mark.parametrize(
    "values",
    [
        [2019.0, 2020.0, 2021.0],
        [1_620_000_000.0, 1_620_500_000.0],
        [41_200.0, 41_250.0],
        [0.12345, 0.12346],
        [1e-300, 2e-300],
        [1e300, 1.0001e300],
        [-2019.0, -2020.0],
    ],
)
def test_values_that_differ_have_labels_that_differ(values):
    assert len(set(labels(values))) == len(values)


def test_labels_are_as_short_as_they_can_be():
    assert labels([1000.0, 2000.0]) == ["1k", "2k"]
    assert labels([0.25, 0.255], share=True) == ["25%", "25.5%"]
    assert labels([0.1 * 3, 0.4]) == ["0.3", "0.4"]


@pytest.mark.parametrize(("dtype", "unit"), [("date", 1.0), ("datetime", DAY)])
@pytest.mark.parametrize("days", [3, 40, 100, 400, 3_000, 40_000])
def test_ticks_of_dates_are_true_dates_inside(dtype, unit, days):
    low = 18_000.3 * unit
    ticks, names = moment_ticks(low, low + days * unit, dtype)
    assert 2 <= len(ticks) <= 4
    assert len(set(names)) == len(names)
    assert all(low <= tick <= low + days * unit for tick in ticks)
    for tick, name in zip(ticks, names, strict=True):
        assert written(tick, dtype) == name + "-01-01"[len(name) - 4 :][: 10 - len(name)]


def test_a_moment_is_the_day_it_falls_on():
    assert written(-0.5 * DAY, "datetime") == "1969-12-31"
    assert labels([0.0, 60.0], "datetime") == ["1970-01-01T00:00:00", "1970-01-01T00:01:00"]


def page_of(real, synthetic, given, wanted, tmp_path):
    pytest.importorskip("matplotlib")
    from microplex.report import write_report

    sizes = {"real": len(real), "synthetic": len(synthetic)}
    write_report(tmp_path / "page.html", real, synthetic, evaluation=Evaluation((), given, wanted, sizes, ()))
    return (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["date", "datetime"])
def test_dates_are_drawn_as_dates(kind, tmp_path):
    rng = np.random.default_rng(0)

    def table():
        days = pd.Timestamp("1968-05-01") + pd.to_timedelta(rng.integers(0, 5_000, 200), "D")
        return pd.DataFrame({"born": days.date if kind == "date" else days, "sex": rng.choice(["f", "m"], 200)})

    page = page_of(table(), table(), ("sex",), ("born",), tmp_path)
    alts = " ".join(re.findall(r'aria-label="([^"]*)"', page))
    assert re.search(r"p50 19\d\d-\d\d-\d\d real", alts)
    assert re.search(r"mean; sex f: 19\d\d-\d\d-\d\d real", alts)
    assert "share of rows above" not in alts
    assert "zero" not in alts.split("born", 1)[1]
    assert re.search(r">19\d\d<", page)
    assert not re.search(r">\N{MINUS SIGN}?[\d.]+(?:k|m|bn)<", page)


def test_levels_of_years_are_not_put_together(tmp_path):
    years = pd.DataFrame({"year": np.repeat([2018.0, 2019.0, 2020.0, 2021.0], 25)})
    page = page_of(years, years, (), ("year",), tmp_path)
    for year in range(2018, 2022):
        assert f"{year} 25.0\N{NO-BREAK SPACE}% real and 25.0\N{NO-BREAK SPACE}% synthetic" in page
