"""``microplex demo``: the main jobs, end to end, on the simulated population."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microplex.cli.console import check_output, console, whole_file

if TYPE_CHECKING:
    import pandas as pd

    from microplex.cli.comparison import Comparison
    from microplex.datasets import Population, Survey
    from microplex.synthesizer import Synthesizer

POPULATION = 6  # households of the population a household of the survey
PARTNERS = ("spouse", "partner")
CONSTRAINTS = (
    "qualified_dividends <= dividends",
    "employment in ('unemployed', 'retired', 'inactive') -> hours == 0",
    "employment in ('employed', 'self_employed') -> hours > 0",
    "age < 50 -> pensions == 0",
    "age < 62 and disabled == False -> social_security == 0",
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for tables, pictures and model.")] = Path("demo"),
    households: Annotated[int, typer.Option(min=10, help="New households to generate for.")] = 10_000,
    survey: Annotated[int, typer.Option(min=100, help="Households drawn for the survey, refusals included.")] = 7_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="by sample size")
    ] = None,
    orders: Annotated[
        int | None, typer.Option(min=0, help="Random orders of the targets to try.", show_default="by sample size")
    ] = None,
) -> None:
    """Draw a survey from a simulated population, fit, generate, compare; then whole households, weighted to totals.

    Every figure stands beside its noise floor: what fresh real households score when taken for synthetic.
    """
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    check_output(out / "synthetic.parquet", (".parquet",))

    from microplex.cli import demo_households as homes
    from microplex.cli.demo_report import write_page
    from microplex.datasets import ALL_TARGETS, CONDITIONS, SurveyDesign, draw_survey, make_population
    from microplex.frames import write_table

    targets = [*ALL_TARGETS, "total_income"]
    _say("Drawing a population, a survey with refusals and missing answers, and new households", start)
    size = POPULATION * survey
    population = make_population(size, seed)
    sample = draw_survey(population, SurveyDesign(n_households=survey), seed)
    train = adults(sample)
    new = make_population(households, seed, first=size + 1)
    real = adults(new)
    fresh = adults(make_population(households, seed, first=size + households + 1))
    _say(f"Fitting {len(targets)} variables on {len(train):,} adults of {len(sample.households):,} households", start)
    synthesizer = fit(train, targets, seed, epochs, orders)
    _say(f"Generating for {len(real):,} adults of {households:,} new households", start)
    synthetic = generate(synthesizer, real, seed)
    _say("Comparing\n", start)
    _report(synthesizer, real, synthetic, fresh, targets, out)
    for name, table in (("survey", train), ("real", real), ("synthetic", synthetic)):
        write_table(table, out / f"{name}.parquet")
    synthesizer.save(out / "model")
    screen = console()
    screen.print()
    surveyed = homes.tables_of(homes.draw_unadjusted(population, survey, seed))
    _say(f"Fitting whole households: {surveyed.size('household'):,} of them, as their survey weights them", start)
    law = homes.fit_households(surveyed, seed, epochs, orders)
    drawn = law.generate(households, seed=seed)
    totals = homes.totals_of(population, drawn)
    _say(f"Weighting {households:,} synthetic households to {len(totals):,} official totals\n", start)
    weighted, certificate = homes.weigh(law, drawn, totals, out)
    homes.show_totals(certificate)
    _say("Judging all of it for the report\n", start)
    real_homes = homes.tables_of(new)
    found = homes.judge(real_homes, weighted, surveyed, seed)
    homes.show_households(found)
    tables = {"survey": train, "real": real, "synthetic": synthetic, "fresh": fresh}
    write_page(tables, CONDITIONS, targets, certificate, (found, real_homes, weighted), out, seed)
    seconds = time.perf_counter() - start
    screen.print(
        f"\nAll is in {out}/: open report.html. It took {seconds:.0f} s.",
        soft_wrap=True,
        markup=False,
    )


def adults(tables: Population | Survey) -> pd.DataFrame:
    """Return the adults with their links, conditions, targets and total income.

    Examples
    --------
    >>> from microplex.datasets import make_population
    >>> list(adults(make_population(10, seed=0)).columns[:4])
    ['person_id', 'household_id', 'relationship', 'age']
    """
    from microplex.datasets import COMPONENTS, person_extract

    extract = person_extract(tables)
    extract["total_income"] = extract[list(COMPONENTS)].sum(axis=1, skipna=False)
    links = tables.view("persons", ["person_id", "household_id", "relationship"]).set_index("person_id")
    return links.loc[extract.index].join(extract).reset_index()


def fit(train: pd.DataFrame, targets: list[str], seed: int, epochs: int | None, orders: int | None) -> Synthesizer:
    """Fit the law of an adult's incomes; answers that are missing count as not observed."""
    from microplex.datasets import COMPONENTS, CONDITIONS
    from microplex.schema import Schema
    from microplex.synthesizer import Synthesizer

    schema = Schema.infer(train, weight="weight", columns=[*CONDITIONS, *targets])
    for name in targets:
        if schema[name].missing == "level":
            schema = schema.replace(name, missing="unobserved")
    constraints = [*CONSTRAINTS, f"total_income == {' + '.join(COMPONENTS)}"]
    synthesizer = Synthesizer(
        targets, list(CONDITIONS), constraints, schema=schema, epochs=epochs, n_orders=orders, seed=seed
    )
    return synthesizer.fit(train, weight_col="weight")


