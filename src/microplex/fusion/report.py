"""What a fusion learnt, from whom and given what."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from microplex.encoding import FitReport
from microplex.fusion.blocks import Assumption, Block
from microplex.fusion.completing import Resampling
from microplex.fusion.learning import Law
from microplex.fusion.provenance import Provenance
from microplex.fusion.reading import Rows, Sources

FEW_LINKED = 200


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
                "held-out log-likelihood": block.fit.held_out_log_prob,
            }
            for block in self.blocks
        ]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        """Say it in words."""
        lines = [f"{name}: {size:,.0f} effective rows" for name, size in self.effective_rows.items()]
        for block in self.blocks:
            given = f" given {', '.join(block.given)}" if block.given else ""
            some = f"; on {block.n_linked:,} rows also given {', '.join(block.linked)}" if block.linked else ""
            lines.append(
                f"{', '.join(block.targets)}: from {', '.join(block.sources)} ({block.fit.n_rows:,} rows){given}{some}"
            )
        return "\n".join([*lines, *(f"assumed: {assumption}" for assumption in self.assumptions)])


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
