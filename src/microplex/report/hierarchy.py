"""Households in the report: measures beside their floor, age pyramids by role, couples, and who lives with whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.entities import Population
from microplex.errors import ColumnNotFoundError, DataError
from microplex.frames import column_names, read_column
from microplex.metrics.households import HierarchyEvaluation
from microplex.report.drawing import FAINT, INK, REAL, SYNTHETIC, clipped, percent, picture
from microplex.report.markup import figure, light, number, paragraph, section, table, text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BAND = 5  # years
OLDEST = 90
MOST_ROLES, MOST_KINDS, MOST_FEATURES = 6, 12, 8

_SPLIT = 0.42  # height of a bar; two make a row
_FULL = 0.85  # opacity of the fullest cell


@dataclass(frozen=True, eq=False)
class Side:
    """Ages and roles of one population, members in canonical order.

    Parameters
    ----------
    roles : tuple of str
    age : float64[m]
    role, home : int64[m]
    weights : float64[n]
        Of the households.
    couple : tuple of int
        Roles that are partners of the head.
    """

    roles: tuple[str, ...]
    age: Floats
    role: Ints
    home: Ints
    weights: Floats
    couple: tuple[int, ...]


def hierarchy_section(
    evaluation: HierarchyEvaluation, real: Population, synthetic: Population, age_col: str = "age"
) -> str:
    """Return the part of the page about households.

    Parameters
    ----------
    evaluation : HierarchyEvaluation
        Of the same populations.
    real, synthetic : Population
        Of one schema, whose first group has roles.
    age_col : str
        Age of the members, in years.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ColumnNotFoundError
        If the members have no such column.
    DataError
        If it does not hold numbers, or the households have no roles.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> from microplex.entities import as_population
    >>> from microplex.metrics.households import evaluate_hierarchy
    >>> real, synthetic = (as_population(make_population(60, seed=seed)) for seed in (0, 1))
    >>> html = hierarchy_section(evaluate_hierarchy(real, synthetic, classifiers=False), real, synthetic)
    >>> html.count("<svg"), html[:24]
    (3, '<section id="households"')
    """
    sides = _side(real, age_col), _side(synthetic, age_col)
    return section(
        "households",
        "Households",
        *(paragraph(line, "note") for line in evaluation.notes),
        _measures(evaluation),
        _rules(evaluation),
        _why(evaluation),
        _pyramids(*sides),
        _couples(*sides),
        _kinds(*sides),
    )


def _side(population: Population, age_col: str) -> Side:
    top, member = population.schema.top, population.schema.member
    if not top.roles:
        raise DataError(f"pictures of households need roles; the schema's {top.name} has none.")
    members = population.table(member.name)
    if age_col not in column_names(members):
        raise ColumnNotFoundError(
            f"the {member.table} have no column {age_col!r} to draw ages from; name it by age_col."
        )
    age = read_column(members, age_col).values
    if age is None:
        raise DataError(f"column {age_col!r} must hold ages in years, as numbers.")
    order = population.order(top.name, age_col)
    return Side(
        top.roles,
        np.asarray(age)[order],
        population.roles()[order],
        population.positions(top.name)[order],
        np.asarray(population.weights()),
        top.role_numbers(top.couple),
    )


def _measures(evaluation: HierarchyEvaluation) -> str:
    rows = []
    columns = ["metric", "value", "floor", "floor_low", "floor_high", "verdict", "note"]
    for name, value, floor, low, high, verdict, note in evaluation.frame[columns].to_numpy():
        spread = "" if np.isnan(low) else f"{number(low, 3)} to {number(high, 3)}"
        rows.append([text(name), number(value, 3), number(floor, 3), spread, light(verdict), text(note)])
    headers = ("measure", "value", "floor", "range of the floor", "verdict", "note")
    return table("Measures of households beside what fresh real households score", headers, rows, (1, 2))


def _rules(evaluation: HierarchyEvaluation) -> str:
    broken = evaluation.rules
    broken = broken[(broken["real"] > 0) | (broken["synthetic"] > 0)]
    if not len(broken):
        return paragraph(f"No household breaks any of {len(evaluation.rules)} rules.", "note")
    rows = [
        [text(rule), text(kind), percent(real), percent(synthetic)]
        for rule, kind, real, synthetic in broken[["rule", "kind", "real", "synthetic"]].to_numpy()
    ]
    return table("Rules that some households break", ("rule", "kind", "real", "synthetic"), rows, (2, 3))


def _why(evaluation: HierarchyEvaluation) -> str:
    if evaluation.classifier is None:
        return ""
    found = evaluation.why(MOST_FEATURES)
    rows = [
        [text(name), number(float(fall), 2), number(float(real), 4), number(float(synthetic), 4)]
        for name, fall, real, synthetic in found.to_numpy()
        if fall > 0
    ]
    headers = ("feature", "loss of area", "mean of real", "mean of synthetic")
    title = "What a classifier tells synthetic households by: the area it loses when a feature is shuffled"
    return table(title, headers, rows, (1, 2, 3)) if rows else ""


def _pyramids(real: Side, synthetic: Side) -> str:
    shares = [_ages(side) for side in (real, synthetic)]
    both = np.zeros(len(real.roles))
    for side in (real, synthetic):
        weights = side.weights[side.home] * ~np.isnan(side.age)
        both += np.bincount(side.role, weights=weights, minlength=len(both)) / max(weights.sum(), 1e-300)
    shown = sorted(np.argsort(-both, kind="stable")[:MOST_ROLES].tolist())
    shown = [role for role in shown if both[role] > 0]
    names = [real.roles[role] for role in shown]
    alt = f"Ages of {', '.join(names)} in bands of {BAND} years; real to the left, synthetic to the right."
    svg = picture(
        lambda canvas: _draw_pyramids(canvas, names, [s[shown] for s in shares]),
        150 * min(3, len(names)) + 60,
        150 * -(-len(names) // 3) + 20,
        alt,
        "ages",
    )
    left_out = int((both > 0).sum()) - len(shown)
    more = f" Rarer roles left out: {left_out}." if left_out > 0 else ""
    words = "Ages by role, as shares of all members of the role: real to the left, synthetic to the right."
    return figure(svg, text(words + more))


def _ages(side: Side) -> Floats:
    """Return the share of the weight in each band of age, by role."""
    bands = OLDEST // BAND + 1
    known = ~np.isnan(side.age)
    band = np.clip(side.age[known] // BAND, 0, bands - 1).astype(np.int64)
    place = side.role[known] * bands + band
    mass = np.bincount(place, weights=side.weights[side.home[known]], minlength=len(side.roles) * bands)
    mass = mass.reshape(len(side.roles), bands)
    total = mass.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
    return shares


def _draw_pyramids(canvas: Any, names: Sequence[str], shares: Sequence[Floats]) -> None:
    columns = min(3, len(names))
    grid = canvas.subplots(-(-len(names) // columns), columns, squeeze=False, sharey=True)
    heights = np.arange(shares[0].shape[1]) * BAND + BAND / 2
    for place, axes in enumerate(grid.flat):
        if place >= len(names):
            axes.set_visible(False)
            continue
        most = max(float(side[place].max()) for side in shares) or 1.0
        axes.barh(heights, -shares[0][place], height=0.9 * BAND, color=REAL, alpha=0.75)
        axes.barh(heights, shares[1][place], height=0.9 * BAND, color=SYNTHETIC, alpha=0.75)
        axes.axvline(0, color=FAINT, lw=0.6)
        axes.set_title(clipped(names[place], 24))
        axes.set_xlim(-1.08 * most, 1.08 * most)
        axes.set_xticks([-most, 0, most], [percent(most), "0", percent(most)], fontsize=9)
        axes.set_yticks(range(0, OLDEST + 1, 30))


def _couples(real: Side, synthetic: Side) -> str:
    tables = [_couple_ages(side) for side in (real, synthetic)]
    if not all(found.sum() > 0 for found in tables):
        return paragraph("No couples of a head and a partner with known ages on both sides.", "note")
    shares = [found / found.sum() for found in tables]
    apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
    alt = f"Ages of heads and their partners in bands of {BAND} years; the two tables differ by {percent(apart)}."
    svg = picture(lambda canvas: _draw_couples(canvas, shares), 480, 260, alt, "couples")
    words = (
        f"Ages of couples, darker where there are more of them. To agree, {percent(apart)} of the couples would move."
    )
    return figure(svg, text(words))


def _couple_ages(side: Side) -> Floats:
    """Return the weight of couples by the ages of head and first partner."""
    bands = OLDEST // BAND + 1
    n = len(side.weights)
    found = np.zeros((bands, bands))
    head, partner = np.full(n, np.nan), np.full(n, np.nan)
    for ages, mask in ((head, side.role == 0), (partner, np.isin(side.role, side.couple))):
        rows = np.flatnonzero(mask)[::-1]
        ages[side.home[rows]] = side.age[rows]
    known = ~(np.isnan(head) | np.isnan(partner))
    places = [np.clip(ages[known] // BAND, 0, bands - 1).astype(np.int64) for ages in (head, partner)]
    np.add.at(found, (places[0], places[1]), side.weights[known])
    return found


def _draw_couples(canvas: Any, shares: Sequence[Floats]) -> None:
    from matplotlib.patches import Rectangle

    most = max(float(side.max()) for side in shares)
    low = min(int(np.flatnonzero(side.sum(axis=axis))[0]) for side in shares for axis in (0, 1)) * BAND
    for axes, side, title, colour in zip(
        canvas.subplots(1, 2, sharey=True), shares, ("real", "synthetic"), (REAL, SYNTHETIC), strict=True
    ):
        for i, j in np.argwhere(side > 0).tolist():
            strength = round(_FULL * float(side[i, j] / most) ** 0.5, 2)
            axes.add_patch(Rectangle((BAND * i, BAND * j), BAND, BAND, facecolor=colour, alpha=max(strength, 0.02)))
        axes.plot([low, OLDEST + BAND], [low, OLDEST + BAND], color=FAINT, lw=0.6)
        axes.set_xlim(low, OLDEST + BAND)
        axes.set_ylim(low, OLDEST + BAND)
        axes.set_aspect("equal")
        axes.set_title(title)
        axes.set_xlabel("age of the head")
    canvas.axes[0].set_ylabel("age of the partner")


def _kinds(real: Side, synthetic: Side) -> str:
    names, shares = compositions(real, synthetic)
    rest = 1 - shares[:, :MOST_KINDS].sum(axis=1)
    apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
    shown = list(names[:MOST_KINDS])
    values = shares[:, :MOST_KINDS]
    if len(names) > MOST_KINDS:
        shown.append(f"{len(names) - MOST_KINDS:,} other kinds")
        values = np.column_stack([values, rest])
    alt = f"Shares of the {len(shown)} commonest kinds of household; all kinds differ by {percent(apart)}."
    svg = picture(lambda canvas: _draw_kinds(canvas, shown, values), 480, 22 * len(shown) + 40, alt, "kinds")
    words = f"Who lives together: upper bar real, lower bar synthetic. Over all {len(names):,} kinds they differ by "
    return figure(svg, text(f"{words}{percent(apart)}."))


def compositions(real: Side, synthetic: Side) -> tuple[list[str], Floats]:
    """Return the kinds of household by the roles of their members, the commonest real ones first, and their shares.

    Returns
    -------
    names : list of str
        Such as "head, spouse, 2 child".
    shares : float64[2, kinds]
        Of the weight of the real and of the synthetic households.

    Examples
    --------
    >>> one = Side(("head", "child"), np.zeros(3), np.array([0, 1, 1]), np.zeros(3, int), np.ones(1), ())
    >>> names, shares = compositions(one, one)
    >>> names, shares.tolist()
    (['head, 2 child'], [[1.0], [1.0]])
    """
    counts = []
    for side in (real, synthetic):
        width = len(side.roles)
        found = np.bincount(side.home * width + side.role, minlength=len(side.weights) * width)
        counts.append(found.reshape(len(side.weights), width))
    kinds, place = np.unique(np.vstack(counts), axis=0, return_inverse=True)
    parts = np.split(place.ravel(), [len(real.weights)])
    shares = np.array(
        [
            np.bincount(part, weights=side.weights, minlength=len(kinds)) / side.weights.sum()
            for part, side in zip(parts, (real, synthetic), strict=True)
        ]
    )
    order = np.lexsort((-shares[1], -shares[0]))
    return [_said(real.roles, kinds[kind]) for kind in order], shares[:, order]


def _said(roles: Sequence[str], counts: Ints) -> str:
    words = [f"{n} {role}" if n > 1 else role for role, n in zip(roles, counts.tolist(), strict=True) if n]
    return ", ".join(words) or "nobody"


def _draw_kinds(canvas: Any, names: Sequence[str], shares: Floats) -> None:
    axes = canvas.subplots()
    rows = np.arange(len(names))
    axes.barh(rows - _SPLIT / 2, shares[0], height=_SPLIT, color=REAL, alpha=0.75)
    axes.barh(rows + _SPLIT / 2, shares[1], height=_SPLIT, color=SYNTHETIC, alpha=0.75)
    for row, (real, synthetic) in enumerate(shares.T):
        words = f" {percent(real)}, {percent(synthetic)}"
        axes.text(max(real, synthetic), row, words, va="center", fontsize=9, color=INK)
    axes.set_yticks(rows, [clipped(name, 34) for name in names], fontsize=9)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.3 * float(shares.max()))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
