"""Three surveys of the embedded population, whose truth is known: CPS-like, ACS-like with geography, tax-like.

The tax-like one selects persons with chances that grow with their income, and alone observes incomes above the top
code; it is the authority for wages.
"""

import warnings

import numpy as np
import pandas as pd

from microplex.datasets import SurveyDesign, draw_survey, make_population, person_extract
from microplex.fusion import MultiSourceFusion
from microplex.metrics.fusion import evaluate_fusion

COMMON = ["age", "sex", "education", "marital", "n_children"]
COLUMNS = {
    "cps": [*COMMON, "employment", "hours", "pensions", "social_security"],
    "acs": [*COMMON, "state", "area_level", "disabled", "employment"],
    "tax": [*COMMON, "wages", "interest", "dividends", "qualified_dividends", "capital_gains"],
}
DESIGNS = {
    "cps": SurveyDesign(n_households=14_000, item_missing={}, oversample={"tenure": {"rented": 1.5}}),
    "acs": SurveyDesign(n_households=25_000, item_missing={}, allocation=0.3, oversample={}),
}
TAX_ROWS = 25_000
INCOMES = ["wages", "self_employment", "interest", "dividends", "capital_gains", "pensions"]


def run(seed, scale):
    """Rows of measures: (what, value)."""
    population = make_population(int(150_000 * scale), seed=seed)
    truth = person_extract(population, top_coded=False)
    sources, holdouts = ({n: draw(population, truth, n, scale, 10 * seed + s) for n in COLUMNS} for s in (1, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MultiSourceFusion(COMMON, authority={"wages": "tax"}, seed=seed).fit(sources, "weight", progress=False)
    drawn = model.generate(int(100_000 * scale), seed=seed)
    rows = []
    for name, (z, value) in totals(drawn, truth, sources).items():
        rows += [(f"total of {name}, SE", z), (f"total of {name}, share of truth", value)]
    rows.append(("top 1 % share of wages", top_share(drawn["wages"])))
    rows.append(("top 1 % share of wages, truth", top_share(truth["wages"])))
    judged = evaluate_fusion(drawn, holdouts, "weight", seed=seed)
    rows += [(f"coverage of {name} over its floor", share) for name, share in judged.coverage().items()]
    rows += [(f"C2ST of {name}", judged.select(name, "c2st_auc")[0].value) for name in COLUMNS]
    return rows


def draw(population, truth, name, scale, seed):
    if name == "tax":
        size = (1.0 + truth[INCOMES].clip(lower=0).sum(axis=1) / 20_000) ** 0.8
        chance = size.to_numpy() * TAX_ROWS * scale / size.sum()
        chance = np.minimum(chance, 1.0)
        chosen = np.random.default_rng(seed).random(len(truth)) < chance
        return truth.loc[chosen, COLUMNS[name]].assign(weight=1 / chance[chosen]).reset_index(drop=True)
    design = DESIGNS[name]
    design = SurveyDesign(
        n_households=int(design.n_households * scale), item_missing={}, oversample=design.oversample,
        allocation=design.allocation,
    )  # fmt: skip
    return person_extract(draw_survey(population, design, seed=seed))[[*COLUMNS[name], "weight"]].reset_index(drop=True)


def totals(drawn, truth, sources):
    """For each mean: how many standard errors of the source and of the draw it is off, and its share of the truth.

    Means of numbers and shares of levels, which are totals over a population of known size.
    """
    found = {}
    for name in drawn:
        source = next(s for s in ("tax", "cps", "acs") if name in sources[s])
        sample = sources[source]
        for label, pick in _parts(truth[name]):
            own, real = pick(drawn[name]), pick(truth[name])
            x, w = pick(sample[name]), sample["weight"].to_numpy()
            mean = np.average(x, weights=w)
            error = np.sqrt(((w * (x - mean)) ** 2).sum()) / w.sum()
            both = np.hypot(error, own.std() / np.sqrt(len(own)))
            found[label] = (own.mean() - real.mean()) / both, own.mean() / real.mean()
    return found


def _parts(column):
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [v for v in column.cat.categories if (column == v).mean() > 0.02]
        if len(levels) > 12:
            levels = levels[:12]
        return [(f"{column.name}={v}", lambda x, v=v: (x == v).to_numpy(float)) for v in levels]
    return [(column.name, lambda x: x.to_numpy(float))]


def top_share(values):
    ordered = np.sort(np.maximum(values.to_numpy(float), 0.0))[::-1]
    return float(ordered[: max(1, len(ordered) // 100)].sum() / ordered.sum())
