"""Contrast of the page by WCAG 2.2, level AA: 4.5 for words, 3 for what pictures are made of."""

import re
from importlib.resources import files

import pytest

STYLE = files("microplex.report").joinpath("style.css").read_text(encoding="utf-8")
THEMES = [
    dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
]
WORDS = ("ink", "soft", "link", "good", "fair", "bad")
MARKS = ("real", "synthetic", "faint")
PAPERS = ("page", "card")


def luminance(rgb):
    parts = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in rgb]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def rgb(colour):
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def contrast(first, second):
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark", "print"])
def test_words_and_marks_can_be_told_from_the_paper(theme):
    for paper in PAPERS:
        for name in WORDS:
            assert contrast(rgb(theme[name]), rgb(theme[paper])) >= 4.5, (name, paper)
        for name in MARKS:
            assert contrast(rgb(theme[name]), rgb(theme[paper])) >= 3, (name, paper)
    assert contrast(rgb(theme["real"]), rgb(theme["synthetic"])) >= 3
    assert contrast(rgb(theme["ink"]), rgb(theme["warn"])) >= 4.5


@pytest.mark.parametrize("theme", THEMES, ids=["light", "dark", "print"])
@pytest.mark.parametrize("name", ["high", "low"])
def test_signs_can_be_read_in_the_heat_map(theme, name):
    from microplex.report.joint import _FULL

    square = [_FULL * a + (1 - _FULL) * b for a, b in zip(rgb(theme[name]), rgb(theme["page"]), strict=True)]
    assert contrast(rgb(theme["ink"]), square) >= 4.5
