import numpy as np
import pandas as pd
import pytest

from microplex.cli.picture import draw
from microplex.cli.tables import joint_table, levels_table, margins_table, tidy

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)
CASES = {
    "positive": RNG.lognormal(9, 1, 300),
    "with zeros and a top code": np.minimum(np.where(RNG.random(300) < 0.5, 0, RNG.lognormal(9, 1, 300)), 12_000),
    "losses": np.where(RNG.random(300) < 0.8, 0, RNG.normal(0, 4_000, 300)),
    "losses alone": -RNG.lognormal(5, 1, 300),
    "hours": RNG.integers(0, 60, 300).astype(float),
    "constant": np.full(300, 7.0),
    "zeros": np.zeros(300),
    "two values": RNG.integers(0, 2, 300).astype(float),
    "tiny": RNG.random(300) * 1e-6,
    "one other value": np.r_[np.zeros(299), 5_000.0],
    "levels": pd.Categorical(RNG.choice(["a", "b"], 300), ["a", "b", "never"]),
}


@pytest.mark.parametrize("case", CASES)
def test_any_variable_has_a_panel(case, tmp_path):
    real = pd.DataFrame({"x": CASES[case]})
    for other in (real, real.iloc[::-1].reset_index(drop=True), real.head(1)):
        draw(real, other, ["x"], {"x": "KS 0.01"}, "A picture", tmp_path / "picture.png")
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_panel_a_variable(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    titles = []

    def read(figure, *_, **__):
        titles.extend(axes.get_title(loc="left") for axes in figure.axes)

    monkeypatch.setattr(Figure, "savefig", read)
    table = pd.DataFrame({name: CASES[name] for name in ("positive", "losses", "levels", "hours", "zeros")})
    draw(table, table, list(table), {}, "A picture", tmp_path / "picture.png")
    assert [title for title in titles if title] == list(table)


def test_the_tables_fit_a_page():
    import io

    from rich.console import Console

    from microplex.cli.comparison import compare

    real = pd.DataFrame({"unemployment_benefits": CASES["positive"] * 1e3, "job": CASES["levels"]})
    found = {name: compare(real, real, list(real)) for name in ("real", "synthetic", "fresh real")}
    stream = io.StringIO()
    for table in (margins_table(found), levels_table(found), joint_table(found)):
        Console(file=stream, width=100).print(table)
    text = stream.getvalue()
    assert all(word in text for word in ("unemployment_benefits", "fresh real", "never", "Spearman"))
    assert "…" not in text


def test_the_tidy_table_holds_every_figure():
    from microplex.cli.comparison import compare

    real = pd.DataFrame({"x": CASES["positive"], "job": CASES["levels"]})
    table = tidy({name: compare(real, real, list(real)) for name in ("real", "synthetic")})
    assert len(table) == 2 * (6 + 3 + 5)
    assert not table["value"].isna().any()
    assert set(table["table"]) == {"real", "synthetic"}
