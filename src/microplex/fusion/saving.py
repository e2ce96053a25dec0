"""Fitted fusions as JSON-able content and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from microplex.encoding import FitReport, arrays_under, pack, unpack
from microplex.fusion.blocks import Block, assumptions_of
from microplex.fusion.coverage import Coverage
from microplex.fusion.harmonise import Harmonisation
from microplex.fusion.learning import Law
from microplex.fusion.report import BlockReport, FusionReport
from microplex.schema import Schema

if TYPE_CHECKING:
    from microplex.fusion.fusion import MultiSourceFusion

Arrays = dict[str, NDArray[Any]]
FusionT = TypeVar("FusionT", bound="MultiSourceFusion")


def pack_laws(fusion: MultiSourceFusion) -> tuple[dict[str, Any], Arrays]:
    """Return content and arrays of a fitted fusion.

    Constraints are kept as the laws hold them; the harmonisation as YAML, whose keys may be numbers.
    """
    arrays: Arrays = {}
    laws = []
    for place, law in enumerate(fusion.laws_):
        content, own = pack(law.encoder, law.ensemble)
        arrays |= {f"law.{place}.{name}": a for name, a in own.items()}
        report = asdict(law.report)
        laws.append(
            {
                "block": asdict(law.block), "inputs": list(law.inputs), "marks": dict(law.marks), "report": report,
                "n_linked": fusion.report_.blocks[place].n_linked, "model": content,
            }
        )  # fmt: skip
    plan = fusion.harmonisation
    table = fusion.coverage_
    arrays |= {f"coverage.{key}": np.asarray(getattr(table, key)) for key in ("observed", "structural", "together")}
    return {
        "parameters": fusion._parameters("harmonisation", "constraints", "schema"),
        "harmonisation": None if plan is None else plan.to_yaml(),
        "schema": fusion.schema_.to_dict(),
        "sources": list(fusion.sources_),
        "frame_kind": fusion.frame_kind_,
        "effective_rows": fusion.report_.effective_rows,
        "ranges": {name: list(found) for name, found in fusion.ranges_.items()},
        "coverage": {"variables": table.variables, "sources": table.sources, "rows": table.rows},
        "laws": laws,
    }, arrays


def unpack_fusion(cls: type[FusionT], content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FusionT:
    """Inverse of :func:`pack_laws`."""
    written = content["harmonisation"]
    plan = None if written is None else Harmonisation.from_yaml(written)
    fusion = cls(**content["parameters"], harmonisation=plan)
    laws = [_law(entry, arrays_under(arrays, f"law.{i}.")) for i, entry in enumerate(content["laws"])]
    fusion.laws_, fusion.blocks_ = tuple(laws), tuple(law.block for law in laws)
    fusion.schema_ = Schema.from_dict(content["schema"])
    fusion.sources_, fusion.frame_kind_ = tuple(content["sources"]), content["frame_kind"]
    fusion.ranges_ = {name: (low, high, n) for name, (low, high, n) in content.get("ranges", {}).items()}
    fusion.assumptions_ = assumptions_of(fusion.blocks_)
    lists: dict[str, Any] = {name: tuple(found) for name, found in content["coverage"].items()}
    tables: dict[str, Any] = arrays_under(arrays, "coverage.")
    fusion.coverage_ = Coverage(**lists, **tables)
    reports = [
        BlockReport(b.targets, b.sources, b.known, b.linked, entry["n_linked"], law.report)
        for law, entry in zip(laws, content["laws"], strict=True)
        for b in [law.block]
    ]
    fusion.report_ = FusionReport(tuple(reports), fusion.assumptions_, dict(content["effective_rows"]))
    return fusion


def _law(entry: Mapping[str, Any], arrays: Arrays) -> Law:
    encoder, ensemble = unpack(entry["model"], arrays)
    report = FitReport.from_dict(entry["report"])
    block = Block(**{name: tuple(x) for name, x in entry["block"].items()})
    return Law(block, tuple(entry["inputs"]), encoder, ensemble, report, dict(entry["marks"]))
