"""Pictures as inline SVG: drawn by matplotlib, coloured by the style sheet of the page."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex.report.markup import attribute
from microplex.survey import quantile

Floats = NDArray[np.float64]

# Stand-ins that no picture uses otherwise; in the page they follow its light or dark style.
INK, FAINT, REAL, SYNTHETIC, HIGH, LOW = "#010203", "#010204", "#010205", "#010206", "#010207", "#010208"
_STYLE = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    REAL: "var(--real)",
    SYNTHETIC: "var(--synthetic)",
    HIGH: "var(--high)",
    LOW: "var(--low)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "microplex",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "path.simplify": True,
}
SHORT = 200  # whole numbers up to here take a linear axis
BINS = 60
_LARGEST = 1.45  # pixels a point
_MOST = 1e307


def picture(draw: Callable[[Any], None], width: float, height: float, alt: str, prefix: str) -> str:
    """Draw a picture and return it as SVG to put into a page.

    The same drawing gives the same text: no date, no random name.

    Parameters
    ----------
    draw : callable
        Takes a matplotlib figure.
    width, height : float
        In points; the page stretches the picture to the width it has.
    alt : str
        What the picture shows, for those who do not see it.
    prefix : str
        Starts the names inside, so that no two pictures of a page share one.

    Returns
    -------
    str

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> svg = picture(lambda figure: figure.text(0, 0, "a < b"), 100, 50, "Two letters", "p1")
    >>> svg[:41], "a &lt; b" in svg, "http" in svg
    ('<svg role="img" aria-label="Two letters" ', True, False)
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('a report needs matplotlib: pip install "microplex[report]".') from None
    text = io.StringIO()
    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph|constrained_layout not applied|Tight layout", UserWarning)
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(text.getvalue(), width, alt, prefix)


