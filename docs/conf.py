"""Settings of the documentation; `make docs` builds it with warnings as errors."""

from pathlib import Path
from typing import Any

import microplex

project = "microplex"
author = "The microplex developers"
release = microplex.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # NumPy docstrings state types together with shapes and units
napoleon_google_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"microplex {release}"


def setup(app: Any) -> None:
    """Draw the pictures of the page about calibration; they are not kept in the repository."""
    app.connect("builder-inited", draw_pictures)


def draw_pictures(app: Any) -> None:
    from microplex import Reweighter, SurveyDesign, draw_survey, make_population, official_totals
    from microplex.targets.picture import draw_frontier

    folder = Path(app.srcdir) / "_pictures"
    folder.mkdir(exist_ok=True)
    population = make_population(20_000, seed=0)
    design = SurveyDesign(n_households=2_000, adjustment="none", item_missing={}, top_coded=False)
    survey = draw_survey(population, design, seed=1)
    totals = official_totals(population, by=["tenure", "sex", "education"], variables=["persons"])
    reweighter = Reweighter().fit(survey.households, totals, persons=survey.persons.drop(columns="weight"))
    reweighter.result_.plot(folder / "calibration.png")
    draw_frontier(reweighter.frontier(), folder / "frontier.png")
