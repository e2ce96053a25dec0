"""A card for each target: shares of zeros and other exact values, density, upper tail; real against synthetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.errors import DataError
from microplex.metrics import Pair, Variable
from microplex.metrics.evaluation import Evaluation
from microplex.report.axes import MOMENTS, labels, moment_ticks, written
from microplex.report.drawing import (
    FAINT,
    INK,
    REAL,
    SYNTHETIC,
    Scale,
    clipped,
    middle_range,
    percent,
    picture,
)
from microplex.report.markup import figure, light, text
from microplex.survey import quantile

Floats = NDArray[np.float64]
Sides = tuple[tuple[Floats, Floats], tuple[Floats, Floats]]  # values and weights, real and synthetic
Shares = dict[str, tuple[float, float]]

FEW = 12  # distinct numbers up to here are drawn as levels
LEVELS = 12
_ATOM = 0.03  # share from which an exact value other than 0 has a bar
_LEAST = 20  # values that a tail needs
_POINTS = 70
_WIDTH, _HEIGHT = 280.0, 190.0
_SIDES = ("real", "synthetic")


def margin_cards(
    both: Pair, targets: Sequence[str], evaluation: Evaluation, dtypes: Mapping[str, str] | None = None
) -> str:
    """Return a card for each target.

    Parameters
    ----------
    both : Pair
    targets : sequence of str
    evaluation : Evaluation
        Gives the verdicts in the head of each card.
    dtypes : mapping of str to str, optional
        Says which variables are dates.

    Returns
    -------
    str
        HTML.
    """
    judged = list(zip(evaluation.records, evaluation.verdicts, strict=True))
    cards = []
    for i, name in enumerate(targets):
        own = [word for record, word in judged if record.variables == (name,) and record.group == "marginal"]
        counts = {word: own.count(word) for word in ("as real", "near", "off")}
        lights = " ".join(f'<span class="count">{n} {light(word)}</span>' for word, n in counts.items() if n)
        cards.append(
            f'<article class="card"><h3>{text(name)}</h3><p class="counts">{lights}</p>'
            f"{_card(both, both[name], f'm{i}', (dtypes or {}).get(name, ''))}</article>"
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(both: Pair, variable: Variable, prefix: str, dtype: str) -> str:
    try:
        real, synthetic = both.known(variable.name, "real"), both.known(variable.name, "synthetic")
    except DataError as error:
        return f'<p class="note">Not drawn: {text(error)}.</p>'
    missing = _missing(both, variable)
    if not variable.is_number:
        return _levels_card(variable.name, level_shares(both, variable), prefix)
    sides: Sides = (
        (np.asarray(real[0], np.float64), real[1]),
        (np.asarray(synthetic[0], np.float64), synthetic[1]),
    )
    distinct = np.unique(np.concatenate([side[0] for side in sides]))
    if len(distinct) <= FEW:
        shares = _shares(sides, [float(at) for at in distinct], dtype)
        return _levels_card(variable.name, {**shares, **missing}, prefix)
    atoms = _atoms(sides, dtype)
    shares = _shares(sides, atoms, dtype)
    rest: Sides = (_without(sides[0], atoms), _without(sides[1], atoms))
    body, rows = _described(sides, dtype)
    alt = f"{variable.name}: {body}. Bars: shares of exact values. Curve: density of the other values."
    pictures = [picture(lambda f: _density(f, {**shares, **missing}, rest, dtype), _WIDTH, _HEIGHT, alt, prefix)]
    tails, sign = _tails(sides) if dtype not in MOMENTS else (None, 1)
    if tails is not None:
        alt = f"{variable.name}: share of rows {'above' if sign > 0 else 'below minus'} each amount, both axes in logs."
        pictures.append(picture(lambda f: _tail(f, tails, sign), _WIDTH, _HEIGHT, alt, prefix + "t"))
    return figure(f'<div class="pictures">{"".join(pictures)}</div>', rows)


def _shares(sides: Sides, values: Sequence[float], dtype: str) -> Shares:
    names = labels(values, dtype)
    return {name: (_share(sides[0], at), _share(sides[1], at)) for name, at in zip(names, values, strict=True)}


def _missing(both: Pair, variable: Variable) -> Shares:
    found = []
    for side in _SIDES:
        w: Floats = getattr(both, f"{side}_weights")
        found.append(float(w[~variable.present(side)].sum() / w.sum()))
    return {"missing": (found[0], found[1])} if max(found) > 0 else {}


def level_shares(both: Pair, variable: Variable) -> Shares:
    """Return the weighted share of each level, the missing last; rare levels of many are put together.

    Levels that no row of positive weight has are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from microplex.metrics import pair
    >>> both = pair(pd.DataFrame({"sex": ["f", "m"]}), pd.DataFrame({"sex": ["m", None]}))
    >>> level_shares(both, both["sex"])
    {'f': (0.5, 0.0), 'm': (0.5, 0.5), 'missing': (0.0, 0.5)}
    """
    k = len(variable.levels)
    counts = []
    for side in _SIDES:
        codes, w = np.asarray(getattr(variable, side), np.int64), getattr(both, f"{side}_weights")
        shares = np.bincount(np.where(codes < 0, k, codes), weights=w, minlength=k + 1)
        counts.append(shares / shares.sum())
    largest = np.maximum(counts[0], counts[1])[:k]
    order = np.flatnonzero(largest > 0)
    many = len(order)
    if many > LEVELS:
        order = np.sort(np.argsort(-largest, kind="stable")[: LEVELS - 1])
    found = {str(variable.levels[i]): (float(counts[0][i]), float(counts[1][i])) for i in order}
    if many > LEVELS:
        rest = [float(c[:k].sum() - c[order].sum()) for c in counts]
        found[f"{many - len(order)} others"] = (rest[0], rest[1])
    if counts[0][k] or counts[1][k]:
        found["missing"] = (float(counts[0][k]), float(counts[1][k]))
    return found


def _share(side: tuple[Floats, Floats], at: float) -> float:
    values, weights = side
    return float(weights[values == at].sum() / weights.sum())


def _without(side: tuple[Floats, Floats], atoms: Sequence[float]) -> tuple[Floats, Floats]:
    kept = ~np.isin(side[0], atoms)
    return side[0][kept], side[1][kept]


def _atoms(sides: Sides, dtype: str = "") -> list[float]:
    """Return 0, if there is any, and up to two other values that many rows share."""
    found: dict[float, float] = {}
    for values, weights in sides:
        points, place = np.unique(values, return_inverse=True)
        shares = np.bincount(place, weights=weights) / weights.sum()
        for i in np.flatnonzero((shares >= _ATOM) & (points != 0)):
            found[float(points[i])] = max(found.get(float(points[i]), 0.0), float(shares[i]))
    whole = all(bool((values == np.rint(values)).all()) for values, _ in sides)
    largest = max(float(np.abs(values).max()) for values, _ in sides)
    large = [] if whole and largest <= 200 else sorted(found, key=lambda at: -found[at])[:2]
    zero = [0.0] if dtype not in MOMENTS and any((values == 0).any() for values, _ in sides) else []
    return sorted({*zero, *large})


def _described(sides: Sides, dtype: str) -> tuple[str, str]:
    """Say the zero share and three quantiles of both sides, as words and as HTML."""
    lines = []
    zeros = [_share(side, 0.0) for side in sides]
    if max(zeros) > 0 and dtype not in MOMENTS:
        lines.append(("zero", *(percent(zero) for zero in zeros)))
    some = [side if dtype in MOMENTS else _without(side, [0.0]) for side in sides]
    if all(len(values) for values, _ in some):
        found = [quantile(values, [0.5, 0.9, 0.99], weights) for values, weights in some]
        of_each = zip((50, 90, 99), *found, strict=True)
        lines += [(f"p{p}", written(float(a), dtype), written(float(b), dtype)) for p, a, b in of_each]
    words = ", ".join(f"{name} {a} real and {b} synthetic" for name, a, b in lines)
    head = "".join(f'<th scope="col" class="number">{name}</th>' for name, _, _ in lines)
    rows = "".join(
        f'<tr><th scope="row">{side}</th>'
        + "".join(f'<td class="number">{text(line[i])}</td>' for line in lines)
        + "</tr>"
        for i, side in enumerate(_SIDES, start=1)
    )
    return words, f'<table class="facts"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _tails(sides: Sides) -> tuple[list[tuple[Floats, Floats]] | None, int]:
    """Return thinned survival curves: of positive values, or of negative ones where there is no other."""
    sign = 1 if any((values > 0).any() for values, _ in sides) else -1
    curves = []
    for values, weights in sides:
        order = np.argsort(-sign * values, kind="stable")
        x, w = sign * values[order], weights[order]
        x = x[x > 0]
        if len(x) < _LEAST:
            return None, sign
        above = np.cumsum(w)[: len(x)] / w.sum()
        last = np.r_[x[1:] != x[:-1], True]  # P(X >= x) at each distinct value
        x, above = x[last], above[last]
        wanted = np.geomspace(above[0], above[-1], _POINTS)
        keep = np.unique(np.r_[0, np.searchsorted(above, wanted).clip(0, len(x) - 1), len(x) - 1])
        curves.append((x[keep], above[keep]))
    return curves, sign


def _density(canvas: Any, shares: Shares, rest: Sides, dtype: str) -> None:
    if all(len(values) for values, _ in rest):
        many = len(shares)
        ratios = [0.17 * many + 0.02, 1.0] if many else [1.0]
        axes = canvas.subplots(ncols=len(ratios), width_ratios=ratios, squeeze=False)[0]
        if many:
            _bars(axes[0], shares)
        _curves(axes[-1], rest, dtype)
    else:
        _bars(canvas.subplots(), shares)


def _bars(axes: Any, shares: Shares) -> None:
    _bare(axes)
    axes.set_ylim(0, 1.15)
    axes.set_xlim(-0.6, len(shares) - 0.4)
    axes.set_xticks(range(len(shares)), [clipped(name, 8) for name in shares], fontsize=10)
    for place, (real, synthetic) in enumerate(shares.values()):
        axes.bar(place, real, 0.74, color=REAL)
        axes.plot([place - 0.46, place + 0.46], [synthetic] * 2, color=SYNTHETIC, lw=2, solid_capstyle="butt")
        label = f"{100 * real:.0f}%" if real >= 0.095 else f"{100 * real:.1f}%"
        top = max(real, synthetic)
        axes.annotate(label, (place, top), (0, 4), textcoords="offset points", ha="center", fontsize=9)


def _curves(axes: Any, rest: Sides, dtype: str) -> None:
    _bare(axes)
    scale = Scale(np.concatenate([values for values, _ in rest]), dtype)
    places = [(scale(values), weights) for values, weights in rest]
    ends = [middle_range(*side) for side in places]
    edges = scale.edges(min(low for low, _ in ends), max(high for _, high in ends))
    heights = [np.histogram(x, edges, weights=w)[0] / w.sum() for x, w in places]
    axes.stairs(heights[0], edges, fill=True, color=REAL)
    axes.stairs(heights[1], edges, color=SYNTHETIC, lw=1.4)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.05 * max(float(h.max()) for h in heights) or 1.0)
    if dtype in MOMENTS:
        ticks, names = moment_ticks(float(edges[0]), float(edges[-1]), dtype)
    else:
        ticks = scale.ticks(edges[0], edges[-1], 0.2)
        names = labels(ticks)
    axes.set_xticks(scale(ticks), names, fontsize=10)


def _tail(canvas: Any, curves: list[tuple[Floats, Floats]], sign: int) -> None:
    axes = canvas.subplots()
    high = max(float(above.max()) for _, above in curves)
    low = min(float(above.min()) for _, above in curves)
    for (x, above), colour, width in zip(curves, (REAL, SYNTHETIC), (5, 1.6), strict=True):
        fallen = np.log10(np.append(above, low / 10))  # none is above the largest
        axes.plot(np.log10(np.append(x, x[-1])), fallen, color=colour, lw=width, solid_capstyle="round")
    start = min(float(np.interp(np.log10(high / 2), np.log10(above), np.log10(x))) for x, above in curves)
    end = max(float(np.log10(x.max())) for x, _ in curves)
    axes.set_xlim(start, end + 0.04 * (end - start + 0.01))
    axes.set_ylim(np.log10(low) - 0.15, np.log10(high) + 0.1)
    scale = Scale(10 ** np.linspace(start, end, 50)) if end - start > 1 else _log_scale()
    ticks = scale.ticks(start, end, 0.22) if scale.kind == "log" else []
    axes.set_xticks(np.log10(ticks), labels([sign * tick for tick in ticks]), fontsize=10)
    powers = [p for p in range(-9, 1) if np.log10(low) - 0.15 <= p <= np.log10(high) + 0.1]
    axes.set_yticks(powers, [f"{10.0 ** (p + 2):g}%" for p in powers], fontsize=10)
    axes.tick_params(color=FAINT)
    axes.set_title("share above" if sign > 0 else "share below", fontsize=10)


def _log_scale() -> Scale:
    return Scale([1.0, 1e6, 0.5])


def _levels_card(name: str, shares: Shares, prefix: str) -> str:
    words = ", ".join(f"{level} {percent(a)} real and {percent(b)} synthetic" for level, (a, b) in shares.items())
    svg = picture(lambda f: _levels(f, shares), 380.0, 30 + 24 * len(shares), f"{name}: {words}.", prefix)
    return figure(svg, kind="levels")


def _levels(canvas: Any, shares: Shares) -> None:
    axes = canvas.subplots()
    _bare(axes)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.barh(range(len(shares)), [real for real, _ in shares.values()], 0.66, color=REAL)
    largest = max(max(pair) for pair in shares.values())
    for place, (real, synthetic) in enumerate(shares.values()):
        axes.plot([synthetic] * 2, [place - 0.42, place + 0.42], color=SYNTHETIC, lw=2.2, solid_capstyle="butt")
        label = f"{percent(real)}, {percent(synthetic)}"
        at = (max(real, synthetic), place)
        axes.annotate(label, at, (6, 0), textcoords="offset points", va="center", fontsize=10, color=INK)
    axes.set_yticks(range(len(shares)), [clipped(name, 26) for name in shares])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(0, 1.35 * (largest or 1.0))


def _bare(axes: Any) -> None:
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=3, color=FAINT)
