"""Encoders and ensembles as JSON-able content and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microplex.constraints import Plan
from microplex.encoding.encoder import Codec, Encoder
from microplex.encoding.levels import LevelCodec
from microplex.encoding.numbers import NumberCodec
from microplex.encoding.shares import ShareCodec
from microplex.flow.cells import Cells
from microplex.flow.ensemble import Ensemble, Member
from microplex.flow.laws import BinLaw, Table
from microplex.flow.network import Network
from microplex.schema import Schema

Arrays = dict[str, NDArray[Any]]


def pack(encoder: Encoder, ensemble: Ensemble) -> tuple[dict[str, Any], Arrays]:
    """Content and arrays of a fitted model."""
    arrays: Arrays = {}
    codecs = []
    for i, (name, codec) in enumerate(encoder.codecs.items()):
        entry: dict[str, Any] = {"name": name}
        if isinstance(codec, NumberCodec):
            entry |= {"group_by": codec.group_by, "n_groups": codec.law.n_groups}
            entry["resolution"] = codec.cells.resolution
            if isinstance(codec, ShareCodec):
                entry["share_step"] = codec.step
            arrays |= {f"codec.{i}.{key}": a for key, a in _law_arrays(codec.law).items()}
        codecs.append(entry)
    for i, member in enumerate(ensemble.members):
        arrays |= {f"network.{i}.{key}": a for key, a in member.network.to_arrays().items()}
    content = {
        "schema": encoder.schema.to_dict(),
        "plan": encoder.plan.to_dict(),
        "codecs": codecs,
        "orders": [list(member.order) for member in ensemble.members],
    }
    return content, arrays


def unpack(content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[Encoder, Ensemble]:
    """Inverse of :func:`pack`."""
    schema = Schema.from_dict(content["schema"])
    codecs: dict[str, Codec] = {}
    for i, entry in enumerate(content["codecs"]):
        column = schema[entry["name"]]
        if not column.is_numeric:
            codecs[column.name] = LevelCodec(column)
            continue
        law = _law(arrays_under(arrays, f"codec.{i}."), entry["resolution"], entry["n_groups"])
        if "share_step" in entry:
            codecs[column.name] = ShareCodec(column, law, step=entry["share_step"])
        else:
            codecs[column.name] = NumberCodec(column, law, entry["group_by"])
    networks = [Network.from_arrays(arrays_under(arrays, f"network.{i}.")) for i in range(len(content["orders"]))]
    members = tuple(Member(tuple(o), net) for o, net in zip(content["orders"], networks, strict=True))
    for order, net in ((m.order, m.network) for m in members):
        if not len(net.tables) - net.n_conditions == len(net.heads) == len(net.head_biases) == len(order):
            raise ValueError(f"arrays of a network for {len(order)} targets are missing")
    return Encoder(schema, Plan.from_dict(content["plan"]), codecs), Ensemble(members)


def arrays_under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    """Return the arrays whose names begin so, under the rest of their names.

    Examples
    --------
    >>> arrays_under({"law.0.shape": np.ones(2), "law.10.shape": np.ones(3)}, "law.0.")
    {'shape': array([1., 1.])}
    """
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}


def _law_arrays(law: BinLaw) -> Arrays:
    cells = law.cells
    out: Arrays = {"atoms": cells.atoms, "starts": cells.starts, "ends": cells.ends, "order": cells.order}
    out |= {"tilt": law.tilt, "scale": law.scale, "shape": law.shape}
    for name, table in (("pooled", law.pooled), ("grouped", law.grouped)):
        out |= {f"{name}.offsets": table.offsets, f"{name}.values": table.values}
        out[f"{name}.cumulative"] = table.cumulative
    return {key: np.asarray(a) for key, a in out.items()}


def _law(a: Arrays, resolution: float, n_groups: int) -> BinLaw:
    cells = Cells(a["atoms"], a["starts"], a["ends"], a["order"], resolution)
    tables = [Table(a[f"{n}.offsets"], a[f"{n}.values"], a[f"{n}.cumulative"]) for n in ("pooled", "grouped")]
    return BinLaw(cells, a["tilt"], a["scale"], a["shape"], tables[0], tables[1], n_groups)
