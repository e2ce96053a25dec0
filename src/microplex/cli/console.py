"""What every command shares: where it prints, how it fails, and files that appear whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from microplex.errors import MicroplexError, ModelFormatError

WIDTH = 100  # columns, where the output is no terminal


class Commands(TyperGroup):
    """Commands whose foreseen errors end in one red line and the exit status 1, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (MicroplexError, OSError, MemoryError, UnicodeError) as error:
            console(stderr=True).print(Text(f"Error: {describe_error(error)}", style="red"), soft_wrap=True)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            console(stderr=True).print("Interrupted.")
            raise typer.Exit(130) from error


def console(stderr: bool = False) -> Console:
    """Return the terminal, or a file of 100 columns.

    Examples
    --------
    >>> console().width >= 1
    True
    """
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else WIDTH, highlight=False)


def describe_error(error: Exception) -> str:
    """Say in words what went wrong.

    Examples
    --------
    >>> describe_error(PermissionError(13, "Permission denied", "out.parquet"))
    "Permission denied: 'out.parquet'."
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {str(error.filename)!r}." if error.filename is not None else f"{error.strerror}."
    return str(error)


def plain_table(*headers: str, left: int = 1, **options: Any) -> Table:
    """Return an empty table: the first columns for words, the others for numbers.

    Examples
    --------
    >>> [column.justify for column in plain_table("name", "value").columns]
    ['left', 'right']
    """
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        collapse_padding=True,
        header_style="bold",
        title_justify="left",
        **options,
    )
    table.title_style = "bold"
    for place, header in enumerate(headers):
        table.add_column(header, justify="left" if place < left else "right", overflow="fold")
    return table


def split_names(text: str) -> list[str]:
    """Read a comma-separated list; a name that holds a comma stands in double quotes.

    Examples
    --------
    >>> split_names('age, "wages, gross"')
    ['age', 'wages, gross']
    """
    return [name for entry in next(csv.reader([text], skipinitialspace=True), []) if (name := entry.strip())]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name in the folder of `path`; it takes the name of `path` when all has gone well.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "note.txt") as file:
    ...     _ = file.write_text("whole")
    >>> [file.name for file in folder.iterdir()]
    ['note.txt']
    """
    goal = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{goal.name}.", dir=goal.parent) as folder:
        temporary = Path(folder) / goal.name
        yield temporary
        os.replace(temporary, goal)


def check_output(path: Path, suffixes: tuple[str, ...], option: str = "--out") -> None:
    """Refuse a file that could not be written, before any work is done.

    Parameters
    ----------
    path
        File to write.
    suffixes
        Suffixes it may have.
    option
        Option that names it.

    Raises
    ------
    typer.BadParameter
        The suffix is another one.
    OSError
        There is no such folder, or it may not be written to.

    Examples
    --------
    >>> check_output(Path("missing_folder/a.csv"), (".csv",))
    Traceback (most recent call last):
    FileNotFoundError: no folder 'missing_folder' to write 'a.csv' to. Make it first.
    """
    if path.suffix.lower() not in suffixes:
        raise typer.BadParameter(f"{str(path)!r} must end in {' or '.join(suffixes)}.", param_hint=repr(option))
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder: name a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(path.parent)!r} to write {path.name!r} to. Make it first.")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"no permission to write {str(path)!r}.")


def check_folder(path: Path, kind: str, option: str = "--out") -> None:
    """Refuse a folder that could not be written, or that holds something else, before any work is done.

    Parameters
    ----------
    path
        Folder to write.
    kind
        Kind of folder, as its manifest says, that may be replaced.
    option
        Option that names it.

    Raises
    ------
    ModelFormatError
        There is something else in its place.
    OSError
        There is no folder to make it in, or it may not be written to.

    Examples
    --------
    >>> check_folder(Path(tempfile.mkdtemp()), "Population")
    >>> check_folder(Path("missing_folder/people"), "Population")
    Traceback (most recent call last):
    FileNotFoundError: no folder 'missing_folder' to write 'people' to. Make it first.
    """
    if path.exists():
        try:
            found = json.loads((path / "manifest.json").read_text(encoding="utf-8"))["kind"]
        except (OSError, ValueError, KeyError, TypeError):
            found = None if path.is_dir() and not any(path.iterdir()) else "no"
        if found not in (None, kind):
            raise ModelFormatError(
                f"{option} {path} exists and is not a saved {kind}; choose another path or remove it."
            )
    parent = path.absolute().parent
    inside = next((above for above in path.parents if above.exists() and not above.is_dir()), None)
    if inside is not None:
        raise NotADirectoryError(f"{str(inside)!r} is a file: no folder {path.name!r} can be made in it. Name another.")
    if not parent.is_dir():
        raise FileNotFoundError(f"no folder {str(path.parent)!r} to write {path.name!r} to. Make it first.")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"no permission to write {str(path)!r}.")
