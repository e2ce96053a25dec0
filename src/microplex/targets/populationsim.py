"""The control specification and control totals of PopulationSim, read as they are.

PopulationSim (Paul, Doyle, Stabler, Freedman and Bettinardi, 2018): ``configs/controls.csv`` has one row a control
(target, geography, seed_table, importance, control_field, expression); ``configs/settings.yaml`` says which file holds
the totals of which geography, and how columns are renamed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from microplex._validation import check_columns
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import read_table
from microplex.targets.forms import items
from microplex.targets.grammar import Column, columns_of, parse_value
from microplex.targets.target import ENTITIES, Target

_COLUMNS = ("target", "geography", "seed_table", "control_field", "expression")


@dataclass(frozen=True)
class _Folder:
    """Where the files are."""

    configs: Path
    data: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def controls(self) -> Path:
        return self.configs / str(self.settings.get("control_file_name", "controls.csv"))

    def table(self, name: str) -> pd.DataFrame:
        """Return an input table with its columns renamed as PopulationSim renames them."""
        entries = self.settings.get("input_table_list", [])
        known = {entry.get("tablename"): entry for entry in entries if isinstance(entry, dict)}
        if name not in known:
            names = [str(key) for key in known]
            raise DataError(
                f"{self.configs / 'settings.yaml'}: no table {name!r} in input_table_list.{near_miss(name, names)} "
                f"It has {', '.join(names) or 'none'}."
            )
        entry = known[name]
        frame = read_table(self.data / str(entry.get("filename", f"{name}.csv")).strip())
        renamed = {**(entry.get("column_map") or {}), **(entry.get("rename_columns") or {})}
        return frame.rename(columns=renamed)


def read_populationsim(
    path: str | os.PathLike[str], *, configs: str | None = None, data: str | None = None
) -> list[Target]:
    """Return the targets of a PopulationSim folder; see `TargetSet.from_populationsim`."""
    folder = _folder(Path(path), configs, data)
    controls = read_table(folder.controls)
    check_columns([str(name) for name in controls.columns], _COLUMNS, "controls.csv")
    tables: dict[str, pd.DataFrame] = {}
    targets = []
    for row, control in enumerate(controls.to_dict("records")):
        geography = str(control["geography"]).strip()
        if geography not in tables:
            tables[geography] = folder.table(f"{geography}_control_data")
        try:
            targets += _targets(control, geography, tables[geography])
        except (DataError, ParameterError) as error:
            name = control.get("target")
            raise type(error)(f"{folder.controls}, row {row} (target {name!r}): {error}") from error
    return targets


def _targets(control: dict[Any, Any], geography: str, table: pd.DataFrame) -> list[Target]:
    """Return one target for each zone of a control."""
    name, column = str(control["target"]).strip(), str(control["control_field"]).strip()
    check_columns([str(known) for known in table.columns], [geography, column], f"{geography} control table")
    entity = str(control["seed_table"]).strip()
    if entity not in ENTITIES:
        raise DataError(f"seed_table must be 'households' or 'persons'; got {entity!r}.")
    fields: dict[str, Any] = {"entity": entity, **_measure(str(control["expression"]).strip(), entity)}
    importance = control.get("importance")
    if importance is not None and importance == importance:
        fields["importance"] = float(importance)
    targets = []
    for row, (zone, total) in enumerate(zip(items(table, geography), items(table, column), strict=True)):
        if zone is None or total is None:
            missing = geography if zone is None else column
            raise DataError(f"the {geography} control table has no {missing} in row {row}.")
        targets.append(Target(total, by={geography: zone}, name=f"{name}, {geography}={zone}", **fields))
    return targets


def _measure(expression: str, entity: str) -> dict[str, Any]:
    """Return the filter or the variable of an expression; a comparison with a missing value is false, as in pandas."""
    parsed = parse_value(expression)
    for column in columns_of(parsed):
        if column.table is not None and column.table not in ENTITIES:
            raise ParameterError(
                f"expression {expression!r}: the tables are households and persons, not {column.table!r}."
            )
    if isinstance(parsed, Column):
        if parsed.table not in (None, entity):
            raise ParameterError(
                f"expression {expression!r}: a column of {parsed.table} cannot be summed over {entity}."
            )
        return {"variable": parsed.name}
    return {"where": f"missing_false({expression})"}


def _folder(path: Path, configs: str | None, data: str | None) -> _Folder:
    if path.is_file():
        inside = path.parent
        root = inside.parent if inside.name == (configs or "configs") else inside
        folder = _with_settings(inside, root, data)
        return _Folder(folder.configs, folder.data, folder.settings | {"control_file_name": path.name})
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {str(path)!r}.")
    inside = path / (configs or "configs")
    return _with_settings(inside if configs is not None or inside.is_dir() else path, path, data)


def _with_settings(configs: Path, root: Path, data: str | None) -> _Folder:
    file = configs / "settings.yaml"
    if not file.is_file():
        raise FileNotFoundError(f"no file {str(file)!r}: it says which tables hold the control totals.")
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise DataError(f"{file} must hold settings such as input_table_list; it holds {type(settings).__name__}.")
    inside = root / (data or str(settings.get("data_dir", "data")))
    return _Folder(configs, inside if data is not None or inside.is_dir() else root, settings)
