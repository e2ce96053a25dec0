"""The second half of the demo: the survey's households weighted to the official totals of their population."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from microplex.cli.console import console, whole_file

if TYPE_CHECKING:
    import pandas as pd

    from microplex.datasets import Population, Survey
    from microplex.targets import ReweightResult

LEAST = 10  # households of a state in the survey, for its totals to be used


def draw_unadjusted(population: Population, households: int, seed: int) -> Survey:
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


def totals_of(population: Population, survey: Survey) -> pd.DataFrame:
    """Publish totals by state and for the nation, without states of which the survey has few households.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> population = make_population(900, seed=0)
    >>> totals = totals_of(population, draw_unadjusted(population, 400, seed=0))
    >>> bool(totals["state"].isin(["CA"]).any()), bool(totals["state"].isin(["VT"]).any())
    (True, False)
    """
    import pandas as pd

    from microplex.datasets import official_totals

    parts = (
        official_totals(population, ["state", "tenure"], ["households"]),
        official_totals(population, ["state", "sex", "education"], ["persons"]),
        official_totals(population, ["state", "tenure"], ["wages"]),
        official_totals(population, None, ["tax_units", "social_security", "snap"]),
    )
    totals = pd.concat(parts, ignore_index=True)
    counts = survey.households["state"].value_counts()
    return totals[totals["state"].isna() | totals["state"].isin(counts.index[counts >= LEAST])].reset_index(drop=True)


def weigh(survey: Survey, totals: pd.DataFrame, out: Path) -> ReweightResult:
    """Weight the households, and leave totals, weights and picture in a folder.

    Examples
    --------
    >>> import tempfile
    >>> from microplex.datasets import make_population
    >>> population = make_population(600, seed=0)
    >>> survey = draw_unadjusted(population, 200, seed=0)
    >>> weigh(survey, totals_of(population, survey), Path(tempfile.mkdtemp())).feasible
    True
    """
    from importlib.util import find_spec

    from microplex.errors import ConvergenceWarning
    from microplex.frames import write_table
    from microplex.reweighter import Reweighter

    members = {name: getattr(survey, name).drop(columns="weight") for name in ("persons", "tax_units")}
    reweighter = Reweighter(on_infeasible="relax")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the summary says so
        weighted = reweighter.fit_transform(survey.households, totals, **members)
    write_table(totals, out / "targets.csv")
    write_table(weighted, out / "weights.parquet")
    if find_spec("matplotlib") is not None:
        with whole_file(out / "calibration.png") as temporary:
            reweighter.result_.plot(temporary)
    return reweighter.result_


def show(result: ReweightResult) -> None:
    """Print the targets that were missed most before, and the certificate."""
    from microplex.cli.reweight import worst_table

    screen = console()
    screen.print(worst_table(result))
    screen.print(f"\n{result.summary()}", soft_wrap=True, markup=False)
