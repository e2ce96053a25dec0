"""The progress bar: silent unless somebody looks."""

import sys

import pytest

from microplex._progress import progress_bar


class Screen:
    encoding = "utf-8"

    def __init__(self, is_terminal):
        self.text, self.is_terminal = [], is_terminal

    def isatty(self):
        return self.is_terminal

    def write(self, text):
        self.text.append(text)
        return len(text)

    def flush(self):
        pass

    def shown(self):
        return "".join(self.text)


def run(monkeypatch, show, is_terminal):
    screen = Screen(is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar("Fitting", show) as update:
        update(0.25, None)
        update(0.5, -12.3456)
        update(1.0, -11.5)
    return screen.shown()


@pytest.mark.parametrize(
    ("show", "is_terminal", "expected"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
def test_shown_on_a_terminal_or_on_demand(monkeypatch, show, is_terminal, expected):
    assert bool(run(monkeypatch, show, is_terminal)) == expected


def test_the_bar_tells_the_likelihood_and_ends_at_the_end(monkeypatch):
    text = run(monkeypatch, True, False)
    assert "Fitting" in text
    assert "100%" in text
    assert "held-out log-likelihood -11.500 a row" in text


def test_a_failure_inside_passes_through():
    with pytest.raises(KeyError), progress_bar("Fitting", False):
        raise KeyError("x")
