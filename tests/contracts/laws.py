"""One table of the laws inside codes: numbers and shares, free, cut by limits, with groups, far out in a tail."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from microplex.encoding.numbers import NumberCodec, fit_number
from microplex.encoding.shares import fit_share
from microplex.flow.ranges import Range
from microplex.frames import ColumnData
from microplex.schema import Column
from microplex.schema.infer import describe

N = 2000
FREE = (-np.inf, np.inf, np.nan)


def rng(seed=0):
    return np.random.default_rng(seed)


def mixture(p, *parts):
    return np.choose(rng(99).choice(len(p), N, p=p), parts)


def amounts(seed=0, mean=8.0, sd=1.0):
    return np.round(np.exp(rng(seed).normal(mean, sd, N)))


def column(**described):
    return Column("x", "semicontinuous", "float", **described)


NUMBERS = {
    "smooth": lambda: rng(1).normal(size=N),
    "smooth, positive": lambda: np.exp(rng(2).normal(3, 1.5, N)),
    "smooth with an atom": lambda: mixture([0.4, 0.6], 0.0, rng(3).exponential(50.0, N)),
    "smooth with repeated values": lambda: mixture([0.7, 0.2, 0.1], rng(4).gamma(2, 30, N), 49.99, 12.345),
    "thirds, rounded to ones": lambda: rng(5).integers(0, 2000, N) / 3,
    "whole": lambda: amounts(6),
    "gains and losses": lambda: mixture([0.3, 0.7], 0.0, np.round(900 * rng(7).standard_t(3, N))),
    "losses alone": lambda: -amounts(8),
    "very heavy tails": lambda: np.round(100 * rng(9).standard_cauchy(N)),
    "very large": lambda: amounts(10, 15.0, 1.5),
    "cents": lambda: np.round(rng(11).gamma(2.0, 40.0, N), 2),
    "tenths": lambda: rng(12).integers(-2000, 2000, N) / 10,
    "quarters": lambda: rng(13).integers(-2000, 2000, N) / 4,
    "thousands": lambda: 1000 * np.round(np.exp(rng(14).normal(3, 1, N))),
    "heaps": lambda: mixture([0.4, 0.3, 0.3], amounts(15), 1000 * np.round(amounts(16) / 1000), 0.0),
    "top-coded": lambda: np.minimum(amounts(17), 9000.0),
    "bottom- and top-coded": lambda: np.clip(np.round(500 * rng(18).normal(size=N)), -800.0, 900.0),
    "ages": lambda: rng(19).integers(0, 90, N).astype(float),
    "years": lambda: rng(20).integers(1900, 2020, N).astype(float),
    "few values": lambda: rng(21).choice([0.0, 1, 2, 5, 10], N),
    "few values, two rare": lambda: np.concatenate([rng(22).choice([0.0, 1, 2], N - 2), [57, 88]]),
    "few values, rare on both sides": lambda: np.concatenate([rng(23).choice([-3.0, 0, 1], N - 2), [-57, 88]]),
    "few values, one rare, losses": lambda: np.concatenate([rng(24).choice([-3.0, 0, 1], N - 1), [88]]),
    "few fractions, one rare": lambda: np.concatenate([rng(25).choice([-0.31, 0, 1.7], N - 1), [3.1234]]),
    "constant": lambda: np.full(N, 3.0),
    "constant but one": lambda: np.concatenate([np.zeros(N - 1), [123.456]]),
    "with missing values": lambda: mixture([0.2, 0.8], np.nan, rng(26).normal(size=N)),
    "small": lambda: np.round(rng(27).exponential(500.0, 60)),
    "small, smooth": lambda: rng(28).normal(size=60),
}
DESCRIBED = {
    "three grains of heaps": (
        lambda: mixture([0.5, 0.5], amounts(30), 500 * np.round(amounts(31) / 500)),
        column(resolution=1, heaps=(1000, 500, 100), lower=0),
    ),
    "heaps without a grid": (
        lambda: mixture([0.5, 0.5], np.exp(rng(32).normal(8, 1, N)), 500 * np.round(amounts(33) / 500)),
        column(heaps=(1000, 500), lower=0),
    ),
    "bounds off the grid": (
        lambda: rng(34).integers(0, 201, N).astype(float),
        column(resolution=1, lower=-0.5, upper=200.5),
    ),
    "closed unit interval": (lambda: rng(35).beta(0.5, 0.5, N), column(lower=0, upper=1)),
    "missing codes on the grid": (
        lambda: mixture([0.1, 0.1, 0.8], -9.0, -8.0, rng(36).integers(0, 500, N)),
        column(resolution=1, lower=0, missing_codes=(-9, -8)),
    ),
    "missing codes off the grid": (
        lambda: mixture([0.1, 0.1, 0.8], -9.0, -8.0, 1000.0 * rng(37).integers(0, 300, N)),
        column(resolution=1000, lower=0, missing_codes=(-9, -8)),
    ),
}
STEPS = {"whole": 1.0, "cents": 0.01, "thousands": 1000.0, "smooth": 0.0}
BASES = (1, 2, 3, 7, 100, 4321)


@dataclass(frozen=True)
class Situation:
    """One row's law of one number: its codec, limits, base and group."""

    codec: NumberCodec
    limits: tuple[float, float, float] = FREE
    base: float | None = None
    group: int | None = None

    def given(self, n):
        """Arguments after the values, for n copies of the row."""
        limits = Range(*(np.full(n, end) for end in self.limits)).settled(self.codec.grid)
        base = None if self.base is None else np.full(n, self.base)
        return (None if self.group is None else np.full(n, self.group)), limits, base

    def codes(self):
        """Codes of numbers that the row allows."""
        _, limits, base = self.given(1)
        return np.flatnonzero(self.codec.allowed(limits, base)[0, : self.codec.cells.n_codes]).astype(np.int32)

    def open_codes(self):
        """The same without point masses."""
        return np.intersect1d(self.codes(), self.codec.cells.bin_codes).astype(np.int32)

    def encode(self, x):
        return self.codec.encode(x) if self.base is None else self.codec.encode_share(x, np.full(len(x), self.base))

    def draw(self, code, u):
        return self.codec.decode(np.full(len(u), code, np.int32), u, *self.given(len(u)))

    def mass(self, code, x):
        """Mass or density at x given the code."""
        return np.exp(self.codec.log_density(np.full(len(x), code, np.int32), x, *self.given(len(x))))

    def bin(self, code):
        return int(np.flatnonzero(self.codec.cells.bin_codes == code)[0])

    def cdf(self, code, x):
        """P(X <= x) given the code of a bin."""
        return self.codec.bin_cdf(np.full(len(x), self.bin(code)), np.asarray(x, float), *self.given(len(x)))

    def holds(self, x):
        _, limits, _ = self.given(len(x))
        return limits.holds(x) & (True if self.base is None else (x >= 0) & (x <= self.base))

    def span(self, code):
        """Values between which all but a millionth of the law of a bin lies."""
        cells, at = self.codec.cells, [self.bin(code)]
        ends = np.concatenate([cells.starts[at], cells.ends[at]])
        ends = cells.expand(ends) if self.base is None else ends * self.base
        free = replace(self, limits=(*self.limits[:2], np.nan))
        outer = free.draw(code, np.array([1e-6, 1 - 1e-6]))
        ends = np.where(np.isfinite(ends), ends, outer)
        return max(ends[0], self.limits[0]), min(ends[1], self.limits[1])

    def points(self, code, widen=2):
        """Grid points of a code, a few beyond included and sorted out; None if they are too many."""
        low, high = self.span(code)
        step = self.codec.grid
        if (high - low) / step > 20_000:
            return None
        whole = np.arange(np.floor(low / step) - widen, np.ceil(high / step) + widen + 1)
        x = np.unique(self.codec.snap(whole * step) if self.base is None else self.codec.on_step(whole * step))
        return x[(self.encode(x) == code) & self.holds(x)]


