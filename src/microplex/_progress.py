"""A progress bar on standard error, shown where somebody looks at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Update = Callable[[float, float | None], None]


@contextmanager
def progress_bar(title: str, show: bool | None) -> Iterator[Update]:
    """Yield a function that takes the share of work done and the held-out log-likelihood a row.

    Parameters
    ----------
    title
        Text before the bar.
    show
        Whether to show the bar; None for only on a terminal.

    Examples
    --------
    >>> with progress_bar("Fitting", False) as update:
    ...     update(0.5, None)
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda share, score: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[score]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=1.0, score="")

        def update(share: float, score: float | None) -> None:
            text = "" if score is None else f"held-out log-likelihood {score:.3f} a row"
            bar.update(task, completed=share, score=text)

        yield update
