"""What a method is given, as files that any environment reads: Parquet tables of numbers, and a JSON of the levels."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

TABLES = ("train", "test")
WARM_ROWS = 400


@dataclass(frozen=True)
class Task:
    """Rows to learn from, and the test rows, of which a generator may only use the conditions."""

    conditions: list[str]
    targets: list[str]
    train: pd.DataFrame
    test: pd.DataFrame
    constraints: list[str] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        return self.conditions + self.targets

    @property
    def asked(self) -> pd.DataFrame:
        """The conditions to generate for."""
        return self.test[self.conditions]

    def is_level(self, name: str) -> bool:
        return isinstance(self.train[name].dtype, pd.CategoricalDtype)

    @property
    def numeric(self) -> list[str]:
        return [name for name in self.targets if not self.is_level(name)]

    def small(self) -> "Task":
        """The first rows, to warm up on."""
        return Task(
            self.conditions, self.targets, self.train[:WARM_ROWS], self.test[:WARM_ROWS].copy(), self.constraints
        )

    def as_trained(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns of the task in the types of the training rows; numbers rounded where those are whole."""
        out = {}
        for name in self.columns:
            dtype, column = self.train[name].dtype, frame[name]
            if isinstance(dtype, np.dtype) and dtype.kind in "iu":
                column = column.astype(float).round()
            out[name] = column.astype(dtype).array
        return pd.DataFrame(out)

    def save(self, folder: Path) -> None:
        head = {"conditions": self.conditions, "targets": self.targets, "constraints": self.constraints, "levels": {}}
        for name in filter(self.is_level, self.columns):
            values = self.train[name].cat
            head["levels"][name] = {"categories": values.categories.tolist(), "ordered": bool(values.ordered)}
        (folder / "task.json").write_text(json.dumps(head), encoding="utf-8")
        for table in TABLES:
            coded(getattr(self, table)[self.columns]).to_parquet(folder / f"{table}.parquet")

    @classmethod
    def load(cls, folder: Path) -> "Task":
        head = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        types = {name: pd.CategoricalDtype(**found) for name, found in head.pop("levels").items()}
        tables = {table: decoded(pd.read_parquet(folder / f"{table}.parquet"), types) for table in TABLES}
        return cls(**head, **tables)

    def read(self, path: Path) -> pd.DataFrame:
        """A table that `coded` wrote, in the types of the training rows."""
        types = {name: self.train[name].dtype for name in filter(self.is_level, self.columns)}
        return self.as_trained(decoded(pd.read_parquet(path), types))


def coded(frame: pd.DataFrame) -> pd.DataFrame:
    """Levels as their places: releases of pandas differ in how they write levels."""
    levels = [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.assign(**{name: frame[name].cat.codes.to_numpy() for name in levels})


def decoded(frame: pd.DataFrame, types: dict[str, pd.CategoricalDtype]) -> pd.DataFrame:
    return frame.assign(
        **{
            name: pd.Categorical.from_codes(frame[name].to_numpy(), dtype=t)
            for name, t in types.items()
            if name in frame
        }
    )
