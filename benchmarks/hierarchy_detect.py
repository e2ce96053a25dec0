"""What detect_constraints finds, and how it holds on other households: python -m benchmarks.hierarchy_detect.

The simulated population always, at two sizes and with survey weights; the household tables of ../shared where they are
present. For each task: expected rules that were found or follow from found ones, rules in all, the share of them that
hold on at least 99.5% of held-out households, the greatest share of households that break one, and processor time.
"""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from microplex.datasets import COMPONENTS, SurveyDesign, draw_survey, make_population
from microplex.entities import as_population
from microplex.hierarchy.detect import detect_constraints
from microplex.hierarchy.detect_result import broken_households, population_members
from microplex.hierarchy.detect_rules import Aggregate, Together
from microplex.hierarchy.members import Members
from microplex.hierarchy.rules import Cardinality, Count, Implied, Linear, LowerBound, Shared, Sum

SHARED = Path(__file__).resolve().parents[2] / "shared" / "yardstick" / "hierarchy_tasks.py"
FILERS = "tax_role in ('head', 'spouse')"

WORKERS = ("employed", "self_employed")
SIMULATED = {
    "one head": Cardinality("head", 1, 1),
    "at most one spouse": Cardinality("spouse", 0, 1),
    "at most one partner": Cardinality("partner", 0, 1),
    "persons of a household": Count("household.n_persons"),
    "children of a household": Count("household.n_children", "age < 18"),
    "tax units of a household": Count("n_tax_units", "tax_role == 'head'"),
    "persons of a tax unit": Count("tax_unit.n_persons", "", "tax_unit"),
    "dependants of a tax unit": Count("n_dependants", "tax_role == 'dependant'", "tax_unit"),
    "income of a person": Sum("total_income", COMPONENTS, "person"),
    "food stamps of a household": Sum("household.snap", "tax_unit.snap", "household", "tax_unit"),
    "income of a household": Aggregate(
        "household.total_income", ("total_income",), inner=(("tax_unit.snap", "tax_unit"),)),
    "age of the tax unit's head": Aggregate("age_head", ("age",), "tax_role == 'head'", "tax_unit"),
    "age of the tax unit's spouse": Aggregate("age_spouse", ("age",), "tax_role == 'spouse'", "tax_unit"),
    "wages of the tax unit's head": Aggregate("wages_head", ("wages",), "tax_role == 'head'", "tax_unit"),
    "wages of the tax unit's spouse": Aggregate("wages_spouse", ("wages",), "tax_role == 'spouse'", "tax_unit"),
    "wages of a tax unit": Aggregate("tax_unit.wages", ("wages",), FILERS, "tax_unit"),
    "interest of a tax unit": Aggregate("tax_unit.interest", ("interest",), FILERS, "tax_unit"),
    "income of a tax unit": Aggregate("tax_unit.total_income", ("total_income",), FILERS, "tax_unit"),
    "SSI of a tax unit": Aggregate("tax_unit.ssi", ("ssi",), FILERS, "tax_unit"),
    "children do not work": Implied("age < 15", "employment", "child"),
    "adults are no children": Implied("age >= 15", "employment", levels=(
        *WORKERS, "unemployed", "retired", "inactive")),
    "children earn nothing": Implied("age < 15", "wages", 0),
    "children have no business": Implied("age < 15", "self_employment", 0),
    "children are not schooled": Implied("age < 15", "education", "none"),
    "children are single": Implied("age < 15", "marital", "never_married"),
    "no work, no hours": Implied("employment in ('unemployed', 'retired', 'inactive')", "hours", 0),
    "spouses are married": Implied("role == 'spouse'", "marital", "married"),
    "married heads have a spouse": Together("role == 'head' and marital == 'married'", "role == 'spouse'", True),
    "joint filers are two": Together("filing_status == 'joint'", "tax_role == 'spouse'", True, "tax_unit"),
    "qualified dividends": Linear({"qualified_dividends": 1, "dividends": -1}),
    "SSI as due": Linear({"ssi": 1, "ssi_entitlement": -1}),
    "food stamps as due": Linear({"tax_unit.snap": 1, "snap_entitlement": -1}),
}  # fmt: skip
NOT_FOR_SMALL = ("SSI of a tax unit", "SSI as due", "qualified dividends", "food stamps as due",
                 "food stamps of a household", "children of a household", "interest of a tax unit")  # fmt: skip