def _inline(svg: str, width: float, alt: str, prefix: str) -> str:
    """Make an SVG file part of a page: own names, colours of the page, nothing that names an address."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', svg)
    size = f'viewBox="{box[1] if box else "0 0 1 1"}" style="max-width: {_LARGEST * width:.0f}px"'
    opening = f'<svg role="img" aria-label="{attribute(alt)}" {size}>'
    svg = opening + svg[svg.index(">") + 1 :]
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", svg)
    svg = re.sub(r"<[^>]*>", lambda tag: re.sub(r"-?\d+\.\d{3,}", _rounded, tag[0]), svg)
    svg = re.sub(r"\s*\n\s*", "\n", svg)
    svg = re.sub(r"; ?font(?:-family)?: [^;\"]*sans-serif|'[^']*'(?:, '[^']*')*, sans-serif", "", svg)
    for stand_in, colour in _STYLE.items():
        svg = svg.replace(stand_in, colour)
    return svg.strip()


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found[0]):.2f}".rstrip("0").rstrip(".")


class Scale:
    """An axis: linear, logarithmic or, where values have both signs, logarithmic in both directions.

    Parameters
    ----------
    values : array_like
        At least one; those of both tables.
    dtype : str
        Dates have a linear axis.

    Examples
    --------
    >>> Scale([10.0, 100.0, 5_000.5]).kind, Scale([1.0, 2.0]).kind, Scale([-500.5, 900.0]).kind
    ('log', 'linear', 'both')
    """

    def __init__(self, values: ArrayLike, dtype: str = "") -> None:
        x = np.asarray(values, np.float64)
        size = np.abs(x)
        large = float(np.quantile(size, 0.99))
        is_short = bool((x == np.rint(x)).all()) and large <= SHORT
        spread = large / max(float(np.quantile(size, 0.02)), 1e-300)
        is_linear = is_short or (spread < 8 and (x > 0).all()) or dtype in ("date", "datetime")
        self.kind = "linear" if is_linear else "both" if (x < 0).any() else "log"
        self.whole = is_short
        self.step = 10.0 ** math.floor(math.log10(max(float(np.quantile(size, 0.1)), 1e-12)))
        self.bins = int(np.clip(1.5 * math.sqrt(len(x)), 12, BINS))

    def __call__(self, values: ArrayLike) -> Floats:
        """Return where values stand on the axis."""
        x = np.asarray(values, np.float64)
        if self.kind == "both":
            with np.errstate(over="ignore"):  # beyond 1e308 steps: at the end of the axis
                steps = np.clip(x / self.step / 2, -_MOST, _MOST)
            return np.asarray(np.arcsinh(steps) / math.log(10))
        return np.log10(np.maximum(x, 1e-12)) if self.kind == "log" else x

    def edges(self, low: float, high: float) -> Floats:
        """Return bins from one place on the axis to another."""
        if self.whole:
            width = max(1, math.ceil((high - low) / self.bins))
            return np.arange(math.floor(low), math.ceil(high) + width + 1, width, dtype=np.float64) - 0.5
        pad = 0.03 * max(high - low, 1e-3 * max(abs(high), 1e-9))
        return np.linspace(low - pad, high + pad, self.bins + 1, dtype=np.float64)

    def ticks(self, low: float, high: float, apart: float = 0.2) -> list[float]:
        """Return round values that leave room for their labels, those first named first."""
        if self.kind == "linear":
            width = 10.0 ** math.floor(math.log10(max(high - low, 1e-9) / 2)) * 2
            wanted = [width * k for k in range(math.ceil(low / width), math.floor(high / width) + 1)]
        else:
            zero = math.floor(math.log10(self.step)) if self.kind == "both" else 0  # ends count powers of ten
            first = zero if self.kind == "both" else math.floor(low)
            last = min(307, zero + math.ceil(max(abs(low), abs(high)) if self.kind == "both" else high) + 1)
            powers = [10.0**k for k in range(max(-300, first), last + 1)]
            halves = [factor * power for factor in (3, 5, 2, 7, 4, 1.5) for power in powers]
            wanted = powers + halves if self.kind == "log" else [0.0, *powers, *(-power for power in powers)]
            wanted.sort(key=lambda x: not self._is_round(x))
        kept: list[float] = []
        for tick in wanted:
            at = float(self(tick))
            if low <= at <= high and all(abs(at - float(self(k))) >= apart * (high - low) for k in kept):
                kept.append(tick)
        return sorted(kept)

    @staticmethod
    def _is_round(value: float) -> bool:
        return value == 0 or abs(math.log10(abs(value))) % 3 < 1e-9


def short(value: float, digits: int = 3) -> str:
    """Write a figure in a few characters, whole numbers below 100,000 in all of theirs if it takes more digits.

    Examples
    --------
    >>> short(1_250_000.0), short(-3000.0), short(0.25)
    ('1.25m', '\N{MINUS SIGN}3k', '0.25')
    """
    size = abs(value)
    sign = "\N{MINUS SIGN}" if value < 0 else ""
    if size >= 1e15:
        return f"{sign}{size:.{digits}g}".replace("e+", "e")
    if digits > 3 and size < 1e5 and size == round(size):
        return f"{sign}{size:.0f}"
    for unit, suffix in ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if size >= unit:
            return f"{sign}{size / unit:.{digits}g}{suffix}"
    return f"{sign}{size:.{digits}g}"


def percent(value: float) -> str:
    """Write a share, never as 0 or 100 % where it is not.

    Examples
    --------
    >>> percent(0.0), percent(0.0004), percent(0.123), percent(0.99999)
    ('0 %', '<0.1 %', '12.3 %', '>99.9 %')
    """
    if math.isnan(value):
        return "none"
    if value in (0, 1):
        return f"{100 * value:.0f} %"
    return "<0.1 %" if value < 0.001 else ">99.9 %" if value > 0.999 else f"{100 * value:.1f} %"


def clipped(text: str, most: int) -> str:
    """Return a label on one line, at most so long.

    Examples
    --------
    >>> clipped("capital gains", 8)
    'capital…'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def middle_range(values: Floats, weights: Floats, share: float = 0.001) -> tuple[float, float]:
    """Return the weighted quantiles that leave a share at each end.

    Examples
    --------
    >>> middle_range(np.array([1.0, 2.0, 3.0]), np.ones(3))
    (1.0, 3.0)
    """
    low, high = quantile(values, [share, 1 - share], weights)
    return float(low), float(high)
