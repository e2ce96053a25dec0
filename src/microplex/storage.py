"""Saved models: a directory with a readable manifest and safetensors arrays; nothing pickled."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from microplex._estimator import BaseEstimator
from microplex._folders import replace_folder
from microplex.errors import ModelFormatError

FORMAT = 1
MANIFEST, ARRAYS = "manifest.json", "arrays.safetensors"
DAMAGE = (AttributeError, IndexError, KeyError, TypeError, ValueError)


class SavedEstimator(BaseEstimator, ABC):
    """Base of every estimator that is written to a directory and read again.

    A subclass names its kind, and says what it holds as JSON-able content and arrays, and back.

    Examples
    --------
    >>> class Mean(SavedEstimator):
    ...     _kind = "Mean"
    ...     def fit(self, x):
    ...         self.mean_ = np.mean(x, axis=0)
    ...         return self
    ...     def _pack(self):
    ...         return {}, {"mean": self.mean_}
    ...     @classmethod
    ...     def _unpack(cls, content, arrays):
    ...         self = cls()
    ...         self.mean_ = arrays["mean"]
    ...         return self
    >>> Mean().fit([[1.0, 2.0], [3.0, 4.0]]).save("mean")
    >>> Mean.load("mean").mean_
    array([2., 3.])
    """

    _kind: ClassVar[str]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a directory: a readable manifest and safetensors arrays, no training row.

        Parameters
        ----------
        path
            Directory to create, or a saved model of the same kind to replace.

        Raises
        ------
        ParameterError
            If the model holds training rows.
        ModelFormatError, OSError
            If something else is in its place, or it cannot be written; nothing is lost, nothing half-written is left.

        Examples
        --------
        >>> synth.save("model")  # a fitted Synthesizer; other estimators likewise
        >>> sorted(os.listdir("model"))
        ['arrays.safetensors', 'manifest.json']
        """
        self._check_fitted()
        save_model(path, self._kind, *self._pack())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that :meth:`save` wrote; no machine-learning framework is imported.

        Parameters
        ----------
        path
            Model directory.

        Returns
        -------
        estimator
            Fitted; it holds no training rows.

        Raises
        ------
        FileNotFoundError, ModelFormatError
            If there is no readable model.

        Examples
        --------
        >>> synth.save("model")  # a fitted Synthesizer; other estimators likewise
        >>> Synthesizer.load("model").generate(frame[["age"]], seed=1).equals(synth.generate(frame[["age"]], seed=1))
        True
        """
        with refusing_damage("model"):
            return cls._unpack(*load_model(path, cls._kind))

    @abstractmethod
    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return content and arrays."""

    @classmethod
    @abstractmethod
    def _unpack(cls, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Inverse of `_pack`."""

    def _parameters(self, *apart: str) -> dict[str, Any]:
        """Parameters as JSON holds them, but those that are kept apart."""
        return {name: _plain(x) for name, x in self.get_params(deep=False).items() if name not in apart}


@contextmanager
def refusing_damage(what: str) -> Iterator[None]:
    """Say of whatever goes wrong while content and arrays are read that they are damaged.

    Parameters
    ----------
    what : str
        What is read.

    Raises
    ------
    ModelFormatError
        If an entry or an array is absent or wrong.

    Examples
    --------
    >>> with refusing_damage("model"):
    ...     {}["content"]
    Traceback (most recent call last):
    microplex.errors.ModelFormatError: the saved model is damaged: KeyError('content').
    """
    try:
        yield
    except ModelFormatError:
        raise
    except DAMAGE as error:
        raise ModelFormatError(f"the saved {what} is damaged: {error!r}.") from error


def save_model(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a model directory; it appears whole or not at all.

    Parameters
    ----------
    path
        Directory to create, or a model directory of this kind to replace.
    kind
        Name of the estimator.
    content
        JSON-able description.
    arrays
        Arrays by name.

    Raises
    ------
    ModelFormatError
        If something else is in its place; see :func:`check_target`.
    OSError
        If it cannot be written (no permission, disk full); nothing half-written is left.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(f"{folder}/model", "Example", {"a": 1}, {"x": np.zeros(2)})
    ...     load_model(f"{folder}/model", "Example")[0]
    {'a': 1}
    """
    check_target(path, kind)
    goal = Path(path)
    goal.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{goal.name}.", dir=goal.parent))
    try:
        manifest = {"format": FORMAT, "kind": kind, "content": content}
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False), encoding="utf-8")
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, temporary / ARRAYS)
        _give_usual_permissions(temporary)
        replace_folder(goal, temporary)
    except SafetensorError as error:
        raise OSError(f"cannot write {goal}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(path: str | os.PathLike[str], kind: str) -> None:
    """Refuse a path where a model may not be written: there may be nothing, an empty folder, or one of its kind alone.

    Parameters
    ----------
    path
        Directory to create or to replace.
    kind
        Name of the estimator.

    Raises
    ------
    ModelFormatError
        If it is a file, or a folder that holds anything but a saved model of this kind.

    Examples
    --------
    >>> check_target("no-such-folder", "Imputer")
    >>> synth.save("model")
    >>> check_target("model", "Imputer")
    Traceback (most recent call last):
    microplex.errors.ModelFormatError: model is not a saved model of kind Imputer: its manifest.json says that it \
holds 'Synthesizer'. Choose another path, or move away what is there.
    """
    goal = Path(path)
    held = _held(goal, kind)
    if held:
        raise ModelFormatError(
            f"{goal} is not a saved model of kind {kind}: {held}. Choose another path, or move away what is there."
        )


def _held(goal: Path, kind: str) -> str:
    """What stands in the way of a model, in words; nothing if nothing does."""
    if not goal.exists():
        return ""
    if not goal.is_dir():
        return "it is a file"
    entries = sorted(p.name for p in goal.iterdir())
    others = [name for name in entries if name not in (MANIFEST, ARRAYS) or not (goal / name).is_file()]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        return f"it holds {others[0]!r}{more}"
    if not entries:
        return ""
    try:
        found = json.loads((goal / MANIFEST).read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"its {MANIFEST} is missing or damaged"
    return "" if found == kind else f"its {MANIFEST} says that it holds {found!r}"


def _give_usual_permissions(folder: Path) -> None:
    """Arrays and folder may be read by whom a file written as usual may be: they are made for their owner alone."""
    usual = (folder / MANIFEST).stat().st_mode & 0o777
    (folder / ARRAYS).chmod(usual)
    folder.chmod(usual | (usual & 0o444) >> 2)


def load_model(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what :func:`save_model` wrote.

    Parameters
    ----------
    path
        Model directory.
    kind
        Expected name of the estimator.

    Returns
    -------
    tuple
        Content and arrays.

    Raises
    ------
    FileNotFoundError
        If there is no such directory.
    ModelFormatError
        If it is no model, is damaged, of another kind, or written by a newer version.

    Examples
    --------
    >>> load_model("no/such/model", "Synthesizer")
    Traceback (most recent call last):
    FileNotFoundError: there is no saved model at no/such/model.
    """
    goal = Path(path)
    if not goal.exists():
        raise FileNotFoundError(f"there is no saved model at {goal.as_posix()}.")
    try:
        manifest = json.loads((goal / MANIFEST).read_text(encoding="utf-8"))
        version, found, content = manifest["format"], manifest["kind"], manifest["content"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFormatError(f"{goal} is not a readable model: its {MANIFEST} is missing or damaged.") from error
    if not isinstance(version, int) or version > FORMAT:
        raise ModelFormatError(f"{goal} has format {version}, this version reads up to {FORMAT}. Upgrade microplex.")
    if found != kind:
        raise ModelFormatError(f"{goal} holds a {found}, expected a {kind}.")
    try:
        return content, load_file(goal / ARRAYS)
    except (OSError, SafetensorError) as error:
        raise ModelFormatError(f"{goal} is damaged: {ARRAYS} cannot be read ({error}).") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(x) for name, x in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return value if value is None or isinstance(value, (int, float, str)) else [_plain(x) for x in value]
