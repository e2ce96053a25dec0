"""What ``microplex fuse`` is asked for, read from YAML and checked before any table is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from microplex.errors import ParameterError, near_miss

SOURCE_FIELDS = ("file", "weight")
RECIPIENT_FIELDS = ("file", "source", "id")


@dataclass(frozen=True)
class FusePlan:
    """A fusion as its file describes it; paths are relative to that file.

    Parameters
    ----------
    sources : dict of str to mapping or str
        ``{file: ..., weight: ...}``, or the file, of each source.
    tables : dict of str to str
        Files of other tables that the harmonisation names.
    harmonisation : mapping or str, optional
        As `Harmonisation` reads it, or a file of it.
    conditions, targets : list of str, optional
    authority, kinds : dict of str to str
    constraints, accepted : list of str
    recipient : mapping or str, optional
        ``{file: ..., source: ..., id: ...}``, or the file, to be completed.
    n : int, optional
        Rows to generate where there is no recipient.
    association : float or list of [x, y, value], optional
    holdouts : dict of str to str
        Files of rows of sources that were kept apart, coded as these are.
    epochs : int, optional
    seed : int
    """

    sources: Mapping[str, Any]
    tables: Mapping[str, str] = field(default_factory=dict)
    harmonisation: Mapping[str, Any] | str | None = None
    conditions: list[str] | None = None
    targets: list[str] | None = None
    authority: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    constraints: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    recipient: Mapping[str, Any] | str | None = None
    n: int | None = None
    association: float | list[Any] | None = None
    holdouts: Mapping[str, str] = field(default_factory=dict)
    epochs: int | None = None
    seed: int = 0
    folder: Path = field(default_factory=Path)

    @classmethod
    def read(cls, path: Path) -> FusePlan:
        """Read and check a file.

        Parameters
        ----------
        path : path

        Returns
        -------
        FusePlan

        Raises
        ------
        ParameterError
            If a field is unknown, absent or of the wrong form; the nearest name is offered.
        FileNotFoundError
            If a file that it names is absent.
        """
        content = _content(path)
        known = [f.name for f in fields(cls) if f.name != "folder"]
        _check_fields(content, known, "the plan of a fusion")
        if not isinstance(content.get("sources"), Mapping):
            raise ParameterError(
                "the plan of a fusion needs sources: a name and a file each, such as cps: cps.parquet."
            )
        plan = cls(**content, folder=path.parent)
        sources = {name: _entry(given, SOURCE_FIELDS, f"source {name!r}") for name, given in plan.sources.items()}
        object.__setattr__(plan, "sources", sources)
        if plan.recipient is not None:
            object.__setattr__(plan, "recipient", _entry(plan.recipient, RECIPIENT_FIELDS, "recipient"))
        plan._check()
        return plan

    @property
    def files(self) -> list[Path]:
        """All tables that are read."""
        named = [entry["file"] for entry in self.sources.values()]
        named += [*self.tables.values(), *self.holdouts.values()]
        if isinstance(self.recipient, Mapping):
            named.append(self.recipient["file"])
        return [self.folder / name for name in named]

    @property
    def weight_col(self) -> dict[str, str] | None:
        """Weight column of each source that has one."""
        return {name: entry["weight"] for name, entry in self.sources.items() if "weight" in entry} or None

    @property
    def pairs(self) -> Any:
        """The association, as `MultiSourceFusion.complete` takes it."""
        if not isinstance(self.association, list):
            return self.association
        return {(x, y): value for x, y, value in self.association}

    def _check(self) -> None:
        if (self.recipient is None) == (self.n is None):
            raise ParameterError(
                "the plan of a fusion needs a recipient to complete, or n rows to generate: one of them."
            )
        self._check_forms()
        self._check_numbers()
        self._check_association()
        for name in self.holdouts:
            if name not in self.sources:
                raise ParameterError(
                    f"holdouts names {name!r}, which is no source.{near_miss(str(name), self.sources)}"
                )
        self._check_recipient()
        for path in self.files:
            if not path.is_file():
                raise FileNotFoundError(f"there is no file {str(path)!r}, which the plan names.")

    def _check_numbers(self) -> None:
        from microplex._validation import check_seed
        from microplex.fusion.intake import check_whole

        for name, value in (("n", self.n), ("epochs", self.epochs)):
            if value is not None:
                check_whole(value, name, 1)
        check_seed(self.seed)

    def _check_association(self) -> None:
        given = self.association
        if given is None:
            return
        if not isinstance(given, list):
            _check_correlation(given, "association must be a number or a list of [x, y, value]")
            return
        if not all(isinstance(a, list) and len(a) == 3 and all(isinstance(name, str) for name in a[:2]) for a in given):
            raise ParameterError(f"association must be a number or a list of [x, y, value]; got {given!r}.")
        seen: set[frozenset[str]] = set()
        for x, y, value in given:
            _check_correlation(value, f"association of {x!r} with {y!r} must be a number")
            if frozenset((x, y)) in seen:
                raise ParameterError(f"association names {x!r} with {y!r} twice; give one value.")
            seen.add(frozenset((x, y)))

    def _check_recipient(self) -> None:
        if not isinstance(self.recipient, Mapping):
            return
        source, file = self.recipient.get("source"), self.recipient["file"]
        if source is not None and source not in self.sources:
            raise ParameterError(
                f"recipient: source is {source!r}, which is no source.{near_miss(source, self.sources)} "
                f"Sources: {', '.join(self.sources)}."
            )
        if self.harmonisation is None or source is not None:
            return
        for name, entry in self.sources.items():
            if (self.folder / entry["file"]).resolve() == (self.folder / file).resolve():
                raise ParameterError(
                    f"the recipient is the file of source {name!r}, in its own names and codes, and there is a "
                    f"harmonisation: say whose they are, recipient: {{file: {file}, source: {name}}}."
                )

    def _check_forms(self) -> None:
        for name in ("conditions", "targets", "constraints", "accepted"):
            given = getattr(self, name)
            if given is not None and not (isinstance(given, list) and all(isinstance(x, str) for x in given)):
                raise ParameterError(f"{name} must be a list of texts, such as [wages, rent]; got {given!r}.")
        for name in ("tables", "authority", "kinds", "holdouts"):
            given = getattr(self, name)
            if not (isinstance(given, Mapping) and all(isinstance(x, str) for pair in given.items() for x in pair)):
                raise ParameterError(f"{name} must be names and texts, such as {{wages: tax}}; got {given!r}.")


def _check_correlation(value: Any, words: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = " Write it without quotes." if isinstance(value, str) else ""
        raise ParameterError(f"{words}; got {value!r}.{hint}")
    if not -1 <= value <= 1:
        raise ParameterError(f"{words.split(' must')[0]} must lie between -1 and 1; got {value!r}.")


def _content(path: Path) -> Any:
    from microplex.fusion.harmonise_yaml import UniqueLoader

    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not valid YAML: {error}") from error


def _entry(given: Any, known: tuple[str, ...], label: str) -> dict[str, Any]:
    entry = {"file": given} if isinstance(given, str) else given
    if not isinstance(entry, Mapping) or not isinstance(entry.get("file"), str):
        raise ParameterError(f"{label} needs a file, such as {{file: rows.parquet}}; got {given!r}.")
    _check_fields(entry, known, label)
    for name, value in entry.items():
        if not isinstance(value, str):
            raise ParameterError(f"{label}: {name} must be text; got {value!r}.")
    return dict(entry)


def _check_fields(content: Any, known: Iterable[str], label: str) -> None:
    known = list(known)
    if not isinstance(content, Mapping):
        raise ParameterError(f"{label} must be fields and values; got {content!r}.")
    for name in content:
        if name not in known:
            raise ParameterError(
                f"{label} has no field {name!r}.{near_miss(str(name), known)} Fields: {', '.join(known)}."
            )
