"""What a fusion learnt, from whom and given what."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from microplex.encoding import FitReport
from microplex.fusion.blocks import Assumption, Block
from microplex.fusion.completing import Resampling
from microplex.fusion.coupling import Links, link, read_association
from microplex.fusion.learning import Law
from microplex.fusion.provenance import Provenance
from microplex.fusion.reading import Rows, Sources

FEW_LINKED = 200
SHOWN = 8


@dataclass(frozen=True)
class BlockReport:
    """One block of targets.

    Parameters
    ----------
    targets, sources : tuple of str
    given : tuple of str
        Earlier variables known on all rows of these sources.
    linked : tuple of str
        Earlier variables known on some of them only.
    n_linked : int
        Rows that observe a linked variable.
    fit : FitReport
        What the fit of its networks did.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    given: tuple[str, ...]
    linked: tuple[str, ...]
    n_linked: int
    fit: FitReport


@dataclass(frozen=True)
class FusionReport:
    """All blocks, what is assumed between them, and what to know about the data.

    Parameters
    ----------
    blocks : tuple of BlockReport
    assumptions : tuple of Assumption
    effective_rows : dict of str to float
        Effective sample size of each source (Kish, 1965), by which it counts where several observe a block.
    """

    blocks: tuple[BlockReport, ...]
    assumptions: tuple[Assumption, ...]
    effective_rows: dict[str, float]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row a block."""
        rows = [
            {
                "targets": ", ".join(block.targets),
                "sources": ", ".join(block.sources),
                "given": ", ".join(block.given),
                "linked": ", ".join(block.linked),
                "rows": block.fit.n_rows,
                "rows linked": block.n_linked,
                "held-out log-likelihood": np.nan if score is None else score,
            }
            for block in self.blocks
            for score in [block.fit.held_out_log_prob]
        ]
        return pd.DataFrame(rows)

    def assumed(self, association: float | Mapping[tuple[str, str], float] | None = None) -> tuple[str, ...]:
        """Say what rows are drawn with where no source observes two variables together.

        Parameters
        ----------
        association : float or mapping of (str, str) to float, optional
            As `MultiSourceFusion.complete` takes it; independence by default.

        Returns
        -------
        tuple of str
            A sentence or two for each of the assumptions.

        Raises
        ------
        ParameterError, ColumnNotFoundError
            If an association cannot be used.

        Examples
        --------
        >>> open_pair = Assumption(("wages",), ("gains",), ("age",), ("cps",), ("tax",))
        >>> FusionReport((), (open_pair,), {}).assumed()
        ('wages (from cps) and gains (from tax) are independent given age: no source observes both.',)
        """
        if association is None:
            return tuple(str(assumption) for assumption in self.assumptions)
        targets = [block.targets for block in self.blocks]
        apart = [{name for a in self.assumptions if a.second == own for name in a.first} for own in targets]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # they are told where rows are drawn
            asked = read_association(association, targets, apart)
            links = link(targets, asked)
        return tuple(_drawn_with(a, asked, links) for a in self.assumptions)

    def __str__(self) -> str:
        """Say it in words."""
        return self.describe()

    def describe(self, association: float | Mapping[tuple[str, str], float] | None = None) -> str:
        """Say it in words, with the association that rows are drawn with; see `assumed`."""
        lines = [f"{name}: {size:,.0f} effective rows" for name, size in self.effective_rows.items()]
        for block in self.blocks:
            given = f" given {', '.join(block.given)}" if block.given else ""
            some = f"; on {block.n_linked:,} rows also given {', '.join(block.linked)}" if block.linked else ""
            lines.append(
                f"{', '.join(block.targets)}: from {', '.join(block.sources)} ({block.fit.n_rows:,} rows){given}{some}"
            )
        return "\n".join([*lines, *(f"assumed: {words}" for words in self.assumed(association))])


@dataclass(frozen=True, eq=False)
class Completed:
    """A completed file and where each of its cells comes from.

    Parameters
    ----------
    frame : data frame
        Of the kind given.
    provenance : Provenance
        Observed, derived or imputed, and from which source.
    resampling : Resampling
        How rows were completed that observe what comes after something they lack.
    """

    frame: Any
    provenance: Provenance
    resampling: Resampling


def _drawn_with(assumption: Assumption, asked: Mapping[tuple[str, str], float], links: Links) -> str:
    """Say with which association the two groups of an assumption are drawn."""
    place = {name: i for i, name in enumerate(links.names)}
    every = [(x, y) for x in assumption.first for y in assumption.second]
    used = {
        (x, y): float(links.matrix[place[x], place[y]])
        for x, y in every
        if x in place and y in place and links.matrix[place[x], place[y]] != 0
    }
    if not used:
        return str(assumption)
    numbers = {f"{value:.3g}" for value in used.values()}
    if len(numbers) == 1 and len(used) == len(every) > 1:
        words = f"{numbers.pop()} of every pair"
    else:
        shown = [f"{value:.3g} of {x} with {y}" for (x, y), value in used.items()]
        words = ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")
        words += "" if len(used) == len(every) else ", all other pairs 0"
    sides = [
        f"{', '.join(names)} (from {', '.join(sources)})"
        for names, sources in (
            (assumption.first, assumption.first_sources),
            (assumption.second, assumption.second_sources),
        )
    ]
    given = f" given {', '.join(assumption.given)}" if assumption.given else ""
    shrunk = any(abs(value - asked.get(pair, value)) > 5e-4 for pair, value in used.items())
    return (
        f"{sides[0]} and {sides[1]}: no source observes both. They are drawn with the association {words} (correlation "
        f"of normal scores{given}; 0 is independence)."
        + (" No joint law has all the values asked for; these are the nearest in proportion." if shrunk else "")
    )


def provenance_of(laws: Sequence[Law], rows: Rows, source: str | None) -> Provenance:
    """Return where each cell of completed rows comes from: the recipient, or the law of a source or several."""
    made = Provenance(rows.n)
    for law in laws:
        learnt = source if source is not None and source in law.block.sources else " + ".join(law.block.sources)
        for name in law.block.targets:
            made = made.mark([name], "derived" if name in law.derived else "imputed", learnt)
            if rows.seen[name].any():
                made = made.mark([name], "observed", "recipient", rows=rows.seen[name])
    return made


def warn_few(block: Block, data: Sources) -> None:
    """Warn if few rows observe a block together with what it is linked to."""
    n = _linked_rows(block, data)
    if block.linked and n < FEW_LINKED:
        warnings.warn(
            f"only {n} rows observe {block.name} together with {', '.join(block.linked)}: too few to learn much of "
            f"their dependence. Give {FEW_LINKED} rows or more, or leave that source out.",
            UserWarning,
            stacklevel=4,
        )


def _linked_rows(block: Block, data: Sources) -> int:
    if not block.linked:
        return 0
    rows = data.of(block.sources)
    return int(np.logical_or.reduce([data.rows.seen[name][rows] for name in block.linked]).sum())


def reported(law: Law, data: Sources) -> BlockReport:
    """Return what to know of a fitted block."""
    block = law.block
    return BlockReport(block.targets, block.sources, block.known, block.linked, _linked_rows(block, data), law.report)
