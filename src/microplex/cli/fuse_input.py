"""What ``microplex fuse`` reads, and what can be refused before anything is learnt."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from microplex.errors import ColumnNotFoundError, MicroplexError, ParameterError
from microplex.frames import check_frame, column_names, n_rows, read_table

if TYPE_CHECKING:
    from microplex.cli.fuse_plan import FusePlan
    from microplex.fusion import Harmonisation, MultiSourceFusion

WEIGHT = "weight"  # what a harmonisation calls the weights


@dataclass(frozen=True, eq=False)
class FuseInput:
    """The tables of a plan.

    Parameters
    ----------
    sources : dict of str to data frame
        The sources, and the other tables that a harmonisation reads.
    harmonisation : Harmonisation, optional
    recipient : data frame, optional
        In the names and codes of the variables.
    id_col : str, optional
        Its column of keys.
    holdouts : dict of str to data frame
        In the names and codes of the variables.
    holdout_weights : dict of str to str
        The weight column of each holdout that has one.
    """

    sources: Mapping[str, Any]
    harmonisation: Harmonisation | None
    recipient: Any
    id_col: str | None
    holdouts: Mapping[str, Any]
    holdout_weights: Mapping[str, str]

    @property
    def is_harmonised(self) -> bool:
        """Whether there is a harmonisation."""
        return self.harmonisation is not None


def read_input(asked: FusePlan) -> FuseInput:
    """Read all tables of a plan, and bring recipient and holdouts into the variables.

    Raises
    ------
    MicroplexError, OSError
        If a table or the harmonisation cannot be used.
    """
    from microplex.fusion import Harmonisation

    made: Any = asked.harmonisation
    if isinstance(made, str):
        plan: Harmonisation | None = Harmonisation.from_yaml(asked.folder / made)
    else:
        plan = None if made is None else Harmonisation.from_dict(made)
    if plan is not None and plan.weights and asked.weight_col:
        source = next(iter(asked.weight_col))
        raise ParameterError(
            f"the harmonisation names the weights: leave out weight: {asked.weight_col[source]} of source {source!r}, "
            "or the weights of the harmonisation."
        )
    if asked.holdouts and find_spec("sklearn") is None:
        raise MicroplexError("holdouts need scikit-learn: pip install 'microplex[report]', or leave them out.")
    tables = {name: read_table(asked.folder / file) for name, file in asked.tables.items()}
    sources = {name: read_table(asked.folder / entry["file"]) for name, entry in asked.sources.items()} | tables
    holdouts = {name: read_table(asked.folder / file) for name, file in asked.holdouts.items()}
    weights = dict(asked.weight_col or {})
    if plan is not None:
        holdouts = {name: plan.apply_to(table, name, tables=tables) for name, table in holdouts.items()}
        weights |= dict.fromkeys(plan.weights, WEIGHT)
    weights = {
        name: column for name, column in weights.items() if name in holdouts and column in column_names(holdouts[name])
    }
    recipient, given = None, asked.recipient
    if isinstance(given, Mapping):
        recipient = read_table(asked.folder / given["file"])
        if plan is not None and given.get("source") is not None:
            recipient = _in_variables(plan, recipient, given["source"], tables, given.get("id"))
        return FuseInput(sources, plan, recipient, given.get("id"), holdouts, weights)
    return FuseInput(sources, plan, None, None, holdouts, weights)


def _in_variables(plan: Harmonisation, frame: Any, source: str, tables: Mapping[str, Any], id_col: str | None) -> Any:
    """Harmonise a recipient, and keep its columns that no variable is read from, such as ids."""
    check_frame(frame)
    if id_col is not None and id_col not in column_names(frame):
        raise ColumnNotFoundError(f"recipient: there is no column {id_col!r} for id. It has: {', '.join(frame)}.")
    found = plan.apply_to(frame, source, tables=tables, partial=True)
    if plan.entity is not None and plan.entities.get(source) != plan.entity:
        if id_col is not None:
            raise ParameterError(
                f"recipient: a row of source {source!r} is a {plan.entities.get(source)} and one of the fusion a "
                f"{plan.entity}, so that {id_col!r} is no id of the rows. Leave id out."
            )
        return found
    read = {
        column
        for by_source in (*plan.variables.values(), plan.weights)
        if source in by_source and by_source[source].table in (None, source)
        for column in by_source[source].columns
    }
    others = [name for name in column_names(frame) if name not in read or name == id_col]
    names = {*plan.variables, *plan.derivations, *column_names(found)}
    kept = [name for name in others if name not in names]
    taken = [name for name in others if name in names and not (name == id_col and name in column_names(found))]
    if taken:
        warnings.warn(
            f"columns of the recipient are left out, for variables have their names: {', '.join(taken)}. Rename them.",
            UserWarning,
            stacklevel=2,
        )
    return pd.concat([found, frame[kept].set_axis(found.index)], axis=1)


def check_input(model: MultiSourceFusion, asked: FusePlan, given: FuseInput) -> None:
    """Refuse what only the tables can tell: roles, associations, a recipient that nothing can be drawn for.

    Parameters
    ----------
    model : MultiSourceFusion
        Not fitted.
    asked : FusePlan
    given : FuseInput

    Raises
    ------
    MicroplexError
        As `MultiSourceFusion.fit` and `complete`, before anything is learnt.
    """
    from microplex.encoding import intake as rows_intake
    from microplex.fusion.coupling import read_association
    from microplex.fusion.intake import check_options, harmonised_frames, read_recipient, read_training

    check_options(model)
    frames, weight_of = harmonised_frames(given.sources, given.harmonisation, asked.weight_col)
    data, blocks = read_training(model, frames, weight_of)
    if asked.association is not None:
        read_association(asked.pairs, [block.targets for block in blocks], [set(block.apart) for block in blocks])
    for source, table in given.holdouts.items():
        if not set(column_names(table)) & set(data.schema.names):
            raise MicroplexError(
                f"holdout {source!r} has none of the variables of the fusion ({', '.join(data.schema.names)})."
            )
    if given.recipient is not None:
        read_recipient(given.recipient, data.schema)
        rows_intake.keys_of(given.recipient, n_rows(given.recipient), given.id_col, 0)


def check_writable(path: Path, option: str = "--out") -> None:
    """Refuse a folder that nothing can be written to, by writing.

    Raises
    ------
    PermissionError
    """
    place = path if path.is_dir() else path.absolute().parent
    try:
        with tempfile.TemporaryDirectory(dir=place):
            pass
    except OSError as error:
        raise PermissionError(f"{option} {str(path)!r} cannot be written: {error.strerror}. Name another.") from error
