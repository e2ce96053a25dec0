"""The problems: those of the shared yardstick, PopulationSim's survey, and one that needs nothing but the library."""

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.calibration.arrays import Problem
from benchmarks.calibration.reference import CASES, reference
from microplex.datasets import SurveyDesign, draw_survey, make_population, official_totals
from microplex.datasets.tables import Tables

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("MICROPLEX_SHARED") or ROOT.parent / "shared")
YARDSTICK = ("S", "Scat", "Mcat", "M", "L", "M_infeasible", "CPS")


def population(n_households: int = 20_000) -> Problem:
    """A survey of the embedded population that ignores refusals, against the population's own totals.

    Households, persons, wages and Social Security by state, and national margins, all on household weights.
    """
    people = make_population(n_households, seed=0)
    survey = _survey(people)
    parts = [
        official_totals(people, by=[(), "state", "tenure"], variables=["households"]),
        official_totals(people, by=["sex", "age_group", "state"], variables=["persons"]),
        official_totals(people, by=[(), "filing_status"], variables=["tax_units"]),
        official_totals(people, by=[(), "state"], variables=["wages", "social_security"]),
    ]
    design, totals = _rows(survey, pd.concat(parts, ignore_index=True))
    return Problem("population", design, survey.households["weight"].to_numpy(float), totals)


def population_margins(n_households: int = 20_000) -> Problem:
    """The same survey with crossed margins of households alone, which rakers can express."""
    people = make_population(n_households, seed=0)
    survey = _survey(people)
    columns = [("state",), ("tenure", "children"), ("tenure", "size")]
    return _margins("population_margins", _homes(survey), _homes(people), columns)


def _survey(people: Tables) -> Tables:
    size = len(people.households) // 4
    return draw_survey(
        people, SurveyDesign(n_households=size, adjustment="none", item_missing={}, top_coded=False), seed=1
    )


def _homes(tables: Tables) -> pd.DataFrame:
    homes = tables.households
    few = {"size": homes["n_persons"].clip(upper=5), "children": homes["n_children"].clip(upper=3)}
    weight = homes.get("weight", 1.0)
    return homes[["state", "tenure"]].assign(**few, weight=weight)


def _margins(name: str, sample: pd.DataFrame, whole: pd.DataFrame, columns: list[tuple[str, ...]]) -> Problem:
    """Margins of the whole for the levels that the sample has; the rest of a margin is scaled to the same total."""
    codes, margins = [], []
    for margin in columns:
        cells = [frame[list(margin)].astype(str).agg(" ".join, axis=1) for frame in (sample, whole)]
        level, index = pd.factorize(cells[0], sort=True)
        found = whole["weight"].groupby(cells[1]).sum().reindex(index).to_numpy()
        codes.append(level)
        margins.append(found * (whole["weight"].sum() / found.sum()))
    rows = [sp.csr_array((np.ones(len(c)), (c, np.arange(len(c)))), shape=(c.max() + 1, len(c))) for c in codes]
    base, design = sample["weight"].to_numpy(float), sp.csr_array(sp.vstack(rows, format="csr"))
    return Problem(name, design, base, np.concatenate(margins), codes=np.column_stack(codes), margins=margins)


def _rows(survey: Tables, totals: pd.DataFrame) -> tuple[sp.csr_array, np.ndarray]:
    """A row a total of `official_totals`, found again in the survey: the sum over a household's own rows."""
    place = pd.Index(survey.households["household_id"])
    rows, columns = [], [name for name in totals.columns if name not in ("name", "entity", "variable", "total")]
    for one in totals.to_dict("records"):
        table = getattr(survey, one["entity"])
        by = [name for name in columns if not pd.isna(one[name])]
        groups = survey.view(one["entity"], by)
        chosen = np.ones(len(table), dtype=bool)
        for name in by:
            chosen &= (groups[name].astype(str) == str(one[name])).to_numpy()
        column = one["variable"].split(".")[-1]
        value = chosen if column == one["entity"] else np.where(chosen, table[column].to_numpy(float), 0.0)
        rows.append(np.bincount(place.get_indexer(table["household_id"]), weights=value, minlength=len(place)))
    design = sp.csr_array(np.array(rows))
    supported = np.diff(design.indptr) > 0
    return sp.csr_array(design[np.flatnonzero(supported)]), totals["total"].to_numpy(float)[supported]


def yardstick(name: str) -> Problem:
    """A generated problem of the shared yardstick."""
    file = SHARED / "yardstick" / "calibration_problems.py"
    spec = importlib.util.spec_from_file_location("calibration_problems", file)
    if spec is None or spec.loader is None or not file.exists():
        raise FileNotFoundError(f"no {file}: set MICROPLEX_SHARED")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = module.load(name)
    codes, margins = None, []
    if found.cats is not None:
        levels = {column: np.unique(found.cats[column]) for column in found.cats}
        codes = np.column_stack([np.searchsorted(levels[column], found.cats[column]) for column in found.cats])
        margins = [np.array([found.margins[c][int(level)] for level in levels[c]]) for c in found.cats]
    return Problem(name, sp.csr_array(found.A), found.d, found.b, found.feasible, codes, margins)


def popsim_survey() -> Problem:
    """PopulationSim's household travel survey: 25 controls in each of 4 clusters, with its importances."""
    folder = SHARED / "data" / "popsim_survey"
    if not folder.exists():
        raise FileNotFoundError(f"no {folder}: set MICROPLEX_SHARED")
    homes, persons = (pd.read_parquet(folder / f"{name}.parquet") for name in ("households", "persons"))
    controls = pd.read_parquet(folder / "controls_cluster.parquet").set_index("cluster")
    spec = json.loads((folder / "control_spec.json").read_text(encoding="utf-8"))
    zones = np.sort(homes["cluster"].unique())
    zone = homes["cluster"].to_numpy()
    place = pd.Index(homes["household_id"])
    rows, totals, target_zone, importance, household = [], [], [], [], []
    for cluster in zones:
        for one in spec:
            table = homes if one["table"] == "households" else persons
            chosen = RULES[one["operator"]](table[one["seed_column"]], one["value"])
            counted = place.get_indexer(table["household_id"])
            count = np.bincount(counted, weights=np.asarray(chosen, dtype=float), minlength=len(homes))
            rows.append(sp.csr_array(np.where(zone == cluster, count, 0.0)[None, :]))
            totals.append(float(controls.loc[cluster, one["control_column"]]))
            target_zone.append(cluster)
            importance.append(float(one["importance"]))
            household.append(one["table"] == "households")
    design = sp.csr_array(sp.vstack(rows, format="csr"))
    given = {"target_zone": np.array(target_zone), "importance": np.array(importance)}
    base, flag = homes["weight"].to_numpy(float), np.array(household)
    return Problem("popsim_survey", design, base, np.array(totals), zone=zone, household_target=flag, **given)


RULES: dict[str, Callable] = {
    "all": lambda column, value: np.ones(len(column), dtype=bool),
    "eq": lambda column, value: (column == value).fillna(False),
    "ge": lambda column, value: (column >= value).fillna(False),
    "in": lambda column, value: column.isin(value),
    "missing": lambda column, value: column.isna(),
}


def build(name: str) -> Problem:
    """A problem by its name; FileNotFoundError says what shared data it lacks."""
    own = {"population": population, "population_margins": population_margins, "popsim_survey": popsim_survey}
    if name in CASES:
        return reference(name, SHARED / "data" / "api")
    return own[name]() if name in own else yardstick(name)
