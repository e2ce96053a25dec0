"""``microplex fuse``: several surveys, one file with all variables."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microplex.cli.console import check_folder, console

if TYPE_CHECKING:
    from microplex.cli.fuse_plan import FusePlan
    from microplex.fusion import Completed, Harmonisation, MultiSourceFusion
    from microplex.metrics.fusion import FusionEvaluation

KIND = "fusion"
FILES = {
    "fused": "fused.parquet",
    "report": "report.html",
    "coverage": "coverage.csv",
    "provenance": "provenance.csv",
    "evaluation": "evaluation.csv",
    "about": "fusion.txt",
}


def fuse(
    plan: Annotated[Path, typer.Argument(help="What to fuse, in YAML; see the documentation.", metavar="PLAN")],
    out: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    save: Annotated[Path | None, typer.Option(help="Folder to save the model in.")] = None,
) -> None:
    """Learn from several surveys, and complete a file or generate rows with all their variables.

    Writes fused.parquet, fusion.txt (what was learnt and what is assumed), coverage.csv, provenance.csv, report.html,
    and evaluation.csv where the plan names holdouts.
    """
    start = time.perf_counter()

    from microplex.cli.fuse_plan import FusePlan

    asked = FusePlan.read(plan)
    check_folder(out, KIND)
    if save is not None:
        check_folder(save, "MultiSourceFusion", "--save")
        if out.resolve() == save.resolve() or out.resolve() in save.resolve().parents:
            raise typer.BadParameter("the model needs a folder of its own, outside --out.", param_hint="'--save'")
    for path in asked.files:
        if out.resolve() in path.resolve().parents:
            raise typer.BadParameter(f"{str(path)!r} is read from that folder; name another.", param_hint="'--out'")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        model, plan_of = _fitted(asked)
        if save is not None:
            model.save(save)
        done = _filled(model, asked, plan_of)
        judged = _judged(asked, done.frame, plan_of)
        _write(out, model, done, judged)
    screen = console()
    screen.print(str(model.report_), soft_wrap=True, markup=False)
    if judged is not None:
        screen.print(str(judged), soft_wrap=True, markup=False)
    for line in dict.fromkeys(str(found.message) for found in told):
        console(stderr=True).print(f"Warning: {line}", style="yellow", soft_wrap=True, markup=False)
    said = f"Wrote {len(done.frame):,} rows with {len(model.schema_)} variables to {out}/"
    screen.print(f"{said}; {time.perf_counter() - start:.0f} s in all.", soft_wrap=True, markup=False)


def _fitted(asked: FusePlan) -> tuple[MultiSourceFusion, Harmonisation | None]:
    from microplex.frames import read_table
    from microplex.fusion import Harmonisation, MultiSourceFusion

    made: Any = asked.harmonisation
    if isinstance(made, str):
        plan: Harmonisation | None = Harmonisation.from_yaml(asked.folder / made)
    else:
        plan = None if made is None else Harmonisation.from_dict(made)
    names = {name: entry["file"] for name, entry in asked.sources.items()} | dict(asked.tables)
    with console(stderr=True).status("Reading"):
        tables = {name: read_table(asked.folder / file) for name, file in names.items()}
    model = MultiSourceFusion(
        asked.conditions, asked.targets, authority=dict(asked.authority) or None, harmonisation=plan,
        constraints=list(asked.constraints) or None, kinds=dict(asked.kinds) or None, accepted=list(asked.accepted),
        epochs=asked.epochs, seed=asked.seed,
    )  # fmt: skip
    return model.fit(tables, asked.weight_col), plan


def _filled(model: MultiSourceFusion, asked: FusePlan, plan: Harmonisation | None) -> Completed:
    from microplex.frames import read_table

    if asked.n is not None:
        return model.generate_with_provenance(asked.n, association=asked.pairs, seed=asked.seed)
    recipient: Any = asked.recipient
    frame = read_table(asked.folder / recipient["file"])
    source = recipient.get("source")
    if plan is not None and source is not None:
        tables = {name: read_table(asked.folder / file) for name, file in asked.tables.items()}
        frame = plan.apply_to(frame, source, tables=tables, partial=True)
    return model.complete_with_provenance(
        frame,
        source=source,
        association=asked.pairs,
        seed=asked.seed,
        id_col=recipient.get("id"),
        harmonised=plan is not None and source is not None,
    )


def _judged(asked: FusePlan, frame: Any, plan: Harmonisation | None) -> FusionEvaluation | None:
    if not asked.holdouts:
        return None
    from microplex.frames import column_names, read_table
    from microplex.metrics.fusion import evaluate_fusion

    tables = {name: read_table(asked.folder / file) for name, file in asked.holdouts.items()}
    weights = dict(asked.weight_col or {})
    if plan is not None:
        others = {name: read_table(asked.folder / file) for name, file in asked.tables.items()}
        tables = {name: plan.apply_to(table, name, tables=others) for name, table in tables.items()}
        weights |= dict.fromkeys(plan.weights, "weight")
    weights = {
        name: column for name, column in weights.items() if name in tables and column in column_names(tables[name])
    }
    with console(stderr=True).status("Judging"):
        return evaluate_fusion(frame, tables, weights or None, seed=asked.seed)


def _write(out: Path, model: MultiSourceFusion, done: Completed, judged: FusionEvaluation | None) -> None:
    import json

    from microplex.cli.fuse_report import page
    from microplex.frames import write_table

    out.mkdir(exist_ok=True)
    for name in FILES.values():
        (out / name).unlink(missing_ok=True)
    write_table(done.frame, out / FILES["fused"])
    summary = done.provenance.summary()
    model.coverage_.to_frame().to_csv(out / FILES["coverage"])
    summary.to_frame().to_csv(out / FILES["provenance"], index=False)
    if judged is not None:
        judged.to_frame().to_csv(out / FILES["evaluation"], index=False)
    parts = [str(model.coverage_), str(model.report_), str(summary), *([str(judged)] if judged is not None else [])]
    (out / FILES["about"]).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (out / FILES["report"]).write_text(page(model, summary, judged), encoding="utf-8")
    written = [name for name in FILES.values() if (out / name).is_file()]
    (out / "manifest.json").write_text(json.dumps({"kind": KIND, "files": written}, indent=1), encoding="utf-8")
