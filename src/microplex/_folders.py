"""Folders put in place whole."""

from __future__ import annotations

import shutil
from pathlib import Path


def replace_folder(goal: Path, temporary: Path) -> None:
    """Put a new folder where an old one may be; if that fails, the old one is put back.

    Parameters
    ----------
    goal : Path
        Where the folder is to be.
    temporary : Path
        The new folder, on the same disk.

    Raises
    ------
    OSError
        If it cannot be moved; the old folder is as it was.

    Examples
    --------
    >>> new = Path("new")
    >>> new.mkdir()
    >>> replace_folder(Path("place"), new)
    >>> Path("place").is_dir(), new.exists()
    (True, False)
    """
    old = temporary.with_name(temporary.name + ".old")
    if goal.exists():
        goal.rename(old)
    try:
        temporary.rename(goal)
    except OSError:
        if old.exists():
            old.rename(goal)
        raise
    shutil.rmtree(old, ignore_errors=True)
