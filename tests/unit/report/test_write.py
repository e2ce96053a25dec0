import os
import re
from html.parser import HTMLParser
from importlib.metadata import version

import numpy as np
import pandas as pd
import pytest

from microplex import Reweighter
from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.metrics import Record, pair
from microplex.metrics.evaluation import Evaluation
from microplex.report import write_report
from microplex.report.glossary import MEASURES
from microplex.report.margins import level_shares

pytest.importorskip("matplotlib")

VOID = {"meta", "input", "br", "img", "link", "hr"}
SHAPES = {"path", "use", "rect", "defs"}


class Page(HTMLParser):
    """Check that tags are closed in order, and collect what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.headings, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def calibrated():
    rng = np.random.default_rng(0)
    survey = pd.DataFrame({"state": rng.choice(["a", "<b>"], 50), "weight": rng.gamma(4, 1, 50)})
    return Reweighter().fit(survey, {"state": {"a": 90.0, "<b>": 80.0}}, "weight").result_


def test_the_page_is_whole_and_says_what_it_must(written, evaluation):
    text = written(title='Pay & <i>"rent"</i>', reproduce={"command": "microplex report --real a<b"}).read_text("utf-8")
    page = Page(text)
    said = " ".join(page.text)
    attributes = {tag: attrs for tag, attrs in page.tags}
    assert attributes["html"]["lang"] == "en"
    assert 'Pay & <i>"rent"</i>' in said
    assert "microplex report --real a<b" in said
    assert "numpy: " + np.__version__ in said
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(page.headings, page.headings[1:], strict=False))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert len(ids) == len(set(ids))
    assert sum(tag == "tr" and "data-word" in attrs for tag, attrs in page.tags) == len(evaluation.records)


def test_nothing_is_asked_of_a_network(written, calibrated):
    text = written(calibration=calibrated).read_text("utf-8")
    assert not re.search(r"https?://", text)
    outside = re.findall(r"""(?:src|href|action|srcset)\s*=\s*["'](?!#)[^"']*|url\((?!#)[^)]*|@import[^;]*""", text)
    assert outside == []


def test_names_and_values_are_escaped(written, tables):
    page = Page(written().read_text("utf-8"))
    allowed = {"html", "head", "body", "script", "style", "title", "meta", "svg", "g", "text", "clippath"} | SHAPES
    names = {tag for tag, _ in page.tags}
    assert "b" not in names - allowed
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert '<b>pay</b> & "cost" $x_1$' in " ".join(page.text)
    assert any("<script>" in attrs.get("aria-label", "") for tag, attrs in page.tags if tag == "svg")


def test_the_same_arguments_give_the_same_file(written, first):
    assert written(seed=0).read_bytes() == first


def test_every_picture_has_words_and_names_of_its_own(written, calibrated):
    page = Page(written(calibration=calibrated).read_text("utf-8"))
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) > 10
    assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs in pictures)
    used = {attrs["xlink:href"].removeprefix("#") for tag, attrs in page.tags if tag == "use"}
    used |= {attrs["clip-path"][5:-1] for _, attrs in page.tags if "clip-path" in attrs}
    assert used <= {attrs["id"] for _, attrs in page.tags if "id" in attrs}


def test_colours_follow_the_page(written):
    text = written().read_text("utf-8")
    assert "#0102" not in text
    assert "var(--real)" in text
    assert "currentColor" in text


def test_every_measure_is_explained(evaluation):
    assert {record.measure for record in evaluation.records} <= set(MEASURES)


def test_evaluates_if_no_evaluation_is_given(tables, tmp_path):
    pytest.importorskip("sklearn")
    real, synthetic = (table[["age", "gains", "weight"]] for table in tables[:2])
    file = tmp_path / "report.html"
    found = write_report(file, real, synthetic, weight_col="weight")
    assert found.target_vars == ("age", "gains")
    said = " ".join(Page(file.read_text("utf-8")).text)
    assert "Privacy was not measured" in said
    assert "No conditions were named" in said


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_any_frame_gives_the_same_report(tables, evaluation, written, tmp_path, kind):
    import pyarrow as pa

    if kind == "polars":
        pl = pytest.importorskip("polars")
    real, synthetic = (pl.from_pandas(t) if kind == "polars" else pa.Table.from_pandas(t) for t in tables[:2])
    write_report(tmp_path / "other.html", real, synthetic, weight_col="weight", evaluation=evaluation)
    assert (tmp_path / "other.html").read_bytes() == written().read_bytes()


def test_calibration_shows_targets_before_and_after(written, calibrated):
    said = " ".join(Page(written(calibration=calibrated).read_text("utf-8")).text)
    assert "Every target is met." in said
    assert "count, state=<b>" in said
    assert "Ratios of calibrated to base weights" in said
    table = " ".join(Page(written(calibration=calibrated.diagnostics).read_text("utf-8")).text)
    assert "2 of 2 targets are met." in table
    assert "The weights themselves were not given" in table


