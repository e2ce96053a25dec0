"""A population on disk: a folder with a parquet file for each table and a readable manifest."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from microplex._folders import replace_folder
from microplex.entities.schema import Entity, GroupEntity, Hierarchy
from microplex.errors import DataError, MicroplexError, ModelFormatError
from microplex.frames import Frame, column_names, frame_kind, n_rows, write_table

FORMAT, KIND, MANIFEST = 1, "Population", "manifest.json"


def save_tables(folder: str | os.PathLike[str], schema: Hierarchy, tables: Mapping[str, Frame]) -> None:
    """Write tables and manifest; `Population.save` says what can go wrong.

    Examples
    --------
    >>> import tempfile
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"),))
    >>> homes, people = pd.DataFrame({"household_id": [1]}), pd.DataFrame({"person_id": [1], "household_id": [1]})
    >>> with tempfile.TemporaryDirectory() as place:
    ...     save_tables(f"{place}/people", schema, {"households": homes, "persons": people})
    ...     sorted(os.listdir(f"{place}/people"))
    ['households.parquet', 'manifest.json', 'persons.parquet']
    """
    goal = Path(folder)
    if goal.exists() and not _is_ours(goal) and (not goal.is_dir() or any(goal.iterdir())):
        raise ModelFormatError(
            f"{goal} exists and is not a saved population alone; choose another path or move away what is there."
        )
    content = {"schema": schema_to_plain(schema), "tables": {name: _describe(name, t) for name, t in tables.items()}}
    text = _json({"format": FORMAT, "kind": KIND, "content": content})
    goal.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{goal.name}.", dir=goal.parent))
    try:
        for name, table in tables.items():
            _write(table, temporary / f"{name}.parquet", name)
        (temporary / MANIFEST).write_text(text, encoding="utf-8")
        temporary.chmod(0o755)
        replace_folder(goal, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_tables(folder: str | os.PathLike[str]) -> tuple[Hierarchy, dict[str, Frame]]:
    """Read schema and tables; `Population.load` says what can go wrong.

    Examples
    --------
    >>> load_tables("no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: there is no saved population at no/such/folder.
    """
    goal = Path(folder)
    if not goal.exists():
        raise FileNotFoundError(f"there is no saved population at {goal.as_posix()}.")
    try:
        manifest = json.loads((goal / MANIFEST).read_text(encoding="utf-8"))
        version, kind, content = manifest["format"], manifest["kind"], manifest["content"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{goal} is not a saved population: its {MANIFEST} is missing or damaged.") from error
    if kind != KIND:
        raise ModelFormatError(f"{goal} holds a {kind}, expected a {KIND}.")
    if not isinstance(version, int) or version > FORMAT:
        raise ModelFormatError(f"{goal} has format {version}, this version reads up to {FORMAT}. Upgrade microplex.")
    try:
        schema = schema_from_plain(content["schema"])
        about = {name: content["tables"][name] for name in schema.table_names}
    except (KeyError, TypeError, ValueError, AttributeError, MicroplexError) as error:
        raise ModelFormatError(f"{goal} is damaged: its {MANIFEST} describes no population ({error}).") from error
    return schema, {name: _read(goal / f"{name}.parquet", entry) for name, entry in about.items()}


def _is_ours(goal: Path) -> bool:
    """Whether a folder is a saved population and holds nothing else."""
    try:
        found = json.loads((goal / MANIFEST).read_text(encoding="utf-8"))
        known = {MANIFEST, *(f"{name}.parquet" for name in found["content"]["tables"])}
        return found["kind"] == KIND and {path.name for path in goal.iterdir()} <= known
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _json(content: Mapping[str, Any]) -> str:
    try:
        return json.dumps(content, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the manifest can hold text, numbers and booleans alone: {error}. Turn the codes of role_map into these."
        ) from error


def _describe(name: str, table: Frame) -> dict[str, Any]:
    """Return what parquet does not keep: the kind of the frame, its categories with those not in use."""
    kind = frame_kind(table)
    categories = {}
    for column in column_names(table):
        values = table[column]
        if kind == "pandas" and isinstance(values.dtype, pd.CategoricalDtype):
            levels, dtype, ordered = (
                values.cat.categories.tolist(),
                str(values.cat.categories.dtype),
                values.cat.ordered,
            )
        elif kind == "arrow" and pa.types.is_dictionary(values.type):
            levels = values.unify_dictionaries().chunk(0).dictionary.to_pylist() if values.num_chunks else []
            dtype, ordered = str(values.type.value_type), values.type.ordered
        else:
            continue
        wrong = [level for level in levels if not isinstance(level, (str, int, float, bool))]
        if wrong:
            raise DataError(
                f"{name}: the categories of {column!r} are {type(wrong[0]).__name__}, which a folder cannot hold. "
                "Turn them into text or numbers."
            )
        categories[column] = {"levels": levels, "dtype": dtype, "ordered": bool(ordered)}
        if kind == "arrow":
            categories[column]["index"] = str(values.type.index_type)
    return {"kind": kind, "rows": n_rows(table), "categories": categories}


def _write(table: Frame, file: Path, name: str) -> None:
    try:
        write_table(table, file)
    except (DataError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{name} cannot be written as parquet: {error}") from error


def _read(file: Path, about: Mapping[str, Any]) -> Frame:
    try:
        kind = about["kind"]
        if kind == "pandas":
            table: Frame = pd.read_parquet(file)
        elif kind == "arrow":
            table = pa.parquet.read_table(file)
        else:
            table = _read_polars(file)
        for name, entry in about["categories"].items():
            table = _restore(table, name, entry)
        if n_rows(table) != about["rows"]:
            raise ModelFormatError(
                f"{file} is damaged: it has {n_rows(table)} rows, the manifest says {about['rows']}."
            )
    except FileNotFoundError as error:
        raise ModelFormatError(f"{file.parent} is damaged: {file.name} is missing.") from error
    except (ModelFormatError, ImportError):
        raise
    except Exception as error:  # polars has errors of its own
        raise ModelFormatError(f"{file.parent} is damaged: {file.name} cannot be read ({error}).") from error
    return table


def _read_polars(file: Path) -> Frame:
    try:
        import polars
    except ImportError as error:
        raise ImportError(
            f"{file.parent} was saved from polars. Install it: pip install 'microplex[polars]'."
        ) from error
    return polars.read_parquet(file)


def _restore(table: Frame, name: str, entry: Mapping[str, Any]) -> Frame:
    """Give a column its categories back, those not in use too."""
    if isinstance(table, pd.DataFrame):
        dtype = pd.CategoricalDtype(pd.Index(entry["levels"], dtype=entry["dtype"]), entry["ordered"])
        values = table[name]
        return table if values.dtype == dtype else table.assign(**{name: values.astype(dtype)})
    levels = pa.array(entry["levels"], pa.type_for_alias(entry["dtype"]))
    found = pc.index_in(table[name].cast(levels.type), value_set=levels).combine_chunks()
    codes = found.cast(pa.type_for_alias(entry["index"]))
    column = pa.DictionaryArray.from_arrays(codes, levels, ordered=entry["ordered"])
    field = table.schema.field(name).with_type(column.type)
    return table.set_column(table.schema.get_field_index(name), field, column)


def schema_to_plain(schema: Hierarchy) -> dict[str, Any]:
    """Return a hierarchy as plain values, for a manifest; `schema_from_plain` reads them.

    Raises
    ------
    DataError
        If a code of a role map is neither text nor a number.

    Examples
    --------
    >>> schema = Hierarchy(Entity("person"), (GroupEntity("household"),))
    >>> schema_from_plain(schema_to_plain(schema)) == schema
    True
    """
    plain = asdict(schema)
    for group in plain["groups"]:
        if group["role_map"] is not None:
            odd = [code for code in group["role_map"] if not isinstance(code, (str, int, float, np.generic))]
            if odd:
                raise DataError(f"role_map of {group['name']}: code {odd[0]!r} must be text or a number to be saved.")
            group["role_map"] = [[np.asarray(code).tolist(), role] for code, role in group["role_map"].items()]
    return plain


def schema_from_plain(plain: Mapping[str, Any]) -> Hierarchy:
    """Return the hierarchy that `schema_to_plain` wrote."""
    groups = []
    for group in plain["groups"]:
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in group.items()
        }
        if fields["role_map"] is not None:
            fields["role_map"] = dict(fields["role_map"])
        groups.append(GroupEntity(**fields))
    return Hierarchy(Entity(**plain["member"]), tuple(groups), plain["weight_col"], tuple(plain["parents"]))