def generate(synthesizer: Synthesizer, people: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Generate for adults of whom the demographics are known: partners given the generated wages of the head."""
    import pandas as pd

    from microplex.datasets import CONDITIONS

    given = people[["person_id", "household_id", "relationship", *CONDITIONS]]
    is_partner = given["relationship"].isin(PARTNERS)
    done: pd.DataFrame = synthesizer.generate(given[~is_partner], seed=seed, id_col="person_id")
    if is_partner.any():
        heads = done[done["relationship"] == "head"].set_index("household_id")["wages"]
        rest = given[is_partner]
        rest = rest.assign(head_wages=heads.reindex(rest["household_id"]).to_numpy())
        done = pd.concat([done, synthesizer.generate(rest, seed=seed, id_col="person_id")])
    return done.loc[people.index]


def _report(
    synthesizer: Synthesizer,
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    fresh: pd.DataFrame,
    targets: list[str],
    out: Path,
) -> None:
    from microplex.cli.comparison import compare
    from microplex.cli.tables import joint_table, levels_table, margins_table, tidy
    from microplex.datasets import CONDITIONS
    from microplex.frames import write_table

    screen = console()
    tables = {"real": real, "synthetic": synthetic, "fresh real": fresh}
    found = {name: compare(real, table, targets, CONDITIONS) for name, table in tables.items()}
    for table in (margins_table(found), levels_table(found), joint_table(found)):
        screen.print(table)
        screen.print()
    for line in (*_likelihood(synthesizer, real), _edits(synthesizer, synthetic)):
        screen.print(line, soft_wrap=True)
    write_table(tidy(found), out / "comparison.parquet")
    _picture(real, synthetic, found, targets, out / "comparison.png")


def _likelihood(synthesizer: Synthesizer, real: pd.DataFrame) -> list[str]:
    """Exactness: the likelihood of real rows under the model and under the law that drew them."""
    import numpy as np

    from microplex.datasets import ALL_TARGETS, true_log_prob

    model, truth = synthesizer.log_prob(real), true_log_prob(real, ALL_TARGETS)
    possible = np.isfinite(model)
    gap = float((truth - model)[possible].mean()) / len(ALL_TARGETS)
    lines = [
        f"Log-likelihood of the new households' real incomes: {model[possible].mean():.3f} nats a row, "
        f"{truth[possible].mean():.3f} under the law that",
        f"drew them: the model is {gap:.3f} nats a variable short of the truth.",
    ]
    if not possible.all():
        lines.append(f"{int((~possible).sum()):,} of {len(model):,} rows are impossible under the model; left out.")
    return lines


def _edits(synthesizer: Synthesizer, synthetic: pd.DataFrame) -> str:
    from microplex.encoding.intake import read_row

    encoder = synthesizer.encoder_
    broken = sum(int(rows.sum()) for _, rows in encoder.plan.check(read_row(synthetic, encoder)))
    return f"Declared edits broken: {broken} of {len(CONSTRAINTS) + 1} x {len(synthetic):,} checked."


def _picture(
    real: pd.DataFrame, synthetic: pd.DataFrame, found: dict[str, Comparison], targets: list[str], file: Path
) -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        console().print("No picture: matplotlib is not installed. Run pip install 'microplex[plot]'.", markup=False)
        return
    from microplex.cli.picture import draw

    margins = zip(found["synthetic"].margins, found["fresh real"].margins, strict=True)
    notes = {own.variable: f"KS {own.ks:.3f}, floor {floor.ks:.3f}" for own, floor in margins}
    head = f"Incomes of {len(real):,} adults in new households, real and synthetic"
    with whole_file(file) as temporary:
        draw(real, synthetic, targets, notes, head, temporary)


def _say(text: str, start: float) -> None:
    console().print(f"[dim]{time.perf_counter() - start:5.1f} s[/]  {text}", soft_wrap=True)
