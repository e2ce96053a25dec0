"""A fitted model as JSON-able content and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from microplex.encoding import pack, unpack
from microplex.flow.ensemble import Ensemble
from microplex.imputation.intake import Form
from microplex.imputation.model import Model
from microplex.imputation.structure import Rules
from microplex.schema import Schema


def pack_model(model: Model) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Content and arrays of a model."""
    form = model.form
    content: dict[str, Any] = {
        "columns": model.schema.to_dict(),
        "targets": list(form.targets),
        "conditions": list(form.conditions),
        "rules": {"texts": dict(form.rules.texts), "codes": {k: list(v) for k, v in form.rules.codes.items()}},
        "model": None,
    }
    arrays: dict[str, NDArray[Any]] = {}
    if model.encoder is not None:
        content["model"], arrays = pack(model.encoder, Ensemble(model.members))
    return content, arrays


def unpack_model(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Model:
    """Inverse of :func:`pack_model`."""
    rules = Rules(content["rules"]["texts"], {k: tuple(v) for k, v in content["rules"]["codes"].items()})
    form = Form(tuple(content["targets"]), tuple(content["conditions"]), rules)
    schema = Schema.from_dict(content["columns"])
    if content["model"] is None:
        return Model(form, schema, None)
    encoder, ensemble = unpack(content["model"], arrays)
    return Model(form, schema, encoder, ensemble.members)
