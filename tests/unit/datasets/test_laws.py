"""Every law of the population on its own: mass one, sampler equal to density, impossible values impossible.

The seed is fixed; with a fresh one, the chi-square tests of this file would all pass with probability 1 - ALPHA.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from microplex.datasets import ALL_TARGETS, CONDITIONS
from microplex.datasets.amounts import Income, Part, TakeUp
from microplex.datasets.conditions import condition_features
from microplex.datasets.incomes import FINE, LAWS
from microplex.datasets.labour import WAGES
from microplex.datasets.laws import Category, Hours

ALPHA = 1e-3
DRAWS = 20_000
CAP = 20_000.0
POINTS = 4

every_law = pytest.mark.parametrize("law", LAWS, ids=ALL_TARGETS)


def capped(law):
    """The same law with amounts recorded up to a cap, so that its values can be listed."""
    if not isinstance(law, Income):
        return law
    loss = None if law.loss is None else replace(law.loss, cap=law.loss.cap or CAP)
    return replace(law, gain=replace(law.gain, cap=CAP), loss=loss)


def repeat(features, point, times):
    return features.take(np.full(times, point))


def candidates(law, features, point):
    """All values of a law on a grid or in a list; for a continuous law the atoms."""
    if isinstance(law, Category):
        return np.arange(float(len(law.logits)))
    if isinstance(law, Hours):
        return np.arange(100.0)
    if isinstance(law, Part):
        return np.arange(features[law.whole][point] + 1)
    if isinstance(law, TakeUp):
        return np.unique([0.0, law.entitlement(features)[point]])
    if law.gain.rounding is None:
        return np.array([0.0, CAP] if law.loss is None else [-law.loss.cap, 0.0, CAP])
    grid = np.arange(CAP + 1)
    return grid if law.loss is None else np.concatenate([-grid[:0:-1], grid])


def continuous_cells(law, features, point):
    """Edges of cells of a continuous law and the integral of its density over each, by Simpson's rule."""
    is_continuous = isinstance(law, Income) and law.gain.rounding is None
    cells = []
    for amount, sign in ((law.gain, 1), (law.loss, -1)) if is_continuous else ():
        if amount is None:
            continue
        edges = amount.least + np.geomspace(1e-9, amount.cap - amount.least, 400)
        fine = np.linspace(np.log(edges[:-1] - amount.least), np.log(edges[1:] - amount.least), 33)
        x = np.minimum(amount.least + np.exp(fine), np.nextafter(amount.cap, 0))
        density = np.exp(law.log_prob(repeat(features, point, x.size), sign * x.ravel())).reshape(x.shape)
        weight = np.full(33, 2.0)
        weight[1::2], weight[[0, -1]] = 4.0, 1.0
        step = (fine[-1] - fine[0]) / 32
        masses = step / 3 * (weight[:, None] * density * (x - amount.least)).sum(axis=0)
        low, high = (edges[:-1], edges[1:]) if sign > 0 else (-edges[1:], -edges[:-1])
        cells += list(zip(low, high, masses, strict=True))
    return cells


@pytest.fixture(scope="module")
def features(adults):
    """Four adults with what they earlier drew, two of them with many sources of income."""
    rich = adults[(adults["dividends"] > 100) & (adults["self_employment"] != 0)].index[:2]
    disabled = adults[adults["disabled"] & adults["age"].between(25, 60) & (adults["wages"] == 0)].index[:1]
    unemployed = adults[adults["employment"] == "unemployed"].index[:1]
    points = adults.loc[[*rich, *disabled, *unemployed]]
    assert len(points) == POINTS
    features = condition_features(points[list(CONDITIONS)])
    for law in LAWS:
        values = points[law.name].cat.codes if law.name == "employment" else points[law.name]
        features.update(law.tell(values.to_numpy(np.float64)))
    return features


@every_law
@pytest.mark.parametrize("point", range(POINTS))
def test_mass_is_one(law, point, features):
    law = capped(law)
    values = candidates(law, features, point)
    mass = np.exp(law.log_prob(repeat(features, point, len(values)), values)).sum()
    mass += sum(cell[2] for cell in continuous_cells(law, features, point))
    assert mass == pytest.approx(1, abs=2e-6)


@every_law
def test_the_sampler_agrees_with_the_density(law, features):
    law = capped(law)
    assert min(p_values(law, law, features)) > ALPHA / (POINTS * len(LAWS))


def test_a_sampler_of_another_law_is_found_out(features):
    law = capped(WAGES)
    for other in (
        replace(law, gain=replace(law.gain, tail=1.5 * law.gain.tail)),
        replace(law, gain=replace(law.gain, rounding=FINE)),
        replace(law, receives=law.receives | {"const": law.receives["const"] + 0.3}),
    ):
        assert min(p_values(law, other, features)) < 1e-6


def p_values(law, sampler, features):
    """Chi-square tests of draws against probabilities, one a point."""
    random = np.random.default_rng(ALL_TARGETS.index(law.name))
    found = []
    for point in range(POINTS):
        drawn = sampler.sample(repeat(features, point, DRAWS), random.random((law.draws, DRAWS)))
        values = candidates(law, features, point)
        masses = np.exp(law.log_prob(repeat(features, point, len(values)), values))
        place = np.searchsorted(values, drawn).clip(max=len(values) - 1)
        is_listed = values[place] == drawn
        counts = np.bincount(place[is_listed], minlength=len(values)).astype(float)
        for low, high, mass in continuous_cells(law, features, point):
            inside = ~is_listed & (drawn >= low) & (drawn < high)
            counts, masses = np.append(counts, inside.sum()), np.append(masses, mass)
        assert counts.sum() == DRAWS
        found.append(chi_square(counts, masses * DRAWS))
    return found


def chi_square(counts, expected):
    """P-value after merging neighbours until at least 10 are expected."""
    assert counts[expected <= 0].sum() == 0
    group = np.floor(np.cumsum(expected) / 10)
    group = np.unique(group, return_inverse=True)[1]
    counts, expected = np.bincount(group, weights=counts), np.bincount(group, weights=expected)
    keep = expected >= 5
    counts, expected = np.append(counts[keep], counts[~keep].sum()), np.append(expected[keep], expected[~keep].sum())
    if len(counts) < 2:
        return 1.0
    statistic = ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    return stats.chi2(max(len(counts) - 1, 1)).sf(statistic)


@every_law
def test_impossible_values_have_no_density(law, features):
    if isinstance(law, Category):
        return
    impossible = {"interest": -1.0, "capital_gains": -3001.0, "qualified_dividends": 1e9, "hours": 98.0}
    values = np.full(POINTS, impossible.get(law.name, 0.5))
    assert np.isneginf(law.log_prob(features, values)).all()


@every_law
def test_laws_are_written_down(law):
    assert law.written()
    assert all(isinstance(text, str) and text for text in law.written().values())
