"""Sources that mean different things by one name are told so; sampling differences are not."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from microplex.errors import ColumnNotFoundError, DataError
from microplex.fusion import check_agreement
from microplex.fusion.agreement_rules import chance_absent

N = 600


def draw(seed=0):
    return np.random.default_rng(seed)


def sources(first, second):
    return {"cps": pd.DataFrame({"x": first}), "acs": pd.DataFrame({"x": second})}


def levels(shares, seed=0, n=N):
    return draw(seed).choice(list(shares), n, p=list(shares.values()))


INCOME = np.rint(draw(1).lognormal(10, 1, N))

ERRORS = {
    "other codes": (levels({"own": 0.6, "rent": 0.4}), levels({"1": 0.6, "2": 0.4}), "no level in common"),
    "text and numbers": (["1", "2"], [1, 2], "levels against numbers, though the codes look alike"),
    "truth and numbers": ([True, False], [1, 0], "true and false against numbers"),
    "dates and numbers": (
        pd.to_datetime(["2020-01-01", "2021-01-01"]),
        [2020, 2021],
        "dates and times against numbers",
    ),
    "spelling": (["own", "rent"], ["own", "Rent "], "'rent' here is spelled 'Rent ' there"),
    "a level lacks": (
        levels({"own": 0.5, "rent": 0.4, "free": 0.1}),
        levels({"own": 0.5, "rent": 0.5}, 1),
        "only the first has 'free', which the other should have by its size",
    ),
    "never true": (draw().random(N) < 0.5, np.zeros(N, bool), "only the first has True, which the other should have"),
    "order": (
        pd.Categorical(["lo", "hi"], ["lo", "hi"], ordered=True),
        pd.Categorical(["lo", "hi"], ["hi", "lo"], ordered=True),
        "the categories are in another order",
    ),
    "numeric codes": (levels({1: 0.5, 2: 0.5}), levels({0: 0.5, 1: 0.5}), "only the first has 2, only the second 0"),
    "disjoint numeric codes": ([1, 2, 1], [3, 4, 4], "the ranges do not overlap"),
    "ages and bands": (draw(4).integers(18, 80, N), draw(5).integers(1, 8, N), "the ranges do not overlap; typical"),
    "small disjoint samples": ([20, 30, 31], [41, 59, 60], "the ranges do not overlap"),
    "disjoint decimals": ([20.5, 30.5, 31.5], [41.5, 59.5, 60.5], "the ranges do not overlap"),
    "few amounts": ([1.5, 2.5], [1500.5, 2500.5], "the ranges do not overlap; .*thousands"),
    "thousands": (INCOME, INCOME / 1000, r"typical amounts differ by a factor of 1e\+03 \(thousands\?\)"),
}

WARNINGS = {
    "months": (INCOME, INCOME / 12, r"a factor of 12 \(months and years\?\)"),
    "signs": (
        draw(2).normal(0, 9, N),
        np.abs(draw(3).normal(0, 9, N)),
        r"only the first has negative values \(\d+\.\d%\)",
    ),
    "top code": (np.minimum(INCOME, 40_000), INCOME, "the second goes beyond the largest value of the other"),
    "lowest": (INCOME, np.maximum(INCOME, 20_000), "the first goes below the smallest value of the other"),
    "counts": (levels({0: 0.5, 1: 0.3, 2: 0.2}), levels({0: 0.5, 1: 0.5}), "only the first has 2"),
    "rare": ([*["a"] * 9, "b"], [*["a"] * 9, "zz"], "too rare to judge: 'b', 'zz'"),
    "few overlapping amounts": ([1.5, 2.5, 1000], [900, 1500.5, 2500.5], r"a factor of 6e\+02"),
    "ranges that hardly overlap": (
        draw(4).integers(18, 80, N),
        np.r_[draw(5).integers(1, 8, N), 19],
        "factor of|goes beyond",
    ),
    "values between values": ([20, 30, 40], [25, 35, 45], "no value in common, of too few rows to judge"),
}

FINE = {
    "two samples": (levels({"a": 0.9, "b": 0.08, "c": 0.02}), levels({"a": 0.9, "b": 0.08, "c": 0.02}, 5)),
    "a rare level": ([*["a"] * 300, "b"], ["a"] * 10),
    "amounts": (INCOME, np.rint(draw(9).lognormal(10, 1, N))),
    "lumps at both ends": (
        np.clip(np.round(draw(6).normal(50, 40, N), 1), 0, 100),
        np.clip(np.round(draw(7).normal(50, 40, N), 1), 0, 100),
    ),
    "integers and decimals": ([1, 2, 3], [1.0, 2.0, 3.0]),
    "text and categories": (["a", "b"], pd.Categorical(["b", "a"])),
    "a column without values": ([1.0, 2.0], [None, None]),
    "rare counts": ([*[0] * 300, *[1] * 200, 7], [*[0] * 30, *[1] * 20]),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_clash_is_an_error_that_shows_both(case):
    first, second, problem = ERRORS[case]
    with pytest.raises(DataError, match=problem) as caught:
        check_agreement(sources(first, second))
    assert "'x': " in str(caught.value)
    assert "cps: " in str(caught.value)
    assert "acs: " in str(caught.value)


@pytest.mark.parametrize("case", WARNINGS)
def test_what_should_be_looked_at_is_a_warning(case):
    first, second, problem = WARNINGS[case]
    with pytest.warns(UserWarning, match=problem):
        found = check_agreement(sources(first, second))
    assert {clash.variable for clash in found} == {"x"}
    assert not any(clash.is_error for clash in found)


@pytest.mark.parametrize("case", FINE)
def test_what_chance_explains_passes(case):
    assert check_agreement(sources(*FINE[case])) == ()


@pytest.mark.parametrize("case", [*ERRORS, *WARNINGS])
def test_accepted_differences_pass(case):
    first, second, _ = {**ERRORS, **WARNINGS}[case]
    assert check_agreement(sources(first, second), accepted=["x"]) == ()


def test_the_message_shows_shares_of_the_weights():
    left = pd.DataFrame({"x": ["own", "rent"], "w": [3, 1]})
    right = pd.DataFrame({"x": ["1", "2"], "w": [1, 1]})
    with pytest.raises(DataError, match=r"cps: levels 'own' 75\.0%, 'rent' 25\.0%; acs: levels '1' 50\.0%"):
        check_agreement({"cps": left, "acs": right}, weight_col="w")


def test_rows_without_weight_do_not_count():
    left = pd.DataFrame({"x": ["own", "rent", "?"], "w": [3, 1, 0]})
    assert check_agreement({"cps": left, "acs": pd.DataFrame({"x": ["own", "rent"]})}, weight_col="w") == ()


def test_amounts_without_weight_do_not_count():
    left = pd.DataFrame({"x": [*INCOME, *INCOME * 1000], "w": np.repeat([1.0, 0.0], N)})
    assert check_agreement({"cps": left, "acs": pd.DataFrame({"x": INCOME})}, weight_col={"cps": "w"}) == ()


def test_every_frame_kind_is_read(make_frame):
    with pytest.raises(
        DataError, match=r"clash in 1 variable\. Harmonise it, or name it in accepted\.\n.*no level in common"
    ):
        check_agreement({"cps": make_frame({"x": ["a", "b"]}), "acs": make_frame({"x": ["c", "d"]})})


def test_all_clashes_are_listed_once():
    left = pd.DataFrame({f"v{i}": ["a"] for i in range(12)})
    right = pd.DataFrame({f"v{i}": [1] for i in range(12)})
    with pytest.raises(DataError, match=r"clash in 12 variables(?s:.)*'v9'(?s:.)*- and 2 more$"):
        check_agreement({"cps": left, "acs": right})


def test_an_unknown_accepted_name_is_an_error():
    with pytest.raises(ColumnNotFoundError, match="accepted column 'y'"):
        check_agreement(sources([1], [1]), accepted=["y"])


@pytest.mark.parametrize(("c", "n", "m"), [(1, 40, 60), (5, 200, 100), (12, 900, 300)])
def test_the_chance_is_that_of_drawing_all_rows_from_one_source(c, n, m):
    """A hypergeometric law, of which the formula is the limit of large samples."""
    exact = hypergeom(n + m, c, n).pmf(c)
    assert chance_absent(c / n, n, m) == pytest.approx(exact, rel=0.15)


@pytest.mark.statistical
def test_two_samples_of_one_law_are_rarely_told_apart():
    """400 pairs of samples, half of them weighted, with rare levels, heavy tails and zeros."""
    told = 0
    for seed in range(400):
        random = draw(seed)
        frames = {}
        for source, n in (("cps", random.integers(30, 2000)), ("acs", random.integers(30, 2000))):
            zero = random.random(n) < 0.4
            x = random.choice(12, n, p=np.r_[np.full(4, 0.2), np.full(8, 0.025)]).astype(str)
            y = np.where(zero, 0, np.rint(random.lognormal(9, 1.5, n)))
            w = random.gamma(2, size=n) if seed % 2 else np.ones(n)
            frames[source] = pd.DataFrame({"x": x, "y": y, "w": w})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                told += any("too rare" not in c.problem for c in check_agreement(frames, weight_col="w"))
        except DataError:
            told += 1
    assert told <= 1
