"""The second half of the demo: synthetic households weighted to the official totals of the population."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microplex.cli.console import console, plain_table, whole_file

if TYPE_CHECKING:
    import pandas as pd

    from microplex.datasets import Population as Simulated
    from microplex.datasets import Survey
    from microplex.entities import Population
    from microplex.hierarchy.synthesizer import HierarchicalSynthesizer
    from microplex.metrics.households import HierarchyEvaluation
    from microplex.targets import ReweightResult

LEAST = 30  # synthetic households of a state, for its totals to be used
HOUSEHOLDS = ("household_id", "state", "tenure", "n_persons")
PERSONS = (
    "person_id", "household_id", "relationship", "tax_unit_id", "tax_role", "age", "sex", "education", "employment",
    "wages", "social_security",
)  # fmt: skip
TAX_UNITS = ("tax_unit_id", "household_id", "filing_status", "n_dependants", "wages")
RULES = ("age < 15 -> wages == 0", "age < 15 -> education == 'none'", "role == 'spouse' -> age >= 16")
MAX_HOUSEHOLDS = 1_000  # that classifiers see, so that the demo stays quick
SHOWN = {
    "comp_tvd": "who lives together, distance of shares",
    "spouse_gap_ks": "ages of partners, KS distance of gaps",
    "parent_gap_ks": "ages of parents and children, KS distance of gaps",
    "icc_err": "likeness of members, error of intraclass correlations",
    "stats_err": "policy statistics, error in standard deviations",
    "agg_share": "household size is not the number of members, share",
    "declared_share": "rules of persons broken, share",
    "hh_c2st_auc": "told apart from real households, AUC (.5 is ideal)",
    "copy_share": "copies of surveyed households, share",
}  # measures that are printed


def draw_unadjusted(population: Simulated, households: int, seed: int) -> Survey:
    """Draw a survey whose weights ignore refusals, so that its totals are too low; all answers are there.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> survey = draw_unadjusted(make_population(600, seed=0), 200, seed=0)
    >>> bool(survey.households["weight"].sum() < 600)
    True
    """
    from microplex.datasets import SurveyDesign, draw_survey

    design = SurveyDesign(n_households=households, adjustment="none", item_missing={}, top_coded=False)
    return draw_survey(population, design, seed)


def tables_of(source: Simulated | Survey) -> Population:
    """Return a lean choice of the variables of households, tax units and persons.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> tables_of(make_population(3, seed=0))
    Population(3 households, 4 tax units, 9 persons)
    """
    from microplex.entities import US, Hierarchy, Population

    weight = [name for name in ("weight",) if name in source.households]
    schema = Hierarchy(US.member, US.groups, weight[0] if weight else None)
    tables = {
        "households": source.households[[*HOUSEHOLDS, *weight]],
        "tax_units": source.tax_units[list(TAX_UNITS)],
        "persons": source.persons[list(PERSONS)],
    }
    return Population(schema, tables)


def fit_households(train: Population, seed: int, epochs: int | None, orders: int | None) -> HierarchicalSynthesizer:
    """Fit the law of households; one order of the variables, so that the demo stays quick."""
    from microplex.hierarchy.synthesizer import HierarchicalSynthesizer

    synthesizer = HierarchicalSynthesizer(train.schema, epochs=epochs, n_orders=orders or 0, seed=seed)
    return synthesizer.fit(train)


def totals_of(population: Simulated, synthetic: Population) -> pd.DataFrame:
    """Publish totals by state and for the nation, without states of which there are few synthetic households.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> population = make_population(900, seed=0)
    >>> totals = totals_of(population, tables_of(population))
    >>> bool(totals["state"].isin(["CA"]).any()), bool(totals["state"].isin(["VT"]).any())
    (True, False)
    """
    import pandas as pd

    from microplex.datasets import official_totals

    parts = (
        official_totals(population, ["state", "tenure"], ["households"]),
        official_totals(population, ["state", "sex", "education"], ["persons"]),
        official_totals(population, ["state", "tenure"], ["wages"]),
        official_totals(population, None, ["social_security"]),
    )
    totals = pd.concat(parts, ignore_index=True)
    counts = synthetic.households["state"].value_counts()
    return totals[totals["state"].isna() | totals["state"].isin(counts.index[counts >= LEAST])].reset_index(drop=True)


def weigh(
    synthesizer: HierarchicalSynthesizer, synthetic: Population, totals: pd.DataFrame, out: Path
) -> tuple[Population, ReweightResult]:
    """Weight synthetic households, and leave totals, normalised tables and a picture in a folder."""
    from importlib.util import find_spec

    from microplex.errors import ConvergenceWarning
    from microplex.frames import write_table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the summary says so
        found = synthesizer.reweight(synthetic, totals, on_infeasible="relax")
    write_table(totals, out / "targets.csv")
    found.population.save(out / "households")
    if find_spec("matplotlib") is not None:
        with whole_file(out / "calibration.png") as temporary:
            found.result.plot(temporary)
    return found.population, found.result


def judge(real: Population, synthetic: Population, train: Population, seed: int) -> HierarchyEvaluation:
    """Measure weighted synthetic households against new ones; classifiers where scikit-learn is installed."""
    from importlib.util import find_spec

    from microplex.metrics.households import evaluate_hierarchy

    return evaluate_hierarchy(
        real, synthetic, train=train, rules=RULES, identities={"n_persons": "count"}, seed=seed, floor=3,
        classifiers=find_spec("sklearn") is not None, max_households=MAX_HOUSEHOLDS,
    )  # fmt: skip


def show_totals(result: ReweightResult) -> None:
    """Print the targets that were missed most before, and the certificate."""
    from microplex.cli.reweight import worst_table

    screen = console()
    screen.print(worst_table(result))
    screen.print(f"\n{result.summary()}\n", soft_wrap=True, markup=False)


def show_households(found: HierarchyEvaluation) -> None:
    """Print how synthetic households compare with real ones."""
    table = plain_table("weighted synthetic against new households", "value", "floor", "verdict")
    for row in _rows(found):
        table.add_row(*row)
    console().print(table)


def _rows(found: HierarchyEvaluation) -> list[tuple[str, str, str, str]]:
    rows: dict[str, Any] = {row["metric"]: row for row in found.frame.to_dict("records")}
    return [
        (words, f"{row['value']:.3f}", "" if row["floor"] != row["floor"] else f"{row['floor']:.3f}", row["verdict"])
        for name, words in SHOWN.items()
        if (row := rows.get(name)) is not None and row["value"] == row["value"]
    ]