def test_a_page_without_a_floor_claims_nothing(tables, tmp_path):
    records = (Record("ks", "marginal", ("gains",), 0.4, ideal=0.0),)
    bare = Evaluation(records, (), ("gains",), {"real": 300, "synthetic": 300}, ())
    write_report(tmp_path / "bare.html", *tables[:2], evaluation=bare)
    assert "Nothing could be judged" in (tmp_path / "bare.html").read_text("utf-8")


COLUMNS = {
    "constant": (np.full(60, 7.0), np.full(60, 7.0)),
    "constant and not": (np.full(60, 7.0), np.arange(60.0)),
    "all zeros": (np.zeros(60), np.zeros(60)),
    "one other value": (np.r_[np.zeros(59), 5.0], np.zeros(60)),
    "tiny": (np.random.default_rng(0).random(60) * 1e-9, np.random.default_rng(1).random(60) * 1e-9),
    "huge": (np.geomspace(1, 1e15, 60), np.geomspace(1, 1e14, 60)),
    "beyond all sums": (np.geomspace(1e290, 1.7e308, 60) * (-1.0) ** np.arange(60), np.linspace(1e300, 1.7e308, 60)),
    "below all steps": (np.geomspace(1e-310, 1e-300, 60), np.geomspace(1e-308, 1e-290, 60)),
    "losses alone": (-np.geomspace(1, 1e5, 60), -np.geomspace(1, 1e6, 60)),
    "no overlap": (np.arange(60.0) - 1e6, np.arange(60.0) + 1e6),
    "missing in one": (np.arange(60.0), np.full(60, np.nan)),
    "one present": (np.r_[1.5, np.full(59, np.nan)], np.arange(60.0) * 1.1),
    "many levels": (np.array([f"level {i % 40}" for i in range(60)]), np.array(["level 1"] * 60)),
    "dates": (pd.date_range("2020", periods=60), pd.date_range("2021", periods=60)),
    "truths": (np.arange(60) % 2 == 0, np.ones(60, bool)),
    "other scripts": (np.array(["日本", "عربى", "a\nb\x00"] * 20), np.array(["日本"] * 60)),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_any_column_can_be_drawn(case, tmp_path):
    real, synthetic = (pd.DataFrame({"日本 x": values, "y": np.arange(60.0)}) for values in COLUMNS[case])
    for given, wanted in (((), ("日本 x", "y")), (("y",), ("日本 x",)), (("日本 x",), ("y",))):
        bare = Evaluation((), given, wanted, {"real": 60, "synthetic": 60}, ())
        write_report(tmp_path / "report.html", real, synthetic, evaluation=bare)
        Page((tmp_path / "report.html").read_text("utf-8"))


def test_24_columns_stay_below_5_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"amount_{i}" for i in range(24)]
    real, synthetic = (pd.DataFrame(rng.lognormal(8, 2, (2_000, 24)).round(2), columns=names) for _ in range(2))
    records = tuple(
        Record(f"measure_{k}", "conditional", (name, names[0]), 0.01 * k, ideal=0.0, floor=0.02, detail="20 cells")
        for name in names
        for k in range(60)
    )
    found = Evaluation(records, tuple(names[:6]), tuple(names[6:]), {"real": 2_000, "synthetic": 2_000}, ())
    write_report(tmp_path / "report.html", real, synthetic, evaluation=found)
    assert (tmp_path / "report.html").stat().st_size < 5e6


def test_what_reproduces_the_figures_is_told(tables, evaluation, tmp_path):
    pytest.importorskip("sklearn")
    real, synthetic, train, holdout = (table[["age", "gains"]] for table in tables)
    told = {"sensitive": ["gains"], "quasi_identifiers": ["age"], "max_rows": 150, "seed": 7}
    write_report(tmp_path / "own.html", real, synthetic, ["age"], train=train, holdout=holdout[:250], **told)
    said = " ".join(Page((tmp_path / "own.html").read_text("utf-8")).text)
    for name in ("numpy", "scipy", "pandas", "scikit-learn", "matplotlib"):
        assert f"{name}: {version(name)}" in said
    assert "rows: real 300, synthetic 300, training 300, holdout 250" in said
    assert "seed: 7" in said
    assert "sensitive: gains" in said
    assert "quasi-identifiers: age" in said
    assert "classifiers and distances: at most 150" in said
    # Of an evaluation that was made elsewhere, these are not known, and not claimed.
    write_report(tmp_path / "given.html", *tables[:2], weight_col="weight", evaluation=evaluation)
    assert "at most" not in " ".join(Page((tmp_path / "given.html").read_text("utf-8")).text)


def test_words_in_pictures_can_be_read_on_a_phone(written, calibrated):
    """Pictures are as wide as a phone, about 360 pixels, and their words 9 or more; the heat map has a table."""
    page = Page(written(calibration=calibrated).read_text("utf-8"))
    pictures = [attrs for tag, attrs in page.tags if tag == "svg"]
    drawn = [attrs for attrs in pictures if not attrs["aria-label"].startswith("Differences of the rank correlations")]
    assert len(drawn) == len(pictures) - 1
    assert all(10 * 360 / float(attrs["viewbox"].split()[2]) >= 9 for attrs in drawn)


