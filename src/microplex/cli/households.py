"""``microplex synthesize-households``: fit on persons and their households, generate normalised tables."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from microplex.cli.console import check_folder, check_output, console, split_names
from microplex.cli.households_input import Columns, TaxUnits, population_of, read_kinds, rules_of, schema_of, unsure

if TYPE_CHECKING:
    import pandas as pd

    from microplex.entities import Population
    from microplex.hierarchy.detect_result import DetectedConstraints
    from microplex.hierarchy.synthesizer import HierarchicalSynthesizer

SHOWN = 8  # rules that are printed

_Roles = Annotated[
    str,
    typer.Option(
        help="What its codes mean, the head first: 1=head,2=spouse,3=child; or the roles alone: head,spouse,child.",
        show_default="as the column names them",
    ),
]
_Test = Annotated[
    tuple[Path, Path] | None,
    typer.Option(metavar="PERSONS HOUSEHOLDS", help="Real households for the report that the model must not see."),
]


@dataclass(frozen=True)
class _Files:
    persons: Path
    households: Path
    out: Path
    given: Path | None
    constraints: Path | None
    save_constraints: Path | None
    save: Path | None
    report: Path | None
    test: tuple[Path, Path] | None
    tax_units: Path | None
    test_tax_units: Path | None

    @property
    def train(self) -> list[Path]:
        """Files of the training tables."""
        return [self.persons, self.households, *([self.tax_units] if self.tax_units else [])]

    @property
    def read(self) -> list[Path]:
        """All files that are read."""
        named = (self.given, self.constraints, self.tax_units, self.test_tax_units)
        some = [path for path in named if path is not None]
        return [self.persons, self.households, *(self.test or ()), *some]


def synthesize_households(
    persons: Annotated[Path, typer.Argument(help="Persons, .parquet or .csv.", metavar="PERSONS")],
    households: Annotated[Path, typer.Argument(help="Their households, .parquet or .csv.", metavar="HOUSEHOLDS")],
    out: Annotated[Path, typer.Option(help="Folder to write: a parquet file a table, a manifest.", show_default=False)],
    household_id: Annotated[str, typer.Option(help="Key of the households, in both tables.")] = "household_id",
    person_id: Annotated[str, typer.Option(help="Key of the persons.")] = "person_id",
    role_col: Annotated[
        str | None,
        typer.Option(help="Column of persons: who they are in the household.", show_default="relationship, if there"),
    ] = None,
    roles: _Roles = "",
    weight: Annotated[str | None, typer.Option(help="Column of survey weights, of households.")] = None,
    household_vars: Annotated[
        str, typer.Option(help="Household variables to generate, separated by commas.", show_default="all")
    ] = "",
    person_vars: Annotated[str, typer.Option(help="Variables of persons to generate.", show_default="all")] = "",
    ignore: Annotated[str, typer.Option(help="Columns of either table to leave out, such as other keys.")] = "",
    conditions: Annotated[str, typer.Option(help="Household variables that are given.")] = "",
    households_from: Annotated[
        Path | None, typer.Option(help="Households to complete; those of the training file if omitted.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--households", min=1, help="How many to generate.", show_default="as in training")
    ] = None,
    tax_units: Annotated[
        Path | None, typer.Option(help="Tax units, .parquet or .csv: who files with whom is then learned too.")
    ] = None,
    tax_unit_id: Annotated[str, typer.Option(help="Key of the tax units, also in the persons.")] = "tax_unit_id",
    tax_role_col: Annotated[
        str | None,
        typer.Option(help="Column of persons: who they are in the tax unit.", show_default="tax_role, if there"),
    ] = None,
    tax_roles: Annotated[
        str, typer.Option(help="What its codes mean, as --roles.", show_default="as the column names them")
    ] = "",
    tax_unit_vars: Annotated[str, typer.Option(help="Variables of tax units to generate.", show_default="all")] = "",
    kinds: Annotated[
        str, typer.Option(help="Kinds that would be guessed wrong: tenure=categorical,status=categorical.")
    ] = "",
    structure: Annotated[
        Literal["model", "donor"], typer.Option(help="donor: copy who lives together and their ages from the sample.")
    ] = "model",
    constraints: Annotated[
        Path | None, typer.Option(help="Rules to keep, in YAML.", show_default="those found to hold")
    ] = None,
    save_constraints: Annotated[Path | None, typer.Option(help="File for the rules, .yaml, to read and edit.")] = None,
    age_col: Annotated[str, typer.Option(help="Age of persons in years.")] = "age",
    seed: Annotated[int, typer.Option(min=0, help="Seed of fit and generation.")] = 0,
    save: Annotated[Path | None, typer.Option(help="Folder to save the model in.")] = None,
    report: Annotated[Path | None, typer.Option(help="Report of synthetic against real households, .html.")] = None,
    test: _Test = None,
    test_tax_units: Annotated[Path | None, typer.Option(help="Their tax units, where tax units are generated.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="by sample size")
    ] = None,
    orders: Annotated[
        int | None, typer.Option(min=0, help="Random orders of the targets to try.", show_default="by sample size")
    ] = None,
) -> None:
    """Learn whole households and generate new ones: who lives together, then what each is like.

    Writes persons.parquet and households.parquet, and tax_units.parquet where there are any. Rules that hold in the
    training households (sums, counts, values that others imply) are found, and kept by construction.
    """
    columns = Columns(
        household_id, person_id, role_col, roles, weight, split_names(household_vars), split_names(person_vars),
        split_names(ignore), split_names(conditions),
        TaxUnits(tax_unit_id, tax_role_col, tax_roles, split_names(tax_unit_vars)) if tax_units else None,
    )  # fmt: skip
    files = _Files(
        persons, households, out, households_from, constraints, save_constraints, save, report, test, tax_units,
        test_tax_units,
    )  # fmt: skip
    _check_units(files, any((tax_role_col, tax_roles, tax_unit_vars)))
    options = {"structure": structure, "age_col": age_col, "seed": seed, "epochs": epochs, "n_orders": orders}
    _check_files(files)
    _check_call(files, columns, n, structure, age_col)
    _run(files, columns, n, kinds, options)


def _run(files: _Files, columns: Columns, n: int | None, kinds: str, options: dict[str, Any]) -> None:
    start = time.perf_counter()

    from microplex.frames import read_table

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        with console(stderr=True).status("Reading") as status:
            tables = [read_table(path) for path in files.train]
            schema = schema_of(tables[0], columns)
            population = population_of(tables, columns, schema)
            _check_report(files.report, population, options["age_col"])
            unseen = None
            if files.test is not None:
                more = [files.test_tax_units] if files.test_tax_units else []
                unseen = population_of([read_table(path) for path in (*files.test, *more)], columns, schema)
            given = _given(population, columns, files.given)
            kinds_of = read_kinds(kinds, _variables(population))
            status.update("Looking for rules" if files.constraints is None else "Reading rules")
            rules = rules_of(files.constraints, population, options["age_col"])
            synthesizer = _synthesizer(population, columns, constraints=rules, kinds=kinds_of, **options)
        synthesizer.fit(population)
        _say_fit(synthesizer, population, time.perf_counter() - start)
        _keep(synthesizer, rules, files)
        size = population.size("household") if n is None else n
        synthetic = synthesizer.generate(size if given is None else given, seed=options["seed"])
        if files.report is not None:
            from microplex.cli.households_report import write_households

            with console(stderr=True).status("Judging"):
                write_households(
                    files.report, population, synthetic, unseen, rules, options["seed"], options["age_col"]
                )
        synthetic.save(files.out)
    lines = [*(str(found.message) for found in told), *unsure(rules)]
    for line in dict.fromkeys(lines):
        console(stderr=True).print(f"Warning: {line}", style="yellow", soft_wrap=True, markup=False)
    said = f"Wrote {synthetic.size('household'):,} households of {synthetic.size('person'):,} persons"
    said += f" in {synthetic.size('tax_unit'):,} tax units" if columns.tax_units else ""
    said += f" to {files.out}/"
    said += "" if files.report is None else f", and the report to {files.report}"
    console().print(f"{said}; {time.perf_counter() - start:.0f} s in all.", soft_wrap=True, markup=False)


def _keep(synthesizer: HierarchicalSynthesizer, rules: DetectedConstraints, files: _Files) -> None:
    """Save rules and model as soon as there is a fit, so that it is never lost."""
    if files.save_constraints is not None:
        rules.to_yaml(files.save_constraints)
        console().print(f"Wrote {len(rules)} rules to {files.save_constraints}.", soft_wrap=True, markup=False)
    if files.save is not None:
        synthesizer.save(files.save)
        console().print(f"Saved the model to {files.save}/.", soft_wrap=True, markup=False)


def _check_files(files: _Files) -> None:
    """Refuse what could not be written, and what would replace a file that is read."""
    from microplex.storage import check_target

    out = files.out.resolve()
    check_folder(files.out, "Population")
    if files.save is not None:
        check_folder(files.save, "HierarchicalSynthesizer", "--save")
        check_target(files.save, "HierarchicalSynthesizer")
        if files.save.resolve() == out:
            raise typer.BadParameter("the model needs a folder of its own.", param_hint="'--save'")
    for path in files.read:
        if out in path.resolve().parents:
            raise typer.BadParameter(f"{str(path)!r} is read from that folder; name another.", param_hint="'--out'")
    for written, option, suffixes in (
        (files.report, "--report", (".html", ".htm")),
        (files.save_constraints, "--save-constraints", (".yaml", ".yml")),
    ):
        if written is not None:
            check_output(written, suffixes, option)
            if written.resolve() in [path.resolve() for path in files.read]:
                raise typer.BadParameter(f"{str(written)!r} is read by this command.", param_hint=repr(option))


def _check_units(files: _Files, named: bool) -> None:
    """Refuse options of tax units without their table."""
    if files.tax_units is None and (named or files.test_tax_units):
        raise typer.BadParameter("the table of tax units is missing: add it.", param_hint="'--tax-units'")
    if files.tax_units is not None and (files.test is None) != (files.test_tax_units is None):
        raise typer.BadParameter("goes with --test where tax units are generated.", param_hint="'--test-tax-units'")


def _check_call(files: _Files, columns: Columns, n: int | None, structure: str, age_col: str) -> None:
    """Refuse options that do not go together."""
    if n is not None and (columns.conditions or files.given is not None):
        option = "--conditions" if columns.conditions else "--households-from"
        raise typer.BadParameter(
            f"a number goes with nothing given: leave out --households, or {option}.", param_hint="'--households'"
        )
    if structure == "donor" and (files.save is not None or columns.conditions):
        problem = "a model of donors holds training households and is not saved"
        problem, option = (problem, "--save") if files.save else ("copies whole households", "--conditions")
        raise typer.BadParameter(f"{problem}: leave out {option}, or use model.", param_hint="'--structure'")
    if files.test is not None and files.report is None:
        raise typer.BadParameter("is for the report: add --report.", param_hint="'--test'")
    if files.report is not None and age_col != "age":
        raise typer.BadParameter("a report needs the age in a column named age.", param_hint="'--report'")


def _check_report(report: Path | None, population: Population, age_col: str) -> None:
    """Refuse a report that could not be drawn."""
    if report is None:
        return
    from importlib.util import find_spec

    from microplex._validation import check_columns
    from microplex.errors import MicroplexError
    from microplex.frames import column_names

    if find_spec("matplotlib") is None or find_spec("sklearn") is None:
        raise MicroplexError("a report needs matplotlib and scikit-learn: pip install 'microplex[report]'.")
    if not population.schema.top.roles:
        raise typer.BadParameter("a report of households needs roles: add --role-col.", param_hint="'--report'")
    check_columns(column_names(population.table("person")), [age_col], "age")


def _synthesizer(population: Population, columns: Columns, **options: Any) -> HierarchicalSynthesizer:
    from microplex.hierarchy.synthesizer import HierarchicalSynthesizer

    top = population.schema.top
    known = [top.key, population.schema.weight_col, *columns.conditions]
    drawn = [name for name in population.columns()[top.table] if name not in known]
    homes = {"condition_vars": list(columns.conditions), "target_vars": drawn}
    levels: dict[str, dict[str, Any]] = {"household": homes, "person": {"parent_level": "household"}}
    levels |= {group.name: {"parent_level": "household"} for group in population.schema.groups[1:]}
    return HierarchicalSynthesizer(levels, schema=population.schema, **options)


def _given(population: Population, columns: Columns, path: Path | None) -> pd.DataFrame | None:
    """Return the households to complete; None where nothing is given."""
    from microplex._validation import check_columns
    from microplex.frames import column_names, n_rows, read_table

    weight = population.schema.weight_col
    if path is None:
        if not columns.conditions:
            return None
        frame: pd.DataFrame = population.households
        return frame[[*columns.conditions, *([weight] if weight else [])]]
    frame = read_table(path)
    check_columns(column_names(frame), columns.conditions, f"{path.name}: condition")
    if weight and weight not in frame:
        frame = frame.assign(**{weight: population.weights().sum() / n_rows(frame)})
    return frame


def _variables(population: Population) -> list[str]:
    from microplex.frames import column_names

    return [name for table in population.tables.values() for name in column_names(table)]


def _say_fit(synthesizer: HierarchicalSynthesizer, population: Population, seconds: float) -> None:
    found, screen = synthesizer.report_, console()
    known = population.schema.top.roles
    screen.print(
        f"Fitted {found.n_households:,} households of {found.n_members:,} persons in {seconds:.0f} s: "
        f"{found.n_compositions:,} compositions of "
        + (f"{', '.join(known)}." if known else "members without roles (no column relationship, no --role-col)."),
        soft_wrap=True,
        markup=False,
    )
    if found.structure == "donor":
        screen.print("Structure (compositions, ages, static household variables) is copied from training households.")
    if found.rules:
        screen.print(f"Kept by construction ({len(found.rules)}):")
    for text in found.rules[:SHOWN]:
        screen.print(f"  {text}", soft_wrap=True, markup=False)
    if len(found.rules) > SHOWN:
        screen.print(f"  and {len(found.rules) - SHOWN} more")
