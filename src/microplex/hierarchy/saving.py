"""The law of households as JSON-able content and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import parse
from microplex.encoding import FitReport, arrays_under
from microplex.entities.folder import schema_from_plain, schema_to_plain
from microplex.hierarchy.composition import Compositions
from microplex.hierarchy.detect_rules import from_entry, to_entry
from microplex.hierarchy.gaps import SeenAges
from microplex.hierarchy.intake import Form
from microplex.hierarchy.law import HouseholdLaw, HouseholdReport
from microplex.hierarchy.scene import Labels
from microplex.hierarchy.splitting import Split
from microplex.hierarchy.stage import Stage
from microplex.hierarchy.variables import Variables
from microplex.schema import Column
from microplex.synthesizer import Synthesizer

Arrays = dict[str, NDArray[Any]]
RULED, TEXTS = ("derived", "gaps", "numbers"), ("texts", "home_texts", "age_texts")
SINGLE = ("by_given", "home", "attributes", "outcomes")


def pack_law(law: HouseholdLaw, form: Form, report: HouseholdReport) -> tuple[dict[str, Any], Arrays]:
    """Content and arrays of a fitted law."""
    table = law.compositions
    arrays: Arrays = {
        "counts": table.counts, "shares": table.shares, "repeatable": table.repeatable, "ages": law.ages,
    }  # fmt: skip
    if law.seen is not None:
        arrays |= {"youngest": law.seen.youngest, "seen_gaps": law.seen.gaps}
    stages: dict[str, Any] = {}
    fitted = {name: getattr(law, name) for name in SINGLE} | {f"gap:{name}": s for name, s in law.gaps.items()}
    for place, (name, stage) in enumerate(fitted.items()):
        if stage is None:
            continue
        content, inner = stage.model._pack()
        stages[name] = {"place": place, "name": stage.name, "content": content}
        arrays |= {f"stage.{place}.{key}": a for key, a in inner.items()}
    content = {
        "labels": asdict(law.labels),
        "variables": _plain_variables(law.variables),
        "home_columns": [c.to_dict() for c in law.home_columns.values()],
        "member_columns": [c.to_dict() for c in law.member_columns.values()],
        "change": table.change,
        "limits": [[list(roles), low, None if high == np.inf else high] for roles, low, high in table.limits],
        "couple": list(law.couple),
        "stages": stages,
        "form": {**{k: v for k, v in vars(form).items() if k not in ("schema", "codes", "columns")}},
        "columns": {name: list(columns) for name, columns in form.columns.items()},
        "codes": [[role, code] for role, code in form.codes.items()],
        "schema": schema_to_plain(form.schema),
        "report": {**asdict(report), "stages": {name: asdict(r) for name, r in report.stages.items()}},
    }
    return content, arrays


def unpack_law(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[HouseholdLaw, Form, Any]:
    """Inverse of `pack_law`: law, form and report."""
    stages = {name: _stage(entry, arrays) for name, entry in content["stages"].items()}
    told = content["labels"]
    labels = Labels(told["top"], tuple(told["roles"]), told["role_col"], told["age"])
    law = HouseholdLaw(
        labels, _read_variables(content["variables"]),
        {c["name"]: Column.from_dict(c) for c in content["home_columns"]},
        {c["name"]: Column.from_dict(c) for c in content["member_columns"]},
        Compositions(
            arrays["counts"], arrays["shares"], content["change"], arrays["repeatable"],
            tuple((tuple(r), low, np.inf if high is None else high) for r, low, high in content["limits"]),
        ),
        tuple(content["couple"]), np.asarray(arrays["ages"]),
        SeenAges(arrays["youngest"], arrays["seen_gaps"]) if "youngest" in arrays else None,
        stages.get("by_given"), stages.get("home"), stages.get("attributes"), stages.get("outcomes"),
        gaps={name.removeprefix("gap:"): s for name, s in stages.items() if name.startswith("gap:")},
    )  # fmt: skip
    form = Form(
        schema=schema_from_plain(content["schema"]), columns=content["columns"],
        codes={role: code for role, code in content["codes"]}, **content["form"],
    )  # fmt: skip
    told = content["report"]
    reports = {name: FitReport.from_dict(r) for name, r in told["stages"].items()}
    return law, form, HouseholdReport(**{**_tuples(told), "stages": reports})


def _stage(entry: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Stage:
    own = arrays_under(arrays, f"stage.{entry['place']}.")
    return Stage(entry["name"], Synthesizer._unpack(entry["content"], own))


def _plain_variables(variables: Variables) -> dict[str, Any]:
    plain = {k: v for k, v in vars(variables).items() if k not in (*RULED, *TEXTS, "splits")}
    plain |= {name: [to_entry(rule) for rule in getattr(variables, name)] for name in RULED}
    plain |= {name: [str(constraint) for constraint in getattr(variables, name)] for name in TEXTS}
    return plain | {"splits": [asdict(split) for split in variables.splits]}


def _read_variables(plain: Mapping[str, Any]) -> Variables:
    special = (*RULED, *TEXTS, "remainders", "counted", "splits")
    fields = _tuples({k: v for k, v in plain.items() if k not in special})
    fields |= {name: tuple(from_entry(entry) for entry in plain[name]) for name in RULED}
    fields |= {name: parse(list(plain[name])) for name in TEXTS}
    fields |= {name: _tuples(plain[name]) for name in ("remainders", "counted")}
    return Variables(**fields, splits=tuple(Split(**_tuples(entry)) for entry in plain["splits"]))


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as tuples, also within lists."""
    return {k: _tuple(v) for k, v in plain.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(v) for v in value) if isinstance(value, list) else value