@pytest.mark.parametrize("seed", range(5))
def test_axes_within_conditions_have_two_ticks_at_least(seed):
    from matplotlib.figure import Figure

    from microplex.report.conditional import _ticks

    rng = np.random.default_rng(seed)
    for _ in range(20):
        axes = Figure().subplots()
        _ticks(axes, rng.normal(10 ** rng.uniform(-2, 6), 10 ** rng.uniform(-3, 5), 6))
        low, high = axes.get_xlim()
        inside = [tick for tick in axes.get_xticks() if low <= tick <= high]
        assert 2 <= len(inside) <= 4


def test_measures_without_verdict_can_be_filtered(tmp_path, tables):
    records = (
        Record("ks", "marginal", ("gains",), 0.4, ideal=0.0),
        Record("ks", "marginal", ("age",), 0.4, ideal=0.0, floor=0.1),
    )
    bare = Evaluation(records, (), ("gains",), {"real": 300, "synthetic": 300}, ())
    write_report(tmp_path / "report.html", *tables[:2], evaluation=bare)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert [attrs["data-word"] for tag, attrs in page.tags if "data-word" in attrs] == ["off", "not judged"]
    assert "not judged" in [attrs.get("value") for tag, attrs in page.tags if tag == "option"]


def test_levels_that_no_row_of_weight_has_are_left_out():
    levels = [f"unused {i}" for i in range(20)]
    table = pd.DataFrame({"state": pd.Categorical(["a", "b", "c"], ["a", "b", "c", *levels]), "w": [1.0, 1.0, 0.0]})
    both = pair(table, table, weight_col="w")
    assert level_shares(both, both["state"]) == {"a": (0.5, 0.5), "b": (0.5, 0.5)}


def test_a_weight_counts_as_so_many_rows(tmp_path, tables):
    """What pictures and tables say is the same for repeated rows, scaled weights and rows in another order."""
    rng = np.random.default_rng(77)
    # Cells of conditions need so many rows, not so much weight: enough of them for the same cells.
    longer = [pd.concat(some, ignore_index=True) for some in (tables[::2], tables[1::2])]
    weighted = [table.assign(weight=rng.integers(0, 4, len(table)).astype(float)) for table in longer]
    targets = tuple(name for name in weighted[0].columns if name not in ("age", "sex", "weight"))
    bare = Evaluation((), ("age", "sex"), targets, {}, ())

    def said(real, synthetic):
        write_report(tmp_path / "report.html", real, synthetic, weight_col="weight", evaluation=bare)
        text = (tmp_path / "report.html").read_text("utf-8")
        return re.findall(r'aria-label="([^"]*)"|<td[^>]*>([^<]*)</td>', text)

    def repeated(table):
        return table.loc[table.index.repeat(table["weight"].astype(int))].assign(weight=1.0)

    expected = said(*weighted)
    assert len(expected) > 40
    assert said(*map(repeated, weighted)) == expected
    assert said(*(table.assign(weight=table["weight"] * 1e-3) for table in weighted)) == expected
    assert said(*(table.sample(frac=1, random_state=0) for table in weighted)) == expected


def test_bad_calls_are_refused_before_any_work(tables, evaluation, tmp_path):
    real, synthetic, _, holdout = tables
    file = tmp_path / "report.html"
    with pytest.raises(ParameterError, match="give train too"):
        write_report(file, real, synthetic, holdout=holdout)
    with pytest.raises(FileNotFoundError, match="Make it first"):
        write_report(tmp_path / "none" / "report.html", real, synthetic)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        write_report(tmp_path, real, synthetic)
    with pytest.raises(ColumnNotFoundError, match="calibration column 'target'"):
        write_report(file, real, synthetic, calibration=pd.DataFrame({"name": ["a"]}))
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'gain'"):
        write_report(file, real, synthetic.rename(columns={"gains": "gain"}), evaluation=evaluation)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"), [({"before": ["x"]}, "must hold numbers"), (None, "has no rows")], ids=["text", "empty"]
)
def test_bad_calibration_tables_are_refused(tables, tmp_path, change, words):
    good = {"name": ["a"], "target": [1.0], "before": [1.0], "after": [1.0], "error": [0.0], "status": ["met"]}
    table = pd.DataFrame(good).iloc[:0] if change is None else pd.DataFrame(good | change)
    with pytest.raises(DataError, match=words):
        write_report(tmp_path / "report.html", *tables[:2], calibration=table)


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
def test_a_missing_package_is_named(tables, tmp_path, monkeypatch, package):
    monkeypatch.setitem(write_report.__globals__, "find_spec", lambda name: None if name == package else True)
    with pytest.raises(ImportError, match=r"microplex\[report\]"):
        write_report(tmp_path / "report.html", *tables[:2])


def test_a_folder_that_takes_no_files_is_refused_before_any_work(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setitem(write_report.__globals__, "evaluate", lambda *_, **__: pytest.fail("worked first"))
    with pytest.raises(PermissionError, match="does not take files"):
        write_report(tmp_path / "report.html", *tables[:2])


def test_a_failure_leaves_the_old_file(written, monkeypatch):
    file = written()
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        written(seed=0)
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
