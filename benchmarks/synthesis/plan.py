"""What is run, with the settings of each peer."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """A function of `methods` or `peers` and its settings; smaller ones to warm up with."""

    name: str
    module: str
    function: str
    options: dict[str, Any] = field(default_factory=dict)
    warm: dict[str, Any] = field(default_factory=dict)
    package: str = ""
    """What a peer is called where it is installed from."""
    note: str = ""
    one_seed: bool = False
    """Slow: only the first seed."""


FREE = "draws whole rows freely, matched"
EPOCHS = {"CTGAN": 15, "TVAE": 30}

METHODS = [
    Method("floor", "real", "fresh", note="fresh real rows, scored as if they were synthetic"),
    Method("microplex", "methods", "microplex", note="its defaults"),
    Method("CART", "methods", "cart", note="scikit-learn, in the manner of synthpop: a tree a target, 5 rows a leaf"),
    Method(
        "quantile forest",
        "peers",
        "quantile_forest",
        {},
        {"trees": 3},
        "quantile-forest",
        "a zero stage and a quantile forest a target, 50 trees, 5 rows a leaf, half of the variables a split",
        True,
    ),
    Method("hot deck", "methods", "hot_deck", note="a random training row of the same condition cell"),
    Method(
        "CTGAN",
        "peers",
        "ctgan",
        {"epochs": EPOCHS["CTGAN"]},
        {"epochs": 1},
        "ctgan",
        f"{EPOCHS['CTGAN']} epochs instead of its default 300, for time; {FREE}",
        True,
    ),
    Method(
        "TVAE",
        "peers",
        "tvae",
        {"epochs": EPOCHS["TVAE"]},
        {"epochs": 1},
        "ctgan",
        f"{EPOCHS['TVAE']} epochs instead of its default 300, for time; {FREE}",
        True,
    ),
    Method(
        "Gaussian copula", "peers", "copulas", package="copulas", note=f"beta marginals, the default of SDV; {FREE}"
    ),
    Method(
        "ARF",
        "peers",
        "arfpy",
        {"rows": 5_000},
        {"rows": 200, "num_trees": 3},
        "arfpy",
        f"30 trees, 5,000 random training rows (its loop over leaves is slow); {FREE}",
        True,
    ),
    Method("resampled rows", "methods", "resampled_rows", note="null: training rows with replacement"),
    Method("independent columns", "methods", "independent_columns", note="null: every target drawn on its own"),
]
