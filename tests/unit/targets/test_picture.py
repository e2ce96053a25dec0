"""What the pictures of a calibration show, read from their axes."""

import warnings

import numpy as np
import pandas as pd
import pytest

from microplex import Reweighter
from microplex.targets.picture import FLOOR, LISTED, draw_frontier, draw_outcome, listed, round_numbers

pytest.importorskip("matplotlib")


def survey(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "cell": rng.integers(0, 60, n),
            "tax_$_paid": rng.lognormal(3, 1, n),
            "balance": rng.normal(size=n),
            "weight": rng.gamma(4, 1, n),
        }
    )


def fitted(frame, targets, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Reweighter(**options).fit(frame, targets).result_


def counts(frame, factor=1.2):
    return {"cell": (factor * frame.groupby("cell")["weight"].sum()).to_dict()}


@pytest.fixture
def figures(monkeypatch):
    """Figures that were saved, in order."""
    from matplotlib.figure import Figure

    saved = []
    save = Figure.savefig

    def noting(figure, *words, **options):
        saved.append(figure)
        save(figure, *words, **options)

    monkeypatch.setattr(Figure, "savefig", noting)
    return saved


def points(axes, label):
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line.get_xdata(), line.get_ydata()


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_file_of_each_kind_is_made(suffix, tmp_path):
    frame = survey()
    file = tmp_path / f"picture.{suffix}"
    fitted(frame, {"balance": 30.0}).plot(file)
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert file.read_bytes().startswith(head)


def test_few_targets_have_a_line_each_the_worst_on_top(figures, tmp_path):
    frame = survey()
    targets = {"tax_$_paid": 1.5 * float(frame["weight"] @ frame["tax_$_paid"]), "weight": float(frame["weight"].sum())}
    targets["weight"] = 1.01 * float(frame["weight"] @ frame["weight"])
    result = fitted(frame, targets)
    draw_outcome(result, tmp_path / "picture.png")
    errors, _ = figures[0].axes
    assert names(errors) == ["weight", r"tax_\$_paid"]
    before, places = points(errors, "base weights")
    np.testing.assert_allclose(before, [0.01 / 1.01, 0.5 / 1.5], rtol=1e-9)
    assert places.tolist() == [0, 1]
    after, _ = points(errors, "calibrated")
    assert (after < 1e-10).all()
    low, high = errors.get_xlim()
    assert low < after.min() <= before.max() < high


def test_errors_of_zero_stay_on_the_axis(figures, tmp_path):
    frame = pd.DataFrame({"cell": ["a", "b"], "weight": [1.0, 2.0]})
    draw_outcome(fitted(frame, {"cell": {"a": 1.0, "b": 2.0}}), tmp_path / "picture.png")
    errors, ratios = figures[0].axes
    assert points(errors, "calibrated")[0].tolist() == [FLOOR, FLOOR]
    assert errors.get_xlim()[0] < FLOOR
    assert sum(bar.get_height() for bar in ratios.patches) == 2


def test_of_many_targets_the_worst_are_listed_and_all_drawn_as_distributions(figures, tmp_path):
    frame = survey(2000)
    result = fitted(frame, counts(frame))
    draw_outcome(result, tmp_path / "picture.png")
    errors, curves, _ = figures[0].axes
    assert len(names(errors)) == LISTED < len(result.diagnostics)
    x, share = points(curves, "base weights")
    assert len(x) == len(result.diagnostics) + 1
    assert (share[0], share[-1]) == (0, 1)
    np.testing.assert_allclose(x[1:], np.sort(np.abs(result.calibration.before)))
    assert "furthest off" in errors.get_title(loc="left")


def test_missed_targets_are_marked_and_named(figures, tmp_path):
    frame = survey(2000)
    targets = counts(frame) | {"households": float(1.5 * frame["weight"].sum())}
    result = fitted(frame, targets, on_infeasible="relax")
    draw_outcome(result, tmp_path / "picture.png")
    errors = figures[0].axes[0]
    order, missed = listed(result)
    assert missed.sum() == len(points(errors, "missed")[0]) + (missed.sum() - missed[order].sum()) > 1
    worst = result.diagnostics["error"].abs().idxmax()
    assert names(errors)[-1] == result.diagnostics["name"][worst]
    assert f"{missed.sum()} of 61 targets are missed" in errors.get_title(loc="left")
    assert figures[0].get_suptitle() == "Not every target can be met."


def test_what_rounding_moved_is_not_missed(figures, tmp_path):
    frame = survey(2000)
    result = fitted(frame, counts(frame), integer=True)
    draw_outcome(result, tmp_path / "picture.png")
    assert not listed(result)[1].any()
    assert "rounding moved most" in figures[0].axes[0].get_title(loc="left")
    assert "missed" not in [line.get_label() for line in figures[0].axes[0].get_lines()]


def test_a_tolerance_is_marked_where_there_is_one(figures, tmp_path):
    frame = survey()
    result = fitted(frame, {"balance": 30.0}, tolerance=0.05)
    draw_outcome(result, tmp_path / "picture.png")
    assert points(figures[0].axes[0], "tolerance")[0].tolist() == [0.05]
    assert points(figures[0].axes[0], "calibrated")[0] == pytest.approx([0.05], rel=1e-4)


def test_negative_weights_have_bars_of_their_own(figures, tmp_path):
    frame = survey()
    targets = {
        "tax_$_paid": 6 * float(frame["weight"] @ frame["tax_$_paid"]),
        "households": float(frame["weight"].sum()),
    }
    result = fitted(frame, targets, method="linear", bounds=(-np.inf, np.inf))
    negative = int((result.weights < 0).sum())
    assert negative > 0
    draw_outcome(result, tmp_path / "picture.png")
    ratios = figures[0].axes[-1]
    below = [bar for bar in ratios.patches if bar.get_x() + bar.get_width() < 1e-9]
    assert sum(bar.get_height() for bar in below) == negative
    assert {bar.get_facecolor() for bar in below}.isdisjoint({ratios.patches[-1].get_facecolor()})
    assert f"{negative} negative" in ratios.get_title(loc="left")
    assert ratios.get_xscale() == "linear"


def test_records_without_weight_are_counted(figures, tmp_path):
    from dataclasses import replace

    frame = survey()
    result = fitted(frame, {"balance": 30.0})
    weights = np.where(np.arange(400) < 390, 0.0, 40.0)
    draw_outcome(replace(result, weights=weights), tmp_path / "picture.png")
    ratios = figures[0].axes[-1]
    assert "390 without weight" in ratios.get_title(loc="left")
    assert sum(bar.get_height() for bar in ratios.patches) == 10


def test_weights_that_are_all_zero_or_all_the_same_can_be_drawn(tmp_path):
    from dataclasses import replace

    result = fitted(survey(), {"balance": 30.0})
    for weights in (np.zeros(400), result.base, -result.base, 1e-9 * result.base):
        draw_outcome(replace(result, weights=weights), tmp_path / "picture.png")


def test_names_do_not_grow_without_end(figures, tmp_path):
    frame = survey().rename(columns={"balance": "b" * 200})
    draw_outcome(fitted(frame, {"b" * 200: 30.0}), tmp_path / "picture.png")
    assert len(names(figures[0].axes[0])[0]) <= 45


def test_the_frontier_stands_beside_equal_weights(figures, tmp_path):
    table = pd.DataFrame({"n_records": [50, 500, 5000], "ess": [45.0, 430.0, 3900.0]})
    draw_frontier(table, tmp_path / "frontier.png")
    (axes,) = figures[0].axes
    assert points(axes, "effective sample size")[1].tolist() == [45.0, 430.0, 3900.0]
    assert points(axes, "if all weights were equal")[1].tolist() == [50.0, 5000.0]


@pytest.mark.parametrize(("low", "high"), [(0.3, 40), (1e-9, 1e9), (2.1, 2.2), (90, 110), (1.0, 1.0)])
def test_ticks_are_few_and_within(low, high):
    ticks = round_numbers(low, high)
    assert 1 <= len(ticks) <= 6
    assert all(low <= tick <= high for tick in ticks)


def test_without_matplotlib_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"microplex\[plot\]"):
        draw_frontier(pd.DataFrame({"n_records": [1], "ess": [1.0]}), tmp_path / "a.png")
