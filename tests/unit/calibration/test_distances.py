"""The distances of Deville and Särndal (1992), seen through their conjugates."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from microplex.calibration.distances import METHODS, Distance
from microplex.errors import ParameterError

INF = np.inf
CASES = [
    *(
        ("raking", bounds)
        for bounds in [(0, INF), (-2, INF), (0.2, INF), (0, 3), (0.5, 2), (0.9, 1.1), (1.5, 4), (0.2, 0.8)]
    ),
    *(("linear", bounds) for bounds in [(-INF, INF), (0, INF), (-INF, 3), (-1, 2), (0.9, 1.1), (1.5, 4), (0.2, 0.8)]),
    *(("logit", bounds) for bounds in [(0, INF), (0.3, INF), (0, 3), (0.5, 2), (0.99, 1.01), (0.1, 1e6)]),
]
each_case = pytest.mark.parametrize(("method", "bounds"), CASES)


def penalty(method, bounds, g):
    """The distance itself, from its definition."""
    low, high = bounds
    g = np.asarray(g, float)
    if method == "linear":
        return (g - 1) ** 2 / 2
    if method == "raking" or np.isinf(high):
        # The logit distance without an upper bound is the entropy of (g - L) / (1 - L).
        share = (g - low) / (1 - low) if method == "logit" else g
        return (1 - low if method == "logit" else 1) ** 2 * (share * np.log(share) - share + 1)
    a = (high - low) / ((1 - low) * (high - 1))
    return ((g - low) * np.log((g - low) / (1 - low)) + (high - g) * np.log((high - g) / (high - 1))) / a


def smooth_points(distance, u):
    """The points at which no bound is reached or left."""
    ratio = [distance.evaluate(u + e)[1] for e in (-2e-4, 2e-4)]
    edges = [b for b in (distance.lower, distance.upper) if np.isfinite(b)] if distance.method != "logit" else []
    return np.all([(ratio[0] - b) * (ratio[1] - b) > 0 for b in edges], axis=0) if edges else np.ones(len(u), bool)


@each_case
def test_ratio_is_the_derivative_of_the_conjugate(method, bounds):
    distance = Distance.of(method, bounds)
    u = np.linspace(-4, 6, 301) + 1e-3
    step = 1e-5
    below, above = distance.evaluate(u - step), distance.evaluate(u + step)
    conjugate, ratio, slope = distance.evaluate(u)
    assert (above[0] - below[0]) / (2 * step) == pytest.approx(ratio, rel=1e-6, abs=1e-6)
    free = smooth_points(distance, u)
    scale = np.maximum(np.abs(slope), np.abs(ratio))
    assert np.abs((above[1] - below[1]) / (2 * step) - slope)[free] / scale[free] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(conjugate).all()
    assert (slope >= 0).all()


@each_case
def test_ratio_is_monotone_and_within_bounds(method, bounds):
    distance = Distance.of(method, bounds)
    ratio = distance.evaluate(np.linspace(-60, 60, 4001))[1]
    assert (np.diff(ratio) >= -1e-12 * np.abs(ratio[1:])).all()
    assert ratio.min() >= max(bounds[0], 0 if method == "raking" else -INF) - 1e-15
    assert ratio.max() <= bounds[1] * (1 + 1e-15)


@each_case
def test_base_weights_stay_where_nothing_pulls(method, bounds):
    zero = np.zeros(1)
    conjugate, ratio, slope = (value[0] for value in Distance.of(method, bounds).evaluate(zero))
    assert ratio == pytest.approx(np.clip(1, *bounds), rel=1e-14)
    if bounds[0] < 1 < bounds[1]:
        assert conjugate == pytest.approx(0, abs=1e-14)
        assert slope == pytest.approx(1, rel=1e-12)


@each_case
@pytest.mark.parametrize("u", [-2.5, -0.3, 0.0, 0.4, 2.0])
def test_conjugate_is_the_largest_of_u_g_less_the_distance(method, bounds, u):
    distance = Distance.of(method, bounds)
    low, high = max(distance.lower, -50), min(distance.upper, 50)
    edge = 1e-12 * (high - low)
    found = minimize_scalar(
        lambda g: float(penalty(method, (distance.lower, distance.upper), g)) - u * g,
        bounds=(low + edge, high - edge),
        method="bounded",
        options={"xatol": 1e-12},
    )
    conjugate, ratio, _ = (value[0] for value in distance.evaluate(np.array([u])))
    assert conjugate == pytest.approx(-found.fun, rel=1e-6, abs=2e-6)
    assert ratio == pytest.approx(found.x, rel=1e-4, abs=1e-4)


def test_logit_without_limits_is_raking():
    u = np.linspace(-8, 8, 101)
    raking, logit = (Distance.of(method, (0, INF)).evaluate(u) for method in ("raking", "logit"))
    for one, other in zip(raking, logit, strict=True):
        assert other == pytest.approx(one, rel=1e-13)


def test_logit_with_a_far_limit_is_nearly_raking():
    u = np.linspace(-5, 2, 50)
    far = Distance.of("logit", (0, 1e9)).evaluate(u)[1]
    assert far == pytest.approx(np.exp(u), rel=1e-6)


def test_wide_bounds_change_nothing():
    u = np.linspace(-3, 2, 50)
    for method, wide in (("raking", (1e-9, 1e9)), ("linear", (-1e9, 1e9))):
        free = Distance.of(method, (0, INF) if method == "raking" else (-INF, INF)).evaluate(u)
        for one, other in zip(free, Distance.of(method, wide).evaluate(u), strict=True):
            assert other == pytest.approx(one, rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(("method", "bounds"), [("raking", (0, INF)), ("raking", (0.2, INF)), ("logit", (0.3, INF))])
def test_the_cap_touches_only_what_is_beyond_it(method, bounds):
    distance = Distance.of(method, bounds)
    uncapped = Distance(method, *bounds, cap=50.0)
    rate = 1 / (1 - bounds[0]) if method == "logit" else 1.0
    u = np.linspace(-3, 3, 61) / rate
    for one, other in zip(uncapped.evaluate(u), distance.evaluate(u), strict=True):
        assert np.array_equal(one, other)
    beyond = np.array([4.0, 100.0, 1e6]) / rate
    value, ratio, slope = distance.evaluate(beyond)
    assert np.isfinite(value).all()
    assert np.isfinite(ratio).all()
    assert np.isfinite(slope).all()
    assert (ratio[:1] < uncapped.evaluate(beyond[:1])[1]).all()
    assert (np.diff(ratio) > 0).all()


def test_loosened_raises_the_cap_to_the_log_of_the_largest_ratio():
    distance = Distance.of("raking", (0, INF))
    assert distance.loosened(np.array([-5.0, 2.9])) is None
    for u in (3.5, 50.0, 5e4, 5e8):
        wider = distance.loosened(np.array([0.0, u]))
        assert wider.cap > distance.cap
        # On the tangent, g grows like u: a cap at u itself would ask for exp(u), which overflows.
        largest = float(distance.evaluate(np.array([u]))[1][0])
        assert wider.cap < np.log(largest) + 3
    assert Distance.of("raking", (0, 50)).loosened(np.array([1e3])) is None
    assert Distance.of("linear", (-INF, INF)).loosened(np.array([1e3])) is None
    assert Distance.of("logit", (0.5, 2)).loosened(np.array([1e3])) is None


def test_no_step_overflows():
    for method, bounds in CASES:
        for value in Distance.of(method, bounds).evaluate(np.array([-1e6, -800.0, 800.0, 1e6])):
            assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("method", "bounds"),
    [
        *((method, (2.0, 0.5)) for method in METHODS),
        *((method, (1.0, 1.0)) for method in METHODS),
        *((method, (np.nan, 2.0)) for method in METHODS),
        *((method, (0.5, np.nan)) for method in METHODS),
        *((method, (-2.0, -1.0)) for method in METHODS),
        *((method, (-2.0, 0.0)) for method in METHODS),
        ("raking", "no bounds"),
        ("raking", ("low", "high")),
        ("raking", 2.0),
        ("raking", None),
        ("raking", (0.0, 1.0, 2.0)),
        ("logit", (1.0, 2.0)),
        ("logit", (0.5, 1.0)),
        ("logit", (1.2, 2.0)),
        ("logit", (-0.5, 2.0)),
    ],
)
def test_bounds_that_cannot_hold_are_refused(method, bounds):
    with pytest.raises(ParameterError, match="bounds"):
        Distance.of(method, bounds)


def test_unknown_methods_are_refused():
    with pytest.raises(ParameterError, match="raking"):
        Distance.of("rakin", (0, INF))
