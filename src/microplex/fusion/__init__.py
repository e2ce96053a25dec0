"""Fusion: several surveys with different samples, weights, variables and codings as one population.

`MultiSourceFusion` learns from all of them and completes or generates; `Harmonisation` says how their columns become
variables; `coverage`, `frechet_bounds` and `correlation_bounds` show what they observe and what they leave open.
"""

from microplex.fusion.agreement import Clash, check_agreement
from microplex.fusion.blocks import Assumption, Block
from microplex.fusion.bounds import (
    CorrelationBounds,
    FrechetBounds,
    correlation_bounds,
    frechet_bounds,
    gaussian_correlation_bounds,
)
from microplex.fusion.coverage import Coverage, coverage
from microplex.fusion.fusion import MultiSourceFusion
from microplex.fusion.harmonise import Harmonisation
from microplex.fusion.harmonise_column import SourceColumn
from microplex.fusion.provenance import Origin, Provenance, ProvenanceSummary
from microplex.fusion.report import BlockReport, Completed, FusionReport

__all__ = [
    "Assumption",
    "Block",
    "BlockReport",
    "Clash",
    "Completed",
    "CorrelationBounds",
    "Coverage",
    "FrechetBounds",
    "FusionReport",
    "Harmonisation",
    "MultiSourceFusion",
    "Origin",
    "Provenance",
    "ProvenanceSummary",
    "SourceColumn",
    "check_agreement",
    "correlation_bounds",
    "coverage",
    "frechet_bounds",
    "gaussian_correlation_bounds",
]