SAN_FRANCISCO = {
    **{f"{name} is shared": Shared(name) for name in ("area", "tenure", "building", "vehicles", "household_income")},
    "one head": Cardinality("head", 1, 1),
    "at most one spouse": Cardinality("spouse", 0, 1),
    "at most one partner": Cardinality("partner", 0, 1),
    "persons": Count("n_persons"),
    "workers": Count("n_workers", "employment_status in (1, 2)"),
    "spouses are married": Implied("role == 'spouse'", "marital_status", 1),
    "married heads have a spouse": Together("role == 'head' and marital_status == 1", "role == 'spouse'", True),
    "children earn nothing": Implied("age < 15", "earnings", 0),
    "children work no weeks": Implied("age < 15", "weeks_worked", 0),
    "children work no hours": Implied("age < 15", "hours_per_week", 0),
    "children are outside the labour force": Implied("age < 15", "employment_status", 0),
    "children are not married": Implied("age < 14", "marital_status", 0),
    "no weeks, no hours": Implied("weeks_worked == 0", "hours_per_week", 0),
    "no weeks, no earnings": Implied("weeks_worked == 0", "earnings", 0),
    "income holds earnings": LowerBound("household_income", "earnings"),
}
TAX_UNITS = {
    "area is shared": Shared("area"),
    "exactly one first unit": Cardinality(("first_hoh", "first_joint", "first_single"), 1, 1),
    "units": Count("n_persons"),
    "wages": Sum("household_wages", ("wages", "wages_spouse")),
    "people": Sum("household_people", ("n_dep",), per_role={
        "first_joint": 2, "joint": 2, "first_hoh": 1, "first_single": 1, "hoh": 1, "single": 1}),
    "single, no spouse's age": Implied("role in ('first_hoh', 'first_single', 'hoh', 'single')", "age_spouse", 0),
    "no spouse's age, single": Implied("age_spouse == 0", "role",
                                       levels=("first_hoh", "first_single", "hoh", "single")),
    "single, no spouse's wages": Implied("role in ('first_hoh', 'first_single', 'hoh', 'single')", "wages_spouse", 0),
    "young dependants": Linear({"n_dep6": 1, "n_dep": -1}),
    "young dependants of those under 18": Linear({"n_dep6": 1, "n_dep18": -1}),
}  # fmt: skip


def judge(name, detect, held_out, expected, n_persons):
    start = time.process_time()
    found = detect()
    seconds = time.process_time() - start
    missed = [what for what, rule in expected.items() if not (found.implies(rule) or rule in found.rules)]
    members, weights = held_out
    broken = {}
    for item in found:
        bad = broken_households(members, item.rule)
        broken[str(item)] = float(weights @ bad / weights.sum())
    shares = np.array(list(broken.values()))
    worst = max(broken, key=broken.get)
    recall, counts = f"{len(expected) - len(missed)} / {len(expected)}", f"{len(found)} ({len(found.exact)})"
    held, cpu = (
        f"{(shares <= 0.005).mean():.1%} | {shares.max():.2%}",
        f"{seconds:.2f} | {seconds / n_persons * 1e5:.2f}",
    )
    print(f"| {name} | {recall} | {counts} | {held} | {cpu} |")
    for what in missed:
        print(f"    missed: {what}: {expected[what]}", file=sys.stderr)
    for rule, share in broken.items():
        if share > 0.005 or (rule == worst and share):
            print(f"    {name}: {share:.2%} of held-out households break: {rule}", file=sys.stderr)
    return found


def population_task(name, train, test, expected, show):
    train, test = as_population(train), as_population(test)
    weights = np.empty(test.size("household"))
    members = population_members(test)
    weights[members.units["household"].of] = test.weights("person")
    found = judge(name, lambda: detect_constraints(train), (members, weights), expected, train.size("person"))
    if show:
        print(found)


def flat_task(name, task, expected, show):
    flat, other = (part.persons.merge(part.households, on="hid") for part in (task.train, task.test))
    members = Members.read(other, "hid", "role")
    weights = np.ones(members.units["household"].count)

    def detect():
        return detect_constraints(flat, household_id="hid", relationship="role")

    found = judge(name, detect, (members, weights), expected, len(flat))
    if show:
        print(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print the rules")
    show = parser.parse_args().show
    heads = "task", "expected rules found", "rules (exact)", "hold on 99.5% of held-out households", "worst", "CPU s"
    print(f"| {' | '.join(heads)} | CPU s per 100k persons |")
    print("|---|---|---|---|---|---|---|")
    test = make_population(15_000, seed=1)
    population_task("simulated, 40,000 households", make_population(40_000, seed=0), test, SIMULATED, show)
    small = {what: rule for what, rule in SIMULATED.items() if what not in NOT_FOR_SMALL}
    population_task("simulated, 1,180 households", make_population(1180, seed=2), test, small, show)
    survey = draw_survey(make_population(40_000, seed=3), SurveyDesign(n_households=6000), seed=0)
    population_task("survey of 6,000, weighted", survey, test, small, show)
    if not SHARED.exists():
        print(f"{SHARED.parent} is not there: the survey tasks are left out.", file=sys.stderr)
        return
    spec = importlib.util.spec_from_file_location("hierarchy_tasks", SHARED)
    tasks = importlib.util.module_from_spec(spec)
    sys.modules["hierarchy_tasks"] = tasks
    spec.loader.exec_module(tasks)
    flat_task("us_sf", tasks.load("us_sf"), SAN_FRANCISCO, show)
    flat_task("cps_units", tasks.load("cps_units"), TAX_UNITS, show)


if __name__ == "__main__":
    main()