@cache
def codec(name):
    """The fitted codec of a case and its training values."""
    if name.startswith("share: "):
        return _share(name.removeprefix("share: "))
    if name == "groups":
        group = rng(40).integers(0, 4, N)
        x = np.where(rng(41).random(N) < 0.4, 1234.0 * (group + 1), amounts(42))
        return fit_number(column(resolution=1, lower=0), x, np.ones(N), [(group, 4)]), x
    make, described = DESCRIBED[name] if name in DESCRIBED else (NUMBERS[name], None)
    x = make()
    described = described or describe(ColumnData("x", "float", x, None, (), False), 3)
    return fit_number(described, x, np.ones(len(x))), x


def _share(kind):
    step = STEPS[kind]
    base = (step or 1.2345) * np.concatenate([rng(50).integers(0, 5, 400), amounts(51)[400:]])
    x = base * mixture([0.2, 0.2, 0.6], 0.0, 1.0, rng(52).beta(2, 3, N))
    if step:
        base, x = (np.round(v / step) / round(1 / step) if step < 1 else np.round(v / step) * step for v in (base, x))
        x = np.minimum(x, base)
    return fit_share(column(resolution=step or None, lower=0), x, base, np.ones(N)), x


def limits_of(codec, x):
    """Limits worth trying: ends on, beside and between point masses, one value, one excluded, a far tail."""
    known = np.unique(x[~np.isnan(x)])
    a, b = np.quantile(known, [0.3, 0.7], method="nearest")
    last = known[-1]
    yield "interval", (a, b, np.nan)
    yield "above", (a, np.inf, np.nan)
    yield "below", (-np.inf, b, np.nan)
    yield "one value", (b, b, np.nan)
    yield "one excluded", (-np.inf, np.inf, b)
    yield "an end excluded", (a, b, b)
    atoms = codec.cells.atoms
    if len(atoms):
        middle = atoms[len(atoms) // 2]
        yield "from a point mass", (middle, max(b, middle), np.nan)
        yield "to a point mass", (min(a, middle), middle, np.nan)
        yield "without a point mass", (-np.inf, np.inf, middle)
    if len(codec.cells.ends) and np.isinf(codec.cells.ends[-1]):
        yield "far tail", (100 * abs(last) // 1, np.inf, np.nan)
    if len(codec.cells.starts) and np.isinf(codec.cells.starts[0]):
        yield "far lower tail", (-np.inf, -100 * abs(known[0]) // 1, np.nan)


def situations():
    """Every case by name: (name of its codec, keyword arguments of the situation)."""
    for name in [*NUMBERS, *DESCRIBED]:
        yield name, (name, {})
    for group in (0, 3, -1):
        yield f"groups, {group}", ("groups", {"group": group})
    for name in ("smooth", "smooth with repeated values", "gains and losses", "cents", "heaps", "top-coded", "quarters",
                 "few values, rare on both sides", "bottom- and top-coded", "missing codes on the grid"):  # fmt: skip
        for kind, limits in limits_of(*codec(name)):
            yield f"{name}, {kind}", (name, {"limits": limits})
    for kind, step in STEPS.items():
        for base in BASES:
            total = base * (step or 1.2345)
            total = round(total, 2) if step == 0.01 else total
            yield f"share: {kind} of {base}", (f"share: {kind}", {"base": total})
            cut = {
                "low": (total / 3, np.inf, np.nan),
                "high": (-np.inf, total / 2, np.nan),
                "whole": (total, total, np.nan),
            }
            cut |= {"none": (0.0, 0.0, np.nan), "excluded": (0.0, total, (base // 2) * (step or 1.0))}
            for label, limits in cut.items() if base in (3, 100) else ():
                yield f"share: {kind} of {base}, {label}", (f"share: {kind}", {"base": total, "limits": limits})


CASES = dict(situations())


def situation(name):
    fitted, known = CASES[name]
    return Situation(codec(fitted)[0], **known)
