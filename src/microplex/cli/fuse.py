"""``microplex fuse``: several surveys, one file with all variables."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from microplex.cli.console import check_folder, console

if TYPE_CHECKING:
    from microplex.cli.fuse_input import FuseInput
    from microplex.cli.fuse_plan import FusePlan
    from microplex.fusion import Completed, MultiSourceFusion
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

    from microplex.cli.fuse_input import check_input, check_writable, read_input
    from microplex.cli.fuse_plan import FusePlan
    from microplex.storage import check_target

    asked = FusePlan.read(plan)
    for folder, kind, option in ((out, KIND, "--out"), (save, "MultiSourceFusion", "--save")):
        if folder is not None:
            check_folder(folder, kind, option)
            check_writable(folder, option)
    if save is not None:
        check_target(save, "MultiSourceFusion")
    if save is not None and (out.resolve() == save.resolve() or out.resolve() in save.resolve().parents):
        raise typer.BadParameter("the model needs a folder of its own, outside --out.", param_hint="'--save'")
    for path in asked.files:
        if out.resolve() in path.resolve().parents:
            raise typer.BadParameter(f"{str(path)!r} is read from that folder; name another.", param_hint="'--out'")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        with console(stderr=True).status("Reading"):
            given = read_input(asked)
            model = _model(asked, given)
            check_input(model, asked, given)
        model.fit(given.sources, asked.weight_col)
        if save is not None:
            model.save(save)
        done = _filled(model, asked, given)
        judged = _judged(asked, done.frame, given)
        learnt = model.report_.describe(asked.pairs) + f"\nseed: {asked.seed}"
        _write(out, model, asked, done, judged, learnt)
    screen = console()
    screen.print(learnt, soft_wrap=True, markup=False)
    if judged is not None:
        screen.print(str(judged), soft_wrap=True, markup=False)
    for line in dict.fromkeys(str(found.message) for found in told):
        console(stderr=True).print(f"Warning: {line}", style="yellow", soft_wrap=True, markup=False)
    said = f"Wrote {len(done.frame):,} rows with {len(model.schema_)} variables to {out}/"
    screen.print(f"{said}; {time.perf_counter() - start:.0f} s in all.", soft_wrap=True, markup=False)


def _model(asked: FusePlan, given: FuseInput) -> MultiSourceFusion:
    from microplex.fusion import MultiSourceFusion

    return MultiSourceFusion(
        asked.conditions, asked.targets, authority=dict(asked.authority) or None, harmonisation=given.harmonisation,
        constraints=list(asked.constraints) or None, kinds=dict(asked.kinds) or None, accepted=list(asked.accepted),
        epochs=asked.epochs, seed=asked.seed,
    )  # fmt: skip


def _filled(model: MultiSourceFusion, asked: FusePlan, given: FuseInput) -> Completed:
    if asked.n is not None:
        return model.generate_with_provenance(asked.n, association=asked.pairs, seed=asked.seed)
    recipient: Any = asked.recipient
    source = recipient.get("source")
    return model.complete_with_provenance(
        given.recipient,
        source=source,
        association=asked.pairs,
        seed=asked.seed,
        id_col=given.id_col,
        harmonised=given.is_harmonised and source is not None,
    )


def _judged(asked: FusePlan, frame: Any, given: FuseInput) -> FusionEvaluation | None:
    if not given.holdouts:
        return None
    from microplex.metrics.fusion import evaluate_fusion

    with console(stderr=True).status("Judging"):
        return evaluate_fusion(frame, given.holdouts, given.holdout_weights or None, seed=asked.seed)


def _write(
    out: Path,
    model: MultiSourceFusion,
    asked: FusePlan,
    done: Completed,
    judged: FusionEvaluation | None,
    learnt: str,
) -> None:
    import json

    from microplex.cli.fuse_report import page
    from microplex.frames import write_table

    with console(stderr=True).status("Writing"):
        text = page(model, asked, done, judged)
    out.mkdir(exist_ok=True)
    for name in FILES.values():
        (out / name).unlink(missing_ok=True)
    write_table(done.frame, out / FILES["fused"])
    summary = done.provenance.summary()
    model.coverage_.to_frame().to_csv(out / FILES["coverage"], index=False)
    summary.to_frame().to_csv(out / FILES["provenance"], index=False)
    if judged is not None:
        judged.to_frame().to_csv(out / FILES["evaluation"], index=False)
    parts = [str(model.coverage_), learnt, str(summary), *([str(judged)] if judged is not None else [])]
    (out / FILES["about"]).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    (out / FILES["report"]).write_text(text, encoding="utf-8")
    written = [name for name in FILES.values() if (out / name).is_file()]
    (out / "manifest.json").write_text(json.dumps({"kind": KIND, "files": written}, indent=1), encoding="utf-8")
