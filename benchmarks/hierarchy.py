"""Synthetic households beside the noise floor: real households of San Francisco, and the embedded population.

python -m benchmarks.hierarchy [--seeds 0,1,2] [--problems sf,population] [--households 30000] [--persons 1000000]

The real households are judged by the referee that lies beside the shared microdata (MICROPLEX_SHARED, or ../shared);
without it that problem is left out. The embedded population is judged by `evaluate_hierarchy` against a fresh one.
CPU seconds of this process, one thread. Leaves the tables in benchmarks/results/hierarchy.md.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from microplex import HierarchicalSynthesizer, make_population
from microplex.entities import Entity, GroupEntity, Hierarchy, Population
from microplex.hierarchy.rules import AgeGap, Count, LowerBound
from microplex.metrics.households import evaluate_hierarchy

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("MICROPLEX_SHARED") or ROOT.parent / "shared")
RESULTS = ROOT / "benchmarks" / "results"
BARS = {
    "hh_c2st_auc": 0.58,
    "person_c2st_auc": 0.54,
    "comp_tvd": 0.115,
    "spouse_gap_ks": 0.10,
    "spouse_age_corr_err": 0.02,
    "parent_gap_ks": 0.09,
    "icc_err": 0.06,
    "stats_err": 0.045,
    "agg_share": 0.0,
    "shared_share": 0.0,
    "lower_share": 0.0,
    "copy_share": None,
    "copy_base": None,
    "dcr_share": 0.56,
    "impossible_share": None,
    "impossible_real": None,
}
SF_RULES = [
    "age < 15 -> marital_status == 0",
    "age >= 15 -> marital_status != 0",
    "age < 16 -> employment_status == 0",
    "age >= 16 -> employment_status != 0",
    "employment_status == 0 -> weeks_worked == 0",
    "weeks_worked == 0 -> hours_per_week == 0",
    "weeks_worked > 0 -> hours_per_week > 0",
    "weeks_worked == 0 -> earnings == 0",
    "role == 'spouse' -> marital_status == 1",
    "role == 'head' and `count.spouse` > 0 -> marital_status == 1",
    "role == 'head' and `count.spouse` == 0 -> marital_status != 1",
    Count("n_persons"),
    Count("n_workers", "employment_status in (1, 2, 4, 5)"),
    LowerBound("household_income", "earnings"),
    AgeGap("head", "child", low=12),
]
HOME_VARS = ["state", "tenure", "n_persons", "n_children", "total_income"]
PERSON_VARS = ["age", "sex", "marital", "education", "disabled", "employment", "hours", "wages", "self_employment"]
PERSON_VARS += ["interest", "dividends", "pensions", "social_security", "unemployment_benefits"]


def sf_population(tables, schema, roles):
    homes = tables.households.rename(columns={"hid": "household_id"})
    people = tables.persons.rename(columns={"hid": "household_id"})
    people.insert(0, "person_id", np.arange(len(people)))
    household = GroupEntity("household", roles=tuple(roles), role_col="role", couple=schema.couple, child=schema.child)
    return Population(Hierarchy(Entity("person"), (household,)), {"households": homes, "persons": people})


def sf(seeds):
    """Real households of San Francisco, read off the referee: a table of measures."""
    sys.path.insert(0, str(SHARED / "yardstick"))
    import hierarchy_metrics
    from hierarchy_tasks import Tables, canonical, load
    from judge_hierarchy import resplit

    task = load("us_sf")
    schema = task.schema
    floors, columns = {}, {}
    for seed in (1, 2, 3):
        train, test = resplit(task, seed)
        floors[seed] = hierarchy_metrics.evaluate(schema, test, train, None, seed=seed)
    train = sf_population(task.train, schema, schema.roles)
    for seed in seeds:
        for name, rules in (("declared", SF_RULES), ("detected", None)):
            start = time.process_time()
            synth = HierarchicalSynthesizer(
                train.schema, constraints=rules, kinds=dict.fromkeys(schema.cat, "categorical"), seed=seed
            )
            made = synth.fit(train).generate(len(task.train.households), seed=seed)
            spent = time.process_time() - start
            people = made.persons.rename(columns={"household_id": "hid"})
            tables = Tables(made.households.rename(columns={"household_id": "hid"}), canonical(people, schema.roles))
            columns[name, seed] = hierarchy_metrics.evaluate(schema, task.test, tables, task.train, seed=seed)
            columns[name, seed]["CPU seconds"] = spent
    found = pd.DataFrame(columns)
    table = pd.DataFrame({"floor": pd.DataFrame(floors).mean(axis=1), "bar": BARS})
    table = table.reindex([*BARS, "CPU seconds"]).rename_axis("measure")
    for name in ("declared", "detected"):
        table[f"{name} rules"] = found[name].mean(axis=1)
    return table


def embedded(n_households, first):
    """A part of the embedded population with some of its columns."""
    whole = make_population(n_households, seed=0, first=first)
    homes = whole.households[["household_id", *HOME_VARS]]
    people = whole.persons[["person_id", "household_id", "relationship", *PERSON_VARS]]
    homes = homes.assign(total_income=people.groupby("household_id")[_amounts()].sum().sum(axis=1).to_numpy())
    roles = tuple(people["relationship"].cat.categories)
    household = GroupEntity("household", roles=roles, role_col="relationship")
    return Population(Hierarchy(Entity("person"), (household,)), {"households": homes, "persons": people})


def _amounts():
    return [
        c for c in PERSON_VARS if c not in ("age", "sex", "marital", "education", "disabled", "employment", "hours")
    ]


def population(n_households, n_persons, seeds):
    """The embedded population: measures beside floors, and the speed of generation."""
    train, fresh = embedded(n_households, 1), embedded(n_households, n_households + 1)
    values, floors, speeds = {}, {}, []
    for seed in seeds:
        start = time.process_time()
        synth = HierarchicalSynthesizer(train.schema, seed=seed).fit(train)
        fitted = time.process_time()
        made = synth.generate(n_households, seed=seed)
        drawn = time.process_time()
        found = evaluate_hierarchy(fresh, made, train=train, seed=seed, floor=3)
        frame = found.frame.set_index("metric")
        values[f"seed {seed}"] = frame["value"]
        floors[seed] = frame[next(c for c in frame if c.startswith("floor"))]
        speeds.append((fitted - start, drawn - fitted, made.size("person")))
        if seed == seeds[0]:
            held = synth.log_prob(fresh)
            print(
                f"held-out log-likelihood: {held[np.isfinite(held)].mean():.3f} nats a household, "
                f"{np.mean(~np.isfinite(held)):.4f} impossible",
                flush=True,
            )
            wanted = int(n_persons * n_households / made.size("person"))
            start = time.process_time()
            size = synth.generate(wanted, seed=1).size("person")
            print(f"generation: {size:,} persons in {time.process_time() - start:.1f} CPU s", flush=True)
    table = pd.DataFrame({"floor": pd.DataFrame(floors).mean(axis=1), **values})
    table["mean"] = table[[c for c in table if c.startswith("seed")]].mean(axis=1)
    print("\n".join(f"fit {f:.0f} CPU s, {n:,} persons drawn in {g:.1f} CPU s" for f, g, n in speeds))
    return table


def markdown(table):
    rows = [
        [str(i), *(("" if pd.isna(v) else f"{v:.4f}") for v in row)]
        for i, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    head = ["measure", *map(str, table.columns)]
    lines = [head, ["---", *(["---:"] * len(table.columns))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--problems", default="sf,population")
    parser.add_argument("--households", type=int, default=30_000)
    parser.add_argument("--persons", type=int, default=1_000_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    seeds = [int(s) for s in options.seeds.split(",")]
    parts = []
    for problem in options.problems.split(","):
        if problem == "sf" and not (SHARED / "yardstick" / "judge_hierarchy.py").exists():
            parts.append("The households of San Francisco are not here: set MICROPLEX_SHARED.")
        elif problem == "sf":
            parts.append("## Households of San Francisco\n\n" + markdown(sf(seeds)))
        else:
            table = population(options.households, options.persons, seeds)
            parts.append(f"## Embedded population, {options.households:,} households\n\n" + markdown(table))
        print(parts[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "hierarchy.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
